"""What a report shows of each counterexample besides: a page, a test, a trace and a diagram, in a folder of the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fencepost.statemachines.run import CHAPTERS

from .counterexample import Counterexample
from .counterexample_html import counterexample_page
from .files import write_whole
from .mermaid import mermaid
from .result import Request, Result
from .trace import trace_of

FOLDER = "counterexamples"
"""Where they stand in the folder of a report."""


def names(chapter: str) -> tuple[str, str, str, str]:
    """The files of the counterexample that a chapter found: the page, the test, the trace and the diagram."""
    return (f"{chapter}.html", f"test_{chapter}.py", f"{chapter}.jsonl", f"{chapter}.mmd")


def write_exhibits(folder: Path, result: Result) -> None:
    """Write the files of all counterexamples; what an earlier run left of others goes. Raises `OSError`."""
    for chapter in CHAPTERS:
        for name in names(chapter):
            (folder / name).unlink(missing_ok=True)
    for found in result.counterexamples:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in zip(names(found.chapter), _contents(found, result.request), strict=True):
            write_whole(folder / name, data)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _contents(found: Counterexample, request: Request) -> Iterator[bytes]:
    # a text may hold what no UTF-8 can say
    yield counterexample_page(found, request).encode(errors="backslashreplace")
    yield found.test.encode(errors="backslashreplace")
    yield trace_of(found, request)
    yield mermaid(found).encode(errors="backslashreplace")
