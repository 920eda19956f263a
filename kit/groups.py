"""Runs as tests of pytest: the machine of a chapter runs once, and each section of the catalogue is a test that tells its part.

A test passes if all requirements of its section that a run can reach were reached, and all answers they decided were right. It
fails if a violation is laid on one of them, or if the run could not be evaluated; otherwise it is skipped, and says why.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from fencepost.spec.catalogue import chapters

from .backend import BackendError, Factory
from .result import MISSED, Judged, Request, Result, Status, Verdict, not_evaluated, scope
from .supervision import TO_RETURN, how_it_ended, where_it_was
from .verify import EXAMPLES, STEPS, verify

ELSEWHERE = "other_chapters"
"""The test of a chapter that answers for what a violation lays on requirements of other chapters."""


@dataclass(frozen=True)
class Group:
    """What one test answers for in the run of a chapter: a section of the catalogue, or all that is not in the run's scope."""

    chapter: str
    name: str
    title: str
    ids: tuple[str, ...] = ()

    @property
    def is_elsewhere(self) -> bool:
        """Whether it answers for requirements of other chapters."""
        return self.name == ELSEWHERE


def groups_of(chapter: str) -> Iterator[Group]:
    """The tests of a chapter: its own sections, those of chapters that it shares with others, and one for all others."""
    answered = dict.fromkeys(each.chapter for each in scope((chapter,)))
    parts = [part for each in chapters() if each.name in answered for part in each.sections]
    for part in sorted(parts, key=lambda each: each.chapter != chapter):
        prefix, head = ("", "") if part.chapter == chapter else (f"{part.chapter}_", f"{part.chapter}: ")
        yield Group(chapter, f"{prefix}{part.name}", f"{head}{part.title}", tuple(each.id for each in part.requirements))
    yield Group(chapter, ELSEWHERE, "Requirements of other chapters")


@dataclass
class Runs:
    """The runs of a store's chapters: each is made when the first test asks for it, and kept for the others."""

    backend: Factory
    offered: tuple[str, ...]
    seed: int = 0
    examples: int = EXAMPLES
    steps: int = STEPS
    strict: bool = False
    _made: dict[str, Result] = field(default_factory=dict)

    def of(self, chapter: str) -> Result:
        """The run of one chapter, as a run of all offered chapters makes it. Raises `KeyboardInterrupt` if that ended it."""
        if chapter not in self._made:
            made = self._make(chapter)
            if made.interrupted:
                raise KeyboardInterrupt
            self._made[chapter] = made
        return self._made[chapter]

    def _make(self, chapter: str) -> Result:
        how = (self.seed, self.examples, self.steps, self.strict)
        request = Request(self.backend.name, (chapter,), *how, offered=self.offered)
        try:
            with _survived():
                return verify(self.backend, request)
        except BackendError as error:
            return not_evaluated(request, str(error))


class ProcessEnded(BackendError):
    """A store that ends the process of the tests, which would be taken for their end; the text says in which call."""


@contextmanager
def _survived() -> Iterator[None]:
    """Have `os._exit` raise instead: it would end pytest, with the exit code of the store's choice. Raises `ProcessEnded`."""
    ends, process, ended = os._exit, os.getpid(), list[ProcessEnded]()

    def end(status: int) -> NoReturn:
        # a process that the store has forked is its own
        if os.getpid() != process:
            ends(status)
        ended.append(ProcessEnded(f"The store ended the process {where_it_was()}, {how_it_ended(status)}. {TO_RETURN}"))
        raise ended[0]

    os._exit = end
    try:
        yield
    finally:
        os._exit = ends
    if ended:
        # whoever has caught it
        raise ended[0]


def settle(group: Group, runs: Runs, record: Callable[[tuple[str, str]], None]) -> None:
    """End a test as its run ended for the group; a property with its status is recorded for each requirement."""
    import pytest

    result = runs.of(group.chapter)
    judged = judged_in(group, result)
    for each in judged:
        record((each.requirement.id, f"{each.status.value}{', in question' * each.in_question}"))
    failure = failed(group, result)
    if failure is not None:
        pytest.fail(failure, pytrace=False)
    undecided = skipped(group, judged, result)
    if undecided is not None:
        pytest.skip(undecided)


def judged_in(group: Group, result: Result) -> tuple[Judged, ...]:
    """What the run found of the requirements that the group answers for."""
    if group.is_elsewhere:
        within = {each.id for each in scope((group.chapter,))}
        return tuple(each for each in result.judged if each.requirement.id not in within)
    return tuple(each for each in result.judged if each.requirement.id in group.ids)


def failed(group: Group, result: Result) -> str | None:
    """What the test says if it fails."""
    within = {each.id for each in scope((group.chapter,))}
    for each in result.counterexamples:
        laid_on = each.requirements[0]
        if laid_on in group.ids or (group.is_elsewhere and laid_on not in within):
            return told(result)
    return told(result) if result.verdict is Verdict.not_evaluated else None


def skipped(group: Group, judged: tuple[Judged, ...], result: Result) -> str | None:
    """What the test says if it can neither pass nor fail."""
    violated = [each.requirements[0] for each in result.counterexamples]
    missed = [each.requirement.id for each in judged if each.reason == MISSED]
    asked = [each.requirement.id for each in judged if each.in_question]
    if violated and (missed or asked or group.is_elsewhere):
        ended = f"The run of {group.chapter} ended at a violation of {', '.join(violated)}"
        beside = [f"not reached before: {', '.join(missed)}"] if missed else []
        beside += [f"in question there: {', '.join(asked)}"] if asked else []
        return "; ".join([ended, *beside])
    if missed:
        return f"Not reached: {', '.join(missed)}. {MISSED}"
    if judged and all(each.status in (Status.not_reached, Status.not_declared) for each in judged):
        return " ".join(f"{each.requirement.id}, {each.status.value}: {each.reason}" for each in judged)
    return None


def told(result: Result) -> str:
    """What a test that fails says: the sentence and the program of a violation, or what went wrong, and the command."""
    lines = [f"{result.request.backend} {result.verdict.value}", *result.troubles]
    for each in result.counterexamples:
        lines += ["", f"{each.requirements[0]}: {each.says}", ""]
        lines += [text for text in (each.story, each.claims) if text]
        lines += ["", each.shown]
    return "\n".join([*lines, "", _again(result.request)])


def _again(request: Request) -> str:
    """How to repeat the run: by the command, where a factory can be found by its name, and from the folder where it can."""
    module, _, name = request.backend.partition(":")
    if "<" in name:
        return "Again: run this test. To `fencepost verify` it, let the factory stand at the top of a module."
    file = getattr(sys.modules.get(module), "__file__", None)
    folder = Path(file).parents[module.count(".")] if file else Path.cwd()
    is_below = folder.is_relative_to(Path.cwd()) and folder != Path.cwd() and "site-packages" not in folder.parts
    where = f", in {folder.relative_to(Path.cwd())}" if is_below else ""
    return f"Again{where}: {request.command}"
