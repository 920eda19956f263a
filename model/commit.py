"""The commit over the whole state: its checks in their order, then all its effects at once.

Each check gives the steps of its refusal, or none to let the commit go on. The first that refuses decides (COMMIT-1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import sha256
from typing import TypeAlias

from fencepost.spec import (
    Append,
    Backend,
    GraphCommitDelta,
    HeadRevisionConflict,
    HydratedSessionCheckpoint,
    QueuedWorkClaimExpired,
    ReplaceFull,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    SessionCheckpoint,
    SessionExecutionLeaseExpired,
    SessionNodeRecord,
    TurnInputClaimExpired,
    Unchanged,
)
from immutables import Map
from msgspec.structs import replace

from .lease import fence_because, fence_holds, lease_of, released
from .records.commit import KINDS, CommitState, Head, Part, Snapshot, Stamp, head_agrees, next_revision
from .records.log import Log
from .settlement import settled, settled_because, settled_effects, with_ingress_settled
from .state import State, invariant
from .step import Ids, Ports, Refused, Step, Steps, Why, refused

RESULT_WHY: Why = (
    ("head_revision", ("COMMIT-30", "COMMIT-INV-1", "COMMIT-INV-3")),
    ("checkpoint_ref", ("COMMIT-26",)),
    ("manifest", ("COMMIT-28", "COMMIT-27", "COMMIT-27a")),
)
REPLAY_WHY: Why = (("", ("COMMIT-4", "COMMIT-INV-4")),)

Check: TypeAlias = Callable[[State, Ports, RuntimeCommit], Steps]


def revision_of(state: State) -> int:
    """The stored head revision, 0 before the first commit."""
    return state.commit.head.revision if state.commit.head else 0


def commit_runtime_state(state: State, ports: Ports, commit: RuntimeCommit) -> Steps:
    """Commit a turn, or answer it from the record: COMMIT-1 to COMMIT-34."""
    for check in CHECKS:
        steps = check(state, ports, commit)
        if steps:
            return _early_binding(state, ports, commit, steps)
    refusals, departed = settled(state, commit)
    steps = refusals
    if departed is not None:
        applied = _applied(state, ports, commit)
        steps += tuple(replace(step, differs=(*departed, *step.differs)) for step in applied)
    # ours is the step that departs from nothing
    return _early_binding(state, ports, commit, tuple(sorted(steps, key=lambda step: bool(step.differs))))


def _bound_elsewhere(state: State, _ports: Ports, commit: RuntimeCommit) -> Steps:
    head = state.commit.head
    if head is None or head.session_id == commit.session_id:
        return ()
    return refused(state, SessionBindingMismatch(head.session_id, commit.session_id), "COMMIT-2", "COMMIT-1", "COMMIT-INV-2")


def _stamp_of_another_session(state: State, _ports: Ports, commit: RuntimeCommit) -> Steps:
    stamp = commit.turn_commit
    if stamp is None or stamp.session_id == commit.session_id:
        return ()
    return refused(state, RuntimeTurnCommitConflict(stamp.session_id, stamp.turn_id), "COMMIT-3", "COMMIT-1")


def _recorded_turn(state: State, ports: Ports, commit: RuntimeCommit) -> Steps:
    stamp = commit.turn_commit
    if stamp is None:
        return ()
    recorded = state.commit.stamps.get((stamp.session_id, stamp.turn_id))
    if recorded is None:
        return ()
    if recorded.turn_commit_hash != stamp.turn_commit_hash:
        return refused(state, RuntimeTurnCommitConflict(stamp.session_id, stamp.turn_id), "COMMIT-5", "COMMIT-1")
    after, freed = _released_by(state, commit, ports.now)
    carried = any(each in state.attachment.entries for each in commit.committed_attachment_ids)
    unstamped: Ids = ("COMMIT-31",) if carried else ()
    because = ("COMMIT-4", *unstamped, "COMMIT-7", "COMMIT-32", "COMMIT-25", *(("COMMIT-6", *freed) if freed else ()))
    effects: Why = (("load_session", ("COMMIT-4",)),)
    return (Step(after, recorded.result, because, REPLAY_WHY, effects, _silent(commit, ("COMMIT-6", *freed))),)


def _unfenced(state: State, ports: Ports, commit: RuntimeCommit) -> Steps:
    fence = commit.session_execution_lease
    if fence is None:
        return refused(state, SessionExecutionLeaseExpired(commit.session_id), "COMMIT-8a", "COMMIT-1")
    if fence_holds(state, commit.session_id, fence, ports.now):
        return ()
    because = fence_because(state, commit.session_id, fence, ports.now)
    return refused(state, SessionExecutionLeaseExpired(commit.session_id), "COMMIT-8a", *because, "COMMIT-INV-6")


def _other_head(state: State, _ports: Ports, commit: RuntimeCommit) -> Steps:
    actual = revision_of(state)
    if head_agrees(commit.expected_head_revision, actual):
        return ()
    return refused(state, HeadRevisionConflict(commit.expected_head_revision, actual), "COMMIT-9", "COMMIT-1")


def _repeated_ids(commit: RuntimeCommit) -> bool:
    """Whether a full replacement lists an id twice: it is void (COMMIT-23b)."""
    graph = commit.graph
    return isinstance(graph, ReplaceFull) and len(_by_id(graph.graph.nodes)) < len(graph.graph.nodes)


CLAIM_EXPIRED = (QueuedWorkClaimExpired, TurnInputClaimExpired)
"""What a store may refuse a commit with because of its completions."""

CHECKS: tuple[Check, ...] = (
    _bound_elsewhere,
    _stamp_of_another_session,
    _recorded_turn,
    _unfenced,
    _other_head,
)
"""The checks of a commit that come before its completions, in the order in which they decide (COMMIT-1)."""


def _early_binding(state: State, ports: Ports, commit: RuntimeCommit, steps: Steps) -> Steps:
    """A store may be bound from its creation, or by the first commit that was tried, even if it was refused (COMMIT-2a)."""
    attempted = state.commit.attempted
    if attempted is None:
        steps = tuple(_replace_commit(step, attempted=commit.session_id) for step in steps)
        attempted = _bound_from_creation(ports)
    if state.commit.head is not None or attempted in (None, commit.session_id):
        return steps
    bound = Refused(SessionBindingMismatch(attempted, commit.session_id))
    ours = replace(steps[0], because=(*steps[0].because, "COMMIT-2a"))
    early = _replace_commit(Step(state, bound, ("COMMIT-2a",), differs=("COMMIT-2a",)), attempted=attempted)
    return (ours, *steps[1:], early)


def _bound_from_creation(ports: Ports) -> str | None:
    """The session that a store says it was bound to before anybody tried to commit."""
    error = ports.seen.error if isinstance(ports.seen, Refused) else None
    return error.bound_session_id if isinstance(error, SessionBindingMismatch) else None


def _replace_commit(step: Step, **changes: object) -> Step:
    return replace(step, state=replace(step.state, commit=replace(step.state.commit, **changes)))


def _applied(state: State, ports: Ports, commit: RuntimeCommit) -> Steps:
    """The steps of a commit that passed every check but the last: its graph may be void (COMMIT-23b)."""
    outcomes = _outcomes(state, ports, commit)
    if not _repeated_ids(commit):
        return outcomes
    kept = (replace(step, differs=(*step.differs, "COMMIT-23b")) for step in outcomes)
    return (*refused(state, Backend(), "COMMIT-23b", "COMMIT-23a"), *kept)


def _outcomes(state: State, ports: Ports, commit: RuntimeCommit) -> Steps:
    """All effects of a commit at once; a store may keep snapshot values inside the checkpoint (COMMIT-27)."""
    ours = _outcome(state, ports, commit, inline=False)
    steps = (ours, *_refusable(state, ports, commit, ours.because))
    if not isinstance(ports.seen, RuntimeCommitResult) or ports.seen == ours.answer:
        return steps
    return (*steps, replace(_outcome(state, ports, commit, inline=True), differs=("COMMIT-27",)))


def _outcome(state: State, ports: Ports, commit: RuntimeCommit, *, inline: bool) -> Step:
    head = _head(state, ports, commit, inline)
    result = RuntimeCommitResult(head.revision, head.checkpoint_ref, _manifest(head))
    written = _with_graph(_with_usage(replace(state.commit, head=head), commit), commit)
    checkpoints = written.checkpoints.set(head.checkpoint_ref, True)
    written = replace(written, blobs=_blobs(state.commit.blobs, head), checkpoints=checkpoints, collected=False)
    if commit.turn_commit is not None:
        turn = (commit.turn_commit.session_id, commit.turn_commit.turn_id)
        written = replace(written, stamps=written.stamps.set(turn, Stamp(commit.turn_commit.turn_commit_hash, result)))
    after = with_ingress_settled(replace(state, commit=written), commit)
    after, freed = _released_by(after, commit, ports.now)
    because = (*_applied_because(state, ports, commit), *(("COMMIT-33", *freed) if freed else ()))
    effects, silent = _effects(commit, because), _silent(commit, ("COMMIT-33", *freed))
    # without a stamp the same commit again is another one
    details = (("head_revision", ("COMMIT-8", "COMMIT-30")), *RESULT_WHY) if commit.turn_commit is None else RESULT_WHY
    return Step(after, result, because, details, effects, silent)


def _refusable(state: State, ports: Ports, commit: RuntimeCommit, because: Ids) -> Steps:
    """Refusals that CURRENT requirements leave a store free to give to a commit that ours accepts."""
    steps: Steps = ()
    if "COMMIT-23" in because:
        steps += (Step(state, Refused(Backend()), because, differs=("COMMIT-23",)),)
    # one caller after the other loses no race: there COMMIT-9 compares nothing
    if ports.concurrent and commit.expected_head_revision is None and state.commit.head is not None:
        actual = revision_of(state)
        steps += (Step(state, Refused(HeadRevisionConflict(actual, actual)), because, differs=("COMMIT-10",)),)
    return steps


def _head(state: State, ports: Ports, commit: RuntimeCommit, inline: bool) -> Head:
    seen = ports.seen if isinstance(ports.seen, RuntimeCommitResult) else None
    manifest = seen.manifest if seen else None
    revision = next_revision(revision_of(state))
    graph = commit.graph
    return Head(
        session_id=commit.session_id,
        revision=revision,
        config=commit.config,
        agent_frames=commit.agent_frames,
        current_agent_frame_id=commit.current_agent_frame_id,
        leaf_node_id=graph.graph.leaf_node_id if isinstance(graph, ReplaceFull) else graph.leaf_node_id,
        checkpoint_ref=seen.checkpoint_ref if seen else f"checkpoint:{revision}",
        turn_state=commit.checkpoint.turn_state,
        plugin_snapshot_revision=commit.checkpoint.plugin_snapshot_revision,
        parts=Map({kind: _part(state, kind, commit.checkpoint, manifest, inline) for kind in KINDS}),
    )


def _part(state: State, kind: str, checkpoint: HydratedSessionCheckpoint, seen: SessionCheckpoint | None, inline: bool) -> Part:
    """A part given by value is stored under the ref that the store minted; one given by ref alone is carried as it is.

    `inline` is the other admissible way: a value stays in the checkpoint, beside whatever ref came along.
    """
    value, ref = getattr(checkpoint, kind), getattr(checkpoint, f"{kind}_ref")
    if value is None:
        return Part(ref, state.commit.blobs.get((kind, ref)), carried=True)
    if inline:
        return Part(ref, value, carried=False)
    minted = getattr(seen, f"{kind}_ref") if seen else None
    return Part(minted or f"{kind}:{sha256(repr(value).encode()).hexdigest()}", value, carried=False)


def _blobs(blobs: Map[tuple[str, str], Snapshot], head: Head) -> Map[tuple[str, str], Snapshot]:
    """The stored values, with those that this head's parts were given."""
    for kind, part in head.parts.items():
        if part.ref is not None and part.value is not None and not part.carried:
            blobs = blobs.set((kind, part.ref), part.value)
    return blobs


def _manifest(head: Head) -> SessionCheckpoint:
    refs = {f"{kind}_ref": head.parts[kind].ref for kind in KINDS}
    return replace(SessionCheckpoint(head.turn_state, plugin_snapshot_revision=head.plugin_snapshot_revision), **refs)


def _by_id(nodes: Iterable[SessionNodeRecord]) -> dict[str, SessionNodeRecord]:
    """The last node of each id, at the place of the first."""
    return {node.node_id: node for node in nodes}


def _with_usage(written: CommitState, commit: RuntimeCommit) -> CommitState:
    entries = commit.usage_deltas
    return replace(written, usage=written.usage.plus(*entries), ledger=written.ledger.plus(entries)) if entries else written


def _with_graph(written: CommitState, commit: RuntimeCommit) -> CommitState:
    graph = commit.graph
    if isinstance(graph, Unchanged):
        return written
    if isinstance(graph, ReplaceFull):
        nodes = _by_id(graph.graph.nodes)
        leaf = graph.graph.leaf_node_id
        return replace(written, order=Log.of(nodes), nodes=Map(nodes), tombstoned=frozenset(), replaced_leaf=leaf)
    nodes = _by_id(graph.nodes)
    added = tuple(node_id for node_id in nodes if node_id not in written.nodes)
    tombstoned = written.tombstoned if written.tombstoned.isdisjoint(nodes) else written.tombstoned - set(nodes)
    return replace(written, order=written.order.plus(*added), nodes=written.nodes.update(nodes), tombstoned=tombstoned)


def _released_by(state: State, commit: RuntimeCommit, now: int) -> tuple[State, Ids]:
    if commit.release_session_execution_lease is None:
        return state, ()
    return released(state, commit.release_session_execution_lease, now)


def _applied_because(state: State, ports: Ports, commit: RuntimeCommit) -> Ids:
    graph = commit.graph
    fence = commit.session_execution_lease
    because = ["COMMIT-30", {Unchanged: "COMMIT-19", Append: "COMMIT-20", ReplaceFull: "COMMIT-21"}[type(graph)]]
    if commit.turn_commit is None:
        because.append("COMMIT-8")
    if _loose(state, graph):
        because.append("COMMIT-22")
    if isinstance(graph, Append) and _stored_before(state, graph):
        because.append("COMMIT-23")
    if isinstance(graph, ReplaceFull) and any(node.node_id in state.commit.tombstoned for node in graph.graph.nodes):
        because.extend(("COMMIT-24", "MAINT-3"))
    if isinstance(graph, Append) and any(node.node_id in state.commit.tombstoned for node in graph.nodes):
        because.append("MAINT-3")
    if commit.expected_head_revision is not None:
        because.append("COMMIT-9")
    settling = settled_because(state, ports, commit)
    refused_claim = isinstance(ports.seen, Refused) and isinstance(ports.seen.error, CLAIM_EXPIRED)
    because = [*settling, *because] if refused_claim else [*because, *settling]
    if fence is not None:
        because.extend(fence_because(state, commit.session_id, fence, ports.now))
    return (*because, "COMMIT-INV-1", "COMMIT-INV-6")


def _stored_before(state: State, graph: Append) -> bool:
    """Whether an append names a stored id, or one id twice."""
    return len(_by_id(graph.nodes)) < len(graph.nodes) or any(node.node_id in state.commit.nodes for node in graph.nodes)


def _loose(state: State, graph: GraphCommitDelta) -> bool:
    """Whether a delta links to what is not stored, neither before nor by itself."""
    nodes = () if isinstance(graph, Unchanged) else graph.graph.nodes if isinstance(graph, ReplaceFull) else graph.nodes
    leaf = graph.graph.leaf_node_id if isinstance(graph, ReplaceFull) else graph.leaf_node_id
    links = {leaf, *(node.parent_node_id for node in nodes)} - {None, *(node.node_id for node in nodes)}
    # a full replacement drops all that was stored: whatever it does not list itself is nowhere
    return any(isinstance(graph, ReplaceFull) or link not in state.commit.nodes for link in links)


def _effects(commit: RuntimeCommit, because: Ids) -> Why:
    """Which fields of later reads are owed to this commit, and by what requirement."""
    shape = {Unchanged: "COMMIT-19", Append: "COMMIT-20", ReplaceFull: "COMMIT-21"}[type(commit.graph)]
    stored_before = tuple(each for each in ("MAINT-3", "COMMIT-24", "COMMIT-23") if each in because)
    return (
        ("load_session.graph", (*stored_before, shape, "COMMIT-23a")),
        ("load_session.token_ledger", ("COMMIT-29",)),
        ("load_session.checkpoint_ref", ("COMMIT-26", "COMMIT-25")),
        ("load_session.checkpoint", ("COMMIT-27a", "COMMIT-27", "COMMIT-25", "COMMIT-28")),
        ("load_session", ("COMMIT-30", "COMMIT-34")),
        *settled_effects(commit, because),
    )


def _silent(commit: RuntimeCommit, because: Ids) -> Why:
    """The release shows in no answer of the commit: only the next one about that lane tells of it."""
    completion = commit.release_session_execution_lease
    return () if completion is None else ((completion.session_id, because),)


# every refusal is followed by reads of an unchanged session
@lru_cache(maxsize=256)
def hydrated(head: Head) -> HydratedSessionCheckpoint:
    """The head's checkpoint as a read gives it: refs, and the values that resolve (READ-12, READ-13)."""
    refs = {f"{kind}_ref": head.parts[kind].ref for kind in KINDS}
    values = {kind: head.parts[kind].value for kind in KINDS}
    checkpoint = HydratedSessionCheckpoint(head.turn_state, plugin_snapshot_revision=head.plugin_snapshot_revision)
    return replace(checkpoint, **refs, **values)


@invariant("COMMIT-INV-1")
def revisions_count_commits(before: State, after: State) -> bool:
    """A step raises the head revision by one or leaves the head as it is."""
    return after.commit.head == before.commit.head or revision_of(after) == revision_of(before) + 1


@invariant("COMMIT-INV-2")
def the_binding_is_for_life(before: State, after: State) -> bool:
    """There is a head exactly from revision 1 on, and it never changes its session."""
    earlier, later = before.commit.head, after.commit.head
    if later is None:
        return earlier is None
    return later.revision >= 1 and (earlier is None or earlier.session_id == later.session_id)


@invariant("COMMIT-INV-3")
def recorded_revisions_are_distinct(_before: State, after: State) -> bool:
    """No recorded turn is ahead of the head, and no two share a revision."""
    revisions = [stamp.result.head_revision for stamp in after.commit.stamps.values()]
    return len(set(revisions)) == len(revisions) and all(each <= revision_of(after) for each in revisions)


@invariant("COMMIT-INV-4")
def recorded_turns_stay(before: State, after: State) -> bool:
    """A recorded turn keeps hash and result."""
    return all(after.commit.stamps.get(turn) == stamp for turn, stamp in before.commit.stamps.items())


@invariant("COMMIT-INV-5")
def usage_only_grows(before: State, after: State) -> bool:
    """The raw usage of a state begins with that of the state before."""
    return after.commit.usage.begins_with(before.commit.usage)


@invariant("COMMIT-8b")
def the_head_moves_under_a_live_lease(before: State, after: State) -> bool:
    """The session whose head moves had a lane that was held: nobody took it over between fence and effect (COMMIT-INV-6)."""
    head = after.commit.head
    return head is None or head == before.commit.head or lease_of(before, head.session_id).held
