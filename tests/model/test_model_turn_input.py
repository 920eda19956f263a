"""The turn-input chapter of the model: admission, keys and ids, lists, cancellation of several and of a suffix."""

from __future__ import annotations

from typing import Any

import pytest
from fencepost.model import Refused, State
from fencepost.spec import (
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    AnchorNotFound,
    Backend,
    Cancelled,
    ImageBlob,
    InputId,
    Json,
    NotFound,
    Outcomes,
    PendingTurnInput,
    PendingTurnInputCancelOutcome,
    PendingTurnInputCancelResult,
    PendingTurnInputCancelTarget,
    PendingTurnInputClaimDiagnostics,
    PendingTurnInputSourceKeyConflict,
    ProtocolTurnOptions,
    SourceKey,
    Text,
    TurnInput,
    TurnInputIngressActiveTurn,
)
from ingress_builders import (
    ACCEPTED,
    BEFORE_COMPLETION,
    CANCEL,
    CANCELLED,
    CANCELS,
    COMPLETED,
    DEFERRED,
    ENQUEUE,
    FOR_T,
    HELLO,
    LAPSED_CLAIM,
    LIST,
    LIVE_CLAIM,
    NEXT,
    PENDING_ACTIVE,
    SUFFIX,
    as_answered,
    draft,
    held_until,
    input_row,
    inputs_of,
    unheld,
    with_inputs,
)
from model_builders import COMMIT, LEASED, A, commit, nobody_lives, ours, ports, run
from msgspec.structs import replace

LATE_T = TurnInputIngressActiveTurn("t", BEFORE_COMPLETION)


def enqueued(state: State, *drafts: Any) -> State:
    """The state after these were submitted."""
    for each in drafts:
        state = ours(state, ENQUEUE, each).state
    return state


@pytest.mark.parametrize(("ingress", "state"), [(NEXT, DEFERRED), (FOR_T, PENDING_ACTIVE), (LATE_T, PENDING_ACTIVE)])
def test_input_1_and_2_what_a_new_input_is(ingress: Any, state: Any) -> None:
    """Session, key, ingress and input of the draft, the instant of the call, the state that its ingress gives, no claim."""
    step = ours(LEASED, ENQUEUE, draft(input_id="mine", source_key="k", ingress=ingress))
    assert step.answer == PendingTurnInput("mine", "s", 1, "k", ingress, state, 1_000, HELLO)
    assert [row.record.claim for row in inputs_of(step.state)] == [unheld(0)]
    assert step.because[0] == "INPUT-1"


def test_input_3_numbers_grow_with_admission_over_all_sessions() -> None:
    """Four inputs of two sessions are 1 to 4, and after a vacuum the next is 5."""
    state = enqueued(State(), draft(), draft(session_id="s2"), draft(), draft(session_id="s2"))
    assert [row.enqueue_seq for row in inputs_of(state)] == [1, 3]
    assert [row.enqueue_seq for row in inputs_of(state, "s2")] == [2, 4]
    gone = ours(ours(state, SUFFIX, "s2", InputId("input-2")).state, "vacuum").state
    assert inputs_of(gone, "s2") == ()
    assert [row.enqueue_seq for row in inputs_of(enqueued(gone, draft()))] == [1, 3, 5]


def test_input_4_ids_that_are_made_up_never_come_again() -> None:
    """Without an id of its own each input gets a new one; one that a draft brought is stepped aside for, also once gone."""
    state = enqueued(State(), draft(input_id="input-1"), draft(), draft())
    ids = [row.input_id for row in inputs_of(state)]
    assert ids[0] == "input-1"
    assert len(set(ids)) == 3
    gone = ours(ours(state, SUFFIX, "s", InputId("input-1")).state, "vacuum").state
    assert inputs_of(enqueued(gone, draft()))[0].input_id not in ids


@pytest.mark.parametrize("taken", ["input-1", "input-2", "input-3"])
def test_input_4_an_id_that_is_made_up_steps_aside(taken: str) -> None:
    """Whatever id a draft brought, those that are made up after it are others, also if a store answers that one again."""
    state = enqueued(State(), draft(input_id=taken))
    for seen in (None, PendingTurnInput(taken, "s", 2, None, NEXT, DEFERRED, 1_000, HELLO)):
        steps = run(state, ENQUEUE, draft(), at=ports(seen=seen))
        assert taken not in [getattr(step.answer, "input_id", None) for step in steps]
    ids = [row.input_id for row in inputs_of(enqueued(state, draft(), draft(), draft()))]
    assert len(set(ids)) == 4


@pytest.mark.parametrize("session", ["s", "s2"])
@pytest.mark.parametrize("state", [PENDING_ACTIVE, DEFERRED, ACCEPTED, CANCELLED, COMPLETED])
def test_input_4a_an_id_that_exists_is_refused(state: Any, session: str) -> None:
    """In whatever session and state it stands, and nothing changes."""
    claim = LIVE_CLAIM if state is ACCEPTED else unheld()
    stored = with_inputs(input_row("i1", 1, state, claim, turn="t" if state is not DEFERRED else None), session=session)
    step = ours(stored, ENQUEUE, draft(input_id="i1"))
    assert step.answer == Refused(Backend())
    assert step.state is stored
    assert step.because == ("INPUT-4a",)


def test_input_4a_a_vacuum_frees_the_id() -> None:
    """Once the input that had it is removed it can be used again."""
    state = ours(with_inputs(input_row("i1", state=CANCELLED)), "vacuum").state
    assert isinstance(ours(state, ENQUEUE, draft(input_id="i1")).answer, PendingTurnInput)


def test_err_3_a_key_that_is_known_comes_before_an_id_that_exists() -> None:
    """A replay whose id names another input is answered the input of its key."""
    state = with_inputs(input_row("i1", 1, key="k"), input_row("i2", 2))
    assert ours(state, ENQUEUE, draft(source_key="k", input_id="i2")).answer == as_answered(inputs_of(state)[0])


def test_input_6_a_key_belongs_to_its_session_and_to_inputs() -> None:
    """The same key elsewhere is another input; the empty key is a key; inputs without a key are never the same."""
    state = enqueued(
        State(), draft(source_key="k"), draft(session_id="s2", source_key="k", input=TurnInput()), draft(), draft()
    )
    assert len(inputs_of(state)) == 3
    assert len(inputs_of(state, "s2")) == 1
    empty = enqueued(state, draft(source_key=""))
    assert ours(empty, ENQUEUE, draft(source_key="")).state is empty
    conflict = ours(empty, ENQUEUE, draft(source_key="", input=TurnInput())).answer
    assert conflict == Refused(PendingTurnInputSourceKeyConflict("s", "", inputs_of(empty)[3].input_id))


OPTIONS = TurnInput(
    (Text("hello"),), (ImageBlob("a", b"1"), ImageBlob("b", b"2")), ProtocolTurnOptions(1, Json({"n": 1})), "tr"
)


@pytest.mark.parametrize(
    "content",
    [
        replace(OPTIONS, items=()),
        replace(OPTIONS, items=(Text("Hello"),)),
        replace(OPTIONS, image_blobs=(ImageBlob("a", b"1"),)),
        replace(OPTIONS, image_blobs=(ImageBlob("a", b"1"), ImageBlob("b", b"3"))),
        replace(OPTIONS, protocol_turn_options=None),
        replace(OPTIONS, protocol_turn_options=ProtocolTurnOptions(2, Json({"n": 1}))),
        replace(OPTIONS, protocol_turn_options=ProtocolTurnOptions(1, Json({"n": 1.0}))),
        replace(OPTIONS, protocol_turn_options=ProtocolTurnOptions(1, Json({"n": True}))),
        replace(OPTIONS, trace_turn_id=None),
        replace(OPTIONS, trace_turn_id=""),
    ],
)
def test_input_8_every_part_of_the_input_is_content(content: TurnInput) -> None:
    """Another value of any part is a conflict; the order of blobs and of keys, and the id, are no part of it."""
    state = with_inputs(input_row(key="k", content=OPTIONS))
    conflict = Refused(PendingTurnInputSourceKeyConflict("s", "k", "i1"))
    assert ours(state, ENQUEUE, draft(source_key="k", input=content)).answer == conflict
    again = replace(OPTIONS, image_blobs=OPTIONS.image_blobs[::-1])
    assert ours(state, ENQUEUE, draft(source_key="k", input_id="x", input=again)).answer == as_answered(inputs_of(state)[0])


@pytest.mark.parametrize("ingress", [NEXT, TurnInputIngressActiveTurn("t2"), LATE_T])
def test_input_8_the_ingress_is_content(ingress: Any) -> None:
    """Another turn, another boundary or the next turn is a conflict."""
    state = with_inputs(input_row(state=PENDING_ACTIVE, turn="t", key="k"))
    answer = ours(state, ENQUEUE, draft(source_key="k", ingress=ingress)).answer
    assert answer == Refused(PendingTurnInputSourceKeyConflict("s", "k", "i1"))


def test_input_9_after_a_deferral_the_ingress_of_now_counts() -> None:
    """The draft for the turn is a conflict then, the same draft for the next turn is answered the input."""
    waiting = with_inputs(input_row(state=PENDING_ACTIVE, turn="t", key="k"))
    deferred = ours(waiting, COMMIT, commit(interrupted_turn_input_turn_id="t")).state
    conflict = ours(deferred, ENQUEUE, draft(source_key="k", ingress=FOR_T))
    assert conflict.answer == Refused(PendingTurnInputSourceKeyConflict("s", "k", "i1"))
    assert "INPUT-9" in conflict.because
    assert ours(deferred, ENQUEUE, draft(source_key="k")).answer == as_answered(input_row(key="k"))


def test_input_11_a_vacuum_frees_the_key() -> None:
    """The next draft with it, of other content, is a new input with a new number."""
    state = ours(with_inputs(input_row(state=COMPLETED, key="k")), "vacuum").state
    step = ours(state, ENQUEUE, draft(source_key="k", input=TurnInput()))
    assert isinstance(step.answer, PendingTurnInput)
    assert step.answer.enqueue_seq == 2
    assert "INPUT-11" in step.because


def test_list_1_and_4_lists_are_of_one_session_in_admission_order() -> None:
    """Inputs of every turn are listed, of no other session, by their numbers; an unknown session has none (LIST-5)."""
    rows = (input_row("z", 1, PENDING_ACTIVE, turn="over"), input_row("a", 2), input_row("m", 7, PENDING_ACTIVE, turn="t"))
    state = with_inputs(input_row("q", 4), session="s2", to=with_inputs(*rows))
    assert ours(state, LIST, "s").answer == tuple(map(as_answered, rows))
    unknown = ours(state, LIST, "nowhere")
    assert (unknown.answer, unknown.because[0]) == ((), "LIST-5")


def test_list_3_a_dead_holder_still_hides_an_input() -> None:
    """Lists look at the clock and at nothing else."""
    step = ours(with_inputs(input_row(claim=LIVE_CLAIM)), LIST, "s", at=ports(alive=nobody_lives))
    assert step.answer == ()
    assert "LIST-3" in step.because


ALL = (
    input_row("p", 1, PENDING_ACTIVE, turn="t", key="kp"),
    input_row("a", 2, ACCEPTED, LAPSED_CLAIM, turn="t"),
    input_row("d", 3),
    input_row("live", 4, DEFERRED, held_until(1_500, claim="c2", token="t2", count=7), key="kl"),
    input_row("lapsed", 5, DEFERRED, held_until(900, claim="c3", token="t3", count=2)),
    input_row("c", 6, CANCELLED, key="kc"),
    input_row("x", 7, COMPLETED, unheld(1), key="kx"),
)
EVERY = with_inputs(*ALL)


def cancelled(row: Any) -> Cancelled:
    """The outcome of an input that could be cancelled: ended, its claim gone."""
    return Cancelled(as_answered(row, state=CANCELLED))


OUTCOMES: dict[str, PendingTurnInputCancelOutcome] = {
    "p": cancelled(ALL[0]),
    "a": AlreadyClaimed(as_answered(ALL[1]), PendingTurnInputClaimDiagnostics(ACCEPTED, "claim", A, 900, 1)),
    "d": cancelled(ALL[2]),
    "live": AlreadyClaimed(as_answered(ALL[3]), PendingTurnInputClaimDiagnostics(DEFERRED, "c2", A, 1_500, 7)),
    "lapsed": cancelled(ALL[4]),
    "c": AlreadyCancelled(as_answered(ALL[5])),
    "x": AlreadyCompleted(as_answered(ALL[6])),
    "nowhere": NotFound(),
}


@pytest.mark.parametrize("input_id", OUTCOMES)
def test_cancel_4_and_7_the_outcome_by_the_input_s_state(input_id: str) -> None:
    """One input by its id, and the call for several with that target, have the outcome of the table and the same effect."""
    one = ours(EVERY, CANCEL, "s", input_id)
    several = ours(EVERY, CANCELS, "s", (InputId(input_id),))
    assert one.answer == OUTCOMES[input_id]
    assert several.answer == (PendingTurnInputCancelResult(InputId(input_id), OUTCOMES[input_id]),)
    assert one.state == several.state
    assert (one.state == EVERY) is not isinstance(one.answer, Cancelled)


def test_cancel_5_a_cancelled_input_keeps_what_it_was() -> None:
    """Ingress, number, key and counter stay, and the claim is gone."""
    after = ours(EVERY, CANCELS, "s", (InputId("p"), InputId("lapsed"))).state
    assert inputs_of(after)[0] == input_row("p", 1, CANCELLED, turn="t", key="kp")
    assert inputs_of(after)[4] == input_row("lapsed", 5, CANCELLED, unheld(2))


def test_cancel_1_and_2_targets_are_taken_in_their_order_with_mixed_outcomes() -> None:
    """Each target has its result at its place, and what can be cancelled is; no targets give no results."""
    targets: tuple[PendingTurnInputCancelTarget, ...] = (
        SourceKey("kx"),
        InputId("d"),
        InputId("nowhere"),
        SourceKey("kl"),
        SourceKey("kp"),
    )
    step = ours(EVERY, CANCELS, "s", targets)
    ids = ("x", "d", "nowhere", "live", "p")
    assert step.answer == tuple(
        PendingTurnInputCancelResult(target, OUTCOMES[name]) for target, name in zip(targets, ids, strict=True)
    )
    assert [row.record.state for row in inputs_of(step.state)][:4] == [CANCELLED, ACCEPTED, CANCELLED, DEFERRED]
    nothing = ours(EVERY, CANCELS, "s", ())
    assert nothing.answer == ()
    assert nothing.state == EVERY


def test_cancel_8_a_target_named_twice_sees_what_the_first_did() -> None:
    """By id and by key: Cancelled first, then AlreadyCancelled with the input as it is now."""
    step = ours(EVERY, CANCELS, "s", (InputId("p"), SourceKey("kp"), InputId("p")))
    ended = AlreadyCancelled(as_answered(ALL[0], state=CANCELLED))
    assert [each.outcome for each in step.answer] == [cancelled(ALL[0]), ended, ended]  # type: ignore[attr-defined]  # a tuple
    assert "CANCEL-8" in step.because


def test_cancel_3_targets_are_of_the_session() -> None:
    """Another session's id and key are not found, a key is no id, and no key finds an input without one."""
    targets: tuple[PendingTurnInputCancelTarget, ...] = (InputId("d"), SourceKey("kp"))
    step = ours(EVERY, CANCELS, "s2", targets)
    assert step.answer == tuple(PendingTurnInputCancelResult(target, NotFound()) for target in targets)
    assert step.state is EVERY
    for target in (InputId("kp"), SourceKey("p"), SourceKey(""), SourceKey("None")):
        assert ours(EVERY, CANCELS, "s", (target,)).answer == (PendingTurnInputCancelResult(target, NotFound()),)


@pytest.mark.parametrize("place", range(len(ALL)))
def test_cancel_10_and_11_a_suffix_begins_at_its_anchor(place: int) -> None:
    """An anchor in any state is found; it and all that was admitted after it have the outcomes of the table, in order."""
    anchor = InputId(ALL[place].input_id)
    step = ours(EVERY, SUFFIX, "s", anchor)
    assert step.answer == Outcomes(anchor, tuple(OUTCOMES[row.input_id] for row in ALL[place:]))
    assert inputs_of(step.state)[:place] == ALL[:place]


def test_cancel_10_an_anchor_that_is_not_there() -> None:
    """It is named, and nothing changes; by a key and in another session alike."""
    for session, anchor in (("s", InputId("nowhere")), ("s", SourceKey("d")), ("s2", InputId("d"))):
        step = ours(EVERY, SUFFIX, session, anchor)
        assert step.answer == AnchorNotFound(anchor)
        assert step.state is EVERY


def test_cancel_12_a_suffix_goes_on_behind_what_it_cannot_cancel() -> None:
    """Worked trace 9: Cancelled, AlreadyClaimed, Cancelled; and again AlreadyCancelled, AlreadyClaimed, AlreadyCancelled."""
    rows = (input_row("a", 1), input_row("x", 2, ACCEPTED, LIVE_CLAIM, turn="t"), input_row("b", 3))
    first = ours(with_inputs(*rows), SUFFIX, "s", InputId("a"))
    again = ours(first.state, SUFFIX, "s", InputId("a"))
    assert isinstance(first.answer, Outcomes)
    assert isinstance(again.answer, Outcomes)
    assert [type(each) for each in first.answer.outcomes] == [Cancelled, AlreadyClaimed, Cancelled]
    assert [type(each) for each in again.answer.outcomes] == [AlreadyCancelled, AlreadyClaimed, AlreadyCancelled]
    assert "CANCEL-12" in first.because


def test_cancel_13_a_deferred_input_stands_where_it_was_admitted() -> None:
    """It was admitted first and deferred last: a suffix from the second does not touch it, one from it has both."""
    waiting = with_inputs(input_row("x", 1, PENDING_ACTIVE, turn="t"), input_row("b", 2))
    deferred = ours(waiting, COMMIT, commit(interrupted_turn_input_turn_id="t")).state
    second = ours(deferred, SUFFIX, "s", InputId("b"))
    assert second.answer == Outcomes(InputId("b"), (cancelled(input_row("b", 2)),))
    assert inputs_of(second.state)[0] == input_row("x", 1, submitted=FOR_T)
    both = ours(deferred, SUFFIX, "s", InputId("x"))
    assert both.answer == Outcomes(InputId("x"), (cancelled(input_row("x", 1)), cancelled(input_row("b", 2))))
    assert "CANCEL-13" in both.because


def test_gen_8_and_15_other_sessions_and_lanes_take_no_part() -> None:
    """Without any lease inputs are submitted, listed and cancelled, and another session's are as they were."""
    free = replace(with_inputs(input_row("q", 1), session="s2"), lease=State().lease)
    step = ours(enqueued(free, draft(input_id="i")), CANCEL, "s", "i")
    assert isinstance(step.answer, Cancelled)
    assert inputs_of(step.state, "s2") == (input_row("q", 1),)
