"""Mutants of the model: there are many, of every module with transitions, and nothing lets them through without a reason."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from kill_table import MOST, NOT_EXPLAINED, REPORT, Nets, caught, control, main, report_of, some_of
from mutating import FILES, Mutant, code_of, function_of, mutants
from nets import Catch
from survivors import REASONS, reason_of

PAGE = Path(__file__).parents[2] / "docs" / "model.md"

SAMPLE = {
    ("records.lease.live", "record.expires_at > now", "record.expires_at >= now"): "LEASE-6 at its expiry a lease is over",
    (
        "session.path_to",
        "node_id not in chain",
        "node_id in chain",
    ): ("READ-6, READ-7, READ-7a session.the_path_is_the_line_of_ancestors"),
    ("output.get_latest_by_name", "found is None", "found is not None"): (
        "OUTPUT-15, OUTPUT-16, OUTPUT-18 output.latest_is_last"
    ),
}
"""Mutants by function and change, and the lemma that catches each."""


def of(function: str, before: str, after: str) -> Mutant:
    """The mutant of this change."""
    (found,) = [
        each for each in mutants() if each.name.startswith(f"{function}#") and (each.before, each.after) == (before, after)
    ]
    return found


@pytest.fixture(scope="module")
def nets() -> Iterator[Nets]:
    """The processes that cast the nets."""
    started = Nets()
    yield started
    started.close()


def test_every_module_with_transitions_has_mutants() -> None:
    """More than six hundred, each of a name of its own."""
    found = mutants()
    assert len({each.name for each in found}) == len(found) > 600
    assert {each.file for each in found} == set(FILES)
    assert {each.chapter for each in found} == {*["lease", "claim", "turn_input", "queued_work", "commit", "session"]} | {
        *["maintenance", "attachment", "runtime", "event", "output", "log"]
    }


def test_every_mutant_is_another_function() -> None:
    """Its code compiles, has the arguments of the function in whose place it is put, and is not the same."""
    for each in mutants()[::7]:
        there, code = function_of(each).__code__, code_of(each)
        assert code.co_varnames[: code.co_argcount] == there.co_varnames[: there.co_argcount], each
        assert (code.co_freevars, there.co_freevars) == ((), ()), each
        assert (code.co_code, code.co_consts, code.co_names) != (there.co_code, there.co_consts, there.co_names), each


@pytest.mark.parametrize(("change", "lemma"), SAMPLE.items(), ids=[each[0] for each in SAMPLE])
def test_a_lemma_catches_a_wrong_law(change: tuple[str, str, str], lemma: str, nets: Nets) -> None:
    """The mutant refutes this one."""
    mutant = of(*change)
    net = "confirmed" if mutant.file.startswith("records/") else "exhausted"
    assert nets.cast(mutant.name, net) == lemma


def test_invariants_and_scenarios_catch_a_wrong_law(nets: Nets) -> None:
    """A grant that is not counted breaks an invariant on a walk, and a scenario; the model itself does neither."""
    name = of("records.lease.acquired", "1", "2").name
    assert nets.cast(name, "invariant") == "LEASE-INV-1"
    assert nets.cast(name, "scenario") != ""


@pytest.mark.slow
def test_the_model_as_it_is_gets_through() -> None:
    """No invariant fails on the walks, and no scenario is played otherwise."""
    assert control() == ""


def rows_of(report: str) -> set[str]:
    """Each row of the report's tables with its file, as far as it tells the mutant."""
    told, file = set(), ""
    for line in report.splitlines():
        file = line.removeprefix("## model/") if line.startswith("## ") else file
        if line.startswith("| ") and "#" in line:
            told.add(f"{file} {line[: line.rindex('` |') + 3]}")
    return told


def test_the_published_table_has_every_mutant_of_today() -> None:
    """No row is of a transition that has changed, none is missing, and none is without a reason."""
    published = REPORT.read_text(encoding="utf-8")
    today = [(mutant, Catch("caught")) for mutant in some_of(None, MOST)]
    assert rows_of(published) == rows_of(report_of(today))
    assert len(rows_of(published)) == len(today) > 150
    assert NOT_EXPLAINED not in published


def sampled() -> list[Mutant]:
    """One mutant of each chapter: the middle one of those that are published."""
    by_chapter: dict[str, list[Mutant]] = {}
    for each in some_of(None, MOST):
        by_chapter.setdefault(each.chapter, []).append(each)
    return [found[len(found) // 2] for found in by_chapter.values()]


@pytest.mark.slow
def test_what_gets_away_has_a_reason() -> None:
    """One of each chapter: it is caught, or it is known why not. The others are tried when the report is made."""
    chosen = sampled()
    assert len({each.chapter for each in chosen}) == len(chosen) == 12
    for mutant, catch in caught(chosen, 1):
        assert catch.is_caught or reason_of(mutant), mutant


@pytest.mark.slow
def test_the_page_of_the_model_tells_how_mutants_are_planted(tmp_path: Path) -> None:
    """The command that stands there plants two, and ends with 0."""
    (told,) = [each for each in PAGE.read_text(encoding="utf-8").splitlines() if "kill_table.py" in each]
    _, script, *options = shlex.split(told)
    assert (PAGE.parents[1] / script).is_file()
    ran = CliRunner().invoke(main, [*options, "--notes", str(tmp_path / "notes.jsonl")])
    assert ran.exit_code == 0, ran.output
    assert "2 of 2 mutants are caught" in ran.output


def test_reasons_are_about_mutants_that_there_are() -> None:
    """No reason is left over from a transition that has changed."""
    told = {f"{each.name.partition('#')[0]}: {each.before} -> {each.after}" for each in mutants()}
    assert {each for known in REASONS.values() for each in known} <= told


def test_the_report_tells_who_survived_and_what_caught_the_others() -> None:
    """A row for each, and a survivor without a reason is not passed over in silence."""
    one, two = some_of("records.lease.live", 2)
    report = report_of([(one, Catch("LEASE-6 a lemma", "", "a_scenario")), (two, Catch())])
    assert "1 of 2 mutants are caught, 1 by a lemma (0 by nothing else), 0 by an invariant" in report
    assert f"* NOT EXPLAINED\n  * `{two.name}`" in report
    assert "| LEASE-6 a lemma | - | a_scenario |" in report
