"""Factories may be coroutines, generators and context managers, and stores may be async."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import openings
import pytest
from fencepost.kit.backend import BackendError, fresh_environment, load_factory
from fencepost.kit.opening import opened
from fencepost.kit.result import Request, Result, Verdict
from fencepost.kit.showing.counterexample import SHARED
from fencepost.kit.verify import verify


def held(name: str, *chapters: str, examples: int = 1) -> Result:
    """A small run."""
    backend = f"openings:{name}"
    return verify(load_factory(backend), Request(backend, chapters, 0, examples, 30))


@pytest.mark.parametrize("name", ["generator", "manager", "async_manager", "coroutine", "async_generator"])
def test_a_factory_of_any_shape_gives_its_store(name: str) -> None:
    """The store is checked like any, and let go by what opened it, each time it was opened."""
    openings.LOG.clear()
    assert held(name, "output").verdict is Verdict.conforms
    half = len(openings.LOG) // 2
    assert name == "coroutine" or half > 1
    assert openings.LOG[:2] * half == openings.LOG
    assert len(set(openings.LOG)) == (0 if name == "coroutine" else 2)


@pytest.mark.parametrize("name", ["async_store", "async_stores", "traced_store", "delegating_store", "async_log"])
def test_async_stores_are_awaited(name: str) -> None:
    """What their methods come to is what they answer; refusals too."""
    result = held(name, "event")
    assert (result.verdict, result.troubles) == (Verdict.conforms, ())
    assert {each.requirement.id: each.count > 0 for each in result.judged}["EVENT-8"]


@pytest.mark.parametrize(
    ("name", "answered"),
    [("patched_store", "<ANY>"), ("guarded_store", "<ANY>"), ("registered_store", "<openings.Unequal object at ")],
)
def test_an_answer_of_another_type_is_caught_whatever_it_equals(name: str, answered: str) -> None:
    """The contract is checked of every method that does not carry it, as a patched or a registered one does not."""
    result = held(name, "event")
    (found,) = result.counterexamples
    assert (result.verdict, result.troubles, found.requirement and found.requirement.id) == (Verdict.violates, (), "VALUE-11")
    assert f"VALUE-11: get_turn answered {answered}" in found.reason


def test_what_earlier_examples_left_in_a_store_is_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    """The program does not fail by itself, and nobody says that it does."""
    openings.SHARED.clear()
    (found,) = held("shared_store", "event", examples=5).counterexamples
    assert not found.reproduces
    assert found.heading == "This was called. Called again, it did not show:"
    assert found.hint == SHARED
    assert "a word" in capsys.readouterr().out


def test_what_a_store_prints_is_no_part_of_the_json() -> None:
    """It goes to standard error."""
    command = [sys.executable, "-m", "fencepost.kit", "verify", "--backend", "openings:shared_store", "--chapters", "event"]
    here = Path(openings.__file__).parent
    ended = subprocess.run([*command, "--json", "-"], capture_output=True, text=True, check=False, cwd=here)
    assert json.loads(ended.stdout)["verdict"] == "violates"
    assert "a word\n" in ended.stderr


def test_nothing_is_checked_without_contracts() -> None:
    """A verdict without postconditions would be none, and the one who turned them off is told."""
    off = os.environ | {"FENCEPOST_CONTRACTS": "off"}
    command = [sys.executable, "-m", "fencepost.kit", "verify", "--chapters", "event", "--examples", "1"]
    ended = subprocess.run(command, capture_output=True, text=True, env=off, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "FENCEPOST_CONTRACTS=off is set, and turns off part of what is to be checked. Expected it unset" in ended.stderr


def test_a_wrong_async_store_is_caught_and_shown_as_a_program() -> None:
    """The program opens the store as the factory wants it."""
    result = held("forgetful", "event", examples=15)
    assert result.verdict is Verdict.violates
    (found,) = result.counterexamples
    assert "from fencepost.kit.opening import opened\nfrom openings import forgetful as factory\n" in found.program
    assert "open_store = opened(factory)\n" in found.program
    assert found.reproduces


def test_what_a_program_opened_stays_open() -> None:
    """Nobody but the program's store holds the generator that gave it, and it is not ended for that."""
    openings.LOG.clear()
    with fresh_environment() as environment:
        store = opened(openings.lasting)(environment)
        gc.collect()
        assert openings.LOG == ["opened"]
        assert store.event is not None


@pytest.mark.parametrize(
    ("name", "says"), [("twice", "RuntimeError: the factory has a second yield"), ("failing", "OSError: the disk is gone")]
)
def test_a_factory_that_does_not_let_go_is_told(name: str, says: str) -> None:
    """A second yield, or an error at the end, is the backend's fault and no verdict."""
    factory = load_factory(f"openings:{name}")
    with fresh_environment() as environment:
        store = factory.open(environment)
        with pytest.raises(BackendError, match=says):
            factory.close(store)
