"""Reports as files: a folder with JSON for programs, JUnit XML for CI, Markdown for a summary, and a page to look at."""

from __future__ import annotations

import os
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

from ..coverage import in_all
from ..files import write_whole
from ..planted import PROVED_BY, proof
from ..result import Judged, Result, Status, Verdict
from ..showing.counterexample import Counterexample
from ..showing.exhibits import write_exhibits
from ..showing.file_names import FOLDER
from ..showing.mermaid import mermaid
from .report import distinct
from .report_html import page
from .report_json import ReportNotWritten, encoded

NAMES = ("report.json", "junit.xml", "summary.md", "index.html")
"""The files of a report."""

UNSAYABLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot say."""

SUMMARY = "GITHUB_STEP_SUMMARY"
"""Where GitHub Actions wants the summary of a step, if it runs there."""


INTERRUPTED = "The run was interrupted: all figures are partial."


def write_report(directory: str, result: Result) -> None:
    """Write the files of a report and of its counterexamples, each at once. Raises `ReportNotWritten`."""
    texts = (encoded(result), junit(result), _bytes(summary(result)), _bytes(page(result)))
    try:
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in zip(NAMES, texts, strict=True):
            write_whole(folder / name, text)
        write_exhibits(folder / FOLDER, result)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReportNotWritten(f"The report cannot be written to {directory}: {reason}. Expected a folder.") from error


def tell_github(result: Result) -> None:
    """In a run of GitHub Actions, add the summary to that of the step, and and annotate each violation and each trouble."""
    path = os.environ.get(SUMMARY)
    if path:
        try:
            with Path(path).open("ab") as file:
                file.write(_bytes(summary(result)))
        except OSError as error:
            reason = error.strerror or str(error)
            sys.stderr.write(f"The summary cannot be added to {path}, which {SUMMARY} names: {reason}. The verdict stands.\n")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for found, _ in distinct(result.counterexamples):
            told = f"{found.says} {found.reason}. Again: {result.request.command}"
            print(f"::error title={found.requirements[0]} violated::{_one_line(told)}")
        for each in result.troubles or (INTERRUPTED,) * result.interrupted:
            print(f"::error title={Verdict.not_evaluated.value}::{_one_line(each)}")


def _bytes(text: str) -> bytes:
    # a name may hold what no UTF-8 can say
    return text.encode(errors="backslashreplace")


def summary(result: Result) -> str:
    """The result in Markdown: verdict, command, a table by chapter, what failed and what departed."""
    lines = [f"## Fencepost: {result.verdict.value}", "", f"`{result.request.backend}`", ""]
    lines += [*(f"{each}\n" for each in result.troubles), *_table(result), ""]
    for found, chapters in distinct(result.counterexamples):
        lines += _violation(found, chapters)
    departed = result.with_status(Status.differs)
    if departed:
        lines += [
            "### Differs, and may",
            "",
            *(f"* **{each.requirement.id}**: {each.requirement.admits}" for each in departed),
            "",
        ]
    reached = f"{result.reached:,} of {result.within_reach:,} requirements reached"
    figures = f"{reached}: {result.request.origin}, {result.steps:,} steps in {result.seconds:,.1f} s"
    told = proof()
    proved = [f"{told}: `{PROVED_BY}`.", ""] if told else []
    return "\n".join([*lines, f"`{result.request.command}`", "", f"{figures}.", "", *proved])


def _table(result: Result) -> list[str]:
    covered = {each.chapter: each.in_words for each in result.coverage}
    head = ["chapter", *(status.value for status in Status), "cells exercised"]
    rows = [
        [chapter, *(str(result.sums(chapter)[status]) for status in Status), covered.get(chapter, "")]
        for chapter in result.answered
    ]
    totals = (*(str(len(result.with_status(status))) for status in Status), in_all(result.coverage).in_words)
    rows.append(["**all**", *(f"**{total}**" for total in totals)])
    rule = ["---", *["---:"] * (len(Status) + 1)]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]


def _violation(found: Counterexample, chapters: Sequence[str]) -> list[str]:
    told = [each for each in (found.hint, found.story, found.claims) if each]
    where = f"Chapter {', '.join(chapters)}, at step {found.steps:,}."
    # GitHub draws it
    drawn = ["```mermaid", mermaid(found).rstrip(), "```"]
    program = ["```python", found.shown, "```"]
    return [f"### {found.requirements[0]} violated", "", found.says, "", *told, "", where, "", *drawn, "", *program, ""]


def junit(result: Result) -> bytes:
    """The result as JUnit XML: a suite for each chapter, a case for each requirement; what was not reached is skipped."""
    root = ET.Element("testsuites", name="fencepost", time=f"{result.seconds:.3f}")
    found = {each.requirements[0]: each for each in reversed(result.counterexamples)}
    for chapter in result.answered:
        judged = result.of_chapter(chapter)
        sums = result.sums(chapter)
        skipped = sums[Status.not_reached] + sums[Status.not_declared]
        counts = {"tests": len(judged), "failures": sums[Status.failed], "skipped": skipped, "errors": 0}
        suite = ET.SubElement(root, "testsuite", {"name": chapter} | {name: str(count) for name, count in counts.items()})
        for each in judged:
            _case(suite, each, found)
    if result.verdict is Verdict.not_evaluated:
        suite = ET.SubElement(root, "testsuite", name="run", tests="1", failures="0", skipped="0", errors="1")
        case = ET.SubElement(suite, "testcase", classname="fencepost.run", name="the run can be evaluated")
        ET.SubElement(case, "error", message=_clean(" ".join(result.troubles) or "interrupted"))
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _case(suite: ET.Element, judged: Judged, found: dict[str, Counterexample]) -> None:
    requirement = judged.requirement
    case = ET.SubElement(suite, "testcase", classname=f"fencepost.{requirement.chapter}", name=requirement.id)
    properties = ET.SubElement(case, "properties")
    facts = {"requirement": requirement.id, "level": requirement.level.value, "reached": str(judged.count)}
    for name, value in facts.items():
        ET.SubElement(properties, "property", name=name, value=value)
    if judged.status is Status.failed:
        failure = ET.SubElement(case, "failure", message=_clean(requirement.says))
        failure.text = _clean(found[requirement.id].shown) if requirement.id in found else ""
    elif judged.status in (Status.not_reached, Status.not_declared):
        ET.SubElement(case, "skipped", message=_clean(f"{judged.status.value}: {judged.reason}"))


def _clean(text: str) -> str:
    """The text without what XML cannot say."""
    return UNSAYABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _one_line(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def require_folder(directory: str) -> None:
    """Raise `ReportNotWritten` now for a folder that could not be written later."""
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ReportNotWritten(f"The report cannot be written to {directory}: {reason}. Expected a folder.") from error
    if not os.access(directory, os.W_OK):
        raise ReportNotWritten(f"The report cannot be written to {directory}: it cannot be written to. Expected a folder.")
