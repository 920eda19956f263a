"""The recorder: what it writes, and that nobody notices it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from fencepost.impl import DuckDBRuntimePersistence, DuckDBStores
from fencepost.kit.histories.recorder import CannotRecord, record
from fencepost.kit.histories.trial import judge_history
from fencepost.kit.result import Verdict
from fencepost.spec import (
    Acquired,
    ActivePath,
    InvalidArgument,
    LeaseOwnerIdentity,
    OutputNotFound,
    PendingTurnInputDraft,
    RuntimePersistence,
    RuntimeState,
    SessionExecutionLeaseExpired,
    SessionExecutionLeaseFence,
    Stores,
    Text,
    TurnInput,
    TurnInputIngressNextTurn,
)
from fencepost.statemachines.environment import Environment
from fencepost.statemachines.model_store import ModelStore

import fencepost

A = LeaseOwnerIdentity("a", "1")
DRAFT = PendingTurnInputDraft(session_id="s", ingress=TurnInputIngressNextTurn(), input=TurnInput((Text("hello"),)))


def lines(file: Path) -> list[dict[str, Any]]:
    """What was written."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def model(folder: Path) -> ModelStore:
    """A store whose clock stands at 1,000."""
    return ModelStore(Environment(folder))


def test_every_line_says_what_it_is(tmp_path: Path) -> None:
    """The head, a call with its answer, and the end, just so."""
    file = tmp_path / "h"
    stores = fencepost.record(model(tmp_path), file, clock=lambda: 1_000)
    stores.runtime.persist_runtime_state("r", RuntimeState.Idle)
    stores.close()
    protocols = ["runtime_persistence", "runtime", "event", "output"]
    assert lines(file) == [
        {"format": "fencepost-history/1", "fencepost": fencepost.__version__, "at": 1_000, "protocols": protocols},
        {
            "at": [1_000, 1_000],
            "by": 1,
            "call": {"operation": "persist_runtime_state", "arguments": {"runtime_id": "r", "state": "idle"}},
            "answer": None,
        },
        {"closed": 1_000},
    ]


def test_what_the_store_says_is_what_its_caller_gets(tmp_path: Path) -> None:
    """Answers, refusals and exceptions pass through as they are, and attributes that are no calls too."""
    with DuckDBRuntimePersistence() as store:
        recorded: Any = record(store, tmp_path / "h")
        assert issubclass(recorded.__class__, RuntimePersistence)
        outcome = recorded.try_claim_session_execution_lease(session_id="s", owner=A, lease_ttl_ms=10_000)
        assert isinstance(outcome, Acquired)
        assert recorded.load_session(ActivePath()) is None
        with pytest.raises(SessionExecutionLeaseExpired) as refused:
            recorded.renew_session_execution_lease(SessionExecutionLeaseFence("s", A, "no such token", 1), 5)
        assert refused.value == SessionExecutionLeaseExpired("s")
        with pytest.raises(InvalidArgument):
            recorded.load_session("everything")
        with pytest.raises(TypeError):
            recorded.load_session()
        with pytest.raises(AttributeError):
            recorded.no_such_method()
        assert recorded._engine is store._engine
    kinds = [
        next(key for key in ("answer", "error", "crash", "closed", "format") if key in line) for line in lines(tmp_path / "h")
    ]
    assert kinds == ["format", "answer", "answer", "error", "error", "crash"]
    assert judge_history(tmp_path / "h").verdict is Verdict.conforms


def test_a_store_of_one_protocol_is_known_by_its_methods(tmp_path: Path) -> None:
    """The head names what was recorded; what is no store, or several in one, is refused in a sentence."""
    stores = model(tmp_path)
    for part in ("runtime", "event", "output"):
        record(getattr(stores, part), tmp_path / part)
        assert lines(tmp_path / part)[0]["protocols"] == [part]
    with pytest.raises(CannotRecord, match=r"^object has all methods of no chapter\. Expected a store of one protocol"):
        record(object(), tmp_path / "h")


class Async:
    """The outputs of a store, as an async store has them."""

    def __init__(self, stores: Stores) -> None:
        self._store: Any = stores.output

    async def append(self, *arguments: object) -> object:
        """Append after a while."""
        await asyncio.sleep(0.001)
        return self._store.append(*arguments)

    async def get(self, id: object) -> object:
        """Ask after a while."""
        await asyncio.sleep(0.001)
        return self._store.get(id)

    async def get_latest_by_name(self, name: str) -> object:
        """Ask for ever."""
        await asyncio.sleep(3_600)
        return self._store.get_latest_by_name(name)

    async def list_for_attempt(self, *arguments: object) -> object:
        """Ask at once."""
        return self._store.list_for_attempt(*arguments)


def test_an_async_store_is_recorded_from_call_to_answer(tmp_path: Path) -> None:
    """Calls of several tasks overlap, and that is written; one that is cancelled is lost."""
    from fencepost.spec import OutputRef, Progress

    async def work() -> None:
        store = record(Async(model(tmp_path)), tmp_path / "h", clock=lambda: 1_000)
        refs = await asyncio.gather(*(store.append("t", 1, "agent", Progress(str(each)), ()) for each in range(3)))
        assert (await store.get(refs[0])).event == Progress("0")
        with pytest.raises(OutputNotFound):
            await store.get(OutputRef("no"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(store.get_latest_by_name("agent"), 0.01)

    asyncio.run(work())
    assert [line.get("over", 0) for line in lines(tmp_path / "h")[1:]] == [0, 1, 2, 0, 0, 0]
    assert lines(tmp_path / "h")[-1]["lost"] == "CancelledError"
    assert judge_history(tmp_path / "h").verdict is Verdict.conforms


def test_threads_share_a_history(tmp_path: Path) -> None:
    """Four threads on one DuckDB store: each has a number, every call a line, and the whole conforms."""
    file = tmp_path / "h"
    with record(DuckDBStores(), file) as stores:

        def work(number: int) -> None:
            owner = LeaseOwnerIdentity("host", str(number))
            for _ in range(8):
                stores.runtime_persistence.enqueue_pending_turn_input(DRAFT)
                stores.runtime_persistence.try_claim_session_execution_lease("s", owner, 1)
                stores.runtime.persist_runtime_state("r", RuntimeState.Idle)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    calls = lines(file)[1:-1]
    assert len(calls) == 96
    assert {line["by"] for line in calls} == {1, 2, 3, 4}
    assert any(line.get("over") for line in calls)
    judgement = judge_history(file)
    assert (judgement.verdict, judgement.calls) == (Verdict.conforms, 96), judgement.says


class Full(io.StringIO):
    """A file on a disk that is full after so many lines."""

    room = 3

    def write(self, text: str) -> int:
        """Write, if there is room."""
        self.room -= 1
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return super().write(text)


def test_a_full_disk_is_not_the_business_of_the_caller(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The calls go on, the recording ends, and that is said once."""
    file = Full()
    store = record(model(tmp_path), file, clock=lambda: 1_000)
    with caplog.at_level(logging.ERROR, "fencepost"):
        for _ in range(5):
            store.runtime.persist_runtime_state("r", RuntimeState.Idle)
    assert store.runtime.load_runtime_state("r") is RuntimeState.Idle
    assert len(file.getvalue().splitlines()) == 3
    assert [each.getMessage() for each in caplog.records] == [
        "fencepost records no more: OSError: [Errno 28] No space left on device. The history ends with the call before."
    ]


def test_a_recorder_that_gave_up_says_so_in_the_file(tmp_path: Path) -> None:
    """A tear, and behind it a line that says why: what stands before it is judged."""
    file = tmp_path / "h"
    store = record(model(tmp_path), file, clock=lambda: 1_000)
    store.runtime.persist_runtime_state("r", RuntimeState.Idle)
    with file.open("a") as other:
        other.write('{"at":[1,\n{"stopped":"OSError: disk full"}\n')
    judgement = judge_history(file)
    assert (judgement.verdict, judgement.calls) == (Verdict.conforms, 1)
    assert judgement.notes[-1] == "The recorder gave up before line 4 (OSError: disk full): what came after is not in it."


def test_a_clock_that_fails_does_not_reach_the_caller_either(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever goes wrong in the recorder, the call is made, once, and answered."""
    instants = iter([1, 2])
    store = record(model(tmp_path), tmp_path / "h", clock=lambda: next(instants))
    with caplog.at_level(logging.ERROR, "fencepost"):
        store.runtime.persist_runtime_state("r", RuntimeState.Idle)
        assert store.runtime.load_runtime_state("r") is RuntimeState.Idle
    assert len(caplog.records) == 1


def test_a_history_is_continued_if_it_is_one(tmp_path: Path) -> None:
    """Closed and begun again it goes on, and conforms; another file, or one of other stores, is refused and left as it is."""
    file, stores = tmp_path / "h", model(tmp_path)
    first = record(stores, file, clock=lambda: 1_000)
    first.runtime.persist_runtime_state("r", RuntimeState.Idle)
    with pytest.raises(CannotRecord, match=r"is being recorded to\. One history holds the calls of one process"):
        record(stores, file)
    first.close()
    second = record(stores, file, clock=lambda: 1_001)
    assert second.runtime.load_runtime_state("r") is RuntimeState.Idle
    second.close()
    assert [key for line in lines(file) for key in ("closed", "resumed") if key in line] == ["closed", "resumed", "closed"]
    assert judge_history(file).verdict is Verdict.conforms
    with pytest.raises(
        CannotRecord, match="is a history of runtime_persistence, runtime, event, output, and the stores are of event"
    ):
        record(stores.event, file)
    before = file.read_text() + '{"torn'
    file.write_text(before)
    with pytest.raises(CannotRecord, match="ends in the middle of a line, so calls are missing in it"):
        record(stores, file)
    notes = tmp_path / "notes"
    notes.write_text("milk, eggs\n")
    with pytest.raises(CannotRecord, match=r"cannot be continued\. Line 1 is no JSON: 'milk, eggs'\. Give another file"):
        record(stores, notes)
    with pytest.raises(CannotRecord, match="cannot be written: No such file or directory"):
        record(stores, tmp_path / "no" / "folder")
    assert (file.read_text(), notes.read_text()) == (before, "milk, eggs\n")


class Odd:
    """Outputs that are answered as no store answers."""

    def append(self, *_: object) -> object:
        """An answer of a kind that there is not."""
        return {"id": self}

    def get(self, id: object) -> object:
        """Fail."""
        raise ZeroDivisionError("a \udcff b")

    def get_latest_by_name(self, name: str) -> object:
        """End the process."""
        raise SystemExit(3)

    def list_for_attempt(self, *_: object) -> object:
        """A list, as stores may."""
        return []


def test_odd_outcomes_are_written_in_words(tmp_path: Path) -> None:
    """What has no form is told, a list counts as a sequence, and the process may end."""
    from fencepost.spec import OutputRef, Progress

    store = record(Odd(), tmp_path / "h", clock=lambda: 1_000)
    assert list(store.append("t", 1, "a", Progress("x"), ())) == ["id"]
    with pytest.raises(ZeroDivisionError):
        store.get(OutputRef("x"))
    with pytest.raises(SystemExit):
        store.get_latest_by_name("a")
    assert store.list_for_attempt("t", 1) == []
    store.get_latest_by_name  # noqa: B018  # an attribute is no call
    written = lines(tmp_path / "h")[1:]
    assert written[0]["strange"].startswith("{'id': <test_recorder.Odd object")
    assert [line.get(key) for line, key in zip(written[1:], ("crash", "lost", "answer"), strict=True)] == [
        "ZeroDivisionError: a \\udcff b",
        "SystemExit: 3",
        [],
    ]
