"""The protocol on the wire: values as JSON and back, read off the annotations of the abstract stores.

This is the form between the kit and an adapter. A record is an object of its fields, with its tag where it is one of several;
what is None and may be absent is left out, and a key that is none of its own is refused. Opaque values are plain JSON, bytes
base64, UUIDs lower-case text, members of an enumeration their words, refs of outputs bare texts. Integers are exact, and may
be larger than doubles can tell. The envelope of an event is the flat object of `events`. What is read was checked like
whatever a program builds.
"""

from __future__ import annotations

import base64
import binascii
import enum
import json
import types
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from operator import attrgetter
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from . import errors
from .errors import InvalidArgument, StoreError
from .events import AgentEventEnvelope, envelope_data, envelope_from_data
from .operations import OPERATIONS
from .output import OutputRef
from .session import SessionReadScope
from .values import Finite, Form, Json, Range, canonical_uuid, shown

Read = Callable[[Any, str], Any]
"""Reads JSON data that stands at a place; raises `InvalidArgument` that names the place."""

Write = Callable[[Any], Any]
"""Gives a value as JSON data."""

ERRORS: dict[str, type[StoreError]] = {
    name: each
    for name, each in vars(errors).items()
    if isinstance(each, type) and issubclass(each, StoreError) and each is not StoreError and not name.startswith("_")
}
"""Every kind of refusal by its name."""


AS_IT_IS = frozenset((str, int, bool, float, type(None)))
"""What JSON has too."""

_LINE = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def as_line(data: Any) -> str:
    """JSON data as a line of the wire, with its end. Raises `ValueError` for what JSON cannot say, such as NaN."""
    return _LINE.encode(data) + "\n"


def to_wire(value: Any) -> Any:
    """The value as JSON data: what `json.dumps` takes."""
    kind = type(value)
    if kind in AS_IT_IS:
        return value
    write = _WRITERS.get(kind)
    if write is None:
        write = _WRITERS[kind] = _writer_of(kind)
    return write(value)


_WRITERS: dict[type[Any], Write] = {}


def _writer_of(kind: type[Any]) -> Write:
    if issubclass(kind, AgentEventEnvelope):
        return envelope_data
    if issubclass(kind, OutputRef):
        return attrgetter("value")
    if issubclass(kind, msgspec.Struct):
        return _record_writer(kind)
    if issubclass(kind, StoreError):
        return _error_to_wire
    if issubclass(kind, tuple | list):
        return lambda items: [to_wire(item) for item in items]
    if issubclass(kind, Json):
        return Json.value
    if issubclass(kind, bytes):
        return lambda value: base64.b64encode(value).decode()
    if issubclass(kind, enum.Enum):
        return attrgetter("value")
    return str if issubclass(kind, UUID) else lambda value: value


def _record_writer(kind: type[msgspec.Struct]) -> Write:
    config = kind.__struct_config__
    tag = {} if config.tag_field is None else {config.tag_field: config.tag}
    # the key and the name of each field, and whether it is left out where it is None
    keys = [(each.encode_name, each.name, each.default is None) for each in msgspec.structs.fields(kind)]

    def write(record: Any) -> dict[str, Any]:
        data: dict[str, Any] = {**tag}
        for key, name, may_be_absent in keys:
            value = getattr(record, name)
            if value is not None or not may_be_absent:
                data[key] = to_wire(value)
        return data

    return write


def _error_to_wire(error: StoreError) -> dict[str, Any]:
    return {"kind": error.kind} | {name: to_wire(getattr(error, name)) for name, _ in error_fields(type(error))}


def arguments_to_wire(operation: str, arguments: tuple[object, ...]) -> dict[str, Any]:
    """The arguments of a call, by their names."""
    names = [name for name, _ in OPERATIONS[operation].parameters]
    return {name: to_wire(value) for name, value in zip(names, arguments, strict=True)}


def arguments_from_wire(operation: str, data: Any) -> tuple[Any, ...]:
    """The arguments of a call, in the order of its parameters. Raises `InvalidArgument`."""
    readers = _parameters(operation)
    given = _object(data, "arguments", readers, set())
    return tuple([read(given[name], name) for name, read in readers.items()])


def argument_from_wire(operation: str, name: str, data: Any) -> Any:
    """The argument of this name alone. Raises `InvalidArgument`."""
    return reader_of(hints_of(operation)[name])(data, name)


def answer_from_wire(operation: str, data: Any) -> Any:
    """The answer of a call. Raises `InvalidArgument` for what the call cannot answer."""
    return reader_of(hints_of(operation)["return"])(data, "answer")


def error_from_wire(data: Any) -> StoreError:
    """A refusal. Raises `InvalidArgument` for a kind that there is not, or fields that are not its own."""
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str) or data["kind"] not in ERRORS:
        raise InvalidArgument("error", shown(data), f"an object whose kind is one of {', '.join(sorted(ERRORS))}")
    kind = ERRORS[data["kind"]]
    hints = dict(error_fields(kind))
    given = _object(data, "error", hints, for_people(kind) | {"kind"})
    return kind(**{name: reader_of(hints[name])(value, f"error.{name}") for name, value in given.items() if name != "kind"})


@cache
def reader_of(annotation: Any) -> Read:
    """How JSON data becomes a value of this annotation."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _limited(arguments[0], arguments[1])
    if origin is tuple:
        return _items(reader_of(arguments[0]))
    if origin in (Union, types.UnionType):
        return _one_of(arguments)
    if annotation is AgentEventEnvelope:
        return _envelope
    if annotation is OutputRef:
        return _ref
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return _record(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return _member(annotation)
    return _SCALARS[annotation]


@cache
def _parameters(operation: str) -> dict[str, Read]:
    return {name: reader_of(hint) for name, hint in hints_of(operation).items() if name != "return"}


@cache
def hints_of(operation: str) -> dict[str, Any]:
    """The annotations of an operation's parameters, and that of its answer, `return`."""
    return get_type_hints(OPERATIONS[operation].method, include_extras=True)


def for_people(kind: type[StoreError]) -> set[str]:
    """The fields of a refusal that need not be sent: its texts."""
    return {each.name for each in fields(kind) if each.default == ""}  # type: ignore[arg-type]  # every kind is a dataclass


def error_fields(kind: type[StoreError]) -> tuple[tuple[str, Any], ...]:
    """The fields of a refusal by their names, with their annotations."""
    hints = get_type_hints(kind, include_extras=True)
    known = [each.name for each in fields(kind)]  # type: ignore[arg-type]  # every kind is a dataclass
    # the one field whose type stands above the errors
    return tuple((name, SessionReadScope if hints[name] is object else hints[name]) for name in known)


def _object(data: Any, where: str, known: dict[str, Any], optional: set[str]) -> dict[str, Any]:
    """The object, if it has no keys but known ones, and all of them that are not optional."""
    if not isinstance(data, dict):
        raise InvalidArgument(where, shown(data), f"an object with {', '.join(known) or 'no keys'}")
    if data.keys() == known.keys():
        return data
    missing, unknown = sorted(known.keys() - data.keys() - optional), sorted(data.keys() - known.keys() - optional)
    if missing or unknown:
        raise InvalidArgument(where, f"an object {_keys(missing, unknown)}", f"just {', '.join(known) or 'no keys'}")
    return data


def _keys(missing: list[str], unknown: list[str]) -> str:
    return " and ".join(
        (*([f"without {', '.join(missing)}"] if missing else []), *([f"with {', '.join(unknown)}"] if unknown else []))
    )


def _limited(kind: Any, limits: Range | Form | Finite) -> Read:
    read = reader_of(kind)
    if isinstance(limits, Finite):
        # JSON does not tell 1 from 1.0
        return lambda data, where: float(data) if type(data) is int else read(data, where)
    if isinstance(limits, Form):
        return read

    def number(data: Any, where: str) -> int:
        if type(data) is not int or not limits.least <= data <= limits.most:
            raise InvalidArgument(where, shown(data), str(limits))
        return data

    return number


def _items(read: Read) -> Read:
    def items(data: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(data, list):
            raise InvalidArgument(where, shown(data), "an array")
        return tuple([read(item, f"{where}[{place}]") for place, item in enumerate(data)])

    return items


def _one_of(options: tuple[Any, ...]) -> Read:
    records = {str(each.__struct_config__.tag): each for each in options if is_record(each)}
    others = [each for each in options if not is_record(each) and each is not type(None)]
    nothing = type(None) in options
    first = next(iter(records.values()), None)
    field = first.__struct_config__.tag_field if first else None

    def read(data: Any, where: str) -> Any:
        # where opaque JSON may be absent too, null is a value, and a field that is absent is left out
        if data is None and nothing and Json not in options:
            return None
        if others and not (records and isinstance(data, dict)):
            return reader_of(others[0])(data, where)
        if len(records) == 1:
            return reader_of(first)(data, where)
        found = records.get(str(data.get(field))) if isinstance(data, dict) else None
        if found is None:
            raise InvalidArgument(where, shown(data), f"an object whose {field} is one of {', '.join(records)}")
        return reader_of(found)(data, where)

    return read


def is_record(annotation: Any) -> bool:
    """Whether it is the class of a record."""
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def _record(kind: type[msgspec.Struct]) -> Read:
    config = kind.__struct_config__
    described = {each.encode_name: each for each in msgspec.structs.fields(kind)}
    tag = set() if config.tag_field is None else {config.tag_field}
    optional = tag | {name for name, each in described.items() if not each.required}
    tag_field = config.tag_field or ""
    required, allowed = frozenset(described) - optional, frozenset(described) | tag

    def read(data: Any, where: str) -> Any:
        is_whole = type(data) is dict and data.keys() >= required and allowed.issuperset(data)
        given = data if is_whole else _object(data, where, described, optional)
        fields = _fields(kind)
        if tag and given.get(tag_field, config.tag) != config.tag:
            raise InvalidArgument(f"{where}.{tag_field}", shown(given[tag_field]), repr(config.tag))
        try:
            return kind(
                **{
                    name: given[key] if is_plain else read_field(given[key], f"{where}.{key}")
                    for key, name, read_field, is_plain in fields
                    if key in given
                }
            )
        except InvalidArgument:
            # what is plain is checked by the record itself, which does not know where it stands
            for key, _, read_field, is_plain in fields:
                if is_plain and key in given:
                    read_field(given[key], f"{where}.{key}")
            raise

    return read


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, Read, bool], ...]:
    """The key, the name and the reader of each field, and whether JSON carries its values as they are.

    Asked for late: a record may hold others of its kind.
    """
    hints = get_type_hints(kind, include_extras=True)
    described = ((each, hints[each.name]) for each in msgspec.structs.fields(kind))
    return tuple((each.encode_name, each.name, reader_of(hint), _is_plain(hint)) for each, hint in described)


def _is_plain(annotation: Any) -> bool:
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return isinstance(arguments[1], Range | Form)
    if get_origin(annotation) in (Union, types.UnionType):
        return all(map(_is_plain, arguments))
    return annotation in (str, int, bool, type(None))


def _member(kind: type[enum.Enum]) -> Read:
    def read(data: Any, where: str) -> enum.Enum:
        try:
            return kind(data)
        except ValueError:
            words = ", ".join(repr(each.value) for each in kind)
            raise InvalidArgument(where, shown(data), f"one of {words}") from None

    return read


def _envelope(data: Any, where: str) -> AgentEventEnvelope:
    if not isinstance(data, dict):
        raise InvalidArgument(where, shown(data), "the flat object of an event")
    try:
        return envelope_from_data(data)
    except InvalidArgument as error:
        raise InvalidArgument(where, error.received, error.expected) from error


def _ref(data: Any, where: str) -> OutputRef:
    return OutputRef(_SCALARS[str](data, where))


def _plain(kind: type, what: str) -> Read:
    def read(data: Any, where: str) -> Any:
        if type(data) is not kind:
            raise InvalidArgument(where, shown(data), what)
        return data

    return read


def _bytes(data: Any, where: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise InvalidArgument(where, shown(data), "bytes in base64") from None


def _json(data: Any, where: str) -> Json:
    try:
        return Json(data)
    except InvalidArgument as error:
        raise InvalidArgument(where, error.received, error.expected) from error


_SCALARS: dict[Any, Read] = {
    str: _plain(str, "a text"),
    int: _plain(int, "an integer"),
    float: _plain(float, "a number"),
    bool: _plain(bool, "true or false"),
    type(None): _plain(type(None), "null"),
    bytes: _bytes,
    UUID: canonical_uuid,
    Json: _json,
}
