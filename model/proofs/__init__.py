"""What is proved of the model: the lemmas of every chapter, and how each is settled.

A lemma is one sentence with the requirement that it establishes. There are three kinds:

* the postconditions of the transitions in `records`, and of what `lifecycle` decides;
* theorems, in the file of their chapter here: what follows when transitions are made one after another;
* exhaustions, there too: what holds of loops over rows, which no prover decides, over all inputs up to a stated size.

CrossHair confirms the first two over all paths, with contracts in force (`FENCEPOST_PROVE=on`). It draws no values for a type
variable, and text leaves it undecided: so every transition is proved with its type variables bound to `int`, contracts and code
unchanged.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple, TypeVar, get_type_hints

from .. import lifecycle as lifecycles
from ..records import attachment as attachment_records
from ..records import claim as claim_records
from ..records import commit as commit_records
from ..records import event as event_records
from ..records import lease as lease_records
from ..records import queued_work as queued_work_records
from ..records import runtime as runtime_records
from ..records import turn_input as turn_input_records
from . import attachment, claim, commit, event, lease, maintenance, output, queued_work, runtime, session, turn_input
from .exhaustion import EXHAUSTIONS, Exhaustion

__all__ = ["CHAPTERS", "EXHAUSTIONS", "Exhaustion", "Lemma", "at_int", "lemmas", "transition_of", "transitions"]

CHAPTERS: dict[str, tuple[ModuleType, ...]] = {
    "lease": (lease_records, lease),
    "claim": (claim_records, claim),
    "turn_input": (turn_input_records, turn_input),
    "queued_work": (queued_work_records, queued_work),
    "commit": (commit_records, commit),
    "session": (session,),
    "maintenance": (maintenance,),
    "attachment": (attachment_records, attachment),
    "runtime": (runtime_records, lifecycles, runtime),
    "event": (event_records, event),
    "output": (output,),
}
"""The chapters with the modules of their lemmas; `claim` is what claims of inputs and of queued work share."""


class Lemma(NamedTuple):
    """A postcondition: the transition or theorem that it stands on, as `lease.claim`, and its place there."""

    chapter: str
    transition: str
    place: int
    requirement: str
    says: str


def _bound_to_int(annotation: Any) -> Any:
    if isinstance(annotation, TypeVar):
        return int
    parameters = getattr(annotation, "__parameters__", ())
    return annotation[(int,) * len(parameters)] if parameters else annotation


def _copy(function: Callable[..., Any], annotations: dict[str, Any]) -> Any:
    assert isinstance(function, types.FunctionType)
    copy = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    functools.update_wrapper(copy, function, assigned=("__doc__", "__qualname__"))
    copy.__annotations__ = annotations
    copy.__module__ = __name__
    return copy


def at_int(transition: Callable[..., Any]) -> Any:
    """The transition with every type variable bound to `int`, its contracts kept."""
    annotations = {name: _bound_to_int(hint) for name, hint in get_type_hints(transition).items()}
    proved = _copy(transition, annotations)
    if hasattr(transition, "__wrapped__"):
        # inspect.signature, and so CrossHair, looks through __wrapped__: the body needs the bound annotations too
        proved.__wrapped__ = _copy(transition.__wrapped__, annotations)
    return proved


def transitions() -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """Every contracted transition and theorem: its chapter, its name, itself. There are none while contracts are off."""
    for chapter, modules in CHAPTERS.items():
        for module in modules:
            for name, value in vars(module).items():
                if hasattr(value, "__postconditions__") and value.__module__ == module.__name__:
                    yield chapter, f"{module.__name__.rpartition('.')[2]}.{name}", value


def lemmas() -> list[Lemma]:
    """Every postcondition of every transition and theorem."""
    found = []
    for chapter, name, transition in transitions():
        # decorators are applied from the last to the first
        for place, condition in reversed([*enumerate(transition.__postconditions__)]):  # type: ignore[attr-defined]
            requirement, _, says = condition.description.partition(" ")
            found.append(Lemma(chapter, name, place, requirement, says))
    return found


def transition_of(name: str) -> Any:
    """The transition or theorem of this name, at `int`."""
    return at_int({known: transition for _, known, transition in transitions()}[name])
