"""Scopes of several parts: searched part by part they give what they give where every call is made on the whole state."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fencepost.model import State
from fencepost.statemachines.expansion import NotIndependent
from fencepost.statemachines.explore import Search
from fencepost.statemachines.scope import Attempt, Bounds, Instant, Scope
from fencepost.statemachines.scopes import SCOPES, commit
from fencepost.statemachines.scopes.commit import CommitScope
from fencepost.statemachines.witness import require_independence

SMALL = {
    "commit": Bounds(sessions=2, rows=1, times=1, tokens=2),
    "session": Bounds(sessions=2, rows=1),
    "maintenance": Bounds(sessions=2, rows=1),
}
"""Bounds within which whole states can be searched in a second."""


class Whole(Scope):
    """Another scope with all its parts taken as one."""

    def __init__(self, parted: Scope) -> None:
        super().__init__(parted.bounds, canonical=parted.canonical)
        self.parted, self.chapter = parted, parted.chapter  # type: ignore[misc]

    def begin(self) -> tuple[State, ...]:
        """All parts at the beginning."""
        return (self.parted.joined(self.parted.begin()),)

    def within(self, part: State, place: int) -> bool:
        """Whether each part is."""
        return all(self.parted.within(self.parted.part(part, at), at) for at in range(len(self.parted.names)))

    def attempts(self, part: State, place: int, instant: Instant) -> Iterator[Attempt]:
        """What is tried on each reach."""
        for reach, places in enumerate(self.parted.reaches):
            shown = self.parted.part(part, places[0]) if len(places) == 1 else part
            yield from self.parted.attempts(shown, reach, instant)


@pytest.mark.parametrize("chapter", SMALL)
def test_the_whole_is_searched_to_the_same_end(chapter: str) -> None:
    """Worlds, calls, those that lead out of the scope, depth, cells and decided requirements are the same."""
    scope = SCOPES[chapter](SMALL[chapter])
    assert len(scope.names) > 1
    parted, whole = Search(scope, reduce=False).run(), Search(Whole(scope), reduce=False).run()
    assert parted.decided.keys() == whole.decided.keys()
    assert parted.cells == whole.cells
    assert parted.broken == whole.broken == {}
    for figure in ("states", "calls", "moves", "beyond", "depth"):
        assert getattr(parted.figures, figure) == getattr(whole.figures, figure), figure


class Unseen(CommitScope):
    """A scope whose other lane does not see that the session is leased."""

    def shadow(self, part: State, place: int) -> State:
        """Nothing."""
        return State()


def test_a_commit_that_looks_at_the_other_lane_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made on the commits alone it releases nothing, made on the whole it does."""
    monkeypatch.setattr(commit, "_comes_to_lane", lambda *_: False)
    with pytest.raises(NotIndependent, match="commit_runtime_state on s1 sees more than its part"):
        require_independence(Search(CommitScope(SMALL["commit"])).run().search)


def test_a_lane_that_sees_too_little_is_found_out() -> None:
    """A claim is decided by LEASE-2 too, as another session is leased."""
    with pytest.raises(NotIndependent, match="try_claim_session_execution_lease on s2 sees more than its part"):
        require_independence(Search(Unseen(SMALL["commit"])).run().search)
