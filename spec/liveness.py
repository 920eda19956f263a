"""The liveness oracle: what a store may know of a process on the machine it runs on."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TypeAlias


class Alive(enum.Enum):
    """An answer of the oracle. Only `no` is death: doubt protects the holder (LEASE-27)."""

    yes = "yes"
    no = "no"
    unknown = "unknown"


ProcessAlive: TypeAlias = Callable[[int, str], Alive]
"""`(pid, process_start)` to whether that very process still exists; a later process with its pid counts as `no`."""
