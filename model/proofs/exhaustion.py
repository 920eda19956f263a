"""Exhaustions: what holds of loops over rows, tried on every input up to a stated size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")
Cases = Callable[[], Iterable[tuple[Any, ...]]]


class Exhaustion(NamedTuple):
    """A lemma that is tried on every case: what it says, over which inputs, and whether it holds of one."""

    chapter: str
    name: str
    requirements: tuple[str, ...]
    says: str
    scope: str
    cases: Cases
    holds: Callable[..., bool]


EXHAUSTIONS: dict[str, Exhaustion] = {}
"""All exhaustions, by chapter and name, as in `session.path_to`."""


def exhausted(says: str, *requirements: str, scope: str, cases: Cases) -> Callable[[Callable[..., bool]], Callable[..., bool]]:
    """Register a predicate as what holds of all these cases; `scope` says in words which they are."""

    def register(holds: Callable[..., bool]) -> Callable[..., bool]:
        chapter = holds.__module__.rpartition(".")[2]
        name = f"{chapter}.{holds.__name__}"
        EXHAUSTIONS[name] = Exhaustion(chapter, name, requirements, says, scope, cases, holds)
        return holds

    return register


def tuples(values: Sequence[T], most: int) -> Iterator[tuple[T, ...]]:
    """Every tuple of these values, of every length up to the largest."""
    for length in range(most + 1):
        yield from product(values, repeat=length)


def subsets(values: Sequence[T]) -> Iterator[frozenset[T]]:
    """Every set of these values."""
    for taken in product((False, True), repeat=len(values)):
        yield frozenset(value for value, there in zip(values, taken, strict=True) if there)
