"""How faults are planted: a registry of them, and the ways to replace one name inside the store for the time of a run.

A fault is one sentence and the requirement it breaks. The store with it still opens and answers: what remains is wrong in one
way. Each is planted by a function that takes pytest's `monkeypatch`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import pytest
from fencepost.impl import DuckDBEventStore, DuckDBOutputStore, DuckDBRuntimePersistence, DuckDBRuntimeStore
from fencepost.impl.engine import Engine, Row, Statement
from fencepost.spec.catalogue import requirements
from fencepost.spec.operations import OPERATIONS

T = TypeVar("T")
Plant = Callable[[pytest.MonkeyPatch], None]


class PlantedBug(NamedTuple):
    """A fault: its sentence, the requirement it breaks, how to plant it, and the chapter whose machine has to catch it."""

    name: str
    sentence: str
    requirement: str
    plant: Plant
    chapter: str


STORES: dict[str, type] = {"runtime": DuckDBRuntimeStore, "event": DuckDBEventStore, "output": DuckDBOutputStore}
"""The stores of chapters that have one of their own; all others share `DuckDBRuntimePersistence`."""

BUGS: list[PlantedBug] = []
"""Every planted fault."""


def bug(requirement: str, chapter: str | None = None) -> Callable[[Plant], Plant]:
    """Register a plant; its name and its docstring are the fault's, its chapter that of the requirement unless told."""

    def register(plant: Plant) -> Plant:
        sentence = (plant.__doc__ or "").strip()
        where = chapter or requirements()[requirement].chapter
        BUGS.append(PlantedBug(plant.__name__.replace("_", "-"), sentence, requirement, plant, where))
        return plant

    return register


def wrap(patch: pytest.MonkeyPatch, operation: str, around: Callable[..., Any]) -> None:
    """Put `around(original, store, *arguments)` in place of the method of a store that is this operation."""
    described = OPERATIONS[operation]
    store_type, method = STORES.get(described.chapter, DuckDBRuntimePersistence), described.method.__name__
    original = getattr(store_type, method)

    def wrapped(store: Any, *arguments: Any) -> Any:
        described.refuse_invalid(arguments)
        return around(original, store, *arguments)

    patch.setattr(store_type, method, wrapped)


def within(patch: pytest.MonkeyPatch, operation: str, module: Any, **names: Any) -> None:
    """Replace names of a module, but only while this operation of the store runs."""

    def around(original: Any, store: Any, *arguments: Any) -> Any:
        with pytest.MonkeyPatch.context() as inner:
            for name, value in names.items():
                inner.setattr(module, name, value)
            return original(store, *arguments)

    wrap(patch, operation, around)


def reworded(patch: pytest.MonkeyPatch, module: Any, name: str, old: str, new: str) -> None:
    """Change the words of one of the store's statements, or of a part of one."""
    statement = getattr(module, name)
    if isinstance(statement, str):
        assert old in statement, f"{name} no longer says {old!r}"
        patch.setattr(module, name, statement.replace(old, new))
        return
    assert old in statement.sql, f"{name} no longer says {old!r}"
    patch.setattr(module, name, statement._replace(sql=statement.sql.replace(old, new)))


def sent_otherwise(patch: pytest.MonkeyPatch, purpose: str, old: str, new: str) -> None:
    """Change the words of the statements for this purpose, which are made anew for each call, as they are sent."""
    original = Engine.send

    def send(engine: Engine, statement: Statement, parameters: Any = ()) -> list[Row]:
        if statement.purpose == purpose:
            assert old in statement.sql, f"the statement that is to {purpose} no longer says {old!r}"
            statement = statement._replace(sql=statement.sql.replace(old, new))
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


def on_opening(patch: pytest.MonkeyPatch, *statements: str) -> None:
    """Do this to whatever is in the database whenever a store is opened on it."""
    original = DuckDBRuntimePersistence._take_over

    def take_over(store: Any, *arguments: Any, **keywords: Any) -> None:
        original(store, *arguments, **keywords)
        for sql in statements:
            ask(store, sql)

    patch.setattr(DuckDBRuntimePersistence, "_take_over", take_over)
