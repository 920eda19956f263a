"""What a run owns and a store is given: the clock, the process table, a folder for files."""

from __future__ import annotations

from pathlib import Path

from fencepost.spec import U64_MAX, Alive, SessionCodec, decode_session


class Unavailable(Exception):
    """A store that could not be asked: raised by what stands between it and the run, and no answer of the store's."""


class Clock:
    """A clock that stands still until the run moves it; epoch milliseconds, never backwards."""

    def __init__(self, now: int = 1_000) -> None:
        self.now = now

    def __call__(self) -> int:
        """The instant of every call until the next move."""
        return self.now

    def move_to(self, instant: int) -> None:
        """Go forward to the instant; an earlier one leaves the clock where it is."""
        self.now = min(max(self.now, instant), U64_MAX)


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

    A factory whose store reads sessions of another runtime puts its own `codec` here.
    """

    def __init__(self, directory: Path) -> None:
        self.clock = Clock()
        self.process_alive = Processes()
        self.directory = directory
        self.codec: SessionCodec = decode_session
