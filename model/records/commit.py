"""What commits write: head, graph, usage, stamps; and the scalar checks of a commit."""

from __future__ import annotations

from collections.abc import Iterable
from operator import add
from typing import TypeAlias

import msgspec
from fencepost.spec import (
    U64_MAX,
    AgentFrameRecord,
    PersistedSessionConfig,
    PersistedTurnState,
    PluginSessionSnapshot,
    RuntimeCommitResult,
    SessionNodeRecord,
    TokenLedgerEntry,
    ToolState,
)
from immutables import Map

from ..contracts import ensure, require
from .log import Log


@require(lambda actual: 0 <= actual <= U64_MAX)
@ensure(
    lambda expected, actual, result: result == (expected is None or expected == actual),
    "COMMIT-9",
    "a commit passes if it expects the head that is there, or none",
)
def head_agrees(expected: int | None, actual: int) -> bool:
    """Whether a commit that expects this head revision may go on; without an expectation it may."""
    return expected is None or expected == actual


@require(lambda actual: 0 <= actual < U64_MAX)
@ensure(lambda actual, result: result == actual + 1, "COMMIT-30", "a commit raises the head revision by exactly one")
@ensure(lambda actual, result: result > actual, "COMMIT-INV-1", "the head revision grows")
def next_revision(actual: int) -> int:
    """The head revision after one more commit."""
    return actual + 1


Snapshot: TypeAlias = ToolState | PluginSessionSnapshot | bytes


KINDS = ("tool_state", "plugin_snapshot", "execution_state")
"""The snapshot parts of a checkpoint, by the names of their fields."""


class Part(msgspec.Struct, frozen=True):
    """One snapshot part of the head's checkpoint: its ref, and the value that a read hydrates, if any.

    A part is carried when the commit gave its ref alone: whether its value can still be read is CURRENT (COMMIT-27).
    """

    ref: str | None
    value: Snapshot | None
    carried: bool


class Head(msgspec.Struct, frozen=True, cache_hash=True):
    """The session as of its last commit; `parts` has one entry for each of `KINDS`."""

    session_id: str
    revision: int
    config: PersistedSessionConfig
    agent_frames: tuple[AgentFrameRecord, ...]
    current_agent_frame_id: str
    leaf_node_id: str | None
    checkpoint_ref: str
    turn_state: PersistedTurnState
    plugin_snapshot_revision: int | None
    parts: Map[str, Part]


class Stamp(msgspec.Struct, frozen=True):
    """A recorded turn: its hash, opaque, and the result that a replay answers."""

    turn_commit_hash: str
    result: RuntimeCommitResult


Sums: TypeAlias = tuple[int, ...]
"""The counters of a `TokenUsage`, summed exactly."""


class Ledger(msgspec.Struct, frozen=True):
    """Usage folded by source and model, in order of first appearance (READ-14)."""

    rows: tuple[tuple[tuple[str, str], Sums], ...] = ()

    def plus(self, entries: Iterable[TokenLedgerEntry]) -> Ledger:
        """The ledger with these too; an entry whose counters but the last come to zero does not count."""
        rows = dict(self.rows)
        for entry in entries:
            if entry.usage.total != 0:
                key, counters = (entry.source, entry.model), msgspec.structs.astuple(entry.usage)
                rows[key] = tuple(map(add, rows[key], counters)) if key in rows else counters
        return Ledger(tuple(rows.items()))


class CommitState(msgspec.Struct, frozen=True, cache_hash=True):
    """What commits have written; `ledger` is the usage folded.

    `attempted` is the first session that anybody tried to commit for (COMMIT-2a), `replaced_leaf` the leaf of the last full
    replacement (READ-10): both only widen what is admitted. `checkpoints` are the refs of the stored checkpoints, and
    `collected` says that nothing was committed since the last collection (GC-8), `reclaims` whether the store was seen to
    remove blobs, or not to (GC-7), and `resolves` that it was seen to load the value of a part kept by ref alone (COMMIT-27).
    """

    head: Head | None = None
    order: Log[str] = Log()
    nodes: Map[str, SessionNodeRecord] = Map()
    tombstoned: frozenset[str] = frozenset()
    usage: Log[TokenLedgerEntry] = Log()
    ledger: Ledger = Ledger()
    stamps: Map[tuple[str, str], Stamp] = Map()
    blobs: Map[tuple[str, str], Snapshot] = Map()
    attempted: str | None = None
    replaced_leaf: str | None = None
    checkpoints: Map[str, bool] = Map()
    collected: bool = False
    reclaims: bool | None = None
    resolves: bool = False

    def readable(self, node_id: str | None) -> bool:
        """Whether a node of this id is stored and not tombstoned (READ-3)."""
        return node_id in self.nodes and node_id not in self.tombstoned
