"""The command line: exit codes, sentences for mistakes, and what goes where."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import stat
import struct
import subprocess
import sys
import termios
from pathlib import Path

import faulty
import pytest
from click.testing import CliRunner, Result
from fencepost.kit import cli as cli_module
from fencepost.kit.cli import cli
from fencepost.kit.console import Terminal
from fencepost.kit.progress import Lines
from fencepost.kit.result import Request
from fencepost.spec.catalogue import requirements
from fencepost.statemachines.tally import Tally

HERE = Path(faulty.__file__).parent


def fencepost(*arguments: str) -> Result:
    """What the command prints, and its exit code."""
    return CliRunner().invoke(cli, list(arguments), env={"COLUMNS": "80", "NO_COLOR": "1"})


def verify(backend: str, *arguments: str) -> Result:
    """A small run of a faulty store."""
    return fencepost("verify", "--backend", f"faulty:{backend}", "--examples", "10", "--steps", "30", *arguments)


def process(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, in this folder."""
    command = [sys.executable, "-m", "fencepost.kit", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_a_store_that_conforms_exits_0() -> None:
    """The last lines are the verdict, the figures and the command that repeats the run."""
    result = verify("Bent", "--chapters", "lease", "--seed", "7")
    assert result.exit_code == 0
    *_, figures, command, verdict = result.stdout.splitlines()
    assert verdict == "conforms, 46 of 50 requirements reached  faulty:Bent"
    assert figures.startswith("seed 7: ")
    assert command == "fencepost verify --backend faulty:Bent --seed 7 --examples 10 --steps 30 --chapters lease"


def test_a_store_that_violates_exits_1() -> None:
    """The requirement with its sentence, the answers, the lease and the program are told before the verdict."""
    result = verify("Crashing", "--chapters", "lease")
    assert result.exit_code == 1
    for told in (
        "VALUE-6 violated ──",
        "\n  called       renew_session_execution_lease(fencing token ",
        "\n  expected     ",
        "\n  given        raised OverflowError: int too large to convert (faulty.py, line\n               148)\n",
        "\n  lease        At ",
        "\nfrom faulty import Crashing as open_store\n",
        "\nFailed  1\n  VALUE-6 ",
        "\nviolates  faulty:Crashing\n",
    ):
        assert told in result.stdout


def test_claims_are_told_beside_the_lease() -> None:
    """Who held what, in words, for people and for programs."""
    run = ("verify", "--backend", "faulty_claims:CancelsWhatIsHeld", "--chapters", "queued_work")
    result = fencepost(*run)
    assert result.exit_code == 1
    assert "\n  claims       At 10" in result.stdout
    assert "\n  lease " not in result.stdout
    (violation,) = json.loads(fencepost(*run, "--json", "-").stdout)["violations"]
    assert violation["lease"] is None
    assert violation["claims"].startswith("At 10")


def test_a_store_that_cannot_be_evaluated_exits_2() -> None:
    """The reason stands above the verdict."""
    result = verify("WornOut", "--chapters", "lease")
    assert result.exit_code == 2
    assert "\ncould not be evaluated  faulty:WornOut\n" in result.stdout


def test_a_store_that_changes_its_mind_exits_1() -> None:
    """What it was seen to do stands there, and what may be the matter."""
    result = verify("Unsteady", "--chapters", "lease")
    assert result.exit_code == 1
    assert "the store does not always answer it so" in result.stdout
    assert "The store answered differently when the same calls" in result.stdout


def test_strict_decides_whether_differing_fails() -> None:
    """A store that differs from a CURRENT requirement passes with a note, and fails under --strict."""
    result = verify("LeaflessRead", "--chapters", "session")
    assert result.exit_code == 0
    assert "Differs; only a strict run fails for it  1\n  READ-5a      A full read answers" in result.stdout
    result = verify("LeaflessRead", "--chapters", "session", "--strict")
    assert result.exit_code == 1
    assert " --chapters session --strict\n" in result.stdout


@pytest.mark.parametrize("backend", ["faulty", "nowhere:store", "faulty:raising", "faulty:nothing", "faulty:two_arguments"])
def test_a_backend_that_is_no_good_exits_2_without_a_traceback(backend: str) -> None:
    """One sentence on standard error, nothing else."""
    result = fencepost("verify", "--backend", backend)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--chapters", "lease,events"), "received 'events', expected one or more of lease, turn_input, queued_work,"),
        (("--chapters", ","), "received none, expected one or more of lease, turn_input, queued_work,"),
        (("--stores", "lease"), "received 'lease', expected one or more of runtime_persistence, turn_input, runtime, event,"),
        (("--seed", "-1"), "-1 is not in the range x>=0."),
        (("--examples", "0"), "0 is not in the range x>=1."),
        (("--steps", "-5"), "-5 is not in the range x>=1."),
        (("--steps", "many"), "'many' is not a valid integer range."),
    ],
)
def test_a_wrong_option_exits_2_with_its_usage(arguments: tuple[str, ...], sentence: str) -> None:
    """The option, what was received and what was expected."""
    result = fencepost("verify", *arguments)
    assert result.exit_code == 2
    assert f"Invalid value for '{arguments[0]}'" in result.stderr
    assert sentence in result.stderr


def test_stores_and_chapters_are_not_chosen_at_once() -> None:
    """Which of them was meant is not guessed."""
    result = verify("Bent", "--stores", "event", "--chapters", "event")
    assert result.exit_code == 2
    assert "received --stores and --chapters, expected one of them" in result.stderr


def test_chapters_run_in_reading_order_and_once() -> None:
    """However they are named."""
    result = verify("Bent", "--chapters", "queued_work, lease,queued_work")
    assert "--chapters lease,queued_work\n" in result.stdout


@pytest.mark.slow
def test_all_chapters_run_unless_some_are_chosen() -> None:
    """Each has a line of the same width, and with them goes the page of claims."""
    result = verify("Bent")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()[3:13]
    chapters = [
        *("lease", "turn_input", "queued_work", "commit", "session", "maintenance", "attachment", "runtime", "event", "output")
    ]
    assert [line.split()[0] for line in lines] == chapters
    assert {line.index(" steps ") for line in lines} == {22}
    assert all(line.endswith(" requirements") for line in lines)
    assert "\n  claim " in result.stdout
    assert f"--chapters {','.join(chapters)}\n" in result.stdout


def test_stores_are_chosen_by_their_protocols() -> None:
    """The chapters of the protocols run, in reading order, and the command that repeats the run names what was asked for."""
    result = verify("Bent", "--stores", "output,turn_input", "--examples", "1")
    assert [line.split()[0] for line in result.stdout.splitlines()[3:5]] == ["turn_input", "output"]
    assert " --steps 30 --stores turn_input,output\n" in result.stdout


@pytest.mark.slow
def test_a_chapter_tells_of_its_own_requirements() -> None:
    """There are nine of values besides, and what only calls made at once can reach counts from the beginning."""
    command = "verify --backend fencepost.kit.duckdb:memory --chapters commit,maintenance --examples 1 --steps 10"
    lines = fencepost(*command.split()).stdout.splitlines()
    assert [int(found[1]) for line in lines if (found := re.search(r" of +(\d+) requirements", line))] == [50, 14, 74]


def test_a_backend_and_a_command_are_not_chosen_at_once() -> None:
    """There is one store to check."""
    result = verify("Bent", "--exec", "cat")
    assert result.exit_code == 2
    assert "received --backend and --exec, expected one of them: there is one store to check." in result.stderr


def test_ctrl_c_before_a_result_exits_2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where there is nothing to tell yet."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_module, "verify", interrupted)
    result = verify("Bent")
    assert result.exit_code == 2
    assert result.stderr == "Error: interrupted before there was a result.\n"


def test_json_is_written_with_everything(tmp_path: Path) -> None:
    """Format, verdict, budget, a verdict a requirement, sums, violations with program, and the environment."""
    path = tmp_path / "report.json"
    assert verify("Crashing", "--chapters", "lease", "--json", str(path)).exit_code == 1
    report = json.loads(path.read_text())
    assert report["format"] == "fencepost-report/1"
    assert report["verdict"] == "violates"
    assert (report["backend"], report["seed"], report["examples"], report["steps"]) == ("faulty:Crashing", 0, 10, 30)
    assert report["command"].endswith("--chapters lease")
    by_id = {each["id"]: each for each in report["requirements"]}
    assert by_id["VALUE-6"] == {
        "id": "VALUE-6",
        "chapter": "values",
        "level": "LAW",
        "verdict": "failed",
        "count": by_id["VALUE-6"]["count"],
        "departures": 0,
        "reason": None,
        "in_question": False,
    }
    assert by_id["LEASE-18"]["reason"].startswith("It binds a store that declares `concurrent-callers`: ")
    assert report["sums"]["values"]["failed"] == 1
    (violation,) = report["violations"]
    assert violation["requirements"][0] == "VALUE-6"
    assert violation["program"].startswith("from pathlib import Path\n")
    assert violation["performed"][-1]["operation"] == "renew_session_execution_lease"
    assert violation["performed"][-1]["answer"] == violation["given"]
    assert violation["given"] == {"raised": {"type": "OverflowError", "text": "int too large to convert"}}
    assert violation["performed"][-1]["arguments"][-1] > 10
    assert violation["lease"].startswith("At ")
    assert violation["claims"] is None
    assert set(report["environment"]) == {"python", "platform", "fencepost", "duckdb", "hypothesis"}
    assert set(report["runs"][0]["conditions"]) <= {"old lease shown again", "lease shown at its edge", "dead holder observed"}
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) & 0o444


def test_json_on_standard_output_is_alone_there() -> None:
    """With --json - the report for people goes to standard error."""
    result = verify("Bent", "--chapters", "session", "--json", "-")
    assert json.loads(result.stdout)["verdict"] == "conforms"
    assert result.stderr.endswith("requirements reached  faulty:Bent\n")


def test_json_tells_refusals(tmp_path: Path) -> None:
    """A refusal has its kind and its fields."""
    path = tmp_path / "report.json"
    verify("FullDisk", "--chapters", "commit", "--json", str(path))
    given = json.loads(path.read_text())["violations"][0]["given"]
    assert given == {"refused": {"kind": "Backend", "message": "the disk is full"}}


def test_a_budget_and_a_number_of_examples_are_one_too_many() -> None:
    """Nothing that was asked for is left alone without a word."""
    result = verify("Bent", "--budget", "9s", "--examples", "2")
    assert (result.exit_code, result.stdout) == (2, "")
    expected = "received --budget and --examples, expected one of them: how long to run, or how many examples."
    assert expected in " ".join(result.stderr.split())


@pytest.mark.parametrize("where", ["missing/report.json", "."])
def test_json_that_cannot_be_written_is_told_before_the_run(where: str, tmp_path: Path) -> None:
    """A missing folder or a folder itself: one sentence, exit 2, no run, nothing left behind."""
    result = verify("Bent", "--json", str(tmp_path / where))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"Error: The report cannot be written to {tmp_path / where}")
    assert result.stderr.endswith("Choose another file for --json.\n")
    assert not list(tmp_path.iterdir())


def test_json_to_a_device_leaves_the_device(tmp_path: Path) -> None:
    """What is no file is written to and not replaced."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert verify("Bent", "--chapters", "lease", "--json", str(pipe)).exit_code == 0
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.read(reader, 12) == b'{\n  "format"'
    os.close(reader)


def test_a_pipe_gets_plain_lines() -> None:
    """No control codes, no blanks at line ends, no line wider than 80 but the command and what is there to be pasted."""
    done = process(HERE, "verify", "--backend", "faulty:Crashing", "--examples", "10", "--chapters", "lease")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("fencepost verify", "assert answer"))]
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)


def test_a_run_leaves_nothing_behind(tmp_path: Path) -> None:
    """The current directory is the user's: it is as empty after a run as before."""
    done = process(tmp_path, "verify", "--examples", "1", "--chapters", "lease")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("conforms, ")
    assert done.stdout.endswith(" requirements reached  fencepost.kit.duckdb:file\n")
    assert not list(tmp_path.iterdir())


def in_a_terminal(*arguments: str, **environment: str) -> str:
    """What a terminal of 80 columns is sent."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
    surroundings = {**os.environ, "TERM": "xterm-256color", **environment}
    command = [sys.executable, "-m", "fencepost.kit", *arguments]
    sent = b""
    with subprocess.Popen(command, cwd=HERE, env=surroundings, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        # a terminal whose last writer is gone gives an error, or nothing
        with contextlib.suppress(OSError):
            while received := os.read(ours, 65_536):
                sent += received
    os.close(ours)
    return sent.decode()


def test_a_terminal_sees_how_the_run_gets_on() -> None:
    """A line with a bar is drawn over and over; the colours go with NO_COLOR, a long command is continued with backslashes."""
    run = ("verify", "--backend", "faulty:Bent", "--chapters", "lease", "--examples")
    sent = in_a_terminal(*run, "40")
    assert "━━" in sent
    assert "\x1b[1;32mconforms\x1b[0m" in sent
    assert "--steps 50 \\\r\n    --chapters lease\r\n" in sent
    assert "\x1b[1;32m" not in in_a_terminal(*run, "2", NO_COLOR="1")


def test_a_violation_is_told_before_it_is_shortened(capsys: pytest.CaptureFixture[str]) -> None:
    """The line of the chapter stands there at the first step that shortens, once, with the steps made until then."""
    tally = Tally(steps=7)
    observer = Lines(Terminal(), Request("any", ("lease",), 0, 40, 50))
    observer.begins("lease")
    observer.steps(tally, shrinking=False)
    assert "violated" not in capsys.readouterr().out
    for _ in range(2):
        observer.steps(tally, shrinking=True)
    [line] = [each for each in capsys.readouterr().out.splitlines() if each]
    assert line.startswith("  lease              7 steps")
    assert line.endswith("  violated")


def test_what_is_broken_is_named_before_the_other_chapters_have_ended() -> None:
    """The requirement and the call, below the line of the chapter; a run of one chapter shows all of it there and then."""
    told = verify("Crashing", "--chapters", "lease,event").stdout
    line = "    VALUE-6 in renew_session_execution_lease: shown at the end, or after Ctrl-C"
    assert [each for each in told.splitlines() if "after Ctrl-C" in each] == [line]
    assert "after Ctrl-C" not in verify("Crashing", "--chapters", "lease").stdout


def test_violations_that_are_alike_are_told_once() -> None:
    """One requirement, call and field: the shortest program, and the chapters that found it."""
    result = verify("Crashing", "--chapters", "lease,commit")
    assert result.stdout.count(" violated ──") == 1
    assert "; chapters lease, commit\n" in result.stdout


def test_a_reader_that_goes_away_is_no_mistake() -> None:
    """`| head` ends quietly, and the exit code of a run stays what it is."""
    for arguments, expected in (
        (["requirements"], 0),
        (["verify", "--backend", "faulty:FenceForgotten", "--examples", "10", "--chapters", "lease"], 1),
    ):
        command = [sys.executable, "-u", "-m", "fencepost.kit", *arguments]
        with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            assert running.stderr is not None
            running.stdout.close()
            assert running.stderr.read() == ""
            assert running.wait(60) == expected


def test_the_version_is_told() -> None:
    """`fencepost --version`."""
    assert fencepost("--version").stdout == "fencepost 0.1.0\n"


def test_the_catalogue_is_printed_by_chapter() -> None:
    """Every chapter has its title, its sections, and their requirements with level and sentence."""
    result = fencepost("requirements")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Values  ")
    assert lines[2].split() == ["Arguments"]
    assert "  VALUE-7   LAW         A call that is turned down, whether by an error, a" in lines
    assert "  LEASE-35     LAW         The fencing token outlives a release: the next" in lines
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)


def test_one_requirement_is_printed_with_all_that_is_known() -> None:
    """Chapter, sentence, level, what else is admitted, and evidence; the case of the id does not matter."""
    result = fencepost("requirements", "lease-15A")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:2] == ["LEASE-15a  Session execution leases: Claim", ""]
    known = requirements()["LEASE-15a"]
    text = " ".join(result.stdout.split())
    assert known.says in text
    assert "level CURRENT: a store that differs is reported, and fails under --strict" in text
    assert f"also admitted {known.admits}" in text
    assert "evidence known in-memory store; decided here, where the others differ or are silent" in text


def test_an_unknown_requirement_exits_2_with_near_ones() -> None:
    """A misspelt id is met with those that look like it."""
    result = fencepost("requirements", "LEASE37")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: There is no requirement 'LEASE37'. Did you mean LEASE-37, ")
    assert result.stderr.endswith("`fencepost requirements` lists all.\n")


@pytest.mark.parametrize("columns", [60, 120])
def test_no_figure_is_cut_off_in_a_narrow_terminal(columns: int) -> None:
    """At 60 columns words of headings go below each other, and no line is longer than the terminal is wide."""
    options = ("verify", "--backend", "fencepost.kit.model:Model", "--chapters", "turn_input", "--examples", "1")
    lines = CliRunner().invoke(cli, options, env={"COLUMNS": str(columns), "NO_COLOR": "1"}).stdout.splitlines()
    assert not any("…" in line for line in lines)
    assert next(line for line in lines if line.startswith("  all ")).endswith("23 %")
    of_chapter = next(line for line in lines if line.startswith("  turn_input "))
    assert of_chapter.endswith("reached" if columns == 60 else "requirements")
    assert "1 example of 50 steps a chapter" in lines[1]


def test_one_denominator_stands_in_all_reports(tmp_path: Path) -> None:
    """What the terminal says of the requirements reached, the page and the summary say too."""
    said = verify("Bent", "--chapters", "lease", "--seed", "7", "--report", str(tmp_path)).stdout
    assert "conforms, 46 of 50 requirements reached" in said
    assert "46 of 50 requirements reached" in (tmp_path / "index.html").read_text()
    assert "46 of 50 requirements reached" in (tmp_path / "summary.md").read_text()
