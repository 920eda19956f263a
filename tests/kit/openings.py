"""Factories of every shape, all of the DuckDB store in memory, or of one that forgets."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest import mock

import icontract
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


def _give(kind: type, made: Callable[[str], Any], besides: str = "") -> None:
    """Give a class the calls of an event log, each made for its name."""
    for each in OPERATIONS.values():
        if each.chapter == "event" and each.method_name != besides:
            setattr(kind, each.method_name, made(each.method_name))


def _asynchronous(name: str) -> Any:
    async def method(self: AsyncEvents, *arguments: Any) -> Any:
        return getattr(self.store, name)(*arguments)

    return method


_give(AsyncEvents, _asynchronous)


async def async_store(environment: Environment) -> Any:
    """An async store."""
    return AsyncEvents(memory(environment).event)


def async_stores(environment: Environment) -> Stores:
    """Stores, one of which is async."""
    stores = memory(environment)
    events: Any = AsyncEvents(stores.event)
    return Stores(event=events, output=stores.output)


def _traced(name: str) -> Any:
    method = getattr(AsyncEvents, name)

    @functools.wraps(method)
    def wrapper(*arguments: Any) -> Any:
        return method(*arguments)

    return wrapper


class Traced(AsyncEvents):
    """The same behind functions that are not async and give what has to be awaited."""


_give(Traced, _traced)


def traced_store(environment: Environment) -> Any:
    """An async store, each of whose methods is wrapped."""
    return Traced(memory(environment).event)


class Delegating(AsyncEvents):
    """The same behind plain methods, which give what those of an async store gave."""


def _delegating(name: str) -> Any:
    def method(self: Delegating, *arguments: Any) -> Any:
        return getattr(AsyncEvents(self.store), name)(*arguments)

    return method


_give(Delegating, _delegating)


def delegating_store(environment: Environment) -> Any:
    """An async store without an async method."""
    return Delegating(memory(environment).event)


def patched_store(environment: Environment) -> Any:
    """A store that inherits the contracts, with a method in the place of one of its own that answers what equals anything."""
    store: Any = memory(environment).event
    store.get_turn = lambda *_: mock.ANY
    return store


def guarded_store(environment: Environment) -> Any:
    """The same, where that method has a contract of its own."""
    store: Any = memory(environment).event

    @icontract.require(lambda turn: turn >= 0)
    def get_turn(thread_id: str, turn: int) -> Any:
        return mock.ANY

    store.get_turn = get_turn
    return store


class Unequal:
    """What cannot be compared."""

    def __eq__(self, other: object) -> bool:
        raise OSError("the disk is gone")

    __hash__ = None  # type: ignore[assignment]


class Registered:
    """A log that inherits nothing, is counted among those that do, and answers what cannot be compared."""

    def __init__(self, store: EventStore) -> None:
        self.append, self.finish_turn = store.append, store.finish_turn
        self.get_turns, self.get_events, self.clear = store.get_turns, store.get_events, store.clear

    def get_turn(self, thread_id: str, turn: int) -> Unequal:
        """What cannot be compared."""
        return Unequal()


EventStore.register(Registered)


def registered_store(environment: Environment) -> Any:
    """A store of a class that is registered."""
    return Registered(memory(environment).event)


class AsyncLog(EventStore):
    """An event log that inherits from the class of its protocol, writes its methods async, and does not write all."""

    def __init__(self, store: EventStore) -> None:
        self.store = store


_give(AsyncLog, _asynchronous, besides="get_events")
AsyncLog.__abstractmethods__ = frozenset()


def async_log(environment: Environment) -> Any:
    """An async store that inherits `get_events`."""
    return AsyncLog(memory(environment).event)  # type: ignore[abstract]  # its methods were set above


class Shared(AsyncEvents):
    """One log for all, which says a word at every call."""


def _talking(name: str) -> Any:
    def method(self: Shared, *arguments: Any) -> Any:
        print("a word")
        return getattr(self.store, name)(*arguments)

    return method


_give(Shared, _talking)

SHARED: list[Shared] = []


def shared_store(environment: Environment) -> Any:
    """The same store every time, with all that was left in it."""
    if not SHARED:
        SHARED.append(Shared(memory(environment).event))
    return SHARED[0]


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
