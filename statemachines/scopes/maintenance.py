"""Maintenance in small: nodes hidden, revived and removed, inputs that ended removed, blobs collected between commits."""

from __future__ import annotations

from collections.abc import Iterator

from fencepost.model import State
from fencepost.model.commit import revision_of
from fencepost.spec import ActivePath, FullGraph, PendingTurnInputDraft, SourceKey

from ..checker import Call
from ..scope import Attempt, Bounds, Instant, Scope
from .commit import COMMIT
from .commits import plain
from .leased import LONG, OTHER, SESSION, fence_of, lane
from .session import graph_in_words, written
from .turn_input import DRAFTS, ENQUEUE


class MaintenanceScope(Scope):
    """Tombstones, vacuum and collection, in any order with commits, and what is left to read."""

    chapter = "maintenance"
    default = Bounds(rows=2)
    suite = Bounds(rows=1)
    uses = ("rows",)

    def prelude(self) -> tuple[Call, ...]:
        """The session is leased for long; an input has ended in it, and one in another session."""
        ended = (_ended(session_id) for session_id in (SESSION, OTHER))
        return (lane(SESSION, self.owners[0], LONG), *(call for calls in ended for call in calls))

    def within(self, part: State, place: int) -> bool:
        """So many commits, and no more inputs than at the beginning."""
        return revision_of(part) <= self.bounds.rows and len(part.turn_input.ids) <= 3

    def attempts(self, part: State, place: int, instant: Instant) -> Iterator[Attempt]:
        """All three calls, commits in between, and what shows them."""
        yield Attempt(Call("vacuum"))
        yield Attempt(Call("gc_unreachable"))
        yield Attempt(Call("tombstone_nodes", (("n1", "n1", "n2"),)))
        yield from map(Attempt, written(fence_of(part, SESSION)))
        yield Attempt(Call(COMMIT, (plain(fence_of(part, SESSION)),)))
        yield Attempt(Call(ENQUEUE, (_draft(SESSION),)))
        yield from (Attempt(Call("load_session", (scope,))) for scope in (FullGraph(), ActivePath()))
        yield Attempt(Call("load_node", ("n1",)))
        yield Attempt(Call("list_pending_turn_inputs", (SESSION,)))

    def situation(self, state: State, name: str, now: int) -> str:
        """What there is to remove."""
        ended = sum(len(rows) for rows in state.turn_input.rows.values())
        blobs = len({ref for _, ref in state.commit.blobs} | set(state.commit.checkpoints))
        return f"{graph_in_words(state)}, {ended} inputs, {blobs} blobs"


def _draft(session_id: str) -> PendingTurnInputDraft:
    draft = DRAFTS[3]
    return PendingTurnInputDraft(session_id=session_id, source_key="k", ingress=draft.ingress, input=draft.input)


def _ended(session_id: str) -> tuple[Call, Call]:
    """An input that is submitted and cancelled."""
    return (Call(ENQUEUE, (_draft(session_id),)), Call("cancel_pending_turn_inputs", (session_id, (SourceKey("k"),))))
