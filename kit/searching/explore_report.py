"""What a search of the model has found, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import msgspec
from fencepost.spec.catalogue import Requirement, requirements
from fencepost.statemachines.checker import Call
from fencepost.statemachines.explore import Decided, Explored, Figures
from fencepost.statemachines.scope import Bounds, Scope
from fencepost.statemachines.witness import Stepped, witness
from rich.padding import Padding
from rich.text import Text

from fencepost import __version__

from ..console import Terminal
from ..result import Verdict
from ..showing.brief import brief, call_in_words

FORMAT = "fencepost-explored/1"
INDENT = "  "


def verdict_of(found: Explored) -> Verdict:
    """A broken invariant decides; without one, whether the search came to its end."""
    if found.broken:
        return Verdict.violates
    return Verdict.not_evaluated if found.unknown else Verdict.conforms


WORDS = {Verdict.conforms: "exhausted", Verdict.violates: "broken", Verdict.not_evaluated: "unknown"}
STYLES = {Verdict.conforms: "bold green", Verdict.violates: "bold red", Verdict.not_evaluated: "bold yellow"}


def figures_line(figures: Figures) -> str:
    """Where a search stands, in a line."""
    return (
        f"  {figures.states:,} states  {figures.transitions:,} transitions  depth {figures.depth}  "
        f"{figures.rate:,.0f} calls/s  {figures.frontier:,} to go"
    )


def report_explored(console: Terminal, found: Explored, compared: int) -> None:
    """Print what was found; `compared` is how many calls were made on whole states besides."""
    scope, figures = found.search.scope, found.figures
    console.show(Text.assemble((f"fencepost {__version__}", "bold"), f"  explore {scope.chapter}"))
    console.show(Text(in_words(scope), style="dim"))
    console.show()
    for name, says in _facts(found, compared):
        console.show(Text(f"  {name:<13}{says}"), soft_wrap=True)
    if found.broken:
        _broken(console, found)
    else:
        _requirements(console, found)
    console.show()
    verdict = verdict_of(found)
    says = {
        Verdict.conforms: "every state of this scope was searched, and the invariants hold",
        Verdict.violates: f"invariant {next(iter(found.broken), '')} does not hold",
        Verdict.not_evaluated: f"{found.unknown}; what was not reached may be reachable",
    }[verdict]
    console.show(Text.assemble((WORDS[verdict], STYLES[verdict]), f"  {says} ({figures.seconds:,.1f} s)"), soft_wrap=True)


def in_words(scope: Scope) -> str:
    """The bounds that mean something in a scope."""
    said = {name: getattr(scope.bounds, name) for name in scope.uses}
    words = [f"{name} {_number(value)}" for name, value in said.items()]
    return ", ".join(words) or "this scope has no bounds to choose"


def _number(value: int | tuple[int, ...]) -> str:
    return " and ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _facts(found: Explored, compared: int) -> Iterable[tuple[str, str]]:
    figures = found.figures
    alike = " up to names and time" if found.search.reduce else ", no symmetry reduced"
    yield "states", f"{figures.states:,}{alike}"
    yield "transitions", f"{figures.transitions:,}: {figures.calls:,} calls, {figures.moves:,} moves of clock and processes"
    yield "beyond", f"{figures.beyond:,} of the calls lead out of the scope: answered, and not followed"
    yield "depth", f"{figures.depth:,}"
    yield (
        "rate",
        f"{figures.rate:,.0f} calls/s; {figures.asked:,} were made on the model, and the others are equal to one of them",
    )
    if compared:
        yield "checked", f"{compared:,} calls on whole states gave what they gave on parts"


def _requirements(console: Terminal, found: Explored) -> None:
    """How many of the chapter's requirements decided an answer, and which did not."""
    known = of_chapter(found.search.scope.chapter)
    reached = [each for each in known if each.id in found.decided]
    console.show()
    console.show(Text(f"  {len(reached)} of {len(known)} requirements decided a reachable answer"))
    missing = [each.id for each in known if each.id not in found.decided]
    if missing:
        console.show(Padding(Text(f"not in this scope: {', '.join(missing)}", style="dim"), (0, 0, 0, 2)))
    others = sorted(set(found.decided) - {each.id for each in known})
    if others:
        console.show(Padding(Text(f"of other chapters: {', '.join(others)}", style="dim"), (0, 0, 0, 2)))


def of_chapter(chapter: str) -> tuple[Requirement, ...]:
    """The requirements of a chapter that a call could show."""
    # a search makes one call at a time
    alone = (each for each in requirements().values() if each.unreached is None and each.capability != "concurrent-callers")
    return tuple(each for each in alone if each.chapter == chapter)


def _broken(console: Terminal, found: Explored) -> None:
    """The shortest path to each invariant that does not hold."""
    for requirement, where in found.broken.items():
        console.show()
        console.show(Text.assemble(("  " + requirement, "bold red"), (" broken by", "red")))
        _says(console, requirement)
        show_path(console, witness(found.search, where))


def show_witness(console: Terminal, found: Explored, requirement: str) -> bool:
    """Print a shortest path to an answer that the requirement decides; False if there was none."""
    where: Decided | None = found.decided.get(requirement)
    if where is None:
        return False
    console.show()
    console.show(Text.assemble(("  " + requirement, "bold"), " is decided after"))
    _says(console, requirement)
    show_path(console, witness(found.search, where))
    return True


def _says(console: Terminal, requirement: str) -> None:
    says = requirements()[requirement].says if requirement in requirements() else ""
    console.show(Padding(Text(" ".join(says.split()), style="dim"), (0, 0, 0, 2)))


def show_path(console: Terminal, path: Iterable[Stepped]) -> None:
    """Print the steps of a path, each with its instant."""
    for number, step in enumerate(path, 1):
        now, action, answer, _ = step.event
        console.show()
        if not isinstance(action, Call):
            console.show(Text(f"  {number:>3}  at {now} ms: {move_in_words(action.method, action.arguments)}"))
            continue
        console.show(Text(f"  {number:>3}  at {now} ms: {call_in_words(action)}"))
        console.show(Text(f"       {brief(answer)}"))
        console.show(Text(f"       {', '.join(step.because)}", style="dim"))


def move_in_words(method: str, arguments: tuple[object, ...]) -> str:
    """A move of the clock or of a process."""
    process = arguments[0] if arguments else ""
    return {
        "tick": "the clock has come here",
        "start": f"process {process} starts",
        "stop": f"process {process} ends",
        "hide": f"process {process} can no longer be told",
    }[method]


def explored_json(found: Explored) -> bytes:
    """What was found as one JSON document; all that depends on the time it took stands under `timing`."""
    scope, figures = found.search.scope, asdict(found.figures)
    seconds = figures.pop("seconds")
    known = {each.id for each in of_chapter(scope.chapter)}
    document = {
        "format": FORMAT,
        "verdict": WORDS[verdict_of(found)],
        "unknown": found.unknown,
        "chapter": scope.chapter,
        "bounds": {name: getattr(scope.bounds, name) for name in scope.uses},
        "symmetry": found.search.reduce,
        "figures": figures,
        "decided": {each: _path(found, where) for each, where in sorted(found.decided.items())},
        "not_decided": sorted(known - found.decided.keys()),
        "broken": {each: _path(found, where) for each, where in found.broken.items()},
        "cells": sorted(found.cells),
        "timing": {"seconds": round(seconds, 3), "calls_per_second": round(found.figures.rate)},
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _path(found: Explored, where: Decided) -> list[dict[str, object]]:
    return [step_in_words(step) for step in witness(found.search, where)]


def step_in_words(step: Stepped) -> dict[str, object]:
    """A step as data, in words."""
    now, action, answer, _ = step.event
    if not isinstance(action, Call):
        return {"now": now, "move": move_in_words(action.method, action.arguments)}
    return {"now": now, "call": call_in_words(action), "answer": brief(answer), "because": list(step.because)}


def bounds_in_words(bounds: Bounds) -> str:
    """All bounds, for programs that tell scopes apart."""
    return ", ".join(f"{name} {_number(value)}" for name, value in asdict(bounds).items())
