"""How soon a store that is plainly broken is told to violate: from the command, loading included, to the line that says so."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

BROKEN = "fencepost.gallery.faulty:fence_not_checked"
ROUNDS = 3


def test_first_verdict(rate: Callable[[str], None]) -> None:
    """A store that never checks a fence, against a command that does nothing but start."""
    firsts, starts = [], []
    for _ in range(ROUNDS):
        starts.append(_until("fencepost", "--version"))
        firsts.append(_until("violated", "verify", "--backend", BROKEN))
    first, start = statistics.median(firsts), statistics.median(starts)
    rate(f"the first verdict of a store that checks no fence: after {first:.1f} s, {first / start:.1f} times a bare start")


def _until(word: str, *arguments: str) -> float:
    """Seconds until the command prints a line with this word; it is ended then."""
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-m", "fencepost.kit", *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert any(word in line for line in process.stdout or ())
        seconds = time.monotonic() - began
        process.kill()
    return seconds
