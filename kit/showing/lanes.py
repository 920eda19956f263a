"""Who does what in a counterexample: the actor of each call, what is granted to whom, and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from fencepost.spec import LeaseOwnerIdentity, QueuedWorkClaim, RuntimeCommit, TurnInputClaim
from fencepost.spec.lease import LeaseProof
from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.checker import Call, Performed

from . import claims, story
from .brief import holder, listed, named

NOBODY = "caller"
"""The lane of the calls that name no owner."""


@dataclass(frozen=True)
class Bar:
    """A lease or a claim: from the call that granted it (a place in the script) until an instant, or until a call ended it."""

    lane: str
    what: str
    label: str
    since: int
    until: int
    ended: int | None = None
    how: str = ""

    def is_over(self, now: int) -> bool:
        """Whether it had expired by then, if nothing ended it before."""
        return self.until <= now


def actor(call: Call) -> str:
    """Who makes the call: the owner it names, or whose proof it shows; the agent that writes an output; else nobody."""
    names = (name for name, _ in OPERATIONS[call.operation].parameters)
    for name, value in zip(names, call.arguments, strict=True):
        if isinstance(value, LeaseOwnerIdentity):
            return holder(value)
        if name == "producer_agent" and isinstance(value, str):
            return named(value)
    owners = (_owner(value) for value in call.arguments)
    return next((holder(owner) for owner in owners if owner is not None), NOBODY)


def _owner(value: object) -> LeaseOwnerIdentity | None:
    match value:
        case LeaseProof() | TurnInputClaim() | QueuedWorkClaim():
            return value.owner
        case RuntimeCommit(session_execution_lease=LeaseProof() as proof):
            return proof.owner
    return None


def actors(performed: Sequence[Performed], bars: Sequence[Bar] = ()) -> list[str]:
    """Everybody, in the order in which they come; who is not named last."""
    everybody = dict.fromkeys([*(actor(each.call) for each in performed), *(bar.lane for bar in bars)])
    return sorted(everybody, key=lambda each: each == NOBODY)


def bars(performed: Sequence[Performed]) -> list[Bar]:
    """Every lease and every claim that was granted, in the order in which they were."""
    return sorted((*_leases(performed), *_claims(performed)), key=lambda bar: (bar.since, bar.what))


def _leases(performed: Sequence[Performed]) -> Iterator[Bar]:
    """What the answers tell after each call: a lease with another token is another one, and ends the one before."""
    current: dict[str, tuple[str, Bar]] = {}
    for place, each in enumerate(performed):
        for session_id, held in story.holdings(performed[: place + 1]).items():
            token, bar = current.get(session_id, ("", None))
            if bar is None or token != held.lease_token:
                if bar is not None:
                    taken = "" if bar.ended is not None or bar.is_over(each.now) else f"taken over at {each.now}"
                    yield replace(bar, ended=place, how=taken) if taken else bar
                label = f"fence {held.fencing_token} · {named(session_id)}"
                bar = Bar(holder(held.owner), "lease", label, place, held.until)
            if held.released_at is not None and bar.ended is None:
                bar = replace(bar, ended=place, how=f"released at {held.released_at}")
            current[session_id] = (held.lease_token, replace(bar, until=held.until))
    yield from (bar for _, bar in current.values())


def _claims(performed: Sequence[Performed]) -> Iterator[Bar]:
    """Claims live until they lapse; what they hold is theirs until it is settled, given back or taken over."""
    found: dict[int, Bar] = {}
    for place in range(len(performed)):
        for number, held in enumerate(claims.holdings(performed[: place + 1])):
            if number not in found:
                label = f"{named(held.claim_id)}: {listed(map(named, held.ids)) or 'nothing'}"
                found[number] = Bar(holder(held.owner), "claim", label, place, held.until)
            bar = replace(found[number], until=held.until)
            if not held.left and bar.ended is None:
                bar = replace(bar, ended=place, how=next(reversed(held.gone.values()), ""))
            found[number] = bar
    yield from found.values()
