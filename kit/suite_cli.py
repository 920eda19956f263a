"""`fencepost suite`: sequences of calls that cover the graph of a small scope, for `fencepost verify --suite`."""

from __future__ import annotations

from typing import Any

import click
from fencepost.statemachines.scopes import SCOPES
from fencepost.statemachines.suite import COVERS, suite_of
from rich.text import Text

from .console import Terminal
from .explore_cli import bounds_of, give_up, scope_options
from .explore_report import in_words
from .report_json import STANDARD_OUTPUT, ReportNotWritten, require_writable, write_whole
from .suite_file import suite_text


@click.command("suite")
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
        write_whole(out, suite_text(suite, bounds), "--out")
    except (ReportNotWritten, RuntimeError) as error:
        give_up(context, str(error))
    except KeyboardInterrupt:
        give_up(context, "interrupted before there was a suite.")
    figures = f"{len(suite.programs):,} sequences of {suite.calls:,} steps cover {suite.covered:,} {cover}"
    console.show(Text(f"{chapter}: {figures} ({in_words(scope)})"))
