"""The attachment manifest: a write-ahead list of attachments, so that bytes nobody committed can be found and removed.

Before its bytes are written an attachment is recorded as an intent; a commit, or the session, stamps it; what stays without a
stamp for long is an orphan. Times are epoch milliseconds.
"""

from __future__ import annotations

from abc import abstractmethod

import icontract

from .contracts import ensures, operation
from .values import U64, Record


class AttachmentIntent(Record, frozen=True):
    """An attachment that is about to be written. `canonical_uri` is opaque; the time is the caller's."""

    attachment_id: str
    session_id: str
    canonical_uri: str
    intent_at_epoch_ms: U64


class AttachmentManifestEntry(Record, frozen=True):
    """A recorded attachment, and when it was committed, if it was."""

    attachment_id: str
    session_id: str
    canonical_uri: str
    intent_at_epoch_ms: U64
    committed_at_epoch_ms: U64 | None = None


class AttachmentManifest(icontract.DBC):
    """The four calls of the manifest."""

    @abstractmethod
    @operation
    def record_intent(self, intent: AttachmentIntent) -> None:
        """Record an attachment as uncommitted, or again as what it is. Raises `InvalidArgument`, `Backend`.

        Requirements: ATT-1, ATT-2.
        """

    @abstractmethod
    @operation
    def commit_refs(self, session_id: str, attachment_ids: tuple[str, ...]) -> None:
        """Stamp the session's attachments among these as committed now; the first stamp stays.

        Raises `InvalidArgument`, `Backend`. Requirement: ATT-3.
        """

    @abstractmethod
    @ensures(
        lambda result, older_than_epoch_ms: all(
            entry.committed_at_epoch_ms is None and entry.intent_at_epoch_ms <= older_than_epoch_ms for entry in result
        ),
        "ATT-4",
    )
    @ensures(lambda result: len({entry.attachment_id for entry in result}) == len(result), "ATT-INV-1")
    @operation
    def list_uncommitted(self, older_than_epoch_ms: U64) -> tuple[AttachmentManifestEntry, ...]:
        """The attachments of all sessions without a stamp, recorded at that instant or before; in no promised order.

        Raises `InvalidArgument`, `Backend`. Requirements: ATT-4, ATT-5.
        """

    @abstractmethod
    @operation
    def forget(self, attachment_id: str) -> None:
        """Remove the attachment from the manifest, whoever's it is, stamped or not. Raises `InvalidArgument`, `Backend`.

        Requirement: ATT-6.
        """
