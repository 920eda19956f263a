"""What a command line chooses from: protocols and chapters, by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click
from fencepost.spec.operations import PROTOCOLS
from fencepost.statemachines.run import CHAPTERS


class Names(click.ParamType[tuple[str, ...]]):
    """Some of these names, with commas between them."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = known

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The chosen names in reading order; a usage error for one that is not known."""
        if isinstance(value, tuple):
            return value
        chosen = [name.strip() for name in str(value).split(",") if name.strip()]
        unknown = [name for name in chosen if name not in self.known]
        if unknown or not chosen:
            received = ", ".join(map(repr, unknown)) or "none"
            expected = ", ".join(self.known)
            self.fail(f"received {received}, expected one or more of {expected}, with commas between them.", param, ctx)
        return tuple(name for name in self.known if name in chosen)


LONGEST_S = 365 * 24 * 3_600
"""What waits for much longer is refused by the system."""


class Duration(click.ParamType[float]):
    """A span of time, such as 60s, 5m or 1h."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds; a usage error for what is no span of time."""
        if isinstance(value, int | float):
            # a default
            return float(value)
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|)", str(value).strip())
        if found is None or float(found[1]) == 0:
            self.fail(f"received {value!r}, expected a span of time such as 60s, 5m or 1h.", param, ctx)
        seconds = float(found[1]) * {"s": 1, "": 1, "m": 60, "h": 3_600}[found[2]]
        if seconds > LONGEST_S:
            self.fail(f"received {value!r}, expected a span of time of {LONGEST_S // 3_600:,}h at most: a year.", param, ctx)
        return seconds


STORES = Names("stores", tuple(PROTOCOLS))
OF_CHAPTERS = Names("chapters", CHAPTERS)


def chosen_chapters(stores: tuple[str, ...] | None, chapters: tuple[str, ...] | None) -> tuple[str, ...]:
    """The chapters that were chosen, or those of the protocols that were; none, if nothing was. A usage error for both."""
    if stores and chapters:
        raise click.UsageError("received --stores and --chapters, expected one of them: a protocol is a number of chapters.")
    return chapters_of(stores) if stores else chapters or ()


def chapters_of(stores: Sequence[str]) -> tuple[str, ...]:
    """The chapters of these protocols, in reading order."""
    return tuple(name for name in CHAPTERS if any(name in PROTOCOLS[each] for each in stores))
