"""A counterexample that `fencepost verify` found: it fails while the fault is there, and passes once it is gone."""

import sys
from pathlib import Path

from fencepost.spec import (
    Json,
    LeaseOwnerIdentity,
    PersistedSessionConfig,
    RuntimeCommit,
    SessionExecutionLeaseExpired,
    StoreError,
)
from fencepost.statemachines.environment import Environment

# the backend is looked for in the folder that pytest is started in, too
sys.path.insert(0, str(Path.cwd()))

from faulty import Unfenced as open_store  # noqa: E402


def test_commit_8a(tmp_path: Path) -> None:
    """COMMIT-8a: Every commit that is not a replay, the first of a session
    included, needs a fence that matches the session's live lease, else it
    is refused with SessionExecutionLeaseExpired for the commit's session.
    """

    environment = Environment(tmp_path)
    stores = open_store(environment)
    store = stores.runtime_persistence
    owner1 = LeaseOwnerIdentity("a", "1")
    owner2 = LeaseOwnerIdentity("b", "1")

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
