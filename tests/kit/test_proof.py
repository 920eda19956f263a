"""The proof on file: what reports say of the faults that this version of the kit catches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fencepost.kit import planted as on_file
from fencepost.kit.planted import Planted, planted, proof
from fencepost.kit.reporting.report_files import summary
from fencepost.kit.reporting.report_html import page
from fencepost.kit.reporting.report_json import document
from fencepost.kit.result import Request, Result

from fencepost import __version__

REPORT = Path(__file__).parents[2] / "reports" / "planted-bugs.md"

NOTHING = Result(Request("a:store", ("lease",)), (), ())


def test_the_proof_on_file_says_what_the_published_report_says() -> None:
    """Version, seed and both figures are those of the report, and all faults were caught."""
    found = planted()
    assert found is not None
    assert found.planted == found.caught > 300
    counted = f"{found.caught} of {found.planted} are caught and laid on their requirement"
    told = f"fencepost {__version__}: {counted}, {found.at_first} of them by seed {found.seed}."
    assert told in REPORT.read_text().splitlines()


def test_reports_show_the_proof_of_their_own_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page and the summary say it in one line with the command that shows it, the JSON has the figures."""
    monkeypatch.setattr(on_file, "planted", lambda: Planted(__version__, 0, 5, 40, 50, 12, 11, 9))
    monkeypatch.setattr("fencepost.kit.reporting.report_json.planted", lambda: Planted(__version__, 0, 5, 40, 50, 12, 11, 9))
    line = "This version of the kit catches 11 of 12 planted faults"
    assert f"{line}: `fencepost gallery run`.\n" in summary(NOTHING)
    assert f"{line}: <code>fencepost gallery run</code>" in page(NOTHING)
    assert msgspec.to_builtins(document(NOTHING).planted) == {
        "version": __version__,
        "seed": 0,
        "seeds": 5,
        "examples": 40,
        "steps": 50,
        "planted": 12,
        "caught": 11,
        "at_first": 9,
        "command": "fencepost gallery run",
    }


@pytest.fixture
def another_version(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The kit under another version than the one that the proof on file was made with."""
    monkeypatch.setattr(on_file, "__version__", "0.0.0")
    planted.cache_clear()
    yield
    planted.cache_clear()


@pytest.mark.usefixtures("another_version")
def test_the_proof_of_another_version_is_not_shown() -> None:
    """What another version caught says nothing of this one."""
    assert proof() is None
    assert "planted" not in summary(NOTHING)
    assert "planted" not in page(NOTHING)
    assert document(NOTHING).planted is None
