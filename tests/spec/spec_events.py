"""An event of each type with the fewest keys and one with the most, and the keys as JSON text."""

from __future__ import annotations

import json

from fencepost.spec import (
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
    Json,
    Question,
    QuestionAsked,
    Refusal,
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

ID = "00000000-0000-4000-8000-000000000001"
NOON = "2026-01-01T12:00:00Z"
HEAD = {"event_id": ID, "sequence": 7, "timestamp": NOON}
"""The keys of an envelope beside those of its event."""

USAGE = EventTokenUsage(1, 2, 3)
TOOL = ("c", "grep", "Grep")
FEW = SubagentProgress("s", "n", None, None, None, None, None, None, None, "t", "x", False, True, 1, 2)
ALL = SubagentProgress("s", "n", "nick", "child", "root", "task", 9, 1, "m", "t", "x", True, False, 1, 2, 3, 4, 5, 6)

TEXTS: list[tuple[AgentEvent, str]] = [
    (ThreadCreated("th"), '{"type":"thread_created","thread_id":"th"}'),
    (
        ThreadCreated("th", "source", 0),
        '{"type":"thread_created","thread_id":"th","source_thread_id":"source","fork_after_committed_turns":0}',
    ),
    (Start("th", 1), '{"type":"start","thread_id":"th","turn":1}'),
    (Start("th", 2**64 - 1, ""), '{"type":"start","thread_id":"th","turn":18446744073709551615,"emitter_task_id":""}'),
    (UserInput("th", Json([])), '{"type":"user_input","thread_id":"th","content":[]}'),
    (
        UserInput("th", Json([{"type": "text", "text": "é\0"}]), "task"),
        r'{"type":"user_input","thread_id":"th","content":[{"type":"text","text":"é\u0000"}],'
        '"emitter_task_id":"task"}',
    ),
    (Thinking("m", "hm"), '{"type":"thinking","message_id":"m","text":"hm"}'),
    (Thinking("m", "hm", "task"), '{"type":"thinking","message_id":"m","text":"hm","emitter_task_id":"task"}'),
    (AgentEventText("m", "so"), '{"type":"text","message_id":"m","text":"so"}'),
    (AgentEventText("m", "so", "task"), '{"type":"text","message_id":"m","text":"so","emitter_task_id":"task"}'),
    (ThinkingDelta("m", "h"), '{"type":"thinking_delta","message_id":"m","delta":"h"}'),
    (ThinkingDelta("m", "h", "task"), '{"type":"thinking_delta","message_id":"m","delta":"h","emitter_task_id":"task"}'),
    (TextDelta("m", "s"), '{"type":"text_delta","message_id":"m","delta":"s"}'),
    (TextDelta("m", "s", "task"), '{"type":"text_delta","message_id":"m","delta":"s","emitter_task_id":"task"}'),
    (
        ToolCallStart(*TOOL, Json({"n": [1, 1.0, True, None]}), ToolTier.Observe),
        '{"type":"tool_call_start","id":"c","name":"grep","display_name":"Grep","input":{"n":[1,1.0,true,null]},'
        '"tier":"Observe"}',
    ),
    (
        ToolCallStart(*TOOL, Json(None), ToolTier.Confirm),
        '{"type":"tool_call_start","id":"c","name":"grep","display_name":"Grep","input":null,"tier":"Confirm"}',
    ),
    (
        ToolCallEnd(*TOOL, ToolResult(True, "", Json(None), None)),
        '{"type":"tool_call_end","id":"c","name":"grep","display_name":"Grep","result":{"success":true,'
        '"output":"","data":null,"duration_ms":null}}',
    ),
    (
        ToolCallEnd(*TOOL, ToolResult(False, "o", Json(0), 5, Json({"a": None}), Json([]))),
        '{"type":"tool_call_end","id":"c","name":"grep","display_name":"Grep","result":{"success":false,'
        '"output":"o","data":0,"duration_ms":5,"artifact":{"a":null},"documents":[]}}',
    ),
    (
        ToolProgress(*TOOL, "s", "m", Json(None)),
        '{"type":"tool_progress","id":"c","name":"grep","display_name":"Grep","stage":"s","message":"m","data":null}',
    ),
    (
        ToolProgress(*TOOL, "s", "m", Json({"done": 0.5})),
        '{"type":"tool_progress","id":"c","name":"grep","display_name":"Grep","stage":"s","message":"m","data":{"done":0.5}}',
    ),
    (
        ToolRequiresConfirmation(*TOOL, Json("i"), "d"),
        '{"type":"tool_requires_confirmation","id":"c","name":"grep","display_name":"Grep","input":"i","description":"d"}',
    ),
    (QuestionAsked("task", ()), '{"type":"question_asked","task_id":"task","questions":[]}'),
    (
        QuestionAsked("task", (Question("c", "q", False), Question("c", "q", True, "h", Json([])))),
        '{"type":"question_asked","task_id":"task","questions":[{"tool_call_id":"c","question":"q",'
        '"multi_select":false},{"tool_call_id":"c","question":"q","header":"h","options":[],"multi_select":true}]}',
    ),
    (
        TurnComplete(1, USAGE),
        '{"type":"turn_complete","turn":1,"usage":{"input_tokens":1,"output_tokens":2,"cached_input_tokens":3,'
        '"cache_creation_input_tokens":0}}',
    ),
    (
        TurnComplete(1, USAGE, "task"),
        '{"type":"turn_complete","turn":1,"usage":{"input_tokens":1,"output_tokens":2,"cached_input_tokens":3,'
        '"cache_creation_input_tokens":0},"emitter_task_id":"task"}',
    ),
    (
        Done("th", 3, USAGE, 5),
        '{"type":"done","thread_id":"th","total_turns":3,"total_usage":{"input_tokens":1,"output_tokens":2,'
        '"cached_input_tokens":3,"cache_creation_input_tokens":0},"duration_ms":5}',
    ),
    (
        Done("th", 3, USAGE, 5, 1.0, "task"),
        '{"type":"done","thread_id":"th","total_turns":3,"total_usage":{"input_tokens":1,"output_tokens":2,'
        '"cached_input_tokens":3,"cache_creation_input_tokens":0},"duration_ms":5,"estimated_cost_usd":1.0,'
        '"emitter_task_id":"task"}',
    ),
    (
        BudgetExceeded("th", 3, USAGE, 0, BudgetLimit.TotalTokens),
        '{"type":"budget_exceeded","thread_id":"th","total_turns":3,"total_usage":{"input_tokens":1,'
        '"output_tokens":2,"cached_input_tokens":3,"cache_creation_input_tokens":0},"duration_ms":0,'
        '"limit":"total_tokens"}',
    ),
    (
        BudgetExceeded("th", 3, USAGE, 0, BudgetLimit.CostUsd, -0.0, "task"),
        '{"type":"budget_exceeded","thread_id":"th","total_turns":3,"total_usage":{"input_tokens":1,'
        '"output_tokens":2,"cached_input_tokens":3,"cache_creation_input_tokens":0},"duration_ms":0,'
        '"limit":"cost_usd","estimated_cost_usd":-0.0,"emitter_task_id":"task"}',
    ),
    (AgentEventError("m", False), '{"type":"error","message":"m","recoverable":false}'),
    (
        AgentEventError("m", True, TerminalReason("provider_error", "overloaded"), "task"),
        '{"type":"error","message":"m","recoverable":true,"emitter_task_id":"task",'
        '"reason":{"reason":"provider_error","kind":"overloaded"}}',
    ),
    (
        AutoRetryStart(1, 2**32 - 1, 0, "e"),
        '{"type":"auto_retry_start","attempt":1,"max_attempts":4294967295,"delay_ms":0,"error_message":"e"}',
    ),
    (AutoRetryEnd(1, True, None), '{"type":"auto_retry_end","attempt":1,"success":true,"final_error":null}'),
    (AutoRetryEnd(1, False, "e"), '{"type":"auto_retry_end","attempt":1,"success":false,"final_error":"e"}'),
    (
        AccountRotation("p", "a", "b", "rate_limited"),
        '{"type":"account_rotation","provider":"p","from_account":"a","to_account":"b","reason":"rate_limited"}',
    ),
    (
        AccountRotation("p", "a", "b", "refresh_failed", 0),
        '{"type":"account_rotation","provider":"p","from_account":"a","to_account":"b","reason":"refresh_failed",'
        '"retry_after_seconds":0}',
    ),
    (
        AccountPoolExhausted("p", 2, "authentication_failed"),
        '{"type":"account_pool_exhausted","provider":"p","account_count":2,"reason":"authentication_failed"}',
    ),
    (
        AccountPoolExhausted("p", 2, "rate_limited", 9),
        '{"type":"account_pool_exhausted","provider":"p","account_count":2,"reason":"rate_limited","retry_after_seconds":9}',
    ),
    (Refusal("m", None), '{"type":"refusal","message_id":"m","text":null}'),
    (Refusal("m", "no", "task"), '{"type":"refusal","message_id":"m","text":"no","emitter_task_id":"task"}'),
    (
        AgentEventCancelled(1, USAGE),
        '{"type":"cancelled","turn":1,"usage":{"input_tokens":1,"output_tokens":2,"cached_input_tokens":3,'
        '"cache_creation_input_tokens":0}}',
    ),
    (
        AgentEventCancelled(1, USAGE, TerminalReason("user_cancel"), "task"),
        '{"type":"cancelled","turn":1,"usage":{"input_tokens":1,"output_tokens":2,"cached_input_tokens":3,'
        '"cache_creation_input_tokens":0},"reason":{"reason":"user_cancel"},"emitter_task_id":"task"}',
    ),
    (
        ContextCompacted(4, 3, 2, 1),
        '{"type":"context_compacted","original_count":4,"new_count":3,"original_tokens":2,"new_tokens":1}',
    ),
    (
        FEW,
        '{"type":"subagent_progress","subagent_id":"s","subagent_name":"n","nickname":null,"child_thread_id":null,'
        '"child_root_task_id":null,"subagent_task_id":null,"max_turns":null,"current_turn":null,"model":null,'
        '"tool_name":"t","tool_context":"x","completed":false,"success":true,"tool_count":1,"total_tokens":2,'
        '"input_tokens":0,"output_tokens":0,"cache_read_input_tokens":0,"cache_creation_input_tokens":0}',
    ),
    (
        ALL,
        '{"type":"subagent_progress","subagent_id":"s","subagent_name":"n","nickname":"nick",'
        '"child_thread_id":"child","child_root_task_id":"root","subagent_task_id":"task","max_turns":9,'
        '"current_turn":1,"model":"m","tool_name":"t","tool_context":"x","completed":true,"success":false,'
        '"tool_count":1,"total_tokens":2,"input_tokens":3,"output_tokens":4,"cache_read_input_tokens":5,'
        '"cache_creation_input_tokens":6}',
    ),
    (UnknownEvent("from_the_future"), '{"type":"from_the_future"}'),
    (
        UnknownEvent("", Json({"event": {"type": "start"}, "null": None, "b": [1, 1.0, -0.0], "a": {"z": 1, "y": "é"}})),
        '{"type":"","event":{"type":"start"},"null":null,"b":[1,1.0,-0.0],"a":{"z":1,"y":"é"}}',
    ),
]

EVENTS = [(event, json.loads(text)) for event, text in TEXTS]
"""Events, and the keys that each has beside those of the envelope."""
