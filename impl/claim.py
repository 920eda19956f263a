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
    LocalProcess,
    QueuedWorkClaim,
    QueuedWorkClaimExpired,
    QueuedWorkCompletion,
    SessionExecutionLeaseExpired,
    SessionExecutionLeaseFence,
    TurnInputClaim,
    TurnInputClaimExpired,
    TurnInputCompletion,
    saturating_add,
)
from ..spec.contracts import ensures
from .encoding import decoded, encoded, number_of
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


@ensures(lambda holder, claimant, result: not result or host_of(holder) == host_of(claimant), "GEN-5")
def dead_to(holder: LeaseOwnerIdentity, claimant: LeaseOwnerIdentity, alive: Callable[[int, str], Alive]) -> bool:
    """Whether the claimant may take what the holder holds, as it is provably dead (GEN-5)."""
    return definitely_dead(holder.liveness, claimant.liveness, alive)


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


I64_MAX = 2**63 - 1
"""The largest limit that DuckDB takes."""

HELD_BY = "claim_id, claim_token, claim_owner, claim_fencing_token, claim_expires_at"
FREE = "claim_expires_at <= ?"
OF_SESSION = "session_number = ? AND session_id = ?"
OWNED = f"{OF_SESSION} AND claim_id = ? AND claim_token = ?"
SET_GRANT = """claim_id = ?, claim_token = ?, claim_owner = ?, claim_host = ?, claim_expires_at = ?,
    claim_fencing_token = claim_fencing_token + 1"""
SET_FREE = "claim_id = NULL, claim_token = NULL, claim_owner = NULL, claim_host = NULL, claim_expires_at = 0"
UNCLAIMED = "NULL, NULL, NULL, NULL, 0, 0"
"""The values of a new entry's claim."""


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


def line(kind: str, columns: str, condition: str, place: str = "enqueue_seq") -> Statement:
    """The statement that reads a line of entries, those that meet the condition, and the fence.

    Any so many free entries are no sooner in line than the first so many: up to the last of any that a scan meets, all are
    read. So a claim costs what it takes, and not what waits behind it. Of the others it reads what is held on the claimant's
    host: nobody else's death can be told (GEN-5).
    """
    rows, free = f"{columns}, {HELD_BY} FROM {kind} WHERE", f"{condition} AND {FREE}"
    gaps = ", ".join("NULL" for _ in columns.split(","))
    return Statement(
        f"read the fence and {kind} to claim",
        f"""SELECT 'fence', {gaps}, NULL, NULL, NULL, 0, 0 FROM leases WHERE {FENCED}
        UNION ALL SELECT 'free', {rows} {free} AND {place} <=
            (SELECT max(enqueue_seq) FROM (SELECT enqueue_seq FROM {kind} WHERE {free} LIMIT ?))
        UNION ALL SELECT 'held', {rows} claim_host = ? AND {condition} AND claim_expires_at > ?""",
    )


def read_claimable(
    engine: Engine,
    line: Statement,
    fence: SessionExecutionLeaseFence,
    now: int,
    facts: Sequence[object],
    most: int,
    claimant: LeaseOwnerIdentity,
    alive: Callable[[int, str], Alive],
) -> list[Row]:
    """The first so many entries in line that may be taken, and maybe more behind them, in admission order.

    `facts` are the parameters of the line's condition. Raises `SessionExecutionLeaseExpired` (GEN-6).
    """
    place = (*facts, now)
    host = host_of(claimant)
    rows = engine.execute(line, (*fence_facts(fence, now), *place, *place, min(most, I64_MAX), host, *place))
    if all(row[0] != "fence" for row in rows):
        raise SessionExecutionLeaseExpired(fence.session_id)
    holders = {row[-3] for row in rows if row[0] == "held"}
    dead = {text for text in holders if dead_to(decoded(LeaseOwnerIdentity, text, "owner of a claim"), claimant, alive)}
    return sorted(row[1:] for row in rows if row[0] == "free" or (row[0] == "held" and row[-3] in dead))


def require_own(session_id: str, fence: SessionExecutionLeaseFence) -> None:
    """Raise `SessionExecutionLeaseExpired` for the fence of another session (GEN-6)."""
    if fence.session_id != session_id:
        raise SessionExecutionLeaseExpired(session_id)


def of_session(session_id: str) -> tuple[int, str]:
    """The parameters of `OF_SESSION`."""
    return (number_of(session_id), session_id)


def owned(claim: QueuedWorkClaim | TurnInputClaim) -> tuple[object, ...]:
    """The parameters of `OWNED`."""
    return (*of_session(claim.session_id), claim.claim_id, claim.lease_token)


def grant_facts(grant: Grant) -> tuple[object, ...]:
    """The parameters of `SET_GRANT`."""
    return (grant.claim_id, grant.lease_token, encoded(grant.owner), host_of(grant.owner), grant.expires_at)


def host_of(owner: LeaseOwnerIdentity) -> int | None:
    """A number for the host on which the owner's death can be told, since its last start; None if it cannot be."""
    liveness = owner.liveness
    return number_of(liveness.host_id, liveness.boot_id) if isinstance(liveness, LocalProcess) else None


@ensures(lambda result: (result.lease_token is None) == (result.owner is None), "GEN-INV-1")
def hold_of(claim_id: str | None, lease_token: str | None, owner: str | None, fencing_token: int, expires_at: int) -> Hold:
    """The claim that a row carries. Raises `Backend` if it cannot be decoded."""
    if len({claim_id is None, lease_token is None, owner is None}) > 1:
        raise Backend(f"the stored claim {claim_id!r} cannot be read: of id, token and owner something is missing")
    identity = None if owner is None else decoded(LeaseOwnerIdentity, owner, "owner of a claim")
    return Hold(claim_id, lease_token, identity, fencing_token, expires_at)
