"""Programs that speak the wire protocol, each wrong in one way: `python pipes.py WAY`."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HELLO = {"protocol": "fencepost-adapter/1", "chapters": ["output"], "capabilities": ["controlled-clock", "liveness-oracle"]}
"""What a good adapter says of itself."""


def say(answer: Any) -> None:
    """Write a line."""
    print(json.dumps(answer) if not isinstance(answer, str) else answer, flush=True)


def hello_of(changes: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """A program that introduces itself otherwise."""
    return lambda request: say({"id": request["id"], "hello": HELLO | changes})


def after_hello(wrong: Callable[[dict[str, Any]], None], at: str = "call") -> Callable[[dict[str, Any]], None]:
    """A program that is good until this kind of request."""

    def answer(request: dict[str, Any]) -> None:
        if "hello" in request:
            say({"id": request["id"], "hello": HELLO})
        elif at in request:
            wrong(request)
        else:
            say({"id": request["id"], "answer": None})

    return answer


def deaf(request: dict[str, Any]) -> None:
    """Nothing is answered, and nothing is read any more."""
    time.sleep(60)


def dying(request: dict[str, Any]) -> None:
    """The program ends, with a word."""
    print("out of cheese", file=sys.stderr, flush=True)
    os._exit(3)


def endless(request: dict[str, Any]) -> None:
    """A line that never ends."""
    while True:
        print("x" * (1 << 16), end="")


def closing_its_output(request: dict[str, Any]) -> None:
    """The program goes on, and nobody will hear of it."""
    os.close(1)
    time.sleep(60)


def half_a_line_dying(request: dict[str, Any]) -> None:
    """The program ends in the middle of its answer."""
    print('{"id":', end="", flush=True)
    os._exit(3)


def with_a_child(request: dict[str, Any]) -> None:
    """Something is started that goes on for long, and then nothing comes."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(os.environ["CHILD"]).write_text(str(child.pid))
    time.sleep(60)


def with_a_child_dying(request: dict[str, Any]) -> None:
    """Something is started that goes on for longer than the program."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdin=-3, stdout=-3, stderr=-3)
    Path(os.environ["CHILD"]).write_text(str(child.pid))
    os._exit(3)


def forgetful(request: dict[str, Any]) -> None:
    """Whatever is appended is not there."""
    answers: dict[str, dict[str, Any]] = {
        "output.append": {"answer": f"out-{request['id']:010x}"},
        "list_for_attempt": {"answer": []},
    }
    say({"id": request["id"]} | answers.get(request["call"]["operation"], {"error": {"kind": "OutputNotFound"}}))


def reopening(request: dict[str, Any]) -> dict[str, Any]:
    """A store that declares to reopen is given."""
    return {"hello": HELLO | {"capabilities": ["reopen"]}} if "hello" in request else {"answer": request.get("echo")}


KEPT: list[Any] = []
"""The ids of requests that are not answered yet."""


def backwards(request: dict[str, Any]) -> None:
    """Three echoes are answered once all three have come, the last of them first."""
    KEPT.append({"id": request["id"], "answer": request["echo"]})
    if len(KEPT) == 3:
        for answer in reversed(KEPT):
            say(answer)
        KEPT.clear()


def one_of_three(request: dict[str, Any]) -> None:
    """An echo of 1 is answered, and no other."""
    if request["echo"] == 1:
        say({"id": request["id"], "answer": 1})


def right_by_itself() -> Callable[[dict[str, Any]], None]:
    """A log that answers well while there is one call at a time: with more it ends, with a word."""
    records: list[dict[str, Any]] = []

    def appended(given: dict[str, Any]) -> dict[str, Any]:
        records.append({"id": f"out-{len(records):010x}", **given})
        return {"answer": records[-1]["id"]}

    def found(wanted: Callable[[dict[str, Any]], bool], message: str) -> dict[str, Any]:
        those = [each for each in records if wanted(each)]
        return {"answer": those[-1]} if those else {"error": {"kind": "OutputNotFound", "message": message}}

    def listed(given: dict[str, Any]) -> dict[str, Any]:
        attempt = (given["task_id"], given["attempt"])
        return {"answer": [each for each in records if (each["task_id"], each["attempt"]) == attempt]}

    calls: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "output.append": appended,
        "get": lambda given: found(lambda each: each["id"] == given["id"], given["id"]),
        "get_latest_by_name": lambda given: found(lambda each: each["producer_agent"] == given["name"], given["name"]),
        "list_for_attempt": listed,
    }

    def answer(request: dict[str, Any]) -> None:
        if "hello" in request:
            capabilities = [*HELLO["capabilities"], "concurrent-callers"]
            say({"id": request["id"], "hello": HELLO | {"capabilities": capabilities}})
        elif "reset" in request:
            records.clear()
            say({"id": request["id"], "answer": None})
        elif select.select([sys.stdin], [], [], 0.004)[0]:
            dying(request)
        else:
            say({"id": request["id"]} | calls[request["call"]["operation"]](request["call"]["arguments"]))

    return answer


WAYS: dict[str, Callable[[dict[str, Any]], None]] = {
    "silent from the start": lambda request: None,
    "dead from the start": dying,
    "another protocol": hello_of({"protocol": "fencepost-adapter/2"}),
    "a byte order mark": lambda request: say("\ufeff" + json.dumps({"id": request["id"], "hello": HELLO})),
    "no chapters": hello_of({"chapters": []}),
    "unknown chapter": hello_of({"chapters": ["leases"]}),
    "dying at the reopen it declares": lambda request: (
        dying(request) if "reopen" in request else say({"id": request["id"], **reopening(request)})
    ),
    "unknown capability": hello_of({"capabilities": ["teleport"]}),
    "no hello": lambda request: say({"id": request["id"], "answer": None}),
    "silent": after_hello(lambda request: None),
    "deaf": after_hello(deaf),
    "dying": after_hello(dying),
    "dying at the reset": after_hello(dying, "reset"),
    "no reset": after_hello(lambda request: say({"id": request["id"], "crash": "no"}), "reset"),
    "garbage": after_hello(lambda request: say("<html>502</html>")),
    "no object": after_hello(lambda request: say([1])),
    "NaN": after_hello(lambda request: say('{"id":NaN}')),
    "half a line": after_hello(lambda request: print('{"id":', end="", flush=True)),
    "old id": after_hello(lambda request: say({"id": request["id"] - 1, "answer": None})),
    "float id": after_hello(lambda request: say({"id": float(request["id"]), "answer": None})),
    "id that is true": after_hello(lambda request: say({"id": True, "answer": None}), "reset"),
    "with a child": after_hello(with_a_child),
    "with a child, dead": after_hello(with_a_child_dying),
    "half a line, dying": after_hello(half_a_line_dying),
    "closing its output": after_hello(closing_its_output),
    "endless": after_hello(endless),
    "killed": after_hello(lambda _: os.kill(os.getpid(), 9)),
    "answer and error": after_hello(lambda request: say({"id": request["id"], "answer": None, "error": {"kind": "Oops"}})),
    "no answer": after_hello(lambda request: say({"id": request["id"]})),
    "unknown refusal": after_hello(lambda request: say({"id": request["id"], "error": {"kind": "Oops"}})),
    "another answer": after_hello(lambda request: say({"id": request["id"], "answer": {"ok": 1}})),
    "crash": after_hello(lambda request: say({"id": request["id"], "crash": "ZeroDivisionError"})),
    "answers no append at once with another": right_by_itself(),
    "forgetful": after_hello(forgetful),
    "backwards": after_hello(backwards, "echo"),
    "echoes one of three": after_hello(one_of_three, "echo"),
    "echoes under an id of its own": after_hello(lambda request: say({"id": 77, "answer": 1}), "echo"),
}


def main() -> None:
    """Answer every line in this program's way."""
    answer = WAYS[sys.argv[1]]
    for line in sys.stdin:
        answer(json.loads(line))


if __name__ == "__main__":
    main()
