"""What callers of a runtime store do to inputs and runtimes: two transition tables, and a check of the versions that were kept.

A store enforces none of this (RUNTIME-18). The tables are those of the published authority; the check reads the versions of an
input, or the states of a runtime, in the order in which they were written, and tells which of them no caller may write.
Stamps of a boundary (RUNTIME-28) and what recovery does (RUNTIME-69) pass, although the tables do not have them: so an input
may bear a run that it was not staged for.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Generic, NamedTuple, TypeVar

from fencepost.spec import (
    InputDurability,
    InputLifecycleState,
    InputState,
    MaxAttemptsExhausted,
    OutcomeAbandoned,
    OutcomeCoalesced,
    OutcomeConsumed,
    OutcomeSuperseded,
    RuntimeState,
)

from .contracts import ensure, require

R = TypeVar("R")

S = InputLifecycleState
TERMINAL_INPUTS = (S.Consumed, S.Superseded, S.Coalesced, S.Abandoned)
"""The states that an input never leaves."""

ATTEMPTS = 3
"""An input that was staged so often is abandoned when it is rolled back."""


class InputStep(enum.Enum):
    """What may be done to an input."""

    QueueAccepted = "queue_accepted"
    StageForRun = "stage_for_run"
    RollbackStaged = "rollback_staged"
    MarkApplied = "mark_applied"
    MarkAppliedPendingConsumption = "mark_applied_pending_consumption"
    Consume = "consume"
    Supersede = "supersede"
    Coalesce = "coalesce"
    Abandon = "abandon"
    ConsumeOnAccept = "consume_on_accept"


INPUT_STEPS: dict[tuple[InputLifecycleState, InputStep], InputLifecycleState] = {
    (S.Accepted, InputStep.QueueAccepted): S.Queued,
    (S.Accepted, InputStep.ConsumeOnAccept): S.Consumed,
    (S.Queued, InputStep.StageForRun): S.Staged,
    (S.Queued, InputStep.Supersede): S.Superseded,
    (S.Queued, InputStep.Coalesce): S.Coalesced,
    (S.Staged, InputStep.RollbackStaged): S.Queued,
    (S.Staged, InputStep.MarkApplied): S.Applied,
    (S.Applied, InputStep.MarkAppliedPendingConsumption): S.AppliedPendingConsumption,
    (S.AppliedPendingConsumption, InputStep.Consume): S.Consumed,
    **{(state, InputStep.Abandon): S.Abandoned for state in S if state not in TERMINAL_INPUTS},
}
"""The table of inputs; what stands not in it is refused, and changes nothing."""

RECOVERED = {
    (S.Accepted, S.Queued),
    (S.Staged, S.Queued),
    (S.Applied, S.Queued),
    (S.AppliedPendingConsumption, S.Queued),
    (S.Applied, S.Consumed),
    (S.AppliedPendingConsumption, S.Consumed),
}
"""What recovery does besides (RUNTIME-69)."""

LEGAL = {(before, after) for (before, _), after in INPUT_STEPS.items()} | RECOVERED | {(S.Staged, S.Abandoned)}


@dataclass(frozen=True, slots=True)
class InputLife(Generic[R]):
    """What decides which steps an input may take."""

    state: InputLifecycleState
    attempts: int = 0
    run: R | None = None
    sequence: int | None = None


@require(lambda attempts: attempts >= 0)
@ensure(lambda state, result: result is None or state not in TERMINAL_INPUTS, "RUNTIME-69", "an input never leaves its end")
@ensure(
    lambda state, step, attempts, result: (
        (result is S.Abandoned)
        == (
            (step is InputStep.Abandon and state not in TERMINAL_INPUTS)
            or (step is InputStep.RollbackStaged and state is S.Staged and attempts >= ATTEMPTS)
        )
    ),
    "RUNTIME-69",
    "an input is abandoned when asked, or when its attempts are used up",
)
@ensure(
    lambda state, step, own, result: step is not InputStep.MarkApplied or (result is not None) == (own and state is S.Staged),
    "RUNTIME-69",
    "only the run that an input is staged for applies it",
)
def leads_to(state: InputLifecycleState, step: InputStep, attempts: int, *, own: bool) -> InputLifecycleState | None:
    """The state that the step leads to, None if it is refused; `own`: its run is the one that the input is staged for."""
    if step is InputStep.RollbackStaged and state is S.Staged and attempts >= ATTEMPTS:
        return S.Abandoned
    return INPUT_STEPS.get((state, step)) if own or step is not InputStep.MarkApplied else None


def input_step(life: InputLife[R], step: InputStep, run: R | None = None, sequence: int | None = None) -> InputLife[R] | None:
    """The input after the step; None if it is refused."""
    after = leads_to(life.state, step, life.attempts, own=run == life.run)
    if after is None:
        return None
    if step is InputStep.StageForRun:
        return replace(life, state=after, run=run, attempts=life.attempts + 1)
    if step is InputStep.MarkAppliedPendingConsumption:
        return replace(life, state=after, sequence=sequence)
    return replace(life, state=after)


class Control(enum.Enum):
    """What may be asked of a runtime."""

    Initialize = "initialize"
    AttachExecutor = "attach_executor"
    DetachExecutor = "detach_executor"
    BeginRun = "begin_run"
    EndRun = "end_run"
    """RunCompleted, RunFailed and RunCancelled, which do the same."""
    SubmitWork = "submit_work"
    """AdmissionRejected and AdmissionDeduplicated too, which do the same."""
    AdmissionAccepted = "admission_accepted"
    RecoverRequested = "recover_requested"
    RecoverySucceeded = "recovery_succeeded"
    """RecycleSucceeded too, which does the same."""
    ResumeRequested = "resume_requested"
    RetireRequested = "retire_requested"
    ResetRequested = "reset_requested"
    StopRequested = "stop_requested"
    DestroyRequested = "destroy_requested"
    RecycleRequested = "recycle_requested"
    ExternalToolDeltaReceived = "external_tool_delta_received"


T = RuntimeState
WORKING = (T.Idle, T.Attached, T.Running)
TERMINAL_RUNTIMES = (T.Stopped, T.Destroyed)

FROM: dict[Control, tuple[RuntimeState, ...]] = {
    Control.Initialize: (T.Initializing,),
    Control.AttachExecutor: (T.Idle,),
    Control.DetachExecutor: (T.Attached,),
    Control.BeginRun: (T.Idle, T.Attached, T.Retired, T.Recovering),
    Control.EndRun: (T.Running, T.Retired),
    Control.SubmitWork: WORKING,
    Control.AdmissionAccepted: WORKING,
    Control.RecoverRequested: WORKING,
    Control.RecoverySucceeded: (T.Recovering,),
    Control.ResumeRequested: (T.Recovering,),
    Control.RetireRequested: WORKING,
    Control.ResetRequested: (T.Initializing, T.Idle, T.Attached, T.Recovering, T.Retired),
    Control.StopRequested: tuple(each for each in T if each not in TERMINAL_RUNTIMES),
    Control.DestroyRequested: tuple(each for each in T if each is not T.Destroyed),
    Control.RecycleRequested: (T.Idle, T.Attached, T.Retired),
    Control.ExternalToolDeltaReceived: (*WORKING, T.Recovering, T.Retired),
}
"""The states in which a runtime takes what is asked."""

TO: dict[Control, RuntimeState] = {
    Control.Initialize: T.Idle,
    Control.AttachExecutor: T.Attached,
    Control.DetachExecutor: T.Idle,
    Control.BeginRun: T.Running,
    Control.RecoverRequested: T.Recovering,
    Control.RecoverySucceeded: T.Idle,
    Control.ResumeRequested: T.Idle,
    Control.RetireRequested: T.Retired,
    Control.ResetRequested: T.Idle,
    Control.StopRequested: T.Stopped,
    Control.DestroyRequested: T.Destroyed,
    Control.RecycleRequested: T.Recovering,
}
"""Where it leads; what is not here leaves the state, but for the end of a run."""


@dataclass(frozen=True, slots=True)
class RuntimeControl(Generic[R]):
    """A runtime as its authority sees it: its state, the run that is on, where it came from, and what waits for it."""

    state: RuntimeState = RuntimeState.Initializing
    run: R | None = None
    before: RuntimeState | None = None
    wake_pending: bool = False
    process_pending: bool = False


@ensure(lambda state, result: not result or state is not T.Destroyed, "RUNTIME-70", "a destroyed runtime does nothing")
@ensure(
    lambda state, asked, result: not result or state is not T.Stopped or asked is Control.DestroyRequested,
    "RUNTIME-70",
    "a stopped runtime can only be destroyed",
)
@ensure(
    lambda asked, free, result: not result or free or asked not in (Control.BeginRun, Control.RecycleRequested),
    "RUNTIME-70",
    "while a run is on no other begins",
)
@ensure(
    lambda asked, own, result: not result or own or asked is not Control.EndRun, "RUNTIME-70", "only the run that is on ends"
)
def takes(state: RuntimeState, asked: Control, *, free: bool, own: bool) -> bool:
    """Whether a runtime does what is asked: `free` says that no run is on, `own` that the run that is on is the one named."""
    if asked in (Control.BeginRun, Control.RecycleRequested):
        return free and state in FROM[asked]
    return state in FROM[asked] and (own or asked is not Control.EndRun)


def control_step(
    control: RuntimeControl[R], asked: Control, run: R | None = None, *, steer: bool = False
) -> RuntimeControl[R] | None:
    """The runtime after it was asked; None if it refuses."""
    if not takes(control.state, asked, free=control.run is None, own=control.run is not None and control.run == run):
        return None
    if asked is Control.EndRun:
        back = control.before if control.before in (T.Retired, T.Attached) else T.Idle
        return replace(control, state=T.Retired if control.state is T.Retired else back, run=None, before=None)
    after = replace(control, state=TO.get(asked, control.state))
    if asked is Control.BeginRun:
        return RuntimeControl(T.Running, run, control.state)
    if asked is Control.AdmissionAccepted:
        return replace(after, wake_pending=steer or control.state is not T.Running, process_pending=steer)
    if asked in (Control.RecoverRequested, Control.RecycleRequested):
        return replace(after, before=control.state, run=None if control.state is T.Running else control.run)
    if asked in (Control.RecoverySucceeded, Control.ResetRequested):
        return RuntimeControl(T.Idle)
    if asked in (Control.StopRequested, Control.DestroyRequested):
        return replace(after, run=None, before=None)
    return after


class Finding(NamedTuple):
    """What no caller may have written: the place of the version (from 0), the requirement, and a sentence."""

    version: int
    requirement: str
    says: str


def check_input_versions(versions: Sequence[InputState]) -> tuple[Finding, ...]:
    """What is wrong with the versions of one input, in the order in which they were written (RUNTIME-67, RUNTIME-69)."""
    found = [Finding(place, "RUNTIME-69", says) for place, each in enumerate(versions) for says in _wrong_alone(each)]
    found.extend(Finding(place, "RUNTIME-67", says) for place, each in enumerate(versions) for says in _wrongly_derived(each))
    for place, (before, after) in enumerate(pairwise(versions), 1):
        found.extend(Finding(place, "RUNTIME-69", says) for says in _wrong_after(before, after))
    return tuple(sorted(found))


OUTCOMES = {
    S.Consumed: OutcomeConsumed,
    S.Superseded: OutcomeSuperseded,
    S.Coalesced: OutcomeCoalesced,
    S.Abandoned: OutcomeAbandoned,
}


def _wrong_alone(version: InputState) -> Iterator[str]:
    """What is wrong with a version by itself."""
    state = version.current_state
    outcome = OUTCOMES.get(state)
    if version.terminal_outcome is not None and type(version.terminal_outcome) is not outcome:
        yield f"an input that is {state.value} has the outcome {type(version.terminal_outcome).__name__}"
    if version.terminal_outcome is None and outcome is not None:
        yield f"an input that is {state.value} has no outcome"
    if state in (S.Staged, S.Applied, S.AppliedPendingConsumption) and version.last_run_id is None:
        yield f"an input that is {state.value} has no run"
    if state is S.AppliedPendingConsumption and version.last_boundary_sequence is None:
        yield f"an input that is {state.value} has no number of a boundary"
    yield from _wrong_history(version)
    given_up = version.terminal_outcome.reason if isinstance(version.terminal_outcome, OutcomeAbandoned) else None
    if isinstance(given_up, MaxAttemptsExhausted):
        yield from _wrongly_given_up(version, given_up.max_attempts_exhausted.attempts)


UNDERIVED = {"operator": "source", "peer": "source", "external": "source", "prompt": "kind", "flow_step": "kind"}
"""Sources and kinds of inputs that nothing could make again."""


def _wrongly_derived(version: InputState) -> Iterator[str]:
    """Whether an input that can be made again comes from where it cannot; told by its own JSON, as far as that says so."""
    if version.durability is not InputDurability.Derived or version.persisted_input is None:
        return
    content = version.persisted_input.value()
    header = content.get("header") if isinstance(content, dict) else None
    source = header.get("source") if isinstance(header, dict) else None
    origin = source.get("type") if isinstance(source, dict) else None
    kind = content.get("input_type") if isinstance(content, dict) else None
    for what, word in (("source", origin), ("kind", kind)):
        if isinstance(word, str) and UNDERIVED.get(word) == what:
            yield f"an input of the {what} {word} is derived, and nothing could make it again"


def _wrong_history(version: InputState) -> Iterator[str]:
    """What is wrong with the history of a version, which has every step that was taken."""
    history, state = version.history, version.current_state
    if not history and state is not S.Accepted:
        yield f"an input that is {state.value} has no history"
    if history and history[0].from_ is not S.Accepted:
        yield f"its history begins at {history[0].from_.value}"
    for earlier, later in pairwise(history):
        if earlier.to is not later.from_:
            yield f"its history goes on from {later.from_.value} where it had come to {earlier.to.value}"
    for entry in history:
        if (entry.from_, entry.to) not in LEGAL:
            yield f"its history goes from {entry.from_.value} to {entry.to.value}"
    if history and history[-1].to is not state:
        yield f"its history ends at {history[-1].to.value}, but it is {state.value}"
    if history and history[-1].timestamp != version.updated_at:
        yield f"it was updated at {version.updated_at}, but its history ends at {history[-1].timestamp}"
    staged = sum(entry.to is S.Staged for entry in history)
    if version.attempt_count != staged:
        yield f"its history stages it {staged} times, but its attempts are {version.attempt_count}"


def _wrongly_given_up(version: InputState, attempts: int) -> Iterator[str]:
    """What is wrong with an input that was given up for its attempts."""
    if attempts < ATTEMPTS:
        yield f"it was given up after {attempts} attempts of {ATTEMPTS}"
    if attempts != version.attempt_count:
        yield f"it was given up after {attempts} attempts, but its attempts are {version.attempt_count}"
    if version.history and version.history[-1].from_ is not S.Staged:
        yield f"it was given up for its attempts when it was {version.history[-1].from_.value}, not when it was rolled back"


def _wrong_after(before: InputState, after: InputState) -> Iterator[str]:
    """What is wrong with a version after the one before it."""
    if before.input_id != after.input_id:
        yield f"this is another input, {after.input_id}"
        return
    if after.history[: len(before.history)] != before.history:
        yield "it has lost or changed a part of its history"
        return
    new = after.history[len(before.history) :]
    if not new and after.current_state is not before.current_state:
        yield f"it went from {before.current_state.value} to {after.current_state.value} without an entry in its history"
    if new and new[0].from_ is not before.current_state:
        yield f"its history goes on from {new[0].from_.value}, but it was {before.current_state.value}"
    if before.current_state in TERMINAL_INPUTS and after.current_state is not before.current_state:
        yield f"it left {before.current_state.value}, which is an end"
    # the id of the input that took its place is put in when that one is known
    if isinstance(before.terminal_outcome, OutcomeAbandoned) and after.terminal_outcome != before.terminal_outcome:
        yield "the reason for which it was abandoned has changed"


def check_runtime_states(states: Sequence[RuntimeState]) -> tuple[Finding, ...]:
    """What is wrong with the states of one runtime, in the order in which they were written (RUNTIME-57, RUNTIME-70).

    Not every state is written: one may follow another if any run of steps leads there.
    """
    found = [
        Finding(place, "RUNTIME-57", "attached is never written: idle stands for it")
        for place, state in enumerate(states)
        if state is T.Attached
    ]
    for place, (before, after) in enumerate(pairwise(states), 1):
        if after is not before and after not in reachable_states(before):
            found.append(Finding(place, "RUNTIME-70", f"nothing leads from {before.value} to {after.value}"))
    return tuple(sorted(found))


def reachable_states(state: RuntimeState) -> frozenset[RuntimeState]:
    """The states that any run of steps leads to from a runtime that was written in this state."""
    # a runtime may have been retired while a run was on
    seen: set[RuntimeControl[int]] = {RuntimeControl(state), RuntimeControl(state, 1 if state is T.Retired else None)}
    pending = list(seen)
    while pending:
        control = pending.pop()
        for asked in Control:
            after = control_step(control, asked, 1)
            if after is not None and after not in seen:
                seen.add(after)
                pending.append(after)
    return frozenset(each.state for each in seen)


def check_recovery(state: RuntimeState | None, inputs: Iterable[InputState]) -> tuple[Finding, ...]:
    """What keeps a runtime from being recovered: an end, with inputs that have not come to theirs (RUNTIME-62).

    The place of a finding is that of the input. Ephemeral inputs are ignored.
    """
    if state not in TERMINAL_RUNTIMES:
        return ()
    return tuple(
        Finding(place, "RUNTIME-62", f"input {each.input_id} is {each.current_state.value} in a runtime that is {state.value}")
        for place, each in enumerate(inputs)
        if each.durability is not InputDurability.Ephemeral and each.current_state not in TERMINAL_INPUTS
    )
