"""Several callers of a store behind a pipe: each gets its own answer, and races are run as with any other store."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from io import StringIO
from pathlib import Path

import pytest
from fencepost.kit import declares
from fencepost.kit.adapter import Adapter
from fencepost.kit.backend import load_factory
from fencepost.kit.pipe import AdapterError
from fencepost.kit.result import Request, Result, Verdict
from fencepost.kit.serve import serve
from fencepost.kit.verify import verify
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore
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


def test_nothing_is_asked_of_a_program_that_was_closed() -> None:
    """Its files may be others by then."""
    adapter = Adapter(wrong("backwards"), 20)
    adapter.pipe.close()
    with pytest.raises(AdapterError, match=r"was closed before it answered\."):
        adapter.echo(1)


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


@declares("controlled-clock", chapters=("output",))
class Bound(ModelStore):
    """A store without a fault that is bound to the thread it was opened in, as a connection of sqlite3 is."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.thread = threading.get_ident()

    def close(self) -> None:
        """Let it go, in that thread."""
        if threading.get_ident() != self.thread:
            raise RuntimeError("opened in another thread")


def test_a_store_that_one_thread_calls_stays_in_the_thread_it_is_served_in() -> None:
    """Opened, closed for another one, and closed at the end of the requests, all in the thread of who serves it."""
    reset = '{"id": %d, "reset": {"directory": ".", "now": 1000}}\n'
    answers = StringIO()
    serve("test_callers:Bound", StringIO(reset % 1 + reset % 2), answers)
    assert answers.getvalue() == '{"id":1,"answer":null}\n{"id":2,"answer":null}\n'


def test_ctrl_c_ends_a_program_that_serves_several_callers() -> None:
    """It ends while its input is still open."""
    served = [sys.executable, "-m", "fencepost.kit.serve", "faulty:Patient"]
    pipe = subprocess.PIPE
    with subprocess.Popen(served, cwd=HERE, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b'{"id": 1, "echo": 1}\n')
        assert process.stdout.readline() == b'{"id":1,"answer":1}\n'
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(20) == -signal.SIGINT
        finally:
            process.kill()
