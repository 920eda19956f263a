"""The rows of turn inputs: how they are found, read and written.

`inputs` has a row for each input until a vacuum. What waits stands in a line, of which there is one for every active turn and
one for the next turn of a session; what a claim of an active turn took, and what is over, stands in none. Lines and sessions
are found by numbers, as a column of numbers is scanned in no time; as two may have the same number, names are compared too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from ..spec import (
    PENDING,
    Backend,
    CheckpointKind,
    InputId,
    PendingTurnInput,
    PendingTurnInputCancelTarget,
    SessionExecutionLeaseFence,
    SourceKey,
    TurnInput,
    TurnInputCheckpointBoundary,
    TurnInputClaimMode,
    TurnInputClaimModeActiveTurn,
    TurnInputIngress,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
    TurnInputState,
    admits,
)
from ..spec.contracts import ensures
from .claim import (
    FREE,
    HELD_BY,
    OF_SESSION,
    OWNED,
    SET_FREE,
    SET_GRANT,
    UNCLAIMED,
    Grant,
    Hold,
    claiming,
    grant_facts,
    hold_of,
    line,
    numbering,
    of_session,
)
from .encoding import decoded, encoded, lookup, number_of
from .engine import Contention, Engine, Row, Statement, guarding, one_of
from .lease import fence_facts


class InputRow(msgspec.Struct, frozen=True):
    """An input with the claim on it."""

    input: PendingTurnInput
    hold: Hold


class Candidate(NamedTuple):
    """What decides whether an input can be claimed."""

    enqueue_seq: int
    ingress: TurnInputIngress
    hold: Hold


def state_of(ingress: TurnInputIngress) -> TurnInputState:
    """The state in which an input of this ingress waits (INPUT-2)."""
    active = isinstance(ingress, TurnInputIngressActiveTurn)
    return TurnInputState.PendingActive if active else TurnInputState.DeferredNextTurn


def line_of(session_id: str, ingress: TurnInputIngress) -> int:
    """The number of the line in which an input of this ingress waits."""
    turn = (ingress.turn_id,) if isinstance(ingress, TurnInputIngressActiveTurn) else ()
    return number_of(session_id, "line", *turn)


def in_line(session_id: str, mode: TurnInputClaimMode) -> tuple[object, ...]:
    """The parameters of `IN_LINE`, for what may be claimed in this mode (CLAIM-3, CLAIM-4)."""
    if isinstance(mode, TurnInputClaimModeActiveTurn):
        return _in_line(session_id, waits_for(mode.turn_id, mode.checkpoint))
    return _in_line(session_id, [TurnInputIngressNextTurn()])


def in_line_of_turn(session_id: str, turn_id: str) -> tuple[object, ...]:
    """The parameters of `IN_LINE`, for all that waits for this turn (COMMIT-17)."""
    return _in_line(session_id, waits_for(turn_id, CheckpointKind.BeforeCompletion))


def waits_for(turn_id: str, checkpoint: CheckpointKind) -> list[TurnInputIngress]:
    """The ingresses of the inputs that may be taken at this checkpoint of the turn."""
    return [TurnInputIngressActiveTurn(turn_id, each) for each in TurnInputCheckpointBoundary if admits(each, checkpoint)]


def _in_line(session_id: str, ingresses: Sequence[TurnInputIngress]) -> tuple[object, ...]:
    return (line_of(session_id, ingresses[0]), session_id, encoded(ingresses[0]), encoded(ingresses[-1]))


COLUMNS = "enqueue_seq, input_id, session_id, source_key, ingress, state, enqueued_at, input"
IN_LINE = "line = ? AND session_id = ? AND ingress IN (?, ?)"

READ_BEFORE = Statement(
    "read the last number and equal inputs",
    f"""SELECT last_number, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM guards WHERE name = 'inputs'
    UNION ALL SELECT {COLUMNS} FROM inputs WHERE key_lookup = ?
    UNION ALL SELECT {COLUMNS} FROM inputs WHERE input_id = ?""",
)
INSERT = Statement(
    "store the input",
    f"""WITH {numbering("inputs")}
    INSERT INTO inputs SELECT last_number, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {UNCLAIMED} FROM numbered""",
)
LIST = Statement(
    "list the inputs",
    f"""SELECT {COLUMNS} FROM inputs WHERE {OF_SESSION} AND line IS NOT NULL AND {FREE}
    ORDER BY enqueue_seq""",
)
READ_BY_ID = f"SELECT {COLUMNS}, {HELD_BY} FROM inputs WHERE input_id IN "
READ_BY_KEY = f"SELECT {COLUMNS}, {HELD_BY} FROM inputs WHERE key_lookup IN "
# a scan of two columns of numbers, from the anchor on: it costs less than an index that has every input in it
READ_SUFFIX = Statement(
    "read the inputs from the anchor on",
    f"""SELECT {COLUMNS}, {HELD_BY} FROM inputs WHERE enqueue_seq >= ? AND {OF_SESSION}
    ORDER BY enqueue_seq""",
)
WAITING = line("inputs", "enqueue_seq, state, ingress", IN_LINE)
READ_OWNED = Statement("read what the claim holds", f"SELECT enqueue_seq, ingress FROM inputs WHERE {OWNED}")


def insert(engine: Engine, new: PendingTurnInput, key: str | None) -> None:
    """Store a new input, with the number after the last that was read. Raises `Contention` if it is given already."""
    place = (*of_session(new.session_id), line_of(new.session_id, new.ingress))
    rest = (new.source_key, encoded(new.ingress), new.state.value, new.enqueued_at_ms, encoded(new.input))
    if engine.execute(INSERT, (new.enqueue_seq - 1, new.input_id, key, *place, *rest)) != [(1,)]:
        raise Contention("another input was submitted meanwhile")


def read_targets(engine: Engine, session_id: str, targets: Sequence[PendingTurnInputCancelTarget]) -> list[InputRow]:
    """The inputs of the session that the targets name."""
    sql: list[str] = []
    parameters: list[object] = []
    ids = [target.value for target in targets if isinstance(target, InputId)]
    keys = [lookup(session_id, target.value) for target in targets if isinstance(target, SourceKey)]
    for read, names in ((READ_BY_ID, ids), (READ_BY_KEY, keys)):
        if names:
            listed, values = one_of(names, "VARCHAR")
            sql.append(read + listed)
            parameters += values
    rows = map(row_of, engine.execute(Statement("read the inputs", " UNION ALL ".join(sql)), parameters))
    return [row for row in rows if row.input.session_id == session_id]


def end(engine: Engine, state: TurnInputState, numbers: Iterable[int]) -> None:
    """Let inputs be cancelled or completed: what is left are tombstones."""
    listed, values = one_of(list(numbers), "UBIGINT")
    sql = f"{guarding('inputs')} UPDATE inputs SET state = ?, {SET_FREE}, line = NULL WHERE enqueue_seq IN {listed}"
    engine.execute(Statement(f"store the inputs as {state.value}", sql), (state.value, *values))


def put_in_line(engine: Engine, session_id: str, ingress: TurnInputIngress, numbers: Iterable[int]) -> None:
    """Let inputs wait, without claim, by this ingress."""
    listed, values = one_of(list(numbers), "UBIGINT")
    sql = f"""{guarding("inputs")} UPDATE inputs SET state = ?, ingress = ?, {SET_FREE}, line = ?
        WHERE enqueue_seq IN {listed}"""
    parameters = (state_of(ingress).value, encoded(ingress), line_of(session_id, ingress), *values)
    engine.execute(Statement("put the inputs in line", sql), parameters)


def write_claim(
    engine: Engine,
    fence: SessionExecutionLeaseFence,
    mode: TurnInputClaimMode,
    grant: Grant,
    numbers: Sequence[int],
) -> tuple[PendingTurnInput, ...]:
    """Let the claim hold these inputs; the inputs as they are now."""
    listed, values = one_of(numbers, "UBIGINT")
    active = isinstance(mode, TurnInputClaimModeActiveTurn)
    # what a turn has accepted is never listed, nor claimed again, not even once the claim has lapsed
    state, left = (TurnInputState.Accepted, "line = NULL,") if active else (TurnInputState.DeferredNextTurn, "")
    sql = f"""{claiming("inputs")}, claimed AS (UPDATE inputs SET state = ?, {left} {SET_GRANT} WHERE enqueue_seq IN {listed})
        SELECT {COLUMNS} FROM inputs WHERE enqueue_seq IN {listed}"""
    parameters = (*fence_facts(fence, grant.claimed_at), state.value, *grant_facts(grant), *values, *values)
    rows = sorted(engine.execute(Statement("claim the inputs", sql), parameters))
    # whether a part of a statement sees what another part writes is not promised
    return tuple(msgspec.structs.replace(input_of(row), state=state) for row in rows)


def row_of(row: Row) -> InputRow:
    """The input in a row, and the claim on it."""
    return InputRow(input_of(row[:8]), hold_of(*row[8:]))


def candidate_of(row: Row) -> Candidate:
    """What of an input in a line is read before it is claimed. Raises `Backend` if it cannot be there."""
    enqueue_seq, state, ingress_text, *hold = row
    ingress = ingress_of(ingress_text)
    if state != state_of(ingress).value:
        raise Backend(f"the stored input number {enqueue_seq} is damaged: it stands in line, and does not wait there")
    return Candidate(enqueue_seq, ingress, hold_of(*hold))


def waiting_of(row: Row) -> PendingTurnInput:
    """An input that its session lists. Raises `Backend` if it cannot be there."""
    found = input_of(row)
    if found.state not in PENDING:
        raise Backend(f"the stored input {found.input_id!r} is damaged: it is listed, and does not wait there")
    return found


def input_of(row: Row) -> PendingTurnInput:
    """The input in the first columns of a row. Raises `Backend` if it cannot be decoded."""
    enqueue_seq, input_id, session_id, source_key, ingress_text, state_text, enqueued_at, text = row
    content, ingress = decoded(TurnInput, text, "turn input"), ingress_of(ingress_text)
    try:
        state = TurnInputState(state_text)
        found = PendingTurnInput(input_id, session_id, enqueue_seq, source_key, ingress, state, enqueued_at, content)
    except ValueError as error:
        raise Backend(f"the stored input {input_id!r} cannot be read: {error}") from error
    return _fitting(found)


@ensures(lambda result: result.state not in PENDING or result.state is state_of(result.ingress), "INPUT-INV-3")
def _fitting(found: PendingTurnInput) -> PendingTurnInput:
    waits = TurnInputState.PendingActive if found.state is TurnInputState.Accepted else found.state
    if waits not in (state_of(found.ingress), TurnInputState.Cancelled, TurnInputState.Completed):
        raise Backend(f"the stored input {found.input_id!r} is damaged: its state is not of its ingress")
    return found


def ingress_of(text: str) -> TurnInputIngress:
    """The ingress in a row. Raises `Backend` if it cannot be decoded."""
    return decoded(TurnInputIngress, text, "ingress")
