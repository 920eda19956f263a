"""The commit chapter of the model: every effect of a commit that passes its checks."""

from __future__ import annotations

import pytest
from fencepost.model import State
from fencepost.model.commit import hydrated, revision_of
from fencepost.model.lease import lease_of
from fencepost.spec import (
    AgentFrameRecord,
    Append,
    Backend,
    FullGraph,
    HydratedSessionCheckpoint,
    Json,
    PersistedSessionConfig,
    PersistedSessionRead,
    PersistedTurnState,
    PluginSessionSnapshot,
    ReplaceFull,
    RuntimeCommitResult,
    RuntimeTurnCommitStamp,
    SessionCheckpoint,
    SessionExecutionLeaseCompletion,
    SessionGraph,
    SessionNodeRecord,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    Unchanged,
)
from model_builders import (
    COMMIT,
    LEASED,
    NOW,
    B,
    commit,
    committed,
    completion,
    free,
    head_of,
    held,
    leased,
    node,
    ours,
    ports,
    refusal,
    run,
)
from msgspec.structs import replace

STAMP = RuntimeTurnCommitStamp("s", "turn-1", "hash-1")
OWN_LEASE = completion()


def used(tokens: int) -> TokenLedgerEntry:
    """Usage of one source and model."""
    return TokenLedgerEntry("main", "m", TokenUsage(tokens))


def graph_of(state: State) -> tuple[tuple[str, ...], str | None]:
    """The stored node ids in order, and the persisted leaf."""
    return tuple(state.commit.order), head_of(state).leaf_node_id


ROOTED = commit(graph=Append((node("n1"), node("n2", "n1")), "n2"))


def test_commit_19_unchanged_keeps_the_nodes_and_sets_the_leaf() -> None:
    """The leaf goes where the delta says; a delta that names none clears it."""
    state = committed(LEASED, ROOTED, commit(graph=Unchanged("n1")))
    assert graph_of(state) == (("n1", "n2"), "n1")
    assert graph_of(committed(state, commit(graph=Unchanged()))) == (("n1", "n2"), None)


def test_commit_20_append_adds_behind_in_the_order_listed() -> None:
    """New nodes stand behind all stored ones, as listed; the leaf is the delta's, also if it adds nothing."""
    state = committed(LEASED, ROOTED, commit(graph=Append((node("n9", "n2"), node("n0", "n9")), "n9")))
    assert graph_of(state) == (("n1", "n2", "n9", "n0"), "n9")
    assert graph_of(committed(state, commit(graph=Append((), "n1")))) == (("n1", "n2", "n9", "n0"), "n1")


def test_commit_21_replace_full_drops_everything() -> None:
    """Only the nodes of the delta are left, in its order, with its leaf."""
    graph = ReplaceFull(SessionGraph((node("n3"), node("n2", "n3", "new")), "n3"))
    state = committed(LEASED, ROOTED, commit(graph=graph))
    assert graph_of(state) == (("n3", "n2"), "n3")
    assert state.commit.nodes["n2"] == node("n2", "n3", "new")
    assert graph_of(committed(state, commit(graph=ReplaceFull()))) == ((), None)


@pytest.mark.parametrize(
    "graph",
    [
        Unchanged("nowhere"),
        Append((node("n1", "nowhere"),), "n1"),
        Append((node("n1", "n2"), node("n2", "n1")), "n1"),
        Append((node("n1", "n1"),), "n1"),
        ReplaceFull(SessionGraph((node("n1", "nowhere"),), "gone")),
        ReplaceFull(SessionGraph((), "gone")),
    ],
)
def test_commit_22_links_are_not_checked(graph: Unchanged | Append | ReplaceFull) -> None:
    """Dangling leaves, dangling parents and cycles are all committed."""
    assert revision_of(committed(LEASED, commit(graph=graph))) == 1


def test_commit_23_an_appended_id_that_is_stored_is_replaced_in_place() -> None:
    """The node keeps its position and takes the new content."""
    step = ours(committed(LEASED, ROOTED), COMMIT, commit(graph=Append((node("n3"), node("n1", "n3", "again")), "n1")))
    assert graph_of(step.state) == (("n1", "n2", "n3"), "n1")
    assert step.state.commit.nodes["n1"] == node("n1", "n3", "again")
    assert "COMMIT-23" in step.because


def test_commit_23_an_id_listed_twice_in_one_append_keeps_the_last() -> None:
    """The first place, the last content, and one node of that id."""
    graph = Append((node("n1", None, "first"), node("n2"), node("n1", None, "last")), "n1")
    step = ours(LEASED, COMMIT, commit(graph=graph))
    assert graph_of(step.state) == (("n1", "n2"), "n1")
    assert step.state.commit.nodes["n1"] == node("n1", None, "last")
    assert "COMMIT-23" in step.because


def test_commit_23b_a_replacement_that_lists_an_id_twice_is_void() -> None:
    """The commit is refused with Backend, and nothing of it is kept."""
    graph = ReplaceFull(SessionGraph((node("n1"), node("n1", None, "last")), "n1"))
    step = ours(committed(LEASED, ROOTED), COMMIT, commit(graph=graph))
    assert refusal(step) == Backend()
    assert graph_of(step.state) == (("n1", "n2"), "n2")


TOOLS = ToolState(4, Json({"tool": 1}))
PLUGINS = PluginSessionSnapshot(Json({"plugin": 1}))
MANIFEST = SessionCheckpoint(PersistedTurnState(2), "tool-ref", "plugin-ref", 6, "execution-ref")
FULL = HydratedSessionCheckpoint(
    turn_state=PersistedTurnState(2),
    tool_state_ref="ignored",
    tool_state=TOOLS,
    plugin_snapshot=PLUGINS,
    plugin_snapshot_revision=6,
    execution_state=b"\x00\xff",
)


def test_commit_27_values_are_stored_under_the_refs_that_the_store_minted() -> None:
    """Given parts load with the store's refs, whatever ref came along."""
    seen = RuntimeCommitResult(1, "ref-1", MANIFEST)
    step = ours(LEASED, COMMIT, commit(checkpoint=FULL), at=ports(seen=seen))
    assert step.answer == seen
    assert dict(step.state.commit.blobs) == {
        ("tool_state", "tool-ref"): TOOLS,
        ("plugin_snapshot", "plugin-ref"): PLUGINS,
        ("execution_state", "execution-ref"): b"\x00\xff",
    }
    assert hydrated(head_of(step.state)) == HydratedSessionCheckpoint(
        PersistedTurnState(2), "tool-ref", TOOLS, "plugin-ref", PLUGINS, 6, "execution-ref", b"\x00\xff"
    )


def test_commit_27_a_ref_alone_is_carried_and_finds_the_value_again() -> None:
    """A later commit that gives only the refs loads the values stored under them."""
    state = ours(LEASED, COMMIT, commit(checkpoint=FULL), at=ports(seen=RuntimeCommitResult(1, "ref-1", MANIFEST))).state
    carried = HydratedSessionCheckpoint(tool_state_ref="tool-ref", execution_state_ref="execution-ref")
    state = committed(state, commit(checkpoint=carried))
    assert hydrated(head_of(state)) == HydratedSessionCheckpoint(
        tool_state_ref="tool-ref", tool_state=TOOLS, execution_state_ref="execution-ref", execution_state=b"\x00\xff"
    )


def test_commit_27_a_ref_to_nothing_is_kept_unverified() -> None:
    """An unknown ref, or a ref of a part of another kind, is answered with no value."""
    state = ours(LEASED, COMMIT, commit(checkpoint=FULL), at=ports(seen=RuntimeCommitResult(1, "ref-1", MANIFEST))).state
    carried = HydratedSessionCheckpoint(tool_state_ref="plugin-ref", plugin_snapshot_ref="nowhere")
    after = committed(state, commit(checkpoint=carried))
    assert hydrated(head_of(after)) == HydratedSessionCheckpoint(tool_state_ref="plugin-ref", plugin_snapshot_ref="nowhere")
    assert after.commit.blobs == state.commit.blobs


def test_commit_27a_a_value_kept_inside_the_checkpoint_still_has_to_load() -> None:
    """A store that gives no ref to a part that came by value, as it may, answers that value in the next read."""
    seen = RuntimeCommitResult(1, "ref-1", SessionCheckpoint(PersistedTurnState()))
    given = commit(checkpoint=HydratedSessionCheckpoint(tool_state=TOOLS))
    (inside,) = [step for step in run(LEASED, COMMIT, given, at=ports(seen=seen)) if step.answer == seen]
    assert inside.differs == ("COMMIT-27",)
    kept = HydratedSessionCheckpoint(tool_state=TOOLS)
    assert hydrated(head_of(inside.state)) == kept
    read = ours(inside.state, "load_session", FullGraph()).answer
    assert isinstance(read, PersistedSessionRead)
    assert read.checkpoint == kept
    lost = replace(read, checkpoint=HydratedSessionCheckpoint())
    assert lost not in [step.answer for step in run(inside.state, "load_session", FullGraph(), at=ports(seen=lost))]


def test_commit_25_a_checkpoint_without_parts_replaces_one_with_parts() -> None:
    """There is no way to leave the previous checkpoint in place."""
    state = committed(LEASED, commit(checkpoint=FULL), commit())
    assert hydrated(head_of(state)) == HydratedSessionCheckpoint()


def test_commit_27a_a_revision_without_a_snapshot_is_kept() -> None:
    """The plugin snapshot's revision is stored as given, snapshot or not."""
    state = committed(LEASED, commit(checkpoint=HydratedSessionCheckpoint(plugin_snapshot_revision=0)))
    assert hydrated(head_of(state)) == HydratedSessionCheckpoint(plugin_snapshot_revision=0)


def test_commit_29_usage_is_appended_as_given() -> None:
    """Entries stand in order, zeros too, un-merged; neither a replacement of the graph nor a replay resets them."""
    zero = TokenLedgerEntry("main", "m", TokenUsage())
    first = commit(usage_deltas=(used(1), zero, used(2)), turn_commit=STAMP)
    state = committed(LEASED, first, commit(usage_deltas=(used(3),), graph=ReplaceFull()), first)
    assert tuple(state.commit.usage) == (used(1), zero, used(2), used(3))


def test_commit_30_the_head_is_replaced_wholesale() -> None:
    """Config, frames and current frame are the last commit's, with nothing merged from the one before."""
    first = commit(agent_frames=(AgentFrameRecord("f1", Json(1)), AgentFrameRecord("f2", Json(2))), current_agent_frame_id="f2")
    other = PersistedSessionConfig("other", Json(None))
    state = committed(LEASED, first, commit(config=other, agent_frames=(AgentFrameRecord("f3", Json(3)),)))
    head = head_of(state)
    assert (head.revision, head.config, head.agent_frames, head.current_agent_frame_id) == (
        2,
        other,
        (AgentFrameRecord("f3", Json(3)),),
        "",
    )


def test_commit_33_the_release_comes_last() -> None:
    """A commit under a lease may release that very lease: it is applied, and the lane is free."""
    step = ours(LEASED, COMMIT, commit(release_session_execution_lease=OWN_LEASE))
    assert revision_of(step.state) == 1
    assert lease_of(step.state, "s") == free(3)
    assert "COMMIT-33" in step.because


def test_commit_33_the_release_may_be_of_any_lease() -> None:
    """A completion for another session's lease frees that one and leaves the fence's alone."""
    state = leased({"s": held(), "s2": held(("b", "1"), token="token-b", fence=8)})
    release = SessionExecutionLeaseCompletion("s2", B, "token-b", 8)
    after = committed(state, commit(release_session_execution_lease=release))
    assert dict(after.lease.records) == {"s": held(), "s2": free(8)}


def test_commit_33_a_release_that_matches_nothing_is_silent() -> None:
    """A commit with a wrong completion succeeds and keeps its lease."""
    step = ours(LEASED, COMMIT, commit(release_session_execution_lease=replace(OWN_LEASE, lease_token="wrong")))
    assert revision_of(step.state) == 1
    assert lease_of(step.state, "s") == held()


def test_commit_33_an_expired_lease_can_be_released_by_a_commit() -> None:
    """The completion of a commit need not be live: s2's lease has run out and is freed."""
    state = leased({"s": held(), "s2": held(("b", "1"), token="token-b", fence=8, expires=NOW)})
    release = SessionExecutionLeaseCompletion("s2", B, "token-b", 8)
    assert lease_of(committed(state, commit(release_session_execution_lease=release)), "s2") == free(8)


def test_the_fields_of_later_chapters_have_no_effect_yet() -> None:
    """An interrupted turn and attachment ids are accepted, and nothing remembers them."""
    plain = committed(LEASED, commit())
    given = commit(interrupted_turn_input_turn_id="turn", committed_attachment_ids=("attachment",))
    assert committed(LEASED, given) == plain


def test_commit_26_without_a_store_the_model_names_checkpoints_by_revision() -> None:
    """The model's own refs differ from commit to commit."""
    first = ours(LEASED, COMMIT, commit())
    second = ours(first.state, COMMIT, commit())
    assert isinstance(first.answer, RuntimeCommitResult)
    assert isinstance(second.answer, RuntimeCommitResult)
    assert first.answer.checkpoint_ref != second.answer.checkpoint_ref


def test_a_node_is_kept_with_all_its_fields() -> None:
    """What a store does not look into is kept: timestamp, frame, cause and payload."""
    full = SessionNodeRecord(
        "n1", None, node("x").payload, "2026-01-01T00:00:00Z", agent_frame_id="f1", caused_by=Json({"call": 1})
    )
    state = committed(LEASED, commit(graph=Append((full,), "n1")))
    assert state.commit.nodes["n1"] == full
