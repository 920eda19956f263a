"""What values are: ranges, text, opaque JSON, and records that cannot be built wrong.

A record checks its own fields when it is built, so a value that exists is a valid value, however deep, and a call has
only its outermost arguments left to check (VALUE-1, VALUE-2). Records are frozen and hold tuples, opaque payloads are
kept as canonical text: nobody can change a stored value through an object of theirs (VALUE-4).
"""

from __future__ import annotations

import enum
import json
import math
import re
import types
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeAlias, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import icontract
import msgspec

from .errors import InvalidArgument

U64_MAX = 2**64 - 1
"""The largest unsigned 64-bit number: sums of times saturate here (LEASE-8)."""


class Range(NamedTuple):
    """The numbers a field may hold, both ends included."""

    least: int
    most: int
    name: str

    def __str__(self) -> str:
        return f"an integer from {self.least} to {self.most} ({self.name})"


U64 = Annotated[int, Range(0, U64_MAX, "u64")]
U32 = Annotated[int, Range(0, 2**32 - 1, "u32")]
I64 = Annotated[int, Range(-(2**63), 2**63 - 1, "i64")]


class Form(NamedTuple):
    """The texts that a field may hold: those that match a pattern as a whole."""

    pattern: str
    name: str


Instant = Annotated[
    str,
    Form(
        r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d{1,9})?"
        r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
        "an RFC 3339 date and time with at most nanoseconds",
    ),
]


class Finite(NamedTuple):
    """Every double but NaN and the infinities."""

    name: str = "a finite float"


F64 = Annotated[float, Finite()]


def canonical_uuid(text: object, where: str) -> UUID:
    """The UUID that is written so. Raises `InvalidArgument`, naming the place, for any other text or value."""
    try:
        found = UUID(text) if isinstance(text, str) else None
    except ValueError:
        found = None
    if found is None or str(found) != text:
        raise InvalidArgument(where, shown(text), "a UUID, lower-case and hyphenated")
    return found


def printable(text: str) -> str:
    """The text with all that does not print, such as controls and lone surrogates, written as Python does."""
    return text if text.isprintable() else "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def text_of(error: BaseException) -> str:
    """What an exception says, however it says it: those of stores are of any kind."""
    try:
        return str(error)
    except Exception as another:
        return f"its text cannot be had, which raised {type(another).__name__}"


def saturating_add(left: int, right: int) -> int:
    """The sum, clamped to the largest u64."""
    return min(left + right, U64_MAX)


JSON_DEPTH = 128
"""How many lists and objects may stand inside each other in a JSON value: known backends decode no deeper ones."""


class Json:
    """An opaque JSON value: hashable, immutable, equal when the JSON is equal.

    The order of object keys does not count; `1`, `1.0` and `true` are three different values (VALUE-8). Built from plain
    Python data; `value()` gives a fresh copy of it. Raises `InvalidArgument` for what JSON cannot carry: other types,
    NaN, infinities, lone surrogates, keys that are no text, more than `JSON_DEPTH` levels, integers of more digits than Python
    reads.
    """

    __slots__ = ("text",)
    text: str

    def __init__(self, value: object = None) -> None:
        problem = _json_problem(value)
        if problem is not None:
            raise InvalidArgument("Json", problem, "a JSON value")
        try:
            text = canonical_json(value)
        except ValueError as error:
            raise InvalidArgument("Json", f"a number Python cannot write: {error}", "a JSON value") from error
        object.__setattr__(self, "text", text)

    @classmethod
    def parse(cls, text: str | bytes) -> Json:
        """The value of a JSON text; `InvalidArgument` if it is none."""
        try:
            return cls(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise InvalidArgument("Json", repr(text)[:80], "a JSON text") from error

    def value(self) -> Any:
        """A fresh copy as plain Python data."""
        return json.loads(self.text)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Json is immutable: cannot set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Json is immutable: cannot delete {name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Json) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Json({self.value()!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (Json, (self.value(),))


def canonical_json(value: object) -> str:
    """JSON without white space, object keys in code-point order, text unescaped."""
    return _CANONICAL.encode(value)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


_AS_IT_IS, _NESTED = (type(None), bool, int), (list, tuple, dict)


def _json_problem(value: object) -> str | None:
    """What JSON cannot carry inside the value, or None."""
    pending = [(value, 0)]
    while pending:
        item, depth = pending.pop()
        if isinstance(item, _AS_IT_IS):
            continue
        if isinstance(item, str):
            if not (item.isascii() or _is_text(item)):
                return f"{item!r} (a lone surrogate)"
        elif isinstance(item, float):
            if item != item or item in (float("inf"), float("-inf")):
                return repr(item)
        elif isinstance(item, _NESTED):
            if depth == JSON_DEPTH:
                return f"more than {JSON_DEPTH} levels of lists and objects"
            if isinstance(item, dict):
                if not all(isinstance(key, str) for key in item):
                    return f"an object with the keys {shown(list(item))}"
                pending.extend([(inner, depth + 1) for inner in item.values()])
            pending.extend([(inner, depth + 1) for inner in item])
        else:
            return f"{type(item).__name__} {shown(item)}"
    return None


def shown(value: object) -> str:
    """The value as messages show it: cut short, and by its type alone if it cannot be written."""
    try:
        text = printable(repr(value)[: SHOWN + 1])
    # a number of 5,000 digits, a list inside itself, anybody's own __repr__: the refusal must not fail on them
    except Exception:
        return f"a value of type {type(value).__name__}"
    if len(text) <= SHOWN:
        return text
    words, _, rest = text[:SHOWN].rpartition(" ")
    # a text without a blank for long is cut in its middle
    return f"{words if len(rest) < SHOWN // 2 else text[:SHOWN]} …"


SHOWN = 200
"""How many characters of a value a message shows."""


def _is_text(value: str) -> bool:
    """Whether UTF-8 can carry the text (a lone surrogate it cannot)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class Check(NamedTuple):
    """A test of one value, with the words for what it accepts."""

    accepts: Callable[[Any], bool]
    expected: str


@cache
def check_for(annotation: Any) -> Check:
    """The check of a field or parameter with this annotation."""
    if annotation is str:
        return Check(lambda value: type(value) is str and (value.isascii() or _is_text(value)), "text that UTF-8 can carry")
    if annotation is bool or annotation is bytes:
        return Check(lambda value: type(value) is annotation, annotation.__name__)
    if annotation is UUID:
        return Check(lambda value: type(value) is UUID, "a uuid.UUID")
    if annotation is None or annotation is type(None):
        return Check(lambda value: value is None, "None")
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _annotated_check(arguments[1])
    if origin is tuple:
        item = check_for(arguments[0])
        return Check(
            lambda value: type(value) is tuple and all(map(item.accepts, value)), f"a tuple, each item {item.expected}"
        )
    if origin in (Union, types.UnionType):
        options = [check_for(argument) for argument in arguments]
        if all(isinstance(argument, type) and issubclass(argument, _BY_CLASS) for argument in arguments):
            return Check(lambda value: type(value) in arguments, " or ".join(option.expected for option in options))
        return Check(
            lambda value: any(option.accepts(value) for option in options), " or ".join(option.expected for option in options)
        )
    if isinstance(annotation, type) and issubclass(annotation, _BY_CLASS):
        return Check(lambda value: type(value) is annotation, annotation.__name__)
    raise TypeError(f"no check for values annotated {annotation!r}")


def _annotated_check(limits: Range | Form | Finite) -> Check:
    if isinstance(limits, Form):
        matches = re.compile(limits.pattern, re.ASCII).fullmatch
        return Check(lambda value: type(value) is str and matches(value) is not None, limits.name)
    if isinstance(limits, Finite):
        return Check(lambda value: type(value) is float and math.isfinite(value), limits.name)
    return _range_check(limits)


def _range_check(numbers: Range) -> Check:
    # `type(value) is int` and not isinstance: True and False are no numbers here (VALUE-1)
    return Check(lambda value: type(value) is int and numbers.least <= value <= numbers.most, str(numbers))


def require_valid(argument: str, value: object, check: Check) -> None:
    """Raise `InvalidArgument` naming the argument, the value and what was expected, unless the check accepts the value."""
    if not check.accepts(value):
        raise InvalidArgument(argument, shown(value), check.expected)


class Record(msgspec.Struct, frozen=True):
    """A frozen value whose fields were checked when it was built."""

    def __post_init__(self) -> None:
        for name, accepts in _field_checks(self.__class__):
            if not accepts(getattr(self, name)):
                hint = get_type_hints(type(self), include_extras=True)[name]
                require_valid(f"{type(self).__name__}.{name}", getattr(self, name), check_for(hint))


@cache
@icontract.ensure(lambda record: record.__struct_config__.frozen, description="VALUE-4")
def _field_checks(record: type[Record]) -> tuple[tuple[str, Callable[[Any], bool]], ...]:
    hints = get_type_hints(record, include_extras=True)
    return tuple((name, check_for(hints[name]).accepts) for name in record.__struct_fields__)


_BY_CLASS = (Json, Record, enum.Enum)
"""Values of these were checked when they were made: their class is all there is to check."""

BlobRef: TypeAlias = str
"""The opaque name of a stored blob."""
