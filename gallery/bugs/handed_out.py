"""Faults by which a store answers a list of its own: what a caller does to it, the store has done to itself."""

from __future__ import annotations

from typing import Any

from ..kinds import Kind
from ..planting import Patch, bug, per_run, wrap


def remembered(patch: Patch, operation: str) -> None:
    """A list that was read is kept, and handed out again until there is another one to read."""
    lists = per_run(lambda: dict[object, tuple[object, list[Any]]]())

    def around(original: Any, store: Any, *given: Any) -> Any:
        read = original(store, *given)
        kept = lists(store).get(given)
        if kept is None or kept[0] != read:
            kept = lists(store)[given] = (read, list(read))
        return kept[1]

    wrap(patch, operation, around)


@bug("VALUE-4", Kind.lost, "turn_input")
def pending_inputs_handed_out(patch: Patch) -> None:
    """Who empties the list of pending inputs that it was given has emptied the one that the store keeps to answer again."""
    remembered(patch, "list_pending_turn_inputs")


@bug("VALUE-4", Kind.lost, "queued_work")
def work_handed_out(patch: Patch) -> None:
    """Who empties the list of work that it was given has emptied the one that the store keeps to answer again."""
    remembered(patch, "list_queued_work")


@bug("VALUE-4", Kind.lost, "runtime")
def states_handed_out(patch: Patch) -> None:
    """Who empties the list of input states that it was given has emptied the one that the store keeps to answer again."""
    remembered(patch, "load_input_states")


@bug("VALUE-4", Kind.lost, "event")
def turns_handed_out(patch: Patch) -> None:
    """Who empties the list of turns that it was given has emptied the one that the store keeps to answer again."""
    remembered(patch, "get_turns")


@bug("VALUE-4", Kind.lost, "output")
def outputs_handed_out(patch: Patch) -> None:
    """Who empties the list of outputs that it was given has emptied the one that the store keeps to answer again."""
    remembered(patch, "list_for_attempt")
