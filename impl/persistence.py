"""`DuckDBRuntimePersistence`: the union of the chapters."""

from __future__ import annotations

from ..spec import RuntimePersistence
from .commit import DuckDBCommitStore
from .lease import DuckDBLeaseStore
from .session import DuckDBReadStore


class DuckDBRuntimePersistence(DuckDBLeaseStore, DuckDBCommitStore, DuckDBReadStore, RuntimePersistence):
    """`RuntimePersistence` in a DuckDB database; see `DuckDBStore` for its construction.

    One database holds one session, bound by its first successful commit; leases may be taken for any session id.
    """
