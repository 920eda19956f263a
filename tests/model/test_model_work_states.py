"""Queued work, state by state: what every event makes of a batch in every state that it can be in."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import pytest
from fencepost.model import Refused, State, Step
from fencepost.model.records.claim import EntryClaim
from fencepost.model.records.queued_work import BatchRow, Kind
from fencepost.spec import (
    Backend,
    LeaseOwnerIdentity,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkClaimExpired,
    RuntimeCommitResult,
    VacuumReport,
)
from ingress_builders import (
    ABANDON_WORK,
    AT_CHECKPOINT,
    CANCEL_WORK,
    CLAIM_BY_IDS,
    CLAIM_COMMAND,
    ENQUEUE_WORK,
    IDLE,
    LAPSED_CLAIM,
    LATE,
    LIST_PENDING_WORK,
    LIST_WORK,
    LIVE_CLAIM,
    MINTED_WORK,
    RENEW_WORK,
    as_queued,
    batch_row,
    batches_of,
    claim_work,
    held_until,
    under,
    unheld,
    with_batches,
    work_claim,
    work_done,
    work_draft,
)
from model_builders import COMMIT, LEASED, A, B, commit, fence, nobody_lives, opaque, ours, ports, run
from msgspec.structs import replace

FREE = batch_row(key="k")
FREE_AGAIN = batch_row(key="k", claim=unheld(1))
LIVE = batch_row(key="k", claim=LIVE_CLAIM)
LAPSED = batch_row(key="k", claim=LAPSED_CLAIM)
STATES = {"free": FREE, "free again": FREE_AGAIN, "live": LIVE, "lapsed": LAPSED}

MINTING = ports(seen=MINTED_WORK)
DEAD = ports(alive=nobody_lives, seen=MINTED_WORK)

EVENTS: dict[str, Callable[[State], Step]] = {
    "claimed": lambda state: claim_work(state, at=MINTING),
    "claimed at a checkpoint": lambda state: claim_work(state, boundary=AT_CHECKPOINT, at=MINTING),
    "claimed with ttl 0": lambda state: claim_work(state, ttl=0, at=MINTING),
    "claimed by a": lambda state: claim_work(state, A, at=MINTING),
    "claimed by one to whom a is dead": lambda state: claim_work(state, at=DEAD),
    "claimed by one who cannot tell": lambda state: claim_work(state, opaque(B), at=DEAD),
    "claimed by ids": lambda state: ours(state, CLAIM_BY_IDS, "s", fence(), B, IDLE, 100, ("b1",), at=MINTING),
    "claimed by other ids": lambda state: ours(state, CLAIM_BY_IDS, "s", fence(), B, IDLE, 100, ("b2",), at=MINTING),
    "claimed as a command": lambda state: ours(state, CLAIM_COMMAND, "s", fence(), B, 100, at=MINTING),
    "renewed": lambda state: ours(state, RENEW_WORK, work_claim(LIVE), 300),
    "renewed with ttl 0": lambda state: ours(state, RENEW_WORK, work_claim(LIVE), 0),
    "renewed with another token": lambda state: ours(state, RENEW_WORK, work_claim(LIVE, lease_token="other"), 300),
    "abandoned": lambda state: ours(state, ABANDON_WORK, work_claim(LIVE)),
    "abandoned with another claim id": lambda state: ours(state, ABANDON_WORK, work_claim(LIVE, claim_id="other")),
    "completed": lambda state: ours(state, COMMIT, commit(completed_queue_claims=(work_done("b1"),))),
    "t interrupted": lambda state: ours(state, COMMIT, commit(interrupted_turn_input_turn_id="t")),
    "cancelled": lambda state: ours(state, CANCEL_WORK, "s", "b1", at=DEAD),
    "enqueued again": lambda state: ours(state, ENQUEUE_WORK, work_draft(source_key="k", delivery_policy=LATE, payloads=())),
    "vacuumed": lambda state: ours(state, "vacuum"),
}

LOST = Refused(QueuedWorkClaimExpired("s", "claim"))
DONE, CLAIMED = RuntimeCommitResult, QueuedWorkClaim


def new(count: int, owner: LeaseOwnerIdentity = B, *, expires: int = 1_100) -> BatchRow:
    """The batch under its holder's new claim, the one with this number on it."""
    return batch_row(key="k", claim=held_until(expires, by=owner, claim="new", token="minted", count=count))


def renewed(expires: int) -> BatchRow:
    """The batch under a's claim with another expiry."""
    return batch_row(key="k", claim=held_until(expires))


class Row(NamedTuple):
    """A line of the table: what an event makes of a batch in each of the four states, and its answers."""

    event: str
    free: BatchRow | None
    free_again: BatchRow | None
    live: BatchRow | None
    lapsed: BatchRow | None
    answers: tuple[object, object, object, object]


Answers: TypeAlias = tuple[object, object, object, object]
ALL_BUT_LIVE: Answers = (CLAIMED, CLAIMED, None, CLAIMED)
NONE: Answers = (None, None, None, None)

TABLE = (
    Row("claimed", new(1), new(2), LIVE, new(2), ALL_BUT_LIVE),
    Row("claimed at a checkpoint", new(1), new(2), LIVE, new(2), ALL_BUT_LIVE),
    Row("claimed with ttl 0", new(1, expires=1_000), new(2, expires=1_000), LIVE, new(2, expires=1_000), ALL_BUT_LIVE),
    Row("claimed by a", new(1, A), new(2, A), LIVE, new(2, A), ALL_BUT_LIVE),
    Row("claimed by one to whom a is dead", new(1), new(2), new(2), new(2), (CLAIMED,) * 4),
    Row("claimed by one who cannot tell", new(1, opaque(B)), new(2, opaque(B)), LIVE, new(2, opaque(B)), ALL_BUT_LIVE),
    Row("claimed by ids", new(1), new(2), LIVE, new(2), ALL_BUT_LIVE),
    # held for a moment and given back: the counters are raised, and a lapsed claim has lost the batch
    Row(
        "claimed by other ids",
        batch_row(key="k", claim=unheld(1)),
        batch_row(key="k", claim=unheld(2)),
        LIVE,
        batch_row(key="k", claim=unheld(2)),
        NONE,
    ),
    Row("claimed as a command", FREE, FREE_AGAIN, LIVE, LAPSED, NONE),
    Row("renewed", FREE, FREE_AGAIN, renewed(1_300), renewed(1_300), (LOST, LOST, CLAIMED, CLAIMED)),
    Row("renewed with ttl 0", FREE, FREE_AGAIN, renewed(1_000), renewed(1_000), (LOST, LOST, CLAIMED, CLAIMED)),
    Row("renewed with another token", FREE, FREE_AGAIN, LIVE, LAPSED, (LOST,) * 4),
    Row("abandoned", FREE, FREE_AGAIN, FREE_AGAIN, FREE_AGAIN, NONE),
    Row("abandoned with another claim id", FREE, FREE_AGAIN, LIVE, LAPSED, NONE),
    Row("completed", FREE, FREE_AGAIN, None, None, (LOST, LOST, DONE, DONE)),
    Row("t interrupted", FREE, FREE_AGAIN, LIVE, LAPSED, (DONE,) * 4),
    Row("cancelled", None, None, LIVE, None, (QueuedWorkBatch, QueuedWorkBatch, None, QueuedWorkBatch)),
    Row("enqueued again", FREE, FREE_AGAIN, LIVE, LAPSED, (QueuedWorkBatch,) * 4),
    Row("vacuumed", FREE, FREE_AGAIN, LIVE, LAPSED, (VacuumReport(0, 0),) * 4),
)
"""Every event in every state."""

CASES = [
    (row.event, name, (row.free, row.free_again, row.live, row.lapsed)[place], row.answers[place])
    for row in TABLE
    for place, name in enumerate(STATES)
]


def test_the_table_has_every_event() -> None:
    """Nineteen events, each in four states."""
    assert [row.event for row in TABLE] == list(EVENTS)
    assert len(CASES) == 76


@pytest.mark.parametrize(("event", "name", "after", "answer"), CASES, ids=[f"{each[1]}: {each[0]}" for each in CASES])
def test_what_an_event_makes_of_a_batch(event: str, name: str, after: BatchRow | None, answer: object) -> None:
    """The batch is what the table says, nothing else about it has changed, and the answer is of the kind it says."""
    step = EVENTS[event](with_batches(STATES[name]))
    assert batches_of(step.state) == (() if after is None else (after,))
    if isinstance(answer, type):
        assert type(step.answer) is answer
    else:
        assert step.answer == answer


@pytest.mark.parametrize("name", STATES)
def test_queue_7_and_8_what_is_listed_in_which_state(name: str) -> None:
    """The whole list has the batch always, the pending one unless a live claim holds it, dead holder or not."""
    state = with_batches(STATES[name])
    assert ours(state, LIST_WORK, "s").answer == (as_queued(STATES[name]),)
    assert ours(state, LIST_PENDING_WORK, "s", at=DEAD).answer == (() if name == "live" else (as_queued(STATES[name]),))


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("available", [0, 2_000])
def test_queue_7_8_and_9_class_and_readiness_do_not_count(kind: Kind, available: int) -> None:
    """A batch of any class, or of none, ready or not, is listed by both and can be cancelled."""
    row = batch_row(kind=kind, available=available)
    state = with_batches(row)
    assert ours(state, LIST_WORK, "s").answer == ours(state, LIST_PENDING_WORK, "s").answer == (as_queued(row),)
    step = ours(state, CANCEL_WORK, "s", "b1")
    assert step.answer == as_queued(row)
    assert batches_of(step.state) == ()


def test_queue_2_a_key_that_is_queued_is_answered_whatever_the_draft_holds() -> None:
    """The stored batch comes back unchanged, claimed or not; the same key in another session is another one."""
    state = with_batches(LIVE)
    other = work_draft(source_key="k", delivery_policy=LATE, available_at_ms=5, payloads=())
    step = ours(state, ENQUEUE_WORK, other)
    assert step.answer == as_queued(LIVE)
    assert step.state is state
    elsewhere = ours(state, ENQUEUE_WORK, replace(other, session_id="s2")).answer
    assert isinstance(elsewhere, QueuedWorkBatch)
    assert (elsewhere.batch_id, elsewhere.session_id, elsewhere.enqueue_seq) == ("batch-2", "s2", 2)


@pytest.mark.parametrize("gone_by", ["cancelled", "completed"])
def test_queue_3_the_key_of_a_batch_that_is_gone_is_free(gone_by: str) -> None:
    """The same draft then stores a second batch, with a number and an id of its own."""
    state = EVENTS[gone_by](with_batches(LAPSED)).state
    step = ours(state, ENQUEUE_WORK, work_draft(source_key="k"))
    assert isinstance(step.answer, QueuedWorkBatch)
    assert getattr(step.answer, "batch_id", None) not in ("b1", "")
    assert step.answer.enqueue_seq == 2
    assert step.because[0] == "QUEUE-3"


def test_queue_1_what_a_new_batch_is() -> None:
    """Policies and payloads of the draft, an item for each payload, the instant of the call, no claim."""
    given = work_draft(delivery_policy=LATE, available_at_ms=2_000, payloads=work_draft().payloads * 2)
    step = ours(with_batches(), ENQUEUE_WORK, given)
    batch = step.answer
    assert isinstance(batch, QueuedWorkBatch)
    assert (batch.session_id, batch.enqueue_seq, batch.source_key) == ("s", 1, None)
    assert (batch.delivery_policy, batch.available_at_ms, batch.enqueued_at_ms) == (LATE, 2_000, 1_000)
    assert [item.item_id for item in batch.items] == [f"{batch.batch_id}:item:0", f"{batch.batch_id}:item:1"]
    assert tuple(item.payload for item in batch.items) == given.payloads
    assert batches_of(step.state)[0].record.claim == unheld(0)


def test_queue_1_equal_drafts_without_a_key_are_stored_each() -> None:
    """Two in one millisecond have two ids and two numbers, in their order; an empty key is a key."""
    first = ours(with_batches(), ENQUEUE_WORK, work_draft())
    second = ours(first.state, ENQUEUE_WORK, work_draft())
    assert [row.enqueue_seq for row in batches_of(second.state)] == [1, 2]
    assert len({row.batch_id for row in batches_of(second.state)}) == 2
    keyed = ours(second.state, ENQUEUE_WORK, work_draft(source_key=""))
    assert ours(keyed.state, ENQUEUE_WORK, work_draft(source_key="")).state is keyed.state


@pytest.mark.parametrize("taken", ["b", "batch-1", "batch-2"])
def test_queue_1_a_batch_id_never_comes_again(taken: str) -> None:
    """A store that answers an id that it has answered before is not followed, whatever the id looks like."""
    plain = replace(as_queued(batch_row(taken)), enqueued_at_ms=1_000)
    state = ours(LEASED, ENQUEUE_WORK, work_draft(), at=ports(seen=plain)).state
    assert batches_of(state)[0].batch_id == taken
    second = replace(plain, enqueue_seq=2)
    steps = run(state, ENQUEUE_WORK, work_draft(), at=ports(seen=second))
    assert taken not in [getattr(step.answer, "batch_id", None) for step in steps]


def test_queue_9_a_batch_of_another_session_cannot_be_cancelled() -> None:
    """It is not found there, and stays."""
    state = with_batches(FREE, session="s2")
    step = ours(state, CANCEL_WORK, "s", "b1")
    assert step.answer is None
    assert step.state is state


TWO = with_batches(LIVE, batch_row("b2", 2, claim=LIVE_CLAIM))


def renewal(state: State, claim: QueuedWorkClaim) -> tuple[object, list[int]]:
    """The answer of a renewal for 300 ms, and the expiries that it leaves."""
    step = ours(state, RENEW_WORK, claim, 300)
    return step.answer, [row.record.claim.expires_at for row in batches_of(step.state)]


def test_qrenew_1_all_batches_of_a_claim_are_renewed() -> None:
    """Both get the new expiry, earlier than the one they had, and the claim comes back with only its expiry changed."""
    claim = work_claim(*batches_of(TWO), owner=B, fencing_token=9, claimed_at_epoch_ms=1)
    assert renewal(TWO, claim) == (replace(claim, expires_at_epoch_ms=1_300), [1_300, 1_300])


def test_qrenew_2_and_3_a_claim_that_shows_another_number_is_refused() -> None:
    """One too few or too many shown: the error names the claim, and what it holds has the new expiry all the same."""
    for shown in (work_claim(LIVE), work_claim(*batches_of(TWO), FREE)):
        assert renewal(TWO, shown) == (LOST, [1_300, 1_300])


def test_qrenew_2_only_the_number_counts() -> None:
    """A claim that shows two other batches is renewed; one that shows none and holds none is renewed too."""
    shown = work_claim(batch_row("x"), batch_row("y"))
    assert renewal(TWO, shown) == (replace(shown, expires_at_epoch_ms=1_300), [1_300, 1_300])
    empty = work_claim(claim_id="nobody's")
    assert renewal(TWO, empty) == (replace(empty, expires_at_epoch_ms=1_300), [1_500, 1_500])


def test_queue_10_a_claim_that_lost_a_batch_to_a_cancel_is_refused() -> None:
    """The renewal of both is refused, and so is a completion that lists the one that is gone."""
    lapsed = with_batches(LAPSED, batch_row("b2", 2, claim=LAPSED_CLAIM))
    rest = ours(lapsed, CANCEL_WORK, "s", "b1").state
    step = ours(rest, RENEW_WORK, work_claim(*batches_of(lapsed)), 300)
    assert step.answer == LOST
    assert "QUEUE-10" in step.because
    assert ours(rest, COMMIT, commit(completed_queue_claims=(work_done("b1", "b2"),))).answer == LOST


@pytest.mark.parametrize(("now", "lives"), [(899, True), (900, False), (901, False)])
def test_gen_2_a_claim_lapses_at_its_expiry(now: int, lives: bool) -> None:
    """Up to the millisecond before it keeps a batch from cancels and claims; from its expiry on it does not."""
    state = with_batches(LAPSED)
    at = ports(now, seen=MINTED_WORK)
    assert (ours(state, LIST_PENDING_WORK, "s", at=at).answer == ()) is lives
    assert (ours(state, CANCEL_WORK, "s", "b1", at=at).answer is None) is lives
    assert (claim_work(state, at=at).answer is None) is lives


@pytest.mark.parametrize(("now", "ready"), [(1_999, False), (2_000, True), (2_001, True)])
def test_queue_6_a_batch_is_ready_from_its_instant_on(now: int, ready: bool) -> None:
    """One millisecond before it is invisible to claims; at its instant it is claimed."""
    state = with_batches(batch_row(available=2_000))
    step = ours(replace(state, lease=with_batches().lease), "try_claim_session_execution_lease", "s", A, 10_000, at=ports(now))
    lease = step.state.lease.records["s"]
    proof = fence(token=lease.token, number=lease.fencing_token)
    claim = ours(step.state, "claim_ready_queued_work", "s", proof, B, IDLE, 100, 1, at=ports(now))
    assert (claim.answer is not None) is ready


def test_qclaim_10_a_part_of_a_lapsed_claim_can_be_taken_over() -> None:
    """The new claim has the first batch, the old one keeps the second, and gives back only that."""
    lapsed = with_batches(LAPSED, batch_row("b2", 2, claim=LAPSED_CLAIM))
    step = claim_work(lapsed, most=1, at=MINTING)
    second = held_until(900)
    assert [row.record.claim for row in batches_of(step.state)] == [new(2).record.claim, second]
    assert "QCLAIM-10" in step.because
    given_back = ours(step.state, ABANDON_WORK, work_claim(*batches_of(lapsed)))
    claims: list[EntryClaim] = [row.record.claim for row in batches_of(given_back.state)]
    assert claims == [new(2).record.claim, unheld(1)]
    assert under(LAPSED, unheld(1)) == FREE_AGAIN


def test_qclaim_5_a_batch_of_no_class_is_in_the_way_of_every_claim() -> None:
    """At whatever place, for every kind of claim; held, unready or in another session it is not, and a bad fence is first."""
    poisoned = batch_row("b2", 2, Kind.poisoned)
    calls: list[Callable[[State], object]] = [
        lambda state: claim_work(state, most=1).answer,
        lambda state: ours(state, CLAIM_COMMAND, "s", fence(), B, 100).answer,
        lambda state: ours(state, CLAIM_BY_IDS, "s", fence(), B, IDLE, 100, ("b1",)).answer,
    ]
    for call in calls:
        assert call(with_batches(FREE, poisoned)) == Refused(Backend())
        assert call(with_batches(FREE, under(poisoned, LIVE_CLAIM))) != Refused(Backend())
        assert call(with_batches(FREE, batch_row("b2", 2, Kind.poisoned, available=1_001))) != Refused(Backend())
        assert call(with_batches(poisoned, session="s2", to=with_batches(FREE))) != Refused(Backend())
    stale = ours(with_batches(FREE, poisoned), CLAIM_COMMAND, "s", fence(number=2), B, 100)
    assert isinstance(stale.answer, Refused)
    assert stale.answer != Refused(Backend())
