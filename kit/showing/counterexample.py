"""Counterexamples: a violation, told for people and as a program to paste."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
from fencepost.model import Ids
from fencepost.spec.catalogue import Requirement, requirements
from fencepost.spec.operations import part_of
from fencepost.statemachines.checker import Performed, Violation, value_at
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.minted import places

from ..backend import Factory, command_of
from ..model import Model
from .brief import brief, call_in_words
from .claims import who_claimed
from .program import Claim, Program, program
from .pytest_file import pytest_file
from .script import Script, script_of
from .source import kind_at, texts
from .story import who_held

MODEL = f"{Model.__module__}:{Model.__name__}"
"""The model as its own store: no program may fail on it."""

TRIES = 3
"""How often a program is run to see whether the violation shows again, by the time of day or of an unsteady store."""


MOST_LINES = 200
"""A longer program is not shown whole, but written."""


@dataclass(frozen=True)
class Counterexample:
    """A store broke the law: the calls, the last of which was answered wrongly, and what was admissible.

    `requirements` starts with the one that failed; the others took part in the answer. `path` is the field that was wrong,
    empty if the answer was of the wrong kind. `story` and `claims` tell in words who held the lease when, and who which claim.
    `program` repeats the calls, `test` does so as a file for pytest; `reproduces` tells that it was tried, and failed on this
    store at its last call and not on the model. `steps` is how many steps the run had made when it first saw a violation,
    before it was shrunk.
    """

    chapter: str
    requirements: Ids
    reason: str
    path: str
    script: Script
    admissible: tuple[object, ...]
    story: str | None
    claims: str | None
    program: str
    test: str
    reproduces: bool
    steps: int
    heading: str
    """What the program is: whether it shows the violation again."""
    hint: str | None = None
    """What looks like a mistake in the factory."""
    is_race: bool = False
    """Whether calls were made at once: chance has its part in it, and it is not run again."""
    ahead: int = 0
    """How far its instants are ahead of those that programs count from; not 0 only for a store on the time of day."""

    @property
    def shown(self) -> str:
        """The program as pages and terminals show it: of a very long one the begin and the end."""
        lines = self.program.rstrip().split("\n")
        if len(lines) <= MOST_LINES:
            return "\n".join(lines)
        left_out = f"# … {len(lines) - MOST_LINES:,} lines left out here: the test and the JSON of --report have them"
        return "\n".join([*lines[: MOST_LINES // 2], "", left_out, "", *lines[-MOST_LINES // 2 :]])

    @property
    def performed(self) -> tuple[Performed, ...]:
        """The calls, without the moves between them."""
        return tuple(line.performed for line in self.script)

    @property
    def requirement(self) -> Requirement | None:
        """The requirement that failed, as the catalogue has it."""
        return requirements().get(self.requirements[0])

    @property
    def says(self) -> str:
        """The sentence of the requirement that failed."""
        return self.requirement.says if self.requirement else self.reason

    @property
    def last(self) -> Performed:
        """The call that was answered wrongly."""
        return self.performed[-1]

    @property
    def expected(self) -> object:
        """Our answer; `admissible` holds it and all others that were admitted."""
        return self.admissible[0]


UNSTEADY = (
    "The store answered differently when the same calls were made again. Expected every example to start from a fresh, "
    "empty store that takes its time from environment.clock and depends on nothing else."
)
"""What is said of a store that does the same calls now so, now so."""


SHARED = (
    "The factory gives the same store every time, and by itself the program does not fail. Expected every example to "
    "start from a fresh, empty store: let the factory make one, or empty the one there is."
)
"""What is said where something was left in a store by earlier examples."""


def is_fresh(found: Counterexample) -> bool:
    """Whether the store was to make up another value where the answers differ, than one that is known by then."""
    if not found.path or kind_at(found.expected, found.path) is None:
        return False
    due, given, told = value_at(found.expected, found.path), value_at(found.last.answer, found.path), _told(found)
    return isinstance(due, str) and due not in told and (given in told or not isinstance(given, str))


def made_up(found: Counterexample) -> set[str]:
    """The values that the store was to make up in its last answer, and did not: those of the model stand for them."""
    due = {place.text for place in places(found.expected)}
    return due - _told(found) - set(texts(found.last.answer))


def _told(found: Counterexample) -> set[str]:
    """The texts that were known before the last answer."""
    told = {text for each in found.performed[:-1] for text in texts(each.answer)}
    return told.union(text for each in found.performed for text in texts(each.call.arguments))


class _Shape(NamedTuple):
    """How a program has to open its store."""

    gives_several: bool = True
    is_plain: bool = True
    gives_one_store: bool = False


def _shape(factory: Factory) -> _Shape:
    """How a factory gives its stores; of one that gives none any more, how most do."""
    try:
        return _Shape(factory.gives_several(), factory.is_plain(), factory.gives_one_store())
    except Exception:
        # whatever it raised: what was seen before is told all the same
        return _Shape()


def counterexample(factory: Factory, chapter: str, violation: Violation) -> Counterexample:
    """The counterexample of a violation."""
    script, blamed, admissible = script_of(violation), violation.requirements, _admissible(violation)
    sentence = _sentence(blamed, violation.reason)
    of_model = Claim(script, admissible, violation.path, sentence, part_of(chapter), violation.ahead)
    shape = _shape(factory)
    claim = of_model if shape.gives_several else replace(of_model, part=None)
    written = program(claim, factory.name, is_plain=shape.is_plain)
    performed = tuple(line.performed for line in script)
    tries = range(TRIES if violation.ahead or violation.is_unsteady else 1)
    is_shared = not violation.is_race and shape.gives_one_store
    reproduces = (
        not violation.is_race
        and any(fails_alone(written) if is_shared else fails(written, factory) for _ in tries)
        and not all(fails(program(of_model, MODEL)) for _ in tries)
    )
    return Counterexample(
        chapter=chapter,
        requirements=blamed,
        reason=violation.reason,
        path=violation.path,
        script=script,
        admissible=admissible,
        story=who_held(performed),
        claims=who_claimed(performed),
        program=_told_in_comments(performed) if violation.is_race else written.text,
        test=pytest_file(written, blamed[0], claim.says, factory.name, reproduces=reproduces),
        reproduces=reproduces,
        is_race=violation.is_race,
        ahead=violation.ahead,
        steps=violation.steps,
        heading=_heading(violation, reproduces=reproduces),
        hint=UNSTEADY if violation.is_unsteady else SHARED if is_shared and not reproduces else _hint(script, factory),
    )


def _hint(script: Script, factory: Factory) -> str | None:
    """Whether the store may lack a capability that the factory declares, as far as its answers show."""
    told = next((found for line in script for found in _instants(line.performed.answer) if _is_now(found[1])), None)
    if told is not None and "controlled-clock" in factory.declares:
        return (
            f"{told[0]} {told[1]} is the time of day, and a controlled clock is declared. Let the store take its time from "
            f"{_port(factory, 'environment.clock', 'the now of each request')}, or {_undeclared(factory, 'controlled-clock')}."
        )
    if "liveness-oracle" in factory.declares and any(each.is_of_process for line in script for each in line.moves):
        return (
            "The answer depends on which processes run, and a liveness oracle is declared: the store has to ask "
            f"{_port(factory, 'environment.process_alive', 'the processes of each request')}. If it asks nobody, "
            f"{_undeclared(factory, 'liveness-oracle')}."
        )
    return None


def _port(factory: Factory, here: str, on_the_wire: str) -> str:
    return here if command_of(factory.name) is None else on_the_wire


def _undeclared(factory: Factory, capability: str) -> str:
    """What to do for a store that does not have the capability."""
    others = ", ".join(f'"{each}"' for each in factory.declares if each != capability)
    return (
        f"mark the factory with @declares({others})"
        if command_of(factory.name) is None
        else f"leave {capability} out of its hello"
    )


def _instants(value: object) -> Iterator[tuple[str, int]]:
    """Every instant in a value, with the name of its field."""
    if isinstance(value, tuple):
        for item in value:
            yield from _instants(item)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            inner = getattr(value, name)
            if type(inner) is int and name.endswith("_ms"):
                yield name, inner
            yield from _instants(inner)


def _is_now(instant: int) -> bool:
    return abs(instant - time.time() * 1_000) < ABOUT_MS


ABOUT_MS = 1_000_000_000
"""How far from now an instant is that nothing but the time of day can have given."""


def _heading(violation: Violation, *, reproduces: bool) -> str:
    if violation.is_race:
        return "These were called, the last of them at once. Which of them wins is chance:"
    if violation.is_unsteady:
        again = "it showed again" if reproduces else f"it did not repeat in {TRIES} runs"
        return f"This was called, and the store does not always answer it so. Called again, {again}:"
    if violation.ahead:
        again = "it showed again" if reproduces else "it did not show, for it is a matter of milliseconds"
        return f"This was called, by the time of day. Called again, {again}:"
    if reproduces:
        long = "It was not shortened to its end. " if violation.is_long else ""
        return f"{long}This program shows it, ending in an error while the fault is there:"
    return "This was called. Called again, it did not show:"


def _told_in_comments(performed: Sequence[Performed]) -> str:
    """The calls of a race: which of them wins is chance, and no program makes it win again."""
    lines = []
    for each in performed:
        lines += [f"# {call_in_words(each.call)}", f"#   -> {brief(each.answer)}"]
    return "\n".join(lines)


def fails(written: Program, factory: Factory | None = None) -> bool:
    """Run the program: whether it raises at its last call. It opens its store itself; the factory closes it."""
    variables: dict[str, object] = {"__name__": "counterexample"}
    try:
        exec(compile(written.text, PROGRAM, "exec"), variables)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _line(error) >= written.last_call
    finally:
        opened = variables.get("stores", variables.get("store"))
        if factory is not None and opened is not None:
            factory.close(opened)
        environment = variables.get("environment")
        if isinstance(environment, Environment):
            shutil.rmtree(environment.directory, ignore_errors=True)
    return False


def fails_alone(written: Program) -> bool:
    """The same in a process of its own, for a store in which something is left of all that was done in this one."""
    command = [sys.executable, "-c", written.text]
    try:
        here = os.environ | {"TMPDIR": tempfile.gettempdir(), "PYTHONPATH": os.pathsep.join(sys.path)}
        ended = subprocess.run(command, capture_output=True, text=True, timeout=ALONE_S, check=False, env=here)
    except subprocess.TimeoutExpired:
        return False
    lines = re.findall(r'^  File "<string>", line (\d+)', ended.stderr, re.MULTILINE)
    return bool(lines) and int(lines[0]) >= written.last_call


ALONE_S = 60
"""How long a program may take in a process of its own."""

PROGRAM = "<counterexample>"


def _line(error: BaseException) -> int:
    """The line of the program in which it was raised, or through which it passed."""
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == PROGRAM:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _admissible(violation: Violation) -> tuple[object, ...]:
    """The answers that would have passed: in a strict run those that depart from nothing."""
    given = violation.performed[-1].answer
    departs = any(step.answer == given for step in violation.admissible)
    return tuple(step.answer for step in violation.admissible if not (departs and step.differs))


def _sentence(ids: Ids, reason: str) -> str:
    known = requirements().get(ids[0])
    return f"{ids[0]}: {known.says if known else reason}"
