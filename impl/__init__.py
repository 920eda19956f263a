"""The store in DuckDB: it obeys the law of `fencepost.spec` and knows nothing of the model."""

from .engine import Engine
from .event import DuckDBEventStore
from .liveness import process_alive
from .output import DuckDBOutputStore
from .persistence import DuckDBRuntimePersistence
from .runtime import DuckDBRuntimeStore
from .stores import DuckDBStores

__all__ = [
    "DuckDBEventStore",
    "DuckDBOutputStore",
    "DuckDBRuntimePersistence",
    "DuckDBRuntimeStore",
    "DuckDBStores",
    "Engine",
    "process_alive",
]
