"""Faults in maintenance: tombstones, vacuum, the collection of blobs."""

from __future__ import annotations

from typing import Any

from fencepost.impl import commit, maintenance, session
from fencepost.impl.claim import SET_FREE
from fencepost.impl.encoding import decoded, decoded_versioned, encoded
from fencepost.spec import Append, GcReport, RuntimeCommit, RuntimeCommitResult, TurnInputState, VacuumReport
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, ask, bug, per_run, reworded, wrap


@bug("MAINT-2", Kind.selection, also=("READ-15",))
def hidden_node_loaded(patch: Patch) -> None:
    """A tombstoned node can still be loaded by its id."""
    reworded(patch, session, "READ_NODE", "SELECT tombstoned,", "SELECT false,")


@bug("MAINT-3", Kind.stuck)
def tombstone_outlives_the_commit(patch: Patch) -> None:
    """A node that is appended again under a tombstoned id stays hidden."""
    reworded(patch, commit, "UPSERT_NODES", "tombstoned = false", "tombstoned = tombstoned")


@bug("MAINT-1", Kind.stuck)
def unknown_id_remembered(patch: Patch) -> None:
    """A tombstone for an id that is not stored hides the node that is later appended under it."""
    unknown = per_run(lambda: set[str]())

    def tombstone(original: Any, store: Any, ids: tuple[str, ...]) -> None:
        original(store, ids)
        stored = {node_id for (node_id,) in ask(store, "SELECT node_id FROM nodes")}
        unknown(store).update(set(ids) - stored)

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        before = ask(store, "SELECT record FROM head")
        result = original(store, given)
        if isinstance(given.graph, Append) and ask(store, "SELECT record FROM head") != before:
            for node in given.graph.nodes:
                if node.node_id in unknown(store):
                    ask(store, "UPDATE nodes SET tombstoned = true WHERE node_id = ?", node.node_id)
        return result

    wrap(patch, "tombstone_nodes", tombstone)
    wrap(patch, "commit_runtime_state", around)


@bug("MAINT-1", Kind.retry)
def tombstone_toggles(patch: Patch) -> None:
    """To tombstone a node a second time brings it back."""

    def around(original: Any, store: Any, ids: tuple[str, ...]) -> None:
        before = {node_id for (node_id,) in ask(store, "SELECT node_id FROM nodes WHERE tombstoned")}
        original(store, ids)
        for node_id in before & set(ids):
            ask(store, "UPDATE nodes SET tombstoned = false WHERE node_id = ?", node_id)

    wrap(patch, "tombstone_nodes", around)


@bug("MAINT-1", Kind.uncalled)
def tombstone_moves_the_leaf(patch: Patch) -> None:
    """To tombstone the leaf clears the persisted leaf."""
    record_of = "SELECT record FROM head"

    def around(original: Any, store: Any, ids: tuple[str, ...]) -> None:
        original(store, ids)
        for (text,) in ask(store, record_of):
            head = decoded_versioned(commit.HeadRecord, text, commit.SESSION_HEAD)
            if head.leaf_node_id in ids:
                ask(store, "UPDATE head SET record = ?", encoded(replace(head, leaf_node_id=None)))

    wrap(patch, "tombstone_nodes", around)


@bug("MAINT-4", Kind.untrue)
def asked_and_counted(patch: Patch) -> None:
    """A vacuum counts every id that was tombstoned, stored or not, and each time."""
    asked = per_run(lambda: list[str]())

    def tombstone(original: Any, store: Any, ids: tuple[str, ...]) -> None:
        original(store, ids)
        asked(store).extend(ids)

    def around(original: Any, store: Any) -> VacuumReport:
        report: VacuumReport = original(store)
        nodes = len(asked(store))
        asked(store).clear()
        return VacuumReport(nodes, report.removed_pending_turn_input_tombstone_count)

    wrap(patch, "tombstone_nodes", tombstone)
    wrap(patch, "vacuum", around)


@bug("MAINT-4", Kind.stuck)
def completed_inputs_never_vacuumed(patch: Patch) -> None:
    """A vacuum removes cancelled inputs, and keeps completed ones for ever."""
    reworded(patch, maintenance, "REMOVE_INPUTS", "OR state = 'completed'", "")


@bug("MAINT-4", Kind.stuck)
def vacuum_takes_two_runs(patch: Patch) -> None:
    """A vacuum that removes nodes leaves the inputs to the next one."""

    def around(original: Any, store: Any) -> Any:
        nodes = ask(store, "SELECT count(*) FROM nodes WHERE tombstoned")
        with Patch() as inner:
            if nodes != [(0,)]:
                reworded(inner, maintenance, "REMOVE_INPUTS", "WHERE", "WHERE false AND")
                reworded(inner, maintenance, "REMOVE_INPUTS", "OR state", "AND state")
            return original(store)

    wrap(patch, "vacuum", around)


@bug("MAINT-4", Kind.stuck)
def vacuum_forgets_nodes(patch: Patch) -> None:
    """A vacuum counts the tombstoned nodes and leaves them stored."""
    counted = maintenance.REMOVE_NODES._replace(sql="SELECT count(*) FROM nodes WHERE tombstoned")
    patch.setattr(maintenance, "REMOVE_NODES", counted)


@bug("MAINT-4", Kind.untrue)
def counts_swapped(patch: Patch) -> None:
    """The report of a vacuum has its two counts the wrong way round."""

    def around(original: Any, store: Any) -> VacuumReport:
        report: VacuumReport = original(store)
        return VacuumReport(report.removed_pending_turn_input_tombstone_count, report.removed_node_count)

    wrap(patch, "vacuum", around)


@bug("MAINT-5", Kind.lost)
def accepted_inputs_vacuumed(patch: Patch) -> None:
    """A vacuum removes Accepted inputs as well."""
    reworded(patch, maintenance, "REMOVE_INPUTS", "state = 'cancelled'", "state = 'accepted' OR state = 'cancelled'")


@bug("MAINT-5", Kind.lost)
def lapsed_claims_vacuumed(patch: Patch) -> None:
    """A vacuum clears the claims that have lapsed, which can no longer be completed then."""

    def around(original: Any, store: Any) -> Any:
        waits = TurnInputState.DeferredNextTurn.value
        lapsed = "claim_token IS NOT NULL AND claim_expires_at <= ?"
        ask(store, f"UPDATE inputs SET {SET_FREE} WHERE state = ? AND {lapsed}", waits, store._now())
        return original(store)

    wrap(patch, "vacuum", around)


@bug("MAINT-5", Kind.retry)
def recorded_turns_vacuumed(patch: Patch) -> None:
    """A vacuum forgets all recorded turns but the last."""

    def around(original: Any, store: Any) -> Any:
        ask(store, "DELETE FROM stamps WHERE rowid < (SELECT max(rowid) FROM stamps)")
        return original(store)

    wrap(patch, "vacuum", around)


@bug("MAINT-5", Kind.lost)
def vacuum_takes_the_path(patch: Patch) -> None:
    """A vacuum removes the children of a tombstoned node with it, uncounted."""

    def around(original: Any, store: Any) -> Any:
        hidden = "SELECT node_id FROM nodes WHERE tombstoned"
        orphans = ask(store, f"SELECT node_id FROM nodes WHERE NOT tombstoned AND parent_node_id IN ({hidden})")
        report = original(store)
        for (node_id,) in orphans:
            ask(store, "DELETE FROM nodes WHERE node_id = ?", node_id)
        return report

    wrap(patch, "vacuum", around)


@bug("INPUT-4", Kind.reused, "maintenance")
def input_id_by_counting(patch: Patch) -> None:
    """An input without an id is named after the number of stored inputs, so that a vacuum brings names back."""

    def around(original: Any, store: Any, draft: Any) -> Any:
        if draft.input_id is not None:
            return original(store, draft)
        taken = {input_id for (input_id,) in ask(store, "SELECT input_id FROM inputs")}
        number = len(taken) + 1
        while f"input-{number}" in taken:
            number += 1
        return original(store, replace(draft, input_id=f"input-{number}"))

    wrap(patch, "enqueue_pending_turn_input", around)


@bug("MAINT-6", Kind.mistaken, also=("INPUT-11",))
def key_outlives_the_vacuum(patch: Patch) -> None:
    """The source key of an input that a vacuum has removed is answered that input for ever."""
    known = per_run(lambda: dict[tuple[str, str], Any]())

    def around(original: Any, store: Any, draft: Any) -> Any:
        row = original(store, draft)
        if draft.source_key is None:
            return row
        first = known(store).setdefault((draft.session_id, draft.source_key), row)
        return row if first.input_id == row.input_id else replace(first, state=TurnInputState.Cancelled)

    wrap(patch, "enqueue_pending_turn_input", around)


@bug("GC-3", Kind.lost)
def plugin_snapshot_collected(patch: Patch) -> None:
    """A collection does not know that the head reaches its plugin snapshot."""
    reached = commit.part_refs

    def part_refs(manifest: Any) -> Any:
        return reached(replace(manifest, plugin_snapshot_ref=None))

    patch.setattr(maintenance, "part_refs", part_refs)


@bug("GC-3", Kind.lost)
def carried_parts_collected(patch: Patch) -> None:
    """A collection removes parts that the last commit has kept by ref and not given by value."""
    given_by_value = per_run(lambda: set[str]())

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        blobs = commit.draft_of(given).blobs
        before = ask(store, "SELECT record FROM head")
        result = original(store, given)
        if ask(store, "SELECT record FROM head") != before:
            given_by_value(store).clear()
            given_by_value(store).update(blobs)
        return result

    def collect(original: Any, store: Any) -> GcReport:
        kept = given_by_value(store)
        report: GcReport = original(store)
        for (ref,) in ask(store, "SELECT ref FROM blobs"):
            if ref not in kept:
                ask(store, "DELETE FROM blobs WHERE ref = ?", ref)
        return report

    wrap(patch, "commit_runtime_state", around)
    wrap(patch, "gc_unreachable", collect)


@bug("GC-4", Kind.untrue)
def stored_blobs_counted_as_deleted(patch: Patch) -> None:
    """A collection reports as deleted how many blobs it has looked at."""

    def around(original: Any, store: Any) -> GcReport:
        ((stored,),) = ask(store, "SELECT count(*) FROM blobs")
        report: GcReport = original(store)
        return replace(report, deleted_blob_count=stored)

    wrap(patch, "gc_unreachable", around)


@bug("GC-8", Kind.stuck)
def superseded_checkpoints_kept(patch: Patch) -> None:
    """A collection removes parts, and never a checkpoint."""

    def around(original: Any, store: Any) -> Any:
        checkpoints = ask(store, "SELECT ref, kind, data FROM blobs WHERE kind = ?", commit.CHECKPOINT)
        report = original(store)
        left = {ref for (ref,) in ask(store, "SELECT ref FROM blobs")}
        gone = [row for row in checkpoints if row[0] not in left]
        for row in gone:
            ask(store, "INSERT INTO blobs VALUES (?, ?, ?)", *row)
        return replace(report, deleted_blob_count=report.deleted_blob_count - len(gone))

    wrap(patch, "gc_unreachable", around)


@bug("COMMIT-32", Kind.retry, "maintenance", also=("GC-1",))
def collection_forgets_turns(patch: Patch) -> None:
    """A collection forgets the recorded turns whose checkpoints it removes."""

    def around(original: Any, store: Any) -> Any:
        report = original(store)
        left = {ref for (ref,) in ask(store, "SELECT ref FROM blobs")}
        for turn_id, result in ask(store, "SELECT turn_id, result FROM stamps"):
            if decoded(RuntimeCommitResult, result, "result of a turn").checkpoint_ref not in left:
                ask(store, "DELETE FROM stamps WHERE turn_id = ?", turn_id)
        return report

    wrap(patch, "gc_unreachable", around)
