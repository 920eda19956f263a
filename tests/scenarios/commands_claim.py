"""What claims of turn inputs and of queued work have in common: how they are proved, altered, completed and shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from commands import Alterable, Commands, altered, owner, shown_owner
from fencepost.spec import QueuedWorkClaim, QueuedWorkCompletion, TurnInputClaim, TurnInputCompletion

OF: dict[type, str] = {TurnInputClaim: " of inputs", QueuedWorkClaim: " of work"}
"""Claim ids of inputs and of work may be equal: they are named apart."""


class ClaimCommands(Commands):
    """Claims by name, whatever they hold."""

    def __init__(self) -> None:
        super().__init__()
        self._claims: dict[str, Any] = {}
        self._places: dict[tuple[str, str], set[int]] = {}
        self._alterable: Alterable = {
            "session": ("session_id", str),
            "claim": ("claim_id", self.minted),
            "token": ("lease_token", str),
            "owner": ("owner", owner),
            "fence": ("fencing_token", int),
        }

    def do_abandon(self, words: list[str]) -> Iterator[str]:
        """`abandon CLAIM`."""
        claim = self.claim(words[0])
        of_inputs = isinstance(claim, TurnInputClaim)
        (self.store.abandon_turn_input_claim if of_inputs else self.store.abandon_queued_work_claim)(claim)
        yield "ok"

    def claim(self, word: str) -> Any:
        """The latest claim answered with this id, altered as the brackets say."""
        return altered(word, self._claims.__getitem__, self._alterable)

    def completion(self, word: str) -> TurnInputCompletion | QueuedWorkCompletion:
        """The completion of the claim, altered as the brackets say: `claim#1(ids=a+b,token=forged)`."""
        made: TurnInputCompletion | QueuedWorkCompletion = self._claims[word.partition("(")[0]].completion()
        ids = "input_ids" if isinstance(made, TurnInputCompletion) else "batch_ids"
        return altered(word, lambda _: made, {**self._alterable, "ids": (ids, self.ids)})

    def ids(self, word: str) -> tuple[str, ...]:
        """The minted ids behind the names: `a+b`; any other name is an id itself."""
        return tuple(map(self.minted, filter(None, word.split("+"))))

    def held(self, claim: Any, what: str) -> str:
        """The claim with what it holds; the scenario speaks of it by its number from now on."""
        name = self.numbered("claim", claim.claim_id, of=OF[type(claim)])
        self._claims[name] = claim
        span = f"{claim.claimed_at_epoch_ms} to {claim.expires_at_epoch_ms}"
        return f"{shown_owner(claim.owner)} holds {what} of {claim.session_id} by {name}, fence {claim.fencing_token}, {span}"

    def place(self, kind: str, session: str, enqueue_seq: int) -> str:
        """Which one of the session's this is, by the sequence numbers of the kind that appeared so far."""
        known = self._places.setdefault((kind, session), set())
        known.add(enqueue_seq)
        return f"place {sorted(known).index(enqueue_seq) + 1} of {session}"
