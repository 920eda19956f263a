"""An output log in SQLite, with nothing but Python's own `sqlite3`: one table, whose row ids are the order of appends."""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fencepost.kit import declares
from fencepost.spec import OutputEvent, OutputInternal, OutputNotFound, OutputRecord, OutputRef, OutputStore
from fencepost.spec.wire import reader_of, to_wire
from fencepost.statemachines.environment import Environment

SCHEMA = """
CREATE TABLE IF NOT EXISTS outputs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    task_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    producer_agent TEXT NOT NULL,
    record TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_attempt ON outputs (task_id, attempt, number);
CREATE INDEX IF NOT EXISTS by_producer ON outputs (producer_agent, number);
"""


class SqliteOutputs(OutputStore):
    """`OutputStore` in a SQLite file."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(f"PRAGMA journal_mode = WAL; {SCHEMA}")

    def append(
        self, task_id: str, attempt: int, producer_agent: str, event: OutputEvent, parent_refs: tuple[OutputRef, ...]
    ) -> OutputRef:
        """See `OutputStore`."""
        ref = OutputRef(f"out-{secrets.token_hex(5)}")
        record = OutputRecord(ref, task_id, attempt, producer_agent, event, parent_refs)
        row = (ref.value, task_id, attempt, producer_agent, json.dumps(to_wire(record)))
        # an id of forty random bits that is taken after all is a failed append: it replaces nothing
        self._rows("INSERT INTO outputs (id, task_id, attempt, producer_agent, record) VALUES (?, ?, ?, ?, ?)", *row)
        return ref

    def get(self, id: OutputRef) -> OutputRecord:
        """See `OutputStore`."""
        return self._found("SELECT record FROM outputs WHERE id = ?", id.value)

    def get_latest_by_name(self, name: str) -> OutputRecord:
        """See `OutputStore`."""
        return self._found("SELECT record FROM outputs WHERE producer_agent = ? ORDER BY number DESC LIMIT 1", name)

    def list_for_attempt(self, task_id: str, attempt: int) -> tuple[OutputRecord, ...]:
        """See `OutputStore`."""
        asked = "SELECT record FROM outputs WHERE task_id = ? AND attempt = ? ORDER BY number"
        return tuple(_record(text) for (text,) in self._rows(asked, task_id, attempt))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def _found(self, asked: str, key: str) -> OutputRecord:
        for (text,) in self._rows(asked, key):
            return _record(text)
        raise OutputNotFound(key)

    def _rows(self, statement: str, *values: Any) -> list[Any]:
        with _failing_as_the_law_says():
            return self._connection.execute(statement, values).fetchall()


def _record(text: str) -> OutputRecord:
    with _failing_as_the_law_says():
        record: OutputRecord = reader_of(OutputRecord)(json.loads(text), "record")
        return record


@contextmanager
def _failing_as_the_law_says() -> Iterator[None]:
    """Nothing but a refusal of the protocol leaves a call: what SQLite or a damaged row raises is `OutputInternal`."""
    try:
        yield
    except (sqlite3.Error, ValueError) as error:
        raise OutputInternal(str(error)) from error


@declares("controlled-clock", "reopen", chapters=("output",))
def factory(environment: Environment) -> SqliteOutputs:
    """The file is in the environment's directory: called again with the same one, it is opened again."""
    return SqliteOutputs(environment.directory / "outputs.db")
