"""Nothing is left behind in a user's folder."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator

from hypothesis.configuration import set_hypothesis_home_dir


@contextlib.contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Hypothesis keeps notes on sources in a folder of the current directory, which is the user's: they go elsewhere."""
    with tempfile.TemporaryDirectory(prefix="fencepost-") as directory:
        set_hypothesis_home_dir(directory)
        try:
            yield
        finally:
            set_hypothesis_home_dir(None)
