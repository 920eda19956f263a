"""The pages of the catalogue: those in the repository are what the command writes, and it says what it cannot write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from fencepost.kit.cli import cli
from fencepost.spec.catalogue import requirements

CHAPTERS = Path(__file__).parents[2] / "docs" / "chapters"


def written(folder: Path, *words: str) -> Result:
    """The command, writing to this folder."""
    return CliRunner().invoke(cli, ["requirements", *words, "--markdown", str(folder)], env={"NO_COLOR": "1"})


def texts(folder: Path) -> dict[str, str]:
    """What is in a folder, by name."""
    return {each.name: each.read_text(encoding="utf-8") for each in folder.iterdir()}


def test_the_pages_of_the_repository_are_up_to_date(tmp_path: Path) -> None:
    """`fencepost requirements --markdown docs/chapters` would change nothing, add nothing and leave nothing behind."""
    assert written(tmp_path).exit_code == 0
    assert texts(CHAPTERS) == texts(tmp_path)


def test_every_requirement_has_a_heading(tmp_path: Path) -> None:
    """So that a link to `lease.md#lease-6` leads to LEASE-6."""
    written(tmp_path)
    headings = [each for text in texts(tmp_path).values() for each in re.findall(r"^#### (.+)$", text, re.MULTILINE)]
    assert sorted(headings) == sorted(requirements())


def test_requirements_stand_under_their_sections(tmp_path: Path) -> None:
    """A section is a heading, and the first of its requirements comes next."""
    written(tmp_path, "output")
    text = (tmp_path / "output.md").read_text()
    assert "\n### The latest of a producer\n\n#### OUTPUT-15\n" in text
    assert text.count("\n### ") == 6


def test_a_requirement_is_told_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    """Level, sentence, what is admitted besides, what it binds, why it is not seen, evidence."""
    assert written(tmp_path, "values").exit_code == 0
    (text,) = texts(tmp_path).values()
    assert (
        "#### VALUE-10\n\n**CAPABILITY.** Two handles on one store see each other's acknowledged calls at once, with no "
        "reopening in between.\n\n* Binds a store that declares: `concurrent-callers`.\n"
        "* Not reached: A sequential run holds a single handle.\n"
        "* Evidence: known SQLite store; known PostgreSQL store; known conformance suite; decided here, where the others "
        "differ or are silent.\n"
    ) in text


def test_a_page_names_the_calls_and_the_code(tmp_path: Path) -> None:
    """A newcomer finds the abstract store from here."""
    written(tmp_path, "output")
    assert [each.name for each in tmp_path.iterdir()] == ["output.md"]
    text = (tmp_path / "output.md").read_text()
    assert "\n* `get(id)`: The record of this id. Raises `InvalidArgument`, `OutputNotFound`, `OutputInternal`.\n" in text
    assert "\n* `spec/output.py`, types and calls: Outputs: an append-only log of what agents produced" in text


@pytest.mark.parametrize("name", ["events", "LEASE-6"])
def test_what_is_no_chapter_is_refused(name: str, tmp_path: Path) -> None:
    """One sentence, exit code 2, and nothing written."""
    result = written(tmp_path / "pages", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: There is no chapter '{name}'. Expected one of values, lease, claim,")
    assert not (tmp_path / "pages").exists()


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    """One sentence, exit code 2."""
    (tmp_path / "file").write_text("")
    result = written(tmp_path / "file")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: The pages cannot be written to {tmp_path / 'file'}: File exists. Expected a folder.\n"
