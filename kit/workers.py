"""Several seeds at once, each in a process of its own, and one result of them all."""

from __future__ import annotations

import math
import os
import pickle
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from fencepost.statemachines.checker import Crash
from fencepost.statemachines.spawned import spawned
from fencepost.statemachines.tally import Tally

from .backend import BackendError, Factory, told
from .chapter_check import Observer
from .leftovers import nothing_left_behind, sweep
from .result import ChapterRun, Request, Result, Verdict
from .supervision import UNEXPECTED, end_with, how_it_ended
from .verify import of_runs, stuck, verify
from .watch import GRACE_S, LOOK_S, Watch, loaded

SOON_S = 2 * GRACE_S
"""How long after Ctrl-C a process may take to tell what it has."""

Told = tuple[Result | None, str]
"""What a process found; or why it found nothing, in a sentence."""


class Worker(NamedTuple):
    """A process that checks one seed, and where it tells what came of that."""

    seed: int
    process: BaseProcess
    told: Connection


def verify_at_once(factory: Factory, request: Request, observer: Observer, timeout: float) -> Result:
    """Run the seed of the request and those after it, as many as there are workers. Raises `BackendError`."""
    alone = [replace(request, seed=request.seed + place, workers=1) for place in range(request.workers)]
    observer.begins(request.chapters[0])
    works = [(os.getpid(), factory.name, each, timeout, tempfile.gettempdir()) for each in alone]
    with _pressed() as pressed, spawned(_work, works) as begun:
        workers = [Worker(each.seed, *one) for each, one in zip(alone, begun, strict=True)]
        found = _found(factory.name, workers, pressed)
    runs = [_merged(chapter, found) for chapter in request.chapters if any(_runs(found, chapter))]
    for run in runs:
        observer.ends(run)
    interrupted = pressed.seen or any(each.interrupted for each in found)
    result = of_runs(request, runs, factory.declares, interrupted=interrupted)
    return replace(result, interrupted_in=next((each.interrupted_in for each in found if each.interrupted_in), ""))


class _Pressed:
    """Whether Ctrl-C was pressed: no `Event`, whose lock a second Ctrl-C would wait for in the middle of the first."""

    seen = False

    def see(self, *_: object) -> None:
        """It was."""
        self.seen = True


@contextmanager
def _pressed() -> Iterator[_Pressed]:
    """Tells when Ctrl-C was pressed, which raises nothing here: the processes are to tell what they have."""
    pressed = _Pressed()
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return
    before = signal.signal(signal.SIGINT, pressed.see)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _found(name: str, workers: Iterable[Worker], pressed: _Pressed) -> list[Result]:
    """What the processes found. After Ctrl-C they are told, and what they do not tell soon is not waited for."""
    waited_for: dict[object, Worker] = {each.told: each for each in workers}
    found, until, why = list[Result](), math.inf, INTERRUPTED
    while waited_for and time.monotonic() < until:
        for ready in wait([each.told for each in waited_for.values()], LOOK_S):
            worker = waited_for.pop(ready)
            result, sentence = _received(name, worker)
            if result is None and not pressed.seen:
                raise BackendError(sentence)
            found += [result] if result else []
            why = sentence or why
        if pressed.seen and until == math.inf:
            until = time.monotonic() + SOON_S
            for each in waited_for.values():
                # a terminal tells them too, but not who sends a signal to this process alone
                os.kill(each.process.pid or 0, signal.SIGINT)
    if not found:
        raise BackendError(why)
    return found


INTERRUPTED = "interrupted before there was a result."


def _received(name: str, worker: Worker) -> Told:
    try:
        told: Told = worker.told.recv()
    except (EOFError, OSError):
        worker.process.join(GRACE_S)
        how = how_it_ended(worker.process.exitcode or 0)
        return None, f"The process that checked seed {worker.seed} of {name} ended all of a sudden, {how}: {UNEXPECTED}"
    return told


def _work(there: Connection, parent: int, name: str, request: Request, timeout: float, directory: str) -> None:
    """Check one seed, in a process of its own, and tell what came of it."""
    end_with(parent)
    # once the run is over, Ctrl-C has nothing to end here
    signal.signal(signal.SIGINT, lambda *_: None)
    tempfile.tempdir = directory
    with nothing_left_behind():
        there.send(_verified(there, name, request, timeout))


def _verified(there: Connection, name: str, request: Request, timeout: float) -> Told:
    """The result of one seed, fit to be sent to another process."""
    try:
        factory = loaded(name, timeout, partial(_end, there, lambda sentence: (None, sentence)))
        observer = Observer()
        came_to = partial(_came_to, request, observer, factory)
        result = verify(factory, request, observer, Watch(factory.patience(timeout), partial(_end, there, came_to)))
    except BackendError as error:
        return None, str(error)
    except KeyboardInterrupt:
        return None, INTERRUPTED
    return _sent(result), ""


def _came_to(request: Request, observer: Observer, factory: Factory, sentence: str) -> Told:
    """What is told of a run that nothing could end: what was found before, or why there is nothing."""
    result = stuck(request, observer.ended, factory.declares, sentence)
    return (_sent(result), "") if result.counterexamples else (None, sentence)


def _sent(result: Result) -> Result:
    return replace(result, runs=tuple(_portable(each) for each in result.runs))


def _end(there: Connection, came_to: Callable[[str], Told], sentence: str) -> None:
    """Tell why, and leave at once: the run is in a call that nothing can wake it from."""
    there.send(came_to(sentence))
    sweep()
    os._exit(Verdict.not_evaluated.exit_code)


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
        return Crash(RuntimeError(told(answer.error)), answer.where)
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
