"""What the model made of a counterexample: its state before and after each call, and what decided the answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fencepost.model import Ids, Refused, State, Step
from fencepost.statemachines.checker import Checker, Crash, Move, Violation
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.tally import Tally

from .script import Script


class Moment(NamedTuple):
    """The model's state before and after a call, and the requirements that decided its answer.

    After the call that was answered wrongly it is the state that the right answer would have led to.
    """

    before: State
    after: State
    because: Ids


def moments(script: Script, *, strict: bool = False) -> Iterator[Moment]:
    """The moment of each call of the script, from the answers that were given."""
    environment, noted, told = Environment(Path()), _Noted(), _Told()
    checker = Checker(told, environment, noted, strict=strict)
    for line in script:
        for event in line.moves:
            if isinstance(event.action, Move) and event.action.method != "reopen":
                getattr(environment.process_alive, event.action.method)(*event.action.arguments)
        environment.clock.move_to(line.performed.now)
        told.answer, before = line.performed.answer, checker.state
        try:
            checker.perform(line.performed.call, look=False)
            yield Moment(before, checker.state, noted.because)
        except Violation as violation:
            yield Moment(before, violation.admissible[0].state, violation.admissible[0].because)


class _Noted(Tally):
    """Remembers what decided the last answer."""

    because: Ids = ()

    def count(self, operation: str, step: Step) -> None:
        self.because = step.because


class _Told:
    """A store that gives to every call the answer it is told to."""

    answer: object = None

    def __getattr__(self, name: str) -> Any:
        return self._given

    def _given(self, *_: object) -> object:
        if isinstance(self.answer, Refused):
            raise self.answer.error
        if isinstance(self.answer, Crash):
            raise self.answer.error
        return self.answer
