"""The stores of a run: each in a directory of its own, empty at first, and what went wrong with one of them."""

from __future__ import annotations

import shutil
from typing import Any

from fencepost.statemachines.calls import Calls
from fencepost.statemachines.environment import Environment

from .backend import BackendError, Factory


class Recording:
    """Opens and closes the stores of a run; `trouble` is a sentence on what kept one from being opened or closed."""

    def __init__(self, factory: Factory, calls: Calls) -> None:
        self.trouble: str | None = None
        self._factory = factory
        self._calls = calls
        self._opened = 0
        self._environment: Environment | None = None

    def open(self, environment: Environment) -> Any:
        """A fresh store for the next example; for the environment of the last one, that store again. Raises `BackendError`."""
        if self._calls.stopped:
            raise KeyboardInterrupt
        again = environment is self._environment
        if not again:
            self._begin(environment)
        try:
            with self._calls.during(f"the factory {self._factory.name}"):
                return self._factory.open(environment, again=again)
        except BackendError as error:
            # Hypothesis tries again what raised, and may make something else of a failure that does not come back
            self.trouble = str(error)
            raise

    def close(self, store: Any) -> None:
        """Let the store go; whether it will be opened again shows later. Raises `BackendError`."""
        try:
            with self._calls.during(f"close() of the store of {self._factory.name}"):
                self._factory.close(store)
        except BackendError as error:
            self.trouble = str(error)
            raise

    def _begin(self, environment: Environment) -> None:
        """The end of one example is the beginning of the next: its files go, and there is an empty directory."""
        if self._environment is not None:
            shutil.rmtree(self._environment.directory, ignore_errors=True)
        self._opened += 1
        self._environment = environment
        environment.directory = environment.directory / str(self._opened)
        environment.directory.mkdir()
