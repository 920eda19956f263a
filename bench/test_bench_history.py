"""What recording costs a call, and how fast a history is checked: against the bare reading of its lines, and as it grows."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fencepost.impl import DuckDBStores
from fencepost.kit.histories.recorder import record
from fencepost.kit.histories.trial import judge_history
from fencepost.kit.result import Verdict
from fencepost.spec import RuntimeState
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "kit"))

from contention import CONTENDED, WORKERS, in_threads
from production import Production

FEW, MANY = 10_000, 100_000
SESSIONS = 10
CONTENDED_CALLS = 600


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where histories are kept."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def history(folder: Path, calls: int) -> Path:
    """A simulated runtime on all four stores, so many calls of it."""
    file = folder / f"{calls}.jsonl"
    if not file.exists():
        environment = Environment(folder)
        clock = environment.clock
        stores = record(ModelStore(environment), file, clock=clock)
        Production(stores, lambda span: clock.move_to(clock.now + span)).work(calls)
        stores.close()
    return file


def churn(folder: Path, calls: int) -> Path:
    """So many calls on a state that stays as large as it is: ten runtimes change their states and are read."""
    file = folder / f"churn-{calls}.jsonl"
    store = record(ModelStore(Environment(folder)), file, clock=lambda: 1_000)
    for number in range(calls // 2):
        store.runtime.persist_runtime_state(f"r{number % SESSIONS}", list(RuntimeState)[number % 5])
        store.runtime.load_runtime_state(f"r{number % SESSIONS}")
    store.close()
    return file


def decoded(file: Path) -> int:
    """Only read the lines."""
    with file.open("rb") as lines:
        return sum(1 for line in lines if json.loads(line))


@pytest.mark.benchmark(group="100,000 recorded calls")
def test_bare_decoding(benchmark: Any, folder: Path) -> None:
    file = history(folder, MANY)
    benchmark.pedantic(lambda: decoded(file), rounds=1)


@pytest.mark.benchmark(group="100,000 recorded calls")
def test_check_trace(benchmark: Any, rate: Callable[[str], None], folder: Path) -> None:
    file = history(folder, MANY)
    cpu = time.process_time()
    judgement = benchmark.pedantic(lambda: judge_history(file), rounds=1)
    cpu = time.process_time() - cpu
    assert judgement.verdict is Verdict.conforms
    rate(f"check-trace, {judgement.calls:,} calls: {judgement.calls / judgement.seconds:,.0f} calls/s by the clock on the wall")
    rate(f"check-trace, {judgement.calls:,} calls: {judgement.calls / cpu:,.0f} calls/s of processor time")


def test_the_last_tenth_against_the_first(rate: Callable[[str], None], folder: Path) -> None:
    few, many = judge_history(history(folder, FEW)), judge_history(history(folder, MANY))
    rate(
        f"check-trace, a call of {MANY:,} against one of {FEW:,}: x {many.seconds / many.calls / (few.seconds / few.calls):.2f}"
    )


def test_memory(rate: Callable[[str], None], folder: Path) -> None:
    peaks = []
    for calls in (FEW, MANY):
        file = churn(folder, calls)
        tracemalloc.start()
        assert judge_history(file).verdict is Verdict.conforms
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    rate(
        f"check-trace, memory at its peak over one live state: {peaks[0]:,} bytes for {FEW:,} calls, {peaks[1]:,} for {MANY:,}"
    )


@pytest.mark.parametrize("chapter", CONTENDED)
def test_many_callers(rate: Callable[[str], None], folder: Path, chapter: str) -> None:
    file = folder / f"{chapter}.jsonl"
    stores = record(DuckDBStores(), file)
    in_threads(stores, CONTENDED[chapter], CONTENDED_CALLS)
    stores.close()
    found = judge_history(file, from_empty=True)
    assert found.verdict is not Verdict.violates
    rate(
        f"check-trace, {WORKERS} threads on the DuckDB store, {chapter}: {found.verdict}, {found.calls:,} calls, "
        f"{found.calls / found.seconds:,.0f} calls/s{f' ({found.says})' if found.says else ''}"
    )


@pytest.mark.benchmark(group="one call, recorded or not")
@pytest.mark.parametrize("how", ["plain", "recorded"])
def test_recording(benchmark: Any, folder: Path, how: str) -> None:
    store: Any = ModelStore(Environment(folder))
    store = record(store, folder / "calls.jsonl") if how == "recorded" else store
    states = iter(list(RuntimeState) * 1_000_000)
    benchmark.pedantic(lambda: store.runtime.persist_runtime_state("r", next(states)), rounds=20, iterations=500)
