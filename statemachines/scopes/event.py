"""The event log in small: a part is a thread, and shows other threads no more than that it is there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from fencepost.model import State
from fencepost.model.records.event import EventState, Thread
from fencepost.spec import AgentEventEnvelope, Json, Start, TextDelta, UnknownEvent
from immutables import Map
from msgspec.structs import replace

from ..checker import Call
from ..scope import Attempt, Bounds, Instant, Scope

TURNS = (1, 2)
FIRST, SECOND = (UUID(f"00000000-0000-4000-8000-00000000000{digit}") for digit in "01")
ENVELOPES = (
    AgentEventEnvelope(FIRST, 1, "2026-01-01T00:00:01Z", TextDelta("m", "piece")),
    # earlier than the first, of another turn and thread, and of no type that is known
    AgentEventEnvelope(SECOND, 0, "2026-01-01T00:00:00Z", Start("elsewhere", 99)),
    AgentEventEnvelope(FIRST, 2, "2026-01-01T00:00:02Z", UnknownEvent("from_the_future", Json({"n": [1, 1.0]}))),
)


class EventScope(Scope):
    """Every envelope to every turn, turns finished and read, threads cleared."""

    chapter = "event"
    default = Bounds(sessions=2, rows=2)
    suite = Bounds(sessions=1, rows=1)
    uses = ("sessions", "rows")
    alike = True

    def __init__(self, bounds: Bounds | None = None, *, canonical: bool = True) -> None:
        super().__init__(bounds, canonical=canonical)
        self.names = tuple(f"th{number}" for number in range(1, self.bounds.sessions + 1))

    def within(self, part: State, place: int) -> bool:
        """So many events in a thread."""
        return sum(turn.record.events for turn in part.event.of(self.names[place]).turns.values()) <= self.bounds.rows

    def joined(self, parts: Sequence[State]) -> State:
        """All threads in one log."""
        threads = {name: thread for part in parts for name, thread in part.event.threads.items()}
        cleared = {name: True for part in parts for name in part.event.cleared}
        return State(event=EventState(Map(threads), Map(cleared)))

    def part(self, whole: State, place: int) -> State:
        """One thread."""
        name, log = self.names[place], whole.event
        threads = {each: thread for each, thread in log.threads.items() if each == name}
        cleared = {each: True for each in log.cleared if each == name}
        return replace(whole, event=EventState(Map(threads), Map(cleared)))

    def shadow(self, part: State, place: int) -> State:
        """Whether the thread is there."""
        return State(event=EventState(Map({name: Thread() for name in part.event.threads})))

    def attempts(self, part: State, place: int, instant: Instant) -> Iterable[Attempt]:
        """All six calls."""
        name = self.names[place]
        for turn in TURNS:
            yield from (Attempt(Call("event.append", (name, turn, envelope))) for envelope in ENVELOPES)
            yield Attempt(Call("finish_turn", (name, turn)))
            yield Attempt(Call("get_turn", (name, turn)))
        yield from (Attempt(Call(operation, (name,))) for operation in ("get_turns", "get_events", "clear"))

    def situation(self, state: State, name: str, now: int) -> str:
        """How the turns of the thread stand."""
        turns = state.event.of(name).in_order()
        said = [
            f"turn {turn} {'finished' if known.record.finished else 'open'}{'' if known.events else ', empty'}"
            for turn, known in turns
        ]
        return ", ".join(said) or ("cleared" if name in state.event.cleared else "no thread")
