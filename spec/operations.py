"""The operations of the protocol, read off the abstract stores: each chapter, its methods, their parameters.

Calls as data are derived from here and written nowhere again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, get_type_hints

from .attachment import AttachmentManifest
from .commit import SessionCommitStore
from .errors import InvalidArgument
from .lease import SessionExecutionLeaseStore
from .maintenance import StoreMaintenance
from .queued_work import QueuedWorkStore
from .session import SessionReadStore
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
}
"""The abstract store of each chapter, in reading order."""


class Operation(NamedTuple):
    """One method of a store."""

    name: str
    chapter: str
    method: Callable[..., Any]
    parameters: tuple[tuple[str, Check], ...]

    @property
    def reads(self) -> bool:
        """Whether the call only reads, by the protocol's way of naming."""
        return self.name.startswith(("load_", "list_", "durability_"))

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

    def require_contract(self, arguments: tuple[object, ...], result: object) -> None:
        """Raise `ContractBroken` if the answer breaks a postcondition: for stores that do not inherit the contracts."""
        given = dict(zip((name for name, _ in self.parameters), arguments, strict=True), result=result)
        for contract in getattr(self.method, "__postconditions__", ()):
            if not contract.condition(**{name: given[name] for name in contract.condition_args}):
                raise contract.error(**{name: given[name] for name in contract.error_args})


def _operations() -> dict[str, Operation]:
    operations = {}
    for chapter, store in CHAPTERS.items():
        for name, method in vars(store).items():
            if name.startswith("_") or not inspect.isfunction(method):
                continue
            hints = get_type_hints(method, include_extras=True)
            parameters = tuple((each, check_for(hints[each])) for each in list(inspect.signature(method).parameters)[1:])
            operations[name] = Operation(name, chapter, method, parameters)
    return operations


OPERATIONS: dict[str, Operation] = _operations()
"""Every operation by its name, in the order of the chapters and of their methods."""
