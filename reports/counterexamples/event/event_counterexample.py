"""A counterexample that `fencepost verify` found: it fails while the fault is there, and passes once it is gone."""

import sys
from pathlib import Path
from uuid import UUID

from fencepost.spec import (
    AgentEventEnvelope,
    AgentEventText,
    AppendToFinishedTurn,
    StoreError,
)
from fencepost.statemachines.environment import Environment

# the backend is looked for in the folder that pytest is started in, too
sys.path.insert(0, str(Path.cwd()))

from faulty_logs import TakesMore as open_store  # noqa: E402


def test_event_8(tmp_path: Path) -> None:
    """EVENT-8: Appending to a finished turn is refused with
    AppendToFinishedTurn.
    """

    environment = Environment(tmp_path)
    store = open_store(environment)

    store.finish_turn("th", 1)

    # EVENT-8: Appending to a finished turn is refused with AppendToFinishedTurn.
    # expected: refused with AppendToFinishedTurn(thread_id='th', turn=1)
    # given:    None
    try:
        answer = store.append(
            "th",
            1,
            AgentEventEnvelope(
                UUID("00000000-0000-4000-8000-000000000000"),
                0,
                "2026-01-01T00:00:00Z",
                AgentEventText("m", "t"),
            ),
        )
    except StoreError as error:
        answer = error

    assert answer == AppendToFinishedTurn("th", 1), answer
