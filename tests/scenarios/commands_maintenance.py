"""Commands of the chapters on maintenance and attachments: tombstone, vacuum, gc; record, stamp, uncommitted, forget."""

from __future__ import annotations

from collections.abc import Iterator

from commands import Commands, number
from fencepost.spec import AttachmentIntent


class MaintenanceCommands(Commands):
    """What a host does beside the turns."""

    def do_tombstone(self, words: list[str]) -> Iterator[str]:
        """`tombstone [NODE ...]`."""
        self.store.tombstone_nodes(tuple(words))
        yield "ok"

    def do_vacuum(self, words: list[str]) -> Iterator[str]:
        """`vacuum`."""
        report = self.store.vacuum()
        yield f"removed: nodes {report.removed_node_count}, inputs {report.removed_pending_turn_input_tombstone_count}"

    def do_gc(self, words: list[str]) -> Iterator[str]:
        """`gc`."""
        report = self.store.gc_unreachable()
        yield f"roots {report.root_count}, retained {report.retained_blob_count}, deleted {report.deleted_blob_count}"

    def do_record(self, words: list[str]) -> Iterator[str]:
        """`record SESSION ATTACHMENT at=INSTANT [uri=URI]`."""
        session, attachment, instant, *uri = words
        place = uri[0].removeprefix("uri=") if uri else f"at:{attachment}"
        self.store.record_intent(AttachmentIntent(attachment, session, place, number(instant)))
        yield "ok"

    def do_stamp(self, words: list[str]) -> Iterator[str]:
        """`stamp SESSION [ATTACHMENT ...]`."""
        session, *attachments = words
        self.store.commit_refs(session, tuple(attachments))
        yield "ok"

    def do_uncommitted(self, words: list[str]) -> Iterator[str]:
        """`uncommitted until=INSTANT`."""
        for entry in self.store.list_uncommitted(number(words[0])):
            stamp = "" if entry.committed_at_epoch_ms is None else f", stamped at {entry.committed_at_epoch_ms}"
            yield f"{entry.attachment_id} of {entry.session_id}, {entry.canonical_uri}, at {entry.intent_at_epoch_ms}{stamp}"

    def do_forget(self, words: list[str]) -> Iterator[str]:
        """`forget ATTACHMENT`."""
        self.store.forget(words[0])
        yield "ok"
