"""The maintenance chapter of the model: hiding and removing nodes and inputs, and the collection of blobs."""

from __future__ import annotations

from typing import Any

import pytest
from fencepost.model import State, Step
from fencepost.spec import (
    Append,
    FullGraph,
    GcReport,
    HydratedSessionCheckpoint,
    PersistedSessionRead,
    PersistedTurnState,
    PluginSessionSnapshot,
    ReplaceFull,
    RuntimeTurnCommitStamp,
    SessionGraph,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    VacuumReport,
)
from fencepost.spec.values import Json
from ingress_builders import (
    ACCEPTED,
    CANCELLED,
    COMPLETED,
    LIVE_CLAIM,
    PENDING_ACTIVE,
    batch_row,
    batches_of,
    input_row,
    inputs_of,
    with_batches,
    with_inputs,
)
from model_builders import LEASED, commit, committed, head_of, node, ours
from msgspec.structs import replace

TREE = committed(LEASED, commit(graph=Append((node("a"), node("b", "a"), node("c", "b")), "c")))


def tombstoned(state: State, *ids: str) -> State:
    """The state after these were tombstoned."""
    return ours(state, "tombstone_nodes", ids).state


def read(state: State) -> tuple[tuple[str, ...], str | None, int]:
    """The ids of the nodes that a full read gives, its leaf, and the head revision."""
    answer = ours(state, "load_session", FullGraph()).answer
    assert isinstance(answer, PersistedSessionRead)
    return tuple(each.node_id for each in answer.graph.nodes), answer.graph.leaf_node_id, answer.head_revision


@pytest.mark.parametrize(
    ("ids", "visible"),
    [
        ((), ("a", "b", "c")),
        (("b",), ("a", "c")),
        (("b", "b"), ("a", "c")),
        (("nowhere",), ("a", "b", "c")),
        (("nowhere", "c", "", "a"), ("b",)),
        (("c", "b", "a"), ()),
    ],
)
def test_maint_1_and_2_what_is_tombstoned_is_hidden_at_once(ids: tuple[str, ...], visible: tuple[str, ...]) -> None:
    """Listed and stored nodes are in no read; leaf and revision stay; without a lease too, and a repetition changes nothing."""
    free = replace(TREE, lease=State().lease)
    step = ours(free, "tombstone_nodes", ids)
    assert step.answer is None
    assert read(step.state) == (visible, "c", 1)
    assert [ours(step.state, "load_node", each).answer is not None for each in "abc"] == [each in visible for each in "abc"]
    assert tombstoned(step.state, *ids) is step.state
    assert (step.state is free) is (visible == ("a", "b", "c"))


def test_maint_3_a_commit_of_its_id_brings_a_node_back() -> None:
    """An append revives it in its old place, a full replacement that lists it too; nothing else does."""
    hidden = tombstoned(TREE, "b")
    revived = committed(hidden, commit(graph=Append((node("b", "a", "again"),), "c")))
    assert read(revived) == (("a", "b", "c"), "c", 2)
    replaced = committed(hidden, commit(graph=ReplaceFull(SessionGraph((node("b"),), "b"))))
    assert read(replaced) == (("b",), "b", 2)
    assert read(committed(hidden, commit(graph=Append((node("d", "b"),), "d"))))[0] == ("a", "c", "d")


def test_maint_4_a_vacuum_counts_what_it_removes() -> None:
    """Two nodes and three inputs of two sessions, and nothing the second time."""
    rows = (
        input_row("p", 1, PENDING_ACTIVE, turn="t"),
        input_row("a", 2, ACCEPTED, LIVE_CLAIM, turn="t"),
        input_row("d", 3),
        input_row("c", 4, CANCELLED),
        input_row("x", 5, COMPLETED),
    )
    state = with_inputs(input_row("q", 6, COMPLETED), session="s2", to=with_inputs(*rows, to=tombstoned(TREE, "a", "c")))
    state = with_batches(batch_row(), to=state)
    first = ours(state, "vacuum")
    assert first.answer == VacuumReport(2, 3)
    assert inputs_of(first.state) == rows[:3]
    assert inputs_of(first.state, "s2") == ()
    assert batches_of(first.state) == (batch_row(),)
    second = ours(first.state, "vacuum")
    assert second.answer == VacuumReport(0, 0)
    assert second.state is first.state


def test_maint_5_a_vacuum_leaves_everything_else() -> None:
    """Leaf, revision, leases, usage, recorded turns and blobs are as before."""
    stamp = RuntimeTurnCommitStamp("s", "turn-1", "hash")
    usage = (TokenLedgerEntry("main", "m", TokenUsage(1)),)
    state = committed(TREE, commit(graph=Append((node("d", "c"),), "d"), turn_commit=stamp, usage_deltas=usage))
    after = ours(tombstoned(state, "d"), "vacuum").state
    assert read(after) == (("a", "b", "c"), "d", 2)
    assert (after.lease, after.session, after.commit.head) == (state.lease, state.session, state.commit.head)
    assert (tuple(after.commit.usage), after.commit.stamps, after.commit.blobs) == (
        usage,
        state.commit.stamps,
        state.commit.blobs,
    )
    assert ours(after, "vacuum").state is after
    assert ours(state, "vacuum").state is state


def test_maint_6_a_removed_node_is_appended_like_a_new_one() -> None:
    """It comes behind all others, which a tombstoned one does not."""
    again = commit(graph=Append((node("a", None, "again"),), "a"))
    assert read(committed(ours(tombstoned(TREE, "a"), "vacuum").state, again))[0] == ("b", "c", "a")
    assert read(committed(tombstoned(TREE, "a"), again))[0] == ("a", "b", "c")
    assert "COMMIT-23" not in ours(ours(tombstoned(TREE, "a"), "vacuum").state, "commit_runtime_state", again).because


def with_parts(state: State, **parts: Any) -> State:
    """The state after a commit with these parts of its checkpoint."""
    return committed(state, commit(graph=Append(), checkpoint=HydratedSessionCheckpoint(**parts)))


def collected(state: State) -> Step:
    """Our step of a collection."""
    return ours(state, "gc_unreachable")


TOOLS = with_parts(LEASED, tool_state=ToolState(1))
REF = head_of(TOOLS).parts["tool_state"].ref

COLLECTIONS: dict[str, tuple[State, GcReport]] = {
    "nothing committed": (LEASED, GcReport(0, 0, 0)),
    "an empty checkpoint": (committed(LEASED, commit()), GcReport(1, 1, 0)),
    "one with tools": (TOOLS, GcReport(1, 2, 0)),
    "two with other tools": (with_parts(TOOLS, tool_state=ToolState(2)), GcReport(1, 2, 2)),
    "two with equal tools": (with_parts(TOOLS, tool_state=ToolState(1)), GcReport(1, 2, 1)),
    "tools carried by their ref": (with_parts(TOOLS, tool_state_ref=REF), GcReport(1, 2, 1)),
    "tools dropped": (with_parts(TOOLS), GcReport(1, 1, 2)),
    "a ref that resolves to nothing": (with_parts(LEASED, tool_state_ref="nowhere"), GcReport(1, 2, 0)),
    "one ref for two parts": (with_parts(LEASED, tool_state_ref="x", plugin_snapshot_ref="x"), GcReport(1, 2, 0)),
    "all three parts": (
        with_parts(LEASED, tool_state=ToolState(1), plugin_snapshot=PluginSessionSnapshot(Json(1)), execution_state=b"x"),
        GcReport(1, 4, 0),
    ),
    "tools dropped and then taken back by their ref": (with_parts(with_parts(TOOLS), tool_state_ref=REF), GcReport(1, 2, 2)),
}
"""States, and what a store that keeps checkpoints and parts as blobs of their own reports of them."""


@pytest.mark.parametrize(("state", "report"), COLLECTIONS.values(), ids=COLLECTIONS.keys())
def test_gc_2_4_and_8_what_a_collection_counts(state: State, report: GcReport) -> None:
    """One root once something was committed, distinct refs of head and parts as retained, the others deleted, once."""
    step = collected(state)
    assert step.answer == report
    assert collected(step.state).answer == replace(report, deleted_blob_count=0)


@pytest.mark.parametrize("state", [state for state, _ in COLLECTIONS.values()], ids=COLLECTIONS.keys())
def test_gc_1_and_3_the_session_loads_as_before(state: State) -> None:
    """A collection removes blobs and nothing that a read could show."""
    after = collected(state).state
    scope = FullGraph()
    assert ours(after, "load_session", scope).answer == ours(state, "load_session", scope).answer
    same = ("head", "order", "nodes", "tombstoned", "usage", "stamps")
    assert [getattr(after.commit, name) for name in same] == [getattr(state.commit, name) for name in same]
    assert replace(after, commit=state.commit) == state


def test_gc_3_a_part_that_was_collected_cannot_be_taken_back() -> None:
    """Its ref is kept as it is given, and resolves to nothing; before the collection it resolves."""
    dropped = with_parts(TOOLS)
    before = head_of(with_parts(dropped, tool_state_ref=REF)).parts["tool_state"].value
    after = head_of(with_parts(collected(dropped).state, tool_state_ref=REF)).parts["tool_state"].value
    assert (before, after) == (ToolState(1), None)


def test_gc_8_only_a_commit_makes_new_garbage() -> None:
    """After a collection and another commit the head that it replaced is garbage again."""
    first = collected(with_parts(TOOLS, tool_state=ToolState(2))).state
    assert collected(with_parts(first, tool_state=ToolState(3))).answer == GcReport(1, 2, 2)


def test_gc_1_and_commit_32_a_recorded_turn_is_answered_after_its_checkpoint_is_gone() -> None:
    """The result of a replay names the checkpoint that was collected."""
    given = commit(turn_commit=RuntimeTurnCommitStamp("s", "turn-1", "hash"), checkpoint=HydratedSessionCheckpoint())
    first = ours(LEASED, "commit_runtime_state", given)
    later = with_parts(first.state, turn_state=PersistedTurnState(2))
    assert ours(collected(later).state, "commit_runtime_state", given).answer == first.answer
