"""The tables, and whose file this is.

A file is opened for writing only after a look at it: what is not ours, or of another version, stays as it is.
"""

from __future__ import annotations

import os
import threading

import duckdb
import icontract

from ..spec import Backend, InvalidArgument, InvalidRecordSchemaVersion, MissingRecordSchemaVersion
from ..spec.contracts import ENFORCED, ensures
from .encoding import U32_MAX, require_schema_version

TABLES_VERSION = 2
"""The version of the tables: raised with every change of one."""

STORE = "store"
"""The record kind that schema version errors of a whole file carry."""

HOLD = """claim_id VARCHAR, claim_token VARCHAR, claim_owner VARCHAR, claim_host UBIGINT,
        claim_fencing_token UBIGINT NOT NULL, claim_expires_at UBIGINT NOT NULL"""
"""The claim on an entry; the host is there if its owner is a process whose death can be told there."""

TABLES = {
    # what a takeover and a commit both write is the guard: without it, one that only read the lease would pass (COMMIT-8a)
    "leases": """session_id VARCHAR PRIMARY KEY, owner_id VARCHAR, incarnation_id VARCHAR, liveness VARCHAR,
        lease_token VARCHAR, fencing_token UBIGINT NOT NULL, claimed_at UBIGINT NOT NULL, expires_at UBIGINT NOT NULL,
        guard UBIGINT NOT NULL""",
    # one row: two sessions that both commit first collide on its key (COMMIT-2). Each commit and each call of maintenance
    # counts the guard up: a deletion passes an update of the same row, and updates of two columns pass each other
    "head": "slot UTINYINT PRIMARY KEY, record VARCHAR NOT NULL, guard UBIGINT NOT NULL",
    "nodes": """node_id VARCHAR PRIMARY KEY, position UBIGINT NOT NULL, parent_node_id VARCHAR, record VARCHAR NOT NULL,
        tombstoned BOOLEAN NOT NULL""",
    # one row per commit that has usage
    "usage": "head_revision UBIGINT NOT NULL, entries VARCHAR NOT NULL",
    # the turn alone is the key: a stamp's session is the bound one, and DuckDB looks up single columns only
    "stamps": "turn_id VARCHAR PRIMARY KEY, turn_commit_hash VARCHAR NOT NULL, result VARCHAR NOT NULL",
    "blobs": "ref VARCHAR PRIMARY KEY, kind VARCHAR NOT NULL, data BLOB NOT NULL",
    "meta": "slot UTINYINT PRIMARY KEY, record VARCHAR NOT NULL",
    # a row for each kind of entry. Whoever writes an entry of the kind writes its guard: what a call decides depends on entries
    # that it only reads, or that are not there. The last number is given with the entry: so numbers follow the order of
    # commits, and outlive the entries (INPUT-3a, QUEUE-1b). There is no key: of a table with an index, an update that returns
    # the number would be a deletion and an insertion, and pass the updates of others
    "guards": "name VARCHAR NOT NULL, guard UBIGINT NOT NULL, last_number UBIGINT NOT NULL",
    # every input, waiting or over: only what waits stands in a line. What is indexed never changes: to update it would write
    # the whole row anew
    "inputs": f"""enqueue_seq UBIGINT PRIMARY KEY, input_id VARCHAR NOT NULL UNIQUE, key_lookup VARCHAR UNIQUE,
        session_number UBIGINT NOT NULL, session_id VARCHAR NOT NULL, line UBIGINT, source_key VARCHAR,
        ingress VARCHAR NOT NULL, state VARCHAR NOT NULL, enqueued_at UBIGINT NOT NULL, input VARCHAR NOT NULL, {HOLD}""",
    # the place is the number, but 0 for a batch of no class: so a claim meets that one however long the line is (QCLAIM-5)
    "batches": f"""enqueue_seq UBIGINT PRIMARY KEY, batch_id VARCHAR NOT NULL UNIQUE, key_lookup VARCHAR UNIQUE,
        session_number UBIGINT NOT NULL, session_id VARCHAR NOT NULL, place UBIGINT NOT NULL, source_key VARCHAR,
        delivery_policy VARCHAR NOT NULL, slot_policy VARCHAR NOT NULL, merge_key VARCHAR NOT NULL,
        available_at UBIGINT NOT NULL, enqueued_at UBIGINT NOT NULL, kinds VARCHAR NOT NULL, payloads VARCHAR NOT NULL,
        {HOLD}""",
    "attachments": """attachment_id VARCHAR PRIMARY KEY, session_id VARCHAR NOT NULL, canonical_uri VARCHAR NOT NULL,
        intent_at UBIGINT NOT NULL, committed_at UBIGINT""",
    "runtime_inputs": """input_key VARCHAR PRIMARY KEY, runtime_key VARCHAR NOT NULL, input_id VARCHAR NOT NULL,
        state VARCHAR NOT NULL""",
    "runtime_states": "runtime_key VARCHAR PRIMARY KEY, state VARCHAR NOT NULL",
    "runtime_snapshots": "runtime_key VARCHAR PRIMARY KEY, snapshot BLOB NOT NULL",
    # a row for each run of a runtime: two commits of one run both write it, and so take two numbers (RUNTIME-44)
    "runtime_runs": "run_key VARCHAR PRIMARY KEY, last_sequence UBIGINT NOT NULL, guard UBIGINT NOT NULL",
    "runtime_receipts": "receipt_key VARCHAR PRIMARY KEY, receipt VARCHAR NOT NULL",
    # what a store of sessions reads: whatever runtime committed it, by the session's own id (RUNTIME-37)
    "runtime_sessions": "session_id VARCHAR PRIMARY KEY, snapshot BLOB NOT NULL",
    # the guard of a thread: whoever writes to the thread writes it, for a deletion passes the updates of others (EVENT-33)
    "threads": "thread_key VARCHAR PRIMARY KEY, guard UBIGINT NOT NULL",
    "turns": """turn_key VARCHAR PRIMARY KEY, thread_key VARCHAR NOT NULL, turn UBIGINT NOT NULL, finished BOOLEAN NOT NULL,
        events UBIGINT NOT NULL""",
    "events": """turn_key VARCHAR NOT NULL, thread_key VARCHAR NOT NULL, place UBIGINT NOT NULL, envelope VARCHAR NOT NULL""",
    "outputs": """number UBIGINT PRIMARY KEY, id VARCHAR NOT NULL UNIQUE, attempt_key VARCHAR NOT NULL,
        record VARCHAR NOT NULL""",
    # the number of the latest record of each producer
    "producers": "producer_key VARCHAR PRIMARY KEY, latest UBIGINT NOT NULL",
}

GUARDS = "guards"
"""The table whose rows are there from the beginning."""

KINDS = ("inputs", "batches", "attachments", "outputs")
"""The kinds of entries."""

INDEXES = {
    "runtime_inputs_by_runtime": "runtime_inputs (runtime_key)",
    "turns_by_thread": "turns (thread_key)",
    "events_by_turn": "events (turn_key)",
    "events_by_thread": "events (thread_key)",
    "outputs_by_attempt": "outputs (attempt_key)",
}

MARK = "fencepost_store"
"""The table that makes a file ours: one row, the schema version as text."""

CREATE = ";".join(
    (
        "BEGIN",
        *(f"CREATE TABLE {name} ({columns})" for name, columns in TABLES.items()),
        *(f"CREATE INDEX {name} ON {columns}" for name, columns in INDEXES.items()),
        *(f"INSERT INTO {GUARDS} VALUES ('{name}', 0, 0)" for name in KINDS),
        f"CREATE TABLE {MARK} (schema_version VARCHAR)",
        f"INSERT INTO {MARK} VALUES ('{TABLES_VERSION}')",
        "COMMIT",
    )
)

OBJECTS = """SELECT table_name FROM duckdb_tables() WHERE NOT internal AND database_name = current_database()
UNION ALL SELECT view_name FROM duckdb_views() WHERE NOT internal AND database_name = current_database()
UNION ALL SELECT type_name FROM duckdb_types() WHERE NOT internal AND database_name = current_database()
UNION ALL SELECT schema_name FROM duckdb_schemas() WHERE NOT internal AND database_name = current_database()
UNION ALL SELECT sequence_name FROM duckdb_sequences() WHERE database_name = current_database()"""

KEPT_OPTIMIZERS = frozenset({"filter_pushdown", "expression_rewriter", "join_filter_pushdown", "build_side_probe_side"})
"""What finds a row by its key; the others cost a third of each statement and improve none of ours (measured)."""

LOOKED_UP_AT_MOST = 256
"""Up to so many joined values DuckDB looks each of them up by key, and scans the table for more."""


# while one thread takes its look at a file, DuckDB refuses to open it for writing to another
_opening = threading.Lock()


def connected(path: str | os.PathLike[str]) -> tuple[duckdb.DuckDBPyConnection, bool]:
    """A connection to the database with our tables in it, and whether it is a file.

    Raises `Backend`, or a schema version error of record kind "store"; then the file is as it was.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise InvalidArgument("path", repr(path)[:200], 'a path, or ":memory:"')
    if os.fspath(path) == ":memory:":
        connection = _connection(":memory:")
        connection.execute(CREATE)
        _tune(connection)
        return connection, False
    try:
        # one name per file: under two names one process would open it twice, past DuckDB's lock
        file = os.path.realpath(path)
        with _opening:
            return _connected_file(file), True
    except (OSError, ValueError) as error:
        raise Backend(f"cannot open {path!r}: {error}") from error
    except duckdb.Error as error:
        raise Backend(_reason(os.fspath(path), error)) from error


def _connected_file(file: str) -> duckdb.DuckDBPyConnection:
    if os.path.exists(file):
        if not os.path.isfile(file):
            raise Backend(f"cannot open {file!r}: it is no regular file")
        _look_first(file)
    elif os.path.exists(f"{file}.wal"):
        raise Backend(f"cannot open {file!r}: there is a log without its database, which DuckDB would throw away")
    connection = _connection(file)
    try:
        _make_ours(connection)
        _tune(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@icontract.snapshot(lambda connection: _metadata(connection), name="metadata", enabled=ENFORCED)
@ensures(lambda OLD, connection: OLD.metadata in ([], _metadata(connection)), "META-5")  # noqa: N803  # icontract's name
@ensures(lambda connection: is_ours(connection), "VALUE-9")
def _make_ours(connection: duckdb.DuckDBPyConnection) -> None:
    if not is_ours(connection):
        connection.execute(CREATE)


def _metadata(connection: duckdb.DuckDBPyConnection) -> list[tuple[str]]:
    return connection.execute("SELECT record FROM meta").fetchall() if is_ours(connection) else []


def _look_first(file: str) -> None:
    try:
        connection = _connection(file, read_only=True)
    except duckdb.ConnectionException:
        return  # open in this process already: the look at the writing connection does
    try:
        is_ours(connection)
    finally:
        connection.close()


def is_ours(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether our tables are there; False for an empty database, which may become ours. Raises for anything else."""
    names = {name for (name,) in connection.execute(OBJECTS).fetchall()}
    if not names:
        return False
    if MARK not in names:
        raise Backend(f"this DuckDB database is no store of ours: it holds {', '.join(sorted(names)[:5])}")
    _require_version(connection)
    missing = TABLES.keys() - names
    if missing:
        raise Backend(f"this store is damaged: it has no table {', '.join(sorted(missing))}")
    guards = sorted(name for (name,) in connection.execute(f"SELECT name FROM {GUARDS}").fetchall())
    if guards != sorted(KINDS):
        raise Backend(f"this store is damaged: it guards {', '.join(guards) or 'nothing'}, and not each of {', '.join(KINDS)}")
    return True


def _require_version(connection: duckdb.DuckDBPyConnection) -> None:
    try:
        versions = [version for (version,) in connection.execute(f"SELECT schema_version::VARCHAR FROM {MARK}").fetchall()]
    except duckdb.BinderException:
        versions = []
    if versions in ([], [None]):
        raise MissingRecordSchemaVersion(STORE, TABLES_VERSION)
    if len(versions) > 1:
        raise InvalidRecordSchemaVersion(STORE, ", ".join(map(str, versions)), TABLES_VERSION)
    text = versions[0]
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(U32_MAX))
    require_schema_version(int(text) if is_number else text, STORE, TABLES_VERSION)


def _connection(file: str, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(file, read_only=read_only)
    # in an interactive Python it would draw on the terminal of whoever uses the store
    connection.execute("SET enable_progress_bar = false")
    return connection


def _tune(connection: duckdb.DuckDBPyConnection) -> None:
    # set on the open database and not as configuration of the connection: others in this process may have it open
    connection.execute("SET threads = 1")
    connection.execute(f"SET GLOBAL dynamic_or_filter_threshold = {LOOKED_UP_AT_MOST}")
    names = {name for (name,) in connection.execute("SELECT name FROM duckdb_optimizers()").fetchall()}
    connection.execute("SET disabled_optimizers = ?", [",".join(sorted(names - KEPT_OPTIMIZERS))])


def _reason(path: str, error: duckdb.Error) -> str:
    if "Conflicting lock" in str(error):
        return f"cannot open {path!r}: another process has it open, and DuckDB serves one at a time: {error}"
    return f"cannot open {path!r}: {error}"
