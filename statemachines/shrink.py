"""From a program that breaks the law to a short one.

A run that found a violation has made dozens of calls; few of them matter. Here calls are left out and values made plain, one
at a time, for as long as the store goes on breaking the same requirement. Values that the store minted are carried over:
what stood for the lease, the claim or the input answered by some call stands for what the same call answers now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgspec
from fencepost.spec import (
    Artifact,
    FileRef,
    Final,
    Inline,
    InvalidArgument,
    Json,
    Partial,
    Progress,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
)
from fencepost.spec.lease import LeaseProof
from fencepost.spec.operations import OPERATIONS
from msgspec.structs import replace

from .calls import TimeIsUp
from .checker import Call, Event, Move, Violation
from .environment import BEGINNING
from .lookalikes import UNLIKE, in_all, told_apart
from .minted import Claim, Program, kind_of, minted_in, origin, places, places_shown

Attempt: TypeAlias = Callable[[Program], Violation | None]
"""Runs a program from an empty store: the violation it ends in, or None."""


RUNS_AGAIN = 10
"""How often what an unsteady store did is tried once more."""

PLAIN_NUMBER = 10
"""Larger numbers are tried as this one, and then as 1."""

PLAIN_LENGTH = 8
"""Longer texts are tried as a short one, and so are those with characters that are not seen."""

PLAIN_KINDS: dict[type[msgspec.Struct], msgspec.Struct] = {
    TurnInputIngressActiveTurn: TurnInputIngressNextTurn(),
    # a kind of event that is still there is one that matters: a rule on kinds (OUTPUT-17) decides of nothing else
    **dict.fromkeys((Final, Partial, Artifact), Progress("")),
    FileRef: Inline(Json()),
}
"""Records of one kind are tried as the plainest record that may stand in their place."""


def shrunk(violation: Violation, attempt: Attempt) -> Violation:
    """The violation of the shortest program found in which one of the same requirements is in question.

    Ctrl-C, and the end of the time that there is, end the search with what was found so far. What an unsteady store does not
    do again is the violation as it was met.
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

    passes = (_leave_out, _do_not_wait, _make_plain, _tell_apart)
    try:
        if is_unsteady and not _comes_back(violation, attempt):
            return violation
        best = violation = _without_looking(violation, attempt)
        while any(shorten(lambda: best.program, breaks_the_same) for shorten in passes):
            pass
    except KeyboardInterrupt:
        best.interrupted = True
    except TimeIsUp:
        best.is_long = True
    best.is_unsteady = is_unsteady
    # what is left is needed: a call that must not have had an effect, and is needed, has had one
    needed = (*_reopened(best), *_taken_for_one(best), *best.without_effect)
    best.requirements = tuple(dict.fromkeys((*needed, *best.requirements)))
    return best


def _comes_back(violation: Violation, attempt: Attempt) -> bool:
    """Whether a program shows its violation again if it is run a few times more."""
    again = (attempt(violation.program) for _ in range(RUNS_AGAIN))
    return any(found is not None and alike(found, violation) for found in again)


def _reopened(violation: Violation) -> tuple[str, ...]:
    """What is broken where the store has to be opened again for the violation to show."""
    if not any(isinstance(event.action, Move) and event.action.method == "reopen" for event in violation.program):
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
    """Whether two violations are of one kind: the same call, wrong in the same field, by some common requirement."""
    return (
        left.performed[-1].call.operation == right.performed[-1].call.operation
        and _without_places(left.path) == _without_places(right.path)
        and not set(left.requirements).isdisjoint(right.requirements)
    )


def _without_places(path: str) -> list[str]:
    return [name for name in path.split(".") if not name.isdigit()]


def _leave_out(current: Callable[[], Program], holds: Callable[[Program], bool]) -> bool:
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


def _do_not_wait(current: Callable[[], Program], holds: Callable[[Program], bool]) -> bool:
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


def _make_plain(current: Callable[[], Program], holds: Callable[[Program], bool]) -> bool:
    """Put simpler values in place of arguments; whether any could be."""
    changed = False
    for place in range(len(current())):
        tried: set[object] = set()
        # with a simpler value the law may be broken sooner: then the program ends there
        while place < len(current()) and (candidate := _next_plainer(current(), place, tried)) is not None:
            changed = holds(candidate) or changed
    return changed


def _next_plainer(program: Program, place: int, tried: set[object]) -> Program | None:
    """The program with the next simpler action at this place that was not tried yet."""
    event = program[place]
    if not isinstance(event.action, Call):
        return None
    operation, given = event.action
    for index, (name, _) in enumerate(OPERATIONS[operation].parameters):
        for plainer in (*plainer_values(given[index], kind_of(name)), *_smaller_numbers(program, event.action, index)):
            arguments = (*given[:index], plainer, *given[index + 1 :])
            if arguments not in tried:
                tried.add(arguments)
                return (*program[:place], event._replace(action=Call(operation, arguments)), *program[place + 1 :])
    return None


def _smaller_numbers(program: Program, call: Call, index: int) -> Iterator[int]:
    """What other calls of the operation have in the place of this one's number: two that are equal are plainer.

    Only if it is smaller, or two calls would take each other's for ever.
    """
    given = call.arguments[index]
    if type(given) is not int:
        return
    for event in program:
        if isinstance(event.action, Call) and event.action.operation == call.operation:
            number = event.action.arguments[index]
            if type(number) is int and number < given:
                yield number


def _tell_apart(current: Callable[[], Program], holds: Callable[[Program], bool]) -> bool:
    """Of texts that look alike make one, or two that do not; whether that could be done."""
    changed = False
    for one, other in tuple(told_apart(current())):
        candidates = (in_all(current(), other, text) for text in (one, UNLIKE))
        changed = any(candidate is not None and holds(candidate) for candidate in candidates) or changed
    return changed


def plainer_values(value: object, kind: str | None = None) -> Iterator[object]:
    """Simpler values of the same type: small numbers, plain text, fields at their defaults, fewer items.

    Proofs and claims stay as they were granted, and so does every text of a kind that stores mint.
    """
    if type(value) is int and value > PLAIN_NUMBER:
        yield PLAIN_NUMBER
        # what is to be small may be smaller yet
        yield 1
    elif isinstance(value, str) and kind is None and not _is_plain(value):
        yield "s"
    elif isinstance(value, tuple):
        for index in range(len(value)):
            yield (*value[:index], *value[index + 1 :])
        for index, item in enumerate(value):
            yield from ((*value[:index], plainer, *value[index + 1 :]) for plainer in plainer_values(item, kind))
    elif isinstance(value, Json) and value != Json():
        yield Json()
    elif isinstance(value, msgspec.Struct) and not isinstance(value, LeaseProof | Claim):
        if type(value) in PLAIN_KINDS:
            yield PLAIN_KINDS[type(value)]
        for field in msgspec.structs.fields(value):
            given = getattr(value, field.name)
            if field.default is not msgspec.NODEFAULT and given != field.default:
                yield from _with(value, field.name, field.default)
            for plainer in plainer_values(given, kind_of(field.name, type(value))):
                yield from _with(value, field.name, plainer)


def _is_plain(text: str) -> bool:
    """Whether a text is short, and each of its characters is seen and known everywhere."""
    return len(text) <= PLAIN_LENGTH and text.isascii() and text.isprintable()


def _with(record: msgspec.Struct, field: str, value: object) -> Iterator[msgspec.Struct]:
    """The record with another value in a field, if there is such a record: two ids may not become one."""
    try:
        changed = replace(record, **{field: value})
    except InvalidArgument:
        return
    yield changed


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
