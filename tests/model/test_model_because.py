"""Why an answer is what it is: each deciding requirement is named where it decides, and nowhere else."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from fencepost.model import State
from fencepost.spec import (
    U64_MAX,
    Acquired,
    ActivePath,
    Append,
    FullGraph,
    HydratedSessionCheckpoint,
    LeaseOwnerIdentity,
    QueuedWorkCompletion,
    ReplaceFull,
    RuntimeTurnCommitStamp,
    SessionExecutionLease,
    SessionGraph,
    SessionMeta,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    TurnInputCompletion,
    Unchanged,
)
from model_builders import (
    CLAIM,
    COMMIT,
    LEASED,
    NOW,
    RECLAIM,
    RELEASE,
    RENEW,
    A,
    B,
    commit,
    committed,
    completion,
    everybody_lives,
    fence,
    free,
    held,
    leased,
    nobody_lives,
    node,
    opaque,
    ours,
    ports,
)

STAMP = RuntimeTurnCommitStamp("s", "turn-1", "hash-1")
OWN_LEASE = completion()
LAPSED = leased({"s": held(expires=900)})
EDGED = leased({"s": held(expires=NOW)})
TREE = committed(LEASED, commit(graph=Append((node("a"), node("b", "a")), "b"), turn_commit=STAMP))
TRIED = ours(leased({"s": held(), "s2": held()}), COMMIT, commit(expected_head_revision=9)).state
USED = committed(LEASED, commit(usage_deltas=(TokenLedgerEntry("main", "m", TokenUsage(1)),)))
REFS = committed(LEASED, commit(checkpoint=HydratedSessionCheckpoint(tool_state_ref="nowhere")))
CARRIED = committed(LEASED, commit(checkpoint=HydratedSessionCheckpoint(tool_state=ToolState(1))))


def carrying() -> State:
    """Session s whose head carries a ref that resolves."""
    ref = CARRIED.commit.head.parts["tool_state"].ref if CARRIED.commit.head else None
    return committed(CARRIED, commit(checkpoint=HydratedSessionCheckpoint(tool_state_ref=ref)))


class Case(NamedTuple):
    """A call, a requirement, and whether it is one of those that decide the answer."""

    requirement: str
    decides: bool
    state: State
    operation: str
    arguments: tuple[Any, ...]
    alive: Any = everybody_lives


def yes(requirement: str, state: State, operation: str, *arguments: Any, alive: Any = everybody_lives) -> Case:
    """The requirement decides."""
    return Case(requirement, True, state, operation, arguments, alive)


def no(requirement: str, state: State, operation: str, *arguments: Any, alive: Any = everybody_lives) -> Case:
    """The requirement does not decide."""
    return Case(requirement, False, state, operation, arguments, alive)


CASES = (
    yes("LEASE-2", leased({"s2": free(1)}), CLAIM, "s", A, 5),
    no("LEASE-2", LEASED, CLAIM, "s", A, 5),
    no("LEASE-2", State(), CLAIM, "s", A, 5),
    yes("LEASE-3", State(), CLAIM, "s", A, 5),
    no("LEASE-3", leased({"s": free(1)}), CLAIM, "s", A, 5),
    yes("LEASE-4", State(), CLAIM, "", A, 5),
    yes("LEASE-4", State(), CLAIM, "s", LeaseOwnerIdentity("", "1"), 5),
    yes("LEASE-4", State(), CLAIM, "s", LeaseOwnerIdentity("a", ""), 5),
    no("LEASE-4", State(), CLAIM, "s", A, 5),
    yes("LEASE-5", LAPSED, CLAIM, "s", A, 5),
    yes("LEASE-5", LAPSED, RELEASE, OWN_LEASE),
    no("LEASE-5", LEASED, RELEASE, OWN_LEASE),
    no("LEASE-5", leased({"s": free(1)}), CLAIM, "s", A, 5),
    yes("LEASE-6", EDGED, CLAIM, "s", B, 5),
    yes("LEASE-6", EDGED, RECLAIM, "s", B, fence(), 5),
    yes("LEASE-6", EDGED, RENEW, fence(), 5),
    yes("LEASE-6", EDGED, COMMIT, commit()),
    yes("LEASE-6", leased({"s": held(expires=NOW + 1)}), COMMIT, commit()),
    no("LEASE-6", LEASED, COMMIT, commit()),
    no("LEASE-6", LAPSED, COMMIT, commit()),
    no("LEASE-6", LAPSED, CLAIM, "s", B, 5),
    no("LEASE-6", leased({"s": free(1)}), CLAIM, "s", B, 5),
    yes("LEASE-7", State(), CLAIM, "s", A, 0),
    no("LEASE-7", State(), CLAIM, "s", A, 1),
    yes("LEASE-7", LEASED, RENEW, fence(), 0),
    no("LEASE-7", LEASED, RENEW, fence(), 1),
    yes("LEASE-11", leased({"s": free(U64_MAX)}), CLAIM, "s", A, 5),
    no("LEASE-11", leased({"s": free(U64_MAX - 1)}), CLAIM, "s", A, 5),
    yes("LEASE-12", LAPSED, CLAIM, "s", A, 5),
    yes("LEASE-12", leased({"s": free(1)}), CLAIM, "s", A, 5),
    no("LEASE-12", LEASED, CLAIM, "s", A, 5),
    yes("LEASE-13", LEASED, CLAIM, "s", A, 5),
    no("LEASE-13", LAPSED, CLAIM, "s", A, 5),
    yes("LEASE-16", LEASED, CLAIM, "s", B, 5),
    yes("LEASE-17", LEASED, CLAIM, "s", B, 5, alive=nobody_lives),
    no("LEASE-17", LEASED, CLAIM, "s", B, 5),
    yes("LEASE-19", LAPSED, RECLAIM, "s", B, fence(), 5),
    yes("LEASE-19", State(), RECLAIM, "s", B, fence(), 5),
    no("LEASE-19", LEASED, RECLAIM, "s", B, fence(), 5, alive=nobody_lives),
    yes("LEASE-20", LEASED, RECLAIM, "s", B, fence(), 5, alive=nobody_lives),
    yes("LEASE-26", LEASED, RECLAIM, "s", B, fence(), 5, alive=nobody_lives),
    no("LEASE-20", LAPSED, RECLAIM, "s", B, fence(), 5, alive=nobody_lives),
    yes("LEASE-21", LEASED, RECLAIM, "s", B, fence(), 5),
    yes("LEASE-22", LEASED, RECLAIM, "s", A, fence(), 5),
    no("LEASE-22", LEASED, RECLAIM, "s", B, fence(), 5),
    no("LEASE-22", LEASED, RECLAIM, "s", A, fence(number=2), 5),
    yes("LEASE-23", LEASED, RECLAIM, "s", B, fence(number=2), 5),
    no("LEASE-23", LEASED, RECLAIM, "s", B, fence(token="other"), 5),
    no("LEASE-23", LEASED, RECLAIM, "s", B, fence(number=4), 5),
    yes("LEASE-24", LEASED, RENEW, fence(number=2), 5),
    no("LEASE-24", LEASED, RENEW, fence(token="other"), 5),
    no("LEASE-24", LEASED, RENEW, fence(number=4), 5),
    no("LEASE-24", leased({"s": free(3)}), RENEW, fence(number=2), 5),
    yes("LEASE-24", LEASED, COMMIT, commit(session_execution_lease=fence(number=2))),
    no("LEASE-24", LAPSED, COMMIT, commit()),
    yes("LEASE-25", LEASED, RECLAIM, "s", opaque(B), fence(), 5),
    no("LEASE-25", LEASED, RECLAIM, "s", B, fence(), 5),
    yes("LEASE-29", LEASED, RENEW, fence(token="other"), 5),
    no("LEASE-29", LAPSED, RENEW, fence(), 5),
    yes("LEASE-32", LAPSED, RENEW, fence(), 5),
    no("LEASE-32", LEASED, RENEW, fence(token="other"), 5),
    yes("LEASE-35", leased({"s": free(1)}), CLAIM, "s", A, 5),
    no("LEASE-35", LAPSED, CLAIM, "s", A, 5),
    no("LEASE-35", State(), CLAIM, "s", A, 5),
    yes("LEASE-37", LEASED, COMMIT, commit()),
    yes("LEASE-37", LEASED, COMMIT, commit(session_execution_lease=fence(token="other"))),
    no("LEASE-37", LEASED, COMMIT, commit(session_execution_lease=None)),
    yes("COMMIT-2a", TRIED, COMMIT, commit(session_id="s2", session_execution_lease=fence(session="s2"))),
    no("COMMIT-2a", TRIED, COMMIT, commit()),
    no("COMMIT-2a", LEASED, COMMIT, commit()),
    yes("COMMIT-6", TREE, COMMIT, commit(turn_commit=STAMP, release_session_execution_lease=OWN_LEASE)),
    no("COMMIT-6", TREE, COMMIT, commit(turn_commit=STAMP)),
    yes("COMMIT-8", LEASED, COMMIT, commit()),
    no("COMMIT-8", LEASED, COMMIT, commit(turn_commit=STAMP)),
    yes("COMMIT-9", LEASED, COMMIT, commit(expected_head_revision=0)),
    no("COMMIT-9", LEASED, COMMIT, commit()),
    yes("COMMIT-11a", LEASED, COMMIT, commit(completed_queue_claims=(QueuedWorkCompletion("s", "c", "t"),))),
    yes("COMMIT-11a", LEASED, COMMIT, commit(completed_turn_input_claims=(TurnInputCompletion("s", "c", "t"),))),
    no("COMMIT-11a", LEASED, COMMIT, commit()),
    yes("COMMIT-19", LEASED, COMMIT, commit(graph=Unchanged())),
    yes("COMMIT-20", LEASED, COMMIT, commit(graph=Append())),
    yes("COMMIT-21", LEASED, COMMIT, commit(graph=ReplaceFull())),
    yes("COMMIT-22", TREE, COMMIT, commit(graph=Unchanged("nowhere"))),
    yes("COMMIT-22", TREE, COMMIT, commit(graph=Append((node("c", "nowhere"),), "c"))),
    yes("COMMIT-22", TREE, COMMIT, commit(graph=ReplaceFull(SessionGraph((node("c", "nowhere"),), "c")))),
    yes("COMMIT-22", TREE, COMMIT, commit(graph=ReplaceFull(SessionGraph((node("c"),), "nowhere")))),
    yes("COMMIT-22", TREE, COMMIT, commit(graph=ReplaceFull(SessionGraph((node("c", "a"),), "c")))),
    no("COMMIT-22", TREE, COMMIT, commit(graph=Unchanged("a"))),
    no("COMMIT-22", TREE, COMMIT, commit(graph=Unchanged())),
    no("COMMIT-22", TREE, COMMIT, commit(graph=Append((node("c", "b"), node("d", "c")), "d"))),
    no("COMMIT-22", TREE, COMMIT, commit(graph=ReplaceFull(SessionGraph((node("c"), node("d", "c")), "d")))),
    yes("COMMIT-23", TREE, COMMIT, commit(graph=Append((node("a"),), "a"))),
    yes("COMMIT-23", LEASED, COMMIT, commit(graph=Append((node("a"), node("a")), "a"))),
    no("COMMIT-23", TREE, COMMIT, commit(graph=Append((node("c"),), "c"))),
    no("COMMIT-23", TREE, COMMIT, commit(graph=ReplaceFull(SessionGraph((node("a"),), "a")))),
    yes("COMMIT-33", LEASED, COMMIT, commit(release_session_execution_lease=OWN_LEASE)),
    no("COMMIT-33", LEASED, COMMIT, commit()),
    yes("READ-1", LEASED, "load_session", FullGraph()),
    no("READ-1", TREE, "load_session", FullGraph()),
    yes("READ-5a", committed(LEASED, commit(graph=Unchanged("nowhere"))), "load_session", FullGraph()),
    no("READ-5a", TREE, "load_session", FullGraph()),
    no("READ-5a", committed(LEASED, commit()), "load_session", FullGraph()),
    yes("READ-8", TREE, "load_session", ActivePath()),
    no("READ-8b", TREE, "load_session", ActivePath()),
    yes("READ-9", TREE, "load_session", ActivePath("nowhere")),
    no("READ-9", TREE, "load_session", ActivePath("a")),
    yes("READ-10", committed(LEASED, commit()), "load_session", ActivePath()),
    no("READ-10", TREE, "load_session", ActivePath()),
    yes("READ-13", REFS, "load_session", FullGraph()),
    no("READ-13", CARRIED, "load_session", FullGraph()),
    no("READ-13", TREE, "load_session", FullGraph()),
    yes("READ-14", USED, "load_session", FullGraph()),
    no("READ-14", TREE, "load_session", FullGraph()),
    yes("COMMIT-27", carrying(), "load_session", FullGraph()),
    no("COMMIT-27", CARRIED, "load_session", FullGraph()),
    no("COMMIT-27", REFS, "load_session", FullGraph()),
    yes("META-3", ours(State(), "save_session_meta", SessionMeta("s", "", "", "")).state, "load_session_meta"),
    no("META-3", State(), "load_session_meta"),
)


NAMES = [f"{number} {'' if case.decides else 'not '}{case.requirement}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_requirement_is_named_where_it_decides_and_nowhere_else(case: Case) -> None:
    """The reasons of an answer hold the requirement if its condition is there, and not if it is not."""
    step = ours(case.state, case.operation, *case.arguments, at=ports(alive=case.alive))
    assert (case.requirement in step.because) is case.decides


def test_no_reason_is_given_twice_or_unknown() -> None:
    """Each answer above is decided by at least one requirement, and names none of them twice."""
    for case in CASES:
        because = ours(case.state, case.operation, *case.arguments, at=ports(alive=case.alive)).because
        assert because
        assert len(set(because)) == len(because)


DETAILS: tuple[tuple[str, str, State, str, tuple[Any, ...]], ...] = (
    ("LEASE-3", "lease.fencing_token", State(), CLAIM, ("s", A, 5)),
    ("LEASE-35", "lease.fencing_token", leased({"s": free(1)}), CLAIM, ("s", A, 5)),
    ("LEASE-9", "lease.fencing_token", LAPSED, CLAIM, ("s", B, 5)),
    ("LEASE-10", "lease.lease_token", LAPSED, CLAIM, ("s", B, 5)),
    ("LEASE-8", "lease.expires_at_epoch_ms", LAPSED, CLAIM, ("s", B, 5)),
    ("LEASE-9", "lease.claimed_at_epoch_ms", LAPSED, CLAIM, ("s", B, 5)),
    ("LEASE-14", "lease.expires_at_epoch_ms", LEASED, CLAIM, ("s", A, 5)),
    ("LEASE-15", "lease.owner.liveness", LEASED, CLAIM, ("s", A, 5)),
    ("LEASE-13", "lease.claimed_at_epoch_ms", LEASED, CLAIM, ("s", A, 5)),
    ("LEASE-16", "holder.owner", LEASED, CLAIM, ("s", B, 5)),
    ("LEASE-30", "expires_at_epoch_ms", LEASED, RENEW, (fence(), 5)),
    ("LEASE-36", "lease_token", LEASED, RENEW, (fence(), 5)),
    ("LEASE-31", "owner.liveness", LEASED, RENEW, (fence(), 5)),
    ("LEASE-31", "claimed_at_epoch_ms", LEASED, RENEW, (fence(), 5)),
    ("COMMIT-30", "head_revision", LEASED, COMMIT, (commit(),)),
    ("COMMIT-26", "checkpoint_ref", LEASED, COMMIT, (commit(),)),
    ("COMMIT-28", "manifest.turn_state", LEASED, COMMIT, (commit(),)),
    ("COMMIT-4", "head_revision", TREE, COMMIT, (commit(turn_commit=STAMP),)),
    ("READ-4", "graph.nodes", TREE, "load_session", (FullGraph(),)),
    ("READ-5", "graph.leaf_node_id", TREE, "load_session", (FullGraph(),)),
    ("READ-7", "graph.nodes", TREE, "load_session", (ActivePath(),)),
    ("READ-11", "graph.leaf_node_id", TREE, "load_session", (ActivePath(),)),
    ("READ-14", "token_ledger", USED, "load_session", (FullGraph(),)),
    ("READ-12", "checkpoint.turn_state", TREE, "load_session", (FullGraph(),)),
    ("READ-13", "checkpoint.tool_state", REFS, "load_session", (FullGraph(),)),
    ("READ-2", "head_revision", TREE, "load_session", (FullGraph(),)),
)


@pytest.mark.parametrize(("requirement", "state"), [("LEASE-12", LAPSED), ("LEASE-6", EDGED)])
@pytest.mark.parametrize("field", ["lease.lease_token", "lease.fencing_token", "lease.owner.liveness"])
def test_a_lease_that_was_over_and_comes_again_is_laid_on_what_ended_it(requirement: str, state: State, field: str) -> None:
    """Whatever else of it differs from the lease that was due."""
    lapsed = state.lease.records["s"]
    again = Acquired(SessionExecutionLease("s", A, lapsed.token, lapsed.fencing_token, lapsed.claimed_at, NOW + 5))
    path, because = ours(state, CLAIM, "s", A, 5, at=ports(seen=again)).details[0]
    assert field.startswith(f"{path}.")
    assert because[0] == requirement


@pytest.mark.parametrize(("requirement", "field", "state", "operation", "arguments"), DETAILS)
def test_each_field_of_an_answer_is_fixed_by_its_requirement(
    requirement: str, field: str, state: State, operation: str, arguments: tuple[Any, ...]
) -> None:
    """The first entry of the details whose path leads to the field names it."""
    details = ours(state, operation, *arguments).details
    fixing = next(ids for path, ids in details if not path or field == path or field.startswith(f"{path}."))
    assert requirement in fixing
