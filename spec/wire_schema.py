"""The JSON Schema of the protocol on the wire, read off the same annotations as its form (see `wire`)."""

from __future__ import annotations

import enum
import types
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from .errors import StoreError
from .events import EVENT_TYPES, AgentEventEnvelope
from .operations import OPERATIONS
from .output import OutputRef
from .values import Finite, Form, Json, Range
from .wire import ERRORS, error_fields, for_people, hints_of, is_record


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of every operation: its arguments and its answer; and of every refusal."""
    definitions: dict[str, Any] = {}
    operations = {}
    for name in OPERATIONS:
        hints = dict(hints_of(name))
        answer = hints.pop("return")
        operations[name] = {
            "arguments": _closed({key: _schema_of(hint, definitions) for key, hint in hints.items()}, list(hints)),
            "answer": _schema_of(answer, definitions),
        }
    refusals = {name: _error_schema(kind, definitions) for name, kind in sorted(ERRORS.items())}
    return {"operations": operations, "errors": refusals, "$defs": dict(sorted(definitions.items()))}


def _closed(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _error_schema(kind: type[StoreError], definitions: dict[str, Any]) -> dict[str, Any]:
    own = {name: _schema_of(hint, definitions) for name, hint in error_fields(kind)}
    required = [name for name in own if name not in for_people(kind)]
    return _closed({"kind": {"const": kind.__name__}} | own, ["kind", *required])


def _schema_of(annotation: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _schema_of(arguments[0], definitions) | _limits(arguments[1])
    if origin is tuple:
        return {"type": "array", "items": _schema_of(arguments[0], definitions)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema_of(each, definitions) for each in arguments]}
    if annotation is OutputRef:
        return dict(_SCHEMAS[str])
    if is_record(annotation):
        if annotation.__name__ not in definitions:
            # named first: a record may hold others of its kind
            definitions[annotation.__name__] = {}
            definitions[annotation.__name__] = _record_schema(annotation, definitions)
        return {"$ref": f"#/$defs/{annotation.__name__}"}
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return {"enum": [each.value for each in annotation]}
    return dict(_SCHEMAS[annotation])


def _record_schema(kind: type[msgspec.Struct], definitions: dict[str, Any]) -> dict[str, Any]:
    if kind is AgentEventEnvelope:
        head = {
            "event_id": dict(_SCHEMAS[UUID]),
            "sequence": {"type": "integer", "minimum": 0},
            "timestamp": {"type": "string"},
        }
        known = {"type": "string", "examples": sorted(EVENT_TYPES)}
        return {"type": "object", "properties": head | {"type": known}, "required": [*head, "type"]}
    hints, config = get_type_hints(kind, include_extras=True), kind.__struct_config__
    own = {each.encode_name: _schema_of(hints[each.name], definitions) for each in msgspec.structs.fields(kind)}
    required = [each.encode_name for each in msgspec.structs.fields(kind) if each.required]
    if config.tag_field is None:
        return _closed(own, required)
    return _closed({config.tag_field: {"const": config.tag}} | own, [config.tag_field, *required])


def _limits(limits: Range | Form | Finite) -> dict[str, Any]:
    if isinstance(limits, Range):
        return {"minimum": limits.least, "maximum": limits.most}
    return {"pattern": f"^({limits.pattern})$"} if isinstance(limits, Form) else {}


_SCHEMAS: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    UUID: {"type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
    Json: {},
}
