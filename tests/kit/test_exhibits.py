"""The files of counterexamples in a report: which they are, what becomes of old ones, and how they are told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from fencepost.kit.backend import load_factory
from fencepost.kit.cli import cli
from fencepost.kit.files import write_whole
from fencepost.kit.reporting.report_files import write_report
from fencepost.kit.reporting.report_json import ReportNotWritten
from fencepost.kit.result import Result
from fencepost.kit.showing.exhibits import write_exhibits
from fencepost.kit.showing.file_names import names
from fencepost.kit.showing.replay import Outcome, replay
from fencepost.kit.showing.trace import read_trace
from kinds import KINDS, request
from published import GALLERY, PUBLISHED, result_of


def in_folder(folder: Path) -> list[str]:
    """The names of what stands in a folder."""
    return sorted(each.name for each in folder.iterdir())


def test_each_counterexample_is_four_files(tmp_path: Path) -> None:
    """By the chapter that found it: a page, a test, a trace and a diagram."""
    folder = tmp_path / "new" / "folder"
    write_exhibits(folder, result_of("event"))
    assert in_folder(folder) == ["event.html", "event.jsonl", "event.mmd", "event_counterexample.py"]
    assert (folder / "event.html").read_text().startswith("<!doctype html>")
    assert (folder / "event.jsonl").read_text().startswith('{"format": "fencepost-trace/1"')
    assert (folder / "event.mmd").read_text().startswith("sequenceDiagram\n")
    assert "def test_event_8(tmp_path: Path) -> None:" in (folder / "event_counterexample.py").read_text()


def test_what_an_earlier_run_left_goes(tmp_path: Path) -> None:
    """A fault that is mended leaves no page; what the author put beside stays, and so does its folder."""
    folder = tmp_path / "counterexamples"
    write_exhibits(folder, result_of("event"))
    write_exhibits(folder, result_of("output"))
    assert in_folder(folder) == sorted(names("output").values())
    (folder / "notes.txt").write_text("mine")
    write_exhibits(folder, Result(request("event"), (), ()))
    assert in_folder(folder) == ["notes.txt"]
    (folder / "notes.txt").unlink()
    write_exhibits(folder, Result(request("event"), (), ()))
    assert in_folder(tmp_path) == []


def test_a_file_that_cannot_be_written_leaves_nothing_half(tmp_path: Path) -> None:
    """The old file stays as it was, and nothing is left beside it; a report says where it could not be written."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("old")
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "there", b"new")
    assert in_folder(tmp_path) == ["there"]
    write_whole(tmp_path / "there" / "file", b"new")
    assert in_folder(tmp_path / "there") == ["file"]
    assert (tmp_path / "there" / "file").read_text() == "new"
    (tmp_path / "counterexamples").write_text("in the way")
    with pytest.raises(ReportNotWritten, match="cannot be written"):
        write_report(str(tmp_path), result_of("event"))


def test_the_terminal_says_where_they_are_and_how_to_run_them_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, with a command that does what it says; without a report there is nothing to say."""
    monkeypatch.chdir(tmp_path)
    run = ["verify", "--backend", "faulty_logs:TakesMore", "--chapters", "event", "--examples", "5"]
    shown = CliRunner().invoke(cli, [*run, "--report", "out"], env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert shown.exit_code == 1
    told = next(line.strip() for line in shown.stdout.splitlines() if "fencepost replay" in line)
    where, _, command = told.partition("; again: ")
    assert where == "out/counterexamples/event.html, and event_counterexample.py, event.jsonl and event.mmd beside it"
    assert command == "fencepost replay out/counterexamples/event.jsonl --backend faulty_logs:TakesMore"
    assert in_folder(tmp_path / "out" / "counterexamples") == sorted(names("event").values())
    again = CliRunner().invoke(cli, command.split()[1:])
    assert (again.exit_code, again.stdout.split()[0]) == (1, "REPRODUCED")
    shown = CliRunner().invoke(cli, run, env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert "fencepost replay" not in shown.stdout
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("kind", PUBLISHED)
def test_published_counterexamples_are_whole_and_still_reproduced(kind: str) -> None:
    """All four files of each are there, and its trace, whichever version wrote it, can be read and runs as it did."""
    chapter = KINDS[kind].chapter
    assert in_folder(GALLERY / kind) == sorted(names(chapter).values())
    trace = read_trace(str(GALLERY / kind / f"{chapter}.jsonl"))
    assert replay(load_factory(KINDS[kind].backend), trace).outcome is Outcome.reproduced


def test_tests_of_several_reports_run_together(tmp_path: Path) -> None:
    """Although they have the same names, as the documentation says; and none runs that is not named."""
    for each in ("one", "two"):
        (tmp_path / each).mkdir()
        (tmp_path / each / "event_counterexample.py").write_text("def test_event_8() -> None:\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert "no tests ran" in done.stdout
    command += [f"{each}/event_counterexample.py" for each in ("one", "two")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "2 passed" in done.stdout) == (0, True), done.stdout
