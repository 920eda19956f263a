"""A counterexample as a sequence diagram in Mermaid, for the comment of an issue."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import wrap

from fencepost.model import Refused
from fencepost.statemachines.checker import Crash, Move, Performed
from fencepost.statemachines.environment import BEGINNING

from .brief import brief, call_in_words, field_at
from .counterexample import Counterexample
from .lanes import actor, actors, bars
from .script import MOVED
from .telling import expected

LONGEST = 110
"""How many characters of a call or an answer are shown."""

WIDTH = 60
"""Where the lines of a note are broken."""


def mermaid(found: Counterexample) -> str:
    """The diagram: the actors and the store, a note for each move of the clock, the wrong answer in a frame."""
    return "\n".join(("sequenceDiagram", *(f"    {line}" for line in _lines(found)))) + "\n"


def _lines(found: Counterexample) -> Iterator[str]:
    names = {each: f"a{number}" for number, each in enumerate(actors(found.performed), 1)}
    yield from (f"participant {short} as {escaped(name)}" for name, short in names.items())
    yield "participant store"
    everybody = f"{next(iter(names.values()))},store"
    ends = {bar.until: bar for bar in bars(found.performed[:-1])}
    now = BEGINNING + found.ahead
    for line in found.script:
        for move in line.moves:
            yield _note("store", _moved(move.action))
        if line.performed.now != now:
            now = line.performed.now
            expired = f": {ends[now].what} of {ends[now].lane} expires" if now in ends else ""
            yield _note(everybody, f"{now} ms{expired}")
        if line.performed is not found.last:
            yield from _exchange(names[actor(line.performed.call)], line.performed)
    yield "rect rgba(207, 34, 46, 0.14)"
    yield from _exchange(names[actor(found.last.call)], found.last)
    yield _note(everybody, f"{found.requirements[0]}: {found.says}")
    yield _note(everybody, f"expected: {_short(expected(found))}")
    if found.path:
        yield _note(everybody, f"differs in {field_at(found.path)}")
    yield "end"


def _exchange(short: str, performed: Performed) -> Iterator[str]:
    yield f"{short}->>store: {escaped(_short(call_in_words(performed.call)))}"
    # a cross for what was refused or raised
    arrow = "--x" if isinstance(performed.answer, Refused | Crash) else "-->>"
    yield f"store{arrow}{short}: {escaped(_short(brief(performed.answer)))}"


def _moved(move: object) -> str:
    assert isinstance(move, Move)  # as a script has them
    return f"process {move.arguments[0]}: {move.method}" if move.is_of_process else MOVED[move]


def _note(over: str, text: str) -> str:
    return f"Note over {over}: {'<br/>'.join(map(escaped, wrap(text, WIDTH)))}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def escaped(text: str) -> str:
    """The text with everything that means something to Mermaid as the code of its character, and `end` as no keyword."""
    plain = re.sub(r"[^\w .,/'()=…·-]|_(?=_)", lambda found: f"#{ord(found[0])};", text) or "#8203;"
    return re.sub(r"\bend\b", "#101;nd", plain, flags=re.IGNORECASE)
