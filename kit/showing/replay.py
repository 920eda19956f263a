"""A trace run again: the same calls on a fresh store, each held against the model.

What counts is what the model admits now, not what was answered then. Values that the store mints are carried over: what stood
for the lease, the claim or the input that some call answered stands for what the same call answers now.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from fencepost.model import Refused
from fencepost.statemachines.calls import Calls
from fencepost.statemachines.checker import EMPTY, REOPEN, Call, Checker, Crash, Event, Move, Violation
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.minted import Renaming
from fencepost.statemachines.shrink import fields_of, grounded
from fencepost.statemachines.tally import Tally

from ..backend import BackendError, Factory, fresh_environment
from ..watch import Watch
from .trace import Trace


class Outcome(enum.Enum):
    """What became of the recorded violation."""

    reproduced = "REPRODUCED"
    """The last call was answered wrongly, as it was then."""
    another = "ANOTHER VIOLATION"
    """A call was answered wrongly, but another one, or in another way."""
    gone = "GONE"
    """Every call was answered as the model admits."""

    @property
    def exit_code(self) -> int:
        """0 for what is gone, 1 for any violation."""
        return 0 if self is Outcome.gone else 1


@dataclass(frozen=True)
class Replayed:
    """What a trace came to: the violation, if there was one, and the number of the event, from 1, that it was seen at."""

    trace: Trace
    number: int
    violation: Violation | None = None

    @property
    def is_last(self) -> bool:
        """Whether it came to the last event."""
        return self.number == len(self.trace.events)

    @property
    def outcome(self) -> Outcome:
        """What became of the recorded violation."""
        if self.violation is None:
            return Outcome.gone
        return Outcome.reproduced if self.is_last and self._is_alike(self.violation) else Outcome.another

    def _is_alike(self, violation: Violation) -> bool:
        """Whether the answer is wrong as it was then: of the same wrong kind, or in the same field."""
        given, then = violation.performed[-1].answer, self.trace.events[-1].answer
        return _kind(given) == _kind(then) and fields_of(violation.path) == fields_of(self.trace.path)


def replay(factory: Factory, trace: Trace, watch: Watch | None = None) -> Replayed:
    """Run the trace on a fresh store of the factory, up to the first answer that the model does not admit.

    Raises `BackendError` for a store that cannot be asked, whose call is overdue for the watch, or on which the recorded
    situation does not come about.
    """
    with watch or Watch() as watching, watching.telling():
        return _replayed(factory, trace, watching.calls)


def _replayed(factory: Factory, trace: Trace, in_progress: Calls) -> Replayed:
    calls = [event.action.operation for event in trace.events if isinstance(event.action, Call)]
    opening = f"the factory {factory.name}"
    with in_progress.during(opening):
        factory.require(tuple(dict.fromkeys(calls)), by="the trace")
    if any(event.action == REOPEN for event in trace.events) and not factory.reopens:
        raise BackendError(
            f"The trace closes its store and opens it again, and {factory.name} does not say that its store can be. "
            "Expected a factory that declares `reopen`."
        )
    with fresh_environment(factory.declares) as environment:
        with in_progress.during(opening):
            store = factory.open(environment)
        checker = Checker(store, environment, Tally(), strict=trace.strict, calls=in_progress)
        try:
            return _run(factory, checker, environment, trace)
        finally:
            _close(factory, checker)


def _run(factory: Factory, checker: Checker, environment: Environment, trace: Trace) -> Replayed:
    renaming, done = Renaming(), list[Event]()
    for number, event in enumerate(trace.events, 1):
        environment.clock.move_to(event.now - trace.ahead + environment.clock.ahead)
        if isinstance(event.action, Move):
            _move(factory, checker, environment, event.action)
            continue
        call = Call(event.action.operation, renaming.apply(event.action.arguments))
        try:
            answer = checker.perform(call, look=False)
        except Violation as violation:
            return Replayed(trace, number, violation)
        renaming.learn(event.answer, answer)
        done.append(Event(event.now, call, answer))
    if not grounded(tuple(done), trace.events):
        raise BackendError(
            f"The store of {factory.name} answered a call otherwise than the recorded one, as it may, and so granted nothing "
            "that a later call could show: the recorded situation did not come about, and nothing can be said of it."
        )
    return Replayed(trace, len(trace.events))


def _move(factory: Factory, checker: Checker, environment: Environment, move: Move) -> None:
    if move.is_of_process:
        getattr(environment.process_alive, move.method)(*move.arguments)
    elif move == EMPTY:
        checker.empty()
    else:
        _reopen(factory, checker, environment)


def _reopen(factory: Factory, checker: Checker, environment: Environment) -> None:
    _close(factory, checker)
    with checker.calls.during(f"the factory {factory.name}"):
        checker.store = factory.open(environment, again=True)


def _close(factory: Factory, checker: Checker) -> None:
    with checker.calls.during(f"close() of the store of {factory.name}"):
        factory.close(checker.store)


def _kind(answer: object) -> str:
    """What kind of answer it is; all that is no answer is of one kind."""
    if isinstance(answer, Crash):
        return "crash"
    return type(answer.error if isinstance(answer, Refused) else answer).__name__
