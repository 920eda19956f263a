"""Leases over the `Lock` of redis-py: a key with a time to live, whose value only its holder knows.

Who holds the lock, and under which lease token, is its value; when it ends is what the server says of the key. Its time is the
server's, and nobody can move it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from fencepost.kit import declares
from fencepost.spec import (
    U64_MAX,
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


class CountedLock(Lock):
    """The lock with what it lacks: a number that grows with each acquisition, raised in the script that takes the lock."""

    LUA_ACQUIRE_SCRIPT = """
        local life = ARGV[2] == '' and {} or {'px', ARGV[2]}
        if not redis.call('set', KEYS[1], ARGV[1], 'nx', unpack(life)) then
            return 0
        end
        redis.call('incr', KEYS[2])
        return 1
    """

    def do_acquire(self, token: str) -> bool:
        """As the lock does: unless there is such a key it is set, with its time to live if it has one."""
        life = int(self.timeout * 1000) if self.timeout else ""
        return bool(self.redis.eval(self.LUA_ACQUIRE_SCRIPT, 2, self.name, _count(self.name), token, life))


class Held(NamedTuple):
    """A lock that is held: its value as it stands, and what that says."""

    value: str
    lease: SessionExecutionLease


class RedisLocks(SessionExecutionLeaseStore):
    """The four lease calls, on a lock for each session.

    A lock is taken or extended and its end read in one transaction, so that each lease ends when its lock does. With `early_ms`
    locks end so much sooner than their leases.
    """

    def __init__(self, redis: Redis, process_alive: ProcessAlive, *, lock: type[Lock] = Lock, early_ms: int = 0) -> None:
        self._redis = redis
        self._process_alive = process_alive
        self._kind = lock
        self._early_ms = early_ms

    def try_claim_session_execution_lease(
        self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int
    ) -> SessionExecutionLeaseClaimOutcome:
        """See `SessionExecutionLeaseStore`. A lock is not re-entrant: its own holder extends it."""
        with _failing_as_the_law_says():
            held = self._held(session_id)
            if held is None:
                return self._acquired(session_id, owner, lease_ttl_ms)
            if held.lease.owner.incarnation != owner.incarnation:
                return Busy(held.lease)
            extended = self._extended(held, lease_ttl_ms)
            return self._acquired(session_id, owner, lease_ttl_ms) if extended is None else Acquired(extended)

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
            extended = self._extended(held, lease_ttl_ms) if held and _proves(fence, held.lease) else None
            if extended is None:
                raise SessionExecutionLeaseExpired(fence.session_id)
            return extended

    def release_session_execution_lease(self, completion: SessionExecutionLeaseCompletion) -> None:
        """See `SessionExecutionLeaseStore`."""
        with _failing_as_the_law_says():
            held = self._held(completion.session_id)
            if held is not None and _proves(completion, held.lease):
                self._released(held)

    def _acquired(self, session_id: str, owner: LeaseOwnerIdentity, ttl_ms: int) -> SessionExecutionLeaseClaimOutcome:
        name = _name(session_id)
        token = secrets.token_hex(16)
        value = json.dumps({"owner": to_wire(owner), "lease_token": token})
        with self._redis.pipeline() as at_once:
            self._lock(at_once, name, ttl_ms).acquire(blocking=False, token=value)
            at_once.pexpiretime(name)
            at_once.time()
            at_once.get(_count(name))
            taken, end, time, count = at_once.execute()
        if not taken:
            held = self._held(session_id)
            if held is None:
                raise Backend(f"the lock of session {session_id!r} changed hands too fast: try again")
            return Busy(held.lease)
        # the key tells its end alone
        since = _ms(time) if end < 0 else end - self._life(ttl_ms)
        self._redis.set(_since(name), since)
        return Acquired(self._lease(session_id, value, end, since, count))

    def _extended(self, held: Held, ttl_ms: int) -> SessionExecutionLease | None:
        """The lease with another end; None if the lock is lost."""
        name = _name(held.lease.session_id)
        with self._redis.pipeline() as at_once:
            lock = self._lock(at_once, name, ttl_ms)
            lock.local.token = held.value.encode()
            lock.extend(lock.timeout or 0, replace_ttl=True)
            at_once.pexpiretime(name)
            extended, end = at_once.execute()
        lease = held.lease
        given = (lease.session_id, held.value, end, lease.claimed_at_epoch_ms, lease.fencing_token)
        return self._lease(*given) if extended else None

    def _released(self, held: Held) -> None:
        lock = self._lock(self._redis, _name(held.lease.session_id), 0)
        lock.local.token = held.value.encode()
        # it may have run out by itself
        with suppress(LockError):
            lock.release()

    def _held(self, session_id: str) -> Held | None:
        """The lock as it is now; None if nobody holds it."""
        name = _name(session_id)
        with self._redis.pipeline() as at_once:
            at_once.get(name)
            at_once.pexpiretime(name)
            at_once.get(_since(name))
            at_once.get(_count(name))
            value, end, since, count = at_once.execute()
        if value is None:
            return None
        return Held(value.decode(), self._lease(session_id, value.decode(), end, int(since), count))

    def _lease(self, session_id: str, value: str, end: int, since: int, count: int | bytes | None) -> SessionExecutionLease:
        """The lease of a lock with this value and this end, which is negative if it has none."""
        said = json.loads(value)
        owner: LeaseOwnerIdentity = reader_of(LeaseOwnerIdentity)(said["owner"], "owner")
        number = NO_FENCING_TOKEN if count is None else int(count)
        until = U64_MAX if end < 0 else end + self._early_ms
        return SessionExecutionLease(session_id, owner, said["lease_token"], number, since, until)

    def _lock(self, redis: Redis, name: str, ttl_ms: int) -> Lock:
        return self._kind(redis, name, timeout=self._life(ttl_ms) / 1000, thread_local=False)

    def _life(self, ttl_ms: int) -> int:
        """Milliseconds to live, for a lock; there is none for less than one, and 0 is taken for no end."""
        return max(ttl_ms - self._early_ms, 1) if ttl_ms else 0

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


def _since(name: str) -> str:
    return f"{name}:since"


def _count(name: str) -> str:
    return f"{name}:count"


def _ms(time: tuple[int, int]) -> int:
    return time[0] * 1000 + time[1] // 1000


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
        # ahead of it stands the whole command
        raise Backend(str(error).rpartition("caused error: ")[2]) from error


def _emptied() -> Redis:
    redis = client()
    redis.flushdb()
    return redis


# the time is that of the server, which nobody can set
@declares("liveness-oracle", chapters=("lease",))
def factory(environment: Environment) -> RedisLocks:
    """The lock as the library has it, on an empty database."""
    return RedisLocks(_emptied(), environment.process_alive)


@declares("liveness-oracle", chapters=("lease",))
def a_millisecond_early(environment: Environment) -> RedisLocks:
    """The same, with locks that are told to end a millisecond before their leases do."""
    return RedisLocks(_emptied(), environment.process_alive, early_ms=1)


@declares("liveness-oracle", chapters=("lease",))
def with_a_fencing_token(environment: Environment) -> RedisLocks:
    """The same again, with a fencing token beside each lock."""
    return RedisLocks(_emptied(), environment.process_alive, lock=CountedLock, early_ms=1)
