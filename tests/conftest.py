"""What makes the tests as a whole quick, and the same whoever starts them."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator, Iterator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without looks for garbage, of which there is none, and leave what is collected out of all later ones."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_configure() -> None:
    """Let SIGHUP do what it does: whoever starts the tests without a terminal may have made it nothing."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_unconfigure() -> None:
    """Let the interpreter clear up what was left out, when it ends."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where Python may not write beside the sources, every process that a test starts would compile all of them."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.dont_write_bytecode:
            folder = tmp_path_factory.getbasetemp()
            # above that of a worker of pytest-xdist is that of the run
            shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            patch.setenv("PYTHONPYCACHEPREFIX", str(shared / "bytecode"))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let slow tests come first: one that begins last would keep a worker long after the others have ended."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
