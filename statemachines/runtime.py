"""Rules of the runtime chapter: boundaries committed and applied, inputs and states written in whatever order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from fencepost.model import Refused, State
from fencepost.spec import (
    U64_MAX,
    InputState,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeState,
    SessionDelta,
)
from hypothesis.stateful import rule

from .checker import Call
from .draws import ANY, latest, mixed
from .lease import BAD_NUMBERS, BAD_TEXTS
from .machine import Machine
from .samples import DECODABLE, SESSIONS, SHAPES, UNDECODABLE, numbered

RUNTIMES = ("r", "r", "r", "r", "r2", "r1", "r10", "", "R%_'\"\0é")

RUNS = (numbered(1), numbered(1), numbered(1), numbered(2), numbered(16))
ENDING = numbered(17)
"""The run whose numbers are used up: a boundary of it that comes later is refused."""

INPUTS = tuple(numbered(number) for number in (9, 3, 3, 255, 16, 0, 2))
"""Ids in no order, so that the order of writing is not theirs."""

INSTANTS = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000001Z", "2025-12-31T23:59:59.999999999Z")
SNAPSHOTS = (*DECODABLE, *DECODABLE, *DECODABLE, *UNDECODABLE)
KEYS = (None, None, "own", "own", "other")
SEQUENCES = ("next", "next", "same", "gap", "0", "2^53", "2^63 - 1", "2^63", "2^64 - 1")
WRITES = (
    "commit_session_boundary",
    "atomic_apply",
    "persist_input_state",
    "persist_runtime_state",
    "atomic_lifecycle_commit",
)
READS = ("load_input_states", "load_session_snapshot", "load_runtime_state")
"""What is read of a runtime."""


class RuntimeRules(Machine):
    """Runtimes."""

    def observations(self, state: State) -> Iterable[Call]:
        """Everything of every runtime that is there, but for all receipts save three, and of one that is not."""
        yield from super().observations(state)
        records = state.runtime
        known = {*records.inputs, *records.snapshots, *records.states, *(key[0] for key in records.receipts), "nothing"}
        for runtime_id in sorted(known):
            yield from (Call(operation, (runtime_id,)) for operation in READS)
        yield from (Call("load_boundary_receipt", key) for key in sorted(records.receipts)[-3:])

    def touches(self, call: Call) -> Iterable[Call]:
        """A write is seen in everything of its runtime, and in nothing of another, of which one thing is read in turn."""
        yield from super().touches(call)
        if call.operation not in WRITES:
            return
        runtime_id = str(call.arguments[0])
        if call.operation == "commit_session_boundary":
            run_id: Any = call.arguments[2]
            last = self.state.runtime.last_sequence(runtime_id, run_id)
            yield Call("load_boundary_receipt", (runtime_id, run_id, last))
        elif call.operation == "atomic_apply":
            receipt: Any = call.arguments[2]
            yield Call("load_boundary_receipt", (runtime_id, receipt.run_id, receipt.sequence))
        written = [each.input_id for argument in call.arguments for each in _inputs_in(argument)]
        yield from (Call("load_input_state", (runtime_id, each)) for each in list(dict.fromkeys(written))[-2:])
        yield from (Call(operation, (runtime_id,)) for operation in READS)
        turn, others = len(self.memory.calls), sorted({*self.state.runtime.inputs} - {runtime_id})
        if others:
            yield Call(READS[turn % len(READS)], (others[turn // len(READS) % len(others)],))

    def input_state(self, input_id: UUID, shape: dict[str, Any], index: int) -> InputState:
        """An input whose times tell which call it came with."""
        return InputState(
            input_id=input_id,
            created_at=INSTANTS[index % len(INSTANTS)],
            updated_at=f"2026-01-01T00:{index % 60:02}:{len(self.memory.calls) % 60:02}Z",
            recovery_count=len(self.memory.calls),
            **shape,
        )

    def _inputs(self, ids: Iterable[UUID], shapes: Iterable[dict[str, Any]], index: int) -> tuple[InputState, ...]:
        return tuple(
            self.input_state(each, shape, index + place) for place, (each, shape) in enumerate(zip(ids, shapes, strict=False))
        )

    @rule(
        drawn=mixed(RUNTIMES, SNAPSHOTS, RUNS, tuple(RunApplyBoundary), range(4), range(4), ANY),
        inputs=mixed(INPUTS, INPUTS, INPUTS, SHAPES, SHAPES, SHAPES),
    )
    def commit_session_boundary(self, drawn: tuple[Any, ...], inputs: tuple[Any, ...]) -> None:
        """Commit a boundary with inputs, contributing or not."""
        runtime_id, snapshot, run_id, boundary, contributing, updated, index = drawn
        ids, shapes = inputs[:3], inputs[3:]
        self.perform(
            "commit_session_boundary",
            runtime_id,
            SessionDelta(snapshot),
            run_id,
            boundary,
            tuple(ids[::-1][:contributing]),
            self._inputs(ids[:updated], shapes, index),
        )

    @rule(
        drawn=mixed(RUNTIMES, (None, None, None, None, *SNAPSHOTS), RUNS, SEQUENCES[:-1], KEYS, range(3), ANY),
        inputs=mixed(INPUTS, INPUTS, SHAPES, SHAPES),
    )
    def atomic_apply(self, drawn: tuple[Any, ...], inputs: tuple[Any, ...]) -> None:
        """Apply a receipt of our own, under any number."""
        runtime_id, snapshot, run_id, which, key, updated, index = drawn
        sequence = self._sequence(runtime_id, run_id, which)
        self._apply(runtime_id, snapshot, run_id, sequence, key, self._inputs(inputs[:updated], inputs[2:], index), index)

    def _apply(
        self,
        runtime_id: str,
        snapshot: bytes | None,
        run_id: UUID,
        sequence: int,
        key: str | None,
        inputs: tuple[InputState, ...],
        index: int,
    ) -> None:
        receipt = RunBoundaryReceipt(
            run_id=run_id,
            boundary=RunApplyBoundary.RunStart,
            contributing_input_ids=(INPUTS[0],) * (index % 3),
            conversation_digest=(None, "", "no digest")[index % 3],
            message_count=(0, 2**53 + 1, U64_MAX)[index % 3],
            sequence=sequence,
        )
        delta = None if snapshot is None else SessionDelta(snapshot)
        own = next((session for session in SESSIONS if snapshot is not None and str(session).encode() in snapshot), SESSIONS[0])
        store_key = {None: None, "own": own, "other": numbered(70)}[key]
        self.perform("atomic_apply", runtime_id, delta, receipt, inputs, store_key)

    @rule(drawn=mixed(RUNTIMES, RUNS, DECODABLE, ("again", "again", "boundary", "last", "last"), INPUTS, SHAPES, ANY))
    def receipts(self, drawn: tuple[Any, ...]) -> None:
        """A receipt of our own; then another one of its number, a boundary, or a boundary for which no number is left."""
        runtime_id, run_id, snapshot, then, input_id, shape, index = drawn
        run_id = ENDING if then == "last" else run_id
        sequence = self._sequence(runtime_id, run_id, "2^64 - 1" if then == "last" else "gap")
        inputs = (self.input_state(input_id, shape, index),)
        self._apply(runtime_id, snapshot, run_id, sequence, None, (), index)
        if then == "again":
            self._apply(runtime_id, None, run_id, sequence, None, inputs, index + 1)
        else:
            immediate = RunApplyBoundary.Immediate
            self.perform("commit_session_boundary", runtime_id, SessionDelta(snapshot), run_id, immediate, (), inputs)

    def _sequence(self, runtime_id: str, run_id: UUID, which: str) -> int:
        last = self.state.runtime.last_sequence(runtime_id, run_id)
        following = 0 if last is None else min(last + 1, U64_MAX)
        return {
            "next": following,
            "same": last or 0,
            "gap": min(following + 9, U64_MAX),
            "0": 0,
            "2^53": 2**53 + 1,
            "2^63 - 1": 2**63 - 1,
            "2^63": 2**63,
            "2^64 - 1": U64_MAX,
        }[which]

    @rule(drawn=mixed(ANY))
    def write_again(self, drawn: tuple[int]) -> None:
        """Make a call that wrote, once more, just as it was: a boundary is another one."""
        earlier = [call for call in self.memory.calls if call.operation in WRITES]
        if earlier:
            self.note("exact retry")
            again = latest(earlier, drawn[0])
            self.perform(again.operation, *again.arguments)

    @rule(drawn=mixed(RUNTIMES[:6], RUNS, DECODABLE, DECODABLE, ANY))
    def boundaries(self, drawn: tuple[Any, ...]) -> None:
        """Boundaries in a row, one refused in between, and one of the same run in another runtime."""
        runtime_id, run_id, first, second, index = drawn
        staged = self.input_state(INPUTS[index % len(INPUTS)], SHAPES[2], index)
        immediate = RunApplyBoundary.Immediate
        self.perform(
            "commit_session_boundary", runtime_id, SessionDelta(first), run_id, immediate, (staged.input_id,) * 2, (staged,)
        )
        self.perform(
            "commit_session_boundary",
            runtime_id,
            SessionDelta(UNDECODABLE[index % len(UNDECODABLE)]),
            run_id,
            immediate,
            (),
            (staged,),
        )
        self.perform("commit_session_boundary", runtime_id + "1", SessionDelta(second), run_id, immediate, (), (staged,))
        self.perform("commit_session_boundary", runtime_id, SessionDelta(second), run_id, immediate, (staged.input_id,), ())

    @rule(drawn=mixed(RUNTIMES, INPUTS, SHAPES, ANY))
    def persist_input_state(self, drawn: tuple[Any, ...]) -> None:
        """Persist an input, whatever it was before."""
        runtime_id, input_id, shape, index = drawn
        self.perform("persist_input_state", runtime_id, self.input_state(input_id, shape, index))

    @rule(drawn=mixed(RUNTIMES, tuple(RuntimeState)))
    def persist_runtime_state(self, drawn: tuple[str, RuntimeState]) -> None:
        """Persist a state, whatever it was before."""
        self.perform("persist_runtime_state", *drawn)

    @rule(drawn=mixed(RUNTIMES, tuple(RuntimeState), range(4), INPUTS, INPUTS, SHAPES, SHAPES, ANY))
    def atomic_lifecycle_commit(self, drawn: tuple[Any, ...]) -> None:
        """Commit a state with inputs, perhaps one twice."""
        runtime_id, runtime_state, count, first, second, shape, other, index = drawn
        inputs = self._inputs((first, second, first)[:count], (shape, other, other), index)
        self.perform("atomic_lifecycle_commit", runtime_id, runtime_state, inputs)

    @rule(drawn=mixed(RUNTIMES, range(11, 15), SHAPES))
    def many(self, drawn: tuple[Any, ...]) -> None:
        """More than ten inputs, the largest id first."""
        runtime_id, count, shape = drawn
        inputs = tuple(self.input_state(numbered(number), shape, number) for number in reversed(range(count)))
        self.perform("atomic_lifecycle_commit", runtime_id, RuntimeState.Retired, inputs)

    @rule(drawn=mixed((*RUNTIMES, "nothing"), RUNS, INPUTS, SEQUENCES, range(5)))
    def read(self, drawn: tuple[Any, ...]) -> None:
        """Read what is there or is not."""
        runtime_id, run_id, input_id, which, how = drawn
        calls: tuple[tuple[object, ...], ...] = (
            ("load_boundary_receipt", runtime_id, run_id, self._sequence(runtime_id, run_id, which)),
            ("load_input_state", runtime_id, input_id),
            ("load_input_states", runtime_id),
            ("load_session_snapshot", runtime_id),
            ("load_runtime_state", runtime_id),
        )
        operation, *arguments = calls[how]
        self.perform(str(operation), *arguments)

    @rule(drawn=mixed(BAD_NUMBERS, BAD_TEXTS, range(5)))
    def bad_runtime_argument(self, drawn: tuple[object, object, int]) -> None:
        """Call with what no call of a runtime may accept."""
        number, text, which = drawn
        delta = SessionDelta(DECODABLE[0])
        calls: tuple[tuple[object, ...], ...] = (
            ("load_boundary_receipt", "r", RUNS[0], number),
            ("load_boundary_receipt", "r", "no UUID", 0),
            ("load_input_states", text),
            ("persist_runtime_state", "r", "idle"),
            ("commit_session_boundary", text, delta, RUNS[0], RunApplyBoundary.Immediate, (), ()),
        )
        operation, *arguments = calls[which]
        assert isinstance(self.perform(str(operation), *arguments), Refused)


def _inputs_in(argument: object) -> Iterable[InputState]:
    """The inputs that an argument writes."""
    if isinstance(argument, InputState):
        yield argument
    elif isinstance(argument, tuple):
        yield from (each for each in argument if isinstance(each, InputState))
