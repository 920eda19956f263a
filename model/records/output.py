"""The output log: its records, in the order of their appends, and by all that they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import NamedTuple, TypeAlias

import msgspec
from fencepost.spec import Artifact, Final, OutputEvent, OutputRecord, OutputRef, Partial
from immutables import Map
from msgspec.structs import replace

from .log import Log

Content: TypeAlias = tuple[str, int, str, OutputEvent, tuple[OutputRef, ...]]
"""All of a record but its id."""


class Attempt(NamedTuple):
    """The records of an attempt, and whether a final event is among them."""

    records: Log[OutputRecord] = Log()
    final: bool = False

    def plus(self, record: OutputRecord) -> Attempt:
        """The attempt with this record too."""
        return Attempt(self.records.plus(record), self.final or isinstance(record.event, Final))


class Produced(NamedTuple):
    """What a producer has appended: how much, the latest, the furthest attempt, and whether pieces came before the latest."""

    records: int
    latest: OutputRecord
    furthest: tuple[str, int]
    pieces_before: bool

    def plus(self, record: OutputRecord) -> Produced:
        """The same with this record too."""
        pieces = self.pieces_before or isinstance(self.latest.event, Final | Partial)
        return Produced(self.records + 1, record, max(self.furthest, (record.task_id, record.attempt)), pieces)


class OutputState(msgspec.Struct, frozen=True, cache_hash=True):
    """Every record ever appended, the oldest first.

    The others are indexes of it: by id, by attempt, by producer, by content, and the names of artifacts. `free` is the smallest
    number whose id is not taken.
    """

    records: Log[OutputRecord] = Log()
    by_id: Map[OutputRef, OutputRecord] = Map()
    attempts: Map[tuple[str, int], Attempt] = Map()
    producers: Map[str, Produced] = Map()
    contents: Map[Content, OutputRef] = Map()
    artifacts: Map[str, OutputRef] = Map()
    free: int = 0

    @classmethod
    def of(cls, records: Iterable[OutputRecord]) -> OutputState:
        """A log of these records."""
        state = cls()
        for record in records:
            state = state.plus(record)
        return state

    def plus(self, record: OutputRecord) -> OutputState:
        """The log with this record as the newest."""
        key, name, event = (record.task_id, record.attempt), record.producer_agent, record.event
        before, by_id = self.producers.get(name), self.by_id
        by_id = by_id if record.id in by_id else by_id.set(record.id, record)
        return replace(
            self,
            records=self.records.plus(record),
            by_id=by_id,
            attempts=self.attempts.set(key, self.attempts.get(key, Attempt()).plus(record)),
            producers=self.producers.set(name, before.plus(record) if before else Produced(1, record, key, False)),
            contents=self.contents.set(content_of(record), record.id),
            artifacts=self.artifacts.set(event.name, record.id) if isinstance(event, Artifact) else self.artifacts,
            free=next(number for number in count(self.free) if numbered(number) not in by_id),
        )


def numbered(number: int) -> OutputRef:
    """An id in the form of known stores."""
    return OutputRef(f"out-{number:010x}")


def content_of(record: OutputRecord) -> Content:
    """All of a record but its id."""
    return (record.task_id, record.attempt, record.producer_agent, record.event, record.parent_refs)
