"""Event logs: what follows for one turn, and what any run of calls leaves to be read."""

from __future__ import annotations

from itertools import product
from uuid import UUID

from fencepost.spec import AgentEventEnvelope, StoredTurnEvents, TextDelta
from fencepost.spec.liveness import Alive

from .. import event as calls
from ..contracts import ensure, require
from ..records.event import TurnRecord, appended, closed, valid
from ..state import State
from ..step import Ports, Refused
from .exhaustion import exhausted


@require(lambda record: valid(record))
@ensure(lambda result: result is None, "EVENT-INV-3", "a finished turn takes nothing more, be it an event or an end")
def after_its_end(record: TurnRecord | None, finish: bool) -> TurnRecord | None:
    """A turn that was finished, after another append or finish: there is none, for it is refused."""
    ended = closed(record)
    return None if ended is None else closed(ended) if finish else appended(ended)


@require(lambda record: valid(record))
@ensure(lambda record, result: result >= (record.events if record else 0), "EVENT-INV-4", "the events of a turn only grow")
def events_after(record: TurnRecord | None, finish: bool, finish_too: bool) -> int:
    """How many events a turn has after two calls, refused or not."""
    first = closed(record) if finish else appended(record)
    second = closed(first or record) if finish_too else appended(first or record)
    after = second or first or record
    return after.events if after is not None else 0


PORTS = Ports(1, lambda pid, start: Alive.unknown)
CALLS = (("append", 2), ("append", 1), ("finish", 2), ("finish", 1), ("clear", 0), ("append elsewhere", 2))
LENGTH = 6
Run = tuple[tuple[str, int], ...]


def _event(number: int) -> AgentEventEnvelope:
    return AgentEventEnvelope(UUID(int=number), 0, "2026-01-01T00:00:00Z", TextDelta("m", "piece"))


def _made(state: State, number: int, what: str, turn: int) -> tuple[State, bool]:
    """The state after one call, and whether it was refused."""
    if what == "clear":
        (step,) = calls.clear(state, PORTS, "th")
    elif what == "finish":
        (step,) = calls.finish_turn(state, PORTS, "th", turn)
    else:
        (step,) = calls.append(state, PORTS, "th" if what == "append" else "other", turn, _event(number))
    return step.state, isinstance(step.answer, Refused)


def _read(state: State, thread: str) -> tuple[object, object, object]:
    (turns,) = calls.get_turns(state, PORTS, thread)
    (events,) = calls.get_events(state, PORTS, thread)
    singly = tuple(
        step.answer for turn in (1, 2) for step in calls.get_turn(state, PORTS, thread, turn) if step.answer is not None
    )
    return turns.answer, events.answer, singly


@exhausted(
    "finished turns never change, turns hold what was appended in its order, and every read agrees with it",
    "EVENT-7",
    "EVENT-8",
    "EVENT-13",
    "EVENT-20",
    "EVENT-22",
    "EVENT-28",
    "EVENT-INV-3",
    scope=f"all runs of {LENGTH} appends, finishes and clears of 2 turns in 2 threads",
    cases=lambda: ((run,) for run in product(CALLS, repeat=LENGTH)),
)
def reads_tell_what_was_written(run: Run) -> bool:
    """What a run leaves, told twice: by plain lists, and by the calls."""
    state, told = State(), {"th": dict[int, list[int]](), "other": dict[int, list[int]]()}
    finished: set[int] = set()
    for number, (what, turn) in enumerate(run):
        thread = "other" if what == "append elsewhere" else "th"
        state, refused = _made(state, number, what, turn)
        if refused != (thread == "th" and what != "clear" and turn in finished):
            return False
        if what == "clear":
            told["th"], finished = {}, set()
        elif what == "finish":
            told["th"].setdefault(turn, [])
            finished.add(turn)
        elif not refused:
            told[thread].setdefault(turn, []).append(number)
    for thread, turns in told.items():
        ended = finished if thread == "th" else ()
        shown = tuple(StoredTurnEvents(each, tuple(map(_event, turns[each])), each in ended) for each in sorted(turns))
        events = tuple(event for each in shown for event in each.events)
        if _read(state, thread) != (shown, events, shown):
            return False
    return True
