"""What a run waits for: the calls that were begun and have not returned, and whether there is to be another one."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple


class TimeIsUp(BaseException):
    """There is no time for another call. No `Exception`, for nothing went wrong, and nobody is to look for why."""


LONGER = 6
"""How many times as long as a call may take what is more than one: to open or close a store, to import it."""


REMEMBERED = 200
"""How many calls are kept, to be told if one does not return."""


class Waiting(NamedTuple):
    """What was begun, the instant of a monotonic clock, the arguments of a call, and as long as how many calls it may take."""

    what: str
    since: float
    arguments: tuple[object, ...] | None = None
    calls: int = 1

    @property
    def is_call(self) -> bool:
        """Whether it is a call of a store."""
        return self.arguments is not None

    @property
    def grace(self) -> int:
        """How many times as long as others it may go on once the run is to end."""
        return max(1, self.calls // LONGER)


class Calls:
    """The calls in progress, one a thread. `until` is when the time is up; once `stopped`, no other call begins.

    What a call answers that was under way by then is not judged.
    """

    def __init__(self) -> None:
        self.until = math.inf
        self.stopped = False
        self._waiting: dict[int, Waiting] = {}
        self.made: deque[Waiting] = deque(maxlen=REMEMBERED)
        """The calls that were begun since the store was opened, the latest last."""

    def begins(self, operation: str, arguments: tuple[object, ...]) -> None:
        """A call begins in this thread. Raises `KeyboardInterrupt` or `TimeIsUp` if it is not to."""
        if self.stopped:
            raise KeyboardInterrupt
        now = time.monotonic()
        if now > self.until:
            raise TimeIsUp
        call = self._waiting[threading.get_ident()] = Waiting(operation, now, arguments)
        self.made.append(call)

    def ends(self) -> None:
        """The call of this thread has returned."""
        self._waiting.pop(threading.get_ident(), None)

    @contextlib.contextmanager
    def during(self, what: str, calls: int = LONGER) -> Iterator[None]:
        """Something besides calls that a store may hang in, and that may take as long as so many."""
        self.made.clear()
        self._waiting[threading.get_ident()] = Waiting(what, time.monotonic(), calls=calls)
        try:
            yield
        finally:
            self.ends()

    def waiting(self) -> list[Waiting]:
        """What has not returned yet, the longest first."""
        return sorted(self._waiting.values(), key=lambda each: each.since)

    def forget(self) -> None:
        """Go on without what never returns."""
        self._waiting.clear()
