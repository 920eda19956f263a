"""How fast a scope is searched, next to the plainest search of the same worlds: bare tuples, one call at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from fencepost.statemachines.explore import Search
from fencepost.statemachines.scope import Scope
from fencepost.statemachines.scopes import SCOPES

from . import bare_commits, bare_inputs, bare_lease, bare_logs, bare_work
from .plain import KEPT, Found, allocated, plainly

CASES = bare_lease.CASES | bare_inputs.CASES | bare_work.CASES | bare_commits.CASES | bare_logs.CASES


def scope(chapter: str) -> Scope:
    """The default scope, but of leases a larger one, in which no process is known."""
    return SCOPES[chapter](bare_lease.BOUNDS if chapter == "lease" else None)


def bare(chapter: str) -> Found:
    """Worlds and calls of the plain search."""
    return plainly(CASES[chapter])


def explored(chapter: str) -> Found:
    """Worlds and calls of the search of the model itself, symmetry not reduced."""
    found = Search(scope(chapter), reduce=False).run()
    KEPT[:] = [found]
    return found.figures.states, found.figures.calls


@pytest.mark.parametrize("search", [bare, explored])
@pytest.mark.parametrize("chapter", SCOPES)
def test_search(benchmark: Any, rate: Callable[[str], None], chapter: str, search: Callable[[str], Found]) -> None:
    benchmark.group = f"{chapter} scope, every world"
    found = benchmark.pedantic(search, (chapter,), rounds=1)
    assert found == CASES[chapter].found
    rate(f"{chapter}, {search.__name__}: {found[0]:,} worlds, {found[1] / benchmark.stats.stats.median:,.0f} calls/s")


@pytest.mark.parametrize("search", [bare, explored])
@pytest.mark.parametrize("chapter", SCOPES)
def test_memory(rate: Callable[[str], None], chapter: str, search: Callable[[str], Found]) -> None:
    rate(f"{chapter}, {search.__name__}: {allocated(search, chapter):,.0f} bytes a world")


@pytest.mark.parametrize("chapter", [name for name in SCOPES if SCOPES[name]().has_symmetry])
def test_symmetry(rate: Callable[[str], None], chapter: str) -> None:
    began = time.perf_counter()
    figures = Search(scope(chapter)).run().figures
    rate(f"{chapter}, up to symmetry: {figures.states:,} states in {time.perf_counter() - began:.1f} s")
