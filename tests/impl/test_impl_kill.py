"""A process that is killed at any moment of a load of all kinds of calls leaves what it acknowledged, and no half of a call."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import impl_load
import pytest
from fencepost.impl import DuckDBRuntimePersistence
from fencepost.spec import FullGraph
from impl_builders import NOW, run
from impl_load import Lane, lanes, opened

pytestmark = pytest.mark.slow


def killed_load(path: Path, label: str, seed: int, program: ModuleType = impl_load) -> dict[str, tuple[int, list[str]]]:
    """Of each lane, how many steps a process acknowledged before it was killed, and the names that it was given."""
    log = path.with_suffix(f".{label}.log")
    log.touch()
    arguments = [sys.executable, str(program.__file__), str(path), str(log), label, str(seed)]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE) as child:
        try:
            # one in four is killed while it starts: it may be making the file, or reading the log of the one before
            while seed % 4 != 3 and not log.stat().st_size and child.poll() is None:
                time.sleep(0.002)
            time.sleep(random.Random(seed).uniform(0, 0.8))
        finally:
            child.kill()
        _, shown = child.communicate()
    assert child.returncode == -9, shown.decode() + log.read_text()
    return acknowledged(log.read_text(), [lane.__name__ for lane in program.LANES])


def acknowledged(log: str, lanes: list[str]) -> dict[str, tuple[int, list[str]]]:
    """The last step of each lane in the log, and all names in it; a line that was cut is no acknowledgement."""
    steps = dict.fromkeys(lanes, 0)
    names: dict[str, list[str]] = {lane: [] for lane in lanes}
    for line in log.splitlines(keepends=True):
        if line.endswith("\n"):
            lane, step, given = json.loads(line)
            assert step == steps[lane] + 1, line
            steps[lane] = step
            names[lane] += given
    return {lane: (steps[lane], names[lane]) for lane in steps}


def require_all_or_nothing(lane: Lane, store: DuckDBRuntimePersistence, steps: int) -> None:
    """What the lane left is there after its acknowledged steps, or after one more."""
    found = lane.found(store)
    assert found in (lane.after(steps), lane.after(steps + 1)), f"{type(lane).__name__} after {steps} steps: {found}"


def empty(store: DuckDBRuntimePersistence) -> None:
    """Remove what waits in the session of the turns, so that the next load does not claim it."""
    store.cancel_pending_turn_inputs("s", ())
    for each in store.list_pending_turn_inputs("s"):
        store.cancel_pending_turn_input("s", each.input_id)
    for batch in store.list_pending_queued_work("s"):
        store.cancel_queued_work_batch("s", batch.batch_id)


def revision(store: DuckDBRuntimePersistence) -> int:
    """The head revision."""
    loaded = store.load_session(FullGraph())
    return 0 if loaded is None else loaded.head_revision


def kill_again_and_again(path: Path, seed: int, kills: int) -> int:
    """Load and kill one file so many times, look at it each time; how many calls were acknowledged in all."""
    given: list[str] = []
    base = calls = 0
    for kill in range(kills):
        label, this = f"{kill:02}", 1_000 * seed + kill
        steps = killed_load(path, label, this)
        where = f"seed {seed}, kill {kill}: {[(lane, count) for lane, (count, _) in steps.items()]}"
        with opened(path) as store:
            for lane in lanes(label, this, base):
                count, names = steps[type(lane).__name__]
                try:
                    require_all_or_nothing(lane, store, count)
                except AssertionError as error:
                    raise AssertionError(f"{where}: {error}") from error
                given += names
                calls += count
            base = revision(store)
            empty(store)
    assert len(set(given)) == len(given), f"seed {seed}: a name or number was given twice"
    return calls


def test_a_killed_load_leaves_what_it_acknowledged(tmp_path: Path) -> None:
    """Killed three times, a file shows every acknowledged call and each unacknowledged one wholly or not at all (VALUE-9)."""
    assert kill_again_and_again(tmp_path / "store.db", seed=1, kills=3) > 0


@pytest.mark.parametrize("seed", range(2, 12))
def test_a_killed_load_leaves_what_it_acknowledged_in_the_long_run(tmp_path: Path, seed: int) -> None:
    """Ten files, killed six times each, under loads drawn from ten seeds."""
    assert kill_again_and_again(tmp_path / "store.db", seed, kills=6) > 0


@pytest.mark.parametrize("steps", [0, 1, 7, 9, 10, 11, 12, 21, 22, 23, 40])
def test_the_facts_are_those_of_the_steps(steps: int) -> None:
    """What is written down of a lane is what its calls leave, and neither less nor more: a lost or a torn call is seen."""
    with DuckDBRuntimePersistence(clock=lambda: NOW) as store:
        for lane in lanes("x", 7, 0):
            for step in range(steps):
                lane.step(store, step)
            assert lane.found(store) == lane.after(steps)
            if steps > 1 and not isinstance(lane, impl_load.Upkeep):
                assert lane.found(store) not in [lane.after(steps + by) for by in (-2, -1, 1, 2)]


def test_half_a_commit_is_seen() -> None:
    """If any one effect of a commit is undone behind the store's back, the look at the turns goes red."""
    damages = (
        "DELETE FROM stamps",
        "DELETE FROM usage",
        "DELETE FROM nodes WHERE node_id LIKE '%keep'",
        "UPDATE attachments SET committed_at = NULL",
        "UPDATE inputs SET state = 'accepted' WHERE source_key LIKE '%active'",
        "UPDATE inputs SET state = 'pending_active' WHERE source_key LIKE '%late'",
        "DELETE FROM blobs",
    )
    for damage in damages:
        with DuckDBRuntimePersistence(clock=lambda: NOW) as store:
            lane = impl_load.Turns("x", 7, 0)
            for step in range(10):
                lane.step(store, step)
            require_all_or_nothing(lane, store, 9)
            run(store._engine, damage)
            with pytest.raises(AssertionError):
                require_all_or_nothing(lane, store, 9)
