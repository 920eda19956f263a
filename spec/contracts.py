"""Contracts on the methods of a store, carried by icontract to every store that subclasses.

Preconditions are the argument checks of the law and always hold: `InvalidArgument`, before any effect (VALUE-1).
Postconditions say what arguments and answer alone can show; a broken one raises `ContractBroken`, which names the
requirement. Set `FENCEPOST_CONTRACTS=off` before the import to run a store in production without postconditions.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, get_type_hints

import icontract

from .errors import InvalidArgument
from .values import Check, check_for, require_valid, shown

F = TypeVar("F", bound=Callable[..., Any])

ENFORCED = os.environ.get("FENCEPOST_CONTRACTS", "on") != "off"
"""Whether postconditions are checked in this process."""


class ContractBroken(AssertionError):
    """A store answered what the law forbids: `requirements` are the ids, the text says what was seen.

    `answered` is that answer, and the name of the method that gave it, if it is of the type that was due; None otherwise.
    """

    answered: tuple[str, object] | None = None

    def __init__(self, requirements: tuple[str, ...], text: str) -> None:
        super().__init__(requirements, text)
        self.requirements = requirements
        self.text = text

    def __str__(self) -> str:
        return f"{', '.join(self.requirements)}: {self.text}"


def ensures(condition: Callable[..., bool], requirement: str) -> Callable[[F], F]:
    """A postcondition, and the requirement it states; the condition names the parameters it reads, and `result`.

    Those of a method are found by their places: a store may give its parameters other names.
    """
    read = inspect.signature(condition).parameters

    def ensured(method: F) -> F:
        def broken(result: object) -> ContractBroken:
            error = ContractBroken((requirement,), f"the contract does not hold of the answer {shown(result)}")
            error.answered = method.__name__, result
            return error

        names = list(inspect.signature(method).parameters)
        places = {name: place for place, name in enumerate(names) if name in read}

        # icontract passes all arguments of a call under these two names
        def holds(_ARGS: tuple[Any, ...], _KWARGS: dict[str, Any], result: object) -> bool:  # noqa: N803
            given = {name: _ARGS[place] if place < len(_ARGS) else _KWARGS[name] for name, place in places.items()}
            return condition(**given, result=result)

        check = holds if places and names[0] == "self" and "OLD" not in read else condition
        return icontract.ensure(check, description=requirement, error=broken, enabled=ENFORCED)(method)

    return ensured


def operation(method: F) -> F:
    """Make an abstract method an operation of the protocol: every argument and the answer are checked by annotation."""
    names = list(inspect.signature(method).parameters)[1:]

    @cache
    def checks() -> dict[str, Check]:
        # resolved at the first call, not at import: annotations may name types defined further down
        return {name: check_for(hint) for name, hint in get_type_hints(method, include_extras=True).items()}

    def check(name: str) -> Check:
        return checks()[name]

    def given(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
        placed = dict(zip(names, arguments[1:], strict=False))
        # a keyword that names no parameter is left for Python to refuse
        return placed | {name: keywords[name] for name in names if name in keywords} if keywords else placed

    # icontract passes all arguments of a call under these two names
    def arguments_valid(_ARGS: tuple[Any, ...], _KWARGS: dict[str, Any]) -> bool:  # noqa: N803
        return all(check(name).accepts(value) for name, value in given(_ARGS, _KWARGS).items())

    def invalid_argument(_ARGS: tuple[Any, ...], _KWARGS: dict[str, Any]) -> InvalidArgument:  # noqa: N803
        for name, value in given(_ARGS, _KWARGS).items():
            try:
                require_valid(name, value, check(name))
            except InvalidArgument as error:
                return error
        raise AssertionError("every argument was valid")

    def answer_valid(result: object) -> bool:
        # a store may answer lists where the protocol says a sequence (VALUE-4)
        return check("return").accepts(tuple(result) if type(result) is list else result)

    def wrong_answer(result: object) -> ContractBroken:
        hint = "; a method that has to be awaited is an `async def`" if inspect.isawaitable(result) else ""
        return ContractBroken(
            ("VALUE-11",), f"{method.__name__} answered {shown(result)}, expected {check('return').expected}{hint}"
        )

    checked = icontract.ensure(answer_valid, error=wrong_answer, enabled=ENFORCED)(method)
    return icontract.require(arguments_valid, error=invalid_argument)(checked)
