"""The kill table: what catches each mutant of the model, and why some get away.

`python tests/mutants/kill_table.py` plants one of every function and writes `reports/mutants.md`; `--only CHAPTER`, or a part
of a mutant's name, and another number for `--most` plant others, and write nothing unless told where. What is caught is noted,
so that a run that was stopped can go on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

import click
from mutating import FILES, Mutant, mutants
from nets import NETS, PATIENCE_S, WALKS, Catch

REPORT = Path(__file__).parents[2] / "reports" / "mutants.md"
NOT_EXPLAINED = "NOT EXPLAINED"
NOTES = Path(".scratch/mutants.jsonl")
"""What an earlier run has caught: delete it when the model, its lemmas or the scenarios have changed."""

HEADER = ("mutant", "before", "after", *NETS)

MOST = 1
"""Mutants of one function, spread over it."""

ABOUT = f"""\
# Mutants of the model

One small change of one transition at a time, and what catches it: whether what the model is held to would notice if the law
were written down wrongly. The changes are made by rule, wherever in a transition a rule fits: {len(mutants())} in all, of
which {MOST} of each function is planted, from its middle. Functions that only tell why, or admit what other stores do, are
left alone.

* *lemma*: the first lemma of `fencepost prove` that is refuted: a postcondition or a theorem, else an exhaustion.
* *invariant*: the first invariant that fails on short walks of the machines of its chapters, {WALKS.examples} examples of at
  most {WALKS.steps} steps.
* *scenario*: the first file of `tests/scenarios` that the model plays otherwise.

Each net is cast for each mutant. *raises*, and *does not end* within {PATIENCE_S} s of processor time, are caught, too.
"""


class Nets:
    """The processes that cast the nets, one with contracts and one without."""

    def __init__(self) -> None:
        self._processes = {contracts: self._start(contracts) for contracts in ("on", "off")}

    def _start(self, contracts: str) -> subprocess.Popen[str]:
        environment = os.environ | {"FENCEPOST_PROVE": contracts, "PYTHONHASHSEED": "0"}
        command = [sys.executable, str(Path(__file__).with_name("nets.py"))]
        return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def cast(self, name: str, net: str) -> str:
        """What caught the mutant of this name in this net."""
        process = self._processes["on" if net == "confirmed" else "off"]
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([name, net]) + "\n")
        process.stdin.flush()
        said: str = json.loads(process.stdout.readline())
        return said

    def catch(self, mutant: Mutant) -> Catch:
        """What caught the mutant in each net."""
        by_crosshair = mutant.file.startswith("records/") or mutant.file == "lifecycle.py"
        lemma = (by_crosshair and self.cast(mutant.name, "confirmed")) or self.cast(mutant.name, "exhausted")
        return Catch(lemma, self.cast(mutant.name, "invariant"), self.cast(mutant.name, "scenario"))

    def close(self) -> None:
        """End the processes."""
        for process in self._processes.values():
            process.kill()
            # waits for it, and closes its pipes
            process.communicate()


def caught(chosen: Sequence[Mutant], processes: int, notes: Path | None = None) -> Iterator[tuple[Mutant, Catch]]:
    """What came of each, in their order. What a run before has noted as caught is not planted again."""
    local, started, known = threading.local(), [], _noted(notes)

    def one(mutant: Mutant) -> Catch:
        if mutant in known:
            return known[mutant]
        if not hasattr(local, "nets"):
            local.nets = Nets()
            started.append(local.nets)
        catch: Catch = local.nets.catch(mutant)
        if notes is not None:
            said = "  ".join(f"{net}: {each}" for net, each in zip(NETS, catch, strict=True) if each) or "SURVIVES"
            print(f"{mutant.name}  {mutant.before} -> {mutant.after}  {said}", file=sys.stderr, flush=True)
            with notes.open("a", encoding="utf-8") as file:
                file.write(json.dumps([mutant, catch]) + "\n")
        return catch

    try:
        with ThreadPoolExecutor(processes) as threads:
            yield from zip(chosen, threads.map(one, chosen), strict=True)
    finally:
        for nets in started:
            nets.close()


def _noted(notes: Path | None) -> dict[Mutant, Catch]:
    if notes is None or not notes.exists():
        return {}
    lines = map(json.loads, notes.read_text(encoding="utf-8").splitlines())
    return {Mutant(*mutant): Catch(*catch) for mutant, catch in lines if any(catch)}


def control() -> str:
    """What catches the model as it is; the walks and scenarios must not. Its lemmas are what `fencepost prove` proves."""
    nets = Nets()
    try:
        return nets.cast("", "invariant") + nets.cast("", "scenario")
    finally:
        nets.close()


def report_of(catches: Sequence[tuple[Mutant, Catch]]) -> str:
    """The report: the figures, the survivors with their reasons, and a table for each file."""
    held = Counter(net for _, catch in catches for net in NETS if getattr(catch, net))
    alone = Counter(net for _, catch in catches for net in NETS if getattr(catch, net) and sum(map(bool, catch)) == 1)
    killed = sum(catch.is_caught for _, catch in catches)
    survivors = [mutant for mutant, catch in catches if not catch.is_caught]
    articles = {"lemma": "a", "invariant": "an", "scenario": "a"}
    counted = ", ".join(f"{held[net]} by {articles[net]} {net} ({alone[net]} by nothing else)" for net in NETS)
    lines = [ABOUT, f"fencepost {version('fencepost')}: {killed} of {len(catches)} mutants are caught, {counted}."]
    if survivors:
        lines += ["", "## Survivors", "", *_survivors(survivors)]
    for file, of_file in groupby(catches, key=lambda each: each[0].file):
        rows = [_row(*each) for each in of_file]
        lines += ["", f"## model/{file}", "", f"| {' | '.join(HEADER)} |", f"|{'---|' * len(HEADER)}", *rows]
    return "\n".join([*lines, "", "Made by `python tests/mutants/kill_table.py`.", ""])


def _survivors(survivors: Sequence[Mutant]) -> Iterator[str]:
    # imported late: reasons can be written while mutants are planted
    from survivors import reason_of

    reasons: dict[str, list[Mutant]] = {}
    for mutant in survivors:
        reasons.setdefault(reason_of(mutant) or NOT_EXPLAINED, []).append(mutant)
    for reason, found in sorted(reasons.items()):
        yield f"* {reason}"
        for each in found:
            yield f"  * `{each.name}`, line {each.line}: `{each.before}` became `{each.after}`"


def _row(mutant: Mutant, catch: Catch) -> str:
    words = (_cell(f"`{each}`") for each in (mutant.before, mutant.after))
    caught_by = (_cell(each) or "-" for each in catch)
    return f"| {mutant.function}#{mutant.number} | {' | '.join(words)} | {' | '.join(caught_by)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def some_of(only: str | None, most: int) -> list[Mutant]:
    """The mutants that were asked for; of each function at most so many, from its beginning to its end."""
    chosen = []
    for _, group in groupby(mutants(), key=lambda each: (each.file, each.function)):
        found = list(group)
        many = min(most, len(found))
        chosen += [found[(2 * place + 1) * len(found) // (2 * many)] for place in range(many)]
    return [each for each in chosen if only is None or only == each.chapter or only in each.name]


@click.command()
@click.option("--only", help="Plant the mutants of this chapter, or those whose names have this in them.")
@click.option("--most", default=MOST, show_default=True, type=click.IntRange(min=1), help="Plant so many of each function.")
@click.option("--write", "path", type=click.Path(path_type=Path), help="Write the report there.")
@click.option("--notes", type=click.Path(path_type=Path), default=NOTES, show_default=True, help="Goes on from there.")
@click.option("-n", "processes", default=1, show_default=True, help="Cast so many nets at a time.")
def main(only: str | None, most: int, path: Path | None, notes: Path, processes: int) -> None:
    """Plant mutants in the model, print what catches them, and write it to reports/mutants.md if it was all of them."""
    chosen = some_of(only, most)
    if not chosen:
        raise click.BadParameter(f"{only!r} is in no mutant's name; files are {', '.join(FILES)}.")
    notes.parent.mkdir(parents=True, exist_ok=True)
    wrong = control()
    if wrong:
        raise click.ClickException(f"the model as it is is caught: {wrong}")
    catches = [*caught(chosen, processes, notes)]
    report = report_of(catches)
    print(report)
    if path is not None or (only, most) == (None, MOST):
        (path or REPORT).write_text(report, encoding="utf-8")
    sys.exit(NOT_EXPLAINED in report)


if __name__ == "__main__":
    main()
