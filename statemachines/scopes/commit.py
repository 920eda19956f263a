"""Commits in small: right ones, and such as are wrong in one way, until the lease has run out."""

from __future__ import annotations

from collections.abc import Iterator

from fencepost.model import State
from fencepost.model.commit import revision_of
from fencepost.spec import (
    AttachmentIntent,
    QueuedWorkCompletion,
    RuntimeCommit,
    RuntimeTurnCommitStamp,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseFence,
    TurnInputCompletion,
)
from msgspec.structs import replace

from ..checker import Call
from ..scope import Attempt, Bounds, Instant, Scope
from .commits import CHECKPOINTS, GRAPHS, USAGE, plain, stored_ref, storing
from .leased import OTHER, SESSION, fence_of, fences, lane

COMMIT = "commit_runtime_state"


class CommitScope(Scope):
    """Each commit that differs from a plain one in one field, or in stamp and release."""

    chapter = "commit"
    default = Bounds(rows=2, times=1)
    suite = Bounds(rows=1, times=1)
    uses = ("rows", "times")

    def prelude(self) -> tuple[Call, ...]:
        """Both sessions are leased, the first until the clock has gone on once; an attachment is intended."""
        intent = AttachmentIntent("a1", SESSION, "uri:1", 0)
        return (lane(SESSION, self.owners[0], 1), lane(OTHER, self.owners[0], 1_000), Call("record_intent", (intent,)))

    def within(self, part: State, place: int) -> bool:
        """So many commits."""
        return revision_of(part) <= self.bounds.rows

    def attempts(self, part: State, place: int, instant: Instant) -> Iterator[Attempt]:
        """The one call."""
        yield from (Attempt(Call(COMMIT, (each,))) for each in (*_lawful(part), *_unlawful(part)))

    def situation(self, state: State, name: str, now: int) -> str:
        """How many commits there were, and whether the lease is live."""
        lease = state.lease.records[SESSION]
        return f"revision {revision_of(state)}, lease {'live' if lease.held and lease.expires_at > now else 'over'}"


def _lawful(state: State) -> Iterator[RuntimeCommit]:
    """Commits that a live lease lets through."""
    base = plain(state)
    yield from (replace(base, graph=graph) for graph in GRAPHS.values())
    yield replace(base, expected_head_revision=revision_of(state))
    yield from (replace(base, checkpoint=checkpoint) for checkpoint in CHECKPOINTS.values())
    ref = stored_ref(state)
    if ref is not None:
        yield storing(state, ref)
    yield replace(base, usage_deltas=USAGE)
    yield replace(base, committed_attachment_ids=("a1", "nothing"), interrupted_turn_input_turn_id="t")
    own = _completion(fence_of(state, SESSION))
    for release in (None, own, _completion(fence_of(state, OTHER)), replace(own, lease_token="none")):
        yield replace(base, release_session_execution_lease=release)
        yield replace(_stamped(base, "h1"), release_session_execution_lease=release)


def _unlawful(state: State) -> Iterator[RuntimeCommit]:
    """Commits that are wrong in one way, or in two of which the earlier check decides."""
    base = plain(state)
    for fence in (None, *fences(state)[1:]):
        yield replace(base, session_execution_lease=fence)
        yield replace(base, session_execution_lease=fence, expected_head_revision=9)
    yield replace(base, expected_head_revision=revision_of(state) + 1)
    yield replace(base, session_id=OTHER)
    yield replace(base, session_id=OTHER, session_execution_lease=fence_of(state, OTHER))
    yield _stamped(base, "h2")
    yield replace(base, turn_commit=RuntimeTurnCommitStamp(OTHER, "t", "h1"))
    for session_id in (SESSION, OTHER):
        yield replace(base, completed_queue_claims=(QueuedWorkCompletion(session_id, "never", "granted", ("b",)),))
        yield replace(base, completed_turn_input_claims=(TurnInputCompletion(session_id, "never", "granted", ("i",)),))


def _stamped(commit: RuntimeCommit, digest: str) -> RuntimeCommit:
    return replace(commit, turn_commit=RuntimeTurnCommitStamp(SESSION, "t", digest))


def _completion(fence: SessionExecutionLeaseFence) -> SessionExecutionLeaseCompletion:
    return SessionExecutionLeaseCompletion(fence.session_id, fence.owner, fence.lease_token, fence.fencing_token)
