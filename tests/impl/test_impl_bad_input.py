"""What callers get wrong, and what is merely extreme: the law's answer or a typed error, nothing lost, nothing half done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fencepost.impl import DuckDBRuntimePersistence, Engine
from fencepost.spec import (
    Append,
    AttachmentIntent,
    Backend,
    Cancelled,
    EventPayload,
    FullGraph,
    InputId,
    InvalidArgument,
    Json,
    NotFound,
    PendingTurnInput,
    PluginSessionSnapshot,
    ProcessWake,
    QueuedWorkBatch,
    QueuedWorkClaimExpired,
    QueuedWorkCompletion,
    QueuedWorkPayloadSessionCommand,
    ResetSession,
    RuntimeCommit,
    SessionExecutionLeaseExpired,
    SessionMeta,
    SourceKey,
    TurnInputClaimExpired,
    TurnInputCompletion,
)
from impl_builders import TTL, acquired, dump, full_commit, node, plain_commit, run, store_on
from impl_entries import (
    AFTER_WORK,
    HOLDER,
    IDLE,
    World,
    claimed_next,
    claimed_work,
    draft,
    observed,
    same_world,
    settling,
    work,
)
from msgspec.structs import replace
from test_impl_durability import opened

COMMAND = QueuedWorkPayloadSessionCommand(ResetSession("why"))
WAKE = ProcessWake(Json("wake"))
MOST = 2**64 - 1


@pytest.fixture
def engine() -> Engine:
    """An engine in memory."""
    return Engine()


@pytest.fixture
def store(engine: Engine) -> DuckDBRuntimePersistence:
    """A store on it."""
    return store_on(engine)


@pytest.fixture
def there(engine: Engine) -> World:
    """A store with something of every kind in it."""
    return same_world(engine)


@pytest.mark.parametrize("payloads", [(), (WAKE, COMMAND), (COMMAND, WAKE, COMMAND)])
@pytest.mark.parametrize("place", ["first", "last"])
def test_a_batch_without_a_class_stops_claims_until_it_is_cancelled(
    engine: Engine, store: DuckDBRuntimePersistence, payloads: tuple[ProcessWake, ...], place: str
) -> None:
    """An empty or mixed batch is admitted and listed, makes every claim `Backend` wherever it stands, and can be cancelled."""
    lease = acquired(store)
    good = work("good")
    bad = work(payloads=payloads)
    batches = [store.enqueue_queued_work(each) for each in ((bad, good) if place == "first" else (good, bad))]
    assert store.list_queued_work("s") == store.list_pending_queued_work("s") == tuple(batches)
    before = dump(engine)
    claims: tuple[Callable[[], object], ...] = (
        lambda: store.claim_ready_queued_work("s", lease.fence(), HOLDER, IDLE, TTL, 1),
        lambda: store.claim_leading_ready_session_command("s", lease.fence(), HOLDER, TTL),
        lambda: store.claim_ready_queued_work_by_batch_ids("s", lease.fence(), HOLDER, IDLE, TTL, (batches[0].batch_id,)),
    )
    for claim in claims:
        with pytest.raises(Backend, match="no class"):
            claim()
    assert dump(engine) == before
    # the fence is looked at first
    with pytest.raises(SessionExecutionLeaseExpired):
        store.claim_leading_ready_session_command("s", replace(lease.fence(), fencing_token=9), HOLDER, TTL)
    (spoilt,) = [each for each in batches if each.work_class is None]
    assert store.cancel_queued_work_batch("s", spoilt.batch_id) == spoilt
    assert [each.items[0].payload for each in claimed_work(store, lease).batches] == [good.payloads[0]]


def test_a_batch_without_a_class_that_is_not_ready_harms_nobody(store: DuckDBRuntimePersistence) -> None:
    """A mixed batch of the future, and one of another session, are not looked at."""
    lease = acquired(store)
    good = store.enqueue_queued_work(work())
    store.enqueue_queued_work(work(payloads=(WAKE, COMMAND), available_at=1_000_001))
    store.enqueue_queued_work(work(payloads=(), session="other"))
    assert claimed_work(store, lease).batches == (good,)


IDS: dict[str, tuple[Callable[[tuple[str, ...]], tuple[str, ...]], bool]] = {
    "all of them": (lambda ids: ids, True),
    "backwards": (lambda ids: ids[::-1], True),
    "a part": (lambda ids: ids[1:], True),
    "none": (lambda ids: (), True),
    "one twice": (lambda ids: (ids[0], ids[0]), False),
    "all twice": (lambda ids: ids * 2, False),
    "one too many": (lambda ids: (*ids, "unknown"), False),
    "as many, one unknown": (lambda ids: (ids[0], "unknown"), False),
    "of nobody": (lambda ids: ("unknown",), False),
    "the empty text": (lambda ids: ("",), False),
}


@pytest.mark.parametrize("name", IDS)
def test_a_completion_of_inputs_settles_what_its_claim_holds(engine: Engine, there: World, name: str) -> None:
    """A list of ids that the claim holds, each once, is settled, and no more; any other list undoes the whole commit."""
    store = there.store
    claim = claimed_next(store, there.lease)
    held = claim.completion().input_ids
    listed, accepted = IDS[name][0](held), IDS[name][1]
    commit = replace(settling(there), completed_turn_input_claims=(replace(claim.completion(), input_ids=listed),))
    before = dump(engine)
    if not accepted:
        with pytest.raises(TurnInputClaimExpired) as caught:
            store.commit_runtime_state(commit)
        assert caught.value == TurnInputClaimExpired("s", claim.claim_id)
        assert dump(engine) == before
        return
    store.commit_runtime_state(commit)
    over = run(engine, "SELECT input_id FROM inputs WHERE state = 'completed' ORDER BY enqueue_seq")
    assert {input_id for (input_id,) in over} == set(listed)
    still = run(engine, "SELECT input_id FROM inputs WHERE claim_id = ?", claim.claim_id)
    assert {input_id for (input_id,) in still} == set(held) - set(listed)


@pytest.mark.parametrize("name", IDS)
def test_a_completion_of_batches_settles_what_its_claim_holds(
    engine: Engine, store: DuckDBRuntimePersistence, name: str
) -> None:
    """Batches likewise: those that are listed are gone, the others stay claimed."""
    lease = acquired(store)
    ids = tuple(store.enqueue_queued_work(work()).batch_id for _ in range(2))
    claim = claimed_work(store, lease)
    listed, accepted = IDS[name][0](ids), IDS[name][1]
    commit = replace(plain_commit(lease), completed_queue_claims=(replace(claim.completion(), batch_ids=listed),))
    before = dump(engine)
    if not accepted:
        with pytest.raises(QueuedWorkClaimExpired):
            store.commit_runtime_state(commit)
        assert dump(engine) == before
        return
    store.commit_runtime_state(commit)
    assert {each.batch_id for each in store.list_queued_work("s")} == set(ids) - set(listed)
    assert store.list_pending_queued_work("s") == ()


FORGED: dict[str, Callable[[World], RuntimeCommit]] = {
    "another token": lambda at: with_completions(at, replace(at.work.completion(), lease_token="forged")),
    "another claim id": lambda at: with_completions(at, replace(at.work.completion(), claim_id="forged")),
    "another session": lambda at: with_completions(at, replace(at.work.completion(), session_id="other")),
    "no claim at all": lambda at: with_completions(at, QueuedWorkCompletion("s", "", "", (at.batch_id,))),
    "an input's claim": lambda at: with_completions(at, as_work(at.taken.completion())),
    "inputs with another token": lambda at: with_completions(at, replace(at.taken.completion(), lease_token="forged")),
    "inputs of another session": lambda at: with_completions(at, replace(at.taken.completion(), session_id="other")),
    "inputs of the other claim": lambda at: with_completions(
        at, replace(at.taken.completion(), input_ids=at.accepted.completion().input_ids)
    ),
    "an input that waits": lambda at: with_completions(at, TurnInputCompletion("s", "", "", (at.input_id,))),
}


def with_completions(there: World, completion: QueuedWorkCompletion | TurnInputCompletion) -> RuntimeCommit:
    """A commit that settles this."""
    if isinstance(completion, QueuedWorkCompletion):
        return replace(settling(there), completed_queue_claims=(completion,))
    return replace(settling(there), completed_turn_input_claims=(there.taken.completion(), completion))


def as_work(completion: TurnInputCompletion) -> QueuedWorkCompletion:
    """The proof of inputs, shown as one of batches."""
    return QueuedWorkCompletion("s", completion.claim_id, completion.lease_token, completion.input_ids)


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_completion_undoes_the_commit(engine: Engine, there: World, name: str) -> None:
    """A completion whose proof is not that of the entries is the claim-expired error, and settles nothing."""
    before = dump(engine)
    with pytest.raises((QueuedWorkClaimExpired, TurnInputClaimExpired)):
        there.store.commit_runtime_state(FORGED[name](there))
    assert dump(engine) == before
    there.store.commit_runtime_state(settling(there))


def test_forged_claims_move_nothing(engine: Engine, there: World) -> None:
    """Abandoning or renewing with another token, claim id or session changes nothing of what is held."""
    shown = observed(there.store)
    for forged in ({"lease_token": "forged"}, {"claim_id": "forged"}, {"session_id": "other"}):
        there.store.abandon_turn_input_claim(replace(there.taken, **forged))
        there.store.abandon_turn_input_claim(replace(there.accepted, **forged))
        there.store.abandon_queued_work_claim(replace(there.work, **forged))
        with pytest.raises(QueuedWorkClaimExpired):
            there.store.renew_queued_work_claim(replace(there.work, **forged), TTL)
    assert observed(there.store) == shown
    # a forged mode does not decide where an input goes back to
    there.store.abandon_turn_input_claim(replace(there.accepted, mode=there.taken.mode))
    states: dict[str, str] = dict(run(engine, "SELECT source_key, state FROM inputs WHERE source_key = 'accepted'"))
    assert states == {"accepted": "pending_active"}


def test_no_size_asks_for_nothing(engine: Engine, there: World) -> None:
    """A claim of at most 0, of no ids, a cancellation of no targets: an empty answer, whatever the fence, and no effect."""
    before, stale = dump(engine), replace(there.lease.fence(), lease_token="stale")
    store = there.store
    assert store.claim_active_turn_inputs("s", stale, HOLDER, "t1", AFTER_WORK, TTL, 0) is None
    assert store.claim_next_turn_inputs("s", stale, HOLDER, TTL, 0) is None
    assert store.claim_ready_queued_work("s", stale, HOLDER, IDLE, TTL, 0) is None
    assert store.claim_ready_queued_work_by_batch_ids("s", stale, HOLDER, IDLE, TTL, ()) is None
    assert store.cancel_pending_turn_inputs("s", ()) == ()
    store.tombstone_nodes(())
    store.commit_refs("s", ())
    assert dump(engine) == before
    with pytest.raises(SessionExecutionLeaseExpired):
        store.claim_next_turn_inputs("s", stale, HOLDER, TTL, 1)


@pytest.mark.parametrize("ids", ["b a", "a a", "b", "a b c", "a b a", "c", "unknown"])
def test_a_claim_by_ids_that_are_not_the_next_is_none(store: DuckDBRuntimePersistence, ids: str) -> None:
    """A permutation, a repetition, a later batch, a superset: none, and the batches wait as before (QCLAIM-12)."""
    lease = acquired(store)
    names = {name: store.enqueue_queued_work(work(name)).batch_id for name in "ab"}
    names["c"] = store.enqueue_queued_work(work("c", payloads=(COMMAND,))).batch_id
    asked = tuple(names.get(name, name) for name in ids.split())
    waiting = store.list_pending_queued_work("s")
    assert store.claim_ready_queued_work_by_batch_ids("s", lease.fence(), HOLDER, IDLE, TTL, asked) is None
    assert store.list_pending_queued_work("s") == waiting
    asked = (names["a"], names["b"])
    claim = store.claim_ready_queued_work_by_batch_ids("s", lease.fence(), HOLDER, IDLE, TTL, asked)
    assert claim is not None
    assert claim.completion().batch_ids == asked


@pytest.mark.parametrize("number", [2**53, 2**53 + 1, 2**63 - 1, 2**63, MOST - 1])
def test_large_times_are_exact(engine: Engine, number: int) -> None:
    """Clock, readiness, claims and intents at the largest instants are compared and answered exactly; sums saturate."""
    now, later = store_on(engine, lambda: number), store_on(engine, lambda: number + 1)
    lease = acquired(now)
    first = now.enqueue_pending_turn_input(draft())
    assert first.enqueued_at_ms == number
    claim = now.claim_next_turn_inputs("s", lease.fence(), HOLDER, 1, MOST)
    assert claim is not None
    assert (claim.claimed_at_epoch_ms, claim.expires_at_epoch_ms) == (number, number + 1)
    assert (now.list_pending_turn_inputs("s"), later.list_pending_turn_inputs("s")) == ((), (first,))
    ready, unready = (now.enqueue_queued_work(work(available_at=number + by)) for by in (0, 1))
    held = now.claim_ready_queued_work("s", lease.fence(), HOLDER, IDLE, MOST, MOST)
    assert held is not None
    assert (held.batches, held.expires_at_epoch_ms) == ((ready,), MOST)
    assert now.list_pending_queued_work("s") == (unready,)
    now.record_intent(AttachmentIntent("a", "s", "uri", number))
    assert now.list_uncommitted(number - 1) == ()
    assert [each.intent_at_epoch_ms for each in now.list_uncommitted(number)] == [number]
    assert now.renew_queued_work_claim(held, 0).expires_at_epoch_ms == number
    assert now.list_pending_queued_work("s") == (ready, unready)


def test_the_last_instant_of_all(engine: Engine) -> None:
    """At 2^64 - 1 nothing is live: a claim granted before ends there, and what is available then is ready."""
    before, last = store_on(engine, lambda: MOST - 1), store_on(engine, lambda: MOST)
    lease = acquired(before)
    row = before.enqueue_pending_turn_input(draft())
    before.enqueue_queued_work(work(available_at=MOST))
    assert before.claim_ready_queued_work("s", lease.fence(), HOLDER, IDLE, TTL, 1) is None
    assert before.claim_next_turn_inputs("s", lease.fence(), HOLDER, MOST, 1) is not None
    assert last.list_pending_turn_inputs("s") == (row,)
    with pytest.raises(SessionExecutionLeaseExpired):
        last.claim_ready_queued_work("s", lease.fence(), HOLDER, IDLE, TTL, 1)
    assert isinstance(last.cancel_pending_turn_input("s", row.input_id), Cancelled)


@pytest.mark.parametrize("name", ["", "\0", "a\0b", "%", "_", "'; DROP TABLE inputs; --", "\U0010ffff", "k" * 1_000_000])
def test_any_text_is_a_name(tmp_path: Path, name: str) -> None:
    """Keys, ids, sessions and turns of any characters and length are told apart from their neighbours, after a reopen too."""
    longer = name + "\0"
    with opened(tmp_path / "store.db") as store:
        lease = acquired(store, session=name)
        kept = [
            store.enqueue_pending_turn_input(draft(each, session=name, key=each, input_id=each, turn=each))
            for each in (name, longer)
        ]
        store.enqueue_pending_turn_input(draft("next", session=longer, key=name))
        work_of_it = store.enqueue_queued_work(work(name, session=name, key=name))
        store.record_intent(AttachmentIntent(name, name, name, 1))
        store.record_intent(AttachmentIntent(longer, name, name, 1))
        store.commit_refs(name, (name,))
    with opened(tmp_path / "store.db") as store:
        assert store.list_pending_turn_inputs(name) == tuple(kept)
        assert store.enqueue_pending_turn_input(draft(name, session=name, key=name, turn=name)) == kept[0]
        assert store.list_queued_work(name) == (work_of_it,)
        assert store.enqueue_queued_work(work("other", session=name, key=name)) == work_of_it
        assert [each.attachment_id for each in store.list_uncommitted(1)] == [longer]
        claim = store.claim_active_turn_inputs(name, lease.fence(), HOLDER, name, AFTER_WORK, TTL, 9)
        assert claim is not None
        assert claim.inputs[0].input_id == name
        assert len(claim.inputs) == 1
        found = store.cancel_pending_turn_inputs(name, (InputId(longer), SourceKey(longer + "\0")))
        assert [type(each.outcome) for each in found] == [Cancelled, NotFound]
        assert store.vacuum().removed_pending_turn_input_tombstone_count == 1
        store.forget(longer)
    with opened(tmp_path / "store.db") as store:
        again = store.enqueue_pending_turn_input(draft("anew", session=name, key=longer, input_id=longer))
        assert again.enqueue_seq == 4


def test_large_payloads_come_back_equal(tmp_path: Path) -> None:
    """An input and a batch of ten megabytes are kept, listed, claimed and replayed, after a reopen too."""
    text = "\U0010ffff\n" * 2_000_000
    with opened(tmp_path / "store.db") as store:
        lease = acquired(store)
        row = store.enqueue_pending_turn_input(draft(text, key="large"))
        batch = store.enqueue_queued_work(work(text))
    with opened(tmp_path / "store.db") as store:
        assert store.enqueue_pending_turn_input(draft(text, key="large")) == row
        assert claimed_next(store, lease).inputs == (row,)
        assert claimed_work(store, lease).batches == (batch,)


def test_a_commit_of_large_parts_comes_back_equal(tmp_path: Path) -> None:
    """Configuration, node, parts, metadata and attachment of megabytes each are kept and read, after a reopen too."""
    text = "\U0010ffff\n" * 500_000
    meta = SessionMeta("s", text, "then", "model")
    graph = Append((replace(node("n"), payload=EventPayload(Json([text]))),), "n")
    with opened(tmp_path / "store.db") as store:
        whole = full_commit(acquired(store), release=False)
        large = replace(
            whole,
            config=replace(whole.config, model=Json({"text": text})),
            graph=graph,
            checkpoint=replace(
                whole.checkpoint, execution_state=text.encode(), plugin_snapshot=PluginSessionSnapshot(Json(text))
            ),
        )
        store.commit_runtime_state(large)
        store.save_session_meta(meta)
        store.record_intent(AttachmentIntent("a", "s", text, 1))
    with opened(tmp_path / "store.db") as store:
        read = store.load_session(FullGraph())
        assert read is not None
        assert read.checkpoint is not None
        assert (read.config, read.graph.nodes) == (large.config, graph.nodes)
        assert read.checkpoint.execution_state == text.encode()
        assert read.checkpoint.plugin_snapshot == PluginSessionSnapshot(Json(text))
        assert store.load_session_meta() == meta
        assert [each.canonical_uri for each in store.list_uncommitted(1)] == [text]
        assert store.commit_runtime_state(large).head_revision == 1


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1: 2}, {"a": object()}, b"bytes", "\ud800", {"\ud800": 1}, {1, 2}]
)
def test_what_is_no_json_never_gets_to_the_store(engine: Engine, store: DuckDBRuntimePersistence, value: object) -> None:
    """A payload that JSON cannot carry is `InvalidArgument` when it is made, and nothing is written."""
    before = dump(engine)
    with pytest.raises(InvalidArgument):
        store.enqueue_queued_work(work(payloads=(ProcessWake(Json(value)),)))
    with pytest.raises(InvalidArgument):
        store.enqueue_queued_work(work(payloads=(ProcessWake(value),)))  # type: ignore[arg-type]  # the wrong type is the point
    assert dump(engine) == before


NO_ARGUMENTS: dict[str, Callable[[World], object]] = {
    "a surrogate in a key": lambda at: at.store.enqueue_pending_turn_input(draft(key="\ud800")),
    "a draft of another kind": lambda at: at.store.enqueue_pending_turn_input(work()),  # type: ignore[arg-type]
    "a list of targets": lambda at: at.store.cancel_pending_turn_inputs("s", [InputId("i")]),  # type: ignore[arg-type]
    "a text as target": lambda at: at.store.cancel_pending_turn_inputs("s", ("i",)),  # type: ignore[arg-type]
    "no anchor": lambda at: at.store.cancel_pending_turn_input_suffix("s", None),  # type: ignore[arg-type]
    "a negative size": lambda at: at.store.claim_next_turn_inputs("s", at.lease.fence(), HOLDER, TTL, -1),
    "too large a size": lambda at: at.store.claim_next_turn_inputs("s", at.lease.fence(), HOLDER, TTL, 2**64),
    "a size that is a truth": lambda at: at.store.claim_next_turn_inputs("s", at.lease.fence(), HOLDER, TTL, True),
    "a TTL in seconds": lambda at: at.store.claim_next_turn_inputs("s", at.lease.fence(), HOLDER, 1.0, 1),  # type: ignore[arg-type]
    "a lease as fence": lambda at: at.store.claim_next_turn_inputs("s", at.lease, HOLDER, TTL, 1),  # type: ignore[arg-type]
    "an input claim as work": lambda at: at.store.renew_queued_work_claim(at.taken, TTL),  # type: ignore[arg-type]
    "a work claim as inputs": lambda at: at.store.abandon_turn_input_claim(at.work),  # type: ignore[arg-type]
    "an id that is bytes": lambda at: at.store.cancel_queued_work_batch("s", b"i"),  # type: ignore[arg-type]
    "a negative time": lambda at: at.store.list_uncommitted(-1),
    "a set of ids": lambda at: at.store.tombstone_nodes({"n0"}),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", NO_ARGUMENTS)
def test_what_is_no_argument_is_refused_before_any_effect(engine: Engine, there: World, name: str) -> None:
    """An argument of another type or beyond its range is `InvalidArgument`, and every row is as before."""
    before = dump(engine)
    with pytest.raises(InvalidArgument):
        NO_ARGUMENTS[name](there)
    assert dump(engine) == before


def test_one_input_id_is_one_input_of_the_whole_store(engine: Engine, there: World) -> None:
    """An id that an input has, of any session and in any state, is `Backend` for another; a replay's key wins over it."""
    before = dump(engine)
    for session in ("s", "other"):
        with pytest.raises(Backend, match="already"):
            there.store.enqueue_pending_turn_input(draft("new", session=session, key="new", input_id=there.input_id))
    taken = there.store.enqueue_pending_turn_input(draft("taken", key="taken", input_id=there.input_id))
    assert isinstance(taken, PendingTurnInput)
    assert taken.input_id != there.input_id
    assert dump(engine) == before


def test_a_key_of_inputs_is_no_key_of_batches(store: DuckDBRuntimePersistence) -> None:
    """The same key, the empty one too, names an input and a batch of each session, which have nothing to do with each other."""
    for key in ("", "key"):
        made = [store.enqueue_pending_turn_input(draft(session=session, key=key)) for session in ("s", "t")]
        batches = [store.enqueue_queued_work(work(session=session, key=key)) for session in ("s", "t")]
        assert len({each.input_id for each in made}) == len({each.batch_id for each in batches}) == 2
        assert all(isinstance(each, QueuedWorkBatch) for each in batches)
