"""The engine under the store: one DuckDB database, a connection per thread, transactions that are tried again.

DuckDB isolates by snapshots and finds conflicts when it writes: nothing waits, the later of two writers fails. So a call
runs as a transaction from its first read on, and a transaction that met another writer is run again on fresh state. What
two calls must not both do, both must write: reading alone conflicts with nothing.
"""

from __future__ import annotations

import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

import duckdb

from ..spec import Backend
from .schema import TABLES, connected

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]

CLOSED = "the store is closed"


class Statement(NamedTuple):
    """A statement, and what it is for: the words that a failure is reported with."""

    purpose: str
    sql: str


class Contention(Backend):
    """Another transaction wrote what this one wrote: it has to run again."""


BEGIN = Statement("begin", "BEGIN")
COMMIT = Statement("commit", "COMMIT")
ROLLBACK = Statement("roll back", "ROLLBACK")
CLEAR = Statement(
    "clear",
    "WITH " + ", ".join(f"{name}_gone AS (DELETE FROM {name})" for name in TABLES) + " SELECT 1",
)

ATTEMPTS = 20
FIRST_PAUSE_S = 0.0005
LONGEST_PAUSE_S = 0.05


class Engine:
    """One database for any number of threads and stores. `path` is a file, or ":memory:".

    Raises `Backend` for a path that cannot be opened or is no store of ours, and the schema version errors with record
    kind "store" for one of another version; the file is then untouched.
    """

    def __init__(self, path: str | os.PathLike[str] = ":memory:") -> None:
        self._root, self.is_file = connected(path)
        self._gate = threading.Condition()
        self._closed = False
        self._sending = 0
        self._thread = threading.local()
        self._cursors: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
        self._parsed: dict[str, duckdb.Statement] = {}

    def send(self, statement: Statement, parameters: Sequence[object] = ()) -> list[Row]:
        """Run one statement on this thread's connection; its rows. Every statement of a call goes through here.

        Raises `duckdb.Error`; `Backend` once the engine is closed.
        """
        with self._gate:
            if self._closed:
                raise Backend(CLOSED)
            self._sending += 1
        try:
            cursor = self._cursor()
            return cursor.execute(self._parse(cursor, statement.sql), parameters).fetchall()
        finally:
            with self._gate:
                self._sending -= 1
                # somebody may be waiting to close
                self._gate.notify_all()

    def execute(self, statement: Statement, parameters: Sequence[object] = ()) -> list[Row]:
        """`send`, with its failures translated: `Contention` if another writer was faster, else `Backend`."""
        try:
            return self.send(statement, parameters)
        except duckdb.Error as error:
            if is_contention(error):
                raise Contention(f"{statement.purpose}: {error}") from error
            raise Backend(f"{statement.purpose}: {error}") from error

    def transaction(self, purpose: str, body: Callable[[], T]) -> T:
        """Run `body` as one transaction, again while it meets other writers: all of its effects or none.

        Whatever `body` raises undoes it. It may run several times, so it must not keep anything. Raises `Backend` when the
        attempts are used up.
        """
        return self._retried(purpose, lambda: self._attempt(body))

    def once(self, statement: Statement, parameters: Sequence[object] = ()) -> list[Row]:
        """Run a statement that is a transaction of its own, again while it meets other writers. Raises `Backend`."""
        return self._retried(statement.purpose, lambda: self.execute(statement, parameters))

    def _retried(self, purpose: str, body: Callable[[], T]) -> T:
        # an oracle that calls the store that asks it would end up inside the transaction of its own question
        if getattr(self._thread, "busy", False):
            raise Backend(f"{purpose}: called from inside another call of this thread")
        self._thread.busy = True
        try:
            return self._tried(purpose, body)
        finally:
            self._thread.busy = False

    def _tried(self, purpose: str, body: Callable[[], T]) -> T:
        for attempt in range(ATTEMPTS):
            try:
                return body()
            except Contention as error:
                met = error
            # a growing random pause, so that writers who met once do not meet in step again
            time.sleep(random.uniform(0, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)))
        raise Backend(f"{purpose}: gave up after meeting other writers {ATTEMPTS} times; the last: {met}") from met

    def _attempt(self, body: Callable[[], T]) -> T:
        try:
            self.execute(BEGIN)
            answer = body()
            self.execute(COMMIT)
        except BaseException:
            self._roll_back()
            raise
        return answer

    def _roll_back(self) -> None:
        try:
            self.send(ROLLBACK)
        except (duckdb.Error, Backend):
            # ended by DuckDB already, never begun, or unknown: a new connection starts clean
            cursor: duckdb.DuckDBPyConnection | None = self._thread.__dict__.pop("cursor", None)
            if cursor is not None:
                cursor.close()

    def clear(self) -> None:
        """Delete every row of every table: an empty store for the price of a call or two, where opening one costs ten.

        For test harnesses with an in-memory database; the caller sees to it that no call is under way.
        """
        self.once(CLEAR)

    def close(self) -> None:
        """Let statements under way end, then close every connection; later calls raise `Backend`. Idempotent."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            # closing a connection under a running statement is not safe
            self._gate.wait_for(lambda: self._sending == 0)
            for cursor in (*self._cursors, self._root):
                cursor.close()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        cursor: duckdb.DuckDBPyConnection | None = getattr(self._thread, "cursor", None)
        if cursor is None:
            with self._gate:
                cursor = self._root.cursor()
                self._cursors.add(cursor)
            self._thread.cursor = cursor
        return cursor

    def _parse(self, cursor: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
        parsed = self._parsed.get(sql)
        if parsed is None:
            parsed = self._parsed[sql] = cursor.extract_statements(sql)[0]
        return parsed


def is_contention(error: duckdb.Error) -> bool:
    """Whether the statement failed only because another transaction wrote the same row or inserted the same key."""
    text = str(error)
    if isinstance(error, duckdb.TransactionException):
        return "onflict" in text or "constraint violat" in text
    return isinstance(error, duckdb.ConstraintException) and "uplicate key" in text
