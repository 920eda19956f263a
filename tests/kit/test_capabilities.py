"""What stores declare: declared and not served fails, not declared is refused as unsupported, and nothing is guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from fencepost.kit.backend import BackendError, load_factory
from fencepost.kit.result import Judged, Request, Result, Status, Verdict
from fencepost.kit.verify import verify
from fencepost.model import Refused
from fencepost.spec.catalogue import requirements
from fencepost.statemachines.checker import Violation
from fencepost.statemachines.environment import BEGINNING, WallClock
from fencepost.statemachines.machine import Setup
from fencepost.statemachines.races import ROUNDS, raced, waits
from fencepost.statemachines.rivals import RACES


def run(name: str, *chapters: str, examples: int = 3, steps: int = 30) -> Result:
    """A run of a store of `declaring`."""
    backend = f"declaring:{name}"
    return verify(load_factory(backend), Request(backend, chapters, 0, examples, steps))


def judged(result: Result, requirement: str) -> Judged:
    """What became of a requirement."""
    (found,) = [each for each in result.judged if each.requirement.id == requirement]
    return found


def blamed(result: Result) -> str:
    """The requirement that the first violation is laid on."""
    return result.counterexamples[0].requirements[0]


def test_time_of_day_goes_on_by_itself_and_is_waited_for() -> None:
    """Programs count from the beginning; an instant out of reach is not waited for."""
    clock = WallClock()
    begun = clock.now
    assert begun - clock.ahead - BEGINNING in range(1_000)
    clock.move_to(begun + 20)
    assert begun + 20 <= clock.now
    clock.move_to(clock.now + 10_000_000)
    assert clock.now < begun + 10_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["by_the_time_of_day", "everybody_is_dead"])
def test_a_store_without_controlled_clock_and_oracle_conforms(name: str) -> None:
    """Whatever instant of a call it took, and whomever it takes for dead: both are admissible."""
    result = run(name, "lease", "turn_input", examples=2, steps=20)
    assert result.verdict is Verdict.conforms
    assert judged(result, "LEASE-9").status is Status.passed


def test_a_slow_clock_violates_by_the_time_of_day() -> None:
    """A lease that begins before the call that was granted it is no lease from now."""
    result = run("late", "lease")
    assert blamed(result) == "LEASE-9"
    (found,) = result.counterexamples
    assert "environment.clock.move_to(start + " in found.program or "move_to" not in found.program
    assert found.path == "lease.claimed_at_epoch_ms"


def test_a_controlled_clock_that_is_declared_and_not_used_violates() -> None:
    """The lease begins at another instant than the clock's."""
    result = run("not_under_control", "lease")
    assert result.counterexamples[0].path == "lease.claimed_at_epoch_ms"


@pytest.mark.parametrize(
    ("name", "chapter", "requirement"),
    [
        ("Keeping", "attachment", "ATT-8"),
        ("Keeping", "maintenance", "GC-7"),
        ("Forgetful", "attachment", "ATT-1"),
        ("Hoarding", "maintenance", "GC-2"),
        ("WithInputs", "lease", "DEFAULT-1"),
        ("Swallowing", "lease", "DEFAULT-1"),
    ],
)
def test_what_is_declared_and_not_served_violates_and_so_does_what_is_served_undeclared(
    name: str, chapter: str, requirement: str
) -> None:
    """Nothing is guessed from the calls that a store has."""
    chapters = ("lease", "commit", "session", chapter) if chapter == "maintenance" else (chapter,)
    result = run(name, *chapters, examples=10)
    assert result.verdict is Verdict.violates
    assert blamed(result) == requirement


def test_a_store_says_of_what_it_lacks_that_it_is_unsupported() -> None:
    """Then it conforms, and the requirement of stores without turn inputs has passed."""
    result = run("WithoutInputs", "lease")
    assert result.verdict is Verdict.conforms
    assert result.runs[0].tally.reached["DEFAULT-1"] >= 3 * 8


def test_what_a_factory_does_not_declare_cannot_be_chosen() -> None:
    """The sentence says what is declared and what is needed; what is declared is chosen without asking."""
    with pytest.raises(BackendError, match=r"declares the chapters event, and not output, which what was chosen cannot do"):
        run("events_alone", "output")
    assert load_factory("declaring:events_alone").has == ("event",)
    assert run("events_alone", "event").verdict is Verdict.conforms


@pytest.mark.parametrize("chapter", [each for each in RACES if each != "session"])
def test_a_store_that_declares_several_callers_and_cannot_serve_them_violates(chapter: str) -> None:
    """Of calls made at once one is lost: no order of them explains what they were answered.

    A commit of this store is one assignment, so that reads beside it see all or nothing.
    """
    needed = ("lease", "commit", "session", chapter) if chapter == "maintenance" else ("lease", chapter)
    result = run("Racy", *needed, examples=1, steps=1)
    found = {each.chapter: each for each in result.counterexamples}
    assert found[chapter].requirements[0] in {race.requirement for race in RACES[chapter]}
    assert not found[chapter].reproduces


@pytest.mark.parametrize("chapter", RACES)
def test_a_store_that_tries_again_or_gives_up_as_it_may_is_not_blamed(chapter: str, tmp_path: Path) -> None:
    """Of calls made at once some are decided twice, and a commit that expected no head gives up on one that was faster."""
    assert found_in_races("Optimistic", chapter, tmp_path) is None


def test_a_commit_that_looked_at_its_lease_before_a_takeover_violates(tmp_path: Path) -> None:
    """The stale holder's commit lands after another has taken the session over, and has read it without that commit."""
    found = found_in_races("Skewed", "commit", tmp_path)
    assert found is not None
    assert found.requirements[0] == "LEASE-INV-2"
    assert [each.call.operation for each in found.performed[-3:]] == [
        "commit_runtime_state",
        "reclaim_session_execution_lease",
        "load_session",
    ]
    assert not any(isinstance(each.answer, Refused) for each in found.performed)


def test_two_outputs_of_one_id_are_told_of_as_those_two(tmp_path: Path) -> None:
    """They come last, whatever was read beside them, and the second was due another id."""
    found = found_in_races("Racy", "output", tmp_path)
    assert found is not None
    first, second = found.performed[-2:]
    assert (first.call.operation, second.call.operation) == ("output.append", "output.append")
    assert first.answer == second.answer
    assert found.reason.endswith("explains what they were answered: the last two got the same answer")
    assert found.admissible[0].answer != second.answer


def test_every_race_is_about_a_requirement() -> None:
    """Of the catalogue."""
    assert {race.requirement for races in RACES.values() for race in races} <= set(requirements())


def test_calls_that_are_over_at_once_meet_all_the_same() -> None:
    """Each thread comes first, in the middle and last, and in some rounds all begin together."""
    assert [waits(2, number) for number in range(4)] == [(0, 0), (0, 0), (0, 0.000_2), (0.000_2, 0)]
    assert len({waits(3, number) for number in range(ROUNDS)}) == 1 + 3 * 6


def found_in_races(name: str, chapter: str, directory: Path) -> Violation | None:
    """What the races of a chapter find in a store of `declaring`."""
    factory = load_factory(f"declaring:{name}")
    setup = Setup(factory.open, directory, close_store=factory.close)
    setup.declared = frozenset(factory.declares)
    return raced(setup, chapter)
