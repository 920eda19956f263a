"""`fencepost prove`: the lemmas of the model, each with what came of it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click
from fencepost.model.proofs import CHAPTERS
from rich.live import Live
from rich.padding import Padding
from rich.text import Text

from ..choices import Duration
from ..console import Terminal
from .prove import BUDGET_S, ProverError, Told, differences, prove, require_crosshair, statements
from .prove_report import figure, markdown
from .proved import Finding, Outcome, Proved, Statement

PROCESSORS = os.cpu_count() or 1
STYLES = {Outcome.undecided: "yellow", Outcome.refuted: "bold red", Outcome.unevaluable: "bold yellow"}


@click.command("prove", short_help="Prove the lemmas of the model.")
@click.option(
    "--chapter", "chapters", multiple=True, type=click.Choice(tuple(CHAPTERS)), help="Only this one; can be repeated."
)
@click.option("--budget", default=BUDGET_S, show_default=f"{BUDGET_S:g}s", type=Duration(), help="Processor time a lemma.")
@click.option("--workers", default=PROCESSORS, show_default="processors", type=click.IntRange(min=1), help="Processes.")
@click.option("--against", metavar="FILE", help="Compare with another version of one of model/records/*.py instead.")
@click.option("--markdown", "path", metavar="FILE", help="Write what came of the lemmas as Markdown, too.")
@click.pass_context
def prove_command(
    context: click.Context, chapters: tuple[str, ...], budget: float, workers: int, against: str | None, path: str | None
) -> None:
    """Prove the lemmas of the model: with CrossHair over all paths, or by trying all inputs up to a stated size.

    Exit code 0: all are confirmed or exhausted. 1: one is refuted. 2: one is undecided, or could not be evaluated.
    """
    if against and (chapters or path):
        raise click.UsageError(
            "received --against with --chapter or --markdown, expected it alone: its file tells the chapter."
        )
    console = Terminal()
    try:
        require_crosshair()
        if against:
            context.exit(_compare(console, against, budget, workers))
        proved = _prove(console, statements(chapters or tuple(CHAPTERS)), budget, workers)
        if path:
            _write(path, markdown(proved, context.command_path, chapters))
    except ProverError as error:
        _give_up(str(error))
    except KeyboardInterrupt:
        _give_up("interrupted before there was a result.")
    _page(console, proved)
    context.exit(proved.exit_code)


def _prove(console: Terminal, chosen: list[Statement], budget: float, workers: int) -> Proved:
    with _progress(console, len(chosen)) as told:
        return prove(chosen, budget, workers, told)


def _compare(console: Terminal, against: str, budget: float, workers: int) -> int:
    """Print where this version differs from the file; the exit code."""
    chosen, lone = differences(against)
    for each in lone:
        console.show(Text(f"{each}  only in {'this version' if each[0] == '+' else against}"))
    if not chosen:
        console.show(Text("No other transition has changed." if lone else "No transition has changed."))
        return int(bool(lone))
    proved = _prove(console, chosen, budget, workers)
    words = {Outcome.confirmed: "the same over all paths", Outcome.refuted: "differs"}
    for statement, finding in proved.results:
        outcome = words.get(finding.outcome, finding.outcome.value)
        console.show(Text.assemble((f"{statement.name}  ", "bold"), (outcome, STYLES.get(finding.outcome, "green"))))
        if finding.detail:
            console.show(Padding(Text(finding.detail), (0, 0, 1, 2)))
    if proved.count(Outcome.refuted):
        console.show(Text(f"Of the two values that a call returns, the first is that of {against}."))
    return max(proved.exit_code, int(bool(lone)))


@contextlib.contextmanager
def _progress(console: Terminal, count: int) -> Iterator[Told]:
    """A live line in a terminal; nothing elsewhere."""
    done = 0
    with contextlib.ExitStack() as stack:
        live = stack.enter_context(Live(console=console, transient=True)) if console.is_terminal else None

        def told(statement: Statement, finding: Finding) -> None:
            nonlocal done
            done += 1
            if live is not None:
                live.update(Text(f"{done} of {count} lemmas, the last one {statement.name}: {finding.outcome.value}"))

        yield told


def _page(console: Terminal, proved: Proved) -> None:
    """The lemmas of each chapter, and the figure."""
    for chapter in dict.fromkeys(statement.chapter for statement, _ in proved.results):
        console.show(Text(chapter, style="bold"))
        for statement, finding in proved.results:
            if statement.chapter == chapter:
                _show(console, statement, finding)
        console.show(Text())
    console.show(Text(figure(proved)), soft_wrap=True)


def _show(console: Terminal, statement: Statement, finding: Finding) -> None:
    """What came of a lemma and what was tried; below, what it says, of what, and what else there is to say."""
    outcome = (finding.outcome.value, STYLES.get(finding.outcome, "green"))
    console.show(Padding(Text.assemble(outcome, (f"  {_tried(statement, finding)}", "dim")), (0, 0, 0, 2)))
    establishes = (f"{' '.join(statement.requirements)}  ", "cyan")
    lines = [Text.assemble(establishes, statement.says, (f"  {statement.name}", "dim"))]
    lines += [Text(line, style="" if finding.outcome is Outcome.refuted else "dim") for line in _beside(statement, finding)]
    console.show(*(Padding(line, (0, 0, 0, 4)) for line in lines))


def _tried(statement: Statement, finding: Finding) -> str:
    what = "cases" if statement.place is None else "paths"
    return f"{finding.tried:,} {what} in {finding.seconds:.1f} s"


def _beside(statement: Statement, finding: Finding) -> Iterator[str]:
    """What else there is to say: the scope of what was exhausted, and a counterexample or a reason."""
    if statement.scope:
        yield f"over {statement.scope}"
    if finding.detail:
        yield finding.detail


def _write(path: str, text: str) -> None:
    """Write the file at once. Raises `ProverError`."""
    beside = Path(f"{path}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise ProverError(f"{path} cannot be written: {error.strerror or error}. Expected a file in a folder.") from error


def _give_up(sentence: str) -> NoReturn:
    click.echo(f"Error: {sentence}", err=True)
    sys.exit(2)
