"""Histories of eight callers at once on few things: every right one is found right, and a wrong answer is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from contention import CONTENDED, laid_over
from fencepost.kit.histories.trial import judge_history
from fencepost.kit.result import Verdict
from fencepost.spec import Acquired, HeadRevisionConflict
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore
from msgspec.structs import replace

DECIDED = [chapter for chapter in CONTENDED if chapter != "output"]
"""All but outputs: so many appends at once, of few names, that are seldom read, have more orders than are tried."""


def overlaps(file: Path) -> int:
    """How many calls of a history overlapped an earlier one."""
    return sum('"over":' in line for line in file.read_text().splitlines())


@pytest.mark.parametrize("chapter", DECIDED)
@pytest.mark.parametrize("seed", [1, 2])
def test_what_the_model_did_for_eight_callers_conforms(chapter: str, seed: int, tmp_path: Path) -> None:
    """Some order of the calls explains all answers, and it is found, though nearly all calls overlap others."""
    file = laid_over(tmp_path / "history.jsonl", chapter, 240, seed)
    assert overlaps(file) > 180
    judgement = judge_history(file, from_empty=True)
    assert (judgement.verdict, judgement.says, judgement.calls) == (Verdict.conforms, "", 240)


def granted(file: Path) -> list[bool]:
    """Of each commit of a history whether it was granted."""
    lines = [json.loads(line) for line in file.read_text().splitlines()[1:-1]]
    return ["answer" in line for line in lines if line["call"]["operation"] == "commit_runtime_state"]


@pytest.mark.parametrize("seed", [1, 2])
def test_commits_of_eight_callers_are_granted_and_refused(seed: int, tmp_path: Path) -> None:
    """What is laid over each other is no row of refusals alone: a quarter of the commits is granted, and some are not."""
    commits = granted(laid_over(tmp_path / "history.jsonl", "commit", 240, seed))
    assert len(commits) > 25
    assert len(commits) / 4 < sum(commits) < len(commits)


class Bent(ModelStore):
    """The model, which gives one answer otherwise: from the hundredth call on, the first of an operation that fits."""

    def __init__(self, environment: Environment, name: str, bend: Any) -> None:
        super().__init__(environment)
        self._bent = (name, bend)
        self._made = 0

    def _call(self, operation: Any, arguments: tuple[object, ...]) -> object:
        self._made += 1
        answer = super()._call(operation, arguments)
        name, bend = self._bent
        if self._made >= 100 and operation.name == name and bend(answer) not in (None, answer):
            self._bent = ("", None)
            return bend(answer)
        return answer


class Swallowed(ModelStore):
    """The model, which answers a commit of a head that is not the latest any more as it answered the one before."""

    before: object = None

    def _call(self, operation: Any, arguments: tuple[object, ...]) -> object:
        try:
            answer = super()._call(operation, arguments)
        except HeadRevisionConflict:
            if self.before is None:
                raise
            return self.before
        if operation.name == "commit_runtime_state":
            self.before = answer
        return answer


def test_a_stale_commit_among_eight_callers_is_named(tmp_path: Path) -> None:
    """One that is answered as if it had been granted breaks the law: at itself, or at the first read that lacks it."""
    judgement = judge_history(laid_over(tmp_path / "history.jsonl", "commit", 240, 1, Swallowed), from_empty=True)
    assert judgement.made is not None
    assert (judgement.verdict, judgement.made.call.operation) == (Verdict.violates, "commit_runtime_state")


def token_of_before(outcome: Any) -> Any:
    """A lease under the fencing token that the one before had."""
    if not isinstance(outcome, Acquired) or outcome.lease.fencing_token < 2:
        return None
    return Acquired(replace(outcome.lease, fencing_token=outcome.lease.fencing_token - 1))


def turned_round(answer: Any) -> Any:
    """A list that begins with its end."""
    return answer[::-1]


def without_the_first_event(turn: Any) -> Any:
    """A turn whose first event is lost, though it has others."""
    return replace(turn, events=turn.events[1:]) if turn is not None and len(turn.events) > 1 else None


@pytest.mark.parametrize(
    ("chapter", "operation", "bend", "requirement"),
    [
        ("lease", "try_claim_session_execution_lease", token_of_before, "LEASE-2"),
        ("turn_input", "list_pending_turn_inputs", turned_round, "LIST-1"),
        ("queued_work", "list_queued_work", turned_round, "QUEUE-7"),
        ("event", "get_turn", without_the_first_event, "EVENT-21"),
    ],
)
def test_a_wrong_answer_among_eight_callers_is_named(
    chapter: str, operation: str, bend: Any, requirement: str, tmp_path: Path
) -> None:
    """No order of the calls explains it: the first call that cannot be explained is one of the operation that was bent."""
    file = laid_over(tmp_path / "history.jsonl", chapter, 240, 1, lambda environment: Bent(environment, operation, bend))
    judgement = judge_history(file, from_empty=True)
    assert judgement.made is not None
    assert (judgement.verdict, judgement.made.call.operation) == (Verdict.violates, operation)
    assert requirement in judgement.requirements
