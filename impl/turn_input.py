"""Turn inputs: submitting, listing, cancelling, claiming.

Each call reads rows, decides on them as values, and writes the decision: one transaction, or one writing statement that checks
what was read. The decisions stand alone at the top; how rows are found and written is told in `input_rows`.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..spec import (
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
    PendingTurnInputSuffixCancelOutcome,
    SessionExecutionLeaseFence,
    SourceKey,
    TurnInputClaim,
    TurnInputClaimMode,
    TurnInputClaimModeActiveTurn,
    TurnInputClaimModeNextTurn,
    TurnInputIngress,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
    TurnInputState,
    TurnInputStore,
    admits,
)
from ..spec.contracts import ensures
from .claim import Grant, Hold, following, fresh, granted, held, numbered, of_session, owned, read_claimable, require_own
from .encoding import lookup
from .engine import Engine
from .input_rows import (
    LIST,
    READ_BEFORE,
    READ_OWNED,
    READ_SUFFIX,
    WAITING,
    Candidate,
    InputRow,
    candidate_of,
    end,
    in_line,
    ingress_of,
    input_of,
    insert,
    put_in_line,
    read_targets,
    row_of,
    state_of,
    waiting_of,
    write_claim,
)
from .store import DuckDBStore


@ensures(lambda row, draft, result: result is row and (row.ingress, row.input) == (draft.ingress, draft.input), "INPUT-8")
def replayed(row: PendingTurnInput, draft: PendingTurnInputDraft) -> PendingTurnInput:
    """The input that the draft's key names already, if both say the same (INPUT-7, INPUT-8).

    Raises `PendingTurnInputSourceKeyConflict`; so does a draft that was deferred since (INPUT-9).
    """
    if (row.ingress, row.input) != (draft.ingress, draft.input):
        raise PendingTurnInputSourceKeyConflict(row.session_id, draft.source_key or "", row.input_id)
    return row


@ensures(lambda row, result: isinstance(result, Cancelled) != (result.input == row.input), "CANCEL-4")
@ensures(lambda row, now, result: not isinstance(result, Cancelled) or not held(row.hold, now), "CANCEL-4")
def outcome_of(row: InputRow, now: int) -> Cancelled | AlreadyClaimed | AlreadyCompleted | AlreadyCancelled:
    """What becomes of an input that is to be cancelled (CANCEL-4); liveness takes no part (GEN-5)."""
    state = row.input.state
    if state is TurnInputState.Cancelled:
        return AlreadyCancelled(row.input)
    if state is TurnInputState.Completed:
        return AlreadyCompleted(row.input)
    if state is TurnInputState.Accepted or held(row.hold, now):
        return AlreadyClaimed(row.input, _diagnostics(row))
    return Cancelled(msgspec.structs.replace(row.input, state=TurnInputState.Cancelled))


def _diagnostics(row: InputRow) -> PendingTurnInputClaimDiagnostics:
    hold = row.hold
    expires_at = None if hold.lease_token is None else hold.expires_at
    return PendingTurnInputClaimDiagnostics(row.input.state, hold.claim_id, hold.owner, expires_at, hold.fencing_token)


@ensures(lambda targets, result: [each.target for each in result] == list(targets), "CANCEL-1")
def results_of(
    targets: Iterable[PendingTurnInputCancelTarget], rows: Iterable[InputRow], now: int
) -> list[PendingTurnInputCancelResult]:
    """What becomes of targets among these rows, in order: a later one sees what became of an earlier one (CANCEL-8)."""
    found: dict[PendingTurnInputCancelTarget, InputRow] = {}

    def store(row: InputRow) -> None:
        found[InputId(row.input.input_id)] = row
        if row.input.source_key is not None:
            found[SourceKey(row.input.source_key)] = row

    for row in rows:
        store(row)
    results = []
    for target in targets:
        outcome: PendingTurnInputCancelOutcome = NotFound() if target not in found else outcome_of(found[target], now)
        if isinstance(outcome, Cancelled):
            store(InputRow(outcome.input, Hold()))
        results.append(PendingTurnInputCancelResult(target, outcome))
    return results


@ensures(lambda most, result: len(result) <= most, "CLAIM-3")
@ensures(lambda mode, result: all(offered(each.ingress, mode) for each in result), "CLAIM-4")
def chosen(candidates: Iterable[Candidate], mode: TurnInputClaimMode, most: int) -> list[Candidate]:
    """The first inputs in line; what is not for this mode is passed over (CLAIM-3, CLAIM-5, CLAIM-6)."""
    return [each for each in candidates if offered(each.ingress, mode)][:most]


def offered(ingress: TurnInputIngress, mode: TurnInputClaimMode) -> bool:
    """Whether an input may be taken in this mode (CLAIM-3 to CLAIM-5)."""
    if isinstance(mode, TurnInputClaimModeNextTurn):
        return isinstance(ingress, TurnInputIngressNextTurn)
    return (
        isinstance(ingress, TurnInputIngressActiveTurn)
        and ingress.turn_id == mode.turn_id
        and admits(ingress.min_boundary, mode.checkpoint)
    )


class DuckDBTurnInputStore(DuckDBStore, TurnInputStore):
    """The eight calls of turn inputs."""

    def enqueue_pending_turn_input(self, input: PendingTurnInputDraft) -> PendingTurnInput:
        """See `TurnInputStore`. Two statements; one for a key that exists."""
        now = self._now()
        engine = self._engine
        return engine.again("submit the input", lambda: _submitted(engine, input, now))

    def list_pending_turn_inputs(self, session_id: str) -> tuple[PendingTurnInput, ...]:
        """See `TurnInputStore`. One statement."""
        return tuple(map(waiting_of, self._engine.once(LIST, (*of_session(session_id), self._now()))))

    def cancel_pending_turn_inputs(
        self, session_id: str, targets: tuple[PendingTurnInputCancelTarget, ...]
    ) -> tuple[PendingTurnInputCancelResult, ...]:
        """See `TurnInputStore`. Three statements, however many targets; two if nothing is cancelled."""
        engine = self._engine
        if not targets:
            return ()
        now = self._now()

        def cancel() -> tuple[PendingTurnInputCancelResult, ...]:
            results = results_of(targets, read_targets(engine, session_id, targets), now)
            _cancel(engine, [result.outcome for result in results])
            return tuple(results)

        return engine.transaction("cancel the inputs", cancel, ("inputs",))

    def cancel_pending_turn_input_suffix(
        self, session_id: str, anchor: PendingTurnInputCancelTarget
    ) -> PendingTurnInputSuffixCancelOutcome:
        """See `TurnInputStore`. Four statements, however long the suffix; three if nothing is cancelled."""
        now = self._now()
        engine = self._engine

        def cancel() -> PendingTurnInputSuffixCancelOutcome:
            found = [row.input.enqueue_seq for row in read_targets(engine, session_id, (anchor,))]
            if not found:
                return AnchorNotFound(anchor)
            rows = engine.execute(READ_SUFFIX, (min(found), *of_session(session_id)))
            outcomes = tuple(outcome_of(row_of(row), now) for row in rows)
            _cancel(engine, outcomes)
            return Outcomes(anchor, outcomes)

        return engine.transaction("cancel the inputs from one on", cancel, ("inputs",))

    def claim_active_turn_inputs(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        turn_id: str,
        checkpoint: CheckpointKind,
        lease_ttl_ms: int,
        max_inputs: int,
    ) -> TurnInputClaim | None:
        """See `TurnInputStore`. Three statements; two if there is nothing to claim, none if nothing is asked for."""
        mode = TurnInputClaimModeActiveTurn(turn_id, checkpoint)
        return self._claim_inputs(session_id, session_execution_lease, owner, mode, lease_ttl_ms, max_inputs)

    def claim_next_turn_inputs(
        self,
        session_id: str,
        session_execution_lease: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        lease_ttl_ms: int,
        max_inputs: int,
    ) -> TurnInputClaim | None:
        """See `TurnInputStore`. Three statements; two if there is nothing to claim, none if nothing is asked for."""
        mode = TurnInputClaimModeNextTurn()
        return self._claim_inputs(session_id, session_execution_lease, owner, mode, lease_ttl_ms, max_inputs)

    def abandon_turn_input_claim(self, claim: TurnInputClaim) -> None:
        """See `TurnInputStore`. Three statements; two if the claim holds nothing."""
        engine = self._engine

        def abandon() -> None:
            found: dict[str, list[int]] = {}
            for enqueue_seq, ingress in engine.execute(READ_OWNED, owned(claim)):
                found.setdefault(ingress, []).append(enqueue_seq)
            # each goes back to where it waited, whatever mode the caller shows (ABANDON-1)
            for ingress, numbers in found.items():
                put_in_line(engine, claim.session_id, ingress_of(ingress), numbers)

        engine.transaction("abandon the claim", abandon, ("inputs",))

    def _claim_inputs(
        self,
        session_id: str,
        fence: SessionExecutionLeaseFence,
        owner: LeaseOwnerIdentity,
        mode: TurnInputClaimMode,
        ttl: int,
        most: int,
    ) -> TurnInputClaim | None:
        engine = self._engine
        if most == 0:
            return None
        now = self._now()
        require_own(session_id, fence)

        def claim() -> TurnInputClaim | None:
            rows = read_claimable(engine, WAITING, fence, now, in_line(session_id, mode), most, owner, self._alive)
            taken = chosen(map(candidate_of, rows), mode, most)
            if not taken:
                return None
            grant = granted("tic", taken[0].enqueue_seq, taken[0].hold, owner, now, ttl)
            return _claimed(
                session_id, grant, mode, write_claim(engine, fence, mode, grant, [each.enqueue_seq for each in taken])
            )

        return engine.transaction("claim inputs", claim, ("inputs",))


def _submitted(engine: Engine, draft: PendingTurnInputDraft, now: int) -> PendingTurnInput:
    key = None if draft.source_key is None else lookup(draft.session_id, draft.source_key)
    last, rows = numbered(engine.execute(READ_BEFORE, (key, draft.input_id)))
    for row in map(input_of, rows):
        if draft.source_key is not None and (row.session_id, row.source_key) == (draft.session_id, draft.source_key):
            return replayed(row, draft)
    # the key is looked at first: a draft that repeats both is a replay
    if rows:
        raise Backend(f"there is an input {draft.input_id!r} already")
    number = following(last)
    new = PendingTurnInput(
        fresh(number) if draft.input_id is None else draft.input_id,
        draft.session_id,
        number,
        draft.source_key,
        draft.ingress,
        state_of(draft.ingress),
        now,
        draft.input,
    )
    insert(engine, new, key)
    return new


def _cancel(engine: Engine, outcomes: Iterable[PendingTurnInputCancelOutcome]) -> None:
    numbers = {outcome.input.enqueue_seq for outcome in outcomes if isinstance(outcome, Cancelled)}
    if numbers:
        end(engine, TurnInputState.Cancelled, numbers)


def _claimed(session_id: str, grant: Grant, mode: TurnInputClaimMode, inputs: tuple[PendingTurnInput, ...]) -> TurnInputClaim:
    claim_id, lease_token, owner, fencing_token, claimed_at, expires_at = grant
    return TurnInputClaim(session_id, claim_id, owner, lease_token, fencing_token, claimed_at, expires_at, mode, inputs)
