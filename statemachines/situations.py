"""The class of the state that a call meets: a small one, in a few words, of what the call is about.

With the requirements that decided an answer, and its kind, it makes the cells that a search of a scope reaches and that a run
has exercised. So a class has no numbers in it that grow with a run, and looks at nothing that the call does not name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fencepost.model import Refused, State, Step
from fencepost.model.lease import lease_of
from fencepost.model.maintenance import reachable
from fencepost.model.records.claim import EntryClaim
from fencepost.model.records.turn_input import ENDED, InputRow, Inputs
from fencepost.spec import FullGraph, InputId

from .following import Call

Cell = tuple[str, str, str]
"""A requirement that decided an answer, the outcome (call and kind of answer), and the class of the state before."""

Answered = tuple[str, str, tuple[str, ...], str]
"""The same before it is taken apart: call, kind of answer, all requirements that decided it, class of the state before."""

Situation = Callable[..., str]
"""A function of the state, the instant, and the arguments of the call."""


def answered(state: State, now: int, call: Call, step: Step) -> Answered:
    """What a step says of the call that it answers, in this state at this instant."""
    return (call.operation, kind_of_answer(step.answer), step.because, situation(state, now, call))


def situation(state: State, now: int, call: Call) -> str:
    """The class of the state that a call meets."""
    return SITUATIONS[call.operation](state, now, *call.arguments)


def cells_of(found: Iterable[Answered]) -> set[Cell]:
    """The cells of these answers."""
    return {(each, f"{name}: {kind}", situation) for name, kind, because, situation in found for each in because}


def kind_of_answer(answer: object) -> str:
    """The kind of an answer: of a refusal its error's, of several things whether there are any."""
    if isinstance(answer, Refused):
        return type(answer.error).__name__
    if isinstance(answer, tuple):
        return "some" if answer else "none"
    return "nothing" if answer is None else type(answer).__name__


def standing(state: State, session_id: str, now: int) -> str:
    """How the lease of a session stands: by its record, and where now is at its end."""
    record = lease_of(state, session_id)
    if not record.held:
        return "released" if record.fencing_token else "never leased"
    left = record.expires_at - now
    return {1: "in its last ms", 0: "ending"}.get(left, "live" if left > 0 else "lapsed")


def _of_session(state: State, now: int, session_id: str, *_: Any) -> str:
    return standing(state, session_id, now)


def _of_proof(state: State, now: int, proof: Any, *_: Any) -> str:
    return standing(state, proof.session_id, now)


HELD, LAPSED, WAITING = "held", "lapsed", "waiting"


def _claimed(claim: EntryClaim, now: int) -> str:
    return WAITING if not claim.held else HELD if claim.expires_at > now else LAPSED


def _most_telling(found: Iterable[str], nothing: str) -> str:
    """Of what is held, lapsed and waiting the first that there is."""
    known = set(found)
    return next((each for each in (HELD, LAPSED, WAITING) if each in known), nothing)


def _input(row: InputRow | None, now: int) -> str:
    """What has become of one input."""
    if row is None:
        return "no such input"
    record = row.record
    return str(record.state.value) if record.state in ENDED else _claimed(record.claim, now)


def _inputs(inputs: Inputs, now: int) -> str:
    """What there is among the inputs of a session: those that are held before all others."""
    waiting = (_claimed(row.record.claim, now) for row in inputs.waiting())
    return _most_telling(waiting, "all ended" if inputs.rows else "no inputs")


def _target(inputs: Inputs, target: Any) -> InputRow | None:
    return inputs.by_id(target.value) if isinstance(target, InputId) else inputs.by_key(target.value)


def _submitted(state: State, now: int, draft: Any) -> str:
    inputs = state.turn_input.of(draft.session_id)
    known = inputs.by_id(draft.input_id) if draft.input_id is not None else None
    return _input(known or inputs.by_key(draft.source_key), now)


def _inputs_of(state: State, now: int, session_id: str, *_: Any) -> str:
    return _inputs(state.turn_input.of(session_id), now)


def _one_input(state: State, now: int, session_id: str, input_id: str) -> str:
    return _input(state.turn_input.of(session_id).by_id(input_id), now)


def _anchor(state: State, now: int, session_id: str, anchor: Any) -> str:
    inputs = state.turn_input.of(session_id)
    return _input(_target(inputs, anchor), now)


def _targets(state: State, now: int, session_id: str, targets: tuple[Any, ...]) -> str:
    if not targets:
        return "no targets"
    inputs = state.turn_input.of(session_id)
    found = {_input(_target(inputs, each), now) for each in targets}
    return found.pop() if len(found) == 1 else "several kinds of inputs"


def _input_claim(state: State, now: int, claim: Any) -> str:
    proof, rows = (claim.claim_id, claim.lease_token), state.turn_input.of(claim.session_id).waiting()
    return _shown_claim((row.record.claim for row in rows), proof, now)


def _shown_claim(claims: Iterable[EntryClaim], proof: tuple[str, str], now: int) -> str:
    held = (_claimed(each, now) for each in claims if each.held and each.proof == proof)
    return _most_telling(held, "holds nothing")


def _batches_of(state: State, now: int, session_id: str, *_: Any) -> str:
    found = {_claimed(row.record.claim, now) for row in state.queued_work.of(session_id)}
    return _most_telling(found, "no work")


def _leading_batch(state: State, now: int, session_id: str, *_: Any) -> str:
    """What claims meet first: the kind of the oldest batch that is ready and that no live claim holds."""
    rows = state.queued_work.of(session_id)
    ready = (row for row in rows if row.record.available_at <= now and _claimed(row.record.claim, now) != HELD)
    first = next(ready, None)
    return first.record.kind.name if first else "nothing free" if rows else "no work"


def _chosen_batches(state: State, now: int, session_id: str, *others: Any) -> str:
    chosen = others[-1]
    if not chosen:
        return "none chosen"
    found = {row.batch_id: _claimed(row.record.claim, now) for row in state.queued_work.of(session_id)}
    known = {found[each] for each in chosen if each in found}
    return HELD if HELD in known else "free" if known else "no such batch"


def _one_batch(state: State, now: int, session_id: str, batch_id: str) -> str:
    rows = state.queued_work.of(session_id)
    return next((_claimed(row.record.claim, now) for row in rows if row.batch_id == batch_id), "no such batch")


def _submitted_batch(state: State, now: int, draft: Any) -> str:
    if draft.source_key is None:
        return "no key"
    rows = state.queued_work.of(draft.session_id)
    return next((_claimed(row.record.claim, now) for row in rows if row.source_key == draft.source_key), "a new key")


def _work_claim(state: State, now: int, claim: Any, *_: Any) -> str:
    rows = state.queued_work.of(claim.session_id)
    return _shown_claim((row.record.claim for row in rows), (claim.claim_id, claim.lease_token), now)


def _committed(state: State, now: int, commit: Any) -> str:
    """Whether there was a commit, whether the lease of the session is live, and whether the turn is recorded."""
    lease = lease_of(state, commit.session_id)
    known = "recorded, " if (stamp := commit.turn_commit) and (stamp.session_id, stamp.turn_id) in state.commit.stamps else ""
    head = "committed before" if state.commit.head else "never committed"
    return f"{known}{head}, lease {'live' if lease.held and lease.expires_at > now else 'over'}"


def _graph(state: State, now: int, scope: Any) -> str:
    written = state.commit
    if written.head is None:
        return "never committed"
    nodes = "no nodes" if not written.nodes else "some hidden" if written.tombstoned else "nodes"
    leaf = written.head.leaf_node_id if isinstance(scope, FullGraph) or scope.leaf_node_id is None else scope.leaf_node_id
    return f"{nodes}, leaf {'none' if leaf is None else _node(state, now, leaf)}"


def _node(state: State, _now: int, node_id: str) -> str:
    return "missing" if node_id not in state.commit.nodes else "hidden" if node_id in state.commit.tombstoned else "there"


def _metadata(state: State, *_: Any) -> str:
    return "metadata" if state.session.meta else "no metadata"


def _tier(state: State, *_: Any) -> str:
    return "never told" if state.session.tier is None else "told before"


def _nodes(state: State, now: int, ids: tuple[str, ...]) -> str:
    known = {_node(state, now, each) for each in ids}
    return next((each for each in ("there", "hidden", "missing") if each in known), "none named")


def _dead(state: State, *_: Any) -> str:
    """What a vacuum finds."""
    ended = any(len(inputs.open) < len(inputs.rows) for inputs in state.turn_input.rows.values())
    found = ["hidden nodes"] * bool(state.commit.tombstoned) + ["ended inputs"] * ended
    return " and ".join(found) or "nothing dead"


def _garbage(state: State, *_: Any) -> str:
    """What a collection finds."""
    written = state.commit
    stored = {ref for _, ref in written.blobs} | set(written.checkpoints)
    return "never committed" if written.head is None else "garbage" if stored - reachable(written.head) else "no garbage"


def _attachment(state: State, _now: int, named: Any) -> str:
    attachment_id = named if isinstance(named, str) else named.attachment_id
    manifest = state.attachment
    record = manifest.entries.get(attachment_id)
    if record is None:
        return "forgotten" if attachment_id in manifest.forgotten else "unknown"
    return "stamped" if record.committed else "intended"


def _stamping(state: State, _now: int, session_id: str, ids: tuple[str, ...]) -> str:
    entries = state.attachment.entries
    known = [entries[each] for each in ids if each in entries]
    own = {record.committed for record in known if record.session == session_id}
    if own:
        return "stamped" if own == {True} else "intended"
    return "of another session" if known else "unknown" if ids else "none named"


def _orphans(state: State, _now: int, until: int) -> str:
    manifest = state.attachment
    if not manifest.entries:
        return "empty"
    if not manifest.uncommitted:
        return "all stamped"
    times = {manifest.entries[each].intent_at for each in manifest.uncommitted}
    return "intended at that instant" if until in times else "intended before" if min(times) < until else "intended later"


def _runtime(state: State, _now: int, runtime_id: str, *_: Any) -> str:
    """What is kept of a runtime."""
    records = state.runtime
    has = runtime_id in records.states or runtime_id in records.snapshots or bool(records.inputs_of(runtime_id))
    return "known runtime" if has else "new runtime"


def _snapshot(state: State, _now: int, runtime_id: str, *_: Any) -> str:
    return "a session" if runtime_id in state.runtime.snapshots else "no session"


def _boundary(state: State, _now: int, runtime_id: str, _delta: Any, run_id: Any, *_: Any) -> str:
    return "later receipt" if (runtime_id, run_id) in state.runtime.runs else "first receipt"


def _applied(state: State, _now: int, runtime_id: str, _delta: Any, receipt: Any, *_: Any) -> str:
    records, run = state.runtime, (runtime_id, receipt.run_id)
    if (*run, receipt.sequence) in records.receipts:
        return "receipt there"
    return "later receipt" if run in records.runs else "first receipt"


def _receipt(state: State, _now: int, runtime_id: str, run_id: Any, sequence: int) -> str:
    return "receipt there" if (runtime_id, run_id, sequence) in state.runtime.receipts else "no receipt"


def _runtime_inputs(state: State, _now: int, runtime_id: str) -> str:
    return "inputs" if state.runtime.inputs_of(runtime_id) else "no inputs"


def _runtime_input(state: State, _now: int, runtime_id: str, named: Any) -> str:
    inputs = state.runtime.inputs_of(runtime_id)
    return "input there" if getattr(named, "input_id", named) in inputs else "no such input"


def _runtime_state(state: State, _now: int, runtime_id: str, *_: Any) -> str:
    known = state.runtime.states.get(runtime_id)
    return "no state" if known is None else "a state"


def _thread(state: State, _now: int, thread_id: str) -> str:
    log = state.event
    thread = log.of(thread_id)
    if not thread.turns:
        return "cleared" if thread_id in log.cleared else "no thread"
    return "a turn finished" if thread.finished else "turns open"


def _turn(state: State, now: int, thread_id: str, turn: int, *_: Any) -> str:
    known = state.event.of(thread_id).turns.get(turn)
    if known is None:
        return f"no such turn, {_thread(state, now, thread_id)}"
    return ("finished" if known.record.finished else "open") + ("" if known.record.events else ", empty")


def _appended(state: State, _now: int, task_id: str, attempt: int, *_: Any) -> str:
    known = state.output.attempts.get((task_id, attempt))
    return "first of its attempt" if known is None else "after a final one" if known.final else "later"


def _output(state: State, _now: int, ref: Any) -> str:
    return "there" if ref in state.output.by_id else "missing"


def _produced(state: State, _now: int, name: str) -> str:
    known = state.output.producers.get(name)
    return "nothing of it" if known is None else "one of it" if known.records == 1 else "several of it"


def _attempt(state: State, _now: int, *key: Any) -> str:
    known = state.output.attempts.get(key)
    return "nothing of it" if known is None else "one of it" if len(known.records) == 1 else "several of it"


SITUATIONS: dict[str, Situation] = {
    "try_claim_session_execution_lease": _of_session,
    "reclaim_session_execution_lease": _of_session,
    "renew_session_execution_lease": _of_proof,
    "release_session_execution_lease": _of_proof,
    "enqueue_pending_turn_input": _submitted,
    "list_pending_turn_inputs": _inputs_of,
    "cancel_pending_turn_input": _one_input,
    "cancel_pending_turn_inputs": _targets,
    "cancel_pending_turn_input_suffix": _anchor,
    "claim_active_turn_inputs": _inputs_of,
    "claim_next_turn_inputs": _inputs_of,
    "abandon_turn_input_claim": _input_claim,
    "enqueue_queued_work": _submitted_batch,
    "claim_leading_ready_session_command": _leading_batch,
    "claim_ready_queued_work": _leading_batch,
    "claim_ready_queued_work_by_batch_ids": _chosen_batches,
    "renew_queued_work_claim": _work_claim,
    "abandon_queued_work_claim": _work_claim,
    "cancel_queued_work_batch": _one_batch,
    "list_queued_work": _batches_of,
    "list_pending_queued_work": _batches_of,
    "commit_runtime_state": _committed,
    "load_session": _graph,
    "load_node": _node,
    "save_session_meta": _metadata,
    "load_session_meta": _metadata,
    "durability_tier": _tier,
    "tombstone_nodes": _nodes,
    "vacuum": _dead,
    "gc_unreachable": _garbage,
    "record_intent": _attachment,
    "commit_refs": _stamping,
    "list_uncommitted": _orphans,
    "forget": _attachment,
    "commit_session_boundary": _boundary,
    "atomic_apply": _applied,
    "load_input_states": _runtime_inputs,
    "load_boundary_receipt": _receipt,
    "load_session_snapshot": _snapshot,
    "persist_input_state": _runtime_input,
    "load_input_state": _runtime_input,
    "persist_runtime_state": _runtime_state,
    "load_runtime_state": _runtime_state,
    "atomic_lifecycle_commit": _runtime_state,
    "event.append": _turn,
    "finish_turn": _turn,
    "get_turn": _turn,
    "get_turns": _thread,
    "clear": _thread,
    "get_events": _thread,
    "output.append": _appended,
    "get": _output,
    "get_latest_by_name": _produced,
    "list_for_attempt": _attempt,
}
"""The class of the state before each call."""
