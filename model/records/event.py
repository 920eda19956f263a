"""One turn of an event log: its transitions, and the log."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
from fencepost.spec import AgentEventEnvelope
from immutables import Map

from ..contracts import ensure, require


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


class Turn(msgspec.Struct, frozen=True):
    """A turn with its events in the order of their appends."""

    record: TurnRecord
    events: tuple[AgentEventEnvelope, ...] = ()


Turns = Map[int, Turn]


class EventState(msgspec.Struct, frozen=True):
    """The turns of each thread, and the threads that were ever cleared (EVENT-30)."""

    threads: Map[str, Turns] = Map()
    cleared: frozenset[str] = frozenset()

    def of(self, thread_id: str) -> Turns:
        """The turns of a thread."""
        return self.threads.get(thread_id, Map())
