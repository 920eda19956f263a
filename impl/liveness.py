"""The default liveness oracle: Linux's own word on a process of this machine."""

from __future__ import annotations

from pathlib import Path

from ..spec import Alive

START_TIME_AFTER_NAME = 19
"""The start time is field 22 of the line; the fields are counted from 3 behind the process name."""


def process_alive(pid: int, process_start: str) -> Alive:
    """Whether the process `pid` that started at `process_start` (clock ticks since boot, as text) still exists.

    A later process with the same pid has another start and counts as `no`; a zombie exists. What cannot be read is
    `unknown`, which protects the holder. Requirements: LEASE-26, LEASE-27.
    """
    return _judged(Path(f"/proc/{pid}/stat"), process_start)


def _judged(stat: Path, process_start: str) -> Alive:
    try:
        line = stat.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return Alive.no
    except OSError:
        return Alive.unknown
    # the name stands in parentheses and may itself hold spaces and parentheses
    _, found, rest = line.rpartition(b") ")
    fields = rest.split()
    if not found or len(fields) <= START_TIME_AFTER_NAME:
        return Alive.unknown
    started = fields[START_TIME_AFTER_NAME].decode(errors="replace")
    return Alive.yes if started == process_start else Alive.no
