"""What producers of outputs keep to, and no store enforces: checks over what was stored (OUTPUT-8, OUTPUT-6)."""

from __future__ import annotations

from collections.abc import Sequence

from fencepost.spec import Final, OutputRecord, OutputRef


def final_discipline(records: Sequence[OutputRecord]) -> tuple[str, ...]:
    """What is wrong with the list of an attempt that has ended: exactly one final event, and that the last."""
    finals = [place for place, record in enumerate(records) if isinstance(record.event, Final)]
    if not finals:
        return ("the attempt has no final event",)
    found = []
    if len(finals) > 1:
        found.append(f"the attempt has {len(finals)} final events: {', '.join(records[place].id.value for place in finals)}")
    if finals[0] != len(records) - 1:
        later = records[finals[0] + 1 :]
        found.append(f"after the final event {records[finals[0]].id.value} comes {later[0].id.value}")
    return tuple(found)


def parent_discipline(records: Sequence[OutputRecord]) -> tuple[str, ...]:
    """What is wrong with the parents of records in the order of their appends: each was appended before its child."""
    known: set[OutputRef] = set()
    found: list[str] = []
    for record in records:
        found.extend(
            f"{record.id.value} has the parent {each.value!r}, which was not there"
            for each in record.parent_refs
            if each not in known
        )
        known.add(record.id)
    return tuple(found)
