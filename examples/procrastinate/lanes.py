"""Leases: a lane that is held is a running job with a lock."""

from __future__ import annotations

from fencepost.spec import (
    Acquired,
    Backend,
    Busy,
    LeaseOwnerIdentity,
    SessionExecutionLease,
    SessionExecutionLeaseClaimOutcome,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseExpired,
    SessionExecutionLeaseFence,
)
from fencepost.spec.lease import LeaseProof
from msgspec.structs import replace
from procrastinate.jobs import Job, Status
from procrastinate.types import JSONDict
from running_jobs import Jobs, after, call, kept, queue, text


class Lanes(Jobs):
    """The calls of `SessionExecutionLeaseStore`, each a coroutine."""

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
        return next(iter(await self._jobs.list_jobs_async(queue=queue("lane", session_id), status="doing")), None)

    async def _live(self, session_id: str) -> Job | None:
        """The running job of the lane, unless its worker has stalled."""
        job = await self._holding(session_id)
        return None if job is None or await self._has_stalled(job) else job

    async def _fenced(self, session_id: str, fence: SessionExecutionLeaseFence) -> Job:
        job = await self._live(session_id)
        if job is None or fence.session_id != session_id or not _proves(fence, _lease(job)):
            raise SessionExecutionLeaseExpired(session_id)
        return job

    async def _acquired(self, session_id: str, owner: LeaseOwnerIdentity, ttl_ms: int) -> SessionExecutionLease:
        former = await self._holding(session_id)
        if former is not None:
            await self._end(former)
        lane, now = queue("lane", session_id), self._clock()
        worker = await self._jobs.register_worker()
        fencing_token = len(list(await self._jobs.list_jobs_async(queue=lane))) + 1
        lease = SessionExecutionLease(session_id, owner, str(worker), fencing_token, now, after(now, ttl_ms))
        arguments: JSONDict = {"lease": text(lease), "ttl_ms": ttl_ms}
        await self._jobs.defer_job_async(
            Job(queue=lane, lock=lane, queueing_lock=None, task_name="lane", task_kwargs=arguments)
        )
        if await self._jobs.fetch_job([lane], worker) is None:
            raise Backend(f"another caller took the lane of session {session_id!r} meanwhile: try again")
        return lease

    async def _prolonged(self, job: Job, ttl_ms: int) -> SessionExecutionLease:
        lease = replace(_lease(job), expires_at_epoch_ms=after(self._clock(), ttl_ms))
        await self._beat(job, ttl_ms, lease=text(lease))
        return lease

    async def _end(self, job: Job) -> None:
        # it stays in the table: the fencing token counts it
        await self._jobs.finish_job(job, Status.SUCCEEDED, delete_job=False)


def _lease(job: Job) -> SessionExecutionLease:
    lease: SessionExecutionLease = kept(job, SessionExecutionLease, "lease")
    return lease


def _proves(proof: LeaseProof, lease: SessionExecutionLease) -> bool:
    """Whether the proof is of this lease; liveness takes no part."""
    shown = (proof.session_id, proof.owner.incarnation, proof.lease_token, proof.fencing_token)
    return shown == (lease.session_id, lease.owner.incarnation, lease.lease_token, lease.fencing_token)
