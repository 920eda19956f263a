"""Damage behind the store's back: each table's rows that cannot be read give a typed error, and nothing is written."""

from __future__ import annotations

import pytest
from fencepost.impl import DuckDBRuntimePersistence, Engine
from fencepost.spec import (
    Acquired,
    ActivePath,
    Append,
    Backend,
    Busy,
    FullGraph,
    InvalidArgument,
    InvalidRecordSchemaVersion,
    LeaseOwnerIdentity,
    MissingRecordSchemaVersion,
    Opaque,
    PersistedSessionRead,
    SessionExecutionLease,
    SessionMeta,
    StoreError,
    UnsupportedRecordSchemaVersion,
)
from impl_builders import ADA, BOB, TTL, acquired, dump, full_commit, node, plain_commit, run, store_on


@pytest.fixture
def engine() -> Engine:
    """An engine in memory."""
    return Engine()


@pytest.fixture
def store(engine: Engine) -> DuckDBRuntimePersistence:
    """A store on it."""
    return store_on(engine)


@pytest.fixture
def lease(store: DuckDBRuntimePersistence) -> SessionExecutionLease:
    """The lease under which a full commit was made."""
    lease = acquired(store)
    store.commit_runtime_state(full_commit(lease, release=False))
    return lease


def loaded(store: DuckDBRuntimePersistence) -> PersistedSessionRead:
    """The session, which must be there."""
    session = store.load_session(FullGraph())
    assert session is not None
    return session


@pytest.mark.parametrize("liveness", [None, "", "{", '{"kind":"ghost"}', '{"kind":"local_process","pid":-1}'])
def test_unreadable_liveness_is_opaque(engine: Engine, store: DuckDBRuntimePersistence, liveness: str | None) -> None:
    """A holder whose stored liveness cannot be read has none: it is shown as opaque and never taken for dead (LEASE-28)."""
    lease = acquired(store)
    run(engine, "UPDATE leases SET liveness = ?", liveness)
    outcome = store.reclaim_session_execution_lease("s", BOB, lease.fence(), TTL)
    assert isinstance(outcome, Busy)
    assert outcome.holder.owner == LeaseOwnerIdentity("ada", "ada-1", Opaque())


def test_a_missing_incarnation_is_the_owner_id(engine: Engine, store: DuckDBRuntimePersistence) -> None:
    """A stored owner without incarnation reads as if its id were the incarnation, in every comparison (LEASE-28)."""
    legacy = LeaseOwnerIdentity("old", "old")
    lease = acquired(store, legacy)
    run(engine, "UPDATE leases SET incarnation_id = NULL")
    assert store.try_claim_session_execution_lease("s", BOB, TTL) == Busy(lease)
    assert store.renew_session_execution_lease(lease.fence(), TTL) == lease
    assert store.commit_runtime_state(plain_commit(lease)).head_revision == 1
    store.release_session_execution_lease(lease.completion())
    assert isinstance(store.try_claim_session_execution_lease("s", BOB, TTL), Acquired)


@pytest.mark.parametrize("column", ["owner_id", "lease_token"])
def test_half_a_lease_is_refused(engine: Engine, store: DuckDBRuntimePersistence, column: str) -> None:
    """A row with an owner or a token, and not both, is `Backend` for every call that reads it."""
    lease = acquired(store)
    run(engine, f"UPDATE leases SET {column} = NULL")
    before = dump(engine)
    with pytest.raises(Backend):
        store.try_claim_session_execution_lease("s", BOB, TTL)
    with pytest.raises(Backend):
        store.reclaim_session_execution_lease("s", BOB, lease.fence(), TTL)
    with pytest.raises(Backend):
        store.renew_session_execution_lease(lease.fence(), TTL)
    assert dump(engine) == before


HEAD = '"session_id":"s","head_revision":1,"config":{"provider_id":"p","model":"1"},"agent_frames":[]'


@pytest.mark.parametrize(
    ("record", "error"),
    [
        ("", Backend()),
        ("[]", Backend()),
        ('{"schema_version":1}', Backend()),
        ('{"schema_version":1,"session_id":7}', Backend()),
        ("{" + HEAD + "}", MissingRecordSchemaVersion("session head", 1)),
        ('{"schema_version":2}', UnsupportedRecordSchemaVersion("session head", 2, 1)),
        ('{"schema_version":0}', UnsupportedRecordSchemaVersion("session head", 0, 1)),
        ('{"schema_version":4294967296}', InvalidRecordSchemaVersion("session head", "4294967296", 1)),
        ('{"schema_version":-1}', InvalidRecordSchemaVersion("session head", "-1", 1)),
        ('{"schema_version":1.0}', InvalidRecordSchemaVersion("session head", "1.0", 1)),
        ('{"schema_version":true}', InvalidRecordSchemaVersion("session head", "true", 1)),
        ('{"schema_version":null}', InvalidRecordSchemaVersion("session head", "null", 1)),
        ('{"schema_version":"1"}', InvalidRecordSchemaVersion("session head", "1", 1)),
    ],
)
def test_an_unreadable_head_is_refused(
    engine: Engine, store: DuckDBRuntimePersistence, lease: SessionExecutionLease, record: str, error: StoreError
) -> None:
    """A head of another version, or beyond decoding, stops loads and commits, a replay and another session's included."""
    run(engine, "UPDATE head SET record = ?", record)
    before = dump(engine)
    for call in (
        lambda: store.load_session(FullGraph()),
        lambda: store.load_session(ActivePath("n0")),
        lambda: store.commit_runtime_state(plain_commit(lease)),
        lambda: store.commit_runtime_state(full_commit(lease)),
        lambda: store.commit_runtime_state(plain_commit(None)),
    ):
        with pytest.raises(type(error)) as caught:
            call()
        assert caught.value == error
    assert dump(engine) == before


@pytest.mark.parametrize("config", ['{"provider_id":"p","model":1}', '{"provider_id":"p","model":"{"}', '{"provider_id":"p"}'])
def test_an_unreadable_payload_in_the_head_is_refused(
    engine: Engine, store: DuckDBRuntimePersistence, lease: SessionExecutionLease, config: str
) -> None:
    """An opaque value that is no JSON text makes the head unreadable."""
    ((head,),) = run(engine, "SELECT record FROM head")
    damaged = head.replace('{"provider_id":"provider","model":"{\\"model\\":0}"}', config)
    assert damaged != head
    run(engine, "UPDATE head SET record = ?", damaged)
    with pytest.raises(Backend):
        store.load_session(FullGraph())


@pytest.mark.parametrize("record", ["", "{", "{}", '{"node_id":"n0","parent_node_id":null,"payload":{"kind":"ghost"}}'])
def test_an_unreadable_node_is_refused(
    engine: Engine, store: DuckDBRuntimePersistence, lease: SessionExecutionLease, record: str
) -> None:
    """A node that cannot be decoded makes every read that meets it `Backend`; other reads go on (READ-15a)."""
    run(engine, "UPDATE nodes SET record = ? WHERE node_id = 'm0'", record)
    before = dump(engine)
    with pytest.raises(Backend):
        store.load_session(FullGraph())
    with pytest.raises(Backend):
        store.load_session(ActivePath())
    with pytest.raises(Backend):
        store.load_node("m0")
    assert dump(engine) == before
    assert store.load_node("n0") == node("n0")
    path = store.load_session(ActivePath("n0"))
    assert path is not None
    assert path.graph.nodes == (node("n0"),)


def test_a_node_with_the_record_of_another_is_refused(
    engine: Engine, store: DuckDBRuntimePersistence, lease: SessionExecutionLease
) -> None:
    """A node whose record names another id or parent than its row is `Backend`."""
    run(engine, "UPDATE nodes SET record = (SELECT record FROM nodes WHERE node_id = 'n0') WHERE node_id = 'm0'")
    with pytest.raises(Backend):
        store.load_node("m0")


@pytest.mark.parametrize(
    "entries", ["", "{}", "[1]", '[{"source":"s","model":"m","usage":{"input_tokens":9223372036854775808}}]']
)
def test_unreadable_usage_is_refused(
    engine: Engine, store: DuckDBRuntimePersistence, lease: SessionExecutionLease, entries: str
) -> None:
    """Usage that cannot be decoded makes a load `Backend`."""
    run(engine, "UPDATE usage SET entries = ?", entries)
    with pytest.raises(Backend):
        store.load_session(FullGraph())


def test_an_unreadable_result_stops_a_replay_and_its_release(
    engine: Engine, store: DuckDBRuntimePersistence, lease: SessionExecutionLease
) -> None:
    """A replay whose recorded result cannot be decoded is `Backend` and releases nothing."""
    run(engine, "UPDATE stamps SET result = '{}'")
    before = dump(engine)
    with pytest.raises(Backend):
        store.commit_runtime_state(full_commit(lease))
    assert dump(engine) == before


def test_a_checkpoint_that_is_gone_is_no_checkpoint(
    engine: Engine, store: DuckDBRuntimePersistence, lease: SessionExecutionLease
) -> None:
    """A head whose checkpoint record is not stored loads without checkpoint, and keeps the ref (READ-12a)."""
    ref = loaded(store).checkpoint_ref
    run(engine, "DELETE FROM blobs WHERE ref = ?", ref)
    assert loaded(store).checkpoint is None
    assert loaded(store).checkpoint_ref == ref


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", Backend()),
        (b"\xff", Backend()),
        (b'{"schema_version":1}', Backend()),
        (b"{}", MissingRecordSchemaVersion("session checkpoint", 1)),
        (b'{"schema_version":3}', UnsupportedRecordSchemaVersion("session checkpoint", 3, 1)),
        (b'{"schema_version":"x"}', InvalidRecordSchemaVersion("session checkpoint", "x", 1)),
    ],
)
def test_an_unreadable_checkpoint_is_refused(
    engine: Engine, store: DuckDBRuntimePersistence, lease: SessionExecutionLease, data: bytes, error: StoreError
) -> None:
    """A checkpoint record of another version, or beyond decoding, makes a load fail and no commit (READ-12a)."""
    run(engine, "UPDATE blobs SET data = ? WHERE kind = 'session checkpoint'", data)
    with pytest.raises(type(error)) as caught:
        store.load_session(FullGraph())
    assert caught.value == error
    store.commit_runtime_state(plain_commit(lease, turn=1))
    assert loaded(store).head_revision == 2


@pytest.mark.parametrize("damage", ["DELETE FROM blobs WHERE kind = ?", "UPDATE blobs SET data = '[' WHERE kind = ?"])
def test_a_part_that_is_gone_or_spoilt_loads_as_its_ref(
    engine: Engine, store: DuckDBRuntimePersistence, lease: SessionExecutionLease, damage: str
) -> None:
    """A snapshot part that cannot be read loads without value while its ref is still answered (READ-13)."""
    before = loaded(store).checkpoint
    for kind in ("tool state", "plugin snapshot"):
        run(engine, damage, kind)
    after = loaded(store).checkpoint
    assert before is not None
    assert after is not None
    assert (after.tool_state, after.plugin_snapshot) == (None, None)
    assert (after.tool_state_ref, after.plugin_snapshot_ref) == (before.tool_state_ref, before.plugin_snapshot_ref)
    assert after.execution_state == b"\x00\xff"


@pytest.mark.parametrize("record", ["", "{}", '{"session_id":1}'])
def test_unreadable_metadata_is_refused(engine: Engine, store: DuckDBRuntimePersistence, record: str) -> None:
    """Metadata that cannot be decoded is `Backend`, and not none; a save replaces it (META-4)."""
    store.save_session_meta(SessionMeta("s", "name", "then", "model"))
    run(engine, "UPDATE meta SET record = ?", record)
    with pytest.raises(Backend):
        store.load_session_meta()
    store.save_session_meta(SessionMeta("s", "name", "then", "model"))
    assert store.load_session_meta() == SessionMeta("s", "name", "then", "model")


def test_a_tombstoned_node_is_hidden_until_it_is_committed_again(
    engine: Engine, store: DuckDBRuntimePersistence, lease: SessionExecutionLease
) -> None:
    """A mark hides a node from every read and cuts the path; appending the node takes it away and keeps the position."""
    run(engine, "UPDATE nodes SET tombstoned = true WHERE node_id = 'n0'")
    assert store.load_node("n0") is None
    assert [each.node_id for each in loaded(store).graph.nodes] == ["m0"]
    path = store.load_session(ActivePath())
    assert path is not None
    assert [each.node_id for each in path.graph.nodes] == ["m0"]
    store.commit_runtime_state(plain_commit(lease, graph=Append((node("z"), node("n0", "y")), "n0")))
    assert [each.node_id for each in loaded(store).graph.nodes] == ["n0", "m0", "z"]
    assert store.load_node("n0") == node("n0", "y")


def test_a_lease_with_the_last_fencing_token_can_still_change_hands(engine: Engine, store: DuckDBRuntimePersistence) -> None:
    """At the largest fencing token acquisitions go on with it, each with a lease token of its own (LEASE-10, LEASE-11)."""
    store.release_session_execution_lease(acquired(store).completion())
    run(engine, "UPDATE leases SET fencing_token = 18446744073709551615")
    tokens = set()
    for _ in range(3):
        lease = acquired(store, ADA)
        assert lease.fencing_token == 18446744073709551615
        tokens.add(lease.lease_token)
        store.release_session_execution_lease(lease.completion())
    assert len(tokens) == 3


def test_a_head_before_the_first_revision_is_refused(engine: Engine, store: DuckDBRuntimePersistence) -> None:
    """A head says that a commit was made: one of revision 0 is damage, told as Backend and left alone."""
    store.commit_runtime_state(plain_commit(acquired(store)))
    run(engine, """UPDATE head SET record = replace(record, '"head_revision":1', '"head_revision":0')""")
    with pytest.raises(Backend, match="head_revision"):
        store.load_session(FullGraph())


def test_nodes_without_a_head_are_refused(engine: Engine, store: DuckDBRuntimePersistence) -> None:
    """Nodes or usage of no session are damage, told as Backend."""
    store.commit_runtime_state(full_commit(acquired(store)))
    run(engine, "DELETE FROM head")
    with pytest.raises(Backend, match="no head"):
        store.load_session(FullGraph())


def test_counters_that_are_used_up_are_refused(engine: Engine, store: DuckDBRuntimePersistence) -> None:
    """A commit after revision 2^64 - 1 is Backend, and writes nothing."""
    lease = acquired(store)
    store.commit_runtime_state(plain_commit(lease))
    run(engine, """UPDATE head SET record = replace(record, '"head_revision":1', '"head_revision":18446744073709551615')""")
    before = dump(engine)
    with pytest.raises(Backend, match="used up"):
        store.commit_runtime_state(plain_commit(lease))
    assert dump(engine) == before


@pytest.mark.parametrize("path", [None, 5, b"store.db", object()])
def test_a_path_of_another_type_is_an_invalid_argument(path: object) -> None:
    """What is no path is told as an argument, not as a bare TypeError."""
    with pytest.raises(InvalidArgument, match="path: received"):
        DuckDBRuntimePersistence(path)  # type: ignore[arg-type]  # the wrong type is the point
