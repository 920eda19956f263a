"""Values as Python source."""

from __future__ import annotations

from typing import Any

import fencepost.spec
import pytest
from fencepost.kit.showing.source import Minted, kind_at, laid_out, minted_in, on_one_line, simple
from fencepost.spec import (
    U64_MAX,
    Acquired,
    Append,
    DeliveryPolicy,
    EventPayload,
    HeadRevisionConflict,
    HydratedSessionCheckpoint,
    InputId,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    Never,
    Opaque,
    PendingTurnInput,
    PendingTurnInputDraft,
    PendingTurnInputSourceKeyConflict,
    PersistedSessionConfig,
    QueuedWorkBatch,
    QueuedWorkClaim,
    QueuedWorkClaimExpired,
    QueuedWorkCompletion,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionCheckpoint,
    SessionExecutionLease,
    SessionExecutionLeaseFence,
    SessionNodeRecord,
    SlotPolicy,
    SourceKey,
    ToolState,
    TurnInput,
    TurnInputClaim,
    TurnInputClaimExpired,
    TurnInputClaimModeNextTurn,
    TurnInputCompletion,
    TurnInputIngressNextTurn,
    TurnInputState,
)
from fencepost.spec.commit import PersistedTurnState
from fencepost.spec.session import DurabilityTier
from msgspec.structs import replace

OWNER = LeaseOwnerIdentity("a", "1")
LEASE = SessionExecutionLease("s", OWNER, "token", 3, 1_000, 1_010)

VALUES: dict[str, object] = {
    '"it\'s"': "it's",
    "'say \"it\"'": 'say "it"',
    '"S%_\\x00é"': "S%_\0é",
    "2**64 - 1": U64_MAX,
    "2**63": 2**63,
    "2**53 + 1": 2**53 + 1,
    "-1": -1,
    "True": True,
    "None": None,
    'b"n1"': b"n1",
    '("x",)': ("x",),
    'Json({"a": [1, 1.0, True, None, "é"]})': Json({"a": [1, 1.0, True, None, "é"]}),
    "Opaque()": Opaque(),
    'LocalProcess("host", "boot", 10, "tick")': LocalProcess("host", "boot", 10, "tick"),
    'SessionNodeRecord("n1", None, EventPayload(Json(1)), agent_frame_id="f1")': SessionNodeRecord(
        "n1", None, EventPayload(Json(1)), agent_frame_id="f1"
    ),
    'RuntimeCommit(session_id="s", config=PersistedSessionConfig("p", Json(None)), graph=Append())': RuntimeCommit(
        session_id="s", config=PersistedSessionConfig("p", Json()), graph=Append()
    ),
    "HydratedSessionCheckpoint(tool_state=ToolState(1))": HydratedSessionCheckpoint(tool_state=ToolState(1)),
    "HeadRevisionConflict(None, 1)": HeadRevisionConflict(None, 1),
    "DurabilityTier.Durable": DurabilityTier.Durable,
}


@pytest.mark.parametrize("source", VALUES)
def test_a_value_is_written_in_short_and_reads_back_equal(source: str) -> None:
    """Records leave out their defaults, numbers at the ends of their ranges are powers, text is in double quotes."""
    value = VALUES[source]
    assert on_one_line(Minted().source(value)).replace("b'n1'", 'b"n1"') == source
    names: dict[str, Any] = {name: getattr(fencepost.spec, name) for name in fencepost.spec.__all__}
    assert eval(source, names) == value


def test_a_proof_is_written_by_the_answer_that_brought_it() -> None:
    """The newest lease with the same facts gives its fence or its completion."""
    minted = Minted()
    minted.learn("a1", Acquired(LEASE))
    assert minted.source(LEASE.fence()) == "a1.lease.fence()"
    minted.learn("r1", replace(LEASE, expires_at_epoch_ms=1_020))
    assert minted.source(LEASE.completion()) == "r1.completion()"


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({"fencing_token": 4}, "replace(a1.lease.fence(), fencing_token=4)"),
        ({"lease_token": "token'"}, 'replace(a1.lease.fence(), lease_token=a1.lease.lease_token + "\'")'),
        ({"session_id": "s2"}, 'replace(a1.lease.fence(), session_id="s2")'),
        ({"owner": LeaseOwnerIdentity("b", "1")}, "replace(a1.lease.fence(), owner=owner1)"),
    ],
)
def test_an_altered_proof_is_written_as_its_alteration(changes: dict[str, Any], source: str) -> None:
    """One field that differs from a known lease is replaced in it."""
    minted = Minted()
    minted.learn("a1", Acquired(LEASE))
    assert on_one_line(minted.source(replace(LEASE.fence(), **changes))) == source


def test_a_proof_out_of_thin_air_is_written_in_full() -> None:
    """A proof that is like no lease is built; its owner has a name of its own."""
    minted = Minted()
    minted.learn("a1", Acquired(LEASE))
    proof = SessionExecutionLeaseFence("s", OWNER, "forged", 9)
    assert on_one_line(minted.source(proof)) == 'SessionExecutionLeaseFence("s", owner1, "forged", 9)'
    assert minted.owners == {OWNER: "owner1"}


def test_a_ref_is_written_by_the_answer_that_brought_it() -> None:
    """Blob refs are minted, too; the same text in another field is only text."""
    minted = Minted()
    result = RuntimeCommitResult(1, "ref", SessionCheckpoint(PersistedTurnState(), tool_state_ref="blob"))
    minted.learn("c1", result)
    source = minted.source(HydratedSessionCheckpoint(tool_state_ref="blob"))
    assert on_one_line(source) == "HydratedSessionCheckpoint(tool_state_ref=c1.manifest.tool_state_ref)"
    assert minted.source("blob") == '"blob"'
    assert minted_in(result) == {"ref", "blob"}


ROW = PendingTurnInput("i", "s", 1, None, TurnInputIngressNextTurn(), TurnInputState.DeferredNextTurn, 1_000, TurnInput())
TAKEN = TurnInputClaim("s", "c", OWNER, "t", 1, 1_000, 1_010, TurnInputClaimModeNextTurn(), (ROW, replace(ROW, input_id="j")))
BATCH = QueuedWorkBatch("b", "s", 1, None, DeliveryPolicy.EarliestSafeBoundary, SlotPolicy.Join, Never(), 0, 1_000, ())
WORK = QueuedWorkClaim("s", "c", OWNER, "t", 1, 1_000, 1_010, (BATCH,))


def known() -> Minted:
    """An input, a claim of it and of another one, a batch, and a claim of that, whose ids are those of the first claim."""
    minted = Minted()
    minted.learn("i1", ROW)
    minted.learn("t1", TAKEN)
    minted.learn("w1", BATCH)
    minted.learn("q1", WORK)
    return minted


@pytest.mark.parametrize(
    ("value", "source"),
    [
        (TAKEN, "t1"),
        (WORK, "q1"),
        (TAKEN.completion(), "t1.completion()"),
        (WORK.completion(), "q1.completion()"),
        (ROW, "i1"),
        (TAKEN.inputs[1], "t1.inputs[1]"),
        (replace(ROW, state=TurnInputState.Accepted), "replace(i1, state=TurnInputState.Accepted)"),
        (replace(TAKEN, expires_at_epoch_ms=5), "replace(t1, expires_at_epoch_ms=5)"),
        (replace(TAKEN, claim_id="c'"), 'replace(t1, claim_id=t1.claim_id + "\'")'),
        (replace(TAKEN, inputs=TAKEN.inputs[1:]), "replace(t1, inputs=(t1.inputs[1],))"),
        (replace(TAKEN.completion(), input_ids=("i", "x")), 'replace(t1.completion(), input_ids=(i1.input_id, "x"))'),
        (replace(WORK.completion(), session_id="s2"), 'replace(q1.completion(), session_id="s2")'),
        (
            TurnInputCompletion("s", "qwc", "token", ("i",)),
            'TurnInputCompletion("s", "qwc", "token", input_ids=(i1.input_id,))',
        ),
        (InputId("i"), "InputId(i1.input_id)"),
        (SourceKey("i"), 'SourceKey("i")'),
        (TurnInputClaimExpired("s", "c"), 'TurnInputClaimExpired("s", t1.claim_id)'),
        (QueuedWorkClaimExpired("s", "c"), 'QueuedWorkClaimExpired("s", q1.claim_id)'),
        (PendingTurnInputSourceKeyConflict("s", "i", "i"), 'PendingTurnInputSourceKeyConflict("s", "i", i1.input_id)'),
    ],
)
def test_what_an_answer_brought_is_written_by_it(value: object, source: str) -> None:
    """Claims, completions and rows as they are or with their alterations; ids by the first answer that has them."""
    assert on_one_line(known().source(value)) == source


def test_an_argument_by_itself_is_known_by_its_parameter() -> None:
    """A text or a tuple of texts is an id if its parameter says so."""
    assert known().source("b", "batch_id") == "w1.batch_id"
    assert on_one_line(known().source(("b", "b"), "batch_ids")) == "(w1.batch_id, w1.batch_id)"
    assert known().source("b", "session_id") == '"b"'


def test_what_the_caller_gave_is_not_minted() -> None:
    """An id that stands in a draft stays what it is, though the answer has it too."""
    minted = Minted()
    draft = PendingTurnInputDraft(session_id="s", input_id="i", ingress=TurnInputIngressNextTurn(), input=TurnInput())
    assert "input_id=" in on_one_line(minted.source(draft))
    minted.learn("i1", ROW)
    assert minted.source("i", "input_id") == '"i"'
    assert minted.source(ROW) == "i1"


def test_only_names_that_are_used_are_needed() -> None:
    """The variable is that at the beginning of the expression, whatever comes behind it."""
    minted = Minted()
    minted.learn("x1", (ROW,))
    assert minted.source("i", "input_id") == "x1[0].input_id"
    assert minted.used == {"x1"}


def test_the_kind_of_a_field_is_told_by_its_record() -> None:
    """Along the path of a violation."""
    assert kind_at(TAKEN, "claim_id") == "claim_id of input claim"
    assert kind_at(TAKEN, "inputs.0.input_id") == "input_id"
    assert kind_at(TAKEN, "expires_at_epoch_ms") is None
    assert kind_at((ROW,), "0") is None


def test_what_does_not_fit_is_broken_item_by_item() -> None:
    """A line holds 79 columns; what is longer has its items below, each broken in turn if it must be."""
    owner = LeaseOwnerIdentity("a", "1", LocalProcess("host", "boot", 10, "tick"))
    assert (
        laid_out(Minted().record(replace(owner, owner_id="a" * 20)), before=9)
        == """\
LeaseOwnerIdentity(
    "aaaaaaaaaaaaaaaaaaaa",
    "1",
    liveness=LocalProcess("host", "boot", 10, "tick"),
)"""
    )
    assert (
        laid_out(Minted().record(owner), before=9)
        == """\
LeaseOwnerIdentity(
    "a", "1", liveness=LocalProcess("host", "boot", 10, "tick")
)"""
    )


def test_a_tuple_of_one_stays_a_tuple() -> None:
    """However its item is broken into lines."""
    for length in (1, 70, 90):
        assert eval(laid_out(Minted().source(("x" * length,)))) == ("x" * length,)
    completion = QueuedWorkCompletion("s", "claim", "token", ("b" * 40,))
    source = Minted().record(
        RuntimeCommit(session_id="s", config=PersistedSessionConfig("p", Json()), completed_queue_claims=(completion,))
    )
    assert "batch_ids" in laid_out(source)
    assert "        QueuedWorkCompletion(" in laid_out(source)


def test_a_surrogate_is_written_escaped() -> None:
    """Text that no file could carry is still source."""
    assert simple("\ud800") == '"\\ud800"'


def test_of_a_character_that_is_repeated_often_it_is_said_how_often() -> None:
    """A text that is as long as a store may cut it can be read, and is the same text."""
    long = "7." + "0" * 8_001 + "é"
    assert simple(long) == '"7." + "0" * 8_001 + "é"'
    assert simple("x" * 63) == '"' + "x" * 63 + '"'
