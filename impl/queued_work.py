"""Queued work: submitting, claiming, renewing, cancelling batches, in one table with one row per batch that is not done.

A claim reads of every batch of the session that could be taken what decides, and no payload: which kinds of payloads a batch
holds stands beside them, and its class follows from that (QUEUE-5). The decisions stand alone at the top.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

from msgspec.structs import replace

from ..spec import (
    Backend,
    DeliveryPolicy,
    LeaseOwnerIdentity,
    MergeKey,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkClaimExpired,
    QueuedWorkClass,
    QueuedWorkItem,
    QueuedWorkPayload,
    QueuedWorkStore,
    SessionExecutionLeaseFence,
    SlotPolicy,
    saturating_add,
)
from ..spec.contracts import ensures
from .claim import (
    FREE,
    OF_SESSION,
    OWNED,
    SET_FREE,
    SET_GRANT,
    UNCLAIMED,
    Grant,
    Hold,
    claiming,
    following,
    fresh,
    grant_facts,
    granted,
    hold_of,
    line,
    numbered,
    numbering,
    of_session,
    owned,
    read_claimable,
    require_own,
)
from .encoding import decoded, encoded, lookup, number_of
from .engine import Contention, Engine, Row, Statement, guarding, one_of
from .lease import fence_facts
from .store import DuckDBStore


class Policies(NamedTuple):
    """What has to be equal of batches that share a claim, but for their class."""

    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    merge_key: MergeKey


class Candidate(NamedTuple):
    """What of a batch decides whether it can be claimed."""

    enqueue_seq: int
    batch_id: str
    work_class: QueuedWorkClass
    policies: Policies
    hold: Hold


def kinds_of(payloads: Iterable[QueuedWorkPayload]) -> str:
    """The kinds of the payloads, by their tags, each once."""
    return " ".join(sorted({str(payload.__struct_config__.tag) for payload in payloads}))


CLASSES = {"process_wake": QueuedWorkClass.TurnWork, "session_command": QueuedWorkClass.SessionCommand}
"""The class of a batch whose payloads are all of this kind; any other batch has none (QUEUE-5)."""


@ensures(lambda candidates, result: result == list(candidates[:1]) or not result, "QCLAIM-3")
def leading_command(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The first candidate, if it is a session command (QCLAIM-3)."""
    return [each for each in candidates[:1] if each.work_class is QueuedWorkClass.SessionCommand]


@ensures(lambda candidates, most, result: result == list(candidates[: len(result)]) and len(result) <= most, "QCLAIM-4")
@ensures(lambda result: all(each.work_class is QueuedWorkClass.TurnWork for each in result), "QCLAIM-4")
@ensures(lambda result: len({each.policies for each in result}) <= 1, "QCLAIM-6")
def leading_group(candidates: Sequence[Candidate], boundary: QueuedWorkClaimBoundary, most: int) -> list[Candidate]:
    """The first candidate, if it is turn work that may be taken at this boundary, and those that join it (QCLAIM-4)."""
    if not candidates or candidates[0].work_class is not QueuedWorkClass.TurnWork:
        return []
    head = candidates[0]
    delivery_policy, slot_policy, _ = head.policies
    if boundary is QueuedWorkClaimBoundary.ActiveTurnCheckpoint and delivery_policy is not DeliveryPolicy.EarliestSafeBoundary:
        return []
    if slot_policy is SlotPolicy.Exclusive:
        return [head]
    joined = takewhile(lambda each: (each.work_class, each.policies) == (head.work_class, head.policies), candidates)
    return list(joined)[:most]


COLUMNS = """enqueue_seq, batch_id, session_id, source_key, delivery_policy, slot_policy, merge_key, available_at,
    enqueued_at, payloads"""

READ_BEFORE = Statement(
    "read the last number and the batch of the key",
    f"""SELECT last_number, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM guards WHERE name = 'batches'
    UNION ALL SELECT {COLUMNS} FROM batches WHERE key_lookup = ?""",
)
INSERT = Statement(
    "store the batch",
    f"""WITH {numbering("batches")}
    INSERT INTO batches SELECT last_number, ?, ?, ?, ?, CASE WHEN ? THEN last_number ELSE 0 END, ?, ?, ?, ?, ?, ?, ?, ?,
    {UNCLAIMED} FROM numbered""",
)
READY = line(
    "batches",
    "enqueue_seq, batch_id, kinds, delivery_policy, slot_policy, merge_key",
    f"{OF_SESSION} AND available_at <= ?",
    "place",
)
LIST = Statement("list the batches", f"SELECT {COLUMNS} FROM batches WHERE {OF_SESSION} ORDER BY enqueue_seq")
LIST_PENDING = Statement(
    "list the pending batches", f"SELECT {COLUMNS} FROM batches WHERE {OF_SESSION} AND {FREE} ORDER BY enqueue_seq"
)
RENEW = Statement("renew the claim", f"{guarding('batches')} UPDATE batches SET claim_expires_at = ? WHERE {OWNED}")
ABANDON = Statement("abandon the claim", f"{guarding('batches')} UPDATE batches SET {SET_FREE} WHERE {OWNED}")
CANCEL = Statement(
    "cancel the batch",
    f"""{guarding("batches")} DELETE FROM batches
    WHERE batch_id = ? AND CASE WHEN session_id = ? AND ({FREE}) THEN true ELSE false END RETURNING {COLUMNS}""",
)


class DuckDBQueuedWorkStore(DuckDBStore, QueuedWorkStore):
    """The nine calls of queued work."""

    def enqueue_queued_work(self, batch: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        """See `QueuedWorkStore`. Two statements; one for a key that exists."""
        now = self._now()
        engine = self._engine
        return engine.again("submit the batch", lambda: _submitted(engine, batch, now))

    def claim_leading_ready_session_command(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        lease_ttl_ms: int,
    ) -> QueuedWorkClaim | None:
        """See `QueuedWorkStore`. Three statements; two if there is nothing to claim."""
        return self._claim_work(session_id, session_execution_lease, owner, lease_ttl_ms, 1, leading_command)

    def claim_ready_queued_work(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        max_batches: int,
    ) -> QueuedWorkClaim | None:
        """See `QueuedWorkStore`. Three statements; two if there is nothing to claim, none if nothing is asked for."""

        return self._claim_group(session_id, session_execution_lease, owner, boundary, lease_ttl_ms, max_batches)

    def claim_ready_queued_work_by_batch_ids(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        batch_ids: tuple[str, ...],
    ) -> QueuedWorkClaim | None:
        """See `QueuedWorkStore`. Three statements; two if there is nothing to claim, none if nothing is asked for.

        What would be claimed instead counts a claim, and nobody sees it held (QCLAIM-13).
        """

        most = len(batch_ids)
        return self._claim_group(session_id, session_execution_lease, owner, boundary, lease_ttl_ms, most, batch_ids)

    def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> QueuedWorkClaim:
        """See `QueuedWorkStore`. One statement; what it extended stays so if it is refused (QRENEW-3)."""
        expires_at = saturating_add(self._now(), lease_ttl_ms)
        renewed = self._engine.once(RENEW, (expires_at, *owned(claim)))
        if renewed != [(len(claim.batches),)]:
            raise QueuedWorkClaimExpired(claim.session_id, claim.claim_id)
        return replace(claim, expires_at_epoch_ms=expires_at)

    def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """See `QueuedWorkStore`. One statement."""
        self._engine.once(ABANDON, owned(claim))

    def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        """See `QueuedWorkStore`. Two statements: a batch that cannot be read is not removed either."""
        now = self._now()
        engine = self._engine

        def cancel() -> QueuedWorkBatch | None:
            rows = engine.execute(CANCEL, (batch_id, session_id, now))
            return _batch(rows[0]) if rows else None

        return engine.transaction("cancel the batch", cancel, ("batches",))

    def list_queued_work(self, session_id: str) -> tuple[QueuedWorkBatch, ...]:
        """See `QueuedWorkStore`. One statement."""
        return tuple(map(_batch, self._engine.once(LIST, of_session(session_id))))

    def list_pending_queued_work(self, session_id: str) -> tuple[QueuedWorkBatch, ...]:
        """See `QueuedWorkStore`. One statement."""
        return tuple(map(_batch, self._engine.once(LIST_PENDING, (*of_session(session_id), self._now()))))

    def _claim_group(
        self,
        session_id: str,
        fence: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        boundary: QueuedWorkClaimBoundary,
        ttl: int,
        most: int,
        batch_ids: tuple[str, ...] | None = None,
    ) -> QueuedWorkClaim | None:
        def choose(candidates: Sequence[Candidate]) -> list[Candidate]:
            return leading_group(candidates, boundary, most)

        return self._claim_work(session_id, fence, owner, ttl, most, choose, batch_ids)

    def _claim_work(
        self,
        session_id: str,
        fence: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        ttl: int,
        most: int,
        choose: Callable[[Sequence[Candidate]], list[Candidate]],
        batch_ids: tuple[str, ...] | None = None,
    ) -> QueuedWorkClaim | None:
        engine = self._engine
        if most == 0:
            return None
        now = self._now()
        require_own(session_id, fence)

        def claim() -> QueuedWorkClaim | None:
            facts = (*of_session(session_id), now)
            rows = read_claimable(engine, READY, fence, now, facts, most, owner, self._alive)
            chosen = choose(_candidates(rows))
            if not chosen:
                return None
            if batch_ids is not None and tuple(each.batch_id for each in chosen) != batch_ids:
                _pass_by(engine, fence, now, chosen)
                return None
            grant = granted("qwc", chosen[0].enqueue_seq, chosen[0].hold, owner, now, ttl)
            claim_id, lease_token, _, fencing_token, claimed_at, expires_at = grant
            batches = _write_claim(engine, fence, grant, chosen)
            return QueuedWorkClaim(session_id, claim_id, owner, lease_token, fencing_token, claimed_at, expires_at, batches)

        return engine.transaction("claim batches", claim, ("batches",))


def _submitted(engine: Engine, draft: QueuedWorkBatchDraft, now: int) -> QueuedWorkBatch:
    key = None if draft.source_key is None else lookup(draft.session_id, draft.source_key)
    last, rows = numbered(engine.execute(READ_BEFORE, (key,)))
    for stored in map(_batch, rows):
        if (stored.session_id, stored.source_key) == (draft.session_id, draft.source_key):
            return stored  # whatever the draft says besides (QUEUE-2)
    number = following(last)
    new = _new_batch(draft, number, fresh(number), now)
    kinds = kinds_of(draft.payloads)
    names = (new.batch_id, key, number_of(new.session_id), new.session_id, kinds in CLASSES, new.source_key)
    policies = (new.delivery_policy.value, new.slot_policy.value, encoded(new.merge_key))
    rest = (new.available_at_ms, now, kinds, encoded(draft.payloads))
    if engine.execute(INSERT, (last, *names, *policies, *rest)) != [(1,)]:
        raise Contention("another batch was submitted meanwhile")
    return new


@ensures(lambda draft, result: tuple(item.payload for item in result.items) == draft.payloads, "QUEUE-1")
def _new_batch(draft: QueuedWorkBatchDraft, enqueue_seq: int, batch_id: str, now: int) -> QueuedWorkBatch:
    return QueuedWorkBatch(
        batch_id,
        draft.session_id,
        enqueue_seq,
        draft.source_key,
        draft.delivery_policy,
        draft.slot_policy,
        draft.merge_key,
        draft.available_at_ms,
        now,
        _items(batch_id, draft.payloads),
    )


def _items(batch_id: str, payloads: Iterable[QueuedWorkPayload]) -> tuple[QueuedWorkItem, ...]:
    return tuple(QueuedWorkItem(f"{batch_id}:item:{index}", payload) for index, payload in enumerate(payloads))


def _candidates(rows: Iterable[Row]) -> list[Candidate]:
    """The batches that may be taken. Raises `Backend` if one of them has no class (QCLAIM-5)."""
    candidates = []
    for enqueue_seq, batch_id, kinds, delivery_policy, slot_policy, merge_key, *held_by in rows:
        if kinds not in CLASSES:
            raise Backend(f"batch number {enqueue_seq} holds {kinds or 'nothing'}: it has no class, cancel it")
        policies = _policies(delivery_policy, slot_policy, merge_key)
        candidates.append(Candidate(enqueue_seq, batch_id, CLASSES[kinds], policies, hold_of(*held_by)))
    return candidates


def _write_claim(
    engine: Engine, fence: SessionExecutionLeaseFence, grant: Grant, chosen: Sequence[Candidate]
) -> tuple[QueuedWorkBatch, ...]:
    listed, numbers = one_of([each.enqueue_seq for each in chosen], "UBIGINT")
    sql = f"""{claiming("batches")}, claimed AS (UPDATE batches SET {SET_GRANT} WHERE enqueue_seq IN {listed})
        SELECT {COLUMNS} FROM batches WHERE enqueue_seq IN {listed}"""
    parameters = (*fence_facts(fence, grant.claimed_at), *grant_facts(grant), *numbers, *numbers)
    batches = tuple(map(_batch, sorted(engine.execute(Statement("claim the batches", sql), parameters))))
    if [batch.work_class for batch in batches] != [each.work_class for each in chosen]:
        raise Backend("the stored batches are damaged: their payloads are not of the kinds that stand beside them")
    return batches


def _pass_by(engine: Engine, fence: SessionExecutionLeaseFence, now: int, chosen: Sequence[Candidate]) -> None:
    """Leave the batches free that a claim would have taken; each counts it all the same (QCLAIM-13)."""
    listed, numbers = one_of([each.enqueue_seq for each in chosen], "UBIGINT")
    sql = f"""{claiming("batches")} UPDATE batches SET {SET_FREE}, claim_fencing_token = claim_fencing_token + 1
        WHERE enqueue_seq IN {listed}"""
    engine.execute(Statement("pass the batches by", sql), (*fence_facts(fence, now), *numbers))


def remove_batches(engine: Engine, numbers: Iterable[int]) -> None:
    """Remove completed batches, as a part of a commit (COMMIT-14)."""
    listed, values = one_of(list(numbers), "UBIGINT")
    engine.execute(
        Statement("remove the batches", f"{guarding('batches')} DELETE FROM batches WHERE enqueue_seq IN {listed}"), values
    )


def _policies(delivery_policy: str, slot_policy: str, merge_key: str) -> Policies:
    try:
        return Policies(DeliveryPolicy(delivery_policy), SlotPolicy(slot_policy), decoded(MergeKey, merge_key, "merge key"))
    except ValueError as error:
        raise Backend(f"the stored batch cannot be read: {error}") from error


def _batch(row: Row) -> QueuedWorkBatch:
    enqueue_seq, batch_id, session_id, source_key, delivery_policy, slot_policy, merge_key, *times, text = row
    available_at, enqueued_at = times
    payloads = decoded(tuple[QueuedWorkPayload, ...], text, "payloads of a batch")
    return QueuedWorkBatch(
        batch_id,
        session_id,
        enqueue_seq,
        source_key,
        *_policies(delivery_policy, slot_policy, merge_key),
        available_at,
        enqueued_at,
        _items(batch_id, payloads),
    )
