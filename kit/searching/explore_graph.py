"""The graph of a search as a file: its states, and which calls lead from one to the other."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from typing import NamedTuple

from fencepost.statemachines.explore import Explored, Search, World
from fencepost.statemachines.witness import Stepped, steps_from

from .explore_report import in_words, step_in_words

MOST = 1_000
"""More states than this nobody looks at."""


class TooLarge(Exception):
    """The graph has more states than a file should hold: the text is a sentence for the caller."""


class Edge(NamedTuple):
    """What leads from one state to another, or leaves it as it is: a call or a move, in words."""

    before: int
    after: int
    says: dict[str, object]


class Graph(NamedTuple):
    """States in words, in the order in which they were met, and the edges between them."""

    title: str
    states: list[str]
    edges: list[Edge]


def drawn(found: Explored, suffix: str) -> bytes:
    """The graph in the format of this suffix. Raises `TooLarge`."""
    count = len(found.search.parents)
    if count > MOST:
        bounds = ", ".join(f"--{each}" for each in found.search.scope.uses)
        raise TooLarge(f"the graph has {count:,} states, expected at most {MOST:,} for --graph: choose smaller {bounds}.")
    return GRAPHS[suffix](graph_of(found)).encode()


def graph_of(found: Explored) -> Graph:
    """The graph that was searched. Where symmetry is reduced an edge leads to the state that stands for its end."""
    search = found.search
    numbers = {world: number for number, world in enumerate(search.parents)}
    edges = []
    for world, number in list(numbers.items()):
        for step, after in steps_from(search, world):
            standing = after if after is None or after in numbers else search.standing_for(after)
            if standing in numbers:
                edges.append(Edge(number, numbers[standing], _says(step)))
    states = [_in_words(search, world) for world in numbers]
    return Graph(f"{search.scope.chapter}: {in_words(search.scope)}", states, edges)


def _says(step: Stepped) -> dict[str, object]:
    """The step without its instant, which is that of the state."""
    return {name: value for name, value in step_in_words(step).items() if name != "now"}


def _in_words(search: Search, world: World) -> str:
    instant, parts = search.instant_of(world), search.parts_of(world)
    table = [f"process {pid}: {alive.value}" for pid, alive in enumerate(instant.table, 1)]
    described = [search.scope.described(part, place, instant.now) for place, part in enumerate(parts)]
    return "; ".join([f"{instant.now} ms", *table, *described])


def as_json(graph: Graph) -> str:
    """States, and edges by the numbers of their ends."""
    return json.dumps({"title": graph.title, "states": graph.states, "edges": [_edge(each) for each in graph.edges]}, indent=1)


def _edge(edge: Edge) -> dict[str, object]:
    return {"from": edge.before, "to": edge.after, **edge.says}


def as_dot(graph: Graph) -> str:
    """For Graphviz: one arrow for all calls from one state to another; what changes nothing is left out."""
    arrows: dict[tuple[int, int], list[str]] = {}
    for before, after, says in graph.edges:
        if before != after:
            arrows.setdefault((before, after), []).append(str(says.get("call") or says["move"]))
    lines = [f"  {number} [label={_quoted(says)}];" for number, says in enumerate(graph.states)]
    for (before, after), calls in arrows.items():
        label = calls[0] + (f" and {len(calls) - 1} more" if len(calls) > 1 else "")
        lines.append(f"  {before} -> {after} [label={_quoted(label)}];")
    return "\n".join([f"digraph {_quoted(graph.title)} {{", "  node [shape=box];", *lines, "}", ""])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def as_html(graph: Graph) -> str:
    """A page to walk the graph: a state, every call in it, the answer, why, and a link to the state that follows."""
    data = as_json(graph).replace("<", "\\u003c")
    return PAGE.replace("TITLE", html.escape(graph.title)).replace("DATA", data)


PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>TITLE</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
li { margin: .3rem 0; } h2 { font-size: 1.1rem; } .why { color: #666; } a { text-decoration: none; }
details { margin: .5rem 0; } summary { cursor: pointer; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #ddd; } a { color: #8cf; } .why { color: #999; } }
</style>
<h1>TITLE</h1>
<p><a href="#0">back to the beginning</a></p>
<main></main>
<script>
const graph = DATA;
const out = graph.states.map(() => []);
for (const edge of graph.edges) out[edge.from].push(edge);
function line(edge) {
  const item = document.createElement("li");
  item.append(edge.call || edge.move, " ");
  if (edge.answer) item.append("→ " + edge.answer + " ");
  if (edge.to !== edge.from) {
    const link = document.createElement("a");
    link.href = "#" + edge.to;
    link.textContent = "state " + edge.to;
    item.append(link, " ");
  }
  const why = document.createElement("span");
  why.className = "why";
  why.textContent = (edge.because || []).join(", ");
  item.append(why);
  return item;
}
function list(title, edges, open) {
  const block = document.createElement("details"), head = document.createElement("summary");
  const items = document.createElement("ul");
  block.open = open;
  head.textContent = title + " (" + edges.length + ")";
  items.append(...edges.map(line));
  block.append(head, items);
  return block;
}
function show() {
  const number = Number(location.hash.slice(1)) || 0, head = document.createElement("h2");
  head.textContent = "State " + number + " of " + graph.states.length + ": " + graph.states[number];
  const away = out[number].filter(edge => edge.to !== number), here = out[number].filter(edge => edge.to === number);
  document.querySelector("main").replaceChildren(head, list("leads on", away, true), list("changes nothing", here, false));
}
addEventListener("hashchange", show);
show();
</script>
</html>
"""

GRAPHS: dict[str, Callable[[Graph], str]] = {".json": as_json, ".dot": as_dot, ".html": as_html}
"""The formats of a graph, by how a file ends."""
