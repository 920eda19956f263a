"""The attachment manifest in small: two attachments, recorded by either session, stamped, listed and forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from fencepost.model import State
from fencepost.spec import AttachmentIntent

from ..checker import Call
from ..scope import Attempt, Bounds, Instant, Scope

SESSIONS = ("s1", "s2")
URIS = ("uri:1", "uri:2")
TIMES = (10, 11)


class AttachmentScope(Scope):
    """Intents of each session under each uri, stamps of each set, lists up to each edge."""

    chapter = "attachment"
    default = Bounds(rows=2)
    suite = Bounds(rows=1)
    uses = ("rows",)

    def __init__(self, bounds: Bounds | None = None, *, canonical: bool = True) -> None:
        super().__init__(bounds, canonical=canonical)
        self._attempts = tuple(self._tried())

    def attempts(self, part: State, place: int, instant: Instant) -> Iterable[Attempt]:
        """All four calls, of attachments that are there and of one that is not: the same in every state."""
        return self._attempts

    def _tried(self) -> Iterator[Attempt]:
        ids = tuple(f"a{number}" for number in range(1, self.bounds.rows + 1))
        for each, session, uri, at in product(ids, SESSIONS, URIS, TIMES):
            yield Attempt(Call("record_intent", (AttachmentIntent(each, session, uri, at),)))
        for session, some in product((*SESSIONS, "s3"), ((), ids[:1], ids, ("nothing", *ids[-1:], *ids[-1:]))):
            yield Attempt(Call("commit_refs", (session, some)))
        yield from (Attempt(Call("list_uncommitted", (until,))) for until in (0, TIMES[0] - 1, *TIMES))
        yield from (Attempt(Call("forget", (each,))) for each in (*ids, "nothing"))

    def situation(self, state: State, name: str, now: int) -> str:
        """How many attachments are intended, and how many stamped."""
        entries = state.attachment.entries
        stamped = sum(record.committed for record in entries.values())
        return f"{len(entries) - stamped} intended, {stamped} stamped"
