"""Turn inputs in small: a part is a session, the first with inputs for a turn and for the next one, the other with one of each.

What is in the other session was submitted at the beginning: to the first it shows no more than that. The first shows the other
whether it has inputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import permutations, product

from fencepost.model import State
from fencepost.model.records.claim import ClaimProof, Issued
from fencepost.model.records.turn_input import Inputs, InputState
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
from immutables import Map
from msgspec.structs import replace

from ..checker import Call
from ..scope import Attempt, Bounds
from .leased import LONG, OTHER, SESSION, ClaimScope, all_claims, claims_of, fence_of, fences, lane, standings

TURN = "t"
AT_END = CheckpointKind.BeforeCompletion
NEXT = TurnInputIngressNextTurn()
AT_ONCE, AT_THE_END = (TurnInputIngressActiveTurn(TURN, boundary) for boundary in TurnInputCheckpointBoundary)
HELLO, OTHER_TEXT = TurnInput((Text("hello"),)), TurnInput((Text("other"),))


def draft(ingress: TurnInputIngress, key: str | None = None, text: TurnInput = HELLO) -> PendingTurnInputDraft:
    """An input of the session."""
    return PendingTurnInputDraft(session_id=SESSION, source_key=key, ingress=ingress, input=text)


ENQUEUE, LIST, CANCEL = "enqueue_pending_turn_input", "list_pending_turn_inputs", "cancel_pending_turn_input"
ACCEPT, RESERVE, ABANDON = "claim_active_turn_inputs", "claim_next_turn_inputs", "abandon_turn_input_claim"
DRAFTS = (draft(NEXT), draft(AT_ONCE), draft(AT_THE_END, "k"), draft(NEXT, "k"), draft(NEXT, "k", OTHER_TEXT))

ELSEWHERE = (DRAFTS[2], DRAFTS[0])
"""What was submitted to the other session."""


class TurnInputScope(ClaimScope[TurnInputClaim]):
    """Inputs submitted, listed, cancelled one and all, claimed by a turn and for the next one, and given back.

    Those of the other session, if it is one of those that calls go to, are listed, cancelled, claimed and given back.
    """

    chapter = "turn_input"
    default = Bounds(owners=2, processes=1, sessions=2, rows=2, times=1, tokens=1, ttls=(0, 1))
    suite = Bounds(owners=1, processes=0, sessions=1, rows=1, times=1, tokens=1, ttls=(0, 1))
    uses = ("owners", "processes", "sessions", "rows", "times", "tokens", "ttls")

    def prelude(self) -> tuple[Call, ...]:
        """Both sessions are leased for long, and inputs wait in the other one."""
        leased = (lane(name, self.owners[0], LONG) for name in (SESSION, OTHER))
        return (*leased, *(Call(ENQUEUE, (replace(each, session_id=OTHER),)) for each in ELSEWHERE))

    def within(self, part: State, place: int) -> bool:
        """So many inputs here, and so many claims in each session."""
        inputs = part.turn_input
        return len(inputs.of(SESSION)) <= self.bounds.rows and len(inputs.claims.under) <= self.bounds.tokens

    def joined(self, parts: Sequence[State]) -> State:
        """Both sessions in one: what is known of ids and keys, and of the order, is what is known of the inputs."""
        sessions = {name: inputs for part in parts for name, inputs in part.turn_input.rows.items()}
        rows = [row for inputs in sessions.values() for row in inputs]
        inputs = InputState(
            Map(sessions),
            ids=Map(Counter(row.input_id for row in rows)),
            last_seq=max((row.enqueue_seq for row in rows), default=0),
            claims=all_claims(*(part.turn_input.claims for part in parts)),
            sessions_of_key=Map(Counter(row.source_key for row in rows if row.source_key is not None)),
        )
        return replace(parts[0], turn_input=inputs)

    def part(self, whole: State, place: int) -> State:
        """The inputs of one session, and the claims on them."""
        name, inputs = self.names[place], whole.turn_input
        rows = {each: there for each, there in inputs.rows.items() if each == name}
        return replace(whole, turn_input=InputState(Map(rows), claims=claims_of(inputs.claims, name)))

    def shadow(self, part: State, place: int) -> State:
        """The other session as it was at the beginning; of the first, whether it has inputs (GEN-15)."""
        if self.names[place] == OTHER:
            return self._start[place]
        return replace(part, turn_input=InputState(Map({name: Inputs() for name in part.turn_input.rows})))

    def _calls(self, part: State) -> Iterator[Attempt]:
        rows = tuple(part.turn_input.of(SESSION))
        foreign = next(iter(self._start[1].turn_input.of(OTHER))).input_id
        yield from (Attempt(Call(ENQUEUE, (each,))) for each in DRAFTS)
        if rows:
            yield Attempt(Call(ENQUEUE, (replace(DRAFTS[0], input_id=rows[0].input_id),)))
        yield from (Attempt(Call(LIST, (name,))) for name in (SESSION, "s3"))
        ids = [row.input_id for row in rows]
        yield from (Attempt(Call(CANCEL, (SESSION, each))) for each in (*ids, foreign))
        targets = [InputId(each) for each in (*ids, foreign)]
        for some in ((), targets, [SourceKey("k"), *targets], *permutations(targets[:2])):
            yield Attempt(Call("cancel_pending_turn_inputs", (SESSION, tuple(some))))
        for anchor in (*targets, SourceKey("k"), SourceKey("none")):
            yield Attempt(Call("cancel_pending_turn_input_suffix", (SESSION, anchor)))
        seen = self._next_claim(part, SESSION)
        yield from (Attempt(call, seen) for call in self._claims(part))
        for claim in (*self._granted(part, SESSION), self._claim(part, SESSION, ("never", "granted"))):
            for each in (claim, replace(claim, lease_token=f"{claim.lease_token}'"), replace(claim, session_id=OTHER)):
                yield Attempt(Call(ABANDON, (each,)))

    def _claims(self, part: State) -> Iterator[Call]:
        fence, *others = fences(part)
        for owner, ttl in product(self.owners, self.bounds.ttls):
            for most in (0, 1, 2):
                yield Call(RESERVE, (SESSION, fence, owner, ttl, most))
            for checkpoint in CheckpointKind:
                yield Call(ACCEPT, (SESSION, fence, owner, TURN, checkpoint, ttl, 2))
        yield Call(ACCEPT, (SESSION, fence, self.owners[0], "t2", AT_END, 1, 1))
        for wrong, most in product(others, (0, 1)):
            yield Call(RESERVE, (SESSION, wrong, self.owners[0], 1, most))
            yield Call(ACCEPT, (SESSION, wrong, self.owners[0], TURN, AT_END, 1, most))

    def _calls_elsewhere(self, part: State) -> Iterator[Attempt]:
        yield Attempt(Call(LIST, (OTHER,)))
        if self.bounds.sessions == 1:
            return
        yield from (Attempt(Call(CANCEL, (OTHER, row.input_id))) for row in part.turn_input.of(OTHER))
        fence, seen = fence_of(part, OTHER), self._next_claim(part, OTHER)
        for owner, ttl in product(self.owners, self.bounds.ttls):
            yield Attempt(Call(RESERVE, (OTHER, fence, owner, ttl, 1)), seen)
            yield Attempt(Call(ACCEPT, (OTHER, fence, owner, TURN, AT_END, ttl, 1)), seen)
        yield from (Attempt(Call(ABANDON, (claim,))) for claim in self._granted(part, OTHER))

    def _issued(self, part: State) -> Issued:
        """The claims that were granted."""
        return part.turn_input.claims

    def _claim(self, part: State, name: str, proof: ClaimProof) -> TurnInputClaim:
        """A claim, with the inputs that it holds."""
        claim_id, token = proof
        return TurnInputClaim(
            session_id=name,
            claim_id=claim_id,
            owner=self.owners[0],
            lease_token=token,
            fencing_token=1,
            claimed_at_epoch_ms=0,
            expires_at_epoch_ms=0,
            mode=TurnInputClaimModeNextTurn(),
            inputs=tuple(shown(name, row) for row in part.turn_input.of(name) if row.record.claim.proof == proof),
        )

    def situation(self, state: State, name: str, now: int) -> str:
        """What the inputs of the session are, and whether live claims hold them."""
        rows = state.turn_input.of(name)
        return standings(((row.record.state.name, row.record.claim) for row in rows), now) or "no inputs"
