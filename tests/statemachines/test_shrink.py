"""The shrinker: what is minted, what it is called in another run, what rests on what, and what is plainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from fencepost.spec import (
    Acquired,
    AgentEventEnvelope,
    AgentEventText,
    Cancelled,
    CheckpointKind,
    DeliveryPolicy,
    FileRef,
    Final,
    Group,
    ImageBlob,
    Inline,
    InputId,
    Json,
    LeaseOwnerIdentity,
    Never,
    PendingTurnInput,
    PendingTurnInputDraft,
    ProcessWake,
    Progress,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkCompletion,
    QueuedWorkItem,
    RuntimeCommitResult,
    SessionCheckpoint,
    SessionExecutionLease,
    SlotPolicy,
    SourceKey,
    Start,
    Text,
    TurnInput,
    TurnInputClaim,
    TurnInputClaimModeNextTurn,
    TurnInputCompletion,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
    TurnInputState,
)
from fencepost.spec.commit import PersistedTurnState
from fencepost.statemachines.checker import Call, Event, Move, Performed, Violation
from fencepost.statemachines.minted import Renaming, kind_of, minted_in, origin, places, places_shown
from fencepost.statemachines.plainer import plainer_values
from fencepost.statemachines.shrink import grounded, shrunk
from msgspec.structs import replace

A, B = LeaseOwnerIdentity("a", "1"), LeaseOwnerIdentity("b", "1")
NEXT = TurnInputIngressNextTurn()


def row(input_id: str, seq: int = 1) -> PendingTurnInput:
    """An input that waits for the next turn."""
    return PendingTurnInput(input_id, "s", seq, None, NEXT, TurnInputState.DeferredNextTurn, 1_000, TurnInput())


def draft(input_id: str | None = None) -> PendingTurnInputDraft:
    """The draft of such an input."""
    return PendingTurnInputDraft(session_id="s", input_id=input_id, ingress=NEXT, input=TurnInput())


def claim(claim_id: str, token: str, *ids: str, now: int = 1_000) -> TurnInputClaim:
    """A claim of inputs."""
    rows = tuple(row(each, place) for place, each in enumerate(ids))
    return TurnInputClaim("s", claim_id, A, token, 1, now, now + 10, TurnInputClaimModeNextTurn(), rows)


def lease(token: str, fence: int = 1) -> SessionExecutionLease:
    """A lease of session s."""
    return SessionExecutionLease("s", A, token, fence, 1_000, 1_010)


def did(operation: str, *arguments: object, answer: object = None) -> Event:
    """A call of a program."""
    return Event(1_000, Call(operation, arguments), answer)


@pytest.mark.parametrize(
    ("field", "record", "kind"),
    [
        ("claim_id", TurnInputClaim, "claim_id of input claim"),
        ("claim_id", QueuedWorkClaim, "claim_id of work claim"),
        ("lease_token", TurnInputCompletion, "lease_token of input claim"),
        ("lease_token", SessionExecutionLease, "lease_token of lease"),
        ("input_ids", TurnInputCompletion, "input_id"),
        ("value", InputId, "input_id"),
        ("value", SourceKey, None),
        ("input_id", None, "input_id"),
        ("batch_ids", None, "batch_id"),
        ("item_id", QueuedWorkItem, "item_id"),
        ("tool_state_ref", SessionCheckpoint, "ref"),
        ("session_id", TurnInputClaim, None),
        ("node_id", None, None),
        ("attachment_ids", None, None),
    ],
)
def test_what_stores_mint_is_told_by_its_field(field: str, record: type | None, kind: str | None) -> None:
    """Ids and tokens of two kinds of claims are two kinds of names; what callers make up is none."""
    assert kind_of(field, record) == kind


def test_every_place_of_a_minted_value_is_found() -> None:
    """At any depth, with the path that leads to it."""
    shown = [(place.path, place.kind, place.text) for place in places((Cancelled(row("i")), claim("c", "t", "i", "j")))]
    assert shown == [
        ("[0].input.input_id", "input_id", "i"),
        ("[1].claim_id", "claim_id of input claim", "c"),
        ("[1].lease_token", "lease_token of input claim", "t"),
        ("[1].inputs[0].input_id", "input_id", "i"),
        ("[1].inputs[1].input_id", "input_id", "j"),
    ]


def test_arguments_are_known_by_their_parameters() -> None:
    """A text that is an argument by itself is an id if its parameter says so."""
    call = Call("cancel_queued_work_batch", ("s", "batch"))
    assert [(place.kind, place.text) for place in places_shown(call)] == [("batch_id", "batch")]


def test_an_id_that_a_caller_gave_is_not_minted() -> None:
    """Whoever answers it later, and however often; an id of another kind with the same text is."""
    program = (
        did("enqueue_pending_turn_input", draft("mine"), answer=row("mine")),
        did("enqueue_pending_turn_input", draft(), answer=row("theirs")),
        did("list_pending_turn_inputs", "s", answer=(row("mine"), row("theirs"))),
        did("claim_next_turn_inputs", "s", lease("l").fence(), A, 10, 1, answer=claim("mine", "t", "mine")),
    )
    assert minted_in(program) == {
        "input_id": {"theirs"},
        "claim_id of input claim": {"mine"},
        "lease_token of input claim": {"t"},
    }


def test_an_alteration_leads_to_what_was_altered() -> None:
    """By something put behind it that is no longer name."""
    assert origin("token'", {"token", "tok", "other"}) == "token"
    assert origin("token", {"token"}) == "token"
    assert origin("input-12", {"input-1"}) is None
    assert origin("nowhere", set()) is None


def test_a_call_is_grounded_by_any_answer_that_shows_what_it_shows() -> None:
    """Without the call that minted an id, and without a list that shows it, it may not be cancelled."""
    enqueue = did("enqueue_pending_turn_input", draft(), answer=row("i"))
    listing = did("list_pending_turn_inputs", "s", answer=(row("i"),))
    cancel = did("cancel_pending_turn_input", "s", "i", answer=Cancelled(row("i")))
    whole = (enqueue, listing, cancel)
    assert grounded(whole, whole)
    assert grounded((listing, cancel), whole)
    assert not grounded((cancel,), whole)
    assert not grounded((did("cancel_pending_turn_input", "s", "i'"),), whole)
    assert grounded((did("cancel_pending_turn_input", "s", "nothing"),), whole)


def test_a_lease_is_grounded_as_before() -> None:
    """A fence shows a lease that some call before it answered."""
    granted = did("try_claim_session_execution_lease", "s", A, 10, answer=Acquired(lease("l")))
    renewal = did("renew_session_execution_lease", lease("l").fence(), 10, answer=lease("l"))
    assert grounded((granted, renewal), (granted, renewal))
    assert not grounded((renewal,), (granted, renewal))


def renaming() -> Renaming:
    """What a run calls an input, a claim of two and a lease that were called otherwise before."""
    found = Renaming()
    found.learn(Acquired(lease("l", 3)), Acquired(lease("L", 1)))
    found.learn(row("i"), row("I"))
    found.learn(row("j"), row("J"))
    found.learn(claim("c", "t", "i", "j"), claim("C", "T", "I", "J", now=900))
    return found


@pytest.mark.parametrize(
    ("shown", "becomes"),
    [
        (("s", "i"), ("s", "I")),
        (("s", "nothing"), ("s", "nothing")),
        ((InputId("j"), SourceKey("j")), (InputId("J"), SourceKey("j"))),
        (claim("c", "t", "i", "j"), claim("C", "T", "I", "J", now=900)),
        (TurnInputCompletion("s", "c", "t", ("j", "i", "x")), TurnInputCompletion("s", "C", "T", ("J", "I", "x"))),
        (TurnInputCompletion("s2", "c'", "t", ()), TurnInputCompletion("s2", "C'", "T", ())),
        # the same texts in another kind of claim are other names
        (QueuedWorkCompletion("s", "c", "t", ("i",)), QueuedWorkCompletion("s", "c", "t", ("i",))),
        (lease("l", 3).fence(), lease("L", 1).fence()),
        (lease("l", 5).fence(), lease("L", 3).fence()),
        (lease("l'", 3).fence(), lease("L'", 1).fence()),
        (lease("forged", 3).fence(), lease("forged", 3).fence()),
        (draft("i"), draft("I")),
        (draft("own"), draft("own")),
    ],
)
def test_what_is_shown_again_has_the_name_that_it_has_now(shown: object, becomes: object) -> None:
    """Ids, claims, completions and proofs, exact and altered; what nobody minted stays."""
    assert renaming().apply(shown) == becomes


def test_a_claim_that_is_shown_again_is_the_claim_that_was_granted_now() -> None:
    """Times, counters and rows are those of this run; what was altered in it stays altered."""
    now = claim("C", "T", "I", now=900)
    found = Renaming()
    found.learn(claim("c", "t", "i", "j"), now)
    assert found.apply(claim("c", "t", "i", "j")) == now
    assert found.apply(claim("c", "t", "i", "j").completion()) == now.completion()
    assert found.apply(replace(claim("c", "t", "i", "j"), expires_at_epoch_ms=5)) == replace(now, expires_at_epoch_ms=5)
    assert found.apply(replace(claim("c", "t", "i", "j"), claim_id="c'")) == replace(now, claim_id="C'")


def test_the_first_answer_that_brought_a_name_tells_what_it_is_now() -> None:
    """A list that has become shorter does not confuse names that are known."""
    found = Renaming()
    found.learn(row("i"), row("I"))
    found.learn(row("j"), row("J"))
    found.learn((row("i"), row("j")), (row("J"),))
    assert found.apply(("i", "j")) == ("I", "J")


def test_refs_are_carried_over() -> None:
    """Those of the checkpoint and of its parts."""
    found = Renaming()
    for_parts = SessionCheckpoint(PersistedTurnState(), tool_state_ref="part")
    found.learn(
        RuntimeCommitResult(1, "ref", for_parts), RuntimeCommitResult(1, "REF", replace(for_parts, tool_state_ref="PART"))
    )
    assert found.apply(replace(for_parts, execution_state_ref="ref")) == replace(
        for_parts, tool_state_ref="PART", execution_state_ref="REF"
    )


AN_INSTANT, TEXT = "2026-01-01T00:00:00Z", AgentEventText("m", "t")

PLAINER: list[tuple[Any, list[object]]] = [
    (5, []),
    (8_193, [10, 1]),
    ("short", []),
    ("0\x1f", ["s", AN_INSTANT]),
    ("a longer text", ["s", AN_INSTANT]),
    (AN_INSTANT, ["s"]),
    (Json({"n": 1}), [Json()]),
    (Json(), []),
    (ProcessWake(Json(1)), [ProcessWake(Json())]),
    (("a longer text", "b"), [("b",), ("a longer text",), ("s", "b"), (AN_INSTANT, "b")]),
    (TurnInput((Text("hi"),)), [TurnInput(), TurnInput()]),
    (TurnInputIngressActiveTurn("t"), [NEXT]),
    (
        Final(FileRef("/out/report.md"), False),
        [Progress(""), *(Final(each, False) for each in (Inline(Json()), FileRef("s"), FileRef(AN_INSTANT)))],
    ),
    (AgentEventText("message", "text"), []),
    (Start("th", 1), [AgentEventText("m", "t")]),
    (
        AgentEventEnvelope(UUID(int=1), 2, f"{AN_INSTANT[:-1]}.000000001Z", TEXT),
        [AgentEventEnvelope(UUID(int=1), 2, AN_INSTANT, TEXT)],
    ),
    (Progress("draft"), []),
    (Group("group"), []),
    (InputId("a minted id of some length"), []),
    (claim("a long claim id", "a long lease token", "a long input id"), []),
    (lease("a long lease token", 10**6).fence(), []),
    (TurnInputCompletion("s", "a long claim id", "token", ("i",)), [TurnInputCompletion("s", "a long claim id", "token")] * 2),
    (replace(draft(), input_id="a long id of my own"), [draft()]),
    (CheckpointKind.AfterWork, []),
    (Never(), []),
]


@pytest.mark.parametrize(("value", "plainer"), PLAINER)
def test_plainer_values_are_few_and_spare_what_is_minted(value: object, plainer: list[object]) -> None:
    """Fewer items, fields at their defaults, small numbers, plain text; claims and proofs stay as they were granted."""
    assert list(plainer_values(value)) == plainer


BATCH = QueuedWorkBatchDraft(
    session_id="s",
    delivery_policy=DeliveryPolicy.AfterCurrentTurnCommit,
    slot_policy=SlotPolicy.Exclusive,
    available_at_ms=2_000,
    payloads=(ProcessWake(Json(1)),),
)


TIMES = [(2**64 - 1, "claim_ttl_ms"), (0, "claim_ttl_ms")]


@pytest.mark.parametrize(("value", "field"), [*((value, "") for value, _ in PLAINER), (BATCH, "batch"), *TIMES])
def test_no_value_is_plainer_than_itself(value: object, field: str) -> None:
    """By whatever way, or a search for plainer ones would never end."""
    finished, under_way = list[object](), list[object]()

    def visit(each: object) -> None:
        assert each not in under_way
        if each in finished:
            return
        under_way.append(each)
        for plainer in plainer_values(each, field):
            visit(plainer)
        finished.append(under_way.pop())

    visit(value)


def test_plainer_values_are_values() -> None:
    """Two ids of one image that would become the same are no input."""
    first, second = ImageBlob("the first image", b""), ImageBlob("the second image", b"")
    plain, instant = ImageBlob("s", b""), ImageBlob(AN_INSTANT, b"")
    assert list(plainer_values(TurnInput((), (first, second)))) == [
        TurnInput(),
        TurnInput((), (second,)),
        TurnInput((), (first,)),
        TurnInput((), (plain, second)),
        TurnInput((), (instant, second)),
        TurnInput((), (first, plain)),
        TurnInput((), (first, instant)),
    ]


def test_ids_that_are_arguments_are_spared() -> None:
    """Only the number of batch ids may shrink."""
    ids = ("a batch id of some length", "another one")
    assert list(plainer_values(ids, "batch_id")) == [ids[1:], ids[:1]]


def failing(needs: Callable[[list[str]], bool]) -> Callable[[tuple[Event, ...]], Violation | None]:
    """A store that breaks MAINT-4 at a last vacuum, if the program before it has what this needs."""

    def attempt(program: tuple[Event, ...]) -> Violation | None:
        done = [event.action[0] for event in program]
        if not program or done[-1] != "vacuum" or not needs(done):
            return None
        call = program[-1].action
        assert isinstance(call, Call)
        violation = Violation(("MAINT-4",), [Performed(1_000, call, None)], (), "", "")
        violation.program = program
        return violation

    return attempt


ENQUEUE = did("enqueue_pending_turn_input", draft(), answer=row("i"))
CANCEL = did("cancel_pending_turn_input", "s", "i", answer=Cancelled(row("i")))
LISTING = did("list_queued_work", "s", answer=())
VACUUM = did("vacuum")


def shortened(program: tuple[Event, ...], needs: Callable[[list[str]], bool]) -> Violation:
    """The program shrunk as long as the store fails."""
    attempt = failing(needs)
    found = attempt(program)
    assert found is not None
    return shrunk(found, attempt)


def test_what_rests_on_a_call_goes_with_it() -> None:
    """An input that is only needed for its cancellation goes with it, wherever the two stand."""
    found = shortened(
        (ENQUEUE, LISTING, CANCEL, LISTING, VACUUM),
        lambda done: (ENQUEUE.action[0] in done) == (CANCEL.action[0] in done),
    )
    assert found.program == (VACUUM,)


def test_what_is_needed_stays() -> None:
    """A cancellation stays with the input that it cancels."""
    found = shortened((LISTING, ENQUEUE, LISTING, CANCEL, VACUUM), lambda done: CANCEL.action[0] in done)
    assert [event.action[0] for event in found.program] == [ENQUEUE.action[0], CANCEL.action[0], "vacuum"]
    assert found.requirements == ("MAINT-4",)


def test_a_reopening_that_is_needed_is_what_is_broken() -> None:
    """What shows only after the store was opened again was not held over it (VALUE-9)."""
    reopen = Event(1_000, Move("reopen", ()))
    found = shortened((LISTING, reopen, VACUUM), lambda done: "reopen" in done)
    assert found.program == (reopen, VACUUM)
    assert found.requirements == ("VALUE-9", "MAINT-4")
    assert shortened((LISTING, reopen, VACUUM), lambda _: True).requirements == ("MAINT-4",)


def test_what_is_left_by_an_interrupt_is_not_told_to_be_needed() -> None:
    """Nobody knows whether the store had to be opened again, and what the checker found comes first."""
    reopen, ends = Event(1_000, Move("reopen", ())), failing(lambda _: True)
    found = ends((LISTING, reopen, VACUUM))
    assert found is not None

    def interrupted(_: Any) -> Violation | None:
        raise KeyboardInterrupt

    violation = shrunk(found, interrupted)
    assert (violation.interrupted, violation.requirements) == (True, ("MAINT-4", "VALUE-9"))


Turn = tuple[str, int]


def finished(needs: Callable[[list[Turn]], bool], *turns: Turn) -> list[Turn]:
    """The turns that the shortest program finishes, of a store that breaks EVENT-15 where they have what it needs."""

    def broken(program: Any) -> Violation:
        violation = Violation(("EVENT-15",), (Performed(1_000, Call("finish_turn", ("th", 2)), None),), (), "", "")
        violation.program = program
        return violation

    def arguments(program: Any) -> list[Turn]:
        return [event.action.arguments for event in program]

    def attempt(program: Any) -> Violation | None:
        return broken(program) if len(program) == len(turns) and needs(arguments(program)) else None

    beginning = tuple(Event(1_000, Call("finish_turn", turn)) for turn in turns)
    return arguments(shrunk(broken(beginning), attempt).program)


def test_numbers_are_made_equal_to_smaller_ones_and_no_other_way_round() -> None:
    """Of two calls each of which could take the number of the other the larger changes, and the search ends."""
    found = finished(lambda turns: ("th", 1) not in turns, ("th", 3), ("th", 9), ("th", 2))
    assert found == [("th", 2), ("th", 2), ("th", 2)]


def test_a_number_that_several_calls_share_becomes_smaller_in_all_of_them() -> None:
    """Those that have to be equal stay so, and one that has to be larger than another too."""
    assert finished(lambda turns: turns[0] == turns[1], ("th", 7), ("th", 7)) == [("th", 1), ("th", 1)]
    found = finished(lambda turns: turns[0] == turns[2] > turns[1], ("th", 8_193), ("th", 5), ("th", 8_193))
    assert found == [("th", 2), ("th", 1), ("th", 2)]


def test_a_name_that_several_calls_share_becomes_plain_in_all_of_them() -> None:
    """Two that have to differ become two plain ones."""
    names = ("a thread\0", "another thread", "a thread\0")
    found = finished(lambda turns: turns[0] == turns[2] != turns[1], *((name, 1) for name in names))
    assert found == [("t", 1), ("s", 1), ("t", 1)]
