"""Orders: in which order the calls of a history may have taken effect.

They took effect as they ended, and where they overlapped in any other order that keeps those apart that did not. Calls of
different lanes never depend on each other, so each lane is followed by itself. Within one a call is placed when it ends: behind
those before it, and behind any of those that it overlaps. What is known of a lane is, for each set of calls that took effect
before one that ended earlier, the states that this leads to. A call that changes nothing is placed as soon as its answer fits;
one whose place is shown later, in that place; two ways to one state with the same calls go on as one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import NamedTuple

from fencepost.model import State
from fencepost.statemachines.checker import Violation
from fencepost.statemachines.following import Call, Candidate, Made, place_of

from .circumstances import Lane, Reach, changes_nothing, lane_of, only, unordered
from .judge import START, Follower, Spanned, Ways
from .shown import Place, Shown

Ahead = frozenset[int]
"""The numbers of calls that took effect before one that ended earlier."""


class Bounds(NamedTuple):
    """How many times calls are tried in a state, to place one that overlaps others, and how many states are kept of a lane."""

    tries: int
    kept: int


WIDE = Bounds(4_000, 256)

NARROW = Bounds(1_000, 128)
"""Once not all was tried, nothing is said to be broken any more, and what is likeliest is followed."""


@dataclass
class Overlapping:
    """A call that may be placed before others: as it is tried, its place if that is known, and what became of each try."""

    span: Spanned
    made: Made
    reach: Reach
    place: Place | None
    changes_nothing: bool
    tried: dict[int, tuple[Candidate, Ways]] = field(default_factory=dict)
    counted: bool = False


class Order:
    """One lane."""

    def __init__(self, follower: Follower, shown: Shown, ways: Ways = START) -> None:
        self.ways: dict[Ahead, Ways] = {frozenset(): ways}
        self._follower = follower
        self._shown = shown
        self._calls: dict[int, Overlapping] = {}
        self._line = 0

    def alone(self, span: Spanned, *, alone: bool) -> Violation | None:
        """Take a call over that overlaps none of the lane; why it cannot be right, if it cannot."""
        after, why = self._follower.over(self.ways[frozenset()], span, alone=alone)
        if after:
            self.ways[frozenset()] = after
        return why

    def take(self, at: int, spans: dict[int, Spanned]) -> Violation | None:
        """Take the call of this number over; why no order allows it, if none does. `spans` are it and those that overlap it."""
        calls = {number: self._call(number, span) for number, span in spans.items() if isinstance(span.made.call, Call)}
        self._line = spans[at].made.line
        for span in spans.values():
            self._follower.doubt_lost(span.made)
        search = Search(at, calls, self, NARROW if self._follower.doubted(spans[at].made.call) else WIDE)
        found = search.found(self.ways, by_place=True)
        if search.passed_over:
            self._follower.guessed.add(lane_of(spans[at].made.call))
        found = found or search.found(self.ways, by_place=False)
        del self._calls[at]
        if search.gave_up:
            made = spans[at].made
            self._follower.doubt(made.call, TOO_MANY.format(f"{made.line:,}", len(search.others)))
        if found:
            self._go_on(found)
            return None
        _, why = self._follower.over(next(iter(self.ways.values()))[:1], spans[at], alone=False)
        return why

    def _go_on(self, found: dict[Ahead, list[Candidate]]) -> None:
        self.ways = {ahead: tuple(states) for ahead, states in found.items()}
        if self.ways.keys() == {frozenset()}:
            self.ways[frozenset()] = self._follower.settled(self.ways[frozenset()])

    def after(self, candidate: Candidate, call: Overlapping) -> Ways:
        """The states after a call, from this one; remembered."""
        after = self._follower.tried(candidate, call.span, call.made, first=not call.counted)
        after = tuple(each._replace(state=self._unordered(each.state, call.made.call)) for each in after)
        call.counted = call.counted or bool(after)
        call.tried[id(candidate.state)] = (candidate, after)
        return after

    def _unordered(self, state: State, call: Call) -> State:
        """The state without the order of what nobody asks for any more."""
        if call.operation != "output.append":
            return state
        task_id, attempt, producer, *_ = call.arguments
        assert isinstance(task_id, str)
        assert isinstance(attempt, int)
        assert isinstance(producer, str)
        asked = self._shown.is_asked(("output", task_id, attempt), self._line)
        named = self._shown.is_asked(("latest", producer), self._line)
        return unordered(state, None if asked else (task_id, attempt), None if named else producer)

    def is_before(self, one: Overlapping, other: Overlapping) -> bool:
        """Whether the one has its place before the other, as far as that is known."""
        return one.place is not None and other.place is not None and self._shown.is_before(one.place, other.place)

    def _call(self, number: int, span: Spanned) -> Overlapping:
        """A call that may be placed, as it is tried."""
        known = self._calls.get(number)
        if known is None:
            made = self._follower.made(span, alone=False)
            place = self._shown.place_of(made.call, span.made.outcome, span.made.line, span.made.over)
            still = changes_nothing(made.call, span.made.outcome)
            known = self._calls[number] = Overlapping(span, made, Reach.of(made.call), place, still)
        return known


class Search:
    """The ways to place one call: the states after it, for each set of calls that are placed before one that ended earlier."""

    def __init__(self, at: int, calls: dict[int, Overlapping], order: Order, bounds: Bounds) -> None:
        self._at = at
        self._bounds = bounds
        self._calls = calls
        self._order = order
        self._near = {
            number: {other for other, there in calls.items() if other != number and not call.reach.commutes(there.reach)}
            for number, call in calls.items()
        }
        self.others = sorted(self._connected(calls.keys()) - {at})
        """Those whose place before the call makes a difference, to it or by way of one that does."""
        self.gave_up = False
        self.passed_over = False
        """Whether an order was left out because the places that are known speak against it."""
        self._tries = 0
        self._kept = 0

    def _connected(self, numbers: AbstractSet[int]) -> set[int]:
        """Those of the calls that the call depends on, by way of calls among them."""
        found, pending = {self._at}, [self._at]
        while pending:
            near = (self._near[pending.pop()] & numbers) - found
            found |= near
            pending.extend(near)
        return found

    def found(self, ways: dict[Ahead, Ways], *, by_place: bool) -> dict[Ahead, list[Candidate]]:
        """What the store may hold after the call; nothing if no order explains it. `by_place` keeps to known places."""
        found: dict[Ahead, list[Candidate]] = {}
        self._tries = self._kept = 0
        for ahead, states in ways.items():
            if self._at in ahead:
                self._kept += len(add(found, ahead - {self._at}, states))
        for ahead, states in ways.items():
            for each in states if self._at not in ahead else ():
                self._find(ahead, each, found, by_place=by_place)
        self.gave_up = self.gave_up or self._is_enough()
        return found

    def _is_enough(self) -> bool:
        return self._tries > self._bounds.tries or self._kept > self._bounds.kept

    def _find(self, ahead: Ahead, state: Candidate, found: dict[Ahead, list[Candidate]], *, by_place: bool) -> None:
        """Place the call behind what was ahead and some of the others, few before many, each in any order."""
        # what changes nothing here comes before all others that are placed, and so does not depend on them
        begun = ahead.union(each for each in self.others if each not in ahead and self._stays(state, each))
        known: dict[Ahead, list[Candidate]] = {begun: [state]}
        agenda = deque([(begun, state)])
        while agenda and not self._is_enough():
            before, each = agenda.popleft()
            still = [other for other in self.others if other not in before and self._stays(each, other)]
            placed = before.union(still)
            if self._here(begun, placed, each, found, by_place=by_place):
                continue
            for other in self.others:
                if other in placed or (by_place and self._is_late(other, placed)):
                    continue
                new = add(known, placed | {other}, self._tried(each, other))
                agenda.extend((placed | {other}, one) for one in new)

    def _here(
        self, begun: Ahead, placed: Ahead, state: Candidate, found: dict[Ahead, list[Candidate]], *, by_place: bool
    ) -> bool:
        """Place the call here, if it can be; whether that is the end of it: whatever comes next may as well come behind it."""
        # what neither it nor anything before it depends on may as well come later
        if not placed - begun <= self._connected(placed - begun) or (by_place and self._is_late(self._at, placed)):
            return False
        after = self._tried(state, self._at)
        if after:
            self._kept += len(add(found, placed, after))
        return self._stays(state, self._at)

    def _stays(self, state: Candidate, number: int) -> bool:
        """Whether the call may have been made here, and changed nothing: so it may as well have been made at once."""
        if not self._calls[number].changes_nothing:
            return False
        after = self._tried(state, number)
        return len(after) == 1 and after[0].state is state.state

    def _is_late(self, number: int, placed: Ahead) -> bool:
        """Whether one that is not placed yet has its place before this one."""
        own = self._calls[number]
        late = own.place is not None and any(
            self._order.is_before(other, own) for each, other in self._calls.items() if each not in placed and each != number
        )
        self.passed_over = self.passed_over or late
        return late

    def _tried(self, state: Candidate, number: int) -> Ways:
        call = self._calls[number]
        known = call.tried.get(id(state.state))
        if known is not None and known[0].state is state.state and known[0].departed == state.departed:
            return known[1]
        self._tries += 1
        return self._order.after(state, call)


class Lanes:
    """All lanes of a history. A thread, or a runtime, is by itself from its first call on that overlaps another of it."""

    def __init__(self, follower: Follower, shown: Shown) -> None:
        self._follower = follower
        self._shown = shown
        self._orders: dict[Lane, Order] = {}

    def take(self, at: int, spans: dict[int, Spanned], *, alone: bool) -> Violation | None:
        """Take the call of this number over; why no order allows it. `spans` are it and those of its lane that overlap it.

        `alone` says that it overlaps none of any lane.
        """
        lane = lane_of(spans[at].made.call)
        order = self._orders.get(lane)
        if order is None:
            whole = self._orders.setdefault(lane[:1], Order(self._follower, self._shown))
            order = whole if len(spans) == 1 or len(lane) == 1 else self._parted(lane, whole)
        if len(spans) == 1 and order.ways.keys() == {frozenset()}:
            return order.alone(spans[at], alone=alone)
        return order.take(at, spans)

    def _parted(self, lane: Lane, whole: Order) -> Order:
        found: dict[Ahead, list[Candidate]] = {}
        add(found, frozenset(), (each._replace(state=only(each.state, lane)) for each in whole.ways[frozenset()]))
        order = self._orders[lane] = Order(self._follower, self._shown, tuple(found[frozenset()]))
        return order


def add(found: dict[Ahead, list[Candidate]], ahead: Ahead, more: Iterable[Candidate]) -> list[Candidate]:
    """Add the states that are not there yet, and give them; of two ways to one state that which departs from less stays."""
    known = found.setdefault(ahead, [])
    new = []
    for each in more:
        place = place_of(each.state, known)
        if place is None:
            known.append(each)
            new.append(each)
        elif len(each.departed) < len(known[place].departed):
            known[place] = each
    return new


TOO_MANY = (
    "Not every order was tried of the call in line {} and {} others that it overlaps and depends on. There are fewer orders "
    "with fewer callers at once, or where reads list more often what was written."
)
