"""Stores of events and of outputs with one fault each."""

# ruff: noqa: D102 - what a method does wrong stands in the docstring of its class
from __future__ import annotations

from contextlib import suppress
from typing import Any

from fencepost.spec import AppendToFinishedTurn, OutputNotFound, OutputRef, Stores
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore


class TakesMore:
    """An event for a finished turn is taken for written."""

    def __init__(self, environment: Environment) -> None:
        self._store: Any = ModelStore(environment).event

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def append(self, thread_id: str, turn: int, envelope: object) -> None:
        with suppress(AppendToFinishedTurn):
            self._store.append(thread_id, turn, envelope)


class TakesMoreOfLongNames(TakesMore):
    """Only where the name of the thread is long, and the turn beyond what is signed."""

    def append(self, thread_id: str, turn: int, envelope: object) -> None:
        if len(thread_id) > 50 and turn >= 2**63:
            return super().append(thread_id, turn, envelope)
        self._store.append(thread_id, turn, envelope)
        return None


class OtherIds:
    """The ids are fresh, and of another form than known stores make."""

    PREFIX = "output "

    def __init__(self, environment: Environment) -> None:
        self._store: Any = ModelStore(environment).output

    def append(self, *arguments: object) -> object:
        return OutputRef(self.PREFIX + self._store.append(*arguments).value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class OthersYet(OtherIds):
    """The ids are of another form again."""

    PREFIX = "record "


class LosesTheFirst:
    """The first record is not found by its id once there is a second one."""

    def __init__(self, environment: Environment) -> None:
        self._store: Any = ModelStore(environment).output
        self._refs: list[object] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def append(self, *arguments: object) -> object:
        self._refs.append(self._store.append(*arguments))
        return self._refs[-1]

    def get(self, id: object) -> object:
        if id in self._refs[:1] and len(self._refs) > 1:
            raise OutputNotFound("gone")
        return self._store.get(id)


class FirstOfTheName:
    """The record that is found by its producer's name is the one that was appended first."""

    def __init__(self, environment: Environment) -> None:
        self._store: Any = ModelStore(environment).output
        self._first: dict[str, object] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def append(self, task_id: str, attempt: int, producer_agent: str, *event: object) -> object:
        ref = self._store.append(task_id, attempt, producer_agent, *event)
        self._first.setdefault(producer_agent, ref)
        return ref

    def get_latest_by_name(self, name: str) -> object:
        latest = self._store.get_latest_by_name(name)
        return self._store.get(self._first[name]) if name in self._first else latest


def events_and_outputs(environment: Environment) -> Stores:
    """Two stores of four."""
    model = ModelStore(environment)
    return Stores(event=model.event, output=model.output)


class RefusesTheUnknown:
    """The list of an attempt that has no records is refused."""

    def __init__(self, environment: Environment) -> None:
        self._store: Any = ModelStore(environment).output

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def list_for_attempt(self, task_id: str, attempt: int) -> object:
        found = self._store.list_for_attempt(task_id, attempt)
        if not found:
            raise OutputNotFound(task_id)
        return found


class Silent(ModelStore):
    """Every store of a runtime; no event is ever kept."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        vars(self).update(event=_Silent(self.event))


class _Silent:
    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def append(self, *_: object) -> None:
        """Keep nothing."""
