"""How mutants of the model are made: one small change of one transition, by rule, and every place where a rule fits.

A mutant takes the place of its function by its code alone, so that all who have imported the function get it. What is left out
tells why and decides nothing, or admits what other stores do: lemmas, invariants and scenarios look at our own answers.
"""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import re
import types
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import fencepost.model

MODEL = Path(str(fencepost.model.__file__)).parent
RECORDS = ("log", "lease", "claim", "turn_input", "queued_work", "commit", "attachment", "runtime", "event", "output")
FILES = (
    *(f"records/{name}.py" for name in RECORDS),
    *("lease.py", "claim.py", "turn_input.py", "queued_work.py", "settlement.py", "commit.py", "session.py", "maintenance.py"),
    *("attachment.py", "runtime.py", "lifecycle.py", "event.py", "output.py"),
)
"""The modules with transitions."""

EXPLAINING = re.compile(
    r"because|why|_edge|_superseded|_effects|_silent|_unlisted|_said|_beside|_there_|_names_another|_goes_back|_carries_json"
    r"|_placed|_diagnostics|outlived|whoever_asks|unbound|ending|at_edge|taken_in_part|judged_otherwise|_unchecked|_gone$"
    r"|^valid$|^room$|^kept$|_leased_elsewhere|_key_elsewhere|_ready_since|_inputs_shown|_committed_shown|_loose|_dangling"
)
"""Functions that tell why, and the words that contracts are said in."""

ADMITTING = re.compile(
    r"too_long|_refusable|_early_binding|_bound_from_creation|_same_incarnation|_items_of_its_own|_otherwise|_bend|_leafless"
    r"|_past_tombstones|_in_storage_order|_without_carried|_without_dangling_leaf|_countable|_resolved$|_served_or_refused"
    r"|_outcomes$|_told$|^minted$|^_minted$|made_up|_claimant$|check_|_wrong|_stored_before"
)
"""Functions that admit what other stores do, take what a store minted, or check what callers did."""

# fmt: off
TELLING = frozenset((
    "accepted", "afresh", "again", "because", "beside", "carried", "claimed", "dangling", "dead", "decided",
    "details", "differs", "edge", "edges", "effects", "elsewhere", "endless", "exhausted", "fields", "freely",
    "hidden", "huge", "issued", "kept", "keys", "lapsed", "mixed", "moved", "near", "nothing", "numbered", "others",
    "outliving", "partly", "passed_by", "placed", "refusal", "seen", "silent", "skipped", "spared", "split", "stamps",
    "stored_before", "too_early", "unstamped", "upserted", "why",
))
# fmt: on
"""Names of what tells why, or what else is admitted: what is assigned to them is no decision."""

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
NAMES = {"min": "max", "max": "min", "all": "any", "any": "all"}


class Mutant(NamedTuple):
    """One change of one function: the module's file, the function, the line, and the words before and after."""

    file: str
    function: str
    number: int
    line: int
    before: str
    after: str

    @property
    def name(self) -> str:
        """Where it is, and the how-manieth there."""
        return f"{self.file.removesuffix('.py').replace('/', '.')}.{self.function}#{self.number}"

    @property
    def chapter(self) -> str:
        """The chapter whose lemmas it has to break; `log` is what several have in common."""
        stem = Path(self.file).stem
        return {"settlement": "commit", "lifecycle": "runtime"}.get(stem, stem)


def mutants() -> list[Mutant]:
    """Every mutant, file by file."""
    found = []
    for file in FILES:
        for path, function in _functions(file).items():
            if not _left_out(function):
                changes = enumerate(_changes(function), 1)
                found += [Mutant(file, path, number, *change) for number, change in changes]
    return found


def _left_out(function: ast.FunctionDef) -> bool:
    invariant = any("invariant" in ast.unparse(each) for each in function.decorator_list)
    return bool(invariant or EXPLAINING.search(function.name) or ADMITTING.search(function.name))


@cache
def _functions(file: str) -> dict[str, ast.FunctionDef]:
    found = {}
    for node in ast.parse((MODEL / file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{each.name}": each for each in node.body if isinstance(each, ast.FunctionDef)}
    return found


def _changes(function: ast.FunctionDef) -> Generator[tuple[int, str, str], None, None]:
    """Make each change in its turn, give the line and the words before and after, and take the change back."""
    for statement in function.body:
        for node in _deciding(statement):
            for change, undo in _rules(node):
                line, before = getattr(node, "lineno", function.lineno), _short(node)
                change()
                yield line, before, _short(node)
                undo()


def _deciding(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that may decide: not what is assigned to a name that tells, nor how a step or a refusal tells why."""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if all(isinstance(each, ast.Name) and each.id in TELLING for each in targets):
            return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if _tells(node):
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        children = value if isinstance(value, list) else [value]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "Step" and name == "args":
                children = children[:2]
            if node.func.id == "refused" and name == "args":
                children = children[:2]
            if node.func.id in ("Step", "replace") and name == "keywords":
                children = [each for each in children if each.arg not in ("because", "differs", "silent")]
        for child in children:
            if isinstance(child, ast.AST):
                yield from _deciding(child)


def _tells(node: ast.AST) -> bool:
    """Whether a choice is between requirement ids, or looks at what a store answered."""
    if isinstance(node, ast.IfExp) and isinstance(node.orelse, ast.Tuple) and not node.orelse.elts:
        return True
    test = node.test if isinstance(node, ast.If | ast.IfExp) else node if isinstance(node, ast.BoolOp | ast.Compare) else None
    named = {each.id for each in ast.walk(test) if isinstance(each, ast.Name)} if test else set()
    named |= {each.attr for each in ast.walk(test) if isinstance(each, ast.Attribute)} if test else set()
    return bool(named & {"seen", "concurrent"})


Change = tuple[Any, Any]


def _setting(node: ast.AST, name: str, value: Any) -> Change:
    old = getattr(node, name)
    return (lambda: setattr(node, name, value)), (lambda: setattr(node, name, old))


def _rules(node: ast.AST) -> Iterator[Change]:
    match node:
        case ast.Compare(ops=ops):
            for place, op in enumerate(ops):
                if type(op) in SWAPS:
                    yield _setting(node, "ops", [*ops[:place], SWAPS[type(op)](), *ops[place + 1 :]])
        case ast.BoolOp(op=op, values=values):
            yield _setting(node, "op", SWAPS[type(op)]())
            for place in range(len(values)):
                left = [*values[:place], *values[place + 1 :]]
                yield _setting(node, "values", left if len(left) > 1 else left * 2)
        case ast.BinOp(op=ast.Add() | ast.Sub() as op, left=left) if not isinstance(left, ast.Tuple):
            yield _setting(node, "op", SWAPS[type(op)]())
        case ast.BinOp(op=ast.BitOr() | ast.BitAnd(), left=left):
            yield _setting(node, "right", left)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield _setting(node, "operand", ast.UnaryOp(ast.Not(), operand))
        case ast.Constant(value=bool() as value):
            yield _setting(node, "value", not value)
        case ast.Constant(value=int() as value):
            yield _setting(node, "value", value + 1)
        case ast.If(orelse=[]):
            yield _setting(node, "test", ast.Constant(False))
            yield _setting(node, "test", ast.Constant(True))
        case ast.IfExp(body=body, orelse=orelse):
            yield _setting(node, "body", orelse)
            yield _setting(node, "orelse", body)
        case ast.Call(func=ast.Name(id=name)) if name in NAMES:
            yield _setting(node, "func", ast.Name(NAMES[name], ast.Load()))
        case ast.Call(func=ast.Name(id="replace"), keywords=keywords) if len(keywords) > 1:
            for place, each in enumerate(keywords):
                if each.arg not in ("because", "differs", "effects", "silent"):
                    yield _setting(node, "keywords", [*keywords[:place], *keywords[place + 1 :]])
        case ast.comprehension(ifs=[_, *_]):
            yield _setting(node, "ifs", [])
        case ast.Subscript(slice=ast.Slice(upper=upper)) if upper is not None:
            yield _setting(node, "slice", ast.Slice())


def _short(node: ast.AST) -> str:
    # of two operands one is left: it stands there twice, for a BoolOp has two at least
    once = node.values[0] if isinstance(node, ast.BoolOp) and node.values[0] is node.values[-1] else node
    line = " ".join(ast.unparse(once).split())
    return line if len(line) <= 110 else f"{line[:107]}..."


def function_of(mutant: Mutant) -> types.FunctionType:
    """The function that the mutant takes the place of, without contracts and caches around it."""
    module = importlib.import_module(f"fencepost.model.{mutant.file.removesuffix('.py').replace('/', '.')}")
    owner, _, name = mutant.function.rpartition(".")
    found = vars(getattr(module, owner))[name] if owner else getattr(module, name)
    if hasattr(found, "cache_clear"):
        found.cache_clear()
    function = inspect.unwrap(found)
    assert isinstance(function, types.FunctionType)
    return function


def code_of(mutant: Mutant) -> types.CodeType:
    """The code of the mutant's function."""
    function = _functions(mutant.file)[mutant.function]
    changes = _changes(function)
    for _ in range(mutant.number):
        next(changes)
    # its annotations and decorators are those of the function that is there
    alone = ast.Module([*ast.parse("from __future__ import annotations").body, _bare(function)], [])
    code = compile(ast.fix_missing_locations(alone), str(MODEL / mutant.file), "exec")
    # run to the end, so that the change is taken back
    for _ in changes:
        pass
    return next(each for each in code.co_consts if isinstance(each, types.CodeType))


def plant(mutant: Mutant) -> None:
    """Put the mutant in place of its function, in this process, for good."""
    function_of(mutant).__code__ = code_of(mutant)


def _bare(function: ast.FunctionDef) -> ast.FunctionDef:
    bare = copy.deepcopy(function)
    bare.decorator_list = []
    return bare
