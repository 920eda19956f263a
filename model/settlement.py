"""What a commit settles beside the graph: claims, the inputs of an interrupted turn, attachments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fencepost.spec import (
    QueuedWorkClaimExpired,
    QueuedWorkCompletion,
    RuntimeCommit,
    StoreError,
    TurnInputClaimExpired,
    TurnInputState,
)

from . import attachment, queued_work, turn_input
from .claim import Completion, Verdict, proof_of, verdict
from .lease import lease_of
from .records.claim import EntryClaim, live
from .records.queued_work import BatchRow, QueueState
from .records.turn_input import InputRow, InputState
from .state import State
from .step import Ids, Ports, Refused, Step, Steps, Why


def settled(state: State, commit: RuntimeCommit) -> tuple[Steps, Ids | None]:
    """The refusals that completions lead to, and whether a store may go on: then by which departures, if any.

    All queue completions are looked at before all input completions, each list in its order (COMMIT-16). Where CURRENT
    requirements decide, a store may decide otherwise, and is held to what follows from it.
    """
    refusals: Steps = ()
    departed: Ids = ()
    for done, error, judged in _judged(state, commit):
        because = (
            "COMMIT-11" if isinstance(done, QueuedWorkCompletion) else "COMMIT-12",
            *judged.freely,
            *(("COMMIT-8",) if commit.turn_commit is None else ()),
            "COMMIT-16",
            "COMMIT-34",
        )
        if not judged.accepted:
            refusals += (Step(state, Refused(error), because, differs=departed),)
            if not judged.freely:
                return refusals, None
            departed += judged.freely
        elif judged.freely:
            refusals += (Step(state, Refused(error), because, differs=(*departed, *judged.freely)),)
    return refusals, departed


def _judged(state: State, commit: RuntimeCommit) -> Iterable[tuple[Completion, StoreError, Verdict]]:
    earlier: set[str] = set()
    for work in commit.completed_queue_claims:
        held = {row.batch_id for row in queued_work.held_by(state, work.session_id, proof_of(work))}
        expired = QueuedWorkClaimExpired(work.session_id, work.claim_id)
        yield work, expired, verdict(commit.session_id, work, work.batch_ids, held.__contains__, len(held), earlier)
        earlier.update(work.batch_ids)
    earlier = set()
    for done in commit.completed_turn_input_claims:
        held = {row.input_id for row in turn_input.held_by(state, done.session_id, proof_of(done))}
        lost = TurnInputClaimExpired(done.session_id, done.claim_id)
        yield done, lost, verdict(commit.session_id, done, done.input_ids, held.__contains__, len(held), earlier)
        earlier.update(done.input_ids)


def with_ingress_settled(state: State, commit: RuntimeCommit) -> State:
    """The state with claims completed, then an interrupted turn's inputs deferred, and attachments stamped (COMMIT-18)."""
    for work in commit.completed_queue_claims:
        state = queued_work.completed(state, work)
    for done in commit.completed_turn_input_claims:
        state = turn_input.completed(state, done)
    if commit.interrupted_turn_input_turn_id is not None:
        state = turn_input.deferred(state, commit.session_id, commit.interrupted_turn_input_turn_id)
    return attachment.stamped(state, commit.session_id, commit.committed_attachment_ids)


def settled_because(state: State, ports: Ports, commit: RuntimeCommit) -> Ids:
    """What a commit's completions, deferral and attachments came by."""
    because: Ids = ()
    claims: list[tuple[EntryClaim, int]] = []
    for done, _, judged in _judged(state, commit):
        chapter: QueueState | InputState = state.queued_work if isinstance(done, QueuedWorkCompletion) else state.turn_input
        rows = [row.record.claim for row in _named_by(state, done)]
        claims += [(claim, chapter.claims.under[claim.proof]) for claim in rows]
        because += ("COMMIT-14", "COMMIT-11") if chapter is state.queued_work else ("COMMIT-15", "COMMIT-12")
        because += judged.freely
    if any(not live(claim, ports.now) for claim, _ in claims):
        because = ("COMMIT-13", "GEN-10", *because)
    if any(fence != lease_of(state, commit.session_id).fencing_token for _, fence in claims):
        because = ("GEN-11", *because)
    turn_id = commit.interrupted_turn_input_turn_id
    waiting = [row.record for row in state.turn_input.of(commit.session_id).waiting() if row.record.for_turn]
    if turn_id is not None:
        because += ("COMMIT-17",)
        if any(record.state is TurnInputState.Accepted and record.turn == turn_id for record in waiting):
            because += ("COMMIT-18",)
    elif any(record.state is TurnInputState.PendingActive for record in waiting):
        because += ("COMMIT-17a",)
    if any(each in state.attachment.entries for each in commit.committed_attachment_ids):
        because += ("COMMIT-31",)
    return tuple(dict.fromkeys(because))


def settled_effects(commit: RuntimeCommit, because: Ids) -> Why:
    """Which later lists are owed to what the commit settled, and by what requirement."""
    why: Why = ()
    if commit.completed_queue_claims:
        gone = ("COMMIT-14", "COMMIT-INV-7", "COMMIT-34")
        why += (("list_queued_work", gone), ("list_pending_queued_work", gone))
    if commit.interrupted_turn_input_turn_id is not None:
        why += (("list_pending_turn_inputs", ("COMMIT-17", "COMMIT-18", "COMMIT-15", "COMMIT-34")),)
    elif commit.completed_turn_input_claims:
        why += (("list_pending_turn_inputs", ("COMMIT-15", "COMMIT-INV-7", "COMMIT-17a", "COMMIT-34")),)
    elif "COMMIT-17a" in because:
        why += (("list_pending_turn_inputs", ("COMMIT-17a",)),)
    if commit.committed_attachment_ids:
        why += (("list_uncommitted", ("COMMIT-31", "COMMIT-34")),)
    return why


def _named_by(state: State, done: Completion) -> Sequence[InputRow | BatchRow]:
    if isinstance(done, QueuedWorkCompletion):
        return [row for row in queued_work.held_by(state, done.session_id, proof_of(done)) if row.batch_id in done.batch_ids]
    return [row for row in turn_input.held_by(state, done.session_id, proof_of(done)) if row.input_id in done.input_ids]
