"""Faults in claims of turn inputs, and in giving them back."""

from __future__ import annotations

import secrets
from typing import Any

from fencepost.impl import claim, input_rows, turn_input
from fencepost.impl.claim import HELD_BY, SET_FREE
from fencepost.impl.engine import Statement
from fencepost.impl.input_rows import IN_LINE
from fencepost.spec import (
    U64_MAX,
    Acquired,
    Backend,
    TurnInputClaim,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
    saturating_add,
)

from ..kinds import Kind
from ..planting import Patch, ask, bug, per_run, reworded, sent_otherwise, within, wrap

BOTH = ("claim_active_turn_inputs", "claim_next_turn_inputs")
LIVE = "claim_token IS NOT NULL AND state = 'deferred_next_turn'"


JUDGED = claim.dead_to


def judging(patch: Patch, dead_to: Any) -> None:
    """Let claims of inputs judge by this who is dead."""
    for operation in BOTH:
        within(patch, operation, claim, dead_to=dead_to)


@bug("GEN-2", Kind.edge, "turn_input")
def claim_taken_early(patch: Patch) -> None:
    """A claim can be taken over a millisecond before it expires."""
    reworded(patch, turn_input, "WAITING", "claim_expires_at <= ?", "claim_expires_at::HUGEINT <= ?::HUGEINT + 1")


@bug("GEN-3", Kind.untrue, "turn_input")
def expiry_counted_from_the_last(patch: Patch) -> None:
    """A claim that takes over a lapsed one expires its time to live after that one did."""
    original = claim.granted

    def granted(kind: str, number: int, head: claim.Hold, owner: Any, now: int, ttl: int) -> claim.Grant:
        grant = original(kind, number, head, owner, now, ttl)
        return grant._replace(expires_at=saturating_add(head.expires_at or now, ttl))

    patch.setattr(turn_input, "granted", granted)


@bug("GEN-3a", Kind.overflow, "turn_input")
def claim_expiry_wraps(patch: Patch) -> None:
    """A huge time to live of a claim wraps around."""
    patch.setattr(claim, "saturating_add", lambda left, right: (left + right) % 2**64)


@bug("GEN-5", Kind.liveness, "turn_input")
def dead_holder_spared(patch: Patch) -> None:
    """A live claim keeps its inputs although its holder is provably dead."""
    judging(patch, lambda holder, claimant, alive: False)


@bug("GEN-7", Kind.liveness, "turn_input")
def dead_to_the_lease_holder(patch: Patch) -> None:
    """Whether a holder is dead is judged for the owner of the lease, and not for the one that the claim names."""

    def around(original: Any, store: Any, session_id: str, fence: Any, *rest: Any) -> Any:
        read = claim.read_claimable

        def read_claimable(engine: Any, line: Statement, fence: Any, now: int, facts: Any, most: int, *who: Any) -> Any:
            return read(engine, line, fence, now, facts, most, fence.owner, who[-1])

        with Patch() as inner:
            inner.setattr(turn_input, "read_claimable", read_claimable)
            return original(store, session_id, fence, *rest)

    wrap(patch, "claim_next_turn_inputs", around)


@bug("GEN-7", Kind.lost, "turn_input")
def lease_holder_recorded(patch: Patch) -> None:
    """A claim records the owner of its lease as holder, whoever it was asked for."""

    def around(original: Any, store: Any, session_id: str, fence: Any, owner: Any, *rest: Any) -> Any:
        return original(store, session_id, fence, fence.owner, *rest)

    for method in BOTH:
        wrap(patch, method, around)


@bug("GEN-11", Kind.uncalled, "turn_input")
def release_frees_claims(patch: Patch) -> None:
    """Whoever gives the lane back loses the claims on its inputs for the next turn."""

    def around(original: Any, store: Any, completion: Any) -> None:
        held = "SELECT 1 FROM leases WHERE session_id = ? AND lease_token = ?"
        proves = ask(store, held, completion.session_id, completion.lease_token)
        original(store, completion)
        if proves and not ask(store, held, completion.session_id, completion.lease_token):
            ask(store, f"UPDATE inputs SET {SET_FREE} WHERE session_id = ? AND {LIVE}", completion.session_id)

    wrap(patch, "release_session_execution_lease", around)


@bug("GEN-11", Kind.uncalled, "turn_input")
def newer_lease_takes_all(patch: Patch) -> None:
    """A new lease of the lane frees what claims of earlier holders still hold for the next turn."""

    def around(original: Any, store: Any, session_id: str, owner: Any, ttl: int) -> Any:
        before = ask(store, "SELECT fencing_token FROM leases WHERE session_id = ?", session_id)
        outcome = original(store, session_id, owner, ttl)
        if isinstance(outcome, Acquired) and [(outcome.lease.fencing_token,)] != before:
            ask(store, f"UPDATE inputs SET {SET_FREE} WHERE session_id = ? AND {LIVE}", session_id)
        return outcome

    wrap(patch, "try_claim_session_execution_lease", around)


@bug("GEN-13", Kind.stale, "turn_input")
def own_claim_entered_again(patch: Patch) -> None:
    """A claim takes what a live claim of the same incarnation holds."""

    def dead_to(holder: Any, claimant: Any, alive: Any) -> bool:
        return holder.incarnation == claimant.incarnation or JUDGED(holder, claimant, alive)

    # asked of every holder: the same incarnation may say something else of its liveness
    reworded(patch, turn_input, "WAITING", "claim_host = ?", "concat(?) IS NOT NULL")
    judging(patch, dead_to)


@bug("GEN-16", Kind.reused, "turn_input", also=("GEN-INV-2",))
def count_restarts(patch: Patch) -> None:
    """An input whose claim is given back counts its claims from 0 again."""
    sent_otherwise(patch, "put the inputs in line", "claim_id = NULL", "claim_fencing_token = 0, claim_id = NULL")
    # here the count makes claim ids: they have to stay apart all the same
    original = claim.granted
    patch.setattr(turn_input, "granted", lambda *rest: original(*rest)._replace(claim_id=f"tic-{secrets.token_hex(8)}"))


@bug("GEN-17", Kind.reused, "turn_input")
def claims_of_one_instant_alike(patch: Patch) -> None:
    """The claims of a session that are granted in one millisecond have one lease token."""
    original = claim.granted

    def granted(kind: str, number: int, head: claim.Hold, owner: Any, now: int, ttl: int) -> claim.Grant:
        return original(kind, number, head, owner, now, ttl)._replace(lease_token=f"token-{now}")

    patch.setattr(turn_input, "granted", granted)


@bug("CLAIM-1", Kind.edge)
def nothing_asked_and_judged(patch: Patch) -> None:
    """A claim of at most 0 inputs is refused if its fence fails."""

    def around(original: Any, store: Any, *arguments: Any) -> Any:
        if arguments[-1]:
            return original(store, *arguments)
        with Patch() as inner:
            inner.setattr(turn_input, "chosen", lambda *rest: [])
            return original(store, *arguments[:-1], 1)

    wrap(patch, "claim_next_turn_inputs", around)


def choosing(patch: Patch, change: Any) -> None:
    """Put `change(original, ...)` in place of what chooses the inputs of a claim."""
    original = turn_input.chosen
    patch.setattr(turn_input, "chosen", lambda *arguments: change(original, *arguments))


@bug("CLAIM-5", Kind.edge)
def one_short_of_the_most(patch: Patch) -> None:
    """A claim of several inputs takes one fewer than it may."""

    def one_fewer(original: Any, candidates: Any, mode: Any, most: int) -> Any:
        return original(candidates, mode, most - (most > 1))

    choosing(patch, one_fewer)


@bug("CLAIM-6", Kind.selection)
def stopped_instead_of_passed(patch: Patch) -> None:
    """A claim ends at the first input that somebody holds."""

    def read_claimable(engine: Any, line: Statement, fence: Any, now: int, facts: Any, *rest: Any) -> Any:
        rows = claim.read_claimable(engine, line, fence, now, facts, *rest)
        look = Statement("a planted fault", f"SELECT enqueue_seq FROM inputs WHERE {IN_LINE} AND claim_expires_at > ?")
        held = {number for (number,) in engine.execute(look, (*facts, now))} - {row[0] for row in rows}
        return [row for row in rows if row[0] < min(held, default=U64_MAX)]

    patch.setattr(turn_input, "read_claimable", read_claimable)


@bug("CLAIM-4", Kind.selection, also=("CLAIM-3",))
def boundary_ignored(patch: Patch) -> None:
    """An input that is to wait for the completion of its turn is taken at any checkpoint."""
    patch.setattr(input_rows, "admits", lambda boundary, checkpoint: True)
    patch.setattr(turn_input, "offered", lambda ingress, mode: True)


@bug("CLAIM-4", Kind.selection)
def boundary_taken_for_the_only(patch: Patch) -> None:
    """An input is taken at the checkpoint of its boundary and at no later one."""

    def offered(ingress: Any, mode: Any) -> bool:
        active = isinstance(ingress, TurnInputIngressActiveTurn)
        return not active or ingress.min_boundary.value == mode.checkpoint.value

    patch.setattr(turn_input, "offered", offered)


@bug("CLAIM-7", Kind.selection, also=("CLAIM-8",))
def orphans_claimed(patch: Patch) -> None:
    """A claim for the next turn that finds nothing hands on what waits for other turns, and takes that."""

    def around(original: Any, store: Any, session_id: str, *rest: Any) -> Any:
        found = original(store, session_id, *rest)
        if found is not None or not rest[-1]:
            return found
        orphans = ask(store, "SELECT enqueue_seq FROM inputs WHERE session_id = ? AND state = 'pending_active'", session_id)
        if orphans:
            numbers = [number for (number,) in orphans]
            input_rows.put_in_line(store._engine, session_id, TurnInputIngressNextTurn(), numbers)
        return original(store, session_id, *rest)

    wrap(patch, "claim_next_turn_inputs", around)


@bug("CLAIM-11", Kind.selection)
def accepted_claimed_again(patch: Patch) -> None:
    """A turn takes its Accepted inputs again once their claim has lapsed."""

    def around(original: Any, store: Any, session_id: str, fence: Any, owner: Any, turn_id: str, *rest: Any) -> Any:
        read = claim.read_claimable
        lapsed = "session_id = ? AND state = 'accepted' AND claim_expires_at <= ?"
        select = f"SELECT enqueue_seq, 'pending_active', ingress, {HELD_BY} FROM inputs WHERE {lapsed}"

        def read_claimable(engine: Any, line: Statement, shown: Any, now: int, *rest: Any) -> Any:
            rows = read(engine, line, shown, now, *rest)
            again = engine.execute(Statement("a planted fault", select), (session_id, now))
            own = [row for row in again if getattr(input_rows.ingress_of(row[2]), "turn_id", None) == turn_id]
            return sorted([*rows, *own])

        with Patch() as inner:
            inner.setattr(turn_input, "read_claimable", read_claimable)
            return original(store, session_id, fence, owner, turn_id, *rest)

    wrap(patch, "claim_active_turn_inputs", around)


@bug("CLAIM-12", Kind.half)
def lapsed_claim_taken_whole(patch: Patch) -> None:
    """Whoever takes a part of a lapsed claim frees the rest of it."""

    def around(original: Any, store: Any, session_id: str, *rest: Any) -> Any:
        held = ask(store, f"SELECT input_id, claim_token FROM inputs WHERE session_id = ? AND {LIVE}", session_id)
        taken = original(store, session_id, *rest)
        ids = {each.input_id for each in taken.inputs} if taken is not None else set()
        for token in {token for input_id, token in held if input_id in ids}:
            ask(store, f"UPDATE inputs SET {SET_FREE} WHERE claim_token = ?", token)
        return taken

    wrap(patch, "claim_next_turn_inputs", around)


@bug("ABANDON-1", Kind.stale)
def newer_claim_abandoned(patch: Patch) -> None:
    """To give back a claim that was taken over takes its inputs from whoever holds them now."""
    held = "concat(?, ?) <> '' AND claim_token IS NOT NULL"
    reworded(patch, turn_input, "READ_OWNED", "claim_id = ? AND claim_token = ?", held)


@bug("ABANDON-2", Kind.refusal)
def given_back_but_once(patch: Patch) -> None:
    """To give back a claim that was given back before is refused."""
    given_back = per_run(lambda: set[str]())

    def around(original: Any, store: Any, claim: Any) -> None:
        if claim.claim_id in given_back(store):
            raise Backend("there is no such claim")
        original(store, claim)
        given_back(store).add(claim.claim_id)

    wrap(patch, "abandon_turn_input_claim", around)


@bug("GEN-9", Kind.stale, "turn_input")
def abandoned_without_token(patch: Patch) -> None:
    """A claim is given back by its id alone, whatever token is shown."""
    reworded(patch, turn_input, "READ_OWNED", "claim_id = ? AND claim_token = ?", "claim_id = ? AND concat(?) <> ''")


@bug("ABANDON-1", Kind.lost, also=("INPUT-INV-3",))
def abandoned_to_the_next_turn(patch: Patch) -> None:
    """Accepted inputs whose claim is given back wait for the next turn."""
    within(patch, "abandon_turn_input_claim", turn_input, ingress_of=lambda text: TurnInputIngressNextTurn())


@bug("ABANDON-3", Kind.refusal)
def lapsed_claim_not_abandoned(patch: Patch) -> None:
    """To give back a claim that has lapsed does nothing."""

    def around(original: Any, store: Any, given: TurnInputClaim) -> None:
        if given.expires_at_epoch_ms > store._now():
            original(store, given)

    wrap(patch, "abandon_turn_input_claim", around)
