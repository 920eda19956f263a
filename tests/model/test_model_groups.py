"""What a claim of queued work takes: the rule of the group in tables, and against a plain restatement over all small queues."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pytest
from fencepost.model import Refused, State
from fencepost.model.records.claim import Issued
from fencepost.model.records.queued_work import BatchRow, Kind, QueueState
from fencepost.spec import (
    Backend,
    DeliveryPolicy,
    Group,
    MergeKey,
    Never,
    PayloadDefault,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    SlotPolicy,
)
from immutables import Map
from ingress_builders import (
    AT_CHECKPOINT,
    CLAIM_BY_IDS,
    CLAIM_COMMAND,
    EARLY,
    EXCLUSIVE,
    IDLE,
    JOIN,
    LATE,
    batch_row,
    batches_of,
    claim_work,
    held_until,
    unheld,
    with_batches,
)
from model_builders import LEASED, B, fence, ours
from msgspec.structs import replace

BOUNDARIES = (IDLE, AT_CHECKPOINT)


class Batch(NamedTuple):
    """What decides about a batch, in plain words."""

    kind: Kind = Kind.work
    delivery: DeliveryPolicy = EARLY
    slot: SlotPolicy = JOIN
    key: MergeKey = Never()  # noqa: RUF100  # a frozen record
    held: bool = False
    ready: bool = True


def stored(batch: Batch, place: int) -> BatchRow:
    """The batch in a queue: ready or from 2,000 on, and under a live claim or none."""
    return batch_row(
        f"b{place + 1}",
        place + 1,
        batch.kind,
        held_until(1_500) if batch.held else unheld(),
        delivery=batch.delivery,
        slot=batch.slot,
        merge_key=batch.key,
        available=0 if batch.ready else 2_000,
    )


def queue_of(batches: Sequence[Batch]) -> State:
    """A state with this queue."""
    return with_batches(*(stored(batch, place) for place, batch in enumerate(batches)))


def ids(answer: object) -> list[str] | str | None:
    """The ids that were claimed; None, or the word for a refusal because of a batch without a class."""
    if answer == Refused(Backend()):
        return "poisoned"
    assert answer is None or isinstance(answer, QueuedWorkClaim)
    return None if answer is None else [batch.batch_id for batch in answer.batches]


W, W_LATE, W_ALONE = Batch(), Batch(delivery=LATE), Batch(slot=EXCLUSIVE)
W_G, W_DEFAULT = Batch(key=Group("g")), Batch(key=PayloadDefault())
C = Batch(Kind.command, slot=EXCLUSIVE)
C_JOIN = Batch(Kind.command)
BAD = Batch(Kind.poisoned)
HELD, UNREADY = Batch(held=True), Batch(ready=False)

TABLE: dict[str, tuple[tuple[Batch, ...], QueuedWorkClaimBoundary, int, list[str] | str | None]] = {
    "nothing queued": ((), IDLE, 9, None),
    "nothing visible": ((HELD, UNREADY), IDLE, 9, None),
    "one": ((W,), IDLE, 9, ["b1"]),
    "a command leads": ((C, W), IDLE, 9, None),
    "a joining command leads": ((C_JOIN, W), IDLE, 9, None),
    "a command leads at a checkpoint": ((C, W), AT_CHECKPOINT, 9, None),
    "a command stops the group": ((W, C, W), IDLE, 9, ["b1"]),
    "a joining command stops the group": ((W, C_JOIN, W), IDLE, 9, ["b1"]),
    "a held command does not block": ((C._replace(held=True), W), IDLE, 9, ["b2"]),
    "an unready command does not block": ((C._replace(ready=False), W), IDLE, 9, ["b2"]),
    "late work at a checkpoint": ((W_LATE, W), AT_CHECKPOINT, 9, None),
    "late work when idle": ((W_LATE, W), IDLE, 9, ["b1"]),
    "held late work does not block a checkpoint": ((W_LATE._replace(held=True), W), AT_CHECKPOINT, 9, ["b2"]),
    "late work stops the group": ((W, W_LATE, W), AT_CHECKPOINT, 9, ["b1"]),
    "late work joins late work": ((W_LATE, W_LATE, W), IDLE, 9, ["b1", "b2"]),
    "an exclusive head": ((W_ALONE, W, W), IDLE, 9, ["b1"]),
    "exclusive work stops the group": ((W, W_ALONE, W), IDLE, 9, ["b1"]),
    "as many as are asked for": ((W, W, W), IDLE, 2, ["b1", "b2"]),
    "one asked for": ((W, W, W), IDLE, 1, ["b1"]),
    "more asked for than there are": ((W, W, W), IDLE, 2**64 - 1, ["b1", "b2", "b3"]),
    "held work between": ((W, HELD, W), IDLE, 9, ["b1", "b3"]),
    "unready work between": ((W, UNREADY, W), IDLE, 9, ["b1", "b3"]),
    "what is invisible does not count": ((W, HELD, W, UNREADY, W), IDLE, 2, ["b1", "b3"]),
    "invisible work of another kind between": (
        (W, C._replace(held=True), W_ALONE._replace(ready=False), W),
        IDLE,
        9,
        ["b1", "b4"],
    ),
    "another key stops the group": ((W, W_G, W), IDLE, 9, ["b1"]),
    "poisoned work behind": ((W, W, BAD), IDLE, 1, "poisoned"),
    "poisoned work behind a command": ((C, BAD), IDLE, 9, "poisoned"),
    "poisoned work at a checkpoint that admits nothing": ((W_LATE, BAD), AT_CHECKPOINT, 9, "poisoned"),
    "held poisoned work": ((W, BAD._replace(held=True), W), IDLE, 9, ["b1", "b3"]),
    "unready poisoned work": ((BAD._replace(ready=False), W), IDLE, 9, ["b2"]),
}


@pytest.mark.parametrize(("batches", "boundary", "most", "claimed"), TABLE.values(), ids=TABLE.keys())
def test_qclaim_4_to_8_what_a_claim_takes(
    batches: tuple[Batch, ...], boundary: QueuedWorkClaimBoundary, most: int, claimed: object
) -> None:
    """The table says which batches come under the claim, or none, or that one without a class is in the way."""
    assert ids(claim_work(queue_of(batches), boundary=boundary, most=most).answer) == claimed


KEYS: tuple[MergeKey, ...] = (Never(), PayloadDefault(), Group(""), Group("g"), Group("never"))


@pytest.mark.parametrize(("first", "second"), list(itertools.product(range(len(KEYS)), repeat=2)))
def test_qclaim_6_merge_keys_are_compared_as_they_stand(first: int, second: int) -> None:
    """Each key joins its equal, Never too, and no other."""
    state = queue_of((Batch(key=KEYS[first]), Batch(key=KEYS[second])))
    assert ids(claim_work(state).answer) == (["b1", "b2"] if first == second else ["b1"])


COMMANDS: dict[str, tuple[tuple[Batch, ...], list[str] | str | None]] = {
    "nothing queued": ((), None),
    "a command": ((C,), ["b1"]),
    "one of two": ((C_JOIN, C_JOIN), ["b1"]),
    "whatever its policies": ((Batch(Kind.command, LATE, JOIN, Group("g")),), ["b1"]),
    "work leads": ((W, C), None),
    "held work leads": ((HELD, C), ["b2"]),
    "unready work leads": ((UNREADY, C), ["b2"]),
    "a held command leads": ((C._replace(held=True), C), ["b2"]),
    "a held command leads work": ((C._replace(held=True), W), None),
    "poisoned work behind": ((C, BAD), "poisoned"),
}


@pytest.mark.parametrize(("batches", "claimed"), COMMANDS.values(), ids=COMMANDS.keys())
def test_qclaim_3_a_command_is_claimed_alone_and_only_in_front(batches: tuple[Batch, ...], claimed: object) -> None:
    """The first candidate if it is a command, and never more than that one."""
    assert ids(ours(queue_of(batches), CLAIM_COMMAND, "s", fence(), B, 100).answer) == claimed


BY_IDS: dict[str, tuple[tuple[Batch, ...], QueuedWorkClaimBoundary, tuple[str, ...], list[str], list[int]]] = {
    "the group": ((W, W), IDLE, ("b1", "b2"), ["b1", "b2"], [1, 1]),
    "its first": ((W, W), IDLE, ("b1",), ["b1"], [1, 0]),
    "its second": ((W, W), IDLE, ("b2",), [], [1, 0]),
    "turned round": ((W, W), IDLE, ("b2", "b1"), [], [1, 1]),
    "one twice": ((W, W), IDLE, ("b1", "b1"), [], [1, 1]),
    "one too many": ((W, W), IDLE, ("b1", "b2", "b3"), [], [1, 1]),
    "more than can join": ((W_ALONE, W_ALONE), IDLE, ("b1", "b2"), [], [1, 0]),
    "a command leads": ((C, W), IDLE, ("b2",), [], [0, 0]),
    "the command itself": ((C,), IDLE, ("b1",), [], [0]),
    "not at this boundary": ((W_LATE,), AT_CHECKPOINT, ("b1",), [], [0]),
    "behind a held one": ((HELD, W), IDLE, ("b2",), ["b2"], [1, 1]),
    "unknown": ((W,), IDLE, ("nowhere",), [], [1]),
    "none": ((W,), IDLE, (), [], [0]),
}
"""A queue, the ids asked for, those that are claimed if any, and the counters afterwards: a refused try has raised them."""


@pytest.mark.parametrize(("batches", "boundary", "asked", "claimed", "counters"), BY_IDS.values(), ids=BY_IDS.keys())
def test_qclaim_11_to_13_a_claim_by_ids(
    batches: tuple[Batch, ...],
    boundary: QueuedWorkClaimBoundary,
    asked: tuple[str, ...],
    claimed: list[str],
    counters: list[int],
) -> None:
    """It gets the next group or its first batches, and nothing else; what it held for a moment is free, and counted."""
    step = ours(queue_of(batches), CLAIM_BY_IDS, "s", fence(), B, boundary, 100, asked)
    assert ids(step.answer) == (claimed or None)
    rows = batches_of(step.state)
    assert [row.record.claim.fencing_token for row in rows] == counters
    held = [batch.held or row.batch_id in claimed for batch, row in zip(batches, rows, strict=True)]
    assert [row.record.claim.held for row in rows] == held


def test_qclaim_13_worked_trace_12() -> None:
    """Two tries that are refused raise the counter of the first batch: the claim that gets it has fencing token 3."""
    state = queue_of((W_ALONE, W_ALONE))
    for asked in (("b2",), ("b1", "b2")):
        step = ours(state, CLAIM_BY_IDS, "s", fence(), B, IDLE, 100, asked)
        assert step.answer is None
        state = step.state
    claim = ours(state, CLAIM_BY_IDS, "s", fence(), B, IDLE, 100, ("b1",)).answer
    assert isinstance(claim, QueuedWorkClaim)
    assert claim.fencing_token == 3


def group_by_the_law(queue: Sequence[Batch], boundary: QueuedWorkClaimBoundary, most: int) -> list[int] | str | None:
    """QCLAIM-2 to QCLAIM-8 once more, in as plain a way as they are told; the places that are claimed."""
    candidates = [place for place, batch in enumerate(queue) if batch.ready and not batch.held]
    for place in candidates:
        if queue[place].kind is Kind.poisoned:
            return "poisoned"
    if candidates == []:
        return None
    head = queue[candidates[0]]
    if head.kind is Kind.command:
        return None
    if boundary is AT_CHECKPOINT and head.delivery is LATE:
        return None
    group = [candidates[0]]
    if head.slot is EXCLUSIVE:
        return group
    for place in candidates[1:]:
        batch = queue[place]
        same = batch.delivery is head.delivery and batch.key == head.key
        if len(group) == most or batch.kind is Kind.command or batch.slot is EXCLUSIVE or not same:
            break
        group.append(place)
    return group


def command_by_the_law(queue: Sequence[Batch]) -> list[int] | str | None:
    """QCLAIM-2, QCLAIM-3 and QCLAIM-5 once more."""
    candidates = [place for place, batch in enumerate(queue) if batch.ready and not batch.held]
    if any(queue[place].kind is Kind.poisoned for place in candidates):
        return "poisoned"
    return candidates[:1] if candidates and queue[candidates[0]].kind is Kind.command else None


MERGE_KEYS: tuple[MergeKey, ...] = (Never(), Group("g"))
ALL = [
    Batch(*each) for each in itertools.product(Kind, (EARLY, LATE), (JOIN, EXCLUSIVE), MERGE_KEYS, (False, True), (True, False))
]
"""Every combination of class, delivery, slot, merge key, held and ready: 96."""

FEWER = [
    *(batch for batch in ALL if batch.ready and not batch.held),
    *(
        batch
        for batch in ALL
        if batch.ready is batch.held and batch[1:4] in ((EARLY, JOIN, Never()), (LATE, EXCLUSIVE, Group("g")))
    ),
]
"""All 24 that a claim sees, and of those it does not see two of each class, held and unready: 36."""

ROWS = {(batch, place): stored(batch, place) for batch in ALL for place in range(3)}
ISSUED = Issued.of({("claim", "token"): 3})


def disagreements(queues: Iterable[Sequence[Batch]], sizes: Sequence[int]) -> tuple[int, list[object]]:
    """How many claims were tried, and those in which the model and the restatement disagree."""
    tried = 0
    wrong: list[object] = []
    for queue in queues:
        rows = tuple(ROWS[batch, place] for place, batch in enumerate(queue))
        state = replace(LEASED, queued_work=QueueState(Map({"s": rows}), Map(), len(rows), Map(), ISSUED))
        named = [row.batch_id for row in rows]

        def by_place(places: list[int] | str | None, named: list[str] = named) -> object:
            return [named[place] for place in places] if isinstance(places, list) else places

        for boundary, most in itertools.product(BOUNDARIES, sizes):
            tried += 1
            if ids(claim_work(state, boundary=boundary, most=most).answer) != by_place(group_by_the_law(queue, boundary, most)):
                wrong.append((queue, boundary, most))
        if ids(ours(state, CLAIM_COMMAND, "s", fence(), B, 100).answer) != by_place(command_by_the_law(queue)):
            wrong.append((queue, "command"))
    return tried, wrong


def test_every_queue_of_up_to_two_batches_is_claimed_by_the_law() -> None:
    """All 9,313 queues of every two combinations, at both boundaries, for one and for two batches."""
    queues = itertools.chain([()], ((one,) for one in ALL), itertools.product(ALL, repeat=2))
    assert disagreements(queues, (1, 2)) == (37_252, [])


@pytest.mark.slow
def test_every_queue_of_three_batches_is_claimed_by_the_law() -> None:
    """All 46,656 queues of three, what is invisible thinned out, at both boundaries, for as many as there are."""
    assert disagreements(itertools.product(FEWER, repeat=3), (3,)) == (93_312, [])


@pytest.mark.slow
@pytest.mark.parametrize("first", ALL, ids=[f"{each.kind.value}-{place}" for place, each in enumerate(ALL)])
def test_every_queue_of_three_batches_of_all_combinations_is_claimed_by_the_law(first: Batch) -> None:
    """With each of the 96 in front: 9,216 queues, at both boundaries, for two and for three batches."""
    queues = ((first, *rest) for rest in itertools.product(ALL, repeat=2))
    assert disagreements(queues, (2, 3)) == (36_864, [])
