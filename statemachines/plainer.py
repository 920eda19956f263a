"""Values that are plainer than those of a program, one at a time or in all of its calls at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeAlias, get_args

import msgspec
from fencepost.spec import (
    AgentEventText,
    Artifact,
    FileRef,
    Final,
    Inline,
    InvalidArgument,
    Json,
    Partial,
    Progress,
    TurnInputIngressActiveTurn,
    TurnInputIngressNextTurn,
    UnknownEvent,
)
from fencepost.spec.events import EVENT_TYPES
from fencepost.spec.lease import LeaseProof
from fencepost.spec.operations import OPERATIONS
from msgspec.structs import replace

from .checker import Call
from .leaves import Leaf, in_all_calls, leaves_of, with_others
from .lookalikes import in_all, texts
from .minted import Claim, Program, kind_of

Current: TypeAlias = Callable[[], Program]
"""The shortest program so far."""

Holds: TypeAlias = Callable[[Program], bool]
"""Whether a program breaks the law as the shortest so far does; then it is the shortest."""

PLAIN_NUMBER = 10
"""Larger numbers are tried as this one, and then as 1."""

PLAIN_TIMES = (10, 20)
"""How many ms are tried in the place of any others: time to go on in, and another such time."""

PLAIN_LENGTH = 8
"""Longer texts are tried as a short one, and so are those with characters that are not seen."""

FEWEST = 2
"""How many of the numbers below one are tried in all calls."""

PLAIN_TEXTS = ("s", "2026-01-01T00:00:00Z")
"""What is tried in the place of a text that is not plain; an instant where a text has to be one."""

PLAIN_NAMES = ("s", "t", "u", "v", "w")
"""What is tried in the place of a text that several calls have, in all of them."""

PLAIN_EVENT = AgentEventText("m", "t")

PLAIN_KINDS: dict[type[msgspec.Struct], msgspec.Struct] = {
    TurnInputIngressActiveTurn: TurnInputIngressNextTurn(),
    # a kind of event that is still there is one that matters: a rule on kinds (OUTPUT-17) decides of nothing else
    **dict.fromkeys((Final, Partial, Artifact), Progress("")),
    FileRef: Inline(Json()),
    UnknownEvent: PLAIN_EVENT,
    **{kind: PLAIN_EVENT for kind in EVENT_TYPES.values() if kind is not AgentEventText},
}
"""Records of one kind are tried as the plainest record that may stand in their place."""

GRANTED = (LeaseProof, *get_args(Claim))
"""Records that stay as they were granted."""


def make_plain(current: Current, holds: Holds) -> bool:
    """Put simpler values in place of arguments; whether any could be."""
    changed = False
    for place in range(len(current())):
        tried: set[object] = set()
        # with a simpler value the law may be broken sooner: then the program ends there
        while place < len(current()) and (candidate := _next_plainer(current(), place, tried)) is not None:
            changed = holds(candidate) or changed
    return changed


def _next_plainer(program: Program, place: int, tried: set[object]) -> Program | None:
    """The program with the next simpler action at this place that was not tried yet."""
    event = program[place]
    if not isinstance(event.action, Call):
        return None
    operation, given = event.action
    for index, (name, _) in enumerate(OPERATIONS[operation].parameters):
        for plainer in (*plainer_values(given[index], name), *_smaller_numbers(program, event.action, index)):
            arguments = (*given[:index], plainer, *given[index + 1 :])
            if arguments not in tried:
                tried.add(arguments)
                return (*program[:place], event._replace(action=Call(operation, arguments)), *program[place + 1 :])
    return None


def _smaller_numbers(program: Program, call: Call, index: int) -> Iterator[int]:
    """What other calls of the operation have in the place of this one's number: two that are equal are plainer.

    Only if it is smaller, or two calls would take each other's for ever; and no times, of which some are plainer than less.
    """
    given = call.arguments[index]
    if type(given) is not int or is_time(OPERATIONS[call.operation].parameters[index][0]):
        return
    for event in program:
        if isinstance(event.action, Call) and event.action.operation == call.operation:
            number = event.action.arguments[index]
            if type(number) is int and number < given:
                yield number


def make_plain_everywhere(current: Current, holds: Holds) -> bool:
    """Put simpler names and smaller numbers in place of those that several calls may share; whether any could be."""
    changed = False
    for text in _texts(current()):
        taken = _texts(current())
        plain = next((name for name in PLAIN_NAMES if name not in taken), None)
        if plain is not None and not _is_plain(text):
            candidate = in_all(current(), text, plain)
            changed = (candidate is not None and holds(candidate)) or changed
    for name, number in dict.fromkeys(each for call in _calls(current()) for each in _numbers(call)):
        others = {other for call in _calls(current()) for field, other in _numbers(call) if field == name}
        smaller = islice((each for each in range(1, number) if each not in others), FEWEST if number in others else 0)
        candidates = (_renumbered(current(), name, number, each) for each in smaller)
        changed = any(candidate is not None and holds(candidate) for candidate in candidates) or changed
    return changed


def _texts(program: Program) -> dict[str, None]:
    """Every text of the calls that the store did not mint, once, in their order."""
    return dict.fromkeys(text for call in _calls(program) for text in texts(call))


def _calls(program: Program) -> list[Call]:
    return [event.action for event in program if isinstance(event.action, Call)]


def _numbers(call: Call) -> Iterator[tuple[str, int]]:
    """Every number of a call, and the name of the field or parameter in which it stands; no times, whose length matters."""
    return (
        (leaf.field, leaf.value) for leaf in leaves_of(call, GRANTED) if type(leaf.value) is int and not is_time(leaf.field)
    )


def _renumbered(program: Program, name: str, old: int, new: int) -> Program | None:
    """The program with one number in place of another wherever this is its name; None if there is no such program."""

    def other(leaf: Leaf) -> Any:
        return new if type(leaf.value) is int and (leaf.field, leaf.value) == (name, old) else leaf.value

    return in_all_calls(program, lambda call: with_others(call, other, GRANTED))


def plainer_values(value: object, field: str = "", record: type | None = None) -> Iterator[object]:
    """Simpler values of the same type: small numbers, plain text, fields at their defaults, fewer items.

    Proofs and claims stay as they were granted, and so does every text of a kind that stores mint.
    """
    if type(value) is int and is_time(field):
        yield from PLAIN_TIMES[: PLAIN_TIMES.index(value) if value in PLAIN_TIMES else None]
    elif type(value) is int and value > PLAIN_NUMBER:
        yield PLAIN_NUMBER
        # what is to be small may be smaller yet
        yield 1
    elif isinstance(value, str) and kind_of(field, record) is None and not _is_plain(value):
        yield from (text for text in PLAIN_TEXTS if text != value)
    elif isinstance(value, tuple):
        for index in range(len(value)):
            yield (*value[:index], *value[index + 1 :])
        for index, item in enumerate(value):
            yield from ((*value[:index], plainer, *value[index + 1 :]) for plainer in plainer_values(item, field, record))
    elif isinstance(value, Json) and value != Json():
        yield Json()
    elif isinstance(value, msgspec.Struct) and not isinstance(value, GRANTED):
        if type(value) in PLAIN_KINDS:
            yield PLAIN_KINDS[type(value)]
        for each in msgspec.structs.fields(value):
            given = getattr(value, each.name)
            if given == each.default:
                # there is nothing plainer, or two would take each other's place for ever
                continue
            if each.default is not msgspec.NODEFAULT:
                yield from _with(value, each.name, each.default)
            for plainer in plainer_values(given, each.name, type(value)):
                yield from _with(value, each.name, plainer)


def is_time(field: str) -> bool:
    """Whether a number in this field or parameter is a time, whose length matters."""
    return field.endswith("_ms")


def _is_plain(text: str) -> bool:
    """Whether a text is short, and each of its characters is seen and known everywhere."""
    return len(text) <= PLAIN_LENGTH and text.isascii() and text.isprintable()


def _with(record: msgspec.Struct, field: str, value: object) -> Iterator[msgspec.Struct]:
    """The record with another value in a field, if there is such a record: two ids may not become one."""
    try:
        changed = replace(record, **{field: value})
    except InvalidArgument:
        return
    yield changed
