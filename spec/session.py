"""What can be read of a session: the settled head, its graph, single nodes, and metadata.

A session exists for readers from its first commit on. A read needs no lease, changes nothing and never fails because
there is nothing to read. Metadata is a slot of its own, independent of the head.
"""

from __future__ import annotations

import enum
from abc import abstractmethod
from typing import TypeAlias

import icontract

from .commit import (
    AgentFrameRecord,
    HydratedSessionCheckpoint,
    PersistedSessionConfig,
    SessionGraph,
    SessionNodeRecord,
    TokenLedgerEntry,
)
from .contracts import ensures, operation
from .values import U64, BlobRef, Json, Record


class FullGraph(Record, frozen=True, tag_field="scope", tag="full_graph"):
    """Every node, all branches, in storage order."""


class ActivePath(Record, frozen=True, tag_field="scope", tag="active_path"):
    """The chain from the root to the leaf given here, else to the persisted leaf."""

    leaf_node_id: str | None = None


SessionReadScope: TypeAlias = FullGraph | ActivePath


class PersistedSessionRead(Record, frozen=True):
    """A session as its last commit left it."""

    session_id: str
    head_revision: U64
    config: PersistedSessionConfig
    agent_frames: tuple[AgentFrameRecord, ...]
    current_agent_frame_id: str
    graph: SessionGraph
    checkpoint_ref: BlobRef | None
    checkpoint: HydratedSessionCheckpoint | None
    token_ledger: tuple[TokenLedgerEntry, ...]


class Root(Record, frozen=True, tag_field="kind", tag="root"):
    """The session has no parent."""


class Child(Record, frozen=True, tag_field="kind", tag="child"):
    """The session was started by another one."""

    parent_session_id: str
    caused_by: Json | None = None


class SessionMeta(Record, frozen=True):
    """Descriptive facts about a session, replaced wholesale."""

    session_id: str
    session_name: str
    created_at: str
    model: str
    cwd: str | None = None
    relation: Root | Child = Root()


class DurabilityTier(enum.Enum):
    """What an acknowledged call is worth after a crash."""

    Inline = "inline"
    Durable = "durable"


def node_ids_unique(graph: SessionGraph) -> bool:
    """Whether no two nodes of the graph share an id."""
    return len({node.node_id for node in graph.nodes}) == len(graph.nodes)


class SessionReadStore(icontract.DBC):
    """Reads of the settled session and its metadata."""

    @abstractmethod
    @ensures(lambda result: result is None or result.head_revision >= 1, "COMMIT-30")
    @ensures(lambda result: result is None or node_ids_unique(result.graph), "READ-INV-2")
    @operation
    def load_session(self, scope: SessionReadScope) -> PersistedSessionRead | None:
        """The session as of the last commit, or None before the first.

        Raises `UnsupportedRecordSchemaVersion`, `MissingRecordSchemaVersion`, `InvalidRecordSchemaVersion` or `Backend` for
        stored records that cannot be read; `InvalidArgument`. Requirements: READ-1 to READ-14, READ-16 to READ-18.
        """

    @abstractmethod
    @ensures(lambda result, node_id: result is None or result.node_id == node_id, "READ-15")
    @operation
    def load_node(self, node_id: str) -> SessionNodeRecord | None:
        """The node with this id on whichever branch, or None. Raises `InvalidArgument`, `Backend`. Requirement: READ-15."""

    @abstractmethod
    @operation
    def save_session_meta(self, meta: SessionMeta) -> None:
        """Replace the metadata. Raises `InvalidArgument`, `Backend`. Requirements: META-1 to META-4."""

    @abstractmethod
    @operation
    def load_session_meta(self) -> SessionMeta | None:
        """The metadata saved last, or None. Raises `Backend`. Requirements: META-1, META-4."""

    @operation
    def durability_tier(self) -> DurabilityTier:
        """What the store promises of acknowledged calls: `Inline` unless it says otherwise. Requirement: READ-19."""
        return DurabilityTier.Inline
