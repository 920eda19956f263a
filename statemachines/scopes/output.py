"""The output log in small: a part is a task, and shows other tasks where its records stand among all.

Ids are given in the order of the appends, so they tell of the records of every task which came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from fencepost.model import State
from fencepost.model.records.log import Log
from fencepost.model.records.output import OutputState
from fencepost.spec import Artifact, FileRef, Final, Inline, Json, OutputEvent, OutputRecord, OutputRef, Partial, Progress
from msgspec.structs import replace

from ..checker import Call
from ..scope import Attempt, Bounds, Instant, Scope

ATTEMPTS = (1, 0)
NOWHERE = OutputRef("out-ffffffffff")


class OutputScope(Scope):
    """A plain event in each attempt, and others that differ from it in producer, event or parents; three ways to find them."""

    chapter = "output"
    default = Bounds(sessions=2, rows=2)
    suite = Bounds(sessions=1, rows=2)
    uses = ("sessions", "rows")
    alike = True

    def __init__(self, bounds: Bounds | None = None, *, canonical: bool = True) -> None:
        super().__init__(bounds, canonical=canonical)
        self.names = tuple(f"t{number}" for number in range(1, self.bounds.sessions + 1))

    def within(self, part: State, place: int) -> bool:
        """So many records of a task."""
        return len(part.output.records) <= self.bounds.rows

    def joined(self, parts: Sequence[State]) -> State:
        """All tasks in one log."""
        records = (record for part in parts for record in part.output.records)
        return State(output=OutputState.of(sorted(records, key=lambda record: record.id.value)))

    def part(self, whole: State, place: int) -> State:
        """The records of one task: what else a log has are indexes of them all."""
        name = self.names[place]
        records = Log.of(record for record in whole.output.records if record.task_id == name)
        return replace(whole, output=OutputState(records))

    def shadow(self, part: State, place: int) -> State:
        """Which ids are taken: how many records there are, and which comes next."""
        name = self.names[place]
        stubs = (OutputRecord(record.id, name, 1, name, Progress("")) for record in part.output.records)
        return State(output=OutputState(Log.of(stubs)))

    def attempts(self, part: State, place: int, instant: Instant) -> Iterable[Attempt]:
        """Appends, and reads of what is there and of what is not. The model mints the ids: one is as good as another."""
        name = self.names[place]
        known = [record.id for record in part.output.records]
        for attempt, what in product(ATTEMPTS, _appended(name, known)):
            yield Attempt(Call("output.append", (name, attempt, *what)))
        yield from (Attempt(Call("get", (each,))) for each in (*known, NOWHERE))
        yield from (Attempt(Call("get_latest_by_name", (each,))) for each in (*_producers(name), "nobody"))
        yield from (Attempt(Call("list_for_attempt", (name, attempt))) for attempt in ATTEMPTS)
        yield Attempt(Call("list_for_attempt", ("nothing", 1)))

    def situation(self, state: State, name: str, now: int) -> str:
        """What was appended of the task."""
        kinds = [type(record.event).__name__ for record in state.output.records if record.task_id == name]
        return " then ".join(kinds) or "empty"


def _producers(name: str) -> tuple[str, str]:
    return f"{name}:writer", f"{name}:report"


def _appended(name: str, known: Sequence[OutputRef]) -> Iterator[tuple[str, OutputEvent, tuple[OutputRef, ...]]]:
    """Producer, event and parents: a plain record, and others, each of which differs in one of them from one before."""
    writer, report = _producers(name)
    draft, artifact = Progress("draft"), Artifact(report, FileRef("/out/report.md"))
    yield writer, draft, ()
    yield writer, Partial(Inline(Json({"n": [1, 1.0]}))), ()
    yield writer, Final(Inline(Json(None)), True), ()
    yield writer, artifact, ()
    yield report, artifact, ()
    for parents in ((NOWHERE,), *((first,) * times for first in known[:1] for times in (1, 2))):
        yield writer, draft, parents
