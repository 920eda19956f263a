"""The record transitions at `int`, for CrossHair.

`crosshair check` draws no values for a type variable, and text leaves it undecided: so here every contracted transition of
`records` stands with its type variables bound to `int`, contracts and code unchanged. `FENCEPOST_PROVE=on` puts the contracts
in force; without it there is nothing to check here.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

from . import lifecycle
from .records import attachment, claim, commit, event, lease, queued_work, runtime, turn_input

LEMMAS: dict[str, list[str]] = {}
"""The requirements that each transition's postconditions state."""


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
    functools.update_wrapper(copy, function, assigned=("__doc__", "__qualname__"))
    copy.__annotations__ = annotations
    copy.__module__ = __name__
    return copy


def at_int(transition: Callable[..., Any]) -> Any:
    """The transition with every type variable bound to `int`, its contracts kept."""
    annotations = {name: _bound_to_int(hint) for name, hint in get_type_hints(transition).items()}
    proved = _copy(transition, annotations)
    # inspect.signature, and so CrossHair, looks through __wrapped__: the body needs the bound annotations too
    proved.__wrapped__ = _copy(transition.__wrapped__, annotations)  # type: ignore[attr-defined]  # set by the contract
    return proved


for _chapter in (lease, claim, turn_input, queued_work, commit, attachment, runtime, event, lifecycle):
    for _name, _transition in vars(_chapter).items():
        if hasattr(_transition, "__postconditions__"):
            # chapters have transitions of one name, such as `abandoned`
            _proved = f"{_chapter.__name__.rpartition('.')[2]}_{_name}"
            globals()[_proved] = at_int(_transition)
            LEMMAS[_proved] = [condition.description for condition in _transition.__postconditions__]
