"""`RuntimePersistence`: the union of its segments, one chapter each."""

from __future__ import annotations

from .attachment import AttachmentManifest
from .commit import SessionCommitStore
from .lease import SessionExecutionLeaseStore
from .maintenance import StoreMaintenance
from .queued_work import QueuedWorkStore
from .session import SessionReadStore
from .turn_input import TurnInputStore


class RuntimePersistence(
    SessionExecutionLeaseStore,
    TurnInputStore,
    QueuedWorkStore,
    SessionCommitStore,
    SessionReadStore,
    StoreMaintenance,
    AttachmentManifest,
):
    """Exact settled-session persistence: everything that one session's store keeps, in one transactional domain."""
