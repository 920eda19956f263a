"""Faults in commits, but for what they settle."""

from __future__ import annotations

from typing import Any

from fencepost.impl import commit, lease, session
from fencepost.impl.encoding import decoded_versioned, encoded
from fencepost.impl.engine import Statement
from fencepost.spec import (
    Acquired,
    Append,
    FullGraph,
    RuntimeCommit,
    RuntimeCommitResult,
    StoreError,
    Unchanged,
)
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, bug, per_run, reworded, wrap


@bug("LEASE-6", Kind.edge, "commit")
def fence_live_at_its_expiry(patch: Patch) -> None:
    """A commit's fence still holds at the very instant of its expiry."""
    reworded(patch, lease, "GUARD", "expires_at > ?", "expires_at >= ?")


@bug("COMMIT-8a", Kind.stale)
def fence_not_checked(patch: Patch) -> None:
    """A commit is accepted under any fence."""
    patch.setattr(commit, "guarded", lambda engine, session_id, fence, now: True)


@bug("COMMIT-4", Kind.retry)
def replay_commits_again(patch: Patch) -> None:
    """A recorded turn is committed once more instead of being answered from the record."""
    original = commit._recorded

    def recorded(*arguments: Any) -> None:
        original(*arguments)

    patch.setattr(commit, "_recorded", recorded)
    reworded(patch, commit, "INSERT_STAMP", "INSERT INTO", "INSERT OR REPLACE INTO")


@bug("COMMIT-5", Kind.mistaken)
def hash_not_compared(patch: Patch) -> None:
    """A recorded turn is answered from the record whatever its hash."""
    original = commit._recorded

    def recorded(stamp: Any, session_id: str, found: tuple[str, str] | None) -> Any:
        return original(stamp, session_id, found and (stamp.turn_commit_hash, found[1]))

    patch.setattr(commit, "_recorded", recorded)


@bug("COMMIT-6", Kind.retry)
def replay_keeps_the_lane(patch: Patch) -> None:
    """A replay does not perform the release that it carries."""
    original = commit._recorded

    def around(method: Any, store: Any, given: RuntimeCommit) -> Any:
        replayed: list[RuntimeCommitResult] = []

        def recorded(*arguments: Any) -> Any:
            result = original(*arguments)
            replayed.extend([result] if result is not None else [])
            return result

        def release(*arguments: Any) -> None:
            if not replayed:
                lease.release(*arguments)

        with Patch() as inner:
            inner.setattr(commit, "_recorded", recorded)
            inner.setattr(commit, "release", release)
            return method(store, given)

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-9", Kind.stale)
def stale_head_accepted(patch: Patch) -> None:
    """An expected head revision below the stored one is let through."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        expected = given.expected_head_revision
        head = store.load_session(FullGraph())
        stale = head is not None and expected is not None and expected < head.head_revision
        return original(store, replace(given, expected_head_revision=None) if stale else given)

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-2", Kind.leak, also=("COMMIT-INV-2",))
def binding_not_checked(patch: Patch) -> None:
    """A commit for another session overwrites the session that the store holds."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        def bound_here(*arguments: Any) -> Any:
            return replace(decoded_versioned(*arguments), session_id=given.session_id)

        with Patch() as inner:
            inner.setattr(commit, "decoded_versioned", bound_here)
            return original(store, given)

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-3", Kind.leak)
def stamp_of_another_session_accepted(patch: Patch) -> None:
    """A stamp that names another session than its commit is recorded all the same."""
    original = commit._recorded
    patch.setattr(commit, "_recorded", lambda stamp, session_id, found: original(stamp, stamp.session_id, found))


@bug("COMMIT-33", Kind.refusal)
def release_only_of_the_own_lane(patch: Patch) -> None:
    """A commit performs only a release that equals its fence."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        fence, completion = given.session_execution_lease, given.release_session_execution_lease
        own = fence and completion and fence.lease_token == completion.lease_token
        return original(store, given if own else replace(given, release_session_execution_lease=None))

    wrap(patch, "commit_runtime_state", around)


@bug("VALUE-7", Kind.half, "commit")
def refused_commit_leaves_usage(patch: Patch) -> None:
    """A commit that is refused leaves its usage behind."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        try:
            return original(store, given)
        except StoreError:
            store._engine.execute(commit.INSERT_USAGE, (0, encoded(given.usage_deltas)))
            raise

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-20", Kind.lost_update)
def append_keeps_the_leaf(patch: Patch) -> None:
    """An append leaves the persisted leaf where it was."""
    original = commit.next_head

    def next_head(given: RuntimeCommit, draft: Any, stored: Any) -> Any:
        head = original(given, draft, stored)
        kept = isinstance(given.graph, Append) and stored.head is not None
        return replace(head, leaf_node_id=stored.head.leaf_node_id) if kept else head

    patch.setattr(commit, "next_head", next_head)


@bug("COMMIT-19", Kind.lost_update)
def unchanged_graph_keeps_the_leaf(patch: Patch) -> None:
    """A commit that leaves the graph unchanged and names no leaf keeps the one that was persisted."""
    original = commit.next_head

    def next_head(given: RuntimeCommit, draft: Any, stored: Any) -> Any:
        head = original(given, draft, stored)
        kept = isinstance(given.graph, Unchanged) and given.graph.leaf_node_id is None and stored.head is not None
        return replace(head, leaf_node_id=stored.head.leaf_node_id) if kept else head

    patch.setattr(commit, "next_head", next_head)


@bug("COMMIT-21", Kind.lost_update)
def replacement_keeps_old_nodes(patch: Patch) -> None:
    """A full replacement leaves the nodes that it does not name."""
    reworded(patch, commit, "UPDATE_HEAD_ALONE", "DELETE FROM nodes", "DELETE FROM nodes WHERE position > 1")
    patch.setattr(commit, "INSERT_NODES", commit.UPSERT_NODES)


@bug("COMMIT-23", Kind.order)
def append_moves_a_stored_node(patch: Patch) -> None:
    """A node that is appended again goes to the end."""
    reworded(patch, commit, "UPSERT_NODES", "tombstoned = false", "tombstoned = false, position = excluded.position")


@bug("COMMIT-27a", Kind.lost)
def empty_execution_state_lost(patch: Patch) -> None:
    """An execution state of no bytes is taken for none."""
    original = session._part

    def part(blobs: Any, ref: str | None, kind: str) -> bytes | None:
        return original(blobs, ref, kind) or None

    patch.setattr(session, "_part", part)


@bug("COMMIT-8", Kind.mistaken)
def repeated_commit_taken_for_a_replay(patch: Patch) -> None:
    """A commit without a stamp that equals the one before it is answered as that one was."""
    last: list[tuple[Any, RuntimeCommit, Any]] = []

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        if last and given.turn_commit is None and last[0][:2] == (store, given):
            return last[0][2]
        result = original(store, given)
        last[:] = [(store, given, result)]
        return result

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-30", Kind.lost, also=("READ-2",))
def frames_of_one_id_merged(patch: Patch) -> None:
    """Of agent frames that share an id only the last is kept."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        frames = {frame.frame_id: frame for frame in given.agent_frames}
        return original(store, replace(given, agent_frames=tuple(frames.values())))

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-27", Kind.lost)
def empty_ref_taken_for_none(patch: Patch) -> None:
    """A snapshot ref that is the empty text is dropped."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        checkpoint = given.checkpoint
        return original(store, replace(given, checkpoint=replace(checkpoint, tool_state_ref=checkpoint.tool_state_ref or None)))

    wrap(patch, "commit_runtime_state", around)


@bug(
    "LEASE-24",
    Kind.stale,
    "commit",
    also=(
        "LEASE-37",
        "LEASE-INV-2",
        "COMMIT-INV-6",
    ),
)
def fence_of_any_lease_so_far(patch: Patch) -> None:
    """A commit is accepted under any lease that its session ever had, as long as somebody holds the lane."""
    granted = per_run(lambda: set[tuple[Any, ...]]())
    live = "UPDATE leases SET guard = guard + 1 WHERE session_id = ? AND lease_token IS NOT NULL AND expires_at > ?"

    def claiming(original: Any, store: Any, *arguments: Any) -> Any:
        outcome = original(store, *arguments)
        if isinstance(outcome, Acquired):
            granted(store).add(lease._facts(outcome.lease.fence()))
        return outcome

    def committing(original: Any, store: Any, given: RuntimeCommit) -> Any:
        def guarded(engine: Any, session_id: str, fence: Any, now: int) -> bool:
            known = fence is not None and fence.session_id == session_id and lease._facts(fence) in granted(store)
            return known and engine.execute(Statement("check that somebody holds the lane", live), (session_id, now)) == [(1,)]

        with Patch() as inner:
            inner.setattr(commit, "guarded", guarded)
            return original(store, given)

    wrap(patch, "try_claim_session_execution_lease", claiming)
    wrap(patch, "reclaim_session_execution_lease", claiming)
    wrap(patch, "commit_runtime_state", committing)
