"""What a factory declares of its store, because nobody could see it from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

REOPENS = "fencepost_reopens"
"""The attribute that marks a factory."""


def reopens(factory: F) -> F:
    """Mark a factory whose store can be opened again: the capability `reopen`.

    Called with an environment that it was called with before, after `close()` of the store that it gave then, it gives a store
    that shows every acknowledged call. Called with any other environment it gives an empty one, as ever.
    """
    setattr(factory, REOPENS, True)
    return factory
