"""Opening: what is no store of ours is refused with a reason, and stays as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest
from fencepost.impl import DuckDBRuntimePersistence
from fencepost.spec import (
    Backend,
    Busy,
    InvalidRecordSchemaVersion,
    MissingRecordSchemaVersion,
    StoreError,
    UnsupportedRecordSchemaVersion,
)
from impl_builders import BOB, TTL, acquired


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file below the folder with its bytes, and every folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def refused(path: Path) -> StoreError:
    """The error that opening gives, after which the folder is as it was."""
    before = contents(path.parent) if path.parent.is_dir() else {}
    with pytest.raises(StoreError) as caught:
        DuckDBRuntimePersistence(path)
    assert (contents(path.parent) if path.parent.is_dir() else {}) == before
    return caught.value


def database(path: Path, *statements: str) -> Path:
    """A DuckDB file made with these statements."""
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)
    return path


def ours(path: Path, *statements: str) -> Path:
    """A store of ours, and what was done to it behind its back."""
    DuckDBRuntimePersistence(path).close()
    return database(path, *statements)


def killed(path: Path, code: str) -> None:
    """Run code in a process that ends without closing anything."""
    script = f"import duckdb, os\nc = duckdb.connect({str(path)!r})\n{code}\nos._exit(9)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    """A path in a directory that does not exist is `Backend`, and nothing is created."""
    assert "No such file" in str(refused(tmp_path / "missing" / "store.db"))
    assert contents(tmp_path) == {}


def test_a_directory_is_refused(tmp_path: Path) -> None:
    """A path that is a directory is `Backend`."""
    (tmp_path / "folder").mkdir()
    assert "no regular file" in str(refused(tmp_path / "folder"))


def test_a_path_that_is_no_path_is_refused() -> None:
    """A path with a NUL, and the empty path, are `Backend`."""
    for path in ("a\0b", ""):
        with pytest.raises(Backend):
            DuckDBRuntimePersistence(path)


@pytest.mark.parametrize("text", ["", "short", "no database at all " * 1000])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, text: str) -> None:
    """A file that DuckDB cannot read, the empty one included, is `Backend` and keeps its bytes."""
    (tmp_path / "store.db").write_text(text)
    assert "not a valid DuckDB database" in str(refused(tmp_path / "store.db"))


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE notes (text VARCHAR)",
        "CREATE VIEW notes AS SELECT 1",
        "CREATE SEQUENCE notes",
        "CREATE SCHEMA notes",
        "CREATE TYPE notes AS ENUM ('a')",
        "CREATE TABLE leases (session_id VARCHAR PRIMARY KEY)",
    ],
)
def test_a_database_of_somebody_else_is_refused(tmp_path: Path, statement: str) -> None:
    """A DuckDB file with anything in it but our tables is `Backend` and keeps its bytes."""
    assert "no store of ours" in str(refused(database(tmp_path / "store.db", statement)))


def test_an_unwritten_log_of_somebody_else_is_not_written(tmp_path: Path) -> None:
    """A foreign database that was killed is refused without its log being worked into it."""
    killed(tmp_path / "store.db", "c.execute('CREATE TABLE notes (text VARCHAR)')")
    assert "store.db.wal" in contents(tmp_path)
    assert "no store of ours" in str(refused(tmp_path / "store.db"))


def test_a_log_without_its_database_is_refused(tmp_path: Path) -> None:
    """Where the file was taken away and its log was left, nothing is created and the log stays."""
    killed(tmp_path / "store.db", "c.execute('CREATE TABLE notes (text VARCHAR)')")
    (tmp_path / "store.db").unlink()
    assert "log without its database" in str(refused(tmp_path / "store.db"))


def test_an_empty_database_becomes_ours(tmp_path: Path) -> None:
    """A DuckDB file without any object, as a crash while creating leaves it, is made a store."""
    with DuckDBRuntimePersistence(database(tmp_path / "store.db")) as store:
        assert acquired(store).fencing_token == 1


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("UPDATE fencepost_store SET schema_version = '1'", UnsupportedRecordSchemaVersion("store", 1, 2)),
        ("UPDATE fencepost_store SET schema_version = '4294967296'", InvalidRecordSchemaVersion("store", "4294967296", 2)),
        ("UPDATE fencepost_store SET schema_version = 'one'", InvalidRecordSchemaVersion("store", "one", 2)),
        ("UPDATE fencepost_store SET schema_version = '1.0'", InvalidRecordSchemaVersion("store", "1.0", 2)),
        ("UPDATE fencepost_store SET schema_version = '²'", InvalidRecordSchemaVersion("store", "²", 2)),
        ("INSERT INTO fencepost_store VALUES ('2')", InvalidRecordSchemaVersion("store", "2, 2", 2)),
        ("UPDATE fencepost_store SET schema_version = NULL", MissingRecordSchemaVersion("store", 2)),
        ("DELETE FROM fencepost_store", MissingRecordSchemaVersion("store", 2)),
        ("ALTER TABLE fencepost_store RENAME schema_version TO version", MissingRecordSchemaVersion("store", 2)),
    ],
)
def test_a_store_of_another_version_is_refused(tmp_path: Path, statement: str, error: StoreError) -> None:
    """A newer, garbled or missing schema version of the store is its own error, and the file keeps its bytes."""
    assert refused(ours(tmp_path / "store.db", statement)) == error


def test_a_store_without_one_of_its_tables_is_refused(tmp_path: Path) -> None:
    """A store of ours that lost a table is `Backend` and names the table."""
    assert "no table nodes" in str(refused(ours(tmp_path / "store.db", "DROP TABLE nodes")))


def test_opening_does_not_write(tmp_path: Path) -> None:
    """To open and close a store leaves its bytes as they are."""
    path = ours(tmp_path / "store.db")
    before = contents(tmp_path)
    DuckDBRuntimePersistence(path).close()
    assert contents(tmp_path) == before


def test_a_file_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    """A store in a file or directory without permission to write is `Backend`."""
    tmp_path.chmod(0o755)
    path = ours(tmp_path / "store.db")
    path.chmod(0o444)
    (tmp_path / "folder").mkdir(mode=0o555)
    before = contents(tmp_path)
    script = (
        "import os, sys\n"
        "from fencepost.impl import DuckDBRuntimePersistence\nfrom fencepost.spec import Backend\n"
        # permissions do not bind the superuser
        "os.geteuid() or os.setuid(65534)\n"
        "for path in sys.argv[1:]:\n"
        "    try: DuckDBRuntimePersistence(path)\n"
        "    except Backend as error: print('refused', 'ermission denied' in str(error))\n"
    )
    for folder in tmp_path.parents:
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    shown = subprocess.run(
        [sys.executable, "-c", script, str(path), str(tmp_path / "folder" / "new.db")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.stdout == "refused True\nrefused True\n", shown.stderr
    assert contents(tmp_path) == before


def test_a_second_process_is_told_who_has_the_file(tmp_path: Path) -> None:
    """While one process has a store open, opening it in another is `Backend` and says why."""
    script = (
        "import sys\nfrom fencepost.impl import DuckDBRuntimePersistence\nfrom fencepost.spec import Backend\n"
        "try: DuckDBRuntimePersistence(sys.argv[1])\nexcept Backend as error: print(error)"
    )
    with DuckDBRuntimePersistence(tmp_path / "store.db"):
        shown = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "store.db")], capture_output=True, text=True, check=True
        ).stdout
    assert "another process has it open" in shown
    assert f"PID {os.getpid()}" in shown


def test_two_stores_in_one_process_share_a_file(tmp_path: Path) -> None:
    """A second store on the same file, also under another name of it, sees what the first acknowledged, and outlives it."""
    (tmp_path / "link.db").symlink_to(tmp_path / "store.db")
    with DuckDBRuntimePersistence(tmp_path / "store.db") as first, DuckDBRuntimePersistence(tmp_path / "link.db") as second:
        lease = acquired(first)
        assert second.try_claim_session_execution_lease("s", BOB, TTL) == Busy(lease)
        first.close()
        assert second.try_claim_session_execution_lease("s", BOB, TTL) == Busy(lease)


def test_a_store_that_another_store_of_the_process_has_open_is_still_looked_at(tmp_path: Path) -> None:
    """A foreign database that is open in this process already is refused all the same."""
    path = database(tmp_path / "store.db", "CREATE TABLE notes (text VARCHAR)")
    with duckdb.connect(str(path)), pytest.raises(Backend, match="no store of ours"):
        DuckDBRuntimePersistence(path)


@pytest.mark.parametrize("exists", [False, True])
def test_threads_that_open_one_store_together_all_get_it(tmp_path: Path, exists: bool) -> None:
    """Many threads that open the same file at once, new or not, open one store."""
    if exists:
        DuckDBRuntimePersistence(tmp_path / "store.db").close()
    barrier = threading.Barrier(8)
    opened: list[DuckDBRuntimePersistence] = []
    failed: list[StoreError] = []

    def open_it() -> None:
        barrier.wait()
        try:
            opened.append(DuckDBRuntimePersistence(tmp_path / "store.db"))
        except StoreError as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    lease = acquired(opened[0])
    assert all(store.renew_session_execution_lease(lease.fence(), TTL).fencing_token == 1 for store in opened)
    for store in opened:
        store.close()


@pytest.mark.parametrize("path", [":memory:", "store.db"])
def test_the_engine_draws_no_progress_on_the_terminal(path: str, tmp_path: Path) -> None:
    """Not even in an interactive Python, where DuckDB would after two seconds."""
    asked = "SELECT current_setting('enable_progress_bar')"
    code = (
        f"import duckdb; from fencepost.impl.schema import connected; "
        f'print(*(each.execute("{asked}").fetchone() for each in (duckdb.connect(), connected("{path}")[0])))'
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "(True,) (False,)\n"
