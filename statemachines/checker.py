"""The checker: makes a call on a store and on the model, and compares.

The store answers first; the model is given the answer, takes minted values from it, and says which steps are admissible (see
`following`). The store must have taken one of them. If it took another than ours, it departs from CURRENT requirements: that is
counted, and fails only in a strict run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from fencepost.model import TRANSITIONS, Ids, Refused, State, Step, Steps, Why
from fencepost.model.step import MANIFEST, subject
from fencepost.model.unsupported import UNSUPPORTED
from fencepost.spec import ContractBroken, Json, StoreError
from fencepost.spec.operations import OPERATIONS
from fencepost.spec.values import printable, text_of
from msgspec.structs import replace

from .calls import Calls
from .environment import Environment, Unavailable
from .following import Call, Following, Instants, Made, Taken, beyond_signed
from .origin import where_raised
from .situations import answered
from .tally import Tally

__all__ = [
    "EMPTY",
    "REOPEN",
    "Call",
    "Checker",
    "Crash",
    "Edge",
    "Event",
    "Move",
    "Performed",
    "Violation",
    "difference",
    "session_of",
    "value_at",
]


class Move(NamedTuple):
    """What is done besides calls, as data: a change of the process table, or one of `REOPEN` and `EMPTY`."""

    method: str
    arguments: tuple[Any, ...]

    @property
    def is_of_process(self) -> bool:
        """Whether it changes the process table."""
        return self not in (REOPEN, EMPTY)


REOPEN = Move("reopen", ())
"""The store is closed and opened again."""

EMPTY = Move("empty", ())
"""The caller empties the list that the last call gave it: nothing in the store may change with it (VALUE-4)."""


class Edge(NamedTuple):
    """An instant close to the end of a lease or a claim that was answered: that end, and how long after it."""

    end: int
    after: int


class Event(NamedTuple):
    """One step of a program: the instant, what was done, and the answer if it was a call.

    By the time of day an instant close to an end is kept as that too: done again, everything comes a little sooner or later.
    """

    now: int
    action: Call | Move
    answer: object = None
    edge: Edge | None = None

    @property
    def is_of_process(self) -> bool:
        """Whether it changes the process table."""
        return isinstance(self.action, Move) and self.action.is_of_process


class Performed(NamedTuple):
    """A call that was made, the instant it was made at, and the answer."""

    now: int
    call: Call
    answer: object


class Crash(NamedTuple):
    """The answer of a call that raised what is no `StoreError` (VALUE-6), and where it was raised, if known."""

    error: BaseException
    where: str = ""


class Violation(AssertionError):
    """A store broke the law: what was called, what was answered, what was admissible, and which requirements say so.

    `performed` are all calls with their answers, those that only observed too; `program` is what to do to see it again.
    """

    program: tuple[Event, ...] = ()
    steps: int = 0
    """How many steps the run had made when it was first seen."""
    interrupted: bool = False
    """Whether the search for a shorter program was cut short."""
    is_long: bool = False
    """Whether it was not shortened to its end: there was no time, or no store to be had any more."""
    ahead: int = 0
    """How far the instants of the calls are ahead of those of the program."""
    is_race: bool = False
    """Whether calls were made at once: chance has its part in it."""
    is_unsteady: bool = False
    """Whether the same calls were answered otherwise when they were made again, by a clock that is the run's."""
    without_effect: Ids = ()
    """What decided that calls before the last one had no effect."""

    def __init__(self, requirements: Ids, performed: Sequence[Performed], admissible: Steps, path: str, reason: str) -> None:
        super().__init__(reason)
        self.requirements = requirements
        self.performed = tuple(performed)
        self.admissible = admissible
        self.path = path
        self.reason = reason

    def as_performed(self, ahead: int) -> None:
        """Take the calls as they were performed for the program, by a clock that is so far ahead of the time of programs."""
        self.ahead = ahead
        self.program = tuple(Event(each.now - ahead, each.call, each.answer) for each in self.performed)


class Checker:
    """A store held against the model, call by call."""

    def __init__(
        self,
        store: object,
        environment: Environment,
        tally: Tally,
        *,
        strict: bool = False,
        observations: Callable[[State], Iterable[Call]] = lambda _: (),
        touches: Callable[[Call], Iterable[Call]] = lambda _: (),
        untouched: Callable[[Call], Iterable[Call]] | None = None,
        lacking: Collection[str] = (),
        instants: Instants | None = None,
        calls: Calls | None = None,
    ) -> None:
        self.store = store
        self.environment = environment
        self.tally = tally
        self.calls = calls or Calls()
        unsupported = {name: step for name, step in UNSUPPORTED.items() if OPERATIONS[name].chapter in lacking}
        self.following = Following(
            beginning(environment.declared),
            strict=strict,
            transitions={**TRANSITIONS, **unsupported} if lacking else TRANSITIONS,
            instants=instants,
        )
        self.performed: list[Performed] = []
        self._observations = observations
        self._touches = touches
        self._untouched = untouched or (lambda _: observations(self.state))
        # what later answers owe to earlier calls, and effects that no answer has shown yet, by what they are about
        self._effects: Why = ()
        self._unshown: Why = ()
        self._unconfirmed: dict[str, Ids] = {}
        self._without_effect: Ids = ()
        self._given: object = None
        self.handed: object = None
        """What the last call that was performed gave, as it came from the store; None if it gave nothing."""

    @property
    def state(self) -> State:
        """The model's state: ours, of those that the store may be in."""
        return self.following.candidates[0].state

    def perform(self, call: Call, *, look: bool = True) -> object:
        """Make the call, compare its answer, then all that it may have touched; the answer, `Refused` if it was refused.

        Without `look` the answer alone is compared.
        """
        before = self.state
        step = self._compare(call, ())
        self.handed = self._given
        self.tally.steps += 1
        if isinstance(step.answer, Refused):
            self._without_effect += ("VALUE-7", *step.because)
        elif self.state is before:
            self._without_effect += step.because
        if look:
            self._look(call, step, before)
        return step.answer

    def _look(self, call: Call, step: Step, before: State) -> None:
        """Compare what the call may have touched; after a refusal, or a call without effect, what it must not have."""
        if isinstance(step.answer, Refused):
            self._compare_all(self._untouched(call), ("VALUE-7", *step.because))
            self.tally.reached["VALUE-7"] += 1
        elif self.state is not before:
            self._compare_all(self._touches(call), touched=True)
        elif not OPERATIONS[call.operation].reads:
            self._compare_all(self._untouched(call), step.because)

    def empty(self) -> None:
        """Empty the list that the last call gave, if it was one: it is the caller's."""
        if type(self.handed) is list:
            self.handed.clear()

    def observe(self, context: Ids = ()) -> None:
        """Compare everything readable; what differs is blamed on the context first."""
        self._compare_all(self._observations(self.state), context)

    def _compare_all(self, reads: Iterable[Call], context: Ids = (), *, touched: bool = False) -> None:
        for read in reads:
            self._compare(read, context, touched=touched)

    def _compare(self, call: Call, context: Ids, *, touched: bool = False) -> Step:
        return self.compare(self.made(call), context, touched=touched)

    def compare(self, made: Made, context: Ids = (), *, touched: bool = False) -> Step:
        """Go on with all that the store may hold after a call that was made; the likeliest step. Raises `Violation`."""
        call = made.call
        self.performed.append(Performed(made.ended, call, made.answer))
        taken = self.following.ways(made)
        self._count_values(made)
        if not taken:
            raise self._violation(made, self.following.ours(made), context, touched)
        self.require_contract(made)
        step = self.counted(made, taken[0])
        self.following.go(taken, taken[0].departed)
        return step

    def require_contract(self, made: Made) -> None:
        """Raise `Violation` if an answer that the model admits breaks the contract of the call."""
        if made.broken is not None:
            steps = self.following.ours(made)
            self.performed[-1] = self.performed[-1]._replace(answer=Crash(made.broken))
            raise self._broken((*made.broken.requirements, *steps[0].because), steps, "", str(made.broken))

    def counted(self, made: Made, taken: Taken) -> Step:
        """Count what this way to answer a call reached; the step. What it owes to earlier calls is remembered."""
        step, departed, now, before = taken
        # what even the nearest admissible way departs from is certain now
        self.tally.count(made.call.operation, replace(step, differs=departed) if departed else step)
        self._count_cells(before, now, made.call, step)
        self._confirm(made.call, step)
        return step

    def made(self, call: Call) -> Made:
        """Make the call: its answer, and what is known of when."""
        environment = self.environment
        began = environment.clock.now
        answer, broken = self._answer(call)
        oracle = environment.process_alive if "liveness-oracle" in environment.declared else None
        return Made(call, answer, began, environment.clock.now, oracle, environment.codec, broken=broken)

    def _count_cells(self, before: State, now: int, call: Call, step: Step) -> None:
        """Count what was decided, and what it met there; what no call may show meets nothing."""
        if step.because[:1] != ("VALUE-1",):
            self.tally.answers.add(answered(before, now, call, step))

    def _count_values(self, made: Made) -> None:
        """Count what an answer shows of values, whichever step it was."""
        if isinstance(made.answer, Refused):
            self.tally.reached.update(("VALUE-5", "VALUE-6"))
        elif beyond_signed(made.call.arguments):
            self.tally.reached["VALUE-3"] += 1

    def _answer(self, call: Call) -> tuple[object, ContractBroken | None]:
        operation, broken, self._given = OPERATIONS[call.operation], None, None
        self.calls.begins(*call)
        try:
            method: Any = operation.of(self.store)
            self._given = method(*call.arguments)
            answer: object = _as_sequence(self._given)
            if not operation.carries_contract(method):
                operation.require_contract(call.arguments, answer)
        except StoreError as error:
            answer = Refused(error)
        except ContractBroken as error:
            # held against the model first, the answer tells more; but it may be that of a method called by the method
            if error.answered and error.answered[0] == operation.method_name:
                answer, broken = _as_sequence(error.answered[1]), error
            else:
                answer = Crash(error)
        except (KeyboardInterrupt, Unavailable):
            raise
        except BaseException as error:
            # SystemExit too: a store that ends the process must not end the check of it
            answer = Crash(error, where_raised(error))
        finally:
            self.calls.ends()
        if self.calls.stopped:
            # an engine may have made an answer or a failure of its own of the interrupt: that is nothing to judge
            raise KeyboardInterrupt
        return answer, broken

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

    def _violation(self, made: Made, steps: Steps, context: Ids, touched: bool) -> Violation:
        call, seen, ours = made.call, made.answer, steps[0]
        if isinstance(seen, Crash):
            if isinstance(seen.error, ContractBroken):
                return self._broken((*seen.error.requirements, *ours.because), steps, "", str(seen.error))
            raised = printable(f"{type(seen.error).__name__}: {text_of(seen.error)}{seen.where}")
            reason = f"{call.operation} raised {raised}; only a StoreError may leave a call"
            return self._broken(("VALUE-6",), steps, "", reason)
        path = difference(ours.answer, seen, [step.answer for step in steps[1:]])
        # where even our step departs, it is that of a store that does not declare something, and has to be as if it had none
        blamed = (*ours.differs, *context, *self._blamed(call, ours, path, touched))
        if made.broken is not None and path and not _fixing(ours.details, path):
            # nothing else is said of that field
            blamed = (*made.broken.requirements, *blamed)
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


def _as_sequence(answer: object) -> object:
    """The answer: a store may answer lists where the protocol says a sequence (VALUE-4)."""
    return tuple(answer) if type(answer) is list else answer


def beginning(declared: Collection[str]) -> State:
    """The empty state of a store that declares these capabilities."""
    empty = State()
    manifest = replace(empty.attachment, keeps="attachments" in declared)
    return replace(empty, attachment=manifest, commit=replace(empty.commit, reclaims="blob-reclaim" in declared))


def difference(expected: object, given: object, others: Sequence[object] = ()) -> str:
    """The path of the first field in which two answers differ: empty if they differ in kind.

    Of several it is the first in which the others that were admissible differ too, if there is one.
    """
    paths = tuple(_differing(expected, given))
    first = paths[0] if paths else ""
    return next((path for path in paths if not any(_is_there(each, path, given) for each in others)), first)


def _differing(expected: object, given: object) -> Iterator[str]:
    """The paths of all fields in which two answers differ; none if they differ in kind."""
    if type(expected) is not type(given):
        return
    if isinstance(expected, tuple) and isinstance(given, tuple):
        pairs = [(str(index), *items) for index, items in enumerate(zip(expected, given, strict=False))]
        pairs = pairs if len(expected) == len(given) else []
    elif isinstance(expected, msgspec.Struct) and not isinstance(expected, Refused):
        pairs = [(name, getattr(expected, name), getattr(given, name)) for name in expected.__struct_fields__]
    else:
        return
    for name, ours, theirs in pairs:
        if ours != theirs:
            yield from [f"{name}.{deeper}" for deeper in _differing(ours, theirs)] or [name]


def _is_there(answer: object, path: str, given: object) -> bool:
    """Whether an answer has at the path what the given one has."""
    try:
        return type(answer) is type(given) and bool(value_at(answer, path) == value_at(given, path))
    except (AttributeError, IndexError, ValueError):
        return False


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
