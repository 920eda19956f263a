"""A process killed under a load of events, outputs and runtimes leaves what it acknowledged, and no half of a call."""

from __future__ import annotations

from pathlib import Path

import impl_logs_load
import pytest
from fencepost.impl import DuckDBStores
from impl_builders import run
from impl_logs_load import LogLane, Outputs, lanes, opened
from test_impl_kill import killed_load

pytestmark = pytest.mark.slow


def require_all_or_nothing(lane: LogLane, stores: DuckDBStores, steps: int) -> None:
    """What the lane left is there after its acknowledged steps, or after one more."""
    found = lane.found(stores)
    assert found in (lane.after(steps), lane.after(steps + 1)), f"{type(lane).__name__} after {steps} steps: {found}"


def kill_again_and_again(path: Path, seed: int, kills: int) -> int:
    """Load and kill one file so many times, look at it each time, at the older loads too; how many calls were acknowledged."""
    given: list[str] = []
    seen: dict[str, list[object]] = {}
    calls = 0
    for kill in range(kills):
        label, this = f"{seed} {kill:02}", 1_000 * seed + kill
        steps = killed_load(path, label, this, impl_logs_load)
        with opened(path) as stores:
            for lane in lanes(label):
                count, names = steps[type(lane).__name__]
                require_all_or_nothing(lane, stores, count)
                given += names
                calls += count
            for older, facts in seen.items():
                assert [lane.found(stores) for lane in lanes(older)] == facts, f"seed {seed}, kill {kill}: {older}"
            seen[label] = [lane.found(stores) for lane in lanes(label)]
            refs = {ref for (ref,) in run(stores.output._engine, "SELECT id FROM outputs")}
            numbers = [number for (number,) in run(stores.output._engine, "SELECT number FROM outputs ORDER BY number")]
        assert refs.issuperset(given)
        assert numbers == list(range(1, len(numbers) + 1))
    assert len(set(given)) == len(given), f"seed {seed}: an id was given twice"
    return calls


def test_a_killed_load_leaves_what_it_acknowledged(tmp_path: Path) -> None:
    """Killed three times, a file shows every acknowledged call and each unacknowledged one wholly or not at all (VALUE-9)."""
    assert kill_again_and_again(tmp_path / "store.db", seed=1, kills=3) > 0


@pytest.mark.parametrize("seed", range(2, 8))
def test_a_killed_load_leaves_what_it_acknowledged_in_the_long_run(tmp_path: Path, seed: int) -> None:
    """Six files, killed six times each, under loads of six seeds."""
    assert kill_again_and_again(tmp_path / "store.db", seed, kills=6) > 0


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 23, 29, 30, 31, 38])
def test_the_facts_are_those_of_the_steps(steps: int) -> None:
    """What is written down of a lane is what its calls leave, and neither less nor more: a lost or a torn call is seen."""
    with DuckDBStores() as stores:
        for lane in lanes("x"):
            for step in range(steps):
                lane.step(stores, step)
            assert lane.found(stores) == lane.after(steps)
            if steps > 1:
                assert lane.found(stores) not in [lane.after(steps + by) for by in (-2, -1, 1, 2)]


DAMAGES = (
    "DELETE FROM events WHERE place = 1",
    "UPDATE turns SET finished = NOT finished",
    "DELETE FROM outputs WHERE number = 1",
    "UPDATE producers SET latest = latest - 1",
    "DELETE FROM runtime_receipts WHERE receipt LIKE '%\"sequence\":7%'",
    "DELETE FROM runtime_inputs WHERE input_id LIKE '%2'",
    "UPDATE runtime_states SET state = 'destroyed'",
    "DELETE FROM runtime_snapshots",
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_half_a_call_is_seen(damage: str) -> None:
    """If any one effect is undone behind the store's back, the look at the lanes goes red."""
    with DuckDBStores() as stores:
        for lane in lanes("x"):
            for step in range(14):
                lane.step(stores, step)
            require_all_or_nothing(lane, stores, 13)
        run(stores.event._engine, damage)

        def look() -> None:
            for lane in lanes("x"):
                require_all_or_nothing(lane, stores, 13)

        with pytest.raises(Exception, match=r"after 13 steps|is damaged"):
            look()


def test_ids_are_acknowledged() -> None:
    """The load tells the id of each record that it appended."""
    with DuckDBStores() as stores:
        (ref,) = Outputs("x").step(stores, 0)
        assert [each.id.value for each in stores.output.list_for_attempt("x Outputs ", 0)] == [ref]
