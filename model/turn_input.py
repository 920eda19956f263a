"""Turn inputs over the whole state: the eight calls, and what a commit and a vacuum do to inputs.

Each function is called as the store's method of the same name, and gives the admissible steps with the requirements that
decided them. The decisions themselves are the record transitions of `records.turn_input` and `records.claim`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from fencepost.spec import (
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    AnchorNotFound,
    Backend,
    Cancelled,
    CheckpointKind,
    InputId,
    LeaseOwnerIdentity,
    NotFound,
    Outcomes,
    PendingTurnInput,
    PendingTurnInputCancelOutcome,
    PendingTurnInputCancelResult,
    PendingTurnInputCancelTarget,
    PendingTurnInputClaimDiagnostics,
    PendingTurnInputDraft,
    PendingTurnInputSourceKeyConflict,
    SessionExecutionLeaseFence,
    TurnInputCheckpointBoundary,
    TurnInputClaim,
    TurnInputClaimMode,
    TurnInputClaimModeActiveTurn,
    TurnInputClaimModeNextTurn,
    TurnInputCompletion,
    TurnInputIngress,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
    TurnInputState,
    saturating_add,
)
from msgspec.structs import replace

from .claim import (
    CLAIM_WHY,
    at_edge,
    dead_for,
    ending,
    judged_otherwise,
    made_up,
    minted,
    outlived,
    proof_of,
    spared_because,
    taken_because,
    taken_in_part,
    too_long,
    unbound,
    under_fence,
    unfenced,
    whoever_asks,
)
from .records import turn_input as record_level
from .records.claim import FREE, ClaimProof, live
from .records.turn_input import ENDED, Cancel, InputRecord, InputRow, LiveInput
from .state import State
from .step import Ids, Ports, Refused, Step, Steps, Why, refused, subject

SCANNED = 32
"""How many rows more than it was asked for a store may look at (CLAIM-6a)."""

ADMITTED_WHY: Why = (
    ("input_id", ("INPUT-4",)),
    ("enqueue_seq", ("INPUT-3", "INPUT-3a", "INPUT-INV-2")),
    ("enqueued_at_ms", ("INPUT-5",)),
    ("state", ("INPUT-2",)),
    ("ingress", ("INPUT-2",)),
    ("", ("INPUT-1",)),
)
CLAIMED_WHY: Why = (*CLAIM_WHY, ("inputs", ("CLAIM-10", "INPUT-INV-6")), ("mode", ("CLAIM-10",)))


def ingress_of(record: LiveInput) -> TurnInputIngress:
    """The ingress that the input has now."""
    if record.for_turn:
        return TurnInputIngressActiveTurn(record.turn, record.boundary)
    return TurnInputIngressNextTurn()


def shown(session_id: str, row: InputRow) -> PendingTurnInput:
    """The input as answers show it."""
    return PendingTurnInput(
        row.input_id,
        session_id,
        row.enqueue_seq,
        row.source_key,
        ingress_of(row.record),
        row.record.state,
        row.enqueued_at,
        row.input,
    )


def enqueue_pending_turn_input(state: State, ports: Ports, input: PendingTurnInputDraft) -> Steps:
    """Submit an input, or find the one submitted before: INPUT-1 to INPUT-13."""
    known = state.turn_input.of(input.session_id).by_key(input.source_key)
    if known is not None:
        return _replayed(state, input, known)
    if input.input_id is not None and state.turn_input.ids.get(input.input_id):
        accepted = (replace(step, differs=(*step.differs, "INPUT-4a")) for step in _admitted(state, ports, input))
        return (*refused(state, Backend(), "INPUT-4a"), *accepted)
    return _admitted(state, ports, input)


def _replayed(state: State, input: PendingTurnInputDraft, row: InputRow) -> Steps:
    answer = shown(input.session_id, row)
    error = PendingTurnInputSourceKeyConflict(input.session_id, row.source_key or "", row.input_id)
    now, before = ingress_of(row.record), row.submitted
    keys: Ids = ("INPUT-6",) if _key_elsewhere(state, input) or input.source_key == "" else ()
    same = row.input == input.input and input.ingress == now
    same_as_submitted = row.input == input.input and input.ingress == before
    deferred_since = same_as_submitted and not same
    because: Ids = ("INPUT-9",) if same != same_as_submitted else ("INPUT-7", "INPUT-8")
    kept: Ids = ("COMMIT-15",) if row.record.state is TurnInputState.Completed else ()
    because = (*kept, *because, "INPUT-INV-1", *keys)
    found = Step(state, answer, (*because, "INPUT-13"), (("", (*kept, "INPUT-7", "INPUT-13", "INPUT-INV-7")),))
    conflict = Step(state, Refused(error), because)
    if same:
        return (found,)
    return (conflict, replace(found, differs=("INPUT-9",))) if deferred_since else (conflict,)


def _key_elsewhere(state: State, input: PendingTurnInputDraft) -> bool:
    key, inputs = input.source_key, state.turn_input
    return key is not None and inputs.sessions_of_key.get(key, 0) > (key in inputs.of(input.session_id).keys)


def _admitted(state: State, ports: Ports, input: PendingTurnInputDraft) -> Steps:
    inputs = state.turn_input
    seen = ports.seen if isinstance(ports.seen, PendingTurnInput) else None
    input_id = made_up("input", inputs.ids) if input.input_id is None else input.input_id
    if input.input_id is None and seen is not None and seen.input_id not in inputs.ids:
        input_id = seen.input_id
    last = inputs.of(input.session_id).last
    seq = inputs.last_seq + 1
    differs: Ids = ()
    if seen is not None and seen.enqueue_seq > last:
        seq = seen.enqueue_seq
        differs = ("INPUT-3a",) if seq <= inputs.last_seq else ()
    ours = _with_input(state, ports, input, input_id, seq)
    if not differs:
        return (ours,)
    return (_with_input(state, ports, input, input_id, inputs.last_seq + 1), replace(ours, differs=differs))


def _with_input(state: State, ports: Ports, input: PendingTurnInputDraft, input_id: str, seq: int) -> Step:
    inputs, ingress = state.turn_input, input.ingress
    if isinstance(ingress, TurnInputIngressActiveTurn):
        record: LiveInput = InputRecord(TurnInputState.PendingActive, True, ingress.turn_id, ingress.min_boundary, FREE)
    else:
        record = InputRecord(TurnInputState.DeferredNextTurn, False, "", TurnInputCheckpointBoundary.AfterWork, FREE)
    row = InputRow(input_id, seq, input.source_key, ingress, ports.now, input.input, record)
    after = inputs.plus(input.session_id, row)
    key = (input.session_id, input.source_key or "")
    freed: Ids = ("INPUT-11", "MAINT-6") if input.source_key is not None and key in inputs.vacuumed else ()
    keys: Ids = ("INPUT-6",) if _key_elsewhere(state, input) else ()
    because = ("INPUT-1", *freed, *keys, "INPUT-2", *unbound(state, input.session_id), "GEN-8")
    effects: Why = (("list_pending_turn_inputs", ("LIST-1", "INPUT-1")),)
    details: Why = ((("input_id", (*freed, "INPUT-4")),) if freed else ()) + ADMITTED_WHY
    return Step(replace(state, turn_input=after), shown(input.session_id, row), because, details, effects)


def list_pending_turn_inputs(state: State, ports: Ports, session_id: str) -> Steps:
    """What waits and is not held: LIST-1 to LIST-5."""
    inputs = state.turn_input.of(session_id)
    rows = inputs.waiting()
    answer = tuple(shown(session_id, row) for row in rows if record_level.listed(row.record, ports.now))
    hidden = [row.record for row in rows if row.record.claim.held]
    lapsed = any(not live(record.claim, ports.now) for record in hidden)
    dead = any(live(record.claim, ports.now) and _gone(record, ports) for record in hidden)
    issued = state.turn_input.claims
    because = (
        *at_edge((record.claim for record in hidden), ports.now),
        *(("LIST-3",) if dead else ()),
        *(("LIST-2",) if lapsed else ()),
        *outlived(state, session_id, (record.claim for record in hidden), issued, ports.now),
        *(("LIST-1",) if inputs else ("LIST-5",)),
        *(("LIST-4",) if inputs.ended_for_turn or any(row.record.for_turn for row in rows) else ()),
        *(("GEN-15",) if len(state.turn_input.rows) > (session_id in state.turn_input.rows) else ()),
        "INPUT-INV-7",
        *(("INPUT-INV-3", "INPUT-INV-4") if answer else ()),
    )
    return (Step(state, answer, because, (("", because),)),)


def _gone(record: LiveInput, ports: Ports) -> bool:
    owner = record.claim.owner
    return owner is not None and dead_for(record.claim, owner, ports)


def cancel_pending_turn_input(state: State, ports: Ports, session_id: str, input_id: str) -> Steps:
    """One target, by id: CANCEL-9."""
    after, outcome, because = _cancelled(state, ports, session_id, _resolved(state, session_id, InputId(input_id)))
    return (Step(after, outcome, (*because, "CANCEL-9", "GEN-8"), _outcome_why("", because), _unlisted(because)),)


def cancel_pending_turn_inputs(
    state: State, ports: Ports, session_id: str, targets: tuple[PendingTurnInputCancelTarget, ...]
) -> Steps:
    """The targets one after another, as one step: CANCEL-1 to CANCEL-8."""
    results: list[PendingTurnInputCancelResult] = []
    because: Ids = ("CANCEL-1", "GEN-8")
    why: Why = ()
    after, found = state, set()
    for place, target in enumerate(targets):
        row = _resolved(after, session_id, target)
        after, outcome, decided = _cancelled(after, ports, session_id, row)
        if row is not None:
            decided = ("CANCEL-8", *decided) if row.input_id in found else decided
            found.add(row.input_id)
        results.append(PendingTurnInputCancelResult(target, outcome))
        because, why = (*because, *decided), (*why, *_outcome_why(f"{place}.outcome", decided))
    mixed: Ids = ("CANCEL-2",) if len({type(result.outcome) for result in results}) > 1 else ()
    because = tuple(dict.fromkeys((*mixed, *because)))
    return (Step(after, tuple(results), because, (*why, ("", ("CANCEL-1",))), _unlisted(because)),)


def cancel_pending_turn_input_suffix(
    state: State, ports: Ports, session_id: str, anchor: PendingTurnInputCancelTarget
) -> Steps:
    """The anchor and what was admitted after it: CANCEL-10 to CANCEL-13."""
    first = _resolved(state, session_id, anchor)
    if first is None:
        return (Step(state, AnchorNotFound(anchor), ("CANCEL-10", "CANCEL-3", "GEN-8")),)
    suffix = state.turn_input.of(session_id).since(first.enqueue_seq)
    outcomes: list[PendingTurnInputCancelOutcome] = []
    because: Ids = (*(("CANCEL-3",) if first.record.state in ENDED else ()), "CANCEL-11", "GEN-8")
    why: Why = ()
    after = state
    for place, row in enumerate(suffix):
        after, outcome, decided = _cancelled(after, ports, session_id, row)
        outcomes.append(outcome)
        because, why = (*because, *decided), (*why, *_outcome_why(f"outcomes.{place}", decided))
    claimed = any(isinstance(outcome, AlreadyClaimed) for outcome in outcomes[:-1])
    moved = any(row.submitted != ingress_of(row.record) for row in suffix)
    because = (*(("CANCEL-12",) if claimed else ()), *(("CANCEL-13",) if moved else ()), *because)
    why = (*why, ("outcomes", ("CANCEL-11", "CANCEL-12", "CANCEL-13")))
    because = tuple(dict.fromkeys(because))
    return (Step(after, Outcomes(anchor, tuple(outcomes)), because, why, _unlisted(because)),)


def _unlisted(because: Ids) -> Why:
    """What a list shows of a cancellation."""
    return (("list_pending_turn_inputs", because),)


def _outcome_why(path: str, because: Ids) -> Why:
    within = f"{path}." if path else ""
    return ((f"{within}claim", ("CANCEL-7",)), (f"{within}input.ingress", ("CANCEL-5",)), (path, because))


def _resolved(state: State, session_id: str, target: PendingTurnInputCancelTarget) -> InputRow | None:
    """The session's input that the target names; of several with one id (INPUT-4a) the oldest."""
    rows = state.turn_input.of(session_id)
    return rows.by_id(target.value) if isinstance(target, InputId) else rows.by_key(target.value)


def _cancelled(
    state: State, ports: Ports, session_id: str, row: InputRow | None
) -> tuple[State, PendingTurnInputCancelOutcome, Ids]:
    """The state after one cancellation, its outcome, and why."""
    if row is None:
        return state, NotFound(), ("CANCEL-3", *(("GEN-15",) if state.turn_input.rows else ()))
    record, found = record_level.cancel(row.record, ports.now, FREE)
    after = replace(row, record=record)
    answer = shown(session_id, after)
    edge = at_edge((row.record.claim,), ports.now)
    match found:
        case Cancel.cancelled:
            lapsed: Ids = ("CANCEL-6",) if row.record.claim.held else ()
            active: Ids = ("CANCEL-5",) if record.for_turn else ()
            because: Ids = (*lapsed, "CANCEL-4", *active, *edge, "INPUT-INV-8")
            return _with_rows(state, session_id, [after]), Cancelled(answer), because
        case Cancel.claimed:
            return state, AlreadyClaimed(answer, _diagnostics(record)), ("CANCEL-4", "CANCEL-7", *edge, "INPUT-INV-8")
        case Cancel.completed:
            return state, AlreadyCompleted(answer), ("CANCEL-4", "CANCEL-3", "INPUT-INV-5")
    return state, AlreadyCancelled(answer), ("CANCEL-4", "CANCEL-3", "INPUT-INV-5")


def _diagnostics(record: LiveInput) -> PendingTurnInputClaimDiagnostics:
    claim = record.claim
    return PendingTurnInputClaimDiagnostics(record.state, claim.proof[0], claim.owner, claim.expires_at, claim.fencing_token)


def _with_rows(state: State, session_id: str, changed: Iterable[InputRow]) -> State:
    inputs = state.turn_input
    rows = inputs.of(session_id).with_rows(changed)
    return replace(state, turn_input=replace(inputs, rows=inputs.rows.set(session_id, rows)))


def claim_active_turn_inputs(
    state: State,
    ports: Ports,
    session_id: str,
    session_execution_lease: SessionExecutionLeaseFence,
    owner: LeaseOwnerIdentity,
    turn_id: str,
    checkpoint: CheckpointKind,
    lease_ttl_ms: int,
    max_inputs: int,
) -> Steps:
    """Accept a turn's inputs at a checkpoint: CLAIM-1 to CLAIM-4, CLAIM-6, CLAIM-8 to CLAIM-11, CLAIM-14."""
    rows = state.turn_input.of(session_id).waiting()
    waiting = [row for row in rows if row.record.state is TurnInputState.PendingActive]
    accepted = any(row.record.state is TurnInputState.Accepted and row.record.turn == turn_id for row in rows)
    too_early = any(
        row.record.turn == turn_id and not record_level.ready_for_turn(row.record, turn_id, checkpoint) for row in waiting
    )
    because = (
        *(("CLAIM-4",) if too_early or checkpoint is CheckpointKind.BeforeCompletion else ()),
        "CLAIM-3",
        *(("CLAIM-11",) if accepted else ()),
        "CLAIM-14",
    )
    return _claimed(
        state,
        ports,
        (session_id, session_execution_lease, owner, lease_ttl_ms, max_inputs),
        TurnInputClaimModeActiveTurn(turn_id, checkpoint),
        waiting,
        lambda row: record_level.ready_for_turn(row.record, turn_id, checkpoint),
        because,
    )


def claim_next_turn_inputs(
    state: State,
    ports: Ports,
    session_id: str,
    session_execution_lease: SessionExecutionLeaseFence,
    owner: LeaseOwnerIdentity,
    lease_ttl_ms: int,
    max_inputs: int,
) -> Steps:
    """Reserve inputs for a next turn: CLAIM-1, CLAIM-2, CLAIM-5 to CLAIM-10, CLAIM-12."""
    rows = state.turn_input.of(session_id).waiting()
    waiting = [row for row in rows if row.record.state is TurnInputState.DeferredNextTurn]
    passed_by = any(row.record.state is TurnInputState.PendingActive for row in rows)
    because = ("CLAIM-5", *(("CLAIM-7",) if passed_by else ()))
    return _claimed(
        state,
        ports,
        (session_id, session_execution_lease, owner, lease_ttl_ms, max_inputs),
        TurnInputClaimModeNextTurn(),
        waiting,
        lambda row: record_level.ready_for_next(row.record, dead_for(row.record.claim, owner, ports), ports.now),
        because,
    )


def _claimed(
    state: State,
    ports: Ports,
    asked: tuple[str, SessionExecutionLeaseFence, LeaseOwnerIdentity, int, int],
    mode: TurnInputClaimMode,
    waiting: list[InputRow],
    ready: Callable[[InputRow], bool],
    because: Ids,
) -> Steps:
    """What both claims do: the first inputs that are ready, passing over others, all under one new claim."""
    session_id, fence, owner, ttl, most = asked
    if most == 0:
        return (Step(state, None, ("CLAIM-1",)),)
    steps = unfenced(state, ports, session_id, fence, "CLAIM-2")
    if steps:
        return steps
    chosen = [row for row in waiting if ready(row)][:most]
    spared = [row for row in waiting if row not in chosen and not ready(row)]
    skipped = bool(chosen) and any(row.enqueue_seq < chosen[-1].enqueue_seq for row in spared)
    kept = spared_because([row.record.claim for row in spared], owner, ports.now)
    because = (*(("CLAIM-6",) if skipped else ()), *(() if chosen else kept), *because, *(kept if chosen else ()))
    because = (*because, *(("CLAIM-6a",) if len(waiting) > most + SCANNED else ()))
    ours = _taking(state, ports, asked, mode, chosen, because)
    near = [row for row in waiting[: most + SCANNED] if ready(row)][:most]
    endless = too_long(state, ports.now, ttl) if chosen else ()
    if near == chosen:
        return (ours, *endless)
    return (ours, *endless, replace(_taking(state, ports, asked, mode, near, because), differs=("CLAIM-6a",)))


def _taking(
    state: State,
    ports: Ports,
    asked: tuple[str, SessionExecutionLeaseFence, LeaseOwnerIdentity, int, int],
    mode: TurnInputClaimMode,
    chosen: list[InputRow],
    because: Ids,
) -> Step:
    session_id, fence, owner, ttl, _ = asked
    if not chosen:
        return Step(state, None, (*because, "CLAIM-8"))
    proof = minted(ports, session_id, state.turn_input.claims)
    taken = [replace(row, record=record_level.taken(row.record, proof, owner, ports.now, ttl)) for row in chosen]
    after = _with_rows(state, session_id, taken)
    issued = after.turn_input.claims.plus(proof, under_fence(state, session_id))
    after = replace(after, turn_input=replace(after.turn_input, claims=issued))
    claim = TurnInputClaim(
        session_id,
        *(proof[0], owner, proof[1]),
        fencing_token=taken[0].record.claim.fencing_token,
        claimed_at_epoch_ms=ports.now,
        expires_at_epoch_ms=saturating_add(ports.now, ttl),
        mode=mode,
        inputs=tuple(shown(session_id, row) for row in taken),
    )
    because = (*taken_because((row.record.claim for row in chosen), ports.now), *because)
    partly = taken_in_part(
        (row.record.claim for row in chosen),
        (row.record.claim for row in state.turn_input.of(session_id).waiting() if row not in chosen),
    )
    split: Ids = ("CLAIM-12",) if partly else ()
    because = (*split, *because)
    effects: Why = (("list_pending_turn_inputs", (*split, "CLAIM-9")),)
    details = (*_otherwise_claimed(state, ports, claim, because), *ending(ports.now, ttl), *CLAIMED_WHY)
    return Step(
        after, claim, (*because, *whoever_asks(state, fence, owner), "CLAIM-9", "CLAIM-2", "GEN-INV-1"), details, effects
    )


def _otherwise_claimed(state: State, ports: Ports, ours: TurnInputClaim, because: Ids) -> Why:
    """What decides about a store's claim of other inputs than ours."""
    seen = ports.seen
    if not isinstance(seen, TurnInputClaim) or seen.completion().input_ids == ours.completion().input_ids:
        return ()
    here, there = set(ours.completion().input_ids), set(seen.completion().input_ids)
    rows = state.turn_input.of(ours.session_id).waiting()
    taken = [row.record for row in rows if row.input_id in there - here]
    passed = [row.record.claim for row in rows if row.input_id in here - there]
    again: Ids = ("CLAIM-11",) if any(record.state is TurnInputState.Accepted for record in taken) else ()
    judged = judged_otherwise((record.claim for record in taken), passed, ours.owner, ports)
    return (("", (*again, *judged, *because)),)


def abandon_turn_input_claim(state: State, ports: Ports, claim: TurnInputClaim) -> Steps:
    """Give back what the claim still holds: ABANDON-1 to ABANDON-5."""
    proof = proof_of(claim)
    rows = held_by(state, claim.session_id, proof)
    if not rows:
        return (Step(state, None, ("ABANDON-2", "GEN-9", "GEN-8")),)
    freed = [replace(row, record=record_level.abandoned(row.record, proof, FREE)) for row in rows]
    lapsed = any(not live(row.record.claim, ports.now) for row in rows)
    because = (
        "ABANDON-1",
        *(("ABANDON-3", "GEN-10") if lapsed else ()),
        *(("ABANDON-4",) if len(rows) < len(claim.inputs) else ()),
        "ABANDON-5",
        "GEN-8",
    )
    effects: Why = (("list_pending_turn_inputs", because),)
    silent: Why = ((subject("turn_input", claim.session_id), ("ABANDON-1", "GEN-16")),)
    return (Step(_with_rows(state, claim.session_id, freed), None, because, (), effects, silent),)


def held_by(state: State, session_id: str, proof: ClaimProof) -> list[InputRow]:
    """The inputs that a claim holds."""
    waiting = state.turn_input.of(session_id).waiting()
    return [row for row in waiting if row.record.claim.held and row.record.claim.proof == proof]


def completed(state: State, done: TurnInputCompletion) -> State:
    """The state with the named inputs settled, as far as the claim holds them (COMMIT-15)."""
    proof = proof_of(done)
    rows = [row for row in held_by(state, done.session_id, proof) if row.input_id in done.input_ids]
    settled = [replace(row, record=record_level.completed(row.record, proof, FREE)) for row in rows]
    return _with_rows(state, done.session_id, settled) if settled else state


def deferred(state: State, session_id: str, turn_id: str) -> State:
    """The state with the interrupted turn's waiting inputs moved to the next turn (COMMIT-17)."""
    rows = state.turn_input.of(session_id).waiting()
    moved = [replace(row, record=record_level.deferred(row.record, turn_id, "", FREE)) for row in rows]
    return _with_rows(state, session_id, moved) if moved != rows else state


def vacuumed(state: State, sessions: Iterable[str]) -> tuple[State, int]:
    """The state without the cancelled and completed inputs of these sessions, and how many they were (MAINT-4)."""
    inputs, count = state.turn_input, 0
    for session_id in sessions:
        there = inputs.of(session_id)
        if len(there) > len(there.open):
            inputs = inputs.without(session_id, [row for row in there if row.record.state in ENDED])
            count += len(there) - len(there.open)
    return replace(state, turn_input=inputs), count
