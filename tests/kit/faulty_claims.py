"""Stores with one planted fault each, in turn inputs, queued work, or what commits settle of them."""

# ruff: noqa: D102 - what a method does wrong stands in the docstring of its class
from __future__ import annotations

from typing import Any

from faulty import Bent
from fencepost.kit import declares
from fencepost.kit.duckdb import memory
from fencepost.spec import (
    NotFound,
    QueuedWorkBatch,
    QueuedWorkClaim,
    RuntimeCommit,
    TurnInputClaim,
    TurnInputClaimExpired,
)
from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore
from msgspec.structs import replace


class LapsedIsLost(Bent):
    """A claim of inputs cannot be completed once it has lapsed."""

    def commit_runtime_state(self, commit: object) -> object:
        for done in commit.completed_turn_input_claims if isinstance(commit, RuntimeCommit) else ():
            claims = [row.record.claim for row in self.state.turn_input.of(done.session_id)]
            proof = (done.claim_id, done.lease_token)
            if any(claim.held and claim.proof == proof and claim.expires_at <= self._clock() for claim in claims):
                raise TurnInputClaimExpired(done.session_id, done.claim_id)
        return self.right("commit_runtime_state", commit)


class AnyCompletion(Bent):
    """A completion of inputs counts for as much as its claim holds, whatever it lists."""

    def commit_runtime_state(self, commit: object) -> object:
        if isinstance(commit, RuntimeCommit):
            settled = []
            for done in commit.completed_turn_input_claims:
                held = {
                    row.input_id
                    for row in self.state.turn_input.of(done.session_id)
                    if row.record.claim.held and row.record.claim.proof == (done.claim_id, done.lease_token)
                }
                settled.append(replace(done, input_ids=tuple(each for each in done.input_ids if each in held)))
            commit = replace(commit, completed_turn_input_claims=tuple(settled))
        return self.right("commit_runtime_state", commit)


class CompletionIgnored(Bent):
    """A commit completes no queued work."""

    def commit_runtime_state(self, commit: object) -> object:
        if isinstance(commit, RuntimeCommit):
            commit = replace(commit, completed_queue_claims=())
        return self.right("commit_runtime_state", commit)


class CancelsWhatIsHeld(Bent):
    """A batch is cancelled though a live claim holds it."""

    def cancel_queued_work_batch(self, session_id: str, batch_id: str) -> QueuedWorkBatch | None:
        known = {batch.batch_id: batch for batch in self.right("list_queued_work", session_id)}
        cancelled: QueuedWorkBatch | None = self.right("cancel_queued_work_batch", session_id, batch_id)
        return cancelled or known.get(batch_id)


class ClaimIdReused(Bent):
    """Every claim for the next turn has the same claim id."""

    def claim_next_turn_inputs(self, *arguments: object) -> TurnInputClaim | None:
        claim: TurnInputClaim | None = self.right("claim_next_turn_inputs", *arguments)
        return replace(claim, claim_id="claim") if claim else None


class LastOne(Bent):
    """A cancel by id means the input that was submitted last."""

    def cancel_pending_turn_input(self, session_id: str, input_id: str) -> object:
        rows = tuple(self.state.turn_input.of(session_id)) if isinstance(session_id, str) else ()
        known = input_id in {row.input_id for row in rows}
        return self.right("cancel_pending_turn_input", session_id, rows[-1].input_id if known else input_id)


class OwnIdsUnknown(Bent):
    """A cancel finds no input whose id the caller made up."""

    def cancel_pending_turn_input(self, session_id: str, input_id: str) -> object:
        self.right("cancel_pending_turn_input", session_id, "nothing")
        if isinstance(input_id, str) and not input_id.startswith("input-"):
            return NotFound()
        return self.right("cancel_pending_turn_input", session_id, input_id)


class OneBatchTooMany(Bent):
    """A claim by batch ids holds what comes next, whichever ids it is given."""

    def claim_ready_queued_work_by_batch_ids(self, *arguments: Any) -> QueuedWorkClaim | None:
        *asked, batch_ids = arguments
        if not isinstance(batch_ids, tuple) or not batch_ids:
            return self.right("claim_ready_queued_work_by_batch_ids", *arguments)  # type: ignore[no-any-return]
        return self.right("claim_ready_queued_work", *asked, len(batch_ids))  # type: ignore[no-any-return]


class StuckExpiry(Bent):
    """A renewal answers a new expiry and keeps the old one."""

    def renew_queued_work_claim(self, claim: object, lease_ttl_ms: object) -> object:
        before = self.state
        renewed = self.right("renew_queued_work_claim", claim, lease_ttl_ms)
        self.state = before
        return renewed


class FragileClaim(Bent):
    """A claim that was altered before it was given back is met with a KeyError."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.granted: list[object] = []

    def claim_next_turn_inputs(self, *arguments: object) -> object:
        self.granted.append(self.right("claim_next_turn_inputs", *arguments))
        return self.granted[-1]

    def abandon_turn_input_claim(self, claim: object) -> None:
        if isinstance(claim, TurnInputClaim) and claim not in self.granted:
            raise KeyError(claim.claim_id)
        self.right("abandon_turn_input_claim", claim)


def outputs_only(environment: Environment) -> Any:
    """A store of outputs by itself."""
    return memory(environment).output


class NeverGivenBack:
    """The DuckDB store, whose ids are others each time: a claim that is given back stays as it was."""

    def __init__(self, environment: Environment) -> None:
        self._store = memory(environment).runtime_persistence

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def abandon_turn_input_claim(self, claim: object) -> None:
        OPERATIONS["abandon_turn_input_claim"].refuse_invalid((claim,))


class Chapters:
    """A store with some chapters alone."""

    chapters: tuple[str, ...] = ()

    def __init__(self, environment: Environment) -> None:
        store = ModelStore(environment)
        for name, operation in OPERATIONS.items():
            if operation.chapter in self.chapters:
                setattr(self, name, getattr(store, name))


class InputsOnly(Chapters):
    """Leases and turn inputs."""

    chapters = ("lease", "turn_input")


@declares("controlled-clock", "attachments")
class ManifestOnly(Chapters):
    """Attachments."""

    chapters = ("attachment",)


FAULTS: dict[type, tuple[str, ...]] = {
    LapsedIsLost: ("turn_input", "commit"),
    AnyCompletion: ("turn_input", "commit"),
    CompletionIgnored: ("turn_input", "queued_work", "commit"),
    CancelsWhatIsHeld: ("queued_work",),
    ClaimIdReused: ("turn_input",),
    LastOne: ("turn_input",),
    OwnIdsUnknown: ("turn_input",),
    OneBatchTooMany: ("queued_work",),
    StuckExpiry: ("queued_work",),
    FragileClaim: ("turn_input",),
    NeverGivenBack: ("turn_input",),
}
"""The chapters that a run needs to find the fault, that in which it does the last."""
