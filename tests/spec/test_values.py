"""Values: what JSON is, when it is equal, and what is none; which texts are UUIDs and instants, which floats are finite."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any
from uuid import UUID

import pytest
from fencepost.spec import (
    InvalidArgument,
    Json,
)
from fencepost.spec.values import F64, JSON_DEPTH, U64, Instant, check_for, require_valid, shown

SURROGATE = "\ud800"


def nested(levels: int) -> object:
    """A list in a list in a list, that many of them."""
    value: object = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        1.5,
        -0.0,
        1e300,
        2**53 + 1,
        2**64,
        -(2**200),
        10**300,
        "",
        'é\0"\\/\n\u2028😀',
        [],
        {},
        [1, [2, [3]], {"a": [None, {"b": False}]}],
        {"": {"": ""}},
        {"b": 1, "a": 2, "é": 3, "😀": 4, "\ue000": 5},
    ],
)
def test_value_8_json_comes_back_equal(value: object) -> None:
    """What goes in comes out: the same types, the same numbers to the last digit, the same text."""
    again = Json(value).value()
    assert again == value
    assert json.dumps(again, sort_keys=True) == json.dumps(value, sort_keys=True)


def test_value_8_the_order_of_keys_does_not_count() -> None:
    """Two objects with the same members are one JSON value, at any depth, and hash equal."""
    first, second = Json({"a": 1, "b": {"c": 2, "d": 3}}), Json({"b": {"d": 3, "c": 2}, "a": 1})
    assert first == second
    assert hash(first) == hash(second)
    assert len({first, second}) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 1.0),
        (1, True),
        (1.0, True),
        (0, False),
        (0, None),
        (0.0, -0.0),
        ("1", 1),
        ([], {}),
        ([1, 2], [2, 1]),
        ([[]], []),
        ({"a": 1}, {"a": 1.0}),
        ({"a": None}, {}),
        ("é", "e\u0301"),
        (2**53, 2**53 + 1),
    ],
)
def test_value_8_different_json_is_different(left: object, right: object) -> None:
    """1, 1.0 and true are three values; absent is not null; text is compared by code points."""
    assert Json(left) != Json(right)


def test_json_equals_only_json() -> None:
    """An opaque value is not the plain data that it was made of."""
    assert Json(1) != 1
    assert Json("a") != "a"


def test_a_tuple_is_a_json_list() -> None:
    """Tuples are taken as lists and come back as such."""
    assert Json((1, (2,))) == Json([1, [2]])
    assert Json((1, (2,))).value() == [1, [2]]


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        float("-inf"),
        SURROGATE,
        "\udfff tail",
        {SURROGATE: 1},
        {1: "a"},
        {None: 1},
        {(1, 2): 1},
        b"bytes",
        {1, 2},
        object(),
        1j,
        Json(1),
        range(3),
    ],
)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [0, value], lambda value: {"a": {"b": value}}])
def test_value_1_and_2_what_json_cannot_carry_is_refused(wrap: Any, value: object) -> None:
    """NaN, infinities, lone surrogates, keys that are no text and other types are InvalidArgument at any depth."""
    with pytest.raises(InvalidArgument) as refusal:
        Json(wrap(value))
    assert refusal.value.argument == "Json"
    assert refusal.value.expected == "a JSON value"


@pytest.mark.parametrize(
    ("value", "received"),
    [
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        ([SURROGATE], "'\\ud800' (a lone surrogate)"),
        ({1: "a"}, "an object with the keys [1]"),
        ([b"bytes"], "bytes b'bytes'"),
    ],
)
def test_value_1_the_refusal_shows_the_part_that_json_cannot_carry(value: object, received: str) -> None:
    """Of a large value only the culprit is told."""
    with pytest.raises(InvalidArgument) as refusal:
        Json(value)
    assert refusal.value.received == received


def test_value_1_json_has_a_greatest_depth() -> None:
    """128 lists inside each other are a value, 129 are none; a value that is taken can be read from any depth of calls."""
    assert JSON_DEPTH == 128
    assert Json(nested(128)).value() == nested(128)
    for too_deep in (nested(129), nested(100_000), {"a": nested(128)}):
        with pytest.raises(InvalidArgument, match="more than 128 levels"):
            Json(too_deep)


def test_value_1_objects_count_as_levels_like_lists() -> None:
    """128 objects inside each other are a value, and 129 are none."""
    value: object = {}
    for _ in range(127):
        value = {"a": value}
    assert Json(value).value() == value
    with pytest.raises(InvalidArgument, match="more than 128 levels"):
        Json({"a": value})


def test_value_1_a_list_inside_itself_is_refused() -> None:
    """A value without an end is too deep, and the refusal comes at once."""
    endless: list[object] = []
    endless += [endless, endless]
    with pytest.raises(InvalidArgument, match="more than 128 levels"):
        Json(endless)


def test_value_1_a_number_that_python_cannot_write_is_refused() -> None:
    """An integer of more than 4,300 digits is InvalidArgument and no bare ValueError."""
    for value in (10**5_000, [10**5_000]):
        with pytest.raises(InvalidArgument, match="a JSON value"):
            Json(value)


@pytest.mark.parametrize(
    ("text", "value"), [("1", 1), (b'{"a":[1.0,null]}', {"a": [1.0, None]}), (' "\\u00e9" ', "é"), ("1E2", 100.0)]
)
def test_json_is_parsed_from_text(text: str | bytes, value: object) -> None:
    """Any JSON text, as str or as UTF-8 bytes, gives its value."""
    assert Json.parse(text) == Json(value)


@pytest.mark.parametrize(
    "text", ["", "{", "NaN", "Infinity", "1e400", '"\\ud800"', "'a'", b"\xff", "1 2", "[" * 100_000, "1" * 5_000]
)
def test_what_is_no_json_text_is_refused(text: str | bytes) -> None:
    """Broken text, text beyond JSON and text beyond a value's limits are all InvalidArgument."""
    with pytest.raises(InvalidArgument, match="a JSON text"):
        Json.parse(text)


def test_value_4_json_is_independent_of_the_caller_s_object() -> None:
    """Changing what went in or what came out changes nothing in the value."""
    given: dict[str, Any] = {"a": [1]}
    value = Json(given)
    given["a"].append(2)
    assert value.value() == {"a": [1]}
    value.value()["a"].append(3)
    assert value.value() == {"a": [1]}
    assert value.value() is not value.value()


def test_value_4_json_cannot_be_changed() -> None:
    """Its attribute can be neither set nor deleted, and no other can be added."""
    value: Any = Json([1])
    with pytest.raises(AttributeError):
        value.text = "[2]"
    with pytest.raises(AttributeError):
        value.other = 1
    with pytest.raises(AttributeError):
        del value.text
    assert value == Json([1])


def test_json_is_copied_and_pickled() -> None:
    """Copies by any road are equal."""
    value = Json({"b": [1, 1.0, True, None, "é"], "a": 2**70})
    assert copy.copy(value) == copy.deepcopy(value) == pickle.loads(pickle.dumps(value)) == value


def test_json_shows_what_it_holds() -> None:
    """Its repr is the expression that makes it again."""
    assert repr(Json({"a": [1, None]})) == "Json({'a': [1, None]})"


ID = UUID("0189abcd-ef01-7234-89ab-cdef01234567")


@pytest.mark.parametrize("value", [ID, UUID(int=0), UUID(int=2**128 - 1)])
def test_value_1_a_uuid_is_a_uuid(value: UUID) -> None:
    """Any version and variant is taken, the nil UUID too."""
    assert check_for(UUID).accepts(value)
    assert check_for(UUID | None).accepts(value)
    assert check_for(tuple[UUID, ...]).accepts((value, value))


class Labelled(UUID):
    """A UUID of another class."""


@pytest.mark.parametrize("value", ["", str(ID), ID.hex, ID.bytes, ID.int, None, 1, [ID], Json(str(ID)), Labelled(ID.hex)])
def test_value_1_what_is_no_uuid_is_refused(value: object) -> None:
    """Texts, numbers and bytes of a UUID are none, nor is a class of one's own."""
    with pytest.raises(InvalidArgument) as refusal:
        require_valid("id", value, check_for(UUID))
    assert refusal.value.expected == "a uuid.UUID"
    assert not check_for(tuple[UUID, ...]).accepts((ID, value))


@pytest.mark.parametrize(
    "text",
    [
        *("2026-01-01T00:00:00Z", "2026-12-31T23:59:59.123Z", "2026-01-01T00:00:00.123456Z", "2026-01-01T00:00:00.123456789Z"),
        *("0000-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "2026-01-01t00:00:00z", "2026-01-01T00:00:00.5+23:59"),
        *("2026-01-01T00:00:00-00:00", "2024-02-29T12:00:00+02:00"),
    ],
)
def test_value_1_an_instant_is_a_date_and_time_of_rfc_3339(text: str) -> None:
    """With up to nine digits of a fraction, in any offset, and with a leap second; it is kept as it is written."""
    assert check_for(Instant).accepts(text)
    assert check_for(Instant | None).accepts(text)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "noon",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00Z",
            "2026-01-01T00:00:00.Z",
        ),
        *("2026-01-01T00:00:00.1234567890Z", "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00+0200", "2026-01-01T00:00:00+02"),
        *("2026-00-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z", "2026-1-1T00:00:00Z"),
        *("2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01T00:00:00+24:00"),
        *("2026-01-01T00:00:00+00:60", "12026-01-01T00:00:00Z", "-2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z\n"),
        *(
            " 2026-01-01T00:00:00Z",
            "2026-01-01T00:00:00ZZ",
            "202\u0666-01-01T00:00:00Z",
            None,
            1_767_225_600,
            b"2026-01-01T00:00:00Z",
        ),
    ],
)
def test_value_1_what_is_no_instant_is_refused(value: object) -> None:
    """Dates alone, times without an offset, other separators, and numbers that no clock shows."""
    with pytest.raises(InvalidArgument) as refusal:
        require_valid("at", value, check_for(Instant))
    assert refusal.value.expected == "an RFC 3339 date and time with at most nanoseconds"


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, -0.1, 5e-324, 1.7976931348623157e308])
def test_value_1_a_finite_float_is_taken(value: float) -> None:
    """Down to the smallest and up to the largest."""
    assert check_for(F64).accepts(value)
    assert check_for(F64 | None).accepts(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1, True, "1.0", None, 1j, Json(1.0)])
def test_value_1_what_is_no_finite_float_is_refused(value: object) -> None:
    """NaN and the infinities are none, and neither is an integer: it would come back as another value."""
    with pytest.raises(InvalidArgument) as refusal:
        require_valid("cost", value, check_for(F64))
    assert refusal.value.expected == "a finite float"


def test_value_1_a_check_tells_all_that_it_accepts() -> None:
    """The words of alternatives are joined, and an annotation without a check is an error in the law."""
    assert check_for(UUID | None).expected == "a uuid.UUID or None"
    assert check_for(F64 | None).expected == "a finite float or None"
    assert check_for(U64).expected == "an integer from 0 to 18446744073709551615 (u64)"
    with pytest.raises(TypeError, match="no check for values annotated"):
        check_for(float)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["word"] * 25, repr(["word"] * 25)),
        (["word"] * 26, "[" + "'word', " * 24 + "…"),
        ("x" * 300, "'" + "x" * 199 + " …"),
    ],
)
def test_a_long_value_is_cut_between_words_and_says_so(value: object, text: str) -> None:
    """At 200 characters; a text without a blank is cut where it is."""
    assert shown(value) == text
