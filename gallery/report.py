"""The report on the planted faults: which requirement each breaks, what was blamed for it, and how soon."""

from __future__ import annotations

from collections.abc import Sequence

from fencepost.kit.planted import PROVED_BY, Planted
from fencepost.kit.verify import EXAMPLES, STEPS
from fencepost.statemachines.run import CHAPTERS

from fencepost import __version__

from .hunt import BLAMED_AT_MOST, SEEDS, Catch

HEADER = ("bug", "requirement", "kind", "blamed", "seed", "steps to catch", "seconds to catch", "calls")

ABOUT = f"""\
# Planted bugs

Small faults of the DuckDB store, each one sentence, each breaking the requirement it names, and what
`fencepost verify` makes of the store with each: {EXAMPLES} examples of at most {STEPS} steps, the default, of the
machine of its chapter.

* *kind*: the failure of real stores that it stands for.
* *blamed*: the first {BLAMED_AT_MOST} requirements that the counterexample names, the likeliest first.
* *seed*: where the run of a seed shows another requirement first, or nothing, the next seed is tried, {SEEDS} in all.
* *steps* and *seconds to catch*: in the run of that seed, until a violation was first seen, before it was shrunk.
* *calls*: the length of the program that it was shrunk to.

Made by `{PROVED_BY} --report FILE`. Times differ from machine to machine; everything else follows from the
seed.
"""


def outcome(catch: Catch) -> str:
    """What was blamed; of a fault that was not caught, or laid on another requirement, that it was so."""
    if catch.trouble:
        return f"NOT PLANTED: {catch.trouble}"
    if not catch.blamed:
        return "NOT CAUGHT"
    return ", ".join(catch.blamed) + ("" if catch.is_right else " (NOT ITS OWN)")


def counted(catches: Sequence[Catch], seed: int) -> Planted:
    """How many were planted and caught, and by what."""
    right = [catch for catch in catches if catch.is_right]
    at_first = sum(catch.seed == seed for catch in right)
    return Planted(__version__, seed, SEEDS, EXAMPLES, STEPS, len(catches), len(right), at_first)


def report_of(catches: Sequence[Catch], seed: int) -> str:
    """The report in Markdown: for each chapter a table, and what its faults are."""
    sums = counted(catches, seed)
    said = (
        f"fencepost {sums.version}: {sums.caught} of {sums.planted} are caught and laid on their requirement, "
        f"{sums.at_first} of them by seed {seed}."
    )
    parts = [ABOUT, said + "\n"]
    for chapter in CHAPTERS:
        of_chapter = [catch for catch in catches if catch.bug.chapter == chapter]
        if of_chapter:
            sentences = [f"* `{catch.name}`: {catch.bug.sentence}" for catch in of_chapter]
            parts.append("\n".join([f"## {chapter}", "", *_table(of_chapter), "", *sentences, ""]))
    return "\n".join(parts)


def _table(catches: Sequence[Catch]) -> list[str]:
    """The table of a chapter in Markdown, its columns aligned."""
    rows = [HEADER, *map(_row, catches)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def _row(catch: Catch) -> tuple[str, ...]:
    bug = catch.bug
    figures = (catch.seed, catch.steps, f"{catch.seconds:.1f}", catch.calls) if catch.blamed else ("", "", "", "")
    return (bug.name, bug.requirement, bug.kind.value, outcome(catch), *map(str, figures))
