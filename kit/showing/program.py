"""A counterexample as a program to paste: the same calls, on a fresh store, up to the answer that is wrong.

Minted values are referred to by the answers that brought them, so the program runs against any store. Its last lines hold the
wrong answer against what was admissible: on a store that keeps the law they pass, on the one that was checked they raise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from textwrap import indent, wrap
from typing import Any

from fencepost.model import Refused
from fencepost.model.output import SHAPE
from fencepost.spec import (
    Acquired,
    Busy,
    ContractBroken,
    OutputRef,
    PendingTurnInput,
    PersistedSessionRead,
    QueuedWorkBatch,
    QueuedWorkClaim,
    RunBoundaryReceipt,
    RuntimeCommitResult,
    SessionExecutionLease,
    TurnInputClaim,
)
from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.checker import EMPTY, REOPEN, Call, Crash, Move, Performed, value_at
from fencepost.statemachines.environment import BEGINNING
from fencepost.statemachines.machine import CLOSE

from ..backend import command_of
from .brief import brief, differs, written
from .script import Script
from .source import INDENT, WIDTH, Group, Minted, Source, kind_at, laid_out, on_one_line, simple

LETTERS: dict[type, str] = {
    Acquired: "a",
    Busy: "b",
    SessionExecutionLease: "r",
    PendingTurnInput: "i",
    TurnInputClaim: "t",
    QueuedWorkBatch: "w",
    QueuedWorkClaim: "q",
    RuntimeCommitResult: "c",
    PersistedSessionRead: "s",
    RunBoundaryReceipt: "b",
    OutputRef: "o",
}

HOMES = {
    "suppress": "contextlib",
    "OPERATIONS": "fencepost.spec.operations",
    "fullmatch": "re",
    "Environment": "fencepost.statemachines.environment",
    "UUID": "uuid",
    "replace": "msgspec.structs",
}
"""Where names come from that `fencepost.spec` does not have."""


BEGAN = "began"

MANY = 20
"""Of a longer list that has another length than it should, the length is what a program checks."""

LISTED = "listed"
EMPTIED = f"if isinstance({LISTED}, list):\n{INDENT}{LISTED}.clear()  # it is the caller's own"

ASSERTED = "assert , answer"
"""What stands around a condition."""


@dataclass(frozen=True)
class Claim:
    """What a program shows: the last answer of the script is none of the admissible ones, and differs in the field at the path.

    `says` is the sentence of the requirement that forbids it. `part` is the store that is called, where the backend gives
    several; None where it gives that store alone. With `ahead`, instants are waited for, and counted from the beginning.
    """

    script: Script
    admissible: tuple[object, ...]
    path: str
    says: str
    part: str | None = None
    ahead: int = 0


@dataclass(frozen=True)
class Program:
    """A program by its parts: what it imports, where its store comes from, the calls, and the last one with its check."""

    imports: str
    store: str
    setup: str
    calls: str
    check: str

    @property
    def text(self) -> str:
        """The program, ready to be pasted."""
        return f"{self._head}{self.check}\n"

    @property
    def last_call(self) -> int:
        """The line of the text, from 1, at which its last call begins."""
        return self._head.count("\n") + 1

    @property
    def _head(self) -> str:
        imports = f"{self.imports}\n{self.store}"
        return "".join(f"{part}\n\n" for part in (imports, self.setup, self.calls) if part)


def program(claim: Claim, backend: str, *, is_plain: bool = True) -> Program:
    """The claim as a program that takes its store from the backend; a factory that is plain gives it ready to be called."""
    # written twice: the first time shows which answers are referred to and need a name
    first = _Writer(claim, {}, is_plain=is_plain)
    first.write(backend)
    return _Writer(claim, _numbered(claim.script, first.minted.used), is_plain=is_plain).write(backend)


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

    def __init__(self, claim: Claim, names: dict[int, str], *, is_plain: bool) -> None:
        self.claim = claim
        self.is_plain = is_plain
        self.names = names
        self.minted = Minted()
        self.last: Performed = claim.script[-1].performed

    def write(self, backend: str) -> Program:
        """The program. Its parts are written last to first as far as imports go: they follow from the rest."""
        calls, check = "\n".join(self._body()), "\n".join(self._final())
        setup = "\n".join(self._setup(backend))
        return Program("\n".join(self._imports()), self._store(backend), setup, calls, check)

    def _body(self) -> Iterator[str]:
        now = BEGINNING + self.claim.ahead
        script = self.claim.script
        for place, (line, later) in enumerate(zip(script, (*script[1:], script[-1]), strict=True)):
            for event in (each for each in line.moves if each.action != EMPTY):
                # a store may look at the clock while it is opened; who lives then shows at the next call
                if event.action == REOPEN and event.now != now:
                    now = event.now
                    yield self._clock(now)
                yield self._move(event.action)
            if line.performed.now != now:
                now = line.performed.now
                yield self._clock(now)
            if line.performed is not self.last:
                is_emptied = any(event.action == EMPTY for event in later.moves)
                yield self._call(place, line.performed, is_emptied=is_emptied)
                self.minted.learn(self.names.get(place, f"answer{place}"), line.performed.answer)

    def _clock(self, now: int) -> str:
        if self.claim.ahead:
            # whenever the program runs, it is close to the end of a lease that it has to come
            instant = self.minted.instant(now, CLOSE) or f"start + {now - BEGINNING - self.claim.ahead}"
            return f"environment.clock.move_to({instant})"
        edge = self._edge(now)
        return f"environment.clock.move_to({simple(now)})" + (f"  # {edge}" if edge else "")

    def _edge(self, now: int) -> str:
        """What the instant is to the newest lease or claim that ends close to it."""
        words = {-1: "1 ms before {} expires", 0: "{} expires", 1: "1 ms after {} expired"}
        for name, what, end in self.minted.ends():
            if now - end in words:
                return words[now - end].format(name if name in self.names.values() else what)
        return ""

    def _call(self, place: int, performed: Performed, *, is_emptied: bool) -> str:
        call = self._expression(performed)
        if isinstance(performed.answer, Refused):
            error = type(performed.answer.error).__name__
            self.minted.imports.update(("suppress", error))
            return f"with suppress({error}):  # refused\n{INDENT}{laid_out(call, INDENT)}"
        name = self.names.get(place)
        called = LISTED if is_emptied else name
        text = f"{called} = {laid_out(call, '', len(called) + 3)}" if called else laid_out(call)
        text = f"{text}\n# -> {_cut(brief(performed.answer), WIDTH - 5)}" if _tells(performed) else text
        kept = f"{name} = tuple({LISTED})\n" if name else ""
        return f"{text}\n{kept}{EMPTIED}" if is_emptied else text

    def _expression(self, performed: Performed) -> Source:
        return Group(f"store.{OPERATIONS[performed.call.operation].method_name}", self._arguments(performed))

    def _arguments(self, performed: Performed) -> tuple[Source, ...]:
        names = (name for name, _ in OPERATIONS[performed.call.operation].parameters)
        return tuple(map(self.minted.source, performed.call.arguments, names))

    def _final(self) -> Iterator[str]:
        ours, given = self.claim.admissible[0], self.last.answer
        told = [self.claim.says, f"expected: {brief(ours)}", f"given:    {brief(given)}"]
        apart = differs(ours, given, self.claim.path)
        if apart:
            told.append(f"differs:  {apart}")
        for text in told:
            yield from (
                f"# {line}" for line in wrap(text, WIDTH - 2, subsequent_indent="" if text is self.claim.says else " " * 10)
            )
        if isinstance(ours, Refused):
            self.minted.imports.add("StoreError")
            answer = laid_out(self._expression(self.last), INDENT, 9)
            yield f"try:\n{INDENT}answer = {answer}\nexcept StoreError as error:\n{INDENT}answer = error\n"
            yield f"assert {self._admitted()}, answer"
        elif isinstance(given, Crash) and isinstance(given.error, ContractBroken):
            yield from self._contract()
        else:
            call, admitted = laid_out(self._expression(self.last), "", 9), self._admitted()
            yield from ("began = environment.clock.now",) * admitted.startswith(BEGAN)
            yield f"answer = {call}"
            yield f"assert {admitted}, answer"

    def _contract(self) -> Iterator[str]:
        """The answer broke a postcondition: a store without contracts of its own is held against the published ones."""
        self.minted.imports.add("OPERATIONS")
        arguments = Group("", self._arguments(self.last))
        yield f"arguments = {laid_out(arguments, '', 12)}"
        yield f"answer = store.{OPERATIONS[self.last.call.operation].method_name}(*arguments)"
        yield f'operation = OPERATIONS["{self.last.call.operation}"]\noperation.require_contract(arguments, answer)'

    def _admitted(self) -> str:
        """The condition that every admissible answer fulfils, and the given one does not."""
        given = self.last.answer
        answers = list({repr(each): each for each in self.claim.admissible}.values())
        if self.claim.path:
            return self._at(self.claim.path, [each for each in answers if type(each) is type(given)], given)
        ways = list(dict.fromkeys(self._kind(each, given) for each in answers))
        together = " or ".join(ways)
        if len(ways) == 1 or ("\n" not in together and len(together) <= WIDTH - len(ASSERTED)):
            return together
        each = indent("\nor ".join(ways), INDENT)
        return f"(\n{each}\n)"

    def _kind(self, answer: object, given: object) -> str:
        if answer is None:
            return "answer is None"
        if isinstance(answer, Refused):
            return self._equal("answer", self.minted.source(answer.error))
        if type(answer) is type(given):
            if isinstance(answer, tuple) and isinstance(given, tuple):
                return self._alike(answer, given)
            return self._equal("answer", self.minted.source(answer))
        if isinstance(answer, tuple):
            return "isinstance(answer, list | tuple)"
        if type(answer).__module__ != "builtins":
            self.minted.imports.add(type(answer).__name__)
        return f"isinstance(answer, {type(answer).__name__})"

    def _alike(self, answer: tuple[object, ...], given: tuple[object, ...]) -> str:
        lengths = {len(each) for each in self.claim.admissible if isinstance(each, tuple)}
        if len(answer) > MANY and len(lengths) == 1 and len(given) not in lengths:
            return f"len(answer) == {len(answer)}"
        # a store may answer lists, now or once it is mended
        return self._equal("tuple(answer)", self.minted.source(answer))

    def _at(self, path: str, answers: Sequence[object], given: object) -> str:
        kind, wrong, part = kind_at(given, path), value_at(given, path), f"answer{written(path)}"
        values = list({repr(value): value for value in _values(answers, path)}.values())
        if kind is not None and not any(self._known(kind, value) for value in values):
            if isinstance(given, OutputRef) and not self._known(kind, given.value):
                # a fresh one was given, too: only its form is wrong, in a strict run
                self.minted.imports.add("fullmatch")
                return f'fullmatch(r"{SHAPE.pattern}", {part})'
            # a fresh value was due: any that is not this one
            return f"{part} is not None" if wrong is None else f"{part} != {self._text(wrong, kind)}"
        if self.claim.ahead and type(wrong) is int and path.endswith("_at_epoch_ms"):
            return self._about(part, values[0])
        sources = tuple(self._source(value, kind) for value in values)
        if sources == ("None",):
            return f"{part} is None"
        if len(sources) == 1:
            return self._equal(part, sources[0])
        return f"{part} in {laid_out(Group('', sources), '', len(ASSERTED + part) + 4)}"

    def _equal(self, part: str, source: Source) -> str:
        return f"{part} == {laid_out(source, '', len(ASSERTED + part) + 4)}"

    def _about(self, part: str, due: Any) -> str:
        """The condition that an instant is the one due, by an answer before, or by when the call was made and for how long."""
        known = self.minted.instant(due)
        if known:
            return f"{part} == {known}"
        terms = [0, *(each for each in self.last.call.arguments if type(each) is int)]
        term = min(terms, key=lambda each: abs(due - self.last.now - each))
        more = f" + {simple(term)}" if term else ""
        return f"{BEGAN}{more} <= {part} <= environment.clock.now{more}"

    def _text(self, value: object, kind: str | None) -> str:
        return on_one_line(self._source(value, kind))

    def _source(self, value: object, kind: str | None) -> Source:
        return self.minted.text(value, kind) if isinstance(value, str) else self.minted.source(value)

    def _known(self, kind: str, value: object) -> bool:
        """Whether a minted value came from an answer, or from the caller; None is no fresh value either."""
        return not isinstance(value, str) or self.minted.named(kind, value) is not None or self.minted.is_given(kind, value)

    def _imports(self) -> Iterator[str]:
        names = self.minted.imports
        if "suppress" in names:
            yield "from contextlib import suppress"
        yield "from pathlib import Path"
        if "fullmatch" in names:
            yield "from re import fullmatch"
        yield "from tempfile import mkdtemp"
        yield "from uuid import UUID\n" if "UUID" in names else ""
        of_spec = sorted(names - set(HOMES), key=lambda name: (name.upper() != name, name))
        if of_spec:
            yield _import("fencepost.spec", of_spec)
        yield from (f"from {HOMES[name]} import {name}" for name in ("OPERATIONS", "Environment", "replace") if name in names)

    def _store(self, backend: str) -> str:
        if command_of(backend) is not None:
            return "from fencepost.kit.adapter import Adapter"
        module, _, factory = backend.partition(":")
        if self.is_plain:
            return f"from {module} import {factory} as open_store"
        named = "factory" if factory == "factory" else f"{factory} as factory"
        return f"from fencepost.kit.opening import opened\nfrom {module} import {named}"

    def _setup(self, backend: str) -> Iterator[str]:
        self.minted.imports.add("Environment")
        # without capabilities: above all without a clock under control
        yield f"environment = Environment(Path(mkdtemp()){', ()' if self.claim.ahead else ''})"
        if self.claim.ahead:
            yield "start = environment.clock.now"
        command = command_of(backend)
        if command is not None:
            yield f"open_store = Adapter({simple(command)})"
        elif not self.is_plain:
            yield "open_store = opened(factory)"
        yield self._open()
        for owner, name in self.minted.owners.items():
            yield f"{name} = {laid_out(self.minted.record(owner), '', len(name) + 3)}"

    def _open(self) -> str:
        if self.claim.part is None:
            return "store = open_store(environment)"
        return f"stores = open_store(environment)\nstore = stores.{self.claim.part}"

    def _move(self, move: Call | Move) -> str:
        if move == REOPEN:
            return f"{'store' if self.claim.part is None else 'stores'}.close()\n{self._open()}"
        method, arguments = move
        return f"environment.process_alive.{method}({', '.join(map(simple, arguments))})"


def _values(answers: Sequence[object], path: str) -> Iterator[object]:
    """What stands at the path in those answers that have it: an admissible answer may have a shorter list there."""
    for answer in answers:
        with suppress(AttributeError, IndexError):
            yield value_at(answer, path)


def _import(module: str, names: Sequence[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= WIDTH:
        return line
    return f"from {module} import (\n" + "".join(f"{INDENT}{name},\n" for name in names) + ")"


def _tells(performed: Performed) -> bool:
    """Whether there is anything in the answer: None may mean that there was nothing to claim, or nothing at all."""
    return performed.answer is not None or OPERATIONS[performed.call.operation].method.__annotations__["return"] != "None"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
