"""The ids of outputs: of their form, never given twice, and no record overwritten, whatever chance brings."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from fencepost.impl import DuckDBOutputStore, Engine
from fencepost.impl import engine as engine_module
from fencepost.spec import OutputInternal, OutputRef, Progress
from impl_builders import CountingEngine, dump
from test_impl_races import together

FORM = re.compile(r"out-[0-9a-f]{10}")


class Minting(DuckDBOutputStore):
    """A store whose ids come from a list."""

    ids: Iterator[str]

    def _fresh(self) -> OutputRef:
        return OutputRef(next(self.ids))


def minting(engine: Engine, *ids: str) -> Minting:
    """A store that gives these ids, one after the other."""
    store = Minting.over(engine)
    store.ids = iter(ids)
    return store


def append(store: DuckDBOutputStore, producer: str) -> str:
    """Append a record of this producer; its id."""
    return store.append("task", 1, producer, Progress(producer), ()).value


def test_ids_have_their_form(tmp_path: Path) -> None:
    """Every id is `out-` and ten lower-case hex digits, and no two are equal, across reopens too (OUTPUT-2)."""
    ids: list[str] = []
    for _ in range(4):
        with DuckDBOutputStore(tmp_path / "store.db") as store:
            ids += [append(store, "p") for _ in range(25)]
    assert all(FORM.fullmatch(each) for each in ids)
    assert len(set(ids)) == 100


def test_ids_of_chance_have_their_form() -> None:
    """Of ten thousand ids drawn, each has the form."""
    store = DuckDBOutputStore()
    assert all(FORM.fullmatch(store._fresh().value) for _ in range(10_000))


def test_an_id_that_is_taken_is_passed_over() -> None:
    """Where chance repeats ids, however often, the append takes the first free one and overwrites nothing (OUTPUT-3)."""
    engine = Engine()
    store = minting(engine, "a", "a", "b", "a", "b", "b", "a", "c", "c", "d")
    assert [append(store, producer) for producer in ("1", "2", "3", "4")] == ["a", "b", "c", "d"]
    records = [store.get(OutputRef(each)) for each in "abcd"]
    assert [each.producer_agent for each in records] == ["1", "2", "3", "4"]
    assert store.list_for_attempt("task", 1) == tuple(records)
    # no number is lost on an id that was taken
    assert [number for number, *_ in dump(engine)["outputs"]] == [1, 2, 3, 4]


def test_an_id_from_before_a_reopen_is_passed_over(tmp_path: Path) -> None:
    """An id of another process's record is taken too."""
    with DuckDBOutputStore(tmp_path / "store.db") as store:
        taken = append(store, "first")
    engine = Engine(tmp_path / "store.db")
    store = minting(engine, taken, taken, "b")
    assert append(store, "second") == "b"
    assert store.get(OutputRef(taken)).producer_agent == "first"
    assert store.get_latest_by_name("second").id == OutputRef("b")
    engine.close()


def test_an_id_that_is_taken_costs_one_statement_each() -> None:
    """An append that passes over two ids sends three statements, and no look beforehand."""
    engine = CountingEngine()
    store = minting(engine, "a", "a", "a", "b")
    append(store, "p")
    assert engine.during(lambda: append(store, "p")) == ["append the record"] * 3


def test_a_mint_that_knows_one_id_fails_and_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no free id comes, the append is `OutputInternal` when patience ends, and what is there stays."""
    monkeypatch.setattr(engine_module, "PATIENCE_S", 0.2)
    engine = Engine()
    store = minting(engine, *["a"] * 10_000)
    append(store, "first")
    before, start = dump(engine), time.monotonic()
    with pytest.raises(OutputInternal, match="gave up") as caught:
        append(store, "second")
    assert type(caught.value) is OutputInternal
    assert 0.2 <= time.monotonic() - start < 5
    assert dump(engine) == before
    assert store.get(OutputRef("a")).producer_agent == "first"


def test_threads_with_a_poor_mint_share_no_id() -> None:
    """Threads whose mints draw from few ids all get one of their own, and each finds its record under it."""
    engine = Engine()
    # each begins with the ids that the others have taken
    stores = [minting(engine, *[f"id-{number}" for _ in range(5) for number in range(20)]) for _ in range(4)]

    def run(store: Minting, name: str) -> list[tuple[str, str]]:
        return [(append(store, f"{name} {number}"), f"{name} {number}") for number in range(5)]

    answers = together([partial(run, store, str(place)) for place, store in enumerate(stores)])
    pairs = [pair for answer in answers if isinstance(answer, list) for pair in answer]
    assert len({ref for ref, _ in pairs}) == 20
    assert [stores[0].get(OutputRef(ref)).producer_agent for ref, _ in pairs] == [producer for _, producer in pairs]
