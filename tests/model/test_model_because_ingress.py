"""Why an answer about inputs, queued work, maintenance or attachments is what it is: who is named where it decides."""

from __future__ import annotations

from typing import Any

import pytest
from fencepost.model import State
from fencepost.model.records.attachment import AttachmentRecord
from fencepost.model.records.queued_work import Kind
from fencepost.spec import Append, AttachmentIntent, Group, InputId, SourceKey
from ingress_builders import (
    ABANDON,
    ABANDON_WORK,
    ACCEPTED,
    AT_CHECKPOINT,
    AT_COMPLETION,
    AT_WORK,
    BEFORE_COMPLETION,
    CANCEL,
    CANCEL_WORK,
    CANCELS,
    CLAIM_ACTIVE,
    CLAIM_BY_IDS,
    CLAIM_COMMAND,
    CLAIM_NEXT,
    CLAIM_WORK,
    COMPLETED,
    ENQUEUE,
    ENQUEUE_WORK,
    FOR_T,
    IDLE,
    LAPSED_CLAIM,
    LATE,
    LIST,
    LIST_PENDING_WORK,
    LIST_WORK,
    LIVE_CLAIM,
    PENDING_ACTIVE,
    RENEW_WORK,
    SUFFIX,
    batch_row,
    draft,
    held_until,
    input_claim,
    input_done,
    input_row,
    with_batches,
    with_inputs,
    with_manifest,
    work_claim,
    work_done,
    work_draft,
)
from model_builders import (
    COMMIT,
    LEASED,
    NOW,
    A,
    B,
    commit,
    committed,
    fence,
    nobody_lives,
    node,
    ours,
    ports,
)
from msgspec.structs import replace
from test_model_because import Case, no, yes

FREE = with_inputs(input_row())
WAITING = with_inputs(input_row(state=PENDING_ACTIVE, turn="t"))
LIVE = with_inputs(input_row(claim=LIVE_CLAIM))
LAPSED = with_inputs(input_row(claim=LAPSED_CLAIM))
LAPSED_PAIR = with_inputs(input_row(claim=LAPSED_CLAIM), input_row("i2", 2, claim=LAPSED_CLAIM))
EDGED = with_inputs(input_row(claim=held_until(NOW)))
TAKEN = with_inputs(input_row(state=ACCEPTED, claim=LIVE_CLAIM, turn="t"))
KEYED = with_inputs(input_row(key="k"))
GONE_KEY = ours(with_inputs(input_row(state=COMPLETED, key="k")), "vacuum").state
MOVED = with_inputs(input_row("i1", 1, key="k", submitted=FOR_T), input_row("i2", 2))

QUEUE = with_batches(batch_row("b1", 1), batch_row("b2", 2))
HELD_WORK = with_batches(batch_row("b1", 1, claim=LIVE_CLAIM), batch_row("b2", 2))
LAPSED_WORK = with_batches(batch_row("b1", 1, claim=LAPSED_CLAIM), batch_row("b2", 2, claim=LAPSED_CLAIM))
EDGED_WORK = with_batches(batch_row("b1", 1, claim=held_until(NOW)))
KEYED_WORK = with_batches(batch_row(key="k"))
GONE_WORK = ours(KEYED_WORK, CANCEL_WORK, "s", "b1").state
BOUND = committed(LEASED, commit(graph=Append((node("a"),), "a")))

RECORDED = replace(LEASED, attachment=with_manifest(a=AttachmentRecord("s", "u", 1, False)).attachment)
LATE_INPUT = with_inputs(input_row(state=PENDING_ACTIVE, turn="t", boundary=BEFORE_COMPLETION))
GAP = with_batches(batch_row(), batch_row("b2", 2, claim=LIVE_CLAIM), batch_row("b3", 3))

NEXT_CLAIM: tuple[Any, ...] = ("s", fence(), B, 5, 9)
ACTIVE_CLAIM: tuple[Any, ...] = ("s", fence(), B, "t", AT_WORK, 5, 9)
WORK_CLAIM: tuple[Any, ...] = ("s", fence(), B, IDLE, 5, 9)

CASES = (
    yes("GEN-2", EDGED, LIST, "s"),
    yes("GEN-2", EDGED, CANCEL, "s", "i1"),
    yes("GEN-2", EDGED, CLAIM_NEXT, *NEXT_CLAIM),
    yes("GEN-2", EDGED_WORK, CANCEL_WORK, "s", "b1"),
    yes("GEN-2", EDGED_WORK, LIST_PENDING_WORK, "s"),
    yes("GEN-2", with_inputs(input_row(claim=held_until(NOW + 1))), CANCEL, "s", "i1"),
    no("GEN-2", LIVE, CANCEL, "s", "i1"),
    no("GEN-2", LAPSED, CLAIM_NEXT, *NEXT_CLAIM),
    yes("GEN-5", LIVE, CLAIM_NEXT, *NEXT_CLAIM, alive=nobody_lives),
    no("GEN-5", LAPSED, CLAIM_NEXT, *NEXT_CLAIM, alive=nobody_lives),
    yes("GEN-5", HELD_WORK, CLAIM_WORK, *WORK_CLAIM, alive=nobody_lives),
    no("GEN-5", HELD_WORK, CLAIM_WORK, *WORK_CLAIM),
    yes("GEN-6", FREE, CLAIM_NEXT, "s", fence(number=2), B, 5, 9),
    no("GEN-6", FREE, CLAIM_NEXT, *NEXT_CLAIM),
    yes("GEN-7", FREE, CLAIM_NEXT, *NEXT_CLAIM),
    no("GEN-7", FREE, CLAIM_NEXT, "s", fence(), A, 5, 9),
    yes("GEN-10", LAPSED, ABANDON, input_claim()),
    no("GEN-10", LIVE, ABANDON, input_claim()),
    yes("GEN-10", LAPSED_WORK, RENEW_WORK, work_claim(batch_row("b1"), batch_row("b2")), 5),
    no("GEN-10", HELD_WORK, RENEW_WORK, work_claim(batch_row("b1")), 5),
    yes("GEN-12", LIVE, CLAIM_NEXT, *NEXT_CLAIM),
    no("GEN-12", LAPSED, CLAIM_NEXT, *NEXT_CLAIM),
    yes("GEN-13", LIVE, CLAIM_NEXT, "s", fence(), A, 5, 9),
    no("GEN-13", LIVE, CLAIM_NEXT, *NEXT_CLAIM),
    yes("GEN-14", LEASED, ENQUEUE, draft()),
    no("GEN-14", BOUND, ENQUEUE, draft()),
    yes("GEN-14", BOUND, ENQUEUE, draft(session_id="s2")),
    yes("GEN-14", LEASED, ENQUEUE_WORK, work_draft()),
    no("GEN-14", BOUND, ENQUEUE_WORK, work_draft()),
    yes("GEN-15", FREE, LIST, "s2"),
    no("GEN-15", FREE, LIST, "s"),
    yes("GEN-15", QUEUE, CANCEL_WORK, "s2", "b1"),
    no("GEN-15", QUEUE, CANCEL_WORK, "s", "nowhere"),
    yes("INPUT-6", KEYED, ENQUEUE, draft(session_id="s2", source_key="k")),
    no("INPUT-6", KEYED, ENQUEUE, draft(session_id="s2", source_key="k2")),
    yes("INPUT-7", KEYED, ENQUEUE, draft(source_key="k")),
    no("INPUT-7", KEYED, ENQUEUE, draft()),
    yes("INPUT-9", MOVED, ENQUEUE, draft(source_key="k")),
    yes("INPUT-9", MOVED, ENQUEUE, draft(source_key="k", ingress=FOR_T)),
    no("INPUT-9", KEYED, ENQUEUE, draft(source_key="k")),
    yes("INPUT-11", GONE_KEY, ENQUEUE, draft(source_key="k")),
    no("INPUT-11", GONE_KEY, ENQUEUE, draft(source_key="k2")),
    yes("LIST-2", LAPSED, LIST, "s"),
    no("LIST-2", LIVE, LIST, "s"),
    yes("LIST-3", LIVE, LIST, "s", alive=nobody_lives),
    no("LIST-3", LIVE, LIST, "s"),
    no("LIST-3", LAPSED, LIST, "s", alive=nobody_lives),
    yes("LIST-4", WAITING, LIST, "s"),
    no("LIST-4", FREE, LIST, "s"),
    yes("LIST-5", FREE, LIST, "s2"),
    no("LIST-5", FREE, LIST, "s"),
    yes("CANCEL-2", FREE, CANCELS, "s", (InputId("i1"), InputId("nowhere"))),
    no("CANCEL-2", FREE, CANCELS, "s", (InputId("nowhere"), SourceKey("nowhere"))),
    yes("CANCEL-3", FREE, CANCEL, "s", "nowhere"),
    no("CANCEL-3", FREE, CANCEL, "s", "i1"),
    yes("CANCEL-5", WAITING, CANCEL, "s", "i1"),
    no("CANCEL-5", FREE, CANCEL, "s", "i1"),
    yes("CANCEL-6", LAPSED, CANCEL, "s", "i1"),
    no("CANCEL-6", FREE, CANCEL, "s", "i1"),
    yes("CANCEL-7", TAKEN, CANCEL, "s", "i1"),
    no("CANCEL-7", FREE, CANCEL, "s", "i1"),
    yes("CANCEL-8", KEYED, CANCELS, "s", (InputId("i1"), SourceKey("k"))),
    no("CANCEL-8", KEYED, CANCELS, "s", (InputId("i1"),)),
    yes("CANCEL-12", with_inputs(input_row(claim=LIVE_CLAIM), input_row("i2", 2)), SUFFIX, "s", InputId("i1")),
    no("CANCEL-12", LIVE, SUFFIX, "s", InputId("i1")),
    yes("CANCEL-13", MOVED, SUFFIX, "s", InputId("i1")),
    no("CANCEL-13", MOVED, SUFFIX, "s", InputId("i2")),
    yes("CLAIM-1", FREE, CLAIM_NEXT, "s", fence(number=9), B, 5, 0),
    no("CLAIM-1", FREE, CLAIM_NEXT, *NEXT_CLAIM),
    yes("CLAIM-4", LATE_INPUT, CLAIM_ACTIVE, *ACTIVE_CLAIM),
    yes("CLAIM-4", WAITING, CLAIM_ACTIVE, "s", fence(), B, "t", AT_COMPLETION, 5, 9),
    no("CLAIM-4", WAITING, CLAIM_ACTIVE, *ACTIVE_CLAIM),
    yes("CLAIM-6", with_inputs(input_row(claim=LIVE_CLAIM), input_row("i2", 2)), CLAIM_NEXT, *NEXT_CLAIM),
    no("CLAIM-6", with_inputs(input_row(), input_row("i2", 2, claim=LIVE_CLAIM)), CLAIM_NEXT, *NEXT_CLAIM),
    yes("CLAIM-7", WAITING, CLAIM_NEXT, *NEXT_CLAIM),
    no("CLAIM-7", FREE, CLAIM_NEXT, *NEXT_CLAIM),
    yes("CLAIM-8", LEASED, CLAIM_NEXT, *NEXT_CLAIM),
    no("CLAIM-8", FREE, CLAIM_NEXT, *NEXT_CLAIM),
    yes("CLAIM-11", TAKEN, CLAIM_ACTIVE, *ACTIVE_CLAIM),
    no("CLAIM-11", WAITING, CLAIM_ACTIVE, *ACTIVE_CLAIM),
    yes("CLAIM-12", LAPSED_PAIR, CLAIM_NEXT, "s", fence(), B, 5, 1),
    no("CLAIM-12", LAPSED_PAIR, CLAIM_NEXT, *NEXT_CLAIM),
    no("CLAIM-12", FREE, CLAIM_NEXT, *NEXT_CLAIM),
    yes("ABANDON-2", FREE, ABANDON, input_claim()),
    no("ABANDON-2", LIVE, ABANDON, input_claim()),
    yes("ABANDON-3", LAPSED, ABANDON, input_claim()),
    no("ABANDON-3", LIVE, ABANDON, input_claim()),
    yes("ABANDON-4", LIVE, ABANDON, input_claim(input_row("i1"), input_row("i2"))),
    no("ABANDON-4", LIVE, ABANDON, input_claim(input_row("i1"))),
    yes("QUEUE-2", KEYED_WORK, ENQUEUE_WORK, work_draft(source_key="k")),
    no("QUEUE-2", KEYED_WORK, ENQUEUE_WORK, work_draft()),
    yes("QUEUE-3", GONE_WORK, ENQUEUE_WORK, work_draft(source_key="k")),
    no("QUEUE-3", GONE_WORK, ENQUEUE_WORK, work_draft(source_key="k2")),
    yes("QUEUE-4", LEASED, ENQUEUE_WORK, work_draft(payloads=())),
    no("QUEUE-4", LEASED, ENQUEUE_WORK, work_draft()),
    yes("QUEUE-6", with_batches(batch_row(available=2_000)), CLAIM_WORK, *WORK_CLAIM),
    no("QUEUE-6", QUEUE, CLAIM_WORK, *WORK_CLAIM),
    yes("QUEUE-10", LAPSED_WORK, RENEW_WORK, work_claim(batch_row("b1"), batch_row("b2"), batch_row("gone")), 5),
    no("QUEUE-10", LAPSED_WORK, RENEW_WORK, work_claim(batch_row("b1")), 5),
    yes("QCLAIM-1", QUEUE, CLAIM_WORK, "s", fence(number=9), B, IDLE, 5, 0),
    yes("QCLAIM-1", QUEUE, CLAIM_BY_IDS, "s", fence(number=9), B, IDLE, 5, ()),
    no("QCLAIM-1", QUEUE, CLAIM_WORK, *WORK_CLAIM),
    yes("QCLAIM-5", with_batches(batch_row(kind=Kind.poisoned)), CLAIM_COMMAND, "s", fence(), B, 5),
    no("QCLAIM-5", QUEUE, CLAIM_COMMAND, "s", fence(), B, 5),
    yes("QCLAIM-6", QUEUE, CLAIM_WORK, *WORK_CLAIM),
    yes("QCLAIM-6", with_batches(batch_row(), batch_row("b2", 2, merge_key=Group("g"))), CLAIM_WORK, *WORK_CLAIM),
    no("QCLAIM-6", with_batches(batch_row()), CLAIM_WORK, *WORK_CLAIM),
    yes("QCLAIM-7", GAP, CLAIM_WORK, *WORK_CLAIM),
    no("QCLAIM-7", QUEUE, CLAIM_WORK, *WORK_CLAIM),
    yes("QCLAIM-8", with_batches(batch_row(kind=Kind.command, claim=LIVE_CLAIM), batch_row("b2", 2)), CLAIM_WORK, *WORK_CLAIM),
    yes("QCLAIM-8", with_batches(batch_row(delivery=LATE, claim=LIVE_CLAIM), batch_row("b2", 2)), CLAIM_WORK, "s", fence(), B,
        AT_CHECKPOINT, 5, 9),
    no("QCLAIM-8", QUEUE, CLAIM_WORK, *WORK_CLAIM),
    yes("QCLAIM-10", LAPSED_WORK, CLAIM_WORK, "s", fence(), B, IDLE, 5, 1),
    no("QCLAIM-10", LAPSED_WORK, CLAIM_WORK, *WORK_CLAIM),
    yes("QCLAIM-12", QUEUE, CLAIM_BY_IDS, "s", fence(), B, IDLE, 5, ("b2",)),
    yes("QCLAIM-13", QUEUE, CLAIM_BY_IDS, "s", fence(), B, IDLE, 5, ("b2",)),
    no("QCLAIM-13", QUEUE, CLAIM_BY_IDS, "s", fence(), B, IDLE, 5, ("b1",)),
    yes("QCLAIM-14", QUEUE, CLAIM_COMMAND, "s", fence(number=2), B, 5),
    yes("QRENEW-2", QUEUE, RENEW_WORK, work_claim(batch_row("b1")), 5),
    no("QRENEW-2", HELD_WORK, RENEW_WORK, work_claim(batch_row("b1")), 5),
    yes("QRENEW-3", HELD_WORK, RENEW_WORK, work_claim(batch_row("b1"), batch_row("b2")), 5),
    no("QRENEW-3", QUEUE, RENEW_WORK, work_claim(batch_row("b1")), 5),
    yes("QABANDON-1", HELD_WORK, ABANDON_WORK, work_claim()),
    yes("COMMIT-11", HELD_WORK, COMMIT, commit(completed_queue_claims=(work_done("b1"),))),
    yes("COMMIT-12", LIVE, COMMIT, commit(completed_turn_input_claims=(input_done("i1"),))),
    no("COMMIT-12", HELD_WORK, COMMIT, commit(completed_queue_claims=(work_done("b1"),))),
    yes("COMMIT-13", LAPSED, COMMIT, commit(completed_turn_input_claims=(input_done("i1"),))),
    no("COMMIT-13", LIVE, COMMIT, commit(completed_turn_input_claims=(input_done("i1"),))),
    yes("COMMIT-17", WAITING, COMMIT, commit(interrupted_turn_input_turn_id="t")),
    yes("COMMIT-17a", WAITING, COMMIT, commit()),
    no("COMMIT-17a", FREE, COMMIT, commit()),
    yes("COMMIT-18", TAKEN, COMMIT, commit(interrupted_turn_input_turn_id="t")),
    no("COMMIT-18", WAITING, COMMIT, commit(interrupted_turn_input_turn_id="t")),
    yes("COMMIT-31", RECORDED, COMMIT, commit(committed_attachment_ids=("a",))),
    no("COMMIT-31", RECORDED, COMMIT, commit(committed_attachment_ids=("b",))),
    yes("MAINT-2", BOUND, "tombstone_nodes", ("a",)),
    no("MAINT-2", BOUND, "tombstone_nodes", ("nowhere",)),
    yes("MAINT-3", ours(BOUND, "tombstone_nodes", ("a",)).state, COMMIT, commit(graph=Append((node("a"),), "a"))),
    no("MAINT-3", BOUND, COMMIT, commit(graph=Append((node("a"),), "a"))),
    yes("MAINT-6", GONE_KEY, ENQUEUE, draft(source_key="k")),
    yes("GC-8", committed(BOUND, commit()), "gc_unreachable"),
    no("GC-8", BOUND, "gc_unreachable"),
    yes("ATT-1", State(), "record_intent", AttachmentIntent("a", "s", "u", 1)),
    yes("ATT-2", with_manifest(a=AttachmentRecord("s", "u", 1, False)), "record_intent", AttachmentIntent("a", "s", "u", 1)),
    no("ATT-2", State(), "record_intent", AttachmentIntent("a", "s", "u", 1)),
    yes("ATT-INV-2", with_manifest(a=AttachmentRecord("s", "u", 1, True)), "record_intent", AttachmentIntent("a", "s", "u", 1)),
    no("ATT-INV-2", with_manifest(a=AttachmentRecord("s", "u", 1, False)), "record_intent", AttachmentIntent("a", "s", "u", 1)),
    yes("ATT-9", with_manifest(a=AttachmentRecord("s", "u", 1, False)), "list_uncommitted", 2**63),
    no("ATT-9", with_manifest(a=AttachmentRecord("s", "u", 1, False)), "list_uncommitted", 2**63 - 1),
    yes("ATT-6", State(), "forget", "a"),
)  # fmt: skip

NAMES = [f"{number} {'' if case.decides else 'not '}{case.requirement}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_requirement_is_named_where_it_decides_and_nowhere_else(case: Case) -> None:
    """The reasons of an answer hold the requirement if its condition is there, and not if it is not."""
    step = ours(case.state, case.operation, *case.arguments, at=ports(alive=case.alive))
    assert (case.requirement in step.because) is case.decides


def test_no_reason_is_given_twice_or_unknown() -> None:
    """Each answer above is decided by at least one requirement, and names none of them twice."""
    for number, case in enumerate(CASES):
        because = ours(case.state, case.operation, *case.arguments, at=ports(alive=case.alive)).because
        assert because
        assert len(set(because)) == len(because), (number, case.requirement)


DETAILS: tuple[tuple[str, str, State, str, tuple[Any, ...]], ...] = (
    ("INPUT-4", "input_id", LEASED, ENQUEUE, (draft(),)),
    ("INPUT-3", "enqueue_seq", LEASED, ENQUEUE, (draft(),)),
    ("INPUT-5", "enqueued_at_ms", LEASED, ENQUEUE, (draft(),)),
    ("INPUT-2", "state", LEASED, ENQUEUE, (draft(),)),
    ("INPUT-1", "source_key", LEASED, ENQUEUE, (draft(),)),
    ("LIST-1", "0.input_id", FREE, LIST, ("s",)),
    ("CANCEL-7", "claim.claim_owner", LIVE, CANCEL, ("s", "i1")),
    ("CANCEL-5", "input.ingress", WAITING, CANCEL, ("s", "i1")),
    ("CANCEL-4", "0.outcome.input.state", FREE, CANCELS, ("s", (InputId("i1"),))),
    ("CANCEL-1", "0.target", FREE, CANCELS, ("s", (InputId("i1"),))),
    ("CANCEL-4", "outcomes.0.input.state", FREE, SUFFIX, ("s", InputId("i1"))),
    ("CANCEL-11", "outcomes", FREE, SUFFIX, ("s", InputId("i1"))),
    ("GEN-17", "claim_id", FREE, CLAIM_NEXT, NEXT_CLAIM),
    ("GEN-16", "fencing_token", FREE, CLAIM_NEXT, NEXT_CLAIM),
    ("GEN-3", "expires_at_epoch_ms", FREE, CLAIM_NEXT, NEXT_CLAIM),
    ("GEN-7", "owner", FREE, CLAIM_NEXT, NEXT_CLAIM),
    ("CLAIM-10", "inputs.0.state", WAITING, CLAIM_ACTIVE, ACTIVE_CLAIM),
    ("CLAIM-10", "mode.turn_id", WAITING, CLAIM_ACTIVE, ACTIVE_CLAIM),
    ("QUEUE-1a", "items.0.item_id", LEASED, ENQUEUE_WORK, (work_draft(),)),
    ("QUEUE-1b", "enqueue_seq", LEASED, ENQUEUE_WORK, (work_draft(),)),
    ("QUEUE-1", "merge_key", LEASED, ENQUEUE_WORK, (work_draft(),)),
    ("QUEUE-7", "0.batch_id", QUEUE, LIST_WORK, ("s",)),
    ("QUEUE-8", "0.batch_id", QUEUE, LIST_PENDING_WORK, ("s",)),
    ("QCLAIM-9", "batches.0", QUEUE, CLAIM_WORK, WORK_CLAIM),
    ("QRENEW-1", "expires_at_epoch_ms", HELD_WORK, RENEW_WORK, (work_claim(batch_row("b1")), 5)),
    ("QRENEW-4", "claim_id", HELD_WORK, RENEW_WORK, (work_claim(batch_row("b1")), 5)),
    ("MAINT-4", "removed_node_count", LEASED, "vacuum", ()),
    ("MAINT-4a", "removed_pending_turn_input_tombstone_count", LEASED, "vacuum", ()),
    ("GC-2", "root_count", BOUND, "gc_unreachable", ()),
    ("GC-4", "retained_blob_count", BOUND, "gc_unreachable", ()),
    ("GC-8", "deleted_blob_count", BOUND, "gc_unreachable", ()),
    ("ATT-4", "0.canonical_uri", with_manifest(a=AttachmentRecord("s", "u", 1, False)), "list_uncommitted", (9,)),
)


@pytest.mark.parametrize(("requirement", "field", "state", "operation", "arguments"), DETAILS)
def test_each_field_of_an_answer_is_fixed_by_its_requirement(
    requirement: str, field: str, state: State, operation: str, arguments: tuple[Any, ...]
) -> None:
    """The first entry of the details whose path leads to the field names it."""
    details = ours(state, operation, *arguments).details
    fixing = next(ids for path, ids in details if not path or field == path or field.startswith(f"{path}."))
    assert requirement in fixing
