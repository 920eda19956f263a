"""The operations have the names and parameters of the published protocol, and each segment of it is a store of its own."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from fencepost.spec import (
    AttachmentManifest,
    DurabilityTier,
    InputId,
    NotFound,
    PendingTurnInputCancelResult,
    QueuedWorkStore,
    RuntimePersistence,
    SessionCommitStore,
    SessionExecutionLeaseStore,
    SessionReadStore,
    StoreMaintenance,
    TurnInputStore,
    UnsupportedQueuedWork,
    UnsupportedTurnInputs,
)
from fencepost.spec.operations import CHAPTERS, OPERATIONS
from msgspec.structs import replace
from spec_builders import BATCH, BATCH_2, FENCE, IDLE, WORK, A, store_class

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
PUBLISHED = {**LEASE, **TURN_INPUT, **QUEUED_WORK, **COMMIT, **SESSION, **MAINTENANCE, **ATTACHMENT}
"""Methods and parameters, without the receiver, as the trait pages give them."""

SEGMENTS: dict[str, tuple[type, dict[str, tuple[str, ...]]]] = {
    "lease": (SessionExecutionLeaseStore, LEASE),
    "turn_input": (TurnInputStore, TURN_INPUT),
    "queued_work": (QueuedWorkStore, QUEUED_WORK),
    "commit": (SessionCommitStore, COMMIT),
    "session": (SessionReadStore, SESSION),
    "maintenance": (StoreMaintenance, MAINTENANCE),
    "attachment": (AttachmentManifest, ATTACHMENT),
}

DERIVED = {"cancel_pending_turn_input", "claim_ready_queued_work_by_batch_ids", "durability_tier"}
"""What the protocol provides: a store needs not write these."""


def test_the_pages_have_thirty_methods_and_four() -> None:
    """Thirty of RuntimePersistence, eight of which are those of TurnInputStore, and four of the manifest it stands on."""
    assert len(PUBLISHED) - len(ATTACHMENT) == 30
    assert len(TURN_INPUT) == 8
    assert len(ATTACHMENT) == 4


@pytest.mark.parametrize("method", PUBLISHED)
def test_a_method_has_the_published_parameters(method: str) -> None:
    """Names and order are the protocol's, every parameter has an annotation, and none a default."""
    signature = inspect.signature(getattr(RuntimePersistence, method))
    receiver, *parameters = signature.parameters.values()
    assert receiver.name == "self"
    assert tuple(parameter.name for parameter in parameters) == PUBLISHED[method]
    for parameter in parameters:
        assert parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        assert parameter.default is inspect.Parameter.empty
        assert parameter.annotation is not inspect.Parameter.empty
    assert signature.return_annotation is not inspect.Signature.empty


def test_the_operations_are_read_off_the_abstract_stores() -> None:
    """Calls as data have just these names, parameters and chapters, in the order of the chapters."""
    assert {name: tuple(each for each, _ in operation.parameters) for name, operation in OPERATIONS.items()} == PUBLISHED
    assert list(OPERATIONS) == list(PUBLISHED)
    assert [(chapter, store) for chapter, store in CHAPTERS.items()] == [(name, each) for name, (each, _) in SEGMENTS.items()]
    for chapter, (_, methods) in SEGMENTS.items():
        assert [name for name, operation in OPERATIONS.items() if operation.chapter == chapter] == list(methods)


def test_nothing_else_is_public() -> None:
    """A store has no public method beside the operations."""
    assert {name for name in dir(RuntimePersistence) if not name.startswith("_")} == set(PUBLISHED)


def test_which_operations_only_read() -> None:
    """Eight reads by their names, and 26 calls that may change something."""
    assert {name for name, operation in OPERATIONS.items() if operation.reads} == {
        "list_pending_turn_inputs",
        "list_queued_work",
        "list_pending_queued_work",
        "load_session",
        "load_node",
        "load_session_meta",
        "durability_tier",
        "list_uncommitted",
    }


@pytest.mark.parametrize("chapter", SEGMENTS)
def test_a_segment_is_a_store_of_its_own(chapter: str) -> None:
    """Its class has its own methods and no others, all abstract but the derived ones, and depends on no other segment."""
    store: Any
    store, methods = SEGMENTS[chapter]
    assert {name for name in dir(store) if not name.startswith("_")} == set(methods)
    assert store.__abstractmethods__ == set(methods) - DERIVED
    assert not any(issubclass(store, other) for other, _ in SEGMENTS.values() if other is not store)
    assert issubclass(RuntimePersistence, store)


@pytest.mark.parametrize(
    ("method", "store"),
    [
        ("cancel_pending_turn_input", TurnInputStore),
        ("claim_ready_queued_work_by_batch_ids", QueuedWorkStore),
        ("durability_tier", SessionReadStore),
    ],
)
def test_what_is_derived_is_provided_once(method: str, store: type) -> None:
    """One class defines the method, and no other class of the law defines it again."""
    family = (*RuntimePersistence.__mro__, UnsupportedTurnInputs, UnsupportedQueuedWork)
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
