"""What the DuckDB store costs: each call against its bare SQL, against more rows, and with contracts against without."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest
from fencepost.impl import DuckDBRuntimePersistence, Engine
from fencepost.impl.engine import Statement
from fencepost.spec import (
    Acquired,
    Append,
    EventPayload,
    FullGraph,
    Json,
    LeaseOwnerIdentity,
    PersistedSessionConfig,
    ReplaceFull,
    RuntimeCommit,
    SessionExecutionLease,
    SessionGraph,
    SessionNodeRecord,
)
from msgspec.structs import replace

OWNER = LeaseOwnerIdentity("a", "1")
HOUR = 3_600_000


class Recorder(Engine):
    """An engine that remembers the statements it sends."""

    sent: list[tuple[str, tuple[object, ...]]]

    def send(self, statement: Statement, parameters: Any = ()) -> Any:
        """Send and remember."""
        self.sent.append((statement.sql, tuple(parameters)))
        return super().send(statement, parameters)


@pytest.fixture
def engine() -> Iterator[Recorder]:
    """A recording engine in memory."""
    made = Recorder()
    made.sent = []
    yield made
    made.close()


def claimed(store: DuckDBRuntimePersistence, session_id: str = "s") -> SessionExecutionLease:
    """A lease of an hour."""
    outcome = store.try_claim_session_execution_lease(session_id, OWNER, HOUR)
    assert isinstance(outcome, Acquired)
    return outcome.lease


def node(number: int) -> SessionNodeRecord:
    """A small node, child of the one before."""
    return SessionNodeRecord(f"n{number}", f"n{number - 1}", EventPayload(Json({"text": "hello"})))


def commit_of(lease: SessionExecutionLease, first: int) -> RuntimeCommit:
    """A commit that appends two nodes."""
    graph = Append((node(first), node(first + 1)), f"n{first + 1}")
    config = PersistedSessionConfig("p", Json({}))
    return RuntimeCommit(session_id="s", session_execution_lease=lease.fence(), config=config, graph=graph)


def calls_of(store: DuckDBRuntimePersistence) -> dict[str, Callable[[], object]]:
    """A call of each kind that can be made again and again."""
    lease = claimed(store)
    numbers = itertools.count(1, 2)
    for _ in range(5):
        store.commit_runtime_state(commit_of(lease, next(numbers)))
    return {
        "claim": lambda: claimed(store),
        "renew": lambda: store.renew_session_execution_lease(lease.fence(), HOUR),
        "release": lambda: store.release_session_execution_lease(replace(lease.completion(), lease_token="another")),
        "commit": lambda: store.commit_runtime_state(commit_of(lease, next(numbers))),
        "load of 10 nodes": lambda: store.load_session(FullGraph()),
    }


CALLS = ("claim", "renew", "release", "commit", "load of 10 nodes")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("how", ["bare SQL", "store"])
def test_against_bare_sql(benchmark: Any, engine: Recorder, call: str, how: str) -> None:
    benchmark.group = f"{call}: bare SQL, store"
    made = calls_of(DuckDBRuntimePersistence.over(engine))[call]
    if how == "store":
        benchmark.pedantic(made, rounds=300, warmup_rounds=30)
        return
    # a twin database is sent the very statements that the store has sent to its own
    twin = Engine()
    cursor = twin._root.cursor()
    parsed: dict[str, duckdb.Statement] = {}

    def bare(sent: list[tuple[str, tuple[object, ...]]]) -> None:
        for sql, parameters in sent:
            if sql not in parsed:
                parsed[sql] = cursor.extract_statements(sql)[0]
            cursor.execute(parsed[sql], parameters).fetchall()

    def setup() -> tuple[tuple[list[tuple[str, tuple[object, ...]]]], dict[str, object]]:
        engine.sent = []
        made()
        return (engine.sent,), {}

    bare(engine.sent)
    for _ in range(30):
        bare(*setup()[0])
    benchmark.pedantic(bare, setup=setup, rounds=300)
    twin.close()


@pytest.mark.parametrize("call", ["claim", "renew", "commit"])
@pytest.mark.parametrize("sessions", [10, 1_000, 100_000])
def test_more_sessions(benchmark: Any, engine: Recorder, call: str, sessions: int) -> None:
    benchmark.group = f"{call}: 10, 1,000, 100,000 sessions"
    fill = f"""INSERT INTO leases SELECT 'other-' || i, 'b', '1', '{{"kind":"opaque"}}', 't' || i, 1, 0, 1, 1
        FROM range({sessions}) r(i)"""
    engine.execute(Statement("fill", fill))
    made = calls_of(DuckDBRuntimePersistence.over(engine))[call]
    benchmark.pedantic(made, rounds=300, warmup_rounds=30)


@pytest.mark.parametrize("nodes", [10, 1_000, 100_000])
def test_longer_graph(benchmark: Any, engine: Recorder, nodes: int) -> None:
    benchmark.group = "append to a graph of 10, 1,000, 100,000 nodes"
    store = DuckDBRuntimePersistence.over(engine)
    lease = claimed(store)
    stored = SessionGraph(tuple(node(number) for number in range(nodes)), "n1")
    store.commit_runtime_state(replace(commit_of(lease, 0), graph=ReplaceFull(stored)))
    numbers = itertools.count(nodes, 2)
    benchmark.pedantic(lambda: store.commit_runtime_state(commit_of(lease, next(numbers))), rounds=300, warmup_rounds=30)


@pytest.mark.parametrize("call", ["claim", "renew", "commit"])
@pytest.mark.parametrize("contracts", ["without contracts", "with contracts"])
def test_contracts(benchmark: Any, engine: Recorder, call: str, contracts: str) -> None:
    benchmark.group = f"{call}: without contracts, with"
    store = DuckDBRuntimePersistence.over(engine)
    if contracts == "without contracts":
        for name in ("try_claim_session_execution_lease", "renew_session_execution_lease", "commit_runtime_state"):
            method: Any = getattr(type(store), name)
            # the undecorated method, bound: what a call would be without pre- and postconditions
            setattr(store, name, method.__wrapped__.__get__(store))
    made = calls_of(store)[call]
    benchmark.pedantic(made, rounds=1_000, warmup_rounds=100)


def test_rate_of_checked_steps(rate: Callable[[str], None], benchmark: Any) -> None:
    from fencepost.kit.backend import DEFAULT_BACKEND, load_factory
    from fencepost.kit.result import Request, Verdict
    from fencepost.kit.verify import EXAMPLES, STEPS, verify
    from fencepost.statemachines.run import CHAPTERS

    benchmark.group = "fencepost verify, defaults"
    request = Request(DEFAULT_BACKEND, CHAPTERS, 0, EXAMPLES, STEPS)
    result = benchmark.pedantic(lambda: verify(load_factory(DEFAULT_BACKEND), request), rounds=1)
    assert result.verdict is Verdict.conforms
    rate(f"fencepost verify, defaults: {result.steps:,} steps in {result.seconds:.1f} s, {result.rate:,.0f} steps/s")
