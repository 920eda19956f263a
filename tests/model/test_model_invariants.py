"""The invariants: every predicate holds of every state that the machines reach, and rejects states made to break it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fencepost.model import INVARIANTS, State
from fencepost.model.records.attachment import AttachmentRecord
from fencepost.model.records.claim import ClaimRecord, Issued
from fencepost.model.records.commit import Part, Stamp
from fencepost.model.records.event import EventState, Thread, Turn, TurnRecord
from fencepost.model.records.lease import LeaseRecord, LeaseState
from fencepost.model.records.log import Log
from fencepost.model.records.output import OutputState
from fencepost.model.records.queued_work import Kind
from fencepost.model.records.turn_input import InputRow, Inputs, InputState
from fencepost.spec import (
    U64_MAX,
    AgentEventEnvelope,
    Append,
    Group,
    OutputRecord,
    PersistedTurnState,
    RuntimeCommitResult,
    RuntimeState,
    RuntimeTurnCommitStamp,
    SessionCheckpoint,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    TurnInput,
)
from fencepost.spec.catalogue import requirements
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.run import MACHINES, Budget, Setup, run_machine
from immutables import Map
from ingress_builders import (
    ACCEPTED,
    CANCELLED,
    COMPLETED,
    DEFERRED,
    EXCLUSIVE,
    FOR_T,
    LAPSED_CLAIM,
    LATE,
    LIVE_CLAIM,
    NEXT,
    PENDING_ACTIVE,
    batch_row,
    held_until,
    input_row,
    unheld,
    with_batches,
    with_inputs,
    with_manifest,
)
from model_builders import LEASED, B, commit, committed, free, held, leased, node
from msgspec.structs import replace
from store_builders import (
    E1,
    E2,
    E3,
    FINAL,
    FULL,
    I1,
    I2,
    RICH,
    RUN,
    RUN_2,
    after,
    apply,
    boundary,
    clear,
    input_state,
    lifecycle,
    numbered,
    receipt,
    record,
)

USAGE = TokenLedgerEntry("main", "m", TokenUsage(1))
SETTLED = committed(
    LEASED,
    commit(
        turn_commit=RuntimeTurnCommitStamp("s", "turn-1", "hash-1"),
        graph=Append((node("a"), node("b", "a")), "b"),
        usage_deltas=(USAGE,),
    ),
)
AGAIN = committed(SETTLED, commit(turn_commit=RuntimeTurnCommitStamp("s", "turn-2", "hash-2")))


def commit_with(state: State, **changes: Any) -> State:
    """The state with these fields of its commit chapter changed."""
    return replace(state, commit=replace(state.commit, **changes))


def head_with(state: State, **changes: Any) -> State:
    """The state with these fields of its head changed."""
    assert state.commit.head is not None
    return commit_with(state, head=replace(state.commit.head, **changes))


def stamp(revision: int, turn_hash: str = "hash-1") -> Stamp:
    """A recorded turn at this revision."""
    return Stamp(turn_hash, RuntimeCommitResult(revision, "ref", SessionCheckpoint(PersistedTurnState())))


def lanes(records: dict[str, Any], issued: dict[tuple[str, str], int]) -> State:
    """A state with these records and just these issued tokens."""
    return State(lease=LeaseState(Map(records), Map(issued)))


NEVER_ISSUED = lanes({"s": held()}, {})
ISSUED_TO_ANOTHER_SESSION = lanes({"s": held()}, {("s2", "token-3"): 3})

ROW, ROW_2, HELD, WORK = input_row(), input_row("i2", 2), input_row(claim=LIVE_CLAIM), batch_row(claim=LIVE_CLAIM)

UNFIT: tuple[tuple[State, State], ...] = tuple(
    (State(), with_inputs(row))
    for row in (
        input_row(state=PENDING_ACTIVE),
        input_row(state=PENDING_ACTIVE, turn="t", claim=LIVE_CLAIM),
        input_row(state=ACCEPTED, claim=LIVE_CLAIM),
        input_row(state=ACCEPTED, turn="t"),
        input_row(state=DEFERRED, turn="t"),
        input_row(state=CANCELLED, claim=LIVE_CLAIM),
        input_row(state=COMPLETED, turn="t", claim=LAPSED_CLAIM),
        input_row(claim=ClaimRecord(1, False, ("", ""), None, 1)),
    )
)
"""Inputs whose state, ingress and claim do not go together."""

CHANGED: tuple[tuple[State, State], ...] = tuple(
    (with_inputs(ROW), with_inputs(row))
    for row in (
        input_row(key="k"),
        input_row(content=TurnInput()),
        replace(ROW, enqueued_at=0),
        input_row(state=PENDING_ACTIVE, turn="t", submitted=NEXT),
    )
)
"""Inputs that are not what was submitted, or that went back from the next turn to an active one."""


LOST_CHECKPOINTS = (
    (LEASED, commit_with(SETTLED, checkpoints=Map())),
    (SETTLED, commit_with(AGAIN, checkpoints=Map({"x": True}))),
)
"""Heads whose checkpoint is not stored."""


def manifest(committed: bool) -> State:
    """A state with one attachment, stamped or not."""
    return with_manifest(a=AttachmentRecord("s", "u", 1, committed))


def runtime_with(state: State | None = None, **changes: Any) -> State:
    """The state with these fields of its runtime chapter changed."""
    state = state or State()
    return replace(state, runtime=replace(state.runtime, **changes))


def numbered_inputs(rows: dict[int, InputRow]) -> State:
    """A state with inputs of s that stand under these numbers, whatever their own are."""
    return State(turn_input=InputState(Map({"s": Inputs(Map(rows), tuple(rows))})))


Turned = dict[int, tuple[AgentEventEnvelope, ...]]


def with_turns(opened: Turned | None = None, finished: Turned | None = None) -> State:
    """A state with these turns of thread t."""
    turns = {turn: Turn.of(TurnRecord(len(events), False), events) for turn, events in (opened or {}).items()}
    turns |= {turn: Turn.of(TurnRecord(len(events), True), events) for turn, events in (finished or {}).items()}
    return State(event=EventState(Map({"t": Thread.of(turns)})))


def with_record(turn: TurnRecord) -> State:
    """A state with a turn of one event and this record."""
    return State(event=EventState(Map({"t": Thread.of({1: Turn.of(turn, (E1,))})})))


TURNS = with_turns({1: (E1,)}, {2: (E2,)})


def with_outputs(*records: OutputRecord) -> State:
    """A state with these outputs."""
    return State(output=OutputState.of(records))


BAD: dict[str, tuple[tuple[State, State], ...]] = {
    "LEASE-INV-1": (
        (LEASED, leased({"s": free(2)})),
        (LEASED, leased({"s": held(token="token-4", fence=5)})),
        (LEASED, leased({"s": held(token="token-4", fence=3)})),
        (LEASED, leased({"s": held(fence=4)})),
        (leased({"s": free(3)}), leased({"s": free(4)})),
        (LEASED, leased({})),
        (State(), leased({"s": held(fence=2)})),
    ),
    "LEASE-INV-2": ((State(), NEVER_ISSUED), (State(), ISSUED_TO_ANOTHER_SESSION)),
    "LEASE-18": ((State(), NEVER_ISSUED), (State(), ISSUED_TO_ANOTHER_SESSION)),
    "LEASE-INV-3": ((State(), lanes({"s": held()}, {("s", "token-3"): 3, ("s", "token-x"): 3})),),
    "LEASE-INV-4": (
        (State(), leased({"s": LeaseRecord(3, False, ("", ""), None, "", 500, 0)})),
        (State(), leased({"s": LeaseRecord(3, False, ("", ""), None, "token-3", 0, 0)})),
        (State(), leased({"s": LeaseRecord(3, False, ("a", "1"), None, "", 0, 0)})),
    ),
    "LEASE-34a": ((State(), leased({"s": free(0)})),),
    "LEASE-INV-5": ((State(), NEVER_ISSUED), (State(), lanes({"s": held()}, {("s", "token-3"): 2}))),
    "COMMIT-INV-1": (
        (SETTLED, head_with(SETTLED, revision=3)),
        (AGAIN, head_with(AGAIN, revision=1)),
        (SETTLED, head_with(SETTLED, current_agent_frame_id="changed")),
        (LEASED, head_with(SETTLED, revision=2)),
        (SETTLED, LEASED),
    ),
    "COMMIT-INV-2": (
        (SETTLED, LEASED),
        (SETTLED, head_with(AGAIN, session_id="s2")),
        (LEASED, head_with(SETTLED, revision=0)),
    ),
    "COMMIT-INV-3": (
        (SETTLED, commit_with(SETTLED, stamps=Map({("s", "turn-1"): stamp(2)}))),
        (AGAIN, commit_with(AGAIN, stamps=Map({("s", "turn-1"): stamp(1), ("s", "turn-2"): stamp(1)}))),
        (LEASED, commit_with(LEASED, stamps=Map({("s", "turn-1"): stamp(1)}))),
    ),
    "COMMIT-INV-4": (
        (SETTLED, commit_with(SETTLED, stamps=Map())),
        (SETTLED, commit_with(SETTLED, stamps=Map({("s", "turn-1"): stamp(1, "other")}))),
        (SETTLED, commit_with(SETTLED, stamps=Map({("s", "turn-1"): stamp(1)}))),
    ),
    "COMMIT-INV-5": (
        (SETTLED, commit_with(SETTLED, usage=Log())),
        (SETTLED, commit_with(SETTLED, usage=Log.of((TokenLedgerEntry("main", "m", TokenUsage(2)),)))),
    ),
    "COMMIT-8b": (
        (State(), SETTLED),
        (replace(SETTLED, lease=leased({"s": free(3)}).lease), AGAIN),
        (replace(SETTLED, lease=leased({"s2": held()}).lease), AGAIN),
    ),
    "READ-INV-1": (
        (LEASED, head_with(SETTLED, parts=Map({"tool_state": Part("ref", ToolState(1), carried=False)}))),
        (
            LEASED,
            commit_with(
                head_with(SETTLED, parts=Map({"tool_state": Part("ref", ToolState(1), carried=False)})),
                blobs=Map({("tool_state", "ref"): ToolState(2)}),
            ),
        ),
    ),
    "READ-INV-2": (
        (LEASED, commit_with(SETTLED, order=Log.of("abb"))),
        (LEASED, commit_with(SETTLED, order=Log.of("a"))),
        (LEASED, commit_with(SETTLED, order=Log.of("ac"))),
    ),
    "READ-INV-3": ((LEASED, commit_with(SETTLED, nodes=Map({"a": node("a"), "b": node("c", "a")}))),),
    "MAINT-5": (
        (SETTLED, commit_with(SETTLED, nodes=Map({"a": node("a")}), order=Log.of("a"))),
        (
            commit_with(SETTLED, tombstoned=frozenset({"a"})),
            commit_with(SETTLED, nodes=Map({"a": node("a")}), order=Log.of("a")),
        ),
    ),
    "GC-3": LOST_CHECKPOINTS,
    "GC-9": LOST_CHECKPOINTS,
    "ATT-INV-2": ((manifest(True), manifest(False)),),
    "INPUT-INV-1": ((State(), with_inputs(input_row("i1", 1, key="k"), input_row("i2", 2, CANCELLED, key="k"))),),
    "INPUT-INV-2": (
        (State(), numbered_inputs({1: input_row("i1", 2), 2: input_row("i2", 1)})),
        (State(), numbered_inputs({1: input_row("i1", 1), 2: input_row("i2", 1)})),
        (with_inputs(ROW, ROW_2), with_inputs(replace(ROW_2, enqueue_seq=1), replace(ROW, enqueue_seq=2))),
    ),
    "INPUT-INV-3": UNFIT,
    "INPUT-INV-4": UNFIT,
    "INPUT-INV-5": (
        (with_inputs(ROW), with_inputs()),
        (with_inputs(input_row(state=ACCEPTED, claim=LIVE_CLAIM, turn="t")), with_inputs()),
        (with_inputs(input_row(state=CANCELLED)), with_inputs(ROW)),
        (with_inputs(input_row(state=CANCELLED)), with_inputs(input_row(state=COMPLETED))),
        (with_inputs(input_row(state=COMPLETED)), with_inputs(input_row(state=COMPLETED, claim=unheld(1)))),
    ),
    "INPUT-INV-7": CHANGED,
    "INPUT-13": CHANGED,
    "GEN-INV-1": (
        (State(), replace(with_inputs(HELD), turn_input=replace(with_inputs(HELD).turn_input, claims=Issued()))),
        (State(), with_inputs(HELD, input_row("i2", 2, claim=held_until(1_501)))),
        (State(), with_inputs(HELD, input_row("i2", 2, claim=held_until(1_500, by=B)))),
        (State(), replace(with_batches(WORK), queued_work=replace(with_batches(WORK).queued_work, claims=Issued()))),
        (State(), with_batches(WORK, batch_row("b2", 2, claim=held_until(1_501)))),
        (State(), with_batches(WORK, batch_row("b2", 2, claim=held_until(1_500, by=B)))),
    ),
    "GEN-INV-2": (
        (with_inputs(HELD), with_inputs(input_row(claim=unheld(0)))),
        (with_inputs(HELD), with_inputs(input_row(claim=unheld(2)))),
        (with_inputs(HELD), with_inputs(input_row(claim=held_until(1_600, count=2)))),
        (with_inputs(HELD), with_inputs(input_row(claim=held_until(1_500, claim="c2", token="t2")))),
        (with_inputs(HELD), with_inputs(input_row(claim=held_until(1_500, claim="c2", token="t2", count=3)))),
        (with_inputs(), with_inputs(input_row(claim=held_until(1_500, count=2)))),
        (with_batches(WORK), with_batches(batch_row(claim=unheld(0)))),
        (with_batches(WORK), with_batches(batch_row(claim=unheld(3)))),
        (with_batches(WORK), with_batches(batch_row(claim=held_until(1_500, claim="c2", token="t2")))),
        (with_batches(WORK), with_batches(batch_row(claim=held_until(1_500, claim="c2", token="t2", count=3)))),
    ),
    "QUEUE-INV-1": ((State(), with_batches(batch_row("b1", 1, key=""), batch_row("b2", 2, key=""))),),
    "QUEUE-INV-2": (
        (State(), with_batches(batch_row("b1", 2), batch_row("b2", 1))),
        (State(), with_batches(batch_row("b1", 1), batch_row("b2", 1))),
        (with_batches(batch_row("b1", 1), batch_row("b2", 2)), with_batches(batch_row("b2", 1), batch_row("b1", 2))),
    ),
    "QUEUE-INV-3": (
        (State(), with_batches(batch_row(kind=Kind.poisoned, claim=LIVE_CLAIM))),
        (State(), with_batches(WORK, batch_row("b2", 2, claim=LIVE_CLAIM, slot=EXCLUSIVE))),
        (State(), with_batches(WORK, batch_row("b2", 2, claim=LIVE_CLAIM, delivery=LATE))),
        (State(), with_batches(WORK, batch_row("b2", 2, claim=LIVE_CLAIM, merge_key=Group("g")))),
        (State(), with_batches(WORK, batch_row("b2", 2, Kind.command, LIVE_CLAIM))),
        (State(), with_batches(batch_row("b1", 1, Kind.command, LIVE_CLAIM), batch_row("b2", 2, Kind.command, LIVE_CLAIM))),
    ),
    "QUEUE-INV-6": (
        (with_batches(WORK), with_batches(batch_row(delivery=LATE))),
        (with_batches(WORK), with_batches(batch_row(slot=EXCLUSIVE))),
        (with_batches(WORK), with_batches(batch_row(merge_key=Group("g")))),
        (with_batches(WORK), with_batches(batch_row(available=1))),
        (with_batches(WORK), with_batches(batch_row(key="k"))),
        (with_batches(WORK), with_batches(replace(WORK, items=()))),
        (with_batches(WORK), with_batches(replace(WORK, enqueued_at=0))),
        (with_batches(WORK), with_batches(batch_row(seq=2, claim=LIVE_CLAIM))),
    ),
    "RUNTIME-INV-2": (
        (State(), runtime_with(receipts=Map({("r", RUN, 1): receipt(0)}))),
        (State(), runtime_with(receipts=Map({("r", RUN_2, 0): receipt(0)}))),
    ),
    "RUNTIME-INV-4": ((State(), runtime_with(inputs=Map({"r": Map({I2: input_state(I1)})}))),),
    "RUNTIME-4": (
        (FULL, State()),
        (FULL, runtime_with(FULL, receipts=Map())),
        (FULL, runtime_with(FULL, receipts=Map({("r", RUN, 1): receipt(1)}))),
        (FULL, runtime_with(FULL, snapshots=Map())),
        (FULL, runtime_with(FULL, states=Map({"r2": RuntimeState.Idle}))),
        (FULL, runtime_with(FULL, inputs=Map())),
        (FULL, runtime_with(FULL, inputs=Map({"r": Map({I1: input_state(I1)})}))),
    ),
    "EVENT-INV-3": (
        (TURNS, with_turns({1: (E1,)}, {2: (E3,)})),
        (TURNS, with_turns({1: (E1,), 2: (E2,)})),
        (TURNS, with_turns({1: (E1,)}, {2: (E2, E3)})),
        (TURNS, with_turns({1: (E1,)}, {2: ()})),
        (with_turns(finished={2: ()}), with_turns({1: (E1,)})),
        (with_turns(finished={2: ()}), with_turns(finished={2: (E1,)})),
    ),
    "EVENT-INV-4": (
        (TURNS, with_turns({1: (E2,)}, {2: (E2,)})),
        (TURNS, with_turns({1: (E2, E1)}, {2: (E2,)})),
        (TURNS, with_turns({}, {1: (), 2: (E2,)})),
        (TURNS, with_turns({}, {2: (E2,)})),
        (with_turns({1: (E1, E2)}), with_turns({1: (E1,)})),
    ),
    "EVENT-INV-5": (
        (State(), with_turns({1: ()})),
        (State(), with_record(TurnRecord(2, finished=False))),
        (State(), with_record(TurnRecord(0, finished=True))),
        (State(), with_record(TurnRecord(-1, finished=True))),
    ),
    "OUTPUT-INV-1": (
        (with_outputs(record(0)), State()),
        (with_outputs(record(0), record(1)), with_outputs(record(1), record(0))),
        (with_outputs(record(0)), with_outputs(record(0, FINAL))),
        (with_outputs(record(0)), with_outputs(record(1), record(0))),
    ),
    "OUTPUT-3": ((State(), with_outputs(record(0), record(0, FINAL))),),
}
"""Steps `(before, after)` that each invariant has to reject, made by hand."""


def test_every_invariant_has_a_bad_step_and_a_requirement() -> None:
    """The table names just the registered invariants, and all of them stand in the catalogue."""
    assert {each.requirement for each in INVARIANTS} == set(BAD)
    assert set(BAD) <= set(requirements())


@pytest.mark.parametrize(
    ("requirement", "before", "after"),
    [(requirement, before, after) for requirement, steps in BAD.items() for before, after in steps],
)
def test_an_invariant_rejects_what_breaks_it(requirement: str, before: State, after: State) -> None:
    """A step made to break the invariant does not satisfy it, or one of its two halves, of inputs and of batches."""
    assert False in [each.holds(before, after) for each in INVARIANTS if each.requirement == requirement]


LAST = leased({"s": held(fence=U64_MAX)})
ONE_MORE = leased({"s": held(token="token-x", fence=U64_MAX)}, {("s", "token-3"): U64_MAX})
"""Two grants at the end of all numbers share their fencing token (LEASE-11)."""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (State(), State()),
        (LEASED, LEASED),
        (LEASED, SETTLED),
        (SETTLED, AGAIN),
        (LAST, ONE_MORE),
        (with_inputs(ROW), with_inputs(HELD)),
        (with_inputs(input_row(state=CANCELLED)), with_inputs()),
        (with_inputs(HELD), with_inputs(input_row(state=COMPLETED, claim=unheld(1)))),
        (with_inputs(input_row(state=PENDING_ACTIVE, turn="t")), with_inputs(input_row(submitted=FOR_T))),
        (with_batches(WORK), with_batches(batch_row(claim=held_until(9_000)))),
        (with_batches(WORK), with_batches()),
        (with_batches(WORK), with_batches(WORK, batch_row("b2", 2, claim=LIVE_CLAIM))),
        (with_batches(batch_row()), with_batches(batch_row(claim=unheld(1)))),
        (commit_with(SETTLED, tombstoned=frozenset({"a", "b"})), commit_with(SETTLED, nodes=Map(), order=Log())),
        (manifest(False), manifest(True)),
        (manifest(True), State()),
        (FULL, after(boundary(RICH, runtime="r2"), lifecycle(RuntimeState.Idle, input_state()), state=FULL)),
        (numbered(5), after(apply(made=receipt(3)), state=numbered(5))),
        (TURNS, State()),
        (TURNS, with_turns({1: (E1, E3), 3: (E3,)}, {2: (E2,)})),
        (TURNS, with_turns({}, {1: (E1,), 2: (E2,)})),
        (TURNS, after(clear(), state=TURNS)),
        (with_outputs(record(0)), with_outputs(record(0), record(5))),
    ],
)
def test_every_invariant_holds_of_good_steps(before: State, after: State) -> None:
    """Nothing that happened, and commits under a held lease, satisfy all invariants."""
    assert [each.requirement for each in INVARIANTS if not each.holds(before, after)] == []


class Watched(ModelStore):
    """A store that is the model, and looks at every invariant whenever a call has been made."""

    steps = 0

    def __setattr__(self, name: str, value: object) -> None:
        if name == "state" and isinstance(value, State) and name in vars(self):
            Watched.steps += 1
            assert [each.requirement for each in INVARIANTS if not each.holds(self.state, value)] == []
        super().__setattr__(name, value)


@pytest.mark.slow
@pytest.mark.parametrize("chapter", MACHINES)
def test_invariants_hold_of_all_that_a_machine_reaches(chapter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each chapter's machine, run against the model, keeps every invariant at every call it makes."""
    monkeypatch.setattr(Watched, "steps", 0)
    assert run_machine(MACHINES[chapter], Setup(Watched, tmp_path), Budget(seed=1, examples=50, steps=40)) is None
    assert Watched.steps > 1_000
