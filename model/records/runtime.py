"""One run of a runtime: its numbers; and everything that a runtime store keeps."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias
from uuid import UUID

import msgspec
from fencepost.spec import U64_MAX, InputState, RunBoundaryReceipt, RuntimeState
from immutables import Map
from msgspec.structs import replace

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


class Run(NamedTuple):
    """The largest number of a run's receipts, whoever made it (RUNTIME-23), and how many there are."""

    last: int
    receipts: int


class RuntimeRecords(msgspec.Struct, frozen=True, cache_hash=True):
    """The inputs of each runtime by their ids, all receipts, and each runtime's snapshot and state.

    The others are indexes: the numbers of each run, and how many runtimes have a run, or an input, of an id.
    """

    inputs: Map[str, Map[UUID, InputState]] = Map()
    receipts: Map[ReceiptKey, RunBoundaryReceipt] = Map()
    snapshots: Map[str, bytes] = Map()
    states: Map[str, RuntimeState] = Map()
    runs: Map[tuple[str, UUID], Run] = Map()
    runtimes_of_run: Map[UUID, int] = Map()
    runtimes_of_input: Map[UUID, int] = Map()

    def inputs_of(self, runtime_id: str) -> Map[UUID, InputState]:
        """The inputs of a runtime."""
        return self.inputs.get(runtime_id, Map())

    def last_sequence(self, runtime_id: str, run_id: UUID) -> int | None:
        """The largest number of a receipt of the run, if it has any."""
        run = self.runs.get((runtime_id, run_id))
        return run.last if run else None

    def with_receipt(self, runtime_id: str, receipt: RunBoundaryReceipt) -> RuntimeRecords:
        """The records with this receipt, in place of one with its number."""
        run_id, key = receipt.run_id, (runtime_id, receipt.run_id, receipt.sequence)
        run, of_run = self.runs.get((runtime_id, run_id)), self.runtimes_of_run
        numbers = Run(max(run.last, receipt.sequence), run.receipts + (key not in self.receipts)) if run else None
        return replace(
            self,
            receipts=self.receipts.set(key, receipt),
            runs=self.runs.set((runtime_id, run_id), numbers or Run(receipt.sequence, 1)),
            runtimes_of_run=of_run if run else of_run.set(run_id, of_run.get(run_id, 0) + 1),
        )

    def with_input(self, runtime_id: str, state: InputState) -> RuntimeRecords:
        """The records with this input, in place of one with its id."""
        inputs, runtimes, input_id = self.inputs_of(runtime_id), self.runtimes_of_input, state.input_id
        if input_id not in inputs:
            runtimes = runtimes.set(input_id, runtimes.get(input_id, 0) + 1)
        stored = self.inputs.set(runtime_id, inputs.set(input_id, state))
        return replace(self, inputs=stored, runtimes_of_input=runtimes)
