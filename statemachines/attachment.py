"""Rules of the attachment chapter: intents recorded once and again, stamped, listed at their edge, forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fencepost.model import Refused, State
from fencepost.spec import U64_MAX, AttachmentIntent
from hypothesis.stateful import rule

from .checker import Call
from .draws import ANY, mixed
from .lease import BAD_NUMBERS, BAD_TEXTS, SESSIONS
from .machine import Machine

ATTACHMENTS = ("a1", "a1", "a1", "a2", "a2", "a10", "", "A%_'\"\0é")
URIS = ("uri:1", "uri:1", "uri:2", "", "é\0'")
INSTANTS = ("now", "now", "earlier", "later", "zero", "2^53", "2^63", "end")

EVERYTHING = Call("list_uncommitted", (U64_MAX,))


class AttachmentRules(Machine):
    """The manifest."""

    def observations(self, state: State) -> Iterable[Call]:
        """Everything that nobody committed."""
        yield from super().observations(state)
        yield EVERYTHING

    def touches(self, call: Call) -> Iterable[Call]:
        """Everything that nobody committed, after calls that may stamp, record or forget."""
        yield from super().touches(call)
        if call.operation in ("record_intent", "commit_refs", "forget", "commit_runtime_state"):
            yield EVERYTHING

    def _instant(self, which: str) -> int:
        return {
            "now": self.now,
            "earlier": max(self.now - 10, 0),
            "later": self.now + 10,
            "zero": 0,
            "2^53": 2**53 + 1,
            "2^63": 2**63,
            "end": U64_MAX,
        }[which]

    @rule(drawn=mixed(ATTACHMENTS, SESSIONS, URIS, INSTANTS))
    def record_intent(self, drawn: tuple[str, str, str, str]) -> None:
        """Record an attachment, new or known, of this session or another."""
        attachment_id, session_id, uri, instant = drawn
        self.perform("record_intent", AttachmentIntent(attachment_id, session_id, uri, self._instant(instant)))

    @rule(drawn=mixed(SESSIONS, range(4), ATTACHMENTS, ATTACHMENTS, (*ATTACHMENTS, "nothing")))
    def commit_refs(self, drawn: tuple[Any, ...]) -> None:
        """Stamp some, perhaps one twice, or one of another session, or one that nobody recorded."""
        session_id, count, *ids = drawn
        self.perform("commit_refs", session_id, tuple(ids[:count]))

    @rule(drawn=mixed(ANY, (-1, 0, 0, 1), INSTANTS))
    def list_uncommitted(self, drawn: tuple[int, int, str]) -> None:
        """List up to the edge of an intent's time, or up to any instant."""
        index, beside, instant = drawn
        times = sorted(record.intent_at for record in self.state.attachment.entries.values())
        until = times[index % len(times)] + beside if times and index % 3 else self._instant(instant)
        self.perform("list_uncommitted", max(0, min(until, U64_MAX)))

    @rule(drawn=mixed((*ATTACHMENTS, "nothing")))
    def forget(self, drawn: tuple[str]) -> None:
        """Forget one, stamped or not."""
        self.perform("forget", *drawn)

    @rule(drawn=mixed(ATTACHMENTS, URIS, ("s", "s2"), INSTANTS, INSTANTS, (True, False, False)))
    def again(self, drawn: tuple[Any, ...]) -> None:
        """Record, stamp, record again, and forget: what was stamped stays so until it is forgotten."""
        attachment_id, uri, other, first, second, reopened = drawn
        self.perform("record_intent", AttachmentIntent(attachment_id, "s", uri, self._instant(first)))
        self.perform("commit_refs", other, (attachment_id, attachment_id))
        self.perform("record_intent", AttachmentIntent(attachment_id, other, "uri:3", self._instant(second)))
        if reopened and self.setup.reopens:
            self.move("reopen")
        for _ in range(2):
            self.perform("commit_refs", "s", (attachment_id,))
        self.perform("record_intent", AttachmentIntent(attachment_id, "s3", uri, self._instant(first)))
        self.perform("forget", attachment_id)
        self.perform("commit_refs", "s", (attachment_id,))
        self.perform("forget", attachment_id)
        self.perform("record_intent", AttachmentIntent(attachment_id, "s", uri, self._instant(second)))

    @rule(drawn=mixed(BAD_NUMBERS, BAD_TEXTS, range(4)))
    def bad_attachment_argument(self, drawn: tuple[object, object, int]) -> None:
        """Call with what no call of the manifest may accept."""
        number, text, which = drawn
        calls: tuple[tuple[object, ...], ...] = (
            ("list_uncommitted", number),
            ("forget", text),
            ("commit_refs", "s", (text,)),
            ("record_intent", text),
        )
        operation, *arguments = calls[which]
        assert isinstance(self.perform(str(operation), *arguments), Refused)
