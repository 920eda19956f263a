"""Maintenance: what tombstones, a vacuum and a collection of blobs leave, and what they never touch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from fencepost.spec import GcReport, VacuumReport
from immutables import Map
from msgspec.structs import replace

from .. import maintenance as calls
from ..records.commit import CommitState, Part, Snapshot
from ..records.log import Log
from ..records.turn_input import Inputs
from ..state import State
from .commit import head_at, node
from .exhaustion import exhausted, subsets, tuples
from .turn_input import KINDS, PORTS, rows_of, state_of

IDS = ("a", "b", "c")
SWEPT = ("deferred", "held", "accepted by t", "completed", "cancelled")


def _graphs() -> Iterator[tuple[frozenset[str], frozenset[str], frozenset[str]]]:
    return product(subsets(IDS), subsets(IDS), subsets((*IDS, "unknown")))


def _stored(there: frozenset[str], tombstoned: frozenset[str]) -> CommitState:
    nodes = {each: node(each, None) for each in IDS if each in there}
    return CommitState(head_at(1, "a"), Log.of(nodes), Map(nodes), tombstoned & there, attempted="s")


@exhausted(
    "tombstones hide exactly the named nodes that are there, and a vacuum removes exactly these",
    "MAINT-1",
    "MAINT-2",
    "MAINT-4",
    "MAINT-5",
    scope="all sets of up to 3 nodes, whichever tombstoned, and any of 4 ids, one of them unknown",
    cases=_graphs,
)
def what_is_dead_goes(there: frozenset[str], tombstoned: frozenset[str], named: frozenset[str]) -> bool:
    """What is stored and hidden after tombstones, and what is stored after a vacuum; nothing else of the commit changes."""
    written = _stored(there, tombstoned)
    (hidden,) = calls.tombstone_nodes(State(commit=written), PORTS, tuple(sorted(named)))
    swept, *_ = calls.vacuum(hidden.state, PORTS)
    dead = (tombstoned | named) & there
    left = {each: written.nodes[each] for each in written.order if each not in dead}
    return (
        hidden.state.commit == replace(written, tombstoned=dead)
        and swept.answer == VacuumReport(len(dead), 0)
        and swept.state.commit == replace(written, order=Log.of(left), nodes=Map(left), tombstoned=frozenset())
    )


@exhausted(
    "a vacuum removes exactly the inputs that have ended, frees their keys, and a second one finds nothing",
    "MAINT-4",
    "MAINT-6",
    "INPUT-11",
    "INPUT-INV-5",
    scope=f"all lines of up to 4 inputs of {len(SWEPT)} kinds",
    cases=lambda: ((kinds,) for kinds in tuples(SWEPT, 4)),
)
def inputs_that_ended_go(kinds: tuple[str, ...]) -> bool:
    """The rows and the freed keys after a vacuum, and the report of another one."""
    swept, *_ = calls.vacuum(state_of(kinds), PORTS)
    again, *_ = calls.vacuum(swept.state, PORTS)
    ended = {place for place, kind in enumerate(kinds) if KINDS[kind].state.value in ("cancelled", "completed")}
    inputs = swept.state.turn_input
    return (
        swept.answer == VacuumReport(0, len(ended))
        and inputs.of("s") == Inputs.of(row for place, row in enumerate(rows_of(kinds)) if place not in ended)
        and set(inputs.vacuumed) == {("s", f"k{place}") for place in ended}
        and inputs.sessions_of_key == Map({f"k{place}": int(place not in ended) for place in range(len(kinds))})
        and again.answer == VacuumReport()
        and again.state == swept.state
    )


REFS = ("x", "y", "z")
KIND = "tool_state"


def _collections() -> Iterator[tuple[frozenset[str], frozenset[str], str | None, bool]]:
    """Which blobs and checkpoints are stored, which blob the head names, and whether there is a head."""
    return product(subsets(REFS), subsets(("checkpoint:1", "checkpoint:2", "x")), (None, *REFS), (False, True))


@exhausted(
    "a collection keeps all that the head can reach, removes all else, and a second one removes nothing",
    "GC-1",
    "GC-2",
    "GC-3",
    "GC-4",
    "GC-8",
    scope="all sets of 3 blobs and 3 checkpoints, with a head that names one of them, or none, and without a head",
    cases=_collections,
)
def only_the_unreachable_goes(blobs: frozenset[str], checkpoints: frozenset[str], named: str | None, there: bool) -> bool:
    """The blobs and checkpoints after a collection, its report, and that of another one."""
    head = head_at(2)
    head = replace(head, parts=head.parts.set(KIND, Part(named, None, carried=True)))
    stored: Map[tuple[str, str], Snapshot] = Map({(KIND, each): b"value" for each in blobs})
    refs = Map(dict.fromkeys(checkpoints, True))
    written = CommitState(head if there else None, blobs=stored, checkpoints=refs, attempted="s")
    swept, *_ = calls.gc_unreachable(State(commit=written), PORTS)
    again, *_ = calls.gc_unreachable(swept.state, PORTS)
    kept = {"checkpoint:2", *(() if named is None else (named,))} if there else set()
    after = swept.state.commit
    return (
        {ref for _, ref in after.blobs} == blobs & kept
        and set(after.checkpoints) == checkpoints & kept
        and swept.answer == GcReport(int(there), len(kept), len((blobs | checkpoints) - kept))
        and again.answer == GcReport(int(there), len(kept), 0)
        and (after.head, after.nodes, after.stamps, after.usage) == (written.head, written.nodes, written.stamps, written.usage)
    )
