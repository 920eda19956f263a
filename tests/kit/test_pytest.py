"""Verification as tests of pytest: by an option, and by a class in a file."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from fencepost.statemachines.run import CHAPTERS

KIT = Path(__file__).parent


def run_pytest(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest in the directory, with our plug-in and no others but those that are named."""
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(KIT)}
    command = [sys.executable, "-m", "pytest", "-p", "fencepost.kit.pytest_plugin", "-p", "no:cacheprovider", "-c", os.devnull]
    return subprocess.run(
        [*command, "--rootdir", str(directory), *words, str(directory)],
        capture_output=True,
        text=True,
        cwd=directory,
        timeout=120,
        env=environment,
        check=False,
    )


FILE = """
import fencepost
from fencepost.kit.duckdb import memory

TestDuckDB = fencepost.conformance(memory, chapters=("lease", "output"), examples=2)
TestLenient = fencepost.conformance("faulty:Lenient", chapters=("lease",), examples=20)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A folder with a file of tests."""
    (tmp_path / "test_stores.py").write_text(FILE)
    return tmp_path


def properties_of(cases: dict[str, ET.Element], name: str) -> dict[str, str]:
    """What JUnit's report says of a test."""
    return {each.attrib["name"]: each.attrib["value"] for each in cases[name].iter("property")}


def test_a_class_has_a_test_for_each_chapter(directory: Path) -> None:
    """One that fails tells the requirement, its sentence, and the program; JUnit says which requirements took part."""
    found = run_pytest(directory, "-v", "--junit-xml=junit.xml", "-o", "junit_family=xunit1")
    assert found.returncode == 1, found.stdout + found.stderr
    assert "test_stores.py::TestDuckDB::test_lease PASSED" in found.stdout
    assert "test_stores.py::TestDuckDB::test_output PASSED" in found.stdout
    assert "test_stores.py::TestLenient::test_lease FAILED" in found.stdout
    assert "VALUE-1: All a call is given" in found.stdout
    assert "assert answer == InvalidArgument(" in found.stdout
    assert "conformance.py:" not in found.stdout
    tests = ET.parse(directory / "junit.xml").iter("testcase")
    cases = {f"{case.attrib['classname']}.{case.attrib['name']}": case for case in tests}
    assert properties_of(cases, "test_stores.TestLenient.test_lease")["fencepost_failed"] == "VALUE-1"
    assert "OUTPUT-1" in properties_of(cases, "test_stores.TestDuckDB.test_output")["fencepost_passed"].split()


def test_the_tests_are_shared_among_workers(directory: Path) -> None:
    """Under xdist each chapter is a test of its own."""
    found = run_pytest(directory, "-p", "xdist", "-n", "2", "-k", "DuckDB")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "2 passed" in found.stdout


def test_the_option_adds_a_test_for_each_chapter(tmp_path: Path) -> None:
    """They can be chosen among and marked like others; the marker names the chapter."""
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    options = ("--fencepost-backend", "fencepost.kit.duckdb:memory", "--fencepost-examples", "1")
    listed = run_pytest(tmp_path, *options, "--collect-only", "-q")
    assert listed.stdout.splitlines()[:11] == ["test_own.py::test_own", *(f"fencepost[{each}]" for each in CHAPTERS)]
    found = run_pytest(tmp_path, *options, "-k", "output or own", "-v", "--strict-markers")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "2 passed, 9 deselected" in found.stdout
    marked = run_pytest(tmp_path, *options, "--fencepost-chapters", "event, output", "-m", "fencepost", "-q")
    assert "2 passed, 1 deselected" in marked.stdout


def test_a_violation_fails_the_test_of_its_chapter(tmp_path: Path) -> None:
    """With the program that shows it, and the command that finds it again."""
    options = ("--fencepost-backend", "faulty:Lenient", "--fencepost-chapters", "lease", "--fencepost-examples", "20")
    found = run_pytest(tmp_path, *options)
    assert found.returncode == 1
    assert "faulty:Lenient violates" in found.stdout
    assert "Again: fencepost verify --backend faulty:Lenient --seed 0 --examples 20" in found.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--fencepost-backend", "nowhere:factory"), "There is no module 'nowhere'"),
        (("--fencepost-backend", "faulty:Lenient", "--fencepost-chapters", "poems"), "received poems, expected some of lease"),
    ],
)
def test_a_mistake_is_a_sentence(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    """What was received and what was expected; no test is run."""
    found = run_pytest(tmp_path, *options)
    assert found.returncode == 4
    assert says in found.stderr + found.stdout
    assert "Traceback" not in found.stderr + found.stdout


def test_without_the_option_nothing_is_added(tmp_path: Path) -> None:
    """The plug-in is loaded by every run of pytest beside it, and is silent."""
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    assert "1 passed" in run_pytest(tmp_path).stdout
