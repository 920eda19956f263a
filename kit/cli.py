"""The command line: `fencepost verify`, `fencepost requirements`, `fencepost adapter` and `fencepost prove`."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import NoReturn

import click
from fencepost.spec.operations import PROTOCOLS
from fencepost.statemachines.run import CHAPTERS
from hypothesis.configuration import set_hypothesis_home_dir
from rich.text import Text

from fencepost import __version__

from .adapter_cli import adapter_group
from .backend import ANSWER_S, DEFAULT_BACKEND, EXEC, BackendError, load_factory
from .console import Terminal, let_go_of_stdout
from .pages import catalogue_page, requirement_page, similar_ids
from .progress import progress
from .prove_cli import prove_command
from .report import report
from .report_files import require_folder, tell_github, write_report
from .report_json import STANDARD_OUTPUT, ReportNotWritten, require_writable, write_json
from .result import Request, Verdict
from .verify import EXAMPLES, STEPS, verify


class Names(click.ParamType[tuple[str, ...]]):
    """Some of these names, with commas between them."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        self.known = known

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """The chosen names in reading order; a usage error for one that is not known."""
        if isinstance(value, tuple):
            return value
        chosen = [name.strip() for name in str(value).split(",") if name.strip()]
        unknown = [name for name in chosen if name not in self.known]
        if unknown or not chosen:
            received = ", ".join(map(repr, unknown)) or "none"
            expected = ", ".join(self.known)
            self.fail(f"received {received}, expected one or more of {expected}, with commas between them.", param, ctx)
        return tuple(name for name in self.known if name in chosen)


SECONDS = click.FloatRange(min=0, min_open=True)
STORES = Names("stores", tuple(PROTOCOLS))
OF_STORES = f"Which protocols to check: {', '.join(PROTOCOLS)}.  [default: all]"
CHOSEN = (
    f"What to check; calls of other chapters are made only where these cannot do without.  [default: {', '.join(CHAPTERS)}]"
)


def chosen_chapters(stores: tuple[str, ...] | None, chapters: tuple[str, ...] | None) -> tuple[str, ...]:
    """The chapters that were chosen, or those of the protocols that were; all, if nothing was. A usage error for both."""
    if stores and chapters:
        raise click.UsageError("received --stores and --chapters, expected one of them: a protocol is a number of chapters.")
    if stores:
        return tuple(name for name in CHAPTERS if any(name in PROTOCOLS[each] for each in stores))
    return chapters or CHAPTERS


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="fencepost", message="%(prog)s %(version)s")
def cli() -> None:
    """Hold a session store against the executable specification: leases, claims, commits, and what is read back."""


@cli.command("verify")
@click.option("--backend", default=DEFAULT_BACKEND, show_default=True, metavar="MODULE:FACTORY", help="The store to check.")
@click.option("--exec", "command", metavar="COMMAND", help="Check the store of a program that speaks JSON lines, instead.")
@click.option("--timeout", default=ANSWER_S, show_default=True, type=SECONDS, help="Seconds that a COMMAND has to answer.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Draws the calls: same seed, same run.")
@click.option("--examples", default=EXAMPLES, show_default=True, type=click.IntRange(min=1), help="Fresh stores a chapter.")
@click.option("--steps", default=STEPS, show_default=True, type=click.IntRange(min=1), help="Steps an example, at most.")
@click.option("--stores", type=STORES, metavar="NAME,NAME", help=OF_STORES)
@click.option("--chapters", type=Names("chapters", CHAPTERS), metavar="NAME,NAME", help=CHOSEN)
@click.option("--strict", is_flag=True, help="Fail where the store differs from a CURRENT requirement, too.")
@click.option("--report", "folder", metavar="DIR", help="Write a folder: JSON, JUnit XML, a Markdown summary and a page.")
@click.option("--json", "json_path", metavar="FILE", help="Write the report as JSON; - for standard output.")
@click.pass_context
def verify_command(
    context: click.Context,
    backend: str,
    command: str | None,
    timeout: float,
    seed: int,
    examples: int,
    steps: int,
    stores: tuple[str, ...] | None,
    chapters: tuple[str, ...] | None,
    strict: bool,
    folder: str | None,
    json_path: str | None,
) -> None:
    """Hold a store against the model, with a clock under control, and tell what it obeys.

    Exit code 0: it conforms. 1: it violates the law. 2: it could not be evaluated.
    """
    backend = backend if command is None else f"{EXEC}:{command}"
    request = Request(backend, chosen_chapters(stores, chapters), seed, examples, steps, strict)
    console = Terminal(stderr=json_path == STANDARD_OUTPUT)
    try:
        if json_path:
            require_writable(json_path)
        if folder:
            require_folder(folder)
        factory = load_factory(backend, timeout)
        with _nothing_left_behind(), progress(console, request, factory.declares) as observer:
            result = verify(factory, request, observer)
        if json_path:
            write_json(json_path, result)
        if folder:
            write_report(folder, result)
        tell_github(result)
    except (BackendError, ReportNotWritten) as error:
        _give_up(str(error))
    except KeyboardInterrupt:
        _give_up("interrupted before there was a result.")
    report(console, result)
    context.exit(result.verdict.exit_code)


@cli.command("requirements")
@click.argument("requirement_id", required=False, metavar="[ID|CHAPTER]")
def requirements_command(requirement_id: str | None) -> None:
    """Print the catalogue of requirements, one chapter of it, or everything about one requirement."""
    console = Terminal()
    if not catalogue_page(console, requirement_id) and requirement_id and not requirement_page(console, requirement_id):
        near = similar_ids(requirement_id)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        _give_up(f"There is no requirement {requirement_id!r}.{hint} `fencepost requirements` lists all.")


cli.add_command(adapter_group)
cli.add_command(prove_command)


def main() -> None:
    """The entry point of `fencepost`; a reader that goes away, such as `head`, is no mistake."""
    try:
        cli.main(prog_name="fencepost", standalone_mode=True)
    except BrokenPipeError:
        let_go_of_stdout()


@contextlib.contextmanager
def _nothing_left_behind() -> Iterator[None]:
    """Hypothesis keeps notes on sources in a folder of the current directory, which is the user's: they go elsewhere."""
    with tempfile.TemporaryDirectory(prefix="fencepost-") as directory:
        set_hypothesis_home_dir(directory)
        try:
            yield
        finally:
            set_hypothesis_home_dir(None)


def _give_up(sentence: str) -> NoReturn:
    """Leave with a sentence about a mistake, and the exit code of what could not be evaluated."""
    console = Terminal(stderr=True)
    # a terminal wraps at words; a log keeps the sentence on one line
    console.show(Text(f"Error: {sentence}"), soft_wrap=not console.is_terminal)
    sys.exit(Verdict.not_evaluated.exit_code)
