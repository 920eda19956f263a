"""From a program that breaks the law to a short one.

A run that found a violation has made dozens of calls; few of them matter. Here calls are left out and values made plain, one
at a time, for as long as the store goes on breaking the same requirement. Values that the store minted are carried over:
what stood for the lease, the claim or the input answered by some call stands for what the same call answers now.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TypeAlias

from fencepost.spec.operations import OPERATIONS

from .calls import TimeIsUp
from .checker import EMPTY, REOPEN, Call, Event, Violation
from .environment import BEGINNING, Unavailable
from .lookalikes import UNLIKE, in_all, told_apart
from .minted import Program, minted_in, origin, places, places_shown
from .plainer import Current, Holds, make_plain, make_plain_everywhere

Attempt: TypeAlias = Callable[[Program], Violation | None]
"""Runs a program from an empty store: the violation it ends in, or None."""


RUNS_AGAIN = 10
"""How often what an unsteady store did is tried once more."""


def shrunk(violation: Violation, attempt: Attempt) -> Violation:
    """The violation of the shortest program found in which one of the same requirements is in question.

    Ctrl-C, the end of the time that there is, and a store that is not to be had any more end the search with what was found so
    far. What an unsteady store does not do again is the violation as it was met.
    """
    best, is_unsteady = violation, violation.is_unsteady

    def breaks_the_same(program: Program) -> bool:
        nonlocal best
        if not grounded(program, best.program):
            return False
        found = attempt(program)
        # a call that is still there may have answered otherwise, and granted nothing that could be shown
        if found is None or not alike(found, violation) or not grounded(found.program, best.program):
            return False
        best = found
        return True

    passes = (_leave_out, _do_not_wait, make_plain, make_plain_everywhere, _tell_apart)
    try:
        if is_unsteady and not _comes_back(violation, attempt):
            return violation
        best = violation = _without_looking(violation, attempt)
        while any(shorten(lambda: best.program, breaks_the_same) for shorten in passes):
            pass
    except KeyboardInterrupt:
        best.interrupted = True
    except (TimeIsUp, Unavailable):
        best.is_long = True
    best.is_unsteady = is_unsteady
    # what is left is needed: a call that must not have had an effect, and is needed, has had one
    needed = (*_emptied(best), *_reopened(best), *_taken_for_one(best), *best.without_effect)
    # but nobody knows of a program that was not shortened to its end
    in_order = (best.requirements, needed) if best.interrupted or best.is_long else (needed, best.requirements)
    best.requirements = tuple(dict.fromkeys(chain(*in_order)))
    return best


def _comes_back(violation: Violation, attempt: Attempt) -> bool:
    """Whether a program shows its violation again if it is run a few times more."""
    again = (attempt(violation.program) for _ in range(RUNS_AGAIN))
    return any(found is not None and alike(found, violation) for found in again)


def _emptied(violation: Violation) -> tuple[str, ...]:
    """What is broken where the caller has to empty a list of its own for the violation to show."""
    return ("VALUE-4",) if any(event.action == EMPTY for event in violation.program) else ()


def _reopened(violation: Violation) -> tuple[str, ...]:
    """What is broken where the store has to be opened again for the violation to show."""
    if not any(event.action == REOPEN for event in violation.program):
        return ()
    metadata = violation.performed[-1].call.operation == "load_session_meta"
    return ("META-5", "VALUE-9") if metadata else ("VALUE-9",)


def _taken_for_one(violation: Violation) -> tuple[str, ...]:
    """What is broken where two texts have to look alike for the violation to show."""
    return ("VALUE-12",) if any(told_apart(violation.program)) else ()


def _without_looking(violation: Violation, attempt: Attempt) -> Violation:
    """The violation again, from a program that makes just the calls it needs: looks after calls are left out or spelled out."""
    look = Event(violation.performed[-1].now - violation.ahead, violation.performed[-1].call)
    candidates = [violation.program, _spelled_out(violation)]
    if violation.program and look.action != violation.program[-1].action:
        # it was seen while looking after the last call: if just looking shows it, that call is beside the point
        candidates.insert(0, (*violation.program[:-1], look))
    for program in candidates:
        found = attempt(program)
        if found is not None and alike(found, violation):
            return found
    return violation


def _spelled_out(violation: Violation) -> Program:
    """The program with every look after a call as an event of its own, for a store in which reads matter."""
    events: list[Event] = []
    ahead = list(violation.program)
    for performed in violation.performed:
        while ahead and not isinstance(ahead[0].action, Call):
            events.append(ahead.pop(0))
        if ahead and ahead[0].action == performed.call:
            ahead.pop(0)
        events.append(Event(performed.now - violation.ahead, performed.call, performed.answer))
    return tuple(events)


def alike(left: Violation, right: Violation) -> bool:
    """Whether two violations are of one kind: of one call, by the same first requirement, or in the same field by a common one.

    A field that is read wrongly may be so in more than one read.
    """
    calls = {each.performed[-1].call.operation for each in (left, right)}
    same_call = len(calls) == 1 or (left.path != "" and all(OPERATIONS[each].reads for each in calls))
    same_field = fields_of(left.path) == fields_of(right.path)
    common = not set(left.requirements).isdisjoint(right.requirements)
    return same_call and (left.requirements[:1] == right.requirements[:1] or (same_field and common))


def fields_of(path: str) -> list[str]:
    """The fields that a path goes by, of whichever items of a list."""
    return [name for name in path.split(".") if not name.isdigit()]


def _leave_out(current: Current, holds: Holds) -> bool:
    """Leave out runs of events, long ones first, from the end; whether any could go."""
    changed = False
    length = max(1, len(current()) // 2)
    while True:
        end = len(current())
        while end > 0:
            program = current()
            start = max(0, end - length)
            shorter = _without(program, start, end)
            if len(shorter) < len(program) and holds(shorter):
                changed = True
            end = start
        if length == 1:
            return changed
        length //= 2


def _without(program: Program, start: int, end: int) -> Program:
    """The program without these events, and without the calls that show what only these had answered."""
    minted = minted_in(program)
    known: dict[str, set[str]] = {}
    kept = []
    for event in (*program[:start], *program[end:]):
        if _shows_known(event, minted, known):
            kept.append(event)
            _know(event, known)
    return tuple(kept)


def _do_not_wait(current: Current, holds: Holds) -> bool:
    """Let no time pass before an event; whether any wait could go."""
    changed = False
    for place in range(len(current())):
        program = current()
        if place >= len(program):
            break
        waited = program[place].now - (program[place - 1].now if place else BEGINNING)
        sooner = [event._replace(now=event.now - waited) for event in program[place:]]
        sooner[0] = sooner[0]._replace(edge=None)
        if waited and holds((*program[:place], *sooner)):
            changed = True
    return changed


def _tell_apart(current: Current, holds: Holds) -> bool:
    """Of texts that look alike make one, or two that do not; whether that could be done."""
    changed = False
    for one, other in tuple(told_apart(current())):
        candidates = (in_all(current(), other, text) for text in (one, UNLIKE))
        changed = any(candidate is not None and holds(candidate) for candidate in candidates) or changed
    return changed


def grounded(program: Program, whole: Program) -> bool:
    """Whether no call shows a value that a call of the whole program had minted, and that no call before it answered."""
    minted = minted_in(whole)
    known: dict[str, set[str]] = {}
    for event in program:
        if not _shows_known(event, minted, known):
            return False
        _know(event, known)
    return True


def _shows_known(event: Event, minted: dict[str, set[str]], known: dict[str, set[str]]) -> bool:
    for place in places_shown(event.action) if isinstance(event.action, Call) else ():
        shown = origin(place.text, minted.get(place.kind, ()))
        if shown is not None and shown not in known.get(place.kind, ()):
            return False
    return True


def _know(event: Event, known: dict[str, set[str]]) -> None:
    for place in places(event.answer):
        known.setdefault(place.kind, set()).add(place.text)
