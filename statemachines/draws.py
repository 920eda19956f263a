"""How arguments are drawn: few draws, each of a whole combination.

A draw costs more than a call of the model, so a rule draws one number for several small pools at once. Pools list the
likely values more than once and the simplest first: that is where shrinking ends. What depends on the run so far (the leases
known, the turns committed) is drawn as an index and resolved by the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")

ANY = range(24)
"""An index into something that grows: resolved with `latest`, 0 being the newest."""


def mixed(*pools: Sequence[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """One value of each pool, drawn together; the first pool's values are the last to be shrunk away."""
    size = prod(map(len, pools))
    # above 2^24 Hypothesis draws numbers by their size, no longer evenly
    assert size <= 2**24, f"{size} combinations are too many for one draw"

    def unmix(number: int) -> tuple[Any, ...]:
        values = []
        for pool in reversed(pools):
            number, index = divmod(number, len(pool))
            values.append(pool[index])
        return tuple(reversed(values))

    return st.integers(0, size - 1).map(unmix)


def latest(items: Sequence[T], index: int) -> T:
    """The item that many before the newest, going round."""
    return items[-1 - index % len(items)]
