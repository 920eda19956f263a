"""Stores without a segment: what they answer all the same, loud where something would be lost and empty where it is asked."""

from __future__ import annotations

from typing import Any

import pytest
from fencepost.spec import (
    AttachmentManifest,
    Backend,
    InvalidArgument,
    NoopAttachmentManifest,
    QueuedWorkClaimExpired,
    QueuedWorkStore,
    StoreError,
    TurnInputStore,
    UnsupportedQueuedWork,
    UnsupportedTurnInputs,
)
from fencepost.spec.operations import CHAPTERS, OPERATIONS
from spec_builders import ARGUMENTS, BY_IDS, COMMAND_CLAIM, FENCE, IDLE, SUFFIX, WORK, A, call

STORES: dict[str, Any] = {
    "turn_input": UnsupportedTurnInputs(),
    "queued_work": UnsupportedQueuedWork(),
    "attachment": NoopAttachmentManifest(),
}

EXPIRED = QueuedWorkClaimExpired("s", "claim")

TABLE: dict[str, object] = {
    "enqueue_pending_turn_input": Backend(),
    "list_pending_turn_inputs": (),
    "cancel_pending_turn_input": Backend(),
    "cancel_pending_turn_inputs": Backend(),
    SUFFIX: Backend(),
    "claim_active_turn_inputs": Backend(),
    "claim_next_turn_inputs": Backend(),
    "abandon_turn_input_claim": None,
    "enqueue_queued_work": Backend(),
    COMMAND_CLAIM: Backend(),
    "claim_ready_queued_work": Backend(),
    BY_IDS: Backend(),
    "renew_queued_work_claim": EXPIRED,
    "abandon_queued_work_claim": None,
    "cancel_queued_work_batch": None,
    "list_queued_work": (),
    "list_pending_queued_work": (),
    "record_intent": None,
    "commit_refs": None,
    "list_uncommitted": (),
    "forget": None,
}
"""What each call answers or is refused with."""


def answered(operation: str, arguments: tuple[Any, ...] | None = None) -> object:
    """The answer of the store without the segment, or the error it refuses with."""
    try:
        return call(STORES[OPERATIONS[operation].chapter], operation, arguments)
    except StoreError as error:
        return error


def test_the_table_has_every_call_of_the_three_segments() -> None:
    """Eight calls of turn inputs, nine of queued work, four of the manifest."""
    assert set(TABLE) == {name for name, operation in OPERATIONS.items() if operation.chapter in STORES}
    assert len(TABLE) == 21


@pytest.mark.parametrize("operation", TABLE)
def test_default_1_and_2_and_att_8_what_a_store_without_the_segment_answers(operation: str) -> None:
    """A good call is answered as the table says."""
    assert answered(operation) == TABLE[operation]
    assert type(answered(operation)) is type(TABLE[operation])


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        ("cancel_pending_turn_inputs", ("s", ())),
        ("claim_active_turn_inputs", (*ARGUMENTS["claim_active_turn_inputs"][:-1], 0)),
        ("claim_next_turn_inputs", ("s", FENCE, A, 10, 0)),
        ("claim_ready_queued_work", ("s", FENCE, A, IDLE, 10, 0)),
    ],
)
def test_default_1_and_2_nothing_is_looked_at_first(operation: str, arguments: tuple[Any, ...]) -> None:
    """No targets, and a claim of nothing, are refused like any other."""
    assert answered(operation, arguments) == Backend()


def test_default_2_a_claim_by_no_ids_is_none() -> None:
    """The derived call asks the store for nothing then."""
    assert answered(BY_IDS, ("s", FENCE, A, IDLE, 10, ())) is None


def test_default_2_a_renewal_names_the_claim_that_was_shown() -> None:
    """The error has the claim's own session and id."""
    assert answered("renew_queued_work_claim", (WORK, 0)) == QueuedWorkClaimExpired("s", "claim")


def test_value_1_bad_arguments_come_first() -> None:
    """A store without the segment still refuses what no store may take."""
    for operation in TABLE:
        bad = tuple(object() for _ in OPERATIONS[operation].parameters)
        assert answered(operation, bad) == InvalidArgument("")


def test_a_refusal_says_what_is_missing() -> None:
    """The words for people name the segment."""
    with pytest.raises(Backend, match="turn inputs"):
        call(STORES["turn_input"], "enqueue_pending_turn_input")
    with pytest.raises(Backend, match="queued work"):
        call(STORES["queued_work"], "enqueue_queued_work")


@pytest.mark.parametrize("chapter", STORES)
def test_a_store_without_a_segment_is_a_store_of_that_segment(chapter: str) -> None:
    """It subclasses the segment that is missing, and no other."""
    segments = (TurnInputStore, QueuedWorkStore, AttachmentManifest)
    assert [each for each in segments if isinstance(STORES[chapter], each)] == [CHAPTERS[chapter]]
