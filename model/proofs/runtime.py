"""Runtimes: numbers of receipts, what a commit keeps, and the two lifecycles that callers follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import product
from uuid import UUID

from fencepost.spec import (
    U64_MAX,
    DecodedSession,
    InputLifecycleState,
    InputState,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeState,
    SessionDelta,
    SessionKeyMismatch,
    UndecodableSession,
    WriteFailed,
)
from fencepost.spec.liveness import Alive
from immutables import Map
from msgspec.structs import replace

from .. import runtime as calls
from ..contracts import ensure, require
from ..lifecycle import (
    ATTEMPTS,
    TERMINAL_INPUTS,
    TERMINAL_RUNTIMES,
    Control,
    InputLife,
    InputStep,
    RuntimeControl,
    control_step,
    input_step,
    reachable_states,
)
from ..records.runtime import Run, RuntimeRecords, next_sequence
from ..state import State
from ..step import Ports, Refused
from .exhaustion import exhausted, subsets, tuples

S, T = InputLifecycleState, RuntimeState


@require(lambda last: last is None or 0 <= last < U64_MAX - 1)
@ensure(
    lambda last, result: result == (0 if last is None else last + 1) + 1,
    "RUNTIME-INV-1",
    "sequence grows: two receipts have the next two numbers",
)
def second_number(last: int | None) -> int | None:
    """The number of the second receipt after the largest one."""
    return next_sequence(next_sequence(last))


ORDER = (S.Accepted, S.Queued, S.Staged, S.Applied, S.AppliedPendingConsumption, S.Consumed)
"""The way of an input that ends well."""


@exhausted(
    "an input goes the way to its consumption one state at a time, back only from staged to queued, and ends are never left",
    "RUNTIME-69",
    scope=f"every state and step, with up to {ATTEMPTS + 1} attempts, by its own run and by another",
    cases=lambda: product(S, InputStep, range(ATTEMPTS + 2), (1, 2)),
)
def inputs_go_their_way(state: InputLifecycleState, step: InputStep, attempts: int, run: int) -> bool:
    """Where a step leads, and what it changes: attempts count stagings, a run is set by staging, a number by its boundary."""
    life = InputLife(state, attempts, 1, None)
    after = input_step(life, step, run, 9)
    if after is None:
        return not (step is InputStep.Abandon and state not in TERMINAL_INPUTS)
    if state in TERMINAL_INPUTS:
        return False
    if after.state in ORDER:
        forward = ORDER.index(after.state) - ORDER.index(state)
        straight = (state, after.state) == (S.Accepted, S.Consumed) and step is InputStep.ConsumeOnAccept
        back = (state, after.state) == (S.Staged, S.Queued) and step is InputStep.RollbackStaged and attempts < ATTEMPTS
        if not (forward == 1 or straight or back):
            return False
    elif after.state in (S.Superseded, S.Coalesced) and state is not S.Queued:
        return False
    staged, numbered = step is InputStep.StageForRun, step is InputStep.MarkAppliedPendingConsumption
    return (
        after.attempts == attempts + staged
        and after.run == (run if staged else 1)
        and after.sequence == (9 if numbered else None)
        and (run == 1 or after.state is not S.Applied)
        and (after.state is S.Staged) == staged
    )


def _controls() -> Iterator[tuple[RuntimeControl[int], Control, int, bool]]:
    controls = (
        RuntimeControl(state, run, before, wake, process)
        for state, run, before, wake, process in product(T, (None, 1), (None, *T), (False, True), (False, True))
    )
    return product(controls, Control, (1, 2), (False, True))


@exhausted(
    "a runtime runs one run at a time, comes back to where it was, and forgets run and origin when it ends or starts anew",
    "RUNTIME-70",
    scope="every state of a runtime with a run or none, wherever it came from, whatever is asked by either of two runs",
    cases=_controls,
)
def runtimes_follow_their_table(control: RuntimeControl[int], asked: Control, run: int, steer: bool) -> bool:
    """Where what is asked leads: begun runs, ended runs, ends, and what is pending."""
    after = control_step(control, asked, run, steer=steer)
    if after is None:
        return asked is not Control.DestroyRequested or control.state is T.Destroyed
    begun, ended = asked is Control.BeginRun, asked is Control.EndRun
    anew = asked in (Control.RecoverySucceeded, Control.ResetRequested)
    over = asked in (Control.StopRequested, Control.DestroyRequested)
    returned = {T.Retired: T.Retired, T.Attached: T.Attached}.get(control.before or T.Idle, T.Idle)
    accepted = asked is Control.AdmissionAccepted
    return (
        (not begun or (control.run is None and after == RuntimeControl(T.Running, run, control.state)))
        and (not ended or (control.run == run and after.run is None and after.before is None))
        and (not ended or after.state is (T.Retired if control.state is T.Retired else returned))
        and (not anew or after == RuntimeControl(T.Idle))
        and (not over or (after.run is None and after.before is None and after.state in TERMINAL_RUNTIMES))
        and (begun or after.state is not T.Running or control.state is T.Running)
        and (not accepted or after.process_pending == steer)
        and (not accepted or after.wake_pending == (steer or control.state is not T.Running))
        and (accepted or begun or anew or after.wake_pending == control.wake_pending)
    )


@exhausted(
    "from its end a runtime reaches nothing but destruction, and from everywhere else its ends",
    "RUNTIME-70",
    scope="every state of a runtime",
    cases=lambda: ((state,) for state in T),
)
def ends_are_reached_and_kept(state: RuntimeState) -> bool:
    """What any number of steps leads to."""
    found = reachable_states(state)
    if state in TERMINAL_RUNTIMES:
        return found == {state, T.Destroyed}
    # what was once initialized is never so again
    return found == frozenset(each for each in T if each is not T.Initializing) | {state}


RUN, OTHER = UUID(int=1), UUID(int=2)
INPUTS = (UUID(int=0x11), UUID(int=0x12))
SESSION = UUID(int=0x51)
NUMBERS = (0, 1, 3, U64_MAX)


def _codec(snapshot: bytes) -> DecodedSession:
    """A session is whatever does not say that it is none."""
    if snapshot == b"none":
        raise UndecodableSession("no session")
    return DecodedSession(SESSION, 2, "d" * 64)


PORTS = Ports(1, lambda pid, start: Alive.unknown, codec=_codec)


def _input(place: int, version: int) -> InputState:
    instant = "2026-01-01T00:00:00Z"
    return InputState(
        input_id=INPUTS[place], current_state=S.Queued, attempt_count=version, created_at=instant, updated_at=instant
    )


def _receipt(run: UUID, sequence: int, boundary: RunApplyBoundary = RunApplyBoundary.RunStart) -> RunBoundaryReceipt:
    return RunBoundaryReceipt(
        run_id=run,
        boundary=boundary,
        contributing_input_ids=(INPUTS[0],),
        conversation_digest="d" * 64,
        message_count=2,
        sequence=sequence,
    )


def _numbered(numbers: frozenset[int], elsewhere: bool) -> State:
    """A runtime with receipts of these numbers for the run; and with ones of another run and of another runtime."""
    keys = [("r", RUN, each) for each in numbers] + ([("r", OTHER, 7), ("q", RUN, 8)] if elsewhere else [])
    records = RuntimeRecords(snapshots=Map({"r": b"old"}), states=Map({"r": T.Idle}))
    for runtime, run, number in keys:
        records = records.with_receipt(runtime, _receipt(run, number))
    return State(runtime=records)


def _indexed(records: RuntimeRecords) -> bool:
    """Whether each index says what the receipts and inputs say."""
    runs: dict[tuple[str, UUID], list[int]] = {}
    for runtime, run, number in records.receipts:
        runs.setdefault((runtime, run), []).append(number)
    return (
        dict(records.runs) == {key: Run(max(numbers), len(numbers)) for key, numbers in runs.items()}
        and dict(records.runtimes_of_run) == Counter(run for _, run in runs)
        and dict(records.runtimes_of_input) == Counter(each for inputs in records.inputs.values() for each in inputs)
    )


Updates = tuple[tuple[int, int], ...]
UPDATES: tuple[Updates, ...] = (*tuples(tuple(product(range(2), (1, 2))), 3),)


def _kept(updates: Updates, stamp: tuple[UUID, int] | None) -> dict[UUID, InputState]:
    """The last of each input, stamped with run and number if the store made the receipt."""
    kept = {}
    for place, version in updates:
        given = _input(place, version)
        kept[INPUTS[place]] = given if stamp is None else replace(given, last_run_id=stamp[0], last_boundary_sequence=stamp[1])
    return kept


@exhausted(
    "sequence grows: a boundary commit makes the receipt after the largest of its runtime and run, stamps and keeps the inputs",
    "RUNTIME-20",
    "RUNTIME-22",
    "RUNTIME-23",
    "RUNTIME-23a",
    "RUNTIME-24",
    "RUNTIME-19",
    "RUNTIME-28",
    "RUNTIME-31",
    "RUNTIME-33",
    scope="all sets of 4 numbers, with receipts elsewhere or none, all lines of up to 3 versions of 2 inputs, 2 snapshots",
    cases=lambda: product(subsets(NUMBERS), (False, True), UPDATES, (b"new", b"none")),
)
def numbers_grow(numbers: frozenset[int], elsewhere: bool, updates: Updates, snapshot: bytes) -> bool:
    """The receipt, the snapshot and the inputs after a boundary commit, or that nothing changed."""
    before = _numbered(numbers, elsewhere)
    given = tuple(_input(*each) for each in updates)
    step, *_ = calls.commit_session_boundary(
        before, PORTS, "r", SessionDelta(snapshot), RUN, RunApplyBoundary.RunStart, (INPUTS[0],), given
    )
    if snapshot == b"none" or U64_MAX in numbers:
        return step.answer == Refused(WriteFailed()) and step.state == before
    number = max(numbers) + 1 if numbers else 0
    made = _receipt(RUN, number)
    after = step.state.runtime
    return (
        step.answer == made
        and dict(after.receipts) == {**dict(before.runtime.receipts), ("r", RUN, number): made}
        and after.snapshots == Map({"r": snapshot})
        and after.states == before.runtime.states
        and dict(after.inputs_of("r")) == _kept(updates, (RUN, number))
        and _indexed(after)
    )


@exhausted(
    "an apply keeps its receipt and inputs as they are given, or is refused with the first fault and changes nothing",
    "RUNTIME-35",
    "RUNTIME-36",
    "RUNTIME-38",
    "RUNTIME-39",
    "RUNTIME-40",
    "RUNTIME-41",
    "RUNTIME-42",
    scope="all sets of 4 numbers, each given again, all lines of up to 3 versions of 2 inputs, 3 snapshots, 3 session keys",
    cases=lambda: product(subsets(NUMBERS), NUMBERS, UPDATES[::4], (None, b"new", b"none"), (None, SESSION, OTHER)),
)
def applies_keep_what_they_are_given(
    numbers: frozenset[int], number: int, updates: Updates, snapshot: bytes | None, key: UUID | None
) -> bool:
    """What is kept after an apply, or that nothing changed, and why."""
    before = _numbered(numbers, True)
    made, given = _receipt(RUN, number, RunApplyBoundary.RunStart), tuple(_input(*each) for each in updates)
    delta = None if snapshot is None else SessionDelta(snapshot)
    step, *_ = calls.atomic_apply(before, PORTS, "r", delta, made, given, key)
    mismatch = snapshot == b"new" and key == OTHER
    if snapshot == b"none" or mismatch or number in numbers:
        first = SessionKeyMismatch(OTHER, SESSION) if mismatch else WriteFailed()
        return step.answer == Refused(first) and step.state == before
    after = step.state.runtime
    return (
        step.answer is None
        and dict(after.receipts) == {**dict(before.runtime.receipts), ("r", RUN, number): made}
        and after.snapshots == Map({"r": snapshot or b"old"})
        and dict(after.inputs_of("r")) == _kept(updates, None)
        and _indexed(after)
    )


@exhausted(
    "what is persisted is read back, the last of each input, and no other runtime sees it",
    "RUNTIME-1",
    "RUNTIME-5",
    "RUNTIME-6",
    "RUNTIME-8",
    "RUNTIME-9",
    "RUNTIME-10",
    "RUNTIME-13",
    "RUNTIME-15",
    "RUNTIME-16",
    scope="all lines of up to 3 versions of 2 inputs, persisted one by one or with the state of the runtime, in every state",
    cases=lambda: product(UPDATES, (False, True), T),
)
def reads_tell_what_was_kept(updates: Updates, together: bool, runtime_state: RuntimeState) -> bool:
    """Every read of the runtime, and of another one."""
    state = _numbered(frozenset({1}), False)
    given = tuple(_input(*each) for each in updates)
    if together:
        state = calls.atomic_lifecycle_commit(state, PORTS, "r", runtime_state, given)[0].state
    else:
        for each in given:
            state = calls.persist_input_state(state, PORTS, "r", each)[0].state
        state = calls.persist_runtime_state(state, PORTS, "r", runtime_state)[0].state
    kept = _kept(updates, None)

    def read(runtime: str) -> list[object]:
        return [
            calls.load_input_states(state, PORTS, runtime)[0].answer,
            *(calls.load_input_state(state, PORTS, runtime, each)[0].answer for each in INPUTS),
            calls.load_runtime_state(state, PORTS, runtime)[0].answer,
            calls.load_session_snapshot(state, PORTS, runtime)[0].answer,
            calls.load_boundary_receipt(state, PORTS, runtime, RUN, 1)[0].answer,
            calls.load_boundary_receipt(state, PORTS, runtime, OTHER, 1)[0].answer,
        ]

    listed = tuple(kept[each] for each in INPUTS if each in kept)
    ours = [listed, *(kept.get(each) for each in INPUTS), runtime_state, b"old", _receipt(RUN, 1), None]
    return read("r") == ours and read("q") == [(), *[None] * 6] and _indexed(state.runtime)
