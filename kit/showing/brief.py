"""Calls and answers in a few words."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from fencepost.model import Refused
from fencepost.spec import (
    Acquired,
    AgentEventEnvelope,
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    AnchorNotFound,
    AttachmentIntent,
    AttachmentManifestEntry,
    Busy,
    Cancelled,
    GcReport,
    InputId,
    InputState,
    InvalidArgument,
    LeaseOwnerIdentity,
    NotFound,
    Outcomes,
    OutputRecord,
    OutputRef,
    PendingTurnInput,
    PendingTurnInputCancelResult,
    PendingTurnInputDraft,
    PersistedSessionRead,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    RunBoundaryReceipt,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionDelta,
    SessionExecutionLease,
    SourceKey,
    StoredTurnEvents,
    StoreError,
    TurnInputClaim,
    UnknownEvent,
    VacuumReport,
)
from fencepost.spec.lease import LeaseProof
from fencepost.statemachines.checker import Call, Crash, value_at

from ..backend import shortened, told
from .source import simple

MANY = 6
"""Lists of more items are cut."""

LONGEST_ID = 200
"""Longer ids are shown as source, which says how often a character is repeated."""

LONGEST_RECEIVED = 60
"""How many characters are shown of an argument that was refused."""


def brief(answer: object) -> str:
    """An answer in a few words."""
    in_words = WORDS.get(type(answer))
    return in_words(answer) if in_words else shortened(answer, 200)


def _with_little(error: StoreError) -> StoreError:
    """The error; an argument that is no good is told by its begin, so that what was expected can be read, too."""
    if not isinstance(error, InvalidArgument) or len(error.received) <= LONGEST_RECEIVED:
        return error
    return replace(error, received=f"{error.received[: LONGEST_RECEIVED - 1]}…")


def _counted(answer: tuple[object, ...]) -> str:
    """The items; how many there are first, where not all of them are shown."""
    return f"{len(answer)} items: {listed(map(brief, answer))}" if len(answer) > MANY else listed(map(brief, answer))


def _granted(answer: TurnInputClaim | QueuedWorkClaim) -> str:
    return f"claimed: fencing token {answer.fencing_token}, expires at {answer.expires_at_epoch_ms}, holds {held(answer)}"


def _kept(answer: AlreadyClaimed) -> str:
    claim, name = answer.claim, named(answer.input.input_id)
    if claim is None or claim.claim_owner is None:
        return f"{name} was claimed"
    return f"{name} was claimed by {holder(claim.claim_owner)} until {claim.claim_expires_at_ms}"


def _read(answer: PersistedSessionRead) -> str:
    nodes = ", ".join(named(node.node_id) for node in answer.graph.nodes) or "no nodes"
    return f"head revision {answer.head_revision}, {nodes}, leaf {answer.graph.leaf_node_id!r}"


WORDS: dict[type, Callable[[Any], str]] = {
    Refused: lambda answer: f"refused with {shortened(_with_little(answer.error), 200)}",
    Crash: lambda answer: f"raised {told(answer.error)}{answer.where}",
    tuple: lambda answer: _counted(answer) or "nothing",
    Acquired: lambda answer: (
        f"Acquired: fencing token {answer.lease.fencing_token}, expires at {answer.lease.expires_at_epoch_ms}"
    ),
    Busy: lambda answer: (
        f"Busy: {holder(answer.holder.owner)} holds fencing token {answer.holder.fencing_token} "
        f"until {answer.holder.expires_at_epoch_ms}"
    ),
    SessionExecutionLease: lambda answer: (
        f"renewed: fencing token {answer.fencing_token}, expires at {answer.expires_at_epoch_ms}"
    ),
    PendingTurnInput: lambda answer: f"{named(answer.input_id)} ({answer.state.name})",
    PendingTurnInputCancelResult: lambda answer: brief(answer.outcome),
    Outcomes: lambda answer: brief(answer.outcomes),
    AnchorNotFound: lambda _: "the anchor was not found",
    Cancelled: lambda answer: f"{named(answer.input.input_id)} cancelled",
    AlreadyClaimed: _kept,
    AlreadyCompleted: lambda answer: f"{named(answer.input.input_id)} was completed",
    AlreadyCancelled: lambda answer: f"{named(answer.input.input_id)} was cancelled before",
    NotFound: lambda _: "not found",
    QueuedWorkBatch: lambda answer: (
        f"{named(answer.batch_id)} ({answer.work_class.name if answer.work_class else 'of no class'})"
    ),
    TurnInputClaim: _granted,
    QueuedWorkClaim: _granted,
    RuntimeCommitResult: lambda answer: f"committed: head revision {answer.head_revision}",
    PersistedSessionRead: _read,
    VacuumReport: lambda answer: (
        f"nodes removed: {answer.removed_node_count}, inputs: {answer.removed_pending_turn_input_tombstone_count}"
    ),
    GcReport: lambda answer: (
        f"roots: {answer.root_count}, blobs kept: {answer.retained_blob_count}, removed: {answer.deleted_blob_count}"
    ),
    RunBoundaryReceipt: lambda answer: f"receipt {simple(answer.sequence)}: {simple(answer.message_count)} messages",
    InputState: lambda answer: f"input {answer.input_id} ({answer.current_state.name})",
    StoredTurnEvents: lambda answer: (
        f"turn {simple(answer.turn)}{', finished' if answer.finished else ''}: "
        f"{listed(map(brief, answer.events)) or 'no events'}"
    ),
    AgentEventEnvelope: lambda answer: f"{named(_type_of(answer))} {simple(answer.sequence)}",
    OutputRef: lambda answer: named(answer.value),
    OutputRecord: lambda answer: (
        f"{named(answer.id.value)}: {type(answer.event).__name__} of {simple(answer.producer_agent)} "
        f"in {simple(answer.task_id)}, attempt {simple(answer.attempt)}"
    ),
    AttachmentManifestEntry: lambda answer: f"{named(answer.attachment_id)} of {answer.intent_at_epoch_ms} ms",
}
"""What is said of an answer, by its type."""


def _type_of(envelope: AgentEventEnvelope) -> str:
    event = envelope.event
    return event.type if isinstance(event, UnknownEvent) else type(event).__name__


def listed(words: Iterable[str]) -> str:
    """Some words with commas, the first of them if they are many."""
    known = list(words)
    more = f" and {len(known) - MANY} more" if len(known) > MANY else ""
    return ", ".join(known[:MANY]) + more


def differs(due: object, given: object, path: str = "") -> str:
    """The field that differs, and in which item first if it is a list too long to be shown whole; empty if there is neither."""
    return ": ".join(each for each in (field_at(path), _apart(value_at(due, path), value_at(given, path))) if each)


def _apart(due: object, given: object) -> str:
    if not (isinstance(due, tuple) and isinstance(given, tuple)) or max(len(due), len(given)) <= MANY:
        return ""
    place = next((index for index, (left, right) in enumerate(zip(due, given, strict=False)) if left != right), None)
    place = min(len(due), len(given)) if place is None else place
    if place >= len(due):
        return f"item {place + 1} is one too many: {brief(given[place])}"
    is_now = brief(given[place]) if place < len(given) else "missing"
    return f"item {place + 1} had to be {brief(due[place])}, and is {is_now}"


def named(text: str) -> str:
    """An id as it is, if it can be read as one."""
    return text if text.isprintable() and text and " " not in text and len(text) <= LONGEST_ID else simple(text)


def held(claim: TurnInputClaim | QueuedWorkClaim) -> str:
    """What a claim shows to be held."""
    rows = claim.inputs if isinstance(claim, TurnInputClaim) else claim.batches
    return listed(named(each.input_id if isinstance(each, PendingTurnInput) else each.batch_id) for each in rows)


def holder(owner: LeaseOwnerIdentity) -> str:
    """An owner with its incarnation."""
    return "/".join(
        name if name.isprintable() and name and len(name) <= LONGEST_ID else simple(name) for name in owner.incarnation
    )


def call_in_words(call: Call) -> str:
    """A call with its arguments in a word each."""
    return f"{call.operation}({', '.join(map(_argument, call.arguments))})"


def _argument(value: object) -> str:
    match value:
        case LeaseOwnerIdentity():
            return holder(value)
        case LeaseProof():
            return f"fencing token {value.fencing_token} of {holder(value.owner)}"
        case TurnInputClaim() | QueuedWorkClaim():
            return f"claim {named(value.claim_id)} of {holder(value.owner)}"
        case RuntimeCommit():
            return f"commit for session {simple(value.session_id)}"
        case PendingTurnInputDraft() | QueuedWorkBatchDraft():
            return f"draft for session {simple(value.session_id)}"
        case InputId():
            return f"input {named(value.value)}"
        case SourceKey():
            return f"key {simple(value.value)}"
        case AgentEventEnvelope() | RunBoundaryReceipt() | InputState() | OutputRef():
            return brief(value)
        case SessionDelta():
            return f"a session of {len(value.session_snapshot)} bytes"
        case AttachmentIntent():
            return f"attachment {named(value.attachment_id)} of session {simple(value.session_id)}"
        case tuple():
            return f"({listed(map(_argument, value))})"
        case enum.Enum():
            return value.name
        case str() | int() | None:
            return simple(value)
    return shortened(value, 40)


def written(path: str) -> str:
    """The path as it is written behind an answer: `.graph.nodes[0].node_id`."""
    return "".join(f"[{name}]" if name.isdigit() else f".{name}" for name in path.split("."))


def field_at(path: str) -> str:
    """The path as it is written by itself: `graph.nodes[0].node_id`, or `[0].finished` of several."""
    return written(path).removeprefix(".")
