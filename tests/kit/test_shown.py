"""Calls that overlapped, whose order only later answers show: no right store is accused, whichever reads show it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import contention
import pytest
from contention import CONTENDED, Worker, laid_over
from fencepost.kit.histories.shown import Place, Shown
from fencepost.kit.histories.trial import judge_history
from fencepost.kit.result import Verdict
from fencepost.spec import AgentEventEnvelope, AgentEventText, Progress
from production import INSTANT, uuid


def history(file: Path, *calls: dict[str, Any]) -> Path:
    """A history of these calls, each with its operation, its arguments, and all else that its line says."""
    lines: list[dict[str, Any]] = [{"format": "fencepost-history/1", "at": 0, "protocols": ["event", "output"]}]
    for call in calls:
        asked = {name: call.pop(name) for name in ("operation", "arguments")}
        lines.append({"at": [1, 1], "by": 1, "call": asked} | call)
    file.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    return file


def event(number: int) -> dict[str, Any]:
    """An event as it stands in a line."""
    return {
        "event_id": str(uuid(number)),
        "sequence": number,
        "timestamp": "2026-01-01T00:00:00Z",
        "type": "text",
        "message_id": "m",
        "text": "hello",
    }


def append(number: int) -> dict[str, Any]:
    """The call that appends this event."""
    arguments = {"thread_id": "t", "turn": 0, "envelope": event(number)}
    return {"operation": "event.append", "arguments": arguments, "answer": None}


def output(number: int) -> dict[str, Any]:
    """A record as it stands in a line, but for its id."""
    progress = {"type": "progress", "stage": str(number), "note": "n"}
    return {"task_id": "t", "attempt": 1, "producer_agent": "ann", "event": progress, "parent_refs": []}


def latest(shown: int) -> tuple[dict[str, Any], ...]:
    """Two outputs that overlap, the second of which ends first, and the latest of their name: the one that is shown."""
    return (
        {"operation": "output.append", "arguments": output(2), "answer": "out-0000000001"},
        {"operation": "output.append", "arguments": output(1), "answer": "out-0000000000", "over": 1},
        {
            "operation": "get_latest_by_name",
            "arguments": {"name": "ann"},
            "answer": output(shown) | {"id": f"out-000000000{shown - 1}"},
        },
    )


def events(*shown: int, over: int = 1) -> tuple[dict[str, Any], ...]:
    """Two events, which overlap or not, the second of which ends first, and those that the thread is shown to have."""
    answer = [event(number) for number in shown]
    read = {"operation": "get_events", "arguments": {"thread_id": "t"}, "answer": answer}
    return (append(2), append(1) | ({"over": over} if over else {}), read)


@pytest.mark.parametrize("shown", [1, 2])
def test_the_latest_output_shows_which_append_came_last(shown: int, tmp_path: Path) -> None:
    """Either may have, though one ended first: both answers are right."""
    assert judge_history(history(tmp_path / "h.jsonl", *latest(shown)), from_empty=True).verdict is Verdict.conforms


@pytest.mark.parametrize("shown", [(1, 2), (2, 1)])
def test_the_events_of_a_thread_show_which_append_came_first(shown: tuple[int, int], tmp_path: Path) -> None:
    """Either may have, though one ended first: both answers are right."""
    assert judge_history(history(tmp_path / "h.jsonl", *events(*shown)), from_empty=True).verdict is Verdict.conforms


@pytest.mark.parametrize("calls", [events(1), events(1, 2, over=0)], ids=["lost", "turned round"])
def test_what_no_order_explains_is_still_a_fault(calls: tuple[dict[str, Any], ...], tmp_path: Path) -> None:
    """An event that is lost, and two that are turned round that did not overlap, break the law at the read."""
    judgement = judge_history(history(tmp_path / "h.jsonl", *calls), from_empty=True)
    assert judgement.made is not None
    assert (judgement.verdict, judgement.made.line) == (Verdict.violates, 4)


def test_a_guess_alone_accuses_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a place is guessed wrong, what nothing explains is held again without the guess."""

    def as_they_ended(shown: Shown, one: Place, other: Place) -> bool:
        return not shown.is_certain and one.during[1] < other.during[1]

    right, wrong = history(tmp_path / "r.jsonl", *events(1, 2)), history(tmp_path / "w.jsonl", *events(1))
    monkeypatch.setattr(Shown, "is_before", as_they_ended)
    assert judge_history(right, from_empty=True).verdict is Verdict.conforms
    assert judge_history(wrong, from_empty=True).verdict is Verdict.violates


@pytest.mark.parametrize("lost", [2, 3])
def test_a_caller_that_went_away_beside_others_leaves_a_doubt(lost: int, tmp_path: Path) -> None:
    """Whether an append took effect that overlapped another is not known, so no read of its thread is wrong for it."""
    file = history(tmp_path / "h.jsonl", *events(1, 2))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    del lines[lost - 1]["answer"]
    lines[lost - 1]["lost"] = "CancelledError"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    judgement = judge_history(file, from_empty=True)
    assert (judgement.verdict, judgement.says) == (
        Verdict.not_evaluated,
        f"What became of the call in line {lost} is not known: its caller went away (CancelledError). "
        "So it cannot be decided whether line 4 is right.",
    )


def test_a_call_that_the_protocol_does_not_know_leaves_a_doubt_from_its_beginning(tmp_path: Path) -> None:
    """What it did may be shown before it has ended, so that is no fault."""
    first, _, read = events(1, 2)
    file = history(tmp_path / "h.jsonl", first, read, append(1) | {"over": 2})
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[3]["call"] = {"operation": "event.append", "foreign": "('t', 0, 'said', 'more')"}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    judgement = judge_history(file, from_empty=True)
    assert (judgement.verdict, judgement.says) == (
        Verdict.not_evaluated,
        "What the call in line 4 did is not known: the protocol has none like it. "
        "So it cannot be decided whether line 3 is right.",
    )


def outputs(number: int, draw: random.Random) -> Worker:
    """Appends outputs of two attempts under two names, and asks for the latest of one; hardly ever lists an attempt."""
    mine = 0
    while True:
        mine += 1
        task, producer = f"t{draw.randrange(2)}", draw.choice(("ann", "ben"))
        if draw.random() < 0.6:
            yield ("output", "append", task, 1, producer, Progress(f"{number}", f"s {mine}"), ())
        elif draw.random() < 0.7:
            yield ("output", "get_latest_by_name", producer)
        elif draw.random() < 0.02:
            yield ("output", "list_for_attempt", task, 1)


def _said(number: int, mine: int, turn: int) -> tuple[Any, ...]:
    said = AgentEventText(message_id="m", text="h")
    return ("event", "append", "t", turn, AgentEventEnvelope(uuid(number << 24 | mine), mine, INSTANT, said))


def read_as_one(number: int, draw: random.Random) -> Worker:
    """Appends events to two turns, and reads them as those of their thread."""
    mine = 0
    while True:
        mine, turn = mine + 1, draw.randrange(2)
        if draw.random() < 0.6:
            yield _said(number, mine, turn)
        elif draw.random() < 0.5:
            yield ("event", "get_events", "t")


def cleared(number: int, draw: random.Random) -> Worker:
    """Appends events to two turns, reads them, finishes a turn, and clears the thread now and then."""
    mine = 0
    while True:
        mine, turn = mine + 1, draw.randrange(2)
        if draw.random() < 0.6:
            yield _said(number, mine, turn)
        elif draw.random() < 0.5:
            yield ("event", "get_turns", "t")
        elif draw.random() < 0.3:
            yield ("event", "clear", "t")
        elif draw.random() < 0.2:
            yield ("event", "finish_turn", "t", turn)


@pytest.mark.parametrize(
    ("worker", "seeds"),
    [(outputs, (*range(30), 38, 50)), (read_as_one, range(30)), (cleared, (*range(20), 62, 145, 224, 384))],
)
def test_what_the_model_did_conforms_whichever_reads_show_it(
    worker: Callable[[int, random.Random], Worker], seeds: range, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Four callers at once on one thread, or on two attempts: for each seed an order that explains all answers is found."""
    monkeypatch.setattr(contention, "WORKERS", 4)
    monkeypatch.setitem(CONTENDED, "shown", worker)
    found = {seed: judge_history(laid_over(tmp_path / f"{seed}.jsonl", "shown", 60, seed), from_empty=True) for seed in seeds}
    assert {seed: each.verdict for seed, each in found.items() if each.verdict is not Verdict.conforms} == {}
