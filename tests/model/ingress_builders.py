"""What the tests of inputs, queued work and attachments are written with: rows, claims and states with them, in short."""

from __future__ import annotations

from typing import Any

from fencepost.model import Ports, State, Step
from fencepost.model.records.attachment import AttachmentRecord, AttachmentState
from fencepost.model.records.claim import FREE, ClaimProof, ClaimRecord, EntryClaim, Issued
from fencepost.model.records.queued_work import BatchRecord, BatchRow, Kind, QueueState
from fencepost.model.records.turn_input import InputRecord, InputRow, Inputs
from fencepost.spec import (
    CheckpointKind,
    DeliveryPolicy,
    Json,
    LeaseOwnerIdentity,
    MergeKey,
    Never,
    PendingTurnInput,
    PendingTurnInputDraft,
    ProcessWake,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkCompletion,
    QueuedWorkItem,
    QueuedWorkPayload,
    QueuedWorkPayloadSessionCommand,
    ResetSession,
    SlotPolicy,
    Text,
    TurnInput,
    TurnInputCheckpointBoundary,
    TurnInputClaim,
    TurnInputClaimModeActiveTurn,
    TurnInputClaimModeNextTurn,
    TurnInputCompletion,
    TurnInputIngress,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
    TurnInputState,
)
from model_builders import LEASED, A, B, fence, ours
from msgspec.structs import replace

ENQUEUE = "enqueue_pending_turn_input"
LIST = "list_pending_turn_inputs"
CANCEL = "cancel_pending_turn_input"
CANCELS = "cancel_pending_turn_inputs"
SUFFIX = "cancel_pending_turn_input_suffix"
CLAIM_ACTIVE = "claim_active_turn_inputs"
CLAIM_NEXT = "claim_next_turn_inputs"
ABANDON = "abandon_turn_input_claim"

ENQUEUE_WORK = "enqueue_queued_work"
CLAIM_COMMAND = "claim_leading_ready_session_command"
CLAIM_WORK = "claim_ready_queued_work"
CLAIM_BY_IDS = "claim_ready_queued_work_by_batch_ids"
RENEW_WORK = "renew_queued_work_claim"
ABANDON_WORK = "abandon_queued_work_claim"
CANCEL_WORK = "cancel_queued_work_batch"
LIST_WORK = "list_queued_work"
LIST_PENDING_WORK = "list_pending_queued_work"

AFTER_WORK, BEFORE_COMPLETION = TurnInputCheckpointBoundary.AfterWork, TurnInputCheckpointBoundary.BeforeCompletion
AT_WORK, AT_COMPLETION = CheckpointKind.AfterWork, CheckpointKind.BeforeCompletion
PENDING_ACTIVE, DEFERRED = TurnInputState.PendingActive, TurnInputState.DeferredNextTurn
ACCEPTED, CANCELLED, COMPLETED = TurnInputState.Accepted, TurnInputState.Cancelled, TurnInputState.Completed
NEXT = TurnInputIngressNextTurn()
FOR_T = TurnInputIngressActiveTurn("t")
NEXT_MODE = TurnInputClaimModeNextTurn()
HELLO = TurnInput((Text("hello"),))

EARLY, LATE = DeliveryPolicy.EarliestSafeBoundary, DeliveryPolicy.AfterCurrentTurnCommit
JOIN, EXCLUSIVE = SlotPolicy.Join, SlotPolicy.Exclusive
IDLE, AT_CHECKPOINT = QueuedWorkClaimBoundary.Idle, QueuedWorkClaimBoundary.ActiveTurnCheckpoint
WAKE = ProcessWake(Json({"process": 1}))
COMMAND = QueuedWorkPayloadSessionCommand(ResetSession("why"))

PAYLOADS: dict[Kind, tuple[QueuedWorkPayload, ...]] = {
    Kind.work: (WAKE,),
    Kind.command: (COMMAND,),
    Kind.poisoned: (WAKE, COMMAND),
}


def unheld(count: int = 0) -> EntryClaim:
    """No claim, after that many grants."""
    return ClaimRecord(count, False, ("", ""), None, 0)


def held_until(
    expires: int, *, by: LeaseOwnerIdentity = A, claim: str = "claim", token: str = "token", count: int = 1
) -> EntryClaim:
    """A claim: by default a's, the first on its entry."""
    return ClaimRecord(count, True, (claim, token), by, expires)


LIVE_CLAIM, LAPSED_CLAIM = held_until(1_500), held_until(900)


def input_row(
    input_id: str = "i1",
    seq: int = 1,
    state: TurnInputState = DEFERRED,
    claim: EntryClaim = FREE,
    *,
    turn: str | None = None,
    boundary: TurnInputCheckpointBoundary = AFTER_WORK,
    key: str | None = None,
    content: TurnInput = HELLO,
    submitted: TurnInputIngress | None = None,
) -> InputRow:
    """A stored input: for the next turn, or for the turn named."""
    ingress: TurnInputIngress = NEXT if turn is None else TurnInputIngressActiveTurn(turn, boundary)
    where = AFTER_WORK if turn is None else boundary
    record = InputRecord(state, turn is not None, turn or "", where, claim)
    return InputRow(input_id, seq, key, submitted or ingress, 700, content, record)


def as_answered(row: InputRow, session: str = "s", **changes: Any) -> PendingTurnInput:
    """The input as an answer shows it, with these fields changed."""
    record = row.record
    ingress: TurnInputIngress = TurnInputIngressActiveTurn(record.turn, record.boundary) if record.for_turn else NEXT
    shown = PendingTurnInput(row.input_id, session, row.enqueue_seq, row.source_key, ingress, record.state, 700, row.input)
    return replace(shown, **changes)


def with_inputs(*rows: InputRow, session: str = "s", to: State = LEASED) -> State:
    """The state with these inputs of the session, whose claims count as granted under a's lease."""
    proofs = {row.record.claim.proof: 3 for row in rows if row.record.claim.held}
    inputs = to.turn_input
    inputs = replace(inputs, rows=inputs.rows.set(session, Inputs()))
    for row in rows:
        inputs = inputs.plus(session, row)
    return replace(to, turn_input=replace(inputs, claims=with_claims(inputs.claims, proofs)))


def with_claims(issued: Issued, claims: dict[ClaimProof, int]) -> Issued:
    """The claims with these too."""
    for proof, fencing_token in claims.items():
        issued = issued.plus(proof, fencing_token)
    return issued


def inputs_of(state: State, session: str = "s") -> tuple[InputRow, ...]:
    """The stored inputs of the session."""
    return tuple(state.turn_input.of(session))


def batch_row(
    batch_id: str = "b1",
    seq: int = 1,
    kind: Kind = Kind.work,
    claim: EntryClaim = FREE,
    *,
    delivery: DeliveryPolicy = EARLY,
    slot: SlotPolicy = JOIN,
    merge_key: MergeKey = Never(),  # noqa: B008  # a frozen record
    available: int = 0,
    key: str | None = None,
) -> BatchRow:
    """A stored batch: by default turn work that joins at any boundary."""
    items = tuple(QueuedWorkItem(f"{batch_id}:item:{place}", each) for place, each in enumerate(PAYLOADS[kind]))
    return BatchRow(batch_id, seq, key, 700, items, BatchRecord(kind, delivery, slot, merge_key, available, claim))


def as_queued(row: BatchRow, session: str = "s") -> QueuedWorkBatch:
    """The batch as an answer shows it."""
    record = row.record
    policies = (record.delivery, record.slot, record.merge_key)
    return QueuedWorkBatch(
        row.batch_id, session, row.enqueue_seq, row.source_key, *policies, record.available_at, 700, row.items
    )


def with_batches(*rows: BatchRow, session: str = "s", to: State = LEASED) -> State:
    """The state with these batches of the session, whose claims count as granted under a's lease."""
    proofs = {row.record.claim.proof: 3 for row in rows if row.record.claim.held}
    queue = to.queued_work
    return replace(
        to,
        queued_work=QueueState(
            queue.rows.set(session, rows),
            queue.ids.update({row.batch_id: True for row in rows}),
            max([queue.last_seq, *(row.enqueue_seq for row in rows)]),
            queue.freed,
            with_claims(queue.claims, proofs),
        ),
    )


def batches_of(state: State, session: str = "s") -> tuple[BatchRow, ...]:
    """The stored batches of the session."""
    return state.queued_work.of(session)


def under(row: Any, claim: EntryClaim, **changes: Any) -> Any:
    """The row with this claim, and these fields of its record changed."""
    fields = {name: getattr(row.record, name) for name in row.record.__slots__} | {"claim": claim} | changes
    return replace(row, record=type(row.record)(**fields))


def with_manifest(**entries: AttachmentRecord[str, str]) -> State:
    """A state with these attachments by their ids, and nothing else."""
    return State(attachment=AttachmentState.of(entries))


def draft(**fields: Any) -> PendingTurnInputDraft:
    """A draft of an input for the next turn of s, with these fields set otherwise."""
    return PendingTurnInputDraft(**{"session_id": "s", "ingress": NEXT, "input": HELLO, **fields})


def work_draft(**fields: Any) -> QueuedWorkBatchDraft:
    """A draft of turn work for s, with these fields set otherwise."""
    base = {"session_id": "s", "delivery_policy": EARLY, "slot_policy": JOIN, "payloads": (WAKE,)}
    return QueuedWorkBatchDraft(**{**base, **fields})


def input_claim(*rows: InputRow, mode: Any = NEXT_MODE, **fields: Any) -> TurnInputClaim:
    """A claim as it is shown again: by default a's first, of the next turn."""
    inputs = tuple(as_answered(row) for row in rows)
    return replace(TurnInputClaim("s", "claim", A, "token", 1, 500, 1_500, mode, inputs), **fields)


def work_claim(*rows: BatchRow, **fields: Any) -> QueuedWorkClaim:
    """A claim of queued work as it is shown again: by default a's first."""
    return replace(QueuedWorkClaim("s", "claim", A, "token", 1, 500, 1_500, tuple(map(as_queued, rows))), **fields)


def input_done(*ids: str, **fields: Any) -> TurnInputCompletion:
    """A completion of these inputs under the claim of `input_claim`."""
    return replace(TurnInputCompletion("s", "claim", "token", ids), **fields)


def work_done(*ids: str, **fields: Any) -> QueuedWorkCompletion:
    """A completion of these batches under the claim of `work_claim`."""
    return replace(QueuedWorkCompletion("s", "claim", "token", ids), **fields)


MINTED_INPUTS = TurnInputClaim("s", "new", B, "minted", 0, 0, 0, NEXT_MODE, ())
MINTED_WORK = QueuedWorkClaim("s", "new", B, "minted", 0, 0, 0, ())
"""Answers of a store to take a claim's id and token from: the rest of them is not looked at."""

NEW_CLAIM = held_until(1_100, by=B, claim="new", token="minted")
"""The claim that b is granted at 1,000 for 100 ms, the first on its entry."""


def claim_next(
    state: State, owner: LeaseOwnerIdentity = B, *, ttl: int = 100, most: int = 9, at: Ports | None = None, session: str = "s"
) -> Step:
    """A claim for the next turn under a's fence."""
    return ours(state, CLAIM_NEXT, session, fence(session=session), owner, ttl, most, at=at)


def claim_active(
    state: State,
    owner: LeaseOwnerIdentity = B,
    *,
    turn: str = "t",
    checkpoint: CheckpointKind = AT_WORK,
    ttl: int = 100,
    most: int = 9,
    at: Ports | None = None,
) -> Step:
    """A claim for an active turn under a's fence."""
    return ours(state, CLAIM_ACTIVE, "s", fence(), owner, turn, checkpoint, ttl, most, at=at)


def claim_work(
    state: State,
    owner: LeaseOwnerIdentity = B,
    *,
    boundary: QueuedWorkClaimBoundary = IDLE,
    ttl: int = 100,
    most: int = 9,
    at: Ports | None = None,
) -> Step:
    """A claim of turn work under a's fence."""
    return ours(state, CLAIM_WORK, "s", fence(), owner, boundary, ttl, most, at=at)


def active_mode(turn: str = "t", checkpoint: CheckpointKind = AT_WORK) -> TurnInputClaimModeActiveTurn:
    """The mode of a claim for an active turn."""
    return TurnInputClaimModeActiveTurn(turn, checkpoint)
