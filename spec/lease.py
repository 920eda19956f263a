"""Session execution leases: who may run a session now.

At most one holder at a time owns a session's execution lane. Each acquisition raises the session's fencing token by one
and mints a new lease token; a fence (both tokens, with the holder's incarnation) is the proof that every write of the
session must carry, a completion is the same proof used to give the lane back. Leases end by release or by time alone: at
the instant of its expiry a lease is over. Times are epoch milliseconds of the store's clock, TTLs milliseconds.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeAlias

import icontract

from .contracts import ensures, operation
from .errors import InvalidArgument
from .values import U32, U64, U64_MAX, Record, check_for, require_valid


class Opaque(Record, frozen=True, tag_field="kind", tag="opaque"):
    """Nothing is known about the owner's process: it is never provably dead (LEASE-25)."""


class LocalProcess(Record, frozen=True, tag_field="kind", tag="local_process"):
    """The owner is a process of a host; `process_start` tells it from a later process with the same `pid`."""

    host_id: str
    boot_id: str
    pid: U32
    process_start: str


LeaseOwnerLiveness: TypeAlias = LocalProcess | Opaque


class LeaseOwnerIdentity(Record, frozen=True):
    """Who holds or asks. Two identities are the same incarnation if `owner_id` and `incarnation_id` are equal."""

    owner_id: str
    incarnation_id: str
    liveness: LeaseOwnerLiveness = Opaque()

    @property
    def incarnation(self) -> tuple[str, str]:
        """What tells holders apart; liveness takes no part (LEASE-13)."""
        return (self.owner_id, self.incarnation_id)


class LeaseProof(Record, frozen=True):
    """The four facts that prove a lease: session, owner, lease token, fencing token."""

    session_id: str
    owner: LeaseOwnerIdentity
    lease_token: str
    fencing_token: U64


class SessionExecutionLeaseFence(LeaseProof, frozen=True):
    """A proof that authorises: renew, commit, claim, reclaim."""


class SessionExecutionLeaseCompletion(LeaseProof, frozen=True):
    """A proof that gives the lease back."""


class SessionExecutionLease(Record, frozen=True):
    """A granted lease, live while `now < expires_at_epoch_ms` (LEASE-6)."""

    session_id: str
    owner: LeaseOwnerIdentity
    lease_token: str
    fencing_token: U64
    claimed_at_epoch_ms: U64
    expires_at_epoch_ms: U64

    def fence(self) -> SessionExecutionLeaseFence:
        """The proof to write under this lease."""
        return SessionExecutionLeaseFence(self.session_id, self.owner, self.lease_token, self.fencing_token)

    def completion(self) -> SessionExecutionLeaseCompletion:
        """The proof to release this lease."""
        return SessionExecutionLeaseCompletion(self.session_id, self.owner, self.lease_token, self.fencing_token)


class Acquired(Record, frozen=True, tag_field="outcome", tag="acquired"):
    """The caller holds the lane."""

    lease: SessionExecutionLease


class Busy(Record, frozen=True, tag_field="outcome", tag="busy"):
    """Another incarnation holds the lane; `holder` is its full current lease."""

    holder: SessionExecutionLease


SessionExecutionLeaseClaimOutcome: TypeAlias = Acquired | Busy


def granted_to(outcome: SessionExecutionLeaseClaimOutcome, session_id: str, owner: LeaseOwnerIdentity) -> bool:
    """Whether an `Acquired` names the caller, and either answer the session that was asked for."""
    if isinstance(outcome, Busy):
        return outcome.holder.session_id == session_id
    return outcome.lease.session_id == session_id and outcome.lease.owner.incarnation == owner.incarnation


class SessionExecutionLeaseStore(icontract.DBC):
    """The four lease calls."""

    @abstractmethod
    @ensures(lambda result, session_id, owner: granted_to(result, session_id, owner), "LEASE-12")
    @ensures(lambda result: isinstance(result, Busy) or result.lease.fencing_token >= 1, "LEASE-3")
    @ensures(
        lambda result, owner: isinstance(result, Acquired) or result.holder.owner.incarnation != owner.incarnation, "LEASE-16"
    )
    @operation
    def try_claim_session_execution_lease(
        self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: U64
    ) -> SessionExecutionLeaseClaimOutcome:
        """Claim the session's execution lane for `lease_ttl_ms`, or learn who holds it.

        A free or expired lane is acquired with a new lease token and the next fencing token, even by its last holder; the
        live holder's own claim keeps both and sets the expiry anew (it may end earlier); anybody else's is `Busy`.

        Raises `InvalidArgument`. Requirements: LEASE-3 to LEASE-18.
        """

    @abstractmethod
    @ensures(lambda result, session_id, owner: granted_to(result, session_id, owner), "LEASE-20")
    @operation
    def reclaim_session_execution_lease(
        self,
        session_id: str,
        owner: LeaseOwnerIdentity,
        observed_holder: SessionExecutionLeaseFence,
        lease_ttl_ms: U64,
    ) -> SessionExecutionLeaseClaimOutcome:
        """Take a live lease from the holder that was observed, if its process is provably dead.

        `observed_holder` is compared and swapped: a lease that changed hands since is `Busy`. A lane that is free or
        expired is acquired whatever was observed. The holder itself gets `Busy`: this call is no renewal.

        Raises `InvalidArgument`. Requirements: LEASE-19 to LEASE-27.
        """

    @abstractmethod
    @ensures(
        lambda result, fence: (
            (result.session_id, result.lease_token, result.fencing_token, result.owner.incarnation)
            == (fence.session_id, fence.lease_token, fence.fencing_token, fence.owner.incarnation)
        ),
        "LEASE-31",
    )
    @operation
    def renew_session_execution_lease(self, fence: SessionExecutionLeaseFence, lease_ttl_ms: U64) -> SessionExecutionLease:
        """Set the expiry of a live lease to now plus `lease_ttl_ms`, keeping its tokens.

        Raises `SessionExecutionLeaseExpired` for a fence that is not the live lease of its session, whatever the cause;
        `InvalidArgument`. Requirements: LEASE-29 to LEASE-32, LEASE-36.
        """

    @abstractmethod
    @operation
    def release_session_execution_lease(self, completion: SessionExecutionLeaseCompletion) -> None:
        """Give the lane back. The fencing token stays; a completion that does not match changes nothing.

        Raises `InvalidArgument` only. Requirements: LEASE-33 to LEASE-36.
        """


class TtlTooSmall(InvalidArgument):
    """The TTL of a lease truncates to no millisecond."""


class RenewIntervalTooSmall(InvalidArgument):
    """The renew interval truncates to no millisecond."""


class TtlRenewRatioTooSmall(InvalidArgument):
    """The TTL is shorter than three renew intervals."""


class LeaseTimings(Record, frozen=True):
    """How long a client claims a lane for and how often it renews, in milliseconds (LEASE-39).

    Raises `TtlTooSmall`, `RenewIntervalTooSmall` or `TtlRenewRatioTooSmall`, looked for in that order. No store checks
    any of it.
    """

    ttl_ms: U64 = 30_000
    renew_interval_ms: U64 = 10_000

    @classmethod
    @ensures(lambda result: result.ttl_ms >= 3 * result.renew_interval_ms, "LEASE-39")
    def of_ttl(cls, ttl_ms: int) -> LeaseTimings:
        """Timings that renew three times in a TTL; a TTL under 3 ms is refused."""
        require_valid("ttl_ms", ttl_ms, check_for(U64))
        return cls(ttl_ms, ttl_ms // 3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ttl_ms < 1:
            raise TtlTooSmall("ttl_ms", repr(self.ttl_ms), f"1 to {U64_MAX} ms")
        if self.renew_interval_ms < 1:
            raise RenewIntervalTooSmall("renew_interval_ms", repr(self.renew_interval_ms), f"1 to {U64_MAX} ms")
        if self.ttl_ms < 3 * self.renew_interval_ms:
            raise TtlRenewRatioTooSmall(
                "ttl_ms", repr(self.ttl_ms), f"at least three renew intervals of {self.renew_interval_ms} ms"
            )
