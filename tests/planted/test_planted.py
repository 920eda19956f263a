"""Every planted fault of the DuckDB store is caught, by the requirement that it breaks."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest
from fencepost.gallery.bugs import BUGS
from fencepost.gallery.hunt import hunted
from fencepost.gallery.kinds import MEANINGS, Kind
from fencepost.gallery.unbroken import unbroken
from fencepost.spec.catalogue import Level, requirements
from fencepost.statemachines.run import CHAPTERS

from fencepost import gallery


@pytest.mark.slow
@pytest.mark.parametrize("name", [bug.name for bug in BUGS])
def test_planted_bugs_are_caught(name: str) -> None:
    """Each fault can be planted, and is caught and laid on the requirement that it breaks, by one of the first seeds."""
    catch = hunted(name)
    assert not catch.trouble
    assert catch.is_right, f"laid on {', '.join(catch.blamed) or 'nothing'}"


def test_there_are_enough_planted_bugs_and_their_names_are_distinct() -> None:
    """At least eight faults for every chapter, each of its own name and sentence, each tied to a requirement."""
    chapters = Counter(bug.chapter for bug in BUGS)
    assert set(chapters) == set(CHAPTERS)
    assert min(chapters.values()) >= 8
    assert len({bug.name for bug in BUGS}) == len({bug.sentence for bug in BUGS}) == len(BUGS)
    assert {each for bug in BUGS for each in bug.breaks} <= set(requirements())


def test_every_kind_of_failure_has_a_meaning_and_a_bug() -> None:
    """No word of the vocabulary is there for nothing."""
    assert {bug.kind for bug in BUGS} == set(MEANINGS) == set(Kind)


def test_every_law_has_a_planted_bug_or_a_reason() -> None:
    """No LAW requirement is in neither list, none in both, and the file of reasons tells of no other and no unknown fault."""
    law = {each.id for each in requirements().values() if each.level is Level.LAW}
    planted = {each for bug in BUGS for each in bug.breaks}
    assert law - planted == set(unbroken())
    tables = tomllib.loads((Path(gallery.__file__).parent / "unbroken.toml").read_text())
    told = [each for table in tables.values() for each in table["ids"]]
    assert sorted(told) == sorted(set(told) & set(unbroken()))
    words = {word.strip(".,") for table in tables.values() for word in table["why"].split()}
    named = {word for word in words if "-" in word and word.islower()}
    assert named <= {bug.name for bug in BUGS}
