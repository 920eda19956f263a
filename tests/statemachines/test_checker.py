"""The checker: what it lets pass, what it calls a violation, and whom it blames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fencepost.model import Refused, State
from fencepost.spec import (
    U64_MAX,
    Acquired,
    AttachmentIntent,
    Backend,
    Busy,
    ContractBroken,
    FullGraph,
    InvalidArgument,
    Json,
    LeaseOwnerIdentity,
    LocalProcess,
    PersistedSessionConfig,
    PersistedSessionRead,
    RuntimeCommit,
    SessionExecutionLease,
    SessionGraph,
)
from fencepost.statemachines.checker import Call, Checker, Crash, Violation, difference
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.tally import Tally
from msgspec.structs import replace

A = LeaseOwnerIdentity("a", "1")
A_WITH_PROCESS = LeaseOwnerIdentity("a", "1", LocalProcess("host", "boot", 1, "tick"))
B = LeaseOwnerIdentity("b", "1")
CLAIM = "try_claim_session_execution_lease"
READ = Call("load_session", (FullGraph(),))


class Altered:
    """The model's store with the answers of one operation altered."""

    def __init__(self, environment: Environment, operation: str, alter: Callable[[Any], Any]) -> None:
        self._store = ModelStore(environment)
        self._operation = operation
        self._alter = alter

    def __getattr__(self, name: str) -> Any:
        method: Any = getattr(self._store, name)
        if name != self._operation:
            return method
        return lambda *arguments: self._alter(method(*arguments))


def checker_of(tmp_path: Path, operation: str, alter: Callable[[Any], Any], *, strict: bool = False) -> Checker:
    """A checker over a store with one altered operation, observing the full graph."""
    environment = Environment(tmp_path)
    store = Altered(environment, operation, alter)
    return Checker(store, environment, Tally(), strict=strict, observations=observe_all)


def observe_all(_: State) -> tuple[Call, ...]:
    """Read the whole session."""
    return (READ,)


def claim(checker: Checker, owner: LeaseOwnerIdentity = A, ttl: int = 10) -> object:
    """Claim the lane of session s."""
    return checker.perform(Call(CLAIM, ("s", owner, ttl)))


def a_commit(lease: SessionExecutionLease) -> RuntimeCommit:
    """The smallest commit under a lease."""
    config = PersistedSessionConfig("p", Json({}))
    return RuntimeCommit(session_id="s", session_execution_lease=lease.fence(), config=config)


def raising(error: Exception) -> Callable[[Any], Any]:
    """An alteration that raises."""

    def alter(_: Any) -> Any:
        raise error

    return alter


def test_a_lawful_store_passes_and_is_counted(tmp_path: Path) -> None:
    """A call answered as the model does counts its requirements."""
    checker = checker_of(tmp_path, "", lambda answer: answer)
    assert isinstance(claim(checker), Acquired)
    assert checker.tally.steps == 1
    assert checker.tally.reached["LEASE-3"] == 2  # for the grant itself, and for its fencing token


def test_a_wrong_field_is_blamed_on_the_requirement_that_fixes_it(tmp_path: Path) -> None:
    """A lease that expires a millisecond late is blamed on LEASE-8, not on the claim as a whole."""

    def late(answer: Acquired) -> Acquired:
        return Acquired(replace(answer.lease, expires_at_epoch_ms=answer.lease.expires_at_epoch_ms + 1))

    with pytest.raises(Violation) as caught:
        claim(checker_of(tmp_path, CLAIM, late))
    assert caught.value.path == "lease.expires_at_epoch_ms"
    assert caught.value.requirements == ("LEASE-8", "LEASE-3", "LEASE-12")


def test_a_wrong_kind_of_answer_is_blamed_on_what_decided_the_kind(tmp_path: Path) -> None:
    """A claim of a vacant lane that answers Busy breaks LEASE-3."""
    with pytest.raises(Violation) as caught:
        claim(checker_of(tmp_path, CLAIM, lambda answer: Busy(replace(answer.lease, owner=B))))
    assert caught.value.requirements[0] == "LEASE-3"
    assert caught.value.path == ""


def test_another_exception_than_a_store_error_breaks_value_6(tmp_path: Path) -> None:
    """A KeyError out of a call is a violation of VALUE-6 that names it."""
    with pytest.raises(Violation, match="raised KeyError") as caught:
        claim(checker_of(tmp_path, CLAIM, raising(KeyError("row"))))
    assert caught.value.requirements == ("VALUE-6",)


def test_an_answer_of_a_wrong_type_breaks_the_contract(tmp_path: Path) -> None:
    """A claim that answers None is refused by the contract of the abstract method, though the store does not subclass it."""
    with pytest.raises(Violation, match="expected Acquired or Busy"):
        claim(checker_of(tmp_path, CLAIM, lambda _: None))


def test_an_answer_that_breaks_its_contract_is_laid_on_what_the_model_says_of_it(tmp_path: Path) -> None:
    """The field that is wrong tells more than the postcondition that it breaks."""
    another = checker_of(tmp_path, "renew_session_execution_lease", lambda lease: replace(lease, lease_token="another"))
    granted = claim(another)
    assert isinstance(granted, Acquired)
    with pytest.raises(Violation, match="gave another answer than the model in lease_token") as caught:
        another.perform(Call("renew_session_execution_lease", (granted.lease.fence(), 10)))
    assert caught.value.requirements[0] == "LEASE-36"


def test_an_answer_that_the_model_admits_has_to_keep_its_contract(tmp_path: Path) -> None:
    """Though nothing else is wrong with it."""
    checker = checker_of(tmp_path, CLAIM, lambda outcome: outcome)
    made = checker.made(Call(CLAIM, ("s", A, 10)))
    with pytest.raises(Violation, match="LEASE-12: what was seen") as caught:
        checker.compare(made._replace(broken=ContractBroken(("LEASE-12",), "what was seen")))
    assert caught.value.requirements == ("LEASE-12", "LEASE-3")
    assert isinstance(caught.value.performed[-1].answer, Crash)


def test_an_unexpected_refusal_is_a_violation(tmp_path: Path) -> None:
    """A claim of a vacant lane may not fail with Backend."""
    with pytest.raises(Violation) as caught:
        claim(checker_of(tmp_path, CLAIM, raising(Backend("disk full"))))
    assert caught.value.performed[-1].answer == Refused(Backend())


def test_a_large_number_may_be_refused_by_a_signed_store(tmp_path: Path) -> None:
    """InvalidArgument for a TTL of 2^64 - 1 differs from VALUE-3 and is no violation."""
    checker = checker_of(tmp_path, CLAIM, raising(InvalidArgument("lease_ttl_ms")))
    assert claim(checker, ttl=U64_MAX) == Refused(InvalidArgument("lease_ttl_ms"))
    assert checker.tally.differs["VALUE-3"] == 1


def test_a_small_number_may_not_be_refused(tmp_path: Path) -> None:
    """InvalidArgument for a TTL of 10 is a violation."""
    with pytest.raises(Violation):
        claim(checker_of(tmp_path, CLAIM, raising(InvalidArgument("lease_ttl_ms"))))


def test_a_bad_argument_must_be_refused(tmp_path: Path) -> None:
    """A store that grants a TTL of -1 breaks VALUE-1."""
    environment = Environment(tmp_path)

    class Lax:
        """Grants whatever it is asked."""

        def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, _: int) -> Acquired:
            return Acquired(SessionExecutionLease(session_id, owner, "t", 1, 0, 0))

    with pytest.raises(Violation) as caught:
        claim(Checker(Lax(), environment, Tally()), ttl=-1)
    assert caught.value.requirements[:1] == ("VALUE-1",)


def test_a_refused_call_that_changes_something_is_found_at_once(tmp_path: Path) -> None:
    """A refused commit after which a read differs is blamed on VALUE-7 first."""
    refused_once: list[bool] = []

    def changed(answer: PersistedSessionRead | None) -> PersistedSessionRead | None:
        return replace(answer, head_revision=7) if answer and refused_once else answer

    checker = checker_of(tmp_path, "load_session", changed)
    granted = claim(checker)
    assert isinstance(granted, Acquired)
    checker.perform(Call("commit_runtime_state", (a_commit(granted.lease),)))
    refused_once.append(True)
    with pytest.raises(Violation) as caught:
        checker.perform(Call("commit_runtime_state", (replace(a_commit(granted.lease), session_execution_lease=None),)))
    assert caught.value.requirements[0] == "VALUE-7"
    assert caught.value.path == "head_revision"


def test_a_silent_call_is_blamed_when_the_next_answer_shows_its_fault(tmp_path: Path) -> None:
    """A release that does nothing shows at the next claim, which blames the release's LEASE-33 as well."""
    environment = Environment(tmp_path)

    class Deaf(ModelStore):
        """Never releases."""

        def release_session_execution_lease(self, _: object) -> None:
            return None

    checker = Checker(Deaf(environment), environment, Tally())
    granted = claim(checker)
    assert isinstance(granted, Acquired)
    checker.perform(Call("release_session_execution_lease", (granted.lease.completion(),)))
    with pytest.raises(Violation) as caught:
        claim(checker, B)
    assert "LEASE-33" in caught.value.requirements


def echoing(environment: Environment, *, strict: bool) -> Checker:
    """A checker over a store that answers a re-entry with the caller's owner instead of the stored one."""

    class Echo(ModelStore):
        """Echoes the claimant."""

        def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, ttl: int) -> object:
            answer: Any = super().__getattr__(CLAIM)
            outcome = answer(session_id, owner, ttl)
            return Acquired(replace(outcome.lease, owner=owner)) if isinstance(outcome, Acquired) else outcome

    return Checker(Echo(environment), environment, Tally(), strict=strict)


def test_a_departure_from_current_is_counted(tmp_path: Path) -> None:
    """A re-entry that answers with the caller's liveness differs from LEASE-15a, and the run goes on."""
    checker = echoing(Environment(tmp_path), strict=False)
    claim(checker, A)
    assert checker.tally.differs == {}
    claim(checker, A_WITH_PROCESS)
    assert checker.tally.differs == {"LEASE-15a": 1}


def test_a_departure_from_current_fails_a_strict_run(tmp_path: Path) -> None:
    """The same re-entry violates LEASE-15a in a strict run."""
    checker = echoing(Environment(tmp_path), strict=True)
    claim(checker, A)
    with pytest.raises(Violation, match="departs from LEASE-15a") as caught:
        claim(checker, A_WITH_PROCESS)
    assert caught.value.requirements == ("LEASE-15a",)


def test_difference_names_the_deepest_field() -> None:
    """The path leads to the first field that differs; answers of two kinds differ as wholes."""
    left, right = SessionGraph(leaf_node_id="n1"), SessionGraph(leaf_node_id="n2")
    assert difference(left, right) == "leaf_node_id"
    assert difference(Acquired(lease(1)), Acquired(lease(2))) == "lease.fencing_token"
    assert difference(Acquired(lease(1)), Busy(lease(1))) == ""
    assert difference(None, left) == ""


def test_difference_is_one_from_all_that_was_admissible() -> None:
    """A field in which another admissible answer is like the given one tells nothing, unless there is no other."""
    given, other = lease(2), msgspec.structs.replace(lease(1), expires_at_epoch_ms=5)
    late = msgspec.structs.replace(given, expires_at_epoch_ms=5)
    assert difference(lease(1), late, [other]) == "fencing_token"
    assert difference(lease(1), late, [given, other]) == "fencing_token"
    assert difference(lease(1), given, [given]) == "fencing_token"


def lease(fencing_token: int) -> SessionExecutionLease:
    """A lease with this fencing token."""
    return SessionExecutionLease("s", A, "t", fencing_token, 0, 1)


LISTED = Call("list_uncommitted", (U64_MAX,))


def test_touches_are_a_function_of_the_call(tmp_path: Path) -> None:
    """What a call may have touched is read after it, and after it alone."""
    environment = Environment(tmp_path)
    asked: list[str] = []

    def touches(call: Call) -> tuple[Call, ...]:
        asked.append(call.operation)
        return (LISTED,) if call.operation == "record_intent" else ()

    checker = Checker(ModelStore(environment), environment, Tally(), touches=touches)
    checker.perform(Call("record_intent", (AttachmentIntent("a", "s", "uri", 1),)))
    claim(checker)
    assert asked == ["record_intent", CLAIM]
    assert [performed.call.operation for performed in checker.performed] == ["record_intent", "list_uncommitted", CLAIM]
