"""What holds of inputs and of batches in every state that is reached, seen from the one before."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from .records.claim import FREE, ClaimProof
from .records.queued_work import BatchRow, Kind, LiveBatch, QueueState, joins, with_claim
from .records.turn_input import ENDED, InputRow, InputState, valid
from .state import State, invariant


def _inputs(inputs: InputState) -> Iterable[tuple[str, InputRow]]:
    return ((session_id, row) for session_id, rows in inputs.rows.items() for row in rows)


@invariant("INPUT-INV-1")
def source_keys_are_unique(_before: State, after: State) -> bool:
    """No two inputs of a session share a source key."""
    keys = [(session_id, row.source_key) for session_id, row in _inputs(after.turn_input) if row.source_key is not None]
    return len(set(keys)) == len(keys)


@invariant("INPUT-INV-2")
def admission_order_stands(before: State, after: State) -> bool:
    """A session's inputs are numbered in the order in which they were admitted, and stay in it."""
    for session_id, rows in after.turn_input.rows.items():
        numbers = [row.enqueue_seq for row in rows]
        earlier = [row.input_id for row in before.turn_input.of(session_id)]
        there = [row.input_id for row in rows]
        kept = [each for each in earlier if each in there]
        if numbers != sorted(set(numbers)) or there[: len(kept)] != kept:
            return False
    return True


@invariant("INPUT-INV-3")
@invariant("INPUT-INV-4")
def states_fit_ingress_and_claim(_before: State, after: State) -> bool:
    """What waits for a turn or was accepted by it is meant for it, what is accepted is claimed, what has ended is not."""
    return all(valid(row.record) for _, row in _inputs(after.turn_input))


@invariant("INPUT-INV-5")
def ends_are_final(before: State, after: State) -> bool:
    """An input that has ended stays as it ended or is gone, and no other one goes."""
    now = {(session_id, row.input_id, row.enqueue_seq): row for session_id, row in _inputs(after.turn_input)}
    for session_id, row in _inputs(before.turn_input):
        later = now.get((session_id, row.input_id, row.enqueue_seq))
        ended = row.record.state in ENDED
        if (later is None and not ended) or (later is not None and ended and later != row):
            return False
    return True


@invariant("INPUT-INV-7")
@invariant("INPUT-13")
def what_was_submitted_stays(before: State, after: State) -> bool:
    """But for its ingress, which may change once to the next turn, what was submitted never changes."""
    now = {(session_id, row.input_id, row.enqueue_seq): row for session_id, row in _inputs(after.turn_input)}
    for session_id, row in _inputs(before.turn_input):
        later = now.get((session_id, row.input_id, row.enqueue_seq), row)
        if replace(later, record=row.record) != row or (later.record.for_turn and not row.record.for_turn):
            return False
    return True


@invariant("GEN-INV-1")
def a_claim_is_one(_before: State, after: State) -> bool:
    """All inputs under one claim share owner and expiry, and the claim was issued."""
    seen: dict[ClaimProof, object] = {}
    for _, row in _inputs(after.turn_input):
        claim = row.record.claim
        if claim.held and (
            claim.proof not in after.turn_input.claims.under or seen.setdefault(claim.proof, (claim.owner, claim.expires_at))
            != (claim.owner, claim.expires_at)
        ):  # fmt: skip
            return False
    return True


@invariant("GEN-INV-2")
def claims_are_counted(before: State, after: State) -> bool:
    """An input's fencing token grows by one with each new claim on it, and never otherwise."""
    earlier = {(session_id, row.input_id, row.enqueue_seq): row.record.claim for session_id, row in _inputs(before.turn_input)}
    for session_id, row in _inputs(after.turn_input):
        was, claim = earlier.get((session_id, row.input_id, row.enqueue_seq), FREE), row.record.claim
        anew = claim.held and (not was.held or claim.proof != was.proof)
        if claim.fencing_token != was.fencing_token + anew:
            return False
    return True


def _batches(queue: QueueState) -> Iterable[tuple[str, BatchRow]]:
    return ((session_id, row) for session_id, rows in queue.rows.items() for row in rows)


@invariant("QUEUE-INV-1")
def keys_are_unique(_before: State, after: State) -> bool:
    """No two batches of a session share a source key."""
    keys = [(session_id, row.source_key) for session_id, row in _batches(after.queued_work) if row.source_key is not None]
    return len(set(keys)) == len(keys)


@invariant("QUEUE-INV-2")
def queue_order_stands(before: State, after: State) -> bool:
    """A session's batches are numbered in the order in which they were admitted, and stay in it."""
    for session_id, rows in after.queued_work.rows.items():
        numbers = [row.enqueue_seq for row in rows]
        there = [row.batch_id for row in rows]
        kept = [row.batch_id for row in before.queued_work.of(session_id) if row.batch_id in there]
        if numbers != sorted(set(numbers)) or there[: len(kept)] != kept:
            return False
    return True


@invariant("QUEUE-INV-6")
def batches_stay_as_submitted(before: State, after: State) -> bool:
    """Nothing of a batch changes but its claim."""
    now = {row.batch_id: row for _, row in _batches(after.queued_work)}
    return all(
        replace(later, record=with_claim(later.record, row.record.claim)) == row
        for _, row in _batches(before.queued_work)
        if (later := now.get(row.batch_id)) is not None
    )


@invariant("GEN-INV-1")
def a_work_claim_is_one(_before: State, after: State) -> bool:
    """All batches under one claim share owner and expiry, and the claim was issued."""
    seen: dict[ClaimProof, object] = {}
    for _, row in _batches(after.queued_work):
        claim = row.record.claim
        facts = (claim.owner, claim.expires_at)
        if claim.held and (claim.proof not in after.queued_work.claims.under or seen.setdefault(claim.proof, facts) != facts):
            return False
    return True


@invariant("GEN-INV-2")
def work_claims_are_counted(before: State, after: State) -> bool:
    """A batch's fencing token grows by one with each claim on it, a refused one by ids too, and never falls."""
    earlier = {row.batch_id: row.record.claim for _, row in _batches(before.queued_work)}
    for _, row in _batches(after.queued_work):
        was, claim = earlier.get(row.batch_id, FREE), row.record.claim
        anew = claim.held and (not was.held or claim.proof != was.proof)
        if claim.fencing_token - was.fencing_token not in ((1,) if anew else (0, 1)):
            return False
    return True


@invariant("QUEUE-INV-3")
def commands_stand_alone(_before: State, after: State) -> bool:
    """Batches under one claim are one session command, or turn work that could join."""
    groups: dict[ClaimProof, list[LiveBatch]] = {}
    for _, row in _batches(after.queued_work):
        if row.record.claim.held:
            groups.setdefault(row.record.claim.proof, []).append(row.record)
    return all(
        group[0].kind is not Kind.poisoned and all(joins(group[0], record) for record in group[1:]) for group in groups.values()
    )
