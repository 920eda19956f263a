"""Commits: the order of their refusals, what a replay is, what a graph becomes, and what is settled with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import product

from fencepost.spec import (
    U64_MAX,
    Append,
    EventPayload,
    GraphCommitDelta,
    HeadRevisionConflict,
    Json,
    PersistedSessionConfig,
    PersistedTurnState,
    ReplaceFull,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimeTurnCommitConflict,
    RuntimeTurnCommitStamp,
    SessionBindingMismatch,
    SessionCheckpoint,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseExpired,
    SessionGraph,
    SessionNodeRecord,
    StoreError,
    TokenLedgerEntry,
    TokenUsage,
    TurnInputClaimExpired,
    TurnInputCompletion,
    TurnInputState,
    Unchanged,
)
from immutables import Map
from msgspec.structs import replace

from .. import commit as calls
from ..contracts import ensure, require
from ..records.attachment import Attachment, AttachmentRecord, AttachmentState
from ..records.commit import KINDS, CommitState, Head, Ledger, Part, Stamp, head_agrees, next_revision
from ..records.lease import LeaseRecord, LeaseState, SessionLease
from ..records.log import Log
from ..state import State
from ..step import Refused
from .exhaustion import exhausted, subsets, tuples
from .turn_input import FENCE, LANE, LEASED, MINE, PORTS, rows_of, state_of

S = TurnInputState


@require(lambda actual: 0 <= actual < U64_MAX)
@ensure(lambda result: not result, "COMMIT-9", "of two commits that expect one head revision the second is refused")
def both_pass(actual: int) -> bool:
    """Whether a commit that expects a head revision passes right after another one that did."""
    return head_agrees(actual, actual) and head_agrees(actual, next_revision(actual))


@require(lambda actual: 0 <= actual < U64_MAX - 1)
@ensure(lambda actual, result: result == actual + 2, "COMMIT-INV-1", "sequence grows: two commits count two")
def after_two(actual: int) -> int:
    """The head revision after two commits."""
    return next_revision(next_revision(actual))


CONFIG = PersistedSessionConfig("p", Json({}))
OLD = SessionCheckpoint(PersistedTurnState())


def head_at(revision: int, leaf: str | None = None) -> Head:
    """The head of the session after that many commits."""
    parts = Map({kind: Part(None, None, carried=True) for kind in KINDS})
    return Head("s", revision, CONFIG, (), "", leaf, f"checkpoint:{revision}", PersistedTurnState(), None, parts)


FAULTS = ("bound elsewhere", "stamp of another session", "recorded otherwise", "unfenced", "another head", "foreign completion")
"""What may be wrong with a commit, in the order in which it decides."""


def _faulty(faults: frozenset[str]) -> tuple[State, RuntimeCommit]:
    """A commit with these faults, and the state that it comes to."""
    session = "other" if "bound elsewhere" in faults else "s"
    stamped = "elsewhere" if "stamp of another session" in faults else session
    hashed = "another" if "recorded otherwise" in faults else "hash"
    recorded = {(stamped, "t"): Stamp("hash", RuntimeCommitResult(3, "then", OLD))} if hashed == "another" else {}
    stamps: Map[tuple[str, str], Stamp] = Map(recorded)
    state = replace(
        state_of(("held",)),
        commit=CommitState(head_at(4), stamps=stamps, attempted="s", checkpoints=Map({"checkpoint:4": True})),
        lease=LeaseState(Map({session: LANE})),
    )
    commit = RuntimeCommit(
        session_id=session,
        expected_head_revision=3 if "another head" in faults else 4,
        session_execution_lease=None if "unfenced" in faults else replace(FENCE, session_id=session),
        config=CONFIG,
        turn_commit=RuntimeTurnCommitStamp(stamped, "t", hashed),
        completed_turn_input_claims=(TurnInputCompletion(session, "live", "live", ("i9",)),)
        if "foreign completion" in faults
        else (),
    )
    return state, commit


def _told(fault: str, commit: RuntimeCommit) -> StoreError:
    """The error that tells of a fault."""
    stamp = commit.turn_commit
    assert stamp is not None
    return {
        "bound elsewhere": SessionBindingMismatch("s", commit.session_id),
        "stamp of another session": RuntimeTurnCommitConflict(stamp.session_id, "t"),
        "recorded otherwise": RuntimeTurnCommitConflict(stamp.session_id, "t"),
        "unfenced": SessionExecutionLeaseExpired(commit.session_id),
        "another head": HeadRevisionConflict(3, 4),
        "foreign completion": TurnInputClaimExpired(commit.session_id, "live"),
    }[fault]


@exhausted(
    "the first fault decides, a refused commit changes nothing, and one without a fault is the next revision",
    "COMMIT-1",
    "COMMIT-2",
    "COMMIT-3",
    "COMMIT-5",
    "COMMIT-8a",
    "COMMIT-9",
    "COMMIT-34",
    scope=f"every set of {len(FAULTS)} faults",
    cases=lambda: ((faults,) for faults in subsets(FAULTS)),
)
def first_fault_decides(faults: frozenset[str]) -> bool:
    """The refusal is that of the first fault, and the state stays; without faults the revision is 5."""
    state, commit = _faulty(faults)
    step, *others = calls.commit_runtime_state(state, PORTS, commit)
    first = next((fault for fault in FAULTS if fault in faults), None)
    if first is None:
        return isinstance(step.answer, RuntimeCommitResult) and step.answer.head_revision == 5
    # no store may go on where one of these stands against it
    refused = all(isinstance(each.answer, Refused) for each in others)
    return refused and step.answer == Refused(_told(first, commit)) and step.state == state


IDS = ("a", "b", "c")


def node(node_id: str, parent: str | None, said: str = "new") -> SessionNodeRecord:
    """A node of a graph."""
    return SessionNodeRecord(node_id, parent, EventPayload(Json(said)))


def _stored(ids: tuple[str, ...], tombstoned: frozenset[str]) -> CommitState:
    nodes = Map({each: node(each, None, "old") for each in ids})
    return CommitState(head_at(1, "a"), Log.of(ids), nodes, tombstoned & {*ids}, attempted="s")


def _deltas() -> Iterator[GraphCommitDelta]:
    yield Unchanged("b")
    for ids in tuples(IDS, 3):
        nodes = tuple(node(each, None, f"new {place}") for place, each in enumerate(ids))
        yield Append(nodes, "c")
        yield ReplaceFull(SessionGraph(nodes, "c"))


def _graphs() -> Iterator[tuple[tuple[str, ...], frozenset[str], GraphCommitDelta]]:
    lines = [ids for ids in tuples(IDS, 3) if len(set(ids)) == len(ids)]
    return product(lines, subsets(IDS), tuple(_deltas()))


@exhausted(
    "a delta leaves exactly the nodes it tells, each id once and in the order of first storage, and its leaf",
    "COMMIT-19",
    "COMMIT-20",
    "COMMIT-21",
    "COMMIT-23",
    "COMMIT-23a",
    "COMMIT-23b",
    "COMMIT-24",
    "READ-INV-2",
    scope="all lines of up to 3 stored nodes, whichever of them tombstoned, and all deltas of up to 3 nodes",
    cases=_graphs,
)
def graphs_become_what_deltas_say(ids: tuple[str, ...], tombstoned: frozenset[str], delta: GraphCommitDelta) -> bool:
    """The stored nodes, their order, the tombstones and the leaf, told by plain dictionaries."""
    written = _stored(ids, tombstoned)
    state = State(lease=LEASED, commit=written)
    commit = RuntimeCommit(session_id="s", session_execution_lease=FENCE, config=CONFIG, graph=delta)
    step, *_ = calls.commit_runtime_state(state, PORTS, commit)
    nodes = {each: written.nodes[each] for each in ids}
    hidden = set(written.tombstoned)
    leaf = delta.graph.leaf_node_id if isinstance(delta, ReplaceFull) else delta.leaf_node_id
    given = () if isinstance(delta, Unchanged) else delta.graph.nodes if isinstance(delta, ReplaceFull) else delta.nodes
    if isinstance(delta, ReplaceFull):
        if len({each.node_id for each in given}) < len(given):
            return isinstance(step.answer, Refused) and step.state == state
        nodes, hidden = {}, set()
    for each in given:
        nodes[each.node_id] = each
        hidden.discard(each.node_id)
    after = step.state.commit
    return (
        after.order == Log.of(nodes)
        and dict(after.nodes) == nodes
        and after.tombstoned == hidden
        and after.head is not None
        and after.head.leaf_node_id == leaf
    )


@exhausted(
    "a recorded turn is answered as it was recorded, and nothing of it happens again but the release",
    "COMMIT-4",
    "COMMIT-5",
    "COMMIT-6",
    "COMMIT-32",
    "COMMIT-33",
    scope="a stamped commit sent 3 times, with each delta, with and without a release, with the same hash and another",
    cases=lambda: product(tuple(_deltas()), (False, True), (False, True)),
)
def replays_change_nothing(delta: GraphCommitDelta, releasing: bool, same: bool) -> bool:
    """The answers of the second and third time, and what the session is then."""
    state = State(lease=LEASED, commit=_stored(("a", "b"), frozenset()))
    sent = RuntimeCommit(
        session_id="s",
        session_execution_lease=FENCE,
        release_session_execution_lease=None if not releasing else FENCE_COMPLETION,
        config=CONFIG,
        graph=delta,
        turn_commit=RuntimeTurnCommitStamp("s", "t", "hash"),
    )
    first, *_ = calls.commit_runtime_state(state, PORTS, sent)
    if isinstance(first.answer, Refused):
        return first.state == state
    freed = LeaseState(Map({"s": replace_lane(first.state)}))
    again = sent if same else replace(sent, turn_commit=RuntimeTurnCommitStamp("s", "t", "another"))
    # the lane is held again, as it was: a replay that carries the release frees it, a conflict does not
    held = replace(first.state, lease=LEASED)
    second, *_ = calls.commit_runtime_state(held, PORTS, again)
    third, *_ = calls.commit_runtime_state(second.state, PORTS, again)
    after = held if not (same and releasing) else replace(held, lease=freed)
    answer = first.answer if same else Refused(RuntimeTurnCommitConflict("s", "t"))
    lane = first.state.lease.records["s"]
    return lane.held != releasing and second.answer == third.answer == answer and second.state == third.state == after


FENCE_COMPLETION = SessionExecutionLeaseCompletion("s", MINE, "lease", 7)


def replace_lane(state: State) -> SessionLease:
    """The lane of the session as a release leaves it."""
    return LeaseRecord(state.lease.records["s"].fencing_token, False, ("", ""), None, "", 0, 0)


ATTACHED: dict[str, Attachment] = {
    "x": AttachmentRecord("s", "uri", 1, False),
    "y": AttachmentRecord("other", "uri", 1, False),
    "z": AttachmentRecord("s", "uri", 1, True),
}
COMPLETED = ("held", "lapsed", "for t", "accepted by t", "deferred")


@exhausted(
    "all effects come together: inputs completed and deferred, attachments stamped, usage appended; or none",
    "COMMIT-11",
    "COMMIT-12",
    "COMMIT-17a",
    "COMMIT-29",
    "COMMIT-31",
    "COMMIT-34",
    scope="all lines of up to 3 inputs of 5 kinds, completions of any of them, any of 3 attachments, interrupted or not",
    cases=lambda: (
        (kinds, named, stamped, interrupted)
        for kinds in tuples(COMPLETED, 3)
        for named in subsets(range(len(kinds)))
        for stamped in subsets(tuple(ATTACHED))
        for interrupted in (None, "t")
    ),
)
def effects_come_together(
    kinds: tuple[str, ...], named: frozenset[int], stamped: frozenset[str], interrupted: str | None
) -> bool:
    """The commit is refused, and nothing changed, or each part of the state is what its own call would make of it."""
    state = replace(state_of(kinds), attachment=AttachmentState(Map(ATTACHED)), commit=_stored(("a",), frozenset()))
    done = TurnInputCompletion("s", "live", "live", tuple(f"i{place}" for place in sorted(named)))
    entry = TokenLedgerEntry("source", "model", TokenUsage(1))
    commit = RuntimeCommit(
        session_id="s",
        session_execution_lease=FENCE,
        config=CONFIG,
        usage_deltas=(entry,),
        completed_turn_input_claims=(done,),
        interrupted_turn_input_turn_id=interrupted,
        committed_attachment_ids=tuple(sorted(stamped)),
    )
    step, *others = calls.commit_runtime_state(state, PORTS, commit)
    if any(kinds[place] not in ("held", "accepted by t") for place in named):
        return not others and step.answer == Refused(TurnInputClaimExpired("s", "live")) and step.state == state
    for place, (row, now) in enumerate(zip(rows_of(kinds), step.state.turn_input.of("s"), strict=True)):
        moved = interrupted is not None and kinds[place] == "for t"
        became = S.Completed if place in named else S.DeferredNextTurn if moved else row.record.state
        if now.record.state is not became or now.record.claim.held != (row.record.claim.held and place not in named):
            return False
    entries, after = step.state.attachment.entries, step.state.commit
    if after.usage != Log.of((entry,)) or after.ledger != Ledger(((("source", "model"), (1, 0, 0, 0, 0)),)):
        return False
    return all(
        entries[each] == dataclasses.replace(record, committed=record.committed or (each in stamped and record.session == "s"))
        for each, record in ATTACHED.items()
    )
