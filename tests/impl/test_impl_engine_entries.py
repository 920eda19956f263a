"""What the engine promises to the calls on entries: closing, a clock or an oracle that fails, contention that does not end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fencepost.impl import DuckDBRuntimePersistence, Engine
from fencepost.impl import engine as engine_module
from fencepost.spec import Alive, Backend
from impl_builders import ADA, BOB, NOW, TTL, acquired, dump, run, store_on
from impl_entries import EVERY_CALL, IDLE, World, claimed_next, draft, same_world, work

READS_NO_CLOCK = {
    *("release", "abandon of a next claim", "abandon of an active claim", "abandon work", "metadata", "tombstone"),
    *("vacuum", "gc", "record intent", "record again", "forget"),
}


@pytest.fixture(scope="module")
def there() -> Iterator[World]:
    """A store with something of every kind in it; no test changes it."""
    engine = Engine()
    there = same_world(engine)
    before = dump(engine)
    yield there
    assert dump(engine) == before


@pytest.mark.parametrize("name", EVERY_CALL)
def test_a_closed_store_says_so(there: World, name: str) -> None:
    """After `close` every call is `Backend` and names the reason."""
    store = store_on(there.store._engine)
    store.close()
    with pytest.raises(Backend, match="the store is closed"):
        EVERY_CALL[name](there._replace(store=store))


@pytest.mark.parametrize("name", [name for name in EVERY_CALL if name not in READS_NO_CLOCK])
def test_a_clock_that_fails_stops_the_call(there: World, name: str) -> None:
    """A clock that answers no time makes every call that needs it `Backend`, and nothing is written."""
    store = store_on(there.store._engine, lambda: -1)
    with pytest.raises(Backend, match="the clock answered -1"):
        EVERY_CALL[name](there._replace(store=store))


@pytest.mark.parametrize("name", EVERY_CALL)
def test_the_clock_is_read_at_most_once(name: str) -> None:
    """A call reads the clock once, or not at all: everything in it happens at one instant."""
    engine = Engine()
    there = same_world(engine)
    readings: list[int] = []

    def clock() -> int:
        readings.append(NOW)
        return NOW

    EVERY_CALL[name](there._replace(store=store_on(engine, clock)))
    assert len(readings) == (0 if name in READS_NO_CLOCK else 1)


WRITES = {
    "guards": "UPDATE guards SET guard = guard + 1",
    "head": "UPDATE head SET guard = guard + 1",
    "leases": "UPDATE leases SET guard = guard + 1",
    "meta": "UPDATE meta SET record = ''",
}
MEETS = dict.fromkeys(EVERY_CALL, "guards") | {
    **dict.fromkeys(("try_claim", "reclaim", "renew", "release", "replay"), "leases"),
    **dict.fromkeys(("commit that defers nothing", "tombstone", "gc"), "head"),
    "metadata": "meta",
}


@pytest.mark.parametrize("name", EVERY_CALL)
def test_contention_that_does_not_end_is_reported(there: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A call that meets another writer as long as it tries is `Backend`, says so, and writes nothing."""
    monkeypatch.setattr(engine_module, "PATIENCE_S", 0.02)
    other = there.store._engine._root.cursor()
    other.execute(f"BEGIN; {WRITES[MEETS[name]]}")
    try:
        with pytest.raises(Backend, match=r"meeting other writers for 0\.02 s"):
            EVERY_CALL[name](there)
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.mark.parametrize("answer", [None, False, "no"])
def test_an_oracle_that_is_none_stops_the_claim(answer: object) -> None:
    """A liveness oracle that raises, or answers no `Alive`, makes a claim that needs it `Backend`; nothing is written."""

    def oracle(pid: int, process_start: str) -> Alive:
        if answer is None:
            raise OSError("no such machine")
        return answer  # type: ignore[return-value]  # oracles are made by users

    engine = Engine()
    patient = store_on(engine)
    lease = acquired(patient)
    patient.enqueue_pending_turn_input(draft())
    patient.enqueue_queued_work(work())
    assert patient.claim_next_turn_inputs("s", lease.fence(), BOB, TTL, 1) is not None
    assert patient.claim_ready_queued_work("s", lease.fence(), BOB, IDLE, TTL, 1) is not None
    store = DuckDBRuntimePersistence.over(engine, clock=lambda: NOW, process_alive=oracle)
    before = dump(engine)
    with pytest.raises(Backend, match="the liveness oracle"):
        store.claim_next_turn_inputs("s", lease.fence(), ADA, TTL, 1)
    with pytest.raises(Backend, match="the liveness oracle"):
        store.claim_ready_queued_work("s", lease.fence(), ADA, IDLE, TTL, 1)
    assert dump(engine) == before


def test_an_oracle_that_calls_the_store_does_no_harm() -> None:
    """A liveness oracle that calls the very store that asks it gets `Backend`, and the claim goes on with its answer."""
    engine = Engine()
    lease = acquired(store_on(engine))
    refusals: list[str] = []

    def oracle(pid: int, process_start: str) -> Alive:
        for call in (lambda: store.enqueue_pending_turn_input(draft()), store.vacuum, lambda: claimed_next(store, lease)):
            with pytest.raises(Backend, match="inside another call") as caught:
                call()
            refusals.append(str(caught.value))
        return Alive.no

    store = DuckDBRuntimePersistence.over(engine, clock=lambda: NOW, process_alive=oracle)
    row = store.enqueue_pending_turn_input(draft())
    store.claim_next_turn_inputs("s", lease.fence(), BOB, TTL, 1)
    again = store.claim_next_turn_inputs("s", lease.fence(), ADA, TTL, 1)
    assert again is not None
    assert (again.inputs, again.fencing_token) == ((row,), 2)
    assert len(refusals) == 3
    assert run(engine, "SELECT count(*) FROM inputs") == [(1,)]
