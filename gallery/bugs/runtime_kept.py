"""Faults in what is kept of runtimes and read: what applies, lifecycle commits and single inputs and states leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from fencepost.impl import runtime
from fencepost.impl.encoding import lookup
from fencepost.spec import (
    InputDurability,
    InputLifecycleState,
    InputState,
    OutcomeCoalesced,
    OutcomeSuperseded,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeState,
    SessionDelta,
    SessionKeyMismatch,
    WriteFailed,
)
from fencepost.spec.conversation import DecodedSession, decode_session
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, ask, bug, on_opening, per_run, reworded, wrap

WRITES = ("commit_session_boundary", "atomic_apply", "persist_input_state", "persist_runtime_state", "atomic_lifecycle_commit")


def persisted_otherwise(patch: Patch, change: Callable[[Any, str, InputState], InputState]) -> None:
    """Change each input before it is persisted."""

    def around(original: Any, store: Any, runtime_id: str, state: InputState) -> None:
        original(store, runtime_id, change(store, runtime_id, state))

    wrap(patch, "persist_input_state", around)


@bug("RUNTIME-39", Kind.lost_update)
def apply_without_session_clears_it(patch: Patch) -> None:
    """An apply without a snapshot removes the one that is there."""

    def around(original: Any, store: Any, runtime_id: str, delta: SessionDelta | None, *others: Any) -> None:
        original(store, runtime_id, delta, *others)
        if delta is None:
            ask(store, "DELETE FROM runtime_snapshots WHERE runtime_key = ?", lookup(runtime_id))

    wrap(patch, "atomic_apply", around)


@bug("RUNTIME-36", Kind.uncalled)
def apply_stamps(patch: Patch) -> None:
    """An apply stamps its inputs with the receipt that it is given."""

    def around(original: Any, store: Any, runtime_id: str, delta: Any, receipt: Any, inputs: Any, key: Any) -> None:
        updates = tuple(each.stamped(receipt.run_id, receipt.sequence) for each in inputs)
        original(store, runtime_id, delta, receipt, updates, key)

    wrap(patch, "atomic_apply", around)


@bug("RUNTIME-35", Kind.uncalled)
def applied_receipt_gets_a_digest(patch: Patch) -> None:
    """A receipt without a digest that is applied with a snapshot gets the digest of that."""

    def around(original: Any, store: Any, runtime_id: str, delta: Any, receipt: Any, inputs: Any, key: Any) -> None:
        if delta and receipt.conversation_digest is None:
            receipt = replace(receipt, conversation_digest=store._session(delta).conversation_digest)
        original(store, runtime_id, delta, receipt, inputs, key)

    wrap(patch, "atomic_apply", around)


@bug("RUNTIME-40", Kind.lost_update)
def known_receipt_left_as_it_is(patch: Patch) -> None:
    """An apply whose receipt is there already does the rest, leaves the receipt, and is answered."""
    original = runtime._store_receipt

    def store_receipt(engine: Any, runtime_id: str, receipt: RunBoundaryReceipt) -> None:
        key = lookup(runtime_id, receipt.run_id, str(receipt.sequence))
        if not engine.execute(runtime.READ_RECEIPT, (key,)):
            original(engine, runtime_id, receipt)

    patch.setattr(runtime, "_store_receipt", store_receipt)


@bug("RUNTIME-41", Kind.refusal)
def key_without_a_session_refused(patch: Patch) -> None:
    """An apply with a session store key and without a snapshot is refused with SessionKeyMismatch."""

    def around(original: Any, store: Any, runtime_id: str, delta: Any, receipt: Any, inputs: Any, key: Any) -> None:
        if key is not None and delta is None:
            raise SessionKeyMismatch(key, UUID(int=0))
        original(store, runtime_id, delta, receipt, inputs, key)

    wrap(patch, "atomic_apply", around)


@bug("RUNTIME-10", Kind.accepted, also=("RUNTIME-6",))
def nearest_receipt_answered(patch: Patch) -> None:
    """For a receipt that is not there the last one of its run before it is answered."""
    made = per_run(lambda: set[tuple[str, str, int]]())

    def commit(original: Any, store: Any, runtime_id: str, *given: Any) -> Any:
        receipt = original(store, runtime_id, *given)
        made(store).add((runtime_id, receipt.run_id, receipt.sequence))
        return receipt

    def load(original: Any, store: Any, runtime_id: str, run_id: str, sequence: int) -> Any:
        before = [each for each in made(store) if each[:2] == (runtime_id, run_id) and each[2] <= sequence]
        return original(store, runtime_id, run_id, sequence) or (original(store, *max(before)) if before else None)

    wrap(patch, "commit_session_boundary", commit)
    wrap(patch, "load_boundary_receipt", load)


@bug("RUNTIME-1", Kind.leak)
def inputs_by_prefix(patch: Patch) -> None:
    """The inputs of a runtime are listed with those of runtimes whose ids begin with its id."""
    known = per_run(lambda: set[str]())

    def write(original: Any, store: Any, runtime_id: str, *given: Any) -> Any:
        known(store).add(runtime_id)
        return original(store, runtime_id, *given)

    def load(original: Any, store: Any, runtime_id: str) -> Any:
        names = [runtime_id, *(each for each in sorted(known(store)) if each != runtime_id and each.startswith(runtime_id))]
        found: dict[str, InputState] = {}
        for each in names:
            for state in original(store, each):
                found.setdefault(state.input_id, state)
        return tuple(found[each] for each in sorted(found))

    for each in WRITES:
        wrap(patch, each, write)
    wrap(patch, "load_input_states", load)


@bug("RUNTIME-1", Kind.leak)
def snapshot_of_the_session(patch: Patch) -> None:
    """A runtime's snapshot is the last one of its session, whatever runtime committed it."""
    sessions = per_run(lambda: dict[str, UUID]())

    def commit(original: Any, store: Any, runtime_id: str, delta: Any, *given: Any) -> Any:
        answer = original(store, runtime_id, delta, *given)
        if delta is not None:
            sessions(store)[runtime_id] = decode_session(delta.session_snapshot).session_id
        return answer

    def load(original: Any, store: Any, runtime_id: str) -> Any:
        session_id = sessions(store).get(runtime_id)
        if session_id is None:
            return original(store, runtime_id)
        rows = ask(store, "SELECT snapshot FROM runtime_sessions WHERE session_id = ?", session_id)
        return bytes(rows[0][0])

    wrap(patch, "commit_session_boundary", commit)
    wrap(patch, "atomic_apply", commit)
    wrap(patch, "load_session_snapshot", load)


@bug("RUNTIME-3", Kind.refusal)
def runtime_has_to_be_known(patch: Patch) -> None:
    """An input of a runtime without a state is refused."""

    def around(original: Any, store: Any, runtime_id: str, state: InputState) -> None:
        if store.load_runtime_state(runtime_id) is None:
            raise WriteFailed("there is no such runtime")
        original(store, runtime_id, state)

    wrap(patch, "persist_input_state", around)


@bug("RUNTIME-13", Kind.lost_update)
def inputs_merged(patch: Patch) -> None:
    """What an input that is persisted says nothing of stays as it was."""

    def change(store: Any, runtime_id: str, state: InputState) -> InputState:
        known = store.load_input_state(runtime_id, state.input_id)
        silent = [name for name in state.__struct_fields__ if getattr(state, name) is None]
        return replace(state, **{name: getattr(known, name) for name in silent}) if known else state

    persisted_otherwise(patch, change)


@bug("RUNTIME-14", Kind.lost)
def durability_filled_in(patch: Patch) -> None:
    """An input that is persisted without a durability is durable."""
    persisted_otherwise(
        patch, lambda _store, _id, state: state if state.durability else replace(state, durability=InputDurability.Durable)
    )


@bug("RUNTIME-18", Kind.refusal)
def ended_inputs_stay(patch: Patch) -> None:
    """An input that was consumed cannot be overwritten."""
    assert InputLifecycleState.Consumed.value == "consumed"
    reworded(
        patch,
        runtime,
        "STORE_INPUTS",
        "DO UPDATE SET state = excluded.state",
        """DO UPDATE SET state = excluded.state WHERE runtime_inputs.state NOT LIKE '%"current_state":"consumed"%'""",
    )


@bug("RUNTIME-18", Kind.refusal)
def destroyed_runtimes_stay(patch: Patch) -> None:
    """A runtime that is destroyed gets no other state."""
    reworded(
        patch,
        runtime,
        "STORE_STATE",
        "DO UPDATE SET state = excluded.state",
        "DO UPDATE SET state = excluded.state WHERE runtime_states.state != 'destroyed'",
    )


@bug("RUNTIME-19", Kind.lost_update)
def first_of_equal_inputs_counts(patch: Patch) -> None:
    """Of several records of one input in a call the first one counts."""
    original = runtime._inputs
    patch.setattr(runtime, "_inputs", lambda runtime_id, inputs: original(runtime_id, inputs[::-1]))


@bug("RUNTIME-15", Kind.lost_update)
def first_state_counts(patch: Patch) -> None:
    """Persisting the state of a runtime that has one does nothing."""

    def around(original: Any, store: Any, runtime_id: str, state: RuntimeState) -> None:
        if store.load_runtime_state(runtime_id) is None:
            original(store, runtime_id, state)

    wrap(patch, "persist_runtime_state", around)


@bug("RUNTIME-16", Kind.half)
def lifecycle_without_inputs_left_out(patch: Patch) -> None:
    """A lifecycle commit without inputs writes nothing."""

    def around(original: Any, store: Any, runtime_id: str, state: RuntimeState, inputs: Any) -> None:
        if inputs:
            original(store, runtime_id, state, inputs)

    wrap(patch, "atomic_lifecycle_commit", around)


@bug("RUNTIME-17", Kind.uncalled)
def boundary_sets_the_state(patch: Patch) -> None:
    """A boundary commit of the beginning of a run sets the state of the runtime to running."""

    def around(original: Any, store: Any, runtime_id: str, delta: Any, run_id: str, boundary: Any, *given: Any) -> Any:
        receipt = original(store, runtime_id, delta, run_id, boundary, *given)
        if boundary is RunApplyBoundary.RunStart:
            store.persist_runtime_state(runtime_id, RuntimeState.Running)
        return receipt

    wrap(patch, "commit_session_boundary", around)


@bug(
    "RUNTIME-17",
    Kind.lost,
    also=(
        "RUNTIME-4",
        "RUNTIME-INV-6",
    ),
)
def end_removes_the_snapshot(patch: Patch) -> None:
    """A lifecycle commit of the state destroyed removes the snapshot."""

    def around(original: Any, store: Any, runtime_id: str, state: RuntimeState, inputs: Any) -> None:
        original(store, runtime_id, state, inputs)
        if state is RuntimeState.Destroyed:
            ask(store, "DELETE FROM runtime_snapshots WHERE runtime_key = ?", lookup(runtime_id))

    wrap(patch, "atomic_lifecycle_commit", around)


@bug("RUNTIME-8", Kind.page)
def inputs_listed_to_a_page(patch: Patch) -> None:
    """The inputs of a runtime are listed up to the tenth."""
    reworded(patch, runtime, "READ_INPUTS", "ORDER BY input_id", "ORDER BY input_id LIMIT 10")


@bug("VALUE-7", Kind.half, "runtime", also=("RUNTIME-42",))
def refused_apply_keeps_the_inputs(patch: Patch) -> None:
    """An apply that is refused has written its inputs."""

    def around(original: Any, store: Any, runtime_id: str, delta: Any, receipt: Any, inputs: Any, key: Any) -> None:
        try:
            original(store, runtime_id, delta, receipt, inputs, key)
        except WriteFailed:
            for each in inputs:
                store.persist_input_state(runtime_id, each)
            raise

    wrap(patch, "atomic_apply", around)


@bug("VALUE-7", Kind.half, "runtime")
def refused_boundary_keeps_the_snapshot(patch: Patch) -> None:
    """A boundary commit that is refused has written its snapshot."""

    def around(original: Any, store: Any, runtime_id: str, delta: SessionDelta, *given: Any) -> Any:
        try:
            return original(store, runtime_id, delta, *given)
        except WriteFailed:
            bare = DecodedSession(UUID(int=0), 0, "")
            engine = store._engine
            engine.transaction("a planted fault", lambda: runtime._store_snapshot(engine, runtime_id, bare, delta))
            raise

    wrap(patch, "commit_session_boundary", around)


@bug("VALUE-9", Kind.restart, "runtime")
def states_in_memory(patch: Patch) -> None:
    """The states of runtimes are known until the store is closed."""
    on_opening(patch, "DELETE FROM runtime_states")


@bug("VALUE-9", Kind.restart, "runtime")
def numbers_in_memory(patch: Patch) -> None:
    """The last numbers of runs are known until the store is closed."""
    on_opening(patch, "DELETE FROM runtime_runs")


@bug("RUNTIME-13", Kind.lost)
def rare_outcomes_not_kept(patch: Patch) -> None:
    """An input that was superseded or merged into another is stored without what became of it."""

    def persist(original: Any, store: Any, runtime_id: str, state: InputState) -> None:
        rare = isinstance(state.terminal_outcome, OutcomeSuperseded | OutcomeCoalesced)
        original(store, runtime_id, replace(state, terminal_outcome=None) if rare else state)

    wrap(patch, "persist_input_state", persist)
