"""What a call reads decides what it does: nothing else comes of calls that are not made again."""

from __future__ import annotations

import pytest
from fencepost.model import State
from fencepost.spec import Alive, DurabilityTier
from fencepost.statemachines.expansion import Expander, small, transitions
from fencepost.statemachines.explore import Search
from fencepost.statemachines.reading import NOW, TABLE, Known, Values, watched_instant, watching
from fencepost.statemachines.scope import EPOCH, Bounds, Instant
from fencepost.statemachines.scopes import SCOPES
from fencepost.statemachines.scopes.event import EventScope
from msgspec.structs import replace

NOBODY = Instant(EPOCH)


@pytest.mark.parametrize("chapter", SCOPES)
def test_calls_that_are_not_made_lead_where_they_would(chapter: str) -> None:
    """In every world of a suite's scope the same parts follow as when each call is made, and as many calls lead out of it."""
    scope = SCOPES[chapter](SCOPES[chapter].suite)
    search, expander = Search(scope, reduce=False), Expander(scope)
    search.run()
    asked = made = 0
    for world in search.parents:
        instant, parts = search.instant_of(world), search.parts_of(world)
        for reach, places in enumerate(scope.reaches):
            state, before = small(scope, parts, reach), tuple(parts[place] for place in places)
            found = expander.expanded(state, reach, instant)
            plain = [(step.state, after) for _, step, after in transitions(scope, state, reach, instant)]
            inside = [after for _, after in plain if all(map(scope.within, after, places)) and after != before]
            beyond = sum(whole != state and not all(map(scope.within, after, places)) for whole, after in plain)
            assert (set(found.successors), found.calls, found.beyond) == (set(inside), len(plain), beyond)
            asked, made = asked + found.asked, made + found.calls
    assert search.explored.figures.calls == made
    # of many small parts nothing is kept
    assert (asked < made) == (scope.dear or len(scope.names) == 1)


@pytest.mark.parametrize(("sessions", "asked"), [(1, [13, 0]), (2, [13, 13])])
def test_many_small_parts_are_not_watched(sessions: int, asked: list[int]) -> None:
    """An expander that sees the beginning twice makes no call again, but where the search remembers whole parts itself."""
    scope = EventScope(Bounds(sessions=sessions, rows=1))
    expander, start = Expander(scope), small(scope, scope.begin(), 0)
    assert [expander.expanded(start, 0, NOBODY).asked for _ in range(2)] == asked


def test_only_what_was_read_counts() -> None:
    """Two states that differ in metadata are one to a call that read the tier."""
    values, read = Values(), set[int]()
    known: Known[str] = Known()
    there, elsewhere, told = (
        State(),
        replace(State(), commit=replace(State().commit, order=("n",))),
        replace(State(), session=replace(State().session, tier=DurabilityTier.Inline)),
    )
    numbers = values.numbers(there, NOBODY)
    assert values.state(numbers, watching(read)).session.tier is None
    known.keep(numbers, read, "nothing told")
    assert known.find(values.numbers(elsewhere, NOBODY)) == "nothing told"
    assert known.find(values.numbers(told, NOBODY)) is None


def test_a_value_that_is_written_again_was_read() -> None:
    """A field left as it is may have been written all the same: where another value stood it would be a change."""
    values, read = Values(), set[int]()
    numbers = values.numbers(State(), NOBODY)
    before = values.state(numbers, watching(read))
    after = replace(before, session=replace(before.session, tier=None))
    read.clear()
    assert values.changes(before, after, read) == ()
    assert values.state(numbers) == State()
    assert len(read) == len(State().session.__struct_fields__)


def test_the_process_table_counts_where_it_was_read() -> None:
    """An instant tells whether the oracle was asked."""
    read = set[int]()
    instant = watched_instant(read)(EPOCH, (Alive.no,))
    assert instant.now == EPOCH
    assert read == set()
    assert instant.alive(1, "") is Alive.no
    assert read == {TABLE} != {NOW}


def test_what_is_never_found_again_is_not_kept() -> None:
    """A function that reads everything is called anew each time, once that was seen 200 times."""
    known: Known[int] = Known()
    for number in range(Known.TRIAL):
        known.keep((number,), {0}, number)
    assert known.find((7,)) is None
    assert not known.worthwhile
    again: Known[int] = Known()
    for number in range(Known.TRIAL):
        again.keep((number,), {0}, number)
        assert again.find((number,)) == number if number < Known.TRIAL - 1 else True
    assert again.worthwhile
