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
    TurnInputIngressNextTurn,
    TurnInputState,
)
from ..spec.contracts import ensures
from ..spec.values import U32, U64
from .attachment import stamp as stamp_attachments
from .claim import Entry, settled
from .encoding import SCHEMA_VERSION, Blob, decoded, decoded_versioned, encoded
from .engine import Engine, Row, Statement, guard, one_of
from .input_rows import IN_LINE, end, in_line_of_turn, put_in_line
from .lease import guarded, release
from .queued_work import remove_batches
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
    batches: dict[str, Entry]
    inputs: dict[str, Entry]
    deferred: set[int]
    """The numbers of the inputs that wait for the turn that was interrupted."""

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


READ_BEFORE = """SELECT 'head', record, NULL, NULL, NULL, NULL FROM head
    UNION ALL SELECT 'stamp', turn_commit_hash, result, NULL, NULL, NULL FROM stamps WHERE turn_id = ?
    UNION ALL SELECT 'blob', ref, NULL, NULL, NULL, NULL FROM blobs WHERE ref IN (?, ?, ?, ?)"""
READ_NODES_BEFORE = " UNION ALL SELECT 'node', node_id, NULL, NULL, NULL, NULL FROM nodes WHERE node_id IN "
READ_BATCHES_BEFORE = """ UNION ALL SELECT 'batch', batch_id, session_id, claim_id, claim_token, enqueue_seq FROM batches
    WHERE batch_id IN """
READ_INPUTS_BEFORE = """ UNION ALL SELECT 'input', input_id, session_id, claim_id, claim_token, enqueue_seq FROM inputs
    WHERE input_id IN """
READ_LINE_BEFORE = f" UNION ALL SELECT 'line', NULL, NULL, NULL, NULL, enqueue_seq FROM inputs WHERE {IN_LINE}"

INSERT_HEAD = Statement("store the first head", "INSERT INTO head VALUES (0, ?, 0)")
UPDATE_HEAD = Statement("store the head", "UPDATE head SET record = ?, guard = guard + 1 WHERE slot = 0")
DROP_NODES = "WITH dropped AS (DELETE FROM nodes) "
INSERT_HEAD_ALONE = Statement("drop the nodes and store the first head", DROP_NODES + INSERT_HEAD.sql)
UPDATE_HEAD_ALONE = Statement("drop the nodes and store the head", DROP_NODES + UPDATE_HEAD.sql)
INSERT_USAGE = Statement("store the usage", "INSERT INTO usage VALUES (?, ?)")
INSERT_STAMP = Statement("record the turn", "INSERT INTO stamps VALUES (?, ?, ?)")
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
        """See `SessionCommitStore`. Five statements, and one more for each kind of part that it has.

        Those are nodes, usage, stamp, completed batches, completed inputs, deferred inputs, attachments, release.
        """
        now = self._now()
        engine = self._engine
        draft = draft_of(commit)
        return engine.transaction("commit", lambda: _committed(engine, commit, draft, now), _kinds(commit))


def _committed(engine: Engine, commit: RuntimeCommit, draft: Draft, now: int) -> RuntimeCommitResult:
    stored = _read_before(engine, commit, draft)
    if stored.head is not None and stored.head.session_id != commit.session_id:
        raise SessionBindingMismatch(stored.head.session_id, commit.session_id)
    result = None if commit.turn_commit is None else _recorded(commit.turn_commit, commit.session_id, stored.stamp)
    if result is None:
        _require_writable(engine, commit, stored, now)
        batches = settled(commit.session_id, commit.completed_queue_claims, stored.batches)
        inputs = settled(commit.session_id, commit.completed_turn_input_claims, stored.inputs)
        result = _write(engine, commit, draft, stored)
        _settle(engine, commit, batches, inputs, stored.deferred - inputs, now)
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


def _write(engine: Engine, commit: RuntimeCommit, draft: Draft, stored: Stored) -> RuntimeCommitResult:
    head = next_head(commit, draft, stored)
    _store_blobs(engine, [blob for ref, blob in draft.blobs.items() if ref not in stored.blob_refs])
    _store_head(engine, commit, draft, head, stored)
    _store_nodes(engine, draft, head, stored)
    if commit.usage_deltas:
        engine.execute(INSERT_USAGE, (head.head_revision, encoded(commit.usage_deltas)))
    result = RuntimeCommitResult(head.head_revision, draft.checkpoint_ref, draft.manifest)
    if commit.turn_commit is not None:
        stamp = commit.turn_commit
        engine.execute(INSERT_STAMP, (stamp.turn_id, stamp.turn_commit_hash, encoded(result)))
    return result


def _settle(engine: Engine, commit: RuntimeCommit, batches: set[int], inputs: set[int], deferred: set[int], now: int) -> None:
    if batches:
        remove_batches(engine, batches)
    if inputs:
        end(engine, TurnInputState.Completed, inputs)
    if deferred:
        put_in_line(engine, commit.session_id, TurnInputIngressNextTurn(), deferred)
    elif commit.interrupted_turn_input_turn_id is not None and not inputs:
        # that there are none is a decision too: an input that is submitted beside it must not stay with the turn (COMMIT-17)
        engine.execute(guard("inputs"))
    if commit.committed_attachment_ids:
        stamp_attachments(engine, commit.session_id, commit.committed_attachment_ids, now)


def _read_before(engine: Engine, commit: RuntimeCommit, draft: Draft) -> Stored:
    turn_id = None if commit.turn_commit is None else commit.turn_commit.turn_id
    refs = list(draft.blobs)
    parameters: list[object] = [turn_id, *refs, *refs[:1] * (4 - len(refs))]
    sql = READ_BEFORE
    for read, names in _named(commit, draft):
        if names:
            listed, values = one_of(names, "VARCHAR")
            sql += read + listed
            parameters += values
    if commit.interrupted_turn_input_turn_id is not None:
        sql += READ_LINE_BEFORE
        parameters += in_line_of_turn(commit.session_id, commit.interrupted_turn_input_turn_id)
    return _stored(engine.execute(Statement("read what is stored", sql), parameters))


def _kinds(commit: RuntimeCommit) -> list[str]:
    """The kinds of entries that the commit may write."""
    inputs = commit.completed_turn_input_claims or commit.interrupted_turn_input_turn_id is not None
    touched = (("inputs", inputs), ("batches", commit.completed_queue_claims), ("attachments", commit.committed_attachment_ids))
    return [kind for kind, is_touched in touched if is_touched]


def _named(commit: RuntimeCommit, draft: Draft) -> list[tuple[str, list[str]]]:
    """What else the commit names, with the SQL that reads it."""
    return [
        (READ_NODES_BEFORE, list(draft.nodes) if isinstance(commit.graph, Append) else []),
        (READ_BATCHES_BEFORE, [batch_id for each in commit.completed_queue_claims for batch_id in each.batch_ids]),
        (READ_INPUTS_BEFORE, [input_id for each in commit.completed_turn_input_claims for input_id in each.input_ids]),
    ]


def _stored(rows: Iterable[Row]) -> Stored:
    stored = Stored(None, None, set(), set(), {}, {}, set())
    for part, name, text, claim_id, lease_token, enqueue_seq in rows:
        if part == "head":
            stored = stored._replace(head=decoded_versioned(HeadRecord, name, SESSION_HEAD))
        elif part == "stamp":
            stored = stored._replace(stamp=(name, text))
        elif part == "line":
            stored.deferred.add(enqueue_seq)
        elif part in ("batch", "input"):
            entries = stored.batches if part == "batch" else stored.inputs
            entries[name] = Entry(enqueue_seq, text, claim_id, lease_token)
        else:
            (stored.blob_refs if part == "blob" else stored.node_ids).add(name)
    return stored


def _store_blobs(engine: Engine, blobs: Sequence[Blob]) -> None:
    if not blobs:
        return
    sql = "INSERT INTO blobs VALUES " + ", ".join(["(?, ?, ?)"] * len(blobs))
    engine.execute(Statement("store the checkpoint", sql), [value for blob in blobs for value in blob])


def _store_head(engine: Engine, commit: RuntimeCommit, draft: Draft, head: HeadRecord, stored: Stored) -> None:
    first, later = INSERT_HEAD, UPDATE_HEAD
    if isinstance(commit.graph, ReplaceFull):
        if len(draft.nodes) < len(commit.graph.graph.nodes):
            raise Backend("store the nodes: the graph of a ReplaceFull names a node twice")
        # the nodes that were go with the old head: a statement of their own would be one more for this kind of graph
        first, later = INSERT_HEAD_ALONE, UPDATE_HEAD_ALONE
    engine.execute(first if stored.head is None else later, (encoded(head),))


def _store_nodes(engine: Engine, draft: Draft, head: HeadRecord, stored: Stored) -> None:
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
