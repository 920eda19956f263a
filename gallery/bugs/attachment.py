"""Faults in the attachment manifest, and in what commits stamp."""

from __future__ import annotations

from typing import Any

from fencepost.impl import attachment, commit
from fencepost.spec import AttachmentIntent, AttachmentManifestEntry, RuntimeCommit, StoreError

from ..kinds import Kind
from ..planting import Patch, ask, bug, per_run, reworded, sent_otherwise, wrap


@bug("ATT-2", Kind.lost_update, also=("ATT-INV-2",))
def stamp_cleared_by_recording(patch: Patch) -> None:
    """To record an attachment again clears its stamp."""
    reworded(patch, attachment, "RECORD", "SET canonical_uri", "SET committed_at = NULL, canonical_uri")


@bug("ATT-INV-1", Kind.leak)
def entry_for_each_session(patch: Patch) -> None:
    """An attachment that another session records again is listed for both."""
    seconds = per_run(lambda: dict[str, AttachmentIntent]())

    def record(original: Any, store: Any, intent: AttachmentIntent) -> None:
        rows = ask(store, "SELECT session_id FROM attachments WHERE attachment_id = ?", intent.attachment_id)
        if rows and rows[0][0] != intent.session_id:
            seconds(store)[intent.attachment_id] = intent
        else:
            original(store, intent)

    def listing(original: Any, store: Any, older_than: int) -> Any:
        entries = original(store, older_than)
        more = [
            AttachmentManifestEntry(each.attachment_id, each.session_id, each.canonical_uri, each.intent_at_epoch_ms)
            for each in seconds(store).values()
            if each.intent_at_epoch_ms <= older_than
        ]
        return (*entries, *more)

    wrap(patch, "record_intent", record)
    wrap(patch, "list_uncommitted", listing)


@bug("COMMIT-31", Kind.leak, "attachment")
def refs_of_any_session_committed(patch: Patch) -> None:
    """Committing refs stamps attachments of whatever session."""
    sent_otherwise(patch, "stamp the attachments", "session_id = ?", "concat(?, 'any') <> ''")


@bug("ATT-3", Kind.stuck, also=("ATT-1",))
def unknown_ref_remembered(patch: Patch) -> None:
    """An unknown id that was committed has its stamp from the moment it is recorded."""
    unknown = per_run(lambda: set[tuple[str, str]]())

    def refs(original: Any, store: Any, session_id: str, ids: tuple[str, ...]) -> None:
        original(store, session_id, ids)
        known = {each for (each,) in ask(store, "SELECT attachment_id FROM attachments")}
        unknown(store).update((session_id, each) for each in ids if each not in known)

    def record(original: Any, store: Any, intent: AttachmentIntent) -> None:
        original(store, intent)
        if (intent.session_id, intent.attachment_id) in unknown(store):
            store.commit_refs(intent.session_id, (intent.attachment_id,))

    wrap(patch, "commit_refs", refs)
    wrap(patch, "record_intent", record)


@bug("ATT-4", Kind.edge)
def list_without_the_bound(patch: Patch) -> None:
    """The list of uncommitted attachments leaves out intents of the very instant that it is asked for."""
    reworded(patch, attachment, "LIST_UNCOMMITTED", "intent_at <= ?", "intent_at < ?")


@bug("ATT-4", Kind.leak)
def list_by_recording_session(patch: Patch) -> None:
    """The list of uncommitted attachments shows those of the session that has recorded first."""
    first = "session_id = (SELECT session_id FROM attachments ORDER BY rowid LIMIT 1)"
    reworded(patch, attachment, "LIST_UNCOMMITTED", "committed_at IS NULL", f"committed_at IS NULL AND {first}")


@bug("ATT-6", Kind.refusal)
def stamped_not_forgotten(patch: Patch) -> None:
    """An attachment that is stamped cannot be forgotten."""
    reworded(patch, attachment, "FORGET", "attachment_id = ?", "attachment_id = ? AND committed_at IS NULL")


@bug("ATT-9", Kind.overflow)
def times_compared_as_signed(patch: Patch) -> None:
    """Times of 2^63 and more are taken for negative where they are compared."""

    def turned(number: str) -> str:
        return f"({number}::HUGEINT + 9223372036854775808) % 18446744073709551616"

    reworded(patch, attachment, "LIST_UNCOMMITTED", "intent_at <= ?", f"{turned('intent_at')} <= {turned('?')}")


@bug("COMMIT-31", Kind.leak)
def commit_stamps_other_sessions(patch: Patch) -> None:
    """A commit stamps attachments of whatever session."""

    def stamp(engine: Any, session_id: str, ids: Any, now: int) -> None:
        statement, values = attachment.stamping(session_id, ids, now)
        engine.execute(statement._replace(sql=statement.sql.replace("session_id = ?", "concat(?, 'any') <> ''")), values)

    patch.setattr(commit, "stamp_attachments", stamp)


@bug("VALUE-7", Kind.half, "attachment")
def refused_commit_stamps(patch: Patch) -> None:
    """A commit that is refused stamps its attachments all the same."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        try:
            return original(store, given)
        except StoreError:
            store.commit_refs(given.session_id, given.committed_attachment_ids)
            raise

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-31", Kind.retry)
def replay_stamps(patch: Patch) -> None:
    """A replay stamps the attachments that it carries."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        result = original(store, given)
        store.commit_refs(given.session_id, given.committed_attachment_ids)
        return result

    wrap(patch, "commit_runtime_state", around)
