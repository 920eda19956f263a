"""Values that the wire has no form for, because no signature admits them: each by the name of its type."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

import fencepost.spec as spec
import msgspec
from fencepost.spec import InvalidArgument
from fencepost.spec.values import shown
from fencepost.spec.wire import reader_of, to_wire


class Unsayable(Exception):  # no error, but an answer
    """A value that does not come back as it was."""


def said(value: object, read: Callable[[Any], object]) -> Any:
    """The value as JSON data that reads back as it was. Raises `Unsayable`."""
    try:
        data = to_wire(value)
        back = read(json.loads(json.dumps(data, allow_nan=False)))
    except Exception as error:
        # it may be any object at all, with any kind of fault
        raise Unsayable from error
    if type(back) is not type(value) or back != value:
        raise Unsayable
    return data


def tagged(value: object) -> dict[str, Any]:
    """The value under the name of its type; one that has no form at all by its looks, as `{"shown": TEXT}`."""
    if value is None:
        return {"none": None}
    if type(value) is bool:
        return {"bool": value}
    if type(value) in (int, float, str):
        return {type(value).__name__: str(value)}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, tuple):
        return {"tuple": [tagged(item) for item in value]}
    if isinstance(value, msgspec.Struct):
        try:
            return {"record": type(value).__name__, "value": said(value, lambda data: _record(type(value).__name__, data))}
        except Unsayable:
            pass
    return {"shown": repr(value)}


def untagged(data: Any) -> Any:
    """The value again. Raises `InvalidArgument` for what is no such form, and for a value that had none."""
    match data:
        case {"record": str() as name, "value": value}:
            return _record(name, value)
        case {"tuple": list() as items}:
            return tuple(map(untagged, items))
        case {"none": None}:
            return None
        case {"bool": bool() as value}:
            return value
    (name, text), *_ = data.items() if isinstance(data, dict) and data else [("", None)]
    read = _TEXTS.get(name)
    try:
        if read is not None and isinstance(text, str):
            return read(text)
    except (ValueError, binascii.Error):
        pass
    raise InvalidArgument("invalid", shown(data), "an object of one key, the name of a type")


_TEXTS: dict[str, Callable[[str], object]] = {
    "int": int,
    "float": float,
    "str": str,
    "bytes": lambda text: base64.b64decode(text, validate=True),
}


def _record(name: str, data: Any) -> object:
    kind = getattr(spec, name, None)
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        raise InvalidArgument("record", shown(name), "the name of a record of fencepost.spec")
    return reader_of(kind)(data, name)
