"""One turn of an event log: its transitions, and the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from uuid import UUID

import msgspec
from fencepost.spec import AgentEventEnvelope
from immutables import Map

from ..contracts import ensure, require
from .log import Log


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """How many events a turn holds, and whether it is finished."""

    events: int
    finished: bool


def valid(record: TurnRecord | None) -> bool:
    """A turn is there for its events, or because it is finished (EVENT-INV-5)."""
    return record is None or (record.events >= 0 and (record.finished or record.events > 0))


@require(lambda record: valid(record))
@ensure(
    lambda record, result: (result is None) == (record is not None and record.finished),
    "EVENT-8",
    "a finished turn takes no event, an open one always does",
)
@ensure(
    lambda result: result is None or (valid(result) and not result.finished), "EVENT-6", "a turn that takes an event is open"
)
@ensure(
    lambda record, result: result is None or result.events == (record.events if record else 0) + 1,
    "EVENT-7",
    "an append adds exactly one event",
)
def appended(record: TurnRecord | None) -> TurnRecord | None:
    """The turn with one event more, open as it was; None if it is finished."""
    if record is None:
        return TurnRecord(1, False)
    return None if record.finished else replace(record, events=record.events + 1)


@require(lambda record: valid(record))
@ensure(
    lambda record, result: (result is None) == (record is not None and record.finished), "EVENT-15", "a turn is finished once"
)
@ensure(
    lambda result: result is None or (valid(result) and result.finished),
    "EVENT-13",
    "a turn that is finished stays there, as finished",
)
@ensure(
    lambda record, result: result is None or result.events == (record.events if record else 0),
    "EVENT-14",
    "finishing a turn keeps its events",
)
def closed(record: TurnRecord | None) -> TurnRecord | None:
    """The turn finished, with its events; None if it was."""
    if record is None:
        return TurnRecord(0, True)
    return None if record.finished else replace(record, finished=True)


class Turn(msgspec.Struct, frozen=True, cache_hash=True):
    """A turn with its events in the order of their appends, and the ids that they have."""

    record: TurnRecord
    events: Log[AgentEventEnvelope] = Log()
    ids: Map[UUID, bool] = Map()

    @classmethod
    def of(cls, record: TurnRecord, events: Iterable[AgentEventEnvelope] = ()) -> Turn:
        """A turn with these events."""
        turn = cls(record)
        for envelope in events:
            turn = turn.plus(record, envelope)
        return turn

    def plus(self, record: TurnRecord, envelope: AgentEventEnvelope) -> Turn:
        """The turn with one event more."""
        return Turn(record, self.events.plus(envelope), self.ids.set(envelope.event_id, True))


class Thread(msgspec.Struct, frozen=True, cache_hash=True):
    """The turns of a thread by their numbers, the largest of these, and whether a turn is finished."""

    turns: Map[int, Turn] = Map()
    last: int = -1
    finished: bool = False

    @classmethod
    def of(cls, turns: Mapping[int, Turn]) -> Thread:
        """A thread of these turns."""
        thread = cls()
        for number, turn in turns.items():
            thread = thread.having(number, turn)
        return thread

    def having(self, number: int, turn: Turn) -> Thread:
        """The thread with this turn, in place of what had its number."""
        return Thread(self.turns.set(number, turn), max(self.last, number), self.finished or turn.record.finished)

    def in_order(self) -> list[tuple[int, Turn]]:
        """The turns with their numbers, the smallest first."""
        return sorted(self.turns.items(), key=itemgetter(0))


class EventState(msgspec.Struct, frozen=True, cache_hash=True):
    """The turns of each thread, and the threads that were ever cleared (EVENT-30)."""

    threads: Map[str, Thread] = Map()
    cleared: Map[str, bool] = Map()

    def of(self, thread_id: str) -> Thread:
        """The turns of a thread."""
        return self.threads.get(thread_id, Thread())
