"""Runtimes in small: one is written to, beside one that has a receipt of the same run, the same input, and a session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from fencepost.model import State
from fencepost.spec import InputState, RunApplyBoundary, RunBoundaryReceipt, RuntimeState, SessionDelta

from ..checker import Call
from ..samples import DECODABLE, SHAPES, UNDECODABLE, numbered
from ..scope import Attempt, Bounds, Instant, Scope

RUNTIME, OTHER, NOBODY = "r1", "r2", "r3"
RUN, FIRST, SECOND = numbered(1), numbered(3), numbered(2)
BOUNDARY = next(iter(RunApplyBoundary))
STATES = (RuntimeState.Running, RuntimeState.Retired)
SESSIONS = (SessionDelta(DECODABLE[0]), SessionDelta(UNDECODABLE[0]))
EARLIER, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"


def _input(shape: int, at: str) -> InputState:
    return InputState(input_id=FIRST, created_at=EARLIER, updated_at=at, recovery_count=0, **SHAPES[shape])


WRITTEN = (_input(0, LATER), _input(1, EARLIER))


class RuntimeScope(Scope):
    """Boundaries committed and applied, states and inputs written, and everything read."""

    chapter = "runtime"
    default = Bounds(rows=2)
    suite = Bounds(rows=1)
    uses = ("rows",)

    def __init__(self, bounds: Bounds | None = None, *, canonical: bool = True) -> None:
        super().__init__(bounds, canonical=canonical)
        self._attempts = (*map(Attempt, _writes()), *map(Attempt, _reads(self.bounds.rows)))

    def prelude(self) -> tuple[Call, ...]:
        """The other runtime has a boundary with the same input."""
        return (Call("commit_session_boundary", (OTHER, SESSIONS[0], RUN, BOUNDARY, (FIRST,), WRITTEN[:1])),)

    def within(self, part: State, place: int) -> bool:
        """So many receipts."""
        return sum(key[0] == RUNTIME for key in part.runtime.receipts) <= self.bounds.rows

    def attempts(self, part: State, place: int, instant: Instant) -> Iterable[Attempt]:
        """All ten calls: the same in every state."""
        return self._attempts

    def situation(self, state: State, name: str, now: int) -> str:
        """What the runtime has."""
        records = state.runtime
        receipts = sorted(key[2] for key in records.receipts if key[0] == RUNTIME)
        there = {
            f"receipts {receipts}": receipts,
            "a session": RUNTIME in records.snapshots,
            "an input": records.inputs_of(RUNTIME),
            "a state": RUNTIME in records.states,
        }
        return ", ".join(says for says, is_there in there.items() if is_there) or "nothing"


def _writes() -> Iterator[Call]:
    updates: tuple[tuple[InputState, ...], ...] = ((), WRITTEN[:1], WRITTEN)
    for delta, contributing, some in product(SESSIONS, ((), (FIRST,)), updates):
        yield Call("commit_session_boundary", (RUNTIME, delta, RUN, BOUNDARY, contributing, some))
    for each, sequence, some, key in product((None, *SESSIONS), (0, 2), updates[:2], (None, SECOND)):
        receipt = RunBoundaryReceipt(
            run_id=RUN, boundary=BOUNDARY, contributing_input_ids=(), message_count=0, sequence=sequence
        )
        yield Call("atomic_apply", (RUNTIME, each, receipt, some, key))
    for written in WRITTEN:
        yield Call("persist_input_state", (RUNTIME, written))
    for state in STATES:
        yield Call("persist_runtime_state", (RUNTIME, state))
        yield from (Call("atomic_lifecycle_commit", (RUNTIME, state, some)) for some in updates[:2])


def _reads(rows: int) -> Iterator[Call]:
    for name in (RUNTIME, OTHER, NOBODY):
        yield from (Call(f"load_{what}", (name,)) for what in ("input_states", "session_snapshot", "runtime_state"))
        yield from (Call("load_input_state", (name, each)) for each in (FIRST, SECOND))
        yield from (Call("load_boundary_receipt", (name, RUN, sequence)) for sequence in range(rows + 1))
