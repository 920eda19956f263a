"""The rows of turn inputs: how they are found, read and written.

`inputs` has a row for each input until a vacuum, `waiting` one for each that is not over: the session that lists it, if one
does, and the line that it is found in. There is a line for every active turn, one for the next turn of a session, and one for
every claim of an active turn, whose inputs nobody else may have. So neither other sessions and turns nor what is over slow a
call down.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from ..spec import (
    PENDING,
    Backend,
    InputId,
    PendingTurnInput,
    PendingTurnInputCancelTarget,
    SessionExecutionLeaseFence,
    SourceKey,
    TurnInput,
    TurnInputClaimMode,
    TurnInputClaimModeActiveTurn,
    TurnInputIngress,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
    TurnInputState,
)
from ..spec.contracts import ensures
from .claim import (
    FREE,
    HELD_BY,
    OWNED,
    SET_FREE,
    SET_GRANT,
    Grant,
    Hold,
    claimable,
    claiming,
    grant_facts,
    hold_of,
    numbering,
)
from .encoding import decoded, encoded, lookup
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


def line_of(session_id: str, ingress: TurnInputIngress) -> str:
    """The line in which an input of this ingress waits."""
    if isinstance(ingress, TurnInputIngressActiveTurn):
        return lookup(session_id, "active_turn", ingress.turn_id)
    return lookup(session_id, "next_turn")


def claim_line(session_id: str, claim_id: str) -> str:
    """The line of the inputs that a claim of an active turn holds."""
    return lookup(session_id, "claim", claim_id)


COLUMNS = "enqueue_seq, input_id, session_id, source_key, ingress, state, enqueued_at, input"


def in_line(condition: str) -> str:
    """SQL for the inputs whose row in `waiting` fulfils the condition."""
    # a join that found nothing there would have no numbers to look up, and scan every input: number 0 is nobody's
    return f"""FROM inputs WHERE enqueue_seq IN
        (SELECT unnest(coalesce(list(enqueue_seq), [0::UBIGINT])) FROM waiting WHERE {condition})"""


READ_BEFORE = Statement(
    "read the last number and equal inputs",
    f"""SELECT last_number, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM guards WHERE name = 'inputs'
    UNION ALL SELECT {COLUMNS} FROM inputs WHERE key_lookup = ?
    UNION ALL SELECT {COLUMNS} FROM inputs WHERE input_id = ?""",
)
INSERT = Statement(
    "store the input",
    f"""WITH {numbering("inputs")},
    stands AS (INSERT INTO waiting SELECT last_number, ?, ? FROM numbered)
    INSERT INTO inputs SELECT last_number, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, 0, 0 FROM numbered""",
)
LIST = Statement(
    "list the inputs",
    f"SELECT {COLUMNS} {in_line('listed_in = ?')} AND CASE WHEN {FREE} THEN true ELSE false END ORDER BY enqueue_seq",
)
READ_BY_ID = f"SELECT {COLUMNS}, {HELD_BY} FROM inputs WHERE input_id IN "
READ_BY_KEY = f"SELECT {COLUMNS}, {HELD_BY} FROM inputs WHERE key_lookup IN "
# a scan of two columns of numbers, from the anchor on: it costs less than an index that has every input in it
READ_SUFFIX = Statement(
    "read the inputs from the anchor on",
    f"SELECT {COLUMNS}, {HELD_BY} FROM inputs WHERE enqueue_seq >= ? AND session_number = ? ORDER BY enqueue_seq",
)
READ_CLAIMABLE = claimable("inputs", f"SELECT enqueue_seq, session_id, state, ingress, {HELD_BY} {in_line('line = ?')}", 9)
READ_OWNED = Statement(
    "read what the claim holds",
    f"""SELECT enqueue_seq, ingress {in_line("line IN (?, ?)")}
    AND CASE WHEN session_id = ? AND {OWNED} THEN true ELSE false END""",
)


def insert(engine: Engine, new: PendingTurnInput, key: str | None) -> None:
    """Store a new input, with the number after the last that was read. Raises `Contention` if it is given already."""
    place = (new.session_id, line_of(new.session_id, new.ingress))
    names = (new.input_id, key, session_number(new.session_id), new.session_id, new.source_key)
    rest = (encoded(new.ingress), new.state.value, new.enqueued_at_ms, encoded(new.input))
    if engine.execute(INSERT, (new.enqueue_seq - 1, *place, *names, *rest)) != [(1,)]:
        raise Contention("another input was submitted meanwhile")


def session_number(session_id: str) -> int:
    """A number that another session seldom has: to filter by it is faster than by text."""
    return int(lookup(session_id)[:16], 16)


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
    sql = f"""{guarding("inputs")}, over AS (DELETE FROM waiting WHERE enqueue_seq IN {listed})
        UPDATE inputs SET state = ?, {SET_FREE} WHERE enqueue_seq IN {listed}"""
    engine.execute(Statement(f"store the inputs as {state.value}", sql), (*values, state.value, *values))


def put_in_line(engine: Engine, session_id: str, ingress: TurnInputIngress, numbers: Iterable[int]) -> None:
    """Let inputs wait, without claim, by this ingress."""
    listed, values = one_of(list(numbers), "UBIGINT")
    sql = f"""{guarding("inputs")}, placed AS (UPDATE waiting SET listed_in = ?, line = ? WHERE enqueue_seq IN {listed})
        UPDATE inputs SET state = ?, ingress = ?, {SET_FREE} WHERE enqueue_seq IN {listed}"""
    place = (session_id, line_of(session_id, ingress))
    parameters = (*place, *values, state_of(ingress).value, encoded(ingress), *values)
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
    sql, parameters = claiming("inputs"), [*fence_facts(fence, grant.claimed_at)]
    active = isinstance(mode, TurnInputClaimModeActiveTurn)
    if active:
        sql += f", left_line AS (UPDATE waiting SET listed_in = NULL, line = ? WHERE enqueue_seq IN {listed})"
        parameters += [claim_line(fence.session_id, grant.claim_id), *values]
    state = TurnInputState.Accepted if active else TurnInputState.DeferredNextTurn
    sql += f""", claimed AS (UPDATE inputs SET state = ?, {SET_GRANT} WHERE enqueue_seq IN {listed})
        SELECT {COLUMNS} FROM inputs WHERE enqueue_seq IN {listed}"""
    parameters += [state.value, *grant_facts(grant), *values, *values]
    rows = sorted(engine.execute(Statement("claim the inputs", sql), parameters))
    # whether a part of a statement sees what another part writes is not promised
    return tuple(msgspec.structs.replace(input_of(row), state=state) for row in rows)


def line_in(session_id: str, mode: TurnInputClaimMode) -> str:
    """The line that is claimed from in this mode."""
    if isinstance(mode, TurnInputClaimModeActiveTurn):
        return line_of(session_id, TurnInputIngressActiveTurn(mode.turn_id))
    return line_of(session_id, TurnInputIngressNextTurn())


def row_of(row: Row) -> InputRow:
    """The input in a row, and the claim on it."""
    return InputRow(input_of(row[:8]), hold_of(*row[8:]))


def candidate_of(row: Row, session_id: str) -> Candidate:
    """What of an input in a line of the session is read before it is claimed. Raises `Backend` if it cannot be there."""
    enqueue_seq, found_in, state, ingress_text, *hold = row
    ingress = ingress_of(ingress_text)
    if (found_in, state) != (session_id, state_of(ingress).value):
        raise Backend(f"the stored input number {enqueue_seq} is damaged: it stands in line, and does not wait there")
    return Candidate(enqueue_seq, ingress, hold_of(*hold))


def waiting_of(row: Row, session_id: str) -> PendingTurnInput:
    """An input that the session lists. Raises `Backend` if it cannot be there."""
    found = input_of(row)
    if found.session_id != session_id or found.state not in PENDING:
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
