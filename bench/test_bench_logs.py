"""What events, outputs and runtimes cost: against more rows in the file, of others and of their own, and without contracts.

Two sets of stores of different size take turns call by call within one run, so that whatever else the machine does meets both;
the ratios of the medians are printed at the end.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from fencepost.impl import DuckDBStores, Engine
from fencepost.impl.encoding import lookup
from fencepost.impl.engine import Statement
from fencepost.spec import (
    AgentEventEnvelope,
    AgentEventText,
    Final,
    Inline,
    InputLifecycleState,
    InputState,
    Json,
    OutputRef,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeState,
    SessionDelta,
)
from fencepost.spec.events import envelope_json

ROUNDS = 100
WARM_UP = 15
FEW, MANY = 10, 100_000
INSTANT = "2026-01-01T00:00:00Z"


def uuid(number: int) -> UUID:
    """A UUID."""
    return UUID(f"0190a1b2-0000-7000-8000-{number:012x}")


RUN, OLD_RUN = uuid(1), uuid(2)
ENVELOPE = AgentEventEnvelope(uuid(3), 1, INSTANT, AgentEventText("message", "hello " * 10))
FINAL = Final(Inline(Json({"text": "hello"})), ok=True)
CLOCK = '{"secs_since_epoch":1,"nanos_since_epoch":0}'
SESSION = SessionDelta(
    f'{{"id":"{uuid(4)}","created_at":{CLOCK},"updated_at":{CLOCK},"messages":[{{"role":"user","content":"hello"}}]}}'.encode()
)
INPUT = InputState(input_id=uuid(5), current_state=InputLifecycleState.Queued, created_at=INSTANT, updated_at=INSTANT)
STATE = f'{{"input_id":"{uuid(6)}","current_state":"queued","created_at":"{INSTANT}","updated_at":"{INSTANT}"}}'


class Made(NamedTuple):
    """Stores, and the engine under them."""

    stores: DuckDBStores
    engine: Engine


def made(path: str) -> Made:
    """Empty stores."""
    engine = Engine(path)
    return Made(DuckDBStores.over(engine), engine)


def filled(at: Made, rows: int, *tables: tuple[str, str]) -> None:
    """Put so many rows in behind the stores' back."""
    for table, row in tables:
        at.engine.execute(Statement("fill", f"INSERT INTO {table} SELECT {row} FROM range({rows}) r(i)"))


def key(*names: str | UUID) -> str:
    """SQL for what a row of these names is found by."""
    return f"'{lookup(*names)}'"


def numbered(at: Made, rows: int) -> None:
    """Let the next output come after so many."""
    at.engine.execute(Statement("fill", f"UPDATE guards SET last_number = {rows} WHERE name = 'outputs'"))


TEXT = f"'{envelope_json(ENVELOPE)}'"


def others(at: Made, rows: int) -> None:
    """Threads of ten turns, attempts of ten records, runtimes of ten inputs, and a run, a session and a state to each row."""
    filled(
        at,
        rows,
        ("threads", "sha256('t' || i), 1"),
        ("turns", "sha256('turn' || i), sha256('t' || (i // 10)), i % 10, i % 2 = 0, 1"),
        ("events", f"sha256('turn' || i), sha256('t' || (i // 10)), 1, {TEXT}"),
        ("outputs", "i + 1, 'other-' || i, sha256('a' || (i // 10)), '{}'"),
        ("producers", "sha256('p' || i), i + 1"),
        ("runtime_inputs", f"sha256('in' || i), sha256('r' || (i // 10)), 'id' || i, '{STATE}'"),
        ("runtime_runs", "sha256('run' || i), 0, 0"),
        ("runtime_receipts", "sha256('receipt' || i), '{}'"),
        ("runtime_states", "sha256('r' || i), 'idle'"),
        ("runtime_snapshots", "sha256('r' || i), 'snapshot'::BLOB"),
        ("runtime_sessions", "sha256('s' || i), 'snapshot'::BLOB"),
    )
    numbered(at, rows)


def own_turns(at: Made, rows: int) -> None:
    """Turns of the thread that is measured, each with an event."""
    filled(
        at,
        rows,
        ("turns", f"sha256('turn' || i), {key('t')}, i + 10, true, 1"),
        ("events", f"sha256('turn' || i), {key('t')}, 1, {TEXT}"),
    )


def own_events(at: Made, rows: int) -> None:
    """Events of the turn that is measured."""
    filled(at, 1, ("threads", f"{key('t')}, 1"), ("turns", f"{key('t', '1')}, {key('t')}, 1, false, {rows}"))
    filled(at, rows, ("events", f"{key('t', '1')}, {key('t')}, i + 1, {TEXT}"))


def own_records(at: Made, rows: int) -> None:
    """Records of the attempt and the producer that are measured."""
    filled(at, rows, ("outputs", f"i + 1, 'own-' || i, {key('task', '1')}, '{{}}'"))
    filled(at, 1, ("producers", f"{key('p')}, {rows}"))
    numbered(at, rows)


def own_runs(at: Made, rows: int) -> None:
    """Receipts of the run and inputs of the runtime that are measured."""
    filled(at, 1, ("runtime_runs", f"{key('r', RUN)}, {rows}, 0"))
    filled(
        at,
        rows,
        ("runtime_receipts", "sha256('receipt' || i), '{}'"),
        ("runtime_inputs", f"sha256('in' || i), {key('r')}, 'id' || i, '{STATE}'"),
    )


def a_turn(at: Made) -> int:
    """An open turn of the thread, that nobody has finished."""
    ((turn,),) = at.engine.execute(Statement("find", "SELECT count(*)::UBIGINT + 1000000 FROM turns"))
    at.stores.event.append("t", turn, ENVELOPE)
    return int(turn)


def nothing(at: Made) -> None:
    """No preparation."""


def commit(at: Made, run: UUID = RUN) -> RunBoundaryReceipt:
    """A boundary with one input."""
    immediate = RunApplyBoundary.Immediate
    return at.stores.runtime.commit_session_boundary("r", SESSION, run, immediate, (INPUT.input_id,), (INPUT,))


def receipt_of(at: Made) -> RunBoundaryReceipt:
    """A receipt that nobody has stored."""
    ((number,),) = at.engine.execute(Statement("find", "SELECT count(*)::UBIGINT + 1000000 FROM runtime_receipts"))
    return RunBoundaryReceipt(
        run_id=OLD_RUN, boundary=RunApplyBoundary.Immediate, contributing_input_ids=(), message_count=1, sequence=number
    )


def output(at: Made) -> OutputRef:
    """A record."""
    return at.stores.output.append("task", 1, "p", FINAL, ())


EVENT_CALLS: dict[str, tuple[Callable[[Made], Any], Callable[[Made, Any], object]]] = {
    "append": (nothing, lambda at, _: at.stores.event.append("t", 1, ENVELOPE)),
    "append, a turn each": (nothing, lambda at, _: at.stores.event.append("t2", time.perf_counter_ns(), ENVELOPE)),
    "append, a thread each": (nothing, lambda at, _: at.stores.event.append(f"t {time.perf_counter_ns()}", 1, ENVELOPE)),
    "finish a turn": (a_turn, lambda at, turn: at.stores.event.finish_turn("t", turn)),
    "get a turn of 1": (a_turn, lambda at, turn: at.stores.event.get_turn("t", turn)),
    "get turns of none": (nothing, lambda at, _: at.stores.event.get_turns("none")),
    "clear of 1": (
        lambda at: at.stores.event.append("cleared", 1, ENVELOPE),
        lambda at, _: at.stores.event.clear("cleared"),
    ),
}
OUTPUT_CALLS: dict[str, tuple[Callable[[Made], Any], Callable[[Made, Any], object]]] = {
    "output": (nothing, lambda at, _: output(at)),
    "get": (output, lambda at, ref: at.stores.output.get(ref)),
    "get latest": (output, lambda at, _: at.stores.output.get_latest_by_name("p")),
    "list of none": (nothing, lambda at, _: at.stores.output.list_for_attempt("none", 1)),
}
RUNTIME_CALLS: dict[str, tuple[Callable[[Made], Any], Callable[[Made, Any], object]]] = {
    "boundary": (nothing, lambda at, _: commit(at)),
    "apply": (receipt_of, lambda at, receipt: at.stores.runtime.atomic_apply("r", SESSION, receipt, (INPUT,), None)),
    "lifecycle": (nothing, lambda at, _: at.stores.runtime.atomic_lifecycle_commit("r", RuntimeState.Idle, (INPUT,))),
    "persist input": (nothing, lambda at, _: at.stores.runtime.persist_input_state("r", INPUT)),
    "persist state": (nothing, lambda at, _: at.stores.runtime.persist_runtime_state("r", RuntimeState.Idle)),
    "load inputs of none": (nothing, lambda at, _: at.stores.runtime.load_input_states("none")),
    "load input": (commit, lambda at, _: at.stores.runtime.load_input_state("r", INPUT.input_id)),
    "load receipt": (commit, lambda at, made: at.stores.runtime.load_boundary_receipt("r", RUN, made.sequence)),
    "load snapshot": (commit, lambda at, _: at.stores.runtime.load_session_snapshot("r")),
}
CALLS = EVENT_CALLS | OUTPUT_CALLS | RUNTIME_CALLS
"""What is prepared, which is not measured, and the call."""

FILLINGS: dict[str, tuple[Callable[[Made, int], None], tuple[str, ...]]] = {
    "rows of others": (others, tuple(CALLS)),
    "turns of the thread": (own_turns, ("append", "finish a turn", "get a turn of 1")),
    "events of the turn": (own_events, ("append", "finish a turn", "clear of 1")),
    "records of attempt and producer": (own_records, ("output", "get", "get latest")),
    "receipts and inputs of the run": (own_runs, ("boundary", "apply", "lifecycle", "persist input", "load receipt")),
}


def medians(stores: list[Made], call: str, rounds: int = ROUNDS) -> list[float]:
    """The median time of the call in each set of stores, in microseconds; they take turns."""
    prepare, make = CALLS[call]
    times: list[list[float]] = [[] for _ in stores]
    for number in range(WARM_UP + rounds):
        for at, taken in zip(stores, times, strict=True):
            prepared = prepare(at)
            start = time.perf_counter()
            make(at, prepared)
            if number >= WARM_UP:
                taken.append(time.perf_counter() - start)
    return [statistics.median(each) * 1e6 for each in times]


@pytest.fixture(params=["memory", "file"])
def two(request: Any, tmp_path: Path) -> Iterator[list[Made]]:
    """Two empty sets of stores."""
    stores = [made(":memory:" if request.param == "memory" else str(tmp_path / f"{name}.db")) for name in ("few", "many")]
    yield stores
    for each in stores:
        each.engine.close()


@pytest.mark.parametrize("filling", FILLINGS)
def test_flatness(two: list[Made], filling: str, rate: Callable[[str], None]) -> None:
    fill, calls = FILLINGS[filling]
    for at, rows in zip(two, (FEW, MANY), strict=True):
        fill(at, rows)
    where = "file" if two[0].engine.is_file else "memory"
    for call in calls:
        few, many = medians(two, call, ROUNDS // 2 if two[0].engine.is_file else ROUNDS)
        rate(f"{where:6} {filling:32} {call:24} {FEW:3,}: {few:9,.0f} us  {MANY:7,}: {many:9,.0f} us   x {many / few:.2f}")


def thread_of(at: Made, turns: int, events: int, thread: str = "long") -> None:
    """A thread of so many turns with so many events each."""
    filled(
        at,
        turns,
        ("turns", f"sha256('{thread}' || i), {key(thread)}, i, true, {events}"),
    )
    filled(
        at,
        turns * events,
        ("events", f"sha256('{thread}' || (i // {events})), {key(thread)}, i % {events} + 1, {TEXT}"),
    )


def timed(call: Callable[[], object], rounds: int = 7) -> float:
    """The median time of the call, in seconds."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def test_turns_of_a_thread(rate: Callable[[str], None]) -> None:
    shown = []
    for turns, beside in ((100, FEW), (1_000, FEW), (1_000, MANY)):
        at = made(":memory:")
        others(at, beside)
        thread_of(at, turns, 20)
        assert len(at.stores.event.get_turns("long")) == turns
        taken = timed(lambda at=at: at.stores.event.get_turns("long"))  # type: ignore[misc]  # the default binds the stores
        rows = timed(lambda at=at: at.engine.execute(Statement("all", SAME_ROWS), (lookup("long"),)))  # type: ignore[misc]
        shown.append(taken)
        rate(
            f"get_turns of {turns:5,} turns with 20 events, {beside:7,} rows of others "
            f"{taken * 1e3:9,.1f} ms   bare SQL {rows * 1e3:7,.1f} ms   {taken / turns / 20 * 1e6:5,.1f} us an event"
        )
        at.engine.close()
    rate(f"get_turns: x {shown[1] / shown[0]:.1f} for ten times the turns, x {shown[2] / shown[1]:.2f} for the rows of others")


SAME_ROWS = "SELECT turn_key, place, envelope FROM events WHERE thread_key = ? ORDER BY turn_key, place"


def test_inputs_of_a_boundary(rate: Callable[[str], None]) -> None:
    at = made(":memory:")
    shown = []
    for count in (1, 10, 100, 1_000):
        inputs = tuple(
            InputState(
                input_id=uuid(number),
                current_state=InputLifecycleState.Queued,
                created_at=INSTANT,
                updated_at=INSTANT,
            )
            for number in range(count)
        )
        shown.append(
            timed(
                lambda inputs=inputs: at.stores.runtime.commit_session_boundary(  # type: ignore[misc]  # the default binds them
                    "r", SESSION, RUN, RunApplyBoundary.Immediate, (), inputs
                )
            )
        )
        rate(f"boundary with {count:5,} inputs {shown[-1] * 1e3:9,.2f} ms")
    rate(f"boundary: x {shown[-1] / shown[-2]:.1f} for ten times the inputs")
    at.engine.close()


CONTRACTED = {
    "append": ("event", "append"),
    "output": ("output", "append"),
    "boundary": ("runtime", "commit_session_boundary"),
    "lifecycle": ("runtime", "atomic_lifecycle_commit"),
}


@pytest.mark.parametrize("call", CONTRACTED)
def test_contracts(call: str, rate: Callable[[str], None]) -> None:
    stores = [made(":memory:"), made(":memory:")]
    name, method = CONTRACTED[call]
    without: Any = getattr(stores[0].stores, name)
    # the undecorated method, bound: what a call would be without pre- and postconditions
    setattr(without, method, getattr(type(without), method).__wrapped__.__get__(without))
    bare, checked = medians(stores, call, 2 * ROUNDS)
    rate(f"{call:24} without contracts {bare:9,.0f} us   with {checked:9,.0f} us   x {checked / bare:.2f}")
