"""Our DuckDB store as a backend."""

from __future__ import annotations

from functools import cache

from fencepost.impl import DuckDBRuntimePersistence
from fencepost.impl.engine import Engine
from fencepost.statemachines.environment import Environment


def memory(environment: Environment) -> DuckDBRuntimePersistence:
    """A store in memory. One engine serves all stores of the process, one after the other, and is emptied for each.

    Opening an engine takes as long as ten calls, and a run wants many stores.
    """
    engine = _engine()
    engine.clear()
    return DuckDBRuntimePersistence.over(engine, clock=environment.clock, process_alive=environment.process_alive)


@cache
def _engine() -> Engine:
    return Engine()
