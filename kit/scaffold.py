"""Skeletons of adapters: everything but the bodies of the store's methods, read off the abstract stores.

A skeleton runs as it is written. Each method that its author has not written yet fails with a sentence that says so, and a run
ends with the first of them.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import resources
from pathlib import Path
from textwrap import indent
from typing import Any, NamedTuple

from fencepost.spec import values
from fencepost.spec.operations import CHAPTERS, OPERATIONS, PROTOCOLS, Operation, part_of
from fencepost.spec.wire_schema import schema
from fencepost.statemachines.environment import CAPABILITIES, USUAL

from fencepost import spec

from .adapter import PROTOCOL

WIDTH = 110
"""Where a line of a skeleton ends, at most."""


class ScaffoldRefused(Exception):
    """A skeleton that was not written: the text is a sentence for who asked for it."""


class Skeleton(NamedTuple):
    """Files by their names, those of them to edit, and the commands that come next."""

    files: dict[str, str]
    edit: tuple[str, ...]
    commands: tuple[str, ...]


def write(skeleton: Skeleton, directory: Path) -> None:
    """Write the files into the directory, which is made. Raises `ScaffoldRefused` if one of them is there, and writes none."""
    there = [name for name in skeleton.files if (directory / name).exists()]
    if there:
        raise ScaffoldRefused(
            f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already, in {directory}. "
            "Nothing was written: name another --output, or move what is there."
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in skeleton.files.items():
            # never over a file that has come in between
            with (directory / name).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ScaffoldRefused(f"The skeleton cannot be written to {directory}: {reason}. Expected a folder.") from error


def skeleton_of(kind: str, language: str, chapters: Sequence[str]) -> Skeleton:
    """The skeleton of an adapter for these chapters: a class in Python, or a program in one of the languages."""
    made = _python_class(chapters) if kind == "python" else _program(LANGUAGES[language], chapters)
    return made._replace(files=made.files | {"README.md": _readme(made)})


def _python_class(chapters: Sequence[str]) -> Skeleton:
    parts = _parts(chapters)
    verify = f"fencepost verify --backend backend:factory --chapters {','.join(chapters)}"
    return Skeleton({"store.py": _store_py(parts), "backend.py": _backend_py(parts)}, ("store.py", "backend.py"), (verify,))


class Language(NamedTuple):
    """How a program in it is started and written."""

    ending: str
    command: str
    copied: tuple[str, ...]
    store: Callable[[dict[str, list[str]]], str]


def _program(language: Language, chapters: Sequence[str]) -> Skeleton:
    parts = _parts(chapters)
    operations = {each.name: (part, each.method_name) for part, of in parts.items() for each in _operations(of)}
    about = {
        "protocol": PROTOCOL,
        "chapters": list(chapters),
        "stores": {part: _name(part) for part in parts},
        "operations": operations,
    }
    store = f"store{language.ending}"
    files = {name: resources.files(__package__).joinpath("skeletons", name).read_text("utf-8") for name in language.copied}
    command = f"{language.command} adapter{language.ending}"
    return Skeleton(
        {store: language.store(parts), "protocol.json": json.dumps(about, indent=2) + "\n"} | files,
        (store,),
        (
            f'fencepost adapter check "{command}"',
            f'fencepost verify --exec "{command}" --chapters {",".join(chapters)}',
        ),
    )


def _parts(chapters: Sequence[str]) -> dict[str, list[str]]:
    """The chapters of each store."""
    parts: dict[str, list[str]] = {}
    for chapter in chapters:
        parts.setdefault(part_of(chapter), []).append(chapter)
    return parts


def _operations(chapters: Sequence[str]) -> list[Operation]:
    return [each for each in OPERATIONS.values() if each.chapter in chapters]


def _name(part: str) -> str:
    """The class of a store, such as `MyEventStore`."""
    return {"runtime_persistence": "MyRuntimePersistence"}.get(part) or f"My{CHAPTERS[part].__name__}"


def _store_py(parts: dict[str, list[str]]) -> str:
    needed: set[str] = {"Environment"}
    classes = [_class_py(part, chapters, needed) for part, chapters in parts.items()]
    marks = "EDIT: every method that raises NotImplementedError, and __init__."
    head = f'"""The store that is to be checked. {marks}"""\n\nfrom __future__ import annotations\n\n'
    return "\n\n".join([head + _imports(needed), *classes])


def _class_py(part: str, chapters: Sequence[str], needed: set[str]) -> str:
    bases = ["RuntimePersistence"] if tuple(chapters) == PROTOCOLS["runtime_persistence"] else _bases(chapters)
    needed.update(bases)
    methods = [_method_py(each, _name(part), needed) for each in _operations(chapters) if _is_abstract(each)]
    opened = "# EDIT: open what the store keeps its data in; files go to environment.directory"
    made = (
        f"    def __init__(self, environment: Environment) -> None:\n        {opened}\n        self.environment = environment\n"
    )
    closed = '    def close(self) -> None:\n        """Let go of everything."""\n'
    head = f'class {_name(part)}({", ".join(bases)}):\n    """The time is self.environment.clock(), in epoch milliseconds."""\n'
    return "\n".join([head, made, *methods, closed])


def _bases(chapters: Sequence[str]) -> list[str]:
    return [CHAPTERS[chapter].__name__ for chapter in chapters]


def _is_abstract(operation: Operation) -> bool:
    """Whether the abstract store leaves it to the store: what has a body there need not be written."""
    return bool(getattr(operation.method, "__isabstractmethod__", False))


def _method_py(operation: Operation, owner: str, needed: set[str]) -> str:
    signature = inspect.signature(operation.method)
    _, *given = signature.parameters.values()
    for annotation in (signature.return_annotation, *(each.annotation for each in given)):
        needed.update(_names_in(annotation))
    parameters = ["self", *(f"{each.name}: {each.annotation}" for each in given)]
    head = _wrapped(f"    def {operation.method_name}(", parameters, f") -> {signature.return_annotation}:")
    return f"{head}\n{indent(_docstring(operation), ' ' * 8)}\n{_not_written_py(owner, operation)}\n"


def _not_written_py(owner: str, operation: Operation) -> str:
    sentence = f'"{_not_written(owner, operation.method_name, "store.py")}"'
    return _wrapped("        raise NotImplementedError(", [sentence], ")")


def _not_written(owner: str, method: str, file: str) -> str:
    return f"{owner}.{method} is not written yet: write it in {file}"


def _names_in(annotation: object) -> Iterator[str]:
    """The names that an annotation is made of, but those that Python has."""
    for node in ast.walk(ast.parse(str(annotation))):
        if isinstance(node, ast.Name) and node.id not in ("str", "int", "bool", "bytes", "tuple"):
            yield node.id


def _imports(names: set[str]) -> str:
    """The lines that import these names."""
    homes: dict[str, list[str]] = {}
    for name in sorted(names):
        homes.setdefault(_home(name), []).append(name)
    lines = {home: _import(home, names) for home, names in sorted(homes.items())}
    own = "".join(line for home, line in lines.items() if home.startswith("fencepost"))
    others = "".join(line for home, line in lines.items() if not home.startswith("fencepost"))
    return f"{others}\n{own}" if others else own


def _import(home: str, names: Sequence[str]) -> str:
    line = f"from {home} import {', '.join(names)}"
    return f"{line if len(line) <= WIDTH else _wrapped(f'from {home} import (', names, ')')}\n"


def _home(name: str) -> str:
    """The module that a name is taken from."""
    if name == "Environment":
        return "fencepost.statemachines.environment"
    if hasattr(spec, name):
        return spec.__name__
    found = getattr(values, name)
    # a kind of numbers has no module of its own
    return found.__module__ if isinstance(found, type) else values.__name__


def _wrapped(head: str, items: Sequence[str], tail: str, step: str = "    ") -> str:
    """The items on one line, or each on its own, one step further in than the head."""
    line = f"{head}{', '.join(items)}{tail}"
    if len(line) <= WIDTH:
        return line
    outer = head[: len(head) - len(head.lstrip())]
    comma = "," if len(items) > 1 else ""
    lines = "".join(f"{outer}{step}{each}{comma}\n" for each in items)
    return f"{head.rstrip()}\n{lines}{outer}{tail.lstrip()}"


def _docstring(operation: Operation, more: str = "") -> str:
    text = inspect.getdoc(operation.method) or ""
    return f'"""{text}{more}\n"""' if "\n" in text + more else f'"""{text}"""'


def _backend_py(parts: dict[str, list[str]]) -> str:
    stores = [f"{part}={_name(part)}(environment)" for part in parts]
    one = f"    return {stores[0].partition('=')[2]}"
    given = one if len(parts) == 1 else _wrapped("    return Stores(", stores, ")")
    kind = _name(next(iter(parts))) if len(parts) == 1 else "Stores"
    names = ", ".join(sorted(map(_name, parts)))
    imported = "" if len(parts) == 1 else "from fencepost.spec import Stores\n"
    named = [f'"{chapter}"' for chapters in parts.values() for chapter in chapters]
    offered = _wrapped("    chapters=(", named, "),") if len(named) > 1 else f"    chapters=({named[0]},),"
    return f'''"""How a fresh store is made: `fencepost verify --backend backend:factory`. EDIT: what the store has."""

from __future__ import annotations

from fencepost.kit import declares
{imported}from fencepost.statemachines.environment import Environment

from store import {names}


# EDIT: take the # away in front of what the store has
@declares(
{_declared(CAPABILITIES, "#")}{offered}
)
def factory(environment: Environment) -> {kind}:
    """A fresh, empty store; environment.clock, environment.process_alive and environment.directory are for it to use."""
{given}
'''


ONE_BY_ONE = tuple(each for each in CAPABILITIES if each != "concurrent-callers")
"""What the store of a program may declare: the adapter that is written for it answers one request after the other."""


def _declared(capabilities: Iterable[str], comment: str, step: str = "    ") -> str:
    """A line for each capability, with what it says of a store; those that few stores lack stand as declared."""
    return "".join(
        f'{step}{"" if each in USUAL else f"{comment} "}"{each}",  {comment} {CAPABILITIES[each]}\n' for each in capabilities
    )


def _store_program_py(parts: dict[str, list[str]]) -> str:
    head = f'''"""The stores that are to be checked. EDIT: every method that raises NotImplementedError, and __init__.

Arguments and answers are JSON data; the forms of records, under their names: `fencepost adapter schema`.
"""

# EDIT: take the # away in front of what the stores have
CAPABILITIES = [
{_declared(ONE_BY_ONE, "#")}]


class Refusal(Exception):
    """A refusal that the protocol knows, such as Refusal("AppendToFinishedTurn", thread_id=thread_id, turn=turn).

    The fields of each: `fencepost adapter schema`.
    """

    def __init__(self, kind, **fields):
        super().__init__(kind)
        self.kind = kind
        self.fields = fields
'''
    forms = schema()["operations"]
    return "\n\n".join([head, *(_class_program_py(part, chapters, forms) for part, chapters in parts.items())])


def _class_program_py(part: str, chapters: Sequence[str], forms: dict[str, Any]) -> str:
    methods = []
    for each in _operations(chapters):
        names = ["self", *(name for name, _ in each.parameters)]
        head = _wrapped(f"    def {each.method_name}(", names, "):")
        text = indent(_docstring(each, "\n\n" + "\n".join(_forms_told(forms[each.name]))), " " * 8, bool)
        methods.append(f"{head}\n{_stripped(text)}\n{_not_written_py(_name(part), each)}\n")
    return "\n".join(
        [
            f'class {_name(part)}:\n    """The time is self.environment.clock(), in epoch milliseconds."""\n',
            "    def __init__(self, environment):\n"
            "        # EDIT: open what the store keeps its data in; files go to environment.directory\n"
            "        self.environment = environment\n",
            *methods,
            '    def close(self):\n        """Let go of everything."""\n',
        ]
    )


def _store_mjs(parts: dict[str, list[str]]) -> str:
    head = f"""// The stores that are to be checked. EDIT: every method that throws "not written yet", and the constructor.
//
// Arguments and answers are JSON data, with objects as Maps and numbers as Num (json.mjs), whose text is exact; answers may
// be plain objects too. The forms of records, under their names: fencepost adapter schema

// EDIT: take the // away in front of what the stores have
export const CAPABILITIES = [
{_declared(ONE_BY_ONE, "//", "  ")}];

/**
 * A refusal that the protocol knows, such as new Refusal("AppendToFinishedTurn", {{ thread_id, turn }}).
 *
 * The fields of each: fencepost adapter schema
 */
export class Refusal extends Error {{
  constructor(kind, fields = {{}}) {{
    super(kind);
    this.kind = kind;
    this.fields = fields;
  }}
}}
"""
    forms = schema()["operations"]
    return "\n".join([head, *(_class_mjs(part, chapters, forms) for part, chapters in parts.items())])


def _class_mjs(part: str, chapters: Sequence[str], forms: dict[str, Any]) -> str:
    methods = []
    for each in _operations(chapters):
        told = [*(inspect.getdoc(each.method) or "").splitlines(), "", *_forms_told(forms[each.name])]
        text = "\n".join(["  /**", *(f"   * {line}".rstrip() for line in told), "   */"])
        head = _wrapped(f"  {each.method_name}({{ ", [name for name, _ in each.parameters], " }) {", "  ")
        body = f'throw new Error("{_not_written(_name(part), each.method_name, "store.mjs")}");'
        methods.append(f"{text}\n{head}\n    {body}\n  }}\n")
    return "\n".join(
        [
            f"/** The time is this.environment.clock(), in epoch milliseconds: a BigInt. */\nexport class {_name(part)} {{",
            "  constructor(environment) {\n"
            "    // EDIT: open what the store keeps its data in; files go to environment.directory\n"
            "    this.environment = environment;\n  }\n",
            *methods,
            "  /** Let go of everything. */\n  close() {}\n}\n",
        ]
    )


def _forms_told(forms: dict[str, Any]) -> list[str]:
    """A line on each argument, and one on the answer."""
    arguments = [f"{name}: {_form(form)}" for name, form in forms["arguments"]["properties"].items()]
    return [*arguments, f"answer: {_form(forms['answer'])}"]


def _form(form: dict[str, Any]) -> str:
    """What a JSON Schema asks for, in a few words."""
    if "$ref" in form:
        return str(form["$ref"]).rpartition("/")[2]
    if "anyOf" in form:
        return " or ".join(map(_form, form["anyOf"]))
    if "enum" in form:
        return " or ".join(json.dumps(each) for each in form["enum"])
    if form.get("type") == "array":
        return f"array of {_form(form['items'])}"
    if "maximum" in form:
        return f"integer from {form['minimum']} to {form['maximum']}"
    return str(form.get("format") or form.get("contentEncoding") or form.get("type", "any JSON"))


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.splitlines())


LANGUAGES: dict[str, Language] = {
    "python": Language(".py", "python3", ("adapter.py",), _store_program_py),
    "node": Language(".mjs", "node", ("adapter.mjs", "json.mjs"), _store_mjs),
}
"""The languages of programs; each needs nothing but itself."""


def _readme(skeleton: Skeleton) -> str:
    files = "".join(f"| `{name}` | {'**edit**' if name in skeleton.edit else 'leave it'} |\n" for name in skeleton.files)
    commands = "\n".join(skeleton.commands)
    return f"""# An adapter

It runs as it is: every method that is not written yet says so, and the check ends with the first of them. Places to
edit are marked `EDIT`.

| file | |
|---|---|
{files}
In this folder:

```sh
{commands}
```
"""
