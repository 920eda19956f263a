"""One run of a runtime: its numbers; and everything that a runtime store keeps."""

from __future__ import annotations

from typing import TypeAlias
from uuid import UUID

import msgspec
from fencepost.spec import U64_MAX, InputState, RunBoundaryReceipt, RuntimeState
from immutables import Map

from ..contracts import ensure, require


@require(lambda last: last is None or 0 <= last <= U64_MAX)
@ensure(lambda last, result: last is not None or result == 0, "RUNTIME-22", "the first receipt of a run has number 0")
@ensure(
    lambda last, result: last is None or result is None or result == last + 1,
    "RUNTIME-22",
    "the numbers of receipts grow by exactly one",
)
@ensure(
    lambda last, result: (result is None) == (last == U64_MAX), "RUNTIME-23a", "only after the largest number there is none"
)
def next_sequence(last: int | None) -> int | None:
    """The number of the next receipt after the largest one, if there is one; None if there is no number left."""
    if last is None:
        return 0
    return last + 1 if last < U64_MAX else None


ReceiptKey: TypeAlias = tuple[str, UUID, int]
"""Runtime, run, sequence."""


class RuntimeRecords(msgspec.Struct, frozen=True):
    """The inputs of each runtime by their ids, all receipts, and each runtime's snapshot and state."""

    inputs: Map[str, Map[UUID, InputState]] = Map()
    receipts: Map[ReceiptKey, RunBoundaryReceipt] = Map()
    snapshots: Map[str, bytes] = Map()
    states: Map[str, RuntimeState] = Map()

    def inputs_of(self, runtime_id: str) -> Map[UUID, InputState]:
        """The inputs of a runtime."""
        return self.inputs.get(runtime_id, Map())

    def last_sequence(self, runtime_id: str, run_id: UUID) -> int | None:
        """The largest number of a receipt of the run, whoever made it (RUNTIME-23)."""
        return max((key[2] for key in self.receipts if key[:2] == (runtime_id, run_id)), default=None)
