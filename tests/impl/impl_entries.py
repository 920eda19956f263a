"""Inputs, batches and claims for the tests of the DuckDB store, and a store in which something of every kind stands."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from fencepost.impl import DuckDBRuntimePersistence, Engine
from fencepost.spec import (
    ActivePath,
    Append,
    AttachmentIntent,
    Cancelled,
    CheckpointKind,
    DeliveryPolicy,
    FullGraph,
    GraphCommitDelta,
    InputId,
    Json,
    LeaseOwnerIdentity,
    PendingTurnInputDraft,
    ProcessWake,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkPayload,
    QueuedWorkPayloadSessionCommand,
    ReplaceFull,
    ResetSession,
    RuntimeCommit,
    SessionExecutionLease,
    SessionGraph,
    SessionMeta,
    SlotPolicy,
    SourceKey,
    Text,
    TurnInput,
    TurnInputCheckpointBoundary,
    TurnInputClaim,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
)
from impl_builders import ADA, BOB, NOW, TTL, Rows, acquired, everybody_dead, found, full_commit, node, put_in, store_on
from msgspec.structs import replace

HOLDER = LeaseOwnerIdentity("ada", "ada-1")
"""Who holds claims: nobody can find it dead."""

AFTER_WORK, BEFORE_COMPLETION = CheckpointKind.AfterWork, CheckpointKind.BeforeCompletion
IDLE = QueuedWorkClaimBoundary.Idle


def draft(
    text: str = "hello", *, session: str = "s", key: str | None = None, input_id: str | None = None, turn: str | None = None
) -> PendingTurnInputDraft:
    """An input for the next turn, or for this one."""
    ingress = TurnInputIngressNextTurn() if turn is None else TurnInputIngressActiveTurn(turn)
    return PendingTurnInputDraft(
        session_id=session, source_key=key, input_id=input_id, ingress=ingress, input=TurnInput((Text(text),))
    )


def late_draft(text: str, turn: str, key: str | None = None) -> PendingTurnInputDraft:
    """An input for this turn that may be taken only before its completion."""
    ingress = TurnInputIngressActiveTurn(turn, TurnInputCheckpointBoundary.BeforeCompletion)
    return replace(draft(text, key=key), ingress=ingress)


def work(
    text: str = "wake",
    *,
    session: str = "s",
    key: str | None = None,
    slot: SlotPolicy = SlotPolicy.Join,
    payloads: tuple[QueuedWorkPayload, ...] | None = None,
    available_at: int = 0,
) -> QueuedWorkBatchDraft:
    """A batch of turn work that joins others."""
    return QueuedWorkBatchDraft(
        session_id=session,
        source_key=key,
        delivery_policy=DeliveryPolicy.EarliestSafeBoundary,
        slot_policy=slot,
        available_at_ms=available_at,
        payloads=(ProcessWake(Json({"text": text})),) if payloads is None else payloads,
    )


def command(session: str = "s") -> QueuedWorkBatchDraft:
    """A batch of one session command."""
    return work(session=session, slot=SlotPolicy.Exclusive, payloads=(QueuedWorkPayloadSessionCommand(ResetSession("why")),))


def claimed_next(
    store: DuckDBRuntimePersistence, lease: SessionExecutionLease, most: int = 1_000, ttl: int = TTL
) -> TurnInputClaim:
    """The claim of inputs for the next turn, of which there are some."""
    claim = store.claim_next_turn_inputs(lease.session_id, lease.fence(), HOLDER, ttl, most)
    assert claim is not None
    return claim


def claimed_active(
    store: DuckDBRuntimePersistence, lease: SessionExecutionLease, turn: str, most: int = 1_000, ttl: int = TTL
) -> TurnInputClaim:
    """The claim of inputs for this turn, of which there are some, after work."""
    claim = store.claim_active_turn_inputs(lease.session_id, lease.fence(), HOLDER, turn, AFTER_WORK, ttl, most)
    assert claim is not None
    return claim


def claimed_work(
    store: DuckDBRuntimePersistence, lease: SessionExecutionLease, most: int = 1_000, ttl: int = TTL
) -> QueuedWorkClaim:
    """The claim of turn work, of which there is some."""
    claim = store.claim_ready_queued_work(lease.session_id, lease.fence(), HOLDER, IDLE, ttl, most)
    assert claim is not None
    return claim


class World(NamedTuple):
    """A store with something of every kind in it, and what was answered on the way."""

    store: DuckDBRuntimePersistence
    lease: SessionExecutionLease
    other: SessionExecutionLease
    taken: TurnInputClaim
    accepted: TurnInputClaim
    work: QueuedWorkClaim
    first: RuntimeCommit
    input_id: str
    """Of an input that waits."""
    batch_id: str
    """Of a batch that waits."""


META = SessionMeta("s", "name", "then", "model")
KEYED = (
    draft("taken", key="taken"),
    draft("accepted", key="accepted", turn="t1"),
    late_draft("late", "t1", key="late"),
    draft("waits", key="waits"),
    draft("waits too", key="waits too"),
)
KEYED_WORK = (work("taken", key="work taken"), work("waits", key="work waits"))


def world(store: DuckDBRuntimePersistence) -> World:
    """A session with a commit behind it, a tombstoned node, an old checkpoint, and inputs and batches in every state."""
    lease = acquired(store)
    other = acquired(store, BOB, "other")
    first = full_commit(lease, release=False)
    store.commit_runtime_state(full_commit(lease, 7, release=False))
    store.commit_runtime_state(first)
    store.tombstone_nodes(("n7",))
    store.save_session_meta(META)
    for number, session in enumerate(("s", "s", "other")):
        store.record_intent(AttachmentIntent(f"a{number}", session, f"uri {number}", 10 + number))
    store.commit_refs("s", ("a0",))
    store.enqueue_pending_turn_input(draft("over", key="over"))
    store.cancel_pending_turn_inputs("s", (SourceKey("over"),))
    store.enqueue_pending_turn_input(KEYED[0])
    store.enqueue_pending_turn_input(KEYED[1])
    taken, accepted = claimed_next(store, lease), claimed_active(store, lease, "t1")
    for each in (*KEYED[2:], draft("other's", session="other")):
        store.enqueue_pending_turn_input(each)
    store.enqueue_queued_work(KEYED_WORK[0])
    held = claimed_work(store, lease)
    batch = store.enqueue_queued_work(KEYED_WORK[1])
    store.enqueue_queued_work(work(session="other"))
    claimed_work(store, other)
    store.enqueue_queued_work(command("other"))
    (waiting, *_) = store.list_pending_turn_inputs("s")
    return World(store, lease, other, taken, accepted, held, first, waiting.input_id, batch.batch_id)


@cache
def _world() -> tuple[World, Rows]:
    engine = Engine()
    return world(store_on(engine)), found(engine)


def same_world(engine: Engine) -> World:
    """A `world` on a new engine, in a third of the time: its rows are those of one that was made once."""
    made, rows = _world()
    put_in(engine, rows)
    return made._replace(store=store_on(engine))


GRAPHS: dict[str, GraphCommitDelta] = {
    "append": Append((node("a"), node("b", "a")), "b"),
    "append of a stored node": Append((node("n0", "z"), node("b")), "b"),
    "full replacement": ReplaceFull(SessionGraph((node("n0"), node("c")), "c")),
}


def settling(there: World, graph: GraphCommitDelta = GRAPHS["append"], *, release: bool = True) -> RuntimeCommit:
    """A commit that has every part there is, completions, a deferral and attachments too."""
    return replace(
        full_commit(there.lease, 1, release=release, graph=graph),
        completed_queue_claims=(there.work.completion(),),
        completed_turn_input_claims=(there.taken.completion(), there.accepted.completion()),
        interrupted_turn_input_turn_id="t1",
        committed_attachment_ids=("a1", "a2"),
    )


Call = Callable[[World], object]

LEASE_CALLS: dict[str, Call] = {
    "try_claim": lambda at: at.store.try_claim_session_execution_lease("s", ADA, 2 * TTL),
    "reclaim": lambda at: at.store.reclaim_session_execution_lease("s", BOB, at.lease.fence(), TTL),
    "renew": lambda at: at.store.renew_session_execution_lease(at.lease.fence(), 2 * TTL),
    "release": lambda at: at.store.release_session_execution_lease(at.lease.completion()),
}
COMMIT_CALLS: dict[str, Call] = {
    "settling commit": lambda at: at.store.commit_runtime_state(settling(at)),
    "commit that defers nothing": lambda at: at.store.commit_runtime_state(
        replace(full_commit(at.lease, 1, release=False), interrupted_turn_input_turn_id="t9")
    ),
    "replay": lambda at: at.store.commit_runtime_state(
        replace(at.first, release_session_execution_lease=at.lease.completion())
    ),
}
INPUT_CALLS: dict[str, Call] = {
    "enqueue": lambda at: at.store.enqueue_pending_turn_input(draft("new", key="new")),
    "enqueue for a turn": lambda at: at.store.enqueue_pending_turn_input(draft("new", turn="t1")),
    "bulk cancel": lambda at: at.store.cancel_pending_turn_inputs("s", tuple(map(SourceKey, ("waits", "late", "taken", "-")))),
    "single cancel": lambda at: at.store.cancel_pending_turn_input("s", at.input_id),
    "suffix cancel": lambda at: at.store.cancel_pending_turn_input_suffix("s", SourceKey("accepted")),
    "active claim": lambda at: at.store.claim_active_turn_inputs(
        "s", at.lease.fence(), HOLDER, "t1", BEFORE_COMPLETION, TTL, 10
    ),
    "next claim": lambda at: at.store.claim_next_turn_inputs("s", at.lease.fence(), HOLDER, TTL, 10),
    "abandon of a next claim": lambda at: at.store.abandon_turn_input_claim(at.taken),
    "abandon of an active claim": lambda at: at.store.abandon_turn_input_claim(at.accepted),
}
WORK_CALLS: dict[str, Call] = {
    "enqueue work": lambda at: at.store.enqueue_queued_work(work("new", key="new")),
    "work claim": lambda at: at.store.claim_ready_queued_work("s", at.lease.fence(), HOLDER, IDLE, TTL, 10),
    "work claim by ids": lambda at: at.store.claim_ready_queued_work_by_batch_ids(
        "s", at.lease.fence(), HOLDER, IDLE, TTL, (at.batch_id,)
    ),
    "work claim by other ids": lambda at: at.store.claim_ready_queued_work_by_batch_ids(
        "s", at.lease.fence(), HOLDER, IDLE, TTL, ("unknown",)
    ),
    "command claim": lambda at: at.store.claim_leading_ready_session_command("other", at.other.fence(), HOLDER, TTL),
    "renew work": lambda at: at.store.renew_queued_work_claim(at.work, 2 * TTL),
    "abandon work": lambda at: at.store.abandon_queued_work_claim(at.work),
    "cancel work": lambda at: at.store.cancel_queued_work_batch("s", at.batch_id),
}
OTHER_CALLS: dict[str, Call] = {
    "metadata": lambda at: at.store.save_session_meta(SessionMeta("s", "new", "c", "m")),
    "tombstone": lambda at: at.store.tombstone_nodes(("n0", "unknown")),
    "vacuum": lambda at: at.store.vacuum(),
    "gc": lambda at: at.store.gc_unreachable(),
    "record intent": lambda at: at.store.record_intent(AttachmentIntent("new", "s", "uri", 11)),
    "record again": lambda at: at.store.record_intent(AttachmentIntent("a1", "s", "another uri", 11)),
    "commit refs": lambda at: at.store.commit_refs("s", ("a1", "a2")),
    "forget": lambda at: at.store.forget("a0"),
}
EVERY_CALL = LEASE_CALLS | COMMIT_CALLS | INPUT_CALLS | WORK_CALLS | OTHER_CALLS
"""A call of every kind that writes, each of which changes the store above."""


def at_time(store: DuckDBRuntimePersistence, now: int) -> DuckDBRuntimePersistence:
    """The same store with its clock elsewhere."""
    return DuckDBRuntimePersistence.over(store._engine, clock=lambda: now, process_alive=everybody_dead)


def observed(store: DuckDBRuntimePersistence) -> dict[str, object]:
    """Everything that can be read without a change, now and after all claims have lapsed; replays of keyed drafts too."""
    seen: dict[str, object] = {
        "full graph": store.load_session(FullGraph()),
        "active path": store.load_session(ActivePath()),
        "nodes": [store.load_node(name) for name in ("n0", "m0", "n7", "m7", "a", "b")],
        "metadata": store.load_session_meta(),
        "uncommitted": store.list_uncommitted(2**64 - 1),
    }
    for now in (NOW, NOW + 2 * TTL):
        then = at_time(store, now)
        for session in ("s", "other"):
            seen[f"inputs of {session} at {now}"] = then.list_pending_turn_inputs(session)
            seen[f"pending batches of {session} at {now}"] = then.list_pending_queued_work(session)
            seen[f"batches of {session}"] = then.list_queued_work(session)
    return seen


def outcomes(store: DuckDBRuntimePersistence, ids: tuple[str, ...], session: str = "s") -> list[str]:
    """What a cancellation of these inputs answers, by its kind."""
    return [type(each.outcome).__name__ for each in store.cancel_pending_turn_inputs(session, tuple(map(InputId, ids)))]


def cancelled_now(store: DuckDBRuntimePersistence, ids: tuple[str, ...]) -> int:
    """How many of the inputs a cancellation finds waiting."""
    return outcomes(store, ids).count(Cancelled.__name__)
