"""The claim on one entry, an input or a batch: who holds it, until when, and how often it was held.

Proofs (claim id and lease token, as one value) and owners are type variables, compared for equality and otherwise never looked
into; what decides is scalar and free of loops (see `proofs`). Whether a holder is dead is decided outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar

import msgspec
from fencepost.spec import U64_MAX, LeaseOwnerIdentity, saturating_add
from immutables import Map

from ..contracts import ensure, require

P = TypeVar("P")
H = TypeVar("H")


@dataclass(frozen=True, slots=True)
class ClaimRecord(Generic[P, H]):
    """The claim on one entry. While it is not `held` only the fencing token means anything: it counts the grants."""

    fencing_token: int
    held: bool
    proof: P
    owner: H
    expires_at: int


def valid(claim: ClaimRecord[P, H]) -> bool:
    """What every reachable record satisfies."""
    return 0 <= claim.fencing_token <= U64_MAX and 0 <= claim.expires_at <= U64_MAX and (claim.held or claim.expires_at == 0)


def room(claim: ClaimRecord[P, H]) -> bool:
    """Whether the claim can be counted once more: nobody has ever counted to the end."""
    return claim.fencing_token < U64_MAX


@ensure(lambda claim, now, result: result == (claim.held and now < claim.expires_at), "GEN-2", "at its expiry a claim is over")
def live(claim: ClaimRecord[P, H], now: int) -> bool:
    """Whether the claim keeps others away at this instant: at its expiry it has lapsed (GEN-2)."""
    return claim.held and claim.expires_at > now


@ensure(
    lambda claim, dead, now, result: result == (not claim.held or claim.expires_at <= now or dead),
    "GEN-5",
    "what is free, lapsed or held by the dead can be taken",
)
@ensure(
    lambda claim, dead, now, result: not (live(claim, now) and not dead) or not result,
    "GEN-12",
    "a live claim of the living is never taken",
)
def takeable(claim: ClaimRecord[P, H], dead: bool, now: int) -> bool:
    """Whether a claim call may take the entry: free, lapsed, or held by the dead (GEN-5)."""
    return not live(claim, now) or dead


@ensure(
    lambda claim, proof, result: result == (claim.held and claim.proof == proof),
    "GEN-9",
    "exactly the proof of this very claim holds it",
)
def holds(claim: ClaimRecord[P, H], proof: P) -> bool:
    """Whether the proof is of this very claim; time takes no part (GEN-9, GEN-10)."""
    return claim.held and claim.proof == proof


@require(lambda claim: valid(claim) and room(claim))
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(
    lambda claim, result: result.fencing_token == claim.fencing_token + 1,
    "GEN-16",
    "each grant raises the fencing token by exactly one",
)
@ensure(
    lambda result, now, ttl: result.expires_at == min(now + ttl, U64_MAX),
    "GEN-3",
    "a claim ends its time to live after the grant, saturating",
)
@ensure(lambda result, proof: holds(result, proof), "GEN-9", "the new holder's proof holds the claim")
@ensure(lambda result, owner: result.owner == owner, "GEN-7", "the owner that a claim names is recorded")
def granted(claim: ClaimRecord[P, H], proof: P, owner: H, now: int, ttl: int) -> ClaimRecord[P, H]:
    """The claim of a new holder, in place of whatever was there."""
    return ClaimRecord(claim.fencing_token + 1, True, proof, owner, saturating_add(now, ttl))


@require(lambda claim, free: valid(claim) and valid(free) and not free.held)
@ensure(
    lambda claim, result: result.fencing_token == claim.fencing_token, "GEN-16", "giving a claim up keeps the fencing token"
)
@ensure(
    lambda result: not result.held and result.expires_at == 0, "INPUT-INV-4", "a claim given up leaves nothing but its count"
)
def cleared(claim: ClaimRecord[P, H], free: ClaimRecord[P, H]) -> ClaimRecord[P, H]:
    """The claim given up; the count stays."""
    return replace(free, fencing_token=claim.fencing_token)


@require(lambda claim: valid(claim))
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(lambda claim, proof, result: holds(claim, proof) or result == claim, "GEN-9", "nobody renews another one's claim")
@ensure(
    lambda claim, proof, now, ttl, result: (
        not holds(claim, proof) or result == replace(claim, expires_at=min(now + ttl, U64_MAX))
    ),
    "QRENEW-1",
    "renewal moves the end of the claim and nothing else",
)
def renewed(claim: ClaimRecord[P, H], proof: P, now: int, ttl: int) -> ClaimRecord[P, H]:
    """The claim with a new expiry, lapsed or not, for the proof of it; as it was for any other."""
    if not holds(claim, proof):
        return claim
    return replace(claim, expires_at=saturating_add(now, ttl))


ClaimProof: TypeAlias = tuple[str, str]
"""Claim id and lease token."""


class Issued(msgspec.Struct, frozen=True, cache_hash=True):
    """Every claim that was ever answered, with the fencing token of the lease it was granted under; neither its id nor its
    token may come again (GEN-17)."""

    under: Map[ClaimProof, int] = Map()
    ids: Map[str, bool] = Map()
    tokens: Map[str, bool] = Map()

    @classmethod
    def of(cls, claims: Mapping[ClaimProof, int]) -> Issued:
        """These claims."""
        issued = cls()
        for proof, fencing_token in claims.items():
            issued = issued.plus(proof, fencing_token)
        return issued

    def plus(self, proof: ClaimProof, fencing_token: int) -> Issued:
        """The claims with this one too."""
        claim_id, token = proof
        return Issued(self.under.set(proof, fencing_token), self.ids.set(claim_id, True), self.tokens.set(token, True))


EntryClaim: TypeAlias = ClaimRecord[ClaimProof, LeaseOwnerIdentity | None]

FREE: EntryClaim = ClaimRecord(0, False, ("", ""), None, 0)
"""The claim of an entry that nobody ever held."""
