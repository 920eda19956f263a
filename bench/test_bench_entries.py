"""What inputs and queued work cost: against more rows, of others and of their own, against bare SQL, and without contracts.

Two stores of different size take turns call by call within one run, so that whatever else the machine does meets both; the
ratios of the medians are printed at the end.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fencepost.impl import DuckDBRuntimePersistence, Engine
from fencepost.impl.claim import UNCLAIMED
from fencepost.impl.encoding import number_of
from fencepost.impl.engine import Statement
from fencepost.impl.input_rows import line_of
from fencepost.spec import (
    U64_MAX,
    Acquired,
    AttachmentIntent,
    DeliveryPolicy,
    InputId,
    Json,
    LeaseOwnerIdentity,
    PendingTurnInputDraft,
    PersistedSessionConfig,
    ProcessWake,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    RuntimeCommit,
    SessionExecutionLease,
    SlotPolicy,
    Text,
    TurnInput,
    TurnInputIngressNextTurn,
)
from msgspec.structs import replace

OWNER = LeaseOwnerIdentity("a", "1")
HOUR = 3_600_000
ROUNDS = 100
WARM_UP = 15
FEW, MANY = 100, 100_000
IDLE = QueuedWorkClaimBoundary.Idle

DRAFT = PendingTurnInputDraft(session_id="s", ingress=TurnInputIngressNextTurn(), input=TurnInput((Text("hello"),)))
BATCH = QueuedWorkBatchDraft(
    session_id="s",
    delivery_policy=DeliveryPolicy.EarliestSafeBoundary,
    slot_policy=SlotPolicy.Exclusive,
    payloads=(ProcessWake(Json({"text": "hello"})),),
)


class Made(NamedTuple):
    """A store with the lease of the session that is measured, and the engine under it."""

    store: DuckDBRuntimePersistence
    engine: Engine
    lease: SessionExecutionLease


def made(path: str) -> Made:
    """An empty store."""
    engine = Engine(path)
    store = DuckDBRuntimePersistence.over(engine)
    outcome = store.try_claim_session_execution_lease("s", OWNER, HOUR)
    assert isinstance(outcome, Acquired)
    store.commit_runtime_state(commit_of(outcome.lease))
    # what is submitted comes after all that is filled in, with room for what is made ready
    engine.execute(Statement("skip", f"UPDATE guards SET last_number = {FIRST + MANY + 100}"))
    return Made(store, engine, outcome.lease)


def commit_of(lease: SessionExecutionLease) -> RuntimeCommit:
    """A small commit."""
    config = PersistedSessionConfig("p", Json({}))
    return RuntimeCommit(session_id="s", session_execution_lease=lease.fence(), config=config)


INPUT = '{"items":[{"type":"text","text":"hello"}],"image_blobs":[],"protocol_turn_options":null,"trace_turn_id":null}'
WAKE = '[{"type":"process_wake","wake":"{\\"text\\":\\"hello\\"}"}]'
NEXT = '{"scope":"next_turn"}'
HELD = f"""'c', 't', '{{"owner_id":"b","incarnation_id":"2","liveness":{{"kind":"opaque"}}}}', NULL, 1, {U64_MAX}"""
FIRST = 1_000_000
"""The number of the first row that is filled in; what is measured comes after all of them."""


def filled(at: Made, sql: str, *parameters: object) -> None:
    """Put rows in behind the store's back."""
    at.engine.execute(Statement("fill", sql), parameters)


def named(session: str) -> tuple[str, str]:
    """The number of the session and its id, in SQL; of as many sessions as there are rows for "others"."""
    return ("hash(i)", "'other-' || i") if session == "others" else (str(number_of(session)), f"'{session}'")


def inputs(at: Made, rows: int, session: str, state: str, claim: str = UNCLAIMED) -> None:
    """So many inputs; of sessions of their own if the session is no single one."""
    number, name = named(session)
    line = "NULL"
    if state == "deferred_next_turn":
        line = "hash('line', i)" if session == "others" else str(line_of(session, TurnInputIngressNextTurn()))
    filled(
        at,
        f"""INSERT INTO inputs SELECT {FIRST} + i, 'in-' || i, 'k-' || i, {number}, {name}, {line}, NULL, '{NEXT}', '{state}',
        0, '{INPUT}', {claim} FROM range({rows}) r(i)""",
    )


def batches(at: Made, rows: int, session: str, available_at: int = 0, claim: str = UNCLAIMED) -> None:
    """So many batches, likewise."""
    number, name = named(session)
    filled(
        at,
        f"""INSERT INTO batches SELECT {FIRST} + i, 'b-' || i, 'k-' || i, {number}, {name}, {FIRST} + i, NULL,
        'earliest_safe_boundary', 'exclusive', '{{"kind":"never"}}', {available_at}, 0, 'process_wake', '{WAKE}', {claim}
        FROM range({rows}) r(i)""",
    )


def everything_of_others(at: Made, rows: int) -> None:
    """Inputs that wait, batches, leases and attachments, each of a session of its own."""
    inputs(at, rows, "others", "deferred_next_turn")
    batches(at, rows, "others")
    filled(at, f"INSERT INTO attachments SELECT 'a-' || i, 'other-' || i, 'uri', 0, 1 FROM range({rows}) r(i)")
    lease = """'other-' || i, 'b', '1', '{"kind":"opaque"}', 't' || i, 1, 0, 1, 1"""
    filled(at, f"INSERT INTO leases SELECT {lease} FROM range({rows}) r(i)")


def accepted(at: Made, rows: int) -> None:
    """Inputs that turns of the session took and have not ended with."""
    inputs(at, rows, "s", "accepted", HELD)


FILLINGS: dict[str, Callable[[Made, int], None]] = {
    "other sessions": everything_of_others,
    "completed inputs of the session": lambda at, rows: inputs(at, rows, "s", "completed"),
    "cancelled inputs of the session": lambda at, rows: inputs(at, rows, "s", "cancelled"),
    "accepted inputs of the session": accepted,
    "held inputs of the session": lambda at, rows: inputs(at, rows, "s", "deferred_next_turn", HELD),
    "held work of the session": lambda at, rows: batches(at, rows, "s", claim=HELD),
    "work of the session not ready": lambda at, rows: batches(at, rows, "s", available_at=U64_MAX),
}


def tidy(at: Made) -> None:
    """Take away what the last call left, behind the store's back: a session stays as it was filled."""
    for table in ("inputs", "batches"):
        filled(at, f"DELETE FROM {table} WHERE enqueue_seq > {FIRST + MANY}")


def nothing(at: Made) -> None:
    """No preparation."""


def ten(at: Made) -> tuple[InputId, ...]:
    """Ten inputs that wait, as if they had been submitted."""
    first = FIRST + MANY + 1
    line = line_of("s", TurnInputIngressNextTurn())
    filled(
        at,
        f"""INSERT INTO inputs SELECT {first} + i, 'mine-' || i, NULL, {number_of("s")}, 's', {line}, NULL, '{NEXT}',
        'deferred_next_turn', 0, '{INPUT}', {UNCLAIMED} FROM range(10) r(i)""",
    )
    return tuple(InputId(f"mine-{number}") for number in range(10))


def one_batch(at: Made) -> str:
    """A batch that waits."""
    return at.store.enqueue_queued_work(BATCH).batch_id


def a_claim(at: Made) -> Any:
    """Ten inputs under a claim."""
    ten(at)
    return at.store.claim_next_turn_inputs("s", at.lease.fence(), OWNER, HOUR, 10)


def a_work_claim(at: Made) -> Any:
    """A batch under a claim."""
    at.store.enqueue_queued_work(BATCH)
    return at.store.claim_ready_queued_work("s", at.lease.fence(), OWNER, IDLE, HOUR, 1)


def complete(at: Made, claim: Any) -> object:
    """Commit the claim."""
    return at.store.commit_runtime_state(replace(commit_of(at.lease), completed_turn_input_claims=(claim.completion(),)))


CALLS: dict[str, tuple[Callable[[Made], Any], Callable[[Made, Any], object]]] = {
    "enqueue": (nothing, lambda at, _: at.store.enqueue_pending_turn_input(DRAFT)),
    "enqueue, replayed": (
        lambda at: at.store.enqueue_pending_turn_input(replace(DRAFT, source_key="same")),
        lambda at, _: at.store.enqueue_pending_turn_input(replace(DRAFT, source_key="same")),
    ),
    "list of 10": (ten, lambda at, _: at.store.list_pending_turn_inputs("s")),
    "list of none": (nothing, lambda at, _: at.store.list_pending_turn_inputs("s")),
    "claim of 10": (ten, lambda at, _: at.store.claim_next_turn_inputs("s", at.lease.fence(), OWNER, HOUR, 10)),
    "claim of none": (nothing, lambda at, _: at.store.claim_next_turn_inputs("s", at.lease.fence(), OWNER, HOUR, 10)),
    "abandon of 10": (a_claim, lambda at, claim: at.store.abandon_turn_input_claim(claim)),
    "commit of 10": (a_claim, complete),
    "cancel of 1": (ten, lambda at, targets: at.store.cancel_pending_turn_input("s", targets[3].value)),
    "cancel of 10": (ten, lambda at, targets: at.store.cancel_pending_turn_inputs("s", targets)),
    "suffix cancel of 10": (ten, lambda at, targets: at.store.cancel_pending_turn_input_suffix("s", targets[0])),
    "enqueue work": (nothing, lambda at, _: at.store.enqueue_queued_work(BATCH)),
    "claim work": (
        one_batch,
        lambda at, _: at.store.claim_ready_queued_work("s", at.lease.fence(), OWNER, IDLE, HOUR, 1),
    ),
    "claim no work": (
        nothing,
        lambda at, _: at.store.claim_ready_queued_work("s", at.lease.fence(), OWNER, IDLE, HOUR, 1),
    ),
    "renew work": (a_work_claim, lambda at, claim: at.store.renew_queued_work_claim(claim, HOUR)),
    "abandon work": (a_work_claim, lambda at, claim: at.store.abandon_queued_work_claim(claim)),
    "cancel work": (one_batch, lambda at, batch_id: at.store.cancel_queued_work_batch("s", batch_id)),
    "list pending work of 1": (one_batch, lambda at, _: at.store.list_pending_queued_work("s")),
    "record intent": (nothing, lambda at, _: at.store.record_intent(AttachmentIntent("mine", "s", "uri", 1))),
    "commit refs": (nothing, lambda at, _: at.store.commit_refs("s", ("mine",))),
    "list uncommitted of 1": (
        lambda at: at.store.record_intent(AttachmentIntent("uncommitted", "s", "uri", 1)),
        lambda at, _: at.store.list_uncommitted(9),
    ),
}
"""What is prepared, which is not measured, and the call."""


def medians(stores: list[Made], call: str, rounds: int = ROUNDS) -> list[float]:
    """The median time of the call in each store, in microseconds; they take turns."""
    prepare, make = CALLS[call]
    times: list[list[float]] = [[] for _ in stores]
    for number in range(WARM_UP + rounds):
        for at, taken in zip(stores, times, strict=True):
            prepared = prepare(at)
            start = time.perf_counter()
            make(at, prepared)
            if number >= WARM_UP:
                taken.append(time.perf_counter() - start)
            tidy(at)
    return [statistics.median(each) * 1e6 for each in times]


@pytest.fixture(params=["memory", "file"])
def two(request: Any, tmp_path: Path) -> Iterator[list[Made]]:
    """Two empty stores."""
    stores = [made(":memory:" if request.param == "memory" else str(tmp_path / f"{name}.db")) for name in ("few", "many")]
    yield stores
    for each in stores:
        each.engine.close()


@pytest.mark.parametrize("filling", FILLINGS)
def test_flatness(two: list[Made], filling: str, rate: Callable[[str], None], request: Any) -> None:
    for at, rows in zip(two, (FEW, MANY), strict=True):
        FILLINGS[filling](at, rows)
    rounds = ROUNDS // 2 if two[0].engine.is_file else ROUNDS
    for call in CALLS:
        if filling == "work of the session not ready" and call.startswith("list pending"):
            continue  # that is all of it: the list holds what is not ready too
        few, many = medians(two, call, rounds)
        where = "file" if two[0].engine.is_file else "memory"
        rate(f"{where:6} {filling:32} {call:24} {FEW:7,}: {few:9,.0f} us  {MANY:7,}: {many:9,.0f} us   x {many / few:.2f}")


OWN: dict[str, Callable[[Made, int], None]] = {
    "list": lambda at, rows: inputs(at, rows, "s", "deferred_next_turn"),
    "claim of 10": lambda at, rows: inputs(at, rows, "s", "deferred_next_turn"),
    "claim of all": lambda at, rows: inputs(at, rows, "s", "deferred_next_turn"),
    "suffix, cancelled": lambda at, rows: inputs(at, rows, "s", "deferred_next_turn"),
    "list work": lambda at, rows: batches(at, rows, "s"),
    "claim work": lambda at, rows: batches(at, rows, "s"),
}
GROWING: dict[str, Callable[[Made], object]] = {
    "list": lambda at: at.store.list_pending_turn_inputs("s"),
    "claim of 10": lambda at: at.store.claim_next_turn_inputs("s", at.lease.fence(), OWNER, 0, 10),
    "claim of all": lambda at: at.store.claim_next_turn_inputs("s", at.lease.fence(), OWNER, 0, MANY),
    "suffix, cancelled": lambda at: at.store.cancel_pending_turn_input_suffix("s", InputId("in-0")),
    "list work": lambda at: at.store.list_pending_queued_work("s"),
    "claim work": lambda at: at.store.claim_ready_queued_work("s", at.lease.fence(), OWNER, IDLE, 0, 1),
}


@pytest.mark.parametrize("call", GROWING)
def test_growth_within_a_session(call: str, rate: Callable[[str], None]) -> None:
    sizes = (100, 1_000, 10_000, 100_000)
    shown = []
    for rows in sizes:
        at = made(":memory:")
        OWN[call](at, rows)
        taken = []
        for _ in range(7):
            start = time.perf_counter()
            GROWING[call](at)
            taken.append(time.perf_counter() - start)
        shown.append(statistics.median(taken))
        at.engine.close()
    parts = ", ".join(f"{rows:,}: {each * 1e3:,.2f} ms" for rows, each in zip(sizes, shown, strict=True))
    growth = ", ".join(f"x {more / less:.1f}" for less, more in pairwise(shown))
    rate(f"own rows, {call:14} {parts}   {growth} for ten times the rows")


class Recorder(Engine):
    """An engine that remembers the statements it sends."""

    sent: list[tuple[str, tuple[object, ...]]]

    def send(self, statement: Statement, parameters: Any = ()) -> Any:
        """Send and remember."""
        self.sent.append((statement.sql, tuple(parameters)))
        return super().send(statement, parameters)


@pytest.mark.parametrize("call", ["enqueue", "claim of 10", "cancel of 10", "commit of 10", "enqueue work", "claim work"])
def test_against_bare_sql(call: str, rate: Callable[[str], None]) -> None:
    recorder = Recorder()
    recorder.sent = []
    store = DuckDBRuntimePersistence.over(recorder)
    outcome = store.try_claim_session_execution_lease("s", OWNER, HOUR)
    assert isinstance(outcome, Acquired)
    at = Made(store, recorder, outcome.lease)
    store.commit_runtime_state(commit_of(at.lease))
    recorder.execute(Statement("skip", f"UPDATE guards SET last_number = {FIRST + MANY + 100}"))
    # a twin database is sent the very statements that the store has sent to its own
    twin = Engine()
    cursor = twin._root.cursor()
    parsed: dict[str, Any] = {}

    def repeat() -> float:
        start = time.perf_counter()
        for sql, parameters in recorder.sent:
            if sql not in parsed:
                parsed[sql] = cursor.extract_statements(sql)[0]
            cursor.execute(parsed[sql], parameters).fetchall()
        return time.perf_counter() - start

    prepare, make = CALLS[call]
    through, bare = [], []
    for _ in range(WARM_UP + ROUNDS):
        prepared = prepare(at)
        repeat()
        recorder.sent = []
        start = time.perf_counter()
        make(at, prepared)
        through.append(time.perf_counter() - start)
        bare.append(repeat())
        recorder.sent = []
        tidy(at)
    store_us, bare_us = (statistics.median(each[WARM_UP:]) * 1e6 for each in (through, bare))
    rate(f"{call:24} bare SQL {bare_us:9,.0f} us   store {store_us:9,.0f} us   x {store_us / bare_us:.2f}")
    twin.close()


CONTRACTED = {
    "enqueue": "enqueue_pending_turn_input",
    "claim of 10": "claim_next_turn_inputs",
    "enqueue work": "enqueue_queued_work",
    "claim work": "claim_ready_queued_work",
}


@pytest.mark.parametrize("call", CONTRACTED)
def test_contracts(call: str, rate: Callable[[str], None]) -> None:
    stores = [made(":memory:"), made(":memory:")]
    method: Any = getattr(DuckDBRuntimePersistence, CONTRACTED[call])
    # the undecorated method, bound: what a call would be without pre- and postconditions
    setattr(stores[0].store, CONTRACTED[call], method.__wrapped__.__get__(stores[0].store))
    without, with_them = medians(stores, call, 3 * ROUNDS)
    rate(f"{call:24} without contracts {without:9,.0f} us   with {with_them:9,.0f} us   x {with_them / without:.2f}")
