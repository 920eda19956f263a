"""What a run leaves behind for its counterexample: moves of processes, and every violation that was seen."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

from fencepost.statemachines.checker import Violation
from fencepost.statemachines.environment import Environment, Processes
from fencepost.statemachines.machine import Machine
from fencepost.statemachines.tally import Tally

from .backend import BackendError, Factory


class Move(NamedTuple):
    """A change of the process table, after that many calls of the example."""

    after: int
    method: str
    arguments: tuple[object, ...]


class Found(NamedTuple):
    """A violation with the moves that led to it."""

    violation: Violation
    moves: tuple[Move, ...]


class Recording:
    """Opens the stores of a run, each in an empty directory of its own, and remembers what happened around them."""

    def __init__(self, factory: Factory) -> None:
        self.tally = Tally()
        self.found: Found | None = None
        self.steps_until_found = 0
        self.trouble: str | None = None
        self._factory = factory
        self._seen: list[Found] = []
        self._moves: list[Move] = []
        self._calls_before = 0
        self._opened = 0
        self._directory = Path()

    def open(self, environment: Environment) -> Any:
        """A fresh store for the next example. Raises `BackendError`."""
        self._moves = []
        self._calls_before = self.tally.calls
        self._opened += 1
        self._directory = environment.directory = environment.directory / str(self._opened)
        self._directory.mkdir()
        environment.process_alive = _RecordedProcesses(self)
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

    def moved(self, method: str, *arguments: object) -> None:
        """Note a move of the process table."""
        self._moves.append(Move(self.tally.calls - self._calls_before, method, arguments))

    def violated(self, violation: Violation) -> None:
        """Note a violation; of all that a run sees, the one with the fewest calls is kept, should the run be cut short."""
        if self.found is None:
            self.steps_until_found = self.tally.steps
        self._seen.append(Found(violation, tuple(self._moves)))
        self.found = min(self._seen, key=lambda found: len(found.violation.performed))

    def ended_with(self, violation: Violation) -> None:
        """The run ended with this violation, the shortest of those it saw."""
        self.found = next((found for found in self._seen if found.violation is violation), self.found)


class _RecordedProcesses(Processes):
    def __init__(self, recording: Recording) -> None:
        super().__init__()
        self._recording = recording

    def start(self, pid: int, process_start: str) -> None:
        self._recording.moved("start", pid, process_start)
        super().start(pid, process_start)

    def stop(self, pid: int) -> None:
        self._recording.moved("stop", pid)
        super().stop(pid)

    def hide(self, pid: int) -> None:
        self._recording.moved("hide", pid)
        super().hide(pid)


def watched(machine: type[Machine], recording: Recording) -> type[Machine]:
    """The machine, telling the recording of each violation it meets, those during shrinking too."""

    class Watched(machine):  # type: ignore[misc, valid-type]  # the base is a parameter
        def perform(self, operation: str, *arguments: object, **options: Any) -> object:
            try:
                return super().perform(operation, *arguments, **options)
            except Violation as violation:
                recording.violated(violation)
                raise

        def teardown(self) -> None:
            try:
                super().teardown()
            except Violation as violation:
                recording.violated(violation)
                raise

    return Watched
