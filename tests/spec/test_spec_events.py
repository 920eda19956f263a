"""Events: the flat JSON object of each type, what is left out of it, what is null in it, and what comes back of it."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from fencepost.spec import (
    AccountRotation,
    AgentEvent,
    AgentEventEnvelope,
    AgentEventError,
    BudgetExceeded,
    BudgetLimit,
    Done,
    EventTokenUsage,
    InvalidArgument,
    Json,
    Question,
    QuestionAsked,
    Refusal,
    Start,
    TerminalReason,
    ThreadCreated,
    ToolCallEnd,
    ToolResult,
    TurnComplete,
    UnknownEvent,
    UserInput,
    envelope_from_json,
    envelope_json,
)
from fencepost.spec.events import ENVELOPE_KEYS, EVENT_TYPES
from spec_events import EVENTS, HEAD, ID, NOON, TOOL, USAGE

TOKENS = {"input_tokens": 1, "output_tokens": 2, "cached_input_tokens": 3, "cache_creation_input_tokens": 0}
NAMED = {"id": "c", "name": "grep", "display_name": "Grep"}

FLAT: list[tuple[AgentEvent, str]] = [
    (Start("th", 1), f'{{"event_id":"{ID}","sequence":7,"thread_id":"th","timestamp":"{NOON}","turn":1,"type":"start"}}'),
    (
        Refusal("m", None),
        f'{{"event_id":"{ID}","message_id":"m","sequence":7,"text":null,"timestamp":"{NOON}","type":"refusal"}}',
    ),
    (
        ToolCallEnd(*TOOL, ToolResult(True, "é", Json({"b": 1, "a": 2}), 5)),
        f'{{"display_name":"Grep","event_id":"{ID}","id":"c","name":"grep","result":{{"data":{{"a":2,"b":1}},"duration_ms":5,'
        f'"output":"é","success":true}},"sequence":7,"timestamp":"{NOON}","type":"tool_call_end"}}',
    ),
    (
        UnknownEvent("zz", Json({"payload": None, "A": 1e16})),
        f'{{"A":1e+16,"event_id":"{ID}","payload":null,"sequence":7,"timestamp":"{NOON}","type":"zz"}}',
    ),
]


def envelope(event: AgentEvent) -> AgentEventEnvelope:
    """The event in an envelope."""
    return AgentEventEnvelope(UUID(ID), 7, NOON, event)


def read(keys: dict[str, Any]) -> AgentEvent:
    """The event with these keys, as it is read beside the keys of an envelope."""
    return envelope_from_json(json.dumps(HEAD | keys)).event


def test_every_type_of_event_is_here() -> None:
    """The table has 24 types, and each stands above with the fewest keys and with the most."""
    assert len(EVENT_TYPES) == 24
    assert {str(keys["type"]) for _, keys in EVENTS} == {*EVENT_TYPES, "from_the_future", ""}
    assert {type(event) for event, _ in EVENTS} == {*EVENT_TYPES.values(), UnknownEvent}
    for kind, record in EVENT_TYPES.items():
        seen = set[str]().union(*(keys for _, keys in EVENTS if keys["type"] == kind))
        assert seen == {"type", *record.__struct_fields__}


@pytest.mark.parametrize(("event", "keys"), EVENTS)
def test_event_46_an_event_is_one_flat_object(event: AgentEvent, keys: dict[str, Any]) -> None:
    """Its keys stand beside those of the envelope; what may be missing is missing when it is none, the rest is null."""
    text = envelope_json(envelope(event))
    assert json.dumps(json.loads(text), sort_keys=True) == json.dumps(HEAD | keys, sort_keys=True)


@pytest.mark.parametrize(("event", "keys"), EVENTS)
def test_event_46_an_event_comes_back_as_it_went(event: AgentEvent, keys: dict[str, Any]) -> None:
    """Both from what was written of it and from its keys in any order, as text or as bytes."""
    written = envelope_json(envelope(event))
    assert envelope_from_json(written) == envelope_from_json(written.encode()) == envelope(event)
    assert envelope_json(envelope_from_json(written)) == written
    assert envelope_from_json(json.dumps(dict(reversed((keys | HEAD).items())), indent=1)) == envelope(event)


@pytest.mark.parametrize(("event", "text"), FLAT)
def test_the_text_of_an_envelope(event: AgentEvent, text: str) -> None:
    """Keys are in the order of their code points at every level, and there is no white space."""
    assert envelope_json(envelope(event)) == text


def test_no_event_has_a_key_of_the_envelope() -> None:
    """Nothing is written twice into one object, and no object has its event nested."""
    assert sorted(ENVELOPE_KEYS) == ["event_id", "sequence", "timestamp", "type"]
    for record in EVENT_TYPES.values():
        assert not ENVELOPE_KEYS & {*record.__struct_fields__}
    for event, keys in EVENTS:
        assert "event" in keys or "event" not in json.loads(envelope_json(envelope(event)))


MAY_BE_MISSING: dict[str, set[str]] = {
    "tool_progress": {"data"},
    "auto_retry_end": {"final_error"},
    "refusal": {"text"},
    "subagent_progress": {
        *("nickname", "child_thread_id", "child_root_task_id", "subagent_task_id", "max_turns", "current_turn", "model"),
        *("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
    },
}
"""What is always written and may be missing in what is read: null, or no tokens."""

FEWEST = {str(keys["type"]): (event, keys) for event, keys in reversed(EVENTS) if not isinstance(event, UnknownEvent)}
WRITTEN = [(kind, key) for kind, (_, keys) in FEWEST.items() for key in keys if key != "type"]


@pytest.mark.parametrize(("kind", "key"), WRITTEN)
def test_a_key_that_is_always_written_is_required_unless_it_may_be_null(kind: str, key: str) -> None:
    """The refusal names the key, also where it holds JSON of any form; what is missing and may be null is null."""
    event, keys = FEWEST[kind]
    left = {name: value for name, value in keys.items() if name != key}
    if key in MAY_BE_MISSING.get(kind, ()):
        assert read(left) == event
    else:
        with pytest.raises(InvalidArgument, match=f"missing required field `{key}`"):
            read(left)


def test_what_may_be_missing_may_be_null() -> None:
    """Null is none for an optional key, but nothing for a number that has a default of 0."""
    nothing = {"source_thread_id": None, "fork_after_committed_turns": None}
    assert read({"type": "thread_created", "thread_id": "th", **nothing}) == ThreadCreated("th")
    result = {"success": True, "output": "", "artifact": None, "documents": None}
    assert read({"type": "tool_call_end", **NAMED, "result": result}) == FEWEST["tool_call_end"][0]
    few = {"input_tokens": 1, "output_tokens": 2}
    assert read({"type": "turn_complete", "turn": 1, "usage": few}) == TurnComplete(1, EventTokenUsage(1, 2, 0, 0))
    with pytest.raises(InvalidArgument, match="cached_input_tokens"):
        read({"type": "turn_complete", "turn": 1, "usage": few | {"cached_input_tokens": None}})


@pytest.mark.parametrize("key", ["event_id", "sequence", "timestamp", "type"])
def test_an_envelope_has_four_keys(key: str) -> None:
    """Without one of them it is refused, and the refusal names it."""
    keys = {**HEAD, "type": "start", "thread_id": "th", "turn": 1}
    with pytest.raises(InvalidArgument, match=f"no '{key}'"):
        envelope_from_json(json.dumps({name: value for name, value in keys.items() if name != key}))


def test_event_46_an_unknown_type_keeps_every_key() -> None:
    """Whatever stands beside the keys of the envelope is kept, also what looks like an event; a known type keeps its own."""
    event = read({"type": "warp", "thread_id": "th", "turn": 1, "result": {"duration": {"secs": 1, "nanos": 0}}, "data": None})
    assert event == UnknownEvent(
        "warp", Json({"thread_id": "th", "turn": 1, "result": {"duration": {"secs": 1, "nanos": 0}}, "data": None})
    )
    assert read({"type": "Start", "turn": "x"}) == UnknownEvent("Start", Json({"turn": "x"}))
    assert read({"type": "start", "thread_id": "th", "turn": 1, "new": [1]}) == Start("th", 1)


def test_an_unknown_event_is_of_no_known_type_and_has_no_key_of_the_envelope() -> None:
    """Its fields are an object, and whatever is written can be read."""
    for kind in EVENT_TYPES:
        with pytest.raises(InvalidArgument, match=r"UnknownEvent\.type"):
            UnknownEvent(kind)
    wrong: tuple[object, ...] = ({"type": "x"}, {"event_id": ID}, {"sequence": 1, "a": 1}, {"timestamp": None}, [], "a", None)
    for fields in wrong:
        with pytest.raises(InvalidArgument, match=r"UnknownEvent\.fields"):
            UnknownEvent("x", Json(fields))


DONE = {"type": "done", "thread_id": "th", "total_turns": 3, "total_usage": TOKENS}


@pytest.mark.parametrize(
    ("seconds", "nanoseconds", "milliseconds"),
    [(0, 0, 0), (0, 999_999, 0), (0, 1_000_000, 1), (1, 999_999_999, 1_999), (18_446_744_073_709_551, 615_000_000, 2**64 - 1)],
)
def test_a_duration_may_stand_in_its_older_form(seconds: int, nanoseconds: int, milliseconds: int) -> None:
    """Seconds and nanoseconds are read as whole milliseconds, in every event that has a duration."""
    older = {"duration": {"secs": seconds, "nanos": nanoseconds}}
    assert read(DONE | older) == Done("th", 3, USAGE, milliseconds)
    exceeded = DONE | older | {"type": "budget_exceeded", "limit": "cost_usd"}
    assert read(exceeded) == BudgetExceeded("th", 3, USAGE, milliseconds, BudgetLimit.CostUsd)
    result = {"success": True, "output": "", "data": None, **older}
    ended = ToolCallEnd(*TOOL, ToolResult(True, "", Json(None), milliseconds))
    assert read({"type": "tool_call_end", **NAMED, "result": result}) == ended


def test_the_newer_form_of_a_duration_counts() -> None:
    """Beside `duration_ms` the older key is one that is not known, as it is in an event without a duration."""
    assert read(DONE | {"duration": {"secs": 1, "nanos": 0}, "duration_ms": 5}) == Done("th", 3, USAGE, 5)
    assert read(DONE | {"duration": "long", "duration_ms": 5}) == Done("th", 3, USAGE, 5)
    assert read({"type": "error", "message": "m", "recoverable": False, "duration": {"s": 1}}) == AgentEventError("m", False)


@pytest.mark.parametrize(
    ("older", "why"),
    [
        ({"secs": 1}, "no 'nanos'"),
        ({"nanos": 1}, "no 'secs'"),
        ({"secs": "1", "nanos": 0}, "str"),
        ({"secs": 1.5, "nanos": 0}, "float"),
        ({"secs": -1, "nanos": 0}, "-1000"),
        ({"secs": 18_446_744_073_709_551, "nanos": 616_000_000}, "18446744073709551616"),
        (5, "duration_ms"),
        (None, "duration_ms"),
    ],
)
def test_what_is_no_duration_is_refused(older: object, why: str) -> None:
    """Halves of it, other types, negative ones and those beyond the range tell what is wrong."""
    with pytest.raises(InvalidArgument, match=why):
        read(DONE | {"duration": older})


@pytest.mark.parametrize("word", ["completed", "watchdog_stall", "parent_cancelled", "from_the_future", ""])
def test_a_reason_may_be_a_new_word(word: str) -> None:
    """Reasons of runs and of accounts are kept as they came, known or not."""
    error = {"type": "error", "message": "m", "recoverable": False, "reason": {"reason": word}}
    assert read(error) == AgentEventError("m", False, TerminalReason(word))
    assert json.loads(envelope_json(envelope(read(error)))) == HEAD | error
    rotation = {"type": "account_rotation", "provider": "p", "from_account": "a", "to_account": "b", "reason": word}
    assert read(rotation) == AccountRotation("p", "a", "b", word)


def nested(levels: int) -> object:
    """A list in a list in a list, that many of them."""
    value: object = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    "event",
    [
        UserInput("th", Json(nested(128))),
        ToolCallEnd(*TOOL, ToolResult(True, "", Json(nested(128)), None, Json(nested(128)))),
        QuestionAsked("task", (Question("c", "q", False, None, Json(nested(128))),)),
        UnknownEvent("x", Json({"a": nested(127)})),
    ],
)
def test_event_46_an_event_may_hold_the_deepest_json(event: AgentEvent) -> None:
    """JSON of 128 levels, which a record admits, is read again although the event stands around it."""
    assert envelope_from_json(envelope_json(envelope(event))) == envelope(event)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: ToolResult(True, "", Json(1), None, artifact=Json(None)), "ToolResult.artifact"),
        (lambda: ToolResult(True, "", Json(1), None, documents=Json(None)), "ToolResult.documents"),
        (lambda: Question("c", "q", False, None, Json(None)), "Question.options"),
    ],
)
def test_what_may_be_missing_is_never_the_null_of_json(make: Any, field: str) -> None:
    """Written, it would be what a missing field is: it would come back as none."""
    with pytest.raises(InvalidArgument) as refusal:
        make()
    assert refusal.value.argument == field


START = {**HEAD, "type": "start", "thread_id": "th", "turn": 1}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property name"),
        ("[]", "no JSON object"),
        ('"start"', "no JSON object"),
        ("null", "no JSON object"),
        (b"\xff", "invalid start byte"),
        ('{"a":NaN}', "NaN is no number"),
        ('{"a":-Infinity}', "-Infinity is no number"),
        ("[" * 100_000, "recursion"),
        ('{"a":' + "1" * 5_000 + "}", "digits"),
        (json.dumps(START) + "1", "Extra data"),
        (json.dumps(START | {"event_id": ID.upper() + "x"}), r"event_id: received .* a UUID"),
        (json.dumps(START | {"event_id": None}), "event_id: received None"),
        (json.dumps(START | {"sequence": -1}), "sequence: received -1"),
        (json.dumps(START | {"sequence": 1.0}), r"sequence: received 1\.0"),
        (json.dumps(START | {"sequence": True}), "sequence: received True"),
        (json.dumps(START | {"timestamp": 0}), "timestamp: received 0"),
        (json.dumps(START | {"timestamp": "noon"}), "timestamp: received 'noon'"),
        (json.dumps(START | {"type": None}), "type: received None"),
        (json.dumps(START | {"type": ["start"]}), "unhashable type"),
        (json.dumps(START | {"turn": None}), r"Expected `int`, got `null` - at `\$\.turn`"),
        (json.dumps(START | {"turn": 2**64}), r"Start\.turn: received 18446744073709551616"),
        (json.dumps(START | {"turn": 1.0}), r"Expected `int`, got `float` - at `\$\.turn`"),
        (json.dumps(START | {"turn": True}), r"Expected `int`, got `bool` - at `\$\.turn`"),
        (json.dumps(START | {"turn": "1"}), r"Expected `int`, got `str` - at `\$\.turn`"),
        (json.dumps(START | {"thread_id": "\ud800"}), r"Start\.thread_id"),
        (json.dumps({**HEAD, "type": "x", "a": "\ud800"}), "lone surrogate"),
        (json.dumps({**HEAD, "type": "x", "a": nested(128)}), "128 levels"),
        (
            json.dumps({**HEAD, "type": "tool_call_start", **NAMED, "input": 1, "tier": "observe"}),
            r"Invalid enum value 'observe' - at `\$\.tier`",
        ),
        (json.dumps({**HEAD, "type": "tool_call_end", **NAMED, "result": "done"}), r"at `\$\.result`"),
        (
            json.dumps({**HEAD, "type": "tool_call_end", **NAMED, "result": {"success": True}}),
            r"required field `output` - at `\$\.result`",
        ),
        (
            json.dumps({**HEAD, "type": "question_asked", "task_id": "t", "questions": [{"tool_call_id": "c"}]}),
            r"required field `question` - at `\$\.questions\[0\]`",
        ),
        (json.dumps({**HEAD, **DONE, "duration_ms": 1, "estimated_cost_usd": 10**400}), "estimated_cost_usd"),
        (json.dumps({**HEAD, **DONE, "duration_ms": 1, "estimated_cost_usd": "1"}), "estimated_cost_usd"),
        (
            json.dumps({**HEAD, "type": "turn_complete", "turn": 1, "usage": {"input_tokens": 1}}),
            r"required field `output_tokens` - at `\$\.usage`",
        ),
        (
            json.dumps({**HEAD, "type": "error", "message": "m", "recoverable": True, "reason": {"kind": "k"}}),
            r"required field `reason` - at `\$\.reason`",
        ),
        (json.dumps({**HEAD, "type": "error", "message": "m", "recoverable": 0}), r"at `\$\.recoverable`"),
        (json.dumps({**HEAD, "type": "error", "message": "m", "recoverable": True, "reason": "new"}), r"at `\$\.reason`"),
    ],
)
def test_what_is_no_envelope_is_refused(text: str | bytes, why: str) -> None:
    """It is an InvalidArgument that tells what was wrong, and where."""
    with pytest.raises(InvalidArgument, match=why) as refusal:
        envelope_from_json(text)
    assert refusal.value.argument == "envelope"


def test_a_cost_may_be_written_as_an_integer() -> None:
    """It is read as the double that it is, like one of the largest and one of the smallest doubles."""
    assert read(DONE | {"duration_ms": 1, "estimated_cost_usd": 1}) == Done("th", 3, USAGE, 1, 1.0)
    for cost in (1.7976931348623157e308, 5e-324, 0.1, -0.0):
        event = Done("th", 3, USAGE, 1, cost)
        assert repr(envelope_from_json(envelope_json(envelope(event))).event) == repr(event)
