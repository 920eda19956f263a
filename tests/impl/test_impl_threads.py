"""What callers at the same time are answered: entries go to one of them, keys to one entry, and nothing is lost."""

from __future__ import annotations

import random
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from fencepost.impl import DuckDBRuntimePersistence, Engine
from fencepost.spec import (
    Backend,
    Cancelled,
    PendingTurnInput,
    PendingTurnInputSourceKeyConflict,
    QueuedWorkBatch,
    QueuedWorkClaim,
    SessionExecutionLease,
    SourceKey,
    TurnInputClaim,
)
from impl_builders import NOW, TTL, acquired, everybody_dead, plain_commit, run, store_on
from impl_entries import HOLDER, IDLE, draft, work
from msgspec.structs import replace
from test_impl_races import together


def test_many_submissions_of_one_key_are_one_input() -> None:
    """Eight threads that submit one draft under one key at once all get the same input, and batches likewise."""
    store = store_on(Engine())
    for number in range(10):
        same = draft("same", key=f"key {number}")
        inputs = together([partial(store.enqueue_pending_turn_input, same)] * 8)
        assert set(map(type, inputs)) == {PendingTurnInput}
        assert len(set(inputs)) == 1
        batches = together([partial(store.enqueue_queued_work, work("same", key=f"key {number}"))] * 8)
        assert set(map(type, batches)) == {QueuedWorkBatch}
        assert len(set(batches)) == 1
    assert [each.enqueue_seq for each in store.list_pending_turn_inputs("s")] == list(range(1, 11))
    assert [each.enqueue_seq for each in store.list_queued_work("s")] == list(range(1, 11))


def test_of_two_contents_under_one_key_one_is_kept() -> None:
    """Threads that submit different words under one key at once: one is admitted, the others are told its id."""
    store = store_on(Engine())
    for number in range(10):
        calls = [partial(store.enqueue_pending_turn_input, draft(str(each), key=f"key {number}")) for each in range(4)]
        answers = together(calls)
        (kept,) = [each for each in answers if isinstance(each, PendingTurnInput)]
        refusals = [each for each in answers if each is not kept]
        assert refusals == [PendingTurnInputSourceKeyConflict("s", f"key {number}", kept.input_id)] * 3


def test_many_submissions_in_one_millisecond_are_as_many_entries() -> None:
    """Eight threads that submit without a key at one instant all succeed, with a number and an id of their own each."""
    store = store_on(Engine())
    for _ in range(10):
        together([partial(store.enqueue_pending_turn_input, draft())] * 8)
        together([partial(store.enqueue_queued_work, work())] * 8)
    inputs, batches = store.list_pending_turn_inputs("s"), store.list_queued_work("s")
    assert [each.enqueue_seq for each in inputs] == [each.enqueue_seq for each in batches] == list(range(1, 81))
    assert len({each.input_id for each in inputs} | {each.batch_id for each in batches}) == 160


def test_one_input_id_is_given_once() -> None:
    """Of threads that submit one input id at once one succeeds, and the others are refused with `Backend`."""
    store = store_on(Engine())
    answers = together([partial(store.enqueue_pending_turn_input, draft(str(number), input_id="i")) for number in range(8)])
    assert Counter(map(type, answers)) == {PendingTurnInput: 1, Backend: 7}


def test_claimers_share_what_there_is() -> None:
    """Eight threads that claim at once share the inputs and batches: each goes to one of them, and none is left over."""
    store = store_on(Engine())
    fence = acquired(store).fence()
    for number in range(10):
        for _ in range(8):
            store.enqueue_pending_turn_input(draft())
            store.enqueue_queued_work(work(session="s"))
        claims = together([partial(store.claim_next_turn_inputs, "s", fence, HOLDER, TTL, 1)] * 8)
        taken = [row.enqueue_seq for claim in claims if isinstance(claim, TurnInputClaim) for row in claim.inputs]
        assert sorted(taken) == list(range(8 * number + 1, 8 * number + 9))
        works = together([partial(store.claim_ready_queued_work, "s", fence, HOLDER, IDLE, TTL, 3)] * 8)
        held = [batch.enqueue_seq for claim in works if isinstance(claim, QueuedWorkClaim) for batch in claim.batches]
        assert sorted(held) == list(range(8 * number + 1, 8 * number + 9))


class Traffic:
    """Threads that submit, claim, give back, complete and cancel as chance has it, and keep account of it."""

    def __init__(self, store: DuckDBRuntimePersistence, seed: int) -> None:
        self.store, self.seed = store, seed
        self.lease: SessionExecutionLease = acquired(store)
        self.submitted: list[int] = []
        self.settled: list[int] = []
        self.cancelled: list[int] = []
        self.grants: list[tuple[str, int]] = []

    def run(self, calls: int, number: int) -> None:
        """One thread's calls."""
        chance = random.Random(f"{self.seed} {number}")
        for call in range(calls):
            kind = chance.choice(("submit", "submit", "claim", "claim", "cancel", "vacuum"))
            if kind == "submit":
                key = f"{number} {call}"
                made = self.store.enqueue_pending_turn_input(draft(key, key=key))
                # somebody may have cancelled it meanwhile, and a vacuum removed it, but not given its number again
                again = self.store.enqueue_pending_turn_input(draft(key, key=key))
                if again.enqueue_seq != made.enqueue_seq:
                    self.submitted.append(again.enqueue_seq)
                self.submitted.append(made.enqueue_seq)
            elif kind == "claim":
                claim = self.store.claim_next_turn_inputs("s", self.lease.fence(), HOLDER, TTL, 2)
                if claim is not None:
                    self.grants += [(claim.lease_token, row.enqueue_seq) for row in claim.inputs]
                    self.end(claim, chance)
            elif kind == "cancel":
                targets = tuple(SourceKey(f"{chance.randrange(3)} {chance.randrange(calls)}") for _ in range(3))
                results = self.store.cancel_pending_turn_inputs("s", targets)
                self.cancelled += [each.outcome.input.enqueue_seq for each in results if isinstance(each.outcome, Cancelled)]
            else:
                self.store.vacuum()

    def end(self, claim: TurnInputClaim, chance: random.Random) -> None:
        """Complete the claim, or give it back."""
        if chance.random() < 0.5:
            self.store.abandon_turn_input_claim(claim)
            return
        done = replace(plain_commit(self.lease), completed_turn_input_claims=(claim.completion(),))
        self.store.commit_runtime_state(done)
        self.settled += [row.enqueue_seq for row in claim.inputs]


def require_accounts(traffic: Traffic) -> None:
    """Every input that was submitted waits, or is settled or cancelled, once; a grant holds what no other one held."""
    where = f"seed {traffic.seed}"
    assert len(set(traffic.submitted)) == len(traffic.submitted), where
    over = traffic.settled + traffic.cancelled
    assert len(set(over)) == len(over), where
    waiting = [row.enqueue_seq for row in traffic.store.list_pending_turn_inputs("s")]
    assert sorted(waiting + over) == sorted(traffic.submitted), where
    # an input counts every claim on it
    counts: dict[int, int] = dict(run(traffic.store._engine, "SELECT enqueue_seq, claim_fencing_token FROM inputs"))
    granted = Counter(number for _, number in traffic.grants)
    assert {number: granted[number] for number in counts} == counts, where


def traffic(path: Path, seed: int, calls: int) -> None:
    """Three threads on one file, through two stores."""

    def opened() -> DuckDBRuntimePersistence:
        return DuckDBRuntimePersistence(path, clock=lambda: NOW, process_alive=everybody_dead)

    with opened() as store, opened() as other:
        counted = Traffic(store, seed)
        beside = Traffic(other, seed)
        for name in ("submitted", "settled", "cancelled", "grants"):
            setattr(beside, name, getattr(counted, name))
        runs = [partial(counted.run, calls, 0), partial(beside.run, calls, 1), partial(counted.run, calls, 2)]
        assert together(runs) == [None] * 3, f"seed {seed}"
        require_accounts(counted)


def test_threads_on_one_file(tmp_path: Path) -> None:
    """Three threads on one file, through two stores: whatever they do to the same inputs adds up."""
    traffic(tmp_path / "store.db", seed=0, calls=25)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_threads_on_one_file_in_the_long_run(tmp_path: Path, seed: int) -> None:
    """More calls, drawn from more seeds."""
    traffic(tmp_path / "store.db", seed, calls=120)
