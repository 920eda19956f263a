"""The report for people: what failed and how to see it fail, a table by chapter, what was not reached, and the verdict."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import wrap

from fencepost.statemachines.checker import value_at
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from ..console import NARROW, Terminal
from ..coverage import Coverage, in_all, together
from ..result import MISSED, UNSEEN, Judged, Result, Status, Verdict
from ..showing.brief import brief, call_in_words, field_at
from ..showing.counterexample import Counterexample, is_fresh
from ..showing.file_names import FOLDER, names
from ..showing.telling import due_at, expected, facts, given_at

VERDICT_STYLES = {Verdict.conforms: "bold green", Verdict.violates: "bold red", Verdict.not_evaluated: "bold yellow"}
STATUS_STYLES = {Status.passed: "green", Status.failed: "bold red", Status.differs: "yellow"}


FEW = 12
"""How many situations that were not exercised are listed in a terminal."""


def report(console: Terminal, result: Result, folder: str | None = None) -> None:
    """Print the result, and where in the folder of a written report the counterexamples are."""
    for found, chapters in distinct(result.counterexamples):
        show_counterexample(console, found, chapters)
        if folder:
            _where(console, found, result, Path(folder))
    if result.judged:
        console.show()
        console.show(_table(result, gap=2 if console.width >= NARROW else 1))
    _sentences(console, "Failed", result.with_status(Status.failed), "red")
    _sentences(console, "Differs; only a strict run fails for it", result.with_status(Status.differs), "yellow")
    if result.verdict is Verdict.violates:
        _only_ids(console, result)
    else:
        _not_reached(console, result)
    _verdict(console, result)


def distinct(found: Iterable[Counterexample]) -> list[tuple[Counterexample, list[str]]]:
    """Counterexamples that look alike once, by the shortest of them, with the chapters that found them."""
    alike: dict[tuple[str, str, str], list[Counterexample]] = {}
    for each in found:
        alike.setdefault((each.requirements[0], each.last.call.operation, each.path), []).append(each)
    return [(min(group, key=lambda each: len(each.performed)), [each.chapter for each in group]) for group in alike.values()]


def show_counterexample(console: Terminal, found: Counterexample, chapters: list[str]) -> None:
    """Print what a counterexample shows, and the program that shows it again."""
    failed = found.requirements[0]
    console.show()
    console.show(Rule(Text.assemble((failed, "bold red"), (" violated", "red")), style="red", align="left"))
    console.show()
    console.show(_indented(Text(found.says)))
    console.show()
    rows = _pairs()
    rows.add_row("called", f"{call_in_words(found.last.call)} at {found.last.now} ms")
    rows.add_row("expected", _expected(found))
    rows.add_row("given", _given(found))
    for name, text in facts(found, chapters).items():
        rows.add_row(name, Text(text, "yellow" if name == "hint" else ""))
    console.show(_indented(rows))
    console.show()
    console.show(_indented(Text(found.heading, style="bold")))
    console.show()
    # no indent, no padding and no wrapping: it is there to be pasted
    console.show(Syntax("", "python", theme="ansi_dark").highlight(found.shown), soft_wrap=True)


def _where(console: Terminal, found: Counterexample, result: Result, folder: Path) -> None:
    page, *others, diagram = names(found.chapter, is_race=found.is_race).values()
    where = folder / FOLDER
    trace = shlex.quote(str(where / f"{found.chapter}.jsonl"))
    again = "" if found.is_race else f"; again: fencepost replay {trace} {result.request.option}"
    console.show()
    beside = f"{', '.join(others)} and {diagram}" if others else diagram
    console.show(Text(f"  {where / page}, and {beside} beside it{again}"), soft_wrap=True)


def _expected(found: Counterexample) -> Text:
    text = Text(expected(found))
    if not found.path:
        others = dict.fromkeys(map(brief, found.admissible[1:]))
        return text.append("".join(f"\nor {other}" for other in others))
    return text if _is_said(found) else text.append(f"\n{field_at(found.path)} = {due_at(found)}", "green")


def _given(found: Counterexample) -> Text:
    text = Text(brief(found.last.answer))
    if not found.path or _is_said(found):
        text.stylize("red")
        return text
    return text.append(f"\n{field_at(found.path)} = {given_at(found)}", "red")


def _is_said(found: Counterexample) -> bool:
    """Whether the few words on both answers show what differs: then it is not told again."""
    ours, theirs = brief(found.expected), brief(found.last.answer)
    due, wrong = (str(value_at(each, found.path)) for each in (found.expected, found.last.answer))
    return ours != theirs and not is_fresh(found) and due in ours and wrong in theirs


def _table(result: Result, gap: int) -> Padding:
    table = Table(box=None, padding=(0, gap, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("chapter", no_wrap=True)
    for status in Status:
        # where a terminal is narrow the words of a heading go below each other
        table.add_column(status.value, justify="right", min_width=max(map(len, status.value.split())))
    table.add_column("cells", justify="right", no_wrap=True)
    covered = {each.chapter: each for each in result.coverage}
    for chapter in result.answered:
        sums = result.sums(chapter)
        table.add_row(chapter, *(_figure(sums[status], status) for status in Status), _share(covered.get(chapter)))
    totals = {status: len(result.with_status(status)) for status in Status}
    table.add_row("all", *(_figure(totals[status], status) for status in Status), _share(in_all(result.coverage)), style="bold")
    return _indented(table)


def _figure(count: int, status: Status) -> Text:
    return Text(f"{count:,}", style=STATUS_STYLES.get(status, "")) if count else Text("·", style="dim")


def _share(covered: Coverage | None) -> Text:
    """How many of a hundred cells were exercised: never all of them if one was missed."""
    if covered is None or not covered.reachable:
        return Text("·", style="dim")
    return Text(f"{int(covered.share * 100)} %")


def _sentences(console: Terminal, title: str, judged: Sequence[Judged], style: str) -> None:
    """Requirements with their sentences, and what speaks for the store."""
    if not judged:
        return
    _title(console, title, len(judged))
    table = _pairs(style)
    for each in judged:
        says = Text(each.requirement.says)
        if each.status is Status.differs:
            says.append(f"\nIn {each.departures:,} answers. Admitted: {each.requirement.admits}", style="dim")
        table.add_row(each.requirement.id, says)
    console.show(_indented(table))


def _only_ids(console: Terminal, result: Result) -> None:
    """After a violation what was not reached is no news: the run was cut short."""
    for status in (Status.not_reached, Status.not_declared):
        judged = result.with_status(status)
        if judged:
            _title(console, status.value.capitalize(), len(judged))
            console.show(_indented(Text(", ".join(_runs([each.requirement.id for each in judged])), style="dim")))


def _not_reached(console: Terminal, result: Result) -> None:
    """First what this run missed, with sentences; then what no such run can reach, by reason."""
    judged = result.with_status(Status.not_reached)
    missed = [each for each in judged if each.reason == MISSED]
    unbegun = _not_begun(console, result, missed)
    _sentences(
        console, "Not reached in this run", [each for each in missed if each.requirement.chapter not in unbegun], "yellow"
    )
    beyond = [each for each in judged if each.reason != MISSED]
    _by_reason(console, "Not reached by calls one after the other", [each for each in beyond if not _unseen(each)])
    _by_reason(console, "Not seen through the protocol", [each for each in beyond if _unseen(each)])
    _by_reason(console, "Not declared", result.with_status(Status.not_declared))
    _cells(console, result)


def _not_begun(console: Terminal, result: Result, missed: Sequence[Judged]) -> tuple[str, ...]:
    """Print a line for each chapter that no step was made of, which none of its requirements needs to say; the chapters."""
    unbegun = (*result.unbegun, *(run.chapter for run in result.runs if not run.tally.steps))
    counts = {each: sum(one.requirement.chapter == each for one in missed) for each in unbegun}
    if not any(counts.values()):
        return ()
    _title(console, "Not begun", len(unbegun))
    table = _pairs("yellow")
    for chapter, count in counts.items():
        table.add_row(chapter, f"{count:,} requirements that a run may reach")
    console.show(_indented(table))
    return unbegun


def _cells(console: Terminal, result: Result) -> None:
    """The cells that were not exercised, if they are few; all of them stand in the page of a report."""
    missed = together(in_all(result.coverage).missed)
    if not 0 < len(missed) <= FEW:
        return
    _title(console, "Situations not exercised", len(missed))
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column()
    # one id has room, however long the situation is
    table.add_column(min_width=12)
    for (outcome, met), ids in missed.items():
        table.add_row(f"{outcome}, {met}", Text(", ".join(_runs(ids)), style="dim"))
    console.show(_indented(table))


def _by_reason(console: Terminal, title: str, judged: Sequence[Judged]) -> None:
    if not judged:
        return
    _title(console, title, len(judged))
    reasons: dict[str, list[str]] = {}
    for each in judged:
        reasons.setdefault((each.reason or "").removeprefix(UNSEEN), []).append(each.requirement.id)
    table = _pairs("")
    for reason, ids in reasons.items():
        table.add_row("\n".join(_runs(ids)), Text(reason, style="dim"))
    console.show(_indented(table))


def _runs(ids: Sequence[str]) -> list[str]:
    """Ids that only count on, such as HASH-1 to HASH-5, as one."""
    runs: list[list[str]] = []
    for each in ids:
        if runs and _next(runs[-1][-1]) == each:
            runs[-1].append(each)
        else:
            runs.append([each])
    return [run[0] if len(run) == 1 else f"{run[0]} to {run[-1].rpartition('-')[2]}" for run in runs]


def _next(requirement_id: str) -> str:
    return re.sub(r"\d+$", lambda number: str(int(number[0]) + 1), requirement_id)


def _unseen(judged: Judged) -> bool:
    return (judged.reason or "").startswith(UNSEEN)


def _verdict(console: Terminal, result: Result) -> None:
    console.show()
    for trouble in result.troubles:
        console.show(Text(trouble))
    if result.interrupted:
        console.show(Text(_interrupted(result)))
    if result.interrupted or result.troubles:
        console.show()
    covered = in_all(result.coverage)
    if covered.reachable:
        console.show(Text(f"{covered.in_words} cells exercised", style="dim"))
    figures = f"{result.request.origin}: {result.steps:,} steps in {result.seconds:,.1f} s, {result.rate:,.0f} a second"
    console.show(Text(figures, style="dim"), soft_wrap=True)
    console.show(Text(_fitted(result.request.command, console)), soft_wrap=True)
    conforms = result.verdict is Verdict.conforms
    reached = f", {result.reached:,} of {result.within_reach:,} requirements reached" if conforms else ""
    console.show(Text.assemble((result.verdict.value, VERDICT_STYLES[result.verdict]), f"{reached}  {result.request.backend}"))


def _interrupted(result: Result) -> str:
    where = f" in {result.interrupted_in}, which had not returned" if result.interrupted_in else ""
    left = f" It had not got to {', '.join(result.unbegun)}." if result.unbegun else ""
    return f"The run was interrupted{where}: all figures are partial.{left}"


def _fitted(command: str, console: Terminal) -> str:
    """The command, continued on further lines where a terminal would break it inside a word."""
    if not console.is_terminal or len(command) < console.width:
        return command
    # an option stays with its value
    held = re.sub(r"(--\S+) (?!--)", "\\1\N{NO-BREAK SPACE}", command)
    lines = wrap(held, console.width - 4, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return " \\\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")


def _title(console: Terminal, title: str, count: int) -> None:
    console.show()
    console.show(Text.assemble((title, "bold"), (f"  {count}", "dim")))


def _indented(inner: Table | Text) -> Padding:
    return Padding(inner, (0, 0, 0, 2), expand=False)


def _pairs(style: str = "dim") -> Table:
    """Two columns: a name, and its text."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style=style, min_width=11)
    table.add_column(overflow="fold")
    return table
