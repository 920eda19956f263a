"""Plays: a few lawful calls of each chapter, one after the other, in which every call and every name of one comes up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias

from fencepost.spec import (
    U64_MAX,
    Acquired,
    ActivePath,
    AgentEventEnvelope,
    Append,
    AttachmentIntent,
    CheckpointKind,
    EventPayload,
    FullGraph,
    Group,
    HydratedSessionCheckpoint,
    InputLifecycleState,
    InputState,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    PersistedSessionConfig,
    Progress,
    QueuedWorkClaimBoundary,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeCommit,
    RuntimeState,
    RuntimeTurnCommitStamp,
    SessionDelta,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseFence,
    SessionMeta,
    SessionNodeRecord,
    SourceKey,
    TurnInputIngressActiveTurn,
    Unchanged,
)
from msgspec.structs import replace

from .following import Call
from .lacking import INPUT, WORK
from .queued_work import COMMAND
from .samples import EVENTS, HELLO, numbered, session

Play: TypeAlias = Generator[Call, Any, None]
"""Gives call after call, and takes the answers: each is lawful, and most need those before."""


class Scene(NamedTuple):
    """A play, the reads that show what is kept, and the chapters that it needs besides its own."""

    play: Callable[[], Play]
    reads: Sequence[Call] = ()
    beside: Collection[str] = ()


def calls_of(play: Play, perform: Callable[[Call], object], form: Callable[[Call], Call] = lambda call: call) -> Iterator[Call]:
    """The calls of a play in the form that is given to each, each of them before it is performed."""
    with suppress(StopIteration):
        call = form(next(play))
        while True:
            yield call
            call = form(play.send(perform(call)))


TTL = 600_000
"""Milliseconds: by the time of day too, no play takes so long."""

OWNER = LeaseOwnerIdentity("owner", "incarnation")
LOCAL = replace(OWNER, liveness=LocalProcess("host", "boot", 10, "tick"))
"""Its process is gone: from this owner a session can be taken."""

S, TURN, KEY = "session", "turn", "key"
AFTER_WORK = CheckpointKind.AfterWork
IDLE = QueuedWorkClaimBoundary.Idle
NOON = "2026-01-01T00:00:00Z"


def leases() -> Play:
    """A session is claimed and renewed, taken over by another owner, and released."""
    held = (yield Call("try_claim_session_execution_lease", (S, LOCAL, TTL))).lease
    yield Call("renew_session_execution_lease", (held.fence(), TTL))
    taken = yield Call("reclaim_session_execution_lease", (S, replace(LOCAL, owner_id="other"), held.fence(), TTL))
    if isinstance(taken, Acquired):
        yield Call("release_session_execution_lease", (taken.lease.completion(),))


def lease_of_session() -> Generator[Call, Any, SessionExecutionLeaseFence]:
    """A lease of the session."""
    claimed = yield Call("try_claim_session_execution_lease", (S, OWNER, TTL))
    fence: SessionExecutionLeaseFence = claimed.lease.fence()
    return fence


def an_input(key: str, turn_id: str | None = None) -> Call:
    """An input under this key, for a turn if one is named."""
    ingress = INPUT.ingress if turn_id is None else TurnInputIngressActiveTurn(turn_id)
    return Call("enqueue_pending_turn_input", (replace(INPUT, session_id=S, source_key=key, ingress=ingress),))


def inputs_of_turns() -> Play:
    """Inputs of a turn and of the next one are submitted, claimed, and given back."""
    fence = yield from lease_of_session()
    yield an_input(KEY, TURN)
    yield an_input("next")
    claims = (
        Call("claim_active_turn_inputs", (S, fence, OWNER, TURN, AFTER_WORK, TTL, 2)),
        Call("claim_next_turn_inputs", (S, fence, OWNER, TTL, 2)),
    )
    for claim in claims:
        claimed = yield claim
        yield Call("abandon_turn_input_claim", (claimed,))


def cancelled_inputs() -> Play:
    """Inputs are listed and cancelled: by id, by key, and from one on."""
    first = yield an_input(KEY)
    for key in ("second", "third"):
        yield an_input(key)
    yield Call("list_pending_turn_inputs", (S,))
    yield Call("cancel_pending_turn_input", (S, first.input_id))
    yield Call("cancel_pending_turn_inputs", (S, (SourceKey("second"),)))
    yield Call("cancel_pending_turn_input_suffix", (S, SourceKey("third")))


def a_batch(key: str | None, **more: Any) -> Call:
    """A batch under this key, or under none."""
    return Call("enqueue_queued_work", (replace(WORK, session_id=S, source_key=key, **more),))


def work() -> Play:
    """Two batches of one group are submitted, claimed at once, renewed and given back; then one by its id."""
    fence = yield from lease_of_session()
    first = yield a_batch(None, merge_key=Group("group"))
    yield a_batch(None, merge_key=Group("group"))
    claim = yield Call("claim_ready_queued_work", (S, fence, OWNER, IDLE, TTL, 2))
    renewed = yield Call("renew_queued_work_claim", (claim, TTL))
    yield Call("abandon_queued_work_claim", (renewed,))
    yield Call("claim_ready_queued_work_by_batch_ids", (S, fence, OWNER, IDLE, TTL, (first.batch_id,)))


def listed_work() -> Play:
    """A batch is listed, and cancelled."""
    batch = yield a_batch(KEY)
    yield from (read for read in BATCHES)
    yield Call("cancel_queued_work_batch", (S, batch.batch_id))


def commands() -> Play:
    """A command is submitted, and claimed."""
    fence = yield from lease_of_session()
    yield a_batch(KEY, payloads=(COMMAND,))
    yield Call("claim_leading_ready_session_command", (S, fence, OWNER, TTL))


def a_commit(fence: SessionExecutionLeaseFence, **more: Any) -> Call:
    """A commit that changes nothing, unless told so."""
    given: dict[str, Any] = {"config": CONFIG, "checkpoint": HydratedSessionCheckpoint(), "graph": Unchanged(), **more}
    return Call("commit_runtime_state", (RuntimeCommit(session_id=S, session_execution_lease=fence, **given),))


def a_node(fence: SessionExecutionLeaseFence, node_id: str, parent: str | None = None, **more: Any) -> Call:
    """A commit of one node, which is the leaf."""
    node = SessionNodeRecord(node_id, parent, EventPayload(Json()))
    return a_commit(fence, graph=Append((node,), node_id), **more)


def turns() -> Play:
    """Two turns are committed, the second on the node of the first."""
    fence = yield from lease_of_session()
    yield a_node(fence, "node", turn_commit=RuntimeTurnCommitStamp(S, TURN, "hash"))
    yield a_node(fence, "leaf", "node")


def settled_inputs() -> Play:
    """A turn is committed that was interrupted, with an input that it had claimed; another one waits for it."""
    fence = yield from lease_of_session()
    yield an_input(KEY, TURN)
    claim = yield Call("claim_active_turn_inputs", (S, fence, OWNER, TURN, AFTER_WORK, TTL, 1))
    yield an_input("next", TURN)
    yield a_commit(fence, completed_turn_input_claims=(claim.completion(),))
    yield a_commit(fence, interrupted_turn_input_turn_id=TURN)


def settled_work() -> Play:
    """A turn is committed with the work that it had claimed, and gives its lease back."""
    fence = yield from lease_of_session()
    yield a_batch(KEY)
    claim = yield Call("claim_ready_queued_work", (S, fence, OWNER, IDLE, TTL, 1))
    release = SessionExecutionLeaseCompletion(S, fence.owner, fence.lease_token, fence.fencing_token)
    yield a_commit(fence, completed_queue_claims=(claim.completion(),), release_session_execution_lease=release)


def committed_attachments() -> Play:
    """A turn is committed that refers to an attachment."""
    fence = yield from lease_of_session()
    yield Call("record_intent", (INTENT,))
    yield a_commit(fence, committed_attachment_ids=("attachment",))


def reads() -> Play:
    """A session is read, and its metadata are written."""
    fence = yield from lease_of_session()
    yield a_node(fence, "node")
    yield a_node(fence, "leaf", "node")
    yield Call("load_session", (ActivePath("node"),))
    yield Call("load_node", ("node",))
    yield Call("save_session_meta", (SessionMeta(S, "", "", ""),))


def tombstones() -> Play:
    """A node is given up, and removed."""
    fence = yield from lease_of_session()
    yield a_node(fence, "node")
    yield a_node(fence, "leaf", "node")
    yield Call("tombstone_nodes", (("node",),))


def attachments() -> Play:
    """Attachments are recorded; one is referred to, another forgotten."""
    yield Call("record_intent", (INTENT,))
    yield Call("record_intent", (replace(INTENT, attachment_id="other"),))
    yield Call("commit_refs", (S, ("attachment",)))
    yield Call("forget", ("other",))


def a_state(number: int) -> InputState:
    """An input of a runtime."""
    state = InputLifecycleState.Queued
    return InputState(input_id=numbered(number), current_state=state, idempotency_key=KEY, created_at=NOON, updated_at=NOON)


def runs() -> Play:
    """A boundary is committed, another is applied, and all of it is read."""
    delta, run_id, boundary = SessionDelta(session(numbered(7), HELLO)), numbered(1), RunApplyBoundary.RunStart
    yield Call("commit_session_boundary", (RUNTIME, delta, run_id, boundary, (), (a_state(1),)))
    receipt = RunBoundaryReceipt(run_id=run_id, boundary=boundary, contributing_input_ids=(), message_count=0, sequence=9)
    yield Call("atomic_apply", (RUNTIME, None, receipt, (a_state(2),), None))
    yield from (read for read in RUNS)


def states() -> Play:
    """Inputs and states of a runtime are persisted, apart and at once, and read."""
    yield Call("persist_input_state", (RUNTIME, a_state(1)))
    yield Call("persist_input_state", (RUNTIME, a_state(2)))
    yield Call("persist_runtime_state", (RUNTIME, RuntimeState.Idle))
    yield Call("atomic_lifecycle_commit", (RUNTIME, RuntimeState.Stopped, (a_state(2),)))
    yield Call("load_runtime_state", (RUNTIME,))


def events() -> Play:
    """Events of a turn are appended; it is finished and read, and its thread cleared."""
    for number in (1, 2):
        yield Call("event.append", ("thread", 1, AgentEventEnvelope(numbered(number), number, NOON, EVENTS[0])))
    yield Call("finish_turn", ("thread", 1))
    yield from (read for read in EVENTS_READ)
    yield Call("clear", ("thread",))


def outputs() -> Play:
    """Outputs of an attempt are appended, and read."""
    for stage in ("begun", "done"):
        yield Call("output.append", ("task", 1, "writer", Progress(stage), ()))
    yield from (read for read in WRITTEN)


CONFIG = PersistedSessionConfig("", Json())
INTENT = AttachmentIntent("attachment", S, "uri", 1_000)
RUNTIME = "runtime"
HOLDER = (Call("try_claim_session_execution_lease", (S, replace(OWNER, owner_id="third"), 0)),)
PENDING = (Call("list_pending_turn_inputs", (S,)),)
BATCHES = (Call("list_queued_work", (S,)), Call("list_pending_queued_work", (S,)))
GRAPH = (Call("load_session", (FullGraph(),)),)
ATTACHED = (Call("list_uncommitted", (U64_MAX,)),)
RUNS = (
    Call("load_boundary_receipt", (RUNTIME, numbered(1), 9)),
    Call("load_session_snapshot", (RUNTIME,)),
    Call("load_input_states", (RUNTIME,)),
    Call("load_input_state", (RUNTIME, numbered(1))),
    Call("load_runtime_state", (RUNTIME,)),
)
EVENTS_READ = (Call("get_turn", ("thread", 1)), Call("get_turns", ("thread",)), Call("get_events", ("thread",)))
WRITTEN = (Call("list_for_attempt", ("task", 1)), Call("get_latest_by_name", ("writer",)))

SCENES: dict[str, tuple[Scene, ...]] = {
    "lease": (Scene(leases, HOLDER),),
    "turn_input": (Scene(inputs_of_turns, PENDING), Scene(cancelled_inputs, PENDING)),
    "queued_work": (Scene(work, BATCHES), Scene(listed_work, BATCHES), Scene(commands, BATCHES)),
    "commit": (
        Scene(turns, GRAPH),
        Scene(settled_inputs, PENDING, ("turn_input",)),
        Scene(settled_work, BATCHES, ("queued_work",)),
        Scene(committed_attachments, ATTACHED, ("attachment",)),
    ),
    "session": (Scene(reads, (*GRAPH, Call("load_session_meta"))),),
    "maintenance": (Scene(tombstones, (*GRAPH, Call("vacuum"), *GRAPH)),),
    "attachment": (Scene(attachments, ATTACHED),),
    "runtime": (Scene(runs, RUNS), Scene(states, RUNS)),
    "event": (Scene(events, EVENTS_READ),),
    "output": (Scene(outputs, WRITTEN),),
}
"""What is played for each chapter."""
