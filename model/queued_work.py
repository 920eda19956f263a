"""Queued work over the whole state: the nine calls, and what a commit does to batches.

Each function is called as the store's method of the same name, and gives the admissible steps with the requirements that
decided them. The decisions themselves are the record transitions of `records.queued_work` and `records.claim`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

from fencepost.spec import (
    Backend,
    DeliveryPolicy,
    LeaseOwnerIdentity,
    Never,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkClaimExpired,
    QueuedWorkClass,
    QueuedWorkCompletion,
    QueuedWorkItem,
    SessionExecutionLeaseFence,
    SlotPolicy,
    class_of,
    saturating_add,
)
from msgspec.structs import replace

from .claim import (
    CLAIM_WHY,
    at_edge,
    dead_for,
    ending,
    judged_otherwise,
    made_up,
    minted,
    outlived,
    proof_of,
    spared_because,
    taken_because,
    taken_in_part,
    too_long,
    unbound,
    under_fence,
    unfenced,
    whoever_asks,
)
from .records import claim as claim_level
from .records import queued_work as record_level
from .records.claim import FREE, ClaimProof, live
from .records.queued_work import BatchRecord, BatchRow, Kind, LiveBatch
from .state import State
from .step import Ids, Ports, Refused, Step, Steps, Why, refused, subject

QUEUED_WHY: Why = (
    ("batch_id", ("QUEUE-1",)),
    ("enqueue_seq", ("QUEUE-1", "QUEUE-1b", "QUEUE-INV-2")),
    ("items", ("QUEUE-1", "QUEUE-1a")),
    ("", ("QUEUE-1",)),
)
CLAIMED_WHY: Why = (*CLAIM_WHY, ("batches", ("QCLAIM-9", "QUEUE-INV-3", "QUEUE-INV-4")))


KINDS = {QueuedWorkClass.TurnWork: Kind.work, QueuedWorkClass.SessionCommand: Kind.command, None: Kind.poisoned}


def shown(session_id: str, row: BatchRow) -> QueuedWorkBatch:
    """The batch as answers show it."""
    return QueuedWorkBatch(
        row.batch_id,
        session_id,
        row.enqueue_seq,
        row.source_key,
        row.record.delivery,
        row.record.slot,
        row.record.merge_key,
        row.record.available_at,
        row.enqueued_at,
        row.items,
    )


def enqueue_queued_work(state: State, ports: Ports, batch: QueuedWorkBatchDraft) -> Steps:
    """Submit a batch, or find the one that is queued under its key: QUEUE-1 to QUEUE-5."""
    known = next((row for row in state.queued_work.of(batch.session_id) if row.source_key == batch.source_key), None)
    if batch.source_key is not None and known is not None:
        return (Step(state, shown(batch.session_id, known), ("QUEUE-2", "QUEUE-INV-1", "QUEUE-INV-6")),)
    queue = state.queued_work
    seen = ports.seen if isinstance(ports.seen, QueuedWorkBatch) else None
    fresh = seen is not None and seen.batch_id not in queue.ids
    batch_id = seen.batch_id if seen is not None and fresh else made_up("batch", queue.ids)
    last = max((row.enqueue_seq for row in queue.of(batch.session_id)), default=0)
    lawful = seen is not None and seen.enqueue_seq > last
    seq = seen.enqueue_seq if seen is not None and lawful else queue.last_seq + 1
    items = tuple(QueuedWorkItem(f"{batch_id}:item:{place}", payload) for place, payload in enumerate(batch.payloads))
    own = seen is not None and _items_of_its_own(items, seen.items)
    differs: Ids = (*(("QUEUE-1b",) if seq <= queue.last_seq else ()), *(("QUEUE-1a",) if own else ()))
    if not differs:
        return (_with_batch(state, ports, batch, batch_id, seq, items),)
    ours = _with_batch(state, ports, batch, batch_id, max(seq, queue.last_seq + 1), items)
    theirs = _with_batch(state, ports, batch, batch_id, seq, seen.items if seen is not None and own else items)
    return (ours, replace(theirs, differs=differs))


def _items_of_its_own(ours: tuple[QueuedWorkItem, ...], seen: tuple[QueuedWorkItem, ...]) -> bool:
    """Whether the items are ours under other ids, each its own (QUEUE-1a)."""
    payloads = [item.payload for item in ours] == [item.payload for item in seen]
    return payloads and seen != ours and len({item.item_id for item in seen}) == len(seen)


def _with_batch(
    state: State, ports: Ports, batch: QueuedWorkBatchDraft, batch_id: str, seq: int, items: tuple[QueuedWorkItem, ...]
) -> Step:
    queue = state.queued_work
    record: LiveBatch = BatchRecord(
        KINDS[class_of(batch.payloads)], batch.delivery_policy, batch.slot_policy, batch.merge_key, batch.available_at_ms, FREE
    )
    row = BatchRow(batch_id, seq, batch.source_key, ports.now, items, record)
    after = replace(
        queue,
        rows=queue.rows.set(batch.session_id, (*queue.of(batch.session_id), row)),
        ids=queue.ids.set(batch_id, True),
        last_seq=max(queue.last_seq, seq),
    )
    freed = batch.source_key is not None and (batch.session_id, batch.source_key) in queue.freed
    because = (
        *(("QUEUE-3",) if freed else ()),
        *(("QUEUE-4",) if record.kind is Kind.poisoned else ()),
        "QUEUE-1",
        *unbound(state, batch.session_id),
        "GEN-8",
    )
    effects: Why = (("list_queued_work", ("QUEUE-7", "QUEUE-1")), ("list_pending_queued_work", ("QUEUE-8", "QUEUE-1")))
    return Step(replace(state, queued_work=after), shown(batch.session_id, row), because, QUEUED_WHY, effects)


def list_queued_work(state: State, _ports: Ports, session_id: str) -> Steps:
    """Every batch of the session: QUEUE-7."""
    queue = state.queued_work
    others: Ids = ("GEN-15",) if len(queue.rows) > (session_id in queue.rows) else ()
    answer = tuple(shown(session_id, row) for row in queue.of(session_id))
    return (Step(state, answer, ("QUEUE-7", *others), (("", ("QUEUE-7", "QUEUE-INV-6")),)),)


def list_pending_queued_work(state: State, ports: Ports, session_id: str) -> Steps:
    """The batches that nobody holds: QUEUE-8."""
    rows = state.queued_work.of(session_id)
    answer = tuple(shown(session_id, row) for row in rows if record_level.pending(row.record, ports.now))
    held = [row.record.claim for row in rows if row.record.claim.held]
    outliving = outlived(state, session_id, held, state.queued_work.claims, ports.now)
    because = (*outliving, "QUEUE-8", *at_edge((row.record.claim for row in rows), ports.now), "QUEUE-INV-5")
    return (Step(state, answer, because, (("", because),)),)


def cancel_queued_work_batch(state: State, ports: Ports, session_id: str, batch_id: str) -> Steps:
    """Remove a batch that nobody holds: QUEUE-9."""
    row = next((row for row in state.queued_work.of(session_id) if row.batch_id == batch_id), None)
    if row is None:
        elsewhere: Ids = ("GEN-15",) if batch_id in state.queued_work.ids else ()
        return (Step(state, None, ("QUEUE-9", *elsewhere, "GEN-8")),)
    edge = at_edge((row.record.claim,), ports.now)
    if not record_level.pending(row.record, ports.now):
        return (Step(state, None, ("QUEUE-9", *edge, "QUEUE-INV-5", "GEN-8")),)
    because = ("QUEUE-9", *edge, "QUEUE-INV-5", "GEN-8")
    effects: Why = (("list_queued_work", because), ("list_pending_queued_work", because))
    return (Step(_without(state, session_id, [row]), shown(session_id, row), because, (("", ("QUEUE-9",)),), effects),)


def _without(state: State, session_id: str, gone: list[BatchRow]) -> State:
    queue = state.queued_work
    ids = {row.batch_id for row in gone}
    kept = tuple(row for row in queue.of(session_id) if row.batch_id not in ids)
    freed = queue.freed.update({(session_id, row.source_key): True for row in gone if row.source_key is not None})
    return replace(state, queued_work=replace(queue, rows=queue.rows.set(session_id, kept), freed=freed))


def claim_leading_ready_session_command(
    state: State,
    ports: Ports,
    session_id: str,
    session_execution_lease: SessionExecutionLeaseFence,
    owner: LeaseOwnerIdentity,
    lease_ttl_ms: int,
) -> Steps:
    """The first candidate, if it is a session command: QCLAIM-2, QCLAIM-3, QCLAIM-5."""
    steps = unfenced(state, ports, session_id, session_execution_lease, "QCLAIM-14")
    if steps:
        return steps
    candidates = _candidates(state, ports, session_id, owner)
    if any(row.record.kind is Kind.poisoned for row in candidates):
        return refused(state, Backend(), "QCLAIM-5", "QCLAIM-2", *_ready_since(state, session_id))
    leading = [row for row in candidates[:1] if row.record.kind is Kind.command]
    return _claimed(state, ports, session_id, session_execution_lease, owner, lease_ttl_ms, leading, ("QCLAIM-3",))


def claim_ready_queued_work(
    state: State,
    ports: Ports,
    session_id: str,
    session_execution_lease: SessionExecutionLeaseFence,
    owner: LeaseOwnerIdentity,
    boundary: QueuedWorkClaimBoundary,
    lease_ttl_ms: int,
    max_batches: int,
) -> Steps:
    """The first candidate, if it is turn work that may be taken here, and those that join it: QCLAIM-1 to QCLAIM-10."""
    if max_batches == 0:
        return (Step(state, None, ("QCLAIM-1",)),)
    steps = unfenced(state, ports, session_id, session_execution_lease, "QCLAIM-14")
    if steps:
        return steps
    candidates = _candidates(state, ports, session_id, owner)
    if any(row.record.kind is Kind.poisoned for row in candidates):
        return refused(state, Backend(), "QCLAIM-5", "QCLAIM-2", *_ready_since(state, session_id))
    group = _group(candidates, boundary, max_batches)
    because = (*_group_because(state, session_id, candidates, group, boundary), "QCLAIM-4")
    return _claimed(state, ports, session_id, session_execution_lease, owner, lease_ttl_ms, group, because)


def _ready_since(state: State, session_id: str) -> Ids:
    """The requirement of readiness, where a batch was not ready from the beginning."""
    return ("QUEUE-6",) if any(row.record.available_at > 0 for row in state.queued_work.of(session_id)) else ()


def _candidates(state: State, ports: Ports, session_id: str, owner: LeaseOwnerIdentity) -> list[BatchRow]:
    """What a claim sees: ready batches that nobody holds, in admission order (QCLAIM-2)."""
    return [
        row
        for row in state.queued_work.of(session_id)
        if record_level.candidate(row.record, dead_for(row.record.claim, owner, ports), ports.now)
    ]


def _group(candidates: list[BatchRow], boundary: QueuedWorkClaimBoundary, most: int) -> list[BatchRow]:
    """The head, if it may be claimed here, and the candidates right behind it that join it (QCLAIM-4)."""
    if not candidates or not record_level.leads(candidates[0].record, boundary):
        return []
    head = candidates[0]
    joined = takewhile(lambda row: record_level.joins(head.record, row.record), candidates[1:])
    return [head, *joined][:most]


def _group_because(
    state: State, session_id: str, candidates: list[BatchRow], group: list[BatchRow], boundary: QueuedWorkClaimBoundary
) -> Ids:
    """Which rules of the group the run came by."""
    if not group:
        return ()
    between = [row.batch_id for row in state.queued_work.of(session_id)]
    places = [between.index(row.batch_id) for row in group]
    # what was removed, or is another session's, leaves a gap in the numbers
    gap = group[-1].enqueue_seq - group[0].enqueue_seq >= len(group)
    behind_held = places[0] > 0
    keyless = len(group) > 1 and isinstance(group[0].record.merge_key, Never)
    stopped = len(candidates) > len(group) and candidates[len(group)].record.slot is SlotPolicy.Join
    at_checkpoint = boundary is QueuedWorkClaimBoundary.ActiveTurnCheckpoint
    held_command = behind_held and any(
        row.record.kind is Kind.command or row.record.delivery is DeliveryPolicy.AfterCurrentTurnCommit
        for row in state.queued_work.of(session_id)[: places[0]]
    )
    return (
        *(("QCLAIM-6",) if keyless or stopped else ()),
        *(("QCLAIM-7",) if gap else ()),
        *(("QCLAIM-8",) if held_command or (behind_held and at_checkpoint) else ()),
    )


def _claimed(
    state: State,
    ports: Ports,
    session_id: str,
    fence: SessionExecutionLeaseFence,
    owner: LeaseOwnerIdentity,
    ttl: int,
    group: list[BatchRow],
    because: Ids,
) -> Steps:
    """A new claim on the group; None if there is none to claim."""
    others = [row.record.claim for row in state.queued_work.of(session_id) if row not in group]
    kept = spared_because(others, owner, ports.now)
    because = (
        *(() if group else kept),
        *because,
        "QCLAIM-2",
        *_ready_since(state, session_id),
        "QUEUE-5",
        *(kept if group else ()),
    )
    if not group:
        return (Step(state, None, because),)
    proof = minted(ports, session_id, state.queued_work.claims)
    taken = [replace(row, record=record_level.taken(row.record, proof, owner, ports.now, ttl)) for row in group]
    after = _with_rows(state, session_id, taken)
    issued = after.queued_work.claims.plus(proof, under_fence(state, session_id))
    after = replace(after, queued_work=replace(after.queued_work, claims=issued))
    claim = QueuedWorkClaim(
        session_id,
        *(proof[0], owner, proof[1]),
        fencing_token=taken[0].record.claim.fencing_token,
        claimed_at_epoch_ms=ports.now,
        expires_at_epoch_ms=saturating_add(ports.now, ttl),
        batches=tuple(shown(session_id, row) for row in group),
    )
    split: Ids = ("QCLAIM-10",) if taken_in_part((row.record.claim for row in group), others) else ()
    because = (*taken_because((row.record.claim for row in group), ports.now), *because, *whoever_asks(state, fence, owner))
    because = (*split, *because, "QCLAIM-9", "QCLAIM-14", "GEN-INV-1", "QUEUE-INV-4")
    effects: Why = (("list_pending_queued_work", (*split, "QCLAIM-9", "QUEUE-8")),)
    details = (*_otherwise_claimed(state, ports, claim, because), *ending(ports.now, ttl), *CLAIMED_WHY)
    return (Step(after, claim, because, details, effects), *too_long(state, ports.now, ttl))


def _otherwise_claimed(state: State, ports: Ports, ours: QueuedWorkClaim, because: Ids) -> Why:
    """What decides about a store's claim of other batches than ours."""
    seen = ports.seen
    if not isinstance(seen, QueuedWorkClaim) or seen.completion().batch_ids == ours.completion().batch_ids:
        return ()
    here, there = set(ours.completion().batch_ids), set(seen.completion().batch_ids)
    rows = state.queued_work.of(ours.session_id)
    taken = [row for row in rows if row.batch_id in there - here]
    passed = [row for row in rows if row.batch_id in here - there]
    unready = any(row.record.available_at > ports.now for row in taken) or any(row.record.available_at for row in passed)
    held = judged_otherwise((row.record.claim for row in taken), (row.record.claim for row in passed), ours.owner, ports)
    seeing: Ids = (*held, *(("QUEUE-6",) if unready else ()))
    apart: Ids = ("QCLAIM-9",) if any(row.record.claim.held for row in passed) else ()
    return (("", (*seeing, *(("QCLAIM-2",) if seeing else ()), *apart, *because)),)


def claim_ready_queued_work_by_batch_ids(
    state: State,
    ports: Ports,
    session_id: str,
    session_execution_lease: SessionExecutionLeaseFence,
    owner: LeaseOwnerIdentity,
    boundary: QueuedWorkClaimBoundary,
    lease_ttl_ms: int,
    batch_ids: tuple[str, ...],
) -> Steps:
    """Exactly these batches, or none: QCLAIM-11 to QCLAIM-13."""
    if not batch_ids:
        return (Step(state, None, ("QCLAIM-1", "QCLAIM-11")),)
    step, *endless = claim_ready_queued_work(
        state, ports, session_id, session_execution_lease, owner, boundary, lease_ttl_ms, len(batch_ids)
    )
    if not isinstance(step.answer, QueuedWorkClaim):
        because: Ids = step.because if isinstance(step.answer, Refused) else ("QCLAIM-12", *step.because)
        return (replace(step, because=(*because, "QCLAIM-11")),)
    if step.answer.completion().batch_ids == batch_ids:
        return (replace(step, because=("QCLAIM-11", *step.because)), *endless)
    because = ("QCLAIM-11", "QCLAIM-12", "QCLAIM-13")
    silent: Why = ((subject("queued_work", session_id), because),)
    raised = Step(_given_back(state, step.state, session_id), None, because, silent=silent)
    return (raised, *endless, Step(state, None, because, silent=silent, differs=("QCLAIM-13",)))


def _given_back(before: State, granted: State, session_id: str) -> State:
    """The batches that a refused claim by ids held for a moment: free again, their counts raised (QCLAIM-13)."""
    was = {row.batch_id: row for row in before.queued_work.of(session_id)}
    changed = [
        replace(row, record=record_level.abandoned(row.record, row.record.claim.proof, FREE))
        for row in granted.queued_work.of(session_id)
        if row != was[row.batch_id]
    ]
    return _with_rows(before, session_id, changed)


def renew_queued_work_claim(state: State, ports: Ports, claim: QueuedWorkClaim, lease_ttl_ms: int) -> Steps:
    """Move the expiry of what the claim holds: QRENEW-1 to QRENEW-4."""
    proof = proof_of(claim)
    rows = held_by(state, claim.session_id, proof)
    lapsed = any(not live(row.record.claim, ports.now) for row in rows)
    moved = [_renewed(row, proof, ports.now, lease_ttl_ms) for row in rows]
    after = _with_rows(state, claim.session_id, moved) if rows else state
    silent: Why = ((subject("queued_work", claim.session_id), ("QRENEW-1", "QRENEW-3")),)
    if len(rows) != len(claim.batches):
        there = {row.batch_id for row in state.queued_work.of(claim.session_id)}
        gone = any(batch.batch_id not in there for batch in claim.batches)
        because = ("QRENEW-2", *(("QUEUE-10",) if gone else ()), *(("QRENEW-3",) if rows else ()), "GEN-9")
        refusal = Step(after, Refused(QueuedWorkClaimExpired(claim.session_id, claim.claim_id)), because, silent=silent)
        return (refusal, replace(refusal, state=state, differs=("QRENEW-3",))) if rows else (refusal,)
    answer = replace(claim, expires_at_epoch_ms=saturating_add(ports.now, lease_ttl_ms))
    because = ("QRENEW-1", *(("GEN-10",) if lapsed else ()), *at_edge((row.record.claim for row in rows), ports.now), "GEN-8")
    why: Why = (*ending(ports.now, lease_ttl_ms), ("expires_at_epoch_ms", ("QRENEW-1", "GEN-3")), ("", ("QRENEW-4",)))
    ours = Step(after, answer, because, why, (("list_pending_queued_work", because),), silent)
    return (ours, *too_long(state, ports.now, lease_ttl_ms))


def _renewed(row: BatchRow, proof: ClaimProof, now: int, ttl: int) -> BatchRow:
    claim = claim_level.renewed(row.record.claim, proof, now, ttl)
    return replace(row, record=record_level.with_claim(row.record, claim))


def abandon_queued_work_claim(state: State, ports: Ports, claim: QueuedWorkClaim) -> Steps:
    """Give back what the claim still holds: QABANDON-1."""
    proof = proof_of(claim)
    rows = held_by(state, claim.session_id, proof)
    if not rows:
        return (Step(state, None, ("QABANDON-1", "GEN-9", "GEN-8")),)
    freed = [replace(row, record=record_level.abandoned(row.record, proof, FREE)) for row in rows]
    lapsed = any(not live(row.record.claim, ports.now) for row in rows)
    because = ("QABANDON-1", *(("GEN-10",) if lapsed else ()), "GEN-8")
    effects: Why = (("list_pending_queued_work", because),)
    silent: Why = ((subject("queued_work", claim.session_id), ("QABANDON-1", "GEN-16")),)
    return (Step(_with_rows(state, claim.session_id, freed), None, because, (), effects, silent),)


def held_by(state: State, session_id: str, proof: ClaimProof) -> list[BatchRow]:
    """The batches that a claim holds."""
    return [row for row in state.queued_work.of(session_id) if row.record.claim.held and row.record.claim.proof == proof]


def completed(state: State, done: QueuedWorkCompletion) -> State:
    """The state without the named batches, as far as the claim holds them (COMMIT-14)."""
    rows = [row for row in held_by(state, done.session_id, proof_of(done)) if row.batch_id in done.batch_ids]
    return _without(state, done.session_id, rows) if rows else state


def _with_rows(state: State, session_id: str, changed: Iterable[BatchRow]) -> State:
    queue, anew = state.queued_work, {row.batch_id: row for row in changed}
    rows = tuple(anew.get(row.batch_id, row) for row in queue.of(session_id))
    return replace(state, queued_work=replace(queue, rows=queue.rows.set(session_id, rows)))
