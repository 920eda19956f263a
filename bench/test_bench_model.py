"""How fast the model is: one lease record, the whole state, and the harness without a store."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fencepost.model import TRANSITIONS, Ports, State
from fencepost.model.records.lease import Claimant, LeaseRecord, Proof, claim, release, renew
from fencepost.spec import Acquired, Alive, LeaseOwnerIdentity
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.run import MACHINES, Budget, Setup, Tally, run_machine

ROUND = 1_000


@pytest.mark.benchmark(group="lease transitions (1,000)")
def test_record_transitions(benchmark: Any, rate: Callable[[str], None]) -> None:
    vacant: LeaseRecord[str, None, str] = LeaseRecord(0, False, "", None, "", 0, 0)
    mine, other = Claimant("a", None, "t1"), Claimant("b", None, "t2")

    def walk() -> None:
        for _ in range(ROUND // 5):
            record = claim(vacant, mine, 1, 10).record
            record = claim(record, mine, 2, 10).record
            record = claim(record, other, 3, 10).record
            proof = Proof("a", "t1", 1)
            renewed = renew(record, proof, 4, 10)
            assert renewed is not None
            release(renewed, proof, vacant)

    benchmark(walk)
    rate(f"record-level lease transitions: {ROUND / benchmark.stats.stats.median:,.0f}/s")


@pytest.mark.benchmark(group="lease transitions (1,000)")
def test_lifted_transitions(benchmark: Any, rate: Callable[[str], None]) -> None:
    mine, other = LeaseOwnerIdentity("a", "1"), LeaseOwnerIdentity("b", "1")
    claims, renews = TRANSITIONS["try_claim_session_execution_lease"], TRANSITIONS["renew_session_execution_lease"]
    releases = TRANSITIONS["release_session_execution_lease"]
    ports = Ports(1, lambda pid, start: Alive.unknown)

    def walk() -> None:
        for _ in range(ROUND // 5):
            step = claims(State(), ports, "s", mine, 10)[0]
            assert isinstance(step.answer, Acquired)
            lease = step.answer.lease
            state = claims(step.state, ports, "s", mine, 10)[0].state
            state = claims(state, ports, "s", other, 10)[0].state
            state = renews(state, ports, lease.fence(), 10)[0].state
            releases(state, ports, lease.completion())

    benchmark(walk)
    rate(f"lifted lease transitions, answers and reasons included: {ROUND / benchmark.stats.stats.median:,.0f}/s")


@pytest.mark.benchmark(group="harness without a store")
@pytest.mark.parametrize("chapter", list(MACHINES))
def test_harness(benchmark: Any, rate: Callable[[str], None], tmp_path: Path, chapter: str) -> None:
    tallies: list[Tally] = []

    def run() -> None:
        setup = Setup(ModelStore, tmp_path)
        assert run_machine(MACHINES[chapter], setup, Budget(seed=0, examples=40, steps=50)) is None
        tallies.append(setup.tally)

    start = time.perf_counter()
    benchmark.pedantic(run, rounds=3)
    seconds = time.perf_counter() - start
    rate(f"harness without a store, {chapter}: {sum(tally.steps for tally in tallies) / seconds:,.0f} steps/s")
