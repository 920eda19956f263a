"""What a history leaves open about a call: at which instant it took effect, and which of several came first."""

from __future__ import annotations

from collections.abc import Iterator

from fencepost.model import State
from fencepost.model.lease import lease_of
from fencepost.spec import U64_MAX, RuntimeCommit
from fencepost.spec.operations import OPERATIONS, part_of
from fencepost.statemachines.checker import session_of
from fencepost.statemachines.following import Call, Made
from fencepost.statemachines.minted import plain_values

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
    return (each for each in plain_values(value) if type(each) is int)


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


def commute(one: Call, other: Call) -> bool:
    """Whether it makes no difference, to either call or to any later one, which of the two took effect first."""
    if OPERATIONS[one.operation].reads and OPERATIONS[other.operation].reads:
        return True
    if part_of(OPERATIONS[one.operation].chapter) != part_of(OPERATIONS[other.operation].chapter):
        return True
    here, there = _touched(one), _touched(other)
    return here is not None and there is not None and not here & there


def _touched(call: Call) -> frozenset[object] | None:
    """What a call reads or writes, None if it may be anything: calls that have some of it in common depend on their order."""
    chapter, arguments = OPERATIONS[call.operation].chapter, call.arguments
    if chapter in ("runtime", "event"):
        return frozenset(arguments[:1])
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
