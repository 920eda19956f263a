"""Maintenance over the whole state: tombstones, vacuum, and the collection of blobs."""

from __future__ import annotations

from collections.abc import Iterable

from fencepost.spec import GcReport, VacuumReport
from immutables import Map
from msgspec.structs import replace

from .records.commit import CommitState, Head
from .records.log import Log
from .state import State, invariant
from .step import Ids, Ports, Step, Steps, Why
from .turn_input import vacuumed


def tombstone_nodes(state: State, _ports: Ports, ids: tuple[str, ...]) -> Steps:
    """Hide nodes: MAINT-1, MAINT-2."""
    written = state.commit
    hidden = written.tombstoned | {node_id for node_id in ids if node_id in written.nodes}
    after = replace(state, commit=replace(written, tombstoned=hidden)) if hidden != written.tombstoned else state
    because = ("MAINT-1", *(("MAINT-2",) if after is not state else ()))
    effects: Why = (
        ("load_session.graph.leaf_node_id", ("MAINT-1",)),
        ("load_session.graph", ("MAINT-2", "READ-3")),
        ("load_node", ("MAINT-2",)),
        ("load_session", ("MAINT-1",)),
    )
    return (Step(after, None, because, (), effects),)


def vacuum(state: State, _ports: Ports) -> Steps:
    """Remove what is dead: MAINT-4, MAINT-5; a store may keep to the session it is bound to (MAINT-4a)."""
    everywhere = tuple(state.turn_input.rows)
    ours = _swept(state, everywhere)
    bound = state.commit.head.session_id if state.commit.head else state.commit.attempted
    if bound is None:
        return (ours,)
    narrower = _swept(state, (bound,))
    return (ours,) if narrower.answer == ours.answer else (ours, replace(narrower, differs=("MAINT-4a",)))


def _swept(state: State, sessions: Iterable[str]) -> Step:
    written = state.commit
    after, inputs = vacuumed(state, sessions)
    removed = len(written.tombstoned)
    if removed:
        visible = [node_id for node_id in written.order if node_id not in written.tombstoned]
        nodes = Map({node_id: written.nodes[node_id] for node_id in visible})
        after = replace(after, commit=replace(written, order=Log.of(visible), nodes=nodes, tombstoned=frozenset()))
    because: Ids = ("MAINT-4", "MAINT-5", "MAINT-4a")
    why: Why = (("removed_pending_turn_input_tombstone_count", ("MAINT-4", "MAINT-4a")), ("", ("MAINT-4",)))
    effects: Why = (("load_session", ("MAINT-5", "MAINT-3")), ("", ("MAINT-5",)))
    changed = after if removed or inputs else state
    return Step(changed, VacuumReport(removed, inputs), because, why, effects)


def gc_unreachable(state: State, ports: Ports) -> Steps:
    """Remove the blobs that the head does not name: GC-1 to GC-9."""
    written = state.commit
    retained = reachable(written.head)
    stored = {ref for _, ref in written.blobs} | set(written.checkpoints)
    deleted = stored - retained
    ours = GcReport(int(written.head is not None), len(retained), len(deleted))
    blobs = {key: value for key, value in written.blobs.items() if key[1] in retained}
    checkpoints = Map({ref: True for ref in written.checkpoints if ref in retained})
    kept = replace(written, blobs=Map(blobs), checkpoints=checkpoints)
    after = replace(state, commit=kept) if deleted else state
    because: Ids = ("GC-1", "GC-3", *(("GC-8",) if written.collected or deleted else ()))
    why: Why = (
        ("root_count", ("GC-2",)),
        ("retained_blob_count", ("GC-4",)),
        ("deleted_blob_count", ("GC-4", "GC-8")),
    )
    effects: Why = (("load_session", ("GC-3", "GC-1")), ("", ("GC-1",)))
    reclaims = True if ours != GcReport() else written.reclaims
    swept = Step(
        _told(after, collected=True, reclaims=reclaims), ours, (*because, *(("GC-7",) if deleted else ())), why, effects
    )
    steps: Steps = (swept,)
    if isinstance(ports.seen, GcReport) and ports.seen != ours and _countable(ports.seen, ours, written):
        steps = (*steps, replace(swept, answer=ports.seen, differs=_otherwise_counted(ports.seen, ours)))
    if ours == GcReport() or written.reclaims:
        return steps
    nothing = Step(_told(state, reclaims=False), GcReport(), ("GC-7",), differs=("GC-7",))
    return (nothing,) if written.reclaims is False else (*steps, nothing)


def _told(state: State, **changes: object) -> State:
    return replace(state, commit=replace(state.commit, **changes))


def _otherwise_counted(seen: GcReport, ours: GcReport) -> Ids:
    blobs = (seen.retained_blob_count, seen.deleted_blob_count) != (ours.retained_blob_count, ours.deleted_blob_count)
    return (*(("GC-2",) if seen.root_count != ours.root_count else ()), *(("GC-4",) if blobs else ()))


def reachable(head: Head | None) -> set[str]:
    """The refs that a collection must keep: the head's checkpoint and its parts (GC-3)."""
    if head is None:
        return set()
    return {head.checkpoint_ref, *(part.ref for part in head.parts.values() if part.ref is not None)}


def _countable(seen: GcReport, ours: GcReport, written: CommitState) -> bool:
    """Whether a report is one of a store that keeps its blobs otherwise, and has removed what it must (GC-8)."""
    superseded = set(written.checkpoints) - reachable(written.head)
    if written.head is None or not seen.root_count or not seen.retained_blob_count:
        return False
    removed = seen.deleted_blob_count
    return seen.retained_blob_count <= ours.retained_blob_count and bool(superseded) <= removed <= ours.deleted_blob_count


@invariant("MAINT-5")
def what_is_dead_is_all_that_goes(before: State, after: State) -> bool:
    """A node that is not tombstoned goes with a full replacement only, which moves the head."""
    gone = set(before.commit.nodes) - set(after.commit.nodes)
    return gone <= before.commit.tombstoned or before.commit.head != after.commit.head


@invariant("GC-3")
@invariant("GC-9")
def the_head_keeps_its_checkpoint(_before: State, after: State) -> bool:
    """The checkpoint of the head is stored, whatever was collected."""
    head = after.commit.head
    return head is None or head.checkpoint_ref in after.commit.checkpoints
