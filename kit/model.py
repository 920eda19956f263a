"""The model as a backend: a store without a fault."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from fencepost.model import State
from fencepost.statemachines.environment import CAPABILITIES, Environment
from fencepost.statemachines.model_store import ModelStore

from .marks import declares

_closed: WeakKeyDictionary[Environment, State] = WeakKeyDictionary()
"""What was in the stores that were closed, by their environments."""


@declares(*CAPABILITIES)
class Model(ModelStore):
    """The model as its own store, which can be opened again for as long as its environment is there."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._environment = environment
        self.state = _closed.get(environment, self.state)

    def close(self) -> None:
        """Keep what is in the store for the next one of the same environment."""
        _closed[self._environment] = self.state
