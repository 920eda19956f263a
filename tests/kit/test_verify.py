"""Runs and their verdicts."""

from __future__ import annotations

import json
import random

import pytest
from faulty import NowAndThen, OnlyOnce, WornOut
from fencepost.kit import chapter_check as check_module
from fencepost.kit.backend import load_factory
from fencepost.kit.reporting.report_json import encoded
from fencepost.kit.result import MISSED, ChapterRun, Judged, Request, Result, Status, Verdict, judge, not_evaluated
from fencepost.kit.verify import EXAMPLES, STEPS, Observer, offered_by, operations_of, verify
from fencepost.spec import Acquired, LeaseOwnerIdentity
from fencepost.statemachines.checker import Violation
from fencepost.statemachines.machine import Machine, Setup
from fencepost.statemachines.run import CHAPTERS
from fencepost.statemachines.tally import Tally


def run(backend: str, *chapters: str, examples: int = 10, steps: int = 30, strict: bool = False, seed: int = 0) -> Result:
    """A small run of a backend among the faulty ones."""
    name = f"faulty:{backend}"
    return verify(load_factory(name), Request(name, chapters or CHAPTERS, seed, examples, steps, strict))


def judged(result: Result) -> dict[str, Judged]:
    """The statuses by requirement."""
    return {each.requirement.id: each for each in result.judged}


@pytest.mark.slow
def test_a_store_that_obeys_conforms() -> None:
    """The model as its own store conforms, and has reached something in every chapter."""
    result = run("Bent")
    assert result.verdict is Verdict.conforms
    assert result.verdict.exit_code == 0
    assert tuple(each.chapter for each in result.runs) == CHAPTERS
    assert all(result.sums(chapter)[Status.passed] > 0 for chapter in ("values", "claim", *CHAPTERS))
    assert not result.with_status(Status.failed)


@pytest.mark.slow
def test_a_violation_ends_its_chapter_and_no_other() -> None:
    """The lease chapter passes before, and the session chapter runs after, a violation in the commit chapter."""
    result = run("StaleHead", "lease", "commit", "session", examples=20)
    assert result.verdict is Verdict.violates
    assert result.verdict.exit_code == 1
    lease, commit, session = result.runs
    assert lease.counterexample is None
    assert commit.counterexample is not None
    assert session.tally.calls > 0
    assert judged(result)["COMMIT-9"].status is Status.failed


def test_one_seed_gives_one_result() -> None:
    """Two runs of one seed differ in nothing but their times, with a violation to shrink and without one."""
    for backend in ("Bent", "Unfenced"):
        one, two = (json.loads(encoded(run(backend, "commit"))) for _ in range(2))
        del one["timing"], two["timing"]
        assert one == two


def test_another_seed_makes_other_calls() -> None:
    """The seed decides what is drawn."""
    one, two = run("Bent", "lease", seed=1), run("Bent", "lease", seed=2)
    assert one.runs[0].tally.operations != two.runs[0].tally.operations


def test_what_a_current_requirement_admits_is_told_and_no_failure() -> None:
    """A store that reads a dangling leaf as none conforms; READ-5a is listed as one it differs in, with how often."""
    result = run("LeaflessRead", "commit")
    assert result.verdict is Verdict.conforms
    result = run("LeaflessRead", "session")
    differs = judged(result)["READ-5a"]
    assert differs.status is Status.differs
    assert differs.departures > 0
    assert differs.reason == "A leaf that names no readable node may be answered as none."


def test_a_strict_run_fails_for_what_differs() -> None:
    """Under strict the same store violates READ-5a."""
    result = run("LeaflessRead", "session", strict=True)
    assert result.verdict is Verdict.violates
    assert result.counterexamples[0].requirements == ("READ-5a",)
    assert judged(result)["READ-5a"].status is Status.failed


def test_a_store_that_changes_its_mind_violates_what_it_was_seen_to_break() -> None:
    """Its answer was wrong once, whether or not it is wrong again: it is told as it was met, and what may be the matter."""
    result = run("Unsteady", "lease")
    assert result.verdict is Verdict.violates
    assert result.verdict.exit_code == 1
    assert result.troubles == ()
    (found,) = result.counterexamples
    assert found.last.call.operation == "try_claim_session_execution_lease"
    assert found.hint == (
        "The store answered differently when the same calls were made again. Expected every example to start from a fresh, "
        "empty store that takes its time from environment.clock and depends on nothing else."
    )


@pytest.mark.parametrize("seed", range(6))
def test_a_store_that_breaks_the_law_now_and_then_violates_it(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance decides of every third run, and no run of the kit decides of it: never does it end without a verdict."""
    monkeypatch.setattr(NowAndThen, "chance", random.Random(seed))
    result = run("NowAndThen", "lease")
    assert result.verdict is Verdict.violates
    assert result.counterexamples[0].path.endswith("fencing_token")


def test_a_violation_that_never_comes_back_is_told_as_it_was_met(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is the one that was run, and it says how often it was run again in vain."""
    monkeypatch.setattr(OnlyOnce, "done", False)
    result = run("OnlyOnce", "lease")
    assert result.verdict is Verdict.violates
    (found,) = result.counterexamples
    assert not found.reproduces
    assert found.heading == (
        "This was called, and the store does not always answer it so. Called again, it did not repeat in 3 runs:"
    )


def test_a_factory_that_fails_later_cannot_be_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A factory that raises in the middle of a run leaves its chapters not evaluated, with one sentence."""
    monkeypatch.setattr(WornOut, "opened", 0)
    result = run("WornOut", "lease")
    assert result.verdict is Verdict.not_evaluated
    assert result.troubles == (
        "The factory faulty:WornOut raised ConnectionError: no more connections (faulty.py, line 322). "
        "Expected a fresh, empty store.",
    )


def test_a_violation_stands_when_no_store_is_to_be_had_to_shorten_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was seen: it is told with all the calls that had been made, and not as a program that shows it."""
    monkeypatch.setattr(WornOut, "opened", -6)
    result = run("LenientAndWornOut", "lease")
    assert (result.verdict, result.troubles) == (Verdict.violates, ())
    (found,) = result.counterexamples
    assert (found.requirements[0], found.reproduces) == ("VALUE-6", False)
    assert len(found.performed) == 10
    assert found.heading == "This was called. Called again, it did not show:"


def test_an_interrupted_run_keeps_its_figures() -> None:
    """After Ctrl-C the chapters so far are told, the verdict is open, and no later chapter begins."""

    class Impatient(Observer):
        chapter = ""

        def begins(self, chapter: str) -> None:
            self.chapter = chapter

        def steps(self, tally: Tally, *, shrinking: bool) -> None:
            if self.chapter == "commit":
                raise KeyboardInterrupt

    request = Request("faulty:Bent", ("lease", "commit", "session"), 0, 10, 30)
    result = verify(load_factory(request.backend), request, Impatient())
    assert result.interrupted
    assert result.verdict is Verdict.not_evaluated
    assert [each.chapter for each in result.runs] == ["lease", "commit"]
    assert result.runs[1].tally.steps == 32


def test_a_violation_seen_before_an_interruption_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while a violation is shortened does not lose it: what was seen is told."""

    def cut_short(machine: type[Machine], setup: Setup, _: object) -> Violation:
        running = machine(setup)
        lease = running.perform("try_claim_session_execution_lease", "s", LeaseOwnerIdentity("a", "1"), 10)
        assert isinstance(lease, Acquired)
        running.perform("release_session_execution_lease", lease.lease.completion())
        with pytest.raises(Violation) as caught:
            running.perform("try_claim_session_execution_lease", "s", LeaseOwnerIdentity("a", "1"), 10)
        caught.value.interrupted, caught.value.steps = True, 2
        return caught.value

    monkeypatch.setattr(check_module, "run_machine", cut_short)
    result = run("FenceForgotten", "lease")
    assert result.interrupted
    assert result.verdict is Verdict.violates
    assert result.counterexamples[0].reproduces
    assert result.counterexamples[0].steps == 2


def test_a_fault_of_the_harness_is_no_fault_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of the checker itself leaves the chapter not evaluated."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(check_module, "run_machine", broken)
    result = run("Bent", "lease")
    assert result.verdict is Verdict.not_evaluated
    assert result.troubles == (
        "The check of chapter lease itself failed: it raised ZeroDivisionError: division by zero. "
        "Please report it with the seed.",
    )


def test_a_violation_that_cannot_be_shown_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the kit's own in telling a violation leaves the chapter not evaluated, and names the requirement."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(check_module, "counterexample", broken)
    result = run("Crashing", "lease")
    assert result.verdict is Verdict.not_evaluated
    assert result.troubles == (
        "A violation of VALUE-6 was found, but showing it raised ZeroDivisionError: division by zero. "
        "Please report it with the seed.",
    )


def test_a_chapter_in_which_nothing_was_reached_is_not_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call, no verdict."""
    monkeypatch.setattr(check_module, "run_machine", lambda *_: None)
    result = run("Bent", "lease", "session")
    assert result.verdict is Verdict.not_evaluated
    assert result.troubles == (
        "Nothing was reached in chapter lease: try more --examples or --steps.",
        "Nothing was reached in chapter session: try more --examples or --steps.",
    )


def test_a_run_answers_for_its_chapters_and_for_values() -> None:
    """Requirements of other chapters are left out, unless they failed."""
    assert {each.requirement.chapter for each in run("Bent", "lease").judged} == {"values", "lease"}
    result = run("FenceForgotten", "session", examples=40)
    outside = [each for each in result.judged if each.requirement.chapter not in ("values", "session")]
    assert [each.status for each in outside] == [Status.failed]


def test_the_page_of_claims_goes_with_either_kind() -> None:
    """What claims of inputs and of work share is answered for with either of them, and without both it is not."""
    for chapter in ("turn_input", "queued_work"):
        answered = {each.requirement.chapter for each in judge([chapter], Tally(), ())}
        assert answered == {"values", "claim", chapter}
    assert {each.requirement.chapter for each in judge(["commit"], Tally(), ())} == {"values", "commit"}


@pytest.mark.parametrize(
    ("chosen", "offered"),
    [
        (["lease"], ("lease",)),
        (["turn_input"], ("lease", "turn_input")),
        (["queued_work"], ("lease", "queued_work")),
        (["commit"], ("lease", "commit")),
        (["session"], ("lease", "commit", "session")),
        (["maintenance"], ("lease", "commit", "session", "maintenance")),
        (["attachment"], ("attachment",)),
        (["attachment", "commit"], ("lease", "commit", "attachment")),
        (["commit", "turn_input"], ("lease", "turn_input", "commit")),
    ],
)
def test_a_chapter_asks_for_those_it_cannot_do_without(chosen: list[str], offered: tuple[str, ...]) -> None:
    """A store has to offer the chosen chapters and what these need, and nothing else."""
    assert offered_by(chosen) == offered


def test_the_calls_of_a_chapter_include_those_of_the_chapters_it_needs() -> None:
    """Commits need leases and are read back; the first chapter needs its own calls only."""
    assert len(operations_of(["lease"])) == 4
    assert operations_of(["commit"])[4:] == ("commit_runtime_state", "load_session")
    assert "durability_tier" in operations_of(["session"])
    assert operations_of(["attachment"]) == ("record_intent", "commit_refs", "list_uncommitted", "forget")
    assert len(operations_of(["turn_input"])) == 4 + 8
    assert "load_session" not in operations_of(["turn_input"])


def test_a_commit_settles_claims_only_where_the_store_offers_them() -> None:
    """Chosen alone, the chapter makes no call of other kinds; chosen with inputs, its machine makes those of inputs."""
    alone, beside = run("Bent", "commit"), run("Bent", "turn_input", "commit")
    assert "enqueue_pending_turn_input" not in alone.runs[0].tally.operations
    assert beside.runs[1].tally.operations["enqueue_pending_turn_input"] > 0
    assert "enqueue_queued_work" not in beside.runs[1].tally.operations


def reopening(backend: str, *chapters: str, examples: int = 60) -> Result:
    """A run of a backend among those that can be opened again."""
    name = f"forgetful:{backend}"
    return verify(load_factory(name), Request(name, chapters, 0, examples, 40))


@pytest.mark.slow
def test_a_store_that_can_be_opened_again_is_held_to_it() -> None:
    """With the mark VALUE-9 is reached and passes; without it is not declared, and the reason says how to declare it."""
    assert judged(reopening("Forgetting", "lease"))["VALUE-9"].status is Status.passed
    unmarked = judged(reopening("Unmarked", "lease"))["VALUE-9"]
    assert unmarked.status is Status.not_declared
    assert unmarked.count == 0
    assert unmarked.reason == (
        "It binds a store that declares `reopen`: a factory with `declares` of fencepost.kit, an adapter in its hello."
    )


def test_a_store_that_was_never_opened_again_has_not_passed() -> None:
    """A capability that is declared and not reached is listed as not reached."""
    (value_9,) = [each for each in judge(["lease"], Tally(), (), ("reopen",)) if each.requirement.id == "VALUE-9"]
    assert value_9.status is Status.not_reached


@pytest.mark.parametrize(("backend", "chapter"), [("ForgetsWork", "queued_work"), ("ForgetsLeases", "lease")])
def test_a_store_that_forgets_over_a_reopening_breaks_value_9(backend: str, chapter: str) -> None:
    """Whether reads show it at once, or a later call does: that the store was opened again is what is needed."""
    result = reopening(backend, chapter)
    assert result.verdict is Verdict.violates
    assert judged(result)["VALUE-9"].status is Status.failed
    assert result.counterexamples[0].reproduces
    assert (
        "\nstores.close()\nstores = open_store(environment)\nstore = stores.runtime_persistence\n"
        in result.counterexamples[0].program
    )


def test_a_reopened_store_has_its_files() -> None:
    """Opened again it finds its directory as it left it; the next example's is empty."""
    assert reopening("WithFile", "lease").verdict is Verdict.conforms


def test_the_observer_is_told_of_each_chapter() -> None:
    """Chapters begin, go on and end in order, with steps in between; each has one example before any has more."""
    told = [""]

    class Listening(Observer):
        def begins(self, chapter: str) -> None:
            if f"{chapter} begins" not in told[-2:]:
                told.append(f"{chapter} begins")

        def steps(self, tally: Tally, *, shrinking: bool) -> None:
            if "steps" not in told[-1]:
                told.append(f"{'shrinking' if shrinking else 'making'} steps")

        def ends(self, run: ChapterRun) -> None:
            told.append(f"{run.chapter} ends")

    request = Request("faulty:Bent", ("lease", "commit"), 0, 10, 30)
    verify(load_factory(request.backend), request, Listening())
    first = ["lease begins", "making steps", "commit begins", "making steps"]
    assert told[1:] == [*first, "lease begins", "making steps", "lease ends", "commit begins", "making steps", "commit ends"]


def test_a_chapter_that_violates_is_told_of_before_others_have_had_all_their_examples() -> None:
    """A fence that is never checked shows in the first example of commits, while leases have had one."""
    ended: list[tuple[str, bool]] = []

    class Listening(Observer):
        def ends(self, run: ChapterRun) -> None:
            ended.append((run.chapter, run.counterexample is not None))

    request = Request("faulty:Unfenced", ("lease", "commit"), 0, 10, 30)
    result = verify(load_factory(request.backend), request, Listening())
    assert ended == [("commit", True), ("lease", False)]
    assert [each.chapter for each in result.runs] == ["lease", "commit"]


def test_what_was_never_reached_has_not_passed() -> None:
    """Without a single step no requirement passes; each has a reason."""
    statuses = judge(CHAPTERS, Tally(), ())
    assert {each.status for each in statuses} == {Status.not_reached, Status.not_declared}
    assert all(each.reason for each in statuses)


def test_a_capability_is_not_declared_and_what_is_inside_is_not_seen() -> None:
    """LEASE-18 needs a capability; LEASE-5 takes part in decisions and can still not be told from outside."""
    tally = Tally()
    tally.reached.update({"LEASE-5": 3, "LEASE-6": 2})
    statuses = {each.requirement.id: each for each in judge(["lease"], tally, ())}
    assert statuses["LEASE-18"].status is Status.not_declared
    how = "a factory with `declares` of fencepost.kit, an adapter in its hello"
    assert statuses["LEASE-18"].reason == f"It binds a store that declares `concurrent-callers`: {how}."
    assert statuses["LEASE-5"].status is Status.not_reached
    assert (statuses["LEASE-5"].reason or "").startswith("Not seen through the protocol: While the clock")
    assert statuses["LEASE-6"].status is Status.passed
    assert statuses["LEASE-6"].reason is None


def test_only_the_first_requirement_of_a_violation_has_failed() -> None:
    """The others took part in the answer: they are in question, and keep their status."""
    result = run("Unfenced", "commit")
    failed, *others = result.counterexamples[0].requirements
    assert failed == "COMMIT-8a"
    assert others
    assert [each.requirement.id for each in result.with_status(Status.failed)] == ["COMMIT-8a"]
    assert {each.requirement.id for each in result.judged if each.in_question} <= set(others)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_duckdb_store_conforms_and_every_situation_is_reached(seed: int) -> None:
    """With default settings each of three seeds finds nothing, and misses no situation that its calls can come into."""
    name = "fencepost.kit.duckdb:file"
    result = verify(load_factory(name), Request(name, CHAPTERS, seed, EXAMPLES, STEPS))
    assert result.verdict is Verdict.conforms
    assert [each.requirement.id for each in result.judged if each.reason == MISSED] == []


def test_a_run_that_could_not_begin_reached_none_of_what_it_could() -> None:
    """The figure is not none of none: there is as much as in a run that began."""
    result = not_evaluated(Request("x", ("lease",)), "There is no x.")
    assert (result.reached, result.within_reach) == (0, 50)
