"""`turn_commit_hash`: which changes of a commit give another hash, and which do not."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from fencepost.spec import (
    AgentFrameRecord,
    Append,
    Backend,
    EventPayload,
    HydratedSessionCheckpoint,
    Json,
    LeaseOwnerIdentity,
    PersistedSessionConfig,
    PersistedTurnState,
    PluginPayload,
    PluginSessionSnapshot,
    QueuedWorkCompletion,
    ReplaceFull,
    RuntimeCommit,
    RuntimeTurnCommitStamp,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseFence,
    SessionGraph,
    SessionNodeRecord,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    TurnInputCompletion,
    Unchanged,
    turn_commit_hash,
)
from fencepost.spec.hashing import hashed_fields

OWNER = LeaseOwnerIdentity("a", "1")
NODE = SessionNodeRecord("n1", "n0", EventPayload(Json({"text": "hello"})), "t1", "f1", Json({"call": 1}))
CHECKPOINT = HydratedSessionCheckpoint(
    turn_state=PersistedTurnState(1, TokenUsage(1), None, Json({"o": 1})),
    tool_state_ref="tool-ref",
    tool_state=ToolState(1, Json([1])),
    plugin_snapshot_ref="plugin-ref",
    plugin_snapshot=PluginSessionSnapshot(Json({"p": 1})),
    plugin_snapshot_revision=1,
    execution_state_ref="execution-ref",
    execution_state=b"\x00\xff",
)
COMMIT: dict[str, Any] = {
    "session_id": "s",
    "config": PersistedSessionConfig("p", Json({"m": 1})),
    "agent_frames": (AgentFrameRecord("f1", Json({"created_at": "t1"})),),
    "current_agent_frame_id": "f1",
    "graph": Append((NODE,), "n1"),
    "checkpoint": CHECKPOINT,
    "usage_deltas": (TokenLedgerEntry("main", "m", TokenUsage(1)),),
    "completed_queue_claims": (QueuedWorkCompletion("s", "claim", "token", ("b1", "b2")),),
    "completed_turn_input_claims": (TurnInputCompletion("s", "claim", "token", ("i1", "i2")),),
    "interrupted_turn_input_turn_id": "turn-0",
    "committed_attachment_ids": ("a1", "a2"),
}


def hashed(**changes: Any) -> str:
    """The hash of the commit above with these fields changed."""
    return turn_commit_hash(RuntimeCommit(**(COMMIT | changes)))


def test_hash_4_equal_commits_hash_equal() -> None:
    """A hash is 64 lower-case hex digits, and the same for an equal commit."""
    assert hashed() == hashed()
    assert len(hashed()) == 64
    assert set(hashed()) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "changes",
    [
        {"expected_head_revision": 0},
        {"expected_head_revision": 7},
        {"session_execution_lease": SessionExecutionLeaseFence("s", OWNER, "token", 1)},
        {"release_session_execution_lease": SessionExecutionLeaseCompletion("s", OWNER, "token", 1)},
        {"turn_commit": RuntimeTurnCommitStamp("s", "turn-1", "hash")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_hash_1_what_a_retry_may_change_does_not_count(changes: dict[str, Any]) -> None:
    """Expected revision, fence, release and the stamp itself take no part."""
    assert hashed(**changes) == hashed()


def checkpoint(**changes: Any) -> dict[str, Any]:
    """The checkpoint above with these fields changed."""
    return {"checkpoint": msgspec.structs.replace(CHECKPOINT, **changes)}


COUNTED: dict[str, dict[str, Any]] = {
    "session": {"session_id": "s2"},
    "provider": {"config": PersistedSessionConfig("q", Json({"m": 1}))},
    "model": {"config": PersistedSessionConfig("p", Json({"m": 2}))},
    "model's number type": {"config": PersistedSessionConfig("p", Json({"m": 1.0}))},
    "frame id": {"agent_frames": (AgentFrameRecord("f2", Json({"created_at": "t1"})),)},
    "frame's created_at": {"agent_frames": (AgentFrameRecord("f1", Json({"created_at": "t2"})),)},
    "no frames": {"agent_frames": ()},
    "frame twice": {"agent_frames": (AgentFrameRecord("f1", Json({"created_at": "t1"})),) * 2},
    "current frame": {"current_agent_frame_id": ""},
    "node's payload": {"graph": Append((msgspec.structs.replace(NODE, payload=EventPayload(Json({"text": "bye"}))),), "n1")},
    "node's payload kind": {"graph": Append((msgspec.structs.replace(NODE, payload=PluginPayload("p", Json(1))),), "n1")},
    "node's frame": {"graph": Append((msgspec.structs.replace(NODE, agent_frame_id=None),), "n1")},
    "node's cause": {"graph": Append((msgspec.structs.replace(NODE, caused_by=Json({"call": 2})),), "n1")},
    "no node": {"graph": Append((), "n1")},
    "node twice": {"graph": Append((NODE, NODE), "n1")},
    "another delta": {"graph": ReplaceFull(SessionGraph((NODE,), "n1"))},
    "turn index": checkpoint(turn_state=PersistedTurnState(2, TokenUsage(1), None, Json({"o": 1}))),
    "turn usage": checkpoint(turn_state=PersistedTurnState(1, TokenUsage(2), None, Json({"o": 1}))),
    "last prompt usage": checkpoint(turn_state=PersistedTurnState(1, TokenUsage(1), TokenUsage(), Json({"o": 1}))),
    "turn options": checkpoint(turn_state=PersistedTurnState(1, TokenUsage(1), None, Json({"o": 2}))),
    "tool ref": checkpoint(tool_state_ref=None),
    "tool state": checkpoint(tool_state=ToolState(2, Json([1]))),
    "plugin ref": checkpoint(plugin_snapshot_ref="other"),
    "plugin snapshot": checkpoint(plugin_snapshot=None),
    "plugin revision": checkpoint(plugin_snapshot_revision=None),
    "execution ref": checkpoint(execution_state_ref=None),
    "execution state": checkpoint(execution_state=b"\x00\xfe"),
    "no execution state": checkpoint(execution_state=None),
    "empty execution state": checkpoint(execution_state=b""),
    "usage": {"usage_deltas": (TokenLedgerEntry("main", "m", TokenUsage(1, 0, 0, 0, 1)),)},
    "usage source": {"usage_deltas": (TokenLedgerEntry("tool", "m", TokenUsage(1)),)},
    "no usage": {"usage_deltas": ()},
    "queue claim's id": {"completed_queue_claims": (QueuedWorkCompletion("s", "claim-2", "token", ("b1", "b2")),)},
    "queue claim's token": {"completed_queue_claims": (QueuedWorkCompletion("s", "claim", "token-2", ("b1", "b2")),)},
    "batches": {"completed_queue_claims": (QueuedWorkCompletion("s", "claim", "token", ("b2", "b1")),)},
    "input claim's id": {"completed_turn_input_claims": (TurnInputCompletion("s", "claim-2", "token", ("i1", "i2")),)},
    "input claim's token": {"completed_turn_input_claims": (TurnInputCompletion("s", "claim", "token-2", ("i1", "i2")),)},
    "inputs": {"completed_turn_input_claims": (TurnInputCompletion("s", "claim", "token", ("i1",)),)},
    "completions swapped": {
        "completed_queue_claims": (),
        "completed_turn_input_claims": (TurnInputCompletion("s", "claim", "token", ("b1", "b2")),),
    },
    "interrupted turn": {"interrupted_turn_input_turn_id": "turn-1"},
    "no interrupted turn": {"interrupted_turn_input_turn_id": None},
    "empty interrupted turn": {"interrupted_turn_input_turn_id": ""},
    "attachments": {"committed_attachment_ids": ("a1",)},
    "attachments in another order": {"committed_attachment_ids": ("a2", "a1")},
}


@pytest.mark.parametrize("changes", COUNTED.values(), ids=COUNTED.keys())
def test_hash_1_everything_else_counts(changes: dict[str, Any]) -> None:
    """One change anywhere else gives another hash."""
    assert hashed(**changes) != hashed()


def test_hash_1_no_two_of_these_commits_hash_equal() -> None:
    """All the commits above, and the one they were changed from, have hashes of their own."""
    assert len({hashed(**changes) for changes in COUNTED.values()} | {hashed()}) == 45


def test_hash_1_the_changes_cover_every_field() -> None:
    """Each field of a commit is changed by one of the tests above."""
    excluded = {"expected_head_revision", "session_execution_lease", "release_session_execution_lease", "turn_commit"}
    assert {field for changes in COUNTED.values() for field in changes} | excluded == set(RuntimeCommit.__struct_fields__)


def test_hash_1_the_variant_of_the_delta_counts() -> None:
    """Three deltas that say nothing more than their variant are three."""
    assert len({hashed(graph=graph) for graph in (Unchanged(), Append(), ReplaceFull())}) == 3


@pytest.mark.parametrize(
    ("graph", "plain"),
    [
        (Unchanged("n1"), {"Unchanged": {"leaf_node_id": "n1"}}),
        (Append((), "n1"), {"Append": {"nodes": [], "leaf_node_id": "n1"}}),
        (ReplaceFull(SessionGraph((), "n1")), {"ReplaceFull": {"nodes": [], "leaf_node_id": "n1"}}),
    ],
)
def test_hash_4_a_delta_is_an_object_named_by_its_variant(graph: Any, plain: dict[str, Any]) -> None:
    """One key, the variant's name, and under it what the delta says."""
    assert hashed_fields(RuntimeCommit(**(COMMIT | {"graph": graph})))["graph"] == plain


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Unchanged("n1"), Unchanged("n2")),
        (Unchanged("n1"), Unchanged()),
        (Append((NODE,), "n1"), Append((NODE,), None)),
        (ReplaceFull(SessionGraph((NODE,), "n1")), ReplaceFull(SessionGraph((NODE,), "n2"))),
        (Append((NODE,), "n1"), Append((msgspec.structs.replace(NODE, node_id="n9"),), "n9")),
        (Append((NODE,), "n1"), Append((msgspec.structs.replace(NODE, parent_node_id=None),), "n1")),
        (Append((NODE,), "n1"), Append((msgspec.structs.replace(NODE, timestamp="t9"),), "n1")),
    ],
)
def test_hash_2_the_names_inside_a_graph_do_not_count(one: Any, other: Any) -> None:
    """Leaf, node ids, parents and timestamps may differ between a commit and its retry, whatever the delta."""
    assert hashed(graph=one) == hashed(graph=other)


def with_event(event: object) -> str:
    """The hash with this event in the node."""
    return hashed(graph=Append((msgspec.structs.replace(NODE, payload=EventPayload(Json(event))),), "n1"))


VOLATILE = ("node_id", "parent_node_id", "leaf_node_id", "timestamp")
MESSAGE = {"role": "user", "parts": []}
PART = {"kind": "text", "content": "c", "prune_state": None}


@pytest.mark.parametrize("key", VOLATILE)
@pytest.mark.parametrize("nest", [lambda value: value, lambda value: {"a": value}, lambda value: [[1, value]]])
def test_hash_3_volatile_keys_do_not_count_inside_opaque_payloads(nest: Any, key: str) -> None:
    """Present, absent or with another value, at any depth: the hash is the same."""
    assert with_event(nest({"x": 1, key: "one"})) == with_event(nest({"x": 1, key: {"two": 2}})) == with_event(nest({"x": 1}))
    assert with_event(nest({"x": 2, key: "one"})) != with_event(nest({"x": 1, key: "one"}))


def test_hash_3_volatile_keys_do_not_count_in_any_opaque_field() -> None:
    """Config, frames, plug-in bodies, snapshots, options and causes are scrubbed like events."""
    plugin = msgspec.structs.replace(NODE, payload=PluginPayload("p", Json({"node_id": 1})))
    other = msgspec.structs.replace(NODE, payload=PluginPayload("p", Json({})), caused_by=Json({"call": 1, "timestamp": 2}))
    assert hashed(graph=Append((plugin,))) == hashed(graph=Append((other,)))
    assert hashed(config=PersistedSessionConfig("p", Json({"m": 1, "timestamp": 9}))) == hashed()
    assert hashed(agent_frames=(AgentFrameRecord("f1", Json({"created_at": "t1", "node_id": 9})),)) == hashed()
    assert hashed(**checkpoint(plugin_snapshot=PluginSessionSnapshot(Json({"p": 1, "timestamp": 0})))) == hashed()


def test_hash_3_the_value_under_a_volatile_key_goes_with_it() -> None:
    """What stands below a dropped key does not count either, but text that only looks like one does."""
    assert with_event({"node_id": {"deep": 1}}) == with_event({})
    assert with_event("node_id") != with_event("timestamp")
    assert with_event({"nodeid": 1}) != with_event({})


@pytest.mark.parametrize("made", [MESSAGE, PART], ids=["message", "message part"])
def test_hash_2_the_id_of_a_message_does_not_count(made: dict[str, Any]) -> None:
    """An object with the marks of a message, or of a part of one, may change its id, also inside a list."""
    assert with_event({**made, "id": 1}) == with_event({**made, "id": 2}) == with_event(made)
    assert with_event([{**made, "id": 1}]) == with_event([made])


@pytest.mark.parametrize(
    "made", [{}, {"role": "user"}, {"parts": []}, {"kind": "text", "content": "c"}, {"content": "c", "prune_state": 0}]
)
def test_hash_3_any_other_id_counts(made: dict[str, Any]) -> None:
    """An object that lacks one of the marks keeps its id."""
    assert with_event({**made, "id": 1}) != with_event({**made, "id": 2})
    assert with_event({**made, "id": 1}) != with_event(made)


def test_hash_2_an_object_is_judged_before_it_is_scrubbed_and_its_parts_after_it() -> None:
    """A message with parts: both ids go, and a part's other fields count."""
    first = {"role": "user", "parts": [{**PART, "id": 1}], "id": 1}
    assert with_event(first) == with_event({"role": "user", "parts": [PART]})
    assert with_event(first) != with_event({"role": "user", "parts": [{**PART, "content": "d"}]})


def test_hash_4_the_order_of_keys_does_not_count() -> None:
    """Two writings of one JSON object hash equal, two numbers that compare equal in Python do not."""
    assert with_event({"a": 1, "b": [{"c": 1, "d": 2}]}) == with_event({"b": [{"d": 2, "c": 1}], "a": 1})
    assert len({with_event(1), with_event(1.0), with_event(True), with_event("1")}) == 4


def test_hash_4_bytes_are_their_numbers() -> None:
    """Each byte counts, also the last, and an empty string of bytes is not the absence of one."""
    states = (b"", b"\x00", b"\x00\x00", b"\x00\x01", b"\x01\x00", None)
    assert len({hashed(**checkpoint(execution_state=state)) for state in states}) == 6


CANONICAL = (
    '{"agent_frames":[],"checkpoint":{"execution_state":[0,255],"execution_state_ref":null,"plugin_snapshot":null,'
    '"plugin_snapshot_ref":null,"plugin_snapshot_revision":null,"tool_state":null,"tool_state_ref":null,"turn_state":'
    '{"last_prompt_usage":null,"protocol_turn_options":null,"token_usage":{"cache_read_input_tokens":0,'
    '"cache_write_input_tokens":0,"input_tokens":0,"output_tokens":0,"reasoning_output_tokens":0},"turn_index":0}},'
    '"committed_attachment_ids":[],"completed_queue_claims":[],"completed_turn_input_claims":[],"config":{"model":'
    '{"name":"é"},"provider_id":"p"},"current_agent_frame_id":"","expected_head_revision":null,"graph":{"Append":{"nodes":'
    '[{"agent_frame_id":null,"caused_by":null,"payload":{"event":{"n":1.0},"kind":"event"}}]}},"session_id":"s",'
    '"turn_commit":null,"usage_deltas":[]}'
)
"""The canonical form of the small commit below, written by hand from HASH-1, HASH-2 and HASH-4."""


def test_hash_4_one_digest_is_pinned() -> None:
    """The hash of a small commit is the SHA-256 of its canonical form, today and tomorrow."""
    commit = RuntimeCommit(
        session_id="s",
        config=PersistedSessionConfig("p", Json({"name": "é"})),
        graph=Append((SessionNodeRecord("n1", None, EventPayload(Json({"n": 1.0, "timestamp": 5})), "t1"),), "n1"),
        checkpoint=HydratedSessionCheckpoint(execution_state=b"\x00\xff"),
    )
    digest = "d82ba2a6b6dd135f2c21be091fef2f8f35db2948d36e8e242a1206a51eb9fd87"
    assert hashlib.sha256(CANONICAL.encode()).hexdigest() == digest
    assert turn_commit_hash(commit) == digest


@pytest.mark.parametrize("spoilt", ["\ud800", float("nan"), {1, 2}])
def test_hash_5_what_cannot_be_encoded_has_no_hash(spoilt: object) -> None:
    """A commit with a field that was spoilt behind its checks is refused with Backend, and with nothing bare."""
    commit = RuntimeCommit(session_id="s", config=PersistedSessionConfig("p", Json(1)))
    msgspec.structs.force_setattr(commit, "current_agent_frame_id", spoilt)
    with pytest.raises(Backend):
        turn_commit_hash(commit)


def test_hash_5_the_deepest_value_has_a_hash() -> None:
    """128 lists inside each other are encoded like any other value."""
    value: object = []
    for _ in range(127):
        value = [value]
    assert with_event(value) != with_event([])
