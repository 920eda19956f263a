"""What CURRENT requirements admit: the other answer is accepted and named, and one just beside it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import admits_ingress
import admits_session
import admits_stores
import pytest
from admits_session import BOUND, Case
from fencepost.model import Refused
from fencepost.model.records.attachment import AttachmentRecord
from fencepost.spec import (
    AttachmentIntent,
    GcReport,
    HeadRevisionConflict,
    InvalidArgument,
    SessionBindingMismatch,
)
from fencepost.spec.catalogue import Level, requirements
from fencepost.spec.lease import LeaseOwnerIdentity
from fencepost.statemachines.checker import Call, Checker, Violation
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.tally import Tally
from ingress_builders import with_manifest
from model_builders import LEASED, A, commit, ports, run
from msgspec.structs import replace

CASES = (*admits_session.CASES, *admits_ingress.CASES, *admits_stores.CASES)
NAMED = [f"{number} {case.requirement}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=NAMED)
def test_the_admissible_answer_is_accepted_and_named(case: Case) -> None:
    """Each other answer is one of the model's steps, which names the requirement it departs from."""
    for answer in case.admitted:
        found = [
            step for step in run(case.state, case.operation, *case.arguments, at=ports(seen=answer)) if step.answer == answer
        ]
        assert [case.requirement in step.differs for step in found][:1] == [True]


@pytest.mark.parametrize("case", CASES, ids=NAMED)
def test_an_answer_beside_it_is_refused(case: Case) -> None:
    """What the requirement does not admit is none of the model's steps."""
    for answer in case.barred:
        steps = run(case.state, case.operation, *case.arguments, at=ports(seen=answer))
        assert answer not in [step.answer for step in steps]


@pytest.mark.parametrize("case", CASES, ids=NAMED)
def test_our_own_step_departs_from_nothing(case: Case) -> None:
    """The first step differs in nothing, whatever the store answered."""
    for answer in (None, *case.admitted, *case.barred):
        assert run(case.state, case.operation, *case.arguments, at=ports(seen=answer))[0].differs == ()


@pytest.mark.parametrize("requirement", admits_ingress.SILENT)
def test_a_departure_that_no_answer_shows_is_followed(requirement: str) -> None:
    """The answer is one and the same; the states that a store may be in instead of ours are the ones listed, and are named."""
    state, operation, arguments, answer, states = admits_ingress.SILENT[requirement]
    mine, *others = run(state, operation, *arguments, at=ports(seen=answer))
    assert {step.answer for step in (mine, *others)} == {answer}
    assert (mine.differs, {step.differs for step in others}) == ((), {(requirement,)})
    assert tuple(step.state for step in others) == states
    assert mine.state not in states


def test_att_2a_what_is_stamped_is_never_listed_again() -> None:
    """There nobody can tell how it was recorded again, and nothing else is followed."""
    stamped = with_manifest(a=AttachmentRecord("s", "u", 100, True))
    assert len(run(stamped, "record_intent", AttachmentIntent("a", "s2", "v", 50))) == 1


def test_att_8_a_store_that_keeps_no_manifest_always_lists_nothing() -> None:
    """Its first empty list is admitted where ours has entries, and settles what it must answer from then on."""
    (*_, nothing) = run(admits_ingress.ORPHANS, "list_uncommitted", 9, at=ports(seen=()))
    assert (nothing.answer, nothing.differs) == ((), ("ATT-8",))
    assert [step.answer for step in run(nothing.state, "list_uncommitted", 9)] == [()]
    mine = run(admits_ingress.ORPHANS, "list_uncommitted", 9)[0]
    assert [step.differs for step in run(mine.state, "list_uncommitted", 9)] == [()]


def test_gc_7_a_store_that_collects_nothing_answers_zeros() -> None:
    """Zeros are admitted with nothing removed, and then for good; after a collection that removed something they are not."""
    mine, *_, nothing = run(admits_ingress.GARBAGE, "gc_unreachable", at=ports(seen=GcReport()))
    assert (nothing.answer, nothing.differs) == (GcReport(), ("GC-7",))
    assert nothing.state.commit == replace(admits_ingress.GARBAGE.commit, reclaims=False)
    assert [step.answer for step in run(nothing.state, "gc_unreachable", at=ports(seen=GcReport()))] == [GcReport()]
    assert GcReport() not in [step.answer for step in run(mine.state, "gc_unreachable", at=ports(seen=GcReport()))]


def test_a_case_for_every_current_requirement_that_a_run_can_reach() -> None:
    """Each CURRENT requirement that runs reach has its case, and LEASE-11 that they do not; VALUE-3 stands below."""
    current = {each.id for each in requirements().values() if each.level is Level.CURRENT}
    reachable = {each for each in current if not requirements()[each].unreached and not requirements()[each].internal}
    assert {case.requirement for case in CASES} | {*admits_ingress.SILENT} == reachable - {"VALUE-3"} | {"LEASE-11"}


class Narrow(ModelStore):
    """A store that refuses numbers from `least` on."""

    least = 2**63

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int) -> object:
        """Refuse a long TTL; claim as the model does otherwise."""
        if lease_ttl_ms >= self.least:
            raise InvalidArgument("lease_ttl_ms", str(lease_ttl_ms), "less")
        claim: Any = self.__getattr__("try_claim_session_execution_lease")
        answer: object = claim(session_id, owner, lease_ttl_ms)
        return answer


class Narrower(Narrow):
    """A store that refuses more than it may."""

    least = 2**63 - 1


def checked(store: type[Narrow], ttl: int, tmp_path: Path, *, strict: bool = False) -> Tally:
    """The counts after one claim for that long."""
    environment = Environment(tmp_path)
    checker = Checker(store(environment), environment, Tally(), strict=strict)
    checker.perform(Call("try_claim_session_execution_lease", ("s", A, ttl)))
    return checker.tally


def test_value_3_a_store_of_signed_numbers_may_refuse_the_upper_half(tmp_path: Path) -> None:
    """InvalidArgument for 2^63 is counted as a difference, and fails only in a strict run."""
    assert checked(Narrow, 2**63, tmp_path).differs == {"VALUE-3": 1}
    with pytest.raises(Violation) as strictly:
        checked(Narrow, 2**63, tmp_path, strict=True)
    assert strictly.value.requirements == ("VALUE-3",)


def test_value_3_no_store_may_refuse_the_lower_half(tmp_path: Path) -> None:
    """InvalidArgument for 2^63 - 1 breaks the law."""
    assert checked(Narrow, 2**63 - 1, tmp_path).differs == {}
    with pytest.raises(Violation):
        checked(Narrower, 2**63 - 1, tmp_path)


def test_commit_10_only_a_race_can_be_lost() -> None:
    """A conflict without an expectation is admitted where callers may meet, and nowhere else."""
    lost = Refused(HeadRevisionConflict(1, 1))
    alone = run(BOUND, "commit_runtime_state", commit(), at=ports(seen=lost))
    assert [step.differs for step in alone if step.answer == lost] == []
    together = run(BOUND, "commit_runtime_state", commit(), at=replace(ports(seen=lost), concurrent=True))
    assert [step.differs for step in together if step.answer == lost] == [("COMMIT-10",)]


def test_commit_2a_a_store_stays_bound_to_what_it_said() -> None:
    """A store that says it was bound from its creation is held to that session."""
    said = Refused(SessionBindingMismatch("elsewhere", "s"))
    (*_, early) = run(LEASED, "commit_runtime_state", commit(), at=ports(seen=said))
    assert early.answer == said
    later = run(early.state, "commit_runtime_state", commit(), at=ports(seen=said))
    assert [step.answer for step in later if step.differs] == [said]
