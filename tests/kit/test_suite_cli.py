"""`fencepost suite` and `fencepost verify --suite`: files that are written, read, and run on any backend."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fencepost.kit.cli import cli
from fencepost.kit.console import Terminal
from fencepost.kit.progress import LiveLine
from fencepost.kit.result import Request
from fencepost.kit.searching.suite_file import read_suite
from fencepost.statemachines.scope import Bounds
from fencepost.statemachines.scopes.lease import LeaseScope
from fencepost.statemachines.suite import suite_of
from fencepost.statemachines.tally import Tally
from rich.live import Live

SMALL = ("--owners", "2", "--processes", "1", "--sessions", "1", "--times", "1", "--tokens", "2", "--ttls", "1")
MODEL = ("--backend", "fencepost.kit.model:Model")


def fencepost(*arguments: str) -> Result:
    """What the command prints, and its exit code."""
    return CliRunner().invoke(cli, list(arguments), env={"COLUMNS": "120", "NO_COLOR": "1"})


@pytest.fixture
def suite(tmp_path: Path) -> str:
    """A small suite in a file."""
    file = str(tmp_path / "lease.suite")
    result = fencepost("suite", "--chapter", "lease", *SMALL, "--out", file)
    assert result.exit_code == 0
    assert result.stderr.startswith("lease: ")
    return file


def test_a_suite_comes_back_as_it_was_written(suite: str) -> None:
    """But for answers that later steps have no use for: those are left out."""
    bounds = Bounds(owners=2, processes=1, sessions=1, times=1, tokens=2, ttls=(1,))
    written, read = suite_of(LeaseScope(bounds)), read_suite(suite)
    assert [[(event.now, event.action) for event in program] for program in read.programs] == [
        [(event.now, event.action) for event in program] for program in written.programs
    ]
    assert read[:3] == written[:3]
    assert json.loads(Path(suite).read_text())["bounds"]["ttls"] == [1]


def test_a_store_that_conforms_passes(suite: str) -> None:
    """The command that repeats the run names the suite, and no seed."""
    result = fencepost("verify", *MODEL, "--suite", suite)
    assert result.exit_code == 0
    _, heading, *_, figures, command, verdict = result.stdout.splitlines()
    assert heading == f"suite {suite}"
    assert figures.startswith(f"suite {suite}: ")
    assert command == f"fencepost verify --backend fencepost.kit.model:Model --suite {suite} --chapters lease"
    assert verdict.startswith("conforms, ")
    assert verdict.endswith(" requirements reached  fencepost.kit.model:Model")


def test_a_store_that_violates_fails(suite: str) -> None:
    """A counterexample is shown as ever."""
    result = fencepost("verify", "--backend", "faulty:LiveAtTheEdge", "--suite", suite)
    assert result.exit_code == 1
    assert "LEASE-6 violated" in result.stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is no suite that can be read: JSONDecodeError"),
        ('{"format": "other"}', "is no suite: expected an object whose format is fencepost-suite/1."),
        ('{"format": "fencepost-suite/1", "chapter": "leases"}', "is for chapter 'leases', expected one of lease"),
        (
            '{"format": "fencepost-suite/1", "chapter": "lease", "cover": "edges", "covered": 1, "sequences": [[]]}',
            "is a suite without a step. Expected some",
        ),
        ('{"format": "fencepost-suite/1", "chapter": "lease"}', "is no suite that can be read: KeyError: 'sequences'."),
    ],
)
def test_files_that_are_no_suites(tmp_path: Path, text: str, says: str) -> None:
    """A sentence says what is wrong with the file, and nothing is run."""
    file = tmp_path / "suite"
    file.write_text(text)
    result = fencepost("verify", *MODEL, "--suite", str(file))
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.parametrize(
    "step",
    [
        '{"now": -1, "move": "stop", "arguments": [1]}',
        '{"now": 1, "move": "reopen", "arguments": []}',
        '{"now": 1, "call": "no_such_call", "arguments": {}}',
        '{"now": 1, "call": "release_session_execution_lease", "arguments": {}}',
    ],
)
def test_steps_that_nobody_can_make(tmp_path: Path, step: str) -> None:
    """Every step is read before the first one is made."""
    file = tmp_path / "suite"
    head = '{"format": "fencepost-suite/1", "chapter": "lease", "cover": "edges", "covered": 1, "sequences": [['
    file.write_text(f"{head}{step}]]}}")
    result = fencepost("verify", *MODEL, "--suite", str(file))
    assert result.exit_code == 2
    assert "is no suite that can be read" in result.stderr


def test_a_suite_of_another_chapter(suite: str) -> None:
    """Nothing to run is no pass."""
    result = fencepost("verify", *MODEL, "--suite", suite, "--chapters", "event")
    assert result.exit_code == 2
    assert "has no sequences for these chapters, expected one or more of lease." in result.stderr


def test_a_file_that_is_not_there() -> None:
    """The sentence says where suites come from."""
    result = fencepost("verify", *MODEL, "--suite", "nowhere.suite")
    assert result.exit_code == 2
    assert result.stderr == "Error: nowhere.suite cannot be read: No such file or directory. `fencepost suite` writes suites.\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ("--seed", "0"),
            "received --suite and --seed, expected one of them: of a suite every call is made, and none",
        ),
        (("--budget", "9s", "--workers", "2"), "received --suite and --budget, --workers, expected one of them"),
    ],
)
def test_a_suite_leaves_nothing_to_chance(suite: str, options: tuple[str, ...], says: str) -> None:
    """What says how calls are drawn would be left alone, and is refused."""
    result = fencepost("verify", *MODEL, "--suite", suite, *options)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.replace("│", " ").split())


def test_a_store_that_goes_by_the_time_of_day(suite: str) -> None:
    """The instants of a suite cannot be those of such a store: none of its calls is made."""
    result = fencepost("verify", "--backend", "declaring:by_the_time_of_day", "--suite", suite)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: The factory declaring:by_the_time_of_day declares no controlled clock, and a suite")


def test_races_are_left_to_chance(suite: str) -> None:
    """A store that declares several callers, and loses calls where there are, has one caller in a suite."""
    assert fencepost("verify", "--backend", "declaring:Racy", "--suite", suite).exit_code == 0


def test_the_report_names_the_suite(tmp_path: Path, suite: str) -> None:
    """In each of its files where a seed would stand, those of the counterexample too."""
    folder = tmp_path / "report"
    assert fencepost("verify", "--backend", "faulty:LiveAtTheEdge", "--suite", suite, "--report", str(folder)).exit_code == 1
    assert json.loads((folder / "report.json").read_text())["suite"] == suite
    for name in ("index.html", "summary.md", "counterexamples/lease.html"):
        text = (folder / name).read_text()
        assert f"suite {suite}" in text, name
        assert "seed 0" not in text, name


def test_suites_of_a_store_that_declares_its_chapters(suite: str) -> None:
    """Of what a store does not declare there is nothing to run."""
    result = fencepost("verify", "--backend", "declaring:events_alone", "--suite", suite)
    assert result.exit_code == 2
    assert "has no sequences for these chapters, expected one or more of lease." in result.stderr


def test_the_line_of_a_suite_counts_its_sequences(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar would be full long before the end, for nobody knows here how many there are; the line is no longer than with it."""
    monkeypatch.setenv("COLUMNS", "80")
    console = Terminal(stderr=True)
    with Live(console=console, auto_refresh=False) as live:
        line = LiveLine(live, console, Request("some:store", ("lease",), suite="lease.suite"))
        line.begins("lease")
        line.steps(Tally(runs=1_200), shrinking=False)
    assert capsys.readouterr().err.rstrip().endswith(" requirements   run 1,200")
