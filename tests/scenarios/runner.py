"""Runs scenarios: text files of commands with the output that every store has to give.

A scenario is a list of blocks with blank lines between them. A block is comments, one command (its indented lines
continue it), a line of four dashes, and the output. What a store mints is written with stable names, `token#1` for the
first lease token that appears and `ref#1` for the first ref, so that all stores give the same text.

    at INSTANT                                 the clock goes there; it starts at 1000
    process PID/START lives                    a process runs, in place of any other with that pid
    process PID dies | is hidden               it ends; nobody can tell any more
    claim SESSION by OWNER ttl=N
    reclaim SESSION by OWNER from LEASE ttl=N
    renew LEASE ttl=N
    release LEASE
    commit SESSION [under LEASE] [releasing LEASE] [DELTA] [NAME=VALUE ...]
    load full | path [to NODE]
    node NODE

OWNER is `name/incarnation`, with `@PID/START` if it is a process of this host, or `@HOST:BOOT:PID/START` of any.
LEASE is a lease token's name, with facts of the proof altered in brackets: `token#1(fence=9,owner=b/1)`.
DELTA is `append`, `replace` or `unchanged`, and the nodes: `root left<-root`; `leaf=NODE` sets the leaf.
A commit's other facts are the keys of `COMMIT_FACTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from fencepost.spec import (
    Acquired,
    ActivePath,
    AgentFrameRecord,
    Append,
    Backend,
    Busy,
    EventPayload,
    FullGraph,
    GraphCommitDelta,
    HydratedSessionCheckpoint,
    InvalidArgument,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    Opaque,
    PersistedSessionConfig,
    PersistedSessionRead,
    PersistedTurnState,
    PluginSessionSnapshot,
    QueuedWorkCompletion,
    ReplaceFull,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimeTurnCommitStamp,
    SessionCheckpoint,
    SessionExecutionLease,
    SessionGraph,
    SessionNodeRecord,
    StoreError,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    TurnInputCompletion,
    Unchanged,
)
from fencepost.statemachines.environment import Environment
from msgspec.structs import replace

DASHES = "----"


class Scenario:
    """One store under a scenario, and the names of what it minted."""

    def __init__(self, store: Any, environment: Environment) -> None:
        self.store = store
        self.environment = environment
        self._names: dict[tuple[str, str], str] = {}
        self._leases: dict[str, SessionExecutionLease] = {}
        self._commits = 0

    def regenerated(self, text: str) -> str:
        """The scenario with the output that this store gives."""
        return "\n\n".join(self._block(block) for block in text.strip().split("\n\n")) + "\n"

    def _block(self, block: str) -> str:
        asked = block.split(f"\n{DASHES}", 1)[0].rstrip()
        command = " ".join(line for line in asked.splitlines() if not line.startswith("#"))
        return f"{asked}\n{DASHES}\n{self.output(command)}" if command else asked

    def output(self, command: str) -> str:
        """What the command prints."""
        verb, *words = command.split()
        try:
            return "\n".join(getattr(self, f"_{verb}")(words))
        except StoreError as error:
            return self._refused(error)

    def _at(self, words: list[str]) -> Iterator[str]:
        self.environment.clock.move_to(int(words[0]))
        yield "ok"

    def _process(self, words: list[str]) -> Iterator[str]:
        pid, _, start = words[0].partition("/")
        processes = self.environment.process_alive
        match words[1:]:
            case ["lives"]:
                processes.start(int(pid), start)
            case ["dies"]:
                processes.stop(int(pid))
            case ["is", "hidden"]:
                processes.hide(int(pid))
            case what:
                raise SyntaxError(f"a process cannot do this: {what}")
        yield "ok"

    def _claim(self, words: list[str]) -> Iterator[str]:
        session, _by, owner, ttl = words
        yield self._outcome(self.store.try_claim_session_execution_lease(session, _owner(owner), _ttl(ttl)))

    def _reclaim(self, words: list[str]) -> Iterator[str]:
        session, _by, owner, _from, lease, ttl = words
        observed = self._lease(lease).fence()
        yield self._outcome(self.store.reclaim_session_execution_lease(session, _owner(owner), observed, _ttl(ttl)))

    def _renew(self, words: list[str]) -> Iterator[str]:
        lease, ttl = words
        yield f"renewed: {self._held(self.store.renew_session_execution_lease(self._lease(lease).fence(), _ttl(ttl)))}"

    def _release(self, words: list[str]) -> Iterator[str]:
        self.store.release_session_execution_lease(self._lease(words[0]).completion())
        yield "ok"

    def _commit(self, words: list[str]) -> Iterator[str]:
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
                facts["session_execution_lease"] = self._lease(rest.pop(0)).fence()
            elif word == "releasing":
                facts["release_session_execution_lease"] = self._lease(rest.pop(0)).completion()
            elif word in DELTAS:
                delta = word
            elif not is_fact or "<-" in word:
                nodes.append(_node(word))
            elif name == "leaf":
                leaf = value
            else:
                COMMIT_FACTS[name](facts, self._minted(value))
        facts.setdefault("config", PersistedSessionConfig("p", Json(None)))
        checkpoint = HydratedSessionCheckpoint(**facts.pop("checkpoint"))
        commit = RuntimeCommit(**facts, checkpoint=checkpoint, graph=DELTAS[delta](tuple(nodes), leaf))
        result: RuntimeCommitResult = self.store.commit_runtime_state(commit)
        yield f"revision {result.head_revision}, checkpoint {self._ref(result.checkpoint_ref)}{self._parts(result.manifest)}"

    def _load(self, words: list[str]) -> Iterator[str]:
        leaf = words[2] if len(words) == 3 else None
        read: PersistedSessionRead | None = self.store.load_session(FullGraph() if words == ["full"] else ActivePath(leaf))
        if read is None:
            yield "nothing"
            return
        frame = f", frame {read.current_agent_frame_id}" if read.current_agent_frame_id else ""
        yield f"session {read.session_id} at revision {read.head_revision}, config {read.config.provider_id}{frame}"
        yield from (f"frame {each.frame_id}: {each.body.value()}" for each in read.agent_frames)
        yield f"nodes {' '.join(map(_shown_node, read.graph.nodes)) or 'none'}, leaf {read.graph.leaf_node_id or 'none'}"
        assert read.checkpoint is not None
        yield f"checkpoint {self._ref(read.checkpoint_ref or '')}{self._parts(read.checkpoint)}"
        for row in read.token_ledger:
            counters = ",".join(str(getattr(row.usage, name)) for name in TokenUsage.__struct_fields__)
            yield f"usage {row.source}/{row.model}:{counters}"

    def _node(self, words: list[str]) -> Iterator[str]:
        node = self.store.load_node(words[0])
        yield "nothing" if node is None else _shown_node(node)

    def _outcome(self, outcome: Acquired | Busy) -> str:
        if isinstance(outcome, Acquired):
            return f"acquired: {self._held(outcome.lease)}"
        return f"busy: {self._held(outcome.holder)}"

    def _held(self, lease: SessionExecutionLease) -> str:
        token = self._name("token", lease.lease_token)
        self._leases[token] = lease
        span = f"{lease.claimed_at_epoch_ms} to {lease.expires_at_epoch_ms}"
        return f"{_shown_owner(lease.owner)} holds {lease.session_id} by {token}, fence {lease.fencing_token}, {span}"

    def _parts(self, shown: SessionCheckpoint | HydratedSessionCheckpoint) -> str:
        """The parts of a manifest or of a hydrated checkpoint: refs, and values where there are any."""
        text = "" if shown.plugin_snapshot_revision is None else f", plugin revision {shown.plugin_snapshot_revision}"
        for kind, value_of in PARTS.items():
            ref, value = getattr(shown, f"{kind}_ref"), getattr(shown, kind, None)
            if ref is not None:
                text += f", {kind} {self._ref(ref)}" + ("" if value is None else f" = {value_of(value)}")
        return text

    def _refused(self, error: StoreError) -> str:
        # the text of these is free
        if isinstance(error, InvalidArgument | Backend):
            return f"refused: {error.kind}"
        values = (f" {field.name}={getattr(error, field.name)}" for field in fields(error))  # type: ignore[arg-type]
        return f"refused: {error.kind}{''.join(values)}"

    def _ref(self, ref: str) -> str:
        # a ref that the scenario made up keeps its name
        return ref if ref.startswith("nowhere") else self._name("ref", ref)

    def _name(self, kind: str, minted: str) -> str:
        number = 1 + sum(of_kind == kind for of_kind, _ in self._names)
        return self._names.setdefault((kind, minted), f"{kind}#{number}")

    def _minted(self, name: str) -> str:
        """What the store calls by this name; any other text is itself."""
        return next((minted for (_, minted), known in self._names.items() if known == name), name)

    def _lease(self, word: str) -> SessionExecutionLease:
        """The latest lease answered with this token, altered as the brackets say."""
        token, _, alterations = word.rstrip(")").partition("(")
        lease = self._leases[token]
        for alteration in filter(None, alterations.split(",")):
            name, _, value = alteration.partition("=")
            lease = replace(lease, **{ALTERABLE[name][0]: ALTERABLE[name][1](value)})
        return lease


def _owner(word: str) -> LeaseOwnerIdentity:
    who, _, process = word.partition("@")
    owner_id, _, incarnation_id = who.partition("/")
    if not process:
        return LeaseOwnerIdentity(owner_id, incarnation_id, Opaque())
    *place, local = process.split(":")
    host, boot = place or ("host", "boot")
    pid, _, start = local.partition("/")
    return LeaseOwnerIdentity(owner_id, incarnation_id, LocalProcess(host, boot, int(pid), start))


def _shown_owner(owner: LeaseOwnerIdentity) -> str:
    who, process = f"{owner.owner_id}/{owner.incarnation_id}", owner.liveness
    if isinstance(process, Opaque):
        return who
    place = "" if (process.host_id, process.boot_id) == ("host", "boot") else f"{process.host_id}:{process.boot_id}:"
    return f"{who}@{place}{process.pid}/{process.process_start}"


def _node(word: str) -> SessionNodeRecord:
    node_id, _, parent = word.partition("<-")
    return SessionNodeRecord(node_id, parent or None, EventPayload(Json({"node": node_id})))


def _shown_node(node: SessionNodeRecord) -> str:
    return node.node_id if node.parent_node_id is None else f"{node.node_id}<-{node.parent_node_id}"


def _ttl(word: str) -> int:
    return int(word.removeprefix("ttl="))


def _unchanged(nodes: tuple[SessionNodeRecord, ...], leaf: str | None) -> GraphCommitDelta:
    assert not nodes, "nodes need append or replace"
    return Unchanged(leaf)


DELTAS: dict[str, Callable[[tuple[SessionNodeRecord, ...], str | None], GraphCommitDelta]] = {
    "unchanged": _unchanged,
    "append": Append,
    "replace": lambda nodes, leaf: ReplaceFull(SessionGraph(nodes, leaf)),
}

ALTERABLE: dict[str, tuple[str, Callable[[str], object]]] = {
    "session": ("session_id", str),
    "owner": ("owner", _owner),
    "token": ("lease_token", str),
    "fence": ("fencing_token", int),
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


def _batches(word: str) -> QueuedWorkCompletion:
    session_id, claim_id, *ids = word.split("/")
    return QueuedWorkCompletion(session_id, claim_id, "token", tuple(ids))


def _inputs(word: str) -> TurnInputCompletion:
    session_id, claim_id, *ids = word.split("/")
    return TurnInputCompletion(session_id, claim_id, "token", tuple(ids))


COMMIT_FACTS: dict[str, Callable[[dict[str, Any], str], None]] = {
    "expected": _one("expected_head_revision", int),
    "stamp": _one("turn_commit", _stamp),  # session/turn/hash
    "config": _one("config", lambda word: PersistedSessionConfig(word, Json(None))),
    "frame": _more("agent_frames", _frame),  # id:reason
    "current": _one("current_agent_frame_id", str),
    "usage": _more("usage_deltas", _usage),  # source/model:input,output,cache read,cache write,reasoning
    "queue": _more("completed_queue_claims", _batches),  # session/claim/batch/batch...
    "input": _more("completed_turn_input_claims", _inputs),  # session/claim/input/input...
    "tool_state": _part("tool_state", lambda word: ToolState(int(word))),  # generation
    "tool_state_ref": _part("tool_state_ref", str),
    "plugin_snapshot": _part("plugin_snapshot", lambda word: PluginSessionSnapshot(Json(word))),
    "plugin_snapshot_ref": _part("plugin_snapshot_ref", str),
    "plugin_revision": _part("plugin_snapshot_revision", int),
    "execution_state": _part("execution_state", str.encode),
    "execution_state_ref": _part("execution_state_ref", str),
}
"""The facts of a commit beside its delta, by the key that sets them."""
