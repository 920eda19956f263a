"""How faults are planted: a registry of them, and the ways to replace one name inside the store for the time of a run.

A fault is one sentence, the requirement it breaks and the kind of failure it stands for. The store with it still opens and
answers: what remains is wrong in one way. Each is planted by a function that takes a `Patch`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

from fencepost.impl import DuckDBEventStore, DuckDBOutputStore, DuckDBRuntimePersistence, DuckDBRuntimeStore
from fencepost.impl.engine import Engine, Row, Statement
from fencepost.spec.catalogue import requirements
from fencepost.spec.operations import OPERATIONS

from .kinds import Kind

T = TypeVar("T")


class NotPlanted(Exception):
    """The store has changed, and a fault cannot be planted any more: the text says what was expected of the store."""


class Patch:
    """Replaces attributes for the time of a `with` block; the last replaced is the first to come back.

    Entered again, it replaces again what it had replaced, so that what a fault remembers is remembered on.
    """

    def __init__(self) -> None:
        self._made: list[tuple[Any, str, Any]] = []
        self._undo: list[Callable[[], None]] = []

    def __enter__(self) -> Patch:
        for each in self._made:
            self._replace(*each)
        return self

    def __exit__(self, *_: object) -> None:
        while self._undo:
            self._undo.pop()()

    def setattr(self, where: Any, name: str, value: Any) -> None:
        """Replace an attribute of a module or a class. Raises `NotPlanted` if there is none of this name."""
        if not hasattr(where, name):
            raise NotPlanted(f"{where.__name__} no longer has {name}")
        self._made.append((where, name, value))
        self._replace(where, name, value)

    def _replace(self, where: Any, name: str, value: Any) -> None:
        own = vars(where)
        # what a class inherits is not its own, and has to be inherited again
        undo = partial(setattr, where, name, own[name]) if name in own else partial(delattr, where, name)
        self._undo.append(undo)
        setattr(where, name, value)


Plant = Callable[[Patch], None]


class PlantedBug(NamedTuple):
    """A fault: its sentence, the requirement it breaks, its kind, how to plant it, and the chapter that has to catch it.

    `also` are requirements that the store with it breaks besides.
    """

    name: str
    sentence: str
    requirement: str
    kind: Kind
    plant: Plant
    chapter: str
    also: tuple[str, ...] = ()

    @property
    def breaks(self) -> tuple[str, ...]:
        """The requirements that it breaks, its own first."""
        return (self.requirement, *self.also)


STORES: dict[str, type] = {"runtime": DuckDBRuntimeStore, "event": DuckDBEventStore, "output": DuckDBOutputStore}
"""The stores of chapters that have one of their own; all others share `DuckDBRuntimePersistence`."""

REGISTERED: list[PlantedBug] = []
"""Every planted fault, as the modules of `bugs` register them."""


def bug(requirement: str, kind: Kind, chapter: str | None = None, also: tuple[str, ...] = ()) -> Callable[[Plant], Plant]:
    """Register a plant; its name and its docstring are the fault's, its chapter that of the requirement unless told."""

    def register(plant: Plant) -> Plant:
        sentence = (plant.__doc__ or "").strip()
        where = chapter or requirements()[requirement].chapter
        REGISTERED.append(PlantedBug(plant.__name__.replace("_", "-"), sentence, requirement, kind, plant, where, also))
        return plant

    return register


def wrap(patch: Patch, operation: str, around: Callable[..., Any]) -> None:
    """Put `around(original, store, *arguments)` in place of the method of a store that is this operation."""
    described = OPERATIONS[operation]
    store_type, method = STORES.get(described.chapter, DuckDBRuntimePersistence), described.method.__name__
    original = getattr(store_type, method)

    def wrapped(store: Any, *arguments: Any) -> Any:
        described.refuse_invalid(arguments)
        return around(original, store, *arguments)

    patch.setattr(store_type, method, wrapped)


def within(patch: Patch, operation: str, module: Any, **names: Any) -> None:
    """Replace names of a module, but only while this operation of the store runs."""

    def around(original: Any, store: Any, *arguments: Any) -> Any:
        with Patch() as inner:
            for name, value in names.items():
                inner.setattr(module, name, value)
            return original(store, *arguments)

    wrap(patch, operation, around)


def reworded(patch: Patch, module: Any, name: str, old: str, new: str) -> None:
    """Change the words of one of the store's statements, or of a part of one."""
    statement = getattr(module, name, "")
    if isinstance(statement, str):
        patch.setattr(module, name, changed(statement, name, old, new))
    else:
        patch.setattr(module, name, statement._replace(sql=changed(statement.sql, name, old, new)))


def changed(text: str, name: str, old: str, new: str) -> str:
    """The text with these words changed. Raises `NotPlanted` if it does not have them."""
    if old not in text:
        raise NotPlanted(f"{name} no longer says {old!r}")
    return text.replace(old, new)


def sent_otherwise(patch: Patch, purpose: str, old: str, new: str) -> None:
    """Change the words of the statements for this purpose, which are made anew for each call, as they are sent."""
    original = Engine.send

    def send(engine: Engine, statement: Statement, parameters: Any = ()) -> list[Row]:
        if statement.purpose == purpose:
            statement = statement._replace(sql=changed(statement.sql, f"the statement to {purpose}", old, new))
        return original(engine, statement, parameters)

    patch.setattr(Engine, "send", send)


def ask(store: Any, sql: str, *parameters: object) -> list[Row]:
    """Run a statement of the fault's own, beside the store's."""
    rows: list[Row] = store._engine.once(Statement("a planted fault", sql), parameters)
    return rows


def per_run(make: Callable[[], T]) -> Callable[[Any], T]:
    """What a fault remembers of a run, across all stores of it: they share the run's clock."""
    kept: WeakKeyDictionary[Any, T] = WeakKeyDictionary()
    return lambda store: kept.setdefault(store._clock, make())


def per_store(make: Callable[[], T]) -> Callable[[Any], T]:
    """What a fault keeps in memory only: a store that is opened again begins anew."""
    kept: WeakKeyDictionary[Any, T] = WeakKeyDictionary()
    return lambda store: kept.setdefault(store, make())


def on_opening(patch: Patch, *statements: str) -> None:
    """Do this to whatever is in the database whenever a store is opened on it."""
    original = DuckDBRuntimePersistence._take_over

    def take_over(store: Any, *arguments: Any, **keywords: Any) -> None:
        original(store, *arguments, **keywords)
        for sql in statements:
            ask(store, sql)

    patch.setattr(DuckDBRuntimePersistence, "_take_over", take_over)


def answering(patch: Patch, operation: str, change: Callable[..., Any]) -> None:
    """Answer `change(answer, *arguments)` in place of what the store answers; what it does stays as it is."""
    wrap(patch, operation, lambda original, store, *given: change(original(store, *given), *given))


def refusing(patch: Patch, operation: str, when: Callable[..., bool], error: Callable[[], Exception]) -> None:
    """Refuse the call, before it does anything, when `when(store, *arguments)` says so."""

    def around(original: Any, store: Any, *given: Any) -> Any:
        if when(store, *given):
            raise error()
        return original(store, *given)

    wrap(patch, operation, around)
