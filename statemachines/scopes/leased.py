"""What scopes have in common whose calls are made under a lease: two sessions, and what to show for one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Generic, TypeVar

from fencepost.model import State
from fencepost.model.records.claim import ClaimProof, EntryClaim, Issued, live
from fencepost.spec import LeaseOwnerIdentity, SessionExecutionLeaseFence
from msgspec.structs import replace

from ..checker import Call
from ..scope import Attempt, Bounds, Instant, Scope
from .lease import CLAIM

SESSION, OTHER = "s1", "s2"
LONG = 1_000
"""A time to live that no scope comes to the end of, ms."""


def lane(session_id: str, owner: LeaseOwnerIdentity, ttl: int) -> Call:
    """The claim of a session's lane."""
    return Call(CLAIM, (session_id, owner, ttl))


def fence_of(state: State, session_id: str) -> SessionExecutionLeaseFence:
    """The fence of the newest lease of the session, given back or not; all are granted to the first owner."""
    fence, token = max((fence, token) for (name, token), fence in state.lease.issued.items() if name == session_id)
    return SessionExecutionLeaseFence(session_id, LeaseOwnerIdentity("owner-1", "1"), token, fence)


def fences(state: State) -> tuple[SessionExecutionLeaseFence, ...]:
    """The fence of the session, the same with another token, and that of the other session."""
    own = fence_of(state, SESSION)
    return (own, replace(own, lease_token=f"{own.lease_token}'"), fence_of(state, OTHER))


def next_proof(issued: Issued, session_id: str) -> ClaimProof:
    """The claim id and token of the next claim in a session: they tell whose it is, and are no other session's."""
    name = f"{session_id}:{len(issued.under) + 1}"
    return (name, name)


@cache
def claims_of(issued: Issued, session_id: str) -> Issued:
    """The claims that were granted in a session."""
    return Issued.of({proof: fence for proof, fence in issued.under.items() if proof[0].startswith(f"{session_id}:")})


@cache
def all_claims(*issued: Issued) -> Issued:
    """The claims that were granted in all sessions."""
    return Issued.of({proof: fence for each in issued for proof, fence in each.under.items()})


def standings(entries: Iterable[tuple[str, EntryClaim]], now: int) -> str:
    """What entries are, and whether live claims hold them."""
    return ", ".join(f"{what}{' held' if live(claim, now) else ' lapsed' if claim.held else ''}" for what, claim in entries)


C = TypeVar("C")


class ClaimScope(Scope, Generic[C]):
    """Two sessions whose entries are claimed: what is in the second was there at the beginning, and nothing is added to it."""

    most_sessions = 2
    dear = True

    def __init__(self, bounds: Bounds | None = None, *, canonical: bool = True) -> None:
        super().__init__(bounds, canonical=canonical)
        self.names = (SESSION, OTHER)
        self._start = self.begin()

    def attempts(self, part: State, place: int, instant: Instant) -> Iterator[Attempt]:
        """All calls on the first session, and what may become of the entries of the other one."""
        return self._calls(part) if place == 0 else self._calls_elsewhere(part)

    def _calls(self, part: State) -> Iterator[Attempt]:
        raise NotImplementedError

    def _calls_elsewhere(self, part: State) -> Iterator[Attempt]:
        raise NotImplementedError

    def _issued(self, part: State) -> Issued:
        """The claims that were granted."""
        raise NotImplementedError

    def _claim(self, part: State, name: str, proof: ClaimProof) -> C:
        """A claim, with the entries that it holds."""
        raise NotImplementedError

    def _granted(self, part: State, name: str) -> Iterable[C]:
        """Every claim ever granted in a session."""
        return (self._claim(part, name, proof) for proof in sorted(self._issued(part).under))

    def _next_claim(self, part: State, name: str) -> C:
        """What a store may answer to the next claim in a session."""
        return self._claim(part, name, next_proof(self._issued(part), name))
