"""A violation as a script: its calls, each with the moves before it, up to the answer that is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fencepost.statemachines.checker import EMPTY, REOPEN, Event, Move, Performed, Violation


class Line(NamedTuple):
    """A call, with the moves that come right before it: processes start and end, and what `MOVED` tells of."""

    moves: tuple[Event, ...]
    performed: Performed


Script = tuple[Line, ...]

MOVED = {REOPEN: "the store is closed and opened again", EMPTY: "the caller empties the list that it was given"}
"""What else is done between calls, in words."""


def script_of(violation: Violation) -> Script:
    """The calls of the violation's program, and last the one that was answered wrongly: it may have looked after them."""
    lines: list[Line] = []
    moves: list[Event] = []
    for event in violation.program:
        if isinstance(event.action, Move):
            moves.append(event._replace(now=event.now + violation.ahead))
        else:
            lines.append(Line(tuple(moves), Performed(_instant(event, violation), event.action, event.answer)))
            moves.clear()
    last = violation.performed[-1]
    if moves or not lines:
        # a look after moves is a call of its own, be it the very one that came before them
        return (*lines, Line(tuple(moves), last))
    *lines, final = lines
    if final.performed.call == last.call:
        # by the time of day it ended later than it began, which is what a program waits for
        began = final.performed.now if violation.ahead else last.now
        return (*lines, final._replace(performed=last._replace(now=began)))
    return (*lines, _answered(final, violation.performed), Line((), last))


def _instant(event: Event, violation: Violation) -> int:
    """When the call was made, or meant to be made; what came at an edge, at that edge."""
    return event.edge.end + event.edge.after if event.edge else event.now + violation.ahead


def _answered(line: Line, performed: Sequence[Performed]) -> Line:
    """The last line of a program with its answer, which the program of a violation does not have."""
    call = line.performed.call
    return next((line._replace(performed=each) for each in reversed(performed) if each.call == call), line)
