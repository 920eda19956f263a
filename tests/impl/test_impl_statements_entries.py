"""What the calls on inputs, batches and attachments cost in statements: never one per row; and how they find their rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from fencepost.impl import Engine, attachment, input_rows, queued_work
from fencepost.impl.claim import UNCLAIMED
from fencepost.impl.engine import Statement
from fencepost.spec import (
    Append,
    AttachmentIntent,
    InputId,
    PendingTurnInputCancelTarget,
    ReplaceFull,
    RuntimeCommit,
    RuntimeTurnCommitStamp,
    SessionGraph,
    SourceKey,
    TokenLedgerEntry,
    TokenUsage,
    VacuumReport,
)
from impl_builders import ADA, BOB, TTL, CountingEngine, acquired, full_commit, node, plain_commit, run, store_on
from impl_entries import (
    AFTER_WORK,
    EVERY_CALL,
    HOLDER,
    IDLE,
    claimed_active,
    claimed_next,
    claimed_work,
    draft,
    late_draft,
    same_world,
    settling,
    work,
)
from msgspec.structs import replace

T = TypeVar("T")

STATEMENTS = {
    "enqueue": ["read the last number and equal inputs", "store the input"],
    "enqueue for a turn": ["read the last number and equal inputs", "store the input"],
    "bulk cancel": ["begin", "read the inputs", "store the inputs as cancelled", "commit"],
    "single cancel": ["begin", "read the inputs", "store the inputs as cancelled", "commit"],
    "suffix cancel": [
        *("begin", "read the inputs", "read the inputs from the anchor on", "store the inputs as cancelled", "commit")
    ],
    "active claim": ["begin", "read the fence and inputs to claim", "claim the inputs", "commit"],
    "next claim": ["begin", "read the fence and inputs to claim", "claim the inputs", "commit"],
    "abandon of a next claim": ["begin", "read what the claim holds", "put the inputs in line", "commit"],
    "abandon of an active claim": ["begin", "read what the claim holds", "put the inputs in line", "commit"],
    "enqueue work": ["read the last number and the batch of the key", "store the batch"],
    "work claim": ["begin", "read the fence and batches to claim", "claim the batches", "commit"],
    "work claim by ids": ["begin", "read the fence and batches to claim", "claim the batches", "commit"],
    "work claim by other ids": ["begin", "read the fence and batches to claim", "pass the batches by", "commit"],
    "command claim": ["begin", "read the fence and batches to claim", "claim the batches", "commit"],
    "renew work": ["renew the claim"],
    "abandon work": ["abandon the claim"],
    "cancel work": ["begin", "cancel the batch", "commit"],
    "tombstone": ["begin", "guard the head", "tombstone the nodes", "commit"],
    "vacuum": [
        *("begin", "guard the head", "guard the inputs", "remove the tombstoned nodes", "remove the inputs that are over"),
        "commit",
    ],
    "gc": ["begin", "guard the head", "read the head", "read the checkpoint", "remove the other blobs", "commit"],
    "record intent": ["record the attachment"],
    "record again": ["record the attachment"],
    "commit refs": ["stamp the attachments"],
    "forget": ["forget the attachment"],
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_each_call_sends_few_statements(name: str) -> None:
    """A claim is four statements, an enqueue two, a cancel four or five, BEGIN and COMMIT included."""
    engine = CountingEngine()
    there = same_world(engine)
    assert engine.during(lambda: EVERY_CALL[name](there)) == STATEMENTS[name]


def test_nothing_to_do_costs_less() -> None:
    """A claim of nothing sends three statements, of no size none; a replay one; a cancel of what is over three."""
    engine = CountingEngine()
    store = store_on(engine)
    lease = acquired(store)
    fence = lease.fence()
    store.enqueue_pending_turn_input(draft(key="key"))
    store.cancel_pending_turn_inputs("s", (SourceKey("key"),))
    store.enqueue_queued_work(work(key="key"))
    held = claimed_work(store, lease)
    costs: dict[str, tuple[int, Callable[[], object]]] = {
        "active claim": (3, lambda: store.claim_active_turn_inputs("s", fence, HOLDER, "t", AFTER_WORK, TTL, 9)),
        "next claim": (3, lambda: store.claim_next_turn_inputs("s", fence, HOLDER, TTL, 9)),
        "work claim": (3, lambda: store.claim_ready_queued_work("s", fence, HOLDER, IDLE, TTL, 9)),
        "command claim": (3, lambda: store.claim_leading_ready_session_command("s", fence, HOLDER, TTL)),
        "active claim of 0": (0, lambda: store.claim_active_turn_inputs("s", fence, HOLDER, "t", AFTER_WORK, TTL, 0)),
        "next claim of 0": (0, lambda: store.claim_next_turn_inputs("s", fence, HOLDER, TTL, 0)),
        "work claim of 0": (0, lambda: store.claim_ready_queued_work("s", fence, HOLDER, IDLE, TTL, 0)),
        "claim of no ids": (0, lambda: store.claim_ready_queued_work_by_batch_ids("s", fence, HOLDER, IDLE, TTL, ())),
        "replayed input": (1, lambda: store.enqueue_pending_turn_input(draft(key="key"))),
        "replayed batch": (1, lambda: store.enqueue_queued_work(work(key="key"))),
        "bulk cancel": (3, lambda: store.cancel_pending_turn_inputs("s", (SourceKey("key"), InputId("none")))),
        "cancel of nothing": (0, lambda: store.cancel_pending_turn_inputs("s", ())),
        "suffix cancel": (4, lambda: store.cancel_pending_turn_input_suffix("s", SourceKey("key"))),
        "suffix of nothing": (3, lambda: store.cancel_pending_turn_input_suffix("s", SourceKey("none"))),
        "cancel of a held batch": (3, lambda: store.cancel_queued_work_batch("s", held.batches[0].batch_id)),
        "list inputs": (1, lambda: store.list_pending_turn_inputs("s")),
        "list batches": (1, lambda: store.list_queued_work("s")),
        "list pending batches": (1, lambda: store.list_pending_queued_work("s")),
        "list uncommitted": (1, lambda: store.list_uncommitted(9)),
        "tombstone of nothing": (0, lambda: store.tombstone_nodes(())),
        "refs of nothing": (0, lambda: store.commit_refs("s", ())),
        "gc without a head": (5, lambda: store.gc_unreachable()),
    }
    assert {name: len(engine.during(call)) for name, (_, call) in costs.items()} == {
        name: cost for name, (cost, _) in costs.items()
    }


def counted(engine: CountingEngine, call: Callable[[], T]) -> tuple[int, T]:
    """How many statements the call sends, and its answer."""
    answers: list[T] = []
    sent = engine.during(lambda: answers.append(call()))
    return len(sent), answers[0]


def costs_by_rows(rows: int) -> dict[str, int]:
    """How many statements each call sends that has to do with so many rows."""
    engine = CountingEngine()
    store = store_on(engine)
    lease = acquired(store)
    for number in range(rows):
        store.enqueue_pending_turn_input(draft(key=f"bulk {number}", session="bulk"))
        store.enqueue_pending_turn_input(draft(key=f"suffix {number}", session="suffix"))
        store.enqueue_pending_turn_input(draft(key=f"next {number}"))
        store.enqueue_pending_turn_input(draft(key=f"active {number}", turn="t"))
        store.enqueue_pending_turn_input(late_draft("late", "t", key=f"late {number}"))
        store.enqueue_queued_work(work(key=f"work {number}"))
        store.record_intent(AttachmentIntent(f"a{number}", "s", "uri", 1))
    cost: dict[str, int] = {}
    bulk: tuple[PendingTurnInputCancelTarget, ...] = tuple(SourceKey(f"bulk {number}") for number in range(rows))
    cost["bulk cancel"], _ = counted(engine, lambda: store.cancel_pending_turn_inputs("bulk", bulk))
    cost["suffix cancel"], _ = counted(engine, lambda: store.cancel_pending_turn_input_suffix("suffix", SourceKey("suffix 0")))
    cost["list"], listed = counted(engine, lambda: store.list_pending_turn_inputs("s"))
    assert len(listed) == 3 * rows
    cost["next claim"], taken = counted(engine, lambda: claimed_next(store, lease))
    cost["active claim"], accepted = counted(engine, lambda: claimed_active(store, lease, "t"))
    cost["work claim"], held = counted(engine, lambda: claimed_work(store, lease))
    assert [len(each) for each in (taken.inputs, accepted.inputs, held.batches)] == [rows, rows, rows]
    cost["renew work"], _ = counted(engine, lambda: store.renew_queued_work_claim(held, TTL))
    cost["abandon work"], _ = counted(engine, lambda: store.abandon_queued_work_claim(held))
    cost["abandon next"], _ = counted(engine, lambda: store.abandon_turn_input_claim(taken))
    cost["abandon active"], _ = counted(engine, lambda: store.abandon_turn_input_claim(accepted))
    whole = replace(
        full_commit(lease, graph=Append(tuple(node(f"n{number}") for number in range(rows)))),
        completed_queue_claims=(claimed_work(store, lease).completion(),),
        completed_turn_input_claims=(claimed_next(store, lease).completion(), claimed_active(store, lease, "t").completion()),
        interrupted_turn_input_turn_id="t",
        committed_attachment_ids=tuple(f"a{number}" for number in range(rows)),
    )
    cost["commit"], _ = counted(engine, lambda: store.commit_runtime_state(whole))
    cost["tombstone"], _ = counted(engine, lambda: store.tombstone_nodes(tuple(f"n{number}" for number in range(rows))))
    cost["vacuum"], report = counted(engine, store.vacuum)
    assert report == VacuumReport(rows, 4 * rows)
    return cost


def test_no_call_sends_a_statement_per_row() -> None:
    """One row, five or fifty: every call sends the same number of statements."""
    assert costs_by_rows(1) == costs_by_rows(5) == costs_by_rows(50)


PARTS: dict[str, Callable[[RuntimeCommit], RuntimeCommit]] = {
    "nodes": lambda commit: replace(commit, graph=Append((node("new"),))),
    "other nodes": lambda commit: replace(commit, graph=ReplaceFull(SessionGraph((node("n0"), node("new"))))),
    "usage": lambda commit: replace(commit, usage_deltas=(TokenLedgerEntry("s", "m", TokenUsage(1)),)),
    "stamp": lambda commit: replace(commit, turn_commit=RuntimeTurnCommitStamp("s", "new", "hash")),
    "deferral": lambda commit: replace(commit, interrupted_turn_input_turn_id="t1"),
    "deferral of nothing": lambda commit: replace(commit, interrupted_turn_input_turn_id="t9"),
    "attachments": lambda commit: replace(commit, committed_attachment_ids=("a1", "a2", "a3")),
}


@pytest.mark.parametrize("part", PARTS)
def test_each_part_of_a_commit_is_one_statement(part: str) -> None:
    """A commit is at most six statements, and one more for each kind of part that it has."""
    engine = CountingEngine()
    there = same_world(engine)
    plain = plain_commit(there.lease, 5)
    with_part = PARTS[part](plain_commit(there.lease, 6))
    assert counted(engine, lambda: there.store.commit_runtime_state(plain))[0] == 6
    assert counted(engine, lambda: there.store.commit_runtime_state(with_part))[0] == 7


def test_a_commit_with_every_part_is_fourteen_statements() -> None:
    """Nodes, usage, stamp, batches, inputs, deferral, attachments and release: eight kinds of parts on top of six."""
    engine = CountingEngine()
    there = same_world(engine)
    assert engine.during(lambda: there.store.commit_runtime_state(settling(there))) == [
        "begin",
        "read what is stored",
        "check and guard the lease",
        "store the checkpoint",
        "store the head",
        "store the nodes",
        "store the usage",
        "record the turn",
        "remove the batches",
        "store the inputs as completed",
        "put the inputs in line",
        "stamp the attachments",
        "release the lease",
        "commit",
    ]


def test_an_empty_graph_costs_no_statement() -> None:
    """A commit that replaces the graph by none drops the nodes with the head."""
    engine = CountingEngine()
    there = same_world(engine)
    sent = engine.during(lambda: there.store.commit_runtime_state(plain_commit(there.lease, 5, ReplaceFull())))
    assert len(sent) == 6
    assert run(engine, "SELECT count(*) FROM nodes") == [(0,)]


def test_claims_of_every_size_keep_few_parsed_statements() -> None:
    """Claims, cancels and completions of every length share a handful of statement texts."""
    engine = Engine()
    store = store_on(engine)
    lease = acquired(store)
    for length in range(1, 24):
        for number in range(length):
            store.enqueue_pending_turn_input(draft(key=f"{length} {number}"))
        claim = claimed_next(store, lease, length)
        done = replace(plain_commit(lease), completed_turn_input_claims=(claim.completion(),))
        store.commit_runtime_state(done)
        store.cancel_pending_turn_inputs("s", tuple(SourceKey(f"{length} {number}") for number in range(length)))
    assert len(engine._parsed) < 40


@pytest.fixture(scope="module")
def large() -> Engine:
    """An engine with large tables, of which a few rows are named."""
    engine = Engine()
    same_world(engine)
    number = "1000 + i"
    for table, row in (
        ("leases", "'x' || i, 'o', 'i', '{}', 't', 1, 0, 0, 1"),
        ("inputs", f"{number}, 'x' || i, 'k' || i, i, 'x', i, 'k', '{{}}', 'completed', 0, '{{}}', {UNCLAIMED}"),
        ("batches", f"{number}, 'x' || i, 'k' || i, i, 'x', i, 'k', 'd', 's', '{{}}', 0, 0, '', '[]', {UNCLAIMED}"),
        ("attachments", "'x' || i, 's', 'u', 0, 1"),
    ):
        run(engine, f"INSERT INTO {table} SELECT {row} FROM range(10000) r(i)")
    return engine


LOOKED_UP: dict[str, tuple[Statement, tuple[object, ...]]] = {
    "enqueue": (input_rows.READ_BEFORE, ("k7", "x7")),
    "cancel by id": (Statement("", input_rows.READ_BY_ID + "(?, ?)"), ("x7", "x8")),
    "cancel by key": (Statement("", input_rows.READ_BY_KEY + "(?, ?)"), ("k7", "k8")),
    "enqueue of a new input": (input_rows.READ_BEFORE, ("none", "none")),
    "enqueue work": (queued_work.READ_BEFORE, ("k7",)),
    "cancel work": (queued_work.CANCEL, ("none", "x7", 0)),
    "forget": (attachment.FORGET, ("none",)),
    "commit refs": (attachment.stamping("s", ("x1", "x2"), 0)[0], (0, "x1", "x2", "s")),
}


@pytest.mark.parametrize("name", LOOKED_UP)
def test_rows_are_found_by_an_index(large: Engine, name: str) -> None:
    """Every statement about rows that it names looks them up, also those that it does not find."""
    statement, parameters = LOOKED_UP[name]
    ((_, shown),) = run(large, f"EXPLAIN ANALYZE {statement.sql}", *parameters)
    assert "Index Scan" in shown
    # three rows, one for each kind of entry
    assert shown.count("Sequential Scan") == shown.count("Table: memory.main.guards")


def test_a_claim_from_the_dead_costs_as_much_as_any() -> None:
    """What a dead process of the claimant's host holds is read with the rest: four statements, BEGIN and COMMIT included."""
    engine = CountingEngine()
    store = store_on(engine)
    fence = acquired(store).fence()
    store.enqueue_pending_turn_input(draft())
    store.enqueue_queued_work(work())
    store.claim_next_turn_inputs("s", fence, BOB, TTL, 9)
    store.claim_ready_queued_work("s", fence, BOB, IDLE, TTL, 9)
    cost, inputs = counted(engine, lambda: store.claim_next_turn_inputs("s", fence, ADA, TTL, 9))
    assert (cost, inputs is None) == (4, False)
    cost, batches = counted(engine, lambda: store.claim_ready_queued_work("s", fence, ADA, IDLE, TTL, 9))
    assert (cost, batches is None) == (4, False)
