"""Values as Python source: records by their constructors, minted values by the answers that brought them."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from inspect import Parameter, signature
from typing import NamedTuple

import msgspec
from fencepost.spec import (
    Acquired,
    Busy,
    Json,
    LeaseOwnerIdentity,
    SessionExecutionLease,
    StoreError,
)
from fencepost.spec.lease import LeaseProof, SessionExecutionLeaseFence

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


def is_minted(field: str) -> bool:
    """Whether the store invents what stands in a field of this name."""
    return field == "lease_token" or field.endswith("_ref")


class Minted:
    """What answers have brought so far, each under the expression that leads to it, such as `a1.lease`."""

    def __init__(self) -> None:
        self.used: set[str] = set()
        self.imports: set[str] = set()
        self.owners: dict[LeaseOwnerIdentity, str] = {}
        self._leases: list[tuple[str, SessionExecutionLease]] = []
        self._values: dict[str, str] = {}

    def learn(self, variable: str, answer: object) -> None:
        """Remember leases and minted values of an answer; the first that brought a value gives it its name."""
        match answer:
            case Acquired(lease=lease):
                self._leases.append((f"{variable}.lease", lease))
            case Busy(holder=lease):
                self._leases.append((f"{variable}.holder", lease))
            case SessionExecutionLease():
                self._leases.append((variable, answer))
        for path, value in _minted_paths(answer, variable):
            self._values.setdefault(value, path)

    def named(self, value: str) -> str | None:
        """The expression of a minted value; None if no answer brought it."""
        return self._use(self._values[value]) if value in self._values else None

    def leases(self) -> Iterator[tuple[str, SessionExecutionLease]]:
        """All leases answered so far, the newest first."""
        return reversed(self._leases)

    def source(self, value: object, field: str = "") -> Source:
        """The value as source."""
        if isinstance(value, LeaseProof):
            return self._proof(value)
        if isinstance(value, LeaseOwnerIdentity):
            return self.owners.setdefault(value, f"owner{len(self.owners) + 1}")
        if isinstance(value, str):
            return self._text(value, field)
        if isinstance(value, msgspec.Struct):
            return self.record(value)
        if isinstance(value, tuple):
            return Group("", tuple(self.source(item) for item in value))
        if isinstance(value, StoreError):
            names = tuple(vars(value))
            return Group(self._import(value), tuple(self.source(getattr(value, name)) for name in names))
        if isinstance(value, enum.Enum):
            return f"{self._import(value)}.{value.name}"
        if isinstance(value, Json):
            return Group(self._import(value), (_json(value.value()),))
        return simple(value)

    def record(self, value: msgspec.Struct) -> Source:
        """A record by its constructor, without the fields that have their defaults."""
        keywords = [each.kind is Parameter.KEYWORD_ONLY for each in signature(type(value)).parameters.values()]
        items: list[Source] = []
        for each, keyword in zip(msgspec.structs.fields(value), keywords, strict=True):
            content = getattr(value, each.name)
            if each.required and not keyword:
                items.append(self.source(content, each.name))
            elif each.required or content != each.default:
                items.append(Labelled(each.name, self.source(content, each.name)))
        return Group(self._import(value), tuple(items))

    def _proof(self, proof: LeaseProof) -> Source:
        """A proof by the lease it was taken from, with the fields that were altered; by its constructor if there is none."""
        give = "fence" if isinstance(proof, SessionExecutionLeaseFence) else "completion"
        nearest: tuple[str, SessionExecutionLease] | None = None
        for path, lease in self.leases():
            altered = _altered(lease, proof)
            if not altered:
                return f"{self._use(path)}.{give}()"
            if nearest is None and len(altered) == 1:
                nearest = (path, lease)
        if nearest is None:
            return self.record(proof)
        path, lease = nearest
        self.imports.add("replace")
        changes = tuple(Labelled(name, self._change(path, lease, proof, name)) for name in _altered(lease, proof))
        return Group("replace", (f"{self._use(path)}.{give}()", *changes))

    def _change(self, path: str, lease: SessionExecutionLease, proof: LeaseProof, name: str) -> Source:
        ours, theirs = getattr(lease, name), getattr(proof, name)
        if name == "lease_token" and theirs.startswith(ours):
            return f"{path}.lease_token + {simple(theirs[len(ours) :])}"
        return self.source(theirs, name)

    def _text(self, value: str, field: str) -> str:
        return (self.named(value) if is_minted(field) else None) or simple(value)

    def _use(self, path: str) -> str:
        self.used.add(path.partition(".")[0])
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


def _altered(lease: SessionExecutionLease, proof: LeaseProof) -> list[str]:
    return [name for name in LeaseProof.__struct_fields__ if getattr(lease, name) != getattr(proof, name)]


def _minted_paths(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, tuple):
        for place, item in enumerate(value):
            yield from _minted_paths(item, f"{path}[{place}]")
    if not isinstance(value, msgspec.Struct):
        return
    for name in value.__struct_fields__:
        content = getattr(value, name)
        if is_minted(name) and isinstance(content, str):
            yield f"{path}.{name}", content
        else:
            yield from _minted_paths(content, f"{path}.{name}")


def minted_in(value: object) -> set[str]:
    """Every value in an answer, or in arguments, that a store invents."""
    return {minted for _, minted in _minted_paths(value, "")}


def texts(value: object) -> Iterator[str]:
    """Every text in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from texts(item)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from texts(getattr(value, name))


def simple(value: object) -> str:
    """A plain value: text in double quotes as far as that needs no more escapes, numbers at the ends of ranges by powers."""
    if type(value) is int:
        return _number(value)
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
