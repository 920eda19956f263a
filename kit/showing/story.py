"""A run in words: who held which lease when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fencepost.model import Refused
from fencepost.spec import Acquired, LeaseOwnerIdentity, RuntimeCommit, SessionExecutionLease
from fencepost.spec.lease import LeaseProof
from fencepost.statemachines.checker import Call, Crash, Performed

from .brief import holder
from .source import simple


@dataclass(frozen=True)
class Holding:
    """The last lease of a session, as the answers told it."""

    owner: LeaseOwnerIdentity
    lease_token: str
    fencing_token: int
    since: int
    until: int
    released_at: int | None = None

    def told_at(self, now: int) -> str:
        """Who held it when, in the tense of the instant."""
        whom = f"{holder(self.owner)} with fencing token {self.fencing_token}"
        if self.released_at is not None:
            return f"was free: {whom} had held it from {self.since} and released it at {self.released_at}"
        if self.until <= now:
            return f"was free: {whom} had held it from {self.since}, until its lease expired at {self.until}"
        return f"was held by {whom}, from {self.since} until {self.until}"


def who_held(performed: Sequence[Performed]) -> str | None:
    """One sentence on the lease that the last call was about, from the answers before it; None if it is about no lease."""
    *before, last = performed
    session_id = _session_of(last.call)
    if session_id is None:
        return None
    holding = holdings(before).get(session_id)
    state = holding.told_at(last.now) if holding else "had never been leased"
    return f"At {last.now} ms session {simple(session_id)} {state}{_showing(last.call, holding, before)}."


def _showing(call: Call, holding: Holding | None, before: Iterable[Performed]) -> str:
    """What the call showed, and where that came from."""
    shown = _shown(call)
    if shown is None:
        return ""
    if holding and shown.lease_token == holding.lease_token:
        altered = [f"as {holder(shown.owner)}"] if shown.owner.incarnation != holding.owner.incarnation else []
        altered += [f"with fencing token {shown.fencing_token}"] if shown.fencing_token != holding.fencing_token else []
        return f"; the call showed its lease token {' and '.join(altered)}" if altered else "; the call showed just that lease"
    granted = [each.now for each in before if isinstance(each.answer, Acquired) and _is_of(each.answer.lease, shown)]
    origin = f"granted at {granted[0]}" if granted else "which was never granted"
    return f"; the call showed fencing token {shown.fencing_token} of {holder(shown.owner)}, {origin}"


def _is_of(lease: SessionExecutionLease, shown: LeaseProof) -> bool:
    return (lease.lease_token, lease.fencing_token, lease.owner.incarnation) == (
        shown.lease_token,
        shown.fencing_token,
        shown.owner.incarnation,
    )


def holdings(performed: Iterable[Performed]) -> dict[str, Holding]:
    """The last lease of each session."""
    held: dict[str, Holding] = {}
    for each in performed:
        match each.answer:
            case Acquired(lease=lease):
                held[lease.session_id] = _granted(lease)
            case SessionExecutionLease() as lease:
                held[lease.session_id] = _granted(lease)
        released = _released_by(each)
        if released is not None and _matches(held.get(released.session_id), released):
            held[released.session_id] = replace(held[released.session_id], released_at=each.now)
    return held


def _granted(lease: SessionExecutionLease) -> Holding:
    return Holding(lease.owner, lease.lease_token, lease.fencing_token, lease.claimed_at_epoch_ms, lease.expires_at_epoch_ms)


def _released_by(performed: Performed) -> LeaseProof | None:
    """The completion that a call carried, if the call was not refused."""
    if isinstance(performed.answer, Refused | Crash):
        return None
    for argument in performed.call.arguments:
        if performed.call.operation == "release_session_execution_lease" and isinstance(argument, LeaseProof):
            return argument
        if isinstance(argument, RuntimeCommit):
            return argument.release_session_execution_lease
    return None


def _matches(holding: Holding | None, shown: LeaseProof) -> bool:
    return holding is not None and (holding.lease_token, holding.fencing_token, holding.owner.incarnation) == (
        shown.lease_token,
        shown.fencing_token,
        shown.owner.incarnation,
    )


def _session_of(call: Call) -> str | None:
    """The session whose lease decides the call: that of a lease call, of a claim, or of a commit."""
    if "lease" not in call.operation and not call.operation.startswith(("claim", "commit_runtime")):
        return None
    first = call.arguments[0] if call.arguments else None
    session_id = first if isinstance(first, str) else getattr(first, "session_id", None)
    return session_id if isinstance(session_id, str) else None


def _shown(call: Call) -> LeaseProof | None:
    """The proof that the call carries, if it carries one."""
    for argument in call.arguments:
        if isinstance(argument, LeaseProof):
            return argument
        if isinstance(argument, RuntimeCommit):
            return argument.session_execution_lease
    return None
