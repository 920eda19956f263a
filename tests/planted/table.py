"""The table of planted faults: which requirement each breaks, what was blamed for it, and how soon.

`python tests/planted/table.py` hunts them all and writes `reports/planted-bugs.md`; `--only CHAPTER`, or a fault's name, hunts
some and writes nothing.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import click
from bugs import BUGS
from fencepost.kit.verify import EXAMPLES, STEPS
from fencepost.statemachines.run import CHAPTERS
from hunt import BLAMED_AT_MOST, SEED, Catch, hunted

REPORT = Path(__file__).parents[2] / "reports" / "planted-bugs.md"

HEADER = ("bug", "requirement", "blamed", "steps to catch", "seconds to catch", "calls")

ABOUT = f"""\
# Planted bugs

Small faults of the DuckDB store, each one sentence, each breaking the requirement it names, and what
`fencepost verify --seed {SEED}` makes of the store with each: {EXAMPLES} examples of at most {STEPS} steps, the default, of the
machine of its chapter.

* *blamed*: the first {BLAMED_AT_MOST} requirements that the counterexample names, the likeliest first.
* *steps* and *seconds to catch*: until a violation was first seen, before it was shrunk.
* *calls*: the length of the program that it was shrunk to.

Made by `python tests/planted/table.py`. Times differ from machine to machine; everything else follows from the seed.
"""


def row_of(catch: Catch) -> tuple[str, ...]:
    """The row of a fault; one that was not caught, or laid on another requirement, says so."""
    bug = catch.bug
    if catch.trouble:
        return (bug.name, bug.requirement, f"NOT PLANTED: {catch.trouble}", "", "", "")
    if not catch.blamed:
        return (bug.name, bug.requirement, "NOT CAUGHT", "", "", "")
    blamed = ", ".join(catch.blamed) + ("" if catch.is_right else " (NOT ITS OWN)")
    return (bug.name, bug.requirement, blamed, str(catch.steps), f"{catch.seconds:.1f}", str(catch.calls))


def lines_of(catches: list[Catch]) -> list[str]:
    """The table of a chapter in Markdown, its columns aligned."""
    rows = [HEADER, *map(row_of, catches)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]


def report_of(catches: list[Catch]) -> str:
    """The report: for each chapter a table, and what its faults are."""
    right = sum(catch.is_right for catch in catches)
    counted = (
        f"fencepost {version('fencepost')}, seed {SEED}: {right} of {len(catches)} are caught and laid on their requirement."
    )
    parts = [ABOUT, counted + "\n"]
    for chapter in CHAPTERS:
        of_chapter = [catch for catch in catches if catch.bug.chapter == chapter]
        if of_chapter:
            sentences = [f"* `{catch.bug.name}`: {catch.bug.sentence}" for catch in of_chapter]
            parts.append("\n".join([f"## {chapter}", "", *lines_of(of_chapter), "", *sentences, ""]))
    return "\n".join(parts)


def hunted_by_name(name: str) -> Catch:
    """The catch of one fault. Faults are plants, which do not travel between processes: their names do."""
    (bug,) = [bug for bug in BUGS if bug.name == name]
    try:
        catch = hunted(bug)
    except Exception as error:
        catch = Catch(bug, trouble=f"{type(error).__name__}: {error}")
    return catch._replace(bug=bug._replace(plant=_nothing))


def _nothing(_patch: object) -> None:
    """In place of the plant of a fault that was hunted."""


@click.command()
@click.option("--only", help="Hunt the faults of this chapter, or the one of this name, and write no report.")
@click.option("-n", "processes", default=1, show_default=True, help="Hunt in so many processes.")
def main(only: str | None, processes: int) -> None:
    """Hunt the planted faults of the DuckDB store, print a table of them, and write it to reports/planted-bugs.md."""
    names = [bug.name for bug in BUGS if only in (None, bug.chapter, bug.name)]
    if not names:
        raise click.BadParameter(f"{only!r} is no chapter and no fault; chapters are {', '.join(CHAPTERS)}.")
    catches = []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for catch in pool.map(hunted_by_name, names):
            catches.append(catch)
            print(f"{len(catches):3}/{len(names)}  {'  '.join(row_of(catch))}", file=sys.stderr, flush=True)
    report = report_of(catches)
    print(report)
    if only is None:
        REPORT.write_text(report)
    sys.exit(not all(catch.is_right for catch in catches))


if __name__ == "__main__":
    main()
