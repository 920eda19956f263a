"""Damage behind the store's back in events, outputs and runtimes: the error of the protocol, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from fencepost.impl import DuckDBEventStore, DuckDBOutputStore, DuckDBRuntimeStore, DuckDBStores, Engine
from fencepost.impl import engine as engine_module
from fencepost.spec import Backend, OutputInternal, StoreError, WriteFailed
from impl_arena import Kept, answered
from impl_builders import dump, run
from impl_logs import EVERY_READ, EVERY_WRITE, RUN, Call, commit, filled, observed, output, receipt, refilled, stores_on
from test_impl_faults_stores import kind_of

CALLS: dict[str, Call] = EVERY_READ | EVERY_WRITE
EVENTS = ("get turn", "get turns", "get events")
RECORDS = ("get latest", "list")
INPUTS = ("load input", "load inputs")
OUTPUTS = ("output", "output of a new producer")
NUMBERED = ("boundary", "boundary without inputs")
COUNTED = (*NUMBERED, "apply", "apply without session")

LARGEST = "18446744073709551615"
REFUSED: dict[str, tuple[str, ...]] = {
    "UPDATE events SET envelope = '{'": EVENTS,
    "UPDATE events SET envelope = '[]'": EVENTS,
    "UPDATE events SET envelope = '{}'": EVENTS,
    "UPDATE events SET envelope = ''": EVENTS,
    "UPDATE events SET envelope = repeat('[', 100000)": EVENTS,
    """UPDATE events SET envelope = replace(envelope, '"sequence":0', '"sequence":-1')""": EVENTS,
    """UPDATE events SET envelope = replace(envelope, '"sequence":0', '"sequence":1e400')""": EVENTS,
    """UPDATE events SET envelope = replace(envelope, '"type":"text"', '"type":7')""": EVENTS,
    # white space harms nobody
    "UPDATE events SET envelope = ' ' || envelope": (),
    "DELETE FROM events": EVENTS,
    "UPDATE turns SET events = events + 1": EVENTS,
    "UPDATE turns SET finished = false": ("get turns", "get events"),
    f"UPDATE turns SET events = {LARGEST}": (*EVENTS, "append"),
    f"UPDATE threads SET guard = {LARGEST}": ("append", "append to a new turn", "append after a clear", "finish", "clear"),
    # the guard of a thread is made where it is missed
    "DELETE FROM threads": (),
    "UPDATE outputs SET record = '{'": RECORDS,
    "UPDATE outputs SET record = 'null'": RECORDS,
    "UPDATE outputs SET record = ' ' || record": (),
    """UPDATE outputs SET record = replace(record, '"attempt":', '"attempt":-')""": RECORDS,
    "UPDATE outputs SET record = replace(record, 'out-', 'xxx-')": RECORDS,
    """UPDATE outputs SET record = replace(record, '"task"', '"else"')""": ("list",),
    """UPDATE outputs SET record = replace(record, '"producer_agent":"p"', '"producer_agent":"z"')""": ("get latest",),
    "UPDATE outputs SET record = (SELECT any_value(record) FROM outputs WHERE number = 1)": RECORDS,
    "DELETE FROM guards": OUTPUTS,
    f"UPDATE guards SET guard = {LARGEST}": OUTPUTS,
    f"UPDATE guards SET last_number = {LARGEST}": OUTPUTS,
    "UPDATE guards SET last_number = 0": OUTPUTS,
    # the largest number but one, beyond what DuckDB counts rows in
    "UPDATE guards SET last_number = 18446744073709551613": (),
    "UPDATE runtime_inputs SET state = '{'": INPUTS,
    "UPDATE runtime_inputs SET state = '{}'": INPUTS,
    "UPDATE runtime_inputs SET state = replace(state, 'queued', 'ghost')": INPUTS,
    "UPDATE runtime_inputs SET state = replace(state, '00000000000c', '00000000000d')": INPUTS,
    "UPDATE runtime_inputs SET state = replace(state, '00000000000b', '00000000000c')": ("load inputs",),
    "UPDATE runtime_inputs SET state = '{' WHERE input_id LIKE '%d'": ("load inputs",),
    "UPDATE runtime_states SET state = 'ghost'": ("load state",),
    "UPDATE runtime_states SET state = ''": ("load state",),
    "UPDATE runtime_receipts SET receipt = '{'": ("load receipt",),
    "UPDATE runtime_receipts SET receipt = '{}'": ("load receipt",),
    "UPDATE runtime_receipts SET receipt = replace(receipt, 'run_checkpoint', 'ghost')": ("load receipt",),
    """UPDATE runtime_receipts SET receipt = replace(receipt, '"sequence":1', '"sequence":5')""": ("load receipt",),
    "DELETE FROM runtime_runs": NUMBERED,
    "UPDATE runtime_runs SET last_sequence = 0": NUMBERED,
    f"UPDATE runtime_runs SET last_sequence = {LARGEST}": NUMBERED,
    f"UPDATE runtime_runs SET guard = {LARGEST}": COUNTED,
}
"""Damages, and which calls they make impossible."""


@pytest.fixture(scope="module")
def kept() -> Kept:
    """An engine with something of every kind in it, brought back before each damage."""
    engine = Engine()
    refilled(engine)
    return Kept(engine)


@pytest.mark.slow
@pytest.mark.parametrize("damage", REFUSED)
def test_damage_is_told_and_left_alone(kept: Kept, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """A call that meets the damage is refused as its protocol says and writes nothing; every other call goes on."""
    # a number that is given already looks like another writer
    monkeypatch.setattr(engine_module, "PATIENCE_S", 0.05)
    refused: list[str] = []
    for name, call in CALLS.items():
        kept.restore()
        run(kept.engine, damage)
        before = dump(kept.engine)
        if isinstance(answer := answered(call, stores_on(kept.engine)), StoreError):
            refused.append(name)
            assert type(answer) is kind_of(name)
            assert dump(kept.engine) == before
    assert sorted(refused) == sorted(REFUSED[damage])


@pytest.mark.parametrize("damage", ["'{'", "replace(record, 'out-', 'xxx-')"])
def test_a_record_that_is_damaged_is_not_got(damage: str) -> None:
    """A record that cannot be decoded, or that says it is another one, is `OutputInternal`, and not `OutputNotFound`."""
    engine = Engine()
    stores = refilled(engine)
    ref, other = output(stores), output(stores)
    run(engine, f"UPDATE outputs SET record = {damage} WHERE id = ?", ref.value)
    with pytest.raises(OutputInternal) as caught:
        stores.output.get(ref)
    assert type(caught.value) is OutputInternal
    assert stores.output.get(other).id == other


ONE: list[tuple[str, str, tuple[str, ...]]] = [
    ("UPDATE events SET envelope = '{' WHERE place = 2", "events", EVENTS),
    ("UPDATE outputs SET record = '{' WHERE number = 2", "outputs", ("list",)),
    ("UPDATE runtime_inputs SET state = '{' WHERE input_id LIKE '%b'", "runtime_inputs", ("load inputs",)),
]


@pytest.mark.parametrize(("damage", "table", "refused"), ONE)
def test_one_bad_row_fails_the_whole_list(damage: str, table: str, refused: tuple[str, ...]) -> None:
    """A list with one row that cannot be decoded is refused as a whole, and not answered without it."""
    engine = Engine()
    stores = refilled(engine)
    before = dump(engine)[table]
    run(engine, damage)
    assert len(set(dump(engine)[table]) - set(before)) == 1
    for name in refused:
        with pytest.raises(Backend, match="cannot be decoded"):
            EVERY_READ[name](stores)


def test_a_bad_row_of_another_harms_nobody() -> None:
    """A thread, an attempt and a runtime are read although those beside them are damaged."""
    engine = Engine()
    stores = refilled(engine)
    shown = [EVERY_READ[name](stores) for name in EVERY_READ]
    stores.event.clear("t2")
    run(engine, "UPDATE outputs SET record = '{' WHERE record LIKE '%other%'")
    run(engine, "UPDATE runtime_inputs SET state = '{' WHERE state LIKE '%\"attempt_count\":9%'")
    assert [EVERY_READ[name](stores) for name in EVERY_READ] == shown


def test_a_run_without_a_number_left_is_refused_and_read() -> None:
    """Behind the largest number there is no boundary: `WriteFailed`, before and after it all of the run is as it was."""
    engine = Engine()
    stores = refilled(engine)
    stores.runtime.atomic_apply("r", None, receipt(2**64 - 2), (), None)
    assert commit(stores).sequence == 2**64 - 1
    shown, before = observed(stores), dump(engine)
    for _ in range(2):
        with pytest.raises(WriteFailed, match="no number comes after it"):
            commit(stores)
    assert (observed(stores), dump(engine)) == (shown, before)
    # a number below it that is free is still the caller's to take, and other runs go on
    stores.runtime.atomic_apply("r", None, receipt(8), (), None)
    assert stores.runtime.load_boundary_receipt("r", RUN, 8) == receipt(8)
    assert commit(stores, "r2").sequence == 0


@pytest.mark.parametrize("kind", [DuckDBStores, DuckDBEventStore, DuckDBOutputStore, DuckDBRuntimeStore])
def test_a_file_that_lost_the_guard_of_outputs_is_not_opened(
    tmp_path: Path, kind: type[DuckDBStores | DuckDBEventStore | DuckDBOutputStore | DuckDBRuntimeStore]
) -> None:
    """A file without the row that outputs are numbered by is refused by every store when it is opened."""
    with DuckDBStores(tmp_path / "store.db") as stores:
        filled(stores)
        run(stores.output._engine, "DELETE FROM guards WHERE name = 'outputs'")
    with pytest.raises(Backend, match="it guards attachments, batches, inputs, and not"):
        kind(tmp_path / "store.db")


@pytest.mark.parametrize("table", ["events", "producers", "runtime_sessions"])
def test_a_file_that_lost_a_table_is_not_opened(tmp_path: Path, table: str) -> None:
    """A file without one of the tables is refused when it is opened, and named what it lacks."""
    with DuckDBStores(tmp_path / "store.db") as stores:
        run(stores.output._engine, f"DROP TABLE {table}")
    with pytest.raises(Backend, match=f"it has no table {table}"):
        DuckDBStores(tmp_path / "store.db")


@pytest.mark.parametrize("table", ["events", "turns", "outputs", "runtime_inputs", "runtime_receipts", "runtime_snapshots"])
def test_a_table_that_is_dropped_under_an_open_store_is_told(table: str) -> None:
    """Calls that need a table which somebody has dropped meanwhile are refused as their protocol says, and no call crashes."""
    engine = Engine()
    stores = refilled(engine)
    run(engine, f"DROP TABLE {table}")
    answers = {name: answered(call, stores) for name, call in CALLS.items()}
    refused = {name: answer for name, answer in answers.items() if isinstance(answer, StoreError)}
    assert len(refused) > 1
    assert all(type(answer) is kind_of(name) for name, answer in refused.items())
