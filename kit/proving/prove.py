"""Settles the lemmas of the model in processes of their own: CrossHair for what has no loops, enumeration for the rest."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import groupby
from queue import SimpleQueue
from threading import Event

import msgspec
from fencepost.model.proofs import CHAPTERS, EXHAUSTIONS, Lemma

from .prove_diff import compared, module_of
from .proved import Finding, Outcome, Proved, Statement
from .prover import Job

BUDGET_S = 60.0
"""CPU seconds that may go into one lemma."""

PATIENCE_S = 60.0
PATIENCE = 10.0
"""A process that is silent for so long, and so many budgets more, is given up: others want the processor, too."""

MISSING = (
    "CrossHair is not installed, and without it no transition can be proved: "
    "`pip install 'fencepost[prove]'`, or in a clone `pip install -e '.[prove]'`."
)

Told = Callable[[Statement, Finding], None]


class ProverError(Exception):
    """The lemmas cannot be settled at all; the text says why, and what to do."""


class Prover:
    """A process that settles one lemma after the other; started anew if one brought it down."""

    def __init__(self, *, contracts: bool) -> None:
        # Z3 hashes: a fixed seed keeps its search the same from run to run
        environment = os.environ | {"FENCEPOST_PROVE": "on" if contracts else "off", "PYTHONHASHSEED": "0"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fencepost.kit.proving.prover"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl-C is for the one who waits
            start_new_session=True,
        )
        self.lemmas = msgspec.json.decode(self._line(PATIENCE_S), type=list[Lemma])

    def settle(self, job: Job) -> Finding:
        """What came of the job; if nothing came, that it could not be evaluated, and the process is gone."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(msgspec.json.encode(job) + b"\n")
            self.process.stdin.flush()
            return msgspec.json.decode(self._line(PATIENCE * job.budget + PATIENCE_S), type=Finding)
        except (OSError, ProverError) as error:
            self.close()
            return Finding(Outcome.unevaluable, detail=f"its process went away: {error}")

    def _line(self, patience: float) -> bytes:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], patience)
        line = self.process.stdout.readline() if ready else b""
        if not ready:
            raise ProverError(f"no answer in {patience:.0f} s")
        if not line:
            raise ProverError(f"exit code {self.process.wait()}")
        return line

    @property
    def gone(self) -> bool:
        """Whether the process can settle nothing more."""
        return self.process.poll() is not None

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                # what the process did not take is still to be written
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def statements(chapters: Sequence[str]) -> list[Statement]:
    """Every lemma of these chapters: the postconditions in their order, then the exhaustions."""
    prover = _started(contracts=True)
    prover.close()
    found = []
    for chapter in CHAPTERS:
        if chapter in chapters:
            found += [
                Statement(chapter, each.transition, each.place, (each.requirement,), each.says)
                for each in prover.lemmas
                if each.chapter == chapter
            ]
            found += [
                Statement(chapter, each.name, None, each.requirements, each.says, each.scope)
                for each in EXHAUSTIONS.values()
                if each.chapter == chapter
            ]
    return found


def differences(path: str) -> tuple[list[Statement], list[str]]:
    """The lemmas that both versions of each transition answer alike, and the transitions that only one version has.

    Raises `ProverError` if the file is no other version of a module of the model.
    """
    try:
        names, lone = compared(path)
        chapter = next(each for each, modules in CHAPTERS.items() if module_of(path) in modules)
    except OSError as error:
        raise ProverError(f"{path} cannot be read: {error.strerror or error}. Expected a file.") from error
    except Exception as error:
        raise ProverError(f"{path} cannot be compared: {error}") from error
    return [Statement(chapter, name, 0, (), "the same there and here", against=path) for name in names], lone


def require_crosshair() -> None:
    """Raise `ProverError` if CrossHair is not there."""
    if importlib.util.find_spec("crosshair") is None:
        raise ProverError(MISSING)


def prove(chosen: Sequence[Statement], budget: float, workers: int, told: Told = lambda _statement, _finding: None) -> Proved:
    """Settle these lemmas, in so many processes; each is told as soon as it is settled."""
    require_crosshair()
    began = time.perf_counter()
    findings: dict[Statement, Finding] = {}
    for contracts in (True, False):
        group = [each for each in chosen if (each.place is not None and not each.against) == contracts]
        with _pool(min(workers, len(group)), contracts=contracts) as settle:
            for statement, finding in settle(group, budget):
                findings[statement] = finding
                told(statement, finding)
    results = tuple((each, findings[each]) for each in chosen)
    return Proved(results, time.perf_counter() - began, budget, workers)


Settle = Callable[[Sequence[Statement], float], Iterator[tuple[Statement, Finding]]]


@contextmanager
def _pool(size: int, *, contracts: bool) -> Iterator[Settle]:
    """Processes that share out lemmas, and are all gone in the end."""
    idle: SimpleQueue[Prover] = SimpleQueue()
    started: list[Prover] = []
    stopping = Event()

    def start() -> Prover:
        started.append(_started(contracts=contracts))
        return started[-1]

    def living(prover: Prover) -> Prover:
        return start() if prover.gone and not stopping.is_set() else prover

    def several(statements: Sequence[Statement], budget: float) -> list[tuple[Statement, Finding]]:
        prover, settled = idle.get(), []
        try:
            for each in statements:
                job = Job(each.name, each.place, budget, each.against)
                finding = prover.settle(job)
                if prover.gone and not stopping.is_set():
                    # whatever ended it may have had nothing to do with the lemma: once more, in another process
                    prover = start()
                    finding = prover.settle(job)
                prover = living(prover)
                settled.append((each, finding))
            return settled
        finally:
            idle.put(living(prover))

    def settle(group: Sequence[Statement], budget: float) -> Iterator[tuple[Statement, Finding]]:
        with ThreadPoolExecutor(max(size, 1)) as threads:
            # the lemmas of one transition go to one process, which settles them together
            of_one = [[*each] for _, each in groupby(group, key=lambda each: each.name)]
            futures = [threads.submit(several, each, budget) for each in of_one]
            try:
                for future in as_completed(futures):
                    yield from future.result()
            except BaseException:
                # whoever waits for a process is let go by its end
                stopping.set()
                for future in futures:
                    future.cancel()
                for each in started:
                    each.process.kill()
                raise

    try:
        for _ in range(size):
            idle.put(start())
        yield settle
    finally:
        for each in started:
            each.close()


def _started(*, contracts: bool) -> Prover:
    try:
        return Prover(contracts=contracts)
    except ProverError as error:
        raise ProverError(f"the process that settles lemmas did not start: {error}.") from error
