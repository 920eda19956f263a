"""A search of parts finds what a search of whole states finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from fencepost.model import State
from fencepost.statemachines.explore import Explored, Search
from fencepost.statemachines.scope import Attempt, Instant, Scope
from fencepost.statemachines.scopes import SCOPES
from fencepost.statemachines.witness import require_independence


class Whole(Scope):
    """A scope as one part, which is everything: no call is made on less, and no world is the sum of others."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope.bounds)
        self.apart = scope

    @property
    def has_symmetry(self) -> bool:
        """Every world is met."""
        return False

    def begin(self) -> tuple[State, ...]:
        """Everything at the beginning."""
        return (self.apart.joined(self.apart.begin()),)

    def within(self, part: State, place: int) -> bool:
        """Whether all parts are."""
        apart = self.apart
        return all(apart.within(apart.part(part, at), at) for at in range(len(apart.names)))

    def attempts(self, part: State, place: int, instant: Instant) -> Iterator[Attempt]:
        """Every call on each reach."""
        for reach, places in enumerate(self.apart.reaches):
            told = self.apart.part(part, places[0]) if len(places) == 1 else part
            yield from self.apart.attempts(told, reach, instant)


def whole(scope: Scope) -> Explored:
    """A search of whole states."""
    made = Whole(scope)
    made.chapter = scope.chapter  # type: ignore[misc]  # of this one scope
    return Search(made).run()


LIVE = {"turn_input": (2_204, 111_872), "queued_work": (1_975, 119_528)}
"""Worlds and calls of the scope of a suite in which the other session is called too."""


@pytest.mark.parametrize("chapter", LIVE)
def test_parts_and_the_whole_agree(chapter: str) -> None:
    """Worlds, calls, those that lead out of the scope, what decided an answer and which cells are filled are the same."""
    scope = SCOPES[chapter](replace(SCOPES[chapter].suite, sessions=2))
    apart, at_once = Search(scope, reduce=False).run(), whole(scope)
    figures = apart.figures
    assert (figures.worlds, figures.calls) == LIVE[chapter]
    assert (at_once.figures.worlds, at_once.figures.calls) == LIVE[chapter]
    assert (at_once.figures.beyond, at_once.figures.depth) == (figures.beyond, figures.depth)
    assert at_once.decided.keys() == apart.decided.keys()
    assert at_once.cells == apart.cells
    assert at_once.broken == apart.broken == {}
    assert require_independence(apart.search, 50) > 2_000
