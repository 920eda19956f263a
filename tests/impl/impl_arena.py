"""Two calls that meet at every point, and the only answers there may be: those of one after the other."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

import pytest
from fencepost.impl import Engine
from fencepost.impl.engine import Statement
from fencepost.impl.schema import TABLES
from fencepost.spec import StoreError
from impl_builders import TTL, RivalEngine, dump, run, store_on
from impl_entries import World, world

W = TypeVar("W")

EMPTY = Statement("empty", "WITH " + ", ".join(f"{name}_gone AS (DELETE FROM {name})" for name in TABLES) + " SELECT 1")
FILL = Statement(
    "fill", "WITH " + ", ".join(f"{name}_back AS (INSERT INTO {name} FROM kept_{name})" for name in TABLES) + " SELECT 1"
)


Rows = dict[str, list[tuple[object, ...]]]


class Outcome(NamedTuple):
    """What a call and its rival answered, what the rival found when it had its answer, and what was left in the end."""

    call: object
    rival: object
    found: Rows
    left: Rows


class Kept:
    """What an engine holds now, to be brought back."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        for table in TABLES:
            run(engine, f"CREATE TABLE kept_{table} AS FROM {table}")

    def restore(self) -> None:
        """Bring every table back."""
        self.engine.send(EMPTY)
        self.engine.send(FILL)


class Arena(Kept, Generic[W]):
    """Stores with something of every kind in them, brought back to where they were before each fight."""

    def __init__(self, engine: RivalEngine, there: W) -> None:
        super().__init__(engine)
        self.rivals, self.there = engine, there

    def allowed(self, call: Callable[[W], object], rival: Callable[[W], object]) -> list[Outcome]:
        """What may come out: what does if one begins when the other has ended; the rival may look before or after the call."""
        self.restore()
        first, then, end = answered(call, self.there), answered(rival, self.there), left(self.engine)
        self.restore()
        rival_first, between, call_then = answered(rival, self.there), left(self.engine), answered(call, self.there)
        last = left(self.engine)
        return [
            Outcome(first, then, end, end),
            Outcome(call_then, rival_first, between, last),
            Outcome(call_then, rival_first, last, last),
        ]

    def raced(self, call: Callable[[W], object], rival: Callable[[W], object], before: int) -> Outcome | None:
        """What comes out if the rival begins before the call's n-th statement; None if there is none such."""
        self.restore()
        answers: list[object] = []
        rivals: list[object] = []
        found: list[Rows] = []

        def meet() -> None:
            rivals.append(answered(rival, self.there))
            # as one snapshot: the call may end meanwhile
            found.append(self.engine.transaction("look", lambda: left(self.engine)))

        self.rivals.interrupted(before, meet, lambda: answers.append(answered(call, self.there)))
        return Outcome(answers[0], rivals[0], found[0], left(self.engine)) if rivals else None


def answered(call: Callable[[W], object], there: W) -> object:
    """The answer, or the refusal."""
    try:
        return call(there)
    except StoreError as error:
        return error


def left(engine: Engine) -> Rows:
    """Every row without what only counts writers."""
    rows = dump(engine)
    return rows | {
        "guards": sorted((name, last) for name, _, last in rows["guards"]),
        "head": [each[:-1] for each in rows["head"]],
        "leases": [each[:-1] for each in rows["leases"]],
        "threads": [each[:-1] for each in rows["threads"]],
        "runtime_runs": [each[:-1] for each in rows["runtime_runs"]],
    }


def require_one_after_the_other(arena: Arena[W], call: Callable[[W], object], rival: Callable[[W], object]) -> list[Outcome]:
    """Let the rival in at every point of the call, and the call at every point of the rival; what came out, each time.

    Raises `AssertionError` unless it is always what comes out if one begins when the other has ended.
    """
    seen: list[Outcome] = []
    for first, second in {(call, rival): None, (rival, call): None}:
        allowed = arena.allowed(first, second)
        for before in range(20):
            outcome = arena.raced(first, second, before)
            if outcome is None:
                assert before > 0
                break
            assert outcome in allowed, f"let in before statement {before}: {told(outcome, allowed)}"
            seen.append(outcome)
    return seen


def told(outcome: Outcome, allowed: Sequence[Outcome]) -> str:
    """Where the outcome differs from each that is allowed."""
    lines = []
    for each in allowed:
        if (outcome.call, outcome.rival) != (each.call, each.rival):
            lines.append(f"answered {outcome.call}, {outcome.rival} and not {each.call}, {each.rival}")
        for when, rows, others in (("found", outcome.found, each.found), ("left", outcome.left, each.left)):
            lines += [f"{when} in {name} {rows[name]} and not {others[name]}" for name in rows if rows[name] != others[name]]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def no_chance() -> Iterator[None]:
    """Equal histories make equal names, so that outcomes can be compared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "token_hex", lambda length: "0" * 2 * length)
        yield


def arena_of_entries() -> Arena[World]:
    """An arena for calls on entries, leases and commits."""
    engine = RivalEngine()
    there = world(store_on(engine))
    # so that the lane outlives the claims
    there.store.renew_session_execution_lease(there.lease.fence(), 100 * TTL)
    there.store.renew_session_execution_lease(there.other.fence(), 100 * TTL)
    return Arena(engine, there)


@pytest.fixture(scope="module")
def arena(no_chance: None) -> Arena[World]:
    """The arena of a file of tests."""
    return arena_of_entries()
