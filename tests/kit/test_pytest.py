"""Verification as tests of pytest: by an option, and by a class in a file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from fencepost.kit import groups
from fencepost.kit.backend import BackendError, Factory, load_factory
from fencepost.kit.conformance import conformance
from fencepost.kit.groups import Runs, failed, groups_of, judged_in, skipped
from fencepost.kit.model import Model
from fencepost.kit.pytest_plugin import ASSERTING
from fencepost.kit.result import Request, Result
from fencepost.kit.verify import verify
from fencepost.statemachines.run import CHAPTERS

KIT = Path(__file__).parent


def run_pytest(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest in the directory, with our plug-in and no others but those that are named."""
    path = os.pathsep.join(each for each in (str(KIT), os.environ.get("PYTHONPATH")) if each)
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": path}
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
from fencepost.kit.model import Model

TestModel = fencepost.conformance(Model, chapters=("event", "output"), examples=8)
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


def ends(shown: str) -> dict[str, str]:
    """How each test ended, by its name from the class or chapter on; of a run with `-v`."""
    return dict(re.findall(r"::(\w+::\w+(?:::\w+)?) .*?(PASSED|FAILED|SKIPPED|ERROR)", shown))


def outcome_of(name: str, result: Result) -> str:
    """What the test of this name in the only chapter of the run says; nothing if it passes."""
    (chapter,) = result.request.chapters
    (group,) = (each for each in groups_of(chapter) if each.name == name)
    return failed(group, result) or skipped(group, judged_in(group, result), result) or ""


@pytest.mark.slow
def test_a_class_has_a_test_for_each_section(directory: Path) -> None:
    """The section that is broken fails with requirement, sentence and program; those not decided before say so."""
    found = run_pytest(directory, "-v", "-ra", "-W", "error", "--strict-markers", "--junit-xml=junit.xml")
    assert found.returncode == 1, found.stdout + found.stderr
    ended = ends(found.stdout)
    assert list(ended)[:8] == [
        *(f"TestModel::TestEvent::test_{name}" for name in ("threads_and_turns", "appending", "finishing", "reading")),
        *(f"TestModel::TestEvent::test_{name}" for name in ("clearing", "calls_at_once", "stored_events", "invariants")),
    ]
    assert [name for name, end in ended.items() if end == "FAILED"] == ["TestLenient::TestLease::test_values_arguments"]
    assert ended["TestModel::TestOutput::test_the_latest_of_a_producer"] == "PASSED"
    assert ended["TestLenient::TestLease::test_expiry"] == "PASSED"
    assert ended["TestLenient::TestLease::test_fences"] == ended["TestLenient::TestLease::test_other_chapters"] == "SKIPPED"
    assert "VALUE-1: All a call is given" in found.stdout
    assert "assert answer == InvalidArgument(" in found.stdout
    assert "conformance.py:" not in found.stdout.partition("short test summary")[0]
    assert "The run of lease ended at a violation of VALUE-1; not reached before: LEASE-" in found.stdout
    cases = {case.attrib["name"]: case for case in ET.parse(directory / "junit.xml").iter("testcase")}
    assert properties_of(cases, "test_values_arguments")["VALUE-1"] == "failed"
    assert properties_of(cases, "test_the_latest_of_a_producer") == {f"OUTPUT-{each}": "passed" for each in (15, 16, 17, 18)}


@pytest.mark.slow
def test_the_tests_of_a_chapter_stay_with_one_worker(directory: Path) -> None:
    """With `--dist loadscope` of xdist: its machine runs once, for a chapter is a class."""
    (directory / "test_stores.py").write_text(FILE.replace("examples=8", "examples=1"))
    found = run_pytest(directory, "-p", "xdist", "-n", "2", "--dist", "loadscope", "-v", "-k", "Model")
    assert found.returncode == 0, found.stdout + found.stderr
    workers = re.findall(r"^\[(gw\d)\] .*? test_stores\.py::TestModel::(\w+)::", found.stdout, re.MULTILINE)
    assert len(set(workers)) == len({chapter for _, chapter in workers}) == 2
    assert len(workers) == 22


MARKED = """
def pytest_collection_finish(session):
    for item in session.items:
        print("marked", *(marker.args for marker in item.iter_markers("fencepost")))
"""


def test_tests_are_chosen_by_requirement(directory: Path) -> None:
    """`-k` takes an id; the marker names all ids of a section."""
    (directory / "conftest.py").write_text(MARKED)
    found = run_pytest(directory, "--collect-only", "-q", "-k", "OUTPUT-16 or OUTPUT-22")
    assert "marked ('OUTPUT-15', 'OUTPUT-16', 'OUTPUT-17', 'OUTPUT-18')" in found.stdout
    tests = [line.rpartition("::")[2] for line in found.stdout.splitlines() if "::" in line]
    assert tests == ["test_the_latest_of_a_producer", "test_the_list_of_an_attempt"]
    (directory / "test_stores.py").unlink()
    options = ("--fencepost-backend", "fencepost.kit.model:Model", "--fencepost-chapters", "lease", "-k", "LEASE-6")
    found = run_pytest(directory, *options, "--collect-only", "-q")
    assert "fencepost::lease::expiry" in found.stdout.splitlines()
    assert "marked ('LEASE-5', 'LEASE-6', 'LEASE-7', 'LEASE-8')" in found.stdout
    assert "1/15 tests collected (14 deselected)" in found.stdout


def test_the_machine_of_a_chapter_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the first test that asks for it; all others tell of the same run."""
    made: list[Request] = []

    def counted(factory: Factory, request: Request) -> Result:
        made.append(request)
        return verify(factory, request)

    monkeypatch.setattr(groups, "verify", counted)
    runs = Runs(Factory("model", Model), ("output", "event"), examples=1)
    assert runs.of("output") is runs.of("output") is not runs.of("event")
    assert [each.chapters for each in made] == [("output",), ("event",)]


def test_what_was_not_reached_is_no_pass() -> None:
    """A section is skipped with what the run missed of it, or with why nothing of it can be seen."""
    result = verify(Factory("model", Model), Request("model", ("lease",), 0, 1, 1))
    assert outcome_of("release", result).startswith("Not reached: LEASE-33")
    assert outcome_of("timings_of_a_client", result).startswith("LEASE-39, not reached: Not seen through the protocol: ")


def test_a_violation_of_another_chapter_fails_a_test_of_its_own() -> None:
    """It is laid on a requirement that no section of this run's chapter has."""
    factory = load_factory("faulty:LiveAtTheEdge")
    result = verify(factory, Request(factory.name, ("commit",), 0, 3, 50))
    laid_on = result.counterexamples[0].requirements[0]
    assert laid_on in ("LEASE-6", "LEASE-16")
    assert f"{laid_on}: A " in outcome_of("other_chapters", result)
    assert outcome_of("graph", result).startswith(f"The run of commit ended at a violation of {laid_on}; not reached before:")


def test_what_took_part_in_a_violation_has_not_passed() -> None:
    """Requirements that a violation names besides the first are in question, and so is their section."""
    result = verify(load_factory("faulty_logs:TakesMore"), Request("faulty_logs:TakesMore", ("event",), 0, 20, 50))
    assert "EVENT-8: Appending to a finished turn is refused" in outcome_of("appending", result)
    assert "in question there: EVENT-16" in outcome_of("finishing", result)


def test_a_run_that_could_not_be_evaluated_fails_every_test(directory: Path) -> None:
    """Whichever are chosen: unknown is no pass and no skip, and the sentence is all that is shown."""
    (directory / "test_stores.py").write_text(
        'import fencepost\nTestIt = fencepost.conformance("faulty:raising", chapters=("output",))\n'
    )
    found = run_pytest(directory, "-k", "TestOutput", "-v")
    assert set(ends(found.stdout).values()) == {"FAILED"}
    assert "faulty:raising could not be evaluated\nThe factory faulty:raising raised" in found.stdout
    assert "Traceback" not in found.stdout


@pytest.mark.parametrize("backend", ["ExitsWell", "ExitsUnseen"])
def test_a_store_that_ends_its_process_does_not_end_the_tests(backend: str, directory: Path) -> None:
    """It would end them with the exit code of its choice, such as 0: they fail, and say in which call it was."""
    (directory / "test_stores.py").write_text(
        f'import fencepost\nTestIt = fencepost.conformance("stuck:{backend}", chapters=("lease",), examples=3)\n'
    )
    found = run_pytest(directory, "-v")
    assert found.returncode == 1
    assert set(ends(found.stdout).values()) == {"FAILED"}
    said = "The store ended the process in renew_session_execution_lease, with exit code 0. Expected every call to return or to"
    assert said in found.stdout


def test_a_process_that_a_store_forks_may_end(directory: Path) -> None:
    """It is the store's own."""
    (directory / "test_stores.py").write_text(
        'import fencepost\nTestIt = fencepost.conformance("stuck:Forks", chapters=("lease",), examples=3)\n'
    )
    found = run_pytest(directory, "-v")
    assert found.returncode == 0, found.stdout
    assert "PASSED" in ends(found.stdout).values()


def test_an_interrupted_run_ends_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is no failure of the store: it goes on to pytest."""
    interrupted = Result(Request("x", ("lease",)), (), (), interrupted=True)
    monkeypatch.setattr(groups, "verify", lambda *_: interrupted)
    with pytest.raises(KeyboardInterrupt):
        Runs(Factory("x", Model), ("lease",)).of("lease")


def test_what_asserts_is_rewritten(tmp_path: Path) -> None:
    """An assertion of ours that fails in somebody's tests shows what it compared."""
    root = Path(str(groups.__file__)).parents[1]
    asserting = {
        ".".join(("fencepost", *path.relative_to(root).with_suffix("").parts))
        for floor in ("kit", "statemachines")
        for path in (root / floor).rglob("*.py")
        if re.search(r"^ +assert ", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert set(ASSERTING) == asserting
    (tmp_path / "test_own.py").write_text(
        "from fencepost.statemachines.draws import mixed\n\ndef test_it():\n    mixed(tuple(range(300)))\n"
    )
    assert "+  where False = all(" in run_pytest(tmp_path, "-W", "error").stdout


@pytest.mark.slow
def test_the_option_adds_a_test_for_each_section(tmp_path: Path) -> None:
    """They can be chosen among and marked like others; up to the last colons a name is its chapter's."""
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    options = ("--fencepost-backend", "fencepost.kit.model:Model", "--fencepost-examples", "1")
    listed = run_pytest(tmp_path, *options, "--collect-only", "-q").stdout.splitlines()
    named = [line for line in listed if line.startswith("fencepost::")]
    assert listed[0] == "test_own.py::test_own"
    assert [*dict.fromkeys(line.split("::")[1] for line in named)] == [*CHAPTERS]
    assert len(named) == sum(len([*groups_of(each)]) for each in CHAPTERS)
    found = run_pytest(tmp_path, *options, "-k", "fencepost::output::appending or own", "-v", "--strict-markers")
    assert found.returncode == 0, found.stdout + found.stderr
    assert "2 passed" in found.stdout
    marked = run_pytest(tmp_path, *options, "--fencepost-chapters", "event, output", "-m", "fencepost", "--collect-only", "-q")
    assert [line.split("::")[1] for line in marked.stdout.splitlines() if "::" in line] == ["event"] * 12 + ["output"] * 10


def test_a_violation_fails_the_test_of_its_section(tmp_path: Path) -> None:
    """With the program that shows it, and the command that finds it again."""
    options = ("--fencepost-backend", "faulty:Lenient", "--fencepost-chapters", "lease", "--fencepost-examples", "20")
    found = run_pytest(tmp_path, *options, "-v")
    assert found.returncode == 1
    assert [name for name, end in ends(found.stdout).items() if end == "FAILED"] == ["lease::values_arguments"]
    assert "faulty:Lenient violates" in found.stdout
    assert "Again: fencepost verify --backend faulty:Lenient --seed 0 --examples 20" in found.stdout


def test_a_failing_test_says_how_to_run_it_again_where_its_factory_can_be_found(tmp_path: Path) -> None:
    """From the folder of its module; one that stands in a function can be found by nobody but the test."""
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "test_mine.py").write_text(
        "import fencepost\nfrom faulty import Lenient\n\ndef factory(environment):\n    return Lenient(environment)\n\n"
        "def made():\n    return lambda environment: Lenient(environment)\n\n"
        "TestNamed = fencepost.conformance(factory, chapters=('lease',), examples=20)\n"
        "TestMade = fencepost.conformance(made(), chapters=('lease',), examples=20)\n"
    )
    found = run_pytest(tmp_path, "-q")
    assert found.returncode == 1
    assert "Again, in below: fencepost verify --backend test_mine:factory --seed 0" in found.stdout
    assert "Again: run this test. To `fencepost verify` it, let the factory stand at the top of a module." in found.stdout


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--fencepost-backend", "nowhere:factory"), "There is no module 'nowhere'"),
        (("--fencepost-backend", "faulty:Lenient", "--fencepost-chapters", "poems"), "received poems, expected some of lease"),
        (
            ("--fencepost-backend", "faulty:Lenient", "--fencepost-stores", "poems"),
            "received poems, expected some of runtime_per",
        ),
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


def test_protocols_are_chosen_in_a_file_as_by_the_option(tmp_path: Path) -> None:
    """The class and the option choose the same tests; both choices at once, and what there is not, are told of."""
    (tmp_path / "test_own.py").write_text(
        "import fencepost\nfrom fencepost.kit.model import Model\nTestOwn = fencepost.conformance(Model, stores='output')\n"
    )
    options = ("--fencepost-backend", "fencepost.kit.model:Model", "--fencepost-stores", "output")
    listed = run_pytest(tmp_path, *options, "--collect-only", "-q").stdout.splitlines()
    assert [line.split("::")[0] for line in listed if "::" in line] == ["test_own.py"] * 10 + ["fencepost"] * 10
    with pytest.raises(BackendError, match="Received stores and chapters, expected one of them"):
        conformance(Model, stores="event", chapters="event")
    with pytest.raises(
        BackendError, match=r"Received the stores \['poems'\], expected some of runtime_persistence, turn_input"
    ):
        conformance(Model, stores="poems")


def test_names_are_given_as_on_the_command_line() -> None:
    """With commas between them, or one by one; what is no name is told of."""
    both = [name for name in vars(conformance(Model, stores="output, event")) if name.startswith("Test")]
    assert both == ["TestEvent", "TestOutput"]
    assert [name for name in vars(conformance(Model, stores=["output", "event"])) if name.startswith("Test")] == both
    assert [name for name in vars(conformance(Model, chapters="event,output")) if name.startswith("Test")] == both
    for given in (None, 5, [5]):
        with pytest.raises(
            BackendError, match=rf"Received the stores {re.escape(str(given))}, expected some of .*: a name, or"
        ):
            conformance(Model, stores=given)  # type: ignore[arg-type]  # who does not check types


@pytest.mark.parametrize("given", [None, 5])
def test_what_is_no_factory_is_told_of(given: object) -> None:
    """Where the class is made."""
    with pytest.raises(BackendError, match=f"Received the factory {given}, expected one to call, or its name, module:factory"):
        conformance(given)  # type: ignore[arg-type]  # who does not check types


def test_a_strict_run_and_its_steps_are_chosen_by_options(tmp_path: Path) -> None:
    """The command that finds a violation again says both."""
    options = ("--fencepost-backend", "faulty_logs:OtherIds", "--fencepost-strict", "--fencepost-steps", "7")
    found = run_pytest(tmp_path, *options, "--fencepost-chapters", "output", "--fencepost-examples", "2")
    assert "--examples 2 --steps 7 --chapters output --strict" in found.stdout


@pytest.mark.slow
def test_a_class_of_tests_does_without_the_plug_in(tmp_path: Path) -> None:
    """Its marker is unknown then: neither a warning that is an error nor strict markers keep the tests from running."""
    (tmp_path / "test_own.py").write_text(
        "import fencepost\nfrom fencepost.kit.model import Model\n"
        "TestOwn = fencepost.conformance(Model, stores='output', examples=3)\n"
    )
    for how in (("-W", "error"), ("--strict-markers",)):
        found = run_pytest(tmp_path, "-p", "no:fencepost.kit.pytest_plugin", *how)
        assert (found.returncode, "warning" in found.stdout) == (0, False), found.stdout + found.stderr
