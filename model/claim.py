"""What claims of turn inputs and of queued work share: the fence, dead holders, minted proofs, and completions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import count
from typing import NamedTuple, TypeAlias

from fencepost.spec import (
    U64_MAX,
    InvalidArgument,
    LeaseOwnerIdentity,
    QueuedWorkClaim,
    QueuedWorkCompletion,
    SessionExecutionLeaseExpired,
    SessionExecutionLeaseFence,
    TurnInputClaim,
    TurnInputCompletion,
)

from .lease import definitely_dead, fence_because, fence_holds, lease_of
from .records.claim import ClaimProof, EntryClaim, Issued, live
from .state import State
from .step import Ids, Ports, Refused, Step, Steps, Why, refused

Completion: TypeAlias = QueuedWorkCompletion | TurnInputCompletion

CLAIM_WHY: Why = (
    ("claim_id", ("GEN-17",)),
    ("lease_token", ("GEN-17",)),
    ("fencing_token", ("GEN-16", "GEN-INV-2")),
    ("claimed_at_epoch_ms", ("GEN-3",)),
    ("expires_at_epoch_ms", ("GEN-3",)),
    ("owner", ("GEN-7",)),
)


def unfenced(state: State, ports: Ports, session_id: str, fence: SessionExecutionLeaseFence, *because: str) -> Steps:
    """The refusal of a claim whose fence is not the live lease of the session; no steps if it is (GEN-6)."""
    if fence_holds(state, session_id, fence, ports.now):
        return ()
    why = fence_because(state, session_id, fence, ports.now)
    return refused(state, SessionExecutionLeaseExpired(session_id), *because, "GEN-6", *why)


def dead_for(claim: EntryClaim, claimant: LeaseOwnerIdentity, ports: Ports) -> bool:
    """Whether the holder of a claim is provably dead to the claimant (GEN-5)."""
    return claim.owner is not None and definitely_dead(claim.owner.liveness, claimant.liveness, ports.alive)


def proof_of(shown: TurnInputClaim | QueuedWorkClaim | Completion) -> ClaimProof:
    """What a claim or a completion proves itself by (GEN-9)."""
    return (shown.claim_id, shown.lease_token)


def minted(ports: Ports, session_id: str, issued: Issued) -> ClaimProof:
    """The proof that the store made up, if neither of its parts was ever answered; else one of ours (GEN-17)."""
    seen = ports.seen if isinstance(ports.seen, TurnInputClaim | QueuedWorkClaim) else None
    if seen is not None and seen.claim_id not in issued.ids and seen.lease_token not in issued.tokens:
        return proof_of(seen)
    claim_id = made_up("claim", issued.ids)
    return (claim_id, f"{session_id}:{claim_id}:{ports.now}")


def made_up(kind: str, taken: Collection[str]) -> str:
    """A name of ours that was never answered."""
    return next(name for number in count(len(taken) + 1) if (name := f"{kind}-{number}") not in taken)


def too_long(state: State, now: int, ttl: int) -> Steps:
    """The refusal that a store may give to a claim whose end no number can tell (GEN-3a)."""
    if now + ttl <= U64_MAX:
        return ()
    return (Step(state, Refused(InvalidArgument("lease_ttl_ms")), ("GEN-3a",), differs=("GEN-3a",)),)


def ending(now: int, ttl: int) -> Why:
    """What fixes the end of a claim: a sum that no number can tell is the largest one (GEN-3a)."""
    return (("expires_at_epoch_ms", ("GEN-3a", "GEN-3")),) if now + ttl > U64_MAX else ()


def under_fence(state: State, session_id: str) -> int:
    """The fencing token of the lease that a claim is granted under."""
    return lease_of(state, session_id).fencing_token


def at_edge(claims: Iterable[EntryClaim], now: int) -> Ids:
    """The requirement of the expiry's edge, where the instant of the call is at one."""
    return ("GEN-2",) if any(claim.held and now in (claim.expires_at - 1, claim.expires_at) for claim in claims) else ()


def taken_because(taken: Iterable[EntryClaim], now: int) -> Ids:
    """What lets a claim take these entries, as their claims were before."""
    held = [claim for claim in taken if claim.held]
    return (*(("GEN-5",) if any(live(claim, now) for claim in held) else ()), *at_edge(held, now))


def taken_in_part(taken: Iterable[EntryClaim], left: Iterable[EntryClaim]) -> bool:
    """Whether of what a claim held some is taken and some is left to it."""
    proofs = {claim.proof for claim in taken if claim.held}
    return any(claim.held and claim.proof in proofs for claim in left)


def whoever_asks(state: State, fence: SessionExecutionLeaseFence, owner: LeaseOwnerIdentity) -> Ids:
    """What grants a claim to another owner than the lease's, and in a session that does not exist yet."""
    return (*(("GEN-7",) if owner.incarnation != fence.owner.incarnation else ()), *unbound(state, fence.session_id))


def unbound(state: State, session_id: str) -> Ids:
    """The requirement that ingress and claims ask for no session to exist, where none does (GEN-14)."""
    head = state.commit.head
    return ("GEN-14",) if head is None or head.session_id != session_id else ()


def spared_because(spared: Iterable[EntryClaim], owner: LeaseOwnerIdentity, now: int) -> Ids:
    """What keeps a claim from entries that are held, the most telling first."""
    spared = [claim for claim in spared if claim.held]
    holders = [claim.owner for claim in spared if live(claim, now)]
    own = any(holder is not None and holder.incarnation == owner.incarnation for holder in holders)
    return (*at_edge(spared, now), *(("GEN-13",) if own else ()), *(("GEN-12",) if holders else ()))


def outlived(state: State, session_id: str, claims: Iterable[EntryClaim], issued: Issued, now: int) -> Ids:
    """The requirement that claims outlive the lease they were granted under, where one does (GEN-11)."""
    lane = lease_of(state, session_id)
    old = any(live(claim, now) and (not lane.held or issued.under[claim.proof] != lane.fencing_token) for claim in claims)
    return ("GEN-11",) if old else ()


def judged_otherwise(
    taken: Iterable[EntryClaim], passed: Iterable[EntryClaim], claimant: LeaseOwnerIdentity, ports: Ports
) -> Ids:
    """What a store got wrong that took these entries, and passed those: how their claims stood before."""
    taken, passed = [claim for claim in taken if claim.held], [claim for claim in passed if claim.held]
    own = any(claim.owner is not None and claim.owner.incarnation == claimant.incarnation for claim in taken)
    dead = any(live(claim, ports.now) for claim in passed)
    return (
        *at_edge((*taken, *passed), ports.now),
        *(("GEN-13",) if own else ()),
        *(("GEN-12",) if taken else ()),
        *(("GEN-5",) if dead else ()),
    )


class Verdict(NamedTuple):
    """What becomes of one completion, and the CURRENT requirements by which a store may decide otherwise."""

    accepted: bool
    freely: Ids = ()


def verdict(
    commit_session: str, done: Completion, ids: tuple[str, ...], held: Callable[[str], bool], whole: int, earlier: set[str]
) -> Verdict:
    """Whether the claim holds, in the commit's own session, every id that the completion names (COMMIT-11, COMMIT-12).

    `whole` is how much the claim holds, `earlier` what completions before this one in the commit have named.
    """
    if done.session_id != commit_session or not all(map(held, ids)):
        return Verdict(False)
    if len(set(ids)) < len(ids):
        return Verdict(False, ("COMMIT-11b",))
    shape = ("COMMIT-11a",) if len(ids) < whole or not ids else ()
    return Verdict(True, (*shape, *(("COMMIT-11c",) if earlier & set(ids) else ())))
