"""Backends: found by name, opened once an example, and told plainly when they are no good."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from faulty import Closing
from faulty_shapes import Events
from fencepost.kit import declares, duckdb
from fencepost.kit.backend import DEFAULT_BACKEND, BackendError, Factory, fresh_environment, load_factory
from fencepost.kit.duckdb import memory
from fencepost.kit.result import Request, Verdict
from fencepost.kit.verify import verify
from fencepost.spec import Acquired, Busy, LeaseOwnerIdentity
from fencepost.spec.operations import OPERATIONS
from fencepost.statemachines.environment import Environment

GOOD_FOR_NOTHING = {
    "faulty": "Received --backend 'faulty', expected module:factory, such as mystore.testing:open_store.",
    ":memory": "Received --backend ':memory', expected module:factory, such as mystore.testing:open_store.",
    "nowhere.at_all:store": "There is no module 'nowhere.at_all', asked for as --backend nowhere.at_all:store. Expected "
    "module:factory, such as mystore.testing:open_store; modules are looked for in the current directory and among the "
    "installed packages.",
    "faulty:Bend": "The module faulty has no 'Bend', asked for as --backend faulty:Bend; it has Bent, LiveAtTheEdge, Unfenced, "
    "TokenReused, FenceForgotten, TokenAndFenceForgotten, EverybodyDead, StaleHead. Expected the name of a factory in it.",
    "faulty:not_callable": "faulty:not_callable is 7, which cannot be called; a factory takes one argument, the environment "
    "(clock, process_alive, directory), and gives a fresh, empty store.",
    "faulty:two_arguments": "faulty:two_arguments cannot be called with one argument: it is two_arguments(environment: "
    "'Environment', path: 'str') -> 'ModelStore'; a factory takes one argument, the environment (clock, process_alive, "
    "directory), and gives a fresh, empty store.",
    "faulty:no_argument": "faulty:no_argument cannot be called with one argument: it is no_argument() -> 'None'; a factory "
    "takes one argument, the environment (clock, process_alive, directory), and gives a fresh, empty store.",
    "faulty:raising": "The factory faulty:raising raised ConnectionRefusedError: nobody listens on port 5432 "
    "(faulty.py, line 348). Expected a "
    "fresh, empty store.",
    "faulty:nothing": "The factory faulty:nothing gave None, which has none of the calls of a store. Expected an object with "
    "methods such as try_claim_session_execution_lease; does the factory return its store?",
    "faulty:number": "The factory faulty:number gave 7, which has none of the calls of a store. Expected an object with "
    "methods such as try_claim_session_execution_lease; does the factory return its store?",
    "faulty:CannotClose": "close() of the store of faulty:CannotClose raised RuntimeError: busy (faulty.py, line 329). "
    "Expected it to return.",
    "faulty:LeasesOnly": "The store of faulty:LeasesOnly, a LeasesOnly, has no commit_runtime_state, load_session. Expected "
    "every call of what was chosen: add what is missing, or check the chapters that it has, with --chapters lease. "
    "A check of commits reads them back with load_session, of the chapter session.",
    "faulty_logs:events_and_outputs": "The stores of faulty_logs:events_and_outputs have no runtime_persistence. Expected "
    "every store of what was chosen: add what is missing, or choose others with --stores or --chapters.",
    "faulty_shapes:events": "The store of faulty_shapes:events, an Events, has no try_claim_session_execution_lease, "
    "reclaim_session_execution_lease, renew_session_execution_lease, release_session_execution_lease, commit_runtime_state, "
    "load_session. Expected every call of what was chosen: add what is missing, or check the protocols that it has, with "
    "--stores event. A check of commits reads them back with load_session, of the chapter session.",
    "faulty_shapes:a_class": "The factory faulty_shapes:a_class gave the class Events. Expected a store of that class: does "
    "the factory call it, as in Events(environment)?",
    "./folder/store.py:factory": "Received --backend './folder/store.py:factory', which names a file. Expected a module: "
    "--backend store:factory, in the folder folder.",
    "store.py": "Received --backend 'store.py', which names a file. Expected a module: --backend store:factory.",
    "forgetful:Unclosed": "The store of forgetful:Unclosed, a Unclosed, has no close(). Expected one of a store that can be "
    "opened again: add it, or do not declare `reopen`.",
    "forgetful:once": "The factory forgetful:once raised FileExistsError: [Errno 17] File exists: 'file' "
    "(forgetful.py, line 85) when it was called "
    "again with the same environment. Expected the store that was closed, with all that was in it.",
}


@pytest.mark.parametrize("name", GOOD_FOR_NOTHING)
def test_a_backend_that_cannot_be_used_is_told_in_a_sentence(name: str) -> None:
    """What was received, what was expected, and what to do next stand in one sentence or two."""
    with pytest.raises(BackendError) as caught:
        verify(load_factory(name), Request(name, ("commit",)))
    assert re.sub(r"'/\S+/file'", "'file'", str(caught.value)) == GOOD_FOR_NOTHING[name]


def test_a_module_that_raises_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that cannot be imported is named with what it raised, even if it ends the interpreter."""
    (tmp_path / "broken_store.py").write_text("1 / 0")
    (tmp_path / "leaving_store.py").write_text("raise SystemExit('bye')")
    (tmp_path / "needing_store.py").write_text("import driver_that_nobody_has")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BackendError, match=r"'broken_store' cannot be imported: it raised ZeroDivisionError: "):
        load_factory("broken_store:memory")
    with pytest.raises(
        BackendError, match=r"'leaving_store' cannot be imported: it raised SystemExit: bye \(leaving_store.py, line 1\)\."
    ):
        load_factory("leaving_store:memory")
    with pytest.raises(BackendError, match=r"'needing_store' needs another one: .*driver_that_nobody_has.* Install it"):
        load_factory("needing_store:memory")


def test_the_current_directory_is_importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store in the directory one stands in needs no installation."""
    (tmp_path / "store_right_here.py").write_text("from fencepost.statemachines.model_store import ModelStore as memory")
    monkeypatch.chdir(tmp_path)
    assert load_factory("store_right_here:memory").call.__name__ == "ModelStore"


def test_a_store_lacks_only_what_its_chapters_call() -> None:
    """A store of leases alone can be checked for leases."""
    for name, chapters in (
        ("faulty:LeasesOnly", ("lease",)),
        ("faulty_claims:InputsOnly", ("lease", "turn_input")),
        ("faulty_claims:ManifestOnly", ("attachment",)),
        ("faulty_claims:outputs_only", ("output",)),
    ):
        assert verify(load_factory(name), Request(name, chapters, 0, 5, 20)).verdict.value == "conforms"
    with pytest.raises(BackendError, match="has no commit_runtime_state, load_session"):
        verify(load_factory("faulty_claims:InputsOnly"), Request("", ("turn_input", "commit")))


def test_every_example_has_a_store_and_a_directory_of_its_own() -> None:
    """A store is closed before the next one is opened, in an empty directory that is gone afterwards."""
    verify(load_factory("faulty:Closing"), Request("faulty:Closing", ("lease",), 0, 5, 10))
    assert Closing.opened == 0
    assert Closing.most == 1
    # one to try the factory, one an example, and four for the twins of each call of a play of four: in words and in numbers,
    # before the call and after it, and one for a crowd
    assert len(Closing.used_directories) == 23
    assert not any(Path(directory).exists() for directory in Closing.used_directories)


def test_a_mark_declares_what_a_store_has() -> None:
    """The factory stays what it was; one without the mark declares that it uses the clock and the oracle it is given."""

    def factory(_: Environment) -> None:
        """Gives nothing."""

    assert Factory("plain", factory).declares == ("controlled-clock", "liveness-oracle")
    assert Factory("plain", factory).has == ()
    assert declares("attachments", "reopen", chapters=("turn_input", "lease"))(factory) is factory
    assert Factory("marked", factory).reopens
    assert Factory("marked", factory).declares == ("reopen", "attachments")
    assert Factory("marked", factory).has == ("lease", "turn_input")


@pytest.mark.parametrize(
    ("capability", "chapter", "told"),
    [
        ("reopens", "lease", "received 'reopens', expected some of controlled-clock, liveness-oracle, reopen, "
         "concurrent-callers, attachments, blob-reclaim"),
        ("reopen", "leases", "received 'leases', expected some of lease, turn_input, queued_work, commit, session, "
         "maintenance, attachment, runtime, event, output"),
    ],
)  # fmt: skip
def test_what_nobody_can_declare_is_refused(capability: str, chapter: str, told: str) -> None:
    """A capability or a chapter that there is not is named, with those that there are."""
    with pytest.raises(ValueError, match=re.escape(told)):
        declares(capability, chapters=(chapter,))


def test_our_store_in_a_file_is_there_again_for_its_environment_and_for_no_other() -> None:
    """Opened again it shows the lease that was granted; a store of another environment is empty."""
    owner, other = LeaseOwnerIdentity("a", "1"), LeaseOwnerIdentity("b", "1")
    with fresh_environment() as environment:
        stores = duckdb.file(environment)
        store = stores.runtime_persistence
        granted = store.try_claim_session_execution_lease("s", owner, 10)
        assert isinstance(granted, Acquired)
        store.close()
        again = duckdb.file(environment).runtime_persistence
        assert again.try_claim_session_execution_lease("s", other, 10) == Busy(granted.lease)
        again.close()
        # the files are elsewhere: the directory goes with the example, the engine serves the next one
        assert not list(environment.directory.iterdir())
    with fresh_environment() as environment:
        stores = duckdb.file(environment)
        store = stores.runtime_persistence
        assert isinstance(store.try_claim_session_execution_lease("s", other, 10), Acquired)
        store.close()


def test_our_store_in_a_file_is_the_default_and_marked() -> None:
    """`fencepost verify` opens it again; the one in memory is gone with its engine, and says nothing."""
    assert load_factory(DEFAULT_BACKEND).call is duckdb.file
    assert load_factory(DEFAULT_BACKEND).reopens
    assert not load_factory("fencepost.kit.duckdb:memory").reopens


def test_our_store_in_memory_is_empty_each_time() -> None:
    """Two stores in memory have one engine, and nothing that was in the first is in the second."""
    owner = LeaseOwnerIdentity("a", "1")
    fencing_tokens = []
    for instant in (1_000, 2_000):
        with fresh_environment() as environment:
            environment.clock.move_to(instant)
            store = memory(environment).runtime_persistence
            answer = store.try_claim_session_execution_lease("s", owner, 10)
            assert isinstance(answer, Acquired)
            fencing_tokens.append(answer.lease.fencing_token)
            store.close()
    assert fencing_tokens == [1, 1]


def test_our_store_in_memory_has_the_clock_of_the_environment() -> None:
    """Times are those of the environment's clock."""
    environment = Environment(Path())
    environment.clock.move_to(5_000)
    answer = memory(environment).runtime_persistence.try_claim_session_execution_lease("s", LeaseOwnerIdentity("a", "1"), 10)
    assert isinstance(answer, Acquired)
    assert answer.lease.expires_at_epoch_ms == 5_010


def test_a_factory_that_quits_is_told() -> None:
    """SystemExit out of a factory is no end of the run, and no pass."""
    with pytest.raises(BackendError, match="raised SystemExit"):
        verify(load_factory("faulty:quits"), Request("faulty:quits", ("lease",)))


def test_a_store_that_quits_breaks_the_law() -> None:
    """SystemExit out of a call is a violation of VALUE-6, not a run that ended well."""
    result = verify(load_factory("faulty:quits_on_claim"), Request("faulty:quits_on_claim", ("lease",), 0, 5, 20))
    assert result.verdict.exit_code == 1
    assert result.counterexamples[0].requirements[0] == "VALUE-6"


def test_a_scope_that_was_served_may_not_be_refused_later() -> None:
    """A store cannot hide behind READ-18 by turns."""
    result = verify(load_factory("faulty:Unreadable"), Request("faulty:Unreadable", ("commit",), 0, 20, 30))
    assert result.verdict.exit_code == 1


def test_parameters_may_have_names_of_their_own() -> None:
    """Arguments come by their places, for contracts too: such a store conforms, and one that lies breaks the right one."""
    request = Request("faulty_shapes:events", ("event",), 0, 3, 30)
    assert verify(load_factory(request.backend), request).verdict is Verdict.conforms
    request = Request("faulty_shapes:lies", ("event",), 0, 3, 30)
    (found,) = verify(load_factory(request.backend), request).counterexamples
    assert found.requirements[0] == "EVENT-18"


@pytest.mark.parametrize(
    ("store", "shape"), [("swapped", "append(turn, thread_id, envelope)"), ("short", "append(thread_id, turn, *, envelope)")]
)
def test_a_method_that_cannot_be_called_as_it_should_is_no_violation(store: str, shape: str) -> None:
    """What was found and what is expected is told before anything is called."""
    name = f"faulty_shapes:{store}"
    with pytest.raises(BackendError) as caught:
        verify(load_factory(name), Request(name, ("event",)))
    told = re.sub(r": '\w+'| -> '\w+'", "", str(caught.value))
    assert told == (
        f"The store of {name}, a {store.title()}, has {shape}. Expected append(thread_id, turn, envelope): arguments come by "
        "their places, and parameters may have other names, but neither another order nor number."
    )


def test_a_store_that_goes_by_the_time_of_day_is_told_so() -> None:
    """Its answers show it: the factory is to declare no controlled clock."""
    request = Request("faulty_shapes:by_the_time_of_day", ("lease",), 0, 5, 30)
    (found,) = verify(load_factory(request.backend), request).counterexamples
    assert found.hint is not None
    assert re.sub(r"\d{13}", "N", found.hint) == (
        "claimed_at_epoch_ms N is the time of day, and a controlled clock is declared. Let the store take its time from "
        'environment.clock, or mark the factory with @declares("liveness-oracle").'
    )


def test_a_store_that_asks_nobody_who_runs_is_told_so() -> None:
    """A reclaim that depends on a process shows it: the factory is to declare no liveness oracle."""
    request = Request("faulty_shapes:asking_nobody", ("lease",), 0, 5, 50)
    (found,) = verify(load_factory(request.backend), request).counterexamples
    assert found.hint == (
        "The answer depends on which processes run, and a liveness oracle is declared: the store has to ask "
        'environment.process_alive. If it asks nobody, mark the factory with @declares("controlled-clock").'
    )


def test_a_chapter_may_be_declared_by_its_name_alone() -> None:
    """One text is one chapter, and not its letters."""
    assert load_factory("faulty_shapes:events").has == ()
    assert declares(chapters="output")(lambda _: None).fencepost_offers == ("output",)  # type: ignore[attr-defined]


def test_a_call_that_the_published_class_has_is_told_as_one() -> None:
    """It is missing in a store that does not inherit, which may write it, or inherit."""

    class Alone:
        append, finish_turn, get_turn = Events.append, Events.finish_turn, Events.get_turn
        get_turns, clear = Events.get_turns, Events.clear

    factory = Factory("alone:Alone", lambda _: Alone())
    with pytest.raises(BackendError) as found:
        factory.require([name for name, each in OPERATIONS.items() if each.chapter == "event"])
    assert "has no get_events. Expected every call" in str(found.value)
    assert str(found.value).endswith(" A store that inherits from EventStore need not write get_events.")
