"""Contracts: bad arguments are InvalidArgument before any effect, wrong answers are ContractBroken with the requirement."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import icontract
import pytest
from fencepost.spec import (
    ActivePath,
    CheckpointKind,
    ContractBroken,
    DurabilityTier,
    EventStore,
    FullGraph,
    InputLifecycleState,
    InvalidArgument,
    Json,
    OutputStore,
    QueuedWorkClaimBoundary,
    RunApplyBoundary,
    RuntimePersistence,
    RuntimeState,
    RuntimeStore,
    SessionGraph,
    StoreError,
    TurnInputCheckpointBoundary,
    contracts,
)
from fencepost.spec.operations import OPERATIONS
from fencepost.spec.values import check_for
from spec_answers import GOOD, LIES
from spec_builders import ARGUMENTS, BATCH, BY_ID, CLAIM, CLAIM_OF_NEXT, ENTRY, FENCE, LEASE, NODE, ROW, WORK, call, scripted
from spec_builders_stores import ENVELOPE, FINAL, OUT, QUEUED, RECEIPT, RUN


def postconditions(method: Any) -> list[Any]:
    """The conditions that the law puts on the answers of a method, in the order in which they are looked at."""
    return list(method.__postconditions__)


def holds(condition: Any, names: list[str], operation: str, answer: object) -> bool:
    """Whether the condition holds of this answer to the good call."""
    given = dict(zip(names, ARGUMENTS[operation], strict=True), result=answer)
    given |= {"_ARGS": (None, *ARGUMENTS[operation]), "_KWARGS": {}}
    held: bool = condition.condition(**{name: given[name] for name in condition.condition_args})
    return held


def test_there_is_a_good_call_of_every_operation() -> None:
    """No operation is left out below."""
    assert set(ARGUMENTS) == set(OPERATIONS)


@pytest.mark.parametrize(("operation", "answer"), GOOD)
def test_a_lawful_answer_passes(operation: str, answer: object) -> None:
    """The contracts hand on what the store answered, and hold of it for a store that does not inherit them."""
    assert call(scripted(operation, answer), operation, ARGUMENTS[operation]) is answer
    OPERATIONS[operation].require_contract(ARGUMENTS[operation], answer)


@pytest.mark.parametrize(("operation", "answer", "requirement"), LIES)
def test_a_wrong_answer_of_a_store_that_inherits_breaks_its_contract(operation: str, answer: object, requirement: str) -> None:
    """The store is accused by the requirement, with the answer that it gave."""
    with pytest.raises(ContractBroken) as broken:
        call(scripted(operation, answer), operation, ARGUMENTS[operation])
    assert broken.value.requirements == (requirement,)
    assert repr(answer)[:50] in str(broken.value)


@pytest.mark.parametrize(("operation", "answer", "requirement"), LIES)
def test_a_wrong_answer_of_any_other_store_breaks_the_same_contract(operation: str, answer: object, requirement: str) -> None:
    """The contract that the harness puts around a store accuses it alike."""
    with pytest.raises(ContractBroken) as broken:
        OPERATIONS[operation].require_contract(ARGUMENTS[operation], answer)
    assert broken.value.requirements == (requirement,)


def test_every_operation_is_lied_about() -> None:
    """Each operation has a wrong answer above, and the lies break these requirements."""
    assert {operation for operation, _, _ in LIES} == set(OPERATIONS)
    assert {requirement for _, _, requirement in LIES} == {
        *("LEASE-3", "LEASE-12", "LEASE-16", "LEASE-20", "LEASE-31"),
        *("INPUT-1", "INPUT-2", "INPUT-INV-6", "LIST-1", "CANCEL-1", "CANCEL-10", "CANCEL-11", "CLAIM-3", "CLAIM-4", "CLAIM-5"),
        *("GEN-15", "QUEUE-1", "QUEUE-7", "QUEUE-8", "QUEUE-9", "QUEUE-INV-3", "QCLAIM-3", "QCLAIM-4", "QCLAIM-11", "QRENEW-4"),
        *("COMMIT-28", "COMMIT-30", "READ-15", "READ-INV-2"),
        *("GC-3", "ATT-4", "ATT-INV-1", "VALUE-11"),
        *("RUNTIME-8", "RUNTIME-10", "RUNTIME-13", "RUNTIME-25", "RUNTIME-27"),
        *("EVENT-18", "EVENT-20", "EVENT-INV-5", "OUTPUT-3", "OUTPUT-13", "OUTPUT-15", "OUTPUT-21"),
    }


CONDITIONS = [(name, place) for name, operation in OPERATIONS.items() for place in range(len(postconditions(operation.method)))]


@pytest.mark.parametrize(("operation", "place"), CONDITIONS)
def test_every_single_postcondition_is_seen_broken(operation: str, place: int) -> None:
    """Of two conditions under one requirement each is broken by some answer above that its neighbours let pass."""
    names = [name for name, _ in OPERATIONS[operation].parameters]
    conditions = postconditions(OPERATIONS[operation].method)
    answers = [answer for name, answer, _ in LIES if name == operation]
    first = [next(at for at, each in enumerate(conditions) if not holds(each, names, operation, lie)) for lie in answers]
    assert place in first


SURROGATE = "\ud800"
NO_TEXT: tuple[object, ...] = (None, 1, b"s", SURROGATE, ["s"], Json("s"))
NO_U64: tuple[object, ...] = (None, -1, 2**64, True, 1.0, "10", float("nan"), 10**5_000)
NO_U32: tuple[object, ...] = (*NO_U64, 2**32)
NO_UUID: tuple[object, ...] = (*NO_TEXT, "", str(RUN), RUN.hex, RUN.bytes, RUN.int, f"urn:uuid:{RUN}")
NO_RECORD: tuple[object, ...] = (None, "a", 1, {"owner_id": "a"}, ("a", "1"), Json({}), LEASE)

NO_TEXTS: tuple[object, ...] = (None, "n1", ["n1"], (1,), ("n1", SURROGATE), ("n1", None), {"n1"})

BY_NAME: dict[str, tuple[object, ...]] = {
    "session_id": NO_TEXT,
    "input_id": NO_TEXT,
    "turn_id": NO_TEXT,
    "batch_id": NO_TEXT,
    "node_id": NO_TEXT,
    "attachment_id": NO_TEXT,
    "lease_ttl_ms": NO_U64,
    "max_inputs": NO_U64,
    "max_batches": NO_U64,
    "older_than_epoch_ms": NO_U64,
    "owner": NO_RECORD,
    "observed_holder": (*NO_RECORD, LEASE.completion()),
    "fence": (*NO_RECORD, LEASE.completion()),
    "session_execution_lease": (*NO_RECORD, LEASE.completion()),
    "completion": (*NO_RECORD, FENCE),
    "input": (*NO_RECORD, ROW, ROW.input),
    "targets": (None, BY_ID, [BY_ID], ("i1",), (BY_ID, None), (BY_ID, ROW)),
    "anchor": (*NO_RECORD, (BY_ID,)),
    "checkpoint": (None, "after_work", 0, TurnInputCheckpointBoundary.AfterWork, CheckpointKind),
    "boundary": (None, "idle", 0, CheckpointKind.AfterWork, QueuedWorkClaimBoundary),
    "batch": (*NO_RECORD, BATCH),
    "batch_ids": NO_TEXTS,
    "commit": NO_RECORD,
    "scope": (*NO_RECORD, "full_graph", FullGraph, SessionGraph()),
    "meta": NO_RECORD,
    "ids": NO_TEXTS,
    "intent": (*NO_RECORD, ENTRY),
    "attachment_ids": NO_TEXTS,
    "runtime_id": NO_TEXT,
    "session_delta": (*NO_RECORD, b"{}", RECEIPT),
    "run_id": NO_UUID,
    "contributing_input_ids": (*NO_TEXTS, (RUN, "n1"), [RUN]),
    "input_updates": (None, QUEUED, [QUEUED], (QUEUED, None), (RECEIPT,)),
    "receipt": (*NO_RECORD, QUEUED),
    "session_store_key": NO_UUID[1:],
    "sequence": NO_U64,
    "runtime_state": (None, "idle", 0, InputLifecycleState.Queued, RuntimeState),
    "input_states": (None, QUEUED, [QUEUED], (QUEUED, None), (RECEIPT,)),
    "thread_id": NO_TEXT,
    "turn": NO_U64,
    "envelope": (*NO_RECORD, ENVELOPE.event, Json({"type": "start"})),
    "task_id": NO_TEXT,
    "attempt": NO_U32,
    "producer_agent": NO_TEXT,
    "event": (*NO_RECORD, ENVELOPE.event, FINAL.content),
    "parent_refs": (*NO_TEXTS, ("n1",), OUT, [OUT], (OUT, None)),
    "id": (*NO_RECORD, "out-0000000001"),
    "name": NO_TEXT,
}
BY_CALL = {
    ("abandon_turn_input_claim", "claim"): (*NO_RECORD, WORK, CLAIM_OF_NEXT.completion()),
    ("renew_queued_work_claim", "claim"): (*NO_RECORD, CLAIM_OF_NEXT, WORK.completion()),
    ("abandon_queued_work_claim", "claim"): (*NO_RECORD, CLAIM_OF_NEXT, WORK.completion()),
    ("commit_session_boundary", "boundary"): (None, "run_start", 1, RuntimeState.Running, RunApplyBoundary),
    ("atomic_apply", "session_delta"): (*NO_RECORD[1:], b"{}", RECEIPT),
    ("load_input_state", "input_id"): NO_UUID,
    ("persist_input_state", "state"): (*NO_RECORD, RECEIPT, RuntimeState.Idle),
    ("persist_runtime_state", "state"): (None, "idle", 0, InputLifecycleState.Queued, RuntimeState),
}
"""What does not go by the parameter's name alone."""
BAD: dict[tuple[str, str], tuple[object, ...]] = {
    (name, parameter): BY_CALL[name, parameter] if (name, parameter) in BY_CALL else BY_NAME[parameter]
    for name, operation in OPERATIONS.items()
    for parameter, _ in operation.parameters
}
"""Per operation and parameter: what it does not admit."""


def test_every_parameter_has_bad_arguments() -> None:
    """The 54 operations have 110 parameters of 50 names, and no entry in the tables is a parameter of none."""
    assert len(BAD) == 110
    assert {parameter for _, parameter in BAD} == {*BY_NAME, "claim", "state"}
    assert set(BY_CALL) <= set(BAD)


@pytest.mark.parametrize(("operation", "parameter"), BAD, ids=[f"{name}-{parameter}" for name, parameter in BAD])
@pytest.mark.parametrize("by_name", [False, True], ids=["by position", "by name"])
def test_value_1_and_2_a_bad_argument_is_refused_before_the_store_is_reached(
    operation: str, parameter: str, by_name: bool
) -> None:
    """InvalidArgument, which names the parameter; never icontract's own error; and no call gets through."""
    names = [name for name, _ in OPERATIONS[operation].parameters]
    for value in BAD[operation, parameter]:
        arguments = dict(zip(names, ARGUMENTS[operation], strict=True)) | {parameter: value}
        store = scripted(operation, None)
        with pytest.raises(InvalidArgument) as refusal:
            getattr(store, OPERATIONS[operation].method.__name__)(**arguments) if by_name else call(
                store, operation, tuple(arguments.values())
            )
        assert refusal.value.argument == parameter
        assert isinstance(refusal.value, StoreError)
        assert not isinstance(refusal.value, icontract.ViolationError)
        assert store.calls == 0
        assert not OPERATIONS[operation].is_valid(tuple(arguments.values()))


def test_value_1_the_first_bad_argument_is_named() -> None:
    """Of several bad arguments the leftmost is told."""
    with pytest.raises(InvalidArgument) as refusal:
        call(scripted(CLAIM, None), CLAIM, ("s", None, -1))
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
    store = scripted("load_node", NODE)
    with pytest.raises(TypeError):
        store.load_node(*arguments, **named)
    assert store.calls == 0


def test_the_tier_has_a_default() -> None:
    """A store that does not say otherwise is Inline, by the law's own method."""
    assert RuntimePersistence.durability_tier(scripted("durability_tier", None)) is DurabilityTier.Inline


def test_a_store_has_to_implement_every_call_but_four() -> None:
    """The abstract methods are all but the tier and the three that follow from others."""
    derived = {"cancel_pending_turn_input", "claim_ready_queued_work_by_batch_ids", "durability_tier", "get_events"}
    stores: tuple[Any, ...] = (RuntimePersistence, RuntimeStore, EventStore, OutputStore)
    written = [name for store in stores for name in store.__abstractmethods__]
    assert sorted(written) == sorted(each.method.__name__ for each in OPERATIONS.values() if each.name not in derived)


WITHOUT = """
from spec_answers import LIES
from spec_builders import ARGUMENTS, call, scripted
from fencepost.spec import InvalidArgument
for operation, answer, _ in LIES:
    assert call(scripted(operation, answer), operation, ARGUMENTS[operation]) is answer
for arguments in (("s", None, 10), ("s", ARGUMENTS["try_claim_session_execution_lease"][1], -1)):
    try:
        call(scripted("try_claim_session_execution_lease", None), "try_claim_session_execution_lease", arguments)
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


def test_a_first_call_may_be_made_by_two_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an operation takes and answers is found out at its first call, and by both if they come at once."""
    asked: list[object] = []
    halfway = threading.Event()

    def slow(hint: object) -> Any:
        asked.append(hint)
        if len(asked) == 2:
            halfway.set()
            time.sleep(0.05)
        return check_for(hint)

    class Store(icontract.DBC):
        @contracts.operation
        def joined(self, one: str, other: str) -> str:
            return one + other

    monkeypatch.setattr("fencepost.spec.contracts.check_for", slow)
    with ThreadPoolExecutor(1) as thread:
        first = thread.submit(Store().joined, "a", "b")
        halfway.wait(10)
        assert (Store().joined("c", "d"), first.result()) == ("cd", "ab")
