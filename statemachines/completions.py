"""Completions of claims, as they were granted and in every shape in which known stores differ or go wrong."""

from __future__ import annotations

from typing import Any, TypeAlias

from fencepost.spec import QueuedWorkCompletion, TurnInputCompletion
from msgspec.structs import replace

from .machine import Memory

Completions: TypeAlias = tuple[tuple[QueuedWorkCompletion, ...], tuple[TurnInputCompletion, ...]]

SHAPES = (
    "exact", "exact", "exact", "exact", "exact",
    "subset", "empty", "doubled", "doubled", "twice", "foreign", "swapped", "token", "other session", "twice", "reversed",
)  # fmt: skip
"""How a claim is completed: as it was granted, or in one of the ways in which known stores differ or go wrong."""


def shaped(done: Any, shape: str, others: list[str]) -> tuple[Any, ...]:
    """The completion of a claim in this shape; `others` are ids that are not the claim's."""
    field = "batch_ids" if isinstance(done, QueuedWorkCompletion) else "input_ids"
    ids = getattr(done, field)
    foreign = others[-1] if others else "foreign"
    changes: dict[str, Any] = {
        "subset": {field: ids[:-1]},
        "empty": {field: ()},
        "doubled": {field: (*ids, *ids[:1])},
        "foreign": {field: (*ids, foreign)},
        "swapped": {field: (*ids[:-1], foreign)},
        "token": {"lease_token": done.lease_token + "'"},
        "other session": {"session_id": "s2" if done.session_id == "s" else "s"},
        "reversed": {field: ids[::-1]},
    }
    altered = replace(done, **changes.get(shape, {}))
    return (altered, altered) if shape == "twice" else (altered,)


def completions(memory: Memory, shape: str, index: int) -> Completions:
    """Completions of claims ever granted, of either kind, in this shape."""
    queue: tuple[QueuedWorkCompletion, ...] = ()
    inputs: tuple[TurnInputCompletion, ...] = ()
    if memory.work_claims and index % 3 != 1:
        claim = memory.work_claims[-1 - index % len(memory.work_claims)]
        queue = shaped(claim.completion(), shape, [batch.batch_id for batch in memory.batches if batch not in claim.batches])
    if memory.input_claims and index % 3 != 2:
        held = memory.input_claims[-1 - index % len(memory.input_claims)]
        own = {row.input_id for row in held.inputs}
        inputs = shaped(held.completion(), shape, [row.input_id for row in memory.inputs if row.input_id not in own])
    return queue, inputs
