"""Faults that show only where calls are made at once: what was read is written back, whoever has written meanwhile."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from fencepost.impl import runtime
from fencepost.impl.claim import OWNED, owned
from fencepost.impl.encoding import lookup
from fencepost.impl.engine import Engine
from fencepost.impl.input_rows import READ_OWNED, ingress_of, put_in_line
from fencepost.spec import AttachmentIntent, InputState, QueuedWorkClaim, TurnInputClaim

from ..kinds import Kind
from ..planting import Patch, ask, bug, wrap

MEANWHILE_S = 0.002
"""Seconds between reading and writing: a network, or somebody else's turn."""


def free(engine: Engine, session_id: str, number: int, ingress: str) -> None:
    """Let one input wait again, whoever has it."""
    put_in_line(engine, session_id, ingress_of(ingress), (number,))


@bug("ABANDON-1", Kind.lost_update)
def abandoned_inputs_freed_whoever_has_them(patch: Patch) -> None:
    """What an abandoned claim holds is read, and is freed afterwards, also where another claim has taken it over meanwhile."""

    def around(original: Any, store: Any, claim: TurnInputClaim) -> None:
        held = ask(store, READ_OWNED.sql, *owned(claim))
        time.sleep(MEANWHILE_S)
        original(store, claim)
        for row in held:
            store._engine.again("free the input", partial(free, store._engine, claim.session_id, *row))

    wrap(patch, "abandon_turn_input_claim", around)


@bug("QRENEW-2", Kind.lost_update)
def renewal_takes_batches_back(patch: Patch) -> None:
    """What a claim holds is read and written back by a renewal, also where another claim has taken it over meanwhile."""
    columns = "claim_id, claim_token, claim_owner, claim_host, claim_fencing_token"

    def around(original: Any, store: Any, claim: QueuedWorkClaim, ttl_ms: int) -> Any:
        held = ask(store, f"SELECT {columns}, enqueue_seq FROM batches WHERE {OWNED}", *owned(claim))
        time.sleep(MEANWHILE_S)
        for row in held:
            ask(store, f"UPDATE batches SET ({columns}) = (?, ?, ?, ?, ?) WHERE enqueue_seq = ?", *row)
        return original(store, claim, ttl_ms)

    wrap(patch, "renew_queued_work_claim", around)


@bug("MAINT-2", Kind.lost_update)
def tombstones_written_as_one_list(patch: Patch) -> None:
    """The tombstoned nodes are read, and written back with those of the call: what was hidden meanwhile can be seen again."""

    def around(original: Any, store: Any, ids: tuple[str, ...]) -> None:
        hidden = [name for (name,) in ask(store, "SELECT node_id FROM nodes WHERE tombstoned")]
        time.sleep(MEANWHILE_S)
        original(store, ids)
        ask(store, "UPDATE nodes SET tombstoned = list_contains(?::VARCHAR[], node_id)", [*hidden, *ids])

    wrap(patch, "tombstone_nodes", around)


@bug("ATT-2", Kind.lost_update)
def stamp_beside_a_recording_lost(patch: Patch) -> None:
    """To record an attachment again writes back the stamp that was read before, and clears one that was set meanwhile."""

    def around(original: Any, store: Any, intent: AttachmentIntent) -> None:
        found = ask(store, "SELECT committed_at FROM attachments WHERE attachment_id = ?", intent.attachment_id)
        time.sleep(MEANWHILE_S)
        original(store, intent)
        for (stamp,) in found:
            ask(store, "UPDATE attachments SET committed_at = ? WHERE attachment_id = ?", stamp, intent.attachment_id)

    wrap(patch, "record_intent", around)


@bug("RUNTIME-8", Kind.lost_update)
def inputs_written_as_one_list(patch: Patch) -> None:
    """The inputs of a runtime are read, and written back with the one that is persisted: what was written meanwhile is gone."""

    def around(original: Any, store: Any, runtime_id: str, state: InputState) -> None:
        read = store.load_input_states(runtime_id)
        time.sleep(MEANWHILE_S)
        ask(store, "DELETE FROM runtime_inputs WHERE runtime_key = ?", lookup(runtime_id))
        ask(store, runtime.STORE_INPUTS.sql, *runtime._inputs(runtime_id, (*read, state)))

    wrap(patch, "persist_input_state", around)
