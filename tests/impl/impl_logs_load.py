"""A load of calls on events, outputs and runtimes, in threads, that acknowledges each; and what must be there after so many.

As `impl_load`, and run as a program in the same way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from uuid import UUID
from zlib import crc32

from fencepost.impl import DuckDBStores
from fencepost.spec import RuntimeState, decode_session
from impl_builders import NOW, everybody_dead, run
from impl_load import Facts, acknowledge_forever
from impl_logs import commit, delta, envelope, input_state, output, receipt, said, uuid


def opened(path: Path) -> DuckDBStores:
    """The stores in the file, with a still clock."""
    return DuckDBStores(path, clock=lambda: NOW, process_alive=everybody_dead)


class LogLane:
    """A thread's calls, in cycles of steps, as `Lane` is one. What it writes bears its label; nothing is there before it."""

    cycle: int

    def __init__(self, label: str) -> None:
        self.label = f"{label} {type(self).__name__} "

    def step(self, stores: DuckDBStores, number: int) -> Iterable[str]:
        """Make the call; the names that it was given."""
        raise NotImplementedError

    def after(self, steps: int) -> Facts:
        """What is there after so many steps."""
        raise NotImplementedError

    def found(self, stores: DuckDBStores) -> Facts:
        """What is there."""
        raise NotImplementedError


class Events(LogLane):
    """Three events and a finish to each turn, the later turn first; a finish without events; now and then a clear."""

    cycle = 10

    def step(self, stores: DuckDBStores, number: int) -> Iterable[str]:
        """See `LogLane`."""
        cycle, stage = divmod(number, self.cycle)
        text = envelope(f"{cycle} {stage} ".ljust(500, "."))
        if stage in (3, 7):
            stores.event.finish_turn(self.label, 2 * cycle + (stage == 3))
        elif stage == 8:
            stores.event.finish_turn(f"{self.label} empty", cycle)
        elif stage == 9:
            if cycle % 3 == 2:
                stores.event.clear(self.label)
            else:
                stores.event.append(f"{self.label} empty", 2**64 - 1, text)
        else:
            stores.event.append(self.label, 2 * cycle + (stage < 3), text)
        return []

    def after(self, steps: int) -> Facts:
        """See `LogLane`."""
        cycle, stage = divmod(steps, self.cycle)
        turns: dict[int, tuple[list[str], bool]] = {}
        for each in range(cycle - cycle % 3, cycle + 1):
            made = self.cycle if each < cycle else stage
            for turn, first in ((2 * each + 1, 0), (2 * each, 4)):
                texts = [f"{each} {number}" for number in range(first, min(first + 3, made))]
                if texts:
                    turns[turn] = (texts, made > first + 3)
        return {
            "turns": dict(sorted(turns.items())),
            "empty": list(range(cycle + (stage > 8))),
            "beside": [f"{each} 9" for each in range(cycle) if each % 3 != 2],
        }

    def found(self, stores: DuckDBStores) -> Facts:
        """See `LogLane`."""
        turns = {each.turn: (short(said(each.events)), each.finished) for each in stores.event.get_turns(self.label)}
        beside = stores.event.get_turns(f"{self.label} empty")
        return {
            "turns": turns,
            "empty": [each.turn for each in beside if each.finished and not each.events],
            "beside": [text for each in beside for text in short(said(each.events))],
        }


def short(texts: list[str]) -> list[str]:
    """The texts without what only makes them long."""
    return [text.rstrip(".").rstrip() for text in texts]


class Outputs(LogLane):
    """Records of three producers in two attempts."""

    cycle = 6

    def step(self, stores: DuckDBStores, number: int) -> Iterable[str]:
        """See `LogLane`."""
        ref = output(stores, self.label, number % 2, f"{self.label}{number % 3}")
        return [ref.value]

    def after(self, steps: int) -> Facts:
        """See `LogLane`."""
        return {
            "attempts": [[number % 3 for number in range(steps) if number % 2 == attempt] for attempt in (0, 1)],
            "latest": [max((each for each in range(steps) if each % 3 == producer), default=None) for producer in range(3)],
        }

    def found(self, stores: DuckDBStores) -> Facts:
        """See `LogLane`."""
        lists = [stores.output.list_for_attempt(self.label, attempt) for attempt in (0, 1)]
        assert all(stores.output.get(each.id) == each for listed in lists for each in listed)
        places = {each.id: 2 * place + attempt for attempt, listed in enumerate(lists) for place, each in enumerate(listed)}
        latest: list[int | None] = []
        for producer in range(3):
            name = f"{self.label}{producer}"
            made = any(each.producer_agent == name for listed in lists for each in listed)
            latest.append(places[stores.output.get_latest_by_name(name).id] if made else None)
        return {
            "attempts": [[int(each.producer_agent[-1]) for each in listed] for listed in lists],
            "latest": latest,
        }


class Runtime(LogLane):
    """Of one runtime, in a run per cycle: a boundary, an apply, a boundary, a lifecycle commit, an input, a state."""

    cycle = 6

    def run_id(self, cycle: int) -> UUID:
        """The run of this cycle, which no other lane has."""
        return UUID(f"{crc32(self.label.encode()):08x}-0000-7000-8000-{cycle:012x}")

    def step(self, stores: DuckDBStores, number: int) -> Iterable[str]:
        """See `LogLane`."""
        cycle, stage = divmod(number, self.cycle)
        run_id, runtime = self.run_id(cycle), stores.runtime
        inputs = tuple(input_state(each, number) for each in range(4))
        if stage in (0, 2):
            answer = commit(stores, self.label, run_id, number % 50, inputs)
            assert answer.sequence == 4 * stage
        elif stage == 1:
            runtime.atomic_apply(self.label, delta(number % 50), receipt(7, run_id), inputs, None)
        elif stage == 3:
            runtime.atomic_lifecycle_commit(self.label, STATES[cycle % 8], inputs)
        elif stage == 4:
            runtime.persist_input_state(self.label, input_state(9, number))
        else:
            runtime.persist_runtime_state(self.label, STATES[(cycle + 1) % 8])
        return []

    def after(self, steps: int) -> Facts:
        """See `LogLane`."""
        session, inputs, nine, state = (last(steps, each) for each in ((0, 1, 2), (0, 1, 2, 3), (4,), (3, 5)))
        stamps = {0: 0, 1: None, 2: 8, 3: None}
        return {
            "receipts": [
                (str(self.run_id(cycle)), sequence)
                for cycle in range(steps // 6 + 1)
                for stage, sequence in enumerate((0, 7, 8))
                if 6 * cycle + stage < steps
            ],
            "messages": None if session is None else session % 50,
            "inputs": [] if inputs is None else [(inputs, stamps[inputs % 6])] * 4,
            "nine": nine,
            "state": None if state is None else STATES[(state // 6 + (state % 6 == 5)) % 8],
        }

    def found(self, stores: DuckDBStores) -> Facts:
        """See `LogLane`."""
        runtime = stores.runtime
        listed = runtime.load_input_states(self.label)
        nine = [each for each in listed if each.input_id == uuid(9)]
        stored = runtime.load_session_snapshot(self.label)
        sql = "SELECT receipt->>'run_id' AS run_id, (receipt->>'sequence')::INT AS sequence FROM runtime_receipts WHERE "
        receipts = run(runtime._engine, sql + "starts_with(run_id, ?) ORDER BY ALL", str(self.run_id(0))[:8])
        assert all(runtime.load_boundary_receipt(self.label, UUID(run_id), sequence) for run_id, sequence in receipts)
        return {
            "receipts": receipts,
            "messages": None if stored is None else decode_session(stored).message_count,
            "inputs": [(each.attempt_count, each.last_boundary_sequence) for each in listed if each not in nine],
            "nine": nine[0].attempt_count if nine else None,
            "state": runtime.load_runtime_state(self.label),
        }


STATES = list(RuntimeState)


def last(steps: int, stages: tuple[int, ...]) -> int | None:
    """The last of so many steps of a runtime that is at one of these stages."""
    return max((each for each in range(max(0, steps - 6), steps) if each % 6 in stages), default=None)


LANES: tuple[type[LogLane], ...] = (Events, Outputs, Runtime)


def lanes(label: str) -> list[LogLane]:
    """The lanes of a run."""
    return [lane(label) for lane in LANES]


def load(path: Path, acknowledgements: Path, label: str, seed: int) -> None:
    """Run every lane in a thread of its own, for ever."""
    stores = opened(path)
    acknowledge_forever({type(lane).__name__: partial(lane.step, stores) for lane in lanes(label)}, acknowledgements)


if __name__ == "__main__":
    load(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
