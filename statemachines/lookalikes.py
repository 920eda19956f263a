"""Texts that look alike and are two: stores take them for one where they fold, trim, compose or cut what they compare.

Names are compared exactly (VALUE-12). What minted texts look like is a store's own affair, and payloads are compared whole
anyhow, so that here it is about what callers name: sessions, owners, threads, producers, keys.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeAlias
from unicodedata import normalize

from .checker import Call
from .leaves import Leaf, in_all_calls, leaves_of, with_others
from .minted import Program, kind_of

Change: TypeAlias = Callable[[str, str], str]
"""Gives another text for one, and the name of the field or parameter in which it stands."""

PAIRS: tuple[Callable[[str], tuple[str, str]], ...] = (
    lambda text: (text, text.swapcase()) if text != text.swapcase() else (f"{text}a", f"{text}A"),
    lambda text: (text, f"{text} "),
    lambda text: (f"{text}é", f"{text}e\u0301"),
    lambda text: (text, f"{text}\0"),
    lambda text: (f"{text}\0a", f"{text}\0b"),
)
"""Two texts that look alike, made of one: by case, a blank at the end, composition, and what stands from a NUL on."""

SHORTEST = 255
"""At how many characters a store may cut a text."""

_BEYOND_16_BITS = re.compile("[\U00010000-\U0010ffff]")
_DECIMAL = re.compile(r"[0-9]+\.[0-9]+")

UNLIKE = "another"
"""What looks like no text that is drawn."""


def look(text: str) -> str:
    """What is left of a text for a store that folds, trims, drops and cuts all that some store does, all at once."""
    left = normalize("NFC", text.partition("\0")[0]).rstrip("\\%\N{ZERO WIDTH SPACE}").rstrip().casefold()
    return _plain_number(_BEYOND_16_BITS.sub("?", left.replace("\r\n", "\n")))[:SHORTEST]


def _plain_number(text: str) -> str:
    """A decimal without the zeros that make no other number of it; any other text as it is."""
    return text.rstrip("0").rstrip(".") if _DECIMAL.fullmatch(text) else text


def texts(call: Call) -> list[str]:
    """Every text of a call once that the store did not mint, in the order of the arguments."""
    return list(dict.fromkeys(leaf.value for leaf in leaves_of(call) if is_named(leaf)))


def is_named(leaf: Leaf) -> bool:
    """Whether this is a text that the store did not mint."""
    return isinstance(leaf.value, str) and kind_of(leaf.field, leaf.record) is None


def changed(call: Call, change: Change) -> Call:
    """The call with each text changed that the store did not mint. Raises `InvalidArgument` if there is no such call."""
    return with_others(call, lambda leaf: change(leaf.value, leaf.field) if is_named(leaf) else leaf.value)


def renamed(call: Call, old: str, new: str) -> Call:
    """The call with one text in place of another. Raises `InvalidArgument` if there is no such call."""
    return changed(call, lambda text, _: new if text == old else text)


def told_apart(program: Program) -> Iterator[tuple[str, str]]:
    """Every two texts in the calls of a program that look alike, the earlier one first."""
    seen: dict[str, dict[str, None]] = {}
    for event in program:
        for text in texts(event.action) if isinstance(event.action, Call) else ():
            seen.setdefault(look(text), {})[text] = None
    for first, *others in seen.values():
        yield from ((first, other) for other in others)


def in_all(program: Program, old: str, new: str) -> Program | None:
    """The program with one text in place of another in every call; None if there is no such program."""
    return in_all_calls(program, lambda call: renamed(call, old, new))
