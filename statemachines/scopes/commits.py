"""Commits to try where it matters what they write: of each kind one, under one lease."""

from __future__ import annotations

from fencepost.model import State
from fencepost.spec import (
    Append,
    EventPayload,
    GraphCommitDelta,
    HydratedSessionCheckpoint,
    Json,
    PersistedSessionConfig,
    ReplaceFull,
    RuntimeCommit,
    SessionExecutionLeaseFence,
    SessionGraph,
    SessionNodeRecord,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    Unchanged,
)

CONFIG = PersistedSessionConfig("p", Json({"model": "m"}))
USAGE = (TokenLedgerEntry("main", "m", TokenUsage(1, 2)),)


def node(node_id: str, parent: str | None) -> SessionNodeRecord:
    """A node of the graph."""
    return SessionNodeRecord(node_id, parent, EventPayload(Json({"node": node_id})), "2026-01-01")


N1, N2 = node("n1", None), node("n2", "n1")
LOOSE = node("n3", "nowhere")
GRAPHS: dict[str, GraphCommitDelta] = {
    "unchanged": Unchanged("n1"),
    "a path": Append((N1, N2), "n2"),
    "loose": Append((LOOSE,), "n3"),
    "one twice": ReplaceFull(SessionGraph((N1, N1), "n1")),
    "replaced": ReplaceFull(SessionGraph((N1,), "n1")),
    "leafless": ReplaceFull(SessionGraph((N1, N2), None)),
}
CHECKPOINTS = {
    "a value": HydratedSessionCheckpoint(tool_state=ToolState(1)),
    "a ref": HydratedSessionCheckpoint(tool_state_ref="nowhere"),
}


def plain(fence: SessionExecutionLeaseFence, graph: str = "unchanged") -> RuntimeCommit:
    """A commit of this graph, under this lease of its session."""
    return RuntimeCommit(session_id=fence.session_id, session_execution_lease=fence, config=CONFIG, graph=GRAPHS[graph])


def stored_ref(state: State) -> str | None:
    """The ref that the head has for its tools."""
    head = state.commit.head
    return head.parts["tool_state"].ref if head else None
