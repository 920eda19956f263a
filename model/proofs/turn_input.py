"""Turn inputs: what follows for one input, and what claims, cancels and settlements do to the rows of a session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace as replaced
from itertools import product

from fencepost.spec import (
    U64_MAX,
    Cancelled,
    CheckpointKind,
    InputId,
    LeaseOwnerIdentity,
    LocalProcess,
    Outcomes,
    SessionExecutionLeaseFence,
    Text,
    TurnInput,
    TurnInputCheckpointBoundary,
    TurnInputClaim,
    TurnInputClaimModeNextTurn,
    TurnInputCompletion,
    TurnInputIngressNextTurn,
    TurnInputState,
)
from fencepost.spec.liveness import Alive
from immutables import Map
from msgspec.structs import replace

from .. import turn_input as calls
from ..contracts import ensure, require
from ..records import claim as claims
from ..records.claim import FREE, ClaimRecord, EntryClaim
from ..records.lease import LeaseRecord, LeaseState, SessionLease
from ..records.turn_input import (
    ENDED,
    InputRecord,
    InputRow,
    Inputs,
    InputState,
    LiveInput,
    abandoned,
    cancel,
    completed,
    ready_for_turn,
    taken,
    valid,
)
from ..state import State
from ..step import Ports
from .exhaustion import exhausted, tuples

Input = InputRecord[int, int, int]
Claim = ClaimRecord[int, int]
S = TurnInputState


@require(lambda record: valid(record) and record.state is S.PendingActive and record.claim.fencing_token < U64_MAX)
@require(lambda now, ttl: 0 <= now <= U64_MAX and 0 <= ttl <= U64_MAX)
@ensure(lambda result: not result, "CLAIM-11", "an input that was accepted is never accepted again")
def accepted_twice(record: Input, proof: int, owner: int, now: int, ttl: int, turn: int, checkpoint: CheckpointKind) -> bool:
    """Whether an input is ready for any turn after it was accepted by one."""
    return ready_for_turn(taken(record, proof, owner, now, ttl), turn, checkpoint)


@require(lambda record, old, new: valid(record) and claims.holds(record.claim, new) and old != new)
@require(lambda free: claims.valid(free) and not free.held)
@ensure(lambda record, result: result == record, "ABANDON-4", "a claim whose input was taken over gives nothing back")
def given_back_after_takeover(record: Input, old: int, new: int, free: Claim) -> Input:
    """An input of a new claim after the old one was abandoned."""
    return abandoned(record, old, free)


@require(lambda record, proof, free: valid(record) and claims.holds(record.claim, proof) and claims.valid(free))
@require(lambda free: not free.held)
@ensure(lambda record, result: result in ENDED, "COMMIT-INV-7", "an input that a commit completed stays completed")
def completed_and_cancelled(record: Input, proof: int, now: int, free: Claim) -> TurnInputState:
    """The state of an input that is cancelled after it was completed."""
    return cancel(completed(record, proof, free), now, free).record.state


NOW = 1_000
MINE, THEIRS, DEAD = (LeaseOwnerIdentity(name, "1", LocalProcess("h", "b", pid, "1")) for pid, name in enumerate("mtd"))
FENCE = SessionExecutionLeaseFence("s", MINE, "lease", 7)
PORTS = Ports(NOW, lambda pid, start: Alive.no if pid == 2 else Alive.yes)
LANE: SessionLease = LeaseRecord(7, True, MINE.incarnation, MINE.liveness, "lease", 0, 9_000)
LEASED = LeaseState(Map({"s": LANE}))
CONTENT = TurnInput((Text("hello"),))

AT_WORK, AT_END = TurnInputCheckpointBoundary.AfterWork, TurnInputCheckpointBoundary.BeforeCompletion


def _claimed(proof: str, owner: LeaseOwnerIdentity, expires: int) -> EntryClaim:
    return ClaimRecord(1, True, (proof, proof), owner, expires)


LIVE, LAPSED, DEADS = _claimed("live", THEIRS, NOW + 1), _claimed("lapsed", THEIRS, NOW), _claimed("dead", DEAD, NOW + 1)

ISSUED = claims.Issued.of({(proof, proof): 7 for proof in ("live", "lapsed", "dead")})
"""The proofs of these claims, and the fencing token that they were granted under."""

KINDS: dict[str, LiveInput] = {
    "deferred": InputRecord(S.DeferredNextTurn, False, "", AT_WORK, FREE),
    "held": InputRecord(S.DeferredNextTurn, False, "", AT_WORK, LIVE),
    "lapsed": InputRecord(S.DeferredNextTurn, False, "", AT_WORK, LAPSED),
    "of the dead": InputRecord(S.DeferredNextTurn, False, "", AT_WORK, DEADS),
    "for t": InputRecord(S.PendingActive, True, "t", AT_WORK, FREE),
    "for the end of t": InputRecord(S.PendingActive, True, "t", AT_END, FREE),
    "for u": InputRecord(S.PendingActive, True, "u", AT_WORK, FREE),
    "accepted by t": InputRecord(S.Accepted, True, "t", AT_WORK, LIVE),
    "accepted by t, lapsed": InputRecord(S.Accepted, True, "t", AT_WORK, LAPSED),
    "completed": InputRecord(S.Completed, True, "t", AT_WORK, FREE),
    "cancelled": InputRecord(S.Cancelled, False, "", AT_WORK, FREE),
}
"""What an input may be when a call of `MINE` comes: every state, turn, boundary and claim that makes a difference."""

Kinds = tuple[str, ...]
ROWS = 4
OF = f"of up to {ROWS} inputs of {len(KINDS)} kinds"


def rows_of(kinds: Kinds) -> tuple[InputRow, ...]:
    """A session's inputs of these kinds, in the order of admission."""
    return tuple(
        InputRow(f"i{place}", place + 1, f"k{place}", TurnInputIngressNextTurn(), 0, CONTENT, KINDS[kind])
        for place, kind in enumerate(kinds)
    )


def state_of(kinds: Kinds) -> State:
    """A session with inputs of these kinds, leased by `MINE`."""
    inputs = InputState(claims=ISSUED)
    for row in rows_of(kinds):
        inputs = inputs.plus("s", row)
    return State(lease=LEASED, turn_input=inputs)


def _left(state: State, rows: Iterable[InputRow]) -> bool:
    """Whether the session has just these inputs, in this order, and each index says what they say."""
    return state.turn_input.of("s") == Inputs.of(rows)


def _taking(kinds: Kinds, state: State, answer: object, wanted: list[int], became: S) -> bool:
    """Whether a claim took just the rows at these places, in their order, under one new claim, and left the others."""
    rows = [*rows_of(kinds)]
    if not wanted:
        return answer is None and _left(state, rows)
    if not isinstance(answer, TurnInputClaim) or [each.input_id for each in answer.inputs] != [f"i{each}" for each in wanted]:
        return False
    proof = (answer.claim_id, answer.lease_token)
    for place in wanted:
        was = rows[place].record
        claim = ClaimRecord(was.claim.fencing_token + 1, True, proof, MINE, NOW + 10)
        rows[place] = replace(rows[place], record=InputRecord(became, was.for_turn, was.turn, was.boundary, claim))
    return _left(state, rows) and proof not in (("live", "live"), ("lapsed", "lapsed"), ("dead", "dead"))


def _claims() -> Iterator[tuple[Kinds, int]]:
    return product(tuples(tuple(KINDS), ROWS), (0, 1, 2, ROWS))


@exhausted(
    "a claim for the next turn takes the first that are deferred and free, lapsed or held by the dead, passing over all others",
    "CLAIM-5",
    "CLAIM-6",
    "CLAIM-7",
    "CLAIM-9",
    "GEN-INV-1",
    scope=f"all lines {OF}, for at most 0, 1, 2 and {ROWS}",
    cases=_claims,
)
def next_turn_takes_the_first(kinds: Kinds, most: int) -> bool:
    """The claim is of just the first so many that can be taken, in their order, and nothing else changes."""
    step, *_ = calls.claim_next_turn_inputs(state_of(kinds), PORTS, "s", FENCE, MINE, 10, most)
    free = [place for place, kind in enumerate(kinds) if kind in ("deferred", "lapsed", "of the dead")]
    return _taking(kinds, step.state, step.answer, free[:most], S.DeferredNextTurn)


@exhausted(
    "a turn accepts the first of its own that wait for the checkpoint, and passes over all others",
    "CLAIM-3",
    "CLAIM-4",
    "CLAIM-6",
    "CLAIM-11",
    scope=f"all lines {OF}, at both checkpoints, for at most 1 and {ROWS}",
    cases=lambda: product(tuples(tuple(KINDS), ROWS), CheckpointKind, (1, ROWS)),
)
def a_turn_accepts_its_own(kinds: Kinds, checkpoint: CheckpointKind, most: int) -> bool:
    """The claim is of just the first so many that wait for the turn, in their order, and nothing else changes."""
    step, *_ = calls.claim_active_turn_inputs(state_of(kinds), PORTS, "s", FENCE, MINE, "t", checkpoint, 10, most)
    ready = ("for t", "for the end of t") if checkpoint is CheckpointKind.BeforeCompletion else ("for t",)
    waiting = [place for place, kind in enumerate(kinds) if kind in ready]
    return _taking(kinds, step.state, step.answer, waiting[:most], S.Accepted)


WAITING = ("deferred", "lapsed", "for t", "for the end of t", "for u")
"""The kinds that are listed, and can be cancelled."""


@exhausted(
    "exactly what waits is listed, in the order of admission, and a suffix cancels exactly that, from its anchor on",
    "LIST-1",
    "INPUT-INV-8",
    "CANCEL-11",
    "CANCEL-12",
    scope=f"all lines {OF}, from each place on",
    cases=lambda: ((kinds, place) for kinds in tuples(tuple(KINDS), ROWS) for place in range(len(kinds))),
)
def what_is_listed_can_be_cancelled(kinds: Kinds, place: int) -> bool:
    """The list before and after a suffix cancel, its outcomes, and the rows that it leaves."""
    state = state_of(kinds)
    (shown,) = calls.list_pending_turn_inputs(state, PORTS, "s")
    waiting = [number for number, kind in enumerate(kinds) if kind in WAITING]
    (step,) = calls.cancel_pending_turn_input_suffix(state, PORTS, "s", InputId(f"i{place}"))
    assert isinstance(shown.answer, tuple)
    assert isinstance(step.answer, Outcomes)
    gone = [place + number for number, each in enumerate(step.answer.outcomes) if isinstance(each, Cancelled)]
    (left,) = calls.list_pending_turn_inputs(step.state, PORTS, "s")
    assert isinstance(left.answer, tuple)
    return (
        [each.input_id for each in shown.answer] == [f"i{number}" for number in waiting]
        and gone == [number for number in waiting if number >= place]
        and [each.input_id for each in left.answer] == [f"i{number}" for number in waiting if number < place]
        and _left(step.state, (_over(row, S.Cancelled) if number in gone else row for number, row in enumerate(rows_of(kinds))))
    )


def _over(row: InputRow, became: S) -> InputRow:
    """The input as it ended: held by nobody, the count of its claims kept."""
    free = replaced(FREE, fencing_token=row.record.claim.fencing_token)
    return replace(row, record=replaced(row.record, state=became, claim=free))


SETTLED = ("deferred", "held", "lapsed", "for t", "for u", "accepted by t", "accepted by t, lapsed", "completed")


@exhausted(
    "a completion settles exactly the named inputs that its claim holds, and an interruption defers exactly its turn's",
    "COMMIT-15",
    "COMMIT-17",
    "COMMIT-18",
    scope=f"all lines of up to {ROWS} inputs of {len(SETTLED)} kinds, completed by two claims and an empty one, all or half",
    cases=lambda: product(tuples(SETTLED, ROWS), ("live", "lapsed", ""), (1, 2)),
)
def settlement_is_exact(kinds: Kinds, claim: str, every: int) -> bool:
    """First what is completed, then what is deferred, and every other row as it was."""
    named = [place for place in range(len(kinds)) if place % every == 0]
    done = TurnInputCompletion("s", claim, claim, tuple(f"i{place}" for place in named))
    rows = [*rows_of(kinds)]
    for place, row in enumerate(rows):
        held = row.record.claim
        if place in named and held.held and held.proof == (claim, claim):
            rows[place] = _over(row, S.Completed)
        elif kinds[place] == "for t":
            rows[place] = replace(row, record=InputRecord(S.DeferredNextTurn, False, "", AT_WORK, FREE))
    return _left(calls.deferred(calls.completed(state_of(kinds), done), "s", "t"), rows)


@exhausted(
    "giving a claim back frees exactly what it holds, and a vacuum removes exactly what has ended",
    "ABANDON-1",
    "ABANDON-4",
    "MAINT-4",
    "MAINT-5",
    scope=f"all lines {OF}, for two claims and an empty one",
    cases=lambda: product(tuples(tuple(KINDS), ROWS), ("live", "lapsed", "")),
)
def giving_back_is_exact(kinds: Kinds, claim: str) -> bool:
    """The rows after an abandonment, and those that a vacuum leaves of them."""
    given = TurnInputClaim("s", claim, THEIRS, claim, 1, 0, 0, TurnInputClaimModeNextTurn(), ())
    (step,) = calls.abandon_turn_input_claim(state_of(kinds), PORTS, given)
    wanted = []
    for row in rows_of(kinds):
        record, held = row.record, row.record.claim
        if held.held and held.proof == (claim, claim):
            free = replaced(FREE, fencing_token=held.fencing_token)
            state = S.PendingActive if record.for_turn else S.DeferredNextTurn
            record = InputRecord(state, record.for_turn, record.turn, record.boundary, free)
        wanted.append(replace(row, record=record))
    swept, count = calls.vacuumed(step.state, ("s",))
    left = [row for row, kind in zip(wanted, kinds, strict=True) if kind not in ("completed", "cancelled")]
    return _left(step.state, wanted) and _left(swept, left) and count == len(wanted) - len(left)
