"""Why an answer about runtimes, events or outputs is what it is: who is named where it decides, and who first."""

from __future__ import annotations

from uuid import UUID

import pytest
from fencepost.model import State, Step
from fencepost.spec import Artifact, Json, RuntimeState, Start, UnknownEvent
from fencepost.spec.catalogue import requirements
from store_builders import (
    BRIEF,
    E1,
    E2,
    EMPTY,
    FILE,
    FINAL,
    FULL,
    GREETED,
    HELLO,
    I1,
    I2,
    INLINE,
    NONSENSE,
    OTHER_SESSION,
    PLAIN,
    RICH,
    RUN,
    RUN_2,
    STAGE,
    T0,
    T1,
    Call,
    add,
    after,
    apply,
    boundary,
    clear,
    envelope,
    finish,
    input_state,
    lifecycle,
    mine,
    numbered,
    output,
    persist,
    receipt,
    ref,
    session,
    steps,
)

NOTHING = State()
TWO_RUNTIMES = after(persist(PLAIN, "r2"), state=FULL)
THREAD = after(add(1, E1), add(2, E2), finish(2))
CLEARED = after(clear(), state=THREAD)
LOG = after(output(), output(FINAL), output(STAGE, task="a", attempt=0, producer="other"))
NAMED = after(output(Artifact("report", INLINE)))
SHRUNK = after(boundary(delta=session(BRIEF, HELLO)))
STATE_OF: Call = ("load_runtime_state", ("r",))
INPUTS_OF: Call = ("load_input_states", ("r",))
INPUT_OF: Call = ("load_input_state", ("r", I1))
SNAPSHOT_OF: Call = ("load_session_snapshot", ("r",))


def receipt_of(sequence: int = 0, run_id: UUID = RUN) -> Call:
    """A receipt of runtime r read."""
    return "load_boundary_receipt", ("r", run_id, sequence)


def turn(number: int, thread: str = "t") -> Call:
    """A turn read."""
    return "get_turn", (thread, number)


def latest(name: str = "agent") -> Call:
    """The latest of a producer read."""
    return "get_latest_by_name", (name,)


def listed(task: str = "task", attempt: int = 1) -> Call:
    """The list of an attempt read."""
    return "list_for_attempt", (task, attempt)


YES, NO = True, False

CASES: tuple[tuple[str, bool, State, Call], ...] = (
    ("RUNTIME-3", YES, NOTHING, persist(PLAIN)),
    ("RUNTIME-3", NO, FULL, persist(PLAIN)),
    ("RUNTIME-1", YES, TWO_RUNTIMES, persist(PLAIN)),
    ("RUNTIME-1", NO, FULL, persist(PLAIN)),
    ("RUNTIME-4", YES, FULL, INPUTS_OF),
    ("RUNTIME-4", YES, FULL, receipt_of()),
    ("RUNTIME-5", YES, NOTHING, INPUTS_OF),
    ("RUNTIME-5", NO, FULL, INPUTS_OF),
    ("RUNTIME-6", YES, NOTHING, INPUT_OF),
    ("RUNTIME-6", YES, NOTHING, receipt_of()),
    ("RUNTIME-6", YES, NOTHING, SNAPSHOT_OF),
    ("RUNTIME-6", YES, NOTHING, STATE_OF),
    ("RUNTIME-6", NO, FULL, INPUT_OF),
    ("RUNTIME-6", NO, FULL, receipt_of()),
    ("RUNTIME-6", NO, FULL, SNAPSHOT_OF),
    ("RUNTIME-6", NO, FULL, STATE_OF),
    ("RUNTIME-8", YES, FULL, INPUTS_OF),
    ("RUNTIME-9", YES, FULL, INPUTS_OF),
    ("RUNTIME-9", NO, after(persist(PLAIN)), INPUTS_OF),
    ("RUNTIME-10", YES, numbered(3), receipt_of(4)),
    ("RUNTIME-10", YES, numbered(3), receipt_of(3)),
    ("RUNTIME-15", YES, FULL, STATE_OF),
    ("RUNTIME-15", YES, FULL, ("persist_runtime_state", ("r", RuntimeState.Idle))),
    ("RUNTIME-16", YES, FULL, lifecycle(RuntimeState.Idle)),
    ("RUNTIME-17", YES, FULL, lifecycle(RuntimeState.Idle)),
    ("RUNTIME-17", YES, FULL, persist(PLAIN)),
    ("RUNTIME-18", YES, after(persist(RICH)), persist(PLAIN)),
    ("RUNTIME-18", YES, after(persist(input_state(at=T1))), persist(input_state(at=T0))),
    ("RUNTIME-18", NO, after(persist(input_state(at=T0))), persist(input_state(at=T1))),
    ("RUNTIME-19", YES, NOTHING, lifecycle(RuntimeState.Idle, PLAIN, RICH)),
    ("RUNTIME-19", NO, NOTHING, lifecycle(RuntimeState.Idle, PLAIN, input_state(I2))),
    ("RUNTIME-20", YES, NOTHING, boundary(delta=NONSENSE)),
    ("RUNTIME-20", NO, NOTHING, boundary()),
    ("RUNTIME-23", YES, numbered(5), boundary()),
    ("RUNTIME-23", NO, numbered(0, 1), boundary()),
    ("RUNTIME-23", NO, NOTHING, boundary()),
    ("RUNTIME-23a", YES, numbered(2**64 - 1), boundary()),
    ("RUNTIME-23a", NO, numbered(2**64 - 2), boundary()),
    ("RUNTIME-24", YES, numbered(5, runtime="r2"), boundary()),
    ("RUNTIME-24", NO, numbered(5, runtime="r2", run_id=RUN_2), boundary()),
    ("RUNTIME-24", NO, numbered(5), boundary()),
    ("RUNTIME-32", YES, numbered(0), boundary()),
    ("RUNTIME-32", NO, NOTHING, boundary()),
    ("RUNTIME-38", YES, NOTHING, apply(delta=NONSENSE)),
    ("RUNTIME-38", NO, NOTHING, apply(delta=GREETED)),
    ("RUNTIME-39", YES, FULL, apply(made=receipt(9))),
    ("RUNTIME-39", NO, FULL, apply(made=receipt(9), delta=GREETED)),
    ("RUNTIME-40", YES, numbered(0), apply()),
    ("RUNTIME-40", NO, numbered(1), apply()),
    ("RUNTIME-41", YES, NOTHING, apply(delta=GREETED, key=OTHER_SESSION)),
    ("RUNTIME-41", NO, NOTHING, apply(delta=GREETED)),
    ("RUNTIME-49", YES, NOTHING, boundary(delta=NONSENSE)),
    ("EVENT-2", YES, after(add(1, E1, "t2")), add(1, E1)),
    ("EVENT-2", NO, THREAD, add(1, E2)),
    ("EVENT-3", YES, NOTHING, add(0)),
    ("EVENT-3", NO, THREAD, add(1, E2)),
    ("EVENT-4", YES, NOTHING, add(1, envelope(1, Start("t", 2)))),
    ("EVENT-4", YES, NOTHING, add(1, envelope(1, Start("t2", 1)))),
    ("EVENT-4", NO, NOTHING, add(1, envelope(1, Start("t", 1)))),
    ("EVENT-5", YES, THREAD, add(1, E2)),
    ("EVENT-5", YES, after(add(1, E1), add(2, E2)), add(1, E2)),
    ("EVENT-5", NO, after(add(1, E1), add(2, E2)), add(2, E2)),
    ("EVENT-6", YES, NOTHING, add(1)),
    ("EVENT-6", NO, THREAD, add(1)),
    ("EVENT-7", YES, THREAD, add(1)),
    ("EVENT-7", NO, NOTHING, add(1)),
    ("EVENT-8", YES, THREAD, add(2)),
    ("EVENT-9", YES, THREAD, add(1, E1)),
    ("EVENT-9", NO, THREAD, add(1, E2)),
    ("EVENT-10", YES, THREAD, add(1, envelope(9, sequence=1))),
    ("EVENT-10", YES, THREAD, add(1, envelope(9, at="2025-12-31T00:00:00Z"))),
    ("EVENT-10", NO, THREAD, add(1, envelope(9))),
    ("EVENT-10", NO, NOTHING, add(1, envelope(9, sequence=0))),
    ("EVENT-11", YES, NOTHING, add(1)),
    ("EVENT-11", NO, NOTHING, finish(1)),
    ("EVENT-12", YES, THREAD, add(2)),
    ("EVENT-13", YES, THREAD, finish(1)),
    ("EVENT-13", NO, THREAD, finish(3)),
    ("EVENT-14", YES, THREAD, finish(3)),
    ("EVENT-14", NO, THREAD, finish(1)),
    ("EVENT-15", YES, THREAD, finish(2)),
    ("EVENT-18", YES, THREAD, turn(3)),
    ("EVENT-18", YES, NOTHING, turn(3)),
    ("EVENT-19", YES, after(finish(3)), turn(3)),
    ("EVENT-19", NO, THREAD, turn(2)),
    ("EVENT-28", YES, THREAD, clear()),
    ("EVENT-28", NO, NOTHING, clear()),
    ("EVENT-29", YES, NOTHING, clear()),
    ("EVENT-29", NO, THREAD, clear()),
    ("EVENT-30", YES, CLEARED, add(2)),
    ("EVENT-30", YES, CLEARED, finish(2)),
    ("EVENT-30", NO, CLEARED, add(2, thread="t2")),
    ("EVENT-30", NO, THREAD, add(2, thread="t2")),
    ("EVENT-46", YES, NOTHING, add(1, envelope(1, UnknownEvent("new", Json({}))))),
    ("EVENT-46", NO, NOTHING, add(1)),
    ("OUTPUT-4", YES, LOG, output()),
    ("OUTPUT-4", NO, LOG, output(attempt=9)),
    ("OUTPUT-6", YES, LOG, output(STAGE, ref(9))),
    ("OUTPUT-6", YES, LOG, output(STAGE, ref(0), ref(0))),
    ("OUTPUT-6", NO, LOG, output(STAGE, ref(1), ref(0))),
    ("OUTPUT-7", YES, NOTHING, output(attempt=0)),
    ("OUTPUT-7", YES, NOTHING, output(attempt=2**32 - 1)),
    ("OUTPUT-7", YES, NOTHING, output(task="")),
    ("OUTPUT-7", YES, NOTHING, output(producer="")),
    ("OUTPUT-7", NO, NOTHING, output()),
    ("OUTPUT-8", YES, LOG, output()),
    ("OUTPUT-8", NO, LOG, output(attempt=9)),
    ("OUTPUT-9", YES, NAMED, latest("report")),
    ("OUTPUT-9", NO, NAMED, latest("other")),
    ("OUTPUT-10", YES, NOTHING, output(FILE)),
    ("OUTPUT-10", NO, NOTHING, output(FINAL)),
    ("OUTPUT-14", YES, LOG, ("get", (ref(9),))),
    ("OUTPUT-14", NO, LOG, ("get", (ref(0),))),
    ("OUTPUT-17", YES, after(output(STAGE), state=LOG), latest()),
    ("OUTPUT-17", NO, LOG, latest()),
    ("OUTPUT-18", YES, LOG, latest("nobody")),
    ("OUTPUT-18", NO, LOG, latest()),
    ("OUTPUT-22", YES, LOG, listed("nowhere")),
    ("OUTPUT-22", NO, LOG, listed()),
    ("OUTPUT-23", YES, LOG, listed()),
    ("OUTPUT-23", NO, after(output()), listed()),
)

NAMES = [f"{number} {'' if decides else 'not '}{requirement}" for number, (requirement, decides, *_) in enumerate(CASES)]


@pytest.mark.parametrize(("requirement", "decides", "state", "call"), CASES, ids=NAMES)
def test_a_requirement_is_named_where_it_decides_and_nowhere_else(
    requirement: str, decides: bool, state: State, call: Call
) -> None:
    """The reasons of an answer hold the requirement if its condition is there, and not if it is not."""
    assert (requirement in mine(state, call).because) is decides


FIRST: tuple[tuple[str, State, Call], ...] = (
    ("RUNTIME-20", FULL, boundary(delta=NONSENSE)),
    ("RUNTIME-23a", numbered(2**64 - 1), boundary()),
    ("RUNTIME-22", NOTHING, boundary()),
    ("RUNTIME-35", FULL, apply(made=receipt(9))),
    ("RUNTIME-38", FULL, apply(delta=NONSENSE)),
    ("RUNTIME-40", FULL, apply()),
    ("RUNTIME-41", FULL, apply(delta=GREETED, key=OTHER_SESSION)),
    ("RUNTIME-18", after(persist(RICH)), persist(PLAIN)),
    ("RUNTIME-13", FULL, persist(PLAIN)),
    ("RUNTIME-15", FULL, ("persist_runtime_state", ("r", RuntimeState.Idle))),
    ("RUNTIME-16", FULL, lifecycle(RuntimeState.Idle)),
    ("RUNTIME-5", NOTHING, INPUTS_OF),
    ("RUNTIME-8", FULL, INPUTS_OF),
    ("RUNTIME-6", NOTHING, INPUT_OF),
    ("RUNTIME-13", FULL, INPUT_OF),
    ("RUNTIME-10", FULL, receipt_of()),
    ("RUNTIME-11", FULL, SNAPSHOT_OF),
    ("RUNTIME-15", FULL, STATE_OF),
    ("EVENT-6", NOTHING, add(1)),
    ("EVENT-7", after(add(1)), add(1, E2)),
    ("EVENT-8", THREAD, add(2)),
    ("EVENT-9", THREAD, add(1, E1)),
    ("EVENT-10", THREAD, add(1, envelope(9, sequence=0))),
    ("EVENT-4", NOTHING, add(1, envelope(1, Start("t", 2)))),
    ("EVENT-46", NOTHING, add(1, envelope(1, UnknownEvent("new", Json({}))))),
    ("EVENT-5", THREAD, add(1, E2)),
    ("EVENT-30", CLEARED, add(2)),
    ("EVENT-13", after(add(1)), finish(1)),
    ("EVENT-14", NOTHING, finish(1)),
    ("EVENT-15", THREAD, finish(2)),
    ("EVENT-18", NOTHING, turn(1)),
    ("EVENT-19", after(finish(1)), turn(1)),
    ("EVENT-11", THREAD, turn(1)),
    ("EVENT-20", THREAD, ("get_turns", ("t",))),
    ("EVENT-22", THREAD, ("get_events", ("t",))),
    ("EVENT-28", THREAD, clear()),
    ("EVENT-29", NOTHING, clear()),
    ("OUTPUT-1", NOTHING, output()),
    ("OUTPUT-4", LOG, output()),
    ("OUTPUT-6", NOTHING, output(STAGE, ref(9))),
    ("OUTPUT-7", NOTHING, output(attempt=0)),
    ("OUTPUT-8", LOG, output(attempt=1, producer="p")),
    ("OUTPUT-10", NOTHING, output(FILE)),
    ("OUTPUT-13", LOG, ("get", (ref(0),))),
    ("OUTPUT-14", LOG, ("get", (ref(9),))),
    ("OUTPUT-15", LOG, latest()),
    ("OUTPUT-16", after(output(attempt=9), output()), latest()),
    ("OUTPUT-17", after(output(FINAL), output()), latest()),
    ("OUTPUT-9", NAMED, latest("report")),
    ("OUTPUT-18", LOG, latest("nobody")),
    ("OUTPUT-21", LOG, listed()),
    ("OUTPUT-22", LOG, listed("nowhere")),
)


@pytest.mark.parametrize(("requirement", "state", "call"), FIRST)
def test_the_most_telling_requirement_comes_first(requirement: str, state: State, call: Call) -> None:
    """What a reader of the answer is told first."""
    assert mine(state, call).because[0] == requirement


DETAILS: tuple[tuple[str, str, State, Call], ...] = (
    ("RUNTIME-22", "sequence", NOTHING, boundary()),
    ("RUNTIME-24", "sequence", numbered(5, runtime="r2"), boundary()),
    ("RUNTIME-23", "sequence", numbered(5), boundary()),
    ("RUNTIME-32", "sequence", numbered(0), boundary()),
    ("RUNTIME-27", "conversation_digest", NOTHING, boundary()),
    ("RUNTIME-26", "message_count", NOTHING, boundary()),
    ("RUNTIME-25", "contributing_input_ids.0", NOTHING, boundary(contributing=(I1,))),
    ("RUNTIME-25", "boundary", NOTHING, boundary()),
    ("RUNTIME-25", "run_id", NOTHING, boundary()),
    ("RUNTIME-28", "last_run_id", FULL, INPUT_OF),
    ("RUNTIME-28", "last_boundary_sequence", FULL, INPUT_OF),
    ("RUNTIME-13", "current_state", FULL, INPUT_OF),
    ("RUNTIME-35", "message_count", FULL, receipt_of()),
    ("RUNTIME-8", "0.current_state", FULL, INPUTS_OF),
    ("EVENT-21", "events.0", THREAD, turn(1)),
    ("EVENT-5", "finished", THREAD, turn(1)),
    ("EVENT-16", "finished", THREAD, turn(2)),
    ("EVENT-19", "events", after(finish(1)), turn(1)),
    ("EVENT-21", "1.events.0", THREAD, ("get_turns", ("t",))),
    ("EVENT-16", "1.finished", THREAD, ("get_turns", ("t",))),
    ("EVENT-20", "0.turn", THREAD, ("get_turns", ("t",))),
    ("EVENT-22", "0.event", THREAD, ("get_events", ("t",))),
    ("OUTPUT-3", "value", NOTHING, output()),
    ("OUTPUT-13", "id", LOG, ("get", (ref(0),))),
    ("OUTPUT-6", "parent_refs", LOG, ("get", (ref(0),))),
    ("OUTPUT-5", "event.stage", LOG, ("get", (ref(0),))),
    ("OUTPUT-7", "attempt", LOG, ("get", (ref(0),))),
    ("OUTPUT-15", "id", LOG, latest()),
    ("OUTPUT-21", "0.id", LOG, listed()),
    ("OUTPUT-6", "1.parent_refs", LOG, listed()),
)


@pytest.mark.parametrize(("requirement", "field", "state", "call"), DETAILS)
def test_each_field_of_an_answer_is_fixed_by_its_requirement(requirement: str, field: str, state: State, call: Call) -> None:
    """The first entry of the details whose path leads to the field names it."""
    details = mine(state, call).details
    fixing = next(ids for path, ids in details if not path or field == path or field.startswith(f"{path}."))
    assert requirement in fixing


EFFECTS: tuple[tuple[str, str, State, Call], ...] = (
    ("RUNTIME-28", "load_input_state", NOTHING, boundary(PLAIN, contributing=(I1,))),
    ("RUNTIME-30", "load_input_state", NOTHING, boundary(PLAIN)),
    ("RUNTIME-30", "load_input_states", FULL, boundary(contributing=(I2,))),
    ("RUNTIME-36", "load_input_state", NOTHING, apply(PLAIN)),
    ("RUNTIME-16", "load_input_state", NOTHING, lifecycle(RuntimeState.Idle, PLAIN)),
    ("RUNTIME-16", "load_runtime_state", NOTHING, lifecycle(RuntimeState.Idle)),
    ("RUNTIME-15", "load_runtime_state", NOTHING, ("persist_runtime_state", ("r", RuntimeState.Idle))),
    ("RUNTIME-13", "load_input_state", FULL, persist(PLAIN)),
    ("RUNTIME-31", "load_boundary_receipt", NOTHING, boundary()),
    ("RUNTIME-31", "load_session_snapshot", NOTHING, boundary()),
    ("RUNTIME-39", "load_session_snapshot", FULL, apply(made=receipt(9))),
    ("EVENT-6", "get_events", NOTHING, add(1)),
    ("EVENT-13", "get_turn", THREAD, finish(1)),
    ("EVENT-28", "get_turns", THREAD, clear()),
    ("OUTPUT-1", "get", NOTHING, output()),
    ("OUTPUT-8", "list_for_attempt", LOG, output(producer="p")),
)


@pytest.mark.parametrize(("requirement", "read", "state", "call"), EFFECTS)
def test_what_a_write_leaves_is_fixed_by_its_requirement(requirement: str, read: str, state: State, call: Call) -> None:
    """The write names it for a later read."""
    assert requirement in dict(mine(state, call).effects)[read]


def test_runtime_34_is_named_where_a_snapshot_is_not_longer() -> None:
    """After a shorter or equal one it decides what is read; after a longer one it does not."""
    for delta, decides in ((EMPTY, True), (session(BRIEF, HELLO), True), (session(BRIEF, HELLO, HELLO), False)):
        assert ("RUNTIME-34" in dict(mine(SHRUNK, boundary(delta=delta)).effects)["load_session_snapshot"]) is decides


def every_step() -> list[Step]:
    """All steps of all calls above."""
    calls: list[tuple[State, Call]] = [
        *((state, call) for _, _, state, call in (*CASES, *DETAILS, *EFFECTS)),
        *((state, call) for _, state, call in FIRST),
        (SHRUNK, boundary(delta=EMPTY)),
    ]
    return [step for state, call in calls for step in steps(state, call)]


def test_no_reason_is_given_twice_or_unknown() -> None:
    """Each answer is decided by at least one requirement, and names none of them twice; all stand in the catalogue."""
    for step in every_step():
        assert step.because
        assert len(set(step.because)) == len(step.because)
        assert {*step.because, *(each for _, ids in (*step.details, *step.effects) for each in ids)} <= set(requirements())


def test_every_requirement_that_a_run_can_reach_decides_something() -> None:
    """Each that is neither internal nor beyond a run of single calls is named by one of the steps above.

    What binds stores of several callers is seen in races, by the order of their answers and by no step.
    """
    named = {
        each
        for step in every_step()
        for ids in (step.because, step.differs, *(ids for _, ids in (*step.details, *step.effects)))
        for each in ids
    }
    reachable = {
        each.id
        for each in requirements().values()
        if each.chapter in ("runtime", "event", "output") and not each.internal and not each.unreached and not each.capability
    }
    assert reachable - named == set()
