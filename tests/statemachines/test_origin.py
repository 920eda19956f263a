"""Where in the code of a store an exception was raised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fencepost.statemachines import origin
from fencepost.statemachines.origin import OURS, where_raised


def raised_in(file: str, body: str = "raise OSError('gone')") -> BaseException:
    """What a function raises that stands in line 2 of a file of this name."""
    names: dict[str, Any] = {"json": json}
    exec(compile(f"def run():\n    {body}\n", file, "exec"), names)  # code of another file
    with pytest.raises((OSError, ValueError)) as caught:
        names["run"]()
    trace = caught.value.__traceback__
    # the first entry is of this file
    return caught.value.with_traceback(trace and trace.tb_next)


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (raised_in("/home/me/store.py"), " (store.py, line 2)"),
        (raised_in("/home/me/store.py", "json.loads('{')"), " (store.py, line 2)"),
        (raised_in(f"{origin.OTHERS[1]}engine/store.py"), " (store.py, line 2)"),
        (raised_in(f"{OURS[0]}kit/model.py"), ""),
        (raised_in("<frozen engine>"), ""),
        (OSError("never raised"), ""),
    ],
)
def test_it_is_the_innermost_line_of_a_store(error: BaseException, where: str) -> None:
    """What is installed is named where there is nothing else, and what is ours never."""
    assert where_raised(error) == where


def test_a_store_may_stand_in_a_folder_whose_name_begins_like_ours() -> None:
    """It is no part of ours."""
    assert where_raised(raised_in(f"{Path(OURS[0])}_mine/store.py")) == " (store.py, line 2)"


def test_a_name_that_no_file_can_have_is_shown_as_it_can_be() -> None:
    """It would be no line of a program, and no text of a report."""
    assert where_raised(raised_in("a\n\ud800.py")) == r" (a\n\ud800.py, line 2)"
