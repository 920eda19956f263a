"""Reads over the whole state: the session in both scopes, nodes, metadata. A read changes nothing (READ-16)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from fencepost.spec import (
    ActivePath,
    DurabilityTier,
    FullGraph,
    HydratedSessionCheckpoint,
    PersistedSessionRead,
    SessionGraph,
    SessionMeta,
    SessionNodeRecord,
    SessionReadScope,
    TokenLedgerEntry,
    TokenUsage,
    UnsupportedReadScope,
)
from msgspec.structs import replace

from .commit import hydrated
from .records.commit import CommitState, Head, Ledger
from .state import State, invariant
from .step import Ids, Ports, Refused, Step, Steps, Why, admitting

HEAD_WHY: Why = (
    ("checkpoint.tool_state", ("READ-13", "COMMIT-27a")),
    ("checkpoint.plugin_snapshot", ("READ-13", "COMMIT-27a")),
    ("checkpoint.execution_state", ("READ-13", "COMMIT-27a")),
    ("checkpoint", ("READ-12", "READ-INV-1")),
    ("token_ledger", ("READ-14", "COMMIT-INV-5")),
    ("", ("READ-2",)),
)
FULL_WHY: Why = (
    ("graph.nodes", ("READ-4", "READ-INV-2")),
    ("graph.leaf_node_id", ("READ-5", "READ-5a")),
    *HEAD_WHY,
)


def load_session(state: State, ports: Ports, scope: SessionReadScope) -> Steps:
    """The session as its last commit left it: READ-1 to READ-14."""
    head = state.commit.head
    if head is None:
        steps: Steps = (Step(state, None, ("READ-1", "READ-16")),)
    elif isinstance(scope, FullGraph):
        steps = _full(state, ports, head)
    else:
        steps = _path(state, ports, head, scope)
    return _served_or_refused(state, scope, steps)


def _served_or_refused(state: State, scope: SessionReadScope, steps: Steps) -> Steps:
    """A store may be unable to serve a scope (READ-18), but not by turns: the first answer for each kind of scope stands."""
    kind = type(scope).__name__
    refusal = Step(state, Refused(UnsupportedReadScope(scope)), ("READ-18",), differs=("READ-18",))
    if kind in state.session.scopes:
        return steps if state.session.scopes[kind] else (refusal,)
    served = _with_scope(state, kind, served=True)
    steps = tuple(replace(step, state=served) for step in steps)
    return (*steps, replace(refusal, state=_with_scope(state, kind, served=False)))


def _with_scope(state: State, kind: str, *, served: bool) -> State:
    return replace(state, session=replace(state.session, scopes=state.session.scopes.set(kind, served)))


def load_node(state: State, _ports: Ports, node_id: str) -> Steps:
    """One node, on whichever branch: READ-15."""
    node = state.commit.nodes[node_id] if state.commit.readable(node_id) else None
    return (Step(state, node, ("READ-15", "READ-INV-2")),)


def save_session_meta(state: State, _ports: Ports, meta: SessionMeta) -> Steps:
    """Replace the metadata: META-1 to META-3."""
    saved = replace(state.session, meta=meta, by_session=state.session.by_session.set(meta.session_id, meta))
    return (Step(replace(state, session=saved), None, ("META-1", "META-2"), silent=(("metadata", ("META-1",)),)),)


def load_session_meta(state: State, ports: Ports) -> Steps:
    """The metadata saved last: META-1; META-3 admits a slot for each session."""
    stored = state.session
    if stored.meta is None:
        return (Step(state, None, ("META-1",)),)
    ours = Step(state, stored.meta, ("META-1", "META-3", "VALUE-8"))
    head = state.commit.head
    bound = head.session_id if head else state.commit.attempted
    of_session = stored.by_session.get(min(stored.by_session) if bound is None else bound)
    return (ours, replace(ours, answer=of_session, differs=("META-3",)))


def durability_tier(state: State, ports: Ports) -> Steps:
    """What the store promises: its own to say, and always the same (READ-19)."""
    tier = state.session.tier or (ports.seen if isinstance(ports.seen, DurabilityTier) else DurabilityTier.Inline)
    return (Step(replace(state, session=replace(state.session, tier=tier)), tier, ("READ-19",)),)


def ledger(folded: Ledger) -> tuple[TokenLedgerEntry, ...]:
    """The ledger as a read gives it (READ-14): a sum that no counter can hold is answered as the nearest that it can."""
    return tuple(TokenLedgerEntry(source, model, TokenUsage(*map(_held, sums))) for (source, model), sums in folded.rows)


def _held(counter: int) -> int:
    return max(-(2**63), min(counter, 2**63 - 1))


def path_to(written: CommitState, leaf_node_id: str | None) -> tuple[SessionNodeRecord, ...]:
    """The chain from the root to the leaf: it ends at the first id that is not readable, and at a cycle (READ-7 to READ-9)."""
    chain: dict[str, SessionNodeRecord] = {}
    node_id = leaf_node_id
    while node_id is not None and written.readable(node_id) and node_id not in chain:
        chain[node_id] = written.nodes[node_id]
        node_id = chain[node_id].parent_node_id
    return tuple(reversed(chain.values()))


def _read(state: State, head: Head, graph: SessionGraph) -> PersistedSessionRead:
    return PersistedSessionRead(
        session_id=head.session_id,
        head_revision=head.revision,
        config=head.config,
        agent_frames=head.agent_frames,
        current_agent_frame_id=head.current_agent_frame_id,
        graph=graph,
        checkpoint_ref=head.checkpoint_ref,
        checkpoint=hydrated(head),
        token_ledger=ledger(state.commit.ledger),
    )


def _readable_nodes(written: CommitState) -> tuple[SessionNodeRecord, ...]:
    return tuple(written.nodes[node_id] for node_id in written.order if written.readable(node_id))


def _full(state: State, ports: Ports, head: Head) -> Steps:
    written = state.commit
    graph = SessionGraph(_readable_nodes(written), head.leaf_node_id)
    dangling: Ids = ("READ-5a",) if _dangling(written, head.leaf_node_id) else ()
    hidden: Ids = ("READ-3",) if written.tombstoned else ()
    because = ("READ-4", *_read_because(head, written), *dangling, *hidden)
    ours = Step(_resolved(state, head), _read(state, head, graph), because, FULL_WHY)
    return admitting(ours, ports.seen, *_without_carried(written, head), ("READ-5a", _without_dangling_leaf(written)))


def _path(state: State, ports: Ports, head: Head, scope: ActivePath) -> Steps:
    written = state.commit
    leaf = head.leaf_node_id if scope.leaf_node_id is None else scope.leaf_node_id
    path = _path_because(written, scope, leaf)
    unknown: Ids = ("READ-9",) if "READ-9" in path else ()
    why: Why = (("graph.nodes", path), ("graph.leaf_node_id", (*unknown, "READ-11", "READ-6")), *HEAD_WHY)
    read = _read(state, head, SessionGraph(path_to(written, leaf), leaf))
    ours = Step(_resolved(state, head), read, (*path, *_read_because(head, written)), why)
    if leaf is None:
        return admitting(ours, ports.seen, *_without_carried(written, head), _leafless(state, written))
    hidden = ("READ-9a" if leaf in written.tombstoned else "READ-8a", _past_tombstones(written, leaf))
    freely = (hidden, ("READ-7a", _in_storage_order(written)))
    return admitting(ours, ports.seen, *_without_carried(written, head), *freely)


def _read_because(head: Head, written: CommitState) -> Ids:
    parts = head.parts.values()
    unresolved = any(part.ref is not None and part.value is None for part in parts)
    carried = any(part.carried and part.value is not None for part in parts)
    return (
        "READ-2",
        "READ-12",
        "READ-16",
        "READ-18",
        "READ-INV-1",
        "VALUE-8",
        *(("READ-13",) if unresolved else ()),
        *(("COMMIT-27",) if carried else ()),
        *(("READ-14",) if written.usage else ()),
    )


def _path_because(written: CommitState, scope: ActivePath, leaf: str | None) -> Ids:
    if leaf is None:
        return ("READ-10",)
    if leaf in written.tombstoned:
        return ("READ-9a",)
    if leaf not in written.nodes:
        return ("READ-9", "READ-11")
    path = path_to(written, leaf)
    first = path[0].parent_node_id
    if written.readable(first):
        return ("READ-8b", "READ-7", "READ-6", "READ-11", "READ-7a", "READ-INV-3")
    return ("READ-7", "READ-6", "READ-8a" if first in written.tombstoned else "READ-8", "READ-11", "READ-7a", "READ-INV-3")


def _dangling(written: CommitState, leaf: str | None) -> bool:
    return leaf is not None and not written.readable(leaf)


Bend = Callable[[PersistedSessionRead, PersistedSessionRead], PersistedSessionRead]


def _resolved(state: State, head: Head) -> State:
    """The state in which the store is known to load the values of parts that were given by ref alone, if there is one."""
    carried = any(part.carried and part.value is not None for part in head.parts.values())
    if not carried or state.commit.resolves:
        return state
    return replace(state, commit=replace(state.commit, resolves=True))


def _without_carried(written: CommitState, head: Head) -> tuple[tuple[str, Bend], ...]:
    """A part that was given by ref alone may load without its value, in a store that never loads one."""
    if written.resolves:
        return ()

    def bend(ours: PersistedSessionRead, seen: PersistedSessionRead) -> PersistedSessionRead:
        shown = seen.checkpoint or HydratedSessionCheckpoint()
        missing = {kind: None for kind, part in head.parts.items() if part.carried and getattr(shown, kind) is None}
        return replace(ours, checkpoint=replace(ours.checkpoint, **missing)) if ours.checkpoint else ours

    return (("COMMIT-27", bend),)


def _without_dangling_leaf(written: CommitState) -> Bend:
    def bend(ours: PersistedSessionRead, seen: PersistedSessionRead) -> PersistedSessionRead:
        if seen.graph.leaf_node_id is None and _dangling(written, ours.graph.leaf_node_id):
            return replace(ours, graph=replace(ours.graph, leaf_node_id=None))
        return ours

    return bend


def _past_tombstones(written: CommitState, leaf: str) -> Bend:
    """A path may pass over tombstoned nodes to the ancestors behind them, and report no leaf where it is tombstoned."""
    leaves = (leaf, None) if leaf in written.tombstoned else (leaf,)

    def bend(ours: PersistedSessionRead, seen: PersistedSessionRead) -> PersistedSessionRead:
        whole = path_to(replace(written, tombstoned=frozenset()), leaf)
        visible = tuple(node for node in whole if written.readable(node.node_id))
        if seen.graph.nodes == visible and seen.graph.leaf_node_id in leaves:
            return replace(ours, graph=seen.graph)
        return ours

    return bend


def _in_storage_order(written: CommitState) -> Bend:
    def bend(ours: PersistedSessionRead, seen: PersistedSessionRead) -> PersistedSessionRead:
        places = {node_id: place for place, node_id in enumerate(written.order)}
        stored = sorted(ours.graph.nodes, key=lambda node: places[node.node_id])
        return replace(ours, graph=replace(ours.graph, nodes=tuple(stored))) if tuple(stored) == seen.graph.nodes else ours

    return bend


def _leafless(state: State, written: CommitState) -> tuple[str, Bend]:
    """Without any leaf a store may answer the whole graph, or the path of the leaf that a replacement persisted earlier."""

    def bend(ours: PersistedSessionRead, seen: PersistedSessionRead) -> PersistedSessionRead:
        everything = SessionGraph(_readable_nodes(written))
        stale = SessionGraph(path_to(written, state.commit.replaced_leaf), state.commit.replaced_leaf)
        return replace(ours, graph=seen.graph) if seen.graph in (everything, stale) else ours

    return ("READ-10", bend)


@invariant("READ-INV-1")
def a_readable_session_has_a_checkpoint(_before: State, after: State) -> bool:
    """The values that the head's parts were given stand among the stored blobs."""
    head = after.commit.head
    if head is None:
        return True
    blobs = after.commit.blobs
    return all(
        part.carried or part.ref is None or blobs.get((kind, part.ref)) == part.value for kind, part in head.parts.items()
    )


@invariant("READ-INV-2")
def node_ids_are_unique(_before: State, after: State) -> bool:
    """The storage order lists each stored node once."""
    return len(after.commit.order) == len(after.commit.nodes) and set(after.commit.order) == set(after.commit.nodes)


@invariant("READ-INV-3")
def a_path_is_a_line_of_ancestors(_before: State, after: State) -> bool:
    """The active path holds stored nodes, each the parent of the next, ending with the leaf if that is stored."""
    leaf = after.commit.head.leaf_node_id if after.commit.head else None
    path = path_to(after.commit, leaf)
    linked = all(later.parent_node_id == earlier.node_id for earlier, later in pairwise(path))
    return linked and (not path or path[-1].node_id == leaf)
