"""`DuckDBRuntimePersistence`: the union of the chapters."""

from __future__ import annotations

from ..spec import RuntimePersistence
from .attachment import DuckDBAttachmentManifest
from .commit import DuckDBCommitStore
from .lease import DuckDBLeaseStore
from .maintenance import DuckDBMaintenance
from .queued_work import DuckDBQueuedWorkStore
from .session import DuckDBReadStore
from .turn_input import DuckDBTurnInputStore


class DuckDBRuntimePersistence(
    DuckDBLeaseStore,
    DuckDBTurnInputStore,
    DuckDBQueuedWorkStore,
    DuckDBCommitStore,
    DuckDBReadStore,
    DuckDBMaintenance,
    DuckDBAttachmentManifest,
    RuntimePersistence,
):
    """`RuntimePersistence` in a DuckDB database; see `DuckDBStore` for its construction.

    One database holds one session, bound by its first successful commit; leases, inputs and batches may be of any session id.
    """
