"""`fencepost demo`: a stale writer, caught, shrunk and explained."""

from __future__ import annotations

import sys

import click
from fencepost.kit.backend import load_factory
from fencepost.kit.console import Terminal
from fencepost.kit.leftovers import nothing_left_behind
from fencepost.kit.progress import progress
from fencepost.kit.reporting.report import show_counterexample
from fencepost.kit.result import Request, Result, Verdict
from fencepost.kit.verify import EXAMPLES, STEPS, verify
from rich.text import Text

from .faulty import backend_of
from .hunt import BY_NAME

SHOWN = BY_NAME["fence-of-any-lease-so-far"]

SEED = 6
"""One whose counterexample reads well: the second worker comes a millisecond after the expiry."""

BEFORE = """\
A worker takes a lease on a session, and sleeps: a long garbage collection, a slow network, a laptop lid.
The lease expires, another worker takes the session over, and then the first wakes up and writes. It cannot know.
So each lease comes with a fencing token, a number that only grows, and every write shows the one it was made under.
The store has to turn down a write that shows an older one. That somebody holds a lease is not enough: it must be this one.
Forget that in one place, and a day's work is overwritten once in a while, and no test that runs one worker will show it."""

FAULT = "Here is a store that forgets it in one place, in the check of a commit; all else in it is right:"

AFTER = f"""\
fencepost gallery show {SHOWN.name}   how the fault was made
fencepost verify --backend {backend_of(SHOWN)} --chapters commit --seed {SEED} --report demo
    the same as a page to look at, a test for pytest, a trace to replay
fencepost verify --chapters lease,commit   the store without the fault
fencepost gallery   all other faults that the kit is held to catch
fencepost adapter scaffold --stores turn_input --output my_adapter   your own store"""


@click.command("demo", short_help="Watch a subtle fault being caught and explained.")
def demo_command() -> None:
    """Watch a subtle fault of a store being caught, in about half a minute.

    Exit code 0: it was caught. 1: it got away. 2: the run could not be evaluated.
    """
    console = Terminal()
    _say(console, BEFORE, "What a fencing token is for")
    _say(console, f"{FAULT}\n  {SHOWN.sentence}")
    result = _caught(console)
    if result.interrupted:
        click.echo("Error: interrupted before the fault was caught and shortened.", err=True)
        sys.exit(Verdict.not_evaluated.exit_code)
    if result.verdict is not Verdict.violates:
        click.echo(f"Error: the fault was expected to be caught, and the run ended with: {result.verdict.value}.", err=True)
        sys.exit(1 if result.verdict is Verdict.conforms else 2)
    found = result.counterexamples[0]
    show_counterexample(console, found, [found.chapter])
    console.show()
    _say(console, f"Found after {found.steps:,} steps, and shortened to {len(found.performed)} calls.")
    _say(console, AFTER, "What to do next")


def _caught(console: Terminal) -> Result:
    """What a run on the store with the fault finds."""
    request = Request(backend_of(SHOWN), ("commit",), SEED, EXAMPLES, STEPS)
    factory = load_factory(request.backend)
    with nothing_left_behind(), progress(console, request, factory.declares) as observer:
        return verify(factory, request, observer)


def _say(console: Terminal, text: str, title: str = "") -> None:
    if title:
        console.show(Text(title, style="bold"))
        console.show()
    console.show(Text(text), soft_wrap=not console.is_terminal)
    console.show()
