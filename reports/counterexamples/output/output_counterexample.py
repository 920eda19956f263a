"""A counterexample that `fencepost verify` found: it fails while the fault is there, and passes once it is gone."""

import sys
from pathlib import Path

from fencepost.spec import OutputRecord, OutputRef, Progress
from fencepost.statemachines.environment import Environment

# the backend is looked for in the folder that pytest is started in, too
sys.path.insert(0, str(Path.cwd()))

from faulty_logs import LosesTheFirst as open_store  # noqa: E402


def test_output_1(tmp_path: Path) -> None:
    """OUTPUT-1: An append makes an id, keeps one record with exactly what it
    was given, and answers the id.
    """

    environment = Environment(tmp_path)
    store = open_store(environment)

    o1 = store.append("t", 1, "writer", Progress("draft"), ())
    # -> out-0000000000
    store.append("t", 1, "writer", Progress(""), ())
    # -> out-0000000001

    # OUTPUT-1: An append makes an id, keeps one record with exactly what it was
    # given, and answers the id.
    # expected: out-0000000000: Progress of "writer" in "t", attempt 1
    # given:    refused with OutputNotFound(message='gone')
    answer = store.get(OutputRef(o1.value))
    assert isinstance(answer, OutputRecord), answer
