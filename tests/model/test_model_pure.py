"""The model is a function: nothing is changed in place, equal histories give equal states, refusals give back the state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from fencepost.model import TRANSITIONS, Refused, State
from fencepost.model.records.attachment import AttachmentRecord
from fencepost.spec import (
    ActivePath,
    Append,
    AttachmentIntent,
    Busy,
    FullGraph,
    HydratedSessionCheckpoint,
    InputId,
    ReplaceFull,
    RuntimeState,
    RuntimeTurnCommitStamp,
    SessionExecutionLeaseCompletion,
    SessionGraph,
    SessionMeta,
    SourceKey,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    Unchanged,
)
from fencepost.spec.operations import OPERATIONS
from ingress_builders import (
    ABANDON,
    ABANDON_WORK,
    AT_WORK,
    CANCEL,
    CANCEL_WORK,
    CANCELLED,
    CANCELS,
    CLAIM_ACTIVE,
    CLAIM_BY_IDS,
    CLAIM_COMMAND,
    CLAIM_NEXT,
    CLAIM_WORK,
    DEFERRED,
    ENQUEUE,
    ENQUEUE_WORK,
    FOR_T,
    IDLE,
    LIST,
    LIST_PENDING_WORK,
    LIST_WORK,
    LIVE_CLAIM,
    PENDING_ACTIVE,
    RENEW_WORK,
    SUFFIX,
    batch_row,
    draft,
    input_claim,
    input_done,
    input_row,
    with_batches,
    with_inputs,
    with_manifest,
    work_claim,
    work_done,
    work_draft,
)
from model_builders import (
    CLAIM,
    COMMIT,
    LEASED,
    A,
    B,
    commit,
    committed,
    completion,
    fence,
    nobody_lives,
    node,
    ours,
    ports,
    run,
)
from msgspec.structs import replace
from store_builders import (
    E3,
    EMPTY,
    FINAL,
    I1,
    I2,
    NONSENSE,
    OTHER_SESSION,
    PLAIN,
    RICH,
    RUN,
    SESSION,
    STAGE,
    add,
    after,
    apply,
    boundary,
    clear,
    finish,
    input_state,
    lifecycle,
    output,
    persist,
    receipt,
    ref,
)

STAMP = RuntimeTurnCommitStamp("s", "turn-1", "hash-1")
OWN_LEASE = completion()


def busy() -> State:
    """Session s with inputs and batches in every state, two attachments, and its lane held."""
    rows = (
        input_row("i1", 1, key="k"),
        input_row("i2", 2, DEFERRED, LIVE_CLAIM),
        input_row("i3", 3, PENDING_ACTIVE, turn="t"),
        input_row("i4", 4, CANCELLED),
    )
    state = with_batches(batch_row("b1", 1, key="k"), batch_row("b2", 2, claim=LIVE_CLAIM), to=with_inputs(*rows))
    return replace(state, attachment=with_manifest(a=AttachmentRecord("s", "u", 1, False)).attachment)


def settled() -> State:
    """The same after a commit, with a runtime, a thread of an open and a finished turn, and an output."""
    state = committed(
        busy(),
        commit(
            turn_commit=STAMP,
            graph=Append((node("a"), node("b", "a")), "b"),
            usage_deltas=(TokenLedgerEntry("main", "m", TokenUsage(1)),),
            checkpoint=HydratedSessionCheckpoint(tool_state=ToolState(1), execution_state=b"bytes"),
        ),
    )
    return after(
        boundary(input_state()), lifecycle(RuntimeState.Running), add(1), add(2), finish(2), output(FINAL), state=state
    )


SETTLED = settled()

CALLS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    (CLAIM, ("s", A, 5)),
    (CLAIM, ("s2", B, 5)),
    ("reclaim_session_execution_lease", ("s", B, fence(), 5)),
    ("renew_session_execution_lease", (fence(), 5)),
    ("release_session_execution_lease", (OWN_LEASE,)),
    (COMMIT, (commit(graph=Append((node("c"), node("a", None, "again")), "c"), release_session_execution_lease=OWN_LEASE),)),
    (COMMIT, (commit(graph=ReplaceFull(SessionGraph((node("z"),), "z"))),)),
    (COMMIT, (commit(graph=Unchanged("a"), checkpoint=HydratedSessionCheckpoint(tool_state=ToolState(2))),)),
    (COMMIT, (commit(turn_commit=STAMP, release_session_execution_lease=OWN_LEASE),)),
    ("load_session", (FullGraph(),)),
    ("load_session", (ActivePath("a"),)),
    ("load_node", ("a",)),
    ("save_session_meta", (SessionMeta("s", "n", "", "m"),)),
    ("load_session_meta", ()),
    ("durability_tier", ()),
    (ENQUEUE, (draft(),)),
    (ENQUEUE, (draft(source_key="k"),)),
    (LIST, ("s",)),
    (CANCEL, ("s", "i1")),
    (CANCELS, ("s", (InputId("i4"), SourceKey("k")))),
    (SUFFIX, ("s", InputId("i2"))),
    (CLAIM_ACTIVE, ("s", fence(), B, "t", AT_WORK, 5, 1)),
    (CLAIM_NEXT, ("s", fence(), B, 5, 9)),
    (ABANDON, (input_claim(),)),
    (ENQUEUE_WORK, (work_draft(),)),
    (CLAIM_COMMAND, ("s", fence(), B, 5)),
    (CLAIM_WORK, ("s", fence(), B, IDLE, 5, 9)),
    (CLAIM_BY_IDS, ("s", fence(), B, IDLE, 5, ("b2",))),
    (RENEW_WORK, (work_claim(batch_row("b2")), 5)),
    (ABANDON_WORK, (work_claim(),)),
    (CANCEL_WORK, ("s", "b1")),
    (LIST_WORK, ("s",)),
    (LIST_PENDING_WORK, ("s",)),
    (
        COMMIT,
        (
            commit(
                completed_turn_input_claims=(input_done("i2"),),
                completed_queue_claims=(work_done("b2"),),
                interrupted_turn_input_turn_id="t",
                committed_attachment_ids=("a",),
            ),
        ),
    ),
    ("tombstone_nodes", (("a",),)),
    ("vacuum", ()),
    ("gc_unreachable", ()),
    ("record_intent", (AttachmentIntent("a", "s2", "v", 2),)),
    ("commit_refs", ("s", ("a",))),
    ("list_uncommitted", (9,)),
    ("forget", ("a",)),
    boundary(input_state(I2), RICH, contributing=(I2,)),
    apply(PLAIN, made=receipt(9), delta=EMPTY, key=SESSION),
    persist(PLAIN),
    ("persist_runtime_state", ("r", RuntimeState.Idle)),
    lifecycle(RuntimeState.Retired, PLAIN, RICH),
    ("load_input_states", ("r",)),
    ("load_input_state", ("r", I1)),
    ("load_boundary_receipt", ("r", RUN, 0)),
    ("load_session_snapshot", ("r",)),
    ("load_runtime_state", ("r",)),
    add(1, E3),
    finish(1),
    ("get_turn", ("t", 2)),
    ("get_turns", ("t",)),
    ("get_events", ("t",)),
    output(STAGE, ref(0)),
    ("get", (ref(0),)),
    ("get_latest_by_name", ("agent",)),
    ("list_for_attempt", ("task", 1)),
    clear(),
)


def test_the_calls_below_are_of_every_operation() -> None:
    """No transition is left out."""
    assert {operation for operation, _ in CALLS} == set(TRANSITIONS) == set(OPERATIONS)


@pytest.mark.parametrize(("operation", "arguments"), CALLS)
def test_a_transition_changes_no_state_in_place(operation: str, arguments: tuple[Any, ...]) -> None:
    """The state that a call was made in is afterwards what it was, to the last field, and the call gives the same again."""
    twin = settled()
    first = run(SETTLED, operation, *arguments, at=ports(alive=nobody_lives))
    assert twin == SETTLED
    assert hash(twin) == hash(SETTLED)
    assert run(SETTLED, operation, *arguments, at=ports(alive=nobody_lives)) == first


def replayed(calls: Iterable[tuple[str, tuple[Any, ...]]]) -> State:
    """The state after these calls."""
    state = LEASED
    for operation, arguments in calls:
        state = ours(state, operation, *arguments, at=ports(alive=nobody_lives)).state
    return state


def test_equal_histories_give_equal_states() -> None:
    """The same calls from the same start give states that are equal and hash equal, and another history does not."""
    first, second = replayed(CALLS), replayed(CALLS)
    assert first is not second
    assert first == second
    assert hash(first) == hash(second)
    assert len({first, second, replayed(CALLS[:-5])}) == 2


def test_calls_about_different_things_commute() -> None:
    """Claims of two sessions and a save of metadata give the same state in either order."""
    calls = ((CLAIM, ("s2", B, 5)), (CLAIM, ("s3", A, 5)), ("save_session_meta", (SessionMeta("s", "n", "", "m"),)))
    assert replayed(calls) == replayed(reversed(calls))


REFUSED: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("renew_session_execution_lease", (fence(number=2), 5)),
    (COMMIT, (commit(session_id="s2"),)),
    (COMMIT, (commit(turn_commit=RuntimeTurnCommitStamp("s", "turn-1", "other")),)),
    (COMMIT, (commit(session_execution_lease=None),)),
    (COMMIT, (commit(expected_head_revision=7),)),
    (COMMIT, (commit(graph=ReplaceFull(SessionGraph((node("a"), node("a"))))),)),
    (COMMIT, (commit(completed_queue_claims=(work_done("b1"),)),)),
    (COMMIT, (commit(completed_turn_input_claims=(input_done("i2"), input_done("i1"))),)),
    (ENQUEUE, (draft(source_key="k", ingress=FOR_T),)),
    (ENQUEUE, (draft(input_id="i1"),)),
    (CLAIM_ACTIVE, ("s", fence(number=2), B, "t", AT_WORK, 5, 1)),
    (CLAIM_NEXT, ("s", fence(number=2), B, 5, 9)),
    (CLAIM_COMMAND, ("s", fence(number=2), B, 5)),
    (CLAIM_WORK, ("s", fence(number=2), B, IDLE, 5, 9)),
    (CLAIM_BY_IDS, ("s", fence(number=2), B, IDLE, 5, ("b1",))),
    (RENEW_WORK, (work_claim(batch_row("b1"), lease_token="other"), 5)),
    boundary(RICH, delta=NONSENSE),
    apply(RICH, made=receipt(9), delta=NONSENSE),
    apply(RICH, made=receipt(9), delta=EMPTY, key=OTHER_SESSION),
    apply(RICH, made=receipt(0)),
    add(2),
    finish(2),
    ("get", (ref(9),)),
    ("get_latest_by_name", ("nobody",)),
)


@pytest.mark.parametrize(("operation", "arguments"), REFUSED)
def test_value_7_a_refused_call_gives_the_very_state_back(operation: str, arguments: tuple[Any, ...]) -> None:
    """Not an equal state but the same object: that is how the checker knows that nothing may have changed."""
    step = ours(SETTLED, operation, *arguments)
    assert isinstance(step.answer, Refused)
    assert step.state is SETTLED


@pytest.mark.parametrize(
    ("operation", "arguments"),
    [
        (CLAIM, ("s", B, 5)),
        ("reclaim_session_execution_lease", ("s", B, fence(), 5)),
        ("release_session_execution_lease", (SessionExecutionLeaseCompletion("s", B, "token-3", 3),)),
        (COMMIT, (commit(turn_commit=STAMP),)),
        ("load_session", (FullGraph(),)),
        ("load_session", (ActivePath(),)),
        ("load_node", ("a",)),
        ("load_session_meta", ()),
        (ENQUEUE, (draft(source_key="k"),)),
        (LIST, ("s",)),
        (CANCEL, ("s", "i2")),
        (CANCELS, ("s", (InputId("i4"), InputId("nowhere")))),
        (SUFFIX, ("s", InputId("i4"))),
        (SUFFIX, ("s", InputId("nowhere"))),
        (CLAIM_ACTIVE, ("s", fence(), B, "t2", AT_WORK, 5, 1)),
        (CLAIM_NEXT, ("s", fence(), B, 5, 0)),
        (ABANDON, (input_claim(lease_token="other"),)),
        (ENQUEUE_WORK, (work_draft(source_key="k"),)),
        (CLAIM_COMMAND, ("s", fence(), B, 5)),
        (CLAIM_WORK, ("s", fence(), B, IDLE, 5, 0)),
        (CLAIM_BY_IDS, ("s", fence(), B, IDLE, 5, ())),
        (ABANDON_WORK, (work_claim(claim_id="other"),)),
        (CANCEL_WORK, ("s", "b2")),
        (LIST_WORK, ("s",)),
        (LIST_PENDING_WORK, ("s",)),
        ("tombstone_nodes", (("nowhere",),)),
        ("commit_refs", ("s2", ("a",))),
        ("forget", ("nowhere",)),
        ("load_input_states", ("r",)),
        ("load_input_state", ("r", I1)),
        ("load_boundary_receipt", ("r", RUN, 0)),
        ("load_session_snapshot", ("r",)),
        ("load_runtime_state", ("r",)),
        ("get_turn", ("t", 2)),
        ("get_turns", ("t",)),
        ("get_events", ("t",)),
        clear("nowhere"),
        ("get", (ref(0),)),
        ("get_latest_by_name", ("agent",)),
        ("list_for_attempt", ("task", 1)),
    ],
)
def test_value_7_and_read_16_calls_without_effect_give_the_very_state_back(operation: str, arguments: tuple[Any, ...]) -> None:
    """A Busy answer, a release that matches nothing, a replay and every read leave the same object.

    Of a read it is the second: the first tells that the store serves its kind of scope (READ-18).
    """
    state = ours(SETTLED, operation, *arguments).state if operation == "load_session" else SETTLED
    step = ours(state, operation, *arguments)
    assert step.state is state
    assert operation != CLAIM or isinstance(step.answer, Busy)


def test_commit_2a_a_first_commit_that_is_refused_leaves_a_note_and_nothing_else() -> None:
    """That somebody tried to commit for s widens what is admitted later; all that can be read is as before."""
    step = ours(LEASED, COMMIT, commit(expected_head_revision=7))
    assert isinstance(step.answer, Refused)
    assert step.state.commit.attempted == "s"
    assert (step.state.lease, step.state.commit.head, step.state.session) == (LEASED.lease, None, LEASED.session)


def test_every_admissible_step_of_a_refusal_gives_the_very_state_back() -> None:
    """Also the refusals that only CURRENT requirements admit change nothing."""
    again = commit(graph=Append((node("a"),), "a"))
    steps = [step for step in run(SETTLED, COMMIT, again) if isinstance(step.answer, Refused)]
    assert len(steps) == 1
    assert all(step.state is SETTLED for step in steps)
