"""What a report shows of each counterexample besides: a page, a test, a trace and a diagram, in a folder of the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fencepost.statemachines.run import CHAPTERS

from ..files import write_whole
from ..result import Request, Result
from .counterexample import Counterexample
from .counterexample_html import counterexample_page
from .file_names import names
from .mermaid import mermaid
from .trace import trace_of


def write_exhibits(folder: Path, result: Result) -> None:
    """Write the files of all counterexamples; what an earlier run left of others goes. Raises `OSError`."""
    for chapter in CHAPTERS:
        for name in names(chapter).values():
            (folder / name).unlink(missing_ok=True)
    for found in result.counterexamples:
        folder.mkdir(parents=True, exist_ok=True)
        for kind, name in names(found.chapter, is_race=found.is_race).items():
            write_whole(folder / name, _CONTENTS[kind](found, result.request))
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


# a text may hold what no UTF-8 can say
_CONTENTS: dict[str, Callable[[Counterexample, Request], bytes]] = {
    "page": lambda found, request: counterexample_page(found, request).encode(errors="backslashreplace"),
    "test": lambda found, _: found.test.encode(errors="backslashreplace"),
    "trace": trace_of,
    "diagram": lambda found, _: mermaid(found).encode(errors="backslashreplace"),
}
