"""The output log over the whole state: the four calls of `OutputStore`."""

from __future__ import annotations

import re

from fencepost.spec import FileRef, Final, Inline, Json, OutputEvent, OutputNotFound, OutputRecord, OutputRef
from msgspec.structs import replace

from .records.output import Attempt, OutputState, content_of, numbered
from .state import State, invariant
from .step import Ids, Ports, Refused, Step, Steps, Why, refused

SHAPE = re.compile(r"out-[0-9a-f]{10}")
"""What known stores make ids of (OUTPUT-2)."""

RECORD_WHY: Why = (
    ("id", ("OUTPUT-13",)),
    ("parent_refs", ("OUTPUT-6", "OUTPUT-5")),
    ("event", ("OUTPUT-5", "VALUE-8", "OUTPUT-8", "OUTPUT-10")),
    ("attempt", ("OUTPUT-7", "OUTPUT-5")),
    ("task_id", ("OUTPUT-7", "OUTPUT-5")),
    ("producer_agent", ("OUTPUT-7", "OUTPUT-5")),
)
"""What fixes the fields of a record."""


def append(
    state: State,
    ports: Ports,
    task_id: str,
    attempt: int,
    producer_agent: str,
    event: OutputEvent,
    parent_refs: tuple[OutputRef, ...],
) -> Steps:
    """Record an event: OUTPUT-1 to OUTPUT-10."""
    seen = ports.seen if isinstance(ports.seen, OutputRef) and ports.seen not in state.output.by_id else None
    usual = seen if seen and SHAPE.fullmatch(seen.value) else numbered(state.output.free)
    ours = _appended(state, OutputRecord(usual, task_id, attempt, producer_agent, event, parent_refs))
    if seen in (None, usual):
        return (ours,)
    other = _appended(state, OutputRecord(seen, task_id, attempt, producer_agent, event, parent_refs))
    return (ours, replace(other, differs=("OUTPUT-2",)))


def _appended(state: State, record: OutputRecord) -> Step:
    unchecked = _unchecked(state.output, record)
    because = (*unchecked, "OUTPUT-1", "OUTPUT-3", "OUTPUT-24", "OUTPUT-INV-1")
    # the record itself is read first: what is wrong in the other reads alone is wrong in how they choose
    shown: Why = (("get", because), ("list_for_attempt", ("OUTPUT-21", *unchecked, "OUTPUT-5", "OUTPUT-24")))
    after = replace(state, output=state.output.plus(record))
    return Step(after, record.id, because, (("", ("OUTPUT-3", "OUTPUT-2")),), shown)


def _unchecked(log: OutputState, record: OutputRecord) -> Ids:
    """What an append says, and nobody checks."""
    attempt = log.attempts.get((record.task_id, record.attempt), Attempt())
    event, parents = record.event, record.parent_refs
    contents = [getattr(event, name, None) for name in ("content", "chunk")]
    edges = record.attempt == 0 or record.attempt >= 2**31 or "" in (record.task_id, record.producer_agent)
    return (
        *(("OUTPUT-4",) if content_of(record) in log.contents else ()),
        *(("OUTPUT-6",) if len(set(parents)) < len(parents) or not all(each in log.by_id for each in parents) else ()),
        *(("OUTPUT-7",) if edges else ()),
        *(("OUTPUT-8",) if attempt.final else ()),
        *(("OUTPUT-10",) if any(isinstance(each, FileRef) for each in contents) else ()),
        *(("VALUE-8",) if any(isinstance(each, Inline) and each.value != Json() for each in contents) else ()),
    )


def get(state: State, _ports: Ports, id: OutputRef) -> Steps:
    """The record of an id: OUTPUT-13, OUTPUT-14."""
    found = state.output.by_id.get(id)
    if found is None:
        return refused(state, OutputNotFound(id.value), "OUTPUT-14")
    return (Step(state, found, ("OUTPUT-13", "OUTPUT-5", "OUTPUT-INV-1"), RECORD_WHY),)


def get_latest_by_name(state: State, ports: Ports, name: str) -> Steps:
    """The newest record of a producer: OUTPUT-15 to OUTPUT-18."""
    found = state.output.producers.get(name)
    because = _latest_because(state.output, name)
    if found is None:
        return refused(state, OutputNotFound(name), *because)
    if isinstance(ports.seen, Refused):
        because = ("OUTPUT-24", *because)
    fields = tuple((path, ids) for path, ids in RECORD_WHY if path not in ("id", "event", "attempt", "task_id"))
    return (Step(state, found.latest, because, (*fields, ("", because))),)


def _latest_because(log: OutputState, name: str) -> Ids:
    """What decides which record of a name is the latest."""
    found = log.producers.get(name)
    artifact: Ids = ("OUTPUT-9",) if name in log.artifacts else ()
    if found is None:
        return (*artifact, "OUTPUT-18")
    latest = found.latest
    of_any_kind: Ids = () if isinstance(latest.event, Final) else ("OUTPUT-17",)
    if found.records == 1:
        return (*artifact, "OUTPUT-15", "OUTPUT-24", *of_any_kind, "OUTPUT-INV-4")
    later = found.furthest > (latest.task_id, latest.attempt)
    return (
        *artifact,
        *(of_any_kind if found.pieces_before else ()),
        *(("OUTPUT-16",) if later else ()),
        "OUTPUT-15",
        *(() if later else ("OUTPUT-16",)),
        "OUTPUT-24",
        "OUTPUT-INV-4",
    )


def list_for_attempt(state: State, _ports: Ports, task_id: str, attempt: int) -> Steps:
    """The records of an attempt: OUTPUT-21, OUTPUT-22."""
    found = tuple(state.output.attempts.get((task_id, attempt), Attempt()).records)
    if not found:
        return (Step(state, found, ("OUTPUT-22", "OUTPUT-23")),)
    beside: Ids = ("OUTPUT-23",) if len(found) < len(state.output.records) else ()
    because: Ids = ("OUTPUT-21", *beside, "OUTPUT-INV-2", "OUTPUT-5", "OUTPUT-INV-3")
    why = tuple((f"{place}.{path}", ids) for place in range(len(found)) for path, ids in RECORD_WHY[1:])
    return (Step(state, found, because, (*why, ("", ("OUTPUT-21", "OUTPUT-INV-2")))),)


@invariant("OUTPUT-INV-1")
def records_stay(before: State, after: State) -> bool:
    """What was appended stays as it was, in its place."""
    return after.output.records.begins_with(before.output.records)


@invariant("OUTPUT-3")
def ids_differ(_before: State, after: State) -> bool:
    """No two records have one id."""
    return len({record.id for record in after.output.records}) == len(after.output.records)
