"""The store in DuckDB: it obeys the law of `fencepost.spec` and knows nothing of the model."""

from .engine import Engine
from .liveness import process_alive
from .persistence import DuckDBRuntimePersistence

__all__ = ["DuckDBRuntimePersistence", "Engine", "process_alive"]
