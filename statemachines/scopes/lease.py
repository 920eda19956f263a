"""The lease chapter in small: a part is a session, and shows other sessions no more than that it was leased once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace as with_fields

from fencepost.model import State
from fencepost.model.lease import lease_of
from fencepost.model.records.lease import LeaseRecord, LeaseState, SessionLease
from fencepost.spec import (
    Acquired,
    LeaseOwnerIdentity,
    Opaque,
    SessionExecutionLease,
)
from immutables import Map
from msgspec.structs import replace

from ..checker import Call
from ..scope import Attempt, Bounds, Instant, Scope
from ..situations import standing

LEASED_ONCE: SessionLease = LeaseRecord(1, False, ("", ""), None, "", 0, 0)
"""What other sessions see of one that has a record: that there is one (LEASE-2)."""

CLAIM, RECLAIM = "try_claim_session_execution_lease", "reclaim_session_execution_lease"
RENEW, RELEASE = "renew_session_execution_lease", "release_session_execution_lease"


class LeaseScope(Scope):
    """Every owner claims, reclaims, renews and releases with every lease ever granted, as anybody, and with altered ones."""

    chapter = "lease"
    default = Bounds(owners=3, processes=2, sessions=2, times=3, tokens=2, ttls=(0, 2))
    suite = Bounds(owners=2, processes=1, sessions=1, times=2, tokens=2, ttls=(0, 2))
    uses = ("owners", "processes", "sessions", "times", "tokens", "ttls")
    alike = True
    shifts = True

    def __init__(self, bounds: Bounds | None = None, *, canonical: bool = True) -> None:
        super().__init__(bounds, canonical=canonical)
        self.names = tuple(f"s{number}" for number in range(1, self.bounds.sessions + 1))
        self._attempts: dict[Hashable, tuple[Attempt, ...]] = {}

    def within(self, part: State, place: int) -> bool:
        """No more grants than there are tokens."""
        return len(part.lease.issued) <= self.bounds.tokens

    def joined(self, parts: Sequence[State]) -> State:
        """All sessions in one."""
        records: dict[str, SessionLease] = {}
        issued: dict[tuple[str, str], int] = {}
        for part in parts:
            records.update(part.lease.records)
            issued.update(part.lease.issued)
        return State(lease=LeaseState(Map(records), Map(issued)))

    def part(self, whole: State, place: int) -> State:
        """One session."""
        name = self.names[place]
        records = {each: record for each, record in whole.lease.records.items() if each == name}
        issued = {key: fence for key, fence in whole.lease.issued.items() if key[0] == name}
        return replace(whole, lease=LeaseState(Map(records), Map(issued)))

    def shadow(self, part: State, place: int) -> State:
        """Whether the session was ever leased."""
        return State(lease=LeaseState(Map({self.names[place]: LEASED_ONCE} if part.lease.records else {})))

    def shifted(self, part: State, place: int, now: int) -> State:
        """Times from now. A lease that ended before now shows its times to nobody."""
        name = self.names[place]
        record = lease_of(part, name)
        if not record.held:
            return part
        ended = record.expires_at < now
        claimed_at, expires_at = (0, -1) if ended else (record.claimed_at - now, record.expires_at - now)
        record = with_fields(record, claimed_at=claimed_at, expires_at=expires_at)
        return State(lease=LeaseState(Map({name: record}), part.lease.issued))

    def attempts(self, part: State, place: int, instant: Instant) -> Iterable[Attempt]:
        """Claims by everybody; reclaims, renewals and releases with every proof."""
        record = lease_of(part, self.names[place])
        key = (place, part.lease.issued, record.holder, record.expires_at > instant.now)
        if key not in self._attempts:
            self._attempts[key] = tuple(self._tried(part, self.names[place], record.expires_at > instant.now))
        return self._attempts[key]

    def _tried(self, part: State, name: str, live: bool) -> Iterator[Attempt]:
        ttls, holder = self.bounds.ttls, self._holder(part, name)
        again = [replace(holder, liveness=Opaque())] if holder and live and holder.liveness != Opaque() else []
        proofs = list(self._proofs(part, name, holder))
        elsewhere = [replace(proof, session_id=f"{name}'") for proof in proofs[:1]]
        for ttl in ttls:
            # the holder that says something else of its process is the holder all the same (LEASE-15)
            for owner in (*self.owners, *again):
                yield from self._minting(part, name, Call(CLAIM, (name, owner, ttl)))
            for owner in self.owners:
                for proof in (*proofs, *elsewhere):
                    yield from self._minting(part, name, Call(RECLAIM, (name, owner, proof.fence(), ttl)))
            for proof in proofs:
                yield Attempt(Call(RENEW, (proof.fence(), ttl)))
        for proof in proofs:
            yield Attempt(Call(RELEASE, (proof.completion(),)))

    def _minting(self, part: State, name: str, call: Call) -> Iterator[Attempt]:
        """The call, with every lease token that a store may give if it grants: of tokens never issued one is like the other."""
        # one more than there may be grants, for the grant that leaves the scope
        tokens = (f"{name}:{number}" for number in range(1, self.bounds.tokens + 2))
        fresh = [token for token in tokens if (name, token) not in part.lease.issued]
        for token in fresh[:1] if self.canonical else fresh:
            yield Attempt(call, Acquired(SessionExecutionLease(name, self.owners[0], token, 1, 0, 0)))

    def _holder(self, part: State, name: str) -> LeaseOwnerIdentity | None:
        record = lease_of(part, name)
        return next((owner for owner in self.owners if owner.incarnation == record.holder), None)

    def _proofs(self, part: State, name: str, holder: LeaseOwnerIdentity | None) -> Iterator[SessionExecutionLease]:
        """Every lease ever granted, as anybody's, and the newest with one field changed."""
        granted = sorted(((fence, token) for (_, token), fence in part.lease.issued.items()), reverse=True)
        for fence, token in granted:
            for owner in self.owners:
                yield SessionExecutionLease(name, owner, token, fence, 0, 0)
        fence, token = granted[0] if granted else (1, f"{name}:1")
        owner = holder or self.owners[0]
        newest = SessionExecutionLease(name, owner, token, fence, 0, 0)
        yield replace(newest, lease_token=f"{token}'")
        yield replace(newest, fencing_token=fence + 1)
        yield replace(newest, fencing_token=fence - 1)
        yield replace(newest, owner=replace(owner, incarnation_id="2"))
        yield replace(newest, owner=replace(owner, liveness=Opaque()))

    def situation(self, state: State, name: str, now: int) -> str:
        """How the lease of the session stands."""
        return standing(state, name, now)

    def described(self, part: State, place: int, now: int) -> str:
        """Who holds the session, with which fencing token, until when."""
        record, says = lease_of(part, self.names[place]), super().described(part, place, now)
        if not record.held:
            return f"{self.names[place]} {says}, fencing token {record.fencing_token}"
        until = f"fencing token {record.fencing_token} from {record.claimed_at} until {record.expires_at}"
        return f"{self.names[place]} {says}: {record.holder[0]}, {until}"
