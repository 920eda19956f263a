"""`fencepost adapter`: what an author of an adapter needs: its self-test, the schema of its lines, and ours to look at."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
from fencepost.spec import Json
from fencepost.spec.wire_schema import schema
from fencepost.statemachines.run import CHAPTERS
from rich.text import Text

from .adapter import PROTOCOL, Adapter
from .backend import ANSWER_S, BackendError, fresh_environment, shortened
from .choices import OF_CHAPTERS, STORES, Duration, chosen_chapters
from .console import Terminal, complain
from .leftovers import nothing_left_behind
from .scaffold import LANGUAGES, ScaffoldRefused, skeleton_of, write
from .serve import CALLERS, serve
from .verify import offered_by

ECHOES: dict[str, Any] = {
    "a text with every kind of character": 'é "\\ \u0000\u2028\U0001f600',
    "an object": {"": [], "a": {"b": [None, True, False]}},
    "integers up to 2^64 - 1": [0, 1, 2**53 + 1, 2**63, 2**64 - 1],
    "1 apart from 1.0": [1, 1.0, -0.0, 1e300],
    "a line of a megabyte": "x" * 1_000_000,
}
"""What an adapter has to give back just as it came."""


@click.group("adapter", short_help="Begin and check an adapter, in any language.")
def adapter_group() -> None:
    """For authors of adapters: programs in any language that put a store behind JSON lines."""


@adapter_group.command("check")
@click.argument("command")
@click.option("--timeout", default=f"{ANSWER_S:g}s", show_default=True, type=Duration(), help="How long for an answer.")
@click.pass_context
@nothing_left_behind()
def check_command(context: click.Context, command: str, timeout: float) -> None:
    """Start COMMAND, let it introduce itself, echo what is hard to carry, and give an empty store twice.

    Exit code 0: it speaks the protocol. 2: it does not. What its store does is for `fencepost verify --exec COMMAND`.
    """
    console = Terminal()
    try:
        adapter = Adapter(command, timeout)
        declared = adapter.declared
        console.show(Text(f"hello   {PROTOCOL}"))
        console.show(Text(f"        chapters {', '.join(declared.chapters)}"))
        console.show(Text(f"        capabilities {', '.join(declared.capabilities) or 'none'}"))
        wrong = 0
        for what, value, back in _echoed(adapter):
            is_same = _is_json(back) and Json(back) == Json(value)
            wrong += not is_same
            told = "" if is_same else f": expected {shortened(value, 40)}, received {shortened(back, 40)}"
            console.show(Text(f"echo    {'ok   ' if is_same else 'WRONG'} {what}{told}"))
        for _ in range(2):
            with fresh_environment() as environment:
                adapter(environment)
                if "reopen" in declared.capabilities:
                    adapter(environment)
        console.show(Text("reset   ok    an empty store, twice"))
        if "reopen" in declared.capabilities:
            console.show(Text("reopen  ok    the same store again, each time"))
        adapter.pipe.close()
    except BackendError as error:
        complain(str(error))
        context.exit(2)
    context.exit(2 if wrong else 0)


@adapter_group.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of every line: requests, answers, calls and refusals."""
    json.dump(messages(), sys.stdout, indent=2)
    sys.stdout.write("\n")


@adapter_group.command("serve")
@click.argument("factory", metavar="MODULE:FACTORY")
@click.pass_context
def serve_command(context: click.Context, factory: str) -> None:
    """Put the stores of a Python factory behind standard input and output."""
    try:
        serve(factory, sys.stdin, sys.stdout)
    except BackendError as error:
        complain(str(error))
        context.exit(2)


@adapter_group.command("scaffold")
@click.option("--stores", type=STORES, metavar="NAME,NAME", help="Protocols that the store has.")
@click.option("--chapters", type=OF_CHAPTERS, metavar="NAME,NAME", help="Chapters that the store has.  [default: all]")
@click.option(
    "--kind", type=click.Choice(["python", "program"]), default="python", show_default=True, help="A class or a program."
)
@click.option("--language", type=click.Choice([*LANGUAGES]), help="That of a program.  [default: python]")
@click.option("--output", required=True, metavar="DIR", help="The folder to write to. Files that are there stay as they are.")
@click.pass_context
def scaffold_command(
    context: click.Context,
    stores: tuple[str, ...] | None,
    chapters: tuple[str, ...] | None,
    kind: str,
    language: str | None,
    output: str,
) -> None:
    """Write the skeleton of an adapter, which runs at once: a Python class, or a program that speaks JSON lines.

    Each method says that it is not written yet, until it is. Exit code 2: a file of the skeleton is there already.
    """
    if language and kind != "program":
        raise click.UsageError(f"received --language {language}, expected --kind program beside it: a class is in Python.")
    chosen = chosen_chapters(stores, chapters) or CHAPTERS
    # commits are read back
    read = ("session",) if "commit" in chosen else ()
    skeleton = skeleton_of(kind, language or "python", offered_by((*chosen, *read)))
    try:
        write(skeleton, Path(output))
    except ScaffoldRefused as error:
        complain(str(error))
        context.exit(2)
    click.echo(f"Wrote {', '.join(skeleton.files)} to {output}. Edit {' and '.join(skeleton.edit)}, where EDIT stands.")
    click.echo("Next, in that folder:")
    for command in skeleton.commands:
        click.echo(f"  {command}")


def messages() -> dict[str, Any]:
    """The schema of the lines: those to the adapter, those back, and what stands in them."""
    found = schema()
    definitions = found["$defs"]
    for operation, forms in found["operations"].items():
        definitions[f"arguments of {operation}"], definitions[f"answer of {operation}"] = forms["arguments"], forms["answer"]
    definitions["call"] = {"anyOf": [_call(operation) for operation in found["operations"]]}
    definitions["error"] = {"anyOf": list(found["errors"].values())}
    number = {"type": "integer", "minimum": 1}
    instant = {"now": {"type": "integer", "minimum": 0, "maximum": 2**64 - 1}, "processes": PROCESSES}
    place = _object({"directory": {"type": "string"}, **instant}, ["directory", "now"])
    requests = [
        _object({"id": number, "hello": _object({"protocol": {"const": PROTOCOL}}, ["protocol"])}, ["id", "hello"]),
        _object({"id": number, "echo": {}}, ["id", "echo"]),
        *(_object({"id": number, how: place}, ["id", how]) for how in ("reset", "reopen")),
        _object({"id": number, "call": {"$ref": "#/$defs/call"}, **instant}, ["id", "call", "now"]),
    ]
    names = {"type": "array", "items": {"type": "string"}}
    hello = _object({"protocol": {"const": PROTOCOL}, "chapters": names, "capabilities": names}, ["protocol", "chapters"])
    answers = [
        _object({"id": number, "hello": hello}, ["id", "hello"]),
        _object({"id": number, "answer": {}}, ["id", "answer"]),
        _object({"id": number, "error": {"$ref": "#/$defs/error"}}, ["id", "error"]),
        _object({"id": number, "crash": {"type": "string"}}, ["id", "crash"]),
    ]
    definitions |= {"request": {"anyOf": requests}, "answer": {"anyOf": answers}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": PROTOCOL,
        "anyOf": [{"$ref": "#/$defs/request"}, {"$ref": "#/$defs/answer"}],
        "$defs": definitions,
    }


PROCESSES = {
    "type": "object",
    "properties": {
        "running": {"type": "object", "additionalProperties": {"type": "string"}},
        "hidden": {"type": "array", "items": {"type": "integer"}},
    },
}
"""The processes that the liveness oracle knows: start stamps by pid, and pids whose state cannot be told."""


def _call(operation: str) -> dict[str, Any]:
    arguments = {"$ref": f"#/$defs/arguments of {operation}"}
    return _object({"operation": {"const": operation}, "arguments": arguments}, ["operation", "arguments"])


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required}


def _echoed(adapter: Adapter) -> Iterator[tuple[str, Any, Any]]:
    """What was sent, and what came back; several at once where the store declares that it can be called so."""
    for what, value in ECHOES.items():
        yield what, value, adapter.echo(value)
    if "concurrent-callers" in adapter.declared.capabilities:
        values = list(range(CALLERS))
        with ThreadPoolExecutor(CALLERS) as callers:
            yield "several at once, each to its own caller", values, list(callers.map(adapter.echo, values))


def _is_json(value: object) -> bool:
    try:
        Json(value)
    except ValueError:
        return False
    return True
