"""The attachment manifest over the whole state: its four calls, and the stamps that a commit gives."""

from __future__ import annotations

from fencepost.spec import AttachmentIntent, AttachmentManifestEntry
from msgspec.structs import replace

from .records import attachment as record_level
from .records.attachment import Attachment, AttachmentRecord
from .state import State, invariant
from .step import MANIFEST, Ids, Ports, Step, Steps, Why


def record_intent(state: State, _ports: Ports, intent: AttachmentIntent) -> Steps:
    """Record an attachment, or record it again: ATT-1, ATT-2."""
    known = state.attachment.entries.get(intent.attachment_id)
    given: Attachment = AttachmentRecord(intent.session_id, intent.canonical_uri, intent.intent_at_epoch_ms, False)
    if known is None:
        afresh: Ids = ("ATT-6",) if intent.attachment_id in state.attachment.forgotten else ()
        return (_recorded(state, intent.attachment_id, given, ("ATT-1", *afresh)),)
    because: Ids = (
        *(("ATT-9",) if given.intent_at >= 2**63 else ()),
        *(("ATT-2", "ATT-INV-2") if known.committed else ()),
        *(("ATT-INV-1",) if known.session != given.session else ()),
        "ATT-2a",
        *(() if known.committed else ("ATT-2",)),
    )
    again = record_level.recorded_again(known, given.uri, given.intent_at)
    overwritten: Attachment = AttachmentRecord(given.session, given.uri, given.intent_at, known.committed)
    ours = _recorded(state, intent.attachment_id, again, because)
    # what is stamped is never listed again: there nobody can tell the ways apart
    freely = () if known.committed else tuple(each for each in (known, overwritten) if each != again)
    others = (_recorded(state, intent.attachment_id, each, because) for each in freely)
    return (ours, *(replace(step, differs=("ATT-2a",)) for step in others))


def _recorded(state: State, attachment_id: str, record: Attachment, because: Ids) -> Step:
    after = replace(state, attachment=state.attachment.having(attachment_id, record))
    # where entries are missing or too many, the list is as likely at fault
    shown: Why = (("list_uncommitted", because[:2]),)
    return Step(after, None, because, (), shown, ((MANIFEST, because[:2]),))


def _with(state: State, **changes: object) -> State:
    return replace(state, attachment=replace(state.attachment, **changes))


def commit_refs(state: State, _ports: Ports, session_id: str, attachment_ids: tuple[str, ...]) -> Steps:
    """Stamp the session's attachments: ATT-3."""
    after = stamped(state, session_id, attachment_ids)
    because = ("ATT-3", "ATT-INV-2")
    return (Step(after, None, because, (), (("list_uncommitted", because),), ((MANIFEST, because),)),)


def stamped(state: State, session_id: str, attachment_ids: tuple[str, ...]) -> State:
    """The state with the session's attachments among these stamped (COMMIT-31)."""
    manifest = state.attachment
    for each in attachment_ids:
        known = manifest.entries.get(each)
        if known and record_level.committed(known, session_id) != known:
            manifest = manifest.having(each, record_level.committed(known, session_id))
    return state if manifest is state.attachment else replace(state, attachment=manifest)


def list_uncommitted(state: State, ports: Ports, older_than_epoch_ms: int) -> Steps:
    """What nobody committed: ATT-4, ATT-5; a store without attachments keeps nothing (ATT-8)."""
    manifest = state.attachment
    found = [
        AttachmentManifestEntry(each, record.session, record.uri, record.intent_at)
        for each in manifest.uncommitted
        if record_level.orphaned(record := manifest.entries[each], older_than_epoch_ms)
    ]
    ours = tuple(sorted(found, key=lambda entry: (entry.intent_at_epoch_ms, entry.attachment_id)))
    edge = any(entry.intent_at_epoch_ms == older_than_epoch_ms for entry in ours)
    huge = older_than_epoch_ms >= 2**63
    because: Ids = ("ATT-4", *(("ATT-9",) if huge and ours else ()), "ATT-INV-1", "ATT-INV-2", *(("ATT-8",) if ours else ()))
    because = (*because, "ATT-5") if len(ours) > 1 else because
    why: Why = (("", ("ATT-4", *(("ATT-9",) if huge or edge else ()), "ATT-2a", "ATT-INV-2")),)
    kept = _with(state, keeps=True) if ours and manifest.keeps is None else state
    steps: Steps = (Step(kept, ours, because, why),)
    if isinstance(ports.seen, tuple) and ports.seen != ours and sorted(map(repr, ports.seen)) == sorted(map(repr, ours)):
        steps = (*steps, Step(kept, ports.seen, because, why, differs=("ATT-5",)))
    nothing = Step(_with(state, keeps=False), (), ("ATT-8",), differs=("ATT-8",))
    if not ours or manifest.keeps:
        return steps
    return (nothing,) if manifest.keeps is False else (*steps, nothing)


def forget(state: State, _ports: Ports, attachment_id: str) -> Steps:
    """Remove an attachment: ATT-6."""
    known = attachment_id in state.attachment.entries
    after = replace(state, attachment=state.attachment.without(attachment_id)) if known else state
    return (Step(after, None, ("ATT-6",), (), (("list_uncommitted", ("ATT-6",)),), ((MANIFEST, ("ATT-6",)),)),)


@invariant("ATT-INV-2")
def stamps_stay(before: State, after: State) -> bool:
    """A stamped attachment stays stamped for as long as it is recorded."""
    now = after.attachment.entries
    return all(now[each].committed for each, record in before.attachment.entries.items() if record.committed and each in now)
