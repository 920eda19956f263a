"""Faults in what commits do to the inputs of an interrupted turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fencepost.impl import commit, input_rows
from fencepost.impl.engine import Statement
from fencepost.spec import InputId, Outcomes, RuntimeCommit, TurnInputIngressNextTurn

from ..kinds import Kind
from ..planting import Patch, ask, bug, per_run, sent_otherwise, wrap


def deferring(patch: Patch, change: Callable[[Any, RuntimeCommit, set[int]], set[int]]) -> None:
    """Let `change(engine, commit, numbers)` say which inputs a commit defers."""
    original = commit._read_before

    def read_before(engine: Any, given: RuntimeCommit, draft: Any) -> Any:
        stored = original(engine, given, draft)
        return stored._replace(deferred=change(engine, given, stored.deferred))

    patch.setattr(commit, "_read_before", read_before)


def numbers_of(engine: Any, session_id: str, state: str, turn_id: str | None = None) -> set[int]:
    """The numbers of a session's inputs in this state, of one turn or of all."""
    select = Statement("a planted fault", "SELECT enqueue_seq, ingress FROM inputs WHERE session_id = ? AND state = ?")
    rows = [(number, input_rows.ingress_of(text)) for number, text in engine.execute(select, (session_id, state))]
    return {number for number, ingress in rows if turn_id in (None, getattr(ingress, "turn_id", None))}


@bug("COMMIT-17", Kind.selection)
def deferral_of_all_turns(patch: Patch) -> None:
    """A commit that reports an interrupted turn defers what waits for other turns too."""

    def all_turns(engine: Any, given: RuntimeCommit, numbers: set[int]) -> set[int]:
        interrupted = given.interrupted_turn_input_turn_id is not None
        return numbers_of(engine, given.session_id, "pending_active") if interrupted else numbers

    deferring(patch, all_turns)


@bug("COMMIT-17a", Kind.selection)
def deferral_without_interruption(patch: Patch) -> None:
    """A commit without an interrupted turn defers whatever still waits for a turn."""

    def whatever(engine: Any, given: RuntimeCommit, numbers: set[int]) -> set[int]:
        interrupted = given.interrupted_turn_input_turn_id is not None
        return numbers if interrupted else numbers_of(engine, given.session_id, "pending_active")

    deferring(patch, whatever)


@bug("COMMIT-17", Kind.selection)
def deferral_by_boundary(patch: Patch) -> None:
    """An interruption does not defer what was to wait for the completion of its turn."""

    def early(engine: Any, given: RuntimeCommit, numbers: set[int]) -> set[int]:
        select = Statement("a planted fault", "SELECT enqueue_seq, ingress FROM inputs WHERE state = 'pending_active'")
        rows = engine.execute(select) if numbers else ()
        return {number for number, text in rows if number in numbers and "before_completion" not in text}

    deferring(patch, early)


@bug("COMMIT-18", Kind.selection)
def accepted_deferred(patch: Patch) -> None:
    """An interruption defers Accepted inputs of its turn that the commit does not complete."""

    def accepted_too(engine: Any, given: RuntimeCommit, numbers: set[int]) -> set[int]:
        turn_id = given.interrupted_turn_input_turn_id
        return numbers if turn_id is None else numbers | numbers_of(engine, given.session_id, "accepted", turn_id)

    deferring(patch, accepted_too)


@bug("COMMIT-18", Kind.selection)
def completed_and_deferred(patch: Patch) -> None:
    """An interruption defers what the same commit has completed of its turn."""
    original = commit._settle

    def settle(engine: Any, given: RuntimeCommit, batches: Any, inputs: set[int], deferred: set[int], now: int) -> None:
        turn_id = given.interrupted_turn_input_turn_id
        own = set() if turn_id is None else inputs & numbers_of(engine, given.session_id, "accepted", turn_id)
        original(engine, given, batches, inputs - own, deferred | own, now)

    patch.setattr(commit, "_settle", settle)


@bug("COMMIT-17", Kind.leak)
def deferral_in_all_sessions(patch: Patch) -> None:
    """An interruption defers what waits for a turn of the same id in other sessions."""
    original = commit._settle

    def settle(engine: Any, given: RuntimeCommit, *rest: Any) -> None:
        original(engine, given, *rest)
        others = Statement("a planted fault", "SELECT DISTINCT session_id FROM inputs WHERE session_id <> ?")
        turn_id = given.interrupted_turn_input_turn_id
        for (session_id,) in engine.execute(others, (given.session_id,)) if turn_id is not None else ():
            numbers = numbers_of(engine, session_id, "pending_active", turn_id)
            if numbers:
                input_rows.put_in_line(engine, session_id, TurnInputIngressNextTurn(), numbers)

    patch.setattr(commit, "_settle", settle)


def deferred_otherwise(patch: Patch, old: str, new: str) -> None:
    """Change the words of what puts inputs in line, but only while a commit runs."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        with Patch() as inner:
            sent_otherwise(inner, "put the inputs in line", old, new)
            return original(store, given)

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-17", Kind.retry, also=("INPUT-INV-7",))
def deferral_takes_the_key(patch: Patch) -> None:
    """An input that is deferred loses its source key."""
    deferred_otherwise(patch, "SET state = ?", "SET source_key = NULL, key_lookup = NULL, state = ?")


@bug("COMMIT-17", Kind.lost)
def deferral_dates_anew(patch: Patch) -> None:
    """An input that is deferred counts as submitted at a later time."""
    deferred_otherwise(patch, "SET state = ?", "SET enqueued_at = enqueued_at + 1, state = ?")


@bug("COMMIT-17", Kind.lost)
def deferral_keeps_the_turn(patch: Patch) -> None:
    """An input that is deferred still says that it is for the turn that was interrupted."""
    deferred_otherwise(patch, "ingress = ?", "ingress = coalesce(ingress, ?)")
    # the store takes such a row for a damaged one
    patch.setattr(input_rows, "_fitting", lambda found: found)


@bug("CANCEL-13", Kind.order, "commit")
def suffix_by_deferral(patch: Patch) -> None:
    """A suffix cancel takes an input that was deferred for one admitted when it was deferred."""
    places = per_run(lambda: dict[str, int]())

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        waiting = ask(store, "SELECT input_id FROM inputs WHERE state = 'pending_active'")
        result = original(store, given)
        ((last,),) = ask(store, "SELECT coalesce(max(enqueue_seq), 0) FROM inputs")
        for (input_id,) in waiting:
            if ask(store, "SELECT 1 FROM inputs WHERE input_id = ? AND state = 'deferred_next_turn'", input_id):
                places(store)[input_id] = last
        return result

    def suffix(original: Any, store: Any, session_id: str, anchor: Any) -> Any:
        rows = ask(store, "SELECT input_id, source_key, enqueue_seq FROM inputs WHERE session_id = ?", session_id)
        by_id = isinstance(anchor, InputId)
        place_of = {input_id: number for input_id, _, number in rows}
        place_of.update({input_id: place for input_id, place in places(store).items() if input_id in place_of})
        named = [place_of[input_id] for input_id, key, _ in rows if anchor.value == (input_id if by_id else key)]
        if not named:
            return original(store, session_id, anchor)
        ordered = sorted(rows, key=lambda row: row[2])
        targets = tuple(InputId(input_id) for input_id, *_ in ordered if place_of[input_id] >= named[0])
        results = store.cancel_pending_turn_inputs(session_id, targets)
        return Outcomes(anchor, tuple(result.outcome for result in results))

    wrap(patch, "commit_runtime_state", around)
    wrap(patch, "cancel_pending_turn_input_suffix", suffix)
