"""Suites: every edge of a small scope is taken, the same way each time, and what breaks the law on one of them is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from fencepost.kit.coverage import coverage
from fencepost.model import State
from fencepost.spec import Acquired, LeaseOwnerIdentity
from fencepost.statemachines.checker import Call, Move
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.expansion import stepped
from fencepost.statemachines.minted import Program
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.run import MACHINES, Setup, Violation
from fencepost.statemachines.scope import EPOCH, Bounds, Instant
from fencepost.statemachines.scopes import SCOPES
from fencepost.statemachines.scopes.lease import CLAIM, LeaseScope
from fencepost.statemachines.suite import run_programs, suite_of
from msgspec.structs import replace

TINY = Bounds(owners=2, processes=1, sessions=1, times=1, tokens=2, ttls=(1,))


def walked(scope: LeaseScope, program: Program) -> list[tuple[Instant, State, object]]:
    """What a program does, with the instant and the state in which it does it."""
    instant, state = scope.instants()[0], State()
    done: list[tuple[Instant, State, object]] = []
    for now, action, *_ in program:
        while instant.now < now:
            done.append((instant, state, "tick"))
            instant = instant._replace(now=instant.now + 1)
        done.append((instant, state, action))
        if isinstance(action, Move):
            instant = next((to for to, move in scope.moves(instant) if move == action), instant)
        else:
            tried = (each for each in scope.attempts(state, 0, instant) if each.call == action)
            state = stepped(state, next(tried), instant).state
    return done


def test_every_edge_is_taken() -> None:
    """Each call and move of each state that stays in the scope is made somewhere, and no sequence begins elsewhere."""
    scope = LeaseScope(TINY)
    suite = suite_of(scope)
    taken = {each for program in suite.programs for each in walked(scope, program)}
    states = {(instant, state) for instant, state, _ in taken}
    for instant, state in states:
        for attempt in scope.attempts(state, 0, instant):
            if scope.within(stepped(state, attempt, instant).state, 0):
                assert (instant, state, attempt.call) in taken
        assert {move for _, move in scope.moves(instant) if move.method != "tick"} <= {
            action for at, there, action in taken if (at, there) == (instant, state)
        }
    assert (len(states), suite.covered, len(suite.programs)) == (54, 1_673, 219)


def test_a_suite_is_the_same_each_time() -> None:
    """No chance takes part."""
    assert suite_of(LeaseScope(TINY)) == suite_of(LeaseScope(TINY))


@pytest.mark.parametrize("cover", ["edges", "states", "requirements"])
def test_the_model_passes(tmp_path: Path, cover: str) -> None:
    """What the scope says is what the model answers when it mints its own values."""
    suite, setup = suite_of(LeaseScope(TINY), cover), Setup(ModelStore, tmp_path)
    assert run_programs(MACHINES["lease"], setup, suite.programs) is None
    assert setup.tally.runs == len(suite.programs)
    assert setup.tally.steps == suite.calls


class Lenient(ModelStore):
    """Lets the holder claim again at the very ms of the expiry, with its old tokens."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._kept: dict[str, Acquired] = {}

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int) -> object:
        """Answer the old lease once more at the edge."""
        kept = self._kept.get(session_id)
        if kept and kept.lease.owner == owner and kept.lease.expires_at_epoch_ms == self._clock():
            return Acquired(replace(kept.lease, expires_at_epoch_ms=self._clock() + lease_ttl_ms))
        answer = self.__getattr__(CLAIM)(session_id, owner, lease_ttl_ms)  # type: ignore[operator]
        if isinstance(answer, Acquired):
            self._kept[session_id] = answer
        return answer


def test_a_fault_at_an_edge_is_found(tmp_path: Path) -> None:
    """The violation is shrunk to the claim and the claim 1 ms later."""
    violation = run_programs(MACHINES["lease"], Setup(Lenient, tmp_path), suite_of(LeaseScope(TINY)).programs)
    assert isinstance(violation, Violation)
    assert violation.requirements[0] == "LEASE-6"
    calls = [event.action.operation for event in violation.program if isinstance(event.action, Call)]
    assert calls == [CLAIM, CLAIM]
    assert [event.now for event in violation.program][-2:] == [EPOCH, EPOCH + 1]


@pytest.mark.parametrize(("chapter", "sequences", "calls", "cells"), [("event", 10, 58, 119), ("output", 16, 43, 55)])
def test_a_suite_of_cells_is_short(tmp_path: Path, chapter: str, sequences: int, calls: int, cells: int) -> None:
    """It exercises just the cells that it says, with a tenth of the calls that the edges take, or less."""
    suite = suite_of(SCOPES[chapter](SCOPES[chapter].suite), "cells")
    assert (len(suite.programs), suite.calls, suite.covered) == (sequences, calls, cells)
    setup = Setup(ModelStore, tmp_path)
    assert run_programs(MACHINES[chapter], setup, suite.programs) is None
    (exercised,) = coverage((chapter,), [setup.tally])
    assert exercised.exercised == cells
