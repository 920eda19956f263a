"""The plainest search there is, with bare tuples, one call at a time; and what the search of the model is held against it by.

Both make the same calls, those that are refused and those that lead out of the scope too: worlds and calls must be as many. The
plain search makes each next world and finds what a read answers. It names no requirement and holds no invariant, which the
search of the model does.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context
from typing import Any, NamedTuple

World = Any
"""A tuple of whatever a chapter needs."""

After = Callable[[World], Iterable[World | None]]
"""The world after every call that the scope tries on it: None if nothing changes, or if it leads out of the scope."""

Found = tuple[int, int]
"""How many worlds and calls a search has met."""

Lane = tuple[int, int, int, int]
"""Fencing token, owner (0 while nobody holds), claimed at, expires at. The lease token has the number of the fencing token."""

Shown = tuple[int, int, int]
"""Lease token, fencing token, owner."""

KEPT: list[object] = []
"""What the last search has met, for its memory to be looked at."""


class Case(NamedTuple):
    """A plain search: where it begins, its calls, the moves of clock and processes, and how many worlds and calls it meets."""

    start: World
    after: After
    moves: Callable[[World], Iterable[World]]
    found: Found


def no_moves(_: World) -> tuple[World, ...]:
    """Neither clock nor process does anything."""
    return ()


def clock_and_process(world: World) -> Iterator[World]:
    """The clock ticks once, the one process ends or is hidden."""
    now, known, *sessions = world
    if now == 0:
        yield (1, known, *sessions)
    if known == "yes":
        yield (now, "no", *sessions)
        yield (now, "unknown", *sessions)


def on_either_session(first: Callable[..., Iterable[World]], other: Callable[..., Iterable[World]]) -> After:
    """The world after every call on one of its two sessions."""

    def after(world: World) -> Iterator[World | None]:
        now, known, here, there = world
        for each in first(now, known, here):
            yield None if each is None else (now, known, each, there)
        for each in other(now, known, there):
            yield None if each is None else (now, known, here, each)

    return after


def plainly(case: Case) -> Found:
    """Worlds and calls of the plain search; moves of clock and processes are no calls."""
    met, frontier, made, after, moves = {case.start}, [case.start], 0, case.after, case.moves
    while frontier:
        following = []
        for world in frontier:
            for each in after(world):
                made += 1
                if each is not None and each not in met:
                    met.add(each)
                    following.append(each)
            for each in moves(world):
                if each not in met:
                    met.add(each)
                    following.append(each)
        frontier = following
    KEPT[:] = [met]
    return len(met), made


def allocated(search: Callable[..., Found], *arguments: Any) -> float:
    """Bytes for each world that a search has in memory when it is done, in a process of its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_allocated, (search, *arguments))


def _allocated(search: Callable[..., Found], *arguments: Any) -> float:
    tracemalloc.start()
    worlds, _ = search(*arguments)
    gc.collect()
    return tracemalloc.get_traced_memory()[0] / worlds


def shown(fence: int, owner: int, owners: range) -> list[Shown]:
    """The proofs that the scope shows: every grant as everybody's, and five altered ones, one of them in liveness only."""
    newest, holder = fence or 1, owner or 1
    altered = [(-1, newest, holder), (newest, newest + 1, holder), (newest, newest - 1, holder), (newest, newest, -1)]
    return [*((each, each, who) for each in range(fence, 0, -1) for who in owners), *altered, (newest, newest, holder)]


def calls_on_lane(now: int, lane: Lane, owners: range, ttls: tuple[int, ...]) -> Iterator[Lane | None]:
    """The lane after every call that the scope of leases tries on it, in the scope or not; None if the call was refused."""
    fence, owner, claimed, expires = lane
    live = owner and now < expires
    proofs = shown(fence, owner, owners)
    for ttl in ttls:
        for who in owners:
            if not live:
                yield (fence + 1, who, now, now + ttl)
            elif who == owner:
                yield (fence, owner, claimed, now + ttl)
            else:
                yield None
        for who in owners:
            # no process of theirs is known, so nobody is dead; the last is a proof of another session
            for _ in range(len(proofs) + 1):
                yield None if live else (fence + 1, who, now, now + ttl)
        for token, number, who in proofs:
            yield (fence, owner, claimed, now + ttl) if live and (token, number, who) == (fence, fence, owner) else None
    for token, number, who in proofs:
        yield (fence, 0, 0, 0) if owner and (token, number, who) == (fence, fence, owner) else None
