"""Counterexamples of several kinds, each found by a few calls by hand: what pages, traces, tests and diagrams are made of."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple
from uuid import UUID

from caller import A, B, Caller
from fencepost.kit.result import Request
from fencepost.kit.showing.counterexample import Counterexample
from fencepost.spec import AgentEventEnvelope, Final, Inline, Json, Progress, Start

ENVELOPE = AgentEventEnvelope(UUID("00000000-0000-4000-8000-000000000000"), 0, "2026-01-01T00:00:00Z", Start("th", 1))


class Kind(NamedTuple):
    """A faulty store, and the calls that show its fault."""

    backend: str
    calls: Callable[[Caller], None]
    chapter: str
    beside: tuple[str, ...] = ()


def takeover(caller: Caller) -> None:
    """Another one claims in the millisecond in which a lease expires."""
    caller.claims(A)
    caller.waits_until(1_010)
    caller.claims(B)


def stale_commit(caller: Caller) -> None:
    """A stale holder commits after a takeover."""
    stale = caller.claims(A)
    caller.waits_until(1_010)
    caller.claims(B)
    caller.commits(stale)


def same_claim_id(caller: Caller) -> None:
    """Inputs are claimed, lapse, and are claimed by another one."""
    lease = caller.claims(A)
    caller.submits("one")
    caller.takes_inputs(lease, A)
    caller.waits_until(1_005)
    caller.takes_inputs(lease, B)


def taken_in_part(caller: Caller) -> None:
    """A claim of two inputs lapses, one is taken over, and the claim is completed as it was granted."""
    lease = caller.claims(A)
    caller.submits("one")
    caller.submits("two")
    claim = caller.takes_inputs(lease, A, 2)
    caller.waits_until(1_005)
    caller.takes_inputs(lease, B, 1)
    caller.commits(lease, completed_turn_input_claims=(claim.completion(),))


def late_event(caller: Caller) -> None:
    """An event comes after its turn was finished."""
    caller("finish_turn", "th", 1)
    caller("event.append", "th", 1, ENVELOPE)


def lost_record(caller: Caller) -> None:
    """The first of two records is asked for."""
    first = caller("output.append", "t", 1, "writer", Progress("draft"), ())
    caller("output.append", "t", 1, "writer", Final(Inline(Json(1)), True), (first,))
    caller("get", first)


def forgotten_lease(caller: Caller) -> None:
    """A lease is claimed by another one after the store was closed and opened again, with a process beside."""
    caller.starts(10)
    caller.claims(A)
    caller.reopens()
    caller.claims(B)


def beyond_u64(caller: Caller) -> None:
    """A lease is asked for with a number that is none of the protocol's."""
    caller("try_claim_session_execution_lease", "s", A, 2**64)


def long_renewal(caller: Caller) -> None:
    """A renewal for more than 10 ms."""
    caller("renew_session_execution_lease", caller.claims(A).fence(), 11)


KINDS = {
    "takeover": Kind("faulty:LiveAtTheEdge", takeover, "lease"),
    "commit": Kind("faulty:Unfenced", stale_commit, "lease"),
    "inputs": Kind("faulty_claims:ClaimIdReused", same_claim_id, "turn_input"),
    "settled": Kind("faulty_claims:AnyCompletion", taken_in_part, "commit", ("turn_input", "queued_work")),
    "event": Kind("faulty_logs:TakesMore", late_event, "event"),
    "output": Kind("faulty_logs:LosesTheFirst", lost_record, "output"),
    "reopened": Kind("forgetful:ForgetsLeases", forgotten_lease, "lease"),
    "invalid": Kind("faulty:Lenient", beyond_u64, "lease"),
    "crash": Kind("faulty:Crashing", long_renewal, "lease"),
}


@cache
def found(kind: str) -> Counterexample:
    """The counterexample of this kind."""
    backend, calls, chapter, beside = KINDS[kind]
    return Caller(backend, chapter, beside).shown(calls)


def request(kind: str) -> Request:
    """The run that could have found it."""
    return Request(KINDS[kind].backend, (KINDS[kind].chapter,), 7)
