"""`fencepost check-trace`: the judgement on a recorded history, for people."""

from __future__ import annotations

from pathlib import Path

import click
from fencepost.model import Refused
from fencepost.spec.catalogue import requirements
from fencepost.spec.operations import CHAPTERS, OPERATIONS
from fencepost.spec.values import printable
from fencepost.statemachines.checker import Call, Violation, value_at
from rich.table import Table
from rich.text import Text

from ..console import Terminal
from ..coverage import coverage
from ..reporting.report import VERDICT_STYLES
from ..result import Verdict
from ..showing.brief import brief, call_in_words, field_at
from .history import Crashed, Recorded, Strange
from .trial import Judgement, judge_history


@click.command("check-trace", short_help="Hold a recorded history against the model.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Fail where the store differs from a CURRENT requirement, too.")
@click.option("--from-empty", is_flag=True, help="The store is known to have been empty when the recording began.")
@click.option("--persists", is_flag=True, help="The store is known to keep what it holds where a recording goes on.")
@click.pass_context
def check_trace_command(context: click.Context, file: Path, strict: bool, from_empty: bool, persists: bool) -> None:
    """Hold FILE, a history that `fencepost.record` wrote, against the model, and name the first call that breaks the law.

    Exit code 0: every call conforms. 1: one violates the law. 2: it could not be evaluated, or could not be decided.
    """
    console = Terminal()
    judgement = judge_history(file, strict=strict, from_empty=from_empty, persists=persists)
    if judgement.made:
        _call(console, judgement, judgement.made)
    for note in judgement.notes:
        console.show(Text(note))
    if judgement.calls:
        console.show(Text(_coverage(judgement)))
    console.show()
    console.show(Text.assemble((judgement.verdict.value, VERDICT_STYLES[judgement.verdict]), f"  {printable(str(file))}"))
    if judgement.says and judgement.verdict is not Verdict.violates:
        console.show(Text(judgement.says), soft_wrap=not console.is_terminal)
    if judgement.seconds and judgement.calls:
        rate = judgement.calls / judgement.seconds
        console.show(
            Text(f"{judgement.calls:,} calls in {judgement.seconds:,.1f} s, {rate:,.0f} a second", style="dim"),
        )
    context.exit(judgement.verdict.exit_code)


def _call(console: Terminal, judgement: Judgement, made: Recorded) -> None:
    """The call in question, what was due, what came, and what had been called before."""
    known = requirements()
    failed, *others = judgement.requirements or ("",)
    is_broken = judgement.verdict is Verdict.violates
    console.show(Text(f"Line {made.line:,}" + (f" breaks {failed}" if is_broken else " cannot be decided"), style="bold red"))
    if failed in known:
        console.show(Text(f"  {known[failed].says}"))
    console.show()
    facts = Table(box=None, padding=(0, 2, 0, 2), show_header=False, pad_edge=False)
    facts.add_column(no_wrap=True, style="dim", min_width=11)
    facts.add_column(overflow="fold")
    facts.add_row("called", f"{_words(made)}, between {made.began} and {made.ended} ms, by caller {made.by}")
    facts.add_row("expected", _expected(judgement))
    facts.add_row("given", Text(_given(made, judgement.violation), style="red"))
    facts.add_row("reason", judgement.says)
    if others:
        facts.add_row("in question", f"{', '.join(others)}, which took part in the answer")
    if judgement.background and judgement.background.story:
        facts.add_row("lease", judgement.background.story)
    console.show(facts)
    if judgement.background and judgement.background.calls:
        console.show()
        console.show(Text("The calls before it about the same:", style="bold"))
        before = Table(box=None, padding=(0, 2, 0, 2), header_style="dim", pad_edge=False)
        for name in ("line", "at", "caller", "called", "answered"):
            before.add_column(name, overflow="fold", no_wrap=name in ("line", "at", "caller"))
        for each in judgement.background.calls:
            before.add_row(f"{each.line}", f"{each.began}", f"{each.by}", _words(each), _answer(each))
        console.show(before)
    console.show()


def _words(made: Recorded) -> str:
    if isinstance(made.call, Call):
        return call_in_words(made.call)
    return f"{made.call.operation} with arguments that are not admitted"


def _expected(judgement: Judgement) -> Text:
    violation = judgement.violation
    if violation is None:
        return Text("InvalidArgument")
    ours, *rest = dict.fromkeys(brief(step.answer) for step in violation.admissible)
    text = Text(ours)
    if violation.path:
        due = value_at(violation.admissible[0].answer, violation.path)
        return text.append(f"\n{field_at(violation.path)} = {due!r}", "green")
    return text.append("".join(f"\nor {each}" for each in rest))


def _given(made: Recorded, violation: Violation | None) -> str:
    if violation is None or not violation.path:
        return _answer(made)
    return f"{_answer(made)}\n{field_at(violation.path)} = {value_at(made.outcome, violation.path)!r}"


def _answer(made: Recorded) -> str:
    match made.outcome:
        case Crashed(words):
            return f"raised {words}"
        case Strange(words):
            return words
        case Refused():
            return brief(made.outcome)
    return brief(made.outcome)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _coverage(judgement: Judgement) -> str:
    """How many of the requirements of the called chapters decided an answer, and where the store differs."""
    # the call that breaks the law was held, too
    made = {*judgement.tally.operations, *((judgement.made.call.operation,) if judgement.made else ())}
    called = [each for each in CHAPTERS if any(OPERATIONS[name].chapter == each for name in made)]
    ids = [each.id for each in requirements().values() if each.chapter in called]
    reached = [each for each in ids if judgement.tally.reached[each]]
    operations, where = _counted(len(made), "operation"), _counted(len(called), "chapter")
    held = f"{_counted(judgement.calls, 'call')} of {operations} in {where} {'was' if judgement.calls == 1 else 'were'} held"
    text = f"{held}; {len(reached)} of the {len(ids)} requirements there were reached."
    exercised = ", ".join(f"{each.in_words} of {each.chapter}" for each in coverage(called, (judgement.tally,)))
    text += f" Of the cells that can be reached in small scopes {exercised} were exercised." if exercised else ""
    differs = [each for each in ids if judgement.tally.differs[each]]
    return f"{text} The store differs from the CURRENT {', '.join(differs)}." if differs else text
