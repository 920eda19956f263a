"""What a store answers that has no turn inputs, or no queued work: as the stores of `fencepost.spec.unsupported` do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fencepost.spec import StoreError, UnsupportedQueuedWork, UnsupportedTurnInputs
from fencepost.spec.operations import OPERATIONS, Operation

from .state import State
from .step import Ids, Ports, Refused, Step, Steps

LACKING: dict[str, tuple[Any, Ids]] = {
    "turn_input": (UnsupportedTurnInputs(), ("DEFAULT-1",)),
    "queued_work": (UnsupportedQueuedWork(), ("DEFAULT-2",)),
}
"""The chapters that a store of sessions may lack, and has to answer for all the same."""


def _transition(operation: Operation) -> Callable[..., Steps]:
    store, because = LACKING[operation.chapter]

    def step(state: State, _ports: Ports, *arguments: object) -> Steps:
        try:
            answer = getattr(store, operation.method_name)(*arguments)
        except StoreError as error:
            return (Step(state, Refused(error), because),)
        return (Step(state, answer, because),)

    return step


UNSUPPORTED: dict[str, Callable[..., Steps]] = {
    name: _transition(operation) for name, operation in OPERATIONS.items() if operation.chapter in LACKING
}
"""The transition of each operation of those chapters, on a store that lacks them."""
