"""A store that answers a list of its own: a caller may do with it what it likes, and the store has to stay as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caller import Caller
from fencepost.impl import DuckDBStores
from fencepost.kit.backend import load_factory
from fencepost.kit.duckdb import memory
from fencepost.kit.result import Request, Result, Status, Verdict
from fencepost.kit.showing.counterexample_html import counterexample_page
from fencepost.kit.showing.mermaid import mermaid
from fencepost.kit.showing.program import Claim, program
from fencepost.kit.showing.replay import Outcome, replay
from fencepost.kit.showing.script import Line
from fencepost.kit.showing.telling import in_words
from fencepost.kit.showing.trace import read_trace, trace_of
from fencepost.kit.verify import verify
from fencepost.spec import Cancelled, StoredTurnEvents
from fencepost.statemachines.checker import EMPTY, Call, Event, Move, Performed
from fencepost.statemachines.environment import Environment


class Owning:
    """An event log that keeps the turns of a thread in a list."""

    def __init__(self, stores: DuckDBStores) -> None:
        log = stores.event
        self.append, self.finish_turn, self.clear = log.append, log.finish_turn, log.clear
        self.get_turn, self.get_events, self._read = log.get_turn, log.get_events, log.get_turns
        self._turns: list[StoredTurnEvents] = []
        self._known: tuple[StoredTurnEvents, ...] = ()

    def get_turns(self, thread_id: str) -> Any:
        """The list itself."""
        turns = self._read(thread_id)
        if turns != self._known:
            self._known, self._turns = turns, list(turns)
        return self._turns


class Copying(Owning):
    """The same, but that it answers a list of the caller's own."""

    def get_turns(self, thread_id: str) -> Any:
        """Another list."""
        return list(self._read(thread_id))


def owning(environment: Environment) -> Owning:
    """A log that hands out its list."""
    return Owning(memory(environment))


def copying(environment: Environment) -> Copying:
    """A log that hands out lists."""
    return Copying(memory(environment))


def held(name: str, examples: int) -> Result:
    """A small run."""
    backend = f"test_handed_out:{name}"
    return verify(load_factory(backend), Request(backend, ("event",), 0, examples, 30))


def test_a_list_of_the_store_is_emptied_by_its_caller() -> None:
    """It is VALUE-4 that is broken, and both the program and the words say what the caller did."""
    (found,) = held("owning", 20).counterexamples
    assert found.requirements[0] == "VALUE-4"
    assert found.reproduces
    assert [each.call.operation for each in found.performed] == ["event.append", "get_turns", "get_turns"]
    emptied = "if isinstance(listed, list):\n    listed.clear()  # it is the caller's own\n"
    assert f'listed = store.get_turns("th")\n# -> turn 1: AgentEventText 1\n{emptied}' in found.program
    assert "After call 2 the caller empties the list that it was given." in in_words(found)
    assert "Note over store: the caller empties the list that it was given\n" in mermaid(found)
    page = counterexample_page(found, Request("test_handed_out:owning", ("event",), 0, 20, 30))
    assert page.count("the caller empties the list that it was given") == 2


def test_the_trace_of_a_list_that_was_emptied_comes_back(tmp_path: Path) -> None:
    """Replayed, the list is emptied again: that shows the fault where it is, and is nothing to a store without it."""
    request = Request("test_handed_out:owning", ("event",), 0, 20, 30)
    (found,) = held("owning", 20).counterexamples
    path = tmp_path / "event.jsonl"
    path.write_bytes(trace_of(found, request))
    trace = read_trace(str(path))
    assert [event.action for event in trace.events if isinstance(event.action, Move)] == [Move("empty", ())]
    outcomes = [replay(load_factory(f"test_handed_out:{name}"), trace).outcome for name in ("owning", "copying")]
    assert outcomes == [Outcome.reproduced, Outcome.gone]


def test_the_program_passes_once_the_list_is_a_copy() -> None:
    """It takes lists for what they are, a sequence, as the kit does."""
    (found,) = held("owning", 20).counterexamples
    mended = found.program.replace("import owning as", "import copying as")
    assert mended != found.program
    exec(compile(mended, "mended", "exec"), {"__name__": "mended"})


def test_a_list_that_is_the_callers_may_be_emptied() -> None:
    """A store that answers lists conforms, and VALUE-4 was reached."""
    result = held("copying", 5)
    assert result.verdict is Verdict.conforms
    (value_4,) = (each for each in result.judged if each.requirement.id == "VALUE-4")
    assert value_4.status is Status.passed


def test_a_list_that_was_emptied_keeps_its_name_in_a_program() -> None:
    """What it held is called by its name later on."""
    row = Caller("fencepost.kit.duckdb:memory").submits("one")
    listed, cancelled = Call("list_pending_turn_inputs", ("s",)), Call("cancel_pending_turn_input", ("s", row.input_id))
    script = (
        Line((), Performed(1_000, listed, (row,))),
        Line((Event(1_000, EMPTY),), Performed(1_000, cancelled, None)),
    )
    text = program(Claim(script, (Cancelled(row),), "", "it says"), "fencepost.kit.duckdb:memory").text
    assert "\nx1 = tuple(listed)\nif isinstance(listed, list):\n    listed.clear()  # it is the caller's own\n" in text
    assert 'answer = store.cancel_pending_turn_input("s", x1[0].input_id)\n' in text
