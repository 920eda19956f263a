"""Our DuckDB store as a backend."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from fencepost.impl import DuckDBStores
from fencepost.impl.engine import Engine
from fencepost.statemachines.environment import CAPABILITIES, Environment

from .marks import declares

IN_MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory: a write to a disk takes several times as long, and no run pulls the plug."""


@declares(*CAPABILITIES)
def file(environment: Environment) -> DuckDBStores:
    """Every store in a file. One file serves all stores of the process, one after the other, and is emptied for each.

    Making a file takes as long as a hundred calls, and a run wants many stores. It has a directory of its own, which goes with
    the process.
    """
    return _over(_file().engine(environment), environment)


@declares(*(each for each in CAPABILITIES if each != "reopen"))
def memory(environment: Environment) -> DuckDBStores:
    """Every store in memory. One engine serves all stores of the process, one after the other, and is emptied for each."""
    engine = _memory()
    engine.clear()
    return _over(engine, environment)


class _File:
    """A database file, and the environment of the store that is in it."""

    def __init__(self) -> None:
        where = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
        directory = Path(tempfile.mkdtemp(prefix="fencepost-", dir=where))
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        self._path = directory / "store.duckdb"
        self._engine = Engine(self._path)
        self._environment: Environment | None = None

    def engine(self, environment: Environment) -> Engine:
        """The engine on the file: emptied, or opened again with what is in it."""
        if environment is self._environment:
            self._engine.close()
            self._engine = Engine(self._path)
        else:
            self._engine.clear()
            self._environment = environment
        return self._engine


def _over(engine: Engine, environment: Environment) -> DuckDBStores:
    return DuckDBStores.over(engine, clock=environment.clock, process_alive=environment.process_alive)


@cache
def _file() -> _File:
    return _File()


@cache
def _memory() -> Engine:
    return Engine()


# DuckDB complains of what is still there when the interpreter takes it apart
atexit.register(_file.cache_clear)
atexit.register(_memory.cache_clear)
