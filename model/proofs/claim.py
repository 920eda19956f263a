"""Claims of entries: what follows when one is granted after another, and which completions a commit accepts."""

from __future__ import annotations

from itertools import product

from fencepost.spec import U64_MAX, TurnInputCompletion

from ..claim import verdict
from ..contracts import ensure, require
from ..records.claim import ClaimRecord, cleared, granted, holds, live, renewed, takeable, valid
from .exhaustion import exhausted, subsets, tuples

Claim = ClaimRecord[int, int]


@ensure(lambda one, other, result: not result or one == other, "GEN-INV-2", "an entry is under at most one claim")
def both_hold(claim: Claim, one: int, other: int) -> bool:
    """Whether two proofs are of the claim on one entry."""
    return holds(claim, one) and holds(claim, other)


@require(lambda claim: valid(claim) and claim.fencing_token < U64_MAX)
@require(lambda old, new: old != new)
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(lambda result: not result, "GEN-9", "after a takeover the old claim's proof holds nothing")
def stale_after_takeover(claim: Claim, old: int, new: int, owner: int, now: int, ttl: int) -> bool:
    """Whether the proof of a claim still holds its entry after another claim took it."""
    return holds(granted(claim, new, owner, now, ttl), old)


@require(lambda claim: valid(claim) and claim.fencing_token < U64_MAX)
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 < ttl <= U64_MAX and now < U64_MAX)
@ensure(lambda result: not result, "GEN-13", "what was just claimed can be taken by nobody, its holder included")
def taken_twice(claim: Claim, proof: int, owner: int, now: int, ttl: int) -> bool:
    """Whether an entry can be taken again at the instant of its grant, while its holder is not dead."""
    return takeable(granted(claim, proof, owner, now, ttl), False, now)


@require(lambda claim, free: valid(claim) and claim.fencing_token < U64_MAX and valid(free) and not free.held)
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(lambda claim, result: result == claim.fencing_token + 1, "GEN-INV-2", "the count goes on where a claim was given up")
def count_after_giving_up(claim: Claim, free: Claim, proof: int, owner: int, now: int, ttl: int) -> int:
    """The count of an entry whose claim was given up, and which was claimed again."""
    return granted(cleared(claim, free), proof, owner, now, ttl).fencing_token


@require(lambda claim, proof: valid(claim) and holds(claim, proof))
@require(lambda now, ttl: 0 <= now < U64_MAX and 0 < ttl <= U64_MAX)
@ensure(lambda result: result, "GEN-10", "a lapsed claim that was not taken over is live again after its renewal")
def revived(claim: Claim, proof: int, now: int, ttl: int) -> bool:
    """Whether a claim is live right after its renewal, lapsed or not before."""
    return live(renewed(claim, proof, now, ttl), now)


IDS = ("a", "b", "c")


@exhausted(
    "a commit settles only what the claim holds, in its own session",
    "COMMIT-11",
    "COMMIT-12",
    scope="completions of up to 4 of 3 ids, whichever of them the claim holds and earlier completions named",
    cases=lambda: product(("s", "other"), tuples(IDS, 4), subsets(IDS), subsets(IDS)),
)
def settles_what_is_held(session: str, ids: tuple[str, ...], held: frozenset[str], earlier: frozenset[str]) -> bool:
    """No way to judge accepts a foreign id or session; what is refused freely has the right ids in a shape left open."""
    done = TurnInputCompletion(session, "claim", "token", ids)
    judged = verdict("s", done, ids, held.__contains__, len(held), set(earlier))
    lawful = session == "s" and held.issuperset(ids)
    twice = len(set(ids)) < len(ids)
    part = not twice and (len(ids) < len(held) or not ids)
    again = not twice and not earlier.isdisjoint(ids)
    free = {"COMMIT-11a": part, "COMMIT-11b": twice, "COMMIT-11c": again} if lawful else {}
    return judged.accepted == (lawful and not twice) and {*judged.freely} == {each for each, is_so in free.items() if is_so}
