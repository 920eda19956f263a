"""What the model answers to every call that is tried on one part of the store, at one instant."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from fencepost.model import INVARIANTS, TRANSITIONS, Ids, Invariant, Ports, Refused, State, Step, Why
from fencepost.spec.operations import CHAPTERS, OPERATIONS

from .scope import Attempt, Instant, Scope
from .situations import Answered, Cell, answered, cells_of

OPERATIONS_OF: dict[str, frozenset[str]] = {
    chapter: frozenset(name for name, each in OPERATIONS.items() if each.chapter == chapter) for chapter in CHAPTERS
}
"""The calls of each chapter: a scope makes others too, and its cells are of its own."""


class Transition(NamedTuple):
    """A call that was tried, the model's step, and the part after it."""

    attempt: Attempt
    step: Step
    after: State


class Expansion(NamedTuple):
    """All calls on a part at an instant, summed up.

    `successors` are the parts that calls lead to, each once; `beyond` counts the calls that lead out of the scope. What
    decided answers, and which invariants were broken, comes with the place of the first such call among the attempts.
    """

    calls: int
    refused: int
    beyond: int
    successors: tuple[State, ...]
    decided: tuple[tuple[str, int], ...]
    broken: tuple[tuple[str, int], ...]
    cells: frozenset[Cell]


class NotIndependent(Exception):
    """A scope is wrong about what a call reads or writes: its parts cannot be explored on their own."""


def small(scope: Scope, parts: Sequence[State], place: int) -> State:
    """A part with the shadows of the others: what calls on it can see."""
    return scope.joined([part if at == place else scope.shadow(part, at) for at, part in enumerate(parts)])


def transitions(scope: Scope, state: State, place: int, instant: Instant) -> Iterator[Transition]:
    """The model's own steps for every call tried on the part that stands at this place of the state."""
    part = scope.part(state, place)
    for attempt, step in _steps(scope, state, part, place, instant):
        yield Transition(attempt, step, part if step.state is state else scope.part(step.state, place))


def stepped(state: State, attempt: Attempt, instant: Instant) -> Step:
    """The model's own step for a call."""
    ports = Ports(instant.now, instant.alive, attempt.seen)
    return TRANSITIONS[attempt.call.operation](state, ports, *attempt.call.arguments)[0]


def expanded(scope: Scope, state: State, place: int, instant: Instant) -> Expansion:
    """Every call tried on a part. Raises `NotIndependent` if one writes where only a shadow stands."""
    part = scope.part(state, place)
    shadows = [(at, scope.part(state, at)) for at in range(len(scope.names)) if at != place]
    tally = _Tally(state)
    own, answers = OPERATIONS_OF[scope.chapter], set[Answered]()
    after_each: dict[State, tuple[State | None, bool]] = {}
    for number, (attempt, step) in enumerate(_steps(scope, state, part, place, instant)):
        tally.count(step, number)
        if attempt.call.operation in own:
            answers.add(answered(state, instant.now, attempt.call, step))
        if step.state is state or step.state == state:
            continue
        if step.state not in after_each:
            if any(scope.part(step.state, at) != shadow for at, shadow in shadows):
                raise NotIndependent(f"{attempt.call.operation} on {scope.names[place]} changes another part of the store")
            tally.hold(step.state, number)
            after = scope.part(step.state, place)
            after_each[step.state] = (after if after != part else None, scope.within(after, place))
        tally.beyond += not after_each[step.state][1]
    successors = tuple(dict.fromkeys(after for after, inside in after_each.values() if after is not None and inside))
    return Expansion(
        *(tally.calls, tally.refused, tally.beyond, successors),
        *(tuple(tally.decided.items()), tuple(tally.broken.items()), frozenset(cells_of(answers))),
    )


class _Tally:
    """Counts of one expansion."""

    def __init__(self, before: State) -> None:
        self.calls = self.refused = self.beyond = 0
        self._before = before
        self._watching: dict[tuple[str, ...], list[Invariant]] = {}
        self.decided: dict[str, int] = {}
        self.broken: dict[str, int] = {}
        self._counted: set[tuple[Ids, Why]] = set()

    def count(self, step: Step, number: int) -> None:
        """The step of the call with this number among the attempts."""
        self.calls += 1
        self.refused += isinstance(step.answer, Refused)
        reasons = (step.because, step.details)
        if reasons not in self._counted:
            self._counted.add(reasons)
            for requirement in decided_by(step):
                self.decided.setdefault(requirement, number)

    def hold(self, after: State, number: int) -> None:
        """Hold the invariants against a change of state.

        What an invariant reads decides it: if it holds of the state before, and nothing it read there has changed, it holds.
        """
        before = self._before
        changed = tuple(name for name in State.__struct_fields__ if getattr(before, name) is not getattr(after, name))
        if changed not in self._watching:
            self._watching[changed] = [each for each in INVARIANTS if any(name in _read(each, before) for name in changed)]
        for requirement, holds in self._watching[changed]:
            if not holds(before, after):
                self.broken.setdefault(requirement, number)


class _Watched:
    """A state that remembers which chapters were read."""

    def __init__(self, state: State, read: set[str]) -> None:
        self._state = state
        self._read = read

    def __getattr__(self, name: str) -> object:
        self._read.add(name)
        return getattr(self._state, name)


_READ: dict[Invariant, dict[str, object]] = {}
"""What each invariant read of the state that it was asked about last, where it holds."""


def _read(invariant: Invariant, state: State) -> Collection[str]:
    """The chapters that an invariant reads of a state that does not change; all of them if it does not hold there.

    Most read little, and of most states the same: what it finds as it was, it reads as it did.
    """
    known = _READ.get(invariant)
    if known is not None and all(getattr(state, name) is value for name, value in known.items()):
        return known.keys()
    read: set[str] = set()
    watched: Any = _Watched(state, read)
    if not invariant.holds(watched, watched):
        return frozenset(State.__struct_fields__)
    known = _READ[invariant] = {name: getattr(state, name) for name in read}
    return known.keys()


def _steps(scope: Scope, state: State, part: State, place: int, instant: Instant) -> Iterator[tuple[Attempt, Step]]:
    for attempt in scope.attempts(part, place, instant):
        yield attempt, stepped(state, attempt, instant)


def decided_by(step: Step) -> Ids:
    """The requirements that decided an answer, or fixed a part of it."""
    return (*step.because, *(requirement for _, ids in step.details for requirement in ids))
