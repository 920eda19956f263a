"""Runs that go on for a given time, or at several seeds at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import fencepost.kit.verify as verify_module
import pytest
from fencepost.kit.backend import load_factory
from fencepost.kit.result import Request, Verdict
from fencepost.kit.verify import Observer, verify
from fencepost.kit.workers import verify_at_once
from fencepost.statemachines import calls as calls_module
from fencepost.statemachines.checker import Checker
from fencepost.statemachines.following import Call, Made


@pytest.mark.slow
def test_a_budget_goes_where_most_is_unreached() -> None:
    """Every chapter has an example, and those that still miss more have more of them; the time is that of the budget."""
    backend = load_factory("fencepost.kit.model:Model")
    result = verify(backend, Request(backend.name, ("lease", "commit"), seconds=6))
    examples = {each.chapter: each.tally.runs for each in result.runs}
    assert result.verdict is Verdict.conforms
    assert min(examples.values()) >= 1
    assert sum(examples.values()) > 2
    assert result.request.command.endswith("--seed 0 --budget 6s --steps 1 --chapters lease,commit")


@pytest.mark.parametrize("backend", ["Bent", "Unfenced"])
@pytest.mark.parametrize("budget", [100, 200])
def test_a_budget_is_over_with_the_call_that_it_ends_in(backend: str, budget: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes on: an example, or the search for a shorter program; after that no other call is made."""
    calls = 0
    answer = Checker.made

    def counted(checker: Checker, call: Call) -> Made:
        nonlocal calls
        made = answer(checker, call)
        # each takes a second
        calls += 1
        return made

    monkeypatch.setattr(Checker, "made", counted)
    monkeypatch.setattr(verify_module, "time", SimpleNamespace(monotonic=lambda: calls))
    monkeypatch.setattr(calls_module, "time", SimpleNamespace(monotonic=lambda: calls))
    name = f"faulty:{backend}"
    result = verify(load_factory(name), Request(name, ("commit",), 0, 1, 50, seconds=budget))
    assert result.runs[0].tally.steps > 10
    assert calls in (budget, budget + 1)


def test_a_budget_that_is_over_before_a_chapter_begins_is_no_pass() -> None:
    """One sentence names all chapters that had no turn."""
    backend = load_factory("fencepost.kit.model:Model")
    result = verify(backend, Request(backend.name, ("lease", "event", "output"), 0, 1, 50, seconds=0.001))
    assert result.verdict is Verdict.not_evaluated
    # a first chapter may just have begun
    assert result.troubles[-1] in (
        "The 0.001 s were over before event, output began: give more, or choose fewer chapters.",
        "The 0.001 s were over before lease, event, output began: give more, or choose fewer chapters.",
    )


def test_a_chapter_that_violates_has_no_more_turns() -> None:
    """The others go on; the counterexample is that of the first violation."""
    result = verify(load_factory("faulty:Crashing"), Request("faulty:Crashing", ("lease",), seconds=30, steps=30))
    assert result.verdict is Verdict.violates
    assert result.seconds < 20


def test_workers_run_the_next_seeds_too_and_give_one_result() -> None:
    """Two seeds count as much as one after the other; a store's own exception comes over as it is or as a text."""
    backend = load_factory("fencepost.kit.model:Model")
    request = Request(backend.name, ("event",), 3, 2, 20)
    alone = [verify_at_once(backend, replace(request, seed=seed), Observer(), 10) for seed in (3, 4)]
    both = verify_at_once(backend, replace(request, workers=2), Observer(), 10)
    assert both.verdict is Verdict.conforms
    assert both.steps == sum(each.steps for each in alone)
    assert both.runs[0].tally.reached == alone[0].runs[0].tally.reached + alone[1].runs[0].tally.reached
    assert both.request.command.endswith("--chapters event --workers 2")
    assert both.request.origin == "seeds 3 to 4"


def test_workers_bring_counterexamples_with_exceptions_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that cannot be sent to another process is told by its text."""
    (tmp_path / "unsendable.py").write_text(UNSENDABLE)
    monkeypatch.chdir(tmp_path)
    backend = load_factory("unsendable:Store")
    result = verify_at_once(backend, Request(backend.name, ("event",), 0, 2, 20, workers=2), Observer(), 10)
    (found,) = result.counterexamples
    assert found.requirements[0] == "VALUE-6"
    assert repr(found.last.answer) == "Crash(error=RuntimeError('NoArguments: gone'), where=' (unsendable.py, line 17)')"


UNSENDABLE = """
from fencepost.statemachines.model_store import ModelStore

class NoArguments(Exception):
    def __init__(self):
        super().__init__("gone")
        self.lock = __import__("threading").Lock()

class Events:
    def __init__(self, events):
        self._events = events

    def __getattr__(self, name):
        return getattr(self._events, name)

    def finish_turn(self, thread_id, turn):
        raise NoArguments

class Store(ModelStore):
    def __init__(self, environment):
        super().__init__(environment)
        self.event = Events(self.event)
"""
