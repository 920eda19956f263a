"""The published reports: each is that of its command, whole, and made by the script that makes them all."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import making_reports
import pytest
from fencepost.kit.reporting.report_files import NAMES
from fencepost.kit.showing.file_names import names
from fencepost.kit.verify import EXAMPLES
from making_reports import MAKINGS, REPORTS, Making, main, make

from fencepost import __version__


def test_every_folder_is_made() -> None:
    """Whatever holds a report is one that the script makes, and the table of reports names it."""
    assert {each.parent.name for each in REPORTS.glob("*/report.json")} == set(MAKINGS)
    page = (REPORTS / "README.md").read_text(encoding="utf-8")
    assert [name for name in MAKINGS if f"`{name}/`" not in page] == []
    assert f"| `fencepost {' '.join(MAKINGS['duckdb'].words)} --report reports/duckdb` |" in page


@pytest.mark.parametrize("name", MAKINGS)
def test_a_published_report_is_that_of_its_command(name: str) -> None:
    """It was made with the defaults by this version, which says how many planted faults it catches; no file is missing."""
    found = json.loads((REPORTS / name / "report.json").read_text(encoding="utf-8"))
    words = MAKINGS[name].words
    backend = {"--backend": words[2], "--exec": f"exec:{words[2]}"}.get(words[1], "fencepost.kit.duckdb:file")
    assert (found["backend"], found["seed"], found["examples"], found["steps"]) == (backend, 0, EXAMPLES, 50)
    assert found["verdict"] == ("conforms", "violates")[MAKINGS[name].exit_code]
    assert found["environment"]["fencepost"] == found["planted"]["version"] == __version__
    assert "planted faults: `fencepost gallery run`" in (REPORTS / name / "summary.md").read_text(encoding="utf-8")
    exhibits = {f"counterexamples/{each}" for violation in found["violations"] for each in names(violation["chapter"]).values()}
    there = {each.relative_to(REPORTS / name).as_posix() for each in (REPORTS / name).rglob("*") if each.is_file()}
    assert there == {*NAMES, *exhibits}


def test_a_run_that_ends_otherwise_is_no_report_to_publish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script stops there, with what was printed, what was received and what was expected."""
    making = Making(tmp_path, ("verify", "--backend", "nowhere:factory"), 0)
    monkeypatch.setattr(making_reports, "MAKINGS", {"nowhere": making})
    with pytest.raises(SystemExit, match=r"(?s)no module .nowhere.*nowhere: received exit code 2, expected 0"):
        make("nowhere", tmp_path / "reports")


def test_only_what_is_there_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in a name makes nothing."""
    monkeypatch.setattr(sys, "argv", ["making_reports.py", "duckdb", "mongo"])
    with pytest.raises(SystemExit, match="received mongo, expected some of duckdb, node"):
        main()


@pytest.mark.slow
def test_a_report_is_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same verdicts and counts as in the one that is published: they follow from the seed."""
    make("sqlite", tmp_path)
    again, before = (json.loads((each / "sqlite" / "report.json").read_text()) for each in (tmp_path, REPORTS))
    assert again["requirements"] == before["requirements"]
    assert capsys.readouterr().out == "sqlite: conforms, 35 of 35 requirements reached  sqlite_outputs:factory\n"
