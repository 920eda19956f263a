"""Faults in the comparison of names: two that look alike are taken for one, and the spelling that came first is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Any
from unicodedata import normalize

from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.checker import Call
from fencepost.statemachines.lookalikes import Change, changed

from ..kinds import Kind
from ..planting import Patch, bug, per_run, wrap

CALLS_OF_EVENTS = tuple(name for name, operation in OPERATIONS.items() if operation.chapter == "event")


def taken_for_one(patch: Patch, chapter: str, fields: Collection[str], look: Callable[[str], str]) -> None:
    """In the calls of a chapter, names of one look in these fields are one name: the first of them that was given."""
    first = per_run(lambda: dict[str, str]())

    def one_spelling(store: Any) -> Change:
        return lambda text, field: first(store).setdefault(look(text), text) if field in fields else text

    for name, operation in OPERATIONS.items():
        if operation.chapter != chapter:
            continue

        def around(original: Any, store: Any, *given: Any, name: str = name) -> Any:
            return original(store, *changed(Call(name, given), one_spelling(store)).arguments)

        wrap(patch, name, around)


@bug("VALUE-12", Kind.leak, "lease")
def sessions_without_case(patch: Patch) -> None:
    """The leases of sessions whose ids differ in case alone are one."""
    taken_for_one(patch, "lease", ("session_id",), str.casefold)


@bug("VALUE-12", Kind.liveness, "lease")
def owners_composed(patch: Patch) -> None:
    """Owners whose ids differ in their Unicode composition alone are one."""
    taken_for_one(patch, "lease", ("owner_id",), lambda text: normalize("NFC", text))


@bug("VALUE-12", Kind.mistaken, "turn_input")
def source_keys_trimmed(patch: Patch) -> None:
    """An input whose source key differs from an earlier one in a blank at the end is answered from that one."""
    taken_for_one(patch, "turn_input", ("source_key",), str.rstrip)


@bug("VALUE-12", Kind.leak, "queued_work")
def queues_cut_at_nul(patch: Patch) -> None:
    """The queues of sessions whose ids differ behind a NUL alone are one."""
    taken_for_one(patch, "queued_work", ("session_id",), lambda text: text.partition("\0")[0])


@bug("VALUE-12", Kind.leak, "attachment")
def attachments_without_case(patch: Patch) -> None:
    """Attachments whose ids differ in case alone are one."""
    taken_for_one(patch, "attachment", ("attachment_id", "attachment_ids"), str.casefold)


@bug("VALUE-12", Kind.leak, "runtime")
def runtimes_composed(patch: Patch) -> None:
    """Runtimes whose ids differ in their Unicode composition alone are one."""
    taken_for_one(patch, "runtime", ("runtime_id",), lambda text: normalize("NFC", text))


@bug("VALUE-12", Kind.leak, "event")
def threads_without_case(patch: Patch) -> None:
    """Threads whose ids differ in case alone are one; those that stand in events are not touched."""
    first = per_run(lambda: dict[str, str]())

    def around(original: Any, store: Any, thread_id: str, *rest: Any) -> Any:
        return original(store, first(store).setdefault(thread_id.casefold(), thread_id), *rest)

    for name in CALLS_OF_EVENTS:
        wrap(patch, name, around)


@bug("VALUE-12", Kind.leak, "output")
def tasks_cut_at_nul(patch: Patch) -> None:
    """Tasks whose ids differ behind a NUL alone are one."""
    taken_for_one(patch, "output", ("task_id",), lambda text: text.partition("\0")[0])


@bug("VALUE-12", Kind.selection, "output")
def producers_trimmed(patch: Patch) -> None:
    """Producers whose names differ in a blank at the end are one."""
    taken_for_one(patch, "output", ("producer_agent", "name"), str.rstrip)


@bug("VALUE-12", Kind.leak, "output")
def tasks_cut_at_255_characters(patch: Patch) -> None:
    """Tasks whose ids differ behind 255 characters alone are one."""
    taken_for_one(patch, "output", ("task_id",), lambda text: text[:255])


@bug("VALUE-12", Kind.selection, "output")
def producers_of_16_bits(patch: Patch) -> None:
    """Producers whose names differ in a character beyond 16 bits alone are one."""
    narrow = partial(re.sub, "[\U00010000-\U0010ffff]", "?")
    taken_for_one(patch, "output", ("producer_agent", "name"), narrow)
