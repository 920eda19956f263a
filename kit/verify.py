"""Runs: the chosen chapters one after the other, each with so many examples or a suite, or all by turns for so long.

The next chapter begins whatever came of the one before.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import takewhile

from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.run import CHAPTERS, uses
from fencepost.statemachines.tally import Tally

from .backend import READ_BACK, BackendError, Factory
from .chapter_check import ChapterCheck, Observer
from .result import ChapterRun, Request, Result, judge, reachable, scope
from .watch import Watch

__all__ = ["EXAMPLES", "STEPS", "Observer", "offered_by", "operations_of", "verify"]

EXAMPLES = 40
"""Examples a chapter, unless told otherwise: with `STEPS` about 48,000 steps in all."""

STEPS = 50
"""Steps an example, at most."""


def verify(factory: Factory, request: Request, observer: Observer | None = None, watch: Watch | None = None) -> Result:
    """Hold the store against the model. Unless it is time that is limited, the same seed gives the same result.

    Raises `BackendError` if the factory cannot even open one store, or gives none that a suite can be run on.
    """
    if request.suite is not None:
        _require_clock(factory)
    offered = offered_by(request.offered or request.chapters)
    factory.require_declared(offered)
    observer = observer or Observer()
    with watch or Watch() as watching:
        with watching.telling(), watching.calls.during(f"the factory {factory.name}"):
            factory.require(operations_of(request.offered or request.chapters))
        checks = [ChapterCheck(factory, request, chapter, offered, observer, watching) for chapter in request.chapters]
        if request.seconds:
            watching.calls.until = time.monotonic() + request.seconds
            runs = by_turns(checks, watching.calls.until, request, factory.declares)
        else:
            runs = one_after_the_other(checks, request)
    interrupted = watching.pressed or any(check.interrupted for check in checks)
    result = of_runs(request, runs, factory.declares, interrupted=interrupted)
    return replace(result, interrupted_in=watching.interrupted_in)


def _require_clock(factory: Factory) -> None:
    """Raise `BackendError` for a store that goes by the time of day: what a suite covers depends on its instants."""
    if "controlled-clock" not in factory.declares:
        raise BackendError(
            f"The factory {factory.name} declares no controlled clock, and a suite says for each call at which instant it is "
            "made. Expected a store that takes its time from environment.clock; without --suite time of day will do."
        )


def of_runs(request: Request, runs: Sequence[ChapterRun], declares: Collection[str], *, interrupted: bool) -> Result:
    """The result of these runs, for a store that declares these capabilities."""
    whole = Tally()
    for run in runs:
        whole.add(run.tally)
    found = [run.counterexample for run in runs if run.counterexample]
    return Result(request, tuple(runs), judge(request.chapters, whole, found, declares), interrupted)


def stuck(request: Request, ended: Sequence[ChapterRun], declares: Collection[str], sentence: str) -> Result:
    """The result of a run that came no farther than the chapters that had ended, for the reason in the sentence."""
    begun = {run.chapter for run in ended}
    others = [ChapterRun(each, Tally(), 0.0, trouble=sentence) for each in request.chapters if each not in begun]
    return of_runs(request, [*ended, *others], declares, interrupted=False)


def one_after_the_other(checks: Sequence[ChapterCheck], request: Request) -> list[ChapterRun]:
    """Give every chapter all its examples, or its sequences of the suite.

    Each has one example before any has more: what is plainly broken shows soon, in whatever chapter it is.
    """
    ends = _Ends(checks)
    if request.suite is None:
        for check in ends.going():
            check.run(0, 1)
    for check in ends.going():
        if request.suite is None:
            check.run(1, request.examples - 1)
            check.tell_apart()
            check.crowd()
            check.race()
        else:
            check.run_suite(request.suite)
        if not check.interrupted:
            ends.end(check)
    return ends.runs()


def by_turns(checks: Sequence[ChapterCheck], until: float, request: Request, declares: Collection[str]) -> list[ChapterRun]:
    """Give every chapter an example, its twins, crowds and races; then the one that needs it most another, in the time left."""
    ends, unbegun = _Ends(checks), list(checks)

    def in_time(going: Iterable[ChapterCheck]) -> Iterator[ChapterCheck]:
        return takewhile(lambda _: time.monotonic() < until, going)

    for check in in_time(ends.going()):
        unbegun.remove(check)
        check.run(0, 1)
    for look in (ChapterCheck.tell_apart, ChapterCheck.crowd, ChapterCheck.race):
        for check in in_time(ends.going()):
            look(check)
    turns = {each: _Turn(each, declares) for each in checks}
    while going := list(in_time(ends.going())):
        turns[max(going, key=lambda each: turns[each].need(checks))].take()
    for check in unbegun:
        named = ", ".join(each.chapter for each in unbegun)
        check.was_not_begun(f"The {request.seconds:g} s were over before {named} began: give more, or choose fewer chapters.")
    return [ends.end(each) for each in checks]


class _Ends:
    """What came of chapters: each is ended, and told of, as soon as there is nothing more to find in it."""

    def __init__(self, checks: Sequence[ChapterCheck]) -> None:
        self._checks = checks
        self._ended: dict[str, ChapterRun] = {}

    def going(self) -> Iterator[ChapterCheck]:
        """The chapters in which there is something to find, one after the other, until one is interrupted."""
        for check in self._checks:
            if any(each.interrupted for each in self._checks):
                return
            if not check.is_over:
                yield check
            if check.is_over:
                self.end(check)

    def end(self, check: ChapterCheck) -> ChapterRun:
        """What came of the chapter, which is told once."""
        if check.chapter not in self._ended:
            self._ended[check.chapter] = check.ended()
        return self._ended[check.chapter]

    def runs(self) -> list[ChapterRun]:
        """What came of the chapters that have begun."""
        return [self.end(each) for each in self._checks if each.has_begun]


class _Turn:
    """A chapter among others that want to go on: what it still misses, and how long it has found nothing new."""

    def __init__(self, check: ChapterCheck, declares: Collection[str]) -> None:
        self.check = check
        self._wanted = [each.id for each in scope((check.chapter,)) if reachable(each, declares)]
        self._next = 1
        self._barren = 0

    def need(self, checks: Iterable[ChapterCheck]) -> float:
        """The more of its requirements were rarely reached, by whatever chapter, the more; the longer in vain, the less."""
        counts = [sum(each.tally.reached[wanted] for each in checks) for wanted in self._wanted]
        return sum(1 / (1 + count) for count in counts) / (1 + self._barren)

    def take(self) -> None:
        """Run its next example."""
        before = self._reached()
        self.check.run(self._next, 1)
        self._next += 1
        self._barren = 0 if self._reached() > before else self._barren + 1

    def _reached(self) -> int:
        return sum(self.check.tally.reached[wanted] > 0 for wanted in self._wanted)


def offered_by(chapters: Iterable[str]) -> tuple[str, ...]:
    """The chapters that a store has to offer to be checked for these: they, and those that they cannot do without."""
    needed = {each for chapter in chapters for each in uses(chapter, ())}
    return tuple(each for each in CHAPTERS if each in needed)


def operations_of(chapters: Collection[str]) -> tuple[str, ...]:
    """The calls that a run of these chapters makes: those of all chapters it uses; and commits are read back."""
    offered = offered_by(chapters)
    used = {each for chapter in chapters for each in uses(chapter, offered)}
    read_back = set(READ_BACK) if "commit" in used else set()
    return tuple(name for name, each in OPERATIONS.items() if each.chapter in used or name in read_back)
