"""Stores whose methods have other shapes than those of the abstract stores, and a factory that gives no store."""

# ruff: noqa: D102
from __future__ import annotations

import time
from typing import Any

from faulty import Bent
from fencepost.spec import AgentEventEnvelope, Alive, AppendToFinishedTurn, EventStore, StoredTurnEvents, TurnAlreadyFinished
from fencepost.statemachines.environment import Environment


class Events(EventStore):
    """All is right, and parameters have names of their own."""

    def __init__(self) -> None:
        self._turns: dict[tuple[str, int], StoredTurnEvents] = {}

    def append(self, thread: str, number: int, event: AgentEventEnvelope) -> None:
        found = self.get_turn(thread, number) or StoredTurnEvents(number)
        if found.finished:
            raise AppendToFinishedTurn(thread, number)
        self._turns[thread, number] = StoredTurnEvents(number, (*found.events, event))

    def finish_turn(self, thread: str, number: int) -> None:
        found = self.get_turn(thread, number) or StoredTurnEvents(number)
        if found.finished:
            raise TurnAlreadyFinished(thread, number)
        self._turns[thread, number] = StoredTurnEvents(number, found.events, finished=True)

    def get_turn(self, thread: str, number: int) -> StoredTurnEvents | None:
        return self._turns.get((thread, number))

    def get_turns(self, thread: str) -> tuple[StoredTurnEvents, ...]:
        return tuple(each for (name, _), each in sorted(self._turns.items()) if name == thread)

    def clear(self, thread: str) -> None:
        for key in [each for each in self._turns if each[0] == thread]:
            del self._turns[key]


class Lies(Events):
    """Another turn is read than was asked for, which the contract forbids."""

    def get_turn(self, thread: str, number: int) -> StoredTurnEvents | None:
        found = super().get_turn(thread, number)
        return found and StoredTurnEvents(number + 1, found.events, finished=found.finished)


class Swapped(Events):
    """Two parameters have changed places."""

    def append(self, turn: int, thread_id: str, envelope: AgentEventEnvelope) -> None:  # type: ignore[override]
        super().append(thread_id, turn, envelope)


class Short(Events):
    """A parameter is not there."""

    def append(self, thread_id: str, turn: int, *, envelope: Any) -> None:  # type: ignore[override]
        super().append(thread_id, turn, envelope)


def events(_: Environment) -> Events:
    """Other names are no mistake."""
    return Events()


def lies(_: Environment) -> Events:
    """A fault is found under them."""
    return Lies()


def swapped(_: Environment) -> Events:
    """Another order is a mistake."""
    return Swapped()


def short(_: Environment) -> Events:
    """And so is another number."""
    return Short()


def a_class(_: Environment) -> type:
    """Not called."""
    return Events


def by_the_time_of_day(environment: Environment) -> Bent:
    """A store that does not ask for the time."""
    store = Bent(environment)
    setattr(store, "_clock", lambda: int(time.time() * 1_000))  # noqa: B010  # it is a `Clock`
    return store


def asking_nobody(environment: Environment) -> Bent:
    """A store to which everybody who does not show up is dead."""
    store = Bent(environment)
    setattr(store, "_alive", lambda *_: Alive.no)  # noqa: B010  # it is a `ProcessAlive`
    return store
