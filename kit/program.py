"""A counterexample as a program to paste: the same calls, on a fresh store, up to the answer that is wrong.

Minted values are referred to by the answers that brought them, so the program runs against any store. Its last lines hold the
wrong answer against what was admissible: on a store that keeps the law they pass, on the one that was checked they raise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from textwrap import wrap

from fencepost.model import Refused
from fencepost.spec import (
    Acquired,
    Busy,
    ContractBroken,
    PersistedSessionRead,
    RuntimeCommitResult,
    SessionExecutionLease,
)
from fencepost.statemachines.checker import Crash, Performed, value_at
from fencepost.statemachines.environment import Clock

from .script import Line, Script
from .source import INDENT, WIDTH, Group, Minted, Source, is_minted, laid_out, on_one_line, simple, texts
from .story import brief, written

LETTERS: dict[type, str] = {
    Acquired: "a",
    Busy: "b",
    SessionExecutionLease: "r",
    RuntimeCommitResult: "c",
    PersistedSessionRead: "s",
}

HOMES = {
    "suppress": "contextlib",
    "OPERATIONS": "fencepost.spec.operations",
    "Environment": "fencepost.statemachines.environment",
    "replace": "msgspec.structs",
}
"""Where names come from that `fencepost.spec` does not have."""


@dataclass(frozen=True)
class Claim:
    """What a program shows: the last answer of the script is none of the admissible ones, and differs in the field at the path.

    `says` is the sentence of the requirement that forbids it.
    """

    script: Script
    admissible: tuple[object, ...]
    path: str
    says: str


@dataclass(frozen=True)
class Program:
    """The text, and the line (from 1) at which its last call begins."""

    text: str
    last_call: int


def program(claim: Claim, backend: str) -> Program:
    """The claim as a program that takes its store from the backend."""
    # written twice: the first time shows which answers are referred to and need a name
    first = _Writer(claim, {})
    first.write(backend)
    return _Writer(claim, _numbered(claim.script, first.minted.used)).write(backend)


def _numbered(script: Script, used: set[str]) -> dict[int, str]:
    """Names for the answers that are referred to: a letter by kind, numbered."""
    counts: dict[str, int] = {}
    names = {}
    for place, line in enumerate(script):
        if f"answer{place}" in used:
            letter = LETTERS.get(type(line.performed.answer), "x")
            counts[letter] = counts.get(letter, 0) + 1
            names[place] = f"{letter}{counts[letter]}"
    return names


class _Writer:
    """Writes one program; the names of the answers by the place of their call."""

    def __init__(self, claim: Claim, names: dict[int, str]) -> None:
        self.claim = claim
        self.names = names
        self.minted = Minted()
        self.last: Performed = claim.script[-1].performed

    def write(self, backend: str) -> Program:
        """The program. Its parts are written last to first as far as imports go: they follow from the rest."""
        body, final = "\n".join(self._body()), "\n".join(self._final())
        setup = "\n".join(self._setup())
        head = "".join(f"{part}\n\n" for part in ("\n".join(self._imports(backend)), setup, body) if part)
        return Program(f"{head}{final}\n", head.count("\n") + 1)

    def _body(self) -> Iterator[str]:
        now = Clock().now
        for place, line in enumerate(self.claim.script):
            yield from _moves(line)
            if line.performed.now != now:
                now = line.performed.now
                yield self._clock(now)
            if line.performed is not self.last:
                yield self._call(place, line.performed)
                self.minted.learn(self.names.get(place, f"answer{place}"), line.performed.answer)

    def _clock(self, now: int) -> str:
        edge = self._edge(now)
        return f"environment.clock.move_to({simple(now)})" + (f"  # {edge}" if edge else "")

    def _edge(self, now: int) -> str:
        """What the instant is to the newest lease that ends close to it."""
        words = {-1: "1 ms before {} expires", 0: "{} expires", 1: "1 ms after {} expired"}
        for path, lease in self.minted.leases():
            if now - lease.expires_at_epoch_ms in words:
                name = path.partition(".")[0]
                known = name in self.names.values()
                return words[now - lease.expires_at_epoch_ms].format(name if known else "the lease")
        return ""

    def _call(self, place: int, performed: Performed) -> str:
        call = self._expression(performed)
        if isinstance(performed.answer, Refused):
            error = type(performed.answer.error).__name__
            self.minted.imports.update(("suppress", error))
            return f"with suppress({error}):  # refused\n{INDENT}{laid_out(call, INDENT)}"
        name = self.names.get(place)
        text = f"{name} = {laid_out(call, '', len(name) + 3)}" if name else laid_out(call)
        return text if performed.answer is None else f"{text}\n# -> {_cut(brief(performed.answer), WIDTH - 5)}"

    def _expression(self, performed: Performed) -> Source:
        arguments = tuple(self.minted.source(each) for each in performed.call.arguments)
        return Group(f"store.{performed.call.operation}", arguments)

    def _final(self) -> Iterator[str]:
        ours, given = self.claim.admissible[0], self.last.answer
        told = [self.claim.says, f"expected: {brief(ours)}", f"given:    {brief(given)}"]
        if self.claim.path:
            told.append(f"differs:  {written(self.claim.path).lstrip('.')}")
        for text in told:
            yield from (
                f"# {line}" for line in wrap(text, WIDTH - 2, subsequent_indent="" if text is self.claim.says else " " * 10)
            )
        if isinstance(given, Crash) and isinstance(given.error, ContractBroken):
            yield from self._contract()
        elif isinstance(ours, Refused):
            self.minted.imports.add("StoreError")
            answer = laid_out(self._expression(self.last), INDENT, 9)
            yield f"try:\n{INDENT}answer = {answer}\nexcept StoreError as error:\n{INDENT}answer = error\n"
            yield f"assert {self._admitted()}, answer"
        else:
            yield f"answer = {laid_out(self._expression(self.last), '', 9)}"
            yield f"assert {self._admitted()}, answer"

    def _contract(self) -> Iterator[str]:
        """The answer broke a postcondition: a store without contracts of its own is held against the published ones."""
        self.minted.imports.add("OPERATIONS")
        arguments = Group("", tuple(self.minted.source(each) for each in self.last.call.arguments))
        yield f"arguments = {laid_out(arguments, '', 12)}"
        yield f"answer = store.{self.last.call.operation}(*arguments)"
        yield f'operation = OPERATIONS["{self.last.call.operation}"]\noperation.require_contract(arguments, answer)'

    def _admitted(self) -> str:
        """The condition that every admissible answer fulfils, and the given one does not."""
        given = self.last.answer
        answers = list({repr(each): each for each in self.claim.admissible}.values())
        if self.claim.path:
            return self._at(self.claim.path, [each for each in answers if type(each) is type(given)], given)
        return " or ".join(dict.fromkeys(self._kind(each, given) for each in answers))

    def _kind(self, answer: object, given: object) -> str:
        if answer is None:
            return "answer is None"
        if isinstance(answer, Refused):
            return f"answer == {on_one_line(self.minted.source(answer.error))}"
        if type(answer) is type(given):
            return f"answer == {on_one_line(self.minted.source(answer))}"
        self.minted.imports.add(type(answer).__name__)
        return f"isinstance(answer, {type(answer).__name__})"

    def _at(self, path: str, answers: Sequence[object], given: object) -> str:
        field, wrong, part = path.rpartition(".")[2], value_at(given, path), f"answer{written(path)}"
        values = list({repr(value): value for value in _values(answers, path)}.values())
        if is_minted(field) and not any(self._known(value) for value in values):
            # a fresh value was due: any that is not this one
            return f"{part} is not None" if wrong is None else f"{part} != {self._text(wrong, field)}"
        sources = [self._text(value, field) for value in values]
        if sources == ["None"]:
            return f"{part} is None"
        return f"{part} == {sources[0]}" if len(sources) == 1 else f"{part} in ({', '.join(sources)})"

    def _text(self, value: object, field: str) -> str:
        return on_one_line(self.minted.source(value, field))

    def _known(self, value: object) -> bool:
        """Whether a minted value came from an answer, or from the caller; None is no fresh value either."""
        if not isinstance(value, str) or self.minted.named(value) is not None:
            return True
        return any(value in texts(line.performed.call.arguments) for line in self.claim.script)

    def _imports(self, backend: str) -> Iterator[str]:
        module, _, factory = backend.partition(":")
        names = self.minted.imports
        if "suppress" in names:
            yield "from contextlib import suppress"
        yield "from pathlib import Path\nfrom tempfile import mkdtemp\n"
        of_spec = sorted(names - set(HOMES), key=lambda name: (name.upper() != name, name))
        if of_spec:
            yield _import("fencepost.spec", of_spec)
        yield from (f"from {HOMES[name]} import {name}" for name in ("OPERATIONS", "Environment", "replace") if name in names)
        yield f"from {module} import {factory} as open_store"

    def _setup(self) -> Iterator[str]:
        self.minted.imports.add("Environment")
        yield "environment = Environment(Path(mkdtemp()))"
        yield "store = open_store(environment)"
        for owner, name in self.minted.owners.items():
            yield f"{name} = {laid_out(self.minted.record(owner), '', len(name) + 3)}"


def _values(answers: Sequence[object], path: str) -> Iterator[object]:
    """What stands at the path in those answers that have it: an admissible answer may have a shorter list there."""
    for answer in answers:
        with suppress(AttributeError, IndexError):
            yield value_at(answer, path)


def _moves(line: Line) -> Iterator[str]:
    for move in line.moves:
        yield f"environment.process_alive.{move.method}({', '.join(map(simple, move.arguments))})"


def _import(module: str, names: Sequence[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line
    return f"from {module} import (\n" + "".join(f"{INDENT}{name},\n" for name in names) + ")"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
