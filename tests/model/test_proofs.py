"""The lemmas of the model: all are proved, name requirements of the catalogue, and refute transitions that were broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fencepost.kit.proving.prove import Prover, statements
from fencepost.kit.proving.proved import Finding, Outcome
from fencepost.kit.proving.prover import Job, exhausted
from fencepost.model.proofs import CHAPTERS, EXHAUSTIONS
from fencepost.model.proofs.exhaustion import subsets, tuples
from fencepost.spec.catalogue import requirements

import fencepost

LEMMAS = {
    "lease.live": ["LEASE-6"],
    "lease.acquired": ["LEASE-9", "LEASE-11", "LEASE-8", "LEASE-10", "LEASE-9"],
    "lease.claim": ["LEASE-INV-1", "LEASE-12", "LEASE-13", "LEASE-13", "LEASE-16", "LEASE-INV-2", "LEASE-12"],
    "lease.reclaim": ["LEASE-INV-1", "LEASE-19", "LEASE-20", "LEASE-21", "LEASE-22", "LEASE-24", "LEASE-19"],
    "lease.fence_holds": ["LEASE-37", "LEASE-INV-2"],
    "lease.renew": ["LEASE-29", "LEASE-30", "LEASE-32"],
    "lease.release": ["LEASE-35", "LEASE-33", "LEASE-34", "LEASE-INV-4"],
    "lease.both_hold": ["LEASE-INV-2"],
    "lease.stale_after_grant": ["LEASE-24"],
    "lease.second_reclaim": ["LEASE-23"],
    "lease.renewed_and_shown": ["LEASE-36", "LEASE-36"],
    "lease.claimed_after_release": ["LEASE-33"],
    "lease.fencing_token_after_release": ["LEASE-35"],
    "claim.live": ["GEN-2"],
    "claim.takeable": ["GEN-5", "GEN-12"],
    "claim.holds": ["GEN-9"],
    "claim.granted": ["GEN-16", "GEN-3", "GEN-9", "GEN-7"],
    "claim.cleared": ["GEN-16", "INPUT-INV-4"],
    "claim.renewed": ["GEN-9", "QRENEW-1"],
    "claim.both_hold": ["GEN-INV-2"],
    "claim.stale_after_takeover": ["GEN-9"],
    "claim.taken_twice": ["GEN-13"],
    "claim.count_after_giving_up": ["GEN-INV-2"],
    "claim.revived": ["GEN-10"],
    "turn_input.listed": ["LIST-1", "LIST-2"],
    "turn_input.cancel": ["INPUT-INV-8", "INPUT-INV-4", "CANCEL-4", "CANCEL-5", "CANCEL-4", "INPUT-INV-5"],
    "turn_input.ready_for_turn": ["CLAIM-11", "CLAIM-3", "CLAIM-4", "CLAIM-3"],
    "turn_input.ready_for_next": ["CLAIM-7", "CLAIM-5", "CLAIM-5"],
    "turn_input.taken": ["INPUT-INV-4", "CLAIM-9", "CLAIM-9", "GEN-16", "GEN-9", "INPUT-INV-7"],
    "turn_input.abandoned": ["INPUT-INV-4", "ABANDON-1", "ABANDON-2", "ABANDON-5", "INPUT-INV-5", "ABANDON-1"],
    "turn_input.completed": ["COMMIT-15", "COMMIT-15", "INPUT-INV-5"],
    "turn_input.deferred": ["INPUT-INV-3", "COMMIT-17", "COMMIT-18", "GEN-16", "INPUT-INV-5"],
    "turn_input.accepted_twice": ["CLAIM-11"],
    "turn_input.given_back_after_takeover": ["ABANDON-4"],
    "turn_input.completed_and_cancelled": ["COMMIT-INV-7"],
    "queued_work.candidate": ["QUEUE-6", "QCLAIM-2", "QCLAIM-2"],
    "queued_work.leads": ["QCLAIM-4", "QCLAIM-4", "QCLAIM-4"],
    "queued_work.joins": ["QCLAIM-4", "QCLAIM-4", "QCLAIM-6", "QCLAIM-4", "QCLAIM-4"],
    "queued_work.pending": ["QUEUE-INV-5"],
    "queued_work.taken": ["QUEUE-INV-6", "GEN-16", "GEN-9"],
    "queued_work.abandoned": ["QUEUE-INV-6", "QABANDON-1", "QABANDON-1", "GEN-16"],
    "queued_work.given_back_after_takeover": ["QABANDON-1"],
    "commit.head_agrees": ["COMMIT-9"],
    "commit.next_revision": ["COMMIT-30", "COMMIT-INV-1"],
    "commit.both_pass": ["COMMIT-9"],
    "commit.after_two": ["COMMIT-INV-1"],
    "attachment.recorded_again": ["ATT-2", "ATT-2a", "ATT-2a"],
    "attachment.committed": ["ATT-INV-2", "ATT-3"],
    "attachment.orphaned": ["ATT-4"],
    "attachment.listed_after_its_stamp": ["ATT-INV-2"],
    "attachment.forgotten_later": ["ATT-INV-2"],
    "attachment.time_of_two": ["ATT-2a"],
    "runtime.next_sequence": ["RUNTIME-22", "RUNTIME-22", "RUNTIME-23a"],
    "lifecycle.leads_to": ["RUNTIME-69", "RUNTIME-69", "RUNTIME-69"],
    "lifecycle.takes": ["RUNTIME-70", "RUNTIME-70", "RUNTIME-70", "RUNTIME-70"],
    "runtime.second_number": ["RUNTIME-INV-1"],
    "event.appended": ["EVENT-8", "EVENT-6", "EVENT-7"],
    "event.closed": ["EVENT-15", "EVENT-13", "EVENT-14"],
    "event.after_its_end": ["EVENT-INV-3"],
    "event.events_after": ["EVENT-INV-4"],
}
"""Each contracted transition and theorem, and the requirements that its postconditions state, in their order."""

CASES = {
    "attachment.the_list_is_exact": 2916,
    "attachment.stamps_are_exact": 5832,
    "claim.settles_what_is_held": 15488,
    "turn_input.next_turn_takes_the_first": 64420,
    "turn_input.a_turn_accepts_its_own": 64420,
    "turn_input.what_is_listed_can_be_cancelled": 62810,
    "turn_input.settlement_is_exact": 28086,
    "turn_input.giving_back_is_exact": 48315,
    "commit.first_fault_decides": 64,
    "commit.graphs_become_what_deltas_say": 10368,
    "commit.replays_change_nothing": 324,
    "commit.effects_come_together": 17776,
    "event.reads_tell_what_was_written": 46656,
    "lease.dead_by_an_explicit_no": 300,
    "lease.taken_from_the_observed": 96,
    "lease.one_live_holder": 59049,
    "lease.refusals_change_nothing": 59049,
    "maintenance.what_is_dead_goes": 1024,
    "maintenance.inputs_that_ended_go": 781,
    "maintenance.only_the_unreachable_goes": 512,
    "output.latest_is_last": 4681,
    "output.lists_keep_the_line": 4681,
    "queued_work.the_group_is_the_first": 135726,
    "queued_work.a_command_stands_alone": 22621,
    "queued_work.ids_name_the_group": 2291,
    "queued_work.renewal_and_giving_back_are_exact": 5115,
    "queued_work.removal_is_exact": 14425,
    "runtime.inputs_go_their_way": 900,
    "runtime.runtimes_follow_their_table": 36864,
    "runtime.ends_are_reached_and_kept": 8,
    "runtime.numbers_grow": 5440,
    "runtime.applies_keep_what_they_are_given": 12672,
    "runtime.reads_tell_what_was_kept": 1360,
    "session.the_path_is_the_line_of_ancestors": 129692,
    "session.reads_agree": 5276,
    "session.the_ledger_sums": 3906,
}
"""How many cases each exhaustion tries."""


@pytest.fixture(scope="module")
def prover() -> Iterator[Prover]:
    """A process with contracts in force."""
    started = Prover(contracts=True)
    yield started
    started.close()


def test_the_lemmas_are_those_of_the_table(prover: Prover) -> None:
    """No transition lost its contract and none came without a proof here: 144 postconditions of 60, and 36 exhaustions."""
    stated: dict[str, list[str]] = {}
    for lemma in prover.lemmas:
        stated.setdefault(lemma.transition, []).append(lemma.requirement)
    assert stated == LEMMAS
    assert sum(map(len, LEMMAS.values())) == 144
    assert len(EXHAUSTIONS) == 36


def test_lemmas_have_names_of_their_own_and_establish_requirements() -> None:
    """In each chapter no two lemmas say the same, and each names requirements that there are; every chapter has some."""
    found = statements(tuple(CHAPTERS))
    assert len(found) == 180
    assert len({(each.chapter, each.says) for each in found}) == len(found)
    assert {each for statement in found for each in statement.requirements} <= set(requirements())
    assert {each.chapter for each in found} == set(CHAPTERS)


def test_the_cases_of_an_exhaustion_are_all_there_are() -> None:
    """Tuples of every length, and every set."""
    assert list(tuples("ab", 2)) == [(), ("a",), ("b",), ("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
    assert set(subsets((1, 2))) == {frozenset(), frozenset({1}), frozenset({2}), frozenset({1, 2})}


@pytest.mark.parametrize("name", EXHAUSTIONS)
def test_an_exhaustion_has_cases_and_holds_of_the_first(name: str) -> None:
    """It holds of its first hundred cases; of all of them it is tried where there is time."""
    for case, _ in zip(EXHAUSTIONS[name].cases(), range(100), strict=False):
        assert EXHAUSTIONS[name].holds(*case)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXHAUSTIONS)
def test_every_exhaustion_holds_of_all_cases(name: str) -> None:
    """Tried on every input of its scope, it holds."""
    finding = exhausted(EXHAUSTIONS[name], 60.0)
    assert finding.outcome is Outcome.exhausted
    assert finding.tried == CASES[name]


@pytest.mark.slow
@pytest.mark.parametrize("transition", LEMMAS)
def test_every_lemma_is_confirmed_over_all_paths(transition: str, prover: Prover) -> None:
    """CrossHair confirms each postcondition of the transition."""
    for place in range(len(LEMMAS[transition])):
        assert prover.settle(Job(transition, place, 60.0)).outcome is Outcome.confirmed


PLANTED = {
    "live: at its expiry a lease still binds": (
        "lease.live",
        "return record.held and record.expires_at > now",
        "return record.held and record.expires_at >= now",
    ),
    "claim: at its expiry a lease still binds": (
        "lease.claim",
        "if not live(record, now):\n        return Grant(acquired",
        "if not (record.held and record.expires_at >= now):\n        return Grant(acquired",
    ),
    "claim: another is let in again": (
        "lease.claim",
        "if record.holder == claimant.holder:\n        return Grant(replace",
        "if record.holder != claimant.holder:\n        return Grant(replace",
    ),
    "claim: anybody is let in again": (
        "lease.claim",
        "if record.holder == claimant.holder:\n        return Grant(replace",
        "if True:\n        return Grant(replace",
    ),
    "claim: nobody is let in again": (
        "lease.claim",
        "if record.holder == claimant.holder:\n        return Grant(replace",
        "if False:\n        return Grant(replace",
    ),
    "renew: at its expiry a lease can still be renewed": (
        "lease.renew",
        "if not fence_holds(record, proof, now):",
        "if not (matches(record, proof) and record.expires_at >= now):",
    ),
    "reclaim: a dead holder is taken over whatever was observed": (
        "lease.reclaim",
        "if live(record, now) and not (dead and matches(record, observed)):",
        "if live(record, now) and not dead:",
    ),
    "release: the fencing token starts anew": (
        "lease.release",
        "return replace(vacant, fencing_token=record.fencing_token)",
        "return vacant",
    ),
    "acquired: the fencing token stays": ("lease.acquired", "saturating_add(record.fencing_token, 1)", "record.fencing_token"),
    "fence_holds: an old fencing token passes": (
        "lease.fence_holds",
        "return live(record, now) and matches(record, proof)",
        "return live(record, now) and record.token == proof.token and record.holder == proof.holder",
    ),
    "claim: at its expiry a claim still holds": (
        "claim.live",
        "return claim.held and claim.expires_at > now",
        "return claim.held and claim.expires_at >= now",
    ),
    "claim: a dead holder is not taken over": (
        "claim.takeable",
        "return not live(claim, now) or dead",
        "return not live(claim, now)",
    ),
    "claim: a grant is not counted": (
        "claim.granted",
        "ClaimRecord(claim.fencing_token + 1, True",
        "ClaimRecord(claim.fencing_token, True",
    ),
    "claim: the count starts anew with a release": (
        "claim.cleared",
        "return replace(free, fencing_token=claim.fencing_token)",
        "return free",
    ),
    "claim: anybody can renew": ("claim.renewed", "if not holds(claim, proof):", "if not claim.held:"),
    "input: what was accepted can be cancelled once its claim has lapsed": (
        "turn_input.cancel",
        "if record.state is TurnInputState.Accepted or claims.live(record.claim, now):",
        "if claims.live(record.claim, now):",
    ),
    "input: a next turn takes what waits for a turn": (
        "turn_input.ready_for_next",
        "return record.state is TurnInputState.DeferredNextTurn and",
        "return record.state is not TurnInputState.Accepted and",
    ),
    "input: what was accepted is deferred": (
        "turn_input.deferred",
        "if record.state is not TurnInputState.PendingActive or record.turn != turn:",
        "if record.turn != turn:",
    ),
    "input: what was accepted and given back waits for the next turn": (
        "turn_input.abandoned",
        "state = TurnInputState.PendingActive if record.for_turn else TurnInputState.DeferredNextTurn",
        "state = TurnInputState.DeferredNextTurn",
    ),
    "work: a batch is ready a millisecond late": (
        "queued_work.candidate",
        "return record.available_at <= now and",
        "return record.available_at < now and",
    ),
    "work: batches of any key join": ("queued_work.joins", "        and record.merge_key == head.merge_key\n", ""),
    "work: late work leads at a checkpoint": (
        "queued_work.leads",
        "return boundary is QueuedWorkClaimBoundary.Idle or record.delivery is DeliveryPolicy.EarliestSafeBoundary",
        "return True",
    ),
    "attachment: the time of an intent goes back": (
        "attachment.recorded_again",
        "intent_at=max(record.intent_at, intent_at)",
        "intent_at=intent_at",
    ),
    "attachment: any session stamps": (
        "attachment.committed",
        "replace(record, committed=True) if record.session == session else record",
        "replace(record, committed=True)",
    ),
    "runtime: the numbers of receipts wrap around": (
        "runtime.next_sequence",
        "return last + 1 if last < U64_MAX else None",
        "return last + 1 if last < U64_MAX else 0",
    ),
    "runtime: the first receipt has number 1": ("runtime.next_sequence", "return 0", "return 1"),
    "event: a finished turn takes events": (
        "event.appended",
        "return None if record.finished else replace(record, events=record.events + 1)",
        "return replace(record, events=record.events + 1)",
    ),
    "event: finishing a turn empties it": (
        "event.closed",
        "return None if record.finished else replace(record, finished=True)",
        "return None if record.finished else TurnRecord(0, True)",
    ),
    "lifecycle: any run applies an input": (
        "lifecycle.leads_to",
        "return INPUT_STEPS.get((state, step)) if own or step is not InputStep.MarkApplied else None",
        "return INPUT_STEPS.get((state, step))",
    ),
    "lifecycle: an input is given up one attempt late": (
        "lifecycle.leads_to",
        "state is S.Staged and attempts >= ATTEMPTS:",
        "state is S.Staged and attempts > ATTEMPTS:",
    ),
    "lifecycle: what is stopped is stopped again": (
        "lifecycle.takes",
        "tuple(each for each in T if each not in TERMINAL_RUNTIMES)",
        "tuple(each for each in T if each is not T.Destroyed)",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("transition", "right", "wrong"), PLANTED.values(), ids=PLANTED.keys())
def test_a_broken_transition_is_refuted(transition: str, right: str, wrong: str, tmp_path: Path) -> None:
    """With one line of a copy changed, CrossHair finds a counterexample to a lemma of that transition."""
    package = tmp_path / "fencepost"
    shutil.copytree(Path(str(fencepost.__file__)).parent, package, ignore=shutil.ignore_patterns("__pycache__", "impl"))
    stem = transition.partition(".")[0]
    records = package / "model" / "records" / f"{stem}.py"
    # what has no records decides in the lifted chapter
    source = records if records.exists() else package / "model" / f"{stem}.py"
    text = source.read_text(encoding="utf-8")
    assert text.count(right) == 1
    source.write_text(text.replace(right, wrong), encoding="utf-8")
    assert settled(tmp_path, transition).outcome is Outcome.refuted


def settled(package: Path, transition: str) -> Finding:
    """What a copy of the package says of the postconditions of the transition, all at once."""
    environment = os.environ | {"FENCEPOST_PROVE": "on", "PYTHONHASHSEED": "0", "PYTHONPATH": str(package)}
    telling = "import sys, msgspec; from fencepost.kit.proving import prover; found = prover.together(sys.argv[1], 30.0)"
    command = [sys.executable, "-c", f"{telling}; print(msgspec.json.encode(found).decode())", transition]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return msgspec.json.decode(ran.stdout, type=Finding)
