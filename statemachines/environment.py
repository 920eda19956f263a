"""What a run owns and a store is given: the clock, the process table, a folder for files."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection
from pathlib import Path

from fencepost.spec import U64_MAX, Alive, SessionCodec, decode_session

CAPABILITIES = {
    "controlled-clock": "it takes its time from environment.clock, and from nowhere else",
    "liveness-oracle": "it asks environment.process_alive whether a process lives, and nobody else",
    "reopen": "it can be closed and opened again, and holds what it acknowledged",
    "concurrent-callers": "several threads may be inside it at once",
    "attachments": "it keeps a manifest of attachments",
    "blob-reclaim": "it removes the blobs that nothing refers to any more, when it is told to collect",
}
"""What a store may be declared to have, besides its protocols: nothing of it is guessed."""

USUAL = ("controlled-clock", "liveness-oracle")
"""What a store is taken to have of which nothing is declared: it uses what it is given."""


class Unavailable(Exception):
    """A store that could not be asked: raised by what stands between it and the run, and no answer of the store's."""


BEGINNING = 1_000
"""The instant at which every run begins, as its program counts."""


class Clock:
    """A clock that stands still until the run moves it; epoch milliseconds, never backwards."""

    ahead = 0
    """How far the clock is ahead of the instants of programs, which begin at `BEGINNING`."""
    reach = 10_000
    """How far ahead an instant may lie for the run to go there at once; farther only by a leap."""

    def __init__(self, now: int = BEGINNING) -> None:
        self._now = now

    @property
    def now(self) -> int:
        """The instant of every call until the next move."""
        return self._now

    def __call__(self) -> int:
        """The instant, for stores."""
        return self.now

    def move_to(self, instant: int) -> None:
        """Go forward to the instant; an earlier one leaves the clock where it is."""
        self._now = min(max(self._now, instant), U64_MAX)

    def leap_to(self, instant: int) -> None:
        """Go to the instant however far ahead it lies, if that can be done at once."""
        self.move_to(instant)


class Undecided(Exception):
    """What was seen may be right or wrong, and nobody can tell which. The text says why."""


DRIFT_NS = 200_000
"""By how much two clocks of a machine may come apart from one look to the next."""


PATIENCE_MS = 10_000
"""How long an instant is waited for at most."""


class WallClock(Clock):
    """The time of day, for stores that cannot be given another: it goes on by itself, and instants are waited for."""

    reach = 100

    def __init__(self) -> None:
        super().__init__()
        # how far the time of day is, at the least, ahead of a clock that nobody can set
        self._lead = -sys.maxsize
        self.ahead = self.now - BEGINNING

    @property
    def now(self) -> int:
        """The instant, which is another one soon after. Raises `Undecided` if it was set back."""
        before, now, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        if now - before < self._lead - DRIFT_NS:
            back = (self._lead - (now - before)) / 1_000_000
            raise Undecided(f"The time of day was set back by {back:,.1f} ms: what time it was for the store, nobody knows.")
        self._lead = now - after
        return now // 1_000_000

    def move_to(self, instant: int) -> None:
        """Wait for the instant, unless nobody would wait so long."""
        while 0 < (nanoseconds := instant * 1_000_000 - time.time_ns()) <= PATIENCE_MS * 1_000_000:
            time.sleep(nanoseconds / 1_000_000_000)

    def leap_to(self, instant: int) -> None:
        """Stay."""


class Processes:
    """A process table under the run's control: which (pid, start stamp) lives, died, or cannot be told."""

    def __init__(self) -> None:
        self._running: dict[int, str] = {}
        self._unreadable: set[int] = set()

    def __call__(self, pid: int, process_start: str) -> Alive:
        """Whether that very process lives; another process under its pid means that it is gone (LEASE-26)."""
        if pid in self._unreadable:
            return Alive.unknown
        return Alive.yes if self._running.get(pid) == process_start else Alive.no

    def start(self, pid: int, process_start: str) -> None:
        """Run a process under the pid, in place of any other."""
        self._running[pid] = process_start

    def stop(self, pid: int) -> None:
        """End the pid's process."""
        self._running.pop(pid, None)

    def become(self, running: dict[int, str], unreadable: set[int]) -> None:
        """Take another table for one's own."""
        self._running, self._unreadable = running, unreadable

    def table(self) -> tuple[dict[int, str], set[int]]:
        """The running processes with their start stamps, and the pids that cannot be told."""
        return self._running, self._unreadable

    def hide(self, pid: int) -> None:
        """Make the pid's state impossible to tell from now on."""
        self._unreadable.add(pid)


class Environment:
    """What a store factory is given: `clock` and `process_alive` to use, `directory` to put files in.

    `declared` are the capabilities of the store: without a controlled clock the clock is the time of day. A factory whose
    store reads sessions of another runtime puts its own `codec` here.
    """

    def __init__(self, directory: Path, declared: Collection[str] = tuple(CAPABILITIES)) -> None:
        self.declared = frozenset(declared)
        self.clock = Clock() if "controlled-clock" in self.declared else WallClock()
        self.process_alive = Processes()
        self.directory = directory
        self.codec: SessionCodec = decode_session
