"""How fast logs, attachments and runtimes are searched, next to the plainest search of the same worlds with bare tuples.

Both make the same calls, those that are refused and those that lead out of the scope too: worlds and calls must be as many.
The plain search makes each next world and finds what a read answers. It names no requirement and holds no invariant, which the
search of the model does. There is no such search of `commit`, `session` and `maintenance`: their ratios are not known.
"""

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
        waiting = [(each[2], at, *each[:2]) for at, each in enumerate(entries) if each and not each[3] and each[2] <= until]
        yield (one, two, first_gone, second_gone, kept or bool(sorted(waiting)))
    yield (None, two, True, second_gone, kept) if one else None
    yield (one, None, first_gone, True, kept) if two else None
    yield None


Record = tuple[int, int, int, int]
"""Attempt, producer, event and parents: nothing, a record that is nowhere, the first record, or that twice."""


def outputs(world: tuple[Record, ...]) -> Iterator[tuple[Record, ...] | None]:
    """The records after every call that the scope tries; one more than two leads out of it."""
    for record in product((0, 1), (0, 1), range(4), range(4 if world else 2)):
        longer = (*world, record)
        yield longer if len(longer) <= 2 else None
    yield from (each and None for each in world)
    yield None
    for producer in (0, 1, 2):
        next((each for each in reversed(world) if each[1] == producer), None)
        yield None
    for attempt in (0, 1, 2):
        _ = [each for each in world if each[0] == attempt]
        yield None


Receipts = tuple[tuple[int, str], ...]
"""Number and kind of each receipt of the run: of a boundary with or without a contributing input, or made by the caller."""

Written = tuple[int, int | None] | None
"""Which input was written, and the number of the boundary that stamped it."""

Runtime = tuple[Receipts, bool, Written, int | None]
"""The receipts, whether there is a session, the input, and the state; what is beside it never changes."""

BESIDE: Runtime = (((0, "contributing"),), True, (0, 0), None)
UPDATES: tuple[tuple[int, ...], ...] = ((), (0,), (0, 1))


def runtimes(world: Runtime) -> Iterator[Runtime | None]:
    """The runtime after every call that the scope tries."""
    yield from (None if after is None or len(after[0]) > 2 else after for after in written(world))
    for receipts, session, kept, state in (world, BESIDE, ((), False, None, None)):
        _ = (kept and (kept,), session, state, kept)
        yield from (None,) * 5
        for sequence in range(3):
            next((each for each in receipts if each[0] == sequence), None)
            yield None


def written(world: Runtime) -> Iterator[Runtime | None]:
    """The runtime after every call that writes, in the scope or not; None if it was refused."""
    receipts, session, kept, state = world
    for decodable, kind, updates in product((True, False), ("", "contributing"), UPDATES):
        sequence = max((each for each, _ in receipts), default=-1) + 1
        stamped = (updates[-1], sequence) if updates else kept
        yield (tuple(sorted((*receipts, (sequence, kind)))), True, stamped, state) if decodable else None
    for delta, sequence, updates, key in product((None, True, False), (0, 2), UPDATES[:2], (False, True)):
        refused = delta is False or (delta and key) or any(each == sequence for each, _ in receipts)
        after = (updates[-1], None) if updates else kept
        made = None if refused else tuple(sorted((*receipts, (sequence, "caller"))))
        yield None if made is None else (made, session or bool(delta), after, state)
    for update in (0, 1):
        yield (receipts, session, (update, None), state)
    for becomes in (0, 1):
        yield (receipts, session, kept, becomes)
        for updates in UPDATES[:2]:
            yield (receipts, session, (updates[-1], None) if updates else kept, becomes)


STARTS: dict[str, tuple[Any, Callable[[Any], Iterator[Any]], tuple[int, int]]] = {
    "event": (((None, None, False), (None, None, False)), events, (73_984, 1_923_584)),
    "attachment": ((None, None, False, False, False), attachments, (2_311, 80_885)),
    "runtime": (((), False, None, None), runtimes, (267, 18_156)),
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
