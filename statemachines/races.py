"""Races: a few calls that are made at once, each by a thread of its own, as somebody is sure to make them one day.

Each is played from an empty store. What was answered must follow from some order of the calls: each takes effect at one moment
while it lasts, and reads see one moment. What is kept afterwards must follow from that order too.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from copy import copy
from itertools import combinations, permutations

from fencepost.model import Ids, Refused
from fencepost.spec.operations import OPERATIONS

from .checker import Checker, Crash, Performed, Violation, difference
from .environment import Environment, Undecided
from .following import Call, Following, Made
from .machine import Setup
from .rivals import RACES, Race, Threads
from .tally import Tally

GAPS = (0.0, 0.000_2, 0.001, 0.004)
"""Seconds from one thread to the next, so that calls meet wherever they are, the short ones too."""

ROUNDS = 24
"""How many rounds there are: each gap with every order of three threads."""

STRIDE = 5
"""How far it is from a round to the next, so that a few of them have every order, and every gap."""

SWITCH = 0.000_01
"""Seconds after which another thread of Python goes on, while there are races: as they come, most calls are not interrupted."""


def raced(setup: Setup, chapter: str) -> Violation | None:
    """Run each race of a chapter as often as it says, every time on a fresh store of the setup; the first violation."""
    try:
        with _often_switched():
            for place in range(ROUNDS):
                for race in (each for each in RACES.get(chapter, ()) if place < each.rounds):
                    _run(race, setup, place * STRIDE % ROUNDS)
                    setup.tally.reached[race.requirement] += 1
                    setup.progress(setup.tally)
    except Violation as violation:
        violation.steps = setup.tally.steps
        return violation
    return None


@contextmanager
def _often_switched() -> Iterator[None]:
    """Let threads of Python take turns more often."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _run(race: Race, setup: Setup, number: int) -> None:
    environment = Environment(setup.directory, setup.declared)
    store = setup.open_store(environment)
    # which call was first is chance: what it reached is not counted, so that the same seed gives the same result
    checker = Checker(store, environment, Tally(), strict=setup.strict, calls=setup.calls)
    try:
        calls = race.calls(lambda operation, *arguments: checker.perform(Call(operation, arguments), look=False))
        explained(checker, race, at_once(checker, calls, number))
        for call in race.reads:
            checker.perform(call, look=False)
        setup.tally.steps += sum(len(each) if isinstance(each, list) else 1 for each in calls)
    except Violation as violation:
        violation.as_performed(environment.clock.ahead)
        violation.requirements = _named(race, violation)
        violation.is_race = True
        raise
    finally:
        setup.close_store(store)


def _named(race: Race, violation: Violation) -> Ids:
    """The requirement of the race is the likeliest, but of a call that raised what is no refusal."""
    own, others = (race.requirement,), violation.requirements
    crashed = isinstance(violation.performed[-1].answer, Crash)
    return tuple(dict.fromkeys((*others, *own) if crashed else (*own, *others)))


def waits(count: int, number: int) -> tuple[float, ...]:
    """For how many seconds each of so many threads waits in this round before it begins: another gap, or another order."""
    orders = tuple(permutations(range(count)))
    gap = GAPS[number // len(orders) % len(GAPS)]
    return tuple(place * gap for place in orders[number % len(orders)])


def at_once(checker: Checker, calls: Threads, number: int) -> tuple[tuple[Made, ...], ...]:
    """Make the calls of each thread in a thread of its own, all let go at the same moment but for the waits of the round.

    Those that never return, for their store has locked itself up, keep nobody from ending.
    """
    gate = threading.Barrier(len(calls))
    ends: list[Future[tuple[Made, ...]]] = [Future() for _ in calls]

    def make(thread: Call | list[Call], wait: float, end: Future[tuple[Made, ...]]) -> None:
        try:
            gate.wait()
            time.sleep(wait)
            each = thread if isinstance(thread, list) else [thread]
            end.set_result(tuple(checker.made(call)._replace(concurrent=True) for call in each))
        except BaseException as error:
            # it is raised where the thread is waited for
            end.set_exception(error)

    for given in zip(calls, waits(len(calls), number), ends, strict=True):
        threading.Thread(target=make, args=given, daemon=True).start()
    return tuple(each.result() for each in ends)


def interleaved(threads: Sequence[tuple[Made, ...]]) -> Iterator[tuple[Made, ...]]:
    """Every order of the calls in which each thread's come one after the other."""
    turns = [number for number, thread in enumerate(threads) for _ in thread]
    for order in dict.fromkeys(permutations(turns)):
        calls = [iter(thread) for thread in threads]
        yield tuple(next(calls[number]) for number in order)


def explained(checker: Checker, race: Race, threads: Sequence[tuple[Made, ...]]) -> None:
    """Go on with all that the store may hold after the calls in some order. Raises `Violation` if no order fits."""
    made = [each for thread in threads for each in thread]
    # what is wrong in any order comes last, and is what is told: no refusal above all, then what breaks a contract
    made.sort(key=lambda each: (isinstance(each.answer, Crash), each.broken is not None))
    checker.performed += _performed(made)
    if isinstance(made[-1].answer, Crash):
        checker.performed.pop()
        checker.compare(made[-1])
    undecided: Undecided | None = None
    found: list[Following] = []
    for order in interleaved(threads):
        try:
            found += _after(checker.following, order)
        except Undecided as error:
            undecided = error
    if undecided and not found:
        raise undecided
    if not found:
        raise _unexplained(checker, race, made)
    checker.require_contract(made[-1])
    checker.following.join(found, more=undecided is not None)


def _performed(made: Iterable[Made]) -> list[Performed]:
    """The calls as they are told."""
    return [Performed(each.ended, each.call, each.answer) for each in made]


def _unexplained(checker: Checker, race: Race, made: list[Made]) -> Violation:
    """The violation, told of two calls that cannot both have been answered so, if there are two: they come last then."""
    reason = f"No order of these {len(made)} calls, which were made at once, explains what they were answered"
    for first, second in _rivals(made):
        before = list(_after(checker.following, (first,)))
        if not before or any(list(_after(checker.following, order)) for order in ((first, second), (second, first))):
            continue
        others = [each for each in made if each is not first and each is not second]
        checker.performed[-len(made) :] = _performed((*others, first, second))
        steps = before[0].ours(second)
        alike = "got the same answer" if first.answer == second.answer else "were both granted what one alone can have"
        told = f"{reason}: the last two {alike}"
        return Violation((race.requirement,), checker.performed, steps, difference(steps[0].answer, second.answer), told)
    # a call that could be the first is answered rightly by itself: with it last, it is the order that is missing
    made.sort(key=lambda each: bool(checker.following.ways(each)))
    checker.performed[-len(made) :] = _performed(made)
    return Violation((race.requirement,), checker.performed, checker.following.ours(made[-1]), "", reason)


def _rivals(made: Sequence[Made]) -> Iterator[tuple[Made, Made]]:
    """Each two calls of one kind that changed something, by their answers; those that were answered alike first."""
    changing = [
        each for each in made if not (OPERATIONS[each.call.operation].reads or isinstance(each.answer, Refused | Crash))
    ]
    pairs = [each for each in combinations(changing, 2) if each[0].call.operation == each[1].call.operation]
    yield from sorted(pairs, key=lambda pair: pair[0].answer != pair[1].answer)


def _after(following: Following, order: Sequence[Made]) -> Iterator[Following]:
    """What the store may hold if the calls took effect in this order; nothing if they cannot have. Raises `Undecided`."""
    onward = copy(following)
    for each in order:
        taken = onward.ways(each)
        if not taken:
            return
        onward.go(taken, ())
    yield onward
