"""The session chapter of the model: both read scopes over every shape of graph, the ledger, nodes and metadata."""

from __future__ import annotations

import pytest
from fencepost.model import State
from fencepost.model.records.commit import Ledger
from fencepost.model.session import ledger
from fencepost.spec import (
    ActivePath,
    AgentFrameRecord,
    Append,
    Child,
    DurabilityTier,
    FullGraph,
    HydratedSessionCheckpoint,
    Json,
    PersistedSessionRead,
    PersistedTurnState,
    ReplaceFull,
    Root,
    RuntimeCommitResult,
    SessionCheckpoint,
    SessionGraph,
    SessionMeta,
    SessionNodeRecord,
    SessionReadScope,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    Unchanged,
)
from model_builders import CONFIG, LEASED, commit, committed, node, ours, ports


def session(*nodes: SessionNodeRecord, leaf: str | None = None) -> State:
    """Session s after one commit of these nodes and this leaf."""
    return committed(LEASED, commit(graph=Append(nodes, leaf)))


def read(state: State, scope: SessionReadScope) -> PersistedSessionRead:
    """What the session reads as, which has to be something."""
    answer = ours(state, "load_session", scope).answer
    assert isinstance(answer, PersistedSessionRead)
    return answer


def shape(state: State, scope: SessionReadScope) -> tuple[tuple[str, ...], str | None]:
    """The node ids of the graph that is read, in order, and its leaf."""
    graph = read(state, scope).graph
    return tuple(each.node_id for each in graph.nodes), graph.leaf_node_id


def because(state: State, scope: SessionReadScope) -> tuple[str, ...]:
    """The requirements that decided a read."""
    return ours(state, "load_session", scope).because


TREE = session(
    node("root"),
    node("left", "root"),
    node("left-leaf", "left"),
    node("right-leaf", "root"),
    leaf="left-leaf",
)


def test_read_1_nothing_is_read_before_the_first_commit() -> None:
    """Leases, metadata and a refused commit make no session readable, in neither scope."""
    state = ours(LEASED, "save_session_meta", SessionMeta("s", "s", "", "m")).state
    state = ours(state, "commit_runtime_state", commit(expected_head_revision=9)).state
    assert ours(state, "load_session", FullGraph()).answer is None
    assert ours(state, "load_session", ActivePath()).answer is None
    assert ours(state, "load_session", ActivePath("n1")).answer is None


def test_read_2_everything_is_of_the_last_commit() -> None:
    """A read shows the last commit's head, with the checkpoint and the ledger."""
    frames = (AgentFrameRecord("f1", Json({"reason": "custom"})),)
    given = commit(
        agent_frames=frames,
        current_agent_frame_id="f1",
        graph=Append((node("n1"),), "n1"),
        checkpoint=HydratedSessionCheckpoint(PersistedTurnState(3), tool_state=ToolState(7), plugin_snapshot_revision=2),
        usage_deltas=(TokenLedgerEntry("main", "m", TokenUsage(1)),),
    )
    seen = RuntimeCommitResult(2, "ref-2", SessionCheckpoint(PersistedTurnState(3), "tools-2", plugin_snapshot_revision=2))
    state = ours(committed(LEASED, commit()), "commit_runtime_state", given, at=ports(seen=seen)).state
    assert read(state, FullGraph()) == PersistedSessionRead(
        session_id="s",
        head_revision=2,
        config=CONFIG,
        agent_frames=frames,
        current_agent_frame_id="f1",
        graph=SessionGraph((node("n1"),), "n1"),
        checkpoint_ref="ref-2",
        checkpoint=HydratedSessionCheckpoint(PersistedTurnState(3), "tools-2", ToolState(7), plugin_snapshot_revision=2),
        token_ledger=(TokenLedgerEntry("main", "m", TokenUsage(1)),),
    )


def test_read_4_the_full_graph_has_all_branches_in_storage_order() -> None:
    """All four nodes come as they were appended."""
    assert shape(TREE, FullGraph()) == (("root", "left", "left-leaf", "right-leaf"), "left-leaf")


@pytest.mark.parametrize(
    ("scope", "nodes", "leaf"),
    [
        (ActivePath(), ("root", "left", "left-leaf"), "left-leaf"),
        (ActivePath("right-leaf"), ("root", "right-leaf"), "right-leaf"),
        (ActivePath("left"), ("root", "left"), "left"),
        (ActivePath("root"), ("root",), "root"),
        (ActivePath("nowhere"), (), "nowhere"),
        (ActivePath(""), (), ""),
    ],
)
def test_read_6_and_7_a_path_leads_from_the_root_to_its_leaf(
    scope: ActivePath, nodes: tuple[str, ...], leaf: str | None
) -> None:
    """The given leaf, or the persisted one if none is given; ancestors first, no siblings, no descendants."""
    assert shape(TREE, scope) == (nodes, leaf)


def test_read_7a_a_path_comes_root_first_whatever_the_storage_order() -> None:
    """Children stored before their parents are still answered after them."""
    state = session(node("c", "b"), node("a"), node("b", "a"), leaf="c")
    assert shape(state, FullGraph()) == (("c", "a", "b"), "c")
    assert shape(state, ActivePath()) == (("a", "b", "c"), "c")


@pytest.mark.parametrize(
    "graph", [Unchanged("n1"), Append((node("n2"),), "n1"), ReplaceFull(SessionGraph((node("n1"),), "n1"))]
)
def test_read_5_the_leaf_is_the_last_commit_s_whatever_its_delta(graph: Unchanged | Append | ReplaceFull) -> None:
    """Unchanged, Append and ReplaceFull all move the leaf that both scopes show."""
    state = committed(session(node("n1"), node("n9"), leaf="n9"), commit(graph=graph))
    assert read(state, FullGraph()).graph.leaf_node_id == "n1"
    assert shape(state, ActivePath()) == (("n1",), "n1")


def test_read_5a_a_dangling_leaf_is_shown_as_it_is() -> None:
    """A persisted leaf that no node has is answered by both scopes; the path to it is empty (READ-9)."""
    state = session(node("n1"), leaf="nowhere")
    assert shape(state, FullGraph()) == (("n1",), "nowhere")
    assert "READ-5a" in because(state, FullGraph())
    assert shape(state, ActivePath()) == ((), "nowhere")
    assert "READ-9" in because(state, ActivePath())


def test_read_8_a_path_is_cut_where_a_parent_is_missing() -> None:
    """The path starts behind the gap, whatever ancestors stand beyond it."""
    state = session(node("a"), node("c", "b"), node("d", "c"), leaf="d")
    assert shape(state, ActivePath()) == (("c", "d"), "d")
    assert "READ-8" in because(state, ActivePath())


@pytest.mark.parametrize(
    ("nodes", "leaf", "path"),
    [
        ((node("a", "a"),), "a", ("a",)),
        ((node("a", "b"), node("b", "a")), "a", ("b", "a")),
        ((node("a", "b"), node("b", "a")), "b", ("a", "b")),
        ((node("a", "c"), node("b", "a"), node("c", "b"), node("d", "c")), "d", ("a", "b", "c", "d")),
        ((node("a", "c"), node("b", "a"), node("c", "b"), node("d", "a")), "d", ("b", "c", "a", "d")),
    ],
    ids=["self-loop", "2-cycle", "2-cycle from the other side", "rho", "rho, entered elsewhere"],
)
def test_read_8b_a_path_into_a_cycle_ends(nodes: tuple[SessionNodeRecord, ...], leaf: str, path: tuple[str, ...]) -> None:
    """Each node of a cycle is answered once, the leaf last."""
    state = session(*nodes, leaf=leaf)
    assert shape(state, ActivePath()) == (path, leaf)
    assert "READ-8b" in because(state, ActivePath())


def test_read_8b_a_cycle_off_the_path_does_not_matter() -> None:
    """A cycle elsewhere in the graph is not named."""
    state = session(node("a"), node("x", "y"), node("y", "x"), leaf="a")
    assert shape(state, ActivePath()) == (("a",), "a")
    assert "READ-8b" not in because(state, ActivePath())


def test_read_10_without_any_leaf_a_path_is_empty() -> None:
    """Neither a given nor a persisted leaf: no nodes, no leaf."""
    state = session(node("n1"))
    assert shape(state, ActivePath()) == ((), None)
    assert because(state, ActivePath())[0] == "READ-10"
    assert shape(state, FullGraph()) == (("n1",), None)


def test_read_11_a_path_read_does_not_move_the_persisted_leaf() -> None:
    """Reading to another leaf shows that one, and the next read without one shows the old."""
    after = ours(TREE, "load_session", ActivePath("right-leaf")).state
    assert read(after, ActivePath()).graph.leaf_node_id == "left-leaf"


def test_read_16_reads_need_no_lease() -> None:
    """Long after every lease has run out the session reads the same."""
    late = ports(10**12)
    answer = ours(TREE, "load_session", FullGraph(), at=late).answer
    assert answer == read(TREE, FullGraph())


def test_read_15_a_node_is_found_on_any_branch() -> None:
    """load_node does not look at leaf or path."""
    assert ours(TREE, "load_node", "right-leaf").answer == node("right-leaf", "root")
    assert ours(TREE, "load_node", "nowhere").answer is None
    assert ours(State(), "load_node", "root").answer is None


def test_read_15_a_dropped_node_is_unknown() -> None:
    """After a full replacement the old nodes cannot be loaded."""
    state = committed(TREE, commit(graph=ReplaceFull(SessionGraph((node("root", None, "new"),), None))))
    assert ours(state, "load_node", "left").answer is None
    assert ours(state, "load_node", "root").answer == node("root", None, "new")


def test_read_13_an_unresolved_ref_is_answered_without_a_value() -> None:
    """The ref is shown, the part is not, and READ-13 says why."""
    state = committed(LEASED, commit(checkpoint=HydratedSessionCheckpoint(execution_state_ref="nowhere")))
    assert read(state, FullGraph()).checkpoint == HydratedSessionCheckpoint(execution_state_ref="nowhere")
    assert "READ-13" in because(state, FullGraph())


def entry(source: str, model: str, *counters: int) -> TokenLedgerEntry:
    """A ledger entry."""
    return TokenLedgerEntry(source, model, TokenUsage(*counters))


LEDGERS = {
    "nothing": ((), ()),
    "one": ((entry("a", "m", 1, 2, 3, 4, 5),), (entry("a", "m", 1, 2, 3, 4, 5),)),
    "all five counters add up": (
        (entry("a", "m", 1, 2, 3, 4, 5), entry("a", "m", 10, 20, 30, 40, 50)),
        (entry("a", "m", 11, 22, 33, 44, 55),),
    ),
    "rows keep the order of first appearance": (
        (entry("b", "m", 1), entry("a", "m", 1), entry("b", "m", 1)),
        (entry("b", "m", 2), entry("a", "m", 1)),
    ),
    "source and model are both the key": (
        (entry("a", "m", 1), entry("a", "n", 1), entry("b", "m", 1)),
        (entry("a", "m", 1), entry("a", "n", 1), entry("b", "m", 1)),
    ),
    "source and model are not run together": (
        (entry("a", "bm", 1), entry("ab", "m", 1)),
        (entry("a", "bm", 1), entry("ab", "m", 1)),
    ),
    "a zero is skipped": ((entry("a", "m"),), ()),
    "a skipped entry takes no place": (
        (entry("a", "m"), entry("b", "m", 1), entry("a", "m", 1)),
        (entry("b", "m", 1), entry("a", "m", 1)),
    ),
    "reasoning alone is skipped": ((entry("a", "m", 0, 0, 0, 0, 9),), ()),
    "reasoning alone adds nothing to a row": ((entry("a", "m", 1), entry("a", "m", 0, 0, 0, 0, 9)), (entry("a", "m", 1),)),
    "reasoning beside others is added": (
        (entry("a", "m", 1), entry("a", "m", 1, 0, 0, 0, 9)),
        (entry("a", "m", 2, 0, 0, 0, 9),),
    ),
    "an output alone counts": ((entry("a", "m", 0, 1),), (entry("a", "m", 0, 1),)),
    "a cache read alone counts": ((entry("a", "m", 0, 0, 1),), (entry("a", "m", 0, 0, 1),)),
    "a cache write alone counts": ((entry("a", "m", 0, 0, 0, 1),), (entry("a", "m", 0, 0, 0, 1),)),
    "counters that cancel are skipped": ((entry("a", "m", 5, -5),), ()),
    "cache counters that cancel are skipped": ((entry("a", "m", 0, 0, 3, -3, 1),), ()),
    "a row that becomes zero stays": ((entry("a", "m", 5), entry("a", "m", -5)), (entry("a", "m", 0),)),
    "a row that became zero keeps its place": (
        (entry("a", "m", 5), entry("a", "m", -5), entry("b", "m", 1), entry("a", "m", 2)),
        (entry("a", "m", 2), entry("b", "m", 1)),
    ),
    "negative": ((entry("a", "m", -7),), (entry("a", "m", -7),)),
    "a sum beyond a counter is held at its end": (
        (entry("a", "m", 2**63 - 1, -(2**63)), entry("a", "m", 1, -2)),
        (entry("a", "m", 9223372036854775807, -9223372036854775808),),
    ),
    "a sum that comes back is exact": (
        (entry("a", "m", 2**63 - 1), entry("a", "m", 5), entry("a", "m", -6)),
        (entry("a", "m", 9223372036854775806),),
    ),
    "empty names": ((entry("", "", 1),), (entry("", "", 1),)),
}


@pytest.mark.parametrize(("deltas", "rows"), LEDGERS.values(), ids=LEDGERS.keys())
def test_read_14_the_ledger(deltas: tuple[TokenLedgerEntry, ...], rows: tuple[TokenLedgerEntry, ...]) -> None:
    """Usage folds by source and model; an entry counts if its first four counters do not sum to zero."""
    assert ledger(Ledger().plus(deltas)) == rows


def test_read_14_the_ledger_is_folded_over_commits() -> None:
    """A row that one commit began is added to by the next, and both scopes show it."""
    state = committed(LEASED, commit(usage_deltas=(entry("a", "m", 1),)), commit(usage_deltas=(entry("a", "m", 2),)))
    assert read(state, FullGraph()).token_ledger == (entry("a", "m", 3),)
    assert read(state, ActivePath()).token_ledger == (entry("a", "m", 3),)


META = SessionMeta("s", "name", "2026-01-01", "m", "/tmp", Child("parent", Json({"call": 1})))


def test_meta_1_the_last_save_is_loaded_whole() -> None:
    """Nothing before a save, all six fields after it, and nothing of an earlier save is merged in."""
    assert ours(State(), "load_session_meta").answer is None
    state = ours(State(), "save_session_meta", META).state
    assert ours(state, "load_session_meta").answer == META
    state = ours(state, "save_session_meta", SessionMeta("s", "", "", "")).state
    assert ours(state, "load_session_meta").answer == SessionMeta("s", "", "", "", None, Root())


def test_meta_2_metadata_and_head_do_not_touch_each_other() -> None:
    """Saving moves no revision, committing changes no metadata, and any session id may be named."""
    state = ours(TREE, "save_session_meta", SessionMeta("other", "n", "", "m")).state
    assert read(state, FullGraph()) == read(TREE, FullGraph())
    state = committed(state, commit())
    assert ours(state, "load_session_meta").answer == SessionMeta("other", "n", "", "m")


def test_meta_3_there_is_one_slot() -> None:
    """A save for another session id replaces the metadata saved before."""
    state = ours(State(), "save_session_meta", META).state
    state = ours(state, "save_session_meta", SessionMeta("s2", "n", "", "m")).state
    assert ours(state, "load_session_meta").answer == SessionMeta("s2", "n", "", "m")


def test_read_19_the_tier_is_the_store_s_and_stays() -> None:
    """The first answer is taken from the store, Inline without one; every later answer has to be the same."""
    assert ours(State(), "durability_tier").answer is DurabilityTier.Inline
    told = ours(State(), "durability_tier", at=ports(seen=DurabilityTier.Durable))
    assert told.answer is DurabilityTier.Durable
    again = ours(told.state, "durability_tier", at=ports(seen=DurabilityTier.Inline))
    assert again.answer is DurabilityTier.Durable
