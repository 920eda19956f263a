"""Reads: the head and what belongs to it, single nodes, metadata. Each call sees one snapshot (READ-17)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from ..spec import (
    ActivePath,
    Backend,
    BlobRef,
    DurabilityTier,
    HydratedSessionCheckpoint,
    PersistedSessionRead,
    PluginSessionSnapshot,
    SessionCheckpoint,
    SessionGraph,
    SessionMeta,
    SessionNodeRecord,
    SessionReadScope,
    SessionReadStore,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
)
from ..spec.contracts import ensures
from .commit import CHECKPOINT, EXECUTION_STATE, PLUGIN_SNAPSHOT, SESSION_HEAD, TOOL_STATE, HeadRecord
from .encoding import Blob, decoded, decoded_versioned, encoded
from .engine import Engine, Row, Statement
from .store import DuckDBStore

T = TypeVar("T")

I64_LEAST, I64_MOST = -(2**63), 2**63 - 1
COUNTERS = TokenUsage.__struct_fields__

READ_SESSION = Statement(
    "read the session",
    """SELECT 'head', 0::UBIGINT, NULL, NULL, record FROM head
    UNION ALL SELECT 'node', position, node_id, parent_node_id, record FROM nodes WHERE NOT tombstoned
    UNION ALL SELECT 'usage', head_revision, NULL, NULL, entries FROM usage""",
)
READ_BLOBS = Statement("read the checkpoint", "SELECT ref, kind, data FROM blobs WHERE ref IN (?, ?, ?, ?)")
# to filter the mark as well would make DuckDB scan all nodes
READ_NODE = Statement(
    "read the node", "SELECT tombstoned, position, node_id, parent_node_id, record FROM nodes WHERE node_id = ?"
)
READ_META = Statement("read the metadata", "SELECT record FROM meta")
UPDATE_META = Statement("store the metadata", "UPDATE meta SET record = ? WHERE slot = 0")
INSERT_META = Statement("store the first metadata", "INSERT INTO meta VALUES (0, ?)")


class NodeRow(NamedTuple):
    """A visible node, not decoded yet: an active path needs few of them."""

    position: int
    node_id: str
    parent_node_id: str | None
    record: str

    @ensures(lambda self, result: (result.node_id, result.parent_node_id) == (self.node_id, self.parent_node_id), "READ-15a")
    def decoded(self) -> SessionNodeRecord:
        """The node. Raises `Backend` if it cannot be decoded."""
        node = decoded(SessionNodeRecord, self.record, "node")
        if (node.node_id, node.parent_node_id) != (self.node_id, self.parent_node_id):
            raise Backend(f"the stored node {self.node_id!r} cannot be decoded: its record is another node's")
        return node


@ensures(lambda result: all(parent.node_id == child.parent_node_id for parent, child in itertools.pairwise(result)), "READ-7")
@ensures(lambda nodes, leaf, result: (bool(result) and result[-1].node_id == leaf) == (leaf in nodes), "READ-8")
def active_path(nodes: Mapping[str, NodeRow], leaf: str | None) -> list[NodeRow]:
    """The chain that ends in the leaf, root first, cut at the first node that is not there (READ-7 to READ-10)."""
    path: dict[str, NodeRow] = {}
    # a node that was passed before closes a cycle: the read ends
    while leaf is not None and leaf in nodes and leaf not in path:
        path[leaf] = nodes[leaf]
        leaf = nodes[leaf].parent_node_id
    return list(reversed(path.values()))


@ensures(lambda result: len({(entry.source, entry.model) for entry in result}) == len(result), "READ-14")
def folded(entries: Iterable[TokenLedgerEntry]) -> tuple[TokenLedgerEntry, ...]:
    """One entry per source and model, in order of first appearance; entries without total are skipped (READ-14).

    A counter whose exact sum leaves the signed 64-bit range is answered as the end of that range.
    """
    sums: dict[tuple[str, str], list[int]] = {}
    for entry in entries:
        if entry.usage.total == 0:
            continue
        counters = [getattr(entry.usage, name) for name in COUNTERS]
        key = (entry.source, entry.model)
        sums[key] = [left + right for left, right in zip(sums[key], counters, strict=True)] if key in sums else counters
    return tuple(
        TokenLedgerEntry(source, model, TokenUsage(*(min(max(I64_LEAST, counter), I64_MOST) for counter in counters)))
        for (source, model), counters in sums.items()
    )


def hydrated(manifest: SessionCheckpoint, blobs: Mapping[BlobRef, Blob]) -> HydratedSessionCheckpoint:
    """The checkpoint with the parts that can be found; a ref that names nothing of its kind stays a ref (READ-13)."""
    execution_state = _part(blobs, manifest.execution_state_ref, EXECUTION_STATE)
    return HydratedSessionCheckpoint(
        turn_state=manifest.turn_state,
        tool_state_ref=manifest.tool_state_ref,
        tool_state=_decoded_part(ToolState, _part(blobs, manifest.tool_state_ref, TOOL_STATE)),
        plugin_snapshot_ref=manifest.plugin_snapshot_ref,
        plugin_snapshot=_decoded_part(PluginSessionSnapshot, _part(blobs, manifest.plugin_snapshot_ref, PLUGIN_SNAPSHOT)),
        plugin_snapshot_revision=manifest.plugin_snapshot_revision,
        execution_state_ref=manifest.execution_state_ref,
        execution_state=execution_state,
    )


def _part(blobs: Mapping[BlobRef, Blob], ref: BlobRef | None, kind: str) -> bytes | None:
    blob = None if ref is None else blobs.get(ref)
    return blob.data if blob is not None and blob.kind == kind else None


def _decoded_part(kind: type[T], data: bytes | None) -> T | None:
    if data is None:
        return None
    try:
        return decoded(kind, data, kind.__name__)
    except Backend:
        return None


class DuckDBReadStore(DuckDBStore, SessionReadStore):
    """Reads and metadata."""

    def load_session(self, scope: SessionReadScope) -> PersistedSessionRead | None:
        """See `SessionReadStore`. Three statements: the session, its blobs, and the transaction around them.

        Both scopes read the whole graph and decode what they answer: to follow the path inside DuckDB costs more, up to
        graphs of some ten thousand nodes (measured).
        """
        engine = self._engine
        return engine.transaction("load the session", lambda: _session(engine, scope))

    def load_node(self, node_id: str) -> SessionNodeRecord | None:
        """See `SessionReadStore`. One statement."""
        rows = self._engine.once(READ_NODE, (node_id,))
        if not rows:
            return None
        tombstoned, *row = rows[0]
        return None if tombstoned else NodeRow(*row).decoded()

    def save_session_meta(self, meta: SessionMeta) -> None:
        """See `SessionReadStore`. Two statements; three for the first metadata."""
        engine = self._engine

        def save() -> None:
            if engine.execute(UPDATE_META, (encoded(meta),)) == [(0,)]:
                engine.execute(INSERT_META, (encoded(meta),))

        engine.transaction("store the metadata", save)

    def load_session_meta(self) -> SessionMeta | None:
        """See `SessionReadStore`. One statement."""
        return _metadata(self._engine.once(READ_META))

    def durability_tier(self) -> DurabilityTier:
        """`Durable` for a store in a file, `Inline` for one in memory (READ-19)."""
        return DurabilityTier.Durable if self._engine.is_file else DurabilityTier.Inline


def _session(engine: Engine, scope: SessionReadScope) -> PersistedSessionRead | None:
    head, nodes, usage = _parts(engine.execute(READ_SESSION))
    if head is None:
        return None
    return PersistedSessionRead(
        session_id=head.session_id,
        head_revision=head.head_revision,
        config=head.config,
        agent_frames=head.agent_frames,
        current_agent_frame_id=head.current_agent_frame_id,
        graph=_graph(nodes, head.leaf_node_id, scope),
        checkpoint_ref=head.checkpoint_ref,
        checkpoint=_checkpoint(engine, head),
        token_ledger=folded(entry for _, text in usage for entry in decoded(tuple[TokenLedgerEntry, ...], text, "usage")),
    )


@ensures(lambda result: result[0] is not None or not (result[1] or result[2]), "READ-17")
def _parts(rows: Iterable[Row]) -> tuple[HeadRecord | None, list[NodeRow], list[tuple[int, str]]]:
    """The rows of the read, told apart and put in order."""
    head, nodes, usage = None, [], []
    for part, position, node_id, parent_node_id, text in rows:
        if part == "node":
            nodes.append(NodeRow(position, node_id, parent_node_id, text))
        elif part == "usage":
            usage.append((position, text))
        else:
            head = decoded_versioned(HeadRecord, text, SESSION_HEAD)
    if head is None and (nodes or usage):
        raise Backend("the stored session is damaged: it has nodes or usage, and no head")
    return head, sorted(nodes), sorted(usage)


def _graph(nodes: list[NodeRow], leaf: str | None, scope: SessionReadScope) -> SessionGraph:
    if isinstance(scope, ActivePath):
        leaf = leaf if scope.leaf_node_id is None else scope.leaf_node_id
        nodes = active_path({node.node_id: node for node in nodes}, leaf)
    return SessionGraph(tuple(node.decoded() for node in nodes), leaf)


def _checkpoint(engine: Engine, head: HeadRecord) -> HydratedSessionCheckpoint | None:
    refs = (head.checkpoint_ref, *head.part_refs)
    rows = engine.execute(READ_BLOBS, (*refs, *refs[:1] * (4 - len(refs))))
    blobs = {row[0]: Blob(*row) for row in rows}
    return _hydrated_record(_part(blobs, head.checkpoint_ref, CHECKPOINT), blobs)


@ensures(lambda record, result: (record is None) == (result is None), "READ-12a")
def _hydrated_record(record: bytes | None, blobs: Mapping[BlobRef, Blob]) -> HydratedSessionCheckpoint | None:
    # a record that was collected is no error, one that is there and not readable is
    return None if record is None else hydrated(decoded_versioned(SessionCheckpoint, record, CHECKPOINT), blobs)


@ensures(lambda rows, result: bool(rows) == (result is not None), "META-4")
def _metadata(rows: Sequence[Row]) -> SessionMeta | None:
    return decoded(SessionMeta, rows[0][0], "metadata") if rows else None
