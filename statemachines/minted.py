"""What stores mint: where it stands in calls and answers, and what the values of one run are called in another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import msgspec
from fencepost.spec import (
    Acquired,
    Busy,
    InputId,
    OutputRef,
    PendingTurnInputClaimDiagnostics,
    QueuedWorkClaim,
    QueuedWorkClaimExpired,
    QueuedWorkCompletion,
    SessionExecutionLease,
    TurnInputClaim,
    TurnInputClaimExpired,
    TurnInputCompletion,
)
from fencepost.spec.lease import LeaseProof
from msgspec.structs import replace

from .checker import Call, Edge, Event
from .leaves import Leaf, leaves, leaves_of

Claim: TypeAlias = TurnInputClaim | QueuedWorkClaim
Completion: TypeAlias = TurnInputCompletion | QueuedWorkCompletion
Program: TypeAlias = tuple[Event, ...]

OF_CLAIMS: dict[type, str] = {
    TurnInputClaim: "input claim",
    TurnInputCompletion: "input claim",
    TurnInputClaimExpired: "input claim",
    PendingTurnInputClaimDiagnostics: "input claim",
    QueuedWorkClaim: "work claim",
    QueuedWorkCompletion: "work claim",
    QueuedWorkClaimExpired: "work claim",
}
"""Records that show ids or tokens of claims, and whose; all others show those of leases."""

FIELDS = {"input_ids": "input_id", "existing_input_id": "input_id", "batch_ids": "batch_id"}
"""Fields that hold what is minted in a field of another name."""


NAMES: dict[type, str] = {InputId: "input_id", OutputRef: "output_ref"}
"""Records that are a name by themselves, and of what."""


def kind_of(field: str, record: type | None = None) -> str | None:
    """What a text in this field of a record names, if stores mint it; None if they do not.

    Texts of two kinds may be equal and name two things: a store may number its inputs and its batches alike.
    """
    name = NAMES.get(record, FIELDS.get(field, field)) if record else FIELDS.get(field, field)
    if name in ("claim_id", "lease_token"):
        return f"{name} of {OF_CLAIMS.get(record, 'lease') if record else 'lease'}"
    return "ref" if name.endswith("_ref") else name if name in ("input_id", "batch_id", "item_id") else None


class Place(NamedTuple):
    """A text that stands where stores put what they mint: the path to it, such as `.lease.lease_token`, and its kind."""

    path: str
    kind: str
    text: str


def places(value: object, path: str = "") -> Iterator[Place]:
    """Every place of a minted text in a value."""
    return _places(leaves(value, path))


def places_shown(call: Call) -> Iterator[Place]:
    """Every place of a minted text in the arguments of a call."""
    return _places(leaves_of(call))


def _places(found: Iterable[Leaf]) -> Iterator[Place]:
    for path, field, record, value in found:
        kind = kind_of(field, record) if isinstance(value, str) else None
        if kind is not None:
            yield Place(path, kind, value)


def origin(text: str, known: Collection[str]) -> str | None:
    """The known text that this one is, or that it was altered from by something put behind it."""
    if text in known:
        return text
    return max(
        (each for each in known if each and text.startswith(each) and not text[len(each)].isalnum()), key=len, default=None
    )


def minted_in(program: Program) -> dict[str, set[str]]:
    """The texts that the store minted in a program, by kind: those it answered before any call had given them."""
    minted: dict[str, set[str]] = {}
    given: set[tuple[str, str]] = set()
    for event in program:
        if isinstance(event.action, Call):
            given.update((place.kind, place.text) for place in places_shown(event.action))
        for place in places(event.answer):
            if (place.kind, place.text) not in given:
                minted.setdefault(place.kind, set()).add(place.text)
    return minted


def ends(answer: object) -> Iterator[int]:
    """When the leases and claims in an answer expire, in the order of its fields."""
    if isinstance(answer, tuple):
        for item in answer:
            yield from ends(item)
    elif isinstance(answer, msgspec.Struct):
        for name in answer.__struct_fields__:
            value = getattr(answer, name)
            yield from (value,) if name == "expires_at_epoch_ms" and isinstance(value, int) else ends(value)


ALONE = ("input_id", "batch_id")
"""The kinds of texts that are arguments by themselves."""


class Renaming:
    """What the values minted in one run are called in another."""

    def __init__(self) -> None:
        self._texts: dict[str, dict[str, str]] = {}
        self._leases: dict[str, tuple[SessionExecutionLease, SessionExecutionLease]] = {}
        self._claims: list[tuple[Claim | Completion, Any]] = []
        self._ends: dict[int, int] = {}

    def edge(self, edge: Edge | None) -> Edge | None:
        """The end that is in its place now, and as long after it; None if there is none."""
        return edge._replace(end=self._ends[edge.end]) if edge and edge.end in self._ends else None

    def learn(self, earlier: object, now: object) -> None:
        """Two answers of one call, in the earlier run and now."""
        self._ends.update(zip(ends(earlier), ends(now), strict=False))
        old, new = shown_lease(earlier), shown_lease(now)
        if old is not None and new is not None:
            self._leases[old.lease_token] = (old, new)
        for claim in (TurnInputClaim, QueuedWorkClaim):
            if isinstance(earlier, claim) and isinstance(now, claim):
                self._claims += [(earlier, now), (earlier.completion(), now.completion())]
        by_path = {place.path: place for place in places(now)}
        for place in places(earlier):
            if place.path in by_path:
                # the first answer that shows a text is the one that brought it: lists may have become shorter since
                self._texts.setdefault(place.kind, {}).setdefault(place.text, by_path[place.path].text)

    def apply(self, value: Any, field: str = "", record: type | None = None) -> Any:
        """The value, which stands in this field, with everything minted renamed."""
        if isinstance(value, str):
            return self._text(value, (kind_of(field, record),) if field else ALONE)
        if isinstance(value, tuple):
            return tuple(self.apply(item, field, record) for item in value)
        if isinstance(value, LeaseProof):
            return self._proof(value)
        if isinstance(value, Claim | Completion):
            return self._claim(value)
        return self._record(value) if isinstance(value, msgspec.Struct) else value

    def _text(self, text: str, kinds: Collection[str | None]) -> str:
        for kind in kinds:
            known = self._texts.get(kind or "", {})
            old = origin(text, known)
            if old is not None:
                return known[old] + text[len(old) :]
        return text

    def _record(self, value: msgspec.Struct) -> msgspec.Struct:
        renamed = {name: self.apply(getattr(value, name), name, type(value)) for name in value.__struct_fields__}
        changed = {name: new for name, new in renamed.items() if new is not getattr(value, name)}
        return replace(value, **changed) if changed else value

    def _proof(self, proof: LeaseProof) -> LeaseProof:
        """The proof of the lease in its place now; what was altered in it stays altered."""
        token = origin(proof.lease_token, self._leases)
        if token is None:
            return proof
        old, new = self._leases[token]
        fence = max(0, proof.fencing_token + new.fencing_token - old.fencing_token)
        owner = new.owner if proof.owner == old.owner else proof.owner
        renamed = new.lease_token + proof.lease_token[len(token) :]
        return replace(proof, owner=owner, lease_token=renamed, fencing_token=fence)

    def _claim(self, claim: Claim | Completion) -> msgspec.Struct:
        """The claim in its place now, or the completion of it; what was altered in it stays altered."""
        akin = [pair for pair in reversed(self._claims) if _akin(pair[0], claim)]
        if not akin:
            return self._record(claim)
        old, new = min(akin, key=lambda pair: len(differing(pair[0], claim)))
        changes = {name: self.apply(getattr(claim, name), name, type(claim)) for name in differing(old, claim)}
        renamed: msgspec.Struct = replace(new, **changes)
        return renamed


def _akin(old: Claim | Completion, claim: Claim | Completion) -> bool:
    """Whether what is shown is this claim, or one made of it."""
    return type(old) is type(claim) and (old.claim_id == claim.claim_id or old.lease_token == claim.lease_token)


def differing(left: msgspec.Struct, right: msgspec.Struct) -> list[str]:
    """The fields in which two records of one kind differ."""
    return [name for name in left.__struct_fields__ if getattr(left, name) != getattr(right, name)]


def shown_lease(answer: object) -> SessionExecutionLease | None:
    """The lease that an answer shows, if it shows one."""
    match answer:
        case Acquired(lease=lease) | Busy(holder=lease):
            return lease
        case SessionExecutionLease():
            return answer
    return None
