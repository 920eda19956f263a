"""Maintenance: hiding nodes, removing what is dead, collecting what nobody refers to.

A tombstoned node is hidden from every read at once and removed by the next vacuum; committing its id again revives it. A vacuum
also removes cancelled and completed turn inputs. Collecting removes blobs, and only such that the head cannot reach.
None of it needs a lease, and none of it touches what the session shows otherwise.
"""

from __future__ import annotations

from abc import abstractmethod

import icontract

from .contracts import ensures, operation
from .values import U64, Record


class VacuumReport(Record, frozen=True):
    """How many nodes and turn inputs this vacuum removed."""

    removed_node_count: U64 = 0
    removed_pending_turn_input_tombstone_count: U64 = 0


class GcReport(Record, frozen=True):
    """What a collection found: root entries, distinct refs that were kept, blobs that were removed."""

    root_count: U64 = 0
    retained_blob_count: U64 = 0
    deleted_blob_count: U64 = 0


class StoreMaintenance(icontract.DBC):
    """The three calls of maintenance."""

    @abstractmethod
    @operation
    def tombstone_nodes(self, ids: tuple[str, ...]) -> None:
        """Hide the nodes with these ids; unknown ids are passed over. Raises `InvalidArgument`, `Backend`.

        Requirements: MAINT-1 to MAINT-3.
        """

    @abstractmethod
    @operation
    def vacuum(self) -> VacuumReport:
        """Remove tombstoned nodes, and turn inputs that were cancelled or completed, of the whole store.

        Raises `Backend`. Requirements: MAINT-4 to MAINT-6.
        """

    @abstractmethod
    @ensures(lambda result: result.retained_blob_count <= 4 * result.root_count, "GC-3")
    @operation
    def gc_unreachable(self) -> GcReport:
        """Remove the blobs that the head's checkpoint does not name.

        Raises `Backend`, or a schema version error, if the head or its checkpoint cannot be read; nothing is removed then.
        Requirements: GC-1 to GC-9.
        """
