"""The commit of a turn: one atomic step under a fence.

A commit replaces the head of the session (configuration, frames, checkpoint, leaf), changes its graph, appends usage,
settles claims and may release the lane, all together or not at all. Its checks have one order, and the first that fails
decides the answer: binding, stamp, fence, head revision, queue completions, input completions. A stamped turn that was
recorded with the same hash is answered from the record, by anybody, at any time.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeAlias

import icontract

from .contracts import ensures, operation
from .lease import SessionExecutionLeaseCompletion, SessionExecutionLeaseFence
from .values import I64, U32, U64, BlobRef, Json, Record

CHECKPOINT_SCHEMA_VERSION = 1
"""The version that manifests of this protocol carry."""


class PersistedSessionConfig(Record, frozen=True):
    """The session's configuration, opaque, replaced wholesale by each commit."""

    provider_id: str
    model: Json


class AgentFrameRecord(Record, frozen=True):
    """One agent frame, opaque but for its id."""

    frame_id: str
    body: Json


class EventPayload(Record, frozen=True, tag_field="kind", tag="event"):
    """A node that holds a session event."""

    event: Json


class PluginPayload(Record, frozen=True, tag_field="kind", tag="plugin"):
    """A node that a plug-in wrote."""

    plugin_type: str
    body: Json


class SessionNodeRecord(Record, frozen=True):
    """A node of the session graph. A store depends on `node_id` and `parent_node_id`; the rest is opaque."""

    node_id: str
    parent_node_id: str | None
    payload: EventPayload | PluginPayload
    timestamp: str = ""
    agent_frame_id: str | None = None
    caused_by: Json | None = None


class SessionGraph(Record, frozen=True):
    """Nodes in storage order, and the leaf of the active path. Nothing is validated: a leaf may dangle (COMMIT-22)."""

    nodes: tuple[SessionNodeRecord, ...] = ()
    leaf_node_id: str | None = None


class Unchanged(Record, frozen=True, tag_field="delta", tag="unchanged"):
    """Keep the nodes, set the leaf (absent clears it)."""

    leaf_node_id: str | None = None


class Append(Record, frozen=True, tag_field="delta", tag="append"):
    """Add nodes behind all others, set the leaf."""

    nodes: tuple[SessionNodeRecord, ...] = ()
    leaf_node_id: str | None = None


class ReplaceFull(Record, frozen=True, tag_field="delta", tag="replace_full"):
    """Drop every node and store this graph."""

    graph: SessionGraph = SessionGraph()


GraphCommitDelta: TypeAlias = Unchanged | Append | ReplaceFull


class TokenUsage(Record, frozen=True):
    """Token counters of one call, signed."""

    input_tokens: I64 = 0
    output_tokens: I64 = 0
    cache_read_input_tokens: I64 = 0
    cache_write_input_tokens: I64 = 0
    reasoning_output_tokens: I64 = 0

    @property
    def total(self) -> int:
        """What decides whether an entry counts: reasoning is no part of it (READ-14)."""
        return self.input_tokens + self.output_tokens + self.cache_read_input_tokens + self.cache_write_input_tokens


class TokenLedgerEntry(Record, frozen=True):
    """Usage of one source and model."""

    source: str
    model: str
    usage: TokenUsage


class PersistedTurnState(Record, frozen=True):
    """The turn's state, opaque to the store."""

    turn_index: U64 = 0
    token_usage: TokenUsage = TokenUsage()
    last_prompt_usage: TokenUsage | None = None
    protocol_turn_options: Json = Json(None)


class ToolState(Record, frozen=True):
    """A snapshot of the tools, opaque to the store."""

    generation: U64
    body: Json = Json(None)


class PluginSessionSnapshot(Record, frozen=True):
    """A snapshot of the plug-ins, opaque to the store."""

    body: Json


class HydratedSessionCheckpoint(Record, frozen=True):
    """A checkpoint with its parts: each a value, or the ref of one stored earlier, or neither (COMMIT-27)."""

    turn_state: PersistedTurnState = PersistedTurnState()
    tool_state_ref: BlobRef | None = None
    tool_state: ToolState | None = None
    plugin_snapshot_ref: BlobRef | None = None
    plugin_snapshot: PluginSessionSnapshot | None = None
    plugin_snapshot_revision: U64 | None = None
    execution_state_ref: BlobRef | None = None
    execution_state: bytes | None = None


class SessionCheckpoint(Record, frozen=True):
    """The manifest of a stored checkpoint: refs, no payloads."""

    turn_state: PersistedTurnState
    tool_state_ref: BlobRef | None = None
    plugin_snapshot_ref: BlobRef | None = None
    plugin_snapshot_revision: U64 | None = None
    execution_state_ref: BlobRef | None = None
    schema_version: U32 = CHECKPOINT_SCHEMA_VERSION


class RuntimeTurnCommitStamp(Record, frozen=True):
    """What makes a commit repeatable: the turn, and a hash that the store compares and never computes (COMMIT-7)."""

    session_id: str
    turn_id: str
    turn_commit_hash: str


class QueuedWorkCompletion(Record, frozen=True):
    """Settles the named batches of a queued-work claim."""

    session_id: str
    claim_id: str
    lease_token: str
    batch_ids: tuple[str, ...] = ()


class TurnInputCompletion(Record, frozen=True):
    """Settles the named inputs of a turn-input claim."""

    session_id: str
    claim_id: str
    lease_token: str
    input_ids: tuple[str, ...] = ()


class RuntimeCommit(Record, frozen=True, kw_only=True):
    """Everything that one turn commits."""

    session_id: str
    expected_head_revision: U64 | None = None
    session_execution_lease: SessionExecutionLeaseFence | None = None
    release_session_execution_lease: SessionExecutionLeaseCompletion | None = None
    config: PersistedSessionConfig
    agent_frames: tuple[AgentFrameRecord, ...] = ()
    current_agent_frame_id: str = ""
    graph: GraphCommitDelta = Unchanged()
    checkpoint: HydratedSessionCheckpoint = HydratedSessionCheckpoint()
    usage_deltas: tuple[TokenLedgerEntry, ...] = ()
    turn_commit: RuntimeTurnCommitStamp | None = None
    completed_queue_claims: tuple[QueuedWorkCompletion, ...] = ()
    completed_turn_input_claims: tuple[TurnInputCompletion, ...] = ()
    interrupted_turn_input_turn_id: str | None = None
    committed_attachment_ids: tuple[str, ...] = ()


class RuntimeCommitResult(Record, frozen=True):
    """What a commit left: the head revision, the checkpoint's ref and its manifest."""

    head_revision: U64
    checkpoint_ref: BlobRef
    manifest: SessionCheckpoint


class SessionCommitStore(icontract.DBC):
    """The one write path of a session."""

    @abstractmethod
    @ensures(lambda result: result.head_revision >= 1, "COMMIT-30")
    @ensures(lambda result: result.manifest.schema_version == CHECKPOINT_SCHEMA_VERSION, "COMMIT-28")
    @operation
    def commit_runtime_state(self, commit: RuntimeCommit) -> RuntimeCommitResult:
        """Commit a turn under its fence, or answer a stamped turn from the record.

        Raises, in this order: `InvalidArgument`, `SessionBindingMismatch`, `RuntimeTurnCommitConflict`,
        `SessionExecutionLeaseExpired`, `HeadRevisionConflict`, `QueuedWorkClaimExpired`, `TurnInputClaimExpired`,
        `Backend`. A refused commit has no effect and releases nothing. Requirements: COMMIT-1 to COMMIT-34.
        """
