"""Faults in turn inputs: submitting, listing, cancelling."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from fencepost.impl import input_rows, turn_input
from fencepost.impl.claim import HELD_BY
from fencepost.impl.input_rows import COLUMNS, InputRow
from fencepost.spec import (
    Alive,
    AlreadyClaimed,
    InputId,
    LocalProcess,
    PendingTurnInput,
    PendingTurnInputDraft,
    PendingTurnInputSourceKeyConflict,
    TurnInput,
    TurnInputState,
)
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, ask, bug, reworded, within, wrap

SUFFIX = "enqueue_seq >= ? AND session_number = ? AND session_id = ?"


def replaying(patch: Patch, same: Callable[[PendingTurnInput, PendingTurnInputDraft], bool]) -> None:
    """Let a draft repeat the input of its key if this says so."""

    def replayed(row: PendingTurnInput, draft: PendingTurnInputDraft) -> PendingTurnInput:
        if not same(row, draft):
            raise PendingTurnInputSourceKeyConflict(row.session_id, draft.source_key or "", row.input_id)
        return row

    patch.setattr(turn_input, "replayed", replayed)


@bug("INPUT-8", Kind.mistaken)
def content_is_the_text(patch: Patch) -> None:
    """A repeated submission is compared by its text alone, without images and options."""
    replaying(patch, lambda row, draft: (row.ingress, row.input.items[:1]) == (draft.ingress, draft.input.items[:1]))


@bug("INPUT-8", Kind.mistaken)
def content_without_ingress(patch: Patch) -> None:
    """A repeated submission is compared without its ingress."""
    replaying(patch, lambda row, draft: row.input == draft.input)


@bug("INPUT-8", Kind.mistaken)
def content_without_boundary(patch: Patch) -> None:
    """A repeated submission for the same turn is compared without its boundary."""

    def same(row: PendingTurnInput, draft: PendingTurnInputDraft) -> bool:
        turns = [getattr(ingress, "turn_id", None) for ingress in (row.ingress, draft.ingress)]
        return turns[0] == turns[1] and row.input == draft.input

    replaying(patch, same)


@bug("INPUT-8", Kind.mistaken)
def numbers_compared_by_value(patch: Patch) -> None:
    """Options of a repeated submission are compared as Python compares them: 1, 1.0 and true are the same."""

    def loosely(content: TurnInput) -> object:
        options = content.protocol_turn_options
        known = None if options is None else (options.schema_version, json.loads(options.payload.text))
        return content.items, content.image_blobs, content.trace_turn_id, known

    replaying(patch, lambda row, draft: row.ingress == draft.ingress and loosely(row.input) == loosely(draft.input))


@bug("INPUT-7", Kind.retry)
def input_id_is_content(patch: Patch) -> None:
    """A repeated submission that gives another input id is a conflict."""

    def same(row: PendingTurnInput, draft: PendingTurnInputDraft) -> bool:
        same_id = draft.input_id in (None, row.input_id)
        return same_id and (row.ingress, row.input) == (draft.ingress, draft.input)

    replaying(patch, same)


@bug("INPUT-7", Kind.retry, also=("INPUT-INV-1",))
def key_forgotten_at_the_end(patch: Patch) -> None:
    """A source key is looked for among the inputs that are not over."""

    def around(original: Any, store: Any, draft: PendingTurnInputDraft) -> Any:
        freed = "UPDATE inputs SET key_lookup = NULL, source_key = NULL"
        ended = "state IN ('cancelled', 'completed')"
        ask(store, f"{freed} WHERE session_id = ? AND source_key = ? AND {ended}", draft.session_id, draft.source_key)
        return original(store, draft)

    wrap(patch, "enqueue_pending_turn_input", around)


@bug("INPUT-6", Kind.leak, also=("INPUT-1",))
def key_of_all_sessions(patch: Patch) -> None:
    """A source key that another session has used is answered that session's input."""

    def around(original: Any, store: Any, draft: PendingTurnInputDraft) -> Any:
        elsewhere = f"SELECT {COLUMNS} FROM inputs WHERE source_key = ? AND session_id <> ?"
        rows = ask(store, elsewhere, draft.source_key, draft.session_id)
        return input_rows.input_of(rows[0]) if rows else original(store, draft)

    wrap(patch, "enqueue_pending_turn_input", around)


@bug("GEN-2", Kind.edge, "turn_input")
def list_holds_at_the_expiry(patch: Patch) -> None:
    """The list still hides an input at the very instant at which its claim expires."""
    reworded(patch, turn_input, "LIST", "claim_expires_at <= ?", "claim_expires_at < ?")


@bug("LIST-1", Kind.order)
def list_by_number_as_text(patch: Patch) -> None:
    """The list is in the order of its numbers as texts."""
    reworded(patch, turn_input, "LIST", "ORDER BY enqueue_seq", "ORDER BY enqueue_seq::VARCHAR")


def also_listing(patch: Patch, more: Callable[[Any, Iterable[InputRow]], Iterable[PendingTurnInput]]) -> None:
    """Let the list show more of the session's inputs."""

    def around(original: Any, store: Any, session_id: str) -> Any:
        rows = ask(store, f"SELECT {COLUMNS}, {HELD_BY} FROM inputs WHERE session_id = ?", session_id)
        shown = {row.input_id: row for row in (*original(store, session_id), *more(store, map(input_rows.row_of, rows)))}
        return tuple(sorted(shown.values(), key=lambda row: row.enqueue_seq))

    wrap(patch, "list_pending_turn_inputs", around)


@bug("LIST-2", Kind.untrue)
def accepted_listed_when_lapsed(patch: Patch) -> None:
    """An Accepted input is listed as waiting again once its claim has lapsed."""

    def lapsed(store: Any, rows: Iterable[InputRow]) -> Iterable[PendingTurnInput]:
        accepted = [row for row in rows if row.input.state is TurnInputState.Accepted]
        waits = TurnInputState.PendingActive
        return [replace(row.input, state=waits) for row in accepted if row.hold.expires_at <= store._now()]

    also_listing(patch, lapsed)


@bug("LIST-3", Kind.liveness)
def inputs_of_the_dead_listed(patch: Patch) -> None:
    """The list shows inputs under a live claim whose holder's process is gone."""

    def of_the_dead(store: Any, rows: Iterable[InputRow]) -> Iterable[PendingTurnInput]:
        for row in rows:
            process = row.hold.owner and row.hold.owner.liveness
            waits = row.input.state is TurnInputState.DeferredNextTurn
            if waits and isinstance(process, LocalProcess) and store._alive(process.pid, process.process_start) is Alive.no:
                yield row.input

    also_listing(patch, of_the_dead)


@bug("LIST-4", Kind.selection)
def list_for_the_next_turn_only(patch: Patch) -> None:
    """The list leaves out what waits for a turn other than the last that was submitted for."""

    def around(original: Any, store: Any, session_id: str) -> Any:
        rows = original(store, session_id)
        turns = [row.ingress.turn_id for row in rows if row.state is TurnInputState.PendingActive]
        return tuple(row for row in rows if getattr(row.ingress, "turn_id", None) in (None, *turns[-1:]))

    wrap(patch, "list_pending_turn_inputs", around)


@bug("GEN-2", Kind.edge, "turn_input", also=("CANCEL-6",))
def cancel_spares_at_the_expiry(patch: Patch) -> None:
    """A cancel is turned down at the very instant at which the claim expires."""
    patch.setattr(turn_input, "held", lambda hold, now: hold.lease_token is not None and hold.expires_at >= now)


@bug("CANCEL-4", Kind.stale, also=("INPUT-INV-8",))
def live_claim_cancelled(patch: Patch) -> None:
    """A cancel takes an input for the next turn from under its live claim."""
    patch.setattr(turn_input, "held", lambda hold, now: False)


@bug("CANCEL-7", Kind.untrue)
def lapsed_expiry_not_told(patch: Patch) -> None:
    """What a cancel tells of the claim of an Accepted input leaves out an expiry that has passed."""
    original = turn_input.outcome_of

    def outcome_of(row: InputRow, now: int) -> Any:
        outcome = original(row, now)
        if isinstance(outcome, AlreadyClaimed) and outcome.claim and row.hold.expires_at <= now:
            return replace(outcome, claim=replace(outcome.claim, claim_expires_at_ms=None))
        return outcome

    patch.setattr(turn_input, "outcome_of", outcome_of)


@bug("CANCEL-1", Kind.lost)
def targets_taken_once(patch: Patch) -> None:
    """A cancel answers one result for a target that is given twice."""

    def around(original: Any, store: Any, session_id: str, targets: tuple[Any, ...]) -> Any:
        return original(store, session_id, tuple(dict.fromkeys(targets)))

    wrap(patch, "cancel_pending_turn_inputs", around)


@bug("CANCEL-1", Kind.order)
def ids_before_keys(patch: Patch) -> None:
    """A cancel answers the targets by id before those by key."""

    def around(original: Any, store: Any, session_id: str, targets: tuple[Any, ...]) -> Any:
        results = original(store, session_id, targets)
        return tuple(sorted(results, key=lambda result: not isinstance(result.target, InputId)))

    wrap(patch, "cancel_pending_turn_inputs", around)


@bug("CANCEL-8", Kind.retry)
def targets_judged_side_by_side(patch: Patch) -> None:
    """A target for an input that the same call has cancelled is answered Cancelled once more."""
    original = turn_input.results_of

    def results_of(targets: Any, rows: Iterable[InputRow], now: int) -> Any:
        known = list(rows)
        return [result for target in targets for result in original([target], known, now)]

    patch.setattr(turn_input, "results_of", results_of)


@bug("CANCEL-2", Kind.half)
def all_or_none_cancelled(patch: Patch) -> None:
    """A cancel of several targets changes nothing if one of them is claimed."""
    original = turn_input._cancel

    def cancel(engine: Any, outcomes: Any) -> None:
        known = list(outcomes)
        if not any(isinstance(outcome, AlreadyClaimed) for outcome in known):
            original(engine, known)

    within(patch, "cancel_pending_turn_inputs", turn_input, _cancel=cancel)


@bug("CANCEL-3", Kind.retry)
def ended_not_found_by_key(patch: Patch) -> None:
    """A cancel by source key does not find an input that is over."""
    over = "state IN ('cancelled', 'completed')"
    reworded(patch, input_rows, "READ_BY_KEY", "WHERE key_lookup", f"WHERE NOT {over} AND key_lookup")


@bug("GEN-15", Kind.leak, "turn_input")
def cancel_reaches_other_sessions(patch: Patch) -> None:
    """A cancel by input id finds the input in whatever session it is."""

    def around(original: Any, store: Any, session_id: str, targets: tuple[Any, ...]) -> Any:
        ids = [target.value for target in targets if isinstance(target, InputId)]
        rows = [row for each in ids for row in ask(store, "SELECT session_id FROM inputs WHERE input_id = ?", each)]
        return original(store, rows[0][0] if len(targets) == 1 and rows else session_id, targets)

    wrap(patch, "cancel_pending_turn_inputs", around)


@bug("CANCEL-11", Kind.edge)
def suffix_after_the_anchor(patch: Patch) -> None:
    """A suffix cancel begins behind its anchor, unless nothing is there."""
    behind = (
        "enqueue_seq > $1 OR (enqueue_seq = $1 AND NOT EXISTS (FROM inputs WHERE enqueue_seq > $1 AND session_number = $2))"
    )
    reworded(patch, turn_input, "READ_SUFFIX", SUFFIX, f"({behind}) AND session_number = $2 AND session_id = $3")


@bug("CANCEL-12", Kind.stuck)
def suffix_ends_with_a_claim(patch: Patch) -> None:
    """A suffix cancel ends with the first Accepted input."""
    place = "enqueue_seq >= $1 AND session_number = $2 AND session_id = $3"
    first = f"SELECT min(enqueue_seq) FROM inputs WHERE {place} AND state = 'accepted'"
    ends = f"{place} AND enqueue_seq <= coalesce(({first}), 18446744073709551615)"
    reworded(patch, turn_input, "READ_SUFFIX", SUFFIX, ends)


@bug("CANCEL-11", Kind.selection)
def suffix_without_the_ended(patch: Patch) -> None:
    """A suffix cancel passes over inputs behind the anchor that are over."""
    ended = "enqueue_seq > $1 AND state IN ('cancelled', 'completed')"
    place = "enqueue_seq >= $1 AND session_number = $2 AND session_id = $3"
    reworded(patch, turn_input, "READ_SUFFIX", SUFFIX, f"{place} AND NOT ({ended})")
