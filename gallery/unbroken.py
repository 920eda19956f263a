"""The LAW requirements that no planted fault breaks, and why.

The catalogue says of some that no call shows them or that no run reaches them; of the others the file beside says it.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from fencepost.kit.result import UNSEEN
from fencepost.spec.catalogue import Level, Requirement, requirements

from .bugs import BUGS

FILE = "unbroken.toml"


@cache
def unbroken() -> dict[str, str]:
    """The reason of each, in the order of the catalogue."""
    tables = tomllib.loads(files(__package__).joinpath(FILE).read_text(encoding="utf-8"))
    told = {each: " ".join(table["why"].split()) for table in tables.values() for each in table["ids"]}
    planted = {each for bug in BUGS for each in bug.breaks}
    reasons = {each.id: told.get(each.id) or _of_catalogue(each) for each in requirements().values() if each.id not in planted}
    return {each: reason for each, reason in reasons.items() if reason and requirements()[each].level is Level.LAW}


def _of_catalogue(requirement: Requirement) -> str | None:
    """Why nothing that a run does could tell a store that breaks it."""
    if requirement.internal is not None:
        return UNSEEN + requirement.internal
    return requirement.unreached
