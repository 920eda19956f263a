"""A Python factory behind a pipe: the other end of `adapter`, for our own stores and for whoever wants an example.

`python -m fencepost.kit.serve module:factory` answers requests until its input ends.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from fencepost.spec import StoreError
from fencepost.spec.operations import OPERATIONS
from fencepost.spec.wire import arguments_from_wire, as_line, to_wire
from fencepost.statemachines.environment import Environment

from .adapter import PROTOCOL
from .backend import BackendError, Factory, load_factory, told


class Server:
    """A factory's stores, one after the other, and what a request asks of them."""

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        self._environment = Environment(Path())
        self._store: Any = None
        self._answers: dict[str, Callable[[Any], dict[str, Any]]] = {
            "hello": self._hello,
            "echo": lambda value: {"answer": value},
            "reset": self._reset,
            "reopen": self._reopen,
            "call": self._call,
        }

    def line(self, request: dict[str, Any]) -> str:
        """The line that answers a request. What goes wrong is told in it."""
        number = request.get("id")
        try:
            return as_line({"id": number, **self._answer(request)})
        except (Exception, SystemExit) as error:
            # a store that ends the process is to be told of, not a thread to be missed
            return as_line({"id": number, "crash": told(error)})

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self._set(request)
        for what, answer in self._answers.items():
            if what in request:
                return answer(request[what])
        return {"crash": f"expected one of {', '.join(self._answers)} in a request, one object of JSON a line"}

    def close(self) -> None:
        """Let the store go."""
        if self._store is not None:
            self._factory.close(self._store)
            self._store = None

    def _hello(self, _: Any) -> dict[str, Any]:
        declared = {"chapters": list(self._factory.offers()), "capabilities": list(self._factory.declares)}
        return {"hello": {"protocol": PROTOCOL, **declared}}

    def _reset(self, given: dict[str, Any]) -> dict[str, Any]:
        self.close()
        self._environment = Environment(Path(given["directory"]), self._factory.declares)
        self._set(given)
        self._store = self._factory.open(self._environment)
        return {"answer": None}

    def _reopen(self, given: dict[str, Any]) -> dict[str, Any]:
        self.close()
        self._set(given)
        self._store = self._factory.open(self._environment, again=True)
        return {"answer": None}

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        operation = OPERATIONS[call["operation"]]
        method: Any = operation.of(self._store)
        try:
            return {"answer": to_wire(method(*arguments_from_wire(operation.name, call["arguments"])))}
        except StoreError as error:
            return {"error": to_wire(error)}

    def _set(self, given: dict[str, Any]) -> None:
        """Put clock and processes where the run has them."""
        if "now" in given:
            self._environment.clock.move_to(given["now"])
        table = given.get("processes", {})
        running = {int(pid): start for pid, start in table.get("running", {}).items()}
        self._environment.process_alive.become(running, set(table.get("hidden", ())))


CALLERS = 8
"""How many threads make the calls of a store that several may call at once."""


def serve(name: str, requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until there are no more. Raises `BackendError`.

    Of a store that several may call at once, each call is made by the thread that has read it, while another one reads on.
    """
    factory = load_factory(name)
    server, reading, writing = Server(factory), threading.Lock(), threading.Lock()

    def write(line: str) -> None:
        with writing:
            answers.write(line)
            answers.flush()

    def answer_all() -> None:
        while True:
            with reading:
                line = requests.readline()
                if not line:
                    return
                request = _parsed(line)
                if "call" not in request:
                    write(server.line(request))
                    continue
            write(server.line(request))

    others = CALLERS - 1 if "concurrent-callers" in factory.declares else 0
    # this thread is one of them: a store may know no other, and Ctrl-C ends it while the others wait for a line
    threads = [threading.Thread(target=answer_all, daemon=True) for _ in range(others)]
    try:
        for each in threads:
            each.start()
        answer_all()
        for each in threads:
            each.join()
    finally:
        server.close()


def _parsed(line: str) -> dict[str, Any]:
    """A request; an empty one where the line is none."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return request if isinstance(request, dict) else {}


if __name__ == "__main__":
    try:
        serve(sys.argv[1] if len(sys.argv) > 1 else "", sys.stdin, sys.stdout)
    except BackendError as error:
        sys.exit(f"Error: {error}")
