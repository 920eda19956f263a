"""Turn inputs with bare tuples."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product

from .plain import Case, clock_and_process, on_either_session

Claim = tuple[int, int] | None
"""Owner and expiry; all claims of a session have one id."""

Row = tuple[int, int, str, int, Claim]
"""Which draft, when it was submitted, what it is (pending, deferred, accepted, cancelled), how often claimed, and its claim."""

Session = tuple[tuple[Row, ...], bool]
"""The inputs, and whether a claim was ever granted."""

World = tuple[int, str, Session, Session]
"""The time, what is known of the process, and both sessions."""

FOR_TURN, KEYED = (1, 2), (2, 3, 4)
AFTER_WORK, AT_END = (1, 2)
"""The checkpoint before completion alone admits the second draft for a turn."""

START: World = (0, "yes", ((), False), (((2, 0, "pending", 0, None), (0, 0, "deferred", 0, None)), False))


def by_key(rows: tuple[Row, ...]) -> int:
    """The place of the input with the key, or -1."""
    return next((place for place, row in enumerate(rows) if row[0] in KEYED), -1)


def live(row: Row, now: int) -> bool:
    """Whether a claim keeps others from the input."""
    return row[4] is not None and row[4][1] > now


def listed(rows: tuple[Row, ...], now: int) -> list[Row]:
    """The inputs that wait and that nobody holds."""
    return [row for row in rows if row[2] in ("pending", "deferred") and not live(row, now)]


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


def taken(session: Session, now: int, ready: list[int], owner: int, ttl: int) -> Session | None:
    """The session after a claim of these inputs; None if there are none, or if it is one claim more than the scope has."""
    rows, granted = session
    if not ready or granted:
        return None
    claim = (owner, now + ttl)
    status = {"pending": "accepted", "deferred": "deferred"}
    after = tuple(
        (row[0], row[1], status[row[2]], row[3] + 1, claim) if place in ready else row for place, row in enumerate(rows)
    )
    return (after, True)


def for_next(session: Session, now: int, known: str, owner: int) -> list[int]:
    """What a next turn may take."""
    dead = known == "no" and owner == 1
    return [
        place
        for place, row in enumerate(session[0])
        if row[2] == "deferred" and (not live(row, now) or (dead and row[4] is not None and row[4][0] == 1))
    ]


def for_turn(session: Session, checkpoint: int) -> list[int]:
    """What the turn may accept at a checkpoint."""
    return [place for place, row in enumerate(session[0]) if row[2] == "pending" and (row[0] == 1 or checkpoint == AT_END)]


def given_back(session: Session) -> Session:
    """The session without the claim."""
    rows, granted = session
    freed = tuple(
        row if row[4] is None else (row[0], row[1], "pending" if row[0] in FOR_TURN else "deferred", row[3], None)
        for row in rows
    )
    return (freed, granted)


def calls_on_first(now: int, known: str, session: Session) -> Iterator[Session | None]:
    """The first session after every call on it."""
    rows, granted = session
    for draft in range(5):
        there = by_key(rows) if draft in KEYED else -1
        if there >= 0:
            _ = rows[there][0] == draft
            yield None
            continue
        longer = (*rows, (draft, now, "pending" if draft in FOR_TURN else "deferred", 0, None))
        yield (longer, granted) if len(longer) <= 2 else None
    if rows:
        yield None
    for each in (rows, ()):
        _ = listed(each, now)
        yield None
    places = (*range(len(rows)), -1)
    key = by_key(rows)
    several = [(), places, (key, *places), *permutations(places[:2])]
    suffixes = [tuple(range(each, len(rows))) if each >= 0 else () for each in (*places, key, -1)]
    for some in (*((each,) for each in places), *several, *suffixes):
        after, _ = cancelled(rows, now, some)
        yield (after, granted)
    yield from claims(now, known, session)
    if granted:
        yield given_back(session)
        yield from (None, None)
    yield from (None, None, None)


def claims(now: int, known: str, session: Session) -> Iterator[Session | None]:
    """The session after every claim."""
    for owner, ttl in product((1, 2), (0, 1)):
        waiting = for_next(session, now, known, owner)
        yield None
        yield taken(session, now, waiting[:1], owner, ttl)
        yield taken(session, now, waiting, owner, ttl)
        for checkpoint in (AFTER_WORK, AT_END):
            yield taken(session, now, for_turn(session, checkpoint), owner, ttl)
    # for another turn, and under fences that are not the session's
    yield None
    yield from (None,) * 8


def calls_on_other(now: int, known: str, session: Session) -> Iterator[Session | None]:
    """The other session after every call on it."""
    rows, granted = session
    _ = listed(rows, now)
    yield None
    for place in range(len(rows)):
        after, _ = cancelled(rows, now, (place,))
        yield (after, granted)
    for owner, ttl in product((1, 2), (0, 1)):
        yield taken(session, now, for_next(session, now, known, owner)[:1], owner, ttl)
        yield taken(session, now, for_turn(session, AT_END)[:1], owner, ttl)
    if granted:
        yield given_back(session)


CASES = {"turn_input": Case(START, on_either_session(calls_on_first, calls_on_other), clock_and_process, (235_872, 15_896_448))}
