"""Maintenance in small: nodes hidden, revived and removed, inputs that ended removed, blobs collected between commits.

What commits write is a part, the inputs of both sessions are one, and the scopes that were served are one. A vacuum reaches the
first two, a read of the session the first and the last. Calls on inputs see of commits whether there was one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fencepost.model import State
from fencepost.model.commit import revision_of
from fencepost.model.records.commit import CommitState, Head
from fencepost.model.records.session import SessionState
from fencepost.model.records.turn_input import InputState
from fencepost.spec import ActivePath, FullGraph, PendingTurnInputDraft, PersistedTurnState, SourceKey
from immutables import Map
from msgspec.structs import replace

from ..checker import Call
from ..scope import Attempt, Bounds, SteadyScope
from .commit import COMMIT
from .commits import CONFIG, plain
from .leased import LONG, OTHER, SESSION, fence_of, lane
from .session import graph_in_words, written
from .turn_input import DRAFTS, ENQUEUE

COMMITTED_ONCE = CommitState(
    Head(SESSION, 1, CONFIG, (), "", None, "", PersistedTurnState(), None, Map()), checkpoints=Map({"": True})
)
"""What calls on inputs see of a session that has a head: that it has one (GEN-14)."""


class MaintenanceScope(SteadyScope):
    """Tombstones, vacuum and collection, in any order with commits and with inputs, and what is left to read."""

    chapter = "maintenance"
    default = Bounds(sessions=2, rows=2)
    suite = Bounds(sessions=1, rows=1)
    uses = ("sessions", "rows")

    def __init__(self, bounds: Bounds | None = None, *, canonical: bool = True) -> None:
        super().__init__(bounds, canonical=canonical)
        self.names = NAMES
        fence = fence_of(self._opened()[0], SESSION)
        tombstones = Call("tombstone_nodes", (("n1", "n1", "n2"),))
        calls: dict[tuple[int, ...], Iterable[Call]] = {
            (0,): (
                Call("gc_unreachable"),
                tombstones,
                *written(fence),
                Call(COMMIT, (plain(fence),)),
                Call("load_node", ("n1",)),
            ),
            (1,): _on_inputs([f"s{number}" for number in range(1, self.bounds.sessions + 1)]),
            (0, 1): (Call("vacuum"),),
            (0, 2): (Call("load_session", (scope,)) for scope in (FullGraph(), ActivePath())),
        }
        self.tried = {places: tuple(map(Attempt, each)) for places, each in calls.items()}

    def prelude(self) -> tuple[Call, ...]:
        """The session is leased for long; an input has ended in it, and one in another session."""
        ended = ((_submitted(name), _cancelled(name)) for name in (SESSION, OTHER))
        return (lane(SESSION, self.owners[0], LONG), *(call for calls in ended for call in calls))

    def within(self, part: State, place: int) -> bool:
        """So many commits, and for each session one input more than at the beginning."""
        return revision_of(part) <= self.bounds.rows and len(part.turn_input.ids) <= 2 + self.bounds.sessions

    def joined(self, parts: Sequence[State]) -> State:
        """One store of all parts."""
        committed, inputs, served = parts
        return replace(committed, turn_input=inputs.turn_input, session=served.session)

    def part(self, whole: State, place: int) -> State:
        """What commits write, the inputs, or what was served."""
        if place == 0:
            return replace(whole, turn_input=InputState(), session=SessionState())
        return State(turn_input=whole.turn_input) if place == 1 else State(session=whole.session)

    def shadow(self, part: State, place: int) -> State:
        """Whether there was a commit."""
        return State(commit=COMMITTED_ONCE) if part.commit.head else State()

    def situation(self, state: State, name: str, now: int) -> str:
        """What there is to remove."""
        if name == INPUTS:
            rows = state.turn_input.rows.values()
            return f"{sum(map(len, rows))} inputs, {sum(len(each.open) for each in rows)} open"
        if name == SERVED:
            return ", ".join(state.session.scopes) or "nothing served"
        blobs = len({ref for _, ref in state.commit.blobs} | set(state.commit.checkpoints))
        return f"{graph_in_words(state)}, {blobs} blobs"


NAMES = _, INPUTS, SERVED = ("the commits", "the inputs", "what was served")


def _on_inputs(sessions: Sequence[str]) -> Iterator[Call]:
    """Inputs submitted and listed; where they are of several sessions, cancelled too."""
    for name in sessions:
        yield _submitted(name)
        if len(sessions) > 1:
            yield _cancelled(name)
        yield Call("list_pending_turn_inputs", (name,))


def _submitted(session_id: str) -> Call:
    draft = DRAFTS[3]
    return Call(
        ENQUEUE, (PendingTurnInputDraft(session_id=session_id, source_key="k", ingress=draft.ingress, input=draft.input),)
    )


def _cancelled(session_id: str) -> Call:
    return Call("cancel_pending_turn_inputs", (session_id, (SourceKey("k"),)))
