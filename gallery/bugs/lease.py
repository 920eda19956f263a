"""Faults in leases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fencepost.impl import lease
from fencepost.spec import Acquired, Alive, Busy, LocalProcess
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, bug, reworded, within, wrap


@bug("LEASE-6", Kind.edge)
def live_at_its_expiry(patch: Patch) -> None:
    """A lease is still live at the very instant of its expiry."""
    patch.setattr(lease, "live", lambda row, now: row.lease_token is not None and row.expires_at >= now)


@bug("LEASE-10", Kind.reused)
def token_reused(patch: Patch) -> None:
    """A lease that is acquired anew keeps the lease token of the one before."""
    original = lease.acquired

    def acquired(row: lease.LeaseRow, *rest: Any) -> lease.LeaseRow:
        fresh = original(row, *rest)
        return replace(fresh, lease_token=row.lease_token or fresh.lease_token)

    patch.setattr(lease, "acquired", acquired)
    # the store tells a renewal by its token: here the new holder has to be written all the same
    write = lease._write
    patch.setattr(lease, "_write", lambda engine, before, after: write(engine, replace(before, lease_token=None), after))


@bug("LEASE-35", Kind.reused)
def fence_reset_by_release(patch: Patch) -> None:
    """A release sets the fencing token back to 0."""
    reworded(patch, lease, "RELEASE", "SET owner_id", "SET fencing_token = 0, owner_id")


@bug("LEASE-34", Kind.stale)
def release_clears_the_successor(patch: Patch) -> None:
    """A release clears whoever holds the lane, not only the holder that it proves."""
    any_proof = "concat(?, ?, ?, ?::VARCHAR) <> ''"
    reworded(patch, lease, "RELEASE", lease.MATCHES, any_proof)


@bug("LEASE-33", Kind.stuck)
def release_does_nothing(patch: Patch) -> None:
    """A release leaves the lease as it is, even for its holder."""
    reworded(patch, lease, "RELEASE", "WHERE", "WHERE false AND")


@bug("LEASE-14", Kind.lost_update)
def reentry_never_shortens(patch: Patch) -> None:
    """A re-entry keeps the later of both expiries."""
    original = lease.extended

    def extended(row: lease.LeaseRow, now: int, ttl: int) -> lease.LeaseRow:
        return replace(original(row, now, ttl), expires_at=max(row.expires_at, original(row, now, ttl).expires_at))

    within(patch, "try_claim_session_execution_lease", lease, extended=extended)


@bug("LEASE-8", Kind.overflow)
def expiry_wraps(patch: Patch) -> None:
    """A huge TTL wraps around instead of saturating."""
    patch.setattr(lease, "saturating_add", lambda left, right: (left + right) % 2**64)
    original = lease.acquired.__wrapped__  # type: ignore[attr-defined]  # the contract would tell at once
    patch.setattr(lease, "acquired", original)


@bug("LEASE-16", Kind.stale)
def incarnation_ignored(patch: Patch) -> None:
    """A restarted owner is let into the lease of its former incarnation."""

    def around(original: Any, store: Any, session_id: str, owner: Any, ttl: int) -> Any:
        outcome = original(store, session_id, owner, ttl)
        if isinstance(outcome, Busy) and outcome.holder.owner.owner_id == owner.owner_id:
            return Acquired(replace(outcome.holder, owner=owner))
        return outcome

    wrap(patch, "try_claim_session_execution_lease", around)


@bug("LEASE-12", Kind.stale)
def expired_lease_reentered(patch: Patch) -> None:
    """The last holder re-enters its expired lease under the old tokens."""
    patch.setattr(lease, "acquired", acquired_again(lease.acquired))


def acquired_again(original: Callable[..., lease.LeaseRow]) -> Callable[..., lease.LeaseRow]:
    """An acquisition that lets the last holder keep its tokens."""

    def acquired(row: lease.LeaseRow, owner: Any, now: int, ttl: int) -> lease.LeaseRow:
        if row.owner is not None and row.owner.incarnation == owner.incarnation:
            return lease.extended(row, now, ttl)
        return original(row, owner, now, ttl)

    return acquired


@bug("LEASE-32", Kind.stale)
def expired_lease_renewed(patch: Patch) -> None:
    """A renewal revives a lease that has expired, as long as nobody else took it."""

    within(patch, "renew_session_execution_lease", lease, live=lambda row, now: row.lease_token is not None)


@bug("LEASE-21", Kind.stale, also=("LEASE-23",))
def reclaim_without_compare(patch: Patch) -> None:
    """A reclaim takes any dead holder's lease, whoever was observed."""
    within(patch, "reclaim_session_execution_lease", lease, matches=lambda row, proof: row.owner is not None)


@bug("LEASE-27", Kind.liveness)
def doubt_is_death(patch: Patch) -> None:
    """A holder whose process cannot be told is taken for dead."""
    original = lease.definitely_dead

    def definitely_dead(holder: Any, claimant: Any, alive: Callable[[int, str], Alive]) -> bool:
        return original(holder, claimant, lambda pid, start: Alive.yes if alive(pid, start) is Alive.yes else Alive.no)

    patch.setattr(lease, "definitely_dead", definitely_dead)


@bug("LEASE-26", Kind.liveness)
def another_boot_is_here(patch: Patch) -> None:
    """A process of another host or boot is looked for on this machine, not found, and taken for dead."""

    def definitely_dead(holder: Any, claimant: Any, alive: Callable[[int, str], Alive]) -> bool:
        both = isinstance(holder, LocalProcess) and isinstance(claimant, LocalProcess)
        return both and alive(holder.pid, holder.process_start) is Alive.no

    patch.setattr(lease, "definitely_dead", definitely_dead)
