"""The report for programs: one JSON document, in the form of `report_form`."""

from __future__ import annotations

import json
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
from fencepost.model import Refused
from fencepost.spec import Json
from fencepost.spec.values import text_of
from fencepost.statemachines import checker

from fencepost import __version__

from ..backend import shortened
from ..coverage import Coverage
from ..files import beside, write_whole
from ..planted import PROVED_BY, planted
from ..result import ChapterRun, Judged, Result, Status
from ..showing.counterexample import Counterexample
from .report_form import (
    FORMAT,
    Answered,
    Covered,
    Judgement,
    MissedCell,
    Performed,
    Proof,
    Raised,
    Report,
    Run,
    Timing,
    Violation,
)

STANDARD_OUTPUT = "-"

LONGEST = 2_000
"""How many characters are shown of an object that is no value of the protocol."""


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
    data = json.loads(msgspec.json.encode(document(result), enc_hook=_plain))
    text = json.dumps(data, indent=2, ensure_ascii=False)
    return re.sub(r"[^\n -~]", lambda found: _escaped(found[0]), text).encode() + b"\n"


def _escaped(character: str) -> str:
    """The character; one that would do something to a terminal by its number, which is the same to JSON."""
    return character if character.isprintable() else json.dumps(character)[1:-1]


def document(result: Result) -> Report:
    """The report as data. All that depends on the time a run took stands under `timing`."""
    request = result.request
    return Report(
        format=FORMAT,
        verdict=result.verdict,
        interrupted=result.interrupted,
        troubles=result.troubles,
        backend=request.backend,
        seed=request.seed,
        examples=request.examples,
        steps=request.steps,
        chapters=request.chapters,
        strict=request.strict,
        suite=request.suite,
        command=request.command,
        sums={chapter: {status.value: result.sums(chapter)[status] for status in Status} for chapter in result.answered},
        coverage={each.chapter: _coverage(each) for each in result.coverage},
        requirements=tuple(map(_requirement, result.judged)),
        runs=tuple(map(_run, result.runs)),
        violations=tuple(map(_violation, result.counterexamples)),
        planted=_planted(),
        environment=_environment(),
        timing=_timing(result),
    )


def _timing(result: Result) -> Timing:
    chapters = {each.chapter: round(each.seconds, 3) for each in result.runs}
    return Timing(seconds=round(result.seconds, 3), steps_per_second=round(result.rate, 1), chapters=chapters)


def _coverage(covered: Coverage) -> Covered:
    missed = tuple(
        MissedCell(requirement=requirement, outcome=outcome, state=state) for requirement, outcome, state in covered.missed
    )
    return Covered(reachable=covered.reachable, exercised=covered.exercised, missed=missed)


def _requirement(judged: Judged) -> Judgement:
    return Judgement(
        id=judged.requirement.id,
        chapter=judged.requirement.chapter,
        level=judged.requirement.level,
        verdict=judged.status,
        count=judged.count,
        departures=judged.departures,
        reason=judged.reason,
        in_question=judged.in_question,
    )


def _run(run: ChapterRun) -> Run:
    return Run(
        chapter=run.chapter,
        steps=run.tally.steps,
        calls=run.tally.calls,
        examples=run.tally.runs,
        operations=dict(run.tally.operations),
        conditions=dict(run.tally.conditions),
        violation=run.counterexample is not None,
        trouble=run.trouble,
    )


def _violation(found: Counterexample) -> Violation:
    return Violation(
        chapter=found.chapter,
        requirements=found.requirements,
        reason=found.reason,
        path=found.path,
        expected=_answer(found.expected),
        also_admitted=tuple(map(_answer, found.admissible[1:])),
        given=_answer(found.last.answer),
        performed=tuple(map(_performed, found.performed)),
        lease=found.story,
        claims=found.claims,
        program=found.program,
        reproduces=found.reproduces,
        steps=found.steps,
    )


def _performed(made: checker.Performed) -> Performed:
    arguments = tuple(map(_value, made.call.arguments))
    return Performed(now=made.now, operation=made.call.operation, arguments=arguments, answer=_answer(made.answer))


def _answer(answer: object) -> Answered:
    """What was answered, refused or raised."""
    if isinstance(answer, Refused):
        fields = {name: _value(value) for name, value in vars(answer.error).items()}
        return Answered(refused={"kind": answer.error.kind, **fields})
    if isinstance(answer, checker.Crash):
        return Answered(raised=Raised(type=type(answer.error).__name__, text=_text(text_of(answer.error))))
    return Answered(answered=_value(answer))


def _text(text: str) -> str:
    """The text; what no UTF-8 can carry by its number."""
    return text.encode(errors="backslashreplace").decode()


def _value(value: object) -> msgspec.Raw:
    """A value; numbers and texts that the encoder does not take, being no u64 or no UTF-8, as JSON can still say them."""
    if isinstance(value, int | str):
        return msgspec.Raw(json.dumps(value).encode())
    try:
        return msgspec.Raw(msgspec.json.encode(value, enc_hook=_plain))
    except Exception:
        # a store may show any object, and what the encoder cannot say is told by its looks
        return msgspec.Raw(json.dumps(shortened(value, LONGEST)).encode())


def _plain(value: object) -> object:
    """JSON for what is no record: opaque values as they are, anything else by its looks."""
    if isinstance(value, Json):
        return msgspec.Raw(value.text.encode())
    return shortened(value, LONGEST)


def _planted() -> Proof | None:
    """The hunt for planted faults that was made with this version of the kit."""
    found = planted()
    return Proof(**msgspec.structs.asdict(found), command=PROVED_BY) if found else None


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
    what = "report" if option == "--json" else "output"
    return ReportNotWritten(f"The {what} cannot be written to {path}: {error.strerror}. Choose another file for {option}.")
