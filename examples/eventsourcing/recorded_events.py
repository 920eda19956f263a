"""An event log over the SQLite recorder of the `eventsourcing` library: each thread is one sequence of stored events.

What the calls do is recorded, not its outcome: `Appended`, `Finished` and `Cleared` follow each other in the sequence of the
thread, and reading folds them. The recorder gives each its version, and refuses the second of two that claim the same one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eventsourcing.persistence import IntegrityError, PersistenceError, StoredEvent
from eventsourcing.sqlite import SQLiteFactory
from eventsourcing.utils import Environment as Settings
from fencepost.kit import declares
from fencepost.spec import (
    AgentEventEnvelope,
    AppendToFinishedTurn,
    EventStorageFailure,
    EventStore,
    StoredTurnEvents,
    TurnAlreadyFinished,
)
from fencepost.spec.events import envelope_from_json, envelope_json
from fencepost.statemachines.environment import Environment
from msgspec.structs import replace

APPENDED, FINISHED, CLEARED = "Appended", "Finished", "Cleared"
"""The topics of stored events."""

PATIENCE = 10
"""How often to try again when another writer was first."""


class RecordedEvents(EventStore):
    """`EventStore` over an application recorder."""

    def __init__(self, path: Path) -> None:
        # ids of threads are any texts: the library keeps UUIDs unless told otherwise
        settings = Settings(name="threads", env={"SQLITE_DBNAME": str(path), "ORIGINATOR_ID_TYPE": "text"})
        self._factory = SQLiteFactory(settings)
        self._recorder = self._factory.application_recorder()

    def append(self, thread_id: str, turn: int, envelope: AgentEventEnvelope) -> None:
        """See `EventStore`."""
        refused = AppendToFinishedTurn(thread_id, turn)
        self._record(thread_id, turn, refused, APPENDED, {"turn": turn, "envelope": envelope_json(envelope)})

    def finish_turn(self, thread_id: str, turn: int) -> None:
        """See `EventStore`."""
        self._record(thread_id, turn, TurnAlreadyFinished(thread_id, turn), FINISHED, {"turn": turn})

    def get_turn(self, thread_id: str, turn: int) -> StoredTurnEvents | None:
        """See `EventStore`."""
        return self._folded(thread_id)[0].get(turn)

    def get_turns(self, thread_id: str) -> tuple[StoredTurnEvents, ...]:
        """See `EventStore`."""
        turns, _ = self._folded(thread_id)
        return tuple(turns[number] for number in sorted(turns))

    def clear(self, thread_id: str) -> None:
        """See `EventStore`. Nothing is deleted: the library has no call for it. What was before is read no more."""
        self._record(thread_id, None, None, CLEARED, {})

    def close(self) -> None:
        """Let go of the file."""
        self._factory.close()

    def _record(self, thread_id: str, turn: int | None, refused: Exception | None, topic: str, state: dict[str, Any]) -> None:
        """Put a stored event behind the last one of the thread, unless the turn that it is about is finished."""
        for _ in range(PATIENCE):
            turns, version = self._folded(thread_id)
            if refused is not None and turn in turns and turns[turn].finished:
                raise refused
            stored = StoredEvent(thread_id, version + 1, topic, json.dumps(state).encode())
            try:
                with _failing_as_the_law_says():
                    self._recorder.insert_events([stored])
                return
            except _Taken:
                continue
        raise EventStorageFailure(f"thread {thread_id!r} was written to by others {PATIENCE} times in a row: try again")

    def _folded(self, thread_id: str) -> tuple[dict[int, StoredTurnEvents], int]:
        """The turns of the thread by their numbers, and the version of its last stored event; 0 if it has none."""
        turns: dict[int, StoredTurnEvents] = {}
        version = 0
        with _failing_as_the_law_says():
            for stored in self._recorder.select_events(thread_id):
                turns, version = _after(turns, stored), stored.originator_version
        return turns, version


class _Taken(Exception):
    """Another writer was first: the version that was claimed is taken."""


def _after(turns: dict[int, StoredTurnEvents], stored: StoredEvent) -> dict[int, StoredTurnEvents]:
    if stored.topic == CLEARED:
        return {}
    state = json.loads(stored.state)
    turn = turns.get(state["turn"], StoredTurnEvents(state["turn"]))
    if stored.topic == APPENDED:
        turns[turn.turn] = replace(turn, events=(*turn.events, envelope_from_json(state["envelope"])))
    else:
        turns[turn.turn] = replace(turn, finished=True)
    return turns


@contextmanager
def _failing_as_the_law_says() -> Iterator[None]:
    """Nothing but a refusal of the protocol leaves a call: what the library raises is `EventStorageFailure`."""
    try:
        yield
    except IntegrityError as error:
        raise _Taken from error
    except (PersistenceError, ValueError) as error:
        raise EventStorageFailure(str(error)) from error


@declares("controlled-clock", "reopen", chapters=("event",))
def factory(environment: Environment) -> RecordedEvents:
    """The file is in the environment's directory: called again with the same one, it is opened again."""
    return RecordedEvents(environment.directory / "events.db")
