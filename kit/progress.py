"""How a run gets on: a live line in a terminal; a plain line for each chapter elsewhere, at its end or its violation."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Collection, Iterator

from fencepost.statemachines.run import CHAPTERS
from fencepost.statemachines.tally import Tally
from rich.live import Live
from rich.text import Text

from fencepost import __version__

from .backend import DEFAULT_BACKEND
from .chapter_check import Observer
from .console import NARROW, Terminal
from .result import ChapterRun, Request, reachable, scope

BAR = 12
"""Characters of the bar that fills as the examples of a chapter are done."""

VIOLATED = ("violated", "red")

NAME = max(map(len, CHAPTERS)) + 2
"""Characters of a chapter's name, and what keeps it from the figures."""


@contextlib.contextmanager
def progress(console: Terminal, request: Request, declared: Collection[str] = ()) -> Iterator[Observer]:
    """The observer for this console, for the time of a run of a store that declares these capabilities."""
    if not console.is_terminal:
        yield Lines(console, request, declared)
        return
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        yield LiveLine(live, console, request, declared)


class Lines(Observer):
    """A line for each chapter: at its end, or as soon as a violation is found, which takes longer to shorten than to find."""

    def __init__(self, console: Terminal, request: Request, declared: Collection[str] = ()) -> None:
        super().__init__()
        self.console = console
        self.request = request
        self.chapter = ""
        self._began = self._started = 0.0
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._before: set[str] = set()
        self._violated: set[str] = set()
        self._reachable: defaultdict[str, set[str]] = defaultdict(set)
        for each in scope(request.chapters):
            if reachable(each, declared):
                self._reachable[each.chapter].add(each.id)

    def begins(self, chapter: str) -> None:
        """Take the time; before the first chapter, print what is about to be done."""
        now = time.perf_counter()
        if self.chapter:
            self._spent[self.chapter] += now - self._began
        else:
            self._heading()
            self._started = now
        self.chapter, self._began = chapter, now

    def steps(self, tally: Tally, *, shrinking: bool) -> None:
        """Print the line of a chapter that violates, at its first step that shortens the violation."""
        if shrinking and self.chapter not in self._violated:
            self._violated.add(self.chapter)
            self._print(tally, self._seconds(), VIOLATED)

    def ends(self, run: ChapterRun) -> None:
        """Print the line of the chapter, unless it stands there; anew if what was told as a violation could not be shown."""
        super().ends(run)
        self.chapter = run.chapter
        if run.counterexample is None:
            self._print(run.tally, run.seconds, ("not evaluated", "yellow") if run.trouble else ("", ""))
            return
        if run.chapter not in self._violated:
            self._print(run.tally, run.seconds, VIOLATED)
        if len(self.request.chapters) > 1:
            broken, call = run.counterexample.requirements[0], run.counterexample.last.call.operation
            self.console.show(Text(f"    {broken} in {call}: shown at the end, or after Ctrl-C", style="dim"))

    def _print(self, tally: Tally, seconds: float, ended: tuple[str, str]) -> None:
        self.console.show(self.line(tally, seconds).append("  ").append(*ended))
        self._before |= _reached(tally)

    def _seconds(self) -> float:
        """How long the chapter has taken."""
        return self._spent[self.chapter] + time.perf_counter() - self._began

    def _heading(self) -> None:
        request = self.request
        examples = (
            f"{request.seconds:g} s, examples"
            if request.seconds
            else f"{request.examples:,} example{'s' * (request.examples > 1)}"
        )
        drawn = (
            "" if request.suite is not None else f", {examples} of {request.steps:,} step{'s' * (request.steps > 1)} a chapter"
        )
        budget = f"{request.origin}{drawn}"
        self.console.show(Text.assemble((f"fencepost {__version__}", "bold"), f"  {request.backend}"))
        self.console.show(Text(budget + (", strict" if request.strict else ""), style="dim"))
        if request.backend == DEFAULT_BACKEND:
            self.console.show(Text("the store of this package: --backend and --exec name another", style="dim"))
        self.console.show()

    def line(self, tally: Tally, seconds: float) -> Text:
        """Where the chapter stands after so many seconds: of its own requirements."""
        is_narrow = self.console.width < NARROW
        own = self._reachable[self.chapter]
        reached = len(own & (self._before | _reached(tally)))
        return Text.assemble(
            f"  {self.chapter:<{NAME}}{tally.steps:>7,} steps",
            (f"{tally.steps / seconds:>7,.0f}/s" if seconds and not is_narrow else "", "dim"),
            f"   {reached:>3} of {len(own):>2} {'reached' if is_narrow else 'requirements'}",
        )


class LiveLine(Lines):
    """The line of the chapter that runs is drawn over and over."""

    def __init__(self, live: Live, console: Terminal, request: Request, declared: Collection[str] = ()) -> None:
        super().__init__(console, request, declared)
        self._live = live

    def begins(self, chapter: str) -> None:
        """Show that the chapter begins."""
        super().begins(chapter)
        self._live.update(Text(f"  {chapter}"))

    def steps(self, tally: Tally, *, shrinking: bool) -> None:
        """Draw the line anew, with a bar, or with a word on what takes longer."""
        super().steps(tally, shrinking=shrinking)
        far = Text("shrinking", "yellow") if shrinking else self._how_far(tally)
        self._live.update(self.line(tally, self._seconds()).append("   ").append(far))

    def _how_far(self, tally: Tally) -> Text:
        """A bar that fills; of a suite, whose length nobody knows here, how many of its sequences were run."""
        request = self.request
        if request.suite is not None:
            return Text(f"run {tally.runs:,}", "dim")
        part = (time.perf_counter() - self._started) / request.seconds if request.seconds else tally.runs / request.examples
        done = min(BAR, int(BAR * part))
        return Text.assemble(("━" * done, "green"), ("━" * (BAR - done), "dim"))

    def ends(self, run: ChapterRun) -> None:
        """Leave the line of the chapter standing above the next one."""
        self._live.update(Text(""))
        super().ends(run)

    def lets_go(self) -> None:
        """Leave the terminal as it was."""
        self._live.stop()


def _reached(tally: Tally) -> set[str]:
    return {requirement for requirement, count in tally.reached.items() if count}
