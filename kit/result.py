"""What a run found: one verdict, and one status for every requirement of its chapters.

Unknown is never a pass: a requirement that no step reached is listed, with the reason, and never counted as passed.
"""

from __future__ import annotations

import enum
import shlex
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from fencepost.spec.catalogue import Level, Requirement, requirements
from fencepost.statemachines.rivals import RACES
from fencepost.statemachines.tally import Tally

from .backend import ANSWER_S, command_of
from .coverage import Coverage, coverage
from .showing.counterexample import Counterexample


class Verdict(enum.Enum):
    """How a run ends."""

    conforms = "conforms"
    violates = "violates"
    not_evaluated = "could not be evaluated"

    @property
    def exit_code(self) -> int:
        """0, 1, 2."""
        return list(Verdict).index(self)


class Status(enum.Enum):
    """What became of one requirement."""

    passed = "passed"
    """It decided answers, and all of them were right."""
    failed = "failed"
    """A violation names it first."""
    differs = "differs"
    """The store answered otherwise where the requirement, a CURRENT one, leaves it free."""
    not_reached = "not reached"
    """No step could show it, or none happened to: the reason says which."""
    not_declared = "not declared"
    """It binds only a store that declares a capability."""


UNSEEN = "Not seen through the protocol: "
UNBEGUN = "The run could not begin."
MISSED = "No step of this run came into its situation; more examples, more steps, other chapters or capabilities may."


@dataclass(frozen=True)
class Judged:
    """One requirement after a run: how many answers it decided, how many departed from it, and why it was not reached.

    `in_question` tells that a violation named it after another one: it may or may not be at fault, and its status stands.
    """

    requirement: Requirement
    status: Status
    count: int
    departures: int = 0
    reason: str | None = None
    in_question: bool = False


@dataclass(frozen=True)
class ChapterRun:
    """The run of one chapter's machine; `trouble` is a sentence on what kept it from being evaluated."""

    chapter: str
    tally: Tally
    seconds: float
    counterexample: Counterexample | None = None
    trouble: str | None = None


@dataclass(frozen=True)
class Request:
    """What was asked for: everything that a run depends on, besides the store."""

    backend: str
    chapters: tuple[str, ...]
    seed: int = 0
    examples: int = 1
    steps: int = 1
    strict: bool = False
    seconds: float = 0
    """With a budget, how long the run may take; then `examples` does not count."""
    workers: int = 1
    """How many seeds are run at once, this one and those after it."""
    offered: tuple[str, ...] = ()
    """The chapters that the store has besides, where these are run as in a run of all."""
    stores: tuple[str, ...] = ()
    """The protocols that the chapters were asked for by, if they were."""
    suite: str | None = None
    """The suite whose calls are made, in place of calls that are drawn."""
    timeout: float = ANSWER_S
    """How many seconds a call may take, in a run that has a limit."""

    @property
    def option(self) -> str:
        """The option that names the store."""
        command = command_of(self.backend)
        return f"--backend {self.backend}" if command is None else f"--exec {shlex.quote(command)}"

    @property
    def origin(self) -> str:
        """Where the calls come from: the suite, the seed, or the first and the last of several seeds."""
        if self.suite is not None:
            return f"suite {self.suite}"
        return f"seed {self.seed}" if self.workers == 1 else f"seeds {self.seed} to {self.seed + self.workers - 1}"

    @property
    def command(self) -> str:
        """The command that repeats the run."""
        chosen = f"--stores {','.join(self.stores)}" if self.stores else f"--chapters {','.join(self.offered or self.chapters)}"
        words = [
            "fencepost verify",
            self.option,
            *self._drawn,
            chosen,
        ]
        words += [f"--workers {self.workers}"] * (self.workers > 1)
        words += [f"--timeout {self.timeout:g}s"] * (self.timeout != ANSWER_S)
        return " ".join(words + ["--strict"] * self.strict)

    @property
    def _drawn(self) -> tuple[str, ...]:
        """What says which calls are made."""
        if self.suite is not None:
            return (f"--suite {shlex.quote(self.suite)}",)
        budget = f"--budget {self.seconds:g}s" if self.seconds else f"--examples {self.examples}"
        return (f"--seed {self.seed}", budget, f"--steps {self.steps}")


@dataclass(frozen=True)
class Result:
    """A finished run, or one that was interrupted: its figures are partial then."""

    request: Request
    runs: tuple[ChapterRun, ...]
    judged: tuple[Judged, ...]
    interrupted: bool = False
    trouble: str | None = None
    """What kept the run from beginning, as a sentence."""
    interrupted_in: str = ""
    """The call that had not returned for long when the run was interrupted."""

    @property
    def verdict(self) -> Verdict:
        """A violation decides, whatever else went wrong; without one, anything that went wrong does."""
        if self.counterexamples:
            return Verdict.violates
        return Verdict.not_evaluated if self.troubles or self.interrupted else Verdict.conforms

    @property
    def counterexamples(self) -> tuple[Counterexample, ...]:
        """The violations, at most one a chapter."""
        return tuple(run.counterexample for run in self.runs if run.counterexample)

    @property
    def troubles(self) -> tuple[str, ...]:
        """What kept the run or chapters of it from being evaluated, a sentence each."""
        return tuple(dict.fromkeys(each for each in (self.trouble, *(run.trouble for run in self.runs)) if each))

    @property
    def unbegun(self) -> tuple[str, ...]:
        """The chapters that an interrupted run had not got to."""
        begun = {run.chapter for run in self.runs}
        return tuple(each for each in self.request.chapters if each not in begun)

    @property
    def steps(self) -> int:
        """Calls that rules made and moves of clock and processes, the search for a shorter counterexample included."""
        return sum(run.tally.steps for run in self.runs)

    @property
    def seconds(self) -> float:
        """How long the chapters took."""
        return sum(run.seconds for run in self.runs)

    @property
    def rate(self) -> float:
        """Steps per second."""
        return self.steps / self.seconds if self.seconds else 0.0

    @property
    def answered(self) -> tuple[str, ...]:
        """The chapters of the catalogue that the result answers for."""
        return tuple(dict.fromkeys(each.requirement.chapter for each in self.judged))

    @property
    def coverage(self) -> tuple[Coverage, ...]:
        """What the run has exercised of the cells of its chapters."""
        return coverage(self.request.chapters, (run.tally for run in self.runs))

    def with_status(self, status: Status) -> tuple[Judged, ...]:
        """The requirements of this status, in the order of the catalogue."""
        return tuple(each for each in self.judged if each.status is status)

    @property
    def reached(self) -> int:
        """How many requirements decided an answer, right or wrong."""
        return sum(each.status in (Status.passed, Status.differs, Status.failed) for each in self.judged)

    @property
    def within_reach(self) -> int:
        """How many requirements a run like this can reach: those that it did, and those that it happened to miss."""
        return self.reached + sum(each.reason in (MISSED, UNBEGUN) for each in self.judged)

    def of_chapter(self, chapter: str) -> tuple[Judged, ...]:
        """The requirements of a chapter, in the order of the catalogue."""
        return tuple(each for each in self.judged if each.requirement.chapter == chapter)

    def sums(self, chapter: str) -> Counter[Status]:
        """How many requirements of a chapter have which status."""
        return Counter(each.status for each in self.of_chapter(chapter))


def scope(chapters: Iterable[str]) -> tuple[Requirement, ...]:
    """The requirements that a run of these chapters answers for: theirs, those of values, and of claims if it makes any."""
    answered = {"values", *chapters}
    answered |= {"claim"} if answered & {"turn_input", "queued_work"} else set()
    return tuple(each for each in requirements().values() if each.chapter in answered)


def reachable(requirement: Requirement, declared: Collection[str] = ()) -> bool:
    """Whether some step of a run could reach the requirement, on a store that declares these capabilities."""
    by_calls = requirement.unreached is None or ("concurrent-callers" in declared and requirement.id in RACED)
    return by_calls and requirement.internal is None and _binds(requirement, declared)


RACED = frozenset(race.requirement for races in RACES.values() for race in races)
"""What calls made at once may reach, if no calls one after the other do."""


def _binds(requirement: Requirement, declared: Collection[str]) -> bool:
    return requirement.level is not Level.CAPABILITY or requirement.capability in declared


def judge(
    chapters: Iterable[str], tally: Tally, counterexamples: Iterable[Counterexample], declared: Collection[str] = ()
) -> tuple[Judged, ...]:
    """The status of each requirement, for a store that declares these capabilities.

    Of the requirements that a violation names only the first has failed: it fixes the part of the answer that was wrong, or
    decided the answer. The others took part in the same answer and may be innocent: they are marked as in question.
    """
    named = [each.requirements for each in counterexamples]
    failed = {ids[0] for ids in named if ids}
    in_question = {requirement for ids in named for requirement in ids[1:]} - failed
    answered = {each.id: each for each in scope(chapters)}
    everything = requirements()
    ids = [each for each in everything if each in answered or each in failed]
    judged = [_judged(everything[each], tally, declared) for each in ids]
    return tuple(_blamed(each, failed, in_question) for each in judged)


def not_evaluated(request: Request, trouble: str) -> Result:
    """The result of a run that could not begin: nothing was reached, and the sentence says why."""
    judged = judge(request.chapters, Tally(), ())
    unbegun = tuple(replace(each, reason=UNBEGUN) if each.reason == MISSED else each for each in judged)
    return Result(request, (), unbegun, trouble=trouble)


def _judged(requirement: Requirement, tally: Tally, declared: Collection[str]) -> Judged:
    count, departures = tally.reached[requirement.id], tally.differs[requirement.id]
    status, reason = _status(requirement, count, departures, declared)
    return Judged(requirement, status, count, departures, reason)


def _blamed(judged: Judged, failed: Collection[str], in_question: Collection[str]) -> Judged:
    """The same requirement, seen with the violations."""
    if judged.requirement.id in failed:
        return replace(judged, status=Status.failed, reason=None)
    return replace(judged, in_question=judged.requirement.id in in_question)


def _undeclared(capability: str | None) -> str:
    return (
        f"It binds a store that declares `{capability}`: a factory with `declares` of fencepost.kit, an adapter in its hello."
    )


def _status(requirement: Requirement, count: int, departures: int, declared: Collection[str]) -> tuple[Status, str | None]:
    if departures and requirement.level is Level.CAPABILITY:
        return Status.not_declared, requirement.admits
    if departures:
        return Status.differs, requirement.admits
    # it may take part in decisions all the same: but a store that breaks it could not be told from one that does not
    if requirement.internal is not None:
        return Status.not_reached, UNSEEN + requirement.internal
    if count:
        return Status.passed, None
    if not _binds(requirement, declared):
        return Status.not_declared, requirement.unreached or _undeclared(requirement.capability)
    return Status.not_reached, MISSED if reachable(requirement, declared) else requirement.unreached
