"""Records of runtimes, events and outputs: their defaults, what they refuse, and that storing them changes nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from fencepost.spec import (
    Artifact,
    FileRef,
    Final,
    Inline,
    InputAbandonReason,
    InputDurability,
    InputHistoryEntry,
    InputLifecycleState,
    InputState,
    InvalidArgument,
    Json,
    MaxAttempts,
    MaxAttemptsExhausted,
    OutcomeAbandoned,
    OutcomeCoalesced,
    OutcomeConsumed,
    OutcomeSuperseded,
    OutputRecord,
    OutputRef,
    Partial,
    PolicySnapshot,
    Progress,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeState,
    SessionDelta,
    SourceCoalescing,
    SourceProjection,
    Start,
    StoredTurnEvents,
)
from msgspec.structs import replace
from spec_builders_stores import DELTA, ENVELOPE, FIRST, NOON, OUT, QUEUED, RECEIPT, RECORD, RUN, RUN_2, SECOND

LATER = "2026-01-01T12:00:00.000000001Z"
FULL = InputState(
    input_id=FIRST,
    current_state=InputLifecycleState.Abandoned,
    policy=PolicySnapshot(2**64 - 1, Json({"wake_mode": "none", "apply_mode": "ignore"})),
    terminal_outcome=OutcomeAbandoned(MaxAttemptsExhausted(MaxAttempts(3))),
    durability=InputDurability.Ephemeral,
    idempotency_key="",
    attempt_count=2**32 - 1,
    recovery_count=1,
    history=(
        InputHistoryEntry(NOON, InputLifecycleState.Accepted, InputLifecycleState.Queued),
        InputHistoryEntry(LATER, InputLifecycleState.Queued, InputLifecycleState.Abandoned, "Abandon"),
    ),
    reconstruction_source=SourceCoalescing((SECOND, FIRST, SECOND)),
    persisted_input=Json({"input_type": "prompt", "text": "é"}),
    last_run_id=RUN,
    last_boundary_sequence=2**64 - 1,
    created_at=NOON,
    updated_at=LATER,
)


def stored(record: object) -> str:
    """The JSON of a record as a store keeps it, opaque values as their text."""
    return msgspec.json.encode(record, enc_hook=lambda value: value.text).decode()


def restored(kind: Any, text: str) -> object:
    """The record that was kept so."""
    return msgspec.json.decode(text, type=kind, dec_hook=lambda _, inner: Json.parse(inner))


def test_an_input_has_defaults_for_all_that_may_be_missing() -> None:
    """Four fields are known of every input; it has no attempts, no recoveries and no history, and nothing else."""
    assert InputState(input_id=FIRST, current_state=InputLifecycleState.Queued, created_at=NOON, updated_at=NOON) == InputState(
        input_id=FIRST,
        current_state=InputLifecycleState.Queued,
        policy=None,
        terminal_outcome=None,
        durability=None,
        idempotency_key=None,
        attempt_count=0,
        recovery_count=0,
        history=(),
        reconstruction_source=None,
        persisted_input=None,
        last_run_id=None,
        last_boundary_sequence=None,
        created_at=NOON,
        updated_at=NOON,
    )


def test_runtime_28_and_29_a_stamp_sets_two_fields_and_no_other() -> None:
    """Run and number are set, over whatever they were; the record that was stamped stays as it is."""
    for record in (QUEUED, FULL):
        stamped = record.stamped(RUN_2, 0)
        assert (stamped.last_run_id, stamped.last_boundary_sequence) == (RUN_2, 0)
        kept = {"last_run_id": record.last_run_id, "last_boundary_sequence": record.last_boundary_sequence}
        assert replace(stamped, **kept) == record
    assert (QUEUED.last_run_id, FULL.last_run_id) == (None, RUN)


STORED: list[tuple[Any, object, str]] = [
    (
        InputState,
        QUEUED,
        f'{{"input_id":"{FIRST}","current_state":"queued","policy":null,"terminal_outcome":null,"durability":null,'
        '"idempotency_key":null,"attempt_count":0,"recovery_count":0,"history":[],"reconstruction_source":null,'
        f'"persisted_input":null,"last_run_id":null,"last_boundary_sequence":null,'
        f'"created_at":"{NOON}","updated_at":"{NOON}"}}',
    ),
    (
        InputState,
        FULL,
        f'{{"input_id":"{FIRST}","current_state":"abandoned","policy":{{"version":18446744073709551615,'
        r'"decision":"{\"apply_mode\":\"ignore\",\"wake_mode\":\"none\"}"},"terminal_outcome":{"outcome_type":"abandoned",'
        '"reason":{"max_attempts_exhausted":{"attempts":3}}},"durability":"ephemeral","idempotency_key":"",'
        f'"attempt_count":4294967295,"recovery_count":1,"history":[{{"timestamp":"{NOON}","from":"accepted","to":"queued",'
        f'"reason":null}},{{"timestamp":"{LATER}","from":"queued","to":"abandoned","reason":"Abandon"}}],'
        f'"reconstruction_source":{{"source_type":"coalescing","source_input_ids":["{SECOND}","{FIRST}","{SECOND}"]}},'
        r'"persisted_input":"{\"input_type\":\"prompt\",\"text\":\"é\"}",'
        f'"last_run_id":"{RUN}","last_boundary_sequence":18446744073709551615,"created_at":"{NOON}","updated_at":"{LATER}"}}',
    ),
    (
        RunBoundaryReceipt,
        replace(RECEIPT, contributing_input_ids=(FIRST, FIRST), conversation_digest=None, sequence=2**64 - 1),
        f'{{"run_id":"{RUN}","boundary":"run_start","contributing_input_ids":["{FIRST}","{FIRST}"],"conversation_digest":null,'
        '"message_count":0,"sequence":18446744073709551615}',
    ),
    (
        OutputRecord,
        RECORD,
        '{"id":{"value":"out-0000000001"},"task_id":"task","attempt":1,"producer_agent":"agent","event":{"type":"final",'
        '"content":{"kind":"inline","value":"1"},"ok":true},'
        '"parent_refs":[{"value":"out-0000000002"},{"value":"out-0000000002"}]}',
    ),
    (
        Final,
        Final(FileRef("p"), False),
        '{"type":"final","content":{"kind":"file_ref","path":"p","mime":null,"size_hint":null},"ok":false}',
    ),
    (Partial, Partial(Inline(Json("a"))), r'{"type":"partial","chunk":{"kind":"inline","value":"\"a\""}}'),
    (Artifact, Artifact("n", Inline(Json(None))), '{"type":"artifact","name":"n","content":{"kind":"inline","value":"null"}}'),
    (Progress, Progress("s"), '{"type":"progress","stage":"s","note":null}'),
    (OutcomeConsumed, OutcomeConsumed(), '{"outcome_type":"consumed"}'),
    (OutcomeSuperseded, OutcomeSuperseded(SECOND), f'{{"outcome_type":"superseded","superseded_by":"{SECOND}"}}'),
    (OutcomeCoalesced, OutcomeCoalesced(SECOND), f'{{"outcome_type":"coalesced","aggregate_id":"{SECOND}"}}'),
    (
        OutcomeAbandoned,
        OutcomeAbandoned(InputAbandonReason.Reset),
        '{"outcome_type":"abandoned","reason":"reset"}',
    ),
    (
        SourceProjection,
        SourceProjection("rule", "event"),
        '{"source_type":"projection","rule_id":"rule","source_event_id":"event"}',
    ),
]


@pytest.mark.parametrize(("kind", "record", "text"), STORED)
def test_a_record_is_stored_as_plain_json(kind: Any, record: object, text: str) -> None:
    """Fields have the names of the protocol, unions their tags, and what is opaque is kept as text."""
    assert stored(record) == text
    assert restored(kind, text) == record


OUTCOMES = (OutcomeConsumed(), OutcomeSuperseded(SECOND), OutcomeCoalesced(SECOND), *map(OutcomeAbandoned, InputAbandonReason))
CONTENTS = (
    Inline(Json(None)),
    Inline(Json({"b": [1, 1.0, True, None, 2**64], "a": -0.0})),
    FileRef(""),
    FileRef("p", "m", 2**64 - 1),
)


@pytest.mark.parametrize(
    "record",
    [
        *(replace(QUEUED, terminal_outcome=each) for each in OUTCOMES),
        *(replace(QUEUED, current_state=each) for each in InputLifecycleState),
        *(replace(QUEUED, durability=each) for each in InputDurability),
        replace(QUEUED, reconstruction_source=SourceProjection("", "event")),
        replace(QUEUED, persisted_input=Json(None)),
        replace(QUEUED, policy=PolicySnapshot(0, Json([1, 1.0, "1"]))),
        *(replace(RECEIPT, boundary=each) for each in RunApplyBoundary),
        *(replace(RECORD, event=Final(each, False)) for each in CONTENTS),
        *(replace(RECORD, event=Partial(each), parent_refs=()) for each in CONTENTS),
        *(replace(RECORD, event=Artifact("", each)) for each in CONTENTS),
        *(replace(RECORD, event=each) for each in (Progress(""), Progress("s", ""), Progress("s", "n"))),
    ],
)
def test_a_record_comes_back_as_it_was_stored(record: object) -> None:
    """Each state, outcome, source, boundary, event and content, with an opaque null apart from nothing at all."""
    again = restored(type(record), stored(record))
    assert again == record
    assert repr(again) == repr(record)


def test_states_have_the_words_of_the_protocol() -> None:
    """They are written in lower case, and the names in Python are those of the protocol's types."""
    assert [each.value for each in RuntimeState] == [
        *("initializing", "idle", "attached", "running", "recovering", "retired", "stopped", "destroyed")
    ]
    assert [each.value for each in InputLifecycleState] == [
        *("accepted", "queued", "staged", "applied", "applied_pending_consumption"),
        *("consumed", "superseded", "coalesced", "abandoned"),
    ]
    assert [each.value for each in RunApplyBoundary] == ["immediate", "run_start", "run_checkpoint"]
    assert [each.value for each in InputDurability] == ["durable", "ephemeral", "derived"]
    assert [each.value for each in InputAbandonReason] == ["retired", "reset", "destroyed", "cancelled"]


def test_a_turn_is_empty_and_open_unless_said_otherwise() -> None:
    """The defaults are no events, and not finished."""
    assert StoredTurnEvents(0) == StoredTurnEvents(0, (), False)


WRONG: tuple[tuple[Any, dict[str, Any]], ...] = (
    (SessionDelta, {"session_snapshot": "{}"}),
    (SessionDelta, {"session_snapshot": bytearray(b"{}")}),
    (MaxAttempts, {"attempts": 2**32}),
    (MaxAttemptsExhausted, {"max_attempts_exhausted": 3}),
    (OutcomeAbandoned, {"reason": "retired"}),
    (OutcomeAbandoned, {"reason": MaxAttempts(3)}),
    (OutcomeSuperseded, {"superseded_by": str(FIRST)}),
    (OutcomeCoalesced, {"aggregate_id": None}),
    (SourceCoalescing, {"source_input_ids": [FIRST]}),
    (SourceCoalescing, {"source_input_ids": (FIRST, "i1")}),
    (PolicySnapshot, {"version": 1, "decision": {}}),
    (InputHistoryEntry, {"timestamp": "noon", "from_": InputLifecycleState.Queued, "to": InputLifecycleState.Staged}),
    (InputHistoryEntry, {"timestamp": NOON, "from_": "queued", "to": InputLifecycleState.Staged}),
    (StoredTurnEvents, {"turn": -1}),
    (StoredTurnEvents, {"turn": 1, "events": [ENVELOPE]}),
    (StoredTurnEvents, {"turn": 1, "events": (ENVELOPE.event,)}),
    (StoredTurnEvents, {"turn": 1, "finished": 1}),
    (OutputRef, {"value": None}),
    (Inline, {"value": 1}),
    (FileRef, {"path": "p", "size_hint": -1}),
    (FileRef, {"path": "\udc80"}),
    (Progress, {"stage": None}),
    (Partial, {"chunk": Json(1)}),
    (Artifact, {"name": "a", "content": Start("th", 1)}),
    (Final, {"content": Inline(Json(1)), "ok": 1}),
)


@pytest.mark.parametrize(("kind", "fields"), WRONG)
def test_value_1_a_record_refuses_a_wrong_field(kind: Any, fields: dict[str, Any]) -> None:
    """The refusal names the record and one of the fields that were given."""
    with pytest.raises(InvalidArgument, match=rf"^{kind.__name__}\.({'|'.join(fields)}): received"):
        kind(**fields)


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (QUEUED, {"input_id": "i1"}),
        (QUEUED, {"current_state": RuntimeState.Idle}),
        (QUEUED, {"attempt_count": 2**32}),
        (QUEUED, {"history": [InputHistoryEntry(NOON, InputLifecycleState.Queued, InputLifecycleState.Staged)]}),
        (QUEUED, {"persisted_input": {"input_type": "prompt"}}),
        (QUEUED, {"last_run_id": "r1"}),
        (QUEUED, {"last_boundary_sequence": 2**64}),
        (QUEUED, {"created_at": 1_767_225_600}),
        (RECEIPT, {"run_id": None}),
        (RECEIPT, {"boundary": "run_start"}),
        (RECEIPT, {"contributing_input_ids": [FIRST]}),
        (RECEIPT, {"conversation_digest": b"00"}),
        (RECEIPT, {"message_count": -1}),
        (RECEIPT, {"sequence": True}),
        (RECORD, {"id": "out-0000000001"}),
        (RECORD, {"attempt": 2**32}),
        (RECORD, {"event": Inline(Json(1))}),
        (RECORD, {"parent_refs": (OUT, "out-0000000002")}),
        (ENVELOPE, {"event_id": "e1"}),
        (ENVELOPE, {"sequence": 2**64}),
        (ENVELOPE, {"timestamp": "noon"}),
        (ENVELOPE, {"event": Progress("start")}),
    ],
)
def test_value_1_a_record_with_a_wrong_field_is_not_made(record: Any, changes: dict[str, Any]) -> None:
    """A change of one field of a good record to a bad value is refused with the field's name."""
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    assert type(record)(**fields) == record
    (changed,) = changes
    with pytest.raises(InvalidArgument) as refusal:
        type(record)(**(fields | changes))
    assert refusal.value.argument == f"{type(record).__name__}.{changed}"


@pytest.mark.parametrize(
    ("record", "field"), [(QUEUED, "input_id"), (RECEIPT, "sequence"), (RECORD, "id"), (ENVELOPE, "event")]
)
def test_value_4_records_cannot_be_changed(record: Any, field: str) -> None:
    """No field can be set, and equal records hash equal."""
    with pytest.raises(AttributeError):
        setattr(record, field, getattr(record, field))
    assert hash(replace(record)) == hash(record)
    assert DELTA.session_snapshot == b"{}"
