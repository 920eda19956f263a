"""What the tests of the model are written with: owners, leases, commits and the ports of a call, in short."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fencepost.model import TRANSITIONS, Ports, Refused, State, Step, Steps
from fencepost.model.records.commit import Head
from fencepost.model.records.lease import LeaseRecord, LeaseState, SessionLease
from fencepost.spec import (
    Acquired,
    Alive,
    Busy,
    EventPayload,
    Json,
    LeaseOwnerIdentity,
    LeaseOwnerLiveness,
    LocalProcess,
    Opaque,
    PersistedSessionConfig,
    RuntimeCommit,
    SessionExecutionLease,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseFence,
    SessionNodeRecord,
    StoreError,
)
from immutables import Map

CLAIM = "try_claim_session_execution_lease"
RECLAIM = "reclaim_session_execution_lease"
RENEW = "renew_session_execution_lease"
RELEASE = "release_session_execution_lease"
COMMIT = "commit_runtime_state"

NOW = 1_000
"""The instant of every call that names no other."""

PROCESS_A = LocalProcess("host", "boot", 10, "tick-1")
PROCESS_B = LocalProcess("host", "boot", 20, "tick-1")
A = LeaseOwnerIdentity("a", "1", PROCESS_A)
B = LeaseOwnerIdentity("b", "1", PROCESS_B)
A_RESTARTED = LeaseOwnerIdentity("a", "2", PROCESS_A)

CONFIG = PersistedSessionConfig("provider", Json({"model": "m"}))


def everybody_lives(_pid: int, _process_start: str) -> Alive:
    """A liveness oracle that says yes."""
    return Alive.yes


def nobody_lives(_pid: int, _process_start: str) -> Alive:
    """A liveness oracle that says no."""
    return Alive.no


def nobody_can_tell(_pid: int, _process_start: str) -> Alive:
    """A liveness oracle that says unknown."""
    return Alive.unknown


def ports(now: int = NOW, *, alive: Any = everybody_lives, seen: object = None) -> Ports:
    """The ports of a call."""
    return Ports(now, alive, seen)


def held(
    holder: tuple[str, str] = ("a", "1"),
    liveness: LeaseOwnerLiveness | None = PROCESS_A,
    *,
    token: str = "token-3",
    fence: int = 3,
    claimed: int = 500,
    expires: int = 1_500,
) -> SessionLease:
    """A stored lease: by default a's third, live until 1,500."""
    return LeaseRecord(fence, True, holder, liveness, token, claimed, expires)


def free(fence: int) -> SessionLease:
    """A stored lease that was released."""
    return LeaseRecord(fence, False, ("", ""), None, "", 0, 0)


def leased(records: Mapping[str, SessionLease], issued: Mapping[tuple[str, str], int] | None = None) -> State:
    """A state with these lease records and nothing else; every lease token in them counts as issued."""
    tokens = {(session_id, record.token): record.fencing_token for session_id, record in records.items() if record.held}
    return State(lease=LeaseState(Map(records), Map(tokens | dict(issued or {}))))


def lease(
    owner: LeaseOwnerIdentity = A,
    *,
    session: str = "s",
    token: str = "token-3",
    fence: int = 3,
    claimed: int = 500,
    expires: int = 1_500,
) -> SessionExecutionLease:
    """A lease as a store answers it: by default the one of `held()`."""
    return SessionExecutionLease(session, owner, token, fence, claimed, expires)


def fence(
    owner: LeaseOwnerIdentity = A, *, session: str = "s", token: str = "token-3", number: int = 3
) -> SessionExecutionLeaseFence:
    """A fence: by default of the lease of `held()`."""
    return SessionExecutionLeaseFence(session, owner, token, number)


def completion(
    owner: LeaseOwnerIdentity = A, *, session: str = "s", token: str = "token-3", number: int = 3
) -> SessionExecutionLeaseCompletion:
    """A completion: by default of the lease of `held()`."""
    return SessionExecutionLeaseCompletion(session, owner, token, number)


LIVE = held()
EXPIRED = held(expires=NOW)
LEASED = leased({"s": LIVE})
"""A state in which a holds session s, and nothing else happened."""

BUSY = Busy(lease(A))
"""What others are told then."""

MINTED = Acquired(lease(B, token="new", fence=0))
"""A store's answer to take a lease token from: the rest of it is not looked at."""


def state_of(record: SessionLease | None) -> State:
    """A state in which session "s" has this record, or none."""
    return leased({} if record is None else {"s": record})


def granted(owner: LeaseOwnerIdentity, number: int) -> Acquired:
    """The answer that a new grant of 100 ms has at 1,000, under the token of `MINTED`."""
    return Acquired(lease(owner, token="new", fence=number, claimed=1_000, expires=1_100))


def stored(owner: LeaseOwnerIdentity, number: int) -> SessionLease:
    """The record that such a grant leaves."""
    return held(owner.incarnation, owner.liveness, token="new", fence=number, claimed=1_000, expires=1_100)


def opaque(owner: LeaseOwnerIdentity) -> LeaseOwnerIdentity:
    """The same incarnation, of which nothing is known."""
    return LeaseOwnerIdentity(owner.owner_id, owner.incarnation_id, Opaque())


def node(node_id: str, parent: str | None = None, text: str = "") -> SessionNodeRecord:
    """A node with this parent."""
    return SessionNodeRecord(node_id, parent, EventPayload(Json({"text": text or node_id})))


def commit(**fields: Any) -> RuntimeCommit:
    """A commit for session "s" under the fence of `held()`, with these fields set otherwise."""
    return RuntimeCommit(**{"session_id": "s", "config": CONFIG, "session_execution_lease": fence(), **fields})


def run(state: State, operation: str, *arguments: object, at: Ports | None = None) -> Steps:
    """All admissible steps of a call, ours first."""
    return TRANSITIONS[operation](state, at or ports(), *arguments)


def ours(state: State, operation: str, *arguments: object, at: Ports | None = None) -> Step:
    """Our own step of a call."""
    return run(state, operation, *arguments, at=at)[0]


def committed(state: State, *commits: RuntimeCommit) -> State:
    """The state after these commits, each of which has to succeed."""
    for each in commits:
        step = ours(state, "commit_runtime_state", each)
        assert not isinstance(step.answer, Refused), step.answer
        state = step.state
    return state


def head_of(state: State) -> Head:
    """The head, which has to be there."""
    assert state.commit.head is not None
    return state.commit.head


def refusal(step: Step) -> StoreError:
    """The error of a refused step."""
    assert isinstance(step.answer, Refused), step.answer
    return step.answer.error
