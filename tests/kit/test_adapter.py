"""Stores behind a pipe: good programs are checked like any store, and bad ones are told apart from bad stores."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fencepost.kit import pipe
from fencepost.kit.adapter import Adapter
from fencepost.kit.backend import fresh_environment, load_factory
from fencepost.kit.pipe import AdapterError
from fencepost.kit.result import Request, Result, Verdict
from fencepost.kit.verify import verify
from fencepost.spec import InvalidArgument, Json, LeaseOwnerIdentity, LocalProcess, OutputRef, Progress
from fencepost.spec.operations import OPERATIONS
from fencepost.spec.wire import ERRORS
from fencepost.statemachines.run import CHAPTERS

PIPES = Path(__file__).with_name("pipes.py")
NODE = Path(__file__).parents[2] / "examples" / "node" / "adapter.mjs"
SERVED = f"{shlex.quote(sys.executable)} -m fencepost.kit.serve fencepost.kit.duckdb:file"


def wrong(way: str) -> str:
    """The command of a program that is wrong in this way."""
    return shlex.join([sys.executable, str(PIPES), way])


def patience(way: str) -> float:
    """How long to wait for such a program: not long where nothing comes, but long enough for it to start."""
    return 1.0 if way in ("silent from the start", "silent", "deaf", "half a line") else 20.0


def held(command: str, *chapters: str, examples: int = 3, seconds: float = 10.0) -> Result:
    """A small run of the program's store."""
    name = f"exec:{command}"
    return verify(load_factory(name, seconds), Request(name, chapters, 0, examples, 30))


INTRODUCED: dict[str, str] = {
    "silent from the start": r"did not answer the hello within 1 s\. Expected one line of JSON",
    "dead from the start": r"ended with exit code 3 before it answered the hello\..*Its last words: 'out of cheese'",
    "another protocol": r"introduced itself with .*adapter/2.*\. Expected .*fencepost-adapter/1",
    "no chapters": r"declared chapters \[\]\. Expected",
    "unknown chapter": r"declared chapters \['leases'\]\. Expected .*of lease, turn_input",
    "unknown capability": r"declared capabilities \['teleport'\]\. Expected .*of controlled-clock, liveness-oracle, reopen",
    "no hello": r"introduced itself with \{.id.: 1, .answer.: None\}\. Expected",
}


@pytest.mark.parametrize("way", INTRODUCED)
def test_a_program_that_does_not_introduce_itself_is_no_backend(way: str) -> None:
    """What was received and what was expected, in a sentence."""
    with pytest.raises(AdapterError, match=INTRODUCED[way]):
        Adapter(wrong(way), patience(way))


def test_a_byte_order_mark_is_no_part_of_a_line() -> None:
    """Some languages write one unasked."""
    assert Adapter(wrong("a byte order mark")).declared.chapters == ("output",)


@pytest.mark.parametrize(
    ("command", "match"),
    [
        ("", "Received an empty command, expected a program"),
        ("/nowhere/adapter --flag", "The adapter /nowhere/adapter --flag cannot be started: No such file"),
        ('adapter "', "No closing quotation"),
    ],
)
def test_what_cannot_be_started_is_no_backend(command: str, match: str) -> None:
    """A command that is none, or names no program."""
    with pytest.raises(AdapterError, match=match):
        Adapter(command)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("throw\n^\n\nSyntaxError: Unexpected token ')'\n    at wrap\n\nNode.js v20.20.2", "SyntaxError: Unexpected token ')'"),
        ("Traceback\n  File\nstore.Broken: no", "store.Broken: no"),
        ("thread 'main' panicked at src/main.rs:4\nnote: run with RUST_BACKTRACE=1", "thread 'main' panicked at src/main.rs:4"),
    ],
)
def test_of_the_last_words_those_that_tell_of_an_error_are_told(words: str, told: str, tmp_path: Path) -> None:
    """Whatever a language writes below them."""
    (tmp_path / "words").write_text(words)
    with pytest.raises(AdapterError) as caught:
        Adapter(f"sh -c 'cat {tmp_path / 'words'} >&2; exit 1'")
    assert str(caught.value).endswith(f"Its last words: {told!r}")


FAILING: dict[str, str] = {
    "silent": r"did not answer \w+.* within 1 s",
    "deaf": r"did not answer \w+.* within 1 s",
    "dying": r"ended with exit code 3 before it answered .*Its last words: 'out of cheese'",
    "dying at the reset": r"ended with exit code 3 before it answered the reset",
    "no reset": r"answered the reset with .*'crash': 'no'.*\. Expected an answer, null",
    "garbage": r"answered \w+.* with '<html>502</html>'\. Expected one line of JSON",
    "no object": r"answered .* with \[1\]\. Expected a JSON object",
    "NaN": r"answered .* with '{.id.:NaN}'\. Expected one line",
    "half a line": r"did not answer \w+.* within 1 s; what came is '{.id.:', without the end of a line\. Expected one line",
    "half a line, dying": r"ended with exit code 3 before it answered .*; what came is '{.id.:', without the end of a line\.",
    "closing its output": r"closed its output before it answered \w+",
    "killed": r"ended by SIGKILL before it answered \w+",
    "old id": r"with the id \d+\. Expected the integer \d+",
    "float id": r"with the id \d+\.0\. Expected the integer \d+",
    "no answer": r"Expected one of \"answer\", \"error\" and \"crash\", a text, beside the id",
    "answer and error": r"Expected one of \"answer\", \"error\" and \"crash\", a text, beside the id",
    "unknown refusal": r"refused .*Oops.*: error: received .*an object whose kind is one of",
    "another answer": r"answered .* with .*: answer.*: received",
}


@pytest.mark.parametrize("way", FAILING)
def test_a_program_that_fails_is_never_a_verdict(way: str) -> None:
    """The run could not be evaluated, and says what the program did; it neither hangs nor blames the store."""
    began = time.monotonic()
    try:
        result = held(wrong(way), "output", seconds=patience(way))
    except AdapterError as error:
        # the first reset of all is made before the run
        assert "reset" in way
        troubles: tuple[str, ...] = (str(error),)
    else:
        assert result.verdict is Verdict.not_evaluated
        troubles = result.troubles
    assert time.monotonic() - began < 60
    (trouble,) = troubles
    assert re.search(FAILING[way], trouble), trouble


def test_a_line_that_never_ends_is_not_kept_until_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory would run out before: it ends where no answer can be so long, and how it begins is told."""
    monkeypatch.setattr(pipe, "LONGEST", 1 << 20)
    (trouble,) = held(wrong("endless"), "output", seconds=20).troubles
    assert re.search(
        r" with more than 1,048,576 bytes; what came is 'x{78}…, without the end of a line\. Expected one", trouble
    )


def test_a_store_that_crashes_behind_a_good_adapter_breaks_the_law() -> None:
    """The adapter says that the store raised what is no refusal: that is VALUE-6, and no failure of the adapter."""
    result = held(wrong("crash"), "output")
    assert result.verdict is Verdict.violates
    assert result.counterexamples[0].requirements[0] == "VALUE-6"


def test_a_wrong_store_behind_a_good_adapter_is_caught_and_shown_as_a_program() -> None:
    """The program starts the adapter itself."""
    result = held(wrong("forgetful"), "output")
    assert result.verdict is Verdict.violates
    text = result.counterexamples[0].program
    assert "from fencepost.kit.adapter import Adapter\n" in text
    assert f"open_store = Adapter({wrong('forgetful')!r})\n".replace("'", '"') in text.replace("'", '"')


@pytest.mark.slow
def test_our_store_behind_a_pipe_conforms() -> None:
    """Clock, processes, reopening and every chapter pass the pipe."""
    result = held(SERVED, "lease", "turn_input", "commit", "runtime", "event", examples=2)
    assert (result.verdict, result.troubles) == (Verdict.conforms, ())
    assert {each.requirement.id: each.count > 0 for each in result.judged}["VALUE-9"]


def test_the_processes_of_the_run_reach_the_store() -> None:
    """A holder whose process was stopped is dead to the store behind the pipe, and one that is hidden is not."""
    adapter = Adapter(SERVED)
    with fresh_environment() as environment:
        store: Any = adapter(environment).runtime_persistence
        holder = LeaseOwnerIdentity("a", "1", LocalProcess("h", "b", 10, "tick"))
        claimant = LeaseOwnerIdentity("b", "1", LocalProcess("h", "b", 11, "tick"))
        environment.process_alive.start(10, "tick")
        held_by = store.try_claim_session_execution_lease("s", holder, 1_000).lease
        assert type(store.reclaim_session_execution_lease("s", claimant, held_by.fence(), 5)).__name__ == "Busy"
        environment.process_alive.hide(10)
        environment.process_alive.stop(10)
        assert type(store.reclaim_session_execution_lease("s", claimant, held_by.fence(), 5)).__name__ == "Busy"
    adapter.pipe.close()


def test_what_the_signature_does_not_admit_stays_here() -> None:
    """It has no form on the wire: it is refused before anything is sent."""
    adapter = Adapter(wrong("dying"))
    with fresh_environment() as environment:
        store: Any = adapter(environment).output
        with pytest.raises(InvalidArgument, match="attempt: received -1"):
            store.append("t", -1, "p", Progress("s"), ())
        with pytest.raises(AdapterError, match="ended"):
            store.append("t", 1, "p", Progress("s"), ())
        with pytest.raises(AdapterError, match="ended"):
            store.append("t", 1, "p", Progress("s"), ())
    adapter.pipe.close()


def test_a_large_request_to_a_program_that_does_not_read_ends() -> None:
    """What the pipe cannot take is given up when the time is over."""
    adapter = Adapter(wrong("deaf"), 1.0)
    with fresh_environment() as environment:
        store: Any = adapter(environment).output
        with pytest.raises(AdapterError, match="did not answer get within 1 s"):
            store.get(OutputRef("x" * 10_000_000))
        assert adapter.pipe._process.poll() is not None


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js to run the example with")
def test_the_example_in_another_language_conforms() -> None:
    """The adapter of an event log and an output log in Node.js, which has no dependencies, obeys the law."""
    result = held(shlex.join(["node", str(NODE)]), "event", "output", examples=8)
    assert (result.verdict, result.troubles) == (Verdict.conforms, ())


def test_numbers_pass_the_example_exactly() -> None:
    """Integers above 2^53, and the difference between 1 and 1.0, survive an echo."""
    for command in (SERVED, *([shlex.join(["node", str(NODE)])] if shutil.which("node") else [])):
        adapter = Adapter(command)
        value = {"a": [2**64 - 1, 1, 1.0, -0.0, 1e300, True, None], 'é\u2028\\"': {}}
        assert Json(adapter.echo(value)) == Json(value)
        adapter.pipe.close()


@pytest.mark.slow
def test_the_command_line_takes_a_command(tmp_path: Path) -> None:
    """`verify --exec` checks the program's store, and prints the command that does so again."""
    options = "--chapters output --examples 1 --steps 10"
    shown = subprocess.run(
        [sys.executable, "-m", "fencepost.kit", "verify", "--exec", SERVED, *options.split()],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"fencepost verify --exec '{SERVED}' --seed 0 --examples 1 --steps 10" in shown.stdout.replace("\n", " ")
    failed = subprocess.run(
        [sys.executable, "-m", "fencepost.kit", "verify", "--exec", wrong("garbage"), "--chapters", "output"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )
    assert failed.returncode == 2
    assert "<html>502</html>" in failed.stdout + failed.stderr


def test_every_chapter_can_be_declared() -> None:
    """Our store behind a pipe declares all of them."""
    adapter = Adapter(SERVED)
    assert adapter.declared.chapters == CHAPTERS
    adapter.pipe.close()


def asked(*words: str) -> subprocess.CompletedProcess[str]:
    """What `fencepost adapter` says."""
    return subprocess.run(
        [sys.executable, "-m", "fencepost.kit", "adapter", *words], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_self_test_of_an_adapter() -> None:
    """It tells what was declared, and that everything came back as it was; exit code 0."""
    found = asked("check", SERVED)
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert lines[0] == "hello   fencepost-adapter/1"
    assert [line[:13] for line in lines if line.startswith("echo")] == ["echo    ok   "] * 6
    assert lines[-2:] == ["reset   ok    an empty store, twice", "reopen  ok    the same store again, each time"]


def test_the_self_test_of_a_bad_adapter() -> None:
    """An echo that is another value, and a program that fails, are told; exit code 2."""
    found = asked("check", wrong("forgetful"))
    assert found.returncode == 2
    assert "echo    WRONG integers up to 2^64 - 1: expected [0, 1, 9007199254740993" in found.stdout
    assert "received None" in found.stdout
    failed = asked("check", wrong("garbage"))
    assert failed.returncode == 2
    dead = asked("check", wrong("dying at the reopen it declares"))
    assert dead.returncode == 2
    assert "ended with exit code 3 before it answered the reopen" in dead.stderr
    again = asked("check", wrong("silent from the start"), "--timeout", "0.5")
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.startswith("Error: The adapter")


def test_the_schema_of_the_lines_is_printed() -> None:
    """One document; all references in it lead somewhere, and every operation and kind of refusal is in it."""
    found = asked("schema")
    document = json.loads(found.stdout)
    assert (found.returncode, document["title"]) == (0, "fencepost-adapter/1")
    named = {each.split('"')[0] for each in found.stdout.split('"#/$defs/')[1:]}
    assert named <= set(document["$defs"])
    assert {f"arguments of {each}" for each in OPERATIONS} <= named
    assert len(document["$defs"]["error"]["anyOf"]) == len(ERRORS)


def test_an_id_is_a_number_and_no_truth() -> None:
    """To Python `true` is 1, but it was not what was sent."""
    adapter = Adapter(wrong("id that is true"), 20)
    adapter.pipe._number = 0
    with fresh_environment() as environment, pytest.raises(AdapterError, match=r"with the id True\. Expected the integer 1"):
        adapter(environment)


def has_ended(process: int) -> bool:
    """Whether the process ends within some seconds."""
    for _ in range(100):
        state = Path(f"/proc/{process}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("way", ["with a child", "with a child, dead"])
def test_what_an_adapter_has_started_ends_with_it(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it hangs or has ended before: nothing is left running."""
    note = tmp_path / "child"
    monkeypatch.setenv("CHILD", str(note))
    result = held(wrong(way), "output", seconds=1)
    assert result.verdict is Verdict.not_evaluated
    assert has_ended(int(note.read_text()))


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_what_an_adapter_has_started_ends_with_the_command(number: signal.Signals, workers: str, tmp_path: Path) -> None:
    """A signal ends the command, or the process that it works in, and with it all that was started, in every worker."""
    note = tmp_path / "child"
    command = [sys.executable, "-m", "fencepost.kit", "verify", "--exec", wrong("with a child"), "--stores", "output"]
    environment = {**os.environ, "CHILD": str(note), "TMPDIR": str(tmp_path)}
    with subprocess.Popen([*command, "--timeout", "60", "--workers", workers], env=environment, stderr=-3) as process:
        while not note.exists() or not note.read_text():
            time.sleep(0.05)
            assert process.poll() is None
        worker = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        os.kill(worker if number == signal.SIGKILL else process.pid, number)
        process.wait(10)
    assert process.returncode == (2 if number == signal.SIGKILL else -number)
    assert has_ended(int(note.read_text()))
    assert list(tmp_path.iterdir()) == [note]
