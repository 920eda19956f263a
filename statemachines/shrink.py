"""From a program that breaks the law to a short one.

A run that found a violation has made dozens of calls; few of them matter. Here calls are left out and values made plain, one
at a time, for as long as the store goes on breaking the same requirement. Values that the store minted are carried over:
what stood for the lease answered by some call stands for the lease that the same call answers now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import msgspec
from fencepost.spec import Acquired, Busy, RuntimeCommitResult, SessionExecutionLease
from fencepost.spec.lease import LeaseProof
from msgspec.structs import replace

from .checker import Call, Event, Violation
from .environment import Clock

Program: TypeAlias = tuple[Event, ...]
Attempt: TypeAlias = Callable[[Program], Violation | None]
"""Runs a program from an empty store: the violation it ends in, or None."""


PLAIN_NUMBER = 10
"""Larger numbers are tried as this one."""

PLAIN_LENGTH = 8
"""Longer texts are tried as a short one."""


def shrunk(violation: Violation, attempt: Attempt) -> Violation:
    """The violation of the shortest program found in which one of the same requirements is in question.

    Ctrl-C ends the search with what was found so far.
    """
    best = violation = _without_looking(violation, attempt)

    def breaks_the_same(program: Program) -> bool:
        nonlocal best
        if not grounded(program, best.program):
            return False
        found = attempt(program)
        if found is None or not alike(found, violation):
            return False
        best = found
        return True

    passes = (_leave_out, _do_not_wait, _make_plain)
    try:
        while any(shorten(lambda: best.program, breaks_the_same) for shorten in passes):
            pass
    except KeyboardInterrupt:
        best.interrupted = True
    # what is left is needed: a call that must not have had an effect, and is needed, has had one
    best.requirements = tuple(dict.fromkeys((*best.without_effect, *best.requirements)))
    return best


def _without_looking(violation: Violation, attempt: Attempt) -> Violation:
    """The violation again, from a program that makes just the calls it needs: looks after calls are left out or spelled out."""
    look = Event(violation.performed[-1].now, violation.performed[-1].call)
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
        events.append(Event(performed.now, performed.call, performed.answer))
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
            if holds(program[:start] + program[end:]):
                changed = True
            end = start
        if length == 1:
            return changed
        length //= 2


def _do_not_wait(current: Callable[[], Program], holds: Callable[[Program], bool]) -> bool:
    """Let no time pass before an event; whether any wait could go."""
    changed = False
    for place in range(len(current())):
        program = current()
        if place >= len(program):
            break
        waited = program[place].now - (program[place - 1].now if place else Clock().now)
        sooner = tuple(event._replace(now=event.now - waited) for event in program[place:])
        if waited and holds((*program[:place], *sooner)):
            changed = True
    return changed


def _make_plain(current: Callable[[], Program], holds: Callable[[Program], bool]) -> bool:
    """Put simpler values in place of arguments; whether any could be."""
    changed = False
    for place in range(len(current())):
        tried: set[object] = set()
        while (candidate := _next_plainer(current(), place, tried)) is not None:
            if holds(candidate):
                changed = True
            if place >= len(current()):
                break
    return changed


def _next_plainer(program: Program, place: int, tried: set[object]) -> Program | None:
    """The program with the next simpler action at this place that was not tried yet."""
    event = program[place]
    if not isinstance(event.action, Call):
        return None
    for index, argument in enumerate(event.action.arguments):
        for plainer in plainer_values(argument):
            arguments = (*event.action.arguments[:index], plainer, *event.action.arguments[index + 1 :])
            if arguments not in tried:
                tried.add(arguments)
                action = Call(event.action.operation, arguments)
                return (*program[:place], event._replace(action=action), *program[place + 1 :])
    return None


def plainer_values(value: object) -> Iterator[object]:
    """Simpler values of the same type: small numbers, plain text, fields at their defaults, fewer items; proofs stay as is."""
    if type(value) is int and value > PLAIN_NUMBER:
        yield PLAIN_NUMBER
    elif isinstance(value, str) and (len(value) > PLAIN_LENGTH or not value.isascii()):
        yield "s"
    elif isinstance(value, tuple):
        for index in range(len(value)):
            yield (*value[:index], *value[index + 1 :])
        for index, item in enumerate(value):
            yield from ((*value[:index], plainer, *value[index + 1 :]) for plainer in plainer_values(item))
    elif isinstance(value, msgspec.Struct) and not isinstance(value, LeaseProof):
        for field in msgspec.structs.fields(value):
            given = getattr(value, field.name)
            if field.default is not msgspec.NODEFAULT and given != field.default:
                yield replace(value, **{field.name: field.default})
            yield from (replace(value, **{field.name: plainer}) for plainer in plainer_values(given))


def grounded(program: Program, whole: Program) -> bool:
    """Whether no call shows a lease that a call of the whole program had answered, and that has been left out."""
    minted = {lease.lease_token for event in whole if (lease := shown_lease(event.answer))}
    known: set[str] = set()
    for event in program:
        if isinstance(event.action, Call) and (minted & set(tokens_in(event.action.arguments))) - known:
            return False
        if lease := shown_lease(event.answer):
            known.add(lease.lease_token)
    return True


def tokens_in(value: object) -> Iterator[str]:
    """The lease tokens of all proofs in a value."""
    if isinstance(value, LeaseProof):
        yield value.lease_token
    elif isinstance(value, tuple):
        for item in value:
            yield from tokens_in(item)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from tokens_in(getattr(value, name))


class Renaming:
    """What the values minted in one run are called in another."""

    def __init__(self) -> None:
        self._text: dict[str, str] = {}
        self._leases: dict[str, tuple[SessionExecutionLease, SessionExecutionLease]] = {}

    def learn(self, earlier: object, now: object) -> None:
        """Two answers of one call, in the earlier run and now."""
        old, new = shown_lease(earlier), shown_lease(now)
        if old is not None and new is not None:
            self._leases[old.lease_token] = (old, new)
        if isinstance(earlier, RuntimeCommitResult) and isinstance(now, RuntimeCommitResult):
            for was, becomes in zip(_refs(earlier), _refs(now), strict=True):
                if was is not None and becomes is not None:
                    self._text[was] = becomes

    def apply(self, value: Any) -> Any:
        """The value with everything minted renamed."""
        if isinstance(value, str):
            return self._text.get(value, value)
        if isinstance(value, tuple):
            return tuple(map(self.apply, value))
        if isinstance(value, LeaseProof):
            return self._proof(value)
        if isinstance(value, msgspec.Struct):
            renamed = {name: self.apply(getattr(value, name)) for name in value.__struct_fields__}
            changed = {name: new for name, new in renamed.items() if new is not getattr(value, name)}
            return replace(value, **changed) if changed else value
        return value

    def _proof(self, proof: LeaseProof) -> LeaseProof:
        """The proof of the lease in its place now; what was altered in it stays altered."""
        if proof.lease_token not in self._leases:
            return proof
        old, new = self._leases[proof.lease_token]
        fence = max(0, proof.fencing_token + new.fencing_token - old.fencing_token)
        owner = new.owner if proof.owner == old.owner else proof.owner
        return replace(proof, owner=owner, lease_token=new.lease_token, fencing_token=fence)


def shown_lease(answer: object) -> SessionExecutionLease | None:
    """The lease that an answer shows, if it shows one."""
    match answer:
        case Acquired(lease=lease) | Busy(holder=lease):
            return lease
        case SessionExecutionLease():
            return answer
    return None


def _refs(result: RuntimeCommitResult) -> tuple[str | None, ...]:
    manifest = result.manifest
    return (result.checkpoint_ref, manifest.tool_state_ref, manifest.plugin_snapshot_ref, manifest.execution_state_ref)
