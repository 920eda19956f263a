"""Reads in small: everything that can be read of what few commits and tombstones leave, and the metadata."""

from __future__ import annotations

from collections.abc import Iterator

from fencepost.model import State
from fencepost.model.commit import revision_of
from fencepost.spec import ActivePath, Child, FullGraph, Json, Root, SessionExecutionLeaseFence, SessionMeta, SessionReadScope
from msgspec.structs import replace

from ..checker import Call
from ..scope import Attempt, Bounds, Instant, Scope
from .commit import COMMIT
from .commits import CHECKPOINTS, USAGE, plain
from .leased import LONG, SESSION, fence_of, lane

LEAVES = (None, "", "n1", "n2", "n3", "nowhere")
METAS = (
    SessionMeta(SESSION, "name", "2026-01-01", "m", None, Root()),
    SessionMeta("s2", "", "", "", "/tmp", Child("parent", Json({"call": 1}))),
)
WRITTEN = ("a path", "loose", "replaced", "leafless")


class SessionScope(Scope):
    """Both scopes of a session, each node, metadata, and the tier."""

    chapter = "session"
    default = Bounds(rows=2)
    suite = Bounds(rows=1)
    uses = ("rows",)

    def prelude(self) -> tuple[Call, ...]:
        """The session is leased for long."""
        return (lane(SESSION, self.owners[0], LONG),)

    def within(self, part: State, place: int) -> bool:
        """So many commits."""
        return revision_of(part) <= self.bounds.rows

    def attempts(self, part: State, place: int, instant: Instant) -> Iterator[Attempt]:
        """All five calls; of commits and tombstones what makes something to read."""
        scopes: list[SessionReadScope] = [FullGraph(), *map(ActivePath, LEAVES)]
        yield from (Attempt(Call("load_session", (each,))) for each in scopes)
        yield from (Attempt(Call("load_node", (each,))) for each in ("n1", "n2", "nowhere"))
        yield from (Attempt(Call("save_session_meta", (meta,))) for meta in METAS)
        yield Attempt(Call("load_session_meta"))
        yield Attempt(Call("durability_tier"))
        yield from map(Attempt, written(fence_of(part, SESSION)))

    def situation(self, state: State, name: str, now: int) -> str:
        """What there is to read."""
        meta = "metadata" if state.session.meta else "no metadata"
        return f"{graph_in_words(state)}, {meta}"


def written(fence: SessionExecutionLeaseFence) -> Iterator[Call]:
    """Commits of each graph, of usage and of a value, and a tombstone for each node."""
    yield from (Call(COMMIT, (plain(fence, graph),)) for graph in WRITTEN)
    yield Call(COMMIT, (replace(plain(fence), usage_deltas=USAGE, checkpoint=CHECKPOINTS["a value"]),))
    yield from (Call("tombstone_nodes", (ids,)) for ids in (("n1",), ("n2", "nowhere")))


def graph_in_words(state: State) -> str:
    """The nodes that are stored, those that are hidden, and the leaf."""
    stored = state.commit
    nodes = " ".join(f"({each})" if each in stored.tombstoned else each for each in stored.order) or "no nodes"
    return f"{nodes}, leaf {stored.head.leaf_node_id}" if stored.head else f"{nodes}, no head"
