"""Values of runtimes, events and outputs, and a good call of every operation on them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fencepost.spec import (
    AgentEventEnvelope,
    Final,
    Inline,
    InputLifecycleState,
    InputState,
    Json,
    OutputRecord,
    OutputRef,
    Progress,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeState,
    SessionDelta,
    Start,
    StoredTurnEvents,
)
from msgspec.structs import replace

RUN, RUN_2 = UUID("00000000-0000-4000-8000-00000000000a"), UUID("00000000-0000-4000-8000-00000000000b")
FIRST, SECOND = UUID("00000000-0000-4000-8000-000000000001"), UUID("00000000-0000-4000-8000-000000000002")
"""The ids of two inputs."""
SESSION = UUID("00000000-0000-4000-8000-0000000000ff")
NOON = "2026-01-01T12:00:00Z"

DELTA = SessionDelta(b"{}")
START = RunApplyBoundary.RunStart
QUEUED = InputState(input_id=FIRST, current_state=InputLifecycleState.Queued, created_at=NOON, updated_at=NOON)
STAGED = replace(QUEUED, input_id=SECOND, current_state=InputLifecycleState.Staged)
DIGEST = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
RECEIPT = RunBoundaryReceipt(
    run_id=RUN,
    boundary=START,
    contributing_input_ids=(SECOND, FIRST, SECOND),
    conversation_digest=DIGEST,
    message_count=0,
    sequence=0,
)

ENVELOPE = AgentEventEnvelope(FIRST, 0, NOON, Start("th", 1))
TURN = StoredTurnEvents(1, (ENVELOPE, ENVELOPE))
TURN_2 = StoredTurnEvents(2, (), True)

OUT, OUT_2 = OutputRef("out-0000000001"), OutputRef("out-0000000002")
FINAL = Final(Inline(Json(1)), True)
RECORD = OutputRecord(OUT, "task", 1, "agent", FINAL, (OUT_2, OUT_2))
RECORD_2 = OutputRecord(OUT_2, "task", 1, "other", Progress("stage"))

ARGUMENTS_OF_STORES: dict[str, tuple[Any, ...]] = {
    "commit_session_boundary": ("r", DELTA, RUN, START, (SECOND, FIRST, SECOND), (QUEUED, STAGED)),
    "atomic_apply": ("r", DELTA, RECEIPT, (QUEUED, STAGED), SESSION),
    "load_input_states": ("r",),
    "load_boundary_receipt": ("r", RUN, 0),
    "load_session_snapshot": ("r",),
    "persist_input_state": ("r", QUEUED),
    "load_input_state": ("r", FIRST),
    "persist_runtime_state": ("r", RuntimeState.Idle),
    "load_runtime_state": ("r",),
    "atomic_lifecycle_commit": ("r", RuntimeState.Retired, (QUEUED, STAGED)),
    "event.append": ("th", 1, ENVELOPE),
    "finish_turn": ("th", 1),
    "get_turn": ("th", 1),
    "get_turns": ("th",),
    "clear": ("th",),
    "get_events": ("th",),
    "output.append": ("task", 1, "agent", FINAL, (OUT_2, OUT_2)),
    "get": (OUT,),
    "get_latest_by_name": ("agent",),
    "list_for_attempt": ("task", 1),
}
"""A good call of every operation of the three stores."""
