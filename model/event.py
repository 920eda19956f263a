"""Event logs over the whole state: the six calls of `EventStore`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from fencepost.spec import (
    AgentEvent,
    AgentEventEnvelope,
    AppendToFinishedTurn,
    Json,
    StoredTurnEvents,
    TurnAlreadyFinished,
    UnknownEvent,
)
from msgspec import Struct
from msgspec.structs import replace

from .records import event as record_level
from .records.event import Thread, Turn, TurnRecord
from .state import State, invariant
from .step import Ids, Ports, Step, Steps, Why, refused

READS = ("get_turn", "get_turns", "get_events")


def append(state: State, _ports: Ports, thread_id: str, turn: int, envelope: AgentEventEnvelope) -> Steps:
    """Add an event to a turn: EVENT-3 to EVENT-12."""
    thread = state.event.of(thread_id)
    known = thread.turns.get(turn)
    record = record_level.appended(known.record if known else None)
    if record is None:
        return refused(state, AppendToFinishedTurn(thread_id, turn), "EVENT-8", "EVENT-16", "EVENT-12", "EVENT-INV-3")
    before = known or Turn(record)
    because = (*_said(before, turn, thread_id, envelope), *_placed(state, thread, thread_id, turn, known))
    return (_changed(state, thread_id, thread.having(turn, before.plus(record, envelope)), because),)


def _said(before: Turn, turn: int, thread_id: str, envelope: AgentEventEnvelope) -> Ids:
    """What an event says, and nobody looks at."""
    event = envelope.event
    return (
        *(("EVENT-9",) if envelope.event_id in before.ids else ()),
        *(("EVENT-10",) if before.events and _goes_back(before.events[-1], envelope) else ()),
        *(("EVENT-4",) if _names_another(event, thread_id, turn) else ()),
        *(("EVENT-46",) if isinstance(event, UnknownEvent) else ()),
        *(("VALUE-8",) if _carries_json(event) else ()),
    )


def _names_another(event: AgentEvent, thread_id: str, turn: int) -> bool:
    return getattr(event, "turn", turn) != turn or getattr(event, "thread_id", thread_id) != thread_id


def _carries_json(value: object) -> bool:
    """Whether an opaque JSON value stands in the event that is more than none."""
    if isinstance(value, Struct):
        return any(_carries_json(getattr(value, each)) for each in value.__struct_fields__)
    return isinstance(value, Json) and value not in (Json(), Json({}))


def _goes_back(last: AgentEventEnvelope, envelope: AgentEventEnvelope) -> bool:
    return envelope.sequence <= last.sequence or envelope.timestamp < last.timestamp


def _placed(state: State, thread: Thread, thread_id: str, turn: int, known: Turn | None) -> Ids:
    """What the place of a write decides, besides the write."""
    new: Ids = ("EVENT-6", "EVENT-3") if known is None else ("EVENT-7", "EVENT-21")
    return (
        *(("EVENT-5",) if thread.last > turn or thread.finished else ()),
        *(("EVENT-30",) if known is None and thread_id in state.event.cleared else ()),
        *new,
        "EVENT-11",
        "EVENT-1",
        *_beside(state, thread_id),
    )


def _beside(state: State, thread_id: str) -> Ids:
    """What keeps the other threads out of it, if there are any."""
    return ("EVENT-2",) if len(state.event.threads) > (thread_id in state.event.threads) else ()


def _changed(state: State, thread_id: str, thread: Thread, because: Ids) -> Step:
    event = replace(state.event, threads=state.event.threads.set(thread_id, thread))
    # the turn is read before the events of its thread: what is wrong in these alone is wrong in how they are read
    shown: Why = (("get_turn", because), ("get_turns", because), ("get_events", ("EVENT-22", *because)))
    return Step(replace(state, event=event), None, because, (), shown)


def finish_turn(state: State, _ports: Ports, thread_id: str, turn: int) -> Steps:
    """Close a turn: EVENT-13 to EVENT-17."""
    thread = state.event.of(thread_id)
    known = thread.turns.get(turn)
    record = record_level.closed(known.record if known else None)
    if record is None:
        return refused(state, TurnAlreadyFinished(thread_id, turn), "EVENT-15", "EVENT-16", "EVENT-INV-3")
    placed = tuple(
        each
        for each in _placed(state, thread, thread_id, turn, known)
        if each not in ("EVENT-5", "EVENT-6", "EVENT-7", "EVENT-21", "EVENT-11")
    )
    beside: Ids = ("EVENT-5",) if len(thread.turns) > (turn in thread.turns) else ()
    closed: Ids = ("EVENT-13",) if known else ("EVENT-14", "EVENT-19")
    because = (*beside, *closed, *placed, "EVENT-17")
    after = replace(known, record=record) if known else Turn(record)
    return (_changed(state, thread_id, thread.having(turn, after), because),)


def _shown(turn: int, known: Turn) -> StoredTurnEvents:
    return StoredTurnEvents(turn, tuple(known.events), known.record.finished)


def _why(prefix: str, state: State, thread_id: str, turn: int, known: Turn) -> Why:
    """What fixes the fields of a turn."""
    events, again = known.events, ("EVENT-30",) if thread_id in state.event.cleared else ()
    held: Ids = (
        *again,
        *(("EVENT-9",) if len(known.ids) < len(events) else ()),
        *(("EVENT-10",) if any(_goes_back(*each) for each in pairwise(events)) else ()),
        "EVENT-21",
        *(("EVENT-4",) if any(_names_another(each.event, thread_id, turn) for each in events) else ()),
        "EVENT-INV-4",
        "VALUE-8",
    )
    return (
        (f"{prefix}events", held if events else (*again, "EVENT-19", "EVENT-INV-4")),
        (f"{prefix}finished", ("EVENT-16", "EVENT-5") if known.record.finished else (*again, "EVENT-5")),
    )


def get_turn(state: State, _ports: Ports, thread_id: str, turn: int) -> Steps:
    """One turn: EVENT-18, EVENT-19."""
    known = state.event.of(thread_id).turns.get(turn)
    if known is None:
        return (Step(state, None, ("EVENT-18", "EVENT-26", "EVENT-2")),)
    because: Ids = (*_there_because(thread_id, ((turn, known),)), "EVENT-11", "EVENT-INV-5")
    return (Step(state, _shown(turn, known), because, _why("", state, thread_id, turn, known)),)


def get_turns(state: State, _ports: Ports, thread_id: str) -> Steps:
    """All turns of a thread, by their numbers: EVENT-20."""
    turns = state.event.of(thread_id).in_order()
    why = tuple(
        entry for place, (turn, known) in enumerate(turns) for entry in _why(f"{place}.", state, thread_id, turn, known)
    )
    answer = tuple(_shown(turn, known) for turn, known in turns)
    because: Ids = ("EVENT-20", *_there_because(thread_id, turns), "EVENT-INV-2", "EVENT-26")
    return (Step(state, answer, because, (*why, ("", ("EVENT-20", "EVENT-INV-2")))),)


def _there_because(thread_id: str, turns: Iterable[tuple[int, Turn]]) -> Ids:
    """What decides that turns are there, besides that they were written."""
    elsewhere = any(_names_another(each.event, thread_id, turn) for turn, known in turns for each in known.events)
    return (
        *(("EVENT-4",) if elsewhere else ()),
        *(("EVENT-19",) if any(not known.events for _, known in turns) else ()),
    )


def get_events(state: State, _ports: Ports, thread_id: str) -> Steps:
    """All events of a thread: EVENT-22."""
    events = tuple(event for _, known in state.event.of(thread_id).in_order() for event in known.events)
    return (Step(state, events, ("EVENT-22", "EVENT-INV-1"), (("", ("EVENT-22", "EVENT-INV-1")),)),)


def clear(state: State, _ports: Ports, thread_id: str) -> Steps:
    """Remove all turns of a thread: EVENT-28 to EVENT-31."""
    if thread_id not in state.event.threads:
        return (Step(state, None, (*_beside(state, thread_id), "EVENT-29")),)
    threads = state.event.threads.delete(thread_id)
    after = replace(state, event=replace(state.event, threads=threads, cleared=state.event.cleared.set(thread_id, True)))
    because: Ids = (*_beside(state, thread_id), "EVENT-28", "EVENT-31")
    return (Step(after, None, because, (), tuple((read, because) for read in READS)),)


@invariant("EVENT-INV-3")
def finished_turns_stay(before: State, after: State) -> bool:
    """A finished turn is what it was, unless its thread was cleared."""
    return all(
        after.event.of(thread_id).turns.get(turn) == known
        for thread_id, thread in before.event.threads.items()
        if thread_id in after.event.threads
        for turn, known in thread.turns.items()
        if known.record.finished
    )


@invariant("EVENT-INV-4")
def open_turns_grow(before: State, after: State) -> bool:
    """The events of a turn are the beginning of what they become, unless its thread is cleared."""
    empty = Turn(TurnRecord(0, False))
    return all(
        after.event.of(thread_id).turns.get(turn, empty).events.begins_with(known.events)
        for thread_id, thread in before.event.threads.items()
        if thread_id in after.event.threads
        for turn, known in thread.turns.items()
    )


@invariant("EVENT-INV-5")
def turns_have_a_reason(_before: State, after: State) -> bool:
    """A turn has events or is finished, and counts its events."""
    return all(
        record_level.valid(known.record) and known.record.events == len(known.events)
        for thread in after.event.threads.values()
        for known in thread.turns.values()
    )
