"""Breadth-first search of a chapter's model, to the last state of a small scope.

Parts are numbered when they are first met, and a world is one integer: the number of its instant, then 24 bits for each part.
What comes of the calls on a part is found out once for each (instant, part, shadows of the others); from then on a world is
expanded by additions. Where all is one part, the model is asked only where something that a call reads is new (see `reading`).
The first path to a world is a shortest one, so the first world in which a requirement decides an answer is the end of its
shortest witness.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple

from fencepost.model import INVARIANTS, State

from .crew import crew
from .expansion import Expander, Expansion, small
from .scope import Instant, Scope
from .situations import Cell
from .symmetry import Symmetry

INSTANT_BITS = 16
PART_BITS = 24
INSTANT = (1 << INSTANT_BITS) - 1
PART = (1 << PART_BITS) - 1

World = int
Key = tuple[int, int, tuple[int, ...]]
"""What an expansion depends on: the reach, the number of the instant, and those of its parts and of the others' shadows."""


class Decided(NamedTuple):
    """Where a requirement first decided an answer, or an invariant was first broken: world, reach, and which attempt."""

    world: World
    reach: int
    attempt: int


class Known(NamedTuple):
    """An expansion as the search uses it: what to add to the world to come to each successor."""

    calls: int
    beyond: int
    deltas: tuple[int, ...]


@dataclass
class Figures:
    """How far a search has come. `states` are worlds, up to symmetry where that is reduced; `transitions` calls and moves.

    `beyond` (calls that lead out of the scope) are among the calls. `asked` is how many of all calls were made on the model, by
    all workers: of the others, nothing that they read is new.
    """

    states: int = 1
    worlds: int = 1
    depth: int = 0
    calls: int = 0
    moves: int = 0
    beyond: int = 0
    asked: int = 0
    frontier: int = 1
    seconds: float = 0.0

    @property
    def transitions(self) -> int:
        """Calls and moves."""
        return self.calls + self.moves

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds if self.seconds else 0.0


@dataclass
class Explored:
    """What a search has found. `unknown` says why it stopped early, if it did: what it lacks may be reachable all the same."""

    search: Search
    figures: Figures
    decided: dict[str, Decided] = field(default_factory=dict)
    broken: dict[str, Decided] = field(default_factory=dict)
    cells: set[Cell] = field(default_factory=set)
    unknown: str | None = None


class Search:
    """One search. With `reduce` worlds that are the same but for names and for the time that it is are searched once."""

    def __init__(self, scope: Scope, *, reduce: bool = True, workers: int = 1, memory_mb: int | None = None) -> None:
        self.scope = scope
        self.instants = scope.instants()
        self.reduce = reduce and scope.has_symmetry
        self.workers = workers
        self.memory_mb = memory_mb
        self.parents: dict[World, World | None] = {}
        self._reaches = scope.reaches
        self._shifts = [INSTANT_BITS + PART_BITS * place for place in range(len(scope.names))]
        self._seen = [self._seen_from(places) for places in self._reaches]
        self._numbers: dict[State, int] = {}
        self._parts: list[State] = []
        self._shadows: dict[tuple[int, int], int] = {}
        self._known: list[dict[Key, Known]] = [{} for _ in self._reaches]
        self._instant_numbers = {instant: number for number, instant in enumerate(self.instants)}
        self._moves = self._moves_by_instant()
        self._symmetry = Symmetry(scope)
        self._alike = scope.alike and len(scope.names) > 1
        self._tables = self._numbered_tables()
        # the world of each class that was searched for it
        self._best: dict[int, World] = {}
        self.explored = Explored(self, Figures())

    def run(self, told: Callable[[Figures], None] = lambda _: None) -> Explored:
        """Search until nothing is new, an invariant is broken, or memory is short."""
        found, began = self.explored, time.perf_counter()
        frontier = [self._beginning()]
        with self._evaluator() as evaluate:
            while frontier and not self._is_over():
                self._expand_missing(frontier, evaluate)
                following: list[World] = []
                for chunk in range(0, len(frontier), 20_000):
                    following += self._level(frontier[chunk : chunk + 20_000])
                    self._take_stock(len(frontier) - chunk + len(following), began)
                    told(found.figures)
                    if self._is_over():
                        return found
                frontier = following
                found.figures.depth += bool(frontier)
                for known, places in zip(self._known, self._reaches, strict=True):
                    if len(places) == len(self._shifts):
                        # each world was looked up once, and none shares all its parts and the instant with another
                        known.clear()
        return found

    def _is_over(self) -> bool:
        return bool(self.explored.broken) or self.explored.unknown is not None

    def forget(self) -> None:
        """Let go of all worlds; what was found stays. No path can be told any more."""
        self.parents, self._known, self._best, self._numbers, self._parts = {}, [], {}, {}, []

    def parts_of(self, world: World) -> list[State]:
        """The parts of a world."""
        return [self._parts[world >> shift & PART] for shift in self._shifts]

    def instant_of(self, world: World) -> Instant:
        """The instant of a world."""
        return self.instants[world & INSTANT]

    def world_of(self, instant: Instant, parts: Sequence[State]) -> World:
        """The world of these parts, met or not."""
        number = self._instant_numbers[instant]
        return number + sum(self._number(part) << shift for part, shift in zip(parts, self._shifts, strict=True))

    def standing_for(self, world: World) -> World:
        """The world that was searched in place of this one: of its class, with as much time left or more."""
        return self._best.get(self._class(world), world) if self.reduce else world

    def _beginning(self) -> World:
        start = self.world_of(self.instants[0], self.scope.begin())
        self.parents[start] = None
        if self.reduce:
            self._best[self._class(start)] = start
        whole = self.scope.joined(self.scope.begin())
        for requirement, holds in INVARIANTS:
            if not holds(whole, whole):
                self.explored.broken[requirement] = Decided(start, 0, -1)
        return start

    def _number(self, part: State) -> int:
        number = self._numbers.get(part)
        if number is None:
            number = self._numbers[part] = len(self._parts)
            self._parts.append(part)
        return number

    def _shadow(self, place: int, number: int) -> int:
        found = self._shadows.get((place, number))
        if found is None:
            found = self._shadows[place, number] = self._number(self.scope.shadow(self._parts[number], place))
        return found

    def _moves_by_instant(self) -> list[tuple[int, ...]]:
        numbers = self._instant_numbers
        return [tuple(numbers[to] - numbers[each] for to, _ in self.scope.moves(each)) for each in self.instants]

    def _numbered_tables(self) -> list[tuple[int, ...]]:
        """A number for the process table of each instant under each renaming, and for the time where it counts."""
        numbers: dict[object, int] = {}
        return [
            tuple(
                numbers.setdefault((table, 0 if self.scope.shifts else each.now), len(numbers))
                for table in self._symmetry.of_table(each.table)
            )
            for each in self.instants
        ]

    def _keys(self, world: World) -> list[Key]:
        """What the expansions of a world depend on, for each reach."""
        instant = world & INSTANT
        if len(self._shifts) == 1:
            return [(0, instant, (world >> INSTANT_BITS,))]
        numbers = [world >> shift & PART for shift in self._shifts]
        shadows = [self._shadow(place, number) for place, number in enumerate(numbers)]
        numbers += shadows
        return [(reach, instant, seen(numbers)) for reach, seen in enumerate(self._seen)]

    def _seen_from(self, places: tuple[int, ...]) -> itemgetter[tuple[int, ...]]:
        """What calls on these places see, of the numbers of all parts and then of all shadows."""
        count = len(self._shifts)
        return itemgetter(*(place if place in places else count + place for place in range(count)))

    def _expand_missing(self, frontier: Iterable[World], evaluate: Evaluate) -> None:
        """Ask the model for what no world before has needed, in the order of the worlds."""
        missing: dict[Key, World] = {}
        for world in frontier:
            for key in self._keys(world):
                if key not in self._known[key[0]] and key not in missing:
                    missing[key] = world
        jobs = ((small(self.scope, self.parts_of(world), key[0]), key[0], key[1]) for key, world in missing.items())
        for (key, world), expansion in zip(missing.items(), evaluate(jobs), strict=True):
            self._learn(key, world, expansion)

    def _learn(self, key: Key, world: World, expansion: Expansion) -> None:
        reach, _, numbers = key
        found = self.explored
        for requirement, attempt in expansion.decided:
            found.decided.setdefault(requirement, Decided(world, reach, attempt))
        for requirement, attempt in expansion.broken:
            found.broken.setdefault(requirement, Decided(world, reach, attempt))
        found.cells |= expansion.cells
        found.figures.asked += expansion.asked
        places = self._reaches[reach]
        deltas = tuple(
            sum(
                (self._number(after) - numbers[place]) << self._shifts[place] for place, after in zip(places, each, strict=True)
            )
            for each in expansion.successors
        )
        self._known[reach][key] = Known(expansion.calls, expansion.beyond, deltas)

    def _level(self, frontier: Iterable[World]) -> list[World]:
        """Everything new that is one step from these worlds."""
        following: list[World] = []
        calls = moves = beyond = 0
        known, reached = self._known, self._reached
        for world in frontier:
            for key in self._keys(world):
                expansion = known[key[0]][key]
                calls += expansion.calls
                beyond += expansion.beyond
                reached(world, expansion.deltas, following)
            away = self._moves[world & INSTANT]
            moves += len(away)
            reached(world, away, following)
        figures = self.explored.figures
        figures.calls, figures.moves, figures.beyond = figures.calls + calls, figures.moves + moves, figures.beyond + beyond
        return following

    def _reached(self, world: World, deltas: Iterable[int], following: list[World]) -> None:
        """Keep the successors that are new."""
        parents = self.parents
        for delta in deltas:
            after = world + delta
            if after in parents or (self.reduce and not self._is_better(after)):
                continue
            parents[after] = world
            following.append(after)

    def _is_better(self, world: World) -> bool:
        """Whether no world of its class was met, or only later ones: with more time left more can follow."""
        name = self._class(world)
        best = self._best.get(name)
        if best is not None and self.instants[best & INSTANT].now <= self.instants[world & INSTANT].now:
            return False
        self._best[name] = world
        return True

    def _class(self, world: World) -> int:
        """A number that worlds share which are the same but for names and time: the least of all renamings."""
        number = world & INSTANT
        shifts = self._shifts
        now = self.instants[number].now
        columns = [self._symmetry.of_part(self._parts, world >> shift & PART, place, now) for place, shift in enumerate(shifts)]
        rows = zip(self._tables[number], *columns, strict=True)
        if not self._alike:
            return min(map(_packed, rows))
        # the commonest number of parts, and most of the time goes here
        least: int = (
            min(table | (a << INSTANT_BITS | b << 40 if a < b else b << INSTANT_BITS | a << 40) for table, a, b in rows)
            if len(columns) == 2
            else min(_packed((table, *sorted(row))) for table, *row in rows)
        )
        return least

    def _take_stock(self, frontier: int, began: float) -> None:
        """Bring the figures up to date, and stop before memory runs out."""
        figures = self.explored.figures
        figures.frontier, figures.seconds = frontier, time.perf_counter() - began
        figures.worlds = len(self.parents)
        figures.states = len(self._best) if self.reduce else len(self.parents)
        if self.memory_mb is not None and resident_mb() > self.memory_mb:
            self.explored.unknown = f"it took more than {self.memory_mb:,} MB of memory"

    @contextmanager
    def _evaluator(self) -> Iterator[Evaluate]:
        """What asks the model: this process, or several of them."""
        if self.workers == 1:
            expander = Expander(self.scope)
            yield lambda jobs: (expander.expanded(state, reach, self.instants[number]) for state, reach, number in jobs)
            return
        with crew(self.workers, _expanding, self.scope) as evaluate:
            yield evaluate


Job = tuple[State, int, int]
"""A state, the reach of the calls, and the number of the instant."""

Evaluate = Callable[[Iterable[Job]], Iterable[Expansion]]


def _expanding(scope: Scope) -> Callable[[Job], Expansion]:
    """What a process does."""
    expander, instants = Expander(scope), scope.instants()
    return lambda job: expander.expanded(job[0], job[1], instants[job[2]])


def _packed(numbers: tuple[int, ...]) -> int:
    """The number of an instant and of each part as one integer."""
    world = numbers[0]
    for place, number in enumerate(numbers[1:]):
        world |= number << INSTANT_BITS + PART_BITS * place
    return world


def resident_mb() -> float:
    """The memory of this process now, where that can be told; else the most it ever had."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize() / 2**20
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
