"""Values as Python source: records by their constructors, minted values by the answers that brought them."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from inspect import Parameter, signature
from typing import NamedTuple
from uuid import UUID

import msgspec
from fencepost.spec import (
    Json,
    LeaseOwnerIdentity,
    PendingTurnInput,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkCompletion,
    SessionExecutionLease,
    StoreError,
    TurnInputClaim,
    TurnInputCompletion,
)
from fencepost.spec.lease import LeaseProof
from fencepost.statemachines.checker import value_at
from fencepost.statemachines.leaves import leaves
from fencepost.statemachines.minted import differing, kind_of, origin, places

WIDTH = 79
INDENT = "    "


class Group(NamedTuple):
    """An expression that may be broken into lines: `head(items)`, or a tuple if there is no head."""

    head: str
    items: tuple[Source, ...]


class Labelled(NamedTuple):
    """`name=value`."""

    name: str
    value: Source


Source = str | Group | Labelled

Row = PendingTurnInput | QueuedWorkBatch
Claim = TurnInputClaim | QueuedWorkClaim
Brought = LeaseProof | Claim | Row | TurnInputCompletion | QueuedWorkCompletion
"""Records that are written by the answers that brought them, not built: what answers show, and what it proves."""

NAMING = ("lease_token", "claim_id", "input_id", "batch_id")
"""The fields by which two records tell of one thing."""


def kind_at(answer: object, path: str) -> str | None:
    """What kind of minted value stands in an answer at this path; None if none does."""
    names = path.split(".")
    # ids in a tuple have the name of its field
    while names and names[-1].isdigit():
        names.pop()
    if not names:
        return None
    *above, field = names
    return kind_of(field, type(value_at(answer, ".".join(above))))


class Minted:
    """What answers have brought so far, each under the expression that leads to it, such as `a1.lease`."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.imports: set[str] = set()
        self.owners: dict[LeaseOwnerIdentity, str] = {}
        self._ends: list[tuple[str, str, int]] = []
        self._instants: dict[int, str] = {}
        self._brought: list[tuple[str, msgspec.Struct]] = []
        self._values: dict[str, dict[str, str]] = {}
        # what the caller made up is not minted, whoever answers it later
        self._given: set[tuple[str, str]] = set()

    def learn(self, variable: str, answer: object) -> None:
        """Remember records and minted values of an answer; the first that brought a value gives it its name."""
        for path, record in _records_in(answer, variable):
            if isinstance(record, SessionExecutionLease | Claim):
                what = "the claim" if isinstance(record, Claim) else "the lease"
                self._ends.append((variable, what, record.expires_at_epoch_ms))
                for name in ("claimed_at_epoch_ms", "expires_at_epoch_ms"):
                    self._instants[getattr(record, name)] = f"{path}.{name}"
            self._brought.extend(_given_by(path, record))
        for path, kind, text in places(answer, variable):
            if (kind, text) not in self._given:
                self._values.setdefault(kind, {}).setdefault(text, path)

    def named(self, kind: str, text: str) -> str | None:
        """The expression of a minted value; None if no answer brought it."""
        known = self._values.get(kind, {})
        return self._use(known[text]) if text in known else None

    def ends(self) -> Iterator[tuple[str, str, int]]:
        """When the leases and claims answered so far expire, the newest first: by which answer, and what it is."""
        return reversed(self._ends)

    def instant(self, instant: int, around: int = 0) -> str | None:
        """The instant by an answer that brought it, or one at most so many ms around it; None if there is none."""
        for after in sorted(range(-around, around + 1), key=abs):
            if instant - after in self._instants:
                known = self._use(self._instants[instant - after])
                return f"{known} {'-' if after < 0 else '+'} {abs(after)}" if after else known
        return None

    def source(self, value: object, field: str = "", record: type | None = None) -> Source:
        """The value, which stands in this field, as source."""
        if isinstance(value, Brought):
            return self._by_its_answer(value)
        if isinstance(value, LeaseOwnerIdentity):
            return self.owners.setdefault(value, f"owner{len(self.owners) + 1}")
        if isinstance(value, str):
            return self.text(value, kind_of(field, record))
        if isinstance(value, msgspec.Struct):
            return self.record(value)
        if isinstance(value, tuple):
            return Group("", tuple(self.source(item, field, record) for item in value))
        if isinstance(value, StoreError):
            names = tuple(vars(value))
            return Group(self._import(value), tuple(self.source(getattr(value, name), name, type(value)) for name in names))
        if isinstance(value, enum.Enum):
            return f"{self._import(value)}.{value.name}"
        if isinstance(value, Json):
            return Group(self._import(value), (_json(value.value()),))
        if isinstance(value, UUID):
            return Group(self._import(value), (simple(str(value)),))
        return simple(value)

    def record(self, value: msgspec.Struct) -> Source:
        """A record by its constructor, without the fields that have their defaults."""
        keywords = [each.kind is Parameter.KEYWORD_ONLY for each in signature(type(value)).parameters.values()]
        items: list[Source] = []
        for each, keyword in zip(msgspec.structs.fields(value), keywords, strict=True):
            content = getattr(value, each.name)
            if each.required and not keyword:
                items.append(self.source(content, each.name, type(value)))
            elif each.required or content != each.default:
                items.append(Labelled(each.name, self.source(content, each.name, type(value))))
        return Group(self._import(value), tuple(items))

    def _by_its_answer(self, value: Brought) -> Source:
        """The record as an answer brought it, or one like it with the fields that were altered; built if there is none."""
        # a row by the answer that admitted it, a proof by the latest that shows it
        known = self._brought if isinstance(value, Row) else self._brought[::-1]
        alike = [(path, each) for path, each in known if type(each) is type(value) and _alike(each, value)]
        if not alike:
            return self.record(value)
        path, nearest = min(alike, key=lambda each: len(differing(each[1], value)))
        altered = differing(nearest, value)
        if not altered:
            return self._use(path)
        self.imports.add("replace")
        changes = (Labelled(name, self.source(getattr(value, name), name, type(value))) for name in altered)
        return Group("replace", (self._use(path), *changes))

    def is_given(self, kind: str, text: str) -> bool:
        """Whether the caller made the text up."""
        return (kind, text) in self._given

    def text(self, text: str, kind: str | None) -> str:
        """A text as source, by the answer that brought it if it is of a kind that stores mint."""
        if kind is None:
            return simple(text)
        known = origin(text, self._values.get(kind, {}))
        if known is None:
            self._given.add((kind, text))
            return simple(text)
        name = self._use(self._values[kind][known])
        return name if known == text else f"{name} + {simple(text[len(known) :])}"

    def _use(self, path: str) -> str:
        self.used.update(re.findall(r"^\w+", path))
        return path

    def _import(self, value: object) -> str:
        name = type(value).__name__
        self.imports.add(name)
        return name


def laid_out(source: Source, indent: str = "", before: int = 0) -> str:
    """The source as text: on one line if it fits behind what stands `before` it, else broken into lines at the indent."""
    flat = on_one_line(source)
    # one column is for the comma behind an item
    if len(indent) + before + len(flat) < WIDTH or isinstance(source, str):
        return flat
    if isinstance(source, Labelled):
        return f"{source.name}={laid_out(source.value, indent, before + len(source.name) + 1)}"
    inner = indent + INDENT
    together = ", ".join(map(on_one_line, source.items)) + _lone_comma(source)
    if len(inner) + len(together) <= WIDTH:
        return f"{source.head}(\n{inner}{together}\n{indent})"
    lines = "".join(f"{inner}{laid_out(item, inner)},\n" for item in source.items)
    return f"{source.head}(\n{lines}{indent})"


def on_one_line(source: Source) -> str:
    """The source as text, however long."""
    if isinstance(source, str):
        return source
    if isinstance(source, Labelled):
        return f"{source.name}={on_one_line(source.value)}"
    return f"{source.head}({', '.join(map(on_one_line, source.items))}{_lone_comma(source)})"


def _lone_comma(group: Group) -> str:
    """What makes a tuple of a single item."""
    return "," if not group.head and len(group.items) == 1 else ""


def _records_in(value: object, path: str) -> Iterator[tuple[str, SessionExecutionLease | Claim | Row]]:
    """The leases, claims, inputs and batches that an answer shows, each with its expression."""
    if isinstance(value, SessionExecutionLease | Claim | Row):
        yield path, value
    if isinstance(value, tuple):
        for place, item in enumerate(value):
            yield from _records_in(item, f"{path}[{place}]")
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _records_in(getattr(value, name), f"{path}.{name}")


def _given_by(path: str, record: SessionExecutionLease | Claim | Row) -> Iterator[tuple[str, msgspec.Struct]]:
    """A record that can be shown to a store again, and the proofs that it gives."""
    if isinstance(record, SessionExecutionLease):
        yield f"{path}.fence()", record.fence()
        yield f"{path}.completion()", record.completion()
        return
    yield path, record
    if isinstance(record, Claim):
        yield f"{path}.completion()", record.completion()


def _alike(known: msgspec.Struct, value: msgspec.Struct) -> bool:
    """Whether the value can be written as the known record, altered: it tells of the same thing, or differs in one field."""
    altered = differing(known, value)
    named_alike = any(name not in altered for name in NAMING if name in value.__struct_fields__)
    return named_alike or (len(altered) <= 1 and not isinstance(value, Row))


def minted_in(value: object) -> set[str]:
    """Every value in an answer, or in arguments, that a store invents."""
    return {place.text for place in places(value)}


def texts(value: object) -> Iterator[str]:
    """Every text in a value, at any depth."""
    return (leaf.value for leaf in leaves(value) if isinstance(leaf.value, str))


_LONG_RUN = re.compile(r"(.)\1{63,}", re.DOTALL)


def simple(value: object) -> str:
    """A plain value: text in double quotes as far as that needs no more escapes, numbers at the ends of ranges by powers.

    Of a character that is repeated often it is said how often.
    """
    if type(value) is int:
        return _number(value)
    if isinstance(value, str) and (run := _LONG_RUN.search(value)):
        before, after = value[: run.start()], value[run.end() :]
        repeated = f"{simple(run[1])} * {len(run[0]):_}"
        return " + ".join(((simple(before),) if before else ()) + (repeated,) + ((simple(after),) if after else ()))
    plain = repr(value)
    if isinstance(value, str) and plain.startswith("'") and '"' not in value:
        return '"' + plain[1:-1].replace("\\'", "'") + '"'
    return plain


def _json(value: object) -> str:
    """JSON data as Python."""
    if isinstance(value, dict):
        items = tuple(f"{simple(key)}: {_json(item)}" for key, item in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_json(item) for item in value) + "]"
    return simple(value)


def _number(value: int) -> str:
    for power in (31, 32, 53, 63, 64):
        for offset in (-1, 0, 1):
            if value == 2**power + offset:
                return f"2**{power}" + (f" {'+' if offset > 0 else '-'} 1" if offset else "")
    return str(value)
