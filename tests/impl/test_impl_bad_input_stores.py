"""What callers get wrong of events, outputs and runtimes, and what is merely extreme: nothing lost, and nothing half done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fencepost.impl import DuckDBStores, Engine
from fencepost.impl.encoding import lookup
from fencepost.spec import (
    AppendToFinishedTurn,
    Final,
    Inline,
    InvalidArgument,
    Json,
    OutputNotFound,
    OutputRef,
    Progress,
    RunApplyBoundary,
    RuntimeState,
    SessionDelta,
    SessionKeyMismatch,
    WriteFailed,
)
from fencepost.spec.conversation import decode_session
from impl_builders import dump
from impl_logs import (
    INPUTS,
    NEW_RUN,
    OTHER_SESSION,
    RUN,
    SESSION,
    Call,
    commit,
    delta,
    envelope,
    input_state,
    observed,
    output,
    receipt,
    refilled,
    said,
    session,
)
from msgspec.structs import replace
from test_impl_reopen_stores import opened

MOST = 2**64 - 1
NUMBERS = [0, 1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**63 + 1, MOST - 1, MOST]


@pytest.fixture
def stores() -> DuckDBStores:
    """Stores with something of every kind in them."""
    return refilled(Engine())


@pytest.mark.parametrize("turn", NUMBERS)
def test_a_turn_of_any_number(tmp_path: Path, turn: int) -> None:
    """A turn of any 64-bit number is told from its neighbours, stands in their order, and is closed, after a reopen too."""
    near = sorted({turn, max(turn - 1, 0), min(turn + 1, MOST)})
    with opened(tmp_path / "store.db") as stores:
        for each in reversed(near):
            stores.event.append("t", each, envelope(f"in {each}", sequence=each))
        stores.event.finish_turn("t", turn)
    with opened(tmp_path / "store.db") as stores:
        turns = stores.event.get_turns("t")
        assert [(each.turn, said(each.events), each.finished) for each in turns] == [
            (each, [f"in {each}"], each == turn) for each in near
        ]
        assert [each.sequence for each in stores.event.get_events("t")] == near
        assert [stores.event.get_turn("t", each) for each in near] == list(turns)
        with pytest.raises(AppendToFinishedTurn) as caught:
            stores.event.append("t", turn, envelope("late"))
        assert caught.value == AppendToFinishedTurn("t", turn)


@pytest.mark.parametrize("sequence", NUMBERS)
def test_a_receipt_of_any_number(tmp_path: Path, sequence: int) -> None:
    """A caller's receipt of any 64-bit number is found by it alone, and the next boundary has the next, if there is one."""
    with opened(tmp_path / "store.db") as stores:
        stores.runtime.atomic_apply("r", None, receipt(sequence), (), None)
        assert stores.runtime.load_boundary_receipt("r", RUN, sequence) == receipt(sequence)
        for near in {max(sequence - 1, 0), min(sequence + 1, MOST)} - {sequence}:
            assert stores.runtime.load_boundary_receipt("r", RUN, near) is None
    with opened(tmp_path / "store.db") as stores:
        if sequence == MOST:
            with pytest.raises(WriteFailed, match="no number comes after it"):
                commit(stores, inputs=INPUTS)
            assert stores.runtime.load_input_states("r") == ()
            assert stores.runtime.load_session_snapshot("r") is None
            return
        answer = commit(stores, inputs=INPUTS)
        assert answer.sequence == sequence + 1
        assert stores.runtime.load_boundary_receipt("r", RUN, sequence + 1) == answer
        stamps = [each.last_boundary_sequence for each in stores.runtime.load_input_states("r")]
        assert stamps == [sequence + 1, sequence + 1]


@pytest.mark.parametrize("attempt", [0, 1, 2**31, 2**32 - 1])
def test_an_attempt_of_any_number(stores: DuckDBStores, attempt: int) -> None:
    """An attempt of any 32-bit number has its records to itself."""
    ref = output(stores, "many", attempt)
    assert [each.id for each in stores.output.list_for_attempt("many", attempt)] == [ref]
    assert stores.output.get(ref).attempt == attempt
    assert stores.output.list_for_attempt("many", attempt ^ 1) == ()


TEXTS = ["", "\0", "a\0b", "%", "_", "'; DROP TABLE events; --", '"', "\\", "é", "e\u0301", "\U0010ffff", "k" * 1_000_000]


@pytest.mark.parametrize("name", TEXTS)
def test_any_text_is_a_name(tmp_path: Path, name: str) -> None:
    """Threads, tasks, producers and runtimes of any characters and length are told from those that begin like them."""
    names = (name, name + "\0", name + "'")
    with opened(tmp_path / "store.db") as stores:
        refs = {}
        for number, each in enumerate(names):
            stores.event.append(each, 1, envelope(f"of {number}"))
            refs[each] = output(stores, each, 1, each, Progress(each, each))
            commit(stores, each, messages=number, inputs=(input_state(1, number),))
            stores.runtime.persist_runtime_state(each, list(RuntimeState)[number])
        stores.event.clear(names[2])
    with opened(tmp_path / "store.db") as stores:
        for number, each in enumerate(names):
            assert said(stores.event.get_events(each)) == ([f"of {number}"] if number < 2 else [])
            (record,) = stores.output.list_for_attempt(each, 1)
            assert (record.id, record.event) == (refs[each], Progress(each, each))
            assert stores.output.get_latest_by_name(each) == stores.output.get(record.id) == record
            assert [state.attempt_count for state in stores.runtime.load_input_states(each)] == [number]
            assert stores.runtime.load_session_snapshot(each) == session(number)
            assert stores.runtime.load_runtime_state(each) is list(RuntimeState)[number]
            assert stores.runtime.load_boundary_receipt(each, RUN, 1) is None
        with pytest.raises(OutputNotFound):
            stores.output.get_latest_by_name(name + "x")
        with pytest.raises(OutputNotFound):
            stores.output.get(OutputRef(name))
        assert stores.output.list_for_attempt(name + "x", 1) == ()
        assert stores.event.get_turns(name + "x") == ()


def test_names_that_run_together_are_told_apart(stores: DuckDBStores) -> None:
    """Names whose parts only together are equal find different rows, whatever separates them."""
    pairs = [("t", 11), ("t1", 1), ("t,1", 1), ('t","1', 1), ("t1", 11), ("", 1), ("1", 0)]
    for name, number in pairs:
        stores.event.append(f"x{name}", number, envelope(f"{name} {number}"))
        output(stores, f"x{name}", number, f"{name} {number}")
    for name, number in pairs:
        turn = stores.event.get_turn(f"x{name}", number)
        assert turn is not None
        assert said(turn.events) == [f"{name} {number}"]
        assert [each.producer_agent for each in stores.output.list_for_attempt(f"x{name}", number)] == [f"{name} {number}"]
    texts = ("", "a", "b", "ab", '"', '","', 'a","b', ",", "a,b", "\0", "[", '"]["')
    found = {lookup(*names) for names in [(one,) for one in texts] + [(one, two) for one in texts for two in texts]}
    assert len(found) == len(texts) * (len(texts) + 1)
    # a runtime whose id ends as another one's run begins
    commit(stores, f"x{RUN}", NEW_RUN)
    assert stores.runtime.load_boundary_receipt("x", RUN, 0) is None
    assert stores.runtime.load_input_state(f"r{RUN}", input_state(12).input_id) is None


def test_large_values_come_back_equal(tmp_path: Path) -> None:
    """An event, a record, an input and a session of ten megabytes are kept and read, after a reopen too."""
    text = "\U0010ffff\n" * 2_000_000
    event, final = envelope(text), Final(Inline(Json({"text": text})), ok=False)
    state = replace(input_state(1), persisted_input=Json([text]))
    large = session().replace(b'"0"', b'"' + b"x" * 10_000_000 + b'"')
    with opened(tmp_path / "store.db") as stores:
        stores.event.append("t", 1, event)
        ref = output(stores, event=final)
        stores.runtime.persist_input_state("r", state)
        made = stores.runtime.commit_session_boundary(
            "r", SessionDelta(large), RUN, RunApplyBoundary.Immediate, (), (replace(state, input_id=NEW_RUN),)
        )
    with opened(tmp_path / "store.db") as stores:
        assert stores.event.get_events("t") == (event,)
        assert stores.output.get(ref).event == final
        assert stores.runtime.load_session_snapshot("r") == large
        assert decode_session(large).conversation_digest == made.conversation_digest
        kept = {each.input_id: each.persisted_input for each in stores.runtime.load_input_states("r")}
        assert kept == {state.input_id: Json([text]), NEW_RUN: Json([text])}


def test_many_inputs_at_once(stores: DuckDBStores) -> None:
    """Five thousand inputs of one boundary, each twice, are stored each once, in the version that came last."""
    inputs = tuple(input_state(number % 5_000, number // 5_000) for number in range(10_000))
    answer = commit(stores, "many", inputs=inputs)
    found = stores.runtime.load_input_states("many")
    assert [(each.input_id, each.attempt_count) for each in found] == [(input_state(each).input_id, 1) for each in range(5_000)]
    assert {each.last_boundary_sequence for each in found} == {0}
    assert len(answer.contributing_input_ids) == 10_000


UNDECODABLE = [
    b"",
    b"no JSON",
    b"\xff\xfe",
    b"[]",
    b"{}",
    session() + b"x",
    b"\xef\xbb\xbf" + session(),
    session().replace(b'"0"', b"NaN"),
    session().replace(b'"0"', b'"\\ud800"'),
    session(session_id="no UUID"),
    b"[" * 1_000_000,
]


@pytest.mark.parametrize("snapshot", UNDECODABLE, ids=range(len(UNDECODABLE)))
def test_what_is_no_session_is_refused(stores: DuckDBStores, snapshot: bytes) -> None:
    """Bytes that are no session are `WriteFailed` in a boundary and in an apply, and nothing of the call is left."""
    shown, before = observed(stores), dump(stores.event._engine)
    checkpoint = RunApplyBoundary.RunCheckpoint
    with pytest.raises(WriteFailed, match="no session"):
        stores.runtime.commit_session_boundary("r", SessionDelta(snapshot), RUN, checkpoint, (), INPUTS)
    with pytest.raises(WriteFailed, match="no session"):
        stores.runtime.atomic_apply("r", SessionDelta(snapshot), receipt(9), INPUTS, SESSION)
    assert (observed(stores), dump(stores.event._engine)) == (shown, before)


def test_a_key_of_another_session_is_refused(stores: DuckDBStores) -> None:
    """A key that is not the session's is told with both, also where the receipt is there, and nothing of the call is left."""
    before = dump(stores.event._engine)
    for sequence in (0, 9):
        with pytest.raises(SessionKeyMismatch) as caught:
            stores.runtime.atomic_apply("r", delta(), receipt(sequence), INPUTS, OTHER_SESSION)
        assert caught.value == SessionKeyMismatch(OTHER_SESSION, SESSION)
    assert dump(stores.event._engine) == before
    # without a session there is nothing that the key could mismatch
    stores.runtime.atomic_apply("r", None, receipt(9), (), OTHER_SESSION)


BAD: Any = None
"""What no annotation admits."""

NO_ARGUMENTS: dict[str, Call] = {
    "a negative turn": lambda at: at.event.append("t", -1, envelope("a")),
    "too large a turn": lambda at: at.event.append("t", 2**64, envelope("a")),
    "a turn that is a truth": lambda at: at.event.finish_turn("t", True),
    "a turn that is a float": lambda at: at.event.get_turn("t", 1.0),  # type: ignore[arg-type]
    "a turn that is text": lambda at: at.event.finish_turn("t", "1"),  # type: ignore[arg-type]
    "a thread that is bytes": lambda at: at.event.append(b"t", 1, envelope("a")),  # type: ignore[arg-type]
    "no thread": lambda at: at.event.clear(BAD),
    "a surrogate in a thread": lambda at: at.event.append("\ud800", 1, envelope("a")),
    "an event without envelope": lambda at: at.event.append("t", 1, envelope("a").event),  # type: ignore[arg-type]
    "an envelope as JSON": lambda at: at.event.append("t", 1, {"type": "text"}),  # type: ignore[arg-type]
    "no envelope": lambda at: at.event.append("t", 1, BAD),
    "a negative attempt": lambda at: output(at, "task", -1),
    "too large an attempt": lambda at: output(at, "task", 2**32),
    "an attempt that is a truth": lambda at: at.output.list_for_attempt("task", True),
    "a list of parents": lambda at: at.output.append("t", 1, "p", Progress("s"), []),  # type: ignore[arg-type]
    "parents by their texts": lambda at: at.output.append("t", 1, "p", Progress("s"), ("out-",)),  # type: ignore[arg-type]
    "content as event": lambda at: output(at, event=Inline(Json(1))),  # type: ignore[arg-type]
    "an id that is text": lambda at: at.output.get("out-0000000000"),  # type: ignore[arg-type]
    "a name that is a ref": lambda at: at.output.get_latest_by_name(OutputRef("p")),  # type: ignore[arg-type]
    "a surrogate in a producer": lambda at: output(at, producer="\ud800"),
    "a run that is no UUID": lambda at: commit(at, run_id="run"),  # type: ignore[arg-type]
    "a run as text": lambda at: commit(at, run_id=str(RUN)),  # type: ignore[arg-type]
    "a list of inputs": lambda at: at.runtime.atomic_lifecycle_commit("r", RuntimeState.Idle, [input_state(1)]),  # type: ignore[arg-type]
    "an input by its id": lambda at: at.runtime.persist_input_state("r", RUN),  # type: ignore[arg-type]
    "a state by its word": lambda at: at.runtime.persist_runtime_state("r", "idle"),  # type: ignore[arg-type]
    "a session as text": lambda at: at.runtime.atomic_apply("r", "{}", receipt(9), (), None),  # type: ignore[arg-type]
    "a session as bytes": lambda at: at.runtime.atomic_apply("r", session(), receipt(9), (), None),  # type: ignore[arg-type]
    "no receipt": lambda at: at.runtime.atomic_apply("r", None, BAD, (), None),
    "a key that is no UUID": lambda at: at.runtime.atomic_apply("r", None, receipt(9), (), ""),  # type: ignore[arg-type]
    "a negative sequence": lambda at: at.runtime.load_boundary_receipt("r", RUN, -1),
    "too large a sequence": lambda at: at.runtime.load_boundary_receipt("r", RUN, 2**64),
    "a runtime that is a number": lambda at: at.runtime.load_input_states(1),  # type: ignore[arg-type]
    "an input that is no UUID": lambda at: at.runtime.load_input_state("r", "input"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", NO_ARGUMENTS)
def test_what_is_no_argument_is_refused_before_any_effect(stores: DuckDBStores, name: str) -> None:
    """An argument of another type or beyond its range is `InvalidArgument`, and every row is as before."""
    before = dump(stores.event._engine)
    with pytest.raises(InvalidArgument):
        NO_ARGUMENTS[name](stores)
    assert dump(stores.event._engine) == before
