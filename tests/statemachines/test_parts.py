"""Scopes of several parts: searched part by part they give what they give where every call is made on the whole state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import pytest
from fencepost.model import State
from fencepost.statemachines.checker import Call
from fencepost.statemachines.expansion import OPERATIONS_OF, NotIndependent, decided_by, stepped
from fencepost.statemachines.explore import Search
from fencepost.statemachines.scope import Bounds, Instant, Scope
from fencepost.statemachines.scopes import SCOPES, commit
from fencepost.statemachines.scopes.commit import CommitScope
from fencepost.statemachines.scopes.runtime import RuntimeScope
from fencepost.statemachines.situations import Answered, answered, cells_of
from fencepost.statemachines.witness import require_independence

COMMITS = Bounds(sessions=2, rows=1, times=1, tokens=2)


class Plain:
    """Every world, each with its whole state, by the plainest search there is, and what is decided there."""

    def __init__(self, scope: Scope) -> None:
        self.scope, self.calls = scope, 0
        self.decided, self.answers = set[str](), set[Answered]()
        start = (scope.instants()[0], scope.joined(scope.begin()))
        self.met, frontier = {start}, [start]
        while frontier:
            for world in self._after(*frontier.pop()):
                if world not in self.met:
                    self.met.add(world)
                    frontier.append(world)

    def _after(self, instant: Instant, state: State) -> Iterator[tuple[Instant, State]]:
        scope = self.scope
        for later, _ in scope.moves(instant):
            yield later, state
        for reach, (first, *others) in enumerate(scope.reaches):
            for attempt in scope.attempts(state if others else scope.part(state, first), reach, instant):
                step = stepped(state, attempt, instant)
                self.calls += 1
                self.decided.update(decided_by(step))
                if attempt.call.operation in OPERATIONS_OF[scope.chapter]:
                    self.answers.add(answered(state, instant.now, attempt.call, step))
                places = range(len(scope.names))
                if all(map(scope.within, scope.parts(step.state, places), places)):
                    yield instant, step.state


class Some(RuntimeScope):
    """A third of the calls, which show others all that there is to be seen: whole states of all of them take long."""

    def _tried(self, name: str) -> Iterator[Call]:
        return islice(super()._tried(name), 0, None, 3)


@pytest.mark.parametrize(
    ("scope", "worlds"),
    [
        (SCOPES["lease"](Bounds(owners=2, processes=1, sessions=2, times=2, tokens=2, ttls=(1,))), 1_185),
        (SCOPES["turn_input"](replace(SCOPES["turn_input"].suite, sessions=2)), 2_204),
        (SCOPES["queued_work"](replace(SCOPES["queued_work"].suite, sessions=2)), 1_975),
        (CommitScope(COMMITS), 713),
        (SCOPES["session"](Bounds(sessions=2, rows=1)), 520),
        (SCOPES["maintenance"](Bounds(sessions=2, rows=1)), 4_712),
        (SCOPES["attachment"](Bounds(rows=2)), 2_311),
        (Some(Bounds(sessions=2, rows=1)), 1_089),
        (SCOPES["event"](Bounds(sessions=2, rows=1)), 3_136),
        (SCOPES["output"](Bounds(sessions=2, rows=1)), 313),
    ],
    ids=lambda value: getattr(value, "chapter", None),
)
def test_a_plain_search_finds_the_same(scope: Scope, worlds: int) -> None:
    """Parts and their product are no more and no less than what whole states show: worlds, calls, and what decides them."""
    found, plain = Search(scope, reduce=False).run(), Plain(scope)
    search = found.search
    assert {(search.instant_of(world), scope.joined(search.parts_of(world))) for world in search.parents} == plain.met
    assert (len(plain.met), found.figures.calls) == (worlds, plain.calls)
    assert found.decided.keys() == plain.decided
    assert found.cells == cells_of(plain.answers)


class Unseen(CommitScope):
    """A scope whose other lane does not see that the session is leased."""

    def shadow(self, part: State, place: int) -> State:
        """Nothing."""
        return State()


def test_a_commit_that_looks_at_the_other_lane_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made on the commits alone it releases nothing, made on the whole it does."""
    monkeypatch.setattr(commit, "_comes_to_lane", lambda *_: False)
    with pytest.raises(NotIndependent, match="commit_runtime_state on s1 sees more than its part"):
        require_independence(Search(CommitScope(COMMITS)).run().search)


def test_a_lane_that_sees_too_little_is_found_out() -> None:
    """A claim is decided by LEASE-2 too, as another session is leased."""
    with pytest.raises(NotIndependent, match="try_claim_session_execution_lease on s2 sees more than its part"):
        require_independence(Search(Unseen(COMMITS)).run().search)
