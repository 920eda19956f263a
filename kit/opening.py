"""What a factory may be besides a function that gives its store: a coroutine, a generator, a context manager; and async stores.

All that has to be awaited runs on one event loop of the process, so that what a store opened in one call is there in the next.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import inspect
import threading
from collections.abc import Awaitable, Callable
from functools import cache, partial
from typing import Any

from fencepost.spec import Stores
from fencepost.spec.operations import CHAPTERS, OPERATIONS

PARTS = ("runtime_persistence", "runtime", "event", "output")


def opened(factory: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The factory as a function that gives a store whose methods answer when they are called, for programs to use."""

    def open_store(environment: Any) -> Any:
        store, let_go = entered(factory(environment))
        if let_go is not None:
            # until the program ends: a generator that nobody holds ends at once, and its store with it
            atexit.register(_quietly, let_go)
        return store

    return open_store


def _quietly(let_go: Callable[[], None]) -> None:
    # what a program has shown by then is all that counts
    with contextlib.suppress(Exception):
        let_go()


def entered(made: Any) -> tuple[Any, Callable[[], None] | None]:
    """The store in what a factory gave, and what lets go of it, if that is not the store's own `close`.

    Raises whatever the factory raises.
    """
    made = awaited(made)
    if inspect.isgenerator(made):
        return plain(next(made)), lambda: _finished(made)
    if inspect.isasyncgen(made):
        return plain(awaited(anext(made))), lambda: awaited(_afinished(made))
    if is_store(made):
        return plain(made), None
    if hasattr(made, "__aenter__"):
        return plain(awaited(made.__aenter__())), lambda: awaited(made.__aexit__(None, None, None))
    if hasattr(made, "__enter__"):
        return plain(made.__enter__()), lambda: made.__exit__(None, None, None)
    return made, None


def is_store(value: object) -> bool:
    """Whether it has any call of a store."""
    return any(operation.of(value) for operation in OPERATIONS.values())


def plain(store: Any) -> Any:
    """The store; in front of one that may answer what has to be awaited, one that awaits it.

    One that carries the contracts, and has no async method, answers for itself: there a future is a wrong answer (VALUE-11).
    """
    methods = [method for operation in OPERATIONS.values() if (method := operation.of(store))]
    if isinstance(store, type) or not methods:
        # no store at all, as whoever asked for one will tell
        return store
    parts = _parts(store)
    if all(map(_inherits, parts.values())) and not any(inspect.iscoroutinefunction(inspect.unwrap(each)) for each in methods):
        return store
    if not isinstance(store, Stores):
        return _Awaited(store)
    return _AwaitedStores(store, {part: _Awaited(each) for part, each in parts.items()})


def is_called_as_it_is(made: object, store: object) -> bool:
    """Whether the store is what the factory made, and has given nothing to be awaited: it can be called without us."""
    if not isinstance(store, _Awaited):
        return store is made
    return store.__wrapped__ is made and not any(type(each) in _ASYNC for each in _parts(made).values())


def stores_in(store: object) -> list[object]:
    """The stores that a factory gave, one or several, as they are."""
    given = store.__wrapped__ if isinstance(store, _Awaited) else store
    return list(_parts(given).values())


def _parts(store: object) -> dict[str, Any]:
    """The stores that there are, by name; one alone has none."""
    if not isinstance(store, Stores):
        return {"": store}
    return {part: each for part in PARTS if (each := getattr(store, part)) is not None}


def a_store(store: object) -> str:
    """Which class it is of, for a sentence."""
    name = type(store.__wrapped__ if isinstance(store, _Awaited) else store).__name__
    return f"{'an' if name.startswith(tuple('AEIOaeio')) else 'a'} {name}"


def _inherits(store: object) -> bool:
    return any(each in type(store).__mro__ for each in CHAPTERS.values())


def awaited(value: Any) -> Any:
    """The value; what it comes to, if it has to be awaited."""
    return asyncio.run_coroutine_threadsafe(_result(value), _loop()).result() if inspect.isawaitable(value) else value


class _Awaited:
    """A store whose answers are awaited if they have to be."""

    def __init__(self, store: Any) -> None:
        self.__wrapped__ = store

    def __getattr__(self, name: str) -> Any:
        store = self.__dict__["__wrapped__"]
        found = getattr(store, name)
        if getattr(found, "__func__", None) in _GIVEN and found.__self__ is store:
            # it calls the others, which have to be awaited; borrowed from another store it calls those of that one
            return partial(found.__func__, self)
        return _Call(store, found) if callable(found) else found


class _Call:
    """A method whose answer is awaited if it has to be; `inspect` sees the parameters of what is wrapped."""

    __slots__ = ("__wrapped__", "_store")

    def __init__(self, store: object, method: Callable[..., Any]) -> None:
        self._store, self.__wrapped__ = store, method

    def __call__(self, *arguments: Any) -> Any:
        answer = self.__wrapped__(*arguments)
        if not inspect.isawaitable(answer):
            return answer
        _ASYNC.add(type(self._store))
        return awaited(answer)


_GIVEN = {each.method for each in OPERATIONS.values() if not getattr(each.method, "__isabstractmethod__", False)}
"""The methods that a store inherits from the class of its protocol, and need not write."""

_ASYNC: set[type] = set()
"""The classes of stores that have given something to be awaited."""


class _AwaitedStores(_Awaited, Stores):
    """Stores of which some may be async."""

    def __init__(self, stores: Stores, parts: dict[str, Any]) -> None:
        Stores.__init__(self, **parts)
        _Awaited.__init__(self, stores)


async def _result(value: Awaitable[Any]) -> Any:
    return await value


def _finished(generator: Any) -> None:
    """Run a generator to its end, which is behind its only `yield`."""
    if next(generator, _finished) is not _finished:
        generator.close()
        raise RuntimeError("the factory has a second yield")


async def _afinished(generator: Any) -> None:
    if await anext(generator, _finished) is not _finished:
        await generator.aclose()
        raise RuntimeError("the factory has a second yield")


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The loop runs in a thread of its own: several callers may wait for it at once."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="fencepost", daemon=True).start()
    return loop
