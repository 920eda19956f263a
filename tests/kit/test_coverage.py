"""Coverage: what can be reached is part of the package, a run is held against it, and every report shows it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner
from fencepost.kit.backend import load_factory
from fencepost.kit.cli import cli
from fencepost.kit.coverage import FILE, Coverage, cells_text, coverage, in_all, reachable_cells, read_cells, together
from fencepost.kit.reporting.report_files import summary
from fencepost.kit.reporting.report_html import page
from fencepost.kit.reporting.report_json import document
from fencepost.kit.result import Request, Result
from fencepost.kit.verify import EXAMPLES, STEPS, verify
from fencepost.spec.catalogue import requirements
from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.run import CHAPTERS
from fencepost.statemachines.situations import Answered
from fencepost.statemachines.tally import Tally

MODEL = "fencepost.kit.model:Model"
FIRST_CLAIM: Answered = ("try_claim_session_execution_lease", "Acquired", ("LEASE-3", "LEASE-12"), "never leased")
FIRST = "try_claim_session_execution_lease: Acquired"
SMALL = ("--owners", "1", "--processes", "0", "--sessions", "1", "--times", "0", "--tokens", "1", "--ttls", "1")


def tally(*answers: Answered) -> Tally:
    """The tally of a run that saw these answers."""
    return Tally(answers=set(answers))


@pytest.fixture(scope="module")
def short() -> Result:
    """A run that has exercised little."""
    return verify(load_factory(MODEL), Request(MODEL, ("lease", "event"), 0, 1, 5))


def test_the_published_cells_are_small_and_of_the_catalogue() -> None:
    """Every chapter has some, each of a known requirement and of a call of the chapter; the file stays under 200 kB."""
    assert tuple(reachable_cells()) == CHAPTERS
    assert len(files("fencepost.kit").joinpath(FILE).read_bytes()) < 200_000
    for chapter, cells in reachable_cells().items():
        assert cells
        assert {requirement for requirement, _, _ in cells} <= requirements().keys()
        assert {OPERATIONS[outcome.partition(": ")[0]].chapter for _, outcome, _ in cells} == {chapter}


def test_cells_are_read_as_they_were_written() -> None:
    """The file is sorted, and the same for the same cells."""
    cells = {("LEASE-6", "renew: A", "live"), ("LEASE-2", "renew: A", "live"), ("LEASE-6", "renew: A", "ending")}
    text = cells_text({"lease": cells})
    assert read_cells(text) == {"lease": frozenset(cells)}
    assert cells_text({"lease": sorted(cells, reverse=True)}) == text


def test_a_run_is_held_against_what_can_be_reached() -> None:
    """An answer exercises a cell for each requirement that decided it; what no scope has counts for nothing."""
    beyond: Answered = ("try_claim_session_execution_lease", "Acquired", ("LEASE-4",), "never leased")
    none, some, more = (coverage(("lease",), [tally(*seen)])[0] for seen in ((), (FIRST_CLAIM,), (FIRST_CLAIM, beyond)))
    cells = reachable_cells()["lease"]
    assert (none.exercised, none.reachable, none.share) == (0, len(cells), 0)
    assert some.exercised == 2
    assert set(none.missed) - set(some.missed) == {(each, FIRST, "never leased") for each in ("LEASE-3", "LEASE-12")}
    assert more == some


def test_runs_of_several_seeds_are_counted_together() -> None:
    """What one worker has exercised, and another has not, is exercised."""
    other: Answered = ("release_session_execution_lease", "nothing", ("LEASE-34",), "released")
    both = tally(FIRST_CLAIM)
    both.add(tally(other))
    assert both.answers == {FIRST_CLAIM, other}
    assert coverage(("lease",), [both]) == coverage(("lease",), [tally(FIRST_CLAIM), tally(other)])


def test_chapters_are_added_up() -> None:
    """The sum of all has the missed cells of each, and those that share a situation are told together."""
    missed = (("A-1", "get: none", "empty"), ("A-2", "get: none", "empty"), ("A-1", "get: some", "there"))
    whole = in_all((Coverage("a", 3, missed[:2]), Coverage("b", 4, missed[2:])))
    assert (whole.exercised, whole.reachable, whole.share, whole.in_words) == (7, 10, 0.7, "7 of 10")
    assert together(whole.missed) == {("get: none", "empty"): ["A-1", "A-2"], ("get: some", "there"): ["A-1"]}


def test_reports_tell_the_share_and_what_is_missing(short: Result) -> None:
    """JSON and page have each cell that was not exercised; Markdown and terminal the share of each chapter."""
    lease, event = short.coverage
    assert (lease.reachable, event.reachable) == (89, 152)
    assert 0 < lease.exercised < 40
    told = document(short).coverage["lease"]
    assert (told.reachable, told.exercised) == (89, lease.exercised)
    assert tuple((each.requirement, each.outcome, each.state) for each in told.missed) == lease.missed
    assert len(told.missed) == 89 - lease.exercised
    assert f"| {lease.exercised} of 89 |" in summary(short)
    html = page(short)
    HTMLParser().feed(html)
    assert f'<meter value="{lease.exercised}" max="89">' in html
    assert "<code>renew_session_execution_lease: SessionExecutionLease</code>, in its last ms: " in html


def test_the_terminal_tells_the_share() -> None:
    """A column for the chapters, and the figures above those of the run."""
    few = ("verify", "--backend", MODEL, "--chapters", "event", "--examples", "1", "--steps", "5")
    result = CliRunner().invoke(cli, few, env={"COLUMNS": "120", "NO_COLOR": "1"})
    assert result.exit_code == 0
    assert "not declared  cells\n" in result.stdout
    assert " of 152 cells exercised\nseed 0: " in result.stdout


def test_explore_writes_the_cells_of_a_scope(tmp_path: Path) -> None:
    """One chapter's, as they are published."""
    file = tmp_path / "cells.json"
    result = CliRunner().invoke(cli, ["explore", *SMALL, "--cells", str(file)])
    assert result.exit_code == 0
    found = read_cells(file.read_bytes())
    assert list(found) == ["lease"]
    assert found["lease"] < reachable_cells()["lease"]
    assert json.loads(file.read_text())["format"] == "fencepost-cells/1"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_default_run_exercises_nearly_all(seed: int) -> None:
    """At least 95 of 100 cells in each chapter, with the examples and steps that a run has unless told otherwise."""
    result = verify(load_factory(MODEL), Request(MODEL, CHAPTERS, seed, EXAMPLES, STEPS))
    assert [each.chapter for each in result.coverage if each.share < 0.95] == []
    assert len(result.coverage) == 10
