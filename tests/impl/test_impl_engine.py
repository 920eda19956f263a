"""The engine's own promises: closing, outside help that fails, contention that does not end, clearing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fencepost.impl import DuckDBRuntimePersistence, Engine
from fencepost.impl import engine as engine_module
from fencepost.spec import (
    Acquired,
    Alive,
    AttachmentIntent,
    Backend,
    Busy,
    DeliveryPolicy,
    DurabilityTier,
    FullGraph,
    PendingTurnInputDraft,
    QueuedWorkBatchDraft,
    SessionExecutionLeaseCompletion,
    SessionMeta,
    SlotPolicy,
    TurnInput,
    TurnInputIngressNextTurn,
)
from impl_builders import (
    ADA,
    BOB,
    NOW,
    TTL,
    acquired,
    dump,
    fence,
    full_commit,
    plain_commit,
    run,
    store_on,
)
from impl_logs import filled, stores_on

META = SessionMeta("s", "name", "then", "model")
DRAFT = PendingTurnInputDraft(session_id="s", ingress=TurnInputIngressNextTurn(), input=TurnInput())
BATCH = QueuedWorkBatchDraft(
    session_id="s", delivery_policy=DeliveryPolicy.EarliestSafeBoundary, slot_policy=SlotPolicy.Exclusive
)
COMPLETION = SessionExecutionLeaseCompletion("s", ADA, "no token", 1)

CALLS: dict[str, Callable[[DuckDBRuntimePersistence], object]] = {
    "claim": lambda store: store.try_claim_session_execution_lease("s", ADA, TTL),
    "reclaim": lambda store: store.reclaim_session_execution_lease("s", ADA, fence(), TTL),
    "renew": lambda store: store.renew_session_execution_lease(fence(), TTL),
    "release": lambda store: store.release_session_execution_lease(COMPLETION),
    "commit": lambda store: store.commit_runtime_state(plain_commit(None)),
    "load": lambda store: store.load_session(FullGraph()),
    "load node": lambda store: store.load_node("n"),
    "save meta": lambda store: store.save_session_meta(META),
    "load meta": lambda store: store.load_session_meta(),
    "durability": lambda store: store.durability_tier(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("path", [":memory:", "store.db"])
def test_a_closed_store_says_so(tmp_path: Path, path: str, call: Callable[[DuckDBRuntimePersistence], object]) -> None:
    """After `close`, which may be repeated, every call is `Backend` and names the reason."""
    store = DuckDBRuntimePersistence(path if path == ":memory:" else tmp_path / path)
    store.close()
    store.close()
    with pytest.raises(Backend, match="the store is closed"):
        call(store)


def test_a_closed_engine_closes_its_stores() -> None:
    """A store over an engine that was closed is closed."""
    engine = Engine()
    store = store_on(engine)
    engine.close()
    engine.close()
    with pytest.raises(Backend, match="the store is closed"):
        store.load_session_meta()


def test_a_store_over_an_engine_leaves_it_open() -> None:
    """Closing a store over an engine closes neither the engine nor other stores on it."""
    engine = Engine()
    first, second = store_on(engine), store_on(engine)
    lease = acquired(first)
    first.close()
    with pytest.raises(Backend):
        first.load_session_meta()
    assert second.renew_session_execution_lease(lease.fence(), TTL) == lease


def test_close_waits_for_statements_under_way() -> None:
    """Threads that call while the store is closed get their answer or `Backend`, and nothing else."""
    store = DuckDBRuntimePersistence()
    started = threading.Barrier(5)
    wrong: list[BaseException] = []

    def call() -> None:
        started.wait()
        try:
            while True:
                store.try_claim_session_execution_lease("s", ADA, TTL)
        except Backend as error:
            if "closed" not in str(error):
                wrong.append(error)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    store.close()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_file_is_durable_and_memory_is_not(tmp_path: Path) -> None:
    """The tier of a store in a file is `Durable`, of one in memory `Inline` (READ-19)."""
    with DuckDBRuntimePersistence() as memory, DuckDBRuntimePersistence(tmp_path / "store.db") as file:
        assert memory.durability_tier() is DurabilityTier.Inline
        assert file.durability_tier() is DurabilityTier.Durable


def failing() -> int:
    """A clock that fails."""
    raise RuntimeError("no time")


def answering(value: object) -> Callable[[], int]:
    """A clock that answers something."""
    return lambda: value  # type: ignore[return-value]  # clocks are made by users


@pytest.mark.parametrize("clock", [failing, *map(answering, (-1, 2**64, 1.0, True, None, "1"))])
def test_a_clock_that_is_none_is_refused(clock: Callable[[], int]) -> None:
    """A clock that raises, or answers no u64, makes calls that need the time `Backend`; nothing is written."""
    engine = Engine()
    lease = acquired(store_on(engine))
    store = store_on(engine, clock)
    before = dump(engine)
    for call in (
        lambda: store.try_claim_session_execution_lease("new", ADA, TTL),
        lambda: store.reclaim_session_execution_lease("s", BOB, lease.fence(), TTL),
        lambda: store.renew_session_execution_lease(lease.fence(), TTL),
        lambda: store.commit_runtime_state(full_commit(lease)),
    ):
        with pytest.raises(Backend, match="the clock"):
            call()
    assert dump(engine) == before


def test_the_clock_is_read_once_per_call() -> None:
    """Each call that needs the time reads the clock once, also when it runs again after meeting another writer."""
    readings = []

    def clock() -> int:
        readings.append(1)
        return NOW

    store = store_on(Engine(), clock)
    lease = acquired(store)
    store.renew_session_execution_lease(lease.fence(), TTL)
    store.reclaim_session_execution_lease("s", BOB, lease.fence(), TTL)
    assert len(readings) == 3
    store.commit_runtime_state(plain_commit(acquired(store, BOB)))
    assert len(readings) == 5


@pytest.mark.parametrize("answer", [None, False, "no"])
def test_an_oracle_that_is_none_is_refused(answer: object) -> None:
    """A liveness oracle that raises, or answers no `Alive`, makes a reclaim `Backend`; nothing is written."""

    def oracle(pid: int, process_start: str) -> Alive:
        if answer is None:
            raise OSError("no such machine")
        return answer  # type: ignore[return-value]  # oracles are made by users

    engine = Engine()
    lease = acquired(store_on(engine))
    store = DuckDBRuntimePersistence.over(engine, clock=lambda: NOW, process_alive=oracle)
    before = dump(engine)
    with pytest.raises(Backend, match="the liveness oracle"):
        store.reclaim_session_execution_lease("s", BOB, lease.fence(), TTL)
    assert dump(engine) == before
    assert store_on(engine).renew_session_execution_lease(lease.fence(), TTL) == lease


def test_an_oracle_that_calls_the_store_does_no_harm() -> None:
    """A liveness oracle that calls the very store that asks it gets `Backend`; what it answers then counts as ever."""
    engine = Engine()
    lease = acquired(store_on(engine))
    refusals: list[Backend] = []

    def oracle(pid: int, process_start: str) -> Alive:
        for name in ("release", "claim", "load", "load meta"):
            with pytest.raises(Backend, match="inside another call") as caught:
                CALLS[name](store)
            refusals.append(caught.value)
        return Alive.no

    store = DuckDBRuntimePersistence.over(engine, clock=lambda: NOW, process_alive=oracle)
    assert isinstance(store.reclaim_session_execution_lease("s", BOB, lease.fence(), TTL), Acquired)
    assert len(refusals) == 4
    assert isinstance(store.try_claim_session_execution_lease("s", ADA, TTL), Busy)


def test_contention_that_does_not_end_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that meets other writers as long as it tries is `Backend`, says so, writes nothing, and works later."""
    monkeypatch.setattr(engine_module, "PATIENCE_S", 0.02)
    engine = Engine()
    store = store_on(engine)
    lease = acquired(store)
    other = engine._root.cursor()
    other.execute("BEGIN; UPDATE leases SET guard = guard + 1")
    for call in (
        lambda: store.try_claim_session_execution_lease("s", ADA, TTL),
        lambda: store.renew_session_execution_lease(lease.fence(), TTL),
        lambda: store.release_session_execution_lease(lease.completion()),
        lambda: store.commit_runtime_state(full_commit(lease)),
    ):
        with pytest.raises(Backend, match=r"meeting other writers for 0\.02 s"):
            call()
    other.execute("ROLLBACK")
    assert store.load_session(FullGraph()) is None
    assert store.commit_runtime_state(full_commit(lease)).head_revision == 1


def test_a_call_waits_for_a_slow_writer() -> None:
    """A call that meets a writer who takes more than a second succeeds when that one is through."""
    engine = Engine()
    store = store_on(engine)
    lease = acquired(store)
    other = engine._root.cursor()
    other.execute("BEGIN; UPDATE leases SET guard = guard + 1")
    timer = threading.Timer(1.5, lambda: other.execute("COMMIT"))
    timer.start()
    assert store.renew_session_execution_lease(lease.fence(), TTL).lease_token == lease.lease_token
    timer.join()


def test_each_thread_has_a_connection_that_goes_with_it() -> None:
    """Connections of threads that ended are not kept."""
    engine = Engine()
    store = store_on(engine)
    for _ in range(20):
        thread = threading.Thread(target=store.load_session_meta)
        thread.start()
        thread.join()
    assert len(engine._cursors) <= 1


def test_clear_empties_every_table() -> None:
    """After `clear` every store answers like a new one: nothing to read, and fencing tokens start at 1."""
    engine = Engine()
    store = store_on(engine)
    new = dump(engine)
    for _ in range(3):
        lease = acquired(store)
        assert lease.fencing_token == 1
        store.save_session_meta(META)
        assert store.enqueue_pending_turn_input(DRAFT).enqueue_seq == 1
        assert store.enqueue_queued_work(BATCH).enqueue_seq == 1
        store.record_intent(AttachmentIntent("attachment", "s", "uri", 1))
        assert store.commit_runtime_state(full_commit(lease)).head_revision == 1
        filled(stores_on(engine))
        assert all(rows != new[table] for table, rows in dump(engine).items())
        engine.clear()
        assert dump(engine) == new
        assert store.load_session(FullGraph()) is None
        assert store.load_session_meta() is None
        assert stores_on(engine).event.get_turns("t") == ()
        assert stores_on(engine).output.list_for_attempt("task", 1) == ()
        assert stores_on(engine).runtime.load_input_states("r") == ()


def test_a_new_store_is_empty() -> None:
    """Two stores in memory have nothing in common."""
    with DuckDBRuntimePersistence() as first, DuckDBRuntimePersistence() as second:
        assert isinstance(first.try_claim_session_execution_lease("s", ADA, TTL), Acquired)
        assert isinstance(second.try_claim_session_execution_lease("s", BOB, TTL), Acquired)


def test_a_lease_token_depends_on_nothing_but_history() -> None:
    """Two stores with one history answer the same lease tokens."""
    tokens = []
    for _ in range(2):
        store = store_on(Engine())
        lease = acquired(store)
        taken = store.reclaim_session_execution_lease("s", BOB, lease.fence(), TTL)
        assert isinstance(taken, Acquired)
        tokens.append((lease.lease_token, taken.lease.lease_token))
    assert tokens[0] == tokens[1]
    assert len(set(tokens[0])) == 2


def test_a_release_of_an_unknown_session_stores_no_record() -> None:
    """Releasing, renewing or losing a session that was never leased leaves no row (LEASE-34a)."""
    engine = Engine()
    store = store_on(engine)
    new = dump(engine)
    store.release_session_execution_lease(COMPLETION)
    for name in ("renew", "commit"):
        with pytest.raises(Exception, match="claim it again"):
            CALLS[name](store)
    assert dump(engine) == new


def test_a_released_row_keeps_the_fencing_token_alone() -> None:
    """What is left of a released lease is its session and fencing token (LEASE-INV-4)."""
    engine = Engine()
    store = store_on(engine)
    store.release_session_execution_lease(acquired(store).completion())
    rows = run(engine, "SELECT * EXCLUDE guard FROM leases")
    assert rows == [("s", None, None, None, None, 1, 0, 0)]


def test_an_expired_row_stays_as_it_is() -> None:
    """Expiry writes nothing: the row keeps owner, token and times until an acquisition or a release (LEASE-5)."""
    engine = Engine()
    lease = acquired(store_on(engine))
    later = store_on(engine, lambda: NOW + TTL)
    before = dump(engine)["leases"]
    with pytest.raises(Exception, match="claim it again"):
        later.renew_session_execution_lease(lease.fence(), TTL)
    assert dump(engine)["leases"] == before
    assert store_on(engine).try_claim_session_execution_lease("s", BOB, TTL) == Busy(lease)
