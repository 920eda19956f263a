"""What a factory declares of its store, because nobody could see it from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fencepost.spec.operations import CHAPTERS
from fencepost.statemachines.environment import CAPABILITIES, USUAL

F = TypeVar("F", bound=Callable[..., Any])

DECLARES = "fencepost_declares"
"""The attribute of a factory that says which capabilities its store has."""

OFFERS = "fencepost_offers"
"""The attribute of a factory that says which chapters its store has; empty for all whose calls are there."""


def declares(*capabilities: str, chapters: str | tuple[str, ...] = ()) -> Callable[[F], F]:
    """Mark a factory with all that its store has, besides its calls: nothing else is asked of it.

    Of `CAPABILITIES`:

    * `controlled-clock`: it takes its time from `environment.clock`. Without it the run goes by the time of day.
    * `liveness-oracle`: it asks `environment.process_alive`. Without it whoever holds a claim may be taken for dead or alive.
    * `reopen`: called with an environment that it was called with before, after `close()` of the store that it gave then, the
      factory gives a store that shows every acknowledged call.
    * `concurrent-callers`: several threads may call the store at once.
    * `attachments`, `blob-reclaim`: it keeps a manifest; it removes blobs. Without them it has to answer as if there were none.

    With `chapters` these are checked unless others are asked for, and calls of turn inputs or queued work that are there all
    the same must be refused as unsupported. A factory without a mark declares a controlled clock and a liveness oracle.
    Raises `ValueError` for what is no capability or chapter.
    """
    chapters = (chapters,) if isinstance(chapters, str) else chapters
    for given, known in ((capabilities, CAPABILITIES), (chapters, CHAPTERS)):
        unknown = [each for each in given if each not in known]
        if unknown:
            raise ValueError(f"received {', '.join(map(repr, unknown))}, expected some of {', '.join(known)}")

    def mark(factory: F) -> F:
        setattr(factory, DECLARES, tuple(each for each in CAPABILITIES if each in capabilities))
        setattr(factory, OFFERS, tuple(each for each in CHAPTERS if each in chapters))
        return factory

    return mark


def declared(factory: object) -> tuple[str, ...]:
    """The capabilities that a factory declares."""
    return tuple(getattr(factory, DECLARES, USUAL))


def offered(factory: object) -> tuple[str, ...]:
    """The chapters that a factory declares; none if it leaves that open."""
    return tuple(getattr(factory, OFFERS, ()))
