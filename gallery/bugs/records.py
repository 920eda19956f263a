"""Faults in what commits record, what reads, maintenance and the manifest show of it, and in the logs of runs."""

from __future__ import annotations

from typing import Any

from fencepost.impl import commit
from fencepost.impl.claim import SET_FREE
from fencepost.spec import (
    ActivePath,
    Append,
    Backend,
    DurabilityTier,
    EventStorageFailure,
    FullGraph,
    HeadRevisionConflict,
    PersistedSessionRead,
    ReadFailed,
    ReplaceFull,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
)
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, answering, ask, bug, per_run, refusing, wrap

COMMIT, LOAD = "commit_runtime_state", "load_session"


def revision(store: Any) -> int:
    """The head revision; 0 before the first commit."""
    read = store.load_session(FullGraph())
    return read.head_revision if read else 0


def reading_paths(patch: Patch, change: Any, *, to_a_leaf: bool = False) -> None:
    """Change what is read of a path, or only of one to a leaf that is given."""

    def changed(read: PersistedSessionRead | None, scope: Any) -> Any:
        is_meant = isinstance(scope, ActivePath) and (scope.leaf_node_id is not None or not to_a_leaf)
        return change(read) if read is not None and is_meant else read

    answering(patch, LOAD, changed)


@bug("COMMIT-1", Kind.order)
def revision_judged_before_the_binding(patch: Patch) -> None:
    """A commit for another session than the store's that expects another head revision is told of the revision first."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        try:
            return original(store, given)
        except SessionBindingMismatch:
            expected, actual = given.expected_head_revision, revision(store)
            if expected is None or expected == actual:
                raise
            raise HeadRevisionConflict(expected, actual) from None

    wrap(patch, COMMIT, around)


@bug("COMMIT-7", Kind.refusal)
def replay_has_to_be_the_same(patch: Patch) -> None:
    """A commit of a recorded turn, under its hash, is a conflict unless it equals the commit that was recorded."""
    recorded = per_run(lambda: dict[str, RuntimeCommit]())

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        answer, stamp = original(store, given), given.turn_commit
        if stamp is not None and recorded(store).setdefault(stamp.turn_id, given) != given:
            raise RuntimeTurnCommitConflict(stamp.session_id, stamp.turn_id)
        return answer

    wrap(patch, COMMIT, around)


@bug("COMMIT-22", Kind.refusal)
def loose_parents_refused(patch: Patch) -> None:
    """A stamped commit of a node whose parent is not stored is refused."""

    original_head = commit.next_head

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        known = {None, *(each for (each,) in ask(store, "SELECT node_id FROM nodes"))}

        def next_head(committed: RuntimeCommit, *rest: Any) -> Any:
            nodes = committed.graph.nodes if isinstance(committed.graph, Append) else ()
            if committed.turn_commit and {each.parent_node_id for each in nodes} - known - {each.node_id for each in nodes}:
                raise Backend("the parent of a node is missing")
            return original_head(committed, *rest)

        with Patch() as inner:
            inner.setattr(commit, "next_head", next_head)
            return original(store, given)

    wrap(patch, COMMIT, around)


@bug("COMMIT-24", Kind.stuck, "maintenance")
def replaced_nodes_stay_hidden(patch: Patch) -> None:
    """A full replacement stores a node under a tombstone that its id had before."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        hidden = [each for (each,) in ask(store, "SELECT node_id FROM nodes WHERE tombstoned")]
        answer = original(store, given)
        if isinstance(given.graph, ReplaceFull):
            for each in hidden:
                ask(store, "UPDATE nodes SET tombstoned = true WHERE node_id = ?", each)
        return answer

    wrap(patch, COMMIT, around)


@bug("COMMIT-26", Kind.untrue, also=("COMMIT-25",))
def ref_of_the_first_checkpoint(patch: Patch) -> None:
    """A read answers the ref of the first checkpoint, whatever was committed since."""
    first = per_run(lambda: list[Any]())

    def around(original: Any, store: Any, scope: Any) -> Any:
        read = original(store, scope)
        if read is None:
            return None
        first(store).append(read.checkpoint_ref)
        return replace(read, checkpoint_ref=first(store)[0])

    wrap(patch, LOAD, around)


@bug("COMMIT-28", Kind.untrue)
def manifest_of_the_commit_before(patch: Patch) -> None:
    """The result of a commit has the manifest of the commit before it."""
    last = per_run(lambda: list[Any]())

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        result: RuntimeCommitResult = original(store, given)
        last(store).append(result.manifest)
        return replace(result, manifest=last(store)[-2:][0])

    wrap(patch, COMMIT, around)


@bug("COMMIT-29", Kind.lost)
def replacement_resets_the_usage(patch: Patch) -> None:
    """A full replacement takes back the usage that was committed before."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        before = ask(store, "SELECT count(*) FROM usage")[0][0]
        answer = original(store, given)
        if isinstance(given.graph, ReplaceFull) and before:
            ask(store, "DELETE FROM usage WHERE rowid IN (SELECT rowid FROM usage ORDER BY rowid LIMIT ?)", before)
        return answer

    wrap(patch, COMMIT, around)


@bug("COMMIT-34", Kind.half)
def config_a_commit_late(patch: Patch) -> None:
    """The config of a commit is read once the next commit is there."""
    configs = per_run(lambda: dict[int, Any]())

    def committing(original: Any, store: Any, given: RuntimeCommit) -> Any:
        result = original(store, given)
        configs(store).setdefault(result.head_revision, given.config)
        return result

    def loading(original: Any, store: Any, scope: Any) -> Any:
        read = original(store, scope)
        if read is None:
            return None
        return replace(read, config=configs(store).get(read.head_revision - 1, read.config))

    wrap(patch, COMMIT, committing)
    wrap(patch, LOAD, loading)


@bug("COMMIT-INV-1", Kind.edge, also=("COMMIT-INV-3",))
def stamped_commits_count_twice(patch: Patch) -> None:
    """A stamped commit answers the head revision after its own."""

    def change(result: RuntimeCommitResult, given: RuntimeCommit) -> RuntimeCommitResult:
        return replace(result, head_revision=result.head_revision + 1) if given.turn_commit else result

    answering(patch, COMMIT, change)


@bug("COMMIT-INV-4", Kind.retry)
def replay_answers_the_head_of_now(patch: Patch) -> None:
    """A replay answers the head revision of now instead of the one that was recorded."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        result = original(store, given)
        return replace(result, head_revision=revision(store))

    wrap(patch, COMMIT, around)


@bug("READ-1", Kind.refusal, also=("READ-16",))
def read_before_the_first_commit_refused(patch: Patch) -> None:
    """A read is refused as long as nothing has been committed."""

    def around(original: Any, store: Any, scope: Any) -> Any:
        read = original(store, scope)
        if read is None and ask(store, "SELECT 1 FROM leases"):
            raise Backend("there is no session")
        return read

    wrap(patch, LOAD, around)


@bug("READ-3", Kind.selection, "maintenance")
def hidden_nodes_read(patch: Patch) -> None:
    """A full read answers tombstoned nodes with the others."""

    def around(original: Any, store: Any, scope: Any) -> Any:
        hidden = ask(store, "SELECT node_id FROM nodes WHERE tombstoned") if isinstance(scope, FullGraph) else []
        for (each,) in hidden:
            ask(store, "UPDATE nodes SET tombstoned = false WHERE node_id = ?", each)
        read = original(store, scope)
        for (each,) in hidden:
            ask(store, "UPDATE nodes SET tombstoned = true WHERE node_id = ?", each)
        return read

    wrap(patch, LOAD, around)


@bug("READ-7", Kind.lost, also=("READ-8",))
def path_without_a_root_empty(patch: Patch) -> None:
    """A path that ends at a node whose parent is not stored is read as empty."""

    def change(read: PersistedSessionRead) -> PersistedSessionRead:
        nodes = read.graph.nodes
        ids = {None, *(each.node_id for each in nodes)}
        return replace(read, graph=replace(read.graph, nodes=())) if {each.parent_node_id for each in nodes} - ids else read

    reading_paths(patch, change)


@bug("READ-11", Kind.untrue)
def path_answers_the_persisted_leaf(patch: Patch) -> None:
    """A path read to a given leaf answers the persisted leaf as the leaf of the graph."""

    def around(original: Any, store: Any, scope: Any) -> Any:
        read = original(store, scope)
        if read is None or isinstance(scope, FullGraph) or not read.graph.nodes:
            return read
        return replace(read, graph=replace(read.graph, leaf_node_id=original(store, FullGraph()).graph.leaf_node_id))

    wrap(patch, LOAD, around)


@bug("READ-12", Kind.lost, also=("READ-INV-1",))
def path_to_a_leaf_without_its_checkpoint(patch: Patch) -> None:
    """A path read to a given leaf answers no checkpoint."""
    reading_paths(patch, lambda read: replace(read, checkpoint=None), to_a_leaf=True)


@bug("READ-13", Kind.untrue)
def missing_part_read_as_empty(patch: Patch) -> None:
    """A path read to a given leaf answers an execution state of no bytes where the ref of one leads to nothing."""

    def change(read: PersistedSessionRead) -> PersistedSessionRead:
        found = read.checkpoint
        if found is None or found.execution_state_ref is None or found.execution_state is not None:
            return read
        return replace(read, checkpoint=replace(found, execution_state=b""))

    reading_paths(patch, change, to_a_leaf=True)


@bug("READ-19", Kind.untrue)
def tier_after_a_warm_up(patch: Patch) -> None:
    """The store promises more from the second time on that it is asked."""
    asked = per_run(lambda: list[int]())

    def around(original: Any, store: Any) -> Any:
        asked(store).append(1)
        return DurabilityTier.Inline if len(asked(store)) == 1 else original(store)

    wrap(patch, "durability_tier", around)


@bug("META-2", Kind.refusal)
def metadata_wants_a_commit(patch: Patch) -> None:
    """Metadata cannot be saved as long as nothing has been committed."""
    refusing(patch, "save_session_meta", lambda store, _: not revision(store), lambda: Backend("there is no session"))


@bug("ABANDON-5", Kind.edge)
def abandoned_inputs_rest(patch: Patch) -> None:
    """Inputs whose claim is given back can be listed and claimed from the next millisecond on."""

    def around(original: Any, store: Any, claim: Any) -> Any:
        held, soon = (claim.claim_id, claim.lease_token), store._now() + 1
        if ask(store, "SELECT 1 FROM inputs WHERE claim_id = ? AND claim_token = ? AND claim_expires_at > ?", *held, soon):
            ask(store, "UPDATE inputs SET claim_expires_at = ? WHERE claim_id = ? AND claim_token = ?", soon, *held)
        else:
            original(store, claim)

    wrap(patch, "abandon_turn_input_claim", around)


@bug("QCLAIM-10", Kind.half)
def lapsed_work_claim_taken_whole(patch: Patch) -> None:
    """Whoever takes a part of a claim of queued work frees the rest of it."""

    def around(original: Any, store: Any, session_id: str, *given: Any) -> Any:
        before: dict[str, str] = dict(ask(store, "SELECT batch_id, claim_id FROM batches WHERE claim_id IS NOT NULL"))
        claim = original(store, session_id, *given)
        for each in {before[batch.batch_id] for batch in claim.batches if batch.batch_id in before} if claim else ():
            ask(store, f"UPDATE batches SET {SET_FREE} WHERE claim_id = ?", each)
        return claim

    wrap(patch, "claim_ready_queued_work", around)


@bug("GEN-8", Kind.refusal, "queued_work")
def batch_cancelled_by_a_holder_only(patch: Patch) -> None:
    """A batch can be cancelled only while somebody holds the session's lane."""

    def unleased(store: Any, session_id: str, _: str) -> bool:
        return not ask(store, "SELECT 1 FROM leases WHERE session_id = ? AND expires_at > ?", session_id, store._now())

    refusing(patch, "cancel_queued_work_batch", unleased, lambda: Backend("nobody holds the session"))


@bug("RUNTIME-5", Kind.refusal)
def runtime_without_inputs_refused(patch: Patch) -> None:
    """The inputs of a runtime that has none cannot be read."""

    def around(original: Any, store: Any, runtime_id: str) -> Any:
        found = original(store, runtime_id)
        if not found:
            raise ReadFailed("there is no such runtime")
        return found

    wrap(patch, "load_input_states", around)


@bug("RUNTIME-INV-2", Kind.edge)
def receipt_of_the_next_number(patch: Patch) -> None:
    """For the receipt of a number that of the next one is answered, if it is there."""

    def around(original: Any, store: Any, runtime_id: str, run_id: Any, sequence: int) -> Any:
        found = original(store, runtime_id, run_id, sequence)
        return (found and original(store, runtime_id, run_id, min(sequence + 1, 2**64 - 1))) or found

    wrap(patch, "load_boundary_receipt", around)


@bug("RUNTIME-28", Kind.edge, also=("RUNTIME-INV-3",))
def stamp_tells_the_next_number(patch: Patch) -> None:
    """An input tells as its boundary the number after that of the receipt that it was written with."""

    def change(state: Any, *_: Any) -> Any:
        number = getattr(state, "last_boundary_sequence", None)
        return state if number in (None, 2**64 - 1) else replace(state, last_boundary_sequence=number + 1)

    answering(patch, "load_input_state", change)


@bug("EVENT-6", Kind.stuck, also=("EVENT-11",))
def open_turns_not_read(patch: Patch) -> None:
    """A turn other than the first is read once it is finished, and as none before that."""
    answering(patch, "get_turn", lambda turn, _, number: turn if turn and (turn.finished or number == 1) else None)


@bug("EVENT-18", Kind.refusal)
def absent_turn_refused(patch: Patch) -> None:
    """To read a turn that is not there is refused."""

    def around(original: Any, store: Any, thread_id: str, turn: int) -> Any:
        found = original(store, thread_id, turn)
        if found is None:
            raise EventStorageFailure("there is no such turn")
        return found

    wrap(patch, "get_turn", around)


@bug("OUTPUT-1", Kind.lost_update, also=("OUTPUT-13", "OUTPUT-INV-1"))
def record_of_its_latest_sibling(patch: Patch) -> None:
    """For an id the newest record of its attempt and producer is answered."""

    def around(original: Any, store: Any, ref: Any) -> Any:
        found = original(store, ref)
        beside = store.list_for_attempt(found.task_id, found.attempt)
        return [each for each in beside if each.producer_agent == found.producer_agent][-1]

    wrap(patch, "get", around)
