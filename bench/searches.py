"""What the benchmarks of searches have in common: the plain search, that of the model, and the memory that one takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from multiprocessing import get_context
from typing import Any, NamedTuple

from fencepost.statemachines.explore import Search, resident_mb
from fencepost.statemachines.scopes import SCOPES


class Found(NamedTuple):
    """How many worlds and calls a search has found, and what it keeps."""

    worlds: int
    calls: int
    kept: object


def plainly(start: Any, calls: Callable[[Any], Iterator[Any]], moves: Callable[[Any], Iterator[Any]]) -> Found:
    """The plain search: `calls` gives the world after each call, or None where that is no other world of the scope."""
    met, frontier, made = {start}, [start], 0
    while frontier:
        following = []
        for world in frontier:
            for each in calls(world):
                made += 1
                if each is not None and each not in met:
                    met.add(each)
                    following.append(each)
            for each in moves(world):
                if each not in met:
                    met.add(each)
                    following.append(each)
        frontier = following
    return Found(len(met), made, met)


def of_model(chapter: str) -> Found:
    """The search of the model itself in the default scope of a chapter, symmetry not reduced."""
    found = Search(SCOPES[chapter](), reduce=False).run()
    return Found(found.figures.states, found.figures.calls, found)


def bytes_a_world(search: Callable[[], Found]) -> float:
    """By how much the resident memory of a fresh process has grown after a search, for each world, in bytes."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown, (search,))


def _grown(search: Callable[[], Found]) -> float:
    before = resident_mb()
    found = search()
    return (resident_mb() - before) * 2**20 / found.worlds
