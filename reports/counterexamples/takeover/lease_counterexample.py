"""A counterexample that `fencepost verify` found: it fails while the fault is there, and passes once it is gone."""

import sys
from pathlib import Path

from fencepost.spec import Acquired, LeaseOwnerIdentity
from fencepost.statemachines.environment import Environment

# the backend is looked for in the folder that pytest is started in, too
sys.path.insert(0, str(Path.cwd()))

from faulty import LiveAtTheEdge as open_store  # noqa: E402


def test_lease_6(tmp_path: Path) -> None:
    """LEASE-6: A lease whose expiry equals the present instant has expired;
    one millisecond earlier it is live.
    """

    environment = Environment(tmp_path)
    stores = open_store(environment)
    store = stores.runtime_persistence
    owner1 = LeaseOwnerIdentity("a", "1")
    owner2 = LeaseOwnerIdentity("b", "1")

    store.try_claim_session_execution_lease("s", owner1, 10)
    # -> Acquired: fencing token 1, expires at 1010
    environment.clock.move_to(1010)  # the lease expires

    # LEASE-6: A lease whose expiry equals the present instant has expired; one
    # millisecond earlier it is live.
    # expected: Acquired: fencing token 2, expires at 1020
    # given:    Busy: a/1 holds fencing token 1 until 1010
    answer = store.try_claim_session_execution_lease("s", owner2, 10)
    assert isinstance(answer, Acquired), answer
