"""A fault at any statement of a call on events, outputs or runtimes undoes the call, which can then be made again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from fencepost.impl import DuckDBStores
from fencepost.spec import (
    Backend,
    EventStorageFailure,
    OutputInternal,
    ReadFailed,
    SessionKeyMismatch,
    StoreError,
    TurnAlreadyFinished,
    WriteFailed,
)
from impl_builders import FaultyEngine, dump
from impl_logs import (
    EVENT_READS,
    EVENT_WRITES,
    EVERY_READ,
    EVERY_WRITE,
    OUTPUT_READS,
    OUTPUT_WRITES,
    RUN,
    RUNTIME_READS,
    Call,
    commit,
    delta,
    envelope,
    input_state,
    left,
    observed,
    output,
    receipt,
    refilled,
    said,
)

STATEMENTS = dict.fromkeys(EVENT_WRITES | OUTPUT_WRITES, 1) | {
    "boundary": 6,
    "boundary without inputs": 5,
    "first boundary": 6,
    "apply": 6,
    "apply without session": 4,
    "first apply": 6,
    "persist input": 1,
    "persist new input": 1,
    "persist state": 1,
    "persist first state": 1,
    "lifecycle": 4,
    "lifecycle without inputs": 3,
}
"""How many statements each writing call sends, BEGIN and COMMIT included."""


def kind_of(name: str) -> type[StoreError]:
    """What a failure of the engine is called in this call's protocol."""
    if name in EVENT_WRITES | EVENT_READS:
        return EventStorageFailure
    if name in OUTPUT_WRITES | OUTPUT_READS:
        return OutputInternal
    return ReadFailed if name in RUNTIME_READS else WriteFailed


def prepared() -> tuple[FaultyEngine, DuckDBStores]:
    """Stores with something of every kind in them."""
    engine = FaultyEngine()
    return engine, refilled(engine)


@pytest.mark.slow
@pytest.mark.parametrize("name", STATEMENTS)
def test_a_fault_at_any_statement_undoes_the_call(name: str) -> None:
    """Wherever a call fails, at COMMIT too, nothing shown or stored differs; then the call does what it was to do."""
    engine, stores = prepared()
    call, shown, before = EVERY_WRITE[name], observed(stores), dump(engine)
    for at in range(STATEMENTS[name]):
        # what was run last has taken effect: that its answer is lost is another matter
        for runs_it in (False, True)[: 1 if at == STATEMENTS[name] - 1 else 2]:
            with engine.failing(at, runs_it=runs_it), pytest.raises(Backend, match="injected fault") as caught:
                call(stores)
            assert type(caught.value) is kind_of(name)
            assert (observed(stores), dump(engine)) == (shown, before)
    answer = call(stores)
    unharmed_engine, unharmed = prepared()
    again = call(unharmed)
    assert name in OUTPUT_WRITES or again == answer
    assert left(engine) == left(unharmed_engine)
    assert observed(stores) != shown


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_statements_are_all_there_are(name: str) -> None:
    """The table above names every statement: a fault behind the last one is met by nobody."""
    engine, stores = prepared()
    with engine.failing(STATEMENTS[name]):
        EVERY_WRITE[name](stores)
        assert engine.fails_at == 0


@pytest.mark.parametrize("name", EVERY_READ)
def test_a_fault_in_a_read_is_reported(name: str) -> None:
    """A read whose only statement fails is the failure of its protocol, never none or empty, and the next one works."""
    engine, stores = prepared()
    answer = EVERY_READ[name](stores)
    with engine.failing(0), pytest.raises(Backend, match="injected fault") as caught:
        EVERY_READ[name](stores)
    assert type(caught.value) is kind_of(name)
    assert EVERY_READ[name](stores) == answer


def test_a_fault_in_a_get_is_reported() -> None:
    """A record that the engine fails to read is `OutputInternal`, and not `OutputNotFound`."""
    engine, stores = prepared()
    ref = output(stores)
    with engine.failing(0), pytest.raises(OutputInternal, match=r"read the record: .*injected fault"):
        stores.output.get(ref)
    assert stores.output.get(ref).id == ref


REFUSED: dict[str, tuple[Call, type[StoreError]]] = {
    "finished": (lambda at: at.event.finish_turn("t", 5), TurnAlreadyFinished),
    "receipt again": (lambda at: at.runtime.atomic_apply("r", delta(8), receipt(1), (input_state(12, 8),), None), WriteFailed),
    "other key": (lambda at: at.runtime.atomic_apply("r", delta(8), receipt(8), (), RUN), SessionKeyMismatch),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_survives_a_failing_roll_back(name: str) -> None:
    """A refused call is refused, with nothing of it left, also where the engine fails to roll it back."""
    engine, stores = prepared()
    call, error = REFUSED[name]
    shown, send = observed(stores), engine.send

    def failing(*arguments: object) -> object:
        if arguments[0].purpose == "roll back":  # type: ignore[attr-defined]  # a Statement
            engine.fails_at = 0
        return send(*arguments)  # type: ignore[arg-type]  # passed on as they come

    engine.send = failing  # type: ignore[assignment,method-assign]  # the statement fails, however often
    with pytest.raises(error) as caught:
        call(stores)
    assert type(caught.value) is error
    engine.send = send  # type: ignore[method-assign]  # as it was
    assert observed(stores) == shown
    assert commit(stores).sequence == 8


def test_a_failed_commit_takes_no_number() -> None:
    """A boundary that failed at each of its statements leaves the next number to the next one (RUNTIME-33)."""
    engine, stores = prepared()
    for at in range(6):
        with engine.failing(at), pytest.raises(WriteFailed):
            EVERY_WRITE["boundary"](stores)
    assert commit(stores).sequence == 8
    for at in range(4):
        with engine.failing(at), pytest.raises(WriteFailed):
            stores.runtime.atomic_apply("r", None, receipt(1_000), (), None)
    assert commit(stores).sequence == 9


def test_what_was_written_and_not_acknowledged_is_there_once() -> None:
    """A call whose last statement ran and whose answer was lost has its whole effect, and shows it."""
    engine, stores = prepared()
    for name, statements in (("append", 1), ("output", 1), ("boundary", 6), ("lifecycle", 4)):
        with engine.failing(statements - 1, runs_it=True), pytest.raises(Backend, match="after the fact"):
            EVERY_WRITE[name](stores)
    turn = stores.event.get_turn("t", 2)
    assert turn is not None
    assert said(turn.events) == ["b", "c", "new"]
    assert len(stores.output.list_for_attempt("task", 1)) == 4
    found = stores.runtime.load_boundary_receipt("r", RUN, 8)
    assert found is not None
    assert (found.message_count, commit(stores).sequence) == (5, 9)
    # the lifecycle commit came last, and stamps nothing
    (twelve,) = [each for each in stores.runtime.load_input_states("r") if each.input_id == input_state(12).input_id]
    assert (twelve.attempt_count, twelve.last_boundary_sequence) == (6, None)


def test_a_repeated_apply_after_a_lost_answer_is_refused() -> None:
    """An apply that landed without an answer is found by its receipt, and its repetition is `WriteFailed` (RUNTIME-40)."""
    engine, stores = prepared()
    with engine.failing(5, runs_it=True), pytest.raises(WriteFailed, match="after the fact"):
        EVERY_WRITE["apply"](stores)
    landed = observed(stores)
    assert stores.runtime.load_boundary_receipt("r", RUN, 5) == receipt(5)
    with pytest.raises(WriteFailed, match="already"):
        EVERY_WRITE["apply"](stores)
    assert observed(stores) == landed


def test_faults_of_many_calls_lose_and_double_nothing() -> None:
    """Of calls of which every second one fails, exactly the others are there, in their order."""
    engine, stores = prepared()
    for number in range(10):
        calls: tuple[Callable[[], object], ...] = (
            partial(stores.event.append, "many", 1, envelope(str(number))),
            partial(output, stores, "many", 1, str(number)),
            partial(commit, stores, "many", messages=number),
        )
        for call in calls:
            if number % 2:
                with engine.failing(0), pytest.raises(Backend):
                    call()
            else:
                call()
    assert said(stores.event.get_events("many")) == ["0", "2", "4", "6", "8"]
    assert [each.producer_agent for each in stores.output.list_for_attempt("many", 1)] == ["0", "2", "4", "6", "8"]
    counts = [stores.runtime.load_boundary_receipt("many", RUN, sequence) for sequence in range(6)]
    assert [each and each.message_count for each in counts] == [0, 2, 4, 6, 8, None]
