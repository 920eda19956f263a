"""The scope of each chapter: what is small enough to be searched to the last state."""

from ..scope import Scope
from .lease import LeaseScope

SCOPES: dict[str, type[Scope]] = {each.chapter: each for each in (LeaseScope,)}
"""The scope of each chapter, in reading order."""
