"""Processes with a pipe to each, none of which is left when what they were started for is over."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple


class Spawned(NamedTuple):
    """A process, and this end of the pipe to it."""

    process: BaseProcess
    pipe: Connection


@contextlib.contextmanager
def spawned(work: Callable[..., None], each_with: Iterable[tuple[Any, ...]]) -> Iterator[list[Spawned]]:
    """Have a process do the work with each of these arguments, behind its end of the pipe; what is left at the end is killed.

    A process begins with Ctrl-C blocked, until it has said what that is to do.
    """
    found: list[Spawned] = []
    # which would be started with the first process, and unblock what is blocked here
    resource_tracker.ensure_running()
    try:
        with _unheard():
            for arguments in each_with:
                found.append(_started(work, arguments))
        yield found
    finally:
        with _unheard():
            for process, pipe in found:
                process.kill()
                process.join()
                pipe.close()


def _started(work: Callable[..., None], arguments: tuple[Any, ...]) -> Spawned:
    # not forked: threads and connections, of a store say, do not survive that
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=work, args=(there, *arguments))
    process.start()
    there.close()
    return Spawned(process, here)


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """Ctrl-C is heard when this is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
