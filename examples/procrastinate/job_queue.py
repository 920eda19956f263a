"""Leases and queued work over procrastinate, a job queue on PostgreSQL: its tables, its calls, its word on who has stalled.

* A lane that is held is a running job with a lock, and every acquisition a job of its own: their number is the fencing token.
* A batch of work is a job, in a queue for each session; a claim is a worker that has fetched some.
* A time to live is a heartbeat: a worker that has not sent one for so long has stalled, which is for procrastinate to say.

The library keeps neither owners nor times to live: they stand with the arguments of the jobs.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from fencepost.kit import declares
from fencepost.spec import (
    Backend,
    DeliveryPolicy,
    LeaseOwnerIdentity,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkClaimExpired,
    SessionExecutionLeaseFence,
    SlotPolicy,
)
from fencepost.spec.queued_work import QueuedWorkClass, QueuedWorkItem
from fencepost.statemachines.environment import USUAL, Environment
from lanes import Lanes
from msgspec.structs import replace
from procrastinate import exceptions
from procrastinate.jobs import Job
from procrastinate.types import JSONDict
from running_jobs import after, call, emptied, kept, opened, queue, text

LATEST_MS = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * 1000
"""No job is scheduled later: Python's datetimes end there."""


class JobQueue(Lanes):
    """The calls of `QueuedWorkStore`, each a coroutine, beside those of leases."""

    @call
    async def enqueue_queued_work(self, batch: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        """See `QueuedWorkStore`. The source key is a queueing lock."""
        name = queue("work", batch.session_id)
        lock = None if batch.source_key is None else f"{name}:{json.dumps(batch.source_key)}"
        ready = datetime.fromtimestamp(min(batch.available_at_ms, LATEST_MS) / 1000, UTC)
        arguments: JSONDict = {"batch": text(batch), "enqueued_at_ms": self._clock()}
        job = Job(queue=name, lock=None, queueing_lock=lock, task_name="work", task_kwargs=arguments, scheduled_at=ready)
        try:
            return _batch(await self._jobs.defer_job_async(job))
        except exceptions.AlreadyEnqueued:
            (waiting,) = await self._jobs.list_jobs_async(queueing_lock=lock, status="todo")
            return _batch(waiting)

    @call
    async def claim_leading_ready_session_command(
        self, session_id: str, session_execution_lease: SessionExecutionLeaseFence, owner: LeaseOwnerIdentity, lease_ttl_ms: int
    ) -> QueuedWorkClaim | None:
        """See `QueuedWorkStore`."""
        ready = await self._ready(session_id, session_execution_lease, owner)
        if not ready or ready[0].work_class is not QueuedWorkClass.SessionCommand:
            return None
        return await self._fetched(session_id, owner, lease_ttl_ms, 1)

    @call
    async def claim_ready_queued_work(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        max_batches: int,
    ) -> QueuedWorkClaim | None:
        """See `QueuedWorkStore`."""
        if max_batches == 0:
            return None
        group = _group(await self._ready(session_id, session_execution_lease, owner), boundary)[:max_batches]
        return await self._fetched(session_id, owner, lease_ttl_ms, len(group)) if group else None

    @call
    async def claim_ready_queued_work_by_batch_ids(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        boundary: QueuedWorkClaimBoundary,
        lease_ttl_ms: int,
        batch_ids: tuple[str, ...],
    ) -> QueuedWorkClaim | None:
        """See `QueuedWorkStore`."""
        if not batch_ids:
            return None
        group = _group(await self._ready(session_id, session_execution_lease, owner), boundary)[: len(batch_ids)]
        if tuple(each.batch_id for each in group) != batch_ids:
            return None
        return await self._fetched(session_id, owner, lease_ttl_ms, len(group))

    @call
    async def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> QueuedWorkClaim:
        """See `QueuedWorkStore`."""
        held = await self._held(claim)
        if len(held) != len(claim.batches):
            raise QueuedWorkClaimExpired(claim.session_id, claim.claim_id)
        for job in held:
            await self._beat(job, lease_ttl_ms)
        return replace(claim, expires_at_epoch_ms=after(self._clock(), lease_ttl_ms))

    @call
    async def abandon_queued_work_claim(self, claim: QueuedWorkClaim) -> None:
        """See `QueuedWorkStore`."""
        for job in await self._held(claim):
            await self._give_back(job)

    @call
    async def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        """See `QueuedWorkStore`."""
        for job in await self._work(session_id):
            if str(job.id) == batch_id:
                if job.status == "doing" and await self._has_stalled(job):
                    await self._give_back(job)
                assert job.id is not None  # it comes from the table
                is_gone = await self._jobs.cancel_job_by_id_async(job.id, delete_job=True)
                return _batch(job) if is_gone else None
        return None

    @call
    async def list_queued_work(self, session_id: str) -> tuple[QueuedWorkBatch, ...]:
        """See `QueuedWorkStore`."""
        return tuple(_batch(job) for job in await self._work(session_id))

    @call
    async def list_pending_queued_work(self, session_id: str) -> tuple[QueuedWorkBatch, ...]:
        """See `QueuedWorkStore`."""
        jobs = await self._work(session_id)
        return tuple([_batch(job) for job in jobs if job.status == "todo" or await self._has_stalled(job)])

    async def _work(self, session_id: str) -> list[Job]:
        return list(await self._jobs.list_jobs_async(queue=queue("work", session_id)))

    async def _held(self, claim: QueuedWorkClaim) -> list[Job]:
        """The jobs that the claim's worker has, in order."""
        if claim.claim_id != claim.lease_token:
            return []
        return [
            job for job in await self._work(claim.session_id) if job.status == "doing" and str(job.worker_id) == claim.claim_id
        ]

    async def _ready(
        self, session_id: str, fence: SessionExecutionLeaseFence, owner: LeaseOwnerIdentity
    ) -> list[QueuedWorkBatch]:
        """What could be fetched, in order, once what was fetched by the stalled and the dead is given back."""
        await self._fenced(session_id, fence)
        for job in await self._work(session_id):
            if job.status == "doing" and (await self._has_stalled(job) or self._is_dead(_claimant(job), owner)):
                await self._give_back(job)
        waiting = [_batch(job) for job in await self._work(session_id) if job.status == "todo"]
        ready = [batch for batch in waiting if batch.available_at_ms <= self._clock()]
        if any(batch.work_class is None for batch in ready):
            raise Backend(f"session {session_id!r} has queued work of no class")
        return ready

    async def _give_back(self, job: Job) -> None:
        assert job.scheduled_at is not None  # every batch is scheduled
        await self._jobs.retry_job(job, retry_at=job.scheduled_at)

    async def _fetched(self, session_id: str, owner: LeaseOwnerIdentity, ttl_ms: int, count: int) -> QueuedWorkClaim:
        """A worker of its own fetches so many jobs."""
        worker, now = await self._jobs.register_worker(), self._clock()
        fetched = [await self._jobs.fetch_job([queue("work", session_id)], worker) for _ in range(count)]
        jobs = [job for job in fetched if job is not None]
        if not jobs:
            raise Backend(f"another caller took the work of session {session_id!r} meanwhile: try again")
        for job in jobs:
            await self._keep(job, owner=text(owner), ttl_ms=ttl_ms)
        batches = tuple(map(_batch, jobs))
        # the library counts the attempts that are over
        counter = jobs[0].attempts + 1
        return QueuedWorkClaim(session_id, str(worker), owner, str(worker), counter, now, after(now, ttl_ms), batches)


def _group(ready: list[QueuedWorkBatch], boundary: QueuedWorkClaimBoundary) -> list[QueuedWorkBatch]:
    """The first batch, if it is turn work that may be taken here, with those right behind it that may join."""
    if not ready or ready[0].work_class is not QueuedWorkClass.TurnWork:
        return []
    head = ready[0]
    if (
        boundary is QueuedWorkClaimBoundary.ActiveTurnCheckpoint
        and head.delivery_policy is not DeliveryPolicy.EarliestSafeBoundary
    ):
        return []
    joined = [head]
    for batch in ready[1:] if head.slot_policy is SlotPolicy.Join else []:
        alike = (batch.slot_policy, batch.delivery_policy, batch.merge_key, batch.work_class)
        if alike != (head.slot_policy, head.delivery_policy, head.merge_key, head.work_class):
            break
        joined.append(batch)
    return joined


def _claimant(job: Job) -> LeaseOwnerIdentity:
    owner: LeaseOwnerIdentity = kept(job, LeaseOwnerIdentity, "owner")
    return owner


def _batch(job: Job) -> QueuedWorkBatch:
    draft: QueuedWorkBatchDraft = kept(job, QueuedWorkBatchDraft, "batch")
    number = job.id
    assert number is not None  # it comes from the table
    return QueuedWorkBatch(
        str(number),
        draft.session_id,
        number,
        draft.source_key,
        draft.delivery_policy,
        draft.slot_policy,
        draft.merge_key,
        draft.available_at_ms,
        int(str(job.task_kwargs["enqueued_at_ms"])),
        tuple(QueuedWorkItem(f"{number}:item:{place}", payload) for place, payload in enumerate(draft.payloads)),
    )


@declares(*USUAL, chapters=("lease", "queued_work"))
async def factory(environment: Environment) -> AsyncIterator[JobQueue]:
    """The store as the library has it."""
    async with opened() as app:
        await emptied(app, environment.clock())
        yield JobQueue(app, environment)


@declares(*USUAL, chapters=("lease", "queued_work"))
async def a_millisecond_early(environment: Environment) -> AsyncIterator[JobQueue]:
    """The same, with workers that count as stalled a millisecond earlier: a time to live is then over when it has passed."""
    async with opened() as app:
        await emptied(app, environment.clock())
        yield JobQueue(app, environment, early_ms=1)
