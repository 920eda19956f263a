"""One pending turn input: the record that decides what may become of it, and its transitions."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeAlias, TypeVar

import msgspec
from fencepost.spec import (
    PENDING,
    U64_MAX,
    CheckpointKind,
    LeaseOwnerIdentity,
    TurnInput,
    TurnInputCheckpointBoundary,
    TurnInputIngress,
    TurnInputState,
    admits,
)
from immutables import Map
from msgspec.structs import replace as replaced

from ..contracts import ensure, require
from . import claim as claims
from .claim import ClaimProof, ClaimRecord, Issued

P = TypeVar("P")
H = TypeVar("H")
T = TypeVar("T")

ENDED = (TurnInputState.Cancelled, TurnInputState.Completed)
"""The states that an input never leaves."""


@dataclass(frozen=True, slots=True)
class InputRecord(Generic[T, P, H]):
    """Where an input is in its life. `turn` and `boundary` mean something only while it is `for_turn`."""

    state: TurnInputState
    for_turn: bool
    turn: T
    boundary: TurnInputCheckpointBoundary
    claim: ClaimRecord[P, H]


class Cancel(enum.Enum):
    """What a cancellation finds."""

    cancelled = "cancelled"
    claimed = "claimed"
    completed = "completed"
    cancelled_before = "cancelled before"


class AfterCancel(NamedTuple, Generic[T, P, H]):
    """An input after a cancellation, and what it found."""

    record: InputRecord[T, P, H]
    found: Cancel


def valid(record: InputRecord[T, P, H]) -> bool:
    """What every reachable record satisfies (INPUT-INV-3, INPUT-INV-4)."""
    if not claims.valid(record.claim):
        return False
    if record.state is TurnInputState.PendingActive:
        return record.for_turn and not record.claim.held
    if record.state is TurnInputState.Accepted:
        return record.for_turn and record.claim.held
    if record.state is TurnInputState.DeferredNextTurn:
        return not record.for_turn
    return not record.claim.held


def kept(before: InputRecord[T, P, H], after: InputRecord[T, P, H]) -> bool:
    """Whether the input is still meant for the same turn, and its claims are counted on."""
    return (after.for_turn, after.turn, after.boundary) == (
        before.for_turn,
        before.turn,
        before.boundary,
    ) and after.claim.fencing_token == before.claim.fencing_token


@require(lambda record: valid(record))
@ensure(
    lambda record, now, result: result == (record.state in PENDING and not claims.live(record.claim, now)),
    "LIST-1",
    "exactly what is pending and held by no live claim is listed",
)
@ensure(
    lambda record, result: record.state is not TurnInputState.Accepted or not result,
    "LIST-2",
    "an accepted input is never listed",
)
def listed(record: InputRecord[T, P, H], now: int) -> bool:
    """Whether the input waits, visibly: pending and held by no live claim."""
    return record.state in PENDING and not claims.live(record.claim, now)


@require(lambda record, free: valid(record) and claims.valid(free) and not free.held)
@ensure(
    lambda record, now, result: (result.found is Cancel.cancelled) == listed(record, now),
    "INPUT-INV-8",
    "exactly what is listed can be cancelled",
)
@ensure(lambda result: valid(result.record), "INPUT-INV-4", "a cancellation leaves a possible input")
@ensure(
    lambda record, result: result.found is Cancel.cancelled or result.record == record,
    "CANCEL-4",
    "what is not cancelled stays as it is",
)
@ensure(lambda record, result: kept(record, result.record), "CANCEL-5", "a cancelled input keeps its turn and its count")
@ensure(
    lambda record, result: record.state is not TurnInputState.Accepted or result.found is Cancel.claimed,
    "CANCEL-4",
    "an accepted input is claimed, whatever the time",
)
@ensure(
    lambda record, result: record.state not in ENDED or result.record == record,
    "INPUT-INV-5",
    "an input that has ended stays as it ended when cancelled",
)
def cancel(record: InputRecord[T, P, H], now: int, free: ClaimRecord[P, H]) -> AfterCancel[T, P, H]:
    """Cancel the input if it waits and no live claim holds it."""
    if record.state is TurnInputState.Cancelled:
        return AfterCancel(record, Cancel.cancelled_before)
    if record.state is TurnInputState.Completed:
        return AfterCancel(record, Cancel.completed)
    if record.state is TurnInputState.Accepted or claims.live(record.claim, now):
        return AfterCancel(record, Cancel.claimed)
    gone = replace(record, state=TurnInputState.Cancelled, claim=claims.cleared(record.claim, free))
    return AfterCancel(gone, Cancel.cancelled)


@require(lambda record: valid(record))
@ensure(
    lambda record, result: not result or record.state is TurnInputState.PendingActive,
    "CLAIM-11",
    "only a waiting input is accepted",
)
@ensure(lambda record, turn, result: not result or record.turn == turn, "CLAIM-3", "an input is accepted only by its own turn")
@ensure(
    lambda record, checkpoint, result: (
        not result or record.boundary is TurnInputCheckpointBoundary.AfterWork or checkpoint is CheckpointKind.BeforeCompletion
    ),
    "CLAIM-4",
    "an input for the end of a turn waits for the checkpoint before completion",
)
@ensure(
    lambda record, turn, checkpoint, result: (
        result
        or record.state is not TurnInputState.PendingActive
        or record.turn != turn
        or (record.boundary is not TurnInputCheckpointBoundary.AfterWork and checkpoint is not CheckpointKind.BeforeCompletion)
    ),
    "CLAIM-3",
    "what waits for this turn and checkpoint is accepted",
)
def ready_for_turn(record: InputRecord[T, P, H], turn: T, checkpoint: CheckpointKind) -> bool:
    """Whether this turn may accept the input at this checkpoint. Nobody holds what is `PendingActive`."""
    return record.state is TurnInputState.PendingActive and record.turn == turn and admits(record.boundary, checkpoint)


@require(lambda record: valid(record))
@ensure(
    lambda record, result: not result or record.state is TurnInputState.DeferredNextTurn,
    "CLAIM-7",
    "a next turn takes only what was deferred to it",
)
@ensure(
    lambda record, dead, now, result: not result or claims.takeable(record.claim, dead, now),
    "CLAIM-5",
    "a next turn takes only what can be taken",
)
@ensure(
    lambda record, dead, now, result: (
        result or record.state is not TurnInputState.DeferredNextTurn or not claims.takeable(record.claim, dead, now)
    ),
    "CLAIM-5",
    "a next turn takes what is deferred and can be taken",
)
def ready_for_next(record: InputRecord[T, P, H], dead: bool, now: int) -> bool:
    """Whether a next turn may take the input."""
    return record.state is TurnInputState.DeferredNextTurn and claims.takeable(record.claim, dead, now)


@require(lambda record: valid(record) and record.state in PENDING)
@require(lambda record, now, ttl: claims.room(record.claim) and 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(lambda result: valid(result), "INPUT-INV-4", "a claim leaves a possible input")
@ensure(
    lambda record, result: (result.state is TurnInputState.Accepted) == record.for_turn,
    "CLAIM-9",
    "exactly an input for a turn is accepted by a claim",
)
@ensure(
    lambda record, result: record.for_turn or result.state is TurnInputState.DeferredNextTurn,
    "CLAIM-9",
    "an input for the next turn stays deferred while it is claimed",
)
@ensure(
    lambda record, result: result.claim.fencing_token == record.claim.fencing_token + 1,
    "GEN-16",
    "each claim raises the input's fencing token by exactly one",
)
@ensure(lambda result, proof: claims.holds(result.claim, proof), "GEN-9", "the new holder's proof holds the input")
@ensure(
    lambda record, result: kept(record, replace(result, claim=record.claim)),
    "INPUT-INV-7",
    "a claimed input keeps its turn",
)
def taken(record: InputRecord[T, P, H], proof: P, owner: H, now: int, ttl: int) -> InputRecord[T, P, H]:
    """The input under a new claim: accepted by its turn, or reserved for a next one."""
    state = TurnInputState.Accepted if record.for_turn else record.state
    return replace(record, state=state, claim=claims.granted(record.claim, proof, owner, now, ttl))


@require(lambda record, free: valid(record) and claims.valid(free) and not free.held)
@ensure(lambda result: valid(result), "INPUT-INV-4", "giving back leaves a possible input")
@ensure(lambda record, result: kept(record, result), "ABANDON-1", "an input given back keeps its turn and its count")
@ensure(
    lambda record, proof, result: claims.holds(record.claim, proof) or result == record,
    "ABANDON-2",
    "only the claim that holds an input gives it back",
)
@ensure(
    lambda record, proof, result: not claims.holds(record.claim, proof) or listed(result, 0),
    "ABANDON-5",
    "an input given back is listed again",
)
@ensure(
    lambda record, result: record.state not in ENDED or result == record,
    "INPUT-INV-5",
    "an input that has ended stays as it ended when given back",
)
@ensure(
    lambda record, proof, result: (
        not claims.holds(record.claim, proof)
        or result.state is (TurnInputState.PendingActive if record.for_turn else TurnInputState.DeferredNextTurn)
    ),
    "ABANDON-1",
    "an input given back is what it was when it was enqueued or deferred",
)
def abandoned(record: InputRecord[T, P, H], proof: P, free: ClaimRecord[P, H]) -> InputRecord[T, P, H]:
    """The input back to waiting, if the proof is of its claim."""
    if not claims.holds(record.claim, proof):
        return record
    state = TurnInputState.PendingActive if record.for_turn else TurnInputState.DeferredNextTurn
    return replace(record, state=state, claim=claims.cleared(record.claim, free))


@require(lambda record, proof, free: valid(record) and claims.valid(free) and not free.held)
@require(lambda record, proof: claims.holds(record.claim, proof))
@ensure(
    lambda result: valid(result) and result.state is TurnInputState.Completed,
    "COMMIT-15",
    "a completed input is completed, and held by nobody",
)
@ensure(lambda record, result: kept(record, result), "COMMIT-15", "a completed input keeps its turn and its count")
@ensure(lambda record: record.state not in ENDED, "INPUT-INV-5", "only what has not ended is completed")
def completed(record: InputRecord[T, P, H], proof: P, free: ClaimRecord[P, H]) -> InputRecord[T, P, H]:
    """The input settled by the claim that holds it."""
    return replace(record, state=TurnInputState.Completed, claim=claims.cleared(record.claim, free))


@require(lambda record, free: valid(record) and claims.valid(free) and not free.held)
@ensure(lambda result: valid(result), "INPUT-INV-3", "a deferral leaves a possible input")
@ensure(
    lambda record, turn, result: (
        (result.state is TurnInputState.DeferredNextTurn and not result.for_turn)
        if record.state is TurnInputState.PendingActive and record.turn == turn
        else result == record
    ),
    "COMMIT-17",
    "exactly what waits for the interrupted turn is deferred",
)
@ensure(
    lambda record, result: record.state is not TurnInputState.Accepted or result == record,
    "COMMIT-18",
    "an accepted input is not deferred",
)
@ensure(
    lambda record, result: result.claim.fencing_token == record.claim.fencing_token,
    "GEN-16",
    "a deferred input keeps its count",
)
@ensure(
    lambda record, result: record.state not in ENDED or result == record,
    "INPUT-INV-5",
    "an input that has ended stays as it ended when its turn is interrupted",
)
def deferred(record: InputRecord[T, P, H], turn: T, nowhere: T, free: ClaimRecord[P, H]) -> InputRecord[T, P, H]:
    """The input moved to the next turn, if it waited for the turn that was interrupted; the turn is forgotten."""
    if record.state is not TurnInputState.PendingActive or record.turn != turn:
        return record
    claim = claims.cleared(record.claim, free)
    boundary = TurnInputCheckpointBoundary.AfterWork
    return InputRecord(TurnInputState.DeferredNextTurn, False, nowhere, boundary, claim)


LiveInput: TypeAlias = InputRecord[str, ClaimProof, LeaseOwnerIdentity | None]


class InputRow(msgspec.Struct, frozen=True, cache_hash=True):
    """A submitted input: what never changes, and the record of its life. `submitted` is the ingress it came with."""

    input_id: str
    enqueue_seq: int
    source_key: str | None
    submitted: TurnInputIngress
    enqueued_at: int
    input: TurnInput
    record: LiveInput


class Inputs(msgspec.Struct, frozen=True, cache_hash=True):
    """The inputs of one session by their numbers, which is the order of admission.

    `open` are the numbers of those that have not ended, which is what nearly every call is about. The others are indexes too:
    the number of each id, the oldest of several (INPUT-4a), and of each source key; the last number; and whether any was
    ever meant for a turn of those that have ended.
    """

    rows: Map[int, InputRow] = Map()
    open: tuple[int, ...] = ()
    ids: Map[str, int] = Map()
    keys: Map[str, int] = Map()
    last: int = 0
    ended_for_turn: bool = False

    @classmethod
    def of(cls, rows: Iterable[InputRow]) -> Inputs:
        """These inputs, in this order."""
        inputs = cls()
        for row in rows:
            inputs = inputs.plus(row)
        return inputs

    def __iter__(self) -> Iterator[InputRow]:
        return (self.rows[number] for number in sorted(self.rows))

    def __len__(self) -> int:
        return len(self.rows)

    def waiting(self) -> list[InputRow]:
        """Those that have not ended, claimed ones too, in admission order."""
        return [self.rows[number] for number in self.open]

    def since(self, number: int) -> list[InputRow]:
        """Those with this number or a larger one, in admission order."""
        return [self.rows[each] for each in sorted(each for each in self.rows if each >= number)]

    def by_id(self, input_id: str) -> InputRow | None:
        """The input with this id, if there is one."""
        return self.rows.get(self.ids.get(input_id, -1))

    def by_key(self, source_key: str | None) -> InputRow | None:
        """The input with this source key, if there is one."""
        return None if source_key is None else self.rows.get(self.keys.get(source_key, -1))

    def plus(self, row: InputRow) -> Inputs:
        """The inputs with this one behind all others."""
        number, key = row.enqueue_seq, row.source_key
        return replaced(
            self.with_rows((row,)),
            open=self.open if row.record.state in ENDED else (*self.open, number),
            ids=self.ids if row.input_id in self.ids else self.ids.set(row.input_id, number),
            keys=self.keys if key is None or key in self.keys else self.keys.set(key, number),
            last=max(self.last, number),
        )

    def with_rows(self, changed: Iterable[InputRow]) -> Inputs:
        """The inputs with these in place of those with their numbers."""
        anew = {row.enqueue_seq: row for row in changed}
        over = {number for number, row in anew.items() if row.record.state in ENDED}
        return replaced(
            self,
            rows=self.rows.update(anew),
            open=tuple(number for number in self.open if number not in over) if over else self.open,
            ended_for_turn=self.ended_for_turn or any(anew[number].record.for_turn for number in over),
        )


class InputState(msgspec.Struct, frozen=True, cache_hash=True):
    """The inputs of each session, and what was ever answered and must not come again: ids, and claims.

    An id has the number of inputs that there are of it now. `vacuumed` are the keys that were freed, `sessions_of_key` says how
    many sessions have an input with a source key.
    """

    rows: Map[str, Inputs] = Map()
    ids: Map[str, int] = Map()
    last_seq: int = 0
    vacuumed: Map[tuple[str, str], bool] = Map()
    claims: Issued = Issued()
    sessions_of_key: Map[str, int] = Map()

    def of(self, session_id: str) -> Inputs:
        """The session's inputs, ended ones too."""
        return self.rows.get(session_id, Inputs())

    def plus(self, session_id: str, row: InputRow) -> InputState:
        """The inputs with this one behind all others of its session."""
        return replaced(
            self,
            rows=self.rows.set(session_id, self.of(session_id).plus(row)),
            ids=_counted(self.ids, row.input_id, 1),
            last_seq=max(self.last_seq, row.enqueue_seq),
            sessions_of_key=_counted(self.sessions_of_key, row.source_key, 1),
        )

    def without(self, session_id: str, gone: Iterable[InputRow]) -> InputState:
        """The inputs without these of a session."""
        ended = {row.enqueue_seq: row for row in gone}
        kept = Inputs.of(row for row in self.of(session_id) if row.enqueue_seq not in ended)
        ids, keys, vacuumed = self.ids, self.sessions_of_key, self.vacuumed
        for row in ended.values():
            ids, keys = _counted(ids, row.input_id, -1), _counted(keys, row.source_key, -1)
            vacuumed = vacuumed if row.source_key is None else vacuumed.set((session_id, row.source_key), True)
        return replaced(self, rows=self.rows.set(session_id, kept), ids=ids, sessions_of_key=keys, vacuumed=vacuumed)


def _counted(counts: Map[str, int], name: str | None, more: int) -> Map[str, int]:
    return counts if name is None else counts.set(name, counts.get(name, 0) + more)
