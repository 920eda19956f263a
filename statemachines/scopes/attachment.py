"""The attachment manifest in small: some attachments, recorded by either session, stamped, listed and forgotten.

Each attachment is a part, and whether it was ever forgotten is a part of its own, which no stamp and no list looks at. Whether
lists told of any is one more. No part shows anything to calls on others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TypeVar

from fencepost.model import State
from fencepost.model.records.attachment import Attachment, AttachmentState
from fencepost.spec import AttachmentIntent
from immutables import Map
from msgspec.structs import replace

from ..checker import Call
from ..scope import Attempt, Bounds, SteadyScope

T = TypeVar("T")

SESSIONS = ("s1", "s2")
URIS = ("uri:1", "uri:2")
TIMES = (10, 11)
LISTS = "the lists"


class AttachmentScope(SteadyScope):
    """Intents of each session under each uri, stamps of each set, lists up to each edge."""

    chapter = "attachment"
    default = Bounds(rows=3)
    suite = Bounds(rows=1)
    uses = ("rows",)

    def __init__(self, bounds: Bounds | None = None, *, canonical: bool = True) -> None:
        super().__init__(bounds, canonical=canonical)
        self.ids = tuple(f"a{number}" for number in range(1, self.bounds.rows + 1))
        self.names = (*self.ids, *map(_past, self.ids), LISTS)
        self.tried: dict[tuple[int, ...], list[Attempt]] = {}
        for attempt in self._tried():
            self.tried.setdefault(self._reach(attempt.call), []).append(attempt)

    def joined(self, parts: Sequence[State]) -> State:
        """One manifest of all attachments."""
        entries, forgotten = dict[str, Attachment](), dict[str, bool]()
        for part in parts:
            entries.update(part.attachment.entries)
            forgotten.update(part.attachment.forgotten)
        manifest = AttachmentState.of(entries)
        return State(attachment=replace(manifest, forgotten=Map(forgotten), keeps=parts[-1].attachment.keeps))

    def part(self, whole: State, place: int) -> State:
        """One attachment, its past, or what lists told: the index of those without a stamp is of the manifest."""
        manifest, (kind, at) = whole.attachment, divmod(place, len(self.ids))
        if kind == 0:
            part = AttachmentState(entries=_only(self.ids[at], manifest.entries))
        elif kind == 1:
            part = AttachmentState(forgotten=_only(self.ids[at], manifest.forgotten))
        else:
            part = AttachmentState(keeps=manifest.keeps)
        return replace(whole, attachment=part)

    def shadow(self, part: State, place: int) -> State:
        """Nothing."""
        return State()

    def _reach(self, call: Call) -> tuple[int, ...]:
        """The places of what a call names, and of its past unless it is stamped; a list names all attachments."""
        *_, named = call.arguments
        match named:
            case AttachmentIntent(attachment_id=each) | str(each):
                found: tuple[object, ...] = (each, _past(each))
            case tuple():
                found = named
            case _:
                found = (*self.ids, LISTS)
        return tuple(place for place, name in enumerate(self.names) if name in found) or (self.names.index(LISTS),)

    def _tried(self) -> Iterator[Attempt]:
        ids = self.ids
        for each, session, uri, at in product(ids, SESSIONS, URIS, TIMES):
            yield Attempt(Call("record_intent", (AttachmentIntent(each, session, uri, at),)))
        for session, some in product((*SESSIONS, "s3"), ((), ids[:1], ids, ("nothing", *ids[-1:], *ids[-1:]))):
            yield Attempt(Call("commit_refs", (session, some)))
        yield from (Attempt(Call("list_uncommitted", (until,))) for until in (0, TIMES[0] - 1, *TIMES))
        yield from (Attempt(Call("forget", (each,))) for each in (*ids, "nothing"))

    def situation(self, state: State, name: str, now: int) -> str:
        """What has become of an attachment, whether it was ever forgotten, or whether lists told of any."""
        manifest = state.attachment
        if name == LISTS:
            return f"{name} told of {'nothing' if manifest.keeps is None else 'some'}"
        if name not in self.ids:
            return f"{name}: {'forgotten once' if name in map(_past, manifest.forgotten) else 'never forgotten'}"
        known = manifest.entries.get(name)
        return f"{name} {'unknown' if known is None else 'stamped' if known.committed else 'intended'}"


def _past(name: str) -> str:
    """The part that tells whether an attachment was ever forgotten."""
    return f"the past of {name}"


def _only(name: str, kept: Map[str, T]) -> Map[str, T]:
    """What is kept of one name."""
    return Map({name: kept[name]} if name in kept else {})
