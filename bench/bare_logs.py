"""Logs, attachments and runtimes with bare tuples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from .plain import Case, no_moves

Turn = tuple[tuple[int, ...], bool] | None
Thread = tuple[Turn, Turn, bool]
"""Two turns, each its events and whether it is finished, and whether the thread was ever cleared."""

Entry = tuple[int, int, int, bool] | None
"""Session, uri, time of the intent, and whether it is stamped."""

Manifest = tuple[tuple[Entry, ...], tuple[bool, ...], bool]
"""Three attachments, whether each was ever forgotten, and whether the store was seen to keep any."""


def on_either(calls: Callable[[Any], Iterator[Any]]) -> Callable[[Any], Iterator[Any]]:
    """Both parts after every call on one of them."""

    def after(world: tuple[Any, Any]) -> Iterator[Any]:
        first, second = world
        for one in calls(first):
            yield None if one is None else (one, second)
        for other in calls(second):
            yield None if other is None else (first, other)

    return after


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


def attachments(world: Manifest) -> Iterator[Manifest | None]:
    """The manifest after every call that the scope tries."""
    entries, gone, kept = world
    for place, session, uri, at in product((0, 1, 2), (0, 1), (0, 1), (10, 11)):
        known = entries[place]
        entry = (known[0], uri, max(at, known[2]), known[3]) if known else (session, uri, at, False)
        yield ((*entries[:place], entry, *entries[place + 1 :]), gone, kept)
    for session, places in product((0, 1, 2), ((), (0,), (0, 1, 2), (2, 2))):
        stamped = [
            (*each[:3], True) if each and each[0] == session and at in places else each for at, each in enumerate(entries)
        ]
        yield (tuple(stamped), gone, kept)
    for until in (0, 9, 10, 11):
        waiting = [(each[2], at, *each[:2]) for at, each in enumerate(entries) if each and not each[3] and each[2] <= until]
        yield (entries, gone, kept or bool(sorted(waiting)))
    for place in (0, 1, 2):
        after = ((*entries[:place], None, *entries[place + 1 :]), (*gone[:place], True, *gone[place + 1 :]), kept)
        yield after if entries[place] else None
    yield None


Record = tuple[int, int, int, int, int]
"""Task, attempt, producer, event, and parents: nothing, a record that is nowhere, the first of its task, or that twice."""

WHATS = ((0, 0, 0), (0, 1, 0), (0, 2, 0), (0, 3, 0), (1, 3, 0), (0, 0, 1), (0, 0, 2), (0, 0, 3))
"""Producer, event and parents of what is appended; the last two where there is a record."""

LATER: tuple[tuple[Record, ...], ...] = tuple(
    tuple((task, attempt, *what) for attempt, what in product((1, 0), WHATS)) for task in (0, 1)
)
FIRST = tuple(tuple(record for record in records if record[4] < 2) for records in LATER)


def outputs(world: tuple[Record, ...]) -> Iterator[tuple[Record, ...] | None]:
    """The records after every call that the scope tries; a third one of a task leads out of it."""
    for task in (0, 1):
        own = [each for each in world if each[0] == task]
        for record in LATER[task] if own else FIRST[task]:
            yield (*world, record) if len(own) < 2 else None
        yield from (each and None for each in own)
        yield None
        for producer in (0, 1, 2):
            next((each for each in reversed(world) if each[0] == task and each[2] == producer), None)
            yield None
        for key in ((task, 1), (task, 0), (2, 1)):
            _ = [each for each in world if each[:2] == key]
            yield None


Receipts = tuple[tuple[int, str], ...]
"""Number and kind of each receipt of the run: of a boundary with or without a contributing input, or made by the caller."""

Written = tuple[int, int | None] | None
"""Which input was written, and the number of the boundary that stamped it."""

Runtime = tuple[Receipts, bool, Written, int | None]
"""The receipts, whether there is a session, the input, and the state."""

NOTHING: Runtime = ((), False, None, None)
UPDATES: tuple[tuple[int, ...], ...] = ((), (0,), (0, 1))


def calls_on_runtime(runtime: Runtime) -> Iterator[Runtime | None]:
    """The runtime after every call that the scope tries on it, or on the one that is not there."""
    yield from (None if after is None or len(after[0]) > 2 else after for after in written(runtime))
    for receipts, session, kept, state in (runtime, NOTHING):
        _ = (kept and (kept,), session, state, kept)
        yield from (None,) * 5
        for sequence in range(3):
            next((each for each in receipts if each[0] == sequence), None)
            yield None


def written(runtime: Runtime) -> Iterator[Runtime | None]:
    """The runtime after every call that writes, in the scope or not; None if it was refused."""
    receipts, session, kept, state = runtime
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


CASES = {
    "event": Case(((None, None, False), (None, None, False)), on_either(calls_on_thread), no_moves, (73_984, 1_923_584)),
    "attachment": Case(((None, None, None), (False, False, False), False), attachments, no_moves, (78_607, 3_458_708)),
    "runtime": Case((NOTHING, NOTHING), on_either(calls_on_runtime), no_moves, (71_289, 8_554_680)),
    "output": Case((), outputs, no_moves, (235_705, 11_768_366)),
}
