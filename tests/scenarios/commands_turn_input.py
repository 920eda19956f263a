"""Commands of the chapter on turn inputs: enqueue, list, cancel, claim."""

from __future__ import annotations

from collections.abc import Iterator

from commands import number, owner, shown_owner
from commands_claim import OF, ClaimCommands
from fencepost.spec import (
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    AnchorNotFound,
    Cancelled,
    CheckpointKind,
    InputId,
    NotFound,
    PendingTurnInput,
    PendingTurnInputCancelOutcome,
    PendingTurnInputCancelTarget,
    PendingTurnInputClaimDiagnostics,
    PendingTurnInputDraft,
    SourceKey,
    Text,
    TurnInput,
    TurnInputCheckpointBoundary,
    TurnInputClaim,
    TurnInputIngress,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
)

OUTCOMES = {
    Cancelled: "cancelled",
    AlreadyClaimed: "already claimed",
    AlreadyCompleted: "already completed",
    AlreadyCancelled: "already cancelled",
}


class TurnInputCommands(ClaimCommands):
    """Inputs that wait for a turn."""

    def __init__(self) -> None:
        super().__init__()
        self._inputs: dict[str, str] = {}

    def do_enqueue_input(self, words: list[str]) -> Iterator[str]:
        """`enqueue SESSION input NAME INGRESS [key=KEY] [id=ID] [text=TEXT]`."""
        session, name, ingress, *rest = words
        facts = dict(word.split("=", 1) for word in rest)
        draft = PendingTurnInputDraft(
            session_id=session,
            input_id=facts.get("id"),
            source_key=facts.get("key"),
            ingress=_ingress(ingress),
            input=_input(facts.get("text", name)),
        )
        row = self.store.enqueue_pending_turn_input(draft)
        self.labelled("input", row.input_id, name)
        self._inputs[row.input_id] = self._admission_of_input(row)
        yield f"{self._name_and_state(row)}{self._admission_of_input(row)}"

    def do_list_inputs(self, words: list[str]) -> Iterator[str]:
        """`list SESSION inputs`."""
        yield from map(self._row, self.store.list_pending_turn_inputs(words[0]))

    def do_cancel_input(self, words: list[str]) -> Iterator[str]:
        """`cancel SESSION input NAME`."""
        session, name = words
        yield self._cancelled(self.store.cancel_pending_turn_input(session, self.minted(name)))

    def do_cancel_inputs(self, words: list[str]) -> Iterator[str]:
        """`cancel SESSION inputs [NAME | key:KEY ...]`."""
        session, *targets = words
        for result in self.store.cancel_pending_turn_inputs(session, tuple(map(self._target, targets))):
            yield f"{self._shown_target(result.target)}: {self._cancelled(result.outcome)}"

    def do_cancel_suffix(self, words: list[str]) -> Iterator[str]:
        """`cancel SESSION suffix NAME | key:KEY`."""
        session, target = words
        result = self.store.cancel_pending_turn_input_suffix(session, self._target(target))
        anchor = self._shown_target(result.anchor)
        if isinstance(result, AnchorNotFound):
            yield f"no anchor {anchor}"
            return
        yield f"from {anchor}:"
        yield from map(self._cancelled, result.outcomes)

    def do_claim_inputs(self, words: list[str]) -> Iterator[str]:
        """`claim SESSION inputs under LEASE by OWNER next | TURN/CHECKPOINT ttl=N max=N`."""
        session, _under, lease, _by, who, mode, ttl, most = words
        turn, _, checkpoint = mode.partition("/")
        if checkpoint:
            proof = (session, self.lease(lease).fence(), owner(who), turn, CheckpointKind(checkpoint))
            claim = self.store.claim_active_turn_inputs(*proof, number(ttl), number(most))
        else:
            assert mode == "next"
            claim = self.store.claim_next_turn_inputs(session, self.lease(lease).fence(), owner(who), number(ttl), number(most))
        if claim is not None:
            yield f"claimed: {self._claimed_inputs(claim)}"

    def _claimed_inputs(self, claim: TurnInputClaim) -> str:
        return self.held(claim, " ".join(map(self._row, claim.inputs)))

    def _target(self, word: str) -> PendingTurnInputCancelTarget:
        return SourceKey(word.removeprefix("key:")) if word.startswith("key:") else InputId(self.minted(word))

    def _shown_target(self, target: PendingTurnInputCancelTarget) -> str:
        return f"key:{target.value}" if isinstance(target, SourceKey) else self.named("input", target.value)

    def _cancelled(self, outcome: PendingTurnInputCancelOutcome) -> str:
        if isinstance(outcome, NotFound):
            return "not found"
        shown = f"{OUTCOMES[type(outcome)]} {self._row(outcome.input)}"
        holder = outcome.claim if isinstance(outcome, AlreadyClaimed) else None
        return shown if holder is None else f"{shown}, {self._holder(holder)}"

    def _holder(self, holder: PendingTurnInputClaimDiagnostics) -> str:
        claim = self.named(f"claim{OF[TurnInputClaim]}", holder.claim_id or "nothing")
        who = "nobody" if holder.claim_owner is None else shown_owner(holder.claim_owner)
        until = f"until {holder.claim_expires_at_ms}, fence {holder.claim_fencing_token}"
        return f"{holder.state.value} under {claim} of {who} {until}"

    def _row(self, row: PendingTurnInput) -> str:
        """Name and state; what never changes is shown again only if it did."""
        admission = self._admission_of_input(row)
        return self._name_and_state(row) + ("" if self._inputs.get(row.input_id) == admission else admission)

    def _name_and_state(self, row: PendingTurnInput) -> str:
        return f"{self.named('input', row.input_id)} ({row.state.value} {_shown_ingress(row.ingress)})"

    def _admission_of_input(self, row: PendingTurnInput) -> str:
        shown = f", {self.place('input', row.session_id, row.enqueue_seq)} since {row.enqueued_at_ms}"
        if row.source_key is not None:
            shown += f", key {row.source_key}"
        return shown if row.input == _input(self.named("input", row.input_id)) else f"{shown}, text {_shown_text(row.input)}"


def _input(text: str) -> TurnInput:
    return TurnInput((Text(text),))


def _shown_text(shown: TurnInput) -> str:
    return " ".join(item.text if isinstance(item, Text) else item.id for item in shown.items)


def _ingress(word: str) -> TurnInputIngress:
    turn, _, boundary = word.partition("/")
    if boundary:
        return TurnInputIngressActiveTurn(turn, TurnInputCheckpointBoundary(boundary))
    assert turn == "next"
    return TurnInputIngressNextTurn()


def _shown_ingress(ingress: TurnInputIngress) -> str:
    if isinstance(ingress, TurnInputIngressActiveTurn):
        return f"{ingress.turn_id}/{ingress.min_boundary.value}"
    return "next"
