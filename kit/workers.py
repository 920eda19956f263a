"""Several seeds at once, each in a process of its own, and one result of them all."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

from fencepost.statemachines.checker import Crash
from fencepost.statemachines.tally import Tally

from .backend import BackendError, Factory, load_factory, told
from .chapter_check import Observer
from .interrupt import Interrupt
from .result import ChapterRun, Request, Result
from .verify import of_runs, verify


def verify_at_once(factory: Factory, request: Request, observer: Observer, timeout: float) -> Result:
    """Run the seed of the request and those after it, as many as there are workers. Raises `BackendError`."""
    alone = [replace(request, seed=request.seed + place, workers=1) for place in range(request.workers)]
    observer.begins(request.chapters[0])
    with Interrupt() as interrupt:
        found = _in_processes(factory.name, alone, timeout, interrupt)
    runs = [_merged(chapter, found) for chapter in request.chapters if any(_runs(found, chapter))]
    for run in runs:
        observer.ends(run)
    return of_runs(request, runs, factory.declares, interrupted=any(each.interrupted for each in found))


def _in_processes(name: str, requests: Sequence[Request], timeout: float, interrupt: Interrupt) -> list[Result]:
    # spawned: a store's threads and connections do not survive a fork
    with ProcessPoolExecutor(len(requests), multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(_verified, name, each, timeout) for each in requests]
        try:
            return [_waited_for(each) for each in futures]
        except BrokenProcessPool:
            interrupt.check()
            raise BackendError(f"A process that checked {name} ended all of a sudden. Try again with --workers 1.") from None


def _waited_for(future: Future[Result]) -> Result:
    """What the process found; Ctrl-C has reached it too, and it ends soon with what it has."""
    while True:
        try:
            return future.result()
        except KeyboardInterrupt:
            continue


def _verified(name: str, request: Request, timeout: float) -> Result:
    """The result of one seed, fit to be sent to another process."""
    result = verify(load_factory(name, timeout), request)
    return replace(result, runs=tuple(_portable(each) for each in result.runs))


def _portable(run: ChapterRun) -> ChapterRun:
    """The run; an exception of the store's own that cannot be sent is told by a text instead."""
    found = run.counterexample
    if found is None:
        return run
    script = tuple(
        line._replace(performed=line.performed._replace(answer=_sendable(line.performed.answer))) for line in found.script
    )
    return replace(run, counterexample=replace(found, script=script))


def _sendable(answer: object) -> object:
    if not isinstance(answer, Crash):
        return answer
    try:
        pickle.loads(pickle.dumps(answer))
    except Exception:
        return Crash(RuntimeError(told(answer.error)))
    return answer


def _runs(found: Sequence[Result], chapter: str) -> list[ChapterRun]:
    return [run for result in found for run in result.runs if run.chapter == chapter]


def _merged(chapter: str, found: Sequence[Result]) -> ChapterRun:
    """The runs of a chapter as one: it takes as long as the longest, and shows the shortest counterexample."""
    runs, tally = _runs(found, chapter), Tally()
    for run in runs:
        tally.add(run.tally)
    shown = [run.counterexample for run in runs if run.counterexample]
    trouble = next((run.trouble for run in runs if run.trouble), None)
    shortest = min(shown, key=lambda each: len(each.performed), default=None)
    return ChapterRun(chapter, tally, max(run.seconds for run in runs), shortest, trouble)
