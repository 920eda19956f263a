"""Reads: the active path of any graph of nodes, what a full read shows, and the ledger of usage."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from itertools import pairwise, product

from fencepost.spec import (
    ActivePath,
    FullGraph,
    PersistedSessionRead,
    SessionNodeRecord,
    TokenLedgerEntry,
    TokenUsage,
)
from immutables import Map

from .. import session as calls
from ..records.commit import CommitState, Ledger
from ..records.log import Log
from ..state import State
from .commit import head_at, node
from .exhaustion import exhausted, subsets, tuples
from .turn_input import PORTS

IDS = ("a", "b", "c", "d")
Parents = tuple[str | None, ...]


def _written(parents: Parents, tombstoned: frozenset[str], leaf: str | None) -> CommitState:
    nodes: dict[str, SessionNodeRecord] = {each: node(each, parent) for each, parent in zip(IDS, parents, strict=False)}
    return CommitState(head_at(1, leaf), Log.of(nodes), Map(nodes), tombstoned, attempted="s")


def _graphs(most: int) -> Iterator[tuple[Parents, frozenset[str], str | None]]:
    """Every graph of up to so many nodes: each a root, or with any parent, itself and one that is not there included."""
    for size in range(most + 1):
        ids = IDS[:size]
        yield from product(product((None, "gone", *ids), repeat=size), subsets(ids), (None, "gone", *ids))


@exhausted(
    "the active path goes from parent to child, ends with the leaf, holds none twice and none hidden, and stops for a reason",
    "READ-6",
    "READ-7",
    "READ-7a",
    "READ-8",
    "READ-8a",
    "READ-8b",
    "READ-9",
    "READ-9a",
    "READ-10",
    "READ-INV-3",
    scope=f"all graphs of up to {len(IDS)} nodes, cycles and missing parents included, whichever tombstoned, from every leaf",
    cases=lambda: _graphs(len(IDS)),
)
def the_path_is_the_line_of_ancestors(parents: Parents, tombstoned: frozenset[str], leaf: str | None) -> bool:
    """The path of a leaf that is given, and of the persisted one, against what makes a path one."""
    written = _written(parents, tombstoned, leaf)
    path = [each.node_id for each in calls.path_to(written, leaf)]
    parent_of = dict(zip(IDS, parents, strict=False))
    visible = {each for each in parent_of if each not in tombstoned}
    if leaf not in visible:
        return path == []
    beyond = parent_of[path[0]] if path else leaf
    return (
        path[-1] == leaf
        and len(set(path)) == len(path)
        and visible.issuperset(path)
        and all(parent_of[later] == earlier for earlier, later in pairwise(path))
        and (beyond not in visible or beyond in path)
    )


@exhausted(
    "a full read shows every visible node once, in the order of storage, and both reads tell leaf, node and revision alike",
    "READ-2",
    "READ-3",
    "READ-4",
    "READ-5",
    "READ-11",
    "READ-15",
    "READ-16",
    "READ-INV-2",
    scope="all graphs of up to 3 nodes, cycles and missing parents included, whichever tombstoned, from every leaf",
    cases=lambda: _graphs(3),
)
def reads_agree(parents: Parents, tombstoned: frozenset[str], leaf: str | None) -> bool:
    """Both scopes of a read, and each node alone; no read changes what a commit wrote."""
    written = _written(parents, tombstoned, leaf)
    state = State(commit=written)
    visible = [each for each in IDS[: len(parents)] if each not in tombstoned]
    full, given, own = (
        calls.load_session(state, PORTS, scope)[0] for scope in (FullGraph(), ActivePath(leaf), ActivePath(None))
    )
    assert isinstance(full.answer, PersistedSessionRead)
    assert isinstance(own.answer, PersistedSessionRead)
    nodes = [calls.load_node(state, PORTS, each)[0].answer for each in IDS]
    return (
        [each.node_id for each in full.answer.graph.nodes] == visible
        and full.answer.graph.leaf_node_id == own.answer.graph.leaf_node_id == leaf
        and full.answer.head_revision == own.answer.head_revision == 1
        and own.answer.graph.nodes == calls.path_to(written, leaf)
        and given.answer == own.answer
        and nodes == [written.nodes[each] if each in visible else None for each in IDS]
        and full.state.commit == own.state.commit == written
    )


COUNTERS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens", "reasoning_output_tokens")
"""All but the last decide whether anything was used."""

USED = (
    TokenLedgerEntry("a", "m", TokenUsage(1, 2)),
    TokenLedgerEntry("a", "n", TokenUsage(3, 0, 0, 4, 5)),
    TokenLedgerEntry("b", "m", TokenUsage(2**63 - 1, -1)),
    TokenLedgerEntry("b", "m", TokenUsage(-4, 4)),
    TokenLedgerEntry("a", "m", TokenUsage(0, 0, 0, 0, 9)),
)


@exhausted(
    "the ledger has a row for each source and model that used anything, in order of appearance, with the sums of its counters",
    "READ-14",
    "COMMIT-INV-5",
    scope=f"all lines of up to 5 entries of {len(USED)} kinds, at once and one by one, empty sums and beyond 64 bits included",
    cases=lambda: ((usage,) for usage in tuples(USED, 5)),
)
def the_ledger_sums(usage: tuple[TokenLedgerEntry, ...]) -> bool:
    """Each row against a sum of its own, counter by counter."""
    counted = [each for each in usage if sum(getattr(each.usage, name) for name in COUNTERS[:4]) != 0]
    keys = list(dict.fromkeys((each.source, each.model) for each in counted))
    one_by_one = functools.reduce(lambda folded, entry: folded.plus((entry,)), usage, Ledger())
    rows = calls.ledger(one_by_one)
    if one_by_one != Ledger().plus(usage) or [(row.source, row.model) for row in rows] != keys:
        return False
    for row in rows:
        of_row = [each.usage for each in counted if (each.source, each.model) == (row.source, row.model)]
        for name in COUNTERS:
            exact = sum(getattr(each, name) for each in of_row)
            if getattr(row.usage, name) != max(-(2**63), min(exact, 2**63 - 1)):
                return False
    return True
