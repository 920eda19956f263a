"""What each call on events, outputs and runtimes costs in statements, and that each finds its rows by their keys."""

from __future__ import annotations

import pytest
from fencepost.impl import DuckDBStores, Engine, event, runtime
from fencepost.impl import output as output_module
from fencepost.impl.engine import Statement
from fencepost.spec import AppendToFinishedTurn, RuntimeState, StoreError, WriteFailed
from impl_builders import CountingEngine, run
from impl_logs import (
    EVERY_READ,
    EVERY_WRITE,
    INPUTS,
    RUN,
    SESSION,
    Call,
    commit,
    delta,
    envelope,
    input_state,
    output,
    receipt,
    refilled,
    stores_on,
)
from test_impl_statements import plan

COMMITTED = ["begin", "take the number of the receipt", "store the receipt", "store the snapshot", "store the inputs", "commit"]
APPLIED = ["begin", "raise the number of receipts", "store the receipt", "store the snapshot", "store the inputs", "commit"]
EXPECTED: dict[str, list[str]] = {
    "append": ["append the event"],
    "append to a new turn": ["append the event"],
    "append to a new thread": ["append the event"],
    "append after a clear": ["append the event"],
    "finish": ["finish the turn"],
    "finish of no turn": ["finish the turn"],
    "clear": ["clear the thread"],
    "output": ["append the record"],
    "output of a new producer": ["append the record"],
    "boundary": COMMITTED,
    "boundary without inputs": [each for each in COMMITTED if each != "store the inputs"],
    "first boundary": COMMITTED,
    "apply": APPLIED,
    "apply without session": [*APPLIED[:3], "commit"],
    "first apply": APPLIED,
    "persist input": ["store the inputs"],
    "persist new input": ["store the inputs"],
    "persist state": ["store the state"],
    "persist first state": ["store the state"],
    "lifecycle": ["begin", "store the state", "store the inputs", "commit"],
    "lifecycle without inputs": ["begin", "store the state", "commit"],
    "get turn": ["read the turn"],
    "get turns": ["read the turns"],
    "get events": ["read the turns"],
    "get latest": ["read the latest record"],
    "list": ["list the records"],
    "load inputs": ["read the inputs"],
    "load input": ["read the input"],
    "load receipt": ["read the receipt"],
    "load snapshot": ["read the snapshot"],
    "load state": ["read the state"],
}


@pytest.mark.parametrize("name", [*EVERY_WRITE, *EVERY_READ])
def test_what_a_call_sends(name: str) -> None:
    """Each call on events or outputs is one statement; a boundary writes each table once, in one transaction."""
    engine = CountingEngine()
    stores = refilled(engine)
    assert engine.during(lambda: (EVERY_WRITE | EVERY_READ)[name](stores)) == EXPECTED[name]


def test_the_table_above_is_whole() -> None:
    """No call is forgotten in it."""
    assert EXPECTED.keys() == {*EVERY_WRITE, *EVERY_READ}


def test_a_record_is_read_in_one_statement() -> None:
    """A `get` reads once."""
    engine = CountingEngine()
    stores = refilled(engine)
    ref = output(stores)
    assert engine.during(lambda: stores.output.get(ref)) == ["read the record"]


NO_SESSION = delta(session_id="no UUID")
REFUSED: dict[str, tuple[Call, type[StoreError], list[str]]] = {
    "append": (lambda at: at.event.append("t", 5, envelope("late")), AppendToFinishedTurn, ["append the event"]),
    "receipt": (
        lambda at: at.runtime.atomic_apply("r", delta(), receipt(1), INPUTS, None),
        WriteFailed,
        [*APPLIED[:3], "roll back"],
    ),
    "no session": (lambda at: at.runtime.atomic_apply("r", NO_SESSION, receipt(8), INPUTS, None), WriteFailed, []),
    "other session": (lambda at: at.runtime.atomic_apply("r", delta(), receipt(8), INPUTS, RUN), StoreError, []),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_costs_no_more(name: str) -> None:
    """A refused call stops where it is refused; what the arguments alone show costs no statement."""
    engine = CountingEngine()
    stores = refilled(engine)
    call, error, expected = REFUSED[name]

    def refused() -> None:
        with pytest.raises(error):
            call(stores)

    assert engine.during(refused) == expected


def large_calls(stores: DuckDBStores, rows: int) -> dict[str, Call]:
    """Calls that write or read so many rows."""
    inputs = tuple(input_state(number) for number in range(rows))
    for number in range(rows):
        stores.event.append("t", number % 7, envelope(str(number)))
        output(stores, "many", 1, str(number))
    return {
        "boundary": lambda at: commit(at, inputs=inputs),
        "apply": lambda at: at.runtime.atomic_apply("r", delta(), receipt(1_000), inputs, SESSION),
        "lifecycle": lambda at: at.runtime.atomic_lifecycle_commit("r", RuntimeState.Idle, inputs),
        "load inputs": lambda at: at.runtime.load_input_states("r"),
        "get turns": lambda at: at.event.get_turns("t"),
        "get turn": lambda at: at.event.get_turn("t", 3),
        "clear": lambda at: at.event.clear("t"),
        "list": lambda at: at.output.list_for_attempt("many", 1),
    }


def test_the_number_of_rows_does_not_count() -> None:
    """Three hundred inputs, events and records cost as many statements as one."""
    engine = CountingEngine()
    stores = stores_on(engine)
    for name, call in large_calls(stores, 300).items():
        assert engine.during(lambda call=call: call(stores)) == EXPECTED[name]  # type: ignore[misc]  # the default binds the call


def test_a_busy_store_keeps_few_parsed_statements() -> None:
    """Commits with any number of inputs share their statement texts."""
    engine = Engine()
    stores = stores_on(engine)
    for number in range(1, 60, 3):
        commit(stores, inputs=tuple(input_state(each) for each in range(number)))
        stores.event.append(f"thread {number}", number, envelope(str(number)))
        output(stores, f"task {number}", number, str(number))
    assert len(engine._parsed) < 10


@pytest.fixture(scope="module")
def large() -> Engine:
    """An engine whose tables are large enough that a scan is no match for an index."""
    engine = Engine()
    refilled(engine)
    for table, row in (
        ("runtime_inputs", "'x' || i, 'r' || (i // 5), 'i' || i, '{}'"),
        ("runtime_states", "'x' || i, 'idle'"),
        ("runtime_snapshots", "'x' || i, ''::BLOB"),
        ("runtime_receipts", "'x' || i, '{}'"),
        ("turns", "'x' || i, 'h' || (i // 5), i % 5, false, 1"),
        ("events", "'x' || i, 'h' || (i // 5), 1, '{}'"),
        ("outputs", "i + 100, 'x' || i, 'a' || (i // 5), '{}'"),
        ("producers", "'x' || i, i + 100"),
    ):
        run(engine, f"INSERT INTO {table} SELECT {row} FROM range(10000) r(i)")
    return engine


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (event.READ_TURN, ("x7", "x7")),
        (event.READ_TURNS, ("h7",)),
        (event.CLEAR, ("h8", "h8", "h8")),
        (output_module.READ, ("x7",)),
        (output_module.READ_LATEST, ("x7",)),
        (output_module.LIST, ("a7",)),
        (runtime.READ_INPUTS, ("r7",)),
        (runtime.READ_INPUT, ("x7",)),
        (runtime.READ_RECEIPT, ("x7",)),
        (runtime.READ_SNAPSHOT, ("x7",)),
        (runtime.READ_STATE, ("x7",)),
    ],
)
def test_rows_are_found_by_their_keys(large: Engine, statement: Statement, parameters: tuple[object, ...]) -> None:
    """Every statement that reads or deletes rows of a growing table looks them up by index."""
    shown = plan(large, statement, *parameters)
    assert "Index Scan" in shown
    assert "Sequential Scan" not in shown
