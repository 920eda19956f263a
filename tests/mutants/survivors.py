"""Why some mutants get away: each for a reason that was looked up, and none for want of looking."""

# changes are told whole, however long
# ruff: noqa: E501

from __future__ import annotations

from mutating import Mutant

REASONS: dict[str, tuple[str, ...]] = {
    "Decides only which other answers a store may give: ours is the same. Such answers are tried in `tests/model`.": (
        "turn_input._admitted: if not differs: return (ours,) -> if False: return (ours,)",
        "maintenance.gc_unreachable: ours != GcReport() -> ours == GcReport()",
        "commit._with_graph: replace(written, order=Log.of(nodes), nodes=Map(nodes), tombstoned=frozenset(), replaced_leaf=leaf) -> replace(written, order=Log.of(nodes), nodes=Map(nodes), tombstoned=frozenset())",
        "lease._granted: (ours, exhausted) if 'LEASE-11' in because else (ours,) -> (ours,) if 'LEASE-11' in because else (ours,)",
        "turn_input._replayed: row.input == input.input and input.ingress == before -> row.input == input.input",
        "session.load_session_meta: min(stored.by_session) if bound is None else bound -> bound if bound is None else bound",
        "maintenance.vacuum: bound is None -> bound is not None",
        "session._path: if leaf is None: return admitting(ours, ports.seen, *_without_carried(written, head), _leafless(state, writ... -> if False: return admitting(ours, ports.seen, *_without_carried(written, head), _leafless(state, written))",
        "attachment.list_uncommitted: not ours or manifest.keeps -> not ours",
        "runtime.commit_session_boundary: if last is not None and last >= SIGNED_MAX: return (ours, Step(state, Refused(WriteFailed()), ('RUNTIME-23a... -> if False: return (ours, Step(state, Refused(WriteFailed()), ('RUNTIME-23a',), differs=('RUNTIME-23a',)))",
    ),
    "Decides only which requirements are named as the reason of an answer. Those are tried in `tests/model`.": (
        "records.event.Thread.having: self.finished or turn.record.finished -> turn.record.finished",
        "records.output.Attempt.plus: self.final or isinstance(record.event, Final) -> isinstance(record.event, Final)",
        "records.output.Produced.plus: Final | Partial -> Final | Final",
        "turn_input._with_input: input.source_key or '' -> input.source_key and ''",
        "commit._outcome: False -> True",
        "output.list_for_attempt: if not found: return (Step(state, found, ('OUTPUT-22', 'OUTPUT-23')),) -> if True: return (Step(state, found, ('OUTPUT-22', 'OUTPUT-23')),)",
        "queued_work._with_batch: batch.source_key is not None and (batch.session_id, batch.source_key) in queue.freed -> batch.source_key is not None or (batch.session_id, batch.source_key) in queue.freed",
        "queued_work.renew_queued_work_claim: any((batch.batch_id not in there for batch in claim.batches)) -> all((batch.batch_id not in there for batch in claim.batches))",
        "settlement._named_by: row.batch_id in done.batch_ids -> row.batch_id not in done.batch_ids",
        "maintenance.tombstone_nodes: replace(state, commit=replace(written, tombstoned=hidden)) if hidden != written.tombstoned else state -> replace(state, commit=replace(written, tombstoned=hidden)) if hidden != written.tombstoned else replace(sta...",
        "attachment._recorded: 2 -> 3",
        "runtime.load_input_states: if not ours: return (Step(state, ours, ('RUNTIME-5', 'RUNTIME-1')),) -> if True: return (Step(state, ours, ('RUNTIME-5', 'RUNTIME-1')),)",
        "output.list_for_attempt: if not found: return (Step(state, found, ('OUTPUT-22', 'OUTPUT-23')),) -> if False: return (Step(state, found, ('OUTPUT-22', 'OUTPUT-23')),)",
    ),
    "Is the same law: numbers of admission are compared by their order, and gaps are free (INPUT-3).": (
        "turn_input._admitted: 1 -> 2",
    ),
    "Is the same function: no input waits for the turn none.": (
        "settlement.with_ingress_settled: if commit.interrupted_turn_input_turn_id is not None: state = turn_input.deferred(state, commit.session_id,... -> if True: state = turn_input.deferred(state, commit.session_id, commit.interrupted_turn_input_turn_id)",
    ),
    "Is the same function: a part that is not carried was given by value, and has one.": (
        "commit._blobs: part.ref is not None and part.value is not None and (not part.carried) -> part.ref is not None and (not part.carried)",
    ),
    "Is the same function: the end of a run leaves a retired runtime retired, whichever run it was.": (
        "lifecycle.reachable_states: 1 -> 2",
    ),
    "Is the same function: of a map that stands for a set only the keys are looked at.": (
        "records.claim.Issued.plus: True -> False",
        "records.event.Turn.plus: True -> False",
    ),
    "Is the same function: what has nothing to change is made anew, and is equal to what it was.": (
        "records.log.Log.plus: Log(self.items.update({len(self) + place: item for place, item in enumerate(items)})) if items else self -> Log(self.items.update({len(self) + place: item for place, item in enumerate(items)})) if items else Log(sel...",
        "turn_input.deferred: _with_rows(state, session_id, moved) if moved != rows else state -> _with_rows(state, session_id, moved) if moved != rows else _with_rows(state, session_id, moved)",
        "turn_input.vacuumed: len(there) > len(there.open) -> len(there) >= len(there.open)",
        "attachment.stamped: known and record_level.committed(known, session_id) != known -> known",
    ),
    "Is the same function: an entry is deleted right after it was set.": (
        "records.attachment.AttachmentState.without: True -> False",
    ),
    "Is the same function: no input has a number below 0.": ("records.turn_input.Inputs.by_id: 1 -> 2",),
}
"""Reasons, with the functions and changes that they explain, as `file.function: before -> after`."""


def reason_of(mutant: Mutant) -> str:
    """Why nothing catches it; empty if nobody knows."""
    told = f"{mutant.name.partition('#')[0]}: {mutant.before} -> {mutant.after}"
    return next((reason for reason, known in REASONS.items() if told in known), "")
