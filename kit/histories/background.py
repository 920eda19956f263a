"""What came before a call in a history: the calls about the same thing, and whether all that it shows was ever written."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from fencepost.model import Refused
from fencepost.spec import (
    Acquired,
    Json,
    OutputRef,
    PendingTurnInput,
    QueuedWorkBatch,
    QueuedWorkClaim,
    RuntimeCommitResult,
    SessionExecutionLease,
    TurnInputClaim,
)
from fencepost.spec.operations import OPERATIONS, part_of
from fencepost.statemachines.checker import Call, Performed, Violation, session_of, value_at

from ..showing.story import who_held
from .circumstances import commute
from .history import Crashed, Recorded, Strange, read_calls

SHOWN = 8
"""How many calls before the one in question are shown."""


@dataclass(frozen=True)
class Background:
    """The last calls about the same session, runtime, thread or attempt; who held the lease then, in words; and `older`.

    `older` is a sentence on what the answer shows that no call in the history has written.
    """

    calls: tuple[Recorded, ...]
    story: str | None
    older: str | None


def background(path: Path, made: Recorded, violation: Violation) -> Background:
    """Read the history again, up to the call."""
    assert isinstance(made.call, Call)
    near: deque[Recorded] = deque(maxlen=SHOWN)
    leases: deque[Performed] = deque(maxlen=1_000)
    foreign = _texts_not_ours(made, violation)
    is_first = True
    with open(path, "rb") as file:
        file.readline()
        for line, text in _until(made.line, file):
            foreign = {each for each in foreign if each not in text}
            if not isinstance(line.call, Call) or not _same_store(line.call, made.call):
                continue
            is_first = is_first and (_reads(line.call) or not _about_the_same(line.call, made.call))
            if _about_the_same(line.call, made.call):
                near.append(line)
                leases.append(Performed(line.began, line.call, line.outcome))
    leases.append(Performed(made.began, made.call, made.outcome))
    return Background(tuple(near), who_held(leases), _older(made, violation, foreign, is_first=is_first))


def _until(number: int, file: Iterator[bytes]) -> Iterator[tuple[Recorded, str]]:
    """The calls in the lines before this one, each with its text."""
    texts: dict[int, bytes] = {}

    def kept() -> Iterator[bytes]:
        for line, text in enumerate(file, 2):
            if line >= number:
                return
            texts.clear()
            texts[line] = text
            yield text

    for line in read_calls(kept()):
        if isinstance(line, Recorded) and line.line in texts:
            yield line, texts[line.line].decode(errors="replace")


def _same_store(one: Call, other: Call) -> bool:
    return part_of(OPERATIONS[one.operation].chapter) == part_of(OPERATIONS[other.operation].chapter)


def _reads(call: Call) -> bool:
    return OPERATIONS[call.operation].reads


def _about_the_same(one: Call, other: Call) -> bool:
    """Whether both are about one session, or about what neither names one for; an output is of a task, and of who wrote it."""
    is_output = OPERATIONS[one.operation].chapter == OPERATIONS[other.operation].chapter == "output"
    if not is_output and (session_of(one) or session_of(other)):
        return session_of(one) == session_of(other)
    return not commute(one, other) or (_reads(one) and _reads(other))


def _texts_not_ours(made: Recorded, violation: Violation) -> set[str]:
    """The texts that the answer shows, as the history writes them, and that neither the call brought nor our answer has."""
    ours = violation.admissible[0].answer
    assert isinstance(made.call, Call)
    known = {text for value in (ours, *made.call.arguments) for text in _texts(value)}
    return {json.dumps(text) for text in _texts(_not_minted(made.outcome)) if text not in known}


def _not_minted(answer: object) -> object:
    """What an answer shows that the call did not bring into being."""
    match answer:
        case (
            Acquired() | SessionExecutionLease() | RuntimeCommitResult() | PendingTurnInput() | QueuedWorkBatch() | OutputRef()
        ):
            return ()
        case TurnInputClaim(inputs=inputs):
            return inputs
        case QueuedWorkClaim(batches=batches):
            return batches
    return answer


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts([item for name, item in value.items() if name != "message"])
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, Refused):
        yield from _texts(vars(value.error))
    elif isinstance(value, msgspec.Struct):
        yield from _texts([getattr(value, name) for name in value.__struct_fields__])
    elif isinstance(value, Json):
        yield from _texts(value.value())


def _older(made: Recorded, violation: Violation, foreign: set[str], *, is_first: bool) -> str | None:
    """What speaks for a store that was not empty when the recording began."""
    ours, line = violation.admissible[0].answer, f"{made.line:,}"
    # a departure, or no answer at all, tells nothing about what was there
    if isinstance(made.outcome, Crashed | Strange) or any(step.answer == made.outcome for step in violation.admissible):
        return None
    if foreign:
        return f"The answer in line {line} shows {min(foreign)}, which stands in no line before."
    if is_first and not _is_less(made.outcome, ours, violation.path):
        return f"No line before line {line} wrote anything about what it answers."
    return None


def _is_less(given: object, ours: object, path: str) -> bool:
    """Whether the answer tells of less than ours: what was there before cannot be why."""
    if given is None or given == ():
        return True
    there, here = (value_at(ours, path), value_at(given, path)) if path else (ours, given)
    if isinstance(there, int) and isinstance(here, int):
        return here < there
    return isinstance(given, Refused) and given.error.kind.endswith("NotFound")
