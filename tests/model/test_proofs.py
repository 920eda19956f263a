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
    "acquired": ["LEASE-10", "LEASE-11", "LEASE-8", "LEASE-9"],
    "claim": ["LEASE-12", "LEASE-13", "LEASE-16", "LEASE-INV-1", "LEASE-INV-2"],
    "fence_holds": ["LEASE-37", "LEASE-INV-2"],
    "head_agrees": ["COMMIT-9"],
    "live": ["LEASE-6"],
    "next_revision": ["COMMIT-30", "COMMIT-INV-1"],
    "reclaim": ["LEASE-19", "LEASE-20", "LEASE-21", "LEASE-22", "LEASE-24", "LEASE-INV-1"],
    "release": ["LEASE-33", "LEASE-34", "LEASE-35", "LEASE-INV-4"],
    "renew": ["LEASE-29", "LEASE-30", "LEASE-32"],
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
    options = ("--analysis_kind=icontract", "--report_all", "--per_condition_timeout", "20")
    return proving("-m", "crosshair", "check", *options, f"fencepost.model.proofs.{transition}", package=package)


def test_the_lemmas_are_those_of_the_table() -> None:
    """No transition lost its contract and none came without a proof here: 28 lemmas of 9 transitions."""
    (printed,) = proving("-c", "import json; from fencepost.model.proofs import LEMMAS; print(json.dumps(LEMMAS))")
    stated = {transition: sorted(ids) for transition, ids in json.loads(printed).items()}
    assert stated == LEMMAS
    assert sum(map(len, LEMMAS.values())) == 28


@pytest.mark.parametrize("transition", LEMMAS)
def test_every_lemma_is_confirmed_over_all_paths(transition: str) -> None:
    """CrossHair confirms each postcondition of the transition, and says nothing else."""
    lines = checked(transition)
    assert len(set(lines)) == len(LEMMAS[transition])
    assert [line for line in lines if not line.endswith("info: Confirmed over all paths.")] == []


PLANTED = {
    "live: at its expiry a lease still binds": (
        "live",
        "return record.held and record.expires_at > now",
        "return record.held and record.expires_at >= now",
    ),
    "claim: at its expiry a lease still binds": (
        "claim",
        "if not live(record, now):\n        return Grant(acquired",
        "if not (record.held and record.expires_at >= now):\n        return Grant(acquired",
    ),
    "renew: at its expiry a lease can still be renewed": (
        "renew",
        "if not fence_holds(record, proof, now):",
        "if not (matches(record, proof) and record.expires_at >= now):",
    ),
    "reclaim: a dead holder is taken over whatever was observed": (
        "reclaim",
        "if live(record, now) and not (dead and matches(record, observed)):",
        "if live(record, now) and not dead:",
    ),
    "release: the fencing token starts anew": (
        "release",
        "return replace(vacant, fencing_token=record.fencing_token)",
        "return vacant",
    ),
    "acquired: the fencing token stays": ("acquired", "saturating_add(record.fencing_token, 1)", "record.fencing_token"),
    "fence_holds: an old fencing token passes": (
        "fence_holds",
        "return live(record, now) and matches(record, proof)",
        "return live(record, now) and record.token == proof.token and record.holder == proof.holder",
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
    source = package / "model" / "records" / "lease.py"
    text = source.read_text(encoding="utf-8")
    assert text.count(right) == 1
    source.write_text(text.replace(right, wrong), encoding="utf-8")
    assert any(": error: false when calling" in line for line in checked(transition, tmp_path))
