"""How fast logs and attachments are searched, next to the plainest search of the same worlds with bare tuples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
from fencepost.statemachines.explore import Search
from fencepost.statemachines.scopes import SCOPES

Turn = tuple[tuple[int, ...], bool] | None
Thread = tuple[Turn, Turn, bool]
"""Two turns, each its events and whether it is finished, and whether the thread was ever cleared."""

Entry = tuple[int, int, int, bool] | None
"""Session, uri, time of the intent, and whether it is stamped."""

Manifest = tuple[Entry, Entry, bool, bool, bool]
"""Two attachments, whether each was ever forgotten, and whether the store was seen to keep any."""


def plainly(start: Any, after: Callable[[Any], Iterator[Any]]) -> tuple[int, int]:
    """Worlds and calls of the plain search; a call that leads nowhere gives None."""
    met, frontier, made = {start}, [start], 0
    while frontier:
        following = []
        for world in frontier:
            for each in after(world):
                made += 1
                if each is not None and each not in met:
                    met.add(each)
                    following.append(each)
        frontier = following
    return len(met), made


def calls_on_thread(thread: Thread) -> Iterator[Thread | None]:
    """The thread after every call that the scope tries on it."""
    first, second, cleared = thread
    held = sum(len(turn[0]) for turn in (first, second) if turn)
    for place, turn in enumerate((first, second)):
        for event in range(3):
            written: Turn = ((*(turn[0] if turn else ()), event), False)
            if (turn and turn[1]) or held == 2:
                yield None
            else:
                yield (written, second, cleared) if place == 0 else (first, written, cleared)
        if turn and turn[1]:
            yield None
        else:
            closed: Turn = (turn[0] if turn else (), True)
            yield (closed, second, cleared) if place == 0 else (first, closed, cleared)
        yield None
    yield None
    yield None
    yield (None, None, True) if first or second else None


def events(world: tuple[Thread, Thread]) -> Iterator[Any]:
    """Both threads after every call on one of them."""
    for one in calls_on_thread(world[0]):
        yield None if one is None else (one, world[1])
    for other in calls_on_thread(world[1]):
        yield None if other is None else (world[0], other)


def attachments(world: Manifest) -> Iterator[Manifest | None]:
    """The manifest after every call that the scope tries."""
    one, two, first_gone, second_gone, kept = world
    entries = (one, two)
    for place, session, uri, at in product((0, 1), (0, 1), (0, 1), (10, 11)):
        known = entries[place]
        entry = (known[0], uri, max(at, known[2]), known[3]) if known else (session, uri, at, False)
        yield (entry, two, first_gone, second_gone, kept) if place == 0 else (one, entry, first_gone, second_gone, kept)
    for session, places in product((0, 1, 2), ((), (0,), (0, 1), (1, 1))):
        stamped = [
            (*each[:3], True) if each and each[0] == session and at in places else each for at, each in enumerate(entries)
        ]
        # the scope has no set of the second alone but the one that names it twice, beside one that is not there
        yield (stamped[0], stamped[1], first_gone, second_gone, kept)
    for until in (0, 9, 10, 11):
        shown = any(each and not each[3] and each[2] <= until for each in (one, two))
        yield (one, two, first_gone, second_gone, kept or shown)
    yield (None, two, True, second_gone, kept) if one else None
    yield (one, None, first_gone, True, kept) if two else None
    yield None


Record = tuple[int, int, int, int]
"""Attempt, producer, event and parents: nothing, a record that is nowhere, the first record, or that twice."""


def outputs(world: tuple[Record, ...]) -> Iterator[tuple[Record, ...] | None]:
    """The records after every call that the scope tries; one more than two leads out of it."""
    for record in product((0, 1), (0, 1), range(4), range(4 if world else 2)):
        yield (*world, record) if len(world) < 2 else None
    for _ in (*world, "nowhere"):
        yield None
    for producer in (0, 1, 2):
        next((each for each in reversed(world) if each[1] == producer), None)
        yield None
    for attempt in (0, 1, 2):
        _ = [each for each in world if each[0] == attempt]
        yield None


STARTS: dict[str, tuple[Any, Callable[[Any], Iterator[Any]], tuple[int, int]]] = {
    "event": (((None, None, False), (None, None, False)), events, (73_984, 1_923_584)),
    "attachment": ((None, None, False, False, False), attachments, (2_311, 80_885)),
    "output": ((), outputs, (2_081, 151_847)),
}


@pytest.mark.parametrize("chapter", STARTS)
@pytest.mark.parametrize("how", ["bare", "explored"])
def test_search(benchmark: Any, rate: Callable[[str], None], chapter: str, how: str) -> None:
    start, after, expected = STARTS[chapter]
    benchmark.group = f"{chapter} scope, every world"

    def explored() -> tuple[int, int]:
        figures = Search(SCOPES[chapter](), reduce=False).run().figures
        return figures.states, figures.calls

    met = benchmark.pedantic((lambda: plainly(start, after)) if how == "bare" else explored, rounds=1)
    assert met == expected
    rate(f"{chapter}, {how}: {met[0]:,} worlds, {met[1] / benchmark.stats.stats.median:,.0f} calls/s")
