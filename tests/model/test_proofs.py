"""The lemmas of the record transitions: CrossHair confirms each over all paths, and refutes transitions that were broken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import fencepost.model
import fencepost.spec
import pytest

pytestmark = pytest.mark.slow

LEMMAS = {
    "attachment_committed": ["ATT-3", "ATT-INV-2"],
    "attachment_orphaned": ["ATT-4"],
    "attachment_recorded_again": ["ATT-2", "ATT-2a", "ATT-2a"],
    "claim_cleared": ["GEN-16", "INPUT-INV-4"],
    "claim_granted": ["GEN-16", "GEN-3", "GEN-9"],
    "claim_holds": ["GEN-9"],
    "claim_live": ["GEN-2"],
    "claim_renewed": ["GEN-9", "QRENEW-1"],
    "claim_takeable": ["GEN-12", "GEN-5"],
    "commit_head_agrees": ["COMMIT-9"],
    "commit_next_revision": ["COMMIT-30", "COMMIT-INV-1"],
    "event_appended": ["EVENT-6", "EVENT-7", "EVENT-8"],
    "event_closed": ["EVENT-13", "EVENT-14", "EVENT-15"],
    "lease_acquired": ["LEASE-10", "LEASE-11", "LEASE-8", "LEASE-9"],
    "lease_claim": ["LEASE-12", "LEASE-13", "LEASE-16", "LEASE-INV-1", "LEASE-INV-2"],
    "lease_fence_holds": ["LEASE-37", "LEASE-INV-2"],
    "lease_live": ["LEASE-6"],
    "lease_reclaim": ["LEASE-19", "LEASE-20", "LEASE-21", "LEASE-22", "LEASE-24", "LEASE-INV-1"],
    "lease_release": ["LEASE-33", "LEASE-34", "LEASE-35", "LEASE-INV-4"],
    "lease_renew": ["LEASE-29", "LEASE-30", "LEASE-32"],
    "lifecycle_leads_to": ["RUNTIME-69", "RUNTIME-69", "RUNTIME-69"],
    "lifecycle_takes": ["RUNTIME-70", "RUNTIME-70", "RUNTIME-70", "RUNTIME-70"],
    "queued_work_abandoned": ["QABANDON-1", "QABANDON-1", "QUEUE-INV-6"],
    "queued_work_candidate": ["QCLAIM-2", "QCLAIM-2", "QUEUE-6"],
    "queued_work_joins": ["QCLAIM-4", "QCLAIM-4", "QCLAIM-4", "QCLAIM-6"],
    "queued_work_leads": ["QCLAIM-4", "QCLAIM-4"],
    "queued_work_pending": ["QUEUE-INV-5"],
    "queued_work_taken": ["GEN-16", "QUEUE-INV-6"],
    "runtime_next_sequence": ["RUNTIME-22", "RUNTIME-22", "RUNTIME-23a"],
    "turn_input_abandoned": ["ABANDON-1", "ABANDON-2", "ABANDON-5", "INPUT-INV-4", "INPUT-INV-5"],
    "turn_input_cancel": ["CANCEL-4", "CANCEL-4", "CANCEL-5", "INPUT-INV-4", "INPUT-INV-5", "INPUT-INV-8"],
    "turn_input_completed": ["COMMIT-15", "COMMIT-15", "INPUT-INV-5"],
    "turn_input_deferred": ["COMMIT-17", "COMMIT-18", "GEN-16", "INPUT-INV-3", "INPUT-INV-5"],
    "turn_input_listed": ["LIST-1", "LIST-2"],
    "turn_input_ready_for_next": ["CLAIM-5", "CLAIM-7"],
    "turn_input_ready_for_turn": ["CLAIM-11", "CLAIM-3", "CLAIM-4"],
    "turn_input_taken": ["CLAIM-9", "CLAIM-9", "GEN-16", "GEN-9", "INPUT-INV-4"],
}
"""Each contracted transition, and the requirements that its postconditions state."""


def proving(*arguments: str, package: Path | None = None) -> list[str]:
    """The lines that Python prints with the contracts of the record transitions in force, of this package or of a copy."""
    environment = os.environ | {"FENCEPOST_PROVE": "on", "PYTHONHASHSEED": "0"}
    if package is not None:
        environment["PYTHONPATH"] = str(package)
    ran = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert not ran.stderr, ran.stderr
    return ran.stdout.splitlines()


def checked(transition: str, package: Path | None = None) -> list[str]:
    """What CrossHair says of each lemma of the transition."""
    options = ("--analysis_kind=icontract", "--report_all", "--per_condition_timeout", "60")
    return proving("-m", "crosshair", "check", *options, f"fencepost.model.proofs.{transition}", package=package)


def test_the_lemmas_are_those_of_the_table() -> None:
    """No transition lost its contract and none came without a proof here: 107 lemmas of 37 transitions."""
    (printed,) = proving("-c", "import json; from fencepost.model.proofs import LEMMAS; print(json.dumps(LEMMAS))")
    stated = {transition: sorted(ids) for transition, ids in json.loads(printed).items()}
    assert stated == LEMMAS
    assert sum(map(len, LEMMAS.values())) == 107


@pytest.mark.parametrize("transition", LEMMAS)
def test_every_lemma_is_confirmed_over_all_paths(transition: str) -> None:
    """CrossHair confirms each postcondition of the transition, and says nothing else."""
    lines = checked(transition)
    assert len(set(lines)) == len(LEMMAS[transition])
    assert [line for line in lines if not line.endswith("info: Confirmed over all paths.")] == []


PLANTED = {
    "live: at its expiry a lease still binds": (
        "lease_live",
        "return record.held and record.expires_at > now",
        "return record.held and record.expires_at >= now",
    ),
    "claim: at its expiry a lease still binds": (
        "lease_claim",
        "if not live(record, now):\n        return Grant(acquired",
        "if not (record.held and record.expires_at >= now):\n        return Grant(acquired",
    ),
    "renew: at its expiry a lease can still be renewed": (
        "lease_renew",
        "if not fence_holds(record, proof, now):",
        "if not (matches(record, proof) and record.expires_at >= now):",
    ),
    "reclaim: a dead holder is taken over whatever was observed": (
        "lease_reclaim",
        "if live(record, now) and not (dead and matches(record, observed)):",
        "if live(record, now) and not dead:",
    ),
    "release: the fencing token starts anew": (
        "lease_release",
        "return replace(vacant, fencing_token=record.fencing_token)",
        "return vacant",
    ),
    "acquired: the fencing token stays": ("lease_acquired", "saturating_add(record.fencing_token, 1)", "record.fencing_token"),
    "fence_holds: an old fencing token passes": (
        "lease_fence_holds",
        "return live(record, now) and matches(record, proof)",
        "return live(record, now) and record.token == proof.token and record.holder == proof.holder",
    ),
    "claim: at its expiry a claim still holds": (
        "claim_live",
        "return claim.held and claim.expires_at > now",
        "return claim.held and claim.expires_at >= now",
    ),
    "claim: a dead holder is not taken over": (
        "claim_takeable",
        "return not live(claim, now) or dead",
        "return not live(claim, now)",
    ),
    "claim: a grant is not counted": (
        "claim_granted",
        "ClaimRecord(claim.fencing_token + 1, True",
        "ClaimRecord(claim.fencing_token, True",
    ),
    "claim: the count starts anew with a release": (
        "claim_cleared",
        "return replace(free, fencing_token=claim.fencing_token)",
        "return free",
    ),
    "claim: anybody can renew": ("claim_renewed", "if not holds(claim, proof):", "if not claim.held:"),
    "input: what was accepted can be cancelled once its claim has lapsed": (
        "turn_input_cancel",
        "if record.state is TurnInputState.Accepted or claims.live(record.claim, now):",
        "if claims.live(record.claim, now):",
    ),
    "input: a next turn takes what waits for a turn": (
        "turn_input_ready_for_next",
        "return record.state is TurnInputState.DeferredNextTurn and",
        "return record.state is not TurnInputState.Accepted and",
    ),
    "input: what was accepted is deferred": (
        "turn_input_deferred",
        "if record.state is not TurnInputState.PendingActive or record.turn != turn:",
        "if record.turn != turn:",
    ),
    "input: what was accepted and given back waits for the next turn": (
        "turn_input_abandoned",
        "state = TurnInputState.PendingActive if record.for_turn else TurnInputState.DeferredNextTurn",
        "state = TurnInputState.DeferredNextTurn",
    ),
    "work: a batch is ready a millisecond late": (
        "queued_work_candidate",
        "return record.available_at <= now and",
        "return record.available_at < now and",
    ),
    "work: batches of any key join": ("queued_work_joins", "        and record.merge_key == head.merge_key\n", ""),
    "work: late work leads at a checkpoint": (
        "queued_work_leads",
        "return boundary is QueuedWorkClaimBoundary.Idle or record.delivery is DeliveryPolicy.EarliestSafeBoundary",
        "return True",
    ),
    "attachment: the time of an intent goes back": (
        "attachment_recorded_again",
        "intent_at=max(record.intent_at, intent_at)",
        "intent_at=intent_at",
    ),
    "attachment: any session stamps": (
        "attachment_committed",
        "replace(record, committed=True) if record.session == session else record",
        "replace(record, committed=True)",
    ),
    "runtime: the numbers of receipts wrap around": (
        "runtime_next_sequence",
        "return last + 1 if last < U64_MAX else None",
        "return last + 1 if last < U64_MAX else 0",
    ),
    "runtime: the first receipt has number 1": ("runtime_next_sequence", "return 0", "return 1"),
    "event: a finished turn takes events": (
        "event_appended",
        "return None if record.finished else replace(record, events=record.events + 1)",
        "return replace(record, events=record.events + 1)",
    ),
    "event: finishing a turn empties it": (
        "event_closed",
        "return None if record.finished else replace(record, finished=True)",
        "return None if record.finished else TurnRecord(0, True)",
    ),
    "lifecycle: any run applies an input": (
        "lifecycle_leads_to",
        "return INPUT_STEPS.get((state, step)) if own or step is not InputStep.MarkApplied else None",
        "return INPUT_STEPS.get((state, step))",
    ),
    "lifecycle: an input is given up one attempt late": (
        "lifecycle_leads_to",
        "state is S.Staged and attempts >= ATTEMPTS:",
        "state is S.Staged and attempts > ATTEMPTS:",
    ),
    "lifecycle: what is stopped is stopped again": (
        "lifecycle_takes",
        "tuple(each for each in T if each not in TERMINAL_RUNTIMES)",
        "tuple(each for each in T if each is not T.Destroyed)",
    ),
}


@pytest.mark.parametrize(("transition", "right", "wrong"), PLANTED.values(), ids=PLANTED.keys())
def test_a_broken_transition_is_refuted(transition: str, right: str, wrong: str, tmp_path: Path) -> None:
    """With one line of a copy changed, CrossHair finds a counterexample to a lemma of that transition."""
    package = tmp_path / "fencepost"
    package.mkdir()
    (package / "__init__.py").touch()
    for floor in (fencepost.spec, fencepost.model):
        shutil.copytree(Path(str(floor.__file__)).parent, package / floor.__name__.rpartition(".")[2])
    found = (each for each in package.glob("model/**/*.py") if transition.startswith(f"{each.stem}_"))
    # the lifted chapter of the same name stands a floor above its records
    source = max(found, key=lambda each: len(each.parts))
    text = source.read_text(encoding="utf-8")
    assert text.count(right) == 1
    source.write_text(text.replace(right, wrong), encoding="utf-8")
    assert any(": error: false when calling" in line for line in checked(transition, tmp_path))
