"""Turn inputs in small: inputs for a turn and for the next one, beside one that waits in another session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations, product

from fencepost.model import State
from fencepost.model.turn_input import shown
from fencepost.spec import (
    CheckpointKind,
    InputId,
    PendingTurnInputDraft,
    SourceKey,
    Text,
    TurnInput,
    TurnInputCheckpointBoundary,
    TurnInputClaim,
    TurnInputClaimModeNextTurn,
    TurnInputIngress,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
)
from msgspec.structs import replace

from ..checker import Call
from ..scope import Attempt, Bounds, Instant, Scope
from .leased import LONG, OTHER, SESSION, fences, lane, standings

TURN = "t"
AT_END = CheckpointKind.BeforeCompletion
NEXT = TurnInputIngressNextTurn()
AT_ONCE, AT_THE_END = (TurnInputIngressActiveTurn(TURN, boundary) for boundary in TurnInputCheckpointBoundary)
HELLO, OTHER_TEXT = TurnInput((Text("hello"),)), TurnInput((Text("other"),))


def draft(ingress: TurnInputIngress, key: str | None = None, text: TurnInput = HELLO) -> PendingTurnInputDraft:
    """An input of the session."""
    return PendingTurnInputDraft(session_id=SESSION, source_key=key, ingress=ingress, input=text)


ENQUEUE = "enqueue_pending_turn_input"
DRAFTS = (draft(NEXT), draft(AT_ONCE), draft(AT_THE_END, "k"), draft(NEXT, "k"), draft(NEXT, "k", OTHER_TEXT))


class TurnInputScope(Scope):
    """Inputs submitted, listed, cancelled one and all, claimed by a turn and for the next one, and given back."""

    chapter = "turn_input"
    default = Bounds(owners=2, processes=1, rows=2, times=1, tokens=1, ttls=(0, 1))
    suite = Bounds(owners=1, processes=0, rows=1, times=1, tokens=1, ttls=(0, 1))
    uses = ("owners", "processes", "rows", "times", "tokens", "ttls")

    def prelude(self) -> tuple[Call, ...]:
        """Both sessions are leased for long, and an input waits in the other one."""
        elsewhere = replace(DRAFTS[2], session_id=OTHER)
        return (*(lane(name, self.owners[0], LONG) for name in (SESSION, OTHER)), Call(ENQUEUE, (elsewhere,)))

    def within(self, part: State, place: int) -> bool:
        """So many inputs, and so many claims."""
        inputs = part.turn_input
        return len(inputs.of(SESSION)) <= self.bounds.rows and len(inputs.claims.under) <= self.bounds.tokens

    def attempts(self, part: State, place: int, instant: Instant) -> Iterator[Attempt]:
        """All eight calls."""
        rows = tuple(part.turn_input.of(SESSION))
        foreign = next(iter(part.turn_input.of(OTHER))).input_id
        yield from (Attempt(Call(ENQUEUE, (each,))) for each in DRAFTS)
        if rows:
            yield Attempt(Call(ENQUEUE, (replace(DRAFTS[0], input_id=rows[0].input_id),)))
        yield from (Attempt(Call("list_pending_turn_inputs", (name,))) for name in (SESSION, OTHER, "s3"))
        ids = [row.input_id for row in rows]
        yield from (Attempt(Call("cancel_pending_turn_input", (SESSION, each))) for each in (*ids, foreign))
        targets = [InputId(each) for each in (*ids, foreign)]
        for some in ((), targets, [SourceKey("k"), *targets], *permutations(targets[:2])):
            yield Attempt(Call("cancel_pending_turn_inputs", (SESSION, tuple(some))))
        for anchor in (*targets, SourceKey("k"), SourceKey("none")):
            yield Attempt(Call("cancel_pending_turn_input_suffix", (SESSION, anchor)))
        yield from map(Attempt, (*self._claims(part), *self._abandoned(part)))

    def _claims(self, part: State) -> Iterator[Call]:
        fence, *others = fences(part)
        for owner, ttl in product(self.owners, self.bounds.ttls):
            for most in (0, 1, 2):
                yield Call("claim_next_turn_inputs", (SESSION, fence, owner, ttl, most))
            for checkpoint in CheckpointKind:
                yield Call("claim_active_turn_inputs", (SESSION, fence, owner, TURN, checkpoint, ttl, 2))
        yield Call("claim_active_turn_inputs", (SESSION, fence, self.owners[0], "t2", AT_END, 1, 1))
        for wrong, most in product(others, (0, 1)):
            yield Call("claim_next_turn_inputs", (SESSION, wrong, self.owners[0], 1, most))
            yield Call("claim_active_turn_inputs", (SESSION, wrong, self.owners[0], TURN, AT_END, 1, most))

    def _abandoned(self, part: State) -> Iterable[Call]:
        """Every claim ever granted, as it was and altered, and one that never was."""
        rows = part.turn_input.of(SESSION)
        for claim_id, token in (*sorted(part.turn_input.claims.under), ("never", "granted")):
            inputs = tuple(row for row in rows if row.record.claim.proof == (claim_id, token))
            claim = TurnInputClaim(
                session_id=SESSION,
                claim_id=claim_id,
                owner=self.owners[0],
                lease_token=token,
                fencing_token=1,
                claimed_at_epoch_ms=0,
                expires_at_epoch_ms=0,
                mode=TurnInputClaimModeNextTurn(),
                inputs=tuple(shown(SESSION, row) for row in inputs),
            )
            for each in (claim, replace(claim, lease_token=f"{token}'"), replace(claim, session_id=OTHER)):
                yield Call("abandon_turn_input_claim", (each,))

    def situation(self, state: State, name: str, now: int) -> str:
        """What the inputs of the session are, and whether live claims hold them."""
        rows = state.turn_input.of(SESSION)
        return standings(((row.record.state.name, row.record.claim) for row in rows), now) or "no inputs"
