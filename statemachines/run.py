"""Runs: a machine per chapter, driven by Hypothesis from one seed, until it is done or has found a violation."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn
from unittest.mock import patch

import hypothesis
from hypothesis import HealthCheck, Phase, core, settings, stateful
from hypothesis.errors import Flaky
from hypothesis.internal.conjecture import providers
from hypothesis.reporting import with_reporter
from hypothesis.stateful import run_state_machine_as_test

from .attachment import AttachmentRules
from .calls import TimeIsUp
from .checker import Violation
from .environment import Undecided
from .event import EventRules
from .lease import LeaseRules
from .machine import Machine, Setup
from .maintenance import MaintenanceRules
from .minted import Program
from .output import OutputRules
from .runtime import RuntimeRules
from .scenes import CommitScenes, QueuedWorkScenes, TurnInputScenes
from .session import SessionRules
from .settlement import SettlementRules
from .shrink import shrunk
from .tally import Tally

RULES: dict[str, type[Machine]] = {
    "lease": LeaseRules,
    "turn_input": TurnInputScenes,
    "queued_work": QueuedWorkScenes,
    "commit": CommitScenes,
    "session": SessionRules,
    "maintenance": MaintenanceRules,
    "attachment": AttachmentRules,
    "runtime": RuntimeRules,
    "event": EventRules,
    "output": OutputRules,
}
"""The rules of each chapter, with those of the chapters that it cannot do without."""

CHAPTERS = tuple(RULES)

NEEDED = {
    "turn_input": ("lease",),
    "queued_work": ("lease",),
    "commit": ("lease",),
    "session": ("lease", "commit"),
    "maintenance": ("lease", "commit", "session"),
}
"""Whose calls the rules of a chapter make: claims and commits need a lease, reads and maintenance something committed."""

BESIDE = {
    "commit": ("turn_input", "queued_work", "attachment"),
    "maintenance": ("turn_input", "queued_work"),
    "attachment": ("turn_input", "queued_work", "commit", "session", "maintenance"),
}
"""What a chapter's machine does besides, on a store that offers it: commits settle claims, a vacuum removes inputs.

The machine of attachments does everything that a session's store can.
"""


def machine_of(chapter: str, offered: Collection[str] = CHAPTERS) -> type[Machine]:
    """The machine of a chapter, for a store that offers these chapters and no others."""
    beside = [each for each in BESIDE.get(chapter, ()) if each in offered]
    rules = [RULES[each] for each in (chapter, *beside)]
    if {"turn_input", "queued_work"} <= {*beside}:
        # turns that claim and settle both kinds; where there is one kind alone, commits still complete what was claimed
        rules.append(SettlementRules)
        if chapter != "attachment":
            # what claims do on their own is for their own chapters
            rules = [each for each in rules if each not in (TurnInputScenes, QueuedWorkScenes)]
    return type(f"{chapter}Machine", _most_derived(rules), {"chapter": chapter, "offered": frozenset(uses(chapter, offered))})


def uses(chapter: str, offered: Collection[str] = CHAPTERS) -> tuple[str, ...]:
    """The chapters whose calls the machine of a chapter makes, in reading order."""
    made = {chapter, *(each for each in BESIDE.get(chapter, ()) if each in offered)}
    made |= {needed for each in made for needed in NEEDED.get(each, ())}
    return tuple(each for each in CHAPTERS if each in made)


def _most_derived(rules: Sequence[type[Machine]]) -> tuple[type[Machine], ...]:
    """The classes without those that another one brings along, the most particular first."""
    needed = [each for each in rules if not any(other is not each and issubclass(other, each) for other in rules)]
    return tuple(reversed(needed))


MACHINES: dict[str, type[Machine]] = {chapter: machine_of(chapter) for chapter in CHAPTERS}
"""The machine of each chapter, for a store that offers all of them."""


@dataclass(frozen=True)
class Budget:
    """How much a run may do: that many examples, from the `first` on, of at most that many steps, drawn from the seed."""

    seed: int
    examples: int
    steps: int
    first: int = 0


def run_machine(machine: type[Machine], setup: Setup, budget: Budget) -> Violation | None:
    """Drive the machine; the shrunk violation, or None if the store held. The same seed gives the same run.

    Anything else that goes wrong is raised: it is the harness or the backend that failed, not the store.
    """
    quiet = settings(
        max_examples=1,
        stateful_step_count=budget.steps,
        # a run is told by its seed alone: nothing is kept between runs
        database=None,
        deadline=None,
        # what is found is shrunk call by call (see `shrink`): rules make several calls, and draws are no calls
        phases=(Phase.generate,),
        report_multiple_bugs=False,
        print_blob=False,
        # a slow store is no fault of the generators
        suppress_health_check=list(HealthCheck),
    )

    try:
        with with_reporter(lambda _: None), _nothing_borrowed(), _no_keys(core), _no_keys(stateful):
            for number in range(budget.first, budget.first + budget.examples):
                # each on its own: of several, Hypothesis makes most by copying parts of earlier ones, and rare draws stay rare
                seeded: Any = hypothesis.seed(f"{budget.seed} {number}")(_Beginnings(machine, setup))
                run_state_machine_as_test(seeded, settings=quiet)
    except Violation as violation:
        return shortest(machine, setup, violation)
    except Flaky:
        # what was seen was seen, whether or not it comes back
        if setup.found is None:
            raise
        setup.found.is_unsteady = "controlled-clock" in setup.declared
        return shortest(machine, setup, setup.found)
    return None


class _Beginnings:
    """Makes the machines of one example, where Hypothesis asks for a class of one.

    Its first choice is always the simplest one: the same rule over and over, as many steps as there may be. That choice is
    rejected at its first call; the next one is drawn.
    """

    def __init__(self, machine: type[Machine], setup: Setup) -> None:
        self._machine = machine
        self._setup = setup
        self._first = True

    def __call__(self) -> Machine:
        if self._first:
            self._first = False
            return _rejecting(self._machine, self._setup)
        made = self._machine(self._setup)
        made.begin()
        return made


def _rejecting(machine: type[Machine], setup: Setup) -> Machine:
    """A machine without a store that makes no call and no move."""
    made = machine(dataclasses.replace(setup, open_store=lambda _: None, tally=Tally()))

    def rejected(*_arguments: object, **_named: object) -> NoReturn:
        hypothesis.reject()

    vars(made).update(perform=rejected, move=rejected, teardown=rejected)
    return made


def shortest(machine: type[Machine], setup: Setup, violation: Violation) -> Violation:
    """The violation of a program of the machine, shrunk. What is done again for that counts in a tally of its own."""
    aside = setup.aside()
    found = shrunk(violation, lambda program: replayed(machine, aside, program))
    found.steps = setup.tally.steps
    return found


def _nothing_borrowed() -> AbstractContextManager[object]:
    """Keep Hypothesis from drawing literals that it finds in local source files.

    Which files are local, and what they say, has no place in what a seed means: the same seed would be another run after any
    edit of the store under check. There is no setting for it; versions that do not borrow have nothing to be kept from.
    """
    if not hasattr(providers, "_get_local_constants"):
        return nullcontext()
    nothing: Any = getattr(providers, "Constants")()  # noqa: B009  # the module does not export it
    changed: dict[str, Any] = {"_get_local_constants": lambda: nothing}
    if hasattr(providers, "CONSTANTS_CACHE"):
        # what other tests of the process have borrowed is kept here
        changed["CONSTANTS_CACHE"] = {}
    replaced: AbstractContextManager[object] = patch.multiple(providers, **changed)
    return replaced


def _no_keys(module: ModuleType) -> AbstractContextManager[object]:
    """Keep Hypothesis from reading source anew for each example, to make a key of it under which nothing is kept.

    That takes as long as ten steps of a run.
    """
    if not hasattr(module, "function_digest"):
        return nullcontext()
    return patch.object(module, "function_digest", lambda _: b"")


def replayed(machine: type[Machine], setup: Setup, program: Program) -> Violation | None:
    """The violation that the program ends in on a fresh store, if it does."""
    replaying = machine(setup)
    try:
        replaying.replay(program)
    except Violation as violation:
        setup.close_store(replaying.store)
        return violation
    except Undecided:
        setup.close_store(replaying.store)
        return None
    except (KeyboardInterrupt, TimeIsUp):
        setup.close_store(replaying.store)
        raise
    try:
        replaying.teardown()
    except Violation as violation:
        return violation
    except Undecided:
        return None
    return None


__all__ = ["MACHINES", "Budget", "Setup", "Tally", "Violation", "run_machine", "shortest"]
