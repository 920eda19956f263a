"""The commit: one transaction that reads once, checks in the order of the law, and writes each table once.

The one read tells everything the checks need: the head, the stamp's record, and which of the commit's blobs and nodes are
stored already (plain inserts cost a third of upserts). The guard on the lease is the first write; the head is written by
every commit. So of two commits, or a commit and a takeover, that overlap, one runs again and sees the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..spec import (
    U64_MAX,
    AgentFrameRecord,
    Append,
    Backend,
    BlobRef,
    HeadRevisionConflict,
    HydratedSessionCheckpoint,
    InvalidArgument,
    PersistedSessionConfig,
    QueuedWorkClaimExpired,
    Record,
    ReplaceFull,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimeTurnCommitConflict,
    RuntimeTurnCommitStamp,
    SessionBindingMismatch,
    SessionCheckpoint,
    SessionCommitStore,
    SessionExecutionLeaseExpired,
    SessionNodeRecord,
    TurnInputClaimExpired,
)
from ..spec.contracts import ensures
from ..spec.values import U32, U64
from .encoding import SCHEMA_VERSION, Blob, decoded, decoded_versioned, encoded
from .engine import Engine, Row, Statement
from .lease import guarded, release
from .store import DuckDBStore

SESSION_HEAD = "session head"
CHECKPOINT = "session checkpoint"
TOOL_STATE = "tool state"
PLUGIN_SNAPSHOT = "plugin snapshot"
EXECUTION_STATE = "execution state"


class HeadRecord(Record, frozen=True, kw_only=True):
    """The head: the session as its last commit left it, but for nodes, usage and blobs."""

    schema_version: U32 = SCHEMA_VERSION
    session_id: str
    head_revision: U64
    config: PersistedSessionConfig
    agent_frames: tuple[AgentFrameRecord, ...]
    current_agent_frame_id: str
    checkpoint_ref: BlobRef
    part_refs: tuple[BlobRef, ...]
    """The refs in the checkpoint, so that a read fetches all of its blobs at once."""
    leaf_node_id: str | None
    next_position: U64
    """Where the next appended node stands: never looked for among the nodes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head_revision < 1:
            raise InvalidArgument("HeadRecord.head_revision", str(self.head_revision), "at least 1: a head is there from 1 on")


class Draft(NamedTuple):
    """What of a commit can be made ready before its transaction."""

    manifest: SessionCheckpoint
    checkpoint_ref: BlobRef
    blobs: dict[BlobRef, Blob]
    nodes: dict[str, SessionNodeRecord]


class Stored(NamedTuple):
    """What a commit has to know of the store."""

    head: HeadRecord | None
    stamp: tuple[str, str] | None
    blob_refs: set[BlobRef]
    node_ids: set[str]

    @property
    def head_revision(self) -> int:
        """The stored revision, 0 before the first commit (COMMIT-9)."""
        return 0 if self.head is None else self.head.head_revision


def draft_of(commit: RuntimeCommit) -> Draft:
    """The commit's manifest, blobs and nodes, encoded and addressed."""
    manifest, parts = manifest_of(commit.checkpoint)
    checkpoint = Blob.addressed(CHECKPOINT, encoded(manifest).encode())
    blobs = {blob.ref: blob for blob in (checkpoint, *parts)}
    graph = commit.graph
    nodes = graph.nodes if isinstance(graph, Append) else graph.graph.nodes if isinstance(graph, ReplaceFull) else ()
    # of an id that is listed twice the last content counts, at the place of the first (COMMIT-23)
    return Draft(manifest, checkpoint.ref, blobs, {node.node_id: node for node in nodes})


@ensures(lambda result: {blob.ref for blob in result[1]} <= set(part_refs(result[0])), "COMMIT-27")
def manifest_of(given: HydratedSessionCheckpoint) -> tuple[SessionCheckpoint, list[Blob]]:
    """The manifest, and the blobs of the parts that are given by value; those override refs that came along (COMMIT-27)."""
    tools = _part(TOOL_STATE, None if given.tool_state is None else encoded(given.tool_state).encode())
    plugins = _part(PLUGIN_SNAPSHOT, None if given.plugin_snapshot is None else encoded(given.plugin_snapshot).encode())
    execution = _part(EXECUTION_STATE, given.execution_state)
    manifest = SessionCheckpoint(
        given.turn_state,
        tool_state_ref=given.tool_state_ref if tools is None else tools.ref,
        plugin_snapshot_ref=given.plugin_snapshot_ref if plugins is None else plugins.ref,
        plugin_snapshot_revision=given.plugin_snapshot_revision,
        execution_state_ref=given.execution_state_ref if execution is None else execution.ref,
    )
    return manifest, [part for part in (tools, plugins, execution) if part is not None]


def _part(kind: str, data: bytes | None) -> Blob | None:
    return None if data is None else Blob.addressed(kind, data)


def part_refs(manifest: SessionCheckpoint) -> tuple[BlobRef, ...]:
    """The refs of the parts that a manifest has."""
    refs = (manifest.tool_state_ref, manifest.plugin_snapshot_ref, manifest.execution_state_ref)
    return tuple(ref for ref in refs if ref is not None)


@ensures(lambda stored, result: result.head_revision == stored.head_revision + 1, "COMMIT-30")
@ensures(lambda stored, result: stored.head is None or result.session_id == stored.head.session_id, "COMMIT-2")
def next_head(commit: RuntimeCommit, draft: Draft, stored: Stored) -> HeadRecord:
    """The head that the commit leaves (COMMIT-19 to COMMIT-21, COMMIT-30)."""
    graph = commit.graph
    kept = 0 if stored.head is None or isinstance(graph, ReplaceFull) else stored.head.next_position
    revision, position = stored.head_revision + 1, kept + len(draft.nodes)
    if max(revision, position) > U64_MAX:
        raise Backend("the counters of the stored head are used up")
    return HeadRecord(
        session_id=commit.session_id,
        head_revision=revision,
        config=commit.config,
        agent_frames=commit.agent_frames,
        current_agent_frame_id=commit.current_agent_frame_id,
        checkpoint_ref=draft.checkpoint_ref,
        part_refs=part_refs(draft.manifest),
        leaf_node_id=graph.graph.leaf_node_id if isinstance(graph, ReplaceFull) else graph.leaf_node_id,
        next_position=position,
    )


READ_BEFORE = """SELECT 'head', record, NULL FROM head
    UNION ALL SELECT 'stamp', turn_commit_hash, result FROM stamps WHERE turn_id = ?
    UNION ALL SELECT 'blob', ref, NULL FROM blobs WHERE ref IN (?, ?, ?, ?)"""
READ_NODES_BEFORE = " UNION ALL SELECT 'node', node_id, NULL FROM nodes WHERE node_id IN "
LISTED_AT_MOST = 256
"""Up to here placeholders, which are looked up by key, beat a list parameter, which is joined (measured)."""

INSERT_HEAD = Statement("store the first head", "INSERT INTO head VALUES (0, ?)")
UPDATE_HEAD = Statement("store the head", "UPDATE head SET record = ? WHERE slot = 0")
INSERT_USAGE = Statement("store the usage", "INSERT INTO usage VALUES (?, ?)")
INSERT_STAMP = Statement("record the turn", "INSERT INTO stamps VALUES (?, ?, ?)")
DELETE_NODES = Statement("drop the nodes", "DELETE FROM nodes")
INSERT_NODES = Statement(
    "store the nodes",
    """INSERT INTO nodes SELECT unnest($1::VARCHAR[]), unnest($2::UBIGINT[]), unnest($3::VARCHAR[]), unnest($4::VARCHAR[]),
    false""",
)
# a node that is stored keeps its position, and lives again (COMMIT-23)
UPSERT_NODES = Statement(
    INSERT_NODES.purpose,
    INSERT_NODES.sql
    + """ ON CONFLICT (node_id) DO UPDATE SET parent_node_id = excluded.parent_node_id, record = excluded.record,
    tombstoned = false""",
)


class DuckDBCommitStore(DuckDBStore, SessionCommitStore):
    """The commit."""

    def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        """See `SessionCommitStore`. Five statements, and one more for each of nodes, usage, stamp and release."""
        now = self._now()
        engine = self._engine
        draft = draft_of(commit)
        return engine.transaction("commit", lambda: _committed(engine, commit, draft, now))


def _committed(engine: Engine, commit: RuntimeCommit, draft: Draft, now: int) -> RuntimeCommitResult:
    stored = _read_before(engine, commit, draft)
    if stored.head is not None and stored.head.session_id != commit.session_id:
        raise SessionBindingMismatch(stored.head.session_id, commit.session_id)
    result = None if commit.turn_commit is None else _recorded(commit.turn_commit, commit.session_id, stored.stamp)
    if result is None:
        _require_writable(engine, commit, stored, now)
        result = _write(engine, commit, draft, stored)
    if commit.release_session_execution_lease is not None:
        release(engine, commit.release_session_execution_lease)
    return result


def _recorded(stamp: RuntimeTurnCommitStamp, session_id: str, recorded: tuple[str, str] | None) -> RuntimeCommitResult | None:
    """The recorded result of a turn that is committed already (COMMIT-4); None for a new one."""
    if stamp.session_id != session_id:
        raise RuntimeTurnCommitConflict(stamp.session_id, stamp.turn_id)
    if recorded is None:
        return None
    turn_commit_hash, result = recorded
    if turn_commit_hash != stamp.turn_commit_hash:
        raise RuntimeTurnCommitConflict(stamp.session_id, stamp.turn_id)
    return decoded(RuntimeCommitResult, result, "result of a turn")


def _require_writable(engine: Engine, commit: RuntimeCommit, stored: Stored, now: int) -> None:
    if not guarded(engine, commit.session_id, commit.session_execution_lease, now):
        raise SessionExecutionLeaseExpired(commit.session_id)
    expected = commit.expected_head_revision
    if expected is not None and expected != stored.head_revision:
        raise HeadRevisionConflict(expected, stored.head_revision)
    for work in commit.completed_queue_claims:
        # no claim can be held: only a completion of nothing is held by its claim
        if work.session_id != commit.session_id or work.batch_ids:
            raise QueuedWorkClaimExpired(work.session_id, work.claim_id)
    for turn_input in commit.completed_turn_input_claims:
        if turn_input.session_id != commit.session_id or turn_input.input_ids:
            raise TurnInputClaimExpired(turn_input.session_id, turn_input.claim_id)


def _write(engine: Engine, commit: RuntimeCommit, draft: Draft, stored: Stored) -> RuntimeCommitResult:
    head = next_head(commit, draft, stored)
    _store_blobs(engine, [blob for ref, blob in draft.blobs.items() if ref not in stored.blob_refs])
    _store_nodes(engine, commit, draft, head, stored)
    if commit.usage_deltas:
        engine.execute(INSERT_USAGE, (head.head_revision, encoded(commit.usage_deltas)))
    engine.execute(INSERT_HEAD if stored.head is None else UPDATE_HEAD, (encoded(head),))
    result = RuntimeCommitResult(head.head_revision, draft.checkpoint_ref, draft.manifest)
    if commit.turn_commit is not None:
        stamp = commit.turn_commit
        engine.execute(INSERT_STAMP, (stamp.turn_id, stamp.turn_commit_hash, encoded(result)))
    return result


def _read_before(engine: Engine, commit: RuntimeCommit, draft: Draft) -> Stored:
    turn_id = None if commit.turn_commit is None else commit.turn_commit.turn_id
    refs = list(draft.blobs)
    parameters: list[object] = [turn_id, *refs, *refs[:1] * (4 - len(refs))]
    sql = READ_BEFORE
    if isinstance(commit.graph, Append) and draft.nodes:
        membership, ids = _membership(list(draft.nodes))
        sql += READ_NODES_BEFORE + membership
        parameters += ids
    rows = engine.execute(Statement("read what is stored", sql), parameters)
    return _stored(rows)


def _stored(rows: Iterable[Row]) -> Stored:
    head: HeadRecord | None = None
    stamp: tuple[str, str] | None = None
    blob_refs: set[BlobRef] = set()
    node_ids: set[str] = set()
    for part, text, result in rows:
        if part == "head":
            head = decoded_versioned(HeadRecord, text, SESSION_HEAD)
        elif part == "stamp":
            stamp = (text, result)
        else:
            (blob_refs if part == "blob" else node_ids).add(text)
    return Stored(head, stamp, blob_refs, node_ids)


def _membership(ids: Sequence[str]) -> tuple[str, list[object]]:
    """SQL for "one of these", with its parameters."""
    if len(ids) > LISTED_AT_MOST:
        return "(SELECT unnest(?::VARCHAR[]))", [list(ids)]
    # lengths are powers of two, filled up with a repetition: a handful of texts, each parsed once
    length = 1 << (len(ids) - 1).bit_length()
    return f"({', '.join('?' * length)})", [*ids, *[ids[0]] * (length - len(ids))]


def _store_blobs(engine: Engine, blobs: Sequence[Blob]) -> None:
    if not blobs:
        return
    sql = "INSERT INTO blobs VALUES " + ", ".join(["(?, ?, ?)"] * len(blobs))
    engine.execute(Statement("store the checkpoint", sql), [value for blob in blobs for value in blob])


def _store_nodes(engine: Engine, commit: RuntimeCommit, draft: Draft, head: HeadRecord, stored: Stored) -> None:
    if isinstance(commit.graph, ReplaceFull):
        if len(draft.nodes) < len(commit.graph.graph.nodes):
            raise Backend("store the nodes: the graph of a ReplaceFull names a node twice")
        engine.execute(DELETE_NODES)
    if not draft.nodes:
        return
    nodes = draft.nodes.values()
    columns = (
        list(draft.nodes),
        list(range(head.next_position - len(nodes), head.next_position)),
        [node.parent_node_id for node in nodes],
        [encoded(node) for node in nodes],
    )
    engine.execute(UPSERT_NODES if stored.node_ids else INSERT_NODES, columns)
