"""Commits in small: right ones, and such as are wrong in one way, until the lease has run out; beside them another lane.

The lane of the other session is a part of its own, everything else one. Commits that come to look at that lane reach both.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence

from fencepost.model import State
from fencepost.model.commit import revision_of
from fencepost.model.lease import fence_holds, lease_of
from fencepost.spec import (
    AttachmentIntent,
    HydratedSessionCheckpoint,
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
from .commits import CHECKPOINTS, GRAPHS, USAGE, plain, stored_ref
from .lease import LeaseScope
from .leased import LONG, OTHER, SESSION, fence_of, lane

COMMIT = "commit_runtime_state"


class CommitScope(Scope):
    """Each commit that differs from a plain one in one field, or in stamp and release; everything on the other lane."""

    chapter = "commit"
    default = Bounds(sessions=2, rows=2, times=2, tokens=5)
    suite = Bounds(sessions=1, rows=1, times=1)
    uses = ("sessions", "rows", "times", "tokens")

    def __init__(self, bounds: Bounds | None = None, *, canonical: bool = True) -> None:
        super().__init__(bounds, canonical=canonical)
        # a lease that ran out would be the lease chapter again: these last, and differ in how long
        lanes = Bounds(owners=2, sessions=self.bounds.sessions, tokens=self.bounds.tokens, ttls=(LONG, LONG + 1))
        self._lanes = LeaseScope(lanes, canonical=canonical)
        self.names = self._lanes.names
        opened = self._opened()[0]
        self._own, self._granted = fence_of(opened, SESSION), fence_of(opened, OTHER)
        self._commits: dict[Hashable, tuple[RuntimeCommit, ...]] = {}

    @property
    def reaches(self) -> tuple[tuple[int, ...], ...]:
        """The commits, each other lane, and the commits with the first of those."""
        alone = super().reaches
        return alone if len(alone) == 1 else (*alone, (0, 1))

    def prelude(self) -> tuple[Call, ...]:
        """Both sessions are leased, the first until the clock has gone on once; an attachment is intended."""
        intent = AttachmentIntent("a1", SESSION, "uri:1", 0)
        return (lane(SESSION, self.owners[0], 1), lane(OTHER, self.owners[0], LONG), Call("record_intent", (intent,)))

    def within(self, part: State, place: int) -> bool:
        """So many commits, and so many grants of another lane."""
        return self._lanes.within(part, place) if place else revision_of(part) <= self.bounds.rows

    def joined(self, parts: Sequence[State]) -> State:
        """All lanes, beside what was committed."""
        return replace(parts[0], lease=self._lanes.joined(parts).lease)

    def part(self, whole: State, place: int) -> State:
        """All but the other lanes, or one of those alone."""
        if len(self.names) == 1:
            return whole
        lanes = self._lanes.part(whole, place)
        return State(lease=lanes.lease) if place else lanes

    def shadow(self, part: State, place: int) -> State:
        """Whether the session was ever leased."""
        return self._lanes.shadow(part, place)

    def attempts(self, part: State, place: int, instant: Instant) -> Iterable[Attempt]:
        """Commits, and what is called on another lane."""
        if 0 < place < len(self.names):
            return self._lanes.attempts(part, place, instant)
        commits = self._of_both(part, instant.now) if place else self._of_first(part, instant.now)
        return (Attempt(Call(COMMIT, (each,))) for each in commits)

    def _of_first(self, state: State, now: int) -> Iterator[RuntimeCommit]:
        """The commits that do not come to look at the other lane; all of them where it is no part of its own."""
        revision, ref = revision_of(state), stored_ref(state)
        yield from self._made((revision, ref), _alone(self._own, revision, ref, self._granted))
        for each in self._made(self._granted, _elsewhere(self._own, self._granted)):
            if len(self.names) == 1 or not _comes_to_lane(state, each, now):
                yield each

    def _of_both(self, state: State, now: int) -> Iterator[RuntimeCommit]:
        """The commits that come to look at the other lane."""
        fence = self._newest(state)
        return (each for each in self._made(fence, _elsewhere(self._own, fence)) if _comes_to_lane(state, each, now))

    def _made(self, key: Hashable, commits: Iterable[RuntimeCommit]) -> tuple[RuntimeCommit, ...]:
        """These commits, made once: all that is in them depends on the key."""
        if key not in self._commits:
            self._commits[key] = tuple(commits)
        return self._commits[key]

    def _newest(self, state: State) -> SessionExecutionLeaseFence:
        """The fence of the newest lease of the other session, as that of who holds it."""
        holder, fence = lease_of(state, OTHER).holder, fence_of(state, OTHER)
        return replace(fence, owner=next((each for each in self._lanes.owners if each.incarnation == holder), fence.owner))

    def situation(self, state: State, name: str, now: int) -> str:
        """How many commits there were, and whether the lease is live."""
        lease = state.lease.records[SESSION]
        return f"revision {revision_of(state)}, lease {'live' if lease.held and lease.expires_at > now else 'over'}"

    def described(self, part: State, place: int, now: int) -> str:
        """The same, or who holds the other lane."""
        return self._lanes.described(part, place, now) if place else super().described(part, place, now)


def _alone(
    own: SessionExecutionLeaseFence, revision: int, ref: str | None, foreign: SessionExecutionLeaseFence
) -> Iterator[RuntimeCommit]:
    """Commits that look at no lane but that of their session."""
    yield from _lawful(own, revision, ref)
    yield from _unlawful(own, revision, foreign)


def _lawful(own: SessionExecutionLeaseFence, revision: int, ref: str | None) -> Iterator[RuntimeCommit]:
    """Commits that a live lease lets through."""
    base, completion = plain(own), _completion(own)
    yield from (replace(base, graph=graph) for graph in GRAPHS.values())
    yield replace(base, expected_head_revision=revision)
    yield from (replace(base, checkpoint=checkpoint) for checkpoint in CHECKPOINTS.values())
    if ref is not None:
        yield replace(base, checkpoint=HydratedSessionCheckpoint(tool_state_ref=ref))
    yield replace(base, usage_deltas=USAGE)
    yield replace(base, committed_attachment_ids=("a1", "nothing"), interrupted_turn_input_turn_id="t")
    for release in (None, completion, replace(completion, lease_token="none")):
        yield from _releasing(base, release)


def _unlawful(own: SessionExecutionLeaseFence, revision: int, foreign: SessionExecutionLeaseFence) -> Iterator[RuntimeCommit]:
    """Commits that are wrong in one way, or in two of which the earlier check decides."""
    base = plain(own)
    for fence in (None, replace(own, lease_token=f"{own.lease_token}'"), foreign):
        yield replace(base, session_execution_lease=fence)
        yield replace(base, session_execution_lease=fence, expected_head_revision=9)
    yield replace(base, expected_head_revision=revision + 1)
    yield _stamped(base, "h2")
    yield replace(base, turn_commit=RuntimeTurnCommitStamp(OTHER, "t", "h1"))
    for session_id in (SESSION, OTHER):
        yield replace(base, completed_queue_claims=(QueuedWorkCompletion(session_id, "never", "granted", ("b",)),))
        yield replace(base, completed_turn_input_claims=(TurnInputCompletion(session_id, "never", "granted", ("i",)),))


def _elsewhere(own: SessionExecutionLeaseFence, foreign: SessionExecutionLeaseFence) -> Iterator[RuntimeCommit]:
    """Commits that release the other lane, or are for its session: under its fence, and under one as new of this session."""
    base = plain(own)
    yield from _releasing(base, _completion(foreign))
    for fence in (replace(own, fencing_token=foreign.fencing_token), foreign):
        yield replace(base, session_id=OTHER, session_execution_lease=fence)


def _comes_to_lane(state: State, commit: RuntimeCommit, now: int) -> bool:
    """Whether a commit that names the other session comes to look at its lane: no check before that refuses it (COMMIT-1)."""
    head, stamp, fence = state.commit.head, commit.turn_commit, commit.session_execution_lease
    if head is not None and head.session_id != commit.session_id:
        return False
    recorded = stamp is not None and (stamp.session_id, stamp.turn_id) in state.commit.stamps
    return commit.session_id == OTHER or recorded or (fence is not None and fence_holds(state, SESSION, fence, now))


def _releasing(commit: RuntimeCommit, release: SessionExecutionLeaseCompletion | None) -> Iterator[RuntimeCommit]:
    """The commit with this release, and the same with a stamp."""
    for each in (commit, _stamped(commit, "h1")):
        yield replace(each, release_session_execution_lease=release)


def _stamped(commit: RuntimeCommit, digest: str) -> RuntimeCommit:
    return replace(commit, turn_commit=RuntimeTurnCommitStamp(SESSION, "t", digest))


def _completion(fence: SessionExecutionLeaseFence) -> SessionExecutionLeaseCompletion:
    return SessionExecutionLeaseCompletion(fence.session_id, fence.owner, fence.lease_token, fence.fencing_token)
