"""Leases and queued work over procrastinate, a job queue on PostgreSQL: its tables, its calls, its word on who has stalled.

* A lane that is held is a running job with a lock, and every acquisition a job of its own: their number is the fencing token.
* A batch of work is a job, in a queue for each session; a claim is a worker that has fetched some.
* A time to live is a heartbeat: a worker that has not sent one for so long has stalled, which is for procrastinate to say.

The library keeps neither owners nor times to live: they stand with the arguments of the jobs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar

from fencepost.spec import (
    U64_MAX,
    Acquired,
    Alive,
    Backend,
    Busy,
    DeliveryPolicy,
    LeaseOwnerIdentity,
    LocalProcess,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkClaimExpired,
    SessionExecutionLease,
    SessionExecutionLeaseClaimOutcome,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseExpired,
    SessionExecutionLeaseFence,
    SlotPolicy,
)
from fencepost.spec.lease import LeaseProof
from fencepost.spec.operations import OPERATIONS
from fencepost.spec.queued_work import QueuedWorkClass, QueuedWorkItem
from fencepost.spec.wire import reader_of, to_wire
from fencepost.statemachines.environment import Environment
from msgspec.structs import replace
from postgres_server import conninfo
from procrastinate import App, PsycopgConnector, exceptions
from procrastinate.jobs import Job, Status
from procrastinate.types import JSONDict

T = TypeVar("T")

CENTURY_MS = 100 * 365 * 24 * 3600 * 1000
"""No heartbeat is waited for longer: PostgreSQL's timestamps do not reach back by the longest time to live."""

LATEST_MS = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * 1000
"""No job is scheduled later: Python's datetimes end there."""

KEEP = "UPDATE procrastinate_jobs SET args = %(args)s WHERE id = %(id)s"

CLOCK = """
CREATE SCHEMA clock;
CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT to_timestamp(current_setting('clock.ms')::numeric / 1000) $$;
"""
"""What procrastinate takes for `now()`: it stands before that of PostgreSQL in the search path."""

TABLES = "procrastinate_jobs, procrastinate_events, procrastinate_periodic_defers, procrastinate_workers"


def call(method: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """A call of the protocol: arguments are checked, the clock is set, and what PostgreSQL raises is `Backend`."""
    operation = OPERATIONS[method.__name__]

    @wraps(method)
    async def called(store: JobQueue, *arguments: Any) -> T:
        operation.refuse_invalid(arguments)
        try:
            await store.set_clock()
            return await method(store, *arguments)
        except exceptions.ConnectorException as error:
            raise Backend(f"{method.__name__}: {error.__cause__ or error}") from error

    return called


class JobQueue:
    """The calls of leases and of queued work, on an app that is open."""

    def __init__(self, app: App, environment: Environment, early_ms: int = 0) -> None:
        self._app = app
        self._early_ms = early_ms
        self._jobs = app.job_manager
        self._clock = environment.clock
        self._process_alive = environment.process_alive

    async def set_clock(self) -> None:
        """Let `now()` be the run's instant."""
        await self._app.connector.execute_query_async("SELECT set_config('clock.ms', %(now)s, false)", now=str(self._clock()))

    @call
    async def try_claim_session_execution_lease(
        self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int
    ) -> SessionExecutionLeaseClaimOutcome:
        """See `SessionExecutionLeaseStore`."""
        job = await self._live(session_id)
        if job is None:
            return Acquired(await self._acquired(session_id, owner, lease_ttl_ms))
        if _lease(job).owner.incarnation == owner.incarnation:
            return Acquired(await self._prolonged(job, lease_ttl_ms))
        return Busy(_lease(job))

    @call
    async def reclaim_session_execution_lease(
        self, session_id: str, owner: LeaseOwnerIdentity, observed_holder: SessionExecutionLeaseFence, lease_ttl_ms: int
    ) -> SessionExecutionLeaseClaimOutcome:
        """See `SessionExecutionLeaseStore`."""
        job = await self._live(session_id)
        if job is None or (_proves(observed_holder, _lease(job)) and self._is_dead(_lease(job).owner, owner)):
            return Acquired(await self._acquired(session_id, owner, lease_ttl_ms))
        return Busy(_lease(job))

    @call
    async def renew_session_execution_lease(
        self, fence: SessionExecutionLeaseFence, lease_ttl_ms: int
    ) -> SessionExecutionLease:
        """See `SessionExecutionLeaseStore`."""
        return await self._prolonged(await self._fenced(fence.session_id, fence), lease_ttl_ms)

    @call
    async def release_session_execution_lease(self, completion: SessionExecutionLeaseCompletion) -> None:
        """See `SessionExecutionLeaseStore`."""
        job = await self._holding(completion.session_id)
        if job is not None and _proves(completion, _lease(job)):
            await self._end(job)

    async def _holding(self, session_id: str) -> Job | None:
        """The running job of the lane: its lock lets one run at a time."""
        return next(iter(await self._jobs.list_jobs_async(queue=_queue("lane", session_id), status="doing")), None)

    async def _live(self, session_id: str) -> Job | None:
        """The running job of the lane, unless its worker has stalled."""
        job = await self._holding(session_id)
        return None if job is None or await self._has_stalled(job) else job

    async def _has_stalled(self, job: Job) -> bool:
        ttl_ms = min(int(str(job.task_kwargs["ttl_ms"])), CENTURY_MS) - self._early_ms
        stalled = await self._jobs.get_stalled_jobs(queue=job.queue, seconds_since_heartbeat=ttl_ms / 1000)
        return job.id in [each.id for each in stalled]

    async def _fenced(self, session_id: str, fence: SessionExecutionLeaseFence) -> Job:
        job = await self._live(session_id)
        if job is None or fence.session_id != session_id or not _proves(fence, _lease(job)):
            raise SessionExecutionLeaseExpired(session_id)
        return job

    async def _acquired(self, session_id: str, owner: LeaseOwnerIdentity, ttl_ms: int) -> SessionExecutionLease:
        former = await self._holding(session_id)
        if former is not None:
            await self._end(former)
        lane, now = _queue("lane", session_id), self._clock()
        worker = await self._jobs.register_worker()
        fencing_token = len(list(await self._jobs.list_jobs_async(queue=lane))) + 1
        lease = SessionExecutionLease(session_id, owner, str(worker), fencing_token, now, _after(now, ttl_ms))
        kept: JSONDict = {"lease": _text(lease), "ttl_ms": ttl_ms}
        await self._jobs.defer_job_async(Job(queue=lane, lock=lane, queueing_lock=None, task_name="lane", task_kwargs=kept))
        if await self._jobs.fetch_job([lane], worker) is None:
            raise Backend(f"another caller took the lane of session {session_id!r} meanwhile: try again")
        return lease

    async def _prolonged(self, job: Job, ttl_ms: int) -> SessionExecutionLease:
        lease = replace(_lease(job), expires_at_epoch_ms=_after(self._clock(), ttl_ms))
        await self._beat(job, ttl_ms, lease=_text(lease))
        return lease

    async def _beat(self, job: Job, ttl_ms: int, **changed: Any) -> None:
        """Send the heartbeat of the job's worker, and keep how long it holds."""
        assert job.worker_id is not None  # it is running
        await self._jobs.update_heartbeat(job.worker_id)
        await self._keep(job, ttl_ms=ttl_ms, **changed)

    async def _keep(self, job: Job, **changed: Any) -> None:
        await self._app.connector.execute_query_async(KEEP, id=job.id, args={**job.task_kwargs, **changed})

    async def _end(self, job: Job) -> None:
        # it stays in the table: the fencing token counts it
        await self._jobs.finish_job(job, Status.SUCCEEDED, delete_job=False)

    def _is_dead(self, holder: LeaseOwnerIdentity, claimant: LeaseOwnerIdentity) -> bool:
        held, asking = holder.liveness, claimant.liveness
        return (
            isinstance(held, LocalProcess)
            and isinstance(asking, LocalProcess)
            and (held.host_id, held.boot_id) == (asking.host_id, asking.boot_id)
            and self._process_alive(held.pid, held.process_start) is Alive.no
        )

    @call
    async def enqueue_queued_work(self, batch: QueuedWorkBatchDraft) -> QueuedWorkBatch:
        """See `QueuedWorkStore`. The source key is a queueing lock."""
        queue = _queue("work", batch.session_id)
        lock = None if batch.source_key is None else f"{queue}:{json.dumps(batch.source_key)}"
        ready = datetime.fromtimestamp(min(batch.available_at_ms, LATEST_MS) / 1000, UTC)
        kept: JSONDict = {"batch": _text(batch), "enqueued_at_ms": self._clock()}
        job = Job(queue=queue, lock=None, queueing_lock=lock, task_name="work", task_kwargs=kept, scheduled_at=ready)
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
        return replace(claim, expires_at_epoch_ms=_after(self._clock(), lease_ttl_ms))

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
        return list(await self._jobs.list_jobs_async(queue=_queue("work", session_id)))

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
        fetched = [await self._jobs.fetch_job([_queue("work", session_id)], worker) for _ in range(count)]
        jobs = [job for job in fetched if job is not None]
        if not jobs:
            raise Backend(f"another caller took the work of session {session_id!r} meanwhile: try again")
        for job in jobs:
            await self._keep(job, owner=_text(owner), ttl_ms=ttl_ms)
        batches = tuple(map(_batch, jobs))
        # the library counts the attempts that are over
        counter = jobs[0].attempts + 1
        return QueuedWorkClaim(session_id, str(worker), owner, str(worker), counter, now, _after(now, ttl_ms), batches)


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


def _queue(kind: str, session_id: str) -> str:
    # a queue is the name of a channel too, of which PostgreSQL takes 63 bytes
    return f"{kind}-{hashlib.sha256(session_id.encode()).hexdigest()[:32]}"


def _text(value: Any) -> str:
    # in ASCII: no text of PostgreSQL has the character 0
    return json.dumps(to_wire(value))


def _after(now: int, ttl_ms: int) -> int:
    return min(now + ttl_ms, U64_MAX)


def _kept(job: Job, kind: Any, name: str) -> Any:
    return reader_of(kind)(json.loads(str(job.task_kwargs[name])), name)


def _lease(job: Job) -> SessionExecutionLease:
    lease: SessionExecutionLease = _kept(job, SessionExecutionLease, "lease")
    return lease


def _claimant(job: Job) -> LeaseOwnerIdentity:
    owner: LeaseOwnerIdentity = _kept(job, LeaseOwnerIdentity, "owner")
    return owner


def _batch(job: Job) -> QueuedWorkBatch:
    draft: QueuedWorkBatchDraft = _kept(job, QueuedWorkBatchDraft, "batch")
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


def _proves(proof: LeaseProof, lease: SessionExecutionLease) -> bool:
    """Whether the proof is of this lease; liveness takes no part."""
    shown = (proof.session_id, proof.owner.incarnation, proof.lease_token, proof.fencing_token)
    return shown == (lease.session_id, lease.owner.incarnation, lease.lease_token, lease.fencing_token)


async def factory(environment: Environment) -> AsyncIterator[JobQueue]:
    """The store as the library has it."""
    async with _opened() as app:
        await _emptied(app, environment.clock())
        yield JobQueue(app, environment)


async def a_millisecond_early(environment: Environment) -> AsyncIterator[JobQueue]:
    """The same, with workers that count as stalled a millisecond earlier: a time to live is then over when it has passed."""
    async with _opened() as app:
        await _emptied(app, environment.clock())
        yield JobQueue(app, environment, early_ms=1)


def _opened() -> AbstractAsyncContextManager[App]:
    # one connection, so that the clock is set where it is read
    options = {"options": "-c search_path=clock,public,pg_catalog"}
    app: App = App(connector=PsycopgConnector(conninfo=conninfo(), kwargs=options, min_size=1, max_size=1))
    return app.open_async()


async def _emptied(app: App, now: int) -> None:
    """The tables of procrastinate, made if they are not there."""
    connector = app.connector
    there = await connector.execute_query_one_async("SELECT to_regclass('public.procrastinate_jobs') IS NOT NULL AS there")
    if not there["there"]:
        await connector.execute_query_async(CLOCK)
        await connector.execute_query_async("SELECT set_config('clock.ms', %(now)s, false)", now=str(now))
        await connector.execute_query_async("SET search_path = public, clock, pg_catalog")
        await app.schema_manager.apply_schema_async()
        await connector.execute_query_async("SET search_path = clock, public, pg_catalog")
    await connector.execute_query_async(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
