"""The command line of `fencepost`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import replace
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any, NoReturn

import click
from click.core import ParameterSource
from fencepost.spec.catalogue import chapters as catalogue_chapters
from fencepost.spec.operations import PROTOCOLS
from fencepost.statemachines.run import CHAPTERS

from fencepost import __version__

from .adapter_cli import adapter_group
from .backend import ANSWER_S, DEFAULT_BACKEND, EXEC, BackendError
from .choices import OF_CHAPTERS, STORES, Duration, chosen_chapters
from .console import Terminal, complain
from .histories.history_cli import check_trace_command
from .leftovers import end_at_once, leave_at_once, nothing_left_behind
from .progress import progress
from .proving.prove_cli import prove_command
from .reporting.catalogue_markdown import write_pages
from .reporting.pages import catalogue_page, requirement_page, similar_ids
from .reporting.report import report
from .reporting.report_files import require_folder, tell_github, write_report
from .reporting.report_form import schema
from .reporting.report_json import STANDARD_OUTPUT, ReportNotWritten, require_writable, write_json
from .result import Request, Result, Verdict, not_evaluated
from .searching.explore_cli import explore_command
from .searching.suite_cli import require_nothing_drawn, suite_command
from .searching.suite_file import BUILTIN, SuiteUnusable, chapters_of
from .showing.replay_cli import replay_command
from .upstairs import WithUpstairs
from .verify import EXAMPLES, STEPS, Observer, stuck, verify
from .watch import Watch, loaded
from .workers import verify_at_once

WORKERS = click.IntRange(min=1, max=64)
OF_STORES = f"Which protocols to check: {', '.join(PROTOCOLS)}.  [default: what the factory declares, else all]"
OF_TIMEOUT = "How long a call may take, in a process or behind a COMMAND."
CHOSEN = (
    f"What to check; calls of other chapters are made only where these cannot do without.  [default: {', '.join(CHAPTERS)}]"
)


@click.group(cls=WithUpstairs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fencepost", message="%(prog)s %(version)s")
def cli() -> None:
    """Hold a store of an agent runtime against the executable specification.

    Checked are sessions (leases, claims, commits, and what is read back), turn inputs, runtimes, events and outputs, of a
    store in Python or in any other language. Begin with `fencepost verify --backend MODULE:FACTORY --stores event`, with the
    protocol that your store has; docs/five-minutes.md in the repository goes through all of it.
    """


@cli.command("verify", short_help="Hold a store against the model.")
@click.option("--backend", default=DEFAULT_BACKEND, show_default=True, metavar="MODULE:FACTORY", help="The store to check.")
@click.option("--exec", "command", metavar="COMMAND", help="Check the store of a program that speaks JSON lines, instead.")
@click.option("--timeout", default=f"{ANSWER_S:g}s", show_default=True, type=Duration(), help=OF_TIMEOUT)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Draws the calls: same seed, same run.")
@click.option("--examples", default=EXAMPLES, show_default=True, type=click.IntRange(min=1), help="Fresh stores a chapter.")
@click.option(
    "--budget", type=Duration(), metavar="TIME", help="Run for so long instead, such as 60s, where most is unreached."
)
@click.option("--workers", default=1, show_default=True, type=WORKERS, help="Seeds to run at once, this one and the next.")
@click.option("--steps", default=STEPS, show_default=True, type=click.IntRange(min=1), help="Steps an example, at most.")
@click.option("--stores", type=STORES, metavar="NAME,NAME", help=OF_STORES)
@click.option("--chapters", type=OF_CHAPTERS, metavar="NAME,NAME", help=CHOSEN)
@click.option("--suite", metavar=f"FILE|{BUILTIN}", help="Make the calls of a suite, and draw none.")
@click.option("--strict", is_flag=True, help="Fail where the store differs from a CURRENT requirement, too.")
@click.option("--report", "folder", metavar="DIR", help="Write a folder: page, JSON, JUnit XML, summary, counterexamples.")
@click.option("--json", "json_path", metavar="FILE", help="Write the report as JSON; - for standard output.")
@click.pass_context
@nothing_left_behind()
def verify_command(
    context: click.Context,
    backend: str,
    command: str | None,
    timeout: float,
    seed: int,
    examples: int,
    budget: float | None,
    workers: int,
    steps: int,
    stores: tuple[str, ...] | None,
    chapters: tuple[str, ...] | None,
    suite: str | None,
    strict: bool,
    folder: str | None,
    json_path: str | None,
) -> None:
    """Hold a store against the model, with a clock under control, and tell what it obeys.

    A store of one protocol is asked for just that, as with --stores event; a factory can say so, too, with `declares`.

    Exit code 0: it conforms. 1: it violates the law. 2: it could not be evaluated.
    """
    if command is not None:
        if context.get_parameter_source("backend") is not ParameterSource.DEFAULT:
            raise click.UsageError("received --backend and --exec, expected one of them: there is one store to check.")
        backend = f"{EXEC}{command}"
    chosen = chosen_chapters(stores, chapters)
    if suite is not None:
        require_nothing_drawn(context)
    _require_one_measure(context)
    console = Terminal(stderr=json_path == STANDARD_OUTPUT)
    how: dict[str, Any] = {"seconds": budget or 0, "workers": workers, "stores": stores or (), "suite": suite}
    request = Request(backend, chosen or CHAPTERS, seed, examples, steps, strict, timeout=timeout, **how)
    try:
        _require_writable(json_path, folder)
        try:
            with _apart(json_path):
                factory = loaded(backend, timeout, leave_at_once)
            wanted = chosen or factory.has
            request = replace(request, chapters=(wanted or CHAPTERS) if suite is None else chapters_of(suite, wanted))
            with _apart(json_path), progress(console, request, factory.declares) as observer:
                if workers > 1:
                    result = verify_at_once(factory, request, observer, timeout)
                else:
                    tell = partial(_tell, console, json_path, folder)
                    end = partial(_end, observer, partial(stuck, request, observer.ended, factory.declares), tell)
                    result = verify(factory, request, observer, Watch(factory.patience(timeout), end))
        except (BackendError, SuiteUnusable) as error:
            result = not_evaluated(request, str(error))
        _write(result, json_path, folder)
    except ReportNotWritten as error:
        _give_up(str(error))
    except KeyboardInterrupt:
        _give_up("interrupted before there was a result.")
    if result.trouble:
        _give_up(result.trouble)
    report(console, result, folder)
    context.exit(result.verdict.exit_code)


def _require_one_measure(context: click.Context) -> None:
    """A usage error for examples beside a budget, which makes as many as there is time for."""
    if all(context.get_parameter_source(each) is ParameterSource.COMMANDLINE for each in ("budget", "examples")):
        raise click.UsageError("received --budget and --examples, expected one of them: how long to run, or how many examples.")


def _apart(json_path: str | None) -> AbstractContextManager[object]:
    """What a store prints goes to standard error where standard output is for JSON."""
    return redirect_stdout(sys.stderr) if json_path == STANDARD_OUTPUT else nullcontext()


def _require_writable(json_path: str | None, folder: str | None) -> None:
    """Raise `ReportNotWritten` before a run whose reports could not be written."""
    if json_path:
        require_writable(json_path)
    if folder:
        require_folder(folder)


def _write(result: Result, json_path: str | None, folder: str | None) -> None:
    """Write what was asked for, and tell GitHub where that runs. Raises `ReportNotWritten`."""
    if json_path:
        write_json(json_path, result)
    if folder:
        write_report(folder, result)
    tell_github(result)


@cli.command("requirements", short_help="Print the catalogue, a chapter of it, or one requirement.")
@click.argument("requirement_id", required=False, metavar="[ID|CHAPTER]")
@click.option(
    "--markdown", "pages", type=click.Path(path_type=Path), metavar="DIR", help="Write a page for each chapter, instead."
)
def requirements_command(requirement_id: str | None, pages: Path | None) -> None:
    """Print the catalogue of requirements, one chapter of it, or everything about one requirement.

    With --markdown all chapters, or the one that is named, are written as pages of Markdown to a folder.
    """
    if pages:
        _write_pages(pages, requirement_id)
        return
    console = Terminal()
    if not catalogue_page(console, requirement_id) and requirement_id and not requirement_page(console, requirement_id):
        near = similar_ids(requirement_id)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        _give_up(f"There is no requirement {requirement_id!r}.{hint} `fencepost requirements` lists all.")


@cli.command("report-schema", short_help="Print the JSON Schema of the reports.")
def report_schema_command() -> None:
    """Print the JSON Schema of the reports that `verify` writes with --report and --json."""
    json.dump(schema(), sys.stdout, indent=2)
    sys.stdout.write("\n")


def _write_pages(folder: Path, name: str | None) -> None:
    try:
        written = write_pages(folder, name)
    except OSError as error:
        _give_up(f"The pages cannot be written to {folder}: {error.strerror or error}. Expected a folder.")
    if not written:
        there = ", ".join(each.name for each in catalogue_chapters())
        _give_up(f"There is no chapter {name!r}. Expected one of {there}, or none for all.")
    click.echo(f"Wrote {', '.join(each.name for each in written)} to {folder}.")


cli.add_command(adapter_group)
cli.add_command(explore_command)
cli.add_command(suite_command)
cli.add_command(prove_command)
cli.add_command(replay_command)
cli.add_command(check_trace_command)


def main() -> None:
    """The command line, whose output any terminal and any file can take."""
    for stream in (sys.stdout, sys.stderr):
        # what a terminal's encoding lacks is no reason to fail
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    cli.main(prog_name="fencepost", standalone_mode=True)


def _end(observer: Observer, found: Callable[[str], Result], tell: Callable[[Result], None], sentence: str) -> None:
    """Leave at once, from whatever thread: the run is in a call that nothing can wake it from. What was found stands."""
    code = Verdict.not_evaluated.exit_code
    try:
        observer.lets_go()
        complain(sentence)
        result = found(sentence)
        tell(result)
        code = result.verdict.exit_code
    except ReportNotWritten as error:
        complain(str(error))
    finally:
        end_at_once(code)


def _tell(console: Terminal, json_path: str | None, folder: str | None, result: Result) -> None:
    """Write what was asked for, and show what was found, if there is anything."""
    with redirect_stdout(sys.__stdout__):
        _write(result, json_path, folder)
    if result.counterexamples:
        report(console, result, folder)


def _give_up(sentence: str) -> NoReturn:
    """Leave with a sentence about a mistake, and the exit code of what could not be evaluated."""
    complain(sentence)
    sys.exit(Verdict.not_evaluated.exit_code)
