"""What stores say is shown, whatever it is: nothing of it reaches a terminal or a file as it came."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import hostile
import pytest

HERE = Path(hostile.__file__).parent

RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")
"""What no report has any reason to hold: controls but the line end, what turns text around, lone surrogates."""

CHAPTERS = {"Renames": "session"}


def verify(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "fencepost.kit", "verify", "--examples", "10", "--steps", "30", *arguments]
    return subprocess.run(command, cwd=HERE, capture_output=True, check=False, timeout=60, env=_environment() | environment)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "GITHUB_STEP_SUMMARY"}


@pytest.mark.parametrize("backend", ["Raises", "CriesOut", "Answers", "LooksOdd", "Mints", "Renames", "Refuses"])
def test_whatever_a_store_says_is_shown_escaped(backend: str, tmp_path: Path) -> None:
    """Exit code 1, a report whose files can be read, and no control character or lone surrogate anywhere in it."""
    chapter, summary = CHAPTERS.get(backend, "lease"), tmp_path / "summary.md"
    report = tmp_path / "report"
    options = ("--backend", f"hostile:{backend}", "--chapters", chapter, "--report", str(report))
    done = verify(*options, GITHUB_STEP_SUMMARY=str(summary), GITHUB_ACTIONS="true")
    assert (done.returncode, done.stderr) == (1, b"")
    files = [summary, *(each for each in report.rglob("*") if each.is_file())]
    texts = {each.name: each.read_text(encoding="utf-8") for each in files} | {"stdout": done.stdout.decode()}
    assert {name: found for name, text in texts.items() if (found := RAW.findall(text))} == {}
    (violation,) = json.loads(texts["report.json"])["violations"]
    assert violation["chapter"] == chapter
    ET.fromstring(texts["junit.xml"])
    compile(texts[f"{chapter}_counterexample.py"], "test", "exec")


def test_an_exception_is_told_by_its_text_escaped() -> None:
    """The text stands in the output as Python writes it."""
    done = verify("--backend", "hostile:Raises", "--chapters", "lease")
    assert b"raised ValueError: a\\udc80\\x1b[31m\\x00\\x9b" in done.stdout


def test_a_summary_that_cannot_be_written_changes_no_verdict(tmp_path: Path) -> None:
    """The verdict is told with its exit code, and standard error says that the summary is not there."""
    nowhere = str(tmp_path / "no" / "summary.md")
    done = verify("--backend", "faulty:Bent", "--chapters", "event", GITHUB_STEP_SUMMARY=nowhere)
    assert (done.returncode, b"conforms" in done.stdout) == (0, True)
    told = f"The summary cannot be added to {nowhere}, which GITHUB_STEP_SUMMARY names: No such file or directory."
    assert told in done.stderr.decode()
    done = verify("--backend", "faulty:Crashing", "--chapters", "lease", GITHUB_STEP_SUMMARY=nowhere)
    assert (done.returncode, b"Traceback" in done.stderr) == (1, False)


def test_a_terminal_that_knows_few_letters_gets_the_rest_escaped() -> None:
    """In ASCII the report is told all the same."""
    done = verify("--backend", "faulty:Crashing", "--chapters", "lease", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"\\xb7" in done.stdout


@pytest.mark.parametrize("is_there", [True, False])
def test_the_name_of_a_file_is_shown_escaped(is_there: bool, tmp_path: Path) -> None:
    """Whatever a file is called, a terminal is not sent it as it is."""
    file = tmp_path / "odd\nname \x1b[31m.jsonl"
    if is_there:
        file.touch()
    command = [sys.executable, "-m", "fencepost.kit"]
    done = subprocess.run([*command, "check-trace", str(file)], capture_output=True, check=False, timeout=60)
    assert done.returncode == 2
    assert RAW.findall(done.stdout.decode()) == []
    assert b"odd\\nname \\x1b[31m.jsonl" in done.stdout.replace(b"\n", b"")
    done = subprocess.run([*command, "replay", str(file)], capture_output=True, check=False, timeout=60)
    assert (done.returncode, RAW.findall(done.stderr.decode())) == (2, [])
