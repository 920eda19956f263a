"""Traces: a counterexample as lines of JSON, to be kept, sent, and run again. Format `fencepost-trace/1`.

A file of UTF-8 lines, each one JSON object. The first says what the trace is of:

    {"format": "fencepost-trace/1", "fencepost": VERSION, "backend": NAME, "chapter": CHAPTER, "requirements": [ID, …],
     "seed": NUMBER, "strict": BOOLEAN, "ahead": NUMBER}

`ahead` is there for a store that went by the time of day: how far the instants are ahead of those of a run that begins at 1000.
`requirements` starts with the one that failed. Every other line is one event, in the order in which they happened, each with
its instant, `now`, in epoch ms of the run's clock, which never goes backwards. An event is a move of what is around the store,

    {"now": NUMBER, "move": "start" | "stop" | "hide" | "reopen" | "empty", "arguments": [PID, START STAMP]}

(a process starts under a pid, a pid's process ends, a pid cannot be told from now on, the store is closed and opened again, the
caller empties the list that the last call gave it), or a call with what came of it, one of three:

    {"now": NUMBER, "call": CALL, "answer": …}     what the call gave
    {"now": NUMBER, "call": CALL, "error": {…}}    the refusal it raised
    {"now": NUMBER, "call": CALL, "crash": TEXT}   what it raised that is no refusal

CALL is `{"operation": NAME, "arguments": {…}}`; arguments, answers and refusals have the form of `spec.wire`. An argument that
the signature does not admit has no such form: it stands under `"invalid"` beside the arguments, as one of `{"int": TEXT}`,
`{"float": TEXT}`, `{"str": TEXT}`, `{"bytes": BASE64}`, `{"bool": …}`, `{"none": null}`, `{"tuple": [such values]}` or
`{"record": NAME, "value": …}`. An answer that is of no form that the call can give is told as `{"shown": TEXT}` in place of it.

The last event is the call that was answered wrongly. It has two keys more: `admissible`, the answers that would have passed,
ours first, each as `{"answer": …}` or `{"error": {…}}`; and `path`, the field in which the answer differs from ours, empty if
it is of another kind. A file whose last line has no `admissible` is not whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from fencepost.model import Refused
from fencepost.spec import U64_MAX, InvalidArgument
from fencepost.spec.operations import OPERATIONS
from fencepost.spec.wire import answer_from_wire, argument_from_wire, error_from_wire
from fencepost.statemachines.checker import Call, Crash, Event, Move
from fencepost.statemachines.environment import BEGINNING

from fencepost import __version__

from ..backend import shortened
from ..backend import told as in_words
from ..result import Request
from .counterexample import Counterexample
from .tagged import Unsayable, said, tagged, untagged

FORMAT = "fencepost-trace/1"
"""Raised with every change, after a release, that a reader of earlier traces could stumble over."""

MOVES: dict[str, tuple[type, ...]] = {"start": (int, str), "stop": (int,), "hide": (int,), "reopen": (), "empty": ()}
"""What may move, and the arguments of each move."""


class TraceError(Exception):
    """A file that is no trace: the text is a sentence that says which line is wrong, what is there and what was expected."""


class Told(Exception):  # no error, but the memory of one
    """What a store raised in an earlier run."""


@dataclass(frozen=True)
class Trace:
    """A trace that was read: what it is of, what was done, and the field in which the last answer was wrong.

    The answer of the last event may be of any kind; those before it are what the calls can give.
    """

    backend: str
    chapter: str
    requirements: tuple[str, ...]
    seed: int
    strict: bool
    version: str
    events: tuple[Event, ...]
    path: str
    ahead: int = 0


def trace_of(found: Counterexample, request: Request) -> bytes:
    """The trace of a counterexample that a run of the request found."""
    head = {
        "format": FORMAT,
        "fencepost": __version__,
        "backend": request.backend,
        "chapter": found.chapter,
        "requirements": found.requirements,
        "seed": request.seed,
        "strict": request.strict,
    } | ({"ahead": found.ahead} if found.ahead else {})
    *events, last = _events(found)
    admissible = [_outcome(found.last.call.operation, each) for each in found.admissible]
    lines = [head, *events, last | {"admissible": admissible, "path": found.path}]
    # in ASCII: a text may hold what no UTF-8 can say
    return "".join(f"{json.dumps(line, allow_nan=False)}\n" for line in lines).encode()


def _events(found: Counterexample) -> Iterator[dict[str, Any]]:
    for line in found.script:
        for move in line.moves:
            assert isinstance(move.action, Move)  # as a script has them
            yield {"now": move.now, "move": move.action.method, "arguments": list(move.action.arguments)}
        performed = line.performed
        outcome = _outcome(performed.call.operation, performed.answer)
        yield {"now": performed.now, "call": _call(performed.call), **outcome}


def _call(call: Call) -> dict[str, Any]:
    valid, invalid = {}, {}
    for (name, _), value in zip(OPERATIONS[call.operation].parameters, call.arguments, strict=True):
        try:
            valid[name] = said(value, partial(argument_from_wire, call.operation, name))
        except Unsayable:
            invalid[name] = tagged(value)
    return {"operation": call.operation, "arguments": valid} | ({"invalid": invalid} if invalid else {})


def _outcome(operation: str, answer: object) -> dict[str, Any]:
    if isinstance(answer, Crash):
        return {"crash": in_words(answer.error)}
    try:
        if isinstance(answer, Refused):
            return {"error": said(answer.error, error_from_wire)}
        return {"answer": said(answer, partial(answer_from_wire, operation))}
    except Unsayable:
        return {"shown": shortened(answer, 500)}


def read_trace(path: str) -> Trace:
    """The trace in a file. Raises `TraceError`."""
    try:
        text = Path(path).read_bytes().decode()
    except OSError as error:
        raise TraceError(f"The trace {path} cannot be read: {error.strerror or error}. Expected a file.") from None
    except UnicodeDecodeError as error:
        raise TraceError(f"The trace {path} is no UTF-8 at byte {error.start}. Expected lines of JSON.") from None
    return _Reader(path).read(text)


class _Reader:
    """Reads one trace, and says which line of it is wrong."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._line = 0
        self._now = BEGINNING

    def read(self, text: str) -> Trace:
        first, *lines = text.split("\n")
        head = self._head(first)
        whole = lines[-1:] == [""]
        events, last = [], {}
        for self._line, line in enumerate(lines[: len(lines) - whole], 2):
            last = self._object(line)
            events.append(self._event(last))
        if not whole or "admissible" not in last:
            self._line += whole
            self._fail("the end of the file", 'a last event with "admissible", and a line end behind it: the file is not whole')
        return Trace(**head, events=tuple(events), path=self._field(last, "path", str))

    def _head(self, line: str) -> dict[str, Any]:
        self._line = 1
        head = self._object(line)
        if head.get("format") != FORMAT:
            self._fail(f"the format {shortened(head.get('format'))}", f"{FORMAT!r}: it is of another version, or no trace")
        named = {"backend": str, "chapter": str, "seed": int, "strict": bool}
        requirements = self._field(head, "requirements", list)
        if not requirements or not all(isinstance(each, str) for each in requirements):
            self._fail(shortened(requirements), '"requirements" with at least one id')
        facts = {name: self._field(head, name, kind) for name, kind in named.items()}
        facts["ahead"] = self._field(head, "ahead", int) if "ahead" in head else 0
        return facts | {"requirements": tuple(requirements), "version": self._field(head, "fencepost", str)}

    def _event(self, data: dict[str, Any]) -> Event:
        now = self._field(data, "now", int)
        if not self._now <= now <= U64_MAX:
            self._fail(f"the instant {now}", f"one from {self._now} on: the clock never goes backwards")
        self._now = now
        if "move" in data:
            return Event(now, self._move(data))
        call = self._call(self._field(data, "call", dict))
        return Event(now, call, self._answer(call.operation, data))

    def _move(self, data: dict[str, Any]) -> Move:
        method, arguments = self._field(data, "move", str), self._field(data, "arguments", list)
        if method not in MOVES or [type(each) for each in arguments] != list(MOVES[method]):
            self._fail(
                shortened(f"{method}({arguments})"), "start(pid, start stamp), stop(pid), hide(pid), reopen() or empty()"
            )
        return Move(method, tuple(arguments))

    def _call(self, data: dict[str, Any]) -> Call:
        operation = self._field(data, "operation", str)
        if operation not in OPERATIONS:
            self._fail(f"the operation {shortened(operation)}", "one of this version of fencepost")
        valid, invalid = self._field(data, "arguments", dict), data.get("invalid", {})
        names = [name for name, _ in OPERATIONS[operation].parameters]
        if not isinstance(invalid, dict) or {*valid, *invalid} != set(names):
            self._fail(f"the arguments {shortened([*valid, *invalid])}", f"just {', '.join(names) or 'none'}")
        try:
            arguments = (
                argument_from_wire(operation, name, valid[name]) if name in valid else untagged(invalid[name]) for name in names
            )
            return Call(operation, tuple(arguments))
        except InvalidArgument as error:
            return self._fail(f"arguments of {operation} that cannot be read: {error}", "the form of the wire")

    def _answer(self, operation: str, data: dict[str, Any]) -> object:
        outcomes = [name for name in ("answer", "error", "crash", "shown") if name in data]
        if len(outcomes) != 1:
            self._fail(f"a call with {' and '.join(outcomes) or 'no answer'}", 'one of "answer", "error", "crash" and "shown"')
        try:
            if "answer" in data:
                return answer_from_wire(operation, data["answer"])
            if "error" in data:
                return Refused(error_from_wire(data["error"]))
        except InvalidArgument as error:
            self._fail(f"an answer of {operation} that cannot be read: {error}", "the form of the wire")
        return Crash(Told(str(data[outcomes[0]])))

    def _object(self, line: str) -> dict[str, Any]:
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            return self._fail(shortened(line) if line else "nothing", "a JSON object: the line is torn, or no JSON")
        return data if isinstance(data, dict) else self._fail(shortened(data), "a JSON object")

    def _field(self, data: dict[str, Any], name: str, kind: type) -> Any:
        if type(data.get(name)) is not kind:
            received = shortened(data[name]) if name in data else "no such key"
            self._fail(f"{received} for {name!r}", f"{WORDS[kind]}")
        return data[name]

    def _fail(self, received: str, expected: str) -> NoReturn:
        raise TraceError(f"Line {self._line} of the trace {self._path}: received {received}, expected {expected}.")


WORDS = {str: "a text", int: "an integer", bool: "true or false", list: "an array", dict: "an object"}
