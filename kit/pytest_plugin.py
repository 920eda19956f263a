"""The plug-in of pytest: `pytest --fencepost-backend module:factory` adds a test for each chapter of that backend."""

from __future__ import annotations

from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("fencepost", "hold a store against the executable specification")
    group.addoption("--fencepost-backend", metavar="MODULE:FACTORY", help="Add a test for each chapter of this backend.")
    group.addoption("--fencepost-chapters", metavar="NAME,NAME", help="Only these chapters.")
    group.addoption("--fencepost-seed", type=int, default=0, metavar="SEED", help="Draws the calls (default: 0).")
    group.addoption("--fencepost-examples", type=int, metavar="N", help="Fresh stores a chapter.")


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line("markers", "fencepost(chapter): holds a store against this chapter of the specification")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the tests of the backend, before others choose among them."""
    name = config.getoption("--fencepost-backend")
    if not name:
        return
    # imported late: this plug-in is loaded by every run of pytest on a machine that has fencepost
    from .backend import BackendError, load_factory

    try:
        backend = load_factory(name)
        offered = backend.offers()
    except BackendError as error:
        raise pytest.UsageError(str(error)) from None
    asked = config.getoption("--fencepost-chapters")
    chapters = [each.strip() for each in asked.split(",")] if asked else list(offered)
    unknown = [each for each in chapters if each not in offered]
    if unknown:
        raise pytest.UsageError(f"--fencepost-chapters: received {', '.join(unknown)}, expected some of {', '.join(offered)}")
    items.extend(
        ChapterItem.from_parent(session, name=name, nodeid=name, backend=backend, chapter=chapter, offered=offered)
        for chapter, name in ((each, f"fencepost[{each}]") for each in chapters)
    )


class ChapterItem(pytest.Item):
    """The test of a chapter."""

    def __init__(self, *, backend: Any, chapter: str, offered: tuple[str, ...], **rest: Any) -> None:
        super().__init__(**rest)
        self._run = (backend, chapter, offered)
        self.add_marker(pytest.mark.fencepost(chapter))

    def runtest(self) -> None:
        """Hold the store against the chapter."""
        from .conformance import check, settle
        from .verify import EXAMPLES

        backend, chapter, offered = self._run
        examples = self.config.getoption("--fencepost-examples") or EXAMPLES
        result = check(backend, chapter, offered, self.config.getoption("--fencepost-seed"), examples)
        settle(result, lambda name, value: self.user_properties.append((name, value)))

    def reportinfo(self) -> tuple[str, int | None, str]:
        """Where a failure is shown to be."""
        return self._run[0].name, None, self.name
