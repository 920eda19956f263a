"""Pending turn inputs, state by state: what every event makes of an input in every state that it can be in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import pytest
from fencepost.model import Refused, State, Step
from fencepost.model.records.turn_input import InputRow
from fencepost.spec import (
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    Cancelled,
    InputId,
    LeaseOwnerIdentity,
    Outcomes,
    RuntimeCommitResult,
    TurnInputClaim,
    TurnInputClaimExpired,
    VacuumReport,
)
from ingress_builders import (
    ABANDON,
    ACCEPTED,
    AT_COMPLETION,
    BEFORE_COMPLETION,
    CANCEL,
    CANCELLED,
    COMPLETED,
    DEFERRED,
    ENQUEUE,
    FOR_T,
    LAPSED_CLAIM,
    LIST,
    LIVE_CLAIM,
    MINTED_INPUTS,
    NEW_CLAIM,
    NEXT,
    PENDING_ACTIVE,
    SUFFIX,
    active_mode,
    as_answered,
    claim_active,
    claim_next,
    draft,
    held_until,
    input_claim,
    input_done,
    input_row,
    inputs_of,
    under,
    unheld,
    with_inputs,
)
from model_builders import COMMIT, NOW, A, B, commit, held, leased, nobody_lives, opaque, ours, ports
from msgspec.structs import replace

P = input_row(state=PENDING_ACTIVE, turn="t")
P_AGAIN = input_row(state=PENDING_ACTIVE, turn="t", claim=unheld(1))
P_LATE = input_row(state=PENDING_ACTIVE, turn="t", boundary=BEFORE_COMPLETION)
A_LIVE = input_row(state=ACCEPTED, turn="t", claim=LIVE_CLAIM)
A_LAPSED = input_row(state=ACCEPTED, turn="t", claim=LAPSED_CLAIM)
D_FREE = input_row(state=DEFERRED)
D_LIVE = input_row(state=DEFERRED, claim=LIVE_CLAIM)
D_LAPSED = input_row(state=DEFERRED, claim=LAPSED_CLAIM)
C = input_row(state=CANCELLED)
C_OF_TURN = input_row(state=CANCELLED, turn="t", claim=unheld(1))
X = input_row(state=COMPLETED, claim=unheld(1))
X_OF_TURN = input_row(state=COMPLETED, turn="t", claim=unheld(1))

STATES = {
    "P": P,
    "P again": P_AGAIN,
    "P late": P_LATE,
    "A live": A_LIVE,
    "A lapsed": A_LAPSED,
    "D free": D_FREE,
    "D live": D_LIVE,
    "D lapsed": D_LAPSED,
    "C": C,
    "C of a turn": C_OF_TURN,
    "X": X,
    "X of a turn": X_OF_TURN,
}

Happening: TypeAlias = Callable[[State], Step]
MINTING = ports(seen=MINTED_INPUTS)
DEAD = ports(alive=nobody_lives, seen=MINTED_INPUTS)

EVENTS: dict[str, Happening] = {
    "claimed for t after work": lambda state: claim_active(state, at=MINTING),
    "claimed for t before completion": lambda state: claim_active(state, checkpoint=AT_COMPLETION, at=MINTING),
    "claimed for t2": lambda state: claim_active(state, turn="t2", at=MINTING),
    "claimed for t by one to whom a is dead": lambda state: claim_active(state, at=DEAD),
    "claimed for next": lambda state: claim_next(state, at=MINTING),
    "claimed for next with ttl 0": lambda state: claim_next(state, ttl=0, at=MINTING),
    "claimed for next by a": lambda state: claim_next(state, A, at=MINTING),
    "claimed for next by one to whom a is dead": lambda state: claim_next(state, at=DEAD),
    "claimed for next by one who cannot tell": lambda state: claim_next(state, opaque(B), at=DEAD),
    "cancelled": lambda state: ours(state, CANCEL, "s", "i1", at=DEAD),
    "cancelled with a suffix": lambda state: ours(state, SUFFIX, "s", InputId("i1")),
    "abandoned": lambda state: ours(state, ABANDON, input_claim(D_LIVE)),
    "abandoned in an active turn": lambda state: ours(state, ABANDON, input_claim(A_LIVE, mode=active_mode())),
    "abandoned with another token": lambda state: ours(state, ABANDON, input_claim(D_LIVE, lease_token="other")),
    "abandoned with another claim id": lambda state: ours(state, ABANDON, input_claim(D_LIVE, claim_id="other")),
    "completed": lambda state: ours(state, COMMIT, commit(completed_turn_input_claims=(input_done("i1"),))),
    "committed": lambda state: ours(state, COMMIT, commit()),
    "t interrupted": lambda state: ours(state, COMMIT, commit(interrupted_turn_input_turn_id="t")),
    "t2 interrupted": lambda state: ours(state, COMMIT, commit(interrupted_turn_input_turn_id="t2")),
    "vacuumed": lambda state: ours(state, "vacuum"),
}

LOST = Refused(TurnInputClaimExpired("s", "claim"))
DONE, CLAIMED = RuntimeCommitResult, TurnInputClaim


def new(row: InputRow, owner: LeaseOwnerIdentity = B, *, expires: int = 1_100, **changes: Any) -> InputRow:
    """The input under its holder's new claim, its counter raised by one."""
    count = row.record.claim.fencing_token + 1
    changed: InputRow = under(row, held_until(expires, by=owner, claim="new", token="minted", count=count), **changes)
    return changed


P_NEXT = input_row(submitted=FOR_T)
P_LATE_NEXT = input_row(submitted=P_LATE.submitted)
P_AGAIN_NEXT = input_row(submitted=FOR_T, claim=unheld(1))


class Row(NamedTuple):
    """A line of the table: what an event makes of inputs in these states, and the kind of its answer."""

    event: str
    before: str
    after: InputRow | None
    answer: object


def stays(events: str, states: str, answer: object) -> list[Row]:
    """Lines in which the input stays as it is."""
    return [
        Row(event, name, STATES[name], answer)
        for event in EVENTS
        if event in events.split(", ")
        for name in STATES
        if name in states.split(", ")
    ]


ANY_ACTIVE = "claimed for t after work, claimed for t before completion, claimed for t2, claimed for t by one to whom a is dead"
ANY_NEXT = (
    "claimed for next, claimed for next with ttl 0, claimed for next by a, claimed for next by one to whom a is dead, "
    "claimed for next by one who cannot tell"
)
ANY_P, ANY_A, ANY_D = "P, P again, P late", "A live, A lapsed", "D free, D live, D lapsed"
ENDS = "C, C of a turn, X, X of a turn"
FOREIGN = "abandoned with another token, abandoned with another claim id"
OWN = "abandoned, abandoned in an active turn"
COMMITS = "committed, t2 interrupted"

TABLE: list[Row] = [
    # PendingActive
    Row("claimed for t after work", "P", new(P, state=ACCEPTED), CLAIMED),
    Row("claimed for t after work", "P again", new(P_AGAIN, state=ACCEPTED), CLAIMED),
    Row("claimed for t before completion", "P", new(P, state=ACCEPTED), CLAIMED),
    Row("claimed for t before completion", "P again", new(P_AGAIN, state=ACCEPTED), CLAIMED),
    Row("claimed for t before completion", "P late", new(P_LATE, state=ACCEPTED), CLAIMED),
    Row("claimed for t by one to whom a is dead", "P", new(P, state=ACCEPTED), CLAIMED),
    Row("claimed for t by one to whom a is dead", "P again", new(P_AGAIN, state=ACCEPTED), CLAIMED),
    *stays("claimed for t after work, claimed for t by one to whom a is dead", "P late", None),
    *stays("claimed for t2", ANY_P, None),
    *stays(ANY_NEXT, ANY_P, None),
    *[Row(event, name, under(STATES[name], unheld(STATES[name].record.claim.fencing_token), state=CANCELLED), answer)
      for event, answer in (("cancelled", Cancelled), ("cancelled with a suffix", Cancelled)) for name in ANY_P.split(", ")],
    Row("t interrupted", "P", P_NEXT, DONE),
    Row("t interrupted", "P again", P_AGAIN_NEXT, DONE),
    Row("t interrupted", "P late", P_LATE_NEXT, DONE),
    *stays(COMMITS, ANY_P, DONE),
    *stays(f"{OWN}, {FOREIGN}", ANY_P, None),
    *stays("completed", ANY_P, LOST),
    *stays("vacuumed", ANY_P, VacuumReport(0, 0)),
    # Accepted
    *[Row(event, name, P_AGAIN, None) for event in OWN.split(", ") for name in ANY_A.split(", ")],
    *[Row("completed", name, X_OF_TURN, DONE) for name in ANY_A.split(", ")],
    *stays(f"{ANY_ACTIVE}, {ANY_NEXT}", ANY_A, None),
    *stays("cancelled, cancelled with a suffix", ANY_A, AlreadyClaimed),
    *stays(f"t interrupted, {COMMITS}", ANY_A, DONE),
    *stays(FOREIGN, ANY_A, None),
    *stays("vacuumed", ANY_A, VacuumReport(0, 0)),
    # DeferredNextTurn
    *stays(ANY_ACTIVE, ANY_D, None),
    *[Row(event, name, new(STATES[name], owner, expires=expires), CLAIMED)
      for event, owner, expires in (
          ("claimed for next", B, 1_100),
          ("claimed for next by one to whom a is dead", B, 1_100),
          ("claimed for next by one who cannot tell", opaque(B), 1_100),
          ("claimed for next by a", A, 1_100),
          ("claimed for next with ttl 0", B, 1_000))
      for name in ("D free", "D lapsed")],
    Row("claimed for next by one to whom a is dead", "D live", new(D_LIVE), CLAIMED),
    *stays(
        "claimed for next, claimed for next with ttl 0, claimed for next by a, claimed for next by one who cannot tell",
        "D live",
        None,
    ),
    *[Row(event, "D free", C, Cancelled) for event in ("cancelled", "cancelled with a suffix")],
    *[Row(event, "D lapsed", input_row(state=CANCELLED, claim=unheld(1)), Cancelled)
      for event in ("cancelled", "cancelled with a suffix")],
    *stays("cancelled, cancelled with a suffix", "D live", AlreadyClaimed),
    *[Row(event, name, input_row(claim=unheld(1)), None) for event in OWN.split(", ") for name in ("D live", "D lapsed")],
    *stays(OWN, "D free", None),
    *stays(FOREIGN, ANY_D, None),
    *[Row("completed", name, X, DONE) for name in ("D live", "D lapsed")],
    *stays("completed", "D free", LOST),
    *stays(f"t interrupted, {COMMITS}", ANY_D, DONE),
    *stays("vacuumed", ANY_D, VacuumReport(0, 0)),
    # the ends
    *stays("cancelled, cancelled with a suffix", "C, C of a turn", AlreadyCancelled),
    *stays("cancelled, cancelled with a suffix", "X, X of a turn", AlreadyCompleted),
    *stays(f"{ANY_ACTIVE}, {ANY_NEXT}, {OWN}, {FOREIGN}", ENDS, None),
    *stays("completed", ENDS, LOST),
    *stays(f"t interrupted, {COMMITS}", ENDS, DONE),
    *[Row("vacuumed", name, None, VacuumReport(0, 1)) for name in ENDS.split(", ")],
]  # fmt: skip
"""Every event in every state."""


def test_the_table_has_every_event_in_every_state_once() -> None:
    """Twenty events in twelve states are 240 lines."""
    pairs = [(row.event, row.before) for row in TABLE]
    assert len(pairs) == len(set(pairs)) == 240
    assert set(pairs) == {(event, name) for event in EVENTS for name in STATES}


@pytest.mark.parametrize("row", TABLE, ids=[f"{row.before}: {row.event}" for row in TABLE])
def test_what_an_event_makes_of_an_input(row: Row) -> None:
    """The input is what the table says, nothing else about it has changed, and the answer is of the kind it says."""
    step = EVENTS[row.event](with_inputs(STATES[row.before]))
    assert inputs_of(step.state) == (() if row.after is None else (row.after,))
    answer = step.answer
    if isinstance(answer, Outcomes):
        (answer,) = answer.outcomes
    if isinstance(row.answer, type):
        assert type(answer) is row.answer
    else:
        assert answer == row.answer


@pytest.mark.parametrize("name", STATES)
def test_list_1_what_is_listed_in_which_state(name: str) -> None:
    """What waits is listed unless a live claim holds it; what is accepted or has ended never is."""
    row = STATES[name]
    listed = ours(with_inputs(row), LIST, "s").answer
    assert listed == ((as_answered(row),) if name in ("P", "P again", "P late", "D free", "D lapsed") else ())


@pytest.mark.parametrize("name", STATES)
def test_input_inv_8_an_input_is_listed_exactly_if_it_can_be_cancelled(name: str) -> None:
    """In every state the list and the cancel agree, also about a holder that is dead."""
    state = with_inputs(STATES[name])
    cancelled = isinstance(ours(state, CANCEL, "s", "i1", at=DEAD).answer, Cancelled)
    assert cancelled == bool(ours(state, LIST, "s", at=DEAD).answer)


@pytest.mark.parametrize("name", STATES)
def test_input_7_a_key_is_answered_in_every_state(name: str) -> None:
    """The same content gives the input as it is now, other content a conflict that names it, and nothing changes."""
    row = replace(STATES[name], source_key="k")
    state = with_inputs(row)
    again = draft(source_key="k", input_id="ignored", ingress=as_answered(row).ingress)
    step = ours(state, ENQUEUE, again)
    assert step.answer == as_answered(row)
    assert step.state is state
    other = ours(state, ENQUEUE, replace(again, ingress=NEXT if row.record.for_turn else FOR_T))
    assert isinstance(other.answer, Refused)
    assert vars(other.answer.error) == {"session_id": "s", "source_key": "k", "existing_input_id": "i1"}
    assert other.state is state


@pytest.mark.parametrize(
    ("now", "lives"), [(899, True), (900, False), (901, False)], ids=["before its expiry", "at its expiry", "after it"]
)
def test_gen_2_a_claim_lapses_at_its_expiry(now: int, lives: bool) -> None:
    """Up to the millisecond before it keeps an input from lists, cancels and claims; from its expiry on it does not."""
    state = replace(with_inputs(D_LAPSED), lease=leased({"s": held()}).lease)
    at = ports(now, seen=MINTED_INPUTS)
    assert (ours(state, LIST, "s", at=at).answer == ()) is lives
    assert isinstance(ours(state, CANCEL, "s", "i1", at=at).answer, AlreadyClaimed) is lives
    assert (claim_next(state, at=at).answer is None) is lives
    assert ("GEN-2" in claim_next(state, at=at).because) is (now in (899, 900))


def test_gen_3_a_claim_ends_its_ttl_after_it_was_granted() -> None:
    """At 1,000 for 100 ms it ends at 1,100; for 0 ms at 1,000, where it has lapsed already; at the end of time it saturates."""
    assert NOW == 1_000
    assert inputs_of(claim_next(with_inputs(D_FREE), at=MINTING).state)[0].record.claim == NEW_CLAIM
    lapsing = claim_next(with_inputs(D_FREE), ttl=0, at=MINTING)
    assert ours(lapsing.state, LIST, "s").answer == (as_answered(D_FREE),)
    forever = claim_next(with_inputs(D_FREE), ttl=2**64 - 1, at=MINTING)
    assert isinstance(forever.answer, TurnInputClaim)
    assert forever.answer.expires_at_epoch_ms == 18446744073709551615
