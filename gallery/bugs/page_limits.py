"""Faults of stores that answer the first page of a list, of as many as libraries give at once, for the list."""

from __future__ import annotations

from typing import Any

from ..kinds import Kind
from ..planting import Patch, bug, wrap

PAGE = 100


def ends_at_a_page(patch: Patch, operation: str) -> None:
    """The list that this call answers has no more than stand on a page."""

    def around(original: Any, store: Any, *given: Any) -> Any:
        return original(store, *given)[:PAGE]

    wrap(patch, operation, around)


@bug("LIST-1", Kind.page, "turn_input")
def pending_inputs_to_a_page(patch: Patch) -> None:
    """The pending inputs of a session are listed up to the hundredth."""
    ends_at_a_page(patch, "list_pending_turn_inputs")


@bug("QUEUE-7", Kind.page, "queued_work")
def work_to_a_page(patch: Patch) -> None:
    """The work of a session is listed up to the hundredth batch."""
    ends_at_a_page(patch, "list_queued_work")


@bug("ATT-4", Kind.page, "attachment")
def uncommitted_to_a_page(patch: Patch) -> None:
    """Attachments that nothing refers to are listed up to the hundredth."""
    ends_at_a_page(patch, "list_uncommitted")


@bug("RUNTIME-8", Kind.page, "runtime")
def input_states_to_a_page(patch: Patch) -> None:
    """The input states of a runtime are listed up to the hundredth."""
    ends_at_a_page(patch, "load_input_states")


@bug("EVENT-20", Kind.page, "event")
def turns_to_a_page(patch: Patch) -> None:
    """The turns of a thread are read up to the hundredth."""
    ends_at_a_page(patch, "get_turns")
