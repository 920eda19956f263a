"""Who held which claim when, in words."""

from __future__ import annotations

import pytest
from caller import CLAIM, A, B, Caller
from fencepost.kit.showing.brief import brief, call_in_words
from fencepost.kit.showing.claims import who_claimed
from fencepost.model import Refused
from fencepost.spec import (
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    AnchorNotFound,
    AttachmentIntent,
    AttachmentManifestEntry,
    Backend,
    Cancelled,
    CheckpointKind,
    DeliveryPolicy,
    GcReport,
    InputId,
    InvalidArgument,
    NotFound,
    Outcomes,
    PendingTurnInput,
    PendingTurnInputCancelResult,
    PendingTurnInputClaimDiagnostics,
    PendingTurnInputDraft,
    QueuedWorkBatch,
    QueuedWorkClaim,
    SlotPolicy,
    SourceKey,
    TurnInput,
    TurnInputClaim,
    TurnInputClaimModeActiveTurn,
    TurnInputIngressNextTurn,
    TurnInputState,
    VacuumReport,
)
from fencepost.spec.queued_work import Never
from fencepost.statemachines.checker import Call, Performed
from msgspec.structs import replace


def caller() -> Caller:
    """A caller of a store without a fault."""
    return Caller("faulty:Bent", "commit", ("turn_input", "queued_work"))


def told(calls: Caller, operation: str, *arguments: object) -> str | None:
    """What is told of a call after these."""
    last = Performed(calls.machine.now, Call(operation, arguments), None)
    return who_claimed([*calls.machine.checker.performed, last])


def test_a_list_is_told_with_the_claims_of_its_session() -> None:
    """Who holds what, until when; of another session nothing."""
    calls = caller()
    lease = calls.claims(A)
    calls.submits("one")
    calls.takes_inputs(lease, A)
    assert told(calls, "list_pending_turn_inputs", "s") == (
        "At 1000 ms the claim claim-1 of a/1, granted at 1000 and live until 1005, held input-1."
    )
    assert told(calls, "list_pending_turn_inputs", "s2") is None
    assert told(calls, "load_session_meta") is None
    assert told(calls, CLAIM, "s", A, 10) is None


def test_a_claim_is_told_with_what_became_of_each_part() -> None:
    """Cancelled, taken over, completed: each with its instant."""
    calls = caller()
    lease = calls.claims(A)
    rows = [calls.submits(name) for name in ("one", "two", "three", "four")]
    claim = calls.takes_inputs(lease, A, 4)
    calls.waits_until(1_005)
    calls("cancel_pending_turn_inputs", "s", (InputId(rows[1].input_id),))
    calls.waits_until(1_006)
    calls.takes_inputs(lease, B)
    calls.waits_until(1_007)
    calls.commits(lease, completed_turn_input_claims=(replace(claim.completion(), input_ids=(rows[3].input_id,)),))
    assert told(calls, "abandon_turn_input_claim", claim) == (
        "At 1007 ms the claim claim-1 of a/1, granted at 1000 and lapsed at 1005, held input-3; input-2 was cancelled at 1005; "
        "input-1 was taken over by b/1 at 1006; input-4 was completed at 1007."
    )


def test_claims_of_work_and_of_inputs_are_not_confused() -> None:
    """Both stores of ids count from one."""
    calls = caller()
    lease = calls.claims(A)
    calls.submits("one")
    batch = calls.queues()
    inputs, work = calls.takes_inputs(lease, A), calls.takes_work(lease, B)
    assert (inputs.claim_id, inputs.lease_token) == (work.claim_id, work.lease_token)
    calls.waits_until(1_005)
    calls("cancel_queued_work_batch", "s", batch.batch_id)
    assert told(calls, "abandon_turn_input_claim", inputs) == (
        "At 1005 ms the claim claim-1 of a/1, granted at 1000 and lapsed at 1005, held input-1."
    )
    assert told(calls, "renew_queued_work_claim", work, 5) == (
        "At 1005 ms the claim claim-1 of b/1, granted at 1000 and lapsed at 1005, held nothing any more; "
        "batch-1 was cancelled at 1005."
    )


def test_what_was_given_back_waits_again() -> None:
    """An abandoned claim holds nothing; a refused commit completes nothing."""
    calls = caller()
    lease = calls.claims(A)
    calls.submits("one")
    claim = calls.takes_inputs(lease, A)
    calls.waits_until(1_010)
    calls.commits(lease, completed_turn_input_claims=(claim.completion(),))
    assert told(calls, "abandon_turn_input_claim", claim) == (
        "At 1010 ms the claim claim-1 of a/1, granted at 1000 and lapsed at 1005, held input-1."
    )
    calls("abandon_turn_input_claim", claim)
    assert told(calls, "list_pending_turn_inputs", "s") == (
        "At 1010 ms the claim claim-1 of a/1, granted at 1000 and lapsed at 1005, held nothing any more; "
        "input-1 was given back at 1010."
    )


NEXT = TurnInputIngressNextTurn()
ROW = PendingTurnInput("i", "s", 1, None, NEXT, TurnInputState.Accepted, 1_000, TurnInput())
BATCH = QueuedWorkBatch("b", "s", 1, None, DeliveryPolicy.EarliestSafeBoundary, SlotPolicy.Join, Never(), 0, 1_000, ())
MODE = TurnInputClaimModeActiveTurn("t", CheckpointKind.AfterWork)
HELD = PendingTurnInputClaimDiagnostics(TurnInputState.Accepted, "c", A, 1_010, 1)

BRIEF: dict[str, object] = {
    "None": None,
    "nothing": (),
    "i (Accepted), i (Accepted)": (ROW, ROW),
    "b (of no class)": BATCH,
    "claimed: fencing token 1, expires at 1010, holds i": TurnInputClaim("s", "c", A, "t", 1, 1_000, 1_010, MODE, (ROW,)),
    "claimed: fencing token 2, expires at 1010, holds b": QueuedWorkClaim("s", "c", A, "t", 2, 1_000, 1_010, (BATCH,)),
    "i cancelled": Cancelled(ROW),
    "i was claimed by a/1 until 1010": AlreadyClaimed(ROW, HELD),
    "i was claimed": AlreadyClaimed(ROW),
    "i was completed, i was cancelled before": Outcomes(InputId("i"), (AlreadyCompleted(ROW), AlreadyCancelled(ROW))),
    "not found": (PendingTurnInputCancelResult(InputId("i"), NotFound()),),
    "the anchor was not found": AnchorNotFound(InputId("i")),
    "nodes removed: 1, inputs: 2": VacuumReport(1, 2),
    "roots: 1, blobs kept: 4, removed: 2": GcReport(1, 4, 2),
    "at of 5 ms": (AttachmentManifestEntry("at", "s", "uri", 5),),
    "refused with Backend(message='full')": Refused(Backend("full")),
    "8 items: i cancelled, i cancelled, i cancelled, i cancelled, i cancelled, i cancelled and 2 more": (Cancelled(ROW),) * 8,
}


@pytest.mark.parametrize("words", BRIEF)
def test_an_answer_is_told_in_a_few_words(words: str) -> None:
    """Ids as they are, states by their names, long lists cut."""
    assert brief(BRIEF[words]) == words


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        (TurnInputClaim("s", "c", A, "t", 1, 1_000, 1_010, MODE, (ROW,)), "claim c of a/1"),
        (PendingTurnInputDraft(session_id="s", ingress=NEXT, input=TurnInput()), 'draft for session "s"'),
        ((InputId("i"), SourceKey("k")), '(input i, key "k")'),
        (InputId("an id"), 'input "an id"'),
        (("a", "b"), '("a", "b")'),
        (AttachmentIntent("at", "s", "uri", 5), 'attachment at of session "s"'),
    ],
)
def test_an_argument_is_told_in_a_word(argument: object, words: str) -> None:
    """What it is, and whose."""
    assert call_in_words(Call("call", (argument,))) == f"call({words})"


def test_of_an_argument_that_was_refused_the_begin_is_shown() -> None:
    """What was expected of it is told, however long it is."""
    told = brief(Refused(InvalidArgument("StoredTurnEvents.events", "x" * 500, "a tuple, each item AgentEventEnvelope")))
    assert told.startswith("refused with InvalidArgument(argument='StoredTurnEvents.events', received='xxx")
    assert told.endswith("xx…', expected='a tuple, each item AgentEventEnvelope')")
