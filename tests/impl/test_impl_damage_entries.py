"""Damage behind the store's back in inputs, queued work, guards and blobs: `Backend`, never a crash, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from fencepost.impl import DuckDBRuntimePersistence, Engine
from fencepost.spec import (
    Backend,
    FullGraph,
    GcReport,
    InvalidRecordSchemaVersion,
    MissingRecordSchemaVersion,
    StoreError,
    UnsupportedRecordSchemaVersion,
)
from impl_arena import Arena, answered, arena_of_entries
from impl_builders import NOW, TTL, dump, run, store_on
from impl_entries import (
    EVERY_CALL,
    HOLDER,
    KEYED,
    KEYED_WORK,
    Call,
    World,
    at_time,
    claimed_next,
    draft,
    observed,
    work,
    world,
)
from test_impl_durability import opened

CALLS: dict[str, Call] = EVERY_CALL | {
    "list": lambda at: at.store.list_pending_turn_inputs("s"),
    "list work": lambda at: at.store.list_queued_work("s"),
    "list pending work": lambda at: at.store.list_pending_queued_work("s"),
    "list uncommitted": lambda at: at.store.list_uncommitted(99),
    "replayed input": lambda at: at.store.enqueue_pending_turn_input(KEYED[0]),
    "replayed batch": lambda at: at.store.enqueue_queued_work(KEYED_WORK[0]),
    "load": lambda at: at.store.load_session(FullGraph()),
}

SHOWING_INPUTS_UNCLAIMED = ("bulk cancel", "single cancel", "suffix cancel", "list", "replayed input")
SHOWING_INPUTS = (*SHOWING_INPUTS_UNCLAIMED, "active claim", "next claim")
ABANDONS = ("abandon of a next claim", "abandon of an active claim")
COUNTING_INPUTS = ("bulk cancel", "single cancel", "suffix cancel", "active claim", "next claim")
CLAIMED_WORK = ("work claim", "work claim by ids", "command claim")
LISTED_WORK = ("cancel work", "list work", "list pending work", "replayed batch")
WORK_CLAIMS = (*CLAIMED_WORK, "work claim by other ids")
ENQUEUES = ("enqueue", "enqueue for a turn", "enqueue work")
COMMITS = ("settling commit", "commit that defers nothing")
ENTRIES = (
    *COUNTING_INPUTS,
    *ABANDONS,
    *ENQUEUES,
    *WORK_CLAIMS,
    "renew work",
    "abandon work",
    "cancel work",
    *COMMITS,
    "vacuum",
)

LARGEST = "18446744073709551615"
REFUSED: dict[str, tuple[str, ...]] = {
    "UPDATE inputs SET input = '{'": SHOWING_INPUTS,
    "UPDATE inputs SET input = 'null'": SHOWING_INPUTS,
    # a claim takes what waits for its turn: that it does not say so any more is told to whoever looks at it
    "UPDATE inputs SET ingress = '{}'": (*SHOWING_INPUTS_UNCLAIMED, *ABANDONS),
    """UPDATE inputs SET ingress = '{"scope":"ghost"}'""": (*SHOWING_INPUTS_UNCLAIMED, *ABANDONS),
    "UPDATE inputs SET state = 'ghost'": SHOWING_INPUTS,
    "UPDATE inputs SET claim_owner = '{'": COUNTING_INPUTS,
    "UPDATE inputs SET claim_owner = NULL, claim_id = 'c', claim_token = 't'": (*COUNTING_INPUTS, "settling commit"),
    f"UPDATE inputs SET claim_fencing_token = {LARGEST}": ("active claim", "next claim"),
    "DELETE FROM inputs": ("settling commit",),
    "UPDATE batches SET payloads = '['": (*CLAIMED_WORK, *LISTED_WORK),
    "UPDATE batches SET payloads = '[{}]'": (*CLAIMED_WORK, *LISTED_WORK),
    "UPDATE batches SET delivery_policy = 'ghost'": (*WORK_CLAIMS, *LISTED_WORK),
    "UPDATE batches SET slot_policy = ''": (*WORK_CLAIMS, *LISTED_WORK),
    "UPDATE batches SET merge_key = '{}'": (*WORK_CLAIMS, *LISTED_WORK),
    "UPDATE batches SET kinds = 'ghost'": WORK_CLAIMS,
    "UPDATE batches SET claim_token = 't' WHERE claim_token IS NULL": WORK_CLAIMS,
    "UPDATE batches SET claim_owner = '{'": WORK_CLAIMS,
    f"UPDATE batches SET claim_fencing_token = {LARGEST}": WORK_CLAIMS,
    f"UPDATE guards SET last_number = {LARGEST}": ENQUEUES,
    "UPDATE guards SET last_number = 0": ENQUEUES,
    f"UPDATE guards SET guard = {LARGEST}": (*ENTRIES, "record intent", "record again", "commit refs", "forget"),
    "DELETE FROM guards": (*ENQUEUES, "replayed input", "replayed batch"),
    "UPDATE head SET record = '{'": (*COMMITS, "replay", "gc", "load"),
    f"UPDATE head SET guard = {LARGEST}": (*COMMITS, "tombstone", "vacuum", "gc"),
    "UPDATE blobs SET data = 'x'": ("gc", "load"),
    "UPDATE blobs SET kind = 'tool state'": ("gc",),
}
"""Damages, and which calls they make impossible."""


@pytest.fixture(scope="module")
def arena() -> Arena[World]:
    """A store with something of every kind in it, brought back before each damage."""
    return arena_of_entries()


@pytest.mark.slow
@pytest.mark.parametrize("damage", REFUSED)
def test_damage_is_told_and_left_alone(arena: Arena[World], damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that meets the damage is refused and writes nothing; every other call goes on."""
    # damage that looks like another writer does not go away by waiting
    monkeypatch.setattr("fencepost.impl.engine.PATIENCE_S", 0.5)
    refused = []
    for name, call in CALLS.items():
        arena.restore()
        run(arena.engine, damage)
        before = dump(arena.engine)
        if isinstance(answered(call, arena.there), StoreError):
            refused.append(name)
            assert dump(arena.engine) == before
    assert sorted(refused) == sorted(REFUSED[damage])


def test_payloads_of_another_kind_are_no_claim(arena: Arena[World]) -> None:
    """A batch whose kinds say something else than its payloads is found out by the claim that would take it."""
    arena.restore()
    run(arena.engine, "UPDATE batches SET kinds = 'session_command' WHERE session_id = 's'")
    before = dump(arena.engine)
    with pytest.raises(Backend, match="not of the kinds"):
        arena.there.store.claim_leading_ready_session_command("s", arena.there.lease.fence(), HOLDER, TTL)
    assert dump(arena.engine) == before


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        ("UPDATE inputs SET line = 1 WHERE state = 'accepted'", "it is listed"),
        ("UPDATE inputs SET line = 1 WHERE state = 'cancelled'", "it is listed"),
        ("UPDATE inputs SET state = 'accepted' WHERE source_key = 'waits'", "its state is not of its ingress"),
        ("UPDATE inputs SET state = 'pending_active' WHERE source_key = 'waits'", "its state is not of its ingress"),
    ],
)
def test_an_input_that_is_listed_where_it_does_not_wait_is_refused(arena: Arena[World], damage: str, match: str) -> None:
    """An input of another session or in another state than its place says is `Backend` when it is listed."""
    arena.restore()
    run(arena.engine, damage)
    with pytest.raises(Backend, match=match):
        at_time(arena.there.store, NOW + TTL).list_pending_turn_inputs("s")


def test_an_input_that_stands_in_a_line_where_it_does_not_wait_is_refused(arena: Arena[World]) -> None:
    """An input that is over in the line of the next turn is `Backend` when it would be claimed, and stays so."""
    arena.restore()
    line = "SELECT line FROM inputs WHERE source_key = 'waits'"
    run(arena.engine, f"UPDATE inputs SET line = ({line}) WHERE state = 'cancelled'")
    before = dump(arena.engine)
    with pytest.raises(Backend, match="it stands in line"):
        claimed_next(arena.there.store, arena.there.lease)
    assert dump(arena.engine) == before


CHECKPOINTS: list[tuple[str, StoreError]] = [
    ("UPDATE head SET record = '{'", Backend()),
    ("""UPDATE head SET record = '{"schema_version":2}'""", UnsupportedRecordSchemaVersion("session head", 2, 1)),
    ("UPDATE head SET record = '{}'", MissingRecordSchemaVersion("session head", 1)),
    ("UPDATE blobs SET data = ''::BLOB WHERE kind = 'session checkpoint'", Backend()),
    ("UPDATE blobs SET data = '\\xFF'::BLOB WHERE kind = 'session checkpoint'", Backend()),
    ("UPDATE blobs SET kind = 'execution state' WHERE kind = 'session checkpoint'", Backend()),
    (
        """UPDATE blobs SET data = '{"schema_version":3}'::BLOB WHERE kind = 'session checkpoint'""",
        UnsupportedRecordSchemaVersion("session checkpoint", 3, 1),
    ),
    (
        """UPDATE blobs SET data = '{"schema_version":"x"}'::BLOB WHERE kind = 'session checkpoint'""",
        InvalidRecordSchemaVersion("session checkpoint", "x", 1),
    ),
]


@pytest.mark.parametrize(("damage", "error"), CHECKPOINTS)
def test_a_collection_that_cannot_read_its_root_removes_nothing(arena: Arena[World], damage: str, error: StoreError) -> None:
    """A head or a checkpoint that is there and cannot be read stops the collection with its error (GC-5, GC-6)."""
    arena.restore()
    run(arena.engine, damage)
    before = dump(arena.engine)
    with pytest.raises(type(error)) as caught:
        arena.there.store.gc_unreachable()
    assert caught.value == error
    assert dump(arena.engine) == before


def test_a_collection_goes_on_where_the_checkpoint_is_gone(arena: Arena[World]) -> None:
    """A checkpoint that is not there is passed over: its ref counts as retained, and all other blobs go (GC-4, GC-5)."""
    arena.restore()
    run(arena.engine, "DELETE FROM blobs WHERE kind = 'session checkpoint'")
    assert len(dump(arena.engine)["blobs"]) == 4
    assert arena.there.store.gc_unreachable() == GcReport(1, 1, 4)
    assert arena.there.store.gc_unreachable() == GcReport(1, 1, 0)


def test_what_a_collection_removes() -> None:
    """Of two checkpoints with their parts the head's stay; a second collection removes nothing (GC-8)."""
    store = store_on(Engine())
    assert store.gc_unreachable() == GcReport(0, 0, 0)
    there = world(store)
    shown = observed(store)
    # execution state and plug-ins are the same in both checkpoints
    assert store.gc_unreachable() == GcReport(1, 4, 2)
    assert store.gc_unreachable() == GcReport(1, 4, 0)
    assert observed(store) == shown
    assert store.commit_runtime_state(there.first).head_revision == 2


MISSING = {
    "DELETE FROM guards": "it guards nothing",
    "DELETE FROM guards WHERE name = 'batches'": "it guards attachments, inputs, outputs, and not",
    "INSERT INTO guards VALUES ('inputs', 0, 0)": "it guards attachments, batches, inputs, inputs, outputs, and not",
}


@pytest.mark.parametrize("damage", MISSING)
def test_a_file_that_lost_a_guard_is_not_opened(tmp_path: Path, damage: str) -> None:
    """A store without one row for each kind of entry would let races through: it is refused when it is opened."""
    with opened(tmp_path / "store.db") as store:
        run(store._engine, damage)
    with pytest.raises(Backend, match=MISSING[damage]):
        DuckDBRuntimePersistence(tmp_path / "store.db")


def test_a_used_up_number_stops_submissions_and_no_replay(arena: Arena[World]) -> None:
    """Where the last number is given, a new entry is `Backend`; a keyed one that is there is still answered."""
    arena.restore()
    store = arena.there.store
    run(arena.engine, f"UPDATE guards SET last_number = {LARGEST}")
    for submit in (
        lambda: store.enqueue_pending_turn_input(draft("new")),
        lambda: store.enqueue_queued_work(work("new")),
    ):
        with pytest.raises(Backend, match="used up"):
            submit()
    assert store.enqueue_pending_turn_input(KEYED[0]).source_key == "taken"
    assert store.enqueue_queued_work(KEYED_WORK[0]).source_key == "work taken"


def test_the_last_number_of_all_is_given(arena: Arena[World]) -> None:
    """The entry before the end of the numbers is admitted with the largest number there is."""
    arena.restore()
    run(arena.engine, "UPDATE guards SET last_number = 18446744073709551614")
    assert arena.there.store.enqueue_pending_turn_input(draft("last")).enqueue_seq == 18446744073709551615
    assert arena.there.store.enqueue_queued_work(work("last")).enqueue_seq == 18446744073709551615
