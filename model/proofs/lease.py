"""Leases: what follows when claims, reclaims, renewals and releases are made one after another."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from fencepost.spec import (
    U64_MAX,
    Acquired,
    Busy,
    LeaseOwnerIdentity,
    LeaseOwnerLiveness,
    LocalProcess,
    Opaque,
    SessionExecutionLease,
    SessionExecutionLeaseFence,
)
from fencepost.spec.liveness import Alive
from immutables import Map

from .. import lease as calls
from ..contracts import ensure, require
from ..records.lease import (
    Claimant,
    Granted,
    LeaseRecord,
    LeaseState,
    Proof,
    SessionLease,
    acquired,
    claim,
    fence_holds,
    live,
    matches,
    reclaim,
    release,
    renew,
    valid,
)
from ..state import State
from ..step import Ports, Steps
from .exhaustion import exhausted, subsets

Lease = LeaseRecord[int, int, int]
Asker = Claimant[int, int, int]
Shown = Proof[int, int]


@require(lambda record: valid(record))
@ensure(lambda one, other, result: not result or one == other, "LEASE-INV-2", "at most one proof passes the fence at a time")
def both_hold(record: Lease, one: Shown, other: Shown, now: int) -> bool:
    """Whether two proofs are the live lease at one instant."""
    return fence_holds(record, one, now) and fence_holds(record, other, now)


@require(lambda record, old: valid(record) and record.fencing_token < U64_MAX and matches(record, old))
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(lambda result: not result, "LEASE-24", "after a new grant the old holder's proof never matches again")
def stale_after_grant(record: Lease, old: Shown, claimant: Asker, now: int, ttl: int) -> bool:
    """Whether the proof of a lease still matches, at whatever instant, after somebody was granted the lane anew."""
    return matches(acquired(record, claimant, now, ttl), old)


@require(lambda record, seen: valid(record) and record.fencing_token < U64_MAX and matches(record, seen))
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(lambda result: result is Granted.no, "LEASE-23", "of two reclaims that observed one fence only the first takes over")
def second_reclaim(record: Lease, seen: Shown, first: Asker, second: Asker, dead: bool, now: int, ttl: int) -> Granted:
    """How a reclaim goes after another one has taken the lane from the holder that both observed, while that grant is live."""
    taken = acquired(record, first, now, ttl)
    return reclaim(taken, second, seen, dead, now, ttl).granted if live(taken, now) else Granted.no


@require(lambda record, proof, now: valid(record) and matches(record, proof) and live(record, now))
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(lambda result: result is not None, "LEASE-36", "after a renewal the same proof matches")
@ensure(lambda record, result: result.fencing_token == record.fencing_token, "LEASE-36", "a renewal keeps the fencing token")
def renewed_and_shown(record: Lease, proof: Shown, now: int, ttl: int) -> Shown | None:
    """What the proof of a lease matches after its renewal: the proof itself, or nothing."""
    after = renew(record, proof, now, ttl)
    return proof if after is not None and matches(after, proof) else None


@require(lambda record, proof: valid(record) and matches(record, proof))
@require(lambda vacant: not vacant.held and vacant.claimed_at == 0 and vacant.expires_at == 0)
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(lambda result: result is Granted.anew, "LEASE-33", "a lane that was released is granted to whoever claims it")
def claimed_after_release(record: Lease, proof: Shown, vacant: Lease, claimant: Asker, now: int, ttl: int) -> Granted:
    """How a claim goes right after the holder's release."""
    return claim(release(record, proof, vacant), claimant, now, ttl).granted


@require(lambda record, proof: valid(record) and record.fencing_token < U64_MAX and matches(record, proof))
@require(lambda vacant: not vacant.held and vacant.claimed_at == 0 and vacant.expires_at == 0)
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(
    lambda record, result: result == record.fencing_token + 1, "LEASE-35", "the fencing token goes on where a release left it"
)
def fencing_token_after_release(record: Lease, proof: Shown, vacant: Lease, claimant: Asker, now: int, ttl: int) -> int:
    """The fencing token of the first grant after a release."""
    return claim(release(record, proof, vacant), claimant, now, ttl).record.fencing_token


HOSTS: tuple[LeaseOwnerLiveness | None, ...] = (
    None,
    Opaque(),
    *(LocalProcess(host, boot, pid, "1") for host, boot, pid in product("hg", "bc", (1, 2))),
)


@exhausted(
    "a holder is dead only to a claimant of its own host and boot, by an explicit no",
    "LEASE-25",
    "LEASE-26",
    "LEASE-27",
    scope="two owners, each unknown, opaque, or one of 8 processes of 2 hosts, and every answer of the oracle",
    cases=lambda: product(HOSTS, HOSTS, Alive),
)
def dead_by_an_explicit_no(holder: LeaseOwnerLiveness | None, claimant: LeaseOwnerLiveness | None, answer: Alive) -> bool:
    """Both are local processes of one host and boot, and the oracle says no of just the holder."""
    asked = []

    def alive(pid: int, start: str) -> Alive:
        asked.append((pid, start))
        return answer

    dead = calls.definitely_dead(holder, claimant, alive)
    if not (isinstance(holder, LocalProcess) and isinstance(claimant, LocalProcess)):
        return not dead and not asked
    if holder.host_id != claimant.host_id or holder.boot_id != claimant.boot_id:
        return not dead and not asked
    return dead == (answer is Alive.no) and asked == [(holder.pid, holder.process_start)]


HOLDER = LeaseOwnerIdentity("a", "1", LocalProcess("h", "b", 1, "1"))
CLAIMANT = LeaseOwnerIdentity("b", "1", LocalProcess("h", "b", 2, "1"))
FACTS = ("session", "owner", "token", "fencing token")


def _observations() -> Iterator[tuple[frozenset[str], Alive, int]]:
    """Which facts of the observation are wrong, what the oracle says of the holder, and when."""
    return product(subsets(FACTS), Alive, (9, 10))


@exhausted(
    "a reclaim takes a live lane exactly by an observation that is right in every fact, and from the dead",
    "LEASE-19",
    "LEASE-20",
    "LEASE-21",
    scope=f"every set of {len(FACTS)} wrong facts of what was observed, every answer of the oracle, before expiry and at it",
    cases=_observations,
)
def taken_from_the_observed(wrong: frozenset[str], alive: Alive, now: int) -> bool:
    """The lane is granted anew, or it is busy and nothing changed."""
    record: SessionLease = LeaseRecord(3, True, HOLDER.incarnation, HOLDER.liveness, "token", 1, 10)
    before = State(lease=LeaseState(Map({"s": record, "other": record})))
    observed = SessionExecutionLeaseFence(
        "other" if "session" in wrong else "s",
        CLAIMANT if "owner" in wrong else HOLDER,
        "another" if "token" in wrong else "token",
        4 if "fencing token" in wrong else 3,
    )
    step, *_ = calls.reclaim_session_execution_lease(before, Ports(now, lambda pid, start: alive), "s", CLAIMANT, observed, 5)
    if now >= 10 or (not wrong and alive is Alive.no):
        after = calls.lease_of(step.state, "s")
        return isinstance(step.answer, Acquired) and (after.fencing_token, after.holder) == (4, CLAIMANT.incarnation)
    return isinstance(step.answer, Busy) and step.state == before


OWNERS = {name: LeaseOwnerIdentity(name, "1", LocalProcess("h", "b", pid, "1")) for pid, name in enumerate("ab")}
TURNS = (*product(("claim", "reclaim", "renew", "release"), "ab"), ("wait", ""))
LENGTH = 5


def _turned(state: State, now: int, turn: tuple[str, str], last: dict[str, SessionExecutionLease]) -> Steps:
    """One call of an owner: it renews and releases the last lease it got, and reclaims from the other's last one."""
    what, who = turn
    ports = Ports(now, lambda pid, start: Alive.no if now > 2 else Alive.unknown)
    if what == "claim":
        return calls.try_claim_session_execution_lease(state, ports, "s", OWNERS[who], 2)
    other = last.get("b" if who == "a" else "a")
    if what == "reclaim" and other is not None:
        return calls.reclaim_session_execution_lease(state, ports, "s", OWNERS[who], other.fence(), 2)
    if what == "renew" and who in last:
        return calls.renew_session_execution_lease(state, ports, last[who].fence(), 2)
    if what == "release" and who in last:
        return calls.release_session_execution_lease(state, ports, last[who].completion())
    return ()


def _runs() -> Iterator[tuple[tuple[tuple[str, str], ...]]]:
    return ((turns,) for turns in product(TURNS, repeat=LENGTH))


@exhausted(
    "of all leases ever granted at most one passes the fence, the newest, and fencing tokens count the grants",
    "LEASE-INV-1",
    "LEASE-INV-2",
    "LEASE-9",
    scope=f"all runs of {LENGTH} claims, reclaims, renewals, releases and waits of two owners",
    cases=_runs,
)
def one_live_holder(turns: tuple[tuple[str, str], ...]) -> bool:
    """After each call of a run only the newest grant can pass; each grant has the next number."""
    state, now = State(), 1
    grants: list[SessionExecutionLease] = []
    last: dict[str, SessionExecutionLease] = {}
    for turn in turns:
        now += turn[0] == "wait"
        for step in _turned(state, now, turn, last)[:1]:
            state = step.state
            if isinstance(step.answer, Acquired):
                lease = step.answer.lease
                last[turn[1]] = lease
                if all(lease.lease_token != each.lease_token for each in grants):
                    grants.append(lease)
        passing = [each for each in grants if calls.fence_holds(state, "s", each.fence(), now)]
        if passing not in ([], grants[-1:]):
            return False
    return [each.fencing_token for each in grants] == list(range(1, len(grants) + 1))


@exhausted(
    "a refused call leaves the lane as it was",
    "LEASE-16",
    "LEASE-21",
    "LEASE-29",
    "LEASE-34",
    scope=f"all runs of {LENGTH} claims, reclaims, renewals, releases and waits of two owners",
    cases=_runs,
)
def refusals_change_nothing(turns: tuple[tuple[str, str], ...]) -> bool:
    """Whatever answers neither a lease nor a release that matched leaves the whole state as it was."""
    state, now = State(), 1
    last: dict[str, SessionExecutionLease] = {}
    for turn in turns:
        now += turn[0] == "wait"
        for step in _turned(state, now, turn, last)[:1]:
            before, state = state, step.state
            if isinstance(step.answer, Acquired):
                last[turn[1]] = step.answer.lease
            elif isinstance(step.answer, SessionExecutionLease):
                last[turn[1]] = step.answer
            elif turn[0] == "release":
                held = calls.lease_of(before, "s").token == last[turn[1]].lease_token
                if (state != before) != held:
                    return False
            elif state != before:
                return False
    return True
