"""What came of the lemmas, in Markdown: the figure, the versions it was made with, and a table for each chapter."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from .proved import SETTLED, Finding, Outcome, Proved, Statement

TOOLS = ("fencepost", "crosshair-tool", "z3-solver", "icontract")
"""Whose versions a proof depends on."""

ABOUT = """\
# Proofs

Every lemma of the model, with the requirements that it establishes, and what came of it.

* **confirmed over all paths**: CrossHair has followed every path, and there is no input, of any size, for which it fails.
  Tokens and owners are `int` there: the transitions compare them and look no further.
* **exhausted over all inputs**: it was tried on every input of the scope that is stated, and on none beyond: that is no proof.
* **no counterexample in the budget**, **refuted** and **could not be evaluated** are no proofs.

A transition is confirmed on the word of those that it calls: their lemmas stand in the same tables. The lemmas of one
transition are confirmed together, for they have its paths in common.
"""


def figure(proved: Proved) -> str:
    """How many lemmas hold, and by what; and what became of the others."""
    counts = [f"{proved.count(each)} {each.value}" for each in Outcome if proved.count(each)]
    of = f"{sum(map(proved.count, SETTLED))} of {len(proved.results)} lemmas hold"
    busy = sum(finding.seconds for _, finding in proved.results)
    took = f"{busy:.0f} s of processor time, {proved.seconds:.0f} s in all with --workers {proved.workers}"
    return f"{of}: {', '.join(counts)}; {took}."


def markdown(proved: Proved, command: str, chapters: tuple[str, ...]) -> str:
    """The report."""
    chosen = "".join(f" --chapter {each}" for each in chapters)
    versions = ", ".join(f"{each} {_version(each)}" for each in TOOLS)
    lines = [
        ABOUT,
        figure(proved),
        "",
        f"Made by `{command}{chosen} --markdown reports/proofs.md`, with Python {platform.python_version()}, {versions}, and",
        f"at most {proved.budget:g} s a lemma. Seconds differ from machine to machine; all else follows from the versions.",
    ]
    for chapter in dict.fromkeys(statement.chapter for statement, _ in proved.results):
        lines += ["", f"## {chapter}", "", "| lemma | establishes | of | outcome |", "|---|---|---|---|"]
        lines += [_row(*each) for each in proved.results if each[0].chapter == chapter]
    return "\n".join(lines) + "\n"


def _row(statement: Statement, finding: Finding) -> str:
    ids = ", ".join(statement.requirements)
    return f"| {statement.says} | {ids} | `{statement.name}` | {_told(statement, finding)} |".replace("\n", " ")


def _told(statement: Statement, finding: Finding) -> str:
    if finding.outcome is Outcome.exhausted:
        return f"exhausted over {statement.scope}: {finding.tried:,} cases"
    what = "cases" if statement.place is None else "paths"
    told = f"{finding.outcome.value}, {finding.tried:,} {what}"
    if finding.outcome is Outcome.confirmed:
        return told
    detail = f": {finding.detail.replace('|', '&#124;')}" if finding.detail else ""
    return f"**{told}, {finding.seconds:.1f} s**{detail}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed as a package)"
