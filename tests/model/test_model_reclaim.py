"""The lease chapter of the model: taking a live lease from a dead holder, and who can be judged dead."""

from __future__ import annotations

from typing import Any

import pytest
from fencepost.model.lease import definitely_dead, fence_holds, lease_of
from fencepost.model.records.lease import SessionLease
from fencepost.spec import (
    Alive,
    Busy,
    LeaseOwnerIdentity,
    LeaseOwnerLiveness,
    LocalProcess,
    Opaque,
    SessionExecutionLeaseExpired,
    SessionExecutionLeaseFence,
)
from model_builders import (
    A_RESTARTED,
    BUSY,
    LIVE,
    MINTED,
    NOW,
    PROCESS_A,
    PROCESS_B,
    RECLAIM,
    RELEASE,
    RENEW,
    A,
    B,
    completion,
    everybody_lives,
    fence,
    granted,
    held,
    lease,
    nobody_can_tell,
    nobody_lives,
    opaque,
    ours,
    ports,
    refusal,
    state_of,
    stored,
)


def reclaimed(record: SessionLease, owner: LeaseOwnerIdentity, observed: SessionExecutionLeaseFence, alive: Any) -> object:
    """The answer of a reclaim of s for 100 ms at 1,000."""
    return ours(state_of(record), RECLAIM, "s", owner, observed, 100, at=ports(alive=alive, seen=MINTED)).answer


def test_lease_20_a_dead_holder_that_was_observed_is_taken_over() -> None:
    """The right fence and a dead holder give the next fencing token to the claimant."""
    step = ours(state_of(LIVE), RECLAIM, "s", B, fence(), 100, at=ports(alive=nobody_lives, seen=MINTED))
    assert step.answer == granted(B, 4)
    assert lease_of(step.state, "s") == stored(B, 4)
    assert step.because[0] == "LEASE-20"


@pytest.mark.parametrize(
    "observed",
    [
        fence(token="token-2"),
        fence(number=2),
        fence(number=4),
        fence(B),
        fence(A_RESTARTED),
        fence(session="s2"),
    ],
    ids=["token", "lower fence", "higher fence", "owner", "incarnation", "session"],
)
def test_lease_21_a_wrong_observation_is_busy(observed: SessionExecutionLeaseFence) -> None:
    """A dead holder is safe from a reclaim that observed anything but its present lease."""
    assert reclaimed(LIVE, B, observed, nobody_lives) == BUSY


def test_lease_20_the_liveness_inside_the_observation_is_ignored() -> None:
    """An observation that names no process takes over, one that names a dead process does not help against the stored."""
    dead = LeaseOwnerIdentity("a", "1", LocalProcess("host", "boot", 99, "tick-0"))
    assert reclaimed(LIVE, B, fence(opaque(A)), nobody_lives) == granted(B, 4)
    assert reclaimed(held(liveness=Opaque()), B, fence(dead), nobody_lives) == Busy(lease(opaque(A)))


def test_lease_22_a_reclaim_is_no_re_entry() -> None:
    """A living holder that reclaims its own lease is told Busy with itself, and its expiry stays."""
    step = ours(state_of(LIVE), RECLAIM, "s", A, fence(), 5_000)
    assert step.answer == BUSY
    assert lease_of(step.state, "s") == LIVE
    assert step.because[0] == "LEASE-22"


def test_lease_22_a_holder_that_is_dead_to_itself_acquires_anew() -> None:
    """The same incarnation, its recorded process being dead, gets a new token and the next fence."""
    successor = LeaseOwnerIdentity("a", "1", PROCESS_B)
    assert reclaimed(LIVE, successor, fence(), nobody_lives) == granted(successor, 4)


def test_lease_23_the_loser_of_two_reclaims_is_told_the_new_holder() -> None:
    """Two claimants observed one dead holder: the second finds its observation outdated, however dead the winner is."""
    first = ours(state_of(LIVE), RECLAIM, "s", B, fence(), 100, at=ports(alive=nobody_lives, seen=MINTED))
    late = LeaseOwnerIdentity("c", "1", LocalProcess("host", "boot", 30, "tick-1"))
    second = ours(first.state, RECLAIM, "s", late, fence(), 100, at=ports(alive=nobody_lives))
    assert second.answer == Busy(lease(B, token="new", fence=4, claimed=1_000, expires=1_100))
    assert "LEASE-23" in second.because


def test_lease_24_a_takeover_ends_the_old_fence_and_the_old_completion() -> None:
    """After a takeover the old holder can neither renew nor write nor release."""
    taken = ours(state_of(LIVE), RECLAIM, "s", B, fence(), 100, at=ports(alive=nobody_lives, seen=MINTED)).state
    renewal = ours(taken, RENEW, fence(), 100)
    assert refusal(renewal) == SessionExecutionLeaseExpired("s")
    assert "LEASE-24" in renewal.because
    assert not fence_holds(taken, "s", fence(), NOW)
    assert lease_of(ours(taken, RELEASE, completion()).state, "s") == stored(B, 4)


LIVING = LocalProcess("host", "boot", 10, "tick-1")


@pytest.mark.parametrize(
    ("holder", "claimant", "dead"),
    [
        (LIVING, LocalProcess("host", "boot", 20, "tick-9"), True),
        (LIVING, LIVING, True),
        (LIVING, LocalProcess("host", "boot", 0, ""), True),
        (LIVING, LocalProcess("other", "boot", 20, "tick-1"), False),
        (LIVING, LocalProcess("host", "reboot", 20, "tick-1"), False),
        (LIVING, LocalProcess("other", "reboot", 20, "tick-1"), False),
        (LIVING, Opaque(), False),
        (Opaque(), LIVING, False),
        (Opaque(), Opaque(), False),
        (None, LIVING, False),
    ],
)
def test_lease_25_and_26_who_can_be_judged_dead(
    holder: LeaseOwnerLiveness | None, claimant: LeaseOwnerLiveness, dead: bool
) -> None:
    """Only a local process, and only by a claimant on its host and boot; the claimant's own pid and start do not matter."""
    assert definitely_dead(holder, claimant, nobody_lives) is dead


@pytest.mark.parametrize(("answer", "dead"), [(Alive.yes, False), (Alive.no, True), (Alive.unknown, False)])
def test_lease_27_only_no_is_death(answer: Alive, dead: bool) -> None:
    """The oracle's yes and its unknown both keep the holder."""
    assert definitely_dead(PROCESS_A, PROCESS_B, lambda pid, start: answer) is dead


def test_lease_26_the_oracle_is_asked_for_the_holder_s_process() -> None:
    """The probe is of the holder's pid and start stamp, never of the claimant's."""
    asked = []

    def alive(pid: int, process_start: str) -> Alive:
        asked.append((pid, process_start))
        return Alive.no

    definitely_dead(LocalProcess("h", "b", 7, "seven"), LocalProcess("h", "b", 8, "eight"), alive)
    assert asked == [(7, "seven")]


ELSEWHERE = LeaseOwnerIdentity("b", "1", LocalProcess("other", "boot", 20, "tick-1"))


@pytest.mark.parametrize(
    ("record", "claimant", "oracle", "decided"),
    [
        (LIVE, opaque(B), nobody_lives, ("LEASE-25", "LEASE-21")),
        (held(liveness=Opaque()), B, nobody_lives, ("LEASE-25", "LEASE-21")),
        (LIVE, B, nobody_can_tell, ("LEASE-27", "LEASE-21")),
        (LIVE, B, everybody_lives, ("LEASE-26", "LEASE-21")),
        (LIVE, ELSEWHERE, nobody_can_tell, ("LEASE-26", "LEASE-21")),
    ],
)
def test_lease_25_to_27_the_reason_that_spared_a_holder(
    record: SessionLease, claimant: LeaseOwnerIdentity, oracle: Any, decided: tuple[str, ...]
) -> None:
    """A matching reclaim that fails names the rule of liveness that failed it."""
    step = ours(state_of(record), RECLAIM, "s", claimant, fence(), 100, at=ports(alive=oracle))
    assert isinstance(step.answer, Busy)
    assert step.because == decided
