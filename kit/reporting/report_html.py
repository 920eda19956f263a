"""The report as one page without a network: the verdict, each requirement as a cell, what failed, and what to know of each."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from html import escape

from fencepost import __version__

from ..coverage import SEARCHED_BY, Coverage, in_all, together
from ..planted import PROVED_BY, proof
from ..result import Judged, Result, Status
from ..showing.brief import brief, call_in_words
from ..showing.counterexample import Counterexample
from ..showing.file_names import FOLDER, names
from ..showing.html_page import html_page
from ..showing.telling import expected, facts
from .report import distinct

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #667085; --paper: #fff; --line: #e2e6ea; --panel: #f6f8fa;
  --passed: #2da44e; --failed: #cf222e; --differs: #bf8700; --unreached: #c3c9d0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --faint: #98a2b3; --paper: #12151a; --line: #2b313a;
  --panel: #1a1f26; --unreached: #4a525e; } }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); }
main { max-width: 62rem; margin: 0 auto; padding: 2.5rem 1.5rem 5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 2.6rem 0 .8rem; }
.verdict { font-weight: 600; } .conforms { color: var(--passed); } .violates { color: var(--failed); }
.could { color: var(--differs); } .faint { color: var(--faint); }
code, pre { font: 13px/1.5 ui-monospace, Menlo, Consolas, monospace; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 1rem; overflow-x: auto; }
pre.command { white-space: pre-wrap; }
.matrix { display: grid; grid-template-columns: 8rem 1fr; gap: .5rem 1rem; align-items: start; }
.cells { display: flex; flex-wrap: wrap; gap: 3px; padding-top: .25rem; }
.cells a { width: 14px; height: 14px; border-radius: 3px; background: var(--unreached); }
.cells a:hover, .cells a:focus { outline: 2px solid var(--ink); }
a.passed, .key.passed { background: var(--passed); } a.failed, .key.failed { background: var(--failed); }
a.differs, .key.differs { background: var(--differs); } a.undeclared, .key.undeclared { background: transparent;
  box-shadow: inset 0 0 0 1px var(--unreached); }
.key { display: inline-block; width: 12px; height: 12px; border-radius: 3px; background: var(--unreached);
  margin: 0 .35rem 0 0; }
.legend span { margin-right: 1.2rem; }
.violation { border: 1px solid var(--line); border-left: 4px solid var(--failed); border-radius: 8px; padding: 0 1.2rem 1rem;
  margin-bottom: 1.4rem; }
dl { display: grid; grid-template-columns: 7rem 1fr; gap: .3rem 1rem; } dt { color: var(--faint); } dd { margin: 0;
  overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top;
  padding: .45rem .8rem .45rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--faint); font-weight: 500; } td.number { text-align: right;
  font-variant-numeric: tabular-nums; } tr:target { background: var(--panel); } td code { white-space: nowrap; }
summary { cursor: pointer; } li { margin: .2rem 0; } ul { padding-left: 1.1rem; } li code { white-space: normal; }
"""

CLASSES = {Status.passed: "passed", Status.failed: "failed", Status.differs: "differs", Status.not_declared: "undeclared"}
"""How a status is coloured; what is not here is not reached."""


def page(result: Result) -> str:
    """The whole page."""
    parts = "\n".join(
        (_head(result), _matrix(result), *_violations(result), *_coverage(result), _requirements(result), _foot(result))
    )
    title = f"{result.request.backend} {result.verdict.value}"
    return html_page(title, STYLE, parts)


def _head(result: Result) -> str:
    kind = result.verdict.value.split()[0]
    troubles = "".join(f"<p>{escape(each)}</p>" for each in result.troubles)
    reached = f"{result.reached:,} of {result.within_reach:,} requirements reached"
    figures = f"{reached} · {result.steps:,} steps in {result.seconds:,.1f} s"
    return f"""<h1><span class="verdict {kind}">{escape(result.verdict.value)}</span></h1>
<p><code>{escape(result.request.backend)}</code><br><span class="faint">{figures} · {escape(result.request.origin)}</span></p>
{troubles}<pre class="command">{escape(result.request.command)}</pre>"""


def _matrix(result: Result) -> str:
    rows = "\n".join(
        f'<div>{escape(chapter)}</div><div class="cells">{"".join(map(_cell, result.of_chapter(chapter)))}</div>'
        for chapter in result.answered
    )
    keys = "".join(f'<span><i class="key {CLASSES.get(each, "")}"></i>{each.value}</span>' for each in Status)
    return f'<h2>Requirements by chapter</h2><div class="matrix">{rows}</div><p class="legend faint">{keys}</p>'


def _cell(judged: Judged) -> str:
    told = f"{judged.requirement.id}, {judged.status.value}: {judged.requirement.says}"
    kind = CLASSES.get(judged.status, "")
    return f'<a class="{kind}" href="#{judged.requirement.id}" title="{escape(told)}" aria-label="{escape(told)}"></a>'


def _violations(result: Result) -> Iterator[str]:
    found = distinct(result.counterexamples)
    if found:
        yield "<h2>Violations</h2>"
    for each, chapters in found:
        yield _violation(each, chapters)


def _violation(found: Counterexample, chapters: list[str]) -> str:
    told = {
        "called": f"{call_in_words(found.last.call)} at {found.last.now} ms",
        "expected": " or ".join(dict.fromkeys([expected(found), *map(brief, found.admissible[1:])])),
        "given": brief(found.last.answer),
        **facts(found, chapters),
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in told.items())
    head = f"<h3>{escape(found.requirements[0])} violated</h3><p>{escape(found.says)}</p>"
    links = " · ".join(f'<a href="{FOLDER}/{name}">{name}</a>' for name in names(found.chapter, is_race=found.is_race).values())
    beside = f'<p class="faint">Step by step, and as other files: {links}</p>'
    return f'<div class="violation">{head}<dl>{rows}</dl>{beside}<pre>{escape(found.shown)}</pre></div>'


def _coverage(result: Result) -> Iterator[str]:
    """For each chapter the share of its cells that was exercised, and those that were not."""
    if not result.coverage:
        return
    yield f"""<h2>Cells by chapter</h2>
<p class="faint">A cell is a requirement that decided an answer, the call with the kind of its answer, and the state that the
call met. How many there are was found by a search of small scopes: <code>{SEARCHED_BY}</code></p>"""
    rows = "\n".join(map(_covered, (*result.coverage, in_all(result.coverage))))
    head = "<tr><th>chapter</th><th>exercised</th><th></th><th>never exercised</th></tr>"
    yield f'<table class="coverage">{head}\n{rows}\n</table>'


def _covered(covered: Coverage) -> str:
    share = f'<meter value="{covered.exercised}" max="{covered.reachable}">{covered.share:.0%}</meter>'
    cells = f'<td>{escape(covered.chapter)}</td><td class="number">{covered.in_words}</td><td>{share}</td>'
    if not covered.missed or covered.chapter == "all":
        return f"<tr>{cells}<td>{len(covered.missed) or ''}</td></tr>"
    listed = "".join(
        f"<li><code>{escape(outcome)}</code>, {escape(met)}: {escape(', '.join(ids))}</li>"
        for (outcome, met), ids in together(covered.missed).items()
    )
    return f"<tr>{cells}<td><details><summary>{len(covered.missed)}</summary><ul>{listed}</ul></details></td></tr>"


def _requirements(result: Result) -> str:
    rows = "\n".join(map(_row, result.judged))
    return f"""<h2>What each requirement says</h2>
<table><tr><th>id</th><th>level</th><th>status</th><th>answers</th><th></th></tr>
{rows}
</table>"""


def _row(judged: Judged) -> str:
    requirement = judged.requirement
    says = escape(requirement.says)
    beside = judged.reason if judged.status is not Status.passed else None
    if beside:
        says += f'<br><span class="faint">{_with_code(beside)}</span>'
    key = f'<i class="key {CLASSES.get(judged.status, "")}"></i>{judged.status.value}'
    cells = f"<td><code>{requirement.id}</code></td><td>{requirement.level.value}</td><td>{key}</td>"
    return f'<tr id="{requirement.id}">{cells}<td class="number">{judged.count:,}</td><td>{says}</td></tr>'


def _with_code(text: str) -> str:
    """A sentence in which code stands between backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _foot(result: Result) -> str:
    where = f"fencepost {__version__}, Python {platform.python_version()}, {platform.platform()}"
    return f'<p class="faint">{escape(where)}</p>{_proof()}'


def _proof() -> str:
    told = proof()
    return f'<p class="faint">{escape(told)}: <code>{PROVED_BY}</code></p>' if told else ""
