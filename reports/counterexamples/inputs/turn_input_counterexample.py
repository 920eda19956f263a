"""A counterexample that `fencepost verify` found: it fails while the fault is there, and passes once it is gone."""

import sys
from pathlib import Path

from fencepost.spec import (
    LeaseOwnerIdentity,
    PendingTurnInputDraft,
    TurnInput,
    TurnInputIngressNextTurn,
)
from fencepost.statemachines.environment import Environment

# the backend is looked for in the folder that pytest is started in, too
sys.path.insert(0, str(Path.cwd()))

from faulty_claims import ClaimIdReused as open_store  # noqa: E402


def test_gen_17(tmp_path: Path) -> None:
    """GEN-17: Each grant has a claim id and a lease token that no earlier
    grant of its kind had, of inputs or of queued work, be it before a
    reopen or since.
    """

    environment = Environment(tmp_path)
    stores = open_store(environment)
    store = stores.runtime_persistence
    owner1 = LeaseOwnerIdentity("a", "1")
    owner2 = LeaseOwnerIdentity("b", "1")

    a1 = store.try_claim_session_execution_lease("s", owner1, 10)
    # -> Acquired: fencing token 1, expires at 1010
    store.enqueue_pending_turn_input(
        PendingTurnInputDraft(
            session_id="s", ingress=TurnInputIngressNextTurn(), input=TurnInput()
        ),
    )
    # -> input-1 (DeferredNextTurn)
    t1 = store.claim_next_turn_inputs("s", a1.lease.fence(), owner1, 5, 1)
    # -> claimed: fencing token 1, expires at 1005, holds input-1
    environment.clock.move_to(1005)  # t1 expires

    # GEN-17: Each grant has a claim id and a lease token that no earlier grant of
    # its kind had, of inputs or of queued work, be it before a reopen or since.
    # expected: claimed: fencing token 2, expires at 1015, holds input-1
    # given:    claimed: fencing token 2, expires at 1015, holds input-1
    # differs:  claim_id
    answer = store.claim_next_turn_inputs("s", a1.lease.fence(), owner2, 10, 1)
    assert answer.claim_id != t1.claim_id, answer
