"""`fencepost suite`: sequences of calls that cover the graph of a small scope, for `fencepost verify --suite`."""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource
from fencepost.statemachines.scopes import SCOPES
from fencepost.statemachines.suite import COVERS, suite_of
from rich.text import Text

from ..console import Terminal
from ..reporting.report_json import STANDARD_OUTPUT, ReportNotWritten, require_writable, write_out
from .explore_cli import bounds_of, give_up, scope_options
from .explore_report import in_words
from .suite_file import suite_text

DRAWN = ("seed", "examples", "steps", "budget", "workers")
"""The options of `fencepost verify` that say which calls are drawn, and how many."""


def require_nothing_drawn(context: click.Context) -> None:
    """A usage error for what says how calls are drawn: a suite has its own, each made once."""
    given = [name for name in DRAWN if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        says = ", ".join(f"--{name}" for name in given)
        expected = "expected one of them: of a suite every call is made, and none is drawn"
        raise click.UsageError(f"received --suite and {says}, {expected}.")


@click.command("suite", short_help="Write call sequences that cover a small scope.")
@click.option("--chapter", type=click.Choice(tuple(SCOPES)), default="lease", show_default=True, help="Whose calls.")
@click.option(
    "--cover", type=click.Choice(COVERS), default="edges", show_default=True, help="What to cover, each once or more."
)
@scope_options
@click.option("--out", default=STANDARD_OUTPUT, metavar="FILE", help="Where to write the suite; - for standard output.")
@click.pass_context
def suite_command(context: click.Context, /, chapter: str, cover: str, out: str, **chosen: Any) -> None:
    """Write call sequences that cover every edge, state or requirement of a small scope.

    `fencepost verify --suite FILE` makes them on any backend, without chance. What the bounds leave out is not covered.
    """
    console = Terminal(stderr=True)
    bounds = bounds_of(chapter, chosen, SCOPES[chapter].suite)
    scope = SCOPES[chapter](bounds)
    try:
        require_writable(out, "--out")
        suite = suite_of(scope, cover)
        write_out(out, suite_text(suite, bounds), "--out")
    except (ReportNotWritten, RuntimeError) as error:
        give_up(context, str(error))
    except KeyboardInterrupt:
        give_up(context, "interrupted before there was a suite.")
    figures = f"{len(suite.programs):,} sequences of {suite.calls:,} steps cover {suite.covered:,} {cover}"
    console.show(Text(f"{chapter}: {figures} ({in_words(scope)})"))
