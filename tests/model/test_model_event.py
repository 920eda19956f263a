"""The event chapter of the model: the table of one turn, cell by cell, and what reads show of many."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from fencepost.model import Refused, State
from fencepost.model.records.event import TurnRecord, appended, closed
from fencepost.spec import (
    AgentEvent,
    AgentEventEnvelope,
    AppendToFinishedTurn,
    Json,
    Start,
    StoredTurnEvents,
    ThreadCreated,
    TurnAlreadyFinished,
    UnknownEvent,
    envelope_from_json,
)
from model_builders import ours
from store_builders import E1, E2, E3, E4, T0, T1, Call, add, after, clear, envelope, finish, mine, uuid

ABSENT = State()
OPEN = after(add(3, E1), add(3, E2))
FINISHED = after(finish(3), state=OPEN)
EMPTY = after(finish(3))


def turn(number: int, *events: AgentEventEnvelope, finished: bool = False) -> StoredTurnEvents:
    """A turn as it is read."""
    return StoredTurnEvents(number, events, finished)


def turns(state: State, thread: str = "t") -> tuple[StoredTurnEvents, ...]:
    """All turns of a thread, which reading leaves as they are, and of which all reads tell the same."""
    step = ours(state, "get_turns", thread)
    assert step.state is state
    assert isinstance(step.answer, tuple)
    for each in step.answer:
        assert ours(state, "get_turn", thread, each.turn).answer == each
    assert ours(state, "get_events", thread).answer == tuple(event for each in step.answer for event in each.events)
    return step.answer


class Cell(NamedTuple):
    """One cell of the table: the turns before, the call, its answer, and the turns after."""

    before: State
    call: Call
    answer: object
    after: tuple[StoredTurnEvents, ...]


CANNOT_APPEND, CANNOT_FINISH = Refused(AppendToFinishedTurn("t", 3)), Refused(TurnAlreadyFinished("t", 3))

TABLE = {
    "append, absent": Cell(ABSENT, add(3, E3), None, (turn(3, E3),)),
    "append, open": Cell(OPEN, add(3, E3), None, (turn(3, E1, E2, E3),)),
    "append, finished": Cell(FINISHED, add(3, E3), CANNOT_APPEND, (turn(3, E1, E2, finished=True),)),
    "append, finished without events": Cell(EMPTY, add(3, E3), CANNOT_APPEND, (turn(3, finished=True),)),
    "finish, absent": Cell(ABSENT, finish(3), None, (turn(3, finished=True),)),
    "finish, open": Cell(OPEN, finish(3), None, (turn(3, E1, E2, finished=True),)),
    "finish, finished": Cell(FINISHED, finish(3), CANNOT_FINISH, (turn(3, E1, E2, finished=True),)),
    "finish, finished without events": Cell(EMPTY, finish(3), CANNOT_FINISH, (turn(3, finished=True),)),
    "clear, absent": Cell(ABSENT, clear(), None, ()),
    "clear, open": Cell(OPEN, clear(), None, ()),
    "clear, finished": Cell(FINISHED, clear(), None, ()),
    "get_turn, absent": Cell(ABSENT, ("get_turn", ("t", 3)), None, ()),
    "get_turn, open": Cell(OPEN, ("get_turn", ("t", 3)), turn(3, E1, E2), (turn(3, E1, E2),)),
    "get_turn, finished": Cell(EMPTY, ("get_turn", ("t", 3)), turn(3, finished=True), (turn(3, finished=True),)),
    "get_turns, absent": Cell(ABSENT, ("get_turns", ("t",)), (), ()),
    "get_turns, open": Cell(OPEN, ("get_turns", ("t",)), (turn(3, E1, E2),), (turn(3, E1, E2),)),
    "get_turns, finished": Cell(EMPTY, ("get_turns", ("t",)), (turn(3, finished=True),), (turn(3, finished=True),)),
    "get_events, absent": Cell(ABSENT, ("get_events", ("t",)), (), ()),
    "get_events, open": Cell(OPEN, ("get_events", ("t",)), (E1, E2), (turn(3, E1, E2),)),
    "get_events, finished": Cell(EMPTY, ("get_events", ("t",)), (), (turn(3, finished=True),)),
}


@pytest.mark.parametrize("cell", TABLE.values(), ids=TABLE.keys())
def test_the_table_of_one_turn(cell: Cell) -> None:
    """Absent, open and finished turns under each call: the answer, and the turn after it."""
    step = mine(cell.before, cell.call)
    assert step.answer == cell.answer
    assert turns(step.state) == cell.after
    assert step.differs == ()


@pytest.mark.parametrize("call", [add(3, E3), finish(3)])
def test_event_8_12_and_15_a_refused_write_gives_the_very_state_back(call: Call) -> None:
    """An append to a finished turn and a second finish change nothing, and open no turn."""
    assert mine(FINISHED, call).state is FINISHED
    assert mine(EMPTY, call).state is EMPTY


def test_event_8_and_15_what_the_refusals_say() -> None:
    """Their texts hold the words that known stores use, with the number of the turn."""
    assert str(AppendToFinishedTurn("th", 3)) == "cannot append to finished turn 3 of thread 'th'"
    assert str(TurnAlreadyFinished("th", 3)) == "turn 3 of thread 'th' is already finished"


@pytest.mark.parametrize(
    ("record", "more", "done"),
    [
        (None, TurnRecord(1, False), TurnRecord(0, True)),
        (TurnRecord(1, False), TurnRecord(2, False), TurnRecord(1, True)),
        (TurnRecord(7, False), TurnRecord(8, False), TurnRecord(7, True)),
        (TurnRecord(0, True), None, None),
        (TurnRecord(7, True), None, None),
    ],
)
def test_what_the_record_of_a_turn_becomes(record: TurnRecord | None, more: TurnRecord | None, done: TurnRecord | None) -> None:
    """With one event more, and finished; None is a refusal."""
    assert (appended(record), closed(record)) == (more, done)


@pytest.mark.parametrize("thread", ["t2", "T", "", "t ", "t\0"])
def test_event_2_threads_are_apart(thread: str) -> None:
    """Whatever is done to a thread, one of another text has nothing of it and is as it was."""
    assert turns(FINISHED, thread) == ()
    both = after(add(3, E4, thread), state=FINISHED)
    for call in (add(4, E3), finish(4), clear()):
        assert turns(after(call, state=both), thread) == (turn(3, E4),)
    assert turns(after(finish(3, thread), clear(thread), state=both)) == (turn(3, E1, E2, finished=True),)


def test_event_3_and_20_turns_have_any_numbers_and_are_read_in_their_order() -> None:
    """0, the largest and those around 10 in any order of writing; no number between them is filled in."""
    state = after(add(10, E1), add(2**64 - 1, E2), finish(9), add(0, E3), add(100, E4))
    assert turns(state) == (
        turn(0, E3),
        turn(9, finished=True),
        turn(10, E1),
        turn(100, E4),
        turn(18446744073709551615, E2),
    )


OTHER_THREAD, NEW = ThreadCreated("elsewhere"), UnknownEvent("new_kind", Json({"turn": 9, "deep": [1, None]}))


@pytest.mark.parametrize("event", [Start("elsewhere", 9), Start("t", 9), Start("elsewhere", 3), OTHER_THREAD, NEW])
def test_event_4_and_46_what_stands_in_an_event_is_not_looked_at(event: AgentEvent) -> None:
    """Another turn or thread in it, or a type that nobody knows: it goes where it is put, and comes back whole."""
    state = after(add(3, envelope(1, event)))
    assert turns(state) == (turn(3, envelope(1, event)),)
    assert turns(state, "elsewhere") == ()


def test_event_46_a_flat_event_of_a_new_type_comes_back_as_it_came() -> None:
    """Also through its JSON: every key is there."""
    flat = f'{{"deep":{{"a":[1,null]}},"event_id":"{uuid(1)}","sequence":0,"timestamp":"{T0}","turn":7,"type":"brand_new"}}'
    known = envelope_from_json(flat)
    assert turns(after(add(3, known))) == (turn(3, known),)
    assert known.event == UnknownEvent("brand_new", Json({"deep": {"a": [1, None]}, "turn": 7}))


def test_event_5_turns_do_not_touch_each_other() -> None:
    """An earlier open turn takes events after a later one is there, and after it is finished."""
    state = after(add(1, E1), add(2, E2), add(1, E3), finish(2), add(1, E4))
    assert turns(state) == (turn(1, E1, E3, E4), turn(2, E2, finished=True))
    assert ours(state, "get_events", "t").answer == (E1, E3, E4, E2)


def test_event_9_and_10_nothing_of_an_envelope_is_compared() -> None:
    """The same envelope three times, then smaller numbers and earlier times: all are stored, in the order of their appends."""
    late, early = envelope(9, sequence=7, at=T1), envelope(8, sequence=0, at=T0)
    state = after(add(1, late), add(1, late), add(1, early), add(1, late), add(2, late))
    assert turns(state) == (turn(1, late, late, early, late), turn(2, late))


def test_event_11_events_are_read_at_once() -> None:
    """After each append, before the turn is finished, the event is there."""
    state, found = State(), []
    for each in (E1, E2, E3):
        state = after(add(1, each), state=state)
        found.append(ours(state, "get_events", "t").answer)
    assert found == [(E1,), (E1, E2), (E1, E2, E3)]


def test_event_16_and_inv_3_a_finished_turn_is_constant() -> None:
    """Nothing but a clear of its own thread changes it: neither refused writes nor writes to others."""
    state = FINISHED
    for call in (add(3, E3), finish(3), add(4, E3), finish(4), add(3, E3, "t2"), clear("t2"), ("get_turn", ("t", 3))):
        state = mine(state, call).state
        assert turns(state)[0] == turn(3, E1, E2, finished=True)


@pytest.mark.parametrize(
    "call", [("get_turn", ("t", 9)), ("get_turn", ("x", 3)), ("get_turns", ("x",)), ("get_events", ("x",))]
)
def test_event_18_and_26_reading_makes_nothing(call: Call) -> None:
    """Of an unknown turn or thread reads answer none or nothing, and the state is the very same."""
    step = mine(OPEN, call)
    assert step.answer in (None, ())
    assert step.state is OPEN


def test_event_28_to_30_a_cleared_thread_begins_anew() -> None:
    """Its turns are gone, finished ones too, can be written again from the start, and clearing twice is once."""
    state = after(clear(), state=after(add(4, E3), finish(4), state=FINISHED))
    assert turns(state) == ()
    assert mine(state, clear()).state is state
    assert turns(after(add(3, E3), finish(3), add(4, E4), state=state)) == (turn(3, E3, finished=True), turn(4, E4))


def test_event_30_threads_that_were_cleared_and_are_gone_read_alike() -> None:
    """All reads of a cleared thread answer what they answer of one that never was."""
    state = after(clear(), state=FINISHED)
    for operation, arguments in (("get_turn", ("t", 3)), ("get_turns", ("t",)), ("get_events", ("t",))):
        assert ours(state, operation, *arguments).answer == ours(State(), operation, *arguments).answer


def test_event_inv_4_an_open_turn_only_grows() -> None:
    """Over a run of appends each list of events is the beginning of the next."""
    state = State()
    before: tuple[AgentEventEnvelope, ...] = ()
    for number in range(1, 12):
        state = after(add(1, envelope(number)), state=state)
        (known,) = turns(state)
        assert known.events[:-1] == before
        before = known.events


def test_event_22_and_inv_1_offsets_move_when_an_earlier_turn_grows() -> None:
    """The events of a thread are by turns and not by appends: what comes to turn 1 stands before turn 2."""
    state = after(add(2, E1), add(1, E2), add(2, E3), add(1, E4))
    assert ours(state, "get_events", "t").answer == (E2, E4, E1, E3)


def test_what_is_answered_is_immutable() -> None:
    """Turns and events hash, so no reader can change what is kept."""
    answers: tuple[Any, ...] = (turns(FINISHED), ours(FINISHED, "get_events", "t").answer)
    assert all(hash(answer) for answer in answers)
