"""Every planted fault of the DuckDB store is caught, by the requirement that it breaks."""

from __future__ import annotations

import pytest
from bugs import BUGS, PlantedBug
from fencepost.impl import DuckDBRuntimePersistence
from fencepost.kit.backend import DEFAULT_BACKEND, load_factory
from fencepost.kit.result import Request, Result, Verdict
from fencepost.kit.verify import EXAMPLES, STEPS, verify
from fencepost.spec import Acquired, FullGraph, Json, LeaseOwnerIdentity, PersistedSessionConfig, RuntimeCommit
from fencepost.spec.catalogue import requirements

SEED = 0


def verified(chapter: str) -> Result:
    """A run of one chapter with the default budget, as `fencepost verify --chapters` makes it."""
    request = Request(DEFAULT_BACKEND, (chapter,), SEED, EXAMPLES, STEPS)
    return verify(load_factory(DEFAULT_BACKEND), request)


def smoke_test() -> None:
    """A turn and its reads, as they are answered whether or not there is a fault: claim, commit, read, release."""
    with DuckDBRuntimePersistence() as store:
        outcome = store.try_claim_session_execution_lease("s", LeaseOwnerIdentity("a", "1"), 60_000)
        assert isinstance(outcome, Acquired)
        lease, config = outcome.lease, PersistedSessionConfig("p", Json({}))
        store.commit_runtime_state(RuntimeCommit(session_id="s", session_execution_lease=lease.fence(), config=config))
        read = store.load_session(FullGraph())
        assert read is not None
        assert read.head_revision == 1
        store.release_session_execution_lease(lease.completion())


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_planted_bug_is_caught(bug: PlantedBug, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store with the fault starts and answers, and the run blames the requirement that it breaks."""
    bug.plant(monkeypatch)
    smoke_test()
    result = verified(bug.chapter)
    assert result.verdict is Verdict.violates, f"not caught: {bug.sentence}"
    found = result.counterexamples[0]
    assert bug.requirement in found.requirements[:3]
    print(f"{bug.name:36} {bug.requirement:11} blamed {', '.join(found.requirements[:3]):36} steps {found.steps}")


def test_there_are_enough_planted_bugs_and_their_names_are_distinct() -> None:
    """At least a dozen faults, each of its own name, each tied to a requirement of the catalogue."""
    assert len(BUGS) >= 12
    assert len({bug.name for bug in BUGS}) == len(BUGS)
    assert {bug.requirement for bug in BUGS} <= set(requirements())
