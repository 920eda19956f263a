"""The attachment manifest in small: two attachments, recorded by either session, stamped, listed and forgotten.

Each attachment is a part, and whether lists told of any is one more. No part shows anything to calls on others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from fencepost.model import State
from fencepost.model.records.attachment import Attachment, AttachmentState
from fencepost.spec import AttachmentIntent
from immutables import Map
from msgspec.structs import replace

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
        self.ids = tuple(f"a{number}" for number in range(1, self.bounds.rows + 1))
        self.names = (*self.ids, "the lists")
        self._attempts: dict[tuple[int, ...], list[Attempt]] = {}
        for attempt in self._tried():
            self._attempts.setdefault(self._reach(attempt.call), []).append(attempt)

    @property
    def reaches(self) -> tuple[tuple[int, ...], ...]:
        """Each attachment alone, what no call on an attachment touches, all attachments, and all there is."""
        return tuple(self._attempts)

    def begin(self) -> tuple[State, ...]:
        """No attachment."""
        return (State(),) * len(self.names)

    def joined(self, parts: Sequence[State]) -> State:
        """One manifest of all attachments."""
        entries, forgotten, uncommitted = dict[str, Attachment](), dict[str, bool](), dict[str, bool]()
        for part in parts:
            entries.update(part.attachment.entries)
            forgotten.update(part.attachment.forgotten)
            uncommitted.update(part.attachment.uncommitted)
        return State(attachment=AttachmentState(Map(entries), Map(forgotten), parts[-1].attachment.keeps, Map(uncommitted)))

    def part(self, whole: State, place: int) -> State:
        """One attachment, or what lists told."""
        name, manifest = self.names[place], whole.attachment
        known = manifest.entries.get(name)
        part = AttachmentState(keeps=None if name in self.ids else manifest.keeps)
        if name in manifest.forgotten:
            part = replace(part, forgotten=Map({name: True}))
        return replace(whole, attachment=part.having(name, known) if known else part)

    def shadow(self, part: State, place: int) -> State:
        """Nothing."""
        return State()

    def attempts(self, part: State, place: int, instant: Instant) -> Iterable[Attempt]:
        """All four calls, of attachments that are there and of one that is not: the same in every state."""
        return self._attempts[self.reaches[place]]

    def _reach(self, call: Call) -> tuple[int, ...]:
        """The places of what a call names; a list names everything."""
        *_, named = call.arguments
        lists = len(self.ids)
        match named:
            case AttachmentIntent(attachment_id=each) | str(each):
                found: tuple[object, ...] = (each,)
            case tuple():
                found = named
            case _:
                return tuple(range(lists + 1))
        return tuple(place for place, each in enumerate(self.ids) if each in found) or (lists,)

    def _tried(self) -> Iterator[Attempt]:
        ids = self.ids
        for each, session, uri, at in product(ids, SESSIONS, URIS, TIMES):
            yield Attempt(Call("record_intent", (AttachmentIntent(each, session, uri, at),)))
        for session, some in product((*SESSIONS, "s3"), ((), ids[:1], ids, ("nothing", *ids[-1:], *ids[-1:]))):
            yield Attempt(Call("commit_refs", (session, some)))
        yield from (Attempt(Call("list_uncommitted", (until,))) for until in (0, TIMES[0] - 1, *TIMES))
        yield from (Attempt(Call("forget", (each,))) for each in (*ids, "nothing"))

    def situation(self, state: State, name: str, now: int) -> str:
        """What has become of an attachment, or whether lists told of any."""
        manifest = state.attachment
        known = manifest.entries.get(name)
        if name not in self.ids:
            return f"{name} told of {'nothing' if manifest.keeps is None else 'some'}"
        if known is None:
            return f"{name} {'forgotten' if name in manifest.forgotten else 'unknown'}"
        return f"{name} {'stamped' if known.committed else 'intended'}"
