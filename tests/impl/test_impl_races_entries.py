"""Races of inputs, queued work, commits and maintenance: at every point of one call another one is let in.

What comes out is always what comes out if one begins when the other has ended. Each pair is fought both ways round.
"""

from __future__ import annotations

from types import ModuleType

import pytest
from fencepost.impl import commit as commit_module
from fencepost.impl import input_rows
from fencepost.impl import lease as lease_module
from fencepost.impl import maintenance as maintenance_module
from fencepost.impl.engine import Statement
from fencepost.spec import (
    Append,
    AttachmentIntent,
    ReplaceFull,
    SessionGraph,
    SourceKey,
)
from impl_arena import Arena, arena, arena_of_entries, no_chance, require_one_after_the_other
from impl_builders import NOW, TTL, full_commit, node, owner, plain_commit, run
from impl_entries import (
    BEFORE_COMPLETION,
    EVERY_CALL,
    HOLDER,
    IDLE,
    Call,
    World,
    at_time,
    draft,
    settling,
    work,
)
from msgspec.structs import replace

__all__ = ["arena", "no_chance"]

CAROL = replace(owner("carol"), liveness=HOLDER.liveness)


def later(call: Call) -> Call:
    """The call by somebody to whose clock all claims have lapsed."""
    return lambda at: call(at._replace(store=at_time(at.store, NOW + 2 * TTL)))


CALLS: dict[str, Call] = {
    **EVERY_CALL,
    "settle": lambda at: at.store.commit_runtime_state(settling(at, release=False)),
    "commit without a stamp": lambda at: at.store.commit_runtime_state(replace(settling(at, release=False), turn_commit=None)),
    "commit a collected checkpoint": lambda at: at.store.commit_runtime_state(
        replace(full_commit(at.lease, 7, release=False), turn_commit=None, graph=Append())
    ),
    "revive the hidden node": lambda at: at.store.commit_runtime_state(
        plain_commit(at.lease, 3, Append((node("n7", "anew"), node("n9")), "n9"))
    ),
    "replace the nodes": lambda at: at.store.commit_runtime_state(
        plain_commit(at.lease, 3, ReplaceFull(SessionGraph((node("n7"), node("n9")), "n9")))
    ),
    "hide n9": lambda at: at.store.tombstone_nodes(("n9", "n0")),
    "another's next claim": lambda at: at.store.claim_next_turn_inputs("s", at.lease.fence(), CAROL, TTL, 1),
    "another's active claim": lambda at: at.store.claim_active_turn_inputs(
        "s", at.lease.fence(), CAROL, "t1", BEFORE_COMPLETION, TTL, 10
    ),
    "another's work claim": lambda at: at.store.claim_ready_queued_work("s", at.lease.fence(), CAROL, IDLE, TTL, 10),
    "another's command claim": lambda at: at.store.claim_leading_ready_session_command("other", at.other.fence(), CAROL, TTL),
    "takeover of the other lane": lambda at: at.store.reclaim_session_execution_lease("other", CAROL, at.other.fence(), TTL),
    "late next claim": later(lambda at: at.store.claim_next_turn_inputs("s", at.lease.fence(), CAROL, TTL, 1)),
    "late work claim": later(lambda at: at.store.claim_ready_queued_work("s", at.lease.fence(), CAROL, IDLE, TTL, 1)),
    "late cancel": later(lambda at: at.store.cancel_pending_turn_inputs("s", (SourceKey("taken"), SourceKey("accepted")))),
    "late work cancel": later(lambda at: at.store.cancel_queued_work_batch("s", at.work.batches[0].batch_id)),
    "late suffix cancel": later(lambda at: at.store.cancel_pending_turn_input_suffix("s", SourceKey("over"))),
    "cancel what waits": lambda at: at.store.cancel_pending_turn_inputs("s", (SourceKey("waits"), SourceKey("late"))),
    "cancel the new": lambda at: at.store.cancel_pending_turn_inputs("s", (SourceKey("new"),)),
    "suffix from the last": lambda at: at.store.cancel_pending_turn_input_suffix("s", SourceKey("waits too")),
    "same key": lambda at: at.store.enqueue_pending_turn_input(draft("new", key="new")),
    "same key, other words": lambda at: at.store.enqueue_pending_turn_input(draft("newer", key="new")),
    "same key, same id": lambda at: at.store.enqueue_pending_turn_input(draft("new", key="new", input_id="i")),
    "another key, same id": lambda at: at.store.enqueue_pending_turn_input(draft("new", key="newer", input_id="i")),
    "no key": lambda at: at.store.enqueue_pending_turn_input(draft("new")),
    "no key elsewhere": lambda at: at.store.enqueue_pending_turn_input(draft("new", session="other")),
    "for a turn that nothing waits for": lambda at: at.store.enqueue_pending_turn_input(draft("new", turn="t9")),
    "replay of what is over": lambda at: at.store.enqueue_pending_turn_input(draft("over", key="over")),
    "work of the same key": lambda at: at.store.enqueue_queued_work(work("other", key="new")),
    "work without a key": lambda at: at.store.enqueue_queued_work(work("new")),
    "work of the key that is done": lambda at: at.store.enqueue_queued_work(work("again", key="work taken")),
    "forget what is stamped": lambda at: at.store.forget("a1"),
    "record what is forgotten": lambda at: at.store.record_intent(AttachmentIntent("a1", "other", "new uri", 99)),
    "stamp": lambda at: at.store.commit_refs("s", ("a1",)),
}

PAIRS = {
    "an entry goes to one claimer only": (
        ("next claim", "another's next claim"),
        ("active claim", "another's active claim"),
        ("work claim", "another's work claim"),
        ("command claim", "another's command claim"),
        ("late next claim", "next claim"),
        ("late work claim", "work claim"),
    ),
    "no claim lands after a takeover of the lane": (
        ("next claim", "reclaim"),
        ("active claim", "reclaim"),
        ("work claim", "reclaim"),
        ("command claim", "takeover of the other lane"),
        ("next claim", "release"),
    ),
    "a commit settles what its claims hold": (
        ("settle", "abandon of a next claim"),
        ("settle", "late cancel"),
        ("settle", "renew work"),
        ("settle", "late work claim"),
        ("settle", "abandon of an active claim"),
        ("settle", "abandon work"),
        ("settle", "late work cancel"),
        ("settle", "late suffix cancel"),
        ("settle", "late next claim"),
        ("settle", "settle"),
        ("commit without a stamp", "commit without a stamp"),
        ("settle", "reclaim"),
    ),
    "a commit defers what waits for its turn": (
        ("settle", "enqueue for a turn"),
        ("commit that defers nothing", "for a turn that nothing waits for"),
        ("settle", "active claim"),
        ("settle", "cancel what waits"),
        ("settle", "next claim"),
        ("settle", "no key"),
    ),
    "a head never dangles": (
        ("settle", "gc"),
        ("commit a collected checkpoint", "gc"),
        ("replay", "gc"),
        ("gc", "gc"),
    ),
    "a node is hidden, or it is not": (
        ("revive the hidden node", "tombstone"),
        ("replace the nodes", "hide n9"),
        ("revive the hidden node", "vacuum"),
        ("revive the hidden node", "hide n9"),
        ("replace the nodes", "vacuum"),
        ("tombstone", "vacuum"),
    ),
    "a vacuum takes what is over": (
        ("vacuum", "replay of what is over"),
        ("vacuum", "suffix cancel"),
        ("vacuum", "cancel what waits"),
        ("vacuum", "settle"),
        ("vacuum", "enqueue"),
        ("vacuum", "late suffix cancel"),
        ("vacuum", "vacuum"),
    ),
    "submissions get one number each, and one key one input": (
        ("enqueue", "same key"),
        ("enqueue", "same key, other words"),
        ("no key", "no key"),
        ("enqueue work", "work of the same key"),
        ("enqueue", "same key, same id"),
        ("same key, same id", "another key, same id"),
        ("no key", "no key elsewhere"),
        ("work without a key", "work without a key"),
        ("no key", "work without a key"),
        ("settle", "work of the key that is done"),
    ),
    "an input is cancelled or claimed": (
        ("cancel what waits", "next claim"),
        ("cancel work", "work claim"),
        ("late cancel", "late next claim"),
        ("suffix cancel", "next claim"),
        ("cancel what waits", "active claim"),
        ("late cancel", "abandon of a next claim"),
        ("cancel what waits", "bulk cancel"),
        ("late work cancel", "renew work"),
        ("late work cancel", "late work claim"),
        ("renew work", "late work claim"),
        ("abandon work", "renew work"),
        ("abandon of a next claim", "late next claim"),
        ("abandon of a next claim", "next claim"),
    ),
    "a suffix has an end": (
        ("suffix from the last", "no key"),
        ("suffix cancel", "enqueue for a turn"),
        ("suffix from the last", "no key elsewhere"),
        ("cancel the new", "enqueue"),
    ),
    "an attachment has one row": (
        ("settle", "forget what is stamped"),
        ("settle", "record again"),
        ("settle", "stamp"),
        ("stamp", "forget what is stamped"),
        ("record again", "stamp"),
        ("record what is forgotten", "forget what is stamped"),
        ("record intent", "record intent"),
        ("record what is forgotten", "record again"),
    ),
    "what has nothing to do with each other passes": (
        ("enqueue", "enqueue work"),
        ("next claim", "work claim"),
        ("settle", "metadata"),
        ("settle", "no key elsewhere"),
        ("record intent", "enqueue"),
    ),
}


FAST = 4
"""How many pairs of each kind are fought in every run."""

FIGHTS = [
    pytest.param(pair, id=" / ".join(pair), marks=[pytest.mark.slow] if place >= FAST else [])
    for pairs in PAIRS.values()
    for place, pair in enumerate(pairs)
]


@pytest.mark.slow
@pytest.mark.parametrize("pair", FIGHTS)
def test_one_comes_after_the_other(arena: Arena[World], pair: tuple[str, str]) -> None:
    """Two calls that overlap at any point answer and leave what one after the other would."""
    assert require_one_after_the_other(arena, CALLS[pair[0]], CALLS[pair[1]])


def unguarded_inputs(kind: str) -> str:
    """The beginning of a statement that guards nothing."""
    return "WITH guarded AS (SELECT 1)"


NOTHING = Statement("write nothing", "SELECT 1")
READING = Statement("read the lease", f"SELECT 1 FROM leases WHERE {lease_module.FENCED}")
UNGUARDED: dict[str, tuple[tuple[str, str], ModuleType, str, object]] = {
    "a commit that finds nothing to defer": (
        ("commit that defers nothing", "for a turn that nothing waits for"),
        commit_module,
        "guard",
        lambda kind: NOTHING,
    ),
    "a commit that only reads the lease": (("settle", "reclaim"), lease_module, "GUARD", READING),
    "a collection that only reads the head": (
        ("commit a collected checkpoint", "gc"),
        maintenance_module,
        "GUARD_HEAD",
        NOTHING,
    ),
    "a vacuum that guards no head": (("revive the hidden node", "vacuum"), maintenance_module, "GUARD_HEAD", NOTHING),
    "a cancellation that guards no inputs": (("suffix from the last", "no key"), input_rows, "guarding", unguarded_inputs),
}


@pytest.mark.parametrize("name", UNGUARDED)
def test_a_call_that_guards_nothing_is_seen(arena: Arena[World], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Without the write by which two calls meet, what must not come out does: the test above would go red."""
    pair, module, what, instead = UNGUARDED[name]
    monkeypatch.setattr(module, what, instead)
    with pytest.raises(AssertionError, match="let in before statement"):
        require_one_after_the_other(arena, CALLS[pair[0]], CALLS[pair[1]])


def test_a_guard_that_is_deleted_and_inserted_is_seen(no_chance: None) -> None:
    """In a table with a key, to take a number would be a deletion of the guard, and whoever counts it up would pass."""
    arena = arena_of_entries()
    run(arena.engine, "ALTER TABLE guards ADD PRIMARY KEY (name)")
    with pytest.raises(AssertionError, match="let in before statement"):
        require_one_after_the_other(arena, CALLS["suffix from the last"], CALLS["no key"])
