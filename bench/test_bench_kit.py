"""What the kit takes for itself, per step: everything but the store, in the same process and through a pipe."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fencepost.kit.adapter import Adapter
from fencepost.kit.backend import Factory
from fencepost.kit.model import Model
from fencepost.kit.result import Request, Result
from fencepost.kit.verify import verify
from fencepost.statemachines.run import CHAPTERS

EXAMPLES = 10


class Timed(Model):
    """The model as a store that says how long it was at work; processor time, whatever else the machine does."""

    spent = 0.0

    def _call(self, *call: Any) -> Any:
        began = time.process_time()
        try:
            return super()._call(*call)
        finally:
            Timed.spent += time.process_time() - began


def used() -> float:
    """Processor seconds of this process and of those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def run(factory: Factory, chapters: tuple[str, ...]) -> Result:
    """A run of ten examples of fifty steps a chapter."""
    return verify(factory, Request(factory.name, chapters, 0, EXAMPLES, 50))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_overhead_per_step(rate: Callable[[str], None], chapter: str) -> None:
    """All but the store: drawing, the model's own steps, comparing."""
    factory, Timed.spent, began = Factory("bench:Timed", Timed), 0.0, used()
    result = run(factory, (chapter,))
    alone = used() - began
    rate(_told(f"the kit, {chapter}", alone - Timed.spent, Timed.spent, result))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_overhead_per_step_through_a_pipe(rate: Callable[[str], None], chapter: str, tmp_path: Path) -> None:
    """The same, with both ends of the pipe and all that is read and written."""
    began = used()
    adapter = Adapter(f"{sys.executable} -m fencepost.kit.serve fencepost.kit.model:Model")
    result = run(Factory("exec:model", adapter), (chapter,))
    adapter.pipe.close()
    piped = used() - began
    Timed.spent = 0.0
    run(Factory("bench:Timed", Timed), (chapter,))
    rate(_told(f"the kit through a pipe, {chapter}", piped - Timed.spent, Timed.spent, result))


def _told(what: str, kit: float, store: float, result: Result) -> str:
    calls = sum(run.tally.calls for run in result.runs)
    return (
        f"{what}: {kit / result.steps * 1e3:.2f} ms a step, {kit / calls * 1e3:.2f} ms a call; "
        f"{kit / store:.1f} times what the model takes as the store"
    )
