"""Many callers at once on few things: workers of each chapter, run by threads on a store, or laid over each other by a seed.

What each worker asks is drawn from a seed. Laid over each other, calls take effect one after the other in an order that is
drawn, and each lasts from somewhere behind the call before of its worker to somewhere before the next: the same seed, the same
history.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeAlias

from fencepost.kit.histories.recorder import record
from fencepost.spec import (
    Acquired,
    ActivePath,
    AgentEventEnvelope,
    AgentEventText,
    Append,
    AttachmentIntent,
    DeliveryPolicy,
    EventPayload,
    HydratedSessionCheckpoint,
    Json,
    LeaseOwnerIdentity,
    PendingTurnInputDraft,
    PersistedSessionConfig,
    ProcessWake,
    Progress,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    RunApplyBoundary,
    RuntimeCommit,
    RuntimeState,
    SessionDelta,
    SessionNodeRecord,
    SlotPolicy,
    StoreError,
    Text,
    TurnInput,
    TurnInputIngressNextTurn,
)
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore
from production import CLOCK, INSTANT, uuid

WORKERS = 8
TTL = 30_000
SESSIONS = ("s0", "s1", "s2")

Worker: TypeAlias = Generator[tuple[Any, ...], Any, None]
"""What a worker asks, call by call: a part of the stores, a method, its arguments. It is sent what was answered or raised."""


def _claimed(number: int, draw: random.Random) -> Generator[tuple[Any, ...], Any, Any]:
    """The session that was leased, and its lease; None if somebody else has it."""
    session, owner = draw.choice(SESSIONS), LeaseOwnerIdentity(f"worker-{number}", "1")
    outcome = yield ("runtime_persistence", "try_claim_session_execution_lease", session, owner, TTL)
    return session, owner, outcome.lease if isinstance(outcome, Acquired) else None


def leases(number: int, draw: random.Random) -> Worker:
    """Claims a session, renews it now and then, and lets it go."""
    while True:
        _, _, lease = yield from _claimed(number, draw)
        if lease:
            for _ in range(draw.randrange(3)):
                yield ("runtime_persistence", "renew_session_execution_lease", lease.fence(), TTL)
            yield ("runtime_persistence", "release_session_execution_lease", lease.completion())


def inputs(number: int, draw: random.Random) -> Worker:
    """Submits inputs to any session, and claims, cancels, gives back those of a session that it leased."""
    while True:
        draft = PendingTurnInputDraft(
            session_id=draw.choice(SESSIONS),
            ingress=TurnInputIngressNextTurn(),
            input=TurnInput((Text(f"of {number}"),)),
            source_key=draw.choice((None, None, f"key-{draw.randrange(40)}")),
        )
        waiting = yield ("runtime_persistence", "enqueue_pending_turn_input", draft)
        if draw.random() < 0.3 and not isinstance(waiting, StoreError):
            yield ("runtime_persistence", "cancel_pending_turn_input", draft.session_id, waiting.input_id)
        session, owner, lease = yield from _claimed(number, draw)
        yield ("runtime_persistence", "list_pending_turn_inputs", session)
        if lease:
            claim = yield ("runtime_persistence", "claim_next_turn_inputs", session, lease.fence(), owner, TTL, 2)
            if claim and not isinstance(claim, StoreError):
                if draw.random() < 0.5:
                    yield ("runtime_persistence", "abandon_turn_input_claim", claim)
                for each in claim.inputs:
                    yield ("runtime_persistence", "cancel_pending_turn_input", session, each.input_id)
            yield ("runtime_persistence", "release_session_execution_lease", lease.completion())


def work(number: int, draw: random.Random) -> Worker:
    """Submits work to any session, and claims, renews, gives back that of a session that it leased."""
    while True:
        draft = QueuedWorkBatchDraft(
            session_id=draw.choice(SESSIONS),
            delivery_policy=DeliveryPolicy.EarliestSafeBoundary,
            slot_policy=SlotPolicy.Join,
            payloads=(ProcessWake(Json(number)),),
        )
        batch = yield ("runtime_persistence", "enqueue_queued_work", draft)
        if draw.random() < 0.3 and not isinstance(batch, StoreError):
            yield ("runtime_persistence", "cancel_queued_work_batch", draft.session_id, batch.batch_id)
        session, owner, lease = yield from _claimed(number, draw)
        yield ("runtime_persistence", "list_queued_work", session)
        if lease:
            idle = QueuedWorkClaimBoundary.Idle
            claim = yield ("runtime_persistence", "claim_ready_queued_work", session, lease.fence(), owner, idle, TTL, 2)
            if claim and not isinstance(claim, StoreError):
                yield ("runtime_persistence", "renew_queued_work_claim", claim, TTL)
                yield ("runtime_persistence", "abandon_queued_work_claim", claim)
                for each in claim.batches:
                    yield ("runtime_persistence", "cancel_queued_work_batch", session, each.batch_id)
            yield ("runtime_persistence", "release_session_execution_lease", lease.completion())


def commits(number: int, draw: random.Random) -> Worker:
    """Leases a session for a moment, and commits to it with the number of the head that it saw last, right or not; reads it."""
    revision, leaf, mine, owner = 0, None, 0, LeaseOwnerIdentity(f"worker-{number}", "1")
    while True:
        outcome = yield ("runtime_persistence", "try_claim_session_execution_lease", "s0", owner, draw.choice((0, 30, 90)))
        if not isinstance(outcome, Acquired):
            continue
        for _ in range(draw.randrange(2, 6)):
            mine += 1
            node = SessionNodeRecord(f"node-{number}-{mine}", leaf, EventPayload(Json(number)), INSTANT)
            commit = RuntimeCommit(
                session_id="s0",
                expected_head_revision=revision,
                config=PersistedSessionConfig("provider", Json(number)),
                graph=Append((node,), node.node_id),
                checkpoint=HydratedSessionCheckpoint(),
                session_execution_lease=outcome.lease.fence(),
            )
            yield ("runtime_persistence", "commit_runtime_state", commit)
            if draw.random() < 0.2:
                yield ("runtime_persistence", "load_node", node.node_id)
            seen = yield ("runtime_persistence", "load_session", ActivePath())
            if seen is not None and not isinstance(seen, StoreError):
                revision, leaf = seen.head_revision, seen.graph.leaf_node_id
        if draw.random() < 0.1:
            yield ("runtime_persistence", "gc_unreachable")
        if draw.random() < 0.1:
            yield ("runtime_persistence", "vacuum")
        if draw.random() < 0.8:
            yield ("runtime_persistence", "release_session_execution_lease", outcome.lease.completion())


def attachments(number: int, draw: random.Random) -> Worker:
    """Records, stamps and forgets attachments of a few names, and lists those that nobody committed."""
    while True:
        name = f"attachment-{draw.randrange(6)}"
        intent = AttachmentIntent(name, draw.choice(SESSIONS), f"file:///{name}", draw.randrange(100))
        yield ("runtime_persistence", "record_intent", intent)
        if draw.random() < 0.2:
            yield ("runtime_persistence", "commit_refs", intent.session_id, (name,))
        if draw.random() < 0.5:
            yield ("runtime_persistence", "forget", name)
        yield ("runtime_persistence", "list_uncommitted", 1_000)


def runtimes(number: int, draw: random.Random) -> Worker:
    """Sets the state of one of three runtimes, commits boundaries of it, and reads both."""
    while True:
        name = draw.choice(("r0", "r1", "r2"))
        yield ("runtime", "persist_runtime_state", name, draw.choice(list(RuntimeState)))
        yield ("runtime", "load_runtime_state", name)
        messages = f'[{{"role":"user","content":"{number}"}}]'
        text = f'{{"id":"{uuid(4)}","created_at":{CLOCK},"updated_at":{CLOCK},"messages":{messages}}}'
        delta = SessionDelta(text.encode())
        yield ("runtime", "commit_session_boundary", name, delta, uuid(draw.randrange(3)), RunApplyBoundary.RunStart, (), ())
        yield ("runtime", "load_session_snapshot", name)


def events(number: int, draw: random.Random) -> Worker:
    """Appends events to the turn that two threads are at, and seldom reads one, ends one, or clears a thread."""
    mine = 0
    while True:
        thread, turn = draw.choice(("th0", "th1")), mine // 40
        mine += 1
        said = AgentEventText(message_id=f"m{number}", text="hello")
        yield ("event", "append", thread, turn, AgentEventEnvelope(uuid(number << 24 | mine), mine, INSTANT, said))
        if draw.random() < 0.05:
            yield ("event", "get_turn", thread, turn)
        if draw.random() < 0.01:
            yield ("event", "finish_turn", thread, turn)
        if draw.random() < 0.004:
            yield ("event", "get_turns", thread)
        if draw.random() < 0.002:
            yield ("event", "clear", thread)


def outputs(number: int, draw: random.Random) -> Worker:
    """Appends outputs of a few attempts under two names, and seldom lists those of an attempt, or asks for the latest."""
    mine = 0
    while True:
        mine += 1
        task, producer = f"task-{mine // 30}-{draw.randrange(2)}", draw.choice(("ann", "ben"))
        yield ("output", "append", task, 1, producer, Progress(f"{number}", f"step {mine}"), ())
        if draw.random() < 0.1:
            yield ("output", "list_for_attempt", task, 1)
        if draw.random() < 0.1:
            yield ("output", "get_latest_by_name", producer)


CONTENDED: dict[str, Callable[[int, random.Random], Worker]] = {
    "lease": leases,
    "turn_input": inputs,
    "queued_work": work,
    "commit": commits,
    "attachment": attachments,
    "runtime": runtimes,
    "event": events,
    "output": outputs,
}
"""A worker for each chapter; that of commits reads sessions, and cleans them up."""


def answered(stores: Any, asked: tuple[Any, ...]) -> Any:
    """What the stores answer, or refuse."""
    part, method, *arguments = asked
    try:
        return getattr(getattr(stores, part), method)(*arguments)
    except StoreError as error:
        return error


def in_threads(stores: Any, worker: Callable[[int, random.Random], Worker], calls: int, seed: int = 0) -> None:
    """So many calls, by a thread for each worker."""

    def work_through(number: int) -> None:
        asking = worker(number, random.Random(f"{seed} {number}"))
        asked = next(asking)
        for _ in range(calls // WORKERS):
            asked = asking.send(answered(stores, asked))

    threads = [threading.Thread(target=work_through, args=(number,)) for number in range(WORKERS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


def laid_over(file: Path, chapter: str, calls: int, seed: int = 0, make: Callable[[Environment], Any] = ModelStore) -> Path:
    """The history of so many calls of one chapter, laid over each other."""
    draw, environment = random.Random(seed), Environment(file.parent)
    clock = environment.clock
    stores = record(make(environment), file, clock=clock)
    asking = [CONTENDED[chapter](number, random.Random(f"{seed} {number}")) for number in range(WORKERS)]
    asked = [next(each) for each in asking]
    turns, instants = [draw.randrange(WORKERS) for _ in range(calls)], []
    for number in turns:
        clock.move_to(clock.now + draw.choice((0, 1, 2)))
        instants.append(clock.now)
        asked[number] = asking[number].send(answered(stores, asked[number]))
    stores.close()
    head, *lines, closed = [json.loads(line) for line in file.read_text().splitlines()]
    spans = _spans(turns, draw)
    ends = sorted(end for _, end in spans)
    order = sorted(range(calls), key=lambda place: spans[place][1])
    for rank, place in enumerate(order):
        began, end = spans[place]
        before = sum(each < began for each in ends[max(0, rank - 400) : rank]) + max(0, rank - 400)
        at = [instants[max(0, int(began))], instants[min(calls - 1, int(end))]]
        lines[place] |= {"at": at, "by": turns[place] + 1} | ({"over": rank - before} if rank > before else {})
    lines = [head, *(lines[place] for place in order), closed]
    file.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    return file


def _spans(turns: list[int], draw: random.Random) -> list[tuple[float, float]]:
    """From where to where each call lasts, around its own place, in places; those of one worker do not touch."""
    began = [0.0] * WORKERS
    last: dict[int, int] = {}
    spans = [(0.0, float(place) + 0.5) for place in range(len(turns))]
    for place, number in enumerate(turns):
        if number in last:
            end, begin = sorted(draw.uniform(last[number] + 0.01, place - 0.01) for _ in range(2))
            spans[last[number]] = (began[number], end)
            began[number] = begin
        last[number] = place
        spans[place] = (began[number], place + 0.5)
    return spans
