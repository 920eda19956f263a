"""The LAW requirements that no planted fault breaks, and why."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from fencepost.spec.catalogue import requirements

FILE = "unbroken.toml"


@cache
def unbroken() -> dict[str, str]:
    """The reason of each, in the order of the catalogue."""
    tables = tomllib.loads(files(__package__).joinpath(FILE).read_text(encoding="utf-8"))
    reasons = {each: " ".join(table["why"].split()) for table in tables.values() for each in table["ids"]}
    return {each: reasons[each] for each in requirements() if each in reasons}
