"""In which order things were written whose calls overlapped, as far as later answers show it.

An append says nothing of its place. But the first read that shows what was appended tells it, of whatever else it shows, and of
what is shown later; and a number of admission is the place itself. So of two calls that overlapped the one with the smaller
place took effect first, or no order explains that read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fencepost.model import Refused
from fencepost.spec import AgentEventEnvelope, OutputRecord, OutputRef, PendingTurnInput, QueuedWorkBatch, StoredTurnEvents
from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.following import Call

from .history import Recorded, Unreadable, read_line

READS = (b'"operation":"get_turn', b'"operation":"list_for_attempt"')

NEVER = (2**63, 0)
"""The place of what no read shows: any will do."""

Key = tuple[object, ...]
Place = tuple[int, int]


class Shown:
    """The places of what the calls of a history wrote. The reads in it are looked through when the first place is asked for."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._places: dict[Key, Place] | None = None
        self._twice: set[Key] = set()

    def place_of(self, call: Call, outcome: object, line: int) -> tuple[Key, Place] | None:
        """What the call wrote to, and its place there; None if there is none that is known.

        `line` is the first line that it overlaps: a read that ended before shows what was there before.
        """
        if isinstance(outcome, PendingTurnInput | QueuedWorkBatch) and call.operation.startswith("enqueue_"):
            return (call.operation,), (outcome.enqueue_seq, 0)
        if call.operation == "event.append" and outcome is None:
            thread_id, turn, envelope = call.arguments
            assert isinstance(envelope, AgentEventEnvelope)
            return self._known(("turn", thread_id, turn), envelope.event_id, line)
        if call.operation == "output.append" and isinstance(outcome, OutputRef):
            return self._known(("attempt", *call.arguments[:2]), outcome, line)
        return None

    def _known(self, key: Key, name: object, line: int) -> tuple[Key, Place] | None:
        if self._places is None:
            self._places = {}
            self._look_through()
        place = self._places.get((*key, name), NEVER)
        return None if place[0] < line or (*key, name) in self._twice else (key, place)

    def _look_through(self) -> None:
        assert self._places is not None
        for read in self._reads():
            shown = tuple(_shown(read))
            for name, count in Counter(shown).items():
                if count > 1:
                    self._twice.add(name)
            for place, name in enumerate(shown):
                self._places.setdefault(name, (read.line, place))

    def _reads(self) -> Iterator[Recorded]:
        """The reads of the history that can be read themselves."""
        if self._path is None:
            return
        with self._path.open("rb") as file:
            for number, text in enumerate(file, 1):
                if any(each in text for each in READS):
                    try:
                        line = read_line(number, text)
                    except Unreadable:
                        continue
                    if isinstance(line, Recorded) and isinstance(line.call, Call) and not isinstance(line.outcome, Refused):
                        yield line


def _shown(read: Recorded) -> Iterator[Key]:
    """What a read shows, in the order of its places, each with what it is in."""
    answer, call = read.outcome, read.call
    assert isinstance(call, Call)
    for each in answer if isinstance(answer, tuple) and OPERATIONS[call.operation].reads else (answer,):
        if isinstance(each, StoredTurnEvents):
            yield from (("turn", call.arguments[0], each.turn, envelope.event_id) for envelope in each.events)
        elif isinstance(each, OutputRecord):
            yield ("attempt", each.task_id, each.attempt, each.id)
