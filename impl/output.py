"""The output log: a row for each record, and one for the latest of each producer.

The order of appends is that of the numbers in the rows, which are given with the row: they follow the order of commits, and
no id tells it. An id is made anew whenever the row is tried again, so one that is taken is never used (OUTPUT-3).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

from ..spec import Backend, OutputEvent, OutputInternal, OutputNotFound, OutputRecord, OutputRef, OutputStore
from ..spec.contracts import ensures
from .encoding import decoded, encoded, lookup
from .engine import Row, Statement
from .store import DuckDBStore, failing_as

APPEND = Statement(
    "append the record",
    """WITH numbered AS (UPDATE guards SET guard = guard + 1, last_number = last_number + 1
    WHERE name = 'outputs' RETURNING last_number),
    newest AS (INSERT INTO producers SELECT ?, last_number FROM numbered
    ON CONFLICT (producer_key) DO UPDATE SET latest = excluded.latest)
    INSERT INTO outputs SELECT last_number, ?, ?, ? FROM numbered RETURNING 1""",
)
READ = Statement("read the record", "SELECT id, record FROM outputs WHERE id = ?")
READ_LATEST = Statement(
    "read the latest record",
    "SELECT id, record FROM outputs WHERE number IN (SELECT latest FROM producers WHERE producer_key = ?)",
)
LIST = Statement("list the records", "SELECT id, record FROM outputs WHERE attempt_key = ? ORDER BY number")


class DuckDBOutputStore(DuckDBStore, OutputStore):
    """`OutputStore` in a DuckDB database; see `DuckDBStore` for its construction. Each call is one statement."""

    @failing_as(OutputInternal)
    def append(
        self, task_id: str, attempt: int, producer_agent: str, event: OutputEvent, parent_refs: tuple[OutputRef, ...]
    ) -> OutputRef:
        """See `OutputStore`. One statement, again with another id if this one is taken."""
        engine = self._engine

        def append() -> OutputRef:
            ref = self._fresh()
            record = OutputRecord(ref, task_id, attempt, producer_agent, event, parent_refs)
            row = (lookup(producer_agent), ref.value, _attempt(task_id, attempt), encoded(record))
            if not engine.execute(APPEND, row):
                raise Backend("this store is damaged: the number of its last output is missing")
            return ref

        return engine.again(APPEND.purpose, append)

    @failing_as(OutputInternal)
    def get(self, id: OutputRef) -> OutputRecord:
        """See `OutputStore`. One statement."""
        return _found(self._engine.once(READ, (id.value,)), id.value, lambda record: record.id == id)

    @failing_as(OutputInternal)
    def get_latest_by_name(self, name: str) -> OutputRecord:
        """See `OutputStore`. One statement."""
        return _found(self._engine.once(READ_LATEST, (lookup(name),)), name, lambda record: record.producer_agent == name)

    @failing_as(OutputInternal)
    def list_for_attempt(self, task_id: str, attempt: int) -> tuple[OutputRecord, ...]:
        """See `OutputStore`. One statement."""
        rows = self._engine.once(LIST, (_attempt(task_id, attempt),))
        return _records(rows, lambda record: (record.task_id, record.attempt) == (task_id, attempt))

    def _fresh(self) -> OutputRef:
        """An id of forty random bits: unlikely to be taken, and tried against the table (OUTPUT-2)."""
        return OutputRef(f"out-{secrets.token_hex(5)}")


def _attempt(task_id: str, attempt: int) -> str:
    return lookup(task_id, str(attempt))


@ensures(lambda rows: len(rows) == 1, "OUTPUT-13")
def _found(rows: Sequence[Row], key: str, belongs: Callable[[OutputRecord], bool]) -> OutputRecord:
    if not rows:
        raise OutputNotFound(key)
    return _records(rows, belongs)[0]


@ensures(lambda rows, result: [each.id.value for each in result] == [ref for ref, _ in rows], "OUTPUT-25")
def _records(rows: Sequence[Row], belongs: Callable[[OutputRecord], bool]) -> tuple[OutputRecord, ...]:
    """The records of these rows, each of which stands where it was looked for."""
    return tuple(_record(ref, decoded(OutputRecord, text, "output record"), belongs) for ref, text in rows)


@ensures(lambda ref, result, belongs: result.id.value == ref and belongs(result), "OUTPUT-12")
def _record(ref: str, record: OutputRecord, belongs: Callable[[OutputRecord], bool]) -> OutputRecord:
    if record.id.value != ref or not belongs(record):
        raise Backend(f"the stored output record {ref!r} is damaged: it says that it is another one")
    return record
