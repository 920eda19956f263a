"""Crowds: there is one of everything that is listed, the model passes, and a store that ends a list at a page does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import pytest
from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.checker import Call, Violation
from fencepost.statemachines.crowds import CROWDS, crowded
from fencepost.statemachines.environment import CAPABILITIES, Environment
from fencepost.statemachines.machine import Setup
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.run import CHAPTERS, MACHINES


class Paged(ModelStore):
    """A store whose lists end at a page."""

    size = 100

    def _call(self, operation: Any, arguments: tuple[Any, ...]) -> Any:
        answer = super()._call(operation, arguments)
        return answer[: self.size] if isinstance(answer, tuple) else answer


class Small(Paged):
    """The same with small pages."""

    size = 10


def found(kind: type[ModelStore], chapter: str, directory: Path) -> Violation | None:
    """The violation that the crowds of a chapter end in."""
    setup = Setup(kind, directory)
    setup.declared = frozenset(CAPABILITIES) - {"reopen"}
    return crowded(MACHINES[chapter], setup)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_model_passes(chapter: str, tmp_path: Path) -> None:
    """Every chapter has a crowd, and none of them is beyond the law."""
    assert CROWDS[chapter]
    assert found(ModelStore, chapter, tmp_path) is None


LISTED = {
    "turn_input": ("list_pending_turn_inputs", "LIST-1", 104),
    "queued_work": ("list_queued_work", "QUEUE-7", 104),
    "runtime": ("load_input_states", "RUNTIME-8", 102),
    "attachment": ("list_uncommitted", "ATT-1", 102),
    "event": ("get_events", "EVENT-22", 102),
    "output": ("list_for_attempt", "OUTPUT-21", 102),
}


@pytest.mark.parametrize("chapter", LISTED)
def test_a_list_that_ends_at_the_hundredth_is_short(chapter: str, tmp_path: Path) -> None:
    """The smallest crowd that shows it has 101, and no call is left out of it."""
    read, requirement, calls = LISTED[chapter]
    violation = found(Paged, chapter, tmp_path)
    assert violation is not None
    assert (violation.performed[-1].call.operation, violation.requirements[0]) == (read, requirement)
    assert len(violation.program) == calls


def test_a_list_that_ends_at_the_tenth_is_shown_by_eleven(tmp_path: Path) -> None:
    """A small crowd is shortened like what is drawn: eleven appends, and the read that follows the last."""
    violation = found(Small, "event", tmp_path)
    assert violation is not None
    assert violation.performed[-1].call.operation == "get_events"
    made = [event.action.operation for event in violation.program if isinstance(event.action, Call)]
    assert made == ["event.append"] * 11


class Forgetting(ModelStore):
    """A store that keeps fifty threads, and no more."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.threads: dict[str, None] = {}

    def _call(self, operation: Any, arguments: tuple[Any, ...]) -> Any:
        if operation.name == "event.append":
            self.threads[arguments[0]] = None
        elif operation.name == "get_turns" and arguments[0] not in [*self.threads][-50:]:
            return ()
        return super()._call(operation, arguments)


def test_a_thread_that_is_forgotten_for_others_is_not_left_alone_by_them(tmp_path: Path) -> None:
    """It takes fifty others, and what they may not do is the likeliest requirement."""
    violation = found(Forgetting, "event", tmp_path)
    assert violation is not None
    assert violation.requirements[:2] == ("EVENT-2", "EVENT-20")
    assert len({each.call.arguments[0] for each in violation.performed}) == 51


def test_ctrl_c_ends_the_search_for_the_smallest(tmp_path: Path) -> None:
    """What was found by then is the violation, of the whole crowd."""
    opened: list[int] = []

    def factory(environment: Environment) -> Small:
        opened.append(1)
        if len(opened) == 2:
            raise KeyboardInterrupt
        return Small(environment)

    setup = Setup(factory, tmp_path)
    setup.declared = frozenset(CAPABILITIES) - {"reopen"}
    violation = crowded(MACHINES["output"], setup)
    assert violation is not None
    assert (violation.interrupted, len(violation.program), violation.requirements[0]) == (True, 103, "OUTPUT-21")


def test_a_violation_is_told_before_a_smaller_crowd_is_looked_for(tmp_path: Path) -> None:
    """Whoever watches is told with a tally that has no step yet, while one store alone was opened."""
    opened: list[Environment] = []
    told: list[tuple[int, int]] = []

    def factory(environment: Environment) -> Small:
        opened.append(environment)
        return Small(environment)

    setup = Setup(factory, tmp_path, progress=lambda tally: told.append((tally.steps, len(opened))))
    setup.declared = frozenset(CAPABILITIES) - {"reopen"}
    assert crowded(MACHINES["output"], setup) is not None
    assert (0, 1) in told


def test_there_is_a_crowd_of_all_that_is_listed(tmp_path: Path) -> None:
    """Every call that answers a sequence is made on a crowd, but for one that answers for what it was asked."""
    made: set[str] = set()

    class Noting(ModelStore):
        def _call(self, operation: Any, arguments: tuple[Any, ...]) -> Any:
            made.add(operation.name)
            return super()._call(operation, arguments)

    for chapter in CHAPTERS:
        assert found(Noting, chapter, tmp_path) is None
    listing = {name for name, each in OPERATIONS.items() if _is_sequence(get_type_hints(each.method)["return"])}
    assert listing - made == {"cancel_pending_turn_inputs"}


def _is_sequence(answered: Any) -> bool:
    return getattr(answered, "__origin__", None) is tuple
