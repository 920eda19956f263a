"""The hunt for a planted fault: is the store with it still a store, and how soon does `fencepost verify` catch it?"""

from __future__ import annotations

import time
from typing import NamedTuple
from uuid import UUID

from fencepost.impl import DuckDBStores
from fencepost.kit.backend import DEFAULT_BACKEND, load_factory, told
from fencepost.kit.result import Request, Result
from fencepost.kit.verify import EXAMPLES, STEPS, verify
from fencepost.spec import (
    Acquired,
    AgentEventEnvelope,
    Final,
    FullGraph,
    Inline,
    Json,
    LeaseOwnerIdentity,
    PersistedSessionConfig,
    RunApplyBoundary,
    RuntimeCommit,
    SessionDelta,
    TextDelta,
)
from fencepost.statemachines.checker import Violation
from fencepost.statemachines.run import CHAPTERS

from .bugs import BUGS
from .planting import NotPlanted, Patch, PlantedBug

RUN = UUID("0190a1b2-0000-7000-8000-000000000001")
INSTANT = '{"secs_since_epoch":1,"nanos_since_epoch":0}'
SESSION = (
    f'{{"id":"{RUN}","created_at":{INSTANT},"updated_at":{INSTANT},"messages":[{{"role":"user","content":"hello"}}]}}'
).encode()

BY_NAME = {bug.name: bug for bug in BUGS}

BLAMED_AT_MOST = 3
"""Among so many requirements, the likeliest first, the one that a fault breaks has to be."""


SEEDS = 5
"""So many are tried at most: a fault that breaks several requirements may show another one first, or none in one run."""


class Catch(NamedTuple):
    """What came of the hunt for a fault; without `named` it got away.

    `named` are all requirements that the counterexample names, the likeliest first.
    `steps` and `seconds` are those until a violation was first seen, `calls` those of the program that it was shrunk to, all
    in the run of the `seed`, the last one that was made.
    `trouble` tells why there was no hunt: the store has changed, and the fault cannot be planted any more. The fault goes by
    its name: what plants it does not travel between processes.
    """

    name: str
    named: tuple[str, ...] = ()
    steps: int = 0
    seconds: float = 0.0
    calls: int = 0
    trouble: str = ""
    seed: int = 0

    @property
    def bug(self) -> PlantedBug:
        """The fault."""
        return BY_NAME[self.name]

    @property
    def blamed(self) -> tuple[str, ...]:
        """Those among which the requirement that it breaks has to be."""
        return self.named[:BLAMED_AT_MOST]

    @property
    def is_right(self) -> bool:
        """Whether the fault was caught and laid on the requirement that it breaks; the others have to be named too."""
        return self.bug.requirement in self.blamed and {*self.bug.also} <= {*self.named}


def verified(chapter: str, seed: int) -> Result:
    """A run of one chapter with the default budget, as a `fencepost verify` of all chapters makes it."""
    request = Request(DEFAULT_BACKEND, (chapter,), seed, EXAMPLES, STEPS, offered=CHAPTERS)
    return verify(load_factory(DEFAULT_BACKEND), request)


def smoke_test() -> None:
    """A turn and its reads, as they are answered whether or not there is a fault: claim, commit, read, release.

    Then a boundary, an event and an output, and that they are there.
    """
    with DuckDBStores() as stores:
        store = stores.runtime_persistence
        outcome = store.try_claim_session_execution_lease("s", LeaseOwnerIdentity("a", "1"), 60_000)
        if not isinstance(outcome, Acquired):
            raise NotPlanted("the store with it no longer grants a first lease")
        lease, config = outcome.lease, PersistedSessionConfig("p", Json({}))
        store.commit_runtime_state(RuntimeCommit(session_id="s", session_execution_lease=lease.fence(), config=config))
        read = store.load_session(FullGraph())
        _require(read is not None and read.head_revision == 1, "reads back a first commit")
        store.release_session_execution_lease(lease.completion())
        receipt = stores.runtime.commit_session_boundary("r", SessionDelta(SESSION), RUN, RunApplyBoundary.RunStart, (), ())
        _require(receipt.message_count == 1, "commits a boundary")
        _require(stores.runtime.load_session_snapshot("r") is not None, "keeps a snapshot")
        stores.event.append("th", 1, AgentEventEnvelope(RUN, 0, "2026-01-01T00:00:00Z", TextDelta("m", "piece")))
        _require(stores.event.get_turn("th", 1) is not None, "keeps an event")
        ref = stores.output.append("t", 1, "writer", Final(Inline(Json()), ok=True), ())
        _require(stores.output.get(ref).id == ref, "keeps an output")


def _require(holds: bool, what: str) -> None:
    """Raise `NotPlanted` unless the store with the fault still does this."""
    if not holds:
        raise NotPlanted(f"the store with it no longer {what}")


def hunted(name: str, seed: int = 0) -> Catch:
    """Plant the fault, see that the store with it still starts and answers, and let the machine of its chapter find it.

    The run of this seed is the first; where it lays the fault on something else, the next seeds are tried.
    """
    catch = Catch(name)
    for each in range(seed, seed + SEEDS):
        try:
            catch = _hunted(BY_NAME[name], each)._replace(seed=each)
        except Exception as error:
            return Catch(name, trouble=str(error) if isinstance(error, NotPlanted) else told(error))
        if catch.is_right:
            break
    return catch


def _hunted(bug: PlantedBug, seed: int) -> Catch:
    seen: list[float] = []
    made = Violation.__init__

    def noting(violation: Violation, *arguments: object) -> None:
        seen.append(time.perf_counter())
        made(violation, *arguments)  # type: ignore[arg-type]  # as they came

    with Patch() as patch:
        bug.plant(patch)
        smoke_test()
        patch.setattr(Violation, "__init__", noting)
        began = time.perf_counter()
        result = verified(bug.chapter, seed)
    if result.interrupted:
        raise KeyboardInterrupt
    if not result.counterexamples:
        # a run that could not be evaluated has caught nothing
        return Catch(bug.name, steps=result.steps, seconds=time.perf_counter() - began)
    found = result.counterexamples[0]
    return Catch(bug.name, found.requirements, found.steps, seen[0] - began, len(found.performed))
