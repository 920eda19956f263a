"""Counterexamples: programs that run, and words that tell what happened."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from caller import CLAIM, RECLAIM, RELEASE, RENEW, A, B, Caller, pasted
from faulty import FAULTS, Bent, FickleTier
from fencepost.kit.backend import load_factory
from fencepost.kit.reporting.report_json import encoded
from fencepost.kit.result import ChapterRun, Request, Result
from fencepost.kit.showing.counterexample import MODEL, Counterexample, counterexample
from fencepost.kit.verify import verify
from fencepost.spec import (
    U64_MAX,
    AgentFrameRecord,
    Append,
    Backend,
    ContractBroken,
    EventPayload,
    FullGraph,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    RuntimeTurnCommitStamp,
    SessionNodeRecord,
)
from fencepost.statemachines.checker import Violation
from fencepost.statemachines.run import shortest
from fencepost.statemachines.tally import Tally
from msgspec.structs import replace


def shown(fault: str, calls: Callable[[Caller], None]) -> Counterexample:
    """The counterexample that the calls end in."""
    return Caller(f"faulty:{fault}").shown(calls)


def fence_forgotten(caller: Caller) -> None:
    """A renewal, a read, two processes and waits that do not matter; a claim after a release, which does."""
    caller.starts(10)
    caller(RENEW, caller.claims(B, "s2").fence(), 10)
    caller("load_session", FullGraph())
    caller.waits_until(1_005)
    caller(RELEASE, caller.claims(A).completion())
    caller.starts(20)
    caller.waits_until(1_006)
    caller.claims(A)


def unfenced(caller: Caller) -> None:
    """A stale holder commits after a takeover."""
    stale = caller.claims(A)
    caller.waits_until(1_010)
    caller.claims(B)
    caller.commits(stale)


def token_reused(caller: Caller) -> None:
    """A holder comes back after its lease has expired."""
    caller.claims(A)
    caller.waits_until(1_010)
    caller.claims(A)


def live_at_the_edge(caller: Caller) -> None:
    """Another one claims in the millisecond in which a lease expires."""
    caller.claims(A)
    caller.waits_until(1_010)
    caller.claims(B)


def everybody_dead(caller: Caller) -> None:
    """A living holder is reclaimed from, by the word of another lease's fence for a change."""
    caller.starts(10)
    caller.starts(20)
    held = caller.claims(A)
    other = LeaseOwnerIdentity("b", "1", LocalProcess("host", "boot", 20, "tick"))
    caller(RECLAIM, "s", other, held.fence(), 10)


def cached_read(caller: Caller) -> None:
    """Two commits, each read back."""
    lease = caller.claims(A)
    for leaf in ("n1", "n2"):
        caller.commits(lease, graph=Append(leaf_node_id=leaf))
        caller("load_session", FullGraph())


def another_session(caller: Caller) -> None:
    """A claim of the session that is answered with another one."""
    caller.claims(A, "s2")


PLANTED_PROGRAM = """\
from pathlib import Path
from tempfile import mkdtemp

from fencepost.spec import LeaseOwnerIdentity
from fencepost.statemachines.environment import Environment
from faulty import FenceForgotten as open_store

environment = Environment(Path(mkdtemp()))
stores = open_store(environment)
store = stores.runtime_persistence
owner1 = LeaseOwnerIdentity("a", "1")

a1 = store.try_claim_session_execution_lease("s", owner1, 10)
# -> Acquired: fencing token 1, expires at 1010
store.release_session_execution_lease(a1.lease.completion())

# LEASE-35: The fencing token outlives a release: the next acquisition goes on
# from the last one granted.
# expected: Acquired: fencing token 2, expires at 1010
# given:    Acquired: fencing token 1, expires at 1010
# differs:  lease.fencing_token
answer = store.try_claim_session_execution_lease("s", owner1, 10)
assert answer.lease.fencing_token == 2, answer
"""


def test_a_program_has_what_shows_the_violation_and_no_more() -> None:
    """Calls as they were made, minted values by the answers that brought them, answers as comments, the wrong one checked."""
    found = shown("FenceForgotten", fence_forgotten)
    assert found.program == PLANTED_PROGRAM
    assert found.reproduces
    assert found.requirements[0] == "LEASE-35"
    assert [each.now for each in found.performed] == [1_000, 1_000, 1_000]


def test_a_stale_holder_is_told_from_the_one_that_took_over() -> None:
    """The takeover and the stale fence stand in the program, though the commit would be wrong without them, too."""
    found = shown("Unfenced", unfenced)
    assert found.program.endswith(
        """\
a1 = store.try_claim_session_execution_lease("s", owner1, 10)
# -> Acquired: fencing token 1, expires at 1010
environment.clock.move_to(1010)  # a1 expires
store.try_claim_session_execution_lease("s", owner2, 10)
# -> Acquired: fencing token 2, expires at 1020

# COMMIT-8a: Every commit that is not a replay, the first of a session
# included, needs a fence that matches the session's live lease, else it is
# refused with SessionExecutionLeaseExpired for the commit's session.
# expected: refused with SessionExecutionLeaseExpired(session_id='s')
# given:    committed: head revision 1
try:
    answer = store.commit_runtime_state(
        RuntimeCommit(
            session_id="s",
            session_execution_lease=a1.lease.fence(),
            config=PersistedSessionConfig("p", Json(None)),
        ),
    )
except StoreError as error:
    answer = error

assert answer == SessionExecutionLeaseExpired("s"), answer
"""
    )
    assert found.story == (
        'At 1010 ms session "s" was held by b/1 with fencing token 2, from 1010 until 1020; '
        "the call showed fencing token 1 of a/1, granted at 1000."
    )


def test_a_token_that_was_to_be_fresh_is_held_against_the_old_one() -> None:
    """What a fresh token must be nobody knows: it must not be the one that was answered before."""
    program = shown("TokenReused", token_reused).program
    assert program.endswith("assert answer.lease.lease_token != a1.lease.lease_token, answer\n")


def test_an_answer_of_the_wrong_kind_is_held_against_the_right_kind() -> None:
    """Where the whole answer is wrong the program asks for its kind; the story tells when the lease ended."""
    found = shown("LiveAtTheEdge", live_at_the_edge)
    assert found.program.endswith("assert isinstance(answer, Acquired), answer\n")
    assert found.story == (
        'At 1010 ms session "s" was free: a/1 with fencing token 1 had held it from 1000, until its lease expired at 1010.'
    )


def test_a_released_lease_is_told_as_free() -> None:
    """The story tells who released the lease when."""
    assert shown("FenceForgotten", fence_forgotten).story == (
        'At 1000 ms session "s" was free: a/1 with fencing token 1 had held it from 1000 and released it at 1000.'
    )


def test_moves_of_processes_stay_only_where_they_matter() -> None:
    """Whether the holder lives decides a reclaim: its start stays, that of the one who asks does not."""
    program = shown("EverybodyDead", everybody_dead).program
    assert program.count("process_alive") == 1
    assert 'environment.process_alive.start(10, "tick")' in program


def test_reads_on_the_way_stay_only_where_they_matter() -> None:
    """A store that keeps its first read is shown by two reads; the story is left out where no lease is involved."""
    found = shown("CachedRead", cached_read)
    assert found.program.count("store.load_session(FullGraph())") == 2
    assert found.program.endswith("assert answer.head_revision == 2, answer\n")
    assert found.story is None


def test_an_item_of_a_list_is_held_against_the_right_item() -> None:
    """The first item that differs is shown, down to the field."""

    def calls(caller: Caller) -> None:
        nodes = tuple(SessionNodeRecord(node_id, None, EventPayload(Json(1))) for node_id in ("n1", "n2"))
        caller.commits(caller.claims(A), graph=Append(nodes))
        caller("load_session", FullGraph())

    found = shown("OldFirst", calls)
    assert found.program.endswith('assert answer.graph.nodes[0].node_id == "n1", answer\n')
    assert found.reproduces


def test_a_broken_contract_is_shown_with_the_published_contract() -> None:
    """An answer of another type cannot be held against anything else."""
    assert shown("AnotherType", another_session).program.endswith(
        """\
arguments = ("s2", owner1, 10)
answer = store.try_claim_session_execution_lease(*arguments)
operation = OPERATIONS["try_claim_session_execution_lease"]
operation.require_contract(arguments, answer)
"""
    )


def test_an_altered_proof_is_shown_as_the_proof_with_its_alteration() -> None:
    """A call with a forged proof says what was forged; a refused call expects its refusal."""

    def calls(caller: Caller) -> None:
        lease = caller.claims(A)
        caller(RENEW, replace(lease.fence(), lease_token=lease.lease_token + "'"), 10)
        caller(RENEW, replace(lease.fence(), fencing_token=2), U64_MAX)

    found = shown("Crashing", calls)
    assert (
        """\
    answer = store.renew_session_execution_lease(
        replace(a1.lease.fence(), fencing_token=2), 20
    )
"""
        in found.program
    )
    assert found.requirements == ("VALUE-6",)
    assert found.story == (
        'At 1000 ms session "s" was held by a/1 with fencing token 1, from 1000 until 1010; '
        "the call showed its lease token with fencing token 2."
    )


def test_a_violation_that_does_not_come_back_is_said_to_be_such() -> None:
    """A program that does not fail when it is tried is not passed off as a proof."""
    caller = Caller("faulty:FenceForgotten")
    with pytest.raises(Violation) as caught:
        fence_forgotten(caller)
    honest = load_factory("faulty:Bent")
    assert not counterexample(honest, "lease", caught.value).reproduces


def test_a_commit_carries_only_what_the_violation_needs() -> None:
    """Parts of a commit, and a claim that only a wait made necessary, are gone from the program."""

    def calls(caller: Caller) -> None:
        lease = caller.claims(A)
        stamp = RuntimeTurnCommitStamp("s", "turn", "hash")
        caller.commits(lease, turn_commit=stamp, graph=Append(leaf_node_id="n1"), agent_frames=(AgentFrameRecord("f", Json()),))
        caller.waits_until(1_020)
        lease = caller.claims(A)
        caller.commits(lease, release_session_execution_lease=lease.completion(), expected_head_revision=0)

    program = shown("StaleHead", calls).program
    assert program.count("store.try_claim_session_execution_lease") == 1
    assert "expected_head_revision=0" in program
    assert not any(part in program for part in ("turn_commit", "graph", "agent_frames", "release", "move_to"))


def test_what_is_wrong_in_another_field_is_another_violation() -> None:
    """Without the wait the lease token would be wrong, too, and first: the wait stays."""

    def calls(caller: Caller) -> None:
        caller(RELEASE, caller.claims(A).completion())
        caller.waits_until(1_001)
        caller.claims(A)

    found = shown("TokenAndFenceForgotten", calls)
    assert found.path == "lease.fencing_token"
    assert "environment.clock.move_to(1001)\n" in found.program


def test_arguments_that_no_call_accepts_are_told_too() -> None:
    """A number beyond u64 stands in the program and in the report."""
    found = shown("Lenient", lambda caller: caller(CLAIM, "s", A, 2**64))
    assert 'answer = store.try_claim_session_execution_lease("s", owner1, 2**64)\n' in found.program
    assert found.reproduces
    result = Result(Request("faulty:Lenient", ("lease",)), (ChapterRun("lease", Tally(), 0.0, found),), ())
    (call,) = json.loads(encoded(result))["violations"][0]["performed"]
    assert call["arguments"][-1] == 2**64


CHAPTER = {
    "Unfenced": "commit",
    "StaleHead": "commit",
    "FullDisk": "commit",
    "CachedRead": "session",
    "OldFirst": "session",
    "FickleTier": "session",
}
RAISED = {"Crashing": OverflowError, "FullDisk": Backend, "AnotherType": ContractBroken}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_a_run_finds_it_shows_by_a_program(fault: type[Bent]) -> None:
    """Pasted as it is, the program raises on the faulty store; with the model as its store it runs to its end."""
    name = fault.__name__
    request = Request(f"faulty:{name}", (CHAPTER.get(name, "lease"),), 0, 60, 50)
    found = verify(load_factory(request.backend), request).counterexamples[0]
    assert found.reproduces
    with pytest.raises(RAISED.get(name, AssertionError)):
        pasted(found.program)
    if fault is FickleTier:
        # which tier a store promises is its own: the model cannot promise what that store did at first
        return
    module, _, store = MODEL.partition(":")
    pasted(found.program.replace(f"from faulty import {name}", f"from {module} import {store}"))


def test_a_violation_that_there_is_no_time_to_shorten_is_told_as_it_was_seen() -> None:
    """The program has every call that was made, shows it all the same, and says that it is long."""
    caller = Caller("faulty:FenceForgotten")
    with pytest.raises(Violation) as caught:
        fence_forgotten(caller)
    caller.setup.calls.until = 0
    found = counterexample(caller.factory, "lease", shortest(caller.kind, caller.setup, caught.value))
    assert found.heading == (
        "It was not shortened to its end. This program shows it, ending in an error while the fault is there:"
    )
    assert found.reproduces
    assert len(shown("FenceForgotten", fence_forgotten).performed) < len(found.performed)
