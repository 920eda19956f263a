"""The stores of a run: each in an empty directory of its own, and what went wrong with one of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fencepost.statemachines.environment import Environment

from .backend import BackendError, Factory
from .interrupt import Interrupt


class Recording:
    """Opens and closes the stores of a run; `trouble` is a sentence on what kept one from being opened or closed."""

    def __init__(self, factory: Factory, interrupt: Interrupt) -> None:
        self.trouble: str | None = None
        self._factory = factory
        self._interrupt = interrupt
        self._opened = 0
        self._directory = Path()

    def open(self, environment: Environment) -> Any:
        """A fresh store for the next example. Raises `BackendError`."""
        self._interrupt.check()
        self._opened += 1
        self._directory = environment.directory = environment.directory / str(self._opened)
        self._directory.mkdir()
        try:
            return self._factory.open(environment)
        except BackendError as error:
            # Hypothesis tries again what raised, and may make something else of a failure that does not come back
            self.trouble = str(error)
            raise

    def close(self, store: Any) -> None:
        """The end of the example. Raises `BackendError`."""
        try:
            self._factory.close(store)
        except BackendError as error:
            self.trouble = str(error)
            raise
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)
