"""The lifecycles that bind callers: both tables of the law, cell by cell, of inputs and of runtimes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from fencepost.model.lifecycle import (
    Control,
    InputLife,
    InputStep,
    RuntimeControl,
    control_step,
    input_step,
    leads_to,
    reachable_states,
    takes,
)
from fencepost.spec import (
    InputLifecycleState,
    RuntimeState,
)

S, T = InputLifecycleState, RuntimeState

INPUT_COLUMNS = (
    InputStep.QueueAccepted,
    InputStep.StageForRun,
    InputStep.RollbackStaged,
    InputStep.MarkApplied,
    InputStep.MarkAppliedPendingConsumption,
    InputStep.Consume,
    InputStep.Supersede,
    InputStep.Coalesce,
    InputStep.Abandon,
    InputStep.ConsumeOnAccept,
)
INPUT_TABLE = {
    S.Accepted: ("Queued", "-", "-", "-", "-", "-", "-", "-", "Abandoned", "Consumed"),
    S.Queued: ("-", "Staged", "-", "-", "-", "-", "Superseded", "Coalesced", "Abandoned", "-"),
    S.Staged: ("-", "-", "Queued", "Applied", "-", "-", "-", "-", "Abandoned", "-"),
    S.Applied: ("-", "-", "-", "-", "AppliedPendingConsumption", "-", "-", "-", "Abandoned", "-"),
    S.AppliedPendingConsumption: ("-", "-", "-", "-", "-", "Consumed", "-", "-", "Abandoned", "-"),
    S.Consumed: ("-", "-", "-", "-", "-", "-", "-", "-", "-", "-"),
    S.Superseded: ("-", "-", "-", "-", "-", "-", "-", "-", "-", "-"),
    S.Coalesced: ("-", "-", "-", "-", "-", "-", "-", "-", "-", "-"),
    S.Abandoned: ("-", "-", "-", "-", "-", "-", "-", "-", "-", "-"),
}
"""Where each step leads an input that was staged once, for the run of the step; `-` is a refusal."""


def input_cells() -> Iterator[tuple[InputLifecycleState, InputStep, str]]:
    """The ninety cells."""
    for state, row in INPUT_TABLE.items():
        for step, target in zip(INPUT_COLUMNS, row, strict=True):
            yield state, step, target


def test_the_tables_are_of_every_state_and_step() -> None:
    """Nine by ten cells of inputs, sixteen by eight of runtimes, and nothing is left out."""
    assert (set(INPUT_TABLE), set(INPUT_COLUMNS)) == (set(InputLifecycleState), set(InputStep))
    assert (set(CONTROL_TABLE), set(CONTROL_COLUMNS)) == (set(Control), set(RuntimeState))
    assert (len(list(input_cells())), len(list(control_cells()))) == (90, 128)


@pytest.mark.parametrize(("state", "step", "target"), [*input_cells()])
def test_runtime_69_the_table_of_inputs(state: InputLifecycleState, step: InputStep, target: str) -> None:
    """Each step in each state: where it leads, or that it is refused; and the fields that it changes, and no other."""
    life = InputLife(state, 1, 7, 3)
    expected = None if target == "-" else InputLife(S[target], 1, 7, 3)
    if step is InputStep.StageForRun and expected:
        expected = InputLife(S.Staged, 2, 7, 3)
    if step is InputStep.MarkAppliedPendingConsumption and expected:
        expected = InputLife(S.AppliedPendingConsumption, 1, 7, 9)
    assert input_step(life, step, 7, 9) == expected


@pytest.mark.parametrize(
    ("attempts", "target"), [(0, S.Queued), (1, S.Queued), (2, S.Queued), (3, S.Abandoned), (4, S.Abandoned)]
)
def test_runtime_69_an_input_that_was_staged_three_times_is_given_up(attempts: int, target: InputLifecycleState) -> None:
    """Rolled back before that it waits again, with its attempts and its run."""
    assert input_step(InputLife(S.Staged, attempts, 7), InputStep.RollbackStaged) == InputLife(target, attempts, 7)


@pytest.mark.parametrize("state", [each for each in S if each is not S.Staged])
@pytest.mark.parametrize("attempts", [0, 2, 3, 9])
def test_runtime_69_attempts_matter_nowhere_else(state: InputLifecycleState, attempts: int) -> None:
    """However often an input was staged, in any other state each step leads where it led."""
    for step, target in zip(INPUT_COLUMNS, INPUT_TABLE[state], strict=True):
        assert leads_to(state, step, attempts, own=True) is (None if target == "-" else S[target])


@pytest.mark.parametrize("run", [8, None])
def test_runtime_69_only_the_run_that_an_input_is_staged_for_applies_it(run: int | None) -> None:
    """Applied by another run it is refused; all else takes any run, and staging takes the one given."""
    assert input_step(InputLife(S.Staged, 1, 7), InputStep.MarkApplied, run) is None
    assert input_step(InputLife(S.Staged, 1, None), InputStep.MarkApplied, 8) is None
    for state, step, target in input_cells():
        if step is not InputStep.MarkApplied:
            after = input_step(InputLife(state, 1, 7), step, run)
            assert (after and after.state) is (None if target == "-" else S[target])
            assert after is None or after.run == (run if step is InputStep.StageForRun else 7)


def test_runtime_69_an_input_through_its_life() -> None:
    """Queued, staged twice, applied and consumed: two attempts, the second run, and the number of its boundary."""
    life: InputLife[str] | None = InputLife(S.Accepted)
    for step, run in (
        (InputStep.QueueAccepted, None),
        (InputStep.StageForRun, "r1"),
        (InputStep.RollbackStaged, None),
        (InputStep.StageForRun, "r2"),
        (InputStep.MarkApplied, "r2"),
        (InputStep.MarkAppliedPendingConsumption, None),
        (InputStep.Consume, None),
    ):
        assert life is not None
        life = input_step(life, step, run, 4)
    assert life == InputLife(S.Consumed, 2, "r2", 4)


CONTROL_COLUMNS = (T.Initializing, T.Idle, T.Attached, T.Running, T.Recovering, T.Retired, T.Stopped, T.Destroyed)
CONTROL_TABLE = {
    Control.Initialize: ("Idle", "-", "-", "-", "-", "-", "-", "-"),
    Control.AttachExecutor: ("-", "Attached", "-", "-", "-", "-", "-", "-"),
    Control.DetachExecutor: ("-", "-", "Idle", "-", "-", "-", "-", "-"),
    Control.BeginRun: ("-", "Running", "Running", "-", "Running", "Running", "-", "-"),
    Control.EndRun: ("-", "-", "-", "Idle", "-", "Retired", "-", "-"),
    Control.SubmitWork: ("-", "Idle", "Attached", "Running", "-", "-", "-", "-"),
    Control.AdmissionAccepted: ("-", "Idle", "Attached", "Running", "-", "-", "-", "-"),
    Control.RecoverRequested: ("-", "Recovering", "Recovering", "Recovering", "-", "-", "-", "-"),
    Control.RecoverySucceeded: ("-", "-", "-", "-", "Idle", "-", "-", "-"),
    Control.ResumeRequested: ("-", "-", "-", "-", "Idle", "-", "-", "-"),
    Control.RetireRequested: ("-", "Retired", "Retired", "Retired", "-", "-", "-", "-"),
    Control.ResetRequested: ("Idle", "Idle", "Idle", "-", "Idle", "Idle", "-", "-"),
    Control.StopRequested: ("Stopped", "Stopped", "Stopped", "Stopped", "Stopped", "Stopped", "-", "-"),
    Control.DestroyRequested: ("Destroyed",) * 7 + ("-",),
    Control.RecycleRequested: ("-", "Recovering", "Recovering", "-", "-", "Recovering", "-", "-"),
    Control.ExternalToolDeltaReceived: ("-", "Idle", "Attached", "Running", "Recovering", "Retired", "-", "-"),
}
"""Where each request leads a runtime that came from nowhere and whose run admits it; `-` is an error."""

FIELDS: tuple[tuple[Control, str, tuple[str, str, str, str]], ...] = (
    (Control.Initialize, "any", ("kept", "kept", "kept", "kept")),
    (Control.AttachExecutor, "any", ("kept", "kept", "kept", "kept")),
    (Control.DetachExecutor, "any", ("kept", "kept", "kept", "kept")),
    (Control.BeginRun, "any", ("named", "from", "cleared", "cleared")),
    (Control.EndRun, "any", ("cleared", "cleared", "kept", "kept")),
    (Control.SubmitWork, "any", ("kept", "kept", "kept", "kept")),
    (Control.AdmissionAccepted, "Idle Attached", ("kept", "kept", "set", "steer")),
    (Control.AdmissionAccepted, "Running", ("kept", "kept", "steer", "steer")),
    (Control.RecoverRequested, "Idle Attached", ("kept", "from", "kept", "kept")),
    (Control.RecoverRequested, "Running", ("cleared", "from", "kept", "kept")),
    (Control.RecoverySucceeded, "any", ("cleared", "cleared", "cleared", "cleared")),
    (Control.ResumeRequested, "any", ("kept", "kept", "kept", "kept")),
    (Control.RetireRequested, "any", ("kept", "kept", "kept", "kept")),
    (Control.ResetRequested, "any", ("cleared", "cleared", "cleared", "cleared")),
    (Control.StopRequested, "any", ("cleared", "cleared", "kept", "kept")),
    (Control.DestroyRequested, "any", ("cleared", "cleared", "kept", "kept")),
    (Control.RecycleRequested, "any", ("kept", "from", "kept", "kept")),
    (Control.ExternalToolDeltaReceived, "any", ("kept", "kept", "kept", "kept")),
)
"""What becomes of the current run, the state before, and what waits to wake and to be processed."""


def control_cells() -> Iterator[tuple[Control, RuntimeState, str]]:
    """The hundred and twenty-eight cells."""
    for asked, row in CONTROL_TABLE.items():
        for state, target in zip(CONTROL_COLUMNS, row, strict=True):
            yield asked, state, target


def fields_of(asked: Control, state: RuntimeState) -> tuple[str, str, str, str]:
    """The row of the fields."""
    (row,) = [row for each, states, row in FIELDS if each is asked and (states == "any" or state.name in states.split())]
    return row


@pytest.mark.parametrize(("asked", "state", "target"), [*control_cells()])
def test_runtime_70_the_table_of_runtimes(asked: Control, state: RuntimeState, target: str) -> None:
    """Each request in each state, with whatever is hidden: where it leads, what it changes, and who guards it."""
    flags = (False, True)
    for on, named, before, wake, process, steer in product((None, 1, 2), (1, 2), (None, *T), flags, flags, flags):
        after = control_step(RuntimeControl(state, on, before, wake, process), asked, named, steer=steer)
        guarded = asked in (Control.BeginRun, Control.RecycleRequested)
        if target == "-" or (guarded and on is not None) or (asked is Control.EndRun and on != named):
            assert after is None
            continue
        back = {T.Retired: T.Retired, T.Attached: T.Attached}.get(before or T.Idle, T.Idle)
        changed: dict[str, Any] = {"named": named, "from": state, "cleared": None, "set": True, "steer": steer}
        run, pre, waking, processing = fields_of(asked, state)
        assert after == RuntimeControl(
            back if asked is Control.EndRun and state is T.Running else T[target],
            changed.get(run, on),
            changed.get(pre, before),
            bool(changed.get(waking, wake)),
            bool(changed.get(processing, process)),
        )


@pytest.mark.parametrize(
    ("before", "asked", "run", "steer", "after"),
    [
        (RuntimeControl(T.Retired), Control.BeginRun, 1, False, RuntimeControl(T.Running, 1, T.Retired)),
        (RuntimeControl(T.Idle, None, T.Running, True, True), Control.BeginRun, 1, False, RuntimeControl(T.Running, 1, T.Idle)),
        (RuntimeControl(T.Idle, 2), Control.BeginRun, 1, False, None),
        (RuntimeControl(T.Running, 1, T.Retired, True, True), Control.EndRun, 1, False,
         RuntimeControl(T.Retired, None, None, True, True)),
        (RuntimeControl(T.Running, 1, T.Attached), Control.EndRun, 1, False, RuntimeControl(T.Attached)),
        (RuntimeControl(T.Running, 1, T.Recovering), Control.EndRun, 1, False, RuntimeControl(T.Idle)),
        (RuntimeControl(T.Running, 1, T.Idle), Control.EndRun, 2, False, None),
        (RuntimeControl(T.Running, None, T.Idle), Control.EndRun, None, False, None),
        (RuntimeControl(T.Retired, 1, T.Attached), Control.EndRun, 1, False, RuntimeControl(T.Retired)),
        (RuntimeControl(T.Retired), Control.EndRun, 1, False, None),
        (RuntimeControl(T.Idle), Control.AdmissionAccepted, None, False, RuntimeControl(T.Idle, None, None, True, False)),
        (RuntimeControl(T.Attached), Control.AdmissionAccepted, None, True, RuntimeControl(T.Attached, None, None, True, True)),
        (RuntimeControl(T.Running, 1, T.Idle, True, True), Control.AdmissionAccepted, None, False,
         RuntimeControl(T.Running, 1, T.Idle, False, False)),
        (RuntimeControl(T.Running, 1, T.Idle), Control.AdmissionAccepted, None, True,
         RuntimeControl(T.Running, 1, T.Idle, True, True)),
        (RuntimeControl(T.Running, 1, T.Idle, True), Control.RecoverRequested, None, False,
         RuntimeControl(T.Recovering, None, T.Running, True)),
        (RuntimeControl(T.Recovering, 1, T.Idle, True, True), Control.ResumeRequested, None, False,
         RuntimeControl(T.Idle, 1, T.Idle, True, True)),
        (RuntimeControl(T.Running, 1, T.Attached), Control.RetireRequested, None, False,
         RuntimeControl(T.Retired, 1, T.Attached)),
        (RuntimeControl(T.Retired, 1, T.Idle, True, True), Control.ResetRequested, None, False, RuntimeControl(T.Idle)),
        (RuntimeControl(T.Running, 1, T.Idle), Control.ResetRequested, None, False, None),
        (RuntimeControl(T.Running, 1, T.Idle, True, True), Control.StopRequested, None, False,
         RuntimeControl(T.Stopped, None, None, True, True)),
        (RuntimeControl(T.Retired, 1), Control.RecycleRequested, None, False, None),
        (RuntimeControl(T.Attached), Control.RecycleRequested, None, False, RuntimeControl(T.Recovering, None, T.Attached)),
    ],
)  # fmt: skip
def test_runtime_70_what_is_hidden_decides_and_changes(
    before: RuntimeControl[int], asked: Control, run: int | None, steer: bool, after: RuntimeControl[int] | None
) -> None:
    """The run that is on guards runs and recycling; where it came from decides where it goes back to."""
    assert control_step(before, asked, run, steer=steer) == after


def test_runtime_70_who_takes_what() -> None:
    """A run begins where none is on, ends by its own name, and nothing else looks at runs."""
    for asked, state, target in control_cells():
        for free, own in product((False, True), (False, True)):
            guard = {Control.BeginRun: free, Control.RecycleRequested: free, Control.EndRun: own}.get(asked, True)
            assert takes(state, asked, free=free, own=own) is (target != "-" and guard)


def test_runtime_70_a_run_that_is_retired_ends_in_retirement() -> None:
    """Attached, running, retired while it runs: its end leaves it retired, and it can drain what waits."""
    control: RuntimeControl[str] | None = RuntimeControl()
    asked = (Control.Initialize, Control.AttachExecutor, Control.BeginRun, Control.RetireRequested, Control.EndRun)
    seen = []
    for each in (*asked, Control.BeginRun, Control.EndRun):
        assert control is not None
        control = control_step(control, each, "run")
        seen.append(control and control.state)
    assert seen == [T.Idle, T.Attached, T.Running, T.Retired, T.Retired, T.Running, T.Retired]


EVERYWHERE = {T.Idle, T.Attached, T.Running, T.Recovering, T.Retired, T.Stopped, T.Destroyed}


@pytest.mark.parametrize("state", RuntimeState)
def test_runtime_70_where_a_runtime_can_get(state: RuntimeState) -> None:
    """From stopped to destroyed alone, from there nowhere, and nothing leads back to the beginning."""
    ends = {T.Stopped: {T.Stopped, T.Destroyed}, T.Destroyed: {T.Destroyed}, T.Initializing: {*RuntimeState}}
    assert reachable_states(state) == ends.get(state, EVERYWHERE)
