"""The runtime chapter of the model: what is kept, replaced and read, by whichever of the calls that write."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from fencepost.model import Refused
from fencepost.spec import (
    InputLifecycleState,
    InputState,
    RuntimeState,
    SessionDelta,
    WriteFailed,
)
from model_builders import ports, run
from msgspec.structs import replace
from store_builders import (
    APPLY,
    BOUNDARY,
    EMPTY,
    FULL,
    GREETED,
    I1,
    I2,
    I3,
    PLAIN,
    RICH,
    RUN,
    RUN_2,
    Call,
    after,
    apply,
    boundary,
    input_state,
    inputs,
    lifecycle,
    numbered,
    persist,
    read,
    receipt,
    steps,
)

S = InputLifecycleState
FAILED = Refused(WriteFailed())


EVERYTHING: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("load_input_states", ()),
    ("load_input_state", (I1,)),
    ("load_boundary_receipt", (RUN, 0)),
    ("load_session_snapshot", ()),
    ("load_runtime_state", ()),
)


@pytest.mark.parametrize("runtime", ["r1", "R", "", "r ", "r\0", "é" * 70_000])
@pytest.mark.parametrize(("operation", "arguments"), EVERYTHING)
def test_runtime_1_5_and_6_another_runtime_has_nothing(operation: str, arguments: tuple[Any, ...], runtime: str) -> None:
    """Whatever r has, a runtime of another text has no inputs, and none of the rest; nothing of that is a refusal."""
    assert read(FULL, operation, runtime, *arguments) == (() if operation == "load_input_states" else None)
    assert read(FULL, operation, "r", *arguments)


WRITES: tuple[Call, ...] = (
    boundary(input_state(I1, S.Queued), runtime="r2"),
    apply(input_state(I1, S.Queued), runtime="r2", delta=EMPTY),
    persist(input_state(I1, S.Queued), runtime="r2"),
    ("persist_runtime_state", ("r2", RuntimeState.Stopped)),
    lifecycle(RuntimeState.Stopped, input_state(I1, S.Queued), runtime="r2"),
)
"""Each of the calls that write, in runtime r2."""


@pytest.mark.parametrize("call", WRITES)
def test_runtime_1_and_3_what_is_written_first_makes_a_runtime_and_touches_no_other(call: Call) -> None:
    """Each call that writes succeeds for a runtime nobody knew, and everything of r is as it was."""
    state = after(call, state=FULL)
    assert state != FULL
    for operation, arguments in EVERYTHING:
        assert read(state, operation, "r", *arguments) == read(FULL, operation, "r", *arguments)


@pytest.mark.parametrize(
    ("call", "same"),
    [
        (boundary(input_state(I1, S.Queued)), False),
        (persist(input_state(I1, S.Queued)), True),
        (("persist_runtime_state", ("r", RuntimeState.Idle)), True),
        (lifecycle(RuntimeState.Idle, input_state(I1, S.Queued)), True),
    ],
)
def test_repeating_a_call_gives_the_same_state_but_for_a_boundary(call: Call, same: bool) -> None:
    """The second time persists and lifecycle commits change nothing; a commit of a boundary makes another receipt."""
    once = after(call)
    assert (after(call, state=once) == once) is same


def test_repeating_an_apply_is_refused_or_changes_nothing() -> None:
    """Ours refuses, with the very state; a store that replaces the receipt ends where it was (RUNTIME-40)."""
    call = apply(input_state(I1), delta=GREETED)
    once = after(call)
    refused, applied = steps(once, call)
    assert (refused.answer, refused.differs) == (FAILED, ())
    assert refused.state is once
    assert (applied.answer, applied.differs, applied.state == once) == (None, ("RUNTIME-40",), True)


def test_runtime_8_and_9_inputs_are_listed_once_by_their_ids() -> None:
    """Three inputs in another order, one of them twice: each once, in its latest version."""
    state = after(
        persist(input_state(I3)),
        persist(input_state(I1)),
        lifecycle(RuntimeState.Idle, input_state(I2), input_state(I3, S.Queued)),
    )
    assert inputs(state) == (input_state(I1), input_state(I2), input_state(I3, S.Queued))


def test_runtime_9_any_order_is_admitted_and_nothing_else() -> None:
    """Each of the other five orders is a step that departs from RUNTIME-9; a list that lacks or repeats one is none."""
    rising = (input_state(I1), input_state(I2), input_state(I3))
    state = after(*(persist(each) for each in rising))
    for order in permutations(rising):
        found = run(state, "load_input_states", "r", at=ports(seen=order))
        other: list[tuple[Any, ...]] = [] if order == rising else [(order, ("RUNTIME-9",))]
        assert [(step.answer, step.differs) for step in found] == [(rising, ()), *other]
        assert all(step.state is state for step in found)
    for wrong in (rising[:2], (*rising, rising[0]), (rising[0], rising[1], rising[1]), (), None):
        assert len(run(state, "load_input_states", "r", at=ports(seen=wrong))) == 1


@pytest.mark.parametrize(
    ("runtime", "run_id", "sequence", "found"),
    [("r", RUN, 0, True), ("r2", RUN, 0, False), ("r", RUN_2, 0, False), ("r", RUN, 1, False), ("r", RUN, 2**64 - 1, False)],
)
def test_runtime_10_a_receipt_is_found_by_runtime_run_and_number(runtime: str, run_id: str, sequence: int, found: bool) -> None:
    """All three have to be its own."""
    assert read(numbered(0), "load_boundary_receipt", runtime, run_id, sequence) == (receipt(0) if found else None)


def test_runtime_11_34_and_39_the_snapshot_is_the_latest_one_that_was_carried() -> None:
    """Byte for byte, also if it is shorter or older than the one before; an apply without one leaves it."""
    spaced = SessionDelta(b" \n" + GREETED.session_snapshot + b" ")
    state = after(boundary(delta=spaced))
    assert read(state, "load_session_snapshot", "r") == b" \n" + GREETED.session_snapshot + b" "
    state = after(boundary(delta=EMPTY), state=state)
    assert read(state, "load_session_snapshot", "r") == EMPTY.session_snapshot
    state = after(apply(made=receipt(9)), lifecycle(RuntimeState.Idle), persist(input_state()), state=state)
    assert read(state, "load_session_snapshot", "r") == EMPTY.session_snapshot
    state = after(apply(made=receipt(10), delta=GREETED), state=state)
    assert read(state, "load_session_snapshot", "r") == GREETED.session_snapshot


@pytest.mark.parametrize(("first", "second"), [(RICH, PLAIN), (PLAIN, RICH), (RICH, RICH)])
@pytest.mark.parametrize("by", [persist, lambda each: lifecycle(RuntimeState.Idle, each), lambda each: apply(each)])
def test_runtime_13_14_18_and_36_an_input_is_replaced_as_a_whole(by: Any, first: InputState, second: InputState) -> None:
    """Nothing of the one before is left and nothing is altered, even where an end is left or time goes back."""
    state = after(by(second), state=after(persist(first)))
    assert read(state, "load_input_state", "r", I1) == second
    assert inputs(state) == (second,)


def test_runtime_18_any_state_of_an_input_may_follow_any_other() -> None:
    """All eighty-one pairs, of inputs, and all sixty-four of runtimes."""
    for before in S:
        for then in S:
            assert inputs(after(persist(input_state(state=before)), persist(input_state(state=then)))) == (
                input_state(state=then),
            )
    for held in RuntimeState:
        for asked in RuntimeState:
            state = after(("persist_runtime_state", ("r", held)), lifecycle(asked))
            assert read(state, "load_runtime_state", "r") is asked


def test_runtime_15_to_17_who_writes_the_state_of_a_runtime() -> None:
    """Persisting it and lifecycle commits overwrite it; boundaries, applies and inputs leave it."""
    state = after(("persist_runtime_state", ("r", RuntimeState.Attached)))
    for call in (boundary(input_state()), apply(input_state(), made=receipt(5), delta=EMPTY), persist(input_state())):
        state = after(call, state=state)
        assert read(state, "load_runtime_state", "r") is RuntimeState.Attached
    assert read(after(lifecycle(RuntimeState.Idle), state=state), "load_runtime_state", "r") is RuntimeState.Idle


def test_runtime_16_and_17_a_lifecycle_commit_writes_state_and_inputs_alone() -> None:
    """Receipt and snapshot are as they were; without inputs the inputs are too."""
    state = after(lifecycle(RuntimeState.Retired, input_state(I3)), state=FULL)
    assert [each.input_id for each in inputs(state)] == [I1, I2, I3]
    assert (state.runtime.receipts, state.runtime.snapshots) == (FULL.runtime.receipts, FULL.runtime.snapshots)
    bare = after(lifecycle(RuntimeState.Retired), state=FULL)
    assert (inputs(bare), dict(bare.runtime.states)) == (inputs(FULL), {"r": RuntimeState.Retired})


@pytest.mark.parametrize(
    ("call", "stamps"),
    [
        (lifecycle(RuntimeState.Idle, RICH, input_state(I2), PLAIN), {}),
        (apply(RICH, input_state(I2), PLAIN), {}),
        (boundary(RICH, input_state(I2), PLAIN), {"last_run_id": RUN, "last_boundary_sequence": 0}),
    ],
)
def test_runtime_19_of_several_records_of_one_input_the_last_counts(call: Call, stamps: dict[str, Any]) -> None:
    """The second of I1 stands, as a whole, and I2 beside it."""
    assert inputs(after(call)) == (replace(PLAIN, **stamps), replace(input_state(I2), **stamps))


def test_copies_cannot_be_told_from_what_is_kept() -> None:
    """All that is answered is immutable: neither an input nor a receipt can be changed by whoever read it."""
    for operation, arguments in EVERYTHING:
        hash(read(FULL, operation, "r", *arguments))


@pytest.mark.parametrize("operation", [BOUNDARY, APPLY])
def test_a_commit_without_inputs_makes_no_inputs(operation: str) -> None:
    """The runtime has a receipt, and its list of inputs is empty."""
    call = boundary() if operation == BOUNDARY else apply()
    state = after(call)
    assert (len(state.runtime.receipts), inputs(state), dict(state.runtime.inputs)) == (1, (), {})
