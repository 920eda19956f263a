"""Calls made by hand on a faulty store that is held against the model, and the counterexample that they end in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fencepost.kit.backend import load_factory
from fencepost.kit.showing.counterexample import Counterexample, counterexample
from fencepost.spec import (
    DeliveryPolicy,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    PendingTurnInput,
    PendingTurnInputDraft,
    PersistedSessionConfig,
    ProcessWake,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    RuntimeCommit,
    SessionExecutionLease,
    SlotPolicy,
    Text,
    TurnInput,
    TurnInputClaim,
    TurnInputIngressNextTurn,
)
from fencepost.statemachines.checker import Violation
from fencepost.statemachines.machine import Machine, Setup
from fencepost.statemachines.run import machine_of, shortest

CLAIM, RECLAIM = "try_claim_session_execution_lease", "reclaim_session_execution_lease"
RENEW, RELEASE = "renew_session_execution_lease", "release_session_execution_lease"
A = LeaseOwnerIdentity("a", "1", LocalProcess("host", "boot", 10, "tick"))
B = LeaseOwnerIdentity("b", "1")


class Caller:
    """Makes calls by hand; after each, as much is looked at as in a run of the chapter."""

    def __init__(self, backend: str, chapter: str = "lease", beside: tuple[str, ...] = ()) -> None:
        self.chapter = chapter
        self.factory = load_factory(backend)
        self.kind: type[Machine] = machine_of(chapter, (chapter, *beside))
        self.setup = Setup(self.factory.open, Path(), close_store=self.factory.close, declared=frozenset(self.factory.declares))
        self.machine = self.kind(self.setup)

    def __call__(self, operation: str, *arguments: object) -> Any:
        """The answer of the call."""
        return self.machine.perform(operation, *arguments)

    def claims(self, owner: LeaseOwnerIdentity, session_id: str = "s") -> SessionExecutionLease:
        """The lease that the owner gets for 10 ms."""
        lease: SessionExecutionLease = self(CLAIM, session_id, owner, 10).lease
        return lease

    def commits(self, lease: SessionExecutionLease, **parts: Any) -> None:
        """A commit under the lease."""
        config = PersistedSessionConfig("p", Json({"model": "m"}))
        commit = RuntimeCommit(session_id="s", session_execution_lease=lease.fence(), config=config, **parts)
        self("commit_runtime_state", commit)

    def submits(self, text: str, input_id: str | None = None, key: str | None = None) -> PendingTurnInput:
        """An input for the next turn."""
        ingress, content = TurnInputIngressNextTurn(), TurnInput((Text(text),))
        draft = PendingTurnInputDraft(session_id="s", input_id=input_id, source_key=key, ingress=ingress, input=content)
        row: PendingTurnInput = self("enqueue_pending_turn_input", draft)
        return row

    def queues(self) -> QueuedWorkBatch:
        """A batch of turn work that may share a claim."""
        policies = (DeliveryPolicy.EarliestSafeBoundary, SlotPolicy.Join)
        draft = QueuedWorkBatchDraft(
            session_id="s", delivery_policy=policies[0], slot_policy=policies[1], payloads=(ProcessWake(Json({"n": 1})),)
        )
        batch: QueuedWorkBatch = self("enqueue_queued_work", draft)
        return batch

    def takes_inputs(self, lease: SessionExecutionLease, owner: LeaseOwnerIdentity, most: int = 1, ttl: int = 5) -> Any:
        """A claim for the next turn under the lease."""
        claim: TurnInputClaim | None = self("claim_next_turn_inputs", "s", lease.fence(), owner, ttl, most)
        return claim

    def takes_work(self, lease: SessionExecutionLease, owner: LeaseOwnerIdentity, most: int = 1, ttl: int = 5) -> Any:
        """A claim of turn work under the lease."""
        boundary = QueuedWorkClaimBoundary.Idle
        claim: QueuedWorkClaim | None = self("claim_ready_queued_work", "s", lease.fence(), owner, boundary, ttl, most)
        return claim

    def waits_until(self, instant: int) -> None:
        """The clock moves."""
        self.machine.environment.clock.move_to(instant)

    def starts(self, pid: int) -> None:
        """A process starts."""
        self.machine.move("start", pid, "tick")

    def reopens(self) -> None:
        """The store is closed and opened again."""
        self.machine.move("reopen")

    def violation(self, calls: Callable[[Caller], None]) -> Violation:
        """The violation that the calls end in, shrunk."""
        with pytest.raises(Violation) as caught:
            calls(self)
        return shortest(self.kind, self.setup, caught.value)

    def shown(self, calls: Callable[[Caller], None]) -> Counterexample:
        """The counterexample that the calls end in."""
        return counterexample(self.factory, self.chapter, self.violation(calls))


def pasted(program: str) -> None:
    """Run the program."""
    exec(compile(program, "pasted", "exec"), {"__name__": "pasted"})


def body(program: str) -> str:
    """What a program does once it has its store."""
    return program.partition("store = stores.runtime_persistence\n")[2]
