"""Coverage with a denominator: of the cells that can be reached in the small scopes, those that a run has exercised.

A cell is a requirement that decided an answer, the call with the kind of the answer, and the class of the state that the call
met. Which cells there are was found by a search of each chapter's default scope, and is part of the package: nothing is
searched when a store is checked. A run comes into situations besides that no small scope has; these count for nothing here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec
from fencepost.statemachines.situations import Answered, Cell, cells_of
from fencepost.statemachines.tally import Tally

FILE = "cells.json"
FORMAT = "fencepost-cells/1"
SEARCHED_BY = "fencepost explore --chapter all"
"""The command that finds them again; with `--cells FILE` it writes them."""

Outcomes = dict[str, dict[str, list[str]]]
"""The requirements by outcome, and by class of the state before."""


class Published(msgspec.Struct, frozen=True):
    """The file of all cells, by chapter."""

    format: str
    chapters: dict[str, Outcomes]


@dataclass(frozen=True)
class Coverage:
    """What a run has exercised of the cells of one chapter."""

    chapter: str
    exercised: int
    missed: tuple[Cell, ...]

    @property
    def reachable(self) -> int:
        """How many there are."""
        return self.exercised + len(self.missed)

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.exercised / self.reachable if self.reachable else 1.0

    @property
    def in_words(self) -> str:
        """Such as `338 of 349`."""
        return f"{self.exercised:,} of {self.reachable:,}"


@cache
def reachable_cells() -> dict[str, frozenset[Cell]]:
    """The cells of each chapter, as they were searched for this version."""
    return read_cells(files(__package__).joinpath(FILE).read_bytes())


def read_cells(text: bytes) -> dict[str, frozenset[Cell]]:
    """The cells in a file that `cells_text` made. Raises `msgspec.ValidationError` for what is none."""
    chapters = msgspec.json.decode(text, type=Published).chapters
    return {
        chapter: frozenset(
            (each, outcome, met) for outcome, mets in outcomes.items() for met, ids in mets.items() for each in ids
        )
        for chapter, outcomes in chapters.items()
    }


def cells_text(found: Mapping[str, Collection[Cell]]) -> bytes:
    """The file of these cells: JSON, sorted, the same for the same cells."""
    chapters: dict[str, Outcomes] = {}
    for chapter, cells in found.items():
        outcomes = chapters[chapter] = dict[str, dict[str, list[str]]]()
        for outcome, met, requirement in sorted((outcome, met, requirement) for requirement, outcome, met in cells):
            outcomes.setdefault(outcome, {}).setdefault(met, []).append(requirement)
    return msgspec.json.format(msgspec.json.encode(Published(FORMAT, chapters)), indent=1) + b"\n"


def coverage(chapters: Iterable[str], tallies: Iterable[Tally]) -> tuple[Coverage, ...]:
    """What these runs have exercised of the cells of these chapters."""
    answers: set[Answered] = set()
    for tally in tallies:
        answers |= tally.answers
    found, known = cells_of(answers), reachable_cells()
    return tuple(
        Coverage(each, len(known[each] & found), tuple(sorted(known[each] - found))) for each in chapters if each in known
    )


def in_all(covered: Iterable[Coverage]) -> Coverage:
    """The same of all chapters together."""
    each = tuple(covered)
    return Coverage("all", sum(one.exercised for one in each), tuple(cell for one in each for cell in one.missed))


def together(missed: Iterable[Cell]) -> dict[tuple[str, str], list[str]]:
    """The requirements of cells that share call, kind of answer and class of state."""
    found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for requirement, outcome, met in missed:
        found[outcome, met].append(requirement)
    return dict(sorted(found.items()))
