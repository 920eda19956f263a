"""Faults in reads and metadata."""

from __future__ import annotations

from typing import Any

from fencepost.impl import session
from fencepost.impl.encoding import decoded
from fencepost.spec import (
    ActivePath,
    Append,
    FullGraph,
    ReplaceFull,
    RuntimeCommit,
    SessionMeta,
    SessionNodeRecord,
    TokenLedgerEntry,
)
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, ask, bug, per_run, reworded, wrap


@bug("READ-14", Kind.untrue, "commit")
def reasoning_counts(patch: Patch) -> None:
    """A usage entry of reasoning tokens alone makes a row of the ledger."""
    original = session.folded

    def folded(entries: Any) -> Any:
        return original(shown(each) for each in entries)

    def shown(entry: TokenLedgerEntry) -> TokenLedgerEntry:
        alone = entry.usage.total == 0 and entry.usage.reasoning_output_tokens
        return replace(entry, usage=replace(entry.usage, input_tokens=1)) if alone else entry

    patch.setattr(session, "folded", folded)


@bug("READ-14", Kind.untrue, "commit")
def ledger_merged_by_model(patch: Patch) -> None:
    """The ledger sums the usage of a model whatever its source."""
    original = session.folded

    def folded(entries: Any) -> Any:
        first: dict[str, str] = {}
        return original(TokenLedgerEntry(first.setdefault(each.model, each.source), each.model, each.usage) for each in entries)

    patch.setattr(session, "folded", folded)


@bug("READ-7", Kind.edge, also=("READ-INV-3",))
def path_with_siblings(patch: Patch) -> None:
    """The active path includes the children of its last node's parent."""
    original = session.active_path

    def active_path(nodes: Any, leaf: str | None) -> Any:
        path = original(nodes, leaf)
        parents = {node.parent_node_id for node in path if node.parent_node_id}
        return [*path, *(node for node in nodes.values() if node.parent_node_id in parents and node not in path)]

    patch.setattr(session, "active_path", active_path)


@bug("META-1", Kind.lost_update)
def metadata_merged(patch: Patch) -> None:
    """Saving metadata without a working directory keeps the one that was saved before."""

    def around(original: Any, store: Any, meta: SessionMeta) -> None:
        before = store.load_session_meta()
        original(store, replace(meta, cwd=before.cwd) if before and meta.cwd is None else meta)

    wrap(patch, "save_session_meta", around)


@bug("VALUE-8", Kind.lost, "session")
def large_integers_rounded(patch: Patch) -> None:
    """Integers above 2^53 inside opaque values come back rounded."""
    original = decoded

    def rounding(kind: Any, text: Any, what: str) -> Any:
        rounded = text.replace("9007199254740993", "9007199254740992") if what == "node" else text
        return original(kind, rounded, what)

    patch.setattr(session, "decoded", rounding)


@bug("READ-4", Kind.page, "commit")
def full_read_ends_at_a_page(patch: Patch) -> None:
    """A full read answers the first eight nodes."""
    reworded(patch, session, "READ_SESSION", "WHERE NOT tombstoned", "WHERE NOT tombstoned AND position < 8")


@bug("READ-7", Kind.page, "commit")
def path_ends_at_a_page(patch: Patch) -> None:
    """The active path holds its last five nodes at most."""
    original = session.active_path
    patch.setattr(session, "active_path", lambda nodes, leaf: original(nodes, leaf)[-5:])


@bug("READ-6", Kind.lost, "session")
def empty_leaf_taken_for_none(patch: Patch) -> None:
    """A path read to a stored node whose id is the empty text goes to the persisted leaf instead."""

    def around(original: Any, store: Any, scope: Any) -> Any:
        empty = isinstance(scope, ActivePath) and scope.leaf_node_id == "" and store.load_node("") is not None
        return original(store, ActivePath() if empty else scope)

    wrap(patch, "load_session", around)


@bug("READ-8b", Kind.stuck)
def cycle_walked_again(patch: Patch) -> None:
    """A path that runs into a cycle goes round until it is longer than the graph."""

    def active_path(nodes: Any, leaf: str | None) -> Any:
        path: list[Any] = []
        while leaf is not None and leaf in nodes and len(path) <= len(nodes):
            path.append(nodes[leaf])
            leaf = nodes[leaf].parent_node_id
        return path[::-1]

    patch.setattr(session, "active_path", active_path)


@bug("READ-5", Kind.lost_update)
def leaf_of_the_last_replacement(patch: Patch) -> None:
    """A full read answers the leaf that the last full replacement persisted, whatever was committed since."""
    replaced = per_run(lambda: dict[str, str | None]())

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        before = ask(store, "SELECT record FROM head")
        result = original(store, given)
        if isinstance(given.graph, ReplaceFull) and ask(store, "SELECT record FROM head") != before:
            replaced(store)["leaf"] = given.graph.graph.leaf_node_id
        return result

    def load(original: Any, store: Any, scope: Any) -> Any:
        read = original(store, scope)
        if read is None or not isinstance(scope, FullGraph):
            return read
        return replace(read, graph=replace(read.graph, leaf_node_id=replaced(store).get("leaf")))

    wrap(patch, "commit_runtime_state", around)
    wrap(patch, "load_session", load)


@bug("READ-9", Kind.accepted)
def unknown_leaf_taken_for_none(patch: Patch) -> None:
    """A path read to a node that is not stored goes to the persisted leaf instead."""

    def around(original: Any, store: Any, scope: Any) -> Any:
        leaf = scope.leaf_node_id if isinstance(scope, ActivePath) else None
        unknown = leaf is not None and not ask(store, "SELECT 1 FROM nodes WHERE node_id = ?", leaf)
        return original(store, ActivePath() if unknown else scope)

    wrap(patch, "load_session", around)


@bug(
    "COMMIT-23",
    Kind.retry,
    also=(
        "COMMIT-23a",
        "READ-INV-2",
    ),
)
def node_shown_as_it_was_too(patch: Patch) -> None:
    """A full read shows a node that was appended again in its old content and in its new one."""
    kept = per_run(dict[str, SessionNodeRecord])

    def commit(original: Any, store: Any, commit: RuntimeCommit) -> Any:
        appended = commit.graph.nodes if isinstance(commit.graph, Append) else ()
        before = {node.node_id: found for node in appended if (found := store.load_node(node.node_id)) not in (None, node)}
        result = original(store, commit)
        kept(store).update(before)
        return result

    def load(original: Any, store: Any, scope: Any) -> Any:
        found = original(store, scope)
        if found is None or scope != FullGraph():
            return found
        nodes = found.graph.nodes
        old = [node for node in kept(store).values() if any(each.node_id == node.node_id for each in nodes)]
        return replace(found, graph=replace(found.graph, nodes=(*nodes, *old)))

    wrap(patch, "commit_runtime_state", commit)
    wrap(patch, "load_session", load)
