"""Leases over the whole state: the four calls, and the fence check that every fenced write makes.

Each function is called as the store's method of the same name, and gives the admissible steps with the requirements that
decided them. The decisions themselves are the record transitions of `records.lease`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from fencepost.spec import (
    U64_MAX,
    Acquired,
    Backend,
    Busy,
    LeaseOwnerIdentity,
    LeaseOwnerLiveness,
    LocalProcess,
    Opaque,
    SessionExecutionLease,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseExpired,
    SessionExecutionLeaseFence,
    saturating_add,
)
from fencepost.spec.liveness import Alive, ProcessAlive
from msgspec.structs import replace

from .records import lease as record_level
from .records.lease import Claimant, Grant, Granted, Incarnation, LeaseRecord, Proof, SessionLease, live, matches
from .state import State, invariant
from .step import Ids, Ports, Refused, Step, Steps, Why, admitting, refused

VACANT: SessionLease = LeaseRecord(0, False, ("", ""), None, "", 0, 0)
"""The record of a session that nobody has leased yet: an absent record is this one (LEASE-3)."""

ACQUIRED_WHY: Why = (
    ("lease.lease_token", ("LEASE-10", "LEASE-INV-3")),
    ("lease.expires_at_epoch_ms", ("LEASE-8",)),
    ("lease.fencing_token", ("LEASE-9", "LEASE-INV-1")),
    ("lease", ("LEASE-9",)),
)
REENTERED_WHY: Why = (
    ("lease.expires_at_epoch_ms", ("LEASE-14", "LEASE-8")),
    ("lease.owner", ("LEASE-15", "LEASE-15a")),
    ("lease", ("LEASE-13",)),
)
BUSY_WHY: Why = (("holder", ("LEASE-16", "LEASE-INV-6", "LEASE-INV-5", "LEASE-1")),)
RENEWED_WHY: Why = (
    ("expires_at_epoch_ms", ("LEASE-30", "LEASE-8")),
    ("lease_token", ("LEASE-36",)),
    ("fencing_token", ("LEASE-36",)),
    ("owner", ("LEASE-31", "LEASE-31a")),
    ("", ("LEASE-31",)),
)


def lease_of(state: State, session_id: str) -> SessionLease:
    """The session's lease record; absent is vacant."""
    return state.lease.records.get(session_id, VACANT)


def definitely_dead(holder: object, claimant: object, alive: ProcessAlive) -> bool:
    """Whether the holder's process is provably gone, as far as the claimant's machine can tell (LEASE-25 to LEASE-27)."""
    if not (isinstance(holder, LocalProcess) and isinstance(claimant, LocalProcess)):
        return False
    if (holder.host_id, holder.boot_id) != (claimant.host_id, claimant.boot_id):
        return False
    return alive(holder.pid, holder.process_start) is Alive.no


def try_claim_session_execution_lease(
    state: State, ports: Ports, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int
) -> Steps:
    """Claim the lane: LEASE-3 to LEASE-18."""
    before = lease_of(state, session_id)
    claimant = _claimant(state, ports, session_id, owner, before)
    grant = record_level.claim(before, claimant, ports.now, lease_ttl_ms)
    if grant.granted is Granted.no:
        dead = definitely_dead(before.liveness, owner.liveness, ports.alive)
        return _busy(state, session_id, before, (*_edge(before, ports.now), "LEASE-16", *(("LEASE-17",) if dead else ())))
    because = _claim_because(state, session_id, owner, before, lease_ttl_ms, ports.now, grant.granted)
    return _granted(state, ports, session_id, grant, because)


def reclaim_session_execution_lease(
    state: State,
    ports: Ports,
    session_id: str,
    owner: LeaseOwnerIdentity,
    observed_holder: SessionExecutionLeaseFence,
    lease_ttl_ms: int,
) -> Steps:
    """Take the lane from a dead holder: LEASE-19 to LEASE-27."""
    before = lease_of(state, session_id)
    claimant = _claimant(state, ports, session_id, owner, before)
    observed = _proof(observed_holder)
    about_this_session = observed_holder.session_id == session_id
    dead = definitely_dead(before.liveness, owner.liveness, ports.alive)
    grant = record_level.reclaim(before, claimant, observed, dead and about_this_session, ports.now, lease_ttl_ms)
    if grant.granted is Granted.anew:
        taken = live(before, ports.now)
        because: Ids = ("LEASE-20", "LEASE-26") if taken else (*_edge(before, ports.now), "LEASE-19")
        return _granted(state, ports, session_id, grant, because)
    return _busy(state, session_id, before, _spared_because(before, owner, observed, about_this_session, ports))


def renew_session_execution_lease(state: State, ports: Ports, fence: SessionExecutionLeaseFence, lease_ttl_ms: int) -> Steps:
    """Move the expiry of a live lease: LEASE-29 to LEASE-32, LEASE-36."""
    before = lease_of(state, fence.session_id)
    after = record_level.renew(before, _proof(fence), ports.now, lease_ttl_ms)
    if after is None:
        error = SessionExecutionLeaseExpired(fence.session_id)
        return refused(state, error, *_renew_refused_because(before, _proof(fence), ports.now))
    answer = _as_lease(fence.session_id, after, fence.owner)
    because = ("LEASE-30", *_edge(before, ports.now), *(("LEASE-7",) if lease_ttl_ms == 0 else ()))
    ours = Step(_with_lease(state, fence.session_id, after), answer, because, RENEWED_WHY)
    return admitting(ours, ports.seen, ("LEASE-31a", _same_incarnation))


def release_session_execution_lease(state: State, ports: Ports, completion: SessionExecutionLeaseCompletion) -> Steps:
    """Give the lane back: LEASE-33 to LEASE-36."""
    after, because = released(state, completion, ports.now)
    return (Step(after, None, because, silent=((completion.session_id, because),)),)


def released(state: State, completion: SessionExecutionLeaseCompletion, now: int) -> tuple[State, Ids]:
    """The state after a release, silent if the completion does not match; also the last step of a commit (COMMIT-33)."""
    before = lease_of(state, completion.session_id)
    after = record_level.release(before, _proof(completion), VACANT)
    if after == before:
        return state, ("LEASE-34",)
    expired = () if live(before, now) else ("LEASE-5",)
    return _with_lease(state, completion.session_id, after), ("LEASE-33", "LEASE-35", *expired)


def fence_holds(state: State, session_id: str, fence: SessionExecutionLeaseFence, now: int) -> bool:
    """CheckFence: whether the fence is the live lease of the session that is asked for (LEASE-37)."""
    return fence.session_id == session_id and record_level.fence_holds(lease_of(state, session_id), _proof(fence), now)


def fence_because(state: State, session_id: str, fence: SessionExecutionLeaseFence, now: int) -> Ids:
    """What decides that a fence does, or does not, hold."""
    record = lease_of(state, session_id)
    return ("LEASE-37", *(_edge(record, now) if matches(record, _proof(fence)) else _superseded(record, _proof(fence))))


def _proof(shown: SessionExecutionLeaseFence | SessionExecutionLeaseCompletion) -> Proof[Incarnation, str]:
    return Proof(shown.owner.incarnation, shown.lease_token, shown.fencing_token)


def _claimant(
    state: State, ports: Ports, session_id: str, owner: LeaseOwnerIdentity, before: SessionLease
) -> Claimant[Incarnation, LeaseOwnerLiveness | None, str]:
    """The claimant with the token that the store minted, if it is a fresh one; else with a token of ours."""
    seen = ports.seen
    token = seen.lease.lease_token if isinstance(seen, Acquired) else None
    if token is None or (session_id, token) in state.lease.issued:
        token = f"{session_id}:{before.fencing_token + 1}:{ports.now}"
    return Claimant(owner.incarnation, owner.liveness, token)


def _edge(record: SessionLease, now: int) -> Ids:
    """The requirement of the expiry's edge, where the instant of the call is at it."""
    return ("LEASE-6",) if record.held and now in (record.expires_at - 1, record.expires_at) else ()


def _superseded(record: SessionLease, proof: Proof[Incarnation, str]) -> Ids:
    return ("LEASE-24", "LEASE-INV-2") if record.held and record.fencing_token > proof.fencing_token else ()


def _claim_because(
    state: State, session_id: str, owner: LeaseOwnerIdentity, before: SessionLease, ttl: int, now: int, granted: Granted
) -> Ids:
    if granted is Granted.again:
        decided: Ids = ("LEASE-13", *_edge(before, now))
    elif before.held:
        decided = (*_edge(before, now), "LEASE-12", "LEASE-5")
    elif before.fencing_token:
        decided = ("LEASE-12", "LEASE-35")
    else:
        decided = ("LEASE-3", "LEASE-12")
    return (
        *decided,
        *(("LEASE-7",) if ttl == 0 else ()),
        *(("LEASE-11",) if before.fencing_token == U64_MAX else ()),
        *(("LEASE-4",) if "" in (session_id, owner.owner_id, owner.incarnation_id) else ()),
        *(("LEASE-2",) if _leased_elsewhere(state, session_id) else ()),
    )


def _leased_elsewhere(state: State, session_id: str) -> bool:
    return len(state.lease.records) > (session_id in state.lease.records)


def _spared_because(
    before: SessionLease, owner: LeaseOwnerIdentity, observed: Proof[Incarnation, str], about_this_session: bool, ports: Ports
) -> Ids:
    """Why a reclaim left the live holder alone."""
    if not (about_this_session and matches(before, observed)):
        superseded = ("LEASE-23",) if before.fencing_token > observed.fencing_token else ()
        return (*_edge(before, ports.now), "LEASE-21", *superseded)
    if before.holder == owner.incarnation:
        return (*_edge(before, ports.now), "LEASE-22")
    holder, claimant = before.liveness, owner.liveness
    if not (isinstance(holder, LocalProcess) and isinstance(claimant, LocalProcess)):
        return ("LEASE-25", "LEASE-21")
    nearby = (holder.host_id, holder.boot_id) == (claimant.host_id, claimant.boot_id)
    doubtful = nearby and ports.alive(holder.pid, holder.process_start) is Alive.unknown
    return ("LEASE-27" if doubtful else "LEASE-26", "LEASE-21")


def _renew_refused_because(before: SessionLease, proof: Proof[Incarnation, str], now: int) -> Ids:
    if matches(before, proof):
        return ("LEASE-32", *_edge(before, now))
    return ("LEASE-29", *_superseded(before, proof))


def _as_lease(session_id: str, record: SessionLease, owner: LeaseOwnerIdentity | None = None) -> SessionExecutionLease:
    """The record as the lease that callers see; `owner` where the call names another one than the stored."""
    if owner is None:
        owner = LeaseOwnerIdentity(*record.holder, record.liveness or Opaque())
    return SessionExecutionLease(session_id, owner, record.token, record.fencing_token, record.claimed_at, record.expires_at)


def _with_lease(state: State, session_id: str, record: SessionLease) -> State:
    return replace(state, lease=replace(state.lease, records=state.lease.records.set(session_id, record)))


def _granted(
    state: State,
    ports: Ports,
    session_id: str,
    grant: Grant[Incarnation, LeaseOwnerLiveness | None, str],
    because: Ids,
) -> Steps:
    before, record = lease_of(state, session_id), grant.record
    after = _with_lease(state, session_id, record)
    if grant.granted is Granted.anew:
        issued = after.lease.issued.set((session_id, record.token), record.fencing_token)
        after = replace(after, lease=replace(after.lease, issued=issued))
        ours = Step(after, Acquired(_as_lease(session_id, record)), because, _grant_why(before, record, because, ports.seen))
        exhausted = Step(state, Refused(Backend()), because, differs=("LEASE-11",))
        return (ours, exhausted) if "LEASE-11" in because else (ours,)
    ours = Step(after, Acquired(_as_lease(session_id, record)), because, REENTERED_WHY)
    return admitting(ours, ports.seen, ("LEASE-15a", _same_incarnation_acquired))


def _grant_why(before: SessionLease, record: SessionLease, because: Ids, seen: object) -> Why:
    """What fixes the fields of a new grant, where it matters what was there before, and what was answered."""
    entered_again = before.held and before.holder == record.holder
    if entered_again and isinstance(seen, Acquired) and seen.lease.lease_token == before.token:
        # whatever else is wrong with it: its last holder was let in again to the lease that was over
        return (("lease", (*because[:1], "LEASE-10", *because[1:])),)
    first_or_kept = next((each for each in ("LEASE-3", "LEASE-35") if each in because), "LEASE-9")
    return (("lease.fencing_token", (first_or_kept, "LEASE-9", "LEASE-INV-1")), *ACQUIRED_WHY)


def _busy(state: State, session_id: str, record: SessionLease, because: Ids) -> Steps:
    return (Step(state, Busy(_as_lease(session_id, record)), because, BUSY_WHY),)


def _same_incarnation(ours: SessionExecutionLease, seen: SessionExecutionLease) -> SessionExecutionLease:
    """Our answer with the store's owner, if it is the same incarnation: liveness is the store's choice there."""
    return replace(ours, owner=seen.owner) if seen.owner.incarnation == ours.owner.incarnation else ours


def _same_incarnation_acquired(ours: Acquired, seen: Acquired) -> Acquired:
    return Acquired(_same_incarnation(ours.lease, seen.lease))


def _leases(state: State) -> Iterable[tuple[str, SessionLease]]:
    return state.lease.records.items()


@invariant("LEASE-INV-1")
def fencing_tokens_never_fall(before: State, after: State) -> bool:
    """A session's fencing token grows by exactly one with a new lease token, and stays as it is otherwise."""
    # a record that is gone counts as vacant: its fencing token would have fallen to 0
    for session_id in {*before.lease.records, *after.lease.records}:
        earlier, record = lease_of(before, session_id), lease_of(after, session_id)
        anew = record.held and record.token != earlier.token
        if record.fencing_token != saturating_add(earlier.fencing_token, int(anew)):
            return False
    return True


@invariant("LEASE-INV-2")
@invariant("LEASE-18")
def one_holder_at_most(_before: State, after: State) -> bool:
    """Of all lease tokens ever issued for a session at most one matches its record: LEASE-1 and LEASE-18 follow."""
    return all(
        sum(issued == (session_id, record.token) for issued in after.lease.issued) == 1
        for session_id, record in _leases(after)
        if record.held
    )


@invariant("LEASE-INV-3")
def grants_are_distinct(_before: State, after: State) -> bool:
    """No two grants of a session share a fencing token, short of its saturation."""
    grants = [(session_id, fence) for (session_id, _), fence in after.lease.issued.items() if fence < U64_MAX]
    return len(set(grants)) == len(grants)


@invariant("LEASE-INV-4")
def a_vacant_lane_keeps_only_its_fencing_token(_before: State, after: State) -> bool:
    """While nobody holds a lane, its record is vacant but for the fencing token."""
    return all(record.held or dataclasses.replace(record, fencing_token=0) == VACANT for _, record in _leases(after))


@invariant("LEASE-34a")
def no_record_without_a_grant(_before: State, after: State) -> bool:
    """Only sessions that were leased once have a record, and so a fencing token above 0."""
    return all(record.fencing_token > 0 for _, record in _leases(after))


@invariant("LEASE-INV-5")
def what_is_granted_is_stored(_before: State, after: State) -> bool:
    """The lease token of a record was issued with the record's fencing token."""
    return all(
        after.lease.issued.get((session_id, record.token)) == record.fencing_token
        for session_id, record in _leases(after)
        if record.held
    )
