"""Runtime persistence: the inputs of runtimes, the receipts of their runs, their latest session, and their state.

A runtime is known by its id alone and need not be created. At a boundary of a run its session is committed together with a
receipt, which the store mints, and with the inputs concerned. The store judges no lifecycle: which state may follow which is
for callers (see `fencepost.model.lifecycle`). A snapshot is bytes to the store; what it has to read of one, a codec reads.
"""

from __future__ import annotations

import enum
from abc import abstractmethod
from typing import TypeAlias
from uuid import UUID

import icontract
import msgspec

from .contracts import ensures, operation
from .values import U32, U64, Instant, Json, Record

LogicalRuntimeId: TypeAlias = str
"""Any text, compared as it is."""


class SessionDelta(Record, frozen=True):
    """The session to commit, as its bytes."""

    session_snapshot: bytes


class RunApplyBoundary(enum.Enum):
    """Where in a run a boundary lies."""

    Immediate = "immediate"
    RunStart = "run_start"
    RunCheckpoint = "run_checkpoint"


class RuntimeState(enum.Enum):
    """The state of a runtime; `Stopped` and `Destroyed` are its ends."""

    Initializing = "initializing"
    Idle = "idle"
    Attached = "attached"
    Running = "running"
    Recovering = "recovering"
    Retired = "retired"
    Stopped = "stopped"
    Destroyed = "destroyed"


class RunBoundaryReceipt(Record, frozen=True, kw_only=True):
    """The proof of what was committed at a boundary. Digest: 64 lower-case hex digits where a store minted it."""

    run_id: UUID
    boundary: RunApplyBoundary
    contributing_input_ids: tuple[UUID, ...]
    conversation_digest: str | None = None
    message_count: U64
    sequence: U64


class InputLifecycleState(enum.Enum):
    """Where an input is in its life; the last four are its ends."""

    Accepted = "accepted"
    Queued = "queued"
    Staged = "staged"
    Applied = "applied"
    AppliedPendingConsumption = "applied_pending_consumption"
    Consumed = "consumed"
    Superseded = "superseded"
    Coalesced = "coalesced"
    Abandoned = "abandoned"


class InputDurability(enum.Enum):
    """How long an input has to be kept."""

    Durable = "durable"
    Ephemeral = "ephemeral"
    Derived = "derived"


class InputAbandonReason(enum.Enum):
    """Why an input was abandoned, other than for its attempts."""

    Retired = "retired"
    Reset = "reset"
    Destroyed = "destroyed"
    Cancelled = "cancelled"


class MaxAttempts(Record, frozen=True):
    """How often the input was staged."""

    attempts: U32


class MaxAttemptsExhausted(Record, frozen=True):
    """Abandoned because it was staged too often."""

    max_attempts_exhausted: MaxAttempts


class OutcomeConsumed(Record, frozen=True, tag_field="outcome_type", tag="consumed"):
    """The input took effect."""


class OutcomeSuperseded(Record, frozen=True, tag_field="outcome_type", tag="superseded"):
    """Another input took its place."""

    superseded_by: UUID


class OutcomeCoalesced(Record, frozen=True, tag_field="outcome_type", tag="coalesced"):
    """It was merged into another one."""

    aggregate_id: UUID


class OutcomeAbandoned(Record, frozen=True, tag_field="outcome_type", tag="abandoned"):
    """It never took effect."""

    reason: InputAbandonReason | MaxAttemptsExhausted


InputTerminalOutcome: TypeAlias = OutcomeConsumed | OutcomeSuperseded | OutcomeCoalesced | OutcomeAbandoned


class InputHistoryEntry(Record, frozen=True, rename={"from_": "from"}):
    """A transition of an input: when, from which state to which, and by what."""

    timestamp: Instant
    from_: InputLifecycleState
    to: InputLifecycleState
    reason: str | None = None


class SourceProjection(Record, frozen=True, tag_field="source_type", tag="projection"):
    """The input can be made again by a rule from an event."""

    rule_id: str
    source_event_id: str


class SourceCoalescing(Record, frozen=True, tag_field="source_type", tag="coalescing"):
    """The input can be made again from others."""

    source_input_ids: tuple[UUID, ...]


ReconstructionSource: TypeAlias = SourceProjection | SourceCoalescing


class PolicySnapshot(Record, frozen=True):
    """The policy that was decided for an input; the decision is opaque here."""

    version: U64
    decision: Json


class InputState(Record, frozen=True, kw_only=True):
    """An input with all that is known of it. To a store everything but `input_id` is opaque; it stamps the two `last` fields.

    `persisted_input` is the input itself, as its JSON.
    """

    input_id: UUID
    current_state: InputLifecycleState
    policy: PolicySnapshot | None = None
    terminal_outcome: InputTerminalOutcome | None = None
    durability: InputDurability | None = None
    idempotency_key: str | None = None
    attempt_count: U32 = 0
    recovery_count: U32 = 0
    history: tuple[InputHistoryEntry, ...] = ()
    reconstruction_source: ReconstructionSource | None = None
    persisted_input: Json | None = None
    last_run_id: UUID | None = None
    last_boundary_sequence: U64 | None = None
    created_at: Instant
    updated_at: Instant

    def stamped(self, run_id: UUID, sequence: int) -> InputState:
        """The input as a boundary stamps it, and nothing else of it changed (RUNTIME-28, RUNTIME-29)."""
        return msgspec.structs.replace(self, last_run_id=run_id, last_boundary_sequence=sequence)


DIGEST = frozenset("0123456789abcdef")


class RuntimeStore(icontract.DBC):
    """The ten calls of a runtime store."""

    @abstractmethod
    @ensures(
        lambda result, run_id, boundary, contributing_input_ids: (
            (result.run_id, result.boundary, result.contributing_input_ids) == (run_id, boundary, contributing_input_ids)
        ),
        "RUNTIME-25",
    )
    @ensures(
        lambda result: (
            result.conversation_digest is not None
            and len(result.conversation_digest) == 64
            and DIGEST.issuperset(result.conversation_digest)
        ),
        "RUNTIME-27",
    )
    @operation
    def commit_session_boundary(
        self,
        runtime_id: LogicalRuntimeId,
        session_delta: SessionDelta,
        run_id: UUID,
        boundary: RunApplyBoundary,
        contributing_input_ids: tuple[UUID, ...],
        input_updates: tuple[InputState, ...],
    ) -> RunBoundaryReceipt:
        """Commit session, receipt and inputs as one; the receipt is the store's, the inputs are stamped with it.

        Raises `InvalidArgument`, `WriteFailed`. Requirements: RUNTIME-20 to RUNTIME-34.
        """

    @abstractmethod
    @operation
    def atomic_apply(
        self,
        runtime_id: LogicalRuntimeId,
        session_delta: SessionDelta | None,
        receipt: RunBoundaryReceipt,
        input_updates: tuple[InputState, ...],
        session_store_key: UUID | None,
    ) -> None:
        """Commit session, if there is one, the caller's receipt and inputs as they are, as one.

        Raises `InvalidArgument`, `WriteFailed`, `SessionKeyMismatch`. Requirements: RUNTIME-35 to RUNTIME-41.
        """

    @abstractmethod
    @ensures(lambda result: len({each.input_id for each in result}) == len(result), "RUNTIME-8")
    @operation
    def load_input_states(self, runtime_id: LogicalRuntimeId) -> tuple[InputState, ...]:
        """All inputs of the runtime, each once; none is no error. Raises `InvalidArgument`, `ReadFailed`.

        Requirements: RUNTIME-5, RUNTIME-8, RUNTIME-9.
        """

    @abstractmethod
    @ensures(
        lambda result, run_id, sequence: result is None or (result.run_id, result.sequence) == (run_id, sequence), "RUNTIME-10"
    )
    @operation
    def load_boundary_receipt(self, runtime_id: LogicalRuntimeId, run_id: UUID, sequence: U64) -> RunBoundaryReceipt | None:
        """The receipt of that number in the run; None if there is none. Raises `InvalidArgument`, `ReadFailed`.

        Requirements: RUNTIME-6, RUNTIME-10.
        """

    @abstractmethod
    @operation
    def load_session_snapshot(self, runtime_id: LogicalRuntimeId) -> bytes | None:
        """The bytes of the session committed last; None if there is none. Raises `InvalidArgument`, `ReadFailed`.

        Requirements: RUNTIME-6, RUNTIME-11.
        """

    @abstractmethod
    @operation
    def persist_input_state(self, runtime_id: LogicalRuntimeId, state: InputState) -> None:
        """Keep the input, in place of any of its id. Raises `InvalidArgument`, `WriteFailed`.

        Requirements: RUNTIME-13, RUNTIME-14.
        """

    @abstractmethod
    @ensures(lambda result, input_id: result is None or result.input_id == input_id, "RUNTIME-13")
    @operation
    def load_input_state(self, runtime_id: LogicalRuntimeId, input_id: UUID) -> InputState | None:
        """The input of this id; None if there is none. Raises `InvalidArgument`, `ReadFailed`. Requirement: RUNTIME-6."""

    @abstractmethod
    @operation
    def persist_runtime_state(self, runtime_id: LogicalRuntimeId, state: RuntimeState) -> None:
        """Keep the state of the runtime, in place of any other. Raises `InvalidArgument`, `WriteFailed`.

        Requirement: RUNTIME-15.
        """

    @abstractmethod
    @operation
    def load_runtime_state(self, runtime_id: LogicalRuntimeId) -> RuntimeState | None:
        """The state kept last; None if there is none. Raises `InvalidArgument`, `ReadFailed`. Requirement: RUNTIME-6."""

    @abstractmethod
    @operation
    def atomic_lifecycle_commit(
        self, runtime_id: LogicalRuntimeId, runtime_state: RuntimeState, input_states: tuple[InputState, ...]
    ) -> None:
        """Keep the state of the runtime and these inputs, as one. Raises `InvalidArgument`, `WriteFailed`.

        Requirements: RUNTIME-16, RUNTIME-17.
        """
