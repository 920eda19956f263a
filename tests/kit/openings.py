"""Factories of every shape, all of the DuckDB store in memory, or of one that forgets."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

from fencepost.impl import DuckDBStores
from fencepost.kit.duckdb import memory
from fencepost.spec import EventStore, Stores
from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.environment import Environment

LOG: list[str] = []
"""What was opened and closed, in order."""


def generator(environment: Environment) -> Iterator[DuckDBStores]:
    """A generator that gives its store once."""
    LOG.append("opened")
    yield memory(environment)
    LOG.append("closed")


def lasting(environment: Environment) -> Iterator[DuckDBStores]:
    """A generator that says when it is ended, in whatever way."""
    LOG.append("opened")
    try:
        yield memory(environment)
    finally:
        LOG.append("closed")


def twice(environment: Environment) -> Iterator[DuckDBStores]:
    """A generator that gives two."""
    yield memory(environment)
    yield memory(environment)


@contextlib.contextmanager
def manager(environment: Environment) -> Iterator[DuckDBStores]:
    """A context manager."""
    LOG.append("entered")
    yield memory(environment)
    LOG.append("left")


@contextlib.asynccontextmanager
async def async_manager(environment: Environment) -> AsyncIterator[DuckDBStores]:
    """An async context manager."""
    LOG.append("entered")
    yield memory(environment)
    LOG.append("left")


async def coroutine(environment: Environment) -> DuckDBStores:
    """A coroutine."""
    return memory(environment)


async def async_generator(environment: Environment) -> AsyncIterator[DuckDBStores]:
    """An async generator."""
    LOG.append("opened")
    yield memory(environment)
    LOG.append("closed")


class AsyncEvents:
    """An event log whose methods are async."""

    def __init__(self, store: EventStore) -> None:
        self.store = store


def _asynchronous(name: str) -> Any:
    async def method(self: AsyncEvents, *arguments: Any) -> Any:
        return getattr(self.store, name)(*arguments)

    return method


for each in OPERATIONS.values():
    if each.chapter == "event":
        setattr(AsyncEvents, each.method_name, _asynchronous(each.method_name))


async def async_store(environment: Environment) -> Any:
    """An async store."""
    return AsyncEvents(memory(environment).event)


def async_stores(environment: Environment) -> Stores:
    """Stores, one of which is async."""
    stores = memory(environment)
    events: Any = AsyncEvents(stores.event)
    return Stores(event=events, output=stores.output)


def _traced(method: Any) -> Any:
    @functools.wraps(method)
    def wrapper(*arguments: Any) -> Any:
        return method(*arguments)

    return wrapper


class Traced(AsyncEvents):
    """The same behind functions that are not async and give what has to be awaited."""


for each in OPERATIONS.values():
    if each.chapter == "event":
        setattr(Traced, each.method_name, _traced(getattr(AsyncEvents, each.method_name)))


def traced_store(environment: Environment) -> Any:
    """An async store, each of whose methods is wrapped."""
    return Traced(memory(environment).event)


class Forgetful(AsyncEvents):
    """An async event log that forgets when a turn is finished."""

    async def finish_turn(self, *_: Any) -> None:
        """Do nothing."""


def forgetful(environment: Environment) -> Iterator[Any]:
    """An async store that is wrong, from a generator."""
    yield Forgetful(memory(environment).event)


def failing(environment: Environment) -> Iterator[DuckDBStores]:
    """A generator that fails when it is let go."""
    yield memory(environment)
    raise OSError("the disk is gone")
