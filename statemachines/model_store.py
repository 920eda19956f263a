"""A store that is the model: the harness without a backend, and the base of wrappers that plant faults."""

from __future__ import annotations

from fencepost.model import TRANSITIONS, Ports, Refused, State
from fencepost.spec import ProcessAlive
from fencepost.spec.operations import OPERATIONS

from .environment import Environment


class ModelStore:
    """Answers every call with the model's own step, minting values as the model does."""

    def __init__(self, environment: Environment) -> None:
        self.state = State()
        self._clock = environment.clock
        self._alive: ProcessAlive = environment.process_alive

    def __getattr__(self, operation: str) -> object:
        if operation not in TRANSITIONS:
            raise AttributeError(operation)
        transition = TRANSITIONS[operation]

        def call(*arguments: object) -> object:
            OPERATIONS[operation].refuse_invalid(arguments)
            step = transition(self.state, Ports(self._clock(), self._alive), *arguments)[0]
            self.state = step.state
            if isinstance(step.answer, Refused):
                raise step.answer.error
            return step.answer

        return call
