"""The invariants: every predicate holds of every state that the machines reach, and rejects states made to break it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fencepost.model import INVARIANTS, State
from fencepost.model.records.commit import Part, Stamp
from fencepost.model.records.lease import LeaseRecord, LeaseState
from fencepost.spec import (
    U64_MAX,
    Append,
    PersistedTurnState,
    RuntimeCommitResult,
    RuntimeTurnCommitStamp,
    SessionCheckpoint,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
)
from fencepost.spec.catalogue import requirements
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.run import MACHINES, Budget, Setup, run_machine
from immutables import Map
from model_builders import LEASED, commit, committed, free, held, leased, node
from msgspec.structs import replace

USAGE = TokenLedgerEntry("main", "m", TokenUsage(1))
SETTLED = committed(
    LEASED,
    commit(
        turn_commit=RuntimeTurnCommitStamp("s", "turn-1", "hash-1"),
        graph=Append((node("a"), node("b", "a")), "b"),
        usage_deltas=(USAGE,),
    ),
)
AGAIN = committed(SETTLED, commit(turn_commit=RuntimeTurnCommitStamp("s", "turn-2", "hash-2")))


def commit_with(state: State, **changes: Any) -> State:
    """The state with these fields of its commit chapter changed."""
    return replace(state, commit=replace(state.commit, **changes))


def head_with(state: State, **changes: Any) -> State:
    """The state with these fields of its head changed."""
    assert state.commit.head is not None
    return commit_with(state, head=replace(state.commit.head, **changes))


def stamp(revision: int, turn_hash: str = "hash-1") -> Stamp:
    """A recorded turn at this revision."""
    return Stamp(turn_hash, RuntimeCommitResult(revision, "ref", SessionCheckpoint(PersistedTurnState())))


def lanes(records: dict[str, Any], issued: dict[tuple[str, str], int]) -> State:
    """A state with these records and just these issued tokens."""
    return State(lease=LeaseState(Map(records), Map(issued)))


NEVER_ISSUED = lanes({"s": held()}, {})
ISSUED_TO_ANOTHER_SESSION = lanes({"s": held()}, {("s2", "token-3"): 3})

BAD: dict[str, tuple[tuple[State, State], ...]] = {
    "LEASE-INV-1": (
        (LEASED, leased({"s": free(2)})),
        (LEASED, leased({"s": held(token="token-4", fence=5)})),
        (LEASED, leased({"s": held(token="token-4", fence=3)})),
        (LEASED, leased({"s": held(fence=4)})),
        (leased({"s": free(3)}), leased({"s": free(4)})),
        (LEASED, leased({})),
        (State(), leased({"s": held(fence=2)})),
    ),
    "LEASE-INV-2": ((State(), NEVER_ISSUED), (State(), ISSUED_TO_ANOTHER_SESSION)),
    "LEASE-18": ((State(), NEVER_ISSUED), (State(), ISSUED_TO_ANOTHER_SESSION)),
    "LEASE-INV-3": ((State(), lanes({"s": held()}, {("s", "token-3"): 3, ("s", "token-x"): 3})),),
    "LEASE-INV-4": (
        (State(), leased({"s": LeaseRecord(3, False, ("", ""), None, "", 500, 0)})),
        (State(), leased({"s": LeaseRecord(3, False, ("", ""), None, "token-3", 0, 0)})),
        (State(), leased({"s": LeaseRecord(3, False, ("a", "1"), None, "", 0, 0)})),
    ),
    "LEASE-34a": ((State(), leased({"s": free(0)})),),
    "LEASE-INV-5": ((State(), NEVER_ISSUED), (State(), lanes({"s": held()}, {("s", "token-3"): 2}))),
    "COMMIT-INV-1": (
        (SETTLED, head_with(SETTLED, revision=3)),
        (AGAIN, head_with(AGAIN, revision=1)),
        (SETTLED, head_with(SETTLED, current_agent_frame_id="changed")),
        (LEASED, head_with(SETTLED, revision=2)),
        (SETTLED, LEASED),
    ),
    "COMMIT-INV-2": (
        (SETTLED, LEASED),
        (SETTLED, head_with(AGAIN, session_id="s2")),
        (LEASED, head_with(SETTLED, revision=0)),
    ),
    "COMMIT-INV-3": (
        (SETTLED, commit_with(SETTLED, stamps=Map({("s", "turn-1"): stamp(2)}))),
        (AGAIN, commit_with(AGAIN, stamps=Map({("s", "turn-1"): stamp(1), ("s", "turn-2"): stamp(1)}))),
        (LEASED, commit_with(LEASED, stamps=Map({("s", "turn-1"): stamp(1)}))),
    ),
    "COMMIT-INV-4": (
        (SETTLED, commit_with(SETTLED, stamps=Map())),
        (SETTLED, commit_with(SETTLED, stamps=Map({("s", "turn-1"): stamp(1, "other")}))),
        (SETTLED, commit_with(SETTLED, stamps=Map({("s", "turn-1"): stamp(1)}))),
    ),
    "COMMIT-INV-5": (
        (SETTLED, commit_with(SETTLED, usage=())),
        (SETTLED, commit_with(SETTLED, usage=(TokenLedgerEntry("main", "m", TokenUsage(2)),))),
    ),
    "COMMIT-8b": (
        (State(), SETTLED),
        (replace(SETTLED, lease=leased({"s": free(3)}).lease), AGAIN),
        (replace(SETTLED, lease=leased({"s2": held()}).lease), AGAIN),
    ),
    "READ-INV-1": (
        (LEASED, head_with(SETTLED, parts=Map({"tool_state": Part("ref", ToolState(1), carried=False)}))),
        (
            LEASED,
            commit_with(
                head_with(SETTLED, parts=Map({"tool_state": Part("ref", ToolState(1), carried=False)})),
                blobs=Map({("tool_state", "ref"): ToolState(2)}),
            ),
        ),
    ),
    "READ-INV-2": (
        (LEASED, commit_with(SETTLED, order=("a", "b", "b"))),
        (LEASED, commit_with(SETTLED, order=("a",))),
        (LEASED, commit_with(SETTLED, order=("a", "c"))),
    ),
    "READ-INV-3": ((LEASED, commit_with(SETTLED, nodes=Map({"a": node("a"), "b": node("c", "a")}))),),
}
"""Steps `(before, after)` that each invariant has to reject, made by hand."""


def test_every_invariant_has_a_bad_step_and_a_requirement() -> None:
    """The table names just the registered invariants, and all of them stand in the catalogue."""
    assert {each.requirement for each in INVARIANTS} == set(BAD)
    assert set(BAD) <= set(requirements())


@pytest.mark.parametrize(
    ("requirement", "before", "after"),
    [(requirement, before, after) for requirement, steps in BAD.items() for before, after in steps],
)
def test_an_invariant_rejects_what_breaks_it(requirement: str, before: State, after: State) -> None:
    """A step made to break the invariant does not satisfy it."""
    assert [each.holds(before, after) for each in INVARIANTS if each.requirement == requirement] == [False]


LAST = leased({"s": held(fence=U64_MAX)})
ONE_MORE = leased({"s": held(token="token-x", fence=U64_MAX)}, {("s", "token-3"): U64_MAX})
"""Two grants at the end of all numbers share their fencing token (LEASE-11)."""


@pytest.mark.parametrize(
    ("before", "after"),
    [(State(), State()), (LEASED, LEASED), (LEASED, SETTLED), (SETTLED, AGAIN), (LAST, ONE_MORE)],
)
def test_every_invariant_holds_of_good_steps(before: State, after: State) -> None:
    """Nothing that happened, and commits under a held lease, satisfy all invariants."""
    assert [each.requirement for each in INVARIANTS if not each.holds(before, after)] == []


class Watched(ModelStore):
    """A store that is the model, and looks at every invariant whenever a call has been made."""

    steps = 0

    def __setattr__(self, name: str, value: object) -> None:
        if name == "state" and isinstance(value, State) and name in vars(self):
            Watched.steps += 1
            assert [each.requirement for each in INVARIANTS if not each.holds(self.state, value)] == []
        super().__setattr__(name, value)


@pytest.mark.parametrize("chapter", MACHINES)
def test_invariants_hold_of_all_that_a_machine_reaches(chapter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chapter's machine, run against the model, keeps every invariant at every call it makes."""
    monkeypatch.setattr(Watched, "steps", 0)
    assert run_machine(MACHINES[chapter], Setup(Watched, tmp_path), Budget(seed=1, examples=40, steps=40)) is None
    assert Watched.steps > 1_000
