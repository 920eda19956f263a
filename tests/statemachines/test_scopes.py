"""The scopes of all chapters: how large they are, what they reach, and that stores which keep the law pass their suites."""

from __future__ import annotations

from pathlib import Path

import pytest
from fencepost.kit.coverage import reachable_cells
from fencepost.spec.catalogue import requirements
from fencepost.statemachines.explore import Search
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.run import CHAPTERS, MACHINES, Setup
from fencepost.statemachines.scopes import SCOPES
from fencepost.statemachines.suite import run_programs, suite_of
from fencepost.statemachines.witness import require_independence, witness

DEFAULTS = {
    "lease": (13_428, 2_622_144, 15),
    "turn_input": (235_872, 15_896_448, 12),
    "queued_work": (77_052, 5_377_668, 12),
    "commit": (36_632, 4_521_100, 14),
    "session": (15_048, 346_104, 11),
    "maintenance": (33_488, 669_760, 13),
    "attachment": (78_607, 3_458_708, 12),
    "runtime": (35_778, 4_293_360, 8),
    "event": (37_128, 965_328, 12),
    "output": (117_853, 5_884_202, 4),
}
"""States, calls and depth of the default scope of each chapter."""

SUITES = {
    "lease": (2_489, 13_451),
    "turn_input": (238, 3_886),
    "queued_work": (73, 2_386),
    "commit": (95, 2_089),
    "session": (1_567, 8_520),
    "maintenance": (617, 5_264),
    "attachment": (90, 1_742),
    "runtime": (249, 4_083),
    "event": (34, 584),
    "output": (192, 2_035),
}
"""Sequences of the suite that each chapter has built in, and the edges that they cover."""


def test_every_chapter_has_a_scope() -> None:
    """In the order in which chapters are read."""
    assert tuple(SCOPES) == CHAPTERS


@pytest.mark.slow
@pytest.mark.parametrize("chapter", SCOPES)
def test_default_scopes_are_exhausted(chapter: str) -> None:
    """States, calls and depth are what they were, and cells as published: whoever changes the model sees what it changes."""
    found = Search(SCOPES[chapter]()).run()
    figures = found.figures
    assert (figures.states, figures.calls, figures.depth) == DEFAULTS[chapter]
    assert found.cells == reachable_cells()[chapter], "fencepost explore --chapter all --cells kit/cells.json writes them"
    assert found.unknown is None
    assert found.broken == {}
    assert found.decided.keys() <= requirements().keys()
    assert require_independence(found.search, 20) > 0
    for where in found.decided.values():
        assert witness(found.search, where)[-1].because


@pytest.mark.slow
@pytest.mark.parametrize("chapter", SCOPES)
def test_the_model_passes_every_suite(tmp_path: Path, chapter: str) -> None:
    """The suites that are built in ask of a store what the law asks of it."""
    suite, setup = suite_of(SCOPES[chapter](SCOPES[chapter].suite)), Setup(ModelStore, tmp_path)
    assert (len(suite.programs), suite.covered) == SUITES[chapter]
    assert run_programs(MACHINES[chapter], setup, suite.programs) is None


@pytest.mark.parametrize("chapter", SCOPES)
def test_a_witness_of_each_requirement_holds(tmp_path: Path, chapter: str) -> None:
    """The shortest ways to all answers of a small scope are ways that a store goes along."""
    scope, setup = SCOPES[chapter](SCOPES[chapter].suite), Setup(ModelStore, tmp_path)
    suite = suite_of(scope, "requirements")
    assert run_programs(MACHINES[chapter], setup, suite.programs) is None
    assert setup.tally.steps == suite.calls > 0
