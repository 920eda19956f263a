"""Suites: sequences of calls that cover the graph of a small scope, to be made on any store, without chance.

Each sequence starts from an empty store. In a state it makes every call that leaves the state as it is, then takes a way out
that was not taken before, or walks to the nearest state that has one, until none can be reached.

Most calls that change a state cannot be undone, so an edge beside it takes a sequence of its own: the edges of the lease scope
take 2,417 sequences at least. Cells, of which many edges are one, take few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from fencepost.model import Ids, State

from .checker import Call, Event, Move, Violation
from .expansion import OPERATIONS_OF
from .explore import Explored, Search, World
from .machine import Machine, Setup
from .minted import Program
from .run import replayed, shortest
from .scope import Scope
from .situations import Cell, cells_of, kind_of_answer, situation
from .witness import steps_from, witness

COVERS = ("edges", "states", "cells", "requirements")
"""What a suite may cover: every call in every state, every state, every cell, or one answer of each requirement."""


class Edge(NamedTuple):
    """A call or a move, the world after it, and the requirements that decided the answer."""

    event: Event
    after: World
    because: Ids = ()


class Suite(NamedTuple):
    """The sequences for one chapter; `covered` counts the edges that they were written for."""

    chapter: str
    cover: str
    covered: int
    programs: tuple[Program, ...]

    @property
    def calls(self) -> int:
        """How many calls and moves of processes the sequences make."""
        return sum(map(len, self.programs))


def suite_of(scope: Scope, cover: str = "edges") -> Suite:
    """The suite of a scope. Raises `RuntimeError` if the model itself breaks an invariant in it."""
    found = Search(scope, reduce=False).run()
    if found.broken:
        raise RuntimeError(f"the model breaks {', '.join(found.broken)}")
    graph = {world: list(_edges(found.search, world)) for world in found.search.parents}
    if cover == "requirements":
        return _of_requirements(scope, found)
    if cover == "cells":
        pending, covered = _first_of_each_cell(found.search, graph)
    else:
        pending = _all(graph) if cover == "edges" else _first_into_each(graph)
        covered = sum(map(len, pending.values()))
    programs = tuple((*scope.opening(), *_without_ticks(walk)) for walk in _Walks(graph, pending))
    return Suite(scope.chapter, cover, covered, programs)


def _edges(search: Search, world: World) -> Iterator[Edge]:
    """What leads from a world to one of the scope. A call that leads out of it would be the last of its sequence."""
    return (Edge(step.event, after, step.because) for step, after in steps_from(search, world) if after is not None)


Graph = dict[World, list[Edge]]


def _all(graph: Graph) -> Graph:
    return {world: list(edges) for world, edges in graph.items()}


def _first_into_each(graph: Graph) -> Graph:
    """One edge into each world but the first."""
    seen = {next(iter(graph))}
    chosen: Graph = {world: [] for world in graph}
    for world, edges in graph.items():
        for edge in edges:
            if edge.after not in seen:
                seen.add(edge.after)
                chosen[world].append(edge)
    return chosen


def _first_of_each_cell(search: Search, graph: Graph) -> tuple[Graph, int]:
    """For each cell an edge that fills it, and how many cells there are: calls that lead out of the scope fill none."""
    filled: set[Cell] = set()
    chosen: Graph = {world: [] for world in graph}
    for world, edges in graph.items():
        state, now = search.scope.joined(search.parts_of(world)), search.instant_of(world).now
        for edge in edges:
            cells = _cells(search.scope, state, now, edge)
            if not cells <= filled:
                filled |= cells
                chosen[world].append(edge)
    return chosen, len(filled)


def _cells(scope: Scope, state: State, now: int, edge: Edge) -> set[Cell]:
    """The cells of an edge that is a call of the chapter."""
    call = edge.event.action
    if not isinstance(call, Call) or call.operation not in OPERATIONS_OF[scope.chapter]:
        return set()
    return cells_of([(call.operation, kind_of_answer(edge.event.answer), edge.because, situation(state, now, call))])


def _of_requirements(scope: Scope, found: Explored) -> Suite:
    """A shortest witness for each requirement, those that begin others left out."""
    paths = {tuple(step.event for step in witness(found.search, where)) for where in found.decided.values()}
    programs = sorted(
        (path for path in paths if not any(path == other[: len(path)] for other in paths if other != path)), key=repr
    )
    opened = tuple((*scope.opening(), *_without_ticks(program)) for program in programs)
    return Suite(scope.chapter, "requirements", len(found.decided), opened)


def _without_ticks(events: Iterable[Event]) -> Iterator[Event]:
    """What a run does: the clock moves with the next event."""
    return (event for event in events if event.action != Move("tick", ()))


class _Walks:
    """The sequences that cover what is pending, until nothing is."""

    def __init__(self, graph: Graph, pending: Graph) -> None:
        self.start = next(iter(graph))
        self.pending = pending
        self._ways = {world: list({edge.after: edge for edge in reversed(edges)}.values()) for world, edges in graph.items()}

    def __iter__(self) -> Iterator[list[Event]]:
        while walk := self._walk():
            yield walk

    def _walk(self) -> list[Event]:
        """One sequence: empty if nothing is pending."""
        at, walk = self.start, list[Event]()
        while True:
            walk += [edge.event for edge in self.pending[at] if edge.after == at]
            away = [edge for edge in self.pending[at] if edge.after != at]
            # where most is pending, most can be done on the same way
            way = [max(away, key=lambda edge: len(self.pending[edge.after]))] if away else self._to_nearest(at)
            self.pending[at] = [edge for edge in away if edge not in way]
            if not way:
                return walk
            walk += [edge.event for edge in way]
            at = way[-1].after

    def _to_nearest(self, at: World) -> list[Edge]:
        """A shortest way to a world where something is pending; empty if there is none."""
        ways: dict[World, list[Edge]] = {at: []}
        frontier = [at]
        for world in frontier:
            for edge in self._ways[world]:
                if edge.after not in ways:
                    ways[edge.after] = [*ways[world], edge]
                    if self.pending[edge.after]:
                        return ways[edge.after]
                    frontier.append(edge.after)
        return []


def run_programs(machine: type[Machine], setup: Setup, programs: Sequence[Program]) -> Violation | None:
    """Make the calls of every sequence on a store of its own; the first violation, shrunk."""
    for program in programs:
        violation = replayed(machine, setup, program)
        if violation is not None:
            return shortest(machine, setup, violation)
        setup.progress(setup.tally)
    return None
