"""`RuntimePersistence`: the union of its segments, one chapter each."""

from __future__ import annotations

from .commit import SessionCommitStore
from .lease import SessionExecutionLeaseStore
from .session import SessionReadStore


class RuntimePersistence(SessionExecutionLeaseStore, SessionCommitStore, SessionReadStore):
    """Exact settled-session persistence: leases, commits and reads of one session's store."""
