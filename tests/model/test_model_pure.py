"""The model is a function: nothing is changed in place, equal histories give equal states, refusals give back the state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from fencepost.model import TRANSITIONS, Refused, State
from fencepost.spec import (
    ActivePath,
    Append,
    Busy,
    FullGraph,
    HydratedSessionCheckpoint,
    ReplaceFull,
    RuntimeTurnCommitStamp,
    SessionExecutionLeaseCompletion,
    SessionGraph,
    SessionMeta,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    Unchanged,
)
from fencepost.spec.operations import OPERATIONS
from model_builders import (
    CLAIM,
    COMMIT,
    LEASED,
    A,
    B,
    commit,
    committed,
    completion,
    fence,
    held,
    leased,
    nobody_lives,
    node,
    ours,
    ports,
    run,
)

STAMP = RuntimeTurnCommitStamp("s", "turn-1", "hash-1")
OWN_LEASE = completion()

SETTLED = committed(
    LEASED,
    commit(
        turn_commit=STAMP,
        graph=Append((node("a"), node("b", "a")), "b"),
        usage_deltas=(TokenLedgerEntry("main", "m", TokenUsage(1)),),
        checkpoint=HydratedSessionCheckpoint(tool_state=ToolState(1), execution_state=b"bytes"),
    ),
)

CALLS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    (CLAIM, ("s", A, 5)),
    (CLAIM, ("s2", B, 5)),
    ("reclaim_session_execution_lease", ("s", B, fence(), 5)),
    ("renew_session_execution_lease", (fence(), 5)),
    ("release_session_execution_lease", (OWN_LEASE,)),
    (COMMIT, (commit(graph=Append((node("c"), node("a", None, "again")), "c"), release_session_execution_lease=OWN_LEASE),)),
    (COMMIT, (commit(graph=ReplaceFull(SessionGraph((node("z"),), "z"))),)),
    (COMMIT, (commit(graph=Unchanged("a"), checkpoint=HydratedSessionCheckpoint(tool_state=ToolState(2))),)),
    (COMMIT, (commit(turn_commit=STAMP, release_session_execution_lease=OWN_LEASE),)),
    ("load_session", (FullGraph(),)),
    ("load_session", (ActivePath("a"),)),
    ("load_node", ("a",)),
    ("save_session_meta", (SessionMeta("s", "n", "", "m"),)),
    ("load_session_meta", ()),
    ("durability_tier", ()),
)


def test_the_calls_below_are_of_every_operation() -> None:
    """No transition is left out."""
    assert {operation for operation, _ in CALLS} == set(TRANSITIONS) == set(OPERATIONS)


@pytest.mark.parametrize(("operation", "arguments"), CALLS)
def test_a_transition_changes_no_state_in_place(operation: str, arguments: tuple[Any, ...]) -> None:
    """The state that a call was made in is afterwards what it was, to the last field, and the call gives the same again."""
    twin = committed(
        leased({"s": held()}),
        commit(
            turn_commit=STAMP,
            graph=Append((node("a"), node("b", "a")), "b"),
            usage_deltas=(TokenLedgerEntry("main", "m", TokenUsage(1)),),
            checkpoint=HydratedSessionCheckpoint(tool_state=ToolState(1), execution_state=b"bytes"),
        ),
    )
    first = run(SETTLED, operation, *arguments, at=ports(alive=nobody_lives))
    assert twin == SETTLED
    assert hash(twin) == hash(SETTLED)
    assert run(SETTLED, operation, *arguments, at=ports(alive=nobody_lives)) == first


def replayed(calls: Iterable[tuple[str, tuple[Any, ...]]]) -> State:
    """The state after these calls."""
    state = LEASED
    for operation, arguments in calls:
        state = ours(state, operation, *arguments, at=ports(alive=nobody_lives)).state
    return state


def test_equal_histories_give_equal_states() -> None:
    """The same calls from the same start give states that are equal and hash equal, and another history does not."""
    first, second = replayed(CALLS), replayed(CALLS)
    assert first is not second
    assert first == second
    assert hash(first) == hash(second)
    assert len({first, second, replayed(CALLS[:-3])}) == 2


def test_calls_about_different_things_commute() -> None:
    """Claims of two sessions and a save of metadata give the same state in either order."""
    calls = ((CLAIM, ("s2", B, 5)), (CLAIM, ("s3", A, 5)), ("save_session_meta", (SessionMeta("s", "n", "", "m"),)))
    assert replayed(calls) == replayed(reversed(calls))


REFUSED: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("renew_session_execution_lease", (fence(number=2), 5)),
    (COMMIT, (commit(session_id="s2"),)),
    (COMMIT, (commit(turn_commit=RuntimeTurnCommitStamp("s", "turn-1", "other")),)),
    (COMMIT, (commit(session_execution_lease=None),)),
    (COMMIT, (commit(expected_head_revision=7),)),
    (COMMIT, (commit(graph=ReplaceFull(SessionGraph((node("a"), node("a"))))),)),
)


@pytest.mark.parametrize(("operation", "arguments"), REFUSED)
def test_value_7_a_refused_call_gives_the_very_state_back(operation: str, arguments: tuple[Any, ...]) -> None:
    """Not an equal state but the same object: that is how the checker knows that nothing may have changed."""
    step = ours(SETTLED, operation, *arguments)
    assert isinstance(step.answer, Refused)
    assert step.state is SETTLED


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        (CLAIM, ("s", B, 5)),
        ("reclaim_session_execution_lease", ("s", B, fence(), 5)),
        ("release_session_execution_lease", (SessionExecutionLeaseCompletion("s", B, "token-3", 3),)),
        (COMMIT, (commit(turn_commit=STAMP),)),
        ("load_session", (FullGraph(),)),
        ("load_session", (ActivePath(),)),
        ("load_node", ("a",)),
        ("load_session_meta", ()),
    ],
)
def test_value_7_and_read_16_calls_without_effect_give_the_very_state_back(operation: str, arguments: tuple[Any, ...]) -> None:
    """A Busy answer, a release that matches nothing, a replay and every read leave the same object.

    Of a read it is the second: the first tells that the store serves its kind of scope (READ-18).
    """
    state = ours(SETTLED, operation, *arguments).state if operation == "load_session" else SETTLED
    step = ours(state, operation, *arguments)
    assert step.state is state
    assert operation != CLAIM or isinstance(step.answer, Busy)


def test_commit_2a_a_first_commit_that_is_refused_leaves_a_note_and_nothing_else() -> None:
    """That somebody tried to commit for s widens what is admitted later; all that can be read is as before."""
    step = ours(LEASED, COMMIT, commit(expected_head_revision=7))
    assert isinstance(step.answer, Refused)
    assert step.state.commit.attempted == "s"
    assert (step.state.lease, step.state.commit.head, step.state.session) == (LEASED.lease, None, LEASED.session)


def test_every_admissible_step_of_a_refusal_gives_the_very_state_back() -> None:
    """Also the refusals that only CURRENT requirements admit change nothing."""
    again = commit(graph=Append((node("a"),), "a"))
    steps = [step for step in run(SETTLED, COMMIT, again) if isinstance(step.answer, Refused)]
    assert len(steps) == 1
    assert all(step.state is SETTLED for step in steps)
