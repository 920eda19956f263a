"""A counterexample that `fencepost verify` found: it fails while the fault is there, and passes once it is gone."""

import sys
from pathlib import Path

from fencepost.spec import LeaseOwnerIdentity
from fencepost.statemachines.environment import Environment

# the backend is looked for in the folder that pytest is started in, too
sys.path.insert(0, str(Path.cwd()))

from fencepost.kit.opening import opened  # noqa: E402
from job_queue import factory  # noqa: E402


def test_lease_6(tmp_path: Path) -> None:
    """LEASE-6: A lease whose expiry equals the present instant has expired;
    one millisecond earlier it is live.
    """

    environment = Environment(tmp_path)
    open_store = opened(factory)
    store = open_store(environment)
    owner1 = LeaseOwnerIdentity("a", "1")

    a1 = store.try_claim_session_execution_lease("s", owner1, 0)
    # -> Acquired: fencing token 1, expires at 1000

    # LEASE-6: A lease whose expiry equals the present instant has expired; one
    # millisecond earlier it is live.
    # expected: Acquired: fencing token 2, expires at 1010
    # given:    Acquired: fencing token 1, expires at 1010
    # differs:  lease.lease_token
    answer = store.try_claim_session_execution_lease("s", owner1, 10)
    assert answer.lease.lease_token != a1.lease.lease_token, answer
