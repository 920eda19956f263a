"""The pure model: what every call must answer, in which state, and by which requirement."""

from collections.abc import Callable

from fencepost.spec.operations import OPERATIONS

from . import commit, lease, session
from .state import INVARIANTS, Invariant, State
from .step import Ids, Ports, Refused, Step, Steps, Why

_CHAPTERS = {"lease": lease, "commit": commit, "session": session}

TRANSITIONS: dict[str, Callable[..., Steps]] = {
    name: getattr(_CHAPTERS[operation.chapter], name) for name, operation in OPERATIONS.items()
}
"""The transition of each operation: `(state, ports, *arguments) -> steps`."""

__all__ = ["INVARIANTS", "TRANSITIONS", "Ids", "Invariant", "Ports", "Refused", "State", "Step", "Steps", "Why"]
