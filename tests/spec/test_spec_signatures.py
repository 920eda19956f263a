"""The operations have the names and parameters of the published protocol, and each segment of it is a store of its own."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from fencepost.spec import (
    AttachmentManifest,
    DurabilityTier,
    EventStore,
    InputId,
    NotFound,
    OutputStore,
    PendingTurnInputCancelResult,
    QueuedWorkStore,
    RuntimePersistence,
    RuntimeStore,
    SessionCommitStore,
    SessionExecutionLeaseStore,
    SessionReadStore,
    StoredTurnEvents,
    StoreMaintenance,
    TurnInputStore,
    UnsupportedQueuedWork,
    UnsupportedTurnInputs,
)
from fencepost.spec.operations import CHAPTERS, OPERATIONS
from msgspec.structs import replace
from spec_builders import BATCH, BATCH_2, FENCE, IDLE, WORK, A, store_class
from spec_builders_stores import ENVELOPE, TURN_2

FENCED = ("session_id", "session_execution_lease", "owner")

LEASE: dict[str, tuple[str, ...]] = {
    "try_claim_session_execution_lease": ("session_id", "owner", "lease_ttl_ms"),
    "reclaim_session_execution_lease": ("session_id", "owner", "observed_holder", "lease_ttl_ms"),
    "renew_session_execution_lease": ("fence", "lease_ttl_ms"),
    "release_session_execution_lease": ("completion",),
}
TURN_INPUT: dict[str, tuple[str, ...]] = {
    "enqueue_pending_turn_input": ("input",),
    "list_pending_turn_inputs": ("session_id",),
    "cancel_pending_turn_input": ("session_id", "input_id"),
    "cancel_pending_turn_inputs": ("session_id", "targets"),
    "cancel_pending_turn_input_suffix": ("session_id", "anchor"),
    "claim_active_turn_inputs": (*FENCED, "turn_id", "checkpoint", "lease_ttl_ms", "max_inputs"),
    "claim_next_turn_inputs": (*FENCED, "lease_ttl_ms", "max_inputs"),
    "abandon_turn_input_claim": ("claim",),
}
"""The page of TurnInputStore has these eight and no others."""
QUEUED_WORK: dict[str, tuple[str, ...]] = {
    "enqueue_queued_work": ("batch",),
    "claim_leading_ready_session_command": (*FENCED, "lease_ttl_ms"),
    "claim_ready_queued_work": (*FENCED, "boundary", "lease_ttl_ms", "max_batches"),
    "claim_ready_queued_work_by_batch_ids": (*FENCED, "boundary", "lease_ttl_ms", "batch_ids"),
    "renew_queued_work_claim": ("claim", "lease_ttl_ms"),
    "abandon_queued_work_claim": ("claim",),
    "cancel_queued_work_batch": ("session_id", "batch_id"),
    "list_queued_work": ("session_id",),
    "list_pending_queued_work": ("session_id",),
}
COMMIT: dict[str, tuple[str, ...]] = {"commit_runtime_state": ("commit",)}
SESSION: dict[str, tuple[str, ...]] = {
    "load_session": ("scope",),
    "load_node": ("node_id",),
    "save_session_meta": ("meta",),
    "load_session_meta": (),
    "durability_tier": (),
}
MAINTENANCE: dict[str, tuple[str, ...]] = {"tombstone_nodes": ("ids",), "vacuum": (), "gc_unreachable": ()}
ATTACHMENT: dict[str, tuple[str, ...]] = {
    "record_intent": ("intent",),
    "commit_refs": ("session_id", "attachment_ids"),
    "list_uncommitted": ("older_than_epoch_ms",),
    "forget": ("attachment_id",),
}
RUNTIME: dict[str, tuple[str, ...]] = {
    "commit_session_boundary": (
        *("runtime_id", "session_delta", "run_id", "boundary"),
        *("contributing_input_ids", "input_updates"),
    ),
    "atomic_apply": ("runtime_id", "session_delta", "receipt", "input_updates", "session_store_key"),
    "load_input_states": ("runtime_id",),
    "load_boundary_receipt": ("runtime_id", "run_id", "sequence"),
    "load_session_snapshot": ("runtime_id",),
    "persist_input_state": ("runtime_id", "state"),
    "load_input_state": ("runtime_id", "input_id"),
    "persist_runtime_state": ("runtime_id", "state"),
    "load_runtime_state": ("runtime_id",),
    "atomic_lifecycle_commit": ("runtime_id", "runtime_state", "input_states"),
}
"""The page of RuntimeStore has these ten, in this order."""
EVENT: dict[str, tuple[str, ...]] = {
    "append": ("thread_id", "turn", "envelope"),
    "finish_turn": ("thread_id", "turn"),
    "get_turn": ("thread_id", "turn"),
    "get_turns": ("thread_id",),
    "clear": ("thread_id",),
    "get_events": ("thread_id",),
}
"""The page of EventStore has five to write, and the last, which it provides."""
OUTPUT: dict[str, tuple[str, ...]] = {
    "append": ("task_id", "attempt", "producer_agent", "event", "parent_refs"),
    "get": ("id",),
    "get_latest_by_name": ("name",),
    "list_for_attempt": ("task_id", "attempt"),
}
"""The page of OutputStore has these four."""
PUBLISHED = {**LEASE, **TURN_INPUT, **QUEUED_WORK, **COMMIT, **SESSION, **MAINTENANCE, **ATTACHMENT}
"""Methods and parameters of RuntimePersistence, without the receiver, as the trait pages give them."""

SEGMENTS: dict[str, tuple[type, dict[str, tuple[str, ...]]]] = {
    "lease": (SessionExecutionLeaseStore, LEASE),
    "turn_input": (TurnInputStore, TURN_INPUT),
    "queued_work": (QueuedWorkStore, QUEUED_WORK),
    "commit": (SessionCommitStore, COMMIT),
    "session": (SessionReadStore, SESSION),
    "maintenance": (StoreMaintenance, MAINTENANCE),
    "attachment": (AttachmentManifest, ATTACHMENT),
}
OTHERS: dict[str, tuple[type, dict[str, tuple[str, ...]]]] = {
    "runtime": (RuntimeStore, RUNTIME),
    "event": (EventStore, EVENT),
    "output": (OutputStore, OUTPUT),
}
STORES = SEGMENTS | OTHERS
METHODS = [
    *((RuntimePersistence, name, parameters) for name, parameters in PUBLISHED.items()),
    *((store, name, parameters) for store, methods in OTHERS.values() for name, parameters in methods.items()),
]

DERIVED = {"cancel_pending_turn_input", "claim_ready_queued_work_by_batch_ids", "durability_tier", "get_events"}
"""What the protocol provides: a store needs not write these."""


def test_the_pages_have_thirty_methods_and_four() -> None:
    """Thirty of RuntimePersistence, eight of which are those of TurnInputStore, and four of the manifest it stands on."""
    assert len(PUBLISHED) - len(ATTACHMENT) == 30
    assert len(TURN_INPUT) == 8
    assert len(ATTACHMENT) == 4


def test_the_pages_of_the_other_stores_have_ten_methods_six_and_four() -> None:
    """Ten of RuntimeStore, five of EventStore and the one it provides, and four of OutputStore."""
    assert (len(RUNTIME), len(EVENT), len(OUTPUT)) == (10, 6, 4)


@pytest.mark.parametrize(("store", "method", "published"), METHODS, ids=[name for _, name, _ in METHODS])
def test_a_method_has_the_published_parameters(store: type, method: str, published: tuple[str, ...]) -> None:
    """Names and order are the protocol's, every parameter has an annotation, and none a default."""
    signature = inspect.signature(getattr(store, method))
    receiver, *parameters = signature.parameters.values()
    assert receiver.name == "self"
    assert tuple(parameter.name for parameter in parameters) == published
    for parameter in parameters:
        assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        assert parameter.default is inspect.Parameter.empty
        assert parameter.annotation is not inspect.Parameter.empty
    assert signature.return_annotation is not inspect.Signature.empty


def test_the_operations_are_read_off_the_abstract_stores() -> None:
    """Calls as data have just these names, parameters and chapters, in the order of the chapters and of the pages."""
    published = [
        (chapter, f"{chapter}.{name}" if name == "append" else name, parameters)
        for chapter, (_, methods) in STORES.items()
        for name, parameters in methods.items()
    ]
    assert [
        (operation.chapter, name, tuple(each for each, _ in operation.parameters)) for name, operation in OPERATIONS.items()
    ] == published
    assert list(CHAPTERS.items()) == [(chapter, store) for chapter, (store, _) in STORES.items()]


def test_nothing_else_is_public() -> None:
    """A store has no public method beside the operations."""
    assert {name for name in dir(RuntimePersistence) if not name.startswith("_")} == set(PUBLISHED)
    for store, methods in OTHERS.values():
        assert {name for name in dir(store) if not name.startswith("_")} == set(methods)


def test_which_operations_only_read() -> None:
    """Nineteen reads by their names, and 35 calls that may change something."""
    assert len(OPERATIONS) == 54
    assert {name for name, operation in OPERATIONS.items() if operation.reads} == {
        "list_pending_turn_inputs",
        "list_queued_work",
        "list_pending_queued_work",
        "load_session",
        "load_node",
        "load_session_meta",
        "durability_tier",
        "list_uncommitted",
        "load_input_states",
        "load_boundary_receipt",
        "load_session_snapshot",
        "load_input_state",
        "load_runtime_state",
        "get_turn",
        "get_turns",
        "get_events",
        "get",
        "get_latest_by_name",
        "list_for_attempt",
    }


@pytest.mark.parametrize("chapter", STORES)
def test_a_segment_is_a_store_of_its_own(chapter: str) -> None:
    """Its class has its own methods and no others, all abstract but the derived ones, and depends on no other segment."""
    store: Any
    store, methods = STORES[chapter]
    assert {name for name in dir(store) if not name.startswith("_")} == set(methods)
    assert store.__abstractmethods__ == set(methods) - DERIVED
    assert not any(issubclass(store, other) for other, _ in STORES.values() if other is not store)
    assert issubclass(RuntimePersistence, store) is (chapter in SEGMENTS)


@pytest.mark.parametrize(
    ("method", "store"),
    [
        ("cancel_pending_turn_input", TurnInputStore),
        ("claim_ready_queued_work_by_batch_ids", QueuedWorkStore),
        ("durability_tier", SessionReadStore),
        ("get_events", EventStore),
    ],
)
def test_what_is_derived_is_provided_once(method: str, store: type) -> None:
    """One class defines the method, and no other class of the law defines it again."""
    family = (*RuntimePersistence.__mro__, RuntimeStore, EventStore, OutputStore, UnsupportedTurnInputs, UnsupportedQueuedWork)
    assert [each for each in family if method in vars(each)] == [store]


def made(name: str, *stores: type, **methods: Any) -> Any:
    """A store of these segments in which every abstract method answers None, but for the methods given."""
    abstract = {each for store in stores for each in getattr(store, "__abstractmethods__", ())}
    return store_class(name, stores, {each: lambda _self, *_: None for each in abstract} | methods)()


def test_a_store_of_two_segments_can_be_made() -> None:
    """Leases and turn inputs are a store without the rest, and a segment with a method missing is none."""
    store = made("Two", SessionExecutionLeaseStore, TurnInputStore)
    assert {name for name in dir(store) if not name.startswith("_")} == {*LEASE, *TURN_INPUT}
    lacking = store_class("Lacking", (TurnInputStore,), {})
    with pytest.raises(TypeError, match="abstract"):
        lacking()


class Asked(UnsupportedTurnInputs):
    """Turn inputs that note what the cancel of several was asked for."""

    asked: tuple[object, ...] = ()

    def cancel_pending_turn_inputs(self, session_id: Any, targets: Any) -> Any:
        """Find none of them."""
        self.asked = (session_id, targets)
        return [PendingTurnInputCancelResult(each, NotFound()) for each in targets]


def test_cancel_9_one_input_is_cancelled_by_the_call_for_several() -> None:
    """The list has that one target, by id, and the answer is its outcome alone, also from a store that answers lists."""
    store: Any = Asked()
    assert store.cancel_pending_turn_input("s", "i1") == NotFound()
    assert store.asked == ("s", (InputId("i1"),))


class Granting(UnsupportedQueuedWork):
    """Queued work that grants whatever it is told to, and notes what it was asked for."""

    def __init__(self, granted: Any) -> None:
        self.granted = granted
        self.asked: list[tuple[object, ...]] = []

    def claim_ready_queued_work(
        self, session_id: Any, session_execution_lease: Any, owner: Any, boundary: Any, lease_ttl_ms: Any, max_batches: Any
    ) -> Any:
        """Grant it."""
        self.asked.append((session_id, session_execution_lease, owner, boundary, lease_ttl_ms, max_batches))
        return self.granted

    def abandon_queued_work_claim(self, claim: Any) -> None:
        """Note it."""
        self.asked.append(("abandoned", claim))


@pytest.mark.parametrize(
    ("granted", "ids", "answer", "then"),
    [
        (WORK, ("b1", "b2"), WORK, []),
        (None, ("b1", "b2"), None, []),
        (WORK, ("b2", "b1"), None, [("abandoned", WORK)]),
        (replace(WORK, batches=(BATCH,)), ("b2",), None, [("abandoned", replace(WORK, batches=(BATCH,)))]),
        (replace(WORK, batches=(BATCH_2,)), ("b2",), replace(WORK, batches=(BATCH_2,)), []),
    ],
)
def test_qclaim_11_a_claim_by_ids_claims_as_many_and_gives_back_others(granted: Any, ids: Any, answer: Any, then: Any) -> None:
    """The claim is for as many batches as there are ids; what is not exactly those, in order, is abandoned, and None."""
    store: Any = Granting(granted)
    assert store.claim_ready_queued_work_by_batch_ids("s", FENCE, A, IDLE, 10, ids) == answer
    assert store.asked == [("s", FENCE, A, IDLE, 10, len(ids)), *then]


def test_qclaim_1_a_claim_by_no_ids_asks_for_nothing() -> None:
    """It is None without a call."""
    store: Any = Granting(WORK)
    assert store.claim_ready_queued_work_by_batch_ids("s", FENCE, A, IDLE, 10, ()) is None
    assert store.asked == []


def test_read_19_the_tier_is_inline_unless_said_otherwise() -> None:
    """A store of sessions that says nothing is Inline."""
    assert made("Silent", SessionReadStore).durability_tier() is DurabilityTier.Inline


class Kept(EventStore):
    """Events that answer what they are told to when they are asked for all turns."""

    def __init__(self, turns: Any) -> None:
        self.turns = turns

    def append(self, thread_id: Any, turn: Any, envelope: Any) -> None:
        """Do nothing."""

    def finish_turn(self, thread_id: Any, turn: Any) -> None:
        """Do nothing."""

    def get_turn(self, thread_id: Any, turn: Any) -> None:
        """Find nothing."""

    def get_turns(self, thread_id: Any) -> Any:
        """Find the turns of the thread."""
        return self.turns if thread_id == "th" else ()

    def clear(self, thread_id: Any) -> None:
        """Do nothing."""


@pytest.mark.parametrize("listed", [tuple, list])
def test_event_22_the_events_are_those_of_the_turns(listed: Any) -> None:
    """Open and finished turns alike give their events, turn by turn, also from a store that answers lists."""
    second, third = replace(ENVELOPE, sequence=2), replace(ENVELOPE, sequence=1)
    turns = (StoredTurnEvents(0, (ENVELOPE, second), True), TURN_2, StoredTurnEvents(9, (third, ENVELOPE)))
    store: Any = Kept(listed(turns))
    assert store.get_events("th") == (ENVELOPE, second, third, ENVELOPE)
    assert store.get_events("th2") == ()
