"""Operations among several stores: what they are called, whose they are, and how a backend gives its stores."""

from __future__ import annotations

from typing import Any

import pytest
from fencepost.spec import EventStore, OutputStore, RuntimePersistence, RuntimeStore, Stores, TurnInputStore
from fencepost.spec.operations import CHAPTERS, OPERATIONS, PROTOCOLS, part_of, store_of
from spec_builders import scripted

PERSISTENCE: Any = scripted("load_session", None)
RUNTIME: Any = scripted("load_runtime_state", None)
EVENT: Any = scripted("event.append", None)
OUTPUT: Any = scripted("output.append", None)


class AllFour(Stores):
    """A backend with a store of each protocol."""

    runtime_persistence = PERSISTENCE
    runtime = RUNTIME
    event = EVENT
    output = OUTPUT


class OnlyEvents(Stores):
    """A backend with an event log alone."""

    event = EVENT


class Foreign:
    """Stores by their names, but not said to be stores."""

    event = EVENT


PARTS = {
    "lease": PERSISTENCE,
    "turn_input": PERSISTENCE,
    "queued_work": PERSISTENCE,
    "commit": PERSISTENCE,
    "session": PERSISTENCE,
    "maintenance": PERSISTENCE,
    "attachment": PERSISTENCE,
    "runtime": RUNTIME,
    "event": EVENT,
    "output": OUTPUT,
}


def test_a_name_that_two_stores_share_stands_behind_its_chapter() -> None:
    """`append` is the only such name, and it names no operation by itself."""
    assert [name for name in OPERATIONS if "." in name] == ["event.append", "output.append"]
    assert "append" not in OPERATIONS
    assert OPERATIONS["event.append"].method is EventStore.append
    assert OPERATIONS["output.append"].method is OutputStore.append


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_a_method_of_its_chapter_s_store(name: str) -> None:
    """The method has the operation's name, the qualified ones without their chapter."""
    operation = OPERATIONS[name]
    assert operation.name == name
    assert operation.method.__name__ == name.rpartition(".")[2]
    assert getattr(CHAPTERS[operation.chapter], operation.method.__name__) is operation.method


def test_the_protocols_are_five() -> None:
    """The published traits by their names, with the chapters of each; those of turn inputs stand in two."""
    assert {
        "runtime_persistence": (*("lease", "turn_input", "queued_work", "commit", "session", "maintenance", "attachment"),),
        "turn_input": ("turn_input",),
        "runtime": ("runtime",),
        "event": ("event",),
        "output": ("output",),
    } == PROTOCOLS
    assert list(CHAPTERS) == list(PARTS)


@pytest.mark.parametrize(
    ("protocol", "store"),
    [
        ("runtime_persistence", RuntimePersistence),
        ("turn_input", TurnInputStore),
        ("runtime", RuntimeStore),
        ("event", EventStore),
        ("output", OutputStore),
    ],
)
def test_the_chapters_of_a_protocol_are_its_store(protocol: str, store: type) -> None:
    """Together they have every public method of the protocol's abstract store, and no other."""
    methods = {each.method.__name__ for each in OPERATIONS.values() if each.chapter in PROTOCOLS[protocol]}
    assert {name for name in dir(store) if not name.startswith("_")} == methods
    assert all(issubclass(store, CHAPTERS[chapter]) for chapter in PROTOCOLS[protocol])


@pytest.mark.parametrize("chapter", PARTS)
def test_of_several_stores_each_chapter_has_its_own(chapter: str) -> None:
    """The seven chapters of runtime persistence share one, the other three have one each."""
    assert store_of(AllFour(), chapter) is PARTS[chapter]
    assert getattr(AllFour(), part_of(chapter)) is PARTS[chapter]


@pytest.mark.parametrize("chapter", PARTS)
def test_a_store_that_a_backend_does_not_give_is_none(chapter: str) -> None:
    """Stores are None unless they are given, and a chapter of a store that is not there has none."""
    assert store_of(Stores(), chapter) is None
    assert store_of(OnlyEvents(), chapter) is (EVENT if chapter == "event" else None)


@pytest.mark.parametrize("store", [PERSISTENCE, EVENT, Foreign(), None])
def test_an_only_store_is_that_of_every_chapter(store: object) -> None:
    """What is not said to be several stores is one, whatever it has."""
    for chapter in CHAPTERS:
        assert store_of(store, chapter) is store


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_finds_its_method(name: str) -> None:
    """Of several stores it is the method of the right one; of an only store it is its own; else there is none."""
    operation = OPERATIONS[name]
    store, method = PARTS[operation.chapter], operation.method.__name__
    found: Any = operation.of(AllFour())
    assert found.__self__ is store
    assert found.__name__ == method
    assert operation.of(store) == found
    assert operation.of(Stores()) is None
    assert operation.of(None) is None
    assert operation.of(object()) is None
    assert (operation.of(OnlyEvents()) is not None) == (operation.chapter == "event")


def test_two_appends_reach_two_stores() -> None:
    """The same method name is another call on another store."""
    first, second = scripted("event.append", "of events"), scripted("output.append", "of outputs")

    class Both(Stores):
        """Both."""

        event = first
        output = second

    for name, store in (("event.append", first), ("output.append", second)):
        method: Any = OPERATIONS[name].of(Both())
        assert method.__self__ is store
        assert len(OPERATIONS[name].parameters) == {"event.append": 3, "output.append": 5}[name]


def test_a_store_needs_no_base_class() -> None:
    """A backend's store is found by its name among the stores, though it inherits nothing."""

    class Plain:
        """A store of events that has one call."""

        def clear(self, thread_id: str) -> str:
            """Clear it."""
            return thread_id

    class Given(Stores):
        """Stores of somebody else."""

        event: Any = Plain()

    method: Any = OPERATIONS["clear"].of(Given())
    assert method("th") == "th"
    assert OPERATIONS["finish_turn"].of(Given()) is None
