"""What the tests of runtimes, events and outputs are written with: sessions, inputs, receipts, events, records, in short."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fencepost.model import Ports, Refused, State, Step, Steps
from fencepost.spec import (
    AgentEvent,
    AgentEventEnvelope,
    FileRef,
    Final,
    Inline,
    InputDurability,
    InputHistoryEntry,
    InputLifecycleState,
    InputState,
    Json,
    OutcomeConsumed,
    OutputEvent,
    OutputRecord,
    OutputRef,
    Progress,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeState,
    SessionDelta,
    TextDelta,
)
from model_builders import run
from msgspec.structs import replace

BOUNDARY = "commit_session_boundary"
APPLY = "atomic_apply"
PERSIST = "persist_input_state"
LIFECYCLE = "atomic_lifecycle_commit"
APPEND_EVENT = "event.append"
FINISH = "finish_turn"
APPEND_OUTPUT = "output.append"

Call = tuple[str, tuple[Any, ...]]


def uuid(number: int) -> UUID:
    """A UUID that ends with this number."""
    return UUID(f"0190a1b2-0000-7000-8000-{number:012x}")


RUN, RUN_2 = uuid(1), uuid(2)
I1, I2, I3 = uuid(0x11), uuid(0x12), uuid(0x13)
SESSION, OTHER_SESSION = uuid(0x51), uuid(0x52)
T0, T1, T2 = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z"

HELLO = '{"role":"user","content":"hello"}'
BRIEF = '{"role":"system","content":"be brief"}'
NO_DIGEST = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
HELLO_DIGEST = "e920b204bce6401c9e1a506f434853899fabada37ae5ad9033d8937eda0ba853"
BRIEF_DIGEST = "24f3c25a837f87fd0be4684ec977a2a6b912a1b9ecfc091a348d665ff2ab3940"
"""The digests that the law gives for no message, for hello, and for both."""

INSTANT = '{"secs_since_epoch":1,"nanos_since_epoch":0}'


def session(*messages: str, beside: str = "", session_id: UUID | str = SESSION) -> SessionDelta:
    """A session with these messages, as bytes."""
    head = f'"id":"{session_id}"{beside},"created_at":{INSTANT},"updated_at":{INSTANT}'
    return SessionDelta(f'{{{head},"messages":[{",".join(messages)}]}}'.encode())


GREETED, EMPTY = session(HELLO), session()
NONSENSE = SessionDelta(b"no session")


def input_state(
    input_id: UUID = I1, state: InputLifecycleState = InputLifecycleState.Accepted, at: str = T0, **fields: Any
) -> InputState:
    """An input in this state, last changed at this time."""
    return InputState(input_id=input_id, current_state=state, created_at=T0, updated_at=at, **fields)


def entry(before: InputLifecycleState, after: InputLifecycleState, at: str = T0) -> InputHistoryEntry:
    """An entry of a history."""
    return InputHistoryEntry(at, before, after)


def receipt(sequence: int = 0, run_id: UUID = RUN, **fields: Any) -> RunBoundaryReceipt:
    """A receipt that a caller made."""
    made = RunBoundaryReceipt(
        run_id=run_id, boundary=RunApplyBoundary.RunStart, contributing_input_ids=(), message_count=7, sequence=sequence
    )
    return replace(made, **fields)


def boundary(
    *updates: InputState,
    runtime: str = "r",
    delta: SessionDelta = GREETED,
    run_id: UUID = RUN,
    at: RunApplyBoundary = RunApplyBoundary.Immediate,
    contributing: tuple[UUID, ...] = (),
) -> Call:
    """A commit of a boundary of runtime r with these inputs."""
    return BOUNDARY, (runtime, delta, run_id, at, contributing, updates)


def apply(
    *updates: InputState,
    runtime: str = "r",
    delta: SessionDelta | None = None,
    made: RunBoundaryReceipt | None = None,
    key: UUID | None = None,
) -> Call:
    """An apply in runtime r of a receipt with number 0, or of the one given, with these inputs."""
    return APPLY, (runtime, delta, made or receipt(), updates, key)


def lifecycle(state: RuntimeState, *inputs: InputState, runtime: str = "r") -> Call:
    """A lifecycle commit in runtime r."""
    return LIFECYCLE, (runtime, state, inputs)


def persist(state: InputState, runtime: str = "r") -> Call:
    """An input persisted in runtime r."""
    return PERSIST, (runtime, state)


def numbered(*sequences: int, runtime: str = "r", run_id: UUID = RUN) -> State:
    """A state in which a run of runtime r has receipts of these numbers, and nothing else happened."""
    records = State().runtime
    for each in sequences:
        records = records.with_receipt(runtime, receipt(each, run_id))
    return replace(State(), runtime=records)


def steps(state: State, call: Call, at: Ports | None = None) -> Steps:
    """All admissible steps of a call, ours first."""
    return run(state, call[0], *call[1], at=at)


def mine(state: State, call: Call, at: Ports | None = None) -> Step:
    """Our own step of a call."""
    return steps(state, call, at)[0]


def after(*calls: Call, state: State | None = None) -> State:
    """The state after these calls, none of which may be refused."""
    state = state or State()
    for call in calls:
        step = mine(state, call)
        assert not isinstance(step.answer, Refused), step.answer
        state = step.state
    return state


def read(state: State, operation: str, *arguments: object) -> object:
    """The answer of a read, which leaves the state as it is."""
    step = run(state, operation, *arguments)[0]
    assert step.state is state
    return step.answer


def inputs(state: State, runtime: str = "r") -> tuple[InputState, ...]:
    """The inputs of a runtime as they are listed."""
    answer = read(state, "load_input_states", runtime)
    assert isinstance(answer, tuple)
    return answer


def committed(state: State, call: Call) -> RunBoundaryReceipt:
    """The receipt of a commit of a boundary."""
    answer = mine(state, call).answer
    assert isinstance(answer, RunBoundaryReceipt)
    return answer


FULL = after(
    boundary(input_state(I1), contributing=(I1,)),
    persist(input_state(I2)),
    ("persist_runtime_state", ("r", RuntimeState.Running)),
)
"""Runtime r with two inputs, a receipt, a snapshot and a state."""

RICH = input_state(
    state=InputLifecycleState.Consumed,
    terminal_outcome=OutcomeConsumed(),
    durability=InputDurability.Durable,
    idempotency_key="k",
    attempt_count=3,
    recovery_count=1,
    history=(entry(InputLifecycleState.Accepted, InputLifecycleState.Consumed),),
    last_run_id=RUN_2,
    last_boundary_sequence=9,
    at=T2,
)
PLAIN = input_state(at=T1)
"""One input twice: at its end with all that can be said of it, and at its beginning with nothing."""


def envelope(
    number: int = 1, event: AgentEvent | None = None, *, sequence: int | None = None, at: str = T0
) -> AgentEventEnvelope:
    """The envelope with this number as its id and, if no other is given, its sequence."""
    return AgentEventEnvelope(
        uuid(number), number if sequence is None else sequence, at, event or TextDelta("message", f"event {number}")
    )


E1, E2, E3, E4 = envelope(1), envelope(2), envelope(3), envelope(4)


def add(turn: int, event: AgentEventEnvelope = E1, thread: str = "t") -> Call:
    """An event appended to a turn of thread t."""
    return APPEND_EVENT, (thread, turn, event)


def finish(turn: int, thread: str = "t") -> Call:
    """A turn of thread t finished."""
    return FINISH, (thread, turn)


def clear(thread: str = "t") -> Call:
    """Thread t cleared."""
    return "clear", (thread,)


STAGE = Progress("stage")
INLINE = Inline(Json({"text": "done"}))
FINAL = Final(INLINE, ok=True)
FILE = Final(FileRef("/nowhere"), ok=False)


def output(
    event: OutputEvent = STAGE,
    *parents: OutputRef,
    task: str = "task",
    attempt: int = 1,
    producer: str = "agent",
) -> Call:
    """An event appended to the output log by agent, in the first attempt of task."""
    return APPEND_OUTPUT, (task, attempt, producer, event, parents)


def ref(number: int) -> OutputRef:
    """The id that the model makes for the record with this number, from 0."""
    return OutputRef(f"out-{number:010x}")


def record(
    number: int, event: OutputEvent = STAGE, *parents: OutputRef, task: str = "task", attempt: int = 1, producer: str = "agent"
) -> OutputRecord:
    """The record that such an append leaves."""
    return OutputRecord(ref(number), task, attempt, producer, event, parents)
