"""Stores that declare more, or less, than they have."""

from __future__ import annotations

import threading
import time
from typing import Any

from faulty import Bent
from fencepost.impl import DuckDBStores
from fencepost.kit import declares
from fencepost.model import TRANSITIONS, Ports, Refused
from fencepost.spec import (
    Alive,
    GcReport,
    HeadRevisionConflict,
    PendingTurnInput,
    PendingTurnInputDraft,
    RuntimeCommit,
    Stores,
    UnsupportedTurnInputs,
)
from fencepost.spec.operations import OPERATIONS, Operation
from fencepost.statemachines.environment import CAPABILITIES, Environment
from fencepost.statemachines.model_store import ModelStore
from msgspec.structs import replace


def time_of_day() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


@declares("attachments", "blob-reclaim")
def by_the_time_of_day(environment: Environment) -> DuckDBStores:
    """A store with a clock of its own, and an oracle of its own for which nobody is dead."""
    return DuckDBStores()


@declares("attachments", "blob-reclaim")
def everybody_is_dead(environment: Environment) -> DuckDBStores:
    """A store with a clock of its own, and an oracle of its own for which nobody lives."""
    return DuckDBStores(process_alive=lambda _pid, _start: Alive.no)


@declares("liveness-oracle", "attachments", "blob-reclaim")
def late(environment: Environment) -> DuckDBStores:
    """A store whose clock is five seconds slow."""
    return DuckDBStores(clock=lambda: time_of_day() - 5_000, process_alive=environment.process_alive)


@declares(*CAPABILITIES)
def not_under_control(environment: Environment) -> DuckDBStores:
    """Declares a controlled clock, and goes by its own."""
    return DuckDBStores(process_alive=environment.process_alive)


@declares("controlled-clock", "liveness-oracle")
class Keeping(Bent):
    """Keeps attachments and reclaims blobs, and declares neither."""

    fencepost_declares = ("controlled-clock", "liveness-oracle")


class Forgetful(Bent):
    """Declares attachments, and keeps none."""

    def list_uncommitted(self, older_than_epoch_ms: int) -> tuple[()]:
        """Nothing."""
        self.right("list_uncommitted", older_than_epoch_ms)
        return ()


class Hoarding(Bent):
    """Declares that it reclaims blobs, and reclaims none."""

    def gc_unreachable(self) -> GcReport:
        """Three zeros."""
        return GcReport()


CHAPTERS = ("lease", "commit", "session")


class _Without(Bent):
    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._segment = UnsupportedTurnInputs()
        self._environment = environment

    def __getattr__(self, name: str) -> Any:
        chapter = OPERATIONS[name].chapter if name in OPERATIONS else ""
        if chapter in ("queued_work", "attachment"):
            raise AttributeError(name)
        return getattr(self._segment, name) if chapter == "turn_input" else super().__getattr__(name)


@declares("controlled-clock", "liveness-oracle", chapters=CHAPTERS)
class WithInputs(Bent):
    """Takes turn inputs, and does not declare them."""

    def __getattr__(self, name: str) -> Any:
        if name in OPERATIONS and OPERATIONS[name].chapter in ("queued_work", "attachment"):
            raise AttributeError(name)
        return super().__getattr__(name)


@declares("controlled-clock", "liveness-oracle", chapters=CHAPTERS)
class WithoutInputs(_Without):
    """Says of turn inputs that they are unsupported."""


@declares("controlled-clock", "liveness-oracle", chapters=CHAPTERS)
class Swallowing(_Without):
    """Swallows turn inputs, which it does not declare."""

    def enqueue_pending_turn_input(self, draft: PendingTurnInputDraft) -> PendingTurnInput:
        """Accepted, and gone."""
        accepted: PendingTurnInput = getattr(ModelStore(self._environment), "enqueue_pending_turn_input")(draft)  # noqa: B009
        return accepted


@declares(*(each for each in CAPABILITIES if each != "reopen"))
class Racy(ModelStore):
    """Looks first and writes later: a call in between is lost."""

    def _call(self, operation: Operation, arguments: tuple[object, ...]) -> object:
        operation.refuse_invalid(arguments)
        ports = Ports(self._clock(), self._alive, codec=self._codec)
        step = TRANSITIONS[operation.name](self.state, ports, *arguments)[0]
        if threading.active_count() > 2:
            # a collection is slower than the commit beside it, which it undoes
            time.sleep(0.005 if operation.chapter == "maintenance" else 0.001)
        self.state = step.state
        if isinstance(step.answer, Refused):
            raise step.answer.error
        return step.answer


ALL_BUT_REOPEN = tuple(each for each in CAPABILITIES if each != "reopen")


@declares(*ALL_BUT_REOPEN)
class Optimistic(ModelStore):
    """Decides without a lock and tries again if somebody was faster; a commit that had no head to expect gives up instead."""

    def _call(self, operation: Operation, arguments: tuple[object, ...]) -> object:
        operation.refuse_invalid(arguments)
        while True:
            seen = self.state
            ports = Ports(self._clock(), self._alive, codec=self._codec)
            step = TRANSITIONS[operation.name](seen, ports, *arguments)[0]
            if threading.active_count() > 2:
                time.sleep(0.001)
            with self._lock:
                if self.state is seen:
                    self.state = step.state
                    break
                head = self.state.commit.head
            commit = arguments[0] if arguments else None
            if isinstance(commit, RuntimeCommit) and head and not (commit.expected_head_revision or commit.turn_commit):
                raise HeadRevisionConflict(head.revision, head.revision)
        if isinstance(step.answer, Refused):
            raise step.answer.error
        return step.answer


@declares(*ALL_BUT_REOPEN)
class Skewed(ModelStore):
    """One call at a time, save that a commit looks at its lease, and is written when others have had their turn."""

    def _call(self, operation: Operation, arguments: tuple[object, ...]) -> object:
        looked, is_commit = self.state, operation.name == "commit_runtime_state"
        operation.refuse_invalid(arguments)
        if threading.active_count() > 2:
            # others come a little later, and a commit is slower than they are
            time.sleep(0.01 if is_commit else 0.002)
        with self._lock:
            now = self.state
            ports = Ports(self._clock(), self._alive, codec=self._codec)
            step = TRANSITIONS[operation.name](replace(now, lease=looked.lease) if is_commit else now, ports, *arguments)[0]
            self.state = replace(step.state, lease=now.lease) if is_commit else step.state
        if isinstance(step.answer, Refused):
            raise step.answer.error
        return step.answer


@declares("controlled-clock", chapters=("event",))
def events_alone(environment: Environment) -> Stores:
    """A store of events, which is declared, and another one of outputs, which is not."""
    whole = ModelStore(environment)
    return Stores(event=whole.event, output=whole.output)
