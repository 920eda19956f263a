"""Every scenario prints what its file says, on the model and on the DuckDB store alike.

With FENCEPOST_REGENERATE=1 the files are written anew from the model's output: review the change as a diff.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

import pytest
from fencepost.impl import DuckDBStores
from fencepost.spec.catalogue import requirements
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore
from runner import Scenario

FILES = sorted(Path(__file__).parent.glob("*.txt"))
NAMES = [file.stem for file in FILES]


def ours(environment: Environment) -> Callable[[], AbstractContextManager[Any]]:
    """Opens the DuckDB stores, in a file."""
    file = environment.directory / "session.duckdb"
    return lambda: DuckDBStores(file, clock=environment.clock, process_alive=environment.process_alive)


def the_model(environment: Environment) -> Callable[[], AbstractContextManager[Any]]:
    """Opens the model itself, minting its own tokens and refs: the same one each time."""
    model = ModelStore(environment)
    return lambda: nullcontext(model)


def played(text: str, store: Any, directory: Path) -> str:
    """The scenario with the output of this store."""
    environment = Environment(directory)
    open_store = store(environment)
    with ExitStack() as stack:

        def opened() -> Any:
            stack.close()
            return stack.enter_context(open_store())

        return Scenario(opened, environment).regenerated(text)


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_the_model_plays_the_scenario(file: Path, tmp_path: Path) -> None:
    """The model's output is the file's, to the letter."""
    text = file.read_text(encoding="utf-8")
    output = played(text, the_model, tmp_path)
    if os.environ.get("FENCEPOST_REGENERATE") == "1":
        file.write_text(output, encoding="utf-8")
        return
    assert output == text


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_the_duckdb_store_plays_the_scenario(file: Path, tmp_path: Path) -> None:
    """The store's output is the file's, to the letter."""
    text = file.read_text(encoding="utf-8")
    assert played(text, ours, tmp_path) == text


def test_the_scenarios_cite_requirements_of_the_catalogue() -> None:
    """Each file says which requirements it shows, and all of them exist."""
    for file in FILES:
        cited = set(re.findall(r"\b[A-Z]{2,}(?:-INV)?-\d+[a-z]?\b", file.read_text(encoding="utf-8")))
        assert cited, file.name
        assert cited <= set(requirements()), file.name


def test_there_are_as_many_scenarios_as_expected() -> None:
    """No file is lost to a typing error in its name."""
    assert len(FILES) == 71


def test_a_wrong_output_is_seen(tmp_path: Path) -> None:
    """A scenario whose output was changed by one letter is not what the model prints."""
    text = FILES[0].read_text(encoding="utf-8")
    assert played(text.replace("fence 1", "fence 2", 1), the_model, tmp_path) == text
    assert text.replace("fence 1", "fence 2", 1) != text
