"""Verification as tests: `TestMyStore = fencepost.conformance(factory)` in a file that pytest collects.

There is a test for each chapter. One that fails says which requirement was broken, and shows the program that breaks it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fencepost.statemachines.run import CHAPTERS

from .backend import Factory, load_factory
from .result import Request, Result, Status, Verdict
from .verify import EXAMPLES, STEPS, verify


def conformance(
    factory: str | Callable[[Any], Any],
    *,
    chapters: tuple[str, ...] = (),
    seed: int = 0,
    examples: int = EXAMPLES,
    steps: int = STEPS,
    strict: bool = False,
) -> type:
    """A class of tests, one for each chapter that the factory's store has, or of those that are named.

    `factory` is a backend's factory, or its name, `module:factory`. Raises `BackendError` for one that cannot be used.
    """
    backend = load_factory(factory) if isinstance(factory, str) else Factory(_name_of(factory), factory)
    offered = chapters or backend.offers()
    tests = {f"test_{chapter}": _test(backend, chapter, offered, seed, examples, steps, strict) for chapter in offered}
    return type("Conformance", (), {**tests, "__doc__": f"The law, held against {backend.name}."})


def check(
    backend: Factory,
    chapter: str,
    offered: tuple[str, ...] = CHAPTERS,
    seed: int = 0,
    examples: int = EXAMPLES,
    steps: int = STEPS,
    strict: bool = False,
) -> Result:
    """The run of one chapter, as a run of all offered chapters makes it."""
    return verify(backend, Request(backend.name, (chapter,), seed, examples, steps, strict, offered=offered))


def settle(result: Result, record: Callable[[str, str], None]) -> None:
    """End a test as the run ended, with what JUnit's report is to say of it recorded."""
    import pytest

    for name, value in properties(result):
        record(name, value)
    failure = told(result)
    if failure is not None:
        pytest.fail(failure, pytrace=False)


def told(result: Result) -> str | None:
    """What a test that fails says; None for a store that conforms."""
    if result.verdict is Verdict.conforms:
        return None
    lines = [f"{result.request.backend} {result.verdict.value}", *result.troubles]
    for each in result.counterexamples:
        lines += ["", f"{each.requirements[0]}: {each.says}", ""]
        lines += [text for text in (each.story, each.claims) if text]
        lines += ["", each.program.rstrip()]
    return "\n".join([*lines, "", f"Again: {result.request.command}"])


def properties(result: Result) -> list[tuple[str, str]]:
    """What JUnit's report says of the test: which requirements decided answers, failed, or departed."""
    named = {status.value: [each.requirement.id for each in result.with_status(status)] for status in Status}
    shown = (Status.passed.value, Status.failed.value, Status.differs.value)
    return [(f"fencepost_{name}", " ".join(named[name])) for name in shown if named[name]]


def _test(backend: Factory, chapter: str, *how: Any) -> Callable[..., None]:
    import pytest

    @pytest.mark.fencepost(chapter)
    def test(self: object, record_property: Callable[[str, str], None]) -> None:
        settle(check(backend, chapter, *how), record_property)

    test.__name__, test.__doc__ = f"test_{chapter}", f"The store obeys the chapter {chapter}."
    return test


def _name_of(factory: Callable[[Any], Any]) -> str:
    return f"{factory.__module__}:{getattr(factory, '__qualname__', type(factory).__qualname__)}"
