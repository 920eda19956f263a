"""What calls and answers are made of: texts, numbers and the like, in the fields of records and the items of tuples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

import msgspec
from fencepost.spec import InvalidArgument
from fencepost.spec.operations import OPERATIONS
from msgspec.structs import replace

from .checker import Call, Event

Whole: TypeAlias = tuple[type, ...]
"""Kinds of records that are taken as they are, and not for what they are made of."""


class Leaf(NamedTuple):
    """A value that is made of no others: the path to it, the field or parameter, and the kind of record that it stands in."""

    path: str
    field: str
    record: type | None
    value: Any


def leaves(value: object, path: str = "", field: str = "", record: type | None = None, whole: Whole = ()) -> Iterator[Leaf]:
    """Every leaf of a value that stands in this field."""
    if isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]", field, record, whole)
    elif isinstance(value, msgspec.Struct) and not isinstance(value, whole):
        for name in value.__struct_fields__:
            yield from leaves(getattr(value, name), f"{path}.{name}", name, type(value), whole)
    else:
        yield Leaf(path, field, record, value)


def leaves_of(call: Call, whole: Whole = ()) -> Iterator[Leaf]:
    """Every leaf of the arguments of a call."""
    for (name, _), argument in zip(OPERATIONS[call.operation].parameters, call.arguments, strict=True):
        yield from leaves(argument, name, name, None, whole)


Other: TypeAlias = Callable[[Leaf], Any]
"""Gives another value for a leaf, or its own. The path is left empty."""


def with_others(call: Call, other: Other, whole: Whole = ()) -> Call:
    """The call with other leaves. Raises `InvalidArgument` if there is no such call."""
    named = zip(OPERATIONS[call.operation].parameters, call.arguments, strict=True)
    return Call(call.operation, tuple(_with_others(value, other, whole, name) for (name, _), value in named))


def _with_others(value: Any, other: Other, whole: Whole, field: str, record: type | None = None) -> Any:
    if isinstance(value, tuple):
        return tuple(_with_others(item, other, whole, field, record) for item in value)
    if not isinstance(value, msgspec.Struct) or isinstance(value, whole):
        return other(Leaf("", field, record, value))
    fields = {name: _with_others(getattr(value, name), other, whole, name, type(value)) for name in value.__struct_fields__}
    changed = {name: new for name, new in fields.items() if new is not getattr(value, name)}
    return replace(value, **changed) if changed else value


def in_all_calls(program: tuple[Event, ...], change: Callable[[Call], Call]) -> tuple[Event, ...] | None:
    """The program with each call changed; None if there is no such program."""
    try:
        return tuple(
            event._replace(action=change(event.action)) if isinstance(event.action, Call) else event for event in program
        )
    except InvalidArgument:
        return None
