"""The operations of the protocol, read off the abstract stores: each chapter, its methods, their parameters.

Calls as data are derived from here and written nowhere again.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_type_hints

from .attachment import AttachmentManifest
from .commit import SessionCommitStore
from .errors import InvalidArgument
from .event import EventStore
from .lease import SessionExecutionLeaseStore
from .maintenance import StoreMaintenance
from .output import OutputStore
from .queued_work import QueuedWorkStore
from .runtime import RuntimeStore
from .session import SessionReadStore
from .stores import Stores
from .turn_input import TurnInputStore
from .values import Check, check_for, require_valid

CHAPTERS: dict[str, type] = {
    "lease": SessionExecutionLeaseStore,
    "turn_input": TurnInputStore,
    "queued_work": QueuedWorkStore,
    "commit": SessionCommitStore,
    "session": SessionReadStore,
    "maintenance": StoreMaintenance,
    "attachment": AttachmentManifest,
    "runtime": RuntimeStore,
    "event": EventStore,
    "output": OutputStore,
}
"""The abstract store of each chapter, in reading order."""

PROTOCOLS: dict[str, tuple[str, ...]] = {
    "runtime_persistence": tuple(CHAPTERS)[:7],
    "turn_input": ("turn_input",),
    "runtime": ("runtime",),
    "event": ("event",),
    "output": ("output",),
}
"""The chapters of each published protocol; turn inputs are one by themselves, and a part of the first."""


def part_of(chapter: str) -> str:
    """Under which name the store of a chapter is among several, such as `runtime_persistence`."""
    return "runtime_persistence" if chapter in PROTOCOLS["runtime_persistence"] else chapter


def store_of(stores: object, chapter: str) -> object:
    """The store of a chapter: one of several, if a backend gives several, or the only one. None if there is none."""
    return getattr(stores, part_of(chapter)) if isinstance(stores, Stores) else stores


class Operation(NamedTuple):
    """One method of a store. Its name is the method's, behind that of the chapter where another store has one of this name."""

    name: str
    chapter: str
    method: Callable[..., Any]
    parameters: tuple[tuple[str, Check], ...]

    @property
    def method_name(self) -> str:
        """What a store calls it."""
        return self.method.__name__

    @property
    def reads(self) -> bool:
        """Whether the call only reads, by the protocol's way of naming."""
        return self.name.startswith(("load_", "list_", "get", "durability_"))

    def of(self, stores: object) -> Callable[..., Any] | None:
        """The method of this store, or of the one of several whose it is; None if there is none."""
        method: Callable[..., Any] | None = getattr(store_of(stores, self.chapter), self.method_name, None)
        return method

    def refuse_invalid(self, arguments: tuple[object, ...]) -> None:
        """Raise `InvalidArgument` for the first argument that the signature does not admit (VALUE-1, VALUE-2)."""
        for (name, check), value in zip(self.parameters, arguments, strict=True):
            require_valid(name, value, check)

    def is_valid(self, arguments: tuple[object, ...]) -> bool:
        """Whether the signature admits these arguments."""
        try:
            self.refuse_invalid(arguments)
        except InvalidArgument:
            return False
        return True

    @property
    def shape(self) -> str:
        """How it is called."""
        return f"{self.method_name}({', '.join(name for name, _ in self.parameters)})"

    def misfit(self, stores: object) -> str | None:
        """The shape of this store's method, if it cannot be called as this one is, by position; None if it can."""
        method, expected = self.of(stores), [name for name, _ in self.parameters]
        try:
            signature = inspect.signature(method or self.method)
        except (TypeError, ValueError):
            return None  # built without one: the first call will show
        names = list(signature.parameters)
        try:
            signature.bind(*expected)
        except TypeError:
            return f"{self.method_name}{signature}"
        return f"{self.method_name}{signature}" if names != expected and sorted(names) == sorted(expected) else None

    @property
    def postconditions(self) -> Sequence[Any]:
        """What has to hold of its answers; none where they are turned off."""
        contracts: Sequence[Any] = getattr(self.method, "__postconditions__", ())
        return contracts

    def carries_contract(self, method: object) -> bool:
        """Whether this method of a store checks its contract itself, as one that overrides the published one does."""
        # all that icontract decorates has this code, and attributes may be a copy: it takes both
        if getattr(method, "__code__", None) is not self.method.__code__:
            return False
        carried = getattr(method, "__postconditions__", ())
        return all(each in carried for each in self.postconditions)

    def require_contract(self, arguments: tuple[object, ...], result: object) -> None:
        """Raise `ContractBroken` if the answer breaks a postcondition: for methods that do not carry their contract."""
        # as icontract names them; the store itself comes first
        given = {"_ARGS": (None, *arguments), "_KWARGS": {}, "result": result}
        for contract in self.postconditions:
            if not contract.condition(**{name: given[name] for name in contract.condition_args}):
                raise contract.error(**{name: given[name] for name in contract.error_args})


def _operations() -> dict[str, Operation]:
    methods = [
        (chapter, name, method)
        for chapter, store in CHAPTERS.items()
        for name, method in vars(store).items()
        if inspect.isfunction(method) and not name.startswith("_")
    ]
    shared = Counter(name for _, name, _ in methods)
    named = ((name if shared[name] == 1 else f"{chapter}.{name}", chapter, method) for chapter, name, method in methods)
    return {name: Operation(name, chapter, method, _parameters(method)) for name, chapter, method in named}


def _parameters(method: Callable[..., Any]) -> tuple[tuple[str, Check], ...]:
    hints = get_type_hints(method, include_extras=True)
    return tuple((each, check_for(hints[each])) for each in list(inspect.signature(method).parameters)[1:])


OPERATIONS: dict[str, Operation] = _operations()
"""Every operation by its name, in the order of the chapters and of their methods."""
