"""A counterexample as one page without a network and without a script: who held what when, each step, and the wrong answer."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from html import escape

from fencepost.model import Refused
from fencepost.spec.catalogue import requirements
from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.checker import Crash, Move, Performed
from fencepost.statemachines.environment import BEGINNING

from fencepost import __version__

from ..result import Request
from .brief import brief, call_in_words
from .counterexample import Counterexample, made_up
from .counterexample_css import STYLE
from .file_names import names
from .html_page import html_page
from .lanes import actor, actors, bars
from .moments import Moment, moments
from .rows import Rows, rows_of_answer, rows_of_state, with_fresh
from .script import MOVED, Line
from .source import Group, Labelled, Minted, laid_out, simple
from .telling import expected, in_words
from .timeline import hue, timeline

MOST_ROWS = 40
"""How many unchanged fields of a state, and how many changed ones, a step shows; it says how many more there are."""

MOST_ALIKE = 12
"""More fields than this that do not differ are folded away beside an answer."""

LONGEST = 2_000
"""How many characters of a call's arguments a step shows; the trace has all of them."""


def counterexample_page(found: Counterexample, request: Request) -> str:
    """The whole page."""
    parts = "\n".join(_Page(found, request).parts())
    title = f"{found.requirements[0]} violated by {request.backend}"
    return html_page(title, STYLE, parts)


class _Page:
    def __init__(self, found: Counterexample, request: Request) -> None:
        self.found = found
        self.request = request
        self.made_up = made_up(found)
        self.bars = bars(found.performed)
        self.lanes = actors(found.performed, self.bars)
        self.moments = list(moments(found.script, strict=request.strict, by_time_of_day=found.ahead > 0))

    def parts(self) -> Iterator[str]:
        yield self._head()
        yield f'<div class="story">{escape(in_words(self.found))}</div>'
        yield "<h2>The answer that was due, and the one that was given</h2>"
        yield f'<div class="pair">{"".join(self._answers())}</div>'
        yield self._timeline()
        yield '<h2>Step by step</h2>\n<ol class="steps">'
        yield from self._steps()
        yield "</ol>"
        yield from self._again()
        yield f"<footer>fencepost {__version__} · {escape(self.request.origin)} · chapter {escape(self.found.chapter)}</footer>"

    def _head(self) -> str:
        found = self.found
        level = f'<span class="level">{found.requirement.level.value}</span>' if found.requirement else ""
        count = len(found.performed)
        calls = f"{count} call{'s' * (count > 1)} · first seen at step {found.steps:,}"
        return f"""<h1><span class="id">{escape(found.requirements[0])}</span> violated {level}</h1>
<p class="law">{escape(found.says)}</p>
<p class="faint"><code>{escape(self.request.backend)}</code> · {calls}</p>"""

    def _answers(self) -> Iterator[str]:
        ours = with_fresh(rows_of_answer(self.found.expected), self.made_up)
        theirs = rows_of_answer(self.found.last.answer)
        others = list(dict.fromkeys(map(brief, self.found.admissible[1:])))
        or_else = f'<p class="faint">or {escape("; or ".join(others))}</p>' if others else ""
        yield _answer("expected", "Expected", expected(self.found), ours, theirs, or_else)
        yield _answer("given", "Given", brief(self.found.last.answer), theirs, ours, "")

    def _timeline(self) -> str:
        drawn = timeline(self.found.performed, self.lanes, self.bars)
        known = {"lease": "lease, while it is live", "claim": "claim; dotted once lapsed"}
        keys = [(kind, text) for kind, text in known.items() if any(bar.what == kind for bar in self.bars)]
        keys.append(("band", "the call answered wrongly"))
        legend = "".join(f'<span><i class="{kind}"></i>{text}</span>' for kind, text in keys)
        return f"""<h2>Who {"held what" if self.bars else "called"} when</h2>
<div class="scroll">{drawn}</div>
<p class="legend">{legend}<span>Instants in ms, in order and not to scale</span></p>"""

    def _steps(self) -> Iterator[str]:
        now = BEGINNING + self.found.ahead
        for number, (line, moment) in enumerate(zip(self.found.script, self.moments, strict=True), 1):
            yield self._step(number, line, moment, now)
            now = line.performed.now

    def _step(self, number: int, line: Line, moment: Moment, before: int) -> str:
        performed, is_last = line.performed, number == len(self.found.script)
        lane = actor(performed.call)
        moved = '<li><div class="number"></div><p class="between">{}</p></li>\n'
        between = "".join(moved.format(escape(text)) for text in self._between(line, before))
        refused = " refused" * isinstance(performed.answer, Refused | Crash)
        due = f'<p class="faint">expected: {escape(expected(self.found))}</p>' if is_last else ""
        ids = self.found.requirements if is_last else moment.because
        return f"""{between}<li id="step-{number}" class="{hue(self.lanes, lane)}{" wrong" * is_last}">
<div class="number"><b>{number}</b></div><div class="step">
<span class="when mono faint">{simple(performed.now)} ms</span><p class="who">{escape(lane)}</p>
<p class="what">{escape(call_in_words(performed.call))}</p><p class="gave{refused}">{escape(brief(performed.answer))}</p>{due}
{_rules(ids)}<details><summary>the call in full</summary><pre>{escape(_in_full(performed))}</pre></details>
{_state(moment, is_last=is_last, made_up=self.made_up)}
</div></li>"""

    def _between(self, line: Line, before: int) -> Iterator[str]:
        """What happened since the call before: the clock, what ended by it, processes, and the store opened again."""
        now = line.performed.now
        if now != before:
            ended = [bar for bar in self.bars if bar.ended is None and before < bar.until <= now]
            told = "; ".join(f"{bar.what} of {bar.lane} expired at {bar.until}" for bar in ended)
            yield f"the clock moves from {simple(before)} to {simple(now)} ms{f': {told}' if told else ''}"
        for move in line.moves:
            assert isinstance(move.action, Move)  # as a script has them
            yield _moved(move.action)

    def _again(self) -> Iterator[str]:
        chapter = self.found.chapter
        says = {
            "test": "a test that fails while the fault is there",
            "trace": f"the trace, for fencepost replay {chapter}.jsonl {self.request.option}",
            "diagram": "a sequence diagram, to be pasted into the comment of an issue",
        }
        files = [(name, says[kind]) for kind, name in names(chapter, is_race=self.found.is_race).items() if kind in says]
        listed = "".join(f'<li><a href="{name}"><code>{name}</code></a>: {escape(text)}</li>' for name, text in files)
        yield f'<h2>See it fail</h2>\n<p>Beside this page:</p><ul class="plain">{listed}</ul>'
        if not self.found.reproduces:
            yield f"<p>{escape(self.found.heading)}</p>"
        what, text = ("the calls", self.found.program) if self.found.is_race else ("the test", self.found.test)
        yield f"<details><summary>{what}</summary><pre>{escape(text)}</pre></details>"
        yield "<h2>The requirements that decided</h2>"
        if self.found.requirements[1:]:
            others = ", ".join(map(_link, self.found.requirements[1:]))
            yield f"<p>{others} took part in the answer that was wrong, and may be at fault too.</p>"
        cited = dict.fromkeys([*self.found.requirements, *(each for moment in self.moments for each in moment.because)])
        yield f"<dl>{''.join(map(_rule, cited))}</dl>"


def _answer(kind: str, title: str, in_brief: str, rows: Rows, others: Rows, beside: str) -> str:
    # answers of two kinds have fields of their own: what differs is the kind
    of_one_kind = rows[""] == others[""] or len(rows) == len(others) == 1
    differing = {path for path in (*rows, *others) if rows.get(path) != others.get(path)} if of_one_kind else {""}
    alike = [path for path in rows if path not in differing]
    shown = [path for path in rows if path in differing or len(alike) <= MOST_ALIKE]
    table = _table(rows, shown, differing)
    if len(alike) > MOST_ALIKE:
        rest = f"{len(alike)} {'fields that do not differ' if of_one_kind else 'fields'}"
        table += f"<details><summary>{rest}</summary>{_table(rows, alike[:MOST_ROWS], ())}{_more(len(alike))}</details>"
    head = f"<h3>{title}</h3><p>{escape(in_brief)}</p>{beside}"
    return f'<div class="answer {kind}">{head}{table}</div>'


def _field(path: str) -> str:
    """The name of a field, which may be broken between its words only, where it is too long for its column."""
    return re.sub(r"([._])(?=\w)", r"\1<wbr>", escape(path))


def _table(rows: Rows, shown: Sequence[str], differing: Collection[str]) -> str:
    cells = "".join(
        f'<tr class="{"differs" if path in differing else "same"}"><td>{_field(path) or "kind"}</td>'
        f"<td>{escape(rows[path])}</td></tr>"
        for path in shown
    )
    return f"<table>{cells}</table>" if cells else ""


def _rules(ids: Sequence[str]) -> str:
    if not ids:
        return ""
    return f'<p class="faint">decided by {", ".join(map(_link, dict.fromkeys(ids)))}</p>'


def _link(requirement_id: str) -> str:
    return f'<a href="#{escape(requirement_id)}">{escape(requirement_id)}</a>'


def _rule(requirement_id: str) -> str:
    known = requirements().get(requirement_id)
    says = f'<span class="faint">{known.level.value}</span> {escape(known.says)}' if known else "In no catalogue."
    return f'<dt id="{escape(requirement_id)}">{escape(requirement_id)}</dt><dd>{says}</dd>'


def _in_full(performed: Performed) -> str:
    """The call with all its arguments, and its answer, as source."""
    operation = OPERATIONS[performed.call.operation]
    items = tuple(
        Labelled(name, _built(value)) for (name, _), value in zip(operation.parameters, performed.call.arguments, strict=True)
    )
    text = laid_out(Group(operation.method_name, items))
    return text if len(text) <= LONGEST else text[:LONGEST] + "\n… the trace has the rest"


def _built(value: object) -> Group | Labelled | str:
    minted = Minted()
    source = minted.source(value)
    # owners stand for themselves: there is no line above that names them
    for owner, name in minted.owners.items():
        source = _instead(source, name, minted.record(owner))
    return source


def _instead(source: Group | Labelled | str, name: str, value: Group | Labelled | str) -> Group | Labelled | str:
    if isinstance(source, Group):
        return Group(source.head, tuple(_instead(item, name, value) for item in source.items))
    if isinstance(source, Labelled):
        return Labelled(source.name, _instead(source.value, name, value))
    return value if source == name else source


def _state(moment: Moment, *, is_last: bool, made_up: Collection[str]) -> str:
    before, after = rows_of_state(moment.before), with_fresh(rows_of_state(moment.after), made_up)
    changed = [path for path in dict.fromkeys((*before, *after)) if before.get(path) != after.get(path)]
    same = [path for path in after if path not in changed]
    would = "the state that the right answer leads to" if is_last else "the state"
    if not changed:
        told = f'<p class="faint">{would[0].upper()}{would[1:]} is the same as before.</p>'
    else:
        rows = "".join(_changed(path, before, after) for path in changed[:MOST_ROWS])
        head = "<tr><th>field</th><th>before</th><th>after</th></tr>"
        fields = f"{len(changed)} field{'s' * (len(changed) > 1)}"
        more = _more(len(changed))
        opened = " open" if is_last or len(changed) <= 8 else ""
        told = f"<details{opened}><summary>{would}: {fields} changed</summary><table>{head}{rows}</table>{more}</details>"
    if same:
        rows = "".join(f"<tr><td>{_field(path)}</td><td>{escape(after[path])}</td></tr>" for path in same[:MOST_ROWS])
        told += f"<details><summary>{len(same)} unchanged</summary><table>{rows}</table>{_more(len(same))}</details>"
    return told


def _changed(path: str, before: Rows, after: Rows) -> str:
    cells = (escape(rows[path]) if path in rows else '<span class="none">&ndash;</span>' for rows in (before, after))
    return f'<tr class="changed"><td>{_field(path)}</td><td>{next(cells)}</td><td>{next(cells)}</td></tr>'


def _more(count: int) -> str:
    return f'<p class="faint">… and {count - MOST_ROWS} more</p>' if count > MOST_ROWS else ""


def _moved(move: Move) -> str:
    if not move.is_of_process:
        return MOVED[move]
    match move.method:
        case "start":
            return f"process {move.arguments[0]} starts, stamped {move.arguments[1]}"
        case "stop":
            return f"process {move.arguments[0]} ends"
    return f"process {move.arguments[0]} cannot be told from now on"
