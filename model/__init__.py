"""The pure model: what every call must answer, in which state, and by which requirement."""

from collections.abc import Callable

from fencepost.spec.operations import OPERATIONS

from . import (
    attachment,
    commit,
    event,
    ingress_invariants,
    lease,
    maintenance,
    output,
    queued_work,
    runtime,
    session,
    turn_input,
)
from .state import INVARIANTS, Invariant, State
from .step import Ids, Ports, Refused, Step, Steps, Why

_CHAPTERS = {
    "lease": lease,
    "turn_input": turn_input,
    "queued_work": queued_work,
    "commit": commit,
    "session": session,
    "maintenance": maintenance,
    "attachment": attachment,
    "runtime": runtime,
    "event": event,
    "output": output,
}

TRANSITIONS: dict[str, Callable[..., Steps]] = {
    name: getattr(_CHAPTERS[operation.chapter], operation.method_name) for name, operation in OPERATIONS.items()
}
"""The transition of each operation: `(state, ports, *arguments) -> steps`."""

# invariants are registered where they are defined
assert ingress_invariants

__all__ = ["INVARIANTS", "TRANSITIONS", "Ids", "Invariant", "Ports", "Refused", "State", "Step", "Steps", "Why"]
