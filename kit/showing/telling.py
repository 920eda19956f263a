"""A counterexample in plain words: what was asked, who held what, and why the answer had to be another one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fencepost.model import Refused
from fencepost.spec import ContractBroken
from fencepost.statemachines.checker import Crash, Move, value_at

from .brief import brief, differs, field_at
from .counterexample import Counterexample, is_fresh, made_up
from .lanes import NOBODY, actor
from .rows import FRESH
from .script import MOVED
from .source import Minted, on_one_line

ORDER = "an order of the calls in which each is answered as it was"

LONGEST = 300
"""How many characters of a value are shown; the program has all of them."""


def in_words(found: Counterexample) -> str:
    """One paragraph."""
    who, operation = actor(found.last.call), found.last.call.operation
    asked = f"{operation} was called" if who == NOBODY else f"{who} called {operation}"
    together = f"{found.reason}." if found.is_race else None
    told = (f"{asked} at {found.last.now} ms.", together, found.story, found.claims, *_between(found), _therefore(found))
    return " ".join(each for each in told if each)


def facts(found: Counterexample, chapters: Sequence[str]) -> dict[str, str]:
    """What reports say of a violation besides the two answers, under a word each, where there is something to say."""
    asked = found.requirements[1:]
    told = {
        "differs": differs(found.expected, found.last.answer, found.path),
        "because": f"{found.reason}." if found.is_race else "",
        "lease": found.story or "",
        "claims": found.claims or "",
        "hint": found.hint or "",
        "in question": f"{', '.join(asked)}, which took part in the answer" if asked else "",
        "found": f"at step {found.steps:,}; chapter{'s' * (len(chapters) > 1)} {', '.join(chapters)}",
    }
    return {name: text for name, text in told.items() if text}


def _between(found: Counterexample) -> Iterator[str]:
    """What else was done, and after which call."""
    for number, line in enumerate(found.script):
        for move in (event.action for event in line.moves):
            if isinstance(move, Move) and not move.is_of_process:
                yield f"After call {number} {MOVED[move]}."


def _therefore(found: Counterexample) -> str:
    due, given = expected(found), brief(found.last.answer)
    by = f"By {found.requirements[0]}"
    if _lacks_order(found):
        return f"{by} there had to be {ORDER}: there is none."
    if isinstance(found.last.answer, Crash) and isinstance(found.last.answer.error, ContractBroken):
        return f"{by} the answer had to be: {due}; the one that the store gave breaks the contract of the call."
    if isinstance(found.last.answer, Crash):
        return f"{by} the call had to be answered or refused; the store {given}."
    if isinstance(found.expected, Refused) and not isinstance(found.last.answer, Refused):
        return f"{by} the call had to be {due}; the store let it through and answered: {given}."
    if isinstance(found.last.answer, Refused):
        answer = f"be {due}" if isinstance(found.expected, Refused) else f"answer: {due}"
        return f"{by} the store had to {answer}; it {given} instead."
    if found.path:
        return f"{by} {field_at(found.path)} had to be {due_at(found)}; the store answered {given_at(found)}."
    apart = differs(found.expected, found.last.answer)
    return f"{by} the answer had to be: {due}; the store answered: {given}.{f' Its {apart}.' if apart else ''}"


def _lacks_order(found: Counterexample) -> bool:
    """Whether each of the calls of a race is answered rightly by itself."""
    return found.is_race and found.expected == found.last.answer


def expected(found: Counterexample) -> str:
    """What was expected, in a few words. Which value a store makes up is its own affair."""
    if _lacks_order(found):
        return ORDER
    due = brief(found.expected)
    return FRESH if due in made_up(found) else due


def due_at(found: Counterexample) -> str:
    """What was due in the field that differs."""
    return FRESH if is_fresh(found) else shown_value(value_at(found.expected, found.path))


def given_at(found: Counterexample) -> str:
    """What stands in the field that differs."""
    return shown_value(value_at(found.last.answer, found.path))


def shown_value(value: object) -> str:
    """A value as source, cut to a length."""
    text = on_one_line(Minted().source(value))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
