"""Queued work in small: batches that join, stand alone or are poisoned, beside one that waits elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations, product

from fencepost.model import State
from fencepost.model.queued_work import shown
from fencepost.spec import (
    DeliveryPolicy,
    Json,
    ProcessWake,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkPayloadSessionCommand,
    ResetSession,
    SlotPolicy,
)
from msgspec.structs import replace

from ..checker import Call
from ..scope import EPOCH, Attempt, Bounds, Instant, Scope
from .leased import LONG, OTHER, SESSION, fences, lane, standings

EARLIEST, AFTER_COMMIT = DeliveryPolicy
JOIN, EXCLUSIVE = SlotPolicy
_, IDLE = QueuedWorkClaimBoundary
WAKE, COMMAND = ProcessWake(Json({"process": 1})), QueuedWorkPayloadSessionCommand(ResetSession("because"))

WORK = QueuedWorkBatchDraft(session_id=SESSION, delivery_policy=EARLIEST, slot_policy=JOIN, payloads=(WAKE,))
DRAFTS = (
    WORK,
    replace(WORK, source_key="k", delivery_policy=AFTER_COMMIT, available_at_ms=EPOCH + 1),
    replace(WORK, slot_policy=EXCLUSIVE, payloads=(COMMAND,)),
    replace(WORK, payloads=(WAKE, COMMAND)),
)
"""Work that joins, work with a key that is ready later and after the turn, a command, and what is of two classes."""

ENQUEUE = "enqueue_queued_work"


class QueuedWorkScope(Scope):
    """Batches submitted, listed, cancelled, claimed in every way, renewed and given back."""

    chapter = "queued_work"
    default = Bounds(owners=2, processes=1, rows=2, times=1, tokens=1, ttls=(1,))
    suite = Bounds(owners=1, processes=0, rows=1, times=1, tokens=1, ttls=(0, 1))
    uses = ("owners", "processes", "rows", "times", "tokens", "ttls")

    def prelude(self) -> tuple[Call, ...]:
        """Both sessions are leased for long, and work waits in the other one."""
        elsewhere = replace(WORK, session_id=OTHER, source_key="k")
        return (*(lane(name, self.owners[0], LONG) for name in (SESSION, OTHER)), Call(ENQUEUE, (elsewhere,)))

    def within(self, part: State, place: int) -> bool:
        """So many batches, those that are gone too, and so many claims, refused ones that count too (QCLAIM-13)."""
        queue = part.queued_work
        counted = max((row.record.claim.fencing_token for row in queue.of(SESSION)), default=0)
        return len(queue.ids) <= self.bounds.rows + 1 and max(len(queue.claims.under), counted) <= self.bounds.tokens

    def attempts(self, part: State, place: int, instant: Instant) -> Iterator[Attempt]:
        """All nine calls."""
        ids = [row.batch_id for row in part.queued_work.of(SESSION)]
        foreign = part.queued_work.of(OTHER)[0].batch_id
        yield from (Attempt(Call(ENQUEUE, (each,))) for each in DRAFTS)
        for name in (SESSION, OTHER, "s3"):
            yield Attempt(Call("list_queued_work", (name,)))
            yield Attempt(Call("list_pending_queued_work", (name,)))
        yield from (Attempt(Call("cancel_queued_work_batch", (SESSION, each))) for each in (*ids, foreign, "none"))
        yield from map(Attempt, (*self._claims(part, ids), *self._shown_again(part)))

    def _claims(self, part: State, ids: list[str]) -> Iterator[Call]:
        selections = ((), *permutations(ids, 1), *permutations(ids, 2), ("none",))
        fence, *others = fences(part)
        for owner, ttl in product(self.owners, self.bounds.ttls):
            yield Call("claim_leading_ready_session_command", (SESSION, fence, owner, ttl))
            for boundary in QueuedWorkClaimBoundary:
                yield from (Call("claim_ready_queued_work", (SESSION, fence, owner, boundary, ttl, most)) for most in (1, 2))
        for owner, boundary, some in product(self.owners, QueuedWorkClaimBoundary, selections):
            yield Call("claim_ready_queued_work_by_batch_ids", (SESSION, fence, owner, boundary, self.bounds.ttls[-1], some))
        for wrong in others:
            common = (SESSION, wrong, self.owners[0])
            yield Call("claim_leading_ready_session_command", (*common, 1))
            yield from (Call("claim_ready_queued_work", (*common, IDLE, 1, most)) for most in (0, 1))
            yield from (Call("claim_ready_queued_work_by_batch_ids", (*common, IDLE, 1, some)) for some in selections[:2])

    def _shown_again(self, part: State) -> Iterable[Call]:
        """Every claim ever granted, as it was and altered, and one that never was."""
        rows = part.queued_work.of(SESSION)
        for claim_id, token in (*sorted(part.queued_work.claims.under), ("never", "granted")):
            batches = tuple(shown(SESSION, row) for row in rows if row.record.claim.proof == (claim_id, token))
            claim = QueuedWorkClaim(SESSION, claim_id, self.owners[0], token, 1, 0, 0, batches)
            for each in (claim, replace(claim, lease_token=f"{token}'"), replace(claim, session_id=OTHER)):
                yield Call("abandon_queued_work_claim", (each,))
                yield from (Call("renew_queued_work_claim", (each, ttl)) for ttl in self.bounds.ttls)

    def situation(self, state: State, name: str, now: int) -> str:
        """What the batches of the session are, whether they are ready, and whether live claims hold them."""
        rows = state.queued_work.of(SESSION)
        names = [row.record.kind.name + ("" if row.record.available_at <= now else " not ready") for row in rows]
        claims = [row.record.claim for row in rows]
        return standings(zip(names, claims, strict=True), now) or "no work"
