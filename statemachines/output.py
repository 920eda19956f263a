"""Rules of the output log: appends of every kind of event, and the three ways to find them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fencepost.model import Refused, State
from fencepost.spec import (
    U64_MAX,
    Artifact,
    FileRef,
    Final,
    Inline,
    Json,
    OutputEvent,
    OutputRef,
    Partial,
    Progress,
)
from hypothesis.stateful import rule

from .checker import Call
from .draws import ANY, latest, mixed
from .lease import BAD_NUMBERS, BAD_TEXTS
from .machine import Machine

TASKS = ("t", "t", "t", "t2", "t1", "t10", "", "T%_'\"\0é")
ATTEMPTS = (1, 1, 1, 2, 10, 0, 2**31, 2**32 - 1)
PRODUCERS = ("writer", "writer", "critic", "report", "write", "", "W%_'\"\0é")
"""Names that are beginnings of each other; `report` is what an artifact is called too."""

CONTENTS = (
    Inline(Json({"text": "é", "n": [1, 1.0, True, None, 2**53 + 1]})),
    Inline(Json(None)),
    FileRef("/out/report.md"),
    FileRef("", "text/plain", U64_MAX),
)
EVENTS: tuple[OutputEvent, ...] = (
    Progress("draft"),
    Progress("", "a note"),
    Partial(CONTENTS[0]),
    Artifact("report", CONTENTS[2]),
    Artifact("", CONTENTS[1]),
    Final(CONTENTS[0], True),
    Final(CONTENTS[3], False),
)
PARENTS = ("none", "none", "one", "two", "one twice", "nowhere")
NOWHERE = OutputRef("out-ffffffffff")


class OutputRules(Machine):
    """The log of outputs."""

    def observations(self, state: State) -> Iterable[Call]:
        """Every attempt and every producer that there is, the latest ids, and an attempt that is not there."""
        yield from super().observations(state)
        records = state.output.records
        yield from (Call("list_for_attempt", key) for key in dict.fromkeys((each.task_id, each.attempt) for each in records))
        yield from (Call("get_latest_by_name", (name,)) for name in dict.fromkeys(each.producer_agent for each in records))
        yield from (Call("get", (each.id,)) for each in tuple(records)[-3:])
        yield Call("list_for_attempt", ("nothing", 1))

    def touches(self, call: Call) -> Iterable[Call]:
        """An append is seen in all three reads, and nowhere else."""
        yield from super().touches(call)
        if call.operation == "output.append":
            task_id, attempt, producer, *_ = call.arguments
            records = self.state.output.records
            yield Call("get", (records[-1].id,))
            yield Call("get_latest_by_name", (producer,))
            yield Call("list_for_attempt", (task_id, attempt))
            # an older one, and another producer: neither has changed
            yield Call("get", (records[len(self.memory.calls) % len(records)].id,))
            yield Call("get_latest_by_name", (records[len(self.memory.calls) // 2 % len(records)].producer_agent,))

    def _refs(self, which: str, index: int) -> tuple[OutputRef, ...]:
        known = [each.id for each in self.state.output.records] or [NOWHERE]
        first, second = latest(known, index), latest(known, index + 1)
        return {
            "none": (),
            "one": (first,),
            "two": (second, first),
            "one twice": (first, NOWHERE, first),
            "nowhere": (NOWHERE, OutputRef("")),
        }[which]

    def append(self, *arguments: Any) -> None:
        """Append, and forget what came of it: the model's state has it."""
        self.perform("output.append", *arguments)

    @rule(drawn=mixed(TASKS, ATTEMPTS, PRODUCERS, EVENTS, PARENTS, ANY))
    def append_output(self, drawn: tuple[Any, ...]) -> None:
        """Append an event of some kind, perhaps with parents."""
        task_id, attempt, producer, event, parents, index = drawn
        self.append(task_id, attempt, producer, event, self._refs(parents, index))

    @rule(drawn=mixed(ANY))
    def append_again(self, drawn: tuple[int]) -> None:
        """Append what was appended before, once more: it is another record."""
        earlier = [call for call in self.memory.calls if call.operation == "output.append"]
        if earlier:
            self.note("exact retry")
            self.perform("output.append", *latest(earlier, drawn[0]).arguments)

    @rule(drawn=mixed(TASKS, PRODUCERS, EVENTS, (0, 0, 12, 13)))
    def many(self, drawn: tuple[Any, ...]) -> None:
        """Append more than ten to one attempt, another attempt in between: text order is not number order.

        Not always, for it takes long, and to attempts of this rule alone: what is listed often stays short.
        """
        task_id, producer, event, count = drawn
        for number in range(count):
            self.perform("output.append", task_id, 3 if number % 7 else 30, producer, Progress(f"{number}"), (), look=False)
        self.append(task_id, 3, producer, event, ())

    @rule(drawn=mixed(TASKS, PRODUCERS, EVENTS, EVENTS, PARENTS))
    def attempt(self, drawn: tuple[Any, ...]) -> None:
        """An attempt that ends and goes on, and an earlier attempt that is written to later."""
        task_id, producer, first, second, parents = drawn
        self.append(task_id, 10, producer, Final(CONTENTS[1], True), ())
        self.append(task_id, 10, producer, first, self._refs(parents, 0))
        self.append(task_id, 2, producer, second, ())
        # in one text, task and attempt are those of t and 10
        self.append("t1", 0, "report", Artifact(producer, CONTENTS[0]), ())
        self.perform("get_latest_by_name", producer)

    @rule(drawn=mixed(ANY, TASKS, ATTEMPTS, (*PRODUCERS, "nobody"), ("nowhere", "", "known", "altered", "altered"), range(3)))
    def find(self, drawn: tuple[Any, ...]) -> None:
        """Find one by its id, by its producer, or those of an attempt."""
        index, task_id, attempt, producer, which, how = drawn
        known = [each.id for each in self.state.output.records]
        if how == 0:
            ref = latest(known, index) if known and which in ("known", "altered") else OutputRef(which)
            self.perform("get", OutputRef(f"{ref.value} ") if which == "altered" else ref)
        elif how == 1:
            self.perform("get_latest_by_name", producer)
        else:
            self.perform("list_for_attempt", task_id, attempt)

    @rule(drawn=mixed(BAD_NUMBERS, BAD_TEXTS, range(5)))
    def bad_output_argument(self, drawn: tuple[object, object, int]) -> None:
        """Call with what no call of the log may accept."""
        number, text, which = drawn
        calls: tuple[tuple[object, ...], ...] = (
            ("output.append", "t", number, "writer", EVENTS[0], ()),
            ("output.append", text, 1, "writer", EVENTS[0], ()),
            ("get", text),
            ("get_latest_by_name", text),
            ("list_for_attempt", "t", number),
        )
        operation, *arguments = calls[which]
        assert isinstance(self.perform(str(operation), *arguments), Refused)
