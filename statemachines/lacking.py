"""Calls of what a store lacks: it has to refuse them as unsupported, whatever they show, or answer that there is nothing."""

from __future__ import annotations

from fencepost.spec import (
    U64_MAX,
    AttachmentIntent,
    CheckpointKind,
    DeliveryPolicy,
    InputId,
    Json,
    LeaseOwnerIdentity,
    PendingTurnInputDraft,
    ProcessWake,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    SessionExecutionLeaseFence,
    SlotPolicy,
    Text,
    TurnInput,
    TurnInputClaim,
    TurnInputClaimModeNextTurn,
    TurnInputIngressNextTurn,
)

from .following import Call

OWNER = LeaseOwnerIdentity("a", "1")
FENCE = SessionExecutionLeaseFence("s", OWNER, "never granted", 1)
INPUT = PendingTurnInputDraft(session_id="s", ingress=TurnInputIngressNextTurn(), input=TurnInput((Text("hello"),)))
INPUTS = TurnInputClaim("s", "c", OWNER, "never granted", 1, 0, 1, TurnInputClaimModeNextTurn(), ())
WORK = QueuedWorkBatchDraft(
    session_id="s",
    delivery_policy=DeliveryPolicy.EarliestSafeBoundary,
    slot_policy=SlotPolicy.Join,
    payloads=(ProcessWake(Json()),),
)
BATCHES = QueuedWorkClaim("s", "c", OWNER, "never granted", 1, 0, 1, ())
IDLE = QueuedWorkClaimBoundary.Idle

CALLS_OF: dict[str, tuple[Call, ...]] = {
    "turn_input": (
        Call("enqueue_pending_turn_input", (INPUT,)),
        Call("list_pending_turn_inputs", ("s",)),
        Call("cancel_pending_turn_input", ("s", "i1")),
        Call("cancel_pending_turn_inputs", ("s", ())),
        Call("cancel_pending_turn_input_suffix", ("s", InputId("i1"))),
        Call("claim_active_turn_inputs", ("s", FENCE, OWNER, "t", CheckpointKind.AfterWork, 10, 0)),
        Call("claim_next_turn_inputs", ("s", FENCE, OWNER, 10, 1)),
        Call("abandon_turn_input_claim", (INPUTS,)),
    ),
    "queued_work": (
        Call("enqueue_queued_work", (WORK,)),
        Call("list_queued_work", ("s",)),
        Call("list_pending_queued_work", ("s",)),
        Call("cancel_queued_work_batch", ("s", "b1")),
        Call("claim_leading_ready_session_command", ("s", FENCE, OWNER, 10)),
        Call("claim_ready_queued_work", ("s", FENCE, OWNER, IDLE, 10, 0)),
        Call("claim_ready_queued_work_by_batch_ids", ("s", FENCE, OWNER, IDLE, 10, ())),
        Call("claim_ready_queued_work_by_batch_ids", ("s", FENCE, OWNER, IDLE, 10, ("b1",))),
        Call("renew_queued_work_claim", (BATCHES, 10)),
        Call("abandon_queued_work_claim", (BATCHES,)),
    ),
    "attachment": (
        Call("record_intent", (AttachmentIntent("a1", "s", "uri:1", 0),)),
        Call("list_uncommitted", (U64_MAX,)),
        Call("commit_refs", ("s", ("a1",))),
        Call("forget", ("a1",)),
    ),
}
"""For each chapter that a store of sessions may lack, every call of it."""
