"""Leases over the `Lock` of redis-py: a key with a time to live, whose value only its holder knows.

The lock has no fencing token, so there is one number for all acquisitions. Who holds it, since when and under which lease token
is its value. Its time is the server's, and nobody can move it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from fencepost.kit import declares
from fencepost.spec import (
    Acquired,
    Alive,
    Backend,
    Busy,
    LeaseOwnerIdentity,
    LocalProcess,
    SessionExecutionLease,
    SessionExecutionLeaseClaimOutcome,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseExpired,
    SessionExecutionLeaseFence,
    SessionExecutionLeaseStore,
)
from fencepost.spec.lease import LeaseProof
from fencepost.spec.liveness import ProcessAlive
from fencepost.spec.wire import reader_of, to_wire
from fencepost.statemachines.environment import Environment
from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock
from redis_server import client

NO_FENCING_TOKEN = 1
"""What is answered where a fencing token is due: the lock has none."""


class Held(NamedTuple):
    """A lock that is held: its value as it stands, and what that says."""

    value: str
    lease: SessionExecutionLease


class RedisLocks(SessionExecutionLeaseStore):
    """The four lease calls, on a lock for each session."""

    def __init__(self, redis: Redis, process_alive: ProcessAlive) -> None:
        self._redis = redis
        self._process_alive = process_alive

    def try_claim_session_execution_lease(
        self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int
    ) -> SessionExecutionLeaseClaimOutcome:
        """See `SessionExecutionLeaseStore`. A lock is not re-entrant: its own holder extends it."""
        with _failing_as_the_law_says():
            held = self._held(session_id)
            if held is None:
                return self._acquired(session_id, owner, lease_ttl_ms)
            if held.lease.owner.incarnation == owner.incarnation:
                return Acquired(self._extended(held, lease_ttl_ms))
            return Busy(held.lease)

    def reclaim_session_execution_lease(
        self, session_id: str, owner: LeaseOwnerIdentity, observed_holder: SessionExecutionLeaseFence, lease_ttl_ms: int
    ) -> SessionExecutionLeaseClaimOutcome:
        """See `SessionExecutionLeaseStore`. The lock of the dead is released for them, as who knows its value can."""
        with _failing_as_the_law_says():
            held = self._held(session_id)
            if held is None:
                return self._acquired(session_id, owner, lease_ttl_ms)
            if not (_proves(observed_holder, held.lease) and self._is_dead(held.lease.owner, owner)):
                return Busy(held.lease)
            self._released(held)
            return self._acquired(session_id, owner, lease_ttl_ms)

    def renew_session_execution_lease(self, fence: SessionExecutionLeaseFence, lease_ttl_ms: int) -> SessionExecutionLease:
        """See `SessionExecutionLeaseStore`."""
        with _failing_as_the_law_says():
            held = self._held(fence.session_id)
            if held is None or not _proves(fence, held.lease):
                raise SessionExecutionLeaseExpired(fence.session_id)
            try:
                return self._extended(held, lease_ttl_ms)
            except LockError as error:
                raise SessionExecutionLeaseExpired(fence.session_id) from error

    def release_session_execution_lease(self, completion: SessionExecutionLeaseCompletion) -> None:
        """See `SessionExecutionLeaseStore`."""
        with _failing_as_the_law_says():
            held = self._held(completion.session_id)
            if held is not None and _proves(completion, held.lease):
                self._released(held)

    def _acquired(self, session_id: str, owner: LeaseOwnerIdentity, ttl_ms: int) -> SessionExecutionLeaseClaimOutcome:
        now = self._now()
        token = secrets.token_hex(16)
        value = json.dumps({"owner": to_wire(owner), "lease_token": token, "claimed_at": now})
        if self._lock(session_id, ttl_ms).acquire(blocking=False, token=value):
            return Acquired(SessionExecutionLease(session_id, owner, token, NO_FENCING_TOKEN, now, now + ttl_ms))
        held = self._held(session_id)
        if held is None:
            raise Backend(f"the lock of session {session_id!r} changed hands too fast: try again")
        return Busy(held.lease)

    def _extended(self, held: Held, ttl_ms: int) -> SessionExecutionLease:
        """The lease with another end. Raises `LockError` if the lock is lost."""
        lock = self._lock(held.lease.session_id, ttl_ms)
        lock.local.token = held.value.encode()
        now = self._now()
        lock.extend(ttl_ms / 1000, replace_ttl=True)
        return _lease(held.lease.session_id, held.value, now + ttl_ms)

    def _released(self, held: Held) -> None:
        lock = self._lock(held.lease.session_id, None)
        lock.local.token = held.value.encode()
        # it may have run out by itself
        with suppress(LockError):
            lock.release()

    def _held(self, session_id: str) -> Held | None:
        """The lock as it is now; None if nobody holds it."""
        name = _name(session_id)
        now = self._now()
        with self._redis.pipeline() as pipeline:
            pipeline.get(name)
            pipeline.pttl(name)
            value, left_ms = pipeline.execute()
        if value is None:
            return None
        # -1: it has no end
        return Held(value.decode(), _lease(session_id, value.decode(), now + max(left_ms, 0)))

    def _lock(self, session_id: str, ttl_ms: int | None) -> Lock:
        timeout = None if ttl_ms is None else ttl_ms / 1000
        return Lock(self._redis, _name(session_id), timeout=timeout, thread_local=False)

    def _now(self) -> int:
        seconds, microseconds = self._redis.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def _is_dead(self, holder: LeaseOwnerIdentity, claimant: LeaseOwnerIdentity) -> bool:
        held, asking = holder.liveness, claimant.liveness
        return (
            isinstance(held, LocalProcess)
            and isinstance(asking, LocalProcess)
            and (held.host_id, held.boot_id) == (asking.host_id, asking.boot_id)
            and self._process_alive(held.pid, held.process_start) is Alive.no
        )


def _name(session_id: str) -> str:
    return f"session:{session_id}"


def _lease(session_id: str, value: str, expires_at: int) -> SessionExecutionLease:
    said = json.loads(value)
    owner: LeaseOwnerIdentity = reader_of(LeaseOwnerIdentity)(said["owner"], "owner")
    return SessionExecutionLease(session_id, owner, said["lease_token"], NO_FENCING_TOKEN, said["claimed_at"], expires_at)


def _proves(proof: LeaseProof, lease: SessionExecutionLease) -> bool:
    """Whether the proof is of this lease; liveness takes no part."""
    shown = (proof.session_id, proof.owner.incarnation, proof.lease_token, proof.fencing_token)
    return shown == (lease.session_id, lease.owner.incarnation, lease.lease_token, lease.fencing_token)


@contextmanager
def _failing_as_the_law_says() -> Iterator[None]:
    """Nothing but a refusal of the protocol leaves a call: what Redis refuses is `Backend`."""
    try:
        yield
    except RedisError as error:
        raise Backend(str(error)) from error


# the time is that of the server, which nobody can set
@declares("liveness-oracle", chapters=("lease",))
def factory(environment: Environment) -> RedisLocks:
    """Locks on an empty database."""
    redis = client()
    redis.flushdb()
    return RedisLocks(redis, environment.process_alive)
