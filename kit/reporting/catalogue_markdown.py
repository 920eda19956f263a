"""The catalogue as pages of Markdown, one for each chapter: what it is about, its calls, its code, its requirements."""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from fencepost.spec.catalogue import EVIDENCE, CatalogueChapter, Level, Requirement, chapters
from fencepost.spec.operations import OPERATIONS

from ..files import write_whole
from .pages import LEVELS

FLOORS = {
    "spec": "types and calls",
    "model.records": "transitions of one record",
    "model": "what every call must answer",
    "impl": "the DuckDB store",
    "statemachines": "what is drawn",
}
"""Where a chapter stands in the code, in the order in which it is read."""

NOTE = "<!-- Written by `fencepost requirements --markdown`: change spec/catalogue/{name}.toml, and write it again. -->"


def write_pages(folder: Path, name: str | None = None) -> list[Path]:
    """Write the page of each chapter, or of the one of this name, and give their paths. Raises `OSError`."""
    chosen = {folder / f"{each.name}.md": each for each in chapters() if name in (None, each.name)}
    if chosen:
        folder.mkdir(parents=True, exist_ok=True)
    for path, chapter in chosen.items():
        write_whole(path, chapter_page(chapter).encode())
    return list(chosen)


def chapter_page(chapter: CatalogueChapter) -> str:
    """The page of a chapter."""
    sections = [NOTE.format(name=chapter.name), f"# {chapter.title}", chapter.about, _levels(chapter)]
    sections += _section("The calls", _calls(chapter.name)) + _section("In the code", _modules(chapter.name))
    sections.append("## Requirements")
    for part in chapter.sections:
        sections += [f"### {part.title}", *map(_requirement, part.requirements)]
    return "\n\n".join(sections) + "\n"


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "\n".join(lines)] if lines else []


def _levels(chapter: CatalogueChapter) -> str:
    counts = Counter(each.level for each in chapter.requirements)
    rows = [f"| {level.value} | {counts[level]} | {LEVELS[level]} |" for level in Level if counts[level]]
    return "\n".join(["| level | requirements | what it means |", "|---|---|---|", *rows])


def _calls(name: str) -> list[str]:
    calls = [each for each in OPERATIONS.values() if each.chapter == name]
    named = [f"{each.method_name}({', '.join(parameter for parameter, _ in each.parameters)})" for each in calls]
    return [f"* `{call}`: {_first(inspect.getdoc(each.method))}" for call, each in zip(named, calls, strict=True)]


def _modules(name: str) -> list[str]:
    """The files of the chapter, floor by floor, with what each says of itself."""
    found = ((floor, what, find_spec(f"fencepost.{floor}.{name}")) for floor, what in FLOORS.items())
    return [
        f"* `{floor.replace('.', '/')}/{name}.py`, {what}: {_first(_docstring(spec.origin))}"
        for floor, what, spec in found
        if spec and spec.origin
    ]


def _docstring(path: str) -> str | None:
    return ast.get_docstring(ast.parse(Path(path).read_text(encoding="utf-8")))


def _first(text: str | None) -> str:
    """The first paragraph, on one line."""
    return " ".join((text or "").partition("\n\n")[0].split())


def _requirement(each: Requirement) -> str:
    facts = [
        ("Also admitted", each.admits),
        ("Binds a store that declares", f"`{each.capability}`." if each.capability else None),
        ("Not seen", each.internal),
        ("Not reached", each.unreached),
        ("Evidence", "; ".join(EVIDENCE[word] for word in each.evidence) + "."),
    ]
    lines = [f"* {name}: {text}" for name, text in facts if text]
    return "\n".join([f"#### {each.id}", "", f"**{each.level.value}.** {each.says}", "", *lines])
