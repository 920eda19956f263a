"""`DuckDBStores`: every store of an agent runtime over one engine, in one file."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

from ..spec import ProcessAlive, Stores
from .engine import Engine
from .event import DuckDBEventStore
from .liveness import process_alive as process_alive_here
from .output import DuckDBOutputStore
from .persistence import DuckDBRuntimePersistence
from .runtime import DuckDBRuntimeStore
from .store import Clock, wall_clock


class DuckDBStores(Stores):
    """All stores in one DuckDB database. `path`, `clock` and `process_alive` are those of `DuckDBStore`.

    Stores of several protocols share no rows. As a context manager it closes itself, and with it every store.
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
    ) -> None:
        self._take_over(Engine(path), clock, process_alive, owns_engine=True)

    @classmethod
    def over(cls, engine: Engine, *, clock: Clock = wall_clock, process_alive: ProcessAlive = process_alive_here) -> Self:
        """The stores on an open engine, which stays open when they are closed."""
        stores = cls.__new__(cls)
        stores._take_over(engine, clock, process_alive, owns_engine=False)
        return stores

    def _take_over(self, engine: Engine, clock: Clock, process_alive: ProcessAlive, *, owns_engine: bool) -> None:
        self._engine = engine
        self._owns_engine = owns_engine
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
        if self._owns_engine:
            self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
