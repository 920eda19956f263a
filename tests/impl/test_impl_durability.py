"""What a store in a file keeps: every acknowledged call, through close, kill and growth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fencepost.impl import DuckDBRuntimePersistence
from fencepost.impl.engine import Statement
from fencepost.spec import (
    ActivePath,
    Append,
    Busy,
    EventPayload,
    FullGraph,
    HydratedSessionCheckpoint,
    Json,
    LeaseOwnerIdentity,
    PersistedSessionConfig,
    PluginPayload,
    RuntimeCommit,
    SessionExecutionLease,
    SessionExecutionLeaseExpired,
    SessionGraph,
    SessionMeta,
    SessionNodeRecord,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
)
from impl_builders import ADA, BOB, NOW, TTL, acquired, everybody_dead, full_commit, node, plain_commit


def opened(path: Path) -> DuckDBRuntimePersistence:
    """The store in the file, with a still clock."""
    return DuckDBRuntimePersistence(path, clock=lambda: NOW, process_alive=everybody_dead)


def test_a_store_keeps_everything_when_it_is_opened_again(tmp_path: Path) -> None:
    """Leases, head, nodes, usage, checkpoint, turn records and metadata outlive a close (VALUE-9)."""
    meta = SessionMeta("s", "name", "then", "model")
    with opened(tmp_path / "store.db") as store:
        lease = acquired(store)
        other = acquired(store, BOB, "other")
        result = store.commit_runtime_state(full_commit(lease, release=False))
        store.save_session_meta(meta)
        before = store.load_session(FullGraph())
    with opened(tmp_path / "store.db") as store:
        assert store.load_session(FullGraph()) == before
        assert store.load_session_meta() == meta
        assert store.load_node("n0") == node("n0")
        assert store.try_claim_session_execution_lease("other", ADA, TTL) == Busy(other)
        assert store.commit_runtime_state(full_commit(lease)) == result
        assert acquired(store, BOB).fencing_token == 2


def test_tokens_are_not_reused_after_a_reopen(tmp_path: Path) -> None:
    """A lease token is fresh also at the same instant after a reopen (LEASE-10)."""
    tokens = set()
    for _ in range(4):
        with opened(tmp_path / "store.db") as store:
            lease = acquired(store)
            tokens.add(lease.lease_token)
            store.release_session_execution_lease(lease.completion())
    assert len(tokens) == 4


def test_opening_does_not_touch_the_metadata(tmp_path: Path) -> None:
    """A store that is opened again has the metadata it had (META-5)."""
    meta = SessionMeta("s", "name", "then", "model", "here")
    with opened(tmp_path / "store.db") as store:
        assert store.load_session_meta() is None
        store.save_session_meta(meta)
    for _ in range(2):
        with opened(tmp_path / "store.db") as store:
            assert store.load_session_meta() == meta


def test_a_killed_process_leaves_what_it_acknowledged(tmp_path: Path) -> None:
    """After a kill the store opens, with every acknowledged commit and nothing of a half one (VALUE-9)."""
    script = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from impl_builders import acquired, full_commit
from test_impl_durability import opened
from pathlib import Path
store = opened(Path(sys.argv[1]))
lease = acquired(store)
for turn in range(5):
    store.commit_runtime_state(full_commit(lease, turn, release=False))
engine = store._engine
send = engine.send
def killed(statement, parameters=()):
    if statement.purpose == "commit":
        os.kill(os.getpid(), 9)
    return send(statement, parameters)
engine.send = killed
store.commit_runtime_state(full_commit(lease, 5))
"""
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path / "store.db")], capture_output=True, check=False)
    assert ended.returncode == -9, ended.stderr
    assert (tmp_path / "store.db.wal").exists()
    with opened(tmp_path / "store.db") as store:
        loaded = store.load_session(FullGraph())
        assert loaded is not None
        assert loaded.head_revision == 5
        assert [each.node_id for each in loaded.graph.nodes] == [f"{kind}{turn}" for turn in range(5) for kind in "nm"]
        assert loaded.token_ledger[0].usage.input_tokens == 5
        assert isinstance(store.try_claim_session_execution_lease("s", BOB, TTL), Busy)
        # the fifth turn was acknowledged, the sixth was not
        assert store.commit_runtime_state(full_commit(nobodys_lease(), 4)).head_revision == 5
        with pytest.raises(SessionExecutionLeaseExpired):
            store.commit_runtime_state(full_commit(nobodys_lease(), 5))


def nobodys_lease() -> SessionExecutionLease:
    """A lease that no store granted."""
    return SessionExecutionLease("s", BOB, "no token", 1, NOW, NOW)


@pytest.mark.parametrize("text", ["", "\x00", "a\x00b", "\ufeff\U0010ffff", "quote ' and \" and \\", "k" * 300_000])
def test_any_text_is_a_key(tmp_path: Path, text: str) -> None:
    """Ids of any characters and length are stored, told apart and found again, also after a reopen."""
    who = LeaseOwnerIdentity(text, text)
    with opened(tmp_path / "store.db") as store:
        lease = acquired(store, who, text)
        assert acquired(store, who, text + "\x00").fencing_token == 1
        session = acquired(store)
        nodes = (node(text), node(text + "x", text))
        store.commit_runtime_state(plain_commit(session, graph=Append(nodes, text + "x")))
    with opened(tmp_path / "store.db") as store:
        assert store.try_claim_session_execution_lease(text, BOB, TTL) == Busy(lease)
        assert store.load_node(text) == node(text)
        loaded = store.load_session(ActivePath())
        assert loaded is not None
        assert loaded.graph == SessionGraph(nodes, text + "x")


def test_opaque_values_come_back_as_they_went(tmp_path: Path) -> None:
    """An opaque value keeps integers of any size, the kind of each number, and the deepest nesting (VALUE-8)."""
    deepest: object = 1.0
    for _ in range(127):
        deepest = [deepest]
    values = [2**64, -(10**300), 1.0, 1, True, 0.1, -0.0, 1e-320, {"b": 1, "a": None}, "\x00\u2028", deepest]
    with opened(tmp_path / "store.db") as store:
        store.commit_runtime_state(plain_commit(acquired(store), graph=Append((value_node(Json(values)),))))
    with opened(tmp_path / "store.db") as store:
        assert store.load_node("n") == value_node(Json(values))


def value_node(value: Json) -> SessionNodeRecord:
    """A node with the value wherever a value can stand."""
    return SessionNodeRecord("n", None, PluginPayload("type", value), caused_by=value)


def test_a_missing_value_and_a_null_are_two_things() -> None:
    """An opaque field without value and one with the value null come back as they went."""
    store = opened_in_memory()
    nodes = (SessionNodeRecord("a", None, EventPayload(Json(None)), caused_by=None), value_node(Json(None)))
    store.commit_runtime_state(plain_commit(acquired(store), graph=Append(nodes)))
    assert store.load_node("a") == nodes[0]
    assert store.load_node("n") == nodes[1]


def opened_in_memory() -> DuckDBRuntimePersistence:
    """A store in memory, with a still clock."""
    return DuckDBRuntimePersistence(clock=lambda: NOW, process_alive=everybody_dead)


def test_equal_checkpoints_are_stored_once() -> None:
    """Commits with equal checkpoints answer equal refs, and different parts with equal bytes different ones (COMMIT-26)."""
    store = opened_in_memory()
    lease = acquired(store)
    first = store.commit_runtime_state(plain_commit(lease))
    second = store.commit_runtime_state(plain_commit(lease))
    assert first.checkpoint_ref == second.checkpoint_ref
    other = store.commit_runtime_state(plain_commit(lease, turn=1))
    assert other.checkpoint_ref != first.checkpoint_ref
    rows = store._engine.once(Statement("look", "SELECT ref FROM blobs"))
    assert {ref for (ref,) in rows} == {first.checkpoint_ref, other.checkpoint_ref}


def test_a_ref_leads_to_a_part_of_its_own_kind_only() -> None:
    """A ref loads the value of its kind that is stored under it; the ref of another kind's part loads nothing (READ-13)."""
    store = opened_in_memory()
    lease = acquired(store)
    body = b'{"generation":1,"body":"null"}'
    checkpoint = HydratedSessionCheckpoint(tool_state=ToolState(1), execution_state=body)
    manifest = store.commit_runtime_state(with_checkpoint(lease, checkpoint)).manifest
    tools, execution = manifest.tool_state_ref, manifest.execution_state_ref
    assert tools != execution
    store.commit_runtime_state(
        with_checkpoint(lease, HydratedSessionCheckpoint(tool_state_ref=tools, execution_state_ref=execution))
    )
    assert hydrated(store) == HydratedSessionCheckpoint(
        tool_state_ref=tools, tool_state=ToolState(1), execution_state_ref=execution, execution_state=body
    )
    swapped = HydratedSessionCheckpoint(tool_state_ref=execution, execution_state_ref=tools, plugin_snapshot_ref="unknown")
    store.commit_runtime_state(with_checkpoint(lease, swapped))
    assert hydrated(store) == swapped


def with_checkpoint(lease: SessionExecutionLease, checkpoint: HydratedSessionCheckpoint) -> RuntimeCommit:
    """A commit of a checkpoint."""
    return RuntimeCommit(
        session_id="s",
        session_execution_lease=lease.fence(),
        config=PersistedSessionConfig("provider", Json(None)),
        checkpoint=checkpoint,
    )


def hydrated(store: DuckDBRuntimePersistence) -> HydratedSessionCheckpoint | None:
    """The loaded checkpoint."""
    loaded = store.load_session(FullGraph())
    assert loaded is not None
    return loaded.checkpoint


def test_the_ledger_ends_at_the_range_of_its_counters() -> None:
    """Counters that sum beyond the signed 64-bit range are answered as its end, whatever the way there."""
    store = opened_in_memory()
    most, least = 2**63 - 1, -(2**63)
    usages = (
        TokenUsage(most, least, 1, 0, least),
        TokenUsage(most, least, 1, 0, least),
        TokenUsage(-5, 0, 0, 0, 0),
        TokenUsage(0, 0, 0, 0, most),
    )
    deltas = tuple(TokenLedgerEntry("s", "m", usage) for usage in usages)
    store.commit_runtime_state(
        RuntimeCommit(
            session_id="s",
            session_execution_lease=acquired(store).fence(),
            config=PersistedSessionConfig("provider", Json(None)),
            usage_deltas=(*deltas, TokenLedgerEntry("s", "n", TokenUsage(least, least, 0, 0, 0))),
        )
    )
    loaded = store.load_session(FullGraph())
    assert loaded is not None
    # the first two entries count nothing: their totals are 0; so does the last of the four: reasoning is no total
    assert loaded.token_ledger == (
        TokenLedgerEntry("s", "m", TokenUsage(-5, 0, 0, 0, 0)),
        TokenLedgerEntry("s", "n", TokenUsage(least, least, 0, 0, 0)),
    )
    store.commit_runtime_state(
        RuntimeCommit(
            session_id="s",
            session_execution_lease=acquired(store).fence(),
            config=PersistedSessionConfig("provider", Json(None)),
            usage_deltas=(
                TokenLedgerEntry("s", "m", TokenUsage(most, 0, 0, 0, most)),
                TokenLedgerEntry("s", "m", TokenUsage(6, 0, 0, 0, 1)),
                TokenLedgerEntry("s", "n", TokenUsage(least, 0, 0, 0, 0)),
            ),
        )
    )
    loaded = store.load_session(FullGraph())
    assert loaded is not None
    assert loaded.token_ledger == (
        TokenLedgerEntry("s", "m", TokenUsage(most, 0, 0, 0, most)),
        TokenLedgerEntry("s", "n", TokenUsage(least, least, 0, 0, 0)),
    )
