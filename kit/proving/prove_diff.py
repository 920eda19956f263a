"""Two versions of a transition, as one lemma: given the same, both answer the same.

That is what a change of the law is reviewed with. The other version is a file, such as `git show HEAD:model/records/lease.py`
prints; its functions are put over the classes of the version that is installed, for records of two classes are never equal.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, TypeVar
from unittest.mock import patch

import icontract
from fencepost.model import contracts
from fencepost.model.proofs import CHAPTERS, at_int

F = TypeVar("F", bound=Callable[..., Any])

RECORDS = {
    module.__name__.rpartition(".")[2]: module
    for modules in CHAPTERS.values()
    for module in modules
    if ".proofs." not in module.__name__
}
"""The modules whose versions can be compared, by the names of their files."""


def module_of(path: str) -> ModuleType:
    """The module that the file is another version of, by the transitions in it. Raises `ValueError` or `OSError`."""
    defined = _names(Path(path).read_text(encoding="utf-8"), path)
    of_modules = {name: set(_functions(module)) for name, module in RECORDS.items()}
    likely = max(of_modules, key=lambda name: len(of_modules[name] & defined) / len(of_modules[name] | defined))
    if not of_modules[likely] & defined:
        expected = ", ".join(f"{name}.py" for name in RECORDS)
        raise ValueError(f"{path} has no transition of the model. Expected another version of one of {expected}.")
    return RECORDS[likely]


def _names(source: str, path: str) -> set[str]:
    try:
        code = compile(source, path, "exec")
    except SyntaxError as error:
        raise ValueError(f"{path} is no Python: {error}.") from error
    return {each.co_name for each in code.co_consts if isinstance(each, types.CodeType)}


def _functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, types.FunctionType) and value.__module__ == module.__name__
    }


class Version(NamedTuple):
    """The functions of a version, without contracts, and what each of its transitions requires."""

    functions: dict[str, Callable[..., Any]]
    required: dict[str, list[Callable[..., bool]]]


def version(path: str, module: ModuleType) -> Version:
    """The version of the module that stands in the file, over the classes of the module that is installed."""
    loaded = ModuleType(module.__name__)
    vars(loaded).update(__file__=path, __package__=module.__package__)
    required: dict[str, list[Callable[..., bool]]] = {}

    # a contract that fails within is the callee's fault to CrossHair, and hides a difference: so there are none here
    def noting(condition: Callable[..., bool], *said: str) -> Callable[[F], F]:
        def note(function: F) -> F:
            required.setdefault(function.__name__, []).extend(() if said else (condition,))
            return function

        return note

    with patch.multiple(contracts, require=noting, ensure=noting):
        exec(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), vars(loaded))
    for name, value in [*vars(loaded).items()]:
        if isinstance(value, type) and value.__module__ == module.__name__ and hasattr(module, name):
            setattr(loaded, name, getattr(module, name))
    return Version(_functions(loaded), required)


def compared(path: str) -> tuple[list[str], list[str]]:
    """The transitions of both versions that may differ, and those that only one has: `+` this one, `-` the other."""
    module = module_of(path)
    stem = module.__name__.rpartition(".")[2]
    before, now = version(path, module), version(str(module.__file__), module)
    lone = [
        *(f"+ {stem}.{name}" for name in now.required if name not in before.required),
        *(f"- {stem}.{name}" for name in before.required if name not in now.required),
    ]
    names = now.functions.keys() | before.functions.keys()
    changed = {name for name in names if _text(now.functions.get(name)) != _text(before.functions.get(name))}
    both = [name for name in now.required if name in before.required]
    return [f"{stem}.{name}" for name in both if any(_reaches(each.functions, name, changed) for each in (before, now))], lone


def _text(function: Callable[..., Any] | None) -> object:
    """What a function does, without where it stands."""
    return None if function is None else _shape(function.__code__)


def _shape(code: types.CodeType) -> object:
    constants = tuple(_shape(each) if isinstance(each, types.CodeType) else each for each in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, constants


def _reaches(functions: dict[str, Callable[..., Any]], name: str, changed: set[str]) -> bool:
    """Whether the function, or one of its module that it calls, has changed."""
    pending, seen = [name], {name}
    while pending:
        each = pending.pop()
        if each in changed:
            return True
        called = {*functions[each].__code__.co_names} & functions.keys() - seen
        seen |= called
        pending.extend(called)
    return False


def both_versions(path: str, name: str) -> Any:
    """The lemma: the answers of the other version and of this one, which have to be equal where both may be called."""
    module = module_of(path)
    plain = name.partition(".")[2]
    older, newer = version(path, module), version(str(module.__file__), module)
    before, now = at_int(older.functions[plain]), at_int(newer.functions[plain])
    hints, asked = now.__annotations__, inspect.signature(now).parameters.values()

    def both(*arguments: Any, **named: Any) -> tuple[Any, Any]:
        return before(*arguments, **named), now(*arguments, **named)

    both.__name__ = both.__qualname__ = plain
    both.__annotations__ = {name: hint for name, hint in hints.items() if name != "return"}
    parameters = [each.replace(annotation=hints[each.name]) for each in asked]
    both.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect looks at first
    lemma = icontract.ensure(_alike)(both)
    for condition in newer.required[plain]:
        lemma = icontract.require(condition)(lemma)
    return lemma


def _alike(result: tuple[Any, Any]) -> bool:
    return bool(result[0] == result[1])
