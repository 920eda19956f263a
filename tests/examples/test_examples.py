"""The examples: a quick run of each ends as its table says, and as its published report says."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from glob import glob
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "examples" / "README.md"
ROW = re.compile(
    r"^\| (?:\[`(\w+)`\]\(\w+\) )?\| [^|]+ \| ([^|]+) \|[^|]*\| `cd examples/(\w+) && fencepost (verify [^`]+)` \|$",
    re.MULTILINE,
)
EXIT_CODES = {"conforms": 0, "violates": 1}


class Example(NamedTuple):
    """A row of the table."""

    folder: str
    verdict: str
    failed: tuple[str, ...]
    words: tuple[str, ...]
    is_published: bool


def example(found: re.Match[str]) -> Example:
    """The row that was found."""
    name, said, folder, command = found.groups()
    verdict, *failed = said.replace(",", "").replace(" or ", " ").split()
    return Example(folder, verdict, tuple(failed), tuple(shlex.split(command)), name is not None)


EXAMPLES = [example(found) for found in ROW.finditer(README.read_text(encoding="utf-8"))]


def has_postgres() -> bool:
    """Whether a PostgreSQL can be started or is named."""
    found = shutil.which("postgres") or glob("/usr/lib/postgresql/*/bin/postgres")
    return bool(os.environ.get("FENCEPOST_POSTGRES") or found)


def has_redis() -> bool:
    """Whether a Redis can be started or is named."""
    return bool(os.environ.get("FENCEPOST_REDIS") or shutil.which("redis-server"))


def has(module: str) -> Callable[[], bool]:
    """Whether the module is installed."""
    return lambda: importlib.util.find_spec(module) is not None


NEEDED: dict[str, tuple[tuple[str, Callable[[], bool]], ...]] = {
    "node": (("Node.js", lambda: shutil.which("node") is not None),),
    "sqlite": (),
    "eventsourcing": (("the package eventsourcing", has("eventsourcing")),),
    "procrastinate": (("the package procrastinate", has("procrastinate")), ("a PostgreSQL server", has_postgres)),
    "redis": (("the package redis", has("redis")), ("a redis-server", has_redis)),
}
"""What the examples do not run without."""

BY_THE_TIME_OF_DAY = ("redis",)
"""Which fault is met first is a matter of milliseconds: that there is one is all that follows from the seed."""

SLOW = ("procrastinate",)
"""A call is several queries, and a violation is shrunk by hundreds of calls."""


def report_of(folder: Path) -> tuple[str, set[str]]:
    """The verdict of a report, and the requirements that failed."""
    found = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return found["verdict"], {each["id"] for each in found["requirements"] if each["verdict"] == "failed"}


def test_every_example_is_in_the_table() -> None:
    """Each folder with an adapter has a row with its verdict and its command."""
    folders = {each.name for each in (ROOT / "examples").iterdir() if each.is_dir() and not each.name.startswith(("_", "."))}
    assert {each.folder for each in EXAMPLES if each.is_published} == folders == set(NEEDED)


@pytest.mark.parametrize(
    "row",
    [pytest.param(each, marks=[pytest.mark.slow] if each.folder in SLOW else []) for each in EXAMPLES],
    ids=lambda row: shlex.join(row.words[2:3]),
)
def test_a_quick_run_ends_as_the_table_and_the_report_say(row: Example, tmp_path: Path) -> None:
    """Same seed, few examples: the same verdict, and the same requirements violated, one of those named by the time of day."""
    for what, is_there in NEEDED[row.folder]:
        if not is_there():
            pytest.skip(f"{what} is not here")
    found = subprocess.run(
        [
            sys.executable,
            "-m",
            "fencepost.kit",
            *row.words,
            "--examples",
            "2" if row.verdict == "conforms" else "4",
            "--report",
            str(tmp_path),
        ],
        cwd=ROOT / "examples" / row.folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (found.returncode, found.stderr) == (EXIT_CODES[row.verdict], ""), found.stdout[-2_000:] + found.stderr
    if row.folder in BY_THE_TIME_OF_DAY:
        verdict, failed = report_of(ROOT / "reports" / row.folder)
        assert report_of(tmp_path)[0] == verdict == row.verdict
        assert not row.is_published or failed <= set(row.failed)
        return
    verdict, failed = report_of(tmp_path)
    # so few examples may show a part of what a whole run does, and nothing else
    assert (verdict, bool(failed)) == (row.verdict, bool(row.failed))
    assert failed <= set(row.failed)
    if row.is_published:
        assert report_of(ROOT / "reports" / row.folder) == (row.verdict, set(row.failed))
