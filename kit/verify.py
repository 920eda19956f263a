"""Runs: the chosen chapters one after the other, each with its budget, and what came of them.

A chapter ends at its first violation, which is shrunk; the next chapter begins all the same. What fails without being a
violation is told as a sentence and leaves its chapter not evaluated.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Iterable
from pathlib import Path

from fencepost.spec.operations import OPERATIONS, part_of
from fencepost.statemachines.checker import Violation
from fencepost.statemachines.environment import Undecided
from fencepost.statemachines.machine import Setup
from fencepost.statemachines.races import raced
from fencepost.statemachines.run import CHAPTERS, Budget, machine_of, run_machine, uses
from fencepost.statemachines.tally import Tally
from hypothesis.errors import Flaky

from .backend import Factory, told
from .counterexample import Counterexample, counterexample
from .interrupt import Interrupt
from .recording import Recording
from .result import ChapterRun, Request, Result, judge

EXAMPLES = 25
"""Examples a chapter, unless told otherwise: with `STEPS` about 28,000 steps in all."""

STEPS = 50
"""Steps an example, at most."""

UNSTEADY = (
    "The store answered differently when the same calls were made again. Expected every example to start from a fresh, "
    "empty store that takes its time from environment.clock and depends on nothing else."
)

REPORT = "Please report it with the seed."


class Observer:
    """Is told how a run gets on; this one does nothing."""

    def begins(self, chapter: str) -> None:
        """A chapter begins."""

    def steps(self, tally: Tally, *, shrinking: bool) -> None:
        """A few more steps of the chapter were made, perhaps to shorten a violation that was found."""

    def ends(self, run: ChapterRun) -> None:
        """A chapter has ended."""


def verify(factory: Factory, request: Request, observer: Observer | None = None) -> Result:
    """Hold the store against the model. The same seed gives the same result, but for the time it takes.

    Raises `BackendError` if the factory cannot even open one store.
    """
    factory.require_declared(offered_by(request.offered or request.chapters))
    factory.require(operations_of(request.offered or request.chapters))
    observer = observer or Observer()
    runs: list[ChapterRun] = []
    interrupted = False
    with Interrupt() as interrupt:
        for chapter in request.chapters:
            observer.begins(chapter)
            run, interrupted = _chapter(factory, request, chapter, observer, interrupt)
            observer.ends(run)
            runs.append(run)
            if interrupted:
                break
    whole = Tally()
    for run in runs:
        whole.add(run.tally)
    found = [run.counterexample for run in runs if run.counterexample]
    judged = judge(request.chapters, whole, found, factory.declares)
    return Result(request, tuple(runs), judged, interrupted)


def offered_by(chapters: Iterable[str]) -> tuple[str, ...]:
    """The chapters that a store has to offer to be checked for these: they, and those that they cannot do without."""
    needed = {each for chapter in chapters for each in uses(chapter, ())}
    return tuple(each for each in CHAPTERS if each in needed)


def operations_of(chapters: Collection[str]) -> tuple[str, ...]:
    """The calls that a run of these chapters makes: those of all chapters it uses; and commits are read back."""
    offered = offered_by(chapters)
    used = {each for chapter in chapters for each in uses(chapter, offered)}
    read_back = {"load_session"} if "commit" in used else set()
    return tuple(name for name, each in OPERATIONS.items() if each.chapter in used or name in read_back)


def lacking(factory: Factory, chapter: str) -> frozenset[str]:
    """The chapters that the store of this one has to refuse as unsupported. Raises `BackendError`."""
    return factory.lacks() if part_of(chapter) == part_of("lease") else frozenset()


def _chapter(
    factory: Factory, request: Request, chapter: str, observer: Observer, interrupt: Interrupt
) -> tuple[ChapterRun, bool]:
    """The run of one chapter, and whether it was interrupted."""
    recording, tally, began = Recording(factory, interrupt), Tally(), time.perf_counter()
    violation, trouble, interrupted = None, None, False
    try:
        violation = _drive(recording, tally, request, chapter, observer, factory)
        interrupted = violation is not None and violation.interrupted
    except KeyboardInterrupt:
        interrupted = True
    except Flaky:
        # whatever was seen, it cannot be shown again
        trouble = recording.trouble or UNSTEADY
    except Undecided as error:
        trouble = f"Chapter {chapter} could not be decided. {error}"
    except Exception as error:
        failed = f"The check of chapter {chapter} itself failed: it raised {told(error)}. {REPORT}"
        trouble = recording.trouble or failed
    if interrupt.pressed:
        # whatever else came of it, it was the user who ended the run
        interrupted, trouble = True, None
    if not (tally.calls or violation or trouble or interrupted):
        trouble = f"Nothing was reached in chapter {chapter}: try more --examples or --steps."
    seconds = time.perf_counter() - began
    shown, unshown = _shown(factory, chapter, violation)
    return ChapterRun(chapter, tally, seconds, shown, unshown or trouble), interrupted


def _shown(factory: Factory, chapter: str, violation: Violation | None) -> tuple[Counterexample | None, str | None]:
    """The counterexample to what was found, or why there is none although something was found."""
    if violation is None:
        return None, None
    try:
        return counterexample(factory, chapter, violation), None
    except Exception as error:
        failed = violation.requirements[0]
        return None, f"A violation of {failed} was found, but showing it raised {told(error)}. {REPORT}"


def _drive(
    recording: Recording, tally: Tally, request: Request, chapter: str, observer: Observer, factory: Factory
) -> Violation | None:
    """Run the chapter's machine; what it found, shrunk."""

    def progress(current: Tally) -> None:
        observer.steps(tally, shrinking=current is not tally)

    with tempfile.TemporaryDirectory(prefix="fencepost-", ignore_cleanup_errors=True) as directory:
        setup = Setup(recording.open, Path(directory), tally, request.strict, progress, recording.close)
        setup.declared, setup.lacking = frozenset(factory.declares), lacking(factory, chapter)
        machine = machine_of(chapter, offered_by(request.offered or request.chapters))
        violation = run_machine(machine, setup, Budget(request.seed, request.examples, request.steps))
        if violation is None and "concurrent-callers" in setup.declared:
            violation = raced(setup, chapter)
        return violation
