"""A load of calls of every kind, in threads, that acknowledges each call; and what must be there after so many of them.

Each lane is a thread with keys and, but for the turns, a session of its own, and makes one call per step. What a lane's calls
leave after n steps is written down here as plain facts, so whoever kills the process knows what to look for: the facts after
the steps that were acknowledged, or after one more, and nothing in between.

Run as a program (`impl_load.py STORE ACKNOWLEDGEMENTS LABEL SEED`) it goes on until it is killed.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from fencepost.impl import DuckDBRuntimePersistence
from fencepost.spec import (
    Append,
    AttachmentIntent,
    FullGraph,
    HydratedSessionCheckpoint,
    PersistedTurnState,
    QueuedWorkClaim,
    RuntimeCommit,
    RuntimeTurnCommitStamp,
    SessionMeta,
    SourceKey,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    TurnInputClaim,
)
from impl_builders import ADA, NOW, TTL, acquired, everybody_dead, node, plain_commit, run
from impl_entries import claimed_active, claimed_next, claimed_work, draft, late_draft, work
from msgspec.structs import replace

Facts = dict[str, object]


def opened(path: Path) -> DuckDBRuntimePersistence:
    """The store in the file, with a still clock."""
    return DuckDBRuntimePersistence(path, clock=lambda: NOW, process_alive=everybody_dead)


Waiting = tuple[str, bool, int]


def waiting(store: DuckDBRuntimePersistence, label: str) -> dict[str, Waiting]:
    """Of each input with such a key that is not over, its state, whether it is claimed, and how often it was."""
    sql = """SELECT source_key, state, claim_token IS NOT NULL, claim_fencing_token FROM inputs
        WHERE starts_with(source_key, ?) AND state NOT IN ('completed', 'cancelled')"""
    return {key: (state, held, claims) for key, state, held, claims in run(store._engine, sql, label)}


def queued(store: DuckDBRuntimePersistence, label: str) -> dict[str, int]:
    """Of each batch with such a key, when the claim on it ends; 0 without one."""
    sql = "SELECT source_key, claim_expires_at FROM batches WHERE starts_with(source_key, ?)"
    return dict(run(store._engine, sql, label))


class Lane:
    """A thread's calls, in cycles of steps. `label` begins every key of it, `base` is the head revision that was there."""

    cycle: int

    def __init__(self, label: str, seed: int, base: int) -> None:
        self.label, self.seed, self.base = f"{label} {type(self).__name__} ", seed, base

    def step(self, store: DuckDBRuntimePersistence, number: int) -> Iterable[object]:
        """Make the call; the names and numbers that it was given."""
        raise NotImplementedError

    def after(self, steps: int) -> Facts:
        """What is there after so many steps."""
        raise NotImplementedError

    def found(self, store: DuckDBRuntimePersistence) -> Facts:
        """What is there."""
        raise NotImplementedError

    def key(self, cycle: int, name: str = "") -> str:
        """A name that only this cycle has."""
        return f"{self.label}{cycle:04} {name}"


def names_of(claim: TurnInputClaim | QueuedWorkClaim) -> list[str]:
    """What is new in a claim."""
    return [claim.claim_id, claim.lease_token]


class Turns(Lane):
    """Inputs of three kinds, two batches and an attachment; all claimed; one commit settles them, another call hides a node."""

    cycle = 11
    accepted: TurnInputClaim
    taken: TurnInputClaim
    held: QueuedWorkClaim

    def step(self, store: DuckDBRuntimePersistence, number: int) -> Iterable[object]:
        """See `Lane`."""
        turn, stage = divmod(number, self.cycle)
        if stage in (0, 1, 2):
            name = self.key(turn)
            drafts = (
                draft("a", key=name + "active", turn=name),
                late_draft("l", name, key=name + "late"),
                draft("n", key=name + "next"),
            )
            made = store.enqueue_pending_turn_input(drafts[stage])
            return [made.input_id, f"input {made.enqueue_seq}"]
        if stage in (3, 4):
            batch = store.enqueue_queued_work(work(key=self.key(turn, f"batch {stage}")))
            return [batch.batch_id, f"batch {batch.enqueue_seq}"]
        if stage == 5:
            store.record_intent(AttachmentIntent(self.key(turn), "s", "uri", 1))
        elif stage == 6:
            self.accepted = claimed_active(store, acquired(store), self.key(turn))
            return names_of(self.accepted)
        elif stage == 7:
            self.taken = claimed_next(store, acquired(store))
            return names_of(self.taken)
        elif stage == 8:
            self.held = claimed_work(store, acquired(store))
            return names_of(self.held)
        elif stage == 9:
            store.commit_runtime_state(self.commit(store, turn))
        else:
            store.tombstone_nodes((self.key(turn, "drop"),))
        return []

    def commit(self, store: DuckDBRuntimePersistence, turn: int) -> RuntimeCommit:
        """The commit of the turn, with every part there is but a release."""
        name = self.key(turn)
        return replace(
            plain_commit(acquired(store), turn, Append((node(name + "keep"), node(name + "drop")), name + "keep")),
            checkpoint=HydratedSessionCheckpoint(PersistedTurnState(turn), tool_state=ToolState(turn)),
            usage_deltas=(TokenLedgerEntry(self.label, "model", TokenUsage(1)),),
            turn_commit=RuntimeTurnCommitStamp("s", name, "hash"),
            completed_queue_claims=(self.held.completion(),),
            completed_turn_input_claims=(self.accepted.completion(), self.taken.completion()),
            interrupted_turn_input_turn_id=name,
            committed_attachment_ids=(name,),
        )

    def after(self, steps: int) -> Facts:
        """See `Lane`."""
        turn, stage = divmod(steps, self.cycle)
        committed = turn + (stage == 10)
        inputs: dict[str, Waiting] = {}
        batches: dict[str, int] = {}
        uncommitted: set[str] = set()
        if committed:
            # deferred by its own commit, completed by the next one
            held = committed == turn and stage > 7
            inputs[self.key(committed - 1, "late")] = ("deferred_next_turn", held, held)
        if committed == turn:
            states = {
                "active": ("accepted", True, 1) if stage > 6 else ("pending_active", False, 0),
                "late": ("pending_active", False, 0),
                "next": ("deferred_next_turn", stage > 7, int(stage > 7)),
            }
            inputs |= {self.key(turn, name): states[name] for name in list(states)[:stage]}
            batches = {self.key(turn, f"batch {each}"): (NOW + TTL) * (stage > 8) for each in (3, 4)[: max(0, stage - 3)]}
            uncommitted = {self.key(turn)} if stage > 5 else set()
        return {
            "inputs": inputs,
            "batches": batches,
            "uncommitted": uncommitted,
            "stamps": {self.key(each) for each in range(committed)},
            "nodes": {self.key(each, "keep") for each in range(committed)},
            "to hide": {self.key(turn, "drop")} if committed > turn else set(),
            "usage": committed,
            "revision": self.base + committed,
            # of a head that this lane has written, the checkpoint is there with its part, whatever was collected meanwhile
            "checkpoint": (committed - 1, committed - 1) if committed else None,
        }

    def found(self, store: DuckDBRuntimePersistence) -> Facts:
        """See `Lane`."""
        loaded = store.load_session(FullGraph())
        nodes = [] if loaded is None else [each.node_id for each in loaded.graph.nodes if each.node_id.startswith(self.label)]
        usage = [] if loaded is None else [each.usage.input_tokens for each in loaded.token_ledger if each.source == self.label]
        checkpoint = None if loaded is None or loaded.head_revision == self.base else loaded.checkpoint
        tools = None if checkpoint is None else checkpoint.tool_state
        uncommitted = [each.attachment_id for each in store.list_uncommitted(1)]
        stamps = run(store._engine, "SELECT turn_id FROM stamps WHERE starts_with(turn_id, ?)", self.label)
        return {
            "inputs": waiting(store, self.label),
            "batches": queued(store, self.label),
            "uncommitted": {name for name in uncommitted if name.startswith(self.label)},
            "stamps": {turn_id for (turn_id,) in stamps},
            "nodes": {each for each in nodes if each.endswith("keep")},
            "to hide": {each for each in nodes if each.endswith("drop")},
            "usage": sum(usage),
            "revision": 0 if loaded is None else loaded.head_revision,
            "checkpoint": checkpoint and (checkpoint.turn_state.turn_index, tools and tools.generation),
        }


class Cancels(Lane):
    """Four inputs, claimed and given back together, then cancelled together: by name or from the first on, as chance has it."""

    cycle = 7
    taken: TurnInputClaim

    def step(self, store: DuckDBRuntimePersistence, number: int) -> Iterable[object]:
        """See `Lane`."""
        cycle, stage = divmod(number, self.cycle)
        keys = [self.key(cycle, str(each)) for each in range(4)]
        if stage < 4:
            made = store.enqueue_pending_turn_input(draft("c", session=self.label, key=keys[stage]))
            return [made.input_id, f"input {made.enqueue_seq}"]
        if stage == 4:
            self.taken = claimed_next(store, acquired(store, ADA, self.label))
            return names_of(self.taken)
        if stage == 5:
            store.abandon_turn_input_claim(self.taken)
        elif random.Random(f"{self.seed} {cycle}").random() < 0.5:
            store.cancel_pending_turn_inputs(self.label, tuple(map(SourceKey, keys)))
        else:
            store.cancel_pending_turn_input_suffix(self.label, SourceKey(keys[0]))
        return []

    def after(self, steps: int) -> Facts:
        """See `Lane`."""
        cycle, stage = divmod(steps, self.cycle)
        held = ("deferred_next_turn", stage == 5, int(stage > 4))
        return {"inputs": {self.key(cycle, str(each)): held for each in range(min(stage, 4))}}

    def found(self, store: DuckDBRuntimePersistence) -> Facts:
        """See `Lane`."""
        return {"inputs": waiting(store, self.label)}


class Queue(Lane):
    """A lease, and three batches under it: claimed, renewed and given back together, removed one by one; the lease released."""

    cycle = 11
    held: QueuedWorkClaim

    def step(self, store: DuckDBRuntimePersistence, number: int) -> Iterable[object]:
        """See `Lane`."""
        cycle, stage = divmod(number, self.cycle)
        if stage in (1, 2, 3):
            made = store.enqueue_queued_work(work(session=self.label, key=self.key(cycle, str(stage))))
            return [made.batch_id, f"batch {made.enqueue_seq}"]
        if stage in (0, 4, 10):
            lease = acquired(store, ADA, self.label)
            if stage == 0:
                return [lease.lease_token]
            if stage == 10:
                store.release_session_execution_lease(lease.completion())
                return []
            self.held = claimed_work(store, lease)
            return names_of(self.held)
        if stage == 5:
            self.held = store.renew_queued_work_claim(self.held, 2 * TTL)
        elif stage == 6:
            store.abandon_queued_work_claim(self.held)
        else:
            assert store.cancel_queued_work_batch(self.label, self.held.batches[stage - 7].batch_id) is not None
        return []

    def after(self, steps: int) -> Facts:
        """See `Lane`."""
        cycle, stage = divmod(steps, self.cycle)
        there = range(max(1, stage - 6), min(stage, 4)) if stage < 10 else range(0)
        expiry = {5: NOW + TTL, 6: NOW + 2 * TTL}.get(stage, 0)
        return {
            "batches": {self.key(cycle, str(each)): expiry for each in there},
            "lease": [(cycle + (stage > 0), stage > 0)] if steps else [],
        }

    def found(self, store: DuckDBRuntimePersistence) -> Facts:
        """See `Lane`."""
        sql = "SELECT fencing_token, lease_token IS NOT NULL FROM leases WHERE session_id = ?"
        return {"batches": queued(store, self.label), "lease": run(store._engine, sql, self.label)}


class Upkeep(Lane):
    """Attachments recorded, stamped and forgotten, metadata saved; a vacuum and a collection beside everything else."""

    cycle = 7

    def step(self, store: DuckDBRuntimePersistence, number: int) -> Iterable[object]:
        """See `Lane`."""
        cycle, stage = divmod(number, self.cycle)
        names = (self.key(cycle, "one"), self.key(cycle, "two"))
        calls: tuple[Callable[[], object], ...] = (
            lambda: store.record_intent(AttachmentIntent(names[0], self.label, "uri", 1)),
            lambda: store.record_intent(AttachmentIntent(names[1], self.label, "uri", 1)),
            lambda: store.commit_refs(self.label, names),
            lambda: store.save_session_meta(SessionMeta("s", self.key(cycle), "then", "model")),
            store.vacuum,
            store.gc_unreachable,
            lambda: store.forget(names[0]),
        )
        calls[stage]()
        return []

    def after(self, steps: int) -> Facts:
        """See `Lane`."""
        cycle, stage = divmod(steps, self.cycle)
        rows = {self.key(each, "two"): True for each in range(cycle)}
        rows |= {self.key(cycle, name): stage > 2 for name in ("one", "two")[:stage]}
        saved = cycle - (stage < 4)
        return {"attachments": rows, "metadata": self.key(saved) if saved >= 0 else None}

    def found(self, store: DuckDBRuntimePersistence) -> Facts:
        """See `Lane`."""
        sql = "SELECT attachment_id, committed_at IS NOT NULL FROM attachments WHERE starts_with(attachment_id, ?)"
        meta = store.load_session_meta()
        named = None if meta is None or not meta.session_name.startswith(self.label) else meta.session_name
        return {"attachments": dict(run(store._engine, sql, self.label)), "metadata": named}


LANES: tuple[type[Lane], ...] = (Turns, Cancels, Queue, Upkeep)


def lanes(label: str, seed: int, base: int) -> list[Lane]:
    """The lanes of a run."""
    return [lane(label, seed, base) for lane in LANES]


def load(path: Path, acknowledgements: Path, label: str, seed: int) -> None:
    """Run every lane in a thread of its own, for ever."""
    store = opened(path)
    acknowledge_forever({type(lane).__name__: partial(lane.step, store) for lane in lanes(label, seed, 0)}, acknowledgements)


def acknowledge_forever(lanes: dict[str, Callable[[int], Iterable[object]]], acknowledgements: Path) -> None:
    """Take the steps of each lane in a thread; each call is acknowledged by a line before the next one is made."""
    log = os.open(acknowledgements, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def work_on(lane: str) -> None:
        step = 0
        try:
            while True:
                names = list(lanes[lane](step))
                step += 1
                os.write(log, (json.dumps([lane, step, names]) + "\n").encode())
        except BaseException as error:
            os.write(log, (json.dumps([lane, -1, [repr(error)]]) + "\n").encode())
            os._exit(1)

    for lane in lanes:
        threading.Thread(target=work_on, args=(lane,)).start()


if __name__ == "__main__":
    load(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
