"""The output log in small: one list, which everybody's records are in."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from fencepost.model import State
from fencepost.spec import Artifact, FileRef, Final, Inline, Json, OutputEvent, OutputRef, Partial, Progress

from ..checker import Call
from ..scope import Attempt, Bounds, Instant, Scope

ATTEMPTS = (("t", 1), ("t", 0))
PRODUCERS = ("writer", "report")
EVENTS: tuple[OutputEvent, ...] = (
    Progress("draft"),
    Partial(Inline(Json({"n": [1, 1.0]}))),
    Artifact("report", FileRef("/out/report.md")),
    Final(Inline(Json(None)), True),
)
NOWHERE = OutputRef("out-ffffffffff")


class OutputScope(Scope):
    """Every kind of event of every producer, with and without parents, and the three ways to find it."""

    chapter = "output"
    default = Bounds(rows=2)
    suite = Bounds(rows=1)
    uses = ("rows",)

    def within(self, part: State, place: int) -> bool:
        """So many records."""
        return len(part.output.records) <= self.bounds.rows

    def attempts(self, part: State, place: int, instant: Instant) -> Iterable[Attempt]:
        """Appends, and reads of what is there and of what is not. The model mints the ids: one is as good as another."""
        known = [record.id for record in part.output.records]
        parents = ((), (NOWHERE,), *(((known[0],), (known[0], known[0])) if known else ()))
        for key, producer, event, refs in product(ATTEMPTS, PRODUCERS, EVENTS, parents):
            yield Attempt(Call("output.append", (*key, producer, event, refs)))
        yield from (Attempt(Call("get", (each,))) for each in (*known, NOWHERE))
        yield from (Attempt(Call("get_latest_by_name", (name,))) for name in (*PRODUCERS, "nobody"))
        yield from (Attempt(Call("list_for_attempt", key)) for key in (*ATTEMPTS, ("nothing", 1)))

    def situation(self, state: State, name: str, now: int) -> str:
        """What the newest record is, and how many there are."""
        records = state.output.records
        kinds = [type(record.event).__name__ for record in records]
        return " then ".join(kinds) or "empty"
