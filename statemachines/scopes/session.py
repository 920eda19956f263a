"""Reads in small: everything that can be read of what few commits and tombstones leave, and the metadata.

What commits write is a part, the metadata is one, and what the store has told of itself is one: the scopes that it serves, and
its tier. A read of a session reaches the first and the last. No part shows anything to calls on others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fencepost.model import State
from fencepost.model.commit import revision_of
from fencepost.model.records.session import SessionState
from fencepost.spec import (
    ActivePath,
    Child,
    FullGraph,
    Json,
    Root,
    SessionExecutionLeaseFence,
    SessionMeta,
    SessionReadScope,
)
from msgspec.structs import replace

from ..checker import Call
from ..scope import Attempt, Bounds, SteadyScope
from .commit import COMMIT
from .commits import CHECKPOINTS, USAGE, plain
from .leased import LONG, SESSION, fence_of, lane

LEAVES = (None, "", "n1", "n2", "n3", "nowhere")
SCOPES: tuple[SessionReadScope, ...] = (FullGraph(), *map(ActivePath, LEAVES))
NODES = ("n1", "n2", "nowhere")
NAMES = _, METADATA, TOLD = ("the commits", "the metadata", "what was told")
WRITTEN = ("a path", "loose", "replaced", "leafless")


class SessionScope(SteadyScope):
    """Both scopes of a session, each node, metadata of several sessions, and the tier."""

    chapter = "session"
    default = Bounds(sessions=4, rows=2)
    suite = Bounds(sessions=2, rows=1)
    uses = ("sessions", "rows")

    def __init__(self, bounds: Bounds | None = None, *, canonical: bool = True) -> None:
        super().__init__(bounds, canonical=canonical)
        self.names = NAMES
        fence = fence_of(self._opened()[0], SESSION)
        metas = (Call("save_session_meta", (_meta(number),)) for number in range(self.bounds.sessions))
        calls: dict[tuple[int, ...], Iterable[Call]] = {
            (0,): (*(Call("load_node", (each,)) for each in NODES), *written(fence)),
            (1,): (*metas, Call("load_session_meta")),
            (2,): (Call("durability_tier"),),
            (0, 2): (Call("load_session", (each,)) for each in SCOPES),
        }
        self.tried = {places: tuple(map(Attempt, each)) for places, each in calls.items()}

    def prelude(self) -> tuple[Call, ...]:
        """The session is leased for long."""
        return (lane(SESSION, self.owners[0], LONG),)

    def within(self, part: State, place: int) -> bool:
        """So many commits."""
        return revision_of(part) <= self.bounds.rows

    def joined(self, parts: Sequence[State]) -> State:
        """One store of all parts."""
        committed, metadata, told = parts
        return replace(committed, session=replace(metadata.session, scopes=told.session.scopes, tier=told.session.tier))

    def part(self, whole: State, place: int) -> State:
        """What commits write, the metadata, or what answers have told."""
        known = whole.session
        if place == 0:
            return replace(whole, session=SessionState())
        if place == 1:
            return State(session=SessionState(meta=known.meta, by_session=known.by_session))
        return State(session=SessionState(tier=known.tier, scopes=known.scopes))

    def shadow(self, part: State, place: int) -> State:
        """Nothing."""
        return State()

    def situation(self, state: State, name: str, now: int) -> str:
        """What there is to read."""
        known = state.session
        if name == METADATA:
            return "metadata" if known.meta else "no metadata"
        if name == TOLD:
            return ", ".join([*known.scopes, *filter(None, [known.tier and known.tier.name])]) or "nothing told"
        return graph_in_words(state)


def _meta(number: int) -> SessionMeta:
    """The metadata of a session: every other one has fields that are empty, and a parent."""
    session_id = f"s{number + 1}"
    if number % 2:
        return SessionMeta(session_id, "", "", "", "/tmp", Child("parent", Json({"call": 1})))
    return SessionMeta(session_id, "name", "2026-01-01", "m", None, Root())


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
