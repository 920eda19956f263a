"""Every acknowledged call on events, outputs and runtimes is there when the file is opened again, after a close and a kill."""

from __future__ import annotations

from pathlib import Path

import pytest
from fencepost.impl import DuckDBEventStore, DuckDBOutputStore, DuckDBRuntimeStore, DuckDBStores
from fencepost.spec import AppendToFinishedTurn, RuntimeState, TurnAlreadyFinished, WriteFailed
from impl_builders import NOW, acquired, dump, everybody_dead, full_commit
from impl_logs import (
    EVERY_WRITE,
    INPUTS,
    RUN,
    SESSION,
    commit,
    delta,
    envelope,
    filled,
    input_state,
    observed,
    output,
    receipt,
    said,
    session,
)
from test_impl_reopen import copied


def opened(path: Path) -> DuckDBStores:
    """The stores in the file, with a still clock."""
    return DuckDBStores(path, clock=lambda: NOW, process_alive=everybody_dead)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed file with something of every kind in it."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    with opened(path) as stores:
        filled(stores)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_WRITE)
def test_a_call_is_there_when_the_file_is_opened_again(template: Path, tmp_path: Path, name: str) -> None:
    """What a call of any kind left is shown and stored the same after a kill, after a close, and after another (VALUE-9)."""
    with opened(copied(template, tmp_path / "store.db")) as stores:
        before = dump(stores.event._engine)
        EVERY_WRITE[name](stores)
        # as a kill at this moment would leave it
        copied(tmp_path / "store.db", tmp_path / "killed.db")
        shown, left = observed(stores), dump(stores.event._engine)
    assert left != before
    for again in ("killed.db", "store.db", "store.db"):
        with opened(tmp_path / again) as stores:
            assert observed(stores) == shown
            assert dump(stores.event._engine) == left


def test_a_finished_turn_is_closed_for_good(template: Path, tmp_path: Path) -> None:
    """A turn that was finished before a reopen takes no event after it and is not finished again; an open one is (EVENT-34)."""
    with opened(copied(template, tmp_path / "store.db")) as stores:
        for turn in (5, 9):
            with pytest.raises(AppendToFinishedTurn):
                stores.event.append("t", turn, envelope("late"))
            with pytest.raises(TurnAlreadyFinished):
                stores.event.finish_turn("t", turn)
        stores.event.append("t", 2, envelope("late"))
        stores.event.finish_turn("t", 2)
        assert said(stores.event.get_events("t")) == ["d", "b", "c", "late", "a"]
    with opened(tmp_path / "store.db") as stores, pytest.raises(AppendToFinishedTurn):
        stores.event.append("t", 2, envelope("later"))


def test_numbers_go_on_where_they_were(tmp_path: Path) -> None:
    """Receipts and the order of outputs continue across reopens and kills, and no id is given twice (OUTPUT-26)."""
    refs, sequences = [], []
    for number in range(6):
        with opened(tmp_path / "store.db") as stores:
            refs += [output(stores, producer=str(number)) for _ in range(3)]
            sequences.append(commit(stores, messages=number).sequence)
            assert [each.id for each in stores.output.list_for_attempt("task", 1)] == refs
            assert stores.output.get_latest_by_name(str(number)).id == refs[-1]
            copied(tmp_path / "store.db", tmp_path / "killed.db")
        if number % 2:
            copied(tmp_path / "killed.db", tmp_path / "store.db")
    assert sequences == [0, 1, 2, 3, 4, 5]
    assert len(set(refs)) == 18


def test_a_receipt_from_before_a_reopen_is_evidence_after_it(template: Path, tmp_path: Path) -> None:
    """A caller's receipt with the number of one that is there is refused after a reopen, with nothing of the call left."""
    with opened(copied(template, tmp_path / "store.db")) as stores:
        shown = observed(stores)
        for sequence in (0, 1, 7):
            with pytest.raises(WriteFailed):
                stores.runtime.atomic_apply("r", delta(9), receipt(sequence), INPUTS, SESSION)
        assert observed(stores) == shown
        assert commit(stores).sequence == 8


def test_a_refused_call_leaves_nothing_in_the_file(template: Path, tmp_path: Path) -> None:
    """A call that was refused is not there after a reopen either."""
    with opened(copied(template, tmp_path / "store.db")) as stores:
        shown = observed(stores)
        with pytest.raises(AppendToFinishedTurn):
            stores.event.append("t", 5, envelope("late"))
        with pytest.raises(WriteFailed):
            stores.runtime.atomic_apply("r", delta(9), receipt(1), INPUTS, None)
    with opened(tmp_path / "store.db") as stores:
        assert observed(stores) == shown


def test_each_store_alone_finds_its_own_in_a_file_of_all(tmp_path: Path) -> None:
    """A store opened alone reads and goes on with what it wrote beside the others, and they with what it wrote alone."""
    with opened(tmp_path / "store.db") as stores:
        stores.event.append("t", 1, envelope("a"))
        ref = output(stores)
        commit(stores, inputs=(input_state(1),))
        lease = acquired(stores.runtime_persistence)
        stores.runtime_persistence.commit_runtime_state(full_commit(lease))
    with DuckDBEventStore(tmp_path / "store.db") as events:
        events.append("t", 1, envelope("b"))
    with DuckDBOutputStore(tmp_path / "store.db") as outputs:
        assert outputs.get_latest_by_name("p").id == ref
    with DuckDBRuntimeStore(tmp_path / "store.db") as runtime:
        assert runtime.load_session_snapshot("r") == session()
        runtime.persist_runtime_state("r", RuntimeState.Stopped)
    with opened(tmp_path / "store.db") as stores:
        assert said(stores.event.get_events("t")) == ["a", "b"]
        assert stores.runtime.load_runtime_state("r") is RuntimeState.Stopped
        assert stores.runtime_persistence.load_node("n0") is not None
        assert commit(stores, run_id=RUN).sequence == 1


def test_two_stores_in_turn_on_one_file(tmp_path: Path) -> None:
    """Of two sets of stores open on one file each sees at once what the other was answered, and goes on behind it."""
    with opened(tmp_path / "store.db") as one, opened(tmp_path / "store.db") as two:
        one.event.append("t", 1, envelope("a"))
        two.event.append("t", 1, envelope("b"))
        one.event.finish_turn("t", 1)
        with pytest.raises(AppendToFinishedTurn):
            two.event.append("t", 1, envelope("c"))
        assert said(two.event.get_events("t")) == ["a", "b"]
        two.event.clear("t")
        assert one.event.get_turns("t") == ()
        refs = [output(each) for each in (one, two, one)]
        assert [each.id for each in two.output.list_for_attempt("task", 1)] == refs
        assert two.output.get_latest_by_name("p").id == refs[2]
        assert [commit(each, messages=number).sequence for number, each in enumerate((one, two, one))] == [0, 1, 2]
        assert two.runtime.load_session_snapshot("r") == session(2)
        one.runtime.atomic_apply("r", None, receipt(5), (input_state(1),), None)
        assert two.runtime.load_input_states("r") == (input_state(1),)
        assert commit(two).sequence == 6
