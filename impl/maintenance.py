"""Maintenance: hiding nodes, a vacuum, a collection of blobs.

What is removed here a commit might count on, and a deletion conflicts with no update and no mere reading. So each call counts
the guard of the head up, as every commit does: of two that overlap, one runs again and sees the other (GC-9).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..spec import Backend, BlobRef, GcReport, SessionCheckpoint, StoreMaintenance, VacuumReport
from ..spec.contracts import ensures
from .commit import CHECKPOINT, SESSION_HEAD, HeadRecord, part_refs
from .encoding import decoded_versioned
from .engine import Engine, Row, Statement, guard, one_of
from .store import DuckDBStore

GUARD_HEAD = Statement("guard the head", "UPDATE head SET guard = guard + 1")
REMOVE_NODES = Statement("remove the tombstoned nodes", "DELETE FROM nodes WHERE tombstoned")
REMOVE_INPUTS = Statement(
    "remove the inputs that are over", "DELETE FROM inputs WHERE state = 'cancelled' OR state = 'completed'"
)
READ_HEAD = Statement("read the head", "SELECT record FROM head")
READ_CHECKPOINT = Statement("read the checkpoint", "SELECT kind, data FROM blobs WHERE ref = ?")


@ensures(lambda head, result: head.checkpoint_ref in result and len(result) <= 4, "GC-3")
def retained(head: HeadRecord, checkpoint: SessionCheckpoint | None) -> set[BlobRef]:
    """The refs that the head reaches, whether or not their blobs are there (GC-3, GC-4)."""
    return {head.checkpoint_ref, *(() if checkpoint is None else part_refs(checkpoint))}


class DuckDBMaintenance(DuckDBStore, StoreMaintenance):
    """The three calls of maintenance."""

    def tombstone_nodes(self, ids: tuple[str, ...]) -> None:
        """See `StoreMaintenance`. Three statements; none without ids."""
        engine = self._engine
        if not ids:
            return
        listed, values = one_of(ids, "VARCHAR")
        mark = Statement("tombstone the nodes", f"UPDATE nodes SET tombstoned = true WHERE node_id IN {listed}")

        def tombstone() -> None:
            engine.execute(GUARD_HEAD)
            engine.execute(mark, values)

        engine.transaction("tombstone nodes", tombstone)

    def vacuum(self) -> VacuumReport:
        """See `StoreMaintenance`. Five statements."""
        engine = self._engine

        def vacuum() -> VacuumReport:
            engine.execute(GUARD_HEAD)
            engine.execute(guard("inputs"))
            ((nodes,),) = engine.execute(REMOVE_NODES)
            ((inputs,),) = engine.execute(REMOVE_INPUTS)
            return VacuumReport(nodes, inputs)

        return engine.transaction("vacuum", vacuum, ("inputs",))

    def gc_unreachable(self) -> GcReport:
        """See `StoreMaintenance`. Five statements; four without a head."""
        engine = self._engine
        return engine.transaction("collect blobs", lambda: _collected(engine))


def _collected(engine: Engine) -> GcReport:
    engine.execute(GUARD_HEAD)
    return _swept(engine, [decoded_versioned(HeadRecord, text, SESSION_HEAD) for (text,) in engine.execute(READ_HEAD)])


# a head that is there is counted, or the collection is refused: three zeros never stand for damage (GC-6)
@ensures(lambda heads, result: result.root_count == len(heads), "GC-6")
def _swept(engine: Engine, heads: Sequence[HeadRecord]) -> GcReport:
    refs: set[BlobRef] = set()
    for head in heads:
        refs |= retained(head, _checkpoint(engine.execute(READ_CHECKPOINT, (head.checkpoint_ref,))))
    listed, values = one_of(sorted(refs), "VARCHAR") if refs else ("('')", [])
    ((removed,),) = engine.execute(Statement("remove the other blobs", f"DELETE FROM blobs WHERE ref NOT IN {listed}"), values)
    return GcReport(len(heads), len(refs), removed)


@ensures(lambda rows, result: bool(rows) == (result is not None), "GC-5")
def _checkpoint(rows: Sequence[Row]) -> SessionCheckpoint | None:
    """The checkpoint in the blob; None if there is no blob. What is there and cannot be read stops the collection (GC-5)."""
    for kind, data in rows:
        if kind != CHECKPOINT:
            raise Backend(f"the stored {CHECKPOINT} cannot be read: it is a {kind}")
        return decoded_versioned(SessionCheckpoint, data, CHECKPOINT)
    return None
