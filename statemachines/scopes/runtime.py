"""Runtimes in small: a part is a runtime, and shows others whether it has a receipt of the run, a session, and the input.

A runtime that is alone has another beside it that has all three, and that nothing is written to.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import product

from fencepost.model import State
from fencepost.model.records.runtime import RuntimeRecords
from fencepost.spec import InputState, RunApplyBoundary, RunBoundaryReceipt, RuntimeState, SessionDelta
from immutables import Map
from msgspec.structs import replace

from ..checker import Call
from ..samples import DECODABLE, SHAPES, UNDECODABLE, numbered
from ..scope import Attempt, Bounds, SteadyScope

BESIDE, NOBODY = "r2", "r0"
RUN, FIRST, SECOND = numbered(1), numbered(3), numbered(2)
BOUNDARY = next(iter(RunApplyBoundary))
STATES = (RuntimeState.Running, RuntimeState.Retired)
SESSIONS = (SessionDelta(DECODABLE[0]), SessionDelta(UNDECODABLE[0]))
EARLIER, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"


def _input(shape: int, at: str) -> InputState:
    return InputState(input_id=FIRST, created_at=EARLIER, updated_at=at, recovery_count=0, **SHAPES[shape])


WRITTEN = (_input(0, LATER), _input(1, EARLIER))


class RuntimeScope(SteadyScope):
    """Boundaries committed and applied, states and inputs written, and everything read."""

    chapter = "runtime"
    default = Bounds(sessions=2, rows=2)
    suite = Bounds(sessions=1, rows=1)
    uses = ("sessions", "rows")
    alike = True

    def __init__(self, bounds: Bounds | None = None, *, canonical: bool = True) -> None:
        super().__init__(bounds, canonical=canonical)
        self.names = tuple(f"r{number}" for number in range(1, self.bounds.sessions + 1))
        self._beside = () if BESIDE in self.names else (BESIDE,)
        self.tried = {(place,): tuple(map(Attempt, self._tried(name))) for place, name in enumerate(self.names)}

    def prelude(self) -> tuple[Call, ...]:
        """The runtime beside one that is alone has a boundary with the same input."""
        boundary = (SESSIONS[0], RUN, BOUNDARY, (FIRST,), WRITTEN[:1])
        return tuple(Call("commit_session_boundary", (name, *boundary)) for name in self._beside)

    def within(self, part: State, place: int) -> bool:
        """So many receipts."""
        return sum(key[0] == self.names[place] for key in part.runtime.receipts) <= self.bounds.rows

    def joined(self, parts: Sequence[State]) -> State:
        """All runtimes in one store."""
        kept = _gathered([part.runtime for part in parts], (*self.names, *self._beside))
        records = RuntimeRecords(snapshots=kept.snapshots, states=kept.states)
        for (name, _, _), receipt in kept.receipts.items():
            records = records.with_receipt(name, receipt)
        for name, inputs in kept.inputs.items():
            for each in inputs.values():
                records = records.with_input(name, each)
        return State(runtime=records)

    def part(self, whole: State, place: int) -> State:
        """What is kept of one runtime, and of the one beside it, if it is alone: the indexes are of the store."""
        return replace(whole, runtime=_gathered([whole.runtime], (self.names[place], *self._beside)))

    def shadow(self, part: State, place: int) -> State:
        """Whether the runtime has a receipt of the run, a session, and the input."""
        name, records = self.names[place], part.runtime
        inputs = Map({name: Map({FIRST: WRITTEN[0]})} if name in records.inputs else {})
        receipts = Map({(name, RUN, 0): _receipt(0)} if records.receipts else {})
        return State(runtime=RuntimeRecords(inputs, receipts, Map({name: b""} if name in records.snapshots else {})))

    def _tried(self, name: str) -> Iterator[Call]:
        yield from _writes(name)
        for each in (name, *self._beside, NOBODY):
            yield from _reads(each, self.bounds.rows)

    def situation(self, state: State, name: str, now: int) -> str:
        """What the runtime has."""
        records = state.runtime
        receipts = sorted(key[2] for key in records.receipts if key[0] == name)
        there = {
            f"receipts {receipts}": receipts,
            "a session": name in records.snapshots,
            "an input": records.inputs_of(name),
            "a state": name in records.states,
        }
        return ", ".join(says for says, is_there in there.items() if is_there) or "nothing"


def _gathered(stores: Sequence[RuntimeRecords], names: Container[str]) -> RuntimeRecords:
    """What stores keep of these runtimes."""
    return RuntimeRecords(
        Map({name: inputs for each in stores for name, inputs in each.inputs.items() if name in names}),
        Map({key: receipt for each in stores for key, receipt in each.receipts.items() if key[0] in names}),
        Map({name: snapshot for each in stores for name, snapshot in each.snapshots.items() if name in names}),
        Map({name: state for each in stores for name, state in each.states.items() if name in names}),
    )


def _receipt(sequence: int) -> RunBoundaryReceipt:
    """A receipt that a caller makes."""
    return RunBoundaryReceipt(run_id=RUN, boundary=BOUNDARY, contributing_input_ids=(), message_count=0, sequence=sequence)


def _writes(name: str) -> Iterator[Call]:
    updates: tuple[tuple[InputState, ...], ...] = ((), WRITTEN[:1], WRITTEN)
    for delta, contributing, some in product(SESSIONS, ((), (FIRST,)), updates):
        yield Call("commit_session_boundary", (name, delta, RUN, BOUNDARY, contributing, some))
    for each, sequence, some, key in product((None, *SESSIONS), (0, 2), updates[:2], (None, SECOND)):
        yield Call("atomic_apply", (name, each, _receipt(sequence), some, key))
    for written in WRITTEN:
        yield Call("persist_input_state", (name, written))
    for state in STATES:
        yield Call("persist_runtime_state", (name, state))
        yield from (Call("atomic_lifecycle_commit", (name, state, some)) for some in updates[:2])


def _reads(name: str, rows: int) -> Iterator[Call]:
    yield from (Call(f"load_{what}", (name,)) for what in ("input_states", "session_snapshot", "runtime_state"))
    yield from (Call("load_input_state", (name, each)) for each in (FIRST, SECOND))
    yield from (Call("load_boundary_receipt", (name, RUN, sequence)) for sequence in range(rows + 1))
