"""What CURRENT requirements of inputs, queued work, maintenance and attachments admit: what a store may and may not answer."""

from __future__ import annotations

from typing import Any

from admits_session import Case
from fencepost.model import Refused, State
from fencepost.model.records.attachment import AttachmentRecord
from fencepost.model.records.queued_work import Kind
from fencepost.spec import (
    ActivePath,
    Append,
    AttachmentIntent,
    AttachmentManifestEntry,
    Backend,
    FullGraph,
    GcReport,
    HydratedSessionCheckpoint,
    InvalidArgument,
    Never,
    PendingTurnInput,
    PendingTurnInputSourceKeyConflict,
    PersistedSessionRead,
    PersistedTurnState,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkClaimExpired,
    QueuedWorkItem,
    RuntimeCommitResult,
    SessionCheckpoint,
    SessionGraph,
    ToolState,
    TurnInput,
    TurnInputClaim,
    TurnInputClaimExpired,
    VacuumReport,
)
from ingress_builders import (
    AT_WORK,
    CANCELLED,
    CLAIM_ACTIVE,
    CLAIM_NEXT,
    CLAIM_WORK,
    DEFERRED,
    EARLY,
    ENQUEUE,
    ENQUEUE_WORK,
    FOR_T,
    HELLO,
    IDLE,
    JOIN,
    LIVE_CLAIM,
    NEXT,
    NEXT_MODE,
    PENDING_ACTIVE,
    RENEW_WORK,
    WAKE,
    as_answered,
    as_queued,
    batch_row,
    draft,
    input_done,
    input_row,
    with_batches,
    with_inputs,
    with_manifest,
    work_claim,
    work_done,
    work_draft,
)
from model_builders import COMMIT, LEASED, B, commit, committed, fence, node, ours
from msgspec.structs import replace

SPARSE = with_inputs(input_row("q", 5), session="s2", to=with_inputs(input_row("i1", 1)))
"""s has an input with number 1, s2 one with number 5."""

SPARSE_WORK = with_batches(batch_row("q", 5), session="s2", to=with_batches(batch_row("b1", 1)))

MOVED = with_inputs(input_row("i1", 1, key="k", submitted=FOR_T))
"""An input that was submitted for turn t and deferred to the next."""


def new_input(seq: int, input_id: str = "new", **changes: Any) -> PendingTurnInput:
    """The answer of an enqueue of a plain draft at 1,000."""
    return replace(PendingTurnInput(input_id, "s", seq, None, NEXT, DEFERRED, 1_000, HELLO), **changes)


def new_batch(seq: int, items: tuple[QueuedWorkItem, ...] = (QueuedWorkItem("new:item:0", WAKE),)) -> QueuedWorkBatch:
    """The answer of an enqueue of a plain draft of work at 1,000."""
    return QueuedWorkBatch("new", "s", seq, None, EARLY, JOIN, Never(), 0, 1_000, items)


CROWD = tuple(input_row(f"x{place}", place, PENDING_ACTIVE, turn="t2") for place in range(1, 34))
"""Thirty-three inputs of another turn: one more than a store must look past."""
LAST = input_row("i34", 34, PENDING_ACTIVE, turn="t")
ACTIVE_CLAIM = (CLAIM_ACTIVE, ("s", fence(), B, "t", AT_WORK, 100, 1))
HELD_CROWD = tuple(input_row(f"x{place}", place, DEFERRED, LIVE_CLAIM) for place in range(1, 35))

TREE = committed(LEASED, commit(graph=Append((node("a"), node("b", "a"), node("c", "b")), "c")))


def read(state: State, ids: str, leaf: str | None, scope: Any) -> PersistedSessionRead:
    """Our own answer to a read with the nodes of these ids, and this leaf."""
    answer = ours(state, "load_session", scope).answer
    assert isinstance(answer, PersistedSessionRead)
    parents = {"a": None, "b": "a", "c": "b"}
    return replace(answer, graph=SessionGraph(tuple(node(each, parents[each]) for each in ids), leaf))


def hidden(node_id: str) -> State:
    """The line a, b, c with one of them tombstoned."""
    return ours(TREE, "tombstone_nodes", (node_id,)).state


RESULT = RuntimeCommitResult(1, "ref", SessionCheckpoint(PersistedTurnState()))
CLAIMED = with_batches(batch_row("b1", claim=LIVE_CLAIM), batch_row("b2", 2, claim=LIVE_CLAIM), to=with_inputs(
    input_row("i1", claim=LIVE_CLAIM), input_row("i2", 2, claim=LIVE_CLAIM)))  # fmt: skip
LOST_WORK, LOST_INPUT = Refused(QueuedWorkClaimExpired("s", "claim")), Refused(TurnInputClaimExpired("s", "claim"))
ELSEWHERE = Refused(TurnInputClaimExpired("s2", "claim"))


def done(**fields: Any) -> tuple[Any, ...]:
    """The arguments of a commit that completes these."""
    return (commit(**fields),)


BOUND = with_inputs(
    input_row("q", 2, CANCELLED), session="s2", to=with_inputs(input_row("i1", 1, CANCELLED), to=committed(LEASED, commit()))
)
"""Bound to s, with an ended input in s and one in s2."""

GARBAGE = committed(
    LEASED,
    commit(checkpoint=HydratedSessionCheckpoint(tool_state=ToolState(1))),
    commit(checkpoint=HydratedSessionCheckpoint(tool_state=ToolState(2))),
)

ORPHANS = with_manifest(
    a=AttachmentRecord("s", "u", 2, False), b=AttachmentRecord("s", "u", 1, False), c=AttachmentRecord("s2", "u", 1, False)
)
ENTRY_A, ENTRY_B, ENTRY_C = (
    AttachmentManifestEntry("a", "s", "u", 2),
    AttachmentManifestEntry("b", "s", "u", 1),
    AttachmentManifestEntry("c", "s2", "u", 1),
)

ENDLESS = 2**64 - 1
TOO_LONG = Refused(InvalidArgument("lease_ttl_ms", "a sum beyond 2^64-1", "less"))
AT_THE_END = TurnInputClaim("s", "new", B, "minted", 1, 1_000, ENDLESS, NEXT_MODE, (as_answered(input_row()),))
WORK_AT_THE_END = QueuedWorkClaim("s", "new", B, "minted", 1, 1_000, ENDLESS, (as_queued(batch_row()),))

CASES = (
    Case("GEN-3a", with_inputs(input_row()), CLAIM_NEXT, ("s", fence(), B, ENDLESS, 9), (TOO_LONG,),
         (Refused(Backend()), replace(AT_THE_END, expires_at_epoch_ms=999))),
    Case("GEN-3a", with_inputs(LAST), CLAIM_ACTIVE, ("s", fence(), B, "t", AT_WORK, ENDLESS - 999, 9), (TOO_LONG,), ()),
    Case("GEN-3a", with_inputs(input_row()), CLAIM_NEXT, ("s", fence(), B, ENDLESS - 1_000, 9), (), (TOO_LONG,)),
    Case("GEN-3a", with_batches(batch_row()), CLAIM_WORK, ("s", fence(), B, IDLE, ENDLESS, 9), (TOO_LONG,),
         (Refused(Backend()), replace(WORK_AT_THE_END, expires_at_epoch_ms=999))),
    Case("GEN-3a", with_batches(batch_row("b1", kind=Kind.command)), "claim_leading_ready_session_command",
         ("s", fence(), B, ENDLESS), (TOO_LONG,), (Refused(Backend()),)),
    Case("GEN-3a", with_batches(batch_row(claim=LIVE_CLAIM)), RENEW_WORK, (work_claim(batch_row()), ENDLESS), (TOO_LONG,),
         (work_claim(batch_row(), expires_at_epoch_ms=999),)),
    Case("GEN-3a", with_batches(batch_row(claim=LIVE_CLAIM)), RENEW_WORK, (work_claim(batch_row()), 100), (), (TOO_LONG,)),
    # a number of the session's own, above those of its stored inputs; one above all is as good as ours
    Case("INPUT-3a", SPARSE, ENQUEUE, (draft(),), (new_input(2), new_input(4), new_input(5)), (new_input(1), new_input(0))),
    Case("INPUT-4a", with_inputs(input_row("i1", 1)), ENQUEUE, (draft(input_id="i1"),),
         (new_input(2, "i1"), new_input(9, "i1")),
         (new_input(2, "i2"), new_input(1, "i1"), Refused(PendingTurnInputSourceKeyConflict("s", "", "i1")))),
    Case("INPUT-4a", SPARSE, ENQUEUE, (draft(input_id="q"),), (new_input(6, "q"),), (new_input(6, "other"),)),
    Case("INPUT-9", MOVED, ENQUEUE, (draft(source_key="k", ingress=FOR_T),), (as_answered(input_row(key="k")),),
         (as_answered(input_row(key="k", state=PENDING_ACTIVE, turn="t")), as_answered(input_row("i2", key="k")))),
    Case("INPUT-9", MOVED, ENQUEUE, (draft(source_key="k", ingress=FOR_T, input=TurnInput()),), (),
         (as_answered(input_row(key="k")),)),
    Case("CLAIM-6a", with_inputs(*CROWD, LAST), *ACTIVE_CLAIM, (None,), (Refused(Backend()),)),
    Case("CLAIM-6a", with_inputs(*CROWD[:32], LAST), *ACTIVE_CLAIM, (), (None,)),
    Case("CLAIM-6a", with_inputs(*HELD_CROWD, input_row("i35", 35)), CLAIM_NEXT, ("s", fence(), B, 100, 1), (None,), ()),
    Case("CLAIM-6a", with_inputs(*HELD_CROWD, input_row("i35", 35)), CLAIM_NEXT, ("s", fence(), B, 100, 3), (), (None,)),
    Case("QUEUE-1a", LEASED, ENQUEUE_WORK, (work_draft(payloads=(WAKE, WAKE)),),
         (new_batch(1, (QueuedWorkItem("x", WAKE), QueuedWorkItem("", WAKE))),),
         (
             new_batch(1, (QueuedWorkItem("x", WAKE), QueuedWorkItem("x", WAKE))),
             new_batch(1, (QueuedWorkItem("x", WAKE),)),
             new_batch(1, ()),
         )),
    Case("QUEUE-1b", SPARSE_WORK, ENQUEUE_WORK, (work_draft(),), (new_batch(2), new_batch(5)), (new_batch(1), new_batch(0))),
    Case("COMMIT-11a", CLAIMED, COMMIT, done(completed_turn_input_claims=(input_done("i1"),)), (LOST_INPUT,),
         (LOST_WORK, ELSEWHERE)),
    Case("COMMIT-11a", CLAIMED, COMMIT, done(completed_queue_claims=(work_done(),)), (LOST_WORK,), (LOST_INPUT,)),
    Case("COMMIT-11a", CLAIMED, COMMIT, done(completed_queue_claims=(work_done("b1", "b2"),)), (), (LOST_WORK,)),
    Case("COMMIT-11b", CLAIMED, COMMIT, done(completed_turn_input_claims=(input_done("i1", "i1"),)), (RESULT,),
         (replace(RESULT, head_revision=2), LOST_WORK)),
    Case("COMMIT-11b", CLAIMED, COMMIT, done(completed_queue_claims=(work_done("b1", "b2", "b9"),)), (), (RESULT,)),
    Case("COMMIT-11c", CLAIMED, COMMIT, done(completed_queue_claims=(work_done("b1", "b2"),) * 2), (LOST_WORK,), (LOST_INPUT,)),
    Case("MAINT-4a", BOUND, "vacuum", (), (VacuumReport(0, 1),), (VacuumReport(0, 0), VacuumReport(1, 1), VacuumReport(0, 3))),
    Case("MAINT-4a", replace(BOUND, commit=State().commit), "vacuum", (), (), (VacuumReport(0, 1),)),
    Case("GC-2", GARBAGE, "gc_unreachable", (), (GcReport(2, 2, 2), GcReport(5, 2, 2)), (GcReport(0, 2, 2),)),
    Case("GC-4", GARBAGE, "gc_unreachable", (), (GcReport(1, 1, 1), GcReport(1, 2, 1)),
         (GcReport(1, 2, 0), GcReport(1, 0, 2), GcReport(1, 2, 3))),
    Case("ATT-5", ORPHANS, "list_uncommitted", (2,), ((ENTRY_A, ENTRY_B, ENTRY_C), (ENTRY_C, ENTRY_B, ENTRY_A)),
         ((ENTRY_B, ENTRY_C), (ENTRY_A, ENTRY_A, ENTRY_B), (ENTRY_C, ENTRY_B, replace(ENTRY_A, canonical_uri="other")))),
    Case("READ-5a", hidden("c"), "load_session", (FullGraph(),), (read(hidden("c"), "ab", None, FullGraph()),),
         (read(hidden("c"), "abc", "c", FullGraph()),)),
    Case("READ-8a", hidden("b"), "load_session", (ActivePath(),), (read(hidden("b"), "ac", "c", ActivePath()),),
         tuple(read(hidden("b"), ids, leaf, ActivePath())
               for ids, leaf in (("abc", "c"), ("bc", "c"), ("ac", None), ("ca", "c")))),
    Case("READ-9a", hidden("c"), "load_session", (ActivePath(),),
         (read(hidden("c"), "ab", None, ActivePath()), read(hidden("c"), "ab", "c", ActivePath())),
         tuple(read(hidden("c"), ids, leaf, ActivePath()) for ids, leaf in (("abc", "c"), ("ab", "b"), ("", None)))),
)  # fmt: skip

SILENT: dict[str, tuple[State, str, tuple[Any, ...], object, tuple[State, ...]]] = {
    "QCLAIM-13": (
        with_batches(batch_row(), batch_row("b2", 2)),
        "claim_ready_queued_work_by_batch_ids",
        ("s", fence(), B, IDLE, 100, ("b2",)),
        None,
        (with_batches(batch_row(), batch_row("b2", 2)),),
    ),
    "QRENEW-3": (
        with_batches(batch_row(claim=LIVE_CLAIM), batch_row("b2", 2)),
        RENEW_WORK,
        (work_claim(batch_row(), batch_row("b2", 2)), 300),
        LOST_WORK,
        (with_batches(batch_row(claim=LIVE_CLAIM), batch_row("b2", 2)),),
    ),
    "ATT-2a": (
        with_manifest(a=AttachmentRecord("s", "u", 100, False)),
        "record_intent",
        (AttachmentIntent("a", "s2", "v", 50),),
        None,
        (
            with_manifest(a=AttachmentRecord("s", "u", 100, False)),
            with_manifest(a=AttachmentRecord("s2", "v", 50, False)),
        ),
    ),
}
"""Departures that the answer does not show: a call, its answer, and the states that it may leave instead of ours."""
