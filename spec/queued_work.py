"""Queued work: batches of machine-made work that wait, durably, for the session's lane.

A batch holds process wakes or session commands, and its class follows from them. Batches are taken in the order of admission:
the first one that is ready and not held decides what can be claimed, and a session command is never passed over. A commit
completes what a claim holds, and completed batches are gone. Times are epoch milliseconds of the store's clock, TTLs
milliseconds.
"""

from __future__ import annotations

import enum
from abc import abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

import icontract
from msgspec.structs import replace

from .commit import QueuedWorkCompletion
from .contracts import ensures, operation
from .lease import LeaseOwnerIdentity, SessionExecutionLeaseFence
from .values import U64, Json, Record


class RefreshToolCatalog(Record, frozen=True, tag_field="command", tag="refresh_tool_catalog"):
    """Read the tools anew."""

    reason: str


class ResetSession(Record, frozen=True, tag_field="command", tag="reset_session"):
    """Begin the session anew."""

    reason: str


SessionCommand: TypeAlias = RefreshToolCatalog | ResetSession


class ProcessWake(Record, frozen=True, tag_field="type", tag="process_wake"):
    """A process has something to say; opaque, its own target session too."""

    wake: Json


class QueuedWorkPayloadSessionCommand(Record, frozen=True, tag_field="type", tag="session_command"):
    """A command to the session, opaque to the store."""

    command: SessionCommand


QueuedWorkPayload: TypeAlias = ProcessWake | QueuedWorkPayloadSessionCommand


class QueuedWorkClass(enum.Enum):
    """What a batch is, derived from its payloads and never stored (QUEUE-5)."""

    SessionCommand = "session_command"
    TurnWork = "turn_work"


@ensures(lambda payloads: all(isinstance(each, ProcessWake | QueuedWorkPayloadSessionCommand) for each in payloads), "INPUT-12")
def class_of(payloads: Sequence[QueuedWorkPayload]) -> QueuedWorkClass | None:
    """The class of a batch with these payloads; None if they are none, or of both kinds (QUEUE-5)."""
    kinds = {type(payload) for payload in payloads}
    if kinds == {ProcessWake}:
        return QueuedWorkClass.TurnWork
    if kinds == {QueuedWorkPayloadSessionCommand}:
        return QueuedWorkClass.SessionCommand
    return None


class DeliveryPolicy(enum.Enum):
    """When a batch may be taken: at any checkpoint, or only between turns."""

    EarliestSafeBoundary = "earliest_safe_boundary"
    AfterCurrentTurnCommit = "after_current_turn_commit"


class SlotPolicy(enum.Enum):
    """Whether a batch may share a claim with its neighbours."""

    Join = "join"
    Exclusive = "exclusive"


class Never(Record, frozen=True, tag_field="kind", tag="never"):
    """No key of its own; equal to itself, so two such batches may share a claim (QCLAIM-6)."""


class PayloadDefault(Record, frozen=True, tag_field="kind", tag="payload_default"):
    """The key that the payload stands for, whatever it is."""


class Group(Record, frozen=True, tag_field="kind", tag="group"):
    """A key by name."""

    value: str


MergeKey: TypeAlias = Never | PayloadDefault | Group


class QueuedWorkBatchDraft(Record, frozen=True, kw_only=True):
    """Work to submit, ready from `available_at_ms` on. Payloads are not looked into: see QUEUE-4."""

    session_id: str
    source_key: str | None = None
    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    merge_key: MergeKey = Never()
    available_at_ms: U64 = 0
    payloads: tuple[QueuedWorkPayload, ...] = ()


class QueuedWorkItem(Record, frozen=True):
    """One payload of a batch, with an id of its own."""

    item_id: str
    payload: QueuedWorkPayload


class QueuedWorkBatch(Record, frozen=True):
    """A submitted batch. `enqueue_seq` is its place in the order of admission, and never changes."""

    batch_id: str
    session_id: str
    enqueue_seq: U64
    source_key: str | None
    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    merge_key: MergeKey
    available_at_ms: U64
    enqueued_at_ms: U64
    items: tuple[QueuedWorkItem, ...]

    @property
    def work_class(self) -> QueuedWorkClass | None:
        """The class that the payloads give it."""
        return class_of([item.payload for item in self.items])


class QueuedWorkClaimBoundary(enum.Enum):
    """Where the caller is: at a checkpoint inside a turn, or idle between turns."""

    ActiveTurnCheckpoint = "active_turn_checkpoint"
    Idle = "idle"


class QueuedWorkClaim(Record, frozen=True):
    """Batches held by a caller, live while `now < expires_at_epoch_ms`; session, claim id and lease token prove it (GEN-9)."""

    session_id: str
    claim_id: str
    owner: LeaseOwnerIdentity
    lease_token: str
    fencing_token: U64
    claimed_at_epoch_ms: U64
    expires_at_epoch_ms: U64
    batches: tuple[QueuedWorkBatch, ...]

    def completion(self) -> QueuedWorkCompletion:
        """The proof that completes all of it in a commit."""
        ids = tuple(batch.batch_id for batch in self.batches)
        return QueuedWorkCompletion(self.session_id, self.claim_id, self.lease_token, ids)


@ensures(lambda result: (result.slot_policy, result.merge_key) == (SlotPolicy.Exclusive, Never()), "QUEUE-11")
def process_wake_draft(session_id: str, process_id: str, sequence: int, wake: Json) -> QueuedWorkBatchDraft:
    """The batch by which a process wakes a session: repeatable, alone in its claim, taken at any checkpoint (QUEUE-11)."""
    return QueuedWorkBatchDraft(
        session_id=session_id,
        source_key=f"process:{process_id}:event:{sequence}:wake",
        delivery_policy=DeliveryPolicy.EarliestSafeBoundary,
        slot_policy=SlotPolicy.Exclusive,
        payloads=(ProcessWake(wake),),
    )


@ensures(lambda result: result.delivery_policy is DeliveryPolicy.AfterCurrentTurnCommit, "QUEUE-11")
def session_command_draft(session_id: str, command: SessionCommand, idempotency_key: str) -> QueuedWorkBatchDraft:
    """The batch by which a host commands a session: repeatable, alone in its claim, taken between turns (QUEUE-11)."""
    name = "refresh_tool_catalog" if isinstance(command, RefreshToolCatalog) else "reset_session"
    return QueuedWorkBatchDraft(
        session_id=session_id,
        source_key=f"command:{name}:{idempotency_key}",
        delivery_policy=DeliveryPolicy.AfterCurrentTurnCommit,
        slot_policy=SlotPolicy.Exclusive,
        payloads=(QueuedWorkPayloadSessionCommand(command),),
    )


def queued(batch: QueuedWorkBatch, draft: QueuedWorkBatchDraft) -> bool:
    """Whether the batch holds what the draft says."""
    said = (draft.delivery_policy, draft.slot_policy, draft.merge_key, draft.available_at_ms, draft.payloads)
    kept = (batch.delivery_policy, batch.slot_policy, batch.merge_key, batch.available_at_ms)
    return said == (*kept, tuple(item.payload for item in batch.items))


def batches_in_admission_order(session_id: str, batches: Sequence[QueuedWorkBatch]) -> bool:
    """Whether the batches are of the session, each admitted after the one before."""
    return all(batch.session_id == session_id for batch in batches) and all(
        earlier.enqueue_seq < later.enqueue_seq for earlier, later in pairwise(batches)
    )


def work_claimed_as_asked(claim: QueuedWorkClaim, session_id: str, owner: LeaseOwnerIdentity) -> bool:
    """Whether the claim names the caller and holds some batches of the session, in order."""
    return (
        (claim.session_id, claim.owner.incarnation) == (session_id, owner.incarnation)
        and len(claim.batches) > 0
        and batches_in_admission_order(session_id, claim.batches)
    )


def one_group(claim: QueuedWorkClaim, boundary: QueuedWorkClaimBoundary) -> bool:
    """Whether the batches are turn work that may be taken here, and several of them only if they may share a claim."""
    if not claim.batches:
        return True  # that a claim holds something is QUEUE-INV-3
    head, *others = claim.batches
    at_checkpoint = boundary is QueuedWorkClaimBoundary.ActiveTurnCheckpoint
    return (
        all(batch.work_class is QueuedWorkClass.TurnWork for batch in claim.batches)
        and (not at_checkpoint or head.delivery_policy is DeliveryPolicy.EarliestSafeBoundary)
        and (not others or head.slot_policy is SlotPolicy.Join)
        and all(
            (other.slot_policy, other.delivery_policy, other.merge_key)
            == (head.slot_policy, head.delivery_policy, head.merge_key)
            for other in others
        )
    )


def one_command(claim: QueuedWorkClaim) -> bool:
    """Whether the claim holds a single session command."""
    return [batch.work_class for batch in claim.batches] == [QueuedWorkClass.SessionCommand]


class QueuedWorkStore(icontract.DBC):
    """The nine calls of queued work."""

    @abstractmethod
    @ensures(lambda result, batch: (result.session_id, result.source_key) == (batch.session_id, batch.source_key), "QUEUE-1")
    @ensures(lambda result, batch: batch.source_key is not None or queued(result, batch), "QUEUE-1")
    @operation
    def enqueue_queued_work(self, batch: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        """Submit a batch, or learn of the one that is queued under the same source key, whatever it holds.

        Raises `InvalidArgument`, `Backend`. Requirements: QUEUE-1 to QUEUE-5.
        """

    @abstractmethod
    @ensures(
        lambda result, session_id, owner: result is None or work_claimed_as_asked(result, session_id, owner), "QUEUE-INV-3"
    )
    @ensures(lambda result: result is None or one_command(result), "QCLAIM-3")
    @operation
    def claim_leading_ready_session_command(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        lease_ttl_ms: U64,
    ) -> QueuedWorkClaim | None:
        """Claim the first ready batch that nobody holds if it is a session command; None otherwise.

        Raises `SessionExecutionLeaseExpired`, `Backend` for a batch of no class; `InvalidArgument`. Requirements: QCLAIM-2,
        QCLAIM-3, QCLAIM-5, QCLAIM-9, QCLAIM-14.
        """

    @abstractmethod
    @ensures(
        lambda result, session_id, owner: result is None or work_claimed_as_asked(result, session_id, owner), "QUEUE-INV-3"
    )
    @ensures(lambda result, boundary: result is None or one_group(result, boundary), "QCLAIM-4")
    @ensures(lambda result, max_batches: result is None or len(result.batches) <= max_batches, "QCLAIM-4")
    @operation
    def claim_ready_queued_work(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: U64,
        max_batches: U64,
    ) -> QueuedWorkClaim | None:
        """Claim the first ready batch that nobody holds if it is turn work and may be taken here, with those that join it.

        Raises `SessionExecutionLeaseExpired` unless `max_batches` is 0, `Backend` for a batch of no class; `InvalidArgument`.
        Requirements: QCLAIM-1, QCLAIM-2, QCLAIM-4 to QCLAIM-10, QCLAIM-14.
        """

    @ensures(
        lambda result, batch_ids: result is None or tuple(batch.batch_id for batch in result.batches) == batch_ids, "QCLAIM-11"
    )
    @operation
    def claim_ready_queued_work_by_batch_ids(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: U64,
        batch_ids: tuple[str, ...],
    ) -> QueuedWorkClaim | None:
        """Claim exactly these batches, if they are what could be claimed now; None otherwise.

        Claims as many and gives back what was not asked for: the batches may be gone for a moment (QCLAIM-13). Raises what
        `claim_ready_queued_work` raises. Requirements: QCLAIM-11 to QCLAIM-13.
        """
        if not batch_ids:
            return None
        claim = self.claim_ready_queued_work(session_id, session_execution_lease, owner, boundary, lease_ttl_ms, len(batch_ids))
        if claim is None or claim.completion().batch_ids == batch_ids:
            return claim
        self.abandon_queued_work_claim(claim)
        return None

    @abstractmethod
    @ensures(lambda result, claim: result == replace(claim, expires_at_epoch_ms=result.expires_at_epoch_ms), "QRENEW-4")
    @operation
    def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: U64) -> QueuedWorkClaim:
        """Set the expiry of everything that the claim holds to now plus `lease_ttl_ms`, also after it lapsed.

        Raises `QueuedWorkClaimExpired` if the claim holds another number of batches than it shows; `InvalidArgument`,
        `Backend`. Requirements: QRENEW-1 to QRENEW-4.
        """

    @abstractmethod
    @operation
    def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """Give back what the claim still holds; nothing if it holds nothing. Raises `InvalidArgument`, `Backend`.

        Requirement: QABANDON-1.
        """

    @abstractmethod
    @ensures(lambda result, session_id: result is None or result.session_id == session_id, "GEN-15")
    @ensures(lambda result, batch_id: result is None or result.batch_id == batch_id, "QUEUE-9")
    @operation
    def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        """Remove a batch that no live claim holds, and give it; None if there is none such.

        Raises `InvalidArgument`, `Backend`. Requirements: QUEUE-9, QUEUE-10.
        """

    @abstractmethod
    @ensures(lambda result, session_id: batches_in_admission_order(session_id, result), "QUEUE-7")
    @operation
    def list_queued_work(self, session_id: str) -> tuple[QueuedWorkBatch, ...]:
        """Every batch of the session, claimed or not, in admission order. Raises `InvalidArgument`, `Backend`.

        Requirement: QUEUE-7.
        """

    @abstractmethod
    @ensures(lambda result, session_id: batches_in_admission_order(session_id, result), "QUEUE-8")
    @operation
    def list_pending_queued_work(self, session_id: str) -> tuple[QueuedWorkBatch, ...]:
        """The batches of the session that no live claim holds, ready or not, in admission order.

        Raises `InvalidArgument`, `Backend`. Requirement: QUEUE-8.
        """
