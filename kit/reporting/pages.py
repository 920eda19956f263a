"""The catalogue for people: a table a chapter, and everything about one requirement."""

from __future__ import annotations

import difflib

from fencepost.spec.catalogue import EVIDENCE, Level, Requirement, chapters, requirements
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..console import Terminal

LEVEL_STYLES = {Level.LAW: "bold", Level.CURRENT: "yellow", Level.CAPABILITY: "cyan"}

LEVELS = {
    Level.LAW: "a store that breaks it fails",
    Level.CURRENT: "a store that differs is reported, and fails under --strict",
    Level.CAPABILITY: "binds only a store that declares the capability",
}


def catalogue_page(console: Terminal, name: str | None = None) -> bool:
    """The whole catalogue, in reading order, or one chapter of it; False if there is no chapter of this name."""
    chosen = [chapter for chapter in chapters() if name in (None, chapter.name)]
    for chapter in chosen:
        console.show(Text(f"{chapter.title}", style="bold"), Text(f" {len(chapter.requirements)} requirements", style="dim"))
        console.show()
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        table.add_column("id", no_wrap=True, style="cyan")
        table.add_column("level", no_wrap=True)
        table.add_column("sentence")
        for part in chapter.sections:
            table.add_row("", "", Text(part.title, style="dim"))
            for each in part.requirements:
                table.add_row(each.id, Text(each.level.value, style=LEVEL_STYLES[each.level]), Text(each.says))
        console.show(Padding(table, (0, 0, 1, 2)))
    return bool(chosen)


def requirement_page(console: Terminal, requirement_id: str) -> bool:
    """Everything about one requirement; False if there is none of this id."""
    requirement = _find(requirement_id)
    if requirement is None:
        return False
    chapter = next(each for each in chapters() if each.name == requirement.chapter)
    console.show(Text.assemble((requirement.id, "bold cyan"), f"  {chapter.title}: {requirement.section}"))
    console.show()
    console.show(Padding(Text(requirement.says), (0, 0, 1, 2)))
    facts = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    facts.add_column(no_wrap=True, style="dim")
    facts.add_column()
    facts.add_row(
        "level", Text.assemble((requirement.level.value, LEVEL_STYLES[requirement.level]), f": {LEVELS[requirement.level]}")
    )
    for name, text in (
        ("also admitted", requirement.admits),
        ("capability", requirement.capability),
        ("not seen", requirement.internal),
        ("not reached", requirement.unreached),
        ("evidence", "; ".join(EVIDENCE[each] for each in requirement.evidence)),
    ):
        if text:
            facts.add_row(name, Text(text))
    console.show(Padding(facts, (0, 0, 0, 2)))
    return True


def similar_ids(requirement_id: str) -> list[str]:
    """The ids that look most like a mistaken one, at most three."""
    return difflib.get_close_matches(requirement_id.upper(), list(requirements()), n=3)


def _find(requirement_id: str) -> Requirement | None:
    by_lower = {each.lower(): found for each, found in requirements().items()}
    return by_lower.get(requirement_id.lower())
