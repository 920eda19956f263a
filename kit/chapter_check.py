"""The check of one chapter: its examples, as many at a time as there is time for, its races, or a suite, and what came of it.

It ends at its first violation, which is shrunk. What fails without being a violation is told as a sentence and leaves the
chapter not evaluated.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fencepost.spec.operations import part_of
from fencepost.statemachines.checker import Violation
from fencepost.statemachines.environment import Undecided
from fencepost.statemachines.machine import Setup
from fencepost.statemachines.races import raced
from fencepost.statemachines.run import Budget, machine_of, run_machine
from fencepost.statemachines.suite import run_programs
from fencepost.statemachines.tally import Tally
from hypothesis.errors import Flaky

from .backend import Factory, told
from .counterexample import Counterexample, counterexample
from .interrupt import Interrupt
from .recording import Recording
from .result import ChapterRun, Request
from .suite_file import suites

UNSTEADY = (
    "The store answered differently when the same calls were made again. Expected every example to start from a fresh, "
    "empty store that takes its time from environment.clock and depends on nothing else."
)

REPORT = "Please report it with the seed."


class Observer:
    """Is told how a run gets on; this one does nothing."""

    def begins(self, chapter: str) -> None:
        """A chapter begins, or goes on."""

    def steps(self, tally: Tally, *, shrinking: bool) -> None:
        """A few more steps of the chapter were made, perhaps to shorten a violation that was found."""

    def ends(self, run: ChapterRun) -> None:
        """A chapter has ended."""


class ChapterCheck:
    """One chapter of a store under check."""

    def __init__(
        self,
        factory: Factory,
        request: Request,
        chapter: str,
        offered: tuple[str, ...],
        observer: Observer,
        interrupt: Interrupt,
    ) -> None:
        self.chapter = chapter
        self.tally = Tally()
        self.interrupted = False
        self.seconds = 0.0
        self._factory, self._request, self._offered = factory, request, offered
        self._observer, self._interrupt = observer, interrupt
        self._recording = Recording(factory, interrupt)
        self._violation: Violation | None = None
        self._trouble: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to find: it violates, or cannot be evaluated."""
        return self.interrupted or self._violation is not None or self._trouble is not None

    def run(self, first: int, examples: int) -> None:
        """Run so many examples, from this number on."""
        self._observer.begins(self.chapter)
        machine = machine_of(self.chapter, self._offered)
        budget = Budget(self._request.seed, examples, self._request.steps, first)
        self._attempt(lambda setup: run_machine(machine, setup, budget))

    def race(self) -> None:
        """Run the races of the chapter, on a store that declares that it can be called by several at once."""
        if "concurrent-callers" in self._factory.declares:
            self._attempt(lambda setup: raced(setup, self.chapter))

    def run_suite(self, given: str) -> None:
        """Make the calls of the sequences that a suite has for the chapter."""
        self._observer.begins(self.chapter)
        machine = machine_of(self.chapter, self._offered)
        self._attempt(lambda setup: run_programs(machine, setup, suites(given, self.chapter)))

    def was_not_begun(self, why: str) -> None:
        """What was not looked at has not passed: the sentence says why."""
        self._trouble = self._trouble or (None if self.interrupted else why)

    def ended(self) -> ChapterRun:
        """What came of it."""
        if not (self.tally.calls or self.is_over):
            instead = "another suite" if self._request.suite else "more --examples or --steps"
            self._trouble = f"Nothing was reached in chapter {self.chapter}: try {instead}."
        shown, unshown = _shown(self._factory, self.chapter, self._violation)
        run = ChapterRun(self.chapter, self.tally, self.seconds, shown, unshown or self._trouble)
        self._observer.ends(run)
        return run

    def _attempt(self, look: Callable[[Setup], Violation | None]) -> None:
        if self.is_over:
            return
        began = time.perf_counter()
        try:
            self._violation = self._in_a_directory(look)
            self.interrupted = self._violation is not None and self._violation.interrupted
        except KeyboardInterrupt:
            self.interrupted = True
        except Flaky:
            # whatever was seen, it cannot be shown again
            self._trouble = self._recording.trouble or UNSTEADY
        except Undecided as error:
            self._trouble = f"Chapter {self.chapter} could not be decided. {error}"
        except Exception as error:
            failed = f"The check of chapter {self.chapter} itself failed: it raised {told(error)}. {REPORT}"
            self._trouble = self._recording.trouble or failed
        if self._interrupt.pressed:
            # whatever else came of it, it was the user who ended the run
            self.interrupted, self._trouble = True, None
        self.seconds += time.perf_counter() - began

    def _in_a_directory(self, look: Callable[[Setup], Violation | None]) -> Violation | None:
        def progress(current: Tally) -> None:
            self._observer.steps(self.tally, shrinking=current is not self.tally)

        recording, declared = self._recording, frozenset(self._factory.declares)
        with tempfile.TemporaryDirectory(prefix="fencepost-", ignore_cleanup_errors=True) as directory:
            setup = Setup(recording.open, Path(directory), self.tally, self._request.strict, progress, recording.close)
            setup.declared, setup.lacking = declared, self._lacking()
            return look(setup)

    def _lacking(self) -> frozenset[str]:
        """The chapters that a store of sessions has to refuse as unsupported. Raises `BackendError`."""
        return self._factory.lacks() if part_of(self.chapter) == part_of("lease") else frozenset()


def _shown(factory: Factory, chapter: str, violation: Violation | None) -> tuple[Counterexample | None, str | None]:
    """The counterexample to what was found, or why there is none although something was found."""
    if violation is None:
        return None, None
    try:
        return counterexample(factory, chapter, violation), None
    except Exception as error:
        failed = violation.requirements[0]
        return None, f"A violation of {failed} was found, but showing it raised {told(error)}. {REPORT}"
