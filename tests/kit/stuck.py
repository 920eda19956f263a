"""Stores whose calls do not return, each for another reason, and one that ends its process."""

# ruff: noqa: D102 - what a method does wrong stands in the docstring of its class
from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from faulty import Bent
from fencepost.kit import declares
from fencepost.spec import LeaseOwnerIdentity
from fencepost.statemachines.environment import Environment


def tell() -> None:
    """Whoever started the process learns that a call has begun that does not return."""
    where = os.environ.get("STUCK")
    if where:
        Path(where).touch()


class Sleeps(Bent):
    """A renewal never returns."""

    def renew_session_execution_lease(self, *_arguments: object) -> object:
        tell()
        while True:
            time.sleep(3600)


class Swallows(Bent):
    """A renewal never returns, whatever it is told."""

    def renew_session_execution_lease(self, *_arguments: object) -> object:
        tell()
        while True:
            try:
                time.sleep(0.05)
            except BaseException:
                continue


class BreaksAndSwallows(Bent):
    """A release raises what is no refusal, and in another chapter a call never returns, whatever it is told."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        vars(self.event)["get_turns"] = self._swallow

    def release_session_execution_lease(self, *_arguments: object) -> object:
        raise KeyError("s")

    def _swallow(self, *_arguments: object) -> object:
        while True:
            try:
                time.sleep(0.05)
            except BaseException:
                continue


class LocksInC(Bent):
    """A renewal never returns, and is in no code of Python's."""

    def renew_session_execution_lease(self, *_arguments: object) -> object:
        tell()
        libc, mutex = ctypes.CDLL(None), (ctypes.c_char * 64)()
        libc.pthread_mutex_lock(mutex)
        return libc.pthread_mutex_lock(mutex)


class Turns(Bent):
    """Every call says that it was made, and swallows Ctrl-C as some engines do."""

    def __getattr__(self, name: str) -> Any:
        tell()
        try:
            time.sleep(0.01)
        except KeyboardInterrupt:
            raise RuntimeError("interrupted in C++") from None
        return super().__getattr__(name)


class Interrupted(Bent):
    """Ctrl-C comes in the middle of a renewal, and its engine makes an error of its own of it."""

    def renew_session_execution_lease(self, *_arguments: object) -> object:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
        except KeyboardInterrupt:
            raise RuntimeError("Query interrupted") from None
        return None


class Exits(Bent):
    """A renewal ends the process."""

    def renew_session_execution_lease(self, *_arguments: object) -> object:
        os._exit(7)


class ExitsWell(Bent):
    """A renewal ends the process, as if all were well."""

    def renew_session_execution_lease(self, *_arguments: object) -> object:
        os._exit(0)


class ExitsUnseen(Bent):
    """A renewal ends the process, as if all were well, and goes on where that did not succeed."""

    def renew_session_execution_lease(self, *arguments: object) -> object:
        with contextlib.suppress(Exception):
            os._exit(0)
        return self.right("renew_session_execution_lease", *arguments)


class Forks(Bent):
    """A renewal starts a process that ends."""

    def renew_session_execution_lease(self, *arguments: object) -> object:
        process = os.fork()
        if not process:
            os._exit(0)
        os.waitpid(process, 0)
        return self.right("renew_session_execution_lease", *arguments)


class Faults(Bent):
    """A renewal reads where there is nothing, as an extension in C may."""

    def renew_session_execution_lease(self, *_arguments: object) -> object:
        return ctypes.string_at(0)


class ClosesStdout(Bent):
    """A renewal closes standard output."""

    def renew_session_execution_lease(self, *arguments: object) -> object:
        with contextlib.suppress(OSError):
            os.close(1)
        return self.right("renew_session_execution_lease", *arguments)


class NeverCloses(Bent):
    """After a renewal it does not let go."""

    def renew_session_execution_lease(self, *arguments: object) -> object:
        self.close = self._wait
        return self.right("renew_session_execution_lease", *arguments)

    def _wait(self) -> None:
        time.sleep(3600)


def leaves_a_thread(environment: Environment) -> object:
    """A factory that starts a thread that never ends, and that Python waits for."""
    threading.Thread(target=lambda: time.sleep(3600)).start()
    return Bent(environment)


def never_opens(environment: Environment) -> object:
    """A factory that does not return."""
    tell()
    time.sleep(3600)
    return Bent(environment)


@declares("controlled-clock", "liveness-oracle", "attachments", "blob-reclaim", "concurrent-callers")
class LocksItselfUp(Bent):
    """Two claims at once wait for each other."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self._one = threading.Lock()
        self._meeting = threading.Barrier(2)

    def try_claim_session_execution_lease(self, session_id: str, owner: LeaseOwnerIdentity, ttl: int) -> object:
        if threading.current_thread() is threading.main_thread():
            return self.right("try_claim_session_execution_lease", session_id, owner, ttl)
        tell()
        with self._one:
            self._meeting.wait()
        return None
