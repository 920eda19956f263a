"""A program, and the exchange of lines of JSON with it, by one thread or by several.

Whatever it does but answer is its failure: what was received is told, and nothing waits for ever.
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
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from fencepost.spec.wire import as_line

from .backend import ANSWER_S, BackendError, shortened
from .supervision import GROUP, LEFT_OVER, how_it_ended

ERROR = re.compile(r"[\w.]*(Error|Exception)\b|thread .* panicked|panic:")
"""How a line begins that tells of an error, in several languages."""

BYTE_ORDER_MARK = "\ufeff".encode()
"""What some languages put in front of all that they write."""

LONGEST = 1 << 28
"""How many bytes a line may have: of a program that writes without end not all is kept until the time is up."""

BEGINNING = 1 << 10
"""How many of them are looked at to show how they begin."""

LOOK_S = 0.05
"""How long a thread that moves lines may overlook that another one has some to send."""

LINE = "Expected one line of JSON for each request, with its id"


class AdapterError(BackendError):
    """A program that does not answer as an adapter does: the text is a sentence for its author."""


class _Broken(Exception):
    """What the program has done instead of answering."""


class Pipe:
    """A program, and the exchange of lines with it. Every failure is final: later requests fail alike.

    Several threads may ask at once. One of those that wait moves the lines of all of them, until its own answer is there.
    """

    def __init__(self, command: Sequence[str], seconds: float = ANSWER_S) -> None:
        self.name = shlex.join(command)
        self._seconds = seconds
        self._number = 0
        self._asked: dict[int, str] = {}
        """What was asked for under each id that has no answer yet."""
        self._answers: dict[int, dict[str, Any]] = {}
        self._unsent, self._received = bytearray(), bytearray()
        self._guard = threading.Condition()
        self._is_moving = self._is_closed = False
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
        with self._guard:
            if self._failure is not None:
                raise self._failure
            self._number += 1
            number = self._number
            line = as_line({"id": number, **request}).encode()
            self._asked[number] = what
            self._unsent += line
            self._send()
        deadline = time.monotonic() + self._seconds
        while True:
            with self._guard:
                # before the time: who was stopped meanwhile may find both
                if number in self._answers:
                    return self._answers.pop(number)
                if self._failure is not None:
                    raise self._failure
                if time.monotonic() >= deadline:
                    break
                if self._is_moving:
                    self._guard.wait(LOOK_S)
                    continue
                self._is_moving = True
            self._move()
        raise self.failed(f"did not answer {what} within {self._seconds:g} s{self._begun()}. {LINE}")

    def failed(self, how: str) -> AdapterError:
        """The failure, for good, and the first of them: the program is ended."""
        with self._guard:
            if self._failure is None:
                self._failure = AdapterError(f"The adapter {self.name} {how}.{self._last_words()}")
        self.close()
        return self._failure

    def close(self) -> None:
        """End the program, and all that it has started. Idempotent."""
        with self._guard:
            if self._is_closed:
                return
            self._is_closed = True
            if self._failure is None:
                self._failure = AdapterError(f"The adapter {self.name} was ended by its close(). Expected no request after it.")
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # there may be some that are left of a program that has ended
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with self._guard:
            # whoever moves lines reads to their end first
            self._guard.wait_for(lambda: not self._is_moving, 2 * LOOK_S)
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

    def _move(self) -> None:
        """Send and read what can be now, for all that have asked. Raises `AdapterError`."""
        broken = None
        try:
            # `select.select` takes no descriptor above 1023
            looked = select.poll()
            looked.register(self._output, select.POLLIN)
            if self._unsent:
                looked.register(self._input, select.POLLOUT)
            ready = dict(looked.poll(LOOK_S * 1000))
            if self._input in ready:
                with self._guard:
                    self._send()
            if self._output in ready:
                self._receive()
        except _Broken as error:
            broken = str(error)
        finally:
            with self._guard:
                self._is_moving = False
                self._guard.notify_all()
        if broken is not None:
            raise self.failed(broken)

    def _send(self) -> None:
        """Send what the pipe takes."""
        try:
            del self._unsent[: os.write(self._input, self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()  # it has ended, as reading shows

    def _receive(self) -> None:
        """Read what has come, and file the answers that are whole."""
        chunk = os.read(self._output, 1 << 16)
        if not chunk:
            raise _Broken(f"{self._status()} before it answered {self._what()}{self._begun()}. {LINE}")
        self._received += chunk
        if len(self._received) > LONGEST:
            raise _Broken(f"answered {self._what()} with more than {LONGEST:,} bytes{self._begun()}. {LINE}")
        if b"\n" not in chunk:
            return
        *lines, rest = self._received.split(b"\n")
        while lines and self._asked:
            self._file(self._read(lines.pop(0)))
        self._received = bytearray(b"\n".join((*lines, rest)))

    def _read(self, line: bytearray) -> dict[str, Any]:
        try:
            answer = _JSON.decode(line.removeprefix(BYTE_ORDER_MARK).decode())
        except (ValueError, RecursionError):
            raise _Broken(f"answered {self._what()} with {shortened(line.decode(errors='replace'))}. {LINE}") from None
        if not isinstance(answer, dict):
            raise _Broken(f"answered {self._what()} with {shortened(answer)}. Expected a JSON object")
        return answer

    def _file(self, answer: dict[str, Any]) -> None:
        """Keep an answer for the thread that waits for it."""
        number = answer.get("id")
        with self._guard:
            # to Python 1.0 and true are 1 as well
            if type(number) is not int or number not in self._asked:
                ids = " or ".join(map(str, self._asked))
                raise _Broken(f"answered {self._what()} with the id {shortened(number)}. Expected the integer {ids}")
            del self._asked[number]
            self._answers[number] = answer

    def _what(self) -> str:
        """What was asked for, in words."""
        with self._guard:
            return " and ".join(dict.fromkeys(self._asked.values()))

    def _begun(self) -> str:
        """What came of an answer that was not ended, in words: its beginning is all that is shown."""
        begun = bytes(self._received[:BEGINNING])
        if not begun:
            return ""
        end = "" if b"\n" in self._received else ", without the end of a line"
        return f"; what came is {shortened(begun.decode(errors='replace'))}{end}"

    def _status(self) -> str:
        """What the program has done that has no more output, in words."""
        try:
            return f"ended {how_it_ended(self._process.wait(1))}"
        except subprocess.TimeoutExpired:
            return "closed its output"

    def _last_words(self) -> str:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 4_000))
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        # some end with their version, or with a hint: the error stands above it
        words = next((line for line in reversed(lines) if ERROR.match(line)), lines[-1] if lines else "")
        return f" Its last words: {shortened(words, 200)}" if words else ""


def _file_of(stream: IO[bytes] | None) -> int:
    assert stream is not None  # asked for as a pipe
    return stream.fileno()


def _no_json(text: str) -> float:
    raise ValueError(f"{text} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_no_json)
