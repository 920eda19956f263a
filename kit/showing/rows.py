"""Values as rows of a table: a line for every field, by its path."""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Collection, Iterator, Mapping

import msgspec
from fencepost.model import Refused, State
from fencepost.spec import Json, StoreError
from fencepost.spec.values import printable
from fencepost.statemachines.checker import Crash

from ..backend import shortened
from .brief import brief, named
from .source import simple

LONGEST = 240
"""How many characters of a value are shown."""

Rows = dict[str, str]
"""Texts by paths, such as `lease.records[s].fencing_token`."""


NAMES = {
    "lease.records": "lease",
    "lease.issued": "lease tokens given out",
    "turn_input.rows": "inputs",
    "turn_input.vacuumed": "inputs vacuumed",
    "turn_input.claims": "claims of inputs",
    "queued_work.rows": "batches",
    "queued_work.claims": "claims of batches",
    "commit.head": "head",
    "commit.nodes": "nodes",
    "commit.tombstoned": "tombstones",
    "commit.usage": "usage",
    "commit.ledger": "usage in all",
    "commit.stamps": "turn stamps",
    "commit.blobs": "blobs",
    "session.meta": "metadata",
    "session.by_session": "metadata of session",
    "session.tier": "durability tier",
    "attachment.entries": "attachments",
    "attachment.forgotten": "attachments forgotten",
    "runtime.inputs": "inputs of runtime",
    "runtime.receipts": "receipts",
    "runtime.snapshots": "snapshots",
    "runtime.states": "state of runtime",
    "runtime.runs": "runs",
    "event.threads": "threads",
    "event.cleared": "threads cleared",
    "output.records": "outputs",
}
"""What a store keeps, by the fields of the model; in its others the model remembers how to find it."""


FRESH = "a value that was never given before"


def with_fresh(rows: Rows, made_up: Collection[str]) -> Rows:
    """The rows, with words in place of these values, which only stand for what a store may make up."""
    for own in made_up:
        key = re.compile(rf"(?<=[\[ ]){re.escape(named(own))}(?=[\],])")
        rows = {key.sub("a fresh one", path): text.replace(simple(own), FRESH) for path, text in rows.items()}
    return rows


def rows_of_state(state: State) -> Rows:
    """All that a store keeps in the state that is not as it was in the beginning."""
    found: Rows = {}
    for chapter in state.__struct_fields__:
        of_chapter = getattr(state, chapter)
        for each in msgspec.structs.fields(type(of_chapter)):
            value, name = getattr(of_chapter, each.name), NAMES.get(f"{chapter}.{each.name}")
            if name and value != each.default:
                found.update(_rows(value, name))
    return found


def rows_of_answer(answer: object) -> Rows:
    """What was answered, refused or raised, its kind first."""
    if isinstance(answer, Refused):
        fields = {name: _text(value) for name, value in vars(answer.error).items()}
        return {"": f"refused with {answer.error.kind}"} | fields
    if isinstance(answer, Crash):
        return {"": brief(answer)}
    if isinstance(answer, msgspec.Struct):
        return {"": type(answer).__name__} | dict(_rows(answer, ""))
    return (
        {"": f"{len(answer)} item{'s' * (len(answer) != 1)}"} | dict(_rows(answer, ""))
        if isinstance(answer, tuple)
        else {"": _text(answer)}
    )


def _rows(value: object, path: str) -> Iterator[tuple[str, str]]:
    items = _items(value)
    if items is None:
        yield path, _text(value)
        return
    if not items:
        yield path, "none"
    for name, item in items:
        yield from _rows(item, (path + name).removeprefix("."))


def _items(value: object) -> list[tuple[str, object]] | None:
    """What is inside, each with what leads to it; None for what is one value."""
    if isinstance(value, Mapping):
        return [(f"[{_key(key)}]", value[key]) for key in sorted(value, key=_key)]
    if isinstance(value, msgspec.Struct):
        return [(f".{name}", getattr(value, name)) for name in value.__struct_fields__]
    if dataclasses.is_dataclass(value) and not isinstance(value, StoreError):
        return [(f".{each.name}", getattr(value, each.name)) for each in dataclasses.fields(value)]
    if isinstance(value, tuple) and any(isinstance(item, msgspec.Struct | tuple) for item in value):
        return [(f"[{place}]", item) for place, item in enumerate(value)]
    return None


def _key(key: object) -> str:
    return ", ".join(map(_key, key)) if isinstance(key, tuple) else named(key) if isinstance(key, str) else str(key)


def _text(value: object) -> str:
    text = _whole(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _whole(value: object) -> str:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, Json):
        return printable(value.text)
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(_key, value))) or "none"
    if isinstance(value, tuple):
        return ", ".join(map(_whole, value)) or "none"
    # a store may answer any object, one that cannot even be shown too
    return simple(value) if isinstance(value, str | int | float | None) else shortened(value, LONGEST)
