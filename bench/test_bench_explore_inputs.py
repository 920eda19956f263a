"""How fast turn inputs are searched, next to the plainest search of the same worlds with bare tuples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations, product
from typing import Any

import pytest
from fencepost.statemachines.explore import Search
from fencepost.statemachines.scopes import SCOPES

Claim = tuple[int, int] | None
"""Owner and expiry; all claims of the scope have one id."""

Row = tuple[int, int, str, int, Claim]
"""Which draft, when it was submitted, what it is (pending, deferred, accepted, cancelled), how often claimed, and its claim."""

World = tuple[int, str, tuple[Row, ...], int | None]
"""The time, what is known of the process, the inputs, and when a claim was granted."""

FOR_TURN, KEYED, TEXTS = (1, 2), (2, 3, 4), (0, 0, 0, 0, 1)
CHECKPOINTS = _, AT_END = (1, 2)
"""The checkpoint before completion alone admits the second draft for a turn."""


def moves(world: World) -> Iterator[World]:
    """The clock ticks, the process ends or is hidden."""
    now, known, rows, granted = world
    if now == 0:
        yield (1, known, rows, granted)
    if known == "yes":
        yield (now, "no", rows, granted)
        yield (now, "unknown", rows, granted)


def by_key(rows: tuple[Row, ...]) -> int:
    """The place of the input with the key, or -1."""
    return next((place for place, row in enumerate(rows) if row[0] in KEYED), -1)


def live(row: Row, now: int) -> bool:
    """Whether a claim keeps others from the input."""
    return row[4] is not None and row[4][1] > now


def cancelled(rows: tuple[Row, ...], now: int, places: tuple[int, ...]) -> tuple[tuple[Row, ...], list[str]]:
    """The inputs after cancellations one after another, and what each found."""
    found = []
    for place in places:
        if place < 0:
            found.append("missing")
            continue
        draft, at, status, count, _ = rows[place]
        if status == "cancelled" or status == "accepted" or live(rows[place], now):
            found.append(status)
            continue
        rows = (*rows[:place], (draft, at, "cancelled", count, None), *rows[place + 1 :])
        found.append("found")
    return rows, found


def taken(world: World, ready: list[int], owner: int, ttl: int) -> World | None:
    """The world after a claim of these inputs; None if there are none, or if it is one claim more than the scope has."""
    now, known, rows, granted = world
    if not ready:
        return None
    claim = (owner, now + ttl)
    status = {"pending": "accepted", "deferred": "deferred"}
    after = tuple(
        (row[0], row[1], status[row[2]], row[3] + 1, claim) if place in ready else row for place, row in enumerate(rows)
    )
    return (now, known, after, now) if granted is None else None


def calls(world: World) -> Iterator[World | None]:
    """The world after every call that the scope tries; None if nothing changes or it leads out of the scope."""
    now, known, rows, granted = world
    for draft in range(5):
        there = by_key(rows) if draft in KEYED else -1
        if there >= 0:
            _ = rows[there][0] == draft
            yield None
            continue
        longer = (*rows, (draft, now, "pending" if draft in FOR_TURN else "deferred", 0, None))
        yield (now, known, longer, granted) if len(longer) <= 2 else None
    if rows:
        yield None
    for listed in (rows, (), ()):
        _ = [row for row in listed if row[2] in ("pending", "deferred") and not live(row, now)]
        yield None
    places = (*range(len(rows)), -1)
    key = by_key(rows)
    several = [(), places, (key, *places), *permutations(places[:2])]
    suffixes = [tuple(range(each, len(rows))) if each >= 0 else () for each in (*places, key, -1)]
    for some in (*((each,) for each in places), *several, *suffixes):
        after, _ = cancelled(rows, now, some)
        yield (now, known, after, granted)
    yield from claims(world)
    if granted is not None:
        freed = tuple(
            row if row[4] is None else (row[0], row[1], "pending" if row[0] in FOR_TURN else "deferred", row[3], None)
            for row in rows
        )
        yield (now, known, freed, granted)
        yield from (None, None)
    yield from (None, None, None)


def claims(world: World) -> Iterator[World | None]:
    """The world after every claim."""
    now, known, rows, _ = world
    for owner, ttl in product((1, 2), (0, 1)):
        dead = known == "no" and owner == 1
        waiting = [
            place
            for place, row in enumerate(rows)
            if row[2] == "deferred" and (not live(row, now) or (dead and row[4] is not None and row[4][0] == 1))
        ]
        yield None
        yield taken(world, waiting[:1], owner, ttl)
        yield taken(world, waiting, owner, ttl)
        for checkpoint in CHECKPOINTS:
            admitted = [p for p, row in enumerate(rows) if row[2] == "pending" and (row[0] == 1 or checkpoint == AT_END)]
            yield taken(world, admitted, owner, ttl)
    yield None
    yield from (None,) * 8


def bare() -> tuple[int, int]:
    """Worlds and calls of the plain search."""
    start: World = (0, "yes", (), None)
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
    return len(met), made


def explored() -> tuple[int, int]:
    """Worlds and calls of the search of the model itself."""
    figures = Search(SCOPES["turn_input"](), reduce=False).run().figures
    return figures.states, figures.calls


@pytest.mark.benchmark(group="turn_input scope, every world")
@pytest.mark.parametrize("search", [bare, explored])
def test_search(benchmark: Any, rate: Callable[[str], None], search: Callable[[], tuple[int, int]]) -> None:
    worlds, made = benchmark.pedantic(search, rounds=1)
    assert (worlds, made) == (8_214, 464_670)
    rate(f"turn_input, {search.__name__}: {worlds:,} worlds, {made / benchmark.stats.stats.median:,.0f} calls/s")
