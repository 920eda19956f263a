"""Rules of the lease chapter: four calls, a clock that moves to the edges, processes that live and die."""

from __future__ import annotations

from fencepost.model.lease import fence_holds
from fencepost.spec import (
    U64_MAX,
    Acquired,
    Busy,
    LeaseOwnerIdentity,
    LocalProcess,
    Opaque,
    SessionExecutionLease,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseFence,
)
from fencepost.spec.liveness import Alive
from hypothesis.stateful import rule
from msgspec.structs import replace

from .draws import ANY, latest, mixed
from .machine import Machine

SESSIONS = ("s", "s", "s", "s", "s", "s", "s2", "s2", "", "S%_'\"\0é")
"""Ids that are prefixes of each other, empty, and hard on quoting."""

ALONE = "alone"
PLACES = (*SESSIONS, *(ALONE,) * len(SESSIONS))
"""Where something is played through: in a session that has seen much already, or as often in one of its own."""

TTLS = (10, 10, 10, 10, 10, 10, 1, 2, 0, 0, 1_000, 2**31, 2**53 + 1, 2**63 - 1, 2**63, U64_MAX)
"""Milliseconds: mostly short, so that leases end within a run; 0 ends at once, the largest saturate."""

LIVING = LocalProcess("host", "boot", 10, "tick-1")
OWNERS = (
    LeaseOwnerIdentity("a", "1", LIVING),
    LeaseOwnerIdentity("a", "1", LIVING),
    LeaseOwnerIdentity("b", "1", LocalProcess("host", "boot", 20, "tick-1")),
    LeaseOwnerIdentity("b", "1", LocalProcess("host", "boot", 20, "tick-1")),
    LeaseOwnerIdentity("a", "2", LIVING),
    LeaseOwnerIdentity("a", "1", Opaque()),
    LeaseOwnerIdentity("b", "1", Opaque()),
    # the same pid, but a process that started later; another boot; another host; a process that cannot be told
    LeaseOwnerIdentity("c", "1", LocalProcess("host", "boot", 10, "tick-2")),
    LeaseOwnerIdentity("c", "1", LocalProcess("host", "reboot", 40, "tick-1")),
    LeaseOwnerIdentity("c", "1", LocalProcess("other", "boot", 40, "tick-1")),
    LeaseOwnerIdentity("d", "1", LocalProcess("host", "boot", 30, "tick-1")),
    LeaseOwnerIdentity("", "", LocalProcess("host", "boot", 2**32 - 1, "")),
)
"""Owners that differ in one component only."""

ALTERED = (
    "exact", "exact", "exact", "exact", "exact", "exact", "exact",
    "token", "fence + 1", "fence - 1", "incarnation", "owner", "liveness", "session",
)  # fmt: skip
"""How a proof is shown: mostly as it was granted, else with one field changed."""

MOVES = ("+1", "+0", "expires - 1", "expires", "expires", "expires + 1", "expires + 1", "leap")
BAD_NUMBERS = (-1, 2**64, True, 1.0, "10", None)
BAD_TEXTS = (None, 5, b"s", "\ud800")
EDGES = (0, 1, -1)
AFTERWARDS = ("renew", "release", "claim", "reclaim", "nothing")


def altered(lease: SessionExecutionLease, how: str) -> SessionExecutionLease:
    """The lease with one field changed."""
    owner = lease.owner
    match how:
        case "token":
            return replace(lease, lease_token=lease.lease_token + "'")
        case "fence + 1":
            return replace(lease, fencing_token=min(lease.fencing_token + 1, U64_MAX))
        case "fence - 1":
            return replace(lease, fencing_token=lease.fencing_token - 1)
        case "incarnation":
            return replace(lease, owner=replace(owner, incarnation_id=owner.incarnation_id + "'"))
        case "owner":
            return replace(lease, owner=replace(owner, owner_id=owner.owner_id + "'"))
        case "liveness":
            return replace(lease, owner=replace(owner, liveness=Opaque()))
        case "session":
            return replace(lease, session_id="s2" if lease.session_id == "s" else "s")
    return lease


FORGED = SessionExecutionLease("s", OWNERS[0], "never granted", 1, 0, 1)
"""A proof for runs that have no lease to show yet."""


class LeaseRules(Machine):
    """Claims, reclaims, renewals and releases, with every lease ever returned."""

    def begin(self) -> None:
        """Two processes run, and one cannot be told."""
        self.move("start", 10, "tick-1")
        self.move("start", 20, "tick-1")
        self.move("hide", 30)

    def place(self, session_id: str) -> str:
        """The session; in place of `ALONE` one in which nothing has happened yet."""
        return f"alone-{len(self.memory.calls)}" if session_id == ALONE else session_id

    def remember(self, answer: object) -> object:
        """Keep a lease that was answered."""
        match answer:
            case Acquired(lease=lease) | Busy(holder=lease):
                self.memory.leases.append(lease)
            case SessionExecutionLease():
                self.memory.leases.append(answer)
        return answer

    def shown(self, index: int, how: str) -> SessionExecutionLease:
        """A lease to prove something with: any that was ever returned, or one that was never granted."""
        if not self.memory.leases:
            return altered(FORGED, how)
        lease = latest(self.memory.leases, index)
        if index:
            self.note("old lease shown again")
        if lease.expires_at_epoch_ms in (self.now, self.now + 1):
            self.note("lease shown at its edge")
        return altered(lease, how)

    def fence(self, index: int, how: str) -> SessionExecutionLeaseFence:
        """The fence of a lease that `shown` gives."""
        return self.shown(index, how).fence()

    def completion(self, index: int, how: str) -> SessionExecutionLeaseCompletion:
        """The completion of a lease that `shown` gives."""
        return self.shown(index, how).completion()

    @rule(drawn=mixed(SESSIONS, OWNERS, TTLS))
    def try_claim_session_execution_lease(self, drawn: tuple[str, LeaseOwnerIdentity, int]) -> None:
        """Claim as anybody."""
        self.remember(self.perform("try_claim_session_execution_lease", *drawn))

    @rule(drawn=mixed(OWNERS, ANY, ALTERED, TTLS, (True, True, True, False)))
    def reclaim_session_execution_lease(self, drawn: tuple[LeaseOwnerIdentity, int, str, int, bool]) -> None:
        """Reclaim from any holder ever observed, mostly in its own session, after its process died or not."""
        owner, index, how, ttl, same_session = drawn
        observed = self.fence(index, how)
        session_id = observed.session_id if same_session else "s"
        holder = observed.owner.liveness
        if isinstance(holder, LocalProcess) and self.environment.process_alive(holder.pid, holder.process_start) is Alive.no:
            self.note("dead holder observed")
        self.remember(self.perform("reclaim_session_execution_lease", session_id, owner, observed, ttl))

    @rule(drawn=mixed(ANY, ALTERED, TTLS))
    def renew_session_execution_lease(self, drawn: tuple[int, str, int]) -> None:
        """Renew any lease ever returned."""
        index, how, ttl = drawn
        self.remember(self.perform("renew_session_execution_lease", self.fence(index, how), ttl))

    @rule(drawn=mixed(ANY, ALTERED))
    def release_session_execution_lease(self, drawn: tuple[int, str]) -> None:
        """Release any lease ever returned."""
        self.perform("release_session_execution_lease", self.completion(*drawn))

    @rule(drawn=mixed(ANY, MOVES))
    def clock(self, drawn: tuple[int, str]) -> None:
        """Move the clock: by nothing, by one, or to an edge of a lease."""
        index, move = drawn
        edge = latest(self.memory.leases, index).expires_at_epoch_ms if self.memory.leases else self.now
        instants = {"+0": self.now, "expires - 1": edge - 1, "expires": edge, "expires + 1": edge + 1, "leap": edge}
        instant = instants.get(move, self.now + 1)
        if move == "leap" and index < 2:
            # rarely even to the end of time, for leases that are due then
            self.environment.clock.leap_to(instant)
        self.move_clock(instant)

    @rule(drawn=mixed(SESSIONS, OWNERS, (*OWNERS, *[None] * 4), EDGES, AFTERWARDS, range(4)))
    def handover(self, drawn: tuple[str, LeaseOwnerIdentity, LeaseOwnerIdentity | None, int, str, int]) -> None:
        """A lease runs to an edge of its expiry, another owner may claim, and the first comes back with what it had."""
        session_id, first, second, edge, afterwards, reopened = drawn
        had = self.claim(session_id, first)
        self.move_clock(had.expires_at_epoch_ms + edge)
        if reopened == 0 and self.setup.reopens:
            self.move("reopen")
        if second is not None:
            self.claim(session_id, second)
        self.come_back(had, afterwards)

    @rule(drawn=mixed(SESSIONS, OWNERS, OWNERS))
    def observe_and_reclaim(self, drawn: tuple[str, LeaseOwnerIdentity, LeaseOwnerIdentity]) -> None:
        """An owner finds the lane held by another, or by itself, and reclaims it at once."""
        session_id, first, second = drawn
        observed = self.claim(session_id, first).fence()
        self.remember(self.perform("reclaim_session_execution_lease", session_id, second, observed, 10))

    def claim(self, session_id: str, owner: LeaseOwnerIdentity) -> SessionExecutionLease:
        """Claim for a short time; the lease that the answer shows, the caller's or the holder's."""
        self.remember(self.perform("try_claim_session_execution_lease", session_id, owner, self.short_ms))
        return latest(self.memory.leases, 0)

    def held(self, session_id: str, owner: LeaseOwnerIdentity) -> SessionExecutionLease:
        """A live lease of the session: the newest known one, else the one that a claim of this owner shows."""
        for lease in reversed(self.memory.leases):
            if lease.session_id == session_id and fence_holds(self.state, session_id, lease.fence(), self.now):
                return lease
        return self.claim(session_id, owner)

    def come_back(self, had: SessionExecutionLease, how: str) -> None:
        """What the holder of a lease does with it, later."""
        if how == "renew":
            self.remember(self.perform("renew_session_execution_lease", had.fence(), 10))
        elif how == "release":
            self.perform("release_session_execution_lease", had.completion())
        elif how == "claim":
            self.claim(had.session_id, had.owner)
        elif how == "reclaim":
            self.remember(self.perform("reclaim_session_execution_lease", had.session_id, OWNERS[0], had.fence(), 10))

    def fence_to_claim_under(self, session_id: str, how: str, index: int) -> SessionExecutionLeaseFence:
        """The fence of a live lease, or of another session's (`elsewhere`), an `expired` or any `known` one."""
        if how == "known":
            return self.fence(index, "exact")
        lease = self.held("s2" if how == "elsewhere" else session_id, OWNERS[0])
        if how == "expired":
            self.move_clock(lease.expires_at_epoch_ms)
        return lease.fence()

    def move_clock(self, instant: int) -> None:
        """Move the clock, unless it would end the run's chances by going to the end of time."""
        if instant <= self.now + self.environment.clock.reach:
            self.environment.clock.move_to(instant)
            self.setup.tally.steps += 1

    @rule(drawn=mixed((10, 20), ("stop", "stop", "tick-1", "tick-2")))
    def process(self, drawn: tuple[int, str]) -> None:
        """End a process, or start it or another under its pid."""
        pid, what = drawn
        if what == "stop":
            self.move("stop", pid)
        else:
            self.move("start", pid, what)

    @rule(drawn=mixed(BAD_NUMBERS, BAD_TEXTS, range(4)))
    def bad_lease_argument(self, drawn: tuple[object, object, int]) -> None:
        """Call with what no lease call may accept."""
        number, text, which = drawn
        calls: tuple[tuple[object, ...], ...] = (
            ("try_claim_session_execution_lease", "s", OWNERS[0], number),
            ("try_claim_session_execution_lease", text, OWNERS[0], 10),
            ("renew_session_execution_lease", self.fence(0, "exact"), number),
            ("release_session_execution_lease", text),
        )
        operation, *arguments = calls[which]
        self.perform(str(operation), *arguments)
