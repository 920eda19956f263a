"""`fencepost gallery`: the planted faults, and the proof that the kit catches them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NoReturn

import click
from fencepost.kit.console import Terminal
from fencepost.kit.files import write_whole
from fencepost.kit.leftovers import nothing_left_behind
from fencepost.kit.planted import written
from fencepost.kit.supervision import end_with
from fencepost.statemachines.run import CHAPTERS
from rich.text import Text

from .bugs import BUGS
from .hunt import BY_NAME, Catch, hunted
from .kinds import Kind
from .pages import bug_page, list_page, similar_names, uncovered_page
from .planting import PlantedBug
from .report import counted, outcome, report_of

OF_KIND = click.Choice([kind.value for kind in Kind])
OF_CHAPTER = click.Choice(CHAPTERS)


def chosen_by(command: Any) -> Any:
    """The options that choose among the faults."""
    for option in (
        click.option("--kind", type=OF_KIND, metavar="KIND", help="Only those of this kind of failure."),
        click.option("--requirement", metavar="ID", help="Only those that break this requirement."),
        click.option("--chapter", type=OF_CHAPTER, help="Only those that the machine of this chapter has to catch."),
    ):
        command = option(command)
    return command


@click.group("gallery", short_help="List, show and hunt planted faults of the DuckDB store.", invoke_without_command=True)
@chosen_by
@click.option("--uncovered", is_flag=True, help="List the LAW requirements without a fault instead, and why they have none.")
@click.pass_context
def gallery_group(
    context: click.Context, chapter: str | None, requirement: str | None, kind: str | None, uncovered: bool
) -> None:
    """List small faults of the DuckDB store that the kit catches, each with the requirement that it breaks."""
    if context.invoked_subcommand is not None:
        return
    console = Terminal()
    if uncovered:
        uncovered_page(console)
    else:
        list_page(console, selected((), chapter, requirement, kind))


@gallery_group.command("show")
@click.argument("name")
def show_command(name: str) -> None:
    """Show what there is to know about the fault NAME, and how it is planted."""
    bug_page(Terminal(), _known(name))


@gallery_group.command("run")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@chosen_by
@click.option("--workers", default=1, show_default=True, type=click.IntRange(min=1, max=64), help="Hunt in so many processes.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="The first that draws calls: same seed, same hunt."
)
@click.option("--report", "report_path", metavar="FILE", help="Write the table in Markdown; for all faults only.")
@click.option(
    "--proof", "proof_path", metavar="FILE", help="Write the figures that `verify` reports show; for all faults only."
)
def run_command(
    names: tuple[str, ...],
    chapter: str | None,
    requirement: str | None,
    kind: str | None,
    workers: int,
    seed: int,
    report_path: str | None,
    proof_path: str | None,
) -> None:
    """Plant the faults one after the other, all or those chosen, and see that `verify` catches each.

    Exit code 0: each was caught, and laid on the requirement that it breaks. 1: one was not. 2: one could not be planted.
    """
    chosen = selected(names, chapter, requirement, kind)
    if (report_path or proof_path) and len(chosen) < len(BUGS):
        raise click.UsageError(
            "a report and a proof are about all faults: give neither names nor options that choose among them."
        )
    console, catches = Terminal(), list[Catch]()
    try:
        with nothing_left_behind():
            for catch in hunts([bug.name for bug in chosen], seed, workers):
                catches.append(catch)
                console.show(line_of(catch, len(catches), len(chosen)), soft_wrap=not console.is_terminal)
    except KeyboardInterrupt:
        _give_up(f"interrupted after {len(catches)} of {len(chosen)} faults.")
    summary(console, catches)
    for path, text in ((report_path, report_of(catches, seed).encode()), (proof_path, written(counted(catches, seed)))):
        if path:
            _write(path, text)
    sys.exit(exit_code(catches))


def exit_code(catches: Iterable[Catch]) -> int:
    """0 if each was caught and laid on its requirement, 2 if one could not be planted, 1 otherwise."""
    found = list(catches)
    if any(catch.trouble for catch in found):
        return 2
    return 0 if all(catch.is_right for catch in found) else 1


def selected(
    names: Sequence[str], chapter: str | None = None, requirement: str | None = None, kind: str | None = None
) -> list[PlantedBug]:
    """The faults that were chosen, by names or otherwise, in the order of the gallery. A usage error if there are none."""
    named = {_known(name) for name in names}
    found = [
        bug
        for bug in BUGS
        if (not names or bug in named)
        and chapter in (None, bug.chapter)
        and (requirement is None or requirement.upper() in (each.upper() for each in bug.breaks))
        and kind in (None, bug.kind.value)
    ]
    if not found:
        raise click.UsageError("no fault is chosen by that; `fencepost gallery` lists all.")
    return found


def hunts(names: Sequence[str], seed: int, workers: int) -> Iterator[Catch]:
    """What came of each hunt, in this order."""
    hunt = partial(hunted, seed=seed)
    if workers == 1:
        yield from map(hunt, names)
        return
    # spawned: a store's threads and connections do not survive a fork
    with ProcessPoolExecutor(
        min(workers, len(names)), get_context("spawn"), initializer=end_with, initargs=(os.getpid(),)
    ) as pool:
        yield from pool.map(hunt, names)


def line_of(catch: Catch, number: int, count: int) -> Text:
    """What came of one hunt, in a line."""
    text = Text.assemble((f"{number:>{len(str(count))}}/{count}  ", "dim"), f"{catch.name}  {catch.bug.requirement}  ")
    if not catch.is_right:
        return text.append(outcome(catch), "bold red")
    told = f"  {catch.steps:,} steps, {catch.seconds:.1f} s, {catch.calls} calls, by seed {catch.seed}"
    return text.append("caught", "green").append(told, "dim")


def summary(console: Terminal, catches: Sequence[Catch]) -> None:
    """How many were caught, and which not."""
    right, lost = sum(catch.is_right for catch in catches), [catch for catch in catches if not catch.is_right]
    seconds = sum(catch.seconds for catch in catches)
    steps = sum(catch.steps for catch in catches)
    console.show()
    for catch in lost:
        console.show(Text.assemble((catch.name, "bold red"), f"  {catch.bug.requirement}  {outcome(catch)}"))
    told = f"{right} of {len(catches)} planted faults caught and laid on their requirement"
    console.show(Text.assemble((told, "bold red" if lost else "bold green"), f", in {steps:,} steps and {seconds:,.1f} s."))


def _known(name: str) -> PlantedBug:
    # somebody may take a name from a function of Python
    if (dashed := name.replace("_", "-")) in BY_NAME:
        return BY_NAME[dashed]
    near = similar_names(name)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    raise click.UsageError(f"there is no fault {name!r}.{hint} `fencepost gallery` lists all.")


def _write(path: str, text: bytes) -> None:
    try:
        write_whole(Path(path), text)
    except OSError as error:
        _give_up(f"{path} cannot be written: {error.strerror}. Choose another file.")


def _give_up(sentence: str) -> NoReturn:
    click.echo(f"Error: {sentence}", err=True)
    sys.exit(2)
