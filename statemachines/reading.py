"""What a function of a state has read of it, so that it need not be called again where all of that is the same.

A state is told by numbers: one for the instant, one for the process table, and one for each field of each chapter, which is
the number of the field's value among those that were met. A function is called on a state that remembers which fields are read;
what it gave then it gives on every state with the same numbers there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from fencepost.model import State
from fencepost.model.records.log import Log
from fencepost.spec import Alive
from immutables import Map

from .scope import Instant

T = TypeVar("T")
Numbers = tuple[int, ...]
"""What tells a state at an instant."""

Writes = tuple[tuple[int, int], ...]
"""The fields that a call changes: places, and the numbers of the values that it writes there."""

NOW, TABLE, FIELDS = 0, 1, 2
"""The places of the time, of the process table, and of the first field."""

Getter = Callable[[Any], Any]


class Chapter(NamedTuple):
    """A chapter of the state: its type, how it is got, and how its fields are got, past all that watches."""

    kind: type[Any]
    of: Getter
    fields: tuple[Getter, ...]
    first: int
    """The place of the first field."""


def _layout() -> Iterator[Chapter]:
    first, empty = FIELDS, State()
    for name in State.__struct_fields__:
        kind = type(getattr(empty, name))
        fields = tuple(kind.__dict__[field].__get__ for field in kind.__struct_fields__)
        yield Chapter(kind, State.__dict__[name].__get__, fields, first)
        first += len(fields)


LAYOUT = tuple(_layout())
"""All chapters of the state."""

WIDTH = LAYOUT[-1].first + len(LAYOUT[-1].fields)
"""How many numbers tell a state at an instant."""


Kinds = tuple[type[Any], ...]
"""The type of each chapter."""

PLAIN: Kinds = tuple(chapter.kind for chapter in LAYOUT)


class Known(Generic[T]):
    """What a function gave on the states that it was called on, by what it read of them.

    A function that reads nearly everything is hardly ever asked the same again: what it gave is not kept.
    """

    __slots__ = ("_by_places", "_found", "_kept")

    TRIAL = 200
    """After so many values that were kept, an eighth as many must have been found again."""

    def __init__(self) -> None:
        self._by_places: dict[Numbers, tuple[itemgetter[Any], dict[Any, T]]] = {}
        self._found = self._kept = 0

    def find(self, numbers: Numbers) -> T | None:
        """What the function gives on this state, if that is known."""
        for places, given in self._by_places.values():
            found = given.get(places(numbers))
            if found is not None:
                self._found += 1
                return found
        return None

    @property
    def worthwhile(self) -> bool:
        """Whether it is worth the while to see what the function reads."""
        return self._kept < self.TRIAL or self._found * 8 >= self._kept

    def keep(self, numbers: Numbers, read: Iterable[int], given: T) -> None:
        """Keep what the function gave on a state of which it read this."""
        self._kept += 1
        if not self.worthwhile:
            self._by_places.clear()
            return
        places = tuple(sorted(read)) or (FIELDS,)
        _, given_by = self._by_places.setdefault(places, (itemgetter(*places), {}))
        given_by[itemgetter(*places)(numbers)] = given


class Values:
    """Numbers the values of each field, and gives states for numbers."""

    def __init__(self) -> None:
        self._numbers: list[dict[object, int]] = [{} for _ in range(WIDTH)]
        self._values: list[list[Any]] = [[] for _ in range(WIDTH)]
        self._made: dict[Kinds, list[dict[Numbers, Any]]] = {}
        self._chapters: list[dict[object, list[int]]] = [{} for _ in LAYOUT]

    def number(self, place: int, value: object) -> int:
        """The number of a value at this place."""
        numbers = self._numbers[place]
        found = numbers.get(value)
        if found is None:
            found = numbers[value] = len(numbers)
            self._values[place].append(value)
        return found

    def numbers(self, state: State, instant: Instant) -> Numbers:
        """The numbers that tell a state at an instant."""
        found = [self.number(NOW, instant.now), self.number(TABLE, instant.table)]
        for known, chapter in zip(self._chapters, LAYOUT, strict=True):
            part = chapter.of(state)
            numbers = known.get(part)
            if numbers is None:
                fields = enumerate(chapter.fields, chapter.first)
                numbers = known[part] = [self.number(place, field(part)) for place, field in fields]
            found += numbers
        return tuple(found)

    def state(self, numbers: Numbers, kinds: Kinds = PLAIN) -> State:
        """The state that these numbers tell, of these types."""
        parts, known = [], self._made.setdefault(kinds, [{} for _ in LAYOUT])
        for chapter, kind, made in zip(LAYOUT, kinds, known, strict=True):
            own = numbers[chapter.first : chapter.first + len(chapter.fields)]
            part = made.get(own)
            if part is None:
                part = made[own] = kind(*(self._values[place][number] for place, number in enumerate(own, chapter.first)))
            parts.append(part)
        return State(*parts)

    def changes(self, before: State, after: State, read: set[int]) -> Writes:
        """What is new in a state that was made of the one before, of which this was read.

        A value that was there before may have been left alone or written again. What was written again where something else was
        is a change there: so such fields count as read, but for a map with something in it, which nobody writes twice.
        """
        found = []
        for chapter in LAYOUT:
            old, new = chapter.of(before), chapter.of(after)
            if new is old:
                continue
            for place, field in enumerate(chapter.fields, chapter.first):
                value = field(new)
                if value is not field(old):
                    found.append((place, self.number(place, value)))
                elif not (isinstance(value, Map | Log) and value):
                    read.add(place)
        return tuple(found)


def changed(before: State, after: State) -> frozenset[int]:
    """The places of the chapters that differ."""
    return frozenset(
        place
        for chapter in LAYOUT
        if chapter.of(before) is not chapter.of(after)
        for place in range(chapter.first, chapter.first + len(chapter.fields))
    )


def watching(read: set[int], first: int = FIELDS) -> Kinds:
    """Types of states that remember there what was read of them. The first field has the place `first`."""
    kinds = []
    for chapter in LAYOUT:
        places = {name: first + at for at, name in enumerate(chapter.kind.__struct_fields__)}
        kinds.append(_watched(chapter.kind, places, read))
        first += len(places)
    return tuple(kinds)


def _watched(kind: type[Any], places: dict[str, int], read: set[int]) -> type[Any]:
    """The type, made to remember in `read` the places of those of its fields that were read."""

    def get(self: Any, name: str) -> Any:
        if name in places:
            read.add(places[name])
        return object.__getattribute__(self, name)

    members = {"__getattribute__": get}
    made: type[Any] = msgspec.defstruct(kind.__name__, [], bases=(kind,), namespace=members, frozen=True, cache_hash=True)
    return made


def watched_instant(read: set[int]) -> type[Instant]:
    """Instants that remember in `read` whether the process table was read."""

    class Watched(Instant):
        @property
        def table(self) -> tuple[Alive, ...]:
            read.add(TABLE)
            return self[1]

    return Watched
