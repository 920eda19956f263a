"""The output log: what every way to find a record answers, of any line of appends."""

from __future__ import annotations

from itertools import product

from fencepost.spec import Final, Inline, Json, OutputNotFound, OutputRecord, OutputRef
from fencepost.spec.liveness import Alive

from .. import output as calls
from ..state import State
from ..step import Ports, Refused
from .exhaustion import exhausted, tuples

PORTS = Ports(1, lambda pid, start: Alive.unknown)
KINDS = tuple(product(("t", "u"), (1, 2), ("a", "b")))
"""Task, attempt and producer of a record."""

LINE = 4
Line = tuple[tuple[str, int, str], ...]
EVENT = Final(Inline(Json()), ok=True)


def _appended(line: Line) -> tuple[State, list[OutputRecord]]:
    """The state after these appends, and the records that they answered."""
    state, records = State(), []
    for task, attempt, producer in line:
        step, *_ = calls.append(state, PORTS, task, attempt, producer, EVENT, ())
        assert isinstance(step.answer, OutputRef)
        records.append(OutputRecord(step.answer, task, attempt, producer, EVENT, ()))
        state = step.state
    return state, records


@exhausted(
    "latest is last: of a producer the record appended last, whatever its task and attempt",
    "OUTPUT-15",
    "OUTPUT-16",
    "OUTPUT-18",
    "OUTPUT-24",
    scope=f"all lines of up to {LINE} appends of 2 producers, in 2 attempts of 2 tasks",
    cases=lambda: ((line,) for line in tuples(KINDS, LINE)),
)
def latest_is_last(line: Line) -> bool:
    """The latest of each name, and of one that nobody has."""
    state, records = _appended(line)
    for name in ("a", "b", "nobody"):
        (step,) = calls.get_latest_by_name(state, PORTS, name)
        last = None
        for record in records:
            last = record if record.producer_agent == name else last
        if step.answer != (last if last is not None else Refused(OutputNotFound(name))):
            return False
    return True


@exhausted(
    "line order: the list of an attempt is what was appended to it, in that order, and all lists together are the line",
    "OUTPUT-13",
    "OUTPUT-14",
    "OUTPUT-21",
    "OUTPUT-22",
    "OUTPUT-INV-1",
    "OUTPUT-INV-2",
    "OUTPUT-3",
    scope=f"all lines of up to {LINE} appends of 2 producers, in 2 attempts of 2 tasks",
    cases=lambda: ((line,) for line in tuples(KINDS, LINE)),
)
def lists_keep_the_line(line: Line) -> bool:
    """The list of each attempt, the record of each id, and that no id names two."""
    state, records = _appended(line)
    listed = 0
    for task, attempt in product(("t", "u", "v"), (1, 2)):
        (step,) = calls.list_for_attempt(state, PORTS, task, attempt)
        wanted = tuple(each for each in records if each.task_id == task and each.attempt == attempt)
        listed += len(wanted)
        if step.answer != wanted:
            return False
    found = [calls.get(state, PORTS, each.id)[0].answer for each in records]
    missing = calls.get(state, PORTS, OutputRef("out-none"))[0].answer
    ids = {each.id for each in records}
    return listed == len(line) == len(ids) and found == records and missing == Refused(OutputNotFound("out-none"))
