"""The checker: makes a call on a store and on the model, and compares.

The store answers first; the model is given the answer, takes minted values from it, and says which steps are admissible. The
store must have taken one of them. If it took another than ours, it departs from CURRENT requirements: that is counted, and
fails only in a strict run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from fencepost.model import TRANSITIONS, Ids, Ports, Refused, State, Step, Steps, Why
from fencepost.model.step import MANIFEST, SIGNED_MAX, subject
from fencepost.spec import U64_MAX, ContractBroken, InvalidArgument, Json, StoreError
from fencepost.spec.catalogue import Level, requirements
from fencepost.spec.operations import CHAPTERS, OPERATIONS, store_of
from msgspec.structs import replace

from .environment import Environment, Unavailable
from .tally import Tally


class Call(NamedTuple):
    """A call as data."""

    operation: str
    arguments: tuple[object, ...] = ()


class Move(NamedTuple):
    """A change of the process table, or `reopen` of the store, as data."""

    method: str
    arguments: tuple[Any, ...]


class Event(NamedTuple):
    """One step of a program: the instant, what was done, and the answer if it was a call."""

    now: int
    action: Call | Move
    answer: object = None


class Performed(NamedTuple):
    """A call that was made, the instant it was made at, and the answer."""

    now: int
    call: Call
    answer: object


class Crash(NamedTuple):
    """The answer of a call that raised what is no `StoreError` (VALUE-6)."""

    error: BaseException


class Violation(AssertionError):
    """A store broke the law: what was called, what was answered, what was admissible, and which requirements say so.

    `performed` are all calls with their answers, those that only observed too; `program` is what to do to see it again.
    """

    program: tuple[Event, ...] = ()
    steps: int = 0
    """How many steps the run had made when it was first seen."""
    interrupted: bool = False
    """Whether the search for a shorter program was cut short."""
    without_effect: Ids = ()
    """What decided that calls before the last one had no effect."""

    def __init__(self, requirements: Ids, performed: Sequence[Performed], admissible: Steps, path: str, reason: str) -> None:
        super().__init__(reason)
        self.requirements = requirements
        self.performed = tuple(performed)
        self.admissible = admissible
        self.path = path
        self.reason = reason


class Candidate(NamedTuple):
    """A state that the store may be in, and the CURRENT requirements that it has departed from, unseen, if it is."""

    state: State
    departed: Ids = ()


CANDIDATES = 64
"""How many states are followed at once: what is admitted beyond that is forgotten, ours never."""


class Checker:
    """A store held against the model, call by call.

    An answer may leave open which of several admissible steps was taken, where they differ in what only later answers show:
    then every state that fits is followed, ours first, until answers tell.
    """

    def __init__(
        self,
        store: object,
        environment: Environment,
        tally: Tally,
        *,
        strict: bool = False,
        observations: Callable[[State], Iterable[Call]] = lambda _: (),
        touches: Callable[[Call], Iterable[Call]] = lambda _: (),
    ) -> None:
        self.store = store
        self.environment = environment
        self.tally = tally
        self.strict = strict
        self._candidates: tuple[Candidate, ...] = (Candidate(State()),)
        self.performed: list[Performed] = []
        self._observations = observations
        self._touches = touches
        # what later answers owe to earlier calls, and effects that no answer has shown yet, by what they are about
        self._effects: Why = ()
        self._unshown: Why = ()
        self._unconfirmed: dict[str, Ids] = {}
        self._without_effect: Ids = ()

    @property
    def state(self) -> State:
        """The model's state: ours, of those that the store may be in."""
        return self._candidates[0].state

    def perform(self, call: Call, *, look: bool = True) -> object:
        """Make the call, compare its answer, then all that it may have touched; the answer, `Refused` if it was refused.

        Without `look` the answer alone is compared.
        """
        before = self.state
        step = self._compare(call, ())
        self.tally.steps += 1
        if isinstance(step.answer, Refused):
            self._without_effect += ("VALUE-7", *step.because)
        elif self.state is before:
            self._without_effect += step.because
        if look:
            self._look(call, step, before)
        return step.answer

    def _look(self, call: Call, step: Step, before: State) -> None:
        """Compare what the call may have touched; after a refusal, or a call without effect, everything readable."""
        if isinstance(step.answer, Refused):
            self.observe(("VALUE-7", *step.because))
            self.tally.reached["VALUE-7"] += 1
        elif self.state is not before:
            for read in self._touches(call):
                self._compare(read, (), touched=True)
        elif not OPERATIONS[call.operation].reads:
            self.observe(step.because)

    def observe(self, context: Ids = ()) -> None:
        """Compare everything readable; what differs is blamed on the context first."""
        for read in self._observations(self.state):
            self._compare(read, context)

    def _compare(self, call: Call, context: Ids, *, touched: bool = False) -> Step:
        seen = self._answer(call)
        self.performed.append(Performed(self.environment.clock.now, call, seen))
        environment = self.environment
        ports = Ports(environment.clock.now, environment.process_alive, seen, codec=environment.codec)
        steps = [self._admissible(call, ports, each.state) for each in self._candidates]
        taken = self._taken(steps, seen)
        if not taken:
            raise self._violation(call, steps[0], seen, context, touched)
        step, departed = taken[0]
        # what even the nearest admissible way departs from is certain now
        self.tally.count(call.operation, replace(step, differs=departed) if departed else step)
        self._candidates = _told_apart(taken, departed)
        self._confirm(call, step)
        return step

    def _taken(self, steps: Sequence[Steps], seen: object) -> list[tuple[Step, Ids]]:
        """The steps that give the answer seen, with what they depart from, those that depart least first."""
        taken = [
            (step, (*candidate.departed, *step.differs))
            for candidate, admissible in zip(self._candidates, steps, strict=True)
            for step in admissible
            if step.answer == seen and not (self.strict and _binding(step.differs))
        ]
        return sorted(taken, key=lambda each: len(each[1]))[:CANDIDATES]

    def _admissible(self, call: Call, ports: Ports, state: State) -> Steps:
        operation = OPERATIONS[call.operation]
        try:
            operation.refuse_invalid(call.arguments)
        except InvalidArgument as error:
            return (Step(state, Refused(error), ("VALUE-1", "VALUE-2")),)
        steps = TRANSITIONS[call.operation](state, ports, *call.arguments)
        if isinstance(ports.seen, Refused):
            self.tally.reached.update(("VALUE-5", "VALUE-6"))
            if isinstance(ports.seen.error, InvalidArgument) and _beyond_signed(call.arguments):
                return (*steps, Step(state, ports.seen, ("VALUE-3",), differs=("VALUE-3",)))
        elif _beyond_signed(call.arguments):
            self.tally.reached["VALUE-3"] += 1
        return steps

    def _answer(self, call: Call) -> object:
        operation = OPERATIONS[call.operation]
        try:
            method: Any = operation.of(self.store)
            answer = method(*call.arguments)
            # a store may answer lists where the protocol says a sequence (VALUE-4)
            answer = tuple(answer) if type(answer) is list else answer
            if not isinstance(store_of(self.store, operation.chapter), CHAPTERS[operation.chapter]):
                operation.require_contract(call.arguments, answer)
        except StoreError as error:
            return Refused(error)
        except (KeyboardInterrupt, Unavailable):
            raise
        except BaseException as error:
            # SystemExit too: a store that ends the process must not end the check of it
            return Crash(error)
        return answer

    def _confirm(self, call: Call, step: Step) -> None:
        """Remember what this answer does not show, until an answer about the same thing does."""
        self._unconfirmed.pop(_subject(call), None)
        self._unconfirmed.update(step.silent)
        if step.effects:
            self._effects = self._unshown = step.effects
        elif OPERATIONS[call.operation].reads and step.answer is not None and not isinstance(step.answer, Refused):
            # an effect counts once a read has shown it
            shown = tuple(effect for effect in self._unshown if effect[0].partition(".")[0] in (call.operation, ""))
            self.tally.count_all(shown)
            self._unshown = tuple(effect for effect in self._unshown if effect not in shown)

    def _violation(self, call: Call, steps: Steps, seen: object, context: Ids, touched: bool) -> Violation:
        ours = steps[0]
        if isinstance(seen, Crash):
            if isinstance(seen.error, ContractBroken):
                return self._broken((*seen.error.requirements, *ours.because), steps, "", str(seen.error))
            reason = f"{call.operation} raised {type(seen.error).__name__}: {seen.error}; only a StoreError may leave a call"
            return self._broken(("VALUE-6",), steps, "", reason)
        path = difference(ours.answer, seen)
        blamed = (*context, *self._blamed(call, ours, path, touched))
        departed = next((step.differs for step in steps[1:] if step.answer == seen), ())
        if departed:
            return self._broken(departed, steps, path, f"{call.operation} departs from {', '.join(departed)} in a strict run")
        where = f" in {path}" if path else ""
        return self._broken(blamed, steps, path, f"{call.operation} gave another answer than the model{where}")

    def _blamed(self, call: Call, ours: Step, path: str, touched: bool) -> Ids:
        """The requirements in question, the likeliest first.

        In a shrunk program every call is needed. So what an earlier call did in silence, or the commit that a read looks
        after, is likelier at fault than the call that shows it.
        """
        found = _fixing(ours.details, path) or ours.because
        if isinstance(value_at(ours.answer, path), Json | bytes):
            found = ("VALUE-8", *found)
        owed = _fixing(self._effects, f"{call.operation}.{path}")
        silent = self._unconfirmed.get(_subject(call), ())
        both = tuple(each for each in found if each in silent)
        if touched:
            return (*silent, *owed, *found)
        if path and both:
            return (*both, *found, *silent, *ours.because)
        return (*silent, *found, *owed, *ours.because)

    def _broken(self, requirements: Ids, steps: Steps, path: str, reason: str) -> Violation:
        violation = Violation(tuple(dict.fromkeys(requirements)), self.performed, steps, path, reason)
        violation.without_effect = self._without_effect
        return violation


def _binding(departed: Ids) -> Ids:
    """The departures that a strict run does not admit: what a capability asks binds only those who declare it."""
    return tuple(each for each in departed if requirements()[each].level is not Level.CAPABILITY)


def _told_apart(taken: Sequence[tuple[Step, Ids]], counted: Ids) -> tuple[Candidate, ...]:
    """The states that the store may be in, each once, with what is still open about their departures."""
    if len(taken) == 1:
        return (Candidate(taken[0][0].state),)
    states: dict[State, Candidate] = {}
    for step, departed in taken:
        states.setdefault(step.state, Candidate(step.state, tuple(each for each in departed if each not in counted)))
    return tuple(states.values())


def difference(expected: object, given: object) -> str:
    """The path of the first field in which two answers differ: empty if they differ in kind."""
    if type(expected) is not type(given):
        return ""
    if isinstance(expected, tuple) and isinstance(given, tuple):
        pairs = [(str(index), *items) for index, items in enumerate(zip(expected, given, strict=False))]
        pairs = pairs if len(expected) == len(given) else []
    elif isinstance(expected, msgspec.Struct) and not isinstance(expected, Refused):
        pairs = [(name, getattr(expected, name), getattr(given, name)) for name in expected.__struct_fields__]
    else:
        return ""
    for name, ours, theirs in pairs:
        if ours != theirs:
            deeper = difference(ours, theirs)
            return f"{name}.{deeper}" if deeper else name
    return ""


def value_at(answer: object, path: str) -> object:
    """The field of an answer at a path such as `lease.fencing_token` or `graph.nodes.0`; the answer itself if it is empty."""
    for name in path.split(".") if path else ():
        answer = answer[int(name)] if isinstance(answer, tuple) else getattr(answer, name)
    return answer


def _fixing(why: Why, path: str) -> Ids:
    """The requirements that fix the field at the path: those of the first entry that is a prefix of it."""
    if not path:
        return ()
    return next((ids for prefix, ids in why if not prefix or path == prefix or path.startswith(prefix + ".")), ())


def _subject(call: Call) -> str:
    """What the answer of a call is about: the metadata, the manifest, or something of the session that it names first.

    The list of all queued work shows nothing of the claims, which is what changes in silence.
    """
    subjects = {"load_session_meta": "metadata", "list_uncommitted": MANIFEST, "list_queued_work": "batches"}
    return subjects.get(call.operation) or subject(OPERATIONS[call.operation].chapter, session_of(call))


def session_of(call: Call) -> str:
    """The session that a call names first; empty if it names none."""
    first = call.arguments[0] if call.arguments else ""
    session_id = first if isinstance(first, str) else getattr(first, "session_id", "")
    return str(session_id)


def _beyond_signed(value: object) -> bool:
    """Whether a number above 2^63 - 1 stands anywhere in the value."""
    if isinstance(value, int):
        return SIGNED_MAX < value <= U64_MAX
    if isinstance(value, tuple):
        return any(_beyond_signed(item) for item in value)
    if isinstance(value, msgspec.Struct):
        return any(_beyond_signed(getattr(value, name)) for name in value.__struct_fields__)
    return False
