"""Faults in queued work: submitting, listing, renewing, giving back, cancelling batches."""

from __future__ import annotations

import secrets
from typing import Any

from fencepost.impl import queued_work
from fencepost.impl.claim import SET_FREE
from fencepost.impl.encoding import encoded
from fencepost.spec import U64_MAX, Backend, QueuedWorkBatch, QueuedWorkBatchDraft, QueuedWorkClaim, QueuedWorkClaimExpired
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, ask, bug, per_run, reworded, wrap


@bug("QUEUE-1", Kind.reused)
def batch_id_given_again(patch: Patch) -> None:
    """A batch is named after the place behind the last that is queued, so that the name of one that is gone comes back."""

    def around(original: Any, store: Any, draft: QueuedWorkBatchDraft) -> Any:
        ((last,),) = ask(store, "SELECT coalesce(max(split_part(batch_id, '-', 2)::UBIGINT), 0) FROM batches")
        with Patch() as inner:
            inner.setattr(queued_work, "fresh", lambda number: f"batch-{last + 1}")
            return original(store, draft)

    wrap(patch, "enqueue_queued_work", around)


@bug("QUEUE-1", Kind.lost)
def payload_once(patch: Patch) -> None:
    """A batch that holds the same payload twice is stored with one item of it."""

    def around(original: Any, store: Any, draft: QueuedWorkBatchDraft) -> Any:
        return original(store, replace(draft, payloads=tuple(dict.fromkeys(draft.payloads))))

    wrap(patch, "enqueue_queued_work", around)


@bug("QUEUE-2", Kind.lost_update, also=("QUEUE-INV-6",))
def repetition_updates_the_batch(patch: Patch) -> None:
    """A draft under a known key replaces the payloads of the batch that is queued under it."""

    def around(original: Any, store: Any, draft: QueuedWorkBatchDraft) -> Any:
        batch = original(store, draft)
        if draft.source_key is None or batch.items == tuple(queued_work._items(batch.batch_id, draft.payloads)):
            return batch
        kinds, payloads = queued_work.kinds_of(draft.payloads), encoded(draft.payloads)
        ask(store, "UPDATE batches SET kinds = ?, payloads = ? WHERE batch_id = ?", kinds, payloads, batch.batch_id)
        return original(store, draft)

    wrap(patch, "enqueue_queued_work", around)


@bug("QUEUE-3", Kind.mistaken)
def key_of_a_cancelled_batch_taken(patch: Patch) -> None:
    """The key of a batch that was cancelled is answered that batch for ever."""
    gone = per_run(lambda: dict[tuple[str, str | None], QueuedWorkBatch]())

    def cancel(original: Any, store: Any, session_id: str, batch_id: str) -> Any:
        batch = original(store, session_id, batch_id)
        if batch is not None and batch.source_key is not None:
            gone(store)[session_id, batch.source_key] = batch
        return batch

    def enqueue(original: Any, store: Any, draft: QueuedWorkBatchDraft) -> Any:
        return gone(store).get((draft.session_id, draft.source_key)) or original(store, draft)

    wrap(patch, "cancel_queued_work_batch", cancel)
    wrap(patch, "enqueue_queued_work", enqueue)


@bug("QUEUE-6", Kind.edge)
def ready_a_millisecond_late(patch: Patch) -> None:
    """A batch is not ready yet at the very millisecond from which on it is available."""
    reworded(patch, queued_work, "READY", "available_at <= ?", "available_at < ?")


@bug("QUEUE-6", Kind.overflow)
def readiness_compared_as_signed(patch: Patch) -> None:
    """A batch that is available from 2^63 on or later is ready at once: the time is taken for negative."""
    signed = "CASE WHEN available_at >= 9223372036854775808 THEN 0 ELSE available_at END <= ?"
    reworded(patch, queued_work, "READY", "available_at <= ?", signed)


@bug("QUEUE-1", Kind.refusal)
def keyless_batch_of_the_millisecond_refused(patch: Patch) -> None:
    """Two batches without a key that a session submits in one millisecond collide, and the second is refused."""

    def around(original: Any, store: Any, draft: QueuedWorkBatchDraft) -> Any:
        taken = "SELECT 1 FROM batches WHERE session_id = ? AND source_key IS NULL AND enqueued_at = ?"
        if draft.source_key is None and ask(store, taken, draft.session_id, store._now()):
            raise Backend("UNIQUE constraint failed: batches.batch_id")
        return original(store, draft)

    wrap(patch, "enqueue_queued_work", around)


@bug("QUEUE-7", Kind.untrue)
def list_without_the_held(patch: Patch) -> None:
    """The list of queued work leaves out what a claim holds."""
    reworded(patch, queued_work, "LIST", "AND session_id = ?", "AND session_id = ? AND claim_token IS NULL")


@bug("QUEUE-8", Kind.stuck)
def lapsed_not_pending(patch: Patch) -> None:
    """The list of pending work leaves out batches whose claim has lapsed."""
    reworded(patch, queued_work, "LIST_PENDING", "claim_expires_at <= ?", "claim_token IS NULL AND ? >= 0")


@bug("GEN-2", Kind.edge, "queued_work")
def pending_holds_at_the_expiry(patch: Patch) -> None:
    """The list of pending work still hides a batch at the very instant at which its claim expires."""
    reworded(patch, queued_work, "LIST_PENDING", "claim_expires_at <= ?", "claim_expires_at < ?")


@bug("QUEUE-9", Kind.stale, also=("QUEUE-INV-5",))
def held_batch_cancelled(patch: Patch) -> None:
    """A cancel removes a batch that a live claim holds."""
    reworded(patch, queued_work, "CANCEL", "claim_expires_at <= ?", "? >= 0")


@bug("GEN-2", Kind.edge, "queued_work")
def batch_cancelled_early(patch: Patch) -> None:
    """A batch can be cancelled a millisecond before its claim expires."""
    reworded(patch, queued_work, "CANCEL", "claim_expires_at <= ?", "claim_expires_at::HUGEINT - 1 <= ?")


@bug("GEN-15", Kind.leak, "queued_work")
def cancel_in_any_session(patch: Patch) -> None:
    """A cancel removes the batch in whatever session it is."""
    reworded(patch, queued_work, "CANCEL", "session_id = ?", "concat(?, 'any') <> ''")


@bug("QRENEW-1", Kind.refusal, also=("GEN-10",))
def lapsed_claim_not_renewed(patch: Patch) -> None:
    """A claim that has lapsed cannot be renewed, although nobody has taken its batches."""

    def around(original: Any, store: Any, claim: QueuedWorkClaim, ttl: int) -> Any:
        if claim.expires_at_epoch_ms <= store._now():
            raise QueuedWorkClaimExpired(claim.session_id, claim.claim_id)
        return original(store, claim, ttl)

    wrap(patch, "renew_queued_work_claim", around)


@bug("QRENEW-1", Kind.untrue)
def renewal_adds_up(patch: Patch) -> None:
    """A renewal adds its time to live to the expiry that it is shown."""

    def around(original: Any, store: Any, claim: QueuedWorkClaim, ttl: int) -> Any:
        later = max(0, min(claim.expires_at_epoch_ms + ttl - store._now(), U64_MAX))
        return original(store, claim, later)

    wrap(patch, "renew_queued_work_claim", around)


@bug("QRENEW-2", Kind.stale)
def renewal_of_what_is_left(patch: Patch) -> None:
    """A claim of which a part is lost is renewed for the rest."""

    def around(original: Any, store: Any, claim: QueuedWorkClaim, ttl: int) -> Any:
        held = ask(store, "SELECT batch_id FROM batches WHERE claim_token = ?", claim.lease_token)
        left = tuple(batch for batch in claim.batches if (batch.batch_id,) in held)
        return replace(original(store, replace(claim, batches=left), ttl), batches=claim.batches)

    wrap(patch, "renew_queued_work_claim", around)


@bug("QRENEW-4", Kind.uncalled)
def renewal_mints_a_token(patch: Patch) -> None:
    """A renewal gives the claim a new lease token."""

    def around(original: Any, store: Any, claim: QueuedWorkClaim, ttl: int) -> Any:
        renewed, token = original(store, claim, ttl), secrets.token_hex(16)
        ask(store, "UPDATE batches SET claim_token = ? WHERE claim_token = ?", token, claim.lease_token)
        return replace(renewed, lease_token=token)

    wrap(patch, "renew_queued_work_claim", around)


@bug("GEN-16", Kind.uncalled, "queued_work")
def renewal_counted(patch: Patch) -> None:
    """A renewal counts as another claim of the batches."""
    counted = "SET claim_fencing_token = claim_fencing_token + 1, claim_expires_at"
    reworded(patch, queued_work, "RENEW", "SET claim_expires_at", counted)


@bug("QABANDON-1", Kind.stale)
def newer_work_claim_abandoned(patch: Patch) -> None:
    """To give back a claim that was taken over frees its batches from whoever holds them now."""

    def around(original: Any, store: Any, claim: QueuedWorkClaim) -> None:
        original(store, claim)
        for batch in claim.batches:
            ask(store, f"UPDATE batches SET {SET_FREE} WHERE batch_id = ?", batch.batch_id)

    wrap(patch, "abandon_queued_work_claim", around)
