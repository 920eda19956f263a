"""A counterexample of many calls, which a crowd makes: what a person is shown of it, and what its files have."""

from __future__ import annotations

from typing import Any

from fencepost.kit.backend import load_factory
from fencepost.kit.duckdb import memory
from fencepost.kit.result import Request, Result
from fencepost.kit.showing.counterexample_html import counterexample_page
from fencepost.kit.verify import verify
from fencepost.spec import EventStore
from fencepost.statemachines.environment import Environment


class Paged:
    """An event log whose turns end at the hundredth."""

    def __init__(self, log: EventStore) -> None:
        self.append, self.finish_turn, self.clear = log.append, log.finish_turn, log.clear
        self.get_turn, self.get_events, self._read = log.get_turn, log.get_events, log.get_turns

    def get_turns(self, thread_id: str) -> Any:
        """A page of them."""
        return list(self._read(thread_id)[:100])


def paged(environment: Environment) -> Paged:
    """The log."""
    return Paged(memory(environment).event)


REQUEST = Request("test_long_lists:paged", ("event",), 0, 1, 10)


def held() -> Result:
    """A small run, which ends with the crowds."""
    return verify(load_factory("test_long_lists:paged"), REQUEST)


def test_the_hundred_and_first_turn_is_missed() -> None:
    """The program makes as many calls as it takes and asks how many turns there are, which a mended store answers right."""
    (found,) = held().counterexamples
    assert found.requirements[0] == "EVENT-20"
    assert found.reproduces
    assert [each.call.operation for each in found.performed] == [*("event.append",) * 101, "get_turns"]
    assert found.program.endswith('answer = store.get_turns("thread")\nassert len(answer) == 101, answer\n')


def test_of_a_long_program_the_begin_and_the_end_are_shown() -> None:
    """The file of the test has all of it, and the page of a hundred steps stays below a megabyte."""
    (found,) = held().counterexamples
    lines = found.shown.split("\n")
    assert len(lines) == 203
    assert lines[0] == "from pathlib import Path"
    assert lines[101] == "# … 831 lines left out here: the test and the JSON of --report have them"
    assert lines[-1] == "assert len(answer) == 101, answer"
    assert found.test.count("store.append(") == 101
    assert len(counterexample_page(found, REQUEST)) < 1_000_000
