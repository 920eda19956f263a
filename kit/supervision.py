"""The command line runs in a process of its own, and another, which does nothing else, tells how that one ended.

A store that ends its process, or has it ended by a signal, would otherwise end the run with an exit code of its own, such as 0,
and without a verdict. The process is forked before anything is loaded, and shares terminal and signals with the other, so that
`breakpoint()` and Ctrl-C work as in one.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

PASSED_ON = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What is sent to the process that waits is meant for the one that works."""

ONCE_S = 1.0
"""A Ctrl-C that comes again within this time, in seconds, is the same: a terminal tells both processes of it."""

LEAVE_S = 2
"""How long a process may take to end, in seconds, once all has been told: a store may have left threads that never do."""

GROUP = ".group"
"""What the name of a file ends with that stands for a group of processes: its number is the rest."""

TO_RETURN = "Expected every call to return or to raise."

UNEXPECTED = f"the store ended it, or something under the store. {TO_RETURN}"


class Slate:
    """A short text that a process writes and another can read, also when the first has ended."""

    SIZE = 4096

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, self.SIZE)

    def write(self, text: str) -> None:
        """Replace the text; what is too long is cut."""
        written = text.encode(errors="replace")[: self.SIZE - 1] + b"\0"
        self._shared[: len(written)] = written

    def read(self) -> str:
        """The text; empty if none was written."""
        return self._shared[:].split(b"\0", 1)[0].decode(errors="replace")


IN_CALL = Slate()
"""The calls that have not returned, in words."""

LEFT_OVER = Slate()
"""The folder of what is temporary."""

ENDED_WITH = Slate()
"""The exit code, once all has been told."""


def supervised(command: Callable[[], None]) -> int:
    """Run the command in a process of its own. Gives its exit code, or 2 if it was ended before all had been told."""
    _open_what_is_closed()
    if not hasattr(os, "fork"):
        return _code_of(command)
    # until both know what to do on a signal, it has to wait
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    waiting, process = os.getpid(), os.fork()
    if not process:
        _follow(waiting)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        code = _code_of(command)
        about_to_end(code)
        _leave_soon()
        return code
    passed_on: set[int] = set()

    def pass_on(number: int, _frame: FrameType | None) -> None:
        passed_on.add(number)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)

    for each in PASSED_ON:
        signal.signal(each, pass_on)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if told := ENDED_WITH.read():
        return int(told)
    if -status in passed_on:
        _clean_up()
        # who was told to end ends by that
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return _ended_all_of_a_sudden(status)


def about_to_end(code: int) -> None:
    """All has been told: whatever ends the process from here on, its exit code is this one."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    ENDED_WITH.write(str(code))


def how_it_ended(status: int) -> str:
    """The exit code of a process, or the signal, in words."""
    if status >= 0:
        return f"with exit code {status}"
    with contextlib.suppress(ValueError):
        return f"by {signal.Signals(-status).name}"
    return f"by signal {-status}"


def where_it_was() -> str:
    """In which calls the process is, or was when it ended, in words."""
    return f"in {calls}" if (calls := IN_CALL.read()) else "between two calls"


def _open_what_is_closed() -> None:
    """Let standard streams that are closed lead nowhere, so that no file that is opened later takes their place."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, number)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115  # as long as the process


def _leave_soon() -> None:
    """Let this process be ended if it has not by itself in a while: it waits for threads, which are the store's."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
    signal.alarm(LEAVE_S)


def _code_of(command: Callable[[], None]) -> int:
    """The exit code of the command; 2, and never the 1 of a violation, where it ended as nobody meant it to."""
    try:
        code = _left_with(command)
        _flush()
    except BaseException as error:
        # of standard error that cannot be written nobody can be told
        with contextlib.suppress(OSError):
            _tell(error)
        return 2
    return code


def _left_with(command: Callable[[], None]) -> int:
    try:
        command()
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        sys.stderr.write(f"{ended.code}\n")
        return 2
    return 0


def _flush() -> None:
    """Write what is left for standard output; a reader that went away is no mistake."""
    from .console import let_go_of_stdout

    try:
        sys.stdout.flush()
    except BrokenPipeError:
        let_go_of_stdout()


def _tell(error: BaseException) -> None:
    """Tell why the command ended: in a sentence, or with a traceback if it is a mistake of ours."""
    from .console import complain, let_go_of_stdout

    if isinstance(error, KeyboardInterrupt):
        complain("interrupted before there was a result.")
    elif isinstance(error, OSError) and _is_stdout_broken():
        let_go_of_stdout()
        complain(f"standard output cannot be written: {error.strerror or error}. Expected one that takes what is told.")
    else:
        sys.excepthook(type(error), error, error.__traceback__)


def _is_stdout_broken() -> bool:
    try:
        # what could not be written is dropped: only another try tells
        os.write(sys.stdout.fileno(), b"\n")
    except (OSError, ValueError):
        return True
    return False


def _follow(other: int) -> None:
    """Be told of a Ctrl-C once, and end with the process that waits, where that can be said."""
    signal.signal(signal.SIGINT, _once())
    end_with(other)


def end_with(parent: int) -> None:
    """Let this process end as soon as the one that started it has, however that was, where the system can be told so."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        # it has ended before that could be said
        os._exit(2)


def _once() -> Callable[[int, FrameType | None], None]:
    pressed_at = float("-inf")

    def press(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed_at
        before, pressed_at = pressed_at, time.monotonic()
        if pressed_at - before > ONCE_S:
            raise KeyboardInterrupt

    return press


def _ended_all_of_a_sudden(status: int) -> int:
    """Clean up, and say in which call."""
    from .console import complain

    hint = " PYTHONFAULTHANDLER=1 in the environment shows where in the code." if status < 0 else ""
    _clean_up()
    complain(f"the process ended all of a sudden {where_it_was()}, {how_it_ended(status)}: {UNEXPECTED}{hint}")
    return 2


def _clean_up() -> None:
    """Leave the terminal and the folder of what is temporary as they were, for a process that could not."""
    from .console import Terminal

    Terminal().show_cursor()
    if folder := LEFT_OVER.read():
        remove(folder)


def remove(folder: str | Path) -> None:
    """Remove a folder of what is temporary, and end the groups of processes that are noted in it."""
    import shutil

    for each in Path(folder).rglob(f"*{GROUP}"):
        with contextlib.suppress(OSError, ValueError):
            os.killpg(int(each.stem), signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
