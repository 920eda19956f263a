"""The folder of a report: what stands in each file, and where it cannot be written."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner
from fencepost.kit.backend import load_factory
from fencepost.kit.cli import cli
from fencepost.kit.reporting.report_files import NAMES, junit, require_folder, summary, tell_github, write_report
from fencepost.kit.reporting.report_html import page
from fencepost.kit.reporting.report_json import ReportNotWritten
from fencepost.kit.result import ChapterRun, Request, Result, Status
from fencepost.kit.verify import verify
from fencepost.statemachines.tally import Tally


def result_of(backend: str, *chapters: str, examples: int = 20) -> Result:
    """A small run of a backend among the faulty ones."""
    return verify(load_factory(f"faulty:{backend}"), Request(f"faulty:{backend}", chapters, 0, examples, 50))


@pytest.fixture(scope="module")
def bad() -> Result:
    """A run that found a violation."""
    return result_of("Lenient", "lease")


@pytest.fixture(scope="module")
def broken() -> Result:
    """A run that could not be evaluated, for a reason that has to be escaped."""
    run = ChapterRun("lease", Tally(), 1.0, None, "It raised <Oops> & \x00 'x'")
    return Result(Request("faulty:<b>", ("lease",)), (run,), ())


def test_a_report_is_a_folder_of_four_files(bad: Result, tmp_path: Path) -> None:
    """Each is written whole, into a folder that is made, over the files that are there; nothing is left but the exhibits."""
    folder = tmp_path / "new" / "report"
    for _ in range(2):
        write_report(str(folder), bad)
        assert sorted(each.name for each in folder.iterdir()) == sorted([*NAMES, "counterexamples"])
    assert json.loads((folder / "report.json").read_text())["verdict"] == "violates"


def test_the_page_tells_a_race_and_what_may_be_the_matter() -> None:
    """Why no order explains the answers, and the hint, as the terminal does."""
    html = page(result_of("Hurried", "output", examples=2))
    assert "<dt>because</dt><dd>No order of these 3 calls, which were made at once, explains what they were answered" in html
    html = page(result_of("Unsteady", "lease"))
    assert "<dt>hint</dt><dd>The store answered differently when the same calls were made again." in html


def test_no_value_is_expected_that_a_store_makes_up_itself() -> None:
    """What an append had to answer is told without the id that the model gave it, on the page."""
    html = page(result_of("NoOutputs", "output", examples=2))
    assert "<dt>expected</dt><dd>a value that was never given before</dd>" in html


def test_junit_has_a_case_for_each_requirement(bad: Result) -> None:
    """A failure has the program, what was not reached is skipped, and each case says its requirement and level."""
    root = ET.fromstring(junit(bad))
    cases = {case.attrib["name"]: case for case in root.iter("testcase")}
    assert list(cases) == [each.requirement.id for each in bad.judged]
    assert [suite.attrib["name"] for suite in root] == ["values", "lease"]
    failure = cases["VALUE-1"].find("failure")
    assert failure is not None
    assert failure.text is not None
    assert "try_claim_session_execution_lease" in failure.text
    skipped = {name for name, case in cases.items() if case.find("skipped") is not None}
    assert skipped == {each.requirement.id for each in bad.judged if each.status in (Status.not_reached, Status.not_declared)}
    told = {each.attrib["name"]: each.attrib["value"] for each in cases["LEASE-6"].iter("property")}
    assert (told["requirement"], told["level"]) == ("LEASE-6", "LAW")
    suite = root[0].attrib
    assert (suite["tests"], suite["failures"]) == (str(len(list(root[0]))), "1")


def test_a_run_that_could_not_be_evaluated_is_an_error(broken: Result) -> None:
    """It is never a suite without failures; what XML cannot say is replaced."""
    root = ET.fromstring(junit(broken))
    error = root.find("testsuite/testcase/error")
    assert error is not None
    assert error.attrib["message"] == "It raised <Oops> & \N{REPLACEMENT CHARACTER} 'x'"


def test_the_summary_says_what_failed_and_how_to_see_it(bad: Result) -> None:
    """The verdict, a table by chapter, the violated rule with its program, and the command."""
    text = summary(bad)
    assert text.startswith("## Fencepost: violates\n\n`faulty:Lenient`\n")
    assert "| chapter | passed | failed | differs | not reached | not declared | cells exercised |\n" in text
    assert "### VALUE-1 violated\n\nAll a call is given" in text
    assert "```python\nfrom pathlib import Path\n" in text
    assert "```mermaid\nsequenceDiagram\n    participant a1 as " in text
    assert "`fencepost verify --backend faulty:Lenient --seed 0 --examples 20 --steps 50 --chapters lease`" in text


class Links(HTMLParser):
    """What a page links to, names, and loads."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.ids: set[str] = set()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag links to, is, and loads."""
        facts = dict(attrs)
        if "href" in facts:
            self.targets.add((facts["href"] or "").removeprefix("#"))
        if "id" in facts:
            self.ids.add(facts["id"] or "")
        self.loaded += [value or "" for name, value in attrs if name == "src" or tag == "link"]


def test_the_page_stands_alone(bad: Result) -> None:
    """It loads nothing, has every requirement as a cell and as a row, and shows the program."""
    text = page(bad)
    links = Links()
    links.feed(text)
    assert links.loaded == []
    files = {f"counterexamples/{name}" for name in ("lease.html", "lease_counterexample.py", "lease.jsonl", "lease.mmd")}
    assert links.targets - files == {each.requirement.id for each in bad.judged} == links.ids
    assert files < links.targets
    assert "http://" not in text
    assert "https://" not in text
    assert "store.try_claim_session_execution_lease(&quot;s&quot;, owner1, 2**64)" in text


def test_the_page_escapes_what_it_shows(broken: Result) -> None:
    """A backend or a trouble with markup in it is text."""
    assert "<b>" not in page(broken)
    assert "It raised &lt;Oops&gt; &amp;" in page(broken)


def test_github_is_told(
    bad: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The summary is added to that of the step, and each violation is an annotation; elsewhere nothing is said."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    tell_github(bad)
    assert capsys.readouterr().out == ""
    path = tmp_path / "summary"
    path.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    tell_github(bad)
    told = capsys.readouterr().out
    assert told.startswith("::error title=VALUE-1 violated::All a call is given")
    assert told.endswith(
        ". Again: fencepost verify --backend faulty:Lenient --seed 0 --examples 20 --steps 50 --chapters lease\n"
    )
    assert path.read_text() == "before\n" + summary(bad)


def test_github_is_told_what_could_not_be_evaluated(
    broken: Result, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each trouble is an annotation, and so is an interruption."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    tell_github(broken)
    assert capsys.readouterr().out == "::error title=could not be evaluated::It raised <Oops> & \x00 'x'\n"
    tell_github(Result(Request("x", ("lease",)), (), (), interrupted=True))
    told = "::error title=could not be evaluated::The run was interrupted: all figures are partial.\n"
    assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--backend", "nowhere:factory"), "There is no module 'nowhere'"),
        (("--exec", "echo hello", "--stores", "event"), "hello"),
        (("--suite", "nowhere.suite", "--stores", "output"), "nowhere.suite"),
    ],
)
def test_a_run_that_could_not_begin_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], says: str
) -> None:
    """The folder, the JSON, the summary of the step and an annotation say what was received; nothing counts as reached."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "step.md")
    shown = CliRunner().invoke(cli, ["verify", *words, "--report", "out", "--json", "out.json"])
    assert shown.exit_code == 2
    assert says in shown.stderr
    assert "::error title=could not be evaluated::" in shown.stdout
    assert says in shown.stdout
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == sorted(NAMES)
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["verdict"] == "could not be evaluated"
    assert says in found["troubles"][0]
    assert {each["verdict"] for each in found["requirements"]} <= {"not reached", "not declared"}
    assert {each["count"] for each in found["requirements"]} == {0}
    root = ET.parse(tmp_path / "out" / "junit.xml").getroot()
    assert says in root.find("testsuite/testcase/error").attrib["message"]  # type: ignore[union-attr]
    assert says in (tmp_path / "step.md").read_text()
    assert (tmp_path / "step.md").read_text() == (tmp_path / "out" / "summary.md").read_text()


def test_a_folder_that_cannot_be_written_is_told_before_the_run(tmp_path: Path) -> None:
    """A file is no folder: a sentence, and exit code 2."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportNotWritten, match=r"cannot be written to .*file.*Expected a folder"):
        require_folder(str(tmp_path / "file"))
    with pytest.raises(ReportNotWritten, match="Expected a folder"):
        write_report(str(tmp_path / "file" / "below"), Result(Request("x", ()), (), ()))
    command = [sys.executable, "-m", "fencepost.kit", "verify", "--report", str(tmp_path / "file"), "--examples", "1"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert shown.returncode == 2
    assert shown.stderr.startswith("Error: The report cannot be written to")


def test_verify_writes_the_report(tmp_path: Path) -> None:
    """`--report` writes the folder beside what is printed."""
    options = "verify --chapters output --examples 1 --steps 10 --report out"
    command = [sys.executable, "-m", "fencepost.kit", *options.split()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == sorted(NAMES)
