"""What a run has reached: per requirement how often it decided an answer, failed, or was answered otherwise."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from fencepost.model import Step, Why

from .situations import Answered


@dataclass
class Tally:
    """Counts of one run.

    `steps` are the calls that rules made and the moves of clock and processes, `calls` all calls that were compared, those
    that only observed too.

    `answers` are the answers that the model could decide, each once, with the class of the state that they were given in.

    `conditions` counts how often the run was in a situation that some family of faults needs to show.
    """

    steps: int = 0
    calls: int = 0
    runs: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    differs: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    conditions: Counter[str] = field(default_factory=Counter)
    answers: set[Answered] = field(default_factory=set)

    def count(self, operation: str, step: Step) -> None:
        """One call whose answer was this admissible step."""
        self.calls += 1
        self.operations[operation] += 1
        self.reached["VALUE-11"] += 1
        self.reached.update(step.because)
        self.count_all(step.details)
        for requirement in step.differs:
            self.differs[requirement] += 1

    def count_all(self, why: Why) -> None:
        """Requirements that fixed the fields of an answer."""
        for _, requirements in why:
            self.reached.update(requirements)

    def add(self, other: Tally) -> None:
        """Take the counts of another run into this one."""
        self.steps += other.steps
        self.calls += other.calls
        self.runs += other.runs
        self.reached.update(other.reached)
        self.differs.update(other.differs)
        self.operations.update(other.operations)
        self.conditions.update(other.conditions)
        self.answers |= other.answers
