"""What a history leaves open about a call: at which instant it took effect, and which of several came first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

from fencepost.model import Refused, State
from fencepost.model.lease import lease_of
from fencepost.model.records.event import EventState, Thread
from fencepost.model.records.log import Log
from fencepost.model.records.output import OutputState
from fencepost.model.records.runtime import RuntimeRecords
from fencepost.spec import U64_MAX, AttachmentIntent, Busy, RuntimeCommit
from fencepost.spec.operations import OPERATIONS, part_of
from fencepost.statemachines.checker import session_of
from fencepost.statemachines.following import Call, Made
from fencepost.statemachines.leaves import leaves
from immutables import Map
from msgspec.structs import replace

from .history import Invalid

CLOCKED = ("lease", "turn_input", "queued_work", "commit")
"""The chapters in which the instant of a call decides anything."""


def instants(state: State, made: Made, first: int) -> list[int]:
    """Of the instants from the first to the end of a call as many as make a difference, the likeliest first.

    An instant decides on which side of an end it lies, of a lease, of a claim, of a wait; and it is shown, by itself or with a
    time to live added. So of those between two ends, and shown nowhere, one stands for all.
    """
    call, last = made.call, made.ended
    if first >= last or OPERATIONS[call.operation].chapter not in CLOCKED:
        return [first]
    spans = {each for each in _numbers(call.arguments) if each <= U64_MAX}
    shown = (number - span for number in _numbers(made.answer) for span in (0, *spans))
    # a sum of times is another one from where it reaches the largest number
    edges = {*_edges(state, call), *(U64_MAX - span + 1 for span in spans)}
    exact = sorted({each for each in shown if first <= each <= last})
    return list(dict.fromkeys((*exact, first, *sorted(each for each in edges if first < each <= last))))


def _numbers(value: object) -> Iterator[int]:
    return (leaf.value for leaf in leaves(value) if type(leaf.value) is int)


def _edges(state: State, call: Call) -> Iterator[int]:
    """The instants at which the answer of the call can change."""
    for session_id in sessions_of(call):
        yield lease_of(state, session_id).expires_at
        for row in state.turn_input.of(session_id).waiting():
            yield row.record.claim.expires_at
        for batch in state.queued_work.of(session_id):
            yield from (batch.record.claim.expires_at, batch.record.available_at)


def sessions_of(call: Call) -> set[str]:
    """Every session that the call names."""
    named = {session_of(call)}
    for argument in call.arguments:
        named.add(getattr(argument, "session_id", ""))
        if isinstance(argument, RuntimeCommit):
            named.update(each.session_id for each in argument.completed_queue_claims + argument.completed_turn_input_claims)
            named.update(each.session_id for each in (argument.release_session_execution_lease,) if each is not None)
    return named - {""} or {""}


class Reach(NamedTuple):
    """What decides which other calls a call depends on: its store, whether it only reads, and what it reads or writes."""

    part: str
    reads: bool
    touched: frozenset[object] | None

    @classmethod
    def of(cls, call: Call) -> Reach:
        """That of a call."""
        operation = OPERATIONS[call.operation]
        return cls(part_of(operation.chapter), operation.reads, _touched(call))

    def commutes(self, other: Reach) -> bool:
        """Whether it makes no difference, to either call or to any later one, which of the two took effect first."""
        if (self.reads and other.reads) or self.part != other.part:
            return True
        return self.touched is not None and other.touched is not None and self.touched.isdisjoint(other.touched)


def commute(one: Call, other: Call) -> bool:
    """Whether it makes no difference, to either call or to any later one, which of the two took effect first."""
    return Reach.of(one).commutes(Reach.of(other))


Lane: TypeAlias = tuple[str, ...]
"""Calls of different lanes never depend on each other, whatever was called before: a store, and a part of what it has."""


def lane_of(call: Call | Invalid) -> Lane:
    """The lane of a call: each thread and each runtime is one, and all else that a store has."""
    chapter = OPERATIONS[call.operation].chapter
    if chapter in ("runtime", "event") and isinstance(call, Call):
        return (part_of(chapter), str(call.arguments[0]))
    return (part_of(chapter),)


def only(state: State, lane: Lane) -> State:
    """What calls of the lane may see of the state; of other threads that there are some, and of outputs not their order."""
    part, *names = lane
    if part == "event":
        threads, own = state.event.threads, Map({name: state.event.of(name) for name in names if name in state.event.threads})
        other = next((each for each in threads if each not in own), None)
        event = EventState(own if other is None else own.set(other, Thread()), state.event.cleared)
        return State(event=event)
    if part == "runtime":
        kept = state.runtime
        snapshots = Map({name: kept.snapshots[name] for name in names if name in kept.snapshots})
        inputs = Map({name: kept.inputs[name] for name in names if name in kept.inputs})
        return State(runtime=replace(kept, snapshots=snapshots, inputs=inputs))
    if part == "output":
        return State(output=state.output)
    return replace(state, event=EventState(), runtime=RuntimeRecords(), output=OutputState())


def unordered(state: State, attempt: tuple[str, int] | None, producer: str | None) -> State:
    """The state without the order of all outputs, which no answer shows; nor that of this attempt, nor the latest of this name.

    The order of other attempts stays, and the latest of other producers.
    """
    output = replace(state.output, records=Log())
    if attempt is not None:
        output = replace(output, attempts=output.attempts.set(attempt, output.attempts[attempt]._replace(records=Log())))
    if producer is not None:
        output = replace(output, producers=output.producers.delete(producer))
    return replace(state, output=output)


def changes_nothing(call: Call, outcome: object) -> bool:
    """Whether a call that was answered so leaves a store as it was."""
    return OPERATIONS[call.operation].reads or isinstance(outcome, Refused | Busy)


def _touched(call: Call) -> frozenset[object] | None:
    """What a call reads or writes, None if it may be anything: calls that have some of it in common depend on their order."""
    chapter, arguments = OPERATIONS[call.operation].chapter, call.arguments
    if chapter in ("runtime", "event"):
        return frozenset(arguments[:1])
    if chapter == "attachment" and call.operation != "list_uncommitted":
        return frozenset(("attachment", each) for each in _attachments_of(*arguments))
    if call.operation == "output.append":
        task_id, attempt, producer, *_ = arguments
        return frozenset({(task_id, attempt), producer})
    if call.operation == "list_for_attempt":
        return frozenset({arguments})
    if call.operation == "get_latest_by_name":
        return frozenset(arguments)
    if chapter not in ("lease", "turn_input", "queued_work"):
        return None
    # numbers of admission are drawn from one row by all sessions, and ids are of all of them
    numbered = {("numbers", chapter)} if call.operation.startswith("enqueue_") else set()
    return frozenset({*sessions_of(call), *numbered})


def _attachments_of(*arguments: Any) -> tuple[str, ...]:
    """The attachments that a call names: an intent to write one, one by its id, or those of a session."""
    last = arguments[-1]
    return last if isinstance(last, tuple) else (last.attachment_id if isinstance(last, AttachmentIntent) else last,)
