"""The lease of one session: the record that decides, and its transitions.

Holders, liveness and tokens are type variables, compared for equality and otherwise never looked into; what decides is scalar
and free of loops. Together that lets CrossHair confirm every lemma over all paths, at `int` (see `proofs`). The clock is a
parameter, in epoch milliseconds; sums of times saturate.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import msgspec
from fencepost.spec import U64_MAX, LeaseOwnerLiveness, saturating_add
from immutables import Map

from ..contracts import ensure, require

H = TypeVar("H")
L = TypeVar("L")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LeaseRecord(Generic[H, L, T]):
    """The lease of one session. While it is not `held` only the fencing token means anything (LEASE-INV-4)."""

    fencing_token: int
    held: bool
    holder: H
    liveness: L
    token: T
    claimed_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Proof(Generic[H, T]):
    """What a fence or a completion shows."""

    holder: H
    token: T
    fencing_token: int


@dataclass(frozen=True, slots=True)
class Claimant(Generic[H, L, T]):
    """Who asks for a lease, and the lease token to give if the answer is yes."""

    holder: H
    liveness: L
    minted: T


class Granted(enum.Enum):
    """How a claim or a reclaim went."""

    anew = "anew"
    again = "again"
    no = "no"


def valid(record: LeaseRecord[H, L, T]) -> bool:
    """What every reachable record satisfies."""
    return 0 <= record.fencing_token <= U64_MAX and record.claimed_at >= 0 and record.expires_at >= 0


@ensure(
    lambda record, now, result: result == (record.held and now < record.expires_at), "LEASE-6", "at its expiry a lease is over"
)
def live(record: LeaseRecord[H, L, T], now: int) -> bool:
    """Whether somebody holds the lane at this instant: at its expiry a lease is over (LEASE-6)."""
    return record.held and record.expires_at > now


def matches(record: LeaseRecord[H, L, T], proof: Proof[H, T]) -> bool:
    """Whether the proof is of this very grant; time and liveness take no part."""
    return (
        record.held
        and record.holder == proof.holder
        and record.token == proof.token
        and record.fencing_token == proof.fencing_token
    )


@require(lambda record: valid(record))
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(
    lambda record, result: result.fencing_token == min(record.fencing_token + 1, U64_MAX),
    "LEASE-9",
    "a grant raises the fencing token by exactly one, saturating",
)
@ensure(
    lambda record, result: result.fencing_token > record.fencing_token or record.fencing_token == U64_MAX,
    "LEASE-11",
    "the fencing token grows with each grant, short of its largest value",
)
@ensure(
    lambda result, now, ttl: result.expires_at == min(now + ttl, U64_MAX) and result.claimed_at == now,
    "LEASE-8",
    "a grant begins now and ends its time to live later, saturating",
)
@ensure(lambda result, claimant: result.held and result.token == claimant.minted, "LEASE-10", "a grant has the new lease token")
@ensure(
    lambda result, claimant: result.holder == claimant.holder and result.liveness == claimant.liveness,
    "LEASE-9",
    "a grant is the claimant's, with its liveness",
)
def acquired(record: LeaseRecord[H, L, T], claimant: Claimant[H, L, T], now: int, ttl: int) -> LeaseRecord[H, L, T]:
    """A new grant: the next fencing token, a new lease token."""
    return LeaseRecord(
        fencing_token=saturating_add(record.fencing_token, 1),
        held=True,
        holder=claimant.holder,
        liveness=claimant.liveness,
        token=claimant.minted,
        claimed_at=now,
        expires_at=saturating_add(now, ttl),
    )


class Grant(NamedTuple, Generic[H, L, T]):
    """A record after a claim, and how the claim went."""

    record: LeaseRecord[H, L, T]
    granted: Granted


@require(lambda record: valid(record))
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(
    lambda record, result: result.record.fencing_token >= record.fencing_token,
    "LEASE-INV-1",
    "the fencing token never falls in a claim",
)
@ensure(
    lambda record, now, result: (result.granted is Granted.anew) == (not live(record, now)),
    "LEASE-12",
    "a lane is granted anew exactly when nobody holds it",
)
@ensure(
    lambda record, claimant, now, result: (
        (result.granted is Granted.again) == (live(record, now) and record.holder == claimant.holder)
    ),
    "LEASE-13",
    "a live lease is entered again exactly by its holder",
)
@ensure(
    lambda record, now, ttl, result: (
        result.granted is not Granted.again or result.record == replace(record, expires_at=min(now + ttl, U64_MAX))
    ),
    "LEASE-13",
    "re-entry moves the expiry and keeps tokens and holder",
)
@ensure(
    lambda record, result: result.granted is not Granted.no or result.record == record,
    "LEASE-16",
    "a refused claim changes nothing",
)
@ensure(
    lambda record, claimant, now, result: (
        not live(record, now) or record.holder == claimant.holder or (result.granted is Granted.no and result.record == record)
    ),
    "LEASE-INV-2",
    "a live lease is not taken from its holder",
)
@ensure(
    lambda record, claimant, now, ttl, result: (
        result.granted is not Granted.anew or result.record == acquired(record, claimant, now, ttl)
    ),
    "LEASE-12",
    "a claim that is granted anew is a new grant",
)
def claim(record: LeaseRecord[H, L, T], claimant: Claimant[H, L, T], now: int, ttl: int) -> Grant[H, L, T]:
    """Claim the lane: anew if nobody holds it now, again for its holder, else not."""
    if not live(record, now):
        return Grant(acquired(record, claimant, now, ttl), Granted.anew)
    if record.holder == claimant.holder:
        return Grant(replace(record, expires_at=saturating_add(now, ttl)), Granted.again)
    return Grant(record, Granted.no)


@require(lambda record: valid(record))
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(
    lambda record, result: result.record.fencing_token >= record.fencing_token,
    "LEASE-INV-1",
    "the fencing token never falls in a reclaim",
)
@ensure(
    lambda record, now, result: live(record, now) or result.granted is Granted.anew,
    "LEASE-19",
    "a lane that nobody holds is granted",
)
@ensure(
    lambda record, now, observed, dead, result: (
        not live(record, now) or (result.granted is Granted.anew) == (dead and matches(record, observed))
    ),
    "LEASE-20",
    "a live lease is taken exactly from the observed and dead holder",
)
@ensure(
    lambda record, result: result.granted is not Granted.no or result.record == record,
    "LEASE-21",
    "a refused reclaim changes nothing",
)
@ensure(lambda result: result.granted is not Granted.again, "LEASE-22", "a reclaim lets nobody in again")
@ensure(
    lambda record, observed, result: (
        result.granted is not Granted.anew
        or record.fencing_token == U64_MAX
        or not matches(result.record, observed)
        # the observed proof may be from the future if it is forged: then it must name this very grant
        or observed.fencing_token == record.fencing_token + 1
    ),
    "LEASE-24",
    "what was observed does not match the new grant",
)
@ensure(
    lambda record, claimant, now, ttl, result: (
        result.granted is not Granted.anew or result.record == acquired(record, claimant, now, ttl)
    ),
    "LEASE-19",
    "a reclaim that is granted is a new grant",
)
def reclaim(
    record: LeaseRecord[H, L, T], claimant: Claimant[H, L, T], observed: Proof[H, T], dead: bool, now: int, ttl: int
) -> Grant[H, L, T]:
    """Take the lane from the observed holder if it is dead, or from nobody."""
    if live(record, now) and not (dead and matches(record, observed)):
        return Grant(record, Granted.no)
    return Grant(acquired(record, claimant, now, ttl), Granted.anew)


@require(lambda record: valid(record))
@ensure(
    lambda record, proof, now, result: result == (matches(record, proof) and live(record, now)),
    "LEASE-37",
    "the fence holds exactly for the live lease",
)
@ensure(
    lambda record, proof, result: not result or record.token == proof.token,
    "LEASE-INV-2",
    "the fence holds for no other lease token",
)
def fence_holds(record: LeaseRecord[H, L, T], proof: Proof[H, T], now: int) -> bool:
    """Whether the proof is the live lease: the check of every fenced write."""
    return live(record, now) and matches(record, proof)


@require(lambda record: valid(record))
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(
    lambda record, proof, now, result: (result is None) == (not (live(record, now) and matches(record, proof))),
    "LEASE-29",
    "a renewal passes exactly for the live lease",
)
@ensure(
    lambda record, now, ttl, result: result is None or result == replace(record, expires_at=min(now + ttl, U64_MAX)),
    "LEASE-30",
    "renewal moves the expiry and keeps tokens and holder",
)
@ensure(lambda record, now, result: result is None or record.expires_at > now, "LEASE-32", "what has expired is not renewed")
def renew(record: LeaseRecord[H, L, T], proof: Proof[H, T], now: int, ttl: int) -> LeaseRecord[H, L, T] | None:
    """The record with a new expiry, or None if the fence does not hold."""
    if not fence_holds(record, proof, now):
        return None
    return replace(record, expires_at=saturating_add(now, ttl))


@require(lambda record: valid(record))
@require(lambda vacant: not vacant.held and vacant.claimed_at == 0 and vacant.expires_at == 0)
@ensure(lambda record, result: result.fencing_token == record.fencing_token, "LEASE-35", "a release keeps the fencing token")
@ensure(
    lambda record, proof, result: not matches(record, proof) or not result.held,
    "LEASE-33",
    "a matching release vacates the lane",
)
@ensure(
    lambda record, proof, result: matches(record, proof) or result == record,
    "LEASE-34",
    "a release that does not match changes nothing",
)
@ensure(
    lambda record, proof, result: not matches(record, proof) or (result.claimed_at == 0 and result.expires_at == 0),
    "LEASE-INV-4",
    "a vacant lane has no times",
)
def release(record: LeaseRecord[H, L, T], proof: Proof[H, T], vacant: LeaseRecord[H, L, T]) -> LeaseRecord[H, L, T]:
    """The record vacated by its holder, keeping the fencing token; as it was for anybody else."""
    if not matches(record, proof):
        return record
    return replace(vacant, fencing_token=record.fencing_token)


Incarnation: TypeAlias = tuple[str, str]
SessionLease: TypeAlias = LeaseRecord[Incarnation, LeaseOwnerLiveness | None, str]


class LeaseState(msgspec.Struct, frozen=True, cache_hash=True):
    """A lease record per session id, and every lease token ever issued (LEASE-10)."""

    records: Map[str, SessionLease] = Map()
    issued: Map[tuple[str, str], int] = Map()
