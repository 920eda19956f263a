"""Records to stored JSON and back.

A stored record is the JSON of its `spec` type. Opaque `Json` values stand in it as text: they come back as they went, and
nothing in between turns their numbers into others (VALUE-8).
"""

from __future__ import annotations

import hashlib
import json
from types import UnionType
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from ..spec import (
    Backend,
    BlobRef,
    InvalidRecordSchemaVersion,
    Json,
    MissingRecordSchemaVersion,
    UnsupportedRecordSchemaVersion,
)

T = TypeVar("T")

SCHEMA_VERSION = 1
"""The version of every versioned record."""

U32_MAX = 2**32 - 1


def encoded(record: object) -> str:
    """The stored JSON of a record, equal for equal records."""
    return _encoder.encode(record).decode()


def decoded(kind: type[T] | UnionType, text: object, what: str) -> T:
    """The record stored as `text`. Raises `Backend`, naming `what`, if it is none."""
    try:
        if not isinstance(text, str | bytes):
            raise ValueError(f"{text!r} where JSON belongs")
        answer: T = _decoder(kind).decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Backend(f"the stored {what} cannot be decoded: {error}") from error
    return answer


def decoded_versioned(kind: type[T], text: object, what: str) -> T:
    """The record stored as `text`, if it says that it has our schema version.

    Raises `UnsupportedRecordSchemaVersion`, `MissingRecordSchemaVersion`, `InvalidRecordSchemaVersion`, each before
    anything else of the record is looked at, or `Backend`.
    """
    require_schema_version(decoded(_Versioned, text, what).schema_version, what)
    return decoded(kind, text, what)


def require_schema_version(version: object, what: str, expected: int = SCHEMA_VERSION) -> None:
    """Raise the schema version error that says what is wrong with this version, unless it is ours."""
    if version is msgspec.UNSET:
        raise MissingRecordSchemaVersion(what, expected)
    # 1.0 and true are no versions, although they equal one
    if type(version) is not int or not 0 <= version <= U32_MAX:
        raise InvalidRecordSchemaVersion(what, _shown(version), expected)
    if version != expected:
        raise UnsupportedRecordSchemaVersion(what, version, expected)


def lookup(*names: str | UUID) -> str:
    """What a row is found by that has several names, or long ones: DuckDB looks up single columns only."""
    return hashlib.sha256(encoded(names).encode()).hexdigest()


def number_of(*names: str) -> int:
    """A number that other names seldom have: a column of numbers is scanned faster than rows are found by several texts."""
    return int(lookup(*names)[:16], 16)


class Blob(NamedTuple):
    """Stored bytes of one kind, under a ref. The kind is part of the address: equal bytes of two kinds are two blobs."""

    ref: BlobRef
    kind: str
    data: bytes

    @classmethod
    def addressed(cls, kind: str, data: bytes) -> Blob:
        """The blob under its content address: hex SHA-256 over kind and bytes (COMMIT-26)."""
        return cls(hashlib.sha256(kind.encode() + b"\0" + data).hexdigest(), kind, data)


class _Versioned(msgspec.Struct):
    schema_version: Any = msgspec.UNSET


def _shown(version: object) -> str:
    return version if isinstance(version, str) else json.dumps(version)


def _json_to_text(value: object) -> str:
    if isinstance(value, Json):
        return value.text
    raise NotImplementedError(f"no stored form of {type(value).__name__}")


def _text_to_json(kind: type, text: object) -> object:
    if kind is not Json or not isinstance(text, str):
        raise ValueError(f"{text!r} where the text of a JSON value belongs")
    _syntax.decode(text)
    # the text was canonical when it was stored: building the value anew would cost ten times as much
    value = Json.__new__(Json)
    object.__setattr__(value, "text", text)
    return value


_syntax = msgspec.json.Decoder(msgspec.Raw)
_encoder = msgspec.json.Encoder(enc_hook=_json_to_text)


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    if kind not in _decoders:
        _decoders[kind] = msgspec.json.Decoder(kind, dec_hook=_text_to_json)
    return _decoders[kind]
