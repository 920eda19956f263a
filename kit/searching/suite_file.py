"""Suites as files, format `fencepost-suite/1`: JSON with a sequence of calls a line, in the form of the wire."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fencepost.model import Refused
from fencepost.spec import U64_MAX, StoreError
from fencepost.spec.operations import OPERATIONS
from fencepost.spec.wire import answer_from_wire, arguments_from_wire, arguments_to_wire, to_wire
from fencepost.statemachines.checker import Call, Event, Move
from fencepost.statemachines.minted import Program
from fencepost.statemachines.scope import Bounds
from fencepost.statemachines.scopes import SCOPES
from fencepost.statemachines.suite import Suite, suite_of

from fencepost import __version__

FORMAT = "fencepost-suite/1"
BUILTIN = "builtin"
"""The suites that are written anew from the scopes that chapters have for it."""

MOVES: dict[str, tuple[type, ...]] = {"start": (int, str), "stop": (int,), "hide": (int,)}
"""What a sequence may do besides calls, with the types of its arguments."""


class SuiteUnusable(Exception):
    """A file is no suite: the text is a sentence for the caller."""


def suite_text(suite: Suite, bounds: Bounds) -> bytes:
    """The suite as JSON."""
    head = {
        "format": FORMAT,
        "fencepost": __version__,
        "chapter": suite.chapter,
        "bounds": asdict(bounds),
        "cover": suite.cover,
        "covered": suite.covered,
    }
    first = json.dumps(head)[:-1]
    lines = ",\n".join(json.dumps([_event(each) for each in program], separators=(",", ":")) for program in suite.programs)
    return f'{first}, "sequences": [\n{lines}\n]}}\n'.encode()


def _event(event: Event) -> dict[str, Any]:
    """A step: its answer only where later steps may need what it brought."""
    now, action, answer, _ = event
    if isinstance(action, Move):
        return {"now": now, "move": action.method, "arguments": list(action.arguments)}
    said = {"now": now, "call": action.operation, "arguments": arguments_to_wire(action.operation, action.arguments)}
    return said if answer is None or isinstance(answer, Refused) else {**said, "answer": to_wire(answer)}


def read_suite(path: str) -> Suite:
    """The suite in a file. Raises `SuiteUnusable`."""
    try:
        data = json.loads(Path(path).read_bytes())
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise SuiteUnusable(f"{path} is no suite: expected an object whose format is {FORMAT}.")
        if data["chapter"] not in SCOPES:
            raise SuiteUnusable(f"{path} is for chapter {data['chapter']!r}, expected one of {', '.join(SCOPES)}.")
        programs = tuple(tuple(_read_event(each) for each in sequence) for sequence in data["sequences"])
        if not any(programs):
            raise SuiteUnusable(f"{path} is a suite without a step. Expected some: `fencepost suite` writes suites.")
        return Suite(data["chapter"], str(data["cover"]), int(data["covered"]), programs)
    except OSError as error:
        raise SuiteUnusable(f"{path} cannot be read: {error.strerror}. `fencepost suite` writes suites.") from error
    except (KeyError, TypeError, ValueError, RecursionError, StoreError) as error:
        raise SuiteUnusable(f"{path} is no suite that can be read: {type(error).__name__}: {error}.") from error


def _read_event(data: Any) -> Event:
    now = data["now"]
    if type(now) is not int or not 0 <= now <= U64_MAX:
        raise ValueError(f"received the instant {now!r}")
    if "move" in data:
        arguments = tuple(data["arguments"])
        if tuple(map(type, arguments)) != MOVES.get(data["move"]):
            raise ValueError(f"received the move {data['move']!r} of {arguments!r}")
        return Event(now, Move(data["move"], arguments))
    operation = data["call"]
    if operation not in OPERATIONS:
        raise ValueError(f"there is no call {operation!r}")
    call = Call(operation, arguments_from_wire(operation, data["arguments"]))
    return Event(now, call, answer_from_wire(operation, data["answer"]) if "answer" in data else None)


def suites(given: str, chapter: str) -> tuple[Program, ...]:
    """The sequences for a chapter: those of a file, or the ones that are built in. Raises `SuiteUnusable`."""
    return builtin(chapter).programs if given == BUILTIN else read_suite(given).programs


def builtin(chapter: str) -> Suite:
    """The suite that covers every edge of the scope that the chapter has for it."""
    return suite_of(SCOPES[chapter](SCOPES[chapter].suite))


def chapters_of(given: str, wanted: Collection[str]) -> tuple[str, ...]:
    """The chapters of the suite, of these the ones that are wanted, if any are named. Raises `SuiteUnusable`."""
    there = tuple(SCOPES) if given == BUILTIN else (read_suite(given).chapter,)
    chosen = tuple(each for each in there if not wanted or each in wanted)
    if not chosen:
        raise SuiteUnusable(f"{given} has no sequences for these chapters, expected one or more of {', '.join(there)}.")
    return chosen
