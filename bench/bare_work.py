"""Queued work with bare tuples."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product, takewhile

from .plain import Case, clock_and_process, on_either_session

Claim = tuple[int, int] | None
"""Owner and expiry; all claims of a session have one id."""

Row = tuple[int, int, int, int, Claim]
"""Its number, which draft, when it was submitted, how often claimed, and its claim."""

Session = tuple[tuple[Row, ...], int, bool, bool]
"""The batches, how many were ever submitted, whether the key was freed, and whether a claim was ever granted."""

World = tuple[int, str, Session, Session]
"""The time, what is known of the process, and both sessions."""

WORK, LATER, COMMAND, POISONED, KEYED = range(5)
"""Work, the same ready later and after the turn with a key, a command, what is of two classes, and work with a key."""

KEYS, TURN_WORK = (LATER, KEYED), (WORK, LATER, KEYED)
DURING, IDLE = (1, 2)
"""In a turn nothing is claimed that waits for its end."""

ROWS, TOKENS = 2, 1
NONE = -1
"""The number of a batch that is not there."""

ELSEWHERE = tuple((number, draft, 0, 0, None) for number, draft in enumerate((KEYED, WORK, COMMAND), 1))
START: World = (0, "yes", ((), 0, False, False), (ELSEWHERE, 3, False, False))


def live(row: Row, now: int) -> bool:
    """Whether a claim keeps others from the batch."""
    return row[4] is not None and row[4][1] > now


def pending(rows: tuple[Row, ...], now: int) -> list[Row]:
    """The batches that nobody holds."""
    return [row for row in rows if not live(row, now)]


def candidates(session: Session, now: int, known: str, owner: int) -> list[Row]:
    """What a claim sees."""
    dead = known == "no" and owner == 1
    return [
        row
        for row in session[0]
        if (row[1] != LATER or now >= 1) and (not live(row, now) or (dead and row[4] is not None and row[4][0] == 1))
    ]


def group(found: list[Row], boundary: int, most: int) -> list[Row]:
    """The first candidate, if it may be claimed as work, and those behind it that join it; nothing if any is poisoned."""
    if not found or any(row[1] == POISONED for row in found):
        return []
    head = found[0][1]
    if head not in TURN_WORK or (boundary == DURING and head == LATER):
        return []
    joined = takewhile(lambda row: row[1] in TURN_WORK and (row[1] == LATER) == (head == LATER), found[1:])
    return [found[0], *joined][:most]


def command(found: list[Row]) -> list[Row]:
    """The first candidate, if it is a command; nothing if any is poisoned."""
    return found[:1] if found and found[0][1] == COMMAND and all(row[1] != POISONED for row in found) else []


def counted(session: Session, chosen: list[Row], claim: Claim, granted: bool) -> Session | None:
    """The session with these batches counted once more and held so; None if one is claimed more often than in the scope."""
    rows, submitted, freed, _ = session
    if any(row[3] == TOKENS for row in chosen):
        return None
    after = tuple((row[0], row[1], row[2], row[3] + 1, claim) if row in chosen else row for row in rows)
    return (after, submitted, freed, granted)


def taken(session: Session, chosen: list[Row], owner: int, now: int, ttl: int) -> Session | None:
    """The session after a claim of these batches; None if there are none, or if it is one claim more than the scope has."""
    return None if not chosen or session[3] else counted(session, chosen, (owner, now + ttl), True)


def taken_by_ids(
    session: Session, some: tuple[int, ...], found: list[Row], boundary: int, owner: int, now: int
) -> Session | None:
    """The session after a claim of exactly these batches: what would be others is given back, and counted."""
    chosen = group(found, boundary, len(some))
    if not chosen:
        return None
    if tuple(row[0] for row in chosen) == some:
        return taken(session, chosen, owner, now, 1)
    return counted(session, chosen, None, session[3])


def cancelled(session: Session, number: int, now: int) -> Session | None:
    """The session without the batch, if it is there and nobody holds it."""
    rows, submitted, freed, granted = session
    gone = next((row for row in rows if row[0] == number), None)
    if gone is None or live(gone, now):
        return None
    return (tuple(row for row in rows if row is not gone), submitted, freed or gone[1] in KEYS, granted)


def shown_again(session: Session, now: int) -> Iterator[Session]:
    """The session after the claim was given back, and renewed."""
    rows, submitted, freed, granted = session
    for claim in (None, now + 1):
        after = tuple(row if row[4] is None else (*row[:4], None if claim is None else (row[4][0], claim)) for row in rows)
        yield (after, submitted, freed, granted)


def calls_on_first(now: int, known: str, session: Session) -> Iterator[Session | None]:
    """The first session after every call on it."""
    rows, submitted, freed, granted = session
    for draft in (WORK, LATER, COMMAND, POISONED):
        if draft in KEYS and any(row[1] in KEYS for row in rows):
            yield None
        else:
            longer = (*rows, (submitted + 1, draft, now, 0, None))
            yield (longer, submitted + 1, freed, granted) if submitted < ROWS else None
    for each in (rows, ()):
        _ = tuple(each)
        yield None
        _ = pending(each, now)
        yield None
    numbers = [row[0] for row in rows]
    for number in (*numbers, NONE, NONE):
        yield cancelled(session, number, now)
    yield from claims(now, known, session, numbers)
    if granted:
        yield from shown_again(session, now)
        yield from (None,) * 4
    yield from (None,) * 6


def claims(now: int, known: str, session: Session, numbers: list[int]) -> Iterator[Session | None]:
    """The session after every claim."""
    selections = ((), *permutations(numbers, 1), *permutations(numbers, 2), (NONE,))
    for owner in (1, 2):
        found = candidates(session, now, known, owner)
        yield taken(session, command(found), owner, now, 1)
        for boundary, most in product((DURING, IDLE), (1, 2)):
            yield taken(session, group(found, boundary, most), owner, now, 1)
        for boundary, some in product((DURING, IDLE), selections):
            yield taken_by_ids(session, some, found, boundary, owner, now)
    # under fences that are not the session's
    yield from (None,) * 10


def calls_on_other(now: int, known: str, session: Session) -> Iterator[Session | None]:
    """The other session after every call on it."""
    rows, _, _, granted = session
    _ = tuple(rows)
    yield None
    _ = pending(rows, now)
    yield None
    for row in rows:
        yield cancelled(session, row[0], now)
    for owner in (1, 2):
        found = candidates(session, now, known, owner)
        yield taken(session, command(found), owner, now, 1)
        yield taken(session, group(found, IDLE, 1), owner, now, 1)
    if granted:
        yield from shown_again(session, now)


CASES = {"queued_work": Case(START, on_either_session(calls_on_first, calls_on_other), clock_and_process, (77_052, 5_377_668))}
