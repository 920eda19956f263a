"""`fencepost explore`: exit codes, what is told, graphs as files, and sentences for mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fencepost.kit.cli import cli
from fencepost.kit.coverage import read_cells
from fencepost.kit.searching import explore_all
from fencepost.model import TRANSITIONS, State, Steps
from fencepost.statemachines.scopes.event import EventScope
from fencepost.statemachines.scopes.lease import RENEW
from fencepost.statemachines.scopes.output import OutputScope
from msgspec.structs import replace

SMALL = ("--owners", "2", "--processes", "1", "--sessions", "1", "--times", "1", "--tokens", "1", "--ttls", "0,1")


def explore(*arguments: str) -> Result:
    """What the command prints, and its exit code."""
    return CliRunner().invoke(cli, ["explore", *SMALL, *arguments], env={"COLUMNS": "120", "NO_COLOR": "1"})


def test_an_exhausted_scope_exits_0() -> None:
    """States, transitions, what was reached and what was not, and the verdict last."""
    result = explore()
    assert result.exit_code == 0
    for told in (
        "\nowners 2, processes 1, sessions 1, times 1, tokens 1, ttls 0 and 1\n",
        "\n  states       30 up to names and time\n",
        " of 43 requirements decided a reachable answer\n",
        "\nexhausted  every state of this scope was searched, and the invariants hold (",
    ):
        assert told in result.stdout, result.stdout


def test_a_witness_is_shown_step_by_step() -> None:
    """The calls with their answers and what decided them."""
    result = explore("--witness", "LEASE-33")
    assert result.exit_code == 0
    *_, path = result.stdout.partition("LEASE-33 is decided after")
    assert '    1  at 1000 ms: try_claim_session_execution_lease("s1", owner-1/1, 0)\n' in path
    assert "    2  at 1000 ms: release_session_execution_lease(fencing token 1 of owner-1/1)\n" in path


def test_a_requirement_out_of_reach_exits_2() -> None:
    """With one process nobody can find another one dead: nothing is claimed about the requirement."""
    result = explore("--witness", "LEASE-17")
    assert result.exit_code == 2
    assert result.stderr == "Error: no answer that LEASE-17 decides was reached.\n"


def test_memory_that_runs_short_exits_2() -> None:
    """An unfinished search is unknown, never exhausted."""
    result = explore("--memory", "1")
    assert result.exit_code == 2
    assert "\nunknown  it took more than 1 MB of memory; what was not reached may be reachable" in result.stdout


def test_a_broken_invariant_exits_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal that forgets the grants breaks what is kept of them: told by a shortest path."""
    right = TRANSITIONS[RENEW]

    def forgetting(state: State, *arguments: Any) -> Steps:
        step, *_ = right(state, *arguments)
        if step.state is state:
            return (step,)
        return (replace(step, state=replace(step.state, lease=replace(step.state.lease, issued=State().lease.issued))),)

    monkeypatch.setitem(TRANSITIONS, RENEW, forgetting)
    result = explore()
    assert result.exit_code == 1
    assert "\n  LEASE-INV-2 broken by\n" in result.stdout
    assert "\n    2  at 1000 ms: renew_session_execution_lease(" in result.stdout
    assert "\nbroken  invariant LEASE-18 does not hold" in result.stdout


def test_what_was_found_as_json() -> None:
    """Figures, paths and cells are data; the report for people goes to standard error."""
    result = explore("--json", "-")
    found = json.loads(result.stdout)
    assert (found["verdict"], found["chapter"], found["symmetry"]) == ("exhausted", "lease", True)
    assert found["bounds"]["ttls"] == [0, 1]
    assert found["figures"]["states"] == 30
    assert [step.get("call") for step in found["decided"]["LEASE-3"]] == [
        'try_claim_session_execution_lease("s1", owner-1/1, 0)'
    ]
    assert ["LEASE-3", "try_claim_session_execution_lease: Acquired", "never leased"] in found["cells"]
    assert "LEASE-17" in found["not_decided"]


@pytest.mark.parametrize(
    ("suffix", "begins", "holds"),
    [
        (".json", "{", '"because"'),
        (".dot", 'digraph "lease: owners 2', "process 1 ends"),
        (".html", "<!doctype html>", "renew_session_execution_lease(fencing token 1 of owner-1/1, 1)"),
    ],
)
def test_graphs(tmp_path: Path, suffix: str, begins: str, holds: str) -> None:
    """The states and calls are written in each of the formats."""
    file = tmp_path / f"graph{suffix}"
    assert explore("--graph", str(file)).exit_code == 0
    text = file.read_text()
    assert text.startswith(begins)
    assert holds in text.replace('\\"', '"')


def test_the_graph_holds_every_call(tmp_path: Path) -> None:
    """As many edges as transitions that stay in the scope, each between states that are there."""
    file = tmp_path / "graph.json"
    figures = json.loads(explore("--graph", str(file), "--json", "-").stdout)["figures"]
    graph = json.loads(file.read_text())
    assert len(graph["edges"]) == figures["calls"] + figures["moves"] - figures["beyond"]
    assert {end for edge in graph["edges"] for end in (edge["from"], edge["to"])} == set(range(len(graph["states"])))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--rows", "3"), "received --rows, expected --owners, --processes, --sessions, --times, --tokens, --ttls"),
        (("--processes", "3"), "received 3 processes, expected at most as many as owners: 2."),
        (("--owners", "7"), "received 7 owners, expected at most 6."),
        (("--times", "70000"), "received times and processes that make 210,003 instants, expected at most 65,535."),
        (("--chapter", "turn_input", "--sessions", "3"), "received 3 sessions, expected at most 2 in turn_input."),
        (("--ttls", "1,x"), "received '1,x', expected durations in ms with commas between them, such as 0,2."),
        (("--graph", "graph.png"), "received --graph graph.png, expected a file that ends in .json, .dot, .html."),
        (("--witness", "LEASE-99"), "there is no requirement 'LEASE-99'."),
    ],
)
def test_mistakes(arguments: tuple[str, ...], says: str) -> None:
    """A mistake is told in a sentence: what was received, and what was expected."""
    result = explore(*arguments)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.replace("│", " ").split())


def test_large_graphs_are_refused(tmp_path: Path) -> None:
    """Nobody looks at that many states, and no file is left behind."""
    file = tmp_path / "graph.html"
    result = explore("--times", "2", "--tokens", "2", "--sessions", "2", "--no-symmetry", "--graph", str(file))
    assert result.exit_code == 2
    assert "expected at most 1,000 for --graph: choose smaller --owners, --" in result.stderr
    assert not file.exists()


def test_all_chapters_in_a_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A line for each default scope, and the cells of all in one file."""

    class Small(OutputScope):
        default = OutputScope.suite

    monkeypatch.setattr(
        explore_all, "SCOPES", {"output": Small, "event": type("Tiny", (EventScope,), {"default": EventScope.suite})}
    )
    file = tmp_path / "cells.json"
    result = CliRunner().invoke(
        cli, ["explore", "--chapter", "all", "--cells", str(file)], env={"COLUMNS": "100", "NO_COLOR": "1"}
    )
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["chapter", "states", "calls", "depth", "cells", "calls/s", "seconds"]
    assert [line.split()[0] for line in lines[1:3]] == ["output", "event"]
    assert lines[1].split()[-1] == "exhausted"
    assert lines[-1].startswith("exhausted  the default scopes of all chapters (")
    assert list(read_cells(file.read_bytes())) == ["output", "event"]


def test_all_chapters_have_their_own_bounds() -> None:
    """What means something for one chapter alone is refused, with the reason."""
    result = CliRunner().invoke(cli, ["explore", "--chapter", "all", "--owners", "2", "--witness", "LEASE-6"])
    assert result.exit_code == 2
    assert "received --chapter all and --witness, --owners, expected one chapter" in " ".join(result.stderr.split())


def test_cells_are_not_written_of_an_unfinished_search(tmp_path: Path) -> None:
    """A file of cells says what can be reached: half of it would say that a run had exercised all."""
    file = tmp_path / "cells.json"
    result = explore("--memory", "1", "--cells", str(file))
    assert result.exit_code == 2
    assert not file.exists()
