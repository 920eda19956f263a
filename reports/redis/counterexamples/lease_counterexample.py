"""A counterexample that `fencepost verify` found: it fails while the fault is there, and passes once it is gone."""

import sys
from pathlib import Path

from fencepost.spec import LeaseOwnerIdentity, LocalProcess
from fencepost.statemachines.environment import Environment

# the backend is looked for in the folder that pytest is started in, too
sys.path.insert(0, str(Path.cwd()))

from redis_lock import factory as open_store  # noqa: E402


def test_lease_9(tmp_path: Path) -> None:
    """LEASE-9: An acquisition raises the fencing token by exactly one, mints a
    lease token, stores the claimant with its liveness, starts the lease
    now, and answers just what it stored.
    """

    environment = Environment(tmp_path, ())
    start = environment.clock.now
    store = open_store(environment)
    owner1 = LeaseOwnerIdentity(
        "", "", liveness=LocalProcess("host", "boot", 1, "")
    )
    owner2 = LeaseOwnerIdentity(
        "b", "1", liveness=LocalProcess("host", "boot", 1, "tick-1")
    )

    a1 = store.try_claim_session_execution_lease("s", owner1, 10)
    # -> Acquired: fencing token 1, expires at 1795386883833

    # LEASE-9: An acquisition raises the fencing token by exactly one, mints a
    # lease token, stores the claimant with its liveness, starts the lease now, and
    # answers just what it stored.
    # expected: Acquired: fencing token 2, expires at 1795386883833
    # given:    Acquired: fencing token 1, expires at 1795386883833
    # differs:  lease.fencing_token
    answer = store.reclaim_session_execution_lease(
        "s", owner2, a1.lease.fence(), 10
    )
    assert answer.lease.fencing_token == 2, answer
