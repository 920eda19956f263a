"""A run in words: who held which claim when, and what became of what it held."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from fencepost.model import Refused
from fencepost.spec import (
    Cancelled,
    LeaseOwnerIdentity,
    Outcomes,
    PendingTurnInputCancelResult,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkCompletion,
    RuntimeCommit,
    TurnInputClaim,
    TurnInputCompletion,
)
from fencepost.statemachines.checker import Call, Crash, Performed

from .brief import holder, listed, named

Claim = TurnInputClaim | QueuedWorkClaim
Completion = TurnInputCompletion | QueuedWorkCompletion


@dataclass
class Holding:
    """A claim, as the answers told it: what it was granted, and what became of that since."""

    session_id: str
    claim_id: str
    lease_token: str
    owner: LeaseOwnerIdentity
    since: int
    until: int
    ids: tuple[str, ...]
    of_inputs: bool
    gone: dict[str, str] = field(default_factory=dict)

    @property
    def left(self) -> tuple[str, ...]:
        """What the claim still holds."""
        return tuple(each for each in self.ids if each not in self.gone)

    def proves(self, shown: Claim | Completion) -> bool:
        """Whether what is shown is this claim or its completion."""
        of_inputs = isinstance(shown, TurnInputClaim | TurnInputCompletion)
        return (self.of_inputs, self.session_id, self.claim_id, self.lease_token) == (
            of_inputs,
            shown.session_id,
            shown.claim_id,
            shown.lease_token,
        )

    def told_at(self, now: int) -> str:
        """Who held what when, in the tense of the instant, and what became of the rest."""
        lapsed = f"lapsed at {self.until}" if self.until <= now else f"live until {self.until}"
        left = f"held {listed(map(named, self.left))}" if self.left else "held nothing any more"
        fates = "".join(f"; {named(each)} was {fate}" for each, fate in self.gone.items())
        claim = f"the claim {named(self.claim_id)} of {holder(self.owner)}"
        return f"{claim}, granted at {self.since} and {lapsed}, {left}{fates}"


def who_claimed(performed: Sequence[Performed]) -> str | None:
    """What was held by the claims that the last call shows, or in the session it claims in; None if it is about none."""
    *before, last = performed
    known = holdings(before)
    shown = list(_shown(last.call))
    if shown:
        return " ".join(_told(each, known, last.now) for each in shown)
    session_id = last.call.arguments[0] if _asks_for_claims(last.call) else None
    told = [each.told_at(last.now) for each in known if each.session_id == session_id and (each.left or each.gone)]
    return f"At {last.now} ms {'; and '.join(told)}." if told else None


def _asks_for_claims(call: Call) -> bool:
    """Whether the answer follows from who holds what in the session that the call names first."""
    words = ("pending_turn_input", "queued_work", "turn_inputs", "session_command")
    return any(word in call.operation for word in words) and bool(call.arguments)


def _told(shown: Claim | Completion, known: Sequence[Holding], now: int) -> str:
    kind = "inputs" if isinstance(shown, TurnInputClaim | TurnInputCompletion) else "work"
    found = next((each for each in reversed(known) if each.proves(shown)), None)
    if found is None:
        return f"The claim of {kind} that the call shows, {named(shown.claim_id)}, was never granted with that token."
    return f"At {now} ms {found.told_at(now)}{_completing(shown, found)}."


def _completing(shown: Claim | Completion, holding: Holding) -> str:
    """Which ids a completion names that the claim does not hold."""
    if not isinstance(shown, Completion):
        return ""
    ids = shown.input_ids if isinstance(shown, TurnInputCompletion) else shown.batch_ids
    foreign = [named(each) for each in ids if each not in holding.left]
    completes = f"; the commit completes {listed(map(named, ids)) or 'nothing'} with it"
    if len(foreign) == len(ids):
        return f"{completes}, which it does not hold" if ids else completes
    return f"{completes}, of which it does not hold {listed(foreign)}" if foreign else completes


def holdings(performed: Iterable[Performed]) -> list[Holding]:
    """All claims granted, the oldest first, as the calls after them left them."""
    known: list[Holding] = []
    for each in performed:
        if isinstance(each.answer, Refused | Crash):
            continue
        if isinstance(each.answer, Claim):
            _granted(known, each.answer, each.now)
        for of_inputs, entry, fate in _cancelled(each):
            _lose([holding for holding in known if holding.of_inputs is of_inputs], (entry,), fate)
        for shown, fate in _settled(each):
            _lose([holding for holding in known if holding.proves(shown)], _ids(shown), fate)
    return known


def _lose(holdings: Iterable[Holding], ids: Collection[str], fate: str) -> None:
    for holding in holdings:
        holding.gone.update((each, fate) for each in holding.left if each in ids)


def _granted(known: list[Holding], claim: Claim, now: int) -> None:
    """A new claim takes what others held; a renewed one lives on."""
    renewed = next((each for each in known if each.proves(claim)), None)
    if renewed is not None:
        renewed.until = claim.expires_at_epoch_ms
        return
    ids, of_inputs = _ids(claim), isinstance(claim, TurnInputClaim)
    rivals = [each for each in known if each.of_inputs is of_inputs]
    _lose(rivals, ids, f"taken over by {holder(claim.owner)} at {now}")
    times = (claim.claimed_at_epoch_ms, claim.expires_at_epoch_ms)
    known.append(Holding(claim.session_id, claim.claim_id, claim.lease_token, claim.owner, *times, ids, of_inputs))


def _cancelled(performed: Performed) -> Iterator[tuple[bool, str, str]]:
    """What an answer tells to be cancelled: whether it is an input, its id, and its fate in words."""
    answer, fate = performed.answer, f"cancelled at {performed.now}"
    if isinstance(answer, QueuedWorkBatch) and performed.call.operation == "cancel_queued_work_batch":
        yield False, answer.batch_id, fate
    outcomes = answer.outcomes if isinstance(answer, Outcomes) else answer if isinstance(answer, tuple) else (answer,)
    for each in outcomes:
        outcome = each.outcome if isinstance(each, PendingTurnInputCancelResult) else each
        if isinstance(outcome, Cancelled):
            yield True, outcome.input.input_id, fate


def _settled(performed: Performed) -> Iterator[tuple[Claim | Completion, str]]:
    """What a call that was not refused completed or gave back."""
    for shown in _shown(performed.call):
        if isinstance(shown, Completion):
            yield shown, f"completed at {performed.now}"
        elif performed.call.operation.startswith("abandon"):
            yield shown, f"given back at {performed.now}"


def _shown(call: Call) -> Iterator[Claim | Completion]:
    """The claims and completions that a call shows."""
    for argument in call.arguments:
        if isinstance(argument, Claim):
            yield argument
        elif isinstance(argument, RuntimeCommit):
            yield from argument.completed_queue_claims
            yield from argument.completed_turn_input_claims


def _ids(shown: Claim | Completion) -> tuple[str, ...]:
    match shown:
        case TurnInputClaim() | QueuedWorkClaim():
            return _ids(shown.completion())
        case TurnInputCompletion():
            return shown.input_ids
    return shown.batch_ids
