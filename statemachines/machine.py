"""What all machines share: a store under check, a clock under control, and a memory of everything ever answered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from fencepost.model import State
from fencepost.spec import RuntimeCommit, SessionExecutionLease
from hypothesis.stateful import RuleBasedStateMachine

from .checker import Call, Checker, Event, Move, Violation
from .environment import Environment
from .shrink import Renaming
from .tally import Tally


@dataclass
class Setup:
    """How a machine gets its store, where it counts, and whom it tells after each run and each few steps."""

    open_store: Callable[[Environment], Any]
    directory: Path
    tally: Tally = field(default_factory=Tally)
    strict: bool = False
    progress: Callable[[Tally], None] = lambda _: None
    close_store: Callable[[Any], None] = lambda _: None


class Memory:
    """Everything that was ever answered and may be shown to the store again."""

    def __init__(self) -> None:
        self.leases: list[SessionExecutionLease] = []
        self.commits: list[RuntimeCommit] = []
        self.calls: list[Call] = []


class Machine(RuleBasedStateMachine):
    """The base of every chapter's machine: rules call `perform`, the checker compares."""

    chapter: ClassVar[str] = ""

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.setup = setup
        self.environment = Environment(setup.directory)
        self.memory = Memory()
        self.program: list[Event] = []
        self._failed = False
        self.store = setup.open_store(self.environment)
        self.checker = Checker(
            self.store,
            self.environment,
            setup.tally,
            strict=setup.strict,
            observations=self.observations,
            touches=self.touches(),
        )

    @property
    def now(self) -> int:
        """The instant of the next call."""
        return self.environment.clock.now

    @property
    def state(self) -> State:
        """The model's state."""
        return self.checker.state

    def observations(self, state: State) -> Iterable[Call]:
        """Every reading call that the chapters of this machine offer."""
        return ()

    def touches(self) -> dict[str, tuple[Call, ...]]:
        """The reads that show what a call may have touched, by operation."""
        return {}

    def perform(self, operation: str, *arguments: object, look: bool = True) -> object:
        """Make the call and compare; the answer. Without `look` nothing is read to see what it touched."""
        call = Call(operation, arguments)
        self.memory.calls.append(call)
        now = self.now
        try:
            answer = self.checker.perform(call, look=look)
        except Violation as violation:
            self._failed = True
            violation.program = (*self.program, Event(now, call))
            raise
        self.program.append(Event(now, call, answer))
        if self.setup.tally.steps % 32 == 0:
            self.setup.progress(self.setup.tally)
        return answer

    def move_process(self, method: str, *arguments: Any) -> None:
        """Change the process table, as one step of the run."""
        self.setup.tally.steps += 1
        getattr(self.environment.process_alive, method)(*arguments)
        self.program.append(Event(self.now, Move(method, arguments)))

    def replay(self, program: Sequence[Event]) -> None:
        """Do again what another run did, with the values that this run's store mints. Raises `Violation`.

        Only after the last event is looked at what it touched: that is where the program is meant to fail.
        """
        renaming = Renaming()
        for event in program:
            self.environment.clock.move_to(event.now)
            if isinstance(event.action, Move):
                self.move_process(event.action.method, *event.action.arguments)
            else:
                answer = self.perform(
                    event.action.operation, *renaming.apply(event.action.arguments), look=event is program[-1]
                )
                renaming.learn(event.answer, answer)

    def note(self, condition: str) -> None:
        """Count a situation that some family of faults needs to show."""
        self.setup.tally.conditions[condition] += 1

    def teardown(self) -> None:
        """Compare everything readable once more, and let the store go."""
        try:
            if not self._failed:
                self.checker.observe()
        except Violation as violation:
            violation.program = tuple(self.program)
            raise
        finally:
            self.setup.tally.runs += 1
            self.setup.close_store(self.store)
