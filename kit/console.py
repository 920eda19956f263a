"""The console that everything is printed to."""

from __future__ import annotations

import os
import sys

from fencepost.spec.values import printable
from rich.console import Console, RenderableType
from rich.text import Text

NARROW = 72
"""A terminal of fewer columns has no room for all that stands in a line otherwise."""


class Terminal(Console):
    """A console whose reader may go away: what is left is dropped then, and the exit code stays what it would have been."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, emoji=False, markup=False)

    def on_broken_pipe(self) -> None:
        """Go on in silence."""
        self.quiet = True
        let_go_of_stdout()

    def show(self, *renderables: RenderableType, soft_wrap: bool = False) -> None:
        """Print, without the blanks at line ends that a table leaves, unless they would be seen."""
        if self.is_terminal:
            self.print(*renderables, soft_wrap=soft_wrap)
            return
        with self.capture() as captured:
            self.print(*renderables, soft_wrap=soft_wrap)
        lines = (line.rstrip() for line in captured.get().split("\n"))
        self.out("\n".join(lines), end="")


def complain(sentence: str) -> None:
    """Tell of a mistake on standard error."""
    console = Terminal(stderr=True)
    # a terminal wraps at words; a log keeps the sentence on one line
    # there may be names in it, of files and of what a store calls its own
    text = "\n".join(map(printable, sentence.splitlines()))
    console.show(Text(f"Error: {text}"), soft_wrap=not console.is_terminal)


def let_go_of_stdout() -> None:
    """Send the rest of standard output nowhere, so that no later flush finds the broken pipe."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
