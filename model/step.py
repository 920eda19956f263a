"""What a transition takes and gives.

A transition is a function `(state, ports, arguments) -> steps`. It reads time, liveness and the values that a store mints
from its ports, and gives every admissible step, ours first: the next state, the answer, and the requirements that decided it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import msgspec
from fencepost.spec import ProcessAlive, SessionCodec, StoreError, decode_session

from .state import State

Ids: TypeAlias = tuple[str, ...]
"""Requirement ids, the most telling first."""

Why: TypeAlias = tuple[tuple[str, Ids], ...]
"""Which requirements fix which part of an answer: field paths such as `lease.fencing_token`, each with its ids.

The first entry whose path is a prefix of the field's path counts; the empty path is a prefix of all.
"""

A = TypeVar("A")


class Refused(msgspec.Struct, frozen=True):
    """The answer of a refused call, as a value."""

    error: StoreError


class Ports(msgspec.Struct, frozen=True):
    """What comes from outside: the instant of the call, the liveness oracle, and the answer that a store gave.

    `seen` is where minted values (lease tokens, blob refs) are taken from; without a store it is `None`, and the model mints.
    `concurrent` says that other callers may be inside the store at once. `codec` reads the sessions that are committed.
    """

    now: int
    alive: ProcessAlive
    seen: object = None
    concurrent: bool = False
    codec: SessionCodec = decode_session


class Step(msgspec.Struct, frozen=True):
    """One admissible outcome of a call.

    `because` decided the kind of answer, `details` fix its fields. What the answer does not show is told by `effects`, for
    fields of later answers (`load_session.graph`), and by `silent`, for later answers about a subject such as a session's
    lane. `differs` names the CURRENT requirements that this outcome departs from: empty for ours.
    """

    state: State
    answer: object
    because: Ids
    details: Why = ()
    effects: Why = ()
    silent: Why = ()
    differs: Ids = ()


Steps: TypeAlias = tuple[Step, ...]


SIGNED_MAX = 2**63 - 1
"""The largest number of a store that keeps signed 64-bit numbers, which may refuse larger ones (VALUE-3)."""

MANIFEST = "manifest"
"""What silent changes of the attachment manifest are about."""


def subject(chapter: str, session_id: str) -> str:
    """What silent changes of a session are about: its inputs, its work, or its lane."""
    return f"{chapter} of {session_id}" if chapter in ("turn_input", "queued_work") else session_id


def refused(state: State, error: StoreError, *because: str) -> Steps:
    """The one step of a refusal: nothing changes (VALUE-7)."""
    return (Step(state, Refused(error), because),)


def admitting(ours: Step, seen: object, *divergences: tuple[str, Callable[[Any, Any], object]]) -> Steps:
    """Our step, and the one that follows the store where CURRENT requirements leave it free.

    Each divergence is a requirement with a function that bends our answer towards the store's as far as that requirement
    admits, or returns it as it is.
    """
    answer = ours.answer
    if type(seen) is not type(answer) or seen == answer:
        return (ours,)
    departs = []
    for requirement, bend in divergences:
        bent = bend(answer, seen)
        if bent != answer:
            answer = bent
            departs.append(requirement)
    if not departs:
        return (ours,)
    return (ours, msgspec.structs.replace(ours, answer=answer, differs=tuple(departs)))
