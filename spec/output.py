"""Outputs: an append-only log of what agents produced, found by id, by the producer's latest, or by attempt.

A record never changes and is never removed. The store makes its id and remembers the order of appends, which no id tells. What
an event says is opaque: whether an attempt has ended, and how, is for readers (see `fencepost.model.disciplines`).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeAlias

import icontract

from .contracts import ensures, operation
from .values import U32, U64, Json, Record


class OutputRef(Record, frozen=True):
    """The id of a record, made by the store."""

    value: str


class Inline(Record, frozen=True, tag_field="kind", tag="inline"):
    """Content that stands in the record."""

    value: Json


class FileRef(Record, frozen=True, tag_field="kind", tag="file_ref"):
    """Content in a file, which a store never opens; `size_hint` in bytes."""

    path: str
    mime: str | None = None
    size_hint: U64 | None = None


ContentRef: TypeAlias = Inline | FileRef


class Progress(Record, frozen=True, tag_field="type", tag="progress"):
    """The producer has come to a stage."""

    stage: str
    note: str | None = None


class Partial(Record, frozen=True, tag_field="type", tag="partial"):
    """A piece of what is being produced."""

    chunk: ContentRef


class Artifact(Record, frozen=True, tag_field="type", tag="artifact"):
    """Something produced on the side, under a name."""

    name: str
    content: ContentRef


class Final(Record, frozen=True, tag_field="type", tag="final"):
    """What the attempt has come to; `ok` says whether it was delivered, not whether it is good."""

    content: ContentRef
    ok: bool


OutputEvent: TypeAlias = Progress | Partial | Artifact | Final


class OutputRecord(Record, frozen=True):
    """An appended event, whose it is, and what it was made from."""

    id: OutputRef
    task_id: str
    attempt: U32
    producer_agent: str
    event: OutputEvent
    parent_refs: tuple[OutputRef, ...] = ()


class OutputStore(icontract.DBC):
    """The four calls of the output log."""

    @abstractmethod
    @operation
    def append(
        self, task_id: str, attempt: U32, producer_agent: str, event: OutputEvent, parent_refs: tuple[OutputRef, ...]
    ) -> OutputRef:
        """Record the event under an id of its own, and answer the id. Raises `InvalidArgument`, `OutputInternal`.

        Requirements: OUTPUT-1 to OUTPUT-10.
        """

    @abstractmethod
    @ensures(lambda result, id: result.id == id, "OUTPUT-13")
    @operation
    def get(self, id: OutputRef) -> OutputRecord:
        """The record of this id. Raises `InvalidArgument`, `OutputNotFound`, `OutputInternal`.

        Requirements: OUTPUT-13, OUTPUT-14.
        """

    @abstractmethod
    @ensures(lambda result, name: result.producer_agent == name, "OUTPUT-15")
    @operation
    def get_latest_by_name(self, name: str) -> OutputRecord:
        """The record that this producer appended last, in whichever task and attempt.

        Raises `InvalidArgument`, `OutputNotFound`, `OutputInternal`. Requirements: OUTPUT-15 to OUTPUT-18.
        """

    @abstractmethod
    @ensures(
        lambda result, task_id, attempt: all((each.task_id, each.attempt) == (task_id, attempt) for each in result), "OUTPUT-21"
    )
    @ensures(lambda result: len({each.id for each in result}) == len(result), "OUTPUT-3")
    @operation
    def list_for_attempt(self, task_id: str, attempt: U32) -> tuple[OutputRecord, ...]:
        """All records of the attempt, whoever appended them, in the order of appends; none is no error.

        Raises `InvalidArgument`, `OutputInternal`. Requirements: OUTPUT-21, OUTPUT-22.
        """
