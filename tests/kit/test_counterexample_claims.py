"""Counterexamples about inputs, work, claims and reopened stores: programs that run, and words that tell who held what."""

from __future__ import annotations

import pytest
from caller import A, B, Caller, body, pasted
from faulty_claims import FAULTS
from fencepost.kit.backend import load_factory
from fencepost.kit.result import Request
from fencepost.kit.showing.counterexample import MODEL, Counterexample
from fencepost.kit.verify import verify
from fencepost.spec import InputId, QueuedWorkClaimBoundary, Root, SessionMeta
from msgspec.structs import replace

METADATA = SessionMeta("s", "name", "2026-01-01", "m", None, Root())
BOTH = ("turn_input", "queued_work")


def settled(fault: str) -> Caller:
    """A caller of a faulty store that may commit what it claims."""
    return Caller(f"faulty_claims:{fault}", "commit", BOTH)


def lapsed(caller: Caller) -> None:
    """A claim of two inputs lapses and is completed all the same."""
    lease = caller.claims(A)
    caller.submits("one")
    caller.submits("two")
    claim = caller.takes_inputs(lease, A, 2)
    caller.waits_until(1_005)
    caller.commits(lease, completed_turn_input_claims=(claim.completion(),))


def taken_in_part(caller: Caller) -> None:
    """A claim of two inputs lapses, one is taken over, and the claim is completed as it was granted."""
    lease = caller.claims(A)
    caller.submits("one")
    caller.submits("two")
    claim = caller.takes_inputs(lease, A, 2)
    caller.waits_until(1_005)
    caller.takes_inputs(lease, B, 1)
    caller.commits(lease, completed_turn_input_claims=(claim.completion(),))


def foreign(caller: Caller) -> None:
    """A claim is completed with the input that it does not hold."""
    lease = caller.claims(A)
    caller.submits("one")
    other = caller.submits("two")
    claim = caller.takes_inputs(lease, A)
    caller.commits(lease, completed_turn_input_claims=(replace(claim.completion(), input_ids=(other.input_id,)),))


LAPSED = """\
owner1 = LeaseOwnerIdentity("a", "1")

a1 = store.try_claim_session_execution_lease("s", owner1, 10)
# -> Acquired: fencing token 1, expires at 1010
store.enqueue_pending_turn_input(
    PendingTurnInputDraft(
        session_id="s", ingress=TurnInputIngressNextTurn(), input=TurnInput()
    ),
)
# -> input-1 (DeferredNextTurn)
t1 = store.claim_next_turn_inputs("s", a1.lease.fence(), owner1, 5, 1)
# -> claimed: fencing token 1, expires at 1005, holds input-1
environment.clock.move_to(1005)  # t1 expires

# COMMIT-13: A completion is not judged by the expiry or the owner of its
# claim: a lapsed claim completes what nobody has taken over, abandoned or
# cancelled since, whoever holds the lease.
# expected: committed: head revision 1
# given:    refused with TurnInputClaimExpired(session_id='s',
#           claim_id='claim-1')
answer = store.commit_runtime_state(
    RuntimeCommit(
        session_id="s",
        session_execution_lease=a1.lease.fence(),
        config=PersistedSessionConfig("p", Json(None)),
        completed_turn_input_claims=(t1.completion(),),
    ),
)
assert isinstance(answer, RuntimeCommitResult), answer
"""


def test_a_completion_is_written_by_the_claim_that_it_completes() -> None:
    """The claim is an answer with a name; of two inputs one is enough, and nothing of their content is left."""
    found = settled("LapsedIsLost").shown(lapsed)
    assert body(found.program) == LAPSED
    assert found.reproduces


def test_a_lapsed_claim_is_told_with_what_it_holds() -> None:
    """Who was granted it when, when it lapsed, what it held, and what the commit does with it."""
    found = settled("LapsedIsLost").shown(lapsed)
    assert found.story == (
        'At 1005 ms session "s" was held by a/1 with fencing token 1, from 1000 until 1010; the call showed just that lease.'
    )
    assert found.claims == (
        "At 1005 ms the claim claim-1 of a/1, granted at 1000 and lapsed at 1005, held input-1; "
        "the commit completes input-1 with it."
    )


def test_a_refusal_that_was_due_names_the_claim_by_its_answer() -> None:
    """The completion that should have been refused is expected to be, with the claim id of that very run."""
    found = settled("AnyCompletion").shown(taken_in_part)
    assert found.requirements[0] == "COMMIT-12"
    assert found.program.endswith('assert answer == TurnInputClaimExpired("s", t1.claim_id), answer\n')
    assert found.claims == (
        "At 1005 ms the claim claim-1 of a/1, granted at 1000 and lapsed at 1005, held nothing any more; "
        "input-1 was taken over by b/1 at 1005; the commit completes input-1 with it, which it does not hold."
    )


def test_a_completion_with_other_ids_is_written_as_its_alteration() -> None:
    """Whose input it is instead is said by the answer that brought it."""
    found = settled("AnyCompletion").shown(foreign)
    assert (
        "completed_turn_input_claims=(\n                replace(t1.completion(), input_ids=(i1.input_id,)),\n" in found.program
    )
    assert found.reproduces


def test_what_is_listed_wrongly_is_held_against_the_answers_that_brought_it() -> None:
    """After a commit that completed nothing the list is not empty; the call before it is shown with its answer."""

    def calls(caller: Caller) -> None:
        lease = caller.claims(A)
        caller.queues()
        caller.queues()
        work = caller.takes_work(lease, A, 2)
        caller.commits(lease, completed_queue_claims=(work.completion(),))

    found = settled("CompletionIgnored").shown(calls)
    assert "        completed_queue_claims=(q1.completion(),),\n    ),\n)\n# -> committed: head revision 1\n" in found.program
    assert found.program.endswith('answer = store.list_queued_work("s")\nassert tuple(answer) == (), answer\n')
    assert found.claims == (
        "At 1000 ms the claim claim-1 of a/1, granted at 1000 and live until 1010, held nothing any more; "
        "batch-1 was completed at 1000."
    )


def test_an_input_is_named_by_the_answer_that_brought_it() -> None:
    """The id that was asked for is the right answer, too."""

    def calls(caller: Caller) -> None:
        caller.submits("zero", key="k")
        first = caller.submits("one")
        caller.submits("two")
        caller("cancel_pending_turn_input", "s", first.input_id)

    found = Caller("faulty_claims:LastOne", "turn_input").shown(calls)
    assert found.program.endswith(
        """\
answer = store.cancel_pending_turn_input("s", i1.input_id)
assert answer.input.input_id == i1.input_id, answer
"""
    )
    assert found.program.count("store.enqueue_pending_turn_input(") == 2
    assert (found.story, found.claims) == (None, None)


def test_an_id_of_the_callers_own_is_no_minted_value() -> None:
    """What a draft gave stands as it was given, in every call."""

    def calls(caller: Caller) -> None:
        caller.submits("one")
        caller("cancel_pending_turn_input", "s", caller.submits("two", input_id="mine").input_id)

    program = Caller("faulty_claims:OwnIdsUnknown", "turn_input").shown(calls).program
    assert '        input_id="mine",\n' in program
    assert program.endswith(
        """\
answer = store.cancel_pending_turn_input("s", "mine")
assert isinstance(answer, Cancelled), answer
"""
    )


def test_an_id_of_the_callers_own_is_left_out_where_any_will_do() -> None:
    """Without it the store makes one up, and the calls after it are given that."""

    def calls(caller: Caller) -> None:
        caller.submits("one", input_id="mine")
        caller.submits("two", input_id="too")
        caller("cancel_pending_turn_input", "s", "mine")

    program = Caller("faulty_claims:LastOne", "turn_input").shown(calls).program
    assert '"mine"' not in program
    assert 'answer = store.cancel_pending_turn_input("s", i1.input_id)\n' in program


def test_batch_ids_are_named_by_the_answers_that_brought_them() -> None:
    """Of two batches in the opposite order one is enough, and has the name of what was answered."""

    def calls(caller: Caller) -> None:
        lease = caller.claims(A)
        ids = tuple(caller.queues().batch_id for _ in range(2))
        idle = QueuedWorkClaimBoundary.Idle
        caller("claim_ready_queued_work_by_batch_ids", "s", lease.fence(), A, idle, 5, ids[::-1])

    found = Caller("faulty_claims:OneBatchTooMany", "queued_work").shown(calls)
    assert found.program.endswith("    (w1.batch_id,),\n)\nassert answer is None, answer\n")
    assert found.reproduces


def test_an_altered_claim_is_written_as_the_claim_with_its_alteration() -> None:
    """What proves nothing may differ; the claim is the answer's all the same."""

    def calls(caller: Caller) -> None:
        lease = caller.claims(A)
        caller.submits("one")
        claim = caller.takes_inputs(lease, A)
        caller("abandon_turn_input_claim", replace(claim, expires_at_epoch_ms=2))

    found = Caller("faulty_claims:FragileClaim", "turn_input").shown(calls)
    assert found.program.endswith(
        "answer = store.abandon_turn_input_claim(replace(t1, expires_at_epoch_ms=2))\nassert answer is None, answer\n"
    )


def test_a_forged_claim_is_told_to_be_none() -> None:
    """A claim with another token was never granted."""

    def calls(caller: Caller) -> None:
        lease = caller.claims(A)
        caller.submits("one")
        claim = caller.takes_inputs(lease, A)
        caller("abandon_turn_input_claim", replace(claim, lease_token=claim.lease_token + "'"))

    found = Caller("faulty_claims:FragileClaim", "turn_input").shown(calls)
    assert '    replace(t1, lease_token=t1.lease_token + "\'")\n' in found.program
    assert found.claims == "The claim of inputs that the call shows, claim-1, was never granted with that token."


def test_a_store_that_makes_up_other_ids_each_time_is_shown_too() -> None:
    """Claims, targets and expected rows are carried over to whatever the store calls them now."""

    def calls(caller: Caller) -> None:
        lease = caller.claims(A)
        caller.submits("one")
        second = caller.submits("two")
        claim = caller.takes_inputs(lease, A, 2)
        caller("cancel_pending_turn_inputs", "s", (InputId(second.input_id),))
        caller("abandon_turn_input_claim", claim)

    found = Caller("faulty_claims:NeverGivenBack", "turn_input").shown(calls)
    assert found.reproduces
    assert "\nstore.abandon_turn_input_claim(t1)\n" in found.program
    assert found.program.endswith('answer = store.list_pending_turn_inputs("s")\nassert tuple(answer) == (i1,), answer\n')


def test_a_renewed_claim_lives_until_its_new_expiry() -> None:
    """The clock is told against the expiry that was granted first, the story knows the renewal."""

    def calls(caller: Caller) -> None:
        lease = caller.claims(A)
        caller.queues()
        work = caller.takes_work(lease, A)
        caller("renew_queued_work_claim", work, 20)
        caller.waits_until(1_011)
        caller("list_pending_queued_work", "s")

    found = Caller("faulty_claims:StuckExpiry", "queued_work").shown(calls)
    assert found.requirements[0] == "QRENEW-1"
    assert "\nenvironment.clock.move_to(1011)  # 1 ms after q1 expired\n" in found.program
    assert found.claims == "At 1011 ms the claim claim-1 of a/1, granted at 1000 and live until 1020, held batch-1."


FORGOTTEN = """\
w1 = store.enqueue_queued_work(
    QueuedWorkBatchDraft(
        session_id="s",
        delivery_policy=DeliveryPolicy.EarliestSafeBoundary,
        slot_policy=SlotPolicy.Join,
    ),
)
# -> batch-1 (of no class)
stores.close()
stores = open_store(environment)
store = stores.runtime_persistence

# VALUE-9: A durable store that is opened again holds the effect of every call
# it acknowledged, after a clean close and after a kill alike.
# expected: batch-1 (of no class)
# given:    nothing
answer = store.list_queued_work("s")
assert tuple(answer) == (w1,), answer
"""


def forgotten(caller: Caller) -> None:
    """A batch that is claimed, two reopenings, and a process that does not matter."""
    lease = caller.claims(A)
    caller.queues()
    caller.starts(10)
    caller.takes_work(lease, A)
    caller.reopens()
    caller.reopens()


def test_a_reopening_that_matters_is_part_of_the_program() -> None:
    """The store is closed and opened with the same environment; a claim that does not matter is gone."""
    found = Caller("forgetful:ForgetsWork", "queued_work").shown(forgotten)
    assert body(found.program).lstrip() == FORGOTTEN
    assert found.requirements[0] == "VALUE-9"
    assert found.reproduces


def test_a_reopening_that_does_not_matter_is_left_out() -> None:
    """A fault that shows without it is not blamed on VALUE-9."""

    def calls(caller: Caller) -> None:
        lease = caller.claims(A)
        caller.submits("one")
        claim = caller.takes_inputs(lease, A)
        caller.reopens()
        caller("abandon_turn_input_claim", claim)

    found = Caller("forgetful:NeverFreed", "turn_input").shown(calls)
    assert "store.close()" not in found.program
    assert found.requirements[0] == "ABANDON-1"


def test_leases_that_are_forgotten_show_at_the_next_claim() -> None:
    """No read shows a lease: what a later call answers is wrong because the store was opened again."""

    def calls(caller: Caller) -> None:
        caller.claims(A)
        caller.reopens()
        caller.claims(B)

    found = Caller("forgetful:ForgetsLeases").shown(calls)
    assert found.requirements[:2] == ("VALUE-9", "LEASE-16")
    assert "stores.close()\nstores = open_store(environment)\nstore = stores.runtime_persistence\n" in found.program


def test_a_reopening_keeps_its_instant() -> None:
    """A store that looks at the clock while it is opened is opened when it was."""

    def calls(caller: Caller) -> None:
        caller.claims(A)
        caller.waits_until(1_009)
        caller.reopens()
        caller.waits_until(1_010)
        caller.claims(A)

    found = Caller("forgetful:OpenedLate").shown(calls)
    assert (
        """\
environment.clock.move_to(1009)  # 1 ms before the lease expires
stores.close()
stores = open_store(environment)
store = stores.runtime_persistence
environment.clock.move_to(1010)  # the lease expires
"""
        in found.program
    )
    assert found.reproduces


def test_metadata_that_is_forgotten_breaks_a_rule_of_its_own() -> None:
    """META-5 says of metadata what VALUE-9 says of everything."""

    def calls(caller: Caller) -> None:
        caller("save_session_meta", METADATA)
        caller.reopens()

    found = Caller("forgetful:ForgetsMetadata", "session").shown(calls)
    assert found.requirements[:2] == ("META-5", "VALUE-9")


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_a_run_finds_it_shows_by_a_program(fault: type) -> None:
    """Pasted as it is, the program raises on the faulty store; with the model as its store it runs to its end."""
    name = fault.__name__
    offered = FAULTS[fault]
    request = Request(f"faulty_claims:{name}", offered[-1:], 0, 400, 50, offered=offered)
    found: Counterexample = verify(load_factory(request.backend), request).counterexamples[0]
    assert found.reproduces
    with pytest.raises(KeyError if name == "FragileClaim" else AssertionError):
        pasted(found.program)
    module, _, store = MODEL.partition(":")
    pasted(found.program.replace(f"from faulty_claims import {name}", f"from {module} import {store}"))
