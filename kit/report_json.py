"""The report for programs: one JSON document, format `fencepost-report/1`."""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
from fencepost.model import Refused
from fencepost.spec import Json
from fencepost.statemachines.checker import Crash, Performed

from fencepost import __version__

from .counterexample import Counterexample
from .coverage import Coverage
from .files import beside, write_whole
from .planted import PROVED_BY, planted
from .result import ChapterRun, Judged, Result, Status

FORMAT = "fencepost-report/1"
"""Raised with every change that a reader of earlier reports could stumble over."""

STANDARD_OUTPUT = "-"


class ReportNotWritten(Exception):
    """The report cannot be written where it was asked for: the text is a sentence for the caller."""


def require_writable(path: str, option: str = "--json") -> None:
    """Raise `ReportNotWritten` now for a path that could not be written later; nothing is left behind."""
    if path == STANDARD_OUTPUT or _is_device(path):
        return
    try:
        if Path(path).is_dir():
            raise IsADirectoryError(0, "it is a directory")
        beside(Path(path)).touch()
        beside(Path(path)).unlink()
    except OSError as error:
        raise _not_written(path, option, error) from error


def write_json(path: str, result: Result) -> None:
    """Write the report at once: a reader finds the old file or the new one, never a half. Raises `ReportNotWritten`."""
    write_out(path, encoded(result))


def write_out(path: str, text: bytes, option: str = "--json") -> None:
    """Write a text at once, to standard output too, under the option that asked for it. Raises `ReportNotWritten`."""
    try:
        if path == STANDARD_OUTPUT:
            sys.stdout.write(text.decode())
            sys.stdout.flush()
        elif _is_device(path):
            Path(path).write_bytes(text)
        else:
            write_whole(Path(path), text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _not_written(path, option, error) from error


def encoded(result: Result) -> bytes:
    """The report as JSON, indented, UTF-8."""
    return msgspec.json.format(msgspec.json.encode(document(result), enc_hook=_plain), indent=2) + b"\n"


def document(result: Result) -> dict[str, Any]:
    """The report as data. All that depends on the time a run took stands under `timing`."""
    request = result.request
    return {
        "format": FORMAT,
        "verdict": result.verdict.value,
        "interrupted": result.interrupted,
        "troubles": result.troubles,
        "backend": request.backend,
        "seed": request.seed,
        "examples": request.examples,
        "steps": request.steps,
        "chapters": request.chapters,
        "strict": request.strict,
        "suite": request.suite,
        "command": request.command,
        "sums": {chapter: _sums(result, chapter) for chapter in result.answered},
        "coverage": {each.chapter: _coverage(each) for each in result.coverage},
        "requirements": [_requirement(each) for each in result.judged],
        "runs": [_run(each) for each in result.runs],
        "violations": [_violation(each) for each in result.counterexamples],
        "planted": _planted(),
        "environment": _environment(),
        "timing": {
            "seconds": round(result.seconds, 3),
            "steps_per_second": round(result.rate, 1),
            "chapters": {each.chapter: round(each.seconds, 3) for each in result.runs},
        },
    }


def _sums(result: Result, chapter: str) -> dict[str, int]:
    sums = result.sums(chapter)
    return {status.value: sums[status] for status in Status}


def _coverage(covered: Coverage) -> dict[str, Any]:
    keys = ("requirement", "outcome", "state")
    missed = [dict(zip(keys, cell, strict=True)) for cell in covered.missed]
    return {"reachable": covered.reachable, "exercised": covered.exercised, "missed": missed}


def _requirement(judged: Judged) -> dict[str, Any]:
    return {
        "id": judged.requirement.id,
        "chapter": judged.requirement.chapter,
        "level": judged.requirement.level.value,
        "verdict": judged.status.value,
        "count": judged.count,
        "departures": judged.departures,
        "reason": judged.reason,
        "in_question": judged.in_question,
    }


def _run(run: ChapterRun) -> dict[str, Any]:
    return {
        "chapter": run.chapter,
        "steps": run.tally.steps,
        "calls": run.tally.calls,
        "examples": run.tally.runs,
        "operations": dict(run.tally.operations),
        "conditions": dict(run.tally.conditions),
        "violation": run.counterexample is not None,
        "trouble": run.trouble,
    }


def _violation(found: Counterexample) -> dict[str, Any]:
    return {
        "chapter": found.chapter,
        "requirements": found.requirements,
        "reason": found.reason,
        "path": found.path,
        "expected": _answer(found.expected),
        "also_admitted": [_answer(each) for each in found.admissible[1:]],
        "given": _answer(found.last.answer),
        "performed": [_performed(each) for each in found.performed],
        "lease": found.story,
        "claims": found.claims,
        "program": found.program,
        "reproduces": found.reproduces,
        "steps": found.steps,
    }


def _performed(performed: Performed) -> dict[str, Any]:
    return {
        "now": performed.now,
        "operation": performed.call.operation,
        "arguments": [_argument(each) for each in performed.call.arguments],
        "answer": _answer(performed.answer),
    }


def _answer(answer: object) -> dict[str, Any]:
    """What was answered, refused or raised."""
    if isinstance(answer, Refused):
        return {"refused": {"kind": answer.error.kind, **vars(answer.error)}}
    if isinstance(answer, Crash):
        return {"raised": {"type": type(answer.error).__name__, "text": str(answer.error)}}
    return {"answered": answer}


def _argument(value: object) -> object:
    """An argument; numbers and texts that the encoder does not take, being no u64 or no UTF-8, as JSON can still say them."""
    return msgspec.Raw(json.dumps(value).encode()) if isinstance(value, int | str) else value


def _plain(value: object) -> object:
    """JSON for what is no record: opaque values as they are, anything else by its looks."""
    if isinstance(value, Json):
        return msgspec.Raw(value.text.encode())
    return repr(value)


def _planted() -> dict[str, Any] | None:
    """The hunt for planted faults that was made with this version of the kit."""
    found = planted()
    return {**msgspec.structs.asdict(found), "command": PROVED_BY} if found else None


def _environment() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "fencepost": __version__,
        **{package: _version(package) for package in ("duckdb", "hypothesis")},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _is_device(path: str) -> bool:
    """Whether something that is no file stands there, such as /dev/stdout: it cannot be replaced."""
    return Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir()


def _not_written(path: str, option: str, error: OSError) -> ReportNotWritten:
    return ReportNotWritten(f"The report cannot be written to {path}: {error.strerror}. Choose another file for {option}.")
