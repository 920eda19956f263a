"""A counterexample that `fencepost verify` found: it fails while the fault is there, and passes once it is gone."""

import sys
from pathlib import Path

from fencepost.spec import (
    DeliveryPolicy,
    Json,
    LeaseOwnerIdentity,
    ProcessWake,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    SlotPolicy,
)
from fencepost.statemachines.environment import Environment

# the backend is looked for in the folder that pytest is started in, too
sys.path.insert(0, str(Path.cwd()))

from fencepost.kit.opening import opened  # noqa: E402
from job_queue import factory  # noqa: E402


def test_qclaim_9(tmp_path: Path) -> None:
    """QCLAIM-9: A claim puts all batches it takes under one claim id, lease
    token, owner and expiry in one indivisible act, in place of the lapsed
    or dead-held claims they were under, and answers them in the order of
    admission.
    """

    environment = Environment(tmp_path)
    open_store = opened(factory)
    store = open_store(environment)
    owner1 = LeaseOwnerIdentity("a", "1")
    owner2 = LeaseOwnerIdentity("d", "1")

    a1 = store.try_claim_session_execution_lease("", owner1, 10)
    # -> Acquired: fencing token 1, expires at 1010
    w1 = store.enqueue_queued_work(
        QueuedWorkBatchDraft(
            session_id="",
            delivery_policy=DeliveryPolicy.EarliestSafeBoundary,
            slot_policy=SlotPolicy.Join,
            payloads=(ProcessWake(Json(None)),),
        ),
    )
    # -> 2 (TurnWork)
    store.claim_ready_queued_work(
        "", a1.lease.fence(), owner2, QueuedWorkClaimBoundary.Idle, 0, 1
    )
    # -> claimed: fencing token 1, expires at 1000, holds 2

    # QCLAIM-9: A claim puts all batches it takes under one claim id, lease token,
    # owner and expiry in one indivisible act, in place of the lapsed or dead-held
    # claims they were under, and answers them in the order of admission.
    # expected: 2 (TurnWork)
    # given:    nothing
    answer = store.list_pending_queued_work("")
    assert tuple(answer) == (w1,), answer
