"""The judge: holds one call of a history against the model, in each state that its store may be in.

Nobody knows any more at which instant of its interval a call took effect, and which processes were alive. So every state is
followed that some choice of these leads to, and a call breaks the law only if no choice explains it. Where there are more
choices than are tried, nothing is said to be broken. In which order calls took effect that overlapped, `orders` finds out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from fencepost.model import Refused, State
from fencepost.spec import Backend, ContractBroken
from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.checker import Checker, Violation
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.following import CANDIDATES, Call, Candidate, Made
from fencepost.statemachines.tally import Tally

from .circumstances import Lane, instants, lane_of
from .history import Crashed, Invalid, Lost, Recorded

Ways = tuple[Candidate, ...]
"""The states that the store may be in."""

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
        self.guessed: set[Lane] = set()
        """Where orders were left out that later answers speak against: what nothing explains there is to be held again."""
        self.doubts: dict[Lane, str] = {}
        """What cannot be known any more of a lane, or of a whole store, and so of all that it answers later; a sentence."""
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
            self.doubt_lost(made)
            return ways, None
        checker.following.candidates = ways
        checker.tally = self.tally if alone else self.beside
        checker.performed = []
        try:
            checker.compare(self.made(span, alone=alone))
        except Violation as violation:
            if _storage_failed(made.outcome):
                self.failures += 1
                return ways, None
            return (), violation
        return self._onward(made.call), None

    def tried(self, candidate: Candidate, span: Spanned, made: Made, *, first: bool) -> Ways:
        """The states after a call that overlapped others, if it found the store in this state; none if it cannot have.

        It is counted if it is the `first` try. Raises `Undecided`.
        """
        if isinstance(span.made.outcome, Lost):
            return (candidate,)
        checker = self._checker
        checker.following.candidates = (candidate,)
        taken = checker.following.ways(made)
        if not taken:
            return (candidate,) if _storage_failed(span.made.outcome) else ()
        if first:
            checker.tally = self.beside
            checker.counted(made, taken[0])
        checker.following.go(taken, ())
        return self._onward(made.call)

    def settled(self, ways: Ways) -> Ways:
        """The only state that is left, if it is; what the way to it departs from is certain now."""
        if len(ways) != 1 or not ways[0].departed:
            return ways
        self.tally.differs.update(ways[0].departed)
        return (ways[0]._replace(departed=()),)

    def made(self, span: Spanned, *, alone: bool) -> Made:
        """The call as the checker knows calls. Its outcome is held to the contracts as if a store had just given it."""
        assert isinstance(span.made.call, Call)
        self._checker.store = Replayed(span.made.outcome)
        made = self._checker.made(span.made.call)
        return made._replace(began=span.first, ended=span.last, alive=None, concurrent=not alone)

    def _onward(self, call: Call) -> Ways:
        following = self._checker.following
        if following.forgotten:
            self.doubt(call, FORGOTTEN)
            following.forgotten = False
        # instants are bound to the intervals of calls alone: a store may read its clock before it takes its turn
        return tuple(each._replace(now=0) if each.now else each for each in following.candidates)

    def doubt_lost(self, made: Recorded) -> None:
        """Remember that nobody knows what a call did, if its caller went away, and it was to do anything."""
        if isinstance(made.outcome, Lost) and isinstance(made.call, Call) and not OPERATIONS[made.call.operation].reads:
            words = made.outcome.words
            self.doubt(made.call, f"What became of the call in line {made.line} is not known: its caller went away ({words}).")

    def doubt(self, call: Call | Invalid, sentence: str) -> None:
        """Remember what cannot be known any more of what the call is about, or of all that its store has."""
        self.doubts.setdefault(lane_of(call), sentence)

    def doubted(self, call: Call | Invalid) -> str | None:
        """What cannot be known any more of what the call is about; a sentence."""
        lane = lane_of(call)
        return self.doubts.get(lane) or self.doubts.get(lane[:1])


def _storage_failed(outcome: object) -> bool:
    return isinstance(outcome, Refused) and isinstance(outcome.error, Backend)


FORGOTTEN = f"More than {CANDIDATES} states fitted the answers before, of which only so many were followed."
