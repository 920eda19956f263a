"""The search of small scopes: it meets what a plain search meets, symmetry changes no verdict, and it finds what is wrong."""

from __future__ import annotations

from dataclasses import replace as with_fields
from functools import cache
from typing import Any

import pytest
from fencepost.model import TRANSITIONS, State, Step, Steps
from fencepost.statemachines.checker import Call
from fencepost.statemachines.expansion import NotIndependent, stepped
from fencepost.statemachines.explore import Explored, Search
from fencepost.statemachines.scope import Bounds, Instant, Scope
from fencepost.statemachines.scopes.attachment import AttachmentScope
from fencepost.statemachines.scopes.lease import RENEW, LeaseScope
from fencepost.statemachines.scopes.output import OutputScope
from fencepost.statemachines.scopes.runtime import RuntimeScope
from fencepost.statemachines.witness import path_to, require_independence, witness
from immutables import Map
from msgspec.structs import replace

SMALL = Bounds(owners=3, processes=2, sessions=2, times=1, tokens=1, ttls=(0, 2))
TINY = Bounds(owners=2, processes=1, sessions=2, times=2, tokens=2, ttls=(1,))


def explored(bounds: Bounds, **how: Any) -> Explored:
    """A search of the lease chapter within these bounds."""
    return Search(LeaseScope(bounds), **how).run()


@cache
def small(*, reduce: bool = True) -> Explored:
    """A search that several tests look at."""
    return explored(SMALL, reduce=reduce)


def test_symmetry_changes_no_verdict() -> None:
    """Names of owners and sessions, and the time that it is, decide nothing: the same cells are filled either way."""
    reduced, whole = small(), small(reduce=False)
    assert reduced.decided.keys() == whole.decided.keys()
    assert reduced.cells == whole.cells
    assert reduced.broken == whole.broken == {}
    assert reduced.figures.depth == whole.figures.depth
    assert (reduced.figures.states, whole.figures.states) == (1_008, 4_176)


def test_every_shortest_path_stays_as_short() -> None:
    """A requirement is decided after as many steps in the reduced search as in the whole one."""
    reduced, whole = small(), small(reduce=False)
    lengths = {each: len(witness(whole.search, where)) for each, where in whole.decided.items()}
    assert {each: len(witness(reduced.search, where)) for each, where in reduced.decided.items()} == lengths


def test_minted_tokens_are_alike() -> None:
    """Whichever of the fresh lease tokens a store answers, nothing else is decided."""
    bounds = Bounds(owners=2, processes=1, sessions=1, times=2, tokens=2, ttls=(0, 2))
    one = explored(bounds)
    each = Search(LeaseScope(bounds, canonical=False), reduce=False).run()
    assert each.decided.keys() == one.decided.keys()
    assert each.cells == one.cells
    assert each.broken == {}
    assert each.figures.states > 2 * one.figures.states


def test_time_alone_makes_no_state() -> None:
    """One owner and one session: never leased, released, live with 1 ms to go or ended, wherever the clock stands."""
    bounds = Bounds(owners=1, sessions=1, times=3, tokens=1, ttls=(1,))
    assert explored(bounds).figures.states == 5
    assert explored(bounds, reduce=False).figures.states == 18


def test_processes_that_ask_the_model_find_the_same() -> None:
    """Two workers give the figures, the witnesses and the cells of one; each asks for itself what it has not asked."""
    one, two = explored(TINY), explored(TINY, workers=2)
    assert (two.decided, two.cells) == (one.decided, one.cells)
    assert of_the_scope(two) == of_the_scope(one)
    assert two.figures.asked >= one.figures.asked


def of_the_scope(found: Explored) -> dict[str, object]:
    """The figures that depend on the scope alone."""
    return {name: value for name, value in vars(found.figures).items() if name not in ("seconds", "asked")}


def test_the_shortest_witness() -> None:
    """A live lease is taken from the dead after three steps: a claim, the end of the process, and the reclaim."""
    found = small()
    path = witness(found.search, found.decided["LEASE-20"])
    assert [each.event.action[0] for each in path] == [
        "try_claim_session_execution_lease",
        "stop",
        "reclaim_session_execution_lease",
    ]
    assert path[-1].because == ("LEASE-20", "LEASE-26")


def test_paths_can_be_walked() -> None:
    """Each path, call by call on the whole state, gives the answers that it tells, and ends in its world."""
    search = explored(TINY).search
    for world in list(search.parents)[::50]:
        state, table = State(), search.instants[0].table
        for step in path_to(search, world):
            now, action, answer, _ = step.event
            if not isinstance(action, Call):
                table = search.instant_of(world).table if action.method != "tick" else table
                continue
            (ours,) = {
                each
                for place in range(2)
                for attempt in search.scope.attempts(search.scope.part(state, place), place, Instant(now, table))
                if attempt.call == action
                for each in [stepped(state, attempt, Instant(now, table))]
            }
            assert ours.answer == answer
            state = ours.state
        assert state == search.scope.joined(search.parts_of(world))


def test_a_broken_invariant_is_found_by_the_shortest_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that raises the fencing token is told as a claim and a renewal."""
    right = TRANSITIONS[RENEW]

    def raising(state: State, *arguments: Any) -> Steps:
        step, *_ = right(state, *arguments)
        return (_with_higher_fence(step) if step.state is not state else step,)

    monkeypatch.setitem(TRANSITIONS, RENEW, raising)
    found = explored(SMALL)
    path = witness(found.search, found.broken["LEASE-INV-1"])
    assert [each.event.action[0] for each in path] == ["try_claim_session_execution_lease", RENEW]


def _with_higher_fence(step: Step) -> Step:
    records = step.state.lease.records
    raised = records.update({name: with_fields(each, fencing_token=each.fencing_token + 1) for name, each in records.items()})
    return replace(step, state=replace(step.state, lease=replace(step.state.lease, records=raised)))


@pytest.mark.parametrize(
    ("scope", "bounds", "call"),
    [
        (LeaseScope, TINY, "try_claim_session_execution_lease on s1"),
        (RuntimeScope, Bounds(sessions=2, rows=1), "commit_session_boundary on r1"),
        (OutputScope, Bounds(sessions=2, rows=1), "output.append on t2"),
    ],
)
def test_a_scope_that_hides_too_much_is_found_out(scope: type[Scope], bounds: Bounds, call: str) -> None:
    """LEASE-2, RUNTIME-24 and ids look at other parts: without their shadows a call on the whole is decided otherwise."""
    assert require_independence(Search(scope(bounds)).run().search) > 1_000
    blind = type("Blind", (scope,), {"shadow": lambda *_: State()})
    with pytest.raises(NotIndependent, match=f"{call} sees more than its part"):
        require_independence(Search(blind(bounds)).run().search)


class Alone(AttachmentScope):
    """A scope that takes a call on all attachments for one on the first."""

    def _reach(self, call: Call) -> tuple[int, ...]:
        return super()._reach(call)[:1]


class Forgetful(AttachmentScope):
    """A scope whose parts leave out what was forgotten."""

    def part(self, whole: State, place: int) -> State:
        """The entry alone."""
        part = super().part(whole, place)
        return replace(part, attachment=replace(part.attachment, forgotten=Map()))


def test_calls_reach_several_parts() -> None:
    """A stamp of two attachments writes both, and a list tells of the store: 7,385 calls on whole states do the same."""
    search = Search(AttachmentScope(Bounds(rows=2))).run().search
    assert search.scope.reaches == ((0, 2), (1, 3), (4,), (0,), (0, 1), (1,), (0, 1, 4))
    assert require_independence(search, 200) == 7_385


def test_a_call_that_reaches_further_is_found_out() -> None:
    """A list that would be seen alone changes what it does not reach."""
    with pytest.raises(NotIndependent, match="list_uncommitted on a1 changes another part of the store"):
        Search(Alone(Bounds(rows=2))).run()


def test_parts_that_leave_something_out_are_found_out() -> None:
    """What no part shows would be lost: joined, the parts must be the whole."""
    with pytest.raises(NotIndependent, match="forget writes what no part of the store shows"):
        require_independence(Search(Forgetful(Bounds(rows=2))).run().search)


def test_memory_is_bounded() -> None:
    """Where memory is short the search stops, and what it lacks is unknown."""
    found = explored(SMALL, memory_mb=1)
    assert found.unknown == "it took more than 1 MB of memory"
    assert found.figures.frontier > 0
