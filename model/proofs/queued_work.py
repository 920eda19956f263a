"""Queued work: what follows for one batch, and what claims, renewals and completions do to the rows of a session."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product

from fencepost.spec import (
    Backend,
    DeliveryPolicy,
    Group,
    MergeKey,
    Never,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkClaimExpired,
    QueuedWorkCompletion,
    SlotPolicy,
)
from immutables import Map
from msgspec.structs import replace

from .. import queued_work as calls
from ..contracts import ensure, require
from ..records import claim as claims
from ..records.claim import FREE, ClaimRecord, EntryClaim
from ..records.queued_work import (
    BatchRecord,
    BatchRow,
    Kind,
    LiveBatch,
    QueueState,
    abandoned,
    valid,
)
from ..state import State
from ..step import Refused
from .exhaustion import exhausted, subsets, tuples
from .turn_input import DEADS, FENCE, ISSUED, LAPSED, LEASED, LIVE, MINE, NOW, PORTS, THEIRS

Batch = BatchRecord[int, int, int]
Claim = ClaimRecord[int, int]


@require(lambda record, old, new: valid(record) and claims.holds(record.claim, new) and old != new)
@require(lambda free: claims.valid(free) and not free.held)
@ensure(lambda record, result: result == record, "QABANDON-1", "a claim whose batch was taken over gives nothing back")
def given_back_after_takeover(record: Batch, old: int, new: int, free: Claim) -> Batch:
    """A batch of a new claim after the old one was abandoned."""
    return abandoned(record, old, free)


EARLY, LATE = DeliveryPolicy.EarliestSafeBoundary, DeliveryPolicy.AfterCurrentTurnCommit
JOIN, ALONE = SlotPolicy.Join, SlotPolicy.Exclusive
IDLE, CHECKPOINT = QueuedWorkClaimBoundary.Idle, QueuedWorkClaimBoundary.ActiveTurnCheckpoint


def _batch(
    kind: Kind = Kind.work,
    delivery: DeliveryPolicy = EARLY,
    slot: SlotPolicy = JOIN,
    key: MergeKey = Never(),  # noqa: B008  # a constant
    claim: EntryClaim = FREE,
    ready: int = NOW,
) -> LiveBatch:
    return BatchRecord(kind, delivery, slot, key, ready, claim)


KINDS: dict[str, LiveBatch] = {
    "work": _batch(),
    "late work": _batch(delivery=LATE),
    "work alone": _batch(slot=ALONE),
    "work of a group": _batch(key=Group("g")),
    "work, lapsed": _batch(claim=LAPSED),
    "work of the dead": _batch(claim=DEADS),
    "work, held": _batch(claim=LIVE),
    "work to come": _batch(ready=NOW + 1),
    "command": _batch(Kind.command),
    "command, held": _batch(Kind.command, claim=LIVE),
    "poisoned": _batch(Kind.poisoned),
    "poisoned, to come": _batch(Kind.poisoned, ready=NOW + 1),
}
"""What a batch may be when a call of `MINE` comes: every class, policy, readiness and claim that makes a difference."""

UNSEEN = ("work, held", "work to come", "command, held", "poisoned, to come")
ALIKE = ("work", "work, lapsed", "work of the dead")
"""The kinds that join each other."""

Kinds = tuple[str, ...]
ROWS = 4
OF = f"of up to {ROWS} batches of {len(KINDS)} kinds"


def rows_of(kinds: Kinds) -> tuple[BatchRow, ...]:
    """A session's batches of these kinds, in the order of admission."""
    return tuple(BatchRow(f"b{place}", place + 1, f"k{place}", 0, (), KINDS[kind]) for place, kind in enumerate(kinds))


def state_of(kinds: Kinds) -> State:
    """A session with batches of these kinds, leased by `MINE`."""
    ids = Map({f"b{place}": True for place in range(len(kinds))})
    return State(lease=LEASED, queued_work=QueueState(Map({"s": rows_of(kinds)}), ids, len(kinds), claims=ISSUED))


def _group(kinds: Kinds, boundary: QueuedWorkClaimBoundary, most: int) -> list[int]:
    """The places of the group that the law tells: the first candidate, and those right behind it that are like it."""
    seen = [place for place, kind in enumerate(kinds) if kind not in UNSEEN]
    leading = kinds[seen[0]] if seen else "command"
    if leading == "command" or (leading == "late work" and boundary is CHECKPOINT):
        return []
    like = ALIKE if leading in ALIKE else () if leading == "work alone" else (leading,)
    run = next((number for number, place in enumerate(seen) if number and kinds[place] not in like), len(seen))
    return seen[:run][:most]


def _taking(kinds: Kinds, state: State, answer: object, wanted: list[int]) -> bool:
    """Whether a claim took just the batches at these places, in their order, under one new claim, and left the others."""
    before, after = rows_of(kinds), state.queued_work.of("s")
    if not wanted:
        return answer is None and after == before
    if not isinstance(answer, QueuedWorkClaim) or [each.batch_id for each in answer.batches] != [f"b{each}" for each in wanted]:
        return False
    proof = (answer.claim_id, answer.lease_token)
    for place, (row, now) in enumerate(zip(before, after, strict=True)):
        claim = ClaimRecord(row.record.claim.fencing_token + 1, True, proof, MINE, NOW + 10)
        if now.record.claim != (claim if place in wanted else row.record.claim):
            return False
    return proof not in row_proofs(before)


def row_proofs(rows: tuple[BatchRow, ...]) -> set[claims.ClaimProof]:
    """The proofs under which batches are held."""
    return {row.record.claim.proof for row in rows if row.record.claim.held}


@exhausted(
    "the first candidate leads if it may, those right behind it that are alike join, what is no candidate is passed over",
    "QCLAIM-2",
    "QCLAIM-4",
    "QCLAIM-6",
    "QCLAIM-7",
    "QUEUE-INV-3",
    "QUEUE-INV-4",
    scope=f"all lines {OF}, at both boundaries, for at most 1, 2 and {ROWS}",
    cases=lambda: product(tuples(tuple(KINDS), ROWS), QueuedWorkClaimBoundary, (1, 2, ROWS)),
)
def the_group_is_the_first(kinds: Kinds, boundary: QueuedWorkClaimBoundary, most: int) -> bool:
    """The claim is of just the group that the law tells; a candidate without a class refuses it."""
    step, *_ = calls.claim_ready_queued_work(state_of(kinds), PORTS, "s", FENCE, MINE, boundary, 10, most)
    if "poisoned" in kinds:
        return step.answer == Refused(Backend()) and step.state == state_of(kinds)
    return _taking(kinds, step.state, step.answer, _group(kinds, boundary, most))


@exhausted(
    "a claim of a command takes the first candidate alone, if it is one",
    "QCLAIM-3",
    "QCLAIM-5",
    scope=f"all lines {OF}",
    cases=lambda: ((kinds,) for kinds in tuples(tuple(KINDS), ROWS)),
)
def a_command_stands_alone(kinds: Kinds) -> bool:
    """The claim is of the first candidate if it is a command; a candidate without a class refuses it."""
    step, *_ = calls.claim_leading_ready_session_command(state_of(kinds), PORTS, "s", FENCE, MINE, 10)
    if "poisoned" in kinds:
        return step.answer == Refused(Backend()) and step.state == state_of(kinds)
    first = [place for place, kind in enumerate(kinds) if kind not in UNSEEN][:1]
    return _taking(kinds, step.state, step.answer, [place for place in first if kinds[place] == "command"])


def _named() -> Iterator[tuple[Kinds, tuple[int, ...]]]:
    few = ("work", "work alone", "work, held", "work, lapsed", "command")
    for kinds in tuples(few, 3):
        for length in range(len(kinds) + 1):
            yield from ((kinds, named) for named in permutations(range(len(kinds)), length))
        if kinds:
            yield kinds, (0, 0)


@exhausted(
    "a claim by ids answers exactly the group if its ids are exactly that, and leaves no batch held otherwise",
    "QCLAIM-11",
    "QCLAIM-12",
    "QCLAIM-13",
    scope="all lines of up to 3 batches of 5 kinds, and every order of some of their ids",
    cases=_named,
)
def ids_name_the_group(kinds: Kinds, named: tuple[int, ...]) -> bool:
    """The claim is of the ids in their order, or nothing is held but what was, and at most counters are raised."""
    ids = tuple(f"b{place}" for place in named)
    step, *_ = calls.claim_ready_queued_work_by_batch_ids(state_of(kinds), PORTS, "s", FENCE, MINE, IDLE, 10, ids)
    group = _group(kinds, IDLE, len(ids)) if ids else []
    if group and list(named) == group:
        return _taking(kinds, step.state, step.answer, group)
    for place, (row, now) in enumerate(zip(rows_of(kinds), step.state.queued_work.of("s"), strict=True)):
        claim = row.record.claim
        if place in group:
            claim = ClaimRecord(claim.fencing_token + 1, False, ("", ""), None, 0)
        if now.record.claim != claim:
            return False
    return step.answer is None


HELD = ("work", "work, held", "work, lapsed", "command, held")


@exhausted(
    "a renewal moves what its claim holds, and fails unless that is all of it; giving back frees exactly that",
    "QRENEW-1",
    "QRENEW-2",
    "QRENEW-3",
    "QABANDON-1",
    scope=f"all lines of up to {ROWS} batches of {len(HELD)} kinds, by two claims and an empty one of up to {ROWS} batches",
    cases=lambda: product(tuples(HELD, ROWS), ("live", "lapsed", ""), range(ROWS + 1)),
)
def renewal_and_giving_back_are_exact(kinds: Kinds, name: str, size: int) -> bool:
    """What is held under the claim gets the new expiry, or is freed; all other rows are as they were."""
    shown = tuple(QueuedWorkBatch(f"b{each}", "s", each + 1, None, EARLY, JOIN, Never(), 0, 0, ()) for each in range(size))
    claim = QueuedWorkClaim("s", name, THEIRS, name, 1, 0, 5, shown)
    renewed, *_ = calls.renew_queued_work_claim(state_of(kinds), PORTS, claim, 10)
    freed, *_ = calls.abandon_queued_work_claim(state_of(kinds), PORTS, claim)
    held = [row.record.claim.held and row.record.claim.proof == (name, name) for row in rows_of(kinds)]
    for row, mine, moved, free in zip(
        rows_of(kinds), held, renewed.state.queued_work.of("s"), freed.state.queued_work.of("s"), strict=True
    ):
        was = row.record.claim
        later = ClaimRecord(was.fencing_token, True, was.proof, was.owner, NOW + 10) if mine else was
        if moved.record.claim != later or free.record.claim != (ClaimRecord(1, False, ("", ""), None, 0) if mine else was):
            return False
    lost = Refused(QueuedWorkClaimExpired("s", name))
    return renewed.answer == (replace(claim, expires_at_epoch_ms=NOW + 10) if sum(held) == size else lost)


@exhausted(
    "a completion removes exactly the named batches that its claim holds, a cancel exactly what waits, and their keys are free",
    "COMMIT-14",
    "QUEUE-3",
    "QUEUE-9",
    "QUEUE-INV-5",
    scope="all lines of up to 3 batches of all kinds, naming any of them",
    cases=lambda: ((kinds, named) for kinds in tuples(tuple(KINDS), 3) for named in subsets(range(len(kinds)))),
)
def removal_is_exact(kinds: Kinds, named: frozenset[int]) -> bool:
    """The rows that are left, in their order, and the keys that were freed."""
    state, rows = state_of(kinds), rows_of(kinds)
    ids = tuple(f"b{place}" for place in sorted(named))
    done = calls.completed(state, QueuedWorkCompletion("s", "live", "live", ids)).queued_work
    held = {place for place in named if KINDS[kinds[place]].claim.proof == ("live", "live")}
    cancelled = state
    for each in ids:
        (step,) = calls.cancel_queued_work_batch(cancelled, PORTS, "s", each)
        cancelled = step.state
    waiting = {place for place in named if KINDS[kinds[place]].claim not in (LIVE, DEADS)}
    return all(
        after.of("s") == tuple(row for place, row in enumerate(rows) if place not in gone)
        and set(after.freed) == {("s", f"k{place}") for place in gone}
        for after, gone in ((done, held), (cancelled.queued_work, waiting))
    )
