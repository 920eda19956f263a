"""Faults in claims of queued work: who leads, who joins, what is passed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fencepost.impl import claim, queued_work
from fencepost.impl.claim import HELD_BY
from fencepost.impl.engine import Statement
from fencepost.impl.queued_work import Candidate
from fencepost.spec import (
    Alive,
    DeliveryPolicy,
    MergeKey,
    Never,
    QueuedWorkClaimBoundary,
    QueuedWorkClass,
    SlotPolicy,
)

from ..kinds import Kind
from ..planting import Patch, ask, bug, reworded, within, wrap

WORK = QueuedWorkClass.TurnWork
WINDOW = 32
"""How many batches more than it wants a known store looks at."""


def grouping(patch: Patch, joins: Callable[[Candidate, Candidate], bool], *, gaps: bool = False) -> None:
    """Let a group of turn work be those that join its head by this rule; with `gaps` others may stand between them."""

    def leading_group(candidates: Sequence[Candidate], boundary: QueuedWorkClaimBoundary, most: int) -> list[Candidate]:
        if not candidates or candidates[0].work_class is not WORK:
            return []
        head, *others = candidates
        early = head.policies.delivery_policy is DeliveryPolicy.EarliestSafeBoundary
        if boundary is QueuedWorkClaimBoundary.ActiveTurnCheckpoint and not early:
            return []
        group = [head]
        for each in others:
            if each.work_class is WORK and head.policies.slot_policy is SlotPolicy.Join and joins(head, each):
                group.append(each)
            elif not gaps:
                break
        return group[:most]

    patch.setattr(queued_work, "leading_group", leading_group)


@bug("QCLAIM-4", Kind.selection)
def joined_across_a_mismatch(patch: Patch) -> None:
    """Turn work joins although a batch that may not join stands between."""
    grouping(patch, lambda head, each: each.policies == head.policies, gaps=True)


@bug("QCLAIM-4", Kind.selection)
def merge_keys_ignored(patch: Patch) -> None:
    """Turn work joins whatever its merge key."""
    grouping(patch, lambda head, each: each.policies[:2] == head.policies[:2])


@bug("QCLAIM-4", Kind.selection)
def exclusive_joins(patch: Patch) -> None:
    """A batch that is Exclusive joins one in front of it that is not."""
    grouping(patch, lambda head, each: each.policies[::2] == head.policies[::2])


@bug("QCLAIM-4", Kind.selection)
def delivery_ignored_in_joining(patch: Patch) -> None:
    """Turn work for after the turn joins work that may be taken at once."""
    grouping(patch, lambda head, each: each.policies[1:] == head.policies[1:])


@bug("QCLAIM-6", Kind.selection)
def never_joins_never(patch: Patch) -> None:
    """Batches with the merge key Never are taken one by one."""

    def joins(head: Candidate, each: Candidate) -> bool:
        key: MergeKey = head.policies.merge_key
        return each.policies == head.policies and not isinstance(key, Never)

    grouping(patch, joins)


@bug("QCLAIM-4", Kind.selection)
def command_passed_over(patch: Patch) -> None:
    """A claim of turn work passes over a session command that leads."""
    original = queued_work.leading_group

    def leading_group(candidates: Sequence[Candidate], *rest: Any) -> list[Candidate]:
        return original([each for each in candidates if each.work_class is WORK], *rest)

    patch.setattr(queued_work, "leading_group", leading_group)


@bug("QCLAIM-3", Kind.selection)
def command_taken_from_behind(patch: Patch) -> None:
    """A claim of a session command takes the first there is, though turn work leads."""

    def leading_command(candidates: Sequence[Candidate]) -> list[Candidate]:
        return [each for each in candidates if each.work_class is QueuedWorkClass.SessionCommand][:1]

    def read_claimable(engine: Any, line: Statement, fence: Any, now: int, facts: Any, most: int, *rest: Any) -> Any:
        return claim.read_claimable(engine, line, fence, now, facts, 2**63, *rest)

    patch.setattr(queued_work, "leading_command", leading_command)
    patch.setattr(queued_work, "read_claimable", read_claimable)


@bug("QCLAIM-4", Kind.selection)
def delivery_ignored_at_the_checkpoint(patch: Patch) -> None:
    """A checkpoint of an active turn takes work for after the turn."""
    original = queued_work.leading_group
    idle = QueuedWorkClaimBoundary.Idle
    patch.setattr(queued_work, "leading_group", lambda candidates, boundary, most: original(candidates, idle, most))


@bug("QCLAIM-8", Kind.stuck)
def held_head_blocks(patch: Patch) -> None:
    """Nothing is claimed at a checkpoint while work for after the turn is held in front of it."""

    def around(original: Any, store: Any, session_id: str, fence: Any, owner: Any, boundary: Any, *rest: Any) -> Any:
        rows = ask(
            store,
            "SELECT delivery_policy, claim_expires_at FROM batches WHERE session_id = ? ORDER BY enqueue_seq LIMIT 1",
            session_id,
        )
        late = rows and rows[0][0] == DeliveryPolicy.AfterCurrentTurnCommit.value and rows[0][1] > store._now()
        with Patch() as inner:
            if late and boundary is QueuedWorkClaimBoundary.ActiveTurnCheckpoint:
                grouped = queued_work.leading_group
                inner.setattr(queued_work, "leading_group", lambda *facts: grouped(*facts)[:0])
            return original(store, session_id, fence, owner, boundary, *rest)

    wrap(patch, "claim_ready_queued_work", around)


@bug("QCLAIM-2", Kind.page)
def work_looked_for_in_a_window(patch: Patch) -> None:
    """A claim of turn work looks at the first ready batches only, held or not: 32 more than it wants."""
    within(patch, "claim_ready_queued_work", queued_work, read_claimable=read_in_a_window)


def read_in_a_window(engine: Any, line: Statement, fence: Any, now: int, facts: Any, most: int, *rest: Any) -> Any:
    """`read_claimable`, of what is among the first ready batches."""
    rows = claim.read_claimable(engine, line, fence, now, facts, most, *rest)
    ready = "session_number = ? AND session_id = ? AND available_at <= ? ORDER BY enqueue_seq LIMIT ?"
    look = Statement("a planted fault", f"SELECT enqueue_seq FROM batches WHERE {ready}")
    seen = engine.execute(look, (*facts, most + WINDOW))
    return [row for row in rows if (row[0],) in seen]


@bug("QCLAIM-2", Kind.page)
def command_looked_for_in_a_window(patch: Patch) -> None:
    """A claim of a session command looks at the first 33 ready batches only, held or not."""
    within(patch, "claim_leading_ready_session_command", queued_work, read_claimable=read_in_a_window)


@bug("QCLAIM-2", Kind.selection)
def unready_joins(patch: Patch) -> None:
    """A batch that is not ready yet joins a group whose head is."""
    later = f"""SELECT enqueue_seq, batch_id, kinds, delivery_policy, slot_policy, merge_key, {HELD_BY} FROM batches
        WHERE session_number = ? AND session_id = ? AND available_at > ? AND enqueue_seq > ?"""

    def read_claimable(engine: Any, line: Statement, fence: Any, now: int, facts: Any, *rest: Any) -> Any:
        rows = claim.read_claimable(engine, line, fence, now, facts, *rest)
        more = engine.execute(Statement("a planted fault", later), (*facts, rows[0][0])) if rows else []
        return sorted([*rows, *more])

    patch.setattr(queued_work, "read_claimable", read_claimable)


@bug("QCLAIM-5", Kind.accepted)
def poison_noticed_in_front_only(patch: Patch) -> None:
    """A batch of no class is noticed only where it leads, and passed over elsewhere."""
    original = queued_work._candidates

    def candidates(rows: Any) -> Any:
        return original([row for place, row in enumerate(rows) if not place or row[2] in queued_work.CLASSES])

    patch.setattr(queued_work, "_candidates", candidates)


@bug("QCLAIM-5", Kind.accepted)
def poison_passed_over(patch: Patch) -> None:
    """A batch of no class is passed over even where it leads."""
    original = queued_work._candidates

    def candidates(rows: Any) -> Any:
        return original([row for row in rows if row[2] in queued_work.CLASSES])

    patch.setattr(queued_work, "_candidates", candidates)


@bug("QCLAIM-1", Kind.edge)
def nothing_wanted_and_judged(patch: Patch) -> None:
    """A claim of at most 0 batches is refused if its fence fails."""

    def around(original: Any, store: Any, *arguments: Any) -> Any:
        if arguments[-1]:
            return original(store, *arguments)
        with Patch() as inner:
            inner.setattr(queued_work, "_candidates", lambda *rest: [])
            return original(store, *arguments[:-1], 1)

    wrap(patch, "claim_ready_queued_work", around)


@bug("QCLAIM-9", Kind.selection)
def part_of_a_dead_claim_spared(patch: Patch) -> None:
    """A claim takes only the head from under a claim that has lapsed, and what joins it from nobody."""
    original = queued_work._candidates

    def candidates(rows: Any) -> Any:
        found = original(rows)
        return [*found[:1], *(each for each in found[1:] if each.hold.lease_token is None)]

    patch.setattr(queued_work, "_candidates", candidates)


@bug("QCLAIM-11", Kind.accepted)
def part_of_the_ids_accepted(patch: Patch) -> None:
    """A claim by batch ids is granted if what it takes is a part of what was asked for."""

    def around(original: Any, store: Any, session_id: str, *rest: Any) -> Any:
        *facts, ids = rest
        taken = store.claim_ready_queued_work(session_id, *facts, len(ids))
        if taken is None or {batch.batch_id for batch in taken.batches} <= set(ids):
            return taken
        store.abandon_queued_work_claim(taken)
        return None

    wrap(patch, "claim_ready_queued_work_by_batch_ids", around)


@bug("QCLAIM-12", Kind.order)
def ids_in_any_order(patch: Patch) -> None:
    """A claim by batch ids is granted whatever the order of the ids."""

    def around(original: Any, store: Any, session_id: str, *rest: Any) -> Any:
        *facts, ids = rest
        rows = ask(store, "SELECT batch_id FROM batches ORDER BY enqueue_seq")
        places = {batch_id: place for place, (batch_id,) in enumerate(rows)}
        return original(store, session_id, *facts, tuple(sorted(ids, key=lambda each: places.get(each, len(places)))))

    wrap(patch, "claim_ready_queued_work_by_batch_ids", around)


@bug("QCLAIM-11", Kind.half)
def refused_ids_stay_claimed(patch: Patch) -> None:
    """A claim by batch ids that answers none keeps what it took for a moment."""

    def around(original: Any, store: Any, session_id: str, *rest: Any) -> Any:
        *facts, ids = rest
        taken = store.claim_ready_queued_work(session_id, *facts, len(ids))
        return taken if taken is not None and taken.completion().batch_ids == ids else None

    wrap(patch, "claim_ready_queued_work_by_batch_ids", around)


@bug("GEN-6", Kind.stale, "queued_work", also=("QCLAIM-14",))
def claim_under_an_expired_fence(patch: Patch) -> None:
    """A claim of queued work is granted under a lease that has expired, as long as nobody else took the lane."""
    reworded(patch, queued_work, "READY", " AND expires_at > ?", " AND ? >= 0")


@bug("GEN-2", Kind.edge, "queued_work")
def claim_spares_at_the_expiry(patch: Patch) -> None:
    """A batch cannot be taken over yet at the very instant at which its claim expires."""
    reworded(patch, queued_work, "READY", "claim_expires_at <= ?", "claim_expires_at < ?")


@bug("GEN-12", Kind.liveness, "queued_work")
def doubtful_holder_dispossessed(patch: Patch) -> None:
    """A claim is taken from a live holder whose process cannot be told."""

    judged = claim.dead_to

    def dead_to(holder: Any, claimant: Any, alive: Callable[[int, str], Alive]) -> bool:
        doubtless = {Alive.yes: Alive.yes, Alive.no: Alive.no, Alive.unknown: Alive.no}
        return judged(holder, claimant, lambda *process: doubtless[alive(*process)])

    within(patch, "claim_ready_queued_work", claim, dead_to=dead_to)


@bug("GEN-17", Kind.reused, "queued_work")
def claims_numbered_by_what_is_queued(patch: Patch) -> None:
    """Claim id and lease token are made of the number of batches that are queued and held, so that they come back."""

    def around(original: Any, store: Any, *arguments: Any) -> Any:
        ((queued, held),) = ask(store, "SELECT count(*), count(claim_token) FROM batches")
        granted, name = claim.granted, f"qwc-{queued}-{held}"
        with Patch() as inner:
            inner.setattr(queued_work, "granted", lambda *rest: granted(*rest)._replace(claim_id=name, lease_token=name))
            return original(store, *arguments)

    wrap(patch, "claim_ready_queued_work", around)
