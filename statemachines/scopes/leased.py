"""What scopes have in common whose calls are made under a lease: two sessions, and what to show for one of them."""

from __future__ import annotations

from collections.abc import Iterable

from fencepost.model import State
from fencepost.model.records.claim import EntryClaim, live
from fencepost.spec import LeaseOwnerIdentity, SessionExecutionLeaseFence
from msgspec.structs import replace

from ..checker import Call
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


def standings(entries: Iterable[tuple[str, EntryClaim]], now: int) -> str:
    """What entries are, and whether live claims hold them."""
    return ", ".join(f"{what}{' held' if live(claim, now) else ' lapsed' if claim.held else ''}" for what, claim in entries)
