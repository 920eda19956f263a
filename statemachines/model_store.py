"""A store that is the model: the harness without a backend, and the base of wrappers that plant faults."""

from __future__ import annotations

import threading
from typing import Any

from fencepost.model import TRANSITIONS, Ports, Refused, State
from fencepost.spec import ProcessAlive, Stores
from fencepost.spec.operations import OPERATIONS, Operation

from .environment import Environment


class ModelStore(Stores):
    """Answers every call with the model's own step, minting values as the model does."""

    def __init__(self, environment: Environment) -> None:
        self.state = State()
        self._lock = threading.Lock()
        self._clock = environment.clock
        self._alive: ProcessAlive = environment.process_alive
        self._codec = environment.codec
        parts: dict[str, Any] = {chapter: _Part(self, chapter) for chapter in ("runtime", "event", "output")}
        vars(self).update(parts, runtime_persistence=self)

    def __getattr__(self, name: str) -> object:
        if name not in OPERATIONS:
            raise AttributeError(name)
        return lambda *arguments: self._call(OPERATIONS[name], arguments)

    def _call(self, operation: Operation, arguments: tuple[object, ...]) -> object:
        operation.refuse_invalid(arguments)
        with self._lock:
            step = TRANSITIONS[operation.name](self.state, Ports(self._clock(), self._alive, codec=self._codec), *arguments)[0]
            self.state = step.state
        if isinstance(step.answer, Refused):
            raise step.answer.error
        return step.answer


class _Part:
    """The store of one chapter of the model's stores."""

    def __init__(self, whole: ModelStore, chapter: str) -> None:
        self._whole = whole
        self._chapter = chapter

    def __getattr__(self, name: str) -> object:
        for operation in OPERATIONS.values():
            if operation.chapter == self._chapter and operation.method_name == name:
                return lambda *arguments: self._whole._call(operation, arguments)
        raise AttributeError(name)
