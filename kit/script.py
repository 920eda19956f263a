"""A violation as a script: calls with their instants and the moves of processes before them, to make again and to shorten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
from fencepost.spec import Acquired, Busy, RuntimeCommit, SessionExecutionLease
from fencepost.spec.lease import LeaseProof
from fencepost.statemachines.checker import Call, Checker, Performed, Violation
from fencepost.statemachines.environment import Clock
from fencepost.statemachines.tally import Tally
from msgspec.structs import replace

from .backend import BackendError, Factory, fresh_environment
from .recording import Found, Move
from .source import is_minted, minted_in

TRIALS = 300
"""How often the calls of a violation are made again at most, to shorten them."""


class Line(NamedTuple):
    """A call, with the moves of processes that come right before it."""

    moves: tuple[Move, ...]
    performed: Performed


Script = tuple[Line, ...]


def script(found: Found) -> Script:
    """The script of a violation as it was found."""
    performed = found.violation.performed
    last = len(performed) - 1
    moves = [tuple(move for move in found.moves if min(move.after, last) == place) for place in range(len(performed))]
    return tuple(map(Line, moves, performed))


def shortened(factory: Factory, found: Found, *, strict: bool) -> tuple[Script, Violation]:
    """The script without the calls, moves and waits that the violation does not need, and the violation it ends in.

    A shorter script is taken if making its calls on a fresh store ends in the same violation: the same call, wrong in the same
    field. What a run ends in was shortened before, but as its machine makes runs: looking around after the calls.
    """
    shortening = Shortening(factory, found, strict=strict)
    while shortening.leaves_out_calls() | shortening.leaves_out_moves_and_waits() | shortening.makes_plain():
        pass
    return shortening.best, shortening.violation


class Shortening:
    """The shortest script so far, and ways to make it shorter; each tells whether it could."""

    def __init__(self, factory: Factory, found: Found, *, strict: bool) -> None:
        self.best = script(found)
        self.violation = found.violation
        self._factory = factory
        self._strict = strict
        self._trials = TRIALS

    def leaves_out_calls(self) -> bool:
        """Many at a time first, from the end; moves of processes stay, before the next call."""
        changed, length = False, max(1, len(self.best) // 2)
        while length:
            end = len(self.best) - 1
            while end > 0:
                start = max(0, end - length)
                changed |= self._takes(_without(self.best, start, end))
                end = start
            length //= 2
        return changed

    def leaves_out_moves_and_waits(self) -> bool:
        """A move of a process; the time that passes before a call."""
        changed = False
        for place in range(len(self.best)):
            for move in self.best[place].moves:
                moves = tuple(each for each in self.best[place].moves if each is not move)
                changed |= self._takes(_with(self.best, place, self.best[place]._replace(moves=moves)))
            changed |= self._takes(_without_wait(self.best, place))
        return changed

    def makes_plain(self) -> bool:
        """A commit without the parts it need not carry; a proof as it was granted."""
        changed = False
        for place in range(len(self.best)):
            while any(self._takes(lines) for lines in _plainer_at(self.best, place)):
                changed = True
        return changed

    def _takes(self, lines: Script) -> bool:
        if lines == self.best or self._trials == 0 or not _grounded(lines, self.best):
            return False
        self._trials -= 1
        again = made_again(self._factory, lines, strict=self._strict)
        if again is None or not _same(again, self.violation):
            return False
        self.best = tuple(line._replace(performed=each) for line, each in zip(lines, again.performed, strict=True))
        self.violation = again
        return True


def made_again(factory: Factory, lines: Script, *, strict: bool) -> Violation | None:
    """Make the calls on a fresh store; the violation if the last call ends in one, None if none or an earlier one does."""
    minted = _Minted()
    with fresh_environment() as environment:
        try:
            store = factory.open(environment)
        except BackendError:
            return None
        checker = Checker(store, environment, Tally(), strict=strict)
        try:
            for line in lines:
                for move in line.moves:
                    getattr(environment.process_alive, move.method)(*move.arguments)
                environment.clock.move_to(line.performed.now)
                operation, arguments = line.performed.call
                checker.perform(Call(operation, minted.renamed(arguments)))
                minted.learn(line.performed.answer, checker.performed[-1].answer)
        except Violation as violation:
            return violation if len(violation.performed) == len(lines) else None
        finally:
            factory.close(store)
    return None


class _Minted:
    """What the store minted the last time, and what it has minted in its place this time."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._leases: dict[LeaseProof, SessionExecutionLease] = {}

    def learn(self, old: object, new: object) -> None:
        """The answers of one call then and now."""
        self._values.update(_pairs(old, new))
        then, now = _lease_in(old), _lease_in(new)
        if then and now:
            self._leases[then.fence()] = self._leases[then.completion()] = now

    def renamed(self, value: Any, field: str = "") -> Any:
        """The value as it has to be shown this time."""
        if isinstance(value, LeaseProof) and value in self._leases:
            now = self._leases[value]
            return type(value)(now.session_id, now.owner, now.lease_token, now.fencing_token)
        if isinstance(value, str):
            return self._value(value) if is_minted(field) else value
        if isinstance(value, tuple):
            return tuple(self.renamed(item, field) for item in value)
        if isinstance(value, msgspec.Struct):
            return replace(value, **{name: self.renamed(getattr(value, name), name) for name in value.__struct_fields__})
        return value

    def _value(self, value: str) -> str:
        """Also if something was put behind the minted value to make it wrong."""
        old = value if value in self._values else next((each for each in self._values if each and value.startswith(each)), None)
        return value if old is None else self._values[old] + value[len(old) :]


def _same(again: Violation, violation: Violation) -> bool:
    ours, theirs = violation.performed[-1], again.performed[-1]
    return (
        again.path == violation.path
        and ours.call.operation == theirs.call.operation
        and type(ours.answer) is type(theirs.answer)
        and type(again.admissible[0].answer) is type(violation.admissible[0].answer)
    )


def _grounded(lines: Script, known: Script) -> bool:
    """Whether every minted value that is shown has been answered before, as it had: none is out of thin air."""
    minted = {value for line in known for value in minted_in(line.performed.answer)}
    brought: set[str] = set()
    for line in lines:
        shown = minted_in(line.performed.call.arguments)
        if any(one.startswith(value) for value in minted - brought for one in shown if one not in brought):
            return False
        brought |= minted_in(line.performed.answer)
    return True


def _without(lines: Script, start: int, end: int) -> Script:
    moves = tuple(move for line in lines[start : end + 1] for move in line.moves)
    return (*lines[:start], lines[end]._replace(moves=moves), *lines[end + 1 :])


def _without_wait(lines: Script, place: int) -> Script:
    waited = lines[place].performed.now - (lines[place - 1].performed.now if place else Clock().now)
    later = (line._replace(performed=line.performed._replace(now=line.performed.now - waited)) for line in lines[place:])
    return (*lines[:place], *later)


def _with(lines: Script, place: int, line: Line) -> Script:
    return (*lines[:place], line, *lines[place + 1 :])


def _plainer_at(lines: Script, place: int) -> Iterator[Script]:
    line = lines[place]
    for call in _plainer(line.performed.call, lines[:place]):
        yield _with(lines, place, line._replace(performed=line.performed._replace(call=call)))


def _plainer(call: Call, before: Iterable[Line]) -> Iterator[Call]:
    """The call with less in it: the most at once first."""
    if not call.arguments:
        return
    first, *others = call.arguments
    leases = {lease.lease_token: lease for line in before if (lease := _lease_in(line.performed.answer))}
    if isinstance(first, LeaseProof) and first.lease_token in leases:
        yield Call(call.operation, (_granted(first, leases), *others))
    if not isinstance(first, RuntimeCommit):
        return
    defaults = {each.name: each.default for each in msgspec.structs.fields(first) if not each.required}
    carried = {name: default for name, default in defaults.items() if getattr(first, name) != default}
    for dropped in (carried, *({name: default} for name, default in carried.items())):
        yield Call(call.operation, (replace(first, **dropped),))
    if first.expected_head_revision:
        yield Call(call.operation, (replace(first, expected_head_revision=0),))
    fence = first.session_execution_lease
    if fence and fence.lease_token in leases:
        yield Call(call.operation, (replace(first, session_execution_lease=_granted(fence, leases)),))


def _granted(proof: LeaseProof, leases: dict[str, SessionExecutionLease]) -> LeaseProof:
    lease = leases[proof.lease_token]
    return type(proof)(lease.session_id, lease.owner, lease.lease_token, lease.fencing_token)


def _lease_in(answer: object) -> SessionExecutionLease | None:
    match answer:
        case Acquired(lease=lease) | Busy(holder=lease):
            return lease
        case SessionExecutionLease():
            return answer
    return None


def _pairs(old: object, new: object, field: str = "") -> Iterator[tuple[str, str]]:
    """Minted values of an answer, each with the one that stands in its place now."""
    if isinstance(old, str) and isinstance(new, str) and is_minted(field):
        yield old, new
    elif isinstance(old, tuple) and isinstance(new, tuple):
        for one, other in zip(old, new, strict=False):
            yield from _pairs(one, other, field)
    elif isinstance(old, msgspec.Struct) and type(old) is type(new):
        for name in old.__struct_fields__:
            yield from _pairs(getattr(old, name), getattr(new, name), name)
