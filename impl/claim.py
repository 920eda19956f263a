"""Claims on entries: what turn inputs and queued work share.

The row of an entry (an input, a batch) carries the claim on it: claim id, token, owner and expiry, set and cleared together,
and the count of all claims that it ever had. A claim call is three steps in a transaction: read the fence and what may be
claimed, decide, write the claim. The write counts up the guard of the lease, as a takeover of the lane does, and the guard of
the kind, as everything does that writes an entry of it: of two calls that overlap, one runs again and sees the other.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from ..spec import (
    U64_MAX,
    Alive,
    Backend,
    LeaseOwnerIdentity,
    QueuedWorkClaimExpired,
    QueuedWorkCompletion,
    SessionExecutionLeaseExpired,
    SessionExecutionLeaseFence,
    TurnInputClaimExpired,
    TurnInputCompletion,
    saturating_add,
)
from ..spec.contracts import ensures
from .encoding import decoded, encoded
from .engine import Engine, Row, Statement, guarding
from .lease import FENCED, GUARD, definitely_dead, fence_facts


class Hold(msgspec.Struct, frozen=True):
    """The claim on an entry, if there is one, and how many claims it had (GEN-16)."""

    claim_id: str | None = None
    lease_token: str | None = None
    owner: LeaseOwnerIdentity | None = None
    fencing_token: int = 0
    expires_at: int = 0


class Grant(NamedTuple):
    """A claim that is about to be written; the fencing token is that of its first entry (GEN-16)."""

    claim_id: str
    lease_token: str
    owner: LeaseOwnerIdentity
    fencing_token: int
    claimed_at: int
    expires_at: int


class Entry(NamedTuple):
    """What decides whether a completion may settle an entry."""

    enqueue_seq: int
    session_id: str
    claim_id: str | None
    lease_token: str | None


@ensures(lambda hold, result: not result or hold.owner is not None, "GEN-2")
def held(hold: Hold, now: int) -> bool:
    """Whether a live claim holds the entry: at the instant of its expiry a claim is over (GEN-2)."""
    return hold.lease_token is not None and hold.expires_at > now


@ensures(lambda hold, now, result: result or held(hold, now), "GEN-5")
def takeable(hold: Hold, claimant: LeaseOwnerIdentity, now: int, alive: Callable[[int, str], Alive]) -> bool:
    """Whether the claimant may take the entry: nobody holds it, or a process that is provably dead (GEN-5)."""
    return not held(hold, now) or (hold.owner is not None and definitely_dead(hold.owner.liveness, claimant.liveness, alive))


@ensures(lambda now, ttl, result: result.expires_at == saturating_add(now, ttl), "GEN-3")
@ensures(lambda head, result: result.fencing_token == head.fencing_token + 1, "GEN-16")
@ensures(lambda head, result: (result.claim_id, result.lease_token) != (head.claim_id, head.lease_token), "GEN-17")
def granted(kind: str, enqueue_seq: int, head: Hold, owner: LeaseOwnerIdentity, now: int, ttl: int) -> Grant:
    """A new claim, on entries of which this is the first.

    No entry gets a number twice, none counts a claim twice: so no claim id comes twice either (GEN-17).
    """
    fencing_token = head.fencing_token + 1
    claim_id = f"{kind}-{enqueue_seq}-{fencing_token}"
    return Grant(claim_id, fresh(fencing_token), owner, fencing_token, now, saturating_add(now, ttl))


def fresh(number: int) -> str:
    """A name that nothing ever had, nor can have been given to anything by somebody who guessed it (INPUT-4, GEN-17)."""
    return f"{number}-{secrets.token_hex(16)}"


@ensures(lambda entries, result: result <= {entry.enqueue_seq for entry in entries.values()}, "COMMIT-14")
def settled(
    session_id: str,
    completions: Iterable[QueuedWorkCompletion | TurnInputCompletion],
    entries: Mapping[str, Entry],
) -> set[int]:
    """The numbers of the entries that the completions of a commit settle.

    Raises for the first completion that names an entry twice, or one that its claim does not hold in the commit's own
    session (COMMIT-11, COMMIT-12, COMMIT-16). Neither expiry nor owner is looked at (COMMIT-13).
    """
    numbers: set[int] = set()
    for completion in completions:
        ids, refusal = _to_settle(completion)
        proof = (session_id, completion.claim_id, completion.lease_token)
        owned = {entry_id for entry_id in ids if entry_id in entries and entries[entry_id][1:] == proof}
        if completion.session_id != session_id or len(owned) < len(ids):
            raise refusal(completion.session_id, completion.claim_id)
        numbers |= {entries[entry_id].enqueue_seq for entry_id in owned}
    return numbers


def _to_settle(
    completion: QueuedWorkCompletion | TurnInputCompletion,
) -> tuple[tuple[str, ...], type[QueuedWorkClaimExpired] | type[TurnInputClaimExpired]]:
    if isinstance(completion, QueuedWorkCompletion):
        return completion.batch_ids, QueuedWorkClaimExpired
    return completion.input_ids, TurnInputClaimExpired


HELD_BY = "claim_id, claim_token, claim_owner, claim_fencing_token, claim_expires_at"
FREE = "claim_token IS NULL OR claim_expires_at <= ?"
OWNED = "claim_id = ? AND claim_token = ?"
SET_GRANT = """claim_id = ?, claim_token = ?, claim_owner = ?, claim_expires_at = ?,
    claim_fencing_token = claim_fencing_token + 1"""
SET_FREE = "claim_id = NULL, claim_token = NULL, claim_owner = NULL, claim_expires_at = 0"


def claiming(kind: str) -> str:
    """The beginning of a statement that writes a claim; takes `fence_facts`."""
    return f"{guarding(kind)}, fenced AS ({GUARD.sql})"


def numbering(kind: str) -> str:
    """SQL that takes the number after the last one that was read: if another entry took it meanwhile, there is no row."""
    return f"""numbered AS (UPDATE guards SET guard = guard + 1, last_number = last_number + 1
        WHERE name = '{kind}' AND last_number = ? RETURNING last_number)"""


def numbered(rows: Sequence[Row]) -> tuple[int, list[Row]]:
    """The last number that was given, which is the row without a name, and the other rows."""
    last = [row[0] for row in rows if row[1] is None]
    if len(last) != 1:
        raise Backend("this store is damaged: the number of its last entry is missing")
    return last[0], [row for row in rows if row[1] is not None]


def following(last: int) -> int:
    """The number of the next entry. Raises `Backend` if there is none."""
    if last == U64_MAX:
        raise Backend("the numbers of this store are used up")
    return last + 1


def claimable(kind: str, select: str, columns: int) -> Statement:
    """The statement that reads the fence and, of so many columns, what may be claimed."""
    return Statement(
        f"read the fence and {kind} to claim",
        f"SELECT {', '.join(['NULL'] * columns)} FROM leases WHERE {FENCED} UNION ALL {select}",
    )


def read_claimable(
    engine: Engine, statement: Statement, fence: SessionExecutionLeaseFence, now: int, parameters: Sequence[object]
) -> list[Row]:
    """What may be claimed, in admission order. Raises `SessionExecutionLeaseExpired` (GEN-6)."""
    rows = engine.execute(statement, (*fence_facts(fence, now), *parameters))
    candidates = sorted(row for row in rows if row[0] is not None)
    if len(candidates) == len(rows):
        raise SessionExecutionLeaseExpired(fence.session_id)
    return candidates


def require_own(session_id: str, fence: SessionExecutionLeaseFence) -> None:
    """Raise `SessionExecutionLeaseExpired` for the fence of another session (GEN-6)."""
    if fence.session_id != session_id:
        raise SessionExecutionLeaseExpired(session_id)


def grant_facts(grant: Grant) -> tuple[object, ...]:
    """The parameters of `SET_GRANT`."""
    return (grant.claim_id, grant.lease_token, encoded(grant.owner), grant.expires_at)


@ensures(lambda result: (result.lease_token is None) == (result.owner is None), "GEN-INV-1")
def hold_of(claim_id: str | None, lease_token: str | None, owner: str | None, fencing_token: int, expires_at: int) -> Hold:
    """The claim that a row carries. Raises `Backend` if it cannot be decoded."""
    if len({claim_id is None, lease_token is None, owner is None}) > 1:
        raise Backend(f"the stored claim {claim_id!r} cannot be read: of id, token and owner something is missing")
    identity = None if owner is None else decoded(LeaseOwnerIdentity, owner, "owner of a claim")
    return Hold(claim_id, lease_token, identity, fencing_token, expires_at)
