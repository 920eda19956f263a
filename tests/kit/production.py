"""A simulated runtime that works as one does in production: sessions, turns, claims, commits, events, outputs, receipts.

What it asks of its stores is drawn from a seed; who else works on a session, and when somebody dies, too. The state grows as it
does where nobody cleans up but now and then.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from fencepost.spec import (
    Acquired,
    ActivePath,
    AgentEvent,
    AgentEventEnvelope,
    Append,
    AttachmentIntent,
    DeliveryPolicy,
    EventPayload,
    Final,
    HydratedSessionCheckpoint,
    Inline,
    InputLifecycleState,
    InputState,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    PendingTurnInputDraft,
    PersistedSessionConfig,
    PersistedTurnState,
    ProcessWake,
    Progress,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    ReplaceFull,
    RunApplyBoundary,
    RuntimeCommit,
    RuntimeState,
    RuntimeTurnCommitStamp,
    SessionDelta,
    SessionExecutionLease,
    SessionGraph,
    SessionNodeRecord,
    SlotPolicy,
    Start,
    Stores,
    Text,
    TextDelta,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    TurnInput,
    TurnInputIngressNextTurn,
)

TTL = 30_000
CONFIG = PersistedSessionConfig("provider", Json({"model": "large", "temperature": 0.2}))
CLOCK = '{"secs_since_epoch":1,"nanos_since_epoch":0}'
INSTANT = "2026-01-01T00:00:00Z"
COMPACTED = 40
"""After how many turns a session's graph is replaced by a summary."""
SWEPT = 500
"""After how many turns what is dead is removed."""


def uuid(number: int) -> UUID:
    """A UUID."""
    return UUID(f"0190a1b2-0000-7000-8000-{number:012x}")


class Production:
    """A host that works on many sessions; the one that commits is `main`, for a store is bound to one."""

    def __init__(self, stores: Stores, tick: Callable[[int], object], seed: int = 0, sessions: int = 20) -> None:
        self.stores = stores
        assert stores.runtime_persistence
        assert stores.event
        assert stores.output
        assert stores.runtime
        self.lane, self.events, self.outputs, self.runtimes = (
            stores.runtime_persistence,
            stores.event,
            stores.output,
            stores.runtime,
        )
        self._tick = tick
        self._draw = random.Random(seed)
        self._others = [f"session-{number}" for number in range(sessions)]
        self._turns = 0
        self._number = 0
        self._revision = 0
        self._leaf: str | None = None
        self.calls = 0

    def work(self, calls: int) -> None:
        """Work until so many calls were made, and the turn after them is over."""
        while self.calls < calls:
            for _ in self.turn("main" if self._turns % 2 else self._draw.choice(self._others)):
                self.calls += 1
                self._tick(self._draw.choice((1, 1, 2, 5, 40)))

    def _next(self) -> int:
        self._number += 1
        return self._number

    def turn(self, session: str) -> Iterator[Any]:
        """A turn of a session, call by call."""
        self._turns += 1
        number = self._turns
        owner = LeaseOwnerIdentity(f"host-{self._draw.randrange(3)}", str(number // 50), LocalProcess("h", "b", number, "s"))
        yield from self._asked(session, number)
        outcome = self.lane.try_claim_session_execution_lease(session, owner, TTL)
        yield outcome
        if not isinstance(outcome, Acquired):
            self._tick(TTL)
            return
        yield from self._answered(session, number, owner, outcome.lease)
        if number % SWEPT == 0:
            yield self.lane.vacuum()
            yield self.lane.gc_unreachable()

    def _asked(self, session: str, number: int) -> Iterator[Any]:
        ingress = TurnInputIngressNextTurn()
        for _ in range(self._draw.choice((1, 1, 2))):
            asked = TurnInput((Text(f"what about the {self._next()}th thing?"),))
            key = f"key-{self._number}" if self._draw.random() < 0.5 else None
            draft = PendingTurnInputDraft(session_id=session, ingress=ingress, input=asked, source_key=key)
            yield self.lane.enqueue_pending_turn_input(draft)
            if key and self._draw.random() < 0.1:
                yield self.lane.enqueue_pending_turn_input(draft)
        if self._draw.random() < 0.5:
            wake = ProcessWake(Json({"text": f"job {number} is done"}))
            early = DeliveryPolicy.EarliestSafeBoundary
            yield self.lane.enqueue_queued_work(
                QueuedWorkBatchDraft(session_id=session, delivery_policy=early, slot_policy=SlotPolicy.Join, payloads=(wake,))
            )

    def _answered(self, session: str, number: int, owner: LeaseOwnerIdentity, lease: SessionExecutionLease) -> Iterator[Any]:
        inputs = self.lane.claim_next_turn_inputs(session, lease.fence(), owner, TTL, 8)
        yield inputs
        boundary = QueuedWorkClaimBoundary.Idle
        work = self.lane.claim_ready_queued_work(session, lease.fence(), owner, boundary, TTL, 8)
        yield work
        yield from self._told(session, number)
        yield self.lane.renew_session_execution_lease(lease.fence(), TTL)
        yield from self._run(session, number)
        if self._draw.random() < 0.05:
            # the host dies: its claims lapse, and somebody else takes the lane over
            self._tick(TTL + 1)
            return
        if session == "main":
            yield from self._committed(number, lease, inputs, work)
            return
        if inputs:
            yield self.lane.abandon_turn_input_claim(inputs)
            for each in inputs.inputs:
                yield self.lane.cancel_pending_turn_input(session, each.input_id)
        if work:
            yield self.lane.renew_queued_work_claim(work, TTL)
            yield self.lane.abandon_queued_work_claim(work)
            for batch in work.batches:
                yield self.lane.cancel_queued_work_batch(session, batch.batch_id)
        yield self.lane.list_pending_turn_inputs(session)
        yield self.lane.release_session_execution_lease(lease.completion())

    def _told(self, session: str, number: int) -> Iterator[Any]:
        said: list[AgentEvent] = [
            Start(session, number),
            *(TextDelta(f"message-{number}", f"word {each} ") for each in range(6)),
        ]
        for sequence, event in enumerate(said):
            envelope = AgentEventEnvelope(uuid(self._next()), sequence, INSTANT, event)
            yield self.events.append(session, number, envelope)
        yield self.events.finish_turn(session, number)
        yield self.events.get_turn(session, number)

    def _run(self, session: str, number: int) -> Iterator[Any]:
        run, asked = uuid(number), uuid(self._next())
        state = InputState(input_id=asked, current_state=InputLifecycleState.Queued, created_at=INSTANT, updated_at=INSTANT)
        yield self.runtimes.persist_runtime_state(session, RuntimeState.Running)
        yield self.runtimes.persist_input_state(session, state)
        messages = f'[{{"role":"user","content":"{number}"}}]'
        text = f'{{"id":"{uuid(4)}","created_at":{CLOCK},"updated_at":{CLOCK},"messages":{messages}}}'
        delta, start = SessionDelta(text.encode()), RunApplyBoundary.RunStart
        yield self.runtimes.commit_session_boundary(session, delta, run, start, (asked,), (state,))
        yield self.runtimes.load_input_state(session, asked)
        first = self.outputs.append(session, number, "agent", Progress("thinking", "half done"), ())
        yield first
        yield self.outputs.append(
            session, number, "agent", Final(Inline(Json({"text": f"answer {number}"})), ok=True), (first,)
        )
        yield self.outputs.get_latest_by_name("agent")

    def _committed(self, number: int, lease: SessionExecutionLease, inputs: Any, work: Any) -> Iterator[Any]:
        nodes = self._nodes(number)
        full = number % COMPACTED == 1
        delta = ReplaceFull(SessionGraph(nodes, nodes[-1].node_id)) if full else Append(nodes, nodes[-1].node_id)
        attachment = f"attachment-{number}"
        yield self.lane.record_intent(AttachmentIntent(attachment, "main", f"file:///{attachment}", number))
        commit = RuntimeCommit(
            session_id="main",
            expected_head_revision=self._revision,
            session_execution_lease=lease.fence(),
            release_session_execution_lease=lease.completion(),
            config=CONFIG,
            graph=delta,
            checkpoint=HydratedSessionCheckpoint(PersistedTurnState(number), tool_state=ToolState(number // 10)),
            usage_deltas=(TokenLedgerEntry("turn", "large", TokenUsage(900 + number, 80)),),
            turn_commit=RuntimeTurnCommitStamp("main", f"turn-{number}", f"hash-{number}"),
            completed_queue_claims=(work.completion(),) if work else (),
            completed_turn_input_claims=(inputs.completion(),) if inputs else (),
            committed_attachment_ids=(attachment,),
        )
        result = self.lane.commit_runtime_state(commit)
        yield result
        self._revision, self._leaf = result.head_revision, nodes[-1].node_id
        yield self.lane.load_node(nodes[0].node_id)
        if number % 10 == 1:
            yield self.lane.load_session(ActivePath())

    def _nodes(self, number: int) -> tuple[SessionNodeRecord, ...]:
        nodes: list[SessionNodeRecord] = []
        for role in ("user", "assistant"):
            payload = EventPayload(Json({"role": role, "parts": [{"kind": "text", "content": f"words of turn {number}"}]}))
            parent = nodes[-1].node_id if nodes else self._leaf
            nodes.append(SessionNodeRecord(f"node-{number}-{role}", parent, payload, INSTANT))
        return tuple(nodes)
