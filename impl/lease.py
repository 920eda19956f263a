"""Session execution leases, in one table with one row per session that was ever leased.

Each call reads the row, decides on it as a value, and writes the decision: one transaction. The decisions stand alone at
the top and carry the contracts. Rows are never deleted, so fencing tokens outlive releases (LEASE-35), and every write
counts the row's guard up, which is what makes two writers conflict.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import msgspec

from ..spec import (
    U64_MAX,
    Acquired,
    Alive,
    Backend,
    Busy,
    LeaseOwnerIdentity,
    LeaseOwnerLiveness,
    LocalProcess,
    Opaque,
    SessionExecutionLease,
    SessionExecutionLeaseClaimOutcome,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseExpired,
    SessionExecutionLeaseFence,
    SessionExecutionLeaseStore,
    saturating_add,
)
from ..spec.contracts import ensures
from ..spec.lease import LeaseProof
from .encoding import decoded, encoded
from .engine import Engine, Row, Statement
from .store import DuckDBStore


class LeaseRow(msgspec.Struct, frozen=True):
    """A row of `leases`; a session that was never leased has the row of defaults (LEASE-3)."""

    session_id: str
    owner: LeaseOwnerIdentity | None = None
    lease_token: str | None = None
    fencing_token: int = 0
    claimed_at: int = 0
    expires_at: int = 0
    guard: int = 0

    def lease(self) -> SessionExecutionLease:
        """The lease that the row holds."""
        assert self.owner is not None
        assert self.lease_token is not None
        return SessionExecutionLease(
            self.session_id, self.owner, self.lease_token, self.fencing_token, self.claimed_at, self.expires_at
        )


def live(row: LeaseRow, now: int) -> bool:
    """Whether somebody holds the lane: at the instant of its expiry a lease is over (LEASE-6)."""
    return row.lease_token is not None and row.expires_at > now


def matches(row: LeaseRow, proof: LeaseProof) -> bool:
    """Whether the proof is of the lease in the row, live or not; liveness and times take no part."""
    return (
        row.owner is not None
        and row.owner.incarnation == proof.owner.incarnation
        and row.lease_token == proof.lease_token
        and row.fencing_token == proof.fencing_token
    )


@ensures(lambda row, result: result.lease_token != row.lease_token, "LEASE-10")
@ensures(
    lambda row, owner, now, ttl, result: (
        (result.owner, result.claimed_at, result.expires_at) == (owner, now, min(now + ttl, U64_MAX))
        and result.fencing_token == row.fencing_token + (row.fencing_token < U64_MAX)
    ),
    "LEASE-9",
)
def acquired(row: LeaseRow, owner: LeaseOwnerIdentity, now: int, ttl: int) -> LeaseRow:
    """The row after a new acquisition (LEASE-9, LEASE-11)."""
    fencing_token = saturating_add(row.fencing_token, 1)
    return LeaseRow(
        row.session_id,
        owner,
        _token(row, owner, now, fencing_token),
        fencing_token,
        now,
        saturating_add(now, ttl),
        row.guard + 1,
    )


@ensures(
    lambda row, result: (
        (result.owner, result.lease_token, result.fencing_token, result.claimed_at)
        == (row.owner, row.lease_token, row.fencing_token, row.claimed_at)
    ),
    "LEASE-13",
)
def extended(row: LeaseRow, now: int, ttl: int) -> LeaseRow:
    """The row after a re-entry or renewal: the expiry moves, earlier too, and nothing else (LEASE-14, LEASE-30)."""
    return msgspec.structs.replace(row, expires_at=saturating_add(now, ttl), guard=row.guard + 1)


@ensures(lambda holder, claimant, result: not result or {type(holder), type(claimant)} == {LocalProcess}, "LEASE-25")
def definitely_dead(holder: LeaseOwnerLiveness, claimant: LeaseOwnerLiveness, alive: Callable[[int, str], Alive]) -> bool:
    """Whether the claimant may take the holder for dead: same host, same boot, and the oracle says no (LEASE-26)."""
    if not isinstance(holder, LocalProcess) or not isinstance(claimant, LocalProcess):
        return False
    if (holder.host_id, holder.boot_id) != (claimant.host_id, claimant.boot_id):
        return False
    return alive(holder.pid, holder.process_start) is Alive.no


def _token(row: LeaseRow, owner: LeaseOwnerIdentity, now: int, fencing_token: int) -> str:
    # the guard never repeats, so neither do tokens, even where the fencing token saturates
    facts = [row.session_id, *owner.incarnation, now, fencing_token, row.guard]
    return f"{fencing_token}-{hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]}"


# a row without incarnation is its owner's only one (LEASE-28)
MATCHES = "owner_id = ? AND coalesce(incarnation_id, owner_id) = ? AND lease_token = ? AND fencing_token = ?"


def only_if(condition: str) -> str:
    """Of the session's row, but only if the condition holds: DuckDB looks a key up only if it filters no second column.

    A case on one column alone it takes for a filter of that column; this one always has two.
    """
    return f"session_id = ? AND CASE WHEN session_id IS NOT NULL AND ({condition}) THEN true ELSE false END"


READ = Statement(
    "read the lease",
    """SELECT session_id, owner_id, incarnation_id, liveness, lease_token, fencing_token, claimed_at, expires_at, guard
    FROM leases WHERE session_id = ?""",
)
INSERT = Statement("store the first lease of a session", "INSERT INTO leases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
GRANT = Statement(
    "store the lease",
    """UPDATE leases SET owner_id = ?, incarnation_id = ?, liveness = ?, lease_token = ?, fencing_token = ?, claimed_at = ?,
    expires_at = ?, guard = ? WHERE session_id = ?""",
)
EXTEND = Statement("store the lease's expiry", "UPDATE leases SET expires_at = ?, guard = ? WHERE session_id = ?")
FENCED = only_if(f"{MATCHES} AND expires_at > ?")
"""Of the session's lease, but only if the fence is it, and live (LEASE-37); takes `fence_facts`."""

GUARD = Statement("check and guard the lease", f"UPDATE leases SET guard = guard + 1 WHERE {FENCED}")
RELEASE = Statement(
    "release the lease",
    f"""UPDATE leases SET owner_id = NULL, incarnation_id = NULL, liveness = NULL, lease_token = NULL, claimed_at = 0,
    expires_at = 0, guard = guard + 1 WHERE {only_if(MATCHES)}""",
)


def guarded(engine: Engine, session_id: str, fence: SessionExecutionLeaseFence | None, now: int) -> bool:
    """Whether the fence is the session's live lease (LEASE-37); if so a takeover can no longer commit beside the caller.

    The check is the write: what only read the lease would pass although the lane changes hands meanwhile (COMMIT-8b).
    """
    if fence is None or fence.session_id != session_id:
        return False
    return engine.execute(GUARD, fence_facts(fence, now)) == [(1,)]


def fence_facts(fence: SessionExecutionLeaseFence, now: int) -> tuple[object, ...]:
    """The parameters of `FENCED`."""
    return (*_facts(fence), now)


def release(engine: Engine, completion: SessionExecutionLeaseCompletion) -> None:
    """Clear the lease that the completion proves, live or not; nothing otherwise (LEASE-33, LEASE-34)."""
    engine.execute(RELEASE, _facts(completion))


def _facts(proof: LeaseProof) -> tuple[object, ...]:
    return (proof.session_id, *proof.owner.incarnation, proof.lease_token, proof.fencing_token)


def _read(engine: Engine, session_id: str) -> LeaseRow:
    rows = engine.execute(READ, (session_id,))
    return _row(rows[0]) if rows else LeaseRow(session_id)


def _row(row: Row) -> LeaseRow:
    session_id, owner_id, incarnation_id, liveness, lease_token, *rest = row
    if (owner_id is None) != (lease_token is None):
        raise Backend(f"the stored lease of {session_id!r} cannot be read: it has an owner or a token, and not both")
    if owner_id is None:
        return LeaseRow(session_id, None, None, *rest)
    incarnation = owner_id if incarnation_id is None else incarnation_id
    return LeaseRow(session_id, LeaseOwnerIdentity(owner_id, incarnation, _liveness(liveness)), lease_token, *rest)


@ensures(lambda text, result: text is not None or result == Opaque(), "LEASE-28")
def _liveness(text: str | None) -> LeaseOwnerLiveness:
    try:
        return decoded(LeaseOwnerLiveness, text, "liveness")
    except Backend:
        return Opaque()  # what cannot be read is no proof of death (LEASE-28)


def _write(engine: Engine, before: LeaseRow, after: LeaseRow) -> None:
    if after.lease_token == before.lease_token:
        engine.execute(EXTEND, (after.expires_at, after.guard, after.session_id))
        return
    owner = after.lease().owner
    grant = (
        *owner.incarnation,
        encoded(owner.liveness),
        after.lease_token,
        after.fencing_token,
        after.claimed_at,
        after.expires_at,
        after.guard,
    )
    if before.guard == 0:
        engine.execute(INSERT, (after.session_id, *grant))
    else:
        engine.execute(GRANT, (*grant, after.session_id))


class DuckDBLeaseStore(DuckDBStore, SessionExecutionLeaseStore):
    """The four lease calls."""

    def try_claim_session_execution_lease(
        self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int
    ) -> SessionExecutionLeaseClaimOutcome:
        """See `SessionExecutionLeaseStore`. Three statements; two if the lane is busy."""
        now = self._now()

        def decide(row: LeaseRow) -> LeaseRow | None:
            if not live(row, now):
                return acquired(row, owner, now, lease_ttl_ms)
            if row.owner is not None and row.owner.incarnation == owner.incarnation:
                return extended(row, now, lease_ttl_ms)
            return None

        return self._claim("claim the lease", session_id, decide)

    def reclaim_session_execution_lease(
        self,
        session_id: str,
        owner: LeaseOwnerIdentity,
        observed_holder: SessionExecutionLeaseFence,
        lease_ttl_ms: int,
    ) -> SessionExecutionLeaseClaimOutcome:
        """See `SessionExecutionLeaseStore`. Three statements; two if the lane stays busy."""
        now = self._now()

        def decide(row: LeaseRow) -> LeaseRow | None:
            if live(row, now) and not self._replaceable(row, owner, observed_holder):
                return None
            return acquired(row, owner, now, lease_ttl_ms)

        return self._claim("reclaim the lease", session_id, decide)

    def renew_session_execution_lease(self, fence: SessionExecutionLeaseFence, lease_ttl_ms: int) -> SessionExecutionLease:
        """See `SessionExecutionLeaseStore`. Three statements. The answer carries the fence's owner (LEASE-31)."""
        now = self._now()
        engine = self._engine

        def renew() -> LeaseRow:
            row = _read(engine, fence.session_id)
            if not live(row, now) or not matches(row, fence):
                raise SessionExecutionLeaseExpired(fence.session_id)
            after = extended(row, now, lease_ttl_ms)
            _write(engine, row, after)
            return after

        after = engine.transaction("renew the lease", renew)
        return msgspec.structs.replace(after, owner=fence.owner).lease()

    def release_session_execution_lease(self, completion: SessionExecutionLeaseCompletion) -> None:
        """See `SessionExecutionLeaseStore`. One statement."""
        self._engine.once(RELEASE, _facts(completion))

    def _claim(
        self, purpose: str, session_id: str, decide: Callable[[LeaseRow], LeaseRow | None]
    ) -> SessionExecutionLeaseClaimOutcome:
        engine = self._engine

        def claim() -> SessionExecutionLeaseClaimOutcome:
            row = _read(engine, session_id)
            after = decide(row)
            if after is None:
                return Busy(row.lease())
            _write(engine, row, after)
            return Acquired(after.lease())

        return engine.transaction(purpose, claim)

    def _replaceable(self, row: LeaseRow, owner: LeaseOwnerIdentity, observed: SessionExecutionLeaseFence) -> bool:
        # what counts is the liveness that the holder stored, not the one that was observed (LEASE-20)
        return (
            observed.session_id == row.session_id
            and matches(row, observed)
            and row.owner is not None
            and definitely_dead(row.owner.liveness, owner.liveness, self._alive)
        )
