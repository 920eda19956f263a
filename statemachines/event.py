"""Rules of the event log: turns that are written, finished, written too late, cleared and written again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from fencepost.model import Refused, State
from fencepost.spec import (
    U64_MAX,
    AgentEvent,
    AgentEventEnvelope,
)
from hypothesis.stateful import rule

from .checker import Call
from .draws import ANY, latest, mixed
from .lease import BAD_NUMBERS, BAD_TEXTS
from .machine import Machine
from .samples import EVENTS

THREADS = ("th", "th", "th", "th2", "th1", "th10", "", "T%_'\"\0é")
TURNS = (1, 1, 1, 2, 2, 3, 10, 0, 9, 2**31, 2**53 + 1, 2**63 - 1, 2**63, U64_MAX)
SEQUENCES = (0, 0, 1, 1, 2, 10, 2**53 + 1, U64_MAX)
INSTANTS = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z", "2025-12-31T23:59:59.5+02:00")
IDS = tuple(UUID(f"00000000-0000-4000-8000-00000000000{digit}") for digit in "0123")
"""Few, so that one comes twice."""


class EventRules(Machine):
    """The log of events."""

    def observations(self, state: State) -> Iterable[Call]:
        """Every thread that there is, whole, and one that is not."""
        yield from super().observations(state)
        for thread_id in (*sorted(state.event.threads), "nothing"):
            yield Call("get_turns", (thread_id,))

    def touches(self, call: Call) -> Iterable[Call]:
        """A write is seen in its turn and its thread, and in no other thread.

        All others are looked at after a clear, the smallest of them after an event: it is there to be quick.
        """
        yield from super().touches(call)
        threads = self.state.event.threads
        others = sorted(set(threads) - {(call.arguments or ("",))[0]}, key=lambda each: (len(threads[each].turns), each))
        if call.operation == "clear":
            yield from (Call("get_turns", (each,)) for each in (call.arguments[0], *others))
        elif call.operation in ("event.append", "finish_turn"):
            yield Call("get_turn", call.arguments[:2])
            yield Call("get_events" if call.operation == "event.append" else "get_turns", call.arguments[:1])
            yield from (Call("get_turns", (each,)) for each in others[:1])

    def append(self, thread_id: str, turn: int, event: AgentEvent, index: int = 0) -> object:
        """Append the event in an envelope that is drawn from the index."""
        envelope = AgentEventEnvelope(
            IDS[index % len(IDS)], SEQUENCES[index % len(SEQUENCES)], INSTANTS[index % len(INSTANTS)], event
        )
        return self.perform("event.append", thread_id, turn, envelope)

    @rule(drawn=mixed(THREADS, TURNS, EVENTS, ANY))
    def append_event(self, drawn: tuple[Any, ...]) -> None:
        """Append an event to a turn, whatever has become of it."""
        self.append(*drawn)

    @rule(drawn=mixed(ANY))
    def append_event_again(self, drawn: tuple[int]) -> None:
        """Append the very same envelope once more: it is stored twice, or refused."""
        earlier = [call for call in self.memory.calls if call.operation == "event.append"]
        if earlier:
            self.note("exact retry")
            self.perform("event.append", *latest(earlier, drawn[0]).arguments)

    @rule(drawn=mixed(THREADS, TURNS))
    def finish_turn(self, drawn: tuple[str, int]) -> None:
        """Finish a turn: open, finished, or not there."""
        self.perform("finish_turn", *drawn)

    @rule(drawn=mixed(THREADS, TURNS, EVENTS, EVENTS, ANY, ("late", "late", "twice", "earlier", "later", "cleared", "open")))
    def turn(self, drawn: tuple[Any, ...]) -> None:
        """A turn as a runtime writes it, and what may come after its end."""
        thread_id, turn, first, second, index, then = drawn
        self.append(thread_id, turn, first, index)
        self.append(thread_id, turn, second, index + 1)
        if then == "open":
            return
        self.perform("finish_turn", thread_id, turn)
        if then == "late":
            self.note("append to a finished turn")
            self.append(thread_id, turn, first, index)
        elif then == "twice":
            self.perform("finish_turn", thread_id, turn)
        elif then == "cleared":
            self.perform("clear", thread_id)
            self.append(thread_id, turn, second, index)
            self.perform("finish_turn", thread_id, turn)
        else:
            self.append(thread_id, max(0, turn - 1) if then == "earlier" else min(turn + 1, U64_MAX), second, index)

    @rule(drawn=mixed(THREADS, EVENTS[:4], (1, 1, 11, 13), range(4)))
    def many(self, drawn: tuple[Any, ...]) -> None:
        """More than ten turns, the last first, or events of a turn: text order is not number order.

        Not always, for it takes long, and mostly cleared again: everything that is read later reads what is left here.
        """
        thread_id, event, count, how = drawn
        for number in reversed(range(count)):
            envelope = AgentEventEnvelope(IDS[number % len(IDS)], number, INSTANTS[0], event)
            self.perform("event.append", thread_id, number if how % 2 else 4, envelope, look=False)
        self.perform("get_turns", thread_id)
        self.perform("get_events", thread_id)
        if how:
            self.perform("clear", thread_id)

    @rule(drawn=mixed((*THREADS, "nothing")))
    def clear(self, drawn: tuple[str]) -> None:
        """Clear a thread, known or not."""
        self.perform("clear", *drawn)

    @rule(drawn=mixed((*THREADS, "nothing"), TURNS, range(3)))
    def read_events(self, drawn: tuple[str, int, int]) -> None:
        """Read a turn, the turns or the events of a thread, known or not."""
        thread_id, turn, how = drawn
        if how == 0:
            self.perform("get_turn", thread_id, turn)
        else:
            self.perform(("get_turns", "get_events")[how - 1], thread_id)

    @rule(drawn=mixed(BAD_NUMBERS, BAD_TEXTS, range(6)))
    def bad_event_argument(self, drawn: tuple[object, object, int]) -> None:
        """Call with what no call of the log may accept."""
        number, text, which = drawn
        calls: tuple[tuple[object, ...], ...] = (
            ("event.append", "th", number, AgentEventEnvelope(IDS[0], 0, INSTANTS[0], EVENTS[0])),
            ("event.append", "th", 1, EVENTS[0]),
            ("finish_turn", text, 1),
            ("get_turn", "th", number),
            ("get_turns", text),
            ("clear", text),
        )
        operation, *arguments = calls[which]
        assert isinstance(self.perform(str(operation), *arguments), Refused)
