"""The proof that this version of the kit catches faults: how many were planted in the DuckDB store, and how many it caught."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

from fencepost import __version__

PROVED_BY = "fencepost gallery run"
"""The command that shows it again."""

FILE = "planted.json"


class Planted(msgspec.Struct, frozen=True):
    """A hunt for all planted faults: the version of the kit, the budget of each hunt, how many were planted and caught.

    A fault counts as caught if the requirement that it breaks is among the first that the counterexample names, by the first
    seed or by one of those behind it: so many `seeds` in all.
    """

    version: str
    seed: int
    seeds: int
    examples: int
    steps: int
    planted: int
    caught: int
    at_first: int
    """How many of them by the first seed."""


def written(planted: Planted) -> bytes:
    """The file of a hunt: JSON, indented, and without anything that differs from one run to the next."""
    return msgspec.json.format(msgspec.json.encode(planted), indent=2) + b"\n"


@cache
def planted() -> Planted | None:
    """The hunt that was made with this version of the kit; None if the one on file was made with another."""
    found = msgspec.json.decode(files(__package__).joinpath(FILE).read_bytes(), type=Planted)
    return found if found.version == __version__ else None


def proof() -> str | None:
    """What reports say of it."""
    found = planted()
    if found is None:
        return None
    return f"This version of the kit catches {found.caught} of {found.planted} planted faults"
