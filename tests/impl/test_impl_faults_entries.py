"""All or nothing, beyond leases and plain commits: a fault at any statement of any call undoes all of it."""

from __future__ import annotations

import secrets

import pytest
from fencepost.spec import (
    AlreadyCancelled,
    AlreadyCompleted,
    Backend,
    Busy,
    Cancelled,
    FullGraph,
    InputId,
    PendingTurnInputDraft,
    SourceKey,
    StoreError,
)
from impl_builders import BOB, TTL, FaultyEngine, dump, full_commit, node, store_on
from impl_entries import (
    EVERY_CALL,
    GRAPHS,
    KEYED,
    KEYED_WORK,
    World,
    draft,
    observed,
    same_world,
    settling,
    work,
)
from msgspec.structs import replace

STATEMENTS = {
    "settling commit": 14,
    "commit that defers nothing": 10,
    "replay": 4,
    "enqueue": 2,
    "enqueue for a turn": 2,
    "bulk cancel": 4,
    "single cancel": 4,
    "suffix cancel": 5,
    "active claim": 4,
    "next claim": 4,
    "abandon of a next claim": 4,
    "abandon of an active claim": 4,
    "enqueue work": 2,
    "work claim": 4,
    "command claim": 4,
    "renew work": 1,
    "abandon work": 1,
    "cancel work": 3,
    "tombstone": 4,
    "vacuum": 6,
    "gc": 6,
    "record intent": 1,
    "record again": 1,
    "commit refs": 1,
    "forget": 1,
}


@pytest.fixture(autouse=True)
def chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """No chance: two stores with one history have the same rows."""
    monkeypatch.setattr(secrets, "token_hex", lambda length: "0" * 2 * length)


def prepared() -> tuple[FaultyEngine, World]:
    """A store with something of every kind in it."""
    engine = FaultyEngine()
    return engine, same_world(engine)


def everything(engine: FaultyEngine, there: World) -> tuple[object, ...]:
    """All that the store shows and all that it holds: reads, lists, manifest, replays of keyed drafts, leases; every row."""
    replays = [there.store.enqueue_pending_turn_input(each) for each in KEYED]
    work_replays = [there.store.enqueue_queued_work(each) for each in KEYED_WORK]
    replay = there.store.commit_runtime_state(there.first)
    held = [there.store.try_claim_session_execution_lease(session, BOB_TOO, TTL) for session in ("s", "other")]
    assert all(isinstance(each, Busy) for each in held)
    return observed(there.store), replays, work_replays, replay, held, dump(engine)


BOB_TOO = replace(BOB, incarnation_id="bob-2")


@pytest.mark.slow
@pytest.mark.parametrize("name", STATEMENTS)
def test_a_fault_at_any_statement_undoes_the_call(name: str) -> None:
    """Wherever a call fails, before a statement or after it, everything is as before; then it does what it was to do."""
    engine, there = prepared()
    call, before = EVERY_CALL[name], everything(engine, there)
    for at in range(STATEMENTS[name]):
        # what was run last has taken effect: that its answer is lost is another matter
        for runs_it in (False, True)[: 1 if at == STATEMENTS[name] - 1 else 2]:
            with engine.failing(at, runs_it=runs_it), pytest.raises(Backend, match="injected fault"):
                call(there)
            assert everything(engine, there) == before
    answer = call(there)
    unharmed_engine, unharmed = prepared()
    assert call(unharmed) == answer
    assert dump(engine) == dump(unharmed_engine) != before[-1]


@pytest.mark.parametrize("at", range(14))
def test_a_commit_succeeds_after_a_fault_at_any_of_its_statements(at: int) -> None:
    """A commit with every part that failed anywhere can be made again, and then leaves what it leaves without a fault."""
    engine, there = prepared()
    with engine.failing(at), pytest.raises(Backend, match="injected fault"):
        there.store.commit_runtime_state(settling(there))
    there.store.commit_runtime_state(settling(there))
    unharmed_engine, unharmed = prepared()
    unharmed.store.commit_runtime_state(settling(unharmed))
    assert dump(engine) == dump(unharmed_engine)


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_statements_are_all_there_are(name: str) -> None:
    """The table above names every statement: a fault behind the last one is met by nobody."""
    engine, there = prepared()
    with engine.failing(STATEMENTS[name]):
        EVERY_CALL[name](there)
        assert engine.fails_at == 0


@pytest.mark.parametrize("graph", ["append of a stored node", "full replacement"])
def test_a_fault_in_a_commit_that_replaces_nodes_undoes_it(graph: str) -> None:
    """A commit that drops or replaces nodes brings them back when it fails, wherever that is."""
    engine, there = prepared()
    before = everything(engine, there)
    for at in range(14):
        with engine.failing(at), pytest.raises(Backend, match="injected fault"):
            there.store.commit_runtime_state(settling(there, GRAPHS[graph]))
        assert dump(engine) == before[-1]
    assert everything(engine, there) == before
    there.store.commit_runtime_state(settling(there, GRAPHS[graph]))
    shown = there.store.load_session(FullGraph())
    assert shown is not None
    assert [each.node_id for each in shown.graph.nodes] == {
        "append of a stored node": ["m7", "n0", "m0", "b"],
        "full replacement": ["n0", "c"],
    }[graph]


def test_a_commit_whose_answer_was_lost_is_answered_by_its_repetition() -> None:
    """A commit that settled claims and lost its answer is replayed although the claims are gone (DONE-8)."""
    engine, there = prepared()
    with engine.failing(13, runs_it=True), pytest.raises(Backend, match=r"commit: .*injected fault"):
        there.store.commit_runtime_state(settling(there))
    landed = dump(engine)
    assert there.store.commit_runtime_state(settling(there)).head_revision == 3
    assert dump(engine) == landed
    assert there.store.list_queued_work("s")[0].source_key == "work waits"


def test_a_keyed_submission_whose_answer_was_lost_is_answered_by_its_repetition() -> None:
    """An input or a batch that was stored and not acknowledged is there once, and its repetition finds it."""
    engine, there = prepared()
    for name in ("enqueue", "enqueue work"):
        with engine.failing(1, runs_it=True), pytest.raises(Backend, match="injected fault"):
            EVERY_CALL[name](there)
    landed = dump(engine)
    assert there.store.enqueue_pending_turn_input(draft("new", key="new")) in there.store.list_pending_turn_inputs("s")
    assert there.store.enqueue_queued_work(work("new", key="new")) in there.store.list_queued_work("s")
    assert dump(engine) == landed


def test_a_cancellation_whose_answer_was_lost_is_told_by_its_repetition() -> None:
    """What a bulk cancellation did before its answer was lost is answered as done already."""
    engine, there = prepared()
    targets = (SourceKey("waits"), InputId(there.input_id))
    with engine.failing(3, runs_it=True), pytest.raises(Backend, match="injected fault"):
        there.store.cancel_pending_turn_inputs("s", targets)
    assert [type(each.outcome) for each in there.store.cancel_pending_turn_inputs("s", targets)] == [AlreadyCancelled] * 2


def test_a_claim_whose_answer_was_lost_lapses() -> None:
    """A claim that was granted to nobody's knowledge holds its inputs until its time is over, and no longer."""
    engine, there = prepared()
    with engine.failing(3, runs_it=True), pytest.raises(Backend, match="injected fault"):
        EVERY_CALL["next claim"](there)
    assert EVERY_CALL["next claim"](there) is None
    later = store_on(engine, lambda: 1_000_000 + TTL)
    keys = [each.source_key for each in later.list_pending_turn_inputs("s")]
    assert keys == ["taken", "late", "waits", "waits too"]


@pytest.mark.parametrize("spoilt", ["second queue completion", "first input completion", "second input completion"])
def test_a_refused_settlement_settles_nothing(spoilt: str) -> None:
    """A commit of which one completion is bad leaves everything as it was, the good ones before it too (COMMIT-34)."""
    engine, there = prepared()
    whole = settling(there)
    (queue,), (taken, accepted) = whole.completed_queue_claims, whole.completed_turn_input_claims
    spoiling: dict[str, dict[str, object]] = {
        "second queue completion": {"completed_queue_claims": (queue, replace(queue, lease_token="forged"))},
        "first input completion": {"completed_turn_input_claims": (replace(taken, lease_token="forged"), accepted)},
        "second input completion": {"completed_turn_input_claims": (taken, replace(accepted, claim_id="forged"))},
    }
    before = everything(engine, there)
    with pytest.raises(StoreError, match="does not hold"):
        there.store.commit_runtime_state(replace(whole, **spoiling[spoilt]))
    assert everything(engine, there) == before
    there.store.commit_runtime_state(whole)
    (outcome,) = there.store.cancel_pending_turn_inputs("s", (SourceKey("taken"),))
    assert isinstance(outcome.outcome, AlreadyCompleted)


def replayed(there: World, drafts: tuple[PendingTurnInputDraft, ...]) -> list[str]:
    """The states in which replays of these drafts find their inputs."""
    return [there.store.enqueue_pending_turn_input(each).state.name for each in drafts]


def test_what_the_faults_would_have_torn_apart() -> None:
    """The settling commit changes all of this at once: nodes, usage, batches, inputs of three kinds, attachments, lane."""
    _, there = prepared()
    assert replayed(there, KEYED) == [*("DeferredNextTurn", "Accepted", "PendingActive"), *["DeferredNextTurn"] * 2]
    there.store.commit_runtime_state(settling(there))
    deferred = replace(KEYED[2], ingress=KEYED[0].ingress)
    assert replayed(there, (*KEYED[:2], deferred, *KEYED[3:])) == [*["Completed"] * 2, *["DeferredNextTurn"] * 3]
    assert [each.source_key for each in there.store.list_queued_work("s")] == ["work waits"]
    assert [each.attachment_id for each in there.store.list_uncommitted(99)] == ["a2"]
    assert there.store.load_node("b") == node("b", "a")
    assert isinstance(there.store.cancel_pending_turn_input("s", there.input_id), Cancelled)
    assert not isinstance(there.store.try_claim_session_execution_lease("s", BOB_TOO, TTL), Busy)
    assert there.store.commit_runtime_state(full_commit(there.lease, 1)).head_revision == 3
