"""Nothing is left behind in a user's folder."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hypothesis.configuration import set_hypothesis_home_dir

from .console import complain
from .result import Verdict
from .supervision import LEFT_OVER, about_to_end, remove


@contextlib.contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Hypothesis keeps notes on sources in a folder of the current directory, which is the user's: they go elsewhere.

    All that is temporary goes to one folder, so that a process that has to end at once can clean up with `swept`.
    """
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory(prefix="fencepost-", ignore_cleanup_errors=True) as directory:
        # what a store starts may run as another user, and has its own folders in here
        os.chmod(directory, 0o711)
        set_hypothesis_home_dir(directory)
        tempfile.tempdir = directory
        SWEPT.append(Path(directory))
        LEFT_OVER.write(directory)
        try:
            yield
        finally:
            SWEPT.pop()
            LEFT_OVER.write("")
            tempfile.tempdir = before
            set_hypothesis_home_dir(None)


SWEPT: list[Path] = []


def sweep() -> None:
    """Remove what is temporary, and end what adapters have started, for a process that ends at once."""
    for each in SWEPT:
        remove(each)


def leave_at_once(sentence: str) -> None:
    """Say why nothing could be evaluated, and end the process, from whatever thread: it is in a call that nothing can end."""
    complain(sentence)
    end_at_once(Verdict.not_evaluated.exit_code)


def end_at_once(code: int) -> None:
    """End the process with this exit code, from whatever thread."""
    sweep()
    about_to_end(code)
    os._exit(code)
