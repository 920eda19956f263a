"""Calls that do not return, and Ctrl-C: a run ends, with exit code 2, and says in which call."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import stuck
from fencepost.kit.showing.trace import trace_of
from fencepost.kit.supervision import _code_of
from fencepost.kit.watch import SeenCalls, _before
from kinds import found, request

HERE = Path(stuck.__file__).parent

COMMAND = (sys.executable, "-m", "fencepost.kit", "verify", "--chapters", "lease,event,output", "--examples", "3")

FOREVER = "3000"

SLOW = pytest.param("2", marks=pytest.mark.slow)


def ended(backend: str, *options: str) -> tuple[int, str, str]:
    """The exit code of a run that nobody interrupts, and what it said."""
    command = [*COMMAND, "--backend", f"stuck:{backend}", *options]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, " ".join(done.stdout.split()), done.stderr


def interrupted(backend: str, tmp_path: Path, *options: str, after: float = 0.0) -> tuple[int, str, str]:
    """The same of a run that gets one Ctrl-C, so long after a call has begun."""
    begun = tmp_path / "begun"
    command = [*COMMAND, "--backend", f"stuck:{backend}", "--timeout", FOREVER, *options]
    environment = {**os.environ, "STUCK": str(begun), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=HERE, stdout=-1, stderr=-1, text=True, env=environment) as process:
        try:
            while not begun.exists():
                time.sleep(0.05)
                assert process.poll() is None
            time.sleep(after)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert [each.name for each in tmp_path.iterdir() if each != begun] == []
    return process.returncode, " ".join(out.split()), err


def without_arguments(text: str) -> str:
    """The text with every call by its name alone."""
    return re.sub(r"(_lease)\([^()]*\)", r"\1", text)


LATE = "renew_session_execution_lease did not return within 0.5 s. Expected an answer or a refusal; --timeout gives each call"


@pytest.mark.parametrize("workers", ["1", SLOW])
def test_a_call_that_does_not_return_leaves_its_chapter_not_evaluated(workers: str) -> None:
    """The report says which call it was, and the other chapters are checked all the same."""
    code, out, err = ended("Sleeps", "--timeout", "0.5", "--workers", workers)
    assert re.search(r"renew_session_execution_lease\(fencing token 1 of \S+, \S+\) did not return", out)
    assert (code, err) == (2, "")
    assert f"Chapter lease could not be evaluated: {LATE}" in without_arguments(out)
    assert "could not be evaluated stuck:Sleeps" in out
    assert " output " in out


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", SLOW])
@pytest.mark.parametrize("backend", ["Swallows", "LocksInC"])
def test_a_call_that_nothing_can_end_ends_the_run(backend: str, workers: str, tmp_path: Path) -> None:
    """A store that catches everything, or waits in C, is left with a sentence."""
    report = tmp_path / "out"
    code, _, err = ended(backend, "--timeout", "0.5", "--workers", workers, "--report", str(report))
    assert (code, without_arguments(err).startswith(f"Error: {LATE}")) == (2, True)
    assert json.loads((report / "report.json").read_text())["verdict"] == "could not be evaluated"


@pytest.mark.parametrize("workers", ["1", SLOW])
def test_what_was_found_before_a_call_that_nothing_can_end_stands(workers: str, tmp_path: Path) -> None:
    """The violation is told with its report, and the exit code is that of one."""
    code, out, err = ended("BreaksAndSwallows", "--timeout", "0.5", "--workers", workers, "--report", str(tmp_path / "out"))
    assert code == 1
    assert "get_turns(" in (err if workers == "1" else out)
    assert "VALUE-6 violated" in out
    assert out.endswith("violates stuck:BreaksAndSwallows")
    assert (tmp_path / "out" / "counterexamples" / "lease_counterexample.py").is_file()
    found = json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["verdict"] == "violates"


@pytest.mark.parametrize(
    ("backend", "timeout", "late"),
    [
        ("Sleeps", "0.5", "renew_session_execution_lease did not return within 0.5 s. Expected an answer"),
        ("LocksInC", "0.5", "renew_session_execution_lease did not return within 0.5 s. Expected an answer"),
        ("never_opens", "0.2", "the factory stuck:never_opens did not return within 1.2 s. It may take"),
        (
            "NeverCloses",
            "0.2",
            "close() of the store of stuck:NeverCloses did not return within 1.2 s. It may take",
        ),
    ],
)
def test_a_replay_of_what_does_not_return_ends_too(backend: str, timeout: str, late: str, tmp_path: Path) -> None:
    """It is neither reproduced nor gone."""
    trace = tmp_path / "trace.jsonl"
    trace.write_bytes(trace_of(found("crash"), request("crash")))
    command = [
        sys.executable,
        "-m",
        "fencepost.kit",
        "replay",
        str(trace),
        "--backend",
        f"stuck:{backend}",
        "--timeout",
        timeout,
    ]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stdout) == (2, "")
    assert without_arguments(done.stderr).startswith(f"Error: {late}")


def test_what_was_called_before_is_told_of_a_call_that_does_not_return() -> None:
    """The latest calls of the store that are no reads: they are what it takes to come there."""
    calls = SeenCalls()
    calls.begins("clear", ("elsewhere",))
    with calls.during("the factory"):
        pass
    for number in range(8):
        calls.begins("finish_turn", ("th", number))
        calls.begins("get_turns", ("th",))
    told = ", ".join(f'finish_turn("th", {number})' for number in range(2, 8))
    assert _before(list(calls.made)) == f" Before it, since the store was opened: 2 others, {told}."
    assert _before([]) == ""


def test_callers_that_wait_for_each_other_are_named() -> None:
    """A deadlock of calls that were made at once is no violation, and nobody waits for it."""
    code, out, _ = ended("LocksItselfUp", "--timeout", "0.5")
    both = "try_claim_session_execution_lease and try_claim_session_execution_lease, made at once, did not return within 0.5 s"
    assert (code, both in without_arguments(out)) == (2, True)


def test_a_factory_that_does_not_return_is_told_of() -> None:
    """It may take six times as long as a call."""
    code, _, err = ended("never_opens", "--timeout", "0.25")
    assert (code, err.startswith("Error: the factory stuck:never_opens did not return within 1.5 s.")) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_module_that_is_never_imported_is_told_of(workers: str, tmp_path: Path) -> None:
    """It has ten seconds, and six times as long as a call if that is longer."""
    (tmp_path / "slow_start.py").write_text("import time\ntime.sleep(3600)\n")
    command = [*COMMAND, "--backend", "slow_start:factory", "--timeout", "0.5", "--workers", workers]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: the import of slow_start:factory did not return within 10 s.")


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_a_call_that_does_not_return(workers: str, tmp_path: Path) -> None:
    """One is enough; the report says where it was, and what it had not got to."""
    code, out, err = interrupted("Sleeps", tmp_path, "--workers", workers, after=1.5)
    assert (code, err) == (2, "")
    assert "The run was interrupted in renew_session_execution_lease, which had not returned: all figures are partial." in out
    assert "It had not got to event, output." in out
    assert "could not be evaluated stuck:Sleeps" in out


@pytest.mark.parametrize("workers", ["1", SLOW])
@pytest.mark.parametrize("backend", ["Swallows", "LocksInC"])
def test_ctrl_c_ends_a_call_that_nothing_can_end(backend: str, workers: str, tmp_path: Path) -> None:
    """The process ends, with the name of the call, and leaves nothing behind."""
    # the other worker, if there is one, is to be in such a call, too
    code, _, err = interrupted(backend, tmp_path, "--workers", workers, after=2.0 if workers == "2" else 0.0)
    assert (code, without_arguments(err)) == (2, "Error: interrupted in renew_session_execution_lease, which did not return.\n")


@pytest.mark.parametrize("workers", ["1", SLOW])
def test_ctrl_c_that_the_store_swallows_ends_the_run(workers: str, tmp_path: Path) -> None:
    """An engine makes a failure of the call out of it; that is no violation, and never a pass."""
    code, out, err = interrupted("Turns", tmp_path, "--workers", workers, "--examples", "1000", after=1.5)
    assert (code, err) == (2, "")
    assert "The run was interrupted: all figures are partial." in out


@pytest.mark.parametrize("how", ["--examples=3", "--suite=builtin"])
def test_an_answer_that_was_under_way_at_ctrl_c_is_not_judged(how: str) -> None:
    """What a store made of the interrupt breaks no requirement, whoever chose the calls, and the verdict is none."""
    command = [*COMMAND[:4], "--chapters", "lease", how, "--backend", "stuck:Interrupted"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (2, "")
    assert "The run was interrupted: all figures are partial." in done.stdout
    assert "violated" not in done.stdout


def test_chapters_that_an_interrupted_run_had_not_begun_are_a_line_each() -> None:
    """None of their requirements is told with its sentence: that the run came to none of them says all."""
    _, out, _ = ended("Interrupted")
    assert "Not begun 2 event 33 requirements that a run may reach output 24 requirements that a run may reach" in out
    assert "EVENT-1 " not in out


def test_ctrl_c_before_a_store_is_open_ends_the_run(tmp_path: Path) -> None:
    """A factory that does not return is interrupted, too."""
    code, _, err = interrupted("never_opens", tmp_path)
    assert (code, err) == (2, "Error: interrupted before there was a result.\n")


@pytest.mark.parametrize(
    ("backend", "how"), [("ExitsWell", "with exit code 0"), ("Exits", "with exit code 7"), ("Faults", "by SIGSEGV")]
)
def test_a_store_that_ends_its_process_is_told_of(backend: str, how: str, tmp_path: Path) -> None:
    """The exit code is 2 and never the store's, the call is named, and nothing is left behind."""
    command = [*COMMAND, "--backend", f"stuck:{backend}"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=60, env=environment)
    said = f"Error: the process ended all of a sudden in renew_session_execution_lease, {how}: the store ended it, or something"
    assert (done.returncode, said in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_told_to_end_ends_by_that(tmp_path: Path) -> None:
    """Who waits for the process that makes the calls passes the signal on, and says nothing of its own."""
    begun = tmp_path / "begun"
    command = [*COMMAND, "--backend", "stuck:Sleeps"]
    with subprocess.Popen(
        command, cwd=HERE, stdout=-1, stderr=-1, text=True, env={**os.environ, "STUCK": str(begun)}
    ) as process:
        while not begun.exists():
            time.sleep(0.05)
        process.terminate()
        assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == -signal.SIGTERM


def test_a_store_that_ends_its_process_is_told_of_by_workers() -> None:
    """In a process of its own it takes nobody along."""
    code, _, err = ended("Exits", "--workers", "2")
    said = "of stuck:Exits ended all of a sudden, with exit code 7: the store ended it, or something under the store."
    assert (code, said in err) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_signal_to_end_leaves_no_process_and_no_folder(workers: str, number: signal.Signals, tmp_path: Path) -> None:
    """Whoever ends the command has ended all that it had started, and what was temporary is gone."""
    begun = tmp_path / "begun"
    command = [*COMMAND, "--backend", "stuck:Sleeps", "--timeout", FOREVER, "--workers", workers]
    environment = {**os.environ, "STUCK": str(begun), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, cwd=HERE, stdout=-1, stderr=-1, text=True, env=environment) as process:
        while not begun.exists():
            time.sleep(0.05)
            assert process.poll() is None
        process.send_signal(number)
        # whatever was started holds the other end of the pipe for as long as it lives
        process.communicate(timeout=10)
    assert process.returncode == -number
    assert [each.name for each in tmp_path.iterdir() if each != begun] == []


@pytest.mark.parametrize("workers", ["1", SLOW])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_leaves_the_terminal_with_its_cursor(number: signal.Signals, workers: str, tmp_path: Path) -> None:
    """The line that is drawn over and over hides it."""
    ours, theirs = pty.openpty()
    begun, sent = tmp_path / "begun", b""
    command = [*COMMAND, "--backend", "stuck:Sleeps", "--timeout", FOREVER, "--workers", workers]
    environment = {**os.environ, "STUCK": str(begun), "TERM": "xterm-256color"}
    with subprocess.Popen(command, cwd=HERE, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        while not begun.exists():
            time.sleep(0.05)
            assert process.poll() is None
        process.send_signal(number)
        # a terminal whose last writer is gone gives an error, or nothing
        with contextlib.suppress(OSError):
            while received := os.read(ours, 65_536):
                sent += received
    os.close(ours)
    assert process.returncode == -number
    assert re.findall(rb"\x1b\[\?25[lh]", sent) == [b"\x1b[?25l", b"\x1b[?25h"]


@pytest.mark.slow
def test_a_thread_that_a_store_leaves_does_not_keep_the_command() -> None:
    """Once the verdict is told the command ends with it, soon."""
    began = time.monotonic()
    code, out, err = ended("leaves_a_thread")
    assert (code, "conforms" in out, err) == (0, True, "")
    assert time.monotonic() - began < 30


def shell(line: str) -> tuple[int, str]:
    """The exit code of a small run with this behind it, and what it said on standard error."""
    command = f"{shlex.join((*COMMAND[:4], '--chapters', 'lease', '--examples', '2'))} {line}"
    done = subprocess.run(command, shell=True, cwd=HERE, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize("closed", ["1>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_nothing_is_told_where_output_is_closed(closed: str) -> None:
    """The exit code is that of the verdict."""
    assert shell(f"--backend stuck:Bent {closed}") == (0, "")
    assert shell(f"--backend faulty:Crashing {closed}") == (1, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_output_that_cannot_be_written_is_no_verdict() -> None:
    """Exit code 2 and a sentence: nobody has been told of a verdict, and 1 would be one."""
    said = "Error: standard output cannot be written: No space left on device. Expected one that takes what is told.\n"
    assert shell("--backend stuck:Bent >/dev/full") == (2, said)
    assert shell("--backend stuck:Bent >/dev/full 2>&1") == (2, "")
    closed = "Error: standard output cannot be written: Bad file descriptor. Expected one that takes what is told.\n"
    assert shell("--backend stuck:ClosesStdout") == (2, closed)


def raises(error: BaseException) -> Callable[[], None]:
    """A command that ends with this."""

    def command() -> None:
        raise error

    return command


def test_what_nobody_meant_is_no_violation(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2: a mistake of ours shows where it was made, anything else is a sentence."""
    assert _code_of(raises(ValueError("a mistake"))) == 2
    assert "Traceback" in (told := capsys.readouterr().err)
    assert told.endswith("ValueError: a mistake\n")
    assert _code_of(raises(SystemExit("a sentence"))) == 2
    assert capsys.readouterr().err == "a sentence\n"
    assert _code_of(raises(KeyboardInterrupt())) == 2
    assert capsys.readouterr().err == "Error: interrupted before there was a result.\n"
    assert [_code_of(raises(SystemExit(code))) for code in (None, 0, 1, 2)] == [0, 0, 1, 2]
