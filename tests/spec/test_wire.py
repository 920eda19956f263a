"""The wire: every value has a form in JSON and comes back from it, and what is no such form is told with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fencepost.spec import (
    Acquired,
    ActivePath,
    AgentEventEnvelope,
    AgentEventText,
    AppendToFinishedTurn,
    Backend,
    FullGraph,
    HeadRevisionConflict,
    InvalidArgument,
    Json,
    LeaseOwnerIdentity,
    OutputRef,
    SessionExecutionLease,
    SessionKeyMismatch,
    StoreError,
    UnknownEvent,
    UnsupportedReadScope,
)
from fencepost.spec.operations import OPERATIONS
from fencepost.spec.wire import (
    ERRORS,
    answer_from_wire,
    arguments_from_wire,
    arguments_to_wire,
    error_from_wire,
    to_wire,
)
from fencepost.spec.wire_schema import schema
from msgspec.structs import replace
from spec_answers import GOOD
from spec_answers_stores import GOOD_OF_STORES
from spec_builders import ARGUMENTS
from spec_builders_stores import FIRST, NOON, RUN


def sent(data: Any) -> Any:
    """The data as it arrives."""
    return json.loads(json.dumps(data, allow_nan=False))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_arguments_of_every_call_come_back(operation: str) -> None:
    """What is read is what was written, type by type."""
    assert arguments_from_wire(operation, sent(arguments_to_wire(operation, ARGUMENTS[operation]))) == ARGUMENTS[operation]


@pytest.mark.parametrize(("operation", "answer"), [*GOOD, *GOOD_OF_STORES])
def test_answers_come_back(operation: str, answer: object) -> None:
    """What a store answers, nothing included, is read as it was written."""
    # a store may answer lists where the protocol says a sequence
    expected = tuple(answer) if isinstance(answer, list) else answer
    assert answer_from_wire(operation, sent(to_wire(answer))) == expected


REFUSALS: tuple[tuple[StoreError, dict[str, Any]], ...] = (
    (Backend("the disk is full"), {"kind": "Backend", "message": "the disk is full"}),
    (HeadRevisionConflict(2**64 - 1, 0), {"kind": "HeadRevisionConflict", "expected": 2**64 - 1, "actual": 0}),
    (AppendToFinishedTurn("th", 3), {"kind": "AppendToFinishedTurn", "thread_id": "th", "turn": 3}),
    (SessionKeyMismatch(RUN, FIRST), {"kind": "SessionKeyMismatch", "expected": str(RUN), "actual": str(FIRST)}),
    (
        UnsupportedReadScope(ActivePath("n")),
        {"kind": "UnsupportedReadScope", "scope": {"scope": "active_path", "leaf_node_id": "n"}},
    ),
    (
        InvalidArgument("ttl", "-1", "a u64"),
        {"kind": "InvalidArgument", "argument": "ttl", "received": "-1", "expected": "a u64"},
    ),
)


@pytest.mark.parametrize(("refusal", "data"), REFUSALS, ids=lambda each: getattr(each, "kind", None))
def test_refusals_are_objects_of_their_kind_and_fields(refusal: StoreError, data: dict[str, Any]) -> None:
    """A refusal is written with its kind, and read as the exception that it was."""
    assert sent(to_wire(refusal)) == data
    found = error_from_wire(data)
    assert (type(found), found) == (type(refusal), refusal)


def test_the_text_of_a_refusal_may_be_missing() -> None:
    """What is for people alone need not be sent."""
    assert error_from_wire({"kind": "Backend"}) == Backend()
    assert error_from_wire({"kind": "InvalidArgument", "argument": "ttl"}) == InvalidArgument("ttl")


FORMS: tuple[tuple[Any, Any], ...] = (
    (Json({"a": [1, 1.0, True, None, 2**64]}), {"a": [1, 1.0, True, None, 2**64]}),
    (b"\x00\xff", "AP8="),
    (RUN, "00000000-0000-4000-8000-00000000000a"),
    (OutputRef("out-1"), "out-1"),
    (FullGraph(), {"scope": "full_graph"}),
    ((1, 2**64 - 1), [1, 2**64 - 1]),
    (
        Acquired(SessionExecutionLease("s", LeaseOwnerIdentity("a", "1"), "t", 1, 2, 3)),
        {
            "outcome": "acquired",
            "lease": {
                "session_id": "s",
                "owner": {"owner_id": "a", "incarnation_id": "1", "liveness": {"kind": "opaque"}},
                "lease_token": "t",
                "fencing_token": 1,
                "claimed_at_epoch_ms": 2,
                "expires_at_epoch_ms": 3,
            },
        },
    ),
    (
        AgentEventEnvelope(FIRST, 7, NOON, AgentEventText("m", "hello")),
        {"event_id": str(FIRST), "sequence": 7, "timestamp": NOON, "type": "text", "message_id": "m", "text": "hello"},
    ),
    (
        AgentEventEnvelope(FIRST, 7, NOON, UnknownEvent("new", Json({"big": 2**64}))),
        {"event_id": str(FIRST), "sequence": 7, "timestamp": NOON, "type": "new", "big": 2**64},
    ),
)


@pytest.mark.parametrize(("value", "data"), FORMS, ids=lambda each: type(each).__name__)
def test_the_form_of_a_value(value: Any, data: Any) -> None:
    """Records are objects with their tags, opaque values plain JSON, bytes base64, integers exact."""
    found = to_wire(value)
    assert (found, json.dumps(found, sort_keys=True)) == (data, json.dumps(data, sort_keys=True))


WRONG: tuple[tuple[str, Any, str], ...] = (
    ("finish_turn", {"thread_id": "t"}, "arguments: received an object without turn, expected just thread_id, turn"),
    ("finish_turn", {"thread_id": "t", "turn": 1, "x": 1}, "arguments: received an object with x"),
    ("finish_turn", [], "arguments: received \\[\\], expected an object with thread_id, turn"),
    ("finish_turn", {"thread_id": "t", "turn": -1}, "turn: received -1, expected an integer from 0"),
    ("finish_turn", {"thread_id": "t", "turn": 1.0}, "turn: received 1.0"),
    ("finish_turn", {"thread_id": "t", "turn": True}, "turn: received True"),
    ("finish_turn", {"thread_id": 1, "turn": 1}, "thread_id: received 1, expected a text"),
    ("load_input_state", {"runtime_id": "r", "input_id": str(FIRST).replace("-", "")}, "input_id: received .* expected a UUID"),
    ("load_session", {"scope": {"scope": "everything"}}, "scope: received .* scope is one of full_graph, active_path"),
    ("load_session", {"scope": {"scope": "full_graph", "leaf_node_id": "n"}}, "scope: received an object with leaf_node_id"),
    (
        "persist_runtime_state",
        {"runtime_id": "r", "state": "asleep"},
        "state: received 'asleep', expected one of 'initializing'",
    ),
    ("commit_refs", {"session_id": "s", "attachment_ids": "a"}, "attachment_ids: received 'a', expected an array"),
    ("commit_refs", {"session_id": "s", "attachment_ids": ["a", 1]}, r"attachment_ids\[1\]: received 1"),
    ("event.append", {"thread_id": "t", "turn": 1, "envelope": {"type": "text"}}, "envelope: received .*event_id"),
    ("get", {"id": None}, "id: received None, expected a text"),
)


@pytest.mark.parametrize(("operation", "data", "match"), WRONG)
def test_what_is_no_form_of_the_arguments_is_told_with_its_place(operation: str, data: Any, match: str) -> None:
    """The argument, what was received and what was expected."""
    with pytest.raises(InvalidArgument, match=match):
        arguments_from_wire(operation, data)


@pytest.mark.parametrize(
    ("operation", "data", "match"),
    [
        ("finish_turn", 0, "answer: received 0, expected null"),
        ("get_turn", {"turn": 1}, ""),
        ("get_turns", None, "answer: received None, expected an array"),
        ("try_claim_session_execution_lease", {"outcome": "granted"}, "outcome is one of acquired, busy"),
        ("load_session_snapshot", "AP8", "answer: received 'AP8', expected bytes in base64"),
        ("commit_session_boundary", {"run_id": str(RUN)}, "answer: received an object without boundary"),
    ],
)
def test_what_a_call_cannot_answer_is_told(operation: str, data: Any, match: str) -> None:
    """A field that has a default may be missing; anything else is told with its place."""
    if not match:
        assert answer_from_wire(operation, data) is not None
        return
    with pytest.raises(InvalidArgument, match=match):
        answer_from_wire(operation, data)


@pytest.mark.parametrize(
    "data", [None, "Backend", {}, {"kind": "Oops"}, {"kind": "TurnAlreadyFinished", "turn": 1}, {"kind": 1}]
)
def test_what_is_no_refusal_is_told(data: Any) -> None:
    """A kind that there is not, and a kind without its fields, are none."""
    with pytest.raises(InvalidArgument, match="error: received"):
        error_from_wire(data)


def test_the_schema_tells_every_call_and_every_refusal() -> None:
    """It has all operations and kinds, resolves all its references, and can be written as JSON."""
    found = schema()
    assert set(found["operations"]) == set(OPERATIONS)
    assert set(found["errors"]) == set(ERRORS)
    text = json.dumps(found)
    names = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert names <= set(found["$defs"])
    assert found["operations"]["finish_turn"] == {
        "arguments": {
            "type": "object",
            "properties": {
                "thread_id": {"type": "string"},
                "turn": {"type": "integer", "minimum": 0, "maximum": 18446744073709551615},
            },
            "required": ["thread_id", "turn"],
            "additionalProperties": False,
        },
        "answer": {"type": "null"},
    }


@pytest.mark.parametrize("value", [None, Json(), Json({}), Json([None])])
def test_the_json_null_is_a_value_and_no_absence(value: Json | None) -> None:
    """Where opaque JSON may be absent, a null is the JSON value, and what is absent is left out."""
    state = replace(ARGUMENTS["persist_input_state"][1], persisted_input=value)
    data = sent(to_wire(state))
    assert ("persisted_input" in data) == (value is not None)
    assert answer_from_wire("load_input_state", data) == state
