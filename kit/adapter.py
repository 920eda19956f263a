"""Stores behind a pipe: a program in any language that reads requests from its input and writes answers to its output.

Each is one line of JSON. The program is started once; a `reset` gives it an empty directory and asks for an empty store.
Whatever it does but answer, the run could not be evaluated: what was received is told, and nothing waits for ever.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import select
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from fencepost.spec import InvalidArgument, StoreError, Stores
from fencepost.spec.operations import CHAPTERS, OPERATIONS, Operation, part_of
from fencepost.spec.wire import answer_from_wire, arguments_to_wire, as_line, error_from_wire
from fencepost.statemachines.environment import CAPABILITIES, Environment, Unavailable

from .backend import ANSWER_S, BackendError, shortened
from .marks import DECLARES, OFFERS
from .supervision import GROUP, LEFT_OVER, how_it_ended

PROTOCOL = "fencepost-adapter/1"
"""Raised with every change that an adapter could stumble over."""

DECLARABLE = tuple(each for each in CAPABILITIES if each != "concurrent-callers")
"""What an adapter may declare: one request after the other is all that its lines are for."""

ERROR = re.compile(r"[\w.]*(Error|Exception)\b|thread .* panicked|panic:")
"""How a line begins that tells of an error, in several languages."""

BYTE_ORDER_MARK = "\ufeff".encode()
"""What some languages put in front of all that they write."""

OUTCOMES = ("answer", "error", "crash")
"""One of these stands beside the id in what a call comes to."""

LONGEST = 1 << 28
"""How many bytes a line may have: of a program that writes without end not all is kept until the time is up."""

BEGINNING = 1 << 10
"""How many of them are looked at to show how they begin."""

LINE = "Expected one line of JSON for each request, with its id"


class AdapterError(BackendError, Unavailable):
    """A program that does not answer as an adapter does: the text is a sentence for its author."""


class StoreCrashed(Exception):
    """The store under the adapter raised what is no refusal; the text is the adapter's."""


class Declared(NamedTuple):
    """What an adapter said of its store."""

    chapters: tuple[str, ...]
    capabilities: tuple[str, ...]


class Pipe:
    """A program, and the exchange of lines with it. Every failure is final: later requests fail alike."""

    def __init__(self, command: Sequence[str], seconds: float = ANSWER_S) -> None:
        self.name = shlex.join(command)
        self._seconds = seconds
        self._number = 0
        self._received = bytearray()
        self._failure: AdapterError | None = None
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the program
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                # a group of its own, to be ended with all that it has started
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise AdapterError(
                f"The adapter {self.name} cannot be started: {error.strerror or error}. Expected a program."
            ) from error
        atexit.register(self.close)
        self._note = self._noted()
        self._input, self._output = _file_of(self._process.stdin), _file_of(self._process.stdout)
        os.set_blocking(self._input, False)

    def ask(self, request: dict[str, Any], what: str) -> dict[str, Any]:
        """Send a request, and wait for its answer. Raises `AdapterError`."""
        if self._failure is not None:
            raise self._failure
        self._number += 1
        line = as_line({"id": self._number, **request})
        answer = self._read(self._exchanged(line.encode(), what), what)
        number = answer.get("id")
        # to Python 1.0 and true are 1 as well
        if type(number) is not int or number != self._number:
            raise self.failed(f"answered {what} with the id {shortened(number)}. Expected the integer {self._number}")
        return answer

    def failed(self, how: str) -> AdapterError:
        """The failure, for good: the program is ended."""
        self._failure = AdapterError(f"The adapter {self.name} {how}.{self._last_words()}")
        self.close()
        return self._failure

    def close(self) -> None:
        """End the program, and all that it has started. Idempotent."""
        if self._errors.closed:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # there may be some that are left of a program that has ended
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._note is not None:
            self._note.unlink(missing_ok=True)
        for each in (self._process.stdin, self._process.stdout, self._errors):
            if each is not None:
                each.close()

    def _noted(self) -> Path | None:
        """Note the group among what is temporary: whoever clears up after a process that could not ends it."""
        folder = LEFT_OVER.read()
        if not folder:
            return None
        note = Path(folder, f"{self._process.pid}{GROUP}")
        note.touch()
        return note

    def _exchanged(self, line: bytes, what: str) -> bytes:
        deadline, pending = time.monotonic() + self._seconds, self._unsent(line)
        end = self._received.find(b"\n")
        while pending or end < 0:
            left = deadline - time.monotonic()
            if left <= 0:
                raise self.failed(f"did not answer {what} within {self._seconds:g} s{self._begun()}. {LINE}")
            readable, writable, _ = select.select([self._output], [self._input] if pending else [], [], left)
            if writable:
                pending = self._unsent(pending)
            if readable:
                chunk = os.read(self._output, 1 << 16)
                if not chunk:
                    raise self.failed(f"ended{self._status()} before it answered {what}{self._begun()}. {LINE}")
                if end < 0 and b"\n" in chunk:
                    end = len(self._received) + chunk.index(b"\n")
                self._received += chunk
                if len(self._received) > LONGEST:
                    raise self.failed(f"answered {what} with more than {LONGEST:,} bytes{self._begun()}. {LINE}")
        answer = bytes(self._received[:end])
        del self._received[: end + 1]
        return answer

    def _begun(self) -> str:
        """What came of an answer that was not ended, in words: its beginning is all that is shown."""
        begun = bytes(self._received[:BEGINNING])
        if not begun:
            return ""
        end = "" if b"\n" in self._received else ", without the end of a line"
        return f"; what came is {shortened(begun.decode(errors='replace'))}{end}"

    def _unsent(self, line: bytes) -> bytes:
        """Send what the pipe takes; the rest."""
        try:
            return line[os.write(self._input, line) :]
        except BlockingIOError:
            return line
        except OSError:
            return b""  # it has ended, as reading shows

    def _read(self, line: bytes, what: str) -> dict[str, Any]:
        try:
            answer = _JSON.decode(line.removeprefix(BYTE_ORDER_MARK).decode())
        except (ValueError, RecursionError):
            raise self.failed(f"answered {what} with {shortened(line.decode(errors='replace'))}. {LINE}") from None
        if not isinstance(answer, dict):
            raise self.failed(f"answered {what} with {shortened(answer)}. Expected a JSON object")
        return answer

    def _status(self) -> str:
        try:
            return f" {how_it_ended(self._process.wait(1))}"
        except subprocess.TimeoutExpired:
            return ""

    def _last_words(self) -> str:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 4_000))
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        # some end with their version, or with a hint: the error stands above it
        words = next((line for line in reversed(lines) if ERROR.match(line)), lines[-1] if lines else "")
        return f" Its last words: {shortened(words, 200)}" if words else ""


class Adapter:
    """A factory of stores that a program keeps: `Adapter(command)(environment)`.

    Raises `AdapterError` if the program cannot be started, or does not introduce itself.
    """

    def __init__(self, command: str, seconds: float = ANSWER_S) -> None:
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise AdapterError(f"Received the command {command!r}: {error}. Expected one as a shell takes it.") from None
        if not words:
            raise AdapterError("Received an empty command, expected a program with its arguments.")
        self.pipe = Pipe(words, seconds)
        self.declared = self._introduced()
        self._environment: Environment | None = None
        setattr(self, DECLARES, self.declared.capabilities)
        setattr(self, OFFERS, self.declared.chapters)

    def __call__(self, environment: Environment) -> PipedStores:
        """An empty store, or in the environment of the last one that store again. Raises `AdapterError`."""
        how = "reopen" if environment is self._environment else "reset"
        self._environment = environment
        request = {"directory": str(Path(environment.directory).absolute()), **instant(environment)}
        answer = self.pipe.ask({how: request}, f"the {how}")
        if "answer" not in answer:
            raise self.pipe.failed(f"answered the {how} with {shortened(answer)}. Expected an answer, null")
        parts = dict.fromkeys(part_of(chapter) for chapter in self.declared.chapters)
        stores: dict[str, Any] = {part: PipedStore(self, environment, part) for part in parts}
        return PipedStores(**stores)

    def echo(self, value: Any) -> Any:
        """What the program makes of JSON data: the same, if its JSON is exact. Raises `AdapterError`."""
        return self.pipe.ask({"echo": value}, "an echo").get("answer")

    def _introduced(self) -> Declared:
        answer = self.pipe.ask({"hello": {"protocol": PROTOCOL}}, "the hello").get("hello")
        expected = f'Expected {{"protocol": "{PROTOCOL}", "chapters": […], "capabilities": […]}}'
        if not isinstance(answer, dict) or answer.get("protocol") != PROTOCOL:
            raise self.pipe.failed(f"introduced itself with {shortened(answer)}. {expected}")
        return Declared(*(self._some(answer, name, known, expected) for name, known in DECLARED.items()))

    def _some(self, answer: dict[str, Any], name: str, known: Sequence[str], expected: str) -> tuple[str, ...]:
        given = answer.get(name, [] if name == "capabilities" else None)
        if not isinstance(given, list) or any(each not in known for each in given) or (name == "chapters" and not given):
            raise self.pipe.failed(f"declared {name} {shortened(given)}. {expected}, of {', '.join(known)}")
        return tuple(each for each in known if each in given)


DECLARED: dict[str, Sequence[str]] = {"chapters": tuple(CHAPTERS), "capabilities": DECLARABLE}


class PipedStores(Stores):
    """The stores behind a pipe."""

    def close(self) -> None:
        """Nothing yet: the program closes its store when it is asked to reopen it, or for another one."""


class PipedStore:
    """One of the stores behind a pipe: it has the methods of the chapters that were declared."""

    def __init__(self, adapter: Adapter, environment: Environment, part: str) -> None:
        chapters = [each for each in adapter.declared.chapters if part_of(each) == part]
        self._pipe = adapter.pipe
        self._environment = environment
        self._operations = {each.method_name: each for each in OPERATIONS.values() if each.chapter in chapters}

    def __getattr__(self, name: str) -> Any:
        operation = self.__dict__.get("_operations", {}).get(name)
        if operation is None:
            raise AttributeError(name)
        return lambda *arguments: self._call(operation, arguments)

    def _call(self, operation: Operation, arguments: tuple[Any, ...]) -> Any:
        # what the signature does not admit has no form on the wire
        operation.refuse_invalid(arguments)
        call = {"operation": operation.name, "arguments": arguments_to_wire(operation.name, arguments)}
        answer = self._pipe.ask({"call": call, **instant(self._environment)}, operation.name)
        if sum(each in answer for each in OUTCOMES) != 1 or not isinstance(answer.get("crash", ""), str):
            expected = 'Expected one of "answer", "error" and "crash", a text, beside the id'
            raise self._pipe.failed(f"answered {operation.name} with {shortened(answer)}. {expected}")
        if "error" in answer:
            raise self._refusal(operation, answer)
        if "crash" in answer:
            raise StoreCrashed(answer["crash"])
        try:
            return answer_from_wire(operation.name, answer["answer"])
        except InvalidArgument as error:
            raise self._pipe.failed(f"answered {operation.name} with {shortened(answer)}: {error}") from None

    def _refusal(self, operation: Operation, answer: dict[str, Any]) -> StoreError:
        try:
            return error_from_wire(answer["error"])
        except InvalidArgument as error:
            raise self._pipe.failed(f"refused {operation.name} with {shortened(answer)}: {error}") from None


def instant(environment: Environment) -> dict[str, Any]:
    """What the program has to know besides: the clock, and the processes that are under the run's control."""
    running, hidden = environment.process_alive.table()
    processes = {"running": {str(pid): start for pid, start in running.items()}, "hidden": sorted(hidden)}
    return {"now": environment.clock.now} | ({"processes": processes} if running or hidden else {})


def _file_of(stream: IO[bytes] | None) -> int:
    assert stream is not None  # asked for as a pipe
    return stream.fileno()


def _no_json(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_no_json)
