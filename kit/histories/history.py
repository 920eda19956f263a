"""Histories: the calls that were made on stores in production, as `fencepost.record` writes them and `check-trace` reads them.

A history is a text file in UTF-8, each line a JSON object. All instants are epoch milliseconds. The first line is the head:

    {"format":"fencepost-history/1","fencepost":"0.1.0","at":1767225600000,"protocols":["event","output"]}

Then comes a line for each call, written when the call has ended, so in the order in which calls ended:

    {"at":[1767225600010,1767225600012],"by":1,"over":2,"call":{"operation":...,"arguments":{...}},"answer":...}

* `at`: between which two instants the call was made.
* `by`: which caller made it, a number for each thread.
* `over`: how many of the calls that ended before it were still being made when it began; left out for 0. This alone tells which
  calls overlapped: instants are too coarse.
* `call`: the operation, and its arguments by their names, in the form of `fencepost.spec.wire`. Arguments that the protocol
  does not admit have no such form: then `{"operation":...,"invalid":...}` says in words what they were, and
  `{"operation":...,"foreign":...}` if they were not as many as the protocol asks for.
* and one of `answer`, `error` (a refusal, in that form), `crash` (an exception that was no refusal, in words), `strange` (an
  answer that the call cannot give, in words), `lost` (the caller went away before there was an answer, in words).

Three more lines may stand among them: `{"closed":instant}` where a recording ended with no call being made,
`{"resumed":instant}` where another one goes on in the same file, with `"fresh":true` if its store was empty then, and
`{"stopped":"why"}` where the recorder gave up. A reader passes over keys that it does not know, and refuses a version that it
does not know.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from fencepost.model import Refused
from fencepost.spec import InvalidArgument
from fencepost.spec.operations import OPERATIONS, PROTOCOLS
from fencepost.spec.values import printable
from fencepost.spec.wire import answer_from_wire, arguments_from_wire, error_from_wire
from fencepost.statemachines.checker import Call

from ..backend import shortened, told

FORMAT = "fencepost-history/1"
"""Raised with every change that a reader of earlier histories could stumble over."""

LONGEST_INSTANT = 2**64 - 1


class Unreadable(Exception):
    """A line, or a file, that is none of a history; the text is a sentence that says why."""


class _NoJson(Unreadable):
    """A line that is not whole, as one is that was broken off in the middle."""


@dataclass(frozen=True)
class Head:
    """The first line: who wrote the history, when it began, and of which protocols its stores were."""

    fencepost: str
    at: int
    protocols: tuple[str, ...]


class Invalid(NamedTuple):
    """A call whose arguments the protocol does not admit, in words; `foreign` if they were not as many as it asks for."""

    operation: str
    arguments: str
    foreign: bool


class Crashed(NamedTuple):
    """The outcome of a call that raised what is no refusal, in words."""

    words: str


class Strange(NamedTuple):
    """An answer that the call cannot give, in words."""

    words: str


class Lost(NamedTuple):
    """The outcome of a call whose caller went away: nobody knows it."""

    words: str


class Recorded(NamedTuple):
    """A call: the line that it stands in, its interval, its caller, how many earlier lines it overlapped, and its outcome."""

    line: int
    began: int
    ended: int
    by: int
    over: int
    call: Call | Invalid
    outcome: Any
    """An answer, `Refused`, `Crashed`, `Strange` or `Lost`."""


class Mark(NamedTuple):
    """A line that is no call: `closed`, `resumed` or `stopped`, and what it says."""

    line: int
    what: str
    says: object
    fresh: bool = False
    """Whether a recording goes on with an empty store."""


MARKS = ("closed", "resumed", "stopped")
OUTCOMES = ("answer", "error", "crash", "strange", "lost")


def read_head(text: str | bytes) -> Head:
    """The head of a history. Raises `Unreadable`."""
    line = _json(1, text)
    given = line.get("format") if isinstance(line, dict) else None
    if given != FORMAT:
        what = f"the format {shortened(given)}" if isinstance(given, str) else _cut(text)
        raise Unreadable(
            f'Line 1 has {what}. Expected "format":"{FORMAT}", as `fencepost.record` of this version writes it'
            f"{_other_version(given)}."
        )
    protocols = line.get("protocols")
    if not isinstance(protocols, list) or not protocols or not all(each in PROTOCOLS for each in protocols):
        raise Unreadable(f"Line 1 has the protocols {shortened(protocols)}. Expected some of {', '.join(PROTOCOLS)}.")
    if not _is_instant(line.get("at")):
        raise Unreadable(f"Line 1 says that it was begun at {shortened(line.get('at'))}. Expected epoch milliseconds.")
    return Head(str(line.get("fencepost")), line["at"], tuple(protocols))


def _other_version(given: object) -> str:
    name = FORMAT.partition("/")[0]
    if isinstance(given, str) and given.partition("/")[0] == name:
        return "; another version of fencepost wrote this file, and can read it"
    return ""


def read_line(number: int, text: str | bytes) -> Recorded | Mark:
    """Any line but the first. Raises `Unreadable`."""
    line = _json(number, text)
    if not isinstance(line, dict):
        raise Unreadable(f"Line {number} is {_cut(text)}. Expected a JSON object: a call with its outcome.")
    for what in MARKS:
        if what in line:
            return _mark(number, what, line)
    try:
        call = _call(line["call"])
        began, ended = line["at"]
        by, over = line.get("by", 0), line.get("over", 0)
        if not all(map(_is_instant, (began, ended, by, over))):
            raise ValueError(f"at {line['at']}, by {by}, over {over} are no numbers")
        return Recorded(number, began, ended, by, over, call, _outcome(call, line))
    except (KeyError, TypeError, ValueError) as error:
        raise Unreadable(f"Line {number} is no call that can be read ({_why(error)}): {_cut(text)}.") from None


def _mark(number: int, what: str, line: dict[str, Any]) -> Mark:
    says = line[what]
    is_why = what == "stopped"
    if not (isinstance(says, str) if is_why else _is_instant(says)):
        expected = "why, in words" if is_why else "epoch milliseconds"
        raise Unreadable(f"Line {number} says {what} {shortened(says)}. Expected {expected}.")
    return Mark(number, what, printable(says) if is_why else says, line.get("fresh") is True)


def _cut(text: str | bytes) -> str:
    return shortened((text.decode(errors="replace") if isinstance(text, bytes) else text).strip())


def _json(number: int, text: str | bytes) -> Any:
    with contextlib.suppress(msgspec.MsgspecError, ValueError, RecursionError):
        return msgspec.json.decode(text)
    try:
        # slower, and reads what Python alone can write, such as half a character in the words of an exception
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _NoJson(f"Line {number} is no JSON: {_cut(text)}.") from None


def _is_instant(value: object) -> bool:
    return type(value) is int and 0 <= value <= LONGEST_INSTANT


def _call(data: Any) -> Call | Invalid:
    operation = data["operation"]
    if operation not in OPERATIONS:
        raise ValueError(f"there is no operation {shortened(operation)}")
    for key in ("invalid", "foreign"):
        if key in data:
            return Invalid(operation, printable(str(data[key])), key == "foreign")
    return Call(operation, arguments_from_wire(operation, data["arguments"]))


def _outcome(call: Call | Invalid, line: dict[str, Any]) -> Any:
    found = [each for each in OUTCOMES if each in line]
    if len(found) != 1:
        raise ValueError(f"it has {' and '.join(found) or 'no outcome'}, expected one of {', '.join(OUTCOMES)}")
    given = line[found[0]]
    if found[0] in ("crash", "strange", "lost") and not isinstance(given, str):
        raise ValueError(f"its {found[0]} is {shortened(given)}, expected words")
    match found[0]:
        case "answer":
            return answer_from_wire(call.operation, given) if isinstance(call, Call) else given
        case "error":
            return Refused(error_from_wire(given))
        case "crash":
            return Crashed(printable(given))
        case "strange":
            return Strange(printable(given))
    return Lost(printable(given))


def _why(error: Exception) -> str:
    if isinstance(error, InvalidArgument):
        return printable(str(error))
    return f"it lacks {error}" if isinstance(error, KeyError) else told(error)


class Torn(NamedTuple):
    """The end of a history that was broken off in the middle of a line; what follows a full disk, or a kill."""

    line: int
    says: str


def read_calls(lines: Iterable[bytes]) -> Iterator[Recorded | Mark | Torn]:
    """What stands behind the head. Raises `Unreadable` for a line that cannot be read, but for a last one that is no JSON."""
    broken: Torn | None = None
    for number, text in enumerate(lines, 2):
        if not text.strip():
            continue
        try:
            line = read_line(number, text)
        except _NoJson as error:
            if broken:
                raise Unreadable(broken.says) from None
            broken = Torn(number, str(error))
            continue
        # a recorder that gave up on a line says so behind it
        if broken and not (isinstance(line, Mark) and line.what == "stopped"):
            raise Unreadable(broken.says)
        if broken:
            yield broken
            broken = None
        yield line
    if broken:
        yield broken


def fitting(head: Head, lines: Iterable[Recorded | Mark | Torn]) -> Iterator[Recorded | Mark | Torn]:
    """All lines behind the head, as they come. Raises `Unreadable` for a call that does not fit it, or those before."""
    calls = 0
    for line in lines:
        if isinstance(line, Recorded):
            chapter = OPERATIONS[line.call.operation].chapter
            if not any(chapter in PROTOCOLS[each] for each in head.protocols):
                raise Unreadable(
                    f"Line {line.line} has a call of {line.call.operation}, which is of {chapter}. Expected calls of the "
                    f"protocols in line 1: {', '.join(head.protocols)}."
                )
            if line.over > calls:
                raise Unreadable(
                    f"Line {line.line} says that it overlaps {line.over} calls before it. Expected at most {calls}."
                )
            calls += 1
        yield line


def last_line_is_whole(path: Path) -> bool:
    """Whether the file ends with the end of a line."""
    with path.open("rb") as file:
        file.seek(0, 2)
        if file.tell() == 0:
            return True
        file.seek(-1, 2)
        return file.read(1) == b"\n"


def protocols_named(parts: Iterable[str]) -> tuple[str, ...]:
    """The protocols, in reading order, by their names."""
    given = set(parts)
    return tuple(each for each in PROTOCOLS if each in given)
