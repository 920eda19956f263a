"""How fast a scope is searched, next to the plainest search of the same worlds: bare tuples, one call at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import pytest
from fencepost.statemachines.explore import Search, resident_mb
from fencepost.statemachines.scope import Bounds
from fencepost.statemachines.scopes.lease import LeaseScope

from .plain import KEPT, Lane, calls_on_lane

BOUNDS = Bounds(owners=3, sessions=2, times=5, tokens=4, ttls=(1, 2))
OWNERS = range(1, 4)

Bare = tuple[int, Lane, Lane]
"""The time, and the lane of each session."""


def bare() -> tuple[int, int]:
    """Worlds and calls of the plain search."""
    start: Bare = (0, (0, 0, 0, 0), (0, 0, 0, 0))
    met, frontier, made = {start}, [start], 0
    while frontier:
        following = []
        for now, one, other in frontier:
            after: list[Bare] = [(now + 1, one, other)] if now < BOUNDS.times else []
            for lane in calls_on_lane(now, one, OWNERS, BOUNDS.ttls):
                made += 1
                if lane is not None and lane[0] <= BOUNDS.tokens:
                    after.append((now, lane, other))
            for lane in calls_on_lane(now, other, OWNERS, BOUNDS.ttls):
                made += 1
                if lane is not None and lane[0] <= BOUNDS.tokens:
                    after.append((now, one, lane))
            for world in after:
                if world not in met:
                    met.add(world)
                    following.append(world)
        frontier = following
    KEPT[:] = [met]
    return len(met), made


def explored() -> tuple[int, int]:
    """Worlds and calls of the search of the model itself, symmetry not reduced."""
    found = Search(LeaseScope(BOUNDS), reduce=False).run()
    KEPT[:] = [found]
    return found.figures.states, found.figures.calls


@pytest.mark.benchmark(group="lease scope, every world")
@pytest.mark.parametrize("search", [bare, explored])
def test_search(benchmark: Any, rate: Callable[[str], None], search: Callable[[], tuple[int, int]]) -> None:
    worlds, made = benchmark.pedantic(search, rounds=1)
    assert (worlds, made) == (216_030, 53_662_680)
    rate(f"{search.__name__}: {worlds:,} worlds, {made / benchmark.stats.stats.median:,.0f} calls/s")


@pytest.mark.parametrize("search", [bare, explored])
def test_memory(rate: Callable[[str], None], search: Callable[[], tuple[int, int]]) -> None:
    with get_context("spawn").Pool(1) as pool:
        worlds, grown = pool.apply(_grown, (search,))
    rate(f"{search.__name__}: {grown * 2**20 / worlds:,.0f} bytes a world")


def _grown(search: Callable[[], tuple[int, int]]) -> tuple[int, float]:
    before = resident_mb()
    worlds, _ = search()
    return worlds, resident_mb() - before


def test_symmetry(rate: Callable[[str], None]) -> None:
    began = time.perf_counter()
    figures = Search(LeaseScope(BOUNDS)).run().figures
    rate(f"the same up to symmetry: {figures.states:,} states in {time.perf_counter() - began:.1f} s")
