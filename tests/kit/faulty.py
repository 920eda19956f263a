"""Stores with one planted fault each: the model as a store, bent in one place. And backends that are no good at all."""

# ruff: noqa: D102 - what a method does wrong stands in the docstring of its class
from __future__ import annotations

import dataclasses
import itertools
import random
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

from fencepost.kit import declares
from fencepost.spec import (
    U64_MAX,
    Acquired,
    Alive,
    Backend,
    Busy,
    DurabilityTier,
    FullGraph,
    LeaseOwnerIdentity,
    PersistedSessionRead,
    RuntimeCommit,
    SessionExecutionLease,
    SessionExecutionLeaseCompletion,
    SessionExecutionLeaseFence,
    UnsupportedReadScope,
)
from fencepost.spec.operations import Operation
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore
from msgspec.structs import replace


@declares("controlled-clock", "liveness-oracle", "attachments", "blob-reclaim")
class Bent(ModelStore):
    """The model without a fault."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.minted: list[str] = []

    def right(self, operation: str, *arguments: object) -> Any:
        """What the model does."""
        return self.__getattr__(operation)(*arguments)  # type: ignore[operator]  # every operation is a call


class LiveAtTheEdge(Bent):
    """A lease is still live in the millisecond in which it expires."""

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int) -> object:
        record = self.state.lease.records.get(session_id)
        if record is None or not record.held or record.expires_at != self._clock():
            return self.right("try_claim_session_execution_lease", session_id, owner, lease_ttl_ms)
        holder = LeaseOwnerIdentity(*record.holder)
        return Busy(
            SessionExecutionLease(session_id, holder, record.token, record.fencing_token, record.claimed_at, record.expires_at)
        )


class Unfenced(Bent):
    """A commit goes through under any fence of a session that is leased at all."""

    def commit_runtime_state(self, commit: object) -> object:
        fence = commit.session_execution_lease if isinstance(commit, RuntimeCommit) else None
        if isinstance(commit, RuntimeCommit) and fence is not None and fence.session_id == commit.session_id:
            record = self.state.lease.records.get(commit.session_id)
            if record is not None and record.held and record.expires_at > self._clock():
                owner = LeaseOwnerIdentity(*record.holder)
                held = SessionExecutionLeaseFence(commit.session_id, owner, record.token, record.fencing_token)
                commit = replace(commit, session_execution_lease=held)
        return self.right("commit_runtime_state", commit)


class TokenReused(Bent):
    """Every acquisition of a session gets the same lease token."""

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int) -> object:
        answer = self.right("try_claim_session_execution_lease", session_id, owner, lease_ttl_ms)
        if not isinstance(answer, Acquired):
            return answer
        lease = self.state.lease
        record = dataclasses.replace(lease.records[session_id], token="same")
        self.state = replace(self.state, lease=replace(lease, records=lease.records.set(session_id, record)))
        return Acquired(replace(answer.lease, lease_token="same"))


class FenceForgotten(Bent):
    """A release forgets the fencing token; lease tokens are as fresh as they should be."""

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int) -> object:
        before = self.state.lease.records.get(session_id)
        answer = self.right("try_claim_session_execution_lease", session_id, owner, lease_ttl_ms)
        if not isinstance(answer, Acquired) or (before and before.held and before.expires_at > self._clock()):
            return answer
        token = f"token {len(self.minted)}"
        self.minted.append(token)
        lease = self.state.lease
        record = dataclasses.replace(lease.records[session_id], token=token)
        self.state = replace(self.state, lease=replace(lease, records=lease.records.set(session_id, record)))
        return Acquired(replace(answer.lease, lease_token=token))

    def release_session_execution_lease(self, completion: SessionExecutionLeaseCompletion) -> None:
        before = self.state.lease.records
        self.right("release_session_execution_lease", completion)
        if self.state.lease.records != before:
            records = self.state.lease.records.delete(completion.session_id)
            self.state = replace(self.state, lease=replace(self.state.lease, records=records))


class TokenAndFenceForgotten(FenceForgotten):
    """A release forgets the fencing token, and so, in the same millisecond, the lease token that the model makes of it."""

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int) -> object:
        return self.right("try_claim_session_execution_lease", session_id, owner, lease_ttl_ms)


class EverybodyDead(Bent):
    """A reclaim takes every process for dead."""

    def reclaim_session_execution_lease(self, *arguments: object) -> object:
        alive = self._alive
        self._alive = lambda _pid, _process_start: Alive.no
        try:
            return self.right("reclaim_session_execution_lease", *arguments)
        finally:
            self._alive = alive


class StaleHead(Bent):
    """A commit that expects an earlier head revision is let through."""

    def commit_runtime_state(self, commit: object) -> object:
        head = self.state.commit.head
        expected = commit.expected_head_revision if isinstance(commit, RuntimeCommit) else None
        if isinstance(commit, RuntimeCommit) and head is not None and expected is not None and expected < head.revision:
            commit = replace(commit, expected_head_revision=head.revision)
        return self.right("commit_runtime_state", commit)


class Crashing(Bent):
    """A renewal for more than 10 ms overflows."""

    def renew_session_execution_lease(self, fence: object, lease_ttl_ms: object) -> object:
        if isinstance(lease_ttl_ms, int) and lease_ttl_ms > 10:
            raise OverflowError("int too large to convert")
        return self.right("renew_session_execution_lease", fence, lease_ttl_ms)


class AnotherSession(Bent):
    """A claim of session s2 answers with a lease of session s."""

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int) -> object:
        answer = self.right("try_claim_session_execution_lease", session_id, owner, lease_ttl_ms)
        if isinstance(answer, Acquired) and session_id == "s2":
            return Acquired(replace(answer.lease, session_id="s"))
        return answer


class AnotherType(Bent):
    """A claim of session s2 answers a word: a postcondition is broken."""

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int) -> object:
        answer = self.right("try_claim_session_execution_lease", session_id, owner, lease_ttl_ms)
        return "granted" if session_id == "s2" else answer


class CachedRead(Bent):
    """A full read answers what the first one saw: a fault that only reads bring out."""

    seen: PersistedSessionRead | None = None

    def load_session(self, scope: object) -> object:
        if not isinstance(scope, FullGraph):
            return self.right("load_session", scope)
        self.seen = self.seen or self.right("load_session", scope)
        return self.seen


class OldFirst(Bent):
    """A full read answers its nodes in the opposite order."""

    def load_session(self, scope: object) -> object:
        read = self.right("load_session", scope)
        if read is None or not isinstance(scope, FullGraph):
            return read
        return replace(read, graph=replace(read.graph, nodes=read.graph.nodes[::-1]))


class LeaflessRead(Bent):
    """A leaf that names no readable node is read as none: READ-5a admits it, our store does otherwise."""

    def load_session(self, scope: object) -> object:
        read = self.right("load_session", scope)
        if read is None or not isinstance(scope, FullGraph):
            return read
        if read.graph.leaf_node_id in {node.node_id for node in read.graph.nodes}:
            return read
        return replace(read, graph=replace(read.graph, leaf_node_id=None))


class FickleTier(Bent):
    """The store promises more after each time it is asked."""

    asked = 0

    def durability_tier(self) -> DurabilityTier:
        self.asked += 1
        return DurabilityTier.Inline if self.asked == 1 else DurabilityTier.Durable


class Lenient(Bent):
    """A number beyond the range of u64 is taken for the largest in it."""

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int) -> object:
        return self.right("try_claim_session_execution_lease", session_id, owner, min(lease_ttl_ms, U64_MAX))


class FullDisk(Bent):
    """No commit can be written."""

    def commit_runtime_state(self, commit: object) -> object:
        before = self.state
        self.right("commit_runtime_state", commit)
        self.state = before
        raise Backend("the disk is full")


FAULTS = (
    LiveAtTheEdge,
    Unfenced,
    TokenReused,
    FenceForgotten,
    EverybodyDead,
    StaleHead,
    Crashing,
    AnotherSession,
    AnotherType,
    CachedRead,
    OldFirst,
    FickleTier,
    FullDisk,
)


class Unsteady(Bent):
    """Some stores grant a fencing token too many: the same calls are answered otherwise the next time."""

    opened = itertools.count()

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.number = next(self.opened)

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int) -> object:
        answer = self.right("try_claim_session_execution_lease", session_id, owner, lease_ttl_ms)
        if isinstance(answer, Acquired) and self.number % 4 == 2:
            return Acquired(replace(answer.lease, fencing_token=answer.lease.fencing_token + 1))
        return answer


class NowAndThen(Bent):
    """One store in three grants a fencing token too many, by chance."""

    chance: ClassVar[random.Random] = random.Random(0)

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.is_bent = self.chance.random() < 1 / 3

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int) -> object:
        answer = self.right("try_claim_session_execution_lease", session_id, owner, lease_ttl_ms)
        if isinstance(answer, Acquired) and self.is_bent:
            return Acquired(replace(answer.lease, fencing_token=answer.lease.fencing_token + 1))
        return answer


class OnlyOnce(Bent):
    """A single call of all that are ever made is answered with a fencing token too many."""

    done: ClassVar[bool] = False

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, lease_ttl_ms: int) -> object:
        answer = self.right("try_claim_session_execution_lease", session_id, owner, lease_ttl_ms)
        if isinstance(answer, Acquired) and not OnlyOnce.done:
            OnlyOnce.done = True
            return Acquired(replace(answer.lease, fencing_token=answer.lease.fencing_token + 1))
        return answer


class Closing(Bent):
    """Counts how many stores are open."""

    opened: ClassVar[int] = 0
    most: ClassVar[int] = 0
    used_directories: ClassVar[set[str]] = set()

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        assert not list(environment.directory.iterdir()), "the directory is not empty"
        (environment.directory / "file").write_text("")
        assert not any(Path(directory).exists() for directory in Closing.used_directories), "an old directory is still there"
        Closing.used_directories.add(str(environment.directory))
        Closing.opened += 1
        Closing.most = max(Closing.most, Closing.opened)

    def close(self) -> None:
        Closing.opened -= 1


class WornOut(Bent):
    """Only three stores can be opened."""

    opened: ClassVar[int] = 0

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        WornOut.opened += 1
        if WornOut.opened > 3:
            raise ConnectionError("no more connections\nsecond line")


class CannotClose(Bent):
    """Does not let go."""

    def close(self) -> None:
        raise RuntimeError("busy")


class LeasesOnly:
    """A store with the lease chapter alone."""

    def __init__(self, environment: Environment) -> None:
        store = ModelStore(environment)
        for operation in (
            "try_claim_session_execution_lease",
            "reclaim_session_execution_lease",
            "renew_session_execution_lease",
            "release_session_execution_lease",
        ):
            setattr(self, operation, getattr(store, operation))


def raising(environment: Environment) -> ModelStore:
    """A factory that raises."""
    raise ConnectionRefusedError("nobody listens on port 5432")


def nothing(environment: Environment) -> None:
    """A factory that forgets to return its store."""


def number(environment: Environment) -> int:
    """A factory of something else."""
    return 7


def two_arguments(environment: Environment, path: str) -> ModelStore:
    """A factory that wants too much."""
    return ModelStore(environment)


def no_argument() -> None:
    """A factory that takes nothing."""


not_callable = 7


class Quitting:
    """A store that ends the process instead of answering."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "close":
            raise AttributeError(name)

        def call(*_: object) -> object:
            raise SystemExit(0)

        return call


def quits_on_claim(_: Environment) -> Quitting:
    """A backend whose store quits."""
    return Quitting()


def quits(_: Environment) -> object:
    """A factory that quits."""
    raise SystemExit(0)


class Unreadable(Bent):
    """A store that serves reads until its third commit, and refuses them from then on."""

    def load_session(self, scope: object) -> object:
        if self.state.commit.head is not None and self.state.commit.head.revision >= 3:
            raise UnsupportedReadScope(scope)
        return self.right("load_session", scope)


@declares("controlled-clock", "concurrent-callers", chapters=("output",))
class Patient(ModelStore):
    """A store without a fault that takes its time over an append."""

    def _call(self, operation: Operation, arguments: tuple[object, ...]) -> object:
        if operation.name == "output.append":
            self.take_time()
        return super()._call(operation, arguments)

    def take_time(self) -> None:
        time.sleep(0.002)


class Hurried(Patient):
    """Takes its time over an append, and forgets what others do meanwhile."""

    def take_time(self) -> None:
        before = self.state
        super().take_time()
        self.state = before


class LenientAndWornOut(Lenient, WornOut):
    """Takes numbers beyond the range, until no store can be opened any more."""


class QuitsAtOnce(Patient):
    """Ends the process, from whichever thread calls, instead of answering a list."""

    def _call(self, operation: Operation, arguments: tuple[object, ...]) -> object:
        if operation.name == "list_for_attempt":
            raise SystemExit(0)
        return super()._call(operation, arguments)


@declares("controlled-clock", chapters=("output",))
class OfOneThread(ModelStore):
    """Is closed by the thread that has opened it, or not at all."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.thread = threading.get_ident()

    def close(self) -> None:
        if threading.get_ident() != self.thread:
            raise RuntimeError("another thread")


@declares("controlled-clock", chapters=("output",))
class NoOutputs(ModelStore):
    """No output can be written."""

    def _call(self, operation: Operation, arguments: tuple[object, ...]) -> object:
        if operation.name == "output.append":
            operation.refuse_invalid(arguments)
            raise OSError("no disk")
        return super()._call(operation, arguments)


class NoNumber(Patient):
    """Answers a list with what is no number, and no JSON."""

    def _call(self, operation: Operation, arguments: tuple[object, ...]) -> object:
        return float("nan") if operation.name == "list_for_attempt" else super()._call(operation, arguments)
