"""Twins: names in spellings that look alike, each where a call names something, and stores that take two of them for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from fencepost.spec import Alive, Stores
from fencepost.spec.operations import CHAPTERS, OPERATIONS
from fencepost.statemachines.checker import Call, Checker
from fencepost.statemachines.environment import CAPABILITIES, Environment
from fencepost.statemachines.leaves import leaves_of
from fencepost.statemachines.lookalikes import changed, is_named, look, told_apart
from fencepost.statemachines.model_store import ModelStore
from fencepost.statemachines.plays import SCENES
from fencepost.statemachines.run import MACHINES, Setup, machine_of
from fencepost.statemachines.tally import Tally
from fencepost.statemachines.twins import MARK, NUMBERS, WORDS, met, operations, played, twins
from fencepost.statemachines.twins import told_apart as told

FOLDINGS: dict[str, Callable[[str], str]] = {
    "case": str.casefold,
    "blank": str.rstrip,
    "NFC": partial(normalize, "NFC"),
    "NUL": lambda text: text.partition("\0")[0],
    "16 bits": lambda text: "".join(each if each < "\U00010000" else "?" for each in text),
    "latin1": lambda text: text.encode("latin1", "replace").decode("latin1"),
    "line's end": lambda text: text.replace("\r\n", "\n"),
    "zero width": lambda text: text.replace("\u200b", ""),
    "backslash": lambda text: text.replace("\\", ""),
    "pattern": lambda text: text.rstrip("%"),
    "number": lambda text: str(float(text)) if text.replace(".", "", 1).isdecimal() else text,
    "64": lambda text: text[:64],
    "8000": lambda text: text[:8_000],
}

SLOW = [name for name in FOLDINGS if name != "pattern"]
"""What is tried of every field only with all the time that there is: one folding of each is tried always."""

KEYS = {
    "lease": ("session_id", "owner_id", "incarnation_id", "host_id", "boot_id"),
    "turn_input": ("session_id", "source_key", "turn_id", "owner_id", "incarnation_id", "value"),
    "queued_work": ("session_id", "source_key", "owner_id", "incarnation_id", "value"),
    "commit": (
        "session_id",
        "owner_id",
        "incarnation_id",
        "turn_id",
        "turn_commit_hash",
        "node_id",
        "parent_node_id",
        "leaf_node_id",
        "interrupted_turn_input_turn_id",
        "committed_attachment_ids",
    ),
    "session": ("session_id", "node_id", "leaf_node_id"),
    "maintenance": ("ids",),
    "attachment": ("attachment_id", "attachment_ids", "session_id"),
    "runtime": ("runtime_id", "idempotency_key"),
    "event": ("thread_id",),
    "output": ("task_id", "producer_agent", "name"),
}
"""Every field of a chapter's calls in which a caller names something, and `value`: of a source key, and of a group."""

SHOWN = {
    "abandon_turn_input_claim": ("session_id",),
    "abandon_queued_work_claim": ("session_id",),
    "renew_session_execution_lease": ("session_id", "owner_id", "incarnation_id"),
    "release_session_execution_lease": ("session_id", "owner_id", "incarnation_id"),
    # where a process runs is asked when somebody wants to take its session over
    "try_claim_session_execution_lease": ("session_id", "owner_id", "incarnation_id"),
}
"""What of a proof decides: whatever else stands in it decides nothing (GEN-9)."""


class Folding(Stores):
    """The model's stores, for which the names in one field of one call, or of several, are what is left of them."""

    def __init__(self, environment: Environment, operations: frozenset[str], field: str, name: Callable[[str], str]) -> None:
        model = ModelStore(environment)
        parts: dict[str, Any] = {}
        for chapter in CHAPTERS:
            part = parts.setdefault(chapter if chapter in ("runtime", "event", "output") else "runtime_persistence", _Part())
            for key, operation in OPERATIONS.items():
                if operation.chapter == chapter:
                    method = operation.of(model)
                    assert method is not None
                    folded = partial(self._call, key, method, lambda text, at: name(text) if at == field else text)
                    setattr(part, operation.method_name, folded if key in operations else method)
        vars(self).update(parts)

    def _call(self, key: str, method: Callable[..., Any], change: Callable[[str, str], str], *arguments: Any) -> object:
        return method(*changed(Call(key, arguments), change).arguments)


class _Part:
    """The calls of one store."""


def named(chapter: str, directory: Path) -> Iterator[tuple[str, str]]:
    """Every call of a chapter and every field of it in which the scenes have a name."""
    for scene in SCENES[chapter]:
        environment = Environment(directory)
        checker = Checker(ModelStore(environment), environment, Tally())
        for call in played(scene, WORDS, lambda call: checker.perform(call, look=False)):  # noqa: B023
            if OPERATIONS[call.operation].chapter == chapter:
                yield from ((call.operation, field) for field in _fields(call))


def _fields(call: Call) -> list[str]:
    return [leaf.field for leaf in leaves_of(call) if is_named(leaf) and leaf.value.endswith(MARK)]


def setup(directory: Path, calls: frozenset[str], field: str, name: Callable[[str], str]) -> Setup:
    """A run of such a store."""
    declared = frozenset(CAPABILITIES) - {"reopen"}
    return Setup(lambda environment: Folding(environment, calls, field, name), directory, declared=declared)


LUCKY = [("commit", "turn_id"), ("queued_work", "source_key"), ("turn_input", "turn_id"), ("runtime", "runtime_id")]
"""Where what is drawn shows such a store with some seeds only."""

FIELDS = [(chapter, field) for chapter, fields in KEYS.items() for field in fields]


@pytest.mark.parametrize("folding", ["pattern", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
@pytest.mark.parametrize(("chapter", "field"), FIELDS)
def test_value_12_a_call_that_folds_one_of_its_names_is_caught(chapter: str, field: str, folding: str, tmp_path: Path) -> None:
    """Whichever call of the chapter it is that has the field, and however it folds: by twins alone, nothing being drawn."""
    calls = {call for call, at in named(chapter, tmp_path) if at == field and field in SHOWN.get(call, (field,))}
    assert calls
    for call in sorted(calls):
        assert met(MACHINES[chapter], setup(tmp_path, frozenset({call}), field, FOLDINGS[folding])) is not None, call


@pytest.mark.parametrize("folding", FOLDINGS)
@pytest.mark.parametrize(
    ("chapter", "field"), [("commit", "turn_id"), ("queued_work", "source_key"), ("runtime", "runtime_id")]
)
def test_value_12_a_store_that_takes_two_names_for_one_is_told_so(
    chapter: str, field: str, folding: str, tmp_path: Path
) -> None:
    """It knows a name by the spelling that came first: the program has two names that look alike, and is short."""

    def first(spellings: dict[str, str], text: str) -> str:
        return spellings.setdefault(FOLDINGS[folding](text), text)

    calls = frozenset(name for name, operation in OPERATIONS.items() if operation.chapter == chapter)
    folded = setup(tmp_path, calls, field, str)
    folded.open_store = lambda environment: Folding(environment, calls, field, partial(first, {}))
    violation = told(MACHINES[chapter], folded)
    assert violation is not None
    assert violation.requirements[0] == "VALUE-12"
    assert len(list(told_apart(violation.program))) == 1
    assert len(violation.program) <= 4


@pytest.mark.parametrize("chapter", MACHINES)
def test_a_store_that_tells_names_apart_conforms(chapter: str, tmp_path: Path) -> None:
    """By a controlled clock and by the time of day, whether or not it asks who lives; and the twins are counted."""
    for declared in (frozenset(CAPABILITIES), frozenset({"attachments"})):
        given = Setup(ModelStore, tmp_path, declared=declared)
        assert met(machine_of(chapter), given) is None
        assert given.tally.reached["VALUE-12"] > 0


@pytest.mark.parametrize("chapter", MACHINES)
def test_every_call_that_names_something_has_twins(chapter: str, tmp_path: Path) -> None:
    """Each call of the chapter that takes a name is made in a scene of it; those without one have none to be mistaken."""
    nameless = {"load_session_meta", "durability_tier", "vacuum", "gc_unreachable", "list_uncommitted", "get"}
    made = {each.name for scene in SCENES[chapter] for each in operations(scene, tmp_path)}
    assert {name for name, each in OPERATIONS.items() if each.chapter == chapter} - made <= nameless


def test_a_name_has_ten_twins_in_each_place() -> None:
    """All look like it, and all are other texts: nine of a word, and one of a number."""
    word, number = Call("list_for_attempt", ("task🍣\né", 1)), Call("list_for_attempt", ("7." + "0" * 8_000, 1))
    assert [WORDS.written(Call("list_for_attempt", ("task", 1))), *twins(word, WORDS.spellings, MARK)] == [
        Call("list_for_attempt", (text, 1))
        for text in (
            "task🍣\né",
            "Task🍣\né",
            "task🍣\né ",
            "task🍣\ne\u0301",
            "task🍣\né\0",
            "task🍺\né",
            "task🍣\r\né",
            "task🍣\né\u200b",
            "task🍣\né\\",
            "task🍣\né%",
        )
    ]
    assert list(twins(number, NUMBERS.spellings, NUMBERS.mark)) == [Call("list_for_attempt", ("7." + "0" * 8_001, 1))]
    looks = {look(str(each.arguments[0])) for each in twins(word, WORDS.spellings, MARK)}
    assert looks == {"task?\né"}


class Cautious(ModelStore):
    """Takes nobody for dead."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._alive = lambda _pid, _start: Alive.unknown


def test_a_store_that_takes_nobody_for_dead_conforms(tmp_path: Path) -> None:
    """Nothing can be taken over in it, and the play ends there."""
    declared = frozenset(CAPABILITIES) - {"liveness-oracle", "reopen"}
    assert met(MACHINES["lease"], Setup(Cautious, tmp_path, declared=declared)) is None
