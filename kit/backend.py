"""Backends: where a store under check comes from.

A backend is named `module:factory`. The factory takes one `Environment` and gives a fresh, empty store; it is called once for
every example, and the store's `close()`, if it has one, at the example's end. What else its store has, a factory `declares`.
Whatever is wrong with a backend is told in one sentence: what was received, what was expected, and what to do next.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fencepost.spec import Stores
from fencepost.spec.contracts import ENFORCED
from fencepost.spec.operations import CHAPTERS, OPERATIONS, PROTOCOLS, part_of
from fencepost.spec.values import printable, text_of
from fencepost.statemachines.environment import USUAL, Environment, Unavailable
from fencepost.statemachines.lacking import CALLS_OF
from fencepost.statemachines.origin import where_raised

from .marks import declared, declares, offered
from .opening import a_store, awaited, entered, is_called_as_it_is, is_store, stores_in

__all__ = ["DEFAULT_BACKEND", "BackendError", "Factory", "declares", "fresh_environment", "load_factory", "shortened", "told"]

EXEC = "exec:"
"""What stands in front of the command of an adapter, where a backend is named."""

ANSWER_S = 10.0
"""How long an adapter may take for an answer, unless told otherwise."""

DEFAULT_BACKEND = "fencepost.kit.duckdb:file"
"""Our own DuckDB store, embedded and in a file."""

READ_BACK = ("load_session",)
"""What a check of commits calls besides their own chapter: a commit shows in what is read."""

CHOSEN = "what was chosen"

EXPECTED = "module:factory, such as mystore.testing:open_store"
SIGNATURE = "a factory takes one argument, the environment (clock, process_alive, directory), and gives a fresh, empty store"
AGAIN = "when it was called again with the same environment. Expected the store that was closed, with all that was in it"


class BackendError(Unavailable):
    """A backend that cannot be used: the text is a sentence for its author."""


@dataclass(frozen=True)
class Factory:
    """A factory that could be imported, under the name it was asked for."""

    name: str
    call: Callable[[Environment], Any]
    _letting_go: dict[int, Callable[[], None]] = field(default_factory=dict, compare=False)

    @property
    def declares(self) -> tuple[str, ...]:
        """The capabilities of the store that the factory declares."""
        return declared(self.call)

    @property
    def reopens(self) -> bool:
        """Whether the store can be opened again."""
        return "reopen" in self.declares

    @property
    def has(self) -> tuple[str, ...]:
        """The chapters that the factory declares; none if it leaves that open."""
        return offered(self.call)

    def open(self, environment: Environment, *, again: bool = False) -> Any:
        """A fresh store, or `again` the one that was closed. Raises `BackendError` if the factory raises, or gives no store."""
        try:
            made = self.call(environment)
            store, let_go = entered(made)
        except (KeyboardInterrupt, BackendError):
            raise
        except BaseException as error:
            expected = AGAIN if again else "Expected a fresh, empty store"
            raised = f"{_raised(error)}{' ' if again else '. '}"
            raise BackendError(f"The factory {self.name} {raised}{expected}.") from error
        if isinstance(store, type):
            raise BackendError(
                f"The factory {self.name} gave the class {store.__name__}. Expected a store of that class: does the factory "
                f"call it, as in {store.__name__}(environment)?"
            )
        if not is_store(store):
            raise BackendError(
                f"The factory {self.name} gave {shortened(store)}, which has none of the calls of a store. "
                f"Expected an object with methods such as {next(iter(OPERATIONS))}; does the factory return its store?"
            )
        if let_go is not None:
            self._letting_go[id(store)] = let_go
        return store

    def patience(self, seconds: float) -> float:
        """How long a call may take, where one may take so long: a pipe looks after that itself, and tells more."""
        return seconds if command_of(self.name) is None else math.inf

    def is_plain(self) -> bool:
        """Whether the factory gives its store as it is, ready to be called. Raises what the factory raises."""
        with fresh_environment(self.declares) as environment:
            made = self.call(environment)
            store, let_go = entered(made)
            (let_go or (lambda: self.close(store)))()
            return is_called_as_it_is(made, store)

    def offers(self) -> tuple[str, ...]:
        """The chapters that are declared, else those whose calls the store has, all of them. Raises `BackendError`."""
        if self.has:
            return self.has
        with fresh_environment(self.declares) as environment:
            store = self.open(environment)
            chapters = _whole(store)
            self.close(store)
        return chapters

    def lacks(self) -> frozenset[str]:
        """The chapters of a store of sessions that are not declared, and whose calls are there all the same.

        Only a factory that declares its chapters lacks any. Raises `BackendError`.
        """
        absent = [each for each in CALLS_OF if each not in self.has] if self.has else []
        if not absent:
            return frozenset()
        with fresh_environment(self.declares) as environment:
            store = self.open(environment)
            there = {each.chapter for each in OPERATIONS.values() if each.of(store)}
            self.close(store)
        return frozenset(each for each in absent if each in there)

    def gives_several(self) -> bool:
        """Whether the backend gives stores of several protocols. Raises `BackendError`."""
        with fresh_environment(self.declares) as environment:
            store = self.open(environment)
            self.close(store)
            return isinstance(store, Stores)

    def gives_one_store(self) -> bool:
        """Whether it gives the same store each time: what is left in it stays for whatever is done next in this process."""
        given = []
        for _ in range(2):
            with fresh_environment(self.declares) as environment:
                store = self.open(environment)
                given.append(stores_in(store))
                self.close(store)
        return any(one is other for one in given[0] for other in given[1])

    def close(self, store: Any) -> None:
        """Let the store go. Raises `BackendError` if its `close()` raises."""
        close = self._letting_go.pop(id(store), None) or getattr(store, "close", None)
        if close is None:
            return
        try:
            awaited(close())
        except Exception as error:
            raise BackendError(f"close() of the store of {self.name} {_raised(error)}. Expected it to return.") from error

    def require_declared(self, chapters: Collection[str]) -> None:
        """Raise `BackendError` if the factory declares its chapters, and one of these is not among them."""
        undeclared = [each for each in chapters if each not in self.has] if self.has else []
        if undeclared:
            raise BackendError(
                f"The factory {self.name} declares the chapters {', '.join(self.has)}, and not {', '.join(undeclared)}, which "
                "what was chosen cannot do without. Expected it declared, or others chosen with --stores or --chapters."
            )

    def require(self, operations: Collection[str], by: str = CHOSEN) -> None:
        """Open and close a store, and once more if it can be opened again. `by` says what needs the operations.

        Raises `BackendError` if that fails, or one of these operations is missing, or cannot be called as it should.
        """
        if not ENFORCED:
            raise BackendError(
                "FENCEPOST_CONTRACTS=off is set, and turns off part of what is to be checked. Expected it unset: it is meant "
                "for stores in production."
            )
        with fresh_environment(self.declares) as environment:
            store = self.open(environment)
            missing = [operation for operation in operations if not OPERATIONS[operation].of(store)]
            there = [each for each in operations if each not in missing]
            misfits = [(each, found) for each in there if (found := OPERATIONS[each].misfit(store))]
            can_close = hasattr(store, "close") or id(store) in self._letting_go
            self.close(store)
            if self.reopens:
                self._require_reopening(store, environment, can_close=can_close)
        absent = [part for part in dict.fromkeys(part_of(OPERATIONS[each].chapter) for each in missing) if _lacks(store, part)]
        if absent:
            others = f", or {OTHERS}" if by == CHOSEN else ""
            raise BackendError(
                f"The stores of {self.name} have no {' and no '.join(absent)}. Expected every store of {by}: add what is "
                f"missing{others}."
            )
        if missing:
            more = f" and {len(missing) - FEW} more calls" if len(missing) > FEW else ""
            others = f", or {_others(store)}.{_reading(operations, missing)}" if by == CHOSEN else "."
            raise BackendError(
                f"The store of {self.name}, {a_store(store)}, has no {', '.join(missing[:FEW])}{more}. "
                f"Expected every call of {by}: add what is missing{others}{_inherited(missing)}"
            )
        if misfits:
            operation, found = misfits[0]
            raise BackendError(
                f"The store of {self.name}, {a_store(store)}, has {found}. Expected {OPERATIONS[operation].shape}: "
                "arguments come by their places, and parameters may have other names, but neither another order nor number."
            )

    def _require_reopening(self, store: Any, environment: Environment, *, can_close: bool) -> None:
        if not can_close:
            raise BackendError(
                f"The store of {self.name}, {a_store(store)}, has no close(). Expected one of a store that can be "
                "opened again: add it, or do not declare `reopen`."
            )
        self.close(self.open(environment, again=True))


def _whole(store: object) -> tuple[str, ...]:
    """The chapters whose calls the store has, all of them, and what it takes to see what they do."""
    there = {name for name, operation in OPERATIONS.items() if operation.of(store)}
    needed = {chapter: {name for name, each in OPERATIONS.items() if each.chapter == chapter} for chapter in CHAPTERS}
    needed["commit"] |= set(READ_BACK)
    return tuple(chapter for chapter in CHAPTERS if there >= needed[chapter])


def _others(store: object) -> str:
    """What can be chosen instead: the protocols that the store has all calls of, else its chapters."""
    chapters = _whole(store)
    protocols = [name for name, needed in PROTOCOLS.items() if set(needed) <= set(chapters)]
    if protocols:
        return f"check the protocols that it has, with --stores {','.join(protocols)}"
    return f"check the chapters that it has, with --chapters {','.join(chapters)}" if chapters else OTHERS


def _reading(operations: Collection[str], missing: Collection[str]) -> str:
    """A sentence on what is missing although no chapter that has it was chosen."""
    sessions = [each for each, operation in OPERATIONS.items() if operation.chapter == "session"]
    if not set(READ_BACK) & set(missing) or set(sessions) <= set(operations):
        return ""
    return f" A check of commits reads them back with {' and '.join(READ_BACK)}, of the chapter session."


def _inherited(missing: Iterable[str]) -> str:
    """A sentence on those of the calls that come by themselves to a store that inherits from the published class."""
    given = [each for each in missing if not getattr(OPERATIONS[each].method, "__isabstractmethod__", False)]
    if not given:
        return ""
    homes = dict.fromkeys(CHAPTERS[OPERATIONS[each].chapter].__name__ for each in given)
    return f" A store that inherits from {' and '.join(homes)} need not write {', '.join(given)}."


OTHERS = "choose others with --stores or --chapters"

FEW = 6
"""How many calls that are missing are named."""


def _lacks(stores: object, part: str) -> bool:
    return isinstance(stores, Stores) and getattr(stores, part) is None


def load_factory(name: str, seconds: float = ANSWER_S) -> Factory:
    """The factory of this name, looked up with the current directory importable. Raises `BackendError`.

    `exec:COMMAND` is a program that speaks the wire protocol, and has so many seconds for each answer.
    """
    command = command_of(name)
    if command is not None:
        # an adapter is a backend, and raises what a backend raises
        from .adapter import Adapter

        return Factory(name, Adapter(command, seconds))
    module_name, colon, attribute = name.partition(":")
    if module_name.endswith(".py") or "/" in module_name:
        raise BackendError(f"Received --backend {name!r}, which names a file. Expected a module: {_as_module(name)}.")
    if not (colon and module_name and attribute):
        raise BackendError(f"Received --backend {name!r}, expected {EXPECTED}.")
    call = _attribute(name, _module(name, module_name), attribute)
    if not callable(call):
        raise BackendError(f"{name} is {shortened(call)}, which cannot be called; {SIGNATURE}.")
    try:
        inspect.signature(call).bind(object())
    except TypeError:
        raise BackendError(f"{name} cannot be called with one argument: {_shape(call)}; {SIGNATURE}.") from None
    except ValueError:
        pass  # built without a signature: the first call will show
    return Factory(name, call)


def _as_module(name: str) -> str:
    file, _, attribute = name.partition(":")
    path = Path(file)
    there = f", in the folder {path.parent}" if path.parent != Path() else ""
    return f"--backend {path.stem}:{attribute or 'factory'}{there}"


def command_of(name: str) -> str | None:
    """The command of an adapter, where the name of a backend is that of one."""
    return name.removeprefix(EXEC) if name.startswith(EXEC) else None


@contextlib.contextmanager
def fresh_environment(declared: Iterable[str] = USUAL) -> Iterator[Environment]:
    """An environment with an empty directory of its own, which is removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="fencepost-"))
    try:
        yield Environment(directory, tuple(declared))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _raised(error: BaseException) -> str:
    return f"raised {told(error)}{where_raised(error)}"


def told(error: BaseException) -> str:
    """An exception as part of a sentence: its type and the first line of its text."""
    text = (text_of(error).strip().splitlines() or [""])[0].rstrip(".")
    return printable(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def shortened(value: object, length: int = 80) -> str:
    """What a value looks like, cut to a length; a value that cannot even be shown is told by its type."""
    try:
        text = printable(repr(value))
    except Exception:
        text = printable(f"a {type(value).__name__}")
    return text if len(text) <= length else text[: length - 1] + "…"


def _module(name: str, module_name: str) -> Any:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise BackendError(
                f"There is no module {module_name!r}, asked for as --backend {name}. "
                f"Expected {EXPECTED}; modules are looked for in the current directory and among the installed packages."
            ) from error
        raise BackendError(f"The module {module_name!r} needs another one: {told(error)}. Install it and try again.") from error
    except (Exception, SystemExit) as error:
        raise BackendError(f"The module {module_name!r} cannot be imported: it {_raised(error)}.") from error


def _attribute(name: str, module: Any, attribute: str) -> Any:
    try:
        return getattr(module, attribute)
    except AttributeError:
        own = [name for name, each in vars(module).items() if getattr(each, "__module__", None) == module.__name__]
        public = [name for name in own if not name.startswith("_")]
        there = f"; it has {', '.join(public[:8])}" if public else ""
        raise BackendError(
            f"The module {module.__name__} has no {attribute!r}, asked for as --backend {name}{there}. "
            f"Expected the name of a factory in it."
        ) from None


def _shape(call: Callable[..., Any]) -> str:
    return f"it is {getattr(call, '__name__', type(call).__name__)}{inspect.signature(call)}"
