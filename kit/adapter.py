"""Stores behind a pipe: a program in any language that reads requests from its input and writes answers to its output.

Each is one line of JSON. The program is started once; a `reset` gives it an empty directory and asks for an empty store.
Whatever it does but answer, the run could not be evaluated: what was received is told, and nothing waits for ever.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fencepost.spec import InvalidArgument, StoreError, Stores
from fencepost.spec.operations import CHAPTERS, OPERATIONS, Operation, part_of
from fencepost.spec.wire import answer_from_wire, arguments_to_wire, error_from_wire
from fencepost.statemachines.environment import CAPABILITIES, Environment

from .backend import ANSWER_S, shortened
from .marks import DECLARES, OFFERS
from .pipe import AdapterError, Pipe

PROTOCOL = "fencepost-adapter/1"
"""Raised with every change that an adapter could stumble over."""

OUTCOMES = ("answer", "error", "crash")
"""One of these stands beside the id in what a call comes to."""


class StoreCrashed(Exception):
    """The store under the adapter raised what is no refusal; the text is the adapter's."""


class Declared(NamedTuple):
    """What an adapter said of its store."""

    chapters: tuple[str, ...]
    capabilities: tuple[str, ...]


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
        given = self.pipe.ask({"hello": {"protocol": PROTOCOL}}, "the hello")
        answer = given.get("hello")
        expected = f'Expected {{"protocol": "{PROTOCOL}", "chapters": […], "capabilities": […]}}'
        if not isinstance(answer, dict) or answer.get("protocol") != PROTOCOL:
            said = answer if "hello" in given else given
            raise self.pipe.failed(f"introduced itself with {shortened(said)}. {expected}")
        return Declared(*(self._some(answer, name, known, expected) for name, known in DECLARED.items()))

    def _some(self, answer: dict[str, Any], name: str, known: Sequence[str], expected: str) -> tuple[str, ...]:
        given = answer.get(name, [] if name == "capabilities" else None)
        if not isinstance(given, list) or any(each not in known for each in given) or (name == "chapters" and not given):
            raise self.pipe.failed(f"declared {name} {shortened(given)}. {expected}, of {', '.join(known)}")
        return tuple(each for each in known if each in given)


DECLARED: dict[str, Sequence[str]] = {"chapters": tuple(CHAPTERS), "capabilities": tuple(CAPABILITIES)}


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
