"""`fencepost explore`: the model of a chapter, searched to the last state of a small scope."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource
from fencepost.spec.catalogue import requirements
from fencepost.statemachines.crew import CrewLost
from fencepost.statemachines.expansion import NotIndependent
from fencepost.statemachines.explore import INSTANT, Figures, Search
from fencepost.statemachines.scope import Bounds
from fencepost.statemachines.scopes import SCOPES
from fencepost.statemachines.witness import require_independence
from rich.live import Live
from rich.text import Text

from ..console import Terminal
from ..coverage import cells_text
from ..reporting.report_json import STANDARD_OUTPUT, ReportNotWritten, require_writable, write_out
from ..result import Verdict
from .explore_all import explore_all, report_all, verdict_of_all
from .explore_graph import GRAPHS, TooLarge, drawn
from .explore_report import explored_json, figures_line, report_explored, show_witness, verdict_of

CHAPTERS = tuple(SCOPES)
ALL = "all"
AT_LEAST = {"owners": 1, "processes": 0, "sessions": 1, "rows": 1, "times": 0, "tokens": 1}
MEGABYTES = 2_048


class Times(click.ParamType[tuple[int, ...]]):
    """Some durations in ms, with commas between them."""

    name = "ttls"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The durations, each once; a usage error for what is none."""
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        if not all(word.isascii() and word.isdigit() and len(word) < 20 for word in words):
            self.fail(f"received {value!r}, expected durations in ms with commas between them, such as 0,2.", param, ctx)
        return tuple(sorted({int(word) for word in words}))


def scope_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how large the scope is."""
    told = {
        "owners": "Who may claim.",
        "processes": "How many of them are processes that may end or become impossible to tell.",
        "sessions": "Sessions, threads, runtimes or tasks.",
        "rows": "What each of these may hold; attachments.",
        "times": "How far the clock goes, in ms.",
        "tokens": "Grants of a lease.",
    }
    command = click.option("--ttls", type=Times(), metavar="MS,MS", help="Times to live.  [default: the chapter's]")(command)
    for name, says in reversed(told.items()):
        least = click.IntRange(min=AT_LEAST[name])
        command = click.option(f"--{name}", type=least, metavar="N", help=f"{says}  [default: the chapter's]")(command)
    return command


def bounds_of(chapter: str, chosen: dict[str, Any], default: Bounds | None = None) -> Bounds:
    """The chapter's own bounds, or other ones, with those that were chosen. A usage error for what means nothing here."""
    given = {name: value for name, value in chosen.items() if value is not None}
    scope = SCOPES[chapter]
    for name in given:
        if name not in scope.uses:
            known = ", ".join(f"--{each}" for each in scope.uses) or "no bounds"
            raise click.UsageError(f"received --{name}, expected {known}: the scope of chapter {chapter} has nothing else.")
    bounds = replace(default or scope.default, **given)
    if bounds.processes > bounds.owners:
        raise click.UsageError(f"received {bounds.processes} processes, expected at most as many as owners: {bounds.owners}.")
    if bounds.owners > MOST_OWNERS:
        raise click.UsageError(f"received {bounds.owners} owners, expected at most {MOST_OWNERS}.")
    instants = (bounds.times + 1) * 3**bounds.processes
    if instants > INSTANT:
        raise click.UsageError(f"received times and processes that make {instants:,} instants, expected at most {INSTANT:,}.")
    if scope.most_sessions is not None and bounds.sessions > scope.most_sessions:
        raise click.UsageError(f"received {bounds.sessions} sessions, expected at most {scope.most_sessions} in {chapter}.")
    return bounds


MOST_OWNERS = 6
"""Each order of them is a name that a state may have: of more there is no end."""


@click.command("explore", short_help="Search every state of a small scope of the model.")
@click.option(
    "--chapter", type=click.Choice((*CHAPTERS, ALL)), default="lease", show_default=True, help="Whose model to search."
)
@scope_options
@click.option("--witness", "wanted", metavar="ID", help="Show a shortest path to an answer that this requirement decides.")
@click.option("--no-symmetry", is_flag=True, help="Search worlds apart that differ in names or in the time alone.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(min=1), help="Processes that ask the model.")
@click.option("--memory", default=MEGABYTES, show_default=True, type=click.IntRange(min=1), help="MB, at most.")
@click.option("--graph", metavar="FILE", help="Write the states and calls, as FILE ends: .json, .dot or .html.")
@click.option("--json", "json_path", metavar="FILE", help="Write what was found as JSON; - for standard output.")
@click.option("--cells", metavar="FILE", help="Write the cells that were reached: what a run may exercise.")
@click.pass_context
def explore_command(
    context: click.Context,
    /,
    chapter: str,
    wanted: str | None,
    no_symmetry: bool,
    workers: int,
    memory: int,
    graph: str | None,
    json_path: str | None,
    cells: str | None,
    **chosen: Any,
) -> None:
    """Search every state of a chapter's model in a small scope, and check the invariants in each.

    With --chapter all it is the default scope of each chapter, and a table of what came of them.

    Exit code 0: exhausted, and they hold. 1: one is broken; a shortest path to it is shown. 2: unknown.
    """
    console = Terminal(stderr=STANDARD_OUTPUT in (json_path, cells))
    how: dict[str, Any] = {"reduce": not no_symmetry, "workers": workers, "memory_mb": memory}
    if chapter == ALL:
        _require_nothing_else(context)
        _search_all(context, console, cells, how)
    scope = SCOPES[chapter](bounds_of(chapter, chosen))
    suffix = Path(graph).suffix if graph else ""
    if graph and suffix not in GRAPHS:
        raise click.UsageError(f"received --graph {graph}, expected a file that ends in {', '.join(GRAPHS)}.")
    if wanted is not None and wanted not in requirements():
        raise click.UsageError(f"there is no requirement {wanted!r}. `fencepost requirements` lists all.")
    try:
        for option, path in (("--graph", graph), ("--json", json_path), ("--cells", cells)):
            if path:
                require_writable(path, option)
        with _live(console) as told:
            found = Search(scope, **how).run(told)
            compared = 0 if found.broken else require_independence(found.search)
        if graph:
            write_out(graph, drawn(found, suffix), "--graph")
        if json_path:
            write_out(json_path, explored_json(found))
        # of a search that was cut short they would say that less can be reached
        if cells and verdict_of(found) is Verdict.conforms:
            write_out(cells, cells_text({chapter: found.cells}), "--cells")
    except (ReportNotWritten, NotIndependent, TooLarge, CrewLost) as error:
        give_up(context, str(error))
    except KeyboardInterrupt:
        give_up(context, "interrupted before the last state.")
    report_explored(console, found, compared)
    if wanted is not None and not show_witness(console, found, wanted):
        give_up(context, f"no answer that {wanted} decides was reached.")
    context.exit(verdict_of(found).exit_code)


def _require_nothing_else(context: click.Context) -> None:
    """A usage error for what means something for one chapter alone."""
    names = ("wanted", "graph", "json_path", *AT_LEAST, "ttls")
    given = [name for name in names if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        options = {param.name: param.opts[0] for param in context.command.params}
        says = ", ".join(options[name] for name in given)
        raise click.UsageError(
            f"received --chapter all and {says}, expected one chapter: all are searched in their default scopes."
        )


def _search_all(context: click.Context, console: Terminal, cells: str | None, how: dict[str, Any]) -> NoReturn:
    try:
        if cells:
            require_writable(cells, "--cells")
        found = explore_all(console, _live, **how)
        if cells and verdict_of_all(found) is Verdict.conforms:
            write_out(cells, cells_text({chapter: each.cells for chapter, each in found.items()}), "--cells")
    except (ReportNotWritten, NotIndependent, CrewLost) as error:
        give_up(context, str(error))
    except KeyboardInterrupt:
        give_up(context, "interrupted before the last state.")
    report_all(console, found)
    context.exit(verdict_of_all(found).exit_code)


@contextlib.contextmanager
def _live(console: Terminal) -> Iterator[Callable[[Figures], None]]:
    """Draws the figures over and over while a search runs, in a terminal."""
    if not console.is_terminal:
        yield lambda _: None
        return
    with Live(console=console, refresh_per_second=8, transient=True) as live:
        yield lambda figures: live.update(Text(figures_line(figures)))


def give_up(context: click.Context, sentence: str) -> NoReturn:
    """Leave with a sentence, and the exit code of what could not be evaluated."""
    click.echo(f"Error: {sentence}", err=True)
    context.exit(Verdict.not_evaluated.exit_code)
