"""A list that only grows: appending to it, and any item of it, cost the same however long it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import msgspec
from immutables import Map

T = TypeVar("T")


class Log(msgspec.Struct, Generic[T], frozen=True, cache_hash=True):
    """Items in the order in which they were added, by their places from 0 on."""

    items: Map[int, T] = Map()

    @classmethod
    def of(cls, items: Iterable[T]) -> Log[T]:
        """A log of these."""
        return cls(Map(enumerate(items)))

    def plus(self, *items: T) -> Log[T]:
        """The log with these behind all others."""
        return Log(self.items.update({len(self) + place: item for place, item in enumerate(items)})) if items else self

    def __iter__(self) -> Iterator[T]:
        return (self.items[place] for place in range(len(self.items)))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int) -> T:
        return self.items[place if place >= 0 else len(self.items) + place]

    def begins_with(self, other: Log[T]) -> bool:
        """Whether the other log is the beginning of this one."""
        return all(self.items.get(place) == item for place, item in other.items.items())
