"""Rules of the commit chapter: turns that succeed, and commits that are wrong in one way, or in two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fencepost.model import Refused, State
from fencepost.model.lease import fence_holds
from fencepost.spec import (
    U64_MAX,
    ActivePath,
    AgentFrameRecord,
    Append,
    EventPayload,
    FullGraph,
    GraphCommitDelta,
    HydratedSessionCheckpoint,
    Json,
    PersistedSessionConfig,
    PersistedTurnState,
    PluginPayload,
    PluginSessionSnapshot,
    QueuedWorkCompletion,
    ReplaceFull,
    RuntimeCommit,
    RuntimeTurnCommitStamp,
    SessionExecutionLease,
    SessionGraph,
    SessionNodeRecord,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    TurnInputCompletion,
    Unchanged,
)
from hypothesis.stateful import rule
from msgspec.structs import replace

from .attachment import ATTACHMENTS
from .checker import Call
from .completions import SHAPES, Completions, completions
from .draws import ANY, latest, mixed
from .lease import AFTERWARDS, ALTERED, OWNERS, LeaseRules

NODES = ("n1", "n2", "n3", "n2", "n3", "n4", "n5", "n10", "", "N%_'\"\0é")
"""Node ids: few, so that appends meet stored ones; text order is not number order."""

READ_LEAVES = ("", "n1", "n2", "c8", "nowhere", "n3", NODES[-1])

PARENTS = (None, "n1", "n1", "n1", "n2", "n3", "n10", "nowhere")
LEAVES = (1, 1, 2, 0, "n2", "n10", None, None, "nowhere")
"""Ids, or which of the delta's own nodes."""

DELTAS = ("append", "append", "append", "unchanged", "replace", "replace", "replace, one twice")

PAYLOADS = (
    EventPayload(Json({"text": "hello", "n": 1})),
    PluginPayload("plugin", Json([1, 1.0, True, None, 2**53 + 1, "é\0"])),
)

EXPECTED = ("any", "right", "right", "right", "stale", "future", "zero", "2^63", "2^64 - 1")
STAMPS = ("fresh", "fresh", "fresh", "none", "known", "known, other hash", "other session")
RELEASES = ("none", "none", "none", "own", "own", "another", "altered")
FENCES = ("held", "held", "held", "held", "held", "known", "known", "elsewhere", "none")

SESSIONS_OF_TURNS = ("bound", "bound", "bound", "bound", "bound", "bound", "s2", "s2")
"""Whose turn: mostly of the session that the store is bound to."""

INTERLUDES = ("none", "none", "none", "renewed", "expires - 1", "expires", "taken over", "released")
"""What happens to a lane between a claim and the commit under it."""

TOOLS = (None, ToolState(1), ToolState(U64_MAX, Json({"tool": [1, 2]})))
PLUGINS = (None, PluginSessionSnapshot(Json({"plugin": "é"})), PluginSessionSnapshot(Json(None)))
EXECUTIONS = (None, b"", b"\x00\xff bytes")
REFS = (None, "", "stored", "stored", "nowhere", "")
USAGES: tuple[tuple[TokenLedgerEntry, ...], ...] = (
    (),
    (TokenLedgerEntry("main", "m1", TokenUsage(1, 2, 3, 4, 5)),),
    (TokenLedgerEntry("main", "m2", TokenUsage(10)), TokenLedgerEntry("main", "m1", TokenUsage(0, 7))),
    # reasoning alone counts nothing; counters that cancel out count nothing; a row may become zero later
    (TokenLedgerEntry("tool", "m1", TokenUsage(reasoning_output_tokens=9)),),
    (TokenLedgerEntry("tool", "m1", TokenUsage(5, -5)), TokenLedgerEntry("main", "m2", TokenUsage(-10))),
    (TokenLedgerEntry("", "", TokenUsage(2**53 + 1, 0, 0, 0, -1)), TokenLedgerEntry("main", "m1", TokenUsage(3))),
)
COMPLETIONS = ("none",) * 16 + SHAPES + ("unknown", "unknown, empty", "unknown, other session")
TURNS = ("turn", "t", "turn", "t2", "")
ATTACHED: tuple[tuple[str, ...], ...] = ((), (), (), ATTACHMENTS[:1], ATTACHMENTS[2:5], ("nothing", "a1", "a1"))
CONFIGS = (
    (PersistedSessionConfig("p", Json({"model": "m"})), (), ""),
    (PersistedSessionConfig("", Json(None)), (AgentFrameRecord("f1", Json({"reason": "é"})),), "f1"),
    (
        PersistedSessionConfig("q", Json([2**53 + 1, 1.5])),
        (AgentFrameRecord("f1", Json(1)), AgentFrameRecord("", Json(2)), AgentFrameRecord("f1", Json(3))),
        "f9",
    ),
)

GRAPHS: dict[str, tuple[tuple[str, str | None], ...]] = {
    "siblings": (("n1", None), ("n2", "n1"), ("n3", "n1")),
    "cycle": (("n1", "n2"), ("n2", "n1")),
    "line": (("n1", None), ("n2", "n1"), ("n3", "n2")),
}
"""Graphs whose second node is the leaf."""

CHANGES = (
    "nothing",
    "nothing",
    "nothing",
    "nothing",
    "lease",
    "no lease",
    "revision",
    "release",
    "hash",
    "turn",
    "graph",
    "usage",
)
"""What a retry changes in an earlier commit: nothing, or one field."""


READS = (Call("load_session", (FullGraph(),)), Call("load_session", (ActivePath(),)))
"""The settled session, in both scopes."""


class CommitRules(LeaseRules):
    """Commits of every shape, retries of earlier ones, and the turns around them."""

    def touches(self, call: Call) -> Iterable[Call]:
        """A commit is seen in both scopes."""
        yield from super().touches(call)
        if call.operation == "commit_runtime_state":
            yield from READS

    def observations(self, state: State) -> Any:
        """The settled session: all of it, which one scope shows."""
        yield from super().observations(state)
        yield READS[0]

    @rule(
        who=mixed(FENCES, ANY, ALTERED, RELEASES, EXPECTED),
        turn=mixed(STAMPS, ANY, COMPLETIONS, CONFIGS, USAGES),
        graph=mixed(DELTAS, LEAVES, range(4), NODES, PARENTS, NODES, PARENTS, NODES),
        checkpoint=mixed(TOOLS, PLUGINS, EXECUTIONS, REFS, REFS, REFS, (None, 0, U64_MAX)),
    )
    def commit_runtime_state(
        self, who: tuple[Any, ...], turn: tuple[Any, ...], graph: tuple[Any, ...], checkpoint: tuple[Any, ...]
    ) -> None:
        """Commit a turn: mostly under a lease that is held, each part drawn on its own."""
        lease = self.lease_to_commit_under(*who[:3])
        session_id = lease.session_id
        stamp, index, completions, (config, frames, frame_id), usage = turn
        kind, leaf, count, first, parent, second, other, third = graph
        queue, inputs = self._completions(completions, session_id, index)
        commit = RuntimeCommit(
            session_id=session_id,
            expected_head_revision=self._expected(who[4]),
            session_execution_lease=None if who[0] == "none" else lease.fence(),
            config=config,
            agent_frames=frames,
            current_agent_frame_id=frame_id,
            graph=self._graph(kind, leaf, ((first, parent), (second, other), (third, second))[:count]),
            checkpoint=self._checkpoint(*checkpoint),
            usage_deltas=usage,
            turn_commit=self._stamp(stamp, index, session_id),
            completed_queue_claims=queue,
            completed_turn_input_claims=inputs,
            interrupted_turn_input_turn_id=TURNS[index % len(TURNS)] if completions in ("empty", "exact") else None,
            committed_attachment_ids=ATTACHED[index % len(ATTACHED)],
        )
        self.commit(self._with_release(commit, who[3], lease, index))

    @rule(drawn=mixed(ANY, CHANGES, ANY))
    def retry(self, drawn: tuple[int, str, int]) -> None:
        """Send an earlier commit again: as it was, or with one field changed."""
        index, change, other = drawn
        if not self.memory.commits:
            return
        self.note("exact retry" if change == "nothing" else "retry with one field changed")
        self.commit(self._changed(latest(self.memory.commits, index), change, other))

    @rule(
        drawn=mixed(OWNERS, INTERLUDES, EXPECTED[:5], STAMPS[:6], ("own", "none", "elsewhere"), DELTAS, SESSIONS_OF_TURNS),
        graph=mixed(LEAVES, NODES, PARENTS, NODES, range(4), USAGES, AFTERWARDS, COMPLETIONS, TOOLS, EXECUTIONS, REFS),
    )
    def turn(self, drawn: tuple[Any, ...], graph: tuple[Any, ...]) -> None:
        """A turn as a runtime runs it: claim, perhaps lose the lane, commit, give it back, and perhaps come back late."""
        owner, interlude, expected, stamp, release, kind, where = drawn
        leaf, node, parent, other, count, usage, afterwards, completions, tool, execution, ref = graph
        head = self.state.commit.head
        bound = head.session_id if head else "s"
        session_id = bound if where == "bound" else where
        queue, inputs = self._completions(completions, session_id, 0)
        lease = self.claim(session_id, owner)
        self._lose(lease, interlude)
        if release == "elsewhere":
            self.claim("", OWNERS[2])
        freed = lease if release == "own" else latest(self.memory.leases, 0)
        commit = RuntimeCommit(
            session_id=session_id,
            expected_head_revision=self._expected(expected),
            session_execution_lease=lease.fence(),
            release_session_execution_lease=None if release == "none" else freed.completion(),
            config=CONFIGS[0][0],
            # two siblings under the first, more often than not
            graph=self._graph(kind, leaf, ((node, parent), (other, node), ("n5", node))[:count]),
            turn_commit=self._stamp(stamp, 0, session_id),
            checkpoint=self._checkpoint(tool, None, execution, ref, None, None, None),
            usage_deltas=usage,
            completed_queue_claims=queue,
            completed_turn_input_claims=inputs,
        )
        self.commit(commit)
        if release == "elsewhere":
            self.claim("", OWNERS[4])
        self.come_back(lease, afterwards)

    def _lose(self, lease: SessionExecutionLease, interlude: str) -> None:
        """What happens to the lane between the claim and the commit."""
        if interlude in ("expires - 1", "expires", "taken over"):
            self.note("lease at its edge before a commit")
            self.move_clock(lease.expires_at_epoch_ms - (interlude == "expires - 1"))
        if interlude == "taken over":
            self.claim(lease.session_id, OWNERS[4])
        elif interlude == "renewed":
            self.remember(self.perform("renew_session_execution_lease", lease.fence(), 10))
        elif interlude == "released":
            self.perform("release_session_execution_lease", lease.completion())

    @rule(drawn=mixed(range(9, 13), ANY))
    def chain(self, drawn: tuple[int, int]) -> None:
        """Append more nodes in a row than any page holds; their text order is not their number order."""
        count, index = drawn
        lease = self.lease_to_commit_under("held", index, "exact")
        nodes = [(f"c{number}", f"c{number - 1}" if number else None) for number in range(count)]
        self.commit(self.plain(lease, self._graph("append", count - 1, nodes)))

    @rule(drawn=mixed(ANY, tuple(GRAPHS), (0, 1, 1, 2)))
    def graphs(self, drawn: tuple[int, str, int]) -> None:
        """Put a graph that is no line in place of all, read its path, and put a part of it in its place."""
        index, shape, kept = drawn
        lease = self.lease_to_commit_under("held", index, "exact")
        self.commit(self.plain(lease, self._graph("replace", 1, GRAPHS[shape])))
        self.perform("load_session", ActivePath())
        self.commit(self.plain(lease, self._graph("replace", 0, GRAPHS[shape][:kept])))

    @rule(drawn=mixed(ANY, LEAVES, USAGES, REFS, REFS, REFS))
    def twice(self, drawn: tuple[Any, ...]) -> None:
        """Send a commit without a stamp whose parts are refs alone, and the very same again: it is applied twice."""
        index, leaf, usage, tool, plugin, execution = drawn
        lease = self.lease_to_commit_under("held", index, "exact")
        checkpoint = self._checkpoint(None, None, None, tool, plugin, execution, None)
        commit = replace(self.plain(lease, self._graph("unchanged", leaf, ())), usage_deltas=usage, checkpoint=checkpoint)
        self.commit(commit)
        self.commit(commit)

    def plain(self, lease: SessionExecutionLease, graph: GraphCommitDelta) -> RuntimeCommit:
        """A commit of this graph and some settings."""
        config, frames, frame_id = CONFIGS[len(self.memory.calls) % len(CONFIGS)]
        return RuntimeCommit(
            session_id=lease.session_id,
            session_execution_lease=lease.fence(),
            config=config,
            agent_frames=frames,
            current_agent_frame_id=frame_id,
            graph=graph,
        )

    def commit(self, commit: RuntimeCommit) -> None:
        """Send the commit, and read some path if it was accepted."""
        refused = isinstance(self.perform("commit_runtime_state", commit), Refused)
        if not refused or commit.turn_commit is not None:
            self.memory.commits.append(commit)
        if not refused:
            # a run that commits much may have no rule of its own to read: some other path each time
            self.perform("load_session", ActivePath(READ_LEAVES[len(self.memory.calls) % len(READ_LEAVES)]))

    def lease_to_commit_under(self, fence: str, index: int, how: str) -> SessionExecutionLease:
        """A lease that is live, claimed now if there is none; or any that was ever returned."""
        if fence == "known":
            return self.shown(index, how)
        if fence == "elsewhere":
            return self.claim("s2", OWNERS[0])
        head = self.state.commit.head
        for lease in reversed(self.memory.leases):
            bound = head is None or head.session_id == lease.session_id
            if bound and fence_holds(self.state, lease.session_id, lease.fence(), self.now):
                return lease
        session_id = head.session_id if head else "s"
        return self.claim(session_id, OWNERS[index % len(OWNERS)])

    def _expected(self, which: str) -> int | None:
        revision = self.state.commit.head.revision if self.state.commit.head else 0
        return {
            "any": None,
            "right": revision,
            "stale": max(revision - 1, 0),
            "future": revision + 1,
            "zero": 0,
            "2^63": 2**63,
            "2^64 - 1": U64_MAX,
        }[which]

    def _stamp(self, which: str, index: int, session_id: str) -> RuntimeTurnCommitStamp | None:
        known = sorted(self.state.commit.stamps.keys())
        if which == "none":
            return None
        if which == "other session":
            return RuntimeTurnCommitStamp(session_id + "2", "turn-1", "hash-1")
        if which == "fresh" or not known:
            number = len(self.memory.calls)
            return RuntimeTurnCommitStamp(session_id, f"turn-{number}", f"hash-{number}")
        session_of_turn, turn_id = latest(known, index)
        recorded = self.state.commit.stamps[session_of_turn, turn_id]
        other = "'" if which == "known, other hash" else ""
        return RuntimeTurnCommitStamp(session_id, turn_id, recorded.turn_commit_hash + other)

    def _with_release(self, commit: RuntimeCommit, which: str, lease: SessionExecutionLease, index: int) -> RuntimeCommit:
        completion = {
            "none": None,
            "own": lease.completion(),
            "another": self.completion(index, "exact"),
            "altered": self.completion(0, "token"),
        }[which]
        return replace(commit, release_session_execution_lease=completion)

    def _graph(self, kind: str, leaf: str | int | None, nodes: Sequence[tuple[str, str | None]]) -> GraphCommitDelta:
        number = len(self.memory.calls)
        if isinstance(leaf, int):
            leaf = nodes[leaf][0] if leaf < len(nodes) else f"n{leaf + 1}"
        if kind == "unchanged":
            return Unchanged(leaf)
        records = tuple(self.node(node_id, parent, number + place) for place, (node_id, parent) in enumerate(nodes))
        if kind == "append":
            return Append(records, leaf)
        return ReplaceFull(SessionGraph(records + (records[:1] if kind == "replace, one twice" else ()), leaf))

    def node(self, node_id: str, parent: str | None, number: int) -> SessionNodeRecord:
        """A node whose content tells which call it came with."""
        payload = PAYLOADS[number % len(PAYLOADS)]
        caused_by = Json({"call": number}) if number % 3 else None
        return SessionNodeRecord(node_id, parent, payload, f"t{number}", "f1" if number % 2 else None, caused_by)

    def _checkpoint(
        self,
        tool: ToolState | None,
        plugin: PluginSessionSnapshot | None,
        execution: bytes | None,
        tool_ref: str | None,
        plugin_ref: str | None,
        execution_ref: str | None,
        revision: int | None,
    ) -> HydratedSessionCheckpoint:
        return HydratedSessionCheckpoint(
            turn_state=PersistedTurnState(len(self.memory.calls), TokenUsage(1), None, Json({"step": revision})),
            tool_state_ref=self._ref("tool_state", tool_ref),
            tool_state=tool,
            plugin_snapshot_ref=self._ref("plugin_snapshot", plugin_ref),
            plugin_snapshot=plugin,
            plugin_snapshot_revision=revision,
            execution_state_ref=self._ref("execution_state", execution_ref),
            execution_state=execution,
        )

    def _ref(self, kind: str, which: str | None) -> str | None:
        """None, a ref to nothing, or one that the store answered for a part of this kind."""
        stored = sorted(ref for of_kind, ref in self.state.commit.blobs if of_kind == kind)
        if which != "stored":
            return which
        return latest(stored, len(self.memory.calls)) if stored else "nowhere"

    def _completions(self, which: str, session_id: str, index: int) -> Completions:
        """Completions of claims that were granted, or of claims that never were."""
        if which == "none":
            return (), ()
        if not which.startswith("unknown"):
            return completions(self.memory, which, index)
        ids = () if which.endswith("empty") else ("x",)
        of = session_id + "2" if which.endswith("other session") else session_id
        queue = (QueuedWorkCompletion(of, "qwc", "token", ids),) if index % 3 != 1 else ()
        inputs = (TurnInputCompletion(of, "tic", "token", ids),) if index % 3 != 2 else ()
        return queue, inputs

    def _changed(self, commit: RuntimeCommit, change: str, other: int) -> RuntimeCommit:
        stamp = commit.turn_commit
        changes: dict[str, dict[str, object]] = {
            "lease": {"session_execution_lease": self.fence(other, "exact")},
            "no lease": {"session_execution_lease": None},
            "revision": {"expected_head_revision": other},
            "release": {"release_session_execution_lease": self.completion(other, "exact")},
            "graph": {"graph": Unchanged("n2")},
            "usage": {"usage_deltas": commit.usage_deltas + USAGES[1]},
        }
        if stamp is not None:
            changes["hash"] = {"turn_commit": replace(stamp, turn_commit_hash=stamp.turn_commit_hash + "'")}
            changes["turn"] = {"turn_commit": replace(stamp, turn_id=stamp.turn_id + "'")}
        return replace(commit, **changes.get(change, {}))
