"""All planted faults of the DuckDB store, chapter by chapter."""

from __future__ import annotations

from fencepost.statemachines.run import CHAPTERS

from ..planting import REGISTERED, PlantedBug

# each registers its own
from . import (
    at_once,  # noqa: F401
    attachment,  # noqa: F401
    commit,  # noqa: F401
    deferral,  # noqa: F401
    entries,  # noqa: F401
    event,  # noqa: F401
    handed_out,  # noqa: F401
    lease,  # noqa: F401
    lease_terms,  # noqa: F401
    lookalikes,  # noqa: F401
    maintenance,  # noqa: F401
    output,  # noqa: F401
    page_limits,  # noqa: F401
    queued_work,  # noqa: F401
    queued_work_claims,  # noqa: F401
    records,  # noqa: F401
    reopen,  # noqa: F401
    runtime,  # noqa: F401
    runtime_kept,  # noqa: F401
    session,  # noqa: F401
    settlement,  # noqa: F401
    turn_input,  # noqa: F401
    turn_input_claims,  # noqa: F401
)

BUGS: tuple[PlantedBug, ...] = tuple(sorted(REGISTERED, key=lambda bug: CHAPTERS.index(bug.chapter)))
"""Every planted fault, in the order of the chapters that have to catch it."""
