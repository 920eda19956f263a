"""Puts the stores of `store.py` behind standard input and output: a line of JSON for each request and each answer.

Nothing in this file has to be edited.
"""

import json
import sys
from pathlib import Path

import store

PROTOCOL = json.loads(Path(__file__).with_name("protocol.json").read_text(encoding="utf-8"))


class Environment:
    """What a store is given: the time, a word on processes, and a directory for files."""

    def __init__(self, directory):
        self.directory = directory
        self.now = 0
        self.processes = {}

    def clock(self):
        """The time of the call, in epoch milliseconds."""
        return self.now

    def process_alive(self, pid, process_start):
        """Whether that very process runs: "yes", "no" or "unknown"."""
        if pid in self.processes.get("hidden", []):
            return "unknown"
        return "yes" if self.processes.get("running", {}).get(str(pid)) == process_start else "no"


class Adapter:
    """The stores, and what each kind of request asks of them."""

    def __init__(self):
        self.environment = Environment("")
        self.stores = {}

    def answer(self, request):
        """The answer to a request."""
        for kind in ("hello", "echo", "reset", "reopen", "call"):
            if kind in request:
                self.environment.now = request.get("now", self.environment.now)
                self.environment.processes = request.get("processes", {})
                return {"id": request["id"], **getattr(self, kind)(request[kind])}
        return {"id": request.get("id"), "crash": f"no request: {request}"}

    def hello(self, _):
        """What the program speaks, and what its stores can do."""
        about = {"protocol": PROTOCOL["protocol"], "chapters": PROTOCOL["chapters"]}
        return {"hello": {**about, "capabilities": store.CAPABILITIES}}

    def echo(self, value):
        """The same value."""
        return {"answer": value}

    def reset(self, place):
        """Empty stores, in an empty directory."""
        return self.reopen(place)

    def reopen(self, place):
        """The stores on this directory; those from before are closed."""
        for each in self.stores.values():
            each.close()
        self.environment = Environment(place["directory"])
        self.environment.now = place["now"]
        self.environment.processes = place.get("processes", {})
        self.stores = {name: getattr(store, kind)(self.environment) for name, kind in PROTOCOL["stores"].items()}
        return {"answer": None}

    def call(self, call):
        """An answer, a refusal of the protocol, or what else the store raised."""
        name, method = PROTOCOL["operations"][call["operation"]]
        try:
            return {"answer": getattr(self.stores[name], method)(**call["arguments"])}
        except store.Refusal as refusal:
            return {"error": {"kind": refusal.kind, **refusal.fields}}
        except Exception as error:
            return {"crash": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    adapter = Adapter()
    for line in sys.stdin:
        print(json.dumps(adapter.answer(json.loads(line)), separators=(",", ":")), flush=True)
