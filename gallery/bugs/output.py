"""Faults in output logs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from fencepost.impl import output
from fencepost.impl.encoding import decoded, encoded, lookup
from fencepost.impl.engine import Statement
from fencepost.spec import (
    Artifact,
    FileRef,
    Final,
    OutputInternal,
    OutputNotFound,
    OutputRecord,
    OutputRef,
    Progress,
)
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, ask, bug, on_opening, per_run, per_store, reworded, wrap


def records(store: Any) -> list[OutputRecord]:
    """Every record, the oldest first."""
    return [decoded(OutputRecord, text, "record") for (text,) in ask(store, "SELECT record FROM outputs ORDER BY number")]


def latest_otherwise(patch: Patch, choose: Callable[[list[OutputRecord], str], list[OutputRecord]]) -> None:
    """Answer for the latest of a name the last of those that this chooses."""

    def around(_original: Any, store: Any, name: str) -> OutputRecord:
        chosen = choose(records(store), name)
        if not chosen:
            raise OutputNotFound(name)
        return chosen[-1]

    wrap(patch, "get_latest_by_name", around)


def of_producer(found: list[OutputRecord], name: str) -> list[OutputRecord]:
    """Those of this producer."""
    return [each for each in found if each.producer_agent == name]


def listed_otherwise(patch: Patch, belongs: Callable[[OutputRecord, str, int], bool]) -> None:
    """List for an attempt the records that belong to it by this."""

    def around(_original: Any, store: Any, task_id: str, attempt: int) -> tuple[OutputRecord, ...]:
        return tuple(each for each in records(store) if belongs(each, task_id, attempt))

    wrap(patch, "list_for_attempt", around)


def steady_ids(patch: Patch) -> None:
    """Make ids that are in no order, and the same in every run."""
    made = per_run(lambda: itertools.count())
    patch.setattr(output.DuckDBOutputStore, "_fresh", lambda store: OutputRef(f"out-{lookup(str(next(made(store))))[:10]}"))


def given_otherwise(patch: Patch, change: Callable[..., tuple[Any, ...]]) -> None:
    """Change what is given to each append."""
    wrap(patch, "output.append", lambda original, store, *given: original(store, *change(*given)))


@bug("OUTPUT-16", Kind.order)
def latest_by_attempt(patch: Patch) -> None:
    """The latest record of a name is the one of the largest attempt."""
    latest_otherwise(patch, lambda found, name: sorted(of_producer(found, name), key=lambda each: each.attempt))


@bug("OUTPUT-16", Kind.order)
def latest_by_id(patch: Patch) -> None:
    """The latest record of a name is the one of the largest id."""
    steady_ids(patch)
    latest_otherwise(patch, lambda found, name: sorted(of_producer(found, name), key=lambda each: each.id.value))


@bug("OUTPUT-15", Kind.order)
def first_of_the_name(patch: Patch) -> None:
    """The latest record of a name is the one that was appended first."""
    latest_otherwise(patch, lambda found, name: of_producer(found, name)[:1])


@bug("OUTPUT-15", Kind.leak, also=("OUTPUT-INV-4",))
def latest_by_beginning(patch: Patch) -> None:
    """The latest record of a name is the last one of those whose producer begins with it."""
    latest_otherwise(patch, lambda found, name: [each for each in found if each.producer_agent.startswith(name)])


@bug("OUTPUT-17", Kind.selection)
def progress_hides_nothing(patch: Patch) -> None:
    """Progress is the latest record of a name only where there is nothing else."""

    def choose(found: list[OutputRecord], name: str) -> list[OutputRecord]:
        own = of_producer(found, name)
        return [each for each in own if not isinstance(each.event, Progress)] or own

    latest_otherwise(patch, choose)


@bug("OUTPUT-17", Kind.selection)
def latest_final(patch: Patch) -> None:
    """The latest record of a name is its last final one, if it has any."""

    def choose(found: list[OutputRecord], name: str) -> list[OutputRecord]:
        own = of_producer(found, name)
        return [each for each in own if isinstance(each.event, Final)] or own

    latest_otherwise(patch, choose)


@bug("OUTPUT-17", Kind.refusal)
def progress_not_found(patch: Patch) -> None:
    """A name that has nothing but progress has no latest record."""
    latest_otherwise(
        patch, lambda found, name: [each for each in of_producer(found, name) if not isinstance(each.event, Progress)]
    )


@bug("OUTPUT-9", Kind.leak)
def found_by_artifact(patch: Patch) -> None:
    """An artifact is found by its own name too."""

    def choose(found: list[OutputRecord], name: str) -> list[OutputRecord]:
        return [each for each in found if name in (each.producer_agent, getattr(each.event, "name", None))]

    latest_otherwise(patch, choose)


@bug("OUTPUT-18", Kind.leak)
def unknown_name_has_the_newest(patch: Patch) -> None:
    """For a name that no producer has the newest record of all is answered."""
    latest_otherwise(patch, lambda found, name: of_producer(found, name) or found)


@bug("OUTPUT-23", Kind.leak)
def listed_by_task(patch: Patch) -> None:
    """The list of an attempt has the records of all attempts of its task."""
    listed_otherwise(patch, lambda each, task_id, _attempt: each.task_id == task_id)


@bug("OUTPUT-23", Kind.leak)
def listed_by_joined_text(patch: Patch) -> None:
    """Task and attempt are joined without anything in between: t1 and 0 are t and 10."""
    listed_otherwise(patch, lambda each, task_id, attempt: f"{each.task_id}{each.attempt}" == f"{task_id}{attempt}")


@bug("OUTPUT-21", Kind.order)
def listed_by_id(patch: Patch) -> None:
    """The records of an attempt are listed in the order of their ids."""
    steady_ids(patch)
    reworded(patch, output, "LIST", "ORDER BY number", "ORDER BY id")


@bug("OUTPUT-21", Kind.page, also=("OUTPUT-INV-3",))
def listed_to_a_page(patch: Patch) -> None:
    """The records of an attempt are listed up to the tenth."""
    reworded(patch, output, "LIST", "ORDER BY number", "ORDER BY number LIMIT 10")


@bug("OUTPUT-7", Kind.overflow)
def attempt_narrowed(patch: Patch) -> None:
    """Attempts are kept in 31 bits."""
    given_otherwise(patch, lambda task_id, attempt, *others: (task_id, attempt & (2**31 - 1), *others))

    def listing(original: Any, store: Any, task_id: str, attempt: int) -> Any:
        return original(store, task_id, attempt & (2**31 - 1))

    wrap(patch, "list_for_attempt", listing)


@bug("OUTPUT-7", Kind.refusal)
def empty_task_refused(patch: Patch) -> None:
    """An append to a task whose id is the empty text is refused."""

    def around(original: Any, store: Any, task_id: str, *others: Any) -> Any:
        if not task_id:
            raise OutputInternal("there is no task")
        return original(store, task_id, *others)

    wrap(patch, "output.append", around)


@bug("OUTPUT-6", Kind.lost, also=("OUTPUT-1",))
def parents_without_repetition(patch: Patch) -> None:
    """Of a parent that is given twice one is kept."""
    given_otherwise(patch, lambda *given: (*given[:-1], tuple(dict.fromkeys(given[-1]))))


@bug("OUTPUT-1", Kind.order)
def parents_in_order(patch: Patch) -> None:
    """Parents are kept in an order of the store's own, the last one first."""
    given_otherwise(patch, lambda *given: (*given[:-1], given[-1][::-1]))


@bug("OUTPUT-6", Kind.lost)
def unknown_parents_dropped(patch: Patch) -> None:
    """Parents that no record has are dropped."""

    def around(original: Any, store: Any, *given: Any) -> Any:
        known = {each.id for each in records(store)}
        return original(store, *given[:-1], tuple(each for each in given[-1] if each in known))

    wrap(patch, "output.append", around)


@bug("OUTPUT-8", Kind.refusal)
def second_final_refused(patch: Patch) -> None:
    """A second final event of an attempt is refused."""

    def around(original: Any, store: Any, task_id: str, attempt: int, producer: str, event: Any, parents: Any) -> Any:
        finals = [each for each in store.list_for_attempt(task_id, attempt) if isinstance(each.event, Final)]
        if finals and isinstance(event, Final):
            raise OutputInternal("the attempt has ended")
        return original(store, task_id, attempt, producer, event, parents)

    wrap(patch, "output.append", around)


@bug("OUTPUT-8", Kind.lost_update)
def second_final_in_place_of_the_first(patch: Patch) -> None:
    """A second final event of a producer in an attempt takes the place of the first."""

    def around(original: Any, store: Any, task_id: str, attempt: int, producer: str, event: Any, parents: Any) -> Any:
        if isinstance(event, Final):
            for each in store.list_for_attempt(task_id, attempt):
                if each.producer_agent == producer and isinstance(each.event, Final):
                    ask(store, "DELETE FROM outputs WHERE id = ?", each.id.value)
        return original(store, task_id, attempt, producer, event, parents)

    wrap(patch, "output.append", around)


@bug("OUTPUT-4", Kind.mistaken)
def repeated_append_recognized(patch: Patch) -> None:
    """An append that was made before is answered with the id that it had then."""
    made = per_run(lambda: dict[tuple[Any, ...], OutputRef]())

    def around(original: Any, store: Any, *given: Any) -> OutputRef:
        known = made(store)
        if given not in known:
            known[given] = original(store, *given)
        return known[given]

    wrap(patch, "output.append", around)


@bug("OUTPUT-3", Kind.reused)
def ids_from_memory(patch: Patch) -> None:
    """Ids are counted in memory: after a reopen they come again, and the record that has one is replaced."""
    counter = per_store(lambda: itertools.count())

    def fresh(store: Any) -> OutputRef:
        ref = f"out-{next(counter(store)):010x}"
        store._engine.send(Statement("make room", "DELETE FROM outputs WHERE id = ?"), (ref,))
        return OutputRef(ref)

    patch.setattr(output.DuckDBOutputStore, "_fresh", fresh)


@bug("OUTPUT-5", Kind.lost)
def old_progress_removed(patch: Patch) -> None:
    """Progress is removed once its attempt has a final event."""

    def around(original: Any, store: Any, task_id: str, attempt: int, producer: str, event: Any, parents: Any) -> Any:
        ref = original(store, task_id, attempt, producer, event, parents)
        if isinstance(event, Final):
            for each in store.list_for_attempt(task_id, attempt):
                if isinstance(each.event, Progress):
                    ask(store, "DELETE FROM outputs WHERE id = ?", each.id.value)
        return ref

    wrap(patch, "output.append", around)


@bug("OUTPUT-10", Kind.lost)
def files_by_their_names(patch: Patch) -> None:
    """The path of a file is kept without the directories before its name."""

    def change(task_id: str, attempt: int, producer: str, event: Any, parents: Any) -> tuple[Any, ...]:
        content = getattr(event, "content", None)
        if isinstance(content, FileRef):
            event = replace(event, content=replace(content, path=content.path.rpartition("/")[2]))
        return (task_id, attempt, producer, event, parents)

    given_otherwise(patch, change)


@bug("OUTPUT-10", Kind.refusal)
def missing_file_refused(patch: Patch) -> None:
    """An artifact in a file that is not there is refused."""

    def around(original: Any, store: Any, task_id: str, attempt: int, producer: str, event: Any, parents: Any) -> Any:
        if isinstance(event, Artifact) and isinstance(event.content, FileRef):
            raise OutputInternal("there is no such file")
        return original(store, task_id, attempt, producer, event, parents)

    wrap(patch, "output.append", around)


@bug("OUTPUT-22", Kind.refusal)
def empty_list_refused(patch: Patch) -> None:
    """The list of an attempt without records is refused with OutputNotFound."""

    def around(original: Any, store: Any, task_id: str, attempt: int) -> Any:
        found = original(store, task_id, attempt)
        if not found:
            raise OutputNotFound(task_id)
        return found

    wrap(patch, "list_for_attempt", around)


@bug("OUTPUT-14", Kind.lost)
def ids_without_blanks(patch: Patch) -> None:
    """An id is found whatever blanks stand around it."""
    wrap(patch, "get", lambda original, store, ref: original(store, OutputRef(ref.value.strip())))


@bug("OUTPUT-24", Kind.selection)
def found_by_name_when_others_follow(patch: Patch) -> None:
    """A record is found by its producer's name once another record follows it."""
    latest_otherwise(patch, lambda found, name: of_producer(found[:-1], name))


@bug("VALUE-8", Kind.lost, "output")
def large_numbers_rounded(patch: Patch) -> None:
    """Integers above 2^53 in a content come back rounded."""

    def rounding(record: object) -> str:
        return encoded(record).replace("9007199254740993", "9007199254740992")

    patch.setattr(output, "encoded", rounding)


@bug("VALUE-9", Kind.restart, "output")
def latest_not_kept(patch: Patch) -> None:
    """Which record of a name is the latest is known until the store is closed."""
    on_opening(patch, "DELETE FROM producers")


@bug("VALUE-9", Kind.restart, "output", also=("OUTPUT-INV-2",))
def last_record_not_kept(patch: Patch) -> None:
    """The last record is written with the next one, and lost if the store is closed before."""
    on_opening(patch, "DELETE FROM outputs WHERE number = (SELECT max(number) FROM outputs)")
