"""What CURRENT requirements of leases, commits and sessions admit: calls, with what a store may and may not answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from fencepost.model import Refused, State
from fencepost.spec import (
    U64_MAX,
    Acquired,
    ActivePath,
    Append,
    Backend,
    FullGraph,
    HeadRevisionConflict,
    HydratedSessionCheckpoint,
    LocalProcess,
    PersistedSessionRead,
    PersistedTurnState,
    QueuedWorkClaimExpired,
    QueuedWorkCompletion,
    ReplaceFull,
    RuntimeCommitResult,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    SessionCheckpoint,
    SessionExecutionLeaseExpired,
    SessionGraph,
    SessionMeta,
    ToolState,
    TurnInputClaimExpired,
    TurnInputCompletion,
    UnsupportedReadScope,
)
from fencepost.spec.lease import LeaseOwnerIdentity
from model_builders import (
    LEASED,
    A,
    B,
    commit,
    committed,
    fence,
    free,
    held,
    lease,
    leased,
    node,
    opaque,
    ours,
    ports,
)
from msgspec.structs import replace

BOUND = committed(LEASED, commit())
TOOLS = ToolState(3)


def session(*nodes: Any, leaf: str | None = None) -> State:
    """Session s after one commit of these nodes and this leaf."""
    return committed(LEASED, commit(graph=Append(nodes, leaf)))


CHAIN = session(node("c", "b"), node("a"), node("b", "a"), leaf="c")
"""A chain whose storage order is not its path order."""

DANGLING = session(node("n1"), leaf="nowhere")
STANDING = session(node("n1"), leaf="n1")

LEAFLESS = committed(
    LEASED,
    commit(graph=ReplaceFull(SessionGraph((node("a"), node("b", "a")), "b"))),
    commit(graph=Append((node("c", "a"),), None)),
)
"""No leaf is persisted, but a full replacement persisted b before."""

CARRIED = committed(
    ours(
        LEASED,
        "commit_runtime_state",
        commit(checkpoint=HydratedSessionCheckpoint(tool_state=TOOLS)),
        at=ports(seen=RuntimeCommitResult(1, "ref", SessionCheckpoint(PersistedTurnState(), tool_state_ref="tools"))),
    ).state,
    commit(checkpoint=HydratedSessionCheckpoint(tool_state_ref="tools")),
)
"""The head carries the ref of tools that an earlier commit stored."""


def with_metas(state: State, *metas: SessionMeta) -> State:
    """The state after these were saved."""
    for meta in metas:
        state = ours(state, "save_session_meta", meta).state
    return state


OF_B, OF_S, OF_Z = (SessionMeta(session_id, "name", "", "m") for session_id in "bsz")

TRIED = ours(LEASED, "commit_runtime_state", commit(expected_head_revision=9)).state
"""A commit for s was tried and refused."""

FOR_S2 = commit(session_id="s2", session_execution_lease=fence(session="s2"))
BOUND_AFTER_A_TRY = committed(
    ours(LEASED, "commit_runtime_state", commit(session_id="z", expected_head_revision=9)).state, commit()
)
"""A commit for z was tried and refused, then one for s succeeded."""

BOTH_LEASED = replace(TRIED, lease=leased({"s": held(), "s2": held()}).lease)


def as_read(state: State, change: Callable[[PersistedSessionRead], PersistedSessionRead], scope: Any) -> PersistedSessionRead:
    """Our own answer to a read, changed: what some other store gives."""
    answer = ours(state, "load_session", scope).answer
    assert isinstance(answer, PersistedSessionRead)
    return change(answer)


def with_graph(state: State, nodes: tuple[Any, ...], leaf: str | None, scope: Any) -> PersistedSessionRead:
    """Our own answer to a read with another graph."""
    return as_read(state, lambda read: replace(read, graph=SessionGraph(nodes, leaf)), scope)


def with_tools(state: State, value: ToolState | None, ref: str | None) -> PersistedSessionRead:
    """Our own answer to a full read with other tools."""
    checkpoint = HydratedSessionCheckpoint(tool_state=value, tool_state_ref=ref)
    return as_read(state, lambda read: replace(read, checkpoint=checkpoint), FullGraph())


def with_owner(owner: LeaseOwnerIdentity) -> Acquired:
    """The answer of a re-entry for 100 ms with this owner."""
    return Acquired(lease(owner, expires=1_100))


def result(revision: int, tools: str | None) -> RuntimeCommitResult:
    """A commit's result with this ref to tools in the manifest."""
    return RuntimeCommitResult(revision, "ref", SessionCheckpoint(PersistedTurnState(), tool_state_ref=tools))


class Case(NamedTuple):
    """A call, what some other store may answer, and what no store may."""

    requirement: str
    state: State
    operation: str
    arguments: tuple[Any, ...]
    admitted: tuple[object, ...]
    barred: tuple[object, ...]


UNKNOWN_A = opaque(A)
OTHER_A = LeaseOwnerIdentity("a", "1", LocalProcess("host", "boot", 99, "tick-9"))
TWICE = ReplaceFull(SessionGraph((node("n1"), node("n1", None, "last")), "n1"))
QUEUE = QueuedWorkCompletion("s", "queue-claim", "token")
INPUT = TurnInputCompletion("s", "input-claim", "token")

CASES = (
    Case(
        "LEASE-11",
        leased({"s": free(U64_MAX)}),
        "try_claim_session_execution_lease",
        ("s", A, 100),
        (Refused(Backend("exhausted")),),
        (Refused(SessionExecutionLeaseExpired("s")), Acquired(lease(A, token="t", fence=0, claimed=1_000, expires=1_100))),
    ),
    Case(
        "LEASE-11",
        leased({"s": free(U64_MAX - 1)}),
        "try_claim_session_execution_lease",
        ("s", A, 100),
        (),
        (Refused(Backend("exhausted")),),
    ),
    Case(
        "LEASE-15a",
        LEASED,
        "try_claim_session_execution_lease",
        ("s", UNKNOWN_A, 100),
        (with_owner(UNKNOWN_A),),
        (with_owner(B), with_owner(opaque(B)), Acquired(lease(UNKNOWN_A, expires=1_101))),
    ),
    Case(
        "LEASE-31a",
        LEASED,
        "renew_session_execution_lease",
        (fence(UNKNOWN_A), 100),
        (lease(A, expires=1_100),),
        (lease(B, expires=1_100), lease(A, expires=1_101), lease(A, token="other", expires=1_100)),
    ),
    Case(
        "COMMIT-2a",
        BOTH_LEASED,
        "commit_runtime_state",
        (FOR_S2,),
        (Refused(SessionBindingMismatch("s", "s2")),),
        (Refused(SessionBindingMismatch("s2", "s")), Refused(SessionExecutionLeaseExpired("s2"))),
    ),
    Case(
        "COMMIT-2a",
        LEASED,
        "commit_runtime_state",
        (commit(),),
        (Refused(SessionBindingMismatch("bound from creation", "s")),),
        (Refused(SessionBindingMismatch("s", "s")), Refused(SessionBindingMismatch("s2", "s3"))),
    ),
    Case("COMMIT-2a", TRIED, "commit_runtime_state", (commit(),), (), (Refused(SessionBindingMismatch("s", "s")),)),
    Case(
        "COMMIT-2a",
        BOUND_AFTER_A_TRY,
        "commit_runtime_state",
        (commit(),),
        (),
        (Refused(SessionBindingMismatch("z", "s")), Refused(SessionBindingMismatch("s", "s"))),
    ),
    # what other requirements admit is admitted beside an early binding
    Case(
        "COMMIT-11a",
        BOTH_LEASED,
        "commit_runtime_state",
        (replace(FOR_S2, completed_queue_claims=(QueuedWorkCompletion("s2", "queue-claim", "token"),)),),
        (Refused(QueuedWorkClaimExpired("s2", "queue-claim")),),
        (Refused(QueuedWorkClaimExpired("s", "queue-claim")),),
    ),
    Case(
        "COMMIT-11a",
        BOUND,
        "commit_runtime_state",
        (commit(completed_queue_claims=(QUEUE,), completed_turn_input_claims=(INPUT,)),),
        (Refused(QueuedWorkClaimExpired("s", "queue-claim")), Refused(TurnInputClaimExpired("s", "input-claim"))),
        (Refused(QueuedWorkClaimExpired("s", "input-claim")), Refused(TurnInputClaimExpired("s2", "input-claim"))),
    ),
    Case(
        "COMMIT-23",
        CHAIN,
        "commit_runtime_state",
        (commit(graph=Append((node("a", None, "again"),), "a")),),
        (Refused(Backend("UNIQUE constraint failed")),),
        (Refused(RuntimeTurnCommitConflict("s", "t")),),
    ),
    Case(
        "COMMIT-23",
        CHAIN,
        "commit_runtime_state",
        (commit(graph=Append((node("d"),), "d")),),
        (),
        (Refused(Backend("UNIQUE constraint failed")),),
    ),
    Case(
        "COMMIT-23b",
        BOUND,
        "commit_runtime_state",
        (commit(graph=TWICE),),
        (RuntimeCommitResult(2, "ref", SessionCheckpoint(PersistedTurnState())),),
        (RuntimeCommitResult(1, "ref", SessionCheckpoint(PersistedTurnState())), Refused(HeadRevisionConflict(None, 1))),
    ),
    Case(
        "COMMIT-27",
        BOUND,
        "commit_runtime_state",
        (commit(checkpoint=HydratedSessionCheckpoint(tool_state=TOOLS, tool_state_ref="came-along")),),
        (),
        (result(2, None), result(3, "minted")),
    ),
    Case(
        "COMMIT-27",
        BOUND,
        "commit_runtime_state",
        (commit(checkpoint=HydratedSessionCheckpoint(tool_state=TOOLS)),),
        (result(2, None),),
        (result(3, None),),
    ),
    Case(
        "COMMIT-27",
        BOUND,
        "commit_runtime_state",
        (commit(checkpoint=HydratedSessionCheckpoint(tool_state_ref="nowhere")),),
        (),
        (result(2, None), result(2, "other")),
    ),
    Case(
        "COMMIT-27",
        CARRIED,
        "load_session",
        (FullGraph(),),
        (with_tools(CARRIED, None, "tools"),),
        (with_tools(CARRIED, None, None), with_tools(CARRIED, ToolState(4), "tools")),
    ),
    Case(
        "READ-5a",
        DANGLING,
        "load_session",
        (FullGraph(),),
        (with_graph(DANGLING, (node("n1"),), None, FullGraph()),),
        (with_graph(DANGLING, (node("n1"),), "n1", FullGraph()), with_graph(DANGLING, (), None, FullGraph())),
    ),
    Case(
        "READ-5a",
        STANDING,
        "load_session",
        (FullGraph(),),
        (),
        (with_graph(STANDING, (node("n1"),), None, FullGraph()),),
    ),
    Case(
        "READ-7a",
        CHAIN,
        "load_session",
        (ActivePath(),),
        (with_graph(CHAIN, (node("c", "b"), node("a"), node("b", "a")), "c", ActivePath()),),
        (
            with_graph(CHAIN, (node("c", "b"), node("b", "a"), node("a")), "c", ActivePath()),
            with_graph(CHAIN, (node("a"), node("c", "b"), node("b", "a")), "c", ActivePath()),
            with_graph(CHAIN, (node("c", "b"), node("a")), "c", ActivePath()),
        ),
    ),
    Case(
        "READ-10",
        LEAFLESS,
        "load_session",
        (ActivePath(),),
        (
            with_graph(LEAFLESS, (node("a"), node("b", "a"), node("c", "a")), None, ActivePath()),
            with_graph(LEAFLESS, (node("a"), node("b", "a")), "b", ActivePath()),
        ),
        (
            with_graph(LEAFLESS, (node("a"), node("b", "a")), None, ActivePath()),
            with_graph(LEAFLESS, (node("a"), node("c", "a")), "c", ActivePath()),
            with_graph(LEAFLESS, (), "b", ActivePath()),
        ),
    ),
    Case(
        "READ-18",
        CHAIN,
        "load_session",
        (ActivePath("a"),),
        (Refused(UnsupportedReadScope(ActivePath("a"))),),
        (Refused(UnsupportedReadScope(FullGraph())), Refused(Backend())),
    ),
    # a store with a slot for each session answers that of its bound session, of the one it was tried with, or the first by name
    Case("META-3", with_metas(BOUND, OF_S, OF_B), "load_session_meta", (), (OF_S,), (None, OF_Z)),
    Case("META-3", with_metas(BOUND, OF_B, OF_Z), "load_session_meta", (), (None,), (OF_B,)),
    Case("META-3", with_metas(BOUND_AFTER_A_TRY, OF_Z, OF_S, OF_B), "load_session_meta", (), (OF_S,), (OF_Z,)),
    Case("META-3", with_metas(TRIED, OF_S, OF_B), "load_session_meta", (), (OF_S,), (None,)),
    Case("META-3", with_metas(State(), OF_S, OF_Z), "load_session_meta", (), (OF_S,), (None, OF_B)),
)
