"""The class of the state that a call meets: one for every call, small, and the same however long a run is."""

from __future__ import annotations

from pathlib import Path

from fencepost.model import Refused
from fencepost.spec import Backend, LeaseOwnerIdentity, PendingTurnInputDraft, Text, TurnInput
from fencepost.spec.operations import OPERATIONS
from fencepost.spec.turn_input import TurnInputIngressNextTurn
from fencepost.statemachines.checker import Call, Checker
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.situations import SITUATIONS, cells_of, kind_of_answer
from fencepost.statemachines.tally import Tally

OWNER = LeaseOwnerIdentity("a", "1")


def checker(tmp_path: Path) -> Checker:
    """The model as a store, held against the model."""
    environment = Environment(tmp_path)
    return Checker(ModelStore(environment), environment, Tally())


def met(checker: Checker, operation: str, *arguments: object) -> str:
    """The class of the state that the call would meet now."""
    return SITUATIONS[operation](checker.state, checker.environment.clock.now, *arguments)


def test_every_call_has_a_class_of_states() -> None:
    """No call is left out, and there is none that the protocol lacks."""
    assert SITUATIONS.keys() == OPERATIONS.keys()


def test_a_lease_through_its_life(tmp_path: Path) -> None:
    """Never leased, live, in its last ms, ending, lapsed, and released once it was given back."""
    held = checker(tmp_path)
    claim = ("try_claim_session_execution_lease", "s", OWNER, 3)
    seen = [met(held, *claim)]
    held.perform(Call(claim[0], claim[1:]))
    for _ in range(5):
        seen.append(met(held, *claim))
        held.environment.clock.move_to(held.environment.clock.now + 1)
    assert seen == ["never leased", "live", "live", "in its last ms", "ending", "lapsed"]
    assert met(held, "try_claim_session_execution_lease", "s2", OWNER, 3) == "never leased"


def test_an_input_that_is_named(tmp_path: Path) -> None:
    """What has become of the one that a call names, whatever else there is."""
    held = checker(tmp_path)
    draft = PendingTurnInputDraft(
        session_id="s", source_key="k", ingress=TurnInputIngressNextTurn(), input=TurnInput((Text("x"),))
    )
    assert met(held, "enqueue_pending_turn_input", draft) == "no such input"
    row = held.perform(Call("enqueue_pending_turn_input", (draft,)))
    assert met(held, "enqueue_pending_turn_input", draft) == "waiting"
    assert met(held, "list_pending_turn_inputs", "s") == "waiting"
    held.perform(Call("cancel_pending_turn_input", ("s", getattr(row, "input_id", ""))))
    assert met(held, "enqueue_pending_turn_input", draft) == "cancelled"
    assert met(held, "list_pending_turn_inputs", "s") == "all ended"


def test_the_checker_counts_the_state_before(tmp_path: Path) -> None:
    """A first claim meets a session that was never leased, and the second a live lease; each once."""
    held = checker(tmp_path)
    for _ in range(3):
        held.perform(Call("try_claim_session_execution_lease", ("s", OWNER, 10)))
    assert {each[3] for each in held.tally.answers} == {"never leased", "live"}
    assert len(held.tally.answers) == 2
    assert ("LEASE-13", "try_claim_session_execution_lease: Acquired", "live") in cells_of(held.tally.answers)


def test_what_no_call_may_show_meets_nothing(tmp_path: Path) -> None:
    """An argument that the protocol does not admit is refused before any state is looked at."""
    held = checker(tmp_path)
    assert isinstance(held.perform(Call("try_claim_session_execution_lease", (None, OWNER, 10))), Refused)
    assert held.tally.answers == set()


def test_kinds_of_answers() -> None:
    """Of a refusal the error's kind, of several things whether there are any, of nothing that."""
    kinds = [kind_of_answer(each) for each in ((), (1,), None, Refused(Backend("failed")), OWNER)]
    assert kinds == ["none", "some", "nothing", "Backend", "LeaseOwnerIdentity"]
