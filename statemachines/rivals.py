"""Rivals: the calls of each chapter that are made at once in its races, so chosen that of two one is lost if they overlap.

Every call that writes is in a race with another that writes beside it: a store that reads, lets another in, and writes what it
made of what it had read, is seen by what is answered, or by what is read afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from fencepost.spec import (
    ActivePath,
    AgentEventEnvelope,
    Append,
    AttachmentIntent,
    CheckpointKind,
    EventPayload,
    Final,
    FullGraph,
    HydratedSessionCheckpoint,
    Inline,
    InputId,
    InputLifecycleState,
    InputState,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    PendingTurnInput,
    PersistedSessionConfig,
    Progress,
    RefreshToolCatalog,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RuntimeCommit,
    RuntimeState,
    RuntimeTurnCommitStamp,
    SessionDelta,
    SessionExecutionLeaseFence,
    SessionMeta,
    SessionNodeRecord,
    ToolState,
    TurnInputIngressActiveTurn,
    session_command_draft,
)
from msgspec.structs import replace

from .following import Call
from .lacking import IDLE, INPUT, WORK
from .samples import EVENTS, HELLO, numbered, session

Perform: TypeAlias = Callable[..., Any]
"""Makes a call before the race, and gives its answer."""

Threads: TypeAlias = Sequence[Call | list[Call]]
"""What is made at once, by a thread each: a call, or several, one after the other."""

ALL = 24
"""The rounds of a race in which each thread of three comes first, second and third with each gap."""

HALF = 12
"""The rounds of a race that shows a lost update and no more: half of those."""


class Race(NamedTuple):
    """What a race is about, the calls before it, which give those made at once, the calls behind it, and its rounds."""

    requirement: str
    calls: Callable[[Perform], Threads]
    reads: Sequence[Call] = ()
    rounds: int = ALL


OWNERS = tuple(
    LeaseOwnerIdentity(name, "1", LocalProcess("host", "boot", pid, "tick")) for name, pid in (("a", 10), ("b", 20), ("c", 30))
)
"""Their processes are gone: whoever holds the session can be taken for dead."""

CLAIMANT = LeaseOwnerIdentity("d", "1")
"""Whose process nobody can tell: what it has claimed is taken from it by nobody."""

NOON = "2026-01-01T00:00:00Z"


def leased(perform: Perform) -> Any:
    """A lease of the session."""
    return perform("try_claim_session_execution_lease", "s", OWNERS[0], 1_000).lease


def first_claims(_: Perform) -> Threads:
    """A free session is claimed by everybody."""
    return [Call("try_claim_session_execution_lease", ("s", owner, 1_000)) for owner in OWNERS]


def reclaims(fence: SessionExecutionLeaseFence) -> list[Call]:
    """The session is taken over from its holder, whose process is dead, by two others."""
    return [Call("reclaim_session_execution_lease", ("s", owner, fence, 1_000)) for owner in OWNERS[1:]]


def renewal_and_takeover(perform: Perform) -> Threads:
    """The holder renews while others take the session over."""
    fence = leased(perform).fence()
    return [Call("renew_session_execution_lease", (fence, 2_000)), *reclaims(fence)]


def release_and_takeover(perform: Perform) -> Threads:
    """The holder releases while others take the session over."""
    held = leased(perform)
    return [Call("release_session_execution_lease", (held.completion(),)), *reclaims(held.fence())]


def claim_of_inputs(perform: Perform, most: int = 1) -> Call:
    """A claim of what waits for the next turn."""
    return Call("claim_next_turn_inputs", ("s", leased(perform).fence(), CLAIMANT, 1_000, most))


def enqueued(perform: Perform) -> PendingTurnInput:
    """An input that waits."""
    waiting: PendingTurnInput = perform("enqueue_pending_turn_input", INPUT)
    return waiting


def claims_of_inputs(perform: Perform) -> Threads:
    """One input is claimed twice, and cancelled."""
    return [*[claim_of_inputs(perform)] * 2, Call("cancel_pending_turn_input", ("s", enqueued(perform).input_id))]


def rival_claims_of_inputs(perform: Perform) -> Threads:
    """One input is claimed by three."""
    enqueued(perform)
    return [claim_of_inputs(perform)] * 3


def claims_at_a_checkpoint(perform: Perform) -> Threads:
    """One input for a turn is claimed by three at a checkpoint of it."""
    perform("enqueue_pending_turn_input", replace(INPUT, ingress=TurnInputIngressActiveTurn("t")))
    given = ("s", leased(perform).fence(), CLAIMANT, "t", CheckpointKind.AfterWork, 1_000, 1)
    return [Call("claim_active_turn_inputs", given)] * 3


def repeated_inputs(_: Perform) -> Threads:
    """One input is submitted three times under its source key."""
    return [Call("enqueue_pending_turn_input", (replace(INPUT, source_key="k"),))] * 3


def rival_inputs(_: Perform) -> Threads:
    """Three inputs are submitted."""
    return [Call("enqueue_pending_turn_input", (replace(INPUT, input_id=name),)) for name in "abc"]


def cancels_of_inputs(perform: Perform) -> Threads:
    """Two inputs are cancelled by name and as a suffix, and claimed."""
    anchor, other = (InputId(enqueued(perform).input_id) for _ in range(2))
    by_name = Call("cancel_pending_turn_inputs", ("s", (anchor, other)))
    return [by_name, Call("cancel_pending_turn_input_suffix", ("s", anchor)), claim_of_inputs(perform, 2)]


def return_of_lapsed_inputs(perform: Perform) -> Threads:
    """A claim that has lapsed is given back while others claim the same."""
    enqueued(perform)
    claim = claim_of_inputs(perform)
    lapsed = perform("claim_next_turn_inputs", *claim.arguments[:3], 0, 1)
    return [Call("abandon_turn_input_claim", (lapsed,)), claim, claim]


def claim_of_work(perform: Perform, ttl_ms: int = 1_000) -> Call:
    """A claim of the work that is ready."""
    return Call("claim_ready_queued_work", ("s", leased(perform).fence(), CLAIMANT, IDLE, ttl_ms, 1))


def claims_of_work(perform: Perform) -> Threads:
    """One batch is claimed twice, and cancelled."""
    waiting = perform("enqueue_queued_work", WORK)
    return [*[claim_of_work(perform)] * 2, Call("cancel_queued_work_batch", ("s", waiting.batch_id))]


def rival_claims_of_work(perform: Perform) -> Threads:
    """One batch is claimed by three."""
    perform("enqueue_queued_work", WORK)
    return [claim_of_work(perform)] * 3


def claims_by_batch_ids(perform: Perform) -> Threads:
    """One batch is claimed by three, by its id."""
    waiting = perform("enqueue_queued_work", WORK)
    given = ("s", leased(perform).fence(), CLAIMANT, IDLE, 1_000, (waiting.batch_id,))
    return [Call("claim_ready_queued_work_by_batch_ids", given)] * 3


def claims_of_a_command(perform: Perform) -> Threads:
    """One command to the session is claimed by three."""
    perform("enqueue_queued_work", session_command_draft("s", RefreshToolCatalog("r"), "k"))
    return [Call("claim_leading_ready_session_command", ("s", leased(perform).fence(), CLAIMANT, 1_000))] * 3


def rival_work(_: Perform) -> Threads:
    """Three batches are submitted, two of them under one source key."""
    return [Call("enqueue_queued_work", (replace(WORK, source_key=key),)) for key in ("k", "k", None)]


def lapsed_work(perform: Perform) -> tuple[object, list[Call]]:
    """A claim that has lapsed, and two more of the same work."""
    perform("enqueue_queued_work", WORK)
    lapsing = claim_of_work(perform, 0)
    return perform(lapsing.operation, *lapsing.arguments), [claim_of_work(perform)] * 2


def renewal_of_lapsed_work(perform: Perform) -> Threads:
    """A claim that has lapsed is renewed while others claim the same."""
    lapsed, claims = lapsed_work(perform)
    return [Call("renew_queued_work_claim", (lapsed, 1_000)), *claims]


def return_of_lapsed_work(perform: Perform) -> Threads:
    """A claim that has lapsed is given back while others claim the same."""
    lapsed, claims = lapsed_work(perform)
    return [Call("abandon_queued_work_claim", (lapsed,)), *claims]


def turn(perform: Perform, number: int, **more: Any) -> RuntimeCommit:
    """A commit of one node under a lease that is live."""
    lease = leased(perform)
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


def turn_and_metadata(perform: Perform) -> Threads:
    """Metadata is saved, twice, while a turn is committed."""
    saved = [Call("save_session_meta", (SessionMeta("s", name, NOON, "m"),)) for name in "ab"]
    return [Call("commit_runtime_state", (turn(perform, 1),)), *saved]


def turn_and_collection(perform: Perform) -> Threads:
    """Blobs are collected while a turn is committed that puts the head elsewhere."""
    perform("commit_runtime_state", turn(perform, 0))
    return [Call("commit_runtime_state", (turn(perform, 1),)), Call("gc_unreachable")]


def tombstones(perform: Perform) -> Threads:
    """Two nodes are hidden while a third, which was before, is removed."""
    for number in range(3):
        perform("commit_runtime_state", turn(perform, number))
    perform("tombstone_nodes", ("n0",))
    return [Call("vacuum"), *(Call("tombstone_nodes", ((name,),)) for name in ("n1", "n2"))]


def turn_and_vacuums(perform: Perform) -> Threads:
    """A hidden node is removed, twice, while a turn is committed."""
    perform("commit_runtime_state", turn(perform, 0))
    perform("tombstone_nodes", ("n0",))
    return [Call("commit_runtime_state", (turn(perform, 1),)), Call("vacuum"), Call("vacuum")]


def recorded(name: str) -> Call:
    """The intent to write an attachment."""
    return Call("record_intent", (AttachmentIntent(name, "s", "file:///a", 1_000),))


def attachments(perform: Perform) -> Threads:
    """Attachments are recorded, and one is forgotten."""
    perform(recorded("a").operation, *recorded("a").arguments)
    return [recorded("b"), recorded("c"), Call("forget", ("a",))]


def stamps(perform: Perform) -> Threads:
    """Two attachments are stamped, and one of them is forgotten."""
    for name in "ab":
        perform(recorded(name).operation, *recorded(name).arguments)
    return [Call("forget", ("a",)), *(Call("commit_refs", ("s", (name,))) for name in "ab")]


def stamp_and_repetition(perform: Perform) -> Threads:
    """An attachment is stamped while its intent is recorded again, twice."""
    perform(recorded("a").operation, *recorded("a").arguments)
    return [Call("commit_refs", ("s", ("a",))), recorded("a"), recorded("a")]


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


def an_input(number: int, state: InputLifecycleState = InputLifecycleState.Queued) -> InputState:
    """An input of the runtime."""
    return InputState(input_id=numbered(number), current_state=state, created_at=NOON, updated_at=NOON)


def boundary_and_apply(_: Perform) -> Threads:
    """A boundary of one run is committed and another applied, and an input is kept."""
    receipt = RunBoundaryReceipt(
        run_id=numbered(1), boundary=RunApplyBoundary.RunStart, contributing_input_ids=(), message_count=1, sequence=5
    )
    applied = ("r", SessionDelta(session(numbered(7), HELLO, 2)), receipt, (an_input(1),), None)
    return [boundary(1), Call("atomic_apply", applied), Call("persist_input_state", ("r", an_input(2)))]


def state_and_inputs(_: Perform) -> Threads:
    """The state of a runtime and two inputs of it are kept."""
    inputs = [Call("persist_input_state", ("r", an_input(number))) for number in (1, 2)]
    return [Call("persist_runtime_state", ("r", RuntimeState.Running)), *inputs]


def lifecycle(state: RuntimeState, of_inputs: InputLifecycleState) -> Call:
    """A state of the runtime, and one of two inputs of it."""
    return Call("atomic_lifecycle_commit", ("r", state, (an_input(1, of_inputs), an_input(2, of_inputs))))


def lifecycles(_: Perform) -> Threads:
    """Two lifecycles of the same inputs are committed, and another input is kept."""
    first = lifecycle(RuntimeState.Idle, InputLifecycleState.Queued)
    other = lifecycle(RuntimeState.Stopped, InputLifecycleState.Consumed)
    return [first, other, Call("persist_input_state", ("r", an_input(3)))]


def event(number: int, thread_id: str = "th", turn_number: int = 1) -> Call:
    """An event of a turn."""
    return Call("event.append", (thread_id, turn_number, AgentEventEnvelope(numbered(number), number, NOON, EVENTS[0])))


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


def events_and_clearing(perform: Perform) -> Threads:
    """A thread is cleared while events are appended to two turns of it, the later one first, and to another thread."""
    perform(event(1).operation, *event(1).arguments)
    return [Call("clear", ("th",)), [event(2, turn_number=2), event(3)], event(4, "other")]


def output(text: str, *, is_last: bool) -> Call:
    """An output of one attempt."""
    return Call("output.append", ("t", 1, "writer", Final(Inline(Json(text)), True) if is_last else Progress(text), ()))


def outputs(_: Perform) -> Threads:
    """Outputs of one attempt are appended, and listed meanwhile."""
    return [output("a", is_last=False), output("b", is_last=True), Call("list_for_attempt", ("t", 1))]


def rival_outputs(_: Perform) -> Threads:
    """Outputs of one attempt are appended."""
    return [output(text, is_last=False) for text in "abc"]


HOLDER = (Call("try_claim_session_execution_lease", ("s", CLAIMANT, 1_000)),)
GRAPH = (Call("load_session", (FullGraph(),)),)
METADATA = (*GRAPH, Call("load_session_meta"))
INPUTS = (Call("list_pending_turn_inputs", ("s",)),)
BATCHES = (Call("list_queued_work", ("s",)), Call("list_pending_queued_work", ("s",)))
HIDDEN = (*GRAPH, Call("vacuum"))
TURNS = (Call("get_turns", ("th",)), Call("get_turns", ("other",)))
ATTACHMENTS = (Call("list_uncommitted", (1_000,)),)
# one that is recorded again keeps its stamp, and one that was forgotten has none
STAMPED = (*ATTACHMENTS, recorded("a"), *ATTACHMENTS)
KEPT = (Call("load_runtime_state", ("r",)), Call("load_input_states", ("r",)))
APPLIED = (
    *(Call("load_boundary_receipt", ("r", numbered(1), number)) for number in (0, 5, 6)),
    Call("load_session_snapshot", ("r",)),
    *KEPT,
)
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
        Race("GEN-13", claims_at_a_checkpoint, INPUTS, HALF),
        Race("INPUT-INV-1", repeated_inputs, INPUTS),
        Race("INPUT-INV-2", rival_inputs, INPUTS, HALF),
        Race("CANCEL-11", cancels_of_inputs, INPUTS, HALF),
        Race("ABANDON-1", return_of_lapsed_inputs, INPUTS, HALF),
    ),
    "queued_work": (
        Race("GEN-13", claims_of_work, BATCHES),
        Race("GEN-13", rival_claims_of_work, BATCHES),
        Race("GEN-13", claims_by_batch_ids, BATCHES, HALF),
        Race("GEN-13", claims_of_a_command, BATCHES, HALF),
        Race("QUEUE-INV-1", rival_work, BATCHES, HALF),
        Race("QRENEW-2", renewal_of_lapsed_work, BATCHES, HALF),
        Race("QABANDON-1", return_of_lapsed_work, BATCHES, HALF),
    ),
    "commit": (
        Race("COMMIT-10", two_turns, GRAPH),
        Race("COMMIT-32", one_turn_twice, GRAPH),
        Race("LEASE-INV-2", turn_and_takeover, GRAPH),
    ),
    "session": (Race("READ-17", turn_and_reads, GRAPH), Race("META-2", turn_and_metadata, METADATA, HALF)),
    "maintenance": (
        Race("GC-9", turn_and_collection, GRAPH),
        Race("MAINT-2", tombstones, HIDDEN, HALF),
        Race("MAINT-5", turn_and_vacuums, HIDDEN, HALF),
    ),
    "attachment": (
        Race("ATT-8", attachments, ATTACHMENTS),
        Race("ATT-6", stamps, STAMPED, HALF),
        Race("ATT-2", stamp_and_repetition, ATTACHMENTS, HALF),
    ),
    "runtime": (
        Race("RUNTIME-44", two_boundaries),
        Race("RUNTIME-43", boundary_and_reads),
        Race("RUNTIME-44", boundary_and_apply, APPLIED, HALF),
        Race("RUNTIME-15", state_and_inputs, KEPT, HALF),
        Race("RUNTIME-16", lifecycles, KEPT, HALF),
    ),
    "event": (
        Race("EVENT-33", events_and_the_end, TURNS),
        Race("EVENT-7", rival_events, TURNS),
        Race("EVENT-25", the_end_and_reads, TURNS),
        Race("EVENT-28", events_and_clearing, TURNS, HALF),
    ),
    "output": (Race("OUTPUT-25", outputs, WRITTEN), Race("OUTPUT-25", rival_outputs, WRITTEN)),
}
"""The races of each chapter, by the requirement that is broken if no order of the calls explains what they were answered."""
