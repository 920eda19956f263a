"""A counterexample of many calls, which a crowd makes: what a person is shown of it, and what its files have."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from fencepost.kit.backend import load_factory
from fencepost.kit.duckdb import memory
from fencepost.kit.result import Request, Result, Verdict
from fencepost.kit.showing.brief import brief
from fencepost.kit.showing.counterexample_html import counterexample_page
from fencepost.kit.showing.telling import in_words
from fencepost.kit.verify import verify
from fencepost.kit.watch import Watch
from fencepost.spec import EventStore
from fencepost.statemachines.environment import Environment


class Paged:
    """An event log whose turns end at the hundredth."""

    def __init__(self, log: EventStore) -> None:
        self._log = log
        self.append: Any = log.append
        self.finish_turn, self.clear = log.finish_turn, log.clear
        self.get_turn, self.get_events, self._read = log.get_turn, log.get_events, log.get_turns

    def get_turns(self, thread_id: str) -> Any:
        """A page of them."""
        return list(self._read(thread_id)[:100])


def paged(environment: Environment) -> Paged:
    """The log."""
    return Paged(memory(environment).event)


class Slow(Paged):
    """The same, a little slow."""

    def __init__(self, log: EventStore) -> None:
        super().__init__(log)
        self.append = self._append

    def _append(self, *arguments: Any) -> None:
        time.sleep(0.012)
        self._log.append(*arguments)


def slow(environment: Environment) -> Slow:
    """The slow log."""
    return Slow(memory(environment).event)


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
    assert "# differs:  item 101 had to be turn 100: Start 100, and is missing\n" in found.program
    assert in_words(found).endswith("Its item 101 had to be turn 100: Start 100, and is missing.")
    assert brief(found.expected).startswith("101 items: turn 0: Start 0, ")
    assert brief(found.last.answer).startswith("100 items: turn 0: Start 0, ")
    assert found.program.endswith('answer = store.get_turns("thread")\nassert len(answer) == 101, answer\n')


def test_of_a_long_program_the_begin_and_the_end_are_shown() -> None:
    """The file of the test has all of it, and the page of a hundred steps stays below a megabyte."""
    (found,) = held().counterexamples
    lines = found.shown.split("\n")
    assert len(lines) == 203
    assert lines[0] == "from pathlib import Path"
    assert lines[101] == "# … 832 lines left out here: the test and the JSON of --report have them"
    assert lines[-1] == "assert len(answer) == 101, answer"
    assert found.test.count("store.append(") == 101
    assert len(counterexample_page(found, REQUEST)) < 1_000_000


@pytest.mark.slow
def test_a_program_of_many_calls_has_their_time() -> None:
    """No call is late, and all of them together are not either."""
    request = replace(REQUEST, backend="test_long_lists:slow", timeout=0.15)
    ended: list[str] = []
    result = verify(load_factory(request.backend), request, watch=Watch(0.15, ended.append))
    (found,) = result.counterexamples
    assert (result.verdict, found.reproduces, ended) == (Verdict.violates, True, [])
