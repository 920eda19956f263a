"""Queued work in small: a part is a session, one with batches that join, stand alone or are poisoned, the other with three.

What is in the other session was submitted at the beginning: to the first it shows no more than that. The first shows the other
whether it ever had batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import permutations, product

from fencepost.model import State
from fencepost.model.queued_work import shown
from fencepost.model.records.claim import ClaimProof, Issued
from fencepost.model.records.queued_work import BatchRow, QueueState
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
from immutables import Map
from msgspec.structs import replace

from ..checker import Call
from ..scope import EPOCH, Attempt, Bounds
from .leased import LONG, OTHER, SESSION, ClaimScope, all_claims, claims_of, fence_of, fences, lane, standings

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

ELSEWHERE = (replace(WORK, source_key="k"), WORK, DRAFTS[2])
"""What was submitted to the other session."""

ENQUEUE, CANCEL = "enqueue_queued_work", "cancel_queued_work_batch"
LISTS = ("list_queued_work", "list_pending_queued_work")
CLAIM, LEAD, BY_IDS = "claim_ready_queued_work", "claim_leading_ready_session_command", "claim_ready_queued_work_by_batch_ids"
ABANDON, RENEW = "abandon_queued_work_claim", "renew_queued_work_claim"


class QueuedWorkScope(ClaimScope[QueuedWorkClaim]):
    """Batches submitted, listed, cancelled, claimed in every way, renewed and given back.

    Those of the other session, if it is one of those that calls go to, are listed, cancelled, claimed, renewed and given back.
    """

    chapter = "queued_work"
    default = Bounds(owners=2, processes=1, sessions=2, rows=2, times=1, tokens=1, ttls=(1,))
    suite = Bounds(owners=1, processes=0, sessions=1, rows=1, times=1, tokens=1, ttls=(0, 1))
    uses = ("owners", "processes", "sessions", "rows", "times", "tokens", "ttls")

    @cached_property
    def _elsewhere(self) -> Map[str, bool]:
        """The ids of what is in the other session."""
        return self._opened()[0].queued_work.ids

    def prelude(self) -> tuple[Call, ...]:
        """Both sessions are leased for long, and work waits in the other one."""
        leased = (lane(name, self.owners[0], LONG) for name in (SESSION, OTHER))
        return (*leased, *(Call(ENQUEUE, (replace(each, session_id=OTHER),)) for each in ELSEWHERE))

    def within(self, part: State, place: int) -> bool:
        """So many batches here, gone ones too, and so many claims in each session, refused ones that count too (QCLAIM-13)."""
        queue = part.queued_work
        submitted = sum(each not in self._elsewhere for each in queue.ids)
        counted = max((row.record.claim.fencing_token for row in queue.of(self.names[place])), default=0)
        return submitted <= self.bounds.rows and max(len(queue.claims.under), counted) <= self.bounds.tokens

    def joined(self, parts: Sequence[State]) -> State:
        """Both sessions in one: each batch that was ever submitted has an id and a number."""
        rows, ids, freed = dict[str, tuple[BatchRow, ...]](), dict[str, bool](), dict[tuple[str, str], bool]()
        for part in parts:
            rows.update(part.queued_work.rows)
            ids.update(part.queued_work.ids)
            freed.update(part.queued_work.freed)
        claims = all_claims(*(part.queued_work.claims for part in parts))
        return replace(parts[0], queued_work=QueueState(Map(rows), Map(ids), len(ids), Map(freed), claims))

    def part(self, whole: State, place: int) -> State:
        """The batches of one session, those that are gone, and the claims on them."""
        name, queue = self.names[place], whole.queued_work
        rows = {each: there for each, there in queue.rows.items() if each == name}
        ids = {each: True for each in queue.ids if (each in self._elsewhere) == (name == OTHER)}
        freed = {key: True for key in queue.freed if key[0] == name}
        claims = claims_of(queue.claims, name)
        return replace(whole, queued_work=QueueState(Map(rows), Map(ids), freed=Map(freed), claims=claims))

    def shadow(self, part: State, place: int) -> State:
        """The other session as it was at the beginning; of the first, whether it ever had batches (GEN-15)."""
        if self.names[place] == OTHER:
            return self._start[place]
        return replace(part, queued_work=QueueState(Map(dict.fromkeys(part.queued_work.rows, ()))))

    def _calls(self, part: State) -> Iterator[Attempt]:
        ids = [row.batch_id for row in part.queued_work.of(SESSION)]
        foreign = self._start[1].queued_work.of(OTHER)[0].batch_id
        yield from (Attempt(Call(ENQUEUE, (each,))) for each in DRAFTS)
        yield from (Attempt(Call(operation, (name,))) for name in (SESSION, "s3") for operation in LISTS)
        yield from (Attempt(Call(CANCEL, (SESSION, each))) for each in (*ids, foreign, "none"))
        seen = self._next_claim(part, SESSION)
        yield from (Attempt(call, seen) for call in self._claims(part, ids))
        for claim in (*self._granted(part, SESSION), self._claim(part, SESSION, ("never", "granted"))):
            for each in (claim, replace(claim, lease_token=f"{claim.lease_token}'"), replace(claim, session_id=OTHER)):
                yield from self._shown_again(each)

    def _claims(self, part: State, ids: list[str]) -> Iterator[Call]:
        selections = ((), *permutations(ids, 1), *permutations(ids, 2), ("none",))
        fence, *others = fences(part)
        for owner, ttl in product(self.owners, self.bounds.ttls):
            yield Call(LEAD, (SESSION, fence, owner, ttl))
            for boundary in QueuedWorkClaimBoundary:
                yield from (Call(CLAIM, (SESSION, fence, owner, boundary, ttl, most)) for most in (1, 2))
        for owner, boundary, some in product(self.owners, QueuedWorkClaimBoundary, selections):
            yield Call(BY_IDS, (SESSION, fence, owner, boundary, self.bounds.ttls[-1], some))
        for wrong in others:
            common = (SESSION, wrong, self.owners[0])
            yield Call(LEAD, (*common, 1))
            yield from (Call(CLAIM, (*common, IDLE, 1, most)) for most in (0, 1))
            yield from (Call(BY_IDS, (*common, IDLE, 1, some)) for some in selections[:2])

    def _calls_elsewhere(self, part: State) -> Iterator[Attempt]:
        yield from (Attempt(Call(operation, (OTHER,))) for operation in LISTS)
        if self.bounds.sessions == 1:
            return
        yield from (Attempt(Call(CANCEL, (OTHER, row.batch_id))) for row in part.queued_work.of(OTHER))
        fence, seen = fence_of(part, OTHER), self._next_claim(part, OTHER)
        for owner, ttl in product(self.owners, self.bounds.ttls):
            yield Attempt(Call(LEAD, (OTHER, fence, owner, ttl)), seen)
            yield Attempt(Call(CLAIM, (OTHER, fence, owner, IDLE, ttl, 1)), seen)
        for claim in self._granted(part, OTHER):
            yield from self._shown_again(claim)

    def _shown_again(self, claim: QueuedWorkClaim) -> Iterator[Attempt]:
        yield Attempt(Call(ABANDON, (claim,)))
        yield from (Attempt(Call(RENEW, (claim, ttl))) for ttl in self.bounds.ttls)

    def _issued(self, part: State) -> Issued:
        """The claims that were granted."""
        return part.queued_work.claims

    def _claim(self, part: State, name: str, proof: ClaimProof) -> QueuedWorkClaim:
        """A claim, with the batches that it holds."""
        claim_id, token = proof
        batches = tuple(shown(name, row) for row in part.queued_work.of(name) if row.record.claim.proof == proof)
        return QueuedWorkClaim(name, claim_id, self.owners[0], token, 1, 0, 0, batches)

    def situation(self, state: State, name: str, now: int) -> str:
        """What the batches of the session are, whether they are ready, and whether live claims hold them."""
        rows = state.queued_work.of(name)
        names = [row.record.kind.name + ("" if row.record.available_at <= now else " not ready") for row in rows]
        claims = [row.record.claim for row in rows]
        return standings(zip(names, claims, strict=True), now) or "no work"
