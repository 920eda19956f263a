"""Rules of the queued-work chapter: batches that join or stand alone, heads that block, claims that run out or are renewed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fencepost.model import Refused, State
from fencepost.spec import (
    U64_MAX,
    DeliveryPolicy,
    Group,
    Json,
    LeaseOwnerIdentity,
    MergeKey,
    Never,
    PayloadDefault,
    ProcessWake,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkPayload,
    QueuedWorkPayloadSessionCommand,
    RefreshToolCatalog,
    ResetSession,
    SlotPolicy,
)
from hypothesis.stateful import rule
from msgspec.structs import replace

from .checker import Call, session_of
from .draws import ANY, latest, mixed
from .lease import BAD_NUMBERS, BAD_TEXTS, OWNERS, PLACES, SESSIONS, LeaseRules
from .turn_input import ALTERATIONS, CLAIM_TTLS, EDGES, FENCES, KEYS, altered_claim

EARLIEST, AFTER_COMMIT = DeliveryPolicy
JOIN, EXCLUSIVE = SlotPolicy
CHECKPOINT, IDLE = QueuedWorkClaimBoundary

WAKE = ProcessWake(Json({"process": 1, "target_session_id": "s2"}))
COMMAND = QueuedWorkPayloadSessionCommand(ResetSession("because"))
PAYLOADS: tuple[tuple[QueuedWorkPayload, ...], ...] = (
    (WAKE,),
    (WAKE,),
    (WAKE,),
    (WAKE, WAKE),
    (ProcessWake(Json([1, 1.0, True, None, 2**53 + 1, "é\0'"])), WAKE),
    (COMMAND,),
    (COMMAND,),
    (QueuedWorkPayloadSessionCommand(RefreshToolCatalog("é\0'")), COMMAND),
)
POISONED: tuple[tuple[QueuedWorkPayload, ...], ...] = ((), (WAKE, COMMAND))
MERGE_KEYS: tuple[MergeKey, ...] = (Never(), Never(), Never(), PayloadDefault(), Group("g"), Group("g"), Group("g2"))
DELIVERIES = (EARLIEST, EARLIEST, EARLIEST, AFTER_COMMIT)
SLOTS = (JOIN, JOIN, JOIN, EXCLUSIVE)
AVAILABLE = ("now", "now", "now", "now", "now", "soon", "this instant", "far", "end")
BOUNDARIES = (IDLE, IDLE, CHECKPOINT)
MOST = (1, 2, 2, 3, 3, 12, 0, U64_MAX)
WORK_CHANGES = ("nothing", "nothing", "nothing", "payloads", "policies", "session", "key")
SELECTIONS = ("runnable", "runnable", "head", "head", "all", "others", "reversed", "doubled", "first twice", "none", "unknown")
"""Which ids a claim by ids asks for: what could be claimed now, or something like it."""

BETWEEN = ("held", "held", "soon", "end", "late", "command", "exclusive")
MEANWHILE = (
    "nothing",
    "claim",
    "claim one",
    "claim one",
    "claim one",
    "cancel",
    "cancel",
    "abandon",
    "renew",
    "renew",
    "by the dead",
)


class QueuedWorkCalls(LeaseRules):
    """What is asked of queued work, and everything ever answered about it."""

    def observations(self, state: State) -> Iterable[Call]:
        """Both lists of every session that ever had a batch."""
        yield from super().observations(state)
        for session_id in sorted(state.queued_work.rows):
            yield from _lists(session_id)

    def touches(self, call: Call) -> Iterable[Call]:
        """Both lists of the session of the call."""
        yield from super().touches(call)
        if "work" in call.operation or "session_command" in call.operation or call.operation == "commit_runtime_state":
            yield from _lists(session_of(call))

    def enqueue_work(self, draft: QueuedWorkBatchDraft, *, look: bool = True) -> QueuedWorkBatch | None:
        """Submit the draft; the batch that was answered, None if it was refused."""
        answer = self.perform("enqueue_queued_work", draft, look=look)
        self.memory.work_drafts.append(draft)
        if not isinstance(answer, QueuedWorkBatch):
            return None
        self.memory.batches.append(answer)
        return answer

    def plain_work(
        self,
        session_id: str,
        *,
        slot: SlotPolicy = JOIN,
        key: MergeKey = Never(),  # noqa: B008  # a frozen record
        source_key: str | None = None,
        look: bool = True,
    ) -> None:
        """Submit a batch that is ready and may be taken anywhere."""
        self.enqueue_work(
            QueuedWorkBatchDraft(
                session_id=session_id,
                source_key=source_key,
                delivery_policy=EARLIEST,
                slot_policy=slot,
                merge_key=key,
                payloads=(WAKE,),
            ),
            look=look,
        )

    def remember_work(self, claim: object) -> QueuedWorkClaim | None:
        """Keep a claim that was granted."""
        if not isinstance(claim, QueuedWorkClaim):
            return None
        self.memory.work_claims.append(claim)
        return claim

    def claim_work(
        self, session_id: str, owner: LeaseOwnerIdentity, boundary: QueuedWorkClaimBoundary, ttl: int, most: int
    ) -> QueuedWorkClaim | None:
        """Claim turn work under a lease that is held."""
        fence = self.held(session_id, OWNERS[0]).fence()
        return self.remember_work(self.perform("claim_ready_queued_work", session_id, fence, owner, boundary, ttl, most))

    def claim_command(self, session_id: str, owner: LeaseOwnerIdentity, ttl: int) -> QueuedWorkClaim | None:
        """Claim a leading session command under a lease that is held."""
        fence = self.held(session_id, OWNERS[0]).fence()
        return self.remember_work(self.perform("claim_leading_ready_session_command", session_id, fence, owner, ttl))


class QueuedWorkRules(QueuedWorkCalls):
    """Queued work on its own."""

    @rule(drawn=mixed(SESSIONS, KEYS, DELIVERIES, SLOTS, MERGE_KEYS, AVAILABLE, PAYLOADS))
    def enqueue_queued_work(self, drawn: tuple[Any, ...]) -> None:
        """Submit a batch of any kind that claims can pass."""
        self.enqueue_work(self._draft(*drawn))

    def _draft(
        self,
        session_id: str,
        key: str | None,
        delivery: DeliveryPolicy,
        slot: SlotPolicy,
        merge_key: MergeKey,
        available: str,
        payloads: tuple[QueuedWorkPayload, ...],
    ) -> QueuedWorkBatchDraft:
        instants = {"now": 0, "soon": self.now + 10, "this instant": self.now, "far": 2**53 + 1, "end": U64_MAX}
        return QueuedWorkBatchDraft(
            session_id=session_id,
            source_key=key,
            delivery_policy=delivery,
            slot_policy=slot,
            merge_key=merge_key,
            available_at_ms=instants[available],
            payloads=payloads,
        )

    @rule(drawn=mixed(ANY, WORK_CHANGES, PAYLOADS, KEYS))
    def submit_work_again(self, drawn: tuple[Any, ...]) -> None:
        """Submit an earlier draft again: as it was, or with one field changed."""
        index, change, payloads, key = drawn
        if not self.memory.work_drafts:
            return
        draft = latest(self.memory.work_drafts, index)
        self.note("exact retry" if change == "nothing" else "retry with one field changed")
        changes: dict[str, dict[str, object]] = {
            "payloads": {"payloads": payloads},
            "policies": {"slot_policy": EXCLUSIVE, "delivery_policy": AFTER_COMMIT, "available_at_ms": 0},
            "session": {"session_id": "s2" if draft.session_id == "s" else "s"},
            "key": {"source_key": key},
        }
        self.enqueue_work(replace(draft, **changes.get(change, {})))

    @rule(drawn=mixed(SESSIONS, POISONED, (False, False, True), BOUNDARIES))
    def poison(self, drawn: tuple[Any, ...]) -> None:
        """Submit a batch of no class behind others, meet it in both claims, and remove it so that the run goes on."""
        session_id, payloads, command, boundary = drawn
        self.plain_work(session_id)
        poisoned = self.enqueue_work(
            QueuedWorkBatchDraft(session_id=session_id, delivery_policy=EARLIEST, slot_policy=JOIN, payloads=payloads)
        )
        if command:
            self.claim_command(session_id, OWNERS[0], 10)
        else:
            self.claim_work(session_id, OWNERS[0], boundary, 10, 1)
        if poisoned is not None:
            self.perform("cancel_queued_work_batch", session_id, poisoned.batch_id)

    @rule(drawn=mixed(SESSIONS, PAYLOADS, PAYLOADS))
    def key_again(self, drawn: tuple[Any, ...]) -> None:
        """A batch is cancelled, and its key is free for another."""
        session_id, first, second = drawn
        batch = self.enqueue_work(self._draft(session_id, "again", EARLIEST, JOIN, Never(), "now", first))
        if batch is not None:
            self.perform("cancel_queued_work_batch", session_id, batch.batch_id)
        self.enqueue_work(self._draft(session_id, "again", EARLIEST, JOIN, Never(), "now", second))

    @rule(drawn=mixed(SESSIONS, FENCES, ANY, OWNERS, CLAIM_TTLS))
    def claim_leading_ready_session_command(self, drawn: tuple[Any, ...]) -> None:
        """Claim the session command that leads, if one does."""
        session_id, fence, index, owner, ttl = drawn
        shown = self.fence_to_claim_under(session_id, fence, index)
        self.remember_work(self.perform("claim_leading_ready_session_command", session_id, shown, owner, ttl))

    @rule(drawn=mixed(SESSIONS, FENCES, ANY, OWNERS, BOUNDARIES, CLAIM_TTLS, MOST))
    def claim_ready_queued_work(self, drawn: tuple[Any, ...]) -> None:
        """Claim the turn work that leads, with what joins it."""
        session_id, fence, index, owner, boundary, ttl, most = drawn
        shown = self.fence_to_claim_under(session_id, fence, index)
        self.remember_work(self.perform("claim_ready_queued_work", session_id, shown, owner, boundary, ttl, most))

    @rule(drawn=mixed(PLACES, OWNERS, BOUNDARIES, CLAIM_TTLS, SELECTIONS, (0, 1, 2, 2)))
    def claim_ready_queued_work_by_batch_ids(self, drawn: tuple[Any, ...]) -> None:
        """Claim batches by id: just what is runnable, or something like it; and then what is."""
        session_id, owner, boundary, ttl, selection, count = drawn
        session_id = self.place(session_id)
        fence = self.held(session_id, OWNERS[0]).fence()
        for _ in range(count):
            self.plain_work(session_id)
        ids = self._selected(session_id, selection, count)
        self.remember_work(self.perform("claim_ready_queued_work_by_batch_ids", session_id, fence, owner, boundary, ttl, ids))
        self.claim_work(session_id, owner, boundary, 0, 1)

    def _selected(self, session_id: str, selection: str, count: int) -> tuple[str, ...]:
        rows = self.state.queued_work.of(session_id)
        free = [row for row in rows if not row.record.claim.held or row.record.claim.expires_at <= self.now]
        ids = tuple(row.batch_id for row in free if row.record.available_at <= self.now)
        joined = [row.batch_id for row in free if row.record.slot is JOIN]
        return {
            "runnable": tuple(joined[:count]),
            "head": ids[:1],
            "all": tuple(row.batch_id for row in rows),
            "others": ids[1:],
            "reversed": ids[:2][::-1],
            "doubled": ids[:1] * 2,
            "first twice": (*ids[:2], *ids[:1]),
            "none": (),
            "unknown": ("unknown",),
        }[selection]

    @rule(drawn=mixed(ANY, ALTERATIONS, CLAIM_TTLS, range(4)))
    def renew_queued_work_claim(self, drawn: tuple[Any, ...]) -> None:
        """Renew any claim ever granted, perhaps without the batches it shows."""
        index, how, ttl, bare = drawn
        if not self.memory.work_claims:
            return
        claim = altered_claim(latest(self.memory.work_claims, index), how)
        if bare == 0:
            claim = replace(claim, batches=())
        self.remember_work(self.perform("renew_queued_work_claim", claim, ttl))

    @rule(drawn=mixed(ANY, ALTERATIONS))
    def abandon_queued_work_claim(self, drawn: tuple[int, str]) -> None:
        """Give back any claim ever granted."""
        index, how = drawn
        if self.memory.work_claims:
            self.perform("abandon_queued_work_claim", altered_claim(latest(self.memory.work_claims, index), how))

    @rule(drawn=mixed(ANY, ("its own", "its own", "its own", "elsewhere", "unknown")))
    def cancel_queued_work_batch(self, drawn: tuple[int, str]) -> None:
        """Cancel any batch ever answered."""
        index, where = drawn
        if not self.memory.batches:
            return
        batch = latest(self.memory.batches, index)
        session_id = "s2" if where == "elsewhere" and batch.session_id == "s" else batch.session_id
        self.perform("cancel_queued_work_batch", session_id, "unknown" if where == "unknown" else batch.batch_id)

    @rule(drawn=mixed((*SESSIONS, "nowhere"), (True, False)))
    def list_queue(self, drawn: tuple[str, bool]) -> None:
        """List a session, perhaps one that has never had a batch."""
        session_id, pending = drawn
        self.perform("list_pending_queued_work" if pending else "list_queued_work", session_id)

    @rule(drawn=mixed(PLACES, OWNERS, (1, 2, 3), (10, 10, 10, 0, U64_MAX), EDGES, MEANWHILE, MEANWHILE, BOUNDARIES, (1, 2)))
    def work(self, drawn: tuple[Any, ...]) -> None:
        """A group is claimed, the claim comes to its edge, others do something to the batches, and the claim comes back."""
        session_id, owner, count, ttl, edge, first, second, boundary, most = drawn
        session_id = self.place(session_id)
        for _ in range(count):
            self.plain_work(session_id)
        claim = self.claim_work(session_id, owner, boundary, ttl, count)
        if claim is None:
            return
        self.move_clock(claim.expires_at_epoch_ms + edge)
        self._meanwhile_at_work(claim, first, most)
        self.plain_work(session_id)
        self._meanwhile_at_work(claim, second, most)
        self.remember_work(self.perform("renew_queued_work_claim", claim, 20))

    def _meanwhile_at_work(self, claim: QueuedWorkClaim, what: str, most: int) -> None:
        session_id = claim.session_id
        if what == "claim":
            self.claim_work(session_id, OWNERS[2], IDLE, 10, 12)
        elif what == "claim one":
            self.claim_work(session_id, claim.owner, IDLE, 10, most)
        elif what == "cancel":
            self.perform("cancel_queued_work_batch", session_id, claim.batches[-1].batch_id)
        elif what == "abandon":
            self.perform("abandon_queued_work_claim", claim)
        elif what == "renew":
            self.remember_work(self.perform("renew_queued_work_claim", claim, 10))
        elif what == "by the dead":
            self._work_of_the_dead(session_id)

    def _work_of_the_dead(self, session_id: str) -> None:
        """A process claims what is left and dies; another one of its host claims after it."""
        self.move("start", 20, "tick-1")
        self.plain_work(session_id)
        self.claim_work(session_id, OWNERS[2], IDLE, 1_000, 12)
        self.move("stop", 20)
        self.note("holder of a claim died")
        self.perform("list_pending_queued_work", session_id)
        self.claim_work(session_id, OWNERS[0], IDLE, 10, 1)

    @rule(drawn=mixed(PLACES, BETWEEN, SLOTS, MERGE_KEYS, (*MERGE_KEYS, *(None,) * 14), BOUNDARIES, (2, 12)))
    def gap(self, drawn: tuple[Any, ...]) -> None:
        """Batches that might join have one between them: held, not ready yet or ever, for later, a command, or alone."""
        session_id, between, slot, key, another, boundary, most = drawn
        session_id = self.place(session_id)
        other = another or key
        if between == "held":
            self.enqueue_work(self._draft(session_id, None, AFTER_COMMIT, slot, key, "now", (WAKE,)))
            self.claim_work(session_id, OWNERS[2], IDLE, 10, 1)
            self.plain_work(session_id, key=key)
            self.claim_work(session_id, OWNERS[0], CHECKPOINT, 0, most)
        else:
            self.plain_work(session_id, key=key)
            delivery = AFTER_COMMIT if between == "late" else EARLIEST
            available, payload = (between if between in ("soon", "end") else "now", COMMAND if between == "command" else WAKE)
            slot = EXCLUSIVE if between == "exclusive" else slot
            self.enqueue_work(self._draft(session_id, None, delivery, slot, other, available, (payload,)))
        self.plain_work(session_id, key=other)
        self.claim_work(session_id, OWNERS[0], boundary, 10, most)
        if between == "command":
            self.claim_work(session_id, OWNERS[0], boundary, 10, most)
        self.claim_command(session_id, OWNERS[0], 10)
        self.move_clock(self.now + (10 if between == "soon" else 0))
        self.claim_work(session_id, OWNERS[0], boundary, 10, most)

    @rule(drawn=mixed(PLACES, range(5), (34, 36)))
    def queue_of_many(self, drawn: tuple[str, int, int]) -> None:
        """Rarely: more batches are held than any window, and work and a command wait behind them."""
        session_id, seldom, count = drawn
        if seldom:
            return
        session_id = self.place(session_id)
        for _ in range(count):
            self.plain_work(session_id, look=False)
        self.claim_work(session_id, OWNERS[0], IDLE, 1_000, count)
        self.plain_work(session_id, slot=EXCLUSIVE)
        self.claim_work(session_id, OWNERS[0], IDLE, 10, 1)
        self.enqueue_work(self._draft(session_id, None, EARLIEST, JOIN, Never(), "now", (COMMAND,)))
        self.claim_command(session_id, OWNERS[0], 10)
        if self.memory.work_claims:
            self.perform("abandon_queued_work_claim", self.memory.work_claims[-1])

    @rule(drawn=mixed(BAD_NUMBERS, BAD_TEXTS, range(7)))
    def bad_work_argument(self, drawn: tuple[object, object, int]) -> None:
        """Call with what no queued-work call may accept."""
        number, text, which = drawn
        fence = self.fence(0, "exact")
        calls: tuple[tuple[object, ...], ...] = (
            ("claim_ready_queued_work", "s", fence, OWNERS[0], IDLE, number, 1),
            ("claim_ready_queued_work", "s", fence, OWNERS[0], IDLE, 10, number),
            ("claim_ready_queued_work", "s", fence, OWNERS[0], text, 10, 1),
            ("claim_ready_queued_work_by_batch_ids", "s", fence, OWNERS[0], IDLE, 10, (text,)),
            ("list_queued_work", text),
            ("cancel_queued_work_batch", "s", text),
            ("enqueue_queued_work", text),
        )
        operation, *arguments = calls[which]
        assert isinstance(self.perform(str(operation), *arguments), Refused)


def _lists(session_id: str) -> tuple[Call, Call]:
    return Call("list_queued_work", (session_id,)), Call("list_pending_queued_work", (session_id,))
