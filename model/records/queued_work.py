"""One batch of queued work: the record that decides whether it can be claimed, and with what."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar

import msgspec
from fencepost.spec import (
    U64_MAX,
    DeliveryPolicy,
    LeaseOwnerIdentity,
    MergeKey,
    QueuedWorkClaimBoundary,
    QueuedWorkItem,
    SlotPolicy,
)
from immutables import Map

from ..contracts import ensure, require
from . import claim as claims
from .claim import ClaimProof, ClaimRecord, Issued

P = TypeVar("P")
H = TypeVar("H")
K = TypeVar("K")


class Kind(enum.Enum):
    """What a batch is; without a class of its own it is poisoned, and no claim can pass it (QCLAIM-5)."""

    command = "command"
    work = "work"
    poisoned = "poisoned"


@dataclass(frozen=True, slots=True)
class BatchRecord(Generic[K, P, H]):
    """What decides about a batch."""

    kind: Kind
    delivery: DeliveryPolicy
    slot: SlotPolicy
    merge_key: K
    available_at: int
    claim: ClaimRecord[P, H]


def valid(record: BatchRecord[K, P, H]) -> bool:
    """What every reachable record satisfies."""
    return claims.valid(record.claim) and 0 <= record.available_at <= U64_MAX


@require(lambda record: valid(record))
@ensure(
    lambda record, now, result: not result or record.available_at <= now, "QUEUE-6", "a batch is not seen before it is ready"
)
@ensure(
    lambda record, dead, now, result: not result or claims.takeable(record.claim, dead, now),
    "QCLAIM-2",
    "a batch is seen only if it can be taken",
)
@ensure(
    lambda record, dead, now, result: result or record.available_at > now or (claims.live(record.claim, now) and not dead),
    "QCLAIM-2",
    "a ready batch that can be taken is seen",
)
def candidate(record: BatchRecord[K, P, H], dead: bool, now: int) -> bool:
    """Whether claims see the batch at all: ready, and not held."""
    return record.available_at <= now and claims.takeable(record.claim, dead, now)


@ensure(lambda record, result: not result or record.kind is Kind.work, "QCLAIM-4", "only turn work leads a claim of work")
@ensure(
    lambda record, boundary, result: (
        boundary is QueuedWorkClaimBoundary.Idle or not result or record.delivery is DeliveryPolicy.EarliestSafeBoundary
    ),
    "QCLAIM-4",
    "at a checkpoint only work for the earliest boundary leads",
)
@ensure(
    lambda record, boundary, result: (
        result
        or record.kind is not Kind.work
        or (boundary is not QueuedWorkClaimBoundary.Idle and record.delivery is not DeliveryPolicy.EarliestSafeBoundary)
    ),
    "QCLAIM-4",
    "turn work that may be delivered here leads",
)
def leads(record: BatchRecord[K, P, H], boundary: QueuedWorkClaimBoundary) -> bool:
    """Whether the first candidate may be claimed here as turn work."""
    if record.kind is not Kind.work:
        return False
    return boundary is QueuedWorkClaimBoundary.Idle or record.delivery is DeliveryPolicy.EarliestSafeBoundary


@ensure(
    lambda head, record, result: not result or (head.slot is SlotPolicy.Join and record.slot is SlotPolicy.Join),
    "QCLAIM-4",
    "batches join only if both say so",
)
@ensure(
    lambda head, record, result: not result or record.delivery is head.delivery,
    "QCLAIM-4",
    "batches join only with one delivery",
)
@ensure(
    lambda head, record, result: not result or record.merge_key == head.merge_key,
    "QCLAIM-6",
    "batches join only with one merge key",
)
@ensure(lambda record, result: not result or record.kind is Kind.work, "QCLAIM-4", "only turn work joins")
@ensure(
    lambda head, record, result: (
        result
        or record.kind is not Kind.work
        or not (head.slot is SlotPolicy.Join and record.slot is SlotPolicy.Join)
        or record.delivery is not head.delivery
        or record.merge_key != head.merge_key
    ),
    "QCLAIM-4",
    "turn work that is alike joins",
)
def joins(head: BatchRecord[K, P, H], record: BatchRecord[K, P, H]) -> bool:
    """Whether the next candidate shares the head's claim."""
    return (
        record.kind is Kind.work
        and head.slot is SlotPolicy.Join
        and record.slot is SlotPolicy.Join
        and record.delivery is head.delivery
        and record.merge_key == head.merge_key
    )


@require(lambda record: valid(record))
@ensure(
    lambda record, now, result: result == (not claims.live(record.claim, now)),
    "QUEUE-INV-5",
    "a batch waits exactly while no live claim holds it",
)
def pending(record: BatchRecord[K, P, H], now: int) -> bool:
    """Whether the batch waits, held by no live claim: it is listed, and can be cancelled (QUEUE-8, QUEUE-9)."""
    return not claims.live(record.claim, now)


@require(lambda record: valid(record))
@require(lambda record, now, ttl: claims.room(record.claim) and 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(
    lambda record, result: result == replace(record, claim=result.claim),
    "QUEUE-INV-6",
    "a claim changes nothing of a batch but its claim",
)
@ensure(
    lambda record, result: result.claim.fencing_token == record.claim.fencing_token + 1,
    "GEN-16",
    "each claim raises the batch's fencing token by exactly one",
)
@ensure(lambda result, proof: claims.holds(result.claim, proof), "GEN-9", "the new holder's proof holds the batch")
def taken(record: BatchRecord[K, P, H], proof: P, owner: H, now: int, ttl: int) -> BatchRecord[K, P, H]:
    """The batch under a new claim."""
    return replace(record, claim=claims.granted(record.claim, proof, owner, now, ttl))


@require(lambda record, free: valid(record) and claims.valid(free) and not free.held)
@ensure(
    lambda record, result: result == replace(record, claim=result.claim),
    "QUEUE-INV-6",
    "giving back changes nothing of a batch but its claim",
)
@ensure(
    lambda record, proof, result: claims.holds(record.claim, proof) or result == record,
    "QABANDON-1",
    "only the claim that holds a batch gives it back",
)
@ensure(
    lambda record, proof, result: not claims.holds(record.claim, proof) or pending(result, 0),
    "QABANDON-1",
    "a batch given back waits again",
)
@ensure(
    lambda record, result: result.claim.fencing_token == record.claim.fencing_token,
    "GEN-16",
    "a batch given back keeps its count",
)
def abandoned(record: BatchRecord[K, P, H], proof: P, free: ClaimRecord[P, H]) -> BatchRecord[K, P, H]:
    """The batch given back, if the proof is of its claim."""
    if not claims.holds(record.claim, proof):
        return record
    return replace(record, claim=claims.cleared(record.claim, free))


def with_claim(record: BatchRecord[K, P, H], claim: ClaimRecord[P, H]) -> BatchRecord[K, P, H]:
    """The batch under this claim."""
    return replace(record, claim=claim)


LiveBatch: TypeAlias = BatchRecord[MergeKey, ClaimProof, LeaseOwnerIdentity | None]


class BatchRow(msgspec.Struct, frozen=True, cache_hash=True):
    """A submitted batch: what never changes, and the record that decides about it."""

    batch_id: str
    enqueue_seq: int
    source_key: str | None
    enqueued_at: int
    items: tuple[QueuedWorkItem, ...]
    record: LiveBatch


class QueueState(msgspec.Struct, frozen=True, cache_hash=True):
    """The batches of each session in admission order, and what was ever answered and must not come again: ids, and claims.

    `freed` are the keys of batches that are gone.
    """

    rows: Map[str, tuple[BatchRow, ...]] = Map()
    ids: Map[str, bool] = Map()
    last_seq: int = 0
    freed: Map[tuple[str, str], bool] = Map()
    claims: Issued = Issued()

    def of(self, session_id: str) -> tuple[BatchRow, ...]:
        """The session's batches."""
        return self.rows.get(session_id, ())
