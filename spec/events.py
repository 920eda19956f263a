"""The events of agents, and the flat JSON object that each of them is on the wire.

A store keeps the whole envelope and reads nothing in it. In JSON the event's own keys stand beside those of the envelope. A
field that may be missing has the default None and is left out when it is None; one that has no default is written as null. What
has a type that is not in this table is kept as it came.
"""

from __future__ import annotations

import enum
import json
from functools import cache
from typing import Any, TypeAlias, get_args
from uuid import UUID

import msgspec

from .errors import InvalidArgument
from .values import F64, U32, U64, Instant, Json, Record, canonical_json, canonical_uuid, shown


class EventTokenUsage(Record, frozen=True):
    """Tokens of a turn or of a run."""

    input_tokens: U32
    output_tokens: U32
    cached_input_tokens: U32 = 0
    cache_creation_input_tokens: U32 = 0


class ToolTier(enum.Enum):
    """Whether a tool only looks, or asks before it acts."""

    Observe = "Observe"
    Confirm = "Confirm"


class BudgetLimit(enum.Enum):
    """The limit that was reached."""

    TotalTokens = "total_tokens"
    CostUsd = "cost_usd"


class TerminalReason(Record, frozen=True):
    """Why a run ended, by a word that may be new; `kind` is that of a provider's error."""

    reason: str
    kind: str | None = None


class ToolResult(Record, frozen=True):
    """What a tool answered."""

    success: bool
    output: str
    data: Json
    duration_ms: U64 | None
    artifact: Json | None = None
    documents: Json | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_null(self, "artifact", "documents")


class Question(Record, frozen=True):
    """A question to the user."""

    tool_call_id: str
    question: str
    multi_select: bool
    header: str | None = None
    options: Json | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_null(self, "options")


class ThreadCreated(Record, frozen=True, tag_field="type", tag="thread_created"):
    """A thread begins, perhaps as a fork."""

    thread_id: str
    source_thread_id: str | None = None
    fork_after_committed_turns: U64 | None = None


class Start(Record, frozen=True, tag_field="type", tag="start"):
    """A turn begins."""

    thread_id: str
    turn: U64
    emitter_task_id: str | None = None


class UserInput(Record, frozen=True, tag_field="type", tag="user_input"):
    """What the user said, as blocks."""

    thread_id: str
    content: Json
    emitter_task_id: str | None = None


class Thinking(Record, frozen=True, tag_field="type", tag="thinking"):
    """A whole thought."""

    message_id: str
    text: str
    emitter_task_id: str | None = None


class AgentEventText(Record, frozen=True, tag_field="type", tag="text"):
    """A whole text."""

    message_id: str
    text: str
    emitter_task_id: str | None = None


class ThinkingDelta(Record, frozen=True, tag_field="type", tag="thinking_delta"):
    """A piece of a thought."""

    message_id: str
    delta: str
    emitter_task_id: str | None = None


class TextDelta(Record, frozen=True, tag_field="type", tag="text_delta"):
    """A piece of a text."""

    message_id: str
    delta: str
    emitter_task_id: str | None = None


class ToolCallStart(Record, frozen=True, tag_field="type", tag="tool_call_start"):
    """A tool is called."""

    id: str
    name: str
    display_name: str
    input: Json
    tier: ToolTier


class ToolCallEnd(Record, frozen=True, tag_field="type", tag="tool_call_end"):
    """A tool has answered."""

    id: str
    name: str
    display_name: str
    result: ToolResult


class ToolProgress(Record, frozen=True, tag_field="type", tag="tool_progress"):
    """A tool is on its way."""

    id: str
    name: str
    display_name: str
    stage: str
    message: str
    data: Json


class ToolRequiresConfirmation(Record, frozen=True, tag_field="type", tag="tool_requires_confirmation"):
    """A tool waits for a yes."""

    id: str
    name: str
    display_name: str
    input: Json
    description: str


class QuestionAsked(Record, frozen=True, tag_field="type", tag="question_asked"):
    """A task waits for answers."""

    task_id: str
    questions: tuple[Question, ...]


class TurnComplete(Record, frozen=True, tag_field="type", tag="turn_complete"):
    """A turn is over."""

    turn: U64
    usage: EventTokenUsage
    emitter_task_id: str | None = None


class Done(Record, frozen=True, tag_field="type", tag="done"):
    """A run is over."""

    thread_id: str
    total_turns: U64
    total_usage: EventTokenUsage
    duration_ms: U64
    estimated_cost_usd: F64 | None = None
    emitter_task_id: str | None = None


class BudgetExceeded(Record, frozen=True, tag_field="type", tag="budget_exceeded"):
    """A run is over because its budget is."""

    thread_id: str
    total_turns: U64
    total_usage: EventTokenUsage
    duration_ms: U64
    limit: BudgetLimit
    estimated_cost_usd: F64 | None = None
    emitter_task_id: str | None = None


class AgentEventError(Record, frozen=True, tag_field="type", tag="error"):
    """Something failed."""

    message: str
    recoverable: bool
    reason: TerminalReason | None = None
    emitter_task_id: str | None = None


class AutoRetryStart(Record, frozen=True, tag_field="type", tag="auto_retry_start"):
    """A retry is due; `max_attempts` of 2^32 - 1 waits until there is a connection."""

    attempt: U32
    max_attempts: U32
    delay_ms: U64
    error_message: str


class AutoRetryEnd(Record, frozen=True, tag_field="type", tag="auto_retry_end"):
    """A retry has ended."""

    attempt: U32
    success: bool
    final_error: str | None


class AccountRotation(Record, frozen=True, tag_field="type", tag="account_rotation"):
    """Another account of the provider takes over; `reason` may be a new word."""

    provider: str
    from_account: str
    to_account: str
    reason: str
    retry_after_seconds: U64 | None = None


class AccountPoolExhausted(Record, frozen=True, tag_field="type", tag="account_pool_exhausted"):
    """No account of the provider is left."""

    provider: str
    account_count: U64
    reason: str
    retry_after_seconds: U64 | None = None


class Refusal(Record, frozen=True, tag_field="type", tag="refusal"):
    """The model refuses."""

    message_id: str
    text: str | None
    emitter_task_id: str | None = None


class AgentEventCancelled(Record, frozen=True, tag_field="type", tag="cancelled"):
    """A turn was cancelled."""

    turn: U64
    usage: EventTokenUsage
    reason: TerminalReason | None = None
    emitter_task_id: str | None = None


class ContextCompacted(Record, frozen=True, tag_field="type", tag="context_compacted"):
    """The context was made shorter."""

    original_count: U64
    new_count: U64
    original_tokens: U64
    new_tokens: U64


class SubagentProgress(Record, frozen=True, tag_field="type", tag="subagent_progress"):
    """A subagent is on its way."""

    subagent_id: str
    subagent_name: str
    nickname: str | None
    child_thread_id: str | None
    child_root_task_id: str | None
    subagent_task_id: str | None
    max_turns: U64 | None
    current_turn: U64 | None
    model: str | None
    tool_name: str
    tool_context: str
    completed: bool
    success: bool
    tool_count: U32
    total_tokens: U64
    input_tokens: U64 = 0
    output_tokens: U64 = 0
    cache_read_input_tokens: U64 = 0
    cache_creation_input_tokens: U64 = 0


class UnknownEvent(Record, frozen=True):
    """An event of a type that is not known here, with all the keys it came with."""

    type: str
    fields: Json = Json({})

    def __post_init__(self) -> None:
        super().__post_init__()
        keys = self.fields.value()
        if self.type in EVENT_TYPES:
            raise InvalidArgument("UnknownEvent.type", shown(self.type), "a type that is not in the table of events")
        if not isinstance(keys, dict) or keys.keys() & ENVELOPE_KEYS:
            raise InvalidArgument(
                "UnknownEvent.fields", shown(keys), f"a JSON object without the keys {', '.join(sorted(ENVELOPE_KEYS))}"
            )


KnownEvent: TypeAlias = (
    ThreadCreated
    | Start
    | UserInput
    | Thinking
    | AgentEventText
    | ThinkingDelta
    | TextDelta
    | ToolCallStart
    | ToolCallEnd
    | ToolProgress
    | ToolRequiresConfirmation
    | QuestionAsked
    | TurnComplete
    | Done
    | BudgetExceeded
    | AgentEventError
    | AutoRetryStart
    | AutoRetryEnd
    | AccountRotation
    | AccountPoolExhausted
    | Refusal
    | AgentEventCancelled
    | ContextCompacted
    | SubagentProgress
)
AgentEvent: TypeAlias = KnownEvent | UnknownEvent

EVENT_TYPES: dict[str, type[Record]] = {str(each.__struct_config__.tag): each for each in KnownEvent.__args__}
"""The known events by their `type`."""

ENVELOPE_KEYS = frozenset({"event_id", "sequence", "timestamp", "type"})
"""The keys that stand beside those of the event."""


class AgentEventEnvelope(Record, frozen=True):
    """An event with its id, its number within a run, and its time: nothing that a store orders or compares by."""

    event_id: UUID
    sequence: U64
    timestamp: Instant
    event: AgentEvent


def envelope_json(envelope: AgentEventEnvelope) -> str:
    """The flat JSON object of an envelope, keys in code-point order."""
    return canonical_json(envelope_data(envelope))


def envelope_data(envelope: AgentEventEnvelope) -> dict[str, Any]:
    """The same as plain data."""
    event = envelope.event
    if isinstance(event, UnknownEvent):
        own = {"type": event.type, **event.fields.value()}
    else:
        own = {"type": event.__struct_config__.tag, **_plain(event)}
    return {"event_id": str(envelope.event_id), "sequence": envelope.sequence, "timestamp": envelope.timestamp, **own}


def envelope_from_json(text: str | bytes) -> AgentEventEnvelope:
    """The envelope of a flat JSON object. Raises `InvalidArgument` if it is none, or lacks what its type asks for."""
    try:
        # not `Json.parse`: what an event holds may have as many levels as any value, and stands two levels down
        return _envelope(json.loads(text, parse_constant=_no_number))
    except (KeyError, TypeError, ValueError, RecursionError, msgspec.ValidationError) as error:
        raise _no_envelope(text, error) from error


def envelope_from_data(data: object) -> AgentEventEnvelope:
    """The envelope of a flat JSON object that was read. Raises `InvalidArgument` if it is none."""
    try:
        return _envelope(data)
    except (KeyError, TypeError, ValueError, RecursionError, msgspec.ValidationError) as error:
        raise _no_envelope(data, error) from error


def _no_envelope(given: object, error: Exception) -> InvalidArgument:
    why = f"no {error}" if isinstance(error, KeyError) else str(error)
    return InvalidArgument("envelope", shown(given), f"a flat event envelope ({why})")


def _envelope(data: Any) -> AgentEventEnvelope:
    if not isinstance(data, dict):
        raise TypeError("no JSON object")
    keys = dict(data)
    head = {each: keys.pop(each) for each in sorted(ENVELOPE_KEYS)}
    kind = EVENT_TYPES.get(head["type"])
    event = UnknownEvent(head["type"], Json(keys)) if kind is None else _built(kind, keys)
    event_id = canonical_uuid(head["event_id"], "AgentEventEnvelope.event_id")
    return AgentEventEnvelope(event_id, head["sequence"], head["timestamp"], event)


def _plain(value: Any) -> Any:
    """Plain JSON data of a value; fields that may be missing are left out where they are None."""
    if isinstance(value, msgspec.Struct):
        fields = ((name, optional, getattr(value, name)) for name, optional in _fields(type(value)))
        return {name: _plain(content) for name, optional, content in fields if content is not None or not optional}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Json):
        return value.value()
    return value.value if isinstance(value, enum.Enum) else value


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, bool], ...]:
    """The fields, and whether each may be missing."""
    return tuple((each.name, each.default is None) for each in msgspec.structs.fields(kind))


def _built(kind: type[Record], keys: dict[str, Any]) -> Any:
    """The event with these keys."""
    if kind is ToolCallEnd and isinstance(keys.get("result"), dict):
        keys = keys | {"result": _completed(ToolResult, keys["result"])}
    return msgspec.convert(_completed(kind, keys), kind, dec_hook=_hook)


def _completed(kind: type[Record], keys: dict[str, Any]) -> dict[str, Any]:
    """The keys with what may be null and is missing, and with a duration that stands in its older form."""
    older = keys.get("duration")
    if "duration_ms" in kind.__struct_fields__ and "duration_ms" not in keys and isinstance(older, dict):
        keys = keys | {"duration_ms": older["secs"] * 1_000 + older["nanos"] // 1_000_000}
    return dict.fromkeys(_nullable(kind)) | keys


@cache
def _nullable(kind: type[Record]) -> tuple[str, ...]:
    """The fields without a default that may be null. Of JSON only what is named `data` may."""
    fields = (each for each in msgspec.structs.fields(kind) if each.required)
    return tuple(each.name for each in fields if each.name == "data" or type(None) in get_args(each.type))


def _refuse_null(record: Record, *names: str) -> None:
    """Raise if one of these fields holds the JSON null: it is written as a field that is missing, and so read as none."""
    for name in names:
        if getattr(record, name) == Json(None):
            raise InvalidArgument(f"{type(record).__name__}.{name}", "Json(None)", "a JSON value other than null, or None")


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _hook(kind: type, value: object) -> object:
    if kind is Json:
        return Json(value)
    raise NotImplementedError(kind)
