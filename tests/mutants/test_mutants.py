"""Mutants of the model: there are many, of every module with transitions, and nothing lets them through without a reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kill_table import Nets, caught, control, report_of, some_of
from mutating import FILES, Mutant, code_of, function_of, mutants
from nets import Catch
from survivors import REASONS, reason_of

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


@pytest.mark.slow
def test_what_gets_away_has_a_reason() -> None:
    """A sample of all: each is caught, or it is known why not."""
    for mutant, catch in caught(mutants()[::40], 2):
        assert catch.is_caught or reason_of(mutant), mutant


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
