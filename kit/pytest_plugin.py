"""The plug-in of pytest: `pytest --fencepost-backend module:factory` adds the tests of that backend, one for each section.

A test carries the ids of its requirements in the marker `fencepost`; `-k LEASE-6` chooses by them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .groups import Group, Runs

KIT = (
    "histories.background",
    "histories.judge",
    "histories.orders",
    "histories.shown",
    "histories.trial",
    "pipe",
    "proving.prove",
    "showing.counterexample_html",
    "showing.mermaid",
    "showing.trace",
)
MACHINES = ("attachment", "crew", "draws", "event", "maintenance", "output", "queued_work", "runtime", "turn_input")
ASSERTING = (*(f"fencepost.kit.{name}" for name in KIT), *(f"fencepost.statemachines.{name}" for name in MACHINES))
"""What of ours asserts: an assertion that fails in somebody's tests is to show what it compared."""

# once imported it is too late
pytest.register_assert_rewrite(*(name for name in ASSERTING if name not in sys.modules))


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("fencepost", "hold a store against the executable specification")
    group.addoption("--fencepost-backend", metavar="MODULE:FACTORY", help="Add the tests of this backend.")
    group.addoption("--fencepost-stores", metavar="NAME,NAME", help="Only these protocols.")
    group.addoption("--fencepost-chapters", metavar="NAME,NAME", help="Only these chapters.")
    group.addoption("--fencepost-seed", type=int, default=0, metavar="SEED", help="Draws the calls (default: 0).")
    group.addoption("--fencepost-examples", type=int, metavar="N", help="Fresh stores a chapter.")
    group.addoption("--fencepost-steps", type=int, metavar="N", help="Steps an example, at most.")
    group.addoption(
        "--fencepost-strict", action="store_true", help="Fail where the store differs from a CURRENT requirement, too."
    )


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line("markers", "fencepost(*ids): holds a store against these requirements of the specification")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let requirement ids choose among tests."""
    for marker in item.iter_markers("fencepost"):
        item.extra_keyword_matches.update(marker.args)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the tests of the backend, before others choose among them."""
    name = config.getoption("--fencepost-backend")
    if not name:
        return
    # imported late: this plug-in is loaded by every run of pytest on a machine that has fencepost
    from .groups import groups_of

    runs = _runs(name, config)
    added: list[pytest.Item | pytest.Collector] = []
    for chapter in _chapters(runs.offered, config):
        for group in groups_of(chapter):
            # up to the last colons it is the scope that xdist's `--dist loadscope` leaves to one worker
            node = f"fencepost::{chapter}::{group.name}"
            added.append(GroupItem.from_parent(session, name=node, nodeid=node, group=group, runs=runs))
    items += (each for each in added if isinstance(each, GroupItem))
    # those who count what is collected do so by such reports
    config.hook.pytest_collectreport(report=pytest.CollectReport("fencepost", "passed", None, added))


def _runs(name: str, config: pytest.Config) -> Runs:
    from .backend import BackendError, load_factory
    from .groups import Runs
    from .verify import EXAMPLES, STEPS

    try:
        backend = load_factory(name)
        offered = backend.offers()
    except BackendError as error:
        raise pytest.UsageError(str(error)) from None
    examples, steps = config.getoption("--fencepost-examples") or EXAMPLES, config.getoption("--fencepost-steps") or STEPS
    strict = bool(config.getoption("--fencepost-strict"))
    return Runs(backend, offered, config.getoption("--fencepost-seed"), examples, steps, strict)


def _chapters(offered: tuple[str, ...], config: pytest.Config) -> list[str]:
    from fencepost.spec.operations import PROTOCOLS

    from .choices import chapters_of

    stores = _named("--fencepost-stores", tuple(PROTOCOLS), config)
    if stores and config.getoption("--fencepost-chapters"):
        raise pytest.UsageError("received --fencepost-stores and --fencepost-chapters, expected one of them")
    return list(chapters_of(stores)) if stores else _named("--fencepost-chapters", offered, config) or list(offered)


def _named(option: str, known: tuple[str, ...], config: pytest.Config) -> list[str]:
    asked = config.getoption(option)
    named = [each.strip() for each in asked.split(",")] if asked else []
    unknown = [each for each in named if each not in known]
    if unknown:
        raise pytest.UsageError(f"{option}: received {', '.join(unknown)}, expected some of {', '.join(known)}")
    return named


class GroupItem(pytest.Item):
    """The test of a section."""

    def __init__(self, *, group: Group, runs: Runs, **rest: Any) -> None:
        super().__init__(**rest)
        self._group, self._runs = group, runs
        self.add_marker(pytest.mark.fencepost(*group.ids))
        self.extra_keyword_matches.update(group.ids)

    def runtest(self) -> None:
        """Tell what the run of the chapter, made by its first test, found of the section."""
        from .groups import settle

        settle(self._group, self._runs, self.user_properties.append)

    def reportinfo(self) -> tuple[str, int | None, str]:
        """Where a failure is shown to be."""
        return self._runs.backend.name, None, self.name
