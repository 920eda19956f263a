"""Rules of the session chapter: reads in both scopes, nodes, metadata, and arguments that no call may accept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fencepost.model import State
from fencepost.spec import ActivePath, Child, FullGraph, Json, Root, SessionMeta
from hypothesis.stateful import rule

from .checker import Call
from .commit import NODES, CommitRules
from .draws import mixed

METAS = tuple(
    SessionMeta(session_id, name, "2026-01-01", model, cwd, relation)
    for session_id, name, model, cwd, relation in (
        ("s", "s", "m", None, Root()),
        ("s", "", "", "/tmp", Child("parent", Json({"call": 1}))),
        ("s2", "é\0'", "m", "", Child("")),
        ("", "x", "m", None, Root()),
    )
)

BAD_CALLS: tuple[Call, ...] = (
    Call("load_node", (None,)),
    Call("load_node", (b"n1",)),
    Call("load_node", ("\ud800",)),
    Call("load_session", ("FullGraph",)),
    Call("load_session", (None,)),
    Call("save_session_meta", (None,)),
    Call("save_session_meta", ({"session_id": "s"},)),
    Call("commit_runtime_state", (None,)),
    Call("commit_runtime_state", (Json({}),)),
)
"""What the signatures do not admit."""


class SessionRules(CommitRules):
    """Reads and metadata, over whatever commits have written."""

    def touches(self, call: Call) -> Iterable[Call]:
        """Saved metadata is loaded again."""
        yield from super().touches(call)
        if call.operation == "save_session_meta":
            yield Call("load_session_meta")

    def observations(self, state: State) -> Any:
        """The session in both scopes, and the metadata."""
        yield from super().observations(state)
        yield Call("load_session_meta")

    @rule(drawn=mixed(("path", "full", "path to", "path to"), (*NODES, "", "", "c11", "nowhere")))
    def load_session(self, drawn: tuple[str, str]) -> None:
        """Read the whole graph, the active path, or the path to any node."""
        scope, node_id = drawn
        self.perform("load_session", FullGraph() if scope == "full" else ActivePath(node_id if scope == "path to" else None))

    @rule(drawn=mixed((*NODES, "nowhere")))
    def load_node(self, drawn: tuple[str]) -> None:
        """Read one node."""
        self.perform("load_node", *drawn)

    @rule(drawn=mixed(METAS))
    def save_session_meta(self, drawn: tuple[SessionMeta]) -> None:
        """Replace the metadata."""
        self.perform("save_session_meta", *drawn)

    @rule()
    def load_session_meta(self) -> None:
        """Read the metadata."""
        self.perform("load_session_meta")

    @rule()
    def durability_tier(self) -> None:
        """Ask what the store promises."""
        self.perform("durability_tier")

    @rule(drawn=mixed(BAD_CALLS))
    def bad_argument(self, drawn: tuple[Call]) -> None:
        """Call with what the signature does not admit."""
        self.perform(drawn[0].operation, *drawn[0].arguments)
