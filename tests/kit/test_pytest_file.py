"""The test file of a counterexample, run by plain pytest in a folder with nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import faulty
from fencepost.kit.backend import load_factory
from fencepost.kit.result import Request
from fencepost.kit.showing.counterexample import MODEL
from fencepost.kit.showing.program import Program
from fencepost.kit.showing.pytest_file import pytest_file
from fencepost.kit.verify import verify
from kinds import KINDS, found

HERE = Path(faulty.__file__).parent


def run(texts: dict[str, str], folder: Path, where: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Plain pytest over files, started in their folder, or where the faulty stores are; else those are importable."""
    paths = [folder / f"test_{name}.py" for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text)
    command = [sys.executable, "-P", "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:fencepost", *map(str, paths)]
    importable = [*filter(None, [os.environ.get("PYTHONPATH")]), *([] if where else [str(HERE)])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(importable), "COLUMNS": "200"}
    return subprocess.run(
        command, cwd=where or folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


TAKEOVER = '''\
"""A counterexample that `fencepost verify` found: it fails while the fault is there, and passes once it is gone."""

import sys
from pathlib import Path

from fencepost.spec import Acquired, LeaseOwnerIdentity
from fencepost.statemachines.environment import Environment

# the backend is looked for in the folder that pytest is started in, too
sys.path.insert(0, str(Path.cwd()))

from faulty import LiveAtTheEdge as open_store  # noqa: E402


def test_lease_6(tmp_path: Path) -> None:
    """LEASE-6: A lease whose expiry equals the present instant has expired;
    one millisecond earlier it is live.
    """

    environment = Environment(tmp_path)
    stores = open_store(environment)
    store = stores.runtime_persistence
'''


def test_a_file_is_one_test_with_the_sentence_of_the_requirement() -> None:
    """Imports, the store in a folder of its own, then what the program does."""
    text = found("takeover").test
    assert text.startswith(TAKEOVER)
    assert text.endswith("    assert isinstance(answer, Acquired), answer\n")


ERRORS = {"commit": "AssertionError", "output": "OutputNotFound", "crash": "OverflowError", "reopened": "AssertionError"}


def test_files_fail_by_themselves_and_pass_without_the_fault(tmp_path: Path) -> None:
    """In an empty folder: with an AssertionError, or with what the store raised; with the model as their store they pass."""
    failed = run({kind: found(kind).test for kind in ERRORS}, tmp_path)
    assert failed.returncode == 1, failed.stdout
    assert "4 failed in" in failed.stdout
    summary = failed.stdout.partition("short test summary")[2]
    for kind, error in ERRORS.items():
        assert re.search(rf"FAILED test_{kind}.py::test_\w+ - ([\w.]+\.)?{error}", summary), summary
    passed = run({kind: mended(kind) for kind in ERRORS}, tmp_path)
    assert passed.returncode == 0, passed.stdout
    assert "4 passed in" in passed.stdout


def mended(kind: str) -> str:
    """The file with the model as its store, which is all stores at once."""
    module, _, store = KINDS[kind].backend.partition(":")
    model, _, name = MODEL.partition(":")
    text, opening = found(kind).test, "store = open_store(environment)"
    part = "" if "stores = " in text else f".{KINDS[kind].chapter}"
    return text.replace(f"from {module} import {store} as", f"from {model} import {name} as").replace(opening, opening + part)


def test_a_backend_in_the_folder_that_pytest_is_started_in_is_found(tmp_path: Path) -> None:
    """As `fencepost verify` finds it, wherever the test lies."""
    failed = run({"found": found("takeover").test}, tmp_path, HERE)
    assert failed.returncode == 1
    assert "AssertionError: Busy(" in failed.stdout


def test_a_file_whose_program_did_not_show_it_again_says_so() -> None:
    """It is not passed off as a test that fails."""
    program = Program("from pathlib import Path", "from m import f as open_store", "setup", "", "check")
    text = pytest_file(program, "GC-1", 'GC-1: A "quoted" \\ sentence.', "m:f", reproduces=False)
    assert text.startswith('"""A counterexample that `fencepost verify` saw, and that did not show when it was called again: ')
    assert '    """GC-1: A \\"quoted\\" \\\\ sentence."""\n' in text
    compile(text.replace("setup", "pass").replace("check", "pass"), "text", "exec")


def test_the_test_of_a_strict_run_holds_ids_against_their_form(tmp_path: Path) -> None:
    """Any other id of another form fails, and the DuckDB store passes, which makes ids of the form."""
    backend = "faulty_logs:OtherIds"
    result = verify(load_factory(backend), Request(backend, ("output",), examples=1, steps=30, strict=True))
    (shown,) = result.counterexamples
    assert (shown.requirements[0], shown.reproduces) == ("OUTPUT-2", True)
    assert 'assert fullmatch(r"out-[0-9a-f]{10}", answer.value), answer' in shown.test
    right = shown.test.replace("from faulty_logs import OtherIds", "from fencepost.kit.duckdb import memory")
    right = right.replace("store = open_store(environment)", "store = open_store(environment).output")
    texts = {"output": shown.test, "another": shown.test.replace("OtherIds", "OthersYet"), "right": right}
    done = run(texts, tmp_path)
    assert "2 failed, 1 passed in" in done.stdout, done.stdout
