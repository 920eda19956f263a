"""What the tests of the DuckDB store build: owners, commits, engines that count, fail, or let a rival in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain

import duckdb
from fencepost.impl import DuckDBRuntimePersistence, Engine
from fencepost.impl.engine import Row, Statement
from fencepost.impl.schema import GUARDS, TABLES
from fencepost.spec import (
    Acquired,
    Alive,
    Append,
    EventPayload,
    GraphCommitDelta,
    HydratedSessionCheckpoint,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    PersistedSessionConfig,
    PersistedTurnState,
    PluginSessionSnapshot,
    RuntimeCommit,
    RuntimeTurnCommitStamp,
    SessionExecutionLease,
    SessionExecutionLeaseFence,
    SessionNodeRecord,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
)

NOW = 1_000_000
TTL = 60_000


def owner(name: str) -> LeaseOwnerIdentity:
    """An owner on the host of all others, so that anybody may find it dead."""
    return LeaseOwnerIdentity(name, f"{name}-1", LocalProcess("host", "boot", 42, "start"))


ADA, BOB = owner("ada"), owner("bob")


def everybody_dead(pid: int, process_start: str) -> Alive:
    """A liveness oracle to which no process exists."""
    return Alive.no


def store_on(engine: Engine, now: Callable[[], int] = lambda: NOW) -> DuckDBRuntimePersistence:
    """A store with a still clock on which every holder is dead."""
    return DuckDBRuntimePersistence.over(engine, clock=now, process_alive=everybody_dead)


def acquired(store: DuckDBRuntimePersistence, who: LeaseOwnerIdentity = ADA, session: str = "s") -> SessionExecutionLease:
    """The lease that a claim of a free lane gives."""
    outcome = store.try_claim_session_execution_lease(session, who, TTL)
    assert isinstance(outcome, Acquired)
    return outcome.lease


def node(node_id: str, parent: str | None = None) -> SessionNodeRecord:
    """A node with something in every field."""
    return SessionNodeRecord(node_id, parent, EventPayload(Json({"text": node_id})), "12:00", "frame", Json([1, 1.0]))


def plain_commit(lease: SessionExecutionLease | None, turn: int = 0, graph: GraphCommitDelta | None = None) -> RuntimeCommit:
    """A commit without stamp, usage or parts by value."""
    return RuntimeCommit(
        session_id="s",
        session_execution_lease=None if lease is None else lease.fence(),
        config=PersistedSessionConfig("provider", Json({"model": turn})),
        graph=Append() if graph is None else graph,
        checkpoint=HydratedSessionCheckpoint(PersistedTurnState(turn)),
    )


def full_commit(
    lease: SessionExecutionLease, turn: int = 0, *, release: bool = True, graph: GraphCommitDelta | None = None
) -> RuntimeCommit:
    """A commit with every part there is."""
    return RuntimeCommit(
        session_id="s",
        session_execution_lease=lease.fence(),
        release_session_execution_lease=lease.completion() if release else None,
        config=PersistedSessionConfig("provider", Json({"model": turn})),
        graph=Append((node(f"n{turn}"), node(f"m{turn}", f"n{turn}")), f"m{turn}") if graph is None else graph,
        checkpoint=HydratedSessionCheckpoint(
            PersistedTurnState(turn),
            tool_state=ToolState(turn),
            plugin_snapshot=PluginSessionSnapshot(Json("plugins")),
            plugin_snapshot_revision=7,
            execution_state=b"\x00\xff",
        ),
        usage_deltas=(TokenLedgerEntry("source", "model", TokenUsage(1, 2, 3, 4, 5)),),
        turn_commit=RuntimeTurnCommitStamp("s", f"t{turn}", "hash"),
    )


def fence(name: str = "nobody") -> SessionExecutionLeaseFence:
    """A fence that was never granted."""
    return SessionExecutionLeaseFence("s", owner(name), "no token", 1)


def run(engine: Engine, sql: str, *parameters: object) -> list[Row]:
    """Any SQL on the engine's database: damage, or a look behind the store's back."""
    return engine.send(Statement("test", sql), parameters)


Rows = dict[str, list[Row]]
"""The rows of each table."""


def found(engine: Engine) -> Rows:
    """Every row of every table, as they come."""
    return {table: run(engine, f"SELECT * FROM {table}") for table in TABLES}


def dump(engine: Engine) -> Rows:
    """Every row of every table, in one order."""
    return {table: sorted(rows, key=repr) for table, rows in found(engine).items()}


def put_in(engine: Engine, rows: Rows) -> None:
    """Give an engine in which nothing happened yet the rows that were found in another."""
    run(engine, f"DELETE FROM {GUARDS}")
    for table, each in rows.items():
        if each:
            row = f"({', '.join('?' * len(each[0]))})"
            run(engine, f"INSERT INTO {table} VALUES {', '.join([row] * len(each))}", *chain.from_iterable(each))


class CountingEngine(Engine):
    """Notes the purpose of every statement."""

    def __init__(self) -> None:
        super().__init__()
        self.purposes: list[str] = []

    def send(self, statement: Statement, parameters: Sequence[object] = ()) -> list[Row]:
        """Note, then run."""
        self.purposes.append(statement.purpose)
        return super().send(statement, parameters)

    def during(self, call: Callable[[], object]) -> list[str]:
        """The purposes of the statements that a call sends."""
        self.purposes = []
        call()
        return self.purposes


class FaultyEngine(Engine):
    """Fails at the n-th statement from now on, before or after it was run."""

    def __init__(self) -> None:
        super().__init__()
        self.fails_at = -1
        self.runs_it = False

    @contextmanager
    def failing(self, at: int, *, runs_it: bool = False) -> Iterator[None]:
        """Fail at one statement within this block."""
        self.fails_at, self.runs_it = at, runs_it
        yield
        self.fails_at = -1

    def send(self, statement: Statement, parameters: Sequence[object] = ()) -> list[Row]:
        """Run, or fail if it is the statement's turn."""
        fails = self.fails_at == 0
        self.fails_at -= 1
        if fails and not self.runs_it:
            raise duckdb.IOException("injected fault")
        rows = super().send(statement, parameters)
        if fails:
            raise duckdb.IOException("injected fault after the fact")
        return rows


class RivalEngine(Engine):
    """Before the n-th statement of this thread, lets a rival run in a thread of its own, as far as it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.before: int | None = None
        self.rival: Callable[[], None] = lambda: None
        self.finished_first = False
        self._main = threading.get_ident()
        self._threads: list[threading.Thread] = []

    def interrupted(self, before: int, rival: Callable[[], None], call: Callable[[], object]) -> None:
        """Run the call with the rival let in before its n-th statement; both have ended afterwards."""
        self.before, self.rival, self.finished_first, self._threads = before, rival, False, []
        try:
            call()
        finally:
            self.before = None
            for thread in self._threads:
                thread.join()

    def send(self, statement: Statement, parameters: Sequence[object] = ()) -> list[Row]:
        """Let the rival in if it is its turn, then run."""
        if threading.get_ident() == self._main and self.before is not None:
            if self.before == 0:
                thread = threading.Thread(target=self.rival)
                self._threads.append(thread)
                thread.start()
                # a rival that meets this thread's writes cannot finish before they are committed
                thread.join(0.03)
                self.finished_first = not thread.is_alive()
            self.before -= 1
        return super().send(statement, parameters)
