"""What producers of outputs keep to: one final event, at the end, and parents that are there before their children."""

from __future__ import annotations

import pytest
from fencepost.model.disciplines import final_discipline, parent_discipline
from fencepost.spec import Artifact, OutputEvent, OutputRef, Partial
from store_builders import FILE, FINAL, INLINE, STAGE, after, output, record, ref

CHUNK, NAMED = Partial(INLINE), Artifact("report", INLINE)

NONE = "the attempt has no final event"


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ((), (NONE,)),
        ((STAGE,), (NONE,)),
        ((STAGE, CHUNK, NAMED), (NONE,)),
        ((FINAL,), ()),
        ((FILE,), ()),
        ((STAGE, CHUNK, NAMED, FINAL), ()),
        ((FINAL, STAGE), ("after the final event out-0000000000 comes out-0000000001",)),
        ((STAGE, FINAL, CHUNK, NAMED), ("after the final event out-0000000001 comes out-0000000002",)),
        (
            (FINAL, FINAL),
            (
                "the attempt has 2 final events: out-0000000000, out-0000000001",
                "after the final event out-0000000000 comes out-0000000001",
            ),
        ),
        (
            (FINAL, STAGE, FILE, FINAL, STAGE),
            (
                "the attempt has 3 final events: out-0000000000, out-0000000002, out-0000000003",
                "after the final event out-0000000000 comes out-0000000001",
            ),
        ),
    ],
)
def test_output_8_the_discipline_of_final_events(events: tuple[OutputEvent, ...], found: tuple[str, ...]) -> None:
    """An attempt that has ended has exactly one final event, delivered or not, and that is the last."""
    assert final_discipline([record(number, event) for number, event in enumerate(events)]) == found


@pytest.mark.parametrize(
    ("parents", "found"),
    [
        ((), ()),
        (((), (ref(0),), (ref(0), ref(1), ref(0))), ()),
        (((ref(0),),), ("out-0000000000 has the parent 'out-0000000000', which was not there",)),
        (((), (ref(2),), ()), ("out-0000000001 has the parent 'out-0000000002', which was not there",)),
        (
            ((), (OutputRef(""), ref(0), OutputRef("x"))),
            (
                "out-0000000001 has the parent '', which was not there",
                "out-0000000001 has the parent 'x', which was not there",
            ),
        ),
    ],
)
def test_output_6_the_discipline_of_parents(parents: tuple[tuple[OutputRef, ...], ...], found: tuple[str, ...]) -> None:
    """Each parent was appended before its child: itself, later ones and unknown ones are found."""
    assert parent_discipline([record(number, STAGE, *refs) for number, refs in enumerate(parents)]) == found


def test_the_store_takes_what_the_disciplines_find() -> None:
    """A log that breaks both was appended without a refusal."""
    state = after(output(FINAL, ref(9)), output(FINAL))
    records = tuple(state.output.records)
    assert len(final_discipline(records)) == 2
    assert len(parent_discipline(records)) == 1
