"""Races: every call that writes is in one that shows when it is lost, or when it undoes what another has written meanwhile."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fencepost.kit.backend import load_factory
from fencepost.kit.duckdb import memory
from fencepost.kit.showing.counterexample import counterexample
from fencepost.kit.showing.telling import expected, in_words
from fencepost.model import TRANSITIONS, Ports, Refused, State
from fencepost.spec import LeaseOwnerIdentity, Stores
from fencepost.spec.contracts import ContractBroken
from fencepost.spec.operations import OPERATIONS, Operation
from fencepost.statemachines.checker import Checker, Crash, Violation
from fencepost.statemachines.environment import CAPABILITIES, Environment
from fencepost.statemachines.following import Call
from fencepost.statemachines.machine import Setup
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.races import ROUNDS, STRIDE, explained, raced, waits
from fencepost.statemachines.rivals import ALL, HALF, RACES, Race
from fencepost.statemachines.tally import Tally
from msgspec.structs import replace

WRITES = [name for name, operation in OPERATIONS.items() if not operation.reads]

WAIT_S = 0.002
"""How long the store below keeps what it has read before it writes: a disk, or a network."""


WITH_ALL_ELSE = {"save_session_meta"}
"""What loses nothing where it writes its own part of the store alone: metadata stands apart, and the last save counts."""


class Losing(ModelStore):
    """One call reads, lets others in, and writes back what it made of what it had read; all others are made one by one.

    It writes back whole parts, such as all leases, or all inputs of whatever session.
    """

    def __init__(self, environment: Environment, loses: str) -> None:
        super().__init__(environment)
        self._loses = loses

    def _call(self, operation: Operation, arguments: tuple[object, ...]) -> object:
        if operation.name != self._loses:
            return super()._call(operation, arguments)
        operation.refuse_invalid(arguments)
        read = self.state
        step = TRANSITIONS[operation.name](read, Ports(self._clock(), self._alive, codec=self._codec), *arguments)[0]
        time.sleep(WAIT_S)
        with self._lock:
            self.state = step.state if operation.name in WITH_ALL_ELSE else replace(self.state, **changed(read, step.state))
        if isinstance(step.answer, Refused):
            raise step.answer.error
        return step.answer


def changed(read: State, made: State) -> dict[str, object]:
    """The parts that are other ones than before."""
    return {name: getattr(made, name) for name in State.__struct_fields__ if getattr(made, name) != getattr(read, name)}


def found_where_lost(name: str, directory: Path) -> Violation | None:
    """What the races of its chapter find in a store that loses what others do beside this call."""
    setup = Setup(lambda environment: Losing(environment, name), directory)
    setup.declared = frozenset(CAPABILITIES)
    return raced(setup, OPERATIONS[name].chapter)


@pytest.mark.parametrize("name", WRITES)
def test_what_is_lost_beside_a_call_is_seen(name: str, tmp_path: Path) -> None:
    """By a race in which that call is made."""
    found = found_where_lost(name, tmp_path)
    assert found is not None
    assert found.is_race
    assert name in {each.call.operation for each in found.performed}


def test_a_store_that_loses_nothing_passes(tmp_path: Path) -> None:
    """The same store, where the slow call is one that writes nothing."""
    for chapter in RACES:
        setup = Setup(lambda environment: Losing(environment, "durability_tier"), tmp_path)
        setup.declared = frozenset(CAPABILITIES)
        assert raced(setup, chapter) is None


def made_at_once(race: Race, directory: Path) -> set[str]:
    """The calls of a race that are made at once."""
    store = ModelStore(Environment(directory))
    threads = race.calls(lambda operation, *arguments: getattr(store, operation)(*arguments))
    return {call.operation for thread in threads for call in ([thread] if isinstance(thread, Call) else thread)}


def test_every_call_that_writes_is_made_at_once_with_another(tmp_path: Path) -> None:
    """In a race of its chapter; none is left out."""
    met = {(chapter, name) for chapter, races in RACES.items() for race in races for name in made_at_once(race, tmp_path)}
    assert {name for name in WRITES if (OPERATIONS[name].chapter, name) not in met} == set()


def test_a_few_rounds_have_every_order_and_every_gap() -> None:
    """They are spread over all: half of the rounds is each order twice, and every gap at least twice."""
    rounds = [number * STRIDE % ROUNDS for number in range(ROUNDS)]
    assert sorted(rounds) == list(range(ROUNDS))
    assert (ALL, HALF) == (24, 12)
    half = [waits(3, number) for number in rounds[:HALF]]
    assert sorted({max(each) / 2 for each in half}) == [0, 0.000_2, 0.001, 0.004]
    assert len({number % 6 for number in rounds[:HALF]}) == 6


class Raising(ModelStore):
    """A store whose database refuses to begin a transaction in the middle of another."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._at_work = threading.Lock()

    def try_claim_session_execution_lease(self, *arguments: Any) -> Any:
        """Claim, but not beside another claim."""
        if not self._at_work.acquire(blocking=False):
            raise RuntimeError("there is a transaction already")
        try:
            time.sleep(0.005)
            return self._call(OPERATIONS["try_claim_session_execution_lease"], arguments)
        finally:
            self._at_work.release()


def test_a_call_that_raises_beside_others_is_the_one_that_is_told(tmp_path: Path) -> None:
    """It is wrong in every order, and comes last."""
    setup = Setup(Raising, tmp_path)
    setup.declared = frozenset(CAPABILITIES)
    found = raced(setup, "lease")
    assert found is not None
    assert found.requirements == ("VALUE-6", "LEASE-18")
    assert isinstance(found.performed[-1].answer, Crash)
    assert found.reason.endswith(
        "raised RuntimeError: there is a transaction already (test_races.py, line 125); only a StoreError may leave a call"
    )


def test_a_call_that_breaks_its_contract_beside_others_is_the_one_that_is_told(tmp_path: Path) -> None:
    """It comes last, though the model admits its answer and it was not the last, and the others keep theirs."""
    environment = Environment(tmp_path)
    checker = Checker(ModelStore(environment), environment, Tally())
    first, second = (Call("try_claim_session_execution_lease", ("s", LeaseOwnerIdentity(name, "1"), 10)) for name in "ab")
    wrong, right = checker.made(first), checker.made(second)
    broken = ContractBroken(("LEASE-2",), "what was seen")
    with pytest.raises(Violation) as caught:
        explained(checker, RACES["lease"][0], ((wrong._replace(broken=broken),), (right,)))
    assert caught.value.requirements[0] == "LEASE-2"
    assert [(each.call, each.answer) for each in checker.performed] == [(second, right.answer), (first, Crash(broken))]


def test_of_a_race_nobody_says_that_its_program_was_tried(tmp_path: Path) -> None:
    """A store that is handed out again has a hint for programs that were called again, and a race has none."""
    found = found_where_lost("renew_queued_work_claim", tmp_path)
    assert found is not None
    factory = load_factory("test_races:shared")
    assert factory.gives_one_store()
    shown = counterexample(factory, "queued_work", found)
    assert (shown.hint, shown.reproduces) == (None, False)


SHARED: list[Stores] = []


def shared(environment: Environment) -> Stores:
    """The same stores for everybody."""
    if not SHARED:
        SHARED.append(memory(environment))
    return SHARED[0]


def test_where_each_call_is_right_by_itself_an_order_is_missing(tmp_path: Path) -> None:
    """No answer is told to be wrong, and none to be right in its place."""
    found = found_where_lost("renew_queued_work_claim", tmp_path)
    assert found is not None
    shown = counterexample(load_factory("fencepost.kit.duckdb:memory"), "queued_work", found)
    assert expected(shown) == "an order of the calls in which each is answered as it was"
    told = "By QRENEW-2 there had to be an order of the calls in which each is answered as it was: there is none."
    assert in_words(shown).endswith(told)
