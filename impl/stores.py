"""`DuckDBStores`: every store of an agent runtime over one engine, in one file."""

from __future__ import annotations

import os

from ..spec import ProcessAlive, SessionCodec, Stores, decode_session
from .engine import Engine
from .event import DuckDBEventStore
from .liveness import process_alive as process_alive_here
from .output import DuckDBOutputStore
from .persistence import DuckDBRuntimePersistence
from .runtime import DuckDBRuntimeStore
from .store import Clock, DuckDBStore, wall_clock


class DuckDBStores(DuckDBStore, Stores):
    """All stores in one DuckDB database; see `DuckDBStore` for its construction. Stores of several protocols share no rows.

    `codec` reads the snapshots of the runtime store.
    """

    runtime_persistence: DuckDBRuntimePersistence
    runtime: DuckDBRuntimeStore
    event: DuckDBEventStore
    output: DuckDBOutputStore

    def __init__(
        self,
        path: str | os.PathLike[str] = ":memory:",
        *,
        clock: Clock = wall_clock,
        process_alive: ProcessAlive = process_alive_here,
        codec: SessionCodec = decode_session,
    ) -> None:
        super().__init__(path, clock=clock, process_alive=process_alive)
        self.runtime = DuckDBRuntimeStore.reading(self._engine, codec)

    def _take_over(self, engine: Engine, clock: Clock, process_alive: ProcessAlive, *, owns_engine: bool) -> None:
        super()._take_over(engine, clock, process_alive, owns_engine=owns_engine)
        self.runtime_persistence = DuckDBRuntimePersistence.over(engine, clock=clock, process_alive=process_alive)
        self.runtime = DuckDBRuntimeStore.over(engine, clock=clock)
        self.event = DuckDBEventStore.over(engine, clock=clock)
        self.output = DuckDBOutputStore.over(engine, clock=clock)

    def close(self) -> None:
        """Close every store; every later call of any of them raises. Idempotent."""
        self.runtime_persistence.close()
        self.runtime.close()
        self.event.close()
        self.output.close()
        super().close()
