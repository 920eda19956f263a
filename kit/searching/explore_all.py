"""`fencepost explore --chapter all`: the default scope of every chapter, searched one after the other, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from fencepost.statemachines.explore import Explored, Figures, Search
from fencepost.statemachines.scopes import SCOPES
from fencepost.statemachines.witness import require_independence
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..console import Terminal
from ..result import Verdict
from .explore_report import STYLES, WORDS, verdict_of

Live = Callable[[Terminal], AbstractContextManager[Callable[[Figures], None]]]

FIGURES = ("states", "calls", "depth", "cells")


def explore_all(console: Terminal, live: Live, *, reduce: bool, workers: int, memory_mb: int) -> dict[str, Explored]:
    """Search each default scope. Raises `NotIndependent` if one is wrong about what its calls see."""
    found: dict[str, Explored] = {}
    for chapter, scope in SCOPES.items():
        with live(console) as told:
            explored = Search(scope(), reduce=reduce, workers=workers, memory_mb=memory_mb).run(told)
            if not explored.broken:
                require_independence(explored.search)
        found[chapter] = _forgotten(explored)
    return found


def _forgotten(explored: Explored) -> Explored:
    """What was found, without the worlds: ten searches at once would be too much to keep."""
    explored.search.forget()
    return explored


def verdict_of_all(found: Mapping[str, Explored]) -> Verdict:
    """A broken invariant decides; without one, whether all searches came to their ends."""
    verdicts = {verdict_of(each) for each in found.values()}
    return next(each for each in (Verdict.violates, Verdict.not_evaluated, Verdict.conforms) if each in verdicts)


def report_all(console: Terminal, found: Mapping[str, Explored]) -> None:
    """Print a line for each chapter, with the seconds that the search took."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("chapter", no_wrap=True)
    for name in (*FIGURES, "calls/s", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for chapter, each in found.items():
        figures, verdict = each.figures, verdict_of(each)
        counts = (figures.states, figures.calls, figures.depth, len(each.cells))
        row = [*(f"{count:,}" for count in counts), f"{figures.rate:,.0f}", f"{figures.seconds:,.1f}"]
        table.add_row(chapter, *row, Text(WORDS[verdict], style=STYLES[verdict]))
    console.show(Padding(table, (0, 0, 0, 2), expand=False))
    console.show()
    verdict, seconds = verdict_of_all(found), sum(each.figures.seconds for each in found.values())
    console.show(Text.assemble((WORDS[verdict], STYLES[verdict]), f"  the default scopes of all chapters ({seconds:,.1f} s)"))
