"""`fencepost replay`: a counterexample's trace, run again on a store."""

from __future__ import annotations

from collections.abc import Iterator

import click
from fencepost.spec.catalogue import requirements
from rich.text import Text

from ..backend import ANSWER_S, EXEC, BackendError
from ..choices import Duration
from ..console import Terminal, complain
from ..leftovers import leave_at_once, nothing_left_behind
from ..watch import Watch, loaded
from .brief import brief, call_in_words, field_at
from .replay import Outcome, Replayed, replay
from .trace import TraceError, read_trace

STYLES = {Outcome.reproduced: "bold red", Outcome.another: "bold yellow", Outcome.gone: "bold green"}


@click.command("replay", short_help="Run a counterexample again: REPRODUCED or GONE.")
@click.argument("trace", metavar="TRACE")
@click.option("--backend", metavar="MODULE:FACTORY", help="The store to run it on.")
@click.option("--exec", "command", metavar="COMMAND", help="The store of a program that speaks JSON lines, instead.")
@click.option("--timeout", default=ANSWER_S, show_default=f"{ANSWER_S:g}s", type=Duration(), help="How long for an answer.")
@click.pass_context
@nothing_left_behind()
def replay_command(context: click.Context, trace: str, backend: str | None, command: str | None, timeout: float) -> None:
    """Run TRACE, the .jsonl file of a counterexample, again, and tell whether the violation is still there.

    Exit code 0: GONE, every call is answered as the law admits. 1: REPRODUCED, or another violation was found. 2: it could not
    be evaluated.
    """
    try:
        recorded = read_trace(trace)
        if (backend is None) == (command is None):
            raise click.UsageError(
                f"expected one of --backend and --exec; the trace was recorded on {recorded.backend}, and what a file names "
                "is not run unasked."
            )
        factory = loaded(backend or f"{EXEC}{command}", timeout, leave_at_once)
        replayed = replay(factory, recorded, Watch(factory.patience(timeout), leave_at_once))
    except (BackendError, TraceError) as error:
        complain(str(error))
        context.exit(2)
    console = Terminal()
    console.show(Text.assemble((replayed.outcome.value, STYLES[replayed.outcome]), f"  {factory.name}"))
    for line in told(replayed):
        console.show(Text(line), soft_wrap=not console.is_terminal)
    context.exit(replayed.outcome.exit_code)


def told(replayed: Replayed) -> Iterator[str]:
    """What was found, in lines."""
    trace, violation = replayed.trace, replayed.violation
    recorded = _with_sentence(trace.requirements[0])
    of = f"event {replayed.number} of {len(trace.events)}"
    if violation is None:
        yield f"All calls were answered as the law admits, the last one too, which had broken {recorded}"
        yield "Other calls may still be answered wrongly: `fencepost verify` looks for them."
        return
    if replayed.outcome is Outcome.another:
        yield f"Recorded was {recorded}"
        there = "at that call, but in another way" if replayed.is_last else "before it came to that"
        yield f"Found {there}, at {of}: {_with_sentence(violation.requirements[0])}"
    else:
        yield f"At {of}: {recorded}"
    last = violation.performed[-1]
    yield f"  called    {call_in_words(last.call)} at {last.now} ms"
    yield f"  expected  {' or '.join(dict.fromkeys(brief(step.answer) for step in violation.admissible))}"
    yield f"  given     {brief(last.answer)}"
    if violation.path:
        yield f"  differs   {field_at(violation.path)}"


def _with_sentence(requirement_id: str) -> str:
    known = requirements().get(requirement_id)
    return f"{requirement_id}: {known.says}" if known else f"{requirement_id}."
