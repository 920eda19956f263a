"""Records of turn inputs, queued work, maintenance and attachments: what they admit, how they compare, their JSON words."""

from __future__ import annotations

import copy
import enum
import pickle
from typing import Any

import pytest
from fencepost.spec import (
    PENDING,
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    AnchorNotFound,
    AttachmentIntent,
    Cancelled,
    CheckpointKind,
    DeliveryPolicy,
    GcReport,
    Group,
    ImageBlob,
    ImageRef,
    InputId,
    InvalidArgument,
    Json,
    Never,
    NotFound,
    Outcomes,
    PayloadDefault,
    PendingTurnInputCancelResult,
    PendingTurnInputClaimDiagnostics,
    PendingTurnInputDraft,
    ProcessWake,
    ProtocolTurnOptions,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    QueuedWorkClass,
    QueuedWorkCompletion,
    QueuedWorkItem,
    QueuedWorkPayloadSessionCommand,
    RefreshToolCatalog,
    ResetSession,
    SlotPolicy,
    SourceKey,
    Text,
    TurnInput,
    TurnInputCheckpointBoundary,
    TurnInputClaimModeActiveTurn,
    TurnInputClaimModeNextTurn,
    TurnInputCompletion,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
    TurnInputState,
    VacuumReport,
    admits,
    class_of,
    process_wake_draft,
    session_command_draft,
)
from fencepost.spec.values import Record
from msgspec.structs import replace
from spec_builders import (
    BATCH,
    CLAIM_OF_ACTIVE,
    CLAIM_OF_NEXT,
    COMMAND,
    DRAFT,
    ENTRY,
    INPUT,
    NEXT,
    ROW,
    WAKE,
    WORK,
    WORK_DRAFT,
)

SURROGATE = "\ud800"
ACTIVE = TurnInputIngressActiveTurn("t")
WAITING = TurnInputState.DeferredNextTurn
EARLY = DeliveryPolicy.EarliestSafeBoundary


def changed(record: Record, **fields: object) -> tuple[Any, dict[str, Any]]:
    """The class of a record, and its fields with these changed."""
    return type(record), {name: getattr(record, name) for name in record.__struct_fields__} | fields


WRONG: tuple[tuple[Any, dict[str, Any]], ...] = (
    (Text, {"text": SURROGATE}),
    (ImageRef, {"id": 1}),
    (ImageBlob, {"id": "a", "data": "text"}),
    (ImageBlob, {"id": "a", "data": bytearray(b"x")}),
    (ProtocolTurnOptions, {"schema_version": 2**32, "payload": Json(1)}),
    (ProtocolTurnOptions, {"schema_version": -1, "payload": Json(1)}),
    (ProtocolTurnOptions, {"schema_version": True, "payload": Json(1)}),
    (ProtocolTurnOptions, {"schema_version": 1, "payload": {"plain": "data"}}),
    (TurnInput, {"items": [Text("a")]}),
    (TurnInput, {"items": ("a",)}),
    (TurnInput, {"items": (Text("a"), ImageBlob("a", b""))}),
    (TurnInput, {"image_blobs": {"a": b""}}),
    (TurnInput, {"image_blobs": (ImageRef("a"),)}),
    (TurnInput, {"protocol_turn_options": Json(1)}),
    (TurnInput, {"trace_turn_id": 7}),
    (TurnInputIngressActiveTurn, {"turn_id": None}),
    (TurnInputIngressActiveTurn, {"turn_id": "t", "min_boundary": "after_work"}),
    (TurnInputIngressActiveTurn, {"turn_id": "t", "min_boundary": CheckpointKind.AfterWork}),
    changed(DRAFT, input_id=1),
    changed(DRAFT, source_key=b"k"),
    changed(DRAFT, source_key="k\udc80"),
    changed(DRAFT, ingress=None),
    changed(DRAFT, ingress=TurnInputClaimModeNextTurn()),
    changed(DRAFT, input="hello"),
    changed(ROW, enqueue_seq=-1),
    changed(ROW, enqueue_seq=True),
    changed(ROW, enqueued_at_ms=2**64),
    changed(ROW, state="deferred_next_turn"),
    changed(ROW, input_id=None),
    (InputId, {"value": None}),
    (SourceKey, {"value": SURROGATE}),
    (PendingTurnInputClaimDiagnostics, dict.fromkeys(PendingTurnInputClaimDiagnostics.__struct_fields__)),
    (Cancelled, {"input": DRAFT}),
    (AlreadyClaimed, {"input": ROW, "claim": CLAIM_OF_NEXT}),
    (AlreadyCompleted, {"input": None}),
    (PendingTurnInputCancelResult, {"target": "i1", "outcome": NotFound()}),
    (PendingTurnInputCancelResult, {"target": InputId("i1"), "outcome": ROW}),
    (AnchorNotFound, {"anchor": NotFound()}),
    (Outcomes, {"anchor": InputId("i1"), "outcomes": [NotFound()]}),
    (Outcomes, {"anchor": InputId("i1"), "outcomes": (ROW,)}),
    (TurnInputClaimModeActiveTurn, {"turn_id": "t", "checkpoint": TurnInputCheckpointBoundary.AfterWork}),
    changed(CLAIM_OF_NEXT, inputs=[ROW]),
    changed(CLAIM_OF_NEXT, inputs=(ROW, BATCH)),
    changed(CLAIM_OF_NEXT, mode=NEXT),
    changed(CLAIM_OF_NEXT, fencing_token=1.0),
    changed(CLAIM_OF_NEXT, expires_at_epoch_ms=2**64),
    (TurnInputCompletion, {"session_id": "s", "claim_id": "c", "lease_token": "t", "input_ids": ["i1"]}),
    (RefreshToolCatalog, {"reason": None}),
    (ResetSession, {"reason": SURROGATE}),
    (ProcessWake, {"wake": {"plain": "data"}}),
    (QueuedWorkPayloadSessionCommand, {"command": "reset_session"}),
    (QueuedWorkPayloadSessionCommand, {"command": WAKE}),
    (Group, {"value": 1}),
    changed(WORK_DRAFT, delivery_policy="earliest_safe_boundary"),
    changed(WORK_DRAFT, slot_policy=None),
    changed(WORK_DRAFT, merge_key="g"),
    changed(WORK_DRAFT, available_at_ms=-1),
    changed(WORK_DRAFT, available_at_ms=2**64),
    changed(WORK_DRAFT, payloads=[WAKE]),
    changed(WORK_DRAFT, payloads=(WAKE, RefreshToolCatalog("why"))),
    (QueuedWorkItem, {"item_id": "i", "payload": None}),
    changed(BATCH, items=(WAKE,)),
    changed(BATCH, enqueue_seq="1"),
    changed(BATCH, merge_key=None),
    changed(WORK, batches=[BATCH]),
    changed(WORK, batches=(ROW,)),
    changed(WORK, owner="a"),
    (VacuumReport, {"removed_node_count": -1}),
    (GcReport, {"root_count": 1, "retained_blob_count": None}),
    (AttachmentIntent, {"attachment_id": "a", "session_id": "s", "canonical_uri": "u", "intent_at_epoch_ms": -1}),
    (AttachmentIntent, {"attachment_id": "a", "session_id": "s", "canonical_uri": SURROGATE, "intent_at_epoch_ms": 0}),
    changed(ENTRY, committed_at_epoch_ms=True),
)


@pytest.mark.parametrize(("record", "fields"), WRONG, ids=[f"{n} {each[0].__name__}" for n, each in enumerate(WRONG)])
def test_value_1_and_2_a_record_of_wrong_parts_cannot_be_built(record: Any, fields: Any) -> None:
    """Wrong types, lists for tuples, lone surrogates, neighbours of the right type: all InvalidArgument, however deep."""
    with pytest.raises(InvalidArgument):
        record(**fields)


NUMBERS: tuple[tuple[Record, str, int], ...] = (
    (ROW, "enqueue_seq", 2**64 - 1),
    (ROW, "enqueued_at_ms", 2**64 - 1),
    (ProtocolTurnOptions(0, Json(None)), "schema_version", 2**32 - 1),
    (CLAIM_OF_NEXT, "fencing_token", 2**64 - 1),
    (CLAIM_OF_NEXT, "claimed_at_epoch_ms", 2**64 - 1),
    (CLAIM_OF_NEXT, "expires_at_epoch_ms", 2**64 - 1),
    (WORK_DRAFT, "available_at_ms", 2**64 - 1),
    (BATCH, "enqueue_seq", 2**64 - 1),
    (BATCH, "available_at_ms", 2**64 - 1),
    (BATCH, "enqueued_at_ms", 2**64 - 1),
    (WORK, "fencing_token", 2**64 - 1),
    (WORK, "claimed_at_epoch_ms", 2**64 - 1),
    (WORK, "expires_at_epoch_ms", 2**64 - 1),
    (VacuumReport(), "removed_node_count", 2**64 - 1),
    (VacuumReport(), "removed_pending_turn_input_tombstone_count", 2**64 - 1),
    (GcReport(), "root_count", 2**64 - 1),
    (GcReport(), "retained_blob_count", 2**64 - 1),
    (GcReport(), "deleted_blob_count", 2**64 - 1),
    (AttachmentIntent("a", "s", "u", 0), "intent_at_epoch_ms", 2**64 - 1),
    (ENTRY, "intent_at_epoch_ms", 2**64 - 1),
    (ENTRY, "committed_at_epoch_ms", 2**64 - 1),
)


@pytest.mark.parametrize(("record", "field", "most"), NUMBERS, ids=[f"{type(each[0]).__name__}.{each[1]}" for each in NUMBERS])
def test_value_1_and_3_a_number_has_both_its_ends(record: Record, field: str, most: int) -> None:
    """Nought and the most are taken; one less and one more are refused, with the field's name."""
    for end in (0, most):
        assert getattr(replace(record, **{field: end}), field) == end
    for beyond in (-1, most + 1):
        with pytest.raises(InvalidArgument) as refusal:
            replace(record, **{field: beyond})
        assert refusal.value.argument == f"{type(record).__name__}.{field}"


def test_image_blobs_are_a_mapping_by_id() -> None:
    """They are kept in the order of their ids, so that the order they came in does not count; an id twice is refused."""
    z, a, nameless = ImageBlob("z", b"1"), ImageBlob("a", b"2"), ImageBlob("", b"\x00\xff")
    assert TurnInput((), (z, a, nameless)).image_blobs == (nameless, a, z)
    assert TurnInput((), (z, a)) == TurnInput((), (a, z))
    assert hash(TurnInput((), (z, a))) == hash(TurnInput((), (a, z)))
    assert TurnInput((), (z, a)) != TurnInput((), (z,))
    for twice in ((z, z), (z, a, ImageBlob("z", b"other"))):
        with pytest.raises(InvalidArgument) as refusal:
            TurnInput((), twice)
        assert refusal.value.argument == "TurnInput.image_blobs"


def test_input_8_what_tells_two_inputs_apart() -> None:
    """Items in their order, blobs, options and trace count; JSON numbers of another kind are others, key order is not."""
    assert TurnInput((Text("a"), Text("b"))) != TurnInput((Text("b"), Text("a")))
    assert TurnInput((Text("a"),)) != TurnInput((ImageRef("a"),))
    assert TurnInput(trace_turn_id="") != TurnInput()
    one, other = ({"a": 1, "b": True}, {"b": True, "a": 1})
    assert TurnInput(protocol_turn_options=ProtocolTurnOptions(1, Json(one))) == TurnInput(
        protocol_turn_options=ProtocolTurnOptions(1, Json(other))
    )
    for value in (1.0, True):
        assert ProtocolTurnOptions(1, Json({"a": 1})) != ProtocolTurnOptions(1, Json({"a": value}))


def test_the_defaults_are_the_protocol_s() -> None:
    """What a client leaves out: no id, no key, AfterWork, merge key Never, ready from 0, no payloads, nothing removed."""
    assert PendingTurnInputDraft(session_id="s", ingress=NEXT, input=INPUT) == PendingTurnInputDraft(
        session_id="s", input_id=None, source_key=None, ingress=NEXT, input=INPUT
    )
    assert TurnInputIngressActiveTurn("t").min_boundary is TurnInputCheckpointBoundary.AfterWork
    assert TurnInput() == TurnInput((), (), None, None)
    draft = QueuedWorkBatchDraft(session_id="s", delivery_policy=EARLY, slot_policy=SlotPolicy.Join)
    assert (draft.source_key, draft.merge_key, draft.available_at_ms, draft.payloads) == (None, Never(), 0, ())
    assert VacuumReport() == VacuumReport(0, 0)
    assert GcReport() == GcReport(0, 0, 0)
    assert ENTRY.committed_at_epoch_ms is None
    assert AlreadyClaimed(ROW).claim is None


WORDS: tuple[tuple[type[enum.Enum], dict[str, str]], ...] = (
    (TurnInputCheckpointBoundary, {"AfterWork": "after_work", "BeforeCompletion": "before_completion"}),
    (CheckpointKind, {"AfterWork": "after_work", "BeforeCompletion": "before_completion"}),
    (
        TurnInputState,
        {
            "PendingActive": "pending_active",
            "DeferredNextTurn": "deferred_next_turn",
            "Accepted": "accepted",
            "Cancelled": "cancelled",
            "Completed": "completed",
        },
    ),
    (
        DeliveryPolicy,
        {"EarliestSafeBoundary": "earliest_safe_boundary", "AfterCurrentTurnCommit": "after_current_turn_commit"},
    ),
    (SlotPolicy, {"Join": "join", "Exclusive": "exclusive"}),
    (QueuedWorkClass, {"SessionCommand": "session_command", "TurnWork": "turn_work"}),
    (QueuedWorkClaimBoundary, {"ActiveTurnCheckpoint": "active_turn_checkpoint", "Idle": "idle"}),
)


@pytest.mark.parametrize(("kind", "words"), WORDS)
def test_an_enumeration_has_the_words_of_the_protocol(kind: type[enum.Enum], words: dict[str, str]) -> None:
    """Each member by its name, with its word on the wire, in the protocol's order."""
    assert {each.name: each.value for each in kind} == words


TAGS: tuple[tuple[Record, str, str], ...] = (
    (ACTIVE, "scope", "active_turn"),
    (NEXT, "scope", "next_turn"),
    (InputId("i"), "kind", "input_id"),
    (SourceKey("k"), "kind", "source_key"),
    (Cancelled(ROW), "outcome", "cancelled"),
    (AlreadyClaimed(ROW), "outcome", "already_claimed"),
    (AlreadyCompleted(ROW), "outcome", "already_completed"),
    (AlreadyCancelled(ROW), "outcome", "already_cancelled"),
    (NotFound(), "outcome", "not_found"),
    (WAKE, "type", "process_wake"),
    (COMMAND, "type", "session_command"),
)


@pytest.mark.parametrize(("record", "field", "tag"), TAGS)
def test_a_variant_carries_the_tag_of_the_protocol(record: Record, field: str, tag: str) -> None:
    """The name of the tag and its word are those of the wire."""
    config: Any = record.__struct_config__
    assert (config.tag_field, config.tag) == (field, tag)


UNIONS: tuple[tuple[type[Record], ...], ...] = (
    (Text, ImageRef),
    (TurnInputIngressActiveTurn, TurnInputIngressNextTurn),
    (InputId, SourceKey),
    (Cancelled, AlreadyClaimed, AlreadyCompleted, AlreadyCancelled, NotFound),
    (AnchorNotFound, Outcomes),
    (TurnInputClaimModeActiveTurn, TurnInputClaimModeNextTurn),
    (RefreshToolCatalog, ResetSession),
    (ProcessWake, QueuedWorkPayloadSessionCommand),
    (Never, PayloadDefault, Group),
)


@pytest.mark.parametrize("variants", UNIONS)
def test_the_variants_of_a_union_can_be_told_apart(variants: tuple[type[Record], ...]) -> None:
    """They have one name for the tag, and each a word of its own."""
    configs: list[Any] = [each.__struct_config__ for each in variants]
    assert len({config.tag_field for config in configs}) == 1
    assert len({config.tag for config in configs}) == len(variants)


@pytest.mark.parametrize(
    "record",
    [DRAFT, ROW, CLAIM_OF_NEXT, CLAIM_OF_ACTIVE, Outcomes(InputId("i"), (NotFound(),)), WORK_DRAFT, WORK, ENTRY, GcReport(1)],
)
def test_records_are_values(record: Record) -> None:
    """Frozen, hashable, equal to their copies by any road."""
    for again in (copy.copy(record), copy.deepcopy(record), pickle.loads(pickle.dumps(record))):
        assert again == record
        assert hash(again) == hash(record)
    with pytest.raises(AttributeError):
        setattr(record, record.__struct_fields__[0], "other")


def test_a_completion_is_made_from_a_claim() -> None:
    """It has the claim's session, id and token, and the ids in the claim's order."""
    assert CLAIM_OF_NEXT.completion() == TurnInputCompletion("s", "claim", "token", ("i1", "i2"))
    assert WORK.completion() == QueuedWorkCompletion("s", "claim", "token", ("b1", "b2"))


@pytest.mark.parametrize(
    ("boundary", "checkpoint", "admitted"),
    [
        (TurnInputCheckpointBoundary.AfterWork, CheckpointKind.AfterWork, True),
        (TurnInputCheckpointBoundary.AfterWork, CheckpointKind.BeforeCompletion, True),
        (TurnInputCheckpointBoundary.BeforeCompletion, CheckpointKind.AfterWork, False),
        (TurnInputCheckpointBoundary.BeforeCompletion, CheckpointKind.BeforeCompletion, True),
    ],
)
def test_claim_4_which_boundary_admits_which_checkpoint(
    boundary: TurnInputCheckpointBoundary, checkpoint: CheckpointKind, admitted: bool
) -> None:
    """Only an input that wants the turn's completion is kept from the checkpoint after work."""
    assert admits(boundary, checkpoint) is admitted


@pytest.mark.parametrize(
    ("payloads", "found"),
    [
        ((), None),
        ((WAKE,), QueuedWorkClass.TurnWork),
        ((WAKE, ProcessWake(Json({"target_session_id": "other"}))), QueuedWorkClass.TurnWork),
        ((COMMAND,), QueuedWorkClass.SessionCommand),
        ((COMMAND, QueuedWorkPayloadSessionCommand(RefreshToolCatalog(""))), QueuedWorkClass.SessionCommand),
        ((WAKE, COMMAND), None),
        ((COMMAND, WAKE), None),
    ],
)
def test_queue_5_the_class_follows_from_the_payloads(payloads: Any, found: QueuedWorkClass | None) -> None:
    """All wakes are turn work, all commands a session command, and anything else has no class; contents do not count."""
    assert class_of(payloads) is found
    items = tuple(QueuedWorkItem(f"b1:item:{place}", payload) for place, payload in enumerate(payloads))
    assert replace(BATCH, items=items).work_class is found


def test_pending_states() -> None:
    """An input waits as PendingActive or DeferredNextTurn."""
    assert (TurnInputState.PendingActive, TurnInputState.DeferredNextTurn) == PENDING


def test_queue_11_a_wake_is_drafted_to_be_repeatable() -> None:
    """Key, policies, merge key and time are those of every client; the wake is its only payload."""
    assert process_wake_draft("s", "p", 7, Json({"event": 7})) == QueuedWorkBatchDraft(
        session_id="s",
        source_key="process:p:event:7:wake",
        delivery_policy=DeliveryPolicy.EarliestSafeBoundary,
        slot_policy=SlotPolicy.Exclusive,
        merge_key=Never(),
        available_at_ms=0,
        payloads=(ProcessWake(Json({"event": 7})),),
    )


@pytest.mark.parametrize(
    ("command", "key"),
    [(RefreshToolCatalog("new"), "command:refresh_tool_catalog:k1"), (ResetSession("old"), "command:reset_session:k1")],
)
def test_queue_11_a_command_is_drafted_to_be_repeatable(command: Any, key: str) -> None:
    """Its key names the kind of command and the caller's own key; it waits for the end of the turn."""
    assert session_command_draft("s", command, "k1") == QueuedWorkBatchDraft(
        session_id="s",
        source_key=key,
        delivery_policy=DeliveryPolicy.AfterCurrentTurnCommit,
        slot_policy=SlotPolicy.Exclusive,
        merge_key=Never(),
        available_at_ms=0,
        payloads=(QueuedWorkPayloadSessionCommand(command),),
    )
