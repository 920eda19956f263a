"""Contracts: bad arguments are InvalidArgument before any effect, wrong answers are ContractBroken with the requirement."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import icontract
import pytest
from fencepost.spec import (
    Acquired,
    ActivePath,
    Busy,
    ContractBroken,
    DurabilityTier,
    EventPayload,
    FullGraph,
    InvalidArgument,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    PersistedSessionConfig,
    PersistedSessionRead,
    PersistedTurnState,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimePersistence,
    SessionCheckpoint,
    SessionExecutionLease,
    SessionGraph,
    SessionMeta,
    SessionNodeRecord,
    StoreError,
)
from fencepost.spec.operations import OPERATIONS
from msgspec.structs import replace

A = LeaseOwnerIdentity("a", "1", LocalProcess("host", "boot", 10, "tick-1"))
B = LeaseOwnerIdentity("b", "1")
LEASE = SessionExecutionLease("s", A, "token", 1, 1_000, 2_000)
FENCE = LEASE.fence()
COMMIT = RuntimeCommit(session_id="s", config=PersistedSessionConfig("p", Json(1)))
MANIFEST = SessionCheckpoint(PersistedTurnState())
RESULT = RuntimeCommitResult(1, "ref", MANIFEST)
NODE = SessionNodeRecord("n1", None, EventPayload(Json(1)))
READ = PersistedSessionRead("s", 1, COMMIT.config, (), "", SessionGraph((NODE,), "n1"), "ref", None, ())
META = SessionMeta("s", "n", "", "m")

CLAIM = "try_claim_session_execution_lease"
RECLAIM = "reclaim_session_execution_lease"
RENEW = "renew_session_execution_lease"
RELEASE = "release_session_execution_lease"

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    CLAIM: ("s", A, 10),
    RECLAIM: ("s", A, FENCE, 10),
    RENEW: (FENCE, 10),
    RELEASE: (LEASE.completion(),),
    "commit_runtime_state": (COMMIT,),
    "load_session": (FullGraph(),),
    "load_node": ("n1",),
    "save_session_meta": (META,),
    "load_session_meta": (),
    "durability_tier": (),
}
"""A good call of every operation."""


class Scripted(RuntimePersistence):
    """A store that answers every call with one given object, and counts the calls that reach it."""

    def __init__(self, answer: object) -> None:
        self.answer: Any = answer
        self.calls = 0

    def _answer(self) -> Any:
        self.calls += 1
        return self.answer

    def try_claim_session_execution_lease(self, session_id: Any, owner: Any, lease_ttl_ms: Any) -> Any:
        """Answer as told."""
        return self._answer()

    def reclaim_session_execution_lease(self, session_id: Any, owner: Any, observed_holder: Any, lease_ttl_ms: Any) -> Any:
        """Answer as told."""
        return self._answer()

    def renew_session_execution_lease(self, fence: Any, lease_ttl_ms: Any) -> Any:
        """Answer as told."""
        return self._answer()

    def release_session_execution_lease(self, completion: Any) -> Any:
        """Answer as told."""
        return self._answer()

    def commit_runtime_state(self, commit: Any) -> Any:
        """Answer as told."""
        return self._answer()

    def load_session(self, scope: Any) -> Any:
        """Answer as told."""
        return self._answer()

    def load_node(self, node_id: Any) -> Any:
        """Answer as told."""
        return self._answer()

    def save_session_meta(self, meta: Any) -> Any:
        """Answer as told."""
        return self._answer()

    def load_session_meta(self) -> Any:
        """Answer as told."""
        return self._answer()

    def durability_tier(self) -> Any:
        """Answer as told."""
        return self._answer()


def call(store: Scripted, operation: str, arguments: tuple[Any, ...]) -> object:
    """Make the call on the store."""
    answer: object = getattr(store, operation)(*arguments)
    return answer


def test_there_is_a_good_call_of_every_operation() -> None:
    """No operation is left out below."""
    assert set(ARGUMENTS) == set(OPERATIONS)


GOOD: list[tuple[str, object]] = [
    (CLAIM, Acquired(LEASE)),
    (CLAIM, Acquired(replace(LEASE, owner=replace(A, liveness=B.liveness)))),
    (CLAIM, Busy(replace(LEASE, owner=B))),
    (CLAIM, Busy(replace(LEASE, owner=replace(A, incarnation_id="2")))),
    (RECLAIM, Acquired(LEASE)),
    (RECLAIM, Busy(LEASE)),
    (RENEW, LEASE),
    (RELEASE, None),
    ("commit_runtime_state", RESULT),
    ("load_session", READ),
    ("load_session", None),
    ("load_node", NODE),
    ("load_node", None),
    ("save_session_meta", None),
    ("load_session_meta", META),
    ("load_session_meta", None),
    ("durability_tier", DurabilityTier.Durable),
]


@pytest.mark.parametrize(("operation", "answer"), GOOD)
def test_a_lawful_answer_passes(operation: str, answer: object) -> None:
    """The contracts hand on what the store answered, and hold of it for a store that does not inherit them."""
    assert call(Scripted(answer), operation, ARGUMENTS[operation]) is answer
    OPERATIONS[operation].require_contract(ARGUMENTS[operation], answer)


LIES: list[tuple[str, object, str]] = [
    (CLAIM, Acquired(replace(LEASE, owner=B)), "LEASE-12"),
    (CLAIM, Acquired(replace(LEASE, owner=replace(A, incarnation_id="2"))), "LEASE-12"),
    (CLAIM, Acquired(replace(LEASE, session_id="s2")), "LEASE-12"),
    (CLAIM, Busy(replace(LEASE, owner=B, session_id="s2")), "LEASE-12"),
    (CLAIM, Acquired(replace(LEASE, fencing_token=0)), "LEASE-3"),
    (CLAIM, Busy(LEASE), "LEASE-16"),
    (CLAIM, Busy(replace(LEASE, owner=replace(A, liveness=B.liveness))), "LEASE-16"),
    (RECLAIM, Acquired(replace(LEASE, owner=B)), "LEASE-20"),
    (RECLAIM, Busy(replace(LEASE, session_id="s2")), "LEASE-20"),
    (RENEW, replace(LEASE, lease_token="other"), "LEASE-31"),
    (RENEW, replace(LEASE, fencing_token=2), "LEASE-31"),
    (RENEW, replace(LEASE, session_id="s2"), "LEASE-31"),
    (RENEW, replace(LEASE, owner=B), "LEASE-31"),
    ("commit_runtime_state", replace(RESULT, head_revision=0), "COMMIT-30"),
    ("commit_runtime_state", replace(RESULT, manifest=replace(MANIFEST, schema_version=2)), "COMMIT-28"),
    ("load_session", replace(READ, head_revision=0), "COMMIT-30"),
    ("load_session", replace(READ, graph=SessionGraph((NODE, NODE), "n1")), "READ-INV-2"),
    ("load_node", replace(NODE, node_id="n2"), "READ-15"),
    (CLAIM, LEASE, "VALUE-11"),
    (CLAIM, None, "VALUE-11"),
    (RECLAIM, "busy", "VALUE-11"),
    (RENEW, FENCE, "VALUE-11"),
    (RELEASE, True, "VALUE-11"),
    ("commit_runtime_state", 1, "VALUE-11"),
    ("load_session", (), "VALUE-11"),
    ("load_node", "n1", "VALUE-11"),
    ("save_session_meta", META, "VALUE-11"),
    ("load_session_meta", {}, "VALUE-11"),
    ("durability_tier", "durable", "VALUE-11"),
]


@pytest.mark.parametrize(("operation", "answer", "requirement"), LIES)
def test_a_wrong_answer_of_a_store_that_inherits_breaks_its_contract(operation: str, answer: object, requirement: str) -> None:
    """The store is accused by the requirement, with the answer that it gave."""
    with pytest.raises(ContractBroken) as broken:
        call(Scripted(answer), operation, ARGUMENTS[operation])
    assert broken.value.requirements == (requirement,)
    assert repr(answer)[:50] in str(broken.value)


@pytest.mark.parametrize(("operation", "answer", "requirement"), LIES)
def test_a_wrong_answer_of_any_other_store_breaks_the_same_contract(operation: str, answer: object, requirement: str) -> None:
    """The contract that the harness puts around a store accuses it alike."""
    with pytest.raises(ContractBroken) as broken:
        OPERATIONS[operation].require_contract(ARGUMENTS[operation], answer)
    assert broken.value.requirements == (requirement,)


def test_every_operation_is_lied_about() -> None:
    """Each operation has a wrong answer above, and each postcondition of the law has one that breaks it."""
    assert {operation for operation, _, _ in LIES} == set(OPERATIONS)
    assert {requirement for _, _, requirement in LIES} == {
        "LEASE-3",
        "LEASE-12",
        "LEASE-16",
        "LEASE-20",
        "LEASE-31",
        "COMMIT-28",
        "COMMIT-30",
        "READ-15",
        "READ-INV-2",
        "VALUE-11",
    }


SURROGATE = "\ud800"
NO_TEXT: tuple[object, ...] = (None, 1, b"s", SURROGATE, ["s"], Json("s"))
NO_U64: tuple[object, ...] = (None, -1, 2**64, True, 1.0, "10", float("nan"), 10**5_000)
NO_RECORD: tuple[object, ...] = (None, "a", 1, {"owner_id": "a"}, ("a", "1"), Json({}), LEASE)

BAD: dict[tuple[str, str], tuple[object, ...]] = {
    (CLAIM, "session_id"): NO_TEXT,
    (CLAIM, "owner"): NO_RECORD,
    (CLAIM, "lease_ttl_ms"): NO_U64,
    (RECLAIM, "session_id"): NO_TEXT,
    (RECLAIM, "owner"): NO_RECORD,
    (RECLAIM, "observed_holder"): (*NO_RECORD, LEASE.completion()),
    (RECLAIM, "lease_ttl_ms"): NO_U64,
    (RENEW, "fence"): (*NO_RECORD, LEASE.completion()),
    (RENEW, "lease_ttl_ms"): NO_U64,
    (RELEASE, "completion"): (*NO_RECORD, FENCE),
    ("commit_runtime_state", "commit"): NO_RECORD,
    ("load_session", "scope"): (*NO_RECORD, "full_graph", FullGraph, SessionGraph()),
    ("load_node", "node_id"): NO_TEXT,
    ("save_session_meta", "meta"): NO_RECORD,
}
"""Per operation and parameter: what it does not admit."""


def test_every_parameter_has_bad_arguments() -> None:
    """No parameter of any operation is left out."""
    parameters = {(name, each) for name, operation in OPERATIONS.items() for each, _ in operation.parameters}
    assert set(BAD) == parameters


@pytest.mark.parametrize(("operation", "parameter"), BAD, ids="-".join)
@pytest.mark.parametrize("by_name", [False, True], ids=["by position", "by name"])
def test_value_1_and_2_a_bad_argument_is_refused_before_the_store_is_reached(
    operation: str, parameter: str, by_name: bool
) -> None:
    """InvalidArgument, which names the parameter; never icontract's own error; and no call gets through."""
    names = [name for name, _ in OPERATIONS[operation].parameters]
    for value in BAD[operation, parameter]:
        arguments = dict(zip(names, ARGUMENTS[operation], strict=True)) | {parameter: value}
        store = Scripted(None)
        with pytest.raises(InvalidArgument) as refusal:
            getattr(store, operation)(**arguments) if by_name else call(store, operation, tuple(arguments.values()))
        assert refusal.value.argument == parameter
        assert isinstance(refusal.value, StoreError)
        assert not isinstance(refusal.value, icontract.ViolationError)
        assert store.calls == 0
        assert not OPERATIONS[operation].is_valid(tuple(arguments.values()))


def test_value_1_the_first_bad_argument_is_named() -> None:
    """Of several bad arguments the leftmost is told."""
    with pytest.raises(InvalidArgument) as refusal:
        call(Scripted(None), CLAIM, ("s", None, -1))
    assert refusal.value == InvalidArgument("owner")
    assert str(refusal.value).startswith("owner: received None, expected LeaseOwnerIdentity")


def test_good_arguments_are_valid() -> None:
    """The good calls pass the check that stands alone, too."""
    for operation, arguments in ARGUMENTS.items():
        assert OPERATIONS[operation].is_valid(arguments)
        OPERATIONS[operation].refuse_invalid(arguments)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [((), {}), (("n1", "n2"), {}), ((), {"node": "n1"}), (("n1",), {"node_id": "n1"})],
    ids=["none", "too many", "unknown name", "twice"],
)
def test_a_call_that_does_not_fit_the_signature_is_python_s_to_refuse(arguments: Any, named: Any) -> None:
    """Missing, spare and misnamed arguments are the TypeError of any function, not a KeyError of the contracts."""
    store = Scripted(NODE)
    with pytest.raises(TypeError):
        store.load_node(*arguments, **named)
    assert store.calls == 0


def test_the_tier_has_a_default() -> None:
    """A store that does not say otherwise is Inline, by the law's own method."""
    assert RuntimePersistence.durability_tier(Scripted(None)) is DurabilityTier.Inline


def test_a_store_has_to_implement_every_call_but_the_tier() -> None:
    """The abstract methods are the required ones of the protocol."""
    assert RuntimePersistence.__abstractmethods__ == set(OPERATIONS) - {"durability_tier"}


WITHOUT = """
from test_spec_contracts import ARGUMENTS, LIES, Scripted, call
from fencepost.spec import InvalidArgument
for operation, answer, _ in LIES:
    assert call(Scripted(answer), operation, ARGUMENTS[operation]) is answer
for arguments in (("s", None, 10), ("s", ARGUMENTS["try_claim_session_execution_lease"][1], -1)):
    try:
        call(Scripted(None), "try_claim_session_execution_lease", arguments)
    except InvalidArgument:
        print("refused")
"""


@pytest.mark.parametrize(("switch", "passes"), [("off", True), ("on", False)])
def test_postconditions_can_be_switched_off_and_preconditions_cannot(switch: str, passes: bool) -> None:
    """In a process with FENCEPOST_CONTRACTS=off wrong answers pass, and bad arguments are refused as ever."""
    here = os.path.dirname(__file__)
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"FENCEPOST_CONTRACTS": switch, "PYTHONPATH": path}
    ran = subprocess.run([sys.executable, "-c", WITHOUT], env=environment, capture_output=True, text=True, check=False)
    if passes:
        assert (ran.stdout.split(), ran.stderr) == (["refused", "refused"], "")
    else:
        assert "ContractBroken" in ran.stderr


def test_a_scope_may_be_of_either_kind() -> None:
    """Both scopes are admitted, with a leaf, without, and with the empty one."""
    for scope in (FullGraph(), ActivePath(), ActivePath("n1"), ActivePath("")):
        assert OPERATIONS["load_session"].is_valid((scope,))
