"""Records: which fields they admit, what the refusals say, and that nobody can change them."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from fencepost.spec import (
    U64_MAX,
    Acquired,
    ActivePath,
    AgentFrameRecord,
    Append,
    Busy,
    Child,
    EventPayload,
    FullGraph,
    HydratedSessionCheckpoint,
    InvalidArgument,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    Opaque,
    PersistedSessionConfig,
    PersistedTurnState,
    QueuedWorkCompletion,
    ReplaceFull,
    Root,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionCheckpoint,
    SessionExecutionLease,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseFence,
    SessionGraph,
    SessionMeta,
    SessionNodeRecord,
    TokenLedgerEntry,
    TokenUsage,
    ToolState,
    Unchanged,
    saturating_add,
)
from fencepost.spec.lease import LeaseTimings, RenewIntervalTooSmall, TtlRenewRatioTooSmall, TtlTooSmall
from fencepost.spec.values import Record, check_for
from msgspec.structs import replace

SURROGATE = "\ud800"


def nested(levels: int) -> object:
    """A list in a list in a list, that many of them."""
    value: object = []
    for _ in range(levels - 1):
        value = [value]
    return value


OWNER = LeaseOwnerIdentity("a", "1", LocalProcess("host", "boot", 10, "tick-1"))
LEASE = SessionExecutionLease("s", OWNER, "token", 1, 2, 3)
CONFIG = PersistedSessionConfig("p", Json(1))
NODE = SessionNodeRecord("n1", None, EventPayload(Json(1)))


def u64(value: Any) -> object:
    """A record with this in a field of type u64."""
    return SessionExecutionLease("s", OWNER, "token", value, 2, 3)


def u32(value: Any) -> object:
    """A record with this in a field of type u32."""
    return LocalProcess("host", "boot", value, "tick-1")


def i64(value: Any) -> object:
    """A record with this in a field of type i64."""
    return TokenUsage(value)


def optional_u64(value: Any) -> object:
    """A record with this in an optional field of type u64."""
    return RuntimeCommit(session_id="s", config=CONFIG, expected_head_revision=value)


@pytest.mark.parametrize(
    ("record", "least", "most"),
    [(u64, 0, 2**64 - 1), (u32, 0, 2**32 - 1), (i64, -(2**63), 2**63 - 1), (optional_u64, 0, 2**64 - 1)],
)
def test_value_1_and_3_a_number_field_has_both_its_ends(record: Any, least: int, most: int) -> None:
    """The least and the most are taken; one less and one more are not."""
    record(least)
    record(most)
    for beyond in (least - 1, most + 1):
        with pytest.raises(InvalidArgument):
            record(beyond)


@pytest.mark.parametrize("record", [u64, u32, i64, optional_u64])
@pytest.mark.parametrize("value", [True, False, 1.0, "1", b"1", [1], (1,), Json(1), float("nan"), 1j])
def test_value_1_what_is_no_integer_is_refused(record: Any, value: object) -> None:
    """A boolean is no integer, a float is none, and digits are none."""
    with pytest.raises(InvalidArgument):
        record(value)


def test_none_is_no_number_but_for_an_optional_one() -> None:
    """An optional number may be absent, any other may not."""
    optional_u64(None)
    for record in (u64, u32, i64):
        with pytest.raises(InvalidArgument):
            record(None)


COMMIT = {"session_id": "s", "config": CONFIG}

WRONG: tuple[tuple[Any, tuple[Any, ...], dict[str, Any]], ...] = (
    (LeaseOwnerIdentity, (SURROGATE, "1"), {}),
    (LeaseOwnerIdentity, ("a", b"1"), {}),
    (LeaseOwnerIdentity, ("a", None), {}),
    (LeaseOwnerIdentity, ("a", "1", None), {}),
    (LeaseOwnerIdentity, ("a", "1", Root()), {}),
    (LocalProcess, ("host", "boot", 1, "tick \udc80"), {}),
    (SessionExecutionLease, ("s", "a", "token", 1, 2, 3), {}),
    (Acquired, (LEASE.fence(),), {}),
    (Busy, (None,), {}),
    (ActivePath, (1,), {}),
    (AgentFrameRecord, ("f", {"plain": "data"}), {}),
    (SessionNodeRecord, ("n", None, Json(1)), {}),
    (SessionNodeRecord, ("n", None, EventPayload(Json(1))), {"caused_by": {"call": 1}}),
    (SessionGraph, ([NODE],), {}),
    (SessionGraph, ((NODE, None),), {}),
    (Append, ([NODE], "n1"), {}),
    (Append, ((), SURROGATE), {}),
    (ReplaceFull, (Append(),), {}),
    (TokenLedgerEntry, ("s", "m", 5), {}),
    (PersistedTurnState, (), {"token_usage": None}),
    (ToolState, (1, None), {}),
    (HydratedSessionCheckpoint, (), {"execution_state": "text"}),
    (HydratedSessionCheckpoint, (), {"execution_state": bytearray(b"x")}),
    (HydratedSessionCheckpoint, (), {"tool_state": Json(1)}),
    (QueuedWorkCompletion, ("s", "c", "t", ["batch"]), {}),
    (QueuedWorkCompletion, ("s", "c", "t", ("batch", SURROGATE)), {}),
    (QueuedWorkCompletion, ("s", "c", "t", "batch"), {}),
    (SessionMeta, ("s", "n", "", "m"), {"relation": None}),
    (SessionMeta, ("s", "n", "", "m"), {"relation": Opaque()}),
    (Child, ("s", "caused"), {}),
    (RuntimeCommit, (), COMMIT | {"config": None}),
    (RuntimeCommit, (), COMMIT | {"graph": SessionGraph()}),
    (RuntimeCommit, (), COMMIT | {"session_execution_lease": LEASE}),
    (RuntimeCommit, (), COMMIT | {"session_execution_lease": LEASE.completion()}),
    (RuntimeCommit, (), COMMIT | {"release_session_execution_lease": LEASE.fence()}),
    (RuntimeCommit, (), COMMIT | {"usage_deltas": []}),
    (RuntimeCommit, (), COMMIT | {"committed_attachment_ids": (1,)}),
)


@pytest.mark.parametrize(("record", "fields", "named"), WRONG)
def test_value_1_and_2_a_record_of_wrong_parts_cannot_be_built(record: Any, fields: Any, named: Any) -> None:
    """Wrong types, lists for tuples, lone surrogates, neighbours of the right type: all InvalidArgument, however deep."""
    with pytest.raises(InvalidArgument):
        record(*fields, **named)


def test_value_1_the_refusal_names_argument_value_and_range() -> None:
    """The three fields and the text of the error say what stood where, and what could have."""
    with pytest.raises(InvalidArgument) as refusal:
        LocalProcess("host", "boot", -1, "tick-1")
    assert refusal.value.argument == "LocalProcess.pid"
    assert refusal.value.received == "-1"
    assert refusal.value.expected == "an integer from 0 to 4294967295 (u32)"
    assert str(refusal.value) == "LocalProcess.pid: received -1, expected an integer from 0 to 4294967295 (u32)"


@pytest.mark.parametrize(
    ("record", "value", "text"),
    [
        (u64, 2**64, "an integer from 0 to 18446744073709551615 (u64)"),
        (i64, 2**63, "an integer from -9223372036854775808 to 9223372036854775807 (i64)"),
        (optional_u64, -1, "an integer from 0 to 18446744073709551615 (u64) or None"),
        (ActivePath, SURROGATE, "text that UTF-8 can carry or None"),
        (SessionGraph, [], "a tuple, each item SessionNodeRecord"),
        (Acquired, None, "SessionExecutionLease"),
    ],
)
def test_value_1_the_refusal_says_what_the_field_takes(record: Any, value: object, text: str) -> None:
    """Each kind of field has its words."""
    with pytest.raises(InvalidArgument) as refusal:
        record(value)
    assert refusal.value.expected == text


class Unshowable:
    """A value whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


@pytest.mark.parametrize(
    ("value", "received"),
    [
        (10**5_000, "a value of type int"),
        (nested(100_000), "a value of type list"),
        (Unshowable(), "a value of type Unshowable"),
        ("x" * 1_000, "'" + "x" * 199 + " …"),
    ],
    ids=["5,000 digits", "endless nesting", "no repr", "long text"],
)
def test_value_6_a_refusal_does_not_fail_on_what_it_shows(value: Any, received: str) -> None:
    """A value that cannot be written, or only at length, is shown by its type, or cut short."""
    with pytest.raises(InvalidArgument) as refusal:
        u64(value)
    assert refusal.value.received == received


def test_value_4_records_are_frozen() -> None:
    """No field of a record can be set, deleted or added."""
    record: Any = LEASE
    with pytest.raises(AttributeError):
        record.fencing_token = 9
    with pytest.raises(AttributeError):
        record.other = 9
    with pytest.raises(AttributeError):
        del record.fencing_token
    assert SessionExecutionLease("s", OWNER, "token", 1, 2, 3) == LEASE


def test_value_4_a_field_can_only_hold_what_cannot_change() -> None:
    """There is no check, and so no record, with a field of lists, dictionaries or any object."""
    for annotation in (list, list[str], dict[str, int], set, object, Any):
        with pytest.raises(TypeError, match="no check for values annotated"):
            check_for(annotation)


def test_value_1_a_changed_copy_is_checked_too() -> None:
    """`replace` refuses what the constructor refuses."""
    with pytest.raises(InvalidArgument):
        replace(LEASE, fencing_token=-1)


def test_records_of_one_class_are_equal_by_their_fields() -> None:
    """Equal fields make equal records, which hash equal; another class with the same fields is another value."""
    assert LEASE.fence() == SessionExecutionLeaseFence("s", OWNER, "token", 1)
    assert hash(LEASE.fence()) == hash(SessionExecutionLeaseFence("s", OWNER, "token", 1))
    assert LEASE.completion() == SessionExecutionLeaseCompletion("s", OWNER, "token", 1)
    assert len({LEASE.fence(), LEASE.completion()}) == 2
    assert len({Unchanged("n1"), Append((), "n1"), Append((), "n1")}) == 2


def test_lease_13_an_incarnation_is_owner_and_incarnation_id() -> None:
    """Liveness takes no part in who somebody is."""
    assert OWNER.incarnation == ("a", "1")
    assert OWNER.incarnation == LeaseOwnerIdentity("a", "1").incarnation
    assert LeaseOwnerIdentity("a", "1").liveness == Opaque()


@pytest.mark.parametrize(
    "record",
    [
        LEASE,
        LEASE.fence(),
        Acquired(LEASE),
        FullGraph(),
        ReplaceFull(SessionGraph((NODE,), "n1")),
        SessionMeta("s", "n", "", "m", relation=Child("p", Json({"call": 1}))),
        RuntimeCommit(session_id="s", config=CONFIG, graph=Append((NODE,), "n1"), session_execution_lease=LEASE.fence()),
        RuntimeCommitResult(1, "ref", SessionCheckpoint(PersistedTurnState())),
    ],
)
def test_records_are_copied_and_pickled(record: Record) -> None:
    """Copies by any road are equal and of the same class."""
    for again in (copy.copy(record), copy.deepcopy(record), pickle.loads(pickle.dumps(record))):
        assert again == record
        assert type(again) is type(record)


def test_the_defaults_are_the_protocol_s() -> None:
    """What a client leaves out: no parts, no nodes, schema version 1, and an opaque owner."""
    commit = RuntimeCommit(session_id="s", config=CONFIG)
    assert commit.graph == Unchanged(None)
    assert commit.checkpoint == HydratedSessionCheckpoint(PersistedTurnState(0, TokenUsage(0, 0, 0, 0, 0), None, Json(None)))
    assert (commit.expected_head_revision, commit.session_execution_lease, commit.turn_commit) == (None, None, None)
    assert SessionCheckpoint(PersistedTurnState()).schema_version == 1


def test_lease_8_sums_saturate() -> None:
    """A sum up to 2^64 - 1 is exact, any larger one is 2^64 - 1."""
    assert U64_MAX == 18446744073709551615
    assert saturating_add(1, 2) == 3
    assert saturating_add(18446744073709551614, 1) == 18446744073709551615
    assert saturating_add(18446744073709551615, 1) == 18446744073709551615
    assert saturating_add(18446744073709551615, 18446744073709551615) == 18446744073709551615


def test_read_14_the_total_leaves_reasoning_out() -> None:
    """Only the first four counters count, with their signs."""
    assert TokenUsage(1, 20, 300, 4_000, 50_000).total == 4_321
    assert TokenUsage(5, -5, 0, 0, 9).total == 0


def test_lease_39_timings_are_checked_in_order() -> None:
    """TTL, then interval, then their ratio: each has its own error, and the first that applies is raised."""
    assert (LeaseTimings().ttl_ms, LeaseTimings().renew_interval_ms) == (30_000, 10_000)
    for ttl, interval, kind in (
        (0, 0, TtlTooSmall),
        (0, 5, TtlTooSmall),
        (1, 0, RenewIntervalTooSmall),
        (8, 3, TtlRenewRatioTooSmall),
        (-1, 0, InvalidArgument),
    ):
        with pytest.raises(InvalidArgument) as refusal:
            LeaseTimings(ttl, interval)
        assert type(refusal.value) is kind


@pytest.mark.parametrize(("ttl", "kind"), [(0, TtlTooSmall), (2, RenewIntervalTooSmall), (-1, InvalidArgument)])
def test_lease_39_timings_of_a_ttl_alone_renew_at_a_third(ttl: int, kind: type[InvalidArgument]) -> None:
    """A TTL whose third is no millisecond is refused."""
    assert LeaseTimings.of_ttl(10) == LeaseTimings(10, 3)
    assert LeaseTimings.of_ttl(3) == LeaseTimings(3, 1)
    with pytest.raises(InvalidArgument) as refusal:
        LeaseTimings.of_ttl(ttl)
    assert type(refusal.value) is kind
