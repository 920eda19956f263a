"""What the checks of kept versions find: of one input, of one runtime, and of a runtime that is to be recovered."""

from __future__ import annotations

from typing import Any

import pytest
from fencepost.model import State
from fencepost.model.lifecycle import Finding, check_input_versions, check_recovery, check_runtime_states
from fencepost.spec import (
    InputAbandonReason,
    InputDurability,
    InputLifecycleState,
    InputState,
    InputTerminalOutcome,
    Json,
    MaxAttempts,
    MaxAttemptsExhausted,
    OutcomeAbandoned,
    OutcomeCoalesced,
    OutcomeConsumed,
    OutcomeSuperseded,
    RuntimeState,
)
from fencepost.spec.catalogue import requirements
from model_builders import ours
from msgspec.structs import replace
from store_builders import I1, I2, I3, RUN, T1, after, boundary, entry, input_state, lifecycle, persist

S, T = InputLifecycleState, RuntimeState


@pytest.mark.parametrize(
    ("states", "findings"),
    [
        ((), ()),
        ((T.Destroyed,), ()),
        ((T.Initializing, T.Idle, T.Running, T.Retired, T.Stopped, T.Destroyed), ()),
        ((T.Idle, T.Idle, T.Running, T.Recovering, T.Running, T.Retired, T.Idle), ()),
        ((T.Initializing, T.Retired, T.Running, T.Destroyed, T.Destroyed), ()),
        ((T.Idle, T.Attached, T.Idle), (Finding(1, "RUNTIME-57", "attached is never written: idle stands for it"),)),
        ((T.Idle, T.Initializing), (Finding(1, "RUNTIME-70", "nothing leads from idle to initializing"),)),
        ((T.Stopped, T.Stopped, T.Idle), (Finding(2, "RUNTIME-70", "nothing leads from stopped to idle"),)),
        ((T.Destroyed, T.Stopped, T.Destroyed), (Finding(1, "RUNTIME-70", "nothing leads from destroyed to stopped"),)),
        (
            (T.Destroyed, T.Attached, T.Initializing),
            (
                Finding(1, "RUNTIME-57", "attached is never written: idle stands for it"),
                Finding(1, "RUNTIME-70", "nothing leads from destroyed to attached"),
                Finding(2, "RUNTIME-70", "nothing leads from attached to initializing"),
            ),
        ),
    ],
)
def test_runtime_57_and_70_what_is_wrong_with_states(states: tuple[RuntimeState, ...], findings: tuple[Finding, ...]) -> None:
    """States that were passed through may be missing; attached, ways back to the beginning and out of an end are found."""
    assert check_runtime_states(states) == findings


CONSUMED, REPLACED = OutcomeConsumed(), OutcomeSuperseded(I2)
CANCELLED = OutcomeAbandoned(InputAbandonReason.Cancelled)


def given_up(attempts: int) -> OutcomeAbandoned:
    """The outcome of an input that was staged so often."""
    return OutcomeAbandoned(MaxAttemptsExhausted(MaxAttempts(attempts)))


def to(version: InputState, *states: InputLifecycleState, outcome: InputTerminalOutcome | None = None) -> InputState:
    """The version after it went through these states, with an entry for each and attempts for its stagings."""
    for state in states:
        version = replace(
            version,
            current_state=state,
            history=(*version.history, entry(version.current_state, state, T1)),
            attempt_count=version.attempt_count + (state is S.Staged),
            last_run_id=RUN if state is S.Staged else version.last_run_id,
            last_boundary_sequence=0 if state is S.AppliedPendingConsumption else version.last_boundary_sequence,
            updated_at=T1,
        )
    return replace(version, terminal_outcome=outcome)


ACCEPTED = input_state()
QUEUED = to(ACCEPTED, S.Queued)
STAGED = to(QUEUED, S.Staged)
APPLIED = to(STAGED, S.Applied)
PENDING = to(APPLIED, S.AppliedPendingConsumption)
ALIVE = (ACCEPTED, QUEUED, STAGED, APPLIED, PENDING)
THRICE = to(QUEUED, S.Staged, S.Queued, S.Staged, S.Queued, S.Staged)

LAWFUL: dict[str, tuple[InputState, ...]] = {
    "nothing": (),
    "one version": (PENDING,),
    "the whole way": (*ALIVE, to(PENDING, S.Consumed, outcome=CONSUMED)),
    "only some of the versions": (ACCEPTED, STAGED, PENDING, to(PENDING, S.Consumed, outcome=CONSUMED)),
    "the same version again": (QUEUED, QUEUED, QUEUED),
    "consumed on acceptance": (ACCEPTED, to(ACCEPTED, S.Consumed, outcome=CONSUMED)),
    "superseded": (QUEUED, to(QUEUED, S.Superseded, outcome=REPLACED)),
    "superseded, first under a placeholder": (
        to(QUEUED, S.Superseded, outcome=OutcomeSuperseded(I3)),
        to(QUEUED, S.Superseded, outcome=REPLACED),
    ),
    "coalesced": (QUEUED, to(QUEUED, S.Coalesced, outcome=OutcomeCoalesced(I2))),
    **{f"abandoned when {each.current_state.value}": (each, to(each, S.Abandoned, outcome=CANCELLED)) for each in ALIVE},
    "rolled back": (STAGED, to(STAGED, S.Queued), to(STAGED, S.Queued, S.Staged)),
    "given up after three attempts": (THRICE, to(THRICE, S.Abandoned, outcome=given_up(3))),
    "given up at once": (ACCEPTED, to(THRICE, S.Abandoned, outcome=given_up(3))),
    "stamped by a boundary when accepted": (ACCEPTED, ACCEPTED.stamped(RUN, 0), ACCEPTED.stamped(RUN, 1)),
    "stamped with a smaller number": (QUEUED.stamped(RUN, 9), QUEUED.stamped(RUN, 2), to(QUEUED.stamped(RUN, 2), S.Staged)),
    "stamped at its end": (
        to(PENDING, S.Consumed, outcome=CONSUMED),
        to(PENDING, S.Consumed, outcome=CONSUMED).stamped(RUN, 3),
    ),
    "recovered from accepted": (ACCEPTED, to(ACCEPTED, S.Queued)),
    "recovered from staged": (STAGED, to(STAGED, S.Queued)),
    "recovered from staged after many attempts": (THRICE, to(THRICE, S.Queued), to(THRICE, S.Queued, S.Staged)),
    "recovered from applied, with a receipt": (APPLIED, to(APPLIED, S.Consumed, outcome=CONSUMED)),
    "recovered from applied, without": (APPLIED, to(APPLIED, S.Queued), to(APPLIED, S.Queued, S.Staged)),
    "recovered from pending consumption, with a receipt": (PENDING.stamped(RUN, 0), to(PENDING, S.Consumed, outcome=CONSUMED)),
    "recovered from pending consumption, without": (PENDING.stamped(RUN, 0), to(PENDING.stamped(RUN, 0), S.Queued)),
}


@pytest.mark.parametrize("versions", LAWFUL.values(), ids=LAWFUL.keys())
def test_runtime_69_lawful_versions_pass(versions: tuple[InputState, ...]) -> None:
    """What the table has, what boundaries stamp and what recovery does."""
    assert check_input_versions(versions) == ()


def without_history(version: InputState, state: InputLifecycleState, **fields: Any) -> InputState:
    """The version in another state, its history as it was."""
    return replace(version, current_state=state, **fields)


END = to(PENDING, S.Consumed, outcome=CONSUMED)
WRONG: dict[str, tuple[tuple[InputState, ...], tuple[tuple[int, str], ...]]] = {
    "an end without its outcome": (
        (PENDING, to(PENDING, S.Consumed)),
        ((1, "an input that is consumed has no outcome"),),
    ),
    "an outcome of another end": (
        (PENDING, to(PENDING, S.Consumed, outcome=CANCELLED)),
        ((1, "an input that is consumed has the outcome OutcomeAbandoned"),),
    ),
    "an outcome before the end": (
        (replace(QUEUED, terminal_outcome=CONSUMED),),
        ((0, "an input that is queued has the outcome OutcomeConsumed"),),
    ),
    "given up too early": (
        (to(STAGED, S.Abandoned, outcome=given_up(2)),),
        (
            (0, "it was given up after 2 attempts of 3"),
            (0, "it was given up after 2 attempts, but its attempts are 1"),
        ),
    ),
    "a step that no table has": (
        (ACCEPTED, to(ACCEPTED, S.Applied)),
        (
            (1, "an input that is applied has no run"),
            (1, "its history goes from accepted to applied"),
        ),
    ),
    "consumed from staged, which even recovery does not": (
        (STAGED, to(STAGED, S.Consumed, outcome=CONSUMED)),
        ((1, "its history goes from staged to consumed"),),
    ),
    "superseded once it is staged": (
        (STAGED, to(STAGED, S.Superseded, outcome=REPLACED)),
        ((1, "its history goes from staged to superseded"),),
    ),
    "a history with a gap": (
        (replace(STAGED, history=(entry(S.Accepted, S.Queued), entry(S.Staged, S.Applied)), current_state=S.Applied),),
        (
            (0, "it was updated at 2026-01-01T00:00:01Z, but its history ends at 2026-01-01T00:00:00Z"),
            (0, "its history goes on from staged where it had come to queued"),
            (0, "its history stages it 0 times, but its attempts are 1"),
        ),
    ),
    "a history that ends elsewhere": (
        (without_history(QUEUED, S.Staged),),
        (
            (0, "an input that is staged has no run"),
            (0, "its history ends at queued, but it is staged"),
        ),
    ),
    "another input": (
        (QUEUED, input_state(I2)),
        ((1, f"this is another input, {I2}"),),
    ),
    "a history that is lost": (
        (STAGED, replace(STAGED, history=())),
        (
            (1, "an input that is staged has no history"),
            (1, "it has lost or changed a part of its history"),
            (1, "its history stages it 0 times, but its attempts are 1"),
        ),
    ),
    "a history that is shorter": (
        (STAGED, QUEUED),
        ((1, "it has lost or changed a part of its history"),),
    ),
    "a history that is changed": (
        (QUEUED, replace(QUEUED, history=(entry(S.Accepted, S.Queued, "2030-01-01T00:00:00Z"),))),
        (
            (1, "it has lost or changed a part of its history"),
            (1, "it was updated at 2026-01-01T00:00:01Z, but its history ends at 2030-01-01T00:00:00Z"),
        ),
    ),
    "a step without an entry": (
        (ACCEPTED, without_history(ACCEPTED, S.Queued)),
        (
            (1, "an input that is queued has no history"),
            (1, "it went from accepted to queued without an entry in its history"),
        ),
    ),
    "an entry from where it was not": (
        (ACCEPTED, replace(ACCEPTED, history=(entry(S.Queued, S.Staged),), current_state=S.Staged, attempt_count=1)),
        (
            (1, "an input that is staged has no run"),
            (1, "its history begins at queued"),
            (1, "its history goes on from queued, but it was accepted"),
        ),
    ),
    "an end that is left": (
        (END, to(END, S.Queued)),
        ((1, "it left consumed, which is an end"), (1, "its history goes from consumed to queued")),
    ),
    "an end that is left in silence": (
        (replace(END, history=()), input_state(state=S.Queued, attempt_count=1)),
        (
            (0, "an input that is consumed has no history"),
            (0, "its history stages it 0 times, but its attempts are 1"),
            (1, "an input that is queued has no history"),
            (1, "it left consumed, which is an end"),
            (1, "it went from consumed to queued without an entry in its history"),
            (1, "its history stages it 0 times, but its attempts are 1"),
        ),
    ),
    "an end that is left and come back to": (
        (END, to(END, S.Queued, S.Superseded, outcome=REPLACED)),
        ((1, "it left consumed, which is an end"), (1, "its history goes from consumed to queued")),
    ),
    "a staging without a run": (
        (replace(STAGED, last_run_id=None),),
        ((0, "an input that is staged has no run"),),
    ),
    "a boundary without a number": (
        (replace(PENDING, last_boundary_sequence=None),),
        ((0, "an input that is applied_pending_consumption has no number of a boundary"),),
    ),
    "a first version that has gone on in silence": (
        (input_state(state=S.Queued),),
        ((0, "an input that is queued has no history"),),
    ),
    "a history that begins in the middle": (
        (replace(STAGED, history=STAGED.history[1:]),),
        ((0, "its history begins at queued"),),
    ),
    "an update that is no step": (
        (replace(QUEUED, updated_at="2026-01-02T00:00:00Z"),),
        ((0, f"it was updated at 2026-01-02T00:00:00Z, but its history ends at {T1}"),),
    ),
    "given up for attempts that it had not": (
        (to(THRICE, S.Abandoned, outcome=given_up(4)),),
        ((0, "it was given up after 4 attempts, but its attempts are 3"),),
    ),
    "given up for its attempts when it was queued": (
        (to(THRICE, S.Queued, S.Abandoned, outcome=given_up(3)),),
        ((0, "it was given up for its attempts when it was queued, not when it was rolled back"),),
    ),
    "an end for another reason": (
        (
            to(QUEUED, S.Abandoned, outcome=CANCELLED),
            to(QUEUED, S.Abandoned, outcome=OutcomeAbandoned(InputAbandonReason.Reset)),
        ),
        ((1, "the reason for which it was abandoned has changed"),),
    ),
    "attempts without a staging": (
        (QUEUED, replace(QUEUED, attempt_count=1)),
        ((1, "its history stages it 0 times, but its attempts are 1"),),
    ),
    "a staging without an attempt": (
        (QUEUED, replace(STAGED, attempt_count=0)),
        ((1, "its history stages it 1 times, but its attempts are 0"),),
    ),
    "attempts that are lost": (
        (THRICE, replace(to(THRICE, S.Queued), attempt_count=0)),
        ((1, "its history stages it 3 times, but its attempts are 0"),),
    ),
    "two faults in two versions": (
        (replace(QUEUED, terminal_outcome=CONSUMED), to(QUEUED, S.Applied)),
        (
            (0, "an input that is queued has the outcome OutcomeConsumed"),
            (1, "an input that is applied has no run"),
            (1, "its history goes from queued to applied"),
        ),
    ),
}


@pytest.mark.parametrize(("versions", "found"), WRONG.values(), ids=WRONG.keys())
def test_runtime_69_wrong_versions_are_found(versions: tuple[InputState, ...], found: tuple[tuple[int, str], ...]) -> None:
    """Each kind of fault is told with its version and a sentence, and nothing besides."""
    assert check_input_versions(versions) == tuple(Finding(place, "RUNTIME-69", says) for place, says in found)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"input_type": "prompt", "header": {"source": {"type": "system"}}}, ["kind prompt"]),
        ({"input_type": "flow_step"}, ["kind flow_step"]),
        ({"input_type": "continuation", "header": {"source": {"type": "operator"}}}, ["source operator"]),
        ({"input_type": "prompt", "header": {"source": {"type": "peer"}}}, ["kind prompt", "source peer"]),
        ({"input_type": "operation", "header": {"source": {"type": "external"}}}, ["source external"]),
        ({"input_type": "operation", "header": {"source": {"type": "flow"}}}, []),
        ({"input_type": "peer", "header": {"source": {"type": "system"}}}, []),
        ({"input_type": "operator", "header": {"source": {"type": "prompt"}}}, []),
        ({"header": {"source": "operator"}}, []),
        ({"header": []}, []),
        ([{"input_type": "prompt"}], []),
    ],
)
def test_runtime_67_what_cannot_be_derived(content: object, says: list[str]) -> None:
    """An input that says that it can be made again, from where nothing could; another durability is none of that."""
    derived = replace(ACCEPTED, durability=InputDurability.Derived, persisted_input=Json(content))
    sentences = [f"an input of the {each} is derived, and nothing could make it again" for each in says]
    expected = [Finding(0, "RUNTIME-67", each) for each in sentences]
    assert list(check_input_versions((derived,))) == expected
    for other in (replace(derived, durability=InputDurability.Durable), replace(derived, persisted_input=None)):
        assert check_input_versions((other,)) == ()


@pytest.mark.parametrize("before", [each for each in S if each in (S.Consumed, S.Superseded, S.Coalesced, S.Abandoned)])
@pytest.mark.parametrize("then", S)
def test_runtime_69_no_end_is_ever_left(before: InputLifecycleState, then: InputLifecycleState) -> None:
    """Whatever state comes after an end of an input, it is found, unless it is the same."""
    outcomes = {S.Consumed: CONSUMED, S.Superseded: REPLACED, S.Coalesced: OutcomeCoalesced(I2), S.Abandoned: CANCELLED}
    versions = [input_state(state=each, terminal_outcome=outcomes.get(each)) for each in (before, then)]
    left = [each for each in check_input_versions(versions) if each.says == f"it left {before.value}, which is an end"]
    assert len(left) == (then is not before)


def test_versions_that_the_store_stamped_are_lawful() -> None:
    """What the model keeps of an input through lawful writes and boundaries between them is what the check passes."""
    state, kept = State(), []
    for call in (
        persist(ACCEPTED),
        boundary(QUEUED, STAGED),
        boundary(APPLIED),
        lifecycle(T.Idle, replace(PENDING, last_run_id=RUN, last_boundary_sequence=1)),
        boundary(END),
    ):
        state = after(call, state=state)
        kept.append(ours(state, "load_input_state", "r", I1).answer)
    versions = [each for each in kept if isinstance(each, InputState)]
    assert [each.last_boundary_sequence for each in versions] == [None, 0, 1, 1, 2]
    assert check_input_versions(versions) == ()


EPHEMERAL = replace(QUEUED, durability=InputDurability.Ephemeral)
DERIVED = replace(STAGED, input_id=I2, durability=InputDurability.Derived)


@pytest.mark.parametrize(
    ("state", "inputs", "found"),
    [
        (None, (QUEUED,), ()),
        (T.Idle, (QUEUED, DERIVED), ()),
        (T.Retired, (QUEUED,), ()),
        (T.Stopped, (), ()),
        (T.Stopped, (END, EPHEMERAL), ()),
        (T.Stopped, (END, EPHEMERAL, QUEUED), ((2, f"input {I1} is queued in a runtime that is stopped"),)),
        (
            T.Destroyed,
            (ACCEPTED, END, DERIVED),
            (
                (0, f"input {I1} is accepted in a runtime that is destroyed"),
                (2, f"input {I2} is staged in a runtime that is destroyed"),
            ),
        ),
    ],
)
def test_runtime_62_what_keeps_a_runtime_from_being_recovered(
    state: RuntimeState | None, inputs: tuple[InputState, ...], found: tuple[tuple[int, str], ...]
) -> None:
    """Inputs that have not come to their end, in a runtime that has; ephemeral ones do not count."""
    assert check_recovery(state, inputs) == tuple(Finding(place, "RUNTIME-62", says) for place, says in found)


@pytest.mark.parametrize("state", [T.Stopped, T.Destroyed])
@pytest.mark.parametrize("held", S)
def test_runtime_62_every_state_of_an_input_in_a_runtime_at_its_end(state: RuntimeState, held: InputLifecycleState) -> None:
    """The five states that are no end are found, and the four that are one are not."""
    found = check_recovery(state, [input_state(state=held)])
    assert len(found) == (0 if held in (S.Consumed, S.Superseded, S.Coalesced, S.Abandoned) else 1)


def test_every_finding_cites_a_requirement_of_the_catalogue() -> None:
    """They bind callers, so no run of a store reaches them."""
    for each in ("RUNTIME-57", "RUNTIME-62", "RUNTIME-69", "RUNTIME-70"):
        assert requirements()[each].internal
