"""Which worlds are the same but for names: of owners, processes, parts, and of the time that it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import msgspec
from fencepost.model import State
from immutables import Map
from msgspec.structs import replace

from .scope import Renaming, Scope

NAMELESS = "·"
"""What every part is called, where one is as good as another."""


def renamed(value: Any, names: dict[object, object]) -> Any:
    """The value with other names in it, however deep; a text such as `name:rest` goes with its name."""
    if isinstance(value, str):
        if value in names:
            return names[value]
        name, colon, rest = value.partition(":")
        return f"{names[name]}:{rest}" if colon and name in names else value
    if isinstance(value, msgspec.Struct):
        if value in names:
            return names[value]
        return replace(value, **_changed(value, value.__struct_fields__, names))
    if isinstance(value, tuple):
        items = [renamed(item, names) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, frozenset):
        return frozenset(renamed(item, names) for item in value)
    if isinstance(value, Map):
        return Map({renamed(key, names): renamed(item, names) for key, item in value.items()})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(value, **_changed(value, [each.name for each in dataclasses.fields(value)], names))
    return value


def _changed(value: object, fields: Iterable[str], names: dict[object, object]) -> dict[str, Any]:
    """The fields that have other names in them."""
    found = ((field, getattr(value, field)) for field in fields)
    return {field: new for field, old in found if (new := renamed(old, names)) != old}


class Symmetry:
    """Numbers the classes of parts: two parts are of one class under a renaming if it makes them equal."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.renamings = scope.renamings()
        self._classes: dict[Hashable, int] = {}
        self._known: dict[tuple[int, int, int], tuple[int, ...]] = {}

    def of_table(self, table: tuple[Any, ...]) -> tuple[tuple[Any, ...], ...]:
        """The process table under each renaming."""
        return tuple(_moved(table, renaming) for renaming in self.renamings)

    def of_part(self, parts: Sequence[State], number: int, place: int, now: int) -> tuple[int, ...]:
        """The class of the part with this number under each renaming."""
        key = (number, place, now)
        found = self._known.get(key)
        if found is None:
            shifted = self.scope.shifted(parts[number], place, now)
            found = self._known[key] = tuple(self._class(shifted, place, each) for each in self.renamings)
        return found

    def _class(self, part: State, place: int, renaming: Renaming) -> int:
        names = dict(renaming.names)
        if self.scope.alike:
            names[self.scope.names[place]] = NAMELESS
        return self._classes.setdefault(renamed(part, names), len(self._classes))


def _moved(table: tuple[Any, ...], renaming: Renaming) -> tuple[Any, ...]:
    moved = list(table)
    for place, becomes in enumerate(renaming.places):
        moved[becomes] = table[place]
    return tuple(moved)
