"""Every refusal a store may give: one class per kind, with its fields.

Errors are compared by kind and fields; the text is for people (VALUE-5). All of them are `StoreError`s, and nothing
else may leave a public call of a store (VALUE-6).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from uuid import UUID


class StoreError(Exception):
    """A refusal or failure of a store call."""

    @property
    def kind(self) -> str:
        """The name of the kind, as reports and the wire give it."""
        return type(self).__name__

    def __reduce__(self) -> tuple[object, ...]:
        values = tuple(getattr(self, field.name) for field in fields(self)) if is_dataclass(self) else self.args
        return (type(self), values)


@dataclass(eq=False)
class InvalidArgument(StoreError, ValueError):
    """An argument of the wrong type or out of range, found before any effect (VALUE-1, VALUE-2).

    Any two are equal: which argument a store looks at first, and how it words the rest, is its own.
    """

    argument: str
    received: str = ""
    expected: str = ""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InvalidArgument)

    def __hash__(self) -> int:
        return hash(InvalidArgument)

    def __str__(self) -> str:
        return f"{self.argument}: received {self.received}, expected {self.expected}"


@dataclass(eq=False)
class _OfFreeText(StoreError):
    """A refusal that is known by its kind alone: any two of one kind are equal, the text is free."""

    message: str = ""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))

    def __str__(self) -> str:
        return self.message


class Backend(_OfFreeText):
    """The engine under the store failed, or what it holds cannot be decoded."""


class WriteFailed(Backend):
    """A `RuntimeStore` could not write: no session, a receipt that is there, no number left, the engine (RUNTIME-49)."""


class ReadFailed(Backend):
    """A `RuntimeStore` could not read, or not decode what it read (RUNTIME-50)."""


class EventStorageFailure(Backend):
    """An `EventStore` could not write or read, or not decode what it read (EVENT-38)."""


class OutputInternal(Backend):
    """An `OutputStore` could not write or read (OUTPUT-12)."""


class OutputNotFound(_OfFreeText):
    """No record has this id, or none is of this producer; the text says which (OUTPUT-14, OUTPUT-18)."""


@dataclass(eq=True, unsafe_hash=True)
class SessionKeyMismatch(StoreError):
    """The key names another session than the snapshot holds (RUNTIME-41)."""

    expected: UUID
    actual: UUID

    def __str__(self) -> str:
        return f"the session store key is {self.expected}, but the snapshot holds session {self.actual}"


@dataclass(eq=True, unsafe_hash=True)
class AppendToFinishedTurn(StoreError):
    """An event for a turn that is finished (EVENT-8)."""

    thread_id: str
    turn: int

    def __str__(self) -> str:
        return f"cannot append to finished turn {self.turn} of thread {self.thread_id!r}"


@dataclass(eq=True, unsafe_hash=True)
class TurnAlreadyFinished(StoreError):
    """A turn was to be finished a second time (EVENT-15)."""

    thread_id: str
    turn: int

    def __str__(self) -> str:
        return f"turn {self.turn} of thread {self.thread_id!r} is already finished"


@dataclass(eq=True, unsafe_hash=True)
class SessionBindingMismatch(StoreError):
    """A commit for another session than the one whose head the store holds (COMMIT-2)."""

    bound_session_id: str
    attempted_session_id: str

    def __str__(self) -> str:
        return f"this store holds session {self.bound_session_id!r}; it cannot take a commit for {self.attempted_session_id!r}"


@dataclass(eq=True, unsafe_hash=True)
class RuntimeTurnCommitConflict(StoreError):
    """The stamp names another session, or a turn recorded under another hash (COMMIT-3, COMMIT-5)."""

    session_id: str
    turn_id: str

    def __str__(self) -> str:
        return f"turn {self.turn_id!r} of session {self.session_id!r} conflicts with the stamp of this commit"


@dataclass(eq=True, unsafe_hash=True)
class SessionExecutionLeaseExpired(StoreError):
    """The fence is not the live lease of the session (LEASE-29, LEASE-37)."""

    session_id: str

    def __str__(self) -> str:
        return f"the session execution lease of {self.session_id!r} is not held by this fence: claim it again"


@dataclass(eq=True, unsafe_hash=True)
class HeadRevisionConflict(StoreError):
    """The commit expected another head revision than the stored one (COMMIT-9)."""

    expected: int | None
    actual: int

    def __str__(self) -> str:
        return f"expected head revision {self.expected}, the store is at {self.actual}: load the session and try again"


@dataclass(eq=True, unsafe_hash=True)
class QueuedWorkClaimExpired(StoreError):
    """A queued-work completion names work its claim does not hold (COMMIT-11)."""

    session_id: str
    claim_id: str

    def __str__(self) -> str:
        return f"claim {self.claim_id!r} of session {self.session_id!r} does not hold the queued work it completes"


@dataclass(eq=True, unsafe_hash=True)
class TurnInputClaimExpired(StoreError):
    """A turn-input completion names inputs its claim does not hold (COMMIT-12)."""

    session_id: str
    claim_id: str

    def __str__(self) -> str:
        return f"claim {self.claim_id!r} of session {self.session_id!r} does not hold the turn inputs it completes"


@dataclass(eq=True, unsafe_hash=True)
class PendingTurnInputSourceKeyConflict(StoreError):
    """A source key is used again with other content."""

    session_id: str
    source_key: str
    existing_input_id: str

    def __str__(self) -> str:
        return f"source key {self.source_key!r} of session {self.session_id!r} already names input {self.existing_input_id!r}"


@dataclass(eq=True, unsafe_hash=True)
class UnsupportedReadScope(StoreError):
    """The store cannot serve this read scope (READ-18)."""

    scope: object

    def __str__(self) -> str:
        return f"this store cannot read with scope {self.scope!r}"


@dataclass(eq=True, unsafe_hash=True)
class UnsupportedRecordSchemaVersion(StoreError):
    """A stored record was written with another schema version (READ-12)."""

    record_kind: str
    actual: int
    expected: int

    def __str__(self) -> str:
        return f"stored {self.record_kind} has schema version {self.actual}, this store reads {self.expected}"


@dataclass(eq=True, unsafe_hash=True)
class MissingRecordSchemaVersion(StoreError):
    """A stored record carries no schema version (READ-12)."""

    record_kind: str
    expected: int

    def __str__(self) -> str:
        return f"stored {self.record_kind} has no schema version, this store reads {self.expected}"


@dataclass(eq=True, unsafe_hash=True)
class InvalidRecordSchemaVersion(StoreError):
    """A stored record's schema version is no u32 (READ-12)."""

    record_kind: str
    actual: str
    expected: int

    def __str__(self) -> str:
        return f"stored {self.record_kind} has schema version {self.actual}, no number; this store reads {self.expected}"
