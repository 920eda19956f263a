"""Faults in event logs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from fencepost.impl import event
from fencepost.impl.encoding import lookup
from fencepost.spec import (
    AccountPoolExhausted,
    AgentEventEnvelope,
    AppendToFinishedTurn,
    AutoRetryEnd,
    Backend,
    Json,
    Refusal,
    StoredTurnEvents,
    SubagentProgress,
    TurnAlreadyFinished,
    UnknownEvent,
)
from fencepost.spec.events import envelope_json
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, ask, bug, on_opening, per_run, reworded, wrap


def turn_key(thread_id: str, turn: int) -> str:
    """What the store finds a turn by."""
    return lookup(thread_id, str(turn))


def shown_otherwise(patch: Patch, change: Callable[[StoredTurnEvents], StoredTurnEvents]) -> None:
    """Change each turn as it is read."""
    original = event._turns
    patch.setattr(event, "_turns", lambda rows: tuple(change(each) for each in original(rows)))


def written_otherwise(patch: Patch, change: Callable[[AgentEventEnvelope], AgentEventEnvelope]) -> None:
    """Change each envelope before it is written."""
    patch.setattr(event, "envelope_json", lambda envelope: envelope_json(change(envelope)))


@bug("EVENT-8", Kind.retry, also=("EVENT-INV-3",))
def late_event_taken(patch: Patch) -> None:
    """An event for a finished turn is added to it all the same."""
    reworded(patch, event, "APPEND", "WHERE NOT turns.finished RETURNING turn_key", "RETURNING turn_key")


@bug("EVENT-16", Kind.retry)
def late_event_reopens(patch: Patch) -> None:
    """An event for a finished turn is refused, and the turn is open again."""

    def around(original: Any, store: Any, thread_id: str, turn: int, envelope: Any) -> None:
        try:
            original(store, thread_id, turn, envelope)
        except AppendToFinishedTurn:
            ask(store, "UPDATE turns SET finished = false WHERE turn_key = ?", turn_key(thread_id, turn))
            raise

    wrap(patch, "event.append", around)


@bug("VALUE-7", Kind.half, "event", also=("EVENT-12",))
def late_event_in_the_next_turn(patch: Patch) -> None:
    """An event for a finished turn is refused, and stands in the turn after it."""

    def around(original: Any, store: Any, thread_id: str, turn: int, envelope: Any) -> None:
        try:
            original(store, thread_id, turn, envelope)
        except AppendToFinishedTurn:
            if store.get_turn(thread_id, min(turn + 1, 2**63)) is None:
                original(store, thread_id, min(turn + 1, 2**63), envelope)
            raise

    wrap(patch, "event.append", around)


@bug("EVENT-9", Kind.mistaken)
def event_ids_compared(patch: Patch) -> None:
    """An event whose id stands in the turn already is taken for the same one and dropped."""

    def around(original: Any, store: Any, thread_id: str, turn: int, envelope: AgentEventEnvelope) -> None:
        known = store.get_turn(thread_id, turn)
        if known is None or known.finished or all(each.event_id != envelope.event_id for each in known.events):
            original(store, thread_id, turn, envelope)

    wrap(patch, "event.append", around)


@bug("EVENT-10", Kind.order, also=("EVENT-7",))
def ordered_by_sequence(patch: Patch) -> None:
    """The events of a turn are read in the order of their sequences."""
    shown_otherwise(patch, lambda turn: replace(turn, events=tuple(sorted(turn.events, key=lambda each: each.sequence))))


@bug("EVENT-10", Kind.order)
def ordered_by_time(patch: Patch) -> None:
    """The events of a turn are read in the order of their times."""
    shown_otherwise(patch, lambda turn: replace(turn, events=tuple(sorted(turn.events, key=lambda each: each.timestamp))))


@bug("EVENT-10", Kind.refusal)
def older_sequence_refused(patch: Patch) -> None:
    """An event whose sequence is smaller than that of the last one in its turn is refused."""

    def around(original: Any, store: Any, thread_id: str, turn: int, envelope: AgentEventEnvelope) -> None:
        known = store.get_turn(thread_id, turn)
        if known and not known.finished and known.events and envelope.sequence < known.events[-1].sequence:
            raise Backend("sequences have to grow")
        original(store, thread_id, turn, envelope)

    wrap(patch, "event.append", around)


@bug("EVENT-21", Kind.order)
def newest_event_first(patch: Patch) -> None:
    """The events of a turn are read from the last to the first."""
    shown_otherwise(patch, lambda turn: replace(turn, events=turn.events[::-1]))


@bug("EVENT-4", Kind.leak)
def turn_from_the_event(patch: Patch) -> None:
    """An event that names a turn goes to that one."""

    def around(original: Any, store: Any, thread_id: str, turn: int, envelope: AgentEventEnvelope) -> None:
        original(store, thread_id, getattr(envelope.event, "turn", turn), envelope)

    wrap(patch, "event.append", around)


@bug("EVENT-4", Kind.leak)
def thread_from_the_event(patch: Patch) -> None:
    """An event that names a thread goes to that one."""

    def around(original: Any, store: Any, thread_id: str, turn: int, envelope: AgentEventEnvelope) -> None:
        original(store, getattr(envelope.event, "thread_id", thread_id), turn, envelope)

    wrap(patch, "event.append", around)


@bug("EVENT-3", Kind.edge)
def turn_0_refused(patch: Patch) -> None:
    """Turns begin with 1: an event for turn 0 is refused."""

    def around(original: Any, store: Any, thread_id: str, turn: int, envelope: Any) -> None:
        if turn == 0:
            raise Backend("turns begin with 1")
        original(store, thread_id, turn, envelope)

    wrap(patch, "event.append", around)


@bug("EVENT-5", Kind.refusal)
def older_turn_refused(patch: Patch) -> None:
    """An event for a turn before the last one of its thread is refused."""

    def around(original: Any, store: Any, thread_id: str, turn: int, envelope: Any) -> None:
        last = ask(store, "SELECT max(turn) FROM turns WHERE thread_key = ?", lookup(thread_id))[0][0]
        known = store.get_turn(thread_id, turn)
        if last is not None and turn < last and not (known and known.finished):
            raise Backend("a later turn has begun")
        original(store, thread_id, turn, envelope)

    wrap(patch, "event.append", around)


@bug("EVENT-5", Kind.uncalled)
def earlier_turns_finished_too(patch: Patch) -> None:
    """Finishing a turn finishes all earlier turns of its thread."""

    def around(original: Any, store: Any, thread_id: str, turn: int) -> None:
        original(store, thread_id, turn)
        ask(store, "UPDATE turns SET finished = true WHERE thread_key = ? AND turn < ?", lookup(thread_id), turn)

    wrap(patch, "finish_turn", around)


@bug("EVENT-14", Kind.refusal)
def absent_turn_not_finished(patch: Patch) -> None:
    """Finishing a turn that is not there is refused."""

    def around(original: Any, store: Any, thread_id: str, turn: int) -> None:
        if store.get_turn(thread_id, turn) is None:
            raise TurnAlreadyFinished(thread_id, turn)
        original(store, thread_id, turn)

    wrap(patch, "finish_turn", around)


@bug("EVENT-14", Kind.stuck)
def absent_turn_left_absent(patch: Patch) -> None:
    """Finishing a turn that is not there does nothing."""

    def around(original: Any, store: Any, thread_id: str, turn: int) -> None:
        if store.get_turn(thread_id, turn) is not None:
            original(store, thread_id, turn)

    wrap(patch, "finish_turn", around)


@bug("EVENT-15", Kind.retry)
def second_finish_taken(patch: Patch) -> None:
    """Finishing a finished turn is answered like the first time."""
    reworded(patch, event, "FINISH", "WHERE NOT turns.finished RETURNING", "RETURNING")


@bug(
    "EVENT-13",
    Kind.lost,
    also=(
        "EVENT-1",
        "EVENT-17",
        "EVENT-INV-4",
    ),
)
def finishing_keeps_the_last_event(patch: Patch) -> None:
    """Finishing a turn keeps the last of its events alone."""

    def around(original: Any, store: Any, thread_id: str, turn: int) -> None:
        original(store, thread_id, turn)
        key = turn_key(thread_id, turn)
        ask(store, "DELETE FROM events WHERE turn_key = $1 AND place < (SELECT events FROM turns WHERE turn_key = $1)", key)
        ask(store, "UPDATE turns SET events = least(events, 1) WHERE turn_key = ?", key)

    wrap(patch, "finish_turn", around)


@bug("EVENT-20", Kind.order)
def turns_in_text_order(patch: Patch) -> None:
    """The turns of a thread are read in the order of their numbers as text."""
    reworded(patch, event, "READ_TURNS", "ORDER BY turn,", "ORDER BY turn::VARCHAR,")


@bug("EVENT-20", Kind.page)
def turns_end_at_a_page(patch: Patch) -> None:
    """The turns of a thread are read up to the tenth."""

    def around(original: Any, store: Any, thread_id: str) -> Any:
        return original(store, thread_id)[:10]

    wrap(patch, "get_turns", around)


@bug("EVENT-19", Kind.lost)
def empty_turns_left_out(patch: Patch) -> None:
    """Finished turns without events are left out of the turns of their thread."""
    reworded(patch, event, "READ_TURNS", "LEFT JOIN", "JOIN")


@bug("EVENT-22", Kind.selection, also=("EVENT-INV-1",))
def events_of_finished_turns(patch: Patch) -> None:
    """The events of a thread are those of its finished turns."""

    def around(_original: Any, store: Any, thread_id: str) -> Any:
        return tuple(chain.from_iterable(each.events for each in store.get_turns(thread_id) if each.finished))

    wrap(patch, "get_events", around)


@bug("EVENT-22", Kind.order)
def events_in_the_order_of_all_appends(patch: Patch) -> None:
    """The events of a thread are read in the order in which they came, whatever their turns."""

    def around(_original: Any, store: Any, thread_id: str) -> Any:
        rows = ask(store, "SELECT envelope FROM events WHERE thread_key = ? ORDER BY rowid", lookup(thread_id))
        return tuple(event._envelope(text) for (text,) in rows)

    wrap(patch, "get_events", around)


@bug("EVENT-26", Kind.uncalled)
def reading_opens_the_turn(patch: Patch) -> None:
    """Reading a turn that is not there makes it, without events."""

    def around(original: Any, store: Any, thread_id: str, turn: int) -> Any:
        found = original(store, thread_id, turn)
        if found is None:
            key = turn_key(thread_id, turn)
            ask(store, "INSERT INTO turns VALUES (?, ?, ?, false, 0)", key, lookup(thread_id), turn)
        return found

    wrap(patch, "get_turn", around)


@bug("EVENT-28", Kind.stuck, also=("EVENT-31",))
def finished_turns_not_cleared(patch: Patch) -> None:
    """Clearing a thread leaves its finished turns, without their events."""

    def around(original: Any, store: Any, thread_id: str) -> None:
        finished = [each.turn for each in store.get_turns(thread_id) if each.finished]
        original(store, thread_id)
        for turn in finished:
            store.finish_turn(thread_id, turn)

    wrap(patch, "clear", around)


@bug("EVENT-30", Kind.stuck)
def finished_beyond_clearing(patch: Patch) -> None:
    """A turn that was finished before its thread was cleared takes no event any more."""
    ended = per_run(lambda: set[tuple[str, int]]())

    def clear(original: Any, store: Any, thread_id: str) -> None:
        ended(store).update((thread_id, each.turn) for each in store.get_turns(thread_id) if each.finished)
        original(store, thread_id)

    def append(original: Any, store: Any, thread_id: str, turn: int, envelope: Any) -> None:
        if (thread_id, turn) in ended(store):
            raise AppendToFinishedTurn(thread_id, turn)
        original(store, thread_id, turn, envelope)

    wrap(patch, "clear", clear)
    wrap(patch, "event.append", append)


@bug("EVENT-30", Kind.stuck)
def events_not_cleared(patch: Patch) -> None:
    """Clearing a thread leaves the events of its turns: they come back when a turn is written again."""
    left = per_run(lambda: dict[tuple[str, int], tuple[AgentEventEnvelope, ...]]())

    def clear(original: Any, store: Any, thread_id: str) -> None:
        left(store).update({(thread_id, each.turn): each.events for each in store.get_turns(thread_id)})
        original(store, thread_id)

    def append(original: Any, store: Any, thread_id: str, turn: int, envelope: AgentEventEnvelope) -> None:
        for each in (*left(store).pop((thread_id, turn), ()), envelope):
            original(store, thread_id, turn, each)

    wrap(patch, "clear", clear)
    wrap(patch, "event.append", append)


@bug("EVENT-2", Kind.leak)
def cleared_by_prefix(patch: Patch) -> None:
    """Clearing a thread clears every thread whose id begins with its id."""
    known = per_run(lambda: set[str]())

    def append(original: Any, store: Any, thread_id: str, turn: int, envelope: Any) -> None:
        known(store).add(thread_id)
        original(store, thread_id, turn, envelope)

    def clear(original: Any, store: Any, thread_id: str) -> None:
        for each in {thread_id, *(name for name in known(store) if name.startswith(thread_id))}:
            original(store, each)

    wrap(patch, "event.append", append)
    wrap(patch, "clear", clear)


@bug("EVENT-29", Kind.refusal)
def unknown_thread_not_cleared(patch: Patch) -> None:
    """Clearing a thread that is not there is refused."""

    def around(original: Any, store: Any, thread_id: str) -> None:
        if not store.get_turns(thread_id):
            raise Backend("there is no such thread")
        original(store, thread_id)

    wrap(patch, "clear", around)


@bug("EVENT-46", Kind.lost)
def unknown_events_lose_keys(patch: Patch) -> None:
    """An event of an unknown type is kept by its type alone."""

    def plain(envelope: AgentEventEnvelope) -> AgentEventEnvelope:
        told = envelope.event
        return replace(envelope, event=UnknownEvent(told.type)) if isinstance(told, UnknownEvent) else envelope

    written_otherwise(patch, plain)


@bug("VALUE-8", Kind.lost, "event")
def numbers_become_floats(patch: Patch) -> None:
    """Integers in the data of a tool's result come back as floats."""

    def floating(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: floating(content) for key, content in value.items()}
        if isinstance(value, list):
            return [floating(item) for item in value]
        return float(value) if type(value) is int else value

    def change(envelope: AgentEventEnvelope) -> AgentEventEnvelope:
        result = getattr(envelope.event, "result", None)
        if result is None:
            return envelope
        return replace(
            envelope, event=replace(envelope.event, result=replace(result, data=Json(floating(result.data.value()))))
        )

    written_otherwise(patch, change)


@bug("VALUE-9", Kind.restart, "event")
def finishing_not_kept(patch: Patch) -> None:
    """That a turn with events is finished is known until the store is closed."""
    on_opening(patch, "UPDATE turns SET finished = false WHERE events > 0")


@bug("VALUE-9", Kind.restart, "event")
def order_of_events_not_kept(patch: Patch) -> None:
    """The order of the events of a turn is known until the store is closed; then it is the order of their texts."""
    on_opening(
        patch,
        """CREATE TEMP TABLE ordered AS SELECT turn_key, thread_key,
        row_number() OVER (PARTITION BY turn_key ORDER BY envelope)::UBIGINT AS place, envelope FROM events""",
        "DELETE FROM events",
        "INSERT INTO events FROM ordered",
        "DROP TABLE ordered",
    )


@bug("EVENT-6", Kind.lost)
def rare_events_not_known(patch: Patch) -> None:
    """Events of the youngest types are kept as events of a type that is not known, without their fields."""
    rare = (SubagentProgress, AccountPoolExhausted, AutoRetryEnd, Refusal)

    def append(original: Any, store: Any, thread_id: str, turn: int, envelope: AgentEventEnvelope) -> None:
        lost = replace(envelope, event=UnknownEvent("lost")) if isinstance(envelope.event, rare) else envelope
        original(store, thread_id, turn, lost)

    wrap(patch, "event.append", append)
