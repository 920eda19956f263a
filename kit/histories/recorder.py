"""The recorder: stands in front of a store in production, and writes each call with its outcome and its times to a history.

It never changes what a store answers or raises, and what goes wrong with the writing never reaches the caller of the store: the
recorder says so once in the log of the name `fencepost`, and in the file if it still can, and records no more. A history that
lacks calls would accuse the store of what others did.
"""

from __future__ import annotations

import atexit
import inspect
import io
import itertools
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable
from functools import cache, partial
from pathlib import Path
from typing import IO, Any, get_type_hints

from fencepost.spec import InvalidArgument, StoreError, Stores
from fencepost.spec.operations import CHAPTERS, OPERATIONS, Operation, part_of
from fencepost.spec.values import Check, check_for
from fencepost.spec.wire import arguments_to_wire, as_line, to_wire

from fencepost import __version__

from ..backend import BackendError, shortened, told
from .history import FORMAT, Unreadable, last_line_is_whole, protocols_named, read_head

PARTS = tuple(dict.fromkeys(part_of(chapter) for chapter in CHAPTERS))
LOG = logging.getLogger("fencepost")


class CannotRecord(BackendError):
    """A recording that cannot begin; the text says why and what to do."""


def wall_clock() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


def record(
    store: Any, file: str | os.PathLike[str] | IO[str], *, clock: Callable[[], int] = wall_clock, fresh: bool = False
) -> Any:
    """The store, or stores, whose every call is written to the file as well; sync or async, called by any number of threads.

    `clock` is what the store reads, epoch milliseconds: an answer is held to the instants between its readings before and
    after the call. A file that is there is continued, and the store has to hold what it held then, unless it is a `fresh`,
    empty one, as in tests. The store has to be empty when the first recording begins, and to be called through what is
    returned alone: one history holds the calls of one process. Close the store through it, or end the process, to end the
    recording. Raises `CannotRecord`.
    """
    recorder = Recorder(file, clock)
    if isinstance(store, Stores):
        given = {part: getattr(store, part) for part in PARTS if getattr(store, part) is not None}
        recorder.begin(given, fresh=fresh)
        return RecordedStores(store, recorder, {part: Recorded(each, recorder, part) for part, each in given.items()})
    part = _part_of(store)
    recorder.begin((part,), fresh=fresh)
    return Recorded(store, recorder, part)


def _part_of(store: Any) -> str:
    """What kind of store it is: one of its chapters is there as a whole."""
    found = {
        part_of(chapter)
        for chapter in CHAPTERS
        if all(hasattr(store, each.method_name) for each in OPERATIONS.values() if each.chapter == chapter)
    }
    if len(found) != 1:
        what = f"has the methods of {' and '.join(sorted(found))}" if found else "has all methods of no chapter"
        raise CannotRecord(
            f"{type(store).__name__} {what}. Expected a store of one protocol, or fencepost.spec.Stores(event=..., output=...)."
        )
    return found.pop()


class Recorder:
    """Writes a line for each call that has ended, whoever made it."""

    def __init__(self, file: str | os.PathLike[str] | IO[str], clock: Callable[[], int]) -> None:
        self.clock = clock
        self._target = file
        self._file: IO[bytes] | IO[str] | None = None
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._callers = itertools.count(1)
        self._caller = threading.local()
        self._running = 0
        self.ended = 0
        """How many calls have been written."""

    def begin(self, parts: Any, *, fresh: bool = False) -> None:
        """Write the head, or go on behind what is there, perhaps with a fresh store. Raises `CannotRecord`."""
        protocols = protocols_named(parts)
        head = {"format": FORMAT, "fencepost": __version__, "at": self.clock(), "protocols": protocols}
        if not isinstance(self._target, str | os.PathLike):
            self._file = self._target
            self._write(head)
            return
        path = Path(self._target)
        try:
            self._file = _reserved(path, protocols)
            is_new = path.stat().st_size == 0
            resumed = {"resumed": self.clock(), "fencepost": __version__}
            self._write(head if is_new else resumed | {"fresh": True} if fresh else resumed)
        except OSError as error:
            raise CannotRecord(f"{path} cannot be written: {error.strerror or error}.") from None
        atexit.register(self.close)

    def called(self) -> tuple[int, int]:
        """What is noted of a call before it is made: how many have ended, and the instant."""
        with self._lock:
            self._running += 1
            ended = self.ended
        try:
            return ended, self.clock()
        except Exception as error:
            self._stop(told(error))
            return ended, 0

    def made(self, operation: Operation, arguments: tuple[Any, ...], noted: tuple[int, int], outcome: dict[str, Any]) -> None:
        """Write a call that has ended, or stop recording. Raises nothing."""
        if self._file is None:
            return
        try:
            ended = self.clock()
            line = {"at": [noted[1], ended], "by": self._number(), "call": _called(operation, arguments), **outcome}
            with self._lock:
                self._running -= 1
                over = self.ended - noted[0]
                self.ended += 1
                self._write(line | {"over": over} if over else line)
        # whatever it is, the caller of the store has nothing to do with it
        except Exception as error:
            self._stop(told(error))

    def _number(self) -> int:
        """The number of this thread."""
        number: int = getattr(self._caller, "number", 0) or next(self._callers)
        self._caller.number = number
        return number

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is None or os.getpid() != self._pid:
            # a forked process has the same file, and must not write into the middle of it
            self._file = None
            return
        _put(self._file, as_line(line))

    def _stop(self, why: str) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        LOG.error("fencepost records no more: %s. The history ends with the call before.", why)
        try:
            # what was written of the line that failed must not run into this one
            _put(file, "\n" + as_line({"stopped": why}))
        except Exception:
            LOG.debug("and the history does not say so")
        finally:
            if file is not self._target:
                file.close()

    def close(self) -> None:
        """End the recording; in a history whose calls have all ended, say so."""
        with self._lock:
            file = self._file
            if file is None or not isinstance(self._target, str | os.PathLike):
                return
            try:
                if not self._running:
                    self._write({"closed": self.clock()})
                file.close()
            except Exception as error:
                LOG.error("the history was not closed: %s", told(error))
            self._file = None
        atexit.unregister(self.close)


def _put(file: Any, text: str) -> None:
    """Write a line as a whole, or raise."""
    if isinstance(file, io.RawIOBase):
        # one write to the end of the file: what is there of it after a failure is the beginning of one line
        data = text.encode()
        written = file.write(data)
        if written != len(data):
            raise OSError(f"{written} of {len(data)} bytes could be written")
        return
    file.write(text)
    file.flush()


def _reserved(path: Path, protocols: tuple[str, ...]) -> IO[bytes]:
    """The file to write to, new or a history of these protocols. Raises `OSError`, and `CannotRecord`."""
    file = path.open("ab", buffering=0)
    try:
        _reserve(file, path)
        if path.stat().st_size > 0:
            _require_same(path, protocols)
    except BaseException:
        file.close()
        raise
    return file


def _reserve(file: Any, path: Path) -> None:
    """Keep other recorders away from the file for as long as it is open."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover  # no such thing on Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotRecord(
            f"{path} is being recorded to. One history holds the calls of one process: give another file."
        ) from None


def _require_same(path: Path, protocols: tuple[str, ...]) -> None:
    """Raise `CannotRecord` if the file is no history that can go on."""
    with path.open(encoding="utf-8", errors="replace") as file:
        try:
            head = read_head(file.readline())
        except Unreadable as error:
            raise CannotRecord(f"{path} is there and cannot be continued. {error} Give another file.") from None
    if head.protocols != protocols:
        there, here = ", ".join(head.protocols), ", ".join(protocols)
        raise CannotRecord(f"{path} is a history of {there}, and the stores are of {here}. Give another file.")
    if not last_line_is_whole(path):
        raise CannotRecord(f"{path} ends in the middle of a line, so calls are missing in it. Check it, and give another file.")


class Recorded:
    """A store in front of the one that does the work: the protocol's methods are recorded, all others passed on."""

    def __init__(self, store: Any, recorder: Recorder, part: str) -> None:
        self._store = store
        self._recorder = recorder
        for operation in OPERATIONS.values():
            if part_of(operation.chapter) == part and hasattr(store, operation.method_name):
                vars(self)[operation.method_name] = partial(self._call, operation)

    @property  # type: ignore[misc]  # so that isinstance answers as it does of the store
    def __class__(self) -> type:
        return type(self._store)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_store"], name)

    def close(self) -> Any:
        """Close the store, and the recording."""
        return _closed(self._store, self._recorder)

    def __enter__(self) -> Any:
        self._store.__enter__()
        return self

    def __exit__(self, *raised: Any) -> Any:
        try:
            return self._store.__exit__(*raised)
        finally:
            self._recorder.close()

    def _call(self, operation: Operation, /, *given: Any, **named: Any) -> Any:
        noted = self._recorder.called()
        arguments = _in_order(operation, given, named)
        method = getattr(self._store, operation.method_name)
        try:
            answer = method(*given, **named)
        except BaseException as error:
            self._recorder.made(operation, arguments, noted, _raised(error))
            raise
        if inspect.isawaitable(answer):
            return self._awaited(operation, arguments, noted, answer)
        self._recorder.made(operation, arguments, noted, _answered(operation, answer))
        return answer

    async def _awaited(
        self, operation: Operation, arguments: tuple[Any, ...], noted: tuple[int, int], given: Awaitable[Any]
    ) -> Any:
        try:
            answer = await given
        except BaseException as error:
            self._recorder.made(operation, arguments, noted, _raised(error))
            raise
        self._recorder.made(operation, arguments, noted, _answered(operation, answer))
        return answer


class RecordedStores(Stores):
    """Stores of several protocols, each recorded; what else theirs have is passed on."""

    def __init__(self, stores: Stores, recorder: Recorder, parts: dict[str, Any]) -> None:
        super().__init__(**parts)
        self._stores = stores
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_stores"], name)

    def __enter__(self) -> Any:
        self._stores.__enter__()  # type: ignore[attr-defined]  # of those that have it
        return self

    def __exit__(self, *raised: Any) -> Any:
        try:
            return self._stores.__exit__(*raised)  # type: ignore[attr-defined]  # of those that have it
        finally:
            self._recorder.close()

    def close(self) -> Any:
        """Close the stores, and the recording."""
        return _closed(self._stores, self._recorder)


def _closed(store: Any, recorder: Recorder) -> Any:
    try:
        closing = store.close() if hasattr(store, "close") else None
    except BaseException:
        recorder.close()
        raise
    if inspect.isawaitable(closing):
        return _closing(closing, recorder)
    recorder.close()
    return closing


async def _closing(closing: Awaitable[Any], recorder: Recorder) -> Any:
    try:
        return await closing
    finally:
        recorder.close()


def _called(operation: Operation, arguments: tuple[Any, ...]) -> dict[str, Any]:
    if len(arguments) != len(operation.parameters):
        return {"operation": operation.name, "foreign": shortened(arguments, 200)}
    try:
        operation.refuse_invalid(arguments)
    except InvalidArgument as error:
        return {"operation": operation.name, "invalid": str(error)}
    return {"operation": operation.name, "arguments": arguments_to_wire(operation.name, arguments)}


def _in_order(operation: Operation, given: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments by their places; what fits no parameter stays behind, and makes the call one that the protocol lacks."""
    rest = [name for name, _ in operation.parameters][len(given) :]
    known = [named[name] for name in rest if name in named]
    return (*given, *known) if len(known) == len(named) else (*given, named)


def _answered(operation: Operation, answer: Any) -> dict[str, Any]:
    # a store may answer lists where the protocol says a sequence (VALUE-4)
    answer = tuple(answer) if type(answer) is list else answer
    return {"answer": to_wire(answer)} if _answer_of(operation.name).accepts(answer) else {"strange": shortened(answer, 200)}


@cache
def _answer_of(operation: str) -> Check:
    return check_for(get_type_hints(OPERATIONS[operation].method, include_extras=True)["return"])


def _raised(error: BaseException) -> dict[str, Any]:
    if isinstance(error, StoreError):
        return {"error": to_wire(error)}
    return {"crash": told(error)} if isinstance(error, Exception) else {"lost": told(error)}
