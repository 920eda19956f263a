"""`DuckDBStores`: every store over one engine, closed together; and snapshots that another runtime's codec reads."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fencepost.impl import DuckDBEventStore, DuckDBOutputStore, DuckDBRuntimeStore, DuckDBStores, Engine
from fencepost.impl.store import DuckDBStore
from fencepost.spec import (
    Backend,
    DecodedSession,
    OutputInternal,
    OutputNotFound,
    OutputRef,
    ReadFailed,
    RunApplyBoundary,
    RuntimeState,
    SessionDelta,
    SessionKeyMismatch,
    Stores,
    UndecodableSession,
    WriteFailed,
)
from impl_builders import NOW, acquired, dump, everybody_dead, run
from impl_logs import (
    EVERY_READ,
    EVERY_WRITE,
    INPUTS,
    RUN,
    SESSION,
    commit,
    delta,
    envelope,
    filled,
    observed,
    output,
    receipt,
    refilled,
    said,
    stores_on,
)
from test_impl_faults_stores import kind_of

ALL = ("runtime_persistence", "runtime", "event", "output")


def test_every_store_stands_on_one_engine(tmp_path: Path) -> None:
    """The four stores share one engine, memory or file, and each has what it wrote."""
    for path in (":memory:", str(tmp_path / "store.db"), tmp_path / "other.db"):
        with DuckDBStores(path, clock=lambda: NOW, process_alive=everybody_dead) as stores:
            assert isinstance(stores, Stores)
            assert len({id(getattr(stores, name)._engine) for name in ALL}) == 1
            assert acquired(stores.runtime_persistence).claimed_at_epoch_ms == NOW
            filled(stores)
            assert said(stores.event.get_events("t")) == ["d", "b", "c", "a"]


def test_the_stores_share_no_rows() -> None:
    """What one store writes changes no table that another one reads, but the row of guards that is its own."""
    engine = Engine()
    stores = stores_on(engine)
    tables: dict[str, set[str]] = {}
    for name, part in (("event", "append"), ("output", "output"), ("runtime", "boundary"), ("runtime", "lifecycle")):
        before = dump(engine)
        EVERY_WRITE[part](stores)
        tables.setdefault(name, set()).update(table for table, rows in dump(engine).items() if rows != before[table])
    assert tables == {
        "event": {"threads", "turns", "events"},
        "output": {"guards", "outputs", "producers"},
        "runtime": {f"runtime_{each}" for each in ("inputs", "states", "snapshots", "runs", "receipts", "sessions")},
    }
    assert [row[0] for row in dump(engine)["guards"] if row[1]] == ["outputs"]


@pytest.mark.parametrize("own", [True, False])
def test_close_closes_every_store(own: bool) -> None:
    """After `close`, however often, each call is the failure of its protocol; the engine is closed if the stores opened it."""
    engine = Engine()
    stores = DuckDBStores() if own else stores_on(engine)
    filled(stores)
    ref = output(stores)
    for _ in range(3):
        stores.close()
        for name, call in (EVERY_READ | EVERY_WRITE).items():
            with pytest.raises(Backend, match="closed") as caught:
                call(stores)
            assert type(caught.value) is kind_of(name)
        with pytest.raises(OutputInternal, match="closed"):
            stores.output.get(ref)
        with pytest.raises(Backend, match="closed"):
            stores.runtime_persistence.load_session_meta()
    if not own:
        again = stores_on(engine)
        assert again.output.get(ref).id == ref
        assert commit(again).sequence == 8


def test_a_store_that_is_closed_leaves_the_others_open() -> None:
    """Closing one store of several on one engine closes that one only."""
    stores = DuckDBStores()
    stores.event.close()
    with pytest.raises(Backend, match="closed"):
        stores.event.get_turns("t")
    assert commit(stores).sequence == 0
    with pytest.raises(OutputNotFound):
        stores.output.get_latest_by_name("p")
    stores.close()


def test_a_closed_engine_is_told_by_every_store() -> None:
    """Stores on an engine that somebody closed refuse every call as their protocols say, and can still be closed."""
    engine = Engine()
    stores = refilled(engine)
    engine.close()
    for name, call in (EVERY_READ | EVERY_WRITE).items():
        with pytest.raises(Backend, match="closed") as caught:
            call(stores)
        assert type(caught.value) is kind_of(name)
    stores.close()


@pytest.mark.parametrize("kind", [DuckDBEventStore, DuckDBOutputStore, DuckDBRuntimeStore, DuckDBStores])
def test_a_context_closes_what_it_opened(tmp_path: Path, kind: Any) -> None:
    """As a context manager each store closes itself and its file, which can then be opened anew, also after an error."""
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), kind(tmp_path / "store.db"):
            raise ZeroDivisionError
    assert issubclass(kind, DuckDBStore | DuckDBStores)
    (tmp_path / "store.db").rename(tmp_path / "moved.db")
    with kind(tmp_path / "moved.db"):
        pass


def test_a_path_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """A directory or a file of somebody else is `Backend`, for all stores as for one."""
    (tmp_path / "text").write_text("no database")
    for path in (tmp_path, tmp_path / "text"):
        with pytest.raises(Backend, match="cannot open"):
            DuckDBStores(path)


def of_lines(snapshot: bytes) -> DecodedSession:
    """The codec of a runtime whose session is a line with its id, and a line for each message."""
    session_id, *messages = snapshot.decode().split("\n")
    if not session_id:
        raise UndecodableSession("it has no first line")
    return DecodedSession(UUID(session_id), len(messages), sha256(repr(messages).encode()).hexdigest())


LINES = SessionDelta(f"{SESSION}\none\ntwo".encode())
IMMEDIATE = RunApplyBoundary.Immediate


def test_a_codec_of_another_runtime_reads_its_snapshots(tmp_path: Path) -> None:
    """With a codec of its own a store takes snapshots of another form, in a file and on an engine, and keeps their bytes."""
    engine = Engine()
    for store in (
        DuckDBRuntimeStore.reading(engine, of_lines),
        DuckDBRuntimeStore(codec=of_lines),
        DuckDBRuntimeStore(tmp_path / "store.db", codec=of_lines),
        DuckDBStores(codec=of_lines).runtime,
    ):
        made = store.commit_session_boundary("r", LINES, RUN, IMMEDIATE, (), INPUTS)
        assert (made.message_count, made.sequence) == (2, 0)
        assert made.conversation_digest == sha256(b"['one', 'two']").hexdigest()
        store.atomic_apply("r", LINES, receipt(3), (), SESSION)
        with pytest.raises(SessionKeyMismatch):
            store.atomic_apply("r", LINES, receipt(4), (), RUN)
        with pytest.raises(WriteFailed, match="it has no first line"):
            store.commit_session_boundary("r", SessionDelta(b""), RUN, IMMEDIATE, (), ())
        assert store.load_session_snapshot("r") == LINES.session_snapshot
    assert run(engine, "SELECT session_id FROM runtime_sessions") == [(str(SESSION),)]


def test_a_codec_is_of_one_store() -> None:
    """Two stores on one engine read with their own codecs, and each keeps what the other wrote as it is."""
    engine = Engine()
    stores, lines = stores_on(engine), DuckDBRuntimeStore.reading(engine, of_lines)
    lines.commit_session_boundary("r", LINES, RUN, IMMEDIATE, (), ())
    assert stores.runtime.load_session_snapshot("r") == LINES.session_snapshot
    with pytest.raises(WriteFailed, match="no session"):
        stores.runtime.commit_session_boundary("r", LINES, RUN, IMMEDIATE, (), ())
    assert commit(stores).sequence == 1
    assert DuckDBRuntimeStore.reading(engine).commit_session_boundary("r", delta(), RUN, IMMEDIATE, (), ()).sequence == 2


def failing(snapshot: bytes) -> DecodedSession:
    """A codec with a mistake."""
    raise KeyError("session")


SHORT = "0" * 63
BAD_CODECS: dict[str, Any] = {
    "one that fails": failing,
    "one that answers nothing": lambda snapshot: None,
    "one that answers a tuple": lambda snapshot: (SESSION, 1, SHORT + "0"),
    "one whose count is negative": lambda snapshot: DecodedSession(SESSION, -1, SHORT + "0"),
    "one whose count is too large": lambda snapshot: DecodedSession(SESSION, 2**64, SHORT + "0"),
    "one whose count is a truth": lambda snapshot: DecodedSession(SESSION, True, SHORT + "0"),
    "one whose digest is short": lambda snapshot: DecodedSession(SESSION, 1, SHORT),
    "one whose digest has capitals": lambda snapshot: DecodedSession(SESSION, 1, SHORT + "A"),
    "one without a digest": lambda snapshot: DecodedSession(SESSION, 1, None),  # type: ignore[arg-type]  # the wrong type is the point
    "one whose session is a number": lambda snapshot: DecodedSession(7, 1, SHORT + "0"),  # type: ignore[arg-type]  # likewise
}


@pytest.mark.parametrize("name", BAD_CODECS)
def test_a_codec_that_fails_is_told(name: str) -> None:
    """A codec that raises anything, or answers what no receipt can say, is `WriteFailed`, and nothing is written."""
    engine = Engine()
    stores = refilled(engine)
    store = DuckDBRuntimeStore.reading(engine, BAD_CODECS[name])
    shown, before = observed(stores), dump(engine)
    with pytest.raises(WriteFailed, match="the codec"):
        store.commit_session_boundary("r", delta(), RUN, IMMEDIATE, (), INPUTS)
    with pytest.raises(WriteFailed, match="the codec"):
        store.atomic_apply("r", delta(), receipt(9), INPUTS, None)
    assert (observed(stores), dump(engine)) == (shown, before)
    # what has no session asks no codec
    store.atomic_apply("r", None, receipt(9), (), None)
    store.persist_runtime_state("r", RuntimeState.Idle)


def test_a_codec_may_ask_the_store() -> None:
    """A codec that reads from the store it serves is answered: it is asked before the transaction begins."""
    engine = Engine()
    stores = refilled(engine)

    def curious(snapshot: bytes) -> DecodedSession:
        assert stores.runtime.load_runtime_state("r2") is RuntimeState.Idle
        return of_lines(snapshot)

    assert DuckDBRuntimeStore.reading(engine, curious).commit_session_boundary("r", LINES, RUN, IMMEDIATE, (), ()).sequence == 8


def test_an_error_names_its_cause() -> None:
    """A failure of the engine keeps what caused it, and a missing record is told by what was asked for."""
    engine = Engine()
    stores = refilled(engine)
    run(engine, "UPDATE runtime_states SET state = 'ghost'")
    with pytest.raises(ReadFailed, match="'ghost'") as caught:
        stores.runtime.load_runtime_state("r")
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(OutputNotFound, match="no such id"):
        stores.output.get(OutputRef("no such id"))
    with pytest.raises(OutputNotFound, match="no such name"):
        stores.output.get_latest_by_name("no such name")
    stores.event.append("t", 2, envelope("still"))
