"""Claims of turn inputs in the model: what they take and pass over, what they answer, and what proves them afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from fencepost.model import Refused, State
from fencepost.model.records.turn_input import InputRow
from fencepost.spec import (
    CheckpointKind,
    SessionExecutionLeaseExpired,
    TurnInputClaim,
    TurnInputClaimModeActiveTurn,
    TurnInputClaimModeNextTurn,
)
from ingress_builders import (
    ABANDON,
    ACCEPTED,
    AT_COMPLETION,
    AT_WORK,
    BEFORE_COMPLETION,
    CANCELLED,
    CLAIM_ACTIVE,
    CLAIM_COMMAND,
    CLAIM_NEXT,
    CLAIM_WORK,
    COMPLETED,
    DEFERRED,
    ENQUEUE,
    FOR_T,
    IDLE,
    LAPSED_CLAIM,
    LIST,
    LIVE_CLAIM,
    MINTED_INPUTS,
    MINTED_WORK,
    NEXT_MODE,
    PENDING_ACTIVE,
    active_mode,
    as_answered,
    batch_row,
    claim_active,
    claim_next,
    claim_work,
    draft,
    held_until,
    input_claim,
    input_row,
    inputs_of,
    under,
    unheld,
    with_batches,
    with_inputs,
)
from model_builders import (
    A_RESTARTED,
    COMMIT,
    LEASED,
    PROCESS_A,
    A,
    B,
    commit,
    fence,
    free,
    held,
    leased,
    nobody_can_tell,
    nobody_lives,
    opaque,
    ours,
    ports,
)
from msgspec.structs import replace

MINTING = ports(seen=MINTED_INPUTS)
EXPIRED = Refused(SessionExecutionLeaseExpired("s"))


def pending(input_id: str, seq: int, turn: str = "t", boundary: Any = None) -> InputRow:
    """An input that waits for a turn."""
    return input_row(input_id, seq, PENDING_ACTIVE, turn=turn, **({"boundary": boundary} if boundary else {}))


def taken(answer: object) -> list[str] | None:
    """The ids of the inputs that a claim holds; None if there is no claim."""
    assert answer is None or isinstance(answer, TurnInputClaim)
    return None if answer is None else [row.input_id for row in answer.inputs]


MIXED = with_inputs(
    pending("late", 1, boundary=BEFORE_COMPLETION),
    pending("other", 2, "t2"),
    input_row("next", 3),
    pending("first", 4),
    input_row("accepted", 5, ACCEPTED, LIVE_CLAIM, turn="t"),
    input_row("deferred", 6, submitted=FOR_T),
    input_row("ended", 7, COMPLETED, turn="t"),
    pending("second", 8),
    input_row("held", 9, DEFERRED, held_until(1_500, claim="c2", token="t2")),
    input_row("gone", 10, CANCELLED),
    input_row("last", 11),
)


@pytest.mark.parametrize(
    ("turn", "checkpoint", "most", "ids"),
    [
        ("t", AT_WORK, 9, ["first", "second"]),
        ("t", AT_WORK, 1, ["first"]),
        ("t", AT_COMPLETION, 9, ["late", "first", "second"]),
        ("t", AT_COMPLETION, 2, ["late", "first"]),
        ("t2", AT_WORK, 9, ["other"]),
        ("t3", AT_COMPLETION, 9, None),
        ("", AT_COMPLETION, 9, None),
    ],
)
def test_claim_3_4_and_6_what_a_turn_accepts(turn: str, checkpoint: CheckpointKind, most: int, ids: list[str] | None) -> None:
    """The first waiting inputs of just this turn that the checkpoint admits; others are passed over."""
    step = claim_active(MIXED, turn=turn, checkpoint=checkpoint, most=most)
    assert taken(step.answer) == ids
    accepted = [row.input_id for row in inputs_of(step.state) if row.record.state is ACCEPTED]
    assert sorted(accepted) == sorted(["accepted", *(ids or [])])


@pytest.mark.parametrize(
    ("most", "ids"),
    [(9, ["next", "deferred", "last"]), (2, ["next", "deferred"]), (1, ["next"]), (2**64 - 1, ["next", "deferred", "last"])],
)
def test_claim_5_6_and_7_what_a_next_turn_takes(most: int, ids: list[str]) -> None:
    """The first inputs for a next turn that nobody holds, deferred ones too, and never one that waits for a turn."""
    step = claim_next(MIXED, most=most)
    assert taken(step.answer) == ids
    assert {row.record.state for row in inputs_of(step.state) if row.input_id in ids} == {DEFERRED}


def test_claim_8_nothing_to_take_is_none_and_changes_nothing() -> None:
    """The state is the same object."""
    state = with_inputs(pending("x", 1))
    for step in (claim_next(state), claim_active(state, turn="t2")):
        assert step.answer is None
        assert step.state is state
        assert "CLAIM-8" in step.because


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [(CLAIM_ACTIVE, (B, "t", AT_WORK, 10, 0)), (CLAIM_NEXT, (B, 10, 0)), (CLAIM_WORK, (B, IDLE, 10, 0))],
)
def test_claim_1_and_qclaim_1_a_claim_of_nothing_does_not_look_at_its_fence(operation: str, arguments: Any) -> None:
    """It is None, under a bad fence and without any lease."""
    for state in (MIXED, State()):
        step = ours(state, operation, "s", fence(number=99), *arguments)
        assert step.answer is None
        assert step.state is state


BAD_FENCES: dict[str, Any] = {
    "another session's": fence(session="s2"),
    "another token": fence(token="token-2"),
    "a lower number": fence(number=2),
    "a higher number": fence(number=4),
    "another owner": fence(B),
    "another incarnation": fence(A_RESTARTED),
}
CLAIMS: dict[str, tuple[Any, ...]] = {
    CLAIM_ACTIVE: (B, "t", AT_WORK, 10, 1),
    CLAIM_NEXT: (B, 10, 1),
    CLAIM_COMMAND: (B, 10),
    CLAIM_WORK: (B, IDLE, 10, 1),
    "claim_ready_queued_work_by_batch_ids": (B, IDLE, 10, ("b1",)),
}


@pytest.mark.parametrize("operation", CLAIMS)
@pytest.mark.parametrize("bad", BAD_FENCES)
def test_gen_6_a_bad_fence_is_refused(operation: str, bad: str) -> None:
    """The error names the session that was asked for, and nothing changes."""
    state = with_batches(batch_row(), to=replace(MIXED, lease=leased({"s": held(), "s2": held()}).lease))
    step = ours(state, operation, "s", BAD_FENCES[bad], *CLAIMS[operation])
    assert step.answer == EXPIRED
    assert step.state is state
    assert "GEN-6" in step.because


@pytest.mark.parametrize("operation", CLAIMS)
@pytest.mark.parametrize(
    "lane", [None, free(3), held(expires=1_000), held(expires=999)], ids=["never", "free", "edge", "lapsed"]
)
def test_gen_6_a_lane_that_is_not_held_is_refused(operation: str, lane: Any) -> None:
    """Never claimed, released, and expired, at the very instant too, are one error."""
    state = replace(with_batches(batch_row(), to=MIXED), lease=leased({"s": lane} if lane else {}).lease)
    assert ours(state, operation, "s", fence(), *CLAIMS[operation]).answer == EXPIRED


def test_gen_6_liveness_takes_no_part_and_the_last_millisecond_counts() -> None:
    """A fence of the same incarnation is good up to one millisecond before the expiry of its lease."""
    state = replace(MIXED, lease=leased({"s": held(expires=1_001)}).lease)
    assert taken(ours(state, CLAIM_NEXT, "s", fence(opaque(A)), B, 10, 1).answer) == ["next"]


def test_claim_9_and_10_what_a_claim_for_an_active_turn_answers() -> None:
    """Every field, and the inputs as they are now, under one claim."""
    state = with_inputs(pending("x", 1), pending("y", 2), pending("z", 3))
    step = claim_active(state, most=2, at=MINTING)
    rows = tuple(input_row(each, at, ACCEPTED, turn="t") for each, at in (("x", 1), ("y", 2)))
    mode = TurnInputClaimModeActiveTurn("t", CheckpointKind.AfterWork)
    assert step.answer == TurnInputClaim("s", "new", B, "minted", 1, 1_000, 1_100, mode, tuple(map(as_answered, rows)))
    claim = held_until(1_100, by=B, claim="new", token="minted")
    assert inputs_of(step.state) == (*(under(row, claim) for row in rows), pending("z", 3))


def test_claim_9_and_10_what_a_claim_for_the_next_turn_answers() -> None:
    """The inputs stay as they were; the fencing token is the first one's new counter, the others count for themselves."""
    rows = (input_row("x", 1, claim=unheld(4)), input_row("y", 2, DEFERRED, LAPSED_CLAIM))
    step = claim_next(with_inputs(*rows), at=MINTING)
    shown = tuple(map(as_answered, rows))
    assert step.answer == TurnInputClaim("s", "new", B, "minted", 5, 1_000, 1_100, TurnInputClaimModeNextTurn(), shown)
    assert [row.record.claim.fencing_token for row in inputs_of(step.state)] == [5, 2]
    assert {row.record.claim.proof for row in inputs_of(step.state)} == {("new", "minted")}


def test_gen_17_a_claim_id_and_a_token_never_come_again() -> None:
    """A store that answers either of an earlier claim is not followed; inputs and queued work have each their own."""
    state = claim_next(with_inputs(input_row("x", 1), input_row("y", 2)), most=1, at=MINTING).state
    for seen in (MINTED_INPUTS, replace(MINTED_INPUTS, claim_id="other"), replace(MINTED_INPUTS, lease_token="other")):
        answer = claim_next(state, most=1, at=ports(seen=seen)).answer
        assert isinstance(answer, TurnInputClaim)
        assert answer.claim_id not in ("new", "other")
        assert answer.lease_token not in ("minted", "other")
    fresh = replace(MINTED_INPUTS, claim_id="other", lease_token="another")
    answer = claim_next(state, most=1, at=ports(seen=fresh)).answer
    assert isinstance(answer, TurnInputClaim)
    assert (answer.claim_id, answer.lease_token) == ("other", "another")
    work = claim_work(with_batches(batch_row(), to=state), at=ports(seen=MINTED_WORK)).answer
    assert (getattr(work, "claim_id", ""), getattr(work, "lease_token", "")) == ("new", "minted")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_gen_17_a_proof_that_looks_like_one_of_ours_never_comes_again_either(number: int) -> None:
    """Whatever id and token a store has answered, the next claim has others."""
    state = with_inputs(input_row("x", 1), input_row("y", 2))
    for seen in (f"claim-{number}", f"s:{number}:1000"):
        proof = replace(MINTED_INPUTS, claim_id=seen, lease_token=seen)
        after = claim_next(state, most=1, at=ports(seen=proof)).state
        again = claim_next(after, most=1, at=ports(seen=proof)).answer
        assert isinstance(again, TurnInputClaim)
        assert seen not in (again.claim_id, again.lease_token)


def test_gen_7_the_owner_of_a_claim_need_not_be_the_fence_s() -> None:
    """It is the holder that is recorded, and the claimant to whom a holder has to be dead."""
    step = claim_next(with_inputs(input_row("x", 1)), opaque(B))
    assert isinstance(step.answer, TurnInputClaim)
    assert step.answer.owner == opaque(B)
    assert "GEN-7" in step.because
    assert "GEN-7" not in claim_next(with_inputs(input_row("x", 1)), A).because


HOLDERS = [
    (PROCESS_A, B, nobody_lives, True),
    (PROCESS_A, B, nobody_can_tell, False),
    (PROCESS_A, opaque(B), nobody_lives, False),
    (replace(PROCESS_A, host_id="other"), B, nobody_lives, False),
    (replace(PROCESS_A, boot_id="other"), B, nobody_lives, False),
    (None, B, nobody_lives, False),
]


@pytest.mark.parametrize(("holder", "claimant", "alive", "dead"), HOLDERS)
def test_gen_5_only_a_provably_dead_holder_is_taken_over(holder: Any, claimant: Any, alive: Any, dead: bool) -> None:
    """Both are processes of one boot of one host, and the oracle says no; inputs and queued work alike."""
    by = replace(A, liveness=holder) if holder else opaque(A)
    claim = held_until(1_500, by=by)
    inputs = claim_next(with_inputs(input_row(claim=claim)), claimant, at=ports(alive=alive))
    work = claim_work(with_batches(batch_row(claim=claim)), claimant, at=ports(alive=alive))
    assert (inputs.answer is not None) is (work.answer is not None) is dead
    assert ("GEN-5" in inputs.because) is ("GEN-5" in work.because) is dead


def test_gen_12_and_13_a_live_claim_keeps_everybody_out() -> None:
    """The newest lease does not help, nor does being the holder: worked trace 2."""
    state = with_inputs(input_row("a", 1), input_row("b", 2))
    first = claim_next(state, A, most=1)
    second = claim_next(first.state, A, most=5)
    third = claim_next(second.state, A, most=5)
    assert (taken(first.answer), taken(second.answer), third.answer) == (["a"], ["b"], None)
    assert "GEN-13" in second.because
    assert ours(third.state, LIST, "s").answer == ()


def test_gen_14_a_session_without_a_head_can_be_claimed() -> None:
    """Inputs of any session that is leased can be claimed, bound or not."""
    state = with_inputs(input_row("q", 1), session="s2", to=leased({"s2": held()}))
    assert taken(claim_next(state, session="s2").answer) == ["q"]


def test_gen_15_a_claim_takes_nothing_of_another_session() -> None:
    """The other session's inputs stay as they are."""
    other = with_inputs(input_row("q", 1), session="s2", to=with_inputs(input_row("x", 2)))
    step = claim_next(other)
    assert taken(step.answer) == ["x"]
    assert inputs_of(step.state, "s2") == (input_row("q", 1),)


def test_claim_11_an_accepted_input_is_never_claimed_again() -> None:
    """Worked trace 7: not listed, not cancelled, not deferred, not claimed; abandoning it makes it wait again."""
    state = with_inputs(pending("x", 1))
    claimed = claim_active(state, ttl=0)
    assert isinstance(claimed.answer, TurnInputClaim)
    lapsed = claimed.state
    assert claim_active(lapsed, at=ports(alive=nobody_lives)).answer is None
    assert ours(lapsed, LIST, "s").answer == ()
    interrupted = ours(lapsed, COMMIT, commit(interrupted_turn_input_turn_id="t")).state
    assert [row.record.state for row in inputs_of(interrupted)] == [ACCEPTED]
    back = ours(interrupted, ABANDON, claimed.answer).state
    assert ours(back, LIST, "s").answer == (as_answered(pending("x", 1)),)


def test_claim_12_and_abandon_4_a_part_of_a_lapsed_claim_can_be_taken_over() -> None:
    """Worked trace 5: the second claim has fencing token 2, and the first gives back only what it still holds."""
    state = with_inputs(input_row("a", 1), input_row("b", 2))
    first = claim_next(state, A, ttl=0)
    second = claim_next(first.state, B, most=1)
    assert isinstance(first.answer, TurnInputClaim)
    assert isinstance(second.answer, TurnInputClaim)
    assert (taken(second.answer), second.answer.fencing_token) == (["a"], 2)
    given_back = ours(second.state, ABANDON, first.answer)
    assert [row.record.claim.held for row in inputs_of(given_back.state)] == [True, False]
    assert "ABANDON-4" in given_back.because


def test_claim_6_a_boundary_can_turn_the_order_round() -> None:
    """Worked trace 6: the later input is accepted after work, the earlier one before completion."""
    state = with_inputs(pending("x", 1, boundary=BEFORE_COMPLETION), pending("y", 2))
    early = claim_active(state)
    late = claim_active(early.state, checkpoint=AT_COMPLETION)
    assert (taken(early.answer), taken(late.answer)) == (["y"], ["x"])
    assert "CLAIM-4" in early.because


@pytest.mark.parametrize("mode", [active_mode(), active_mode("other"), NEXT_MODE], ids=["own", "another turn", "next"])
def test_abandon_1_an_input_goes_back_by_its_own_ingress(mode: Any) -> None:
    """Whatever mode the claim is shown with, an accepted input waits for its turn again, its counter kept."""
    state = with_inputs(input_row("x", 1, ACCEPTED, LIVE_CLAIM, turn="t"))
    step = ours(state, ABANDON, input_claim(mode=mode))
    assert inputs_of(step.state) == (input_row("x", 1, PENDING_ACTIVE, unheld(1), turn="t"),)


@pytest.mark.parametrize(
    "changes", [{"lease_token": "x"}, {"claim_id": "x"}, {"session_id": "s2"}], ids=["token", "id", "session"]
)
def test_abandon_2_what_proves_nothing_frees_nothing(changes: Any) -> None:
    """Session, claim id and token have to fit all three; the call succeeds all the same."""
    state = with_inputs(input_row("x", 1, DEFERRED, LIVE_CLAIM))
    step = ours(state, ABANDON, input_claim(**changes))
    assert step.answer is None
    assert step.state is state
    assert step.because[0] == "ABANDON-2"


def test_gen_9_what_else_a_claim_shows_proves_nothing() -> None:
    """Owner, fencing token, times and inputs may be anything."""
    state = with_inputs(input_row("x", 1, DEFERRED, LIVE_CLAIM))
    shown = input_claim(owner=B, fencing_token=9, claimed_at_epoch_ms=0, expires_at_epoch_ms=0)
    assert inputs_of(ours(state, ABANDON, shown).state) == (input_row("x", 1, claim=unheld(1)),)


def test_abandon_5_what_is_given_back_can_be_claimed_at_once() -> None:
    """The next claim of it counts on: its fencing token is 2."""
    first = claim_next(ours(LEASED, ENQUEUE, draft()).state, A)
    assert isinstance(first.answer, TurnInputClaim)
    again = claim_next(ours(first.state, ABANDON, first.answer).state, B)
    assert isinstance(again.answer, TurnInputClaim)
    assert (first.answer.fencing_token, again.answer.fencing_token) == (1, 2)
