"""How arguments are drawn: few draws, each of a whole combination.

A draw costs more than a call of the model, so a rule draws one value for several pools at once: a byte for each. Bytes, and
not one number for all: Hypothesis draws large numbers by their size, and the first pool would hardly leave its first value.
Pools list likely values more than once. What depends on the run so far (the leases known, the turns committed) is drawn as an
index and resolved by the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

ANY = range(24)
"""An index into something that grows: resolved with `latest`, 0 being the newest."""


def mixed(*pools: Sequence[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """One value of each pool, drawn together and evenly."""
    assert all(0 < len(pool) <= 256 for pool in pools)

    def pick(drawn: bytes) -> tuple[Any, ...]:
        return tuple(pool[byte % len(pool)] for pool, byte in zip(pools, drawn, strict=True))

    return st.binary(min_size=len(pools), max_size=len(pools)).map(pick)


def latest(items: Sequence[T], index: int) -> T:
    """The item that many before the newest, going round."""
    return items[-1 - index % len(items)]
