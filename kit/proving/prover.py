"""The process that settles lemmas: it reads one job a line, and writes what came of it as a line of JSON.

It is started by `prove`, with the contracts of the record transitions in force for CrossHair, and without them for exhaustions.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
from fencepost.model.proofs import EXHAUSTIONS, Exhaustion, lemmas, transition_of

from .prove_diff import both_versions
from .proved import Finding, Outcome


class Job(msgspec.Struct, frozen=True):
    """Which lemma to settle, in how many seconds; `place` is that of a postcondition, none for an exhaustion.

    With a file `against`, the lemma is that the transition of this name is the same there.
    """

    name: str
    place: int | None
    budget: float
    against: str = ""


def settle(job: Job) -> Finding:
    """What can be said of the lemma in its budget."""
    return exhausted(EXHAUSTIONS[job.name], job.budget) if job.place is None else confirm(job)


def confirm(job: Job) -> Finding:
    """What CrossHair says of a postcondition: along with all others of its transition if all hold, else of it alone."""
    if job.against:
        return _checked(both_versions(job.against, job.name), job.budget, 0)
    transition = transition_of(job.name)
    many = len(transition.__postconditions__)
    if many > 1 and (at_once := together(job.name, job.budget)).outcome is Outcome.confirmed:
        return msgspec.structs.replace(at_once, seconds=at_once.seconds / many)
    return _checked(transition, job.budget, job.place or 0)


@functools.cache
def together(name: str, budget: float) -> Finding:
    """What CrossHair says of all postconditions of a transition at once: the paths take the time, and are the same for each."""
    return _checked(transition_of(name), budget, None)


def _checked(transition: Any, budget: float, place: int | None) -> Finding:
    """What CrossHair says of the postcondition at this place, or without one of all of them as one."""
    from crosshair.core_and_libs import MessageType, analyze_function, run_checkables
    from crosshair.options import AnalysisKind, AnalysisOptionSet

    stats: Counter[str] = Counter()
    options = AnalysisOptionSet(
        analysis_kind=(AnalysisKind.icontract,), per_condition_timeout=budget, report_all=True, stats=stats
    )
    began = time.process_time()
    # of a transition with several postconditions CrossHair makes as many things to check, in their order
    checkables = analyze_function(transition, options)
    checkable = _all_of(checkables) if place is None else checkables[place]
    said = {message.state: message.message for message in run_checkables([checkable])}
    seconds, paths = time.process_time() - began, stats["num_paths"]
    for state in (MessageType.POST_FAIL, MessageType.POST_ERR, MessageType.EXEC_ERR):
        if state in said:
            return Finding(Outcome.refuted, paths, seconds, readable(said[state]))
    if said.keys() == {MessageType.CONFIRMED}:
        return Finding(Outcome.confirmed, paths, seconds)
    if MessageType.PRE_UNSAT in said:
        return Finding(Outcome.undecided, paths, seconds, "no input was found that meets its preconditions")
    if said.keys() == {MessageType.CANNOT_CONFIRM}:
        return Finding(Outcome.undecided, paths, seconds)
    return Finding(Outcome.unevaluable, paths, seconds, "; ".join(said.values()) or "CrossHair said nothing")


def _all_of(checkables: list[Any]) -> Any:
    """One thing to check whose postcondition is that each of these holds."""
    first, conditions = checkables[0], [each.conditions.post[0] for each in checkables]

    def hold(values: Mapping[str, object]) -> bool:
        return all(each.evaluate(values) for each in conditions)

    every = dataclasses.replace(conditions[0], evaluate=hold)
    return dataclasses.replace(first, conditions=dataclasses.replace(first.conditions, post=[every]))


def readable(said: str) -> str:
    """CrossHair's counterexample without the modules of its values, and without the name of what compares two versions."""
    plain = re.sub(r"\bfencepost(?:\.\w+)*\.(\w+)(?:\[[\w, ]+\])?\(", r"\1(", said)
    return re.sub(r'^"def .*?" yields false when', "they differ when", plain)


def exhausted(lemma: Exhaustion, budget: float) -> Finding:
    """Whether the lemma holds of every case, each tried."""
    began = time.process_time()
    tried = 0
    for case in lemma.cases():
        if time.process_time() - began > budget:
            return Finding(Outcome.undecided, tried, time.process_time() - began)
        tried += 1
        wrong = _wrong(lemma, case)
        if wrong:
            return Finding(Outcome.refuted, tried, time.process_time() - began, wrong)
    seconds = time.process_time() - began
    if not tried:
        return Finding(Outcome.unevaluable, 0, seconds, "there was no case to try")
    return Finding(Outcome.exhausted, tried, seconds)


def _wrong(lemma: Exhaustion, case: tuple[Any, ...]) -> str:
    """How the lemma fails of the case; empty if it holds."""
    call = f"{lemma.holds.__name__}({', '.join(map(repr, case))})"
    try:
        return "" if lemma.holds(*case) else f"false of {call}"
    except Exception as error:
        return f"{type(error).__name__}: {error}, of {call}"


def main() -> None:
    """Serve until there are no more lines. The first line written is the list of all postconditions."""
    out, sys.stdout = sys.stdout, sys.stderr
    out.write(msgspec.json.encode(lemmas()).decode() + "\n")
    out.flush()
    for line in sys.stdin:
        try:
            finding = settle(msgspec.json.decode(line, type=Job))
        except Exception as error:
            finding = Finding(Outcome.unevaluable, detail=f"{type(error).__name__}: {error}")
        out.write(msgspec.json.encode(finding).decode() + "\n")
        out.flush()


if __name__ == "__main__":
    main()
