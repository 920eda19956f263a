"""What every chapter of the store stands on: its engine, its clock, its liveness oracle."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from ..spec import U64_MAX, Alive, Backend, ProcessAlive
from ..spec.contracts import ensures
from .engine import CLOSED, Engine
from .liveness import process_alive as process_alive_here

Clock = Callable[[], int]
"""Epoch milliseconds, a u64."""


def wall_clock() -> int:
    """The wall clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


@contextmanager
def failing_as(kind: type[Backend]) -> Iterator[None]:
    """Give failures of the engine the name that the protocol has for them."""
    try:
        yield
    except Backend as error:
        raise (error if isinstance(error, kind) else kind(error.message)) from error.__cause__


class DuckDBStore:
    """A store in a DuckDB database. `path` is a file, or ":memory:" for a store that ends with the process.

    `clock` gives epoch milliseconds and is read once per call; `process_alive` says whether a process of this machine still
    exists. If either raises, or answers what is no time or no `Alive`, the call raises `Backend` and writes nothing. The
    store may be used by any number of threads. As a context manager it closes itself.

    Raises what `Engine` raises for a path that cannot be opened.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = ":memory:",
        *,
        clock: Clock = wall_clock,
        process_alive: ProcessAlive = process_alive_here,
    ) -> None:
        self._take_over(Engine(path), clock, process_alive, owns_engine=True)

    @classmethod
    @ensures(lambda engine, result: result._engine is engine, "VALUE-10")
    def over(cls, engine: Engine, *, clock: Clock = wall_clock, process_alive: ProcessAlive = process_alive_here) -> Self:
        """A store on an open engine, which stays open when the store is closed; several may stand on one engine."""
        store = cls.__new__(cls)
        store._take_over(engine, clock, process_alive, owns_engine=False)
        return store

    def _take_over(self, engine: Engine, clock: Clock, process_alive: ProcessAlive, *, owns_engine: bool) -> None:
        self.__engine = engine
        self._owns_engine = owns_engine
        self._closed = False
        self._clock = clock
        self._process_alive = process_alive

    @property
    def _engine(self) -> Engine:
        if self._closed:
            raise Backend(CLOSED)
        return self.__engine

    def close(self) -> None:
        """Close the store; every later call raises `Backend`. Idempotent."""
        self._closed = True
        if self._owns_engine:
            self.__engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _now(self) -> int:
        try:
            now = self._clock()
        except Exception as error:
            raise Backend(f"the clock failed: {error!r}") from error
        if type(now) is not int or not 0 <= now <= U64_MAX:
            raise Backend(f"the clock answered {now!r}, which is no time in epoch milliseconds")
        return now

    def _alive(self, pid: int, process_start: str) -> Alive:
        try:
            alive = self._process_alive(pid, process_start)
        except Exception as error:
            raise Backend(f"the liveness oracle failed: {error!r}") from error
        if not isinstance(alive, Alive):
            raise Backend(f"the liveness oracle answered {alive!r}, which is no Alive")
        return alive
