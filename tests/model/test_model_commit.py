"""The commit chapter of the model: the order of its checks, replays, and what each check lets pass."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import pytest
from fencepost.model import State
from fencepost.model.commit import revision_of
from fencepost.model.lease import lease_of
from fencepost.model.records.commit import Stamp
from fencepost.spec import (
    Append,
    Backend,
    HeadRevisionConflict,
    HydratedSessionCheckpoint,
    PersistedTurnState,
    QueuedWorkClaimExpired,
    QueuedWorkCompletion,
    ReplaceFull,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimeTurnCommitConflict,
    RuntimeTurnCommitStamp,
    SessionBindingMismatch,
    SessionCheckpoint,
    SessionExecutionLeaseExpired,
    SessionGraph,
    StoreError,
    TokenLedgerEntry,
    TokenUsage,
    TurnInputClaimExpired,
    TurnInputCompletion,
)
from model_builders import (
    COMMIT,
    LEASED,
    A,
    commit,
    committed,
    completion,
    fence,
    free,
    head_of,
    held,
    leased,
    node,
    opaque,
    ours,
    ports,
    refusal,
)
from msgspec.structs import replace

STAMP = RuntimeTurnCommitStamp("s", "turn-1", "hash-1")
OWN_LEASE = completion()


def settled() -> State:
    """Session s after one commit stamped turn-1, its lease still held; a stamp of another session is on record too."""
    state = committed(LEASED, commit(turn_commit=STAMP))
    foreign = Stamp("hash-1", RuntimeCommitResult(1, "ref", SessionCheckpoint(PersistedTurnState())))
    return replace(state, commit=replace(state.commit, stamps=state.commit.stamps.set(("s2", "turn-1"), foreign)))


def refused(state: State, given: RuntimeCommit, **at: Any) -> StoreError:
    """The error that the commit is refused with."""
    return refusal(ours(state, COMMIT, given, at=ports(**at)))


class Fault(NamedTuple):
    """One thing that is wrong with a commit: the fields that make it so, and the refusal if nothing earlier is wrong."""

    fields: dict[str, Any]
    error: StoreError
    requirement: str


FAULTS = {
    "1 bound elsewhere": Fault({"session_id": "s9"}, SessionBindingMismatch("s", "s9"), "COMMIT-2"),
    "2 stamp of another session": Fault(
        {"turn_commit": RuntimeTurnCommitStamp("s2", "turn-1", "hash-2")}, RuntimeTurnCommitConflict("s2", "turn-1"), "COMMIT-3"
    ),
    "4 recorded turn, other hash": Fault(
        {"turn_commit": RuntimeTurnCommitStamp("s", "turn-1", "hash-2")}, RuntimeTurnCommitConflict("s", "turn-1"), "COMMIT-5"
    ),
    "5 no fence": Fault({"session_execution_lease": None}, SessionExecutionLeaseExpired("s"), "COMMIT-8a"),
    "6 bad fence": Fault({"session_execution_lease": fence(number=2)}, SessionExecutionLeaseExpired("s"), "COMMIT-8a"),
    "7 other revision": Fault({"expected_head_revision": 0}, HeadRevisionConflict(0, 1), "COMMIT-9"),
    "8 queue completion": Fault(
        {"completed_queue_claims": (QueuedWorkCompletion("s", "queue-claim", "token", ("batch",)),)},
        QueuedWorkClaimExpired("s", "queue-claim"),
        "COMMIT-11",
    ),
    "9 input completion": Fault(
        {"completed_turn_input_claims": (TurnInputCompletion("s", "input-claim", "token", ("input",)),)},
        TurnInputClaimExpired("s", "input-claim"),
        "COMMIT-12",
    ),
    "10 failed write": Fault({"graph": ReplaceFull(SessionGraph((node("n1"), node("n1"))))}, Backend(), "COMMIT-23b"),
}
"""The rows of COMMIT-1 in their order. Row 3 is the replay, which is no fault."""

PAIRS = [
    (first, second)
    for first, second in itertools.combinations(FAULTS, 2)
    # two rows that say different things about one field exclude each other
    if not FAULTS[first].fields.keys() & FAULTS[second].fields.keys()
]


def test_commit_1_the_table_has_every_pair_of_faults() -> None:
    """Nine rows give 36 pairs, less the two that cannot both be wrong: stamps of two sessions, and no fence with a bad one."""
    assert len(PAIRS) == 34


@pytest.mark.parametrize("row", FAULTS)
def test_commit_1_each_fault_alone(row: str) -> None:
    """A commit with one fault is refused with that fault's error, and the requirement comes first."""
    step = ours(settled(), COMMIT, commit(**FAULTS[row].fields))
    assert refusal(step) == FAULTS[row].error
    assert step.because[0] == FAULTS[row].requirement


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_commit_1_the_earlier_of_two_faults_decides(first: str, second: str) -> None:
    """A commit with two faults is refused for the one that is checked first."""
    step = ours(settled(), COMMIT, commit(**FAULTS[second].fields, **FAULTS[first].fields))
    assert refusal(step) == FAULTS[first].error
    assert step.because[0] == FAULTS[first].requirement


def test_commit_1_a_stamp_of_another_session_is_looked_at_before_the_record() -> None:
    """A stamp of another session conflicts even if its turn and hash are recorded there: row 2 decides before row 3."""
    step = ours(settled(), COMMIT, commit(turn_commit=RuntimeTurnCommitStamp("s2", "turn-1", "hash-1")))
    assert refusal(step) == RuntimeTurnCommitConflict("s2", "turn-1")
    assert step.because[0] == "COMMIT-3"


@pytest.mark.parametrize("row", [row for row in FAULTS if row[0] not in "124"])
def test_commit_4_a_replay_passes_every_later_fault(row: str) -> None:
    """Turn and hash on record: fence, revision, completions and graph are not even looked at."""
    state = settled()
    step = ours(state, COMMIT, commit(**(FAULTS[row].fields | {"turn_commit": STAMP})))
    assert step.answer == RuntimeCommitResult(1, "checkpoint:1", SessionCheckpoint(PersistedTurnState()))
    assert step.state is state
    assert step.because[0] == "COMMIT-4"


def test_commit_2_a_replay_does_not_pass_the_binding() -> None:
    """A commit for another session is refused before its stamp is looked up."""
    given = commit(session_id="s2", turn_commit=RuntimeTurnCommitStamp("s2", "turn-1", "hash-1"))
    assert refused(settled(), given) == SessionBindingMismatch("s", "s2")


def test_commit_4_a_replay_answers_the_old_result() -> None:
    """Three commits later the first turn still gets revision, ref and manifest as recorded."""
    recorded = commit(turn_commit=STAMP, checkpoint=HydratedSessionCheckpoint(PersistedTurnState(7)))
    state = committed(LEASED, recorded, commit(), commit(), commit())
    assert revision_of(state) == 4
    expected = RuntimeCommitResult(1, "checkpoint:1", SessionCheckpoint(PersistedTurnState(7)))
    assert ours(state, COMMIT, commit(turn_commit=STAMP)).answer == expected


def test_commit_4_a_replay_needs_no_lease_at_all() -> None:
    """Long after the lease ran out, somebody without a fence learns that the turn was committed."""
    given = commit(turn_commit=STAMP, session_execution_lease=None)
    assert ours(settled(), COMMIT, given, at=ports(10**9)).answer == RuntimeCommitResult(
        1, "checkpoint:1", SessionCheckpoint(PersistedTurnState())
    )


def test_commit_6_a_replay_releases_what_its_completion_matches() -> None:
    """The release of a replay frees the lease and changes nothing else."""
    state = settled()
    step = ours(state, COMMIT, commit(turn_commit=STAMP, release_session_execution_lease=OWN_LEASE))
    assert lease_of(step.state, "s") == free(3)
    assert step.state.commit == state.commit
    assert "COMMIT-6" in step.because
    assert "LEASE-33" in step.because


def test_commit_6_a_replay_with_a_foreign_release_does_nothing() -> None:
    """A completion that does not match leaves the very same state."""
    state = settled()
    release = replace(OWN_LEASE, fencing_token=2)
    step = ours(state, COMMIT, commit(turn_commit=STAMP, release_session_execution_lease=release))
    assert step.state is state
    assert "LEASE-34" in step.because


def test_commit_5_a_conflict_does_not_release() -> None:
    """A turn on record with another hash is refused, and the attached release is not performed."""
    given = commit(turn_commit=replace(STAMP, turn_commit_hash="other"), release_session_execution_lease=OWN_LEASE)
    step = ours(settled(), COMMIT, given)
    assert refusal(step) == RuntimeTurnCommitConflict("s", "turn-1")
    assert lease_of(step.state, "s") == held()


@pytest.mark.parametrize("row", FAULTS)
def test_commit_34_no_refused_commit_changes_or_releases_anything(row: str) -> None:
    """Whatever the fault, the state after is the very state before, the release notwithstanding."""
    state = settled()
    step = ours(state, COMMIT, commit(**{"release_session_execution_lease": OWN_LEASE, **FAULTS[row].fields}))
    assert step.state is state


def test_commit_7_the_hash_is_never_looked_into() -> None:
    """Another commit under a recorded turn and hash is a replay; the same commit under another turn is applied."""
    other = commit(turn_commit=STAMP, graph=Append((node("n1"),), "n1"), usage_deltas=(used(5),))
    state = settled()
    assert ours(state, COMMIT, other).state is state
    applied = ours(state, COMMIT, replace(other, turn_commit=replace(STAMP, turn_id="turn-2")))
    assert revision_of(applied.state) == 2


def test_commit_7_any_text_is_a_hash() -> None:
    """The empty hash is recorded and repeated like any other."""
    stamp = RuntimeTurnCommitStamp("s", "", "")
    state = committed(LEASED, commit(turn_commit=stamp))
    assert ours(state, COMMIT, commit(turn_commit=stamp)).because[0] == "COMMIT-4"


def test_commit_8_without_a_stamp_nothing_is_a_replay() -> None:
    """The same commit sent twice is applied twice."""
    given = commit(usage_deltas=(used(5),))
    state = committed(LEASED, given, given)
    assert revision_of(state) == 2
    assert tuple(state.commit.usage) == (used(5), used(5))


def test_commit_32_a_turn_is_recorded_only_by_a_commit_that_succeeds() -> None:
    """A refused turn can be tried again with another hash."""
    bad = commit(turn_commit=STAMP, expected_head_revision=9)
    assert refused(LEASED, bad) == HeadRevisionConflict(9, 0)
    state = ours(LEASED, COMMIT, bad).state
    assert dict(state.commit.stamps) == {}
    again = commit(turn_commit=replace(STAMP, turn_commit_hash="hash-2"))
    assert dict(committed(state, again).commit.stamps) == {
        ("s", "turn-1"): Stamp("hash-2", RuntimeCommitResult(1, "checkpoint:1", SessionCheckpoint(PersistedTurnState())))
    }


@pytest.mark.parametrize(("expected", "passes"), [(None, True), (0, True), (1, False), (2**64 - 1, False)])
def test_commit_9_an_empty_store_is_at_revision_0(expected: int | None, passes: bool) -> None:
    """Before the first commit only 0, or no expectation, is right."""
    step = ours(LEASED, COMMIT, commit(expected_head_revision=expected))
    if passes:
        assert revision_of(step.state) == 1
    else:
        assert expected is not None
        assert refusal(step) == HeadRevisionConflict(expected, 0)


@pytest.mark.parametrize(("expected", "passes"), [(None, True), (2, True), (0, False), (1, False), (3, False)])
def test_commit_9_the_expected_revision_is_the_stored_one(expected: int | None, passes: bool) -> None:
    """After two commits the stored revision is 2, and any other expectation is refused with both numbers."""
    state = committed(LEASED, commit(), commit())
    step = ours(state, COMMIT, commit(expected_head_revision=expected))
    if passes:
        assert revision_of(step.state) == 3
    else:
        assert expected is not None
        assert refusal(step) == HeadRevisionConflict(expected, 2)


def test_commit_8a_the_first_commit_needs_a_fence_too() -> None:
    """An empty store takes no commit from somebody who holds no lease."""
    assert refused(State(), commit()) == SessionExecutionLeaseExpired("s")
    assert refused(LEASED, commit(session_execution_lease=None)) == SessionExecutionLeaseExpired("s")


def test_commit_8a_a_fence_is_good_until_its_lease_ends() -> None:
    """One millisecond before the expiry a commit is taken, at the expiry it is not."""
    assert revision_of(ours(LEASED, COMMIT, commit(), at=ports(1_499)).state) == 1
    assert refused(LEASED, commit(), now=1_500) == SessionExecutionLeaseExpired("s")


def test_commit_8a_the_fence_has_to_be_of_the_commit_s_session() -> None:
    """A live lease of another session does not authorise, and the error names the commit's session."""
    state = leased({"s": held(), "s2": held()})
    assert refused(state, commit(session_execution_lease=fence(session="s2"))) == SessionExecutionLeaseExpired("s")


def test_commit_8a_the_liveness_in_a_fence_does_not_matter() -> None:
    """A fence that knows nothing of the holder's process is as good."""
    assert revision_of(committed(LEASED, commit(session_execution_lease=fence(opaque(A))))) == 1


def test_commit_2_the_first_success_binds_for_good() -> None:
    """After a commit for s, one for s2 under its own live lease is refused."""
    state = committed(leased({"s": held(), "s2": held()}), commit())
    given = commit(session_id="s2", session_execution_lease=fence(session="s2"))
    assert refused(state, given) == SessionBindingMismatch("s", "s2")


def test_commit_2a_a_refused_commit_binds_nothing() -> None:
    """After a refused commit for s, one for s2 succeeds and binds."""
    tried = ours(leased({"s2": held()}), COMMIT, commit()).state
    state = committed(tried, commit(session_id="s2", session_execution_lease=fence(session="s2")))
    assert head_of(state).session_id == "s2"


def test_commit_16_queue_completions_are_checked_before_inputs_each_in_order() -> None:
    """The first bad one of the queue list decides, then the first bad one of the input list."""
    good_queue = QueuedWorkCompletion("s", "empty", "token")
    good_input = TurnInputCompletion("s", "empty", "token")
    queue = (
        good_queue,
        QueuedWorkCompletion("s", "second", "token", ("x",)),
        QueuedWorkCompletion("s", "third", "token", ("x",)),
    )
    inputs = (good_input, TurnInputCompletion("s2", "second", "token"), TurnInputCompletion("s", "third", "token", ("x",)))
    both = commit(completed_queue_claims=queue, completed_turn_input_claims=inputs)
    assert refused(LEASED, both) == QueuedWorkClaimExpired("s", "second")
    assert refused(LEASED, commit(completed_turn_input_claims=inputs)) == TurnInputClaimExpired("s2", "second")


def test_commit_11_a_completion_for_another_session_is_refused_in_its_own_name() -> None:
    """Even an empty completion has to be for the commit's session; the error carries the completion's."""
    queue = commit(completed_queue_claims=(QueuedWorkCompletion("s2", "claim", "token"),))
    assert refused(LEASED, queue) == QueuedWorkClaimExpired("s2", "claim")


def test_commit_11a_a_completion_that_names_nothing_is_accepted() -> None:
    """An empty list of ids settles nothing and refuses nothing."""
    given = commit(
        completed_queue_claims=(QueuedWorkCompletion("s", "claim", "token"),),
        completed_turn_input_claims=(TurnInputCompletion("s", "claim", "token"),),
    )
    step = ours(LEASED, COMMIT, given)
    assert revision_of(step.state) == 1
    assert "COMMIT-11a" in step.because


def used(tokens: int) -> TokenLedgerEntry:
    """Usage of one source and model."""
    return TokenLedgerEntry("main", "m", TokenUsage(tokens))
