"""The catalogue is sound, and it is the spine: every id that code names stands in it, and every id in it is named by code."""

from __future__ import annotations

import ast
import importlib
import re
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from fencepost.spec import catalogue
from fencepost.spec.catalogue import EVIDENCE, Level, Requirement, chapters, requirements

ID = re.compile(r"\b[A-Z]{2,}(?:-INV)?-\d+[a-z]?\b")
"""What looks like a requirement id."""

STANDARDS = {"UTF-8", "SHA-256"}
"""What looks like one and is none."""

FLOORS = ("spec", "model", "impl", "statemachines", "kit")


def sources(*floors: str) -> Iterator[Path]:
    """The source files of these floors."""
    for floor in floors:
        yield from sorted(Path(str(importlib.import_module(f"fencepost.{floor}").__file__)).parent.rglob("*.py"))


def parsed(*floors: str) -> Iterator[ast.Module]:
    """The syntax trees of these floors."""
    for source in sources(*floors):
        yield ast.parse(source.read_text(encoding="utf-8"))


def ids_in(tree: ast.AST) -> set[str]:
    """The string constants that are a requirement id and nothing else: a docstring or a comment never is."""
    constants = (each.value for each in ast.walk(tree) if isinstance(each, ast.Constant))
    return {value for value in constants if isinstance(value, str) and ID.fullmatch(value)}


def ids_of_contracts(tree: ast.AST) -> set[str]:
    """The ids that contracts state: arguments of `ensure`, `ensures` and `ContractBroken`."""
    calls = (each for each in ast.walk(tree) if isinstance(each, ast.Call))
    named: set[str] = set()
    for call in calls:
        function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if function in ("ensure", "ensures", "ContractBroken"):
            named = named.union(*map(ids_in, [*call.args, *(keyword.value for keyword in call.keywords)]))
    return named


def union(found: Callable[[ast.AST], set[str]], *floors: str) -> set[str]:
    """All ids found in these floors."""
    return set[str]().union(*map(found, parsed(*floors)))


@cache
def named() -> set[str]:
    """The ids that the model's code names, and the contracts of the law and of our store.

    Of the chapter on values also those in the machines: what holds of every call is decided where every call is compared.
    """
    of_every_call = {each.id for each in requirements().values() if each.chapter == "values"}
    return union(ids_in, "model") | union(ids_of_contracts, "spec", "impl") | (union(ids_in, "statemachines") & of_every_call)


@pytest.mark.parametrize("requirement", requirements().values(), ids=requirements().keys())
def test_every_requirement_is_named(requirement: Requirement) -> None:
    """A transition, an invariant, a contract or the checker of every call names the requirement: no rule is dead."""
    assert requirement.id in named()


@pytest.mark.parametrize("floor", FLOORS)
def test_code_names_only_requirements_of_the_catalogue(floor: str) -> None:
    """Every id that stands in code is known."""
    assert union(ids_in, floor) <= set(requirements())


@pytest.mark.parametrize("floor", FLOORS)
def test_docstrings_and_comments_cite_only_requirements_of_the_catalogue(floor: str) -> None:
    """Whatever looks like an id, ends of ranges such as `LEASE-3 to LEASE-18` too, is known."""
    cited = {found for source in sources(floor) for found in ID.findall(source.read_text(encoding="utf-8"))}
    assert cited - STANDARDS <= set(requirements())


def test_names_are_collected_from_code_alone() -> None:
    """A docstring, a comment and a longer text name nothing; a contract, a tuple of ids and a decorator do."""
    tree = ast.parse(
        '''
"""LEASE-1"""
"""LEASE-2"""  # not alone
@ensures(lambda result: result, "LEASE-3")
@invariant("LEASE-4")
def f():
    """LEASE-5 decides."""
    # LEASE-6
    return Step("see LEASE-7", ("LEASE-8", "LEASE-9a", *("COMMIT-INV-1",)), ContractBroken(("LEASE-10",), "LEASE-11x2"))
'''
    )
    assert ids_in(tree.body[2]) == {"LEASE-3", "LEASE-4", "LEASE-8", "LEASE-9a", "COMMIT-INV-1", "LEASE-10"}
    assert ids_of_contracts(tree) == {"LEASE-3", "LEASE-10"}


def test_what_looks_like_an_id_is_found_in_running_text() -> None:
    """Single ids, sub-clauses, invariants and both ends of a range."""
    text = "LEASE-3 to LEASE-18, COMMIT-8a; (READ-INV-2) and UTF-8, not Lease-1, X-1 or LEASE-x"
    assert ID.findall(text) == ["LEASE-3", "LEASE-18", "COMMIT-8a", "READ-INV-2", "UTF-8"]


def test_the_chapters_come_in_reading_order() -> None:
    """Values first, then the chapters of the protocol; each has a title, a word on what it is about, and requirements."""
    assert [chapter.name for chapter in chapters()] == [
        *("values", "lease", "claim", "turn_input", "queued_work", "commit", "session", "maintenance", "attachment"),
        *("runtime", "event", "output"),
    ]
    assert all(chapter.title and chapter.about and chapter.requirements for chapter in chapters())


@pytest.mark.parametrize("requirement", requirements().values(), ids=requirements().keys())
def test_a_requirement_is_complete(requirement: Requirement) -> None:
    """One sentence with its evidence; CURRENT says what else is admitted, CAPABILITY which one it is, exemptions why.

    What a store without the capability answers may be said, but a LAW admits nothing else.
    """
    assert ID.fullmatch(requirement.id)
    assert requirement.says[0].isupper()
    assert requirement.says.endswith(".")
    assert requirement.evidence
    assert requirement.admits is not None or requirement.level is not Level.CURRENT
    assert requirement.admits is None or requirement.level is not Level.LAW
    assert (requirement.capability is not None) == (requirement.level is Level.CAPABILITY)
    for text in (requirement.admits, requirement.internal, requirement.unreached, requirement.capability):
        assert text is None or text.strip()


def test_a_chapter_is_divided_into_sections() -> None:
    """Each requirement is in one of them, titles are not used twice in a chapter, and their names are good for code."""
    for chapter in chapters():
        names = [section.name for section in chapter.sections]
        assert tuple(each for section in chapter.sections for each in section.requirements) == chapter.requirements
        assert len(set(names)) == len(names) > 1
        assert all(re.fullmatch("[a-z][a-z_]*[a-z]", name) for name in names)


def test_a_section_goes_on_to_the_next_one() -> None:
    """It is named where it begins."""
    by_title = {section.title: [each.id for each in section.requirements] for section in chapters()[1].sections}
    assert by_title["Renewal"] == ["LEASE-29", "LEASE-30", "LEASE-31", "LEASE-31a", "LEASE-32"]
    assert by_title["Timings of a client"] == ["LEASE-39"]


def test_the_evidence_is_of_known_kinds() -> None:
    """Where a rule comes from is one of eight words."""
    kinds = {kind for requirement in requirements().values() for kind in requirement.evidence}
    assert kinds == {"trait-doc", "in-memory", "sqlite", "redb", "postgres", "conformance", "types", "decided"}
    assert kinds == set(EVIDENCE)


def test_capabilities_are_those_that_can_be_declared() -> None:
    """A store can declare these, and every CAPABILITY requirement is bound to one of them."""
    found = {requirement.capability for requirement in requirements().values()} - {None}
    assert found == {"reopen", "concurrent-callers", "attachments", "blob-reclaim"}


def loaded_from(directory: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Requirement]:
    """The catalogue as the loader reads it from this directory."""
    monkeypatch.setattr(catalogue, "files", lambda _: directory)
    monkeypatch.setattr(catalogue, "chapters", catalogue.chapters.__wrapped__)
    return catalogue.requirements.__wrapped__()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the catalogue's files."""
    for file in Path(str(catalogue.__file__)).parent.glob("*.toml"):
        shutil.copy(file, tmp_path)
    return tmp_path


def test_the_loader_reads_a_copy(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests below change a copy that the loader takes as it is."""
    assert loaded_from(copied, monkeypatch) == requirements()


def test_an_id_in_two_chapters_is_refused(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the id and both chapters."""
    with (copied / "session.toml").open("a", encoding="utf-8") as file:
        file.write('\n[LEASE-1]\nlevel = "LAW"\nsays = "Again."\nevidence = ["types"]\n')
    with pytest.raises(ValueError, match="LEASE-1 stands in lease and in session"):
        loaded_from(copied, monkeypatch)


def test_an_id_twice_in_one_chapter_is_refused(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chapter with two entries of one id is no TOML."""
    with (copied / "lease.toml").open("a", encoding="utf-8") as file:
        file.write('\n[LEASE-1]\nlevel = "LAW"\nsays = "Again."\nevidence = ["types"]\n')
    with pytest.raises(ValueError, match="LEASE-1"):
        loaded_from(copied, monkeypatch)


@pytest.mark.parametrize("entry", ['level = "MAY"', 'level = "LAW"\nadmit = "A slip of the pen."'])
def test_an_unknown_level_or_field_is_refused(entry: str, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in an entry is an error and not a requirement without that text."""
    with (copied / "lease.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[LEASE-99]\nsays = "New."\nevidence = ["types"]\n{entry}\n')
    with pytest.raises((ValueError, TypeError)):
        loaded_from(copied, monkeypatch)
