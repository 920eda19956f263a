"""Runtimes over the whole state: the ten calls of `RuntimeStore`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from uuid import UUID

from fencepost.spec import (
    DecodedSession,
    InputState,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeState,
    SessionDelta,
    SessionKeyMismatch,
    StoreError,
    UndecodableSession,
    WriteFailed,
)
from msgspec.structs import replace

from .lifecycle import TERMINAL_INPUTS
from .records.runtime import RuntimeRecords, next_sequence
from .state import State, invariant
from .step import SIGNED_MAX, Ids, Ports, Refused, Step, Steps, Why, refused

DIGEST = re.compile("[0-9a-f]{64}")

RECEIPT_WHY: Why = (
    ("message_count", ("RUNTIME-26",)),
    ("contributing_input_ids", ("RUNTIME-25",)),
    ("boundary", ("RUNTIME-25",)),
    ("run_id", ("RUNTIME-25",)),
    ("", ("RUNTIME-21",)),
)


def commit_session_boundary(
    state: State,
    ports: Ports,
    runtime_id: str,
    session_delta: SessionDelta,
    run_id: UUID,
    boundary: RunApplyBoundary,
    contributing_input_ids: tuple[UUID, ...],
    input_updates: tuple[InputState, ...],
) -> Steps:
    """Commit a session with a receipt that the store mints: RUNTIME-20 to RUNTIME-34."""
    session = _decoded(ports, session_delta)
    if session is None:
        return refused(state, WriteFailed(), "RUNTIME-20", "RUNTIME-33", "RUNTIME-49")
    last = state.runtime.last_sequence(runtime_id, run_id)
    sequence = next_sequence(last)
    if sequence is None:
        return refused(state, WriteFailed(), "RUNTIME-23a", "RUNTIME-23", "RUNTIME-49")
    receipt = RunBoundaryReceipt(
        run_id=run_id,
        boundary=boundary,
        contributing_input_ids=contributing_input_ids,
        conversation_digest=session.conversation_digest,
        message_count=session.message_count,
        sequence=sequence,
    )
    updates = tuple(each.stamped(run_id, sequence) for each in input_updates)
    numbered = _numbered_because(state, runtime_id, run_id, last)
    why: Why = (("sequence", numbered), ("conversation_digest", _digest_because(ports.seen)), *RECEIPT_WHY)
    stamps = _stamps_because(contributing_input_ids, input_updates)
    upserted = _upsert_because(state, runtime_id, updates)
    effects: Why = (*_inputs_shown((*stamps, *upserted)), *_committed_shown(state, runtime_id, session_delta))
    decided = (*upserted, *stamps, *numbered[:2], *_older_because(state, runtime_id, session_delta), *numbered[2:])
    because = (*decided, "RUNTIME-21", "RUNTIME-31", "RUNTIME-17", "RUNTIME-42")
    ours = Step(_applied(state, runtime_id, session_delta, receipt, updates), receipt, because, why, effects)
    if last is not None and last >= SIGNED_MAX:
        return (ours, Step(state, Refused(WriteFailed()), ("RUNTIME-23a",), differs=("RUNTIME-23a",)))
    return (ours,)


def _decoded(ports: Ports, delta: SessionDelta) -> DecodedSession | None:
    try:
        return ports.codec(delta.session_snapshot)
    except UndecodableSession:
        return None


def _numbered_because(state: State, runtime_id: str, run_id: UUID, last: int | None) -> Ids:
    """What decides the number of a receipt."""
    run = state.runtime.runs.get((runtime_id, run_id))
    of_run = run.receipts if run else 0
    runtimes = state.runtime.runtimes_of_run.get(run_id, 0)
    return (
        *(("RUNTIME-24",) if runtimes > bool(run) else ()),
        *(("RUNTIME-23",) if last is not None and of_run != last + 1 else ()),
        *(("RUNTIME-32",) if of_run else ()),
        "RUNTIME-22",
        "RUNTIME-33",
        "RUNTIME-INV-1",
    )


def _digest_because(seen: object) -> Ids:
    """What decides the digest: that it is one, if the one seen is none; else of what it is."""
    digest = getattr(seen, "conversation_digest", None)
    of_what: Ids = ("RUNTIME-64", "RUNTIME-65", "RUNTIME-66")
    return (*of_what, "RUNTIME-27") if digest and DIGEST.fullmatch(digest) else ("RUNTIME-27", *of_what)


def _older_because(state: State, runtime_id: str, delta: SessionDelta | None) -> Ids:
    """What decides that a snapshot is taken although it is no longer than the one that is there."""
    before = state.runtime.snapshots.get(runtime_id)
    older = delta is not None and before is not None and len(delta.session_snapshot) <= len(before)
    return ("RUNTIME-34",) if older else ()


def _stamps_because(contributing: tuple[UUID, ...], updates: tuple[InputState, ...]) -> Ids:
    """What decides the stamps of inputs."""
    if {each.input_id for each in updates} != set(contributing):
        return ("RUNTIME-30", "RUNTIME-28", "RUNTIME-29")
    return ("RUNTIME-28", "RUNTIME-29") if updates else ()


def _upsert_because(state: State, runtime_id: str, updates: Iterable[InputState]) -> Ids:
    """What decides which inputs there are after they were written."""
    known = state.runtime.inputs_of(runtime_id)
    ids = [each.input_id for each in updates]
    revived = any(
        each.input_id in known
        and (known[each.input_id].current_state in TERMINAL_INPUTS or each.updated_at < known[each.input_id].updated_at)
        for each in updates
    )
    elsewhere = any(state.runtime.runtimes_of_input.get(each, 0) > (each in known) for each in ids)
    return (
        *(("RUNTIME-19",) if len(set(ids)) < len(ids) else ()),
        *(("RUNTIME-18",) if revived else ()),
        *(("RUNTIME-1",) if elsewhere else ()),
        *(("RUNTIME-3",) if ids and not known else ()),
        *(("RUNTIME-13", "RUNTIME-14") if ids else ()),
    )


def _inputs_shown(because: Ids) -> Why:
    """What later reads owe to inputs that were written. Each is read before all: what is wrong in the list alone is its own."""
    return (("load_input_state", because), ("load_input_states", ("RUNTIME-8", *because))) if because else ()


def _committed_shown(state: State, runtime_id: str, delta: SessionDelta | None) -> Why:
    """What later reads owe to a commit, besides the inputs."""
    snapshot: Ids = ("RUNTIME-39",)
    if delta is not None:
        snapshot = (*_older_because(state, runtime_id, delta), "RUNTIME-31", "RUNTIME-11", "RUNTIME-INV-6")
    return (
        ("load_boundary_receipt", ("RUNTIME-31", "RUNTIME-35", "RUNTIME-INV-2")),
        ("load_session_snapshot", snapshot),
        ("load_runtime_state", ("RUNTIME-17",)),
    )


def _applied(
    state: State, runtime_id: str, delta: SessionDelta | None, receipt: RunBoundaryReceipt, updates: Iterable[InputState]
) -> State:
    records = _with_inputs(state.runtime, runtime_id, updates).with_receipt(runtime_id, receipt)
    if delta is not None:
        records = replace(records, snapshots=records.snapshots.set(runtime_id, delta.session_snapshot))
    return replace(state, runtime=records)


def _with_inputs(records: RuntimeRecords, runtime_id: str, updates: Iterable[InputState]) -> RuntimeRecords:
    """The records with these inputs, the last of each id (RUNTIME-19)."""
    for each in updates:
        records = records.with_input(runtime_id, each)
    return records


def atomic_apply(
    state: State,
    ports: Ports,
    runtime_id: str,
    session_delta: SessionDelta | None,
    receipt: RunBoundaryReceipt,
    input_updates: tuple[InputState, ...],
    session_store_key: UUID | None,
) -> Steps:
    """Commit a receipt that the caller made: RUNTIME-35 to RUNTIME-41."""
    faults = _faults(state, ports, runtime_id, session_delta, receipt, session_store_key)
    upserted = _upsert_because(state, runtime_id, input_updates)
    ids = tuple(each for each, _ in faults)
    effects: Why = tuple(
        (read, (*ids, *owed))
        for read, owed in (
            *_inputs_shown(("RUNTIME-36", *upserted)),
            *_committed_shown(state, runtime_id, session_delta),
        )
    )
    decided = (
        *_older_because(state, runtime_id, session_delta),
        *(("RUNTIME-41",) if session_store_key is not None else ()),
        *upserted,
    )
    kept: Ids = ("RUNTIME-39",) if session_delta is None else ()
    because = (*decided, "RUNTIME-35", "RUNTIME-36", *kept, "RUNTIME-17", "RUNTIME-42")
    after = _applied(state, runtime_id, session_delta, receipt, input_updates)
    accepted = Step(after, None, because, (), effects, differs=ids)
    # of several faults any may be the one that is told
    refusals = tuple(
        Step(state, Refused(error), (each, "RUNTIME-42"), differs=ids[:1] if place else ())
        for place, (each, error) in enumerate(faults)
    )
    return (*refusals, accepted)


def _faults(
    state: State,
    ports: Ports,
    runtime_id: str,
    delta: SessionDelta | None,
    receipt: RunBoundaryReceipt,
    key: UUID | None,
) -> list[tuple[str, StoreError]]:
    """Why ours refuses, each with the CURRENT requirement that leaves others free to accept."""
    session = _decoded(ports, delta) if delta else None
    faults: list[tuple[str, StoreError]] = []
    if delta is not None and session is None:
        faults.append(("RUNTIME-38", WriteFailed()))
    if session is not None and key is not None and key != session.session_id:
        faults.append(("RUNTIME-41", SessionKeyMismatch(key, session.session_id)))
    if (runtime_id, receipt.run_id, receipt.sequence) in state.runtime.receipts:
        faults.append(("RUNTIME-40", WriteFailed()))
    return faults


def persist_input_state(state: State, _ports: Ports, runtime_id: str, input_state: InputState) -> Steps:
    """Keep an input as it is: RUNTIME-13, RUNTIME-14."""
    because = _upsert_because(state, runtime_id, (input_state,))
    after = replace(state, runtime=_with_inputs(state.runtime, runtime_id, (input_state,)))
    return (Step(after, None, (*because, "RUNTIME-17"), (), _inputs_shown(because)),)


def persist_runtime_state(state: State, _ports: Ports, runtime_id: str, runtime_state: RuntimeState) -> Steps:
    """Keep the state of a runtime: RUNTIME-15."""
    shown: Why = (("load_runtime_state", ("RUNTIME-15", "RUNTIME-18")),)
    return (Step(_in_state(state, runtime_id, runtime_state), None, ("RUNTIME-15", "RUNTIME-18"), (), shown),)


def _in_state(state: State, runtime_id: str, runtime_state: RuntimeState) -> State:
    return replace(state, runtime=replace(state.runtime, states=state.runtime.states.set(runtime_id, runtime_state)))


def atomic_lifecycle_commit(
    state: State, _ports: Ports, runtime_id: str, runtime_state: RuntimeState, input_states: tuple[InputState, ...]
) -> Steps:
    """Keep the state of a runtime and inputs as one: RUNTIME-16, RUNTIME-17."""
    because = _upsert_because(state, runtime_id, input_states)
    after = _in_state(state, runtime_id, runtime_state)
    after = replace(after, runtime=_with_inputs(after.runtime, runtime_id, input_states))
    effects: Why = (
        *_inputs_shown(("RUNTIME-16", *because)),
        ("load_runtime_state", ("RUNTIME-16", "RUNTIME-18")),
        ("load_session_snapshot", ("RUNTIME-17", "RUNTIME-4")),
    )
    return (Step(after, None, ("RUNTIME-16", "RUNTIME-17", *because, "RUNTIME-42"), (), effects),)


def load_input_states(state: State, ports: Ports, runtime_id: str) -> Steps:
    """All inputs of a runtime: RUNTIME-5, RUNTIME-8, RUNTIME-9."""
    inputs = state.runtime.inputs_of(runtime_id)
    ours = tuple(each for _, each in sorted(inputs.items()))
    if not ours:
        return (Step(state, ours, ("RUNTIME-5", "RUNTIME-1")),)
    because: Ids = ("RUNTIME-8", "RUNTIME-1", "RUNTIME-4", *(("RUNTIME-9",) if len(ours) > 1 else ()), "RUNTIME-INV-4")
    step = Step(state, ours, because, (("", ("RUNTIME-8", "RUNTIME-14")),))
    seen = ports.seen
    if isinstance(seen, tuple) and seen != ours and sorted(map(repr, seen)) == sorted(map(repr, ours)):
        return (step, replace(step, answer=seen, differs=("RUNTIME-9",)))
    return (step,)


def load_boundary_receipt(state: State, _ports: Ports, runtime_id: str, run_id: UUID, sequence: int) -> Steps:
    """One receipt: RUNTIME-6, RUNTIME-10."""
    receipt = state.runtime.receipts.get((runtime_id, run_id, sequence))
    if receipt is None:
        return (Step(state, None, ("RUNTIME-6", "RUNTIME-10", "RUNTIME-1")),)
    return (
        Step(state, receipt, ("RUNTIME-10", "RUNTIME-31", "RUNTIME-4"), (("", ("RUNTIME-35", "RUNTIME-31", "RUNTIME-INV-2")),)),
    )


def load_session_snapshot(state: State, _ports: Ports, runtime_id: str) -> Steps:
    """The latest session: RUNTIME-11."""
    snapshot = state.runtime.snapshots.get(runtime_id)
    if snapshot is None:
        return (Step(state, None, ("RUNTIME-6", "RUNTIME-1")),)
    beside: Ids = ("RUNTIME-1",) if len(state.runtime.snapshots) > 1 else ()
    return (Step(state, snapshot, ("RUNTIME-11", *beside, "RUNTIME-39", "RUNTIME-INV-6")),)


def load_input_state(state: State, _ports: Ports, runtime_id: str, input_id: UUID) -> Steps:
    """One input: RUNTIME-6."""
    found = state.runtime.inputs_of(runtime_id).get(input_id)
    if found is None:
        return (Step(state, None, ("RUNTIME-6", "RUNTIME-1")),)
    stamps: Ids = ("RUNTIME-28", "RUNTIME-36", "RUNTIME-INV-3")
    why: Why = (
        ("last_run_id", stamps),
        ("last_boundary_sequence", stamps),
        ("", ("RUNTIME-13", "RUNTIME-29", "RUNTIME-14", "VALUE-8")),
    )
    return (Step(state, found, ("RUNTIME-13", "RUNTIME-1"), why),)


def load_runtime_state(state: State, _ports: Ports, runtime_id: str) -> Steps:
    """The state of a runtime: RUNTIME-6, RUNTIME-15."""
    found = state.runtime.states.get(runtime_id)
    return (Step(state, found, ("RUNTIME-15", "RUNTIME-17", "RUNTIME-1") if found else ("RUNTIME-6", "RUNTIME-17")),)


@invariant("RUNTIME-INV-2")
def receipts_have_their_keys(_before: State, after: State) -> bool:
    """Each receipt is of the run and the number that it is found by."""
    return all((receipt.run_id, receipt.sequence) == key[1:] for key, receipt in after.runtime.receipts.items())


@invariant("RUNTIME-4")
def nothing_goes(before: State, after: State) -> bool:
    """Receipts, snapshots, states and inputs stay there, if not as they were."""
    old, new = before.runtime, after.runtime
    return (
        all(key in new.receipts for key in old.receipts)
        and all(key in new.snapshots for key in old.snapshots)
        and all(key in new.states for key in old.states)
        and all(key in new.inputs_of(runtime_id) for runtime_id, inputs in old.inputs.items() for key in inputs)
    )


@invariant("RUNTIME-INV-4")
def inputs_have_their_ids(_before: State, after: State) -> bool:
    """Each input is found by its own id."""
    return all(each.input_id == key for inputs in after.runtime.inputs.values() for key, each in inputs.items())
