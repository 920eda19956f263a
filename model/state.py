"""The lifted state: one immutable, hashable value for everything a store remembers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from .records.attachment import AttachmentState
from .records.commit import CommitState
from .records.event import EventState
from .records.lease import LeaseState
from .records.output import OutputState
from .records.queued_work import QueueState
from .records.runtime import RuntimeRecords
from .records.session import SessionState
from .records.turn_input import InputState


class State(msgspec.Struct, frozen=True, cache_hash=True):
    """Everything, a field per chapter that stores something."""

    lease: LeaseState = LeaseState()
    turn_input: InputState = InputState()
    queued_work: QueueState = QueueState()
    commit: CommitState = CommitState()
    session: SessionState = SessionState()
    attachment: AttachmentState = AttachmentState()
    runtime: RuntimeRecords = RuntimeRecords()
    event: EventState = EventState()
    output: OutputState = OutputState()


class Invariant(NamedTuple):
    """A named predicate over a step of the state: it must hold of every state reached, seen from the one before."""

    requirement: str
    holds: Callable[[State, State], bool]


INVARIANTS: list[Invariant] = []
"""All invariants of all chapters, in the order of the chapters."""


def invariant(requirement: str) -> Callable[[Callable[[State, State], bool]], Callable[[State, State], bool]]:
    """Register a predicate `(before, after) -> bool` as the invariant with this id."""

    def register(holds: Callable[[State, State], bool]) -> Callable[[State, State], bool]:
        INVARIANTS.append(Invariant(requirement, holds))
        return holds

    return register
