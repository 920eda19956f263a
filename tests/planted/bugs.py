"""All planted faults of the DuckDB store, chapter by chapter."""

from __future__ import annotations

# each registers its own
import bugs_attachment  # noqa: F401
import bugs_commit  # noqa: F401
import bugs_deferral  # noqa: F401
import bugs_event  # noqa: F401
import bugs_lease  # noqa: F401
import bugs_maintenance  # noqa: F401
import bugs_output  # noqa: F401
import bugs_queued_work  # noqa: F401
import bugs_queued_work_claims  # noqa: F401
import bugs_reopen  # noqa: F401
import bugs_runtime  # noqa: F401
import bugs_session  # noqa: F401
import bugs_settlement  # noqa: F401
import bugs_turn_input  # noqa: F401
import bugs_turn_input_claims  # noqa: F401
from fencepost.statemachines.run import CHAPTERS
from planting import BUGS as REGISTERED
from planting import PlantedBug

BUGS: list[PlantedBug] = sorted(REGISTERED, key=lambda bug: CHAPTERS.index(bug.chapter))
"""Every planted fault, in the order of the chapters that have to catch it."""
