"""A violation as a script: its calls, each with the moves of processes before it, up to the answer that is wrong."""

from __future__ import annotations

from typing import NamedTuple

from fencepost.statemachines.checker import Move, Performed, Violation


class Line(NamedTuple):
    """A call, with the moves of processes that come right before it."""

    moves: tuple[Move, ...]
    performed: Performed


Script = tuple[Line, ...]


def script_of(violation: Violation) -> Script:
    """The calls of the violation's program, and last the one that was answered wrongly: it may have looked after them."""
    lines: list[Line] = []
    moves: list[Move] = []
    for event in violation.program:
        if isinstance(event.action, Move):
            moves.append(event.action)
        else:
            lines.append(Line(tuple(moves), Performed(event.now, event.action, event.answer)))
            moves.clear()
    last = violation.performed[-1]
    if lines and lines[-1].performed.call == last.call:
        return (*lines[:-1], lines[-1]._replace(performed=last))
    return (*lines, Line(tuple(moves), last))
