"""Faults in the boundaries of runtimes: their numbers, stamps, digests and snapshots."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable
from typing import Any
from uuid import UUID

from fencepost.impl import DuckDBRuntimeStore, runtime
from fencepost.impl.encoding import lookup
from fencepost.spec import (
    InputState,
    RunBoundaryReceipt,
    SessionDelta,
    UndecodableSession,
    WriteFailed,
)
from fencepost.spec.conversation import DecodedSession, conversation_digest, decode_session
from msgspec.structs import replace

from ..kinds import Kind
from ..planting import Patch, bug, per_run, reworded, wrap


def read_otherwise(patch: Patch, codec: Callable[[bytes], DecodedSession]) -> None:
    """Read snapshots with this codec."""
    patch.setattr(DuckDBRuntimeStore, "_codec", staticmethod(codec))


def stamping(patch: Patch, stamp: Callable[[InputState, InputState, tuple[str, ...]], InputState]) -> None:
    """Let boundary commits keep what this makes of an input, its stamped form and the contributing inputs."""
    original = InputState.stamped

    def around(commit: Any, store: Any, *given: Any) -> Any:
        with Patch() as inner:
            # the model uses it too
            inner.setattr(InputState, "stamped", lambda state, *receipt: stamp(state, original(state, *receipt), given[4]))
            return commit(store, *given)

    wrap(patch, "commit_session_boundary", around)


def numbered(patch: Patch, counted: Callable[[str, str], Hashable], chosen: Callable[[int, int], int]) -> None:
    """Let a boundary commit choose between the next number and the last that it gave (-1) to what is counted as one."""
    given = per_run(lambda: dict[Hashable, int]())

    def around(original: Any, store: Any, runtime_id: str, delta: Any, run_id: str, *others: Any) -> Any:
        key, known, own = counted(runtime_id, run_id), given(store), runtime._number
        with Patch() as inner:
            inner.setattr(runtime, "_number", lambda rows: chosen(own(rows), known.get(key, -1)))
            receipt = original(store, runtime_id, delta, run_id, *others)
        known[key] = receipt.sequence
        return receipt

    wrap(patch, "commit_session_boundary", around)


def text_digest(text: bytes) -> str:
    """The digest of bytes."""
    return hashlib.sha256(text).hexdigest()


@bug("RUNTIME-23", Kind.reused)
def receipts_counted(patch: Patch) -> None:
    """The number of a receipt is how many its run has, whatever their numbers."""
    reworded(patch, runtime, "RAISE_NUMBER", "VALUES (?, ?, 0)", "VALUES (?, least(?, 0), 0)")
    reworded(
        patch,
        runtime,
        "RAISE_NUMBER",
        "greatest(runtime_runs.last_sequence, excluded.last_sequence)",
        "runtime_runs.last_sequence + 1",
    )


@bug("RUNTIME-22", Kind.reused)
def applied_receipts_not_counted(patch: Patch) -> None:
    """The next number comes after the last one that the store made: receipts of callers do not count."""
    numbered(patch, lambda runtime_id, run_id: (runtime_id, run_id), lambda _, last: last + 1)


@bug("RUNTIME-24", Kind.leak)
def one_counter_for_all_runtimes(patch: Patch) -> None:
    """The receipts of a run are counted over all runtimes."""
    numbered(patch, lambda _, run_id: run_id, lambda number, last: max(number, last + 1))


@bug("RUNTIME-33", Kind.half)
def refusal_uses_up_a_number(patch: Patch) -> None:
    """A boundary commit whose snapshot does not decode has taken its number before it is refused."""

    def around(original: Any, store: Any, runtime_id: str, delta: Any, run_id: str, *others: Any) -> Any:
        try:
            return original(store, runtime_id, delta, run_id, *others)
        except WriteFailed:
            store._engine.once(runtime.TAKE_NUMBER, (lookup(runtime_id, run_id),))
            raise

    wrap(patch, "commit_session_boundary", around)


@bug("RUNTIME-23a", Kind.overflow, also=("RUNTIME-49",))
def numbers_wrap_around(patch: Patch) -> None:
    """After the number 2^64 - 1 comes 0."""
    reworded(patch, runtime, "TAKE_NUMBER", "WHERE runtime_runs.last_sequence < 18446744073709551615", "")
    reworded(
        patch,
        runtime,
        "TAKE_NUMBER",
        "least(runtime_runs.last_sequence, 18446744073709551614) + 1",
        "((runtime_runs.last_sequence::HUGEINT + 1) % 18446744073709551616)::UBIGINT",
    )


@bug("RUNTIME-22", Kind.edge, also=("RUNTIME-INV-1",))
def numbers_begin_with_1(patch: Patch) -> None:
    """The first receipt of a run has the number 1."""
    reworded(patch, runtime, "TAKE_NUMBER", "VALUES (?, 0, 0)", "VALUES (?, 1, 0)")


@bug("RUNTIME-32", Kind.mistaken)
def repeated_boundary_recognized(patch: Patch) -> None:
    """A boundary commit that was made before is answered with the receipt that it had then."""
    made = per_run(lambda: dict[tuple[Any, ...], RunBoundaryReceipt]())

    def around(original: Any, store: Any, *given: Any) -> Any:
        known = made(store)
        if given not in known:
            known[given] = original(store, *given)
        return known[given]

    wrap(patch, "commit_session_boundary", around)


@bug("RUNTIME-25", Kind.lost)
def contributing_without_repetition(patch: Patch) -> None:
    """Of a contributing input that is given twice one stands in the receipt."""

    def around(original: Any, store: Any, *given: Any) -> Any:
        return original(store, *given[:4], tuple(dict.fromkeys(given[4])), given[5])

    wrap(patch, "commit_session_boundary", around)


@bug("RUNTIME-30", Kind.selection)
def contributing_stamped_only(patch: Patch) -> None:
    """Only inputs that contribute are stamped."""
    stamping(patch, lambda state, stamped, contributing: stamped if state.input_id in contributing else state)


@bug("RUNTIME-30", Kind.refusal)
def unknown_contributing_refused(patch: Patch) -> None:
    """A boundary commit is refused if a contributing input is neither kept nor given."""

    def around(original: Any, store: Any, runtime_id: str, *given: Any) -> Any:
        updated = {each.input_id for each in given[4]}
        if any(each not in updated and store.load_input_state(runtime_id, each) is None for each in given[3]):
            raise WriteFailed("there is no such input")
        return original(store, runtime_id, *given)

    wrap(patch, "commit_session_boundary", around)


@bug("RUNTIME-28", Kind.lost_update)
def stamps_not_renewed(patch: Patch) -> None:
    """An input that has a stamp keeps it."""
    stamping(patch, lambda state, stamped, _contributing: state if state.last_run_id else stamped)


@bug("RUNTIME-29", Kind.uncalled)
def stamp_changes_the_time(patch: Patch) -> None:
    """A stamp sets the time at which the input changed last."""
    stamping(patch, lambda _state, stamped, _contributing: replace(stamped, updated_at="2026-01-01T12:00:00Z"))


@bug("RUNTIME-26", Kind.untrue)
def blocks_counted(patch: Patch) -> None:
    """The message count of a receipt counts the blocks of messages that have blocks."""

    def codec(snapshot: bytes) -> DecodedSession:
        messages = json.loads(snapshot)["messages"] if (session := decode_session(snapshot)).message_count else []
        blocks = (each.get("blocks", each.get("content")) for each in messages)
        return session._replace(message_count=sum(len(each) if isinstance(each, list) else 1 for each in blocks))

    read_otherwise(patch, codec)


@bug("RUNTIME-64", Kind.untrue)
def digest_of_the_bytes(patch: Patch) -> None:
    """The digest is that of the snapshot's bytes."""
    read_otherwise(patch, lambda snapshot: decode_session(snapshot)._replace(conversation_digest=text_digest(snapshot)))


@bug("RUNTIME-65", Kind.untrue)
def digest_of_the_messages_as_written(patch: Patch) -> None:
    """The digest is over the messages as the snapshot has them, without white space."""

    def codec(snapshot: bytes) -> DecodedSession:
        session = decode_session(snapshot)
        return session._replace(conversation_digest=conversation_digest(json.loads(snapshot)["messages"]))

    read_otherwise(patch, codec)


@bug("RUNTIME-66", Kind.untrue)
def digest_with_the_session(patch: Patch) -> None:
    """The session's id takes part in the digest."""

    def codec(snapshot: bytes) -> DecodedSession:
        session = decode_session(snapshot)
        return session._replace(conversation_digest=text_digest(f"{session.session_id} {session.conversation_digest}".encode()))

    read_otherwise(patch, codec)


@bug("RUNTIME-27", Kind.untrue)
def digest_with_its_name(patch: Patch) -> None:
    """The digest stands behind the name of its algorithm."""

    def around(original: Any, store: Any, *given: Any) -> Any:
        store_receipt, kept = runtime._store_receipt, list[RunBoundaryReceipt]()

        def keep(engine: Any, runtime_id: str, receipt: RunBoundaryReceipt) -> None:
            kept.append(replace(receipt, conversation_digest=f"sha256:{receipt.conversation_digest}"))
            store_receipt(engine, runtime_id, kept[-1])

        with Patch() as inner:
            inner.setattr(runtime, "_store_receipt", keep)
            original(store, *given)
        return kept[-1]

    wrap(patch, "commit_session_boundary", around)


@bug("RUNTIME-20", Kind.half)
def undecodable_session_committed(patch: Patch) -> None:
    """A boundary with a snapshot that does not decode is committed like one of a session without messages."""

    def codec(snapshot: bytes) -> DecodedSession:
        try:
            return decode_session(snapshot)
        except UndecodableSession:
            return DecodedSession(UUID(int=0), 0, conversation_digest([]))

    def around(original: Any, store: Any, *given: Any) -> Any:
        with Patch() as inner:
            read_otherwise(inner, codec)
            return original(store, *given)

    wrap(patch, "commit_session_boundary", around)


@bug("RUNTIME-11", Kind.lost)
def snapshot_written_anew(patch: Patch) -> None:
    """A snapshot is kept as JSON without white space."""
    original = runtime._store_snapshot

    def store_snapshot(engine: Any, runtime_id: str, session: Any, delta: SessionDelta) -> None:
        compact = json.dumps(json.loads(delta.session_snapshot), separators=(",", ":"), ensure_ascii=False)
        original(engine, runtime_id, session, SessionDelta(compact.encode()))

    patch.setattr(runtime, "_store_snapshot", store_snapshot)


@bug("RUNTIME-34", Kind.lost_update, also=("RUNTIME-31",))
def shorter_snapshot_ignored(patch: Patch) -> None:
    """A snapshot that is shorter than the one that is there is taken for an older one and left out."""
    kept = "DO UPDATE SET snapshot = excluded.snapshot"
    reworded(
        patch,
        runtime,
        "STORE_SNAPSHOT",
        f"(runtime_key) {kept}",
        f"(runtime_key) {kept} WHERE octet_length(excluded.snapshot) >= octet_length(runtime_snapshots.snapshot)",
    )


@bug("RUNTIME-64", Kind.untrue)
def reasoning_not_hashed(patch: Patch) -> None:
    """The digest of a conversation in which an assistant reasons is that of none."""

    def codec(snapshot: bytes) -> DecodedSession:
        found = decode_session(snapshot)
        return found._replace(conversation_digest=conversation_digest([])) if b'"reasoning"' in snapshot else found

    read_otherwise(patch, codec)
