"""What the tests of the event, output and runtime stores build: events, sessions, inputs; something of each kind; each call."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any
from uuid import UUID

from fencepost.impl import DuckDBStores, Engine
from fencepost.impl.engine import Row
from fencepost.spec import (
    AgentEventEnvelope,
    AgentEventText,
    Artifact,
    FileRef,
    Final,
    Inline,
    InputLifecycleState,
    InputState,
    Json,
    OutputEvent,
    OutputRef,
    Partial,
    Progress,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeState,
    SessionDelta,
)
from impl_builders import NOW, Rows, dump, everybody_dead, found, put_in

INSTANT = "2026-01-01T00:00:00Z"
NOTHING = OutputRef("out-0000000000")
"""An id that no record of the tests has."""

STAGE = Progress("stage")


def uuid(number: int) -> UUID:
    """A UUID; those of larger numbers come later."""
    return UUID(f"0190a1b2-0000-7000-8000-{number:012x}")


RUN, OTHER_RUN, NEW_RUN = uuid(1), uuid(2), uuid(3)
SESSION, OTHER_SESSION = uuid(101), uuid(102)


def envelope(text: str, sequence: int = 0) -> AgentEventEnvelope:
    """An event that says this."""
    return AgentEventEnvelope(uuid(7), sequence, INSTANT, AgentEventText("message", text))


def said(events: tuple[AgentEventEnvelope, ...]) -> list[str]:
    """What the events say."""
    return [each.event.text for each in events if isinstance(each.event, AgentEventText)]


def session(messages: int = 1, session_id: UUID | str = SESSION) -> bytes:
    """A session of so many messages, as JSON text."""
    instant = '{"secs_since_epoch":1,"nanos_since_epoch":0}'
    texts = ",".join(f'{{"role":"user","content":"{number}"}}' for number in range(messages))
    return f'{{"id":"{session_id}","created_at":{instant},"updated_at":{instant}, "messages":[{texts}]}}'.encode()


def delta(messages: int = 1, session_id: UUID | str = SESSION) -> SessionDelta:
    """The same, to be committed."""
    return SessionDelta(session(messages, session_id))


def input_state(number: int, version: int = 0, current: InputLifecycleState = InputLifecycleState.Queued) -> InputState:
    """The input of this number, in this version of it."""
    return InputState(
        input_id=uuid(number),
        current_state=current,
        attempt_count=version,
        persisted_input=Json({"text": f"input {number}", "n": [1, 1.0]}),
        created_at=INSTANT,
        updated_at=INSTANT,
    )


def receipt(sequence: int, run_id: UUID = RUN) -> RunBoundaryReceipt:
    """A caller's receipt."""
    return RunBoundaryReceipt(
        run_id=run_id, boundary=RunApplyBoundary.RunStart, contributing_input_ids=(), message_count=9, sequence=sequence
    )


def commit(
    stores: DuckDBStores,
    runtime_id: str = "r",
    run_id: UUID = RUN,
    messages: int = 1,
    inputs: tuple[InputState, ...] = (),
    session_id: UUID | str = SESSION,
) -> RunBoundaryReceipt:
    """Commit a boundary."""
    checkpoint, ids = RunApplyBoundary.RunCheckpoint, tuple(each.input_id for each in inputs)
    return stores.runtime.commit_session_boundary(runtime_id, delta(messages, session_id), run_id, checkpoint, ids, inputs)


def output(
    stores: DuckDBStores, task: str = "task", attempt: int = 1, producer: str = "p", event: OutputEvent = STAGE
) -> OutputRef:
    """Append a record without parents."""
    return stores.output.append(task, attempt, producer, event, ())


def stores_on(engine: Engine) -> DuckDBStores:
    """All stores, with a still clock on which every holder is dead."""
    return DuckDBStores.over(engine, clock=lambda: NOW, process_alive=everybody_dead)


def filled(stores: DuckDBStores) -> DuckDBStores:
    """The stores with something of every kind in them: turns and threads in every state, outputs, runs, inputs, states."""
    for turn, texts, finished in ((5, "a", True), (2, "bc", False), (9, "", True), (0, "d", False)):
        for text in texts:
            stores.event.append("t", turn, envelope(text))
        if finished:
            stores.event.finish_turn("t", turn)
    stores.event.append("t2", 2, envelope("of the other"))
    stores.event.append("gone", 1, envelope("gone"))
    stores.event.clear("gone")
    first = output(stores)
    output(stores, event=Final(Inline(Json({"b": 1, "a": [1, 1.0, "é"]})), ok=True))
    stores.output.append("task", 1, "q", Artifact("p", FileRef("path", "mime", 2**64 - 1)), (first, NOTHING, first))
    output(stores, attempt=2, event=Partial(FileRef("path")))
    output(stores, "other", 1, "q", Progress("stage", "note"))
    for messages in (1, 2):
        commit(stores, messages=messages, inputs=(input_state(12), input_state(11)))
    stores.runtime.atomic_apply("r", None, receipt(7), (input_state(13),), None)
    commit(stores, run_id=OTHER_RUN, messages=3, session_id=OTHER_SESSION)
    stores.runtime.atomic_lifecycle_commit("r", RuntimeState.Running, (input_state(14), input_state(12, 1)))
    stores.runtime.persist_input_state("r2", input_state(12, 9))
    stores.runtime.persist_runtime_state("r2", RuntimeState.Idle)
    return stores


@cache
def _filled() -> Rows:
    engine = Engine()
    filled(stores_on(engine))
    return found(engine)


def refilled(engine: Engine) -> DuckDBStores:
    """`filled` stores on a new engine, in a third of the time: their rows are those of stores that were filled once."""
    put_in(engine, _filled())
    return stores_on(engine)


Call = Callable[[DuckDBStores], Any]
INPUTS = (input_state(12, 5), input_state(99, 5), input_state(12, 6))
"""One that is there, a new one, and the first in a later version."""

EVENT_WRITES: dict[str, Call] = {
    "append": lambda at: at.event.append("t", 2, envelope("new")),
    "append to a new turn": lambda at: at.event.append("t", 3, envelope("new")),
    "append to a new thread": lambda at: at.event.append("new", 1, envelope("new")),
    "append after a clear": lambda at: at.event.append("gone", 1, envelope("new")),
    "finish": lambda at: at.event.finish_turn("t", 2),
    "finish of no turn": lambda at: at.event.finish_turn("new", 1),
    "clear": lambda at: at.event.clear("t"),
}
OUTPUT_WRITES: dict[str, Call] = {
    "output": output,
    "output of a new producer": lambda at: output(at, "new", 2**32 - 1, "new"),
}
RUNTIME_WRITES: dict[str, Call] = {
    "boundary": lambda at: commit(at, messages=5, inputs=INPUTS),
    "boundary without inputs": lambda at: commit(at, messages=5),
    "first boundary": lambda at: commit(at, "new", NEW_RUN, inputs=INPUTS),
    "apply": lambda at: at.runtime.atomic_apply("r", delta(5), receipt(5), INPUTS, SESSION),
    "apply without session": lambda at: at.runtime.atomic_apply("r", None, receipt(9), (), None),
    "first apply": lambda at: at.runtime.atomic_apply("new", delta(5), receipt(2**64 - 1, NEW_RUN), INPUTS, None),
    "persist input": lambda at: at.runtime.persist_input_state("r", input_state(12, 7)),
    "persist new input": lambda at: at.runtime.persist_input_state("new", input_state(12, 7)),
    "persist state": lambda at: at.runtime.persist_runtime_state("r", RuntimeState.Destroyed),
    "persist first state": lambda at: at.runtime.persist_runtime_state("new", RuntimeState.Attached),
    "lifecycle": lambda at: at.runtime.atomic_lifecycle_commit("r", RuntimeState.Recovering, INPUTS),
    "lifecycle without inputs": lambda at: at.runtime.atomic_lifecycle_commit("new", RuntimeState.Recovering, ()),
}
EVERY_WRITE = EVENT_WRITES | OUTPUT_WRITES | RUNTIME_WRITES
"""A call of every kind that writes, each of which changes the stores above."""

EVENT_READS: dict[str, Call] = {
    "get turn": lambda at: at.event.get_turn("t", 2),
    "get turns": lambda at: at.event.get_turns("t"),
    "get events": lambda at: at.event.get_events("t"),
}
OUTPUT_READS: dict[str, Call] = {
    "get latest": lambda at: at.output.get_latest_by_name("p"),
    "list": lambda at: at.output.list_for_attempt("task", 1),
}
RUNTIME_READS: dict[str, Call] = {
    "load inputs": lambda at: at.runtime.load_input_states("r"),
    "load input": lambda at: at.runtime.load_input_state("r", uuid(12)),
    "load receipt": lambda at: at.runtime.load_boundary_receipt("r", RUN, 1),
    "load snapshot": lambda at: at.runtime.load_session_snapshot("r"),
    "load state": lambda at: at.runtime.load_runtime_state("r"),
}
EVERY_READ = EVENT_READS | OUTPUT_READS | RUNTIME_READS
"""A call of every kind that reads; `get` has to be told an id first."""

RUNTIMES = ("r", "r2", "new")
RECEIPTS = (
    *(("r", RUN, sequence) for sequence in range(11)),
    *(("r", OTHER_RUN, sequence) for sequence in range(2)),
    ("r2", RUN, 0),
    *(("new", NEW_RUN, sequence) for sequence in (0, 2**64 - 1)),
)


def observed(stores: DuckDBStores) -> dict[str, object]:
    """Everything that the three stores show of what the tests write."""
    threads = {name: stores.event.get_turns(name) for name in ("t", "t2", "gone", "new")}
    attempts = [("task", 1), ("task", 2), ("other", 1), ("new", 2**32 - 1)]
    records = [stores.output.list_for_attempt(*each) for each in attempts]
    producers = sorted({each.producer_agent for listed in records for each in listed})
    runtime = stores.runtime
    return {
        "threads": threads,
        "turns": [stores.event.get_turn(name, turn.turn) for name, turns in threads.items() for turn in turns],
        "attempts": records,
        "records": [stores.output.get(each.id) for listed in records for each in listed],
        "latest": [stores.output.get_latest_by_name(name) for name in producers],
        "inputs": [runtime.load_input_states(name) for name in RUNTIMES],
        "input": [runtime.load_input_state(name, uuid(number)) for name in RUNTIMES for number in (11, 12, 13, 14, 99)],
        "receipts": [runtime.load_boundary_receipt(*each) for each in RECEIPTS],
        "snapshots": [runtime.load_session_snapshot(name) for name in RUNTIMES],
        "states": [runtime.load_runtime_state(name) for name in RUNTIMES],
    }


COUNTERS = {"threads": (1,), "guards": (1,), "runtime_runs": (2,)}
"""Of these tables, the columns that only count writers."""


def unnamed(rows: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """Rows of every table with the ids of outputs told by the order of their appends, and without what only counts writers."""
    names = {name: f"out-{number}" for number, name, *_ in sorted(rows["outputs"])}

    def plain(cell: object) -> object:
        return re.sub(r"out-[0-9a-f]{10}", lambda found: names.get(found[0], found[0]), cell) if isinstance(cell, str) else cell

    return {
        table: [tuple(plain(cell) for place, cell in enumerate(row) if place not in COUNTERS.get(table, ())) for row in found]
        for table, found in rows.items()
    }


def left(engine: Engine) -> dict[str, list[Row]]:
    """What the calls left in every table, comparable between stores of one history."""
    return unnamed(dump(engine))
