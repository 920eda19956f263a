"""The JSON Schema of the report: it is published, and every report obeys it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fencepost.kit.cli import cli
from fencepost.kit.reporting.report_form import FORMAT, schema
from fencepost.kit.reporting.report_json import encoded
from fencepost.kit.result import ChapterRun, Request, Result, not_evaluated
from fencepost.statemachines.tally import Tally
from jsonschema import Draft202012Validator, ValidationError
from kinds import KINDS, found, request

REPORTS = Path(__file__).parents[2] / "reports"


def validate(report: Any) -> None:
    """Raise `ValidationError` for what is no report."""
    Draft202012Validator(schema()).validate(report)


def shown(kind: str) -> dict[str, Any]:
    """The report of a run that found this counterexample."""
    run = ChapterRun(found(kind).chapter, Tally(), 1.0, found(kind))
    report: dict[str, Any] = json.loads(encoded(Result(request(kind), (run,), ())))
    return report


def test_the_published_schema_is_up_to_date() -> None:
    """`fencepost report-schema > reports/report.schema.json` would change nothing, and what it prints is a schema."""
    printed = CliRunner().invoke(cli, ["report-schema"])
    assert printed.exit_code == 0
    assert printed.stdout == (REPORTS / "report.schema.json").read_text(encoding="utf-8")
    Draft202012Validator.check_schema(schema())
    assert json.loads(printed.stdout)["title"] == FORMAT == "fencepost-report/1"


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_with_a_violation_obeys_it(kind: str) -> None:
    """Answers, refusals, exceptions and arguments of every kind."""
    validate(shown(kind))


def test_a_report_of_nothing_obeys_it() -> None:
    """A run that could not begin, and all its requirements."""
    validate(json.loads(encoded(not_evaluated(Request("x", ("lease", "queued_work")), "There is no x."))))


@pytest.mark.parametrize("path", sorted(REPORTS.glob("*/report.json")), ids=lambda path: path.parent.name)
def test_the_published_reports_obey_it(path: Path) -> None:
    """Whoever reads one can read all."""
    validate(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("part", ["format", "verdict", "requirements", "violations", "timing", "troubles"])
def test_it_refuses_what_lacks_a_part(part: str) -> None:
    """Every part is there in every report."""
    report = shown("takeover")
    del report[part]
    with pytest.raises(ValidationError, match=part):
        validate(report)


def test_it_refuses_other_values() -> None:
    """A verdict that is none, a count below zero, and an answer that is refused as well."""
    report = shown("takeover")
    for path, value in (
        (("verdict",), "passed"),
        (("format",), "fencepost-report/2"),
        (("violations", 0, "steps"), -1),
        (("violations", 0, "given"), {"answered": None, "refused": {}}),
        (("violations", 0, "given"), {}),
    ):
        changed = copy.deepcopy(report)
        *way, last = path
        part: Any = changed
        for step in way:
            part = part[step]
        part[last] = value
        with pytest.raises(ValidationError):
            validate(changed)
