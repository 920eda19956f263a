"""Commands of the lease chapter: claim, reclaim, renew, release."""

from __future__ import annotations

from collections.abc import Iterator

from commands import Commands, number, owner, shown_owner
from fencepost.spec import Acquired, Busy, SessionExecutionLease


class LeaseCommands(Commands):
    """The lane of a session."""

    def do_claim(self, words: list[str]) -> Iterator[str]:
        """`claim SESSION by OWNER ttl=N`."""
        session, _by, who, ttl = words
        yield self._outcome(self.store.try_claim_session_execution_lease(session, owner(who), number(ttl)))

    def do_reclaim(self, words: list[str]) -> Iterator[str]:
        """`reclaim SESSION by OWNER from LEASE ttl=N`."""
        session, _by, who, _from, lease, ttl = words
        observed = self.lease(lease).fence()
        yield self._outcome(self.store.reclaim_session_execution_lease(session, owner(who), observed, number(ttl)))

    def do_renew(self, words: list[str]) -> Iterator[str]:
        """`renew LEASE ttl=N`."""
        lease, ttl = words
        yield f"renewed: {self._held(self.store.renew_session_execution_lease(self.lease(lease).fence(), number(ttl)))}"

    def do_release(self, words: list[str]) -> Iterator[str]:
        """`release LEASE`."""
        self.store.release_session_execution_lease(self.lease(words[0]).completion())
        yield "ok"

    def _outcome(self, outcome: Acquired | Busy) -> str:
        if isinstance(outcome, Acquired):
            return f"acquired: {self._held(outcome.lease)}"
        return f"busy: {self._held(outcome.holder)}"

    def _held(self, lease: SessionExecutionLease) -> str:
        token, span = self.keep(lease), f"{lease.claimed_at_epoch_ms} to {lease.expires_at_epoch_ms}"
        return f"{shown_owner(lease.owner)} holds {lease.session_id} by {token}, fence {lease.fencing_token}, {span}"
