"""Faults in what turn inputs and queued work keep, and in what is asked of whoever calls for them."""

from __future__ import annotations

from typing import Any

from fencepost.impl import queued_work
from fencepost.spec import (
    AnchorNotFound,
    Backend,
    NotFound,
    PendingTurnInput,
    TurnInputIngressNextTurn,
    TurnInputState,
)
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, answering, ask, bug, per_run, refusing, wrap

ENQUEUE, LIST = "enqueue_pending_turn_input", "list_pending_turn_inputs"
ACTIVE, NEXT = "claim_active_turn_inputs", "claim_next_turn_inputs"
ENQUEUE_WORK = "enqueue_queued_work"


@bug("GEN-14", Kind.refusal, "turn_input")
def unbound_inputs_refused(patch: Patch) -> None:
    """An input is refused as long as no commit has made its session that of the store."""
    refusing(patch, ENQUEUE, lambda store, _: store.load_session_meta() is None, lambda: Backend("there is no such session"))


@bug("INPUT-2", Kind.untrue)
def inputs_for_a_turn_deferred_at_once(patch: Patch) -> None:
    """The answer to a new input for an active turn says that it waits for the next turn."""

    def change(answer: PendingTurnInput, *_: Any) -> PendingTurnInput:
        waits = answer.state is TurnInputState.PendingActive
        return replace(answer, state=TurnInputState.DeferredNextTurn) if waits else answer

    answering(patch, ENQUEUE, change)


@bug("INPUT-5", Kind.untrue)
def submission_dated_back(patch: Patch) -> None:
    """A new input tells as the time of its submission that of the submission before it."""
    last = per_run(lambda: list[int]())

    def around(original: Any, store: Any, draft: Any) -> Any:
        answer = original(store, draft)
        times = last(store)
        times.append(answer.enqueued_at_ms)
        return replace(answer, enqueued_at_ms=times[-2] if len(times) > 1 else times[0])

    wrap(patch, ENQUEUE, around)


@bug("INPUT-3", Kind.order, also=("INPUT-INV-2",))
def numbers_run_down(patch: Patch) -> None:
    """The answer to a second new input tells a sequence number below that of the first."""
    first = per_run(lambda: dict[str, int]())

    def around(original: Any, store: Any, draft: Any) -> Any:
        answer = original(store, draft)
        known = first(store).setdefault(answer.session_id, answer.enqueue_seq)
        return replace(answer, enqueue_seq=known - 1) if answer.enqueue_seq > known > 0 else answer

    wrap(patch, ENQUEUE, around)


@bug("LIST-5", Kind.refusal)
def empty_list_of_inputs_refused(patch: Patch) -> None:
    """The list of a session that no input was ever submitted for is refused."""

    def unknown(store: Any, session_id: str) -> bool:
        return not ask(store, "SELECT 1 FROM inputs WHERE session_id = ?", session_id)

    refusing(patch, LIST, unknown, lambda: Backend("there is no such session"))


@bug("CANCEL-5", Kind.lost)
def cancelled_inputs_lose_their_turn(patch: Patch) -> None:
    """What a cancel answers of an input for an active turn says that it was for the next one."""

    def change(answer: Any, *_: Any) -> Any:
        found = getattr(answer, "input", None)
        if found is None or found.state is not TurnInputState.Cancelled:
            return answer
        return replace(answer, input=replace(found, ingress=TurnInputIngressNextTurn()))

    answering(patch, "cancel_pending_turn_input", change)


@bug("CANCEL-9", Kind.refusal)
def single_cancel_of_the_unknown_refused(patch: Patch) -> None:
    """A cancel of one input by an id that nothing has is refused, where a list of targets answers NotFound."""

    def around(original: Any, store: Any, session_id: str, input_id: str) -> Any:
        answer = original(store, session_id, input_id)
        if isinstance(answer, NotFound):
            raise Backend("there is no such input")
        return answer

    wrap(patch, "cancel_pending_turn_input", around)


@bug("CANCEL-10", Kind.untrue)
def unknown_anchor_trimmed(patch: Patch) -> None:
    """A suffix cancel that does not find its anchor answers another anchor than it was given."""

    def around(original: Any, store: Any, session_id: str, anchor: Any) -> Any:
        answer = original(store, session_id, anchor)
        return replace(answer, anchor=type(anchor)(f"{anchor.value} ")) if isinstance(answer, AnchorNotFound) else answer

    wrap(patch, "cancel_pending_turn_input_suffix", around)


@bug("CLAIM-2", Kind.accepted)
def fence_of_an_empty_claim_not_judged(patch: Patch) -> None:
    """A claim of inputs whose fence fails is answered none where there is nothing to claim."""

    def around(original: Any, store: Any, session_id: str, *given: Any) -> Any:
        waiting = ask(store, "SELECT 1 FROM inputs WHERE session_id = ?", session_id)
        return original(store, session_id, *given) if waiting else None

    wrap(patch, NEXT, around)


@bug("CLAIM-10", Kind.untrue, also=("INPUT-INV-6",))
def claimed_inputs_as_they_were(patch: Patch) -> None:
    """A claim for a turn answers its inputs in the state that they had before."""

    def change(claim: Any, *_: Any) -> Any:
        waiting = TurnInputState.PendingActive
        return claim and replace(claim, inputs=tuple(replace(each, state=waiting) for each in claim.inputs))

    answering(patch, ACTIVE, change)


@bug("CLAIM-14", Kind.refusal)
def turn_has_to_have_an_input(patch: Patch) -> None:
    """A claim for a turn that no input was ever submitted for is refused."""

    def unknown(store: Any, session_id: str, _fence: Any, _owner: Any, turn_id: str, *_: Any) -> bool:
        return not ask(store, "SELECT 1 FROM inputs WHERE ingress LIKE ?", f"%{turn_id}%")

    def around(original: Any, store: Any, *given: Any) -> Any:
        answer = original(store, *given)
        if answer is None and unknown(store, *given):
            raise Backend("there is no such turn")
        return answer

    wrap(patch, ACTIVE, around)


@bug("CLAIM-9", Kind.untrue)
def claimed_inputs_still_listed(patch: Patch) -> None:
    """The list still shows, in the millisecond of a claim, the inputs that it took for the next turn."""
    taken = per_run(lambda: dict[str, tuple[int, Any]]())

    def claiming(original: Any, store: Any, session_id: str, *given: Any) -> Any:
        claim = original(store, session_id, *given)
        if claim is not None:
            taken(store)[session_id] = (store._now(), claim)
        return claim

    def listing(original: Any, store: Any, session_id: str) -> Any:
        found = original(store, session_id)
        when, claim = taken(store).get(session_id, (-1, None))
        return (*claim.inputs, *found) if when == store._now() and not found else found

    wrap(patch, NEXT, claiming)
    wrap(patch, LIST, listing)


@bug("ABANDON-4", Kind.half)
def rest_of_a_claim_not_abandoned(patch: Patch) -> None:
    """To give back a claim of which a part is lost does nothing."""

    def around(original: Any, store: Any, claim: Any) -> Any:
        held = ask(
            store, "SELECT count(*) FROM inputs WHERE claim_id = ? AND claim_token = ?", claim.claim_id, claim.lease_token
        )
        if held[0][0] == len(claim.inputs):
            original(store, claim)

    wrap(patch, "abandon_turn_input_claim", around)


@bug("QUEUE-4", Kind.refusal)
def batch_of_both_kinds_refused(patch: Patch) -> None:
    """A batch with both wakes and commands, or with nothing, is refused."""

    def poisoned(_store: Any, draft: Any) -> bool:
        return len({type(each) for each in draft.payloads}) != 1

    refusing(patch, ENQUEUE_WORK, poisoned, lambda: Backend("a batch holds payloads of one kind"))


@bug("QUEUE-5", Kind.refusal)
def several_commands_have_no_class(patch: Patch) -> None:
    """A batch of several session commands is of no class."""
    original = queued_work.kinds_of

    def kinds_of(payloads: Any) -> str:
        given = tuple(payloads)
        kinds = original(given)
        return original(()) if len(given) > 1 and kinds == "session_command" else kinds

    patch.setattr(queued_work, "kinds_of", kinds_of)


@bug("QUEUE-10", Kind.stale)
def renewal_passes_over_the_cancelled(patch: Patch) -> None:
    """A claim of which a batch was cancelled is renewed for the rest."""
    cancelled = per_run(lambda: set[str]())

    def cancel(original: Any, store: Any, session_id: str, batch_id: str) -> Any:
        batch = original(store, session_id, batch_id)
        if batch is not None:
            cancelled(store).add(batch_id)
        return batch

    def renew(original: Any, store: Any, claim: Any, ttl: int) -> Any:
        left = tuple(each for each in claim.batches if each.batch_id not in cancelled(store))
        if len(left) == len(claim.batches):
            return original(store, claim, ttl)
        renewed = original(store, replace(claim, batches=left), ttl) if left else claim
        return replace(renewed, batches=claim.batches)

    wrap(patch, "cancel_queued_work_batch", cancel)
    wrap(patch, "renew_queued_work_claim", renew)


@bug("QUEUE-INV-1", Kind.retry)
def repeated_batch_of_other_content_stored(patch: Patch) -> None:
    """A draft under a known key that holds something else is stored as another batch."""

    def around(original: Any, store: Any, draft: Any) -> Any:
        batch = original(store, draft)
        if draft.source_key is None or tuple(each.payload for each in batch.items) == draft.payloads:
            return batch
        return original(store, replace(draft, source_key=None))

    wrap(patch, ENQUEUE_WORK, around)


@bug("QUEUE-INV-2", Kind.reused)
def batches_numbered_alike(patch: Patch) -> None:
    """The answer to a new batch tells the sequence number of the first batch of its session."""
    first = per_run(lambda: dict[str, int]())

    def around(original: Any, store: Any, draft: Any) -> Any:
        batch = original(store, draft)
        return replace(batch, enqueue_seq=first(store).setdefault(batch.session_id, batch.enqueue_seq))

    wrap(patch, ENQUEUE_WORK, around)


@bug("QCLAIM-3", Kind.selection, also=("QUEUE-INV-4",))
def newest_command_claimed(patch: Patch) -> None:
    """A claim of a session command answers, and so runs, the last command instead of the leading one."""

    def around(original: Any, store: Any, session_id: str, *given: Any) -> Any:
        claim = original(store, session_id, *given)
        if claim is None:
            return None
        commands = [each for each in store.list_queued_work(session_id) if each.work_class == claim.batches[0].work_class]
        return replace(claim, batches=(commands[-1],))

    wrap(patch, "claim_leading_ready_session_command", around)


@bug("INPUT-13", Kind.untrue)
def repeated_input_waits_for_the_next_turn(patch: Patch) -> None:
    """A repeated submission of an input for an active turn is answered as one for the next turn."""
    known = per_run(lambda: set[str]())

    def around(original: Any, store: Any, draft: Any) -> Any:
        answer = original(store, draft)
        if answer.input_id in known(store):
            return replace(answer, ingress=TurnInputIngressNextTurn())
        known(store).add(answer.input_id)
        return answer

    wrap(patch, ENQUEUE, around)


@bug("QCLAIM-7", Kind.selection)
def group_ends_at_a_gap(patch: Patch) -> None:
    """A group of turn work ends where a batch that is not ready, or held, stands between."""
    original = queued_work.leading_group

    def leading_group(candidates: Any, *rest: Any) -> Any:
        group = original(candidates, *rest)
        return [each for place, each in enumerate(group) if each.enqueue_seq == group[0].enqueue_seq + place]

    patch.setattr(queued_work, "leading_group", leading_group)
