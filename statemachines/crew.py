"""Processes that ask the model for a search: each is given some jobs at a time, and answers come in the order of the jobs.

All is done in the thread that asks, without locks: Ctrl-C ends it at any moment, and leaves no process; and a process that has
ended is missed at once.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from multiprocessing.connection import Connection, wait
from typing import Any, TypeAlias

from .spawned import spawned

AT_A_TIME = 32
"""How many jobs a process is given at once."""

Making: TypeAlias = Callable[[Any], Callable[[Any], Any]]
"""Makes what does a job, of what all jobs share. It is a function of a module, for another process has to find it."""


class CrewLost(Exception):
    """A process of the crew has ended by itself."""


@contextlib.contextmanager
def crew(size: int, make: Making, shared: object) -> Iterator[Callable[[Iterable[Any]], Iterator[Any]]]:
    """What does jobs, in so many processes, none of which is left at the end.

    Raises `CrewLost` if one ends before, and what a job raises.
    """
    with spawned(_work, [(make, shared)] * size) as members:
        yield lambda jobs: _done([each.pipe for each in members], iter(jobs))


def _work(asked: Connection, make: Making, shared: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    do: Callable[[Any], Any] | None = None
    # nobody asks any more
    with contextlib.suppress(EOFError, OSError):
        while True:
            jobs = asked.recv()
            try:
                do = do or make(shared)
                answers: list[Any] | Exception = [do(job) for job in jobs]
            except Exception as error:
                answers = error
            asked.send(answers)


def _done(members: list[Connection], jobs: Iterator[Any]) -> Iterator[Any]:
    """The answers. A member is given jobs when it waits for some, so that never both sides write, and none reads."""
    numbers: dict[Connection, int] = {}
    answers: dict[int, list[Any]] = {}
    given = told = 0
    idle = list(members)
    while True:
        while idle and (some := list(islice(jobs, AT_A_TIME))):
            member = idle.pop()
            with _missed():
                member.send(some)
            numbers[member], given = given, given + 1
        if not numbers:
            return
        for ready in wait(list(numbers)):
            assert isinstance(ready, Connection)
            with _missed():
                answer = ready.recv()
            if isinstance(answer, Exception):
                raise answer
            answers[numbers.pop(ready)] = answer
            idle.append(ready)
        while told in answers:
            yield from answers.pop(told)
            told += 1


@contextlib.contextmanager
def _missed() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError) as error:
        raise CrewLost("one of the processes of --workers ended, perhaps for want of memory.") from error
