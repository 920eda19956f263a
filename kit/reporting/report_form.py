"""The form of the report for programs, `fencepost-report/1`, and its JSON Schema."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from fencepost.spec.catalogue import Level

from ..planted import Planted
from ..result import Status, Verdict

FORMAT: Final = "fencepost-report/1"
"""Raised with every change that a reader of earlier reports could stumble over; what is added is none."""

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Id: TypeAlias = Annotated[str, msgspec.Meta(description="The id of a requirement, such as LEASE-6.")]


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """What a call raised that is no refusal."""

    type: str
    text: str


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a call, or was due: one of an answer, a refusal with its kind and fields, and what was raised."""

    answered: Any = msgspec.UNSET
    refused: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    raised: Raised | msgspec.UnsetType = msgspec.UNSET


Answer: TypeAlias = Annotated[Answered, msgspec.Meta(extra_json_schema={"minProperties": 1, "maxProperties": 1})]


class Performed(msgspec.Struct, frozen=True, kw_only=True):
    """A call: the clock's time in ms, and the arguments in the order of the abstract method."""

    now: int
    operation: str
    arguments: tuple[Any, ...]
    answer: Answer


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """A counterexample: the first requirement failed, the others took part in the answer."""

    chapter: str
    requirements: Annotated[tuple[Id, ...], msgspec.Meta(min_length=1)]
    reason: str
    path: Annotated[str, msgspec.Meta(description="The field that was wrong; empty if the answer was of the wrong kind.")]
    expected: Answer
    also_admitted: tuple[Answer, ...]
    given: Answer
    performed: tuple[Performed, ...]
    lease: str | None
    claims: str | None
    program: str
    reproduces: bool
    steps: Count


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a requirement: how many answers it decided, and how many departed from it."""

    id: Id
    chapter: str
    level: Level
    verdict: Status
    count: Count
    departures: Count
    reason: str | None
    in_question: bool


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The run of a chapter: steps, calls, examples, and how often each call and each situation came up."""

    chapter: str
    steps: Count
    calls: Count
    examples: Count
    operations: dict[str, Count]
    conditions: dict[str, Count]
    violation: bool
    trouble: str | None


class Proof(Planted, frozen=True, kw_only=True):
    """The hunt for planted faults that was made with this version of the kit, and the command that repeats it."""

    command: str


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """All that depends on the time a run took."""

    seconds: float
    steps_per_second: float
    chapters: dict[str, float]


class MissedCell(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement, the call with the kind of its answer, and the class of the state before, which no call of the run met."""

    requirement: str
    outcome: str
    state: str


class Covered(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has exercised of the cells that can be reached in the small scope of a chapter."""

    reachable: Count
    exercised: Count
    missed: tuple[MissedCell, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a run of `fencepost verify` found."""

    format: Literal["fencepost-report/1"]
    verdict: Verdict
    interrupted: bool
    troubles: Annotated[
        tuple[str, ...], msgspec.Meta(description="What kept the run, or chapters of it, from being evaluated.")
    ]
    backend: str
    seed: Count
    examples: Count
    steps: Count
    chapters: tuple[str, ...]
    strict: bool
    suite: str | None
    command: Annotated[str, msgspec.Meta(description="Repeats the run.")]
    sums: Annotated[dict[str, dict[str, Count]], msgspec.Meta(description="By chapter, how many requirements ended how.")]
    coverage: Annotated[dict[str, Covered], msgspec.Meta(description="By chapter.")]
    requirements: tuple[Judgement, ...]
    runs: tuple[Run, ...]
    violations: tuple[Violation, ...]
    planted: Proof | None
    environment: dict[str, str]
    timing: Timing


def schema() -> dict[str, Any]:
    """The JSON Schema of a report."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": FORMAT}
    return {**head, **msgspec.json.schema(Report)}
