"""The lock of redis-py as a lease, called directly: what it keeps of the law, and what it breaks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fencepost.kit.backend import fresh_environment
from fencepost.spec import (
    Acquired,
    Backend,
    Busy,
    LeaseOwnerIdentity,
    LocalProcess,
    SessionExecutionLease,
    SessionExecutionLeaseExpired,
)
from fencepost.statemachines.environment import Environment
from test_examples import NEEDED

FOLDER = Path(__file__).parents[2] / "examples" / "redis"
LOCAL = LocalProcess("host", "boot", 20, "tick")
HOLDER, OTHER = LeaseOwnerIdentity("a", "1", LOCAL), LeaseOwnerIdentity("b", "1", LOCAL)
LONG_MS = 60_000


@pytest.fixture
def environment() -> Iterator[Environment]:
    """An environment in which the process of both owners runs."""
    with fresh_environment() as made:
        made.process_alive.start(20, "tick")
        yield made


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, environment: Environment) -> Any:
    """The example's store on an empty Redis; skipped where there is none."""
    for what, is_there in NEEDED["redis"]:
        if not is_there():
            pytest.skip(f"{what} is not here")
    monkeypatch.syspath_prepend(str(FOLDER))
    import redis_lock

    return redis_lock.factory(environment)


def claimed(store: Any, owner: LeaseOwnerIdentity, ttl_ms: int = LONG_MS) -> SessionExecutionLease:
    """The lease that a claim is granted."""
    outcome = store.try_claim_session_execution_lease("s", owner, ttl_ms)
    assert isinstance(outcome, Acquired), outcome
    return outcome.lease


def test_one_holds_the_lane_and_others_are_told_who(store: Any) -> None:
    """A lock that is held is Busy with its holder's lease, the holder's own claim extends it, and a release frees it."""
    lease = claimed(store, HOLDER)
    busy = store.try_claim_session_execution_lease("s", OTHER, LONG_MS)
    assert isinstance(busy, Busy)
    assert (busy.holder.lease_token, busy.holder.owner) == (lease.lease_token, HOLDER)
    assert claimed(store, HOLDER, 2 * LONG_MS).lease_token == lease.lease_token
    assert store.renew_session_execution_lease(lease.fence(), LONG_MS).lease_token == lease.lease_token
    store.release_session_execution_lease(lease.completion())
    assert claimed(store, OTHER).lease_token != lease.lease_token


def test_who_was_overtaken_is_turned_away(store: Any) -> None:
    """An old lease token renews nothing and releases nothing, also without a fencing token."""
    old = claimed(store, HOLDER, 1)
    time.sleep(0.01)
    new = claimed(store, OTHER)
    with pytest.raises(SessionExecutionLeaseExpired):
        store.renew_session_execution_lease(old.fence(), LONG_MS)
    store.release_session_execution_lease(old.completion())
    assert isinstance(store.try_claim_session_execution_lease("s", HOLDER, 1), Busy)
    assert store.renew_session_execution_lease(new.fence(), LONG_MS).owner == OTHER


def test_the_dead_are_overtaken_by_who_observed_them(store: Any, environment: Environment) -> None:
    """A reclaim takes the lock of a process that is gone, once."""
    lease = claimed(store, HOLDER)
    assert isinstance(store.reclaim_session_execution_lease("s", OTHER, lease.fence(), LONG_MS), Busy)
    environment.process_alive.stop(20)
    assert isinstance(store.reclaim_session_execution_lease("s", OTHER, lease.fence(), LONG_MS), Acquired)
    assert isinstance(store.reclaim_session_execution_lease("s", HOLDER, lease.fence(), LONG_MS), Busy)


def test_it_has_no_fencing_token(store: Any) -> None:
    """LEASE-9: two acquisitions, one number: what is written under the first cannot be told to be older."""
    first = claimed(store, HOLDER)
    store.release_session_execution_lease(first.completion())
    assert [first.fencing_token, claimed(store, OTHER).fencing_token] == [1, 1]


def test_a_counter_beside_it_is_one(store: Any, environment: Environment) -> None:
    """With the counter each acquisition raises the number by one, and neither an extension nor a claim in vain does."""
    import redis_lock

    counted = redis_lock.with_a_fencing_token(environment)
    first = claimed(counted, HOLDER)
    assert isinstance(counted.try_claim_session_execution_lease("s", OTHER, LONG_MS), Busy)
    again = claimed(counted, HOLDER)
    counted.release_session_execution_lease(first.completion())
    assert [first.fencing_token, again.fencing_token, claimed(counted, OTHER).fencing_token] == [1, 1, 2]


def test_leases_end_when_their_locks_do(store: Any) -> None:
    """The end that a claim answers, and that of an extension, is just what the server says of the key."""
    import redis_server

    lease = claimed(store, HOLDER, 5_000)
    assert redis_server.client().pexpiretime("session:s") == lease.expires_at_epoch_ms == lease.claimed_at_epoch_ms + 5_000
    renewed = store.renew_session_execution_lease(lease.fence(), 9_000)
    assert redis_server.client().pexpiretime("session:s") == renewed.expires_at_epoch_ms
    assert renewed.claimed_at_epoch_ms == lease.claimed_at_epoch_ms


def test_a_time_to_live_of_zero_never_ends(store: Any) -> None:
    """LEASE-7: the lock takes a timeout of 0 for none, where a lease of 0 ms has ended at once."""
    lease = claimed(store, HOLDER, 0)
    assert lease.expires_at_epoch_ms == 2**64 - 1
    time.sleep(0.01)
    assert isinstance(store.try_claim_session_execution_lease("s", OTHER, 1), Busy)


def test_the_longest_times_to_live_are_refused(store: Any) -> None:
    """LEASE-8: the server's numbers are signed, and what does not fit is an error of the backend."""
    with pytest.raises(Backend, match="out of range"):
        claimed(store, HOLDER, 2**63)
