"""Faults in how commits complete claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fencepost.impl import claim, commit, input_rows, queued_work
from fencepost.impl.claim import SET_FREE, Entry
from fencepost.impl.engine import Statement
from fencepost.spec import (
    QueuedWorkBatchDraft,
    QueuedWorkClaimExpired,
    QueuedWorkCompletion,
    RuntimeCommit,
    StoreError,
    TurnInputClaimExpired,
    TurnInputCompletion,
    TurnInputState,
)
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, ask, bug, per_run, sent_otherwise, wrap

Completion = QueuedWorkCompletion | TurnInputCompletion
Entries = Mapping[str, Entry]
Settled = Callable[[str, Sequence[Completion], Entries], set[int]]


def ids_of(done: Completion) -> tuple[str, ...]:
    """What a completion lists."""
    return done.batch_ids if isinstance(done, QueuedWorkCompletion) else done.input_ids


def settling(patch: Patch, of: type[Completion], each: Callable[[str, Any, Entries, Settled], set[int]]) -> None:
    """Let `each(session_id, completion, entries, original)` settle the completions of one kind, one after the other."""
    original = claim.settled

    def settled(session_id: str, completions: Sequence[Completion], entries: Entries) -> set[int]:
        numbers: set[int] = set()
        for done in completions:
            numbers |= (each if isinstance(done, of) else settled_as_ever)(session_id, done, entries, original)
        return numbers

    patch.setattr(commit, "settled", settled)


def settled_as_ever(session_id: str, done: Completion, entries: Entries, original: Settled) -> set[int]:
    """What the completion settles without a fault."""
    return original(session_id, [done], entries)


def refused(done: Completion) -> StoreError:
    """The refusal of a completion."""
    kind = QueuedWorkClaimExpired if isinstance(done, QueuedWorkCompletion) else TurnInputClaimExpired
    return kind(done.session_id, done.claim_id)


@bug("COMMIT-12", Kind.leak)
def completion_of_another_session(patch: Patch) -> None:
    """A commit completes inputs of another session whose claim is shown to it."""
    settling(patch, TurnInputCompletion, lambda session_id, done, entries, original: original(done.session_id, [done], entries))


@bug("COMMIT-11", Kind.leak)
def session_of_a_completion_ignored(patch: Patch) -> None:
    """A queue completion is judged by claim id and token, whatever session it names."""

    def each(session_id: str, done: Completion, entries: Entries, original: Settled) -> set[int]:
        return original(session_id, [replace(done, session_id=session_id)], entries)

    settling(patch, QueuedWorkCompletion, each)


def right_count(session_id: str, done: Completion, entries: Entries, original: Settled) -> set[int]:
    """Settle a completion that lists as many ids as its claim holds, and of those the ones that it holds."""
    proof = (session_id, done.claim_id, done.lease_token)
    owned = {each: entry.enqueue_seq for each, entry in entries.items() if entry[1:] == proof}
    if done.session_id != session_id or len(owned) != len(ids_of(done)):
        raise refused(done)
    return {number for each, number in owned.items() if each in ids_of(done)}


@bug("COMMIT-12", Kind.stale)
def right_count_of_wrong_inputs(patch: Patch) -> None:
    """An input completion is accepted if it lists as many ids as the claim holds, whatever they are."""
    patch.setattr(commit, "READ_INPUTS_BEFORE", commit.READ_INPUTS_BEFORE.replace("WHERE", "WHERE claim_id <> '' OR"))
    settling(patch, TurnInputCompletion, right_count)


@bug("COMMIT-11", Kind.stale)
def right_count_of_wrong_batches(patch: Patch) -> None:
    """A queue completion is accepted if it lists as many ids as the claim holds, whatever they are."""
    patch.setattr(commit, "READ_BATCHES_BEFORE", commit.READ_BATCHES_BEFORE.replace("WHERE", "WHERE claim_id <> '' OR"))
    settling(patch, QueuedWorkCompletion, right_count)


@bug("COMMIT-12", Kind.half)
def foreign_ids_passed_over(patch: Patch) -> None:
    """An input completion settles what its claim holds and passes over whatever else it lists."""

    def each(session_id: str, done: TurnInputCompletion, entries: Entries, original: Settled) -> set[int]:
        proof = (session_id, done.claim_id, done.lease_token)
        own = tuple(each for each in done.input_ids if each in entries and entries[each][1:] == proof)
        return original(session_id, [replace(done, input_ids=own)], entries)

    settling(patch, TurnInputCompletion, each)


@bug("COMMIT-12", Kind.stale)
def completion_without_token(patch: Patch) -> None:
    """An input completion is judged by its claim id alone, whatever token it shows."""

    def each(session_id: str, done: TurnInputCompletion, entries: Entries, original: Settled) -> set[int]:
        shown = {name: entry._replace(lease_token=done.lease_token) for name, entry in entries.items()}
        return original(session_id, [done], shown)

    settling(patch, TurnInputCompletion, each)


@bug("VALUE-7", Kind.half, "commit")
def earlier_completions_applied(patch: Patch) -> None:
    """A commit whose later completion is bad is refused, but has settled the earlier ones."""

    def apply(store: Any, given: RuntimeCommit) -> None:
        engine, session_id = store._engine, given.session_id
        stored = commit._read_before(engine, given, commit.draft_of(given))
        for work in given.completed_queue_claims:
            batches = claim.settled(session_id, [work], stored.batches)
            if batches:
                queued_work.remove_batches(engine, batches)
        for done in given.completed_turn_input_claims:
            inputs = claim.settled(session_id, [done], stored.inputs)
            if inputs:
                input_rows.end(engine, TurnInputState.Completed, inputs)

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        try:
            return original(store, given)
        except (QueuedWorkClaimExpired, TurnInputClaimExpired) as error:
            try:
                apply(store, given)
            except StoreError:
                raise error from None
            raise

    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-13", Kind.refusal)
def lapsed_claim_not_completed(patch: Patch) -> None:
    """An input completion is refused once its claim has lapsed."""

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        # not asked inside the transaction: the fence and the rest are judged before
        rows = ask(store, "SELECT input_id FROM inputs WHERE claim_expires_at <= ?", store._now())
        lapsed = {input_id for (input_id,) in rows}

        def each(session_id: str, done: TurnInputCompletion, entries: Entries, settled: Settled) -> set[int]:
            return settled(session_id, [done], {name: entry for name, entry in entries.items() if name not in lapsed})

        with Patch() as inner:
            settling(inner, TurnInputCompletion, each)
            return original(store, given)

    wrap(patch, "commit_runtime_state", around)


@bug("GEN-11", Kind.refusal, "commit")
def claim_ends_with_its_lease(patch: Patch) -> None:
    """A claim of inputs can be completed only under the lease that it was granted under."""
    leases = per_run(lambda: dict[str, str]())

    def claimed(original: Any, store: Any, session_id: str, fence: Any, *rest: Any) -> Any:
        granted = original(store, session_id, fence, *rest)
        if granted is not None:
            leases(store)[granted.lease_token] = fence.lease_token
        return granted

    def around(original: Any, store: Any, given: RuntimeCommit) -> Any:
        def each(session_id: str, done: TurnInputCompletion, entries: Entries, settled: Settled) -> set[int]:
            numbers = settled(session_id, [done], entries)
            fence = given.session_execution_lease
            if numbers and (fence is None or leases(store)[done.lease_token] != fence.lease_token):
                raise refused(done)
            return numbers

        with Patch() as inner:
            settling(inner, TurnInputCompletion, each)
            return original(store, given)

    wrap(patch, "claim_active_turn_inputs", claimed)
    wrap(patch, "claim_next_turn_inputs", claimed)
    wrap(patch, "commit_runtime_state", around)


@bug("COMMIT-16", Kind.order)
def inputs_judged_first(patch: Patch) -> None:
    """Input completions are judged before queue completions."""
    original = commit._require_writable

    def require_writable(engine: Any, given: RuntimeCommit, stored: Any, now: int) -> None:
        original(engine, given, stored, now)
        claim.settled(given.session_id, given.completed_turn_input_claims, stored.inputs)

    patch.setattr(commit, "_require_writable", require_writable)


@bug("COMMIT-14", Kind.half)
def whole_claim_removed(patch: Patch) -> None:
    """A queue completion that lists a part of its claim removes all batches of it."""
    listed = "SELECT claim_token FROM batches WHERE enqueue_seq IN (SELECT unnest(?::UBIGINT[]))"
    delete = Statement("a planted fault", f"DELETE FROM batches WHERE claim_token IN ({listed})")
    patch.setattr(commit, "remove_batches", lambda engine, numbers: engine.execute(delete, (list(numbers),)))


@bug("QUEUE-3", Kind.mistaken, "commit")
def key_of_a_completed_batch_taken(patch: Patch) -> None:
    """The key of a batch that was completed is answered that batch for ever."""
    queued = per_run(lambda: dict[tuple[str, str], Any]())

    def enqueue(original: Any, store: Any, draft: QueuedWorkBatchDraft) -> Any:
        known, key = queued(store), (draft.session_id, draft.source_key or "")
        if draft.source_key is None or key not in known:
            known[key] = original(store, draft)
        return known[key]

    def cancel(original: Any, store: Any, session_id: str, batch_id: str) -> Any:
        batch = original(store, session_id, batch_id)
        if batch is not None:
            queued(store).pop((session_id, batch.source_key or ""), None)
        return batch

    wrap(patch, "enqueue_queued_work", enqueue)
    wrap(patch, "cancel_queued_work_batch", cancel)


def ending(patch: Patch, end: Callable[[Any, list[int]], None]) -> None:
    """Let `end(engine, numbers)` be what a commit does to the inputs that it completes."""
    patch.setattr(commit, "end", lambda engine, state, numbers: end(engine, list(numbers)))


@bug("COMMIT-15", Kind.lost)
def completed_inputs_deleted(patch: Patch) -> None:
    """A commit deletes the inputs that it completes instead of keeping them as Completed."""

    def end(engine: Any, numbers: list[int]) -> None:
        input_rows.end(engine, TurnInputState.Completed, numbers)
        delete = Statement("a planted fault", "DELETE FROM inputs WHERE enqueue_seq IN (SELECT unnest(?::UBIGINT[]))")
        engine.execute(delete, (numbers,))

    ending(patch, end)


@bug("COMMIT-15", Kind.lost, also=("COMMIT-INV-7",))
def completed_inputs_only_freed(patch: Patch) -> None:
    """A commit gives back the inputs that it completes, and leaves them waiting."""

    def end(engine: Any, numbers: list[int]) -> None:
        free = f"UPDATE inputs SET {SET_FREE} WHERE enqueue_seq IN (SELECT unnest(?::UBIGINT[]))"
        engine.execute(Statement("a planted fault", free), (numbers,))

    ending(patch, end)


@bug("COMMIT-12", Kind.stale)
def completed_inputs_stay_held(patch: Patch) -> None:
    """The claim stays on inputs that are completed, so that they can be completed again."""
    sent_otherwise(patch, "store the inputs as completed", f"SET state = ?, {SET_FREE}", "SET state = ?")


@bug("COMMIT-15", Kind.retry)
def completed_inputs_lose_their_key(patch: Patch) -> None:
    """An input that is completed gives up its source key."""
    sent_otherwise(
        patch, "store the inputs as completed", "SET state = ?", "SET state = ?, source_key = NULL, key_lookup = NULL"
    )
