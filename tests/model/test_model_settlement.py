"""What a commit settles: completions of every shape with what else a store may answer, deferral, attachments, retries."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from fencepost.model import Refused, State
from fencepost.model.commit import revision_of
from fencepost.model.records.attachment import AttachmentRecord
from fencepost.model.records.queued_work import Kind
from fencepost.spec import (
    HeadRevisionConflict,
    QueuedWorkClaimExpired,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimeTurnCommitStamp,
    SessionExecutionLeaseExpired,
    TurnInputClaimExpired,
)
from ingress_builders import (
    ACCEPTED,
    BEFORE_COMPLETION,
    CANCELLED,
    COMPLETED,
    DEFERRED,
    FOR_T,
    PENDING_ACTIVE,
    batch_row,
    batches_of,
    held_until,
    input_done,
    input_row,
    inputs_of,
    under,
    unheld,
    with_batches,
    with_inputs,
    with_manifest,
    work_done,
)
from model_builders import (
    A_RESTARTED,
    COMMIT,
    LEASED,
    commit,
    committed,
    completion,
    fence,
    free,
    held,
    leased,
    ours,
    ports,
    run,
)
from msgspec.structs import replace

OURS, OTHER = held_until(1_500), held_until(1_500, claim="c2", token="t2")
LAPSED = held_until(900)

INPUTS = with_inputs(
    *(input_row(f"i{place}", place, DEFERRED, OURS) for place in (1, 2, 3)),
    input_row("i4", 4),
    input_row("i5", 5, DEFERRED, OTHER),
)
BOTH = with_batches(
    *(batch_row(f"b{place}", place, claim=OURS) for place in (1, 2, 3)),
    batch_row("b4", 4),
    batch_row("b5", 5, claim=OTHER),
    to=with_inputs(input_row("i6", 6, DEFERRED, OURS), session="s2", to=INPUTS),
)
STATE = with_batches(batch_row("b6", 6, claim=OURS), session="s2", to=BOTH)
"""Claim "claim" of s holds the first three of either kind, the fourth is free, the fifth another's; s2 has one of each."""


class Shape(NamedTuple):
    """Completions by the places of what they list, what becomes of them, and by which requirement it could be otherwise."""

    completions: tuple[tuple[tuple[int, ...], dict[str, str]], ...]
    settled: tuple[int, ...] | None
    freely: str | None = None


def listing(*places: int, **fields: str) -> tuple[tuple[int, ...], dict[str, str]]:
    """A completion that lists these, with these fields set otherwise."""
    return places, fields


SHAPES = {
    "exact": Shape((listing(1, 2, 3),), (1, 2, 3)),
    "in another order": Shape((listing(3, 1, 2),), (1, 2, 3)),
    "another claim": Shape((listing(5, claim_id="c2", lease_token="t2"),), (5,)),
    "two claims": Shape((listing(1, 2, 3), listing(5, claim_id="c2", lease_token="t2")), (1, 2, 3, 5)),
    "a part": Shape((listing(1, 3),), (1, 3), "COMMIT-11a"),
    "nothing": Shape((listing(),), (), "COMMIT-11a"),
    "nothing of a claim that holds nothing": Shape((listing(claim_id="nobody's"),), (), "COMMIT-11a"),
    "nothing with a wrong token": Shape((listing(lease_token="wrong"),), (), "COMMIT-11a"),
    "one id twice": Shape((listing(1, 2, 3, 1),), None, "COMMIT-11b"),
    "one id twice and another missing": Shape((listing(1, 1, 2),), None, "COMMIT-11b"),
    "the same twice": Shape((listing(1, 2, 3), listing(1, 2, 3)), (1, 2, 3), "COMMIT-11c"),
    "a free one too many": Shape((listing(1, 2, 3, 4),), None),
    "another claim's too many": Shape((listing(1, 2, 3, 5),), None),
    "an unknown one too many": Shape((listing(1, 2, 3, 9),), None),
    "the right number with a free one": Shape((listing(1, 2, 4),), None),
    "the right number with another claim's": Shape((listing(1, 2, 5),), None),
    "the right number with another session's": Shape((listing(1, 2, 6),), None),
    "the right number of unknown ones": Shape((listing(7, 8, 9),), None),
    "only a free one": Shape((listing(4),), None),
    "a wrong token": Shape((listing(1, 2, 3, lease_token="wrong"),), None),
    "a wrong claim id": Shape((listing(1, 2, 3, claim_id="wrong"),), None),
    "another claim's token": Shape((listing(1, 2, 3, lease_token="t2"),), None),
    "another session's claim": Shape((listing(6, session_id="s2"),), None),
    "nothing of another session": Shape((listing(session_id="s2"),), None),
    "a good one and a bad one": Shape((listing(1, 2, 3), listing(4, claim_id="c2", lease_token="t2")), None),
    "a bad one and a good one": Shape((listing(9), listing(1, 2, 3)), None),
    "a part and the rest": Shape((listing(1), listing(2, 3)), (1, 2, 3), "COMMIT-11a"),
}
"""Every shape in which known stores differ, or go wrong."""


def completing(kind: str, shape: Shape) -> RuntimeCommit:
    """A commit with these completions, of inputs or of batches."""
    if kind == "inputs":
        done = tuple(input_done(*(f"i{each}" for each in places), **fields) for places, fields in shape.completions)
        return commit(completed_turn_input_claims=done)
    work = tuple(work_done(*(f"b{each}" for each in places), **fields) for places, fields in shape.completions)
    return commit(completed_queue_claims=work)


def settled_in(state: State) -> set[str]:
    """What is settled: inputs that are Completed, and batches of s that are gone."""
    gone = {f"b{place}" for place in range(1, 6)} - {row.batch_id for row in batches_of(state)}
    return {row.input_id for row in inputs_of(state) if row.record.state is COMPLETED} | gone


def expired(kind: str, shape: Shape) -> set[object]:
    """The errors that name a completion of the shape."""
    error = TurnInputClaimExpired if kind == "inputs" else QueuedWorkClaimExpired
    return {Refused(error(fields.get("session_id", "s"), fields.get("claim_id", "claim"))) for _, fields in shape.completions}


@pytest.mark.parametrize("kind", ["inputs", "batches"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_commit_11_and_12_what_becomes_of_a_completion(kind: str, shape: Shape) -> None:
    """All that it lists is settled and nothing else, or the commit is refused with the claim's error and has no effect."""
    step = ours(STATE, COMMIT, completing(kind, shape))
    if shape.settled is None:
        assert step.answer in expired(kind, shape)
        assert replace(step.state, commit=STATE.commit) == STATE
        assert revision_of(step.state) == 0
    else:
        assert isinstance(step.answer, RuntimeCommitResult)
        assert settled_in(step.state) == {f"{kind[0]}{place}" for place in shape.settled}
        assert inputs_of(step.state, "s2") == inputs_of(STATE, "s2")
        assert batches_of(step.state, "s2") == batches_of(STATE, "s2")


@pytest.mark.parametrize("kind", ["inputs", "batches"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_commit_11a_to_c_what_else_a_store_may_answer(kind: str, shape: Shape) -> None:
    """Where known stores differ in law's silence the opposite answer is admitted and named; a LAW leaves no other."""
    steps = run(STATE, COMMIT, completing(kind, shape))
    others = [(type(step.answer), step.differs) for step in steps if step.differs]
    if shape.freely is None:
        assert others == []
    else:
        opposite = RuntimeCommitResult if shape.settled is None else Refused
        assert others
        assert all(found is opposite and shape.freely in differs for found, differs in others)
    assert all(step.answer in expired(kind, shape) for step in steps if isinstance(step.answer, Refused))


def test_commit_11b_an_id_that_counts_once_settles_once() -> None:
    """A store that accepts an id twice has settled what the list names, and the rest stays claimed."""
    given = commit(completed_turn_input_claims=(input_done("i1", "i1"),))
    refused, accepted = run(STATE, COMMIT, given)
    assert isinstance(refused.answer, Refused)
    assert settled_in(accepted.state) == {"i1"}
    assert [row.record.claim for row in inputs_of(accepted.state)[1:3]] == [OURS, OURS]


def test_commit_16_queue_completions_decide_before_input_completions() -> None:
    """Worked trace 15: the queue's error hides the input's, the revision's hides both, the lease's hides all."""
    bad = commit(completed_queue_claims=(work_done("b9", claim_id="q"),), completed_turn_input_claims=(input_done("i9"),))
    assert ours(STATE, COMMIT, bad).answer == Refused(QueuedWorkClaimExpired("s", "q"))
    wrong = replace(bad, expected_head_revision=7)
    assert ours(STATE, COMMIT, wrong).answer == Refused(HeadRevisionConflict(7, 0))
    stale = replace(wrong, session_execution_lease=fence(number=2))
    assert ours(STATE, COMMIT, stale).answer == Refused(SessionExecutionLeaseExpired("s"))


def test_commit_16_the_first_bad_completion_decides() -> None:
    """Each list is looked at in its order."""
    done = (work_done("b1", "b2", "b3"), work_done("b9", claim_id="q1"), work_done("b9", claim_id="q2"))
    assert ours(STATE, COMMIT, commit(completed_queue_claims=done)).answer == Refused(QueuedWorkClaimExpired("s", "q1"))
    lost = (input_done("i9", claim_id="c1"), input_done("i9", claim_id="c2"))
    assert ours(STATE, COMMIT, commit(completed_turn_input_claims=lost)).answer == Refused(TurnInputClaimExpired("s", "c1"))


def test_commit_16_a_store_that_accepts_one_shape_is_held_to_the_next() -> None:
    """Whoever passes an id given twice must still refuse the completion behind it, and the refusal names the departure."""
    given = commit(completed_queue_claims=(work_done("b1", "b1"),), completed_turn_input_claims=(input_done("i9"),))
    steps = run(STATE, COMMIT, given)
    assert [(step.answer, step.differs) for step in steps] == [
        (Refused(QueuedWorkClaimExpired("s", "claim")), ()),
        (Refused(TurnInputClaimExpired("s", "claim")), ("COMMIT-11b",)),
    ]


def test_commit_14_and_15_several_claims_of_both_kinds_are_settled_together() -> None:
    """Commands and turn work are deleted alike; inputs become Completed, their claims gone, all else kept."""
    command = batch_row("b1", 1, Kind.command, OURS)
    accepted = input_row("i2", 2, ACCEPTED, held_until(1_500, count=4), turn="t", key="k")
    state = with_batches(command, batch_row("b2", 2), to=with_inputs(input_row("i1", 1), accepted))
    given = commit(completed_queue_claims=(work_done("b1"),), completed_turn_input_claims=(input_done("i2"),))
    after = committed(state, given)
    assert batches_of(after) == (batch_row("b2", 2),)
    assert inputs_of(after) == (input_row("i1", 1), input_row("i2", 2, COMPLETED, unheld(4), turn="t", key="k"))


@pytest.mark.parametrize(
    "lane", [held(), held(A_RESTARTED.incarnation, token="token-9", fence=9)], ids=["the same lease", "a later lease"]
)
def test_commit_13_and_gen_10_and_11_a_lapsed_claim_completes(lane: Any) -> None:
    """Nobody has taken it over: it is completed under any live lease of its session, whoever held the claim."""
    state = with_batches(batch_row(claim=LAPSED), to=with_inputs(input_row(claim=LAPSED), to=leased({"s": lane})))
    proof = fence(A_RESTARTED, token="token-9", number=9) if lane.fencing_token == 9 else fence()
    step = ours(
        state,
        COMMIT,
        commit(
            session_execution_lease=proof,
            completed_queue_claims=(work_done("b1"),),
            completed_turn_input_claims=(input_done("i1"),),
        ),
    )
    assert isinstance(step.answer, RuntimeCommitResult)
    assert {"COMMIT-13", "GEN-10"} <= set(step.because)
    assert ("GEN-11" in step.because) is (lane.fencing_token == 9)


def test_commit_12_one_input_lost_is_the_whole_completion_lost() -> None:
    """A claim of three that lost one cannot complete three, but the two that it still holds, as if they were all."""
    lost = with_inputs(input_row("i1", 1, DEFERRED, OTHER), *inputs_of(INPUTS)[1:3])
    whole = ours(lost, COMMIT, commit(completed_turn_input_claims=(input_done("i1", "i2", "i3"),)))
    assert whole.answer == Refused(TurnInputClaimExpired("s", "claim"))
    (rest,) = run(lost, COMMIT, commit(completed_turn_input_claims=(input_done("i2", "i3"),)))
    assert settled_in(rest.state) >= {"i2", "i3"}
    assert rest.differs == ()


STAMP = RuntimeTurnCommitStamp("s", "turn-1", "hash-1")


def test_commit_4_a_replay_does_not_look_at_its_completions() -> None:
    """The claims are settled and gone: the stamped commit is answered from the record, the same without a stamp is refused."""
    given = commit(
        turn_commit=STAMP,
        completed_queue_claims=(work_done("b1", "b2", "b3"),),
        interrupted_turn_input_turn_id="t",
        committed_attachment_ids=("a1",),
    )
    first = ours(STATE, COMMIT, given)
    later = with_inputs(*inputs_of(first.state), input_row("late", 9, PENDING_ACTIVE, turn="t"), to=first.state)
    again = ours(later, COMMIT, given)
    assert again.answer == first.answer
    assert again.state is later
    unstamped = ours(later, COMMIT, replace(given, turn_commit=None))
    assert unstamped.answer == Refused(QueuedWorkClaimExpired("s", "claim"))


WAITING = (
    input_row("first", 1, PENDING_ACTIVE, unheld(2), turn="t", key="k"),
    input_row("late", 2, PENDING_ACTIVE, turn="t", boundary=BEFORE_COMPLETION),
    input_row("other", 3, PENDING_ACTIVE, turn="t2"),
    input_row("mine", 4, ACCEPTED, OURS, turn="t"),
    input_row("theirs", 5, ACCEPTED, OTHER, turn="t"),
    input_row("ended", 6, CANCELLED, turn="t"),
    input_row("done", 7, COMPLETED, unheld(1), turn="t"),
    input_row("next", 8, DEFERRED, held_until(1_500, claim="c3", token="t3")),
)


def test_commit_17_and_18_what_an_interruption_defers() -> None:
    """What waits for that turn moves to the next, keeping place, key and counter; what is completed is completed first."""
    state = with_inputs(input_row("q", 9, PENDING_ACTIVE, turn="t"), session="s2", to=with_inputs(*WAITING))
    given = commit(completed_turn_input_claims=(input_done("mine"),), interrupted_turn_input_turn_id="t")
    step = ours(state, COMMIT, given)
    assert inputs_of(step.state) == (
        input_row("first", 1, DEFERRED, unheld(2), key="k", submitted=FOR_T),
        input_row("late", 2, submitted=WAITING[1].submitted),
        WAITING[2],
        under(WAITING[3], unheld(1), state=COMPLETED),
        *WAITING[4:],
    )
    assert inputs_of(step.state, "s2") == inputs_of(state, "s2")
    assert {"COMMIT-17", "COMMIT-18"} <= set(step.because)


@pytest.mark.parametrize("turn", [None, "", "nowhere"])
def test_commit_17_and_17a_nothing_to_defer(turn: str | None) -> None:
    """Without an interrupted turn, or with one that nothing waits for, every input stays as it is."""
    step = ours(with_inputs(*WAITING), COMMIT, commit(interrupted_turn_input_turn_id=turn))
    assert inputs_of(step.state) == WAITING
    assert ("COMMIT-17a" in step.because) is (turn is None)


def test_commit_17_a_second_interruption_defers_what_came_in_between() -> None:
    """And leaves alone what it deferred before."""
    once = committed(with_inputs(*WAITING[:1]), commit(interrupted_turn_input_turn_id="t"))
    more = with_inputs(*inputs_of(once), input_row("new", 9, PENDING_ACTIVE, turn="t"), to=once)
    twice = committed(more, commit(interrupted_turn_input_turn_id="t"))
    assert [row.record.state for row in inputs_of(twice)] == [DEFERRED, DEFERRED]
    assert inputs_of(twice)[0] == inputs_of(once)[0]


MANIFEST = with_manifest(
    mine=AttachmentRecord("s", "u", 1, False),
    theirs=AttachmentRecord("s2", "u", 1, False),
    stamped=AttachmentRecord("s", "u", 1, True),
    left=AttachmentRecord("s", "u", 1, False),
).attachment


def test_commit_31_a_commit_stamps_its_session_s_attachments() -> None:
    """Those that it lists and that are of its session; unknown ids, other sessions' and repeated ones are passed over."""
    state = replace(LEASED, attachment=MANIFEST)
    after = committed(state, commit(committed_attachment_ids=("mine", "theirs", "nowhere", "mine", "stamped")))
    assert {name: record.committed for name, record in after.attachment.entries.items()} == {
        "mine": True,
        "theirs": False,
        "stamped": True,
        "left": False,
    }


def test_commit_31_and_34_a_refused_commit_settles_nothing_at_all() -> None:
    """A bad completion at the end leaves batches, inputs, attachments, the lane and the head as they were."""
    state = replace(STATE, attachment=MANIFEST)
    given = commit(
        completed_queue_claims=(work_done("b1", "b2", "b3"),),
        completed_turn_input_claims=(input_done("i1", "i2", "i3"), input_done("i4", claim_id="c2", lease_token="t2")),
        interrupted_turn_input_turn_id="t",
        committed_attachment_ids=("mine",),
        release_session_execution_lease=completion(),
    )
    step = ours(state, COMMIT, given)
    assert step.answer == Refused(TurnInputClaimExpired("s", "c2"))
    assert replace(step.state, commit=state.commit) == state
    assert "COMMIT-34" in step.because


def test_commit_33_the_lane_is_released_in_the_same_act() -> None:
    """A commit that settles and releases has done both."""
    given = commit(completed_turn_input_claims=(input_done("i1", "i2", "i3"),), release_session_execution_lease=completion())
    after = committed(INPUTS, given)
    assert settled_in(after) >= {"i1", "i2", "i3"}
    assert after.lease.records["s"] == free(3)


def test_gen_10_a_completion_is_judged_by_its_proof_and_not_by_the_clock() -> None:
    """At the end of the lease's time a claim that lapsed long ago completes; one that was abandoned does not."""
    state = with_inputs(input_row(claim=LAPSED))
    given = commit(completed_turn_input_claims=(input_done("i1"),))
    assert isinstance(ours(state, COMMIT, given, at=ports(1_499)).answer, RuntimeCommitResult)
    given_back = with_inputs(input_row(claim=unheld(1)))
    assert ours(given_back, COMMIT, given, at=ports(1_499)).answer == Refused(TurnInputClaimExpired("s", "claim"))
