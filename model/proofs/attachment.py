"""The manifest of attachments: what follows for one of them, and which are listed."""

from __future__ import annotations

from itertools import product

from fencepost.spec import AttachmentManifestEntry
from fencepost.spec.liveness import Alive

from .. import attachment as calls
from ..contracts import ensure
from ..records.attachment import Attachment, AttachmentRecord, AttachmentState, committed, orphaned, recorded_again
from ..state import State
from ..step import Ports
from .exhaustion import exhausted, subsets

Recorded = AttachmentRecord[int, int]


@ensure(lambda result: not result, "ATT-INV-2", "what was stamped once is never listed again, recorded again or not")
def listed_after_its_stamp(record: Recorded, uri: int, intent_at: int, until: int) -> bool:
    """Whether an attachment is uncommitted, at any instant, after its session stamped it and it was recorded again."""
    return orphaned(recorded_again(committed(record, record.session), uri, intent_at), until)


@ensure(lambda result: not result, "ATT-INV-2", "a later instant lists all that an earlier one does")
def forgotten_later(record: Recorded, until: int, later: int) -> bool:
    """Whether an attachment is uncommitted as of an instant, and not as of a later one."""
    return later >= until and orphaned(record, until) and not orphaned(record, later)


@ensure(lambda one, two, result: result == max(one, two), "ATT-2a", "the order of two recordings does not matter to its time")
def time_of_two(record: Recorded, one: int, two: int) -> int:
    """The time of an attachment that was recorded at 0, and twice more."""
    first = AttachmentRecord(record.session, record.uri, min(one, two), record.committed)
    return recorded_again(recorded_again(first, 0, one), 0, two).intent_at


PORTS = Ports(5, lambda pid, start: Alive.unknown)
IDS = ("a", "b", "c")
ENTRIES: tuple[Attachment | None, ...] = (
    None,
    *(AttachmentRecord(session, "uri", at, done) for session, at, done in product("st", (1, 2), (False, True))),
)
Entries = tuple[Attachment | None, ...]


def _state_of(entries: Entries) -> State:
    there = {each: record for each, record in zip(IDS, entries, strict=True) if record is not None}
    return State(attachment=AttachmentState.of(there))


@exhausted(
    "exactly what nobody committed by an instant is listed, by time and id",
    "ATT-4",
    "ATT-5",
    "ATT-INV-1",
    scope="all manifests of up to 3 attachments of 2 sessions and 2 times, stamped or not, at 4 instants",
    cases=lambda: product(product(ENTRIES, repeat=len(IDS)), range(4)),
)
def the_list_is_exact(entries: Entries, until: int) -> bool:
    """The list, in its order."""
    step, *_ = calls.list_uncommitted(_state_of(entries), PORTS, until)
    wanted = [
        AttachmentManifestEntry(each, record.session, record.uri, record.intent_at)
        for at in (1, 2)
        for each, record in zip(IDS, entries, strict=True)
        if record is not None and not record.committed and record.intent_at == at <= until
    ]
    return step.answer == tuple(wanted)


@exhausted(
    "a commit stamps exactly the named attachments of its session, and forgetting removes exactly one",
    "ATT-3",
    "ATT-6",
    "COMMIT-31",
    scope="all manifests of up to 3 attachments of 2 sessions and 2 times, stamped or not, and any of 3 ids",
    cases=lambda: product(product(ENTRIES, repeat=len(IDS)), subsets(IDS)),
)
def stamps_are_exact(entries: Entries, named: frozenset[str]) -> bool:
    """The manifest after a commit of refs, and after the named ones were forgotten."""
    state = _state_of(entries)
    (step,) = calls.commit_refs(state, PORTS, "s", tuple(sorted(named)))
    for each in named:
        state = calls.forget(state, PORTS, each)[0].state
    for each, record in zip(IDS, entries, strict=True):
        left = state.attachment.entries.get(each)
        stamped = step.state.attachment.entries.get(each)
        if left != (None if each in named else record):
            return False
        if record is not None and each in named and record.session == "s":
            record = AttachmentRecord(record.session, record.uri, record.intent_at, True)
        if stamped != record:
            return False
    return _indexed(step.state) and _indexed(state)


def _indexed(state: State) -> bool:
    """Whether the index names just the entries without a stamp."""
    manifest = state.attachment
    return set(manifest.uncommitted) == {each for each, record in manifest.entries.items() if not record.committed}
