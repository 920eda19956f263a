"""`fencepost prove`: what it says of lemmas that hold, fail, cannot be decided or cannot be evaluated, and of two versions."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import fencepost.model.records.commit as commit_records
import fencepost.model.records.lease as lease_records
import icontract
import pytest
from click.testing import CliRunner, Result
from fencepost.kit.cli import cli
from fencepost.kit.proving import prover
from fencepost.kit.proving.prove import Prover
from fencepost.kit.proving.prove_report import figure, markdown
from fencepost.kit.proving.proved import Finding, Outcome, Proved, Statement
from fencepost.kit.proving.prover import Job, confirm, exhausted, readable
from fencepost.model.proofs.exhaustion import Exhaustion

LEMMA = Statement("event", "event.closed", 0, ("EVENT-13",), "a turn that is finished stays there, as finished")
TRIED = Statement("output", "output.latest_is_last", None, ("OUTPUT-15",), "latest is last", "all lines")


@pytest.fixture(autouse=True)
def no_contracts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is imported CrossHair keeps icontract from enforcing contracts, for good: here for these tests alone."""
    enforcing = ("_assert_invariant", "_assert_preconditions", "_assert_postconditions")
    for name in enforcing:
        monkeypatch.setattr(icontract._checkers, name, getattr(icontract._checkers, name))
    importlib.import_module("crosshair.core_and_libs")
    for name in enforcing:
        monkeypatch.setattr(icontract._checkers, name, lambda *_, **__: None)


def ran(*arguments: str) -> Result:
    """The command with these arguments."""
    return CliRunner().invoke(cli, ["prove", *arguments], catch_exceptions=False)


def proved(*findings: Finding) -> Proved:
    """That came of two lemmas."""
    return Proved(tuple(zip((LEMMA, TRIED), findings, strict=False)), 12.3, 60.0, 2)


CONFIRMED, EXHAUSTED = Finding(Outcome.confirmed, 7, 0.5), Finding(Outcome.exhausted, 4681, 0.5)
UNDECIDED, REFUTED = Finding(Outcome.undecided, 9, 60.1), Finding(Outcome.refuted, 2, 0.1, "false when calling closed(None)")
UNEVALUABLE = Finding(Outcome.unevaluable, 0, 0.0, "its process went away")


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        ((CONFIRMED, EXHAUSTED), 0),
        ((CONFIRMED, REFUTED), 1),
        ((UNDECIDED, REFUTED), 1),
        ((CONFIRMED, UNDECIDED), 2),
        ((UNEVALUABLE, EXHAUSTED), 2),
        ((), 2),
    ],
)
def test_the_exit_code_tells_whether_all_is_proved(findings: tuple[Finding, ...], code: int) -> None:
    """0 if all are, 1 if one is refuted, 2 if one is open or there were none."""
    assert proved(*findings).exit_code == code


def test_only_what_is_confirmed_counts_as_proved() -> None:
    """The figure tells the rest by what it is."""
    assert figure(proved(CONFIRMED, UNDECIDED)) == (
        "1 of 2 lemmas hold: 1 confirmed over all paths, 1 no counterexample in the budget; "
        "61 s of processor time, 12 s in all with --workers 2."
    )


def test_the_report_tells_outcomes_with_paths_cases_and_seconds() -> None:
    """A row for each lemma; seconds and a counterexample only where it is not proved."""
    report = markdown(proved(CONFIRMED, EXHAUSTED), "fencepost prove", ())
    assert "| EVENT-13 | `event.closed` | confirmed over all paths, 7 paths |" in report
    assert "| latest is last | OUTPUT-15 | `output.latest_is_last` | exhausted over all lines: 4,681 cases |" in report
    open_ones = markdown(proved(REFUTED, UNDECIDED), "fencepost prove", ("event", "output"))
    assert "| **refuted, 2 paths, 0.1 s**: false when calling closed(None) |" in open_ones
    assert "| **no counterexample in the budget, 9 cases, 60.1 s** |" in open_ones
    assert "`fencepost prove --chapter event --chapter output --markdown reports/proofs.md`" in open_ones


def test_a_chapter_without_transitions_is_exhausted(tmp_path: Path) -> None:
    """Both lemmas of the output log, with their cases and what they range over; the report is written beside."""
    report = tmp_path / "proofs.md"
    result = ran("--chapter", "output", "--workers", "1", "--markdown", str(report))
    assert result.exit_code == 0
    assert result.output.count("exhausted over all inputs") == 3
    assert "4,681 cases" in result.output
    assert "2 of 2 lemmas hold: 2 exhausted over all inputs" in result.output
    assert report.read_text(encoding="utf-8").count("4,681 cases") == 2


def test_a_budget_that_is_used_up_proves_nothing() -> None:
    """What is undecided then is told so, and the exit code is 2."""
    result = ran("--chapter", "output", "--workers", "1", "--budget", "0.01")
    assert result.exit_code == 2
    assert "no counterexample in the budget" in result.output
    assert "0 of 2 lemmas hold" in result.output


@pytest.mark.slow
def test_transitions_are_confirmed() -> None:
    """Every lemma of the commit: five of them by CrossHair, four by trying all inputs."""
    result = ran("--chapter", "commit", "--workers", "2")
    assert result.exit_code == 0
    assert "9 of 9 lemmas hold: 5 confirmed over all paths, 4 exhausted over all inputs" in result.output


def test_without_crosshair_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence, and the exit code of what could not be evaluated."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    result = ran("--chapter", "output")
    assert result.exit_code == 2
    assert "CrossHair is not installed" in result.output
    assert "pip install 'fencepost[prove]'" in result.output


def test_a_process_that_goes_away_proves_nothing() -> None:
    """Its lemma could not be evaluated."""
    started = Prover(contracts=False)
    assert started.lemmas == []
    started.process.kill()
    finding = started.settle(Job("output.latest_is_last", None, 1.0))
    assert finding.outcome is Outcome.unevaluable
    assert started.gone


def test_a_lemma_whose_process_goes_away_is_settled_by_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ended it, the lemma is tried once more."""
    settle, killed = Prover.settle, list[str]()

    def killing(prover: Prover, job: Job) -> Finding:
        if not killed:
            killed.append(job.name)
            prover.process.kill()
        return settle(prover, job)

    monkeypatch.setattr(Prover, "settle", killing)
    result = ran("--chapter", "output", "--workers", "1")
    assert result.exit_code == 0
    assert killed == ["output.latest_is_last"]


def test_a_lemma_that_nobody_knows_could_not_be_evaluated() -> None:
    """The process stays, and says what went wrong."""
    started = Prover(contracts=False)
    try:
        finding = started.settle(Job("output.no_such_lemma", None, 1.0))
    finally:
        started.close()
    assert finding == Finding(Outcome.unevaluable, detail="KeyError: 'output.no_such_lemma'")


def small(number: int) -> bool:
    """Whether a number is less than 7."""
    return number < 7


def test_an_exhaustion_that_fails_is_refuted_with_its_case() -> None:
    """The first case of which it is false, and how many were tried."""
    lemma = Exhaustion("output", "output.small", (), "numbers are small", "", lambda: ((each,) for each in range(10)), small)
    finding = exhausted(lemma, 5.0)
    assert (finding.outcome, finding.tried, finding.detail) == (Outcome.refuted, 8, "false of small(7)")


def test_an_exhaustion_that_raises_is_refuted() -> None:
    """What does not even come to an end is told with its case, too."""
    lemma = Exhaustion("output", "output.small", (), "numbers are small", "", lambda: (("one",),), small)
    finding = exhausted(lemma, 5.0)
    said = "TypeError: '<' not supported between instances of 'str' and 'int', of small('one')"
    assert (finding.outcome, finding.detail) == (Outcome.refuted, said)


def test_an_exhaustion_without_cases_proves_nothing() -> None:
    """Nothing was tried, so nothing is known."""
    finding = exhausted(Exhaustion("output", "output.empty", (), "", "", lambda: (), small), 5.0)
    assert (finding.outcome, finding.detail) == (Outcome.unevaluable, "there was no case to try")


@icontract.ensure(lambda number, result: result > number)
def wrong_at_seven(number: int) -> int:
    """One more, but for one number."""
    return number if number == 7 else number + 1


@icontract.require(lambda number: number > 3)
@icontract.require(lambda number: number < 2)
@icontract.ensure(lambda number, result: result > number)
def never_called(number: int) -> int:
    """What may be called with no number."""
    return number


@icontract.require(lambda number: number > 0)
@icontract.ensure(lambda result: result >= 0)
def endless(number: int) -> int:
    """Counts down to 0: there are as many paths as numbers."""
    while number > 0:
        number -= 1
    return number


CLAIMS = {
    "wrong_at_seven": (wrong_at_seven, Outcome.refuted, "false when calling wrong_at_seven(7) (which returns 7)"),
    "never_called": (never_called, Outcome.undecided, "no input was found that meets its preconditions"),
    "endless": (endless, Outcome.undecided, ""),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_what_crosshair_cannot_confirm_is_no_proof(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A counterexample refutes; paths without end, and preconditions that nothing meets, leave it undecided."""
    function, outcome, detail = CLAIMS[name]
    monkeypatch.setattr(prover, "transition_of", lambda _: function)
    finding = confirm(Job(name, 0, 0.5))
    assert (finding.outcome, finding.detail) == (outcome, detail)
    assert finding.tried > 0


@icontract.ensure(lambda number, result: result != 8)
@icontract.ensure(lambda number, result: result >= number)
def wrong_in_one(number: int) -> int:
    """One more: never less, and once it is 8."""
    return number + 1


def test_of_several_postconditions_the_one_that_fails_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are tried together first; if that fails, each counts for itself."""
    monkeypatch.setattr(prover, "transition_of", lambda _: wrong_in_one)
    assert prover.together("wrong_in_one", 5.0).outcome is Outcome.refuted
    outcomes = {confirm(Job("wrong_in_one", place, 5.0)).outcome for place in (0, 1)}
    assert outcomes == {Outcome.confirmed, Outcome.refuted}


@icontract.ensure(lambda number, result: result > number)
@icontract.ensure(lambda number, result: result >= number)
def right_in_both(number: int) -> int:
    """One more."""
    return number + 1


def test_postconditions_that_hold_are_confirmed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has the paths of all, and its share of the time."""
    monkeypatch.setattr(prover, "transition_of", lambda _: right_in_both)
    at_once = prover.together("right_in_both", 5.0)
    for place in (0, 1):
        finding = confirm(Job("right_in_both", place, 5.0))
        assert (finding.outcome, finding.tried) == (Outcome.confirmed, at_once.tried)
        assert finding.seconds == at_once.seconds / 2


def test_a_counterexample_is_told_without_modules() -> None:
    """The names of classes alone, and no word of what compares two versions."""
    said = '"def _alike(result: Any) -> bool:" yields false when calling live(fencepost.model.records.a.B[int, int](0))'
    assert readable(said) == "they differ when calling live(B(0))"


def changed(module: object, right: str, wrong: str, folder: Path) -> str:
    """A copy of the module's file with these words changed."""
    source = Path(str(vars(module)["__file__"]))
    text = source.read_text(encoding="utf-8")
    assert text.count(right) == 1
    copy = folder / f"before_{source.name}"
    copy.write_text(text.replace(right, wrong), encoding="utf-8")
    return str(copy)


@pytest.mark.slow
def test_an_expiry_edge_that_moves_is_a_change_of_the_law(tmp_path: Path) -> None:
    """With `>` for `>=` at the expiry five transitions differ, `claim` among them, each with an input of which it does."""
    before = changed(
        lease_records,
        "return record.held and record.expires_at > now",
        "return record.held and record.expires_at >= now",
        tmp_path,
    )
    result = ran("--against", before)
    assert result.exit_code == 1
    for name in ("live", "claim", "reclaim", "fence_holds", "renew"):
        assert f"lease.{name}  differs" in result.output
    assert "lease.acquired" not in result.output
    words = " ".join(result.output.split())
    assert "they differ when calling claim(LeaseRecord(" in words
    assert "granted=<Granted.no: 'no'>" in words
    assert "granted=<Granted.anew: 'anew'>" in words


def test_other_words_for_the_same_law_are_no_change(tmp_path: Path) -> None:
    """CrossHair confirms over all paths that both versions answer alike."""
    before = changed(commit_records, "return actual + 1\n", "return 2 + actual - 1\n", tmp_path)
    result = ran("--against", before)
    assert result.exit_code == 0
    assert result.output == "commit.next_revision  the same over all paths\n"


def test_the_same_version_has_nothing_to_compare() -> None:
    """And a file of something else is refused, with a sentence."""
    result = ran("--against", str(lease_records.__file__))
    assert (result.exit_code, result.output) == (0, "No transition has changed.\n")
    other = ran("--against", __file__)
    assert other.exit_code == 2
    assert "has no transition of the model. Expected another version of one of lease.py, claim.py" in other.output
    missing = ran("--against", "no/such/file.py")
    assert missing.exit_code == 2
    assert "no/such/file.py cannot be read: No such file or directory. Expected a file." in missing.output


def test_a_transition_of_one_version_alone_is_told(tmp_path: Path) -> None:
    """It differs, whatever the others do."""
    before = changed(commit_records, "def head_agrees(", "def head_matches(", tmp_path)
    result = ran("--against", before)
    assert result.exit_code == 1
    assert "+ commit.head_agrees  only in this version" in result.output
    # a long path is broken where the line ends
    assert f"- commit.head_matches only in {before}".replace(" ", "") in "".join(result.output.split())


def test_comparing_goes_alone() -> None:
    """A usage error names what was received."""
    result = ran("--against", "before.py", "--chapter", "lease")
    assert result.exit_code == 2
    assert "received --against with --chapter or --markdown, expected it alone" in result.output
