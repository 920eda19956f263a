"""One recorded attachment: its transitions, and the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeAlias, TypeVar

import msgspec
from immutables import Map

from ..contracts import ensure

S = TypeVar("S")
U = TypeVar("U")


@dataclass(frozen=True, slots=True)
class AttachmentRecord(Generic[S, U]):
    """Whose attachment it is, where its bytes are, since when it is intended, and whether it was committed."""

    session: S
    uri: U
    intent_at: int
    committed: bool


@ensure(
    lambda record, result: result.committed == record.committed, "ATT-2", "a stamp stays when the attachment is recorded again"
)
@ensure(
    lambda record, result: result.intent_at >= record.intent_at and result.session == record.session,
    "ATT-2a",
    "an attachment stays with its first session, and its time never goes back",
)
@ensure(
    lambda intent_at, uri, result: result.intent_at >= intent_at and result.uri == uri,
    "ATT-2a",
    "the newest uri and time count",
)
def recorded_again(record: AttachmentRecord[S, U], uri: U, intent_at: int) -> AttachmentRecord[S, U]:
    """The attachment under its newest uri and time; its stamp and its session stay."""
    return replace(record, uri=uri, intent_at=max(record.intent_at, intent_at))


@ensure(lambda record, result: not record.committed or result == record, "ATT-INV-2", "what is stamped stays as it is")
@ensure(
    lambda record, session, result: result.committed == (record.committed or record.session == session),
    "ATT-3",
    "a session stamps its own attachments, and no others",
)
def committed(record: AttachmentRecord[S, U], session: S) -> AttachmentRecord[S, U]:
    """The attachment stamped, if it is the session's."""
    return replace(record, committed=True) if record.session == session else record


@ensure(
    lambda record, until, result: result == (not record.committed and record.intent_at <= until),
    "ATT-4",
    "exactly what nobody committed by that instant is orphaned",
)
def orphaned(record: AttachmentRecord[S, U], until: int) -> bool:
    """Whether nobody has committed the attachment, and it was recorded by that instant."""
    return not record.committed and record.intent_at <= until


Attachment: TypeAlias = AttachmentRecord[str, str]


class AttachmentState(msgspec.Struct, frozen=True, cache_hash=True):
    """The manifest, the ids that were ever forgotten (ATT-6), and whether the store was seen to keep any, or not to (ATT-8).

    `uncommitted` are the ids of the entries without a stamp.
    """

    entries: Map[str, Attachment] = Map()
    forgotten: Map[str, bool] = Map()
    keeps: bool | None = None
    uncommitted: Map[str, bool] = Map()

    @classmethod
    def of(cls, entries: Mapping[str, Attachment]) -> AttachmentState:
        """A manifest of these entries."""
        manifest = cls()
        for attachment_id, record in entries.items():
            manifest = manifest.having(attachment_id, record)
        return manifest

    def having(self, attachment_id: str, record: Attachment) -> AttachmentState:
        """The manifest with this entry, in place of one with its id."""
        uncommitted = self.uncommitted.set(attachment_id, True)
        if record.committed:
            uncommitted = uncommitted.delete(attachment_id)
        return msgspec.structs.replace(self, entries=self.entries.set(attachment_id, record), uncommitted=uncommitted)

    def without(self, attachment_id: str) -> AttachmentState:
        """The manifest without this entry, which it has."""
        uncommitted = self.uncommitted.set(attachment_id, True).delete(attachment_id)
        forgotten = self.forgotten.set(attachment_id, True)
        entries = self.entries.delete(attachment_id)
        return msgspec.structs.replace(self, entries=entries, uncommitted=uncommitted, forgotten=forgotten)
