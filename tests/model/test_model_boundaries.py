"""Boundaries in the model: the numbers of receipts and what they say, stamps, and applies with their faults."""

from __future__ import annotations

from uuid import UUID

import pytest
from fencepost.model import Refused, State
from fencepost.spec import (
    DecodedSession,
    InputLifecycleState,
    InputState,
    RunApplyBoundary,
    RunBoundaryReceipt,
    SessionDelta,
    SessionKeyMismatch,
    WriteFailed,
)
from model_builders import ports, refusal, run
from msgspec.structs import replace
from store_builders import (
    APPLY,
    BRIEF,
    BRIEF_DIGEST,
    FULL,
    GREETED,
    HELLO,
    HELLO_DIGEST,
    I1,
    I2,
    I3,
    NO_DIGEST,
    NONSENSE,
    OTHER_SESSION,
    PLAIN,
    RICH,
    RUN,
    RUN_2,
    SESSION,
    Call,
    after,
    apply,
    boundary,
    committed,
    input_state,
    inputs,
    mine,
    numbered,
    persist,
    read,
    receipt,
    session,
    steps,
)

S = InputLifecycleState
FAILED = Refused(WriteFailed())


UNDECODABLE = (b"", b"no session", b"[]", b"\xff", GREETED.session_snapshot + b"x", b"\xef\xbb\xbf" + GREETED.session_snapshot)


@pytest.mark.parametrize("snapshot", UNDECODABLE)
def test_runtime_20_and_33_a_snapshot_that_is_no_session_is_refused(snapshot: bytes) -> None:
    """The commit fails with WriteFailed, nothing else is admitted, nothing changes, and its number is not used up."""
    (step,) = steps(FULL, boundary(input_state(I2, S.Queued), delta=SessionDelta(snapshot)))
    assert refusal(step) == WriteFailed()
    assert step.state is FULL
    assert step.because == ("RUNTIME-20", "RUNTIME-33", "RUNTIME-49")
    assert committed(step.state, boundary()).sequence == 1


@pytest.mark.parametrize(
    ("there", "number"),
    [
        ((), 0),
        ((0,), 1),
        ((0, 1, 2), 3),
        ((5,), 6),
        ((0, 5), 6),
        ((5, 1), 6),
        ((2**53,), 9007199254740993),
        ((2**63 - 2,), 9223372036854775807),
        ((2**63 - 1,), 9223372036854775808),
        ((2**64 - 2,), 18446744073709551615),
    ],
)
def test_runtime_22_and_23_the_number_of_a_receipt(there: tuple[int, ...], number: int) -> None:
    """0 without receipts, else one more than the largest, whoever made that; gaps are not filled."""
    assert committed(numbered(*there), boundary()).sequence == number


def test_runtime_22_and_32_boundaries_in_a_row_count_from_0() -> None:
    """The same commit three times gives 0, 1 and 2; after an apply of 7 it gives 8, at whatever boundary."""
    state, found = State(), []
    for call in (boundary(), boundary(), boundary(), apply(made=receipt(7)), boundary(at=RunApplyBoundary.RunCheckpoint)):
        step = mine(state, call)
        state = step.state
        if isinstance(step.answer, RunBoundaryReceipt):
            found.append(step.answer.sequence)
    assert found == [0, 1, 2, 8]
    assert sorted(key[2] for key in state.runtime.receipts) == [0, 1, 2, 7, 8]


@pytest.mark.parametrize(
    ("call", "number"),
    [(boundary(), 6), (boundary(runtime="r2"), 0), (boundary(run_id=RUN_2), 0), (boundary(runtime=""), 0)],
)
def test_runtime_24_each_run_of_each_runtime_counts_on_its_own(call: Call, number: int) -> None:
    """Receipts of another run, or of the same run of another runtime, do not count."""
    assert committed(numbered(5), call).sequence == number


def test_runtime_23a_after_the_last_number_comes_none() -> None:
    """With a receipt of 2^64-1 every commit is refused with WriteFailed, whatever other numbers are free; it never wraps."""
    for there in ((2**64 - 1,), (0, 1, 2**64 - 1)):
        state = numbered(*there)
        (step,) = steps(state, boundary())
        assert (step.answer, step.because, step.differs) == (FAILED, ("RUNTIME-23a", "RUNTIME-23", "RUNTIME-49"), ())
        assert step.state is state
        assert committed(state, boundary(run_id=RUN_2)).sequence == 0


@pytest.mark.parametrize(
    ("last", "differs"),
    [
        (None, [()]),
        (2**63 - 2, [()]),
        (2**63 - 1, [(), ("RUNTIME-23a",)]),
        (2**63, [(), ("RUNTIME-23a",)]),
        (2**64 - 2, [(), ("RUNTIME-23a",)]),
    ],
)
def test_runtime_23a_a_store_of_signed_numbers_may_end_at_2_63_1(last: int | None, differs: list[tuple[str, ...]]) -> None:
    """After 2^63-1 a refusal with the very state is admitted besides ours, and before it is not."""
    state = numbered() if last is None else numbered(last)
    found = steps(state, boundary())
    assert [step.differs for step in found] == differs
    assert [(step.answer, step.state is state) for step in found[1:]] == [(FAILED, True)] * (len(differs) - 1)


@pytest.mark.parametrize(
    ("delta", "count", "digest"),
    [
        (session(), 0, NO_DIGEST),
        (session(HELLO), 1, HELLO_DIGEST),
        (session(HELLO, beside=',"metadata":{"a":1},"version":9'), 1, HELLO_DIGEST),
        (session(HELLO, session_id=OTHER_SESSION), 1, HELLO_DIGEST),
        (session('{"content":[{"type":"text","text":"hello"}],"new":0,"role":"user","render_metadata":null}'), 1, HELLO_DIGEST),
        (session(BRIEF, HELLO), 2, BRIEF_DIGEST),
    ],
)
def test_runtime_25_to_27_and_64_to_66_what_a_receipt_says(delta: SessionDelta, count: int, digest: str) -> None:
    """Run, boundary and contributing inputs as given; count and digest of the decoded messages and of nothing else."""
    call = boundary(delta=delta, at=RunApplyBoundary.RunCheckpoint, contributing=(I2, I1, I2))
    assert committed(numbered(3), call) == RunBoundaryReceipt(
        run_id=RUN,
        boundary=RunApplyBoundary.RunCheckpoint,
        contributing_input_ids=(I2, I1, I2),
        conversation_digest=digest,
        message_count=count,
        sequence=4,
    )


def test_a_codec_of_another_runtime_decides_what_is_a_session() -> None:
    """Count and digest of a receipt are what the codec of the ports says of the bytes."""
    digest = "0" * 64
    at = replace(ports(), codec=lambda snapshot: DecodedSession(SESSION, len(snapshot), digest))
    step = mine(State(), boundary(delta=NONSENSE), at)
    assert isinstance(step.answer, RunBoundaryReceipt)
    assert (step.answer.message_count, step.answer.conversation_digest) == (10, digest)


@pytest.mark.parametrize(
    ("contributing", "updates", "kept"),
    [
        ((I1,), (RICH,), {I1: (RICH, 5)}),
        ((), (RICH, input_state(I2)), {I1: (RICH, 5), I2: (input_state(I2), 5)}),
        ((I1, I2), (input_state(I2),), {I1: (PLAIN, None), I2: (input_state(I2), 5)}),
        ((I3, I3), (), {I1: (PLAIN, None)}),
        ((I1,), (), {I1: (PLAIN, None)}),
    ],
)
def test_runtime_28_to_30_what_is_stamped(
    contributing: tuple[UUID, ...], updates: tuple[InputState, ...], kept: dict[UUID, tuple[InputState, int | None]]
) -> None:
    """Every input given, contributing or not, over the stamp it had, and nothing else of it; what is not given stays."""
    state = after(boundary(*updates, contributing=contributing), state=after(persist(PLAIN), state=numbered(4)))
    expected = {
        input_id: each if number is None else replace(each, last_run_id=RUN, last_boundary_sequence=number)
        for input_id, (each, number) in kept.items()
    }
    assert {each.input_id: each for each in inputs(state)} == expected


def test_runtime_31_and_inv_3_what_a_commit_leaves() -> None:
    """The receipt is found as it was answered, under the stamp of the input; the snapshot is the runtime's."""
    step = mine(State(), boundary(RICH, contributing=(I1,)))
    assert dict(step.state.runtime.receipts) == {("r", RUN, 0): step.answer}
    (kept,) = inputs(step.state)
    assert read(step.state, "load_boundary_receipt", "r", kept.last_run_id, kept.last_boundary_sequence) == step.answer
    assert dict(step.state.runtime.snapshots) == {"r": GREETED.session_snapshot}
    assert dict(step.state.runtime.states) == {}


ODD = receipt(
    2**64 - 1,
    boundary=RunApplyBoundary.RunCheckpoint,
    contributing_input_ids=(I2, I2),
    conversation_digest="no digest",
    message_count=2**64 - 1,
)


@pytest.mark.parametrize("made", [receipt(), receipt(9), receipt(2**63), ODD, receipt(conversation_digest=None)])
def test_runtime_35_and_36_a_receipt_of_a_caller_is_kept_as_it_is(made: RunBoundaryReceipt) -> None:
    """Any number in any order, any digest and count; and the inputs are not stamped."""
    state = after(apply(RICH, made=made, delta=GREETED), state=numbered(5))
    assert read(state, "load_boundary_receipt", "r", RUN, made.sequence) == made
    assert read(state, "load_boundary_receipt", "r", RUN, 5) == receipt(5)
    assert inputs(state) == (RICH,)


MISMATCH = Refused(SessionKeyMismatch(OTHER_SESSION, SESSION))
DOUBT: dict[str, tuple[Call, list[tuple[object, tuple[str, ...]]]]] = {
    "sound": (apply(delta=GREETED, key=SESSION), [(None, ())]),
    "no key": (apply(delta=GREETED), [(None, ())]),
    "no snapshot to compare a key with": (apply(key=OTHER_SESSION), [(None, ())]),
    "no session": (apply(delta=NONSENSE), [(FAILED, ()), (None, ("RUNTIME-38",))]),
    "no session, whatever the key": (apply(delta=NONSENSE, key=SESSION), [(FAILED, ()), (None, ("RUNTIME-38",))]),
    "another key": (apply(delta=GREETED, key=OTHER_SESSION), [(MISMATCH, ()), (None, ("RUNTIME-41",))]),
    "there already": (apply(made=receipt(5)), [(FAILED, ()), (None, ("RUNTIME-40",))]),
    "there already, whatever the key": (
        apply(made=receipt(5), key=OTHER_SESSION), [(FAILED, ()), (None, ("RUNTIME-40",))],
    ),
    "no session, and there already": (
        apply(delta=NONSENSE, made=receipt(5)),
        [(FAILED, ()), (FAILED, ("RUNTIME-38",)), (None, ("RUNTIME-38", "RUNTIME-40"))],
    ),
    "another key, and there already": (
        apply(delta=GREETED, made=receipt(5), key=OTHER_SESSION),
        [(MISMATCH, ()), (FAILED, ("RUNTIME-41",)), (None, ("RUNTIME-41", "RUNTIME-40"))],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("call", "admitted"), DOUBT.values(), ids=DOUBT.keys())
def test_runtime_38_40_and_41_what_an_apply_may_answer(call: Call, admitted: list[tuple[object, tuple[str, ...]]]) -> None:
    """Ours refuses a fault, and of two any may be told; a store may also apply all, and departs from each requirement."""
    state = after(persist(PLAIN), boundary(runtime="r2"), state=numbered(5))
    operation, (runtime, delta, made, _, key) = call
    found = run(state, operation, runtime, delta, made, (RICH,), key)
    assert [(step.answer, step.differs) for step in found] == admitted
    for step in found:
        if step.answer is not None:
            assert step.state is state
            continue
        snapshot = delta.session_snapshot if delta else None
        assert inputs(step.state) == (RICH,)
        assert read(step.state, "load_boundary_receipt", "r", RUN, made.sequence) == made
        assert read(step.state, "load_session_snapshot", "r") == snapshot


def test_runtime_41_a_key_is_compared_with_the_id_as_it_was_decoded() -> None:
    """A session whose id is written without hyphens, in capitals, is the session of the same key."""
    written = session(HELLO, session_id=SESSION.hex.upper())
    assert [step.answer for step in run(State(), APPLY, "r", written, receipt(), (), SESSION)] == [None]


def test_runtime_inv_1_2_and_6_what_boundaries_alone_leave() -> None:
    """After five commits of two runs the numbers are 0 to n-1 each, the keys agree, and there is a snapshot."""
    state = after(boundary(), boundary(run_id=RUN_2), boundary(), boundary(), boundary(run_id=RUN_2))
    assert sorted(state.runtime.receipts) == [("r", RUN, 0), ("r", RUN, 1), ("r", RUN, 2), ("r", RUN_2, 0), ("r", RUN_2, 1)]
    assert all((each.run_id, each.sequence) == key[1:] for key, each in state.runtime.receipts.items())
    assert read(state, "load_session_snapshot", "r") == GREETED.session_snapshot
