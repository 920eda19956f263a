"""The liveness probe of this machine (LEASE-27)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fencepost.impl import liveness, process_alive
from fencepost.spec import Alive

LINE = "7 (a) name) (b) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {start} 0 0\n"


def judged(tmp_path: Path, line: bytes, start: str = "4711") -> Alive:
    """What a stat line says of a process."""
    (tmp_path / "stat").write_bytes(line)
    return liveness._judged(tmp_path / "stat", start)


def test_the_start_is_the_twenty_second_field_behind_the_name(tmp_path: Path) -> None:
    """A name with spaces and parentheses does not shift the fields; the start is compared as text."""
    line = LINE.format(start="4711").encode()
    assert judged(tmp_path, line) is Alive.yes
    assert judged(tmp_path, line, "04711") is Alive.no
    assert judged(tmp_path, line, "") is Alive.no


def test_a_name_that_is_no_text_does_no_harm(tmp_path: Path) -> None:
    """A process name of any bytes is skipped."""
    assert judged(tmp_path, LINE.format(start="4711").encode().replace(b"name", b"\xff\n")) is Alive.yes


@pytest.mark.parametrize("line", [b"", b"7 name S 1", b"7 (name) S 1 7 7 0"])
def test_a_line_that_cannot_be_read_is_no_proof(tmp_path: Path, line: bytes) -> None:
    """A stat line without name or start leaves it unknown."""
    assert judged(tmp_path, line) is Alive.unknown


def test_a_probe_that_fails_is_no_proof(tmp_path: Path) -> None:
    """A stat file that exists and cannot be read leaves it unknown; one that does not exist is a no."""
    assert liveness._judged(tmp_path, "4711") is Alive.unknown
    assert liveness._judged(tmp_path / "missing", "4711") is Alive.no


@pytest.mark.skipif(sys.platform != "linux", reason="the probe reads what Linux writes")
def test_processes_of_this_machine() -> None:
    """This process lives with its own start and with no other; one that ended and was waited for does not."""
    start = Path("/proc/self/stat").read_text().rpartition(") ")[2].split()[19]
    assert process_alive(os.getpid(), start) is Alive.yes
    assert process_alive(os.getpid(), "1") is Alive.no
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    assert process_alive(ended.pid, start) is Alive.no
    assert process_alive(2**32 - 1, start) is Alive.no


@pytest.mark.skipif(sys.platform != "linux", reason="the probe reads what Linux writes")
def test_a_zombie_exists() -> None:
    """A process that ended and was not waited for is still there."""
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        stat = Path(f"/proc/{child.pid}/stat")
        while " Z " not in stat.read_text():
            pass
        start = stat.read_text().rpartition(") ")[2].split()[19]
        assert process_alive(child.pid, start) is Alive.yes
