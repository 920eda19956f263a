"""Verification as tests: `TestMyStore = fencepost.conformance(factory)` in a file that pytest collects.

There is a class for each chapter and in it a test for each section of the catalogue. One that fails says which requirement was
broken, and shows the program that breaks it. The machine of a chapter runs once, with the first of its tests.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from fencepost.spec.operations import PROTOCOLS
from fencepost.statemachines.run import CHAPTERS

from .backend import EXPECTED, BackendError, Factory, load_factory, shortened
from .choices import chapters_of
from .groups import Group, Runs, groups_of, settle
from .verify import EXAMPLES, STEPS


def conformance(
    factory: str | Callable[[Any], Any],
    *,
    stores: str | Sequence[str] = (),
    chapters: str | Sequence[str] = (),
    seed: int = 0,
    examples: int = EXAMPLES,
    steps: int = STEPS,
    strict: bool = False,
) -> type:
    """A class of tests, one class in it for each chapter that the factory's store has, or for those that are named.

    `factory` is a backend's factory, or its name, `module:factory`. Chosen is by protocols, `stores`, or by `chapters`; what
    else the store has, `fencepost.kit.declares` says of its factory. Raises `BackendError` for a factory that cannot be used,
    for names that there are not, and for both choices at once.
    """
    if not (isinstance(factory, str) or callable(factory)):
        raise BackendError(f"Received the factory {shortened(factory)}, expected one to call, or its name, {EXPECTED}.")
    protocols, chosen = _names("stores", stores, tuple(PROTOCOLS)), _names("chapters", chapters, CHAPTERS)
    if protocols and chosen:
        raise BackendError("Received stores and chapters, expected one of them: a protocol is a number of chapters.")
    chosen = chosen or chapters_of(protocols)
    backend = load_factory(factory) if isinstance(factory, str) else Factory(_name_of(factory), factory)
    runs = Runs(backend, chosen or backend.offers(), seed, examples, steps, strict)
    # a class for each chapter: `--dist loadscope` of xdist then leaves its tests to one worker
    classes = {_class_name(chapter): _class(chapter, runs) for chapter in runs.offered}
    return type("Conformance", (), {**classes, "__doc__": f"The law, held against {backend.name}."})


def _names(what: str, given: str | Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    expected = f"expected some of {', '.join(known)}"
    if not isinstance(given, str | Sequence) or not all(isinstance(each, str) for each in given):
        raise BackendError(f"Received the {what} {shortened(given)}, {expected}: a name, or several.")
    # as on the command line: "event,output"
    chosen = tuple(each.strip() for each in given.split(",")) if isinstance(given, str) else tuple(given)
    unknown = [each for each in chosen if each not in known]
    if unknown:
        raise BackendError(f"Received the {what} {unknown!r}, {expected}.")
    return chosen


def _class(chapter: str, runs: Runs) -> type:
    tests = {f"test_{group.name}": _test(group, runs) for group in groups_of(chapter)}
    return type(_class_name(chapter), (), {**tests, "__doc__": f"The store obeys the chapter {chapter}."})


def _class_name(chapter: str) -> str:
    return f"Test{chapter.title().replace('_', '')}"


def _test(group: Group, runs: Runs) -> Callable[..., None]:
    import pytest

    def test(self: object, request: pytest.FixtureRequest) -> None:
        # not by the fixture record_property, which warns where JUnit's report is of the usual family
        settle(group, runs, request.node.user_properties.append)

    test.__name__, test.__doc__ = f"test_{group.name}", f"{group.title}."
    with warnings.catch_warnings():
        warnings.simplefilter("error", pytest.PytestUnknownMarkWarning)
        # without the plug-in nobody knows the marker, and nobody reads it
        with contextlib.suppress(pytest.PytestUnknownMarkWarning, pytest.fail.Exception):
            return pytest.mark.fencepost(*group.ids)(test)
    return test


def _name_of(factory: Callable[[Any], Any]) -> str:
    return f"{factory.__module__}:{getattr(factory, '__qualname__', type(factory).__qualname__)}"
