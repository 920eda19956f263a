"""Small scopes: how much of a chapter is explored, and which calls are tried in each of its states.

A world is an instant (what the clock says and which processes run) and the parts of the store, one for each name that calls go
to, such as a session. A call reads its own part and, of the others, no more than their shadows: so it is made on the model
once for each part, instant and shadow, and not in every world. Where calls write several parts at once, a scope says which of
them are reached together. That this is so is checked on whole states (see `witness`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import ClassVar, NamedTuple

from fencepost.model import TRANSITIONS, Ports, State
from fencepost.spec import Alive, LeaseOwnerIdentity, LocalProcess, Opaque

from .checker import Call, Event, Move
from .environment import Clock

EPOCH = Clock().now
"""What the clock of every run says at the beginning, ms."""

STARTED = "tick-1"
"""The start stamp of every process of a scope."""


@dataclass(frozen=True)
class Bounds:
    """How large a scope is. A chapter leaves alone what it has no use for.

    Of the `owners` the first `processes` are processes that may end, or become impossible to tell; the others are opaque. The
    clock goes on for `times` ms. `sessions` are the parts, `rows` what each may hold, `tokens` the grants of a lease.
    """

    owners: int = 1
    processes: int = 0
    sessions: int = 1
    rows: int = 1
    times: int = 0
    tokens: int = 1
    ttls: tuple[int, ...] = (1,)


class Instant(NamedTuple):
    """What comes from outside: the time, and what can be told of each process."""

    now: int
    table: tuple[Alive, ...] = ()

    def alive(self, pid: int, _process_start: str) -> Alive:
        """The liveness oracle; what is no process of the scope is gone."""
        return self.table[pid - 1] if 0 < pid <= len(self.table) else Alive.no


class Attempt(NamedTuple):
    """A call to try. What a store would mint is taken from `seen`, an answer of which nothing else counts."""

    call: Call
    seen: object = None


class Renaming(NamedTuple):
    """One symmetry of a scope: what each name becomes, and the place that each process moves to."""

    names: dict[object, object]
    places: tuple[int, ...]


MOVES = {Alive.no: "stop", Alive.unknown: "hide"}
"""How a process comes to be known as this."""


class Scope:
    """A chapter's model in small. This one has a single part, which is everything, and knows no symmetry but its owners'."""

    chapter: ClassVar[str] = ""
    default: ClassVar[Bounds] = Bounds()
    suite: ClassVar[Bounds] = Bounds()
    """The bounds for a suite that covers every edge."""
    uses: ClassVar[tuple[str, ...]] = ()
    """The bounds that mean something here."""
    most_sessions: ClassVar[int | None] = None
    """How many sessions calls go to at most, unless as many as are asked for."""
    alike: ClassVar[bool] = False
    """Whether one part is as good as another."""
    shifts: ClassVar[bool] = False
    """Whether all times may be told from now."""
    dear: ClassVar[bool] = False
    """Whether calls look at so much that it is worth the memory to keep what they read, where parts are many too."""

    def __init__(self, bounds: Bounds | None = None, *, canonical: bool = True) -> None:
        self.bounds = bounds or self.default
        self.canonical = canonical
        """Whether of values that differ in nothing but their names one is minted, or each in turn."""
        self.owners = owners(self.bounds)
        self.names: tuple[str, ...] = ("",)
        """The names of the parts."""

    @property
    def reaches(self) -> tuple[tuple[int, ...], ...]:
        """The places of the parts that calls write: each alone, unless calls write several at once."""
        return tuple((place,) for place in range(len(self.names)))

    def prelude(self) -> tuple[Call, ...]:
        """The calls that make what is there at the beginning."""
        return ()

    def begin(self) -> tuple[State, ...]:
        """The parts at the beginning: what the prelude makes."""
        return self.parts(self._opened()[0], range(len(self.names)))

    def opening(self) -> tuple[Event, ...]:
        """What a run does to come to the beginning: processes start, and the calls of the prelude are made."""
        started = (Move("start", (pid, STARTED)) for pid in range(1, self.bounds.processes + 1))
        return (*(Event(EPOCH, move) for move in started), *self._opened()[1])

    def _opened(self) -> tuple[State, list[Event]]:
        state, events, instant = State(), list[Event](), self.instants()[0]
        for call in self.prelude():
            step = TRANSITIONS[call.operation](state, Ports(instant.now, instant.alive), *call.arguments)[0]
            state = step.state
            events.append(Event(EPOCH, call, step.answer))
        return state, events

    def attempts(self, part: State, place: int, instant: Instant) -> Iterable[Attempt]:
        """Every call to try on a part, or on all parts of a reach: `place` is the place of the reach among them."""
        raise NotImplementedError

    def within(self, part: State, place: int) -> bool:
        """Whether the part has not outgrown the bounds: what has is seen, and not explored from."""
        return True

    def joined(self, parts: Sequence[State]) -> State:
        """The state of these parts."""
        return parts[0]

    def part(self, whole: State, place: int) -> State:
        """One part of a state."""
        return whole

    def parts(self, whole: State, places: Iterable[int]) -> tuple[State, ...]:
        """Several parts of a state."""
        return tuple(self.part(whole, place) for place in places)

    def shadow(self, part: State, place: int) -> State:
        """What calls on other parts may see of a part: as little as there is to be seen."""
        return part

    def shifted(self, part: State, place: int, now: int) -> State:
        """The part with its times told from now, where nothing else about them matters."""
        return part

    def situation(self, state: State, name: str, now: int) -> str:
        """The state that calls to this name meet, in a few words, for the picture of a graph."""
        return ""

    def described(self, part: State, place: int, now: int) -> str:
        """A part in a few words, for the picture of a graph."""
        return self.situation(part, self.names[place], now)

    def instants(self) -> tuple[Instant, ...]:
        """Every instant, the beginning first."""
        tables = product((Alive.yes, Alive.no, Alive.unknown), repeat=self.bounds.processes)
        return tuple(Instant(now, table) for table in tables for now in range(EPOCH, EPOCH + self.bounds.times + 1))

    def moves(self, instant: Instant) -> Iterator[tuple[Instant, Move]]:
        """What may happen without a call: the clock ticks, a process ends or cannot be told any more."""
        if instant.now < EPOCH + self.bounds.times:
            yield instant._replace(now=instant.now + 1), Move("tick", ())
        for place, known in enumerate(instant.table):
            for becomes, move in MOVES.items():
                if known is Alive.yes:
                    table = (*instant.table[:place], becomes, *instant.table[place + 1 :])
                    yield instant._replace(table=table), Move(move, (place + 1,))

    @property
    def has_symmetry(self) -> bool:
        """Whether there are worlds that are the same but for names or for the time."""
        return self.shifts or (self.alike and len(self.names) > 1) or len(self.renamings()) > 1

    def renamings(self) -> tuple[Renaming, ...]:
        """Every way to exchange owners that are alike, the one that changes nothing first."""
        count = self.bounds.processes
        living, opaque = self.owners[:count], self.owners[count:]
        found = []
        for processes, others in product(permutations(range(count)), permutations(range(len(opaque)))):
            becomes = [*(living[place] for place in processes), *(opaque[place] for place in others)]
            names: dict[object, object] = {}
            for owner, other in zip(self.owners, becomes, strict=True):
                names[owner.owner_id] = other.owner_id
                if owner.liveness != Opaque():
                    names[owner.liveness] = other.liveness
            found.append(Renaming(names, processes))
        return tuple(found)


class SteadyScope(Scope):
    """A scope that tries the same in every state: `tried`, by the places of the parts that calls reach."""

    tried: Mapping[tuple[int, ...], Sequence[Attempt]]

    @property
    def reaches(self) -> tuple[tuple[int, ...], ...]:
        """The places that some call reaches at once."""
        return tuple(self.tried)

    def attempts(self, part: State, place: int, instant: Instant) -> Iterable[Attempt]:
        """Those of the reach."""
        return self.tried[self.reaches[place]]


def owners(bounds: Bounds) -> tuple[LeaseOwnerIdentity, ...]:
    """The owners of a scope, those that are processes first."""
    living = [LocalProcess("host", "boot", pid, STARTED) for pid in range(1, bounds.processes + 1)]
    liveness: list[LocalProcess | Opaque] = [*living, *[Opaque()] * (bounds.owners - bounds.processes)]
    return tuple(LeaseOwnerIdentity(f"owner-{number}", "1", how) for number, how in enumerate(liveness, 1))
