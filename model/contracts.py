"""Contracts of the record transitions: the lemmas that CrossHair proves.

In ordinary runs they are off, because the lifted transitions call the record transitions a hundred thousand times a second;
`FENCEPOST_PROVE=on` puts them in force for a process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import icontract

PROVING = os.environ.get("FENCEPOST_PROVE", "off") == "on"
"""Whether the contracts of the record transitions are in force in this process."""

F = TypeVar("F", bound=Callable[..., Any])


def require(condition: Callable[..., bool]) -> Callable[[F], F]:
    """What a caller of the transition grants."""
    return icontract.require(condition, enabled=PROVING)


def ensure(condition: Callable[..., bool], requirement: str, lemma: str) -> Callable[[F], F]:
    """A lemma: a postcondition of the transition, with the requirement that it establishes and the sentence that it says."""
    return icontract.ensure(condition, description=f"{requirement} {lemma}", enabled=PROVING)
