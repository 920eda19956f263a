"""What is followed where an answer leaves open when a call was made, whom it took for dead, or which order it had."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest
from fencepost.model import Ports, State, Step
from fencepost.spec import (
    Acquired,
    Alive,
    Busy,
    LeaseOwnerIdentity,
    LocalProcess,
    SessionExecutionLease,
    SessionExecutionLeaseFence,
    decode_session,
)
from fencepost.statemachines import following
from fencepost.statemachines.checker import Edge
from fencepost.statemachines.environment import Undecided, WallClock
from fencepost.statemachines.following import CANDIDATES, INSTANTS, Call, Candidate, Following, Made, differences
from fencepost.statemachines.minted import Renaming
from msgspec.structs import replace

HOLDER = LeaseOwnerIdentity("a", "1", LocalProcess("host", "boot", 10, "tick"))
OTHER = LeaseOwnerIdentity("b", "1", LocalProcess("host", "boot", 20, "tick"))


def lease(owner: LeaseOwnerIdentity, fence: int, since: int, until: int) -> SessionExecutionLease:
    """A lease of the session, whose lease token is told by its number."""
    return SessionExecutionLease("s", owner, f"t{fence}", fence, since, until)


def claimed(owner: LeaseOwnerIdentity, answer: object, began: int, ended: int) -> Made:
    """A claim for 10 ms that was made at some instant of these."""
    return made("try_claim_session_execution_lease", ("s", owner, 10), answer, began, ended)


def made(operation: str, arguments: tuple[object, ...], answer: object, began: int, ended: int) -> Made:
    """A call of a store that asks an oracle of its own."""
    return Made(Call(operation, arguments), answer, began, ended, None, decode_session)


def followed(*calls: Made) -> Following:
    """What follows from the calls, all of which are explained."""
    found = Following(State())
    for each in calls:
        taken = found.ways(each)
        assert taken, each
        found.go(taken, ())
    return found


FIRST = claimed(HOLDER, Acquired(lease(HOLDER, 1, 1_003, 1_013)), 1_000, 1_005)


@pytest.mark.parametrize(("since", "is_explained"), [(999, False), (1_000, True), (1_005, True), (1_006, False)])
def test_a_call_was_made_at_an_instant_between_its_beginning_and_its_end(since: int, is_explained: bool) -> None:
    """Both are included, and a lease that begins beside them is none from now."""
    answer = Acquired(lease(HOLDER, 1, since, since + 10))
    assert bool(Following(State()).ways(claimed(HOLDER, answer, 1_000, 1_005))) is is_explained


def test_what_an_answer_holds_has_to_fit_one_instant() -> None:
    """A lease that begins at one instant of its call and ends by another one is no lease for its time to live."""
    answer = Acquired(lease(HOLDER, 1, 1_000, 1_012))
    assert Following(State()).ways(claimed(HOLDER, answer, 1_000, 1_005)) == []


def test_no_call_was_made_before_the_one_before() -> None:
    """A call that began earlier, by the clock, than the instant of the last one came later all the same."""
    found = followed(FIRST)
    assert [each.now for each in found.candidates] == [1_003]
    earlier = replace(lease(HOLDER, 1, 1_003, 1_013), expires_at_epoch_ms=1_012)
    later = replace(earlier, expires_at_epoch_ms=1_014)
    assert found.ways(claimed(HOLDER, Acquired(earlier), 1_001, 1_006)) == []
    assert found.ways(claimed(HOLDER, Acquired(later), 1_001, 1_006))


def test_of_calls_at_once_the_one_that_looked_at_the_clock_first_may_come_last() -> None:
    """It takes effect after the other, and is from an earlier instant: a store looks at the clock before it waits its turn."""
    found = followed(FIRST)
    earlier = Acquired(replace(lease(HOLDER, 1, 1_003, 1_013), expires_at_epoch_ms=1_012))
    call = claimed(HOLDER, earlier, 1_000, 1_006)
    assert found.ways(call) == []
    assert found.ways(call._replace(concurrent=True))


@pytest.mark.parametrize(
    ("began", "ended", "answers"),
    [
        (1_010, 1_012, {"Busy"}),
        (1_012, 1_013, {"Busy", "Acquired"}),
        (1_013, 1_014, {"Acquired"}),
    ],
)
def test_a_claim_at_an_edge_may_be_answered_as_on_either_side(began: int, ended: int, answers: set[str]) -> None:
    """A call that began before a lease ran out, and ended after, may have come too early or in time."""
    found = followed(FIRST)
    possible = {
        "Busy": Busy(lease(HOLDER, 1, 1_003, 1_013)),
        "Acquired": Acquired(lease(OTHER, 2, max(began, 1_013), max(began, 1_013) + 10)),
    }
    given = {name for name, answer in possible.items() if found.ways(claimed(OTHER, answer, began, ended))}
    assert given == answers


def test_what_would_have_been_admissible_is_told_for_the_likeliest_instant() -> None:
    """An answer with one wrong field is held against the instant that explains all its others."""
    wrong = Acquired(lease(OTHER, 3, 1_016, 1_026))
    first, *_ = followed(FIRST).ours(claimed(OTHER, wrong, 1_010, 1_020))
    assert first.answer == Acquired(replace(wrong.lease, fencing_token=2))


def test_differences_are_counted_by_field() -> None:
    """One of another kind differs in more than any has."""
    one, other = lease(HOLDER, 1, 5, 15), lease(HOLDER, 1, 6, 16)
    assert [differences(one, one), differences(Acquired(one), Acquired(other)), differences(None, one)] == [0, 2, 1_000]


@pytest.mark.parametrize("answer", ["Busy", "Acquired"])
def test_whom_an_oracle_of_its_own_takes_for_dead_nobody_knows(answer: str) -> None:
    """A reclaim from a holder that may be dead is right to take over, and right not to."""
    held = lease(HOLDER, 1, 1_003, 1_013)
    fence = SessionExecutionLeaseFence("s", HOLDER, "t1", 1)
    possible = {"Busy": Busy(held), "Acquired": Acquired(lease(OTHER, 2, 1_006, 1_016))}
    call = made("reclaim_session_execution_lease", ("s", OTHER, fence, 10), possible[answer], 1_006, 1_006)
    assert followed(FIRST).ways(call)


def asking(state: State, ports: Ports, *processes: int) -> tuple[Step, ...]:
    """A call that asks of one process after the other until one is not dead; how many were."""
    dead = next((place for place, pid in enumerate(processes) if ports.alive(pid, "tick") is not Alive.no), len(processes))
    return (Step(state, dead, ("LEASE-23",)),)


def ways_of_asking(processes: Iterable[int], answer: int) -> int:
    """In how many ways a call that asks of these can have found so many dead."""
    arguments = tuple(processes)
    found = Following(State(), transitions={"release_session_execution_lease": asking})
    found._admissible = lambda state, ports, call: asking(state, ports, *arguments)  # type: ignore[method-assign]
    return len(found.ways(made("release_session_execution_lease", (), answer, 5, 5)))


@pytest.mark.parametrize("dead", [0, 1, 2, 3])
def test_who_is_asked_of_only_behind_the_dead_may_be_dead_too(dead: int) -> None:
    """Of three processes, each asked of only if those before are dead, any number may be."""
    assert ways_of_asking((1, 2, 3), dead) == 1


def test_too_many_processes_cannot_be_decided() -> None:
    """Of five processes there would be 32 ways to be dead or alive."""
    with pytest.raises(Undecided, match=r"asked of 5 processes"):
        ways_of_asking((1, 2, 3, 4, 5), 9)


def test_a_call_that_took_too_long_cannot_be_decided() -> None:
    """Each instant of it would have to be tried; one less is still tried."""
    late = 1_000 + INSTANTS
    with pytest.raises(Undecided, match=r"try_claim_session_execution_lease took more than 2,000 ms"):
        Following(State()).ways(claimed(HOLDER, None, 1_000, late))
    answer = Acquired(lease(HOLDER, 1, late - 1, late + 9))
    assert Following(State()).ways(claimed(HOLDER, answer, 1_000, late - 1))


def test_states_that_were_forgotten_leave_a_wrong_answer_undecided() -> None:
    """Where more states fitted than are followed, the store may be in one of the others."""
    found = followed(FIRST)
    state = found.candidates[0].state
    steps = [following.Taken(Step(_numbered(state, number), None, ()), (), 1_003, state) for number in range(CANDIDATES + 1)]
    wrong = claimed(OTHER, None, 1_006, 1_006)
    found.go(steps[:-1], ())
    assert found.ways(wrong) == []
    found.go(steps, ())
    assert len(found.candidates) == CANDIDATES
    with pytest.raises(Undecided, match=r"More than 64 states"):
        found.ways(wrong)


def _numbered(state: State, number: int) -> State:
    """A state of its own for each number."""
    return followed_state(state, lease(HOLDER, 1, 1_003, 1_013 + number))


def followed_state(state: State, renewed: SessionExecutionLease) -> State:
    """The state after a renewal that was answered this lease."""
    found = Following(state)
    fence = SessionExecutionLeaseFence("s", HOLDER, "t1", 1)
    ttl = renewed.expires_at_epoch_ms - 1_003
    taken = found.ways(made("renew_session_execution_lease", (fence, ttl), renewed, 1_003, 1_003))
    return taken[0].step.state


def test_orders_of_a_race_are_joined_each_state_from_its_earliest_instant() -> None:
    """Where two orders lead to one state, the earlier instant counts: a later call may have come right behind it."""
    late, early = followed(FIRST), followed(FIRST)
    state = late.candidates[0].state
    late.candidates, early.candidates = (Candidate(state, (), 1_005),), (Candidate(state, (), 1_003),)
    found = Following(State())
    found.join([late, early])
    assert [each.now for each in found.candidates] == [1_003]


def test_a_race_that_is_only_partly_followed_leaves_a_wrong_answer_undecided() -> None:
    """An order that could not be decided may have been the one."""
    found = Following(State())
    found.join([followed(FIRST)], more=True)
    with pytest.raises(Undecided):
        found.ways(claimed(OTHER, None, 1_006, 1_006))


def test_an_edge_is_met_again_at_the_end_of_the_lease_in_its_place() -> None:
    """Two milliseconds after a lease ended is two after its counterpart ends; what has none has no edge."""
    renaming = Renaming()
    renaming.learn(Acquired(lease(HOLDER, 1, 0, 10)), Acquired(lease(HOLDER, 1, 500, 510)))
    assert renaming.edge(Edge(10, 2)) == Edge(510, 2)
    assert renaming.edge(Edge(11, 2)) is None
    assert renaming.edge(None) is None


def test_a_clock_that_is_set_back_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two milliseconds are noticed, by a clock that nobody can set; a step forward does no harm."""
    clock, behind = WallClock(), [0]
    honest = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: honest() - behind[0])
    before = clock.now
    behind[0] = -3_000_000
    assert before + 3 <= clock.now
    behind[0] = -1_000_000
    with pytest.raises(Undecided, match=r"set back by [12]\.\d ms"):
        _ = clock.now
