"""Counterexamples of stores that are no session's: their calls and ids are written like all others."""

from __future__ import annotations

from uuid import UUID

import pytest
from caller import Caller
from fencepost.kit.backend import load_factory
from fencepost.kit.result import Request
from fencepost.kit.showing.brief import field_at
from fencepost.kit.verify import verify
from fencepost.spec import AgentEventEnvelope, Final, Inline, Json, OutputRef, Progress, Start

ENVELOPE = AgentEventEnvelope(UUID("00000000-0000-4000-8000-000000000000"), 0, "2026-01-01T00:00:00Z", Start("th", 1))


def test_a_call_whose_name_two_stores_have_is_written_as_the_method_that_it_is() -> None:
    """The store is opened alone, the append has its plain name, and the refusal that was due is named."""

    def calls(caller: Caller) -> None:
        caller("event.append", "th", 1, ENVELOPE)
        caller("finish_turn", "th", 1)
        caller("event.append", "th", 1, ENVELOPE)

    found = Caller("faulty_logs:TakesMore", "event").shown(calls)
    assert found.requirements[0] == "EVENT-8"
    assert found.reproduces
    body = found.program.partition("store = open_store(environment)\n\n")[2]
    assert body.startswith('store.finish_turn("th", 1)\n')
    assert "    answer = store.append(\n" in body
    assert body.endswith('assert answer == AppendToFinishedTurn("th", 1), answer\n')


def test_an_id_that_a_store_made_is_written_by_the_answer_that_brought_it() -> None:
    """The record is looked for under the id that its append answered."""

    def calls(caller: Caller) -> None:
        first: OutputRef = caller("output.append", "t", 1, "writer", Progress("draft"), ())
        caller("output.append", "t", 1, "writer", Final(Inline(Json(1)), True), (first,))
        caller("get", first)

    found = Caller("faulty_logs:LosesTheFirst", "output").shown(calls)
    assert found.reproduces
    assert 'o1 = store.append("t", 1, "writer", Progress("draft"), ())\n' in found.program
    assert "store.get(OutputRef(o1.value))" in found.program


def test_an_answer_of_a_built_in_type_is_imported_from_nowhere() -> None:
    """A tuple was due where the store refused."""
    found = Caller("faulty_logs:RefusesTheUnknown", "output").shown(lambda caller: caller("list_for_attempt", "t", 1))
    assert found.requirements[0] == "OUTPUT-22"
    assert "tuple" not in found.program.partition("environment = ")[0]
    assert found.program.endswith("assert isinstance(answer, list | tuple), answer\n")
    assert found.reproduces


def test_of_several_stores_the_one_that_is_called_is_taken() -> None:
    """A backend that gives several is opened as such, and its event store is named."""

    def calls(caller: Caller) -> None:
        caller("event.append", "th", 1, ENVELOPE)

    found = Caller("faulty_logs:Silent", "event").shown(calls)
    assert "\nstores = open_store(environment)\nstore = stores.event\n" in found.program
    assert found.reproduces


@pytest.mark.parametrize("seed", range(3))
def test_a_kind_of_event_that_does_not_matter_is_made_plain(seed: int) -> None:
    """A store that finds the first of a name breaks the order (OUTPUT-15), though a final event came first (OUTPUT-17)."""
    name = "faulty_logs:FirstOfTheName"
    (found,) = verify(load_factory(name), Request(name, ("output",), seed, 25, 50)).counterexamples
    assert found.requirements[0] == "OUTPUT-15"
    assert len(found.performed) == 3
    assert {type(each.call.arguments[3]) for each in found.performed[:2]} == {Progress}


def test_an_assertion_that_is_long_is_broken_into_lines() -> None:
    """As a call is, behind its opening bracket."""

    def late(caller: Caller) -> None:
        caller("finish_turn", "a thread with a long name, " * 2, 2**64 - 1)
        caller("event.append", "a thread with a long name, " * 2, 2**64 - 1, ENVELOPE)

    program = Caller("faulty_logs:TakesMoreOfLongNames", "event").shown(late).program
    assert program.endswith(
        """
assert answer == AppendToFinishedTurn(
    "a thread with a long name, a thread with a long name, ", 2**64 - 1
), answer
"""
    )


def test_a_field_of_several_answers_keeps_its_bracket() -> None:
    """What differs is told alike everywhere, by names and by places in square brackets."""
    assert (field_at("0.finished"), field_at("graph.leaf"), field_at("1")) == ("[0].finished", "graph.leaf", "[1]")
