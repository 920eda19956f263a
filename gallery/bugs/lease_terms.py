"""Faults in what a lease says, who gets one, and what a renewal changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fencepost.impl import DuckDBRuntimePersistence, lease
from fencepost.impl.encoding import encoded
from fencepost.spec import U64_MAX, Acquired, Alive, Backend, Busy, LocalProcess, SessionExecutionLease
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, ask, bug, per_run, refusing, within, wrap

CLAIM, RECLAIM, RENEW = (f"{verb}_session_execution_lease" for verb in ("try_claim", "reclaim", "renew"))


def acquiring(patch: Patch, change: Callable[[lease.LeaseRow, lease.LeaseRow], lease.LeaseRow]) -> None:
    """Change the row of a new acquisition, from the row before it and the one that is right."""
    original = lease.acquired
    patch.setattr(lease, "acquired", lambda row, *rest: change(row, original(row, *rest)))


@bug("VALUE-1", Kind.accepted, "lease")
def beyond_range_clamped(patch: Patch) -> None:
    """A time to live beyond the range of its type counts as the largest in it."""
    original = DuckDBRuntimePersistence.try_claim_session_execution_lease

    def claim(store: Any, session_id: str, owner: Any, ttl: Any) -> Any:
        return original(store, session_id, owner, min(ttl, U64_MAX) if type(ttl) is int else ttl)

    patch.setattr(DuckDBRuntimePersistence, CLAIM, claim)


@bug("VALUE-2", Kind.accepted, "lease")
def lone_surrogates_replaced(patch: Patch) -> None:
    """A session id with a lone surrogate is taken for one with a question mark there."""
    original = DuckDBRuntimePersistence.try_claim_session_execution_lease

    def claim(store: Any, session_id: Any, owner: Any, ttl: Any) -> Any:
        said = session_id.encode(errors="replace").decode() if type(session_id) is str else session_id
        return original(store, said, owner, ttl)

    patch.setattr(DuckDBRuntimePersistence, CLAIM, claim)


@bug("VALUE-6", Kind.overflow, "lease")
def renewal_overflows(patch: Patch) -> None:
    """A renewal for longer than a signed number can tell lets an OverflowError out."""
    refusing(patch, RENEW, lambda _store, _fence, ttl: ttl >= 2**63, lambda: OverflowError("int too large to convert"))


@bug("VALUE-11", Kind.untrue, "lease")
def renewal_answers_an_outcome(patch: Patch) -> None:
    """A renewal answers the lease inside an Acquired, as a claim does."""
    original = lease.LeaseRow.lease
    within(patch, RENEW, lease.LeaseRow, lease=lambda row: Acquired(original(row)))


@bug("LEASE-2", Kind.refusal)
def one_lane_for_all_sessions(patch: Patch) -> None:
    """A session that nobody holds is refused while another one is held."""

    def elsewhere(store: Any, session_id: str, *_: Any) -> bool:
        held = "SELECT 1 FROM leases WHERE session_id <> ? AND expires_at > ?"
        return bool(ask(store, held, session_id, store._now()))

    refusing(patch, CLAIM, elsewhere, lambda: Backend("the store is busy"))


@bug("LEASE-3", Kind.edge)
def fences_begin_with_2(patch: Patch) -> None:
    """The first lease of a session has the fencing token 2."""
    acquiring(patch, lambda row, right: right if row.guard else replace(right, fencing_token=2))


@bug("LEASE-4", Kind.refusal)
def empty_session_id_refused(patch: Patch) -> None:
    """A session whose id is the empty text cannot be leased."""
    refusing(patch, CLAIM, lambda _store, session_id, *_: not session_id, lambda: Backend("there is no session"))


@bug("LEASE-7", Kind.edge)
def no_time_to_live_refused(patch: Patch) -> None:
    """A claim of a free session for no time at all is refused."""

    def for_nothing(store: Any, session_id: str, _owner: Any, ttl: int) -> bool:
        return ttl == 0 and not lease.live(lease._read(store._engine, session_id), store._now())

    refusing(patch, CLAIM, for_nothing, lambda: Backend("nothing to live for"))


@bug("LEASE-9", Kind.edge)
def fences_by_twos(patch: Patch) -> None:
    """An acquisition after a release raises the fencing token by two."""
    acquiring(
        patch, lambda row, right: replace(right, fencing_token=right.fencing_token + (row.guard > 1 and row.owner is None))
    )


@bug("LEASE-INV-1", Kind.stale)
def holder_keeps_its_fence(patch: Patch) -> None:
    """Whoever claims its own expired lease again has a new lease token, and the fencing token that it had."""

    def change(row: lease.LeaseRow, right: lease.LeaseRow) -> lease.LeaseRow:
        is_again = row.owner is not None and right.owner is not None and row.owner.incarnation == right.owner.incarnation
        return replace(right, fencing_token=row.fencing_token) if is_again else right

    acquiring(patch, change)


@bug("LEASE-10", Kind.reused, also=("LEASE-INV-3",))
def lane_given_back_to_its_holder(patch: Patch) -> None:
    """Whoever releases a lease and claims it again, with nobody in between, has the tokens that it had before."""
    last = per_run(lambda: dict[str, SessionExecutionLease]())

    def around(original: Any, store: Any, session_id: str, owner: Any, ttl: int) -> Any:
        outcome, before = original(store, session_id, owner, ttl), last(store).get(session_id)
        if not isinstance(outcome, Acquired):
            return outcome
        found = outcome.lease
        if before and found.fencing_token == before.fencing_token + 1 and found.owner.incarnation == before.owner.incarnation:
            found = replace(found, lease_token=before.lease_token, fencing_token=before.fencing_token)
            update = "UPDATE leases SET lease_token = ?, fencing_token = ? WHERE session_id = ?"
            ask(store, update, found.lease_token, found.fencing_token, session_id)
        last(store)[session_id] = found
        return Acquired(found)

    wrap(patch, CLAIM, around)


@bug("LEASE-13", Kind.reused)
def reentry_begins_anew(patch: Patch) -> None:
    """A re-entry counts as claimed at its own time."""

    def extended(row: lease.LeaseRow, now: int, ttl: int) -> lease.LeaseRow:
        return replace(original(row, now, ttl), claimed_at=now)

    original = lease.extended
    within(patch, CLAIM, lease, extended=extended)


@bug("LEASE-INV-5", Kind.liveness)
def reentry_renews_the_liveness(patch: Patch) -> None:
    """A re-entry replaces the stored liveness by that of the call."""

    def around(original: Any, store: Any, session_id: str, owner: Any, ttl: int) -> Any:
        outcome = original(store, session_id, owner, ttl)
        if isinstance(outcome, Acquired):
            ask(store, "UPDATE leases SET liveness = ? WHERE session_id = ?", encoded(owner.liveness), session_id)
        return outcome

    wrap(patch, CLAIM, around)


@bug("LEASE-17", Kind.uncalled)
def claim_takes_from_the_dead(patch: Patch) -> None:
    """A plain claim takes a live lease whose holder is provably dead."""

    def around(original: Any, store: Any, session_id: str, owner: Any, ttl: int) -> Any:
        outcome = original(store, session_id, owner, ttl)
        if isinstance(outcome, Busy):
            return store.reclaim_session_execution_lease(session_id, owner, outcome.holder.fence(), ttl)
        return outcome

    wrap(patch, CLAIM, around)


@bug("LEASE-19", Kind.refusal)
def expired_lease_has_to_be_observed(patch: Patch) -> None:
    """A reclaim of an expired lease is told Busy unless it observed just that lease."""

    def around(original: Any, store: Any, session_id: str, owner: Any, observed: Any, ttl: int) -> Any:
        row = lease._read(store._engine, session_id)
        if row.owner is not None and not lease.live(row, store._now()) and not lease.matches(row, observed):
            return Busy(row.lease())
        return original(store, session_id, owner, observed, ttl)

    wrap(patch, RECLAIM, around)


@bug("LEASE-20", Kind.liveness)
def observed_liveness_counts_too(patch: Patch) -> None:
    """A reclaim wants the liveness inside the observed fence to be dead as well as the stored one."""
    judged = lease.definitely_dead

    def around(original: Any, store: Any, session_id: str, owner: Any, observed: Any, ttl: int) -> Any:
        def both_dead(holder: Any, claimant: Any, alive: Any) -> bool:
            return judged(holder, claimant, alive) and judged(observed.owner.liveness, claimant, alive)

        with Patch() as inner:
            inner.setattr(lease, "definitely_dead", both_dead)
            return original(store, session_id, owner, observed, ttl)

    wrap(patch, RECLAIM, around)


@bug("LEASE-22", Kind.uncalled)
def reclaim_reenters(patch: Patch) -> None:
    """A live holder that reclaims its own lease re-enters it."""

    def around(original: Any, store: Any, session_id: str, owner: Any, observed: Any, ttl: int) -> Any:
        outcome = original(store, session_id, owner, observed, ttl)
        if isinstance(outcome, Busy) and outcome.holder.owner.incarnation == owner.incarnation:
            return store.try_claim_session_execution_lease(session_id, owner, ttl)
        return outcome

    wrap(patch, RECLAIM, around)


@bug("LEASE-25", Kind.liveness)
def opaque_claimant_believed(patch: Patch) -> None:
    """Another claimant, of opaque liveness, may take a holder for dead whose process is gone from this machine."""
    judged = lease.definitely_dead

    def around(original: Any, store: Any, session_id: str, owner: Any, observed: Any, ttl: int) -> Any:
        def definitely_dead(holder: Any, claimant: Any, alive: Callable[[int, str], Alive]) -> bool:
            is_another = observed.owner.incarnation != owner.incarnation and not isinstance(claimant, LocalProcess)
            if isinstance(holder, LocalProcess) and is_another:
                return alive(holder.pid, holder.process_start) is Alive.no
            return judged(holder, claimant, alive)

        with Patch() as inner:
            inner.setattr(lease, "definitely_dead", definitely_dead)
            return original(store, session_id, owner, observed, ttl)

    wrap(patch, RECLAIM, around)


@bug("LEASE-29", Kind.stale)
def renewal_by_the_owner(patch: Patch) -> None:
    """A renewal goes by the owner, whatever tokens the fence shows."""

    def matches(row: lease.LeaseRow, proof: Any) -> bool:
        return row.owner is not None and row.owner.incarnation == proof.owner.incarnation

    within(patch, RENEW, lease, matches=matches)


@bug("LEASE-30", Kind.lost_update)
def renewal_never_shortens(patch: Patch) -> None:
    """A renewal keeps the later of both expiries."""

    def extended(row: lease.LeaseRow, now: int, ttl: int) -> lease.LeaseRow:
        after = original(row, now, ttl)
        return replace(after, expires_at=max(row.expires_at, after.expires_at))

    original = lease.extended
    within(patch, RENEW, lease, extended=extended)


@bug("LEASE-31", Kind.untrue)
def renewal_answers_its_own_time(patch: Patch) -> None:
    """A renewal answers its own instant as the time of the claim."""
    wrap(patch, RENEW, lambda original, store, *given: replace(original(store, *given), claimed_at_epoch_ms=store._now()))


@bug("LEASE-36", Kind.reused)
def renewal_mints_a_lease_token(patch: Patch) -> None:
    """A renewal gives the lease a new lease token, and the fences from before it are worth nothing."""

    def around(original: Any, store: Any, fence: Any, ttl: int) -> Any:
        renewed = original(store, fence, ttl)
        token = f"{renewed.lease_token}+"
        ask(store, "UPDATE leases SET lease_token = ? WHERE session_id = ?", token, fence.session_id)
        return replace(renewed, lease_token=token)

    wrap(patch, RENEW, around)


@bug("LEASE-INV-5", Kind.untrue)
def busy_tells_another_claim_time(patch: Patch) -> None:
    """A Busy answer tells the time of the holder's last renewal or re-entry as that of its claim."""
    renewed = per_run(lambda: dict[str, int]())

    def noting(original: Any, store: Any, *given: Any) -> Any:
        outcome = original(store, *given)
        if isinstance(outcome, Busy):
            since = renewed(store).get(outcome.holder.session_id, outcome.holder.claimed_at_epoch_ms)
            return Busy(replace(outcome.holder, claimed_at_epoch_ms=since))
        found = outcome.lease if isinstance(outcome, Acquired) else outcome
        renewed(store)[found.session_id] = store._now()
        return outcome

    for operation in (CLAIM, RENEW):
        wrap(patch, operation, noting)


@bug("LEASE-INV-6", Kind.stale, also=("LEASE-INV-5", "LEASE-1"))
def busy_names_the_first_holder(patch: Patch) -> None:
    """A Busy answer names the first holder that the session ever had."""
    first = per_run(lambda: dict[str, SessionExecutionLease]())

    def around(original: Any, store: Any, session_id: str, owner: Any, ttl: int) -> Any:
        outcome = original(store, session_id, owner, ttl)
        if isinstance(outcome, Acquired):
            first(store).setdefault(session_id, outcome.lease)
            return outcome
        return Busy(first(store).get(session_id, outcome.holder))

    wrap(patch, CLAIM, around)
