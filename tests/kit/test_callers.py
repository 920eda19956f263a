"""Several callers of a store behind a pipe: each gets its own answer, and races are run as with any other store."""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from fencepost.kit.adapter import Adapter
from fencepost.kit.backend import load_factory
from fencepost.kit.pipe import AdapterError, Pipe
from fencepost.kit.result import Request, Result, Verdict
from fencepost.kit.verify import verify
from test_adapter import wrong

HERE = Path(__file__).parent


def echoes(adapter: Adapter) -> list[Future[object]]:
    """Three values that are to come back, asked for at once."""
    with ThreadPoolExecutor(3) as callers:
        return [callers.submit(adapter.echo, value) for value in (1, 2, 3)]


def test_answers_may_come_in_any_order() -> None:
    """Each caller gets the answer with the id of its request, none before all three have been sent."""
    adapter = Adapter(wrong("backwards"), 20)
    assert [each.result() for each in echoes(adapter)] == [1, 2, 3]
    adapter.pipe.close()


def test_a_caller_that_gets_no_answer_ends_the_run_of_all() -> None:
    """The one that was answered has its answer, the two others the same sentence, and later calls, too."""
    adapter = Adapter(wrong("echoes one of three"), 1)
    began = time.monotonic()
    one, two, three = echoes(adapter)
    assert one.result() == 1
    assert two.exception() is three.exception()
    with pytest.raises(AdapterError, match=r"did not answer an echo within 1 s\. Expected one line of JSON"):
        adapter.echo(4)
    assert time.monotonic() - began < 5


def test_an_answer_that_nobody_waits_for_is_told_with_the_ids_that_are() -> None:
    """Of all who wait, each gets the same sentence."""
    adapter = Adapter(wrong("echoes under an id of its own"), 20)
    failures = {str(each.exception()) for each in echoes(adapter)}
    (failure,) = failures
    assert "answered an echo with the id 77. Expected the integer " in failure


def behind_a_pipe(name: str) -> Result:
    """A small run of a factory of tests, served as a program."""
    served = shlex.join([sys.executable, "-m", "fencepost.kit.serve", f"faulty:{name}"])
    backend = f"exec:sh -c 'cd {HERE} && {served}'"
    return verify(load_factory(backend, 20), Request(backend, ("output",), 0, 3, 30))


def test_a_race_behind_a_pipe_is_lost() -> None:
    """A store that writes back what it had read loses what another caller has written meanwhile."""
    result = behind_a_pipe("Hurried")
    assert result.verdict is Verdict.violates
    assert result.counterexamples[0].requirements[0] == "OUTPUT-25"


def test_a_store_that_several_may_call_conforms_behind_a_pipe() -> None:
    """The same store, with a lock about the two."""
    result = behind_a_pipe("Patient")
    assert (result.verdict, result.troubles) == (Verdict.conforms, ())
    assert {each.requirement.id: each.count > 0 for each in result.judged}["OUTPUT-25"]


def test_a_store_that_quits_in_a_thread_is_told_at_once() -> None:
    """As where there is no pipe: it is a crash of the store, and no answer is waited for in vain."""
    result = behind_a_pipe("QuitsAtOnce")
    assert result.verdict is Verdict.violates
    assert result.counterexamples[0].requirements[0] == "VALUE-6"


def test_an_answer_that_json_cannot_say_is_the_store_s() -> None:
    """As where there is no pipe: the store breaks the law, and its adapter does not."""
    result = behind_a_pipe("NoNumber")
    assert result.verdict is Verdict.violates
    assert result.counterexamples[0].requirements[0] == "VALUE-6"


def test_a_program_that_fails_in_a_race_is_told_as_any() -> None:
    """It alone is named: the check itself has not failed, and there is nothing to report."""
    way = wrong("answers no append at once with another")
    backend = f"exec:{way}"
    (trouble,) = verify(load_factory(backend, 1), Request(backend, ("output",), 0, 1, 5)).troubles
    assert trouble.startswith(f"The adapter {way} ended with exit code 3 before it answered "), trouble
    assert trouble.endswith("Expected one line of JSON for each request, with its id. Its last words: 'out of cheese'")


def test_nothing_is_asked_of_a_program_that_was_closed() -> None:
    """What was its input may be another file by then."""
    adapter = Adapter(wrong("silent"), 20)
    adapter.pipe.close()
    with tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as two, tempfile.TemporaryFile() as three:
        with pytest.raises(AdapterError, match=r"was ended by its close\(\)\. Expected no request after it\."):
            adapter.echo(1)
        for each in (one, two, three):
            each.seek(0)
            assert each.read() == b""


def test_who_waits_is_told_of_a_close() -> None:
    """Each of the callers, at once, and with the same sentence."""
    adapter = Adapter(wrong("echoes one of three"), 20)
    with ThreadPoolExecutor(2) as callers:
        waiting = [callers.submit(adapter.echo, value) for value in (2, 3)]
        time.sleep(0.2)
        adapter.pipe.close()
    assert {str(each.exception()).partition(" was ")[2][:21] for each in waiting} == {"ended by its close()."}


def test_an_answer_that_is_there_counts_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was the one who asked that was stopped meanwhile, as by Ctrl-Z."""
    adapter, move = Adapter(wrong("echoes one of three"), 1), Pipe._move

    def stopped(pipe: Pipe) -> None:
        time.sleep(1.1)
        move(pipe)

    monkeypatch.setattr(Pipe, "_move", stopped)
    assert adapter.echo(1) == 1
    adapter.pipe.close()


def test_a_process_may_have_many_files_open() -> None:
    """More than 1,024, where the system lets it."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 1_200), before[1]))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_100)]
    try:
        adapter = Adapter(wrong("forgetful"), 20)
        adapter.pipe.close()
    finally:
        for each in files:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("name", ["Patient", "OfOneThread"])
def test_ctrl_c_ends_what_serves(name: str) -> None:
    """While it waits for a request that never comes."""
    command = [sys.executable, "-m", "fencepost.kit", "adapter", "serve", f"faulty:{name}"]
    with subprocess.Popen(command, cwd=HERE, stdin=-1, stdout=-1, stderr=-1, text=True) as served:
        assert served.stdin
        assert served.stdout
        assert served.stderr
        served.stdin.write('{"id":1,"hello":{}}\n')
        served.stdin.flush()
        assert '"id":1,"hello"' in served.stdout.readline()
        served.send_signal(signal.SIGINT)
        try:
            assert served.wait(10) == 2
        finally:
            served.kill()
        assert served.stderr.read() == "Error: interrupted before there was a result.\n"


def test_a_store_of_one_thread_is_closed_by_it(tmp_path: Path) -> None:
    """That of a program that answers one request after the other, when there are no more."""
    command = [sys.executable, "-m", "fencepost.kit.serve", "faulty:OfOneThread"]
    reset = f'{{"id":1,"reset":{{"directory":"{tmp_path}","now":1}}}}\n'
    found = subprocess.run(command, cwd=HERE, input=reset, capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, '{"id":1,"answer":null}\n', "")
