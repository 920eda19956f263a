"""From a program that breaks the law to a short one.

A run that found a violation has made dozens of calls; few of them matter. Here calls are left out and values made plain, one
at a time, for as long as the store goes on breaking the same requirement. Values that the store minted are carried over:
what stood for the lease, the claim or the input answered by some call stands for what the same call answers now.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, NamedTuple, TypeAlias

import msgspec
from fencepost.spec import (
    Acquired,
    Busy,
    InputId,
    InvalidArgument,
    Json,
    PendingTurnInputClaimDiagnostics,
    QueuedWorkClaim,
    QueuedWorkClaimExpired,
    QueuedWorkCompletion,
    SessionExecutionLease,
    TurnInputClaim,
    TurnInputClaimExpired,
    TurnInputCompletion,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
)
from fencepost.spec.lease import LeaseProof
from fencepost.spec.operations import OPERATIONS
from msgspec.structs import replace

from .checker import Call, Event, Move, Violation
from .environment import Clock

Claim: TypeAlias = TurnInputClaim | QueuedWorkClaim
Completion: TypeAlias = TurnInputCompletion | QueuedWorkCompletion
Program: TypeAlias = tuple[Event, ...]
Attempt: TypeAlias = Callable[[Program], Violation | None]
"""Runs a program from an empty store: the violation it ends in, or None."""


PLAIN_NUMBER = 10
"""Larger numbers are tried as this one."""

PLAIN_LENGTH = 8
"""Longer texts are tried as a short one."""


def shrunk(violation: Violation, attempt: Attempt) -> Violation:
    """The violation of the shortest program found in which one of the same requirements is in question.

    Ctrl-C ends the search with what was found so far.
    """
    best = violation = _without_looking(violation, attempt)

    def breaks_the_same(program: Program) -> bool:
        nonlocal best
        if not grounded(program, best.program):
            return False
        found = attempt(program)
        # a call that is still there may have answered otherwise, and granted nothing that could be shown
        if found is None or not alike(found, violation) or not grounded(found.program, best.program):
            return False
        best = found
        return True

    passes = (_leave_out, _do_not_wait, _make_plain)
    try:
        while any(shorten(lambda: best.program, breaks_the_same) for shorten in passes):
            pass
    except KeyboardInterrupt:
        best.interrupted = True
    # what is left is needed: a call that must not have had an effect, and is needed, has had one
    best.requirements = tuple(dict.fromkeys((*_reopened(best), *best.without_effect, *best.requirements)))
    return best


def _reopened(violation: Violation) -> tuple[str, ...]:
    """What is broken where the store has to be opened again for the violation to show."""
    if not any(isinstance(event.action, Move) and event.action.method == "reopen" for event in violation.program):
        return ()
    metadata = violation.performed[-1].call.operation == "load_session_meta"
    return ("META-5", "VALUE-9") if metadata else ("VALUE-9",)


def _without_looking(violation: Violation, attempt: Attempt) -> Violation:
    """The violation again, from a program that makes just the calls it needs: looks after calls are left out or spelled out."""
    look = Event(violation.performed[-1].now, violation.performed[-1].call)
    candidates = [violation.program, _spelled_out(violation)]
    if violation.program and look.action != violation.program[-1].action:
        # it was seen while looking after the last call: if just looking shows it, that call is beside the point
        candidates.insert(0, (*violation.program[:-1], look))
    for program in candidates:
        found = attempt(program)
        if found is not None and alike(found, violation):
            return found
    return violation


def _spelled_out(violation: Violation) -> Program:
    """The program with every look after a call as an event of its own, for a store in which reads matter."""
    events: list[Event] = []
    ahead = list(violation.program)
    for performed in violation.performed:
        while ahead and not isinstance(ahead[0].action, Call):
            events.append(ahead.pop(0))
        if ahead and ahead[0].action == performed.call:
            ahead.pop(0)
        events.append(Event(performed.now, performed.call, performed.answer))
    return tuple(events)


def alike(left: Violation, right: Violation) -> bool:
    """Whether two violations are of one kind: the same call, wrong in the same field, by some common requirement."""
    return (
        left.performed[-1].call.operation == right.performed[-1].call.operation
        and _without_places(left.path) == _without_places(right.path)
        and not set(left.requirements).isdisjoint(right.requirements)
    )


def _without_places(path: str) -> list[str]:
    return [name for name in path.split(".") if not name.isdigit()]


def _leave_out(current: Callable[[], Program], holds: Callable[[Program], bool]) -> bool:
    """Leave out runs of events, long ones first, from the end; whether any could go."""
    changed = False
    length = max(1, len(current()) // 2)
    while True:
        end = len(current())
        while end > 0:
            program = current()
            start = max(0, end - length)
            shorter = _without(program, start, end)
            if len(shorter) < len(program) and holds(shorter):
                changed = True
            end = start
        if length == 1:
            return changed
        length //= 2


def _without(program: Program, start: int, end: int) -> Program:
    """The program without these events, and without the calls that show what only these had answered."""
    minted = minted_in(program)
    known: dict[str, set[str]] = {}
    kept = []
    for event in (*program[:start], *program[end:]):
        if _shows_known(event, minted, known):
            kept.append(event)
            _know(event, known)
    return tuple(kept)


def _do_not_wait(current: Callable[[], Program], holds: Callable[[Program], bool]) -> bool:
    """Let no time pass before an event; whether any wait could go."""
    changed = False
    for place in range(len(current())):
        program = current()
        if place >= len(program):
            break
        waited = program[place].now - (program[place - 1].now if place else Clock().now)
        sooner = tuple(event._replace(now=event.now - waited) for event in program[place:])
        if waited and holds((*program[:place], *sooner)):
            changed = True
    return changed


def _make_plain(current: Callable[[], Program], holds: Callable[[Program], bool]) -> bool:
    """Put simpler values in place of arguments; whether any could be."""
    changed = False
    for place in range(len(current())):
        tried: set[object] = set()
        while (candidate := _next_plainer(current(), place, tried)) is not None:
            if holds(candidate):
                changed = True
            if place >= len(current()):
                break
    return changed


def _next_plainer(program: Program, place: int, tried: set[object]) -> Program | None:
    """The program with the next simpler action at this place that was not tried yet."""
    event = program[place]
    if not isinstance(event.action, Call):
        return None
    operation, given = event.action
    for index, (name, _) in enumerate(OPERATIONS[operation].parameters):
        for plainer in plainer_values(given[index], kind_of(name)):
            arguments = (*given[:index], plainer, *given[index + 1 :])
            if arguments not in tried:
                tried.add(arguments)
                return (*program[:place], event._replace(action=Call(operation, arguments)), *program[place + 1 :])
    return None


def plainer_values(value: object, kind: str | None = None) -> Iterator[object]:
    """Simpler values of the same type: small numbers, plain text, fields at their defaults, fewer items.

    Proofs and claims stay as they were granted, and so does every text of a kind that stores mint.
    """
    if type(value) is int and value > PLAIN_NUMBER:
        yield PLAIN_NUMBER
    elif isinstance(value, str) and kind is None and (len(value) > PLAIN_LENGTH or not value.isascii()):
        yield "s"
    elif isinstance(value, tuple):
        for index in range(len(value)):
            yield (*value[:index], *value[index + 1 :])
        for index, item in enumerate(value):
            yield from ((*value[:index], plainer, *value[index + 1 :]) for plainer in plainer_values(item, kind))
    elif isinstance(value, Json) and value != Json():
        yield Json()
    elif isinstance(value, msgspec.Struct) and not isinstance(value, LeaseProof | Claim):
        if isinstance(value, TurnInputIngressActiveTurn):
            yield TurnInputIngressNextTurn()
        for field in msgspec.structs.fields(value):
            given = getattr(value, field.name)
            if field.default is not msgspec.NODEFAULT and given != field.default:
                yield from _with(value, field.name, field.default)
            for plainer in plainer_values(given, kind_of(field.name, type(value))):
                yield from _with(value, field.name, plainer)


def _with(record: msgspec.Struct, field: str, value: object) -> Iterator[msgspec.Struct]:
    """The record with another value in a field, if there is such a record: two ids may not become one."""
    try:
        changed = replace(record, **{field: value})
    except InvalidArgument:
        return
    yield changed


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


def kind_of(field: str, record: type | None = None) -> str | None:
    """What a text in this field of a record names, if stores mint it; None if they do not.

    Texts of two kinds may be equal and name two things: a store may number its inputs and its batches alike.
    """
    name = "input_id" if record is InputId else FIELDS.get(field, field)
    if name in ("claim_id", "lease_token"):
        return f"{name} of {OF_CLAIMS.get(record, 'lease') if record else 'lease'}"
    return "ref" if name.endswith("_ref") else name if name in ("input_id", "batch_id", "item_id") else None


class Place(NamedTuple):
    """A text that stands where stores put what they mint: the path to it, such as `.lease.lease_token`, and its kind."""

    path: str
    kind: str
    text: str


def places(value: object, path: str = "", field: str = "", record: type | None = None) -> Iterator[Place]:
    """Every place of a minted text in a value that stands in this field."""
    if isinstance(value, str):
        kind = kind_of(field, record)
        if kind is not None:
            yield Place(path, kind, value)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from places(item, f"{path}[{index}]", field, record)
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from places(getattr(value, name), f"{path}.{name}", name, type(value))


def places_shown(call: Call) -> Iterator[Place]:
    """Every place of a minted text in the arguments of a call."""
    for (name, _), argument in zip(OPERATIONS[call.operation].parameters, call.arguments, strict=True):
        yield from places(argument, name, name)


def origin(text: str, known: Collection[str]) -> str | None:
    """The known text that this one is, or that it was altered from by something put behind it."""
    if text in known:
        return text
    return max(
        (each for each in known if each and text.startswith(each) and not text[len(each)].isalnum()), key=len, default=None
    )


def grounded(program: Program, whole: Program) -> bool:
    """Whether no call shows a value that a call of the whole program had minted, and that no call before it answered."""
    minted = minted_in(whole)
    known: dict[str, set[str]] = {}
    for event in program:
        if not _shows_known(event, minted, known):
            return False
        _know(event, known)
    return True


def _shows_known(event: Event, minted: dict[str, set[str]], known: dict[str, set[str]]) -> bool:
    for place in places_shown(event.action) if isinstance(event.action, Call) else ():
        shown = origin(place.text, minted.get(place.kind, ()))
        if shown is not None and shown not in known.get(place.kind, ()):
            return False
    return True


def _know(event: Event, known: dict[str, set[str]]) -> None:
    for place in places(event.answer):
        known.setdefault(place.kind, set()).add(place.text)


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


ALONE = ("input_id", "batch_id")
"""The kinds of texts that are arguments by themselves."""


class Renaming:
    """What the values minted in one run are called in another."""

    def __init__(self) -> None:
        self._texts: dict[str, dict[str, str]] = {}
        self._leases: dict[str, tuple[SessionExecutionLease, SessionExecutionLease]] = {}
        self._claims: list[tuple[Claim | Completion, Any]] = []

    def learn(self, earlier: object, now: object) -> None:
        """Two answers of one call, in the earlier run and now."""
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
