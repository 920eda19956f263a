"""What a store may hold: every state that fits all its answers, and how the next call leads on from them.

An answer may leave open which of several admissible steps was taken, where they differ in what only later answers show; a call
may have been made at any instant between two, and found processes alive or dead. All that fits is followed, ours first, until
answers tell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias, get_type_hints
from uuid import UUID

from fencepost.model import TRANSITIONS, Ids, Ports, Refused, State, Step, Steps
from fencepost.model.step import SIGNED_MAX
from fencepost.spec import U64_MAX, Alive, ContractBroken, InvalidArgument, Json, ProcessAlive, SessionCodec
from fencepost.spec.catalogue import Level, requirements
from fencepost.spec.operations import OPERATIONS
from msgspec import Struct

from .environment import Undecided


class Call(NamedTuple):
    """A call as data."""

    operation: str
    arguments: tuple[object, ...] = ()


class Made(NamedTuple):
    """A call that was made, at some instant from `began` to `ended`, both included, and its answer.

    `alive` is the oracle that the store asked; None if it has one of its own, whose answers nobody knows. A
    `concurrent` call had others beside it. Of an answer that breaks the contract of the call, `broken` says so.
    """

    call: Call
    answer: object
    began: int
    ended: int
    alive: ProcessAlive | None
    codec: SessionCodec
    concurrent: bool = False
    broken: ContractBroken | None = None


class Candidate(NamedTuple):
    """A state that the store may be in, and the CURRENT requirements that it has departed from, unseen, if it is.

    `now` is the earliest instant at which its last call may have been made: no later call was made before it.
    """

    state: State
    departed: Ids = ()
    now: int = 0


class Taken(NamedTuple):
    """An admissible step that gives the answer seen, all that it departs from, and the instant and the state before it."""

    step: Step
    departed: Ids
    now: int
    before: State


CANDIDATES = 64
"""How many states are followed at once; ours is never forgotten."""

INSTANTS = 2_000
"""How many milliseconds a call may take for each of them to be tried."""

PROCESSES = 4
"""How many processes a call may ask about for each to be taken for dead or alive."""

OF_ANOTHER_KIND = 1_000


Instants: TypeAlias = Callable[[State, Made, int], Iterable[int]]
"""The instants, from this one on, at which a call may have been made in a state."""


def every_instant(_state: State, made: Made, first: int) -> Iterable[int]:
    """Each millisecond of the call. Raises `Undecided` if there are too many."""
    if made.ended - first >= INSTANTS:
        raise Undecided(f"{made.call.operation} took more than {INSTANTS:,} ms, and might have been made at any of them.")
    return range(first, max(first, made.ended) + 1)


def place_of(state: State, candidates: Sequence[Candidate]) -> int | None:
    """Where the state is among these. It is compared and not hashed: states share nearly everything that they hold."""
    return next((place for place, each in enumerate(candidates) if each.state is state or each.state == state), None)


class Following:
    """All that a store may hold, from call to call."""

    def __init__(
        self,
        beginning: State,
        *,
        strict: bool = False,
        transitions: Mapping[str, Any] = TRANSITIONS,
        instants: Instants | None = None,
    ) -> None:
        self.candidates: tuple[Candidate, ...] = (Candidate(beginning),)
        self.strict = strict
        self._instants = instants or every_instant
        self._transitions = transitions
        self.forgotten = False
        """Whether some state that the store may be in is followed no more."""

    def ways(self, made: Made) -> list[Taken]:
        """Every admissible step that gives the answer, those that depart least first. Raises `Undecided`."""
        found = [
            Taken(step, (*candidate.departed, *step.differs), ports.now, candidate.state)
            for candidate in self.candidates
            for ports, steps in self._tried(candidate, made)
            for step in steps
            if step.answer == made.answer and not (self.strict and binding(step.differs))
        ]
        if not found and self.forgotten:
            raise Undecided(f"More than {CANDIDATES} states fitted the answers before, of which only so many were followed.")
        return sorted(found, key=lambda each: len(each.departed))

    def ours(self, made: Made) -> Steps:
        """What would have been admissible in the likeliest state: at the instant that explains most of the answer."""
        tried = (steps for _, steps in self._tried(self.candidates[0], made))
        return min(tried, key=lambda steps: differences(steps[0].answer, made.answer))

    def go(self, taken: Sequence[Taken], counted: Ids) -> None:
        """Go on with the states that the store may be in now; departures that were counted are open no more."""
        if len(taken) == 1 and (counted or not taken[0].departed):
            self.candidates = (Candidate(taken[0].step.state, (), taken[0].now),)
            return
        self._go_on_with(
            Candidate(each.step.state, tuple(of for of in each.departed if of not in counted), each.now) for each in taken
        )

    def join(self, others: Sequence[Following], *, more: bool = False) -> None:
        """Go on with all that the store may be in after any of these, and with `more` in states that could not be followed."""
        self.forgotten = more or any(each.forgotten for each in others)
        self._go_on_with(candidate for each in others for candidate in each.candidates)

    def _go_on_with(self, candidates: Iterable[Candidate]) -> None:
        """Each state once, from the earliest instant on; those that come late are forgotten if there are too many."""
        found: list[Candidate] = []
        for each in candidates:
            known = place_of(each.state, found)
            if known is None:
                found.append(each)
            elif each.now < found[known].now:
                found[known] = found[known]._replace(now=each.now)
        self.forgotten = self.forgotten or len(found) > CANDIDATES
        self.candidates = tuple(found[:CANDIDATES])

    def _tried(self, candidate: Candidate, made: Made) -> Iterator[tuple[Ports, Steps]]:
        """The admissible steps from a state, at each instant and for all that the oracle may have said."""
        # of callers at once one may look at the clock, and another be done before the first is
        first = made.began if made.concurrent else max(candidate.now, made.began)
        for now in self._instants(candidate.state, made, first):
            if made.alive is not None:
                ports = Ports(now, made.alive, made.answer, made.concurrent, made.codec)
                yield ports, self._admissible(candidate.state, ports, made.call)
                continue
            for oracle in _oracles():
                ports = Ports(now, oracle, made.answer, made.concurrent, made.codec)
                yield ports, self._admissible(candidate.state, ports, made.call)

    def _admissible(self, state: State, ports: Ports, call: Call) -> Steps:
        try:
            OPERATIONS[call.operation].refuse_invalid(call.arguments)
        except InvalidArgument as error:
            return (Step(state, Refused(error), ("VALUE-1", "VALUE-2")),)
        steps: Steps = self._transitions[call.operation](state, ports, *call.arguments)
        if isinstance(ports.seen, Refused) and isinstance(ports.seen.error, InvalidArgument) and beyond_signed(call.arguments):
            return (*steps, Step(state, ports.seen, ("VALUE-3",), differs=("VALUE-3",)))
        return steps


class _Oracle:
    """An oracle that takes these processes for dead, cannot tell of others, and remembers of whom it was asked."""

    def __init__(self, dead: frozenset[tuple[int, str]] = frozenset()) -> None:
        self.dead = dead
        self.asked: dict[tuple[int, str], None] = {}

    def __call__(self, pid: int, process_start: str) -> Alive:
        self.asked[pid, process_start] = None
        return Alive.no if (pid, process_start) in self.dead else Alive.unknown


def _oracles() -> Iterator[_Oracle]:
    """An oracle for whom nobody is dead, then all that take some of those for dead of whom one before was asked.

    Whoever is dead may lead on to others, so each oracle has to be asked before the next is taken. Raises `Undecided`.
    """
    waiting = deque([_Oracle()])
    known, asked = {waiting[0].dead}, set[tuple[int, str]]()
    while waiting:
        oracle = waiting.popleft()
        yield oracle
        asked.update(oracle.asked)
        if len(asked) > PROCESSES:
            raise Undecided(f"The call asked of {len(asked)} processes whether they live, and nobody knows what it was told.")
        for each in oracle.asked:
            dead = oracle.dead | {each}
            if dead not in known:
                known.add(dead)
                waiting.append(_Oracle(dead))


def differences(expected: object, given: object) -> int:
    """In how many fields two answers differ; one of another kind differs in more than any has."""
    if type(expected) is not type(given):
        return OF_ANOTHER_KIND
    if isinstance(expected, Struct) and not isinstance(expected, Refused):
        names = expected.__struct_fields__
        return sum(differences(getattr(expected, name), getattr(given, name)) for name in names)
    if isinstance(expected, tuple) and isinstance(given, tuple) and len(expected) == len(given):
        return sum(map(differences, expected, given))
    return int(expected != given)


def binding(departed: Ids) -> Ids:
    """The departures that a strict run does not admit: what a capability asks binds only those who declare it."""
    return tuple(each for each in departed if requirements()[each].level is not Level.CAPABILITY)


def beyond_signed(value: object) -> bool:
    """Whether a number above 2^63 - 1 stands anywhere in the value."""
    if type(value) is str or value is None:
        return False
    if isinstance(value, int):
        return SIGNED_MAX < value <= U64_MAX
    if isinstance(value, tuple):
        return any(map(beyond_signed, value))
    if isinstance(value, Struct):
        return any(beyond_signed(getattr(value, name)) for name in _with_numbers(type(value)))
    return False


@cache
def _with_numbers(record: type[Struct]) -> tuple[str, ...]:
    """The fields of a record that are more than a text, so that a number may stand in them."""
    hints = get_type_hints(record)
    return tuple(name for name in record.__struct_fields__ if hints[name] not in (str, str | None, bool, bytes, Json, UUID))
