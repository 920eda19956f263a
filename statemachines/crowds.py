"""Crowds: more of everything than there is on a page, for a store may take the first page of a list for the list.

They are made once, of each kind of thing that a chapter lists or finds again, and would take too long in what is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from fencepost.model import Ids
from fencepost.spec import (
    ActivePath,
    AgentEventEnvelope,
    Append,
    AttachmentIntent,
    EventPayload,
    InputId,
    Json,
    OutputRef,
    Progress,
    RuntimeTurnCommitStamp,
    SessionNodeRecord,
)
from fencepost.spec.operations import OPERATIONS
from msgspec.structs import replace

from .calls import TimeIsUp
from .checker import Checker, Event, Violation
from .environment import Environment, Unavailable
from .following import Call
from .machine import Machine, Setup
from .plays import (
    ATTACHED,
    BATCHES,
    EVENTS_READ,
    GRAPH,
    IDLE,
    NOON,
    OWNER,
    PENDING,
    RUNTIME,
    TTL,
    WRITTEN,
    Play,
    S,
    a_batch,
    a_commit,
    a_node,
    a_state,
    an_input,
    calls_of,
    lease_of_session,
)
from .run import replayed, shortest
from .samples import EVENTS, numbered
from .shrink import alike
from .tally import Tally

FULL = 101
"""How many there are of each: more than stand on a page of 100, which is the largest that is common."""

FEW = 12
"""A crowd of no more is shortened call by call, like what is drawn."""


class Crowd(NamedTuple):
    """Calls that make so many of something, the reads that show them, and the chapters that it needs besides its own.

    `apart` says that each is a thing by itself, which others may not change: what is broken where they do.
    """

    play: Callable[[int], Play]
    reads: Sequence[Call] = ()
    beside: Collection[str] = ()
    apart: Ids = ()


def sessions(count: int) -> Play:
    """Sessions are claimed; the first one is still held then, and its lease renewed."""
    leases = []
    for number in range(count):
        claimed = yield _claim(number, "owner")
        leases.append(claimed.lease)
    yield _claim(0, "another")
    yield Call("renew_session_execution_lease", (leases[0].fence(), TTL))


def _claim(number: int, owner_id: str) -> Call:
    return Call("try_claim_session_execution_lease", (f"{S}{number}", replace(OWNER, owner_id=owner_id), TTL))


def inputs(count: int) -> Play:
    """Inputs are submitted, the first one again; they are claimed at once and given back, and cancelled from the first on."""
    fence = yield from lease_of_session()
    rows = []
    for number in (*range(count), 0):
        row = yield an_input(f"key{number}")
        rows.append(row)
    yield from (read for read in PENDING)
    claim = yield Call("claim_next_turn_inputs", (S, fence, OWNER, TTL, 2 * count))
    yield Call("abandon_turn_input_claim", (claim,))
    yield from (read for read in PENDING)
    yield Call("cancel_pending_turn_input_suffix", (S, InputId(rows[0].input_id)))


def batches(count: int) -> Play:
    """Batches are submitted, the first one again, and claimed at once."""
    fence = yield from lease_of_session()
    for number in (*range(count), 0):
        yield a_batch(f"key{number}")
    yield from (read for read in BATCHES)
    claim = yield Call("claim_ready_queued_work", (S, fence, OWNER, IDLE, TTL, 2 * count))
    yield Call("renew_queued_work_claim", (claim, TTL))
    yield from (read for read in BATCHES)
    yield Call("abandon_queued_work_claim", (claim,))


def turns(count: int) -> Play:
    """Turns are committed, each on the node of the one before; the first one is committed again."""
    fence = yield from lease_of_session()
    parent: str | None = None
    for number in range(count):
        yield _turn(fence, number, parent)
        parent = f"node{number}"
    yield _turn(fence, 0, None)


def _turn(fence: Any, number: int, parent: str | None) -> Call:
    return a_node(fence, f"node{number}", parent, turn_commit=RuntimeTurnCommitStamp(S, f"turn{number}", "hash"))


def settled(count: int) -> Play:
    """All inputs that wait are claimed at once, and settled by one commit."""
    fence = yield from lease_of_session()
    for number in range(count):
        yield an_input(f"key{number}")
    claim = yield Call("claim_next_turn_inputs", (S, fence, OWNER, TTL, count))
    yield a_commit(fence, completed_turn_input_claims=(claim.completion(),))


def nodes(count: int) -> Play:
    """Nodes are committed at once, each the parent of the next."""
    fence = yield from lease_of_session()
    yield _chain(fence, count)
    yield Call("load_node", ("node0",))
    yield Call("load_session", (ActivePath(f"node{count - 1}"),))


def _chain(fence: Any, count: int) -> Call:
    names = [None, *(f"node{number}" for number in range(count))]
    chain = tuple(SessionNodeRecord(node_id, parent, EventPayload(Json())) for parent, node_id in pairwise(names) if node_id)
    return a_commit(fence, graph=Append(chain, names[-1]))


def tombstoned(count: int) -> Play:
    """All nodes but the leaf are given up at once, and removed."""
    fence = yield from lease_of_session()
    yield _chain(fence, count + 1)
    yield Call("tombstone_nodes", (tuple(f"node{number}" for number in range(count)),))
    yield from (read for read in GRAPH)
    yield Call("vacuum", ())


def attachments(count: int) -> Play:
    """Attachments are recorded, and all but the last are referred to at once."""
    ids = tuple(f"attachment{number}" for number in range(count))
    for each in ids:
        yield Call("record_intent", (AttachmentIntent(each, S, "uri", 1_000),))
    yield from (read for read in ATTACHED)
    yield Call("commit_refs", (S, ids[:-1]))


def input_states(count: int) -> Play:
    """States of inputs are persisted, and the first one is read."""
    for number in range(count):
        yield Call("persist_input_state", (RUNTIME, replace(a_state(number), idempotency_key=f"key{number}")))
    yield Call("load_input_state", (RUNTIME, numbered(0)))


def events(count: int) -> Play:
    """Events are appended to a turn, which is finished and reads as it was."""
    for number in range(count):
        yield _event("thread", 1, number)
    yield from (read for read in EVENTS_READ)
    yield Call("finish_turn", ("thread", 1))


def turns_of_events(count: int) -> Play:
    """Events are appended, each to a turn of its own."""
    for number in range(count):
        yield _event("thread", number, number)


def threads(count: int) -> Play:
    """Events are appended, each to a thread of its own; the first one is still there."""
    for number in range(count):
        yield _event(f"thread{number}", 1, number)
    yield Call("get_turns", ("thread0",))


def _event(thread_id: str, turn: int, number: int) -> Call:
    return Call("event.append", (thread_id, turn, AgentEventEnvelope(numbered(number), number, NOON, EVENTS[0])))


def outputs(count: int) -> Play:
    """Outputs of an attempt are appended; the first one is still there."""
    refs: list[OutputRef] = []
    for number in range(count):
        ref = yield Call("output.append", ("task", 1, "writer", Progress(f"stage {number}"), ()))
        refs.append(ref)
    yield Call("get", (refs[0],))


CROWDS: dict[str, tuple[Crowd, ...]] = {
    "lease": (Crowd(sessions, apart=("LEASE-2",)),),
    "turn_input": (Crowd(inputs, PENDING),),
    "queued_work": (Crowd(batches, BATCHES),),
    "commit": (Crowd(turns, GRAPH), Crowd(settled, PENDING, ("turn_input",))),
    "session": (Crowd(nodes, GRAPH),),
    "maintenance": (Crowd(tombstoned, GRAPH),),
    "attachment": (Crowd(attachments, ATTACHED),),
    "runtime": (Crowd(input_states, (Call("load_input_states", (RUNTIME,)),)),),
    "event": (Crowd(events, EVENTS_READ), Crowd(turns_of_events, EVENTS_READ[1:]), Crowd(threads, apart=("EVENT-2",))),
    "output": (Crowd(outputs, WRITTEN),),
}
"""What there is a crowd of in each chapter."""


def crowded(machine: type[Machine], setup: Setup) -> Violation | None:
    """Make the crowds of the machine's chapter, and read them; the violation of the smallest crowd that ends in one."""
    for crowd in CROWDS[machine.chapter]:
        if machine.offered.issuperset(crowd.beside):
            found = _met(crowd, FULL, setup)
            if found is not None:
                smallest = _smallest(found, crowd, machine, setup)
                apart = crowd.apart if len({each.call.arguments[0] for each in smallest.performed}) > 1 else ()
                smallest.requirements = tuple(dict.fromkeys((*apart, *smallest.requirements)))
                return smallest
    return None


def _smallest(found: Violation, crowd: Crowd, machine: type[Machine], setup: Setup) -> Violation:
    """The violation of the smallest crowd that shows it. What ends the search ends it with the one found so far."""
    aside = setup.aside()
    best, enough, wanting = found, FULL, 0
    try:
        while enough - wanting > 1:
            count = (enough + wanting) // 2
            smaller = _met(crowd, count, aside)
            if smaller is not None and alike(smaller, found):
                best, enough = smaller, count
            else:
                wanting = count
        best = _without_reads(best, machine, aside)
    except KeyboardInterrupt:
        best.interrupted = True
    except (TimeIsUp, Unavailable):
        best.is_long = True
    else:
        if enough <= FEW:
            return shortest(machine, setup, best)
    best.steps = setup.tally.steps
    return best


def _without_reads(found: Violation, machine: type[Machine], setup: Setup) -> Violation:
    """The violation without the reads before the last call, if it shows without them."""
    *before, last = found.program
    shorter = replayed(machine, setup, (*(each for each in before if not _reads(each)), last))
    return shorter if shorter is not None and alike(shorter, found) else found


def _reads(event: Event) -> bool:
    return isinstance(event.action, Call) and OPERATIONS[event.action.operation].reads


def _make(crowd: Crowd, count: int, perform: Callable[[Call], object]) -> None:
    for _ in calls_of(crowd.play(count), perform):
        pass
    for read in crowd.reads:
        perform(read)


def _met(crowd: Crowd, count: int, setup: Setup) -> Violation | None:
    """The violation that a crowd of so many ends in, on a fresh store, if it does."""
    environment = Environment(setup.directory, setup.declared)
    store = setup.open_store(environment)
    # what is reached on the way is not what is looked for: it is left to what is drawn
    checker = Checker(store, environment, Tally(), strict=setup.strict, calls=setup.calls)
    try:
        _make(crowd, count, lambda call: checker.perform(call, look=False))
    except Violation as violation:
        violation.as_performed(environment.clock.ahead)
        return violation
    finally:
        setup.tally.steps += checker.tally.steps
        setup.progress(setup.tally)
        setup.close_store(store)
    return None
