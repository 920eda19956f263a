"""What commits settle: completions of every shape, and turns that claim, lose, come back, complete and retry."""

from __future__ import annotations

from typing import Any

from fencepost.spec import (
    AttachmentIntent,
    CheckpointKind,
    InputId,
    LeaseOwnerIdentity,
    PendingTurnInputDraft,
    QueuedWorkClaim,
    RuntimeCommit,
    RuntimeTurnCommitStamp,
    SessionExecutionLease,
    SourceKey,
    Text,
    TurnInput,
    TurnInputCheckpointBoundary,
    TurnInputClaim,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
    Unchanged,
)
from hypothesis import strategies as st
from hypothesis.stateful import rule
from msgspec.structs import replace

from .commit import CONFIGS, CommitRules
from .completions import SHAPES, shaped
from .draws import ANY, mixed
from .lease import OWNERS
from .queued_work import IDLE, QueuedWorkCalls
from .turn_input import TurnInputCalls

BETWEEN = (
    "nothing", "nothing", "nothing", "claim lapsed", "lease lapsed", "lease lapsed", "both lapsed", "taken in part",
    "cancelled", "abandoned", "vacuum", "reopened",
)  # fmt: skip
"""What happens between a claim and the commit that completes it."""

AFTERWARDS = ("nothing", "retry", "retry", "retry without stamp", "vacuum and retry", "submit again", "submit again")
TURN = "turn"
KINDS = ("input", "input", "input", "work", "work", "work", "both", "both", "active", "input elsewhere", "work elsewhere")
"""What a turn claims; elsewhere is in another session."""

HOW = (SHAPES, SHAPES, ("none", "none", TURN), AFTERWARDS, (True, True, False), ANY, ("k", None))
"""In which shape work and inputs are completed, whether the turn was interrupted, what comes later, stamped or not."""


class SettlementRules(CommitRules, TurnInputCalls, QueuedWorkCalls):
    """Commits that settle claims."""

    @rule(rounds=st.lists(mixed(OWNERS, KINDS, (1, 2, 3), (10, 10, 0), BETWEEN, *HOW), min_size=1, max_size=3))
    def settle_turns(self, rounds: list[tuple[Any, ...]]) -> None:
        """Turns in a row that settle what they claimed, or what they lost."""
        for drawn in rounds:
            self.settle(drawn[:5], drawn[5:])

    def settle(self, drawn: tuple[Any, ...], settling: tuple[Any, ...]) -> None:
        """A turn claims inputs, or work, or both; something happens; it commits what it holds, and perhaps comes back."""
        owner, kind, count, ttl, between = drawn
        shape, other_shape, interrupted, afterwards, stamped, index, key = settling
        head = self.state.commit.head
        session_id = head.session_id if head else "s"
        lease = self.held(session_id, owner)
        marks = (len(self.memory.input_claims), len(self.memory.work_claims))
        if kind.endswith("elsewhere"):
            elsewhere = session_id + "2"
            self._claim_some(elsewhere, self.held(elsewhere, owner), kind.removesuffix(" elsewhere"), count, ttl, key)
        else:
            self._claim_some(session_id, lease, kind, count, ttl, key)
        self._between(session_id, between, marks)
        lease = self.held(session_id, OWNERS[index % len(OWNERS)])
        inputs = self.memory.input_claims[marks[0] : marks[0] + 1]
        work = self.memory.work_claims[marks[1] : marks[1] + 1]
        others = [row.input_id for row in self.memory.inputs if row.session_id != session_id] or ["foreign"]
        commit = RuntimeCommit(
            session_id=session_id,
            session_execution_lease=lease.fence(),
            config=CONFIGS[0][0],
            graph=Unchanged(head.leaf_node_id if head else None),
            turn_commit=self._own_stamp(session_id) if stamped else None,
            completed_queue_claims=tuple(done for each in work for done in shaped(each.completion(), shape, others)),
            completed_turn_input_claims=tuple(
                done for each in inputs for done in shaped(each.completion(), other_shape if work else shape, others)
            ),
            interrupted_turn_input_turn_id=None if interrupted == "none" else TURN,
            committed_attachment_ids=self._attached(session_id),
        )
        self.commit(commit)
        if commit.committed_attachment_ids:
            # what is recorded later, a retry must not stamp
            self._record(commit.committed_attachment_ids[2], session_id)
        self._afterwards(session_id, commit, afterwards)

    def _attached(self, session_id: str) -> tuple[str, ...]:
        """Attachments to commit: one of the session, one of another, and one that nobody has recorded yet."""
        if "attachment" not in self.offered:
            return ()
        number = len(self.memory.calls)
        own, other, later = f"own-{number}", f"other-{number}", f"later-{number}"
        self._record(own, session_id)
        self._record(other, session_id + "2")
        return (own, other, later)

    def _record(self, attachment_id: str, session_id: str) -> None:
        self.perform("record_intent", AttachmentIntent(attachment_id, session_id, "uri:1", self.now))

    @rule(drawn=mixed(OWNERS, range(3), ("cancel", "cancel", "suffix", "complete", "nothing"), (True, False), (True, False)))
    def interrupt(self, drawn: tuple[Any, ...]) -> None:
        """A turn is interrupted; what waited for it is deferred, submitted again, ended, vacuumed, and submitted afresh.

        What waits in another session, or was admitted for the next turn, stays where it is.
        """
        owner, accepted, end, changed, completed = drawn
        head = self.state.commit.head
        session_id = head.session_id if head else "s"
        turn_id = f"turn-{len(self.memory.calls)}"
        ingress = TurnInputIngressActiveTurn(turn_id, TurnInputCheckpointBoundary.BeforeCompletion)
        text = TurnInput((Text("wait"),))
        drafts = [
            PendingTurnInputDraft(session_id=session_id, source_key=f"{turn_id}:{place}", ingress=ingress, input=text)
            for place in range(2)
        ]
        other_turn = replace(drafts[0], source_key=f"{turn_id}:other", ingress=TurnInputIngressActiveTurn(turn_id + "2"))
        for draft in (*drafts, other_turn, replace(drafts[0], session_id=session_id + "2")):
            self.enqueue_input(draft)
        later = self.next_input(session_id, 0)
        own = self.claim_active(session_id, owner, turn_id, CheckpointKind.BeforeCompletion, 10, accepted)
        commit = replace(self.plain(self.held(session_id, owner), Unchanged()), interrupted_turn_input_turn_id=turn_id)
        # what a commit completes of its turn it does not defer
        done = (own.completion(),) if own and completed else ()
        self.commit(replace(commit, completed_turn_input_claims=done))
        self.perform("list_pending_turn_inputs", session_id + "2")
        self.enqueue_input(drafts[1])
        self.enqueue_input(replace(drafts[1], ingress=TurnInputIngressNextTurn()))
        if end == "suffix" and later is not None:
            self.perform("cancel_pending_turn_input_suffix", session_id, InputId(later.input_id))
        if end == "cancel":
            self.perform("cancel_pending_turn_inputs", session_id, (SourceKey(drafts[1].source_key or ""),))
        elif end == "complete":
            claim = self.claim_next(session_id, owner, 10, 12)
            done = (claim.completion(),) if claim else ()
            lease = self.held(session_id, owner)
            self.commit(replace(self.plain(lease, Unchanged()), completed_turn_input_claims=done))
        if "maintenance" in self.offered:
            self.perform("vacuum")
        self.enqueue_input(replace(drafts[1], input=TurnInput((Text("again"),))) if changed else drafts[1])

    @rule(drawn=mixed(OWNERS, SHAPES[5:], (True, False)))
    def key_again(self, drawn: tuple[LeaseOwnerIdentity, str, bool]) -> None:
        """Work with a key is completed, wrongly at first, and submitted once more: its key is free."""
        owner, shape, vacuum = drawn
        head = self.state.commit.head
        session_id = head.session_id if head else "s"
        self.plain_work(session_id, source_key=f"key-{len(self.memory.calls)}")
        draft = self.memory.work_drafts[-1]
        claim = self.claim_work(session_id, owner, IDLE, 10, 12)
        if claim is None:
            return
        others = [batch.batch_id for batch in self.memory.batches if batch not in claim.batches]
        commit = self.plain(self.held(session_id, owner), Unchanged(head.leaf_node_id if head else None))
        self.commit(replace(commit, completed_queue_claims=shaped(claim.completion(), shape, others)))
        self.commit(replace(commit, completed_queue_claims=(claim.completion(),)))
        if vacuum and "maintenance" in self.offered:
            self.perform("vacuum")
        self.enqueue_work(draft)

    def _claim_some(
        self, session_id: str, lease: SessionExecutionLease, kind: str, count: int, ttl: int, key: str | None
    ) -> None:
        if kind in ("input", "both"):
            for place in range(count):
                self.next_input(session_id, place, key=key if place == 0 else None)
            self.claim_next(session_id, lease.owner, ttl, count)
        if kind in ("work", "both"):
            for place in range(count):
                self.plain_work(session_id, source_key=key if place == 0 else None)
            self.claim_work(session_id, lease.owner, IDLE, ttl, count)
        if kind == "active":
            for place in range(count + 1):
                ingress = TurnInputIngressActiveTurn(TURN)
                text = TurnInput((Text(f"input {place}"),))
                source_key = key if place == count else None
                self.enqueue_input(
                    PendingTurnInputDraft(session_id=session_id, source_key=source_key, ingress=ingress, input=text)
                )
            self.claim_active(session_id, lease.owner, TURN, CheckpointKind.AfterWork, ttl, count)

    def _own_stamp(self, session_id: str) -> RuntimeTurnCommitStamp:
        number = len(self.memory.calls)
        return RuntimeTurnCommitStamp(session_id, f"turn-{number}", f"hash-{number}")

    def _between(self, session_id: str, what: str, marks: tuple[int, int]) -> None:
        granted: list[TurnInputClaim | QueuedWorkClaim] = [
            *self.memory.input_claims[marks[0] :],
            *self.memory.work_claims[marks[1] :],
        ]
        if what in ("claim lapsed", "both lapsed", "taken in part", "cancelled"):
            self.move_clock(max((claim.expires_at_epoch_ms for claim in granted), default=self.now))
        if what in ("lease lapsed", "both lapsed"):
            self.note("claim completed under a later lease")
            self.move_clock(self.held(session_id, OWNERS[0]).expires_at_epoch_ms)
            self.claim(session_id, OWNERS[4])
        if what == "taken in part":
            self.note("claim taken over in part")
            self._take_over(session_id, marks)
        elif what == "cancelled":
            self._cancel_granted(session_id, marks)
        elif what == "abandoned":
            for claim in self.memory.input_claims[marks[0] :]:
                self.perform("abandon_turn_input_claim", claim)
            for work in self.memory.work_claims[marks[1] :]:
                self.perform("abandon_queued_work_claim", work)
        elif what == "vacuum" and "maintenance" in self.offered:
            self.perform("vacuum")
        elif what == "reopened" and self.setup.reopens:
            self.move("reopen")

    def _take_over(self, session_id: str, marks: tuple[int, int]) -> None:
        if self.memory.input_claims[marks[0] :]:
            self.claim_next(session_id, OWNERS[2], 10, 1)
        if self.memory.work_claims[marks[1] :]:
            self.claim_work(session_id, OWNERS[2], IDLE, 10, 1)

    def _cancel_granted(self, session_id: str, marks: tuple[int, int]) -> None:
        for claim in self.memory.input_claims[marks[0] :]:
            self.perform("cancel_pending_turn_input", session_id, claim.inputs[-1].input_id)
        for work in self.memory.work_claims[marks[1] :]:
            self.perform("cancel_queued_work_batch", session_id, work.batches[-1].batch_id)

    def _afterwards(self, session_id: str, commit: RuntimeCommit, what: str) -> None:
        if what == "vacuum and retry" and "maintenance" in self.offered:
            self.perform("vacuum")
        if what in ("retry", "vacuum and retry"):
            self.commit(commit)
        elif what == "retry without stamp":
            self.commit(replace(commit, turn_commit=None))
        elif what == "submit again":
            for draft in [draft for draft in self.memory.input_drafts if draft.source_key is not None][-1:]:
                self.enqueue_input(draft)
            for batch in [draft for draft in self.memory.work_drafts if draft.source_key is not None][-1:]:
                self.enqueue_work(batch)
