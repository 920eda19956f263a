"""What the tests of the contracts are written with: a good call of every operation, and a store that answers as it is told."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any

from fencepost.spec import (
    AttachmentIntent,
    AttachmentManifestEntry,
    CheckpointKind,
    DeliveryPolicy,
    EventPayload,
    EventStore,
    FullGraph,
    Group,
    InputId,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    OutputStore,
    PendingTurnInput,
    PendingTurnInputDraft,
    PersistedSessionConfig,
    PersistedSessionRead,
    PersistedTurnState,
    ProcessWake,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkItem,
    QueuedWorkPayloadSessionCommand,
    ResetSession,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimePersistence,
    RuntimeStore,
    SessionCheckpoint,
    SessionExecutionLease,
    SessionGraph,
    SessionMeta,
    SessionNodeRecord,
    SlotPolicy,
    SourceKey,
    Text,
    TurnInput,
    TurnInputClaim,
    TurnInputClaimModeActiveTurn,
    TurnInputClaimModeNextTurn,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
    TurnInputState,
)
from fencepost.spec.operations import CHAPTERS, OPERATIONS
from msgspec.structs import replace
from spec_builders_stores import ARGUMENTS_OF_STORES

A = LeaseOwnerIdentity("a", "1", LocalProcess("host", "boot", 10, "tick-1"))
B = LeaseOwnerIdentity("b", "1")
LEASE = SessionExecutionLease("s", A, "token", 1, 1_000, 2_000)
FENCE = LEASE.fence()
COMMIT = RuntimeCommit(session_id="s", config=PersistedSessionConfig("p", Json(1)))
MANIFEST = SessionCheckpoint(PersistedTurnState())
RESULT = RuntimeCommitResult(1, "ref", MANIFEST)
NODE = SessionNodeRecord("n1", None, EventPayload(Json(1)))
READ = PersistedSessionRead("s", 1, COMMIT.config, (), "", SessionGraph((NODE,), "n1"), "ref", None, ())
META = SessionMeta("s", "n", "", "m")

INPUT = TurnInput((Text("hello"),))
NEXT = TurnInputIngressNextTurn()
DRAFT = PendingTurnInputDraft(session_id="s", ingress=NEXT, input=INPUT)
ROW = PendingTurnInput("i1", "s", 1, None, NEXT, TurnInputState.DeferredNextTurn, 1_000, INPUT)
ROW_2 = replace(ROW, input_id="i2", enqueue_seq=2)
TAKEN = replace(ROW, ingress=TurnInputIngressActiveTurn("t"), state=TurnInputState.Accepted)
"""An input that turn t has accepted."""
TAKEN_2 = replace(TAKEN, input_id="i2", enqueue_seq=2)
AT_WORK = TurnInputClaimModeActiveTurn("t", CheckpointKind.AfterWork)
CLAIM_OF_NEXT = TurnInputClaim("s", "claim", A, "token", 1, 1_000, 2_000, TurnInputClaimModeNextTurn(), (ROW, ROW_2))
CLAIM_OF_ACTIVE = replace(CLAIM_OF_NEXT, mode=AT_WORK, inputs=(TAKEN, TAKEN_2))
BY_ID, BY_KEY = InputId("i1"), SourceKey("k")

WAKE = ProcessWake(Json({"process": 1}))
COMMAND = QueuedWorkPayloadSessionCommand(ResetSession("why"))
WORK_DRAFT = QueuedWorkBatchDraft(
    session_id="s",
    delivery_policy=DeliveryPolicy.EarliestSafeBoundary,
    slot_policy=SlotPolicy.Join,
    merge_key=Group("g"),
    payloads=(WAKE,),
)
BATCH = QueuedWorkBatch(
    *("b1", "s", 1, None),
    *(DeliveryPolicy.EarliestSafeBoundary, SlotPolicy.Join, Group("g")),
    *(0, 1_000, (QueuedWorkItem("b1:item:0", WAKE),)),
)
BATCH_2 = replace(BATCH, batch_id="b2", enqueue_seq=2)
ORDER = replace(BATCH, items=(QueuedWorkItem("b1:item:0", COMMAND),))
"""A batch that is a session command."""
WORK = QueuedWorkClaim("s", "claim", A, "token", 1, 1_000, 2_000, (BATCH, BATCH_2))
IDLE, CHECKPOINT = QueuedWorkClaimBoundary.Idle, QueuedWorkClaimBoundary.ActiveTurnCheckpoint

INTENT = AttachmentIntent("a1", "s", "uri", 900)
ENTRY = AttachmentManifestEntry("a1", "s", "uri", 900)

CLAIM = "try_claim_session_execution_lease"
RECLAIM = "reclaim_session_execution_lease"
RENEW = "renew_session_execution_lease"
RELEASE = "release_session_execution_lease"
SUFFIX = "cancel_pending_turn_input_suffix"
COMMAND_CLAIM = "claim_leading_ready_session_command"
BY_IDS = "claim_ready_queued_work_by_batch_ids"

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    CLAIM: ("s", A, 10),
    RECLAIM: ("s", A, FENCE, 10),
    RENEW: (FENCE, 10),
    RELEASE: (LEASE.completion(),),
    "enqueue_pending_turn_input": (DRAFT,),
    "list_pending_turn_inputs": ("s",),
    "cancel_pending_turn_input": ("s", "i1"),
    "cancel_pending_turn_inputs": ("s", (BY_ID, BY_KEY)),
    SUFFIX: ("s", BY_ID),
    "claim_active_turn_inputs": ("s", FENCE, A, "t", CheckpointKind.AfterWork, 10, 2),
    "claim_next_turn_inputs": ("s", FENCE, A, 10, 2),
    "abandon_turn_input_claim": (CLAIM_OF_NEXT,),
    "enqueue_queued_work": (WORK_DRAFT,),
    COMMAND_CLAIM: ("s", FENCE, A, 10),
    "claim_ready_queued_work": ("s", FENCE, A, IDLE, 10, 2),
    BY_IDS: ("s", FENCE, A, IDLE, 10, ("b1", "b2")),
    "renew_queued_work_claim": (WORK, 10),
    "abandon_queued_work_claim": (WORK,),
    "cancel_queued_work_batch": ("s", "b1"),
    "list_queued_work": ("s",),
    "list_pending_queued_work": ("s",),
    "commit_runtime_state": (COMMIT,),
    "load_session": (FullGraph(),),
    "load_node": ("n1",),
    "save_session_meta": (META,),
    "load_session_meta": (),
    "durability_tier": (),
    "tombstone_nodes": (("n1", "n2"),),
    "vacuum": (),
    "gc_unreachable": (),
    "record_intent": (INTENT,),
    "commit_refs": ("s", ("a1", "a2")),
    "list_uncommitted": (900,),
    "forget": ("a1",),
    **ARGUMENTS_OF_STORES,
}
"""A good call of every operation."""


def _told(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method with the parameters of this one that answers what the store was told to."""
    signature = inspect.signature(method)

    def told(self: Any, *arguments: object, **named: object) -> object:
        signature.bind(self, *arguments, **named)
        self.calls += 1
        return self.answer

    told.__name__ = method.__name__
    vars(told)["__signature__"] = signature
    return told


class Told:
    """A store that answers every call with one given object, and counts the calls that reach it."""

    def __init__(self, answer: object) -> None:
        self.answer: Any = answer
        self.calls = 0


def store_class(name: str, stores: tuple[type, ...], methods: dict[str, Any]) -> Any:
    """A class of these stores with these methods."""
    return types.new_class(name, stores, {}, lambda namespace: namespace.update(methods))


def _scripted(store: type) -> Any:
    """`Told` as a store that inherits the contracts of this one."""
    methods = {
        each.method.__name__: _told(each.method) for each in OPERATIONS.values() if issubclass(store, CHAPTERS[each.chapter])
    }
    return store_class(f"Scripted{store.__name__}", (Told, store), methods)


SCRIPTED = [_scripted(store) for store in (RuntimePersistence, RuntimeStore, EventStore, OutputStore)]


def scripted(operation: str, answer: object) -> Any:
    """A store that has the operation, inherits the contracts of its protocol, and answers this to every call."""
    chapter = CHAPTERS[OPERATIONS[operation].chapter]
    return next(each for each in SCRIPTED if issubclass(each, chapter))(answer)


def call(store: Any, operation: str, arguments: tuple[Any, ...] | None = None) -> object:
    """Make the call on the store: the good one, if no arguments are given."""
    method = getattr(store, OPERATIONS[operation].method.__name__)
    answer: object = method(*(ARGUMENTS[operation] if arguments is None else arguments))
    return answer
