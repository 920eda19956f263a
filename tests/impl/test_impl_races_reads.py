"""Reads of events, outputs and runtimes beside writers: each a snapshot of one moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

from fencepost.impl import DuckDBStores
from fencepost.spec import RuntimeState, StoredTurnEvents, decode_session
from impl_logs import RUN, commit, envelope, input_state
from test_impl_races import together
from test_impl_races_stores import Pair, pair

__all__ = ["pair"]


def watched(write: Callable[[int], None], read: Callable[[], int | None], rounds: int, readers: int) -> list[tuple[int, ...]]:
    """What readers got beside a writer that was not the state of a moment while they read; None of a reader is torn."""
    begun, done, wrong = [0], [0], list[tuple[int, ...]]()

    def run_writer() -> None:
        for number in range(1, rounds + 1):
            begun[0] = number
            write(number)
            done[0] = number

    def run_reader() -> None:
        while done[0] < rounds:
            least = done[0]
            got = read()
            most = begun[0]
            if got is None or not least <= got <= most:
                wrong.append((least, -1 if got is None else got, most))

    assert together([run_writer, *[run_reader] * readers]) == [None] * (readers + 1)
    return wrong


def test_a_read_of_turns_is_a_moment_of_the_writer(pair: Pair) -> None:
    """Every `get_turns` beside a writer answers what was there after one of its calls, no older than what was acknowledged."""
    one, two = pair

    def write(number: int) -> None:
        # turn 9, 8, ...: two events each, then its finish
        turn, stage = divmod(number - 1, 3)
        if stage == 2:
            one.event.finish_turn("t", 50 - turn)
        else:
            one.event.append("t", 50 - turn, envelope(str(number)))

    def read() -> int | None:
        turns = two.event.get_turns("t")
        count = sum(len(each.events) + each.finished for each in turns)
        expected: list[StoredTurnEvents] = []
        for turn in range(len(turns)):
            first = 3 * turn + 1
            texts = [envelope(str(number)) for number in (first, first + 1) if number <= count]
            expected.insert(0, StoredTurnEvents(50 - turn, tuple(texts), first + 2 <= count))
        return count if turns == tuple(expected) else None

    assert watched(write, read, rounds=60, readers=2) == []


STATES = list(RuntimeState)
VERSIONS = [tuple(input_state(number, version) for number in range(8)) for version in range(41)]
"""The inputs of each lifecycle commit, all in its version."""


def version(stores: DuckDBStores) -> int | None:
    """Which lifecycle commit the inputs are of; None if they are of several."""
    found = stores.runtime.load_input_states("r")
    if not found:
        return 0
    return found[0].attempt_count if found == VERSIONS[found[0].attempt_count] else None


def test_a_list_of_inputs_is_a_moment_of_the_writer(pair: Pair) -> None:
    """Inputs of one lifecycle commit are read all in one version, no older than what was acknowledged (RUNTIME-43)."""

    def write(number: int) -> None:
        pair[0].runtime.atomic_lifecycle_commit("r", STATES[number % 8], VERSIONS[number])

    assert watched(write, lambda: version(pair[1]), rounds=40, readers=2) == []


def test_a_state_comes_with_its_inputs(pair: Pair) -> None:
    """A state of the runtime that is read is of a commit between the inputs read before it and those read after it."""

    def write(number: int) -> None:
        pair[0].runtime.atomic_lifecycle_commit("r", STATES[number % 8], VERSIONS[number])

    def read() -> int | None:
        before = version(pair[1])
        state = pair[1].runtime.load_runtime_state("r")
        after = version(pair[1])
        if before is None or after is None:
            return None
        admitted = {STATES[each % 8] if each else None for each in range(before, after + 1)}
        return after if state in admitted else None

    assert watched(write, read, rounds=40, readers=2) == []


def test_a_boundary_is_read_as_one(pair: Pair) -> None:
    """Once an input bears a number, its receipt and a session no older are there, and its fellows bear it too."""
    one, two = pair
    wrong: list[object] = []
    done = threading.Event()

    def write() -> None:
        for number in range(30):
            commit(one, messages=number, inputs=(input_state(1), input_state(2)))
        done.set()

    def read() -> None:
        while not done.is_set():
            found = two.runtime.load_input_states("r")
            if not found:
                continue
            numbers = {each.last_boundary_sequence for each in found}
            (number,) = numbers
            assert number is not None
            stored = two.runtime.load_session_snapshot("r")
            later = two.runtime.load_boundary_receipt("r", RUN, number)
            if (
                later is None
                or later.message_count != number
                or stored is None
                or decode_session(stored).message_count < number
            ):
                wrong.append((numbers, later))

    assert together([write, read, read]) == [None] * 3
    assert wrong == []
