"""The lease chapter of the model: the transition table of the law, cell by cell, and the edges of each rule."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from fencepost.model import State
from fencepost.model.lease import VACANT, fence_because, fence_holds, lease_of
from fencepost.model.records.lease import SessionLease
from fencepost.spec import (
    U64_MAX,
    Acquired,
    Busy,
    LeaseOwnerIdentity,
    SessionExecutionLeaseExpired,
    SessionExecutionLeaseFence,
)
from model_builders import (
    A_RESTARTED,
    BUSY,
    CLAIM,
    EXPIRED,
    LIVE,
    MINTED,
    NOW,
    PROCESS_B,
    RECLAIM,
    RELEASE,
    RENEW,
    A,
    B,
    completion,
    fence,
    free,
    granted,
    held,
    lease,
    leased,
    nobody_lives,
    opaque,
    ours,
    ports,
    refusal,
    state_of,
    stored,
)


class Cell(NamedTuple):
    """One cell of the table: the record before, the call, its answer, and the record after."""

    before: SessionLease | None
    operation: str
    arguments: tuple[Any, ...]
    answer: object
    after: SessionLease | None


REFUSED = SessionExecutionLeaseExpired("s")

TABLE = {
    "claim, never leased": Cell(None, CLAIM, ("s", B, 100), granted(B, 1), stored(B, 1)),
    "claim, free": Cell(free(3), CLAIM, ("s", B, 100), granted(B, 4), stored(B, 4)),
    "claim, expired": Cell(EXPIRED, CLAIM, ("s", B, 100), granted(B, 4), stored(B, 4)),
    "claim, expired, by its own holder": Cell(EXPIRED, CLAIM, ("s", A, 100), granted(A, 4), stored(A, 4)),
    "claim, live, by its holder": Cell(LIVE, CLAIM, ("s", A, 100), Acquired(lease(A, expires=1_100)), held(expires=1_100)),
    "claim, live, by another": Cell(LIVE, CLAIM, ("s", B, 100), BUSY, LIVE),
    "claim, live, by a restart of its holder": Cell(LIVE, CLAIM, ("s", A_RESTARTED, 100), BUSY, LIVE),
    "reclaim, never leased": Cell(None, RECLAIM, ("s", B, fence(), 100), granted(B, 1), stored(B, 1)),
    "reclaim, free": Cell(free(3), RECLAIM, ("s", B, fence(), 100), granted(B, 4), stored(B, 4)),
    "reclaim, expired": Cell(EXPIRED, RECLAIM, ("s", B, fence(), 100), granted(B, 4), stored(B, 4)),
    "reclaim, expired, observed nonsense": Cell(
        EXPIRED, RECLAIM, ("s", B, fence(B, session="s2", token="?", number=9), 100), granted(B, 4), stored(B, 4)
    ),
    "reclaim, live, by its holder": Cell(LIVE, RECLAIM, ("s", A, fence(), 100), BUSY, LIVE),
    "reclaim, live, by another": Cell(LIVE, RECLAIM, ("s", B, fence(), 100), BUSY, LIVE),
    "renew, never leased": Cell(None, RENEW, (fence(), 100), REFUSED, None),
    "renew, free": Cell(free(3), RENEW, (fence(), 100), REFUSED, free(3)),
    "renew, expired": Cell(EXPIRED, RENEW, (fence(), 100), REFUSED, EXPIRED),
    "renew, live": Cell(LIVE, RENEW, (fence(), 100), lease(A, expires=1_100), held(expires=1_100)),
    "renew, live, other token": Cell(LIVE, RENEW, (fence(token="token-2"), 100), REFUSED, LIVE),
    "renew, live, lower fence": Cell(LIVE, RENEW, (fence(number=2), 100), REFUSED, LIVE),
    "renew, live, higher fence": Cell(LIVE, RENEW, (fence(number=4), 100), REFUSED, LIVE),
    "renew, live, other owner": Cell(LIVE, RENEW, (fence(B), 100), REFUSED, LIVE),
    "renew, live, other incarnation": Cell(LIVE, RENEW, (fence(A_RESTARTED), 100), REFUSED, LIVE),
    "release, never leased": Cell(None, RELEASE, (completion(),), None, None),
    "release, free": Cell(free(3), RELEASE, (completion(),), None, free(3)),
    "release, expired": Cell(EXPIRED, RELEASE, (completion(),), None, free(3)),
    "release, expired, other token": Cell(EXPIRED, RELEASE, (completion(token="token-2"),), None, EXPIRED),
    "release, live": Cell(LIVE, RELEASE, (completion(),), None, free(3)),
    "release, live, other token": Cell(LIVE, RELEASE, (completion(token="token-2"),), None, LIVE),
    "release, live, other fence": Cell(LIVE, RELEASE, (completion(number=2),), None, LIVE),
    "release, live, other owner": Cell(LIVE, RELEASE, (completion(B),), None, LIVE),
    "release, live, other incarnation": Cell(LIVE, RELEASE, (completion(A_RESTARTED),), None, LIVE),
}


@pytest.mark.parametrize("cell", TABLE.values(), ids=TABLE.keys())
def test_every_cell_of_the_transition_table(cell: Cell) -> None:
    """Record before and call determine the answer and the record after, as the table of the law has it."""
    state = state_of(cell.before)
    step = ours(state, cell.operation, *cell.arguments, at=ports(seen=MINTED))
    answer = refusal(step) if isinstance(cell.answer, SessionExecutionLeaseExpired) else step.answer
    assert answer == cell.answer
    assert step.state.lease.records.get("s") == cell.after


@pytest.mark.parametrize(
    ("record", "shown", "holds"),
    [
        (None, fence(), False),
        (free(3), fence(), False),
        (EXPIRED, fence(), False),
        (LIVE, fence(), True),
        (LIVE, fence(opaque(A)), True),
        (LIVE, fence(token="token-2"), False),
        (LIVE, fence(number=2), False),
        (LIVE, fence(B), False),
        (LIVE, fence(A_RESTARTED), False),
        (LIVE, fence(session="s2"), False),
    ],
)
def test_lease_37_the_fence_check(record: SessionLease | None, shown: SessionExecutionLeaseFence, holds: bool) -> None:
    """A fence holds only if it is of the session that is asked for and matches its live lease."""
    state = state_of(record)
    assert fence_holds(state, "s", shown, NOW) is holds
    assert fence_because(state, "s", shown, NOW)[0] == "LEASE-37"


def test_lease_37_a_fence_of_another_session_fails_even_if_that_session_is_leased() -> None:
    """The fence of a live lease of s2 is none for s, although s holds an equal lease."""
    state = leased({"s": LIVE, "s2": LIVE})
    assert not fence_holds(state, "s", fence(session="s2"), NOW)
    assert fence_holds(state, "s2", fence(session="s2"), NOW)


@pytest.mark.parametrize(("now", "live"), [(1_499, True), (1_500, False), (1_501, False)])
def test_lease_6_a_lease_is_over_at_its_expiry(now: int, live: bool) -> None:
    """One millisecond before its expiry a lease binds everybody, at its expiry nobody."""
    state, at = state_of(LIVE), ports(now, seen=MINTED)
    assert isinstance(ours(state, CLAIM, "s", B, 100, at=at).answer, Busy if live else Acquired)
    assert isinstance(ours(state, RECLAIM, "s", B, fence(), 100, at=at).answer, Busy if live else Acquired)
    assert (ours(state, RENEW, fence(), 100, at=at).state is state) is not live
    assert fence_holds(state, "s", fence(), now) is live


@pytest.mark.parametrize("now", [1_499, 1_500])
@pytest.mark.parametrize(("operation", "arguments"), [(CLAIM, ("s", B, 1)), (CLAIM, ("s", A, 1)), (RENEW, (fence(), 1))])
def test_lease_6_is_named_at_both_sides_of_the_edge(now: int, operation: str, arguments: tuple[Any, ...]) -> None:
    """A call in the last millisecond of a lease, or in the first after it, is decided by LEASE-6."""
    assert "LEASE-6" in ours(state_of(LIVE), operation, *arguments, at=ports(now)).because
    assert "LEASE-6" not in ours(state_of(LIVE), operation, *arguments, at=ports(1_200)).because


def test_lease_7_a_claim_of_no_time_succeeds_and_is_over_at_once() -> None:
    """With TTL 0 the fencing token is used up, the lease expires now, and the next owner gets the token after it."""
    first = ours(state_of(free(3)), CLAIM, "s", A, 0, at=ports(seen=MINTED))
    assert first.answer == Acquired(lease(A, token="new", fence=4, claimed=1_000, expires=1_000))
    assert "LEASE-7" in first.because
    second = ours(first.state, CLAIM, "s", B, 0, at=ports(seen=Acquired(lease(B, token="newer"))))
    assert second.answer == Acquired(lease(B, token="newer", fence=5, claimed=1_000, expires=1_000))


def test_lease_14_and_30_no_time_ends_a_live_lease() -> None:
    """Re-entry and renewal with TTL 0 answer the lease and end it in the same millisecond."""
    for operation, arguments in ((CLAIM, ("s", A, 0)), (RENEW, (fence(), 0))):
        step = ours(state_of(LIVE), operation, *arguments)
        assert lease_of(step.state, "s") == held(expires=1_000)
        assert "LEASE-7" in step.because
        assert not fence_holds(step.state, "s", fence(), NOW)


def test_lease_14_and_30_the_expiry_may_move_earlier() -> None:
    """Re-entry and renewal set the expiry from now, also to before the old one."""
    for operation, arguments in ((CLAIM, ("s", A, 7)), (RENEW, (fence(), 7))):
        assert lease_of(ours(state_of(LIVE), operation, *arguments).state, "s") == held(expires=1_007)


@pytest.mark.parametrize(
    ("now", "ttl", "expires"),
    [
        (1_000, U64_MAX, 18446744073709551615),
        (1_000, 18446744073709550615, 18446744073709551615),
        (1_000, 18446744073709550614, 18446744073709551614),
        (1_000, 18446744073709550616, 18446744073709551615),
        (1_000, 9223372036854775808, 9223372036854776808),
    ],
)
def test_lease_8_the_expiry_saturates(now: int, ttl: int, expires: int) -> None:
    """An expiry past 2^64 - 1 is held there, for grants, re-entries and renewals alike; one below it is exact."""
    at = ports(now, seen=MINTED)
    claimed = ours(State(), CLAIM, "s", A, ttl, at=at).answer
    reentered = ours(state_of(LIVE), CLAIM, "s", A, ttl, at=at).answer
    renewed = ours(state_of(LIVE), RENEW, fence(), ttl, at=at).answer
    assert claimed == Acquired(lease(A, token="new", fence=1, claimed=1_000, expires=expires))
    assert reentered == Acquired(lease(A, expires=expires))
    assert renewed == lease(A, expires=expires)


def test_lease_8_a_saturated_lease_ends_at_the_end_of_time() -> None:
    """A lease until 2^64 - 1 is live one millisecond earlier and over at that instant."""
    state = state_of(held(expires=U64_MAX))
    assert isinstance(ours(state, CLAIM, "s", B, 1, at=ports(18446744073709551614)).answer, Busy)
    assert isinstance(ours(state, CLAIM, "s", B, 1, at=ports(18446744073709551615)).answer, Acquired)


def test_lease_11_the_fencing_token_saturates() -> None:
    """At 2^64 - 1 a further acquisition keeps the number, and says that LEASE-11 decided it."""
    step = ours(state_of(free(U64_MAX)), CLAIM, "s", B, 100, at=ports(seen=MINTED))
    assert step.answer == granted(B, 18446744073709551615)
    assert "LEASE-11" in step.because
    last = ours(state_of(free(18446744073709551614)), CLAIM, "s", B, 100, at=ports(seen=MINTED))
    assert last.answer == granted(B, 18446744073709551615)
    assert "LEASE-11" not in last.because


def test_lease_10_the_lease_token_is_the_store_s_own_if_it_is_fresh() -> None:
    """A token from the store's answer is taken; one that was issued before is not, and the answers will differ."""
    taken = ours(State(), CLAIM, "s", A, 100, at=ports(seen=MINTED))
    assert lease_of(taken.state, "s").token == "new"
    assert dict(taken.state.lease.issued) == {("s", "new"): 1}
    again = ours(leased({"s": free(3)}, {("s", "new"): 3}), CLAIM, "s", A, 100, at=ports(seen=MINTED))
    assert lease_of(again.state, "s").token != "new"


def test_lease_10_a_token_of_another_session_is_fresh() -> None:
    """What was issued for s2 may be issued for s."""
    step = ours(leased({}, {("s2", "new"): 1}), CLAIM, "s", A, 100, at=ports(seen=MINTED))
    assert lease_of(step.state, "s").token == "new"


def test_lease_10_the_model_alone_mints_a_token_that_was_never_issued() -> None:
    """Without a store to look at, ten grants in one millisecond carry ten lease tokens."""
    state = State()
    for _ in range(10):
        state = ours(state, CLAIM, "s", A, 0).state
    assert len(state.lease.issued) == 10


def test_lease_3_and_35_the_requirement_tells_first_grants_from_later_ones() -> None:
    """The first grant is decided by LEASE-3, one after a release by LEASE-35, one after an expiry by neither."""
    assert ours(State(), CLAIM, "s", A, 1).because[0] == "LEASE-3"
    assert "LEASE-35" in ours(state_of(free(3)), CLAIM, "s", A, 1).because
    assert not {"LEASE-3", "LEASE-35"} & set(ours(state_of(EXPIRED), CLAIM, "s", A, 1).because)


def test_lease_2_sessions_do_not_touch_each_other() -> None:
    """A claim of s2 leaves the live lease of s as it is, and names LEASE-2."""
    state = state_of(LIVE)
    step = ours(state, CLAIM, "s2", B, 100, at=ports(seen=MINTED))
    assert dict(step.state.lease.records) == {
        "s": held(),
        "s2": held(("b", "1"), PROCESS_B, token="new", fence=1, claimed=1_000, expires=1_100),
    }
    assert "LEASE-2" in step.because
    assert "LEASE-2" not in ours(State(), CLAIM, "s2", B, 100).because
    assert "LEASE-2" not in ours(state_of(LIVE), CLAIM, "s", A, 100).because


def test_lease_4_empty_ids_are_ids() -> None:
    """The empty session id and the empty owner are leased like any other."""
    nobody = LeaseOwnerIdentity("", "")
    step = ours(State(), CLAIM, "", nobody, 100, at=ports(seen=MINTED))
    assert step.answer == Acquired(lease(nobody, session="", token="new", fence=1, claimed=1_000, expires=1_100))
    assert "LEASE-4" in step.because
    assert isinstance(ours(step.state, CLAIM, "", A, 100).answer, Busy)


def test_lease_15_re_entry_keeps_the_stored_liveness() -> None:
    """A holder that claims again without liveness still answers, and is still judged, by what it said first."""
    step = ours(state_of(LIVE), CLAIM, "s", opaque(A), 100)
    assert step.answer == Acquired(lease(A, expires=1_100))
    assert lease_of(step.state, "s") == held(expires=1_100)


def test_lease_31_a_renewal_answers_the_fence_s_owner_and_stores_nothing_of_it() -> None:
    """The renewed lease shows the liveness of the fence; the record keeps its own."""
    step = ours(state_of(LIVE), RENEW, fence(opaque(A)), 100)
    assert step.answer == lease(opaque(A), expires=1_100)
    assert lease_of(step.state, "s") == held(expires=1_100)


def test_lease_17_a_claim_does_not_ask_for_the_holder_s_life() -> None:
    """A provably dead holder is still Busy for a plain claim."""
    step = ours(state_of(LIVE), CLAIM, "s", B, 100, at=ports(alive=nobody_lives))
    assert step.answer == BUSY
    assert "LEASE-17" in step.because


def test_lease_36_proofs_survive_renewal_and_re_entry() -> None:
    """A fence and a completion taken before the expiry moved are as good afterwards."""
    moved = ours(state_of(LIVE), RENEW, fence(), 100).state
    moved = ours(moved, CLAIM, "s", A, 300).state
    assert fence_holds(moved, "s", fence(), 1_299)
    assert lease_of(ours(moved, RELEASE, completion()).state, "s") == free(3)


def test_lease_32_a_renewal_never_revives() -> None:
    """An expired lease that nobody claimed since is not renewed, and LEASE-32 says so."""
    step = ours(state_of(EXPIRED), RENEW, fence(), 100)
    assert refusal(step) == SessionExecutionLeaseExpired("s")
    assert step.because[0] == "LEASE-32"


def test_lease_29_the_error_names_the_fence_s_session() -> None:
    """A renewal of a session that was never leased is refused in the name of that session."""
    assert refusal(ours(State(), RENEW, fence(session="never"), 100)) == SessionExecutionLeaseExpired("never")


def test_lease_34a_a_release_of_nothing_stores_nothing() -> None:
    """A completion for an unknown session leaves the very same state."""
    state = state_of(LIVE)
    assert ours(state, RELEASE, completion(session="never")).state is state


def test_lease_33_a_release_of_an_expired_lease_names_why_it_still_works() -> None:
    """An expired lease stays stored, so its holder can release it: LEASE-33 and LEASE-5."""
    assert set(ours(state_of(EXPIRED), RELEASE, completion()).because) == {"LEASE-33", "LEASE-35", "LEASE-5"}
    assert set(ours(state_of(LIVE), RELEASE, completion()).because) == {"LEASE-33", "LEASE-35"}
    assert ours(state_of(free(3)), RELEASE, completion()).because == ("LEASE-34",)


def test_lease_5_an_expired_lease_lives_again_if_the_clock_goes_back() -> None:
    """Expiry clears nothing: at an earlier instant the same record is live."""
    assert isinstance(ours(state_of(EXPIRED), CLAIM, "s", B, 100, at=ports(NOW - 1)).answer, Busy)


def test_lease_3_an_absent_record_is_the_vacant_one() -> None:
    """What was never leased reads as free with fencing token 0."""
    assert lease_of(State(), "s") == VACANT == free(0)
