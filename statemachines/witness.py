"""What a search has to show for itself: shortest paths, and that its parts are as independent as their scope says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise
from typing import NamedTuple

from fencepost.model import INVARIANTS, Ids, State, Step

from .checker import Event, Move
from .expansion import NotIndependent, small, stepped, transitions
from .explore import Decided, Search, World
from .scope import Instant


class Stepped(NamedTuple):
    """One step of a path: what was done and answered, and the requirements that decided it."""

    event: Event
    because: Ids = ()


def path_to(search: Search, world: World) -> tuple[Stepped, ...]:
    """A shortest path from the beginning to a world that the search has met."""
    worlds: list[World] = [world]
    while (before := search.parents[worlds[-1]]) is not None:
        worlds.append(before)
    return tuple(step_between(search, *pair) for pair in pairwise(reversed(worlds)))


def witness(search: Search, found: Decided) -> tuple[Stepped, ...]:
    """The path to a world, and the call there that a search has found."""
    path = path_to(search, found.world)
    if found.attempt < 0:
        return path
    instant, parts = search.instant_of(found.world), search.parts_of(found.world)
    tried = transitions(search.scope, small(search.scope, parts, found.reach), found.reach, instant)
    attempt, step, _ = next(islice(tried, found.attempt, None))
    return (*path, Stepped(Event(instant.now, attempt.call, step.answer), step.because))


def steps_from(search: Search, world: World) -> Iterator[tuple[Stepped, World | None]]:
    """Every call and move in a world, with the world that it leads to; None if that lies beyond the scope."""
    scope, instant, parts = search.scope, search.instant_of(world), search.parts_of(world)
    for reach, places in enumerate(scope.reaches):
        for attempt, step, after in transitions(scope, small(scope, parts, reach), reach, instant):
            inside = all(map(scope.within, after, places))
            follows = search.world_of(instant, _replaced(parts, places, after)) if inside else None
            yield Stepped(Event(instant.now, attempt.call, step.answer), step.because), follows
    for later, move in scope.moves(instant):
        yield Stepped(Event(later.now, move)), search.world_of(later, parts)


def step_between(search: Search, before: World, after: World) -> Stepped:
    """The first move or call that leads from one world to the next."""
    instant, later = search.instant_of(before), search.instant_of(after)
    if later != instant:
        return Stepped(Event(later.now, _move(search, instant, later)))
    scope, parts, changed = search.scope, search.parts_of(before), search.parts_of(after)
    for reach, places in enumerate(scope.reaches):
        if _replaced(parts, places, [changed[place] for place in places]) == changed:
            for attempt, step, reached in transitions(scope, small(scope, parts, reach), reach, instant):
                if _replaced(parts, places, reached) == changed:
                    return Stepped(Event(instant.now, attempt.call, step.answer), step.because)
    raise LookupError(f"no call leads from world {before} to world {after}")


def _replaced(parts: Sequence[State], places: Sequence[int], becomes: Sequence[State]) -> list[State]:
    """The parts, with others at these places."""
    found = dict(zip(places, becomes, strict=True))
    return [found.get(place, part) for place, part in enumerate(parts)]


def _move(search: Search, instant: Instant, later: Instant) -> Move:
    return next(move for becomes, move in search.scope.moves(instant) if becomes == later)


def require_independence(search: Search, worlds: int = 100) -> int:
    """Make every call of some worlds on their whole state, and compare with what their parts gave; how many calls.

    The worlds are spread evenly over all that were met. Answers, all that decided them, the parts afterwards and the other
    parts must be the same, the parts must be all there is, and the invariants must hold of the whole. Raises `NotIndependent`.
    """
    stride = max(1, len(search.parents) // worlds)
    return sum(_compare(search, world) for world in islice(search.parents, 0, None, stride))


def _compare(search: Search, world: World) -> int:
    scope, instant, parts = search.scope, search.instant_of(world), search.parts_of(world)
    whole, compared = scope.joined(parts), 0
    held: set[State] = {whole}
    for reach, places in enumerate(scope.reaches):
        for attempt, step, after in transitions(scope, small(scope, parts, reach), reach, instant):
            said = stepped(whole, attempt, instant)
            now = list(scope.parts(said.state, range(len(parts))))
            if _shown(said) != _shown(step) or now != _replaced(parts, places, after):
                names = " and ".join(scope.names[place] for place in places)
                raise NotIndependent(f"{attempt.call.operation} on {names} sees more than its part of the store")
            if scope.joined(now) != said.state:
                raise NotIndependent(f"{attempt.call.operation} writes what no part of the store shows")
            if said.state not in held:
                held.add(said.state)
                _require_invariants(whole, said.state)
            compared += 1
    return compared


def _shown(step: Step) -> tuple[object, ...]:
    return (step.answer, step.because, step.details, step.effects, step.silent)


def _require_invariants(before: State, after: State) -> None:
    for requirement, holds in INVARIANTS:
        if not holds(before, after):
            raise NotIndependent(f"{requirement} is broken by the whole, and by none of its parts")


def events(path: tuple[Stepped, ...]) -> Iterator[Event]:
    """The path as a program does it: a tick of the clock is no event, for later ones tell their instants."""
    return (each.event for each in path if each.event.action != Move("tick", ()))
