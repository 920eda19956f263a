"""The judge: holds a history against the model, call by call, and says which call breaks the law, or what cannot be decided.

Nobody knows any more at which instant of its interval a call took effect, which processes were alive, and in which order
calls that overlapped did. So every state is followed that some choice of these leads to, and a call breaks the law only if no
choice explains it. Where there are more choices than are tried, nothing is said to be broken.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fencepost.model import Refused, State
from fencepost.spec import Backend, ContractBroken
from fencepost.spec.operations import OPERATIONS, part_of
from fencepost.statemachines.checker import Checker, Violation
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.following import Call, Candidate, Made, place_of
from fencepost.statemachines.tally import Tally

from .circumstances import commute, instants
from .history import Crashed, Invalid, Lost, Recorded

Ways = tuple[Candidate, ...]
"""The states that the store may be in."""

ORDERS = 500
"""How many calls are tried, in any order, to explain one that overlaps others."""


START: Ways = (Candidate(State()),)


class CrashedThere(Exception):
    """What a store let out in production."""


class Replayed:
    """A store that answers one call as it was answered."""

    def __init__(self, outcome: object) -> None:
        self._outcome = outcome

    def __getattr__(self, name: str) -> Any:
        def answer(*arguments: object) -> object:
            match self._outcome:
                case Refused(error):
                    raise error
                case Crashed(words):
                    raise _crash(words)
            return self._outcome

        return answer


def _crash(words: str) -> Exception:
    """The exception; a store that inherits its contracts has found out itself which of them its answer broke."""
    found = re.fullmatch(r"ContractBroken: ((?:[A-Z]+(?:-INV)?-\d+\w?(?:, )?)+): (.*)", words, re.DOTALL)
    return ContractBroken(tuple(found[1].split(", ")), found[2]) if found else CrashedThere(words)


class Spanned(NamedTuple):
    """A call, the number of the first call that it overlaps, and the instants between which its store read the clock."""

    made: Recorded
    beside: int
    first: int
    last: int
    unsure: str = ""
    """A sentence on what is missing in the history before this call."""
    fresh: bool = False
    """Whether it is the first call of an empty store."""


class Follower:
    """Takes the states that a store may be in over one call."""

    def __init__(self, *, strict: bool) -> None:
        self.tally = Tally()
        self.doubts: dict[str, str] = {}
        """What cannot be known any more of a store of this name, and so of all that it answers later; a sentence."""
        self.failures = 0
        """How many calls were refused because the storage had failed, where the model sees no reason."""
        self.beside = Tally()
        """The same of calls that overlapped others: what they depart from, in the order that was tried first, says little."""
        self._checker = Checker(None, Environment(Path()), self.tally, strict=strict, instants=instants)

    def over(self, ways: Ways, span: Spanned, *, alone: bool) -> tuple[Ways, Violation | None]:
        """The states after the call, each once; if there are none, why not. `alone` says that it overlapped no other.

        Raises `Undecided`.
        """
        made, checker = span.made, self._checker
        assert isinstance(made.call, Call)
        if isinstance(made.outcome, Lost):
            return self._lost(ways, made, made.call), None
        checker.following.candidates = ways
        checker.tally = self.tally if alone else self.beside
        checker.performed = []
        try:
            checker.compare(self._made(made.call, span, alone=alone))
        except Violation as violation:
            if isinstance(made.outcome, Refused) and isinstance(made.outcome.error, Backend):
                self.failures += 1
                return ways, None
            return (), violation
        # instants are bound to the intervals of calls alone: a store may read its clock before it takes its turn
        return tuple(each._replace(now=0) for each in checker.following.candidates), None

    def _made(self, call: Call, span: Spanned, *, alone: bool) -> Made:
        """The call as the checker knows calls. Its outcome is held to the contracts as if a store had just given it."""
        self._checker.store = Replayed(span.made.outcome)
        made = self._checker.made(call)
        return made._replace(began=span.first, ended=span.last, alive=None, concurrent=not alone)

    def _lost(self, ways: Ways, made: Recorded, call: Call) -> Ways:
        if not OPERATIONS[call.operation].reads:
            words = made.outcome.words
            self.doubt(call, f"What became of the call in line {made.line} is not known: its caller went away ({words}).")
        return ways

    def doubt(self, call: Call | Invalid, sentence: str) -> None:
        """Remember what cannot be known any more of the store that was called."""
        self.doubts.setdefault(part_of(OPERATIONS[call.operation].chapter), sentence)


def _add(found: list[Candidate], more: Iterable[Candidate]) -> None:
    """Add the states that are not there yet; of two ways to one state the one that departs from less stays."""
    for each in more:
        known = place_of(each.state, found)
        if known is None:
            found.append(each)
        elif len(each.departed) < len(found[known].departed):
            found[known] = each


class Order:
    """Takes calls over in an order in which they may have taken effect: as they ended, and where they overlapped in any other.

    For each set of calls that took effect before one that ended earlier, the states that this leads to.
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._ways: dict[frozenset[int], Ways] = {frozenset(): START}

    def take(self, at: int, spans: dict[int, Spanned]) -> Violation | None:
        """Take the call of this number over; why no order allows it, if none does. `spans` are it and those that overlap it."""
        if len(spans) == 1 and not spans[at].made.over and self._ways.keys() == {frozenset()}:
            after, why = self._follower.over(self._ways[frozenset()], spans[at], alone=True)
            self._ways = {frozenset(): after} if after else self._ways
            return why
        others = _dependent(at, spans)
        found: dict[frozenset[int], list[Candidate]] = {}
        violation: Violation | None = None
        for ahead, ways in self._ways.items():
            if at in ahead:
                _add(found.setdefault(ahead - {at}, []), ways)
                continue
            for before, states in self._with_some_before(at, others - ahead, ahead, ways, spans):
                after, why = self._follower.over(states, spans[at], alone=False)
                violation = violation or why
                if after:
                    _add(found.setdefault(before, []), after)
        if found:
            self._ways = {ahead: tuple(states) for ahead, states in found.items()}
        return None if found else violation

    def _with_some_before(
        self, at: int, others: frozenset[int], ahead: frozenset[int], ways: Ways, spans: dict[int, Spanned]
    ) -> Iterator[tuple[frozenset[int], Ways]]:
        """The states in which the call may have found the store: none of the others before it first, then any in any order."""
        pending, tried = deque([(ahead, ways)]), 0
        while pending:
            before, states = pending.popleft()
            yield before, states
            for other in sorted(others - before):
                tried += 1
                if tried > ORDERS:
                    self._follower.doubt(spans[at].made.call, TOO_MANY.format(f"{spans[at].made.line:,}"))
                    return
                onward, _ = self._follower.over(states, spans[other], alone=False)
                pending.extend([(before | {other}, onward)] if onward else [])


TOO_MANY = "Line {} overlaps so many calls that not every order of them was tried."


def _dependent(at: int, spans: dict[int, Spanned]) -> frozenset[int]:
    """Those of the others whose place before this call makes a difference, to it or by way of one that does."""
    found: set[int] = set()
    pending = [at]
    while pending:
        call = spans[pending.pop()].made.call
        near = {other for other in spans.keys() - found - {at} if _depend(call, spans[other].made.call)}
        found |= near
        pending.extend(near)
    return frozenset(found)


def _depend(one: Call | Invalid, other: Call | Invalid) -> bool:
    return isinstance(one, Call) and isinstance(other, Call) and not commute(one, other)
