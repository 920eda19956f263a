"""Departures that no answer shows at once: the checker follows each admitted way until an answer tells which was taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fencepost.model import Refused
from fencepost.spec import (
    U64_MAX,
    Acquired,
    AttachmentIntent,
    QueuedWorkClaim,
    QueuedWorkClaimExpired,
    SessionExecutionLeaseFence,
)
from fencepost.statemachines.checker import Call, Checker, Violation
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.tally import Tally
from ingress_builders import CLAIM_BY_IDS, CLAIM_WORK, ENQUEUE_WORK, EXCLUSIVE, IDLE, LIST_PENDING_WORK, RENEW_WORK, work_draft
from model_builders import CLAIM, A
from msgspec.structs import replace


class Quiet(ModelStore):
    """A refused claim by ids leaves no trace: the other way that QCLAIM-13 admits."""

    def claim_ready_queued_work_by_batch_ids(self, *arguments: object) -> object:
        """Claim, and forget that it was tried if nothing came of it."""
        before = self.state
        answer = answered(self, CLAIM_BY_IDS, *arguments)
        self.state = before if answer is None else self.state
        return answer


class Loud(ModelStore):
    """A refused claim by ids counts twice: no way that is admitted."""

    def claim_ready_queued_work_by_batch_ids(self, *arguments: object) -> object:
        """Claim, and once more if nothing came of it."""
        answer = answered(self, CLAIM_BY_IDS, *arguments)
        return answered(self, CLAIM_BY_IDS, *arguments) if answer is None else answer


class FirstStands(ModelStore):
    """An attachment that is recorded again stays as it was: the other way that ATT-2a admits."""

    def record_intent(self, intent: AttachmentIntent) -> None:
        """Record what is new."""
        if intent.attachment_id not in self.state.attachment.entries:
            answered(self, "record_intent", intent)


class LastStands(ModelStore):
    """An attachment that is recorded again is wholly what it was recorded as last: admitted too."""

    def record_intent(self, intent: AttachmentIntent) -> None:
        """Record it in place of whatever was there."""
        answered(self, "forget", intent.attachment_id)
        answered(self, "record_intent", intent)


class Halfway(ModelStore):
    """An attachment that is recorded again keeps its uri and goes back in time: no way that is admitted."""

    def record_intent(self, intent: AttachmentIntent) -> None:
        """Record the time alone."""
        known = self.state.attachment.entries.get(intent.attachment_id)
        if known is not None:
            intent = AttachmentIntent(intent.attachment_id, known.session, known.uri, intent.intent_at_epoch_ms)
            answered(self, "forget", intent.attachment_id)
        answered(self, "record_intent", intent)


class Unmoved(ModelStore):
    """A renewal that is refused moves no expiry: the other way that QRENEW-3 admits."""

    def renew_queued_work_claim(self, claim: QueuedWorkClaim, lease_ttl_ms: int) -> object:
        """Renew, or leave everything as it was."""
        before = self.state
        try:
            return answered(self, RENEW_WORK, claim, lease_ttl_ms)
        except QueuedWorkClaimExpired:
            self.state = before
            raise


def answered(store: ModelStore, operation: str, *arguments: object) -> object:
    """What the model's own store answers to the call."""
    method: Any = ModelStore.__getattr__(store, operation)
    answer: object = method(*arguments)
    return answer


def checking(store: type[ModelStore], tmp_path: Path, *, strict: bool = False) -> Checker:
    """A checker of such a store, without observations."""
    environment = Environment(tmp_path)
    return Checker(store(environment), environment, Tally(), strict=strict)


def work(checker: Checker) -> Any:
    """A's lease after session s has two exclusive batches: the ids of these, and the fence."""
    granted = checker.perform(Call(CLAIM, ("s", A, 1_000)))
    assert isinstance(granted, Acquired)
    batches = [checker.perform(Call(ENQUEUE_WORK, (work_draft(slot_policy=EXCLUSIVE),))) for _ in range(2)]
    return [getattr(batch, "batch_id", "") for batch in batches], granted.lease.fence()


def refused_claims(checker: Checker, times: int) -> SessionExecutionLeaseFence:
    """A's fence, after that many claims by ids were refused."""
    ids, fence = work(checker)
    for _ in range(times):
        assert checker.perform(Call(CLAIM_BY_IDS, ("s", fence, A, IDLE, 10, (ids[1],)))) is None
    proof: SessionExecutionLeaseFence = fence
    return proof


def claim_work(checker: Checker, fence: SessionExecutionLeaseFence) -> object:
    """Claim the first batch."""
    return checker.perform(Call(CLAIM_WORK, ("s", fence, A, IDLE, 10, 1)))


@pytest.mark.parametrize("times", [1, 2, 9])
def test_a_silent_departure_is_followed_and_counted_when_an_answer_tells(times: int, tmp_path: Path) -> None:
    """Refused claims by ids that leave no trace conform; the next claim's fencing token shows them as QCLAIM-13, each."""
    checker = checking(Quiet, tmp_path)
    fence = refused_claims(checker, times)
    assert checker.tally.differs == {}
    granted = claim_work(checker, fence)
    assert getattr(granted, "fencing_token", None) == 1
    assert checker.tally.differs == {"QCLAIM-13": times}
    assert [row.record.claim.fencing_token for row in checker.state.queued_work.of("s")] == [1, 0]


def test_our_own_way_is_followed_without_a_difference(tmp_path: Path) -> None:
    """The same calls on a store that does as we do, with fencing token 3, count nothing."""
    checker = checking(ModelStore, tmp_path)
    granted = claim_work(checker, refused_claims(checker, 2))
    assert getattr(granted, "fencing_token", None) == 3
    assert checker.tally.differs == {}


def test_a_silent_departure_fails_a_strict_run_where_it_shows(tmp_path: Path) -> None:
    """The claim after it is the violation, and QCLAIM-13 is among those in question."""
    checker = checking(Quiet, tmp_path, strict=True)
    fence = refused_claims(checker, 1)
    with pytest.raises(Violation) as caught:
        claim_work(checker, fence)
    assert caught.value.path == "fencing_token"
    assert "QCLAIM-13" in caught.value.requirements


@pytest.mark.parametrize("times", [1, 2])
def test_a_store_that_goes_neither_way_is_caught(times: int, tmp_path: Path) -> None:
    """A refused claim by ids that counts twice gives the next claim a fencing token that no way leads to."""
    checker = checking(Loud, tmp_path)
    fence = refused_claims(checker, times)
    with pytest.raises(Violation) as caught:
        claim_work(checker, fence)
    assert caught.value.path == "fencing_token"


INTENTS = (AttachmentIntent("a", "s", "uri:1", 100), AttachmentIntent("a", "s", "uri:2", 50))
EVERYTHING = Call("list_uncommitted", (U64_MAX,))


def recorded_again(store: type[ModelStore], tmp_path: Path, *, strict: bool = False) -> Checker:
    """A checker of such a store after an attachment was recorded twice."""
    checker = checking(store, tmp_path, strict=strict)
    for intent in INTENTS:
        checker.perform(Call("record_intent", (intent,)))
    return checker


@pytest.mark.parametrize(
    ("store", "entry", "differs"),
    [
        (ModelStore, ("uri:2", 100), {}),
        (FirstStands, ("uri:1", 100), {"ATT-2a": 1}),
        (LastStands, ("uri:2", 50), {"ATT-2a": 1}),
    ],
)
def test_an_attachment_recorded_again_may_go_three_ways(
    store: type[ModelStore], entry: tuple[str, int], differs: dict[str, int], tmp_path: Path
) -> None:
    """Ours, the first that stands, and the last that stands conform; the list tells which, once."""
    checker = recorded_again(store, tmp_path)
    assert checker.tally.differs == {}
    for _ in range(2):
        answer: Any = checker.perform(EVERYTHING)
        (listed,) = answer
        assert (listed.canonical_uri, listed.intent_at_epoch_ms) == entry
    assert checker.tally.differs == differs


@pytest.mark.parametrize("store", [FirstStands, LastStands])
def test_an_attachment_recorded_otherwise_fails_a_strict_run(store: type[ModelStore], tmp_path: Path) -> None:
    """The list is the violation, and ATT-2a is among those in question."""
    checker = recorded_again(store, tmp_path, strict=True)
    with pytest.raises(Violation) as caught:
        checker.perform(EVERYTHING)
    assert "ATT-2a" in caught.value.requirements


def test_an_attachment_recorded_in_no_admitted_way_is_caught(tmp_path: Path) -> None:
    """The old uri with an earlier time is none of the three."""
    checker = recorded_again(Halfway, tmp_path)
    with pytest.raises(Violation) as caught:
        checker.perform(EVERYTHING)
    assert "ATT-2a" in caught.value.requirements


@pytest.mark.parametrize(("store", "differs"), [(ModelStore, {}), (Unmoved, {"QRENEW-3": 1})])
def test_a_refused_renewal_may_move_an_expiry_or_not(store: type[ModelStore], differs: dict[str, int], tmp_path: Path) -> None:
    """Time tells: after the old expiry, and before the one that a refused renewal may have set."""
    checker = checking(store, tmp_path)
    granted = claim_work(checker, work(checker)[1])
    assert isinstance(granted, QueuedWorkClaim)
    shown = replace(granted, batches=granted.batches * 2)
    assert isinstance(checker.perform(Call(RENEW_WORK, (shown, 500))), Refused)
    assert checker.tally.differs == {}
    checker.environment.clock.move_to(1_100)
    pending = checker.perform(Call(LIST_PENDING_WORK, ("s",)))
    assert isinstance(pending, tuple)
    assert len(pending) == (2 if store is Unmoved else 1)
    assert checker.tally.differs == differs


def test_what_an_answer_tells_of_one_thing_leaves_another_open(tmp_path: Path) -> None:
    """Two silent departures about two things are told apart one after the other."""

    class Both(Quiet, FirstStands):
        """Departs from QCLAIM-13 and from ATT-2a."""

    checker = checking(Both, tmp_path)
    fence = refused_claims(checker, 1)
    for intent in INTENTS:
        checker.perform(Call("record_intent", (intent,)))
    checker.perform(EVERYTHING)
    assert checker.tally.differs == {"ATT-2a": 1}
    claim_work(checker, fence)
    assert checker.tally.differs == {"ATT-2a": 1, "QCLAIM-13": 1}


def test_a_store_cannot_go_both_ways_at_once(tmp_path: Path) -> None:
    """Once a list has shown the first uri, a later list with the second is a violation."""

    class Wavering(FirstStands):
        """Lists what stands first, and then what came last."""

        lists = 0

        def list_uncommitted(self, until: int) -> object:
            """Change the uri from the second list on."""
            listed: Any = answered(self, "list_uncommitted", until)
            self.lists += 1
            return [replace(entry, canonical_uri="uri:2") for entry in listed] if self.lists > 1 else listed

    checker = recorded_again(Wavering, tmp_path)
    checker.perform(EVERYTHING)
    with pytest.raises(Violation):
        checker.perform(EVERYTHING)
