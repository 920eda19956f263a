"""The event log: a row for each turn, one for each event, and one for each thread that is its guard.

Whoever writes to a thread writes its guard, in the one statement that each call is: to append reads whether the turn is
finished, and a deletion passes the updates of others (EVENT-33).
"""

from __future__ import annotations

from itertools import groupby

from ..spec import (
    AgentEventEnvelope,
    AppendToFinishedTurn,
    Backend,
    EventStorageFailure,
    EventStore,
    InvalidArgument,
    StoredTurnEvents,
    TurnAlreadyFinished,
)
from ..spec.contracts import ensures
from ..spec.events import envelope_from_json, envelope_json
from .encoding import lookup
from .engine import Row, Statement
from .store import DuckDBStore, failing_as

GUARD_THREAD = """WITH guarded AS
    (INSERT INTO threads VALUES (?, 1) ON CONFLICT (thread_key) DO UPDATE SET guard = threads.guard + 1)"""
APPEND = Statement(
    "append the event",
    f"""{GUARD_THREAD}, written AS
    (INSERT INTO turns VALUES (?, ?, ?, false, 1) ON CONFLICT (turn_key) DO UPDATE SET events = turns.events + 1
    WHERE NOT turns.finished RETURNING turn_key, thread_key, events)
    INSERT INTO events SELECT turn_key, thread_key, events, ? FROM written RETURNING 1""",
)
FINISH = Statement(
    "finish the turn",
    f"""{GUARD_THREAD} INSERT INTO turns VALUES (?, ?, ?, true, 0) ON CONFLICT (turn_key) DO UPDATE SET finished = true
    WHERE NOT turns.finished RETURNING 1""",
)
READ_TURN = Statement(
    "read the turn",
    """SELECT turn, finished, events, envelope FROM (FROM turns WHERE turn_key = ?)
    LEFT JOIN (FROM events WHERE turn_key = ?) ON true ORDER BY place""",
)
# the events apart: what is joined by itself is handed the keys of the turns, and scans the events of all threads (measured)
READ_TURNS = Statement(
    "read the turns",
    """WITH of_thread AS MATERIALIZED (SELECT turn_key, place, envelope FROM events WHERE thread_key = $1)
    SELECT turn, finished, events, envelope FROM (FROM turns WHERE thread_key = $1) AS turns
    LEFT JOIN of_thread USING (turn_key) ORDER BY turn, place""",
)
CLEAR = Statement(
    "clear the thread",
    """WITH guarded AS (UPDATE threads SET guard = guard + 1 WHERE thread_key = ?),
    gone AS (DELETE FROM events WHERE thread_key = ?) DELETE FROM turns WHERE thread_key = ?""",
)


class DuckDBEventStore(DuckDBStore, EventStore):
    """`EventStore` in a DuckDB database; see `DuckDBStore` for its construction. Each call is one statement."""

    @failing_as(EventStorageFailure)
    def append(self, thread_id: str, turn: int, envelope: AgentEventEnvelope) -> None:
        """See `EventStore`. One statement."""
        thread = lookup(thread_id)
        row = (thread, _key(thread_id, turn), thread, turn, envelope_json(envelope))
        if not _one(self._engine.once(APPEND, row)):
            raise AppendToFinishedTurn(thread_id, turn)

    @failing_as(EventStorageFailure)
    def finish_turn(self, thread_id: str, turn: int) -> None:
        """See `EventStore`. One statement; it is on disk when it answers."""
        thread = lookup(thread_id)
        if not _one(self._engine.once(FINISH, (thread, _key(thread_id, turn), thread, turn))):
            raise TurnAlreadyFinished(thread_id, turn)

    @failing_as(EventStorageFailure)
    def get_turn(self, thread_id: str, turn: int) -> StoredTurnEvents | None:
        """See `EventStore`. One statement."""
        key = _key(thread_id, turn)
        found = _turns(self._engine.once(READ_TURN, (key, key)))
        return found[0] if found else None

    @failing_as(EventStorageFailure)
    def get_turns(self, thread_id: str) -> tuple[StoredTurnEvents, ...]:
        """See `EventStore`. One statement, and so one snapshot (EVENT-25)."""
        return _turns(self._engine.once(READ_TURNS, (lookup(thread_id),)))

    @failing_as(EventStorageFailure)
    def clear(self, thread_id: str) -> None:
        """See `EventStore`. One statement."""
        self._engine.once(CLEAR, (lookup(thread_id),) * 3)


@ensures(lambda rows: len(rows) <= 1, "EVENT-33")
def _one(rows: list[Row]) -> bool:
    """Whether the turn was open or not there, and so was written."""
    return bool(rows)


def _key(thread_id: str, turn: int) -> str:
    return lookup(thread_id, str(turn))


@ensures(lambda rows, result: sum(len(each.events) for each in result) == sum(row[3] is not None for row in rows), "EVENT-25")
def _turns(rows: list[Row]) -> tuple[StoredTurnEvents, ...]:
    """The turns of rows that come turn by turn; a turn without events has a row of its own."""
    return tuple(
        _turn(turn, finished, count, [row[3] for row in group if row[3] is not None])
        for (turn, finished, count), group in groupby(rows, key=lambda row: row[:3])
    )


def _turn(turn: int, finished: bool, count: int, texts: list[str]) -> StoredTurnEvents:
    if len(texts) != count:
        raise Backend(f"the stored turn {turn} is damaged: of its {count} events {len(texts)} are there")
    if not (texts or finished):
        raise Backend(f"the stored turn {turn} is damaged: it is open, and nothing was appended to it")
    return StoredTurnEvents(turn, tuple(map(_envelope, texts)), finished)


@ensures(lambda text, result: str(result.event_id) in text, "EVENT-38")
def _envelope(text: str) -> AgentEventEnvelope:
    try:
        return envelope_from_json(text)
    except InvalidArgument as error:
        raise Backend(f"the stored event cannot be decoded: {error}") from error
