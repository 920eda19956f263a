"""What is given to stores that look into nothing: an event of every type, inputs of every shape, sessions of every message.

A store that keeps most of them and loses some must meet those, so that each kind stands here at least once, bare and full.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fencepost.spec import (
    U64_MAX,
    AccountPoolExhausted,
    AccountRotation,
    AgentEvent,
    AgentEventCancelled,
    AgentEventError,
    AgentEventText,
    AutoRetryEnd,
    AutoRetryStart,
    BudgetExceeded,
    BudgetLimit,
    ContextCompacted,
    Done,
    EventTokenUsage,
    InputAbandonReason,
    InputDurability,
    InputHistoryEntry,
    InputLifecycleState,
    Json,
    MaxAttempts,
    MaxAttemptsExhausted,
    OutcomeAbandoned,
    OutcomeCoalesced,
    OutcomeConsumed,
    OutcomeSuperseded,
    PolicySnapshot,
    Question,
    QuestionAsked,
    Refusal,
    SourceCoalescing,
    SourceProjection,
    Start,
    SubagentProgress,
    TerminalReason,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThreadCreated,
    ToolCallEnd,
    ToolCallStart,
    ToolProgress,
    ToolRequiresConfirmation,
    ToolResult,
    ToolTier,
    TurnComplete,
    UnknownEvent,
    UserInput,
)

U32_MAX = 2**32 - 1
USAGE = EventTokenUsage(U32_MAX, 0, 7)
TOOL = ("c", "grep", "Grep")
NUMBERS = Json({"n": [1, 1.0, True, None, 2**53 + 1], "": "%_'\0"})

EVENTS: tuple[AgentEvent, ...] = (
    Start("th", 1),
    # a turn and a thread that are not those of the call
    Start("elsewhere", 99, "task"),
    UserInput("th", Json([{"type": "text", "text": "é\0"}])),
    UserInput("th", Json(), "task"),
    TextDelta("m", "piece"),
    TextDelta("m", "", "task"),
    ToolCallEnd(*TOOL, ToolResult(True, "", NUMBERS, None)),
    TurnComplete(1, USAGE),
    Done("th", 3, USAGE, U64_MAX, 0.1),
    UnknownEvent("from_the_future", Json({"deep": {"b": 1, "a": [1.5, "%_'"]}})),
    ThreadCreated("th"),
    ThreadCreated("th", "source", U64_MAX),
    Thinking("m", "", "task"),
    AgentEventText("m", "so\n", ""),
    ThinkingDelta("m", "h", "task"),
    ToolCallStart(*TOOL, NUMBERS, ToolTier.Observe),
    ToolCallStart(*TOOL, Json(), ToolTier.Confirm),
    ToolCallEnd(*TOOL, ToolResult(False, "o", Json(), 0, Json({"a": None}), Json([]))),
    ToolProgress(*TOOL, "stage", "message", NUMBERS),
    ToolRequiresConfirmation(*TOOL, Json("input"), ""),
    QuestionAsked("task", ()),
    QuestionAsked("task", (Question("c", "q", False), Question("c", "q", True, "h", Json([1])))),
    TurnComplete(U64_MAX, EventTokenUsage(0, 1, 2, U32_MAX), "task"),
    Done("th", U64_MAX, USAGE, 0, None, "task"),
    BudgetExceeded("th", 3, USAGE, 0, BudgetLimit.TotalTokens),
    BudgetExceeded("th", 3, USAGE, U64_MAX, BudgetLimit.CostUsd, 0.5, "task"),
    AgentEventError("", False),
    AgentEventError("m", True, TerminalReason("new", "kind"), "task"),
    AutoRetryStart(1, U32_MAX, U64_MAX, "e"),
    AutoRetryEnd(0, True, None),
    AutoRetryEnd(U32_MAX, False, ""),
    AccountRotation("p", "a", "b", "limit"),
    AccountRotation("p", "a", "b", "limit", 0),
    AccountPoolExhausted("p", U64_MAX, "r", 7),
    Refusal("m", None),
    Refusal("m", "no", "task"),
    AgentEventCancelled(1, USAGE),
    AgentEventCancelled(0, USAGE, TerminalReason("r"), "task"),
    ContextCompacted(0, 1, 2**53 + 1, U64_MAX),
    SubagentProgress("s", "n", None, None, None, None, None, None, None, "t", "x", False, True, 1, 2),
    SubagentProgress("s", "n", "nick", "child", "root", "task", 9, 1, "m", "t", "x", True, False, 1, 2, 3, 4, 5, U64_MAX),
    UnknownEvent("", Json({})),
)


def numbered(number: int) -> UUID:
    """A UUID that ends with the number."""
    return UUID(f"0190a1b2-0000-7000-8000-{number:012x}")


EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z"
POLICY = PolicySnapshot(3, Json({"apply_mode": "stage_run_start", "policy_version": 2**53 + 1}))
S = InputLifecycleState
HISTORY = (
    InputHistoryEntry(EARLY, S.Accepted, S.Queued, "QueueAccepted"),
    InputHistoryEntry(LATE, S.Queued, S.Staged),
    InputHistoryEntry(LATE, S.Staged, S.Queued, ""),
)

SHAPES: tuple[dict[str, Any], ...] = (
    {"current_state": S.Accepted},
    {"current_state": S.Queued, "history": HISTORY, "durability": InputDurability.Durable},
    {"current_state": S.Staged, "attempt_count": U32_MAX, "last_run_id": numbered(99), "policy": POLICY},
    {"current_state": S.AppliedPendingConsumption, "last_run_id": numbered(1), "last_boundary_sequence": U64_MAX},
    {"current_state": S.Consumed, "terminal_outcome": OutcomeConsumed(), "idempotency_key": ""},
    {
        "current_state": S.Abandoned,
        "terminal_outcome": OutcomeAbandoned(InputAbandonReason.Reset),
        "reconstruction_source": SourceCoalescing((numbered(9), numbered(9))),
    },
    {"current_state": S.Applied, "persisted_input": Json({"input_type": "prompt", "text": "é", "n": [1, 1.0]})},
    {
        "current_state": S.Superseded,
        "terminal_outcome": OutcomeSuperseded(numbered(3)),
        "reconstruction_source": SourceProjection("rule", "event"),
        "durability": InputDurability.Ephemeral,
    },
    {
        "current_state": S.Coalesced,
        "terminal_outcome": OutcomeCoalesced(numbered(3)),
        "reconstruction_source": SourceCoalescing(()),
        "durability": InputDurability.Derived,
    },
    {
        "current_state": S.Abandoned,
        "terminal_outcome": OutcomeAbandoned(MaxAttemptsExhausted(MaxAttempts(U32_MAX))),
        "idempotency_key": "%_'\0é",
        "persisted_input": Json([]),
    },
    *(
        {"current_state": S.Abandoned, "terminal_outcome": OutcomeAbandoned(reason)}
        for reason in InputAbandonReason
        if reason is not InputAbandonReason.Reset
    ),
)
"""What of an input no store looks into; not all of it is what a runtime would write."""


def session(session_id: UUID | str, messages: str, version: int = 1, beside: str = "") -> bytes:
    """A session with these messages, as JSON text."""
    instant = '{"secs_since_epoch":1,"nanos_since_epoch":0}'
    head = f'"version":{version},"id":"{session_id}"{beside},"created_at":{instant},"updated_at":{instant}'
    return f'{{{head},"messages":[{messages}]}}'.encode()


HELLO = '{"role":"user","content":"hello"}'


def user(content: str, beside: str = "") -> str:
    """A user's message."""
    return f'{{"role":"user","content":{content}{beside}}}'


def blocks(*texts: str, reason: str = "end_turn") -> str:
    """An assistant's message of blocks."""
    return f'{{"role":"block_assistant","stop_reason":"{reason}","blocks":[{",".join(texts)}]}}'


def block(kind: str, data: str) -> str:
    """A block of an assistant's message."""
    return f'{{"block_type":"{kind}","data":{{{data}}}}}'


def call(args: str) -> str:
    """A message with a tool's arguments, which are free-form JSON."""
    return blocks(block("tool_use", f'"id":"t","name":"grep","args":{args}'), reason="tool_use")


WORK = call('{"b":[true,null,0.5],"a":1e2}')
NOTICED = ',"render_metadata":{"class":"%s"}'
MESSAGES = (
    "",
    HELLO,
    # the same message in other bytes: one digest
    ' {"content":[{"type":"text","text":"hello"}],"role":"user","new":{}} ',
    f'{{"role":"system","content":"be brief\\u0001é"}},{HELLO},{WORK}',
    # one text block among others stays a block
    user('[{"type":"text","text":"a"},{"type":"image","media_type":"i","source":"blob","blob_id":"b"}]'),
    user('[{"type":"image","media_type":"i","source":"inline","data":"AA=="}]'),
    user('[{"type":"video","media_type":"v","duration_ms":5,"source":"inline","data":"AA=="}]'),
    user("[]"),
    # an older notice becomes one, but not in another class
    user('"[SYSTEM NOTICE][BG_JOB] done"', NOTICED % "ops_progress"),
    user('"[SYSTEM NOTICE][TOOL_SCOPE][WARNING] x"', NOTICED % "tool_scope_notice"),
    user('"[SYSTEM NOTICE] x"', NOTICED % "ops_progress"),
    user('"x"', ',"render_metadata":{"class":"peer_message","salience":"urgent"}'),
    '{"role":"system_notice","kind":"mcp_pending","body":"x"}',
    '{"role":"assistant","content":"hi","stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}',
    '{"role":"assistant","content":"","tool_calls":[{"id":"t","name":"n","args":{"b":1,"a":[]}}],"stop_reason":"tool_use",'
    '"usage":{"input_tokens":1,"output_tokens":2,"cache_creation_tokens":3,"cache_read_tokens":null}}',
    blocks(
        block("text", '"text":"ok","meta":{"provider":"anthropic","signature":"s"}'),
        block("reasoning", '"meta":{"provider":"open_ai","id":"i","encrypted_content":"e"}'),
        block("reasoning", '"text":"t","meta":{"provider":"gemini","thoughtSignature":"s"}'),
        reason="max_tokens",
    ),
    call('{"z":-0,"y":1e16,"x":1.5e-7,"w":18446744073709551615,"v":18446744073709551616,"u":1.0,"t":0.00001,"z":2}'),
    '{"role":"tool_results","results":[{"tool_use_id":"t","content":"done"},{"tool_use_id":"u","content":[],"is_error":true}]}',
)
"""Lists of messages as a session holds them, of every role and block."""

SESSIONS = (numbered(7), numbered(8))
DECODABLE = (
    *(session(SESSIONS[place % 2], messages) for place, messages in enumerate(MESSAGES)),
    # what stands beside the messages is none of them
    session(SESSIONS[0], HELLO, 2, ',"metadata":{"a":"é"},"usage":{"input_tokens":1,"output_tokens":2},"more":[]'),
)

LEVELS = "[" * 125 + "]" * 125
UNDECODABLE = (
    b"",
    b"no JSON",
    b"\xef\xbb\xbf" + DECODABLE[0],
    DECODABLE[1] + b"x",
    DECODABLE[1].decode().encode("utf-16"),
    session("no UUID", HELLO),
    session(SESSIONS[0], HELLO, U32_MAX + 1),
    session(SESSIONS[0], HELLO).replace(b'"secs_since_epoch":1', b'"secs_since_epoch":1,"days":1'),
    session(SESSIONS[0], HELLO).replace(b'"nanos_since_epoch":0', b'"nanos_since_epoch":4294967296'),
    *(
        session(SESSIONS[0], messages)
        for messages in (
            WORK.replace("0.5", "NaN"),
            WORK.replace("0.5", "1e999"),
            WORK.replace("null", LEVELS),
            WORK.replace("tool_use", "new_use"),
            user('"\\ud800"'),
            user('"a","content":"b"'),
            user("null"),
            '{"role":"poet","content":"a"}',
            '{"role":"system_notice","kind":"new","body":"x"}',
            blocks(reason="bored"),
            '{"role":"assistant","content":"","stop_reason":"end_turn","usage":{"input_tokens":1.0,"output_tokens":2}}',
        )
    ),
)
