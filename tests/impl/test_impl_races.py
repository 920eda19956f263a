"""Races: every point of one call meets another call, and the answers are those of one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial

import pytest
from fencepost.impl import Engine
from fencepost.impl import lease as lease_module
from fencepost.impl.engine import Statement
from fencepost.spec import (
    Acquired,
    Backend,
    Busy,
    FullGraph,
    HeadRevisionConflict,
    Json,
    LeaseOwnerIdentity,
    PersistedSessionConfig,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionBindingMismatch,
    SessionExecutionLease,
    SessionExecutionLeaseExpired,
    StoreError,
)
from impl_builders import (
    ADA,
    BOB,
    NOW,
    TTL,
    RivalEngine,
    acquired,
    dump,
    full_commit,
    owner,
    plain_commit,
    store_on,
)

COMMIT_STATEMENTS = 9
"""What a first `full_commit` without release sends, its COMMIT included."""


def together(calls: Sequence[Callable[[], object]]) -> list[object]:
    """The answers, or refusals, of calls that threads make at the same time."""
    start = threading.Barrier(len(calls))
    answers: list[object] = [None] * len(calls)

    def run(number: int) -> None:
        start.wait()
        try:
            answers[number] = calls[number]()
        except StoreError as error:
            answers[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


class Handover:
    """A holder's commit that a rival's takeover interrupts before a statement."""

    def __init__(self, before: int, takeover: Callable[[SessionExecutionLease, Engine], object]) -> None:
        self.engine = RivalEngine()
        store = store_on(self.engine)
        lease = acquired(store)
        self.taken: list[object] = []
        self.commit: object = None

        def commit() -> None:
            try:
                self.commit = store.commit_runtime_state(full_commit(lease, release=False))
            except StoreError as error:
                self.commit = error

        self.engine.interrupted(before, lambda: self.taken.append(takeover(lease, self.engine)), commit)

    @property
    def stale(self) -> bool:
        """Whether the commit landed although the takeover was answered before it."""
        return self.engine.finished_first and isinstance(self.commit, RuntimeCommitResult)


def reclaim(lease: SessionExecutionLease, engine: Engine) -> object:
    """A takeover from a dead holder."""
    return store_on(engine).reclaim_session_execution_lease("s", BOB, lease.fence(), TTL)


def claim_expired(lease: SessionExecutionLease, engine: Engine) -> object:
    """A takeover by somebody to whose clock the lease has expired."""
    return store_on(engine, lambda: NOW + TTL).try_claim_session_execution_lease("s", BOB, TTL)


@pytest.mark.parametrize("takeover", [reclaim, claim_expired])
@pytest.mark.parametrize("before", range(COMMIT_STATEMENTS))
def test_no_commit_lands_after_a_takeover(before: int, takeover: Callable[[SessionExecutionLease, Engine], object]) -> None:
    """A takeover at any point of the old holder's commit comes before it and stops it, or after it (COMMIT-8b)."""
    handover = Handover(before, takeover)
    assert isinstance(handover.taken[0], Acquired)
    assert not handover.stale
    if handover.engine.finished_first:
        assert handover.commit == SessionExecutionLeaseExpired("s")
        assert store_on(handover.engine).load_session(FullGraph()) is None


def test_the_takeover_test_sees_a_commit_that_only_reads_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the write on the lease row, a stale commit does land: the test above would go red."""
    where = lease_module.GUARD.sql.partition("WHERE")[2]
    reading = Statement("check the lease", f"SELECT 1 FROM leases WHERE {where}")
    monkeypatch.setattr(lease_module, "GUARD", reading)
    assert any(Handover(before, reclaim).stale for before in range(COMMIT_STATEMENTS))


@pytest.mark.parametrize("before", range(4))
def test_a_renewal_and_a_takeover_come_one_after_the_other(before: int) -> None:
    """A takeover at any point of the old holder's renewal wins or comes second, and its lease is the one that stays."""
    engine = RivalEngine()
    store = store_on(engine)
    lease = acquired(store)
    taken: list[object] = []
    renewed: list[object] = []

    def renew() -> None:
        try:
            renewed.append(store.renew_session_execution_lease(lease.fence(), 2 * TTL))
        except StoreError as error:
            renewed.append(error)

    engine.interrupted(before, lambda: taken.append(reclaim(lease, engine)), renew)
    (outcome,) = taken
    assert isinstance(outcome, Acquired)
    assert store.try_claim_session_execution_lease("s", ADA, TTL) == Busy(outcome.lease)
    if engine.finished_first:
        assert renewed == [SessionExecutionLeaseExpired("s")]


@pytest.mark.parametrize("before", range(4))
def test_a_replay_and_a_claim_come_one_after_the_other(before: int) -> None:
    """A replay that releases the lane, met by a claim at any point, answers the record and frees nobody else's lease."""
    engine = RivalEngine()
    store = store_on(engine)
    lease = acquired(store)
    result = store.commit_runtime_state(full_commit(lease, release=False))
    taken: list[object] = []
    answers: list[object] = []
    engine.interrupted(
        before,
        lambda: taken.append(reclaim(lease, engine)),
        lambda: answers.append(store.commit_runtime_state(full_commit(lease))),
    )
    assert answers == [result]
    (outcome,) = taken
    assert isinstance(outcome, Acquired)
    assert store.try_claim_session_execution_lease("s", ADA, TTL) == Busy(outcome.lease)


@pytest.mark.parametrize("before", range(COMMIT_STATEMENTS))
def test_two_commits_of_one_turn_record_it_once(before: int) -> None:
    """The same stamped commit sent twice at once is one commit and one replay, and both answer the same."""
    engine = RivalEngine()
    store = store_on(engine)
    lease = acquired(store)
    commit = full_commit(lease, release=False)
    answers: list[object] = []
    engine.interrupted(
        before,
        lambda: answers.append(store_on(engine).commit_runtime_state(commit)),
        lambda: answers.append(store.commit_runtime_state(commit)),
    )
    assert answers[0] == answers[1]
    loaded = store.load_session(FullGraph())
    assert loaded is not None
    assert loaded.head_revision == 1
    assert len(dump(engine)["stamps"]) == 1
    assert len(dump(engine)["usage"]) == 1


@pytest.mark.parametrize("before", range(6))
def test_the_first_commits_of_two_sessions_bind_one(before: int) -> None:
    """Of first commits for two sessions at once one binds the store and the other is refused (COMMIT-2)."""
    engine = RivalEngine()
    store = store_on(engine)
    commits = [commit_for(acquired(store, ADA, session), session) for session in ("one", "two")]
    answers: dict[str, object] = {}

    def send(number: int) -> None:
        commit = commits[number]
        try:
            answers[commit.session_id] = store_on(engine).commit_runtime_state(commit)
        except StoreError as error:
            answers[commit.session_id] = error

    engine.interrupted(before, lambda: send(1), lambda: send(0))
    winners = [session for session, answer in answers.items() if isinstance(answer, RuntimeCommitResult)]
    losers = [answer for answer in answers.values() if isinstance(answer, StoreError)]
    assert len(winners) == 1
    loser = "two" if winners == ["one"] else "one"
    assert losers == [SessionBindingMismatch(winners[0], loser)]


def commit_for(lease: SessionExecutionLease, session: str) -> RuntimeCommit:
    """A small commit for a session."""
    config = PersistedSessionConfig("provider", Json(None))
    return RuntimeCommit(session_id=session, session_execution_lease=lease.fence(), config=config)


def test_of_many_first_claims_one_acquires() -> None:
    """Of eight owners that claim a new session at once one acquires, and the others are told who (LEASE-18)."""
    engine = Engine()
    store = store_on(engine)
    for _ in range(15):
        claims = [owner(f"owner {number}") for number in range(8)]
        outcomes = together([partial(store.try_claim_session_execution_lease, "s", who, TTL) for who in claims])
        acquisitions = [outcome for outcome in outcomes if isinstance(outcome, Acquired)]
        assert len(acquisitions) == 1
        assert acquisitions[0].lease.fencing_token == 1
        assert [outcome for outcome in outcomes if outcome != acquisitions[0]] == [Busy(acquisitions[0].lease)] * 7
        engine.clear()


def test_of_many_reclaims_one_takes_over() -> None:
    """Of eight owners that observed one dead holder one takes over, and the others are told who (LEASE-23)."""
    engine = Engine()
    store = store_on(engine)
    for _ in range(15):
        held = acquired(store)
        rivals = [owner(f"owner {number}") for number in range(8)]
        outcomes = together([partial(store.reclaim_session_execution_lease, "s", who, held.fence(), TTL) for who in rivals])
        acquisitions = [outcome for outcome in outcomes if isinstance(outcome, Acquired)]
        assert [taken.lease.fencing_token for taken in acquisitions] == [2]
        assert [outcome for outcome in outcomes if outcome != acquisitions[0]] == [Busy(acquisitions[0].lease)] * 7
        engine.clear()


def test_threads_on_sessions_of_their_own_do_not_meet() -> None:
    """Claims, renewals and releases of different sessions at once all succeed."""
    store = store_on(Engine())

    def work(session: str) -> int:
        for _ in range(20):
            lease = acquired(store, ADA, session)
            store.renew_session_execution_lease(lease.fence(), TTL)
            store.release_session_execution_lease(lease.completion())
        return lease.fencing_token

    assert together([partial(work, f"session {name}") for name in range(6)]) == [20] * 6


def handovers(rounds: int, threads: int) -> list[StoreError]:
    """What went wrong while threads take the lane from each other, look where the session stands, and commit.

    Nobody but the holder moves the head, so whoever loses the lane learns that the lease expired, and never that the head
    moved under a lease of its own.
    """
    store = store_on(Engine())
    wrong: list[StoreError] = []
    current = [acquired(store).fence()]

    def work(who: LeaseOwnerIdentity) -> None:
        for turn in range(rounds):
            outcome = store.reclaim_session_execution_lease("s", who, current[0], TTL)
            if isinstance(outcome, Busy):
                current[0] = outcome.holder.fence()
                continue
            current[0] = outcome.lease.fence()
            loaded = store.load_session(FullGraph())
            commit = plain_commit(outcome.lease, turn)
            expecting = {name: getattr(commit, name) for name in commit.__struct_fields__} | {
                "expected_head_revision": 0 if loaded is None else loaded.head_revision
            }
            try:
                store.commit_runtime_state(RuntimeCommit(**expecting))
            except SessionExecutionLeaseExpired:
                continue
            except (HeadRevisionConflict, Backend) as error:
                wrong.append(error)

    together([partial(work, owner(f"owner {number}")) for number in range(threads)])
    return wrong


def test_the_head_never_moves_under_a_lease() -> None:
    """Two threads that take the lane from each other never find the head moved by a holder they overtook."""
    assert handovers(rounds=40, threads=2) == []


@pytest.mark.slow
def test_the_head_never_moves_under_a_lease_in_the_long_run() -> None:
    """Many threads, many rounds: no stale commit, and no call that gives up."""
    assert handovers(rounds=400, threads=4) == []


def test_a_reader_sees_whole_commits() -> None:
    """A load beside commits shows revision, nodes, usage and checkpoint of one commit (READ-17)."""
    store = store_on(Engine())
    lease = acquired(store)
    torn: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            loaded = store.load_session(FullGraph())
            if loaded is None:
                continue
            assert loaded.checkpoint is not None
            revision = loaded.head_revision
            seen = (
                len(loaded.graph.nodes) // 2,
                loaded.token_ledger[0].usage.input_tokens,
                loaded.checkpoint.turn_state.turn_index + 1,
            )
            if seen != (revision, revision, revision):
                torn.append((revision, seen))

    def write() -> None:
        for turn in range(60):
            store.commit_runtime_state(full_commit(lease, turn, release=False))
        done.set()

    together([write, read, read])
    assert torn == []
