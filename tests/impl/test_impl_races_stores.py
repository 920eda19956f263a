"""Races of events, outputs and runtimes: one after the other, and nothing lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from fencepost.impl import DuckDBStores, Engine
from fencepost.impl import runtime as runtime_module
from fencepost.impl.engine import Statement
from fencepost.spec import (
    AppendToFinishedTurn,
    OutputRef,
    RunBoundaryReceipt,
    RuntimeState,
    StoredTurnEvents,
    TurnAlreadyFinished,
    WriteFailed,
    decode_session,
)
from impl_arena import Arena, require_one_after_the_other
from impl_builders import RivalEngine, run
from impl_logs import (
    RUN,
    RUNTIME_WRITES,
    SESSION,
    Call,
    commit,
    delta,
    envelope,
    filled,
    input_state,
    output,
    receipt,
    said,
    stores_on,
    uuid,
)
from test_impl_races import together
from test_impl_reopen_stores import opened

Pair = tuple[DuckDBStores, DuckDBStores]

RIVALS: dict[str, Call] = {
    **RUNTIME_WRITES,
    "apply of the next number": lambda at: at.runtime.atomic_apply("r", delta(4), receipt(8), (input_state(11, 4),), None),
    "boundary of the new run elsewhere": lambda at: commit(at, "r2", session_id=SESSION, inputs=(input_state(12, 3),)),
    "inputs": lambda at: at.runtime.load_input_states("r"),
    "snapshot": lambda at: at.runtime.load_session_snapshot("r"),
    "receipt": lambda at: at.runtime.load_boundary_receipt("r", RUN, 8),
    "state": lambda at: at.runtime.load_runtime_state("r"),
}
FOUGHT = ("boundary", "apply", "lifecycle", "first boundary", "first apply", "apply of the next number")
FIGHTS = [
    pytest.param(call, rival, marks=[] if call == "boundary" else [pytest.mark.slow])
    for place, call in enumerate(FOUGHT)
    for rival in RIVALS
    if rival not in FOUGHT[:place]
]


@pytest.fixture(scope="module")
def arena() -> Arena[DuckDBStores]:
    """Stores to which calls are made at once, as they were before each fight."""
    engine = RivalEngine()
    return Arena(engine, filled(stores_on(engine)))


@pytest.mark.slow
@pytest.mark.parametrize(("call", "rival"), FIGHTS)
def test_one_comes_after_the_other(arena: Arena[DuckDBStores], call: str, rival: str) -> None:
    """A call that is let in at any point of a boundary comes before it or after it, and the other way round (RUNTIME-43)."""
    assert require_one_after_the_other(arena, RIVALS[call], RIVALS[rival])


def test_a_number_that_is_raised_in_place_is_seen(arena: Arena[DuckDBStores], monkeypatch: pytest.MonkeyPatch) -> None:
    """A raise that returns nothing is an update, which the deletion by a boundary passes: the test above would go red."""
    in_place = Statement("raise the number", runtime_module.RAISE_NUMBER.sql.removesuffix(" RETURNING 1"))
    assert in_place.sql != runtime_module.RAISE_NUMBER.sql
    monkeypatch.setattr(runtime_module, "RAISE_NUMBER", in_place)
    with pytest.raises(AssertionError, match="let in before"):
        require_one_after_the_other(arena, RIVALS["boundary"], RIVALS["apply without session"])


@pytest.fixture(
    params=[
        pytest.param("one handle", marks=pytest.mark.slow),
        pytest.param("two handles of one engine", marks=pytest.mark.slow),
        "two stores of one file",
    ]
)
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """Two handles, which are one, on one engine, or of one file."""
    if request.param == "two stores of one file":
        with opened(tmp_path / "store.db") as one, opened(tmp_path / "store.db") as two:
            yield one, two
        return
    engine = Engine()
    stores = stores_on(engine)
    yield stores, stores if request.param == "one handle" else stores_on(engine)
    engine.close()


def require_counted(stores: DuckDBStores) -> None:
    """Every event is of a turn that is there, and every turn has as many as it says."""
    wrong = """SELECT turn_key FROM (SELECT turn_key, count(*) AS found FROM events GROUP BY turn_key)
        FULL JOIN turns USING (turn_key) WHERE coalesce(found, 0) IS DISTINCT FROM events"""
    assert run(stores.event._engine, wrong) == []


def appended(stores: DuckDBStores, thread: str, turn: int, name: str, most: int) -> list[str]:
    """Append so many events until the turn is finished; what was acknowledged."""
    acknowledged = []
    for number in range(most):
        try:
            stores.event.append(thread, turn, envelope(f"{name} {number}"))
        except AppendToFinishedTurn:
            # once it is refused it is refused for good
            with pytest.raises(AppendToFinishedTurn):
                stores.event.append(thread, turn, envelope(f"{name} late"))
            break
        acknowledged.append(f"{name} {number}")
    return acknowledged


def test_an_append_is_stored_before_the_finish_or_refused(pair: Pair) -> None:
    """Of appends that race a finish, those acknowledged are in the turn when it answers, and no other ever (EVENT-33)."""
    one, two = pair
    for turn in range(4):

        def finish(turn: int = turn) -> object:
            one.event.finish_turn("t", turn)
            return two.event.get_turn("t", turn)

        appends = [partial(appended, each, "t", turn, name, 12) for each, name in ((one, "a"), (two, "b"), (one, "c"))]
        *logs, at_finish = together([*appends, finish])
        found = two.event.get_turn("t", turn)
        assert isinstance(found, StoredTurnEvents)
        assert found.finished
        assert found == at_finish
        texts = said(found.events)
        for name, log in zip("abc", logs, strict=True):
            assert [text for text in texts if text.startswith(name)] == log
    require_counted(one)


def test_of_many_finishes_one_succeeds(pair: Pair) -> None:
    """Threads that finish one turn at once: one does, and the others are told that it is finished."""
    for turn in range(4):
        answers = together([partial(pair[number % 2].event.finish_turn, "t", turn) for number in range(6)])
        assert sorted(map(repr, answers)) == sorted(map(repr, [None, *[TurnAlreadyFinished("t", turn)] * 5]))


def test_appends_that_race_a_clear_are_before_or_behind_it(pair: Pair) -> None:
    """What is left after clears is, of each thread's events, the last so many: what came before a clear is gone (EVENT-31)."""
    one, two = pair

    def clear() -> object:
        for _ in range(3):
            two.event.clear("t")
        return None

    for _ in range(4):
        calls = [partial(appended, pair[turn % 2], "t", turn % 3, f"{turn}", 12) for turn in range(4)]
        *logs, _ = together([*calls, clear])
        assert logs == [[f"{turn} {number}" for number in range(12)] for turn in range(4)]
        texts = said(one.event.get_events("t"))
        for turn, log in enumerate(logs):
            assert isinstance(log, list)
            mine = [text for text in texts if text.startswith(f"{turn} ")]
            assert mine == log[len(log) - len(mine) :]
        require_counted(two)
        two.event.clear("t")
        assert one.event.get_turns("t") == ()


def test_a_clear_takes_a_thread_as_a_whole(pair: Pair) -> None:
    """Readers beside a clear and a writer see the events of one generation only, and of it the first so many (EVENT-25)."""
    one, two = pair
    wrong: list[object] = []
    done = threading.Event()

    def write() -> None:
        for generation in range(8):
            for turn in range(3):
                one.event.append("t", turn, envelope(f"{generation} {turn} a"))
                one.event.append("t", turn, envelope(f"{generation} {turn} b"))
                one.event.finish_turn("t", turn)
            one.event.clear("t")
        done.set()

    def read() -> None:
        while not done.is_set():
            turns = two.event.get_turns("t")
            texts = [text for each in turns for text in said(each.events)]
            generation = texts[0].split()[0] if texts else ""
            whole = [f"{generation} {turn} {name}" for turn in range(3) for name in "ab"]
            finished = [each.finished for each in turns]
            # all but the last are finished, and a finished one has both of its events
            if texts != whole[: len(texts)] or not all(finished[:-1]) or (finished and finished[-1] and len(texts) % 2):
                wrong.append(turns)
            turn = two.event.get_turn("t", 1)
            if turn and (turn.finished and len(turn.events) < 2):
                wrong.append(turn)

    assert together([write, read, read]) == [None, None, None]
    assert wrong == []


def test_boundaries_at_once_take_a_number_each(pair: Pair) -> None:
    """Threads that commit boundaries of one run at once get 0 to n-1, each receipt is found, and the last session stays."""
    receipts: list[RunBoundaryReceipt] = []

    def work(number: int) -> None:
        for turn in range(5):
            stores = pair[number % 2]
            inputs = (input_state(number, turn), input_state(50, turn))
            answer = commit(stores, messages=10 * number + turn, inputs=inputs)
            assert stores.runtime.load_boundary_receipt("r", RUN, answer.sequence) == answer
            receipts.append(answer)

    assert together([partial(work, number) for number in range(4)]) == [None] * 4
    receipts.sort(key=lambda each: each.sequence)
    assert [each.sequence for each in receipts] == list(range(20))
    runtime = pair[1].runtime
    assert [runtime.load_boundary_receipt("r", RUN, number) for number in range(21)] == [*receipts, None]
    stored = runtime.load_session_snapshot("r")
    assert stored is not None
    assert decode_session(stored).conversation_digest == receipts[-1].conversation_digest
    # each input bears the number of the last boundary that it was in
    for state in runtime.load_input_states("r"):
        held = [each.sequence for each in receipts if state.input_id in each.contributing_input_ids]
        assert state.last_boundary_sequence == max(held)


def test_boundaries_of_runs_of_their_own_do_not_count_each_other(pair: Pair) -> None:
    """Threads on runs and runtimes of their own each get 0 to n-1, also where they share a session's row (RUNTIME-24)."""

    def work(number: int) -> list[int]:
        name, run_id = f"r{number // 2}", uuid(100 + number)
        return [commit(pair[number % 2], name, run_id, number).sequence for _ in range(5)]

    assert together([partial(work, number) for number in range(4)]) == [[0, 1, 2, 3, 4]] * 4


def test_boundaries_and_applies_share_the_numbers(pair: Pair) -> None:
    """Of a boundary and an apply that want one number one gets it; every receipt acknowledged is found as it was."""
    one, two = pair
    kept: list[RunBoundaryReceipt] = []

    def boundaries() -> None:
        kept.extend([commit(one, messages=number, inputs=(input_state(1, 100),)) for number in range(12)])

    def applies(by: int) -> int:
        refused = 0
        for number in range(by, 30, 3):
            mine = receipt(number)
            try:
                two.runtime.atomic_apply("r", None, mine, (input_state(2, number),), None)
                kept.append(mine)
            except WriteFailed:
                refused += 1
        return refused

    answers = together([boundaries, partial(applies, 0), partial(applies, 1)])
    assert answers[0] is None
    assert all(isinstance(each, int) for each in answers[1:])
    assert len({each.sequence for each in kept}) == len(kept)
    assert all(one.runtime.load_boundary_receipt("r", RUN, each.sequence) == each for each in kept)
    assert commit(two).sequence == max(each.sequence for each in kept) + 1
    # a refused apply has left no input either
    applied = {each.sequence for each in kept if each.message_count == 9 and each.conversation_digest is None}
    (second,) = [each for each in one.runtime.load_input_states("r") if each.attempt_count < 100]
    assert second.attempt_count in applied


def test_of_applies_of_one_receipt_one_succeeds(pair: Pair) -> None:
    """Threads that apply one receipt at once: one does, and what the others carried is not there (RUNTIME-40)."""
    for number in range(5):
        applies = [
            partial(pair[each % 2].runtime.atomic_apply, "r", delta(each), receipt(number), (input_state(each, number),), None)
            for each in range(5)
        ]
        answers = together(applies)
        winner = answers.index(None)
        assert [type(each) for each in answers if each is not None] == [WriteFailed] * 4
        stored = pair[0].runtime.load_session_snapshot("r")
        assert stored is not None
        assert decode_session(stored).message_count == winner
        latest = [each.input_id for each in pair[1].runtime.load_input_states("r") if each.attempt_count == number]
        assert latest == [input_state(winner).input_id]


def test_appends_at_once_stand_in_one_order(pair: Pair) -> None:
    """The list only grows at its end, the latest of a name never goes back, and each thread's records are in its order."""
    one, two = pair
    wrong: list[object] = []
    lists: list[tuple[OutputRef, ...]] = []
    seen: list[list[OutputRef]] = [[], []]
    running = threading.Semaphore(0)
    writers = 3

    def write(number: int) -> list[OutputRef]:
        refs = [output(pair[number % 2], "task", 1, "p") for _ in range(15)]
        running.release()
        return refs

    def ended() -> bool:
        return running._value >= writers

    def read(number: int) -> None:
        stores = pair[number]
        output(stores, "task", 1, "p")
        while not ended():
            latest = stores.output.get_latest_by_name("p")
            listed = tuple(each.id for each in stores.output.list_for_attempt("task", 1))
            if latest.id not in listed or stores.output.get(latest.id) != latest:
                wrong.append(latest)
            seen[number].append(latest.id)
            lists.append(listed)

    *written, _, _ = together([*(partial(write, number) for number in range(writers)), partial(read, 0), partial(read, 1)])
    assert wrong == []
    final = [each.id for each in one.output.list_for_attempt("task", 1)]
    assert len(set(final)) == len(final) == 47
    for refs in written:
        assert isinstance(refs, list)
        assert [each for each in final if each in refs] == refs
    assert all(list(each) == final[: len(each)] for each in lists)
    for latest in seen:
        places = [final.index(each) for each in latest]
        assert places == sorted(places)
    assert two.output.get_latest_by_name("p").id == final[-1]
    numbers = [number for (number,) in run(one.output._engine, "SELECT number FROM outputs ORDER BY number")]
    assert numbers == list(range(1, 48))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_everything_at_once_in_the_long_run(tmp_path: Path, seed: int) -> None:
    """Six threads through two stores of one file, on everything at once: no call gives up, and the accounts add up."""
    with opened(tmp_path / "store.db") as one, opened(tmp_path / "store.db") as two:

        def work(number: int) -> tuple[int, int]:
            stores, receipts, events = (one, two)[number % 2], 0, 0
            for turn in range(100):
                stores.event.append("t", number % 3, envelope(f"{seed} {number} {turn}"))
                events += 1
                output(stores, "task", turn % 3, "p")
                commit(stores, messages=turn, inputs=(input_state(turn % 5, turn), input_state(number, turn)))
                receipts += 1
                stores.runtime.atomic_lifecycle_commit("r", RuntimeState.Running, (input_state(turn % 7, turn),))
                if turn % 10 == number:
                    stores.event.clear("other")
                stores.event.append("other", turn, envelope("beside"))
            return receipts, events

        assert together([partial(work, number) for number in range(6)]) == [(100, 100)] * 6
        assert all(one.runtime.load_boundary_receipt("r", RUN, number) is not None for number in range(600))
        assert one.runtime.load_boundary_receipt("r", RUN, 600) is None
        assert len(two.event.get_events("t")) == 600
        assert sum(len(one.output.list_for_attempt("task", attempt)) for attempt in range(3)) == 600
        require_counted(two)
