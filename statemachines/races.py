"""Races: a few calls that are made at once, each by a thread of its own, as somebody is sure to make them one day.

Each is played from an empty store. What was answered must follow from some order of the calls: each takes effect at one moment
while it lasts, and reads see one moment. What is kept afterwards must follow from that order too.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from copy import copy
from itertools import combinations, permutations, product
from typing import Any, NamedTuple, TypeAlias

from fencepost.model import Refused
from fencepost.spec import (
    ActivePath,
    AgentEventEnvelope,
    Append,
    AttachmentIntent,
    EventPayload,
    Final,
    FullGraph,
    HydratedSessionCheckpoint,
    Inline,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    PersistedSessionConfig,
    Progress,
    RunApplyBoundary,
    RuntimeCommit,
    RuntimeTurnCommitStamp,
    SessionDelta,
    SessionNodeRecord,
    ToolState,
)
from fencepost.spec.operations import OPERATIONS
from msgspec.structs import replace

from .checker import Checker, Crash, Event, Performed, Violation, difference
from .environment import Environment, Undecided
from .following import Call, Following, Made
from .lacking import IDLE, INPUT, WORK
from .machine import Setup
from .samples import EVENTS, HELLO, numbered, session
from .tally import Tally

GAPS = (0.0, 0.000_2, 0.001, 0.004)
"""Seconds from one thread to the next, so that calls meet wherever they are, the short ones too."""

ROUNDS = 24
"""How often each race is run: with each gap in every order of three threads."""

SWITCH = 0.000_01
"""Seconds after which another thread of Python goes on, while there are races: as they come, most calls are not interrupted."""

Perform: TypeAlias = Callable[..., Any]
"""Makes a call before the race, and gives its answer."""


Threads: TypeAlias = Sequence[Call | list[Call]]
"""What is made at once, by a thread each: a call, or several, one after the other."""


class Race(NamedTuple):
    """What a race is about, the calls before it, which give those that are made at once, and the reads behind it."""

    requirement: str
    calls: Callable[[Perform], Threads]
    reads: Sequence[Call] = ()


OWNERS = tuple(
    LeaseOwnerIdentity(name, "1", LocalProcess("host", "boot", pid, "tick")) for name, pid in (("a", 10), ("b", 20), ("c", 30))
)
"""Their processes are gone: whoever holds the session can be taken for dead."""

NOON = "2026-01-01T00:00:00Z"


def leased(perform: Perform) -> Any:
    """A lease of the session."""
    return perform("try_claim_session_execution_lease", "s", OWNERS[0], 1_000).lease


def first_claims(_: Perform) -> Threads:
    """A free session is claimed by everybody."""
    return [Call("try_claim_session_execution_lease", ("s", owner, 1_000)) for owner in OWNERS]


def renewal_and_takeover(perform: Perform) -> Threads:
    """The holder renews while others reclaim the session, for its process is dead."""
    fence = leased(perform).fence()
    reclaims = [Call("reclaim_session_execution_lease", ("s", owner, fence, 1_000)) for owner in OWNERS[1:]]
    return [Call("renew_session_execution_lease", (fence, 2_000)), *reclaims]


def release_and_takeover(perform: Perform) -> Threads:
    """The holder releases while others reclaim the session, for its process is dead."""
    held = leased(perform)
    reclaims = [Call("reclaim_session_execution_lease", ("s", owner, held.fence(), 1_000)) for owner in OWNERS[1:]]
    return [Call("release_session_execution_lease", (held.completion(),)), *reclaims]


def claims_of_inputs(perform: Perform) -> Threads:
    """One input is claimed twice, and cancelled."""
    fence = leased(perform).fence()
    waiting = perform("enqueue_pending_turn_input", INPUT)
    claims = [Call("claim_next_turn_inputs", ("s", fence, OWNERS[0], 1_000, 1))] * 2
    return [*claims, Call("cancel_pending_turn_input", ("s", waiting.input_id))]


def rival_claims_of_inputs(perform: Perform) -> Threads:
    """One input is claimed by three."""
    fence = leased(perform).fence()
    perform("enqueue_pending_turn_input", INPUT)
    return [Call("claim_next_turn_inputs", ("s", fence, OWNERS[0], 1_000, 1))] * 3


def repeated_inputs(_: Perform) -> Threads:
    """One input is submitted three times under its source key."""
    return [Call("enqueue_pending_turn_input", (replace(INPUT, source_key="k"),))] * 3


def claims_of_work(perform: Perform) -> Threads:
    """One batch is claimed twice, and cancelled."""
    fence = leased(perform).fence()
    waiting = perform("enqueue_queued_work", WORK)
    claims = [Call("claim_ready_queued_work", ("s", fence, OWNERS[0], IDLE, 1_000, 1))] * 2
    return [*claims, Call("cancel_queued_work_batch", ("s", waiting.batch_id))]


def rival_claims_of_work(perform: Perform) -> Threads:
    """One batch is claimed by three."""
    fence = leased(perform).fence()
    perform("enqueue_queued_work", WORK)
    return [Call("claim_ready_queued_work", ("s", fence, OWNERS[0], IDLE, 1_000, 1))] * 3


def turn(perform: Perform, number: int, **more: Any) -> RuntimeCommit:
    """A commit of one node under a lease that is live."""
    lease = perform("try_claim_session_execution_lease", "s", OWNERS[0], 1_000).lease
    node = SessionNodeRecord(f"n{number}", None, EventPayload(Json(number)))
    given = {
        "session_execution_lease": lease.fence(),
        "config": PersistedSessionConfig("p", Json(number)),
        "graph": Append((node,), node.node_id),
        "checkpoint": HydratedSessionCheckpoint(tool_state=ToolState(number)),
    }
    return RuntimeCommit(session_id="s", **{**given, **more})


def two_turns(perform: Perform) -> Threads:
    """Two turns are committed that both expect to be the next."""
    perform("commit_runtime_state", turn(perform, 0))
    return [Call("commit_runtime_state", (turn(perform, number, expected_head_revision=1),)) for number in (1, 2)]


def one_turn_twice(perform: Perform) -> Threads:
    """A stamped turn is committed, and retried before it has answered."""
    stamped = turn(perform, 1, turn_commit=RuntimeTurnCommitStamp("s", "t", "hash"))
    return [Call("commit_runtime_state", (stamped,))] * 2


def turn_and_takeover(perform: Perform) -> Threads:
    """A turn is committed while another owner takes the session over from its dead holder, and reads what it has now.

    What it has not read then must not come any more: without the read a commit that lands late would look like one before.
    """
    commit = turn(perform, 1)
    takeover = Call("reclaim_session_execution_lease", ("s", OWNERS[1], commit.session_execution_lease, 1_000))
    return [Call("commit_runtime_state", (commit,)), [takeover, Call("load_session", (FullGraph(),))]]


def turn_and_reads(perform: Perform) -> Threads:
    """A session is read while a turn of it is committed."""
    perform("commit_runtime_state", turn(perform, 0))
    reads = [Call("load_session", (FullGraph(),)), Call("load_session", (ActivePath(None),))]
    return [Call("commit_runtime_state", (turn(perform, 1),)), *reads]


def turn_and_collection(perform: Perform) -> Threads:
    """Blobs are collected while a turn is committed that puts the head elsewhere."""
    perform("commit_runtime_state", turn(perform, 0))
    return [Call("commit_runtime_state", (turn(perform, 1),)), Call("gc_unreachable")]


def boundary(number: int) -> Call:
    """A boundary of one run."""
    delta = SessionDelta(session(numbered(7), HELLO, number))
    return Call("commit_session_boundary", ("r", delta, numbered(1), RunApplyBoundary.RunStart, (), ()))


def two_boundaries(_: Perform) -> Threads:
    """Two boundaries of one run are committed."""
    return [boundary(1), boundary(2)]


def boundary_and_reads(perform: Perform) -> Threads:
    """A boundary is committed while its receipt and the snapshot are read."""
    perform(boundary(1).operation, *boundary(1).arguments)
    return [boundary(2), Call("load_boundary_receipt", ("r", numbered(1), 1)), Call("load_session_snapshot", ("r",))]


def event(number: int) -> Call:
    """An event of one turn."""
    return Call("event.append", ("th", 1, AgentEventEnvelope(numbered(number), number, NOON, EVENTS[0])))


def events_and_the_end(_: Perform) -> Threads:
    """Events are appended while their turn is finished."""
    return [event(1), event(2), Call("finish_turn", ("th", 1))]


def rival_events(_: Perform) -> Threads:
    """Events are appended to one turn."""
    return [event(1), event(2), event(3)]


def the_end_and_reads(perform: Perform) -> Threads:
    """A turn is read while it is finished and its thread cleared."""
    perform(event(1).operation, *event(1).arguments)
    return [Call("finish_turn", ("th", 1)), Call("get_turn", ("th", 1)), Call("clear", ("th",))]


def intent(name: str) -> Call:
    """The intent to write an attachment."""
    return Call("record_intent", (AttachmentIntent(name, "s", "file:///a", 1_000),))


def attachments(perform: Perform) -> Threads:
    """Attachments are recorded, and one is forgotten."""
    recorded = intent("a")
    perform(recorded.operation, *recorded.arguments)
    return [intent("b"), intent("c"), Call("forget", ("a",))]


def output(text: str, *, is_last: bool) -> Call:
    """An output of one attempt."""
    return Call("output.append", ("t", 1, "writer", Final(Inline(Json(text)), True) if is_last else Progress(text), ()))


def outputs(_: Perform) -> Threads:
    """Outputs of one attempt are appended, and listed meanwhile."""
    return [output("a", is_last=False), output("b", is_last=True), Call("list_for_attempt", ("t", 1))]


def rival_outputs(_: Perform) -> Threads:
    """Outputs of one attempt are appended."""
    return [output(text, is_last=False) for text in "abc"]


HOLDER = (Call("try_claim_session_execution_lease", ("s", LeaseOwnerIdentity("d", "1"), 1_000)),)
GRAPH = (Call("load_session", (FullGraph(),)),)
INPUTS = (Call("list_pending_turn_inputs", ("s",)),)
BATCHES = (Call("list_queued_work", ("s",)), Call("list_pending_queued_work", ("s",)))
TURNS = (Call("get_turns", ("th",)),)
ATTACHMENTS = (Call("list_uncommitted", (1_000,)),)
WRITTEN = (Call("list_for_attempt", ("t", 1)), Call("get_latest_by_name", ("writer",)))

RACES: dict[str, tuple[Race, ...]] = {
    "lease": (
        Race("LEASE-18", first_claims, HOLDER),
        Race("LEASE-18", renewal_and_takeover, HOLDER),
        Race("LEASE-18", release_and_takeover, HOLDER),
    ),
    "turn_input": (
        Race("GEN-13", claims_of_inputs, INPUTS),
        Race("GEN-13", rival_claims_of_inputs, INPUTS),
        Race("INPUT-INV-1", repeated_inputs, INPUTS),
    ),
    "queued_work": (Race("GEN-13", claims_of_work, BATCHES), Race("GEN-13", rival_claims_of_work, BATCHES)),
    "commit": (
        Race("COMMIT-10", two_turns, GRAPH),
        Race("COMMIT-32", one_turn_twice, GRAPH),
        Race("LEASE-INV-2", turn_and_takeover, GRAPH),
    ),
    "session": (Race("READ-17", turn_and_reads, GRAPH),),
    "maintenance": (Race("GC-9", turn_and_collection, GRAPH),),
    "attachment": (Race("ATT-8", attachments, ATTACHMENTS),),
    "runtime": (Race("RUNTIME-44", two_boundaries), Race("RUNTIME-43", boundary_and_reads)),
    "event": (
        Race("EVENT-33", events_and_the_end, TURNS),
        Race("EVENT-7", rival_events, TURNS),
        Race("EVENT-25", the_end_and_reads, TURNS),
    ),
    "output": (Race("OUTPUT-25", outputs, WRITTEN), Race("OUTPUT-25", rival_outputs, WRITTEN)),
}
"""The races of each chapter, by the requirement that is broken if no order of the calls explains what they were answered."""


def raced(setup: Setup, chapter: str, rounds: int = ROUNDS) -> Violation | None:
    """Run each race of a chapter so many times, every time on a fresh store of the setup; the first violation."""
    try:
        with _often_switched():
            for number, race in product(range(rounds), RACES.get(chapter, ())):
                _run(race, setup, number)
                setup.tally.reached[race.requirement] += 1
                setup.progress(setup.tally)
    except Violation as violation:
        violation.steps = setup.tally.steps
        return violation
    return None


@contextmanager
def _often_switched() -> Iterator[None]:
    """Let threads of Python take turns more often."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _run(race: Race, setup: Setup, number: int) -> None:
    environment = Environment(setup.directory, setup.declared)
    store = setup.open_store(environment)
    # which call was first is chance: what it reached is not counted, so that the same seed gives the same result
    checker = Checker(store, environment, Tally(), strict=setup.strict, calls=setup.calls)
    try:
        calls = race.calls(lambda operation, *arguments: checker.perform(Call(operation, arguments), look=False))
        explained(checker, race, at_once(checker, calls, number))
        for call in race.reads:
            checker.perform(call, look=False)
        setup.tally.steps += sum(len(each) if isinstance(each, list) else 1 for each in calls)
    except Violation as violation:
        ahead = violation.ahead = environment.clock.ahead
        violation.program = tuple(Event(each.now - ahead, each.call, each.answer) for each in checker.performed)
        violation.requirements = tuple(dict.fromkeys((race.requirement, *violation.requirements)))
        violation.is_race = True
        raise
    finally:
        setup.close_store(store)


def waits(count: int, number: int) -> tuple[float, ...]:
    """For how many seconds each of so many threads waits in this round before it begins: another gap, or another order."""
    orders = tuple(permutations(range(count)))
    gap = GAPS[number // len(orders) % len(GAPS)]
    return tuple(place * gap for place in orders[number % len(orders)])


def at_once(checker: Checker, calls: Threads, number: int) -> tuple[tuple[Made, ...], ...]:
    """Make the calls of each thread in a thread of its own, all let go at the same moment but for the waits of the round.

    Those that never return, for their store has locked itself up, keep nobody from ending.
    """
    gate = threading.Barrier(len(calls))
    ends: list[Future[tuple[Made, ...]]] = [Future() for _ in calls]

    def make(thread: Call | list[Call], wait: float, end: Future[tuple[Made, ...]]) -> None:
        try:
            gate.wait()
            time.sleep(wait)
            each = thread if isinstance(thread, list) else [thread]
            end.set_result(tuple(checker.made(call)._replace(concurrent=True) for call in each))
        except BaseException as error:
            # it is raised where the thread is waited for
            end.set_exception(error)

    for given in zip(calls, waits(len(calls), number), ends, strict=True):
        threading.Thread(target=make, args=given, daemon=True).start()
    return tuple(each.result() for each in ends)


def interleaved(threads: Sequence[tuple[Made, ...]]) -> Iterator[tuple[Made, ...]]:
    """Every order of the calls in which each thread's come one after the other."""
    turns = [number for number, thread in enumerate(threads) for _ in thread]
    for order in dict.fromkeys(permutations(turns)):
        calls = [iter(thread) for thread in threads]
        yield tuple(next(calls[number]) for number in order)


def explained(checker: Checker, race: Race, threads: Sequence[tuple[Made, ...]]) -> None:
    """Go on with all that the store may hold after the calls in some order. Raises `Violation` if no order fits."""
    made = [each for thread in threads for each in thread]
    checker.performed += [Performed(each.ended, each.call, each.answer) for each in made]
    undecided: Undecided | None = None
    found: list[Following] = []
    for order in interleaved(threads):
        try:
            found += _after(checker.following, order)
        except Undecided as error:
            undecided = error
    if undecided and not found:
        raise undecided
    if not found:
        raise _unexplained(checker, race, made)
    checker.following.join(found, more=undecided is not None)


def _unexplained(checker: Checker, race: Race, made: list[Made]) -> Violation:
    """The violation, told of two calls that cannot both have been answered so, if there are two: they come last then."""
    reason = f"No order of these {len(made)} calls, which were made at once, explains what they were answered"
    for first, second in _rivals(made):
        before = list(_after(checker.following, (first,)))
        if not before or any(list(_after(checker.following, order)) for order in ((first, second), (second, first))):
            continue
        others = [each for each in made if each is not first and each is not second]
        ended = [Performed(each.ended, each.call, each.answer) for each in (*others, first, second)]
        checker.performed[-len(made) :] = ended
        steps = before[0].ours(second)
        alike = "got the same answer" if first.answer == second.answer else "were both granted what one alone can have"
        told = f"{reason}: the last two {alike}"
        return Violation((race.requirement,), checker.performed, steps, difference(steps[0].answer, second.answer), told)
    return Violation((race.requirement,), checker.performed, checker.following.ours(made[-1]), "", reason)


def _rivals(made: Sequence[Made]) -> Iterator[tuple[Made, Made]]:
    """Each two calls of one kind that changed something, by their answers; those that were answered alike first."""
    changing = [
        each for each in made if not (OPERATIONS[each.call.operation].reads or isinstance(each.answer, Refused | Crash))
    ]
    pairs = [each for each in combinations(changing, 2) if each[0].call.operation == each[1].call.operation]
    yield from sorted(pairs, key=lambda pair: pair[0].answer != pair[1].answer)


def _after(following: Following, order: Sequence[Made]) -> Iterator[Following]:
    """What the store may hold if the calls took effect in this order; nothing if they cannot have. Raises `Undecided`."""
    onward = copy(following)
    for each in order:
        taken = onward.ways(each)
        if not taken:
            return
        onward.go(taken, ())
    yield onward
