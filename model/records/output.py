"""The output log: its records, in the order of their appends."""

from __future__ import annotations

import msgspec
from fencepost.spec import OutputRecord


class OutputState(msgspec.Struct, frozen=True):
    """Every record ever appended, the oldest first."""

    records: tuple[OutputRecord, ...] = ()
