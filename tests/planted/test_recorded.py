"""Recorded histories of DuckDB stores with planted faults: the judge needs no more than the machines do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fencepost.gallery.bugs import BUGS
from fencepost.gallery.planting import Patch, PlantedBug
from fencepost.impl import DuckDBStores
from fencepost.kit.histories.recorder import record
from fencepost.kit.histories.trial import judge_history
from fencepost.kit.result import Verdict
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.run import MACHINES, Budget, Setup, run_machine

NAMES = (
    "live-at-its-expiry",
    "list-for-the-next-turn-only",
    "stopped-instead-of-passed",
    "renewal-mints-a-token",
    "deferral-in-all-sessions",
    "stored-blobs-counted-as-deleted",
    "refused-boundary-keeps-the-snapshot",
    "finished-turns-not-cleared",
)
SAMPLE = [bug for bug in BUGS if bug.name in NAMES]
"""Some, of most chapters; none that shows only once a store was opened again, or that claims that the storage failed."""


@pytest.mark.slow
@pytest.mark.parametrize("bug", SAMPLE, ids=[bug.name for bug in SAMPLE])
def test_a_recorded_fault_is_named_at_its_call(bug: PlantedBug, tmp_path: Path) -> None:
    """The shortest program that shows it, recorded: the first call that breaks the law is its last."""
    with Patch() as patch:
        bug.plant(patch)
        _named_at_its_call(bug, tmp_path)


def _named_at_its_call(bug: PlantedBug, tmp_path: Path) -> None:
    machine, file = MACHINES[bug.chapter], tmp_path / "history.jsonl"

    def plain(environment: Environment) -> Any:
        return DuckDBStores(clock=environment.clock, process_alive=environment.process_alive)

    violation = run_machine(machine, Setup(plain, tmp_path, close_store=DuckDBStores.close), Budget(0, 60, 50))
    assert violation is not None
    replaying = machine(Setup(lambda environment: record(plain(environment), file, clock=environment.clock), tmp_path))
    with pytest.raises(AssertionError):
        replaying.replay(violation.program)
    replaying.store.close()
    judgement = judge_history(file, from_empty=True)
    calls = len(file.read_text().splitlines()) - 2
    assert judgement.made is not None
    assert (judgement.verdict, judgement.made.line) == (Verdict.violates, calls + 1)
    assert set(judgement.requirements) & set(violation.requirements)
