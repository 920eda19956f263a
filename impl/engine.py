"""The engine under the store: one DuckDB database, a connection per thread, transactions that are tried again.

DuckDB isolates by snapshots and finds conflicts when it writes: nothing waits, the later of two writers fails. So a call
runs as a transaction from its first read on, and a transaction that met another writer is run again on fresh state. What
two calls must not both do, both must write: reading alone conflicts with nothing.
"""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

import duckdb

from ..spec import Backend
from .schema import GUARDS, TABLES, connected

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
    "WITH "
    + ", ".join(f"{name}_gone AS (DELETE FROM {name})" for name in TABLES if name != GUARDS)
    + f" UPDATE {GUARDS} SET guard = 0, last_number = 0",
)

PATIENCE_S = 10.0
"""How long a call that met another writer tries again, once it is its turn to."""

FIRST_PAUSE_S = 0.0005
LONGEST_PAUSE_S = 0.05

LISTED_AT_MOST = 4
"""More placeholders than this DuckDB does not look up by key; a list parameter, which is joined, it does (measured)."""


def guard(kind: str) -> Statement:
    """What every transaction does that writes entries of this kind: of two that overlap, one runs again and sees the other."""
    return Statement(f"guard the {kind}", f"UPDATE {GUARDS} SET guard = guard + 1 WHERE name = '{kind}'")


def guarding(kind: str) -> str:
    """`guard`, as the beginning of a statement that writes."""
    return f"WITH guarded AS ({guard(kind).sql})"


def one_of(values: Sequence[object], kind: str) -> tuple[str, list[object]]:
    """SQL for "one of these", of which there is at least one, with its parameters."""
    if len(values) > LISTED_AT_MOST:
        return f"(SELECT unnest(?::{kind}[]))", [list(values)]
    # lengths are powers of two, filled up with a repetition: a handful of texts, each parsed once
    length = 1 << (len(values) - 1).bit_length()
    return f"({', '.join('?' * length)})", [*values, *[values[0]] * (length - len(values))]


class Engine:
    """One database for any number of threads and stores. `path` is a file, or ":memory:".

    Raises `Backend` for a path that cannot be opened or is no store of ours, and the schema version errors with record
    kind "store" for one of another version; the file is then untouched.
    """

    def __init__(self, path: str | os.PathLike[str] = ":memory:") -> None:
        self._root, self.is_file = connected(path)
        self._gate = threading.Condition()
        self._queue = threading.Lock()
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

    def transaction(self, purpose: str, body: Callable[[], T], kinds: Sequence[str] = ()) -> T:
        """Run `body` as one transaction, again while it meets other writers: all of its effects or none.

        Whatever `body` raises undoes it. It may run several times, so it must not keep anything. Where it writes entries of
        `kinds`, it writes their guards first when it runs again: whom it met cannot come in between anew. Raises `Backend`
        when patience ends.
        """
        guards = itertools.chain([()], itertools.repeat([guard(kind) for kind in kinds]))
        return self._retried(purpose, lambda: self._attempt(next(guards), body))

    def again(self, purpose: str, body: Callable[[], T]) -> T:
        """Run `body`, each of whose statements is a transaction of its own, again while it meets other writers.

        It may write once, at its end, and the write has to check what was read before. Raises `Backend` when patience
        ends.
        """
        return self._retried(purpose, body)

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
        try:
            return body()
        except Contention as error:
            met: Contention = error
        # those who met somebody queue here: then each of them meets newcomers only, and none is left behind
        with self._queue:
            pause, deadline = FIRST_PAUSE_S, time.monotonic() + PATIENCE_S
            while time.monotonic() < deadline:
                # a growing random pause, so that writers who met once do not meet in step again
                time.sleep(random.uniform(0, pause))
                pause = min(LONGEST_PAUSE_S, pause * 2)
                try:
                    return body()
                except Contention as error:
                    met = error
        raise Backend(f"{purpose}: gave up after meeting other writers for {PATIENCE_S:g} s; the last: {met}") from met

    def _attempt(self, guards: Sequence[Statement], body: Callable[[], T]) -> T:
        try:
            self.execute(BEGIN)
            for each in guards:
                self.execute(each)
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
