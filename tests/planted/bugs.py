"""Small faults of the DuckDB store: each one sentence, and the requirement it breaks.

A fault replaces one name inside the store, or one method of it, for the time of a run. The store with it still opens and
answers: what remains is wrong in one way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from fencepost.impl import DuckDBRuntimePersistence, commit, lease, session
from fencepost.impl.encoding import decoded, decoded_versioned, encoded
from fencepost.spec import (
    Acquired,
    ActivePath,
    Alive,
    Append,
    Busy,
    FullGraph,
    LocalProcess,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionMeta,
    StoreError,
    TokenLedgerEntry,
)
from fencepost.spec.catalogue import requirements
from fencepost.spec.operations import OPERATIONS
from msgspec.structs import replace

Plant = Callable[[pytest.MonkeyPatch], None]


class PlantedBug(NamedTuple):
    """A fault: its sentence, the requirement it breaks, and how to plant it."""

    name: str
    sentence: str
    requirement: str
    plant: Plant
    chapter: str


BUGS: list[PlantedBug] = []
"""Every planted fault."""


def bug(requirement: str, chapter: str | None = None) -> Callable[[Plant], Plant]:
    """Register a plant; its name and its docstring are the fault's, its chapter that of the requirement unless told."""

    def register(plant: Plant) -> Plant:
        sentence = (plant.__doc__ or "").strip()
        where = chapter or requirements()[requirement].chapter
        BUGS.append(PlantedBug(plant.__name__.replace("_", "-"), sentence, requirement, plant, where))
        return plant

    return register


def wrap(patch: pytest.MonkeyPatch, method: str, around: Callable[..., Any]) -> None:
    """Put `around(original, store, *arguments)` in place of a store's method."""
    original = getattr(DuckDBRuntimePersistence, method)

    def wrapped(store: DuckDBRuntimePersistence, *arguments: Any) -> Any:
        OPERATIONS[method].refuse_invalid(arguments)
        return around(original, store, *arguments)

    patch.setattr(DuckDBRuntimePersistence, method, wrapped)


def reworded(patch: pytest.MonkeyPatch, module: Any, name: str, old: str, new: str) -> None:
    """Change the words of one of the store's statements."""
    statement = getattr(module, name)
    assert old in statement.sql, f"{name} no longer says {old!r}"
    patch.setattr(module, name, statement._replace(sql=statement.sql.replace(old, new)))


@bug("LEASE-6")
def live_at_its_expiry(patch: pytest.MonkeyPatch) -> None:
    """A lease is still live at the very instant of its expiry."""
    patch.setattr(lease, "live", lambda row, now: row.lease_token is not None and row.expires_at >= now)


@bug("LEASE-6", "commit")
def fence_live_at_its_expiry(patch: pytest.MonkeyPatch) -> None:
    """A commit's fence still holds at the very instant of its expiry."""
    reworded(patch, lease, "GUARD", "expires_at > ?", "expires_at >= ?")


@bug("LEASE-10")
def token_reused(patch: pytest.MonkeyPatch) -> None:
    """A lease that is acquired anew keeps the lease token of the one before."""
    original = lease.acquired

    def acquired(row: lease.LeaseRow, *rest: Any) -> lease.LeaseRow:
        fresh = original(row, *rest)
        return replace(fresh, lease_token=row.lease_token or fresh.lease_token)

    patch.setattr(lease, "acquired", acquired)
    # the store tells a renewal by its token: here the new holder has to be written all the same
    write = lease._write
    patch.setattr(lease, "_write", lambda engine, before, after: write(engine, replace(before, lease_token=None), after))


@bug("LEASE-35")
def fence_reset_by_release(patch: pytest.MonkeyPatch) -> None:
    """A release sets the fencing token back to 0."""
    reworded(patch, lease, "RELEASE", "SET owner_id", "SET fencing_token = 0, owner_id")


@bug("LEASE-34")
def release_clears_the_successor(patch: pytest.MonkeyPatch) -> None:
    """A release clears whoever holds the lane, not only the holder that it proves."""
    any_proof = "concat(?, ?, ?, ?::VARCHAR) <> ''"
    reworded(patch, lease, "RELEASE", lease.MATCHES, any_proof)


@bug("LEASE-33")
def release_does_nothing(patch: pytest.MonkeyPatch) -> None:
    """A release leaves the lease as it is, even for its holder."""
    reworded(patch, lease, "RELEASE", "WHERE", "WHERE false AND")


def within(patch: pytest.MonkeyPatch, method: str, **names: Any) -> None:
    """Replace names of the lease chapter, but only while this method of the store runs."""

    def around(original: Any, store: Any, *arguments: Any) -> Any:
        with pytest.MonkeyPatch.context() as inner:
            for name, value in names.items():
                inner.setattr(lease, name, value)
            return original(store, *arguments)

    wrap(patch, method, around)


@bug("LEASE-14")
def reentry_never_shortens(patch: pytest.MonkeyPatch) -> None:
    """A re-entry keeps the later of both expiries."""
    original = lease.extended

    def extended(row: lease.LeaseRow, now: int, ttl: int) -> lease.LeaseRow:
        return replace(original(row, now, ttl), expires_at=max(row.expires_at, original(row, now, ttl).expires_at))

    within(patch, "try_claim_session_execution_lease", extended=extended)


@bug("LEASE-8")
def expiry_wraps(patch: pytest.MonkeyPatch) -> None:
    """A huge TTL wraps around instead of saturating."""
    patch.setattr(lease, "saturating_add", lambda left, right: (left + right) % 2**64)
    original = lease.acquired.__wrapped__  # type: ignore[attr-defined]  # the contract would tell at once
    patch.setattr(lease, "acquired", original)


@bug("LEASE-16")
def incarnation_ignored(patch: pytest.MonkeyPatch) -> None:
    """A restarted owner is let into the lease of its former incarnation."""

    def around(original: Any, store: Any, session_id: str, owner: Any, ttl: int) -> Any:
        outcome = original(store, session_id, owner, ttl)
        if isinstance(outcome, Busy) and outcome.holder.owner.owner_id == owner.owner_id:
            return Acquired(replace(outcome.holder, owner=owner))
        return outcome

    wrap(patch, "try_claim_session_execution_lease", around)


@bug("LEASE-12")
def expired_lease_reentered(patch: pytest.MonkeyPatch) -> None:
    """The last holder re-enters its expired lease under the old tokens."""
    patch.setattr(lease, "acquired", acquired_again(lease.acquired))


def acquired_again(original: Callable[..., lease.LeaseRow]) -> Callable[..., lease.LeaseRow]:
    """An acquisition that lets the last holder keep its tokens."""

    def acquired(row: lease.LeaseRow, owner: Any, now: int, ttl: int) -> lease.LeaseRow:
        if row.owner is not None and row.owner.incarnation == owner.incarnation:
            return lease.extended(row, now, ttl)
        return original(row, owner, now, ttl)

    return acquired


@bug("LEASE-32")
def expired_lease_renewed(patch: pytest.MonkeyPatch) -> None:
    """A renewal revives a lease that has expired, as long as nobody else took it."""

    within(patch, "renew_session_execution_lease", live=lambda row, now: row.lease_token is not None)


@bug("LEASE-21")
def reclaim_without_compare(patch: pytest.MonkeyPatch) -> None:
    """A reclaim takes any dead holder's lease, whoever was observed."""
    within(patch, "reclaim_session_execution_lease", matches=lambda row, proof: row.owner is not None)


@bug("LEASE-27")
def doubt_is_death(patch: pytest.MonkeyPatch) -> None:
    """A holder whose process cannot be told is taken for dead."""
    original = lease.definitely_dead

    def definitely_dead(holder: Any, claimant: Any, alive: Callable[[int, str], Alive]) -> bool:
        return original(holder, claimant, lambda pid, start: Alive.yes if alive(pid, start) is Alive.yes else Alive.no)

    patch.setattr(lease, "definitely_dead", definitely_dead)


@bug("LEASE-26")
def another_boot_is_here(patch: pytest.MonkeyPatch) -> None:
    """A process of another host or boot is looked for on this machine, not found, and taken for dead."""

    def definitely_dead(holder: Any, claimant: Any, alive: Callable[[int, str], Alive]) -> bool:
        both = isinstance(holder, LocalProcess) and isinstance(claimant, LocalProcess)
        return both and alive(holder.pid, holder.process_start) is Alive.no

    patch.setattr(lease, "definitely_dead", definitely_dead)


@bug("COMMIT-8a")
def fence_not_checked(patch: pytest.MonkeyPatch) -> None:
    """A commit is accepted under any fence."""
    patch.setattr(commit, "guarded", lambda engine, session_id, fence, now: True)


@bug("COMMIT-4")
def replay_commits_again(patch: pytest.MonkeyPatch) -> None:
    """A recorded turn is committed once more instead of being answered from the record."""
    original = commit._recorded

    def recorded(*arguments: Any) -> None:
        original(*arguments)

    patch.setattr(commit, "_recorded", recorded)
    reworded(patch, commit, "INSERT_STAMP", "INSERT INTO", "INSERT OR REPLACE INTO")


@bug("COMMIT-5")
def hash_not_compared(patch: pytest.MonkeyPatch) -> None:
    """A recorded turn is answered from the record whatever its hash."""
    original = commit._recorded

    def recorded(stamp: Any, session_id: str, found: tuple[str, str] | None) -> Any:
        return original(stamp, session_id, found and (stamp.turn_commit_hash, found[1]))

    patch.setattr(commit, "_recorded", recorded)


@bug("COMMIT-6")
def replay_keeps_the_lane(patch: pytest.MonkeyPatch) -> None:
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

        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(commit, "_recorded", recorded)
            inner.setattr(commit, "release", release)
            return method(store, given)

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-9")
def stale_head_accepted(patch: pytest.MonkeyPatch) -> None:
    """An expected head revision below the stored one is let through."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        expected = given.expected_head_revision
        head = store.load_session(FullGraph())
        stale = head is not None and expected is not None and expected < head.head_revision
        return original(store, replace(given, expected_head_revision=None) if stale else given)

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-2")
def binding_not_checked(patch: pytest.MonkeyPatch) -> None:
    """A commit for another session overwrites the session that the store holds."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        def bound_here(*arguments: Any) -> Any:
            return replace(decoded_versioned(*arguments), session_id=given.session_id)

        with pytest.MonkeyPatch.context() as inner:
            inner.setattr(commit, "decoded_versioned", bound_here)
            return original(store, given)

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-3")
def stamp_of_another_session_accepted(patch: pytest.MonkeyPatch) -> None:
    """A stamp that names another session than its commit is recorded all the same."""
    original = commit._recorded
    patch.setattr(commit, "_recorded", lambda stamp, session_id, found: original(stamp, stamp.session_id, found))


@bug("COMMIT-33")
def release_only_of_the_own_lane(patch: pytest.MonkeyPatch) -> None:
    """A commit performs only a release that equals its fence."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        fence, completion = given.session_execution_lease, given.release_session_execution_lease
        own = fence and completion and fence.lease_token == completion.lease_token
        return original(store, given if own else replace(given, release_session_execution_lease=None))

    wrap(patch, "commit_runtime_state", around)


@bug("VALUE-7", "commit")
def refused_commit_leaves_usage(patch: pytest.MonkeyPatch) -> None:
    """A commit that is refused leaves its usage behind."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        try:
            return original(store, given)
        except StoreError:
            store._engine.execute(commit.INSERT_USAGE, (0, encoded(given.usage_deltas)))
            raise

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-20")
def append_keeps_the_leaf(patch: pytest.MonkeyPatch) -> None:
    """An append leaves the persisted leaf where it was."""
    original = commit.next_head

    def next_head(given: RuntimeCommit, draft: Any, stored: Any) -> Any:
        head = original(given, draft, stored)
        kept = isinstance(given.graph, Append) and stored.head is not None
        return replace(head, leaf_node_id=stored.head.leaf_node_id) if kept else head

    patch.setattr(commit, "next_head", next_head)


@bug("COMMIT-21")
def replacement_keeps_old_nodes(patch: pytest.MonkeyPatch) -> None:
    """A full replacement leaves the nodes that it does not name."""
    reworded(patch, commit, "DELETE_NODES", "DELETE FROM nodes", "DELETE FROM nodes WHERE position > 1")
    patch.setattr(commit, "INSERT_NODES", commit.UPSERT_NODES)


@bug("COMMIT-23")
def append_moves_a_stored_node(patch: pytest.MonkeyPatch) -> None:
    """A node that is appended again goes to the end."""
    reworded(patch, commit, "UPSERT_NODES", "tombstoned = false", "tombstoned = false, position = excluded.position")


@bug("COMMIT-27a")
def empty_execution_state_lost(patch: pytest.MonkeyPatch) -> None:
    """An execution state of no bytes is taken for none."""
    original = session._part

    def part(blobs: Any, ref: str | None, kind: str) -> bytes | None:
        return original(blobs, ref, kind) or None

    patch.setattr(session, "_part", part)


@bug("READ-14", "commit")
def reasoning_counts(patch: pytest.MonkeyPatch) -> None:
    """A usage entry of reasoning tokens alone makes a row of the ledger."""
    original = session.folded

    def folded(entries: Any) -> Any:
        return original(shown(each) for each in entries)

    def shown(entry: TokenLedgerEntry) -> TokenLedgerEntry:
        alone = entry.usage.total == 0 and entry.usage.reasoning_output_tokens
        return replace(entry, usage=replace(entry.usage, input_tokens=1)) if alone else entry

    patch.setattr(session, "folded", folded)


@bug("READ-14", "commit")
def ledger_merged_by_model(patch: pytest.MonkeyPatch) -> None:
    """The ledger sums the usage of a model whatever its source."""
    original = session.folded

    def folded(entries: Any) -> Any:
        first: dict[str, str] = {}
        return original(TokenLedgerEntry(first.setdefault(each.model, each.source), each.model, each.usage) for each in entries)

    patch.setattr(session, "folded", folded)


@bug("READ-7")
def path_with_siblings(patch: pytest.MonkeyPatch) -> None:
    """The active path includes the children of its last node's parent."""
    original = session.active_path

    def active_path(nodes: Any, leaf: str | None) -> Any:
        path = original(nodes, leaf)
        parents = {node.parent_node_id for node in path if node.parent_node_id}
        return [*path, *(node for node in nodes.values() if node.parent_node_id in parents and node not in path)]

    patch.setattr(session, "active_path", active_path)


@bug("META-1")
def metadata_merged(patch: pytest.MonkeyPatch) -> None:
    """Saving metadata without a working directory keeps the one that was saved before."""

    def around(original: Any, store: Any, meta: SessionMeta) -> None:
        before = store.load_session_meta()
        original(store, replace(meta, cwd=before.cwd) if before and meta.cwd is None else meta)

    wrap(patch, "save_session_meta", around)


@bug("VALUE-8", "session")
def large_integers_rounded(patch: pytest.MonkeyPatch) -> None:
    """Integers above 2^53 inside opaque values come back rounded."""
    original = decoded

    def rounding(kind: Any, text: Any, what: str) -> Any:
        rounded = text.replace("9007199254740993", "9007199254740992") if what == "node" else text
        return original(kind, rounded, what)

    patch.setattr(session, "decoded", rounding)


@bug("READ-4", "commit")
def full_read_ends_at_a_page(patch: pytest.MonkeyPatch) -> None:
    """A full read answers the first eight nodes."""
    reworded(patch, session, "READ_SESSION", "WHERE NOT tombstoned", "WHERE NOT tombstoned AND position < 8")


@bug("READ-7", "commit")
def path_ends_at_a_page(patch: pytest.MonkeyPatch) -> None:
    """The active path holds its last five nodes at most."""
    original = session.active_path
    patch.setattr(session, "active_path", lambda nodes, leaf: original(nodes, leaf)[-5:])


@bug("COMMIT-8")
def repeated_commit_taken_for_a_replay(patch: pytest.MonkeyPatch) -> None:
    """A commit without a stamp that equals the one before it is answered as that one was."""
    last: list[tuple[Any, RuntimeCommit, Any]] = []

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        if last and given.turn_commit is None and last[0][:2] == (store, given):
            return last[0][2]
        result = original(store, given)
        last[:] = [(store, given, result)]
        return result

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-30")
def frames_of_one_id_merged(patch: pytest.MonkeyPatch) -> None:
    """Of agent frames that share an id only the last is kept."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        frames = {frame.frame_id: frame for frame in given.agent_frames}
        return original(store, replace(given, agent_frames=tuple(frames.values())))

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-27")
def empty_ref_taken_for_none(patch: pytest.MonkeyPatch) -> None:
    """A snapshot ref that is the empty text is dropped."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        checkpoint = given.checkpoint
        return original(store, replace(given, checkpoint=replace(checkpoint, tool_state_ref=checkpoint.tool_state_ref or None)))

    wrap(patch, "commit_runtime_state", around)


@bug("READ-7", "session")
def empty_leaf_taken_for_none(patch: pytest.MonkeyPatch) -> None:
    """A path read to the node whose id is the empty text goes to the persisted leaf instead."""

    def around(original: Any, store: Any, scope: Any) -> Any:
        empty = isinstance(scope, ActivePath) and scope.leaf_node_id == ""
        return original(store, ActivePath() if empty else scope)

    wrap(patch, "load_session", around)
