"""Pending turn inputs: user input that waits, durably, for a turn to take it.

An input for an active turn is claimed only by that turn, at a checkpoint; an input for the next turn only by whoever starts
one. A claim reserves inputs for a time: claim id and lease token together prove it. A commit completes what a claim holds;
what it does not hold any more it cannot complete. Completed and cancelled inputs stay as tombstones, which answer retries,
until a vacuum. Times are epoch milliseconds of the store's clock, TTLs milliseconds.
"""

from __future__ import annotations

import enum
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import icontract
import msgspec

from .commit import TurnInputCompletion
from .contracts import ensures, operation
from .errors import InvalidArgument
from .lease import LeaseOwnerIdentity, SessionExecutionLeaseFence
from .values import U32, U64, Json, Record


class Text(Record, frozen=True, tag_field="type", tag="text"):
    """Words of the user."""

    text: str


class ImageRef(Record, frozen=True, tag_field="type", tag="image_ref"):
    """An image, by the id of its blob."""

    id: str


class ImageBlob(Record, frozen=True):
    """The bytes of an image."""

    id: str
    data: bytes


class ProtocolTurnOptions(Record, frozen=True):
    """Options of the turn, opaque."""

    schema_version: U32
    payload: Json


class TurnInput(Record, frozen=True):
    """What the user submitted; a store keeps it, gives it back and compares it, and reads nothing in it.

    `image_blobs` is a mapping by id: it is kept in the order of ids, and an id listed twice is `InvalidArgument`.
    """

    items: tuple[Text | ImageRef, ...] = ()
    image_blobs: tuple[ImageBlob, ...] = ()
    protocol_turn_options: ProtocolTurnOptions | None = None
    trace_turn_id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        ids = [blob.id for blob in self.image_blobs]
        if len(set(ids)) < len(ids):
            raise InvalidArgument("TurnInput.image_blobs", f"the ids {ids!r}"[:200], "each id once")
        msgspec.structs.force_setattr(self, "image_blobs", tuple(sorted(self.image_blobs, key=lambda blob: blob.id)))


class TurnInputCheckpointBoundary(enum.Enum):
    """The earliest checkpoint of its turn at which an input may be taken."""

    AfterWork = "after_work"
    BeforeCompletion = "before_completion"


class CheckpointKind(enum.Enum):
    """The checkpoint that a turn has come to."""

    AfterWork = "after_work"
    BeforeCompletion = "before_completion"


def admits(boundary: TurnInputCheckpointBoundary, checkpoint: CheckpointKind) -> bool:
    """Whether an input with this boundary may be taken at this checkpoint (CLAIM-4)."""
    return boundary is TurnInputCheckpointBoundary.AfterWork or checkpoint is CheckpointKind.BeforeCompletion


class TurnInputIngressActiveTurn(Record, frozen=True, tag_field="scope", tag="active_turn"):
    """The input is for this turn, while it runs."""

    turn_id: str
    min_boundary: TurnInputCheckpointBoundary = TurnInputCheckpointBoundary.AfterWork


class TurnInputIngressNextTurn(Record, frozen=True, tag_field="scope", tag="next_turn"):
    """The input is for whichever turn comes next."""


TurnInputIngress: TypeAlias = TurnInputIngressActiveTurn | TurnInputIngressNextTurn


class TurnInputState(enum.Enum):
    """Where an input is in its life; `Cancelled` and `Completed` are its ends."""

    PendingActive = "pending_active"
    DeferredNextTurn = "deferred_next_turn"
    Accepted = "accepted"
    Cancelled = "cancelled"
    Completed = "completed"


PENDING = (TurnInputState.PendingActive, TurnInputState.DeferredNextTurn)
"""The states in which an input waits."""


class PendingTurnInputDraft(Record, frozen=True, kw_only=True):
    """An input to submit. With a `source_key` the submission can be repeated; without an `input_id` the store makes one."""

    session_id: str
    input_id: str | None = None
    source_key: str | None = None
    ingress: TurnInputIngress
    input: TurnInput


class PendingTurnInput(Record, frozen=True):
    """A submitted input as it is now. `enqueue_seq` is its place in the order of admission, and never changes."""

    input_id: str
    session_id: str
    enqueue_seq: U64
    source_key: str | None
    ingress: TurnInputIngress
    state: TurnInputState
    enqueued_at_ms: U64
    input: TurnInput


class InputId(Record, frozen=True, tag_field="kind", tag="input_id"):
    """The input with this id."""

    value: str


class SourceKey(Record, frozen=True, tag_field="kind", tag="source_key"):
    """The input that was submitted under this key."""

    value: str


PendingTurnInputCancelTarget: TypeAlias = InputId | SourceKey


class PendingTurnInputClaimDiagnostics(Record, frozen=True):
    """Who holds an input that could not be cancelled; `claim_fencing_token` counts the input's own claims."""

    state: TurnInputState
    claim_id: str | None
    claim_owner: LeaseOwnerIdentity | None
    claim_expires_at_ms: U64 | None
    claim_fencing_token: U64


class Cancelled(Record, frozen=True, tag_field="outcome", tag="cancelled"):
    """The input was cancelled by this call."""

    input: PendingTurnInput


class AlreadyClaimed(Record, frozen=True, tag_field="outcome", tag="already_claimed"):
    """A turn has the input, or accepted it once."""

    input: PendingTurnInput
    claim: PendingTurnInputClaimDiagnostics | None = None


class AlreadyCompleted(Record, frozen=True, tag_field="outcome", tag="already_completed"):
    """A commit has completed the input."""

    input: PendingTurnInput


class AlreadyCancelled(Record, frozen=True, tag_field="outcome", tag="already_cancelled"):
    """The input was cancelled before."""

    input: PendingTurnInput


class NotFound(Record, frozen=True, tag_field="outcome", tag="not_found"):
    """The session has no such input, or has none any more."""


PendingTurnInputCancelOutcome: TypeAlias = Cancelled | AlreadyClaimed | AlreadyCompleted | AlreadyCancelled | NotFound


class PendingTurnInputCancelResult(Record, frozen=True):
    """What became of one target."""

    target: PendingTurnInputCancelTarget
    outcome: PendingTurnInputCancelOutcome


class AnchorNotFound(Record, frozen=True, tag_field="result", tag="anchor_not_found"):
    """There is no such input to cancel from."""

    anchor: PendingTurnInputCancelTarget


class Outcomes(Record, frozen=True, tag_field="result", tag="outcomes"):
    """What became of the anchor and of every input admitted after it."""

    anchor: PendingTurnInputCancelTarget
    outcomes: tuple[PendingTurnInputCancelOutcome, ...]


PendingTurnInputSuffixCancelOutcome: TypeAlias = AnchorNotFound | Outcomes


class TurnInputClaimModeActiveTurn(Record, frozen=True, tag_field="mode", tag="active_turn"):
    """Claimed by a turn that runs, at this checkpoint."""

    turn_id: str
    checkpoint: CheckpointKind


class TurnInputClaimModeNextTurn(Record, frozen=True, tag_field="mode", tag="next_turn"):
    """Claimed to start a turn with."""


TurnInputClaimMode: TypeAlias = TurnInputClaimModeActiveTurn | TurnInputClaimModeNextTurn


class TurnInputClaim(Record, frozen=True):
    """Inputs held for a turn, live while `now < expires_at_epoch_ms`; session, claim id and lease token prove it (GEN-9)."""

    session_id: str
    claim_id: str
    owner: LeaseOwnerIdentity
    lease_token: str
    fencing_token: U64
    claimed_at_epoch_ms: U64
    expires_at_epoch_ms: U64
    mode: TurnInputClaimMode
    inputs: tuple[PendingTurnInput, ...]

    def completion(self) -> TurnInputCompletion:
        """The proof that completes all of it in a commit."""
        ids = tuple(each.input_id for each in self.inputs)
        return TurnInputCompletion(self.session_id, self.claim_id, self.lease_token, ids)


def admitted(row: PendingTurnInput, draft: PendingTurnInputDraft) -> bool:
    """Whether the row is of the draft's session, key and content."""
    return (row.session_id, row.source_key, row.input) == (draft.session_id, draft.source_key, draft.input)


def in_admission_order(session_id: str, rows: Sequence[PendingTurnInput]) -> bool:
    """Whether the rows are of the session, each admitted after the one before."""
    return all(row.session_id == session_id for row in rows) and all(
        earlier.enqueue_seq < later.enqueue_seq for earlier, later in pairwise(rows)
    )


def outcomes_in_order(session_id: str, outcomes: Sequence[PendingTurnInputCancelOutcome]) -> bool:
    """Whether the outcomes are of inputs of the session that exist, in admission order."""
    rows = [outcome.input for outcome in outcomes if not isinstance(outcome, NotFound)]
    return bool(rows) and len(rows) == len(outcomes) and in_admission_order(session_id, rows)


def claimed_as_asked(claim: TurnInputClaim, session_id: str, owner: LeaseOwnerIdentity, most: int) -> bool:
    """Whether the claim names the caller and holds some inputs of the session, no more than asked for, in order."""
    return (
        (claim.session_id, claim.owner.incarnation) == (session_id, owner.incarnation)
        and 0 < len(claim.inputs) <= most
        and in_admission_order(session_id, claim.inputs)
    )


def accepted_by(claim: TurnInputClaim, turn_id: str, checkpoint: CheckpointKind) -> bool:
    """Whether every input of the claim was meant for this turn."""
    return claim.mode == TurnInputClaimModeActiveTurn(turn_id, checkpoint) and all(
        row.state is TurnInputState.Accepted
        and isinstance(row.ingress, TurnInputIngressActiveTurn)
        and row.ingress.turn_id == turn_id
        for row in claim.inputs
    )


def admitted_at(claim: TurnInputClaim, checkpoint: CheckpointKind) -> bool:
    """Whether every input of the claim may be taken at this checkpoint."""
    ingresses = [row.ingress for row in claim.inputs if isinstance(row.ingress, TurnInputIngressActiveTurn)]
    return all(admits(ingress.min_boundary, checkpoint) for ingress in ingresses)


def taken_for_next_turn(claim: TurnInputClaim) -> bool:
    """Whether every input of the claim waits for a next turn."""
    return claim.mode == TurnInputClaimModeNextTurn() and all(
        row.state is TurnInputState.DeferredNextTurn and row.ingress == TurnInputIngressNextTurn() for row in claim.inputs
    )


class TurnInputStore(icontract.DBC):
    """The eight calls of turn inputs."""

    @abstractmethod
    @ensures(lambda result, input: admitted(result, input), "INPUT-1")
    @ensures(lambda result, input: input.source_key is not None or result.ingress == input.ingress, "INPUT-2")
    @operation
    def enqueue_pending_turn_input(self, input: PendingTurnInputDraft) -> PendingTurnInput:
        """Submit an input, or learn what became of an equal one that was submitted under the same source key.

        Raises `PendingTurnInputSourceKeyConflict` for a key that names other content, `Backend` for an `input_id` that exists;
        `InvalidArgument`. Requirements: INPUT-1 to INPUT-13.
        """

    @abstractmethod
    @ensures(lambda result, session_id: in_admission_order(session_id, result), "LIST-1")
    @ensures(lambda result: all(row.state in PENDING for row in result), "LIST-1")
    @operation
    def list_pending_turn_inputs(self, session_id: str) -> tuple[PendingTurnInput, ...]:
        """The inputs of the session that wait and that no live claim holds, in admission order.

        Raises `InvalidArgument`, `Backend`. Requirements: LIST-1 to LIST-5.
        """

    @operation
    def cancel_pending_turn_input(self, session_id: str, input_id: str) -> PendingTurnInputCancelOutcome:
        """Cancel one input by id: `cancel_pending_turn_inputs` with that one target (CANCEL-9).

        Raises `InvalidArgument`, `Backend`.
        """
        (result,) = self.cancel_pending_turn_inputs(session_id, (InputId(input_id),))
        return result.outcome

    @abstractmethod
    @ensures(lambda result, targets: tuple(each.target for each in result) == targets, "CANCEL-1")
    @operation
    def cancel_pending_turn_inputs(
        self, session_id: str, targets: tuple[PendingTurnInputCancelTarget, ...]
    ) -> tuple[PendingTurnInputCancelResult, ...]:
        """Cancel the targets one after another, in one atomic step; one result each, in their order.

        Mixed outcomes are normal: what can be cancelled is. Raises `InvalidArgument`, `Backend`. Requirements: CANCEL-1 to
        CANCEL-8, GEN-8.
        """

    @abstractmethod
    @ensures(lambda result, anchor: result.anchor == anchor, "CANCEL-10")
    @ensures(
        lambda result, session_id: isinstance(result, AnchorNotFound) or outcomes_in_order(session_id, result.outcomes),
        "CANCEL-11",
    )
    @operation
    def cancel_pending_turn_input_suffix(
        self, session_id: str, anchor: PendingTurnInputCancelTarget
    ) -> PendingTurnInputSuffixCancelOutcome:
        """Cancel the anchor and every input of the session admitted after it, in one atomic step.

        Raises `InvalidArgument`, `Backend`. Requirements: CANCEL-10 to CANCEL-13, GEN-8.
        """

    @abstractmethod
    @ensures(
        lambda result, session_id, owner, max_inputs: result is None or claimed_as_asked(result, session_id, owner, max_inputs),
        "INPUT-INV-6",
    )
    @ensures(lambda result, turn_id, checkpoint: result is None or accepted_by(result, turn_id, checkpoint), "CLAIM-3")
    @ensures(lambda result, checkpoint: result is None or admitted_at(result, checkpoint), "CLAIM-4")
    @operation
    def claim_active_turn_inputs(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        turn_id: str,
        checkpoint: CheckpointKind,
        lease_ttl_ms: U64,
        max_inputs: U64,
    ) -> TurnInputClaim | None:
        """Accept waiting inputs of the turn at a checkpoint, the first `max_inputs` in admission order; None if there is none.

        Raises `SessionExecutionLeaseExpired` unless `max_inputs` is 0; `InvalidArgument`, `Backend`. Requirements: CLAIM-1 to
        CLAIM-4, CLAIM-6, CLAIM-8 to CLAIM-11, CLAIM-14.
        """

    @abstractmethod
    @ensures(
        lambda result, session_id, owner, max_inputs: result is None or claimed_as_asked(result, session_id, owner, max_inputs),
        "INPUT-INV-6",
    )
    @ensures(lambda result: result is None or taken_for_next_turn(result), "CLAIM-5")
    @operation
    def claim_next_turn_inputs(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        lease_ttl_ms: U64,
        max_inputs: U64,
    ) -> TurnInputClaim | None:
        """Reserve inputs for a next turn, the first `max_inputs` in admission order; None if there is none.

        Raises `SessionExecutionLeaseExpired` unless `max_inputs` is 0; `InvalidArgument`, `Backend`. Requirements: CLAIM-1,
        CLAIM-2, CLAIM-5 to CLAIM-10, CLAIM-12.
        """

    @abstractmethod
    @operation
    def abandon_turn_input_claim(self, claim: TurnInputClaim) -> None:
        """Give back what the claim still holds, so that it waits again; nothing if it holds nothing.

        Raises `InvalidArgument`, `Backend`. Requirements: ABANDON-1 to ABANDON-5.
        """
