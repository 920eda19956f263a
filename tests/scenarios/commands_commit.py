"""Commands of the chapters on commits and reads: commit, load, node, save."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from commands_claim import ClaimCommands
from fencepost.spec import (
    ActivePath,
    AgentFrameRecord,
    Append,
    Child,
    EventPayload,
    FullGraph,
    GraphCommitDelta,
    HydratedSessionCheckpoint,
    Json,
    PersistedSessionConfig,
    PersistedSessionRead,
    PersistedTurnState,
    PluginSessionSnapshot,
    ReplaceFull,
    Root,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimeTurnCommitStamp,
    SessionCheckpoint,
    SessionGraph,
    SessionMeta,
    SessionNodeRecord,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    TurnInputCompletion,
    Unchanged,
)


class CommitCommands(ClaimCommands):
    """The settled session, written and read."""

    def __init__(self) -> None:
        super().__init__()
        self._commits = 0

    def do_commit(self, words: list[str]) -> Iterator[str]:
        """`commit SESSION [under LEASE] [releasing LEASE] [completing CLAIM ...] [DELTA] [FACTS]`."""
        session, *rest = words
        # no two commits of a scenario carry equal checkpoints, so that refs derived from content are as distinct as others
        self._commits += 1
        turn_state = PersistedTurnState(turn_index=self._commits)
        facts: dict[str, Any] = {"session_id": session, "checkpoint": {"turn_state": turn_state}}
        delta, nodes, leaf = "unchanged", [], None
        while rest:
            word = rest.pop(0)
            name, is_fact, value = word.partition("=")
            if word == "under":
                facts["session_execution_lease"] = self.lease(rest.pop(0)).fence()
            elif word == "releasing":
                facts["release_session_execution_lease"] = self.lease(rest.pop(0)).completion()
            elif word == "completing":
                self._complete(facts, rest.pop(0))
            elif word in DELTAS:
                delta = word
            elif not is_fact or "<-" in word:
                nodes.append(_node(word))
            elif name == "leaf":
                leaf = value
            else:
                COMMIT_FACTS[name](facts, self.minted(value))
        facts.setdefault("config", PersistedSessionConfig("p", Json(None)))
        checkpoint = HydratedSessionCheckpoint(**facts.pop("checkpoint"))
        commit = RuntimeCommit(**facts, checkpoint=checkpoint, graph=DELTAS[delta](tuple(nodes), leaf))
        result: RuntimeCommitResult = self.store.commit_runtime_state(commit)
        yield f"revision {result.head_revision}, checkpoint {self.ref(result.checkpoint_ref)}{self._parts(result.manifest)}"

    def do_load(self, words: list[str]) -> Iterator[str]:
        """`load full | path [to NODE] | meta`."""
        if words == ["meta"]:
            yield from _shown_meta(self.store.load_session_meta())
            return
        leaf = words[2] if len(words) == 3 else None
        read: PersistedSessionRead | None = self.store.load_session(FullGraph() if words == ["full"] else ActivePath(leaf))
        if read is None:
            return
        frame = f", frame {read.current_agent_frame_id}" if read.current_agent_frame_id else ""
        yield f"session {read.session_id} at revision {read.head_revision}, config {read.config.provider_id}{frame}"
        yield from (f"frame {each.frame_id}: {each.body.value()}" for each in read.agent_frames)
        yield f"nodes {' '.join(map(_shown_node, read.graph.nodes)) or 'none'}, leaf {read.graph.leaf_node_id or 'none'}"
        assert read.checkpoint is not None
        yield f"checkpoint {self.ref(read.checkpoint_ref or '')}{self._parts(read.checkpoint)}"
        for row in read.token_ledger:
            counters = ",".join(str(getattr(row.usage, name)) for name in TokenUsage.__struct_fields__)
            yield f"usage {row.source}/{row.model}:{counters}"

    def do_node(self, words: list[str]) -> Iterator[str]:
        """`node NODE`."""
        node = self.store.load_node(words[0])
        if node is not None:
            yield _shown_node(node)

    def do_save(self, words: list[str]) -> Iterator[str]:
        """`save SESSION name=NAME model=MODEL [cwd=PATH] [parent=SESSION]`."""
        session, *rest = words
        facts = dict(word.split("=", 1) for word in rest)
        relation = Child(facts["parent"]) if "parent" in facts else Root()
        self.store.save_session_meta(
            SessionMeta(session, facts["name"], str(self.environment.clock()), facts["model"], facts.get("cwd"), relation)
        )
        yield "ok"

    def _complete(self, facts: dict[str, Any], claim: str) -> None:
        completion = self.completion(claim)
        of_inputs = isinstance(completion, TurnInputCompletion)
        field = "completed_turn_input_claims" if of_inputs else "completed_queue_claims"
        facts[field] = (*facts.get(field, ()), completion)

    def _parts(self, shown: SessionCheckpoint | HydratedSessionCheckpoint) -> str:
        """The parts of a manifest or of a hydrated checkpoint: refs, and values where there are any."""
        text = "" if shown.plugin_snapshot_revision is None else f", plugin revision {shown.plugin_snapshot_revision}"
        for kind, value_of in PARTS.items():
            ref, value = getattr(shown, f"{kind}_ref"), getattr(shown, kind, None)
            if ref is not None:
                text += f", {kind} {self.ref(ref)}" + ("" if value is None else f" = {value_of(value)}")
        return text


def _node(word: str) -> SessionNodeRecord:
    node_id, _, parent = word.partition("<-")
    return SessionNodeRecord(node_id, parent or None, EventPayload(Json({"node": node_id})))


def _shown_node(node: SessionNodeRecord) -> str:
    return node.node_id if node.parent_node_id is None else f"{node.node_id}<-{node.parent_node_id}"


def _shown_meta(meta: SessionMeta | None) -> Iterator[str]:
    if meta is not None:
        place = "" if meta.cwd is None else f", in {meta.cwd}"
        relation = f"child of {meta.relation.parent_session_id}" if isinstance(meta.relation, Child) else "root"
        yield f"{meta.session_id} named {meta.session_name} since {meta.created_at}, model {meta.model}{place}, {relation}"


def _unchanged(nodes: tuple[SessionNodeRecord, ...], leaf: str | None) -> GraphCommitDelta:
    assert not nodes, "nodes need append or replace"
    return Unchanged(leaf)


DELTAS: dict[str, Callable[[tuple[SessionNodeRecord, ...], str | None], GraphCommitDelta]] = {
    "unchanged": _unchanged,
    "append": Append,
    "replace": lambda nodes, leaf: ReplaceFull(SessionGraph(nodes, leaf)),
}

PARTS: dict[str, Callable[[Any], object]] = {
    "tool_state": lambda value: value.generation,
    "plugin_snapshot": lambda value: value.body.value(),
    "execution_state": bytes.decode,
}


def _one(field: str, made: Callable[[str], object]) -> Callable[[dict[str, Any], str], None]:
    """A fact that sets a field."""
    return lambda facts, value: facts.update({field: made(value)})


def _more(field: str, made: Callable[[str], object]) -> Callable[[dict[str, Any], str], None]:
    """A fact that adds to a field of several."""
    return lambda facts, value: facts.update({field: (*facts.get(field, ()), made(value))})


def _part(field: str, made: Callable[[str], object]) -> Callable[[dict[str, Any], str], None]:
    """A fact of the checkpoint."""
    return lambda facts, value: facts["checkpoint"].update({field: made(value)})


def _stamp(word: str) -> RuntimeTurnCommitStamp:
    return RuntimeTurnCommitStamp(*word.split("/"))


def _usage(word: str) -> TokenLedgerEntry:
    names, _, counters = word.partition(":")
    source, _, model = names.partition("/")
    return TokenLedgerEntry(source, model, TokenUsage(*map(int, counters.split(","))))


def _frame(word: str) -> AgentFrameRecord:
    frame_id, _, reason = word.partition(":")
    return AgentFrameRecord(frame_id, Json({"reason": reason}))


COMMIT_FACTS: dict[str, Callable[[dict[str, Any], str], None]] = {
    "expected": _one("expected_head_revision", int),
    "stamp": _one("turn_commit", _stamp),  # session/turn/hash
    "config": _one("config", lambda word: PersistedSessionConfig(word, Json(None))),
    "frame": _more("agent_frames", _frame),  # id:reason
    "current": _one("current_agent_frame_id", str),
    "usage": _more("usage_deltas", _usage),  # source/model:input,output,cache read,cache write,reasoning
    "interrupted": _one("interrupted_turn_input_turn_id", str),
    "attachment": _more("committed_attachment_ids", str),
    "tool_state": _part("tool_state", lambda word: ToolState(int(word))),  # generation
    "tool_state_ref": _part("tool_state_ref", str),
    "plugin_snapshot": _part("plugin_snapshot", lambda word: PluginSessionSnapshot(Json(word))),
    "plugin_snapshot_ref": _part("plugin_snapshot_ref", str),
    "plugin_revision": _part("plugin_snapshot_revision", int),
    "execution_state": _part("execution_state", str.encode),
    "execution_state_ref": _part("execution_state_ref", str),
}
"""The facts of a commit beside its delta, by the key that sets them."""
