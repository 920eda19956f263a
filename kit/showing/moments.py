"""What the model made of a counterexample: its state before and after each call, and what decided the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fencepost.model import Ids, State
from fencepost.spec import decode_session
from fencepost.statemachines.checker import Move
from fencepost.statemachines.environment import Processes
from fencepost.statemachines.following import Following, Made

from .script import Script


class Moment(NamedTuple):
    """The model's state before and after a call, and the requirements that decided its answer.

    After the call that was answered wrongly it is the state that the right answer would have led to.
    """

    before: State
    after: State
    because: Ids


def moments(script: Script, *, strict: bool = False, by_time_of_day: bool = False) -> Iterator[Moment]:
    """The moment of each call of the script, from the answers that were given.

    Of a store that goes by the time of day a call was made at some instant before the next one began.
    """
    following, processes = Following(State(), strict=strict), Processes()
    for line, later in zip(script, (*script[1:], script[-1]), strict=True):
        for event in line.moves:
            if isinstance(event.action, Move) and event.action.is_of_process:
                getattr(processes, event.action.method)(*event.action.arguments)
        now, call, answer = line.performed
        made = Made(call, answer, now, later.performed.now if by_time_of_day else now, processes, decode_session)
        known, taken = following.candidates[0].state, following.ways(made)
        if not taken:
            ours = following.ours(made)[0]
            yield Moment(known, ours.state, ours.because)
            continue
        following.go(taken, taken[0].departed)
        yield Moment(known, following.candidates[0].state, taken[0].step.because)
