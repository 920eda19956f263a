"""Runtimes: their inputs, the receipts of their runs, their snapshots and their states.

A boundary commit takes its number from the row of its run, and writes it: of two commits of one run at once, one runs again
and takes the next (RUNTIME-44). A caller's receipt raises the same row, so the largest number is always there to be read.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar
from uuid import UUID

from ..spec import (
    U64_MAX,
    Backend,
    DecodedSession,
    InputState,
    ReadFailed,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeState,
    RuntimeStore,
    SessionCodec,
    SessionDelta,
    SessionKeyMismatch,
    UndecodableSession,
    WriteFailed,
    decode_session,
)
from ..spec.contracts import ensures
from ..spec.runtime import DIGEST
from ..spec.values import shown
from .encoding import decoded, encoded, lookup
from .engine import Engine, Row, Statement
from .store import Clock, DuckDBStore, failing_as, wall_clock

T = TypeVar("T")

# what is set is computed before the condition is looked at, and must not overflow
TAKE_NUMBER = Statement(
    "take the number of the receipt",
    """INSERT INTO runtime_runs VALUES (?, 0, 0) ON CONFLICT (run_key)
    DO UPDATE SET last_sequence = least(runtime_runs.last_sequence, 18446744073709551614) + 1, guard = runtime_runs.guard + 1
    WHERE runtime_runs.last_sequence < 18446744073709551615 RETURNING last_sequence""",
)
# it returns something because the other does: in a table with a key, an update that returns anything is a deletion and an
# insertion, and a deletion passes the updates of others, but never another deletion (RUNTIME-44)
RAISE_NUMBER = Statement(
    "raise the number of receipts",
    """INSERT INTO runtime_runs VALUES (?, ?, 0) ON CONFLICT (run_key)
    DO UPDATE SET last_sequence = greatest(runtime_runs.last_sequence, excluded.last_sequence),
    guard = runtime_runs.guard + 1 RETURNING 1""",
)
INSERT_RECEIPT = Statement("store the receipt", "INSERT INTO runtime_receipts VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING 1")
STORE_SNAPSHOT = Statement(
    "store the snapshot",
    """WITH of_sessions AS (INSERT INTO runtime_sessions VALUES ($1, $3)
    ON CONFLICT (session_id) DO UPDATE SET snapshot = excluded.snapshot)
    INSERT INTO runtime_snapshots VALUES ($2, $3) ON CONFLICT (runtime_key) DO UPDATE SET snapshot = excluded.snapshot""",
)
STORE_INPUTS = Statement(
    "store the inputs",
    """INSERT INTO runtime_inputs SELECT unnest($1::VARCHAR[]), $2, unnest($3::VARCHAR[]), unnest($4::VARCHAR[])
    ON CONFLICT (input_key) DO UPDATE SET state = excluded.state""",
)
STORE_STATE = Statement(
    "store the state",
    "INSERT INTO runtime_states VALUES (?, ?) ON CONFLICT (runtime_key) DO UPDATE SET state = excluded.state",
)
READ_INPUTS = Statement("read the inputs", "SELECT input_id, state FROM runtime_inputs WHERE runtime_key = ? ORDER BY input_id")
READ_INPUT = Statement("read the input", "SELECT state FROM runtime_inputs WHERE input_key = ?")
READ_RECEIPT = Statement("read the receipt", "SELECT receipt FROM runtime_receipts WHERE receipt_key = ?")
READ_SNAPSHOT = Statement("read the snapshot", "SELECT snapshot FROM runtime_snapshots WHERE runtime_key = ?")
READ_STATE = Statement("read the state", "SELECT state FROM runtime_states WHERE runtime_key = ?")


class DuckDBRuntimeStore(DuckDBStore, RuntimeStore):
    """`RuntimeStore` in a DuckDB database; see `DuckDBStore` for its construction. `codec` reads its snapshots."""

    _codec: SessionCodec = staticmethod(decode_session)

    def __init__(
        self, path: str | os.PathLike[str] = ":memory:", *, clock: Clock = wall_clock, codec: SessionCodec = decode_session
    ) -> None:
        super().__init__(path, clock=clock)
        self._codec = codec

    @classmethod
    def reading(cls, engine: Engine, codec: SessionCodec = decode_session) -> Self:
        """A store on an open engine that reads snapshots with this codec."""
        store = cls.over(engine)
        store._codec = codec
        return store

    @failing_as(WriteFailed)
    def commit_session_boundary(
        self,
        runtime_id: str,
        session_delta: SessionDelta,
        run_id: UUID,
        boundary: RunApplyBoundary,
        contributing_input_ids: tuple[UUID, ...],
        input_updates: tuple[InputState, ...],
    ) -> RunBoundaryReceipt:
        """See `RuntimeStore`. Five statements, and one with inputs."""
        engine = self._engine
        session = self._session(session_delta)

        def commit() -> RunBoundaryReceipt:
            receipt = RunBoundaryReceipt(
                run_id=run_id,
                boundary=boundary,
                contributing_input_ids=contributing_input_ids,
                conversation_digest=session.conversation_digest,
                message_count=session.message_count,
                sequence=_number(engine.execute(TAKE_NUMBER, (lookup(runtime_id, run_id),))),
            )
            _store_receipt(engine, runtime_id, receipt)
            _store_snapshot(engine, runtime_id, session, session_delta)
            _store_inputs(engine, runtime_id, [each.stamped(run_id, receipt.sequence) for each in input_updates])
            return receipt

        return engine.transaction("commit the boundary", commit)

    @failing_as(WriteFailed)
    def atomic_apply(
        self,
        runtime_id: str,
        session_delta: SessionDelta | None,
        receipt: RunBoundaryReceipt,
        input_updates: tuple[InputState, ...],
        session_store_key: UUID | None,
    ) -> None:
        """See `RuntimeStore`. Four statements, one with a session, one with inputs."""
        engine = self._engine
        session = self._session(session_delta) if session_delta else None
        if session and session_store_key is not None and session_store_key != session.session_id:
            raise SessionKeyMismatch(session_store_key, session.session_id)

        def apply() -> None:
            engine.execute(RAISE_NUMBER, (lookup(runtime_id, receipt.run_id), receipt.sequence))
            _store_receipt(engine, runtime_id, receipt)
            if session and session_delta:
                _store_snapshot(engine, runtime_id, session, session_delta)
            _store_inputs(engine, runtime_id, input_updates)

        engine.transaction("apply the boundary", apply)

    @failing_as(ReadFailed)
    def load_input_states(self, runtime_id: str) -> tuple[InputState, ...]:
        """See `RuntimeStore`. One statement; ordered by id (RUNTIME-9)."""
        rows = self._engine.once(READ_INPUTS, (lookup(runtime_id),))
        return tuple(_input(UUID(input_id), text) for input_id, text in rows)

    @failing_as(ReadFailed)
    def load_boundary_receipt(self, runtime_id: str, run_id: UUID, sequence: int) -> RunBoundaryReceipt | None:
        """See `RuntimeStore`. One statement."""
        rows = self._engine.once(READ_RECEIPT, (_receipt_key(runtime_id, run_id, sequence),))
        return _only(rows, lambda text: _receipt(run_id, sequence, text))

    @failing_as(ReadFailed)
    def load_session_snapshot(self, runtime_id: str) -> bytes | None:
        """See `RuntimeStore`. One statement."""
        return _only(self._engine.once(READ_SNAPSHOT, (lookup(runtime_id),)), bytes)

    @failing_as(WriteFailed)
    def persist_input_state(self, runtime_id: str, state: InputState) -> None:
        """See `RuntimeStore`. One statement."""
        self._engine.once(STORE_INPUTS, _inputs(runtime_id, (state,)))

    @failing_as(ReadFailed)
    def load_input_state(self, runtime_id: str, input_id: UUID) -> InputState | None:
        """See `RuntimeStore`. One statement."""
        rows = self._engine.once(READ_INPUT, (lookup(runtime_id, input_id),))
        return _only(rows, lambda text: _input(input_id, text))

    @failing_as(WriteFailed)
    def persist_runtime_state(self, runtime_id: str, state: RuntimeState) -> None:
        """See `RuntimeStore`. One statement."""
        self._engine.once(STORE_STATE, (lookup(runtime_id), state.value))

    @failing_as(ReadFailed)
    def load_runtime_state(self, runtime_id: str) -> RuntimeState | None:
        """See `RuntimeStore`. One statement."""
        return _only(self._engine.once(READ_STATE, (lookup(runtime_id),)), _state)

    @failing_as(WriteFailed)
    def atomic_lifecycle_commit(
        self, runtime_id: str, runtime_state: RuntimeState, input_states: tuple[InputState, ...]
    ) -> None:
        """See `RuntimeStore`. Three statements, and one with inputs."""
        engine = self._engine

        def commit() -> None:
            engine.execute(STORE_STATE, (lookup(runtime_id), runtime_state.value))
            _store_inputs(engine, runtime_id, input_states)

        engine.transaction("commit the lifecycle", commit)

    def _session(self, delta: SessionDelta) -> DecodedSession:
        try:
            session: object = self._codec(delta.session_snapshot)
        except UndecodableSession as error:
            raise WriteFailed(f"the snapshot is no session: {error}") from error
        except Exception as error:
            raise WriteFailed(f"the codec failed: {error!r}") from error
        if not isinstance(session, DecodedSession) or not _can_be_receipted(session):
            raise WriteFailed(f"the codec answered {shown(session)}, which says nothing of a session")
        return session


def _can_be_receipted(session: DecodedSession) -> bool:
    """Whether a codec answered what belongs into a receipt."""
    session_id, count, digest = session
    return (
        isinstance(session_id, UUID)
        and (type(count) is int and 0 <= count <= U64_MAX)
        and (isinstance(digest, str) and len(digest) == 64 and DIGEST.issuperset(digest))
    )


def _receipt_key(runtime_id: str, run_id: UUID, sequence: int) -> str:
    return lookup(runtime_id, run_id, str(sequence))


@ensures(lambda rows, result: rows == [(result,)] and 0 <= result <= U64_MAX, "RUNTIME-44")
def _number(rows: Sequence[Row]) -> int:
    """The number that was taken; `WriteFailed` if there is none left (RUNTIME-23a)."""
    if not rows:
        raise WriteFailed(f"the run has a receipt of the number {U64_MAX}, and no number comes after it")
    number: int = rows[0][0]
    return number


def _store_receipt(engine: Engine, runtime_id: str, receipt: RunBoundaryReceipt) -> None:
    row = (_receipt_key(runtime_id, receipt.run_id, receipt.sequence), encoded(receipt))
    if not engine.execute(INSERT_RECEIPT, row):
        raise WriteFailed(f"run {receipt.run_id} has a receipt of the number {receipt.sequence} already")


@ensures(lambda session, delta: isinstance(session.session_id, UUID) and delta is not None, "RUNTIME-37")
def _store_snapshot(engine: Engine, runtime_id: str, session: DecodedSession, delta: SessionDelta) -> None:
    engine.execute(STORE_SNAPSHOT, (str(session.session_id), lookup(runtime_id), delta.session_snapshot))


def _store_inputs(engine: Engine, runtime_id: str, inputs: Sequence[InputState]) -> None:
    if inputs:
        engine.execute(STORE_INPUTS, _inputs(runtime_id, inputs))


def _inputs(runtime_id: str, inputs: Sequence[InputState]) -> tuple[object, ...]:
    """The rows of these inputs, the last of each id (RUNTIME-19)."""
    last = {each.input_id: each for each in inputs}
    keys = [lookup(runtime_id, each) for each in last]
    return (keys, lookup(runtime_id), [str(each) for each in last], [encoded(each) for each in last.values()])


@ensures(lambda rows, result: bool(rows) == (result is not None), "RUNTIME-43")
def _only(rows: Sequence[Row], read: Callable[[Any], T]) -> T | None:
    """What the only column of the only row holds; None if there is no row."""
    return read(rows[0][0]) if rows else None


@ensures(lambda input_id, result: result.input_id == input_id, "RUNTIME-8")
def _input(input_id: UUID, text: object) -> InputState:
    state = decoded(InputState, text, "input state")
    if state.input_id != input_id:
        raise Backend(f"the stored input {input_id} is damaged: it says that it is {state.input_id}")
    return state


@ensures(lambda run_id, sequence, result: (result.run_id, result.sequence) == (run_id, sequence), "RUNTIME-10")
def _receipt(run_id: UUID, sequence: int, text: object) -> RunBoundaryReceipt:
    receipt = decoded(RunBoundaryReceipt, text, "receipt")
    if (receipt.run_id, receipt.sequence) != (run_id, sequence):
        raise Backend(f"the stored receipt {sequence} of run {run_id} is damaged: it says that it is another one")
    return receipt


@ensures(lambda text, result: result.value == text, "RUNTIME-50")
def _state(text: object) -> RuntimeState:
    try:
        return RuntimeState(text)
    except ValueError as error:
        raise Backend(f"the stored runtime state cannot be decoded: {error}") from error
