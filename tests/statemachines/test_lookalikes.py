"""Texts that look alike: which are drawn, where they are put, and when a fault is laid on that they look alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fencepost.spec import (
    ImageBlob,
    LeaseOwnerIdentity,
    PendingTurnInputDraft,
    SessionExecutionLeaseFence,
    TurnInput,
    TurnInputIngressNextTurn,
)
from fencepost.statemachines.checker import Call, Event, Violation
from fencepost.statemachines.environment import CAPABILITIES, Environment
from fencepost.statemachines.lookalikes import PAIRS, UNLIKE, in_all, look, renamed, texts, told_apart
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.run import MACHINES, Budget, Setup, run_machine
from msgspec.structs import replace

A = LeaseOwnerIdentity("a", "1")
FENCE = SessionExecutionLeaseFence("s", A, "a", 1)


def test_two_texts_of_a_pair_differ_and_look_alike() -> None:
    """Whatever the text is that they are made of, and nothing that is drawn looks like the plain one."""
    assert [pair("s") for pair in PAIRS] == [
        ("s", "S"),
        ("s", "s "),
        ("s\u00e9", "se\u0301"),
        ("s", "s\0"),
        ("s\0a", "s\0b"),
    ]
    for text in ("s", "", "1", "S%_'\"\0é", "ß", "\ud800"):
        for pair in PAIRS:
            one, other = pair(text)
            assert one != other
            assert look(one) == look(other) != look(UNLIKE)


def test_a_text_is_changed_wherever_a_caller_gave_it() -> None:
    """In records too, but not where it stands for a token that the store has minted."""
    call = Call("renew_session_execution_lease", (replace(FENCE, session_id="a"), 10))
    assert texts(call) == ["a", "1"]
    changed = replace(FENCE, session_id="A", owner=LeaseOwnerIdentity("A", "1"))
    assert renamed(call, "a", "A") == Call("renew_session_execution_lease", (changed, 10))


def test_a_program_with_a_record_that_cannot_be_is_none() -> None:
    """An input has no two images of one id."""
    images = (ImageBlob("one", b""), ImageBlob("two", b""))
    draft = PendingTurnInputDraft(session_id="s", ingress=TurnInputIngressNextTurn(), input=TurnInput(image_blobs=images))
    program = (Event(1_000, Call("enqueue_pending_turn_input", (draft,))),)
    assert in_all(program, "two", "one") is None
    renamed_session = Call("enqueue_pending_turn_input", (replace(draft, session_id="t"),))
    assert in_all(program, "s", "t") == (Event(1_000, renamed_session),)


def test_texts_that_look_alike_are_found_in_all_calls() -> None:
    """Each with the first of its look."""
    calls = [("get_turns", ("th",)), ("clear", ("other",)), ("get_turns", ("TH ",)), ("get_turns", ("th\0",))]
    program = tuple(Event(1_000, Call(*each)) for each in calls)
    assert list(told_apart(program)) == [("th", "TH "), ("th", "th\0")]


class Threads:
    """A store of events that knows a thread by what is left of its name."""

    def __init__(self, environment: Environment, name: Callable[[str], str]) -> None:
        self._store: Any = ModelStore(environment).event
        self._name = name
        self._first: dict[str, str] = {}

    def __getattr__(self, method: str) -> Any:
        def call(thread_id: Any, *arguments: Any) -> Any:
            known = self._first.setdefault(self._name(thread_id), thread_id) if isinstance(thread_id, str) else thread_id
            return getattr(self._store, method)(known, *arguments)

        return call


def found(name: Callable[[str], str], directory: Path) -> Violation:
    """What a run finds in such a store."""
    setup = Setup(lambda environment: Threads(environment, name), directory, declared=frozenset(CAPABILITIES) - {"reopen"})
    violation = run_machine(MACHINES["event"], setup, Budget(0, 40, 50))
    assert violation is not None
    return violation


@pytest.mark.parametrize("name", [str.casefold, str.rstrip, lambda text: text.partition("\0")[0]], ids=["case", "blank", "NUL"])
def test_a_store_that_takes_two_names_for_one_is_told_so(name: Callable[[str], str], tmp_path: Path) -> None:
    """The program has two calls that name two threads, and a read."""
    violation = found(name, tmp_path)
    assert violation.requirements[0] == "VALUE-12"
    assert len(violation.program) <= 3
    assert len(list(told_apart(violation.program))) == 1


def test_a_store_that_takes_all_names_for_one_is_told_something_else(tmp_path: Path) -> None:
    """It would do so with names that look nothing alike."""
    assert "VALUE-12" not in found(lambda _: "", tmp_path).requirements
