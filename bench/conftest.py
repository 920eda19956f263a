"""Benchmarks compare two things in one run: each group's table gives the ratios, the summary the rates.

Run with `pytest -o testpaths=bench`. Nothing here asserts a time: read the ratios.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

RATES: list[str] = []


@pytest.fixture
def rate() -> Callable[[str], None]:
    """Add a line to the rates printed at the end."""
    return RATES.append


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the ratios of medians in each group, and the rates."""
    groups: dict[str, list[Any]] = {}
    session = getattr(terminalreporter.config, "_benchmarksession", None)
    for measured in session.benchmarks if session else []:
        groups.setdefault(measured.group or measured.name, []).append(measured)
    terminalreporter.section("ratios of medians")
    for group, members in groups.items():
        base = members[0].stats.median
        for each in members:
            terminalreporter.write_line(
                f"{group:34} {each.name:44} {each.stats.median * 1e6:12,.1f} us   x {each.stats.median / base:.2f}"
            )
    for line in RATES:
        terminalreporter.write_line(line)
