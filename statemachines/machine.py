"""What all machines share: a store under check, a clock under control, and a memory of everything ever answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from fencepost.model import State
from fencepost.spec import (
    InvalidArgument,
    PendingTurnInput,
    PendingTurnInputDraft,
    QueuedWorkBatch,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    RuntimeCommit,
    SessionExecutionLease,
    TurnInputClaim,
)
from fencepost.spec.operations import OPERATIONS
from hypothesis.stateful import RuleBasedStateMachine, rule

from .calls import Calls
from .checker import EMPTY, Call, Checker, Edge, Event, Move, Violation, session_of
from .draws import ANY, mixed
from .environment import CAPABILITIES, Environment
from .lacking import CALLS_OF
from .lookalikes import PAIRS, renamed, texts
from .minted import Renaming, ends
from .tally import Tally

IN_TURN = 3
"""How many reads of what a call is not about are made after one that had no effect."""

CLOSE = 3
"""How many milliseconds from an end a call by the time of day counts as made at that edge."""


@dataclass
class Setup:
    """How a machine gets its store, where it counts, and whom it tells after each run and each few steps.

    A store that is `declared` to reopen is closed and opened in the same environment now and then, and must show what it had
    acknowledged. `found` is the first violation that was seen: without a controlled clock nothing can be done twice alike.
    """

    open_store: Callable[[Environment], Any]
    directory: Path
    tally: Tally = field(default_factory=Tally)
    strict: bool = False
    progress: Callable[[Tally], None] = lambda _: None
    close_store: Callable[[Any], None] = lambda _: None
    declared: frozenset[str] = frozenset(CAPABILITIES) - {"reopen"}
    lacking: frozenset[str] = frozenset()
    """The chapters that the store does not declare, although it has their calls."""
    found: Violation | None = None
    calls: Calls = field(default_factory=Calls)
    _told: float = field(default_factory=time.monotonic, init=False)

    @property
    def reopens(self) -> bool:
        """Whether the store can be opened again."""
        return "reopen" in self.declared

    def tell(self) -> None:
        """Tell of the steps so far: now and then, and of a slow store each second."""
        now = time.monotonic()
        if self.tally.steps % 32 == 0 or now > self._told + 1:
            self._told = now
            self.progress(self.tally)

    def aside(self) -> Setup:
        """The same with a tally of its own, for what is done again to shorten a violation, which is told at once."""
        aside = replace(self, tally=Tally())
        aside.progress(aside.tally)
        return aside


class Memory:
    """Everything that was ever answered and may be shown to the store again."""

    def __init__(self) -> None:
        self.leases: list[SessionExecutionLease] = []
        self.commits: list[RuntimeCommit] = []
        self.input_drafts: list[PendingTurnInputDraft] = []
        self.inputs: list[PendingTurnInput] = []
        self.input_claims: list[TurnInputClaim] = []
        self.work_drafts: list[QueuedWorkBatchDraft] = []
        self.batches: list[QueuedWorkBatch] = []
        self.work_claims: list[QueuedWorkClaim] = []
        self.calls: list[Call] = []


class Machine(RuleBasedStateMachine):
    """The base of every chapter's machine: rules call `perform`, the checker compares."""

    chapter: ClassVar[str] = ""
    offered: ClassVar[frozenset[str]] = frozenset()
    """The chapters whose calls this machine may make."""

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.setup = setup
        self.environment = Environment(setup.directory, setup.declared)
        self.memory = Memory()
        self.program: list[Event] = []
        self._failed = False
        self._meant: Event | None = None
        self._ends: list[int] = []
        self._lacking = sorted(setup.lacking)
        self.store = setup.open_store(self.environment)
        self.checker = Checker(
            self.store,
            self.environment,
            setup.tally,
            strict=setup.strict,
            observations=self.observations,
            touches=self.touches,
            untouched=self.untouched,
            lacking=setup.lacking,
            calls=setup.calls,
        )

    @property
    def now(self) -> int:
        """The instant of the next call."""
        return self.environment.clock.now

    @property
    def program_time(self) -> int:
        """The instant of the next call, as programs count; of one that is done again, the instant it was meant for."""
        return self.now - self.environment.clock.ahead if self._meant is None else self._meant.now

    def _edge(self) -> Edge | None:
        """The end that the next call is close to, the newest of them; by the time of day alone."""
        if self._meant is not None:
            return self._meant.edge
        now = self.now
        close = (Edge(end, now - end) for end in reversed(self._ends) if abs(now - end) <= CLOSE)
        return next(close, None) if self.environment.clock.ahead else None

    @property
    def short_ms(self) -> int:
        """For how long a lease is claimed that is to run out soon: longer by the time of day, in which calls take theirs."""
        return 50 if self.environment.clock.ahead else 10

    @property
    def state(self) -> State:
        """The model's state."""
        return self.checker.state

    def observations(self, state: State) -> Iterable[Call]:
        """Every reading call that the chapters of this machine offer."""
        return ()

    def touches(self, call: Call) -> Iterable[Call]:
        """The reads that show what a call may have touched."""
        return ()

    def untouched(self, call: Call) -> Iterable[Call]:
        """The reads that show that a call had no effect: those about what it names, and some others in turn.

        All others take too long after each such call. They are made at the end, and where a program is done again.
        """
        reads = list(self.observations(self.state))
        if self._meant is not None:
            return reads
        about = (*call.arguments[:1], session_of(call))
        near = [each for each in reads if each.arguments[:1] and each.arguments[0] in about]
        others = [each for each in reads if each not in near]
        start = len(self.memory.calls) % max(1, len(others))
        return (*near, *(others[start:] + others[:start])[:IN_TURN])

    def begin(self) -> None:
        """What a run does before its first rule."""

    def _call_what_is_lacking(self) -> None:
        """Before its first call of its own a run makes every call of what the store does not declare."""
        lacking, self._lacking = self._lacking, []
        for call in (each for chapter in lacking for each in CALLS_OF[chapter]):
            self.perform(call.operation, *call.arguments)

    def perform(self, operation: str, *arguments: object, look: bool = True) -> object:
        """Make the call and compare; the answer. Without `look` nothing is read to see what it touched."""
        if self._lacking and self._meant is None:
            self._call_what_is_lacking()
        call = Call(operation, arguments)
        self.memory.calls.append(call)
        event = Event(self.program_time, call, edge=self._edge())
        try:
            answer = self.checker.perform(call, look=look)
        except Violation as violation:
            self._fail(violation, event)
            raise
        self.program.append(event._replace(answer=answer))
        self._ends += ends(answer)
        self.setup.tell()
        if self._meant is None and isinstance(answer, tuple):
            self._empty()
        return answer

    def _empty(self) -> None:
        """Do with a list that was handed out what a caller may do; nothing can be done to a tuple."""
        if type(self.checker.handed) is list:
            self.move(EMPTY.method)
        self.setup.tally.reached["VALUE-4"] += 1

    def move(self, method: str, *arguments: Any, look: bool = True) -> None:
        """Change the process table, reopen the store, or empty what it handed out, as one step of the run."""
        move = Move(method, arguments)
        self.program.append(Event(self.program_time, move))
        if move == EMPTY:
            self.checker.empty()
            return
        self.setup.tally.steps += 1
        if move.is_of_process:
            getattr(self.environment.process_alive, method)(*arguments)
            return
        self.setup.close_store(self.store)
        self.store = self.checker.store = self.setup.open_store(self.environment)
        if look:
            self._look_after_reopening()

    def _look_after_reopening(self) -> None:
        try:
            self.checker.observe(("VALUE-9",))
        except Violation as violation:
            self._fail(violation)
            raise
        self.setup.tally.reached["VALUE-9"] += 1
        if "session" in self.offered and self.state.session.meta is not None:
            self.setup.tally.reached["META-5"] += 1

    def _fail(self, violation: Violation, *last: Event) -> None:
        """Remember how the violation came about."""
        self._failed = True
        violation.program, violation.ahead = (*self.program, *last), self.environment.clock.ahead
        self.setup.found = self.setup.found or violation

    @rule(drawn=mixed(range(4)))
    def reopen(self, drawn: tuple[int]) -> None:
        """Not always, for it takes as long as fifty calls: close the store, open it again, and find everything as it was."""
        if self.setup.reopens and drawn[0] == 0:
            self.move("reopen")

    @rule(drawn=mixed(ANY, range(12), PAIRS))
    def look_alike(self, drawn: tuple[int, int, Callable[[str], tuple[str, str]]]) -> None:
        """Make a call of the chapter again under two names that look alike: what is done under one is not done under both."""
        index, place, pair = drawn
        made = (each for each in reversed(self.memory.calls) if OPERATIONS[each.operation].chapter == self.chapter)
        named = ((each, found) for each in made if (found := texts(each)))
        recent = list(islice(named, index + 1))
        if not recent:
            return
        call, found = recent[index % len(recent)]
        text = found[place % len(found)]
        for name in pair(text):
            with suppress(InvalidArgument):
                # some records cannot be built with just any text
                self.perform(call.operation, *renamed(call, text, name).arguments)
        self.setup.tally.reached["VALUE-12"] += 1

    def replay(self, program: Sequence[Event]) -> None:
        """Do again what another run did, with the values that this run's store mints. Raises `Violation`.

        Only after the last event is looked at what it touched: that is where the program is meant to fail.
        """
        renaming = Renaming()
        skipped = 0
        for place, event in enumerate(program, 1):
            action, last = event.action, place == len(program)
            skipped += self._wait_for(event._replace(now=event.now - skipped, edge=renaming.edge(event.edge)))
            if isinstance(action, Move):
                self.move(action.method, *action.arguments, look=last)
            else:
                renaming.learn(event.answer, self.perform(action.operation, *renaming.apply(action.arguments), look=last))

    def _wait_for(self, event: Event) -> int:
        """Go to the instant of an event that is done again; how much sooner it comes than it was meant to.

        By the time of day no gap that some slow call had left is waited for to its end.
        """
        clock, edge = self.environment.clock, event.edge
        farthest = self.now + clock.reach
        # in place of a lease that ends soon there may be one by now that never does
        is_near = edge is not None and edge.end <= farthest
        instant = edge.end + edge.after if edge and is_near else event.now + clock.ahead
        sooner = max(0, instant - farthest) if clock.ahead else 0
        clock.move_to(instant - sooner)
        self._meant = event._replace(now=event.now - sooner)
        return sooner

    def note(self, condition: str) -> None:
        """Count a situation that some family of faults needs to show."""
        self.setup.tally.conditions[condition] += 1

    def teardown(self) -> None:
        """Compare everything readable once more, and let the store go."""
        try:
            if not self._failed:
                self.checker.observe()
        except Violation as violation:
            self._fail(violation)
            raise
        finally:
            self.setup.tally.runs += 1
            self.setup.close_store(self.store)
