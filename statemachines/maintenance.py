"""Rules of the maintenance chapter: nodes hidden, revived and removed; blobs collected between any two commits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fencepost.model import Refused
from fencepost.spec import Append, HydratedSessionCheckpoint, ReplaceFull, SessionGraph, ToolState
from hypothesis.stateful import rule
from msgspec.structs import replace

from .checker import Call
from .commit import EXECUTIONS, NODES, PARENTS, PLUGINS, READS, TOOLS
from .draws import ANY, mixed
from .lease import BAD_TEXTS
from .session import SessionRules

AFTER_HIDING = ("nothing", "revive", "revive", "replace", "replace", "vacuum", "vacuum", "hide again", "reopen", "reopen")


class MaintenanceRules(SessionRules):
    """Tombstones, vacuum and collection, over whatever commits have written."""

    def touches(self, call: Call) -> Iterable[Call]:
        """Maintenance is seen in both scopes."""
        yield from super().touches(call)
        if call.operation in ("tombstone_nodes", "vacuum", "gc_unreachable"):
            yield from READS

    @rule(drawn=mixed(range(4), NODES, NODES, (*NODES, "nowhere")))
    def tombstone_nodes(self, drawn: tuple[Any, ...]) -> None:
        """Hide some nodes, perhaps one twice, or one that nobody stored."""
        count, *ids = drawn
        self.perform("tombstone_nodes", tuple(ids[:count]))

    @rule()
    def vacuum(self) -> None:
        """Remove what is dead, and then nothing more."""
        self.perform("vacuum")
        self.perform("vacuum")

    @rule()
    def gc_unreachable(self) -> None:
        """Collect what the head does not name."""
        self.perform("gc_unreachable")

    @rule(drawn=mixed(ANY, PARENTS, ("n1", "n2", "n3"), AFTER_HIDING, AFTER_HIDING, ("n3", "n3", "n2", None)))
    def hide(self, drawn: tuple[Any, ...]) -> None:
        """A path is committed, one of its nodes hidden, and then revived, or replaced, or removed."""
        index, parent, hidden, first, second, leaf = drawn
        leaf = leaf or hidden
        lease = self.lease_to_commit_under("held", index, "exact")
        nodes = tuple(self.node(node_id, before, index) for node_id, before in (("n1", parent), ("n2", "n1"), ("n3", "n2")))
        self.commit(self.plain(lease, Append(nodes, leaf)))
        self.perform("tombstone_nodes", (hidden,))
        self.perform("load_node", hidden)
        for what in (first, second):
            if what == "vacuum":
                self.vacuum()
            elif what == "reopen" and self.setup.reopens:
                self.move("reopen")
            elif what == "hide again":
                self.perform("tombstone_nodes", (hidden, hidden, "nowhere"))
            elif what in ("revive", "replace"):
                shape = (
                    Append((self.node(hidden, None, index + 1),), leaf)
                    if what == "revive"
                    else ReplaceFull(SessionGraph(nodes, leaf))
                )
                self.commit(self.plain(self.lease_to_commit_under("held", index, "exact"), shape))
        self.perform("load_node", hidden)

    @rule(drawn=mixed(ANY, TOOLS, PLUGINS, EXECUTIONS, ("keep", "keep", "drop", "back"), (True, False)))
    def collect(self, drawn: tuple[Any, ...]) -> None:
        """Two checkpoints are committed, the second keeping parts of the first by ref or not; then the rest is collected."""
        index, tool, plugin, execution, second, twice = drawn
        number = len(self.memory.calls)
        lease = self.lease_to_commit_under("held", index, "exact")
        first = HydratedSessionCheckpoint(
            tool_state=tool or ToolState(number), plugin_snapshot=plugin, execution_state=execution
        )
        self.commit(replace(self.plain(lease, Append()), checkpoint=first))
        head = self.state.commit.head
        if head is None:
            return
        refs = {f"{kind}_ref": part.ref for kind, part in head.parts.items()} if second != "drop" else {}
        kept = replace(HydratedSessionCheckpoint(plugin_snapshot_revision=number), **refs)
        if second == "back":
            self.commit(replace(self.plain(lease, Append()), checkpoint=HydratedSessionCheckpoint(plugin_snapshot_revision=0)))
            self.perform("gc_unreachable")
        self.commit(replace(self.plain(lease, Append()), checkpoint=kept))
        self.perform("gc_unreachable")
        if twice:
            self.perform("gc_unreachable")

    @rule(drawn=mixed(BAD_TEXTS))
    def bad_maintenance_argument(self, drawn: tuple[object]) -> None:
        """Call with what no call of maintenance may accept."""
        assert isinstance(self.perform("tombstone_nodes", drawn), Refused)
