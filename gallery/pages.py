"""The gallery for people: a list, everything about one fault, and the requirements that have none."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Sequence
from textwrap import dedent

from fencepost.kit.console import Terminal
from fencepost.spec.catalogue import requirements
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from .hunt import BY_NAME
from .kinds import MEANINGS
from .planting import PlantedBug
from .unbroken import unbroken


def list_page(console: Terminal, bugs: Sequence[PlantedBug]) -> None:
    """The faults by chapters: name, requirement, kind, sentence."""
    for chapter in dict.fromkeys(bug.chapter for bug in bugs):
        of_chapter = [bug for bug in bugs if bug.chapter == chapter]
        console.show(Text.assemble((chapter, "bold"), (f"  {_count(len(of_chapter), 'fault')}", "dim")))
        for bug in of_chapter:
            console.show(Text.assemble("  ", (bug.name, "cyan"), f"  {', '.join(bug.breaks)}  ", (bug.kind.value, "dim")))
            console.show(Padding(Text(bug.sentence), (0, 0, 0, 4)))
        console.show()
    console.show(Text(f"{_count(len(bugs), 'fault')}. `fencepost gallery show NAME` tells more of one."))


def bug_page(console: Terminal, bug: PlantedBug) -> None:
    """Everything about one fault, and how it is planted."""
    console.show(Text.assemble((bug.name, "bold cyan"), f"  {bug.chapter}"))
    console.show(Padding(Text(bug.sentence), (1, 0, 1, 2)))
    facts = _pairs()
    for number, each in enumerate(bug.breaks):
        label = "breaks" if number == 0 else "and so" if number == 1 else ""
        facts.add_row(Text(label, "dim"), Text.assemble((each, "cyan"), f"  {requirements()[each].says}"))
    facts.add_row(Text("kind", "dim"), Text.assemble((bug.kind.value, "bold"), f"  {MEANINGS[bug.kind]}"))
    facts.add_row(Text("catch it", "dim"), f"fencepost gallery run {bug.name}")
    console.show(Padding(facts, (0, 0, 1, 2)))
    code = dedent(inspect.getsource(bug.plant))
    console.show(Syntax("", "python", theme="ansi_dark").highlight(code.rstrip()), soft_wrap=True)


def uncovered_page(console: Terminal) -> None:
    """The LAW requirements without a fault, by the reason."""
    by_reason: dict[str, list[str]] = {}
    for each, reason in unbroken().items():
        by_reason.setdefault(reason, []).append(each)
    table = _pairs()
    for reason, ids in by_reason.items():
        table.add_row("\n".join(ids), reason)
    console.show(table)
    console.show()
    console.show(Text(f"{_count(len(unbroken()), 'LAW requirement')} without a fault; each other one has at least one."))


def similar_names(name: str) -> list[str]:
    """The names that look most like a mistaken one, at most three."""
    return difflib.get_close_matches(name, list(BY_NAME), n=3)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _pairs() -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    return table
