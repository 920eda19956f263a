"""Tombstoned nodes, in states made by hand: commits and reads have to respect them."""

from __future__ import annotations

from fencepost.model import State
from fencepost.spec import ActivePath, Append, FullGraph, PersistedSessionRead, ReplaceFull, SessionGraph, SessionReadScope
from model_builders import commit, committed, held, leased, node, ours
from msgspec.structs import replace

TREE = committed(
    leased({"s": held()}),
    commit(graph=Append((node("a"), node("b", "a"), node("c", "b")), "c")),
)


def without(*node_ids: str) -> State:
    """Session s with the nodes a, b and c in a line, these of them tombstoned."""
    return replace(TREE, commit=replace(TREE.commit, tombstoned=frozenset(node_ids)))


def shape(state: State, scope: SessionReadScope) -> tuple[tuple[str, ...], str | None]:
    """The node ids of the graph that is read, in order, and its leaf."""
    read = ours(state, "load_session", scope).answer
    assert isinstance(read, PersistedSessionRead)
    return tuple(each.node_id for each in read.graph.nodes), read.graph.leaf_node_id


def test_read_3_a_tombstoned_node_is_in_no_graph() -> None:
    """The full graph leaves it out, and says why; a graph without tombstones does not."""
    assert shape(without("b"), FullGraph()) == (("a", "c"), "c")
    assert "READ-3" in ours(without("b"), "load_session", FullGraph()).because
    assert "READ-3" not in ours(TREE, "load_session", FullGraph()).because


def test_read_15_a_tombstoned_node_cannot_be_loaded() -> None:
    """It is none, and its neighbours are there."""
    assert ours(without("b"), "load_node", "b").answer is None
    assert ours(without("b"), "load_node", "c").answer == node("c", "b")


def test_read_8a_a_tombstoned_ancestor_cuts_the_path() -> None:
    """The nodes behind it are not answered."""
    assert shape(without("b"), ActivePath()) == (("c",), "c")
    assert "READ-8a" in ours(without("b"), "load_session", ActivePath()).because
    assert "READ-8" in ours(TREE, "load_session", ActivePath()).because


def test_read_9a_a_tombstoned_leaf_has_an_empty_path() -> None:
    """The leaf is answered all the same, by both scopes."""
    assert shape(without("c"), ActivePath()) == ((), "c")
    assert "READ-9a" in ours(without("c"), "load_session", ActivePath()).because
    assert shape(without("c"), FullGraph()) == (("a", "b"), "c")
    assert "READ-5a" in ours(without("c"), "load_session", FullGraph()).because


def test_commit_23_an_append_revives() -> None:
    """A tombstoned id that is appended again is visible in its old place; other tombstones stay."""
    state = committed(without("a", "b"), commit(graph=Append((node("b", "a", "again"),), "c")))
    assert shape(state, FullGraph()) == (("b", "c"), "c")
    assert ours(state, "load_node", "b").answer == node("b", "a", "again")
    assert ours(state, "load_node", "a").answer is None


def test_commit_24_a_full_replacement_has_no_tombstones() -> None:
    """Tombstoned ids that it lists are visible, and the requirement is named if there were any."""
    graph = ReplaceFull(SessionGraph((node("b"), node("d")), "d"))
    step = ours(without("b"), "commit_runtime_state", commit(graph=graph))
    assert shape(step.state, FullGraph()) == (("b", "d"), "d")
    assert "COMMIT-24" in step.because
    assert "COMMIT-24" not in ours(without("a"), "commit_runtime_state", commit(graph=graph)).because
    assert "COMMIT-24" not in ours(TREE, "commit_runtime_state", commit(graph=graph)).because
