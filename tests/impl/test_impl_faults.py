"""All or nothing: a fault at any statement of a call leaves everything as it was, and the call can be made again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fencepost.impl import DuckDBRuntimePersistence
from fencepost.spec import (
    Append,
    Backend,
    FullGraph,
    GraphCommitDelta,
    ReplaceFull,
    RuntimeCommit,
    SessionExecutionLease,
    SessionGraph,
    SessionMeta,
)
from impl_builders import BOB, TTL, FaultyEngine, acquired, dump, full_commit, node, plain_commit, store_on

Call = Callable[[DuckDBRuntimePersistence, SessionExecutionLease], object]

GRAPHS: dict[str, GraphCommitDelta] = {
    "append": Append((node("a"), node("b", "a")), "b"),
    "append of a stored node": Append((node("n0", "z"), node("b")), "b"),
    "full replacement": ReplaceFull(SessionGraph((node("n0"), node("c")), "c")),
}


def second_commit(lease: SessionExecutionLease, graph: str) -> RuntimeCommit:
    """A commit with every part, behind the first."""
    return full_commit(lease, 1, graph=GRAPHS[graph])


WRITES: dict[str, tuple[int, Call]] = {
    "claim": (4, lambda store, lease: store.try_claim_session_execution_lease("s", lease.owner, 2 * TTL)),
    "first claim": (4, lambda store, lease: store.try_claim_session_execution_lease("new", BOB, TTL)),
    "reclaim": (4, lambda store, lease: store.reclaim_session_execution_lease("s", BOB, lease.fence(), TTL)),
    "renew": (4, lambda store, lease: store.renew_session_execution_lease(lease.fence(), 2 * TTL)),
    "release": (1, lambda store, lease: store.release_session_execution_lease(lease.completion())),
    "metadata": (4, lambda store, lease: store.save_session_meta(SessionMeta("s", "n", "c", "m"))),
    "replay": (4, lambda store, lease: store.commit_runtime_state(full_commit(lease))),
    "append": (10, lambda store, lease: store.commit_runtime_state(second_commit(lease, "append"))),
    "append of a stored node": (
        10,
        lambda store, lease: store.commit_runtime_state(second_commit(lease, "append of a stored node")),
    ),
    "full replacement": (10, lambda store, lease: store.commit_runtime_state(second_commit(lease, "full replacement"))),
}
EVERY_STATEMENT = [(call, at) for call, (statements, _) in WRITES.items() for at in range(statements)]


def prepared() -> tuple[FaultyEngine, DuckDBRuntimePersistence, SessionExecutionLease]:
    """A store with one commit, and the lease it was made under."""
    engine = FaultyEngine()
    store = store_on(engine)
    lease = acquired(store)
    store.commit_runtime_state(full_commit(lease, release=False))
    return engine, store, lease


@pytest.mark.slow
@pytest.mark.parametrize(("name", "at"), EVERY_STATEMENT)
def test_a_fault_before_any_statement_undoes_the_call(name: str, at: int) -> None:
    """A statement that fails makes the call `Backend`, every table is as before, and a second try does what the first meant."""
    engine, store, lease = prepared()
    call = WRITES[name][1]
    before = dump(engine)
    with engine.failing(at), pytest.raises(Backend, match="injected fault"):
        call(store, lease)
    assert dump(engine) == before
    call(store, lease)
    unharmed_engine, unharmed, same_lease = prepared()
    call(unharmed, same_lease)
    assert dump(engine) == dump(unharmed_engine)


@pytest.mark.parametrize("name", WRITES)
def test_the_statements_are_all_there_are(name: str) -> None:
    """The tables above name every statement: a fault behind the last one is met by nobody."""
    engine, store, lease = prepared()
    statements, call = WRITES[name]
    with engine.failing(statements):
        call(store, lease)
        assert engine.fails_at == 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "at"), [(name, at) for name, at in EVERY_STATEMENT if at < WRITES[name][0] - 1])
def test_a_fault_after_any_statement_but_the_last_undoes_the_call(name: str, at: int) -> None:
    """A statement that was run but whose answer was lost undoes the call like one that was not run."""
    engine, store, lease = prepared()
    before = dump(engine)
    with engine.failing(at, runs_it=True), pytest.raises(Backend, match="injected fault"):
        WRITES[name][1](store, lease)
    assert dump(engine) == before
    WRITES[name][1](store, lease)


def test_a_commit_whose_answer_was_lost_is_answered_by_its_repetition() -> None:
    """If the database committed and the answer did not arrive, the stamp answers the repetition (COMMIT-4)."""
    engine, store, lease = prepared()
    commit = second_commit(lease, "append")
    with engine.failing(9, runs_it=True), pytest.raises(Backend, match=r"commit: .*injected fault"):
        store.commit_runtime_state(commit)
    landed = dump(engine)
    assert store.commit_runtime_state(commit).head_revision == 2
    assert dump(engine) == landed


@pytest.mark.parametrize("at", range(4))
def test_a_fault_in_a_load_is_reported(at: int) -> None:
    """A load with a failing statement is `Backend`, and the next one works."""
    engine, store, _ = prepared()
    with engine.failing(at), pytest.raises(Backend, match="injected fault"):
        store.load_session(FullGraph())
    assert store.load_session(FullGraph()) is not None


def test_a_failure_to_read_or_save_metadata_is_reported() -> None:
    """Metadata that the database fails to read or save is `Backend`, never none (META-4)."""
    engine, store, _ = prepared()
    store.save_session_meta(SessionMeta("s", "n", "c", "m"))
    with engine.failing(0), pytest.raises(Backend, match="read the metadata"):
        store.load_session_meta()
    with engine.failing(1), pytest.raises(Backend, match="store the metadata"):
        store.save_session_meta(SessionMeta("s", "other", "c", "m"))
    assert store.load_session_meta() == SessionMeta("s", "n", "c", "m")


def test_a_failing_rollback_does_not_hold_the_next_call_back() -> None:
    """Where even the rollback fails, the call is undone all the same and the thread's next call works."""
    engine, store, lease = prepared()
    before = dump(engine)
    again = engine.send

    def send(*arguments: object) -> object:
        if arguments[0].purpose in ("store the head", "roll back"):  # type: ignore[attr-defined]  # a Statement
            engine.fails_at = 0
        return again(*arguments)  # type: ignore[arg-type]  # passed on as they come

    engine.send = send  # type: ignore[assignment,method-assign]  # both statements fail, however often
    with pytest.raises(Backend, match="injected fault"):
        store.commit_runtime_state(plain_commit(lease))
    engine.send = again  # type: ignore[method-assign]  # as it was
    assert dump(engine) == before
    assert store.commit_runtime_state(plain_commit(lease)).head_revision == 2


def test_a_full_replacement_with_a_repeated_node_writes_nothing() -> None:
    """A `ReplaceFull` that names a node twice is `Backend`, after all other checks, and undoes the commit (COMMIT-23b)."""
    engine, store, lease = prepared()
    twice = full_commit(lease, 1, graph=ReplaceFull(SessionGraph((node("a"), node("b"), node("a", "b")))))
    before = dump(engine)
    with pytest.raises(Backend, match="names a node twice"):
        store.commit_runtime_state(twice)
    assert dump(engine) == before
