"""What the model answers to every call that is tried on one part of the store, at one instant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import compress
from operator import ne
from typing import NamedTuple

from fencepost.model import INVARIANTS, TRANSITIONS, Ids, Invariant, Ports, State, Step, Why
from fencepost.spec.operations import CHAPTERS, OPERATIONS

from .reading import FIELDS, NOW, WIDTH, Known, Numbers, Values, Writes, changed, watched_instant, watching
from .scope import Attempt, Instant, Scope
from .situations import Answered, Cell, answered, cells_of

OPERATIONS_OF: dict[str, frozenset[str]] = {
    chapter: frozenset(name for name, each in OPERATIONS.items() if each.chapter == chapter) for chapter in CHAPTERS
}
"""The calls of each chapter: a scope makes others too, and its cells are of its own."""


Parts = tuple[State, ...]
"""The parts that a call reaches, nearly always one."""


class Transition(NamedTuple):
    """A call that was tried, the model's step, and the parts of its reach after it."""

    attempt: Attempt
    step: Step
    after: Parts


class Expansion(NamedTuple):
    """All calls on a reach at an instant, summed up.

    `asked` counts the calls that were made on the model, `beyond` those that lead out of the scope; `successors` are the parts
    that calls lead to, once each. What decided answers for the first time, and which invariants were broken, comes with the
    place of the first such call among the attempts. `cells` are those that were never filled before.
    """

    calls: int
    asked: int
    beyond: int
    successors: tuple[Parts, ...]
    decided: tuple[tuple[str, int], ...]
    broken: tuple[tuple[str, int], ...]
    cells: frozenset[Cell]


class NotIndependent(Exception):
    """A scope is wrong about what a call reads or writes: its parts cannot be explored on their own."""


def small(scope: Scope, parts: Sequence[State], reach: int) -> State:
    """The parts of a reach with the shadows of the others: what calls on it can see."""
    places = scope.reaches[reach]
    return scope.joined([part if at in places else scope.shadow(part, at) for at, part in enumerate(parts)])


def transitions(scope: Scope, state: State, reach: int, instant: Instant) -> Iterator[Transition]:
    """The model's own steps for every call tried on the parts of this reach of the state."""
    places = scope.reaches[reach]
    parts = scope.parts(state, places)
    for attempt in scope.attempts(_told(scope, state, places), reach, instant):
        step = stepped(state, attempt, instant)
        yield Transition(attempt, step, parts if step.state is state else scope.parts(step.state, places))


def _told(scope: Scope, state: State, places: Sequence[int]) -> State:
    """What a scope is told of the parts of a reach: of several also the shadows that stand beside them."""
    return scope.part(state, places[0]) if len(places) == 1 else state


def stepped(state: State, attempt: Attempt, instant: Instant) -> Step:
    """The model's own step for a call."""
    ports = Ports(instant.now, instant.alive, attempt.seen)
    return TRANSITIONS[attempt.call.operation](state, ports, *attempt.call.arguments)[0]


class _Tried(NamedTuple):
    """A call to try, whether it is of the chapter's own, and what it writes by what it reads."""

    attempt: Attempt
    own: bool
    writes: Known[Writes]


class _Landed(NamedTuple):
    """Where calls lead: the parts, if they are within the scope, whether they are, and the other parts."""

    parts: Parts
    inside: bool
    others: Parts


class Expander:
    """Tries all calls on a reach at an instant.

    Where all is one part, or calls are dear, the model is asked only where something that a call reads is new. Where parts are
    many and small, a call reads most of its own: there every call is made, and nothing is kept of what it read.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.values = Values()
        self._remembers = scope.dear or len(scope.names) == 1
        self._read: set[int] = set()
        self._before, self._after = watching(self._read), watching(self._read, WIDTH + FIELDS)
        self._instant = watched_instant(self._read)
        self._own = OPERATIONS_OF[scope.chapter]
        self._tried: dict[Attempt, _Tried] = {}
        self._lists: list[Known[tuple[_Tried, ...]]] = [Known() for _ in scope.reaches]
        self._invariants: list[tuple[Invariant, Known[frozenset[int]]]] = [(each, Known()) for each in INVARIANTS]
        self._reading = [frozenset(range(WIDTH)) for _ in INVARIANTS]
        self._last: Numbers = (-1,) * WIDTH
        self._watching: dict[tuple[frozenset[int], ...], dict[frozenset[int], tuple[Invariant, ...]]] = {}
        self._broken_by: dict[tuple[Invariant, ...], Known[tuple[str, ...]]] = {}
        self._landed: list[dict[Numbers, _Landed]] = [{} for _ in scope.reaches]
        self._reasons: set[tuple[Ids, Why]] = set()
        self._answers: set[Answered] = set()

    def expanded(self, state: State, reach: int, instant: Instant) -> Expansion:
        """Every call tried on a reach. Raises `NotIndependent` if one writes where only a shadow stands."""
        before, found = _Before(self, state, reach, instant), _Found()
        calls = self._remembered(before, found) if self._remembers else self._made(before, found)
        decided, broken = tuple(found.decided.items()), tuple(found.broken.items())
        cells = frozenset(cells_of(found.answers))
        return Expansion(calls, found.asked, found.beyond, tuple(dict.fromkeys(found.successors)), decided, broken, cells)

    def _made(self, before: _Before, found: _Found) -> int:
        """Make every call on the model; how many there are."""
        led: dict[State, bool] = {}
        state, instant = before.state, before.instant
        for number, attempt in enumerate(self.scope.attempts(_told(self.scope, state, before.places), before.reach, instant)):
            after = self._step(attempt, attempt.call.operation in self._own, state, instant, found, number).state
            if after is not state:
                inside = led.get(after)
                if inside is None:
                    inside = led[after] = self._follow(attempt, before, after, found, number)
                found.beyond += not inside
        return found.asked

    def _remembered(self, before: _Before, found: _Found) -> int:
        """Make the calls that read something new, and do what the others did then; how many there are."""
        tried = self._attempts(before)
        led: dict[Writes, bool] = {}
        for number, each in enumerate(tried):
            writes = each.writes.find(before.numbers)
            if writes is None:
                after = self._ask(each, before, found, number)
                if isinstance(after, State):
                    found.beyond += not self._follow(each.attempt, before, after, found, number)
                    continue
                writes = after
            if writes:
                inside = led.get(writes)
                if inside is None:
                    inside = led[writes] = self._follow_writes(each.attempt, before, writes, found, number)
                found.beyond += not inside
        return len(tried)

    def _attempts(self, before: _Before) -> tuple[_Tried, ...]:
        listed = self._lists[before.reach]
        found = listed.find(before.numbers)
        if found is None:
            self._read.clear()
            shown = _told(self.scope, self._shown(before), before.places)
            attempts = tuple(self.scope.attempts(shown, before.reach, self._instant(*before.instant)))
            found = tuple(self._tried.get(each) or self._try(each) for each in attempts)
            listed.keep(before.numbers, {NOW, *self._read}, found)
        return found

    def _try(self, attempt: Attempt) -> _Tried:
        made = self._tried[attempt] = _Tried(attempt, attempt.call.operation in self._own, Known())
        return made

    def _shown(self, before: _Before) -> State:
        """The state before, made to remember what is read of it."""
        if before.shown is None:
            before.shown = self.values.state(before.numbers, self._before)
        return before.shown

    def _ask(self, tried: _Tried, before: _Before, found: _Found, number: int) -> Writes | State:
        """Make a call on the model: what it writes, or the state after it if that is not worth the while."""
        worthwhile = tried.writes.worthwhile
        state, instant = (self._shown(before), self._instant(*before.instant)) if worthwhile else (before.state, before.instant)
        self._read.clear()
        step = self._step(tried.attempt, tried.own, state, instant, found, number)
        if not worthwhile:
            return () if step.state is state else step.state
        read = {NOW, *self._read}
        writes = self.values.changes(state, step.state, read)
        tried.writes.keep(before.numbers, read, writes)
        return writes

    def _step(self, attempt: Attempt, own: bool, state: State, instant: Instant, found: _Found, number: int) -> Step:
        """Make a call on the model. Note what decided the answer, and the cells that it fills, as far as that is new."""
        step = stepped(state, attempt, instant)
        found.asked += 1
        if own:
            answer = answered(state, instant.now, attempt.call, step)
            if answer not in self._answers:
                self._answers.add(answer)
                found.answers.append(answer)
        reasons = (step.because, step.details)
        if reasons not in self._reasons:
            self._reasons.add(reasons)
            for requirement in decided_by(step):
                found.decided.setdefault(requirement, number)
        return step

    def _follow_writes(self, attempt: Attempt, before: _Before, writes: Writes, found: _Found, number: int) -> bool:
        """The same for what a call writes."""
        numbers = list(before.numbers)
        for place, value in writes:
            numbers[place] = value
        after = tuple(numbers)
        if after == before.numbers:
            return True
        known, fields = self._landed[before.reach], after[FIELDS:]
        landed = known.get(fields)
        if landed is None:
            landed = known[fields] = self._land(self.values.state(after), before)
        self._hold(before, after, frozenset(place for place, _ in writes), found, number)
        return self._keep(attempt, before, landed, found)

    def _follow(self, attempt: Attempt, before: _Before, after: State, found: _Found, number: int) -> bool:
        """Where a call leads: hold the invariants of it, and keep it if it is in the scope, which is what is told."""
        if after == before.state:
            return True
        self._hold(before, after, changed(before.state, after), found, number)
        return self._keep(attempt, before, self._land(after, before), found)

    def _keep(self, attempt: Attempt, before: _Before, landed: _Landed, found: _Found) -> bool:
        if landed.others != before.others:
            names = " and ".join(self.scope.names[place] for place in before.places)
            raise NotIndependent(f"{attempt.call.operation} on {names} changes another part of the store")
        if landed.inside and landed.parts != before.parts:
            found.successors.append(landed.parts)
        return landed.inside

    def _land(self, state: State, before: _Before) -> _Landed:
        parts = self.scope.parts(state, before.places)
        inside = all(map(self.scope.within, parts, before.places))
        others = self.scope.parts(state, before.elsewhere)
        return _Landed(parts if inside else (), inside, before.others if others == before.others else others)

    def _hold(self, before: _Before, after: Numbers | State, changed: frozenset[int], found: _Found, number: int) -> None:
        """Hold the invariants against a change of state.

        What an invariant reads decides it: if it holds of the state before, and nothing it read there has changed, it holds.
        """
        if before.watching is None:
            before.watching = self._watched_in(before)
        watched = before.watching.get(changed)
        if watched is None:
            watched = tuple(each for (each, _), read in zip(self._invariants, self._reading, strict=True) if read & changed)
            before.watching[changed] = watched
        for requirement in self._broken(watched, before, after):
            found.broken.setdefault(requirement, number)

    def _watched_in(self, before: _Before) -> dict[frozenset[int], tuple[Invariant, ...]]:
        """The invariants that each change of this state concerns, as far as that was found out."""
        # where nothing is new that an invariant read last time it reads the same again
        anew = set(compress(range(WIDTH), map(ne, before.numbers, self._last)))
        for at, (invariant, known) in enumerate(self._invariants):
            if not anew.isdisjoint(self._reading[at]):
                self._reading[at] = self._reads(invariant, known, before)
        self._last = before.numbers
        return self._watching.setdefault(tuple(self._reading), {})

    def _reads(self, invariant: Invariant, known: Known[frozenset[int]], before: _Before) -> frozenset[int]:
        """What an invariant reads of a state that does not change; everything if it does not hold there."""
        found = known.find(before.numbers)
        if found is None:
            self._read.clear()
            shown = self._shown(before)
            found = frozenset(self._read) if invariant.holds(shown, shown) else frozenset(range(WIDTH))
            known.keep(before.numbers, self._read, found)
        return found

    def _broken(self, watched: tuple[Invariant, ...], before: _Before, after: Numbers | State) -> tuple[str, ...]:
        """Those of these invariants that do not hold of two states."""
        if isinstance(after, State):
            return _not_holding(watched, before.state, after)
        known = self._broken_by.get(watched)
        if known is None:
            known = self._broken_by[watched] = Known()
        both = before.numbers + after
        found = known.find(both)
        if found is None:
            self._read.clear()
            one, other = self._shown(before), self.values.state(after, self._after)
            found = _not_holding(watched, one, other)
            known.keep(both, self._read, found)
        return found


class _Before:
    """What calls are tried on."""

    def __init__(self, expander: Expander, state: State, reach: int, instant: Instant) -> None:
        self.state, self.reach, self.instant = state, reach, instant
        self.scope, self.values = expander.scope, expander.values
        self.places = self.scope.reaches[reach]
        self.elsewhere = tuple(place for place in range(len(self.scope.names)) if place not in self.places)
        self.shown: State | None = None
        self.watching: dict[frozenset[int], tuple[Invariant, ...]] | None = None

    @cached_property
    def numbers(self) -> Numbers:
        """What tells the state and the instant."""
        return self.values.numbers(self.state, self.instant)

    @cached_property
    def parts(self) -> Parts:
        """The parts that calls go to."""
        return self.scope.parts(self.state, self.places)

    @cached_property
    def others(self) -> Parts:
        """What stands for the other parts."""
        return self.scope.parts(self.state, self.elsewhere)


class _Found:
    """What comes of the calls on a part."""

    def __init__(self) -> None:
        self.asked = self.beyond = 0
        self.successors: list[Parts] = []
        self.answers: list[Answered] = []
        self.decided: dict[str, int] = {}
        self.broken: dict[str, int] = {}


def _not_holding(invariants: Sequence[Invariant], before: State, after: State) -> tuple[str, ...]:
    """Those of these invariants that do not hold; what is the invariant of several requirements is looked at once."""
    held = {holds: holds(before, after) for holds in {each.holds for each in invariants}}
    return tuple(each.requirement for each in invariants if not held[each.holds])


def decided_by(step: Step) -> Ids:
    """The requirements that decided an answer, or fixed a part of it."""
    return (*step.because, *(requirement for _, ids in step.details for requirement in ids))
