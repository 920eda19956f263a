"""The check of one chapter: its examples, as many at a time as there is time for, its twins and races, or a suite.

It ends at its first violation, which is shrunk. What fails without being a violation is told as a sentence and leaves the
chapter not evaluated.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from fencepost.spec.operations import part_of
from fencepost.statemachines.calls import LONGER, TimeIsUp
from fencepost.statemachines.checker import Violation
from fencepost.statemachines.crowds import crowded
from fencepost.statemachines.environment import Undecided
from fencepost.statemachines.machine import Setup
from fencepost.statemachines.races import raced
from fencepost.statemachines.run import Budget, machine_of, run_machine
from fencepost.statemachines.suite import run_programs
from fencepost.statemachines.tally import Tally
from fencepost.statemachines.twins import told_apart
from hypothesis.errors import Flaky

from .backend import BackendError, Factory, told
from .recording import Recording
from .result import ChapterRun, Request
from .searching.suite_file import suites
from .showing.counterexample import UNSTEADY, Counterexample, counterexample
from .watch import Watch

REPORT = "Please report it with the seed."


class Observer:
    """Is told how a run gets on; this one remembers what came of the chapters that have ended."""

    def __init__(self) -> None:
        self.ended: list[ChapterRun] = []

    def begins(self, chapter: str) -> None:
        """A chapter begins, or goes on."""

    def steps(self, tally: Tally, *, shrinking: bool) -> None:
        """A few more steps of the chapter were made, perhaps to shorten a violation that was found."""

    def ends(self, run: ChapterRun) -> None:
        """A chapter has ended."""
        self.ended.append(run)

    def lets_go(self) -> None:
        """The process is about to end."""


class ChapterCheck:
    """One chapter of a store under check."""

    def __init__(
        self,
        factory: Factory,
        request: Request,
        chapter: str,
        offered: tuple[str, ...],
        observer: Observer,
        watch: Watch,
    ) -> None:
        self.chapter = chapter
        self.tally = Tally()
        self.interrupted = False
        self.seconds = 0.0
        self._factory, self._request, self._offered = factory, request, offered
        self._observer, self._watch = observer, watch
        self._recording = Recording(factory, watch.calls)
        self._violation: Violation | None = None
        self._trouble: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether there is nothing more to find: it violates, or cannot be evaluated."""
        return self.interrupted or self._violation is not None or self._trouble is not None

    @property
    def has_begun(self) -> bool:
        """Whether anything was made of it."""
        return self.is_over or bool(self.tally.calls)

    def run(self, first: int, examples: int) -> None:
        """Run so many examples, from this number on."""
        machine = machine_of(self.chapter, self._offered)
        budget = Budget(self._request.seed, examples, self._request.steps, first)
        self._attempt(lambda setup: run_machine(machine, setup, budget))

    def tell_apart(self) -> None:
        """Meet names that look alike, wherever a call of the chapter has a name."""
        machine = machine_of(self.chapter, self._offered)
        self._attempt(lambda setup: told_apart(machine, setup))

    def crowd(self) -> None:
        """Meet more of everything that the chapter lists than there is on a page."""
        machine = machine_of(self.chapter, self._offered)
        self._attempt(lambda setup: crowded(machine, setup))

    def race(self) -> None:
        """Run the races of the chapter, on a store that declares that it can be called by several at once."""
        if "concurrent-callers" in self._factory.declares:
            self._attempt(lambda setup: raced(setup, self.chapter))

    def run_suite(self, given: str) -> None:
        """Make the calls of the sequences that a suite has for the chapter."""
        machine = machine_of(self.chapter, self._offered)
        self._attempt(lambda setup: run_programs(machine, setup, suites(given, self.chapter)))

    def was_not_begun(self, why: str) -> None:
        """What was not looked at has not passed: the sentence says why."""
        self._trouble = self._trouble or (None if self.interrupted else why)

    def ended(self) -> ChapterRun:
        """What came of it."""
        if not (self.tally.calls or self.is_over):
            self._trouble = f"Nothing was reached in chapter {self.chapter}: try {self._instead()}."
        shown, unshown = self._shown()
        run = ChapterRun(self.chapter, self.tally, self.seconds, shown, unshown or self._trouble)
        self._observer.ends(run)
        return run

    def _instead(self) -> str:
        if self._request.suite:
            return "another suite"
        return "a longer --budget" if self._request.seconds else "more --examples or --steps"

    def _attempt(self, look: Callable[[Setup], Violation | None]) -> None:
        if self.is_over:
            return
        self._observer.begins(self.chapter)
        began = time.perf_counter()
        try:
            self._violation = self._in_a_directory(look)
            if self._violation is not None and self._violation.interrupted:
                self._was_interrupted()
        except KeyboardInterrupt:
            self._was_interrupted()
        except TimeIsUp:
            pass  # whoever set the time looks at it, too
        except Flaky:
            # whatever was seen, it cannot be shown again
            self._trouble = self._recording.trouble or UNSTEADY
        except Undecided as error:
            self._trouble = f"Chapter {self.chapter} could not be decided. {error}"
        except BackendError as error:
            self._trouble = self._recording.trouble or str(error)
        except Exception as error:
            failed = f"The check of chapter {self.chapter} itself failed: it raised {told(error)}. {REPORT}"
            self._trouble = self._recording.trouble or failed
        if self._watch.pressed:
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
            setup.calls = self._watch.calls
            return look(setup)

    def _was_interrupted(self) -> None:
        """By whoever pressed Ctrl-C, or because a call did not return."""
        overdue = self._watch.overdue
        if self._watch.goes_on():
            self._trouble = f"Chapter {self.chapter} could not be evaluated: {overdue}"
        else:
            self.interrupted = True

    def _shown(self) -> tuple[Counterexample | None, str | None]:
        """The counterexample to what was found, or why there is none although something was found."""
        if self._violation is None:
            return None, None
        but = f"A violation of {self._violation.requirements[0]} was found, but"
        try:
            with self._watch.calls.during("the program of the counterexample", LONGER + len(self._violation.program)):
                return counterexample(self._factory, self.chapter, self._violation), None
        except KeyboardInterrupt:
            overdue = self._watch.overdue
            if self._watch.goes_on():
                return None, f"{but} it cannot be shown: {overdue}"
            raise
        except Exception as error:
            return None, f"{but} showing it raised {told(error)}. {REPORT}"

    def _lacking(self) -> frozenset[str]:
        """The chapters that a store of sessions has to refuse as unsupported. Raises `BackendError`."""
        return self._factory.lacks() if part_of(self.chapter) == part_of("lease") else frozenset()
