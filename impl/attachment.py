"""The attachment manifest, in one table with one row per attachment id."""

from __future__ import annotations

from collections.abc import Sequence

from ..spec import AttachmentIntent, AttachmentManifest, AttachmentManifestEntry
from .engine import Engine, Statement, guarding, one_of
from .store import DuckDBStore

# recorded again, an attachment keeps its session and its stamp, and its time never goes back (ATT-2, ATT-2a)
RECORD = Statement(
    "record the attachment",
    f"""{guarding("attachments")} INSERT INTO attachments VALUES (?, ?, ?, ?, NULL) ON CONFLICT (attachment_id) DO UPDATE
    SET canonical_uri = excluded.canonical_uri, intent_at = greatest(intent_at, excluded.intent_at)""",
)
LIST_UNCOMMITTED = Statement(
    "list the uncommitted attachments",
    """SELECT attachment_id, session_id, canonical_uri, intent_at FROM attachments
    WHERE committed_at IS NULL AND intent_at <= ? ORDER BY intent_at, attachment_id""",
)
FORGET = Statement("forget the attachment", f"{guarding('attachments')} DELETE FROM attachments WHERE attachment_id = ?")


def stamping(session_id: str, attachment_ids: Sequence[str], now: int) -> tuple[Statement, list[object]]:
    """The statement that stamps the session's attachments among these; the first stamp stays (ATT-3, COMMIT-31)."""
    listed, ids = one_of(attachment_ids, "VARCHAR")
    sql = f"""{guarding("attachments")} UPDATE attachments SET committed_at = ? WHERE attachment_id IN {listed}
        AND CASE WHEN session_id = ? AND committed_at IS NULL THEN true ELSE false END"""
    return Statement("stamp the attachments", sql), [now, *ids, session_id]


def stamp(engine: Engine, session_id: str, attachment_ids: Sequence[str], now: int) -> None:
    """Stamp, as a part of a commit."""
    engine.execute(*stamping(session_id, attachment_ids, now))


class DuckDBAttachmentManifest(DuckDBStore, AttachmentManifest):
    """The four calls of the manifest, each of them one statement."""

    def record_intent(self, intent: AttachmentIntent) -> None:
        """See `AttachmentManifest`. One statement."""
        row = (intent.attachment_id, intent.session_id, intent.canonical_uri, intent.intent_at_epoch_ms)
        self._engine.once(RECORD, row)

    def commit_refs(self, session_id: str, attachment_ids: tuple[str, ...]) -> None:
        """See `AttachmentManifest`. One statement; none without ids."""
        engine = self._engine
        if attachment_ids:
            engine.once(*stamping(session_id, attachment_ids, self._now()))

    def list_uncommitted(self, older_than_epoch_ms: int) -> tuple[AttachmentManifestEntry, ...]:
        """See `AttachmentManifest`. One statement; ordered by time, then id (ATT-5)."""
        rows = self._engine.once(LIST_UNCOMMITTED, (older_than_epoch_ms,))
        return tuple(AttachmentManifestEntry(*row) for row in rows)

    def forget(self, attachment_id: str) -> None:
        """See `AttachmentManifest`. One statement."""
        self._engine.once(FORGET, (attachment_id,))
