"""Every planted fault as a backend: `fencepost verify --backend fencepost.gallery.faulty:live_at_its_expiry`.

The store is that of `fencepost.kit.duckdb:file`, with the fault of this name, its hyphens being underscores.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from fencepost.impl import DuckDBStores
from fencepost.kit.duckdb import file
from fencepost.kit.marks import declares
from fencepost.statemachines.environment import CAPABILITIES, Environment

from .bugs import BUGS
from .planting import Patch, PlantedBug

BY_FUNCTION = {bug.name.replace("-", "_"): bug for bug in BUGS}


class _Fault:
    """A fault that is planted for as long as any store with it is open."""

    def __init__(self, bug: PlantedBug) -> None:
        self._bug, self._patch = bug, Patch()
        self._open = 0
        self._begun = False

    def open(self, environment: Environment) -> DuckDBStores:
        """The store with the fault."""
        if not self._open:
            self._patch.__enter__()
            if not self._begun:
                self._bug.plant(self._patch)
                self._begun = True
        self._open += 1
        stores = file(environment)
        vars(stores)["close"] = partial(self._close, [stores.close])
        return stores

    def _close(self, closing: list[Callable[[], None]]) -> None:
        if not closing:
            return
        closing.pop()()
        self._open -= 1
        if not self._open:
            self._patch.__exit__()


@cache
def _factory(bug: PlantedBug) -> Callable[[Environment], DuckDBStores]:
    fault = _Fault(bug)

    @declares(*CAPABILITIES)
    def factory(environment: Environment) -> DuckDBStores:
        """The DuckDB store with the fault."""
        return fault.open(environment)

    return factory


def backend_of(bug: PlantedBug) -> str:
    """What `--backend` takes for a fault."""
    return f"{__name__}:{bug.name.replace('-', '_')}"


def __getattr__(name: str) -> Callable[[Environment], DuckDBStores]:
    if name not in BY_FUNCTION:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _factory(BY_FUNCTION[name])


def __dir__() -> list[str]:
    return sorted(BY_FUNCTION)
