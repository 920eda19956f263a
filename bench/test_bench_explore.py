"""How fast a scope is searched, next to the plainest search of the same worlds: bare tuples, one call at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from typing import Any

import pytest
from fencepost.statemachines.explore import Search, resident_mb
from fencepost.statemachines.scope import Bounds
from fencepost.statemachines.scopes.lease import LeaseScope

BOUNDS = Bounds(owners=3, sessions=2, times=5, tokens=4, ttls=(1, 2))

Lane = tuple[int, int, int, int]
"""Fencing token, owner (0 while nobody holds), claimed at, expires at. The lease token has the number of the fencing token."""

Bare = tuple[int, Lane, Lane]
"""The time, and the lane of each session."""

Shown = tuple[int, int, int]
"""Lease token, fencing token, owner."""


def shown(fence: int, owner: int) -> list[Shown]:
    """The proofs that the scope shows: every grant as everybody's, and five altered ones, one of them in liveness only."""
    newest, holder = fence or 1, owner or 1
    altered = [(-1, newest, holder), (newest, newest + 1, holder), (newest, newest - 1, holder), (newest, newest, -1)]
    return [*((each, each, who) for each in range(fence, 0, -1) for who in (1, 2, 3)), *altered, (newest, newest, holder)]


def calls(now: int, lane: Lane) -> Iterator[Lane | None]:
    """The lane after every call that the scope tries on it; None if the call was refused."""
    fence, owner, claimed, expires = lane
    live = owner and now < expires
    proofs = shown(fence, owner)
    for ttl in BOUNDS.ttls:
        for who in (1, 2, 3):
            if not live:
                yield (fence + 1, who, now, now + ttl)
            elif who == owner:
                yield (fence, owner, claimed, now + ttl)
            else:
                yield None
        for who in (1, 2, 3):
            # no process of theirs is known, so nobody is dead; the last is a proof of another session
            for _ in range(len(proofs) + 1):
                yield None if live else (fence + 1, who, now, now + ttl)
        for token, number, who in proofs:
            yield (fence, owner, claimed, now + ttl) if live and (token, number, who) == (fence, fence, owner) else None
    for token, number, who in proofs:
        yield (fence, 0, 0, 0) if owner and (token, number, who) == (fence, fence, owner) else None


def bare() -> tuple[int, int]:
    """Worlds and calls of the plain search."""
    start: Bare = (0, (0, 0, 0, 0), (0, 0, 0, 0))
    met, frontier, made = {start}, [start], 0
    while frontier:
        following = []
        for now, one, other in frontier:
            after: list[Bare] = [(now + 1, one, other)] if now < BOUNDS.times else []
            for lane in calls(now, one):
                made += 1
                if lane is not None and lane[0] <= BOUNDS.tokens:
                    after.append((now, lane, other))
            for lane in calls(now, other):
                made += 1
                if lane is not None and lane[0] <= BOUNDS.tokens:
                    after.append((now, one, lane))
            for world in after:
                if world not in met:
                    met.add(world)
                    following.append(world)
        frontier = following
    KEPT.append(met)
    return len(met), made


KEPT: list[object] = []
"""What a search has met, for as long as its memory is looked at."""


def explored() -> tuple[int, int]:
    """Worlds and calls of the search of the model itself, symmetry not reduced."""
    found = Search(LeaseScope(BOUNDS), reduce=False).run()
    KEPT.append(found)
    return found.figures.states, found.figures.calls


@pytest.mark.benchmark(group="lease scope, every world")
@pytest.mark.parametrize("search", [bare, explored])
def test_search(benchmark: Any, rate: Callable[[str], None], search: Callable[[], tuple[int, int]]) -> None:
    worlds, made = benchmark.pedantic(search, rounds=1)
    assert (worlds, made) == (216_030, 53_662_680)
    rate(f"{search.__name__}: {worlds:,} worlds, {made / benchmark.stats.stats.median:,.0f} calls/s")
    KEPT.clear()


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
