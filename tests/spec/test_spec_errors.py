"""Errors: equal by kind and fields, never by text; picklable; each a StoreError with a sentence for people."""

from __future__ import annotations

import copy
import pickle
from uuid import UUID

import pytest
from fencepost.spec import (
    AppendToFinishedTurn,
    Backend,
    ContractBroken,
    FullGraph,
    HeadRevisionConflict,
    InvalidArgument,
    InvalidRecordSchemaVersion,
    MissingRecordSchemaVersion,
    OutputInternal,
    OutputNotFound,
    PendingTurnInputSourceKeyConflict,
    QueuedWorkClaimExpired,
    ReadFailed,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
    SessionExecutionLeaseExpired,
    SessionKeyMismatch,
    StoreError,
    TurnAlreadyFinished,
    TurnInputClaimExpired,
    UnsupportedReadScope,
    UnsupportedRecordSchemaVersion,
    WriteFailed,
)
from fencepost.spec.lease import TtlTooSmall

ERRORS: tuple[StoreError, ...] = (
    InvalidArgument("argument", "received", "expected"),
    Backend("disk full"),
    SessionBindingMismatch("s", "s2"),
    RuntimeTurnCommitConflict("s", "turn-1"),
    SessionExecutionLeaseExpired("s"),
    HeadRevisionConflict(None, 3),
    HeadRevisionConflict(2, 3),
    QueuedWorkClaimExpired("s", "claim"),
    TurnInputClaimExpired("s", "claim"),
    PendingTurnInputSourceKeyConflict("s", "key", "input"),
    UnsupportedReadScope(FullGraph()),
    UnsupportedRecordSchemaVersion("head", 2, 1),
    MissingRecordSchemaVersion("head", 1),
    InvalidRecordSchemaVersion("head", "one", 1),
    TtlTooSmall("ttl_ms", "0", "1 ms"),
    HeadRevisionConflict(actual=3, expected=2),
    Backend(message="disk full"),
    WriteFailed("disk full"),
    ReadFailed("disk full"),
    OutputInternal("disk full"),
    OutputNotFound("out-0000000001"),
    SessionKeyMismatch(UUID(int=1), UUID(int=2)),
    AppendToFinishedTurn("th", 3),
    TurnAlreadyFinished("th", 2**64 - 1),
)

KINDS = {
    "AppendToFinishedTurn",
    "Backend",
    "EventStorageFailure",
    "HeadRevisionConflict",
    "InvalidArgument",
    "InvalidRecordSchemaVersion",
    "MissingRecordSchemaVersion",
    "OutputInternal",
    "OutputNotFound",
    "PendingTurnInputSourceKeyConflict",
    "QueuedWorkClaimExpired",
    "ReadFailed",
    "RenewIntervalTooSmall",
    "RuntimeTurnCommitConflict",
    "SessionBindingMismatch",
    "SessionExecutionLeaseExpired",
    "SessionKeyMismatch",
    "TtlRenewRatioTooSmall",
    "TtlTooSmall",
    "TurnAlreadyFinished",
    "TurnInputClaimExpired",
    "UnsupportedReadScope",
    "UnsupportedRecordSchemaVersion",
    "WriteFailed",
}


def kinds_below(kind: type[StoreError]) -> set[type[StoreError]]:
    """All kinds derived from this one."""
    return {found for each in kind.__subclasses__() for found in ({each} | kinds_below(each))}


def test_the_kinds_of_refusal_are_the_protocol_s() -> None:
    """No kind is missing, and the law adds none."""
    kinds = {kind.__name__ for kind in kinds_below(StoreError) if kind.__module__.startswith("fencepost.spec")}
    assert {kind for kind in kinds if not kind.startswith("_")} == KINDS


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_value_5_equal_fields_make_equal_errors(error: StoreError) -> None:
    """A copy by any road is the same refusal, of the same kind, and hashes equal."""
    for again in (copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert again == error
        assert again is not error
        assert type(again) is type(error)
        assert hash(again) == hash(error)
        assert str(again) == str(error)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (SessionBindingMismatch("s", "s2"), SessionBindingMismatch("s2", "s")),
        (RuntimeTurnCommitConflict("s", "turn-1"), RuntimeTurnCommitConflict("s", "turn-2")),
        (SessionExecutionLeaseExpired("s"), SessionExecutionLeaseExpired("s2")),
        (HeadRevisionConflict(None, 3), HeadRevisionConflict(0, 3)),
        (HeadRevisionConflict(2, 3), HeadRevisionConflict(2, 4)),
        (QueuedWorkClaimExpired("s", "claim"), TurnInputClaimExpired("s", "claim")),
        (RuntimeTurnCommitConflict("s", "claim"), TurnInputClaimExpired("s", "claim")),
        (UnsupportedReadScope(FullGraph()), UnsupportedReadScope(None)),
        (UnsupportedRecordSchemaVersion("head", 2, 1), UnsupportedRecordSchemaVersion("head", 3, 1)),
        (InvalidArgument("a", "b", "c"), Backend("a")),
        (Backend(""), SessionExecutionLeaseExpired("")),
        (Backend("a"), WriteFailed("a")),
        (Backend("a"), OutputInternal("a")),
        (WriteFailed("a"), ReadFailed("a")),
        (OutputInternal("a"), OutputNotFound("a")),
        (SessionKeyMismatch(UUID(int=1), UUID(int=2)), SessionKeyMismatch(UUID(int=2), UUID(int=1))),
        (AppendToFinishedTurn("th", 3), AppendToFinishedTurn("th", 4)),
        (AppendToFinishedTurn("th", 3), TurnAlreadyFinished("th", 3)),
    ],
)
def test_value_5_another_kind_or_field_is_another_error(one: StoreError, other: StoreError) -> None:
    """Kinds with the same fields differ, and so does every field."""
    assert one != other
    assert other != one


def test_value_5_the_text_of_some_errors_is_free() -> None:
    """Any two refusals of an argument, and any two failures of an engine, are the same."""
    assert InvalidArgument("session_id", "1", "text") == InvalidArgument("owner", "None", "an owner")
    assert Backend("disk full") == Backend("UNIQUE constraint failed")
    assert WriteFailed("disk full") == WriteFailed("no session")
    assert OutputNotFound("out-0000000001") == OutputNotFound("agent")
    assert len({Backend("a"), Backend("b"), InvalidArgument("a"), InvalidArgument("b")}) == 2
    assert len({Backend("a"), WriteFailed("a"), ReadFailed("a"), OutputInternal("a"), OutputNotFound("a")}) == 5


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_value_6_every_kind_is_a_store_error_with_a_name_and_a_text(error: StoreError) -> None:
    """The kind is the class's name, and the text says more than the fields alone."""
    assert isinstance(error, StoreError)
    assert error.kind == type(error).__name__
    assert str(error)


@pytest.mark.parametrize(
    ("kind", "is_one"), [(WriteFailed, True), (ReadFailed, True), (OutputInternal, True), (OutputNotFound, False)]
)
def test_a_failed_engine_can_be_caught_as_backend(kind: type[StoreError], is_one: bool) -> None:
    """Each protocol names its own failures, all of them are a Backend's; what is only not found is none."""
    assert issubclass(kind, Backend) is is_one


def test_an_invalid_argument_is_a_value_error() -> None:
    """Callers that know nothing of stores catch it as what it is."""
    assert isinstance(InvalidArgument("a"), ValueError)
    assert not isinstance(Backend("a"), ValueError)


def test_a_plain_store_error_is_pickled() -> None:
    """The base class travels between processes too."""
    again = pickle.loads(pickle.dumps(StoreError("text")))
    assert type(again) is StoreError
    assert again.args == ("text",)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (HeadRevisionConflict(2, 3), "expected head revision 2, the store is at 3: load the session and try again"),
        (
            SessionExecutionLeaseExpired("s"),
            "the session execution lease of 's' is not held by this fence: claim it again",
        ),
        (SessionBindingMismatch("s", "s2"), "this store holds session 's'; it cannot take a commit for 's2'"),
        (MissingRecordSchemaVersion("head", 1), "stored head has no schema version, this store reads 1"),
        (AppendToFinishedTurn("th", 3), "cannot append to finished turn 3 of thread 'th'"),
        (TurnAlreadyFinished("th", 3), "turn 3 of thread 'th' is already finished"),
        (
            SessionKeyMismatch(UUID(int=1), UUID(int=2)),
            "the session store key is 00000000-0000-0000-0000-000000000001, but the snapshot holds session "
            "00000000-0000-0000-0000-000000000002",
        ),
        (OutputNotFound("out-0000000001"), "out-0000000001"),
    ],
)
def test_the_text_tells_what_to_do(error: StoreError, text: str) -> None:
    """People read what was found, what was wanted, and the next step."""
    assert str(error) == text


def test_a_broken_contract_is_no_refusal() -> None:
    """It accuses the store: an AssertionError with the ids, which pickles and is never taken for a StoreError."""
    broken = ContractBroken(("LEASE-12", "LEASE-3"), "what was seen")
    again = pickle.loads(pickle.dumps(broken))
    assert not isinstance(broken, StoreError)
    assert (again.requirements, again.text) == (("LEASE-12", "LEASE-3"), "what was seen")
    assert str(again) == "LEASE-12, LEASE-3: what was seen"
