"""Skeletons of adapters: they run as they are written, and say what is to be written first."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fencepost.kit.adapter import Adapter, StoreCrashed
from fencepost.kit.backend import fresh_environment
from fencepost.kit.cli import cli
from fencepost.kit.scaffold import skeleton_of
from fencepost.spec import LeaseOwnerIdentity
from fencepost.spec.operations import CHAPTERS, OPERATIONS
from fencepost.statemachines.environment import CAPABILITIES

NODE = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js to run the skeleton with")
PROGRAMS = [pytest.param("python", f"{sys.executable} adapter.py"), pytest.param("node", "node adapter.mjs", marks=NODE)]
SKELETONS = Path(__file__).parents[2] / "kit" / "skeletons"


def asked(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What `fencepost` says."""
    return subprocess.run(
        [sys.executable, "-m", "fencepost.kit", *words], capture_output=True, text=True, timeout=120, check=False, cwd=cwd
    )


def scaffold(folder: Path, *words: str) -> Result:
    """What `fencepost adapter scaffold` says."""
    return CliRunner().invoke(cli, ["adapter", "scaffold", "--output", str(folder), *words])


def scaffolded(folder: Path, *words: str) -> Path:
    """A folder with a skeleton in it."""
    found = scaffold(folder, *words)
    assert (found.exit_code, found.stderr) == (0, "")
    return folder


def first_violation(found: subprocess.CompletedProcess[str]) -> str:
    """What the store did that broke the law, on one line."""
    assert found.returncode == 1, found.stderr
    (given,) = re.findall(r"^  given +(.*?)^  found ", found.stdout, re.MULTILINE | re.DOTALL)
    return " ".join(given.split())


def test_the_skeleton_of_a_class_runs_and_names_what_is_to_be_written_first(tmp_path: Path) -> None:
    """The verdict is "violates", and the first violation is a method that says it is not written yet."""
    folder = scaffolded(tmp_path / "mine", "--stores", "output")
    told = first_violation(asked("verify", "--backend", "backend:factory", "--stores", "output", cwd=folder))
    assert (
        told == "raised NotImplementedError: MyOutputStore.append is not written yet: write it in store.py (store.py, line 29)"
    )


@pytest.mark.parametrize(("language", "command"), PROGRAMS)
def test_the_skeleton_of_a_program_speaks_the_protocol_and_names_what_is_to_be_written_first(
    tmp_path: Path, language: str, command: str
) -> None:
    """With all chapters, it passes the self-test of adapters, and its first violation is a method that is not written yet."""
    folder = scaffolded(tmp_path / "mine", "--kind", "program", "--language", language)
    checked = asked("adapter", "check", command, cwd=folder)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "WRONG" not in checked.stdout
    told = first_violation(asked("verify", "--exec", command, "--chapters", "output", cwd=folder))
    assert "MyOutputStore.append is not written yet: write it in store." in told


def test_a_written_method_is_called_with_its_arguments(tmp_path: Path) -> None:
    """Once the four calls of an output log are written, the program of the skeleton conforms."""
    folder = scaffolded(tmp_path / "mine", "--kind", "program", "--stores", "output")
    (folder / "store.py").write_text((folder / "store.py").read_text().partition("class MyOutputStore")[0] + WRITTEN)
    found = asked("verify", "--exec", f"{sys.executable} adapter.py", "--stores", "output", "--examples", "3", cwd=folder)
    assert (found.returncode, found.stderr) == (0, "")


WRITTEN = """class MyOutputStore:
    def __init__(self, environment):
        self.records = []

    def append(self, **given):
        self.records.append({"id": f"out-{len(self.records):010x}", **given})
        return self.records[-1]["id"]

    def get(self, id):
        return self._found([each for each in self.records if each["id"] == id])

    def get_latest_by_name(self, name):
        return self._found([each for each in self.records if each["producer_agent"] == name])

    def list_for_attempt(self, task_id, attempt):
        return [each for each in self.records if (each["task_id"], each["attempt"]) == (task_id, attempt)]

    def _found(self, records):
        if not records:
            raise Refusal("OutputNotFound")
        return records[-1]

    def close(self):
        pass
"""


TOLD = {
    "python": (
        r'raise NotImplementedError\(\s*"MyRuntimePersistence.try_claim[^)]*\)',
        "of = self.environment; alive = [of.process_alive(each, 't') for each in (20, 21, 22)]; "
        "raise ValueError((of.clock(), *alive, of.directory))",
        "ValueError: (1005, 'yes', 'unknown', 'no', '{directory}')",
    ),
    "node": (
        r'throw new Error\("MyRuntimePersistence.try_claim[^)]*\)',
        "const of = this.environment, alive = (pid) => of.processAlive({ text: `${pid}` }, 't'); "
        "throw new Error([of.clock(), alive(20), alive(21), alive(22), of.directory])",
        "Error: 1005,yes,unknown,no,{directory}",
    ),
}
"""What stands in a method that is not written, what to write instead, and what comes of it: all that a store is given."""


@pytest.mark.parametrize(("language", "command"), PROGRAMS)
def test_the_store_of_a_program_is_given_clock_processes_and_directory(tmp_path: Path, language: str, command: str) -> None:
    """They are those of the call: the run's instant, processes that run, are hidden or gone, and the folder for files."""
    folder = scaffolded(tmp_path / "mine", "--kind", "program", "--language", language, "--chapters", "lease")
    (store,) = folder.glob("store.*")
    old, new, told = TOLD[language]
    text, count = re.subn(old, lambda _: new, store.read_text())
    store.write_text(text)
    words = shlex.split(command)
    adapter = Adapter(shlex.join([*words[:-1], str(folder / words[-1])]))
    with fresh_environment() as environment:
        held: Any = adapter(environment).runtime_persistence
        environment.clock.move_to(1_005)
        environment.process_alive.become({20: "t", 21: "t"}, {21})
        with pytest.raises(StoreCrashed) as crash:
            held.try_claim_session_execution_lease("s", LeaseOwnerIdentity("a", "1"), 1)
        assert (count, str(crash.value)) == (1, told.format(directory=environment.directory))
    adapter.pipe.close()


def test_every_call_is_in_the_skeleton_with_its_own_signature(tmp_path: Path) -> None:
    """A class of all chapters has every abstract method, with the parameters and annotations of the abstract stores."""
    folder = scaffolded(tmp_path / "mine")
    namespace: dict[str, Any] = {}
    exec(compile((folder / "store.py").read_text(), "store.py", "exec"), namespace)
    classes = [each for name, each in namespace.items() if name.startswith("My")]
    assert [each.__name__ for each in classes] == ["MyRuntimePersistence", "MyRuntimeStore", "MyEventStore", "MyOutputStore"]
    written = {(name, each.__name__) for each in classes for name in vars(each) if not name.startswith("_") and name != "close"}
    assert len(written) == 50
    for operation in OPERATIONS.values():
        (own,) = (each for each in classes if issubclass(each, CHAPTERS[operation.chapter]))
        assert inspect.signature(getattr(own, operation.method_name)) == inspect.signature(operation.method)


def test_what_a_chapter_cannot_do_without_is_in_the_skeleton_too(tmp_path: Path) -> None:
    """Queued work is claimed under a lease: both have methods to write, and the command that comes next checks both."""
    folder = scaffolded(tmp_path / "mine", "--chapters", "queued_work", "--kind", "program")
    about = json.loads((folder / "protocol.json").read_text())
    assert about["chapters"] == ["lease", "queued_work"]
    assert "--chapters lease,queued_work" in (folder / "README.md").read_text()


@pytest.mark.parametrize("kind", ["python", "program"])
def test_commits_are_read_back_so_sessions_are_in_the_skeleton_too(kind: str, tmp_path: Path) -> None:
    """The command that comes next asks for no call that the skeleton does not have."""
    folder = scaffolded(tmp_path / "mine", "--chapters", "lease,commit", "--kind", kind)
    assert "--chapters lease,commit,session" in (folder / "README.md").read_text()
    assert "def load_session(" in (folder / "store.py").read_text()


def test_no_file_that_is_there_is_touched(tmp_path: Path) -> None:
    """One file of the skeleton is there already: that is said, nothing is written, and the exit code is 2."""
    (tmp_path / "store.py").write_text("mine")
    found = scaffold(tmp_path, "--stores", "event")
    assert (found.exit_code, found.stdout) == (2, "")
    assert found.stderr == (
        f"Error: store.py is there already, in {tmp_path}. Nothing was written: name another --output, or move what is there.\n"
    )
    assert [each.name for each in tmp_path.iterdir()] == ["store.py"]
    assert (tmp_path / "store.py").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """Where a file stands in the way: a sentence, and exit code 2."""
    (tmp_path / "file").write_text("")
    found = scaffold(tmp_path / "file" / "mine", "--stores", "event")
    assert found.exit_code == 2
    assert re.fullmatch(r"Error: The skeleton cannot be written to .*mine: Not a directory. Expected a folder.\n", found.stderr)


def test_a_language_is_that_of_a_program(tmp_path: Path) -> None:
    """A class is in Python, and asking for one in Node.js is a mistake that is said."""
    found = scaffold(tmp_path / "x", "--language", "node")
    assert found.exit_code == 2
    assert "received --language node, expected --kind program beside it" in found.stderr
    assert not (tmp_path / "x").exists()


def test_what_comes_next_is_said(tmp_path: Path) -> None:
    """The files, those of them to edit, and the commands to run."""
    found = scaffold(tmp_path / "x", "--stores", "event", "--kind", "program")
    assert found.stdout.splitlines() == [
        f"Wrote store.py, protocol.json, adapter.py, README.md to {tmp_path / 'x'}. Edit store.py, where EDIT stands.",
        "Next, in that folder:",
        '  fencepost adapter check "python3 adapter.py"',
        '  fencepost verify --exec "python3 adapter.py" --chapters event',
    ]


@pytest.mark.parametrize(
    ("kind", "language", "file", "beyond"),
    [
        ("python", "python", "backend.py", set()),
        ("program", "python", "store.py", {"concurrent-callers"}),
        ("program", "node", "store.mjs", {"concurrent-callers"}),
    ],
)
def test_what_a_store_may_declare_stands_in_its_skeleton(kind: str, language: str, file: str, beyond: set[str]) -> None:
    """Each capability has a line; clock and oracle are declared, all others are there to be switched on."""
    lines = skeleton_of(kind, language, ("lease",)).files[file].splitlines()
    for capability in set(CAPABILITIES) - beyond:
        (line,) = [each.strip() for each in lines if f'"{capability}",' in each]
        assert line.startswith('"') == (capability in ("controlled-clock", "liveness-oracle"))
    assert not any(f'"{capability}"' in line for capability in beyond for line in lines)


def test_the_example_reads_numbers_as_the_skeleton_does() -> None:
    """The parser of exact JSON is one file, which stands in two places to be copied from."""
    example = Path(__file__).parents[2] / "examples" / "node" / "json.mjs"
    assert example.read_text() == (SKELETONS / "json.mjs").read_text()
