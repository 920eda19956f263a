"""In which order things were written whose calls overlapped, as far as later answers show it.

An append says nothing of its place. But a log only grows, so the first read that shows what was appended tells it, of whatever
else it shows, and of what is shown later; the latest of a name is behind all that was there before it was asked for; and a
number of admission is the place itself. What is left out for it may be wrong all the same, where a store is: so nothing is said
to be broken before it was held again by what is `certain`: single reads, and those of logs that nobody cleared.
"""

from __future__ import annotations

import contextlib
from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import msgspec
from fencepost.model import Refused
from fencepost.spec import AgentEventEnvelope, OutputRecord, OutputRef, PendingTurnInput, QueuedWorkBatch, StoredTurnEvents
from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.following import Call

from .history import Recorded, Unreadable, read_line

READS = (b'"get_turn"', b'"get_turns"', b'"get_events"', b'"list_for_attempt"', b'"get_latest_by_name"')

NEVER = (2**63, 0)
"""Where what no read shows is shown first."""

Key = tuple[object, ...]
Interval = tuple[int, int]
"""The first line that a call overlaps, and the line that it ended in."""


class Place(NamedTuple):
    """What is known of the place of what a call wrote: in which list it is, and where that is shown first."""

    during: Interval
    log: Key
    first: tuple[int, int]
    name: Key = ()
    """Whose latest it may be."""
    there: int = 0
    """The first line in whose end it was written."""
    latest: int = 0
    """The last line before which it was not yet behind another of that name; 0 if no read shows it as the latest."""


class Shown:
    """The places of what the calls of a history wrote. The file is looked through when the first place is asked for."""

    def __init__(self, path: Path, *, certain: bool = False) -> None:
        self._path = path
        self.is_certain = certain
        """Whether nothing is told but what follows from single reads, and from those of logs that nobody cleared."""
        self._is_read = False
        self._no_calls: list[int] = []
        self._first: dict[Key, tuple[int, int]] = {}
        self._there: dict[OutputRef, int] = {}
        self._latest: dict[OutputRef, int] = {}
        self._asked: dict[Key, int] = {}
        self._appended: Counter[Key] = Counter()
        self._cleared: dict[str, list[Interval]] = {}

    def place_of(self, call: Call, outcome: object, line: int, over: int) -> Place | None:
        """What is known of the place of what the call wrote that ended in this line; None if there is nothing."""
        if isinstance(outcome, PendingTurnInput | QueuedWorkBatch) and call.operation.startswith("enqueue_"):
            return None if self.is_certain else Place((line, line), (call.operation,), (outcome.enqueue_seq, 0))
        if call.operation == "event.append" and outcome is None:
            self._look_through()
            return self._of_event(call, self._during(line, over))
        if call.operation == "output.append" and isinstance(outcome, OutputRef):
            self._look_through()
            return self._of_output(call, outcome, self._during(line, over))
        return None

    def _of_event(self, call: Call, during: Interval) -> Place | None:
        thread_id, turn, envelope = call.arguments
        assert isinstance(thread_id, str)
        assert isinstance(envelope, AgentEventEnvelope)
        name = ("event", thread_id, envelope.event_id)
        first = self._first.get(name, NEVER)
        return None if self._appended[name] > 1 or first[0] < during[0] else Place(during, ("event", thread_id, turn), first)

    def _of_output(self, call: Call, ref: OutputRef, during: Interval) -> Place | None:
        task_id, attempt, producer, *_ = call.arguments
        first = self._first.get(("output", ref), NEVER)
        there = min(during[1], self._there.get(ref, during[1]))
        if there < during[0]:
            return None
        return Place(during, ("output", task_id, attempt), first, ("latest", producer), there, self._latest.get(ref, 0))

    def is_before(self, one: Place, other: Place) -> bool:
        """Whether the one was written before the other, in every order that explains the reads."""
        if one.name == other.name != () and one.there < other.latest:
            return True
        if one.log != other.log:
            return False
        if one.first == other.first:
            # which of two came first that are never shown, and are nowhere but in this log, makes no difference
            return one.log[0] == "event" and one.during[1] < other.during[1] and not self._is_unsure(one)
        return one.first < other.first and (
            one.first[0] == other.first[0] or not (self._is_unsure(one) or self._may_be_cleared(one, other))
        )

    def _is_unsure(self, one: Place) -> bool:
        """Whether only what one read shows is certain of its log, which may have been cleared."""
        return self.is_certain and one.log[0] == "event" and one.log[1] in self._cleared

    def _may_be_cleared(self, one: Place, other: Place) -> bool:
        """Whether the other may have been cleared away before the first read that shows the one."""
        if one.log[0] != "event":
            return False
        cleared = self._cleared.get(str(one.log[1]), ())
        return any(ended >= other.during[0] and began <= one.first[0] for began, ended in cleared)

    def is_asked(self, key: Key, line: int) -> bool:
        """Whether a read that ends in this line or later asks for this attempt, or for the latest of this name."""
        self._look_through()
        return self._asked.get(key, 0) >= line

    def _during(self, line: int, over: int) -> Interval:
        """At most so many lines are between that are no calls as there are before."""
        return (line - over - bisect(self._no_calls, line) if over else line, line)

    def _look_through(self) -> None:
        if self._is_read:
            return
        self._is_read = True
        with self._path.open("rb") as file:
            for number, text in enumerate(file, 1):
                if b'"call"' not in text:
                    self._no_calls.append(number)
                elif b'"event.append"' in text:
                    self._count(text)
                elif b'"clear"' in text or any(each in text for each in READS):
                    with contextlib.suppress(Unreadable):
                        line = read_line(number, text)
                        if isinstance(line, Recorded) and isinstance(line.call, Call):
                            self._look_at(line, line.call)

    def _count(self, text: bytes) -> None:
        """Note the event that is appended: where two have one id, their places cannot be told."""
        with contextlib.suppress(msgspec.MsgspecError, KeyError, TypeError, ValueError):
            arguments = msgspec.json.decode(text)["call"]["arguments"]
            self._appended["event", arguments["thread_id"], UUID(arguments["envelope"]["event_id"])] += 1

    def _look_at(self, read: Recorded, call: Call) -> None:
        during = self._during(read.line, read.over)
        if call.operation == "clear":
            self._cleared.setdefault(str(call.arguments[0]), []).append(during)
        elif call.operation == "list_for_attempt":
            self._asked["output", *call.arguments] = read.line
        elif call.operation == "get_latest_by_name":
            self._asked["latest", *call.arguments] = read.line
            if isinstance(read.outcome, OutputRecord):
                self._latest[read.outcome.id] = max(during[0], self._latest.get(read.outcome.id, 0))
                self._there.setdefault(read.outcome.id, read.line)
        if OPERATIONS[call.operation].reads and not isinstance(read.outcome, Refused):
            for place, name in enumerate(_listed(read.outcome, call)):
                self._first.setdefault(name, (read.line, place))
                if isinstance(name[1], OutputRef):
                    self._there.setdefault(name[1], read.line)


def _listed(answer: object, call: Call) -> Iterator[Key]:
    """What a read lists, in the order of its places."""
    for each in answer if isinstance(answer, tuple) else (answer,):
        if isinstance(each, StoredTurnEvents):
            yield from (("event", call.arguments[0], envelope.event_id) for envelope in each.events)
        elif isinstance(each, AgentEventEnvelope):
            yield ("event", call.arguments[0], each.event_id)
        elif isinstance(each, OutputRecord) and call.operation == "list_for_attempt":
            yield ("output", each.id)
