"""A run is watched: Ctrl-C ends it, also where an engine under the store swallows it, and so does a call that never returns.

The run itself stays in the thread that it was begun in, for stores may be bound to one. Who waits too long is woken as by
Ctrl-C; where not even that helps, for the store is in no code of Python's, the process is ended.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self

from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.calls import LONGER, Calls, Waiting
from fencepost.statemachines.checker import Call

from .backend import BackendError, Factory, load_factory
from .showing.brief import call_in_words
from .supervision import IN_CALL

LOOK_S = 0.1
"""How often is looked at what has not returned."""

GRACE_S = 1.0
"""How long a call may still take once the run is to end."""

FEW = 6
"""How many calls are told of those before one that does not return."""

IMPORT_S = 10.0
"""How long the import of a module may take however short calls are to be: it loads libraries."""


class SeenCalls(Calls):
    """Calls in progress that the process that waits for this one can see, too."""

    def begins(self, operation: str, arguments: tuple[object, ...]) -> None:
        """A call begins in this thread."""
        super().begins(operation, arguments)
        self._show()

    def ends(self) -> None:
        """The call of this thread has returned."""
        super().ends()
        self._show()

    @contextlib.contextmanager
    def during(self, what: str, calls: int = LONGER) -> Iterator[None]:
        """Something besides calls that a store may end the process in."""
        with super().during(what, calls):
            self._show()
            yield

    def _show(self) -> None:
        IN_CALL.write(_together([each.what for each in self.waiting()]))


class Watch:
    """While it is entered, remembers that Ctrl-C was pressed, besides raising `KeyboardInterrupt` as ever.

    With `end`, no call may take longer than so many `seconds`: the run is interrupted then, and `overdue` says why. `end` is
    given a sentence where the run does not stop when it should, and ends the process.
    """

    def __init__(self, seconds: float = math.inf, end: Callable[[str], None] | None = None) -> None:
        self.pressed = False
        self.interrupted_in = ""
        """The calls that Ctrl-C found waiting for long."""
        self.overdue: str | None = None
        self.calls: Calls = SeenCalls()
        self._seconds, self._end = seconds, end
        self._stopped_at, self._pressed_at = math.inf, -math.inf
        self._is_over = False
        self._pipe: tuple[int, int] | None = None
        self._before: Any = None
        self._wakes_before = -1

    def __enter__(self) -> Self:
        # only the main thread may say what a signal does
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._press)
            # a process that was begun for a run has it blocked until here
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            if self._end is not None:
                self._begin()
        return self

    def _begin(self) -> None:
        # where the main thread is in C, no handler of Python's is called: but what is written here is read
        heard, told = self._pipe = os.pipe()
        os.set_blocking(told, False)
        self._wakes_before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        threading.Thread(target=self._look, args=(heard,), name="fencepost watch", daemon=True).start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._is_over = True
        if self._pipe is not None:
            signal.set_wakeup_fd(self._wakes_before)
            os.close(self._pipe[1])
        if self._before is not None:
            signal.signal(signal.SIGINT, self._deaf_for_now() if self.pressed and callable(self._before) else self._before)

    def _deaf_for_now(self) -> Callable[[int, FrameType | None], None]:
        """What was called on Ctrl-C before, but for the one that was pressed, of which another process may tell again."""
        before, until = self._before, self._pressed_at + GRACE_S

        def press(number: int, frame: FrameType | None) -> None:
            if time.monotonic() > until:
                before(number, frame)

        return press

    def goes_on(self) -> bool:
        """Whether the run goes on after a `KeyboardInterrupt`: nobody pressed Ctrl-C, and what was overdue is given up."""
        self.calls.forget()
        if self.pressed or self.overdue is None:
            return False
        self.overdue, self.calls.stopped, self._stopped_at = None, False, math.inf
        return True

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Raises `BackendError`, which says what was overdue, where that ends what is done here."""
        try:
            yield
        except (KeyboardInterrupt, BackendError):
            overdue = self.overdue
            if self.goes_on():
                raise BackendError(overdue) from None
            if self.pressed:
                # whatever a factory made of it
                raise KeyboardInterrupt from None
            raise

    def _press(self, _number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._pressed_at < GRACE_S:
            # a terminal and another process may both tell of one Ctrl-C
            return
        if self.overdue is None:
            long = [each for each in self.calls.waiting() if now - each.since > GRACE_S]
            self.pressed, self._pressed_at, self.interrupted_in = True, now, _together([each.what for each in long])
            self._stop()
        raise KeyboardInterrupt

    def _stop(self) -> None:
        self._stopped_at = min(self._stopped_at, time.monotonic())
        self.calls.stopped = True

    def _look(self, heard: int) -> None:
        while not self._is_over:
            if _hears(heard):
                self._stop()
            waiting, now = self.calls.waiting(), time.monotonic()
            stuck = [each for each in waiting if min(now - each.since, now - self._stopped_at) > GRACE_S * each.grace]
            late = [each for each in waiting if now - each.since > self._seconds * each.calls]
            if stuck and self._end is not None and not self._is_over:
                self._end(self.overdue or f"interrupted in {_told(waiting)}, which did not return.")
            elif late and not self.calls.stopped:
                limit = self._seconds * late[0].calls
                expected = EXPECTED if late[0].is_call else EXPECTED_OF_MORE
                before = _before([each for each in self.calls.made if each not in waiting]) if late[0].is_call else ""
                self.overdue = f"{_told(waiting)} did not return within {limit:g} s. {expected}{before}"
                self._stop()
                # a signal wakes it from a wait, too
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
                # that was no Ctrl-C
                _hears(heard)
        os.close(heard)


def loaded(name: str, seconds: float, end: Callable[[str], None]) -> Factory:
    """The factory of this name, see `load_factory`; to import its module may take longer than a call. Raises `BackendError`."""
    with Watch(max(seconds, IMPORT_S / LONGER), end) as watch, watch.telling(), watch.calls.during(f"the import of {name}"):
        return load_factory(name, seconds)


def _hears(pipe: int) -> bool:
    """Whether a signal comes in the next moment."""
    ready, _, _ = select.select([pipe], [], [], LOOK_S)
    return bool(ready and os.read(pipe, 1 << 10))


EXPECTED = "Expected an answer or a refusal; --timeout gives each call more time."
EXPECTED_OF_MORE = f"It may take {LONGER} times as long as --timeout gives a call; an import has {IMPORT_S:g} s at least."


def _told(waiting: list[Waiting]) -> str:
    calls = [(each.what, each.arguments) for each in waiting]
    return _together([what if arguments is None else call_in_words(Call(what, arguments)) for what, arguments in calls])


def _before(made: list[Waiting]) -> str:
    """The latest calls that are no reads, as a sentence; empty if there are none."""
    writes = [each for each in made if not OPERATIONS[each.what].reads]
    more = f"{len(writes) - FEW} others, " if len(writes) > FEW else ""
    calls = ", ".join(_told([each]) for each in writes[-FEW:])
    return f" Before it, since the store was opened: {more}{calls}." if calls else ""


def _together(names: list[str]) -> str:
    return "".join(names) if len(names) <= 1 else f"{', '.join(names[:-1])} and {names[-1]}, made at once,"
