"""Twins: each call of a short play once more, with one of its texts in a spelling that looks like the one it has.

What is drawn meets such names by chance (see `lookalikes`). Here every text that a caller gives is met, in each of its places,
in every spelling, in a call that is still to be made and in one that was. A store that takes two names for one anywhere answers
one of these calls as if it were the other, or keeps what it should not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count, islice, product
from pathlib import Path
from typing import NamedTuple, TypeAlias
from unicodedata import normalize

from fencepost.spec import InvalidArgument
from fencepost.spec.operations import OPERATIONS, Operation

from .checker import Checker, Violation
from .environment import Environment
from .following import Call, Made
from .leaves import leaves_of
from .lookalikes import changed, is_named
from .machine import Machine, Setup
from .model_store import ModelStore
from .plays import SCENES, Scene, calls_of
from .run import shortest
from .tally import Tally

Spelling: TypeAlias = Callable[[str], str]
"""Gives another text that looks like one."""


class Hand(NamedTuple):
    """How all names of a play are written, and in which other ways."""

    stem: Callable[[str], str]
    mark: str
    spellings: tuple[Spelling, ...]

    def written(self, call: Call) -> Call:
        """The call with marked names: those that came with answers have their mark already, and instants are no names."""

        def mark(text: str, _: str) -> str:
            return self.stem(text) + self.mark if text[:1].isalpha() and not text.endswith(self.mark) else text

        return changed(call, mark)


MARK = "\N{SUSHI}\né"
"""What texts of plays end with: beyond 16 bits and latin1, with a line's end, and with two ways to compose it."""

LENGTH = 8_000
"""How many zeros stand at the end of a number: as long as a text of a fixed length is in any database."""


def _number(text: str) -> str:
    """Another number for every word."""
    return str(int(text, 36)) if text.isascii() and text.isalnum() else text


WORDS = Hand(
    str,
    MARK,
    (
        lambda text: text[:1].swapcase() + text[1:],
        lambda text: f"{text} ",
        lambda text: normalize("NFD", text),
        lambda text: f"{text}\0",
        lambda text: text.replace("\N{SUSHI}", "\N{BEER MUG}"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: f"{text}\N{ZERO WIDTH SPACE}",
        lambda text: f"{text}\\",
        lambda text: f"{text}%",
    ),
)
"""By case, a blank, composition and a NUL, by what a narrow character set or other ends of lines make of a text, by what is not
seen, by what escapes others, and by what stands for any others in a pattern."""

NUMBERS = Hand(_number, "." + "0" * LENGTH, (lambda text: f"{text}0",))
"""By a digit that makes no other number, and stands behind all that is kept of a text that is cut."""

HANDS = (WORDS, NUMBERS)

FIRST_WINS = ("record_intent", "atomic_apply")
"""Calls of which the first is kept, and others beside it are not: what it spells would hide all other spellings."""


def told_apart(machine: type[Machine], setup: Setup) -> Violation | None:
    """Meet the twins of all calls of the machine's chapter; the shrunk violation, None if the store tells them apart."""
    violation = met(machine, setup)
    return None if violation is None else shortest(machine, setup, violation)


def met(machine: type[Machine], setup: Setup) -> Violation | None:
    """Play the scenes of the machine's chapter with the twins of each call; the first violation, as it came about."""
    try:
        for scene, hand in product(SCENES[machine.chapter], HANDS):
            if machine.offered.issuperset(scene.beside):
                _play(scene, hand, setup, machine.chapter)
    except Violation as violation:
        return violation
    return None


def _play(scene: Scene, hand: Hand, setup: Setup, chapter: str) -> None:
    """Play a scene up to the twins of each call of the chapter, and, if the call writes, up to the call and then its twins.

    Before a call of which the first one wins each spelling has a store of its own.
    """
    for place, operation in enumerate(operations(scene, setup.directory)):
        if operation.chapter != chapter:
            continue
        if operation.reads:
            _Trial(scene, hand, setup).run(place, hand.spellings)
            continue
        for spellings in ((each,) for each in hand.spellings) if operation.name in FIRST_WINS else (hand.spellings,):
            _Trial(scene, hand, setup).run(place, spellings)
        _Trial(scene, hand, setup).run(place, hand.spellings, later=True)


def operations(scene: Scene, directory: Path) -> Iterator[Operation]:
    """What the calls of a play are, where all is as it should be."""
    environment = Environment(directory)
    model = Checker(ModelStore(environment), environment, Tally())
    for call in played(scene, WORDS, lambda call: model.perform(call, look=False)):
        yield OPERATIONS[call.operation]


def played(scene: Scene, hand: Hand, perform: Callable[[Call], object]) -> Iterator[Call]:
    """The calls of a play in one hand, each of them before it is performed."""
    return calls_of(scene.play(), perform, hand.written)


class _Trial:
    """A scene on a fresh store, up to one of its calls, the twins of that call, and the reads."""

    def __init__(self, scene: Scene, hand: Hand, setup: Setup) -> None:
        self._scene = scene
        self._hand = hand
        self._setup = setup
        self._environment = Environment(setup.directory, setup.declared)
        self._store = setup.open_store(self._environment)
        # what is reached on the way is not what is looked for: it is left to what is drawn
        self._checker = Checker(self._store, self._environment, Tally(), strict=setup.strict, calls=setup.calls)

    def run(self, place: int, spellings: Sequence[Spelling], *, later: bool = False) -> None:
        """Make the twins of the call at this place in these spellings, before it or `later`."""
        try:
            self._make_twins(place, spellings, later=later)
        except Violation as violation:
            violation.as_performed(self._environment.clock.ahead)
            raise
        finally:
            self._setup.tally.steps += self._checker.tally.steps
            self._setup.progress(self._setup.tally)
            self._setup.close_store(self._store)

    def _make_twins(self, place: int, spellings: Sequence[Spelling], *, later: bool) -> None:
        call = next(islice(played(self._scene, self._hand, self._perform), place, None), None)
        if call is None:
            # where nobody is provably dead, nothing can be taken over: the play is shorter
            return
        if later:
            self._perform(call)
        found = list(twins(call, spellings, self._hand.mark))
        # those that do nothing come first, while there is all that they could do harm to
        idle = [twin for twin in found if not self._does_something(twin)]
        self._make(idle)
        for twin in found:
            if twin not in idle:
                # what it did may be undone by the next one
                self._make([twin])

    def _make(self, calls: Sequence[Call]) -> None:
        """Make the calls, and read what there is then."""
        for call in calls:
            self._perform(call)
            self._setup.tally.reached["VALUE-12"] += 1
        for read in self._scene.reads if calls else ():
            self._perform(self._hand.written(read))

    def _perform(self, call: Call) -> object:
        return self._checker.perform(call, look=False)

    def _does_something(self, call: Call) -> bool:
        """Whether the state will be another one after the call."""
        now = self._environment.clock.now
        made = Made(call, None, now, now, self._environment.process_alive, self._environment.codec)
        return self._checker.following.ours(made)[0].state is not self._checker.state


def twins(call: Call, spellings: Iterable[Spelling], mark: str) -> Iterator[Call]:
    """The call with each name, which ends with the mark, in one of its places at a time, in each of these spellings."""
    for place, spelling in product(range(_places(call, mark)), spellings):
        with suppress(InvalidArgument):
            # some records cannot be built with just any text
            yield _with(call, mark, place, spelling)


def _places(call: Call, mark: str) -> int:
    """In how many places the call has a name."""
    return sum(is_named(leaf) and leaf.value.endswith(mark) for leaf in leaves_of(call))


def _with(call: Call, mark: str, place: int, spelling: Spelling) -> Call:
    """The call with the name in one place in another spelling."""
    places = count()

    def spell(text: str, _: str) -> str:
        return spelling(text) if text.endswith(mark) and next(places) == place else text

    return changed(call, spell)
