"""Every acknowledged call of every kind is there when the file is opened again, after a close and after a kill."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fencepost.impl import DuckDBRuntimePersistence
from fencepost.spec import (
    AlreadyCancelled,
    AlreadyCompleted,
    AttachmentIntent,
    QueuedWorkClaimExpired,
    SourceKey,
    StoreError,
    TurnInputClaimExpired,
)
from impl_builders import ADA, NOW, TTL, acquired, dump, plain_commit
from impl_entries import (
    EVERY_CALL,
    HOLDER,
    World,
    at_time,
    claimed_active,
    claimed_next,
    claimed_work,
    draft,
    observed,
    settling,
    work,
    world,
)
from msgspec.structs import replace
from test_impl_durability import opened

Files = tuple[Path, World]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A closed file with something of every kind in it, and what was answered on the way."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    with opened(path) as store:
        return path, world(store)


def copied(source: Path, target: Path) -> Path:
    """The file, with its log if it has one, as a kill at this moment would leave it."""
    for suffix in ("", ".wal"):
        if Path(f"{source}{suffix}").exists():
            shutil.copy(f"{source}{suffix}", f"{target}{suffix}")
    return target


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY_CALL)
def test_a_call_is_there_when_the_file_is_opened_again(template: Files, tmp_path: Path, name: str) -> None:
    """What a call of any kind left is shown and stored the same after a kill, after a close, and after another (VALUE-9)."""
    path, there = template
    with opened(copied(path, tmp_path / "store.db")) as store:
        before = dump(store._engine)
        EVERY_CALL[name](there._replace(store=store))
        shown, left = observed(store), dump(store._engine)
        copied(tmp_path / "store.db", tmp_path / "killed.db")
    assert left != before
    for again in ("killed.db", "store.db", "store.db"):
        with opened(tmp_path / again) as store:
            assert observed(store) == shown
            assert dump(store._engine) == left


def test_old_answers_keep_their_worth(template: Files, tmp_path: Path) -> None:
    """Leases, claims and keys from before a reopen prove, complete and replay after it what they did before."""
    path, there = template
    with opened(copied(path, tmp_path / "store.db")) as store:
        there = there._replace(store=store)
        assert store.renew_queued_work_claim(there.work, TTL) == there.work
        result = store.commit_runtime_state(settling(there, release=False))
    with opened(tmp_path / "store.db") as store:
        assert store.commit_runtime_state(settling(there)) == result
        stale = replace(plain_commit(acquired(store, ADA)), completed_turn_input_claims=(there.taken.completion(),))
        with pytest.raises(TurnInputClaimExpired):
            store.commit_runtime_state(stale)
        with pytest.raises(QueuedWorkClaimExpired):
            store.renew_queued_work_claim(there.work, TTL)
        targets = (SourceKey("taken"), SourceKey("accepted"), SourceKey("over"))
        outcomes = [each.outcome for each in store.cancel_pending_turn_inputs("s", targets)]
        assert [type(each) for each in outcomes] == [AlreadyCompleted, AlreadyCompleted, AlreadyCancelled]


def test_a_claim_lapses_across_a_reopen(template: Files, tmp_path: Path) -> None:
    """A claim that is live when the file is closed is live when it is opened, until its instant and not beyond."""
    path, there = template
    with opened(copied(path, tmp_path / "store.db")) as store:
        keys = {
            now: [each.source_key for each in at_time(store, now).list_pending_turn_inputs("s")]
            for now in (NOW + TTL - 1, NOW + TTL)
        }
    assert keys == {NOW + TTL - 1: ["late", "waits", "waits too"], NOW + TTL: ["taken", "late", "waits", "waits too"]}
    assert there.taken.expires_at_epoch_ms == NOW + TTL


class Given:
    """Everything that was ever given a name or a number."""

    def __init__(self) -> None:
        self.input_numbers: list[int] = []
        self.batch_numbers: list[int] = []
        self.names: list[str] = []

    def round(self, store: DuckDBRuntimePersistence, turn: int) -> None:
        """Submit, claim, abandon, complete and cancel, so that nothing is left, and remove what can be removed."""
        lease = acquired(store)
        inputs = [store.enqueue_pending_turn_input(draft()), store.enqueue_pending_turn_input(draft(turn="t"))]
        batches = [store.enqueue_queued_work(work()), store.enqueue_queued_work(work())]
        self.input_numbers += [each.enqueue_seq for each in inputs]
        self.batch_numbers += [each.enqueue_seq for each in batches]
        self.names += [each.input_id for each in inputs] + [each.batch_id for each in batches]
        for _ in range(2):
            taken, accepted, held = claimed_next(store, lease), claimed_active(store, lease, "t"), claimed_work(store, lease, 1)
            for each in (taken, accepted, held):
                self.names += [each.claim_id, each.lease_token]
            store.abandon_turn_input_claim(taken)
            store.abandon_turn_input_claim(accepted)
            store.abandon_queued_work_claim(held)
        done = claimed_next(store, lease), claimed_work(store, lease, 1)
        self.names += [name for each in done for name in (each.claim_id, each.lease_token)]
        commit = replace(
            plain_commit(lease, turn),
            completed_turn_input_claims=(done[0].completion(),),
            completed_queue_claims=(done[1].completion(),),
        )
        store.commit_runtime_state(commit)
        store.cancel_pending_turn_input("s", inputs[1].input_id)
        store.cancel_queued_work_batch("s", batches[1].batch_id)
        self.names.append(lease.lease_token)
        store.release_session_execution_lease(lease.completion())
        assert store.vacuum().removed_pending_turn_input_tombstone_count == 2


def test_no_number_and_no_name_is_given_twice(tmp_path: Path) -> None:
    """Numbers grow and names are new although everything was removed, the clock stands still, and the file was reopened."""
    given = Given()
    for turn in range(4):
        with opened(tmp_path / "store.db") as store:
            given.round(store, 2 * turn)
            assert dump(store._engine)["inputs"] == dump(store._engine)["batches"] == []
            given.round(store, 2 * turn + 1)
            copied(tmp_path / "store.db", tmp_path / "killed.db")
        if turn % 2:
            copied(tmp_path / "killed.db", tmp_path / "store.db")
    assert given.input_numbers == given.batch_numbers == list(range(1, 17))
    assert len(given.names) == 8 * (4 + 12 + 4 + 1)
    assert len(set(given.names)) == len(given.names)


def test_a_refused_call_leaves_nothing_in_the_file(template: Files, tmp_path: Path) -> None:
    """A commit, a claim and a renewal that were refused are not there after a reopen either."""
    path, there = template
    forged = replace(there.work, lease_token="forged")
    with opened(copied(path, tmp_path / "store.db")) as store:
        left = dump(store._engine)
        there = there._replace(store=store)
        bad = replace(settling(there), completed_queue_claims=(forged.completion(),))
        with pytest.raises(QueuedWorkClaimExpired):
            store.commit_runtime_state(bad)
        with pytest.raises(StoreError):
            store.claim_next_turn_inputs("s", replace(there.lease.fence(), lease_token="forged"), HOLDER, TTL, 9)
        store.abandon_turn_input_claim(replace(there.taken, lease_token="forged"))
    with opened(tmp_path / "store.db") as store:
        assert dump(store._engine) == left


def test_two_stores_in_turn_on_one_file(tmp_path: Path) -> None:
    """Of two stores open on one file each sees at once what the other was answered, claims and numbers too."""
    with opened(tmp_path / "store.db") as one, opened(tmp_path / "store.db") as two:
        lease = acquired(one)
        first = one.enqueue_pending_turn_input(draft("first", key="key"))
        assert two.enqueue_pending_turn_input(draft("first", key="key")) == first
        second = two.enqueue_pending_turn_input(draft("second"))
        assert second.enqueue_seq == first.enqueue_seq + 1
        claim = claimed_next(two, lease)
        assert claim.inputs == (first, second)
        assert one.claim_next_turn_inputs("s", lease.fence(), HOLDER, TTL, 9) is None
        one.abandon_turn_input_claim(claim)
        assert two.list_pending_turn_inputs("s") == (first, second)
        batch = one.enqueue_queued_work(work())
        held = claimed_work(two, lease)
        assert held.batches == (batch,)
        assert one.cancel_queued_work_batch("s", batch.batch_id) is None
        assert one.renew_queued_work_claim(held, 2 * TTL).expires_at_epoch_ms == NOW + 2 * TTL
        one.record_intent(AttachmentIntent("a", "s", "uri", 1))
        done = replace(plain_commit(lease), completed_queue_claims=(held.completion(),), committed_attachment_ids=("a",))
        two.commit_runtime_state(done)
        assert (one.list_queued_work("s"), one.list_uncommitted(1)) == ((), ())
        assert one.vacuum().removed_pending_turn_input_tombstone_count == 0
        one.cancel_pending_turn_input("s", first.input_id)
        assert isinstance(two.cancel_pending_turn_input("s", first.input_id), AlreadyCancelled)
        assert two.vacuum().removed_pending_turn_input_tombstone_count == 1
        assert one.enqueue_pending_turn_input(draft("other", key="key")).enqueue_seq == 3
