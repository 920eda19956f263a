"""Traces: what stands in them, that they come back as they were, and what is said of files that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fencepost.kit.showing.tagged import Unsayable, said, tagged, untagged
from fencepost.kit.showing.trace import TraceError, read_trace, trace_of
from fencepost.spec import InvalidArgument, Start, TextDelta
from fencepost.statemachines.checker import Call, Crash, Event, Move
from kinds import KINDS, found, request

from fencepost import __version__


def lines_of(kind: str) -> list[dict[str, Any]]:
    """The lines of a trace as data."""
    return [json.loads(line) for line in trace_of(found(kind), request(kind)).splitlines()]


def trace_in(folder: Path, lines: list[Any] | bytes) -> str:
    """The path of a file with these lines."""
    path = folder / "trace.jsonl"
    path.write_bytes(lines if isinstance(lines, bytes) else "".join(f"{json.dumps(line)}\n" for line in lines).encode())
    return str(path)


OWNER = {"owner_id": "a", "incarnation_id": "1", "liveness": {"kind": "opaque"}}
OTHER = {"owner_id": "b", "incarnation_id": "1", "liveness": {"kind": "opaque"}}


def lease(owner: Any, token: str, fence: int, since: int) -> dict[str, Any]:
    """A lease of session s for 10 ms on the wire."""
    times = {"claimed_at_epoch_ms": since, "expires_at_epoch_ms": since + 10}
    return {"session_id": "s", "owner": owner, "lease_token": token, "fencing_token": fence, **times}


def claim(owner: Any) -> dict[str, Any]:
    """A claim of session s for 10 ms on the wire."""
    arguments = {"session_id": "s", "owner": owner, "lease_ttl_ms": 10}
    return {"operation": "try_claim_session_execution_lease", "arguments": arguments}


def test_a_trace_has_what_was_done_and_what_was_admissible() -> None:
    """First what it is of, then each call in the form of the wire with its answer, and last what was due."""
    assert lines_of("takeover") == [
        {
            "format": "fencepost-trace/1",
            "fencepost": __version__,
            "backend": "faulty:LiveAtTheEdge",
            "chapter": "lease",
            "requirements": ["LEASE-6", "LEASE-12", "LEASE-5"],
            "seed": 7,
            "strict": False,
        },
        {"now": 1000, "call": claim(OWNER), "answer": {"outcome": "acquired", "lease": lease(OWNER, "s:1:1000", 1, 1000)}},
        {
            "now": 1010,
            "call": claim(OTHER),
            "answer": {"outcome": "busy", "holder": lease(OWNER, "s:1:1000", 1, 1000)},
            "admissible": [{"answer": {"outcome": "acquired", "lease": lease(OTHER, "s:2:1010", 2, 1010)}}],
            "path": "",
        },
    ]


def test_refusals_crashes_moves_and_invalid_arguments_have_forms_of_their_own() -> None:
    """None of them is lost."""
    assert lines_of("commit")[-1]["admissible"] == [{"error": {"kind": "SessionExecutionLeaseExpired", "session_id": "s"}}]
    assert lines_of("crash")[-1]["crash"] == "OverflowError: int too large to convert"
    assert {"now": 1000, "move": "reopen", "arguments": []} in lines_of("reopened")
    call = lines_of("invalid")[-1]["call"]
    assert call["invalid"] == {"lease_ttl_ms": {"int": "18446744073709551616"}}
    assert list(call["arguments"]) == ["session_id", "owner"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_trace_comes_back_as_it_was(kind: str, tmp_path: Path) -> None:
    """Every instant, call, move and answer, but for what a crash was."""
    read = read_trace(trace_in(tmp_path, trace_of(found(kind), request(kind))))
    script = found(kind).script
    events = [event for line in script for event in (*line.moves, Event(*line.performed))]
    assert [(each.now, each.action) for each in read.events] == [(each.now, each.action) for each in events]
    pairs = [(ours.answer, theirs.answer) for ours, theirs in zip(read.events, events, strict=True)]
    assert all(ours == theirs or (isinstance(ours, Crash) and isinstance(theirs, Crash)) for ours, theirs in pairs)
    assert (read.requirements, read.path, read.seed) == (found(kind).requirements, found(kind).path, 7)


@pytest.mark.parametrize(
    "value",
    [None, True, 5, -(2**70), 1.5, float("inf"), "\ud800", b"\xff", ("a", (1, None)), TextDelta("m", "piece"), Start("th", 1)],
    ids=repr,
)
def test_what_no_signature_admits_comes_back(value: object) -> None:
    """Each value under the name of its type, also after a trip through JSON."""
    back = untagged(json.loads(json.dumps(tagged(value))))
    assert (type(back), back) == (type(value), value)


def test_what_has_no_form_at_all_is_shown_and_not_read() -> None:
    """An object of the caller's own is told by its looks, which nothing is made of again."""
    assert tagged(range(3)) == {"shown": "range(0, 3)"}
    with pytest.raises(InvalidArgument):
        untagged({"shown": "range(0, 3)"})
    with pytest.raises(Unsayable):
        said(b"s", lambda data: data)


HEAD, FIRST, LAST = range(3)


@pytest.mark.parametrize(
    ("place", "change", "sentence"),
    [
        (HEAD, {"format": "fencepost-trace/2"}, r"Line 1 .* the format 'fencepost-trace/2', expected 'fencepost-trace/1'"),
        (HEAD, {"requirements": []}, r"Line 1 .* received \[\], expected .requirements. with at least one id"),
        (HEAD, {"seed": "7"}, r"Line 1 .* received '7' for 'seed', expected an integer"),
        (FIRST, {"now": True}, r"Line 2 .* received True for 'now', expected an integer"),
        (FIRST, {"now": 999}, r"Line 2 .* the instant 999, expected one from 1000 on: the clock never goes backwards"),
        (LAST, {"now": 2**64}, r"Line 3 .* the instant 18446744073709551616"),
        (FIRST, {"call": {"operation": "steal", "arguments": {}}}, "the operation 'steal', expected one of this version"),
        (
            FIRST,
            {"call": claim(OWNER) | {"arguments": {}}},
            r"the arguments \[\], expected just session_id, owner, lease_ttl_ms",
        ),
        (FIRST, {"call": claim("a")}, "arguments of try_claim_session_execution_lease that cannot be read"),
        (FIRST, {"answer": {"outcome": "lost"}}, "an answer of try_claim_session_execution_lease that cannot be read"),
        (FIRST, {"error": {"kind": "Odd"}}, "a call with answer and error, expected one of"),
        (FIRST, {"move": "jump", "arguments": []}, r"received 'jump\(\[\]\)', expected start\(pid, start stamp\)"),
        (FIRST, {"move": "stop", "arguments": ["1"]}, "expected start"),
        (LAST, {"path": None}, "received None for 'path', expected a text"),
    ],
)
def test_a_line_that_is_wrong_is_named(place: int, change: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    """By its number, with what was received and what was expected."""
    lines = lines_of("takeover")
    lines[place] |= change
    with pytest.raises(TraceError, match=sentence):
        read_trace(trace_in(tmp_path, lines))


@pytest.mark.parametrize(
    ("kept", "sentence"),
    [
        (0, "Line 1 .* received nothing, expected a JSON object"),
        (30, r"Line 1 .*: the line is torn, or no JSON"),
        (-1, "Line 3 .* the end of the file, expected a last event"),
        (-40, "Line 3 .*: the line is torn, or no JSON"),
    ],
)
def test_a_torn_file_is_said_to_be_torn(kept: int, sentence: str, tmp_path: Path) -> None:
    """Wherever it was cut."""
    whole = trace_of(found("takeover"), request("takeover"))
    with pytest.raises(TraceError, match=sentence):
        read_trace(trace_in(tmp_path, whole[:kept]))


def test_a_file_that_ends_before_its_last_event_is_not_whole(tmp_path: Path) -> None:
    """Whole lines are not enough."""
    with pytest.raises(TraceError, match=r'Line 3 .* the end of the file, expected a last event with "admissible"'):
        read_trace(trace_in(tmp_path, lines_of("takeover")[:2]))


@pytest.mark.parametrize(("content", "sentence"), [(b"\xff\n", "is no UTF-8 at byte 0"), (b"[]\n", "expected a JSON object")])
def test_what_is_no_trace_at_all_is_told(content: bytes, sentence: str, tmp_path: Path) -> None:
    """Bytes, other JSON, and a file that is not there."""
    with pytest.raises(TraceError, match=sentence):
        read_trace(trace_in(tmp_path, content))
    with pytest.raises(TraceError, match="cannot be read: No such file"):
        read_trace(str(tmp_path / "nowhere"))
    with pytest.raises(TraceError, match="cannot be read: Is a directory"):
        read_trace(str(tmp_path))


def test_a_move_is_read_as_it_was_made(tmp_path: Path) -> None:
    """With the pid and the stamp."""
    head, *events = lines_of("takeover")
    move = {"now": 1000, "move": "start", "arguments": [10, "tick"]}
    read = read_trace(trace_in(tmp_path, [head, move, *events]))
    assert read.events[0] == Event(1000, Move("start", (10, "tick")))
    assert isinstance(read.events[1].action, Call)
