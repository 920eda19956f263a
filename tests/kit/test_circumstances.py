"""What a history leaves open: the instants that are tried stand for all, and what commutes can be taken in any order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fencepost.kit.histories.circumstances import commute, instants
from fencepost.model import TRANSITIONS, Ports, Refused, State
from fencepost.spec import U64_MAX, Acquired, Alive, LeaseOwnerIdentity, decode_session
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.following import Call, Candidate, Following, Made, every_instant
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.run import MACHINES, Budget, Setup, run_machine

CLOCKED = ("lease", "turn_input", "queued_work", "commit")


class Noting(ModelStore):
    """The model, which notes each call with the state before it, the instant and the answer."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.noted: list[tuple[State, int, Call, object]] = []
        NOTED.append(self.noted)

    def _call(self, operation: Any, arguments: tuple[object, ...]) -> object:
        before, call = self.state, Call(operation.name, arguments)
        try:
            answer = super()._call(operation, arguments)
        except Exception as error:
            self.noted.append((before, self._clock(), call, Refused(error)))  # type: ignore[arg-type]  # a StoreError
            raise
        self.noted.append((before, self._clock(), call, answer))
        return answer


NOTED: list[list[tuple[State, int, Call, object]]] = []


def made(call: Call, answer: object, began: int, ended: int) -> Made:
    """A call of this interval, of a store whose oracle nobody can ask."""
    return Made(call, answer, began, ended, None, decode_session)


def reached(state: State, call: Made, how: Any) -> list[State]:
    """The states after the call, each once, in no order."""
    following = Following(State(), instants=how)
    following.candidates = (Candidate(state),)
    taken = following.ways(call)
    if not taken:
        return []
    following.go(taken, ())
    return [each.state for each in following.candidates]


def intervals(now: int) -> Iterator[tuple[int, int]]:
    """Intervals around an instant, and beside it: short ones, and some that reach over every end that calls come to."""
    for before, after in itertools.product((-1, 0, 12), (0, 1, 30)):
        yield max(0, now - before), now + after


@pytest.mark.parametrize("chapter", CLOCKED)
def test_a_few_instants_stand_for_all(chapter: str, tmp_path: Path) -> None:
    """For calls of the machines, in intervals around them, the same states are reached as by every millisecond."""
    NOTED.clear()
    assert run_machine(MACHINES[chapter], Setup(Noting, tmp_path), Budget(seed=5, examples=6, steps=30)) is None
    noted = [each for of_one in NOTED for each in of_one]
    calls = noted[:: len(noted) // 40]
    compared = tried = 0
    for state, now, call, answer in calls:
        if now > U64_MAX - 100:
            continue
        for began, ended in intervals(now):
            given = made(call, answer, began, ended)
            few = reached(state, given, instants)
            compared += 1
            tried += len(instants(state, given, began))
            everywhere = reached(state, given, every_instant)
            assert len(few) == len(everywhere), (call, answer, began, ended)
            assert all(each in everywhere for each in few)
    assert compared > 300
    assert tried < 4 * compared


def test_the_largest_instants_are_tried_too() -> None:
    """A time to live that reaches the end of numbers within the interval makes another sum on each side of it."""
    owner, ttl = LeaseOwnerIdentity("a", "1"), U64_MAX - 1_010
    transition = TRANSITIONS["try_claim_session_execution_lease"]
    for now in (1_005, 1_010, 1_011, 1_015):
        step = transition(State(), Ports(now, lambda *_: Alive.unknown), "s", owner, ttl)[0]
        assert isinstance(step.answer, Acquired)
        given = made(Call("try_claim_session_execution_lease", ("s", owner, ttl)), step.answer, 1_000, 1_020)
        assert reached(State(), given, instants) == reached(State(), given, every_instant) != []


def test_calls_that_commute_leave_one_state(tmp_path: Path) -> None:
    """Of the pairs of calls that stand next to each other in runs of all machines those that commute do so in fact."""
    NOTED.clear()
    for chapter in MACHINES:
        assert run_machine(MACHINES[chapter], Setup(Noting, tmp_path), Budget(seed=3, examples=2, steps=20)) is None
    beside = [pair for noted in NOTED for pair in itertools.pairwise(noted) if pair[0][0] is not pair[1][0]]
    pairs = [pair for pair in beside if commute(pair[0][2], pair[1][2])]
    changed = 0
    for (state, now, one, first), (between, later, other, second) in pairs:
        if now != later:
            continue
        onward = reached(between, made(other, second, later, later), every_instant)
        for turned in reached(state, made(other, second, later, later), every_instant):
            assert onward[0] in reached(turned, made(one, first, now, now), every_instant), (one, other)
            changed += onward[0] is not state
    assert changed > 10
