"""What the kit takes for itself, per step: everything but the store, in the same process and through a pipe."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from fencepost.kit import declares
from fencepost.kit.adapter import Adapter
from fencepost.kit.backend import Factory
from fencepost.kit.model import Model
from fencepost.kit.result import Request, Verdict
from fencepost.kit.scaffold import ONE_BY_ONE
from fencepost.kit.verify import EXAMPLES, STEPS, verify
from fencepost.statemachines.run import CHAPTERS

SERVED = f"{sys.executable} -m fencepost.kit.serve bench.test_bench_kit:OneByOne"


@declares(*ONE_BY_ONE)
class OneByOne(Model):
    """The model as a store that one thread calls: others would be the store's, and not the kit's."""


@declares(*ONE_BY_ONE)
class Timed(Model):
    """The same, which says how long it was at work; processor time, whatever else the machine does."""

    spent = 0.0

    def _call(self, *call: Any) -> Any:
        began = time.process_time()
        try:
            return super()._call(*call)
        finally:
            Timed.spent += time.process_time() - began


class Spent(NamedTuple):
    """Processor seconds of the kit and of the store, in so many steps and calls."""

    kit: float
    store: float
    steps: int
    calls: int

    def told(self, what: str) -> str:
        """The line of it."""
        return (
            f"{what}: {self.kit / self.steps * 1e3:.2f} ms a step, {self.kit / self.calls * 1e3:.2f} ms a call; "
            f"{self.kit / self.store:.1f} times what the model takes as the store"
        )


def in_process(chapter: str) -> Spent:
    """All but the store: drawing, the model's own steps, comparing."""
    Timed.spent, began = 0.0, used()
    steps, calls = run(Factory("bench:Timed", Timed), chapter)
    return Spent(used() - began - Timed.spent, Timed.spent, steps, calls)


def through_a_pipe(chapter: str, start: float) -> Spent:
    """The same, with both ends of the pipe and all that is read and written, but for the start of the program."""
    store, began = in_process(chapter).store, used()
    adapter = Adapter(SERVED)
    steps, calls = run(Factory("exec:model", adapter), chapter)
    adapter.pipe.close()
    return Spent(used() - began - start - store, store, steps, calls)


def used() -> float:
    """Processor seconds of this process and of those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def run(factory: Factory, chapter: str) -> tuple[int, int]:
    """The steps and calls of a run of the chapter, as long as runs are unless told otherwise."""
    result = verify(factory, Request(factory.name, (chapter,), 0, EXAMPLES, STEPS))
    assert result.verdict is Verdict.conforms
    return result.steps, sum(each.tally.calls for each in result.runs)


def test_overhead_per_step(rate: Callable[[str], None]) -> None:
    """Of each chapter, and of all of them."""
    spent = {chapter: in_process(chapter) for chapter in CHAPTERS}
    tell(rate, "the kit", spent)


def test_overhead_per_step_through_a_pipe(rate: Callable[[str], None]) -> None:
    """Of each chapter, and of all of them."""
    began = used()
    Adapter(SERVED).pipe.close()
    start = used() - began
    tell(rate, "the kit through a pipe", {chapter: through_a_pipe(chapter, start) for chapter in CHAPTERS})


def tell(rate: Callable[[str], None], what: str, spent: dict[str, Spent]) -> None:
    """A line for each chapter, and one for all."""
    for chapter, each in spent.items():
        rate(each.told(f"{what}, {chapter}"))
    kit, store, steps, calls = (sum(column) for column in zip(*spent.values(), strict=True))
    rate(Spent(kit, store, int(steps), int(calls)).told(f"{what}, all"))
