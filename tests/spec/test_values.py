"""JSON values: what they are, when they are equal, and what is none."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from fencepost.spec import (
    InvalidArgument,
    Json,
)
from fencepost.spec.values import JSON_DEPTH

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
