"""Stores without turn inputs, queued work or attachments: what they must answer all the same.

A store that lacks one of these segments says so loudly where something would be lost, and as an empty store where it is only
asked. Inherit from the class of the segment that is missing.
"""

from __future__ import annotations

from .attachment import AttachmentIntent, AttachmentManifest, AttachmentManifestEntry
from .contracts import ensures
from .errors import Backend, QueuedWorkClaimExpired
from .lease import LeaseOwnerIdentity, SessionExecutionLeaseFence
from .queued_work import QueuedWorkBatch, QueuedWorkBatchDraft, QueuedWorkClaim, QueuedWorkClaimBoundary, QueuedWorkStore
from .turn_input import (
    CheckpointKind,
    PendingTurnInput,
    PendingTurnInputCancelResult,
    PendingTurnInputCancelTarget,
    PendingTurnInputDraft,
    PendingTurnInputSuffixCancelOutcome,
    TurnInputClaim,
    TurnInputStore,
)

NO_TURN_INPUTS = "this store does not support pending turn inputs"
NO_QUEUED_WORK = "this store does not support queued work"


class UnsupportedTurnInputs(TurnInputStore):
    """No turn inputs: they are refused, and none is ever waiting (DEFAULT-1)."""

    def enqueue_pending_turn_input(self, input: PendingTurnInputDraft) -> PendingTurnInput:
        """Refused with `Backend`."""
        raise Backend(NO_TURN_INPUTS)

    @ensures(lambda result: not result, "DEFAULT-1")
    def list_pending_turn_inputs(self, session_id: str) -> tuple[PendingTurnInput, ...]:
        """None."""
        return ()

    def cancel_pending_turn_inputs(
        self, session_id: str, targets: tuple[PendingTurnInputCancelTarget, ...]
    ) -> tuple[PendingTurnInputCancelResult, ...]:
        """Refused with `Backend`, even without a target."""
        raise Backend(NO_TURN_INPUTS)

    def cancel_pending_turn_input_suffix(
        self, session_id: str, anchor: PendingTurnInputCancelTarget
    ) -> PendingTurnInputSuffixCancelOutcome:
        """Refused with `Backend`."""
        raise Backend(NO_TURN_INPUTS)

    def claim_active_turn_inputs(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        turn_id: str,
        checkpoint: CheckpointKind,
        lease_ttl_ms: int,
        max_inputs: int,
    ) -> TurnInputClaim | None:
        """Refused with `Backend`, before anything is looked at."""
        raise Backend(NO_TURN_INPUTS)

    def claim_next_turn_inputs(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        lease_ttl_ms: int,
        max_inputs: int,
    ) -> TurnInputClaim | None:
        """Refused with `Backend`, before anything is looked at."""
        raise Backend(NO_TURN_INPUTS)

    def abandon_turn_input_claim(self, claim: TurnInputClaim) -> None:
        """Nothing to give back."""


class UnsupportedQueuedWork(QueuedWorkStore):
    """No queued work: it is refused, and none is ever queued (DEFAULT-2)."""

    def enqueue_queued_work(self, batch: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        """Refused with `Backend`."""
        raise Backend(NO_QUEUED_WORK)

    def claim_leading_ready_session_command(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        lease_ttl_ms: int,
    ) -> QueuedWorkClaim | None:
        """Refused with `Backend`."""
        raise Backend(NO_QUEUED_WORK)

    def claim_ready_queued_work(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        max_batches: int,
    ) -> QueuedWorkClaim | None:
        """Refused with `Backend`, before anything is looked at."""
        raise Backend(NO_QUEUED_WORK)

    def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> QueuedWorkClaim:
        """Refused: such a claim was never granted."""
        raise QueuedWorkClaimExpired(claim.session_id, claim.claim_id)

    def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """Nothing to give back."""

    def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        """Nothing to cancel."""
        return None

    @ensures(lambda result: not result, "DEFAULT-2")
    def list_queued_work(self, session_id: str) -> tuple[QueuedWorkBatch, ...]:
        """None."""
        return ()

    def list_pending_queued_work(self, session_id: str) -> tuple[QueuedWorkBatch, ...]:
        """None."""
        return ()


class NoopAttachmentManifest(AttachmentManifest):
    """No attachments: everything succeeds, and nothing is kept (ATT-8)."""

    def record_intent(self, intent: AttachmentIntent) -> None:
        """Nothing is kept."""

    def commit_refs(self, session_id: str, attachment_ids: tuple[str, ...]) -> None:
        """Nothing to stamp."""

    def list_uncommitted(self, older_than_epoch_ms: int) -> tuple[AttachmentManifestEntry, ...]:
        """None."""
        return ()

    def forget(self, attachment_id: str) -> None:
        """Nothing to forget."""
