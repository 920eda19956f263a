"""Faults that only show when a store is opened again: what was kept in memory alone, and what opening destroys."""

from __future__ import annotations

from typing import Any

from fencepost.impl import claim, queued_work, turn_input
from fencepost.impl.claim import SET_FREE
from fencepost.spec import AttachmentIntent, SessionMeta
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, ask, bug, on_opening, per_store, wrap


class Counter:
    """A number that grows for as long as it is kept."""

    def __init__(self) -> None:
        self.value = 0

    def next(self) -> int:
        """The next number."""
        self.value += 1
        return self.value


@bug("VALUE-9", Kind.restart, "lease")
def opening_frees_the_lanes(patch: Patch) -> None:
    """A store that is opened takes all leases for those of a process that is gone, and frees them."""
    on_opening(
        patch,
        "UPDATE leases SET owner_id = NULL, incarnation_id = NULL, liveness = NULL, lease_token = NULL, expires_at = 0",
    )


@bug("LEASE-35", Kind.restart, "lease")
def fence_restarts(patch: Patch) -> None:
    """A store that is opened forgets lanes that nobody holds, and counts their fencing tokens from 1 again."""
    on_opening(patch, "DELETE FROM leases WHERE lease_token IS NULL")


@bug("VALUE-9", Kind.restart, "turn_input")
def opening_frees_the_inputs(patch: Patch) -> None:
    """A store that is opened frees the inputs for the next turn that claims still hold."""
    on_opening(patch, f"UPDATE inputs SET {SET_FREE} WHERE state = 'deferred_next_turn'")


@bug("VALUE-9", Kind.restart, "turn_input", also=("INPUT-INV-5",))
def opening_sweeps_the_ended(patch: Patch) -> None:
    """A store that is opened removes the inputs that are over."""
    on_opening(patch, "DELETE FROM inputs WHERE state IN ('cancelled', 'completed')")


@bug("GEN-17", Kind.reused, "turn_input")
def claim_numbers_restart(patch: Patch) -> None:
    """Claims of inputs are numbered by a counter in memory: after a reopen their ids and tokens come back."""
    counter = per_store(Counter)

    def around(original: Any, store: Any, *arguments: Any) -> Any:
        granted = claim.granted

        def numbered(*facts: Any) -> Any:
            number = counter(store).next()
            return granted(*facts)._replace(claim_id=f"tic-{number}", lease_token=f"token-{number}")

        with Patch() as inner:
            inner.setattr(turn_input, "granted", numbered)
            return original(store, *arguments)

    wrap(patch, "claim_next_turn_inputs", around)


@bug("QUEUE-1", Kind.reused, "queued_work")
def batch_numbers_restart(patch: Patch) -> None:
    """Batches are named by a counter in memory: after a reopen the name of a batch that is gone comes back."""
    counter = per_store(Counter)

    def around(original: Any, store: Any, draft: Any) -> Any:
        queued = {batch_id for (batch_id,) in ask(store, "SELECT batch_id FROM batches")}

        def fresh(_number: int) -> str:
            name = f"batch-{counter(store).next()}"
            return fresh(_number) if name in queued else name

        with Patch() as inner:
            inner.setattr(queued_work, "fresh", fresh)
            return original(store, draft)

    wrap(patch, "enqueue_queued_work", around)


@bug("VALUE-9", Kind.restart, "queued_work")
def claims_counted_in_memory(patch: Patch) -> None:
    """How often a batch was claimed is forgotten where no claim holds it when the store is closed."""
    on_opening(patch, "UPDATE batches SET claim_fencing_token = 0 WHERE claim_token IS NULL")
    granted = claim.granted
    names = Counter()

    def named(*facts: Any) -> Any:
        # here the count makes claim ids: they have to stay apart all the same
        return granted(*facts)._replace(claim_id=f"qwc-{names.next()}")

    patch.setattr(queued_work, "granted", named)


@bug("VALUE-9", Kind.restart, "queued_work")
def unready_batches_not_kept(patch: Patch) -> None:
    """Batches that are not ready for long are kept in memory alone."""
    on_opening(patch, "DELETE FROM batches WHERE available_at > 9007199254740992")


@bug("VALUE-9", Kind.restart, "commit", also=("COMMIT-INV-5",))
def last_usage_not_kept(patch: Patch) -> None:
    """The usage of the last commit is written with the next one, and lost if the store is closed before."""
    on_opening(patch, "DELETE FROM usage WHERE head_revision = (SELECT max(head_revision) FROM usage)")


@bug("VALUE-9", Kind.restart, "commit")
def turns_recorded_in_memory(patch: Patch) -> None:
    """Recorded turns are known until the store is closed."""
    on_opening(patch, "DELETE FROM stamps")


@bug("META-5", Kind.restart, "session")
def metadata_in_memory(patch: Patch) -> None:
    """Metadata that replaces other metadata is kept in memory alone."""
    saved = per_store(lambda: list[SessionMeta]())

    def save(original: Any, store: Any, meta: SessionMeta) -> None:
        if store.load_session_meta() is None:
            original(store, meta)
        else:
            saved(store)[:] = [meta]

    def load(original: Any, store: Any) -> Any:
        return saved(store)[0] if saved(store) else original(store)

    wrap(patch, "save_session_meta", save)
    wrap(patch, "load_session_meta", load)


@bug("VALUE-9", Kind.restart, "maintenance")
def tombstones_not_kept(patch: Patch) -> None:
    """Tombstones that no vacuum has removed are gone when the store is opened again."""
    on_opening(patch, "UPDATE nodes SET tombstoned = false")


@bug("VALUE-9", Kind.restart, "attachment")
def stamps_not_kept(patch: Patch) -> None:
    """The stamps of attachments are kept in memory alone."""
    on_opening(patch, "UPDATE attachments SET committed_at = NULL")


@bug("VALUE-9", Kind.restart, "attachment")
def second_recording_not_kept(patch: Patch) -> None:
    """What is recorded again of an attachment is known until the store is closed."""
    firsts = per_store(lambda: dict[str, AttachmentIntent]())

    def record(original: Any, store: Any, intent: AttachmentIntent) -> None:
        known = ask(store, "SELECT * FROM attachments WHERE attachment_id = ?", intent.attachment_id)
        if known:
            firsts(store)[intent.attachment_id] = intent
        else:
            firsts(store).pop(intent.attachment_id, None)
        original(store, intent)
        if known:
            ask(store, "UPDATE attachments SET canonical_uri = ? WHERE attachment_id = ?", known[0][2], intent.attachment_id)

    def listing(original: Any, store: Any, older_than: int) -> Any:
        again = firsts(store)
        entries = original(store, older_than)
        return tuple(
            replace(each, canonical_uri=again[each.attachment_id].canonical_uri) if each.attachment_id in again else each
            for each in entries
        )

    wrap(patch, "record_intent", record)
    wrap(patch, "list_uncommitted", listing)
