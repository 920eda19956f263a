"""Scenes: short plays that bring calls into situations where calls that are drawn one by one hardly ever come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fencepost.spec import (
    CheckpointKind,
    DeliveryPolicy,
    EventPayload,
    InputId,
    Json,
    LeaseOwnerIdentity,
    PendingTurnInput,
    PendingTurnInputDraft,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkCompletion,
    QueuedWorkPayload,
    ReplaceFull,
    RuntimeCommit,
    RuntimeTurnCommitStamp,
    SessionGraph,
    SessionNodeRecord,
    SlotPolicy,
    SourceKey,
    Text,
    TurnInput,
    TurnInputCompletion,
    Unchanged,
)
from hypothesis.stateful import rule
from msgspec.structs import replace

from .commit import CommitRules
from .draws import ANY, mixed
from .lease import ALONE, OWNERS
from .queued_work import BOUNDARIES, COMMAND, POISONED, WAKE, QueuedWorkRules
from .turn_input import NEXT, TurnInputRules

HOLDERS = ("nobody", "living", "at the edge", "at the edge", "lapsed", "lapsed", "dead", "dead at the edge", "dead at the edge")
"""Who holds what a call meets: a process that lives, whose claim is in its last ms or has run out, or one that has died."""

DEAD = ("dead", "dead at the edge")
HELD_MS = {"lapsed": 0, "at the edge": 1, "dead at the edge": 1}
ASKING = (OWNERS[0], OWNERS[2])
"""Who asks: another one, or the holder itself."""

UNDER = ("held", "held", "held", "elsewhere")

HEADS: dict[str, tuple[QueuedWorkPayload, ...]] = {"work": (WAKE,), "command": (COMMAND,), "poisoned": POISONED[1]}
KINDS = ("work", "work", "work", "command", "command", "poisoned")
SOON = "work that is ready soon"
BEHIND = ("nothing", SOON, *("command", "work", "of the same claim", "poisoned") * 2)
CHOSEN = ("first", "first", "first", "last", "last", "all", "unknown")
NODE = SessionNodeRecord("n", None, EventPayload(Json({})), "2026-01-01")
CANCELS = ("one", "several", "several", "by key", "suffix", "suffix")


class QueuedWorkScenes(QueuedWorkRules):
    """Claims of work, whatever leads the queue."""

    @rule(drawn=mixed(KINDS, HOLDERS, BEHIND, (True, False), BOUNDARIES, ASKING, UNDER, CHOSEN, (0, 1, 2, 2), range(3)))
    def work_at_the_head(self, drawn: tuple[Any, ...]) -> None:
        """A queue has a head of any kind, held or not, and perhaps something behind it; every claim meets it."""
        self._meet(*drawn)

    @rule(drawn=mixed(KINDS[:-1], DEAD, BEHIND, (True, False), BOUNDARIES, ASKING, ("held",), CHOSEN, (1, 2), range(3)))
    def work_of_the_dead(self, drawn: tuple[Any, ...]) -> None:
        """The same, where the head is held by a process that has died: claims take it, or what they can take beside it."""
        self._meet(*drawn)

    @rule(drawn=mixed(KINDS[:-1], ("given back", "given back", "lapsed"), range(4)))
    def work_is_claimed_again(self, drawn: tuple[Any, ...]) -> None:
        """A batch is claimed, and no more; the store is opened again, if it can be; the next claim is the batch's second."""
        kind, what, reopened = drawn
        session_id = self.place(ALONE)
        self.enqueue_work(_batch(session_id, kind, 0))
        claim = self._claim_head(session_id, kind)
        if what == "given back" and claim is not None:
            self.perform("abandon_queued_work_claim", claim)
        elif claim is not None:
            self.move_clock(claim.expires_at_epoch_ms)
        if reopened == 0 and self.setup.reopens:
            self.move("reopen")
        self._claim_head(session_id, kind)

    def _claim_head(self, session_id: str, kind: str) -> QueuedWorkClaim | None:
        if kind == "command":
            return self.claim_command(session_id, OWNERS[2], 10)
        return self.claim_work(session_id, OWNERS[2], QueuedWorkClaimBoundary.Idle, 10, 1)

    def _meet(
        self,
        kind: str,
        holder: str,
        behind: str,
        dated: bool,
        boundary: QueuedWorkClaimBoundary,
        owner: LeaseOwnerIdentity,
        under: str,
        chosen: str,
        most: int,
        first: int,
    ) -> None:
        session_id = self.place(ALONE)
        batches = self._queue(session_id, kind, holder, behind, self.now * dated)
        fence = self.fence_to_claim_under(session_id, under, 0)
        ways: list[tuple[Any, ...]] = [
            ("claim_leading_ready_session_command", owner, 0),
            ("claim_ready_queued_work_by_batch_ids", owner, boundary, 0, _chosen(batches, chosen)),
            ("claim_ready_queued_work", owner, boundary, 0, most),
        ]
        for operation, *arguments in (*ways[first:], *ways[:first]):
            self.remember_work(self.perform(operation, session_id, fence, *arguments))

    def _queue(self, session_id: str, kind: str, holder: str, behind: str, available_at: int) -> list[str]:
        """A head, who holds it, and what is behind it; the ids of both."""
        drafts = [_batch(session_id, kind, available_at)]
        if behind == "of the same claim":
            drafts.append(_batch(session_id, kind, 0))
        batches = [self.enqueue_work(each) for each in drafts]
        if holder != "nobody" and kind != "poisoned":
            self._hold_work(session_id, kind, holder)
        if behind in HEADS:
            batches.append(self.enqueue_work(_batch(session_id, behind, 0)))
        elif behind == SOON:
            batches.append(self.enqueue_work(_batch(session_id, "work", self.now + 10)))
        return [each.batch_id for each in batches if each is not None]

    def _hold_work(self, session_id: str, kind: str, holder: str) -> None:
        """A process claims the head, and perhaps dies."""
        self.move("start", 20, "tick-1")
        ttl = HELD_MS.get(holder, 1_000)
        if kind == "command":
            self.claim_command(session_id, OWNERS[2], ttl)
        else:
            self.claim_work(session_id, OWNERS[2], QueuedWorkClaimBoundary.Idle, ttl, 2)
        if holder.startswith("dead"):
            self.move("stop", 20)


class TurnInputScenes(TurnInputRules):
    """Cancellations, retries and claims, whatever has become of the inputs."""

    @rule(drawn=mixed(HOLDERS, ("held", "cancelled", "waiting"), CANCELS, (True, False), ASKING, UNDER))
    def inputs_that_are_held(self, drawn: tuple[Any, ...]) -> None:
        """Of three inputs the first is held or not, the second perhaps cancelled; they are submitted again, and cancelled."""
        holder, second, how, again, owner, under = drawn
        session_id = self.place(ALONE)
        rows = [self.next_input(session_id, place, key=f"scene-{place}") for place in range(3)]
        if second == "cancelled" and rows[1] is not None:
            self.perform("cancel_pending_turn_input", session_id, rows[1].input_id)
        if holder != "nobody":
            self._hold_inputs(session_id, holder, 2 if second == "held" else 1)
        if again:
            self._submit_again(session_id, rows)
        fence = self.fence_to_claim_under(session_id, under, 0)
        self._cancel(session_id, [row for row in rows if row is not None], how)
        self.remember_inputs(self.perform("claim_next_turn_inputs", session_id, fence, owner, 0, 1))
        after_work = ("t", CheckpointKind.AfterWork)
        self.remember_inputs(self.perform("claim_active_turn_inputs", session_id, fence, owner, *after_work, 0, 1))

    def _hold_inputs(self, session_id: str, holder: str, most: int) -> None:
        """A process reserves the first of them, and perhaps dies."""
        self.move("start", 20, "tick-1")
        self.claim_next(session_id, OWNERS[2], HELD_MS.get(holder, 1_000), most)
        if holder.startswith("dead"):
            self.move("stop", 20)

    def _submit_again(self, session_id: str, rows: list[PendingTurnInput | None]) -> None:
        """The first two once more under their keys, as they were and otherwise; and another one under the id of the first."""
        for place in range(2):
            self.next_input(session_id, place, key=f"scene-{place}")
            self.next_input(session_id, 9, key=f"scene-{place}")
        for row in rows[:2]:
            if row is not None:
                text = TurnInput((Text("another"),))
                self.enqueue_input(
                    PendingTurnInputDraft(session_id=session_id, input_id=row.input_id, ingress=NEXT, input=text)
                )

    def _cancel(self, session_id: str, rows: list[PendingTurnInput], how: str) -> None:
        ids = tuple(InputId(row.input_id) for row in rows)
        if how == "suffix":
            for anchor in ids[1::-1]:
                self.perform("cancel_pending_turn_input_suffix", session_id, anchor)
        elif how == "one":
            for each in ids[:2]:
                self.perform("cancel_pending_turn_input", session_id, each.value)
        else:
            keys = tuple(SourceKey(row.source_key or "") for row in rows)
            named = keys if how == "by key" else ids
            self.perform("cancel_pending_turn_inputs", session_id, (named[0], named[0]))
            self.perform("cancel_pending_turn_inputs", session_id, named[:2])


class CommitScenes(CommitRules):
    """Commits that are refused before there was any."""

    @rule(drawn=mixed((("s", "s2"), ("s2", "s")), (True, True, False), (True, False)))
    def refused_at_first(self, drawn: tuple[tuple[str, str], bool, bool]) -> None:
        """For one session after another, under leases that are live or over: commits that are each wrong in one way."""
        sessions, live, stamped = drawn
        for session_id in sessions:
            lease = self.held(session_id, OWNERS[0])
            if not live:
                self.move_clock(lease.expires_at_epoch_ms)
            stamp = RuntimeTurnCommitStamp(session_id, f"refused-{len(self.memory.calls)}", "hash") if stamped else None
            for each in _wrong(replace(self.plain(lease, Unchanged()), turn_commit=stamp)):
                self.commit(each)
                if live and self.state.commit.head is not None:
                    return

    @rule(drawn=mixed(ANY, (True, False), (True, True, False)))
    def late_retry(self, drawn: tuple[int, bool, bool]) -> None:
        """A turn is committed, its lease runs out, and it is sent again, with the lease given back or not."""
        index, released, taken = drawn
        lease = self.lease_to_commit_under("held", index, "exact")
        stamp = RuntimeTurnCommitStamp(lease.session_id, f"late-{len(self.memory.calls)}", "hash")
        commit = replace(self.plain(lease, Unchanged()), turn_commit=stamp)
        self.commit(commit)
        self.move_clock(lease.expires_at_epoch_ms)
        if taken:
            self.claim(lease.session_id, OWNERS[2])
        self.commit(replace(commit, release_session_execution_lease=lease.completion() if released else None))


def _wrong(commit: RuntimeCommit) -> Iterator[RuntimeCommit]:
    """The commit with one thing wrong about it."""
    session_id, unknown = commit.session_id, ("x",)
    yield replace(commit, completed_turn_input_claims=(TurnInputCompletion(session_id, "never", "granted", unknown),))
    yield replace(commit, completed_queue_claims=(QueuedWorkCompletion(session_id, "never", "granted", unknown),))
    yield replace(commit, expected_head_revision=9)
    yield replace(commit, session_execution_lease=None)
    yield replace(commit, turn_commit=RuntimeTurnCommitStamp(f"{session_id}'", "t", "hash"))
    yield replace(commit, graph=ReplaceFull(SessionGraph((NODE, NODE), None)))


def _batch(session_id: str, kind: str, available_at: int) -> QueuedWorkBatchDraft:
    return QueuedWorkBatchDraft(
        session_id=session_id,
        delivery_policy=DeliveryPolicy.EarliestSafeBoundary,
        slot_policy=SlotPolicy.Join,
        available_at_ms=available_at,
        payloads=HEADS[kind],
    )


def _chosen(ids: list[str], which: str) -> tuple[str, ...]:
    return {"first": tuple(ids[:1]), "last": tuple(ids[-1:]), "all": tuple(ids), "unknown": ("unknown",)}[which]
