"""What each call costs in statements, and that each finds its rows by their keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fencepost.impl import Engine, commit, lease, session
from fencepost.impl.engine import Statement
from fencepost.spec import ActivePath, Append, FullGraph, ReplaceFull, SessionExecutionLeaseExpired, SessionGraph, SessionMeta
from impl_builders import (
    ADA,
    BOB,
    TTL,
    CountingEngine,
    acquired,
    full_commit,
    node,
    plain_commit,
    run,
    store_on,
)

META = SessionMeta("s", "name", "then", "model")


def test_lease_calls_read_once_and_write_once() -> None:
    """Claim, renew and reclaim send two statements in a transaction, a busy claim one; release is one statement."""
    engine = CountingEngine()
    store = store_on(engine)
    first = engine.during(lambda: store.try_claim_session_execution_lease("s", ADA, TTL))
    assert first == ["begin", "read the lease", "store the first lease of a session", "commit"]
    again = engine.during(lambda: store.try_claim_session_execution_lease("s", ADA, TTL))
    assert again == ["begin", "read the lease", "store the lease's expiry", "commit"]
    busy = engine.during(lambda: store.try_claim_session_execution_lease("s", BOB, TTL))
    assert busy == ["begin", "read the lease", "commit"]
    held = acquired(store)
    renewed = engine.during(lambda: store.renew_session_execution_lease(held.fence(), TTL))
    assert renewed == ["begin", "read the lease", "store the lease's expiry", "commit"]
    taken = engine.during(lambda: store.reclaim_session_execution_lease("s", BOB, held.fence(), TTL))
    assert taken == ["begin", "read the lease", "store the lease", "commit"]
    assert engine.during(lambda: store.release_session_execution_lease(held.completion())) == ["release the lease"]


def test_a_commit_writes_each_table_once() -> None:
    """A commit reads once, writes lease, checkpoint and head once, and each further part it has once."""
    engine = CountingEngine()
    store = store_on(engine)
    held = acquired(store)
    assert engine.during(lambda: store.commit_runtime_state(plain_commit(held))) == [
        "begin",
        "read what is stored",
        "check and guard the lease",
        "store the checkpoint",
        "store the first head",
        "commit",
    ]
    # the checkpoint is the same
    assert engine.during(lambda: store.commit_runtime_state(plain_commit(held))) == [
        "begin",
        "read what is stored",
        "check and guard the lease",
        "store the head",
        "commit",
    ]
    graph = ReplaceFull(SessionGraph(tuple(node(f"n{number}") for number in range(200))))
    assert engine.during(lambda: store.commit_runtime_state(full_commit(held, 1, graph=graph))) == [
        "begin",
        "read what is stored",
        "check and guard the lease",
        "store the checkpoint",
        "drop the nodes and store the head",
        "store the nodes",
        "store the usage",
        "record the turn",
        "release the lease",
        "commit",
    ]


def test_a_replay_and_a_refusal_read_once() -> None:
    """A replay sends nothing but the read and its release; a commit without fence stops at the read."""
    engine = CountingEngine()
    store = store_on(engine)
    held = acquired(store)
    store.commit_runtime_state(full_commit(held))
    replay = engine.during(lambda: store.commit_runtime_state(full_commit(held)))
    assert replay == ["begin", "read what is stored", "release the lease", "commit"]

    def refused() -> None:
        with pytest.raises(SessionExecutionLeaseExpired):
            store.commit_runtime_state(plain_commit(None))

    assert engine.during(refused) == ["begin", "read what is stored", "roll back"]


def test_the_length_of_an_append_does_not_count() -> None:
    """Appends of one node, of many, and of stored ones send the same statements."""
    engine = CountingEngine()
    store = store_on(engine)
    held = acquired(store)

    def append(*ids: str) -> Callable[[], object]:
        graph = Append(tuple(node(node_id) for node_id in ids))
        return lambda: store.commit_runtime_state(plain_commit(held, graph=graph))

    engine.during(append("a"))
    sent = engine.during(append(*(f"n{number}" for number in range(300))))
    assert sent == ["begin", "read what is stored", "check and guard the lease", "store the head", "store the nodes", "commit"]
    assert engine.during(append(*(f"n{number}" for number in range(150, 450)))) == sent
    assert engine.during(append("a", "b", "a")) == sent
    loaded = store.load_session(FullGraph())
    assert loaded is not None
    assert [each.node_id for each in loaded.graph.nodes] == ["a", *(f"n{number}" for number in range(450)), "b"]


def test_a_load_reads_twice_in_one_transaction() -> None:
    """A load reads the session, then its blobs; of a session that is not there it learns at the first."""
    engine = CountingEngine()
    store = store_on(engine)
    assert engine.during(lambda: store.load_session(FullGraph())) == ["begin", "read the session", "commit"]
    store.commit_runtime_state(full_commit(acquired(store)))
    expected = ["begin", "read the session", "read the checkpoint", "commit"]
    assert engine.during(lambda: store.load_session(FullGraph())) == expected
    assert engine.during(lambda: store.load_session(ActivePath())) == expected
    assert engine.during(lambda: store.load_node("n0")) == ["read the node"]


def test_metadata_is_read_and_written_in_one_statement() -> None:
    """A save updates, and inserts only the first time; a load is one statement; the tier costs none."""
    engine = CountingEngine()
    store = store_on(engine)
    first = engine.during(lambda: store.save_session_meta(META))
    assert first == ["begin", "store the metadata", "store the first metadata", "commit"]
    assert engine.during(lambda: store.save_session_meta(META)) == ["begin", "store the metadata", "commit"]
    assert engine.during(store.load_session_meta) == ["read the metadata"]
    assert engine.during(store.durability_tier) == []


def plan(engine: Engine, statement: Statement, *parameters: object) -> str:
    """How DuckDB runs the statement."""
    ((_, text),) = engine.send(Statement("explain", f"EXPLAIN ANALYZE {statement.sql}"), parameters)
    return str(text)


@pytest.fixture(scope="module")
def large() -> Engine:
    """An engine whose tables are large enough that a scan is no match for an index."""
    engine = Engine()
    held = acquired(store_on(engine))
    store_on(engine).commit_runtime_state(full_commit(held, release=False))
    for table, row in (
        ("leases", "'x' || i, 'o', 'i', '{}', 't', 1, 0, 0, 1"),
        ("nodes", "'x' || i, i, NULL, '{}', false"),
        ("stamps", "'x' || i, 'h', '{}'"),
        ("blobs", "'x' || i, 'k', ''::BLOB"),
    ):
        run(engine, f"INSERT INTO {table} SELECT {row} FROM range(10000) r(i)")
    return engine


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (lease.READ, ("x7",)),
        (lease.GRANT, ("o", "i", "{}", "t", 1, 0, 0, 1, "x7")),
        (lease.EXTEND, (0, 1, "x7")),
        (lease.GUARD, ("x7", "o", "i", "t", 1, 0)),
        (lease.RELEASE, ("x7", "o", "i", "t", 1)),
        (session.READ_BLOBS, ("x1", "x2", "x3", "x4")),
        (session.READ_NODE, ("x7",)),
        (Statement("", commit.READ_BEFORE), ("x7", "x1", "x2", "x3", "x4")),
        (Statement("", commit.READ_BEFORE + commit.READ_NODES_BEFORE + "(?, ?)"), ("x7", "x1", "x2", "x3", "x4", "x5", "x6")),
    ],
)
def test_rows_are_found_by_their_keys(large: Engine, statement: Statement, parameters: tuple[object, ...]) -> None:
    """Every statement about single rows of a growing table looks them up by index."""
    shown = plan(large, statement, *parameters)
    assert "Index Scan" in shown
    assert shown.count("Sequential Scan") == shown.count("Table: memory.main.head")


def test_an_upsert_finds_stored_nodes_by_their_keys(large: Engine) -> None:
    """Replacing a node in place looks it up without a scan of all nodes."""
    shown = plan(large, commit.UPSERT_NODES, ["x7"], [7], [None], ["{}"])
    assert "Sequential Scan" not in shown


def test_a_busy_store_keeps_few_parsed_statements() -> None:
    """Appends of every length share a handful of statement texts."""
    engine = Engine()
    store = store_on(engine)
    held = acquired(store)
    number = 0
    for length in range(1, 300, 7):
        graph = Append(tuple(node(f"n{number + each}") for each in range(length)))
        number += length
        store.commit_runtime_state(plain_commit(held, graph=graph))
    assert len(engine._parsed) < 30
